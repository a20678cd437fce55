//! A process of the fleet.

use crate::{LASTS, LIMIT, PERIOD, PROCESSES, records::Record};
use decor::{OnFailure, RateLimiter, prelude::*};
use decor_redis::Redis;
use decor_redis_testing::monotonic;
use std::{
    env,
    error::Error,
    io::Write,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};
use tokio::time::{Instant, timeout_at};

const TASKS: usize = 16;

/// A process at work, as its parent sees it.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(url: &str, local: bool) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env::current_exe()?);
        command.env("DECOR_FLEET_WORKER", url).stdout(Stdio::piped());
        if local {
            command.env("DECOR_FLEET_LOCAL", "1");
        }
        Ok(Self(command.spawn()?))
    }

    /// Waits for the end, and reads what the process has noted. Moments count from `begun`.
    pub(crate) fn end(self, begun: u64) -> Result<Record, Box<dyn Error>> {
        let output = self.0.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("a process has failed: {}", output.status).into());
        }
        Record::read(&String::from_utf8(output.stdout)?, begun)
    }
}

/// Calls as fast as the limit allows, and prints when each call ran.
#[tokio::main]
pub(crate) async fn work(url: &str) -> Result<(), Box<dyn Error>> {
    let redis = Redis::open(url)?;
    let is_local = env::var_os("DECOR_FLEET_LOCAL").is_some();
    let on_failure = if is_local { OnFailure::Local { instances: PROCESSES } } else { OnFailure::Closed };
    let limiter = RateLimiter::builder().window(LIMIT, PERIOD).shared(redis.quota("fleet"), on_failure).build();

    let moments = Arc::new(Mutex::new(Vec::new()));
    let end = Instant::now() + LASTS;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (limiter, moments) = (limiter.clone(), moments.clone());
            tokio::spawn(async move {
                let call = || async { moments.lock().unwrap().push(monotonic()) };
                let call = call.rate_limited(&limiter);
                while timeout_at(end, call.call()).await.is_ok() {}
            })
        })
        .collect();
    for task in tasks {
        task.await?;
    }
    let stats = limiter.stats();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} {} {}", stats.asks, stats.lapsed, stats.admitted_alone)?;
    for moment in moments.lock().unwrap().iter() {
        writeln!(out, "{moment}")?;
    }
    Ok(())
}
