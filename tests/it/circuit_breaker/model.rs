//! The breaker against a naive model, which keeps a log of all calls and computes everything anew.

use crate::support::{cases, ms, paused};
use decor::{CircuitBreaker, CircuitState, Error, RetryPolicy, prelude::*};
use proptest::prelude::*;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, task::Poll, time::Duration};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready, task};

type Answer = Result<u64, Error>;

/// End of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Succeed,
    Fail,
    /// Ends in an error that is ignored.
    Ignore,
    Drop,
    Panic,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Begins a call that hangs until it is ended.
    Begin,
    /// Makes a call that ends at its first poll.
    Call(End),
    /// Ends one of the hanging calls.
    End(usize, End),
    Pass(u64),
    Look,
    Trip,
    Isolate,
    Close,
    /// Asks for a pass by `unless_open`.
    AskOutside,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Consecutive(u32),
    Among(u32, u32),
    /// Share in percent, period and minimum of calls.
    Rate(u32, u64, u32),
}

#[derive(Debug, Clone)]
struct Settings {
    kind: Kind,
    /// Time for which the circuit is open, and for which a probe keeps its place.
    open_for: u64,
    /// Step of linear delays in place of `open_for`; `None` for `open_for`.
    step: Option<u64>,
    probes: u32,
    slow_after: Option<u64>,
}

/// A result that counted, in the closed circuit.
#[derive(Debug)]
struct Logged {
    at: u64,
    failed: bool,
}

#[derive(Debug)]
struct Call {
    began: u64,
    generation: u32,
    /// `true` if the call was let through while the circuit was half-open, and has its place.
    has_place: bool,
}

#[derive(Debug)]
struct Naive {
    settings: Settings,
    now: u64,
    state: CircuitState,
    generation: u32,
    until: u64,
    openings: u32,
    /// Results since the circuit was last closed.
    log: Vec<Logged>,
    /// Calls in progress.
    calls: BTreeMap<usize, Call>,
    succeeded_probes: u32,
    counts: [u64; 7],
}

impl Naive {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: 0,
            state: CircuitState::Closed,
            generation: 0,
            until: 0,
            openings: 0,
            log: Vec::new(),
            calls: BTreeMap::new(),
            succeeded_probes: 0,
            counts: [0; 7],
        }
    }

    fn go(&mut self, state: CircuitState) {
        self.state = state;
        self.generation += 1;
        self.succeeded_probes = 0;
        if state == CircuitState::Closed {
            self.log.clear();
            self.openings = 0;
        }
    }

    fn open(&mut self) {
        self.go(CircuitState::Open);
        self.openings += 1;
        let delay = self.settings.step.map_or(self.settings.open_for, |step| step * u64::from(self.openings));
        self.until = self.now + delay;
        self.counts[6] += 1;
    }

    fn look(&mut self) -> CircuitState {
        if self.state == CircuitState::Open && self.now >= self.until {
            self.go(CircuitState::HalfOpen);
        }
        self.state
    }

    /// Returns the refusal's hint, if the call is refused.
    fn enter(&mut self, id: usize) -> Result<(), Option<u64>> {
        let refusal = match self.look() {
            CircuitState::Closed => None,
            CircuitState::Open => Some(Some(self.until - self.now)),
            CircuitState::Isolated => Some(None),
            CircuitState::HalfOpen => {
                let (now, lost) = (self.now, self.settings.open_for);
                self.calls.values_mut().for_each(|call| call.has_place &= now - call.began < lost);
                let running = self.calls.values().filter(|call| call.has_place && call.generation == self.generation);
                let running = u32::try_from(running.count()).unwrap();
                (running + self.succeeded_probes >= self.settings.probes).then_some(None)
            }
        };
        if let Some(hint) = refusal {
            self.counts[5] += 1;
            return Err(hint);
        }
        let has_place = self.state == CircuitState::HalfOpen;
        self.calls.insert(id, Call { began: self.now, generation: self.generation, has_place });
        Ok(())
    }

    fn end(&mut self, id: usize, end: End, was_pending: bool) {
        let call = self.calls.remove(&id).unwrap();
        let slow = was_pending && self.settings.slow_after.is_some_and(|limit| self.now - call.began >= limit);
        let verdict = match end {
            End::Fail | End::Panic => Some(true),
            _ if slow => Some(true),
            End::Succeed => Some(false),
            End::Ignore | End::Drop => None,
        };
        if call.generation != self.generation {
            self.counts[4] += 1;
            return;
        }
        match verdict {
            Some(false) => self.counts[0] += 1,
            Some(true) => {
                self.counts[1] += 1;
                self.counts[2] += u64::from(slow);
            }
            None => self.counts[3] += 1,
        }
        let Some(failed) = verdict else { return };
        if self.state == CircuitState::HalfOpen {
            if failed {
                return self.open();
            }
            self.succeeded_probes += 1;
            if self.succeeded_probes == self.settings.probes {
                self.go(CircuitState::Closed);
            }
            return;
        }
        self.log.push(Logged { at: self.now, failed });
        if failed && self.is_full() {
            self.open();
        }
    }

    fn is_full(&self) -> bool {
        let failures_of_last =
            |calls: u32| self.log.iter().rev().take(calls as usize).filter(|logged| logged.failed).count();
        match self.settings.kind {
            Kind::Consecutive(failures) => failures_of_last(failures) >= failures as usize,
            Kind::Among(failures, calls) => failures_of_last(calls) >= failures as usize,
            Kind::Rate(percent, period, minimum) => {
                let bucket = |at: u64| at / (period / 10);
                let within: Vec<_> = self.log.iter().filter(|l| bucket(l.at) + 10 > bucket(self.now)).collect();
                let failures = within.iter().filter(|logged| logged.failed).count();
                within.len() >= minimum as usize && failures * 100 >= percent as usize * within.len()
            }
        }
    }
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![
        5 => Just(End::Succeed),
        5 => Just(End::Fail),
        1 => Just(End::Ignore),
        2 => Just(End::Drop),
        1 => Just(End::Panic),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Begin),
        8 => any_end().prop_map(Step::Call),
        8 => (0_usize..8, any_end()).prop_map(|(n, end)| Step::End(n, end)),
        6 => prop_oneof![Just(1_u64), 1_u64..15, 20_u64..60].prop_map(Step::Pass),
        2 => Just(Step::Look),
        1 => Just(Step::AskOutside),
        1 => prop_oneof![Just(Step::Trip), Just(Step::Isolate), Just(Step::Close), Just(Step::Close)],
    ]
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let kind = prop_oneof![
        (1_u32..5).prop_map(Kind::Consecutive),
        (1_u32..5, 0_u32..6).prop_map(|(failures, more)| Kind::Among(failures, failures + more)),
        (prop_oneof![Just(10_u32), Just(50), Just(60), Just(100)], 1_u64..4, 1_u32..6)
            .prop_map(|(percent, tens, minimum)| Kind::Rate(percent, 10 * tens, minimum)),
    ];
    (kind, 5_u64..20, prop::option::of(3_u64..20), 1_u32..4, prop::option::of(5_u64..20))
        .prop_map(|(kind, open_for, step, probes, slow_after)| Settings { kind, open_for, step, probes, slow_after })
}

fn breaker(settings: &Settings) -> CircuitBreaker {
    let builder = CircuitBreaker::builder().open_for(ms(settings.open_for)).probes(settings.probes);
    let builder = match settings.kind {
        Kind::Consecutive(failures) => builder.consecutive(failures),
        Kind::Among(failures, calls) => builder.among(failures, calls),
        Kind::Rate(percent, period, minimum) => {
            builder.rate(f64::from(percent) / 100.0, ms(period)).minimum_calls(minimum)
        }
    };
    let builder = match settings.step {
        Some(step) => builder.open_by(RetryPolicy::linear(ms(step))),
        None => builder,
    };
    match settings.slow_after {
        Some(limit) => builder.slow_after(ms(limit)).build(),
        None => builder.build(),
    }
}

/// A call that ends as its cell says; `None` hangs.
fn call_of(end: &Rc<RefCell<Option<End>>>) -> impl Future<Output = Answer> + use<> {
    let end = Rc::clone(end);
    std::future::poll_fn(move |_| match *end.borrow() {
        None => Poll::Pending,
        Some(End::Succeed | End::Drop) => Poll::Ready(Ok(7)),
        Some(End::Fail) => Poll::Ready(Err(Error::QueueFull { waiting: 0 })),
        Some(End::Ignore) => Poll::Ready(Err(Error::Closed { what: "ignored" })),
        Some(End::Panic) => std::panic::resume_unwind(Box::new("a test's panic")),
    })
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn a_breaker_does_what_its_log_says(settings in any_settings(), steps in prop::collection::vec(any_step(), 1..80)) {
        paused().block_on(async {
            let breaker = breaker(&settings);
            let mut naive = Naive::new(settings);
            let mut running = Vec::new();
            for (id, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Begin | Step::Call(_) => {
                        let first = if let Step::Call(end) = step { Some(end) } else { None };
                        let end = Rc::new(RefCell::new(first.filter(|end| *end != End::Drop)));
                        let function = {
                            let end = Rc::clone(&end);
                            move || call_of(&end)
                        };
                        let guarded = function
                            .guarded_by(&breaker)
                            .ignoring(|e| matches!(e, Error::Closed { .. }));
                        let mut call = task::spawn(guarded.call());
                        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call.poll()));
                        match naive.enter(id) {
                            Err(hint) => {
                                let retry_after = hint.map(ms);
                                let refused = Error::CircuitOpen { name: "breaker".into(), retry_after };
                                prop_assert_eq!(assert_ready!(polled.unwrap()), Err(refused));
                            }
                            Ok(()) => {
                                if let Some(first) = first {
                                    prop_assert_eq!(polled.is_err(), first == End::Panic);
                                    drop(call);
                                    naive.end(id, first, first == End::Drop);
                                } else {
                                    assert_pending!(polled.unwrap());
                                    running.push((id, end, call));
                                }
                            }
                        }
                    }
                    Step::End(n, last) => {
                        if running.is_empty() {
                            continue;
                        }
                        let (id, end, mut call) = running.swap_remove(n % running.len());
                        if last != End::Drop {
                            *end.borrow_mut() = Some(last);
                            let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call.poll()));
                            prop_assert_eq!(polled.is_err(), last == End::Panic);
                        }
                        drop(call);
                        naive.end(id, last, true);
                    }
                    Step::Pass(millis) => {
                        advance(ms(millis)).await;
                        naive.now += millis;
                        continue; // without a look, which might make the circuit half-open
                    }
                    Step::Look => prop_assert_eq!(breaker.state(), naive.look()),
                    Step::AskOutside => {
                        let passed = std::future::ready(Answer::Ok(7)).unless_open(&breaker).await.is_ok();
                        prop_assert_eq!(passed, matches!(naive.look(), CircuitState::Closed | CircuitState::HalfOpen));
                    }
                    Step::Trip => {
                        breaker.trip();
                        if matches!(naive.look(), CircuitState::Closed | CircuitState::HalfOpen) {
                            naive.open();
                        }
                    }
                    Step::Isolate => {
                        breaker.isolate();
                        if naive.state != CircuitState::Isolated {
                            naive.go(CircuitState::Isolated);
                        }
                    }
                    Step::Close => {
                        breaker.close();
                        if naive.state == CircuitState::Closed { naive.log.clear() } else { naive.go(CircuitState::Closed) }
                    }
                }
                let stats = breaker.stats();
                let counts = [
                    stats.succeeded, stats.failed, stats.slow, stats.ignored, stats.late, stats.refused, stats.opened,
                ];
                prop_assert_eq!(counts, naive.counts, "after step {}, {:?}", id, step);
            }
            prop_assert_eq!(breaker.state(), naive.look());
            // Whatever has happened, time and a good service close the circuit.
            drop(running);
            breaker.close();
            breaker.trip();
            advance(Duration::from_secs(1)).await;
            while breaker.state() == CircuitState::HalfOpen {
                breaker.enter().unwrap().succeeded();
            }
            prop_assert_eq!(breaker.state(), CircuitState::Closed);
            Ok(())
        })?;
    }
}
