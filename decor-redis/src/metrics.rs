//! The metrics of a store.

use crate::{Redis, RedisStats};
use decor::metrics::{Metric, Observe, Report};

const UP: Metric = Metric::count("decor.redis.up", "1 if the server takes writes, 0 while it is down.");
const REQUESTS: Metric = Metric::count("decor.redis.requests", "Requests of limiters by their end.");
const CONNECTIONS: Metric = Metric::count("decor.redis.connections", "Connections that were made.");
const LOSSES: Metric = Metric::count("decor.redis.losses", "Number of times that a server went down.");
const SCRIPTS: Metric = Metric::count("decor.redis.scripts", "Scripts that the server did not know.");
const ROUND_TRIP: Metric = Metric::seconds("decor.redis.round_trip", "Time from the last request to its answer.");

/// With the feature `metrics`, for [`Observer`](decor::metrics::Observer). All metrics have the
/// label `name`.
///
/// | metric | kind | further labels | meaning |
/// |---|---|---|---|
/// | `decor.redis.up` | gauge | | 1, or 0 while a server is down |
/// | `decor.redis.requests` | counter | `outcome`: `answered`, `failed` | requests of limiters by their end |
/// | `decor.redis.connections` | counter | | connections that were made |
/// | `decor.redis.losses` | counter | | times at which a server went down |
/// | `decor.redis.scripts` | counter | | scripts that the server did not know |
/// | `decor.redis.round_trip` | gauge, seconds | | time from the last request to its answer; not before the first |
///
/// # Examples
///
/// ```
/// use decor::metrics::Observer;
/// use decor_redis::Redis;
/// use metrics_util::debugging::{DebugValue, DebuggingRecorder};
///
/// let redis = Redis::open("redis://127.0.0.1")?;
/// let observer = Observer::new().observe("limits", &redis);
///
/// let recorder = DebuggingRecorder::new();
/// metrics::with_local_recorder(&recorder, || observer.collect());
/// let metrics = recorder.snapshotter().snapshot().into_vec();
/// let up = metrics.iter().find(|(key, ..)| key.key().name() == "decor.redis.up");
/// assert_eq!(up.unwrap().3, DebugValue::Gauge(1.0.into()));
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl Observe for Redis {
    const KIND: &'static str = "redis";

    fn report(&self, report: &mut Report<'_>) {
        let RedisStats { is_up, requests, failed, connections, losses, scripts, round_trip } = self.stats();
        report.gauge(UP, &[], f64::from(u8::from(is_up)));
        for (outcome, count) in [("answered", requests), ("failed", failed)] {
            report.counter(REQUESTS, &[("outcome", outcome)], count);
        }
        report.counter(CONNECTIONS, &[], connections);
        report.counter(LOSSES, &[], losses);
        report.counter(SCRIPTS, &[], scripts);
        if requests > 0 {
            report.gauge(ROUND_TRIP, &[], round_trip.as_secs_f64());
        }
    }
}
