//! Limits on the duration of calls.

use crate::{
    Error, Fallible, Name,
    call::{
        Callable, CallableMut, CallableOnce, Called, Describe, Repeat, Stop, awaited_directly, blocking,
        called::RemoteMark, mode::Function, stack::Decorates,
    },
    clock::{self, Clock, Nanos, Sleep, nanos},
    deadline,
    describe::{Chain, Step, StepKind},
    layer::memo_outcome::Away,
    thread::RemoteCall,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::task::coop;

/// A function with a time limit for each call.
///
/// Made by [`.timeout(..)`](crate::FnExt::timeout). A blocking call runs on a thread of its own,
/// and its caller abandons it when the limit passes.
#[derive(Clone)]
#[must_use = "a decorated function does nothing until it is called"]
pub struct Timeout<C, L = Unlabelled> {
    callable: C,
    limit: Duration,
    name: Name,
    label: L,
    describe: Describe<C>,
}

impl<C> Timeout<C> {
    pub(crate) fn new(callable: C, limit: Duration, name: Name, describe: Describe<C>) -> Self {
        Self { callable, limit, name, label: Unlabelled, describe }
    }

    /// Labels the limit, so that the error names the limit that has passed:
    /// `fetch timed out after 10s (total)`.
    ///
    /// The label is the field `label` of [`Error::TimedOut`]. It is a `&'static str`, so that a
    /// pattern can match it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn hang(id: u64) -> Result<u64, Error> { std::future::pending().await }
    ///
    /// let fetch = hang
    ///     .timeout(Duration::from_secs(4))
    ///     .labelled("attempt")
    ///     .retry_with(RetryPolicy::fixed(Duration::from_secs(1)))
    ///     .timeout(Duration::from_secs(8))
    ///     .labelled("total");
    /// let error = fetch.call(42).await.unwrap_err();
    /// assert!(matches!(error, Error::TimedOut { label: Some("total"), .. }));
    /// assert_eq!(error.to_string(), "hang timed out after 8s (total)");
    /// # }
    /// ```
    pub fn labelled(self, label: &'static str) -> Timeout<C, Labelled> {
        let Self { callable, limit, name, describe, .. } = self;
        Timeout { callable, limit, name, label: Labelled(label), describe }
    }
}

/// The label of a limit. A type without a label has no size, so that an unlabelled limit pays
/// nothing.
pub trait Label: Copy {
    /// Returns the label; `None` if there is none.
    #[doc(hidden)]
    fn get(self) -> Option<&'static str>;
}

/// A limit without a label.
#[derive(Debug, Clone, Copy)]
pub struct Unlabelled;

/// A limit with a [label](Timeout::labelled).
#[derive(Debug, Clone, Copy)]
pub struct Labelled(&'static str);

impl Label for Unlabelled {
    #[inline]
    fn get(self) -> Option<&'static str> {
        None
    }
}

impl Label for Labelled {
    #[inline]
    fn get(self) -> Option<&'static str> {
        Some(self.0)
    }
}

impl<C, L: Label> Timeout<C, L> {
    fn step(&self) -> Step {
        let (limit, label) = (self.limit, self.label.get());
        let labelled = label.map(|label| format!(".labelled({label:?})")).unwrap_or_default();
        Step::new(format_args!(".timeout({limit:?}){labelled}"), StepKind::Timeout { limit, label })
    }

    fn add_steps(&self, chain: &mut Chain) {
        self.describe.add_to(&self.callable, chain);
        chain.push(self.step());
    }
}

impl<C, L: Label> fmt::Debug for Timeout<C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain::of(|chain| self.add_steps(chain)).fmt(f)
    }
}

/// The future of a [`.timeout(..)`](crate::FnExt::timeout) call.
///
/// Polls the call first, and the timer only if the call is pending.
///
/// # Cancel safety
///
/// The cancel safety of the call. Dropping the future drops the call and the timer.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Error, future::{Called, TimeoutFuture}, prelude::*};
/// use std::{future::{Pending, pending}, time::Duration};
///
/// let limit = Duration::from_secs(1);
/// let call: TimeoutFuture<Called<Pending<Result<(), Error>>>> = pending().timeout(limit);
/// assert_eq!(format!("{call:?}"), "TimeoutFuture { name: \"Pending\", limit: 1s, .. }");
/// assert!(call.await.is_err());
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
// `repr(C)` puts integers on both sides of `timer`. Otherwise LLVM copies the uninitialised bytes
// of an unarmed timer together with the neighbouring field.
#[repr(C)]
pub struct TimeoutFuture<F, L = Unlabelled> {
    #[pin]
    call: F,
    #[pin]
    timer: Timer,
    limit: Nanos, // not a `Duration`, which ends in padding
    name: Name,
    label: L,
}

#[pin_project(project = TimerState)]
enum Timer {
    /// The call has not been pending yet.
    Unarmed,
    Armed(#[pin] Sleep),
    /// The clock cannot represent the end of the limit.
    Never,
}

impl<F, L> TimeoutFuture<F, L> {
    #[inline]
    fn with_label(call: F, limit: Duration, name: Name, label: L) -> Self {
        Self { call, timer: Timer::Unarmed, limit: nanos(limit), name, label }
    }
}

impl<F> TimeoutFuture<F> {
    #[inline]
    pub(crate) fn new(call: F, limit: Duration, name: Name) -> Self {
        Self::with_label(call, limit, name, Unlabelled)
    }

    /// Labels the limit; see [`Timeout::labelled`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::{future::pending, time::Duration};
    ///
    /// let second = Duration::from_secs(1);
    /// let call = pending::<Result<(), Error>>().timeout(second).labelled("attempt");
    /// let error = call.await.unwrap_err();
    /// assert!(matches!(error, Error::TimedOut { label: Some("attempt"), .. }));
    /// # }
    /// ```
    pub fn labelled(self, label: &'static str) -> TimeoutFuture<F, Labelled> {
        let Self { call, timer, limit, name, .. } = self;
        TimeoutFuture { call, timer, limit, name, label: Labelled(label) }
    }
}

impl<F, L: Label> Future for TimeoutFuture<F, L>
where
    F: Stop,
    F::Output: Fallible,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let limit = match this.timer.as_mut().project() {
            TimerState::Unarmed => deadline::Limit::not_begun(*this.limit),
            TimerState::Armed(sleep) => deadline::Limit::until(sleep.deadline()),
            TimerState::Never => deadline::Limit::Never,
        };
        let polled = this.call.as_mut().poll(cx);
        drop(limit);
        if let Poll::Ready(output) = polled {
            this.call.stop();
            return Poll::Ready(output);
        }
        let limit = Duration::from_nanos(*this.limit);
        ready!(this.timer.poll(limit, cx));
        this.call.stop();
        Poll::Ready(timed_out(this.name, limit, *this.label))
    }
}

impl<F, L: Label> Stop for TimeoutFuture<F, L>
where
    F: Stop,
    F::Output: Fallible,
{
    #[inline]
    fn stop(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.timer.set(Timer::Unarmed);
        this.call.stop();
    }
}

impl<A, L: Label> Repeat for TimeoutFuture<A, L>
where
    A: Repeat,
    A::Output: Fallible,
{
    #[inline]
    fn start(self: Pin<&mut Self>, last: bool) {
        let mut this = self.project();
        this.timer.set(Timer::Unarmed);
        this.call.start(last);
    }

    fn name(&self) -> Name {
        self.call.name()
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.call.holds_back()
    }

    fn pause_left(&self) -> Duration {
        self.call.pause_left()
    }
}

#[cold]
fn timed_out<T: Fallible>(name: &Name, after: Duration, label: impl Label) -> T {
    T::from_policy(Error::TimedOut { name: name.clone(), after, label: label.get() })
}

impl Timer {
    /// Returns `Ready` if the limit has passed since the first call of this method.
    fn poll(mut self: Pin<&mut Self>, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if let TimerState::Unarmed = self.as_mut().project() {
            if limit.is_zero() {
                // A sleep of zero would wait for the timer's next tick.
                return Poll::Ready(());
            }
            self.set(clock::sleep(limit).map_or(Self::Never, Self::Armed));
        }
        match self.project() {
            TimerState::Armed(sleep) => poll_in_time(sleep, cx),
            TimerState::Unarmed | TimerState::Never => Poll::Pending,
        }
    }
}

/// Polls the timer even if the call has used up the task's coop budget. Otherwise the timer would
/// stay pending, and the call would never time out.
pub(super) fn poll_in_time(sleep: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
    if coop::has_budget_remaining() { sleep.poll(cx) } else { pin!(coop::unconstrained(sleep)).poll(cx) }
}

impl<F, L> fmt::Debug for TimeoutFuture<F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, limit) = (&self.name, Duration::from_nanos(self.limit));
        f.debug_struct("TimeoutFuture").field("name", name).field("limit", &limit).finish_non_exhaustive()
    }
}

impl<C, L: Label, Args> CallableOnce<Args> for Timeout<C, L>
where
    C: CallableOnce<Args>,
    C::Output: Fallible,
{
    type Output = C::Output;
    type Future = TimeoutFuture<Called<C::Future>, L>;

    #[inline]
    fn call_once(self, args: Args) -> Self::Future {
        TimeoutFuture::with_label(Called::new(self.callable.call_once(args)), self.limit, self.name, self.label)
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

impl<C, L: Label, Args> CallableMut<Args> for Timeout<C, L>
where
    C: CallableMut<Args>,
    C::Output: Fallible,
{
    type Repeated = TimeoutFuture<C::Repeated, L>;

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        TimeoutFuture::with_label(self.callable.repeated(args), self.limit, self.name, self.label)
    }
}

impl<C, L: Label, Args> Callable<Args> for Timeout<C, L>
where
    C: Callable<Args>,
    C::Output: Fallible,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        let call = Called::new(self.callable.call_with(args));
        TimeoutFuture::with_label(call, self.limit, self.name.clone(), self.label)
    }
}

awaited_directly!(Timeout<C, L>, C, L);

impl<S, L: Label, F, Args, Half> Decorates<F, Args, Half> for Timeout<S, L>
where
    S: Decorates<F, Args, Half, Decorated: Function<Args, Half>>,
{
    type Decorated = Timeout<S::Decorated, L>;

    fn decorate(&self, function: F, place: &'static Location<'static>) -> Self::Decorated {
        let Self { callable, limit, label, .. } = self;
        let callable = callable.decorate(function, place);
        let name = callable.name().or_place(place);
        Timeout { callable, limit: *limit, name, label: *label, describe: Describe::at(place, S::Decorated::add_to) }
    }
}

// ---- the blocking half ----

impl<C, L: Label, Args> blocking::CallableOnce<Args> for Timeout<C, L>
where
    C: blocking::CallableOnce<Args, Output: Fallible + Send + 'static> + Send + 'static,
    Args: Send + 'static,
{
    type Output = C::Output;

    #[inline]
    fn call_once(self, args: Args) -> C::Output {
        let Self { callable, limit, name, label, .. } = self;
        if limit == Duration::MAX {
            return callable.call_once(args);
        }
        let end = Clock::Thread.now().checked_add(limit);
        let deadline = deadline::Scope::of_thread(end);
        // Marks this thread after the wait, if the function has been called by then.
        let mark = callable.holds_back().then(RemoteMark::new);
        let call = move || deadline.run(|| Away::call(|| callable.call_once(args)));
        let output = match &mark {
            _ if limit.is_zero() => None,
            Some(mark) => RemoteCall::begin(mark.carried_by(call)).wait_until(end),
            None => RemoteCall::begin(call).wait_until(end),
        };
        output.map_or_else(|| timed_out(&name, limit, label), Away::arrive)
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

    fn pause_left(&self, args: &Args) -> Duration {
        self.callable.pause_left(args)
    }
}

impl<C, L: Label, Args> blocking::CallableMut<Args> for Timeout<C, L>
where
    Self: blocking::CallableOnce<Args> + Clone,
{
    fn call_mut(&mut self, args: Args) -> Self::Output {
        blocking::CallableOnce::call_once(self.clone(), args)
    }
}

impl<C, L: Label, Args> blocking::Callable<Args> for Timeout<C, L>
where
    Self: blocking::CallableOnce<Args> + Clone,
{
    fn call_with(&self, args: Args) -> Self::Output {
        blocking::CallableOnce::call_once(self.clone(), args)
    }
}
