//! Four threads and four tasks fetch the same pages. They share one limiter and one memo, which do not care who calls.

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

/// So many loads are allowed in any such period, whoever makes them.
const LIMIT: u32 = 10;
const PERIOD: Duration = Duration::from_millis(500);

/// The limiter counts by when it lets a load go, the record below by when the load begins. From the one to the other some
/// threads take longer than others: so much, at most, for a machine that has its hands full.
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

// The slow thing behind limiter and memo, once for threads and once for tasks.

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

    let by_thread = fetch.blocking().rate_limited(&limiter).memoized(&pages);
    let by_task = fetch_async.rate_limited(&limiter).memoized(&pages);
    println!("{THREADS} threads call {by_thread:?}\n{TASKS} tasks call {by_task:?}\n");

    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..TASKS {
        let by_task = by_task.clone();
        let walk = async move {
            let mut got = Vec::new();
            for id in downwards(n) {
                got.push((id, by_task.call(id).await));
            }
            got
        };
        tasks.spawn_on(walk, runtime.handle());
    }
    let by_threads: Vec<_> = thread::scope(|scope| {
        let walk = |n| upwards(n).map(|id| (id, by_thread.call(id))).collect::<Vec<_>>();
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
    println!("          most in any {PERIOD:?}: {most}, allowed are {LIMIT}");

    let (calls, all) = (u64::from((THREADS + TASKS) * PAGES), u64::from(PAGES));
    let mut loaded: Vec<_> = loads.iter().map(|load| load.id).collect();
    loaded.sort_unstable();
    ensure!(by_threads.iter().chain(&by_tasks).all(|(id, page)| *id == page.id), "somebody got another's page");
    ensure!(loaded.into_iter().eq(0..PAGES), "each page was to be loaded once");
    ensure!((memo.calls(), memo.loads, memo.misses) == (calls, all, all), "the memo counted otherwise: {memo:?}");
    ensure!((limits.admitted, limits.waiting) == (all, 0), "the limiter counted otherwise: {limits:?}");
    ensure!(most <= LIMIT as usize, "{most} loads within {PERIOD:?}");
    // Without a margin: so many loads, so many at a time, need so many periods.
    ensure!(took >= (PERIOD + MARGIN) * ((PAGES - 1) / LIMIT), "done too soon: {took:?}");
    ensure!([Kind::Thread, Kind::Task].iter().all(|kind| loads_by(*kind) > 0), "one kind has loaded nothing");
    println!("each page was loaded once, all counts add up");
    Ok(())
}

/// All pages. A thread begins at one end of its part of them and a task at the other, so that they meet.
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
    loads.push(Load { id, by, at: Instant::now() }); // the clock is read under the lock: so the times are in order
}

fn most_in_any(period: Duration, loads: &[Load]) -> usize {
    let within = |first: &Load| loads.iter().filter(|load| (first.at..first.at + period).contains(&load.at)).count();
    loads.iter().map(within).max().unwrap_or(0)
}
