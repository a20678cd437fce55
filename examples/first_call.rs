//! The README's first example, with a server that refuses the first connection.
//!
//! ```text
//! cargo run --example first_call
//! ```

use decor::prelude::*;
use std::{
    io,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};
use tracing::Level;

static CALLS: AtomicU32 = AtomicU32::new(0);

async fn fetch(id: u64) -> io::Result<String> {
    match CALLS.fetch_add(1, Relaxed) {
        0 => Err(io::ErrorKind::ConnectionRefused.into()),
        _ => Ok(format!("user {id}")),
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt().without_time().with_ansi(false).with_max_level(Level::DEBUG).init();
    let fetch = fetch
        .timeout(Duration::from_secs(2)) // limit of each attempt
        .retry_with(RetryPolicy::default())
        .transient()
        .timeout(Duration::from_secs(10)) // limit of all attempts together
        .logged();
    println!("{}", fetch.call(42).await?);
    Ok(())
}
