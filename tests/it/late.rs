//! `.call(..)` only looks at the arguments: no decorator calls the function before it has let the
//! call through.
//!
//! The functions here are closures that work before they return their futures, as a closure with a
//! `tokio::spawn` does. A regression would let five such calls behind a limiter with one permit do
//! their work at once, while four of them wait.

use crate::support::{ms, secs};
use decor::{
    Chaos, Error, KeyedConcurrencyLimiter, KeyedLimiter,
    layer::{Decoration, Gate, Wait},
    prelude::*,
};
use std::{
    cell::Cell,
    fmt,
    future::{IntoFuture, ready},
    task::{Poll, ready as when_ready},
};
use tokio::{
    task::yield_now,
    time::{Instant, advance, sleep},
};
use tokio_test::{assert_pending, assert_ready, task};

type Answer = Result<u64, Error>;

fn policy() -> RetryPolicy {
    RetryPolicy::fixed(ms(1))
}

fn memo() -> Memo<u64, u64> {
    Memo::ttl(secs(300))
}

/// A limiter of one call a second. With `passes` its permit is free, otherwise it is taken.
fn one_per_second(passes: bool) -> RateLimiter {
    let limiter = RateLimiter::new(1, secs(1));
    assert!(passes || limiter.try_acquire().is_ok());
    limiter
}

/// Slows calls down by a second, unless the call `passes`.
fn slow(passes: bool) -> Chaos {
    Chaos::seeded(7).slowing(if passes { 0.0 } else { 1.0 }, secs(1))
}

fn one_per_second_each(passes: bool) -> KeyedLimiter<u64> {
    let keyed = KeyedLimiter::new(1, secs(1));
    assert!(passes || keyed.for_key(&7).try_acquire().is_ok());
    keyed
}

/// A closed breaker if it `passes`, otherwise an open one.
fn breaker(passes: bool) -> CircuitBreaker {
    let breaker = CircuitBreaker::consecutive(5);
    if !passes {
        breaker.trip();
    }
    breaker
}

fn breaker_of_each(passes: bool) -> KeyedBreaker<u64> {
    let keyed = KeyedBreaker::consecutive(5);
    if !passes {
        keyed.for_key(&7).trip();
    }
    keyed
}

/// A limiter of one call at once. With `passes` its permit is free, otherwise it comes back after a
/// second.
fn one_at_once(passes: bool) -> ConcurrencyLimiter {
    one_at_once_each(passes).for_key(&7)
}

fn one_at_once_each(passes: bool) -> KeyedConcurrencyLimiter<u64> {
    let keyed = KeyedConcurrencyLimiter::new(1);
    if !passes {
        let (permit, second) = (keyed.for_key(&7).try_acquire().unwrap(), sleep(secs(1)));
        tokio::spawn(async move {
            second.await;
            drop(permit);
        });
    }
    keyed
}

/// Lets no call begin before a given time; `None` refuses all calls.
#[derive(Clone)]
struct NotBefore(Option<Instant>);

impl NotBefore {
    /// Lets calls begin at once if it `passes`, otherwise a second later.
    fn now(passes: bool) -> Self {
        Self(Some(Instant::now() + secs(u64::from(!passes))))
    }
}

impl Decoration for NotBefore {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".not_before(..)")
    }
}

impl Gate<Answer> for NotBefore {
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), Answer>> {
        let Some(begin) = self.0 else {
            let message = "closed".to_owned();
            return Poll::Ready(Err(Err(Error::Rejected { by: "not_before", message, retry_after: None })));
        };
        when_ready!(wait.until(begin));
        Poll::Ready(Ok(()))
    }
}

/// Every decorator that may hold a call back, with the parameter of its closures. The first call
/// begins at once if it `passes`, otherwise a second later.
macro_rules! that_hold_back {
    ($check:ident, [$($parameter:tt)*]) => {
        $check! {
            rate_limited: |f, passes| f.rate_limited(&one_per_second(passes));
            rate_limited_by: |f, passes| f.rate_limited_by(&one_per_second(passes), |$($parameter)*| 1);
            rate_limited_by_key: |f, passes| f.rate_limited_by_key(&one_per_second_each(passes), |$($parameter)*| 7);
            rate_limited_within: |f, passes| f.rate_limited_within(&one_per_second(passes), secs(1));
            rate_limited_within_by_key: |f, passes| f.rate_limited_within_by_key(&one_per_second_each(passes), secs(1), |$($parameter)*| 7);
            permits: |f, passes| f.rate_limited_by_key(&one_per_second_each(passes), |$($parameter)*| 7).permits(|$($parameter)*| 1);
            concurrency_limited: |f, passes| f.concurrency_limited(&one_at_once(passes));
            concurrency_limited_by: |f, passes| f.concurrency_limited_by(&one_at_once(passes), |$($parameter)*| 1);
            concurrency_limited_by_key: |f, passes| f.concurrency_limited_by_key(&one_at_once_each(passes), |$($parameter)*| 7);
            concurrency_limited_within: |f, passes| f.concurrency_limited_within(&one_at_once(passes), secs(2));
            concurrency_limited_within_by_key: |f, passes| f.concurrency_limited_within_by_key(&one_at_once_each(passes), secs(2), |$($parameter)*| 7);
            concurrency_permits: |f, passes| f.concurrency_limited_by_key(&one_at_once_each(passes), |$($parameter)*| 7).permits(|$($parameter)*| 1);
            gated: |f, passes| f.gated(NotBefore::now(passes));
            gated_by: |f, passes| f.gated_by(move |$($parameter)*| NotBefore::now(passes));
            retried: |f, passes| f.gated(NotBefore::now(passes)).retry_with(policy());
            chaotic: |f, passes| f.chaotic(&slow(passes), || Error::QueueFull { waiting: 0 });
            in_a_chain: |f, passes| f.timeout(secs(9)).gated(NotBefore::now(passes)).timed("f").validated(|$($parameter)*| Ok::<_, &str>(()));
        }
    };
}

/// The decorators that remember or hedge. Before a retry they need a function that is `Clone` or
/// `Fn`.
macro_rules! that_remember {
    ($check:ident, [$($parameter:tt)*]) => {
        $check! {
            memoized_by: |f, passes| f.memoized_by(&memo(), |$($parameter)*| 7).gated(NotBefore::now(passes));
            hedged: |f, passes| f.hedged(secs(2)).gated(NotBefore::now(passes));
            held_and_hedged: |f, passes| f.gated(NotBefore::now(passes)).hedged(secs(2));
            held_and_memoized: |f, passes| f.gated(NotBefore::now(passes)).memoized_by(&memo(), |$($parameter)*| 7);
        }
    };
}

/// Every decorator that refuses calls.
macro_rules! that_refuse {
    ($check:ident, [$($parameter:tt)*]) => {
        $check! {
            try_rate_limited: |f| f.try_rate_limited(&one_per_second(false));
            try_rate_limited_by_key: |f| f.try_rate_limited_by_key(&one_per_second_each(false), |$($parameter)*| 7);
            rate_limited_within: |f| f.rate_limited_within(&one_per_second(false), ms(500));
            rate_limited_within_by_key: |f| f.rate_limited_within_by_key(&one_per_second_each(false), ms(500), |$($parameter)*| 7);
            permits: |f| f.try_rate_limited(&one_per_second(true)).permits(|$($parameter)*| 2);
            rate_limited_by: |f| f.rate_limited_by(&one_per_second(true), |$($parameter)*| 2);
            guarded_by: |f| f.guarded_by(&breaker(false));
            guarded_by_key: |f| f.guarded_by_key(&breaker_of_each(false), |$($parameter)*| 7);
            unless_open: |f| f.unless_open(&breaker(false));
            chaotic: |f| f.chaotic(&Chaos::seeded(7).failing(1.0), || Error::QueueFull { waiting: 0 });
            try_concurrency_limited: |f| f.try_concurrency_limited(&one_at_once(false));
            try_concurrency_limited_by_key: |f| f.try_concurrency_limited_by_key(&one_at_once_each(false), |$($parameter)*| 7);
            concurrency_limited_within: |f| f.concurrency_limited_within(&one_at_once(false), ms(100));
            concurrency_limited_within_by_key: |f| f.concurrency_limited_within_by_key(&one_at_once_each(false), ms(100), |$($parameter)*| 7);
            concurrency_limited_by: |f| f.concurrency_limited_by(&one_at_once(true), |$($parameter)*| 2);
            concurrency_permits: |f| f.try_concurrency_limited(&one_at_once(true)).permits(|$($parameter)*| 2);
            gated: |f| f.gated(NotBefore(None));
            gated_by: |f| f.gated_by(|$($parameter)*| NotBefore(None));
            validated: |f| f.validated(|$($parameter)*| Err("no"));
            in_a_chain: |f| f.timed("f").gated(NotBefore(None)).timeout(secs(9)).logged();
        }
    };
}

/// The decorators with calls that begin at the first poll if they are not held back.
macro_rules! that_begin_when_polled {
    ($check:ident, [$($parameter:tt)*]) => {
        $check! {
            try_rate_limited: |f| f.try_rate_limited(&one_per_second(true));
            try_rate_limited_by_key: |f| f.try_rate_limited_by_key(&one_per_second_each(true), |$($parameter)*| 7);
            try_concurrency_limited: |f| f.try_concurrency_limited(&one_at_once(true));
            try_concurrency_limited_by_key: |f| f.try_concurrency_limited_by_key(&one_at_once_each(true), |$($parameter)*| 7);
            retry_with: |f| f.retry_with(policy());
            guarded_by: |f| f.guarded_by(&breaker(true));
            guarded_by_key: |f| f.guarded_by_key(&breaker_of_each(true), |$($parameter)*| 7);
            unless_open: |f| f.unless_open(&breaker(true));
            chaotic: |f| f.chaotic(&Chaos::seeded(7), || Error::QueueFull { waiting: 0 });
            invalidating: |f| f.invalidating(&memo(), |$($parameter)*| 7);
            invalidating_tag: |f| f.invalidating_tag(&memo(), |$($parameter)*| "tag");
        }
    };
}

/// Polls once. Returns the number of calls before and after the poll.
macro_rules! held {
    ($decorator:ident, $passes:ident, $calls:ident, $call:expr) => {
        let mut call = task::spawn($call);
        assert_eq!($calls.get(), 0, "{} before the first poll", stringify!($decorator));
        if !$passes {
            assert_pending!(call.poll(), "{}", stringify!($decorator));
            assert_eq!($calls.get(), 0, "{} before it may begin", stringify!($decorator));
            // Lets the task of `one_at_once` see the time before and after.
            yield_now().await;
            advance(secs(1)).await;
            yield_now().await;
        }
        assert_eq!(assert_ready!(call.poll(), "{}", stringify!($decorator)), Ok(7));
        assert_eq!($calls.get(), 1, "{}", stringify!($decorator));
        $calls.set(0);
    };
}

macro_rules! refused {
    ($decorator:ident, $calls:ident, $call:expr) => {
        let call = $call;
        assert_eq!($calls.get(), 0, "{} before the first poll", stringify!($decorator));
        assert!(call.await.is_err(), "{}", stringify!($decorator));
        assert_eq!($calls.get(), 0, "{}", stringify!($decorator));
    };
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_held_back_has_not_called_the_function() {
    let calls = Cell::new(0);
    let count = |n: u64| {
        calls.set(calls.get() + 1);
        ready(Answer::Ok(n))
    };
    macro_rules! check {
        ($($decorator:ident: |$f:ident, $passes:ident| $chain:expr;)*) => {$(
            for $passes in [true, false] {
                let $f = count;
                let chain = $chain;
                held!($decorator, $passes, calls, chain.call(7));
                let $f = count;
                let retried = $chain.retry_with(policy());
                held!($decorator, $passes, calls, retried.call(7));
            }
        )*};
    }
    that_hold_back!(check, [_: &u64]);
    that_remember!(check, [_: &u64]);
}

#[tokio::test(start_paused = true)]
async fn a_chain_without_arguments_that_is_held_back_has_not_called_the_function() {
    let calls = Cell::new(0);
    let count = || {
        calls.set(calls.get() + 1);
        ready(Answer::Ok(7))
    };
    macro_rules! check {
        ($($decorator:ident: |$f:ident, $passes:ident| $chain:expr;)*) => {$(
            for $passes in [true, false] {
                let $f = count;
                held!($decorator, $passes, calls, $chain.into_future());
                let $f = count;
                held!($decorator, $passes, calls, $chain.call());
                let $f = count;
                held!($decorator, $passes, calls, $chain.retry_with(policy()).into_future());
            }
        )*};
    }
    that_hold_back!(check, []);
    that_remember!(check, []);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nothing_holds_back_begins_at_its_first_poll() {
    let calls = Cell::new(0);
    let passes = true;
    let count = |n: u64| {
        calls.set(calls.get() + 1);
        ready(Answer::Ok(n))
    };
    macro_rules! check {
        ($($decorator:ident: |$f:ident| $chain:expr;)*) => {$(
            let $f = count;
            let chain = $chain;
            held!($decorator, passes, calls, chain.call(7));
            let $f = count;
            let retried = $chain.retry_with(policy());
            held!($decorator, passes, calls, retried.call(7));
        )*};
    }
    that_begin_when_polled!(check, [_: &u64]);
    let memoized = count.memoized_by(&memo(), |n: &u64| *n);
    held!(memoized, passes, calls, memoized.call(7));
    let memoized = count.memoized(&memo());
    held!(memoized, passes, calls, memoized.call(7));
    let retried = count.memoized(&memo()).retry_with(policy());
    held!(memoized, passes, calls, retried.call(7));

    let count = || count(7);
    macro_rules! check_awaited {
        ($($decorator:ident: |$f:ident| $chain:expr;)*) => {$(
            let $f = count;
            held!($decorator, passes, calls, $chain.into_future());
            let $f = count;
            held!($decorator, passes, calls, $chain.retry_with(policy()).into_future());
        )*};
    }
    that_begin_when_polled!(check_awaited, []);
    held!(memoized_by, passes, calls, count.memoized_by(&memo(), || 7).into_future());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_never_calls_the_function() {
    let calls = Cell::new(0);
    let count = |n: u64| {
        calls.set(calls.get() + 1);
        ready(Answer::Ok(n))
    };
    macro_rules! check {
        ($($decorator:ident: |$f:ident| $chain:expr;)*) => {$(
            let $f = count;
            let chain = $chain;
            refused!($decorator, calls, chain.call(7));
            let $f = count;
            let retried = $chain.retry_with(policy());
            refused!($decorator, calls, retried.call(7));
        )*};
    }
    that_refuse!(check, [_: &u64]);

    let count = || count(7);
    macro_rules! check_awaited {
        ($($decorator:ident: |$f:ident| $chain:expr;)*) => {$(
            let $f = count;
            refused!($decorator, calls, $chain.into_future());
            let $f = count;
            refused!($decorator, calls, $chain.call());
            let $f = count;
            refused!($decorator, calls, $chain.retry_with(policy()).into_future());
        )*};
    }
    that_refuse!(check_awaited, []);
}

/// `validated` holds no call back, because it decides when it looks at the arguments. With valid
/// arguments the function is called at once, as by `f(x)`, and at the first poll if the chain is
/// awaited or retried.
#[tokio::test(start_paused = true)]
async fn a_call_with_valid_arguments_is_made_at_once() {
    let (calls, passes) = (Cell::new(0), true);
    let count = |n: u64| {
        calls.set(calls.get() + 1);
        ready(Answer::Ok(n))
    };
    let valid = |_: &u64| Ok::<_, &str>(());
    let call = count.validated(valid).call(7);
    assert_eq!(calls.replace(0), 1);
    assert_eq!(call.await, Ok(7));
    assert_eq!(calls.get(), 0);
    held!(validated, passes, calls, count.validated(valid).retry_with(policy()).call(7));
    held!(validated, passes, calls, (|| count(7)).validated(|| Ok::<_, &str>(())).into_future());
}

#[tokio::test(start_paused = true)]
async fn before_a_retry_a_closure_keeps_counting_in_its_own_variable() {
    // The closure is not `Clone`, because it borrows its count.
    macro_rules! check {
        ($($decorator:ident: |$f:ident $(, $passes:ident)?| $chain:expr;)*) => {$(
            $(let $passes = true;)?
            let mut seen = Vec::new();
            let $f = || {
                seen.push(seen.len() + 1);
                ready(if seen.len() < 3 { Err(Error::QueueFull { waiting: 0 }) } else { Answer::Ok(7) })
            };
            let retried = $chain.retry_with(RetryPolicy::fixed(secs(1)));
            assert_eq!(retried.await, Ok(7), "{}", stringify!($decorator));
            assert_eq!(seen, [1, 2, 3], "{}", stringify!($decorator));
        )*};
    }
    that_hold_back!(check, []);
    that_begin_when_polled!(check, []);
    check! { validated: |f| f.validated(|| Ok::<_, &str>(())); }
}
