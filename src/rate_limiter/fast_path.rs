//! Permits of a paced limiter, taken without the lock.
//!
//! While a limiter is *open*, its schedule is one atomic word. A call advances the schedule by a
//! compare-and-swap if its permits are free. Every other call takes the lock. The holder of the
//! lock shuts the word and so owns the schedule. On release the holder opens the word again,
//! unless a call waits, a pause lasts, the limiter is closed, or its limit or burst has changed.
//!
//! A call may be suspended between its read of the word and its swap. If the schedule is still the
//! same, the call is admitted as of the moment at which it read the clock. The limit, the burst and
//! the unit of the schedule are unchanged too, because the word stays shut after a change of the
//! limit or the burst.
//!
//! The limiter of a key has no fast path, because the counters would make the limiter larger, and
//! the lookup of the key takes a lock in any case.

use crate::{
    Permits,
    clock::{Clock, Epoch, Nanos},
    policy::{Quota, Ticks},
    striped::Striped,
    sync::{
        AtomicU64,
        Ordering::{AcqRel, Relaxed, Release},
    },
};

/// Value of the word in place of a schedule, while the limiter is shut.
const SHUT: u64 = u64::MAX;

/// Schedule of a paced limiter, while no holder of the lock has it.
#[derive(Debug)]
pub(super) struct FastPath {
    ticks: Ticks,
    /// In ticks, or [`SHUT`].
    schedule: AtomicU64,
    /// Number of calls that took no lock.
    admitted: Striped,
}

impl FastPath {
    /// `None` for windows.
    pub(super) fn new(quota: &Quota) -> Option<Self> {
        let pacer = quota.pacer()?;
        let (ticks, admitted) = (Ticks::of(pacer), Striped::default());
        let schedule = AtomicU64::new(ticks.read(pacer).unwrap_or(SHUT));
        Some(Self { ticks, schedule, admitted })
    }

    /// Number of calls that were admitted without the lock.
    pub(super) fn admitted(&self) -> u64 {
        self.admitted.get()
    }

    /// Takes permits that are free. Returns the moment of the admission; `None` if the call must
    /// take the lock.
    #[inline(always)]
    #[allow(clippy::inline_always)] // the call costs a fifth of a permit
    pub(super) fn try_take(&self, epoch: &Epoch, clock: Clock, permits: &Permits) -> Option<Nanos> {
        let mut schedule = self.schedule.load(Relaxed);
        if schedule == SHUT {
            return None;
        }
        let count = permits.fitting(1)?[0];
        let now = epoch.now(clock);
        loop {
            let taken = self.ticks.take(schedule, now, count).filter(|taken| *taken != SHUT)?;
            match self.schedule.compare_exchange_weak(schedule, taken, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(SHUT) => return None,
                Err(moved) => schedule = moved,
            }
        }
        self.admitted.count();
        Some(now)
    }

    /// Gives the schedule to the holder of the lock. Out of line, because calls to an exact limiter
    /// do not need this function.
    #[inline(never)]
    pub(super) fn shut(&self, quota: &mut Quota) {
        let schedule = self.schedule.swap(SHUT, AcqRel);
        if let Some(pacer) = quota.pacer_mut().filter(|_| schedule != SHUT) {
            self.ticks.write(schedule, pacer);
        }
    }

    /// Takes the schedule over from the holder of the lock, unless the limit or the burst has
    /// changed.
    pub(super) fn open(&self, quota: &Quota) {
        if let Some(schedule) = quota.pacer().and_then(|pacer| self.ticks.read(pacer)) {
            self.schedule.store(schedule, Release);
        }
    }
}
