//! The tier of a memo.
//!
//! # Keys
//!
//! | key | content |
//! |---|---|
//! | `{decor:NAME:vVERSION:KEY}:v` | a value: fresh until, generation, format, crc32, key, payload |
//! | `{decor:NAME:vVERSION:KEY}:l` | the lock of the process that loads: a token |
//! | `{decor:NAME:vVERSION}:seq` | hash: number of changes, generation of values |
//!
//! A change goes to the server in order, after its process has made it: first the value and the
//! lock are removed, then the number rises and the message goes out. A load that lands finds its
//! lock gone, and is refused. A process that has a change on its way asks for nothing before it is
//! confirmed, so no process reads a value that it has removed.
//!
//! A process that hears a number that is not the next one, that subscribes anew, or that learns by
//! asking that the number is ahead, has missed a change, and forgets all values.

mod change;
mod find;
mod text;

use crate::{
    resp::Reply,
    script::Script,
    store::{Call, Job, Listener, Message, Shared, Store, Then},
};
use change::{Change, Outbox};
use decor::{
    Error,
    shared::StoreError,
    tier::{Found, Keep, KeyBytes, MemoTier, Promise, TierCounts, TieredMemo, promise},
};
use find::{Look, Waiting};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

static FIND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/tier_find.lua")));
static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/tier_put.lua")));
static LOCK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/tier_lock.lua")));
static TELL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/tier_tell.lua")));

/// Distance between two looks at the number of changes, in case that messages are lost.
const PULSE: Duration = Duration::from_secs(1);

/// Time that a message may take longer than the look at the number.
const MESSAGE: Duration = Duration::from_millis(200);

/// Distance between two looks of a call that waits for the load of another process, in case that
/// its message is lost.
const LOOK: Duration = Duration::from_millis(250);

/// A second tier of a memo on a Redis, which all processes share that name it. Made by
/// [`Redis::tier`](crate::Redis::tier), for [`MemoBuilder::tier`](decor::MemoBuilder::tier).
///
/// Keys and values are `serde` types. Values are `MessagePack` with the names of fields, so a
/// field may be added with `#[serde(default)]`. For other changes of a type, raise the
/// [version](Self::version).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), decor::ConfigError> {
/// use decor::prelude::*;
/// use decor_redis::Redis;
/// use std::time::Duration;
///
/// async fn square(n: u64) -> u64 { n * n }
///
/// let redis = Redis::open("redis://127.0.0.1")?;
/// let minute = Duration::from_secs(60);
/// let squares: Memo<u64, u64> = Memo::builder().ttl(minute).tier(redis.tier("squares")).build();
/// let square = square.memoized(&squares);
/// assert_eq!(square.call(7).await, 49); // also without a server
/// # Ok(())
/// # }
/// ```
pub struct RedisTier {
    store: Arc<Store>,
    name: String,
    version: u32,
    lease: Duration,
    deaf_ttl: Duration,
    /// Set once the tier has its memo.
    state: OnceLock<Arc<State>>,
}

impl RedisTier {
    pub(crate) fn new(store: Arc<Store>, name: &str) -> Self {
        let (lease, deaf_ttl) = (Duration::from_secs(5), Duration::from_secs(10));
        Self { store, name: name.into(), version: 0, lease, deaf_ttl, state: OnceLock::new() }
    }

    /// Sets the version of the types of keys and values; 0 by default. Versions do not share
    /// values, and do not hear of each other's changes.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), decor::ConfigError> {
    /// let tier = decor_redis::Redis::open("redis://127.0.0.1")?.tier("users").version(3);
    /// assert_eq!(format!("{tier:?}"), "RedisTier(users version 3 at redis://127.0.0.1:6379)");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Sets the time after which another process loads, if the process that loads has died or was
    /// stopped; 5 s by default. A load may take longer, because its process renews the lease.
    /// Shorter than 10 ms counts as 10 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), decor::ConfigError> {
    /// use std::time::Duration;
    ///
    /// let redis = decor_redis::Redis::open("redis://127.0.0.1")?;
    /// let tier = redis.tier("users").lease(Duration::from_secs(1));
    /// # drop(tier);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(10));
        self
    }

    /// Sets the longest time for which values are kept while the server is down, because nothing of
    /// other processes is heard then; 10 s by default.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), decor::ConfigError> {
    /// use std::time::Duration;
    ///
    /// let redis = decor_redis::Redis::open("redis://127.0.0.1")?;
    /// let tier = redis.tier("users").deaf_ttl(Duration::from_secs(30));
    /// # drop(tier);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn deaf_ttl(mut self, ttl: Duration) -> Self {
        self.deaf_ttl = ttl;
        self
    }

    fn state(&self) -> Option<&Arc<State>> {
        self.state.get()
    }
}

impl<K, V> MemoTier<K, V> for RedisTier
where
    K: Serialize + Hash,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn attach(&self, memo: Arc<dyn TieredMemo>) {
        let prefix = &self.store.shared.config.prefix;
        let place = format!("{prefix}:{}:v{}", self.name, self.version);
        let state = Arc::new_cyclic(|this: &Weak<State>| State {
            this: this.clone(),
            shared: self.store.shared.clone(),
            name: self.name.clone(),
            place,
            process: format!("{:016x}", RandomState::new().hash_one("process")),
            lease: self.lease,
            deaf_ttl: self.deaf_ttl,
            memo,
            inner: Mutex::default(),
            tokens: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
        });
        if self.state.set(state.clone()).is_ok() {
            let listener: Weak<dyn Listener> = Arc::downgrade(&(state.clone() as Arc<dyn Listener>));
            state.shared.send(Message::Listen { channel: state.place.clone(), listener });
            state.look_at_number();
            Pulse::set(&state, PULSE);
        }
    }

    fn find(&self, key: &K) -> Promise<Found<V>> {
        let (resolver, found) = promise();
        if let (Some(state), Ok(encoded)) = (self.state(), rmp_serde::to_vec_named(key)) {
            Look::new(state, &KeyBytes::of(key), encoded, resolver).begin();
        }
        found
    }

    fn insert(&self, key: &K, value: &V, keep: Keep) {
        let Some(state) = self.state() else { return };
        let encoded = rmp_serde::to_vec_named(key).ok().and_then(|key| text::encoded(&key, value));
        let key = text::escaped(&KeyBytes::of(key));
        state.change(match encoded {
            Some(value) => Change::Insert { key, value, keep },
            // No other process can have the value. It must not keep the earlier one.
            None => Change::Invalidate { key },
        });
    }

    fn invalidate(&self, key: &KeyBytes) {
        if let Some(state) = self.state() {
            state.change(Change::Invalidate { key: text::escaped(key) });
        }
    }

    fn clear(&self) {
        if let Some(state) = self.state() {
            state.change(Change::Clear);
        }
    }

    fn settled(&self) -> Promise<Result<(), Error>> {
        let (resolver, settled) = promise();
        if let Some(state) = self.state() {
            let mut inner = state.inner();
            if inner.outbox.is_settled() {
                drop(inner);
                resolver.resolve(Ok(()));
            } else if state.shared.is_up() {
                inner.outbox.settle(resolver);
            } else {
                drop(inner);
                resolver.resolve(Err(state.down()));
            }
        }
        settled
    }

    fn deaf_ttl(&self) -> Duration {
        self.deaf_ttl
    }

    fn counts(&self) -> TierCounts {
        let mut counts = TierCounts::default();
        if let Some(state) = self.state() {
            counts.waits = state.waits.load(Relaxed);
            counts.refused = state.refused.load(Relaxed);
            counts.undecodable = state.undecodable.load(Relaxed);
            counts.is_up = state.shared.is_up();
        }
        counts
    }
}

impl fmt::Debug for RedisTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, name, version, .. } = self;
        write!(f, "RedisTier({name} version {version} at {})", store.shared.config.address)
    }
}

/// The state of a tier. Kept in memory by the tier alone: the I/O thread has weak pointers.
pub(crate) struct State {
    this: Weak<Self>,
    shared: Arc<Shared>,
    name: String,
    /// `decor:NAME:vVERSION`, which is the channel as well.
    place: String,
    /// A random name of this memo, to tell its own messages.
    process: String,
    lease: Duration,
    deaf_ttl: Duration,
    memo: Arc<dyn TieredMemo>,
    inner: Mutex<Inner>,
    /// Number of locks that were asked for.
    tokens: AtomicU64,
    waits: AtomicU64,
    refused: AtomicU64,
    undecodable: AtomicU64,
}

#[derive(Default)]
struct Inner {
    /// Number of the last change that was heard; `None` before the first answer, and after a new
    /// subscription.
    number: Option<u64>,
    /// Generation of the values; `None` before the first answer.
    generation: Option<u64>,
    outbox: Outbox,
    /// Looks that begin once the outbox is empty and the generation is known.
    held_back: Vec<Box<dyn Waiting>>,
    /// Looks that wait for the load of another process, by key.
    waiting: HashMap<String, Vec<Box<dyn Waiting>>>,
    /// `true` once the channel was subscribed.
    was_subscribed: bool,
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn this(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    fn down(&self) -> Error {
        Error::StoreDown { name: self.name.clone().into() }
    }

    fn value_key(&self, key: &str) -> Vec<u8> {
        format!("{{{}:{key}}}:v", self.place).into()
    }

    fn lock_key(&self, key: &str) -> Vec<u8> {
        format!("{{{}:{key}}}:l", self.place).into()
    }

    fn number_key(&self) -> Vec<u8> {
        format!("{{{}}}:seq", self.place).into()
    }

    /// Sends a command. `then` runs on the I/O thread, if the tier still lives.
    fn call(self: &Arc<Self>, call: Call, then: impl FnOnce(&Arc<Self>, Result<Reply, StoreError>) + Send + 'static) {
        let state = Arc::downgrade(self);
        let then = move |reply| {
            if let Some(state) = state.upgrade() {
                then(&state, reply);
            }
        };
        self.shared.send(Message::Call(call, Then(Box::new(then))));
    }

    /// Asks for the number of changes and the generation.
    fn look_at_number(self: &Arc<Self>) {
        let words = vec![b"HMGET".to_vec(), self.number_key(), b"seq".to_vec(), b"gen".to_vec()];
        // The server's numbers are no lower than those that were heard before, unless it lost them.
        let heard = {
            let inner = self.inner();
            (inner.number.unwrap_or(0), inner.generation.unwrap_or(0))
        };
        self.call(Call { script: None, keys: 0, words }, move |state, reply| {
            let Ok(Reply::Array(items)) = reply else { return state.nothing_known() };
            let number = |item: Option<&Reply>| match item {
                Some(Reply::Bulk(digits)) => std::str::from_utf8(digits).ok()?.parse().ok(),
                Some(Reply::Nil) => Some(0),
                _ => None,
            };
            if let (Some(seq), Some(generation)) = (number(items.first()), number(items.get(1))) {
                let is_new = seq < heard.0 || generation < heard.1;
                state.learn(seq, generation, is_new);
            }
        });
    }

    /// The store is down before anything is known: looks load alone.
    fn nothing_known(&self) {
        let held_back = std::mem::take(&mut self.inner().held_back);
        held_back.into_iter().for_each(Waiting::give_up);
    }

    /// Takes the server's numbers. With `is_new`, the server has lost its state.
    fn learn(self: &Arc<Self>, seq: u64, generation: u64, is_new: bool) {
        let mut inner = self.inner();
        let is_cleared = inner.generation.is_some_and(|known| known < generation);
        if is_new {
            (inner.number, inner.generation) = (Some(seq), Some(generation));
        }
        let known = *inner.number.get_or_insert(seq);
        inner.generation = Some(inner.generation.map_or(generation, |known| known.max(generation)));
        drop(inner);
        if is_new || is_cleared {
            self.memo.invalidate_all();
        }
        if seq > known {
            // The message may be on its way.
            Pulse::at(self, MESSAGE, PulseKind::Expect(seq));
        }
        self.go_on();
    }

    /// Begins the looks that were held back, if nothing holds them back any more.
    fn go_on(self: &Arc<Self>) {
        let mut inner = self.inner();
        if inner.generation.is_some() && inner.outbox.is_empty() {
            let looks = std::mem::take(&mut inner.held_back);
            drop(inner);
            looks.into_iter().for_each(Waiting::look);
        }
    }

    /// Wakes the looks that wait for a load.
    fn landed(&self, key: &str) {
        let looks = self.inner().waiting.remove(key);
        looks.into_iter().flatten().for_each(Waiting::look);
    }

    /// Takes a change of any process: its number, the generation, the process, and the key.
    fn changed(self: &Arc<Self>, text: &str) -> Option<()> {
        let mut words = text.splitn(4, ' ');
        let (seq, generation) = (words.next()?.parse::<u64>().ok()?, words.next()?.parse::<u64>().ok()?);
        let (process, key) = (words.next()?, words.next()?);
        let mut inner = self.inner();
        // A lower number was learned by asking before its message came.
        let is_gap = inner.number.is_some_and(|known| seq > known + 1);
        inner.number = Some(inner.number.map_or(seq, |known| known.max(seq)));
        inner.generation = Some(inner.generation.map_or(generation, |known| known.max(generation)));
        drop(inner);
        let key_of_other = if process == self.process { None } else { Some(text::unescaped(key)) };
        match key_of_other {
            _ if is_gap => self.memo.invalidate_all(),
            None => {}
            Some(Some(other)) if !key.is_empty() => self.memo.invalidate(&other),
            Some(_) => self.memo.invalidate_all(),
        }
        self.landed(key);
        self.go_on();
        Some(())
    }
}

impl Listener for State {
    fn subscribed(&self) {
        let mut inner = self.inner();
        let was_subscribed = std::mem::replace(&mut inner.was_subscribed, true);
        if was_subscribed {
            inner.number = None;
        }
        drop(inner);
        if was_subscribed {
            self.memo.invalidate_all();
        }
        if let Some(state) = self.this() {
            // At the first time, this shows if changes since the first look were missed.
            state.look_at_number();
        }
    }

    fn message(&self, payload: &[u8]) {
        let Ok(text) = std::str::from_utf8(payload) else { return };
        match text.split_once(' ') {
            Some(("landed", key)) => self.landed(key),
            Some(("changed", rest)) => drop(self.this().and_then(|state| state.changed(rest))),
            _ => {}
        }
    }

    fn lost(&self) {
        let Some(state) = self.this() else { return };
        let mut inner = self.inner();
        let settled = inner.outbox.fail();
        let waiting = std::mem::take(&mut inner.waiting);
        let held_back = std::mem::take(&mut inner.held_back);
        drop(inner);
        for settled in settled {
            settled.resolve(Err(self.down()));
        }
        waiting.into_values().flatten().chain(held_back).for_each(Waiting::give_up);
        Pulse::deaf(&state, self.deaf_ttl);
    }

    fn restored(&self) {
        if let Some(state) = self.this() {
            state.look_at_number();
            state.send_changes();
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// Work of a tier at a moment.
#[derive(Debug)]
struct Pulse {
    state: Weak<State>,
    kind: PulseKind,
}

#[derive(Debug, Clone, Copy)]
enum PulseKind {
    /// Looks at the number of changes, again and again.
    Look,
    /// Has heard of this change by now, or is deaf.
    Expect(u64),
    /// Forgets the values if the server is still down.
    Deaf,
}

impl Pulse {
    fn at(state: &Arc<State>, after: Duration, kind: PulseKind) {
        let job = Arc::new(Self { state: Arc::downgrade(state), kind });
        state.shared.send(Message::Job { job, at: Instant::now() + after });
    }

    fn set(state: &Arc<State>, after: Duration) {
        Self::at(state, after, PulseKind::Look);
    }

    fn deaf(state: &Arc<State>, after: Duration) {
        Self::at(state, after, PulseKind::Deaf);
    }
}

impl Job for Pulse {
    fn run(self: Arc<Self>) {
        let Some(state) = self.state.upgrade() else { return };
        match self.kind {
            PulseKind::Look => {
                if state.shared.is_up() {
                    state.look_at_number();
                }
                Self::set(&state, PULSE);
            }
            PulseKind::Expect(seq) => {
                let mut inner = state.inner();
                let is_missed = inner.number.is_some_and(|known| known < seq);
                if is_missed {
                    inner.number = Some(seq);
                }
                drop(inner);
                if is_missed {
                    state.memo.invalidate_all();
                    state.shared.send(Message::IsDeaf);
                }
            }
            PulseKind::Deaf if !state.shared.is_up() => {
                state.memo.invalidate_all();
                Self::deaf(&state, state.deaf_ttl);
            }
            PulseKind::Deaf => {}
        }
    }
}
