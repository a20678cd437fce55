//! One limiter for a whole program: functions of different types and any number of tasks share it.
//!
//! ```text
//! cargo run --example shared_limiter
//! ```

use decor::prelude::*;
use std::{fmt::Debug, io, time::Duration};
use tokio::{task::JoinSet, time::Instant};

const SECOND: Duration = Duration::from_secs(1);

// Three functions that call one service, and have nothing else in common: not even all of them can fail.

async fn visits(page: u32) -> u32 {
    page * 100
}

async fn user(id: u64) -> Result<String, String> {
    if id == 0 { Err("429, come back in a second".into()) } else { Ok(format!("user {id}")) }
}

async fn titles(ids: Vec<u64>) -> io::Result<Vec<String>> {
    Ok(ids.iter().map(|id| format!("title {id}")).collect())
}

/// The clock is paused: tokio moves it on when everybody waits, so that the seconds take no time.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!("when are eight calls admitted that come all at once?");
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

    // The decorated functions have clones of the limiter, and a clone is the same limiter.
    let limiter = RateLimiter::new(4, SECOND);
    let visits = visits.rate_limited(&limiter);
    let titles = titles.rate_limited_by(&limiter, |ids: &Vec<u64>| ids.len());
    let user_or_never = user.try_rate_limited(&limiter);
    let user_in_time = user.rate_limited_within(&limiter, 3 * SECOND);
    let user = user.pausing(&limiter, |_: &String| Some(SECOND)).rate_limited(&limiter);

    println!("\nthree functions in seven tasks, all by way of {limiter:?}:");
    let began = Instant::now();
    let show = move |what: &str, result: &dyn Debug| {
        println!("  {:.2}  {what:<34}{result:?}", began.elapsed().as_secs_f64());
    };
    let mut tasks = JoinSet::new();
    for page in 1..=2 {
        let visits = visits.clone();
        tasks.spawn(async move { show("visits", &visits.call(page).await) });
    }
    tasks.spawn(async move { show("titles of 3, and so 3 permits", &titles.call(vec![7, 8, 9]).await) });
    tasks.spawn(async move { show("visits, not before the titles", &visits.call(3).await) });
    tasks.spawn(async move { show("user, now or never", &user_or_never.call(1).await) });
    tasks.spawn(async move { show("user, within 3 s", &user_in_time.call(2).await) });
    tasks.spawn(async move {
        show("user 0, who pauses all for 1 s", &user.call(0).await);
        show("user 3", &user.call(3).await);
    });
    tasks.join_all().await;
    println!("  {}", limiter.stats());
}
