//! Predicates, which choose the results to retry, and the number of their calls.

use super::counted;
use crate::support::{ms, paused, secs};
use decor::{Error, GiveUpEvent, GiveUpReason, RetryEvent, prelude::*, test_util::VirtualClock};
use std::{
    cell::{Cell, RefCell},
    future::ready,
    time::Duration,
};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_later_predicate_replaces_an_earlier_one() {
    let calls = Cell::new(0);
    let retried = counted(&calls)
        .retry_with(RetryPolicy::fixed(ms(1)))
        .when(|_: &&str| false)
        .when_result(|_: &Result<(), &str>| false)
        .when(|e: &&str| *e == "busy");
    retried.await.unwrap_err();
    assert_eq!(calls.get(), 3);
}

/// The state stays under any decorator.
#[tokio::test(start_paused = true)]
async fn an_fn_mut_keeps_its_state_from_attempt_to_attempt() {
    let limiter = RateLimiter::new(1, secs(1));
    let policy = RetryPolicy::fixed(ms(1)).max_attempts(5);
    let mut lent = 0;
    let count = || {
        lent += 1;
        ready(if lent < 3 { Err(lent) } else { Ok(lent) })
    };
    assert_eq!(count.rate_limited(&limiter).retry_with(&policy).await, Ok(3));
    let mut owned = 0;
    let count = move || {
        owned += 1;
        ready(if owned < 3 { Err("busy") } else { Ok(owned) })
    };
    assert_eq!(count.timed("count").rate_limited(&limiter).retry_with(&policy).await, Ok(3));
}

#[test]
fn the_predicate_is_not_called_for_the_last_error() {
    let _clock = VirtualClock::start();
    for attempts in 1..5 {
        let policy = RetryPolicy::fixed(secs(1)).max_attempts(attempts);
        let (asked, reasons) = (Cell::new(0), RefCell::new(Vec::new()));
        let again = |_: &&str| {
            asked.set(asked.get() + 1);
            true
        };
        let note = |given_up: &GiveUpEvent<'_, &str>| reasons.borrow_mut().push(given_up.reason);
        let fail = || ready(Err::<(), _>("busy"));
        assert_eq!(paused().block_on(fail.retry_with(&policy).when(again).on_give_up(note).into_future()), Err("busy"));
        assert_eq!(asked.replace(0), attempts - 1);
        let fail = || Err::<(), _>("busy");
        assert_eq!(fail.blocking().retry_with(&policy).when(again).on_give_up(note).run(), Err("busy"));
        assert_eq!(asked.get(), attempts - 1);
        assert_eq!(reasons.into_inner(), [GiveUpReason::Exhausted; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_ok_can_be_retried_and_is_returned_when_attempts_run_out() {
    let calls = Cell::new(0);
    let hooks = RefCell::new(Vec::new());
    let retried = (|| {
        calls.set(calls.get() + 1);
        ready(Ok::<_, String>(503))
    })
    .retry_with(RetryPolicy::fixed(ms(10)))
    .when_result(|r: &Result<u16, String>| matches!(r, Ok(503) | Err(_)))
    .on_retry(|r: &RetryEvent<'_, String>| hooks.borrow_mut().push((r.attempt, r.error.is_none())))
    .on_give_up(|g: &GiveUpEvent<'_, String>| hooks.borrow_mut().push((g.attempts, g.error.is_none())))
    .explained();
    assert_eq!(retried.await, Ok(503));
    assert_eq!(calls.get(), 3);
    assert_eq!(*hooks.borrow(), [(1, true), (2, true), (3, true)]);
}

#[tokio::test(start_paused = true)]
async fn transient_reads_retryability_and_hint_from_the_error() {
    #[derive(Debug, PartialEq)]
    struct Throttled(u64);
    impl decor::Transient for Throttled {
        fn is_transient(&self) -> bool {
            self.0 > 0
        }
        fn retry_after(&self) -> Option<Duration> {
            Some(secs(self.0))
        }
    }
    let left = Cell::new(4);
    let begun = Instant::now();
    let error = (|| {
        left.set(left.get() - 1);
        ready(Err::<(), _>(Throttled(left.get())))
    })
    .retry_with(RetryPolicy::fixed(ms(1)).max_attempts(100))
    .transient()
    .await
    .unwrap_err();
    assert_eq!(error, Throttled(0));
    assert_eq!(begun.elapsed(), secs(3 + 2 + 1));
}

/// The error of a client, as the README has it.
#[derive(Debug, PartialEq, thiserror::Error)]
enum ApiError {
    #[error("the server answered {0}")]
    Status(u16),
    #[error(transparent)]
    Policy(#[from] Error),
}

impl Transient for ApiError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status, 429 | 500..),
            Self::Policy(error) => error.is_transient(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_tries_again_only_where_that_could_help() {
    for (status, attempts) in [(429, 3), (500, 3), (503, 3), (400, 1), (401, 1), (404, 1)] {
        let calls = Cell::new(0);
        let request = || {
            calls.set(calls.get() + 1);
            ready(Err::<(), _>(ApiError::Status(status)))
        };
        let answer = request.timeout(secs(1)).retry_with(RetryPolicy::default()).transient().await;
        assert_eq!((answer, calls.get()), (Err(ApiError::Status(status)), attempts));
    }
    let calls = Cell::new(0);
    let hangs = || {
        calls.set(calls.get() + 1);
        std::future::pending::<Result<(), ApiError>>()
    };
    let answer = hangs.timeout(secs(1)).retry_with(RetryPolicy::default()).transient().await;
    assert!(matches!(answer, Err(ApiError::Policy(Error::TimedOut { .. }))));
    assert_eq!(calls.get(), 3);
}
