//! The entries of a memo in the order in which they expire.

use super::bound::EntryId;
use crate::{
    clock::Nanos,
    sync::{Mutex, MutexGuard, lock, try_lock},
};
use std::{
    array,
    cmp::Reverse,
    collections::BinaryHeap,
    // Not from `crate::sync`, because no decision depends on the order of its changes.
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Minimum length at which the queue is rebuilt.
const SMALL: usize = 64;

/// Maximum number of dead values that one call takes out. Two, because a store adds at most one, so
/// that the number of dead values falls.
const DEAD_PER_CALL: usize = 2;

/// Values that are past their expiry and all windows.
pub(super) type Dead = [Option<EntryId>; DEAD_PER_CALL];

/// Entries that can expire, the first to expire at the front.
///
/// An entry that leaves the memo in another way stays in the queue until it comes to the front, or
/// until the queue is rebuilt. The queue is rebuilt at twice its length after the latest rebuild.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    queue: BinaryHeap<Reverse<(Nanos, EntryId)>>,
    /// Length after the latest rebuild.
    rebuilt_to: usize,
}

impl Expiries {
    pub(super) fn push(&mut self, at: Nanos, id: EntryId) {
        self.queue.push(Reverse((at, id)));
    }

    /// Takes out the first entry, if it expires at `moment` or earlier. The entry may have left the
    /// memo already.
    pub(super) fn pop(&mut self, moment: Nanos) -> Option<EntryId> {
        let Reverse((at, id)) = *self.queue.peek()?;
        (at <= moment).then(|| {
            self.queue.pop();
            id
        })
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.queue.len() >= SMALL.max(2 * self.rebuilt_to)
    }

    /// Replaces the whole queue with these entries.
    pub(super) fn rebuild(&mut self, entries: impl Iterator<Item = (Nanos, EntryId)>) {
        self.queue = entries.map(Reverse).collect();
        self.rebuilt_to = self.queue.len();
    }
}

/// The queue behind a lock, with the moment at which its first entry is dead beside the lock.
#[derive(Debug)]
pub(super) struct SharedExpiries {
    queue: Mutex<Expiries>,
    /// Nanoseconds after its expiry for which a value may be served.
    window: AtomicU64,
    /// Moment at which the first entry is dead; [`Nanos::MAX`] if the queue is empty. Changes only
    /// under the lock.
    dead_at: AtomicU64,
}

impl SharedExpiries {
    pub(super) fn new(window: Nanos) -> Self {
        Self { queue: Mutex::default(), window: window.into(), dead_at: AtomicU64::new(Nanos::MAX) }
    }

    fn window(&self) -> Nanos {
        self.window.load(Relaxed)
    }

    /// Changes the window. [`change`](Self::change) has to follow.
    pub(super) fn set_window(&self, window: Nanos) {
        self.window.store(window, Relaxed);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.dead_at.load(Relaxed) == Nanos::MAX
    }

    #[inline]
    pub(super) fn has_dead(&self, now: Nanos) -> bool {
        self.dead_at.load(Relaxed) <= now
    }

    /// Reads and changes the queue under its lock.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Expiries) -> T) -> T {
        self.change_locked(lock(&self.queue), change)
    }

    /// Takes out the first dead values. Some of them may have left the memo already. Takes none
    /// while another thread holds the lock.
    pub(super) fn try_take_dead(&self, now: Nanos) -> Dead {
        let queue = try_lock(&self.queue);
        queue.map_or(Dead::default(), |queue| self.change_locked(queue, |queue| self.take_dead(queue, now)))
    }

    /// Takes out the first dead values, for a caller that holds the lock already.
    pub(super) fn take_dead(&self, queue: &mut Expiries, now: Nanos) -> Dead {
        array::from_fn(|_| queue.pop(now.checked_sub(self.window())?))
    }

    fn change_locked<T>(&self, mut queue: MutexGuard<'_, Expiries>, change: impl FnOnce(&mut Expiries) -> T) -> T {
        let changed = change(&mut queue);
        let first = queue.queue.peek().map_or(Nanos::MAX, |Reverse((at, _))| *at);
        self.dead_at.store(first.saturating_add(self.window()), Relaxed);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> EntryId {
        EntryId::new(number, 0, None)
    }

    #[test]
    fn entries_come_in_order_of_expiry_and_ties_in_order_of_age() {
        let mut expiries = Expiries::default();
        for (number, at) in [(0, 30), (1, 10), (2, 20), (3, 10)] {
            expiries.push(at, id(number));
        }
        assert_eq!(expiries.pop(9), None);
        assert_eq!([10, 10, 10].map(|now| expiries.pop(now)), [Some(id(1)), Some(id(3)), None]);
        assert_eq!([99, 99, 99].map(|now| expiries.pop(now)), [Some(id(2)), Some(id(0)), None]);
    }

    /// A thousand entries are replaced a hundred times, and none ever comes to the front.
    #[test]
    fn the_queue_stays_below_twice_the_number_of_live_entries() {
        let mut expiries = Expiries::default();
        let (mut rebuilds, mut longest) = (0, 0);
        for number in 0..100_000_u64 {
            expiries.push(number, id(number));
            if expiries.is_too_long() {
                let live = number.saturating_sub(999)..=number;
                expiries.rebuild(live.map(|number| (number, id(number))));
                rebuilds += 1;
            }
            longest = longest.max(expiries.queue.len());
        }
        assert_eq!(longest, 1_999);
        assert!(rebuilds < 110, "{rebuilds}");
    }
}
