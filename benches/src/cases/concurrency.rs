//! Concurrency limiters with free permits: the limit is so high that no thread uses all permits.

use super::subject::fetch;
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use decor::{ConcurrencyLimiter, prelude::*};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_resilience_bulkhead::BulkheadLayer;

const LIMIT: u32 = 100;

pub(super) fn free() -> Vec<Pair> {
    let limiter = ConcurrencyLimiter::new(LIMIT);
    let around = fetch.concurrency_limited(&limiter);
    let ours_around = Side::awaited(move |id| around.call(id));
    // A permit is owned, and the future that waits for it borrows the limiter.
    let limiter: &'static ConcurrencyLimiter = Box::leak(Box::new(limiter));
    let ours = Side::awaited(move |_| async move { drop(limiter.acquire().await) });

    let limit = LIMIT as usize;
    let semaphore = Arc::new(Semaphore::new(limit));
    let owned = Side::awaited(move |_| {
        let semaphore = Arc::clone(&semaphore);
        async move { drop(semaphore.acquire_owned().await) }
    });
    let limit_layer = Side::service(ServiceBuilder::new().concurrency_limit(limit).service_fn(fetch));
    let bulkhead = BulkheadLayer::builder().max_concurrent_calls(limit).build().expect("the settings are valid");
    let bulkhead = Side::service(ServiceBuilder::new().layer(bulkhead).service_fn(fetch));
    let targets = [Target::Ratio(0.8), Target::NoAllocation];
    vec![
        Pair::new("tokio, owned permit", "none", &ours, owned).target([Target::Ratio(1.0), Target::NoAllocation]),
        Pair::new("tower", "none", &ours_around, limit_layer).target(targets),
        Pair::new("tower-resilience, bulkhead", "none", &ours_around, bulkhead).target(targets),
    ]
}
