//! The loop: call, ask the policy, wait, call again.

use super::{
    judge::{Attempt, Next, is_retryable, judge, succeeded},
    rules::Ruling,
};
use crate::{
    Name, RetryPolicy,
    attempt::{Scope, attempt as running},
    call::{Repeat, Stop},
    clock::{self, Clock, Instant, Sleep},
    policy::Delays,
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

/// The future of a [`.retry_with(..)`](crate::FnExt::retry_with) call. The function is first called when it is polled.
///
/// # Cancel safety
///
/// Dropping it drops the attempt in progress, or ends the wait for the next; no further attempt is made.
///
/// # Examples
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
pub struct RetryFuture<A, R> {
    policy: RetryPolicy,
    /// The function, and its attempt in progress.
    #[pin]
    attempts: A,
    state: State,
    /// `true` if the last attempt is the last call of the function; `false` if the retry itself may
    /// be repeated.
    last: bool,
    rules: R,
    /// The place of a closure, which names it in log lines.
    place: &'static Location<'static>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]

enum State {
    /// The next attempt may begin.
    Due,
    Attempting,
    Waiting,
    Ended,
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

impl<A, R> RetryFuture<A, R> {
    #[inline]
    pub(super) fn new(attempts: A, policy: RetryPolicy, rules: R, place: &'static Location<'static>) -> Self {
        Self { policy, attempts, state: State::Due, last: true, rules, place, progress: Progress::new() }
    }
}

impl<A, R, T, E> Future for RetryFuture<A, R>
where
    A: Repeat<Output = Result<T, E>>,
    R: Ruling<T, E>,
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
    R: Ruling<T, E>,
{
    /// Within a further attempt of another retry, this retry counts anew from 1.
    #[cold]
    #[inline(never)]
    fn poll_nested(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, R::Error>> {
        Scope::new(1, None).run(|| self.poll_here(cx))
    }

    #[inline]
    fn poll_here(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, R::Error>> {
        // Nearly all calls end here: the first attempt succeeds when it is first polled.
        if self.state == State::Due && self.progress.is_first() {
            self.as_mut().begin();
            let result = ready!(self.as_mut().project().attempts.poll(cx));
            if let Some(poll) = self.as_mut().ended(result, cx) {
                return poll;
            }
        }
        self.poll_on(cx)
    }

    /// Goes on with an attempt, or with the wait for one.
    #[inline(never)]
    fn poll_on(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, R::Error>> {
        loop {
            match self.state {
                State::Due => self.as_mut().begin(),
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

    /// Polls the attempt in progress; `None` if another is to follow after a wait.
    fn poll_attempt(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Poll<Result<T, R::Error>>> {
        let this = self.as_mut().project();
        let poll = match &*this.progress.0 {
            Stage::First(_) => this.attempts.poll(cx),
            Stage::Further(wait) => {
                Scope::new(wait.failed + 1, this.policy.keeps_place_since(wait.began)).run(|| this.attempts.poll(cx))
            }
        };
        match poll {
            Poll::Ready(result) => self.ended(result, cx),
            Poll::Pending => Some(Poll::Pending),
        }
    }

    /// The step after an attempt that has ended; `None` if another attempt follows after a wait.
    #[inline]
    fn ended(
        mut self: Pin<&mut Self>,
        result: Result<T, E>,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Result<T, R::Error>>> {
        let this = self.as_mut().project();
        // Everything that the attempt held is freed before its end is reported.
        this.attempts.stop();
        *this.state = State::Ended;
        let retryable = is_retryable(this.policy, this.rules, || this.progress.number(), &result);
        match result {
            Ok(value) if !retryable => {
                if let Stage::Further(wait) = &*this.progress.0 {
                    let number = wait.failed + 1;
                    succeeded(&self.policy, number, || self.attempts.name().or_place(self.place));
                }
                Some(Poll::Ready(Ok(value)))
            }
            result => self.failed(result, retryable, cx),
        }
    }

    #[inline]
    fn begin(self: Pin<&mut Self>) {
        let this = self.project();
        let number = match &mut *this.progress.0 {
            Stage::First(began) => {
                if this.policy.needs_clock() || R::NEEDS_CLOCK {
                    *began = Some(clock::now());
                }
                1
            }
            Stage::Further(wait) => wait.failed + 1,
        };
        this.attempts.start(*this.last && !this.policy.may_follow(number));
        *this.state = State::Attempting;
    }

    /// Handles a failed attempt. `None` means: wait, then retry. Kept out of line, because nearly
    /// all calls succeed at once.
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
        match judge(policy, this.rules, &attempt, &result, name, || progress.wait(policy).delays, &pause_left) {
            Next::Return(reason, elapsed) => {
                let explain = |error| R::finish(number, elapsed, reason, error);
                Some(Poll::Ready(result.map_err(explain)))
            }
            Next::RetryIn(delay) => {
                let mut wait = progress.wait(policy);
                *wait.failed += 1;
                if delay.is_zero() {
                    // Attempts that fail at once must not keep the thread to themselves, and a sleep of zero would wait
                    // for the timer's next tick.
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

    /// Ready when the next attempt is due.
    #[cold]
    #[inline(never)]
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match this.progress.wait(this.policy).sleep.as_pin_mut() {
            Some(sleep) => ready!(sleep.poll(cx)),
            // The delay lies beyond what the clock can express.
            None => return Poll::Pending,
        }
        *this.state = State::Due;
        Poll::Ready(())
    }
}

impl<A, R, T, E> Stop for RetryFuture<A, R>
where
    A: Repeat<Output = Result<T, E>>,
    R: Ruling<T, E>,
{
    fn stop(self: Pin<&mut Self>) {
        let this = self.project();
        // An attempt that has ended was stopped at its end.
        if *this.state == State::Attempting {
            this.attempts.stop();
        }
        *this.state = State::Ended;
        *this.progress = Progress::new();
    }
}

impl<A, R, T, E> Repeat for RetryFuture<A, R>
where
    A: Repeat<Output = Result<T, E>>,
    R: Ruling<T, E>,
{
    fn start(mut self: Pin<&mut Self>, last: bool) {
        self.as_mut().stop();
        let this = self.project();
        *this.last = last;
        *this.state = State::Due;
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

impl Progress {
    fn new() -> Self {
        Self(ManuallyDrop::new(Stage::First(None)))
    }

    #[inline]
    fn is_first(&self) -> bool {
        matches!(*self.0, Stage::First(_))
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

impl<A, R> fmt::Debug for RetryFuture<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begun = matches!(self.state, State::Attempting | State::Ended);
        let attempts = self.progress.failed() + u32::from(begun);
        f.debug_struct("RetryFuture").field("policy", &self.policy).field("attempts", &attempts).finish_non_exhaustive()
    }
}
