//! The limit of an adaptive limiter: additive increase, multiplicative decrease.
//!
//! The rules are those of TCP's congestion avoidance (Chiu and Jain, "Analysis of the Increase and
//! Decrease Algorithms for Congestion Avoidance in Computer Networks", 1989), counted in calls
//! instead of round trips. No clock is needed.
//!
//! Calls are told apart by their numbers, which rise in the order of admission. A call counts for
//! an increase if the limit was reached while it ran. A call counts for nothing if the limit was
//! decreased while it ran, because its end says nothing about the new limit.

use super::shrink::Shrink;

/// Bounds of the limit, and the progress towards the next change.
#[derive(Debug, Clone)]
pub(super) struct Adaptive {
    min: u32,
    max: u32,
    shrink: Shrink,
    /// Good ends since the limit last changed, of calls during which the limit was reached.
    good: u32,
    /// Number of the call that was admitted last; 0 before the first.
    admitted: u64,
    /// The value of `admitted` when the limit was last reached; 0 if it was not reached since it
    /// changed.
    reached: u64,
    /// The value of `admitted` when the limit was last decreased; 0 before the first decrease.
    shrunk: u64,
    /// Number of decreases, those at the minimum included.
    shrinks: u64,
    /// Calls in progress that were admitted before the last decrease.
    old: u32,
}

impl Adaptive {
    pub(super) fn new(min: u32, max: u32, shrink: Shrink) -> Self {
        Self { min, max, shrink, good: 0, admitted: 0, reached: 0, shrunk: 0, shrinks: 0, old: 0 }
    }

    pub(super) fn range(&self) -> (u32, u32) {
        (self.min, self.max)
    }

    /// Changes the range and the factor of a decrease.
    pub(super) fn reload(&mut self, min: u32, max: u32, shrink: Shrink) {
        (self.min, self.max, self.shrink) = (min, max, shrink);
    }

    pub(super) fn shrinks(&self) -> u64 {
        self.shrinks
    }

    /// Returns `true` if calls that were in progress at the last decrease still are.
    pub(super) fn has_old(&self) -> bool {
        self.old > 0
    }

    /// Returns `true` if the call was in progress at the last decrease.
    pub(super) fn is_old(&self, number: u64) -> bool {
        number <= self.shrunk
    }

    pub(super) fn admit(&mut self, number: u64) {
        self.admitted = number;
    }

    /// Notes that the calls in progress have reached the limit.
    pub(super) fn reach(&mut self) {
        self.reached = self.admitted;
    }

    /// Returns `true` if the limit increases by one, because this call has ended well.
    pub(super) fn end_well(&mut self, number: u64, limit: u32) -> bool {
        if self.is_old(number) || number > self.reached {
            return false;
        }
        self.good += 1;
        if self.good < limit {
            return false;
        }
        self.good = 0;
        limit < self.max
    }

    /// Counts the end of a call, whatever its outcome.
    pub(super) fn end(&mut self, number: u64) {
        self.old -= u32::from(self.is_old(number));
    }

    /// Forgets the good ends, because the limit has changed.
    pub(super) fn changed(&mut self) {
        (self.good, self.reached) = (0, 0);
    }

    /// The limit after a decrease.
    pub(super) fn shrink(&mut self, limit: u32, running: u32) -> u32 {
        (self.shrunk, self.old) = (self.admitted, running);
        self.shrinks += 1;
        self.shrink.of(limit).max(self.min)
    }
}
