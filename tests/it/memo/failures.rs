//! The outputs of calls that waited for a failed load.

use crate::support::{ms, secs};
use decor::{
    Error, Memo,
    prelude::*,
    test_util::{self, VirtualClock},
};
use futures::future::join_all;
use std::{
    future::{pending, ready},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::{Instant, sleep};

type Answer = Result<u8, Error>;

fn failed(name: &'static str, message: &str) -> Error {
    Error::LoadFailed { name: name.into(), message: message.to_owned() }
}

/// The chain of the README around a function that hangs. There are three attempts of 2 s, with
/// delays of 1 s and 2 s.
#[tokio::test(start_paused = true)]
async fn twenty_callers_of_a_hanging_function_fail_together() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let hang = (|_: u8| pending::<Answer>())
        .named("hang")
        .timeout(secs(2))
        .retry_with(RetryPolicy::default())
        .timeout(secs(10))
        .memoized(&memo);
    let begun = Instant::now();
    let calls = (0..20).map(|_| {
        let call = hang.call(7);
        async move { (call.await.unwrap_err(), begun.elapsed()) }
    });
    let ended = join_all(calls).await;
    assert_eq!(
        ended[0],
        (Error::TimedOut { name: "hang".into(), after: secs(2), label: None }, secs(9)),
        "the call that loads"
    );
    let waited = (failed("hang", "hang timed out after 2s"), secs(9));
    assert!(ended[1..].iter().all(|end| *end == waited), "{ended:?}");
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.coalesced), (1, 1, 19));
}

/// Loads take 9.03 s, and a new caller comes every 100 ms for a minute. No caller waits for longer
/// than one load.
#[tokio::test(start_paused = true)]
async fn a_stream_of_callers_waits_for_one_load_each() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let hang = (|_: u8| pending::<Answer>())
        .named("hang")
        .timeout(ms(2_010))
        .retry_with(RetryPolicy::default())
        .timeout(secs(10))
        .memoized(&memo);
    let calls = (0..600).map(|n| {
        let hang = &hang;
        async move {
            sleep(ms(100 * n)).await;
            let begun = Instant::now();
            (hang.call(7).await.unwrap_err(), begun.elapsed())
        }
    });
    let ended = join_all(calls).await;
    // A load begins with the first call after the previous load has failed, which is every 91st.
    let own = Error::TimedOut { name: "hang".into(), after: ms(2_010), label: None };
    let told = failed("hang", "hang timed out after 2.01s");
    let expected = (0..600).map(|n| (if n % 91 == 0 { own.clone() } else { told.clone() }, ms(9_030 - 100 * (n % 91))));
    assert_eq!(ended, expected.collect::<Vec<_>>());
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.misses, stats.coalesced), (7, 7, 7, 593), "one load at a time");
}

/// The last of twenty callers waits for twenty failures.
#[tokio::test(start_paused = true)]
async fn with_isolated_errors_twenty_callers_fail_one_after_the_other() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let hang = (|_: u8| pending::<Answer>()).named("hang").timeout(secs(9)).memoized(&memo).isolating_errors();
    let begun = Instant::now();
    let calls = (0..20).map(|_| {
        let call = hang.call(7);
        async move { (call.await.unwrap_err(), begun.elapsed()) }
    });
    let mut ended = join_all(calls).await;
    ended.sort_by_key(|(_, at)| *at);
    let own = Error::TimedOut { name: "hang".into(), after: secs(9), label: None };
    assert_eq!(ended, (1..=20).map(|n| (own.clone(), secs(9 * n))).collect::<Vec<_>>());
    assert_eq!((memo.stats().loads, memo.stats().coalesced), (20, 19));
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_load_is_taken_over() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let loads = AtomicU32::new(0);
    let fetch = (|n: u8| {
        loads.fetch_add(1, Relaxed);
        async move {
            sleep(secs(5)).await;
            Answer::Ok(n)
        }
    })
    .memoized(&memo);
    let first = fetch.clone().timeout(secs(1));
    let begun = Instant::now();
    let (first, second) = tokio::join!(first.call(7), fetch.call(7));
    assert!(matches!(first, Err(Error::TimedOut { .. })));
    assert_eq!((second, begun.elapsed()), (Ok(7), secs(6)));
    assert_eq!(loads.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn waiters_of_a_none_get_a_none() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let find = (|_: u8| async {
        sleep(ms(1)).await;
        None::<u8>
    })
    .memoized(&memo);
    assert_eq!(join_all((0..5).map(|_| find.call(7))).await, [None; 5]);
    assert_eq!(memo.stats().loads, 1);
}

/// A waiter gets the error itself if both functions share errors of one type, and the text
/// otherwise.
#[tokio::test(start_paused = true)]
async fn a_waiting_call_of_another_function_gets_the_failure_in_its_own_type() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let slow = |n: u8| async move {
        sleep(secs(1)).await;
        Err::<u8, String>(format!("no {n}"))
    };
    // The first call of each group loads.
    let reports = slow.named("reports").memoized(&memo);
    let shares = slow.named("shares").memoized(&memo).sharing_errors();
    let isolates = slow.named("isolates").memoized(&memo).isolating_errors();
    let plain = (|n: u8| async move { n }).memoized(&memo);

    let begun = Instant::now();
    let (leads, joins, joins_plain) = tokio::join!(shares.call(1), reports.call(1), plain.call(1));
    assert_eq!(leads.unwrap_err(), "no 1");
    assert_eq!(joins.unwrap_err(), "loading failed in another call of shares: no 1", "the waiter gets the text");
    assert_eq!(joins_plain, 1, "a call that cannot fail loads by itself");
    assert_eq!(begun.elapsed(), secs(1));

    let (leads, joins) = tokio::join!(isolates.call(2), reports.call(2));
    assert_eq!(leads.unwrap_err(), "no 2");
    assert_eq!(joins.unwrap_err(), "loading failed in another call of isolates: no 2");

    // A reported failure carries only the text.
    let (leads, joins) = tokio::join!(reports.call(3), shares.call(3));
    assert_eq!(leads.unwrap_err(), "no 3");
    assert_eq!(joins.unwrap_err(), "loading failed in another call of reports: no 3");
    assert_eq!(begun.elapsed(), secs(3));

    let (leads, joins) = tokio::join!(reports.call(4), isolates.call(4));
    assert_eq!((leads.unwrap_err(), joins.unwrap_err()), ("no 4".into(), "no 4".into()));
    assert_eq!(begun.elapsed(), secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_future_that_joins_a_failed_get_or_load_gets_load_failed() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let fail = || async {
        sleep(secs(1)).await;
        Answer::Err(Error::QueueFull { waiting: 1 })
    };
    let by_hand = memo.get_or_load(7, fail);
    let of_a_future = fail().memoized_by(&memo, 7).detached();
    let (first, second) = tokio::join!(by_hand, of_a_future);
    assert_eq!(first, Err(Error::QueueFull { waiting: 1 }));
    assert!(matches!(second, Err(Error::LoadFailed { message, .. }) if message.contains("(1 waiting)")));
    assert_eq!(memo.stats().loads, 1);
}

#[test]
fn waiting_threads_get_load_failed_as_tasks_do() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let down = |_: u8| -> Answer {
        test_util::sleep(secs(9));
        Err(Error::QueueFull { waiting: 3 })
    };
    let down = down.blocking().named("down").memoized(&memo);
    let threads = [0; 8].map(|_| {
        let down = down.clone();
        clock.spawn(move || (down.call(7).unwrap_err(), test_util::elapsed().unwrap()))
    });
    let mut ended = threads.map(test_util::VirtualThread::join).to_vec();
    let loads = ended.iter().position(|(error, _)| *error == Error::QueueFull { waiting: 3 }).unwrap();
    ended.remove(loads);
    let told = failed("down", "rate limited: the queue is full (3 waiting)");
    assert!(ended.iter().all(|end| *end == (told.clone(), secs(9))), "{ended:?}");
    assert_eq!(memo.stats().loads, 1);
}

/// The chain of the README in threads. Any of the threads may lead.
#[test]
fn twenty_threads_that_call_a_hanging_function_fail_together() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let hang = |_: u8| -> Answer {
        test_util::sleep(secs(3_600));
        Ok(0)
    };
    let hang = hang
        .blocking()
        .named("hang")
        .timeout(secs(2))
        .retry_with(RetryPolicy::default())
        .timeout(secs(10))
        .memoized(&memo);
    let threads = [0; 20].map(|_| {
        let hang = hang.clone();
        clock.spawn(move || (hang.call(7).unwrap_err(), test_util::elapsed().unwrap()))
    });
    let ended = threads.map(test_util::VirtualThread::join);
    let own = (Error::TimedOut { name: "hang".into(), after: secs(2), label: None }, secs(9));
    let told = (failed("hang", "hang timed out after 2s"), secs(9));
    assert_eq!(ended.iter().filter(|end| **end == own).count(), 1, "{ended:?}");
    assert_eq!(ended.iter().filter(|end| **end == told).count(), 19, "{ended:?}");
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.coalesced), (1, 1, 19));
}

/// Loads take 9.03 s, and a new thread comes every 500 ms for a minute.
#[test]
fn a_stream_of_threads_waits_for_one_load_each() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let down = |_: u8| -> Answer {
        test_util::sleep(ms(9_030));
        Err(Error::QueueFull { waiting: 3 })
    };
    let down = down.blocking().named("down").memoized(&memo);
    let threads: Vec<_> = (0..120)
        .map(|n| {
            let down = down.clone();
            clock.spawn(move || {
                test_util::sleep(ms(500 * n));
                (down.call(7).unwrap_err(), test_util::elapsed().unwrap())
            })
        })
        .collect();
    let ended: Vec<_> = threads.into_iter().map(test_util::VirtualThread::join).collect();
    let (own, told) = (Error::QueueFull { waiting: 3 }, failed("down", "rate limited: the queue is full (3 waiting)"));
    let expected =
        (0..120).map(|n| (if n % 19 == 0 { own.clone() } else { told.clone() }, ms(9_030 + 500 * (n - n % 19))));
    assert_eq!(ended, expected.collect::<Vec<_>>());
    assert_eq!((memo.stats().loads, memo.stats().coalesced), (7, 113));
}

#[test]
fn load_failed_is_transient_and_names_the_function() {
    use decor::Transient;
    let error = failed("fetch", "connection refused");
    assert_eq!(error.to_string(), "loading failed in another call of fetch: connection refused");
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), None::<Duration>);
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::Other);
    let shown = (|n: u8| ready(Answer::Ok(n))).named("f").memoized(&Memo::<u8, u8>::ttl(secs(1)));
    assert!(format!("{shown:?}").ends_with(".memoized(ttl 1s)"), "the default adds no method");
}
