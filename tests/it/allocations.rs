//! Calls that succeed allocate nothing. An allocator counts, on the thread of each test.

#![allow(unsafe_code)] // a global allocator is unsafe to write

use crate::{
    every::{self, every_decorator, every_future_decorator},
    support::secs,
};
use decor::{KeyedLimiter, Memo, prelude::*};
use futures::{StreamExt as _, stream};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    future::{Future, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Number of bytes that this thread has allocated and not freed.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn live(change: isize) {
    LIVE.with(|live| live.set(live.get() + change));
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        live(isize::try_from(layout.size()).unwrap_or(0));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        live(-isize::try_from(layout.size()).unwrap_or(0));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations_of<T>(work: impl FnOnce() -> T) -> u64 {
    let before = ALLOCATIONS.get();
    let result = work();
    let after = ALLOCATIONS.get();
    drop(result);
    after - before
}

/// Polls a call that is ready at once. There is no runtime, so the call cannot arm a timer either.
fn now<F: Future>(call: F) -> F::Output {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

type Answer = Result<u64, decor::Error>;

async fn fetch(id: u64, _: &str) -> Answer {
    Ok(id)
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_of(|| Box::new(1)), 1);
    assert_eq!(
        allocations_of(|| now((|| ready(1)).boxed().call())),
        2,
        "one for the `Arc`, one for the box of the future"
    );
}

/// The timer of a stream, and its place in a queue, are boxed when the stream first waits.
#[test]
fn a_stream_allocates_nothing_before_it_waits() {
    let limiter = RateLimiter::new(2, secs(1));
    let items = stream::iter([Answer::Ok(1), Ok(2)]).chain(stream::pending());
    let mut items = items.timeout_each(secs(1)).first(secs(2)).rate_limited(&limiter);
    assert_eq!(allocations_of(|| [now(items.next()), now(items.next())]), 0);
}

/// The stream itself may stay in a struct for long.
#[tokio::test(start_paused = true)]
async fn a_stream_that_has_ended_holds_no_timer() {
    tokio::time::advance(secs(1)).await; // tokio's own lists grow at the first time
    let mut cx = Context::from_waker(Waker::noop());
    let before = LIVE.get();
    let mut silent = stream::pending::<Answer>().timeout_each(secs(1));
    assert!(silent.poll_next_unpin(&mut cx).is_pending());
    assert!(LIVE.get() > before);
    tokio::time::advance(secs(1)).await;
    assert!(matches!(silent.poll_next_unpin(&mut cx), Poll::Ready(Some(Err(_)))));
    assert_eq!(LIVE.get(), before);

    let mut polls = 0;
    let ends = stream::poll_fn(|_| {
        polls += 1;
        if polls == 1 { Poll::Pending } else { Poll::Ready(None::<Answer>) }
    });
    let mut ends = ends.timeout_each(secs(1));
    assert!(ends.poll_next_unpin(&mut cx).is_pending());
    assert!(LIVE.get() > before);
    assert!(matches!(ends.poll_next_unpin(&mut cx), Poll::Ready(None)));
    assert_eq!(LIVE.get(), before);
}

type Arg = u64;

async fn answer(id: Arg) -> Answer {
    Ok(id)
}

macro_rules! allocations {
    ($($decorator:ident: |$f:ident| $chain:expr => $shown:literal;)*) => {
        /// Counts from the second call on. The first one warns, loads, or makes the limiter of its
        /// key.
        #[test]
        fn every_decorator_alone_allocates_nothing() {$(
            let $f = answer;
            let chain = $chain;
            drop(now(chain.call(7)));
            let expected = u64::from(stringify!($decorator) == "boxed"); // the future's box
            assert_eq!(allocations_of(|| now(chain.call(7))), expected, "{}", stringify!($decorator));
        )*}
    };
}
every_decorator!(allocations);

/// The decorators that allocate for the first call of a key: for a loaded value, for a window, or
/// because the call drops the last handle of its memo.
const FIRST_CALLS: [&str; 6] = [
    "memoized_by",
    "rate_limited_by_key",
    "rate_limited_within_by_key",
    "try_rate_limited_by_key",
    "invalidating",
    "invalidating_tag",
];

macro_rules! allocations_of_futures {
    ($($decorator:ident: |$f:ident| $chain:expr;)*) => {
        #[test]
        fn every_decorator_of_a_future_alone_allocates_nothing() {$(
            let $f = answer(7);
            let call = $chain;
            let is_free = allocations_of(|| now(call)) == 0;
            assert_eq!(is_free, !FIRST_CALLS.contains(&stringify!($decorator)), "{}", stringify!($decorator));
        )*}
    };
}
every_future_decorator!(allocations_of_futures);

/// A body that holds permits has a place for them, which is shared with the gates, and a list.
#[test]
fn services_in_chains_and_layers_allocate_nothing_but_the_place_of_permits() {
    use decor::tower::{callable, http_layer, layer};
    use http::Response;
    use tower::{Layer, Service, service_fn};

    let service = || service_fn(|_: u64| ready(Ok::<_, std::convert::Infallible>(Response::new(String::new()))));
    let (limiter, concurrency) = (RateLimiter::new(100, secs(1)), ConcurrencyLimiter::new(2));
    let chain = callable(service()).lifted().timeout(secs(1)).concurrency_limited(&concurrency).rate_limited(&limiter);
    assert_eq!(allocations_of(|| now(chain.call(7))), 0);
    let mut plain = layer(|next| next.timed("service")).layer(service());
    assert_eq!(allocations_of(|| now(plain.call(7))), 0);
    let mut answering = http_layer(|next| next.timeout(secs(1)).try_rate_limited(&limiter)).layer(service());
    assert_eq!(allocations_of(|| now(answering.call(7))), 0);
    let mut held = http_layer(|next| next.timeout(secs(1)).try_concurrency_limited(&concurrency)).layer(service());
    assert_eq!(allocations_of(|| now(held.call(7))), 2);
}

/// The first call is in the future itself, and so is the timer. A hedge has a box of its own.
#[tokio::test(start_paused = true)]
async fn a_hedged_call_allocates_nothing_before_its_second_call() {
    for hedge in [Hedge::after(secs(1)), Hedge::percentile(0.5)] {
        let ready_at_once = fetch.hedged(&hedge);
        assert_eq!(allocations_of(|| now(ready_at_once.call(1, "en"))), 0);
        let hangs = (|_: u64, _: &str| std::future::pending::<Answer>()).hedged(&hedge);
        let mut polls = Context::from_waker(Waker::noop());
        (0..100).for_each(|_| drop(now(ready_at_once.call(1, "en"))));
        let before = ALLOCATIONS.get();
        let mut call = pin!(hangs.call(1, "en"));
        if hedge.stats().delay == Some(secs(1)) {
            assert!(call.as_mut().poll(&mut polls).is_pending());
            assert_eq!(ALLOCATIONS.get() - before, 0, "{hedge}");
            tokio::time::advance(secs(1)).await;
            let waited = ALLOCATIONS.get();
            assert!(call.as_mut().poll(&mut polls).is_pending());
            assert_eq!(ALLOCATIONS.get() - waited, 2, "the list of the hedges, and the hedge's box");
        } else {
            assert!(call.as_mut().poll(&mut polls).is_pending());
            assert_eq!(ALLOCATIONS.get() - before, 2, "a percentile of zero starts the hedge at once");
        }
        assert_eq!(hedge.stats().hedges, 1);
    }
}

#[test]
fn an_answer_that_is_not_needed_allocates_nothing() {
    let closure = fetch.fallback(async |_: decor::Error, id: u64, _: &str| Answer::Ok(id));
    let other = fetch.fallback_to(fetch);
    assert_eq!(allocations_of(|| now(closure.call(1, "en"))), 0);
    assert_eq!(allocations_of(|| now(other.call(1, "en"))), 0);
    let sync = (|id: u64| Answer::Ok(id)).blocking().fallback(|_: decor::Error, id: u64| Answer::Ok(id));
    assert_eq!(allocations_of(|| sync.call(1)), 0);
}

#[test]
fn a_settled_call_allocates_nothing() {
    let limiter = RateLimiter::windows([(1_000, secs(1)), (1_000, secs(1))]);
    let chain = answer.rate_limited_by(&limiter, |_: &u64| [9, 9]).settled(|used| [4, u32::try_from(*used).unwrap()]);
    for used in [7, 20] {
        assert_eq!(allocations_of(|| now(chain.call(used))), 0);
    }
    assert_eq!(limiter.available_per_window(), [992, 973]);
}

#[test]
fn decorators_with_options_allocate_nothing() {
    let policy = RetryPolicy::exponential(secs(1)).jitter(Jitter::Full).max_attempts(5).deadline(secs(30));
    let timed = fetch.timed("fetch");
    let logged = fetch.logged();
    let logged_values = fetch.logged_values();
    let timeout = fetch.timeout(secs(1));
    let retried = fetch.retry_with(&policy).transient();
    let explained = fetch.retry_with(&policy).explained();
    let validated = fetch.validated(|id: &u64, _: &&str| if *id == 0 { Err("zero") } else { Ok(()) });
    let converted = fetch.lifted().map_err(|e: decor::Failure<decor::Error>| e).named("x");

    assert_eq!(allocations_of(|| now(timed.call(1, "en"))), 0);
    assert_eq!(allocations_of(|| now(logged.call(1, "en"))), 0);
    assert_eq!(allocations_of(|| now(logged_values.call(1, "en"))), 0);
    assert_eq!(allocations_of(|| now(timeout.call(1, "en"))), 0);
    assert_eq!(allocations_of(|| now(retried.call(1, "en"))), 0);
    assert_eq!(allocations_of(|| now(explained.call(1, "en"))), 0);
    assert_eq!(allocations_of(|| now(validated.call(1, "en"))), 0);
    assert_eq!(allocations_of(|| now(converted.call(1, "en"))), 0);
}

#[test]
fn calls_with_a_name_made_at_run_time_allocate_nothing() {
    let name = || "x".repeat(3);
    let chain = fetch.named(name()).timeout(secs(1)).retry_with(RetryPolicy::default()).logged().timed(name());
    assert_eq!(allocations_of(|| now(chain.call(1, "en"))), 0);
    let sync = (|id: u64| Answer::Ok(id)).blocking().named(name()).retry_with(RetryPolicy::default()).timed(name());
    assert_eq!(allocations_of(|| sync.call(1)), 0);
    let shared = decor::Name::from(name());
    assert_eq!(allocations_of(|| now(ready(Answer::Ok(1)).timed(shared.clone()))), 0);
}

#[test]
fn a_deprecated_function_that_has_warned_allocates_nothing() {
    let deprecated = fetch.deprecated("use another");
    now(deprecated.call(1, "en")).unwrap();
    assert_eq!(allocations_of(|| now(deprecated.call(1, "en"))), 0);
}

#[test]
fn decorators_of_a_future_allocate_nothing() {
    assert_eq!(allocations_of(|| now(ready(Answer::Ok(1)).timed("x"))), 0);
    assert_eq!(allocations_of(|| now(ready(Answer::Ok(1)).logged())), 0);
    assert_eq!(allocations_of(|| now(ready(Answer::Ok(1)).timeout(secs(1)))), 0);
    assert_eq!(allocations_of(|| now(ready(Answer::Ok(1)).lifted())), 0);
    assert_eq!(allocations_of(|| now(ready(1).fallible())), 0);
}

#[test]
fn a_chain_of_all_decorators_allocates_nothing() {
    let policy = RetryPolicy::exponential(secs(1)).jitter(Jitter::Full).max_attempts(5);
    let chain = fetch
        .timeout(secs(2))
        .retry_with(&policy)
        .transient()
        .timeout(secs(10))
        .validated(|_: &u64, _: &&str| Ok::<_, &str>(()))
        .logged()
        .timed("fetch");
    assert_eq!(allocations_of(|| now(chain.call(1, "en"))), 0);
    assert_eq!(allocations_of(|| chain.clone()), 0);
    let awaited = (|| ready(Answer::Ok(1))).timeout(secs(2)).retry_with(policy).logged().timed("fetch");
    assert_eq!(allocations_of(|| now(awaited.into_future())), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_within_its_limits_allocates_nothing() {
    let chain = (|| tokio::task::yield_now().fallible()).timeout(secs(1)).retry_with(RetryPolicy::default());
    chain.call().await.unwrap();
    let before = ALLOCATIONS.get();
    let mut call = pin!(chain.call());
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(ALLOCATIONS.get() - before, 0, "the timer is a part of the future");
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_waits_leaves_no_memory_behind() {
    let failing =
        (|| ready(Answer::Err(decor::Error::QueueFull { waiting: 1 }))).retry_with(RetryPolicy::fixed(secs(1)));
    let before = LIVE.get();
    let mut call = Box::pin(failing.call());
    let unpolled = LIVE.get();
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(LIVE.get() > unpolled, "a failed attempt allocates the state of the wait");
    drop(call);
    assert_eq!(LIVE.get(), before);
    failing.call().await.unwrap_err();
    assert_eq!(LIVE.get(), before);
}

#[test]
fn a_free_permit_allocates_nothing() {
    let exact = RateLimiter::new(1_000, secs(60));
    let windows = RateLimiter::windows([(1_000, secs(60)), (1_000, secs(1))]);
    let paced = RateLimiter::builder().paced(1_000, secs(1)).burst(1_000).build();
    for limiter in [exact, windows, paced] {
        let limited = fetch.rate_limited(&limiter);
        let weighted = fetch.rate_limited_by(&limiter, |_: &u64, _: &&str| 2);
        let within = fetch.rate_limited_within(&limiter, secs(1));
        assert_eq!(allocations_of(|| now(limiter.acquire())), 0);
        assert_eq!(allocations_of(|| now(limiter.acquire_many(3)).unwrap()), 0);
        assert_eq!(allocations_of(|| limiter.try_acquire().unwrap()), 0);
        assert_eq!(allocations_of(|| now(limited.call(1, "en"))), 0);
        assert_eq!(allocations_of(|| now(weighted.call(1, "en"))), 0);
        assert_eq!(allocations_of(|| now(within.call(1, "en"))), 0);
        // The log of a window is reserved when the limiter is made.
        assert_eq!(allocations_of(|| (0..900).for_each(|_| limiter.try_acquire().unwrap())), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_million_waiters_leave_no_memory_behind() {
    const WAITERS: usize = 1_000_000;
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let before = LIVE.get();
    let mut waiters: Vec<_> = (0..WAITERS).map(|_| Box::pin(limiter.acquire())).collect();
    let without_queue = LIVE.get();
    let allocations = ALLOCATIONS.get();
    for waiter in &mut waiters {
        assert!(waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert!(ALLOCATIONS.get() - allocations <= WAITERS as u64, "at most one for each waiter");
    let each = (LIVE.get() - without_queue) / isize::try_from(WAITERS).unwrap();
    assert!(each <= 256, "{each} bytes for each waiter, beside its future");
    assert_eq!(limiter.waiting(), WAITERS);
    // Waiters leave from the middle, the front and the end.
    let back = waiters.split_off(WAITERS / 2);
    let mut turn = 0;
    waiters.retain(|_| {
        turn += 1;
        turn % 2 == 0
    });
    drop(back);
    drop(waiters);
    assert_eq!(limiter.waiting(), 0);
    assert!(LIVE.get() - before <= 1_024, "{} bytes left", LIVE.get() - before);
}

#[test]
fn a_key_of_a_keyed_limiter_takes_what_is_documented() {
    const KEYS: u64 = 10_000;
    let per_user = KeyedLimiter::new(100, secs(60));
    let before = LIVE.get();
    for user in 0..KEYS {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    let each = (LIVE.get() - before) / isize::try_from(KEYS).unwrap();
    assert!(each <= 800, "{each} bytes for each key");
}

#[test]
fn a_hit_of_a_memo_allocates_nothing() {
    let memo = Memo::ttl(secs(300));
    let square = (|n: u64| ready(n * n)).memoized(&memo);
    let by = (|n: u64, _: &str| ready(n * n)).memoized_by(&memo, |n: &u64, _: &&str| *n);
    let chain = square.clone().fallible().logged().timed("square");
    now(square.call(7));
    let hits = allocations_of(|| {
        for _ in 0..12 {
            now(square.call(7));
            now(by.call(7, "en"));
            now(memo.get_or_load(7, || ready(49)));
            memo.get(&7);
        }
    });
    assert_eq!(hits, 0);
    assert_eq!(allocations_of(|| now(chain.call(7)).unwrap()), 0);
    assert_eq!(memo.stats().misses, 1);

    let hits = allocations_of(|| (0..10_000).for_each(|_| assert_eq!(now(square.call(7)), 49)));
    assert_eq!(hits, 0, "and moka is told of none of them");
}

#[test]
fn only_a_miss_makes_an_owned_key_of_a_borrowed_one() {
    let memo: Memo<(String, u32), u64> = Memo::ttl(secs(300));
    let length = (|text: &str, _: u32| ready(text.len() as u64)).memoized(&memo);
    let long_enough = "a key that no small-string trick would hold";
    assert!(allocations_of(|| now(length.call(long_enough, 1))) > 0);
    assert_eq!(allocations_of(|| (0..60).for_each(|_| assert_eq!(now(length.call(long_enough, 1)), 43))), 0);
    let words: Memo<String, u64> = Memo::ttl(secs(300));
    words.insert(long_enough.to_owned(), 43);
    assert_eq!(allocations_of(|| words.get(long_enough)), 0);
    assert_eq!(allocations_of(|| now(words.get_or_load(long_enough, || ready(0)))), 0);
}

#[tokio::test(start_paused = true)]
async fn waiters_of_a_load_leave_no_memory_behind() {
    const WAITERS: usize = 100_000;
    let memo: Memo<u64, u64> = Memo::ttl(secs(300));
    memo.insert(8, 64); // registers this thread with moka's memory reclamation
    let mut leader = Box::pin(memo.get_or_load(7, std::future::pending::<u64>));
    assert!(leader.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let before = LIVE.get();
    let mut waiters: Vec<_> = (0..WAITERS).map(|_| Box::pin(memo.get_or_load(7, || ready(49)))).collect();
    let without_flight = LIVE.get();
    for waiter in &mut waiters {
        assert!(waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let each = (LIVE.get() - without_flight) / isize::try_from(WAITERS).unwrap();
    assert!(each <= 48, "{each} bytes for each waiter, beside its future");
    drop(waiters);
    drop(leader);
    assert_eq!(now(memo.get_or_load(7, || ready(49))), 49);
    assert!(LIVE.get() - before <= 2_048, "{} bytes left", LIVE.get() - before);
}

#[test]
fn a_blocking_call_that_succeeds_at_once_allocates_nothing() {
    let policy = RetryPolicy::exponential(secs(1)).jitter(Jitter::Full).max_attempts(5).deadline(secs(30));
    let limiter = RateLimiter::new(1_000, secs(60));
    let memo: Memo<u64, u64> = Memo::ttl(secs(300));
    let fetch = (|id: u64, _: &str| Answer::Ok(id)).blocking();
    let timed = fetch.timed("fetch");
    let logged = fetch.logged_values();
    let retried = fetch.retry_with(&policy).transient();
    let permitted = fetch.rate_limited(&limiter).rate_limited_by(&limiter, |_: &u64, _: &&str| 2);
    let validated = fetch.validated(|id: &u64, _: &&str| if *id == 0 { Err("zero") } else { Ok(()) });
    let converted = fetch.lifted().map_err(|e: decor::Failure<decor::Error>| e).named("x");
    let memoized = fetch.memoized_by(&memo, |id: &u64, _: &&str| *id);
    memoized.call(1, "en").unwrap();
    memo.stats();
    let boxed = (|id: u64| Answer::Ok(id)).blocking().retry_with(&policy).boxed();
    let (breaker, budget, chaos) = (CircuitBreaker::consecutive(5), RetryBudget::new(0.1), decor::Chaos::seeded(7));
    let (places, adaptive) = (ConcurrencyLimiter::new(8), ConcurrencyLimiter::adaptive(4..=100));
    let guarded = fetch.chaotic(&chaos, || decor::Error::QueueFull { waiting: 0 }).guarded_by(&breaker);
    let placed = guarded
        .clone()
        .backing_off(&adaptive, |_: &decor::Error| true)
        .concurrency_limited(&places)
        .concurrency_limited_by(&adaptive, |_: &u64, _: &&str| 2)
        .unless_open(&breaker)
        .retry_with(&policy)
        .transient()
        .budgeted(&budget)
        .fallback(|error: decor::Error, _: u64, _: &str| Err(error));
    let chain = fetch
        .rate_limited(&limiter)
        .retry_with(&policy)
        .transient()
        .validated(|_: &u64, _: &&str| Ok::<_, &str>(()))
        .logged()
        .timed("fetch");
    assert_eq!(allocations_of(|| timed.call(1, "en")), 0);
    assert_eq!(allocations_of(|| logged.call(1, "en")), 0);
    assert_eq!(allocations_of(|| retried.call(1, "en")), 0);
    assert_eq!(allocations_of(|| permitted.call(1, "en")), 0);
    assert_eq!(allocations_of(|| validated.call(1, "en")), 0);
    assert_eq!(allocations_of(|| converted.call(1, "en")), 0);
    assert_eq!(allocations_of(|| memoized.call(1, "en")), 0);
    assert_eq!(allocations_of(|| boxed.call(1)), 0);
    assert_eq!(allocations_of(|| guarded.call(1, "en")), 0);
    assert_eq!(allocations_of(|| placed.call(1, "en")), 0);
    assert_eq!(allocations_of(|| chain.call(1, "en")), 0);
    assert_eq!(limiter.stats().delayed, 0);
}
