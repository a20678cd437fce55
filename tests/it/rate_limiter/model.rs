//! The limiter against a naive model, with events in any order and waiters polled in any order.

use crate::support::{cases, millis, ms, paused};
use decor::{Error, Permits, prelude::*};
use futures::{FutureExt as _, future::LocalBoxFuture};
use proptest::prelude::*;
use std::{cell::Cell, collections::VecDeque, future::poll_fn, rc::Rc, task::Poll, time::Duration};
use tokio::time::{Instant, advance};
use tokio_test::task;

mod runtimes;

#[derive(Debug, Clone)]
enum Event {
    Arrive {
        permits: [u32; 2],
        patience: Patience,
        /// `true` if the call comes before the waiters that are woken at this moment are polled.
        early: bool,
    },
    /// The n-th arrival is dropped, if it has come and waits.
    Cancel(usize),
    Pause(u64),
    Resume,
    Charge([u32; 2]),
    Refund([u32; 2]),
    /// The call of the n-th arrival ends, if it runs. `Some` are the permits that it has used; with
    /// `None` the use is unknown.
    End(usize, Option<[u32; 2]>),
    SetLimits([(u32, u64); 2]),
    /// An exact limiter refuses this.
    SetBurst(u32),
    SetMaxWaiting(Option<usize>),
    SetLongestPause(u64),
    Close,
    TryAcquire {
        early: bool,
    },
}

impl Event {
    fn is_early(&self) -> bool {
        matches!(self, Self::Arrive { early: true, .. } | Self::TryAcquire { early: true })
    }
}

#[derive(Debug, Clone, Copy)]
enum Patience {
    Endless,
    Millis(u64),
    /// Ends at the very moment of the estimated turn.
    ToTheTurn,
}

/// The limiter's first answer to an arrival, with the estimated turn.
#[derive(Debug, Clone, Copy)]
enum Reception {
    Endless,
    Patient {
        /// In nanoseconds since the beginning.
        latest: u128,
        refused_at_once: bool,
    },
    QueueFull,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// An exact limiter with this number of the schedule's limits.
    Exact(usize),
    /// A paced limiter with the first limit, and this burst, cut to the limit.
    Paced(u32),
}

impl Kind {
    fn windows(self) -> usize {
        match self {
            Self::Exact(windows) => windows,
            Self::Paced(_) => 1,
        }
    }
}

#[derive(Debug, Clone)]
struct Schedule {
    kind: Kind,
    limits: [(u32, u64); 2],
    /// Milliseconds since the previous event, and the event.
    events: Vec<(u64, Event)>,
    /// Seed for the poll order of waiters that are woken at one moment.
    order: u64,
}

fn any_limits() -> impl Strategy<Value = [(u32, u64); 2]> {
    ((1_u32..6, 1_u64..40), (1_u32..12, 1_u64..60)).prop_map(<[(u32, u64); 2]>::from)
}

fn any_exact() -> impl Strategy<Value = Kind> {
    (1_usize..3).prop_map(Kind::Exact)
}

fn any_paced() -> impl Strategy<Value = Kind> {
    (1_u32..6).prop_map(Kind::Paced)
}

fn any_schedule(kind: impl Strategy<Value = Kind>) -> impl Strategy<Value = Schedule> {
    let permits = (prop_oneof![4 => Just(1_u32), 2 => 0_u32..7], 0_u32..13).prop_map(<[u32; 2]>::from);
    let patience = prop_oneof![
        3 => Just(Patience::Endless),
        1 => (0_u64..60).prop_map(Patience::Millis),
        3 => Just(Patience::ToTheTurn),
    ];
    let arrival = (permits.clone(), patience, any::<bool>());
    let event = prop_oneof![
        36 => arrival.prop_map(|(permits, patience, early)| Event::Arrive { permits, patience, early }),
        9 => (0_usize..20).prop_map(Event::Cancel),
        4 => (1_u64..50).prop_map(Event::Pause),
        2 => Just(Event::Resume),
        3 => permits.clone().prop_map(Event::Charge),
        3 => permits.clone().prop_map(Event::Refund),
        12 => (0_usize..20, prop::option::weighted(0.8, permits)).prop_map(|(n, used)| Event::End(n, used)),
        3 => any_limits().prop_map(Event::SetLimits),
        3 => (1_u32..8).prop_map(Event::SetBurst),
        2 => prop::option::of(0_usize..5).prop_map(Event::SetMaxWaiting),
        1 => (1_u64..40).prop_map(Event::SetLongestPause),
        1 => Just(Event::Close),
        6 => any::<bool>().prop_map(|early| Event::TryAcquire { early }),
    ];
    let pause = prop_oneof![3 => Just(0_u64), 3 => 1_u64..5, 1 => 5_u64..40];
    (kind, any_limits(), prop::collection::vec((pause, event), 1..24), any::<u64>())
        .prop_map(|(kind, limits, events, order)| Schedule { kind, limits, events, order })
}

#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Admitted(u64),
    Refused(u64),
    Cancelled(u64),
    Waits,
}

/// All observable results of a run.
#[derive(Debug, Clone, PartialEq, Default)]
struct Seen {
    arrivals: Vec<Outcome>,
    tries: Vec<bool>,
    available: Vec<Vec<u32>>,
}

/// The plain definition of a limit.
#[derive(Clone)]
enum Rule {
    Windows(Vec<Window>),
    Bucket(Bucket),
}

/// All admissions that any window so far would count.
#[derive(Clone)]
struct Window {
    limit: u32,
    period: u64,
    largest_limit: u32,
    longest_period: u64,
    taken: VecDeque<(u64, u32)>,
    now: u64,
}

impl Window {
    fn new(limit: u32, period: u64) -> Self {
        Self { limit, period, largest_limit: limit, longest_period: period, taken: VecDeque::new(), now: 0 }
    }

    fn pass(&mut self, now: u64) {
        self.now = now;
        self.forget();
    }

    fn taken_after(&self, moment: u64) -> u32 {
        self.taken.iter().filter(|(at, _)| *at > moment).map(|(_, permits)| permits).sum()
    }

    /// Removes admissions that no window so far would count.
    fn forget(&mut self) {
        let is_held = |at| {
            at + self.period > self.now
                || at + self.longest_period > self.now && self.taken_after(at) < self.largest_limit
        };
        self.taken = self.taken.iter().copied().filter(|(at, _)| is_held(*at)).collect();
    }

    /// Gives back up to `permits` of the admissions for which `is_meant` is true, the oldest first.
    fn refund(&mut self, permits: u32, is_meant: impl Fn(&Self, u64) -> bool) {
        self.forget();
        let mut left = permits;
        for n in 0..self.taken.len() {
            let (at, taken) = self.taken[n];
            let given = if is_meant(self, at) { left.min(taken) } else { 0 };
            self.taken[n].1 -= given;
            left -= given;
        }
    }

    fn in_use(&self) -> u32 {
        self.taken.iter().filter(|(at, _)| at + self.period > self.now).map(|(_, permits)| permits).sum()
    }

    fn set_limit(&mut self, limit: u32, period: u64) {
        self.forget();
        (self.limit, self.period) = (limit, period);
        self.largest_limit = self.largest_limit.max(limit);
        self.longest_period = self.longest_period.max(period);
    }
}

/// A paced limiter as a bucket that fills evenly, the mirror image of GCRA. Counts in permits times
/// nanoseconds of the period, so that nothing is rounded.
#[derive(Clone)]
struct Bucket {
    limit: i128,
    period: i128,
    /// The burst as set. May exceed the limit.
    burst: i128,
    /// Contents of the bucket; below zero if it is overdrawn.
    filled: i128,
}

impl Bucket {
    fn new(limit: u32, period: Duration, burst: u32) -> Self {
        let mut bucket = Self { limit: limit.into(), period: nanos(period), burst: burst.into(), filled: 0 };
        bucket.filled = bucket.full();
        bucket
    }

    fn burst(&self) -> i128 {
        self.burst.min(self.limit)
    }

    fn full(&self) -> i128 {
        self.burst() * self.period
    }

    fn pass(&mut self, time: Duration) {
        self.filled += nanos(time) * self.limit;
    }

    /// Drops contents beyond a full bucket.
    fn spill(&mut self) {
        self.filled = self.filled.min(self.full());
    }

    fn missing(&self, permits: u32) -> i128 {
        (i128::from(permits) * self.period - self.filled).max(0)
    }

    /// A call of more than the burst needs a full bucket, and overdraws it.
    fn fits(&self, permits: u32) -> bool {
        i128::from(permits).min(self.burst()) * self.period <= self.filled
    }

    fn take(&mut self, permits: u32) {
        self.filled -= i128::from(permits) * self.period;
    }

    /// Permits beyond a full burst are lost.
    fn refund(&mut self, permits: u32) {
        let room = (self.full() - self.filled).max(0);
        self.filled += (i128::from(permits) * self.period).min(room);
    }

    /// The missing permits take as long to come as they would have taken before, rounded up to
    /// whole nanoseconds.
    fn set_limit(&mut self, limit: u32, period: Duration) {
        let lasts = (self.full() - self.filled + self.limit - 1) / self.limit;
        (self.limit, self.period) = (limit.into(), nanos(period));
        self.filled = self.full() - lasts * self.limit;
    }

    /// The number of missing permits stays.
    fn set_burst(&mut self, burst: u32) {
        let missing = self.full() - self.filled;
        self.burst = burst.into();
        self.filled = self.full() - missing;
    }

    fn available(&self) -> u32 {
        u32::try_from((self.filled / self.period).max(0)).unwrap()
    }
}

fn nanos(duration: Duration) -> i128 {
    duration.as_nanos().try_into().unwrap()
}

impl Rule {
    fn new(kind: Kind, limits: [(u32, u64); 2]) -> Self {
        match kind {
            Kind::Exact(windows) => {
                Self::Windows(limits[..windows].iter().map(|&(limit, period)| Window::new(limit, period)).collect())
            }
            Kind::Paced(burst) => {
                let (limit, period) = limits[0];
                Self::Bucket(Bucket::new(limit, ms(period), burst.min(limit)))
            }
        }
    }

    /// Advances to `now`, one millisecond later.
    fn pass(&mut self, now: u64) {
        match self {
            Self::Windows(windows) => windows.iter_mut().for_each(|window| window.pass(now)),
            Self::Bucket(bucket) => bucket.pass(ms(1)),
        }
    }

    /// Called when all waiters that could take permits have taken them.
    fn rest(&mut self) {
        if let Self::Bucket(bucket) = self {
            bucket.spill();
        }
    }

    fn fits(&self, permits: [u32; 2]) -> bool {
        match self {
            Self::Windows(windows) => windows
                .iter()
                .zip(permits)
                .all(|(window, permits)| permits == 0 || window.in_use() + permits <= window.limit),
            Self::Bucket(bucket) => bucket.fits(permits[0]),
        }
    }

    fn too_much(&self, permits: [u32; 2]) -> bool {
        match self {
            Self::Windows(windows) => windows.iter().zip(permits).any(|(window, permits)| permits > window.limit),
            Self::Bucket(bucket) => i128::from(permits[0]) > bucket.limit,
        }
    }

    fn take(&mut self, now: u64, permits: [u32; 2]) {
        match self {
            Self::Windows(windows) => {
                for (window, permits) in windows.iter_mut().zip(permits) {
                    window.taken.push_back((now, permits));
                }
            }
            Self::Bucket(bucket) => bucket.take(permits[0]),
        }
    }

    /// Gives back permits, of no particular admissions.
    fn refund(&mut self, permits: [u32; 2]) {
        match self {
            Self::Windows(windows) => {
                for (window, permits) in windows.iter_mut().zip(permits) {
                    window.refund(permits, |window, at| at + window.period > window.now);
                }
            }
            Self::Bucket(bucket) => bucket.refund(permits[0]),
        }
    }

    /// Settles a call that was admitted at `at` with `reserved` permits, and has used `used`.
    fn settle(&mut self, now: u64, at: u64, reserved: [u32; 2], used: [u32; 2]) {
        let excess = |a: [u32; 2], b: [u32; 2]| [a[0].saturating_sub(b[0]), a[1].saturating_sub(b[1])];
        self.take(now, excess(used, reserved));
        let unused = excess(reserved, used);
        match self {
            Self::Windows(windows) => {
                for (window, permits) in windows.iter_mut().zip(unused) {
                    window.refund(permits, |_, moment| moment == at);
                }
            }
            Self::Bucket(bucket) if nanos(ms(now - at)) < bucket.period => bucket.refund(unused[0]),
            Self::Bucket(_) => {}
        }
    }

    fn set_limits(&mut self, limits: [(u32, u64); 2]) {
        match self {
            Self::Windows(windows) => {
                for (window, (limit, period)) in windows.iter_mut().zip(limits) {
                    window.set_limit(limit, period);
                }
            }
            Self::Bucket(bucket) => bucket.set_limit(limits[0].0, ms(limits[0].1)),
        }
    }

    fn set_burst(&mut self, burst: u32) {
        if let Self::Bucket(bucket) = self {
            bucket.set_burst(burst);
        }
    }

    fn available(&self) -> Vec<u32> {
        match self {
            Self::Windows(windows) => {
                windows.iter().map(|window| window.limit.saturating_sub(window.in_use())).collect()
            }
            Self::Bucket(bucket) => vec![bucket.available()],
        }
    }
}

#[derive(Clone, Copy)]
struct Waiter {
    arrival: usize,
    permits: [u32; 2],
    /// In nanoseconds since the beginning.
    latest: u128,
}

/// The plain definition of the limiter: a rule and a queue, evaluated every millisecond.
#[derive(Clone)]
struct Model {
    now: u64,
    rule: Rule,
    queue: VecDeque<Waiter>,
    paused_until: u64,
    /// Permits of each arrival's call; `None` after the call has ended, and for arrivals that
    /// cannot be settled.
    reserved: Vec<Option<[u32; 2]>>,
    max_waiting: Option<usize>,
    longest_pause: u64,
    is_closed: bool,
    seen: Seen,
}

impl Model {
    fn new(kind: Kind, limits: [(u32, u64); 2]) -> Self {
        Self {
            now: 0,
            rule: Rule::new(kind, limits),
            queue: VecDeque::new(),
            paused_until: 0,
            reserved: Vec::new(),
            max_waiting: None,
            longest_pause: 3_600_000,
            is_closed: false,
            seen: Seen::default(),
        }
    }

    /// Passes one millisecond. A new call that comes before the waiters are polled catches up as
    /// the waiters do.
    fn pass(&mut self, before_early_one: bool) {
        self.now += 1;
        self.rule.pass(self.now);
        if self.now <= self.paused_until {
            self.rule.rest();
        }
        let catches_up = before_early_one && !self.queue.is_empty();
        self.serve();
        if !catches_up {
            self.rule.rest();
        }
    }

    fn fits(&self, permits: [u32; 2]) -> bool {
        !self.is_closed && self.now >= self.paused_until && self.rule.fits(permits)
    }

    fn pause(&mut self, pause: u64) {
        self.paused_until = self.paused_until.max(self.now + pause.min(self.longest_pause));
    }

    fn resume(&mut self) {
        self.paused_until = self.paused_until.min(self.now);
    }

    fn close(&mut self) {
        self.is_closed = true;
        for waiter in self.queue.drain(..) {
            self.seen.arrivals[waiter.arrival] = Outcome::Refused(self.now);
        }
    }

    fn serve(&mut self) {
        let mut is_blocked = false;
        for waiter in std::mem::take(&mut self.queue) {
            self.seen.arrivals[waiter.arrival] = if !is_blocked && self.rule.too_much(waiter.permits) {
                Outcome::Refused(self.now)
            } else if !is_blocked && self.fits(waiter.permits) {
                self.rule.take(self.now, waiter.permits);
                Outcome::Admitted(self.now)
            } else if in_nanos(self.now) >= waiter.latest {
                Outcome::Refused(self.now)
            } else {
                is_blocked = true;
                self.queue.push_back(waiter);
                Outcome::Waits
            };
        }
    }

    fn happen(&mut self, event: &Event, receptions: &[Reception]) {
        match *event {
            Event::Arrive { permits, patience, early } => {
                let arrival = self.seen.arrivals.len();
                self.reserved.push(is_settled(arrival, patience).then_some(permits));
                if self.is_closed || self.rule.too_much(permits) {
                    self.seen.arrivals.push(Outcome::Refused(self.now));
                } else {
                    self.seen.arrivals.push(Outcome::Waits);
                    let latest = self.latest(permits, receptions[arrival], early);
                    self.queue.push_back(Waiter { arrival, permits, latest });
                }
            }
            Event::Cancel(arrival) => {
                if self.seen.arrivals.get(arrival) == Some(&Outcome::Waits) {
                    self.seen.arrivals[arrival] = Outcome::Cancelled(self.now);
                    self.queue.retain(|waiter| waiter.arrival != arrival);
                }
            }
            Event::Pause(pause) => self.pause(pause),
            Event::Resume => self.resume(),
            Event::Charge(permits) => self.rule.take(self.now, permits),
            Event::Refund(permits) => self.rule.refund(permits),
            Event::End(arrival, used) => {
                if let Some(&Outcome::Admitted(at)) = self.seen.arrivals.get(arrival) {
                    let reserved = self.reserved[arrival].take();
                    if let (Some(reserved), Some(used)) = (reserved, used) {
                        self.rule.settle(self.now, at, reserved, used);
                    }
                }
            }
            Event::SetLimits(limits) => self.rule.set_limits(limits),
            Event::SetBurst(burst) => self.rule.set_burst(burst),
            Event::SetMaxWaiting(waiting) => self.max_waiting = waiting,
            Event::SetLongestPause(pause) => self.longest_pause = pause,
            Event::Close => self.close(),
            Event::TryAcquire { .. } => {
                let admitted = self.queue.is_empty() && self.fits([1, 1]);
                if admitted {
                    self.rule.take(self.now, [1, 1]);
                }
                self.seen.tries.push(admitted);
            }
        }
        self.serve();
        self.rule.rest();
        self.seen.available.push(self.available());
    }

    fn available(&self) -> Vec<u32> {
        let mut available = self.rule.available();
        if self.is_closed || self.now < self.paused_until {
            available.fill(0);
        }
        available
    }

    /// The last moment at which an arrival may be admitted. Checks its reception.
    fn latest(&self, permits: [u32; 2], reception: Reception, early: bool) -> u128 {
        let must_wait = !self.queue.is_empty() || !self.fits(permits);
        let is_full = must_wait && self.max_waiting.is_some_and(|most| self.queue.len() >= most);
        match reception {
            Reception::QueueFull => {
                // An early arrival still finds waiters that are about to leave.
                assert!(early || is_full, "{} of {:?} wait", self.queue.len(), self.max_waiting);
                in_nanos(self.now)
            }
            Reception::Patient { refused_at_once: true, latest } => {
                self.check_foresight(permits, latest, true, early);
                in_nanos(self.now)
            }
            Reception::Patient { latest, .. } => {
                assert!(!is_full, "{} wait", self.queue.len());
                self.check_foresight(permits, latest, false, early);
                latest
            }
            Reception::Endless => {
                assert!(!is_full, "{} wait", self.queue.len());
                u128::MAX
            }
        }
    }

    /// Checks the limiter's estimate. No call is refused at once that would be admitted in time if
    /// all before it stay. Where the estimate is exact, no call waits in vain.
    fn check_foresight(&self, permits: [u32; 2], latest: u128, refused_at_once: bool, early: bool) {
        let all = || self.queue.iter().map(|waiter| waiter.permits).chain([permits]);
        if all().any(|permits| self.rule.too_much(permits)) {
            return;
        }
        let turn = self.turn(permits);
        if refused_at_once {
            assert!(early || in_nanos(turn) > latest, "refused at once, but would be admitted at {turn} ms");
        } else {
            let foreseeable = match &self.rule {
                Rule::Windows(windows) => windows.len() == 1 && all().all(|permits| permits[0] <= 1),
                Rule::Bucket(_) => true,
            };
            let is_in_time = turn == self.now || in_nanos(turn - 1) < latest;
            assert!(!foreseeable || is_in_time, "waits in vain, because its turn is at {turn} ms");
        }
    }

    /// The moment at which a call that comes now would be admitted, if no waiter leaves.
    fn turn(&self, permits: [u32; 2]) -> u64 {
        let mut model = self.clone();
        let arrival = model.seen.arrivals.len();
        model.seen.arrivals.push(Outcome::Waits);
        model.queue.push_back(Waiter { arrival, permits, latest: u128::MAX });
        model.queue.iter_mut().for_each(|waiter| waiter.latest = u128::MAX);
        model.serve();
        model.rule.rest();
        while model.seen.arrivals[arrival] == Outcome::Waits {
            model.pass(false);
        }
        model.now
    }
}

fn in_nanos(millis: u64) -> u128 {
    u128::from(millis) * 1_000_000
}

fn run_model(schedule: &Schedule, receptions: &[Reception], until: u64) -> Seen {
    let mut model = Model::new(schedule.kind, schedule.limits);
    for (pause, event) in &schedule.events {
        for passed in 1..=*pause {
            model.pass(passed == *pause && event.is_early());
        }
        model.happen(event, receptions);
    }
    while model.now < until {
        model.pass(false);
    }
    model.seen
}

/// Returns `true` if an arrival is a call that is settled at its end, `false` if it only waits for
/// permits.
fn is_settled(arrival: usize, patience: Patience) -> bool {
    arrival % 2 == 0 && matches!(patience, Patience::Endless)
}

/// A call that runs until the test ends it.
#[derive(Debug, Clone, Default)]
struct Running {
    has_begun: Rc<Cell<bool>>,
    end: Rc<Cell<End>>,
}

#[derive(Debug, Clone, Copy, Default)]
enum End {
    #[default]
    NotYet,
    /// The permits that the call has used.
    Used(Permits),
    /// The use is unknown.
    Unknown,
}

impl Running {
    /// Makes the call, behind the limiter.
    fn call<'l>(&self, limiter: &'l RateLimiter, permits: Permits) -> LocalBoxFuture<'l, Result<(), Error>> {
        let running = self.clone();
        let call = move || {
            running.has_begun.set(true);
            let end = Rc::clone(&running.end);
            poll_fn(move |_| match end.get() {
                End::NotYet => Poll::Pending,
                End::Used(permits) => Poll::Ready(Ok::<_, Error>(Some(permits))),
                End::Unknown => Poll::Ready(Ok(None)),
            })
        };
        let call = call.rate_limited_by(limiter, move || permits).settled_result(|used| *used.as_ref().unwrap());
        Box::pin(async move { call.await.map(drop) })
    }
}

/// The task of an arrival, which waits or runs.
struct Arrival<'l> {
    task: task::Spawn<LocalBoxFuture<'l, Result<(), Error>>>,
    /// `None` if the arrival only waits for permits.
    running: Option<Running>,
}

/// Drives the limiter. Its waiters are polled only when they are woken, and those that are woken
/// together in any order.
struct Driver<'l> {
    limiter: &'l RateLimiter,
    begun: Instant,
    windows: usize,
    waiters: Vec<Option<Arrival<'l>>>,
    /// The calls that have been admitted, by the number of their arrival.
    running: Vec<(usize, Arrival<'l>)>,
    /// The reception of each arrival.
    receptions: Vec<Reception>,
    order: u64,
    seen: Seen,
}

impl Driver<'_> {
    /// Draws a number below `bound`.
    fn draw(&mut self, bound: usize) -> usize {
        self.order = self.order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.order >> 33).unwrap() % bound
    }

    fn permits(&self, permits: [u32; 2]) -> Permits {
        if self.windows == 1 { [permits[0]].into() } else { permits.into() }
    }

    fn now(&self) -> u64 {
        millis(self.begun.elapsed())
    }

    fn poll(&mut self, arrival: usize) {
        let Some(waiter) = &mut self.waiters[arrival] else { return };
        let result = waiter.task.poll();
        let runs = waiter.running.as_ref().is_some_and(|running| running.has_begun.get());
        let now = self.now();
        match result {
            Poll::Pending if runs => {
                self.seen.arrivals[arrival] = Outcome::Admitted(now);
                self.running.extend(self.waiters[arrival].take().map(|waiter| (arrival, waiter)));
            }
            Poll::Pending => {}
            Poll::Ready(result) => {
                assert_eq!(matches!(result, Err(Error::Closed { .. })), self.limiter.is_closed());
                if matches!(result, Err(Error::QueueFull { .. })) {
                    self.receptions[arrival] = Reception::QueueFull;
                }
                let outcome = if result.is_ok() { Outcome::Admitted } else { Outcome::Refused };
                self.seen.arrivals[arrival] = outcome(now);
                self.waiters[arrival] = None;
            }
        }
    }

    fn end(&mut self, arrival: usize, used: Option<[u32; 2]>) {
        let Some(position) = self.running.iter().position(|(other, _)| *other == arrival) else { return };
        let (_, mut call) = self.running.remove(position);
        let end = used.map_or(End::Unknown, |used| End::Used(self.permits(used)));
        call.running.as_ref().expect("the call runs").end.set(end);
        assert_eq!(call.task.poll(), Poll::Ready(Ok(())));
    }

    fn serve(&mut self) {
        loop {
            let is_woken = |n: &usize| self.waiters[*n].as_ref().is_some_and(|waiter| waiter.task.is_woken());
            let woken: Vec<_> = (0..self.waiters.len()).filter(is_woken).collect();
            if woken.is_empty() {
                break;
            }
            let next = woken[self.draw(woken.len())];
            self.poll(next);
        }
    }

    fn arrive(&mut self, permits: [u32; 2], patience: Patience) {
        let permits = self.permits(permits);
        let arrival = self.waiters.len();
        let running = is_settled(arrival, patience).then(Running::default);
        let patience = match patience {
            Patience::Endless => None,
            Patience::Millis(patience) => Some(ms(patience)),
            Patience::ToTheTurn => match self.limiter.try_acquire_many(permits) {
                Ok(()) => {
                    self.waiters.push(None);
                    self.receptions.push(Reception::Endless);
                    self.seen.arrivals.push(Outcome::Admitted(self.now()));
                    return;
                }
                Err(Error::RateLimited { retry_after }) => {
                    assert!(!retry_after.is_zero());
                    Some(retry_after)
                }
                Err(_) => None,
            },
        };
        let acquire = self.limiter.acquire_many(permits);
        let call: LocalBoxFuture<'_, _> = match (&running, patience) {
            (Some(running), _) => running.call(self.limiter, permits),
            (None, Some(patience)) => Box::pin(acquire.within(patience)),
            (None, None) => Box::pin(acquire),
        };
        self.waiters.push(Some(Arrival { task: task::spawn(call), running }));
        self.seen.arrivals.push(Outcome::Waits);
        self.receptions.push(Reception::Endless);
        self.poll(arrival);
        if let (Some(patience), Reception::Endless) = (patience, self.receptions[arrival]) {
            let latest = (self.begun.elapsed() + patience).as_nanos();
            let refused_at_once = matches!(self.seen.arrivals[arrival], Outcome::Refused(_));
            self.receptions[arrival] = Reception::Patient { latest, refused_at_once };
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Arrive { permits, patience, .. } => self.arrive(permits, patience),
            Event::Cancel(arrival) => {
                if self.seen.arrivals.get(arrival) == Some(&Outcome::Waits) {
                    self.waiters[arrival] = None;
                    self.seen.arrivals[arrival] = Outcome::Cancelled(self.now());
                }
            }
            Event::Pause(pause) => self.limiter.pause_for(ms(pause)),
            Event::Resume => self.limiter.resume(),
            Event::Charge(permits) => self.limiter.charge(self.permits(permits)),
            Event::Refund(permits) => self.limiter.refund(self.permits(permits)),
            Event::End(arrival, used) => self.end(arrival, used),
            Event::SetBurst(burst) => assert_eq!(self.limiter.try_set_burst(burst).is_ok(), self.limiter.is_paced()),
            Event::SetMaxWaiting(waiting) => self.limiter.set_max_waiting(waiting),
            Event::SetLongestPause(pause) => self.limiter.set_longest_pause(ms(pause)),
            Event::Close => self.limiter.close(),
            Event::SetLimits(limits) => {
                let limits = limits[..self.windows].iter().map(|&(limit, period)| (limit, ms(period)));
                self.limiter.try_set_limits(limits).unwrap();
            }
            Event::TryAcquire { .. } => self.seen.tries.push(self.limiter.try_acquire().is_ok()),
        }
        self.serve();
        self.seen.available.push(self.limiter.available_per_window());
    }
}

fn limiter(kind: Kind, limits: [(u32, u64); 2]) -> RateLimiter {
    let limits = limits.map(|(limit, period)| (limit, ms(period)));
    match kind {
        Kind::Exact(windows) => RateLimiter::windows(limits.into_iter().take(windows)),
        Kind::Paced(burst) => {
            let (limit, period) = limits[0];
            RateLimiter::builder().paced(limit, period).burst(burst.min(limit)).build()
        }
    }
}

async fn run_limiter(schedule: &Schedule, until: u64) -> (Seen, Vec<Reception>) {
    let limiter = limiter(schedule.kind, schedule.limits);
    let mut driver = Driver {
        limiter: &limiter,
        begun: Instant::now(),
        windows: schedule.kind.windows(),
        waiters: Vec::new(),
        running: Vec::new(),
        receptions: Vec::new(),
        order: schedule.order,
        seen: Seen::default(),
    };
    for (pause, event) in &schedule.events {
        for passed in 1..=*pause {
            advance(ms(1)).await;
            if passed < *pause || !event.is_early() {
                driver.serve();
            }
        }
        driver.happen(event);
    }
    while driver.now() < until {
        advance(ms(1)).await;
        driver.serve();
    }
    let Driver { waiters, running, receptions, seen, .. } = driver;
    drop((waiters, running));
    assert_eq!(limiter.waiting(), 0);
    assert_eq!(limiter.stats().skipped, 0);
    (seen, receptions)
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn a_paced_limiter_admits_as_a_bucket_that_fills_evenly(
        (limit, burst) in (1_u32..40).prop_flat_map(|limit| (Just(limit), 1..=limit)),
        period in prop_oneof![1_u64..50, 50_u64..2_000_000],
        calls in prop::collection::vec((0_u64..30_000, 1_u32..40), 1..40),
    ) {
        let runtime =
            paused();
        runtime.block_on(async {
            let period = Duration::from_micros(period);
            let limiter = RateLimiter::builder().paced(limit, period).burst(burst).build();
            let mut bucket = Bucket::new(limit, period, burst);
            for (micros, permits) in calls {
                let pause = Duration::from_micros(micros);
                advance(pause).await;
                bucket.pass(pause);
                bucket.spill();
                prop_assert_eq!(limiter.available(), bucket.available());

                let missing = bucket.missing(1);
                if missing > 0 {
                    let wait = u64::try_from(missing).unwrap().div_ceil(limit.into());
                    let retry_after = Duration::from_nanos(wait);
                    prop_assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after }));
                }
                let permits = permits.min(burst);
                let admitted = limiter.acquire_many(permits).now_or_never().is_some();
                prop_assert_eq!(admitted, bucket.missing(permits) == 0);
                if admitted {
                    bucket.take(permits);
                }
            }
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(cases(6_000))]

    #[test]
    fn an_exact_limiter_admits_the_same_calls_at_the_same_times_as_the_model(schedule in any_schedule(any_exact())) {
        check(&schedule)?;
    }

    #[test]
    fn a_paced_limiter_admits_the_same_calls_at_the_same_times_as_the_model(schedule in any_schedule(any_paced())) {
        check(&schedule)?;
    }
}

fn check(schedule: &Schedule) -> Result<(), TestCaseError> {
    let events: u64 = schedule.events.iter().map(|(pause, _)| pause).sum();
    let until = events + 200;
    let runtime = paused();
    let (seen, receptions) = runtime.block_on(run_limiter(schedule, until));
    prop_assert_eq!(seen, run_model(schedule, &receptions, until));
    Ok(())
}
