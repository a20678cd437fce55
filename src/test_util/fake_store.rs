//! A store for shared limiters in virtual time, with faults on demand.

use super::server::Server;
use crate::{
    Name,
    clock::{Clock, Epoch, Nanos, nanos, virtual_clock},
    layer::{Timer, Wait, wait_blocking},
    policy::{Answer, Ask, Probe, StoreError},
    rate_limiter::shared::{Asker, SharedQuota},
    sync::{Arc, AtomicBool, Mutex, Ordering, lock},
    thread::RemoteCall,
};
use pin_project::pin_project;
use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::Weak,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{runtime::Handle, time::Sleep};

/// Longest time of a request, in nanoseconds.
const TIME_LIMIT: Nanos = 100_000_000;

/// Seed of the jitter between probes.
const PROBE_SEED: u64 = 0;

/// A store for [shared](crate::RateLimiterBuilder::shared) limiters, to test them without a server.
///
/// Limiters with a quota of the same name share one limit, as if each were in a process of its own.
/// The store is exact, and follows the contract of [`Ask`](crate::shared::Ask). Its time is tokio's
/// for tasks, and that of the [`VirtualClock`](super::VirtualClock) for its threads. A request
/// takes no time until [`set_trip`](Self::set_trip) says otherwise.
///
/// All clones are one process: they share the connection, and know together that the store is down.
/// [`another_process`](Self::another_process) returns one with a connection of its own.
///
/// A request that gets no answer fails after 100 ms. While the store is down, a process tries again
/// after the delays of [`Probe::new(0)`](crate::shared::Probe).
///
/// # Examples
///
/// A service that keeps working while the store is away:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{OnFailure, RateLimiter, test_util::FakeStore};
/// use std::time::Duration;
/// use tokio::time::Instant;
///
/// let store = FakeStore::new();
/// let limiter = RateLimiter::builder()
///     .window(100, Duration::from_secs(1))
///     .shared(store.quota("github"), OnFailure::Local { instances: 4 })
///     .build();
/// limiter.acquire().await;
///
/// store.hang();
/// let begun = Instant::now();
/// limiter.acquire().await; // meets the failure
/// assert_eq!(begun.elapsed(), Duration::from_millis(100));
/// limiter.acquire().await;
/// assert_eq!(begun.elapsed(), Duration::from_millis(100));
/// assert_eq!(limiter.stats().admitted_alone, 2);
/// assert_eq!(limiter.available(), 22); // of a fourth of the limit
///
/// store.come_back();
/// tokio::time::sleep(Duration::from_secs(1)).await; // for the next probe
/// assert!(limiter.stats().is_up);
/// # }
/// ```
#[derive(Clone)]
pub struct FakeStore {
    process: Arc<Process>,
}

/// A limit of a [`FakeStore`]. Returned by [`FakeStore::quota`].
#[derive(Clone)]
pub struct FakeQuota {
    process: Arc<Process>,
    name: Name,
}

/// The server, and the time of all processes.
struct World {
    epoch: Epoch,
    server: Mutex<Server>,
    fault: Mutex<Fault>,
}

/// The state of the server.
#[derive(Debug, Default)]
enum Fault {
    #[default]
    None,
    /// Requests that have arrived get no answer, and are served once the server runs again.
    Hangs(Vec<(Weak<Process>, Arrival)>),
    Refuses,
}

/// A request on its way to the server.
#[derive(Debug)]
struct Arrival {
    number: u64,
    name: Name,
    ask: Ask,
}

/// A process with a connection to the server.
struct Process {
    world: Arc<World>,
    is_up: AtomicBool,
    schedule: Mutex<Schedule>,
}

/// The events of a process to come, and the state of its connection.
#[derive(Default)]
struct Schedule {
    /// By their moments, and in order for events of one moment.
    events: BTreeMap<(Nanos, u64), Event>,
    /// Number of events and requests so far.
    numbers: u64,
    /// The driver that carries the events out; `None` if none is needed.
    driver: Option<Running>,
    /// Time from the asking to the answer.
    trip: Nanos,
    /// The delays between probes; `None` while the store is up.
    probe: Option<Probe>,
    in_flight: BTreeMap<u64, (Name, Arc<dyn Asker>)>,
    /// Limiters that are called when the store is back.
    parked: Vec<(Name, Arc<dyn Asker>)>,
}

/// A driver, and its waker once it waits.
struct Running {
    number: u64,
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Event {
    Turn(Name, Arc<dyn Asker>),
    Arrive(Arrival),
    Answer(u64, Result<Box<Answer>, StoreError>),
    TimeOut(u64),
    Probe,
}

impl FakeStore {
    /// Makes a store without any state, and a process that is connected to it.
    ///
    /// # Examples
    ///
    /// See [`FakeStore`].
    #[allow(clippy::new_without_default)] // a store has no default in any other place
    pub fn new() -> Self {
        let (server, fault) = (Mutex::new(Server::default()), Mutex::new(Fault::None));
        Self { process: Process::new(Arc::new(World { epoch: Epoch::new(), server, fault })) }
    }

    /// Returns a handle of another process that shares the store.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{OnFailure, RateLimiter, test_util::FakeStore};
    /// use std::time::Duration;
    ///
    /// let near = FakeStore::new();
    /// let far = near.another_process();
    /// far.set_trip(Duration::from_millis(40));
    /// let limit = RateLimiter::builder().window(1, Duration::from_secs(60));
    /// let limiter = limit.shared(far.quota("github"), OnFailure::Closed).build();
    /// let begun = tokio::time::Instant::now();
    /// limiter.acquire().await;
    /// assert_eq!(begun.elapsed(), Duration::from_millis(40));
    /// # }
    /// ```
    #[must_use]
    pub fn another_process(&self) -> Self {
        Self { process: Process::new(Arc::clone(&self.process.world)) }
    }

    /// Returns the limit with this name, for [`shared`](crate::RateLimiterBuilder::shared).
    ///
    /// # Examples
    ///
    /// See [`FakeStore`].
    pub fn quota(&self, name: impl Into<Name>) -> FakeQuota {
        FakeQuota { process: Arc::clone(&self.process), name: name.into() }
    }

    /// Sets the time from a request of this process to its answer; zero by default. The server
    /// works in the middle of that time. A request that takes 100 ms or more fails.
    ///
    /// # Examples
    ///
    /// See [`another_process`](Self::another_process).
    pub fn set_trip(&self, trip: Duration) {
        lock(&self.process.schedule).trip = nanos(trip);
    }

    /// Has the server stop, as by `SIGSTOP`: it answers no request. The requests that arrive are
    /// served when it [comes back](Self::come_back), although their limiters no longer wait.
    ///
    /// # Examples
    ///
    /// See [`FakeStore`].
    pub fn hang(&self) {
        self.end_fault(Fault::Hangs(Vec::new()));
    }

    /// Has the server refuse all requests at once, as a port without a server does.
    ///
    /// # Examples
    ///
    /// See [`OnFailure`](crate::OnFailure).
    pub fn refuse(&self) {
        self.end_fault(Fault::Refuses);
    }

    /// Has the server answer again. A process learns of it by its next probe.
    ///
    /// # Examples
    ///
    /// See [`FakeStore`].
    pub fn come_back(&self) {
        self.end_fault(Fault::None);
    }

    /// Has the server lose the state of all limits, as by `FLUSHALL` or by a restart without a
    /// disk.
    ///
    /// # Examples
    ///
    /// The calls before the loss still count:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{OnFailure, RateLimiter, test_util::FakeStore};
    /// use std::time::Duration;
    ///
    /// let store = FakeStore::new();
    /// let limit = RateLimiter::builder().window(1, Duration::from_secs(1));
    /// let limiter = limit.shared(store.quota("github"), OnFailure::Closed).build();
    /// let begun = tokio::time::Instant::now();
    /// limiter.acquire().await;
    /// store.forget();
    /// limiter.acquire().await;
    /// assert!(begun.elapsed() >= Duration::from_secs(1));
    /// # }
    /// ```
    pub fn forget(&self) {
        lock(&self.process.world.server).forget();
    }

    /// Returns the number of requests that the server has served, from all processes.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(decor::test_util::FakeStore::new().served(), 0);
    /// ```
    pub fn served(&self) -> u64 {
        lock(&self.process.world.server).served
    }

    fn end_fault(&self, next: Fault) {
        let world = &self.process.world;
        let ended = std::mem::replace(&mut *lock(&world.fault), next);
        if let Fault::Hangs(arrivals) = ended {
            for (process, arrival) in arrivals {
                if let Some(process) = process.upgrade() {
                    process.at(world.now(), Event::Arrive(arrival));
                }
            }
        }
    }
}

impl World {
    fn now(&self) -> Nanos {
        self.epoch.now(Clock::current())
    }
}

impl Process {
    fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, is_up: AtomicBool::new(true), schedule: Mutex::default() })
    }

    /// Schedules an event, and has a driver carry it out.
    fn at(self: &Arc<Self>, moment: Nanos, event: Event) {
        let mut schedule = lock(&self.schedule);
        let number = schedule.add(moment, event);
        match &mut schedule.driver {
            Some(running) => {
                let waker = running.waker.take();
                drop(schedule);
                waker.into_iter().for_each(Waker::wake);
            }
            none => {
                *none = Some(Running { number, waker: None });
                drop(schedule);
                Driver { process: Arc::downgrade(self), number }.start();
            }
        }
    }

    fn handle(self: &Arc<Self>, now: Nanos, event: Event) {
        match event {
            Event::Turn(name, asker) => self.turn(now, name, asker),
            Event::Arrive(arrival) => self.arrive(now, arrival),
            Event::Answer(number, answer) => {
                let Some((name, asker)) = lock(&self.schedule).in_flight.remove(&number) else { return };
                match answer {
                    Ok(answer) => asker.answered(Ok(*answer)),
                    Err(error) => {
                        lock(&self.schedule).in_flight.insert(number, (name, asker));
                        self.go_down(now, &error);
                    }
                }
            }
            Event::TimeOut(number) => {
                let is_pending = lock(&self.schedule).in_flight.contains_key(&number);
                if is_pending {
                    self.go_down(now, &StoreError::new("the fake store gave no answer within 100ms"));
                }
            }
            Event::Probe => self.probe(now),
        }
    }

    fn turn(self: &Arc<Self>, now: Nanos, name: Name, asker: Arc<dyn Asker>) {
        let Some(ask) = asker.ask() else { return };
        if !self.is_up.load(Ordering::Acquire) {
            lock(&self.schedule).parked.push((name, Arc::clone(&asker)));
            return asker.answered(Err(StoreError::new("the fake store is down")));
        }
        let mut schedule = lock(&self.schedule);
        let number = schedule.next_number();
        schedule.in_flight.insert(number, (name.clone(), asker));
        schedule.add(now + TIME_LIMIT, Event::TimeOut(number));
        let there = now + schedule.trip / 2;
        schedule.add(there, Event::Arrive(Arrival { number, name, ask }));
    }

    /// The request has come to the server.
    fn arrive(self: &Arc<Self>, now: Nanos, arrival: Arrival) {
        let answer = match &mut *lock(&self.world.fault) {
            Fault::Hangs(arrivals) => return arrivals.push((Arc::downgrade(self), arrival)),
            Fault::Refuses => Err(StoreError::new("the fake store refused the connection")),
            Fault::None => Ok(Box::new(lock(&self.world.server).serve(&arrival.name, now, &arrival.ask))),
        };
        let mut schedule = lock(&self.schedule);
        let back = now + schedule.trip.div_ceil(2);
        schedule.add(back, Event::Answer(arrival.number, answer));
    }

    /// All requests in flight fail.
    fn go_down(self: &Arc<Self>, now: Nanos, error: &StoreError) {
        self.is_up.store(false, Ordering::Release);
        let mut schedule = lock(&self.schedule);
        let failed = std::mem::take(&mut schedule.in_flight).into_values().collect::<Vec<_>>();
        schedule.parked.extend(failed.iter().cloned());
        if schedule.probe.is_none() {
            schedule.probe_again(now);
        }
        drop(schedule);
        for (_, asker) in failed {
            asker.answered(Err(error.clone()));
        }
    }

    fn probe(self: &Arc<Self>, now: Nanos) {
        let attempt = match &*lock(&self.world.fault) {
            Fault::None => None,
            Fault::Refuses => Some(0),
            Fault::Hangs(_) => Some(TIME_LIMIT),
        };
        let mut schedule = lock(&self.schedule);
        if let Some(attempt) = attempt {
            return schedule.probe_again(now + attempt);
        }
        schedule.probe = None;
        self.is_up.store(true, Ordering::Release);
        for (name, asker) in std::mem::take(&mut schedule.parked) {
            schedule.add(now, Event::Turn(name, asker));
        }
    }
}

impl Schedule {
    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn add(&mut self, moment: Nanos, event: Event) -> u64 {
        let number = self.next_number();
        self.events.insert((moment, number), event);
        number
    }

    /// Schedules the next probe, after an attempt that failed at this moment.
    fn probe_again(&mut self, failed_at: Nanos) {
        let delay = self.probe.get_or_insert_with(|| Probe::new(PROBE_SEED)).failed();
        self.add(failed_at + nanos(delay), Event::Probe);
    }
}

/// Carries out the events of a process until none is left, or all handles of the process are gone.
struct Driver {
    process: Weak<Process>,
    number: u64,
}

impl Driver {
    /// Starts on a thread of this thread's virtual clock, as a task of this thread's runtime, or on
    /// a thread in real time.
    fn start(self) {
        if virtual_clock::current().is_some() {
            drop(RemoteCall::begin_unpooled(move || wait_blocking(|wait| self.poll(wait))));
        } else if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(DriverTask { driver: self, timer: None }));
        } else {
            drop(std::thread::spawn(move || wait_blocking(|wait| self.poll(wait))));
        }
    }

    fn poll(&self, wait: &mut Wait<'_>) -> Poll<()> {
        loop {
            let Some(process) = self.process.upgrade() else { return Poll::Ready(()) };
            let now = process.world.epoch.now(wait.clock());
            let mut schedule = lock(&process.schedule);
            let Some((&(moment, _), _)) = schedule.events.first_key_value() else {
                schedule.driver = None;
                return Poll::Ready(());
            };
            if moment <= now {
                let Some((_, event)) = schedule.events.pop_first() else { continue };
                drop(schedule);
                let gives_way = matches!(event, Event::Answer(..));
                process.handle(now, event);
                if gives_way {
                    // Requests of other processes come before the next of this one.
                    wait.waker().wake_by_ref();
                    return Poll::Pending;
                }
                continue;
            }
            if let Some(running) = &mut schedule.driver {
                running.waker = Some(wait.waker().clone());
            }
            drop(schedule);
            let instant = process.world.epoch.instant(wait.clock(), moment);
            if instant.is_none_or(|instant| wait.until(instant).is_pending()) {
                return Poll::Pending;
            }
        }
    }
}

/// Ends the driver. Its runtime or thread may have ended before its work. The next event starts
/// another one.
impl Drop for Driver {
    fn drop(&mut self) {
        let Some(process) = self.process.upgrade() else { return };
        let mut schedule = lock(&process.schedule);
        if schedule.driver.as_ref().is_some_and(|running| running.number == self.number) {
            schedule.driver = None;
        }
    }
}

#[pin_project]
struct DriverTask {
    driver: Driver,
    #[pin]
    timer: Option<Sleep>,
}

impl Future for DriverTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.driver.poll(&mut Wait::of_task(cx, Timer::Inline(this.timer)))
    }
}

impl SharedQuota for FakeQuota {
    fn name(&self) -> Name {
        self.name.clone()
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.process.world.now())
    }

    fn is_up(&self) -> bool {
        self.process.is_up.load(Ordering::Acquire)
    }

    fn want(&self, asker: Arc<dyn Asker>, after: Duration) {
        let moment = self.process.world.now().saturating_add(nanos(after));
        self.process.at(moment, Event::Turn(self.name.clone(), asker));
    }

    fn of_key(&self, key: &str) -> Arc<dyn SharedQuota> {
        Arc::new(Self { process: Arc::clone(&self.process), name: format!("{}:{key}", self.name).into() })
    }
}

impl fmt::Debug for FakeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeStore")
    }
}

impl fmt::Debug for FakeQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeQuota({})", self.name)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Process")
    }
}
