//! Decorators inside of a retry, which are renewed for each attempt, and hold nothing between two.

use crate::support::{ms, secs};
use decor::{
    Error, KeyedLimiter,
    layer::{Decoration, Gate, Wait, now},
    prelude::*,
};
use futures::{StreamExt, stream};
use std::{
    cell::Cell,
    fmt,
    future::{Future, IntoFuture, poll_fn, ready},
    rc::Rc,
    task::{Context, Poll, Waker},
};
use tokio::time::{Instant, sleep};

fn three() -> RetryPolicy {
    RetryPolicy::fixed(secs(1)).max_attempts(3)
}

#[derive(Clone)]
struct Open;

impl Decoration for Open {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".open()")
    }
}

impl<T> Gate<T> for Open {}

#[tokio::test(start_paused = true)]
async fn closures_of_decorators_see_the_arguments_of_each_attempt() {
    let (limiter, keyed) = (RateLimiter::new(9, ms(1)), KeyedLimiter::new(9, ms(1)));
    let looks = [const { Cell::new(0) }; 4];
    let look = |closure: usize| looks[closure].set(looks[closure].get() + 1);
    let fails = |_: u8| ready(Err::<(), Error>(Error::QueueFull { waiting: 1 }));
    let chain = fails
        .validated(|_: &u8| -> Result<(), &str> {
            look(0);
            Ok(())
        })
        .rate_limited_by(&limiter, |_: &u8| {
            look(1);
            1
        })
        .rate_limited_by_key(&keyed, |id: &u8| {
            look(2);
            *id
        })
        .gated_by(|_: &u8| {
            look(3);
            Open
        })
        .retry_with(three());
    chain.call(1).await.unwrap_err();
    assert_eq!(looks.each_ref().map(Cell::get), [3; 4]);
}

#[tokio::test(start_paused = true)]
async fn arguments_that_were_refused_may_pass_at_the_next_attempt() {
    let open = Cell::new(false);
    let chain = (|id: u8| ready(Ok::<_, Error>(id)))
        .validated(|_: &u8| if open.get() { Ok(()) } else { Err("closed") })
        .retry_with(three());
    let opens = async {
        sleep(ms(500)).await;
        open.set(true);
    };
    assert_eq!(tokio::join!(chain.call(7), opens).0, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_new_attempt_drops_the_previous_call_even_if_it_is_refused() {
    let (held, open) = (Rc::new(()), Cell::new(true));
    let waits = || {
        let held = Rc::clone(&held);
        poll_fn(move |_| {
            let _ = &held;
            Poll::<Result<(), Error>>::Pending
        })
    };
    let validated = waits.validated(|| if open.get() { Ok(()) } else { Err("closed") });
    let mut calls = Box::pin(decor::CallableMut::repeated(validated.timeout(secs(9)), ()));
    for (is_open, references) in [(true, 2), (true, 2), (false, 1), (true, 2)] {
        open.set(is_open);
        decor::Repeat::start(calls.as_mut(), false);
        assert_eq!(Rc::strong_count(&held), 1);
        let polled = calls.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!((polled.is_pending(), Rc::strong_count(&held)), (is_open, references));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_in_the_queue_leaves_it_before_the_delay() {
    let limiter = RateLimiter::new(1, secs(60));
    limiter.acquire().await;
    let waits = (|| ready(Ok::<_, Error>(1))).rate_limited(&limiter).timeout(secs(1)).retry_with(three());
    let during = async {
        sleep(ms(500)).await;
        let waiting = limiter.waiting();
        sleep(secs(1)).await;
        (waiting, limiter.waiting())
    };
    let (result, waiting) = tokio::join!(waits.into_future(), during);
    assert!(matches!(result, Err(Error::TimedOut { .. })));
    assert_eq!(waiting, (1, 0));
}

/// A gate that waits for ever, and holds a reference.
#[derive(Clone)]
struct Holds(#[expect(dead_code, reason = "only its count is read")] Rc<()>);

impl Decoration for Holds {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".holds()")
    }
}

impl<T> Gate<T> for Holds {
    fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_gate_is_dropped_before_the_delay() {
    let held = Rc::new(());
    let chain = (|| ready(Ok::<_, Error>(1))).gated(Holds(Rc::clone(&held))).timeout(secs(1)).retry_with(three());
    let mut counts = Vec::new();
    let counted = async {
        for _ in 0..4 {
            counts.push(Rc::strong_count(&held));
            sleep(ms(900)).await;
        }
    };
    let _ = tokio::join!(chain.into_future(), counted);
    // At 0 and 0.9 s the source and a gate hold it, at 1.8 s the source alone, at 2.7 s a new gate
    // too.
    assert_eq!(counts, [3, 3, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_dropped_before_the_hooks_under_any_decorator() {
    let held = Rc::new(());
    let fails = || {
        let held = Rc::clone(&held);
        let mut fails = Some(Err::<(), Error>(Error::QueueFull { waiting: 1 }));
        poll_fn(move |_| {
            let _ = &held;
            Poll::Ready(fails.take().expect("polled once"))
        })
    };
    let mut counts = Vec::new();
    fails
        .validated(|| Ok::<_, &str>(()))
        .map_err(|error| error)
        .timeout(secs(9))
        .named("fails")
        .logged()
        .retry_with(three())
        .when(|_| Rc::strong_count(&held) == 1)
        .on_retry(|_| counts.push(Rc::strong_count(&held)))
        .await
        .unwrap_err();
    assert_eq!(counts, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn each_outer_attempt_starts_the_inner_retry_again() {
    let (mut calls, begun) = (Vec::new(), Instant::now());
    let fails = |id: &'static str| {
        calls.push((id, begun.elapsed().as_secs()));
        ready(Err::<(), _>("busy"))
    };
    let inner = fails.retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2));
    let mut repeated =
        Box::pin(decor::CallableMut::repeated(inner.retry_with(RetryPolicy::fixed(secs(10)).max_attempts(2)), ("x",)));
    for last in [false, true] {
        decor::Repeat::start(repeated.as_mut(), last);
        repeated.as_mut().await.unwrap_err();
    }
    drop(repeated);
    let times = [0, 1, 11, 12, 12, 13, 23, 24];
    assert_eq!(calls, times.map(|time| ("x", time)));
}

#[derive(Clone)]
struct Borrows<'a>(#[allow(dead_code)] &'a str);

impl Decoration for Borrows<'_> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".borrows()")
    }
}

impl<T> Gate<T> for Borrows<'_> {}

#[tokio::test(start_paused = true)]
async fn gates_that_borrow_work_in_tasks_that_join_their_calls() {
    async fn length(n: usize) -> Result<usize, String> {
        Ok(n)
    }
    let task = tokio::spawn(async move {
        let key = String::from("key");
        let chain = length.gated(Borrows(&key)).retry_with(three());
        let joined = tokio::join!(chain.call(1), chain.call(2));
        let streamed = stream::iter(3..=4).map(|n| chain.call(n)).buffered(2).collect::<Vec<_>>().await;
        (joined, streamed)
    });
    assert_eq!(task.await.unwrap(), ((Ok(1), Ok(2)), vec![Ok(3), Ok(4)]));
}

/// A gate that asks to be woken at a moment, and lets the call begin at once.
#[derive(Clone)]
struct AsksInVain(Instant);

impl Decoration for AsksInVain {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".asks_in_vain()")
    }
}

impl<T> Gate<T> for AsksInVain {
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        let _ = wait.until(self.0);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_let_the_call_through_does_not_wake_it() {
    let polls = Cell::new(0);
    let counts = poll_fn(|_| {
        polls.set(polls.get() + 1);
        Poll::<()>::Pending
    });
    let call = counts.gated(AsksInVain(now() + ms(100)));
    tokio::time::timeout(secs(1), call).await.unwrap_err();
    assert_eq!(polls.get(), 2, "at the start and at the end");
}

#[test]
fn a_moment_in_the_past_needs_no_timer() {
    struct NotBefore(Instant);
    impl<T> Gate<T> for NotBefore {
        fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
            wait.until(self.0).map(Ok)
        }
    }
    // Outside of a runtime there is no timer.
    let call = futures::FutureExt::now_or_never(ready(7).gated(NotBefore(now())));
    assert_eq!(call, Some(7));
}

#[tokio::test(start_paused = true)]
async fn an_awaited_call_is_dropped_at_its_end() {
    let held = Rc::new(());
    let answer = || {
        let held = Rc::clone(&held);
        poll_fn(move |_| {
            let _ = &held;
            Poll::Ready(7)
        })
    };
    let mut call = Box::pin(answer.named("answer").into_future());
    assert_eq!(call.as_mut().await, 7);
    assert_eq!(Rc::strong_count(&held), 1);
}
