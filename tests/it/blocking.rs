//! What differs for threads: real waiting, timeouts that cannot cancel, and handles that are shared with tasks.

use crate::support::{listen, ms, secs};
use decor::{
    Error, Memo, Outcome, RateLimiter, RetryPolicy, Timing,
    blocking::{self, CallableMut as _, CallableOnce as _},
    prelude::*,
    test_util::{self, VirtualClock, VirtualThread, sleep},
};
use std::{
    any::Any,
    cell::RefCell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

type Answer = Result<u32, Error>;

// ---- timeout ----

/// In a trial an abandoned retry made 30 attempts, and an abandoned wait took a permit and called the function.
#[test]
fn nothing_begins_after_a_timeout() {
    let clock = VirtualClock::start();
    let attempts = Arc::new(AtomicU32::new(0));
    let fails = {
        let attempts = Arc::clone(&attempts);
        move || {
            attempts.fetch_add(1, SeqCst);
            Err::<u32, _>(Error::QueueFull { waiting: 0 })
        }
    };
    let policy = RetryPolicy::fixed(ms(100)).max_attempts(30);
    let bounded = fails.clone().blocking().named("f").retry_with(&policy).timeout(ms(250));
    assert_eq!(bounded.call(), Err(Error::TimedOut { name: "f", after: ms(250) }));
    assert_eq!(clock.elapsed(), ms(250));
    sleep(secs(60));
    assert_eq!(attempts.load(SeqCst), 3);

    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire_blocking();
    let bounded = fails.blocking().rate_limited(&limiter).timeout(ms(500));
    assert!(matches!(bounded.call(), Err(Error::TimedOut { .. })));
    sleep(secs(60));
    let stats = limiter.stats();
    assert_eq!((attempts.load(SeqCst), stats.admitted, stats.cancelled, stats.waiting), (3, 1, 1, 0));
}

#[test]
fn nested_timeouts_end_what_is_within_them() {
    let clock = VirtualClock::start();
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let slow = move || -> Answer {
        counted.fetch_add(1, SeqCst);
        sleep(secs(10));
        Ok(1)
    };
    let policy = RetryPolicy::fixed(ms(100)).max_attempts(30);
    let bounded = slow.blocking().named("f").timeout(secs(1)).retry_with(policy).timeout(ms(2_500));
    assert_eq!(bounded.call(), Err(Error::TimedOut { name: "f", after: ms(2_500) }));
    assert_eq!((clock.elapsed(), attempts.load(SeqCst)), (ms(2_500), 3));
    sleep(secs(60));
    assert_eq!(attempts.load(SeqCst), 3);
}

#[test]
fn a_call_that_is_left_runs_on_and_its_end_is_cancelled_not_panicked() {
    let _clock = VirtualClock::start();
    let (ended, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (its_end, sink) = (Arc::clone(&ended), Arc::clone(&seen));
    // It does not wait in decor, and so is not unwound.
    let (go, stop) = mpsc::channel::<()>();
    let busy = move || -> Answer {
        stop.recv().unwrap();
        its_end.store(true, SeqCst);
        Ok(1)
    };
    let busy = Mutex::new(Some(busy));
    let run = move || (busy.lock().unwrap().take().unwrap())();
    let waits = (|| -> Answer {
        sleep(secs(10));
        Ok(1)
    })
    .blocking()
    .timed_with(Timing::new("waits").to(move |m| sink.lock().unwrap().push(m.outcome)))
    .timeout(secs(1));
    assert!(waits.call().is_err());
    let left = thread::spawn(move || run.blocking().timeout(ms(5)).run());
    assert!(left.join().unwrap().is_err());
    assert!(!ended.load(SeqCst));
    go.send(()).unwrap();
    while !ended.load(SeqCst) {
        thread::yield_now();
    }
    while seen.lock().unwrap().is_empty() {
        thread::yield_now();
    }
    assert_eq!(*seen.lock().unwrap(), [Outcome::Cancelled]);
}

#[test]
fn a_panic_in_it_is_the_callers_panic() {
    let _clock = VirtualClock::start();
    let explode = || -> Answer { std::panic::panic_any(7_u64) };
    let panic = catch_unwind(AssertUnwindSafe(|| explode.blocking().timeout(secs(1)).run())).unwrap_err();
    assert_eq!(*panic.downcast::<u64>().unwrap(), 7);
}

#[test]
fn log_lines_inside_keep_their_subscriber_and_span() {
    let _clock = VirtualClock::start();
    let log = listen();
    let seen = Arc::new(Mutex::new(None));
    let its = Arc::clone(&seen);
    let function = move || -> Answer {
        *its.lock().unwrap() = Some((thread::current().id(), tracing::Span::current().id()));
        Ok(1)
    };
    let span = tracing::info_span!("request");
    let call = function.blocking().named("f").logged().timeout(secs(1));
    span.in_scope(|| call.call()).unwrap();
    assert_eq!(log.take(), ["DEBUG calling f", "INFO f returned in 0.00s"]);
    let (its_thread, its_span) = seen.lock().unwrap().take().unwrap();
    assert_ne!(its_thread, thread::current().id());
    assert!(its_span.is_some());
    assert_eq!(its_span, span.id());
}

#[test]
fn a_limit_of_zero_calls_nothing_and_the_longest_needs_no_thread() {
    let this = thread::current().id();
    let here = move || -> Answer { Ok(u32::from(thread::current().id() == this)) };
    let called = here.blocking().named("f");
    assert_eq!(
        called.clone().timeout(Duration::ZERO).call(),
        Err(Error::TimedOut { name: "f", after: Duration::ZERO })
    );
    assert_eq!(called.clone().timeout(Duration::MAX).call(), Ok(1));
    assert_eq!(called.timeout(secs(60)).call(), Ok(0));
}

/// By hand, for those that `acquire_blocking` is not enough for.
#[test]
fn a_thread_waits_for_several_permits_or_for_a_limited_time() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::new(3, secs(10));
    assert_eq!(limiter.acquire_many(2).blocking(), Ok(()));
    assert_eq!(limiter.acquire_each([2]).blocking(), Ok(()));
    assert_eq!(clock.elapsed(), secs(10));
    assert_eq!(limiter.acquire_within(secs(1)).blocking(), Ok(()));
    assert_eq!(limiter.acquire_within(secs(9)).blocking(), Err(Error::RateLimited { retry_after: secs(10) }));
    assert_eq!(clock.elapsed(), secs(10));
    assert_eq!(limiter.acquire_within(secs(10)).blocking(), Ok(()));
    assert_eq!(clock.elapsed(), secs(20));
    assert!(matches!(limiter.acquire_many(4).blocking(), Err(Error::InvalidArgument { .. })));
}

/// To be unwound a second time, from a `Drop`, would end the process.
#[test]
fn what_waits_while_an_abandoned_call_is_unwound_is_let_be() {
    struct Cleanup(RateLimiter, Arc<Mutex<Option<Duration>>>);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            (0..3).for_each(|_| self.0.acquire_blocking());
            *self.1.lock().unwrap() = test_util::elapsed();
        }
    }
    let _clock = VirtualClock::start();
    let (limiter, ended) = (RateLimiter::new(1, secs(1)), Arc::new(Mutex::new(None)));
    let (its_limiter, its_end) = (limiter.clone(), Arc::clone(&ended));
    let slow = move || -> Answer {
        let _cleanup = Cleanup(its_limiter.clone(), Arc::clone(&its_end));
        sleep(secs(60));
        Ok(1)
    };
    assert!(slow.blocking().timeout(secs(10)).call().is_err());
    sleep(secs(60));
    assert_eq!(*ended.lock().unwrap(), Some(secs(10 + 2)));
    assert_eq!((limiter.stats().admitted, limiter.stats().cancelled), (3, 0));
}

/// Nothing begins any more, so a timeout within the `Drop` passes at once.
#[test]
fn what_is_bounded_while_an_abandoned_call_is_unwound_does_not_begin() {
    struct Cleanup(Arc<AtomicU32>, mpsc::Sender<(Answer, Option<Duration>)>);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            let calls = Arc::clone(&self.0);
            let call = move || Answer::Ok(calls.fetch_add(1, SeqCst));
            let answer = call.blocking().named("cleanup").timeout(secs(5)).run();
            self.1.send((answer, test_util::elapsed())).unwrap();
        }
    }
    let _clock = VirtualClock::start();
    let (calls, (sender, ended)) = (Arc::new(AtomicU32::new(0)), mpsc::channel());
    let its_calls = Arc::clone(&calls);
    let slow = move || -> Answer {
        let _cleanup = Cleanup(Arc::clone(&its_calls), sender.clone());
        sleep(secs(60));
        Ok(1)
    };
    assert!(slow.blocking().timeout(secs(10)).call().is_err());
    sleep(secs(60));
    let refused = Err(Error::TimedOut { name: "cleanup", after: secs(5) });
    assert_eq!(ended.try_recv(), Ok((refused, Some(secs(10)))));
    assert_eq!(calls.load(SeqCst), 0);
}

#[test]
fn a_panic_is_one_though_its_call_has_been_left() {
    let _clock = VirtualClock::start();
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&outcomes);
    let timing = Timing::new("f").to(move |m| sink.lock().unwrap().push(m.outcome));
    let stubborn = move || -> Answer {
        for call in [|| sleep(secs(60)), || panic!("boom")] {
            let _ = catch_unwind(AssertUnwindSafe(|| call.blocking().timed_with(timing.clone()).run()));
        }
        Ok(1)
    };
    assert!(stubborn.blocking().timeout(secs(1)).call().is_err());
    sleep(secs(60));
    assert_eq!(*outcomes.lock().unwrap(), [Outcome::Cancelled, Outcome::Panicked]);
}

type Payload = Box<dyn Any + Send>;

/// Reports the outcomes of the calls that it is given to.
#[derive(Clone, Default)]
struct Outcomes(Arc<Mutex<Vec<Outcome>>>);

impl Outcomes {
    fn timing(&self) -> Timing {
        let outcomes = Arc::clone(&self.0);
        Timing::new("f").to(move |measured| outcomes.lock().unwrap().push(measured.outcome))
    }

    fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// The payload with which decor unwinds a call whose caller has gone.
fn caught() -> Payload {
    catch_unwind(|| sleep(secs(60))).unwrap_err()
}

/// Runs `call` on a thread whose caller leaves after one second, and waits for its end.
fn run_abandoned(call: impl FnOnce() + Send + 'static) {
    let abandoned = move || {
        call();
        Answer::Ok(1)
    };
    assert!(abandoned.blocking().timeout(secs(1)).run().is_err());
    sleep(secs(60));
}

#[test]
fn a_panic_after_a_kept_unwinding_is_reported_as_a_panic() {
    let _clock = VirtualClock::start();
    let log = listen();
    let outcomes = Outcomes::default();
    let (timing, (keep, kept)) = (outcomes.timing(), mpsc::channel());
    run_abandoned(move || {
        keep.send(caught()).unwrap();
        std::mem::forget(caught());
        let explode = || -> Answer { panic!("boom") };
        let explode = explode.blocking().named("explode").logged().timed_with(timing);
        let _ = catch_unwind(AssertUnwindSafe(|| explode.run()));
    });
    drop(kept);
    assert_eq!(outcomes.take(), [Outcome::Panicked]);
    assert_eq!(log.take(), ["DEBUG calling explode", "WARN explode panicked in 0.00s"]);
}

#[test]
fn an_unwinding_ends_when_another_thread_drops_it() {
    let _clock = VirtualClock::start();
    let outcomes = Outcomes::default();
    let (timing, (send, received)) = (outcomes.timing(), mpsc::channel());
    run_abandoned(move || {
        let caught_and_panicked = || {
            send.send(caught()).unwrap();
            thread::spawn(move || drop(received)).join().unwrap();
            panic!("boom");
        };
        let _ = catch_unwind(AssertUnwindSafe(|| caught_and_panicked.blocking().timed_with(timing).run()));
    });
    assert_eq!(outcomes.take(), [Outcome::Panicked]);
}

/// A value that is dropped by the unwinding of one thread may hold the payload of another's.
#[test]
fn the_unwinding_of_another_thread_does_not_end_this_ones() {
    let _clock = VirtualClock::start();
    let outcomes = Outcomes::default();
    let (timing, (send, received)) = (outcomes.timing(), mpsc::channel());
    run_abandoned(move || send.send(caught()).unwrap());
    run_abandoned(move || {
        let owns = move || {
            let _of_another: Payload = received.recv().unwrap();
            sleep(secs(60));
        };
        owns.blocking().timed_with(timing).run();
    });
    assert_eq!(outcomes.take(), [Outcome::Cancelled]);
}

#[test]
fn an_unwinding_that_is_resumed_is_still_a_cancellation() {
    let _clock = VirtualClock::start();
    let outcomes = Outcomes::default();
    let (outer, inner) = (outcomes.timing(), outcomes.timing());
    run_abandoned(move || {
        let cleans_up = move || {
            let payload = caught();
            (|| ()).blocking().timed_with(inner).run();
            resume_unwind(payload);
        };
        cleans_up.blocking().timed_with(outer).run();
    });
    assert_eq!(outcomes.take(), [Outcome::Completed, Outcome::Cancelled]);
}

// ---- waiting ----

/// A wait that parked the thread would use the token up, and the thread's own `park` would hang.
#[test]
fn a_wait_leaves_an_unpark_of_the_threads_own_alone() {
    let limiter = RateLimiter::new(1, ms(20));
    limiter.acquire_blocking();
    let (tell, told) = mpsc::channel();
    let its_limiter = limiter.clone();
    let owed = thread::spawn(move || {
        its_limiter.acquire_blocking();
        thread::park();
        tell.send(()).unwrap();
    });
    while limiter.waiting() == 0 {
        thread::yield_now();
    }
    owed.thread().unpark();
    told.recv_timeout(secs(20)).expect("the thread was unparked while it waited");

    let clock = VirtualClock::start();
    let (tell, told) = mpsc::channel();
    let (introduce, introduced) = mpsc::channel();
    let owed = clock.spawn(move || {
        introduce.send(thread::current()).unwrap();
        sleep(secs(10));
        thread::park();
        tell.send(()).unwrap();
    });
    sleep(secs(1)); // so it waits
    introduced.recv().unwrap().unpark();
    clock.advance(secs(9));
    told.recv_timeout(secs(20)).expect("the thread was unparked while it waited");
    owed.join();
}

/// Its own thread-locals are gone by then.
#[test]
fn a_thread_may_wait_at_its_very_end() {
    struct Last(Option<RateLimiter>);
    impl Drop for Last {
        fn drop(&mut self) {
            if let Some(limiter) = &self.0 {
                limiter.acquire_blocking();
            }
        }
    }
    thread_local! {
        static LAST: RefCell<Last> = const { RefCell::new(Last(None)) };
    }
    let limiter = RateLimiter::new(1, ms(20));
    let its = limiter.clone();
    let thread = thread::spawn(move || {
        LAST.with_borrow_mut(|last| last.0 = Some(its.clone())); // the first, and so the last to go
        (0..2).for_each(|_| its.acquire_blocking());
    });
    thread.join().unwrap();
    assert_eq!((limiter.stats().admitted, limiter.stats().delayed), (3, 2));
}

/// Nor is there a thread for it: the function is dropped where it was.
#[test]
fn a_limit_of_zero_begins_nothing() {
    #[derive(Clone)]
    struct Dropped(Arc<Mutex<Vec<ThreadId>>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(thread::current().id());
        }
    }
    let dropped = Dropped(Arc::default());
    let its = dropped.clone();
    let function = move || -> Answer {
        let _its = &its;
        Ok(1)
    };
    assert!(function.blocking().timeout(Duration::ZERO).run().is_err());
    assert_eq!(*dropped.0.lock().unwrap(), [thread::current().id()]);
}

/// Both come to their end at one moment, and the call goes first.
#[test]
fn a_call_that_ends_at_its_limit_has_ended_in_time_always() {
    let clock = VirtualClock::start();
    let slow = (|| -> Answer {
        sleep(secs(1));
        Ok(1)
    })
    .blocking()
    .timeout(secs(1));
    assert!((0..500).all(|_| slow.call() == Ok(1)));
    assert_eq!(clock.elapsed(), secs(500));
}

/// Also where there is nothing to wait for: an attempt without delay, a permit that is free.
#[test]
fn what_could_go_on_at_once_does_not_after_a_timeout() {
    let limiter = RateLimiter::new(10, secs(60));
    let attempts = Arc::new(AtomicU32::new(0));
    let (leave, left) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let its_limiter = limiter.clone();
    let its_attempts = Arc::clone(&attempts);
    let fails = move || -> Answer {
        its_attempts.fetch_add(1, SeqCst);
        left.recv().unwrap();
        Err(Error::QueueFull { waiting: 0 })
    };
    let again = fails.blocking().retry_with(RetryPolicy::fixed(Duration::ZERO).max_attempts(5));
    let tell_again = tell.clone();
    let timing = Timing::new("again").to(move |m| tell_again.send(m.outcome).unwrap());
    assert!(again.timed_with(timing).timeout(ms(5)).run().is_err());
    leave.send(()).unwrap();
    assert_eq!((told.recv().unwrap(), attempts.load(SeqCst)), (Outcome::Cancelled, 1));

    let (leave, left) = mpsc::channel::<()>();
    let takes = move || -> Answer {
        left.recv().unwrap();
        its_limiter.acquire_blocking();
        Ok(1)
    };
    let tell_again = tell.clone();
    let timing = Timing::new("takes").to(move |m| tell_again.send(m.outcome).unwrap());
    assert!(takes.blocking().timed_with(timing).timeout(ms(5)).run().is_err());
    leave.send(()).unwrap();
    assert_eq!((told.recv().unwrap(), limiter.stats().admitted), (Outcome::Cancelled, 0));

    let (leave, left) = mpsc::channel::<()>();
    let memo: Memo<u8, u32> = Memo::ttl(secs(60));
    let its_memo = memo.clone();
    let loads = move || -> Answer {
        left.recv().unwrap();
        Ok((|_: u8| 49).blocking().memoized(&its_memo).call(7))
    };
    let timing = Timing::new("loads").to(move |m| tell.send(m.outcome).unwrap());
    assert!(loads.blocking().timed_with(timing).timeout(ms(5)).run().is_err());
    leave.send(()).unwrap();
    assert_eq!((told.recv().unwrap(), memo.get(&7)), (Outcome::Cancelled, None));
    assert_eq!((memo.stats().loads, memo.stats().loads_abandoned), (1, 1));
}

// ---- what parity cannot show ----

#[test]
fn the_last_attempt_takes_the_arguments_and_an_error_is_gone_before_the_delay() {
    struct Argument(Arc<AtomicU32>);
    impl Clone for Argument {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, SeqCst);
            Self(Arc::clone(&self.0))
        }
    }
    struct Fault(Arc<Mutex<Vec<Duration>>>);
    impl Drop for Fault {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(test_util::elapsed().unwrap());
        }
    }
    let _clock = VirtualClock::start();
    let (clones, dropped) = (Arc::new(AtomicU32::new(0)), Arc::default());
    let its = Arc::clone(&dropped);
    let fails = (move |_: Argument| Err::<(), _>(Fault(Arc::clone(&its)))).blocking();
    for attempts in 1..=3 {
        clones.store(0, SeqCst);
        let policy = RetryPolicy::fixed(secs(1)).max_attempts(attempts);
        drop(fails.clone().retry_with(policy).call(Argument(Arc::clone(&clones))));
        assert_eq!(clones.load(SeqCst), attempts - 1);
    }
    assert_eq!(*dropped.lock().unwrap(), [0, 0, 1, 1, 2, 3].map(secs));
}

#[test]
fn a_refresh_in_the_background_goes_on_by_itself() {
    let clock = VirtualClock::start();
    let memo = Memo::builder().ttl(secs(10)).stale_while_revalidate(secs(60)).build();
    let calls = Arc::new(AtomicU32::new(0));
    let load = move |_: u8| {
        sleep(secs(5));
        calls.fetch_add(1, SeqCst)
    };
    let load = load.blocking().memoized(&memo).detached();
    assert_eq!((load.call(7), clock.elapsed()), (0, secs(5)));
    clock.advance(secs(10));
    assert_eq!((load.call(7), load.call(7), clock.elapsed()), (0, 0, secs(15))); // at once, though they are stale
    sleep(secs(6));
    assert_eq!((load.call(7), clock.elapsed()), (1, secs(21)));
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.refreshes, stats.stale_hits, stats.hits, stats.loading), (2, 1, 2, 3, 0));
}

#[test]
fn threads_share_the_error_of_the_load_that_they_waited_for() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u32> = Memo::ttl(secs(300));
    let calls = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (memo, calls) = (memo.clone(), Arc::clone(&calls));
            clock.spawn(move || {
                let load = move |_: u8| {
                    sleep(secs(1));
                    Err::<u32, _>(calls.fetch_add(1, SeqCst))
                };
                load.blocking().memoized(&memo).sharing_errors().call(7)
            })
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join() == Err(0)));
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.coalesced, clock.elapsed()), (1, 3, secs(1)));
}

#[test]
fn what_is_refused_is_not_called_however_it_is_called() {
    let mut calls = 0;
    let even = |n: &u32| if n % 2 == 0 { Ok(()) } else { Err("odd") };
    let refusal = Err(Error::InvalidArgument { message: "odd".into() });
    let count = |n: u32| -> Answer {
        calls += 1;
        Ok(n)
    };
    let mut count = count.blocking().validated(even);
    assert_eq!(count.call_mut((2,)), Ok(2));
    assert_eq!(count.call_mut((3,)), refusal);
    assert_eq!(count.call_once((3,)), refusal);
    assert_eq!(calls, 1);
}

#[test]
fn a_boxed_chain_shows_what_is_in_it() {
    let boxed = (|n: u32| Answer::Ok(n)).blocking().named("f").timeout(secs(1)).boxed();
    assert!(format!("{boxed:?}").ends_with(r#".blocking().named("f").timeout(1s).boxed()"#), "{boxed:?}");
    assert!(format!("{:?}", boxed.clone().timed("t")).ends_with(r#".timeout(1s).boxed().timed("t")"#));
    let memo: Memo<u32, u32> = Memo::ttl(secs(300));
    let memoized = boxed.memoized(&memo).sharing_errors().timed("t");
    assert!(format!("{memoized:?}").ends_with(r#".boxed().memoized(ttl 300s).sharing_errors().timed("t")"#));
}

#[test]
fn what_is_boxed_shared_or_memoized_can_be_called_once_and_by_one() {
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let fails = move || -> Answer {
        counted.fetch_add(1, SeqCst);
        Err(Error::QueueFull { waiting: 0 })
    };
    let clock = VirtualClock::start();
    let policy = RetryPolicy::fixed(secs(1));
    let boxed = fails.blocking().named("f").boxed();
    let shared = Arc::new(boxed.clone());
    assert!(boxed.clone().retry_with(&policy).run().is_err());
    assert_eq!((attempts.load(SeqCst), clock.elapsed()), (3, secs(2)));
    assert!(Arc::clone(&shared).retry_with(&policy).run().is_err());
    assert_eq!((attempts.load(SeqCst), clock.elapsed()), (6, secs(4)));
    let memo: Memo<u8, u32> = Memo::ttl(secs(300));
    assert!(boxed.clone().memoized_by(&memo, || 7).retry_with(&policy).run().is_err());
    assert_eq!((attempts.load(SeqCst), memo.stats().loads, clock.elapsed()), (9, 3, secs(6)));
    assert!(boxed.call_once(()).is_err() && shared.call_once(()).is_err());
    assert_eq!(attempts.load(SeqCst), 11);
}

/// Their timers are tokio's, so all else must be: a limiter that looked at the virtual clock would see no end of its wait.
#[tokio::test(start_paused = true)]
async fn a_task_on_a_thread_with_a_virtual_clock_goes_by_tokios() {
    let clock = VirtualClock::start();
    let begun = tokio::time::Instant::now();
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), secs(1));
    let failing = || std::future::ready(Err::<(), _>("no"));
    failing.rate_limited(&limiter).retry_with(RetryPolicy::fixed(secs(2)).deadline(secs(5))).call().await.unwrap_err();
    assert_eq!(begun.elapsed(), secs(1 + 1 + 2 + 2));
    let load = |n: u8| std::future::ready(n);
    let memo = Memo::ttl(secs(60));
    load.memoized(&memo).call(7).await;
    tokio::time::advance(secs(60)).await;
    load.memoized(&memo).call(7).await;
    assert_eq!((memo.stats().loads, clock.elapsed()), (2, Duration::ZERO));

    // What is done without waiting goes by the thread's.
    let other = RateLimiter::new(1, secs(1));
    assert_eq!((other.try_acquire(), other.available()), (Ok(()), 0));
    tokio::time::advance(secs(1)).await;
    assert_eq!(other.try_acquire(), Err(decor::Error::RateLimited { retry_after: secs(1) }));
    clock.advance(secs(1));
    assert_eq!((other.available(), other.try_acquire()), (1, Ok(())));
}

/// Also what does not wait, on handles that have seen no time before.
#[test]
fn what_a_thread_does_without_waiting_goes_by_its_virtual_clock() {
    let clock = VirtualClock::start();
    let limiter = || RateLimiter::new(1, secs(1));
    let (charged, paused) = (limiter(), limiter());
    let memo: Memo<u8, u8> = Memo::ttl(secs(60));
    let keyed: decor::KeyedLimiter<u32> = decor::KeyedLimiter::new(1, secs(1));
    let ask_for = |keys: std::ops::Range<u32>| keys.for_each(|key| keyed.for_key(&key).try_acquire().unwrap());
    ask_for(0..1_000);
    clock.advance(secs(3_600));

    charged.charge(1);
    assert_eq!(charged.available(), 0);
    paused.pause_for(secs(2));
    assert_eq!(paused.try_acquire(), Err(decor::Error::RateLimited { retry_after: secs(2) }));
    memo.insert(7, 49);
    assert_eq!(memo.get(&7), Some(49));
    ask_for(1_000..2_000);
    assert!(keyed.len() < 1_500, "{} keys, though those of an hour ago are idle", keyed.len());

    clock.advance(secs(60));
    assert_eq!((charged.available(), paused.try_acquire(), memo.get(&7)), (1, Ok(()), None));
}

/// Tokio's clock stands still and is then an hour ahead; nothing that a thread measures or waits for depends on it.
#[tokio::test(start_paused = true)]
async fn threads_do_not_look_at_a_clock_that_is_paused_and_moved() {
    let hour = secs(3600);
    let expires = || {
        let memo: Memo<u8, u32> = Memo::ttl(ms(10));
        let load = |n: u8| {
            thread::sleep(ms(1));
            u32::from(n)
        };
        let load = load.blocking().memoized(&memo);
        load.call(7);
        thread::sleep(ms(10));
        load.call(7);
        assert_eq!(memo.stats().loads, 2, "it was good for 10 ms of real time");
        assert!(memo.stats().total_load_time >= ms(2));
    };
    let memo: Memo<u8, u32> = Memo::ttl(secs(600));
    let loads = Arc::new(AtomicU32::new(0));
    let stale: Memo<u8, u32> = Memo::builder().ttl(Duration::from_nanos(1)).stale_while_revalidate(secs(600)).build();
    let refreshed = (|n: u8| u32::from(n)).blocking().memoized(&stale).detached();
    let load = {
        let (memo, loads) = (memo.clone(), Arc::clone(&loads));
        move || (move |_: u8| loads.fetch_add(1, SeqCst)).blocking().memoized(&memo).call(7)
    };
    let period = ms(30);
    let limiter = RateLimiter::new(1, period);
    let (first_load, its, first) = (load.clone(), limiter.clone(), refreshed.clone());
    let before = tokio::task::spawn_blocking(move || {
        let before = Instant::now();
        its.acquire_blocking();
        first_load();
        first.call(7);
        expires(); // though tokio's clock stands still
        before
    });
    let before = before.await.unwrap();
    tokio::time::advance(hour).await;
    let after = tokio::task::spawn_blocking(move || {
        let log = listen();
        limiter.acquire_blocking();
        assert!(before.elapsed() >= period, "the window was measured by tokio's clock");
        assert_eq!(load(), 0, "it was good for 10 minutes of real time");

        expires(); // though it was made an hour ahead
        let limiter = RateLimiter::new(1, period);
        (0..2).for_each(|_| limiter.acquire_blocking()); // nor is that waited for
        refreshed.call(7);
        let stats = stale.stats();
        assert_eq!((stats.misses, stats.stale_hits), (1, 1), "it is stale, and has not expired");

        sleep(ms(1));
        let (_open, never) = mpsc::channel::<Answer>();
        let hang = move || never.recv().unwrap();
        assert!(hang.blocking().timeout(ms(5)).run().is_err());

        let measured = Mutex::new(None);
        let measured = Arc::new(measured);
        let sink = Arc::clone(&measured);
        let fails = || {
            thread::sleep(ms(20));
            Err::<(), _>("busy")
        };
        let timing = Timing::new("f").to(move |m| *sink.lock().unwrap() = Some(m.elapsed));
        fails.blocking().logged().timed_with(timing).run().unwrap_err();
        assert!(measured.lock().unwrap().unwrap() >= ms(20));
        let lines = log.take();
        assert!(!lines[1].contains("0.00s"), "{lines:?}");

        let explained = fails.blocking().retry_with(RetryPolicy::fixed(ms(1))).explained().run().unwrap_err();
        assert!(explained.elapsed() >= ms(60) && explained.elapsed() < hour / 2, "{explained:?}");
    });
    after.await.unwrap();
    assert_eq!(loads.load(SeqCst), 1);
}

// ---- the virtual clock ----

#[test]
fn who_waits_for_a_moment_that_comes_by_an_advance_goes_on() {
    let clock = VirtualClock::start();
    let (tell, told) = mpsc::channel();
    let thread = clock.spawn(move || {
        sleep(secs(10));
        tell.send(()).unwrap();
    });
    sleep(secs(1)); // so it waits
    clock.advance(secs(9));
    told.recv_timeout(secs(60)).unwrap(); // this thread does not wait in decor meanwhile
    thread.join();
    assert_eq!(clock.elapsed(), secs(10));
}

#[test]
fn time_does_not_go_back_to_a_limit_that_has_passed() {
    let clock = VirtualClock::start();
    let slow = || -> Answer {
        sleep(secs(60));
        Ok(1)
    };
    let thread = clock.spawn(move || slow.blocking().timeout(secs(1)).run());
    sleep(ms(500)); // so it waits
    clock.advance(secs(5));
    assert!(thread.join().is_err());
    assert_eq!(clock.elapsed(), ms(5_500));
}

#[test]
fn a_clock_in_place_of_another_is_the_threads() {
    let mut clock = VirtualClock::start();
    clock.advance(secs(1));
    clock = VirtualClock::start(); // the first is dropped after the second has begun
    sleep(secs(5));
    assert_eq!((clock.elapsed(), test_util::elapsed()), (secs(5), Some(secs(5))));
    let inner = VirtualClock::start();
    sleep(secs(1));
    assert_eq!((clock.elapsed(), inner.elapsed()), (secs(5), secs(1)));
    drop(inner);
    assert_eq!(test_util::elapsed(), Some(secs(5)));
    drop(clock);
    assert_eq!(test_util::elapsed(), None);
}

#[test]
fn a_clock_has_as_many_threads_as_it_takes() {
    let clock = VirtualClock::start();
    assert_eq!(format!("{clock:?} {:?}", clock.spawn(|| ())), "VirtualClock { elapsed: 0ns, .. } VirtualThread");
    let limiter = RateLimiter::new(100, secs(1));
    let threads: Vec<_> = (0..600)
        .map(|_| {
            let limiter = limiter.clone();
            clock.spawn(move || limiter.acquire_blocking())
        })
        .collect();
    threads.into_iter().for_each(VirtualThread::join);
    assert_eq!((clock.elapsed(), limiter.stats().admitted), (secs(5), 600));
}

#[test]
#[should_panic(expected = "beyond what the clock can express")]
fn a_clock_does_not_go_further_than_it_can_tell() {
    VirtualClock::start().advance(Duration::MAX);
}

/// What is waited for would be done by the thread that waits, and no time passes that would end it.
#[tokio::test]
async fn under_a_clock_a_wait_for_a_task_of_a_current_thread_runtime_says_so_as_well() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leads = tokio_test::task::spawn(memo.get_or_load(7, std::future::pending::<u8>));
    assert!(leads.poll().is_pending());
    let waits = (|_: u8| 1_u8).blocking().memoized(&memo);
    assert!(catch_unwind(AssertUnwindSafe(|| waits.call(7))).is_err());
    sleep(secs(1)); // time still passes
    assert_eq!(clock.elapsed(), secs(1));
}

// ---- in a runtime ----

/// A thread that waits there would stop everything that it waits for.
#[tokio::test]
async fn a_wait_in_a_task_of_a_current_thread_runtime_says_so() {
    let limiter = RateLimiter::new(1, secs(3600));
    limiter.acquire_blocking(); // does not wait
    let panic = catch_unwind(AssertUnwindSafe(|| limiter.acquire_blocking())).unwrap_err();
    let message = *panic.downcast::<&str>().unwrap();
    assert!(message.starts_with("a blocking call would have to wait here, and so stop the runtime"), "{message}");
    assert!(message.ends_with("call it in `tokio::task::spawn_blocking`"), "{message}");
    assert_eq!(limiter.waiting(), 0);

    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leads = tokio_test::task::spawn(memo.get_or_load(7, std::future::pending::<u8>));
    assert!(leads.poll().is_pending());
    let waits = (|_: u8| 1_u8).blocking().memoized(&memo);
    assert!(catch_unwind(AssertUnwindSafe(|| waits.call(7))).is_err());
    drop(leads);
    assert_eq!(waits.call(7), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wait_in_a_task_of_a_runtime_with_threads_lets_the_others_go_on() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let (go, stop) = tokio::sync::oneshot::channel();
    let leads = tokio::spawn(memo.get_or_load(7, move || async move { stop.await.unwrap() }));
    while memo.stats().loading == 0 {
        tokio::task::yield_now().await;
    }
    let (waits, other) = (memo.clone(), memo.clone());
    let waits = tokio::spawn(async move { (|_: u8| 0_u8).blocking().memoized(&waits).call(7) });
    let goes_on = tokio::spawn(async move {
        while other.stats().coalesced == 0 {
            tokio::task::yield_now().await;
        }
        go.send(49).unwrap();
    });
    assert_eq!((waits.await.unwrap(), leads.await.unwrap()), (49, 49));
    goes_on.await.unwrap();
}

/// Where time stands still for tasks, a thread waits in real time, and comes to the end of its wait.
#[tokio::test(start_paused = true)]
async fn a_wait_beside_a_paused_clock_is_a_real_one_and_ends() {
    let limiter = RateLimiter::new(1, ms(20));
    let waits = limiter.clone();
    let (took, error) = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        waits.acquire_blocking();
        waits.acquire_blocking();
        let failing = (|| Err::<(), _>("busy")).blocking().retry_with(RetryPolicy::fixed(ms(10)));
        (begun.elapsed(), failing.call())
    })
    .await
    .unwrap();
    assert!(took >= ms(20), "{took:?}");
    assert_eq!(error, Err("busy"));
}

// ---- one handle for threads and tasks ----

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_and_tasks_share_a_limiter_and_are_admitted_in_turn() {
    const EACH: usize = 2_500;
    const LIMIT: usize = 200;
    let period = ms(10);
    let limiter = RateLimiter::new(200, period);
    let begun = Instant::now();
    let admitted = Arc::new(Mutex::new(Vec::with_capacity(8 * EACH)));
    let admit = |kind: usize| {
        let (limiter, admitted) = (limiter.clone(), Arc::clone(&admitted));
        move || (limiter.clone(), Arc::clone(&admitted), kind)
    };
    let mut threads = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..4 {
        let (limiter, admitted, kind) = admit(caller)();
        threads.push(thread::spawn(move || {
            let take =
                (move || admitted.lock().unwrap().push((Instant::now(), kind))).blocking().rate_limited(&limiter);
            (0..EACH).for_each(|_| take.call());
        }));
        let (limiter, admitted, kind) = admit(4 + caller)();
        tasks.spawn(async move {
            let take = move || {
                let admitted = Arc::clone(&admitted);
                async move { admitted.lock().unwrap().push((Instant::now(), kind)) }
            };
            let take = take.rate_limited(&limiter);
            for _ in 0..EACH {
                take.call().await;
            }
        });
    }
    tasks.join_all().await;
    tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| thread.join().unwrap())).await.unwrap();
    assert_eq!(limiter.stats().admitted, 8 * EACH as u64);
    assert_eq!(limiter.waiting(), 0);

    let mut admitted = admitted.lock().unwrap().clone();
    admitted.sort_unstable();
    // An admission is seen when it was made, or later: one window that was broken would shift all after it before their time.
    let broken =
        (0_u32..).zip(admitted.chunks(LIMIT)).filter(|(windows, chunk)| chunk[0].0 < begun + period * *windows);
    assert_eq!(broken.count(), 0);
    // In turn: while all are there, each gets about an eighth of any stretch, or less if the system leaves it aside for a while.
    let middle = &admitted[2_000..10_000];
    let mut shares = BTreeMap::new();
    for (_, kind) in middle {
        *shares.entry(kind).or_insert(0_u32) += 1;
    }
    assert_eq!(shares.len(), 8);
    assert!(shares.values().all(|share| *share >= 50), "{shares:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_and_tasks_load_a_cold_key_once() {
    for round in 0..50_u32 {
        let memo: Memo<u32, u32> = Memo::ttl(secs(300));
        let calls = Arc::new(AtomicU32::new(0));
        let mut threads = Vec::new();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (memo, calls) = (memo.clone(), Arc::clone(&calls));
            let its_calls = Arc::clone(&calls);
            let its_memo = memo.clone();
            threads.push(thread::spawn(move || {
                let load = move |n: u32| {
                    calls.fetch_add(1, SeqCst);
                    thread::yield_now();
                    n * 2
                };
                load.blocking().memoized(&memo).call(round)
            }));
            tasks.spawn(async move {
                let load = move |n: u32| {
                    its_calls.fetch_add(1, SeqCst);
                    async move {
                        tokio::task::yield_now().await;
                        n * 2
                    }
                };
                load.memoized(&its_memo).call(round).await
            });
        }
        let mut answers = tasks.join_all().await;
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>());
        answers.extend(joined.await.unwrap());
        assert_eq!(answers, [round * 2; 8]);
        let stats = memo.stats();
        assert_eq!((calls.load(SeqCst), stats.loads, stats.calls()), (1, 1, 8));
    }
}

#[test]
fn a_thread_that_panics_while_it_loads_hands_over() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u32> = Memo::ttl(secs(300));
    let calls = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (memo, calls) = (memo.clone(), Arc::clone(&calls));
            clock.spawn(move || {
                let load = move |_: u8| {
                    let call = calls.fetch_add(1, SeqCst);
                    sleep(secs(1));
                    assert!(call > 0, "boom");
                    call
                };
                catch_unwind(AssertUnwindSafe(|| load.blocking().memoized(&memo).call(7))).ok()
            })
        })
        .collect();
    let mut answers: Vec<_> = threads.into_iter().map(VirtualThread::join).collect();
    answers.sort_unstable();
    assert_eq!(answers, [None, Some(1), Some(1), Some(1)]);
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.misses, stats.coalesced, clock.elapsed()), (2, 1, 3, secs(2)));
}

#[test]
fn a_call_to_itself_says_so_instead_of_hanging() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let inner = memo.clone();
    let itself = move |n: u8| (|_: u8| 1_u8).blocking().memoized(&inner).call(n);
    let panic = catch_unwind(AssertUnwindSafe(|| itself.blocking().memoized(&memo).call(7))).unwrap_err();
    assert!(panic.downcast::<&str>().unwrap().contains("called itself with the same key"));
    assert_eq!(memo.stats().loading, 0);
}

// ---- retry ----

#[test]
fn a_retry_is_asked_once_about_each_result() {
    let asked = RefCell::new(Vec::new());
    let statuses = RefCell::new(vec![200, 503, 503]);
    let fetch = || Ok::<_, Error>(statuses.borrow_mut().pop().unwrap());
    let retried = fetch.blocking().retry_with(RetryPolicy::fixed(Duration::ZERO)).when_result(|r| {
        asked.borrow_mut().push(r.clone().ok());
        *r != Ok(200)
    });
    assert_eq!(retried.call_once(()), Ok(200));
    assert_eq!(*asked.borrow(), [Some(503), Some(503), Some(200)]);
}

// ---- a callable of one's own ----

#[derive(Clone)]
struct Flaky(u32);

impl blocking::CallableOnce<(u32,)> for Flaky {
    type Output = Result<u32, String>;

    fn call_once(mut self, args: (u32,)) -> Self::Output {
        self.call_mut(args)
    }
}

impl blocking::CallableMut<(u32,)> for Flaky {
    fn call_mut(&mut self, (n,): (u32,)) -> Self::Output {
        self.0 += 1;
        if self.0 < 3 { Err("busy".to_owned()) } else { Ok(n) }
    }
}

#[test]
fn a_callable_of_ones_own_is_decorated_like_a_function() {
    let clock = VirtualClock::start();
    let flaky = Flaky(0).retry_with(RetryPolicy::fixed(secs(1)));
    assert_eq!(format!("{flaky:?}"), "Flaky.retry_with(fixed 1s, no jitter, 3 attempts)");
    assert_eq!(flaky.call_once((7,)), Ok(7));
    assert_eq!(clock.elapsed(), secs(2));
}
