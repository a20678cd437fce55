//! A retry policy is data. It can be written in code, inspected before it is shipped, and read from
//! a file.
//!
//! ```text
//! cargo run --example custom_policy
//! ```

use decor::{RetryConfig, prelude::*};
use std::{error::Error, future::ready, time::Duration};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// A policy that retries quickly while a caller may still be waiting, and later once a minute.
fn hurried_then_patient() -> RetryPolicy {
    let delay = |attempt| match attempt {
        1 => Duration::ZERO,
        2 | 3 => Duration::from_millis(200),
        _ => 60 * SECOND,
    };
    RetryPolicy::custom(delay).max_attempts(6)
}

/// Parses settings of a file or a user, such as `backoff=linear delay_ms=100 max_attempts=4`.
fn from_settings(settings: &str) -> Result<RetryPolicy, Box<dyn Error>> {
    let mut config = RetryConfig::default();
    for setting in settings.split_whitespace() {
        let (name, value) = setting.split_once('=').ok_or_else(|| format!("`{setting}` is not name=value"))?;
        match name {
            "backoff" => config.backoff = value.parse()?,
            "delay_ms" => config.delay = Duration::from_millis(value.parse()?),
            "factor" => config.factor = Some(value.parse()?),
            "jitter" => config.jitter = value.parse()?,
            "max_attempts" => config.max_attempts = value.parse()?,
            _ => return Err(format!("`{name}` is not a setting").into()),
        }
    }
    Ok(config.try_into()?)
}

fn show(policy: &RetryPolicy) {
    let delays: Vec<_> = policy.schedule().map(|delay| format!("{:.2}", delay.as_secs_f64())).collect();
    println!("  {policy}\n    waits {} s", delays.join(", "));
}

/// The clock is paused. Tokio advances it when all tasks wait, so that minutes take no time.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!("written in code");
    show(&RetryPolicy::exponential(SECOND / 10).factor(3.0).max_delay(5 * SECOND).max_attempts(6));
    show(&RetryPolicy::fibonacci(SECOND).max_attempts(20).deadline(30 * SECOND));
    show(&hurried_then_patient());

    println!("with jitter: random for each call, and the same on every run because of the seed");
    let jittered = RetryPolicy::fixed(SECOND).max_attempts(5).jitter(Jitter::Full).seed(42);
    show(&jittered);
    let began = Instant::now();
    let outcome = (|| ready(Err::<(), _>("still down"))).retry_with(&jittered).await;
    println!("  the first call ends after {:.2} s: {outcome:?}", began.elapsed().as_secs_f64());
    show(&jittered);

    println!("from a file");
    for settings in [
        "backoff=linear delay_ms=100 max_attempts=4",
        "backoff=exponential delay_ms=250 factor=1.5 max_attempts=5",
        "max_attempts=0",
        "backoff=cubic",
        "backoff=fixed factor=2",
        "jitter=some",
    ] {
        match from_settings(settings) {
            Ok(policy) => show(&policy),
            Err(refused) => println!("  refused: {settings}\n    {refused}"),
        }
    }
}
