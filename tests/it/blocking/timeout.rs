//! `timeout` of a sync function: no decor work begins after the limit, and an abandoned call ends
//! on its own.

use super::Answer;
use crate::support::{listen, ms, secs};
use decor::{
    Error, Memo, Outcome, Timing,
    prelude::*,
    test_util::{VirtualClock, sleep},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    thread::{self, ThreadId},
    time::Duration,
};

/// A limit in real time, in which the thread of a call begins on a busy machine too.
const BEGUN_BY_THEN: Duration = ms(250);

/// Regression: an abandoned retry once made 30 attempts, and an abandoned wait took a permit and
/// called the function.
#[test]
fn nothing_begins_after_a_timeout() {
    let clock = VirtualClock::start();
    let attempts = Arc::new(AtomicU32::new(0));
    let fails = {
        let attempts = Arc::clone(&attempts);
        move || {
            attempts.fetch_add(1, SeqCst);
            sleep(ms(60));
            Err::<u32, _>(Error::QueueFull { waiting: 0 })
        }
    };
    let policy = RetryPolicy::fixed(ms(40)).max_attempts(30);
    let bounded = fails.clone().blocking().named("f").retry_with(&policy).timeout(ms(250)); // in attempt 3
    assert_eq!(bounded.call(), Err(Error::TimedOut { name: "f".into(), after: ms(250), label: None }));
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
fn nested_timeouts_end_the_calls_within_them() {
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
    assert_eq!(bounded.call(), Err(Error::TimedOut { name: "f".into(), after: ms(2_500), label: None }));
    assert_eq!((clock.elapsed(), attempts.load(SeqCst)), (ms(2_500), 3));
    sleep(secs(60));
    assert_eq!(attempts.load(SeqCst), 3);
}

#[test]
fn an_abandoned_call_runs_on_and_is_reported_as_cancelled() {
    let _clock = VirtualClock::start();
    let (ended, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (its_end, sink) = (Arc::clone(&ended), Arc::clone(&seen));
    // The function does not wait in decor, so it is not unwound.
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
    .timed_with(Timing::new("waits").record_to(move |m| sink.lock().unwrap().push(m.outcome)))
    .timeout(secs(1));
    assert!(waits.call().is_err());
    let left = thread::spawn(move || run.blocking().timeout(BEGUN_BY_THEN).run());
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
fn a_panic_within_a_timeout_becomes_the_callers_panic() {
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
    assert_eq!(log.take(), ["DEBUG calling f", "INFO f returned in 0ns"]);
    let (its_thread, its_span) = seen.lock().unwrap().take().unwrap();
    assert_ne!(its_thread, thread::current().id());
    assert!(its_span.is_some());
    assert_eq!(its_span, span.id());
}

#[test]
fn a_limit_of_zero_calls_nothing_and_an_unbounded_one_needs_no_thread() {
    let this = thread::current().id();
    let here = move || -> Answer { Ok(u32::from(thread::current().id() == this)) };
    let called = here.blocking().named("f");
    assert_eq!(
        called.clone().timeout(Duration::ZERO).call(),
        Err(Error::TimedOut { name: "f".into(), after: Duration::ZERO, label: None })
    );
    assert_eq!(called.clone().timeout(Duration::MAX).call(), Ok(1));
    assert_eq!(called.timeout(secs(60)).call(), Ok(0));
}

/// A limit of zero uses no other thread: the function is dropped on the caller's.
#[test]
fn a_limit_of_zero_drops_the_function_on_the_callers_thread() {
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

/// The call and its limit end at the same moment, and the call counts as first.
#[test]
fn a_call_that_ends_exactly_at_its_limit_is_always_in_time() {
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

/// Work that needs no wait: an attempt without delay, a permit that is free.
#[test]
fn no_immediate_work_begins_after_a_timeout() {
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
    let timing = Timing::new("again").record_to(move |m| tell_again.send(m.outcome).unwrap());
    assert!(again.timed_with(timing).timeout(BEGUN_BY_THEN).run().is_err());
    leave.send(()).unwrap();
    assert_eq!((told.recv().unwrap(), attempts.load(SeqCst)), (Outcome::Cancelled, 1));

    let (leave, left) = mpsc::channel::<()>();
    let takes = move || -> Answer {
        left.recv().unwrap();
        its_limiter.acquire_blocking();
        Ok(1)
    };
    let tell_again = tell.clone();
    let timing = Timing::new("takes").record_to(move |m| tell_again.send(m.outcome).unwrap());
    assert!(takes.blocking().timed_with(timing).timeout(BEGUN_BY_THEN).run().is_err());
    leave.send(()).unwrap();
    assert_eq!((told.recv().unwrap(), limiter.stats().admitted), (Outcome::Cancelled, 0));

    let (leave, left) = mpsc::channel::<()>();
    let memo: Memo<u8, u32> = Memo::ttl(secs(60));
    let its_memo = memo.clone();
    let loads = move || -> Answer {
        left.recv().unwrap();
        Ok((|_: u8| 49).blocking().memoized(&its_memo).call(7))
    };
    let timing = Timing::new("loads").record_to(move |m| tell.send(m.outcome).unwrap());
    assert!(loads.blocking().timed_with(timing).timeout(BEGUN_BY_THEN).run().is_err());
    leave.send(()).unwrap();
    assert_eq!((told.recv().unwrap(), memo.get(&7)), (Outcome::Cancelled, None));
    assert_eq!((memo.stats().loads, memo.stats().loads_abandoned), (1, 1));
}
