//! A retry with a budget, and a limit that the call can ask for.

use super::subject::{DELAY, SECOND, fetch};
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use decor::prelude::*;
use std::{
    future::{Ready, ready},
    io,
    sync::Arc,
    time::Duration,
};
use tokio::time::{self, Instant};
use tower::{
    ServiceBuilder,
    retry::{
        Policy,
        budget::{Budget, TpsBudget},
    },
};

/// The policy of tower's documentation, with a budget.
#[derive(Debug, Clone)]
struct Attempts {
    left: u32,
    budget: Arc<TpsBudget>,
}

impl Policy<u64, u64, io::Error> for Attempts {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, io::Error>) -> Option<Ready<()>> {
        if result.is_ok() {
            self.budget.deposit();
            return None;
        }
        if self.left == 0 || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, id: &u64) -> Option<u64> {
        Some(*id)
    }
}

/// A budget that is full, as most are.
pub(super) fn full() -> Vec<Pair> {
    beside_peers(&RetryBudget::new(0.1))
}

/// A budget that each success fills a little.
pub(super) fn filling() -> Vec<Pair> {
    let budget = RetryBudget::new(0.000_001).capacity(u32::MAX);
    let fail = (|| ready(Err::<(), _>(()))).retry_with(RetryPolicy::fixed(Duration::ZERO).max_attempts(2));
    let fail = fail.budgeted(&budget);
    // A thousand retries take a billion successes to pay for.
    for _ in 0..1_000 {
        let _ = futures::executor::block_on(fail.call());
    }
    beside_peers(&budget)
}

fn beside_peers(budget: &RetryBudget) -> Vec<Pair> {
    let policy = RetryPolicy::exponential(DELAY);
    let budgeted = fetch.retry_with(&policy).budgeted(budget);
    let ours = Side::awaited(move |id| budgeted.call(id));
    let plain = fetch.retry_with(policy);
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.1));
    let tower = ServiceBuilder::new().retry(Attempts { left: 2, budget }).service_fn(fetch);
    vec![
        Pair::new("decor without a budget", "none", &ours, Side::awaited(move |id| plain.call(id)))
            .target([Target::Plus(9.0), Target::NoAllocation]),
        Pair::new("tower", "none / std", &ours, Side::service(tower)).target([Target::Ratio(1.0)]),
    ]
}

tokio::task_local! {
    static END: Instant;
}

/// A limit that the call does not ask for.
pub(super) fn limit() -> Vec<Pair> {
    let bounded = fetch.timeout(SECOND);
    let ours = Side::awaited(move |id| bounded.call(id));
    let scoped = Side::awaited(|id| END.scope(Instant::now() + SECOND, time::timeout(SECOND, fetch(id))));
    vec![Pair::new("tokio with task_local", "none / tokio", &ours, scoped).target([Target::Ratio(0.3)])]
}

/// A limit within a limit.
pub(super) fn nested() -> Vec<Pair> {
    let bounded = fetch.timeout(SECOND).timeout(2 * SECOND);
    let ours = Side::awaited(move |id| bounded.call(id));
    let single = fetch.timeout(SECOND);
    let single = Side::awaited(move |id| single.call(id));
    vec![Pair::new("decor with one limit", "none", &ours, single).target([Target::Plus(15.0)])]
}
