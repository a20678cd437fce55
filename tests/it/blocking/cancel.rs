//! A `CancelToken` ends decor's work in a call: waits, attempts, permits and loads.

use super::Answer;
use crate::support::{listen, ms, secs};
use decor::{
    Error, Memo, Outcome, Timing,
    blocking::CancelToken,
    prelude::*,
    test_util::{VirtualClock, VirtualThread, elapsed, sleep},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Makes the call on a thread, in a run of the token. Returns the call's value and the moment of
/// its end.
fn spawn_run<T: Send + 'static>(
    clock: &VirtualClock,
    token: &CancelToken,
    call: impl FnOnce() -> T + Send + 'static,
) -> VirtualThread<(Option<T>, Duration)> {
    let token = token.clone();
    clock.spawn(move || (token.run(call), elapsed().expect("there is a clock")))
}

/// A function that fails, and counts its calls.
fn failing(calls: &Arc<AtomicU32>) -> impl Fn() -> Answer + Clone + Send + 'static {
    let calls = Arc::clone(calls);
    move || {
        calls.fetch_add(1, SeqCst);
        Err(Error::QueueFull { waiting: 1 })
    }
}

#[test]
fn a_cancellation_ends_the_delay_of_a_retry_at_once() {
    let (clock, token) = (VirtualClock::start(), CancelToken::new());
    let log = listen();
    let (calls, outcomes) = (Arc::<AtomicU32>::default(), Arc::new(Mutex::new(Vec::new())));
    let sink = Arc::clone(&outcomes);
    let timing = Timing::new("load").record_to(move |m| sink.lock().unwrap().push((m.outcome, m.elapsed)));
    let load = failing(&calls).blocking().retry_with(RetryPolicy::fixed(HOUR)).named("load").logged();
    let load = load.timed_with(timing);
    let threads = [(); 3].map(|()| {
        let load = load.clone();
        spawn_run(&clock, &token, move || load.call())
    });
    sleep(secs(5));
    token.cancel();
    for thread in threads {
        assert_eq!(thread.join(), (None, secs(5)));
    }
    assert_eq!(calls.load(SeqCst), 3);
    assert_eq!(*outcomes.lock().unwrap(), [(Outcome::Cancelled, secs(5)); 3]);
    let lines = log.take();
    assert_eq!(lines.iter().filter(|line| *line == "INFO load cancelled in 5s").count(), 3, "{lines:?}");
}

#[test]
fn a_cancellation_ends_the_wait_for_a_permit_and_the_next_waiter_moves_up() {
    let (clock, token) = (VirtualClock::start(), CancelToken::new());
    let limiter = RateLimiter::new(1, secs(10));
    limiter.acquire_blocking();
    let take = || elapsed().unwrap();
    let take = take.blocking().rate_limited(&limiter);
    let (first, second) = (take.clone(), take);
    let first = spawn_run(&clock, &token, move || first.call());
    sleep(secs(1));
    let second = clock.spawn(move || second.call());
    sleep(secs(1));
    assert_eq!(limiter.waiting(), 2);
    token.cancel();
    assert_eq!(first.join(), (None, secs(2)));
    assert_eq!(second.join(), secs(10), "the second waiter must move up to the place of the first");
    assert_eq!((limiter.stats().admitted, limiter.stats().cancelled), (2, 1));
}

#[test]
fn a_cancellation_ends_the_wait_for_another_calls_load_and_the_load_goes_on() {
    let (clock, token) = (VirtualClock::start(), CancelToken::new());
    let memo: Memo<u8, u8> = Memo::ttl(HOUR);
    let load = |key: u8| {
        sleep(secs(60));
        key * 7
    };
    let load = load.blocking().memoized(&memo);
    let (leads, waits) = (load.clone(), load.clone());
    let leads = clock.spawn(move || leads.call(7));
    sleep(secs(1));
    let waits = spawn_run(&clock, &token, move || waits.call(7));
    sleep(secs(1));
    token.cancel();
    assert_eq!(waits.join(), (None, secs(2)));
    assert_eq!((leads.join(), clock.elapsed()), (49, secs(60)));
    assert_eq!((memo.stats().loads, memo.stats().loading), (1, 0));
}

#[test]
fn a_waiter_takes_over_from_a_leader_that_is_cancelled_in_its_retry() {
    let (clock, token) = (VirtualClock::start(), CancelToken::new());
    let memo: Memo<u8, u32> = Memo::ttl(HOUR);
    let calls = Arc::<AtomicU32>::default();
    let its_calls = Arc::clone(&calls);
    let load = move |_: u8| match its_calls.fetch_add(1, SeqCst) {
        0 => Err(Error::QueueFull { waiting: 1 }),
        n => Ok(n),
    };
    let load = load.blocking().retry_with(RetryPolicy::fixed(HOUR)).memoized(&memo);
    let (leads, waits) = (load.clone(), load);
    let leads = spawn_run(&clock, &token, move || leads.call(7));
    sleep(secs(1));
    let waits = clock.spawn(move || (waits.call(7), elapsed().unwrap()));
    sleep(secs(1));
    token.cancel();
    assert_eq!(leads.join(), (None, secs(2)));
    assert_eq!(waits.join(), (Ok(1), secs(2)));
    assert_eq!((memo.stats().loads, memo.stats().loading, calls.load(SeqCst)), (2, 0, 2));
}

/// The token ends the wait, not the limit of an hour.
#[test]
fn a_bounded_call_is_abandoned_at_once() {
    let (clock, token) = (VirtualClock::start(), CancelToken::new());
    let begun = Arc::<AtomicU32>::default();
    let its_calls = Arc::clone(&begun);
    let load = move || -> Answer {
        for _ in 0..3 {
            its_calls.fetch_add(1, SeqCst);
            sleep(secs(4));
        }
        Ok(1)
    };
    let load = load.blocking().timeout(HOUR).timeout(HOUR);
    let bounded = spawn_run(&clock, &token, move || load.call());
    sleep(secs(5));
    token.cancel();
    assert_eq!(bounded.join(), (None, secs(5)));
    sleep(secs(60));
    assert_eq!(begun.load(SeqCst), 2, "nothing may begin after the cancellation");
}

#[test]
fn nothing_begins_after_a_cancellation() {
    let clock = VirtualClock::start();
    for delay in [Duration::ZERO, secs(1)] {
        let (calls, token) = (Arc::<AtomicU32>::default(), CancelToken::new());
        let fails = failing(&calls);
        let its_token = token.clone();
        let load = move || {
            its_token.cancel(); // while the function runs
            fails()
        };
        let load = load.blocking().retry_with(RetryPolicy::fixed(delay));
        assert_eq!(token.run(|| load.call()), None);
        assert_eq!(token.run(|| load.call()), None, "a cancelled token must call nothing");
        assert_eq!(calls.load(SeqCst), 1);
    }
    let (limiter, token) = (RateLimiter::new(9, secs(1)), CancelToken::new());
    let ran = token.run(|| {
        token.cancel();
        limiter.acquire_blocking(); // a permit is free
    });
    assert_eq!((ran, limiter.stats().admitted, limiter.waiting()), (None, 0, 0));
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

#[test]
fn a_function_in_progress_runs_on_to_its_value() {
    let token = CancelToken::new();
    let load = || -> Answer {
        token.cancel();
        Ok(7)
    };
    let load = load.blocking().retry_with(RetryPolicy::fixed(HOUR)).logged().timed("load");
    assert_eq!(token.run(|| load.call()), Some(Ok(7)));
    assert!(token.is_cancelled() && token.clone().is_cancelled());
    assert_eq!(format!("{token:?}"), "CancelToken { is_cancelled: true, .. }");
}

#[test]
fn each_run_is_ended_by_its_own_token_and_by_those_around_it() {
    let clock = VirtualClock::start();
    let (outer, inner, trace) = (CancelToken::new(), CancelToken::new(), Arc::new(Mutex::new(Vec::new())));
    let (its_inner, its_trace) = (inner.clone(), Arc::clone(&trace));
    let note = move |what: &'static str| its_trace.lock().unwrap().push((what, elapsed().unwrap()));
    let nested = spawn_run(&clock, &outer, move || {
        assert_eq!(its_inner.run(|| sleep(HOUR)), None);
        note("the inner one");
        CancelToken::new().run(|| its_inner.clone().run(|| unreachable!("it is cancelled")));
        CancelToken::new().run(|| CancelToken::new().run(|| sleep(HOUR)));
        unreachable!("the outer one is cancelled");
    });
    sleep(secs(1));
    inner.cancel();
    sleep(secs(1));
    outer.cancel();
    assert_eq!(nested.join(), (None::<()>, secs(2)));
    assert_eq!(*trace.lock().unwrap(), [("the inner one", secs(1))]);
    sleep(ms(1)); // outside of any run
}

#[test]
fn a_run_within_a_limit_ends_with_the_limit() {
    let clock = VirtualClock::start();
    let ended = Arc::new(Mutex::new(None));
    let its_end = Arc::clone(&ended);
    let load = move || -> Answer {
        let token = CancelToken::new();
        let _ = catch_unwind(AssertUnwindSafe(|| token.run(|| sleep(HOUR))));
        *its_end.lock().unwrap() = elapsed();
        Ok(1)
    };
    assert!(load.blocking().timeout(secs(3)).call().is_err());
    sleep(secs(1));
    assert_eq!(*ended.lock().unwrap(), Some(secs(3)));
    assert_eq!(clock.elapsed(), secs(4));
}

#[test]
fn a_panic_of_the_call_passes_through_the_run() {
    let token = CancelToken::new();
    let panics = AssertUnwindSafe(|| token.run(|| panic!("boom")));
    let panic = catch_unwind(panics).map(|ran: Option<()>| ran).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "boom");
    assert_eq!(token.run(|| 7), Some(7), "a panic must not cancel the token");
    let later = AssertUnwindSafe(|| {
        token.run(|| {
            token.cancel();
            panic!("a bug")
        })
    });
    assert!(
        catch_unwind(later).map(|ran: Option<()>| ran).is_err(),
        "the panic must pass through a cancelled token as well"
    );
}

/// A second unwinding would abort the process.
#[test]
fn a_wait_in_a_drop_during_unwinding_takes_its_full_time() {
    struct Cleanup;
    impl Drop for Cleanup {
        fn drop(&mut self) {
            sleep(secs(2));
        }
    }
    let (clock, token) = (VirtualClock::start(), CancelToken::new());
    let cleans_up = spawn_run(&clock, &token, || {
        let _cleanup = Cleanup;
        sleep(HOUR);
    });
    sleep(secs(1));
    token.cancel();
    assert_eq!(cleans_up.join(), (None, secs(3)));
}
