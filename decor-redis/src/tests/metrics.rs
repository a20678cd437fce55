//! The metrics of a store.

use super::failures::Limiter;
use crate::Redis;
use decor::metrics::Observer;
use decor_redis_testing::{Server, skip};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::{collections::BTreeMap, time::Duration};

/// The values by the name of the metric, with the label `outcome`.
fn collected(observer: &Observer) -> BTreeMap<String, f64> {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || observer.collect());
    let metrics = recorder.snapshotter().snapshot().into_vec();
    let metric = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
        let labels = key.key().labels().map(|label| (label.key(), label.value())).collect::<BTreeMap<_, _>>();
        assert_eq!(labels["name"], "limits");
        let outcome = labels.get("outcome").map_or(String::new(), |outcome| format!(" {outcome}"));
        let value = match value {
            DebugValue::Counter(count) => f64::from(u32::try_from(count).unwrap()),
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(_) => panic!("a histogram"),
        };
        (format!("{}{outcome}", key.key().name()), value)
    };
    metrics.into_iter().map(metric).collect()
}

#[test]
fn a_store_has_metrics() {
    let Some(mut server) = Server::start(&[]) else { return skip("a_store_has_metrics") };
    let redis = Redis::builder(server.url()).timeout(Duration::from_secs(10)).build();
    let observer = Observer::new().observe("limits", &redis);
    let metrics = collected(&observer);
    assert_eq!((metrics["decor.redis.up"], metrics.get("decor.redis.round_trip")), (1.0, None));

    let limiter = Limiter::new(&redis, "metrics");
    (0..3).for_each(|_| drop(limiter.call().unwrap()));
    server.kill();
    limiter.error();
    limiter.error();
    let mut metrics = collected(&observer);
    let round_trip = metrics.remove("decor.redis.round_trip").unwrap();
    assert!((1e-6..10.0).contains(&round_trip), "{round_trip}");
    let expected = [
        ("decor.redis.connections", 1.0),
        ("decor.redis.losses", 1.0),
        ("decor.redis.requests answered", 3.0),
        ("decor.redis.requests failed", 2.0),
        ("decor.redis.scripts", 1.0),
        ("decor.redis.up", 0.0),
    ];
    assert_eq!(metrics, expected.map(|(name, value)| (name.to_owned(), value)).into());
}
