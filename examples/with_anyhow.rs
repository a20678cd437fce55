//! `anyhow::Error` carries decor's errors without a definition. `downcast_ref` returns them.
//!
//! ```text
//! cargo run --example with_anyhow
//! ```

use anyhow::{Context, Result, bail};
use decor::{Transient, prelude::*};
use std::{future::pending, io, time::Duration};

async fn load(document: &str) -> Result<String> {
    match document {
        "readme" => Ok("All is well.".into()),
        "remote" => Err(io::Error::from(io::ErrorKind::ConnectionReset)).context("cannot load `remote`"),
        "endless" => pending().await,
        _ => bail!("there is no document `{document}`"),
    }
}

/// Returns `true` if a retry could succeed. `downcast_ref` finds an error below any number of
/// `.context(..)`, and each error type knows by itself.
fn is_transient(error: &anyhow::Error) -> bool {
    let by_policy = error.downcast_ref::<decor::Error>().map(Transient::is_transient);
    let by_io = error.downcast_ref::<io::Error>().map(Transient::is_transient);
    by_policy.or(by_io).unwrap_or(false)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let load = load
        .timeout(Duration::from_millis(20))
        .retry_with(RetryPolicy::fixed(Duration::from_millis(10)))
        .when(is_transient)
        .explained();

    for document in ["readme", "remote", "endless", "missing"] {
        match load.call(document).await {
            Ok(text) => println!("{document:<8} {text}"),
            Err(story) => {
                println!("{document:<8} {story}");
                println!("{:<8}   attempts: {}, {}", "", story.attempts(), story.reason());
                println!("{:<8}   root cause: {}", "", story.cause().root_cause());
            }
        }
    }
}
