//! A row of the table: calls for some seconds, and what they took.

use crate::{LASTS, client::Client};
use decor::{Memo, OnFailure, RateLimiter};
use decor_redis::Redis;
use decor_redis_testing::{Server, monotonic};
use std::{
    env,
    error::Error,
    future::Future,
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);

/// Limit of the rows that measure the limiter, and no wait for the limit.
const NO_LIMIT: u32 = 100_000_000;

#[derive(Debug)]
pub(crate) struct Row {
    calls: u64,
    took: Duration,
    pub(crate) p50: Duration,
    /// Requests per call.
    requests: f64,
    /// Time of the server per script.
    server: f64,
}

#[allow(clippy::cast_precision_loss)]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b.max(1) as f64
}

impl Row {
    pub(crate) fn head() {
        println!("{:42} {:>10} {:>9} {:>14} {:>14}", "", "calls/s", "p50 us", "requests/call", "server us/req");
    }

    pub(crate) fn print(&self, name: &str) {
        let rate = ratio(self.calls, 1) / self.took.as_secs_f64();
        let p50 = self.p50.as_secs_f64() * 1e6;
        println!("{name:42} {rate:10.0} {p50:9.1} {:14.4} {:14.1}", self.requests, self.server);
    }
}

/// Number of scripts that the server has run, and the microseconds that they took.
fn scripts(server: &Server) -> (u64, u64) {
    let stats = server.command(&["INFO", "commandstats"]);
    let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap_or_default();
    let number = |name: &str| {
        let (_, rest) = line.split_once(name)?;
        rest.split(',').next()?.parse().ok()
    };
    (number("calls=").unwrap_or(0), number("usec=").unwrap_or(0))
}

/// Calls from some tasks for some seconds, and takes the time of each call.
fn measure<C, F>(server: &Server, tasks: usize, call: impl FnOnce() -> C) -> Row
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let call = call();
    let before = scripts(server);
    let begun = Instant::now();
    let mut times = tokio::runtime::Handle::current().block_on(async {
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let call = call.clone();
                tokio::spawn(async move {
                    let (mut times, mut now) = (Vec::new(), Instant::now());
                    while begun.elapsed() < LASTS {
                        call().await;
                        let next = Instant::now();
                        times.push(next - now);
                        now = next;
                    }
                    times
                })
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap_or_default());
        }
        times
    });
    let took = begun.elapsed();
    let after = scripts(server);
    times.sort_unstable();
    let (requests, micros) = (after.0 - before.0, after.1 - before.1);
    let calls = times.len() as u64;
    let p50 = times.get(times.len() / 2).copied().unwrap_or_default();
    Row { calls, took, p50, requests: ratio(requests, calls), server: ratio(micros, requests) }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// A script, once per call. Its reply has some lines.
fn script_per_call(
    server: &Server,
    tasks: usize,
    script: &str,
    arguments: &[&str],
    lines: usize,
) -> Result<Row, Box<dyn Error>> {
    let runtime = runtime()?;
    let _guard = runtime.enter();
    let client = runtime.block_on(Client::connect(server.port(), script, arguments, lines))?;
    Ok(measure(server, tasks, || {
        move || {
            let client = client.clone();
            async move { client.call().await }
        }
    }))
}

pub(crate) fn redis_rate(server: &Server, tasks: usize) -> Result<Row, Box<dyn Error>> {
    let limit = NO_LIMIT.to_string();
    let arguments = ["1", "rate", &limit, &limit, "1", "1"];
    // The array, two integers, and two strings of two lines each.
    script_per_call(server, tasks, include_str!("redis_rate.lua"), &arguments, 7)
}

/// The script of a shared limiter with one window, without the limiter.
pub(crate) fn bare(server: &Server) -> Result<Row, Box<dyn Error>> {
    let script = concat!(include_str!("../../src/lua/ground.lua"), include_str!("../../src/lua/windows.lua"));
    let limit = NO_LIMIT.to_string();
    let keys = ["2", "{decor:bare}:s", "{decor:bare}:w0:1000000"];
    // No epoch known, a new one, hold, reach, span, grace, no pause, no charges, one run.
    let times = ["", "7", "20000", "10000000", "20000", "250000", "", "0", "1"];
    // The quota, no refund, and a run of one call for one permit.
    let quota = [limit.as_str(), "1000000", "0", "1", "-1", "1"];
    // The array, the epoch of two lines, and six integers.
    script_per_call(server, 1, script, &[&keys[..], &times, &quota].concat(), 9)
}

/// Values of another process: each call finds a further one in the tier.
pub(crate) fn tier_hits(server: &Server) -> Result<Row, Box<dyn Error>> {
    const KEYS: u64 = 5_000;
    let memo = || -> Result<Memo<u64, String>, Box<dyn Error>> {
        let redis = Redis::builder(server.url()).timeout(SECOND).try_build()?;
        Ok(Memo::builder().ttl(60 * SECOND).tier(redis.tier("throughput")).build())
    };
    let (writes, reads) = (memo()?, memo()?);
    runtime()?.block_on(async {
        (0..KEYS).for_each(|key| writes.insert(key, format!("value {key}")));
        writes.settled().await?;
        let (begun, mut times) = (Instant::now(), Vec::new());
        for key in 0..KEYS {
            let now = Instant::now();
            let value = reads.get_or_load(key, || std::future::ready(String::new())).await;
            times.push(now.elapsed());
            if value.is_empty() {
                return Err("a value is missing".into());
            }
        }
        times.sort_unstable();
        let p50 = times[times.len() / 2];
        Ok(Row { calls: KEYS, took: begun.elapsed(), p50, requests: 1.0, server: 0.0 })
    })
}

/// Prints the server's memory for each of many limits with a few calls.
pub(crate) fn memory(server: &Server) -> Result<(), Box<dyn Error>> {
    const KEYS: u32 = 2_000;
    let used = || {
        let info = server.command(&["INFO", "memory"]);
        info.lines().find_map(|line| line.strip_prefix("used_memory:")?.parse::<u64>().ok()).unwrap_or_default()
    };
    let redis = Redis::builder(server.url()).timeout(SECOND).try_build()?;
    let before = used();
    runtime()?.block_on(async {
        for key in 0..KEYS {
            let builder = RateLimiter::builder().window(100, 60 * SECOND);
            let limiter = builder.shared(redis.quota(format!("user:{key}")), OnFailure::Closed).try_build()?;
            for _ in 0..3 {
                limiter.acquire().await;
            }
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    println!("memory of a limit with 3 calls: {} bytes", used().saturating_sub(before) / u64::from(KEYS));
    Ok(())
}

/// A shared limiter under load.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) url: String,
    pub(crate) limit: u32,
    /// Number of windows; 0 for even spacing.
    pub(crate) windows: u32,
    pub(crate) tasks: usize,
    pub(crate) lease: u32,
}

impl Shared {
    pub(crate) fn new(url: String) -> Self {
        Self { url, limit: NO_LIMIT, windows: 1, tasks: 1, lease: 0 }
    }

    fn to_text(&self) -> String {
        let Self { url, limit, windows, tasks, lease } = self;
        format!("{url} {limit} {windows} {tasks} {lease}")
    }

    pub(crate) fn of_text(text: &str) -> Result<Self, Box<dyn Error>> {
        let words: Vec<_> = text.split(' ').collect();
        let [url, limit, windows, tasks, lease] = words[..] else { return Err("other words".into()) };
        let (url, limit, windows) = (url.into(), limit.parse()?, windows.parse()?);
        Ok(Self { url, limit, windows, tasks: tasks.parse()?, lease: lease.parse()? })
    }

    fn limiter(&self) -> Result<RateLimiter, Box<dyn Error>> {
        let redis = Redis::builder(&self.url).timeout(SECOND).try_build()?;
        let builder = match self.windows {
            0 => RateLimiter::builder().paced(self.limit, SECOND).burst(self.limit),
            1 => RateLimiter::builder().window(self.limit, SECOND),
            _ => RateLimiter::builder().window(self.limit, SECOND).window(self.limit, 60 * SECOND),
        };
        let name = format!("limit {}", self.to_text().replace(&self.url, ""));
        Ok(builder.shared(redis.quota(name), OnFailure::Closed).lease(self.lease).try_build()?)
    }

    pub(crate) fn run(&self, server: &Server) -> Result<Row, Box<dyn Error>> {
        let runtime = runtime()?;
        let _guard = runtime.enter();
        let limiter = self.limiter()?;
        Ok(measure(server, self.tasks, || {
            move || {
                let limiter = limiter.clone();
                async move { limiter.acquire().await }
            }
        }))
    }

    /// The work of one of two processes: prints the moment of each call.
    pub(crate) fn work(&self) -> Result<(), Box<dyn Error>> {
        let limiter = self.limiter()?;
        let end = Instant::now() + LASTS;
        let mut moments = runtime()?.block_on(async {
            let tasks: Vec<_> = (0..self.tasks)
                .map(|_| {
                    let limiter = limiter.clone();
                    tokio::spawn(async move {
                        let mut moments = Vec::new();
                        while Instant::now() < end {
                            limiter.acquire().await;
                            moments.push(monotonic());
                        }
                        moments
                    })
                })
                .collect();
            let mut moments = Vec::new();
            for task in tasks {
                moments.extend(task.await.unwrap_or_default());
            }
            moments
        });
        moments.sort_unstable();
        let bytes: Vec<u8> = moments.into_iter().flat_map(u64::to_le_bytes).collect();
        Ok(std::io::stdout().write_all(&bytes)?)
    }

    /// Two processes: the share of the limit that they use, and the most calls in any window.
    pub(crate) fn run_two(&self) -> Result<(), Box<dyn Error>> {
        let start = || {
            Command::new(env::current_exe()?)
                .env("DECOR_THROUGHPUT_WORKER", self.to_text())
                .stdout(Stdio::piped())
                .spawn()
        };
        let mut moments = Vec::new();
        // Both write more than a pipe holds, so both are read at once.
        let workers = [start()?, start()?].map(|child| std::thread::spawn(|| child.wait_with_output()));
        for worker in workers {
            let output = worker.join().map_err(|_| "a thread has panicked")??.stdout;
            moments
                .extend(output.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default())));
        }
        moments.sort_unstable();
        let (mut most, mut oldest) = (0, 0);
        for (n, moment) in moments.iter().enumerate() {
            while moments[oldest] + 1_000_000_000 <= *moment {
                oldest += 1;
            }
            most = most.max(n + 1 - oldest);
        }
        let took = moments.last().zip(moments.first()).map_or(1, |(last, first)| last - first);
        let rate = ratio(moments.len() as u64, took) * 1e9;
        println!("{:42} {rate:10.0}", "2 processes, 400,000 per 1 s, lease 1000");
        println!("most calls in any window: {most} of {}", self.limit);
        if most > self.limit as usize {
            return Err("a window was exceeded".into());
        }
        Ok(())
    }
}
