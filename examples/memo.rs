//! What a memo remembers, for how long and for whom, step by step. Below each step stands what the memo has counted.
//!
//! ```text
//! cargo run --example memo
//! ```

use decor::prelude::*;
use futures::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};

const SECOND: Duration = Duration::from_secs(1);
const LOAD_TIME: Duration = Duration::from_millis(100);

/// The slow thing behind the memo, which knows nothing of it.
async fn fetch_user(id: u64) -> Result<String, String> {
    sleep(LOAD_TIME).await;
    if id == 0 { Err("no such user".into()) } else { Ok(format!("user {id}")) }
}

/// The clock is paused: tokio moves it on when everybody waits, so that the minutes take no time.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), String> {
    let began = Instant::now();
    let show = |users: &Memo<u64, String>, step: &str| {
        println!("{:6.2} s  {step}\n          {}", began.elapsed().as_secs_f64(), users.stats());
    };

    // The decorated function has a clone of the memo, and a clone is the same memo.
    let users: Memo<u64, String> = Memo::builder().ttl(60 * SECOND).capacity(3).build();
    let fetch = fetch_user.memoized(&users);
    println!("{fetch:?}, each load takes {LOAD_TIME:?}\n");

    fetch.call(1).await?;
    show(&users, "user 1: a miss, and so it is loaded");
    fetch.call(1).await?;
    show(&users, "user 1 again: a hit, which takes no time");

    advance(60 * SECOND).await;
    fetch.call(1).await?;
    show(&users, "user 1 a minute later: its TTL is over, it is loaded anew");

    join_all((0..100).map(|_| fetch.call(2))).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    show(&users, "user 2 for 100 callers at once: one loads, 99 wait for it");

    // Its value type decides what is kept: `String`, and so what is `Ok`. A `Memo<u64, Result<..>>` would keep both.
    for _ in 0..2 {
        fetch.call(0).await.expect_err("there is no user 0");
    }
    show(&users, "user 0, twice: the load fails, and failures are not kept");

    users.invalidate(&1);
    show(&users, "user 1 is invalidated: one value less");
    fetch.call(1).await?;
    show(&users, "user 1: a miss again");

    for id in [2, 3, 4] {
        fetch.call(id).await?;
    }
    show(&users, "users 2, 3, 4: no room for a fourth value, so user 1 goes, whose last use is the longest ago");
    fetch.call(1).await?;
    show(&users, "user 1: a miss, and now user 2 goes");

    users.clear();
    show(&users, "cleared: no values, and nothing counted");

    // Nobody need wait for what is only a little out of date. `detached`: the load that refreshes it has its own task.
    let users = Memo::builder().ttl(60 * SECOND).stale_while_revalidate(30 * SECOND).build();
    let fetch = fetch_user.memoized(&users).detached();
    println!("\n{fetch:?}, which may be stale for 30s\n");

    fetch.call(1).await?;
    show(&users, "user 1: a miss");
    advance(70 * SECOND).await;
    fetch.call(1).await?;
    show(&users, "user 1, 10 s after its expiry: the old value at once, while a task loads the new one");
    sleep(2 * LOAD_TIME).await;
    fetch.call(1).await?;
    show(&users, "user 1, when that has ended: a hit, and fresh");
    Ok(())
}
