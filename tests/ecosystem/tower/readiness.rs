//! A service is made ready inside the call, after the permits: nothing is reserved before.

use super::{
    ms, secs,
    strict::{Strict, echo, silent},
};
use decor::{
    Error, Failure,
    prelude::*,
    tower::{callable, layer, service},
};
use futures::{StreamExt, TryStreamExt, stream};
use std::{
    convert::Infallible,
    future::{pending, ready},
    sync::Arc,
    task::Poll,
};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};

#[test]
#[should_panic(expected = "called without being ready")]
fn the_strict_service_notices_a_call_of_a_clone_that_is_not_ready() {
    let mut ready_one = echo();
    assert!(ready_one.poll_ready(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready());
    drop(ready_one.clone().call(1));
}

#[tokio::test(start_paused = true)]
async fn a_service_is_never_called_unready() {
    let (inner, limiter) = (echo(), RateLimiter::new(100, secs(1)));
    let counts = Arc::clone(&inner.counts);
    let mut outer = layer(move |inner| inner.rate_limited(&limiter).timeout(secs(1))).layer(inner);

    // As tower has it, without being asked, and as a clone of a service that is ready.
    assert_eq!(outer.ready().await.unwrap().call(1).await, Ok(1));
    assert_eq!(outer.call(2).await, Ok(2));
    assert_eq!(outer.clone().call(3).await, Ok(3));
    assert_eq!(outer.clone().oneshot(4).await, Ok(4));
    let all = outer.clone().call_all(stream::iter(5..=24));
    assert_eq!(all.try_collect::<Vec<_>>().await.unwrap(), (5..=24).collect::<Vec<_>>());
    let calls = stream::iter(25..=44).map(|id| outer.call(id)).buffer_unordered(20);
    assert_eq!(calls.count().await, 20);
    assert_eq!((counts.calls(), counts.made(), counts.reserved()), (44, 44, 0));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_permit_reserves_nothing_and_dropping_leaves_no_waiter() {
    let (inner, limiter) = (echo(), RateLimiter::new(1, secs(60)));
    let counts = Arc::clone(&inner.counts);
    let handle = limiter.clone();
    let mut outer = layer(move |inner| inner.rate_limited(&limiter)).layer(inner);
    assert_eq!(outer.call(1).await, Ok(1));
    assert_eq!(counts.asked(), 1);

    let mut waiting = task::spawn(outer.ready().await.unwrap().call(2));
    assert_pending!(waiting.poll());
    assert_eq!((counts.asked(), counts.made(), counts.reserved()), (1, 1, 0), "the service was not even asked");
    assert_eq!(handle.waiting(), 1);
    drop(waiting);
    assert_eq!((handle.waiting(), counts.reserved()), (0, 0));

    let begun = Instant::now();
    assert_eq!(outer.call(3).await, Ok(3));
    assert_eq!((begun.elapsed(), counts.made()), (secs(60), 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_service_gives_all_back_when_it_is_dropped() {
    let (inner, limiter) = (echo(), ConcurrencyLimiter::new(1));
    let counts = Arc::clone(&inner.counts);
    let handle = limiter.clone();
    let mut outer = layer(move |inner| inner.concurrency_limited(&limiter)).layer(inner);
    counts.set_busy(true);
    let mut unready = task::spawn(outer.call(1));
    assert_pending!(unready.poll());
    let mut queued = task::spawn(outer.call(2));
    assert_pending!(queued.poll());
    assert_eq!((handle.in_use(), handle.waiting(), counts.asked()), (1, 1, 1));

    drop(queued);
    drop(unready);
    assert_eq!((handle.in_use(), handle.waiting(), counts.reserved(), counts.calls()), (0, 0, 0, 0));
    counts.set_busy(false);
    assert_eq!(outer.call(3).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_nothing_reserved_in_a_service_that_was_called() {
    let inner = silent();
    let counts = Arc::clone(&inner.counts);
    let mut outer = layer(|inner| inner.timeout(secs(1))).layer(inner);
    assert_eq!(outer.call(1).await, Err(Error::TimedOut { name: "Strict".into(), after: secs(1), label: None }));
    assert_eq!((counts.calls(), counts.reserved()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_time_bounds_the_wait_for_the_service() {
    let inner = echo();
    inner.counts.set_busy(true);
    let counts = Arc::clone(&inner.counts);
    let mut outer = layer(|inner| inner.named("echo").timeout(ms(250))).layer(inner);
    let begun = Instant::now();
    assert_eq!(outer.call(1).await.unwrap_err().to_string(), "echo timed out after 250ms");
    assert_eq!((begun.elapsed(), counts.made()), (ms(250), 0));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_becomes_ready_wakes_its_call() {
    let inner = echo();
    let counts = Arc::clone(&inner.counts);
    let mut call = task::spawn(callable(inner).call(7));
    counts.set_busy(true);
    assert_pending!(call.poll());
    assert!(!call.is_woken());
    counts.set_busy(false);
    assert!(call.is_woken());
    assert_eq!(assert_ready!(call.poll()), Ok(7));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_makes_a_clone_of_its_own_ready() {
    let busy = || Error::QueueFull { waiting: 0 };
    let inner = Strict::answering(move |id: u64| ready(if decor::attempt() < 3 { Err(busy()) } else { Ok(id) }));
    let counts = Arc::clone(&inner.counts);
    let retried = callable(inner).retry_with(RetryPolicy::fixed(secs(1)));
    let mut call = task::spawn(retried.call(7));
    assert_pending!(call.poll());
    assert_eq!((counts.calls(), counts.reserved()), (1, 0), "nothing is reserved during the delay");
    assert_eq!(call.await, Ok(7));
    assert_eq!((counts.calls(), counts.made()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_waits_for_its_service_is_dropped_with_its_reservation() {
    let inner = echo();
    let counts = Arc::clone(&inner.counts);
    counts.set_busy(true);
    let chain = callable(inner).timeout(secs(1)).retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2));
    assert!(chain.call(7).await.is_err());
    assert_eq!((counts.made(), counts.reserved(), counts.calls()), (0, 0, 0));
}

#[tokio::test]
async fn a_service_that_fails_to_become_ready_fails_the_call() {
    #[derive(Clone)]
    struct Broken;
    impl Service<u64> for Broken {
        type Response = u64;
        type Error = &'static str;
        type Future = std::future::Pending<Result<u64, &'static str>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("closed"))
        }
        fn call(&mut self, _: u64) -> Self::Future {
            panic!("called after its end")
        }
    }
    assert_eq!(callable(Broken).call(1).await, Err("closed"));
    let mut outer = layer(|inner| inner.lifted().timeout(secs(1))).layer(Broken);
    assert_eq!(outer.call(1).await, Err(Failure::Call("closed")));
}

#[test]
fn a_chain_is_always_ready_and_lazy() {
    let inner = echo();
    let counts = Arc::clone(&inner.counts);
    counts.set_busy(true);
    let limiter = RateLimiter::new(1, secs(60));
    limiter.try_acquire().unwrap();
    let mut outer = service(callable(inner).rate_limited(&limiter));
    let mut ready = task::spawn(outer.ready());
    let outer = assert_ready_ok!(ready.poll());
    drop(outer.call(1)); // outside of a runtime, and not polled
    assert_eq!((counts.asked(), limiter.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_plain_function_is_a_service_and_a_service_a_function() {
    async fn double(n: u64) -> Result<u64, Error> {
        Ok(n * 2)
    }
    let limiter = RateLimiter::new(2, secs(60));
    let mut doubling = service(double.try_rate_limited(&limiter));
    assert_eq!(doubling.ready().await.unwrap().call(21).await, Ok(42));
    let again = callable(doubling).timeout(secs(1));
    assert_eq!(again.call(21).await, Ok(42));
    assert_eq!(again.call(21).await, Err(Error::RateLimited { retry_after: secs(60) }));
}

#[tokio::test(start_paused = true)]
async fn a_boxed_error_takes_those_of_decorators_as_they_are() {
    let hang = tower::service_fn(async |(): ()| pending::<Result<(), BoxError>>().await);
    let mut outer = ServiceBuilder::new().layer(layer(|inner| inner.timeout(secs(2)))).service(hang);
    let error = outer.call(()).await.unwrap_err();
    assert!(matches!(error.downcast_ref::<Error>(), Some(Error::TimedOut { .. })), "{error}");
}

/// axum#2634 and tower#794: tower's own limit counts for each connection, because each has a clone
/// of its own.
#[tokio::test(start_paused = true)]
async fn all_that_a_layer_wraps_shares_its_handles() {
    let limiter = RateLimiter::new(3, secs(60));
    let shared = layer(move |inner| inner.try_rate_limited(&limiter));
    let mut services = [shared.layer(echo()), shared.clone().layer(echo()), shared.layer(echo()).clone()];
    let mut admitted = 0;
    for _ in 0..5 {
        for service in &mut services {
            admitted += u32::from(service.call(1).await.is_ok());
        }
    }
    assert_eq!(admitted, 3);
}

#[tokio::test(start_paused = true)]
async fn limits_by_key_take_the_key_from_the_request() {
    let per_user = KeyedLimiter::new(2, secs(60));
    let mut outer = layer(move |inner| inner.try_rate_limited_by_key(&per_user, |id: &u64| id % 10)).layer(echo());
    let mut answers = Vec::new();
    for id in [1, 11, 21, 2, 12, 22] {
        answers.push(outer.call(id).await.is_ok());
    }
    assert_eq!(answers, [true, true, false, true, true, false]);
}

#[test]
fn services_and_layers_go_wherever_their_parts_go() {
    fn anywhere<T: Clone + Send + Sync + Unpin + 'static>(value: T) -> T {
        value
    }
    fn is_send<T: Send + 'static>(_: &T) {}
    let limiter = RateLimiter::new(1, secs(1));
    let limits = anywhere(layer(move |inner| inner.rate_limited(&limiter)));
    let mut outer = anywhere(limits.layer(echo()));
    is_send(&outer.call(1));
    // Neither the request nor the service of a layer's type matters.
    let never_called = layer(|inner: decor::tower::ServiceFn<std::rc::Rc<()>, *const ()>| inner);
    let _ = anywhere(never_called);
    assert_eq!(format!("{:?}", anywhere(callable::<_, u64>(echo())).clone()), "Strict");
    assert_eq!(format!("{outer:?}"), "ChainService(Strict.rate_limited(1 per 1s))");
    assert_eq!(format!("{limits:?}"), "ChainLayer { .. }");
    let call = callable(echo()).call(1);
    assert_eq!(format!("{call:?}"), "ServiceCall { called: false, .. }");
}

#[tokio::test]
#[should_panic(expected = "`ServiceCall` polled after it completed")]
async fn a_call_that_has_ended_panics_when_it_is_polled() {
    let mut call = task::spawn(callable(echo()).call(1));
    assert_eq!(assert_ready!(call.poll()), Ok(1));
    let _ = call.poll();
}

/// Arguments with a lifetime, in a task: see "no future holds a projection" in DESIGN.md.
#[tokio::test]
async fn calls_with_static_text_can_be_spawned() {
    let shout = tower::service_fn(|text: &'static str| ready(Ok::<_, Infallible>(text.to_uppercase())));
    let limiter = RateLimiter::new(10, secs(1));
    let shout = callable(shout).lifted().rate_limited(&limiter).retry_with(RetryPolicy::default());
    let texts = tokio::spawn(async move { futures::future::join(shout.call("a"), shout.call("b")).await });
    assert_eq!(texts.await.unwrap(), (Ok("A".to_owned()), Ok("B".to_owned())));
}
