//! The feature `tower`: services in chains, chains as services and as layers.

mod bodies;
mod http_layer;
mod inference;
mod names;
mod readiness;
mod sockets;
mod strict;

use axum::{body::Body, extract::Request};
use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn request() -> Request {
    Request::new(Body::empty())
}
