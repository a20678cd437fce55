//! The fast clock: tokio's time, carried on by the processor's counter.
//!
//! A read of the counter takes less than half of a read of the system's clock. Each thread notes
//! both once, and then trusts the counter for [`TRUSTED`] at most. The counter can be wrong,
//! because the machine slept, a virtual machine moved, or the cores count differently. It is
//! trusted no longer for that reason, and because its rate is measured only once, and NTP does not
//! correct the rate.

use super::{Nanos, nanos as nanos_of};
use quanta::Clock;
use std::{cell::Cell, sync::LazyLock, time::Duration};
use tokio::time::Instant;

/// Longest time for which a thread trusts the counter. It limits the error of the counter's rate as
/// well: 34 parts in a million, the greatest that was measured, are 3 ns.
const TRUSTED: Nanos = 100_000;

/// Longest time of a read of the system's clock that is noted. If the thread was interrupted
/// between the two clocks, they do not belong together.
const TOGETHER: Nanos = 500;

/// The scale of the counter, and the origin of the stamps. Not from `crate::sync`, because the
/// model checker need not interleave threads that read the time.
static COUNTER: LazyLock<(Clock, Instant)> = LazyLock::new(|| (Clock::new(), Instant::now()));

/// The last time at which a thread has read both clocks.
#[derive(Clone, Copy)]
struct Anchor {
    counter: u64,
    /// Time of the system's clock, in nanoseconds since the origin.
    at: Nanos,
}

/// Lies too far back to be trusted.
const NONE: Anchor = Anchor { counter: 0, at: 0 };

std::thread_local! {
    static ANCHOR: Cell<Anchor> = const { Cell::new(NONE) };
}

/// The time since the origin.
#[inline]
pub(super) fn nanos() -> Nanos {
    let (clock, _) = &*COUNTER;
    let (counter, anchor) = (clock.raw(), ANCHOR.get());
    trusted(clock, anchor, counter).unwrap_or_else(read_both)
}

/// The time by the counter; `None` if the anchor is too old, or if the counter has gone back.
#[inline]
fn trusted(clock: &Clock, anchor: Anchor, counter: u64) -> Option<Nanos> {
    let passed = clock.delta_as_nanos(anchor.counter, counter);
    (counter >= anchor.counter && passed < TRUSTED).then(|| anchor.at + passed)
}

/// Reads the system's clock, and notes it together with the counter.
#[cold]
#[inline(never)]
fn read_both() -> Nanos {
    let (clock, _) = &*COUNTER;
    let before = clock.raw();
    let at = since_origin(Instant::now());
    let after = clock.raw();
    let is_together = clock.delta_as_nanos(before, after) < TOGETHER;
    // The later count, so that stamps are late by the read of the clock, and not early.
    ANCHOR.set(if is_together { Anchor { counter: after, at } } else { NONE });
    at
}

/// The same as an instant on tokio's time line.
#[inline]
pub(super) fn now() -> Instant {
    COUNTER.1 + Duration::from_nanos(nanos())
}

pub(super) fn since_origin(instant: Instant) -> Nanos {
    nanos_of(instant.saturating_duration_since(COUNTER.1))
}

/// Has this thread read the system's clock for its next stamp. After a wait the stamp is then no
/// earlier than the moment that the wait was for.
pub(super) fn distrust() {
    ANCHOR.set(NONE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Greatest error of a stamp that the documentation admits.
    const ERROR: Duration = Duration::from_micros(1);

    /// A stamp between two readings of the system's clock, which a busy machine may draw apart.
    fn check_a_stamp() {
        let before = Instant::now();
        let stamp = now();
        let after = Instant::now();
        assert!(before <= stamp + ERROR, "late by {:?}", before - stamp);
        assert!(stamp <= after + ERROR, "early by {:?}", stamp - after);
    }

    #[test]
    fn stamps_are_on_the_time_line_of_tokio_in_every_thread() {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100_000).for_each(|_| check_a_stamp()));
            }
        });
    }

    #[test]
    fn a_stamp_is_no_earlier_than_an_instant_that_its_thread_has_read() {
        for _ in 0..10_000 {
            now();
            let read = Instant::now();
            distrust();
            assert!(now() >= read);
        }
    }

    #[test]
    fn a_counter_is_trusted_for_a_while_unless_it_goes_back() {
        let (clock, counter) = Clock::mock();
        counter.increment(1_000_000_u64);
        let anchor = Anchor { counter: clock.raw(), at: 7 };
        let later = |by: u64| trusted(&clock, anchor, 1_000_000 + by);
        assert_eq!((later(0), later(1), later(TRUSTED - 1)), (Some(7), Some(8), Some(7 + TRUSTED - 1)));
        assert_eq!((later(TRUSTED), later(3_600_000_000_000)), (None, None), "the machine slept");
        assert_eq!(trusted(&clock, anchor, 999_999), None, "another core, or another machine");
        assert_eq!(trusted(&clock, NONE, 1_000_000), None);
    }
}
