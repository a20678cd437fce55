//! Sync functions behind a breaker, by a virtual clock.

use super::{Answer, down, open};
use crate::support::{ms, secs};
use CircuitState::{Closed, HalfOpen, Open};
use decor::{
    CircuitBreaker, CircuitState, Error, KeyedBreaker,
    prelude::*,
    test_util::{self, VirtualClock},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn a_sync_function_is_refused_and_probed() {
    let clock = VirtualClock::start();
    let breaker = CircuitBreaker::builder().consecutive(2).named("users").build();
    let fetch = (|answer: Answer| answer).blocking().guarded_by(&breaker);
    for _ in 0..2 {
        assert_eq!(fetch.call(Err(down())), Err(down()));
    }
    clock.advance(secs(10));
    assert_eq!(fetch.call(Ok(7)), Err(open("users", secs(20))));
    clock.advance(secs(20));
    assert_eq!(fetch.call(Ok(7)), Ok(7));
    assert_eq!(breaker.state(), Closed);
}

#[test]
fn a_sync_call_is_slow_from_its_beginning() {
    let _clock = VirtualClock::start();
    let breaker = CircuitBreaker::builder().consecutive(1).slow_after(secs(1)).build();
    let fetch = (|millis: u64| {
        test_util::sleep(ms(millis));
        Answer::Ok(millis)
    })
    .blocking()
    .guarded_by(&breaker);
    assert_eq!(fetch.call(999), Ok(999));
    assert_eq!(breaker.state(), Closed);
    assert_eq!(fetch.call(1_000), Ok(1_000));
    assert_eq!((breaker.state(), breaker.stats().slow), (Open, 1));
}

#[test]
fn a_sync_panic_is_a_failure_and_leaves_no_place_behind() {
    let clock = VirtualClock::start();
    let breaker = CircuitBreaker::consecutive(1);
    let explode = (|| -> Answer { panic!("boom") }).blocking().guarded_by(&breaker);
    for _ in 0..3 {
        assert!(catch_unwind(AssertUnwindSafe(|| explode.call())).is_err());
        assert_eq!(breaker.state(), Open);
        clock.advance(secs(30));
        assert_eq!(breaker.state(), HalfOpen);
    }
    assert_eq!((|| Answer::Ok(7)).blocking().guarded_by(&breaker).run(), Ok(7));
    assert_eq!(breaker.state(), Closed);
}

/// A call that its timeout has abandoned is cancelled.
#[test]
fn an_abandoned_sync_call_is_no_failure() {
    let clock = VirtualClock::start();
    let breaker = CircuitBreaker::consecutive(1);
    let hang = (|| {
        test_util::sleep(secs(10));
        Answer::Ok(7)
    })
    .blocking()
    .guarded_by(&breaker)
    .timeout(secs(1));
    assert!(hang.run().is_err());
    clock.advance(secs(10));
    while breaker.stats().ignored + breaker.stats().succeeded == 0 {
        std::thread::yield_now();
    }
    assert_eq!((breaker.state(), breaker.stats().failed), (Closed, 0));
}

#[test]
fn refusals_inside_and_keys_work_as_in_async_chains() {
    let _clock = VirtualClock::start();
    let breaker = CircuitBreaker::consecutive(1);
    let limiter = RateLimiter::new(1, secs(60));
    let fetch = (|| Answer::Ok(7)).blocking().try_rate_limited(&limiter).guarded_by(&breaker);
    assert_eq!(fetch.call(), Ok(7));
    assert!(fetch.call().is_err());
    assert_eq!((breaker.state(), breaker.stats().ignored), (Closed, 1));

    let per_host: KeyedBreaker<String> = KeyedBreaker::consecutive(1);
    let fetch = (|host: &str| if host == "a" { Answer::Err(down()) } else { Ok(7) })
        .blocking()
        .guarded_by_key(&per_host, |host: &&str| (*host).to_owned())
        .when(|e| *e == down());
    assert_eq!(fetch.call("a"), Err(down()));
    assert_eq!(fetch.call("a"), Err(open("breaker", secs(30))));
    assert_eq!(fetch.call("b"), Ok(7));
    let pass = (|| Answer::Ok(7)).blocking().unless_open(&per_host.for_key("a"));
    assert_eq!(pass.run(), Err(open("breaker", secs(30))));
}

/// A timeout makes the call on another thread. The breaker around it learns all the same whether
/// the call has reached the function.
#[test]
fn refusals_inside_a_timeout_are_no_failures() {
    let clock = VirtualClock::start();
    let breaker = CircuitBreaker::consecutive(1);
    let limiter = RateLimiter::new(1, secs(60));
    let answers = (|| Answer::Ok(7)).blocking();
    let tries = answers.clone().try_rate_limited(&limiter).timeout(secs(1)).guarded_by(&breaker);
    assert_eq!(tries.call(), Ok(7));
    assert_eq!(tries.call(), Err(Error::RateLimited { retry_after: secs(60) }));
    // The limit passes while the call waits for its permit, on a thread of a thread.
    let waits = answers.clone().rate_limited(&limiter).timeout(secs(1)).timeout(secs(9)).guarded_by(&breaker);
    assert!(matches!(waits.call(), Err(Error::TimedOut { .. })));
    let invalid = answers.validated(|| Err("no")).timeout(secs(1)).guarded_by(&breaker);
    assert!(matches!(invalid.call(), Err(Error::InvalidArgument { .. })));
    let stats = breaker.stats();
    assert_eq!((breaker.state(), stats.succeeded, stats.ignored, stats.failed), (Closed, 1, 3, 0));

    // Failures of the function count, in time, by the limit and by a panic.
    let ends: [fn() -> Answer; 3] = [
        || Err(down()),
        || {
            test_util::sleep(secs(60));
            Ok(7)
        },
        || panic!("boom"),
    ];
    for end in ends {
        breaker.close();
        let free = ConcurrencyLimiter::new(1);
        let fails = end.blocking().concurrency_limited(&free).timeout(secs(1)).timeout(secs(9)).guarded_by(&breaker);
        let failed = catch_unwind(AssertUnwindSafe(|| fails.call()));
        assert!(failed.is_err() || failed.is_ok_and(|answer| answer.is_err()));
        assert_eq!(breaker.state(), Open);
    }
    // The outer limit passes while the function runs on the inner one's thread.
    breaker.close();
    let (free, begun) = (ConcurrencyLimiter::new(1), clock.elapsed());
    let hangs = ends[1].blocking().concurrency_limited(&free).timeout(secs(9)).timeout(secs(1)).guarded_by(&breaker);
    assert!(matches!(hangs.call(), Err(Error::TimedOut { .. })));
    assert_eq!((breaker.state(), clock.elapsed() - begun), (Open, secs(1)));
}

/// Tasks and threads share a breaker, each by its own clock.
#[test]
fn tasks_and_threads_share_a_breaker() {
    let breaker = CircuitBreaker::consecutive(2);
    let runtime = crate::support::paused();
    let call = (|| std::future::ready(Answer::Err(down()))).guarded_by(&breaker);
    assert!(runtime.block_on(call.call()).is_err());
    let clock = VirtualClock::start();
    assert!((|| Answer::Err(down())).blocking().guarded_by(&breaker).run().is_err());
    assert_eq!(breaker.state(), Open);
    clock.advance(secs(30));
    assert_eq!(breaker.state(), HalfOpen);
}
