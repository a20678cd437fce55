//! Measures decor and a peer in turns, in the same process, round by round.

use crate::{
    allocations::counted,
    statistics::{Ratio, median, ratio},
    target::Target,
};
use std::{
    borrow::Cow,
    cell::LazyCell,
    fmt,
    hint::{black_box, spin_loop},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};
use tower::{Service, ServiceExt};

/// Minimum duration of a sample. Samples are short, so that most have no interruption.
const SAMPLE: Duration = Duration::from_micros(300);
/// Approximate duration of the measurement of a pair.
const BUDGET: Duration = Duration::from_millis(700);
/// Minimum and maximum number of rounds.
const ROUNDS: (u128, u128) = (15, 201);

thread_local! {
    /// The runtime of this thread's async calls.
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(runtime);
}

/// Makes a runtime with a timer.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime can be made")
}

/// Runs `work` in the context of a runtime with a timer.
pub(crate) fn within<T>(work: impl FnOnce() -> T) -> T {
    RUNTIME.with(|runtime| {
        let _guard = runtime.enter();
        work()
    })
}

/// A library that does the job of a case.
#[derive(Clone)]
pub struct Side {
    run: Arc<dyn Fn(u64) + Send + Sync>,
    future: Option<usize>,
}

impl Side {
    /// Makes a side of a call that is not awaited.
    pub fn called<T>(call: impl Fn(u64) -> T + Send + Sync + 'static) -> Self {
        let run = move |times| {
            for id in 0..times {
                black_box(call(black_box(id)));
            }
        };
        Self { run: Arc::new(run), future: None }
    }

    /// Makes a side of a call that is awaited.
    pub fn awaited<F: Future>(call: impl Fn(u64) -> F + Send + Sync + 'static) -> Self {
        let run = move |times| {
            RUNTIME.with(|runtime| {
                runtime.block_on(async {
                    for id in 0..times {
                        black_box(call(black_box(id)).await);
                    }
                });
            });
        };
        Self { run: Arc::new(run), future: Some(size_of::<F>()) }
    }

    /// Makes a side of a tower service. As tower's documentation says, each thread has a clone,
    /// which it makes ready and calls.
    ///
    /// # Panics
    ///
    /// If a call fails.
    pub fn service<S>(service: S) -> Self
    where
        S: Service<u64, Error: fmt::Debug> + Clone + Send + Sync + 'static,
    {
        let run = move |times| {
            let mut service = service.clone();
            RUNTIME.with(|runtime| {
                runtime.block_on(async {
                    for id in 0..times {
                        let service = service.ready().await.expect("it is always ready");
                        black_box(service.call(black_box(id)).await).expect("it succeeds");
                    }
                });
            });
        };
        Self { run: Arc::new(run), future: Some(size_of::<S::Future>()) }
    }

    /// Runs each batch of calls within `around`.
    #[must_use]
    pub fn within(self, around: impl Fn(&dyn Fn()) + Send + Sync + 'static) -> Self {
        let Self { run, future } = self;
        Self { run: Arc::new(move |times| around(&|| run(times))), future }
    }

    /// Does the job `times` times.
    pub fn run(&self, times: u64) {
        (self.run)(times);
    }

    /// Returns the number of calls that take as long as a sample.
    pub(crate) fn batch(&self) -> u64 {
        self.batch_of(SAMPLE)
    }

    fn batch_of(&self, sample: Duration) -> u64 {
        batch_that_takes(sample, |times| timed(|| self.run(times)))
    }

    /// Returns the number of allocations for each call.
    fn allocations(&self, batch: u64) -> f64 {
        for_each(batch.clamp(1, 1_000), |times| counted(|| self.run(times)).1.allocations)
    }
}

/// Returns the first power of two of which both of two runs take as long as a sample.
fn batch_that_takes(sample: Duration, took: impl Fn(u64) -> Duration) -> u64 {
    let mut times = 1;
    while took(times).min(took(times)) < sample {
        times *= 2;
    }
    times
}

/// Returns the count for each call, without the count that a whole run has once. Takes the minimum
/// of three runs, because another thread may interfere with a run.
fn for_each(times: u64, of: impl Fn(u64) -> u64) -> f64 {
    let further = (0..3).map(|_| of(2 * times).saturating_sub(of(times))).min().expect("three runs");
    further as f64 / times as f64
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").field("future", &self.future).finish_non_exhaustive()
    }
}

/// decor beside a peer.
#[derive(Debug)]
pub struct Pair {
    /// The name of the peer.
    pub peer: &'static str,
    /// The clocks that the two sides read.
    pub clock: Cow<'static, str>,
    /// decor.
    pub ours: Side,
    /// The peer.
    pub theirs: Side,
    /// The targets of decor, each with its number of threads; `None` for any number.
    targets: Vec<(Option<usize>, Target)>,
    /// Number of decorators that our chain has beyond the peer's; `None` for other cases.
    pub further: Option<u32>,
}

impl Pair {
    /// Makes a pair of two sides that do the same job.
    pub fn new(peer: &'static str, clock: impl Into<Cow<'static, str>>, ours: &Side, theirs: Side) -> Self {
        Self { peer, clock: clock.into(), ours: ours.clone(), theirs, targets: Vec::new(), further: None }
    }

    /// Adds targets.
    #[must_use]
    pub fn target(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.targets.extend(targets.into_iter().map(|target| (None, target)));
        self
    }

    /// Adds a target for runs on this number of threads.
    #[must_use]
    pub fn target_on(mut self, threads: usize, target: Target) -> Self {
        self.targets.push((Some(threads), target));
        self
    }

    /// Returns the targets for runs on this number of threads.
    pub fn targets(&self, threads: usize) -> Vec<Target> {
        let here = |on: Option<usize>| on.is_none_or(|on| on == threads);
        self.targets.iter().filter(|(on, _)| here(*on)).map(|(_, target)| *target).collect()
    }

    /// Sets the number of decorators that our chain has beyond the peer's.
    #[must_use]
    pub fn further(mut self, decorators: u32) -> Self {
        self.further = Some(decorators);
        self
    }

    /// Measures the pair on `threads` threads.
    ///
    /// # Panics
    ///
    /// If a side panics.
    pub fn measure(&self, case: &str, threads: usize) -> Row {
        let sides = [&self.ours, &self.theirs];
        let batches = sides.map(Side::batch);
        let round = timed(|| sides.iter().zip(batches).for_each(|(side, batch)| side.run(batch)));
        let most = (BUDGET.as_nanos() / round.as_nanos().max(1)).clamp(ROUNDS.0, ROUNDS.1);
        // Some rounds of several threads will be left out.
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let rounds = usize::try_from(most).expect("it is clamped") * threads.min(cores);

        let gate = Gate { arrived: AtomicUsize::new(0), threads };
        let spans: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> =
                (0..threads).map(|_| scope.spawn(|| in_turns(&gate, sides, batches, rounds))).collect();
            workers.into_iter().map(|worker| worker.join().expect("no side panics")).collect()
        });
        let (ours, theirs) = times(&spans, batches);
        let figures = |side: usize, times: &[f64]| Figures {
            nanos: median(times),
            allocations: sides[side].allocations(batches[side]),
            future: sides[side].future,
            ..Figures::default()
        };
        Row {
            case: case.to_owned(),
            peer: self.peer,
            clock: self.clock.clone(),
            ratio: ratio(&ours, &theirs),
            ours: figures(0, &ours),
            peer_figures: figures(1, &theirs),
            targets: self.targets(threads),
            further: self.further,
            rounds: ours.len(),
        }
    }
}

/// Begin and end of a batch.
type Span = (Instant, Instant);

/// Returns the spans of a thread for each round and side. The sides take turns at being first.
fn in_turns(gate: &Gate, sides: [&Side; 2], batches: [u64; 2], rounds: usize) -> Vec<[Span; 2]> {
    let mut turn = 0;
    let mut span = |side: usize| {
        turn += 1;
        gate.pass(turn);
        let begun = Instant::now();
        sides[side].run(batches[side]);
        (begun, Instant::now())
    };
    (0..=rounds)
        .map(|round| {
            let first = round % 2;
            let (one, other) = (span(first), span(1 - first));
            if first == 0 { [one, other] } else { [other, one] }
        })
        .skip(1) // the first round warms up
        .collect()
}

/// Returns the nanoseconds a call of each side, for each round: the time from the begin of the
/// first thread to the end of the last, divided by the number of calls of one thread.
///
/// On a busy machine two threads may share a core and run one after the other. Such rounds are left
/// out, unless fewer than five others remain.
fn times(spans: &[Vec<[Span; 2]>], batches: [u64; 2]) -> (Vec<f64>, Vec<f64>) {
    let rounds = spans.first().map_or(0, Vec::len);
    let all: Vec<_> = (0..rounds)
        .map(|round| [0, 1].map(|side| together(spans.iter().map(|thread| thread[round][side]), batches[side])))
        .collect();
    let met: Vec<_> = all.iter().filter(|sides| sides.iter().all(|(_, overlap)| *overlap >= 0.9)).collect();
    let counted = if met.len() >= 5 { met } else { all.iter().collect() };
    counted.into_iter().map(|[(ours, _), (theirs, _)]| (*ours, *theirs)).unzip()
}

/// Returns the nanoseconds a call, and the fraction of the time in which all threads ran.
fn together(spans: impl Iterator<Item = Span> + Clone, batch: u64) -> (f64, f64) {
    let begun = |span: Span| span.0;
    let ended = |span: Span| span.1;
    let nanos = |from: Option<Instant>, to: Option<Instant>| {
        from.zip(to).map_or(0.0, |(from, to)| to.saturating_duration_since(from).as_nanos() as f64)
    };
    let whole = nanos(spans.clone().map(begun).min(), spans.clone().map(ended).max());
    let shared = nanos(spans.clone().map(begun).max(), spans.map(ended).min());
    (whole / batch as f64, shared / whole)
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// A barrier that spins, so that all threads pass at about the same time.
struct Gate {
    arrived: AtomicUsize,
    threads: usize,
}

impl Gate {
    fn pass(&self, turn: usize) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut spins = 0_u32;
        while self.arrived.load(Ordering::Acquire) < turn * self.threads {
            spins += 1;
            if spins.is_multiple_of(1_000) { thread::yield_now() } else { spin_loop() }
        }
    }
}

/// The figures of a side.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Nanoseconds for each call. For waiters, nanoseconds until the last one is admitted.
    pub nanos: f64,
    /// Allocations for each call, or for each waiter.
    pub allocations: f64,
    /// Bytes of a call's future; `None` for sync calls.
    pub future: Option<usize>,
    /// Polls for each waiter; `None` for other cases.
    pub polls: Option<f64>,
    /// Bytes for each waiter, without its future; `None` for other cases.
    pub bytes: Option<f64>,
    /// Nanoseconds of the schedule; `None` for other cases.
    pub ideal: Option<f64>,
    /// Number of waiters that were left when the run was cut off; `None` if it was not.
    pub unfinished: Option<usize>,
}

/// A line of the table.
#[derive(Debug)]
pub struct Row {
    /// The job.
    pub case: String,
    /// The name of the peer.
    pub peer: &'static str,
    /// The clocks that the two sides read.
    pub clock: Cow<'static, str>,
    /// decor's figures.
    pub ours: Figures,
    /// The peer's figures.
    pub peer_figures: Figures,
    /// decor's time divided by the peer's.
    pub ratio: Ratio,
    /// The targets of decor.
    pub targets: Vec<Target>,
    /// Number of decorators that our chain has beyond the peer's; `None` for other cases.
    pub further: Option<u32>,
    /// Number of measured rounds.
    pub rounds: usize,
}

impl Row {
    /// Returns each target in words, and `true` if it is met.
    pub fn verdicts(&self) -> Vec<(String, bool)> {
        self.targets.iter().map(|target| (target.to_string(), target.met(self))).collect()
    }

    /// Returns the nanoseconds and the bytes of future for each further decorator.
    pub fn each_further(&self) -> Option<(f64, f64)> {
        let further = f64::from(self.further?);
        let bytes = self.ours.future? as f64 - self.peer_figures.future? as f64;
        Some(((self.ours.nanos - self.peer_figures.nanos) / further, bytes / further))
    }

    /// Returns `true` if all targets are met; `None` if there is no target.
    pub fn met(&self) -> Option<bool> {
        (!self.targets.is_empty()).then(|| self.targets.iter().all(|target| target.met(self)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    pub(crate) fn row(ours: Figures, peer_figures: Figures, targets: &[Target]) -> Row {
        let medians = ours.nanos / peer_figures.nanos;
        Row {
            case: "retry_ok".to_owned(),
            peer: "backon",
            clock: "none".into(),
            ours,
            peer_figures,
            ratio: Ratio { medians, spread: (medians, medians) },
            targets: targets.to_vec(),
            further: None,
            rounds: 15,
        }
    }

    #[test]
    fn a_target_is_met_up_to_its_limit() {
        let ours = Figures { nanos: 10.0, future: Some(128), ..Figures::default() };
        let peer = Figures { nanos: 20.0, future: Some(256), ..Figures::default() };
        let met = |target: Target| row(ours, peer, &[target]).met();
        assert_eq!(met(Target::Ratio(0.5)), Some(true));
        assert_eq!(met(Target::Ratio(0.49)), Some(false));
        assert_eq!(met(Target::Plus(-10.0)), Some(true));
        assert_eq!(met(Target::Plus(-11.0)), Some(false));
        assert_eq!(met(Target::NoAllocation), Some(true));
        assert_eq!(met(Target::Future(0.5)), Some(true));
        assert_eq!(met(Target::Future(0.4)), Some(false));
        assert_eq!(met(Target::Polls(3.0)), Some(false), "not measured");
        assert_eq!(row(ours, peer, &[]).met(), None);
        assert_eq!(row(ours, peer, &[Target::Ratio(1.0), Target::Future(0.4)]).met(), Some(false));
    }

    #[test]
    fn a_target_may_be_for_one_number_of_threads() {
        let side = Side::called(|id| id);
        let pair = Pair::new("itself", "none", &side, side.clone())
            .target([Target::NoAllocation])
            .target_on(2, Target::Ratio(1.0));
        assert_eq!(pair.targets(1), [Target::NoAllocation]);
        assert_eq!(pair.targets(2), [Target::NoAllocation, Target::Ratio(1.0)]);
        assert_eq!(pair.targets(4), [Target::NoAllocation]);
    }

    #[test]
    fn a_makespan_may_be_neither_late_nor_early() {
        let took = |nanos| Figures { nanos, ideal: Some(1_000.0), ..Figures::default() };
        let met = |nanos| row(took(nanos), took(2_000.0), &[Target::Late(0.01)]).met();
        assert_eq!((met(1_009.0), met(1_011.0), met(989.0)), (Some(true), Some(false), Some(false)));
    }

    #[test]
    fn the_cost_of_further_decorators_is_divided() {
        let ours = Figures { nanos: 50.0, future: Some(500), ..Figures::default() };
        let peer = Figures { nanos: 20.0, future: Some(200), ..Figures::default() };
        let row = Row { further: Some(3), ..row(ours, peer, &[]) };
        assert_eq!(row.each_further(), Some((10.0, 100.0)));
    }

    #[test]
    fn a_batch_grows_until_it_is_a_sample() {
        let a_millisecond_each = |times| Duration::from_millis(times);
        assert_eq!(batch_that_takes(Duration::from_micros(500), a_millisecond_each), 1);
        assert_eq!(batch_that_takes(Duration::from_millis(4), a_millisecond_each), 4);
        assert_eq!(batch_that_takes(Duration::from_micros(4_001), a_millisecond_each), 8);

        let slow_every_other_time = Cell::new(false);
        let took = |times| {
            slow_every_other_time.set(!slow_every_other_time.get());
            Duration::from_millis(if slow_every_other_time.get() { 1_000 } else { times })
        };
        assert_eq!(batch_that_takes(Duration::from_millis(4), took), 4, "an interrupted run is no sample");
    }

    #[test]
    fn the_time_of_threads_counts_only_if_they_ran_together() {
        let zero = Instant::now();
        let span = |from, to| (zero + Duration::from_nanos(from), zero + Duration::from_nanos(to));
        assert_eq!(together([span(0, 100)].into_iter(), 10), (10.0, 1.0));
        assert_eq!(together([span(0, 95), span(5, 100)].into_iter(), 10), (10.0, 0.9));
        assert_eq!(together([span(0, 100), span(100, 200)].into_iter(), 10), (20.0, 0.0));

        let met = [span(0, 100), span(100, 300)];
        let apart = [span(0, 100), span(900, 1_000)];
        let one = vec![met, met, met, met, met, met];
        let mut other = one.clone();
        other[0] = apart;
        assert_eq!(
            times(&[one.clone(), other], [10, 10]),
            (vec![10.0; 5], vec![20.0; 5]),
            "the first round is left out"
        );
        assert_eq!(times(&[vec![met], vec![apart]], [10, 10]), (vec![10.0], vec![90.0]), "a single round is kept");
    }

    #[test]
    fn allocations_are_counted_for_each_call() {
        let once_seven_and_three_each = |times| 7 + 3 * times;
        assert_eq!(for_each(1_000, once_seven_and_three_each).to_bits(), 3.0_f64.to_bits());
    }
}
