//! Further calls beside a call that takes too long. The first success counts.

use super::timeout::poll_in_time;
use crate::{
    Hedge, Name,
    call::{
        Callable, CallableMut, CallableOnce, CloneFunction, Describe, Repeat, Stop, awaited_directly, called,
        mode::{Function, Hedgeable},
        stack::Decorates,
    },
    clock::{self, Clock, Instant, Sleep},
    describe::{Chain, Step},
    retry_budget::Withdrawal,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    mem,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::task::coop;

/// A function with further calls beside a call that takes too long.
///
/// Made by [`.hedged(..)`](crate::FnExt::hedged).
///
/// # Examples
///
/// ```
/// use decor::prelude::*;
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
///
/// let fetch = fetch.hedged(Duration::from_millis(50));
/// assert_eq!(format!("{fetch:?}"), "fetch.hedged(after 50ms, at most 2 calls)");
/// ```
#[derive(Clone)]
#[must_use = "a decorated function does nothing until it is called"]
pub struct Hedged<C> {
    callable: C,
    hedge: Hedge,
    describe: Describe<C>,
}

impl<C> Hedged<C> {
    pub(crate) fn new(callable: C, hedge: Hedge, describe: Describe<C>) -> Self {
        Self { callable, hedge, describe }
    }

    fn add_steps(&self, chain: &mut Chain) {
        self.describe.add_to(&self.callable, chain);
        chain.push(Step::new(format_args!(".hedged({})", self.hedge), self.hedge.kind()));
    }
}

impl<C> fmt::Debug for Hedged<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain::of(|chain| self.add_steps(chain)).fmt(f)
    }
}

/// The future of a [`.hedged(..)`](crate::FnExt::hedged) call. Calls the function when it is first
/// polled.
///
/// # Cancel safety
///
/// Dropping the future drops all calls in progress, in the order in which they were started.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::prelude::*;
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
///
/// let call = fetch.hedged(Duration::from_millis(50)).call(42);
/// assert_eq!(format!("{call:?}"), "HedgedFuture { started: 0, .. }");
/// assert_eq!(call.await, Ok(42));
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
// `repr(C)` puts integers on both sides of `timer`: see `TimeoutFuture`.
#[repr(C)]
pub struct HedgedFuture<C, Args, F> {
    /// The first call, in place; `None` before it begins and after it has ended.
    #[pin]
    first: Option<F>,
    race: Race<F>,
    /// Timer of the next hedge; `None` if no hedge is to come.
    #[pin]
    timer: Option<Sleep>,
    // A function pointer, and no bounds on `C`: see `LateFuture`.
    begin: Begin<C, Args, F>,
    callable: C,
    /// Arguments of the next call; `None` once the last call has begun.
    args: Option<Args>,
    /// `true` if no further call of the function follows; `false` if the hedge itself may be
    /// repeated.
    is_last: bool,
}

/// Calls the function, and stores its future.
type Begin<C, Args, F> = fn(&C, Args, Pin<&mut Option<F>>);

/// The calls of one hedged call, apart from the first.
struct Race<F> {
    hedge: Hedge,
    /// Number of calls that were started, the first one included.
    started: u32,
    /// Maximum number of calls, as it was when the first call was started. A reload of the hedge
    /// must not change it, because the last call takes the arguments.
    allowed: u32,
    stage: Stage,
    /// `false` after a failure, and after the budget was found empty.
    may_hedge: bool,
    /// Index of the call that is polled first; 0 for the first call.
    turn: usize,
    /// Start of the first call; `None` unless it is pending and measured.
    measured_since: Option<Instant>,
    /// Delay before each further call; `None` if there is none.
    delay: Option<Duration>,
    /// The calls after the first, in the order of their start.
    others: Vec<Other<F>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No call was made yet.
    New,
    Running,
    Ended,
}

/// A call after the first.
struct Other<F> {
    /// `None` after a failure.
    call: Pin<Box<Option<F>>>,
    /// Payment for the call, as long as the function was not called; `None` without a budget.
    withdrawal: Option<Withdrawal>,
}

impl<F: Future> Other<F> {
    /// Makes or polls the call. Spends the withdrawal if that calls the function.
    fn watch<R>(&mut self, run: impl FnOnce(Pin<&mut Option<F>>) -> R) -> R {
        let Self { call, withdrawal } = self;
        if withdrawal.is_none() {
            return run(call.as_mut());
        }
        let mut spends = Spends { withdrawal, is_called: false };
        called::watch(&mut spends.is_called, || run(call.as_mut()))
    }
}

/// Spends a withdrawal on drop, and so during unwinding too.
struct Spends<'w> {
    withdrawal: &'w mut Option<Withdrawal>,
    is_called: bool,
}

impl Drop for Spends<'_> {
    fn drop(&mut self) {
        if let Some(withdrawal) = self.withdrawal.take_if(|_| self.is_called) {
            withdrawal.spend();
        }
    }
}

impl<F> Race<F> {
    /// Delay before the next call; `None` if no call is to come.
    fn next_delay(&self) -> Option<Duration> {
        self.delay.filter(|_| self.may_hedge && self.started < self.allowed)
    }

    /// Prepares the race for another call.
    fn renew(&mut self) {
        self.started = 0;
        self.stage = Stage::New;
        self.may_hedge = true;
        self.turn = 0;
        self.delay = None;
    }

    fn measured(&self) -> Option<Duration> {
        self.measured_since.map(|began| Clock::Task.now().duration_since(began))
    }

    /// Ends the measurement of a first call that succeeded.
    fn measure(&mut self) {
        if let Some(duration) = self.measured() {
            self.hedge.measured(duration);
        }
        self.measured_since = None;
    }

    /// Ends the measurement of a first call that was dropped. If the call has reached the delay,
    /// its duration is longer than the percentile, and counts with the part that is known.
    #[cold]
    fn give_up_measure(&mut self) {
        let lasted = self.measured().zip(self.delay);
        if lasted.is_some_and(|(lasted, delay)| lasted >= delay) {
            self.measure();
        }
        self.measured_since = None;
    }
}

impl<F> Drop for Race<F> {
    #[inline]
    fn drop(&mut self) {
        if self.measured_since.is_some() {
            self.give_up_measure();
        }
    }
}

impl<C, Args, F> HedgedFuture<C, Args, F> {
    #[inline]
    fn new(callable: C, args: Args, hedge: Hedge) -> Self
    where
        C: Callable<Args, Future = F>,
    {
        Self {
            first: None,
            race: Race {
                hedge,
                started: 0,
                allowed: 0,
                stage: Stage::New,
                may_hedge: true,
                turn: 0,
                measured_since: None,
                delay: None,
                others: Vec::new(),
            },
            timer: None,
            begin: |callable, args, mut call| {
                called::mark(callable.holds_back());
                call.set(Some(callable.call_with(args)));
            },
            callable,
            args: Some(args),
            is_last: true,
        }
    }
}

impl<C, Args, F, T, E> Future for HedgedFuture<C, Args, F>
where
    Args: Clone,
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        if self.race.stage != Stage::New {
            return self.poll_on(cx);
        }
        // Most calls end here, because their first call succeeds at its first poll.
        let args = self.as_mut().next_args();
        let mut this = self.as_mut().project();
        this.race.hedge.begun();
        this.race.stage = Stage::Running;
        (this.begin)(this.callable, args, this.first.as_mut());
        let call = this.first.as_mut().as_pin_mut().expect("the call has begun");
        let Poll::Ready(result) = call.poll(cx) else {
            self.as_mut().expect_hedges();
            return self.poll_timer(cx);
        };
        this.first.set(None);
        this.race.stage = Stage::Ended;
        if result.is_ok() {
            this.race.hedge.ended_at_once();
        }
        Poll::Ready(result)
    }
}

impl<C, Args, F, T, E> HedgedFuture<C, Args, F>
where
    Args: Clone,
    F: Future<Output = Result<T, E>>,
{
    /// The arguments of the next call.
    #[inline]
    fn next_args(self: Pin<&mut Self>) -> Args {
        let this = self.project();
        if this.race.started == 0 {
            this.race.allowed = this.race.hedge.allowed_calls();
        }
        this.race.started += 1;
        let is_last = *this.is_last && this.race.started == this.race.allowed;
        let next = if is_last { this.args.take() } else { this.args.clone() };
        next.expect("the last call has taken the arguments")
    }

    /// Sets the timer of the first hedge, when the first call was pending.
    fn expect_hedges(self: Pin<&mut Self>) {
        let mut this = self.project();
        let Race { hedge, measured_since, delay, allowed, .. } = this.race;
        *delay = hedge.delay();
        let waits = delay.filter(|delay| *allowed > 1 && !delay.is_zero());
        if !hedge.measures() && waits.is_none() {
            return;
        }
        let now = Clock::Task.now();
        if hedge.measures() {
            *measured_since = Some(now);
        }
        this.timer.set(waits.and_then(|delay| now.checked_add(delay)).map(clock::sleep_until));
    }

    #[inline(never)]
    fn poll_on(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        assert!(self.race.stage == Stage::Running, "`HedgedFuture` polled after it completed");
        match self.as_mut().poll_calls(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.poll_timer(cx),
        }
    }

    /// Starts the hedges that are due.
    #[inline(never)]
    fn poll_timer(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        loop {
            let mut this = self.as_mut().project();
            let Some(delay) = this.race.next_delay() else { return Poll::Pending };
            if !delay.is_zero() {
                let Some(timer) = this.timer.as_mut().as_pin_mut() else { return Poll::Pending };
                if poll_in_time(timer, cx).is_pending() {
                    return Poll::Pending;
                }
            }
            if let Poll::Ready(result) = self.as_mut().start_another(delay, cx) {
                return Poll::Ready(result);
            }
        }
    }

    /// Starts a hedge if the budget can pay for it, and polls it.
    fn start_another(mut self: Pin<&mut Self>, delay: Duration, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let Ok(withdrawal) = self.race.hedge.pay() else {
            self.expect_no_more();
            return Poll::Pending;
        };
        let args = self.as_mut().next_args();
        let mut this = self.as_mut().project();
        if this.race.started == this.race.allowed {
            this.timer.set(None);
        } else if let Some(timer) = this.timer.as_mut().as_pin_mut() {
            match Clock::Task.now().checked_add(delay) {
                Some(moment) => timer.reset(moment),
                None => this.timer.set(None),
            }
        }
        this.race.others.push(Other { call: Box::pin(None), withdrawal });
        let at = this.race.others.len();
        this.race.others[at - 1].watch(|call| (this.begin)(this.callable, args, call));
        self.poll_call(at, cx)
    }

    /// Polls all calls; ready with the result of the whole.
    fn poll_calls(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let calls = 1 + self.race.others.len();
        let first = mem::take(&mut self.as_mut().project().race.turn);
        for at in (first..calls).chain(0..first) {
            // A call that finds the task's coop budget used up comes first at the next poll.
            // Otherwise a call that always uses up the budget would hold up the others.
            if at != first && self.race.turn == 0 && !coop::has_budget_remaining() {
                self.as_mut().project().race.turn = at;
            }
            if let Poll::Ready(result) = self.as_mut().poll_call(at, cx) {
                return Poll::Ready(result);
            }
        }
        Poll::Pending
    }

    /// Polls a call; ready with the result of the whole.
    fn poll_call(mut self: Pin<&mut Self>, at: usize, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let mut this = self.as_mut().project();
        let poll = match at.checked_sub(1) {
            None => match this.first.as_mut().as_pin_mut() {
                Some(call) => call.poll(cx),
                None => return Poll::Pending,
            },
            Some(other) => this.race.others[other].watch(|call| match call.as_pin_mut() {
                Some(call) => call.poll(cx),
                None => Poll::Pending,
            }),
        };
        match poll {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(value)) => {
                self.won(at);
                Poll::Ready(Ok(value))
            }
            Poll::Ready(Err(error)) => self.failed(at, error),
        }
    }

    /// Drops all calls after the success of one.
    fn won(mut self: Pin<&mut Self>, at: usize) {
        let this = self.as_mut().project();
        let is_first = at == 0;
        if is_first || this.first.is_some() {
            this.race.measure();
        }
        this.race.hedge.ended(!is_first);
        self.end();
    }

    /// Drops a call that failed. Ready with its error if it was the last one in progress.
    fn failed(mut self: Pin<&mut Self>, at: usize, error: E) -> Poll<Result<T, E>> {
        let mut this = self.as_mut().project();
        match at.checked_sub(1) {
            None => {
                this.first.set(None);
                this.race.measured_since = None;
            }
            Some(other) => {
                let Other { call, withdrawal } = &mut this.race.others[other];
                call.set(None);
                *withdrawal = None;
            }
        }
        let runs = this.first.is_some() || this.race.others.iter().any(|other| other.call.is_some());
        if runs {
            self.expect_no_more();
            return Poll::Pending;
        }
        self.end();
        Poll::Ready(Err(error))
    }
}

impl<C, Args, F> HedgedFuture<C, Args, F> {
    /// Starts no further call.
    fn expect_no_more(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.timer.set(None);
        this.race.may_hedge = false;
    }

    /// Drops all calls, the first one first.
    fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.race.stage = Stage::Ended;
        this.timer.set(None);
        this.first.set(None);
        this.race.others = Vec::new();
    }
}

impl<C, Args, F> fmt::Debug for HedgedFuture<C, Args, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgedFuture").field("started", &self.race.started).finish_non_exhaustive()
    }
}

/// Hedged calls that are repeated.
#[pin_project]
pub struct HedgedCalls<C, Args, F> {
    #[pin]
    call: HedgedFuture<C, Args, F>,
    // Function pointers, and no bounds on `C`: see `LateFuture`.
    name: fn(&C) -> Name,
    holds_back: fn(&C) -> bool,
}

impl<C, Args, F, T, E> Future for HedgedCalls<C, Args, F>
where
    Args: Clone,
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        self.project().call.poll(cx)
    }
}

impl<C, Args, F, T, E> Stop for HedgedCalls<C, Args, F>
where
    Args: Clone,
    F: Future<Output = Result<T, E>>,
{
    fn stop(self: Pin<&mut Self>) {
        let mut call = self.project().call;
        let race = call.as_mut().project().race;
        if race.measured_since.is_some() {
            race.give_up_measure();
        }
        call.end();
    }
}

impl<C, Args, F, T, E> Repeat for HedgedCalls<C, Args, F>
where
    Args: Clone,
    F: Future<Output = Result<T, E>>,
{
    fn start(mut self: Pin<&mut Self>, last: bool) {
        self.as_mut().stop();
        let call = self.project().call.project();
        *call.is_last = last;
        call.race.renew();
    }

    fn name(&self) -> Name {
        (self.name)(&self.call.callable)
    }

    #[inline]
    fn holds_back(&self) -> bool {
        (self.holds_back)(&self.call.callable)
    }
}

impl<C, Args, F> fmt::Debug for HedgedCalls<C, Args, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgedCalls").field("call", &self.call).finish_non_exhaustive()
    }
}

impl<C, Args, T, E> CallableOnce<Args> for Hedged<C>
where
    C: Callable<Args, Output = Result<T, E>>,
    Args: Clone,
{
    type Output = Result<T, E>;
    type Future = HedgedFuture<C, Args, C::Future>;

    #[inline]
    fn call_once(self, args: Args) -> Self::Future {
        HedgedFuture::new(self.callable, args, self.hedge)
    }

    fn name(&self) -> Name {
        self.callable.name().or_place(self.describe.place())
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.callable.holds_back()
    }

    fn add_to(&self, chain: &mut Chain) {
        self.add_steps(chain);
    }
}

impl<C, Args, T, E> CallableMut<Args> for Hedged<C>
where
    C: Callable<Args, Output = Result<T, E>>,
    Args: Clone,
{
    type Repeated = HedgedCalls<C, Args, C::Future>;

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        HedgedCalls { call: self.call_once(args), name: C::name, holds_back: C::holds_back }
    }
}

#[diagnostic::do_not_recommend] // otherwise rustc reports a captured variable that is not `Clone`
impl<C, Args, T, E> Callable<Args> for Hedged<C>
where
    C: Callable<Args, Output = Result<T, E>> + CloneFunction,
    Args: Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        HedgedFuture::new(self.callable.clone(), args, self.hedge.clone())
    }
}

awaited_directly!(Hedged<C>, C);

impl<S, F, Args, Half> Decorates<F, Args, Half> for Hedged<S>
where
    S: Decorates<F, Args, Half, Decorated: Hedgeable<Args, Half>>,
{
    type Decorated = Hedged<S::Decorated>;

    fn decorate(&self, function: F, place: &'static Location<'static>) -> Self::Decorated {
        let callable = self.callable.decorate(function, place);
        Hedged::new(callable, self.hedge.clone(), Describe::at(place, S::Decorated::add_to))
    }
}
