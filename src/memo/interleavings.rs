//! The memo under a model checker: see [`crate::interleavings`]. Each of its locks, and each look at its generation, is a point
//! at which another thread may come in between; what moka does is one step. Checked is:
//!
//! - Everybody gets an answer: a wake-up that is lost is a deadlock, which the checker reports.
//! - One load at a time, but for those that something overtook: a clear, an invalidation, an insertion.
//! - Who calls after one of these has ended sees nothing whose load began before it did.
//! - Nothing is left behind: no flight, no load that counts as under way; and every call is counted once.

use super::Memo;
use crate::interleavings::explore;
use shuttle::{
    future::{block_on, yield_now},
    thread,
};
use std::{
    future::Future,
    pin::pin,
    // Not the checker's: the log is no part of what it checks.
    sync::{Arc, Mutex},
    task::{Context, Waker},
};

const KEY: u8 = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Load,
    /// A load that fails.
    Fail,
    /// A call that is polled once, and dropped. (A panic does the same, and the checker cannot go on after one.)
    Drop,
    Get,
    Insert,
    Invalidate,
    Clear,
}
use Act::{Clear, Drop, Fail, Get, Insert, Invalidate, Load};

/// From when to when, by the number of events before it.
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
    values: u32,
    /// What made each value, and when.
    made: Vec<(u32, Span)>,
    loads: Vec<Loading>,
    overtakers: Vec<Span>,
    /// What a call was answered.
    seen: Vec<(u32, Span)>,
    calls: u64,
}

#[derive(Clone)]
struct Model {
    memo: Memo<u8, u32>,
    log: Arc<Mutex<Log>>,
}

impl Model {
    fn log<T>(&self, write: impl FnOnce(&mut Log) -> T) -> T {
        write(&mut self.log.lock().unwrap())
    }

    /// When something begins or ends.
    fn event(&self) -> usize {
        self.log(|log| {
            log.events += 1;
            log.events
        })
    }

    fn value(&self) -> u32 {
        self.log(|log| {
            log.values += 1;
            log.values
        })
    }

    /// What is called, unless there is something to be seen.
    async fn load(self, act: Act, called: usize) -> Result<u32, ()> {
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
            Fail => Err(()),
            _ => {
                self.log(|log| log.made.push((value, Span { began, ended: log.events })));
                Ok(value)
            }
        }
    }

    fn call(&self, act: Act, called: usize) -> impl Future<Output = Result<u32, ()>> + use<> {
        let model = self.clone();
        self.memo.get_or_load(KEY, move || model.load(act, called))
    }

    fn act(&self, act: Act) {
        let began = self.event();
        let span = || Span { began, ended: self.event() };
        if matches!(act, Load | Fail | Drop | Get) {
            self.log(|log| log.calls += 1);
        }
        let seen = match act {
            Load | Fail => block_on(self.call(act, began)).ok(),
            Drop => {
                let mut call = pin!(self.call(act, began));
                let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                thread::yield_now();
                None
            }
            Get => self.memo.get(&KEY),
            Insert => {
                let value = self.value();
                self.memo.insert(KEY, value);
                self.log(|log| log.made.push((value, Span { began, ended: log.events })));
                None
            }
            Invalidate => {
                self.memo.invalidate(&KEY);
                None
            }
            Clear => {
                self.memo.clear();
                None
            }
        };
        let span = span();
        self.log(|log| {
            log.seen.extend(seen.map(|value| (value, span)));
            if matches!(act, Insert | Invalidate | Clear) {
                log.overtakers.push(span);
            }
        });
    }

    fn check(&self) {
        let stats = self.memo.stats();
        assert_eq!(stats.loading, 0, "{stats:?}");
        assert!(self.memo.core().has_no_flights());
        self.log(|log| {
            for (value, seen) in &log.seen {
                let (_, made) = log.made.iter().find(|(made, _)| made == value).expect("a value that was made");
                let hidden = |by: &&Span| made.began < by.began && by.ended < seen.began;
                assert_eq!(log.overtakers.iter().find(hidden), None, "{value} was seen all the same: {log:?}");
            }
            for (n, one) in log.loads.iter().enumerate() {
                for other in &log.loads[..n] {
                    let overlap = one.began < other.ended && other.began < one.ended;
                    let (from, to) = (one.called.min(other.called), one.began.max(other.began));
                    let overtaken = log.overtakers.iter().any(|by| by.began < to && from < by.ended);
                    assert!(!overlap || overtaken, "two at a time: {log:?}");
                }
            }
            if log.overtakers.is_empty() {
                assert_eq!(stats.calls(), log.calls, "{stats:?}");
                assert_eq!(self.memo.get(&KEY).is_some(), !log.made.is_empty());
            }
        });
    }
}

/// Runs these threads in every interleaving with so many preemptions.
fn check(preemptions: usize, threads: &[&[Act]]) {
    let acts: Vec<Vec<Act>> = threads.iter().map(|acts| acts.to_vec()).collect();
    let explored = explore(preemptions, move || {
        let model = Model { memo: Memo::builder().build(), log: Arc::default() };
        let running: Vec<_> = acts
            .iter()
            .map(|acts| {
                let (model, acts) = (model.clone(), acts.clone());
                thread::spawn(move || acts.iter().for_each(|act| model.act(*act)))
            })
            .collect();
        running.into_iter().for_each(|thread| thread.join().unwrap());
        model.check();
    });
    println!("{threads:?}: {explored} interleavings");
}

#[test]
fn two_calls_at_a_time() {
    for (n, one) in [Load, Fail, Drop].into_iter().enumerate() {
        for other in [Load, Fail, Drop, Get, Insert, Invalidate, Clear].into_iter().skip(n) {
            check(2, &[&[one], &[other]]);
        }
    }
}

#[test]
fn two_threads_that_go_on() {
    check(2, &[&[Load, Get], &[Clear, Load]]);
    check(2, &[&[Load, Load], &[Invalidate, Get]]);
    check(2, &[&[Fail, Load], &[Drop, Load]]);
    check(2, &[&[Load, Clear, Get], &[Load, Insert]]);
}

#[test]
fn three_calls_at_a_time() {
    check(1, &[&[Load], &[Load], &[Clear, Get]]);
    check(1, &[&[Drop], &[Load], &[Load]]);
    check(1, &[&[Drop], &[Load], &[Invalidate, Load]]);
    check(1, &[&[Fail], &[Load], &[Insert, Get]]);
}
