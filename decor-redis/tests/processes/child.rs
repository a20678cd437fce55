//! A process that shares a limit: its settings, its start, and what it does.

use crate::log::Log;
use decor::{Error, OnFailure, RateLimiter};
use decor_redis::Redis;
use decor_redis_testing::{go_on, monotonic, stop};
use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// The work of a process. Passed on as one line in the environment.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) url: String,
    /// Limits and periods in milliseconds.
    pub(crate) windows: Vec<(u32, u64)>,
    pub(crate) tasks: usize,
    pub(crate) lease: u32,
    /// Shortest hold, in milliseconds.
    pub(crate) slack: u64,
    /// `true` if calls take different numbers of permits.
    pub(crate) weighted: bool,
    /// Number of processes; `None` for [`OnFailure::Closed`].
    pub(crate) local: Option<u32>,
    pub(crate) lasts: Duration,
}

impl Work {
    pub(crate) fn new(url: String, windows: &[(u32, u64)]) -> Self {
        let lasts = Duration::from_secs(5);
        Self { url, windows: windows.to_vec(), tasks: 64, lease: 0, slack: 20, weighted: false, local: None, lasts }
    }

    fn to_text(&self) -> String {
        let Self { url, windows, tasks, lease, slack, weighted, local, lasts } = self;
        let windows: Vec<_> = windows.iter().map(|(limit, period)| format!("{limit}/{period}")).collect();
        let (windows, lasts) = (windows.join(","), lasts.as_millis());
        let (weighted, local) = (u8::from(*weighted), local.unwrap_or_default());
        format!("{url} {windows} {tasks} {lease} {slack} {weighted} {local} {lasts}")
    }

    fn of_text(text: &str) -> Self {
        let words: Vec<_> = text.split(' ').collect();
        let [url, windows, tasks, lease, slack, weighted, local, lasts] = words[..] else { panic!("{text}") };
        let window = |text: &str| {
            let (limit, period) = text.split_once('/').unwrap();
            (limit.parse().unwrap(), period.parse().unwrap())
        };
        Self {
            url: url.into(),
            windows: windows.split(',').map(window).collect(),
            tasks: tasks.parse().unwrap(),
            lease: lease.parse().unwrap(),
            slack: slack.parse().unwrap(),
            weighted: weighted == "1",
            local: Some(local.parse().unwrap()).filter(|instances| *instances > 0),
            lasts: Duration::from_millis(lasts.parse().unwrap()),
        }
    }

    fn limiter(&self) -> RateLimiter {
        let redis = Redis::open(&self.url).unwrap();
        let on_failure = self.local.map_or(OnFailure::Closed, |instances| OnFailure::Local { instances });
        let windows = self.windows.iter().map(|(limit, period)| (*limit, Duration::from_millis(*period)));
        windows
            .fold(RateLimiter::builder(), |builder, (limit, period)| builder.window(limit, period))
            .shared(redis.quota("shared"), on_failure)
            .slack(Duration::from_millis(self.slack))
            .lease(self.lease)
            .build()
    }

    /// Starts a process that does this work.
    pub(crate) fn start(&self) -> Process {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("decor-redis-{}-{number}", std::process::id()));
        let child = Command::new(env::current_exe().unwrap())
            .args(["child::works", "--exact", "--ignored"])
            .env("DECOR_REDIS_WORK", self.to_text())
            .env("DECOR_REDIS_LOG", &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Process { child, path }
    }

    /// Starts several processes, and returns the log of each once they have ended.
    pub(crate) fn run(&self, processes: usize) -> Vec<Log> {
        let processes: Vec<_> = (0..processes).map(|_| self.start()).collect();
        processes.into_iter().map(Process::end).collect()
    }
}

/// A process at work. Killed if it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    path: PathBuf,
}

impl Process {
    pub(crate) fn stop(&self) {
        stop(self.child.id());
    }

    pub(crate) fn go_on(&self) {
        go_on(self.child.id());
    }

    /// Waits for the end, and returns what the process noted.
    pub(crate) fn end(mut self) -> Log {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        Log::of_bytes(&fs::read(&self.path).unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.path);
    }
}

/// The work of a process. No test: does nothing unless a test has started it.
#[test]
#[ignore = "started by the other tests"]
fn works() {
    let (Ok(work), Some(path)) = (env::var("DECOR_REDIS_WORK"), env::var_os("DECOR_REDIS_LOG")) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let log = runtime.block_on(run(Work::of_text(&work)));
    fs::write(path, log.to_bytes()).unwrap();
}

async fn acquire(limiter: &RateLimiter, permits: [usize; 2], windows: usize) -> Result<(), Error> {
    if windows == 2 { limiter.acquire_many(permits).await } else { limiter.acquire_many(permits[0]).await }
}

async fn run(work: Work) -> Log {
    let limiter = work.limiter();
    let end = Instant::now() + work.lasts;
    let logs = std::sync::Arc::new(Mutex::new(Log::default()));
    let tasks: Vec<_> = (0..work.tasks)
        .map(|task| {
            let (limiter, logs, windows, weighted) = (limiter.clone(), logs.clone(), work.windows.len(), work.weighted);
            tokio::spawn(async move {
                let mut log = Log::default();
                for call in task.. {
                    // 1, 2 or 3 in the first window, up to 20 in the second.
                    let permits = if weighted { [1 + call % 3, 1 + call * 7 % 20] } else { [1, 1] };
                    match timeout_at(end, acquire(&limiter, permits, windows)).await {
                        Ok(Ok(())) => {
                            let at = monotonic();
                            log.add(at, permits.map(|permits| u32::try_from(permits).unwrap()));
                        }
                        // The store is down: what cannot fail would wait.
                        Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
                        Err(_) => break,
                    }
                }
                logs.lock().unwrap().append(&log);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    std::mem::take(&mut *logs.lock().unwrap())
}
