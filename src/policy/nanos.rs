//! Moments and spans as the handles count them: in nanoseconds since they were made.

use std::time::Duration;

/// A moment since a handle was made, or a span, in nanoseconds. 584 years are enough; beyond them it saturates.
pub(crate) type Nanos = u64;

pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
