//! The race of the calls: times, winners, losers, failures.

use super::script::{Answer, Failure, HANGS, Panic, Script, Step, Success};
use crate::support::{ms, secs};
use decor::{Hedge, layer::Decoration, prelude::*};
use futures::FutureExt as _;
use std::{
    cell::{Cell, RefCell},
    fmt,
    future::{IntoFuture, pending, poll_fn, ready},
    panic::AssertUnwindSafe,
    rc::Rc,
    task::Poll,
    time::Duration,
};
use tokio::task::consume_budget;
use tokio_test::{assert_pending, assert_ready, task};

/// Makes one call. Returns its answer, the trace, and the time.
async fn run(steps: &[Step], hedge: impl Into<Hedge>) -> (Answer, Vec<String>, Duration) {
    let script = Script::new(steps);
    let answer = script.function().hedged(hedge).call(7).await;
    script.note("returned");
    let elapsed = script.elapsed();
    (answer, script.take(), elapsed)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_fast_enough_stays_alone() {
    for millis in [0, 1, 49, 50] {
        let (answer, trace, elapsed) = run(&[(millis, Success)], ms(50)).await;
        assert_eq!((answer, trace.len(), elapsed), (Ok(1), 3, ms(millis)), "{trace:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_starts_after_the_delay_and_the_loser_is_dropped_before_the_answer_is_seen() {
    let (answer, trace, _) = run(&[(HANGS, Success), (20, Success)], ms(50)).await;
    assert_eq!(answer, Ok(2));
    let expected = ["0ns 1 starts", "50ms 2 starts", "70ms 2 is dropped", "70ms 1 is dropped", "70ms returned"];
    assert_eq!(trace, expected);
}

/// The future is polled by hand, because `.await` would drop it, and all calls with it.
#[tokio::test(start_paused = true)]
async fn the_losers_are_gone_when_the_future_is_ready() {
    for (steps, winner) in [([(HANGS, Success), (20, Success)], 2), ([(60, Success), (HANGS, Success)], 1)] {
        let script = Script::new(&steps);
        let mut call = task::spawn(script.function().hedged(ms(50)).call(7));
        assert_pending!(call.poll());
        tokio::time::advance(ms(50)).await;
        assert_pending!(call.poll());
        tokio::time::advance(ms(20)).await;
        assert_eq!(assert_ready!(call.poll()), Ok(winner));
        let dropped = script.take().iter().filter(|line| line.ends_with("is dropped")).count();
        assert_eq!(dropped, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_call_may_still_win() {
    let (answer, trace, _) = run(&[(60, Success), (HANGS, Success)], ms(50)).await;
    assert_eq!(answer, Ok(1));
    let expected = ["0ns 1 starts", "50ms 2 starts", "60ms 1 is dropped", "60ms 2 is dropped", "60ms returned"];
    assert_eq!(trace, expected);
}

#[tokio::test(start_paused = true)]
async fn the_earlier_call_wins_if_two_are_ready_in_one_poll() {
    let (answer, _, elapsed) = run(&[(70, Success), (20, Success)], ms(50)).await;
    assert_eq!((answer, elapsed), (Ok(1), ms(70)));
}

#[tokio::test(start_paused = true)]
async fn further_calls_start_one_delay_after_each_other() {
    let steps = [(HANGS, Success), (HANGS, Success), (HANGS, Success), (30, Success)];
    let (answer, trace, _) = run(&steps, Hedge::after(ms(50)).max_calls(4)).await;
    assert_eq!(answer, Ok(4));
    let expected = [
        "0ns 1 starts",
        "50ms 2 starts",
        "100ms 3 starts",
        "150ms 4 starts",
        "180ms 4 is dropped",
        "180ms 1 is dropped",
        "180ms 2 is dropped",
        "180ms 3 is dropped",
        "180ms returned",
    ];
    assert_eq!(trace, expected);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_start_than_are_allowed() {
    for (max_calls, started) in [(1, 1), (2, 2), (3, 3)] {
        let script = Script::new(&[]);
        let hedge = Hedge::after(ms(50)).max_calls(max_calls);
        let call = script.function().hedged(&hedge).call(7);
        assert!(tokio::time::timeout(secs(9), call).await.is_err());
        assert_eq!((script.calls(), hedge.stats().hedges), (started, started - 1));
    }
}

/// tower-resilience answers a failure after 30 ms with the end of its hedges, after 132 ms.
#[tokio::test(start_paused = true)]
async fn a_failure_alone_is_returned_at_once() {
    for millis in [0, 1, 30, 50] {
        let (answer, trace, elapsed) = run(&[(millis, Failure), (20, Success)], ms(50)).await;
        assert_eq!((answer, elapsed), (Err("1".into()), ms(millis)));
        assert_eq!(trace.len(), 3, "a failure starts no call: {trace:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_other_calls_go_on_and_none_starts() {
    // The first call fails.
    let steps = [(60, Failure), (200, Success), (0, Success)];
    let (answer, trace, _) = run(&steps, Hedge::after(ms(50)).max_calls(3)).await;
    assert_eq!(answer, Ok(2));
    let expected = ["0ns 1 starts", "50ms 2 starts", "60ms 1 is dropped", "250ms 2 is dropped", "250ms returned"];
    assert_eq!(trace, expected);
    // The hedge fails.
    let steps = [(300, Success), (10, Failure), (0, Success)];
    let (answer, trace, _) = run(&steps, Hedge::after(ms(50)).max_calls(3)).await;
    assert_eq!(answer, Ok(1));
    let expected = ["0ns 1 starts", "50ms 2 starts", "60ms 2 is dropped", "300ms 1 is dropped", "300ms returned"];
    assert_eq!(trace, expected);
    // The hedge fails at its first poll.
    let (answer, _, elapsed) =
        run(&[(300, Success), (0, Failure), (0, Success)], Hedge::after(ms(50)).max_calls(3)).await;
    assert_eq!((answer, elapsed), (Ok(1), ms(300)));
}

/// Without a delay there is no timer that a failure could stop.
#[tokio::test(start_paused = true)]
async fn after_a_failure_none_starts_without_a_delay_either() {
    let steps = [(30, Success), (0, Failure), (0, Success)];
    let (answer, trace, _) = run(&steps, Hedge::after(ms(0)).max_calls(3)).await;
    assert_eq!(answer, Ok(1));
    let expected = ["0ns 1 starts", "0ns 2 starts", "0ns 2 is dropped", "30ms 1 is dropped", "30ms returned"];
    assert_eq!(trace, expected);
}

#[tokio::test(start_paused = true)]
async fn the_error_of_the_last_call_is_returned() {
    let (answer, _, elapsed) = run(&[(60, Failure), (20, Failure)], ms(50)).await;
    assert_eq!((answer, elapsed), (Err("2".into()), ms(70)));
    let (answer, _, elapsed) = run(&[(80, Failure), (20, Failure)], ms(50)).await;
    assert_eq!((answer, elapsed), (Err("1".into()), ms(80)));
    let steps = [(120, Failure), (90, Failure), (10, Failure)];
    let (answer, _, elapsed) = run(&steps, Hedge::after(ms(50)).max_calls(3)).await;
    assert_eq!((answer, elapsed), (Err("2".into()), ms(140)));
}

#[tokio::test(start_paused = true)]
async fn a_delay_of_zero_starts_all_calls_at_the_first_pending_poll() {
    let (answer, trace, _) =
        run(&[(30, Success), (20, Success), (10, Success)], Hedge::after(ms(0)).max_calls(3)).await;
    assert_eq!(answer, Ok(3));
    assert_eq!(trace[..3], ["0ns 1 starts", "0ns 2 starts", "0ns 3 starts"]);
    let (answer, trace, _) = run(&[(0, Success)], ms(0)).await;
    assert_eq!((answer, trace.len()), (Ok(1), 3));
    // The second call is ready at once, so the third does not start.
    let (answer, trace, _) = run(&[(30, Success), (0, Success)], Hedge::after(ms(0)).max_calls(3)).await;
    assert_eq!((answer, trace.len()), (Ok(2), 5), "{trace:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delay_beyond_the_clock_never_ends() {
    let (answer, trace, elapsed) = run(&[(100_000, Success)], Duration::MAX).await;
    assert_eq!((answer, trace.len(), elapsed), (Ok(1), 3, secs(100)));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_call_drops_all_calls_and_starts_none() {
    let script = Script::new(&[]);
    let chain = script.function().hedged(Hedge::after(ms(50)).max_calls(3));
    let mut call = task::spawn(chain.call(7));
    assert_eq!(script.calls(), 0, "the function is called at the first poll");
    assert_pending!(call.poll());
    tokio::time::advance(ms(50)).await;
    assert!(call.is_woken());
    assert_pending!(call.poll());
    drop(call);
    tokio::time::sleep(secs(9)).await;
    assert_eq!(script.take(), ["0ns 1 starts", "50ms 2 starts", "50ms 1 is dropped", "50ms 2 is dropped"]);
    drop(chain.call(7));
    assert_eq!(script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_delay_counts_from_the_first_poll() {
    let script = Script::new(&[]);
    let mut call = task::spawn(script.function().hedged(ms(50)).call(7));
    tokio::time::advance(secs(1)).await;
    assert_pending!(call.poll());
    tokio::time::advance(ms(49)).await;
    assert_pending!(call.poll());
    assert_eq!(script.calls(), 1);
    tokio::time::advance(ms(1)).await;
    assert_pending!(call.poll());
    assert_eq!(script.calls(), 2);
}

/// A task that was held up for three delays starts one call, and the next one a delay later.
#[tokio::test(start_paused = true)]
async fn a_late_poll_starts_one_call() {
    let script = Script::new(&[]);
    let mut call = task::spawn(script.function().hedged(Hedge::after(ms(50)).max_calls(9)).call(7));
    assert_pending!(call.poll());
    tokio::time::advance(ms(180)).await;
    assert_pending!(call.poll());
    assert_eq!(script.calls(), 2);
    tokio::time::advance(ms(49)).await;
    assert_pending!(call.poll());
    assert_eq!(script.calls(), 2);
    tokio::time::advance(ms(1)).await;
    assert_pending!(call.poll());
    assert_eq!(script.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_one_call_is_the_panic_of_all() {
    for steps in [[(60, Panic), (HANGS, Success)], [(HANGS, Success), (10, Panic)], [(HANGS, Success), (0, Panic)]] {
        let script = Script::new(&steps);
        let call = script.function().hedged(ms(50)).call(7);
        let panic = AssertUnwindSafe(call).catch_unwind().await.unwrap_err();
        let number = if matches!(steps[0].1, Panic) { 1 } else { 2 };
        assert_eq!(panic.downcast_ref::<String>().unwrap(), &format!("call {number}"));
        let dropped = script.take().iter().filter(|line| line.ends_with("is dropped")).count();
        assert_eq!(dropped, 2, "the other call is dropped with the future");
    }
    // The function itself panics, when it is called a second time.
    let calls = Cell::new(0);
    let function = |_: u64| {
        calls.set(calls.get() + 1);
        assert!(calls.get() < 2, "boom");
        pending::<Answer>()
    };
    let panic = AssertUnwindSafe(function.hedged(ms(50)).call(7)).catch_unwind().await;
    assert!(panic.is_err());
    assert_eq!(calls.get(), 2);
}

/// The first call uses up the task's budget at each poll. The hedge needs some of it as well.
#[tokio::test(start_paused = true)]
async fn a_call_that_uses_up_the_coop_budget_does_not_hold_up_the_others() {
    let calls = Cell::new(0);
    let function = |_: u64| {
        calls.set(calls.get() + 1);
        let is_first = calls.get() == 1;
        async move {
            if is_first {
                loop {
                    consume_budget().await;
                }
            }
            consume_budget().await;
            Answer::Ok(2)
        }
    };
    // Real time, because a paused clock does not advance while a task is busy.
    tokio::time::resume();
    assert_eq!(function.hedged(ms(1)).call(7).await, Ok(2));
    assert_eq!(calls.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_a_budget_that_is_used_up_still_gets_its_hedge() {
    // As above, but the call has no other work than to use up the budget until it is hedged.
    let polls = Rc::new(Cell::new(0));
    let calls = Cell::new(0);
    let function = |_: u64| {
        calls.set(calls.get() + 1);
        let (is_first, polls) = (calls.get() == 1, Rc::clone(&polls));
        poll_fn(move |cx| {
            if !is_first {
                return Poll::Ready(Answer::Ok(2));
            }
            polls.set(polls.get() + 1);
            while tokio::task::coop::has_budget_remaining() {
                let _ = std::pin::pin!(consume_budget()).poll_unpin(cx);
            }
            Poll::Pending
        })
    };
    let mut call = task::spawn(function.hedged(ms(50)).call(7));
    assert_pending!(call.poll());
    tokio::task::yield_now().await;
    tokio::time::advance(ms(50)).await;
    assert_eq!(assert_ready!(call.poll()), Ok(2));
    assert_eq!(polls.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_ready_at_once_reads_no_clock_and_needs_no_runtime() {
    let chain = (|n: u64| ready(Answer::Ok(n))).hedged(Hedge::percentile(0.9));
    std::thread::spawn(move || {
        let mut call = task::spawn(chain.call(7));
        assert_eq!(assert_ready!(call.poll()), Ok(7));
    })
    .join()
    .unwrap();
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "`HedgedFuture` polled after it completed")]
async fn a_call_that_has_ended_cannot_be_polled() {
    let mut call = Box::pin((|n: u64| ready(Answer::Ok(n))).hedged(ms(50)).call(7));
    assert_eq!(call.as_mut().await, Ok(7));
    let _ = call.await;
}

#[tokio::test(start_paused = true)]
async fn the_arguments_are_cloned_for_each_call_but_the_last() {
    #[derive(Debug)]
    struct Counts(Rc<Cell<u32>>);
    impl Clone for Counts {
        fn clone(&self) -> Self {
            self.0.set(self.0.get() + 1);
            Self(Rc::clone(&self.0))
        }
    }
    let clones = Rc::new(Cell::new(0));
    let hang = |_: Counts| pending::<Answer>();
    for (max_calls, expected) in [(1, 0), (2, 1), (3, 2)] {
        let chain = hang.hedged(Hedge::after(ms(50)).max_calls(max_calls));
        let call = chain.call(Counts(Rc::clone(&clones)));
        assert!(tokio::time::timeout(secs(1), call).await.is_err());
        assert_eq!(clones.replace(0), expected, "{max_calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_is_not_clone_can_be_hedged_and_awaited() {
    let calls = RefCell::new(0);
    let not_clone = String::from("x");
    let function = move || {
        *calls.borrow_mut() += 1;
        let number = *calls.borrow();
        let wait = ms(if number == 1 { 1_000 } else { 20 } * u64::try_from(not_clone.len()).unwrap());
        async move {
            tokio::time::sleep(wait).await;
            Answer::Ok(number)
        }
    };
    assert_eq!(function.hedged(ms(50)).into_future().await, Ok(2));
}

/// A gate that notes the ends of its calls.
#[derive(Clone)]
struct Ends(Rc<RefCell<Vec<String>>>);

impl Decoration for Ends {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".ends()")
    }
}

impl decor::layer::Gate<Answer> for Ends {
    fn end(&mut self, end: decor::layer::End<'_, Answer>) {
        self.0.borrow_mut().push(end.outcome_by_result().to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn each_hedge_is_a_call_of_the_decorators_inside() {
    let ends = Rc::new(RefCell::new(Vec::new()));
    let of = |steps: &[Step]| Script::new(steps).function().gated(Ends(Rc::clone(&ends)));
    let hedge = Hedge::after(ms(50)).max_calls(3);
    let take = || std::mem::take(&mut *ends.borrow_mut());
    assert_eq!(of(&[(HANGS, Success), (HANGS, Success), (10, Success)]).hedged(&hedge).call(7).await, Ok(3));
    assert_eq!(take(), ["ok", "cancelled", "cancelled"]);
    assert_eq!(of(&[(60, Failure), (30, Success)]).hedged(&hedge).call(7).await, Ok(2));
    assert_eq!(take(), ["err", "ok"]);
    assert!(tokio::time::timeout(ms(60), of(&[]).hedged(&hedge).call(7)).await.is_err());
    assert_eq!(take(), ["cancelled", "cancelled"]);
    let panics = of(&[(HANGS, Success), (10, Panic)]).hedged(&hedge).call(7);
    assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
    assert_eq!(take(), ["panicked", "cancelled"]);
    // Outside, all of them are one call.
    let outside = Ends(Rc::clone(&ends));
    let whole = Script::new(&[(HANGS, Success), (10, Success)]).function().hedged(&hedge).gated(outside);
    assert_eq!((whole.call(7).await, take()), (Ok(2), vec!["ok".to_owned()]));
}
