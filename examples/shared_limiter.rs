//! A limiter that functions of different types and any number of tasks share.
//!
//! ```text
//! cargo run --example shared_limiter
//! ```

use decor::prelude::*;
use std::{fmt::Debug, io, time::Duration};
use tokio::{task::JoinSet, time::Instant};

const SECOND: Duration = Duration::from_secs(1);

// Three functions that call the same service. Their outputs have different types, and `visits`
// cannot fail. All three end at once, so no chain here needs a timeout.

async fn visits(page: u32) -> u32 {
    page * 100
}

async fn user(id: u64) -> Result<String, String> {
    if id == 0 { Err("429, retry in a second".into()) } else { Ok(format!("user {id}")) }
}

async fn titles(ids: Vec<u64>) -> io::Result<Vec<String>> {
    Ok(ids.iter().map(|id| format!("title {id}")).collect())
}

/// The clock is paused. Tokio advances it when all tasks wait, so that the seconds take no time.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!("times at which eight simultaneous calls are admitted, in seconds:");
    for (name, limiter) in [
        ("new(4, 1 s), exact", RateLimiter::new(4, SECOND)),
        ("paced(4, 1 s)", RateLimiter::paced(4, SECOND)),
        ("paced(4, 1 s).burst(2)", RateLimiter::builder().paced(4, SECOND).burst(2).build()),
    ] {
        let began = Instant::now();
        print!("  {name:<24}");
        for _ in 0..8 {
            limiter.acquire().await;
            print!(" {:.2}", began.elapsed().as_secs_f64());
        }
        println!();
    }

    // The decorated functions hold clones of the limiter. A clone is the same limiter.
    let limiter = RateLimiter::new(4, SECOND);
    let visits = visits.rate_limited(&limiter);
    let titles = titles.rate_limited_by(&limiter, |ids: &Vec<u64>| ids.len());
    let user_at_once = user.try_rate_limited(&limiter);
    let user_in_time = user.rate_limited_within(&limiter, 3 * SECOND);
    let user = user.pausing(&limiter, |_: &String| Some(SECOND)).rate_limited(&limiter);

    println!("\nthree functions in seven tasks share {limiter:?}:");
    let began = Instant::now();
    let show = move |what: &str, result: &dyn Debug| {
        println!("  {:.2}  {what:<34}{result:?}", began.elapsed().as_secs_f64());
    };
    let mut tasks = JoinSet::new();
    for page in 1..=2 {
        let visits = visits.clone();
        tasks.spawn(async move { show("visits", &visits.call(page).await) });
    }
    tasks.spawn(async move { show("titles of 3, with 3 permits", &titles.call(vec![7, 8, 9]).await) });
    tasks.spawn(async move { show("visits, queued after the titles", &visits.call(3).await) });
    tasks.spawn(async move { show("user, without a wait", &user_at_once.call(1).await) });
    tasks.spawn(async move { show("user, within 3 s", &user_in_time.call(2).await) });
    tasks.spawn(async move {
        show("user 0, a 429 that pauses all", &user.call(0).await);
        show("user 3", &user.call(3).await);
    });
    tasks.join_all().await;
    println!("  {}", limiter.stats());
}
