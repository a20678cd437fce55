//! The loop: call, ask the policy, wait, call again.

use super::{
    judge::{Attempt, Next, judge},
    rules::Ruling,
};
use crate::{
    RetryPolicy,
    call::CallableMut,
    policy::Delays,
    time::{self, Clock, Instant, Sleep},
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The future of a [`.retry_with(..)`](crate::FnExt::retry_with) call. The function is first called when it is polled.
///
/// # Cancel safety
///
/// Dropping it drops the attempt in progress, or ends the wait for the next; no further attempt is made.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::prelude::*;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
/// let call = fetch.retry_with(RetryPolicy::default()).call(42);
/// assert_eq!(format!("{call:?}"),
///     "RetryFuture { policy: RetryPolicy(exponential from 1s by 2, no jitter, 3 attempts), attempts: 0, .. }");
/// assert_eq!(call.await, Ok(42));
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct RetryFuture<C: CallableMut<Args>, Args, R> {
    #[pin]
    state: State<C::Future>,
    /// Gone with the last attempt that the policy allows.
    args: Option<Args>,
    retrying: Loop<C, R>,
}

#[pin_project(project = Now)]
enum State<F> {
    /// The next attempt may begin.
    Due,
    Attempt(#[pin] F),
    Waiting,
    Ended,
}

/// All of the loop that need not be pinned.
struct Loop<C, R> {
    callable: C,
    policy: RetryPolicy,
    rules: R,
    /// Attempts begun.
    attempts: u32,
    /// When the first one was, if that matters to anybody.
    began: Option<Instant>,
    /// Made when an attempt has failed and another may follow. In a box, for most calls never need it.
    wait: Option<Pin<Box<Wait>>>,
}

#[pin_project]
struct Wait {
    delays: Delays,
    #[pin]
    sleep: Option<Sleep>,
}

impl<C: CallableMut<Args>, Args, R> RetryFuture<C, Args, R> {
    pub(super) fn new(callable: C, args: Args, policy: RetryPolicy, rules: R) -> Self {
        let retrying = Loop { callable, policy, rules, attempts: 0, began: None, wait: None };
        Self { state: State::Due, args: Some(args), retrying }
    }
}

impl<C, Args, R, T, E> Future for RetryFuture<C, Args, R>
where
    C: CallableMut<Args, Output = Result<T, E>>,
    R: Ruling<T, E>,
    Args: Clone,
{
    type Output = Result<T, R::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let retrying = this.retrying;
        loop {
            match this.state.as_mut().project() {
                Now::Due => {
                    let attempt = retrying.attempt::<Args, T, E>(this.args);
                    this.state.set(State::Attempt(attempt));
                }
                Now::Attempt(attempt) => {
                    let result = ready!(attempt.poll(cx));
                    // Whatever the attempt held is free before anybody hears of it.
                    this.state.set(State::Ended);
                    match retrying.judge::<Args, T, E>(&result) {
                        Next::Return(reason, elapsed) => {
                            let explain = |error| R::finish(retrying.attempts, elapsed, reason, error);
                            return Poll::Ready(result.map_err(explain));
                        }
                        Next::RetryIn(Duration::ZERO) => {
                            // Attempts that fail at once must not keep the thread to themselves, and a sleep of zero
                            // would wait for the timer's next tick.
                            this.state.set(State::Due);
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        Next::RetryIn(delay) => {
                            this.state.set(State::Waiting);
                            retrying.sleep(delay);
                        }
                    }
                }
                Now::Waiting => {
                    ready!(retrying.poll_sleep(cx));
                    this.state.set(State::Due);
                }
                Now::Ended => panic!("`RetryFuture` polled after it completed"),
            }
        }
    }
}

impl<C, R> Loop<C, R> {
    fn attempt<Args, T, E>(&mut self, args: &mut Option<Args>) -> C::Future
    where
        C: CallableMut<Args>,
        R: Ruling<T, E>,
        Args: Clone,
    {
        if self.attempts == 0 && (self.policy.needs_clock() || R::NEEDS_CLOCK) {
            self.began = Some(time::now());
        }
        self.attempts += 1;
        let args = if self.policy.may_follow(self.attempts) { args.clone() } else { args.take() };
        self.callable.call_mut(args.expect("taken by the last attempt only"))
    }

    fn judge<Args, T, E>(&mut self, result: &Result<T, E>) -> Next
    where
        C: CallableMut<Args>,
        R: Ruling<T, E>,
    {
        let Self { callable, policy, rules, attempts, began, wait } = self;
        let attempt = Attempt { number: *attempts, began: *began, clock: Clock::Task };
        let policy = &*policy;
        judge(
            policy,
            rules,
            &attempt,
            result,
            || callable.name(),
            move || wait.get_or_insert_with(|| Wait::new(policy)).as_mut().project().delays,
        )
    }
}

impl<C, R> Loop<C, R> {
    fn sleep(&mut self, delay: Duration) {
        let policy = &self.policy;
        let wait = self.wait.get_or_insert_with(|| Wait::new(policy));
        wait.as_mut().project().sleep.set(time::sleep(delay));
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.wait.as_mut().and_then(|wait| wait.as_mut().project().sleep.as_pin_mut()) {
            Some(sleep) => sleep.poll(cx),
            // The delay lies beyond what the clock can express.
            None => Poll::Pending,
        }
    }
}

impl Wait {
    fn new(policy: &RetryPolicy) -> Pin<Box<Self>> {
        Box::pin(Self { delays: Delays::new(policy.seed_of_next_call()), sleep: None })
    }
}

impl<C: CallableMut<Args>, Args, R> fmt::Debug for RetryFuture<C, Args, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loop { policy, attempts, .. } = &self.retrying;
        f.debug_struct("RetryFuture").field("policy", policy).field("attempts", attempts).finish_non_exhaustive()
    }
}
