//! Measuring: decor and a peer in turns, in the same process, round by round.

use crate::{
    allocations::counted,
    statistics::{Ratio, median, ratio},
    target::Target,
};
use std::{
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

/// A sample is at least this long. Many short ones: most of them fall between two interruptions.
const SAMPLE: Duration = Duration::from_micros(300);
/// Threads do not start at quite the same time.
const SAMPLE_OF_THREADS: Duration = Duration::from_millis(1);
/// A pair takes about so long.
const BUDGET: Duration = Duration::from_millis(700);
const ROUNDS: (u32, u32) = (15, 201);

thread_local! {
    /// What the async calls of this thread run in.
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(runtime);
}

/// A runtime as the cases use it.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime can be made")
}

/// Runs `work` where tokio's timer can be found.
pub(crate) fn within<T>(work: impl FnOnce() -> T) -> T {
    RUNTIME.with(|runtime| {
        let _guard = runtime.enter();
        work()
    })
}

/// One library at one job: does it so many times.
#[derive(Clone)]
pub struct Side {
    run: Arc<dyn Fn(u64) + Send + Sync>,
    future: Option<usize>,
}

impl Side {
    /// A call that is not awaited.
    pub fn called<T>(call: impl Fn(u64) -> T + Send + Sync + 'static) -> Self {
        let run = move |times| {
            for id in 0..times {
                black_box(call(black_box(id)));
            }
        };
        Self { run: Arc::new(run), future: None }
    }

    /// A call that is awaited.
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

    /// A tower service, called as its documentation says: each thread has a clone, which is made ready and called.
    ///
    /// # Panics
    ///
    /// When it is run and fails.
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

    /// Does it so many times.
    pub fn run(&self, times: u64) {
        (self.run)(times);
    }

    /// How often it must be done to take as long as a sample.
    fn batch(&self, sample: Duration) -> u64 {
        let mut times = 1;
        loop {
            let took = (0..2).map(|_| timed(|| self.run(times))).min().expect("two of them");
            if took >= sample {
                return times;
            }
            times *= 2;
        }
    }

    /// Allocations for each time, and nothing of what a batch takes once.
    fn allocations(&self, batch: u64) -> f64 {
        let times = batch.clamp(1, 1_000);
        let of = |times| counted(|| self.run(times)).1.allocations;
        let extra = (0..3).map(|_| of(2 * times).saturating_sub(of(times))).min().expect("three of them");
        extra as f64 / times as f64
    }
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").field("future", &self.future).finish_non_exhaustive()
    }
}

/// decor beside one peer.
#[derive(Debug)]
pub struct Pair {
    /// Whom it is compared with.
    pub peer: &'static str,
    /// The clock that either reads.
    pub clock: &'static str,
    /// decor.
    pub ours: Side,
    /// The peer.
    pub theirs: Side,
    /// What it is to hold.
    pub targets: Vec<Target>,
}

impl Pair {
    /// Two that do the same.
    pub fn new(peer: &'static str, clock: &'static str, ours: &Side, theirs: Side) -> Self {
        Self { peer, clock, ours: ours.clone(), theirs, targets: Vec::new() }
    }

    /// What it is to hold.
    #[must_use]
    pub fn target(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.targets.extend(targets);
        self
    }

    /// Measures it on so many threads.
    ///
    /// # Panics
    ///
    /// If a side does.
    pub fn measure(&self, case: &'static str, threads: usize) -> Row {
        let sample = if threads == 1 { SAMPLE } else { SAMPLE_OF_THREADS };
        let batches = [self.ours.batch(sample), self.theirs.batch(sample)];
        let sides = [&self.ours, &self.theirs];
        let round = timed(|| sides.iter().zip(batches).for_each(|(side, batch)| side.run(batch)));
        #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
        let rounds = (BUDGET.as_nanos() / round.as_nanos().max(1)).clamp(ROUNDS.0.into(), ROUNDS.1.into()) as u32;

        let gate = Gate { arrived: AtomicUsize::new(0), threads };
        let times: Vec<[Vec<f64>; 2]> = thread::scope(|scope| {
            let workers: Vec<_> =
                (0..threads).map(|_| scope.spawn(|| in_turns(&gate, sides, batches, rounds))).collect();
            workers.into_iter().map(|worker| worker.join().expect("no side panics")).collect()
        });
        // All calls are done when the last thread is.
        let slowest = |side: usize| -> Vec<f64> {
            (0..rounds as usize).map(|round| times.iter().map(|times| times[side][round]).fold(0.0, f64::max)).collect()
        };
        let (ours, theirs) = (slowest(0), slowest(1));
        let figures = |side: usize, times: &[f64]| Figures {
            nanos: median(times),
            allocations: sides[side].allocations(batches[side]),
            future: sides[side].future,
            ..Figures::default()
        };
        Row {
            case,
            peer: self.peer,
            clock: self.clock,
            ratio: ratio(&ours, &theirs),
            ours: figures(0, &ours),
            peer_figures: figures(1, &theirs),
            targets: self.targets.clone(),
            rounds,
        }
    }
}

/// One thread's times for each, in nanoseconds a call. Who begins changes with each round.
fn in_turns(gate: &Gate, sides: [&Side; 2], batches: [u64; 2], rounds: u32) -> [Vec<f64>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let mut turn = 0;
    sides[0].run(batches[0]);
    sides[1].run(batches[1]);
    for round in 0..rounds as usize {
        for side in [round % 2, (round + 1) % 2] {
            turn += 1;
            gate.pass(turn);
            let took = timed(|| sides[side].run(batches[side]));
            times[side].push(took.as_nanos() as f64 / batches[side] as f64);
        }
    }
    times
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// A barrier that spins, so that all pass at about the same time.
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

/// What was measured of one side.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Nanoseconds for each call; of waiters, until the last one is through.
    pub nanos: f64,
    /// Allocations for each call, or waiter.
    pub allocations: f64,
    /// The size of a call's future.
    pub future: Option<usize>,
    /// Polls for each waiter.
    pub polls: Option<f64>,
    /// Bytes for each waiter, beside its future.
    pub bytes: Option<f64>,
    /// Nanoseconds that the schedule allows.
    pub ideal: Option<f64>,
    /// Those who had not got through when it was cut off.
    pub unfinished: Option<usize>,
}

/// A line of the table.
#[derive(Debug)]
pub struct Row {
    /// The job.
    pub case: &'static str,
    /// Whom decor is compared with.
    pub peer: &'static str,
    /// The clock that either reads.
    pub clock: &'static str,
    /// decor's figures.
    pub ours: Figures,
    /// The peer's figures.
    pub peer_figures: Figures,
    /// decor's time to the peer's.
    pub ratio: Ratio,
    /// What it is to hold.
    pub targets: Vec<Target>,
    /// How many rounds were measured.
    pub rounds: u32,
}

impl Row {
    /// The targets in words, and whether each is met.
    pub fn verdicts(&self) -> Vec<(String, bool)> {
        self.targets.iter().map(|target| (target.to_string(), target.met(self))).collect()
    }

    /// Whether all targets are met; nothing if there is none.
    pub fn met(&self) -> Option<bool> {
        (!self.targets.is_empty()).then(|| self.targets.iter().all(|target| target.met(self)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(ours: Figures, peer_figures: Figures, targets: &[Target]) -> Row {
        let medians = ours.nanos / peer_figures.nanos;
        Row {
            case: "retry_ok",
            peer: "backon",
            clock: "none",
            ours,
            peer_figures,
            ratio: Ratio { medians, spread: (medians, medians) },
            targets: targets.to_vec(),
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
    fn a_makespan_may_be_neither_late_nor_early() {
        let took = |nanos| Figures { nanos, ideal: Some(1_000.0), ..Figures::default() };
        let met = |nanos| row(took(nanos), took(2_000.0), &[Target::Late(0.01)]).met();
        assert_eq!((met(1_010.0), met(1_011.0), met(989.0)), (Some(true), Some(false), Some(false)));
    }

    #[test]
    fn a_batch_grows_until_it_is_a_sample() {
        let side = Side::called(|_| std::thread::sleep(Duration::from_millis(1)));
        assert_eq!(side.batch(Duration::from_micros(500)), 1);
        assert_eq!(side.batch(Duration::from_millis(3)), 4);
    }

    #[test]
    fn allocations_are_counted_for_each_call() {
        let side = Side::called(Box::new);
        assert!(side.allocations(1_000) >= 1.0, "other tests may allocate meanwhile");
    }
}
