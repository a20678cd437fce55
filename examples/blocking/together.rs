//! Four threads and four tasks fetch the same pages. They share one limiter and one memo, which
//! serve threads and tasks alike.

use anyhow::ensure;
use decor::prelude::*;
use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinSet, time};

const THREADS: u32 = 4;
const TASKS: u32 = 4;
const PAGES: u32 = 24;
const LOAD_TIME: Duration = Duration::from_millis(30);

/// Maximum number of loads in any period, of threads and tasks together.
const LIMIT: u32 = 10;
const PERIOD: Duration = Duration::from_millis(500);

/// Time limit of a call, the wait for a permit and for another call's load included.
const TOTAL: Duration = Duration::from_secs(10);

/// Maximum time from a load's permit to its begin on a busy machine. The limiter counts by the time
/// of the permit, and the record below by the time of the begin.
const MARGIN: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Thread,
    Task,
}

#[derive(Debug, Clone)]
struct Page {
    id: u32,
    loaded_by: Kind,
}

// The slow load, once for threads and once for tasks.

fn fetch(id: u32) -> Page {
    record(id, Kind::Thread);
    thread::sleep(LOAD_TIME);
    Page { id, loaded_by: Kind::Thread }
}

async fn fetch_async(id: u32) -> Page {
    record(id, Kind::Task);
    time::sleep(LOAD_TIME).await;
    Page { id, loaded_by: Kind::Task }
}

pub(crate) fn run(runtime: &Runtime) -> anyhow::Result<()> {
    let limiter = RateLimiter::new(LIMIT, PERIOD + MARGIN);
    let pages: Memo<u32, Page> = Memo::ttl(Duration::from_secs(60));

    // If a load hangs, every caller has its error after 10 s.
    let by_thread = fetch.blocking().fallible().rate_limited(&limiter).memoized(&pages).timeout(TOTAL);
    let by_task = fetch_async.fallible().rate_limited(&limiter).memoized(&pages).timeout(TOTAL);
    println!("{THREADS} threads call {by_thread:?}\n{TASKS} tasks call {by_task:?}\n");

    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..TASKS {
        let by_task = by_task.clone();
        let walk = async move {
            let mut got = Vec::new();
            for id in downwards(n) {
                got.push((id, by_task.call(id).await.expect("the load ends within the limit")));
            }
            got
        };
        tasks.spawn_on(walk, runtime.handle());
    }
    let load = |id| by_thread.call(id).expect("the load ends within the limit");
    let walk = |n| upwards(n).map(|id| (id, load(id))).collect::<Vec<_>>();
    let by_threads: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || walk(n))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no page panics")).collect()
    });
    let by_tasks = runtime.block_on(tasks.join_all()).concat();
    let took = began.elapsed();

    let loads = LOADS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let most = most_in_any(PERIOD, &loads);
    let loads_by = |kind| loads.iter().filter(|load| load.by == kind).count();
    println!("             calls   loads   got what threads loaded   what tasks loaded");
    for (name, kind, got) in [("threads", Kind::Thread, &by_threads), ("tasks", Kind::Task, &by_tasks)] {
        let loaded_by = |kind| got.iter().filter(|(_, page)| page.loaded_by == kind).count();
        let [theirs, others] = [Kind::Thread, Kind::Task].map(loaded_by);
        println!("{name:<10}{:>8}{:>8}{theirs:>26}{others:>20}", got.len(), loads_by(kind));
    }
    let (memo, limits) = (pages.stats(), limiter.stats());
    println!("memo      {} hits, {} coalesced, {} loads of {PAGES} pages", memo.hits, memo.coalesced, memo.loads);
    println!("limiter   {} admitted, {} of them delayed, in {took:.2?}", limits.admitted, limits.delayed);
    println!("          most in any {PERIOD:?}: {most} of {LIMIT} allowed");

    let (calls, all) = (u64::from((THREADS + TASKS) * PAGES), u64::from(PAGES));
    let mut loaded: Vec<_> = loads.iter().map(|load| load.id).collect();
    loaded.sort_unstable();
    ensure!(by_threads.iter().chain(&by_tasks).all(|(id, page)| *id == page.id), "a caller got the page of another id");
    ensure!(loaded.into_iter().eq(0..PAGES), "some page was not loaded exactly once");
    ensure!((memo.calls(), memo.loads, memo.misses) == (calls, all, all), "the memo has a wrong count: {memo:?}");
    ensure!((limits.admitted, limits.waiting) == (all, 0), "the limiter has a wrong count: {limits:?}");
    ensure!(most <= LIMIT as usize, "{most} loads within {PERIOD:?}");
    // The least number of whole periods that the loads need.
    ensure!(
        took >= (PERIOD + MARGIN) * ((PAGES - 1) / LIMIT),
        "all loads took only {took:?}, less than the limiter allows"
    );
    ensure!(
        [Kind::Thread, Kind::Task].iter().all(|kind| loads_by(*kind) > 0),
        "only one of threads and tasks has loaded"
    );
    println!("each page was loaded once, and all counts agree");
    Ok(())
}

/// Returns all pages. A thread begins at one end of its part and a task at the other, so that they
/// meet.
fn upwards(n: u32) -> impl Iterator<Item = u32> {
    let first = n * PAGES / THREADS;
    (0..PAGES).map(move |i| (first + i) % PAGES)
}

fn downwards(n: u32) -> impl Iterator<Item = u32> {
    let last = (n + 1) * PAGES / TASKS - 1;
    (0..PAGES).map(move |i| (last + PAGES - i) % PAGES)
}

#[derive(Debug, Clone)]
struct Load {
    id: u32,
    by: Kind,
    at: Instant,
}

static LOADS: Mutex<Vec<Load>> = Mutex::new(Vec::new());

fn record(id: u32, by: Kind) {
    let mut loads = LOADS.lock().unwrap_or_else(PoisonError::into_inner);
    loads.push(Load { id, by, at: Instant::now() }); // under the lock, so that the times are in order
}

fn most_in_any(period: Duration, loads: &[Load]) -> usize {
    let within = |first: &Load| loads.iter().filter(|load| (first.at..first.at + period).contains(&load.at)).count();
    loads.iter().map(within).max().unwrap_or(0)
}
