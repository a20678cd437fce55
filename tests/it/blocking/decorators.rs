//! The decorators beyond `parity`: arguments, boxes, calls in the background.

use super::Answer;
use crate::support::secs;
use decor::{
    Error, Memo,
    blocking::{self, CallableMut as _, CallableOnce as _},
    prelude::*,
    test_util::{self, VirtualClock, sleep},
};
use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

#[test]
fn a_retry_moves_arguments_into_the_last_attempt_and_drops_errors_before_delays() {
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
fn the_predicate_of_a_retry_is_called_once_for_each_result() {
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

#[test]
fn a_background_refresh_does_not_delay_its_caller() {
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
    // Answered at once, although the values are stale.
    assert_eq!((load.call(7), load.call(7), clock.elapsed()), (0, 0, secs(15)));
    sleep(secs(6));
    assert_eq!((load.call(7), clock.elapsed()), (1, secs(21)));
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.refreshes, stats.stale_hits, stats.hits, stats.loading), (2, 1, 2, 3, 0));
}

#[test]
fn a_refused_call_never_calls_the_function() {
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
fn the_debug_of_a_boxed_chain_shows_the_chain() {
    let boxed = (|n: u32| Answer::Ok(n)).blocking().named("f").timeout(secs(1)).boxed();
    assert!(format!("{boxed:?}").ends_with(r#".blocking().named("f").timeout(1s).boxed()"#), "{boxed:?}");
    assert!(format!("{:?}", boxed.clone().timed("t")).ends_with(r#".timeout(1s).boxed().timed("t")"#));
    let memo: Memo<u32, u32> = Memo::ttl(secs(300));
    let memoized = boxed.memoized(&memo).sharing_errors().timed("t");
    assert!(format!("{memoized:?}").ends_with(r#".boxed().memoized(ttl 300s).sharing_errors().timed("t")"#));
}

#[test]
fn boxed_shared_and_memoized_functions_implement_all_callable_traits() {
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
fn a_users_own_callable_is_decorated_like_a_function() {
    let clock = VirtualClock::start();
    let flaky = Flaky(0).retry_with(RetryPolicy::fixed(secs(1)));
    assert_eq!(format!("{flaky:?}"), "Flaky.retry_with(fixed 1s, no jitter, 3 attempts)");
    assert_eq!(flaky.call_once((7,)), Ok(7));
    assert_eq!(clock.elapsed(), secs(2));
}
