//! A look for a value, and the lease of a process that loads it.

use super::{FIND, LOCK, LOOK, State, text};
use crate::{
    resp::Reply,
    store::{Call, Job, Message},
};
use decor::tier::{Found, Keep, KeyBytes, Lease, Resolver};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A look that waits for something.
pub(super) trait Waiting: Send {
    fn look(self: Box<Self>);

    /// The store is down.
    fn give_up(self: Box<Self>);
}

pub(super) struct Look<V> {
    state: Weak<State>,
    key: String,
    /// The key as values have it.
    encoded: Vec<u8>,
    resolver: Resolver<Found<V>>,
    has_waited: bool,
    /// `true` once the value on the server could not be read.
    passes_over: bool,
}

impl<V> Look<V>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(super) fn new(state: &Arc<State>, key: &KeyBytes, encoded: Vec<u8>, resolver: Resolver<Found<V>>) -> Self {
        let (state, key) = (Arc::downgrade(state), text::escaped(key));
        Self { state, key, encoded, resolver, has_waited: false, passes_over: false }
    }

    /// Looks as soon as the changes of this process are confirmed.
    pub(super) fn begin(self) {
        let look = Box::new(self);
        let Some(state) = look.state.upgrade() else { return };
        if !state.shared.is_up() {
            return look.give_up();
        }
        let mut inner = state.inner();
        if inner.generation.is_none() || !inner.outbox.is_empty() {
            inner.held_back.push(look);
            drop(inner);
            // The store may have gone down before the look was there to hear of it.
            if !state.shared.is_up() {
                state.nothing_known();
            }
        } else {
            drop(inner);
            look.look();
        }
    }

    fn found(mut self: Box<Self>, state: &Arc<State>, token: Vec<u8>, generation: u64, reply: &Reply) {
        let Reply::Array(items) = reply else { return self.give_up() };
        let number = |n: usize| match items.get(n) {
            Some(Reply::Integer(number)) => Some(*number),
            _ => None,
        };
        let value = match items.get(2) {
            Some(Reply::Bulk(stored)) => text::decoded(&self.encoded, stored),
            _ => None,
        };
        match (number(0), value) {
            (Some(0), Some(value)) => {
                let left = number(1).and_then(|left| u64::try_from(left).ok()).map(Duration::from_micros);
                self.resolver.resolve(Found::Fresh { value, left });
            }
            (Some(1), Some(value)) => self.resolver.resolve(Found::Stale(value)),
            (Some(0 | 1), None) => {
                state.undecodable.fetch_add(1, Relaxed);
                self.passes_over = true;
                self.look();
            }
            (Some(2), _) => {
                let held = Held {
                    state: self.state.clone(),
                    key: self.key.clone(),
                    encoded: std::mem::take(&mut self.encoded),
                    token,
                    generation,
                    is_over: AtomicBool::new(false),
                };
                let held = Arc::new(held);
                Renewal::set(state, &held);
                self.resolver.resolve(Found::Lead(Box::new(RedisLease { held, value: PhantomData })));
            }
            (Some(3), _) => self.wait(state, number(1).unwrap_or(0)),
            _ => self.give_up(),
        }
    }

    /// Waits for the load of another process. Its lock lasts for some milliseconds.
    fn wait(mut self: Box<Self>, state: &Arc<State>, lock: i64) {
        if !std::mem::replace(&mut self.has_waited, true) {
            state.waits.fetch_add(1, Relaxed);
        }
        let key = self.key.clone();
        let mut inner = state.inner();
        let waiting = inner.waiting.entry(key.clone()).or_default();
        let is_first = waiting.is_empty();
        waiting.push(self);
        drop(inner);
        if is_first {
            let lock = Duration::from_millis(u64::try_from(lock).unwrap_or(0) + 1);
            let job = Arc::new(NextLook { state: Arc::downgrade(state), key });
            state.shared.send(Message::Job { job, at: Instant::now() + lock.min(LOOK) });
        }
    }
}

impl<V> Waiting for Look<V>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn look(self: Box<Self>) {
        let Some(state) = self.state.upgrade() else { return };
        if self.resolver.is_over() {
            return;
        }
        let generation = state.inner().generation.unwrap_or(0);
        let token: Vec<u8> = format!("{}:{}", state.process, state.tokens.fetch_add(1, Relaxed)).into();
        let lease = state.lease.as_millis().to_string().into();
        let passes_over = if self.passes_over { b"1".to_vec() } else { Vec::new() };
        let (value, lock) = (state.value_key(&self.key), state.lock_key(&self.key));
        let words = vec![value, lock, token.clone(), lease, generation.to_string().into(), passes_over];
        let call = Call { script: Some(&FIND), keys: 2, words };
        state.call(call, move |state, reply| match reply {
            Ok(reply) => self.found(state, token, generation, &reply),
            Err(_) => self.give_up(),
        });
    }

    fn give_up(self: Box<Self>) {
        self.resolver.resolve(Found::Alone);
    }
}

/// Looks again, in case that a message was lost.
#[derive(Debug)]
struct NextLook {
    state: Weak<State>,
    key: String,
}

impl Job for NextLook {
    fn run(self: Arc<Self>) {
        if let Some(state) = self.state.upgrade() {
            state.landed(&self.key);
        }
    }
}

/// A lock that this process holds.
#[derive(Debug)]
struct Held {
    state: Weak<State>,
    key: String,
    encoded: Vec<u8>,
    token: Vec<u8>,
    /// Generation of the value: that of the time at which the load began.
    generation: u64,
    /// `true` once the lock is to be kept no longer.
    is_over: AtomicBool,
}

impl Held {
    fn lock_call(&self, state: &State, length: Vec<u8>) -> Call {
        let message = format!("landed {}", self.key).into();
        let words = vec![state.lock_key(&self.key), self.token.clone(), length, state.place.clone().into(), message];
        Call { script: Some(&LOCK), keys: 1, words }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(state), false) = (self.state.upgrade(), *self.is_over.get_mut()) {
            state.call(self.lock_call(&state, Vec::new()), |_, _| ());
        }
    }
}

/// Renews a lock while the load lives.
#[derive(Debug)]
struct Renewal(Weak<Held>);

impl Renewal {
    fn set(state: &State, held: &Arc<Held>) {
        let job = Arc::new(Self(Arc::downgrade(held)));
        state.shared.send(Message::Job { job, at: Instant::now() + state.lease / 3 });
    }
}

impl Job for Renewal {
    fn run(self: Arc<Self>) {
        let Some(held) = self.0.upgrade() else { return };
        let Some(state) = held.state.upgrade() else { return };
        if held.is_over.load(Relaxed) {
            return;
        }
        let length = state.lease.as_millis().to_string().into();
        let renewed = self.0.clone();
        state.call(held.lock_call(&state, length), move |state, reply| {
            // While the store is down the lock runs out, unless it is back before.
            let is_lost = matches!(reply, Ok(Reply::Integer(0)));
            if let (Some(held), false) = (renewed.upgrade(), is_lost) {
                Renewal::set(state, &held);
            }
        });
    }
}

struct RedisLease<V> {
    held: Arc<Held>,
    value: PhantomData<fn(V)>,
}

impl<V: Serialize> Lease<V> for RedisLease<V> {
    fn land(self: Box<Self>, value: &V, keep: Keep) {
        let held = &self.held;
        let Some(state) = held.state.upgrade() else { return };
        // A value that cannot be encoded is this process's alone.
        let Some(encoded) = text::encoded(&held.encoded, value) else { return };
        held.is_over.store(true, Relaxed);
        state.inner().outbox.landings += 1;
        let call = state.put(&held.key, &held.token, held.generation, encoded, keep);
        state.call(call, |state, reply| {
            if matches!(reply, Ok(Reply::Integer(0))) {
                state.refused.fetch_add(1, Relaxed);
            }
            state.landing_confirmed();
        });
    }
}

impl<V> fmt::Debug for RedisLease<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisLease({})", self.held.key)
    }
}
