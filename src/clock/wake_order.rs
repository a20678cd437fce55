//! The order of wakes, for the threads of a virtual clock.

/// The order of waits that end at the same virtual moment. Only a virtual clock has such moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeOrder {
    First,
    /// After the waits that are `First`, and after all that their threads do at that moment.
    Last,
}
