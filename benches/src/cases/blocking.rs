//! Sync functions.

use super::subject::{DELAY, read};
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use backon::BlockingRetryable;
use decor::prelude::*;

pub(super) fn ok() -> Vec<Pair> {
    let retried = read.blocking().retry_with(RetryPolicy::exponential(DELAY));
    let ours = Side::called(move |id| retried.call(id));
    let backoff = backon::ExponentialBuilder::default().with_min_delay(DELAY).with_max_times(2);
    let backon = Side::called(move |id| (|| read(id)).retry(backoff).call());
    let retry = Side::called(|id| {
        let delays = retry::delay::Exponential::from_millis(100).take(2);
        retry::retry(delays, || read(id))
    });
    vec![
        Pair::new("bare call", "none", &ours, Side::called(read)).target([Target::Plus(1.0)]),
        Pair::new("backon", "none", &ours, backon),
        Pair::new("retry", "none", &ours, retry),
    ]
}
