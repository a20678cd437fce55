//! The outcomes that a memo reports to decorators that watch its calls.

use crate::support::{listen, ms, paused, secs};
use decor::{
    Error, Logging, Measurement, Memo, MemoOutcome, RateLimiter, RetryPolicy, Timing,
    prelude::*,
    test_util::{self, VirtualClock},
};
use std::{
    future::{pending, ready},
    sync::{Arc, Mutex},
};
use tokio::time::{advance, sleep};

type Answer = Result<u32, Error>;

const HIT: Option<MemoOutcome> = Some(MemoOutcome::Hit);
const STALE: Option<MemoOutcome> = Some(MemoOutcome::Stale);
const MISS: Option<MemoOutcome> = Some(MemoOutcome::Miss);
const COALESCED: Option<MemoOutcome> = Some(MemoOutcome::Coalesced);

/// Duration in milliseconds and success of each call. Further calls succeed at once.
#[derive(Clone)]
struct Script(Arc<Mutex<std::vec::IntoIter<(u64, bool)>>>);

impl Script {
    fn new(steps: &[(u64, bool)]) -> Self {
        Self(Arc::new(Mutex::new(Vec::from(steps).into_iter())))
    }

    fn next(&self) -> (u64, Answer) {
        let (millis, is_ok) = self.0.lock().unwrap().next().unwrap_or((0, true));
        (millis, if is_ok { Ok(7) } else { Err(Error::QueueFull { waiting: 9 }) })
    }
}

/// Records the memo's outcome of each call.
#[derive(Default, Clone)]
struct Seen(Arc<Mutex<Vec<Option<MemoOutcome>>>>);

impl Seen {
    fn sink(&self) -> impl Fn(&Measurement) + Send + Sync + 'static {
        let seen = self.clone();
        move |measured| seen.0.lock().unwrap().push(measured.memo)
    }

    fn timing(&self) -> Timing {
        Timing::new("call").record_to(self.sink())
    }

    fn take(&self) -> Vec<Option<MemoOutcome>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Builds the chain in both halves, and makes its calls one after the other, each after a pause in
/// milliseconds. Returns the recorded outcomes, which must be the same in both halves.
macro_rules! outcomes {
    ($steps:expr, |$f:ident, $seen:ident| $chain:expr, [$($pause:literal => $argument:literal),*]) => {{
        let in_tasks = paused().block_on(async {
            let (script, $seen) = (Script::new(&$steps), Seen::default());
            let $f = move |_: u32| {
                let (millis, answer) = script.next();
                async move {
                    if millis > 0 {
                        sleep(ms(millis)).await;
                    }
                    answer
                }
            };
            let chain = $chain;
            $(
                advance(ms($pause)).await;
                drop(chain.call($argument).await);
            )*
            $seen.take()
        });
        let on_threads = {
            let clock = VirtualClock::start();
            let (script, $seen) = (Script::new(&$steps), Seen::default());
            let $f = (move |_: u32| -> Answer {
                let (millis, answer) = script.next();
                test_util::sleep(ms(millis));
                answer
            })
            .blocking();
            let chain = $chain;
            $(
                clock.advance(ms($pause));
                drop(chain.call($argument));
            )*
            $seen.take()
        };
        assert_eq!(in_tasks, on_threads);
        in_tasks
    }};
}

fn memo() -> Memo<u32, u32> {
    Memo::ttl(secs(10))
}

#[test]
fn each_key_has_a_miss_and_then_hits() {
    let seen = outcomes!([(0, false)], |f, seen| f.memoized(&memo()).timed_with(seen.timing().by_memo()),
        [0 => 1, 0 => 1, 9_999 => 1, 1 => 1, 0 => 2, 0 => 2]);
    assert_eq!(seen, [MISS, MISS, HIT, MISS, MISS, HIT], "a load that fails is a miss");
}

/// The first call waits for 2 of the 5 s, the second for the next 2, the third for the rest.
#[test]
fn a_call_that_waited_for_a_load_is_coalesced() {
    for is_ok in [true, false] {
        let seen = outcomes!([(5_000, is_ok)], |f, seen| f.memoized(&memo()).detached()
            .timed_with(seen.timing().by_memo()).timeout(secs(2)), [0 => 1, 0 => 1, 0 => 1]);
        assert_eq!(seen, [None, None, COALESCED], "a call that timed out has no outcome");
    }
}

/// The first attempt loads and fails; the limiter refuses the second.
#[test]
fn a_last_attempt_that_the_memo_did_not_answer_leaves_no_outcome() {
    let policy = || RetryPolicy::fixed(secs(1)).max_attempts(2);
    let limiter = || RateLimiter::new(1, secs(60));
    let seen = outcomes!([(0, false)], |f, seen| f.memoized(&memo()).try_rate_limited(&limiter())
        .retry_with(policy()).when(|_| true).timed_with(seen.timing().by_memo()), [0 => 1]);
    assert_eq!(seen, [None]);
    let seen = outcomes!([(0, false), (5_000, true)], |f, seen| f.memoized(&memo()).timeout(secs(2))
        .retry_with(policy()).when(|_| true).timed_with(seen.timing().by_memo()), [0 => 1]);
    assert_eq!(seen, [None]);
}

#[test]
fn a_stale_answer_at_once_or_after_a_failure_is_stale() {
    let memo = || -> Memo<u32, u32> { Memo::builder().ttl(secs(10)).stale_while_revalidate(secs(60)).build() };
    let steps = [(0, true), (0, false)];
    let seen = outcomes!(steps, |f, seen| f.memoized(&memo()).timed_with(seen.timing().by_memo()),
        [0 => 1, 10_000 => 1, 0 => 1, 1_000 => 1, 0 => 1]);
    assert_eq!(seen, [MISS, STALE, STALE, MISS, HIT]);
    let seen = outcomes!(steps, |f, seen| f.memoized(&memo()).detached().timed_with(seen.timing().by_memo()),
        [0 => 1, 10_000 => 1]);
    assert_eq!(seen, [MISS, STALE], "in the background");
    let memo = || -> Memo<u32, u32> { Memo::builder().ttl(secs(10)).stale_on_error(secs(60)).build() };
    let seen = outcomes!(steps, |f, seen| f.memoized(&memo()).detached().timed_with(seen.timing().by_memo()),
        [0 => 1, 10_000 => 1, 0 => 1, 1_000 => 1, 0 => 1]);
    assert_eq!(seen, [MISS, STALE, STALE, MISS, HIT], "on another task or thread");
    let memo = || -> Memo<u32, u32> { Memo::builder().ttl(secs(10)).refresh_ahead(0.5).build() };
    let seen = outcomes!(steps, |f, seen| f.memoized(&memo()).timed_with(seen.timing().by_memo()),
        [0 => 1, 5_000 => 1, 0 => 1, 1_000 => 1]);
    assert_eq!(seen, [MISS, MISS, HIT, MISS], "the value has not expired");
}

#[test]
fn the_last_attempt_and_the_outer_memo_decide_the_outcome() {
    let policy = RetryPolicy::fixed(secs(1));
    let seen = outcomes!([(0, false), (100, false)], |f, seen| f.memoized(&memo()).timed_with(seen.timing().by_memo())
        .retry_with(&policy).timed_with(seen.timing().by_memo()), [0 => 1, 0 => 1]);
    assert_eq!(seen, [MISS, MISS, MISS, MISS, HIT, HIT]);
    let (inner, outer) = (memo, || Memo::<u32, u32>::ttl(secs(1)));
    let seen = outcomes!([], |f, seen| f.memoized(&inner()).timed_with(seen.timing().by_memo())
        .memoized(&outer()).timed_with(seen.timing().by_memo()), [0 => 1, 0 => 1, 1_000 => 1]);
    assert_eq!(seen, [MISS, MISS, HIT, HIT, MISS], "inner and outer, outer alone, inner and outer");
}

/// An earlier call without a timing has left an outcome, which must not count for another call.
#[test]
fn a_call_that_no_memo_answered_has_no_outcome() {
    let seen = outcomes!([], |f, seen| f.timed_with(seen.timing().by_memo()), [0 => 1]);
    assert_eq!(seen, [None]);
    let seen = outcomes!([], |f, seen| f.memoized(&memo()).timed_with(seen.timing()), [0 => 1, 0 => 1]);
    assert_eq!(seen, [None, None], "without `by_memo`");
    let seen = outcomes!([(0, true), (3_000, true)], |f, seen| {
        let limiter = RateLimiter::new(1, secs(1));
        f.memoized(&memo()).try_rate_limited(&limiter).timed_with(seen.timing().by_memo())
    }, [0 => 1, 0 => 1, 1_000 => 1]);
    assert_eq!(seen, [MISS, None, HIT], "refused before the memo");
    let seen = outcomes!([(0, true), (3_000, true)], |f, seen| f.memoized(&memo()).timeout(secs(2))
        .timed_with(seen.timing().by_memo()), [0 => 1, 0 => 2]);
    assert_eq!(seen, [MISS, None], "ended by a timeout");
}

/// The function calls a memo of its own in the same poll in which the call is dropped.
#[tokio::test(start_paused = true)]
async fn a_memo_within_the_function_leaves_no_outcome_for_the_outer_call() {
    let (inner, seen) = (memo(), Seen::default());
    inner.insert(7, 7);
    let hangs = |_: u32| async {
        sleep(secs(1)).await;
        inner.get_or_load(7, || ready(0)).await;
        pending::<Answer>().await
    };
    let call = hangs.memoized(&memo()).timeout(secs(1)).timed_with(seen.timing().by_memo());
    call.call(1).await.unwrap_err();
    let call = (|_: u32| inner.get_or_load(7, || ready(0))).memoized(&memo()).timed_with(seen.timing().by_memo());
    call.call(1).await;
    assert_eq!(seen.take(), [None, MISS]);
}

#[tokio::test(start_paused = true)]
async fn futures_and_waiting_calls_have_outcomes() {
    let (memo, seen) = (memo(), Seen::default());
    let slow = || async {
        sleep(secs(1)).await;
        7
    };
    let call = || slow().memoized_by(&memo, 1).timed_with(seen.timing().by_memo());
    tokio::join!(call(), call(), call());
    call().await;
    memo.get_or_load(1, slow).timed_with(seen.timing().by_memo()).await;
    assert_eq!(seen.take(), [MISS, COALESCED, COALESCED, HIT, HIT]);
    let mut left = tokio_test::task::spawn(memo.get_or_load(2, slow).timed_with(seen.timing().by_memo()));
    tokio_test::assert_pending!(left.poll());
    drop(left);
    assert_eq!(seen.take(), [None], "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_log_line_has_the_outcome_as_a_field() {
    let (memo, log) = (memo(), listen());
    let answers = Script::new(&[(0, false)]);
    let ask = (|_: u32| ready(answers.next().1)).memoized(&memo);
    let logged = ask.clone().logged_with(Logging::new().values().by_memo());
    let timed = ask.clone().timed_with(Timing::new("ask").by_memo());
    drop(logged.call(1).await);
    drop(logged.call(1).await);
    drop(logged.call(1).await);
    drop(timed.call(1).await);
    drop(ask.clone().logged().call(1).await);
    drop(ask.timed("ask").call(1).await);
    let fields: Vec<_> = log.lines().iter().map(|line| line.fields.get("memo").cloned()).collect();
    let [hit, miss] = ["hit", "miss"].map(|outcome| Some(outcome.to_owned()));
    assert_eq!(fields, [None, miss.clone(), None, miss, None, hit.clone(), hit, None, None, None]);
}
