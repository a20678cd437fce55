//! Settled reservations: the permits that were used count, instead of those that were reserved.

use crate::support::{ms, secs};
use decor::{
    BoxedFn, CallableOnce, Error, KeyedLimiter,
    layer::{Decoration, Gate, Wait},
    prelude::*,
    test_util::{self, VirtualClock},
};
use futures::FutureExt as _;
use std::{
    fmt,
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Poll, ready as when_ready},
};
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready, task};

type Answer = Result<u32, Error>;

fn failed() -> Error {
    Error::InvalidArgument { message: "no".into() }
}

/// Calls and tokens, both in any second.
fn limiter() -> RateLimiter {
    RateLimiter::windows([(10, secs(1)), (100, secs(1))])
}

#[allow(clippy::trivially_copy_pass_by_ref)] // a decorator calls it so
fn reserve(tokens: &u32) -> [u32; 2] {
    [1, *tokens]
}

#[allow(clippy::trivially_copy_pass_by_ref)] // a decorator calls it so
fn used(tokens: &u32) -> [u32; 2] {
    [1, *tokens]
}

/// Uses 30 tokens after 100 ms.
async fn slow(_: u32) -> Answer {
    sleep(ms(100)).await;
    Ok(30)
}

/// A gate that holds each call for 100 ms, and then admits or refuses it.
#[derive(Debug, Clone)]
struct Door {
    opens: bool,
    /// Moment at which the door decides; `None` before the first poll.
    at: Option<Instant>,
}

impl Door {
    fn that(opens: bool) -> Self {
        Self { opens, at: None }
    }
}

impl Decoration for Door {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".door()")
    }
}

impl Gate<Answer> for Door {
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), Answer>> {
        let at = *self.at.get_or_insert_with(|| wait.now() + ms(100));
        when_ready!(wait.until(at));
        Poll::Ready(if self.opens { Ok(()) } else { Err(Err(failed())) })
    }
}

#[tokio::test(start_paused = true)]
async fn less_is_given_back_and_more_is_charged_window_by_window() {
    let limiter = limiter();
    let call = (|_: u32, used: u32| ready(Ok::<_, Error>(used)))
        .rate_limited_by(&limiter, |reserved: &u32, _: &u32| [1, *reserved])
        .settled(used);
    assert_eq!(call.call(50, 20).await, Ok(20));
    assert_eq!(limiter.available_per_window(), [9, 80]);
    assert_eq!(call.call(30, 30).await, Ok(30));
    assert_eq!(limiter.available_per_window(), [8, 50]);
    assert_eq!(call.call(10, 25).await, Ok(25));
    assert_eq!(limiter.available_per_window(), [7, 25]);
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.charged, stats.refunded), (3, [0, 15, 0, 0], [0, 30, 0, 0]));

    // The call used more permits than were free, so the window is overdrawn.
    assert_eq!(call.call(25, 90).await, Ok(90));
    assert_eq!(limiter.available_per_window(), [6, 0]);
    let begun = Instant::now();
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), secs(1));

    // A closure may give one window back and charge the other.
    advance(secs(1)).await;
    let call = (|_: u32| ready(Ok::<_, Error>(()))).rate_limited_by(&limiter, |_: &u32| [5, 50]).settled(|()| [7, 20]);
    call.call(1).await.unwrap();
    assert_eq!(limiter.available_per_window(), [3, 80]);
}

#[tokio::test(start_paused = true)]
async fn the_difference_is_settled_when_the_call_ends() {
    let limiter = limiter();
    let call = slow.rate_limited_by(&limiter, reserve).settled(used);
    let mut less = task::spawn(call.call(90));
    assert_pending!(less.poll());
    assert_eq!(limiter.available_per_window(), [9, 10], "reserved");
    let mut waiter = task::spawn(limiter.acquire_many([1, 70]));
    assert_pending!(waiter.poll());
    advance(ms(100)).await;
    assert_eq!(assert_ready!(less.poll()), Ok(30));
    assert!(waiter.is_woken());
    assert!(assert_ready!(waiter.poll()).is_ok());
    assert_eq!(limiter.available_per_window(), [8, 0]);
}

/// A refund of young permits brings a waiter's turn forward, but not to now.
#[tokio::test(start_paused = true)]
async fn permits_go_back_to_the_moment_at_which_they_were_taken() {
    let limiter = RateLimiter::new(10, secs(1));
    let begun = Instant::now();
    limiter.acquire_many(5).await.unwrap();
    advance(ms(400)).await;
    let call = |_: u32| async {
        sleep(ms(100)).await;
        Ok::<_, Error>(1_u32)
    };
    let call = call.rate_limited_by(&limiter, |n: &u32| *n).settled(|n| *n);
    let mut call = task::spawn(call.call(5));
    assert_pending!(call.poll());
    let mut waiter = task::spawn(limiter.acquire_many(6));
    assert_pending!(waiter.poll());
    advance(ms(100)).await;
    assert!(assert_ready!(call.poll()).is_ok());
    assert_eq!(limiter.available(), 4, "in use must be 5 permits of the beginning and 1 of 400 ms");
    assert!(waiter.is_woken());
    assert_pending!(waiter.poll());
    waiter.await.unwrap();
    assert_eq!(begun.elapsed(), secs(1), "without the refund, the turn was at 1.4 s");
}

/// If the oldest permits were given back, the log would fill up with young ones, and a steady load
/// would wait for most of each period.
#[tokio::test(start_paused = true)]
async fn a_steady_load_below_the_limit_does_not_wait() {
    let limiter = RateLimiter::new(100, secs(1));
    let call = |_: u32| async {
        sleep(ms(90)).await;
        Ok::<_, Error>(4_u32)
    };
    let call = call.rate_limited_by(&limiter, |n: &u32| *n).settled(|n| *n);
    let begun = Instant::now();
    let mut calls = Vec::new();
    // One call each 50 ms, which reserves 10 permits and uses 4, so 80 permits a second.
    for n in 0..100 {
        calls.push(tokio::spawn(call.call(10)));
        sleep(ms(50)).await;
        let before = n.min(20);
        assert!(limiter.available() >= 100 - 4 * before - 20, "{} at {n}", limiter.available());
    }
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(begun.elapsed(), ms(100 * 50 + 40));
    assert_eq!(limiter.stats().delayed, 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_keeps_the_reservation_unless_it_reports_its_use() {
    let limiter = limiter();
    let fails = |_: u32| ready(Err::<u32, _>(failed()));
    let call = fails.rate_limited_by(&limiter, reserve).settled(used);
    assert!(call.call(40).await.is_err());
    assert_eq!(limiter.available_per_window(), [9, 60]);

    let told = |result: &Answer| match result {
        Ok(tokens) => Some([1, *tokens]),
        Err(Error::InvalidArgument { .. }) => Some([1, 5]),
        Err(_) => None,
    };
    let call = fails.rate_limited_by(&limiter, reserve).settled_result(told);
    assert!(call.call(40).await.is_err());
    assert_eq!(limiter.available_per_window(), [8, 55]);
    let call = slow.rate_limited_by(&limiter, reserve).settled_result(told);
    assert_eq!(call.call(55).await, Ok(30));
    assert_eq!(limiter.available_per_window(), [7, 25]);
    let unknown = (|_: u32| ready(Err::<u32, _>(Error::QueueFull { waiting: 1 }))).rate_limited_by(&limiter, reserve);
    assert!(unknown.settled_result(told).call(10).await.is_err());
    assert_eq!(limiter.available_per_window(), [6, 15], "an unknown use must keep the reservation");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cancelled_or_panics_keeps_its_reservation() {
    let limiter = limiter();
    let hangs = (|_: u32| pending::<Answer>()).rate_limited_by(&limiter, reserve).settled(used);
    let mut call = task::spawn(hangs.call(40));
    assert_pending!(call.poll());
    drop(call);
    assert_eq!(limiter.available_per_window(), [9, 60]);
    let error = hangs.timeout(ms(10)).call(40).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }));
    assert_eq!(limiter.available_per_window(), [8, 20]);

    let panics = |_: u32| async { if ms(1) > ms(0) { panic!("broken") } else { Answer::Ok(1) } };
    let panics = panics.rate_limited_by(&limiter, reserve).settled(used);
    assert!(AssertUnwindSafe(panics.call(10)).catch_unwind().await.is_err());
    assert_eq!(limiter.available_per_window(), [7, 10]);
    assert_eq!(limiter.stats().refunded, [0; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_or_leaves_the_queue_takes_no_permit() {
    let limiter = limiter();
    let call = slow.rate_limited_by(&limiter, reserve).settled(used);
    assert!(matches!(call.call(101).await, Err(Error::InvalidArgument { .. })));
    limiter.acquire_many([1, 80]).await.unwrap();
    let mut waits = task::spawn(call.call(30));
    assert_pending!(waits.poll());
    drop(waits);
    assert_eq!(limiter.available_per_window(), [9, 20]);
    drop(call.call(10)); // never polled
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.cancelled, stats.refunded), (1, 1, [0; 4]));
}

#[tokio::test(start_paused = true)]
async fn the_reservation_is_given_back_if_the_function_was_never_called() {
    let limiter = limiter();
    let calls = AtomicU32::new(0);
    let counted = |_: u32| {
        calls.fetch_add(1, Relaxed);
        ready(Answer::Ok(7))
    };
    // An inner gate refuses.
    let refused = counted.gated(Door::that(false)).timed("f").rate_limited_by(&limiter, reserve).settled(used);
    let mut call = task::spawn(refused.call(40));
    assert_pending!(call.poll());
    assert_eq!(limiter.available_per_window(), [9, 60], "the permits must be reserved meanwhile");
    advance(ms(100)).await;
    assert_eq!(assert_ready!(call.poll()), Err(failed()));
    assert_eq!(limiter.available_per_window(), [10, 100]);

    // A call is dropped while an inner gate holds it back, such as the gate of a limiter.
    let other = RateLimiter::new(1, secs(60));
    other.acquire().await;
    let held = counted.rate_limited(&other).timeout(secs(1)).rate_limited_by(&limiter, reserve).settled(used);
    let mut call = task::spawn(held.call(40));
    assert_pending!(call.poll());
    assert_eq!(limiter.available_per_window(), [9, 60]);
    drop(call);
    assert_eq!(limiter.available_per_window(), [10, 100]);
    // A timeout inside ends the call.
    assert!(matches!(held.call(40).await, Err(Error::TimedOut { .. })));
    assert_eq!(limiter.available_per_window(), [10, 100]);

    // Arguments are refused.
    let validated = counted.validated(|_: &u32| Err::<(), _>("no")).rate_limited_by(&limiter, reserve).settled(used);
    assert_eq!(validated.call(40).await, Err(failed()));
    assert_eq!(limiter.available_per_window(), [10, 100]);

    // All attempts of a retry inside are refused.
    let retried = counted.gated(Door::that(false)).retry_with(RetryPolicy::fixed(ms(1)));
    let retried = retried.rate_limited_by(&limiter, reserve).settled(used);
    assert_eq!(retried.call(40).await, Err(failed()));
    assert_eq!(limiter.available_per_window(), [10, 100]);

    // A box and an `Arc` report that the function was not called, too.
    let boxed: BoxedFn<(u32,), Answer> = (|_: u32| ready(Answer::Ok(7))).gated(Door::that(false)).boxed();
    let shared = Arc::new(boxed.clone());
    assert!(boxed.rate_limited_by(&limiter, reserve).settled(used).call(40).await.is_err());
    assert!(shared.rate_limited_by(&limiter, reserve).settled(used).call(40).await.is_err());
    assert_eq!(limiter.available_per_window(), [10, 100]);

    // A settled limiter inside a settled limiter.
    let inner = RateLimiter::new(50, secs(1));
    let both = counted
        .gated(Door::that(false))
        .rate_limited_by(&inner, |n: &u32| *n)
        .settled(|n| *n)
        .rate_limited_by(&limiter, reserve)
        .settled(used);
    assert!(both.call(40).await.is_err());
    assert_eq!((inner.available(), limiter.available_per_window()), (50, vec![10, 100]));
    assert_eq!(calls.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_function_behind_an_inner_gate_is_settled_once_it_was_called() {
    let limiter = limiter();
    let inner = RateLimiter::new(50, secs(1));
    let both = slow
        .validated(|_: &u32| Ok::<_, &str>(()))
        .gated(Door::that(true))
        .rate_limited_by(&inner, |n: &u32| *n)
        .settled(|n| *n)
        .rate_limited_by(&limiter, reserve)
        .settled(used);
    assert_eq!(both.call(40).await, Ok(30));
    assert_eq!((inner.available(), limiter.available_per_window()), (20, vec![9, 70]));

    // The call is dropped after the inner gate let it through.
    let mut call = task::spawn(both.call(20));
    assert_pending!(call.poll());
    advance(ms(150)).await;
    assert_pending!(call.poll());
    drop(call);
    assert_eq!((inner.available(), limiter.available_per_window()), (0, vec![8, 50]));

    // The first attempt of a retry was made, the next was refused.
    let attempts = AtomicU32::new(0);
    let fails = |_: u32| ready(Answer::Err(failed()));
    let opens_once = |_: &u32| Door::that(attempts.fetch_add(1, Relaxed) == 0);
    let retried = fails.gated_by(opens_once).retry_with(RetryPolicy::fixed(ms(1)).max_attempts(2));
    advance(secs(1)).await;
    assert!(retried.rate_limited_by(&limiter, reserve).settled(used).call(40).await.is_err());
    assert_eq!((attempts.load(Relaxed), limiter.available_per_window()), (2, vec![9, 60]));

    // A function has been called even if its body makes a call that is refused.
    let refused = (|_: u32| ready(Answer::Ok(1))).gated(Door::that(false));
    let body = async |n: u32| refused.call(n).await;
    advance(secs(1)).await;
    assert!(body.rate_limited_by(&limiter, reserve).settled(used).call(40).await.is_err());
    assert_eq!(limiter.available_per_window(), [9, 60]);
}

/// A function of a user's own type always counts as called.
#[tokio::test(start_paused = true)]
async fn a_function_of_a_users_own_type_counts_as_called() {
    struct Own;

    impl CallableOnce<(u32,)> for Own {
        type Output = Answer;
        type Future = std::future::Ready<Answer>;

        fn call_once(self, (tokens,): (u32,)) -> Self::Future {
            ready(Answer::Ok(tokens / 2))
        }
    }

    let limiter = limiter();
    let call = Own.rate_limited_by(&limiter, reserve).settled(used);
    assert_eq!(call.call_once((40,)).await, Ok(20));
    assert_eq!(limiter.available_per_window(), [9, 80]);
}

#[tokio::test(start_paused = true)]
async fn a_memo_inside_counts_as_a_call() {
    let (limiter, memo) = (limiter(), Memo::<u32, u32>::ttl(secs(60)));
    let call = slow.memoized(&memo).rate_limited_by(&limiter, reserve).settled(used);
    assert_eq!(call.call(40).await, Ok(30));
    assert_eq!(call.call(40).await, Ok(30));
    assert_eq!(limiter.available_per_window(), [8, 40]);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_retry_settles_by_itself() {
    let limiter = limiter();
    let attempts = AtomicU32::new(0);
    let call = |_: u32| {
        ready(match attempts.fetch_add(1, Relaxed) {
            0 => Err(failed()),
            1 => Err(Error::QueueFull { waiting: 1 }),
            _ => Ok(10),
        })
    };
    let call = call.timeout(secs(1)).rate_limited_by(&limiter, reserve).settled_result(|result| match result {
        Ok(tokens) => Some([1, *tokens]),
        Err(Error::QueueFull { .. }) => Some([1, 1]),
        Err(_) => None,
    });
    let call = call.retry_with(RetryPolicy::fixed(ms(1)));
    assert_eq!(call.call(30).await, Ok(10));
    assert_eq!(limiter.available_per_window(), [7, 100 - 30 - 1 - 10]);

    // With an inner gate. The first attempt is held back until it times out, and the second is
    // made.
    let doors = AtomicU32::new(0);
    let door = |_: &u32| Door { opens: true, at: (doors.fetch_add(1, Relaxed) > 0).then(Instant::now) };
    let call = (|_: u32| ready(Answer::Ok(20))).gated_by(door).timeout(ms(50));
    let call = call.rate_limited_by(&limiter, reserve).settled(used).retry_with(RetryPolicy::fixed(ms(1)));
    advance(secs(1)).await;
    assert_eq!(call.call(60).await, Ok(20));
    assert_eq!(limiter.available_per_window(), [9, 80]);
    assert_eq!(limiter.stats().refunded, [1, 29 + 20 + 60 + 40, 0, 0]);

    // The call is dropped between attempts, and during an attempt.
    let call = (|_: u32| pending::<Answer>()).rate_limited_by(&limiter, reserve).settled(used);
    let call = call.retry_with(RetryPolicy::default());
    let mut hangs = task::spawn(call.call(50));
    assert_pending!(hangs.poll());
    drop(hangs);
    assert_eq!(limiter.available_per_window(), [8, 30]);
}

#[tokio::test(start_paused = true)]
async fn reservations_of_attempts_that_call_no_function_are_given_back() {
    let limiter = limiter();
    let policy = RetryPolicy::fixed(ms(1)).max_attempts(2);
    let calls = AtomicU32::new(0);
    let counted = |_: u32| {
        calls.fetch_add(1, Relaxed);
        ready(Answer::Err(failed()))
    };
    let validated = counted.validated(|_: &u32| Err::<(), _>("no")).rate_limited_by(&limiter, reserve).settled(used);
    assert!(validated.retry_with(&policy).call(40).await.is_err());
    let gated = counted.gated(Door::that(false)).timed("f").rate_limited_by(&limiter, reserve).settled(used);
    assert!(gated.retry_with(&policy).call(40).await.is_err());
    let retried = counted.gated(Door::that(false)).retry_with(&policy).rate_limited_by(&limiter, reserve).settled(used);
    assert!(retried.retry_with(&policy).call(40).await.is_err());
    assert_eq!((calls.load(Relaxed), limiter.available_per_window()), (0, vec![10, 100]));
    assert_eq!(limiter.stats().admitted, 6);

    // If validation and gate let the attempt through, each attempt is a call.
    let passes = counted.validated(|_: &u32| Ok::<_, &str>(())).gated(Door::that(true));
    let passes = passes.rate_limited_by(&limiter, reserve).settled(used).retry_with(&policy);
    assert!(passes.call(20).await.is_err());
    let passes = counted.gated(Door::that(true)).validated(|_: &u32| Ok::<_, &str>(()));
    let passes = passes.rate_limited_by(&limiter, reserve).settled(used).retry_with(&policy);
    assert!(passes.call(20).await.is_err());
    assert_eq!((calls.load(Relaxed), limiter.available_per_window()), (4, vec![6, 20]));
}

#[tokio::test(start_paused = true)]
async fn a_reservation_older_than_the_period_takes_nothing_from_others() {
    let limiter = RateLimiter::windows([(10, secs(1)), (100, secs(10))]);
    let call = |_: u32| async {
        sleep(secs(2)).await;
        Answer::Ok(30)
    };
    let call = call.rate_limited_by(&limiter, |n: &u32| [3, *n]).settled(|n| [1, *n]);
    let mut call = task::spawn(call.call(50));
    assert_pending!(call.poll());
    advance(secs(1)).await;
    limiter.acquire_many([4, 10]).await.unwrap();
    advance(ms(999)).await;
    assert_pending!(call.poll());
    advance(ms(1)).await;
    limiter.acquire_many([5, 10]).await.unwrap();
    assert!(assert_ready!(call.poll()).is_ok());
    assert_eq!(limiter.available_per_window(), [5, 50], "the short window must give back nothing");
    assert_eq!(limiter.stats().refunded, [0, 20, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_paced_reservation_moves_the_schedule_back() {
    let limiter = RateLimiter::builder().paced(10, secs(1)).burst(2).build();
    let call = |n: u32| async move {
        sleep(ms(100)).await;
        Ok::<_, Error>(n)
    };
    let call = call.rate_limited_by(&limiter, |_: &u32| 8).settled(|n| *n);
    let begun = Instant::now();
    assert_eq!(call.call(3).await, Ok(3));
    limiter.acquire_many(2).await.unwrap();
    assert_eq!(begun.elapsed(), ms(300), "without the refund, the turn was at 800 ms");

    // A reservation that is older than the period cannot be given back.
    advance(secs(5)).await;
    let slow = |_: u32| async {
        sleep(secs(1)).await;
        Ok::<_, Error>(1_u32)
    };
    let slow = slow.rate_limited_by(&limiter, |_: &u32| 8).settled(|n| *n);
    let mut slow = task::spawn(slow.call(1));
    assert_pending!(slow.poll());
    advance(ms(999)).await;
    limiter.charge(10);
    advance(ms(1)).await;
    assert!(assert_ready!(slow.poll()).is_ok());
    assert_eq!(limiter.stats().refunded[0], 5);
}

#[tokio::test(start_paused = true)]
async fn limits_that_change_during_a_call_are_kept() {
    let limiter = RateLimiter::new(100, secs(10));
    let call = |_: u32| async {
        sleep(secs(2)).await;
        Answer::Ok(30)
    };
    let call = call.rate_limited_by(&limiter, |n: &u32| *n).settled(|n| *n);
    let mut call = task::spawn(call.call(80));
    assert_pending!(call.poll());
    advance(secs(1)).await;
    limiter.set_limit(50, secs(1));
    assert_eq!(limiter.available(), 50, "the reservation must have left the shorter window");
    limiter.acquire_many(20).await.unwrap();
    advance(secs(1)).await;
    assert!(assert_ready!(call.poll()).is_ok());
    limiter.set_limit(100, secs(10));
    assert_eq!(limiter.available(), 100 - 30 - 20, "30 of the 80 reserved permits must be left");
}

#[tokio::test(start_paused = true)]
async fn every_decorator_that_takes_permits_can_be_settled() {
    let limiter = RateLimiter::new(10, secs(1));
    let free = |_: u32| ready(Answer::Ok(0));
    assert!(free.rate_limited(&limiter).settled(|n| *n).call(1).await.is_ok());
    assert!(free.try_rate_limited(&limiter).settled(|n| *n).call(1).await.is_ok());
    assert!(free.rate_limited_within(&limiter, ms(1)).settled_result(|_| Some(0)).call(1).await.is_ok());
    assert_eq!(limiter.available(), 10);
    let keyed = KeyedLimiter::new(10, secs(1));
    assert!(free.rate_limited_by_key(&keyed, |n: &u32| *n).settled(|_| 4).call(7).await.is_ok());
    assert_eq!(keyed.for_key(&7).available(), 6);

    assert!(ready(Answer::Ok(3)).rate_limited(&limiter).settled(|n| *n).await.is_ok());
    assert!(ready(Answer::Ok(2)).rate_limited_by(&limiter, 6).settled(|n| *n).await.is_ok());
    assert!(ready(Answer::Ok(2)).try_rate_limited(&limiter).settled_result(|_| None::<u32>).await.is_ok());
    assert_eq!(limiter.available(), 10 - 3 - 2 - 1);
    // A future counts as called from its first poll on.
    let held = ready(Answer::Ok(1)).gated(Door::that(false)).rate_limited_by(&limiter, 2).settled(|n| *n);
    assert!(held.await.is_err());
    assert_eq!(limiter.available(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_use_with_another_number_of_windows_panics_when_the_call_ends() {
    let limiter = RateLimiter::new(10, secs(1));
    let call = (|_: u32| ready(Answer::Ok(1))).rate_limited_by(&limiter, |n: &u32| *n).settled(|n| [1, *n]);
    let panic = AssertUnwindSafe(call.call(4)).catch_unwind().await.unwrap_err();
    let message = "a call cannot be settled: invalid argument: permits for 2 windows, but the limiter has 1";
    assert_eq!(*panic.downcast::<String>().unwrap(), message);
    assert_eq!(limiter.available(), 6, "the reservation must stay");
}

#[tokio::test(start_paused = true)]
async fn a_settled_chain_has_a_debug_output_and_can_be_boxed_and_spawned() {
    async fn length(text: &str, _: u32) -> Answer {
        Ok(u32::try_from(text.len()).unwrap())
    }
    let limiter = limiter();
    let chain = length.rate_limited_by(&limiter, |text: &&str, _: &u32| [1, text.len()]).settled(used);
    assert_eq!(format!("{chain:?}"), "length.rate_limited_by(10 per 1s, 100 per 1s, ..).settled(..)");
    // The function still takes borrows of any lifetime.
    let text = String::from("abc");
    assert_eq!(chain.call(&text, 1).await, Ok(3));
    let chain = chain.retry_with(RetryPolicy::default());
    let spawned = tokio::spawn(async move { chain.call("abcd", 1).await });
    assert_eq!(spawned.await.unwrap(), Ok(4));
    let boxed: BoxedFn<(u32,), Answer> = slow.rate_limited_by(&limiter, reserve).settled_result(|_| Some(2)).boxed();
    assert_eq!(format!("{boxed:?}"), "slow.rate_limited_by(10 per 1s, 100 per 1s, ..).settled_result(..).boxed()");
    assert_eq!(boxed.call(9).await, Ok(30));
}

// ---- sync functions: `tests/it/parity.rs` has the scenarios of both halves ----

#[test]
fn a_sync_call_that_panics_keeps_its_reservation() {
    let _clock = VirtualClock::start();
    let limiter = limiter();
    let panics = |_: u32| -> Answer { panic!("broken") };
    let panics = panics.blocking().gated(Door::that(true)).rate_limited_by(&limiter, reserve).settled(used);
    assert!(catch_unwind(AssertUnwindSafe(|| panics.call(10))).is_err());
    assert_eq!(limiter.available_per_window(), [9, 90]);
}

/// An abandoned call is unwound at an inner gate, before the function is called.
#[test]
fn a_sync_call_that_is_abandoned_at_an_inner_gate_gives_back_its_reservation() {
    let clock = VirtualClock::start();
    let limiter = limiter();
    let call = (|_: u32| Answer::Ok(1)).blocking().gated(Door::that(true));
    let call = call.rate_limited_by(&limiter, reserve).settled(used).timeout(ms(50));
    assert!(matches!(call.call(40), Err(Error::TimedOut { .. })));
    clock.advance(ms(200));
    // The thread unwinds on its own, and takes no virtual time.
    while limiter.available() < 10 {
        std::thread::yield_now();
    }
    assert_eq!(limiter.available_per_window(), [10, 100]);
}

/// With a timeout, the call runs on another thread. It begins no function there once it is
/// abandoned.
#[test]
fn a_sync_timeout_inside_tells_if_the_function_was_called() {
    let clock = VirtualClock::start();
    let limiter = limiter();
    let call = (|_: u32| Answer::Ok(1)).blocking().gated(Door::that(true)).timeout(ms(50));
    assert!(call.rate_limited_by(&limiter, reserve).settled(used).call(40).is_err());
    assert_eq!((clock.elapsed(), limiter.available_per_window()), (ms(50), vec![10, 100]));

    let hangs = |_: u32| -> Answer {
        test_util::sleep(ms(60));
        Ok(1)
    };
    let call =
        hangs.blocking().gated(crate::every::Open).timeout(ms(50)).rate_limited_by(&limiter, reserve).settled(used);
    assert!(call.call(40).is_err());
    assert_eq!((clock.elapsed(), limiter.available_per_window()), (ms(100), vec![9, 60]));
}
