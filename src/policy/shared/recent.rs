//! Permits that were taken lately, from which the size of a lease follows.

use crate::clock::Nanos;
use std::collections::VecDeque;

/// Number of steps in which permits leave the count.
const STEPS: Nanos = 16;

/// Permits that were taken within the last stretch of time, in steps of a sixteenth.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    /// The first moment of each step, and the permits that were taken in it.
    steps: VecDeque<(Nanos, u64)>,
}

impl Recent {
    pub(super) fn add(&mut self, now: Nanos, stretch: Nanos, permits: u32) {
        match self.steps.back_mut() {
            Some((first, sum)) if now < first.saturating_add(stretch / STEPS) => *sum += u64::from(permits),
            _ => {
                self.expire(now, stretch);
                self.steps.push_back((now, permits.into()));
            }
        }
    }

    pub(super) fn taken(&mut self, now: Nanos, stretch: Nanos) -> u64 {
        self.expire(now, stretch);
        self.steps.iter().map(|(_, permits)| permits).sum()
    }

    fn expire(&mut self, now: Nanos, stretch: Nanos) {
        while self.steps.front().is_some_and(|(first, _)| first.saturating_add(stretch) < now) {
            self.steps.pop_front();
        }
    }
}
