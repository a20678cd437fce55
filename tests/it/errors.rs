//! The errors of decorators, and the ways in which they reach the function's own error type.

use crate::support::{ms, secs};
use decor::{Error, Failure, GiveUpReason, RetryError, Transient, prelude::*, test_util::VirtualClock};
use std::{
    error::Error as StdError,
    future::{pending, ready},
    io,
    num::ParseIntError,
    time::Duration,
};
use tokio::time::Instant;

fn timed_out() -> Error {
    Error::TimedOut { name: "fetch".into(), after: secs(2), label: None }
}

fn rejected(retry_after: Option<Duration>) -> Error {
    Error::Rejected { by: "breaker", message: "open".into(), retry_after }
}

#[test]
fn each_error_has_its_text() {
    assert_eq!(timed_out().to_string(), "fetch timed out after 2s");
    assert_eq!(Error::RateLimited { retry_after: ms(250) }.to_string(), "rate limited: try again in 250ms");
    assert_eq!(Error::QueueFull { waiting: 100 }.to_string(), "rate limited: the queue is full (100 waiting)");
    assert_eq!(Error::InvalidArgument { message: "x".into() }.to_string(), "invalid argument: x");
    let closed = Error::Closed { what: "the rate limiter" };
    assert_eq!(closed.to_string(), "the rate limiter is closed, and admits no more calls");
    assert_eq!(rejected(None).to_string(), "rejected by breaker: open");
    assert_eq!(rejected(Some(secs(3))).to_string(), "rejected by breaker: open");
    assert_ne!(rejected(Some(secs(3))), rejected(None));
    assert_eq!(timed_out(), timed_out().clone());
    assert_ne!(timed_out(), Error::TimedOut { name: "other".into(), after: secs(2), label: None });
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum ApiError {
    #[error(transparent)]
    Policy(#[from] Error),
}

#[tokio::test(start_paused = true)]
async fn common_error_types_carry_a_decor_error() {
    let limit = ms(1);
    let error = pending::<Result<(), ApiError>>().timeout(limit).await.unwrap_err();
    assert_eq!(error, ApiError::Policy(Error::TimedOut { name: "Pending".into(), after: limit, label: None }));

    let error = pending::<Result<(), Error>>().timeout(limit).await.unwrap_err();
    assert_eq!(error, Error::TimedOut { name: "Pending".into(), after: limit, label: None });

    let error = pending::<anyhow::Result<()>>().timeout(limit).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Error::TimedOut { name: "Pending".into(), after: limit, label: None }));

    let error = pending::<Result<(), Box<dyn StdError + Send + Sync>>>().timeout(limit).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Error::TimedOut { name: "Pending".into(), after: limit, label: None }));

    let error = pending::<io::Result<()>>().timeout(limit).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let inside = error.get_ref().and_then(|inside| inside.downcast_ref());
    assert_eq!(inside, Some(&Error::TimedOut { name: "Pending".into(), after: limit, label: None }));

    let error = pending::<Result<(), String>>().timeout(limit).await.unwrap_err();
    assert_eq!(error, "Pending timed out after 1ms");
}

#[test]
fn an_io_error_has_the_kind_that_fits() {
    let kind = |error: Error| io::Error::from(error).kind();
    assert_eq!(kind(timed_out()), io::ErrorKind::TimedOut);
    assert_eq!(kind(Error::InvalidArgument { message: String::new() }), io::ErrorKind::InvalidInput);
    assert_eq!(kind(Error::RateLimited { retry_after: secs(1) }), io::ErrorKind::WouldBlock);
    assert_eq!(kind(Error::QueueFull { waiting: 1 }), io::ErrorKind::WouldBlock);
    assert_eq!(kind(Error::Closed { what: "the rate limiter" }), io::ErrorKind::Other);
    assert_eq!(kind(rejected(None)), io::ErrorKind::WouldBlock);
    assert_eq!(kind(rejected(Some(secs(1)))), io::ErrorKind::WouldBlock);
}

async fn parse(text: &str) -> Result<u8, ParseIntError> {
    text.parse()
}

#[tokio::test(start_paused = true)]
async fn lifted_wraps_a_foreign_error_in_a_failure() {
    let parse = parse.lifted().timeout(secs(1));
    assert_eq!(parse.call("7").await, Ok(7));
    let error = parse.call("x").await.unwrap_err();
    assert_eq!(error.to_string(), "invalid digit found in string");
    assert!(matches!(error, Failure::Call(_)));

    let hang = pending::<Result<u8, ParseIntError>>().lifted().timeout(secs(1));
    let error = hang.await.unwrap_err();
    assert_eq!(error.policy(), Some(&Error::TimedOut { name: "Pending".into(), after: secs(1), label: None }));
    assert_eq!(error.call(), None);
}

#[tokio::test(start_paused = true)]
async fn fallible_wraps_a_plain_output_in_a_result() {
    assert_eq!((|| ready(7)).fallible().timeout(secs(1)).await, Ok(7));
    assert_eq!(ready(7).fallible().timeout(secs(1)).await, Ok(7));
    let hang = pending::<u8>().fallible().timeout(secs(1));
    assert_eq!(hang.await, Err(Error::TimedOut { name: "Pending".into(), after: secs(1), label: None }));
}

#[tokio::test(start_paused = true)]
async fn map_err_ends_a_chain_with_an_error_without_decor() {
    #[derive(Debug, PartialEq)]
    enum Public {
        Slow,
        Bad,
    }
    async fn hang_or_fail(hang: bool) -> Result<(), ParseIntError> {
        if hang { pending().await } else { "x".parse::<u8>().map(|_| ()) }
    }
    let public = hang_or_fail.lifted().timeout(secs(1)).map_err(|failure: Failure<ParseIntError>| match failure {
        Failure::Policy(_) => Public::Slow,
        Failure::Call(_) => Public::Bad,
    });
    assert_eq!(public.call(true).await, Err(Public::Slow));
    assert_eq!(public.call(false).await, Err(Public::Bad));
}

#[test]
fn a_failure_keeps_its_source() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);
    let failure = Failure::Call(Outer(io::Error::other("inner")));
    assert_eq!(failure.source().unwrap().to_string(), "inner");
    assert!(Failure::<Outer>::Policy(timed_out()).source().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_explained_error_has_attempts_time_and_reason() {
    let fail = |e: &'static str| ready(Err::<(), _>(e));
    let policy = RetryPolicy::fixed(secs(10));
    let explained = fail.retry_with(&policy).when(|e: &&str| *e != "fatal").explained();

    let error = explained.call("busy").await.unwrap_err();
    assert_eq!(error.to_string(), "retry failed after 3 attempts: busy");
    assert_eq!((error.attempts(), error.elapsed(), error.reason()), (3, secs(20), GiveUpReason::Exhausted));

    let error = explained.call("fatal").await.unwrap_err();
    assert_eq!(error.to_string(), "fatal", "an error that was not retried displays as itself");
    assert_eq!((error.attempts(), error.elapsed(), error.reason()), (1, secs(0), GiveUpReason::NotRetryable));

    let error = fail.retry_with(policy.deadline(secs(15))).explained().call("busy").await.unwrap_err();
    assert_eq!(error.to_string(), "retry failed after 2 attempts (deadline reached): busy");
    assert_eq!((error.attempts(), error.elapsed(), error.reason()), (2, secs(10), GiveUpReason::DeadlineReached));
}

#[tokio::test(start_paused = true)]
async fn an_explained_anyhow_error_is_an_error_again() {
    fn is_error<E: StdError + Send + Sync + 'static>(error: E) -> anyhow::Error {
        error.into()
    }
    let fail = || ready(Err::<(), _>(anyhow::anyhow!("refused").context("connecting")));
    let error = fail.retry_with(RetryPolicy::fixed(ms(1))).explained().await.unwrap_err();
    assert_eq!(format!("{error:#}"), "retry failed after 3 attempts: connecting: refused");
    assert_eq!(is_error(error).to_string(), "retry failed after 3 attempts: connecting");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_an_explained_retry_interrupts_it() {
    let hang = || pending::<Result<(), String>>();
    let error: RetryError<String> =
        hang.named("hang").retry_with(RetryPolicy::default()).explained().timeout(secs(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "hang timed out after 1s");
    assert_eq!((error.attempts(), error.reason()), (0, GiveUpReason::Interrupted));
    assert_eq!(error.reason().to_string(), "interrupted");
}

#[test]
fn a_transient_error_has_no_hint_by_default() {
    struct Busy;
    impl Transient for Busy {
        fn is_transient(&self) -> bool {
            true
        }
    }
    assert_eq!(Busy.retry_after(), None);
}

#[test]
fn the_transient_errors_of_decor_and_io() {
    assert!(timed_out().is_transient());
    assert!(Error::QueueFull { waiting: 1 }.is_transient());
    assert!(Error::RateLimited { retry_after: secs(1) }.is_transient());
    assert!(rejected(None).is_transient());
    assert_eq!(rejected(None).retry_after(), None);
    assert_eq!(rejected(Some(secs(9))).retry_after(), Some(secs(9)));
    assert_eq!(io::Error::from(rejected(Some(secs(9)))).retry_after(), Some(secs(9)));
    assert_eq!(Failure::<io::Error>::Policy(rejected(Some(secs(9)))).retry_after(), Some(secs(9)));
    assert!(!Error::InvalidArgument { message: String::new() }.is_transient());
    let closed = Error::Closed { what: "the rate limiter" };
    assert_eq!((closed.is_transient(), closed.retry_after()), (false, None));
    assert!(!io::Error::from(closed).is_transient());
    assert_eq!(timed_out().retry_after(), None);

    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    assert!(refused().is_transient());
    assert!(!io::Error::from(io::ErrorKind::NotFound).is_transient());
    assert!(Failure::Call(refused()).is_transient());
    assert!(!Failure::Call(io::Error::from(io::ErrorKind::NotFound)).is_transient());
    assert!(!Failure::<io::Error>::Policy(Error::InvalidArgument { message: String::new() }).is_transient());
    assert_eq!(Failure::<u8>::Call(7).call(), Some(&7));
    assert_eq!(Failure::<u8>::Call(7).policy(), None);
    assert!(Failure::<io::Error>::Policy(timed_out()).is_transient());

    let limited = Error::RateLimited { retry_after: secs(9) };
    assert_eq!(io::Error::from(limited.clone()).retry_after(), Some(secs(9)));
    assert_eq!(Failure::<io::Error>::Policy(limited.clone()).retry_after(), Some(secs(9)));
    assert_eq!(Failure::Call(io::Error::from(limited)).retry_after(), Some(secs(9)));
    assert!(!io::Error::from(Error::InvalidArgument { message: String::new() }).is_transient());
}

/// The policy's own delay is 1 ms.
#[tokio::test(start_paused = true)]
async fn a_rejection_delays_the_next_attempt() {
    let policy = RetryPolicy::fixed(ms(1)).max_attempts(3);
    let mut rejections = vec![Some(secs(7)), None];
    let begun = Instant::now();
    let answer = (|| ready(rejections.pop().map_or(Ok(42), |retry_after| Err(rejected(retry_after)))))
        .retry_with(&policy)
        .transient()
        .await;
    assert_eq!((answer, begun.elapsed()), (Ok(42), ms(1) + secs(7)));

    let clock = VirtualClock::start();
    let mut rejections = vec![Some(secs(7)), None];
    let answer = (|| rejections.pop().map_or(Ok(42), |retry_after| Err(io::Error::from(rejected(retry_after)))))
        .blocking()
        .retry_with(&policy)
        .transient()
        .run();
    assert_eq!((answer.unwrap(), clock.elapsed()), (42, ms(1) + secs(7)));
}
