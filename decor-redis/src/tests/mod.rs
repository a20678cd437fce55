//! Tests against a server of their own, below the limiter.

mod failures;
#[cfg(feature = "metrics")]
mod metrics;
mod model;
#[cfg(feature = "tls")]
mod tls;
