//! A process of the fleet.

use crate::{KEYS, LASTS, LIMIT, PERIOD, PROCESSES, records::Record};
use decor::{OnFailure, RateLimiter, prelude::*};
use decor_redis::Redis;
use decor_redis_testing::monotonic;
use std::{
    env,
    error::Error,
    io::Write,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

const TASKS: usize = 16;

/// Calls for each key of the memo.
const CALLS: u64 = 10;

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

/// Calls for each key at once, many times, and returns the keys that this process has loaded.
async fn memoized_calls(redis: &Redis) -> Vec<u64> {
    let memo: Memo<u64, String> = Memo::builder().ttl(Duration::from_secs(60)).tier(redis.tier("fleet")).build();
    let loads = Mutex::new(Vec::new());
    let load = |key: u64| {
        loads.lock().unwrap().push(key);
        async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            format!("value {key}")
        }
    };
    let load = load.memoized(&memo);
    let calls = (0..CALLS * KEYS).map(|call| load.call(call % KEYS));
    for (call, value) in (0..).zip(futures::future::join_all(calls).await) {
        assert_eq!(value, format!("value {}", call % KEYS));
    }
    drop(load);
    loads.into_inner().unwrap()
}

/// Calls as fast as the limit allows, and prints when each call ran.
#[tokio::main]
pub(crate) async fn work(url: &str) -> Result<(), Box<dyn Error>> {
    let redis = Redis::open(url)?;
    let is_local = env::var_os("DECOR_FLEET_LOCAL").is_some();
    let on_failure = if is_local { OnFailure::Local { instances: PROCESSES } } else { OnFailure::Closed };
    let limiter = RateLimiter::builder().window(LIMIT, PERIOD).shared(redis.quota("fleet"), on_failure).build();

    let loads = memoized_calls(&redis).await;

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
    let loads: Vec<_> = loads.iter().map(u64::to_string).collect();
    writeln!(out, "{}", loads.join(" "))?;
    for moment in moments.lock().unwrap().iter() {
        writeln!(out, "{moment}")?;
    }
    Ok(())
}
