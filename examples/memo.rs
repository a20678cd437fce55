//! Shows step by step what a memo remembers, and for how long. The line below each step has the
//! memo's statistics.
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

/// Loads a user slowly. The memo is no concern of this function.
async fn fetch_user(id: u64) -> Result<String, String> {
    sleep(LOAD_TIME).await;
    if id == 0 { Err("no such user".into()) } else { Ok(format!("user {id}")) }
}

/// The clock is paused. Tokio advances it when all tasks wait, so that the minutes take no time.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), String> {
    let began = Instant::now();
    let show = |users: &Memo<u64, String>, step: &str| {
        println!("{:6.2} s  {step}\n          {}", began.elapsed().as_secs_f64(), users.stats());
    };

    // The decorated function holds a clone of the memo. A clone is the same memo. The first limit
    // bounds each load, and the second bounds every caller, those that wait for a load included.
    let users: Memo<u64, String> = Memo::builder().ttl(60 * SECOND).capacity(3).build();
    let fetch = fetch_user.timeout(SECOND).memoized(&users).timeout(2 * SECOND);
    println!("{fetch:?}, each load takes {LOAD_TIME:?}\n");

    fetch.call(1).await?;
    show(&users, "user 1: a miss, so the value is loaded");
    fetch.call(1).await?;
    show(&users, "user 1 again: a hit, at once");

    advance(60 * SECOND).await;
    fetch.call(1).await?;
    show(&users, "user 1 a minute later: the value has expired, and is loaded again");

    join_all((0..100).map(|_| fetch.call(2))).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    show(&users, "user 2 for 100 callers at once: one call loads, and 99 wait for that load");

    // The value type of the memo decides which outputs are kept. A memo of `String` keeps the value
    // of an `Ok`. A `Memo<u64, Result<..>>` would keep errors as well.
    for _ in 0..2 {
        fetch.call(0).await.expect_err("there is no user 0");
    }
    show(&users, "user 0, twice: the load fails, and errors are not kept");

    users.invalidate(&1);
    show(&users, "user 1 is invalidated: one entry fewer");
    fetch.call(1).await?;
    show(&users, "user 1: a miss again");

    for id in [2, 3, 4] {
        fetch.call(id).await?;
    }
    show(&users, "users 2, 3, 4: the capacity is 3, so user 1 is evicted as the least recently used");
    fetch.call(1).await?;
    show(&users, "user 1: a miss, and user 2 is evicted");

    users.clear();
    show(&users, "cleared: no entries, and all counts are zero");

    // A value that has expired a short time ago is served at once, while a new one loads. With
    // `detached`, that load runs in a task of its own.
    let users = Memo::builder().ttl(60 * SECOND).stale_while_revalidate(30 * SECOND).build();
    let fetch = fetch_user.timeout(SECOND).memoized(&users).detached().timeout(2 * SECOND);
    println!("\n{fetch:?}, which may be stale for 30s\n");

    fetch.call(1).await?;
    show(&users, "user 1: a miss");
    advance(70 * SECOND).await;
    fetch.call(1).await?;
    show(&users, "user 1, 10 s after the expiry: the old value at once, while a task loads the new one");
    sleep(2 * LOAD_TIME).await;
    fetch.call(1).await?;
    show(&users, "user 1 after that load: a hit, with the new value");
    Ok(())
}
