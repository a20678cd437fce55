//! Retries without delays.

use super::subject::{DELAY, fetch, fetch_third};
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use backon::Retryable;
use decor::prelude::*;
use std::{
    future::{Ready, ready},
    io,
    time::Duration,
};
use tokio_retry2::{Retry, RetryError, strategy};
use tower::{ServiceBuilder, retry::Policy};

/// At most the time of each peer.
const FASTEST: Target = Target::Ratio(1.0);

/// The policy of tower's documentation: the number of retries left.
#[derive(Debug, Clone)]
struct Attempts(u32);

impl Policy<u64, u64, io::Error> for Attempts {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, io::Error>) -> Option<Ready<()>> {
        if result.is_ok() || self.0 == 0 {
            return None;
        }
        self.0 -= 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, id: &u64) -> Option<u64> {
        Some(*id)
    }
}

pub(super) fn ok() -> Vec<Pair> {
    let retried = fetch.retry_with(RetryPolicy::exponential(DELAY));
    let ours = Side::awaited(move |id| retried.call(id));

    let backoff = backon::ExponentialBuilder::default().with_min_delay(DELAY).with_max_times(2);
    let backon = Side::awaited(move |id| (move || fetch(id)).retry(backoff).into_future());
    let tower = Side::service(ServiceBuilder::new().retry(Attempts(2)).service_fn(fetch));
    let tokio_retry2 = Side::awaited(|id| {
        let delays = strategy::ExponentialBackoff::from_millis(2).factor(50).take(2);
        Retry::spawn(delays, move || async move { fetch(id).await.map_err(RetryError::transient) })
    });
    vec![
        Pair::new("bare call", "none", &ours, Side::awaited(fetch)).target([Target::NoAllocation]),
        Pair::new("tower", "none", &ours, tower).target([Target::Ratio(1.15)]),
        #[cfg(feature = "tryhard")]
        Pair::new("tryhard", "none", &ours, {
            let retried = |id| tryhard::retry_fn(move || fetch(id)).retries(2).exponential_backoff(DELAY);
            Side::awaited(move |id| retried(id).into_future())
        })
        .target([FASTEST]),
        Pair::new("tokio-retry2", "none", &ours, tokio_retry2).target([FASTEST]),
        Pair::new("backon", "none", &ours, backon).target([FASTEST, Target::Future(0.5)]),
    ]
}

pub(super) fn three() -> Vec<Pair> {
    let retried = fetch_third.retry_with(RetryPolicy::fixed(Duration::ZERO));
    let ours = Side::awaited(move |id| retried.call(id));

    let backoff = backon::ConstantBuilder::default().with_delay(Duration::ZERO).with_max_times(2);
    let backon = Side::awaited(move |id| (move || fetch_third(id)).retry(backoff).into_future());
    let tokio_retry2 = Side::awaited(|id| {
        let delays = strategy::FixedInterval::from_millis(0).take(2);
        Retry::spawn(delays, move || async move { fetch_third(id).await.map_err(RetryError::transient) })
    });
    vec![
        Pair::new("tokio-retry2", "none / tokio", &ours, tokio_retry2).target([FASTEST]),
        Pair::new("backon", "none / tokio", &ours, backon).target([FASTEST]),
    ]
}
