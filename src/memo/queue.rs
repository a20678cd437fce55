//! The order in which moka is going to evict the entries of a memo with
//! [`Eviction::Lru`](crate::Eviction::Lru).

use super::bound::EntryId;
use std::collections::VecDeque;

/// Maximum number of entries that one store moves to the back because they were used.
const SECOND_CHANCES: u32 = 32;

/// Minimum length at which the queue is tidied.
const SMALL: usize = 64;

/// State of an entry that a store looks at.
pub(super) enum Look {
    /// The entry has left the memo.
    Gone,
    /// The entry was used, and has moved to the back of moka's queue.
    Spared,
    /// The entry is to be evicted.
    Victim { weight: u32 },
}

/// The identities of the entries, the next to be evicted at the front. moka has the same order, but
/// does not show it.
///
/// An entry that leaves the memo stays in the queue until it comes to the front, or until the queue
/// is tidied. The queue is tidied at twice its length after the latest tidying.
#[derive(Debug, Default)]
pub(super) struct EvictionQueue {
    ids: VecDeque<EntryId>,
    /// Length after the latest tidying.
    tidied_to: usize,
}

impl EvictionQueue {
    pub(super) fn push_back(&mut self, id: EntryId) {
        self.ids.push_back(id);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Looks at entries from the front, until the victims weigh `excess`. `look` may spare an entry
    /// that was used, if its second argument is `true`.
    pub(super) fn choose_victims(&mut self, mut excess: u64, mut look: impl FnMut(EntryId, bool) -> Look) {
        let (mut victims, mut chances) = (Vec::new(), SECOND_CHANCES);
        while excess > 0 {
            let Some(id) = self.ids.pop_front() else { break };
            match look(id, chances > 0) {
                Look::Gone => {}
                Look::Spared => {
                    self.ids.push_back(id);
                    chances -= 1;
                }
                Look::Victim { weight } => {
                    victims.push(id);
                    excess = excess.saturating_sub(weight.into());
                }
            }
        }
        // moka may evict fewer, because the excess counts values that other threads have yet to put
        // into moka.
        victims.into_iter().rev().for_each(|id| self.ids.push_front(id));
    }

    /// Moves all entries that were used behind the others. Removes those that have left the memo.
    pub(super) fn spare(&mut self, mut is_used: impl FnMut(&EntryId) -> Option<bool>) {
        let (mut first, mut last) = (VecDeque::new(), VecDeque::new());
        for id in self.ids.drain(..) {
            match is_used(&id) {
                None => {}
                Some(false) => first.push_back(id),
                Some(true) => last.push_back(id),
            }
        }
        first.append(&mut last);
        self.ids = first;
        self.tidied_to = self.ids.len();
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &EntryId> {
        self.ids.iter()
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.ids.len() >= SMALL.max(2 * self.tidied_to)
    }

    /// Removes the entries that have left the memo.
    pub(super) fn tidy(&mut self, is_held: impl FnMut(&EntryId) -> bool) {
        self.ids.retain(is_held);
        self.tidied_to = self.ids.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> EntryId {
        EntryId::new(number, 0, None)
    }

    /// A thousand entries are replaced a hundred times, and none ever comes to the front.
    #[test]
    fn the_queue_stays_below_twice_the_number_of_live_entries() {
        let mut queue = EvictionQueue::default();
        let (mut tidied, mut longest) = (0, 0);
        for number in 0..100_000_u64 {
            queue.push_back(id(number));
            if queue.is_too_long() {
                queue.tidy(|id| id.number + 1_000 > number);
                tidied += 1;
            }
            longest = longest.max(queue.ids.len());
        }
        assert_eq!(longest, 1_999);
        assert!(tidied < 110, "{tidied}");
    }
}
