//! The loop of an async retry: call, ask the policy, wait, call again.

use super::{
    decide::{AfterAttempt, Attempt, decide, is_retryable, log_late_success},
    options::RetryHooks,
};
use crate::{
    Name, RetryPolicy,
    attempt::{Scope, attempt as running},
    call::{Repeat, Stop},
    clock::{self, Clock, Instant, Sleep},
    policy::Delays,
    retry_budget::Withdrawal,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    mem::{self, ManuallyDrop},
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The future of a [`.retry_with(..)`](crate::FnExt::retry_with) call. Calls the function when it
/// is first polled.
///
/// # Cancel safety
///
/// If dropped, the attempt in progress is dropped, or the delay ends. No further attempt is made.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::prelude::*;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
/// let call = fetch.retry_with(RetryPolicy::default()).call(42);
/// let policy = "RetryPolicy(exponential from 1s by 2, no jitter, 3 attempts)";
/// assert_eq!(format!("{call:?}"), format!("RetryFuture {{ policy: {policy}, attempts: 0, .. }}"));
/// assert_eq!(call.await, Ok(42));
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
#[repr(C)] // the policy first: it is most of what a call copies, and would otherwise be copied through the stack
pub struct RetryFuture<A, R> {
    policy: RetryPolicy,
    /// The function and its attempt in progress.
    #[pin]
    attempts: A,
    state: State,
    /// `true` if the last attempt is the last call of the function; `false` if the retry itself may
    /// be repeated.
    last: bool,
    options: R,
    /// The place of a closure, which names it in log lines.
    place: &'static Location<'static>,
    progress: AttemptProgress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first attempt may begin.
    New,
    /// A further attempt may begin.
    Due,
    Attempting,
    Waiting,
    Ended,
}

/// The progress of a call. Dropped manually, so that the common case, without anything to drop, is
/// a single comparison.
struct AttemptProgress(ManuallyDrop<Stage>);

enum Stage {
    /// Before or at the first attempt, with its start; `None` if no start is needed.
    FirstAttempt(Option<Instant>),
    /// After a failed attempt that another may follow. Boxed, because few calls come this far.
    Retried(Pin<Box<Wait>>),
}

#[pin_project(project = WaitProj)]
struct Wait {
    /// Start of the first attempt; `None` if it is not needed.
    began: Option<Instant>,
    /// Number of failed attempts that another attempt follows.
    failed: u32,
    delays: Delays,
    #[pin]
    sleep: Option<Sleep>,
    /// Payment of the budget for the next attempt; `None` without a budget, and once the attempt
    /// has begun.
    paid: Option<Withdrawal>,
}

impl<A, R> RetryFuture<A, R> {
    #[inline]
    pub(super) fn new(attempts: A, policy: RetryPolicy, options: R, place: &'static Location<'static>) -> Self {
        Self { policy, attempts, state: State::New, last: true, options, place, progress: AttemptProgress::new() }
    }
}

impl<A, R, T, E> Future for RetryFuture<A, R>
where
    A: Repeat<Output = Result<T, E>>,
    R: RetryHooks<T, E>,
{
    type Output = Result<T, R::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if running() == 1 { self.poll_here(cx) } else { self.poll_nested(cx) }
    }
}

impl<A, R, T, E> RetryFuture<A, R>
where
    A: Repeat<Output = Result<T, E>>,
    R: RetryHooks<T, E>,
{
    /// Polls within a later attempt of another retry, where this retry counts from 1 again.
    #[cold]
    #[inline(never)]
    fn poll_nested(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, R::Error>> {
        Scope::new(1, None).run(|| self.poll_here(cx))
    }

    #[inline]
    fn poll_here(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, R::Error>> {
        // Most calls end here, because their first attempt succeeds at its first poll.
        if self.state == State::New {
            self.as_mut().begin_first();
            let result = ready!(self.as_mut().project().attempts.poll(cx));
            if let Some(poll) = self.as_mut().ended(true, result, cx) {
                return poll;
            }
        }
        self.poll_on(cx)
    }

    /// Continues an attempt, or the delay before one.
    #[inline(never)]
    fn poll_on(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, R::Error>> {
        loop {
            match self.state {
                State::New => self.as_mut().begin_first(),
                State::Due => {
                    let number = self.progress.number();
                    self.as_mut().project().progress.spend();
                    self.as_mut().begin(number);
                }
                State::Attempting => {
                    if let Some(poll) = self.as_mut().poll_attempt(cx) {
                        return poll;
                    }
                }
                State::Waiting => ready!(self.as_mut().poll_wait(cx)),
                State::Ended => panic!("`RetryFuture` polled after it completed"),
            }
        }
    }

    /// Polls the attempt in progress; `None` if another attempt follows after a delay.
    fn poll_attempt(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Poll<Result<T, R::Error>>> {
        let this = self.as_mut().project();
        let (is_first, poll) = match &*this.progress.0 {
            Stage::FirstAttempt(_) => (true, this.attempts.poll(cx)),
            Stage::Retried(wait) => {
                let scope = Scope::new(wait.failed + 1, this.policy.keeps_place_since(wait.began));
                (false, scope.run(|| this.attempts.poll(cx)))
            }
        };
        match poll {
            Poll::Ready(result) => self.ended(is_first, result, cx),
            Poll::Pending => Some(Poll::Pending),
        }
    }

    /// Handles an attempt that has ended; `None` if another attempt follows after a delay.
    #[inline]
    fn ended(
        mut self: Pin<&mut Self>,
        is_first: bool,
        result: Result<T, E>,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Result<T, R::Error>>> {
        let this = self.as_mut().project();
        // Frees everything that the attempt held before its end is reported.
        this.attempts.stop();
        *this.state = State::Ended;
        let retryable = is_retryable(this.policy, this.options, || this.progress.number(), &result);
        match result {
            Ok(value) if !retryable => {
                this.options.succeeded();
                if !is_first {
                    log_late_success(&self.policy, self.progress.number(), || {
                        self.attempts.name().or_place(self.place)
                    });
                }
                Some(Poll::Ready(Ok(value)))
            }
            result => self.failed(result, retryable, cx),
        }
    }

    #[inline]
    fn begin_first(mut self: Pin<&mut Self>) {
        if self.policy.needs_clock() || R::NEEDS_CLOCK {
            *self.as_mut().project().progress.0 = Stage::FirstAttempt(Some(Clock::Task.stamp()));
        }
        self.begin(1);
    }

    #[inline]
    fn begin(self: Pin<&mut Self>, number: u32) {
        let this = self.project();
        this.attempts.start(*this.last && !this.policy.may_follow(number));
        *this.state = State::Attempting;
    }

    /// Handles a failed attempt; `None` if another attempt follows after a delay. Out of line,
    /// because most calls succeed at once.
    #[cold]
    #[inline(never)]
    fn failed(
        self: Pin<&mut Self>,
        result: Result<T, E>,
        retryable: bool,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Result<T, R::Error>>> {
        let this = self.project();
        let (number, began) = (this.progress.number(), this.progress.began());
        let attempt = Attempt { number, began, clock: Clock::Task, retryable };
        let (policy, progress) = (&*this.policy, this.progress);
        let name = || this.attempts.name().or_place(this.place);
        let pause_left = || this.attempts.pause_left();
        match decide(policy, this.options, &attempt, &result, name, || progress.wait(policy).delays, &pause_left) {
            AfterAttempt::Return(reason, elapsed) => {
                let explain = |error| R::finish(number, elapsed, reason, error);
                Some(Poll::Ready(result.map_err(explain)))
            }
            AfterAttempt::RetryIn(delay, paid) => {
                let mut wait = progress.wait(policy);
                *wait.failed += 1;
                *wait.paid = paid;
                if delay.is_zero() {
                    // Yields, so that attempts that fail at once do not occupy the thread. A sleep
                    // of zero would wait for the timer's next tick.
                    *this.state = State::Due;
                    cx.waker().wake_by_ref();
                    return Some(Poll::Pending);
                }
                wait.sleep.set(clock::sleep(delay));
                *this.state = State::Waiting;
                None
            }
        }
    }

    /// Polls the delay. Ready when the next attempt is due.
    #[cold]
    #[inline(never)]
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match this.progress.wait(this.policy).sleep.as_pin_mut() {
            Some(sleep) => ready!(sleep.poll(cx)),
            // The delay ends beyond the range of the clock.
            None => return Poll::Pending,
        }
        *this.state = State::Due;
        Poll::Ready(())
    }
}

impl<A, R, T, E> Stop for RetryFuture<A, R>
where
    A: Repeat<Output = Result<T, E>>,
    R: RetryHooks<T, E>,
{
    fn stop(self: Pin<&mut Self>) {
        let this = self.project();
        // An attempt that has ended is stopped already.
        if *this.state == State::Attempting {
            this.attempts.stop();
        }
        *this.state = State::Ended;
        *this.progress = AttemptProgress::new();
    }
}

impl<A, R, T, E> Repeat for RetryFuture<A, R>
where
    A: Repeat<Output = Result<T, E>>,
    R: RetryHooks<T, E>,
{
    fn start(mut self: Pin<&mut Self>, last: bool) {
        self.as_mut().stop();
        let this = self.project();
        *this.last = last;
        *this.state = State::New;
    }

    fn name(&self) -> Name {
        self.attempts.name().or_place(self.place)
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.attempts.holds_back()
    }

    fn pause_left(&self) -> Duration {
        self.attempts.pause_left()
    }
}

impl AttemptProgress {
    fn new() -> Self {
        Self(ManuallyDrop::new(Stage::FirstAttempt(None)))
    }

    /// Number of failed attempts that another attempt follows.
    fn failed(&self) -> u32 {
        match &*self.0 {
            Stage::FirstAttempt(_) => 0,
            Stage::Retried(wait) => wait.failed,
        }
    }

    /// Number of the attempt in progress, otherwise of the next attempt; 1 for the first.
    fn number(&self) -> u32 {
        self.failed() + 1
    }

    fn began(&self) -> Option<Instant> {
        match &*self.0 {
            Stage::FirstAttempt(began) => *began,
            Stage::Retried(wait) => wait.began,
        }
    }

    /// Returns the state that is kept between attempts. Created after the first failed attempt.
    fn wait(&mut self, policy: &RetryPolicy) -> WaitProj<'_> {
        if let Stage::FirstAttempt(began) = *self.0 {
            let delays = Delays::new(policy.seed_of_next_call());
            *self.0 = Stage::Retried(Box::pin(Wait { began, failed: 0, delays, sleep: None, paid: None }));
        }
        match &mut *self.0 {
            Stage::Retried(wait) => wait.as_mut().project(),
            Stage::FirstAttempt(_) => unreachable!("replaced above"),
        }
    }

    /// Spends the payment of the budget, because the next attempt begins.
    fn spend(&mut self) {
        if let Stage::Retried(wait) = &mut *self.0 {
            wait.as_mut().project().paid.take().into_iter().for_each(Withdrawal::spend);
        }
    }

    #[cold]
    #[inline(never)]
    fn discard(&mut self) {
        drop(mem::replace(&mut *self.0, Stage::FirstAttempt(None)));
    }
}

impl Drop for AttemptProgress {
    #[inline]
    fn drop(&mut self) {
        if let Stage::Retried(_) = *self.0 {
            self.discard();
        }
    }
}

impl<A, R> fmt::Debug for RetryFuture<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begun = matches!(self.state, State::Attempting | State::Ended);
        let attempts = self.progress.failed() + u32::from(begun);
        f.debug_struct("RetryFuture").field("policy", &self.policy).field("attempts", &attempts).finish_non_exhaustive()
    }
}
