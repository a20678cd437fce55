//! `timeout`: calls end exactly at the limit, and a call that needs no timer makes none.

use crate::support::{ms, secs};
use decor::{Error, prelude::*};
use std::{
    future::{pending, poll_fn, ready},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready, task};

type Answer = Result<u32, Error>;

/// Pending until `after` has passed since its first poll.
async fn answer(after: Duration) -> Answer {
    sleep(after).await;
    Ok(42)
}

fn timed_out(after: Duration) -> Answer {
    Err(Error::TimedOut { name: "answer".into(), after, label: None })
}

#[tokio::test(start_paused = true)]
async fn fires_exactly_at_the_limit() {
    let begun = Instant::now();
    assert_eq!(answer(secs(3)).timeout(secs(2)).await, timed_out(secs(2)));
    assert_eq!(begun.elapsed(), secs(2));

    let begun = Instant::now();
    assert_eq!(answer.timeout(secs(2)).call(secs(3)).await, timed_out(secs(2)));
    assert_eq!(begun.elapsed(), secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_exactly_at_the_limit_succeeds() {
    assert_eq!(answer(ms(2000)).timeout(secs(2)).await, Ok(42));
    assert_eq!(answer(ms(2001)).timeout(secs(2)).await, timed_out(secs(2)));
}

#[test]
fn a_call_that_is_ready_at_its_first_poll_makes_no_timer() {
    // There is no runtime here, so making a timer would panic.
    let mut call = task::spawn(ready(Answer::Ok(1)).timeout(secs(1)));
    assert_eq!(assert_ready!(call.poll()), Ok(1));
    let mut call = task::spawn((|| ready(Answer::Ok(1))).timeout(Duration::ZERO).call());
    assert_eq!(assert_ready!(call.poll()), Ok(1));
}

#[test]
#[should_panic(expected = "no reactor running")]
fn a_pending_call_outside_of_a_runtime_panics() {
    // The counterpart of the test above: this call needs a timer.
    let _ = task::spawn(pending::<Answer>().timeout(secs(1))).poll();
}

#[test]
fn a_call_made_outside_of_a_runtime_runs_inside() {
    let bounded = answer.timeout(secs(2));
    let call = bounded.call(secs(3));
    let direct = answer(secs(3)).timeout(secs(1));
    tokio_test::block_on(async {
        tokio::time::pause();
        assert_eq!(call.await, timed_out(secs(2)));
        assert_eq!(direct.await, timed_out(secs(1)));
    });
}

#[tokio::test(start_paused = true)]
async fn the_time_counts_from_the_first_pending_poll() {
    let call = answer(secs(2)).timeout(secs(2));
    sleep(secs(5)).await; // the call was made long before
    assert_eq!(call.await, Ok(42));

    // The duration of the first poll, 1 s here, does not count.
    let begun = Instant::now();
    let mut first = true;
    let slow_start = poll_fn(|_| {
        if std::mem::take(&mut first) {
            let advanced = pin!(tokio::time::advance(secs(1))).poll(&mut Context::from_waker(Waker::noop()));
            assert!(advanced.is_pending() || advanced.is_ready());
        }
        Poll::<Answer>::Pending
    });
    slow_start.timeout(secs(2)).await.unwrap_err();
    assert_eq!(begun.elapsed(), secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_label_tells_an_attempts_limit_from_the_total() {
    let labels = |error: &Error| match error {
        Error::TimedOut { label: Some("attempt"), .. } => 1,
        Error::TimedOut { label: Some("total"), .. } => 2,
        Error::TimedOut { label: None, .. } => 3,
        _ => 4,
    };
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(2);
    let attempt = answer.timeout(secs(2)).labelled("attempt").retry_with(&policy);
    assert_eq!(
        format!("{attempt:?}"),
        r#"answer.timeout(2s).labelled("attempt").retry_with(fixed 1s, no jitter, 2 attempts)"#
    );
    let total = attempt.clone().timeout(secs(4)).labelled("total");
    let error = attempt.timeout(secs(9)).labelled("total").call(secs(3)).await.unwrap_err();
    assert_eq!((labels(&error), &*error.to_string()), (1, "answer timed out after 2s (attempt)"));
    let error = total.call(secs(3)).await.unwrap_err();
    assert_eq!((labels(&error), &*error.to_string()), (2, "answer timed out after 4s (total)"));
    let error = total.timeout(secs(1)).call(secs(3)).await.unwrap_err();
    assert_eq!((labels(&error), &*error.to_string()), (3, "answer timed out after 1s"));

    let error = answer(secs(3)).timeout(secs(1)).labelled("page").await.unwrap_err();
    assert_eq!(error, Error::TimedOut { name: "answer".into(), after: secs(1), label: Some("page") });
}

/// A chain may have many limits, and every layer returns the error by value.
#[test]
fn a_limit_without_a_label_has_no_room_for_one() {
    let sizes = |bare: usize, bounded: usize, labelled: usize| (bounded - bare, labelled - bounded);
    let future = || pending::<Answer>();
    let (bounded, labelled) = (future().timeout(secs(1)), future().timeout(secs(1)).labelled("x"));
    let (timer, label) = sizes(0, size_of_val(&bounded), size_of_val(&labelled));
    assert!(timer <= size_of::<tokio::time::Sleep>() + 48, "{timer}");
    assert_eq!(label, size_of::<&str>());
    assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_allows_one_poll() {
    assert_eq!(ready(Answer::Ok(1)).timeout(Duration::ZERO).await, Ok(1));
    // Between two ticks of the timer, a sleep of zero would wait for the next tick.
    tokio::time::advance(Duration::from_micros(300)).await;
    let begun = Instant::now();
    assert_eq!(answer(ms(1)).timeout(Duration::ZERO).await, timed_out(Duration::ZERO));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_longest_limit_never_ends_a_call() {
    let mut call = task::spawn(answer(secs(60 * 60 * 24 * 365)).timeout(Duration::MAX));
    assert_pending!(call.poll());
    tokio::time::advance(secs(60 * 60 * 24 * 364)).await;
    assert_pending!(call.poll());
    tokio::time::advance(secs(60 * 60 * 24)).await;
    assert_eq!(assert_ready!(call.poll()), Ok(42));
}

#[tokio::test(start_paused = true)]
async fn sub_millisecond_limits_are_never_early() {
    let begun = Instant::now();
    answer(secs(1)).timeout(Duration::from_micros(300)).await.unwrap_err();
    assert_eq!(begun.elapsed(), ms(1));
}

/// With a plain `Sleep`, a call that uses up its task's budget at every poll left none for the
/// timer, and never timed out.
#[tokio::test(start_paused = true)]
async fn an_inner_future_that_drains_the_coop_budget_still_times_out() {
    let polls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&polls);
    let greedy = poll_fn(move |cx| {
        assert!(seen.fetch_add(1, Relaxed) < 1_000, "the call never times out");
        while tokio::task::coop::has_budget_remaining() {
            let Poll::Ready(spent) = tokio::task::coop::poll_proceed(cx) else { break };
            spent.made_progress();
        }
        cx.waker().wake_by_ref();
        Poll::<Answer>::Pending
    });
    // The call is always runnable, so the paused clock does not advance by itself.
    let clock = tokio::spawn(async {
        for _ in 0..10 {
            tokio::time::advance(ms(1)).await;
        }
    });
    assert!(greedy.timeout(ms(5)).await.is_err());
    assert!(polls.load(Relaxed) >= 2);
    clock.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nested_limits_each_hold() {
    let begun = Instant::now();
    let attempts = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&attempts);
    let hang = move || {
        seen.fetch_add(1, Relaxed);
        pending::<Answer>()
    };
    let error = hang
        .named("hang")
        .timeout(secs(2))
        .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(100))
        .timeout(secs(10))
        .await
        .unwrap_err();
    assert_eq!(error, Error::TimedOut { name: "hang".into(), after: secs(10), label: None });
    assert_eq!(begun.elapsed(), secs(10));
    assert_eq!(attempts.load(Relaxed), 4); // at 0, 3, 6 and 9 s
}

#[tokio::test(start_paused = true)]
async fn the_call_is_dropped_before_the_error_is_returned() {
    let token = Arc::new(());
    let held = Arc::clone(&token);
    let call = async move {
        let answer = pending::<Answer>().await;
        drop(held);
        answer
    };
    let mut call = Box::pin(call.timeout(secs(1)));
    call.as_mut().await.unwrap_err();
    assert_eq!(Arc::strong_count(&token), 1, "the call was dropped, although its future still exists");
}
