//! The end of a call: the call is dropped before its permit goes back, however the call ends.

use crate::support::{ms, secs};
use decor::{Error, prelude::*};
use std::{
    cell::RefCell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready, task};

/// The end of a call.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Completes,
    Hangs,
    Panics,
}
use End::{Completes, Hangs, Panics};

/// A call that notes the permits in use when it is dropped.
struct Call {
    end: End,
    limiter: ConcurrencyLimiter,
    seen: Seen,
}

type Seen = Rc<RefCell<Vec<u32>>>;

impl Future for Call {
    type Output = Result<u64, Error>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.end {
            Completes => Poll::Ready(Ok(7)),
            Hangs => Poll::Pending,
            Panics => panic!("in a call"),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.seen.borrow_mut().push(self.limiter.in_use());
    }
}

fn calls(limiter: &ConcurrencyLimiter, seen: &Seen) -> impl Fn(End) -> Call + Clone + use<> {
    let (limiter, seen) = (limiter.clone(), Rc::clone(seen));
    move |end| Call { end, limiter: limiter.clone(), seen: Rc::clone(&seen) }
}

/// Polls a call once, and drops it. Returns the permits that were in use when the call was dropped,
/// and the permits in use after the poll and after the drop.
fn one_poll<F: Future>(make: impl Fn(&ConcurrencyLimiter, &Seen) -> F) -> (Vec<u32>, [u32; 2]) {
    let (limiter, seen) = (ConcurrencyLimiter::new(5), Seen::default());
    let mut call = task::spawn(make(&limiter, &seen));
    let _ = catch_unwind(AssertUnwindSafe(|| drop(call.poll())));
    let polled = limiter.in_use();
    drop(call);
    (seen.take(), [polled, limiter.in_use()])
}

#[test]
fn the_call_of_a_function_is_dropped_before_its_permit_goes_back() {
    let call = |end| one_poll(|limiter, seen| calls(limiter, seen).concurrency_limited(limiter).call(end));
    assert_eq!(call(Completes), (vec![1], [0, 0]));
    assert_eq!(call(Hangs), (vec![1], [1, 0]));
    assert_eq!(call(Panics), (vec![1], [1, 0]));
}

#[test]
fn a_future_is_dropped_before_its_permit_goes_back() {
    let call = |end| one_poll(|limiter, seen| calls(limiter, seen)(end).concurrency_limited(limiter));
    assert_eq!(call(Completes), (vec![1], [0, 0]));
    assert_eq!(call(Hangs), (vec![1], [1, 0]));
    assert_eq!(call(Panics), (vec![1], [1, 0]));
}

#[test]
fn a_call_that_can_be_refused_is_dropped_before_its_permits_go_back() {
    let call =
        |end| one_poll(|limiter, seen| calls(limiter, seen).concurrency_limited_by(limiter, |_: &End| 3).call(end));
    assert_eq!(call(Completes), (vec![3], [0, 0]));
    assert_eq!(call(Hangs), (vec![3], [3, 0]));
    assert_eq!(call(Panics), (vec![3], [3, 0]));
    let future = |end| one_poll(|limiter, seen| calls(limiter, seen)(end).concurrency_limited_by(limiter, 3));
    assert_eq!(future(Completes), (vec![3], [0, 0]));
    assert_eq!(future(Hangs), (vec![3], [3, 0]));
}

#[test]
fn an_attempt_is_dropped_before_its_permit_goes_back() {
    let policy = RetryPolicy::fixed(secs(1));
    let call =
        |end| one_poll(|limiter, seen| calls(limiter, seen).concurrency_limited(limiter).retry_with(&policy).call(end));
    assert_eq!(call(Completes), (vec![1], [0, 0]));
    assert_eq!(call(Hangs), (vec![1], [1, 0]));
    assert_eq!(call(Panics), (vec![1], [1, 0]));
    let weighted = |end| {
        one_poll(|limiter, seen| {
            let call = calls(limiter, seen).concurrency_limited_by(limiter, |_: &End| 3);
            call.retry_with(&policy).call(end)
        })
    };
    assert_eq!(weighted(Completes), (vec![3], [0, 0]));
    assert_eq!(weighted(Panics), (vec![3], [3, 0]));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_returns_its_permit_before_the_delay() {
    let limiter = ConcurrencyLimiter::new(1);
    let seen = RefCell::new(Vec::new());
    let fail = || async {
        seen.borrow_mut().push(limiter.in_use());
        sleep(secs(1)).await;
        Err::<u64, _>("busy".to_owned())
    };
    let retried = fail.concurrency_limited(&limiter).retry_with(RetryPolicy::fixed(secs(10)).max_attempts(2));
    let mut call = task::spawn(retried.call());
    assert_pending!(call.poll());
    assert_eq!(limiter.in_use(), 1);
    tokio::time::advance(secs(1)).await;
    assert_pending!(call.poll());
    assert_eq!(limiter.in_use(), 0);
    let during_the_delay = limiter.try_acquire().unwrap();
    tokio::time::advance(secs(10)).await;
    assert_pending!(call.poll());
    assert_eq!(*seen.borrow(), [1]); // the second attempt waits
    drop(during_the_delay);
    assert_pending!(call.poll());
    assert_eq!(*seen.borrow(), [1, 1]);
    tokio::time::advance(secs(1)).await;
    assert_eq!(assert_ready!(call.poll()), Err("busy".to_owned()));
    assert_eq!(limiter.in_use(), 0);
}

/// An attempt that hangs is cut off, and its permit goes back before the next attempt.
#[tokio::test(start_paused = true)]
async fn a_timeout_before_the_limiter_gives_the_permit_back() {
    let limiter = ConcurrencyLimiter::new(1);
    let hang = |_: u64| async { std::future::pending::<Result<u64, Error>>().await };
    let call = hang.timeout(secs(1)).concurrency_limited(&limiter).retry_with(RetryPolicy::fixed(ms(0)));
    let begun = Instant::now();
    assert!(call.call(1).await.is_err());
    assert_eq!((begun.elapsed(), limiter.in_use(), limiter.stats().admitted), (secs(3), 0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_behind_the_limiter_ends_the_wait() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let call = (|id: u64| async move { Ok::<_, Error>(id) }).concurrency_limited(&limiter).timeout(secs(1));
    assert!(call.call(1).await.is_err());
    assert_eq!((limiter.waiting(), limiter.stats().cancelled), (0, 1));
    drop(permit);
    assert_eq!(call.call(1).await, Ok(1));
}

/// The end of a task that panics between its permit and its call.
#[tokio::test(start_paused = true)]
async fn a_function_that_panics_before_it_returns_its_future_gives_the_permit_back() {
    let limiter = ConcurrencyLimiter::new(1);
    let broken = |_: u64| -> std::future::Ready<u64> { panic!("in the function") };
    let call = broken.concurrency_limited(&limiter);
    assert!(tokio::spawn(async move { call.call(1).await }).await.is_err());
    assert_eq!(limiter.in_use(), 0);
}

#[test]
fn a_sync_call_gives_its_permit_back_however_it_ends() {
    let limiter = ConcurrencyLimiter::new(1);
    let call = |end| {
        assert_eq!(limiter.in_use(), 1);
        if end == Panics { panic!("in a call") } else { Ok::<_, Error>(7) }
    };
    let call = call.blocking().concurrency_limited(&limiter);
    assert_eq!(call.call(Completes), Ok(7));
    assert_eq!(limiter.in_use(), 0);
    assert!(catch_unwind(AssertUnwindSafe(|| call.call(Panics))).is_err());
    assert_eq!(limiter.in_use(), 0);
}

/// A response that keeps a permit of its own until its body has been read.
#[tokio::test(start_paused = true)]
async fn a_body_can_keep_the_permit() {
    let limiter = ConcurrencyLimiter::new(1);
    let get = |id: u64| {
        let limiter = limiter.clone();
        async move {
            let permit = limiter.acquire().await;
            (id, permit)
        }
    };
    let (_, body) = get(1).await;
    let mut second = task::spawn(get(2));
    assert_pending!(second.poll());
    drop(body);
    assert!(second.is_woken());
    drop(assert_ready!(second.poll()));
}
