//! The chains: the part to copy.

use super::service::{Failure, Service};
use decor::{Error, prelude::*};
use std::time::Duration;

/// A function from the number of a call to its answer.
pub(crate) type Call = BoxedFn<(u64,), Result<u64, CallError>>;

/// Time limit of an attempt.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Time limit of a call: all its attempts and waits. Every caller has its answer or its error
/// within this time, and within `ATTEMPT` if the chain has no retry.
const TOTAL: Duration = Duration::from_secs(10);

/// Number of retries that a successful call pays for.
pub(crate) const BUDGET_RATIO: f64 = 0.1;

/// Makes one call, without decorators.
async fn ask(service: Service, id: u64) -> Result<u64, CallError> {
    Ok(service.ask(id).await?)
}

/// Up to three attempts, with waits of up to 1 s and 2 s between them.
fn policy() -> RetryPolicy {
    RetryPolicy::default().jitter(Jitter::Full).seed(1)
}

/// A timeout alone, because a caller without a timeout may wait for ever.
fn bare(service: &Service) -> Call {
    decor::with_context(service.clone(), ask).timeout(ATTEMPT).boxed()
}

fn retry(service: &Service) -> Call {
    decor::with_context(service.clone(), ask)
        .timeout(ATTEMPT)
        .retry_with(policy())
        .when(CallError::is_worth_a_retry)
        .timeout(TOTAL)
        .boxed()
}

fn with_budget(service: &Service) -> Call {
    let budget = RetryBudget::new(BUDGET_RATIO);
    decor::with_context(service.clone(), ask)
        .timeout(ATTEMPT)
        .retry_with(policy())
        .when(CallError::is_worth_a_retry)
        .budgeted(&budget)
        .timeout(TOTAL)
        .boxed()
}

/// The breaker opens if half of the last 20 calls have failed, and probes the service each second.
fn with_breaker(service: &Service) -> Call {
    let budget = RetryBudget::new(BUDGET_RATIO);
    let breaker = CircuitBreaker::builder().among(10, 20).open_for(Duration::from_secs(1)).build();
    decor::with_context(service.clone(), ask)
        .timeout(ATTEMPT)
        .guarded_by(&breaker)
        .retry_with(policy())
        .when(CallError::is_worth_a_retry)
        .budgeted(&budget)
        .timeout(TOTAL)
        .boxed()
}

/// The limiter learns from timeouts and from full queues how many calls the service can take. A
/// call that finds no place within 200 ms is refused.
fn with_adaptive_concurrency(service: &Service) -> Call {
    let budget = RetryBudget::new(BUDGET_RATIO);
    let limiter = ConcurrencyLimiter::adaptive(4..=200);
    decor::with_context(service.clone(), ask)
        .timeout(ATTEMPT)
        .backing_off(&limiter, CallError::is_overload)
        .concurrency_limited_within(&limiter, Duration::from_millis(200))
        .retry_with(policy())
        .when(CallError::is_worth_a_retry)
        .budgeted(&budget)
        .timeout(TOTAL)
        .boxed()
}

/// A call that takes longer than 95 of 100 gets a second call beside it.
fn with_hedge(service: &Service) -> Call {
    let budget = RetryBudget::new(BUDGET_RATIO);
    let hedge = Hedge::percentile(0.95).budget(&budget);
    decor::with_context(service.clone(), ask)
        .timeout(ATTEMPT)
        .hedged(&hedge)
        .retry_with(policy())
        .when(CallError::is_worth_a_retry)
        .budgeted(&budget)
        .timeout(TOTAL)
        .boxed()
}

/// All of them, in the order that the documentation of decor recommends.
fn with_all(service: &Service) -> Call {
    let budget = RetryBudget::new(BUDGET_RATIO);
    let breaker = CircuitBreaker::builder().among(10, 20).open_for(Duration::from_secs(1)).build();
    let limiter = ConcurrencyLimiter::adaptive(4..=200);
    let hedge = Hedge::percentile(0.95).budget(&budget);
    decor::with_context(service.clone(), ask)
        .timeout(ATTEMPT)
        .backing_off(&limiter, CallError::is_overload)
        .guarded_by(&breaker)
        .concurrency_limited_within(&limiter, Duration::from_millis(200))
        .unless_open(&breaker)
        .hedged(&hedge)
        .retry_with(policy())
        .when(CallError::is_worth_a_retry)
        .budgeted(&budget)
        .timeout(TOTAL)
        .boxed()
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Service(#[from] Failure),
    #[error(transparent)]
    Policy(#[from] Error),
}

impl CallError {
    /// Returns `true` for failures of the service. Refusals by a breaker or a limiter are not
    /// retried.
    fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::Service(_) | Self::Policy(Error::TimedOut { .. }))
    }

    fn is_overload(&self) -> bool {
        matches!(self, Self::Service(Failure::QueueFull) | Self::Policy(Error::TimedOut { .. }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chain {
    Bare,
    Retry,
    Budget,
    Breaker,
    Adaptive,
    Hedge,
    All,
}

impl Chain {
    pub(crate) const ALL: [Self; 7] =
        [Self::Bare, Self::Retry, Self::Budget, Self::Breaker, Self::Adaptive, Self::Hedge, Self::All];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Retry => "retry",
            Self::Budget => "retry + budget",
            Self::Breaker => ".. + breaker",
            Self::Adaptive => ".. + adaptive limit",
            Self::Hedge => ".. + hedge",
            Self::All => "all",
        }
    }

    pub(crate) fn around(self, service: &Service) -> Call {
        match self {
            Self::Bare => bare(service),
            Self::Retry => retry(service),
            Self::Budget => with_budget(service),
            Self::Breaker => with_breaker(service),
            Self::Adaptive => with_adaptive_concurrency(service),
            Self::Hedge => with_hedge(service),
            Self::All => with_all(service),
        }
    }
}
