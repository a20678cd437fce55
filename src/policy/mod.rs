//! Pure decisions: when a retry goes on and how long it waits, when a budget pays for it, when a
//! hedge begins, when a limiter admits a call, when a circuit opens, how long a value is fresh.
//!
//! No code in here reads a clock or sleeps, and no decision draws randomness of its own: time and
//! seeds are arguments. A retry policy only hands out seeds, which come from `random.rs`. The async
//! and the blocking half both ask here, and carry the decision out.

mod budget;
#[cfg(feature = "chaos")]
mod chaos;
mod circuit;
mod concurrency;
#[cfg(feature = "memo")]
mod freshness;
mod hedge;
mod keys;
mod limit;
mod retry;
mod shared;

pub use budget::RetryBudgetConfig;
#[cfg(feature = "chaos")]
pub use chaos::{ChaosConfig, Fault};
pub use circuit::{CircuitBreakerConfig, CircuitReason, CircuitState, CircuitWindow};
pub use concurrency::ConcurrencyConfig;
pub use hedge::HedgeConfig;
pub use limit::{Permits, RateLimit, RateLimiterConfig};
pub use retry::{Backoff, Jitter, RetryConfig, RetryPolicy, Schedule};
pub use shared::{Answer, Ask, Charge, Grant, Limits, OnFailure, Probe, Run, RunAnswer, StoreError};

pub(crate) use budget::{BudgetPlan, LivePlan, Refill, retries};
#[cfg(feature = "chaos")]
pub(crate) use chaos::ChaosPlan;
pub(crate) use circuit::{Change, Circuit, DEFAULT_OPEN_FOR, Delayed, Refused, Step, Ticket, Verdict, Window};
pub(crate) use concurrency::{Ended, Fit, Flow, Kind};
#[cfg(feature = "memo")]
pub(crate) use freshness::{Freshness, Lifetime, LiveLifetime, Rest, Stamp};
pub(crate) use hedge::{HedgePlan, Latencies, Trigger};
pub(crate) use keys::{DEFAULT_MAX_KEYS, checked_keys, max_keys_of, without_keys};
pub(crate) use limit::{
    Counts, DEFAULT_LONGEST_PAUSE, MAX_WINDOWS, Quota, Sums, Ticks, checked_limits, checked_pause, excess,
};
pub(crate) use retry::{Delays, FailedAttempt, RetryDecision};
pub(crate) use shared::{Answered, Place, Purse, Sharing};
