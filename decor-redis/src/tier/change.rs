//! Changes on their way to the server, in order.

use super::{PUT, State, TELL};
use crate::{resp::Reply, store::Call};
use decor::{
    Error,
    tier::{Keep, Resolver},
};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

/// Maximum number of changes that wait for the server. With one more, they become a clear.
const MOST: usize = 10_000;

/// Maximum number of changes that are sent together.
const BATCH: usize = 64;

#[derive(Debug)]
pub(super) enum Change {
    Invalidate { key: String },
    Insert { key: String, value: Vec<u8>, keep: Keep },
    Clear,
}

/// The changes that are not confirmed.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    changes: VecDeque<Change>,
    /// Number of changes, from the first on, that are sent.
    sent: usize,
    /// Number of times at which changes were sent. Replies to those of an earlier time say nothing.
    attempts: u64,
    /// Number of changes that are made, and not told. `None` once they are told.
    made: Option<usize>,
    /// Number of values of loads that are sent and not confirmed.
    pub(super) landings: u64,
    /// Calls that wait until all is confirmed.
    settled: Vec<Resolver<Result<(), Error>>>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.changes.is_empty() && self.landings == 0
    }

    pub(super) fn settle(&mut self, resolver: Resolver<Result<(), Error>>) {
        self.settled.push(resolver);
    }

    fn push(&mut self, change: Change) {
        if matches!(change, Change::Clear) || self.changes.len() >= MOST {
            self.changes.truncate(self.sent);
            self.changes.push_back(Change::Clear);
        } else {
            self.changes.push_back(change);
        }
    }

    /// The calls that wait, if all is confirmed.
    pub(super) fn take_settled(&mut self) -> Vec<Resolver<Result<(), Error>>> {
        if self.is_settled() { std::mem::take(&mut self.settled) } else { Vec::new() }
    }

    /// The store is down: nothing that is sent is confirmed. Returns the calls that wait.
    pub(super) fn fail(&mut self) -> Vec<Resolver<Result<(), Error>>> {
        self.sent = 0;
        std::mem::take(&mut self.settled)
    }

    /// Marks changes as sent, if none is on its way. A clear is sent alone, because the changes
    /// after it need its generation. If a moving slot may change the order of two changes, a key is
    /// sent once.
    fn take_batch(&mut self, keeps_order: bool) -> usize {
        if self.sent > 0 {
            return 0;
        }
        let until_clear = self.changes.iter().position(|change| matches!(change, Change::Clear));
        self.sent = until_clear.map_or(self.changes.len(), |clears| clears.max(1)).min(BATCH);
        if !keeps_order {
            let mut keys = HashSet::new();
            let first = self.changes.iter().take(self.sent).position(|change| !keys.insert(change.key()));
            self.sent = first.unwrap_or(self.sent);
        }
        self.attempts += 1;
        self.sent
    }
}

impl Change {
    fn key(&self) -> &str {
        match self {
            Self::Invalidate { key } | Self::Insert { key, .. } => key,
            Self::Clear => "",
        }
    }
}

/// The times of a value in the arguments of a script: microseconds for which it is fresh, and
/// milliseconds for which its key lives. Empty for ever.
pub(super) fn times(keep: Keep) -> [Vec<u8>; 2] {
    let Keep { fresh, stale } = keep;
    let Some(fresh) = fresh else { return [Vec::new(), Vec::new()] };
    // A century is for ever, and stays a whole number in Lua.
    let most = Duration::from_secs(100 * 365 * 86_400);
    if fresh > most {
        return [Vec::new(), Vec::new()];
    }
    let lives = fresh.saturating_add(stale).min(most).as_millis() + 1;
    [fresh.as_micros().to_string().into(), lives.to_string().into()]
}

impl State {
    pub(super) fn change(self: &Arc<Self>, change: Change) {
        self.inner().outbox.push(change);
        if self.shared.is_up() {
            self.send_changes();
        }
    }

    /// Sends the next changes, if none is on its way. Each is made first, and then told. In a
    /// cluster, one server makes it and another one tells it, so that it is told once it is made.
    pub(super) fn send_changes(self: &Arc<Self>) {
        let keeps_order = self.shared.keeps_order();
        let mut inner = self.inner();
        let generation = inner.generation.unwrap_or(0);
        let batch = inner.outbox.take_batch(keeps_order);
        if batch == 0 {
            return;
        }
        let attempt = inner.outbox.attempts;
        let changes = inner.outbox.changes.iter().take(batch);
        let calls: Vec<_> = changes.filter_map(|change| self.making(change, generation)).collect();
        let tells_at_once = keeps_order || calls.is_empty();
        inner.outbox.made = if tells_at_once { None } else { Some(0) };
        drop(inner);
        let total = calls.len();
        for call in calls {
            self.call(call, move |state, reply| {
                if reply.is_ok() {
                    state.has_made(attempt, total);
                }
            });
        }
        if tells_at_once {
            self.tell_changes();
        }
    }

    /// The command that makes a change. A clear is made by telling it.
    fn making(&self, change: &Change, generation: u64) -> Option<Call> {
        match change {
            Change::Invalidate { key } => {
                let words = vec![b"UNLINK".to_vec(), self.value_key(key), self.lock_key(key)];
                Some(Call { script: None, keys: 0, words })
            }
            Change::Insert { key, value, keep } => Some(self.put(key, b"", generation, value.clone(), *keep)),
            Change::Clear => None,
        }
    }

    fn has_made(self: &Arc<Self>, attempt: u64, total: usize) {
        let mut inner = self.inner();
        let outbox = &mut inner.outbox;
        let Some(made) = outbox.made.as_mut().filter(|_| outbox.attempts == attempt && outbox.sent > 0) else {
            return;
        };
        *made += 1;
        let are_all_made = *made == total;
        if are_all_made {
            outbox.made = None;
        }
        drop(inner);
        if are_all_made {
            self.tell_changes();
        }
    }

    fn tell_changes(self: &Arc<Self>) {
        let inner = self.inner();
        let attempt = inner.outbox.attempts;
        let tell = |change: &Change| {
            let key = change.key().into();
            let words = vec![self.number_key(), self.place.clone().into(), self.process.clone().into(), key];
            Call { script: Some(&TELL), keys: 1, words }
        };
        let calls: Vec<_> = inner.outbox.changes.iter().take(inner.outbox.sent).map(tell).collect();
        drop(inner);
        for call in calls {
            self.call(call, move |state, reply| {
                if let Ok(reply) = reply {
                    state.confirmed(attempt, &reply);
                }
            });
        }
    }

    /// A store of a value under a token, or in any case if it is empty.
    pub(super) fn put(&self, key: &str, token: &[u8], generation: u64, value: Vec<u8>, keep: Keep) -> Call {
        let [fresh, lives] = times(keep);
        let generation = generation.to_string().into();
        let (channel, message) = (self.place.clone().into(), format!("landed {key}").into());
        let (stored, lock) = (self.value_key(key), self.lock_key(key));
        let words = vec![stored, lock, token.to_vec(), fresh, lives, generation, value, channel, message];
        Call { script: Some(&PUT), keys: 2, words }
    }

    /// The first change is confirmed.
    fn confirmed(self: &Arc<Self>, attempt: u64, reply: &Reply) {
        let mut inner = self.inner();
        if inner.outbox.sent == 0 || inner.outbox.attempts != attempt {
            return; // The store was down meanwhile, and the change is sent again.
        }
        inner.outbox.changes.pop_front();
        inner.outbox.sent -= 1;
        if let Reply::Array(numbers) = reply
            && let Some(Reply::Integer(generation)) = numbers.get(1)
            && let Ok(generation) = u64::try_from(*generation)
        {
            inner.generation = Some(inner.generation.map_or(generation, |known| known.max(generation)));
        }
        let is_batch_over = inner.outbox.sent == 0;
        let settled = inner.outbox.take_settled();
        drop(inner);
        for settled in settled {
            settled.resolve(Ok(()));
        }
        if is_batch_over {
            self.send_changes();
            self.go_on();
        }
    }

    /// A value of a load is confirmed, or refused.
    pub(super) fn landing_confirmed(&self) {
        let mut inner = self.inner();
        inner.outbox.landings = inner.outbox.landings.saturating_sub(1);
        let settled = inner.outbox.take_settled();
        drop(inner);
        for settled in settled {
            settled.resolve(Ok(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalidate(key: impl Into<String>) -> Change {
        Change::Invalidate { key: key.into() }
    }

    /// The keys in order, with `*` for a clear.
    fn keys(outbox: &Outbox) -> Vec<&str> {
        let key = |change| if matches!(change, &Change::Clear) { "*" } else { change.key() };
        outbox.changes.iter().map(key).collect()
    }

    #[test]
    fn a_clear_replaces_what_is_not_sent_and_is_sent_alone() {
        let mut outbox = Outbox::default();
        outbox.push(invalidate("a"));
        assert_eq!(outbox.take_batch(true), 1);
        outbox.push(invalidate("b"));
        outbox.push(Change::Clear);
        outbox.push(invalidate("c"));
        assert_eq!(keys(&outbox), ["a", "*", "c"]);
        assert_eq!(outbox.take_batch(true), 0, "one batch at a time");
        outbox.changes.pop_front();
        outbox.sent = 0;
        assert_eq!(outbox.take_batch(true), 1, "the change after the clear needs its generation");
        outbox.changes.pop_front();
        outbox.sent = 0;
        assert_eq!(outbox.take_batch(true), 1);
    }

    #[test]
    fn more_than_ten_thousand_changes_are_a_clear() {
        let mut outbox = Outbox::default();
        (0..MOST).for_each(|key| outbox.push(invalidate(key.to_string())));
        assert_eq!(outbox.changes.len(), MOST);
        assert_eq!(outbox.take_batch(true), BATCH);
        outbox.push(invalidate("one more"));
        assert_eq!(outbox.changes.len(), BATCH + 1);
        assert_eq!(keys(&outbox)[BATCH..], ["*"]);
    }

    #[test]
    fn after_a_failure_all_is_sent_again() {
        let mut outbox = Outbox::default();
        outbox.push(invalidate("a"));
        outbox.push(invalidate("b"));
        assert_eq!((outbox.take_batch(true), outbox.attempts), (2, 1));
        assert!(outbox.fail().is_empty());
        assert_eq!((outbox.take_batch(true), outbox.attempts), (2, 2));
    }

    #[test]
    fn a_batch_for_several_servers_has_a_key_once() {
        let mut outbox = Outbox::default();
        for key in ["a", "b", "a", "c"] {
            outbox.push(invalidate(key));
        }
        assert_eq!(outbox.take_batch(false), 2);
        outbox.fail();
        assert_eq!(outbox.take_batch(true), 4);
    }
}
