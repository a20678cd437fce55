//! Permits of a limiter before each call.
//!
//! Each method of the catalogue names a limiter and a request. The limiter is the same for all
//! calls, or that of the call's key. The request is for one permit with an unbounded wait, for one
//! permit with a bounded wait, or for the permits that the arguments ask for. The decoration has a
//! part for each.

use super::settled::Reserving;
use crate::{
    Error, Fallible, KeyedLimiter, Permits, RateLimiter,
    call::{Late, args::Inspect, mode::Function},
    clock::Clock,
    describe::{HandleId, StepKind},
    layer::{
        Around, Captures, Decoration, Gate, GateLayer, GateSource, GatedFuture, Renewable, Wait, captures_nothing,
        repeats_from_args, repeats_in_place,
    },
    rate_limiter::{Acquisition, Core, Request, never_refused},
    sync::Arc,
};
use std::{
    fmt::{self, Display},
    hash::Hash,
    task::{Poll, ready},
    time::Duration,
};

/// The gate of a call that waits for one permit, without a bound.
#[derive(Debug, Clone)]
pub struct Admission(Acquisition<Arc<Core>>);

impl Admission {
    #[inline]
    pub(crate) fn new(limiter: RateLimiter) -> Self {
        Self(limiter.request(Request::one()))
    }
}

#[diagnostic::do_not_recommend]
impl<T> Gate<T> for Admission {
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        ready!(self.0.poll(wait)).unwrap_or_else(|error| never_refused(&error));
        Poll::Ready(Ok(()))
    }
}

impl Renewable for Admission {
    #[inline]
    fn release(&mut self) {
        self.0.renew();
    }
}

impl Reserving for Admission {
    fn settle(&self, clock: Clock, used: &Permits) -> Result<(), Error> {
        self.0.settle(clock, used)
    }
}

/// The gate of a call that the limiter may refuse.
#[derive(Debug, Clone)]
pub struct RefusableAdmission(Acquisition<Arc<Core>>);

impl RefusableAdmission {
    #[inline]
    pub(crate) fn new(limiter: RateLimiter, permits: Permits, max_wait: Option<Duration>) -> Self {
        Self(limiter.request(Request { permits, can_fail: true, max_wait }))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Fallible> Gate<T> for RefusableAdmission {
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        self.0.poll(wait).map_err(T::from_policy)
    }
}

impl Renewable for RefusableAdmission {
    #[inline]
    fn release(&mut self) {
        self.0.renew();
    }
}

impl Reserving for RefusableAdmission {
    fn settle(&self, clock: Clock, used: &Permits) -> Result<(), Error> {
        self.0.settle(clock, used)
    }
}

/// A gate that `.permits(..)` may follow.
pub trait AsksForPermits {
    /// The gate of a call that asks for a number of permits.
    type Asking;

    /// Returns the gate of a call that asks for this number of permits, with the same longest wait.
    fn asking_for(&self, permits: Permits) -> Self::Asking;
}

impl AsksForPermits for Admission {
    type Asking = RefusableAdmission;

    fn asking_for(&self, permits: Permits) -> RefusableAdmission {
        RefusableAdmission(self.0.asking_for(permits))
    }
}

impl AsksForPermits for RefusableAdmission {
    type Asking = Self;

    fn asking_for(&self, permits: Permits) -> RefusableAdmission {
        Self(self.0.asking_for(permits))
    }
}

/// The decoration of every method with a limiter: the limiter of a call, and the call's request.
#[derive(Debug, Clone)]
pub struct RateLimited<L, R> {
    pub(crate) limiter: L,
    pub(crate) request: R,
}

/// A request for one permit with an unbounded wait.
#[derive(Debug, Clone, Copy)]
pub struct One;

/// A request for one permit with a wait of at most this duration.
#[derive(Debug, Clone, Copy)]
pub struct OneWithin(pub(crate) Duration);

/// A request for as many permits as the arguments ask for.
#[derive(Debug, Clone)]
pub struct Weighted<P> {
    pub(super) permits: P,
    /// Longest wait; `None` for an unbounded one.
    pub(super) max_wait: Option<Duration>,
    /// `true` after `.permits(..)`, `false` after `.rate_limited_by(..)`.
    pub(super) is_setting: bool,
}

impl<P> Weighted<P> {
    /// The request of [`.rate_limited_by(..)`](crate::FnExt::rate_limited_by).
    pub(crate) fn new(permits: P) -> Self {
        Self { permits, max_wait: None, is_setting: false }
    }
}

/// The limiter of a key, which a closure takes from the arguments.
#[derive(Debug)]
pub struct OfKey<K, Q> {
    pub(crate) limiter: KeyedLimiter<K>,
    pub(crate) key: Q,
}

impl<K, Q: Clone> Clone for OfKey<K, Q> {
    fn clone(&self) -> Self {
        Self { limiter: self.limiter.clone(), key: self.key.clone() }
    }
}

/// Finds the limiter of a call.
pub(crate) trait LimiterOf<Args>: Captures<Args> {
    /// The limiter of the only call, from the capture of its arguments.
    fn into_limiter(self, captured: Self::Captured) -> RateLimiter;

    /// The limiter of one of several calls, from its arguments.
    fn limiter(&self, args: &Args) -> RateLimiter;
}

/// The request of a call to its limiter.
pub trait RequestOf<Args>: Captures<Args> {
    /// The gate of a call.
    type Admission;

    /// Makes the gate of a call.
    fn admission(&self, limiter: RateLimiter, captured: Self::Captured) -> Self::Admission;
}

/// A request for one permit, so that `.permits(..)` may follow.
pub trait ForOne {
    /// Returns the longest wait; `None` for an unbounded one.
    fn max_wait(&self) -> Option<Duration>;
}

captures_nothing!(RateLimiter);

impl<Args> LimiterOf<Args> for RateLimiter {
    #[inline]
    fn into_limiter(self, (): ()) -> RateLimiter {
        self
    }

    #[inline]
    fn limiter(&self, _: &Args) -> RateLimiter {
        self.clone()
    }
}

impl<Args, K, Q> Captures<Args> for OfKey<K, Q>
where
    K: Eq + Hash + Clone,
    Q: Inspect<Args, Output = K>,
{
    type Captured = RateLimiter;

    #[inline]
    fn capture(&self, args: &Args) -> RateLimiter {
        self.limiter.for_key(&self.key.inspect(args))
    }
}

impl<Args, K, Q> LimiterOf<Args> for OfKey<K, Q>
where
    K: Eq + Hash + Clone,
    Q: Inspect<Args, Output = K>,
{
    #[inline]
    fn into_limiter(self, limiter: RateLimiter) -> RateLimiter {
        limiter
    }

    #[inline]
    fn limiter(&self, args: &Args) -> RateLimiter {
        self.capture(args)
    }
}

captures_nothing!(One);

impl<Args> RequestOf<Args> for One {
    type Admission = Admission;

    #[inline]
    fn admission(&self, limiter: RateLimiter, (): ()) -> Admission {
        Admission::new(limiter)
    }
}

impl ForOne for One {
    fn max_wait(&self) -> Option<Duration> {
        None
    }
}

captures_nothing!(OneWithin);

impl<Args> RequestOf<Args> for OneWithin {
    type Admission = RefusableAdmission;

    #[inline]
    fn admission(&self, limiter: RateLimiter, (): ()) -> RefusableAdmission {
        RefusableAdmission::new(limiter, 1_u32.into(), Some(self.0))
    }
}

impl ForOne for OneWithin {
    fn max_wait(&self) -> Option<Duration> {
        Some(self.0)
    }
}

impl<Args, P: Inspect<Args, Output: Into<Permits>>> Captures<Args> for Weighted<P> {
    type Captured = Permits;

    #[inline]
    fn capture(&self, args: &Args) -> Permits {
        self.permits.inspect(args).into()
    }
}

impl<Args, P: Inspect<Args, Output: Into<Permits>>> RequestOf<Args> for Weighted<P> {
    type Admission = RefusableAdmission;

    #[inline]
    fn admission(&self, limiter: RateLimiter, permits: Permits) -> RefusableAdmission {
        RefusableAdmission::new(limiter, permits, self.max_wait)
    }
}

impl<Args, L: Captures<Args>, R: Captures<Args>> Captures<Args> for RateLimited<L, R> {
    type Captured = (L::Captured, R::Captured);

    #[inline]
    fn capture(&self, args: &Args) -> Self::Captured {
        (self.limiter.capture(args), self.request.capture(args))
    }
}

impl<L, R> RateLimited<L, R> {
    #[inline]
    fn admission<Args>(self, (limiter, request): (L::Captured, R::Captured)) -> R::Admission
    where
        L: LimiterOf<Args>,
        R: RequestOf<Args>,
    {
        self.request.admission(self.limiter.into_limiter(limiter), request)
    }

    #[inline]
    fn admission_from_args<Args>(&self, args: &Args) -> R::Admission
    where
        L: LimiterOf<Args>,
        R: RequestOf<Args>,
    {
        self.request.admission(self.limiter.limiter(args), self.request.capture(args))
    }
}

/// Source of a gate for one permit of the same limiter at every call. The arguments are not read.
impl<Args, R> GateSource<Args> for RateLimited<RateLimiter, R>
where
    Self: Decoration,
    R: ForOne + RequestOf<Args>,
{
    type Gate = R::Admission;

    #[inline]
    fn gate(self, captured: Self::Captured) -> R::Admission {
        self.admission(captured)
    }

    repeats_in_place!(Args);
}

impl<Args, P> GateSource<Args> for RateLimited<RateLimiter, Weighted<P>>
where
    P: Inspect<Args, Output: Into<Permits>>,
{
    type Gate = RefusableAdmission;

    #[inline]
    fn gate(self, captured: Self::Captured) -> RefusableAdmission {
        self.admission(captured)
    }

    repeats_from_args!(Args, Self::admission_from_args);
}

impl<Args, K, Q, R> GateSource<Args> for RateLimited<OfKey<K, Q>, R>
where
    Self: Decoration,
    K: Eq + Hash + Clone,
    Q: Inspect<Args, Output = K>,
    R: RequestOf<Args>,
{
    type Gate = R::Admission;

    #[inline]
    fn gate(self, captured: Self::Captured) -> R::Admission {
        self.admission(captured)
    }

    repeats_from_args!(Args, Self::admission_from_args);
}

impl<C, L, R: ForOne> Around<Late<C>, GateLayer<RateLimited<L, R>>> {
    /// Takes as many permits as the arguments ask for, in place of one: a number for every window,
    /// or an array with one for each.
    ///
    /// Follows a decorator with a limiter: [`rate_limited`](crate::FnExt::rate_limited),
    /// [`rate_limited_within`](crate::FnExt::rate_limited_within),
    /// [`try_rate_limited`](crate::FnExt::try_rate_limited), or one of their variants by key. After
    /// `rate_limited` it is the same as [`rate_limited_by`](crate::FnExt::rate_limited_by).
    ///
    /// The closure takes each argument by reference, with its type written. It runs when the call
    /// is made, and before a retry for each attempt. A request for 0 permits waits its turn like
    /// any other. Takes [`Fallible`] outputs. Cancel safety and panics are those of the decorator
    /// that `.permits(..)` follows.
    ///
    /// # Errors
    ///
    /// - The errors of the decorator that `.permits(..)` follows. `rate_limited` has none.
    /// - [`Error::RateLimited`](crate::Error::RateLimited) at once, if the wait is known to be
    ///   longer than the time that the call has left ([`Deadline`](crate::Deadline)).
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument) at once, for a number above the
    ///   limit, and for an array with another length than there are windows.
    /// - [`Error::QueueFull`](crate::Error::QueueFull), if the queue is full.
    /// - [`Error::Closed`](crate::Error::Closed), if the limiter is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn complete(user: u64, prompt: String) -> Result<String, Error> {
    ///     Ok(format!("{user}: {prompt}"))
    /// }
    ///
    /// let minute = Duration::from_secs(60);
    /// let per_user = KeyedLimiter::windows([(60, minute), (100, minute)]); // requests and tokens
    /// let complete = complete
    ///     .try_rate_limited_by_key(&per_user, |user: &u64, _: &String| *user)
    ///     .permits(|_: &u64, prompt: &String| [1, prompt.len()]);
    ///
    /// assert!(complete.call(7, "Say hello in French. ".repeat(4)).await.is_ok());
    /// assert_eq!(per_user.for_key(&7).available_per_window(), [59, 16]);
    /// assert!(complete.call(7, "Say hello in French.".into()).await.is_err());
    /// assert!(complete.call(8, "Say hello in French.".into()).await.is_ok());
    /// # }
    /// ```
    pub fn permits<Args, Half, P>(self, permits: P) -> Around<Late<C>, GateLayer<RateLimited<L, Weighted<P>>>>
    where
        C: Function<Args, Half, Output: Fallible>,
        P: Inspect<Args, Output: Into<Permits>>,
    {
        self.with_layer(|GateLayer(RateLimited { limiter, request })| {
            let request = Weighted { permits, max_wait: request.max_wait(), is_setting: true };
            GateLayer(RateLimited { limiter, request })
        })
    }
}

impl<F, G: AsksForPermits + Gate<T>, T> GatedFuture<F, G, T> {
    /// Takes this number of permits, in place of one: the same number from every window, or an
    /// array with one for each.
    ///
    /// Follows a decorator with a limiter, as on functions: see
    /// [`Around::permits`](crate::Around::permits).
    ///
    /// # Errors
    ///
    /// Those of [`Around::permits`](crate::Around::permits).
    ///
    /// # Panics
    ///
    /// If the future has been polled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(ids: &[u64]) -> Result<usize, Error> { Ok(ids.len()) }
    ///
    /// let limiter = RateLimiter::new(5, Duration::from_secs(60));
    /// let ids = [1, 2, 3];
    /// assert_eq!(fetch(&ids).try_rate_limited(&limiter).permits(ids.len()).await, Ok(3));
    /// let refused = fetch(&ids).try_rate_limited(&limiter).permits(ids.len()).await;
    /// assert_eq!(refused, Err(Error::RateLimited { retry_after: Duration::from_secs(60) }));
    /// # }
    /// ```
    #[track_caller]
    pub fn permits(self, permits: impl Into<Permits>) -> GatedFuture<F, G::Asking, T>
    where
        T: Fallible,
        G::Asking: Gate<T>,
    {
        self.with_gate(|gate| gate.asking_for(permits.into()))
    }
}

// ---- the text of a chain ----

/// A limiter in the text of a chain.
pub trait ShownLimiter {
    /// End of the method's name: `_by_key` or nothing.
    const BY_KEY: &str;
    /// Placeholder for the closure that makes the key.
    const CLOSURE: &str;

    /// The limits.
    fn limits(&self) -> &dyn Display;

    /// The identity of the handle.
    fn id(&self) -> HandleId;
}

impl ShownLimiter for RateLimiter {
    const BY_KEY: &str = "";
    const CLOSURE: &str = "";

    fn limits(&self) -> &dyn Display {
        self.displayed()
    }

    fn id(&self) -> HandleId {
        self.id()
    }
}

impl<K, Q> ShownLimiter for OfKey<K, Q> {
    const BY_KEY: &str = "_by_key";
    const CLOSURE: &str = ", ..";

    fn limits(&self) -> &dyn Display {
        self.limiter.limits_of_each()
    }

    fn id(&self) -> HandleId {
        self.limiter.id()
    }
}

impl<L: ShownLimiter, R: ForOne> Decoration for RateLimited<L, R> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(&self.limiter, self.request.max_wait(), f)
    }

    fn kind(&self) -> StepKind {
        kind(&self.limiter, self.request.max_wait())
    }
}

impl<L: ShownLimiter, P> Decoration for RateLimited<L, Weighted<P>> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.request.is_setting {
            return write!(f, ".rate_limited_by({}, ..)", self.limiter.limits());
        }
        describe(&self.limiter, self.request.max_wait, f)?;
        f.write_str(".permits(..)")
    }

    fn kind(&self) -> StepKind {
        kind(&self.limiter, self.request.max_wait)
    }
}

fn kind<L: ShownLimiter>(limiter: &L, max_wait: Option<Duration>) -> StepKind {
    StepKind::RateLimited { handle: limiter.id(), is_keyed: !L::BY_KEY.is_empty(), max_wait }
}

fn describe<L: ShownLimiter>(limiter: &L, max_wait: Option<Duration>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (by_key, closure, limits) = (L::BY_KEY, L::CLOSURE, limiter.limits());
    match max_wait {
        None => write!(f, ".rate_limited{by_key}({limits}{closure})"),
        Some(Duration::ZERO) => write!(f, ".try_rate_limited{by_key}({limits}{closure})"),
        Some(max_wait) => write!(f, ".rate_limited_within{by_key}({limits}, {max_wait:?}{closure})"),
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use crate::{FnExt, RetryPolicy, call::Callable};
    use std::{cell::RefCell, future::ready};

    const SECOND: Duration = Duration::from_secs(1);

    /// A clone of a handle costs a tenth of a chain. A call clones its chain once, and its attempts
    /// share that clone.
    #[test]
    fn the_attempts_of_a_retry_clone_no_limiter() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let limiter = RateLimiter::new(100, SECOND);
        let handles = RefCell::new(Vec::new());
        let fail = |_: u64| {
            handles.borrow_mut().push(limiter.handles());
            ready(Err::<(), _>(Error::QueueFull { waiting: 0 }))
        };
        let policy = RetryPolicy::fixed(Duration::ZERO);
        // Handles of this test, of the chain, and of the call.
        let chain = fail.rate_limited(&limiter).retry_with(&policy).timeout(SECOND);
        runtime.block_on(chain.call_with((7,))).unwrap_err();
        assert_eq!(handles.take(), [3, 3, 3]);
        drop(chain);
        let chain = fail.rate_limited_within(&limiter, SECOND).retry_with(&policy).timeout(SECOND);
        runtime.block_on(chain.call_with((7,))).unwrap_err();
        assert_eq!(handles.take(), [3, 3, 3]);
    }
}
