//! `RateLimiter`: exact, fair, safe to drop, on schedule.

use crate::support::{cases, ms, secs};
use decor::{
    ConfigError, Error, Permits, RateLimiter,
    future::{Acquire, AcquireMany},
    layer::{Never, Refusal},
    prelude::*,
};
use futures::{FutureExt as _, future::join_all};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, pending, ready},
    pin::Pin,
    rc::Rc,
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready, task};

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

/// Counts how often a future is polled.
#[pin_project::pin_project]
struct Polls<'a, F>(#[pin] F, &'a Cell<u32>);

impl<F: Future> Future for Polls<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.1.set(this.1.get() + 1);
        this.0.poll(cx)
    }
}

// ---- against a naive model ----

mod model {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Event {
        Arrive([u32; 2]),
        /// The n-th arrival gives up, if it is there and waits.
        Cancel(usize),
        Pause(u64),
        Charge([u32; 2]),
        SetLimits([(u32, u64); 2]),
        TryAcquire,
    }

    #[derive(Debug, Clone, Copy)]
    enum Kind {
        /// So many of the limits.
        Exact(usize),
        /// By the first limit, with this burst if the limit has room for it.
        Paced(u32),
    }

    #[derive(Debug, Clone)]
    struct Schedule {
        kind: Kind,
        limits: [(u32, u64); 2],
        /// Milliseconds since the event before, and the event.
        events: Vec<(u64, Event)>,
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
        let event = prop_oneof![
            12 => permits.clone().prop_map(Event::Arrive),
            3 => (0_usize..20).prop_map(Event::Cancel),
            1 => (1_u64..50).prop_map(Event::Pause),
            1 => permits.prop_map(Event::Charge),
            1 => any_limits().prop_map(Event::SetLimits),
            2 => Just(Event::TryAcquire),
        ];
        let pause = prop_oneof![3 => Just(0_u64), 3 => 1_u64..5, 1 => 5_u64..40];
        (kind, any_limits(), prop::collection::vec((pause, event), 1..24)).prop_map(|(kind, limits, events)| Schedule {
            kind,
            limits,
            events,
        })
    }

    #[derive(Debug, Clone, PartialEq)]
    enum Outcome {
        Admitted(u64),
        Refused(u64),
        Cancelled(u64),
        Waits,
    }

    /// All that can be seen.
    #[derive(Debug, PartialEq, Default)]
    struct Seen {
        arrivals: Vec<Outcome>,
        tries: Vec<bool>,
        available: Vec<Vec<u32>>,
    }

    /// A limit as one would explain it.
    enum Rule {
        Windows(Vec<Window>),
        Bucket(Bucket),
    }

    /// A deque of all admissions.
    struct Window {
        limit: u32,
        period: u64,
        taken: VecDeque<(u64, u32)>,
    }

    impl Window {
        fn forget(&mut self, now: u64) {
            self.taken.retain(|(at, _)| at + self.period > now);
        }

        fn in_use(&self) -> u32 {
            self.taken.iter().map(|(_, permits)| permits).sum()
        }
    }

    /// A paced limiter as a bucket that fills evenly: the same thing, counted the other way round. In permits times
    /// nanoseconds of the period, so that nothing is ever rounded.
    struct Bucket {
        limit: i128,
        period: i128,
        burst: i128,
        /// Below zero, if it is overdrawn.
        filled: i128,
    }

    impl Bucket {
        fn new(limit: u32, period: Duration, burst: u32) -> Self {
            let mut bucket = Self { limit: limit.into(), period: nanos(period), burst: burst.into(), filled: 0 };
            bucket.filled = bucket.full();
            bucket
        }

        fn full(&self) -> i128 {
            self.burst * self.period
        }

        fn pass(&mut self, time: Duration) {
            self.filled += nanos(time) * self.limit;
        }

        /// What it cannot hold.
        fn spill(&mut self) {
            self.filled = self.filled.min(self.full());
        }

        fn missing(&self, permits: u32) -> i128 {
            (i128::from(permits) * self.period - self.filled).max(0)
        }

        /// More than the burst need a full bucket, and overdraw it.
        fn fits(&self, permits: u32) -> bool {
            i128::from(permits).min(self.burst) * self.period <= self.filled
        }

        fn take(&mut self, permits: u32) {
            self.filled -= i128::from(permits) * self.period;
        }

        /// What is missing then takes as long to come as it would have taken, and a nanosecond is not divided.
        fn set_limit(&mut self, limit: u32, period: Duration) {
            let lasts = (self.full() - self.filled + self.limit - 1) / self.limit;
            let limit = limit.into();
            *self = Self { limit, period: nanos(period), burst: self.burst.min(limit), filled: 0 };
            self.filled = self.full() - lasts * limit;
        }

        fn available(&self) -> u32 {
            u32::try_from((self.filled / self.period).max(0)).unwrap()
        }
    }

    fn nanos(duration: Duration) -> i128 {
        duration.as_nanos().try_into().unwrap()
    }

    impl Rule {
        fn new(schedule: &Schedule) -> Self {
            let windows = |windows: usize| {
                let limits = &schedule.limits[..windows];
                limits.iter().map(|&(limit, period)| Window { limit, period, taken: VecDeque::new() }).collect()
            };
            match schedule.kind {
                Kind::Exact(count) => Self::Windows(windows(count)),
                Kind::Paced(burst) => {
                    let (limit, period) = schedule.limits[0];
                    Self::Bucket(Bucket::new(limit, ms(period), burst.min(limit)))
                }
            }
        }

        /// A millisecond later.
        fn pass(&mut self, now: u64) {
            match self {
                Self::Windows(windows) => windows.iter_mut().for_each(|window| window.forget(now)),
                Self::Bucket(bucket) => bucket.pass(ms(1)),
            }
        }

        /// Whoever could take something has done so.
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

        fn set_limits(&mut self, now: u64, limits: [(u32, u64); 2]) {
            match self {
                Self::Windows(windows) => {
                    for (window, (limit, period)) in windows.iter_mut().zip(limits) {
                        (window.limit, window.period) = (limit, period);
                        window.forget(now);
                    }
                }
                Self::Bucket(bucket) => bucket.set_limit(limits[0].0, ms(limits[0].1)),
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

    /// The limiter as one would explain it: a rule, and a queue, looked at every millisecond.
    struct Model {
        now: u64,
        rule: Rule,
        queue: VecDeque<(usize, [u32; 2])>,
        paused_until: u64,
        seen: Seen,
    }

    impl Model {
        fn new(schedule: &Schedule) -> Self {
            let rule = Rule::new(schedule);
            Self { now: 0, rule, queue: VecDeque::new(), paused_until: 0, seen: Seen::default() }
        }

        fn pass(&mut self) {
            self.now += 1;
            self.rule.pass(self.now);
            if self.now <= self.paused_until {
                self.rule.rest();
            }
            self.serve();
        }

        fn fits(&self, permits: [u32; 2]) -> bool {
            self.now >= self.paused_until && self.rule.fits(permits)
        }

        fn serve(&mut self) {
            while let Some(&(arrival, permits)) = self.queue.front() {
                self.seen.arrivals[arrival] = if self.rule.too_much(permits) {
                    Outcome::Refused(self.now)
                } else if self.fits(permits) {
                    self.rule.take(self.now, permits);
                    Outcome::Admitted(self.now)
                } else {
                    break;
                };
                self.queue.pop_front();
            }
            self.rule.rest();
        }

        fn happen(&mut self, event: &Event) {
            match *event {
                Event::Arrive(permits) => {
                    self.seen.arrivals.push(Outcome::Waits);
                    let arrival = self.seen.arrivals.len() - 1;
                    if self.rule.too_much(permits) {
                        self.seen.arrivals[arrival] = Outcome::Refused(self.now);
                    } else {
                        self.queue.push_back((arrival, permits));
                    }
                }
                Event::Cancel(arrival) => {
                    if self.seen.arrivals.get(arrival) == Some(&Outcome::Waits) {
                        self.seen.arrivals[arrival] = Outcome::Cancelled(self.now);
                        self.queue.retain(|(waiting, _)| *waiting != arrival);
                    }
                }
                Event::Pause(pause) => self.paused_until = self.paused_until.max(self.now + pause),
                Event::Charge(permits) => self.rule.take(self.now, permits),
                Event::SetLimits(limits) => self.rule.set_limits(self.now, limits),
                Event::TryAcquire => {
                    let admitted = self.queue.is_empty() && self.fits([1, 1]);
                    if admitted {
                        self.rule.take(self.now, [1, 1]);
                    }
                    self.seen.tries.push(admitted);
                }
            }
            self.serve();
            let mut available = self.rule.available();
            if self.now < self.paused_until {
                available.fill(0);
            }
            self.seen.available.push(available);
        }
    }

    fn run_model(schedule: &Schedule, until: u64) -> Seen {
        let mut model = Model::new(schedule);
        for (pause, event) in &schedule.events {
            for _ in 0..*pause {
                model.pass();
            }
            model.happen(event);
        }
        while model.now < until {
            model.pass();
        }
        model.seen
    }

    /// The limiter itself, its waiters polled when, and only when, they are woken.
    struct Driver<'l> {
        limiter: &'l RateLimiter,
        begun: Instant,
        windows: usize,
        waiters: Vec<Option<task::Spawn<Pin<Box<AcquireMany<'l>>>>>>,
        seen: Seen,
    }

    impl Driver<'_> {
        fn permits(&self, permits: [u32; 2]) -> Permits {
            if self.windows == 1 { [permits[0]].into() } else { permits.into() }
        }

        fn now(&self) -> u64 {
            millis(self.begun.elapsed())
        }

        fn poll(&mut self, arrival: usize) {
            let Some(waiter) = &mut self.waiters[arrival] else { return };
            if let Poll::Ready(result) = waiter.poll() {
                let now = self.now();
                self.seen.arrivals[arrival] =
                    if result.is_ok() { Outcome::Admitted(now) } else { Outcome::Refused(now) };
                self.waiters[arrival] = None;
            }
        }

        fn serve(&mut self) {
            while let Some(woken) =
                self.waiters.iter().position(|waiter| waiter.as_ref().is_some_and(task::Spawn::is_woken))
            {
                self.poll(woken);
            }
        }

        fn happen(&mut self, event: &Event) {
            match *event {
                Event::Arrive(permits) => {
                    let acquire = self.limiter.acquire_many(self.permits(permits));
                    self.waiters.push(Some(task::spawn(Box::pin(acquire))));
                    self.seen.arrivals.push(Outcome::Waits);
                    self.poll(self.waiters.len() - 1);
                }
                Event::Cancel(arrival) => {
                    if self.seen.arrivals.get(arrival) == Some(&Outcome::Waits) {
                        self.waiters[arrival] = None;
                        self.seen.arrivals[arrival] = Outcome::Cancelled(self.now());
                    }
                }
                Event::Pause(pause) => self.limiter.pause_for(ms(pause)),
                Event::Charge(permits) => self.limiter.charge(self.permits(permits)),
                Event::SetLimits(limits) => {
                    let limits = limits[..self.windows].iter().map(|&(limit, period)| (limit, ms(period)));
                    self.limiter.try_set_limits(limits).unwrap();
                }
                Event::TryAcquire => self.seen.tries.push(self.limiter.try_acquire().is_ok()),
            }
            self.serve();
            self.seen.available.push(self.limiter.available_each());
        }
    }

    async fn run_limiter(schedule: &Schedule, until: u64) -> Seen {
        let limits = schedule.limits.map(|(limit, period)| (limit, ms(period)));
        let (windows, limiter) = match schedule.kind {
            Kind::Exact(windows) => (windows, RateLimiter::windows(limits.into_iter().take(windows))),
            Kind::Paced(burst) => {
                let (limit, period) = limits[0];
                (1, RateLimiter::paced(limit, period).burst(burst.min(limit)))
            }
        };
        let begun = Instant::now();
        let waiters = Vec::new();
        let mut driver = Driver { limiter: &limiter, begun, windows, waiters, seen: Seen::default() };
        for (pause, event) in &schedule.events {
            for _ in 0..*pause {
                advance(ms(1)).await;
                driver.serve();
            }
            driver.happen(event);
        }
        while driver.now() < until {
            advance(ms(1)).await;
            driver.serve();
        }
        let Driver { waiters, seen, .. } = driver;
        drop(waiters);
        assert_eq!(limiter.waiting(), 0);
        assert_eq!(limiter.stats().passed_over, 0);
        seen
    }

    proptest! {
        #![proptest_config(cases(5_000))]

        #[test]
        fn a_paced_limiter_is_a_bucket_that_fills_evenly(
            (limit, burst) in (1_u32..40).prop_flat_map(|limit| (Just(limit), 1..=limit)),
            period in prop_oneof![1_u64..50, 50_u64..2_000_000],
            calls in prop::collection::vec((0_u64..30_000, 1_u32..40), 1..40),
        ) {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let period = Duration::from_micros(period);
                let limiter = RateLimiter::paced(limit, period).burst(burst);
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
        fn it_admits_what_the_model_admits_and_when(schedule in any_schedule(any_exact())) {
            check(&schedule)?;
        }

        #[test]
        fn a_paced_one_admits_what_the_model_admits_and_when(schedule in any_schedule(any_paced())) {
            check(&schedule)?;
        }
    }

    fn check(schedule: &Schedule) -> Result<(), TestCaseError> {
        let events: u64 = schedule.events.iter().map(|(pause, _)| pause).sum();
        let until = events + 200;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let seen = runtime.block_on(run_limiter(schedule, until));
        prop_assert_eq!(seen, run_model(schedule, until));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_paced_queue_makes_up_for_ten_milliseconds_of_lateness_and_no_more() {
    let limiter = RateLimiter::paced(1_000, secs(1));
    limiter.acquire().await;
    let begun = Instant::now();
    let waiters = (0..100).map(|_| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            limiter.acquire().await;
            millis(begun.elapsed())
        })
    });
    let waiters: Vec<_> = waiters.collect();
    while limiter.waiting() < 100 {
        tokio::task::yield_now().await;
    }
    advance(ms(50)).await; // nobody can come meanwhile
    let admitted: Vec<_> = join_all(waiters).await.into_iter().map(Result::unwrap).collect();
    let at_once = (0..11).map(|_| 50);
    assert_eq!(admitted, at_once.chain(51..140).collect::<Vec<_>>(), "those of the last 10 ms, and then one each");
}

#[tokio::test(start_paused = true)]
async fn several_permits_are_tried_and_waited_for_within_a_limit() {
    let limiter = RateLimiter::windows([(20, secs(1)), (1_000, secs(10))]);
    assert_eq!(limiter.try_acquire_many([1_usize, 600]), Ok(()));
    let refused = Err(Error::RateLimited { retry_after: secs(10) });
    assert_eq!(limiter.try_acquire_many([1_usize, 600]), refused);
    assert_eq!(limiter.available_each(), [19, 400], "all of them or none");
    assert_eq!(limiter.try_acquire_many(20), refused.clone().map_err(|_| Error::RateLimited { retry_after: secs(1) }));
    assert_eq!(limiter.acquire_each([1, 600]).within(ms(9_999)).await, refused, "at once");
    let begun = Instant::now();
    assert_eq!(limiter.acquire_each([1, 600]).within(secs(10)).await, Ok(()));
    assert_eq!(begun.elapsed(), secs(10));
    assert_eq!((limiter.stats().admitted, limiter.stats().refused), (2, 3));

    let text = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(
        text(limiter.try_acquire_many([1, -5])),
        "invalid argument: -5 permits, but there are only 0 to 4294967295"
    );
    assert_eq!(
        text(limiter.try_acquire_many([1, usize::MAX])),
        "invalid argument: 4294967295 permits at once, but the limit is 1000 per 10s"
    );
    assert_eq!(
        text(limiter.try_acquire_many([1, 2, 3])),
        "invalid argument: permits for 3 windows, but the limiter has 2"
    );
}

/// One program's clocks need not agree: that of a paused runtime may be hours ahead of the next one's.
#[test]
fn a_clock_that_goes_back_stands_still() {
    let paused = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let limiter = paused().block_on(async {
        let limiter = RateLimiter::new(1, secs(1));
        advance(secs(3_600)).await;
        limiter.try_acquire().unwrap();
        limiter
    });
    paused().block_on(async {
        assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(1) }), "an hour ago is now");
        advance(secs(3_602)).await;
        assert_eq!(limiter.try_acquire(), Ok(()), "caught up");
    });
}

#[test]
#[cfg_attr(miri, ignore = "takes it for ever")]
fn in_real_time_on_many_threads_no_window_is_ever_broken() {
    const LIMIT: usize = 50;
    const TASKS: usize = 50;
    const EACH: usize = 1_000;
    let period = ms(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let limiter = RateLimiter::new(u32::try_from(LIMIT).unwrap(), period);
    let begun = std::time::Instant::now();
    let tasks = (0..TASKS).map(|_| {
        let limiter = limiter.clone();
        runtime.spawn(async move {
            let mut admitted = Vec::with_capacity(EACH);
            for _ in 0..EACH {
                limiter.acquire().await;
                admitted.push(begun.elapsed());
            }
            admitted
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut admitted: Vec<_> = tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap()).collect();
    admitted.sort_unstable();

    // An admission is seen when it was made, or later. So by any moment no more can have been seen than windows of the
    // limit have begun: one that was broken anywhere would shift all that come after it before their time.
    let broken = (0_u32..).zip(admitted.chunks(LIMIT)).filter(|(windows, chunk)| chunk[0] < period * *windows);
    assert_eq!(broken.count(), 0);
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.cancelled, stats.waiting), (50_000, 0, 0));
}

// ---- fair ----

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
async fn a_thousand_waiters_are_admitted_in_order_with_three_polls_each_and_on_schedule() {
    let limiter = RateLimiter::new(10, ms(100));
    let begun = Instant::now();
    let polls = Cell::new(0);
    let order = RefCell::new(Vec::new());
    join_all((0..1000_u64).map(|n| {
        let (limiter, order) = (&limiter, &order);
        Polls(
            async move {
                limiter.acquire().await;
                order.borrow_mut().push((n, millis(begun.elapsed())));
            },
            &polls,
        )
    }))
    .await;
    let expected: Vec<_> = (0..1000).map(|n| (n, n / 10 * 100)).collect();
    assert_eq!(*order.borrow(), expected);
    assert_eq!(begun.elapsed(), ms(9_900));
    assert!(polls.get() <= 3000, "{} polls", polls.get());
    assert_eq!(limiter.stats().passed_over, 0);
}

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
async fn four_tasks_in_a_loop_get_the_same() {
    for (limit, period) in [(1, 10), (3, 20), (10, 100)] {
        let limiter = RateLimiter::new(limit, ms(period));
        // All four have to wait from the start: permits that are free go to whoever is there first.
        limiter.acquire_many(limit).await.unwrap();
        let counts: Rc<[Cell<u32>; 4]> = Rc::default();
        let tasks = tokio::task::LocalSet::new();
        for task in 0..4 {
            let (limiter, counts) = (limiter.clone(), Rc::clone(&counts));
            tasks.spawn_local(async move {
                loop {
                    limiter.acquire().await;
                    counts[task].set(counts[task].get() + 1);
                }
            });
        }
        tasks.run_until(sleep(ms(2_735))).await;
        let counts: Vec<u32> = counts.iter().map(Cell::get).collect();
        assert_eq!(counts.iter().sum::<u32>(), limit * u32::try_from(2_735 / period).unwrap());
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{limit}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_heavy_request_goes_in_its_turn() {
    let limiter = RateLimiter::new(10, secs(1));
    let begun = Instant::now();
    let order = RefCell::new(Vec::new());
    let take = |name: &'static str, permits: u32| {
        let (limiter, order) = (&limiter, &order);
        async move {
            limiter.acquire_many(permits).await.unwrap();
            order.borrow_mut().push((name, millis(begun.elapsed())));
        }
    };
    let calls = [("a", 6), ("heavy", 10), ("b", 1), ("c", 1)].map(|(name, permits)| take(name, permits));
    join_all(calls).await;
    assert_eq!(*order.borrow(), [("a", 0), ("heavy", 1000), ("b", 2000), ("c", 2000)]);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_never_overtakes() {
    let limiter = RateLimiter::new(2, secs(1));
    limiter.acquire().await;
    let mut heavy = task::spawn(limiter.acquire_many(2));
    assert_pending!(heavy.poll());
    // There is a permit, but somebody waits for two.
    assert_eq!(limiter.available(), 1);
    // At the earliest, as far as can be known without looking at each who waits.
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(1) }));
    let mut light = task::spawn(limiter.acquire());
    assert_pending!(light.poll());
    advance(secs(1)).await;
    assert!(heavy.is_woken());
    assert_eq!(assert_ready!(heavy.poll()), Ok(()));
    assert_pending!(light.poll());
    advance(secs(1)).await;
    assert_ready!(light.poll());
}

/// Elsewhere a waiter whose task had used up its budget was passed by others. Here the clock decides, not the timer.
#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
async fn a_task_that_has_used_up_its_budget_keeps_its_turn() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let begun = Instant::now();
    let order = RefCell::new(Vec::new());
    let greedy = async {
        let mut acquire = Box::pin(limiter.acquire());
        std::future::poll_fn(|cx| {
            while let Poll::Ready(spent) = tokio::task::coop::poll_proceed(cx) {
                spent.made_progress();
            }
            acquire.as_mut().poll(cx)
        })
        .await;
        order.borrow_mut().push(("greedy", millis(begun.elapsed())));
    };
    let modest = async {
        limiter.acquire().await;
        order.borrow_mut().push(("modest", millis(begun.elapsed())));
    };
    // Always runnable, the greedy one keeps the paused clock from advancing by itself.
    let clock = async {
        for _ in 0..2_000 {
            advance(ms(1)).await;
        }
    };
    futures::future::join3(greedy, modest, clock).await;
    assert_eq!(*order.borrow(), [("greedy", 1000), ("modest", 2000)]);
}

// ---- safe to drop ----

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
async fn after_ten_thousand_gave_up_a_newcomer_waits_as_if_they_had_never_come() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let mut waiters: Vec<_> = (0..10_000).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    assert_eq!(limiter.waiting(), 10_000);
    drop(waiters);
    assert_eq!(limiter.waiting(), 0);
    let begun = Instant::now();
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), secs(1));
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.delayed, stats.cancelled), (2, 1, 10_000));
    assert_eq!(stats.total_wait, secs(1));
}

/// The head is dropped before its timer, at it, or woken and not yet polled: each time the next is admitted when it would
/// have been the head's turn.
#[tokio::test(start_paused = true)]
async fn the_head_can_be_dropped_at_any_point() {
    for drop_after in [0, 500, 999, 1000, 1001] {
        for between in [0, 1, 3] {
            let limiter = RateLimiter::new(1, secs(1));
            limiter.acquire().await;
            let begun = Instant::now();
            let mut head = task::spawn(limiter.acquire());
            assert_pending!(head.poll());
            let mut also: Vec<_> = (0..between).map(|_| task::spawn(limiter.acquire())).collect();
            for waiter in &mut also {
                assert_pending!(waiter.poll());
            }
            let mut next = task::spawn(limiter.acquire());
            assert_pending!(next.poll());
            advance(ms(drop_after)).await;
            assert_eq!(head.is_woken(), drop_after >= 1000);
            drop(also);
            drop(head);
            next.await;
            assert_eq!(millis(begun.elapsed()), drop_after.max(1000), "{drop_after} {between}");
            assert_eq!(limiter.stats().passed_over, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_that_are_never_polled_again_hold_nobody_up_for_longer_than_documented() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let begun = Instant::now();
    let mut dead: Vec<_> = (0..3).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut dead {
        assert_pending!(waiter.poll());
    }
    // Its own turn would have been after 4 s.
    limiter.acquire().await;
    // It looks 1 ms later for each period, and passes over all three at once 10 ms after that.
    assert!(begun.elapsed() <= secs(4) + ms(5 + 10), "{:?}", begun.elapsed());
    assert_eq!(limiter.stats().passed_over, 3);

    // Those that were passed over are the first again when they come.
    let mut newcomer = task::spawn(limiter.acquire());
    assert_pending!(newcomer.poll());
    assert_pending!(dead[2].poll());
    advance(secs(1)).await;
    assert_pending!(newcomer.poll());
    assert_ready!(dead[2].poll());
}

/// Whoever passes over the dead tells the next, whose turn comes earlier now than it had been told.
#[tokio::test(start_paused = true)]
async fn the_turn_of_the_dead_is_not_waited_for() {
    let limiter = RateLimiter::new(2, secs(1));
    let begun = Instant::now();
    limiter.acquire().await;
    advance(ms(500)).await;
    limiter.acquire().await;
    let mut dead = task::spawn(limiter.acquire());
    assert_pending!(dead.poll());
    let next = limiter.clone();
    let next = tokio::spawn(async move {
        next.acquire_many(2).await.unwrap();
        begun.elapsed()
    });
    for at in [1000, 1010] {
        tokio::time::sleep_until(begun + ms(at)).await;
        assert!(limiter.try_acquire().is_err());
    }
    // Had the dead one taken its permit, it would have been 2 s.
    assert_eq!(next.await.unwrap(), ms(1500));
}

/// A waker's last clone may own the task, and the task a waiter of the same limiter. (Broken, this would hang.)
#[tokio::test(start_paused = true)]
async fn wakers_are_dropped_outside_of_the_lock() {
    struct Owner(#[allow(dead_code)] Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>); // owned, to be dropped with it
    impl std::task::Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    static LIMITER: LazyLock<RateLimiter> = LazyLock::new(|| RateLimiter::new(1, secs(1)));
    LIMITER.acquire().await;
    let mut inner: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(LIMITER.acquire());
    assert!(inner.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
    let owner = Arc::new(Owner(Mutex::new(inner)));
    let alive = Arc::downgrade(&owner);
    let mut outer = Box::pin(LIMITER.acquire());
    assert!(outer.as_mut().poll(&mut Context::from_waker(&owner.into())).is_pending());

    // Neither is ever polled again. The outer one's timer goes off and lets go of the waker; passing over it is the last.
    for pause in [1_000, 10, 3_000] {
        assert!(LIMITER.try_acquire().is_err());
        advance(ms(pause)).await;
        assert!(alive.upgrade().is_some());
    }
    assert_eq!(LIMITER.try_acquire(), Ok(()));
    assert!(alive.upgrade().is_none());
    assert_eq!((LIMITER.stats().passed_over, LIMITER.waiting()), (2, 0));
}

/// Places are found by numbers that are used again; one who was passed over must not take another's for its own.
#[tokio::test(start_paused = true)]
async fn those_who_come_back_keep_their_places_apart() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let mut dead: Vec<_> = (0..3).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut dead {
        assert_pending!(waiter.poll());
    }
    limiter.acquire().await;
    assert_eq!((limiter.stats().passed_over, limiter.waiting()), (3, 0));
    let mut newcomer = task::spawn(limiter.acquire());
    assert_pending!(newcomer.poll());
    for (back, waiter) in dead.iter_mut().enumerate() {
        assert_pending!(waiter.poll());
        assert_eq!(limiter.waiting(), 2 + back);
    }
    // The last to come back is the first now.
    for mut waiter in dead.into_iter().rev().chain([newcomer]) {
        tokio::time::timeout(secs(1), &mut waiter).await.unwrap();
    }
    assert_eq!((limiter.stats().admitted, limiter.waiting()), (6, 0));
}

/// A waiter that has been told that it is free to go, and does not come.
async fn called_in_vain(limiter: &RateLimiter) -> task::Spawn<Acquire<'_>> {
    limiter.acquire().await;
    let mut dead = task::spawn(limiter.acquire());
    assert_pending!(dead.poll());
    advance(secs(1)).await;
    assert!(limiter.try_acquire().is_err(), "it was called only now");
    dead
}

#[tokio::test(start_paused = true)]
async fn the_dead_do_not_keep_triers_away() {
    let limiter = RateLimiter::new(1, secs(1));
    let _dead = called_in_vain(&limiter).await;
    advance(ms(9)).await;
    assert!(limiter.try_acquire().is_err());
    advance(ms(1)).await;
    assert_eq!(limiter.try_acquire(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn who_comes_when_all_that_waited_are_dead_need_not_wait() {
    let limiter = RateLimiter::new(1, secs(1));
    let _dead = called_in_vain(&limiter).await;
    advance(ms(10)).await;
    assert_ready!(task::spawn(limiter.acquire()).poll());
    assert_eq!((limiter.stats().admitted, limiter.stats().delayed, limiter.stats().passed_over), (2, 0, 1));
}

// ---- waiting no longer than ----

#[tokio::test(start_paused = true)]
async fn acquire_within_fails_at_once_if_the_wait_is_known_to_be_longer() {
    let limiter = RateLimiter::new(2, secs(1));
    assert_eq!(limiter.acquire_within(Duration::ZERO).await, Ok(()));
    assert_eq!(limiter.acquire_within(Duration::ZERO).await, Ok(()));
    let begun = Instant::now();
    assert_eq!(limiter.acquire_within(ms(999)).await, Err(Error::RateLimited { retry_after: secs(1) }));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(limiter.acquire_within(ms(1000)).await, Ok(()));
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn none_at_all_are_free_however_many_are_in_use() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.charge(5);
    assert_ready!(task::spawn(limiter.acquire_many(0)).poll()).unwrap();
    assert_eq!((limiter.stats().admitted, limiter.stats().delayed), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn who_will_not_wait_does_not_go_before_one_who_is_free_to_go() {
    let limiter = RateLimiter::new(2, secs(1));
    limiter.acquire_many(2).await.unwrap();
    let mut first = task::spawn(limiter.acquire());
    assert_pending!(first.poll());
    advance(secs(1)).await;
    let refused = Err(Error::RateLimited { retry_after: Duration::ZERO });
    assert_eq!(assert_ready!(task::spawn(limiter.acquire_within(Duration::ZERO)).poll()), refused);
    assert!(first.is_woken());
    assert_ready!(first.poll());
    assert_eq!(limiter.acquire_within(Duration::ZERO).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_already_count() {
    let limiter = RateLimiter::new(2, secs(1));
    limiter.acquire_many(2).await.unwrap();
    let mut waiters: Vec<_> = (0..4).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    // Two at 1 s, two at 2 s, and so this one at 3 s.
    assert_eq!(limiter.acquire_within(ms(2_999)).await, Err(Error::RateLimited { retry_after: secs(3) }));
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(3) }));
}

#[tokio::test(start_paused = true)]
async fn acquire_within_is_a_hard_bound() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let mut within = task::spawn(limiter.acquire_within(secs(2)));
    assert_pending!(within.poll());
    limiter.pause_for(secs(60));
    let begun = Instant::now();
    assert_eq!(within.await, Err(Error::RateLimited { retry_after: secs(58) }));
    assert_eq!(begun.elapsed(), secs(2));
    assert_eq!((limiter.waiting(), limiter.stats().refused), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_those_who_can_be_refused() {
    let limiter = RateLimiter::builder().window(1, secs(1)).refuse_above(1).build();
    limiter.acquire().await;
    let mut waiter = task::spawn(limiter.acquire_many(1));
    assert_pending!(waiter.poll());
    assert_eq!(limiter.acquire_many(1).await, Err(Error::QueueFull { waiting: 1 }));
    assert_eq!(limiter.acquire_within(secs(60)).await, Err(Error::QueueFull { waiting: 1 }));
    let mut plain = task::spawn(limiter.acquire());
    assert_pending!(plain.poll()); // cannot be told
    assert_eq!(limiter.waiting(), 2);
    assert_eq!(<Never as Refusal<u8>>::output(Error::QueueFull { waiting: 2 }), None);
}

// ---- pauses, charges, limits ----

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everybody_and_the_longer_one_counts() {
    let limiter = RateLimiter::new(10, secs(1));
    limiter.pause_for(secs(30));
    limiter.pause_for(secs(5));
    assert_eq!(limiter.available(), 0);
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(30) }));
    let begun = Instant::now();
    join_all((0..3).map(|_| limiter.acquire())).await;
    assert_eq!(begun.elapsed(), secs(30));
}

#[tokio::test(start_paused = true)]
async fn behind_a_pause_everybody_is_told_the_time_after_it() {
    for limiter in [RateLimiter::new(1, secs(1)), RateLimiter::paced(1, secs(1))] {
        limiter.pause_for(secs(30));
        let mut waiters: Vec<_> = (0..3).map(|_| task::spawn(limiter.acquire())).collect();
        for waiter in &mut waiters {
            assert_pending!(waiter.poll());
        }
        assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(33) }));
        // Nobody is woken by the end of the pause but the first.
        advance(secs(30)).await;
        assert_eq!(waiters.iter().map(task::Spawn::is_woken).collect::<Vec<_>>(), [true, false, false]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_charge_may_overdraw_and_is_waited_for() {
    let limiter = RateLimiter::new(10, secs(1));
    limiter.charge(10);
    advance(ms(100)).await;
    limiter.charge(5);
    assert_eq!(limiter.available(), 0);
    let begun = Instant::now();
    limiter.acquire_many(6).await.unwrap();
    // After 0.9 s there are 5, and after 1 s all of them.
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_higher_limit_reaches_those_who_wait() {
    let limiter = RateLimiter::new(1, secs(60));
    limiter.acquire().await;
    let begun = Instant::now();
    let waiting = join_all((0..3).map(|_| limiter.acquire()));
    let raise = async {
        sleep(secs(1)).await;
        limiter.set_limit(4, secs(60));
    };
    futures::future::join(waiting, raise).await;
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_no_longer_fits_a_lowered_limit_is_refused_in_its_turn() {
    let limiter = RateLimiter::new(5, secs(1));
    limiter.acquire_many(5).await.unwrap();
    let mut heavy = task::spawn(limiter.acquire_many(5));
    let mut light = task::spawn(limiter.acquire());
    assert_pending!(heavy.poll());
    assert_pending!(light.poll());
    limiter.set_limit(2, secs(1));
    assert!(heavy.is_woken());
    let refused = assert_ready!(heavy.poll()).unwrap_err();
    assert_eq!(refused.to_string(), "invalid argument: 5 permits at once, but the limit is 2 per 1s");
    let begun = Instant::now();
    light.await;
    assert_eq!(begun.elapsed(), secs(1));
}

// ---- paced ----

/// A hundred thousand that all looked every 10 ms would keep the first from coming.
#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
async fn who_stands_far_behind_looks_less_often_whether_the_first_comes() {
    for (before, patience) in [(999, 10), (1_000, 20), (2_500, 30)] {
        let limiter = RateLimiter::new(1, secs(1));
        limiter.try_acquire().unwrap();
        let mut silent: Vec<_> = (0..before).map(|_| task::spawn(limiter.acquire())).collect();
        for waiter in &mut silent {
            assert_pending!(waiter.poll());
        }
        advance(secs(1)).await;
        let mut last = task::spawn(limiter.acquire());
        assert_pending!(last.poll());
        advance(ms(patience - 1)).await;
        assert!(!last.is_woken(), "behind {before}");
        advance(ms(2)).await;
        assert!(last.is_woken(), "behind {before}");
    }
}

#[tokio::test(start_paused = true)]
async fn paced_calls_are_evenly_spaced_and_do_not_drift() {
    let limiter = RateLimiter::paced(3, secs(1));
    let begun = Instant::now();
    let mut at = Vec::new();
    for _ in 0..301 {
        limiter.acquire().await;
        at.push(begun.elapsed());
    }
    // A third of a second is no whole number of nanoseconds: the timer rounds each up, the schedule adds none of it up.
    let expected: Vec<_> = (0..301_u64).map(|n| ms((n * 1000).div_ceil(3))).collect();
    assert_eq!(at, expected);
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_given_after_a_pause() {
    let limiter = RateLimiter::paced(10, secs(1)).burst(3);
    let begun = Instant::now();
    let acquire_six = || async {
        let mut at = Vec::new();
        for _ in 0..6 {
            limiter.acquire().await;
            at.push(millis(begun.elapsed()));
        }
        at
    };
    assert_eq!(acquire_six().await, [0, 0, 0, 100, 200, 300]);
    assert_eq!(limiter.available(), 0);
    assert_eq!(limiter.clone().burst(5).available(), 5, "another limiter, as good as new");
    assert_eq!(RateLimiter::builder().paced(10, secs(1)).burst(3).build().available(), 3);
    advance(secs(10)).await;
    assert_eq!(limiter.available(), 3);
    assert_eq!(acquire_six().await, [10_300, 10_300, 10_300, 10_400, 10_500, 10_600]);
}

#[tokio::test(start_paused = true)]
async fn a_heavy_paced_call_takes_its_time_afterwards() {
    let limiter = RateLimiter::paced(10, secs(1));
    let begun = Instant::now();
    limiter.acquire_many(5).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), ms(500));
    assert!(limiter.acquire_many(11).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_new_pace_begins_when_the_old_one_would_have_gone_on() {
    let limiter = RateLimiter::paced(10, secs(1)).burst(5);
    limiter.acquire_many(5).await.unwrap();
    let begun = Instant::now();
    limiter.set_limit(2, secs(1));
    assert_eq!(format!("{limiter:?}"), "RateLimiter(2 per 1s, paced, burst 2)");
    let mut at = Vec::new();
    for _ in 0..3 {
        limiter.acquire().await;
        at.push(millis(begun.elapsed()));
    }
    // What was taken lasts until 0.5 s; of the burst, which is 2 now, one permit is free at once.
    assert_eq!(at, [0, 500, 1000]);
}

#[tokio::test(start_paused = true)]
async fn paced_waiters_know_how_long_they_will_wait() {
    let limiter = RateLimiter::paced(10, secs(1));
    limiter.acquire().await;
    let mut waiters: Vec<_> = (0..4).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: ms(500) }));
}

// ---- decorators ----

async fn echo(text: &str) -> Result<String, Error> {
    Ok(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn the_decorators_take_what_they_say() {
    let limiter = RateLimiter::windows([(3, secs(1)), (100, secs(1))]);
    let begun = Instant::now();
    echo.rate_limited(&limiter).call("a").await.unwrap();
    assert_eq!(limiter.available_each(), [2, 99]);
    echo.rate_limited_by(&limiter, |text: &&str| [1, u32::try_from(text.len()).unwrap()]).call("four").await.unwrap();
    assert_eq!(limiter.available_each(), [1, 95]);
    echo("b").rate_limited_by(&limiter, [1, 10]).await.unwrap();
    assert_eq!(limiter.available_each(), [0, 85]);
    assert_eq!(echo.try_rate_limited(&limiter).call("c").await, Err(Error::RateLimited { retry_after: secs(1) }));
    assert_eq!(echo("c").try_rate_limited(&limiter).await, Err(Error::RateLimited { retry_after: secs(1) }));
    assert!(echo.rate_limited_within(&limiter, ms(999)).call("c").await.is_err());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(echo("d").rate_limited_within(&limiter, ms(1000)).await.is_ok());
    assert_eq!(begun.elapsed(), secs(1));
    let too_much = echo.rate_limited_by(&limiter, |_: &&str| 101).call("e").await.unwrap_err();
    assert_eq!(too_much.to_string(), "invalid argument: 101 permits at once, but the limit is 3 per 1s");
}

#[tokio::test(start_paused = true)]
async fn one_limiter_serves_functions_of_any_type() {
    let limiter = RateLimiter::new(2, secs(1));
    let begun = Instant::now();
    assert_eq!((|| ready(1)).rate_limited(&limiter).await, 1);
    assert_eq!(echo.rate_limited(&limiter.clone()).call("a").await.unwrap(), "a");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(ready("third").rate_limited(&limiter).await, "third");
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_retry_takes_a_permit() {
    let limiter = RateLimiter::new(1, secs(1));
    let begun = Instant::now();
    (|| ready(Err::<(), _>("busy")))
        .rate_limited(&limiter)
        .retry_with(RetryPolicy::fixed(ms(10)).max_attempts(4))
        .await
        .unwrap_err();
    assert_eq!(begun.elapsed(), secs(3));
    assert_eq!(limiter.stats().admitted, 4);
}

#[test]
fn no_permit_is_taken_before_the_first_poll() {
    let limiter = RateLimiter::new(2, secs(1));
    let call = (|| ready(1)).rate_limited(&limiter).call();
    let acquire = limiter.acquire();
    assert_eq!(limiter.available(), 2);
    assert_eq!(assert_ready!(task::spawn(call).poll()), 1);
    assert_eq!(limiter.available(), 1);
    drop(acquire);
    assert_eq!(limiter.available(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_429_pauses_everybody() {
    let limiter = RateLimiter::new(100, secs(1));
    let begun = Instant::now();
    let throttled = || ready(Err::<(), _>(secs(7)));
    throttled.pausing(&limiter, |wait| Some(*wait)).rate_limited(&limiter).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    (|| ready(())).rate_limited(&limiter).await;
    assert_eq!(begun.elapsed(), secs(7));
    ready(Ok::<_, Duration>(1)).pausing(&limiter, |wait| Some(*wait)).await.unwrap();
    ready(Err::<(), _>(secs(9))).pausing(&limiter, |_| None).await.unwrap_err();
    assert_eq!(limiter.available(), 99);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_pauses_nobody() {
    let limiter = RateLimiter::new(9, secs(1));
    let hang = pending::<Result<(), Error>>().pausing(&limiter, |_| Some(secs(7)));
    hang.timeout(secs(1)).await.unwrap_err();
    assert_eq!(limiter.available(), 9);
}

// ---- settings ----

fn refusal<T: std::fmt::Debug>(refused: Result<T, ConfigError>) -> String {
    refused.unwrap_err().to_string()
}

#[test]
fn settings_that_cannot_work_are_refused_where_they_are_written() {
    assert_eq!(refusal(RateLimiter::try_new(0, secs(1))), "`limit` is 0, but must be at least 1");
    assert_eq!(refusal(RateLimiter::try_new(1, Duration::ZERO)), "`period` is 0ns, but must be longer than zero");
    let second_of = |limit, period| refusal(RateLimiter::try_windows([(20, secs(1)), (limit, period)]));
    assert_eq!(second_of(0, secs(1)), "`limit` is 0 (window 2 of 2), but must be at least 1");
    assert_eq!(second_of(5, Duration::ZERO), "`period` is 0ns (window 2 of 2), but must be longer than zero");
    assert_eq!(refusal(RateLimiter::try_paced(0, secs(1))), "`limit` is 0, but must be at least 1");
    assert_eq!(refusal(RateLimiter::try_windows([])), "`windows` is 0, but must be 1 to 4");
    assert_eq!(refusal(RateLimiter::try_windows([(1, secs(1)); 5])), "`windows` is 5, but must be 1 to 4");
    let paced = || RateLimiter::paced(10, secs(1));
    assert_eq!(refusal(paced().try_burst(0)), "`burst` is 0, but must be 1 to the limit");
    assert_eq!(refusal(paced().try_burst(11)), "`burst` is 11, but must be 1 to the limit");
    let exact = RateLimiter::new(10, secs(1));
    assert_eq!(refusal(exact.clone().try_burst(2)), "`burst` is 2, but must be left out unless the limiter is paced");
    let built = |settings: decor::RateLimiterBuilder| refusal(settings.burst(2).try_build());
    assert_eq!(built(RateLimiter::builder().paced(1, secs(1))), "`burst` is 2, but must be 1 to the limit");
    assert_eq!(
        built(RateLimiter::builder().window(9, secs(1))),
        "`burst` is 2, but must be left out unless the limiter is paced"
    );
    assert_eq!(
        refusal(RateLimiter::builder().paced(1, secs(1)).window(1, secs(1)).try_build()),
        "`windows` is 2, but must be 1 for a paced limiter"
    );
    assert_eq!(
        refusal(exact.try_set_limits([(1, secs(1)), (2, secs(1))])),
        "`limits` is 2, but must be as many as there are windows"
    );
    assert_eq!(refusal(exact.try_set_limits([(0, secs(1))])), "`limit` is 0, but must be at least 1");
}

#[test]
#[should_panic(expected = "`limit` is 0, but must be at least 1")]
fn a_literal_limit_of_zero_panics() {
    let _ = RateLimiter::new(0, secs(1));
}

#[test]
#[should_panic(expected = "`period` is 0ns, but must be longer than zero")]
fn a_literal_period_of_zero_panics_when_it_is_set_later() {
    RateLimiter::new(1, secs(1)).set_limit(1, Duration::ZERO);
}

#[test]
#[should_panic(expected = "invalid argument: permits for 1 windows, but the limiter has 2")]
fn a_charge_that_leaves_a_window_out_panics() {
    RateLimiter::windows([(5, secs(1)), (9, secs(1))]).charge([1]);
}

#[tokio::test(start_paused = true)]
async fn absurd_settings_saturate() {
    for limiter in [RateLimiter::new(u32::MAX, Duration::MAX), RateLimiter::paced(u32::MAX, Duration::MAX)] {
        limiter.acquire().await;
        limiter.charge(u32::MAX);
        limiter.charge(u32::MAX);
        limiter.pause_for(Duration::MAX);
        assert_eq!(limiter.available(), 0);
        assert!(limiter.try_acquire().is_err());
        let mut never = task::spawn(limiter.acquire());
        assert_pending!(never.poll());
        assert!(limiter.acquire_within(secs(60 * 60 * 24 * 365)).await.is_err());
    }
    let fastest = RateLimiter::paced(u32::MAX, Duration::from_nanos(1));
    join_all((0..100).map(|_| fastest.acquire())).await;
}

#[tokio::test(start_paused = true)]
async fn permits_that_make_no_sense_are_refused() {
    let two = RateLimiter::windows([(5, secs(1)), (9, secs(1))]);
    let message = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(
        message(two.acquire_each([1, 2, 3]).await),
        "invalid argument: permits for 3 windows, but the limiter has 2"
    );
    assert_eq!(message(two.acquire_many(-3).await), "invalid argument: -3 permits, but there are only 0 to 4294967295");
    assert_eq!(
        message(two.acquire_many(usize::MAX).await),
        "invalid argument: 4294967295 permits at once, but the limit is 5 per 1s"
    );
    assert_eq!(
        message(two.acquire_each([1, 10]).await),
        "invalid argument: 10 permits at once, but the limit is 9 per 1s"
    );
    assert_eq!(two.acquire_each([5, 0]).await, Ok(()));
    assert_eq!(two.available_each(), [0, 9]);
    assert_eq!(two.stats().admitted, 1);
}

#[tokio::test(start_paused = true)]
async fn no_permits_at_all_still_wait_for_their_turn() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let mut first = task::spawn(limiter.acquire());
    assert_pending!(first.poll());
    let mut nothing = task::spawn(limiter.acquire_many(Permits::default()));
    assert_pending!(nothing.poll());
    advance(secs(1)).await;
    assert_ready!(first.poll());
    assert!(nothing.is_woken());
    assert_eq!(assert_ready!(nothing.poll()), Ok(()));
}

#[test]
fn a_limiter_shows_its_limits() {
    let limiter = RateLimiter::windows([(60, secs(60)), (90_000, secs(60))]);
    assert_eq!(format!("{limiter:?}"), "RateLimiter(60 per 60s, 90000 per 60s)");
    assert_eq!(format!("{:?}", RateLimiter::paced(10, secs(1)).burst(3)), "RateLimiter(10 per 1s, paced, burst 3)");
    let three = RateLimiter::new(3, secs(1));
    let shown = |chain: &dyn std::fmt::Debug| format!("{chain:?}");
    assert_eq!(shown(&echo.rate_limited(&three)), "echo.rate_limited(3 per 1s)");
    assert_eq!(shown(&echo.rate_limited_by(&three, |_: &&str| 2)), "echo.rate_limited_by(3 per 1s, ..)");
    assert_eq!(shown(&echo.rate_limited_within(&three, secs(5))), "echo.rate_limited_within(3 per 1s, 5s)");
    assert_eq!(shown(&echo.try_rate_limited(&three)), "echo.try_rate_limited(3 per 1s)");
    assert_eq!(shown(&echo.pausing(&three, |_| None)), "echo.pausing(3 per 1s, ..)");
    let keyed = decor::KeyedLimiter::new(3, secs(1));
    assert_eq!(
        shown(&echo.rate_limited_by_key(&keyed, |text: &&str| text.len())),
        "echo.rate_limited_by_key(KeyedLimiter(3 per 1s for each key), ..)"
    );
    let stats = "RateLimiterStats(admitted=0, delayed=0, refused=0, cancelled=0, waiting=0, mean_wait=0ns)";
    assert_eq!(three.stats().to_string(), stats);
}

#[tokio::test(start_paused = true)]
async fn a_request_shows_what_it_asks_for_and_whether_it_waits() {
    let limiter = RateLimiter::windows([(1, secs(1)), (5, secs(1))]);
    limiter.charge(1);
    let shown = |request: &dyn std::fmt::Debug| format!("{request:?}");
    let mut request = Box::pin(limiter.acquire());
    assert_eq!(shown(&request), "Acquire { permits: 1, max_wait: None, waiting: false, .. }");
    assert!((&mut request).now_or_never().is_none());
    assert_eq!(shown(&request), "Acquire { permits: 1, max_wait: None, waiting: true, .. }");
    request.as_mut().await;
    assert_eq!(shown(&request), "Acquire { permits: 1, max_wait: None, waiting: false, .. }");
    assert_eq!(
        shown(&limiter.acquire_within(secs(3))),
        "Acquire { permits: 1, max_wait: Some(3s), waiting: false, .. }"
    );
    assert_eq!(shown(&limiter.acquire_each([1, 5])), "Acquire { permits: [1, 5], max_wait: None, waiting: false, .. }");
    assert_eq!(shown(&limiter.acquire_many(-3)), "Acquire { permits: -3, max_wait: None, waiting: false, .. }");

    let mut call = Box::pin(echo("a").rate_limited(&RateLimiter::new(1, secs(1))));
    assert_eq!(shown(&call), "RateLimitedFuture { admitted: false, .. }");
    call.as_mut().await.unwrap();
    assert_eq!(shown(&call), "RateLimitedFuture { admitted: true, .. }");
}
