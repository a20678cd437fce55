//! The limiter against a naive model, with commands in any order.

use crate::support::cases;
use decor::{ConcurrencyPermit, Error, prelude::*};
use proptest::prelude::*;
use std::{collections::VecDeque, future::Future, pin::Pin};
use tokio_test::task;

type Acquire<'a> = task::Spawn<Pin<Box<dyn Future<Output = Result<ConcurrencyPermit, Error>> + 'a>>>;

#[derive(Debug, Clone, Copy)]
enum Command {
    /// A new call is made and polled.
    Come(u32),
    Try(u32),
    /// The n-th call that waits, or was handed its permits, is polled.
    Poll(usize),
    /// The n-th of these calls is dropped.
    Drop(usize),
    /// The n-th permit goes back.
    GiveBack(usize),
    Resize(u32),
    /// A signal, for an adaptive limiter.
    Signal(usize),
}
use Command::{Come, Drop, GiveBack, Poll, Resize, Signal, Try};

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        5 => (0_u32..5).prop_map(Come),
        2 => (0_u32..5).prop_map(Try),
        5 => (0_usize..8).prop_map(Poll),
        2 => (0_usize..8).prop_map(Drop),
        5 => (0_usize..8).prop_map(GiveBack),
        1 => (1_u32..6).prop_map(Resize),
        1 => (0_usize..8).prop_map(Signal),
    ]
}

/// The state of a call of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Whereabouts {
    Waits,
    HandedOver,
    Refused,
}

/// An admitted call of the model.
#[derive(Debug, Clone, Copy)]
struct Running {
    permits: u32,
    /// `true` if the limit was decreased while the call ran.
    is_old: bool,
    /// `true` if the limit was reached while the call ran, since the limit last changed.
    reached: bool,
}

/// The naive model: lists of calls, and a look at all of them after each event.
#[derive(Debug)]
struct Naive {
    limit: u32,
    /// `None` for a fixed limit.
    range: Option<(u32, u32)>,
    good: u32,
    /// Calls that wait, in order, by number.
    queue: VecDeque<(usize, u32)>,
    running: Vec<(usize, Running)>,
}

impl Naive {
    fn in_use(&self) -> u32 {
        self.running.iter().map(|(_, call)| call.permits).sum()
    }

    fn most(&self) -> u32 {
        self.range.map_or(self.limit, |(_, max)| max)
    }

    fn fits(&self, permits: u32) -> bool {
        self.in_use() + permits <= self.limit || (permits > self.limit && self.in_use() == 0)
    }

    fn begin(&mut self, number: usize, permits: u32) {
        self.running.push((number, Running { permits, is_old: false, reached: false }));
        self.look(false);
    }

    /// Marks the calls in progress if the limit is reached.
    fn look(&mut self, waits: bool) {
        if waits || self.in_use() >= self.limit {
            self.running.iter_mut().for_each(|(_, call)| call.reached = true);
        }
    }

    fn change(&mut self, limit: u32) {
        (self.limit, self.good) = (limit, 0);
        self.running.iter_mut().for_each(|(_, call)| call.reached = false);
        self.look(false);
    }

    /// Admits the first calls that fit. Returns the calls that left the queue, and `true` for those
    /// that were admitted.
    fn hand_over(&mut self) -> Vec<(usize, bool)> {
        let mut left = Vec::new();
        while let Some((number, permits)) = self.queue.front().copied() {
            if permits > self.most() {
                left.push((number, false));
            } else if self.fits(permits) {
                self.begin(number, permits);
                left.push((number, true));
            } else {
                self.look(true);
                break;
            }
            self.queue.pop_front();
        }
        left
    }

    fn end(&mut self, number: usize, well: bool) -> Vec<(usize, bool)> {
        let place = self.running.iter().position(|(running, _)| *running == number).unwrap();
        let (_, call) = self.running.remove(place);
        if self.range.is_some() && well && call.reached && !call.is_old {
            self.good += 1;
            if self.good >= self.limit {
                self.good = 0;
                if self.limit < self.most() {
                    self.change(self.limit + 1);
                }
            }
        }
        self.hand_over()
    }

    /// A signal of the call in progress with this number.
    fn signal(&mut self, number: usize) {
        let Some((min, _)) = self.range else { return };
        let is_old = self.running.iter().any(|(running, call)| *running == number && call.is_old);
        if !is_old {
            self.running.iter_mut().for_each(|(_, call)| call.is_old = true);
            self.change((self.limit * 3 / 4).max(min));
        }
    }
}

/// Runs the commands against the limiter and the model, and ends with nothing left over.
#[allow(clippy::too_many_lines)] // one arm for each command
fn check(limiter: &ConcurrencyLimiter, range: Option<(u32, u32)>, commands: &[Command]) -> Result<(), TestCaseError> {
    let mut naive = Naive { limit: limiter.limit(), range, good: 0, queue: VecDeque::new(), running: Vec::new() };
    // The calls that wait or were handed their permits.
    let mut pending: Vec<(usize, Acquire<'_>, Whereabouts)> = Vec::new();
    let mut permits: Vec<(usize, ConcurrencyPermit)> = Vec::new();
    let (mut calls, mut refused, mut cancelled) = (0, 0, 0);
    for command in commands {
        let left = match *command {
            // A longer queue would only make the test slower.
            Come(_) if pending.len() == 16 => Vec::new(),
            Come(count) | Try(count) => {
                calls += 1;
                let number = calls;
                let is_try = matches!(command, Try(_));
                let too_much = count > naive.most();
                let admitted = !too_much && naive.queue.is_empty() && naive.fits(count);
                if admitted {
                    naive.begin(number, count);
                } else if !too_much {
                    naive.look(true);
                }
                if is_try {
                    match limiter.try_acquire_many(count) {
                        Ok(permit) => {
                            prop_assert!(admitted);
                            permits.push((number, permit));
                        }
                        Err(Error::InvalidArgument { .. }) => prop_assert!(too_much),
                        Err(Error::ConcurrencyLimited { limit, waiting, .. }) => {
                            refused += 1;
                            prop_assert!(!admitted && !too_much);
                            prop_assert_eq!((limit, waiting), (naive.limit, naive.queue.len()));
                        }
                        Err(error) => panic!("{error}"),
                    }
                } else {
                    let mut call: Acquire<'_> = task::spawn(Box::pin(limiter.acquire_many(count)));
                    match call.poll() {
                        std::task::Poll::Ready(Ok(permit)) => {
                            prop_assert!(admitted);
                            permits.push((number, permit));
                        }
                        std::task::Poll::Ready(Err(_)) => prop_assert!(too_much),
                        std::task::Poll::Pending => {
                            prop_assert!(!admitted && !too_much);
                            naive.queue.push_back((number, count));
                            pending.push((number, call, Whereabouts::Waits));
                        }
                    }
                }
                Vec::new()
            }
            Poll(n) if n < pending.len() => {
                let (number, mut call, state) = pending.remove(n);
                match (call.poll(), state) {
                    (std::task::Poll::Pending, Whereabouts::Waits) => {
                        pending.insert(n, (number, call, state));
                    }
                    (std::task::Poll::Ready(Ok(permit)), Whereabouts::HandedOver) => permits.push((number, permit)),
                    (std::task::Poll::Ready(Err(Error::InvalidArgument { .. })), Whereabouts::Refused) => refused += 1,
                    (poll, state) => panic!("{poll:?} of a call that is {state:?}"),
                }
                Vec::new()
            }
            Drop(n) if n < pending.len() => {
                let (number, call, state) = pending.remove(n);
                drop(call);
                cancelled += 1;
                match state {
                    Whereabouts::Waits => {
                        naive.queue.retain(|(waiting, _)| *waiting != number);
                        naive.hand_over()
                    }
                    Whereabouts::HandedOver => naive.end(number, false),
                    Whereabouts::Refused => Vec::new(),
                }
            }
            GiveBack(n) if n < permits.len() => {
                let (number, permit) = permits.remove(n);
                drop(permit);
                naive.end(number, true)
            }
            Resize(limit) => {
                limiter.set_limit(limit);
                naive.change(limit);
                naive.hand_over()
            }
            Signal(n) if n < permits.len() => {
                permits[n].1.overloaded();
                naive.signal(permits[n].0);
                Vec::new()
            }
            Poll(_) | Drop(_) | GiveBack(_) | Signal(_) => Vec::new(),
        };
        for (number, admitted) in left {
            let (_, call, state) = pending.iter_mut().find(|(waiting, ..)| *waiting == number).unwrap();
            prop_assert!(call.is_woken(), "handed over without a wake");
            *state = if admitted { Whereabouts::HandedOver } else { Whereabouts::Refused };
        }
        for (_, call, state) in &pending {
            // A waiter that is never woken in vain needs two polls.
            prop_assert_eq!(call.is_woken(), *state != Whereabouts::Waits, "woken in vain");
        }
        let seen = (limiter.limit(), limiter.in_use(), limiter.waiting());
        prop_assert_eq!(seen, (naive.limit, naive.in_use(), naive.queue.len()));
        prop_assert_eq!(limiter.available(), naive.limit.saturating_sub(naive.in_use()));
    }
    drop(pending);
    drop(permits);
    let stats = limiter.stats();
    prop_assert_eq!((stats.in_use, stats.waiting, limiter.available()), (0, 0, limiter.limit()));
    prop_assert!(stats.refused >= refused && stats.cancelled >= cancelled);
    prop_assert!(limiter.try_acquire_many(limiter.limit()).is_ok());
    Ok(())
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_fixed_limiter_does_what_the_model_does(
        limit in 1_u32..6,
        commands in prop::collection::vec(any_command(), 1..100),
    ) {
        check(&ConcurrencyLimiter::new(limit), None, &commands)?;
    }

    #[test]
    fn an_adaptive_limiter_does_what_the_model_does(
        start in 1_u32..6,
        commands in prop::collection::vec(any_command(), 1..100),
    ) {
        let limiter = ConcurrencyLimiter::builder().adaptive(1..=7).start_at(start).build();
        check(&limiter, Some((1, 7)), &commands)?;
    }
}

/// 100,000 commands on one limiter: never above the limit, and nothing is left over.
#[test]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
fn a_hundred_thousand_commands_leave_nothing_over() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let tree = prop::collection::vec(any_command(), 100_000).new_tree(&mut runner).unwrap();
    let commands = tree.current();
    check(&ConcurrencyLimiter::new(4), None, &commands).unwrap();
    let limiter = ConcurrencyLimiter::builder().adaptive(1..=7).start_at(4).build();
    check(&limiter, Some((1, 7)), &commands).unwrap();
}
