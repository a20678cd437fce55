//! Your own error enum carries the errors of the call and the errors of the decorators.
//!
//! ```text
//! cargo run --example own_error_enum
//! ```
//!
//! The enum needs a variant `#[from] decor::Error`, and an `impl Transient` for `.transient()`. The
//! chain changes no type. If `find_user` hangs, every caller has its error after 170 ms: three
//! attempts of 50 ms, with two waits of 10 ms.

use decor::{Transient, prelude::*};
use std::{
    future::pending,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

#[derive(Debug, thiserror::Error)]
enum UserError {
    #[error("there is no user {0}")]
    NotFound(u64),
    #[error("the database is busy")]
    Busy { retry_after: Duration },
    #[error(transparent)]
    Policy(#[from] decor::Error),
}

impl Transient for UserError {
    fn is_transient(&self) -> bool {
        match self {
            Self::NotFound(_) => false,
            Self::Busy { .. } => true,
            Self::Policy(error) => error.is_transient(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotFound(_) => None,
            Self::Busy { retry_after } => Some(*retry_after),
            Self::Policy(error) => error.retry_after(),
        }
    }
}

/// Finds user 1 at the third attempt. User 2 is unknown, and the search for user 3 never ends.
async fn find_user(id: u64) -> Result<&'static str, UserError> {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    match id {
        1 if ATTEMPTS.fetch_add(1, Relaxed) < 2 => Err(UserError::Busy { retry_after: Duration::from_millis(20) }),
        1 => Ok("Ada"),
        2 => Err(UserError::NotFound(id)),
        _ => pending().await,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let find_user = find_user
        .timeout(Duration::from_millis(50))
        .retry_with(RetryPolicy::fixed(Duration::from_millis(10)))
        .transient()
        .on_retry(|r| {
            let error = r.error.map(ToString::to_string).unwrap_or_default();
            println!("  attempt {}: {error}, retrying in {:?}", r.attempt, r.delay);
        })
        .validated(|id: &u64| if *id == 0 { Err("ids begin at 1") } else { Ok(()) });

    for id in 0..=3 {
        println!("user {id}");
        match find_user.call(id).await {
            Ok(name) => println!("  is {name}"),
            Err(UserError::Policy(error)) => println!("  a decorator's error: {error}"),
            Err(error) => println!("  the function's own error: {error}"),
        }
    }
}
