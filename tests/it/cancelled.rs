//! Calls that are dropped or panic report it once, at any point of a chain.

use crate::{
    every::{self, Answer, every_decorator, every_future_decorator},
    support::{listen, ms, secs},
};
use decor::{Measurement, Outcome, Timing, prelude::*};
use futures::FutureExt as _;
use std::{
    future::{pending, ready},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
};
use tokio::time::sleep;
use tokio_test::{assert_pending, task};

type Seen = Arc<Mutex<Vec<(&'static str, Outcome)>>>;

fn timing(name: &'static str, seen: &Seen) -> Timing {
    let seen = Arc::clone(seen);
    Timing::new(name).record_to(move |m: &Measurement| seen.lock().unwrap().push((name, m.outcome)))
}

async fn hang() -> Result<(), String> {
    pending().await
}

async fn explode() -> Result<(), String> {
    sleep(ms(10)).await;
    panic!("boom")
}

type Arg = u64;

/// Hangs, or panics if `id` is 13.
async fn hang_or_explode(id: Arg) -> Answer {
    assert!(id != 13, "boom");
    pending().await
}

/// Drops a call before its first poll, drops another while it hangs, and lets a third panic. The
/// inner decorator learns of the last two.
macro_rules! ends {
    ($decorator:ident, $seen:ident, |$id:ident| $call:expr) => {
        let $id = 7;
        drop($call);
        assert_eq!($seen.lock().unwrap().len(), 0, "{}", stringify!($decorator));
        let mut call = task::spawn($call);
        assert_pending!(call.poll(), "{}", stringify!($decorator));
        drop(call);
        let $id = 13;
        let panic = AssertUnwindSafe($call).catch_unwind().await.err();
        assert!(panic.is_some(), "{}", stringify!($decorator));
        let ends = [("call", Outcome::Cancelled), ("call", Outcome::Panicked)];
        assert_eq!(*$seen.lock().unwrap(), ends, "{}", stringify!($decorator));
    };
}

macro_rules! cancelled {
    ($($decorator:ident: |$f:ident| $chain:expr => $shown:literal;)*) => {
        #[tokio::test(start_paused = true)]
        async fn every_decorator_passes_the_end_of_a_call_on_to_its_inner_function() {$(
            let seen = Seen::default();
            let $f = hang_or_explode.timed_with(timing("call", &seen));
            let chain = $chain;
            ends!($decorator, seen, |id| chain.call(id));
        )*}
    };
}
every_decorator!(cancelled);

macro_rules! cancelled_futures {
    ($($decorator:ident: |$f:ident| $chain:expr;)*) => {
        #[tokio::test(start_paused = true)]
        async fn every_decorator_of_a_future_passes_its_end_on_to_the_inner_future() {$(
            let seen = Seen::default();
            ends!($decorator, seen, |id| {
                let $f = hang_or_explode(id).timed_with(timing("call", &seen));
                $chain
            });
        )*}
    };
}
every_future_decorator!(cancelled_futures);

#[tokio::test(start_paused = true)]
async fn dropped_calls_report_cancelled_from_the_inside_out() {
    let log = listen();
    let seen = Seen::default();
    let chain = hang
        .timed_with(timing("inner", &seen))
        .logged()
        .validated(|| Ok::<_, &str>(()))
        .timeout(secs(60))
        .deprecated("use another")
        .retry_with(RetryPolicy::default())
        .timed_with(timing("outer", &seen))
        .logged();
    let mut call = task::spawn(chain.call());
    assert_pending!(call.poll());
    tokio::time::advance(ms(120)).await;
    assert_pending!(call.poll());
    drop(call);
    assert_eq!(*seen.lock().unwrap(), [("inner", Outcome::Cancelled), ("outer", Outcome::Cancelled)]);
    assert_eq!(
        log.take(),
        [
            "DEBUG calling hang",
            "WARN hang is deprecated: use another",
            "DEBUG calling hang",
            "INFO hang cancelled in 120ms",
            "INFO hang cancelled in 120ms",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_cancels_the_inner_call_and_is_a_failure_itself() {
    let log = listen();
    hang.logged().timeout(secs(1)).logged().await.unwrap_err();
    assert_eq!(
        log.take(),
        [
            "DEBUG calling hang",
            "DEBUG calling hang",
            "INFO hang cancelled in 1s",
            "WARN hang failed in 1s: String: hang timed out after 1s",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn panics_report_panicked_once_and_reach_the_caller() {
    let log = listen();
    let seen = Seen::default();
    let chain = explode
        .timed_with(timing("inner", &seen))
        .logged()
        .retry_with(RetryPolicy::default())
        .timeout(secs(5))
        .timed_with(timing("outer", &seen))
        .logged();
    let mut call = Box::pin(AssertUnwindSafe(chain.call()).catch_unwind());
    let panic = call.as_mut().await.unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"boom"));
    // The panic was reported during unwinding, because the future that panicked is not dropped yet.
    let both = [("inner", Outcome::Panicked), ("outer", Outcome::Panicked)];
    assert_eq!(*seen.lock().unwrap(), both);
    drop(call);
    assert_eq!(*seen.lock().unwrap(), both);
    assert_eq!(
        log.take(),
        [
            "DEBUG calling explode",
            "DEBUG calling explode",
            "WARN explode panicked in 10ms",
            "WARN explode panicked in 10ms",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_by_the_panic_of_another_call_is_cancelled() {
    let seen = Seen::default();
    let timing = timing("bystander", &seen);
    let both = async move {
        let mut bystander = Box::pin(hang().timed_with(timing));
        assert!((&mut bystander).now_or_never().is_none());
        panic!("boom");
    };
    assert!(AssertUnwindSafe(both).catch_unwind().await.is_err());
    assert_eq!(*seen.lock().unwrap(), [("bystander", Outcome::Cancelled)]);
}

#[tokio::test]
async fn a_call_that_was_never_polled_reports_no_end() {
    let log = listen();
    let seen = Seen::default();
    drop(hang.timed_with(timing("unpolled", &seen)).logged().call());
    drop(hang().timed_with(timing("unpolled", &seen)).logged());
    assert_eq!(*seen.lock().unwrap(), []);
    assert_eq!(log.take(), [""; 0]);
}

#[tokio::test]
async fn a_completed_call_is_not_cancelled_when_it_is_dropped() {
    let seen = Seen::default();
    let mut call = Box::pin(ready(1).timed_with(timing("done", &seen)));
    assert_eq!(call.as_mut().await, 1);
    drop(call);
    assert_eq!(*seen.lock().unwrap(), [("done", Outcome::Completed)]);
}

#[tokio::test(start_paused = true)]
async fn an_aborted_task_reports_cancelled() {
    let seen = Seen::default();
    let call = hang.timed_with(timing("task", &seen)).call();
    let handle = tokio::spawn(call);
    sleep(ms(1)).await;
    handle.abort();
    assert!(handle.await.unwrap_err().is_cancelled());
    assert_eq!(*seen.lock().unwrap(), [("task", Outcome::Cancelled)]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_dropped_during_a_delay_cancels_only_the_outer_call() {
    let seen = Seen::default();
    let chain = (|| ready(Err::<(), _>("busy")))
        .timed_with(timing("attempt", &seen))
        .retry_with(RetryPolicy::fixed(secs(10)))
        .timed_with(timing("call", &seen));
    let mut call = task::spawn(chain.call());
    assert_pending!(call.poll());
    drop(call);
    assert_eq!(*seen.lock().unwrap(), [("attempt", Outcome::Completed), ("call", Outcome::Cancelled)]);
}
