//! The log lines of a retry.

use super::counted;
use crate::support::{listen, listen_at, ms, secs};
use decor::prelude::*;
use futures::future::join_all;
use std::{cell::Cell, future::ready, thread};
use tokio::time::advance;
use tracing::{Level, dispatcher, level_filters::LevelFilter};

#[tokio::test(start_paused = true)]
async fn a_retry_logs_retries_giving_up_and_late_success() {
    let log = listen();
    let fail = counted(&Cell::new(0)).named("fetch").retry_with(RetryPolicy::default()).await;
    assert!(fail.is_err());
    let lines = log.lines();
    assert!(lines.iter().all(|line| line.target == "decor::retry" && line.fields["name"] == "fetch"));
    assert_eq!(lines.iter().map(|line| line.fields["attempt"].as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!((lines[0].fields["delay"].as_str(), lines[2].fields["reason"].as_str()), ("1s", "attempts exhausted"));
    assert_eq!(
        log.take(),
        [
            "DEBUG fetch failed at attempt 1, retrying in 1s",
            "DEBUG fetch failed at attempt 2, retrying in 2s",
            "WARN fetch gave up at attempt 3: attempts exhausted",
        ]
    );

    let mut answers = vec![Ok(1), Err("busy")];
    (|| ready(answers.pop().unwrap())).named("fetch").retry_with(RetryPolicy::default()).await.unwrap();
    assert_eq!(log.take(), ["DEBUG fetch failed at attempt 1, retrying in 1s", "DEBUG fetch succeeded at attempt 2"]);

    (|| ready(Ok::<_, ()>(1))).retry_with(RetryPolicy::default()).await.unwrap();
    assert_eq!(log.take(), [""; 0], "a success at once is not logged");

    let failing_with = |mut errors: Vec<&'static str>| {
        let fail = move || ready(Err::<(), _>(errors.pop().unwrap()));
        fail.named("fetch").retry_with(RetryPolicy::fixed(ms(7))).when(|e| *e == "busy").into_future()
    };
    failing_with(vec!["fatal", "busy"]).await.unwrap_err();
    assert_eq!(
        log.take(),
        ["DEBUG fetch failed at attempt 1, retrying in 7ms", "WARN fetch gave up at attempt 2: not retryable"]
    );
    failing_with(vec!["fatal"]).await.unwrap_err();
    assert_eq!(log.take(), ["DEBUG fetch failed: not retryable"], "no attempt was retried");

    let once = (|| ready(Err::<(), _>("busy"))).named("fetch").retry_with(RetryPolicy::default().max_attempts(1));
    once.await.unwrap_err();
    assert_eq!(log.take(), ["WARN fetch gave up at attempt 1: attempts exhausted"]);
}

#[tokio::test(start_paused = true)]
async fn the_policy_sets_the_levels_down_to_off() {
    let lines = async |policy: RetryPolicy| {
        let (log, policy) = (listen(), policy.max_attempts(2));
        let mut answers = vec![Ok(1), Err("busy")];
        (|| ready(answers.pop().unwrap())).retry_with(&policy).await.unwrap();
        (|| ready(Err::<(), _>("down"))).retry_with(&policy).await.unwrap_err();
        (|| ready(Err::<(), _>("fatal"))).retry_with(policy).when(|_| false).await.unwrap_err();
        log.lines().iter().map(|line| line.level).collect::<Vec<_>>()
    };
    let (debug, warn) = (Level::DEBUG, Level::WARN);
    let policy = RetryPolicy::default;
    assert_eq!(lines(policy()).await, [debug, debug, debug, warn, debug]);
    for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
        assert_eq!(lines(policy().log_level(level)).await, [level, level, level, warn, level]);
        assert_eq!(lines(policy().give_up_log_level(level)).await, [debug, debug, debug, level, debug]);
    }
    assert_eq!(lines(policy().log_level(LevelFilter::OFF)).await, [warn]);
    assert_eq!(lines(policy().give_up_log_level(None)).await, [debug; 4]);
    assert_eq!(lines(policy().log_level(None).give_up_log_level(None)).await, [debug; 0]);
}

#[tokio::test(start_paused = true)]
async fn logging_errors_adds_the_error_to_the_lines() {
    let log = listen();
    let mut errors = vec!["down", "busy", "busy"];
    let fetch = (|| ready(Err::<(), _>(errors.pop().unwrap()))).named("fetch").retry_with(RetryPolicy::default());
    fetch.when(|e| *e == "busy").logging_errors().await.unwrap_err();
    assert_eq!(
        log.lines().iter().map(|line| line.fields["error"].as_str()).collect::<Vec<_>>(),
        ["busy", "busy", "down"]
    );
    assert_eq!(
        log.take(),
        [
            "DEBUG fetch failed at attempt 1, retrying in 1s: busy",
            "DEBUG fetch failed at attempt 2, retrying in 2s: busy",
            "WARN fetch gave up at attempt 3: attempts exhausted: down",
        ]
    );
    let fatal = (|| ready(Err::<(), _>(anyhow::anyhow!("inner").context("outer")))).named("fetch");
    fatal.retry_with(RetryPolicy::default()).when(|_| false).logging_errors().await.unwrap_err();
    assert_eq!(log.take(), ["DEBUG fetch failed: not retryable: outer: inner"], "the error with its causes");

    // An `Ok` has no error.
    let not_yet = (|| ready(Ok::<_, String>(503))).named("fetch").retry_with(RetryPolicy::default().max_attempts(1));
    not_yet.when_result(|_| true).logging_errors().await.unwrap();
    assert!(log.lines().iter().all(|line| !line.fields.contains_key("error")));
    assert_eq!(log.take(), ["WARN fetch gave up at attempt 1: attempts exhausted"]);
}

/// A thousand calls give up in one outage.
#[tokio::test(start_paused = true)]
async fn give_up_log_interval_counts_the_lines_that_it_leaves_out() {
    let log = listen_at(Level::WARN);
    let policy = RetryPolicy::default().max_attempts(1).give_up_log_interval(secs(10));
    let gave_up = Cell::new(0);
    let call = || {
        let fetch = (|| ready(Err::<(), _>("down"))).named("fetch").retry_with(policy.clone());
        fetch.on_give_up(|_| gave_up.set(gave_up.get() + 1)).call()
    };
    for ended in join_all((0..1_000).map(|_| call())).await {
        ended.unwrap_err();
    }
    assert_eq!(log.take(), ["WARN fetch gave up at attempt 1: attempts exhausted"]);
    advance(ms(9_999)).await;
    call().await.unwrap_err();
    assert_eq!(log.take(), [""; 0]);
    advance(ms(1)).await;
    call().await.unwrap_err();
    assert_eq!(log.lines()[0].fields["left_out"], "1000");
    assert_eq!(
        log.take(),
        ["WARN fetch gave up at attempt 1: attempts exhausted (1000 more since the last such line)"]
    );
    assert_eq!(gave_up.get(), 1_002, "the hook is called each time");
    advance(secs(10)).await;
    call().await.unwrap_err();
    assert_eq!(log.take(), ["WARN fetch gave up at attempt 1: attempts exhausted"], "no line was left out");
}

#[tokio::test(start_paused = true)]
async fn an_interval_of_zero_logs_every_line_and_policies_count_apart() {
    let log = listen_at(Level::WARN);
    let policy = RetryPolicy::default().max_attempts(1).give_up_log_interval(secs(10));
    let every = policy.clone().give_up_log_interval(ms(0));
    let other = policy.clone().give_up_log_interval(secs(10));
    let fail = || ready(Err::<(), _>("down"));
    for _ in 0..3 {
        fail.named("f").retry_with(&every).await.unwrap_err();
        fail.named("g").retry_with(&policy).await.unwrap_err();
        fail.named("h").retry_with(&other).await.unwrap_err();
    }
    let lines: Vec<_> = log.take().iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(lines, ["f", "g", "h", "f", "f"]);
}

#[test]
fn threads_share_the_interval() {
    let log = listen_at(Level::WARN);
    let dispatch = dispatcher::get_default(Clone::clone);
    let policy = RetryPolicy::default().max_attempts(1).give_up_log_interval(secs(3_600));
    let fail = || {
        let fail = || Err::<(), _>("down");
        dispatcher::with_default(&dispatch, || fail.blocking().retry_with(&policy).run().unwrap_err());
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..250).for_each(|_| fail()));
        }
    });
    assert_eq!(log.lines().len(), 1);
}
