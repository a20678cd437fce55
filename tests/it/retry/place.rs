//! `keeping_place`, the place of a retried call in the queue of a saturated limiter.

use crate::support::{ms, secs};
use decor::{
    Error, KeyedLimiter, RetryPolicy, attempt,
    prelude::*,
    test_util::{self, VirtualClock, VirtualThread},
};
use futures::future::join_all;
use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
};
use tokio::time::{Instant, sleep};

fn policy() -> RetryPolicy {
    RetryPolicy::fixed(secs(1)).max_attempts(4)
}

/// A limiter that admits a call every 10 s, the first at once.
fn slow() -> RateLimiter {
    RateLimiter::paced(1, secs(10))
}

/// Call, attempt and second of each attempt, in order.
type Calls = Vec<(u64, u32, u64)>;

/// Returns `true` for the attempts that fail, which are the first two of call 1 and the first of
/// call
/// 2. Calls 1 to 5 come a millisecond apart.
fn is_busy(id: u64) -> bool {
    (id == 1 && attempt() < 3) || (id == 2 && attempt() < 2)
}

async fn calls(limiter: &RateLimiter, policy: RetryPolicy) -> Calls {
    let (begun, seen) = (Instant::now(), RefCell::new(Vec::new()));
    let fetch = async |id: u64| {
        seen.borrow_mut().push((id, attempt(), begun.elapsed().as_secs()));
        if is_busy(id) { Err("busy") } else { Ok(()) }
    };
    let fetch = fetch.rate_limited(limiter).retry_with(policy);
    let call = async |id: u64| {
        sleep(ms(id)).await;
        fetch.call(id).await.unwrap();
    };
    join_all((1..=5).map(call)).await;
    seen.into_inner()
}

fn calls_of_threads(limiter: &RateLimiter, policy: &RetryPolicy) -> Calls {
    let (clock, seen) = (VirtualClock::start(), Arc::new(Mutex::new(Vec::new())));
    let threads = (1..=5_u64).map(|id| {
        let (limiter, policy, seen) = (limiter.clone(), policy.clone(), Arc::clone(&seen));
        clock.spawn(move || {
            let fetch = move |id: u64| {
                let now = test_util::elapsed().unwrap();
                seen.lock().unwrap().push((id, attempt(), now.as_secs()));
                if is_busy(id) { Err("busy") } else { Ok(()) }
            };
            test_util::sleep(ms(id));
            fetch.blocking().rate_limited(&limiter).retry_with(&policy).call(id).unwrap();
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(VirtualThread::join);
    Arc::into_inner(seen).unwrap().into_inner().unwrap()
}

const AT_THE_END: [(u64, u32, u64); 8] =
    [(1, 1, 0), (2, 1, 10), (3, 1, 20), (4, 1, 30), (5, 1, 40), (1, 2, 50), (2, 2, 60), (1, 3, 70)];
const IN_ITS_PLACE: [(u64, u32, u64); 8] =
    [(1, 1, 0), (1, 2, 10), (1, 3, 20), (2, 1, 30), (2, 2, 40), (3, 1, 50), (4, 1, 60), (5, 1, 70)];

#[tokio::test(start_paused = true)]
async fn an_attempt_joins_at_the_end_unless_the_policy_keeps_its_place() {
    assert_eq!(calls(&slow(), policy()).await, AT_THE_END);
    assert_eq!(calls(&slow(), policy().keeping_place()).await, IN_ITS_PLACE);
}

#[test]
fn a_threads_attempt_joins_at_the_end_unless_the_policy_keeps_its_place() {
    assert_eq!(calls_of_threads(&slow(), &policy()), AT_THE_END);
    assert_eq!(calls_of_threads(&slow(), &policy().keeping_place()), IN_ITS_PLACE);
}

/// The limit of the window holds, whichever call is next.
#[tokio::test(start_paused = true)]
async fn a_kept_place_admits_no_more_calls_than_the_limit() {
    let limiter = RateLimiter::new(2, secs(10));
    let made = calls(&limiter, policy().keeping_place()).await;
    assert_eq!(made, [(1, 1, 0), (2, 1, 0), (1, 2, 10), (2, 2, 10), (1, 3, 20), (3, 1, 20), (4, 1, 30), (5, 1, 30)]);
    assert_eq!((limiter.stats().admitted, limiter.waiting()), (8, 0));
}

/// Calls of the same instant keep the order in which they return.
#[tokio::test(start_paused = true)]
async fn calls_of_one_instant_keep_their_order() {
    let (limiter, seen) = (RateLimiter::new(3, secs(10)), RefCell::new(Vec::new()));
    let fetch = async |id: u64| {
        seen.borrow_mut().push(id);
        if attempt() == 1 && id <= 3 { Err("busy") } else { Ok(()) }
    };
    let fetch = fetch.rate_limited(&limiter).retry_with(policy().keeping_place());
    join_all((1..=6).map(|id| fetch.call(id))).await.into_iter().for_each(Result::unwrap);
    assert_eq!(*seen.borrow(), [1, 2, 3, 1, 2, 3, 4, 5, 6]);
}

/// A call without an attempt that has come to the limiter overtakes no call that came before.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_never_admitted_overtakes_no_earlier_call() {
    let (limiter, seen) = (slow(), RefCell::new(Vec::new()));
    let note = |id: u64| seen.borrow_mut().push(id);
    let first = async {
        limiter.acquire().await;
        note(1);
    };
    let second = async {
        limiter.acquire().await;
        note(2);
    };
    let late = async {
        sleep(secs(1)).await;
        let fetch = async || {
            if attempt() == 1 {
                return Err("refused by another");
            }
            limiter.acquire().await; // without a decorator, within an attempt
            note(3);
            Ok(())
        };
        fetch.retry_with(policy().keeping_place()).await.unwrap();
    };
    let last = async {
        sleep(ms(1_500)).await;
        limiter.acquire().await;
        note(4);
    };
    tokio::join!(first, second, late, last);
    // The third call came before the fourth, but an earlier call is in between.
    assert_eq!(*seen.borrow(), [1, 2, 4, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_bounded_wait_counts_from_the_kept_place() {
    let limiter = slow();
    let busy = || Error::Rejected { by: "server", message: "busy".to_owned(), retry_after: None };
    let fetch = async |id: u64| if id == 1 && attempt() == 1 { Err(busy()) } else { Ok(id) };
    let patient = |policy: RetryPolicy| fetch.rate_limited_within(&limiter, secs(15)).retry_with(policy);
    // Ten others come before call 1 returns at 1 s. At the end of the queue it would wait for 109
    // s.
    let others = || async {
        sleep(ms(500)).await;
        join_all((0..10).map(|_| limiter.acquire())).await;
    };
    let begun = Instant::now();
    let keeping = async {
        let answer = patient(policy().keeping_place()).call(1).await;
        (answer, begun.elapsed())
    };
    let ((answer, took), ()) = tokio::join!(keeping, others());
    assert_eq!((answer, took), (Ok(1), secs(10)));
    assert_eq!(begun.elapsed(), secs(110));
}

#[tokio::test(start_paused = true)]
async fn a_limiter_by_key_keeps_the_place_too() {
    let (keyed, seen) = (KeyedLimiter::new(1, secs(10)), RefCell::new(Vec::new()));
    let fetch = async |key: u64, id: u64| {
        seen.borrow_mut().push((key, id));
        if attempt() == 1 && id == 1 { Err("busy") } else { Ok(()) }
    };
    let fetch = fetch.rate_limited_by_key(&keyed, |key: &u64, _: &u64| *key);
    let fetch = fetch.retry_with(policy().keeping_place());
    join_all([(7, 1), (7, 2), (8, 1), (8, 2)].map(|(key, id)| fetch.call(key, id))).await;
    assert_eq!(*seen.borrow(), [(7, 1), (8, 1), (7, 1), (8, 1), (7, 2), (8, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_up_its_kept_place() {
    let (limiter, begun) = (slow(), Instant::now());
    let fail = async || Err::<(), _>("busy");
    let retried = fail.rate_limited(&limiter).retry_with(policy().keeping_place()).into_future();
    let second = async {
        limiter.acquire().await;
        begun.elapsed()
    };
    // Dropped while it queues before the second call.
    let (dropped, second) = tokio::join!(tokio::time::timeout(secs(5), retried), second);
    assert!(dropped.is_err());
    assert_eq!((second, limiter.waiting(), limiter.stats().cancelled), (secs(10), 0, 1));
}

/// In nested retries, the outer retry decides the place.
#[tokio::test(start_paused = true)]
async fn the_outer_retry_keeps_its_place_for_the_inner_one() {
    let order = async |inner: RetryPolicy, failures: u32| {
        let (limiter, seen) = (slow(), RefCell::new(Vec::new()));
        let failed = RefCell::new(0);
        let fetch = async |id: u64| {
            seen.borrow_mut().push(id);
            if failed.replace_with(|failed| *failed + 1) < failures { Err("busy") } else { Ok(()) }
        };
        let fetch = fetch.rate_limited(&limiter).retry_with(inner).retry_with(policy().keeping_place());
        join_all((1..=3).map(|id| fetch.call(id))).await;
        seen.into_inner()
    };
    assert_eq!(order(policy().max_attempts(1), 1).await, [1, 1, 2, 3]);
    // The second attempt of the outer retry begins with a new inner retry, which came much later.
    assert_eq!(order(policy().max_attempts(2).keeping_place(), 3).await, [1, 1, 1, 1, 2, 3]);
}

/// A timeout runs each attempt on a thread of the pool, which keeps the place of the call.
#[test]
fn a_limited_attempt_of_a_thread_keeps_the_place_too() {
    let (clock, limiter, seen) = (VirtualClock::start(), slow(), Arc::new(Mutex::new(Vec::new())));
    let threads = (1..=3_u64).map(|id| {
        let (limiter, seen) = (limiter.clone(), Arc::clone(&seen));
        clock.spawn(move || {
            let fetch = move |id: u64| {
                seen.lock().unwrap().push(id);
                if id == 1 && attempt() == 1 { Err("busy".to_owned()) } else { Ok(()) }
            };
            test_util::sleep(ms(id));
            let fetch = fetch.blocking().rate_limited(&limiter).timeout(secs(3_600));
            fetch.retry_with(policy().keeping_place()).call(id).unwrap();
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(VirtualThread::join);
    assert_eq!(*seen.lock().unwrap(), [1, 1, 2, 3]);
}

/// A spawned task does not belong to the retry, and joins at the end.
#[tokio::test(start_paused = true)]
async fn a_spawned_task_has_no_place_to_keep() {
    let (limiter, begun) = (slow(), Instant::now());
    let spawning = || {
        let limiter = limiter.clone();
        async move {
            let acquire = async move { limiter.acquire().await };
            tokio::spawn(acquire).await.unwrap();
            if attempt() == 1 { Err("busy") } else { Ok(begun.elapsed()) }
        }
    };
    let retried = spawning.retry_with(policy().keeping_place()).into_future();
    let (retried, ()) = tokio::join!(retried, async {
        sleep(ms(1)).await;
        limiter.acquire().await;
    });
    assert_eq!(retried, Ok(secs(20)));
}
