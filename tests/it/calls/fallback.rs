//! `fallback` and `fallback_to`: another answer in place of a failure.

use crate::support::{listen, ms, secs};
use decor::{
    BoxedFn, Callable, Error, Outcome, Timing,
    blocking::CancelToken,
    prelude::*,
    test_util::{self, VirtualClock},
};
use futures::future::BoxFuture;
use std::{
    cell::{Cell, RefCell},
    future::{Future, pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};
use tokio::time::{Instant, sleep};

type Answer = Result<u64, String>;

async fn fail(id: u64) -> Answer {
    Err(format!("no {id}"))
}

/// Drops of values, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

struct Held(Log, &'static str);

impl Log {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn hold(&self, what: &'static str) -> Held {
        Held(self.clone(), what)
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}

fn now<F: Future>(call: F) -> F::Output {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

#[test]
fn a_failure_is_answered_with_the_error_and_the_arguments() {
    let fetch = fail.fallback(|error: String, id: u64| async move {
        assert_eq!(error, "no 7");
        Ok(id * 2)
    });
    assert_eq!(now(fetch.call(7)), Ok(14));
    assert_eq!(format!("{fetch:?}"), "fail.fallback(..)");
}

#[test]
fn an_answer_may_raise_the_error_again() {
    let raise = fail.fallback(|error: String, _: u64| ready(Err::<u64, _>(error)));
    assert_eq!(now(raise.call(7)), Err("no 7".to_owned()));
    let another = fail.fallback(|error: String, _: u64| ready(Answer::Err(format!("{error}, and no answer"))));
    assert_eq!(now(another.call(7)), Err("no 7, and no answer".to_owned()));
}

#[test]
fn a_success_needs_no_answer() {
    let answers = Cell::new(0);
    let fetch = (|id: u64| ready(Answer::Ok(id))).fallback(|_: String, _: u64| {
        answers.set(answers.get() + 1);
        ready(Ok(0))
    });
    assert_eq!((now(fetch.call(7)), answers.get()), (Ok(7), 0));
    let to = (|id: u64| ready(Answer::Ok(id))).fallback_to(|_: u64| {
        answers.set(answers.get() + 1);
        ready(Answer::Ok(0))
    });
    assert_eq!((now(to.call(7)), answers.get()), (Ok(7), 0));
}

#[test]
fn an_answer_is_given_once_even_if_it_fails() {
    let (calls, answers) = (Cell::new(0), Cell::new(0));
    let count = |cell: &Cell<u32>| cell.set(cell.get() + 1);
    let fetch = (|_: u64| {
        count(&calls);
        ready(Answer::Err("down".into()))
    })
    .fallback(|error: String, _: u64| {
        count(&answers);
        ready(Answer::Err(error))
    });
    assert_eq!(now(fetch.call(7)), Err("down".into()));
    assert_eq!((calls.get(), answers.get()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gets_no_answer() {
    let answers = Cell::new(0);
    let hang = (|_: u64| pending::<Answer>()).fallback(|_: String, _: u64| {
        answers.set(answers.get() + 1);
        ready(Ok(0))
    });
    let timed_out = hang.timeout(secs(1)).call(7).await;
    assert_eq!((timed_out.is_err(), answers.get()), (true, 0));

    // The same for a call that would have failed later, and for one that was never polled.
    let slow = (|_: u64| async {
        sleep(secs(2)).await;
        Answer::Err("down".into())
    })
    .fallback(|_: String, _: u64| {
        answers.set(answers.get() + 1);
        ready(Ok(0))
    });
    assert!(slow.clone().timeout(secs(1)).call(7).await.is_err());
    drop(slow.call(7));
    sleep(secs(9)).await;
    assert_eq!(answers.get(), 0);
    assert_eq!((slow.call(7).await, answers.get()), (Ok(0), 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_gets_no_answer() {
    let panics = (|_: u64| async { if true { panic!("boom") } else { Answer::Ok(1) } })
        .fallback(|_: String, _: u64| ready(Ok(0)));
    assert!(tokio::spawn(async move { panics.call(7).await }).await.unwrap_err().is_panic());
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_answer_is_the_panic_of_the_call() {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&outcomes);
    let timing = Timing::new("f").by_result().record_to(move |m| sink.lock().unwrap().push(m.outcome));
    let panics = fail
        .fallback(|_: String, _: u64| async { if true { panic!("boom") } else { Answer::Ok(1) } })
        .timed_with(timing);
    assert!(tokio::spawn(async move { panics.call(7).await }).await.unwrap_err().is_panic());
    assert_eq!(*outcomes.lock().unwrap(), [Outcome::Panicked]);
}

#[tokio::test(start_paused = true)]
async fn the_failed_call_is_dropped_before_the_answer_begins_and_the_answer_with_the_call() {
    let log = Log::default();
    let fetch = (|_: u64| {
        let held = log.hold("call dropped");
        async move {
            let held = held;
            sleep(secs(1)).await;
            held.0.note("call failed");
            Answer::Err("down".into())
        }
    })
    .gated(log_gate(&log))
    .fallback(|_: String, id: u64| {
        log.note("answer called");
        let held = log.hold("answer dropped");
        async move {
            let _held = held;
            sleep(secs(id)).await;
            Ok(id)
        }
    });
    assert_eq!(fetch.call(1).await, Ok(1));
    assert_eq!(log.take(), ["call failed", "call dropped", "gate dropped", "answer called", "answer dropped"]);

    let cut = fetch.timeout(secs(3)).call(9).await;
    assert!(cut.is_err());
    assert_eq!(log.take(), ["call failed", "call dropped", "gate dropped", "answer called", "answer dropped"]);
}

fn log_gate(log: &Log) -> NotesItsDrop {
    NotesItsDrop { log: log.clone(), armed: false }
}

/// A gate that notes its drop, once it has let a call through.
struct NotesItsDrop {
    log: Log,
    armed: bool,
}

impl Clone for NotesItsDrop {
    fn clone(&self) -> Self {
        log_gate(&self.log)
    }
}

impl Drop for NotesItsDrop {
    fn drop(&mut self) {
        if self.armed {
            self.log.note("gate dropped");
        }
    }
}

impl decor::layer::Decoration for NotesItsDrop {
    fn describe(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(".noted()")
    }
}

impl<T> decor::layer::Gate<T> for NotesItsDrop {
    fn enter(&mut self, _: &mut decor::layer::Wait<'_>) -> Poll<Result<(), T>> {
        self.armed = true;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_a_part_of_the_call() {
    let log = listen();
    let slow = |id: u64| async move {
        sleep(ms(200)).await;
        Answer::Ok(id)
    };
    let fetch = fail.named("fetch").logged().fallback_to(slow).logged().timed("whole");
    assert_eq!(fetch.call(7).await, Ok(7));
    assert_eq!(
        log.take(),
        [
            "DEBUG calling fetch",
            "DEBUG calling fetch",
            "WARN fetch failed in 0ns: String: no 7",
            "INFO fetch returned in 200ms",
            "INFO whole took 200ms",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn before_a_retry_each_attempt_is_answered() {
    let (calls, answers) = (Cell::new(0), Cell::new(0));
    let fetch = (|id: u64| {
        calls.set(calls.get() + 1);
        ready(Answer::Err(format!("no {id}")))
    })
    .fallback(|error: String, id: u64| {
        answers.set(answers.get() + 1);
        ready(if answers.get() < 3 { Err(error) } else { Ok(id) })
    })
    .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(5));
    let begun = Instant::now();
    assert_eq!(fetch.call(7).await, Ok(7));
    assert_eq!((calls.get(), answers.get(), begun.elapsed()), (3, 3, secs(2)));
}

#[tokio::test(start_paused = true)]
async fn before_a_retry_the_other_function_is_called_for_each_attempt() {
    let replica_calls = Cell::new(0);
    let replica = (|id: u64| {
        replica_calls.set(replica_calls.get() + 1);
        ready(if replica_calls.get() < 2 { Answer::Err("replica down".into()) } else { Ok(id) })
    })
    .rate_limited(&RateLimiter::new(9, secs(1)));
    let fetch = fail.fallback_to(replica).retry_with(RetryPolicy::fixed(secs(1)));
    let begun = Instant::now();
    assert_eq!(fetch.call(7).await, Ok(7));
    assert_eq!((replica_calls.get(), begun.elapsed()), (2, secs(1)));
}

#[tokio::test(start_paused = true)]
async fn behind_a_retry_only_the_last_failure_is_answered() {
    let answers = Cell::new(0);
    let fetch = fail.retry_with(RetryPolicy::fixed(secs(1))).fallback(|error: String, _: u64| {
        answers.set(answers.get() + 1);
        ready(Answer::Err(error))
    });
    assert_eq!(fetch.call(7).await, Err("no 7".into()));
    assert_eq!(answers.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_errors_of_decorators_are_answered_too() {
    let hang = (|_: u64| pending::<Result<u64, Error>>()).timeout(secs(1));
    let fetch = hang.fallback(|error: Error, id: u64| async move {
        assert!(matches!(error, Error::TimedOut { .. }));
        Ok(id)
    });
    assert_eq!(fetch.call(7).await, Ok(7));
    let limiter = RateLimiter::new(1, secs(9));
    let fetch = (|id: u64| ready(Ok::<_, Error>(id))).try_rate_limited(&limiter).fallback(|_, _: u64| ready(Ok(0)));
    assert_eq!((fetch.call(7).await, fetch.call(7).await), (Ok(7), Ok(0)));
}

#[tokio::test(start_paused = true)]
async fn a_closure_may_change_what_it_captures_if_the_chain_is_awaited() {
    let (mut calls, mut errors) = (0, Vec::new());
    let answer = (|| {
        calls += 1;
        ready(Answer::Err(format!("down {calls}")))
    })
    .fallback(|error: String| {
        errors.push(error.clone());
        ready(Answer::Err(error))
    })
    .retry_with(RetryPolicy::fixed(secs(1)))
    .await;
    assert_eq!(answer, Err("down 3".into()));
    assert_eq!(errors, ["down 1", "down 2", "down 3"]);
}

async fn length(text: &str) -> Result<usize, String> {
    Err(text.to_owned())
}

async fn length_or_zero(error: String, text: &str) -> Result<usize, String> {
    if error == text { Ok(text.len()) } else { Ok(0) }
}

#[tokio::test(start_paused = true)]
async fn one_chain_takes_references_of_two_lifetimes() {
    let by_function = length.fallback(length_or_zero);
    let by_closure = length.fallback(async |_: String, text: &str| Ok(text.len()));
    let other = async |text: &str| Ok::<_, String>(text.len());
    let to = length.fallback_to(other).logged();
    let owned = "four".to_owned();
    {
        let short = "eleven".to_owned();
        assert_eq!(by_function.call(&short).await, Ok(6));
        assert_eq!(by_closure.call(&short).await, Ok(6));
        assert_eq!(to.call(&short).await, Ok(6));
    }
    assert_eq!(by_function.call(&owned).await, Ok(4));
    assert_eq!(by_closure.call(&owned).await, Ok(4));
    assert_eq!(to.call("four").await, Ok(4));
    let retried = length.fallback(length_or_zero).retry_with(RetryPolicy::default());
    assert_eq!(retried.call(&owned).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn calls_can_be_spawned_and_boxed_and_stored() {
    let chain = length.fallback(length_or_zero).fallback_to(length).timeout(secs(1)).logged().timed("f");
    let f = chain.clone();
    assert_eq!(tokio::spawn(async move { f.call("four").await }).await.unwrap(), Ok(4));
    let f = chain.clone();
    let whole: BoxFuture<'static, _> = Box::pin(async move { f.call("four").await });
    assert_eq!(whole.await, Ok(4));
    let owned = |text: String| async move { length(&text).await };
    let boxed: BoxedFn<(String,), Result<usize, String>> =
        owned.fallback(|_: String, text: String| async move { Ok(text.len()) }).boxed();
    assert_eq!(boxed.call("four".to_owned()).await, Ok(4));
    let shared = Arc::new(chain);
    assert_eq!(shared.call("four").await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_error_is_answered_as_it_is() {
    let parse = async |text: &str| text.parse::<u8>();
    let parse = parse.fallback(
        async |error: std::num::ParseIntError, text: &str| {
            if text.is_empty() { Err(error) } else { Ok(0) }
        },
    );
    assert_eq!((parse.call("x").await, parse.call("").await.is_err()), (Ok(0), true));
    let anyhow = async |text: &str| anyhow::Ok(text.parse::<u8>()?);
    let anyhow = anyhow.timeout(secs(1)).fallback(async |error: anyhow::Error, _: &str| {
        assert!(error.is::<std::num::ParseIntError>());
        Ok(0)
    });
    assert_eq!(anyhow.call("x").await.unwrap(), 0);
}

/// Functions of 0 to 8 arguments, in both halves.
#[tokio::test]
async fn every_number_of_arguments_has_an_answer() {
    macro_rules! arities {
        ($($half:tt [$($a:ident),*] $sum:literal;)*) => {$( arities!(@ [$($a),*] $sum); )*};
        (@ [$($a:ident),*] $sum:literal) => {
            let fails = |$($a: u64),*| ready(if [0, $($a),*].len() > 99 { Ok(0) } else { Answer::Err("down".into()) });
            let sum = |$($a: u64),*| ready(Answer::Ok([0, $($a),*].iter().sum()));
            let chain = fails.fallback(|error: String, $($a: u64),*| {
                assert_eq!(error, "down");
                ready(Ok([0, $($a),*].iter().sum()))
            });
            $(let $a = 1;)*
            assert_eq!(chain.call($($a),*).await, Ok($sum));
            assert_eq!(fails.fallback_to(sum).call($($a),*).await, Ok($sum));
            let retried = fails.fallback_to(sum).retry_with(RetryPolicy::default());
            assert_eq!(retried.call($($a),*).await, Ok($sum));

            let fails = |$($a: u64),*| if [0, $($a),*].len() > 99 { Ok(0) } else { Answer::Err("down".into()) };
            let sum = |$($a: u64),*| Answer::Ok([0, $($a),*].iter().sum());
            let chain = fails.blocking().fallback(|error: String, $($a: u64),*| {
                assert_eq!(error, "down");
                Ok([0, $($a),*].iter().sum())
            });
            assert_eq!(chain.call($($a),*), Ok($sum));
            assert_eq!(fails.blocking().fallback_to(sum.blocking()).call($($a),*), Ok($sum));
        };
    }
    arities! {
        both [] 0; both [a] 1; both [a, b] 2; both [a, b, c] 3; both [a, b, c, d] 4; both [a, b, c, d, e] 5;
        both [a, b, c, d, e, g] 6; both [a, b, c, d, e, g, h] 7; both [a, b, c, d, e, g, h, i] 8;
    }
}

#[derive(Debug)]
struct CountsClones<'a>(&'a Cell<u32>);

impl Clone for CountsClones<'_> {
    fn clone(&self) -> Self {
        self.0.set(self.0.get() + 1);
        Self(self.0)
    }
}

#[test]
fn the_arguments_are_cloned_once() {
    let clones = Cell::new(0);
    let fails = |_: CountsClones<'_>| ready(Answer::Err("down".into()));
    let fallback = fails.fallback(|_: String, _: CountsClones<'_>| ready(Ok(7)));
    assert_eq!(now(fallback.call(CountsClones(&clones))), Ok(7));
    assert_eq!(clones.replace(0), 1);
    let to = fails.fallback_to(|_: CountsClones<'_>| ready(Answer::Ok(7)));
    assert_eq!(now(to.call(CountsClones(&clones))), Ok(7));
    assert_eq!(clones.replace(0), 1);
}

#[test]
fn the_other_function_shows_its_chain() {
    let chain = fail.fallback_to(fail.timed("replica")).timed("whole");
    assert_eq!(format!("{chain:?}"), "fail.fallback_to(fail.timed(\"replica\")).timed(\"whole\")");
    assert_eq!(Callable::<(u64,)>::call_with(&chain, (7,)).now_or_never_is(), Err("no 7".to_owned()));
}

trait Now: Future + Sized {
    fn now_or_never_is(self) -> Self::Output {
        now(self)
    }
}

impl<F: Future> Now for F {}

/// A breaker behind the fallback sees the answer as a result of the function, even if the function
/// itself was not called.
#[tokio::test(start_paused = true)]
async fn an_answer_counts_as_a_call_of_the_function() {
    let limiter = RateLimiter::new(1, secs(60));
    limiter.try_acquire().unwrap();
    let refused = fail.try_rate_limited(&limiter);
    let breaker = CircuitBreaker::consecutive(1);
    assert!(refused.clone().guarded_by(&breaker).call(7).await.is_err());
    assert_eq!((breaker.stats().failed, breaker.stats().ignored), (0, 1));
    let answered = refused.clone().fallback(|_: String, id: u64| ready(Ok(id))).guarded_by(&breaker);
    assert_eq!((answered.call(7).await, breaker.stats().succeeded), (Ok(7), 1));
    let raised = refused.clone().fallback(|error: String, _: u64| ready(Err(error))).guarded_by(&breaker);
    assert!(raised.call(7).await.is_err());
    assert_eq!(breaker.stats().failed, 1);
    breaker.close();
    assert!(refused.fallback_to(fail).guarded_by(&breaker).call(7).await.is_err());
    assert_eq!(breaker.stats().failed, 2);
}

// ---- sync functions ----

#[test]
fn an_answer_of_a_sync_function_counts_as_a_call_of_the_function() {
    let limiter = RateLimiter::new(1, secs(60));
    limiter.try_acquire().unwrap();
    let refused = fail_sync.blocking().try_rate_limited(&limiter);
    let breaker = CircuitBreaker::consecutive(1);
    let answered = refused.clone().fallback(|_: String, id: u64| Ok(id)).guarded_by(&breaker);
    assert_eq!((answered.call(7), breaker.stats().succeeded), (Ok(7), 1));
    assert!(refused.fallback_to(fail_sync.blocking()).guarded_by(&breaker).call(7).is_err());
    assert_eq!(breaker.stats().failed, 1);
}

fn fail_sync(id: u64) -> Answer {
    Err(format!("no {id}"))
}

#[test]
fn a_sync_failure_is_answered_once() {
    let errors = RefCell::new(Vec::new());
    let fetch = fail_sync.blocking().fallback(|error: String, id: u64| {
        errors.borrow_mut().push(error.clone());
        if id == 0 { Err(error) } else { Ok(id) }
    });
    assert_eq!((fetch.call(7), fetch.call(0)), (Ok(7), Err("no 0".into())));
    assert_eq!(*errors.borrow(), ["no 7", "no 0"]);
}

#[test]
fn a_sync_panic_gets_no_answer() {
    let answers = AtomicU32::new(0);
    let panics =
        (|_: u64| if true { panic!("boom") } else { Answer::Ok(1) }).blocking().fallback(|_: String, _: u64| {
            answers.fetch_add(1, Relaxed);
            Ok(0)
        });
    assert!(catch_unwind(AssertUnwindSafe(|| panics.call(7))).is_err());
    assert_eq!(answers.load(Relaxed), 0);
}

/// The function ignores that its caller is gone, and fails later.
#[test]
fn an_abandoned_sync_call_gets_no_answer() {
    let clock = VirtualClock::start();
    let answers = Arc::new(AtomicU32::new(0));
    let count = |answers: &Arc<AtomicU32>| {
        let answers = Arc::clone(answers);
        move || {
            answers.fetch_add(1, Relaxed);
            Answer::Ok(0)
        }
    };
    let (by_closure, by_function) = (count(&answers), count(&answers));
    let token = CancelToken::new();
    let cancels = token.clone();
    let fails_late = move |_: u64| {
        cancels.cancel();
        Answer::Err("too late".into())
    };
    let chain = fails_late.clone().blocking().fallback(move |_: String, _: u64| by_closure());
    assert_eq!(token.run(|| chain.call(7)), None);
    let chain = fails_late.blocking().fallback_to((move |_: u64| by_function()).blocking());
    assert_eq!(token.run(|| chain.call(7)), None);
    assert_eq!((answers.load(Relaxed), clock.elapsed()), (0, secs(0)));
    test_util::sleep(secs(1));
    assert_eq!(answers.load(Relaxed), 0);
}
