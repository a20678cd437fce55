//! `timed`: one event when the call ends.

use crate::support::{listen, listen_at, ms, secs};
use decor::{Measurement, Outcome, Timing, prelude::*};
use futures::FutureExt as _;
use std::{
    future::ready,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
};
use tokio::time::sleep;
use tracing::Level;

async fn nap(millis: u64) -> Result<u64, String> {
    sleep(ms(millis)).await;
    if millis == 13 { Err("bad luck".into()) } else { Ok(millis) }
}

fn recorder() -> (Arc<Mutex<Vec<Measurement>>>, impl Fn(&Measurement) + Send + Sync + 'static) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    (seen, move |m: &Measurement| sink.lock().unwrap().push(m.clone()))
}

#[tokio::test(start_paused = true)]
async fn one_event_with_name_elapsed_and_outcome() {
    let log = listen();
    nap.timed("nap").call(1234).await.unwrap();
    nap(5).timed("on a future").await.unwrap();
    let lines = log.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].target, "decor::call");
    assert_eq!(lines[0].level, Level::INFO);
    assert_eq!(lines[0].message, "nap took 1.23s");
    let fields = [("elapsed", "1.234"), ("name", "nap"), ("outcome", "completed")];
    assert_eq!(lines[0].fields, fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    assert_eq!(lines[1].message, "on a future took 5ms");
}

#[tokio::test(start_paused = true)]
async fn calls_with_any_output_are_timed() {
    let log = listen();
    assert_eq!((|n: u8| ready(n)).timed("plain").call(7).await, 7);
    assert_eq!(log.take(), ["INFO plain took 0ns"]);
}

#[tokio::test(start_paused = true)]
async fn the_event_has_the_level_that_was_set() {
    let log = listen();
    for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
        nap.timed_with(Timing::new("nap").level(level)).call(1).await.unwrap();
        assert_eq!(log.take(), [format!("{level} nap took 1ms")]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_below_the_listeners_level_is_not_sent() {
    let log = listen_at(Level::INFO);
    nap.timed_with(Timing::new("nap").level(Level::DEBUG)).call(1).await.unwrap();
    assert_eq!(log.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_clock_starts_at_the_first_poll() {
    let (seen, sink) = recorder();
    let call = nap.timed_with(Timing::new("nap").record_to(sink)).call(100);
    sleep(secs(5)).await;
    call.await.unwrap();
    assert_eq!(seen.lock().unwrap()[0].elapsed, ms(100));
}

#[tokio::test(start_paused = true)]
async fn slower_than_skips_calls_that_took_no_longer() {
    let (seen, sink) = recorder();
    let nap = nap.timed_with(Timing::new("nap").slower_than(ms(100)).record_to(sink));
    nap.call(99).await.unwrap();
    nap.call(100).await.unwrap();
    nap.call(101).await.unwrap();
    assert_eq!(seen.lock().unwrap().iter().map(|m| m.elapsed).collect::<Vec<_>>(), [ms(101)]);
}

#[tokio::test(start_paused = true)]
async fn by_result_tells_ok_from_err() {
    let (seen, sink) = recorder();
    let nap = nap.timed_with(Timing::new("nap").by_result().record_to(sink));
    nap.call(1).await.unwrap();
    nap.call(13).await.unwrap_err();
    assert_eq!(seen.lock().unwrap().iter().map(|m| m.outcome).collect::<Vec<_>>(), [Outcome::Ok, Outcome::Err]);
}

#[tokio::test(start_paused = true)]
async fn the_event_has_the_outcome_of_the_call() {
    let log = listen();
    let timing = Timing::new("nap").by_result();
    nap.timed_with(timing.clone()).call(1).await.unwrap();
    nap.timed_with(timing.clone()).call(13).await.unwrap_err();
    nap.timed_with(timing.clone()).timeout(secs(1)).call(9_000).await.unwrap_err();
    let explode = async || -> Result<u64, String> { panic!("boom") };
    AssertUnwindSafe(explode.timed_with(timing).call()).catch_unwind().await.unwrap_err();
    let said: Vec<_> = log.lines().into_iter().map(|line| (line.message, line.fields["outcome"].clone())).collect();
    let expected = [
        ("nap took 1ms", "ok"),
        ("nap took 13ms", "err"),
        ("nap took 1s (cancelled)", "cancelled"),
        ("nap took 0ns (panicked)", "panicked"),
    ];
    assert_eq!(said, expected.map(|(message, outcome)| (message.to_owned(), outcome.to_owned())));
}

#[test]
fn a_timing_shows_its_settings() {
    let timing = Timing::new("nap").level(Level::DEBUG).slower_than(secs(1)).record_to(|_| ());
    let settings = r#"Timing { name: "nap", level: Level(Debug), slower_than: Some(1s), .. }"#;
    assert_eq!(format!("{timing:?}"), settings);
}

#[tokio::test(start_paused = true)]
async fn with_a_sink_no_event_is_sent() {
    let log = listen();
    let (seen, sink) = recorder();
    nap.timed_with(Timing::new("nap").record_to(sink)).call(1).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(log.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn behind_a_retry_all_attempts_are_timed_and_before_it_each_one() {
    let (inner, inner_sink) = recorder();
    let (outer, outer_sink) = recorder();
    nap.timed_with(Timing::new("attempt").record_to(inner_sink))
        .retry_with(RetryPolicy::fixed(ms(100)))
        .timed_with(Timing::new("call").record_to(outer_sink))
        .call(13)
        .await
        .unwrap_err();
    assert_eq!(inner.lock().unwrap().iter().map(|m| m.elapsed).collect::<Vec<_>>(), [ms(13); 3]);
    assert_eq!(outer.lock().unwrap().iter().map(|m| m.elapsed).collect::<Vec<_>>(), [ms(3 * 13 + 2 * 100)]);
}
