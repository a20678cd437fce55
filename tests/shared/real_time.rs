//! A store with a thread of its own, in real time, as a server's client has one. No test asserts a
//! duration.

use decor::{
    Name, OnFailure, RateLimiter,
    shared::{Answer, Ask, Asker, Grant, RunAnswer, SharedQuota},
};
use futures::future::join_all;
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Builder;

/// Grants one call each millisecond.
#[derive(Debug, Clone)]
struct Slow {
    opened: Instant,
    wants: Arc<(Mutex<Wants>, Condvar)>,
}

#[derive(Debug, Default)]
struct Wants {
    askers: BTreeMap<(Duration, u64), Arc<dyn Asker>>,
    number: u64,
}

impl Slow {
    fn open() -> Self {
        let slow = Self { opened: Instant::now(), wants: Arc::default() };
        let its = slow.clone();
        thread::spawn(move || {
            let mut next_due = Duration::ZERO;
            loop {
                let asker = its.next();
                if let Some(ask) = asker.ask() {
                    let answer = its.answer(&ask, &mut next_due);
                    asker.answered(Ok(answer));
                }
            }
        });
        slow
    }

    fn next(&self) -> Arc<dyn Asker> {
        let (wants, has_come) = &*self.wants;
        let mut wants = wants.lock().unwrap();
        loop {
            let now = self.opened.elapsed();
            let left = match wants.askers.first_key_value() {
                Some(((at, _), _)) if *at <= now => return wants.askers.pop_first().unwrap().1,
                Some(((at, _), _)) => at.saturating_sub(now),
                None => Duration::from_secs(60),
            };
            wants = has_come.wait_timeout(wants, left).unwrap().0;
        }
    }

    fn answer(&self, ask: &Ask, next_due: &mut Duration) -> Answer {
        let (now, mut answer) = (self.opened.elapsed(), Answer::new(1));
        for run in &ask.runs {
            let grants = (0..run.calls).map(|_| {
                *next_due = (*next_due).max(now) + Duration::from_millis(1);
                Grant { calls: 1, due: next_due.saturating_sub(now) }
            });
            answer.runs.push(RunAnswer { grants: grants.collect(), next: None });
        }
        answer
    }
}

impl SharedQuota for Slow {
    fn name(&self) -> Name {
        "slow".into()
    }

    fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    fn is_up(&self) -> bool {
        true
    }

    fn want(&self, asker: Arc<dyn Asker>, after: Duration) {
        let (wants, has_come) = &*self.wants;
        let mut wants = wants.lock().unwrap();
        wants.number += 1;
        let key = (self.opened.elapsed() + after, wants.number);
        wants.askers.insert(key, asker);
        has_come.notify_one();
    }

    fn of_key(&self, _: &str) -> Arc<dyn SharedQuota> {
        Arc::new(self.clone())
    }
}

fn limiter() -> RateLimiter {
    let limit = RateLimiter::builder().window(1_000, Duration::from_secs(1));
    limit.shared(Slow::open(), OnFailure::Closed).slack(Duration::from_millis(500)).build()
}

#[test]
fn a_shared_limiter_needs_no_timer_of_the_runtime() {
    let limiter = limiter();
    let runtime = Builder::new_current_thread().build().unwrap(); // without a timer
    runtime.block_on(join_all((0..20).map(|_| limiter.acquire())));
    assert_eq!(limiter.stats().delayed, 20);
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_stands_still_while_calls_wait() {
    let limiter = limiter();
    let begun = tokio::time::Instant::now();
    for _ in 0..5 {
        limiter.acquire().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[test]
fn a_limiter_outlives_its_first_runtime_and_serves_threads_beside_the_second() {
    let limiter = limiter();
    let first = Builder::new_current_thread().build().unwrap();
    let waiting = limiter.clone();
    first.spawn(async move {
        loop {
            waiting.acquire().await;
        }
    });
    first.block_on(limiter.acquire());
    drop(first);
    let second = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let tasks = (0..10).map(|_| {
        let limiter = limiter.clone();
        second.spawn(async move { limiter.acquire().await })
    });
    let tasks = tasks.collect::<Vec<_>>();
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| limiter.acquire_blocking()))));
    second.block_on(join_all(tasks)).into_iter().for_each(|ended| ended.unwrap());
    assert_eq!(limiter.waiting(), 0);
}
