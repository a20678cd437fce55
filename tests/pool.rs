//! Calls with a timeout while all slots of the pool are taken. These tests have a process of their
//! own, because all calls of a process share the pool.

use decor::{
    Error, Outcome, Timing,
    prelude::*,
    test_util::{VirtualClock, sleep},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    thread::{self, JoinHandle, ThreadId},
    time::Duration,
};

type Answer = Result<u32, Error>;

const SECOND: Duration = Duration::from_secs(1);
/// A limit in real time, in which the thread of a call begins on a busy machine too.
const BEGUN_BY_THEN: Duration = Duration::from_millis(250);

/// Serializes the tests, because they share the pool of the process.
fn alone() -> MutexGuard<'static, ()> {
    static SERIAL: Mutex<()> = Mutex::new(());
    SERIAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls that hang in the operating system until they are released.
struct Hanging {
    release: mpsc::Sender<()>,
    held: Arc<Mutex<mpsc::Receiver<()>>>,
    count: Arc<AtomicU32>,
    callers: Vec<JoinHandle<Answer>>,
}

impl Hanging {
    fn new() -> Self {
        let (release, held) = mpsc::channel();
        Self { release, held: Arc::new(Mutex::new(held)), count: Arc::default(), callers: Vec::new() }
    }

    /// Takes all slots.
    fn in_all_slots() -> Self {
        Self::in_slots(512)
    }

    fn in_slots(number: u32) -> Self {
        let mut hanging = Self::new();
        let hang = hanging.hang();
        let hang = move || {
            hang();
            Answer::Ok(0)
        };
        let hang = hang.blocking().timeout(600 * SECOND);
        let call = |_| {
            let hang = hang.clone();
            thread::spawn(move || hang.call())
        };
        hanging.callers = (0..number).map(call).collect();
        hanging.wait_for(number);
        hanging
    }

    fn hang(&self) -> impl Fn() + Clone + Send + Sync + use<> {
        let (held, count) = (Arc::clone(&self.held), Arc::clone(&self.count));
        move || {
            count.fetch_add(1, SeqCst);
            let _ = held.lock().unwrap().recv();
            count.fetch_sub(1, SeqCst);
        }
    }

    fn wait_for(&self, count: u32) {
        while self.count.load(SeqCst) != count {
            thread::yield_now();
        }
    }

    /// Releases the calls, waits until the last has ended, and returns their number.
    fn release(mut self) -> u32 {
        let count = self.count.load(SeqCst);
        drop(std::mem::replace(&mut self.release, mpsc::channel().0));
        self.wait_for(0);
        for caller in self.callers {
            assert_eq!(caller.join().unwrap(), Ok(0));
        }
        count
    }
}

/// Calls that wait for a permit hold all slots. Each call that is admitted needs a thread for the
/// timeout within.
#[test]
fn timeouts_within_timeouts_do_not_wait_for_each_other() {
    let _alone = alone();
    let limiter = RateLimiter::new(400, SECOND);
    let bounded = (|n: u32| Answer::Ok(n)).blocking().timeout(30 * SECOND).rate_limited(&limiter).timeout(60 * SECOND);
    let callers: Vec<_> = (0..700)
        .map(|n| {
            let bounded = bounded.clone();
            thread::spawn(move || bounded.call(n))
        })
        .collect();
    for (n, caller) in (0..).zip(callers) {
        assert_eq!(caller.join().unwrap(), Ok(n));
    }
}

#[test]
fn a_call_that_times_out_before_it_begins_is_not_made() {
    let _alone = alone();
    let hanging = Hanging::in_all_slots();
    let made = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&made);
    let late = (move || Answer::Ok(counted.fetch_add(1, SeqCst))).blocking().named("late").timeout(SECOND / 20);
    assert_eq!(late.call(), Err(Error::TimedOut { name: "late".into(), after: SECOND / 20, label: None }));
    assert_eq!(hanging.release(), 512);
    // Queued calls begin in order, and this one came later.
    assert_eq!((|| Answer::Ok(7)).blocking().timeout(600 * SECOND).call(), Ok(7));
    assert_eq!(made.load(SeqCst), 0);
}

/// An argument that records the thread that drops it.
struct Argument(Arc<Mutex<Vec<ThreadId>>>);

impl Drop for Argument {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

/// Regression: the queue once kept every such call with its arguments, and each further call looked
/// at all of them. The first took 15 µs, the 40,000th 438 µs.
#[test]
fn calls_that_time_out_in_the_queue_are_dropped_with_their_arguments() {
    let _alone = alone();
    let hanging = Hanging::in_all_slots();
    let dropped = Arc::default();
    let late = (|_: Argument| Answer::Ok(1)).blocking().timeout(Duration::from_nanos(1));
    for _ in 0..40_000 {
        assert!(late.call(Argument(Arc::clone(&dropped))).is_err());
        assert_eq!(std::mem::take(&mut *dropped.lock().unwrap()), [thread::current().id()]);
    }
    assert_eq!(hanging.release(), 512);
}

/// Regression: the clock once counted a queued call as running. Time stood still, and no limit
/// passed.
#[test]
fn a_limit_passes_in_virtual_time_while_a_call_is_queued() {
    let _alone = alone();
    let clock = VirtualClock::start();
    let slow = |seconds: u32| {
        sleep(seconds * SECOND);
        Answer::Ok(seconds)
    };
    let slow = slow.blocking().named("slow");
    let call = |limit| {
        let bounded = slow.clone().timeout(limit);
        clock.spawn(move || bounded.call(100))
    };
    let callers: Vec<_> = (0..511).map(|_| call(600 * SECOND)).collect();
    let impatient = call(5 * SECOND);
    sleep(SECOND); // all of them have begun then
    let refused = Err(Error::TimedOut { name: "slow".into(), after: SECOND, label: None });
    assert_eq!((slow.clone().timeout(SECOND).call(100), clock.elapsed()), (refused, 2 * SECOND));
    // A call that takes over a slot begins at the moment at which the previous call ends.
    assert_eq!((slow.clone().timeout(60 * SECOND).call(10), clock.elapsed()), (Ok(10), 15 * SECOND));
    assert!(impatient.join().is_err());
    assert!(callers.into_iter().all(|caller| caller.join() == Ok(100)));
    assert_eq!(clock.elapsed(), 100 * SECOND);
}

/// While all slots are taken, each call gets a thread for the timeout within. Once such a thread is
/// free, it does not begin a further call beyond the limit.
#[test]
fn no_more_calls_run_at_once_than_there_are_slots() {
    let _alone = alone();
    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let its_most = Arc::clone(&most);
    let within = (|| Answer::Ok(0)).blocking().timeout(60 * SECOND);
    let memo: Memo<u32, u32> = Memo::ttl(600 * SECOND);
    let load = (|n: u32| n).blocking().memoized(&memo).detached();
    let outer = move |n: u32| {
        its_most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
        while its_most.load(SeqCst) < 512 {
            thread::yield_now();
        }
        within.call()?;
        load.call(n);
        thread::sleep(SECOND / 20);
        running.fetch_sub(1, SeqCst);
        Answer::Ok(n)
    };
    let outer = outer.blocking().timeout(60 * SECOND);
    let callers: Vec<_> = (0..1_500)
        .map(|n| {
            let outer = outer.clone();
            thread::spawn(move || outer.call(n))
        })
        .collect();
    for (n, caller) in (0..).zip(callers) {
        assert_eq!(caller.join().unwrap(), Ok(n));
    }
    assert_eq!(most.load(SeqCst), 512);
}

/// Each attempt that hangs is abandoned, and keeps its thread.
#[test]
fn hanging_attempts_of_many_calls_stay_within_the_limit() {
    let _alone = alone();
    let hanging = Hanging::new();
    let hang = hanging.hang();
    let attempt = move || -> Answer {
        hang();
        Ok(1)
    };
    let at_once = RetryPolicy::fixed(Duration::ZERO).max_attempts(60);
    let bounded = attempt.blocking().timeout(SECOND / 200).retry_with(at_once).timeout(SECOND);
    for _ in 0..40 {
        assert!(bounded.call().is_err());
        if hanging.count.load(SeqCst) >= 512 {
            break;
        }
    }
    // With this many abandoned attempts, no further call begins. The last call to begin may exceed
    // the 512 slots by the number of its attempts.
    let before = hanging.count.load(SeqCst);
    assert!(bounded.call().is_err());
    assert_eq!(hanging.count.load(SeqCst), before);
    assert!((512..512 + 60).contains(&hanging.release()), "{before}");
}

#[test]
fn endless_hanging_attempts_of_one_call_stay_within_the_limit() {
    let _alone = alone();
    let hanging = Hanging::new();
    let hang = hanging.hang();
    let attempt = move || -> Answer {
        hang();
        Ok(1)
    };
    let at_once = RetryPolicy::fixed(Duration::ZERO).max_attempts(u32::MAX);
    let bounded = attempt.blocking().timeout(SECOND / 1_000).retry_with(at_once).timeout(3 * SECOND);
    assert!(bounded.call().is_err());
    // An attempt that waits for a thread in vain is dropped.
    let kept = Arc::strong_count(&hanging.count);
    let count = hanging.release();
    assert!(count <= 1024 && kept <= count as usize + 8, "{kept} arguments are kept, but only {count} attempts hang");
}

/// No caller waits for a refresh, even if a pool thread began it.
#[test]
fn refreshes_take_slots() {
    let _alone = alone();
    let hanging = Hanging::new();
    let memo: Memo<u32, u32> = Memo::builder().ttl(SECOND / 1_000).stale_while_revalidate(600 * SECOND).build();
    (0..2_000).for_each(|n| memo.insert(n, n));
    thread::sleep(SECOND / 100);
    let hang = hanging.hang();
    let load = move |n: u32| {
        hang();
        n
    };
    let load = load.blocking().memoized(&memo).detached();
    let all = move || Answer::Ok((0..2_000).map(|n| load.call(n)).sum());
    assert_eq!(all.blocking().timeout(60 * SECOND).call(), Ok(1_999_000));
    hanging.wait_for(512);
    thread::sleep(SECOND / 20);
    assert_eq!(hanging.release(), 512);
    while memo.stats().loading > 0 {
        thread::yield_now();
    }
    assert_eq!(memo.stats().loads, 2_000);
}

/// An unwinding marks only its own call, even if its payload is never dropped.
#[test]
fn a_kept_unwinding_does_not_mark_later_calls_of_its_thread() {
    let _alone = alone();
    // The slot that is left has one thread, which gets both jobs.
    let hanging = Hanging::in_slots(511);
    let (tell, told) = mpsc::channel();
    let keeps = move || {
        std::mem::forget(catch_unwind(|| sleep(60 * SECOND)));
        tell.send(thread::current().id()).unwrap();
        Answer::Ok(1)
    };
    assert!(keeps.blocking().timeout(BEGUN_BY_THEN).run().is_err());
    let marked = told.recv().unwrap();
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&outcomes);
    let explode = || -> Answer { std::panic::panic_any(thread::current().id()) };
    let timing = Timing::new("explode").record_to(move |measured| sink.lock().unwrap().push(measured.outcome));
    let explode = explode.blocking().timed_with(timing).timeout(600 * SECOND);
    let panic = catch_unwind(AssertUnwindSafe(|| explode.call())).unwrap_err();
    assert_eq!(*panic.downcast::<ThreadId>().unwrap(), marked);
    assert_eq!(*outcomes.lock().unwrap(), [Outcome::Panicked]);
    assert_eq!(hanging.release(), 511);
}
