//! The entries of a shard, by tag.

use super::{bound::EntryId, settings::Tag};
use crate::sync::Arc;
use std::collections::{BTreeSet, HashMap};

/// The identities of a shard's entries, by tag. Contains no tag without entries.
///
/// Boxed, so that a shard fits into its pair of cache lines.
#[allow(clippy::box_collection)] // see above
#[derive(Debug, Default)]
pub(super) struct TagIndex(Option<Box<HashMap<Tag, BTreeSet<EntryId>>>>);

impl TagIndex {
    pub(super) fn add(&mut self, tags: &[Tag], id: EntryId) {
        for tag in tags {
            self.0.get_or_insert_default().entry(Arc::clone(tag)).or_default().insert(id);
        }
    }

    pub(super) fn remove(&mut self, tags: &[Tag], id: EntryId) {
        let Some(index) = &mut self.0 else { return };
        for tag in tags {
            let Some(ids) = index.get_mut(tag) else { continue };
            ids.remove(&id);
            if ids.is_empty() {
                index.remove(tag);
            }
        }
    }

    pub(super) fn ids(&self, tag: &str) -> impl Iterator<Item = EntryId> {
        self.0.as_ref().and_then(|index| index.get(tag)).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Eviction, Memo, cases::cases, test_util::VirtualClock};
    use proptest::prelude::*;
    use std::{collections::BTreeMap, time::Duration};

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u8, Vec<u8>),
        Invalidate(u8),
        InvalidateTag(u8),
        Refresh(u8),
        Advance(u64),
        Purge,
        Clear,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let tags = || prop::collection::vec(0_u8..5, 0..4);
        prop_oneof![
            8 => (0_u8..20, tags()).prop_map(|(key, tags)| Step::Insert(key, tags)),
            2 => (0_u8..20).prop_map(Step::Invalidate),
            2 => (0_u8..5).prop_map(Step::InvalidateTag),
            1 => (0_u8..20).prop_map(Step::Refresh),
            2 => (1_u64..9).prop_map(Step::Advance),
            1 => Just(Step::Purge),
            1 => Just(Step::Clear),
        ]
    }

    /// Returns the index of all shards, and an index that is rebuilt from the entries.
    fn indexed(memo: &Memo<u8, Vec<u8>>) -> [BTreeMap<String, BTreeSet<EntryId>>; 2] {
        let [mut indexed, mut anew] = [BTreeMap::<String, BTreeSet<EntryId>>::new(), BTreeMap::new()];
        for shard in memo.core().index.read_each() {
            for (tag, ids) in shard.tags().0.iter().flat_map(|index| &**index) {
                assert!(!ids.is_empty());
                indexed.entry(tag.to_string()).or_default().extend(ids);
            }
            for entry in shard.entries() {
                for tag in &entry.value {
                    anew.entry(tag.to_string()).or_default().insert(entry.id);
                }
            }
        }
        [indexed, anew]
    }

    proptest! {
        #![proptest_config(cases(5_000))]

        /// Covers each way in which an entry leaves the memo: replaced, invalidated, expired,
        /// evicted, cleared.
        #[test]
        fn the_index_has_the_tags_of_the_entries_and_no_others(
            capacity in 1_u64..12,
            lru in any::<bool>(),
            steps in prop::collection::vec(any_step(), 1..60),
        ) {
            let clock = VirtualClock::start();
            let eviction = if lru { Eviction::Lru } else { Eviction::TinyLfu };
            let memo: Memo<u8, Vec<u8>> = Memo::builder()
                .ttl(Duration::from_secs(10))
                .capacity(capacity)
                .eviction(eviction)
                .tags_by(|_: &u8, tags: &Vec<u8>| tags.iter().map(ToString::to_string).collect::<Vec<_>>())
                .build();
            for step in steps {
                match step {
                    Step::Insert(key, tags) => memo.insert(key, tags),
                    Step::Invalidate(key) => memo.invalidate(&key),
                    Step::InvalidateTag(tag) => {
                        let mut tagged = 0;
                        memo.for_each(|_, tags| tagged += usize::from(tags.contains(&tag)));
                        prop_assert_eq!(memo.invalidate_tag(&tag.to_string()), tagged);
                    }
                    Step::Refresh(key) => memo.refresh(&key),
                    Step::Advance(seconds) => clock.advance(Duration::from_secs(seconds)),
                    Step::Purge => _ = memo.purge_expired(),
                    Step::Clear => memo.clear(),
                }
                let [indexed, anew] = indexed(&memo);
                prop_assert_eq!(indexed, anew);
            }
        }
    }
}
