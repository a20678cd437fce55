//! The limiter in several runtimes against the same naive model. The clock of each runtime moves on
//! its own.
//!
//! A waiting call belongs to the runtime in which it came. An exact limiter has many waiting calls
//! at a time. A paced limiter has one, which is awaited at once, because the schedule depends on
//! the lateness of calls.

use super::{Kind, Model, Outcome, Waiter, any_exact, any_limits, any_paced, limiter};
use crate::support::{NaiveClocks, cases, ms, paused};
use decor::{Error, Permits, RateLimiter, future::AcquireMany};
use futures::FutureExt;
use proptest::prelude::*;
use std::pin::Pin;
use tokio::{
    runtime::Runtime,
    time::{Instant, advance},
};

const RUNTIMES: usize = 3;

/// An event that cannot happen is a [`Look`](Event::Look).
#[derive(Debug, Clone)]
enum Event {
    /// The clock of the runtime advances. The limiter does not read it.
    Advance(u64),
    Try([u32; 2]),
    /// A call with this longest wait, in milliseconds, that is awaited at once. Skipped if other
    /// calls wait.
    Acquire([u32; 2], Option<u64>),
    /// A call that waits while other events happen.
    Join([u32; 2]),
    /// The first waiting call is awaited, in its own runtime.
    Await,
    /// The n-th waiting call is dropped.
    Cancel(usize),
    Charge([u32; 2]),
    Refund([u32; 2]),
    Pause(u64),
    Resume,
    SetLimits([(u32, u64); 2]),
    SetBurst(u32),
    /// Counts the free permits.
    Look,
}

#[derive(Debug, Clone)]
struct Schedule {
    kind: Kind,
    limits: [(u32, u64); 2],
    /// Each event with the runtime in which it happens.
    events: Vec<(usize, Event)>,
}

fn any_permits() -> impl Strategy<Value = [u32; 2]> {
    (prop_oneof![4 => Just(1_u32), 2 => 0_u32..7], 0_u32..13).prop_map(<[u32; 2]>::from)
}

/// Any event apart from a call that waits while other events happen.
fn any_event() -> BoxedStrategy<Event> {
    let millis = prop_oneof![3 => 1_u64..5, 2 => 5_u64..40, 1 => 40_u64..200];
    let patience = prop::option::of(0_u64..60);
    prop_oneof![
        6 => millis.prop_map(Event::Advance),
        4 => any_permits().prop_map(Event::Try),
        3 => (any_permits(), patience).prop_map(|(permits, patience)| Event::Acquire(permits, patience)),
        1 => any_permits().prop_map(Event::Charge),
        1 => any_permits().prop_map(Event::Refund),
        1 => (1_u64..50).prop_map(Event::Pause),
        1 => Just(Event::Resume),
        1 => any_limits().prop_map(Event::SetLimits),
        1 => (1_u32..8).prop_map(Event::SetBurst),
        3 => Just(Event::Look),
    ]
    .boxed()
}

fn any_event_or_waiter() -> BoxedStrategy<Event> {
    prop_oneof![
        3 => any_event(),
        2 => prop_oneof![
            4 => any_permits().prop_map(Event::Join),
            2 => Just(Event::Await),
            1 => (0_usize..4).prop_map(Event::Cancel),
        ],
    ]
    .boxed()
}

fn any_schedule(kind: impl Strategy<Value = Kind>, event: BoxedStrategy<Event>) -> impl Strategy<Value = Schedule> {
    (kind, any_limits(), prop::collection::vec((0..RUNTIMES, event), 1..40))
        .prop_map(|(kind, limits, events)| Schedule { kind, limits, events })
}

#[derive(Debug, Clone, PartialEq)]
enum Answer {
    None,
    /// Time of the wait in the call's runtime, in milliseconds.
    Admitted(u64),
    /// Milliseconds until permits are free; `None` if that depends on waiting calls.
    Refused(Option<u64>),
    TooMuch,
    Available(Vec<u32>),
}

/// All observable results of an event.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    answer: Answer,
    /// Event numbers of the waiting calls.
    waiting: Vec<usize>,
}

/// The limiter, or its model.
trait Side {
    /// Polls the waiting calls, at a moment that the runtime `here` sees as well.
    fn serve(&mut self, here: usize);

    fn act(&mut self, number: usize, here: usize, event: &Event) -> Answer;

    /// Event numbers of the waiting calls.
    fn waiting(&self) -> Vec<usize>;

    fn happen(&mut self, number: usize, here: usize, event: &Event) -> Seen {
        let serves = !matches!(event, Event::Advance(_));
        if serves {
            self.serve(here);
        }
        let answer = self.act(number, here, event);
        if serves {
            self.serve(here);
        }
        Seen { answer, waiting: self.waiting() }
    }
}

struct Call<'l> {
    event: usize,
    runtime: usize,
    future: Pin<Box<AcquireMany<'l>>>,
}

/// The real limiter.
struct World<'l> {
    limiter: &'l RateLimiter,
    windows: usize,
    runtimes: &'l [Runtime],
    calls: Vec<Call<'l>>,
}

impl World<'_> {
    fn permits(&self, permits: [u32; 2]) -> Permits {
        if self.windows == 1 { [permits[0]].into() } else { permits.into() }
    }

    fn answer(&self, result: &Result<(), Error>, waited: u64) -> Answer {
        match result {
            Ok(()) => Answer::Admitted(waited),
            Err(Error::RateLimited { retry_after }) => {
                let millis = u64::try_from(retry_after.as_nanos().div_ceil(1_000_000)).unwrap();
                Answer::Refused(self.calls.is_empty().then_some(millis))
            }
            Err(_) => Answer::TooMuch,
        }
    }

    fn run_to_the_end(&self, runtime: usize, call: impl Future<Output = Result<(), Error>>) -> Answer {
        self.runtimes[runtime].block_on(async {
            let begun = Instant::now();
            let result = call.await;
            self.answer(&result, begun.elapsed().as_millis().try_into().unwrap())
        })
    }
}

impl Side for World<'_> {
    /// Polls the waiting calls in order. Before that, the limiter reads the clocks of their
    /// runtimes, and of `here`.
    fn serve(&mut self, here: usize) {
        if self.calls.is_empty() {
            return;
        }
        // Twice, because the last clock may be ahead of the others.
        for _ in 0..2 {
            for runtime in self.calls.iter().map(|call| call.runtime).chain([here]) {
                let _there = self.runtimes[runtime].enter();
                self.limiter.available();
            }
        }
        self.calls.retain_mut(|call| {
            let _there = self.runtimes[call.runtime].enter();
            call.future.as_mut().now_or_never().is_none()
        });
    }

    fn act(&mut self, number: usize, here: usize, event: &Event) -> Answer {
        let _here = self.runtimes[here].enter();
        match *event {
            Event::Try(permits) => return self.answer(&self.limiter.try_acquire_many(self.permits(permits)), 0),
            Event::Acquire(permits, patience) if self.calls.is_empty() => {
                let call = self.limiter.acquire_many(self.permits(permits));
                let call = if let Some(patience) = patience { call.within(ms(patience)) } else { call };
                return self.run_to_the_end(here, call);
            }
            Event::Join(permits) => {
                let mut future = Box::pin(self.limiter.acquire_many(self.permits(permits)));
                match future.as_mut().now_or_never() {
                    Some(result) => return self.answer(&result, 0),
                    None => self.calls.push(Call { event: number, runtime: here, future }),
                }
            }
            Event::Await if !self.calls.is_empty() => {
                let Call { runtime, future, .. } = self.calls.remove(0);
                return self.run_to_the_end(runtime, future);
            }
            Event::Cancel(n) if n < self.calls.len() => drop(self.calls.remove(n)),
            Event::Charge(permits) => self.limiter.charge(self.permits(permits)),
            Event::Refund(permits) => self.limiter.refund(self.permits(permits)),
            Event::Pause(pause) => self.limiter.pause_for(ms(pause)),
            Event::Resume => self.limiter.resume(),
            Event::SetBurst(burst) => assert_eq!(self.limiter.try_set_burst(burst).is_ok(), self.limiter.is_paced()),
            Event::SetLimits(limits) => {
                let limits = limits[..self.windows].iter().map(|&(limit, period)| (limit, ms(period)));
                self.limiter.try_set_limits(limits).unwrap();
            }
            Event::Advance(millis) => self.runtimes[here].block_on(advance(ms(millis))),
            Event::Look | Event::Acquire(..) | Event::Await | Event::Cancel(_) => {
                return Answer::Available(self.limiter.available_per_window());
            }
        }
        Answer::None
    }

    fn waiting(&self) -> Vec<usize> {
        self.calls.iter().map(|call| call.event).collect()
    }
}

fn run_limiter(schedule: &Schedule) -> Vec<Seen> {
    let runtimes: [_; RUNTIMES] = std::array::from_fn(|_| paused());
    let limiter = {
        let _last = runtimes[RUNTIMES - 1].enter();
        limiter(schedule.kind, schedule.limits)
    };
    let windows = schedule.kind.windows();
    let mut world = World { limiter: &limiter, windows, runtimes: &runtimes, calls: Vec::new() };
    for runtime in &runtimes {
        let _there = runtime.enter();
        limiter.available();
    }
    let events = schedule.events.iter().enumerate();
    let seen = events.map(|(number, (runtime, event))| world.happen(number, *runtime, event)).collect();
    drop(world);
    assert_eq!((limiter.waiting(), limiter.stats().skipped), (0, 0));
    seen
}

struct Naive {
    model: Model,
    clocks: NaiveClocks,
    /// For each arrival of the model, its runtime and the number of its event.
    arrivals: Vec<(usize, usize)>,
}

impl Naive {
    fn nothing_waits(&self) -> bool {
        self.model.queue.is_empty()
    }

    /// The limiter reads this runtime's clock. No call is polled during the time that has passed.
    fn read(&mut self, runtime: usize) {
        let now = self.clocks.read(runtime);
        while self.model.now < now {
            self.model.now += 1;
            self.model.rule.pass(self.model.now);
            self.model.rule.rest();
        }
    }

    fn try_acquire(&mut self, permits: [u32; 2]) -> Answer {
        if self.model.rule.too_much(permits) {
            return Answer::TooMuch;
        }
        if self.nothing_waits() && self.model.fits(permits) {
            self.model.rule.take(self.model.now, permits);
            return Answer::Admitted(0);
        }
        Answer::Refused(self.nothing_waits().then(|| self.model.turn(permits) - self.model.now))
    }

    fn acquire(&mut self, number: usize, here: usize, permits: [u32; 2], patience: Option<u64>) -> Answer {
        match self.try_acquire(permits) {
            Answer::Refused(Some(wait)) if patience.is_none_or(|patience| wait <= patience) => {
                self.wait(number, here, permits);
                self.run_to_the_end()
            }
            answer => answer,
        }
    }

    fn join(&mut self, number: usize, here: usize, permits: [u32; 2]) -> Answer {
        match self.try_acquire(permits) {
            Answer::Refused(_) => {
                self.wait(number, here, permits);
                Answer::None
            }
            answer => answer,
        }
    }

    fn wait(&mut self, number: usize, here: usize, permits: [u32; 2]) {
        let arrival = self.arrivals.len();
        self.arrivals.push((here, number));
        self.model.seen.arrivals.push(Outcome::Waits);
        self.model.queue.push_back(Waiter { arrival, permits, latest: u128::MAX });
    }

    /// Passes time in the runtime of the first waiting call, until that call has ended.
    fn run_to_the_end(&mut self) -> Answer {
        let Some(first) = self.model.queue.front() else { return Answer::None };
        let (arrival, before) = (first.arrival, self.model.now);
        // The calls behind it are not polled meanwhile.
        let others = self.model.queue.split_off(1);
        while self.model.seen.arrivals[arrival] == Outcome::Waits {
            self.model.pass(false);
        }
        self.model.queue.extend(others);
        let waited = self.model.now - before;
        let (runtime, _) = self.arrivals[arrival];
        self.clocks.pass(runtime, waited);
        self.clocks.read(runtime);
        match self.model.seen.arrivals[arrival] {
            Outcome::Admitted(_) => Answer::Admitted(waited),
            _ => Answer::TooMuch,
        }
    }
}

impl Side for Naive {
    fn serve(&mut self, here: usize) {
        if self.nothing_waits() {
            return;
        }
        for _ in 0..2 {
            for waiter in self.model.queue.clone() {
                self.read(self.arrivals[waiter.arrival].0);
            }
            self.read(here);
        }
        self.model.serve();
    }

    fn act(&mut self, number: usize, here: usize, event: &Event) -> Answer {
        if let Event::Advance(millis) = *event {
            self.clocks.pass(here, millis);
            return Answer::None;
        }
        self.read(here);
        let waiting = self.model.queue.len();
        match *event {
            Event::Try(permits) => return self.try_acquire(permits),
            Event::Acquire(permits, patience) if waiting == 0 => return self.acquire(number, here, permits, patience),
            Event::Join(permits) => return self.join(number, here, permits),
            Event::Await if waiting > 0 => return self.run_to_the_end(),
            Event::Cancel(n) if n < waiting => drop(self.model.queue.remove(n)),
            Event::Charge(permits) => self.model.rule.take(self.model.now, permits),
            Event::Refund(permits) => self.model.rule.refund(permits),
            Event::Pause(pause) => self.model.pause(pause),
            Event::Resume => self.model.resume(),
            Event::SetLimits(limits) => self.model.rule.set_limits(limits),
            Event::SetBurst(burst) => self.model.rule.set_burst(burst),
            _ => return Answer::Available(self.model.available()),
        }
        Answer::None
    }

    fn waiting(&self) -> Vec<usize> {
        self.model.queue.iter().map(|waiter| self.arrivals[waiter.arrival].1).collect()
    }
}

fn run_model(schedule: &Schedule) -> Vec<Seen> {
    let model = Model::new(schedule.kind, schedule.limits);
    let mut naive = Naive { model, clocks: NaiveClocks::default(), arrivals: Vec::new() };
    let events = schedule.events.iter().enumerate();
    events.map(|(number, (runtime, event))| naive.happen(number, *runtime, event)).collect()
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn an_exact_limiter_in_three_runtimes_matches_the_model(schedule in any_schedule(any_exact(), any_event_or_waiter())) {
        prop_assert_eq!(run_limiter(&schedule), run_model(&schedule));
    }

    #[test]
    fn a_paced_limiter_in_three_runtimes_matches_the_model(schedule in any_schedule(any_paced(), any_event())) {
        prop_assert_eq!(run_limiter(&schedule), run_model(&schedule));
    }
}
