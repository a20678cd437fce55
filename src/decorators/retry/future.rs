//! The loop: call, ask the policy, wait, call again.

use super::{
    judge::{Attempt, Next, is_retryable, judge, succeeded},
    rules::Ruling,
};
use crate::{
    RetryPolicy,
    call::CallableMut,
    clock::{self, Clock, Instant, Sleep},
    policy::Delays,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    mem::{self, ManuallyDrop},
    pin::Pin,
    task::{Context, Poll, ready},
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
#[repr(C)] // the policy first: it is most of what a call copies, and behind other fields it would go by way of the stack
pub struct RetryFuture<C: CallableMut<Args>, Args, R> {
    policy: RetryPolicy,
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

/// The rest of the loop, which need not be pinned.
struct Loop<C, R> {
    callable: C,
    rules: R,
    progress: Progress,
}

/// How far a call has come. Dropped by hand: nearly all calls have nothing to drop here, and find that out by a comparison.
struct Progress(ManuallyDrop<Stage>);

enum Stage {
    /// At its first attempt, which began then, if that matters to anybody.
    First(Option<Instant>),
    /// An attempt has failed and another may follow. In a box, for most calls never come so far.
    Further(Pin<Box<Wait>>),
}

#[pin_project(project = Waiting)]
struct Wait {
    /// When the first attempt did.
    began: Option<Instant>,
    /// Attempts that another is to follow.
    failed: u32,
    delays: Delays,
    #[pin]
    sleep: Option<Sleep>,
}

impl<C: CallableMut<Args>, Args, R> RetryFuture<C, Args, R> {
    pub(super) fn new(callable: C, args: Args, policy: RetryPolicy, rules: R) -> Self {
        let retrying = Loop { callable, rules, progress: Progress::new() };
        Self { policy, state: State::Due, args: Some(args), retrying }
    }
}

impl<C, Args, R, T, E> Future for RetryFuture<C, Args, R>
where
    C: CallableMut<Args, Output = Result<T, E>>,
    R: Ruling<T, E>,
    Args: Clone,
{
    type Output = Result<T, R::Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            if let Now::Due = this.state.as_mut().project() {
                let attempt = this.retrying.attempt::<Args, T, E>(this.policy, this.args);
                this.state.set(State::Attempt(attempt));
            }
            let Now::Attempt(attempt) = this.state.as_mut().project() else {
                ready!(self.as_mut().poll_wait(cx));
                continue;
            };
            let result = ready!(attempt.poll(cx));
            // Whatever the attempt held is free before anybody hears of it.
            this.state.set(State::Ended);
            let Loop { rules, progress, .. } = this.retrying;
            let retryable = is_retryable(this.policy, rules, || progress.number(), &result);
            match result {
                Ok(value) if !retryable => {
                    this.retrying.succeeded::<Args>();
                    return Poll::Ready(Ok(value));
                }
                result => {
                    if let Some(poll) = self.as_mut().failed(result, retryable, cx) {
                        return poll;
                    }
                }
            }
        }
    }
}

/// Out of the way of the calls that succeed at once, which are nearly all.
impl<C, Args, R, T, E> RetryFuture<C, Args, R>
where
    C: CallableMut<Args, Output = Result<T, E>>,
    R: Ruling<T, E>,
{
    /// What an attempt leads to that did not do; `None` if that is a wait.
    #[cold]
    #[inline(never)]
    fn failed(
        self: Pin<&mut Self>,
        result: Result<T, E>,
        retryable: bool,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Result<T, R::Error>>> {
        let mut this = self.project();
        let attempts = this.retrying.progress.number();
        match this.retrying.judge::<Args, T, E>(this.policy, &result, retryable) {
            Next::Return(reason, elapsed) => {
                let explain = |error| R::finish(attempts, elapsed, reason, error);
                Some(Poll::Ready(result.map_err(explain)))
            }
            Next::RetryIn(delay) => {
                let mut wait = this.retrying.progress.wait(this.policy);
                *wait.failed += 1;
                if delay.is_zero() {
                    // Attempts that fail at once must not keep the thread to themselves, and a sleep of zero would wait
                    // for the timer's next tick.
                    this.state.set(State::Due);
                    cx.waker().wake_by_ref();
                    return Some(Poll::Pending);
                }
                wait.sleep.set(clock::sleep(delay));
                this.state.set(State::Waiting);
                None
            }
        }
    }

    /// Ready when the next attempt is due.
    #[cold]
    #[inline(never)]
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        assert!(!matches!(*this.state, State::Ended), "`RetryFuture` polled after it completed");
        match this.retrying.progress.wait(this.policy).sleep.as_pin_mut() {
            Some(sleep) => ready!(sleep.poll(cx)),
            // The delay lies beyond what the clock can express.
            None => return Poll::Pending,
        }
        this.state.set(State::Due);
        Poll::Ready(())
    }
}

impl<C, R> Loop<C, R> {
    #[inline]
    fn attempt<Args, T, E>(&mut self, policy: &RetryPolicy, args: &mut Option<Args>) -> C::Future
    where
        C: CallableMut<Args>,
        R: Ruling<T, E>,
        Args: Clone,
    {
        let number = match &mut *self.progress.0 {
            Stage::First(began) => {
                if policy.needs_clock() || R::NEEDS_CLOCK {
                    *began = Some(clock::now());
                }
                1
            }
            Stage::Further(wait) => wait.failed + 1,
        };
        let args = if policy.may_follow(number) { args.clone() } else { args.take() };
        self.callable.call_mut(args.expect("taken by the last attempt only"))
    }

    #[inline]
    fn succeeded<Args>(&self)
    where
        C: CallableMut<Args>,
    {
        if let Stage::Further(wait) = &*self.progress.0 {
            succeeded(wait.failed + 1, || self.callable.name());
        }
    }

    fn judge<Args, T, E>(&mut self, policy: &RetryPolicy, result: &Result<T, E>, retryable: bool) -> Next
    where
        C: CallableMut<Args>,
        R: Ruling<T, E>,
    {
        let Self { callable, rules, progress } = self;
        let (number, began) = (progress.number(), progress.began());
        let attempt = Attempt { number, began, clock: Clock::Task, retryable };
        judge(policy, rules, &attempt, result, || callable.name(), || progress.wait(policy).delays)
    }
}

impl Progress {
    fn new() -> Self {
        Self(ManuallyDrop::new(Stage::First(None)))
    }

    /// How many attempts have failed and are to be followed by another.
    fn failed(&self) -> u32 {
        match &*self.0 {
            Stage::First(_) => 0,
            Stage::Further(wait) => wait.failed,
        }
    }

    /// That of the attempt in progress, or of the next if there is none; 1 for the first.
    fn number(&self) -> u32 {
        self.failed() + 1
    }

    fn began(&self) -> Option<Instant> {
        match &*self.0 {
            Stage::First(began) => *began,
            Stage::Further(wait) => wait.began,
        }
    }

    /// What attempts that failed leave for those that follow; made when the first one does.
    fn wait(&mut self, policy: &RetryPolicy) -> Waiting<'_> {
        if let Stage::First(began) = *self.0 {
            let delays = Delays::new(policy.seed_of_next_call());
            *self.0 = Stage::Further(Box::pin(Wait { began, failed: 0, delays, sleep: None }));
        }
        match &mut *self.0 {
            Stage::Further(wait) => wait.as_mut().project(),
            Stage::First(_) => unreachable!("it has just come further"),
        }
    }

    #[cold]
    #[inline(never)]
    fn discard(&mut self) {
        drop(mem::replace(&mut *self.0, Stage::First(None)));
    }
}

impl Drop for Progress {
    #[inline]
    fn drop(&mut self) {
        if let Stage::Further(_) = *self.0 {
            self.discard();
        }
    }
}

impl<C: CallableMut<Args>, Args, R> fmt::Debug for RetryFuture<C, Args, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts =
            self.retrying.progress.failed() + u32::from(matches!(self.state, State::Attempt(_) | State::Ended));
        f.debug_struct("RetryFuture").field("policy", &self.policy).field("attempts", &attempts).finish_non_exhaustive()
    }
}
