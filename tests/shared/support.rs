//! Processes, and a record of the moments at which their calls run.

use decor::{OnFailure, RateLimiter, RateLimiterBuilder, test_util::FakeStore};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn window(limit: u32, period: Duration) -> RateLimiterBuilder {
    RateLimiter::builder().window(limit, period)
}

/// The limiter of a process, which waits while the store is down.
pub(crate) fn closed(limit: RateLimiterBuilder, store: &FakeStore) -> RateLimiter {
    limit.shared(store.quota("github"), OnFailure::Closed).build()
}

/// The moments at which calls ran, of all processes.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    begun: Instant,
    runs: Arc<Mutex<Vec<(Duration, u32)>>>,
}

impl Record {
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), runs: Arc::default() }
    }

    pub(crate) fn note(&self, permits: u32) {
        self.runs.lock().unwrap().push((self.begun.elapsed(), permits));
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The moments, with the number of permits at each.
    pub(crate) fn moments(&self) -> Vec<(u128, u32)> {
        let mut moments: Vec<(u128, u32)> = Vec::new();
        for &(at, permits) in &*self.runs.lock().unwrap() {
            match moments.last_mut() {
                Some((last, sum)) if *last == at.as_millis() => *sum += permits,
                _ => moments.push((at.as_millis(), permits)),
            }
        }
        moments
    }

    pub(crate) fn total(&self) -> u32 {
        self.runs.lock().unwrap().iter().map(|(_, permits)| permits).sum()
    }

    /// The most permits in any stretch that is one period long.
    pub(crate) fn most_in(&self, period: Duration) -> u32 {
        let runs = self.runs.lock().unwrap();
        let within = |first: Duration| runs.iter().filter(move |(at, _)| (first..first + period).contains(at));
        runs.iter().map(|(first, _)| within(*first).map(|(_, permits)| permits).sum()).max().unwrap_or(0)
    }
}

/// Starts tasks that call the limiter all the time.
pub(crate) fn start(tasks: usize, limiter: &RateLimiter, record: &Record) -> Vec<JoinHandle<()>> {
    let one = |_| {
        let (limiter, record) = (limiter.clone(), record.clone());
        tokio::spawn(async move {
            loop {
                limiter.acquire().await;
                record.note(1);
            }
        })
    };
    (0..tasks).map(one).collect()
}

pub(crate) fn abort<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) {
    for task in tasks {
        task.abort();
    }
}
