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

#[test]
fn one_after_the_other() {
    timeouts_within_timeouts_do_not_wait_for_each_others_threads();
    a_call_whose_turn_comes_too_late_is_not_made();
}
