//! Many waiters at one limiter, in real time.

use super::subject::{STAMPS, beside};
use crate::{
    allocations::counted,
    measure::{Figures, Row, runtime},
    statistics::{Ratio, median, ratio},
    target::Target,
};
use decor::RateLimiter;
use futures::future::BoxFuture;
use governor::Quota;
use std::{
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Time limit of a run. A peer that takes longer is cut off.
const TIME_LIMIT: Duration = Duration::from_secs(8);
const ROUNDS: usize = 3;

type Acquire = BoxFuture<'static, ()>;

/// A limiter, and the size of its waiters.
struct Contestant {
    peer: &'static str,
    clock: &'static str,
    limiter: fn(rate: u32) -> Box<dyn Fn() -> Acquire>,
    /// Bytes of the future of a waiter.
    future: usize,
}

fn contestants() -> [Contestant; 3] {
    [
        Contestant { peer: "decor", clock: STAMPS, limiter: decor, future: size_of_future(&decor_acquire) },
        Contestant { peer: "governor", clock: "quanta", limiter: governor, future: size_of_future(&governor_acquire) },
        Contestant { peer: "leaky-bucket", clock: "tokio", limiter: leaky, future: size_of_future(&leaky_acquire) },
    ]
}

fn size_of_future<L: 'static, F: Future>(_: &impl Fn(&'static L) -> F) -> usize {
    size_of::<F>()
}

fn decor_acquire(limiter: &'static RateLimiter) -> decor::future::Acquire<'static> {
    limiter.acquire()
}

async fn governor_acquire(limiter: &'static governor::DefaultDirectRateLimiter) {
    limiter.until_ready().await;
}

fn leaky_acquire(limiter: &'static leaky_bucket::RateLimiter) -> leaky_bucket::Acquire<'static> {
    limiter.acquire_one()
}

fn decor(rate: u32) -> Box<dyn Fn() -> Acquire> {
    let limiter = Box::leak(Box::new(RateLimiter::paced(rate, Duration::from_secs(1))));
    Box::new(|| Box::pin(decor_acquire(limiter)))
}

fn governor(rate: u32) -> Box<dyn Fn() -> Acquire> {
    let quota = Quota::per_second(NonZeroU32::new(rate).expect("the rate is positive")).allow_burst(NonZeroU32::MIN);
    let limiter = Box::leak(Box::new(governor::RateLimiter::direct(quota)));
    Box::new(|| Box::pin(governor_acquire(limiter)))
}

/// A refill each millisecond, which is the resolution of the peer's timer.
fn leaky(rate: u32) -> Box<dyn Fn() -> Acquire> {
    let refill = (rate as usize / 1_000).max(1);
    let limiter = leaky_bucket::RateLimiter::builder()
        .max(refill)
        .initial(refill)
        .refill(refill)
        .interval(Duration::from_secs(1) * u32::try_from(refill).expect("the number is small") / rate)
        .build();
    let limiter = Box::leak(Box::new(limiter));
    Box::new(|| Box::pin(leaky_acquire(limiter)))
}

pub(super) fn measure(case: &'static str, count: usize, rate: u32) -> Vec<Row> {
    let [ours, peers @ ..] = contestants();
    let ideal = Duration::from_secs(1).as_nanos() as f64 * (count - 1) as f64 / f64::from(rate);
    let footprint = footprint(&ours, count.min(10_000));
    let mut rows = Vec::new();
    for peer in peers {
        let mut runs = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            runs[0].push(run(&ours, count, rate));
            // A peer that was cut off once would be cut off again.
            if runs[1].last().is_none_or(|run: &Run| run.unfinished == 0) {
                runs[1].push(run(&peer, count, rate));
            }
        }
        let [ours_runs, peer_runs] = runs;
        let figures = |contestant: &Contestant, runs: &[Run], (allocations, bytes): (f64, f64)| Figures {
            nanos: median(&makespans(runs)),
            allocations,
            future: Some(contestant.future),
            polls: Some(median(&runs.iter().map(|run| run.polls).collect::<Vec<_>>())),
            bytes: Some(bytes),
            ideal: Some(ideal),
            unfinished: runs.iter().map(|run| run.unfinished).max().filter(|unfinished| *unfinished > 0),
        };
        let peer_figures = figures(&peer, &peer_runs, self::footprint(&peer, count.min(10_000)));
        let ratio = if peer_figures.unfinished.is_none() {
            ratio(&makespans(&ours_runs), &makespans(&peer_runs))
        } else {
            // An upper bound, because the peer would have taken longer.
            let most = median(&makespans(&ours_runs)) / peer_figures.nanos;
            Ratio { medians: most, spread: (0.0, most) }
        };
        rows.push(Row {
            case: case.to_owned(),
            peer: peer.peer,
            clock: beside(peer.clock).into(),
            ours: figures(&ours, &ours_runs, footprint),
            peer_figures,
            ratio,
            targets: vec![Target::Late(0.01), Target::Polls(3.0), Target::Bytes(256.0)],
            further: None,
            rounds: ROUNDS,
        });
    }
    rows
}

/// The result of a run.
struct Run {
    makespan: Duration,
    polls: f64,
    unfinished: usize,
}

fn makespans(runs: &[Run]) -> Vec<f64> {
    runs.iter().map(|run| run.makespan.as_nanos() as f64).collect()
}

/// Runs a task for each waiter. All tasks exist before the first is polled.
fn run(contestant: &Contestant, count: usize, rate: u32) -> Run {
    let runtime = runtime();
    let polls = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicUsize::new(0));
    let all_done = Arc::new(Notify::new());
    runtime.block_on(async {
        let acquire = (contestant.limiter)(rate);
        for _ in 0..count {
            let call = Polled { call: acquire(), polls: Arc::clone(&polls) };
            let (done, all_done) = (Arc::clone(&done), Arc::clone(&all_done));
            runtime.spawn(async move {
                call.await;
                if done.fetch_add(1, Relaxed) + 1 == count {
                    all_done.notify_one();
                }
            });
        }
        let begun = Instant::now();
        // `unfinished` says how many were cut off.
        let _ = tokio::time::timeout(TIME_LIMIT, all_done.notified()).await;
        Run {
            makespan: begun.elapsed(),
            polls: polls.load(Relaxed) as f64 / count as f64,
            unfinished: count - done.load(Relaxed),
        }
    })
}

/// Returns the allocations and the bytes for each waiter, without its future, after all waiters
/// were polled once.
fn footprint(contestant: &Contestant, count: usize) -> (f64, f64) {
    let runtime = runtime();
    let _guard = runtime.enter();
    let acquire = (contestant.limiter)(1);
    let mut waiters: Vec<Acquire> = (0..count).map(|_| acquire()).collect();
    let poll = |waiter: &mut Acquire| waiter.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let (first, _) = counted(|| poll(&mut waiters[0]));
    assert!(first.is_ready(), "a free permit");
    let ((), counted) = counted(|| waiters[1..].iter_mut().for_each(|waiter| assert!(poll(waiter).is_pending())));
    let each = (count - 1) as f64;
    (counted.allocations as f64 / each, counted.live as f64 / each)
}

/// A future that counts its polls.
struct Polled {
    call: Acquire,
    polls: Arc<AtomicU64>,
}

impl Future for Polled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.polls.fetch_add(1, Relaxed);
        self.call.as_mut().poll(context)
    }
}
