//! Measures the lateness of limiters in real time, over 100,000 admissions each.
//!
//! ```text
//! cargo run --release --example limiter_schedule
//! ```
//!
//! Tokio's timer is up to 1 ms late, and the system adds some lateness of its own. An exact window
//! starts late after a late window, so its lateness adds up. A pacer follows a fixed schedule, so
//! its lateness does not add up. The column "late in all" includes the time that the tasks take to
//! get the permits of the last window, one after the other. With few and large windows that time is
//! most of the lateness.

use decor::RateLimiter;
use std::time::{Duration, Instant};

const ADMISSIONS: u32 = 100_000;
const WAITERS: u32 = 100;

#[tokio::main]
async fn main() {
    println!("{:24} {:>10} {:>10} {:>16} {:>16}", "", "ideal", "took", "late in all", "late per period");
    for (limit, period) in [(1_000, 10), (5_000, 50), (20_000, 200)] {
        let period = Duration::from_millis(period);
        let took = saturated(&RateLimiter::new(limit, period)).await;
        show(&format!("exact {limit} per {period:?}"), period * (ADMISSIONS / limit - 1), took, ADMISSIONS / limit - 1);
    }
    for per_second in [20_000, 50_000] {
        let took = saturated(&RateLimiter::paced(per_second, Duration::from_secs(1))).await;
        let ideal = Duration::from_secs(1) * (ADMISSIONS - 1) / per_second;
        show(&format!("paced {per_second} per 1s"), ideal, took, ADMISSIONS - 1);
    }
}

/// Runs tasks that take one permit after the other, so that the queue is never empty. Returns the
/// time until all permits are taken.
async fn saturated(limiter: &RateLimiter) -> Duration {
    let begun = Instant::now();
    let tasks = (0..WAITERS).map(|_| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            for _ in 0..ADMISSIONS / WAITERS {
                limiter.acquire().await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no task panics");
    }
    begun.elapsed()
}

fn show(limiter: &str, ideal: Duration, took: Duration, periods: u32) {
    let late = took.saturating_sub(ideal);
    let each = late / periods;
    println!("{limiter:24} {ideal:>10.2?} {took:>10.2?} {late:>16.2?} {each:>16.2?}");
}
