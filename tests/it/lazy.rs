//! Before the first poll nothing happens, and everything can be built outside of a runtime.

use crate::support::{listen, secs};
use decor::prelude::*;
use std::{
    cell::Cell,
    future::{IntoFuture, ready},
};
use tokio_test::{assert_ready, task};

#[test]
fn awaiting_an_argument_less_chain_calls_nothing_before_the_first_poll() {
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
fn a_retried_call_calls_nothing_before_the_first_poll() {
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

#[test]
#[should_panic(expected = "`Lazy` polled after it completed")]
fn polled_after_its_end_an_awaited_chain_says_so() {
    let mut call = task::spawn((|| ready(1)).timed("one").into_future());
    assert_ready!(call.poll());
    let _ = call.poll();
}

#[test]
#[should_panic(expected = "`RetryFuture` polled after it completed")]
fn polled_after_its_end_a_retry_says_so() {
    let mut call = task::spawn((|| ready(Ok::<_, ()>(1))).retry_with(RetryPolicy::default()).call());
    assert_ready!(call.poll()).unwrap();
    let _ = call.poll();
}
