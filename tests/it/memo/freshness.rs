//! Values shortly before and after their expiry. `model` covers all orders of events.

use crate::support::{just_before, ms, paused, secs};
use decor::{
    Memo, MemoBuilder, MemoStats,
    prelude::*,
    test_util::{self, VirtualClock},
};
use futures::future::join_all;
use std::{
    future::{Future, ready},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready_eq, task};

const NANO: Duration = Duration::from_nanos(1);

fn down() -> String {
    "down".to_owned()
}

/// A server with numbered answers that take a second each. Once it is down, it answers with errors.
#[derive(Debug, Default, Clone)]
struct Server(Arc<State>);

#[derive(Debug, Default)]
struct State {
    answered: AtomicU64,
    is_down: AtomicBool,
}

impl Server {
    fn ask(&self, _key: u8) -> impl Future<Output = Result<u64, String>> + Send + use<> {
        let state = Arc::clone(&self.0);
        async move {
            sleep(secs(1)).await;
            let number = state.answered.fetch_add(1, SeqCst) + 1;
            if state.is_down.load(SeqCst) { Err(format!("down {number}")) } else { Ok(number) }
        }
    }

    fn is_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, SeqCst);
    }
}

/// Returns the answer of a call, and its duration.
async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    (call.await, begun.elapsed())
}

fn sums(stats: &MemoStats) -> [u64; 4] {
    assert_eq!(stats.hits + stats.misses + stats.coalesced, stats.calls());
    [stats.hits, stats.misses, stats.coalesced, stats.loads]
}

const AT_ONCE: Duration = Duration::ZERO;

// ---- stale while revalidate ----

#[tokio::test(start_paused = true)]
async fn stale_while_revalidate_one_call_waits_and_the_others_are_served() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_while_revalidate(secs(5)).build();
    let server = Server::default();
    let ask = (|key| server.ask(key)).memoized(&memo);
    assert_eq!(timed(ask.call(7)).await, (Ok(1), secs(1)));
    advance(secs(10)).await;
    let answers = join_all((0..100).map(|_| timed(ask.call(7)))).await;
    assert_eq!(answers[0], (Ok(2), secs(1)), "the call that refreshes the value waits");
    assert!(answers[1..].iter().all(|answer| *answer == (Ok(1), AT_ONCE)));
    assert_eq!(timed(ask.call(7)).await, (Ok(2), AT_ONCE));
    let stats = memo.stats();
    assert_eq!(sums(&stats), [100, 2, 0, 2]);
    assert_eq!((stats.stale_hits, stats.refreshes, stats.refreshes_ahead, stats.expirations), (99, 1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn stale_while_revalidate_of_a_detached_function_never_waits() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_while_revalidate(secs(5)).build();
    let server = Server::default();
    let ask = (move |key| server.ask(key)).memoized(&memo).detached();
    assert_eq!(timed(ask.call(7)).await, (Ok(1), secs(1)));
    advance(secs(10)).await;
    let answers = join_all((0..100).map(|_| timed(ask.call(7)))).await;
    assert!(answers.iter().all(|answer| *answer == (Ok(1), AT_ONCE)));
    sleep(secs(1) + ms(1)).await;
    assert_eq!(timed(ask.call(7)).await, (Ok(2), AT_ONCE));
    let stats = memo.stats();
    assert_eq!(sums(&stats), [101, 1, 0, 2]);
    assert_eq!((stats.stale_hits, stats.refreshes, stats.expirations), (100, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn stale_while_revalidate_ends_with_its_window() {
    for (window, is_served) in [(just_before(secs(5)), true), (secs(5), false)] {
        let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_while_revalidate(secs(5)).build();
        memo.insert(7, 0);
        advance(secs(10) + window).await;
        let mut refreshes = task::spawn(memo.get_or_load(7, std::future::pending::<u64>));
        assert_pending!(refreshes.poll());
        let mut other = task::spawn(memo.get_or_load(7, || ready(1)));
        if is_served {
            assert_ready_eq!(other.poll(), 0);
        } else {
            assert_pending!(other.poll());
        }
        assert_eq!(memo.stats().stale_hits, u64::from(is_served));
        assert_eq!(memo.get(&7), None, "`get` returns no expired value");
    }
}

#[tokio::test(start_paused = true)]
async fn stale_while_revalidate_tries_a_failed_or_dropped_refresh_again() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_while_revalidate(secs(5)).build();
    memo.insert(7, 0);
    let server = Server::default();
    server.is_down(true);
    let ask = (|key| server.ask(key)).memoized(&memo);
    advance(secs(10)).await;
    let (refreshes, others) = tokio::join!(timed(ask.call(7)), join_all((0..3).map(|_| timed(ask.call(7)))));
    assert_eq!((refreshes, others), ((Ok(0), secs(1)), vec![(Ok(0), AT_ONCE); 3]));
    advance(secs(1)).await; // the first delay
    assert_pending!(task::spawn(ask.call(7)).poll()); // and dropped at once
    server.is_down(false);
    assert_eq!(ask.call(7).await, Ok(2));
    let stats = memo.stats();
    assert_eq!(sums(&stats), [3, 3, 0, 3]);
    assert_eq!((stats.refreshes, stats.load_failures, stats.loads_abandoned), (3, 1, 1));
    assert_eq!((stats.stale_hits, stats.stale_on_error), (3, 1));
}

/// The refresh began within the window, and fails after it.
#[tokio::test(start_paused = true)]
async fn stale_while_revalidate_a_refresh_that_fails_late_is_an_error() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_while_revalidate(secs(5)).build();
    memo.insert(7, 0);
    let server = Server::default();
    server.is_down(true);
    advance(secs(14)).await;
    assert_eq!(server.ask(7).memoized_by(&memo, 7).await, Err("down 1".into()));
}

/// The caller has its answer already, so the value is not served again.
#[tokio::test(start_paused = true)]
async fn a_background_refresh_that_fails_answers_no_call() {
    let memo: Memo<u8, u64> =
        Memo::builder().ttl(secs(10)).stale_while_revalidate(secs(5)).stale_on_error(secs(60)).build();
    memo.insert(7, 0);
    let server = Server::default();
    server.is_down(true);
    let ask = (move |key| server.ask(key)).memoized(&memo).detached();
    advance(secs(14)).await;
    assert_eq!(timed(ask.call(7)).await, (Ok(0), AT_ONCE));
    sleep(ms(999)).await;
    assert_eq!(timed(ask.call(7)).await, (Ok(0), AT_ONCE));
    let stats = memo.stats();
    assert_eq!((stats.stale_hits, stats.stale_on_error, stats.load_failures), (2, 0, 0));
    sleep(ms(2)).await;
    assert_eq!((memo.stats().stale_on_error, memo.stats().load_failures), (0, 1));
    assert_eq!(timed(ask.call(7)).await, (Ok(0), AT_ONCE));
    sleep(secs(1)).await; // the first delay
    // From now on the value is no longer served while it is refreshed.
    assert_eq!(timed(ask.call(7)).await, (Ok(0), secs(1)));
    assert_eq!((memo.stats().stale_on_error, memo.stats().load_failures), (1, 2));
}

/// A function that panics before it returns its future.
fn panics(_: u8) -> std::future::Ready<u8> {
    panic!("boom")
}

#[tokio::test(start_paused = true)]
async fn a_background_refresh_that_panics_leaves_the_value() {
    for advanced in [secs(8), secs(12)] {
        let memo = Memo::builder().ttl(secs(10)).refresh_ahead(0.8).stale_while_revalidate(secs(5)).build();
        memo.insert(7, 49);
        advance(advanced).await;
        let refreshed = panics.memoized(&memo).detached();
        for n in 1..=3 {
            assert_eq!(timed(refreshed.call(7)).await, (49, AT_ONCE));
            let stats = memo.stats();
            assert_eq!((stats.hits, stats.refreshes, stats.loads_abandoned, stats.loading), (n, n, n, 0));
        }
        assert_eq!(memo.get_or_load(7, || ready(1)).await, 1, "the next call loads");
    }
}

/// A background refresh needs a runtime. The call that begins the refresh does not.
#[test]
fn a_background_refresh_without_a_runtime_leaves_the_value() {
    let memo = Memo::builder().ttl(Duration::from_nanos(1)).stale_while_revalidate(secs(600)).build();
    memo.insert(7, 49);
    while memo.get(&7).is_some() {}
    let refreshed = (|_: u8| ready(1)).memoized(&memo).detached();
    assert_eq!(futures::FutureExt::now_or_never(refreshed.call(7)), Some(49));
    assert_eq!((memo.stats().stale_hits, memo.stats().loads_abandoned), (1, 1));
}

/// A call on a thread clones the function for the refresh, and that clone may panic as well.
#[test]
fn a_background_refresh_that_panics_on_a_thread_keeps_the_value() {
    struct Brittle;
    impl Clone for Brittle {
        fn clone(&self) -> Self {
            panic!("boom")
        }
    }
    let clock = VirtualClock::start();
    let memo = Memo::builder().ttl(secs(10)).stale_while_revalidate(secs(600)).build();
    memo.insert(7, 49);
    clock.advance(secs(10));
    let brittle = Brittle;
    let in_its_clone = (move |_: u8| {
        let _ = &brittle;
        1
    })
    .blocking()
    .memoized(&memo)
    .detached();
    assert_eq!(in_its_clone.call(7), 49);
    assert_eq!((memo.stats().stale_hits, memo.stats().loads_abandoned), (1, 1));
    let in_its_call = (|_: u8| -> u8 { panic!("boom") }).blocking().memoized(&memo).detached();
    assert_eq!((in_its_call.call(7), clock.elapsed()), (49, secs(10)));
    test_util::sleep(secs(1)); // lets the refresh end
    assert_eq!((memo.stats().stale_hits, memo.stats().loads_abandoned), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn negative_values_are_never_served_stale() {
    let memo: Memo<u8, Option<u8>> = Memo::builder()
        .ttl(secs(10))
        .negative(secs(5))
        .stale_while_revalidate(secs(60))
        .stale_on_error(secs(60))
        .build();
    memo.insert(1, Some(1));
    memo.insert(2, None);
    advance(secs(11)).await;
    for (key, stale) in [(1, Some(1)), (2, None)] {
        let mut refreshes = task::spawn(memo.get_or_load(key, std::future::pending::<Option<u8>>));
        assert_pending!(refreshes.poll());
        let mut other = task::spawn(memo.get_or_load(key, || ready(None::<u8>)));
        if stale.is_some() {
            assert_ready_eq!(other.poll(), stale);
        } else {
            assert_pending!(other.poll());
        }
    }
    assert_eq!(memo.get_or_load(2, || ready(Err::<Option<u8>, _>(down()))).await, Err(down()));
}

// ---- refresh ahead ----

#[tokio::test(start_paused = true)]
async fn refresh_ahead_one_call_refreshes_and_the_value_never_expires() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(100)).refresh_ahead(0.8).build();
    let server = Server::default();
    let ask = (|key| server.ask(key)).memoized(&memo);
    ask.call(7).await.unwrap();
    advance(just_before(secs(80))).await;
    assert_eq!(timed(ask.call(7)).await, (Ok(1), AT_ONCE));
    advance(NANO).await;
    let answers = join_all((0..100).map(|_| timed(ask.call(7)))).await;
    assert_eq!(answers[0], (Ok(2), secs(1)));
    assert!(answers[1..].iter().all(|answer| *answer == (Ok(1), AT_ONCE)));
    assert_eq!(memo.get(&7), Some(2));
    // The new value has a whole TTL again.
    advance(just_before(secs(80))).await;
    assert_eq!(timed(ask.call(7)).await, (Ok(2), AT_ONCE));
    let stats = memo.stats();
    assert_eq!(sums(&stats), [102, 2, 0, 2]);
    assert_eq!((stats.refreshes, stats.refreshes_ahead, stats.stale_hits, stats.expirations), (1, 1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn refresh_ahead_of_a_detached_function_never_waits() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(100)).refresh_ahead(0.8).build();
    let server = Server::default();
    let ask = (move |key| server.ask(key)).memoized(&memo).detached();
    ask.call(7).await.unwrap();
    for round in 1..=10 {
        advance(secs(90)).await;
        assert_eq!(timed(ask.call(7)).await, (Ok(round), AT_ONCE));
        sleep(secs(1) + ms(1)).await;
    }
    let stats = memo.stats();
    assert_eq!(sums(&stats), [10, 1, 0, 11]);
    assert_eq!((stats.refreshes_ahead, stats.expirations), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn refresh_ahead_hides_a_failure_until_the_value_expires() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(100)).refresh_ahead(0.8).build();
    let server = Server::default();
    let ask = (|key| server.ask(key)).memoized(&memo);
    ask.call(7).await.unwrap();
    server.is_down(true);
    advance(secs(80)).await;
    assert_eq!(ask.call(7).await, Ok(1));
    assert_eq!((memo.stats().load_failures, memo.stats().stale_on_error), (1, 0));
    // This refresh begins before the expiry and ends after it.
    advance(secs(18) + ms(500)).await;
    assert_eq!(ask.call(7).await, Err("down 3".into()));
}

// ---- stale on error ----

#[tokio::test(start_paused = true)]
async fn stale_on_error_all_waiting_calls_get_the_expired_value() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_on_error(secs(60)).build();
    let server = Server::default();
    let ask = (|key| server.ask(key)).memoized(&memo);
    ask.call(7).await.unwrap();
    server.is_down(true);
    advance(secs(10)).await;
    let answers = join_all((0..100).map(|_| timed(ask.call(7)))).await;
    assert!(answers.iter().all(|answer| *answer == (Ok(1), secs(1))), "all wait, because the value has expired");
    let stats = memo.stats();
    assert_eq!(sums(&stats), [0, 2, 99, 2]);
    assert_eq!((stats.stale_on_error, stats.load_failures, stats.expirations), (100, 1, 0));
    // Later calls try again after the delays, until the service is up again.
    assert_eq!(timed(ask.call(7)).await, (Ok(1), AT_ONCE));
    advance(secs(1)).await;
    assert_eq!(timed(ask.call(7)).await, (Ok(1), secs(1)));
    server.is_down(false);
    advance(secs(2)).await;
    assert_eq!(timed(ask.call(7)).await, (Ok(4), secs(1)));
    let stats = memo.stats();
    assert_eq!(sums(&stats), [1, 4, 99, 4]);
    assert_eq!((stats.stale_hits, stats.stale_on_error, stats.expirations), (1, 101, 1));
}

#[tokio::test(start_paused = true)]
async fn stale_on_error_ends_with_its_window() {
    for (window, answer) in [(just_before(secs(60)), Ok(0)), (secs(60), Err(down()))] {
        let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_on_error(secs(60)).build();
        memo.insert(7, 0);
        advance(secs(10) + window).await;
        assert_eq!(memo.get(&7), None);
        assert_eq!(memo.get_or_load(7, || ready(Err::<u64, _>(down()))).await, answer);
    }
}

#[tokio::test(start_paused = true)]
async fn stale_on_error_does_not_restore_cleared_values() {
    for clear in [|memo: &Memo<u8, u64>| memo.clear(), |memo: &Memo<u8, u64>| memo.invalidate(&7)] {
        let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_on_error(secs(60)).build();
        memo.insert(7, 0);
        advance(secs(10)).await;
        let failing = async {
            sleep(secs(1)).await;
            Err::<u64, _>(down())
        };
        let mut call = task::spawn(failing.memoized_by(&memo, 7));
        assert_pending!(call.poll());
        clear(&memo);
        advance(secs(1)).await;
        assert_ready_eq!(call.poll(), Err(down()));
    }
}

#[tokio::test(start_paused = true)]
async fn stale_on_error_without_a_value_returns_the_error() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_on_error(secs(60)).build();
    assert_eq!(memo.get_or_load(7, || ready(Err::<u64, _>(down()))).await, Err(down()));
    assert_eq!(memo.stats().stale_on_error, 0);
}

// ---- time to idle ----

/// Tries each kind of use of a value that has not expired, in both halves.
#[test]
fn uses_extend_the_life_of_a_value_up_to_its_ttl() {
    let build = || -> Memo<u8, u64> { Memo::builder().ttl(secs(35)).time_to_idle(secs(10)).build() };
    let pauses = [9, 9, 9, 7, 1].map(secs);
    let expected = [Ok(0), Ok(0), Ok(0), Ok(0), Err(down())];
    let seen = paused().block_on(async {
        let memo = build();
        memo.insert(7, 0);
        let ask = (|_: u8| ready(Err::<u64, _>(down()))).memoized(&memo);
        let mut seen = Vec::new();
        for pause in pauses {
            advance(pause).await;
            seen.push(ask.call(7).await);
        }
        seen
    });
    assert_eq!(seen, expected);
    let (memo, clock) = (build(), VirtualClock::start());
    memo.insert(7, 0);
    let ask = (|_: u8| Err::<u64, _>(down())).blocking().memoized(&memo);
    let seen = pauses.map(|pause| {
        clock.advance(pause);
        ask.call(7)
    });
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn an_idle_value_is_served_stale_and_a_stale_answer_is_no_use() {
    let memo: Memo<u8, u64> = Memo::builder().time_to_idle(secs(10)).stale_on_error(secs(5)).build();
    memo.insert(7, 0);
    let failing = || ready(Err::<u64, _>(down()));
    advance(just_before(secs(10))).await;
    assert_eq!(memo.get(&7), Some(0));
    advance(secs(10)).await;
    assert_eq!(memo.get(&7), None);
    for _ in 0..5 {
        assert_eq!(memo.get_or_load(7, failing).await, Ok(0));
        advance(secs(1)).await;
    }
    assert_eq!(memo.get_or_load(7, failing).await, Err(down()));
}

// ---- refresh backoff ----

type Set = fn(MemoBuilder<u8, u64>) -> MemoBuilder<u8, u64>;

/// Each setting that refreshes values, with a refresh 10 s after the insertion.
const REFRESHED: [Set; 3] = [
    |builder| builder.ttl(secs(100_000)).refresh_ahead(0.000_1),
    |builder| builder.ttl(secs(10)).stale_while_revalidate(secs(100_000)),
    |builder| builder.ttl(secs(10)).stale_on_error(secs(100_000)),
];

/// Each backoff, with the number of loads in ten minutes of calls every 100 ms.
const BACKOFFS: [(Set, u64); 5] = [
    // At 0, 1, 3, 7, 15, 31 and 63 s, and then every minute.
    (|builder| builder, 15),
    // At 0, 7, 21, 42 and 70 s, and then every 30 s.
    (|builder| builder.refresh_backoff(RetryPolicy::linear(secs(7)).max_delay(secs(30))), 22),
    // The number of attempts and the deadline have no effect.
    (|builder| builder.refresh_backoff(RetryPolicy::fixed(secs(60)).max_attempts(1).deadline(secs(1))), 10),
    (|builder| builder.refresh_backoff(RetryPolicy::fixed(Duration::MAX)), 1),
    (|builder| builder.refresh_backoff(RetryPolicy::fixed(Duration::ZERO)), 6_000),
];

const CALLS: u64 = 6_000;

#[test]
fn refresh_backoff_limits_the_loads_of_a_dead_service() {
    let down = || Err::<u64, _>(down());
    for refreshed in REFRESHED {
        for (backoff, loads) in BACKOFFS {
            let memo = || backoff(refreshed(Memo::builder())).build();

            let tasks = paused().block_on(async {
                let memo = memo();
                memo.insert(7, 0);
                advance(secs(10)).await;
                let ask = (|_: u8| ready(down())).memoized(&memo);
                for _ in 0..CALLS {
                    assert_eq!(timed(ask.call(7)).await, (Ok(0), AT_ONCE));
                    advance(ms(100)).await;
                }
                memo.stats()
            });

            let clock = VirtualClock::start();
            let memo = memo();
            memo.insert(7, 0);
            clock.advance(secs(10));
            let ask = (|_: u8| down()).blocking().memoized(&memo);
            for _ in 0..CALLS {
                assert_eq!(ask.call(7), Ok(0));
                clock.advance(ms(100));
            }
            assert_eq!(clock.elapsed(), secs(610), "no call waits");

            for stats in [tasks, memo.stats()] {
                assert_eq!(sums(&stats), [CALLS - loads, loads, 0, loads]);
                assert_eq!((stats.load_failures, stats.expirations), (loads, 0));
            }
        }
    }
}

/// The delays count from the end of a load, to the nanosecond. After a success they start again.
#[tokio::test(start_paused = true)]
async fn a_failed_refresh_is_tried_again_after_its_delay() {
    for refreshed in REFRESHED {
        let memo = refreshed(Memo::builder()).build();
        let server = Server::default();
        let ask = (|key| server.ask(key)).memoized(&memo);
        memo.insert(7, 0);
        advance(secs(10)).await;
        for round in 0..2 {
            let value = round * 4;
            server.is_down(true);
            for delay in [1, 2, 4] {
                assert_eq!(timed(ask.call(7)).await, (Ok(value), secs(1)), "after the delay, the call loads");
                advance(just_before(secs(delay))).await;
                assert_eq!(timed(ask.call(7)).await, (Ok(value), AT_ONCE), "during the delay, the value is served");
                advance(NANO).await;
            }
            server.is_down(false);
            assert_eq!(timed(ask.call(7)).await, (Ok(value + 4), secs(1)));
            assert_eq!(timed(ask.call(7)).await, (Ok(value + 4), AT_ONCE));
            advance(secs(10)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_key_has_delays_of_its_own() {
    let memo = REFRESHED[1](Memo::builder()).build();
    let server = Server::default();
    let ask = (|key| server.ask(key)).memoized(&memo);
    memo.insert(7, 0);
    memo.insert(8, 0);
    server.is_down(true);
    advance(secs(10)).await;
    for (key, took) in [(7, secs(1)), (7, AT_ONCE), (8, secs(1)), (8, AT_ONCE), (7, secs(1))] {
        assert_eq!(timed(ask.call(key)).await, (Ok(0), took));
    }
}

/// The earlier value had failed refreshes, or its refresh is under way when it is replaced.
#[tokio::test(start_paused = true)]
async fn a_replaced_value_has_no_delay_from_earlier_failures() {
    let memo = REFRESHED[1](Memo::builder()).build();
    let server = Server::default();
    server.is_down(true);
    let ask = (|key| server.ask(key)).memoized(&memo);
    memo.insert(7, 0);
    advance(secs(10)).await;
    assert_eq!(timed(ask.call(7)).await, (Ok(0), secs(1)));
    memo.insert(7, 1);
    advance(secs(10)).await;
    let mut refreshes = task::spawn(ask.call(7));
    assert_pending!(refreshes.poll());
    memo.insert(7, 2);
    advance(secs(10)).await;
    assert_ready_eq!(refreshes.poll(), Ok(2), "the refresh of 1 fails");
    assert_eq!(timed(ask.call(7)).await, (Ok(2), secs(1)), "and value 2 is refreshed");
}

#[tokio::test(start_paused = true)]
async fn a_delay_ends_with_the_windows_of_the_value() {
    let memo: Memo<u8, u64> =
        Memo::builder().ttl(secs(10)).stale_on_error(secs(5)).refresh_backoff(RetryPolicy::fixed(secs(60))).build();
    memo.insert(7, 0);
    let failing = || ready(Err::<u64, _>(down()));
    advance(secs(10)).await;
    assert_eq!(memo.get_or_load(7, failing).await, Ok(0));
    advance(just_before(secs(5))).await;
    assert_eq!(memo.get_or_load(7, failing).await, Ok(0));
    advance(NANO).await;
    for loads in 2..5 {
        assert_eq!(memo.get_or_load(7, failing).await, Err(down()));
        assert_eq!(memo.stats().loads, loads, "without a value, each call loads");
    }
}

/// The closure of the policy is called outside of all locks.
#[tokio::test(start_paused = true)]
async fn the_closure_of_a_backoff_may_use_the_memo() {
    static MEMO: LazyLock<Memo<u8, u64>> = LazyLock::new(|| {
        let delay = |failures: u32| secs(MEMO.get(&8).unwrap_or(0) * u64::from(failures));
        REFRESHED[1](Memo::builder()).refresh_backoff(RetryPolicy::custom(delay)).build()
    });
    MEMO.insert(7, 0);
    advance(secs(10)).await;
    MEMO.insert(8, 3);
    let failing = || ready(Err::<u64, _>(down()));
    for loads in [1, 1, 2] {
        assert_eq!(MEMO.get_or_load(7, failing).await, Ok(0));
        assert_eq!(MEMO.stats().loads, loads);
        advance(ms(1_500)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn refresh_ahead_and_both_windows_follow_one_another() {
    let memo: Memo<u8, u64> = Memo::builder()
        .ttl(secs(100))
        .refresh_ahead(0.5)
        .stale_while_revalidate(secs(10))
        .stale_on_error(secs(50))
        .build();
    let server = Server::default();
    let ask = (move |key| server.ask(key)).memoized(&memo).detached();
    ask.call(7).await.unwrap();
    let mut answers = Vec::new();
    for pause in [49, 20, 105, 130, 160] {
        advance(secs(pause)).await;
        answers.push(timed(ask.call(7)).await);
        sleep(secs(1) + ms(1)).await;
    }
    // Fresh, then due and refreshed, then stale and refreshed, then expired and waited for, twice.
    let expected = [(Ok(1), AT_ONCE), (Ok(1), AT_ONCE), (Ok(2), AT_ONCE), (Ok(4), secs(1)), (Ok(5), secs(1))];
    assert_eq!(answers, expected);
    let stats = memo.stats();
    assert_eq!(sums(&stats), [3, 3, 0, 5]);
    assert_eq!((stats.refreshes, stats.refreshes_ahead, stats.stale_hits, stats.expirations), (2, 1, 1, 3));
}
