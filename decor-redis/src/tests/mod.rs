//! Tests against a server of their own, below the limiter.

mod failures;
mod model;
#[cfg(feature = "tls")]
mod tls;
