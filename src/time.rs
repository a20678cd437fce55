//! The one place that reads a clock or sleeps.
//!
//! Tokio's clock, so that `start_paused = true` and `tokio::time::advance` control everything decor does.

use std::time::Duration;

pub(crate) use tokio::time::{Instant, Sleep};

/// Tokio's timer counts in these: never early, and late by at most one.
pub(crate) const GRAIN: Duration = Duration::from_millis(1);

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A timer for `delay` from now; `None` if that lies beyond what the clock can express, which is to say never.
pub(crate) fn sleep(delay: Duration) -> Option<Sleep> {
    now().checked_add(delay).map(sleep_until)
}

pub(crate) fn sleep_until(moment: Instant) -> Sleep {
    tokio::time::sleep_until(moment)
}
