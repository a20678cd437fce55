//! Before the first poll no decorator acts, and chains can be built outside of a runtime.

use crate::{
    every::{self, Answer, every_decorator, every_future_decorator},
    support::{listen, secs},
};
use decor::prelude::*;
use std::{
    cell::Cell,
    future::{Future, IntoFuture, pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
};
use tokio_test::{assert_pending, assert_ready, task};

type Arg = u64;

async fn answer(id: Arg) -> Answer {
    Ok(id)
}

macro_rules! lazy {
    ($($decorator:ident: |$f:ident| $chain:expr => $shown:literal;)*) => {
        #[test]
        fn every_decorator_is_silent_before_the_first_poll() {$(
            let log = listen();
            let $f = answer;
            let chain = $chain;
            drop(chain.call(7));
            let mut call = task::spawn(chain.call(7));
            assert_eq!(log.take(), [""; 0], "{}", stringify!($decorator));
            drop(assert_ready!(call.poll(), "{}", stringify!($decorator)));
        )*}
    };
}
every_decorator!(lazy);

macro_rules! lazy_futures {
    ($($decorator:ident: |$f:ident| $chain:expr;)*) => {
        #[test]
        fn every_decorator_of_a_future_is_silent_before_the_first_poll() {$(
            let log = listen();
            let $f = answer(7);
            drop($chain);
            let $f = answer(7);
            let mut call = task::spawn($chain);
            assert_eq!(log.take(), [""; 0], "{}", stringify!($decorator));
            drop(assert_ready!(call.poll(), "{}", stringify!($decorator)));
        )*}
    };
}
every_future_decorator!(lazy_futures);

#[test]
fn an_awaited_chain_does_not_call_the_function_before_the_first_poll() {
    let log = listen();
    let calls = Cell::new(0);
    let count = || {
        calls.set(calls.get() + 1);
        ready(Ok::<_, String>(calls.get()))
    };
    let chain = count
        .named("count")
        .deprecated("use another")
        .timeout(secs(1))
        .retry_with(RetryPolicy::default())
        .validated(|| Ok::<_, &str>(()))
        .logged()
        .timed("count");
    let mut awaited = task::spawn(chain.into_future());
    assert_eq!(calls.get(), 0);
    assert_eq!(log.take(), [""; 0]);
    assert_eq!(assert_ready!(awaited.poll()), Ok(1));
    assert_eq!(calls.get(), 1);
    assert_eq!(log.take().len(), 4);
}

#[test]
fn a_retried_call_does_not_call_the_function_before_the_first_poll() {
    let calls = Cell::new(0);
    let count = |step: u32| {
        calls.set(calls.get() + step);
        ready(Ok::<_, String>(calls.get()))
    };
    let retried = count.retry_with(RetryPolicy::default());
    let call = retried.call(2);
    assert_eq!(calls.get(), 0);
    assert_eq!(assert_ready!(task::spawn(call).poll()), Ok(2));
}

fn memo() -> Memo<u64, u64> {
    Memo::ttl(secs(300))
}

#[test]
fn a_memoized_call_neither_looks_up_nor_loads_before_the_first_poll() {
    /// Makes two calls, and a third that is never polled. The first loads, the second is a hit.
    /// There is no runtime.
    fn check<F: Future<Output = u64>>(memo: &Memo<u64, u64>, calls: &Cell<u64>, call: impl Fn() -> F) {
        let (mut loads, mut hits) = (task::spawn(call()), task::spawn(call()));
        drop(call());
        assert_eq!((calls.get(), memo.stats().calls()), (0, 0));
        assert_eq!(assert_ready!(loads.poll()), 49);
        assert_eq!((calls.get(), memo.stats().misses, memo.stats().loads), (1, 1, 1));
        assert_eq!(assert_ready!(hits.poll()), 49);
        assert_eq!((calls.get(), memo.stats().calls(), memo.stats().hits), (1, 2, 1));
        calls.set(0);
        memo.clear();
    }

    let (squares, calls, keys) = (memo(), Cell::new(0), Cell::new(0));
    let square = |n: u64| {
        calls.set(calls.get() + 1);
        ready(n * n)
    };
    let key = || {
        keys.set(keys.get() + 1);
        7
    };

    let by_args = square.memoized(&squares);
    check(&squares, &calls, || by_args.call(7));
    let by_closure = square.memoized_by(&squares, |_: &u64| key());
    check(&squares, &calls, || by_closure.call(7));
    check(&squares, &calls, || (|| square(7)).memoized_by(&squares, key).into_future());
    check(&squares, &calls, || (|| square(7)).memoized_by(&squares, key).call());
    assert_eq!(keys.get(), 6, "once for each call that was polled");
    check(&squares, &calls, || squares.get_or_load(7, || square(7)));
    check(&squares, &calls, || async { square(7).await }.memoized_by(&squares, 7));
}

#[test]
fn a_detached_call_is_built_and_answered_outside_of_a_runtime_but_cannot_load() {
    let squares = memo();
    let square = (|n: u64| ready(n * n)).memoized(&squares).detached();
    drop(square.call(7));
    drop(squares.get_or_load(7, || ready(49)).detached());
    assert_eq!(squares.stats().calls(), 0);

    let refused = catch_unwind(AssertUnwindSafe(|| task::spawn(square.call(7)).poll())).unwrap_err();
    assert!(refused.downcast::<String>().unwrap().contains("must be called from the context of a Tokio 1.x runtime"));
    assert_eq!((squares.stats().loads, squares.stats().loads_abandoned), (1, 1));

    squares.insert(7, 49);
    assert_eq!(assert_ready!(task::spawn(square.call(7)).poll()), 49);
    assert_eq!(assert_ready!(task::spawn(squares.get_or_load(7, || ready(0)).detached()).poll()), 49);
}

#[test]
#[should_panic(expected = "`LateFuture` polled after it completed")]
fn an_awaited_chain_panics_if_polled_after_its_end() {
    let mut call = task::spawn((|| ready(1)).timed("one").into_future());
    assert_ready!(call.poll());
    let _ = call.poll();
}

#[test]
#[should_panic(expected = "`RetryFuture` polled after it completed")]
fn a_retry_panics_if_polled_after_its_end() {
    let mut call = task::spawn((|| ready(Ok::<_, ()>(1))).retry_with(RetryPolicy::default()).call());
    assert_ready!(call.poll()).unwrap();
    let _ = call.poll();
}

#[test]
#[should_panic(expected = "`MemoizedFuture` polled after it completed")]
fn a_memoized_call_panics_if_polled_after_its_end() {
    let mut call = task::spawn((|n: u64| ready(n * n)).memoized(&memo()).call(7));
    assert_ready!(call.poll());
    let _ = call.poll();
}

#[test]
#[should_panic(expected = "the options of a memoized call must be set before the call is polled")]
fn a_memoized_call_panics_if_its_options_are_set_after_the_first_poll() {
    let halves: Memo<u64, u64> = memo();
    let mut call = task::spawn(halves.get_or_load(7, pending::<Option<u64>>));
    assert_pending!(call.poll());
    drop(call.into_inner().sharing_errors());
}

#[test]
#[should_panic(expected = "`Acquire` polled after it completed")]
fn a_request_for_a_permit_panics_if_polled_after_its_end() {
    let limiter = RateLimiter::new(2, secs(1));
    let mut acquire = task::spawn(limiter.acquire());
    assert_ready!(acquire.poll());
    let _ = acquire.poll();
}
