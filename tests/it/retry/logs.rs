//! The log lines of a retry.

use super::counted;
use crate::support::{listen, ms};
use decor::prelude::*;
use std::{cell::Cell, future::ready};

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
            "DEBUG fetch failed at attempt 1, retrying in 1.00s",
            "DEBUG fetch failed at attempt 2, retrying in 2.00s",
            "WARN fetch gave up at attempt 3: attempts exhausted",
        ]
    );

    let mut answers = vec![Ok(1), Err("busy")];
    (|| ready(answers.pop().unwrap())).named("fetch").retry_with(RetryPolicy::default()).await.unwrap();
    assert_eq!(
        log.take(),
        ["DEBUG fetch failed at attempt 1, retrying in 1.00s", "DEBUG fetch succeeded at attempt 2"]
    );

    (|| ready(Ok::<_, ()>(1))).retry_with(RetryPolicy::default()).await.unwrap();
    assert_eq!(log.take(), [""; 0], "a success at once is no news");

    let failing_with = |mut errors: Vec<&'static str>| {
        let fail = move || ready(Err::<(), _>(errors.pop().unwrap()));
        fail.named("fetch").retry_with(RetryPolicy::fixed(ms(7))).when(|e| *e == "busy").into_future()
    };
    failing_with(vec!["fatal", "busy"]).await.unwrap_err();
    assert_eq!(
        log.take(),
        ["DEBUG fetch failed at attempt 1, retrying in 7.00ms", "WARN fetch gave up at attempt 2: not retryable"]
    );
    failing_with(vec!["fatal"]).await.unwrap_err();
    assert_eq!(log.take(), ["DEBUG fetch failed: not retryable"], "nothing was retried");

    let once = (|| ready(Err::<(), _>("busy"))).named("fetch").retry_with(RetryPolicy::default().max_attempts(1));
    once.await.unwrap_err();
    assert_eq!(log.take(), ["WARN fetch gave up at attempt 1: attempts exhausted"]);
}
