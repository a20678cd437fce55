//! The order in which a virtual clock wakes threads.

/// The order of waits that end at the same virtual moment. Only a virtual clock has such moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeOrder {
    First,
    /// Ends after the waits that are `First`, and after their threads wait again.
    Last,
}
