//! The time unit of the handles: nanoseconds.

use std::time::Duration;

/// A time span, or the time since a handle was made, in nanoseconds. Saturates at 584 years.
pub(crate) type Nanos = u64;

#[inline]
pub(crate) fn nanos(duration: Duration) -> Nanos {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}
