//! The chains: the part to copy.

use super::service::{Failure, Service};
use decor::{BoxedFn, Error, Transient, prelude::*};
use std::time::Duration;

/// A call through a chain.
pub(crate) type Call = BoxedFn<(u64,), Result<u64, CallError>>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Service(#[from] Failure),
    #[error(transparent)]
    Policy(#[from] Error),
}

impl Transient for CallError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Service(_) => true,
            Self::Policy(error) => error.is_transient(),
        }
    }
}

/// Time limit of an attempt.
const ATTEMPT: Duration = Duration::from_secs(1);
/// Time limit of a call with all its attempts and waits.
const TOTAL: Duration = Duration::from_secs(10);

/// Number of retries that a successful call pays for.
pub(crate) const BUDGET_RATIO: f64 = 0.1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chain {
    Bare,
    Retry,
    Budget,
}

impl Chain {
    pub(crate) const ALL: [Self; 3] = [Self::Bare, Self::Retry, Self::Budget];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Retry => "retry",
            Self::Budget => "retry + budget",
        }
    }

    pub(crate) fn around(self, service: &Service) -> Call {
        match self {
            Self::Bare => bare(service),
            Self::Retry => retry(service),
            Self::Budget => budget(service),
        }
    }
}

/// Three attempts, with waits of up to 1 s and 2 s between them.
fn policy() -> RetryPolicy {
    RetryPolicy::default().jitter(Jitter::Full).seed(1)
}

/// A timeout, because a call without one may never end.
fn bare(service: &Service) -> Call {
    decor::with_context(service.clone(), ask).timeout(ATTEMPT).boxed()
}

fn retry(service: &Service) -> Call {
    decor::with_context(service.clone(), ask).timeout(ATTEMPT).retry_with(policy()).transient().timeout(TOTAL).boxed()
}

fn budget(service: &Service) -> Call {
    let budget = RetryBudget::new(BUDGET_RATIO);
    decor::with_context(service.clone(), ask)
        .timeout(ATTEMPT)
        .retry_with(policy())
        .transient()
        .budgeted(&budget)
        .timeout(TOTAL)
        .boxed()
}

/// Makes one call, without decorators.
async fn ask(service: Service, id: u64) -> Result<u64, CallError> {
    Ok(service.ask(id).await?)
}
