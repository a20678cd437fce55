//! `.metered`: each call is recorded once, whatever its end.

use super::{
    ms, paused,
    recorder::{Kept, Value},
};
use decor::{
    Error, Metering,
    prelude::*,
    test_util::{self, VirtualClock},
};
use metrics::{Counter, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::{
    cell::Cell,
    future::{Future, pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::sleep;

fn poll<F: Future + ?Sized>(call: &mut Pin<Box<F>>) -> Poll<F::Output> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

const ACTIVE: &str = "decor.call.active{name=fetch}";

fn durations<const N: usize>(expected: [(&str, &[f64]); N]) -> Vec<(String, Vec<f64>)> {
    expected.into_iter().map(|(labels, values)| (labels.to_owned(), values.to_vec())).collect()
}

#[test]
fn a_call_is_active_until_its_end_and_its_duration_is_recorded_in_seconds() {
    let kept = Kept::default();
    let _guard = kept.install();
    let fetch = (async |millis: u64| sleep(ms(millis)).await).metered("fetch");
    paused().block_on(async {
        let (mut first, mut second) = (Box::pin(fetch.call(250)), Box::pin(fetch.call(1_500)));
        assert!(kept.all().is_empty());
        let _ = (poll(&mut first), poll(&mut second));
        assert_eq!(kept.gauge(ACTIVE), 2.0);
        first.as_mut().await;
        // The future is not dropped yet.
        assert_eq!(kept.gauge(ACTIVE), 1.0);
        second.await;
    });
    assert_eq!(kept.gauge(ACTIVE), 0.0);
    assert_eq!(kept.durations("fetch"), durations([("outcome=completed", &[0.25, 1.5])]));
}

#[test]
fn results_are_told_apart_on_request() {
    let kept = Kept::default();
    let _guard = kept.install();
    let fetch = (async |id: u64| if id == 42 { Ok(id) } else { Err("no such user") })
        .metered_with(Metering::new("fetch").by_result());
    let _ = paused().block_on(async { (fetch.call(42).await, fetch.call(7).await, fetch.call(42).await) });
    assert_eq!(kept.durations("fetch"), durations([("outcome=err", &[0.0]), ("outcome=ok", &[0.0, 0.0])]));
}

#[test]
fn a_dropped_call_is_recorded_once() {
    let kept = Kept::default();
    let _guard = kept.install();
    let hang = (async |_: u64| pending::<()>().await).metered("fetch");
    drop(hang.call(1));
    assert!(kept.all().is_empty(), "a call that was never polled");
    let mut call = Box::pin(hang.call(2));
    let _ = poll(&mut call);
    assert_eq!(kept.gauge(ACTIVE), 1.0);
    drop(call);
    assert_eq!(kept.gauge(ACTIVE), 0.0);
    let [(labels, recorded)] = &kept.durations("fetch")[..] else { panic!("one outcome") };
    assert_eq!((&**labels, recorded.len()), ("outcome=cancelled", 1));
}

#[test]
fn a_call_that_panics_is_recorded_once() {
    let kept = Kept::default();
    let _guard = kept.install();
    let broken = (async |_: u64| -> () { panic!("broken") }).metered("fetch");
    catch_unwind(AssertUnwindSafe(|| paused().block_on(broken.call(1)))).unwrap_err();
    assert_eq!(kept.gauge(ACTIVE), 0.0);
    assert_eq!(kept.durations("fetch"), durations([("outcome=panicked", &[0.0])]));

    let broken = (|_: u64| -> () { panic!("broken") }).blocking().metered("load");
    let _clock = VirtualClock::start();
    catch_unwind(AssertUnwindSafe(|| broken.call(1))).unwrap_err();
    assert_eq!(kept.gauge("decor.call.active{name=load}"), 0.0);
    assert_eq!(kept.durations("load"), durations([("outcome=panicked", &[0.0])]));
}

/// A closure that panics is a mistake of the user. The gauge does not keep it.
#[test]
fn a_type_of_error_that_panics_leaves_no_active_call() {
    let kept = Kept::default();
    let _guard = kept.install();
    let metering = Metering::new("fetch").by_result().error_type(|_: &&str| panic!("no type"));
    let fetch = (async |_: u64| Err::<(), _>("busy")).metered_with(metering);
    catch_unwind(AssertUnwindSafe(|| paused().block_on(fetch.call(1)))).unwrap_err();
    assert_eq!(kept.gauge(ACTIVE), 0.0);
}

fn kind(error: &Error) -> &'static str {
    if matches!(error, Error::TimedOut { .. }) { "timeout" } else { "refused" }
}

#[test]
fn a_timeout_has_its_type() {
    let kept = Kept::default();
    let _guard = kept.install();
    let limiter = RateLimiter::new(1, ms(60_000));
    let metering = || Metering::new("fetch").by_result().error_type(kind).label("server.address", "api.example");
    let fetch = (async |_: u64| -> Result<(), Error> { pending().await })
        .timeout(ms(2_000))
        .try_rate_limited(&limiter)
        .metered_with(metering());
    paused().block_on(async { (fetch.call(1).await.unwrap_err(), fetch.call(2).await.unwrap_err()) });
    assert_eq!(
        kept.durations("fetch"),
        durations([
            ("server.address=api.example,outcome=err,error.type=refused", &[0.0]),
            ("server.address=api.example,outcome=err,error.type=timeout", &[2.0]),
        ])
    );
    assert_eq!(kept.gauge("decor.call.active{name=fetch,server.address=api.example}"), 0.0);
}

/// The threads of a sync call with a limit record nothing, because the local recorder is that of
/// the caller.
#[test]
fn a_sync_timeout_has_its_type() {
    let kept = Kept::default();
    let _guard = kept.install();
    let _clock = VirtualClock::start();
    let hang = |_: u64| -> Result<(), Error> {
        test_util::sleep(ms(60_000));
        Ok(())
    };
    let metering = Metering::new("fetch").by_result().error_type(kind);
    let load = hang.blocking().timeout(ms(2_000)).metered_with(metering);
    load.call(1).unwrap_err();
    assert_eq!(kept.durations("fetch"), durations([("outcome=err,error.type=timeout", &[2.0])]));
    assert_eq!(kept.gauge(ACTIVE), 0.0);
}

#[test]
fn the_place_decides_between_attempts_and_calls() {
    let kept = Kept::default();
    let _guard = kept.install();
    let calls = Cell::new(0);
    let fetch = (async |_: u64| {
        calls.set(calls.get() + 1);
        sleep(ms(10)).await;
        if calls.get() < 3 { Err("busy") } else { Ok(7) }
    })
    .metered_with(Metering::new("attempt").by_result())
    .retry_with(RetryPolicy::fixed(ms(100)))
    .metered_with(Metering::new("call").by_result());
    assert_eq!(paused().block_on(fetch.call(1)), Ok(7));
    assert_eq!(kept.durations("attempt"), durations([("outcome=err", &[0.01, 0.01]), ("outcome=ok", &[0.01])]));
    assert_eq!(kept.durations("call"), durations([("outcome=ok", &[0.23])]));
    assert_eq!(kept.gauge("decor.call.active{name=attempt}"), 0.0);
}

#[test]
fn the_place_decides_between_sync_attempts_and_calls() {
    let kept = Kept::default();
    let _guard = kept.install();
    let (calls, _clock) = (Cell::new(0), VirtualClock::start());
    let load = (|_: u64| {
        calls.set(calls.get() + 1);
        test_util::sleep(ms(10));
        if calls.get() < 3 { Err("busy") } else { Ok(7) }
    })
    .blocking()
    .metered_with(Metering::new("attempt").by_result())
    .retry_with(RetryPolicy::fixed(ms(100)))
    .metered_with(Metering::new("call").by_result());
    assert_eq!(load.call(1), Ok(7));
    assert_eq!(kept.durations("attempt"), durations([("outcome=err", &[0.01, 0.01]), ("outcome=ok", &[0.01])]));
    assert_eq!(kept.durations("call"), durations([("outcome=ok", &[0.23])]));
    assert_eq!(kept.gauge("decor.call.active{name=attempt}"), 0.0);
}

#[test]
fn a_recorder_that_is_installed_later_records() {
    let fetch = (|_: u64| ready(())).metered("fetch");
    paused().block_on(fetch.call(1));
    let call = fetch.call(2);

    let kept = Kept::default();
    let _guard = kept.install();
    paused().block_on(call);
    assert_eq!(kept.durations("fetch"), durations([("outcome=completed", &[0.0])]));
}

#[test]
fn a_recorder_that_is_installed_later_records_sync_calls() {
    let (load, _clock) = ((|_: u64| 7).blocking().metered("fetch"), VirtualClock::start());
    load.call(1);
    let kept = Kept::default();
    let _guard = kept.install();
    load.call(2);
    assert_eq!(kept.durations("fetch"), durations([("outcome=completed", &[0.0])]));
    assert_eq!(kept.gauge(ACTIVE), 0.0);
}

/// The gauge would fall below 0 otherwise.
#[test]
fn a_call_that_began_without_a_recorder_is_not_recorded() {
    let (kept, fetch) = (Kept::default(), (async |_: u64| pending::<()>().await).metered("fetch"));
    let mut call = Box::pin(fetch.call(1));
    let _ = poll(&mut call);
    let _guard = kept.install();
    drop(call);
    assert!(kept.all().is_empty());
}

#[test]
fn the_gauge_falls_where_it_rose() {
    let (first, second) = (Kept::default(), Kept::default());
    let fetch = (async |_: u64| pending::<()>().await).metered("fetch");
    let mut call = Box::pin(fetch.call(1));
    metrics::with_local_recorder(&first, || {
        let _ = poll(&mut call);
    });
    metrics::with_local_recorder(&second, || drop(call));
    assert_eq!(first.gauge(ACTIVE), 0.0);
    assert_eq!(second.all().keys().collect::<Vec<_>>(), ["decor.call.duration{name=fetch,outcome=cancelled}"]);
}

/// The second recorder and the third are at the same place in memory.
#[test]
fn each_recorder_gets_the_descriptions_and_no_call_after_the_first_ones_repeats_them() {
    let fetch = (|_: u64| ready(())).metered("described");
    let mut place = Kept::default();
    for recorder in 0..3 {
        if recorder > 0 {
            place = Kept::default();
        }
        let kept = &place;
        let _guard = kept.install();
        paused().block_on(fetch.call(1));
        let described = kept.described();
        let of = |name: &str| (described[name].0, described[name].1);
        assert_eq!(of("decor.call.duration"), ("histogram", Some(Unit::Seconds)));
        assert_eq!(of("decor.call.active"), ("gauge", Some(Unit::Count)));
        assert_eq!(kept.descriptions(), 2);
    }

    let _guard = place.install();
    for call in 0..100 {
        paused().block_on(fetch.call(call));
    }
    let described = place.descriptions();
    assert!(described < 100, "{described} descriptions of 101 calls");
}

/// Names that are made at run time, and names and labels that several chains have.
#[test]
fn chains_with_the_same_labels_share_their_series() {
    let kept = Kept::default();
    let _guard = kept.install();
    let metered = |name: decor::Name, host: decor::Name| {
        (|_: u64| ready(())).metered_with(Metering::new(name).label("host", host)).call(1)
    };
    paused().block_on(async {
        metered("job".into(), "a".into()).await;
        metered("job".into(), "a".into()).await;
        metered(format!("job {}", 7).into(), "a".into()).await;
        metered("job".into(), format!("b{}", 7).into()).await;
        ready(()).metered("job").await;
        ready(()).metered("job".to_owned()).await;
    });
    assert_eq!(
        kept.durations("job"),
        durations([
            ("host=a,outcome=completed", &[0.0, 0.0]),
            ("host=b7,outcome=completed", &[0.0]),
            ("outcome=completed", &[0.0, 0.0]),
        ])
    );
    assert_eq!(kept.durations("job 7"), durations([("host=a,outcome=completed", &[0.0])]));
}

#[test]
fn a_future_is_metered() {
    let kept = Kept::default();
    let _guard = kept.install();
    let call = async { sleep(ms(10)).await }.metered("fetch");
    assert!(kept.all().is_empty());
    paused().block_on(call);
    let failed = ready(Err::<(), _>("busy"));
    let metering =
        Metering::new("fetch").by_result().error_type(|error: &&str| if *error == "busy" { "busy" } else { "" });
    paused().block_on(failed.metered_with(metering)).unwrap_err();
    assert_eq!(
        kept.durations("fetch"),
        durations([("outcome=completed", &[0.01]), ("outcome=err,error.type=busy", &[0.0])])
    );
}

#[test]
fn a_sync_call_is_metered() {
    let (kept, _clock) = (Kept::default(), VirtualClock::start());
    let _guard = kept.install();
    let load = (|millis: u64| test_util::sleep(ms(millis))).blocking().metered("fetch");
    load.call(250);
    assert_eq!(kept.durations("fetch"), durations([("outcome=completed", &[0.25])]));
    assert_eq!(kept.all()[ACTIVE], Value::Gauge(0.0));
}

/// A recorder without fields is a recorder all the same, unlike the one that does nothing.
#[test]
fn a_recorder_of_size_zero_records() {
    static RECORDED: AtomicUsize = AtomicUsize::new(0);

    struct Statics;

    impl HistogramFn for Statics {
        fn record(&self, _: f64) {
            RECORDED.fetch_add(1, Relaxed);
        }
    }

    impl GaugeFn for Statics {
        fn increment(&self, _: f64) {}
        fn decrement(&self, _: f64) {}
        fn set(&self, _: f64) {}
    }

    impl Recorder for Statics {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(Arc::new(Statics))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(Arc::new(Statics))
        }
    }

    metrics::with_local_recorder(&Statics, || paused().block_on(ready(()).metered("fetch")));
    assert_eq!(RECORDED.load(Relaxed), 1);
}

/// A bound of the closure on the gate would be "not general enough" here.
#[tokio::test(start_paused = true)]
async fn a_metered_chain_can_be_spawned_with_borrowed_arguments() {
    async fn fetch(host: &str, ids: &[u64]) -> Result<usize, Error> {
        sleep(ms(10)).await;
        Ok(host.len() + ids.len())
    }
    let refused = Arc::new("refused");
    let metering = Metering::new("fetch").by_result().error_type(move |_: &Error| *refused);
    let fetch = fetch
        .timeout(Duration::from_secs(2))
        .metered_with(metering)
        .retry_with(RetryPolicy::default())
        .transient()
        .traced("fetch");
    let spawned = tokio::spawn(async move { fetch.call("a.example", &[1, 2]).await });
    assert_eq!(spawned.await.unwrap(), Ok(11));
}
