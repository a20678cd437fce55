//! The performance of a shared limiter, beside a bare script and beside that of `redis_rate`.
//!
//! ```sh
//! cargo run --release -p decor-redis --example throughput
//! ```
//!
//! Starts a server of its own, and a second process for the rows of two processes. Each row takes
//! some seconds. Compare the rows of one run only, because all share the machine with the server.

mod client;
mod rows;

use decor_redis_testing::{MISSING, Proxy, Server};
use rows::{Row, Shared};
use std::{env, error::Error, time::Duration};

/// Time of each row.
const LASTS: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    if let Ok(work) = env::var("DECOR_THROUGHPUT_WORKER") {
        return Shared::of_text(&work)?.work();
    }
    let Some(server) = Server::start(&[]) else { return Err(MISSING.into()) };
    let near = || Shared::new(server.url());
    let far = Proxy::start(server.port(), Duration::from_millis(40));

    Row::head();
    let bare = rows::bare(&server)?;
    bare.print("the script of a window alone, 1 task");
    rows::redis_rate(&server, 1)?.print("redis_rate's script per call, 1 task");
    rows::redis_rate(&server, 64)?.print("redis_rate's script per call, 64 tasks");
    let one = near().run(&server)?;
    one.print("1 task");
    Shared { tasks: 64, ..near() }.run(&server)?.print("64 tasks");
    Shared { windows: 2, ..near() }.run(&server)?.print("1 task, two windows");
    Shared { windows: 0, ..near() }.run(&server)?.print("1 task, even spacing");
    Shared { lease: 100, ..near() }.run(&server)?.print("1 task, lease 100");
    Shared { lease: 1_000, ..near() }.run(&server)?.print("1 task, lease 1000");
    let far = Shared { url: far.url(), lease: 1_000, ..near() };
    far.run(&server)?.print("1 task, 40 ms away, lease 1000");
    Shared { limit: 400_000, tasks: 8, lease: 1_000, ..near() }.run_two()?;
    rows::tier_hits(&server)?.print("hit of a memo's tier, 1 task");
    rows::memory(&server)?;
    println!("p50 of 1 task is {:.2} of that of the script alone", one.p50.as_secs_f64() / bare.p50.as_secs_f64());
    Ok(())
}
