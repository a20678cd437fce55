//! A budget for retries: what pays, what is paid for, and what is given back.
#![allow(clippy::float_cmp)] // a balance is the nearest `f64` of an exact number

use crate::support::{listen, ms, paused, secs};
use decor::{
    Error, GiveUpReason, RetryBudget, RetryBudgetConfig,
    blocking::CancelToken,
    prelude::*,
    test_util::{self, VirtualClock},
};
use futures::future::join_all;
use std::{
    cell::{Cell, RefCell},
    future::{Ready, pending, ready},
    pin::pin,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    task::{Context, Waker},
    time::Duration,
};
use tokio::time::{Instant, advance, sleep, timeout};

type Answer = Result<u32, &'static str>;

fn fails() -> Ready<Answer> {
    ready(Err("down"))
}

fn succeeds() -> Ready<Answer> {
    ready(Ok(7))
}

fn once() -> RetryPolicy {
    RetryPolicy::fixed(secs(1)).max_attempts(2)
}

/// Number of withdrawals, of returns and of refusals, and the balance.
fn counts(budget: &RetryBudget) -> (u64, u64, u64, f64) {
    let stats = budget.stats();
    (stats.withdrawals, stats.returns, stats.refusals, stats.balance)
}

#[tokio::test(start_paused = true)]
async fn a_budget_starts_full_and_each_retry_takes_one() {
    let budget = RetryBudget::new(0.1);
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(5);
    let call = || fails.retry_with(&policy).budgeted(&budget).explained().into_future();
    for (attempts, reason, left) in [
        (5, GiveUpReason::Exhausted, 6.0),
        (5, GiveUpReason::Exhausted, 2.0),
        (3, GiveUpReason::BudgetExhausted, 0.0),
        (1, GiveUpReason::BudgetExhausted, 0.0),
    ] {
        let begun = Instant::now();
        let error = call().await.unwrap_err();
        assert_eq!((error.attempts(), error.reason(), budget.stats().balance), (attempts, reason, left));
        assert_eq!(begun.elapsed(), secs(u64::from(attempts) - 1), "the budget gives up before the delay");
    }
    assert_eq!(counts(&budget), (10, 0, 2, 0.0));
}

/// tower#857: a deposit of 0.6 once counted as 1. Rounded down, it would count as 0.
#[tokio::test(start_paused = true)]
async fn six_tenths_are_six_tenths() {
    let budget = RetryBudget::new(0.6).capacity(3);
    let succeed = succeeds.retry_with(once()).budgeted(&budget);
    let fail = fails.retry_with(once()).budgeted(&budget);
    for _ in 0..3 {
        fail.call().await.unwrap_err();
    }
    for balance in [0.6, 1.2, 1.8, 2.4, 3.0, 3.0] {
        succeed.call().await.unwrap();
        assert_eq!(budget.stats().balance, balance);
    }
    for _ in 0..4 {
        fail.call().await.unwrap_err();
    }
    assert_eq!(counts(&budget), (6, 0, 1, 0.0));
}

/// aws-sdk-go-v2#3550: a budget was paid only by calls that had taken from it, and so was never
/// filled again.
#[tokio::test(start_paused = true)]
async fn a_success_at_the_first_attempt_fills_the_budget_again() {
    let budget = RetryBudget::new(0.5).capacity(1);
    assert!(fails.retry_with(once()).budgeted(&budget).await.is_err());
    assert_eq!(budget.stats().balance, 0.0);
    for balance in [0.5, 1.0, 1.0] {
        succeeds.retry_with(once()).budgeted(&budget).await.unwrap();
        assert_eq!(budget.stats().balance, balance);
    }
    assert_eq!(budget.stats().deposits, 3, "a deposit into a full budget is counted");
}

#[tokio::test(start_paused = true)]
async fn a_call_pays_once_and_only_for_a_success() {
    let budget = RetryBudget::new(0.25);
    let after = async |answers: &[Answer]| {
        let answers = RefCell::new(answers.to_vec());
        let call = (|| ready(answers.borrow_mut().pop().unwrap())).retry_with(RetryPolicy::default().max_attempts(3));
        let retry = call.when_result(|r| matches!(r, Err("busy") | Ok(503))).budgeted(&budget);
        (retry.await, budget.stats().deposits, budget.stats().balance)
    };
    assert_eq!(after(&[Ok(200), Err("busy"), Err("busy")]).await, (Ok(200), 1, 8.25), "paid at the third attempt");
    assert_eq!(after(&[Err("no such user")]).await, (Err("no such user"), 1, 8.25), "an error pays nothing");
    assert_eq!(after(&[Ok(503), Ok(503), Ok(503)]).await, (Ok(503), 1, 6.25), "an `Ok` that was to be retried");
    assert_eq!(after(&[Ok(200)]).await, (Ok(200), 2, 6.5));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_for_a_retry_that_another_limit_rules_out() {
    let budget = RetryBudget::new(0.1);
    let policy = || RetryPolicy::fixed(secs(2)).max_attempts(5);
    let fail = || fails.retry_with(policy().max_attempts(1)).budgeted(&budget);
    assert!(fail().await.is_err(), "the last attempt");
    assert!(fails.retry_with(policy()).when(|_| false).budgeted(&budget).await.is_err());
    assert!(fails.retry_with(policy().deadline(secs(1))).budgeted(&budget).await.is_err());
    assert!(fails.retry_with(policy()).retry_after(|_| Some(secs(9_999))).budgeted(&budget).await.is_err());
    let fail = fails.lifted().retry_with(policy()).budgeted(&budget).timeout(secs(1));
    assert_eq!(fail.await.unwrap_err().call(), Some(&"down"), "beyond the limit of the timeout");
    assert_eq!(counts(&budget), (0, 0, 0, 10.0));
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_never_begins_is_given_back() {
    let budget = RetryBudget::new(0.1);
    let fail = fails.retry_with(once()).budgeted(&budget);
    assert!(timeout(ms(999), fail.call()).await.is_err(), "dropped during the delay");
    assert_eq!(counts(&budget), (1, 1, 0, 10.0));

    // An attempt without a delay is due at the next poll, which never comes.
    let at_once = fails.retry_with(RetryPolicy::fixed(Duration::ZERO)).budgeted(&budget);
    {
        let mut call = pin!(at_once.call());
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(counts(&budget), (2, 1, 0, 9.0), "taken before the delay");
    }
    assert_eq!(counts(&budget), (2, 2, 0, 10.0));

    // The second attempt hangs.
    let attempts = Cell::new(0);
    let hang = || {
        attempts.set(attempts.get() + 1);
        let is_first = attempts.get() == 1;
        async move { if is_first { Err::<u32, _>("down") } else { pending().await } }
    };
    assert!(timeout(secs(5), hang.retry_with(once()).budgeted(&budget)).await.is_err());
    assert_eq!((counts(&budget), attempts.get()), ((3, 2, 0, 9.0), 2), "an attempt that has begun is paid for");

    // More than the capacity cannot be given back.
    let other = succeeds.retry_with(once()).budgeted(&budget);
    let full = async {
        for _ in 0..20 {
            other.call().await.unwrap();
        }
        assert_eq!(budget.stats().balance, 10.0);
    };
    assert!(timeout(ms(10), async { tokio::join!(fail.call(), full) }).await.is_err());
    assert_eq!(counts(&budget), (4, 3, 0, 10.0));
}

#[tokio::test(start_paused = true)]
async fn a_panicking_attempt_is_paid_for() {
    let budget = RetryBudget::new(0.1);
    let attempts = AtomicU32::new(0);
    let panics = || match attempts.fetch_add(1, SeqCst) {
        0 => ready(Err::<u32, _>("down")),
        _ => panic!("a bug"),
    };
    let call = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(
        panics.retry_with(once()).budgeted(&budget).into_future(),
    ));
    assert!(call.await.is_err());
    assert_eq!(counts(&budget), (1, 0, 0, 9.0));
}

#[tokio::test(start_paused = true)]
async fn time_pays_up_to_the_capacity() {
    let budget = RetryBudget::new(0.1).capacity(2).per_second(0.4);
    let fail = fails.retry_with(RetryPolicy::fixed(Duration::ZERO).max_attempts(9)).budgeted(&budget).explained();
    let attempts = async || fail.call().await.unwrap_err().attempts();
    assert_eq!(attempts().await, 3);
    assert_eq!(attempts().await, 1);
    advance(ms(2_499)).await;
    assert_eq!((budget.stats().balance, attempts().await), (0.9996, 1));
    advance(ms(1)).await;
    assert_eq!((budget.stats().balance, attempts().await), (1.0, 2));
    advance(secs(3_600)).await;
    assert_eq!((budget.stats().balance, attempts().await), (2.0, 3), "no more than the capacity is saved");
}

#[tokio::test(start_paused = true)]
async fn the_give_up_is_reported_with_its_reason() {
    let (log, budget) = (listen(), RetryBudget::new(0.1).capacity(1));
    let seen = RefCell::new(Vec::new());
    let hook = |g: &decor::GiveUpEvent<'_, &'static str>| seen.borrow_mut().push((g.attempts, g.elapsed, g.reason));
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(9);
    for _ in 0..2 {
        assert!(fails.named("f").retry_with(&policy).budgeted(&budget).on_give_up(hook).await.is_err());
    }
    let exhausted = GiveUpReason::BudgetExhausted;
    assert_eq!(seen.take(), [(2, secs(1), exhausted), (1, Duration::ZERO, exhausted)]);
    assert_eq!(
        log.take(),
        [
            "DEBUG f failed at attempt 1, retrying in 1s",
            "WARN f gave up at attempt 2: budget exhausted",
            "WARN f gave up at attempt 1: budget exhausted",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn retries_within_retries_take_from_their_own_budgets() {
    let (inner, outer) = (RetryBudget::new(0.1), RetryBudget::new(0.1));
    let calls = Cell::new(0);
    let fail = || {
        calls.set(calls.get() + 1);
        fails()
    };
    let nested = fail.retry_with(once()).budgeted(&inner).retry_with(once()).budgeted(&outer);
    assert!(nested.await.is_err());
    assert_eq!((calls.get(), counts(&inner), counts(&outer)), (4, (2, 0, 0, 8.0), (1, 0, 0, 9.0)));
}

#[test]
fn threads_and_tasks_share_a_budget() {
    let budget = RetryBudget::new(0.1).capacity(2);
    let sync = || Err::<u32, _>("down");
    {
        let _clock = VirtualClock::start();
        assert!(sync.blocking().retry_with(once()).budgeted(&budget).run().is_err());
    }
    assert!(paused().block_on(fails.retry_with(once()).budgeted(&budget).into_future()).is_err());
    assert_eq!(counts(&budget), (2, 0, 0, 0.0));
    assert!(sync.blocking().retry_with(once()).budgeted(&budget).run().is_err());
    (|| Ok::<_, &str>(7)).blocking().retry_with(once()).budgeted(&budget).run().unwrap();
    assert_eq!(counts(&budget), (2, 0, 1, 0.1));
}

#[test]
fn a_blocking_retry_that_is_cancelled_in_its_delay_is_given_back() {
    let (clock, token, budget) = (VirtualClock::start(), CancelToken::new(), RetryBudget::new(0.1));
    let (its_token, its_budget) = (token.clone(), budget.clone());
    let worker = clock.spawn(move || {
        let fail = (|| Err::<u32, _>("down")).blocking().retry_with(once()).budgeted(&its_budget);
        its_token.run(|| fail.run())
    });
    test_util::sleep(ms(500));
    assert_eq!(counts(&budget), (1, 0, 0, 9.0));
    token.cancel();
    assert_eq!(worker.join(), None);
    assert_eq!(counts(&budget), (1, 1, 0, 10.0));
}

#[test]
fn settings_come_from_literals_and_from_values() {
    let budget = RetryBudget::new(0.25).capacity(50).per_second(1.5);
    assert_eq!(budget.to_string(), "0.25 per success, capacity 50, 1.5 per second");
    assert_eq!(format!("{budget:?}"), "RetryBudget(0.25 per success, capacity 50, 1.5 per second)");
    assert_eq!(
        format!("{:?}", fails.retry_with(once()).budgeted(&RetryBudget::new(0.1))),
        "fails.retry_with(fixed 1s, no jitter, 2 attempts).budgeted(0.1 per success, capacity 10)"
    );
    let config = RetryBudgetConfig { ratio: 0.25, capacity: 50, per_second: Some(1.5) };
    assert_eq!(RetryBudget::try_from(config).unwrap().to_string(), budget.to_string());
    assert_eq!(
        RetryBudget::try_from(RetryBudgetConfig::default()).unwrap().to_string(),
        "0.1 per success, capacity 10"
    );
    for refused in [
        RetryBudget::try_new(-1.0),
        RetryBudget::new(0.1).try_capacity(0),
        RetryBudget::new(0.1).try_per_second(0.0),
        RetryBudgetConfig { ratio: f64::NAN, ..config }.try_into(),
    ] {
        assert!(refused.is_err());
    }
}

#[test]
#[should_panic = "`ratio` is -0.1, but must be 0, or between 0.000001 and 1000"]
fn a_negative_ratio_is_refused() {
    let _ = RetryBudget::new(-0.1);
}

#[test]
fn a_setting_makes_another_budget() {
    let small = RetryBudget::new(0.1).capacity(1);
    let large = small.clone().capacity(5);
    assert_eq!((small.stats().balance, large.stats().balance), (1.0, 5.0));
}

/// A server that is down from 200 s to 600 s. Ten calls come in each second, with up to 3 attempts.
/// Returns the attempts before, during and after the outage, and the retries of the calls after it.
async fn attempts_around_an_outage(budget: Option<RetryBudget>) -> [u32; 3] {
    let begun = Instant::now();
    let attempts = RefCell::new([0; 3]);
    let phase = |at: Duration| if at < secs(200) { 0 } else { usize::from(at >= secs(600)) + 1 };
    let serve = || {
        let phase = phase(begun.elapsed());
        attempts.borrow_mut()[phase] += 1;
        ready(if phase == 1 { Err(Error::QueueFull { waiting: 9 }) } else { Ok(7) })
    };
    let policy = RetryPolicy::exponential(ms(20)).max_attempts(3);
    let calls = (0..10_000_u64).map(|n| {
        let retry = serve.retry_with(&policy);
        let budget = budget.clone();
        async move {
            sleep(ms(100 * n)).await;
            match budget {
                Some(budget) => retry.budgeted(&budget).await,
                None => retry.await,
            }
        }
    });
    join_all(calls).await;
    attempts.into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_full_outage_is_amplified_by_the_ratio_at_most() {
    assert_eq!(attempts_around_an_outage(None).await, [2_000, 3 * 4_000, 4_000]);
    let budget = RetryBudget::new(0.1);
    let [before, during, after] = attempts_around_an_outage(Some(budget.clone())).await;
    assert_eq!([before, during, after], [2_000, 4_000 + 10, 4_000]);
    assert!(f64::from(during) <= 4_000.0 * (1.0 + 0.1));
    assert_eq!(budget.stats().balance, 10.0, "filled again after the outage");

    // One retry in two seconds goes on during the outage, because time pays for it.
    let by_time = RetryBudget::new(0.1).per_second(0.5);
    let [_, during, _] = attempts_around_an_outage(Some(by_time)).await;
    assert_eq!(during, 4_000 + 10 + 199);
}

/// Every other attempt fails. Without a budget, each call would make two attempts.
#[tokio::test(start_paused = true)]
async fn the_retries_of_a_flaky_server_are_the_ratio_of_its_successes() {
    let budget = RetryBudget::new(0.1);
    let attempts = Cell::new(0_u32);
    let flaky = || {
        attempts.set(attempts.get() + 1);
        ready(if attempts.get() % 2 == 1 { Err("busy") } else { Ok(7) })
    };
    let call = flaky.retry_with(RetryPolicy::fixed(Duration::ZERO)).budgeted(&budget);
    let mut successes = 0;
    for _ in 0..10_000 {
        successes += u32::from(call.call().await.is_ok());
    }
    let stats = budget.stats();
    assert_eq!(u64::from(attempts.get()), 10_000 + stats.withdrawals);
    assert_eq!(stats.deposits, u64::from(successes));
    let paid = 10.0 + 0.1 * f64::from(successes) - stats.balance;
    assert_eq!(f64::from(u32::try_from(stats.withdrawals).unwrap()), paid.round());
    assert!((paid - paid.round()).abs() < 1e-6 && stats.withdrawals < 600, "{stats}");
}
