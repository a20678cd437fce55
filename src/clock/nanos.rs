//! Moments and spans as the handles count them: in nanoseconds since they were made.

use std::time::Duration;

/// A moment since a handle was made, or a span, in nanoseconds. Saturates at 584 years.
pub(crate) type Nanos = u64;

#[inline]
pub(crate) fn nanos(duration: Duration) -> Nanos {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}
