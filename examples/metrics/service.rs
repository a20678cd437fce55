//! The chain, its handles, and the routes.

use crate::{load, tier::Tier};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use decor::{
    BoxedFn, CircuitState, Error, Hedge, KeyedLimiter, Metering, OnFailure, Transient, metrics::Observer, prelude::*,
    test_util::FakeStore, with_context,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Upper bounds of the buckets of durations, in seconds. Without buckets, the exporter makes
/// summaries, which no query can add up over several processes.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the store is busy")]
    Busy,
    #[error(transparent)]
    Policy(#[from] Error),
}

impl Transient for StoreError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Policy(error) => error.is_transient(),
        }
    }
}

impl StoreError {
    /// The label `error.type`. A few words, however many errors there are.
    fn kind(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Policy(Error::TimedOut { .. }) => "timeout",
            Self::Policy(Error::CircuitOpen { .. }) => "circuit_open",
            Self::Policy(Error::LoadFailed { .. }) => "load_failed",
            Self::Policy(_) => "refused",
        }
    }
}

/// A store that takes some milliseconds. Each seventh load fails. Loads of [`Store::HANGS`] never
/// end.
#[derive(Clone, Default)]
struct Store(Arc<AtomicU64>);

impl Store {
    const HANGS: u64 = 404;

    async fn load(self, id: u64) -> Result<u64, StoreError> {
        let load = self.0.fetch_add(1, Relaxed);
        if id == Self::HANGS {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(1 + load % 20)).await;
        if load % 7 == 6 { Err(StoreError::Busy) } else { Ok(id * id) }
    }
}

/// All handles. The observer has a clone of each.
#[derive(Clone)]
pub(crate) struct Handles {
    pub(crate) per_client: KeyedLimiter<String>,
    pub(crate) store: RateLimiter,
    pub(crate) places: ConcurrencyLimiter,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) hedge: Hedge,
    pub(crate) budget: RetryBudget,
    pub(crate) items: Memo<u64, u64>,
}

impl Handles {
    fn new() -> Self {
        let secs = Duration::from_secs;
        let budget = RetryBudget::new(0.2);
        // Stores in this process stand for a Redis: `decor-redis` has both.
        let (quota, tier) = (FakeStore::new().quota("store"), Tier::default());
        let shared = RateLimiter::builder().window(2_000, secs(1)).shared(quota, OnFailure::Local { instances: 4 });
        Self {
            per_client: KeyedLimiter::new(100, secs(60)),
            store: shared.build(),
            places: ConcurrencyLimiter::new(8),
            breaker: CircuitBreaker::builder().consecutive(20).named("store").build(),
            hedge: Hedge::after(Duration::from_millis(30)).budget(&budget),
            budget,
            items: Memo::builder().ttl(secs(2)).capacity(500).tier(tier).build(),
        }
    }

    fn observer(&self) -> Observer {
        Observer::new()
            .observe("clients", &self.per_client)
            .observe("store", &self.store)
            .observe("store", &self.places)
            .observe("store", &self.breaker)
            .observe("store", &self.hedge)
            .observe("store", &self.budget)
            .observe("items", &self.items)
    }

    /// The handles' own statistics, by the names of their gauges in Prometheus.
    pub(crate) fn gauges(&self) -> Vec<(String, f64)> {
        let Self { per_client, store, places, breaker, hedge, budget, items } = self;
        #[allow(clippy::cast_precision_loss)] // small counts
        let number = |count: usize| count as f64;
        let (concurrency, memo) = (places.stats(), items.stats());
        let count = |count: u64| number(usize::try_from(count).unwrap_or(usize::MAX));
        let yes = |is_so: bool| f64::from(u8::from(is_so));
        let mut gauges = vec![
            (r#"rate_limiter_keys{name="clients"}"#, number(per_client.len())),
            (r#"rate_limiter_waiting{name="clients"}"#, number(per_client.stats().waiting)),
            (r#"rate_limiter_waiting{name="store"}"#, number(store.waiting())),
            (r#"rate_limiter_available{name="store",window="1"}"#, store.available().into()),
            (r#"rate_limiter_store_up{name="store"}"#, yes(store.stats().is_up)),
            (r#"concurrency_limiter_waiting{name="store"}"#, number(concurrency.waiting)),
            (r#"concurrency_limiter_in_use{name="store"}"#, concurrency.in_use.into()),
            (r#"concurrency_limiter_limit{name="store"}"#, concurrency.limit.into()),
            (r#"retry_budget_balance{name="store"}"#, budget.stats().balance),
            (r#"hedge_delay_seconds{name="store"}"#, hedge.stats().delay.map_or(0.0, |delay| delay.as_secs_f64())),
            (r#"memo_entries{name="items"}"#, count(memo.entries)),
            (r#"memo_loading{name="items"}"#, count(memo.loading)),
            (r#"memo_tier_up{name="items"}"#, yes(memo.tier_is_up)),
        ]
        .into_iter()
        .map(|(series, value)| (format!("decor_{series}"), value))
        .collect::<Vec<_>>();
        let now = breaker.state();
        for state in [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen, CircuitState::Isolated] {
            let series = format!(r#"decor_circuit_breaker_state{{name="store",state="{state}"}}"#);
            gauges.push((series, yes(state == now)));
        }
        gauges
    }
}

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) handles: Handles,
    observer: Observer,
    page: PrometheusHandle,
    item: BoxedFn<(u64,), Result<u64, StoreError>>,
}

impl Service {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let page = PrometheusBuilder::new()
            .with_recommended_naming(true) // `_seconds`, `_total`
            .set_buckets_for_metric(Matcher::Full("decor.call.duration".to_owned()), &BUCKETS)?
            .install_recorder()?;
        let upkeep = page.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(5)).await;
                upkeep.run_upkeep(); // or the durations pile up until the page is asked for
            }
        });
        let handles = Handles::new();
        Ok(Self { observer: handles.observer(), item: item(&handles), page, handles })
    }

    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/items/{id}", get(get_item))
            .route("/metrics", get(async |State(service): State<Self>| service.metrics()))
            .route("/stats", get(async |State(service): State<Self>| Json(service.stats())))
            .with_state(self.clone())
    }

    pub(crate) fn metrics(&self) -> String {
        self.observer.collect();
        self.page.render()
    }

    fn stats(&self) -> Value {
        let gauges: serde_json::Map<_, _> =
            self.handles.gauges().into_iter().map(|(series, value)| (series, value.into())).collect();
        json!({ "gauges": gauges, "under_load": load::is_running() })
    }
}

/// The chain. If the store hangs, every caller has its error after 1 s.
fn item(handles: &Handles) -> BoxedFn<(u64,), Result<u64, StoreError>> {
    let Handles { store, places, breaker, hedge, budget, items, .. } = handles;
    let attempts = Metering::new("store").by_result().error_type(StoreError::kind).label("server.address", "store");
    let calls = Metering::new("item").by_result().error_type(StoreError::kind);
    with_context(Store::default(), Store::load)
        .named("load")
        .timeout(Duration::from_millis(100)) // limit of each attempt
        .traced("store")
        .metered_with(attempts)
        .guarded_by(breaker)
        .rate_limited(store)
        .concurrency_limited(places)
        .unless_open(breaker)
        .hedged(hedge)
        .retry_with(RetryPolicy::exponential(Duration::from_millis(10)))
        .transient()
        .budgeted(budget)
        .memoized(items)
        .timeout(Duration::from_secs(1)) // limit of each caller
        .traced("item")
        .metered_with(calls)
        .boxed()
}

async fn get_item(
    State(service): State<Service>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<String, (StatusCode, String)> {
    let client = headers.get("x-client").and_then(|client| client.to_str().ok()).unwrap_or("none");
    let limiter = service.handles.per_client.for_key(client);
    limiter.try_acquire().map_err(|error| (StatusCode::TOO_MANY_REQUESTS, error.to_string()))?;
    let item = service.item.call(id).await;
    item.map(|item| item.to_string()).map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))
}
