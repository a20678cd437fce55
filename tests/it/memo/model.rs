//! The memo against a naive memo, with all events in any order.
//!
//! Calls are polled only after they were woken, and in the order in which they were made. The call
//! that takes over a load is therefore known.
//!
//! Each call is polled in the runtime in which it was made. The clock of a runtime moves by itself.

use crate::support::{NaiveClocks, cases, ms, paused};
use decor::{Error, Failure, FnExt, Memo, MemoStats, RetryPolicy};
use futures::{FutureExt, future::BoxFuture};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};
use tokio::{runtime::Runtime, sync::oneshot, time::advance};
use tokio_test::task::{self, Spawn};

pub(crate) type Answer = Result<u32, u32>;

/// Added to the number of an error that waiters get as text. No load has such a number.
const TOLD: u32 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Errors {
    #[default]
    Reported,
    Shared,
    Isolated,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    /// A call with this key.
    Call(u8),
    /// The n-th of the loads that are under way ends. Its value is its number, and its error is
    /// unique.
    Succeed(usize),
    Fail(usize),
    /// The n-th call is dropped, if it has not ended.
    Drop(usize),
    Get(u8),
    Insert(u8),
    Invalidate(u8),
    /// Removes the value of this key if it is odd, or if it is even: see `is_hit`.
    InvalidateIf(u8, u32),
    /// Removes all values with this sum of number and key, modulo 3.
    InvalidateWhere(u32),
    /// Removes all values with this tag: see `tags_of`.
    InvalidateTag(u32),
    Refresh(u8),
    /// From now on, values with this number modulo 5 are invalid, and all others are valid.
    Revoke(u32),
    Peek(u8),
    /// Visits all values that have not expired.
    Look,
    Purge,
    Clear,
    /// Advances the clock of the current runtime by this many milliseconds. The memo does not read
    /// it.
    Advance(u64),
    /// Makes the n-th runtime the current one.
    Switch(usize),
}

impl Event {
    fn reads_the_clock(self) -> bool {
        !matches!(self, Self::Advance(_) | Self::Switch(_))
    }
}

fn runtimes(events: &[Event]) -> usize {
    let switches = events.iter().map(|event| if let Event::Switch(runtime) = event { *runtime } else { 0 });
    1 + switches.max().unwrap_or_default()
}

/// The settings of a memo, with times in milliseconds and parts in percent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    /// TTLs, by the value's number modulo 3. A value with 0 is not kept, and one with `u64::MAX`
    /// never expires.
    pub(crate) ttls: [u64; 3],
    /// Weights, by the value's number modulo 4. 0 counts as 1.
    pub(crate) weights: [u32; 4],
    /// Capacity; `None` for more than the test can store.
    pub(crate) capacity: Option<u64>,
    pub(crate) time_to_idle: Option<u64>,
    pub(crate) refresh_ahead: Option<u32>,
    pub(crate) stale_while_revalidate: u64,
    pub(crate) stale_on_error: u64,
    /// Delay after the first failed refresh. The n-th delay is n times as long.
    pub(crate) refresh_backoff: u64,
    pub(crate) errors: Errors,
    /// `true` if values can be revoked.
    pub(crate) valid_while: bool,
}

/// Returns `true` if an invalidation matches a value.
fn is_hit(by: Event, key: u8, value: u32) -> bool {
    match by {
        Event::InvalidateIf(of, rest) => key == of && value % 2 == rest,
        Event::InvalidateWhere(rest) => (u32::from(key) + value) % 3 == rest,
        Event::InvalidateTag(tag) => tags_of(key, value).contains(&tag.to_string()),
        _ => unreachable!("no such invalidation"),
    }
}

/// Returns the tags of a value, which has none, one, or two that may be equal.
fn tags_of(key: u8, value: u32) -> Vec<String> {
    let tags = [value % 4, u32::from(key) % 3];
    tags.iter().take(value as usize % 3).map(ToString::to_string).collect()
}

/// The value of `Revoke` before the first such event.
const NONE_REVOKED: u32 = u32::MAX;

impl Settings {
    /// Returns settings with this TTL for all values, without a bound.
    pub(crate) fn ttl(ttl: u64) -> Self {
        Self { ttls: [ttl; 3], ..Self::default() }
    }

    fn ttl_of(&self, value: u32) -> u64 {
        self.ttls[value as usize % 3]
    }

    fn weight_of(&self, value: u32) -> u32 {
        self.weights[value as usize % 4]
    }

    fn capacity(&self) -> u64 {
        self.capacity.unwrap_or(1_000_000)
    }
}

/// All that can be observed of a memo.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Seen {
    /// Answer of each call; `None` if the call has not ended.
    pub(crate) answers: Vec<Option<Answer>>,
    /// Key of each load and the event at which it began, in the order of the loads.
    pub(crate) loads: Vec<(u8, usize)>,
    pub(crate) gets: Vec<Option<u32>>,
    /// Values that each visit found, sorted, or the value that a peek found.
    pub(crate) looks: Vec<Vec<u32>>,
    /// Number of values that each invalidation and each purge has removed.
    pub(crate) removed: Vec<usize>,
    /// Stats after each event: see `counted`.
    pub(crate) stats: Vec<[u64; 15]>,
    /// Values that are alive after each event.
    pub(crate) alive: Vec<Vec<u32>>,
}

fn counted(stats: &MemoStats) -> [u64; 15] {
    let nanos = u64::try_from(stats.total_load_time.as_nanos()).unwrap();
    [
        stats.hits,
        stats.misses,
        stats.coalesced,
        stats.loads,
        stats.loading,
        stats.load_failures,
        stats.loads_abandoned,
        stats.refreshes,
        stats.refreshes_ahead,
        stats.stale_hits,
        stats.stale_on_error,
        stats.expirations,
        stats.evictions,
        stats.entries,
        nanos / 1_000_000,
    ]
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap()
}

/// Added to the index of an event that inserts, for its value. No load has such a number.
const INSERTED: u32 = 1_000;

/// Key of values that are not kept. Their insertion only reads the clock.
const UNKEPT: u8 = u8::MAX;

mod real {
    use super::*;

    /// Number of living clones of each value.
    type Alive = Arc<Mutex<BTreeMap<u32, usize>>>;

    struct Value {
        number: u32,
        alive: Alive,
    }

    impl Value {
        fn new(number: u32, alive: &Alive) -> Self {
            *alive.lock().unwrap().entry(number).or_default() += 1;
            Self { number, alive: Arc::clone(alive) }
        }
    }

    impl Clone for Value {
        fn clone(&self) -> Self {
            Self::new(self.number, &self.alive)
        }
    }

    impl Drop for Value {
        fn drop(&mut self) {
            let mut alive = self.alive.lock().unwrap();
            let left = alive[&self.number] - 1;
            if left == 0 {
                alive.remove(&self.number);
            } else {
                alive.insert(self.number, left);
            }
        }
    }

    type Loads = Arc<Mutex<Vec<(u8, usize, Option<oneshot::Sender<Answer>>)>>>;

    struct Call {
        runtime: usize,
        future: Spawn<BoxFuture<'static, Answer>>,
    }

    struct World {
        runtimes: Vec<Runtime>,
        /// Index of the current runtime.
        here: usize,
        memo: Memo<u8, Value>,
        errors: Errors,
        loads: Loads,
        alive: Alive,
        /// Index of the present event.
        at: Arc<AtomicUsize>,
        revoked: Arc<AtomicU32>,
        calls: Vec<Option<Call>>,
        seen: Seen,
    }

    impl World {
        fn new(settings: Settings, runtimes: usize) -> Self {
            let runtimes: Vec<_> = (0..runtimes).map(|_| paused()).collect();
            let last = runtimes.last().unwrap().enter();
            let ttl = move |key, value: &Value| match settings.ttl_of(value.number) {
                _ if key == UNKEPT => Duration::ZERO,
                u64::MAX => Duration::MAX,
                ttl => ms(ttl),
            };
            let mut memo = Memo::builder()
                .ttl_by(move |key: &u8, value: &Value| ttl(*key, value))
                .weigher(move |_: &u8, value: &Value| settings.weight_of(value.number))
                .capacity(settings.capacity())
                .stale_while_revalidate(ms(settings.stale_while_revalidate))
                .stale_on_error(ms(settings.stale_on_error))
                .tags_by(|key: &u8, value: &Value| tags_of(*key, value.number));
            if let Some(idle) = settings.time_to_idle {
                memo = memo.time_to_idle(ms(idle));
            }
            let revoked = Arc::new(AtomicU32::new(NONE_REVOKED));
            if settings.valid_while {
                let revoked = Arc::clone(&revoked);
                memo = memo.valid_while(move |_: &u8, value: &Value| value.number % 5 != revoked.load(Relaxed));
            }
            if let Some(percent) = settings.refresh_ahead {
                memo = memo.refresh_ahead(f64::from(percent) / 100.0);
            }
            memo = memo.refresh_backoff(match settings.refresh_backoff {
                0 => RetryPolicy::fixed(Duration::ZERO),
                step => RetryPolicy::linear(ms(step)),
            });
            let memo = memo.build();
            drop(last);
            let world = Self {
                runtimes,
                here: 0,
                memo,
                errors: settings.errors,
                loads: Loads::default(),
                alive: Alive::default(),
                at: Arc::default(),
                revoked,
                calls: Vec::new(),
                seen: Seen::default(),
            };
            for runtime in &world.runtimes {
                let _there = runtime.enter();
                world.read_the_clock();
            }
            world
        }

        fn call(&mut self, key: u8) {
            let (loads, at, alive) = (Arc::clone(&self.loads), Arc::clone(&self.at), Arc::clone(&self.alive));
            let load = move || {
                let (sender, receiver) = oneshot::channel();
                loads.lock().unwrap().push((key, at.load(Relaxed), Some(sender)));
                async move {
                    let answer: Answer = receiver.await.expect("a load is dropped only with its call");
                    answer.map(|number| Value::new(number, &alive))
                }
            };
            let call = self.memo.get_or_load(key, load.lifted());
            let number = |answer: Result<Value, Failure<u32>>| match answer {
                Ok(value) => Ok(value.number),
                Err(Failure::Call(number)) => Err(number),
                Err(Failure::Policy(Error::LoadFailed { message, .. })) => Err(TOLD + message.parse::<u32>().unwrap()),
                Err(Failure::Policy(error)) => panic!("{error}"),
            };
            let call: BoxFuture<'static, Answer> = match self.errors {
                Errors::Reported => call.map(number).boxed(),
                Errors::Shared => call.sharing_errors().map(number).boxed(),
                Errors::Isolated => call.isolating_errors().map(number).boxed(),
            };
            self.calls.push(Some(Call { runtime: self.here, future: task::spawn(call) }));
            self.seen.answers.push(None);
            self.poll(self.calls.len() - 1);
        }

        /// Reads the clock for the memo. Its own reads depend on its state, because a value that
        /// never expires needs no clock.
        fn read_the_clock(&self) {
            if self.runtimes.len() > 1 {
                self.memo.insert(UNKEPT, Value::new(u32::MAX, &self.alive));
            }
        }

        fn poll(&mut self, number: usize) {
            let Some(mut call) = self.calls[number].take() else { return };
            let _there = self.runtimes[call.runtime].enter();
            match call.future.poll() {
                Poll::Ready(answer) => self.seen.answers[number] = Some(answer),
                Poll::Pending => self.calls[number] = Some(call),
            }
            self.read_the_clock();
        }

        fn run(&mut self) {
            let is_woken = |call: &Option<Call>| call.as_ref().is_some_and(|call| call.future.is_woken());
            while let Some(call) = self.calls.iter().position(is_woken) {
                self.poll(call);
            }
        }

        fn happen(&mut self, at: usize, event: Event) {
            let here = self.runtimes[self.here].handle().clone();
            let _here = here.enter();
            match event {
                Event::Call(key) => self.call(key),
                Event::Succeed(load) => self.end(load, |load| Ok(number(load))),
                Event::Fail(load) => self.end(load, |_| Err(number(at))),
                Event::Drop(call) => drop(self.calls.get_mut(call).and_then(Option::take)),
                Event::Get(key) => self.seen.gets.push(self.memo.get(&key).map(|value| value.number)),
                Event::Insert(key) => self.memo.insert(key, Value::new(INSERTED + number(at), &self.alive)),
                Event::Invalidate(key) => self.memo.invalidate(&key),
                Event::InvalidateIf(key, _) => {
                    let removed = self.memo.invalidate_if(&key, |value| is_hit(event, key, value.number));
                    self.seen.removed.push(removed.into());
                }
                Event::InvalidateWhere(_) => {
                    let is_it = move |key: &u8, value: &Value| is_hit(event, *key, value.number);
                    self.seen.removed.push(self.memo.invalidate_where(is_it));
                }
                Event::InvalidateTag(tag) => self.seen.removed.push(self.memo.invalidate_tag(&tag.to_string())),
                Event::Refresh(key) => self.memo.refresh(&key),
                Event::Revoke(rest) => self.revoked.store(rest, Relaxed),
                Event::Peek(key) => {
                    let peeked: Vec<_> = self.memo.peek(&key).iter().map(|value| value.number).collect();
                    assert_eq!(self.memo.contains(&key), !peeked.is_empty());
                    self.seen.looks.push(peeked);
                }
                Event::Look => {
                    let mut seen = Vec::new();
                    self.memo.for_each(|_, value| seen.push(value.number));
                    seen.sort_unstable();
                    self.seen.looks.push(seen);
                }
                Event::Purge => self.seen.removed.push(self.memo.purge_expired()),
                Event::Clear => self.memo.clear(),
                Event::Advance(millis) => self.runtimes[self.here].block_on(advance(ms(millis))),
                Event::Switch(runtime) => self.here = runtime,
            }
            if event.reads_the_clock() {
                self.read_the_clock();
            }
        }

        fn end(&mut self, load: usize, answer: impl FnOnce(usize) -> Answer) {
            let mut loads = self.loads.lock().unwrap();
            let under_way = loads.iter_mut().enumerate();
            let mut under_way = under_way.filter(|(_, (.., sender))| sender.as_ref().is_some_and(|s| !s.is_closed()));
            if let Some((number, (.., sender))) = under_way.nth(load) {
                sender.take().unwrap().send(answer(number)).unwrap();
            }
        }
    }

    pub(super) fn run(settings: Settings, events: &[Event]) -> Seen {
        let mut world = World::new(settings, runtimes(events));
        for (at, event) in events.iter().enumerate() {
            world.at.store(at, Relaxed);
            world.happen(at, *event);
            world.run();
            world.seen.alive.push(world.alive.lock().unwrap().keys().copied().collect());
            world.seen.stats.push(counted(&world.memo.stats()));
        }
        drop((world.memo, world.calls));
        assert!(world.alive.lock().unwrap().is_empty(), "values are alive after the memo was dropped");
        world.seen.loads = world.loads.lock().unwrap().iter().map(|(key, at, _)| (*key, *at)).collect();
        world.seen
    }
}

mod naive {
    use super::*;

    #[derive(Clone, Copy)]
    struct Value {
        number: u32,
        loaded_at: u64,
        ttl: u64,
        weight: u64,
        /// Number of the store of the value.
        stored: usize,
        /// `true` if the value was used since it entered the queue.
        is_used: bool,
        /// `true` if the value was marked for a refresh.
        is_due: bool,
        /// Time of the latest use before the value expired.
        used_at: u64,
        /// Number of failed refreshes.
        failures: u64,
        rests_until: u64,
    }

    impl Value {
        fn expires_at(&self, settings: &Settings) -> u64 {
            let idle = settings.time_to_idle.map_or(u64::MAX, |idle| self.used_at + idle);
            self.loaded_at.saturating_add(self.ttl).min(idle)
        }
    }

    #[allow(clippy::struct_excessive_bools)] // each changes independently
    struct Load {
        key: u8,
        leader: usize,
        began: u64,
        /// `true` if there was no clear since the load began.
        current: bool,
        /// `true` if there was also no invalidation of its key. Calls can join the load, and its
        /// value will be kept.
        attached: bool,
        /// `true` if there was a value to serve when the load began.
        is_refresh: bool,
        joined: BTreeSet<usize>,
        /// Calls in `joined` that came after an invalidation by value or tag.
        late: BTreeSet<usize>,
        /// Invalidations by value or tag since the load began.
        doubts: Vec<Event>,
        ended: bool,
    }

    impl Load {
        fn join(&mut self, call: usize) {
            self.joined.insert(call);
            if !self.doubts.is_empty() {
                self.late.insert(call);
            }
        }
    }

    struct Call {
        key: u8,
        runtime: usize,
        is_over: bool,
    }

    struct Model {
        settings: Settings,
        clocks: NaiveClocks,
        /// Index of the current runtime.
        here: usize,
        /// Time at the latest read of a clock.
        now: u64,
        at: usize,
        values: BTreeMap<u8, Value>,
        /// Keys in the order of eviction.
        order: VecDeque<u8>,
        revoked: u32,
        /// Expiry, number of the store, and key of each stored value. The value may have left.
        expiries: BTreeSet<(u64, usize, u8)>,
        stores: usize,
        loads: Vec<Load>,
        calls: Vec<Call>,
        stats: MemoStats,
        load_millis: u64,
        seen: Seen,
    }

    impl Model {
        fn age(&self, key: u8) -> Option<u64> {
            self.values.get(&key).map(|value| self.now - value.loaded_at)
        }

        fn ttl(&self, key: u8) -> u64 {
            self.values.get(&key).map_or(0, |value| match value.expires_at(&self.settings) {
                u64::MAX => u64::MAX,
                expires_at => expires_at - value.loaded_at,
            })
        }

        fn window(&self) -> u64 {
            self.settings.stale_while_revalidate.max(self.settings.stale_on_error)
        }

        fn remove(&mut self, key: u8) {
            self.values.remove(&key);
            self.order.retain(|other| *other != key);
        }

        /// Removes a value for a reason other than its expiry.
        fn forget(&mut self, key: u8) {
            if self.age(key).is_some_and(|age| age >= self.ttl(key)) {
                self.stats.expirations += 1;
            }
            self.remove(key);
        }

        fn is_valid(&self, value: u32) -> bool {
            !self.settings.valid_while || value % 5 != self.revoked
        }

        fn is_useless(&self, key: u8) -> bool {
            let is_revoked = self.values.get(&key).is_some_and(|value| !self.is_valid(value.number));
            is_revoked || self.is_dead(key)
        }

        fn is_dead(&self, key: u8) -> bool {
            self.age(key).is_some_and(|age| age >= self.ttl(key).saturating_add(self.window()))
        }

        fn is_unexpired(&self, key: u8) -> bool {
            !self.is_useless(key) && self.age(key).is_some_and(|age| age < self.ttl(key))
        }

        fn forget_if_useless(&mut self, key: u8) {
            if self.is_useless(key) {
                self.stats.expirations += 1;
                self.remove(key);
            }
        }

        /// Removes the values that are not dead and that an invalidation matches.
        fn forget_where(&mut self, by: Event) {
            let keys: Vec<u8> = self.values.keys().copied().filter(|key| !self.is_dead(*key)).collect();
            let hit: Vec<u8> = keys.into_iter().filter(|key| is_hit(by, *key, self.values[key].number)).collect();
            for key in &hit {
                self.forget(*key);
            }
            self.seen.removed.push(hit.len());
        }

        fn use_value(&mut self, key: u8) -> u32 {
            let has_expired = self.age(key).is_some_and(|age| age >= self.ttl(key));
            let value = self.values.get_mut(&key).unwrap();
            value.is_used = true;
            if !has_expired {
                value.used_at = self.now;
            }
            value.number
        }

        /// Removes the value at the front of the expiries, if it has expired at this moment. A
        /// value that was used meanwhile moves to another place.
        fn expire(&mut self, moment: u64) -> bool {
            let Some(&(at, stored, key)) = self.expiries.first() else { return false };
            if at > moment {
                return false;
            }
            self.expiries.pop_first();
            if let Some(value) = self.values.get(&key).filter(|value| value.stored == stored) {
                let expires_at = value.expires_at(&self.settings);
                if expires_at > moment {
                    self.expiries.insert((expires_at, stored, key));
                } else {
                    self.stats.expirations += 1;
                    self.remove(key);
                }
            }
            true
        }

        fn exceeds(&self) -> bool {
            self.values.values().map(|value| value.weight).sum::<u64>() > self.settings.capacity()
        }

        fn keep(&mut self, key: u8, value: u32) {
            self.forget(key);
            let (ttl, weight) = (self.settings.ttl_of(value), u64::from(self.settings.weight_of(value).max(1)));
            if ttl == 0 {
                return;
            }
            if weight > self.settings.capacity() {
                self.stats.evictions += 1;
                return;
            }
            self.stores += 1;
            let new = Value {
                number: value,
                loaded_at: self.now,
                ttl,
                weight,
                stored: self.stores,
                is_used: false,
                is_due: false,
                used_at: self.now,
                failures: 0,
                rests_until: 0,
            };
            self.values.insert(key, new);
            while self.exceeds() && self.expire(self.now) {}
            while self.exceeds() {
                let first = self.order.pop_front().unwrap();
                let value = self.values.get_mut(&first).unwrap();
                if std::mem::take(&mut value.is_used) {
                    self.order.push_back(first);
                } else {
                    self.stats.evictions += 1;
                    self.values.remove(&first);
                }
            }
            self.order.push_back(key);
            if new.expires_at(&self.settings) < u64::MAX {
                self.expiries.insert((new.expires_at(&self.settings), new.stored, key));
            }
            self.sweep();
        }

        fn sweep(&mut self) {
            if let Some(moment) = self.now.checked_sub(self.window()) {
                let _ = self.expire(moment) && self.expire(moment);
            }
        }

        fn detach(&mut self, key: u8) {
            for load in self.loads.iter_mut().filter(|load| load.key == key) {
                load.attached = false;
            }
        }

        /// Polls a call, which reads the clock of its runtime.
        fn poll(&mut self, call: usize) {
            self.now = self.clocks.read(self.calls[call].runtime);
        }

        fn answer(&mut self, call: usize, answer: Answer) {
            self.poll(call);
            self.seen.answers[call] = Some(answer);
            self.calls[call].is_over = true;
        }

        fn call(&mut self, key: u8) {
            self.calls.push(Call { key, runtime: self.here, is_over: false });
            self.seen.answers.push(None);
            if self.joins_vacant(self.calls.len() - 1) {
                return;
            }
            if !self.never_expires(key) {
                self.sweep();
            }
            self.contact(self.calls.len() - 1, true);
        }

        /// A call that joins the load of a key without a value sweeps nothing.
        fn joins_vacant(&mut self, call: usize) -> bool {
            let key = self.calls[call].key;
            let is_vacant = !self.values.contains_key(&key);
            let flight = self.loads.iter_mut().find(|load| is_vacant && load.key == key && load.attached);
            let Some(flight) = flight else { return false };
            self.stats.coalesced += 1;
            flight.join(call);
            true
        }

        /// Returns `true` for a value that never expires. A hit on it reads no clock.
        fn never_expires(&self, key: u8) -> bool {
            let is_hit = !self.is_marked(key) && !self.is_useless(key);
            self.settings.time_to_idle.is_none() && self.ttl(key) == u64::MAX && is_hit
        }

        fn is_marked(&self, key: u8) -> bool {
            self.values.get(&key).is_some_and(|value| value.is_due)
        }

        fn contact(&mut self, call: usize, is_first: bool) {
            self.poll(call);
            let key = self.calls[call].key;
            let Settings { refresh_ahead, stale_while_revalidate, .. } = self.settings;
            let first = u64::from(is_first);
            let (age, ttl) = (self.age(key), self.ttl(key));
            let whole = self.values.get(&key).map_or(0, |value| value.ttl);
            let ahead = refresh_ahead.filter(|_| whole < u64::MAX);
            let due = ahead.map_or(ttl, |percent| ttl.min(whole * u64::from(percent) / 100));
            let due = if self.is_marked(key) { 0 } else { due };
            let is_useful = !self.is_useless(key);
            let rests = self.values.get(&key).is_some_and(|value| self.now < value.rests_until);
            let is_fresh = is_useful && age.is_some_and(|age| age < if rests { ttl } else { due });
            let is_stale = age.is_some_and(|age| age >= ttl);
            let is_resting = is_useful && rests && age.is_some_and(|age| age < ttl.saturating_add(self.window()));
            let is_servable =
                is_resting || is_useful && age.is_some_and(|age| age < ttl.saturating_add(stale_while_revalidate));
            let flight = self.loads.iter_mut().find(|load| load.key == key && load.attached);
            if is_fresh || is_resting || (is_servable && flight.is_some()) {
                self.stats.hits += first;
                self.stats.stale_hits += u64::from(is_stale);
                let value = self.use_value(key);
                self.answer(call, Ok(value));
                return;
            }
            if let Some(flight) = flight {
                self.stats.coalesced += first;
                flight.join(call);
                return;
            }
            self.stats.misses += first;
            self.stats.loads += 1;
            self.stats.refreshes += u64::from(is_servable);
            self.stats.refreshes_ahead += u64::from(is_servable && !is_stale);
            self.forget_if_useless(key);
            self.seen.loads.push((key, self.at));
            let began = self.now;
            self.loads.push(Load {
                key,
                leader: call,
                began,
                current: true,
                attached: true,
                is_refresh: is_servable,
                joined: BTreeSet::new(),
                late: BTreeSet::new(),
                doubts: Vec::new(),
                ended: false,
            });
        }

        /// Lets waiting calls try again, in the order in which they were made.
        fn again(&mut self, calls: BTreeSet<usize>) {
            for call in calls {
                self.contact(call, false);
            }
        }

        fn end(&mut self, load: usize, answer: impl FnOnce(usize) -> Answer) {
            let mut under_way = self.loads.iter_mut().enumerate().filter(|(_, load)| !load.ended);
            let Some((number, load)) = under_way.nth(load) else { return };
            let answer = answer(number);
            load.ended = true;
            let Load { key, leader, began, current, attached, is_refresh, .. } = *load;
            let joined = std::mem::take(&mut load.joined);
            let late = std::mem::take(&mut load.late);
            let doubts = std::mem::take(&mut load.doubts);
            load.attached = false;
            self.poll(leader);
            if current {
                self.load_millis += self.now - began;
            }
            if let Ok(value) = answer {
                let is_outdated = !attached || doubts.iter().any(|by| is_hit(*by, key, value));
                if !is_outdated {
                    self.keep(key, value);
                }
                self.answer(leader, answer);
                for call in joined {
                    if is_outdated && late.contains(&call) {
                        self.contact(call, false);
                    } else {
                        self.answer(call, answer);
                    }
                }
                return;
            }
            self.stats.load_failures += u64::from(current);
            let (ttl, window) = (self.ttl(key), self.window());
            let can_stand_in = current && (is_refresh || self.settings.refresh_ahead.is_some() || window > 0);
            let age = self.age(key).filter(|_| can_stand_in && !self.is_useless(key));
            let stands_in = age.map(|_| self.use_value(key));
            let is_doubted = |value| doubts.iter().any(|by| is_hit(*by, key, value));
            let is_outdated = !attached || stands_in.is_some_and(is_doubted);
            if stands_in.is_some() && !is_outdated {
                let step = self.settings.refresh_backoff;
                let value = self.values.get_mut(&key).unwrap();
                value.failures += 1;
                value.rests_until = self.now + step * value.failures;
            }
            let is_stale = age.is_some_and(|age| age >= ttl);
            let told = match (stands_in, self.settings.errors) {
                (Some(value), _) => Some(Ok(value)),
                (None, Errors::Reported) => Some(answer.map_err(|number| TOLD + number)),
                (None, Errors::Shared) => Some(answer),
                (None, Errors::Isolated) => None,
            };
            self.stats.stale_on_error += u64::from(is_stale);
            self.answer(leader, stands_in.map_or(answer, Ok));
            for call in joined {
                match told.filter(|_| !(is_outdated && late.contains(&call))) {
                    Some(told) => {
                        self.stats.stale_on_error += u64::from(is_stale);
                        self.answer(call, told);
                    }
                    None => self.contact(call, false),
                }
            }
        }

        fn leave(&mut self, call: usize) {
            let Some(state) = self.calls.get_mut(call).filter(|state| !state.is_over) else { return };
            state.is_over = true;
            for load in &mut self.loads {
                load.joined.remove(&call);
                load.late.remove(&call);
            }
            let Some(load) = self.loads.iter_mut().find(|load| load.leader == call && !load.ended) else { return };
            load.ended = true;
            load.attached = false;
            self.stats.loads_abandoned += u64::from(load.current);
            let joined = std::mem::take(&mut load.joined);
            self.again(joined);
        }

        fn get(&mut self, key: u8) {
            let found = self.is_unexpired(key).then(|| self.use_value(key));
            self.stats.hits += u64::from(found.is_some());
            self.stats.misses += u64::from(found.is_none());
            // An expired value is no hit, and `valid_while` is not called for it.
            let age = self.age(key).unwrap_or_default();
            if age < self.ttl(key) || age >= self.ttl(key).saturating_add(self.window()) {
                self.forget_if_useless(key);
            }
            if !self.never_expires(key) {
                self.sweep();
            }
            self.seen.gets.push(found);
        }

        fn look(&mut self) {
            self.stats.loading = self.loads.iter().filter(|load| load.current && !load.ended).count() as u64;
            self.stats.entries = self.values.len() as u64;
            self.stats.total_load_time = ms(self.load_millis);
            self.seen.stats.push(counted(&self.stats));
            let mut alive: Vec<_> = self.values.values().map(|value| value.number).collect();
            alive.sort_unstable();
            self.seen.alive.push(alive);
        }
    }

    pub(super) fn run(settings: Settings, events: &[Event]) -> Seen {
        let mut model = Model {
            settings,
            clocks: NaiveClocks::default(),
            here: 0,
            now: 0,
            at: 0,
            values: BTreeMap::new(),
            order: VecDeque::new(),
            revoked: NONE_REVOKED,
            expiries: BTreeSet::new(),
            stores: 0,
            loads: Vec::new(),
            calls: Vec::new(),
            stats: MemoStats::default(),
            load_millis: 0,
            seen: Seen::default(),
        };
        for (at, event) in events.iter().enumerate() {
            model.at = at;
            if event.reads_the_clock() {
                model.now = model.clocks.read(model.here);
            }
            let event = *event;
            match event {
                Event::Call(key) => model.call(key),
                Event::Succeed(load) => model.end(load, |load| Ok(number(load))),
                Event::Fail(load) => model.end(load, |_| Err(number(at))),
                Event::Drop(call) => model.leave(call),
                Event::Get(key) => model.get(key),
                Event::Insert(key) => {
                    model.detach(key);
                    model.keep(key, INSERTED + number(at));
                }
                Event::Invalidate(key) => {
                    model.detach(key);
                    model.forget(key);
                }
                Event::InvalidateIf(key, _) => {
                    model.forget_where(event);
                    if model.seen.removed.last() == Some(&1) {
                        model.detach(key);
                    }
                }
                Event::InvalidateWhere(_) | Event::InvalidateTag(_) => {
                    model.forget_where(event);
                    for load in model.loads.iter_mut().filter(|load| load.attached) {
                        load.doubts.push(event);
                    }
                }
                Event::Refresh(key) => {
                    model.detach(key);
                    let (age, ttl) = (model.age(key), model.ttl(key));
                    if let Some(value) = model.values.get_mut(&key) {
                        value.is_due |= age.is_some_and(|age| age < ttl);
                        value.rests_until = 0;
                    }
                }
                Event::Revoke(rest) => model.revoked = rest,
                Event::Peek(key) => {
                    let value = model.is_unexpired(key).then(|| model.values[&key].number);
                    model.seen.looks.push(value.into_iter().collect());
                }
                Event::Look => {
                    let good = model.values.iter().filter(|(key, _)| model.is_unexpired(**key));
                    let mut good: Vec<_> = good.map(|(_, value)| value.number).collect();
                    good.sort_unstable();
                    model.seen.looks.push(good);
                }
                Event::Purge => {
                    let dead: Vec<u8> = model.values.keys().copied().filter(|key| model.is_useless(*key)).collect();
                    for key in &dead {
                        model.forget_if_useless(*key);
                    }
                    model.seen.removed.push(dead.len());
                }
                Event::Clear => {
                    model.values.clear();
                    model.order.clear();
                    model.expiries.clear();
                    for load in &mut model.loads {
                        (load.attached, load.current) = (false, false);
                    }
                    (model.stats, model.load_millis) = (MemoStats::default(), 0);
                }
                Event::Advance(millis) => model.clocks.pass(model.here, millis),
                Event::Switch(runtime) => model.here = runtime,
            }
            model.look();
        }
        model.seen
    }
}

/// Runs both memos. Checks that they agree, and that the result is sound.
pub(crate) fn check(settings: Settings, events: &[Event]) -> Result<(), TestCaseError> {
    let seen = real::run(settings, events);
    prop_assert_eq!(&seen, &naive::run(settings, events));
    stats_add_up(&seen, events)?;
    the_bound_is_never_exceeded(settings, &seen)?;
    no_value_from_before_a_clear_is_seen_after_it(&seen, events)
}

fn stats_add_up(seen: &Seen, events: &[Event]) -> Result<(), TestCaseError> {
    let mut calls = 0;
    for (event, stats) in events.iter().zip(&seen.stats) {
        calls = match event {
            Event::Call(_) | Event::Get(_) => calls + 1,
            Event::Clear => 0,
            _ => calls,
        };
        let [hits, misses, coalesced, loads, loading, failures, abandoned, ..] = *stats;
        prop_assert_eq!(hits + misses + coalesced, calls, "every call is counted once");
        prop_assert!(loads >= loading + failures + abandoned);
    }
    Ok(())
}

fn the_bound_is_never_exceeded(settings: Settings, seen: &Seen) -> Result<(), TestCaseError> {
    for alive in &seen.alive {
        let weight: u64 = alive.iter().map(|value| u64::from(settings.weight_of(*value).max(1))).sum();
        prop_assert!(weight <= settings.capacity(), "{:?} weigh {}", alive, weight);
    }
    Ok(())
}

fn no_value_from_before_a_clear_is_seen_after_it(seen: &Seen, events: &[Event]) -> Result<(), TestCaseError> {
    let (mut answers, mut gets) = (seen.answers.iter(), seen.gets.iter());
    for (at, event) in events.iter().enumerate() {
        let value = match event {
            Event::Call(_) => answers.next().copied().flatten().and_then(Result::ok),
            Event::Get(_) => *gets.next().unwrap(),
            _ => continue,
        };
        let Some(&(of, began)) = value.and_then(|value| seen.loads.get(value as usize)) else { continue };
        let ends_it = |event: &Event| match *event {
            Event::Clear => true,
            Event::Invalidate(key) | Event::Insert(key) => key == of,
            Event::InvalidateWhere(_) | Event::InvalidateTag(_) => is_hit(*event, of, value.unwrap()),
            _ => false,
        };
        // No event lies between a call and a load that began with this call or after it.
        let between = events.get(began + 1..at).unwrap_or_default();
        prop_assert!(!between.iter().any(ends_it), "event {} got load {:?}, which began at {}", at, value, began);
    }
    Ok(())
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let window = || prop_oneof![Just(0_u64), 1_u64..8];
    let ahead = prop_oneof![Just(None), Just(Some(50_u32)), Just(Some(80))];
    let ttl = || prop_oneof![6 => Just(10_u64), 3 => Just(20), 2 => Just(u64::MAX), 1 => Just(0)];
    let ttls = prop_oneof![Just([10; 3]), [ttl(), ttl(), ttl()]];
    let capacity = prop_oneof![Just(None), (1_u64..8).prop_map(Some)];
    let weight = || prop_oneof![8 => 0_u32..4, 1 => 4_u32..10];
    let weights = prop_oneof![Just([1; 4]), [weight(), weight(), weight(), weight()]];
    let errors = prop_oneof![Just(Errors::Reported), Just(Errors::Shared), Just(Errors::Isolated)];
    let idle = prop_oneof![2 => Just(None), 1 => (1_u64..15).prop_map(Some)];
    let backoff = prop_oneof![1 => Just(0_u64), 3 => 1_u64..6];
    let windows = (window(), window(), backoff);
    (ttls, capacity, weights, idle, ahead, windows, errors, any::<bool>()).prop_map(
        |(ttls, capacity, weights, time_to_idle, refresh_ahead, windows, errors, valid_while)| {
            let (stale_while_revalidate, stale_on_error, refresh_backoff) = windows;
            Settings {
                ttls,
                weights,
                capacity,
                time_to_idle,
                refresh_ahead,
                stale_while_revalidate,
                stale_on_error,
                refresh_backoff,
                errors,
                valid_while,
            }
        },
    )
}

fn any_event() -> impl Strategy<Value = Event> {
    let key = || prop_oneof![2 => 0_u8..2, 1 => 0_u8..6];
    prop_oneof![
        10 => key().prop_map(Event::Call),
        6 => (0_usize..3).prop_map(Event::Succeed),
        3 => (0_usize..3).prop_map(Event::Fail),
        3 => (0_usize..16).prop_map(Event::Drop),
        2 => key().prop_map(Event::Get),
        3 => key().prop_map(Event::Insert),
        2 => key().prop_map(Event::Invalidate),
        2 => (key(), 0_u32..2).prop_map(|(key, rest)| Event::InvalidateIf(key, rest)),
        2 => (0_u32..3).prop_map(Event::InvalidateWhere),
        2 => (0_u32..4).prop_map(Event::InvalidateTag),
        1 => key().prop_map(Event::Refresh),
        1 => (0_u32..5).prop_map(Event::Revoke),
        1 => key().prop_map(Event::Peek),
        1 => Just(Event::Look),
        1 => Just(Event::Purge),
        1 => Just(Event::Clear),
        5 => prop_oneof![Just(1_u64), Just(5), Just(9), Just(10), 1_u64..20].prop_map(Event::Advance),
    ]
}

proptest! {
    #![proptest_config(cases(6_000))]

    #[test]
    fn the_memo_agrees_with_a_naive_memo(
        settings in any_settings(),
        events in prop::collection::vec(any_event(), 1..40),
    ) {
        check(settings, &events)?;
    }

    #[test]
    fn the_memo_agrees_with_a_naive_memo_in_three_runtimes(
        settings in any_settings(),
        events in prop::collection::vec(prop_oneof![4 => any_event(), 1 => (0_usize..3).prop_map(Event::Switch)], 1..50),
    ) {
        check(settings, &events)?;
    }
}

/// Returns all orders of these events.
fn orders(events: &[(Event, usize)]) -> Vec<Vec<Event>> {
    if events.iter().all(|(_, left)| *left == 0) {
        return vec![Vec::new()];
    }
    let mut orders = Vec::new();
    for (n, &(event, left)) in events.iter().enumerate() {
        if left > 0 {
            let mut rest = events.to_vec();
            rest[n].1 -= 1;
            orders.extend(self::orders(&rest).into_iter().map(|rest| [vec![event], rest].concat()));
        }
    }
    orders
}

#[test]
fn a_clear_wins_in_every_order_of_loads_a_join_and_clears() {
    let settings = Settings::ttl(10);
    for clear in [Event::Clear, Event::Invalidate(0), Event::Insert(0)] {
        // Either the older or the newer of the loads under way ends first.
        for first in [0, 1] {
            let ends = [Event::Succeed(first), Event::Succeed(0)];
            let orders = orders(&[(Event::Call(0), 3), (ends[0], 1), (ends[1], 1), (clear, 2)]);
            assert_eq!(orders.len(), 420);
            for mut order in orders {
                order.push(Event::Get(0));
                check(settings, &order).unwrap_or_else(|error| panic!("{order:?}: {error}"));
            }
        }
    }
}
