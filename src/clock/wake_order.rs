//! The order of wakes, for the threads of a virtual clock.

/// The order in which waits end whose moment is the same. Only a virtual clock has such moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeOrder {
    First,
    /// After the waits that are `First`, and after all that their threads do at that moment.
    Last,
}
