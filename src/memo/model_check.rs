//! The memo under a model checker: see [`crate::model_check`]. The checker may switch threads at
//! each of the memo's locks. A call of moka is one step. The checks are:
//!
//! - Each call gets an answer. The checker reports a lost wake-up as a deadlock.
//! - Each key has one load at a time, except for loads that a clear, an invalidation or an
//!   insertion overtook.
//! - A call that begins after the end of a clear, an invalidation or an insertion sees no value of
//!   a load that began before.
//! - At the end there is no flight, no load that counts as under way, and no live value outside of
//!   the memo. Each call is counted once.
//! - Index and bound agree. The capacity is not exceeded, and values are evicted only for
//!   others.

use super::Memo;
use crate::model_check::explore;
use shuttle::{
    future::{block_on, yield_now},
    thread,
};
use std::{
    future::Future,
    pin::pin,
    // Not the checker's, because it does not check the log.
    sync::{Arc, Mutex, Weak},
    task::{Context, Waker},
};

/// The keys of the models. All share one lock, because under the checker there is one shard.
const KEYS: [u8; 2] = [7, 8];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// A load with isolated errors. The call tries again by itself if a load that it joined fails.
    Load,
    /// A load that gets the failure of the load that it joined.
    LoadOrBeTold,
    /// A load that fails, with isolated errors.
    Fail,
    /// A call that is polled once, and dropped. Stands for a panic as well, after which the checker
    /// cannot go on.
    Drop,
    Get,
    Insert,
    Invalidate,
    /// Removes the value if there is one. Only a removal overtakes loads.
    InvalidateIf,
    /// Removes the values of all keys, like a clear without a new generation.
    InvalidateWhere,
    Clear,
}
use Act::{Clear, Drop, Fail, Get, Insert, Invalidate, InvalidateIf, InvalidateWhere, Load, LoadOrBeTold};

/// An act for one of the [`KEYS`], by index.
type Step = (usize, Act);

/// The interval of an act, as numbers of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    began: usize,
    ended: usize,
}

#[derive(Debug, Clone, Copy)]
struct Loading {
    called: usize,
    began: usize,
    ended: usize,
}

#[derive(Debug, Default)]
struct Log {
    events: usize,
    values: Vec<Weak<usize>>,
    /// Each value that was made, and the interval in which it was made.
    made: Vec<(usize, Span)>,
    loads: Vec<Loading>,
    overtakers: Vec<Span>,
    /// The answer of each call, and its interval.
    seen: Vec<(usize, Span)>,
    calls: u64,
}

/// A memo, one of its keys, and the log of that key.
#[derive(Clone)]
struct Model {
    memo: Memo<u8, Arc<usize>>,
    key: u8,
    log: Arc<Mutex<Log>>,
}

impl Model {
    fn log<T>(&self, write: impl FnOnce(&mut Log) -> T) -> T {
        write(&mut self.log.lock().unwrap())
    }

    /// Counts an event, and returns its number.
    fn event(&self) -> usize {
        self.log(|log| {
            log.events += 1;
            log.events
        })
    }

    fn value(&self) -> Arc<usize> {
        self.log(|log| {
            let value = Arc::new(log.values.len());
            log.values.push(Arc::downgrade(&value));
            value
        })
    }

    /// The memoized function, which runs if the memo has no value.
    async fn load(self, act: Act, called: usize) -> Result<Arc<usize>, String> {
        struct Ends(Model, Loading);
        impl std::ops::Drop for Ends {
            fn drop(&mut self) {
                let load = Loading { ended: self.0.event(), ..self.1 };
                self.0.log(|log| log.loads.push(load));
            }
        }
        let value = self.value();
        let began = self.event();
        let _ends = Ends(self.clone(), Loading { called, began, ended: began });
        yield_now().await;
        match act {
            Fail => Err("failed".to_owned()),
            _ => {
                self.log(|log| log.made.push((*value, Span { began, ended: log.events })));
                Ok(value)
            }
        }
    }

    fn call(&self, act: Act, called: usize) -> impl Future<Output = Result<Arc<usize>, String>> + use<> {
        let model = self.clone();
        let call = self.memo.get_or_load(self.key, move || model.load(act, called));
        async move { if act == LoadOrBeTold { call.await } else { call.isolating_errors().await } }
    }

    fn act(&self, act: Act) {
        let began = self.event();
        let span = || Span { began, ended: self.event() };
        if matches!(act, Load | LoadOrBeTold | Fail | Drop | Get) {
            self.log(|log| log.calls += 1);
        }
        let mut overtakes = matches!(act, Insert | Invalidate | InvalidateWhere | Clear);
        let seen = match act {
            Load | LoadOrBeTold | Fail => block_on(self.call(act, began)).ok(),
            Drop => {
                let mut call = pin!(self.call(act, began));
                let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                thread::yield_now();
                None
            }
            Get => self.memo.get(&self.key),
            Insert => {
                let value = self.value();
                let number = *value;
                self.memo.insert(self.key, value);
                self.log(|log| log.made.push((number, Span { began, ended: log.events })));
                None
            }
            Invalidate => {
                self.memo.invalidate(&self.key);
                None
            }
            InvalidateIf => {
                overtakes = self.memo.invalidate_if(&self.key, |_| true);
                None
            }
            InvalidateWhere => {
                self.memo.invalidate_where(|_, _| true);
                None
            }
            Clear => {
                self.memo.clear();
                None
            }
        };
        let span = span();
        self.log(|log| {
            log.seen.extend(seen.map(|value| (*value, span)));
            if overtakes {
                log.overtakers.push(span);
            }
        });
    }

    fn alive(&self) -> usize {
        self.log(|log| log.values.iter().filter(|value| value.strong_count() > 0).count())
    }

    fn check(&self) {
        self.log(|log| {
            for (value, seen) in &log.seen {
                let (_, made) = log.made.iter().find(|(made, _)| made == value).expect("a value that was made");
                let hidden = |by: &&Span| made.began < by.began && by.ended < seen.began;
                assert_eq!(
                    log.overtakers.iter().find(hidden),
                    None,
                    "value {value} was seen after it was removed: {log:?}"
                );
            }
            for (n, one) in log.loads.iter().enumerate() {
                for other in &log.loads[..n] {
                    let overlap = one.began < other.ended && other.began < one.ended;
                    let (from, to) = (one.called.min(other.called), one.began.max(other.began));
                    let overtaken = log.overtakers.iter().any(|by| by.began < to && from < by.ended);
                    assert!(!overlap || overtaken, "two loads of one key at a time: {log:?}");
                }
            }
        });
    }
}

/// Checks the memo as a whole.
fn check_all(models: &[Model], capacity: u64) {
    let memo = &models[0].memo;
    let stats = memo.stats();
    assert_eq!(stats.loading, 0, "{stats:?}");
    assert!(memo.core().index.read_each().all(|shard| !shard.has_flights()));
    assert!(stats.entries <= capacity, "{stats:?}");
    assert_eq!(models.iter().map(Model::alive).sum::<usize>() as u64, stats.entries, "{stats:?}");
    assert!(stats.entries > 0 || stats.evictions == 0, "evicted although the memo is empty: {stats:?}");
    if models.iter().all(|model| model.log(|log| log.overtakers.is_empty())) {
        assert_eq!(stats.calls(), models.iter().map(|model| model.log(|log| log.calls)).sum::<u64>(), "{stats:?}");
        let made = models.iter().filter(|model| model.log(|log| !log.made.is_empty())).count() as u64;
        assert_eq!(stats.entries, made.min(capacity), "{stats:?}");
    }
}

/// Runs the threads in every interleaving with at most `preemptions` preemptions.
fn check_within(capacity: u64, preemptions: usize, threads: &[&[Step]]) {
    let steps: Vec<Vec<Step>> = threads.iter().map(|steps| steps.to_vec()).collect();
    let explored = explore(preemptions, move || {
        let memo = Memo::builder().capacity(capacity).build();
        let models = KEYS.map(|key| Model { memo: memo.clone(), key, log: Arc::default() });
        let running: Vec<_> = steps
            .iter()
            .map(|steps| {
                let (models, steps) = (models.clone(), steps.clone());
                thread::spawn(move || steps.iter().for_each(|(key, act)| models[*key].act(*act)))
            })
            .collect();
        running.into_iter().for_each(|thread| thread.join().unwrap());
        models.iter().for_each(Model::check);
        check_all(&models, capacity);
    });
    println!("{threads:?}: {explored} interleavings");
}

/// Runs the threads on one key, with room for all values.
fn check(preemptions: usize, threads: &[&[Act]]) {
    let steps: Vec<Vec<Step>> = threads.iter().map(|acts| acts.iter().map(|act| (0, *act)).collect()).collect();
    let steps: Vec<&[Step]> = steps.iter().map(Vec::as_slice).collect();
    check_within(100, preemptions, &steps);
}

#[test]
fn two_calls_at_a_time() {
    for (n, one) in [Load, Fail, Drop].into_iter().enumerate() {
        let others = [Load, Fail, Drop, Get, Insert, Invalidate, InvalidateIf, InvalidateWhere, Clear];
        for other in others.into_iter().skip(n) {
            check(2, &[&[one], &[other]]);
        }
    }
    for other in [LoadOrBeTold, Fail, Drop, Load] {
        check(2, &[&[LoadOrBeTold], &[other]]);
    }
}

#[test]
fn two_threads_with_several_calls_each() {
    check(2, &[&[Load, Get], &[Clear, Load]]);
    check(2, &[&[Load, Load], &[Invalidate, Get]]);
    check(2, &[&[Fail, Load], &[Drop, Load]]);
    check(2, &[&[Load, Clear, Get], &[Load, Insert]]);
}

/// Removals by value, against loads and insertions of the value that they match.
#[test]
fn removals_of_values_that_another_thread_stores() {
    check(2, &[&[InvalidateIf], &[Insert]]);
    check(2, &[&[InvalidateIf, Get], &[Insert, Load]]);
    check(2, &[&[Insert, InvalidateIf, Load], &[Load]]);
    check(2, &[&[Insert, InvalidateIf, Load], &[InvalidateIf, Load]]);
    check(2, &[&[InvalidateWhere, Load], &[Load, Get]]);
    check(2, &[&[InvalidateWhere, Get], &[Load, Load]]);
    check(1, &[&[InvalidateWhere, Load], &[Load], &[LoadOrBeTold]]);
    check(1, &[&[Fail], &[InvalidateWhere, Load], &[Invalidate]]);
}

/// Two callers that hold one bad value lead to one load.
#[test]
fn two_callers_of_one_bad_value_load_once() {
    let explored = explore(2, || {
        let memo = Memo::builder().capacity(100).build();
        let model = Model { memo: memo.clone(), key: KEYS[0], log: Arc::default() };
        model.act(Insert);
        let bad = memo.peek(&KEYS[0]).map(|value| *value);
        let running: Vec<_> = (0..2)
            .map(|_| {
                let model = model.clone();
                thread::spawn(move || {
                    model.memo.invalidate_if(&model.key, |value| Some(**value) == bad);
                    model.act(Load);
                })
            })
            .collect();
        running.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(memo.stats().loads, 1);
    });
    println!("two callers of one bad value: {explored} interleavings");
}

#[test]
fn three_calls_at_a_time() {
    check(1, &[&[Load], &[Load], &[Clear, Get]]);
    check(1, &[&[Drop], &[Load], &[Load]]);
    check(1, &[&[Drop], &[Load], &[Invalidate, Load]]);
    check(1, &[&[Fail], &[Load], &[Insert, Get]]);
    check(1, &[&[Fail], &[LoadOrBeTold], &[LoadOrBeTold]]);
    check(1, &[&[Fail], &[LoadOrBeTold], &[Load, Get]]);
}

#[test]
fn two_keys_and_room_for_one() {
    check_within(1, 2, &[&[(0, Load)], &[(1, Insert)]]);
    check_within(1, 2, &[&[(0, Insert)], &[(1, Insert), (1, Get)]]);
    check_within(1, 2, &[&[(0, Insert), (1, Insert)], &[(0, Clear)]]);
    check_within(1, 2, &[&[(0, Insert), (1, Insert)], &[(0, Get), (0, Insert)]]);
    check_within(1, 2, &[&[(0, Load), (0, Get), (1, Load)], &[(0, Get), (1, Load), (0, Load)]]);
    check_within(1, 1, &[&[(0, Insert)], &[(1, Load)], &[(0, Get)]]);
    check_within(1, 1, &[&[(0, Load)], &[(1, Insert)], &[(0, Clear), (1, Get)]]);
}
