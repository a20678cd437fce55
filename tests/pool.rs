//! What becomes of bounded calls when all threads are in use. In a process of its own: the threads are shared by all that runs in one.

use decor::{Error, prelude::*};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

type Answer = Result<u32, Error>;

const SECOND: Duration = Duration::from_secs(1);

/// Calls that wait for their turn hold all threads, and each that is admitted needs one more for the timeout within.
fn timeouts_within_timeouts_do_not_wait_for_each_others_threads() {
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

/// It waited for a thread for as long as it had.
fn a_call_whose_turn_comes_too_late_is_not_made() {
    let (release, held) = mpsc::channel::<()>();
    let (held, holding) = (Arc::new(Mutex::new(held)), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&holding);
    let holds = move || -> Answer {
        counted.fetch_add(1, SeqCst);
        let _ = held.lock().unwrap().recv();
        Ok(0)
    };
    let holds = holds.blocking().timeout(600 * SECOND);
    let holders: Vec<_> = (0..512)
        .map(|_| {
            let holds = holds.clone();
            thread::spawn(move || holds.call())
        })
        .collect();
    while holding.load(SeqCst) < 512 {
        thread::yield_now();
    }
    let made = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&made);
    let late = (move || Answer::Ok(counted.fetch_add(1, SeqCst))).blocking().named("late").timeout(SECOND / 20);
    assert_eq!(late.call(), Err(Error::TimedOut { name: "late", after: SECOND / 20 }));
    drop(release);
    for holder in holders {
        assert_eq!(holder.join().unwrap(), Ok(0));
    }
    // One that came after it has been made, so its turn has been, and nobody waited for it any more.
    assert_eq!((|| Answer::Ok(7)).blocking().timeout(600 * SECOND).call(), Ok(7));
    assert_eq!(made.load(SeqCst), 0);
}

/// While all places are taken each call gets a thread for the timeout within; and one
/// that was there for such does not take a call of its own in addition to those that have places.
fn no_more_calls_run_at_once_than_there_are_places() {
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

/// What hangs in the operating system, until it is released, and how many do.
struct Hanging {
    release: mpsc::Sender<()>,
    held: Arc<Mutex<mpsc::Receiver<()>>>,
    count: Arc<AtomicU32>,
}

impl Hanging {
    fn new() -> Self {
        let (release, held) = mpsc::channel();
        Self { release, held: Arc::new(Mutex::new(held)), count: Arc::default() }
    }

    fn hang(&self) -> impl Fn() + Clone + Send + Sync + use<> {
        let (held, count) = (Arc::clone(&self.held), Arc::clone(&self.count));
        move || {
            count.fetch_add(1, SeqCst);
            let _ = held.lock().unwrap().recv();
            count.fetch_sub(1, SeqCst);
        }
    }

    /// Releases them, and waits until the last has ended: with all places free again.
    fn release(self) -> u32 {
        let count = self.count.load(SeqCst);
        drop(self.release);
        while self.count.load(SeqCst) > 0 {
            thread::yield_now();
        }
        count
    }
}

/// Each attempt that hangs is left, and keeps its thread.
fn attempts_that_hang_within_a_limit_do_not_pile_up() {
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
    // With so many left behind a call is not even begun. (Those of the last one may have exceeded it by as many as it makes.)
    let before = hanging.count.load(SeqCst);
    assert!(bounded.call().is_err());
    assert_eq!(hanging.count.load(SeqCst), before);
    assert!((512..512 + 60).contains(&hanging.release()), "{before}");
}

/// One that makes calls without end, each of which hangs.
fn not_even_within_one_call_without_end() {
    let hanging = Hanging::new();
    let hang = hanging.hang();
    let attempt = move || -> Answer {
        hang();
        Ok(1)
    };
    let at_once = RetryPolicy::fixed(Duration::ZERO).max_attempts(u32::MAX);
    let bounded = attempt.blocking().timeout(SECOND / 1_000).retry_with(at_once).timeout(2 * SECOND);
    assert!(bounded.call().is_err());
    assert!(hanging.release() <= 1024);
}

/// Nobody waits for a refresh, on whatever thread it was begun.
fn refreshes_take_places() {
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
    while hanging.count.load(SeqCst) < 512 {
        thread::yield_now();
    }
    thread::sleep(SECOND / 20);
    assert_eq!(hanging.release(), 512);
    while memo.stats().loading > 0 {
        thread::yield_now();
    }
    assert_eq!(memo.stats().loads, 2_000);
}

#[test]
fn one_after_the_other() {
    timeouts_within_timeouts_do_not_wait_for_each_others_threads();
    a_call_whose_turn_comes_too_late_is_not_made();
    no_more_calls_run_at_once_than_there_are_places();
    attempts_that_hang_within_a_limit_do_not_pile_up();
    not_even_within_one_call_without_end();
    refreshes_take_places();
}
