//! A permit before each call.

use crate::{
    Error, Fallible, KeyedLimiter, Permits, RateLimiter,
    args::Inspect,
    around::{Decoration, Layer},
    blocking,
    rate_limiter::{Acquiring, Core, Request, never_refused},
    sync::Arc,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    hash::Hash,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The future of a [`.rate_limited(..)`](crate::FnExt::rate_limited) call: waits for its permit, then polls the call.
///
/// # Cancel safety
///
/// Dropped while it waits it leaves the queue, and the next moves up. Dropped later, it has taken its permit, and drops
/// the call.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{future::RateLimitedFuture, prelude::*};
/// use std::{future::{Ready, ready}, time::Duration};
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let call: RateLimitedFuture<Ready<u8>> = ready(7).rate_limited(&limiter);
/// assert_eq!(limiter.available(), 10); // nothing is taken before the first poll
/// assert_eq!(call.await, 7);
/// assert_eq!(limiter.available(), 9);
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct RateLimitedFuture<F, R = Never> {
    /// `None` once it has been admitted.
    #[pin]
    permit: Option<Acquiring<Arc<Core>>>,
    #[pin]
    call: F,
    refusal: PhantomData<R>,
}

/// Tells if a request can be refused, and turns the refusal into an output.
pub trait Refusal<T> {
    /// True if the limiter may refuse the request. The limiter asks here before it refuses.
    const POSSIBLE: bool;

    /// The call's output in place of the function's.
    ///
    /// # Panics
    ///
    /// If no refusal is [`POSSIBLE`](Self::POSSIBLE).
    fn output(error: Error) -> T;
}

/// A plain request for one permit is never refused, so any output will do.
///
/// ```
/// use decor::layer::{AsError, Never, Refusal};
///
/// assert!(!<Never as Refusal<u8>>::POSSIBLE);
/// assert!(<AsError as Refusal<Result<u8, decor::Error>>>::POSSIBLE);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Never;

/// The refusal reaches the caller through its own error type.
///
/// ```
/// use decor::{Error, layer::{AsError, Refusal}};
///
/// let output: Result<u8, String> = AsError::output(Error::QueueFull { waiting: 9 });
/// assert_eq!(output, Err("rate limited: 9 callers are waiting already".into()));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AsError;

impl<T> Refusal<T> for Never {
    const POSSIBLE: bool = false;

    fn output(error: Error) -> T {
        never_refused(&error)
    }
}

impl<T: Fallible> Refusal<T> for AsError {
    const POSSIBLE: bool = true;

    fn output(error: Error) -> T {
        T::from_policy(error)
    }
}

impl<F: Future, R: Refusal<F::Output>> RateLimitedFuture<F, R> {
    #[inline]
    fn new(call: F, limiter: RateLimiter, request: Request) -> Self {
        let request = Request { can_fail: R::POSSIBLE, ..request };
        Self { permit: Some(limiter.request(request)), call, refusal: PhantomData }
    }
}

/// One permit, however long it takes.
#[inline]
pub(crate) fn waiting<F: Future>(call: F, limiter: RateLimiter) -> RateLimitedFuture<F> {
    RateLimitedFuture::new(call, limiter, Request::one())
}

/// These permits, or an error.
pub(crate) fn or_refused<F>(
    call: F,
    limiter: RateLimiter,
    permits: Permits,
    max_wait: Option<Duration>,
) -> RateLimitedFuture<F, AsError>
where
    F: Future,
    F::Output: Fallible,
{
    RateLimitedFuture::new(call, limiter, Request { permits, max_wait, ..Request::one() })
}

impl<F: Future, R: Refusal<F::Output>> Future for RateLimitedFuture<F, R> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Some(permit) = this.permit.as_mut().as_pin_mut() {
            let admitted = ready!(permit.poll(cx));
            this.permit.set(None);
            if let Err(refusal) = admitted {
                return Poll::Ready(R::output(refusal));
            }
        }
        this.call.poll(cx)
    }
}

impl<F, R> fmt::Debug for RateLimitedFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitedFuture").field("admitted", &self.permit.is_none()).finish_non_exhaustive()
    }
}

/// The decoration of [`.rate_limited(..)`](crate::FnExt::rate_limited).
///
/// ```
/// use decor::{Around, layer::RateLimited, prelude::*};
/// use std::{future::{Ready, ready}, time::Duration};
///
/// fn double(n: u32) -> Ready<u32> { ready(n * 2) }
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let chain: Around<fn(u32) -> Ready<u32>, RateLimited> = (double as fn(u32) -> _).rate_limited(&limiter);
/// assert_eq!(format!("{chain:?}"), "fn.rate_limited(10 per 1s)");
/// ```
#[derive(Debug, Clone)]
pub struct RateLimited(pub(crate) RateLimiter);

/// The decoration of [`.rate_limited_within(..)`](crate::FnExt::rate_limited_within) and
/// [`.try_rate_limited(..)`](crate::FnExt::try_rate_limited).
///
/// ```
/// use decor::{Around, layer::RateLimitedWithin, prelude::*};
/// use std::{future::{Ready, ready}, time::Duration};
///
/// fn double(n: u32) -> Ready<Result<u32, String>> { ready(Ok(n * 2)) }
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let chain: Around<fn(u32) -> Ready<_>, RateLimitedWithin> =
///     (double as fn(u32) -> _).rate_limited_within(&limiter, Duration::from_secs(5));
/// assert_eq!(format!("{chain:?}"), "fn.rate_limited_within(10 per 1s, 5s)");
/// ```
#[derive(Debug, Clone)]
pub struct RateLimitedWithin {
    pub(crate) limiter: RateLimiter,
    pub(crate) max_wait: Duration,
}

/// The decoration of [`.rate_limited_by(..)`](crate::FnExt::rate_limited_by).
///
/// ```
/// use decor::{Around, layer::RateLimitedBy, prelude::*};
/// use std::{future::{Ready, ready}, time::Duration};
///
/// fn double(n: u32) -> Ready<Result<u32, String>> { ready(Ok(n * 2)) }
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let chain: Around<fn(u32) -> Ready<_>, RateLimitedBy<fn(&u32) -> u32>> =
///     (double as fn(u32) -> _).rate_limited_by(&limiter, |n: &u32| *n);
/// assert_eq!(format!("{chain:?}"), "fn.rate_limited_by(10 per 1s, ..)");
/// ```
#[derive(Debug, Clone)]
pub struct RateLimitedBy<P> {
    pub(crate) limiter: RateLimiter,
    pub(crate) permits: P,
}

/// The decoration of [`.rate_limited_by_key(..)`](crate::FnExt::rate_limited_by_key).
///
/// ```
/// use decor::{Around, KeyedLimiter, layer::RateLimitedByKey, prelude::*};
/// use std::{future::{Ready, ready}, time::Duration};
///
/// fn double(n: u32) -> Ready<u32> { ready(n * 2) }
///
/// let limiter = KeyedLimiter::new(10, Duration::from_secs(1));
/// let chain: Around<fn(u32) -> Ready<_>, RateLimitedByKey<u32, fn(&u32) -> u32>> =
///     (double as fn(u32) -> _).rate_limited_by_key(&limiter, |n: &u32| *n);
/// assert_eq!(format!("{chain:?}"), "fn.rate_limited_by_key(KeyedLimiter(10 per 1s for each key), ..)");
/// ```
#[derive(Debug)]
pub struct RateLimitedByKey<K, P> {
    pub(crate) limiter: KeyedLimiter<K>,
    pub(crate) key: P,
}

/// The reason for which a key's limiter is there when the call is wrapped.
const NOTED: &str = "`note` finds the limiter of every call";

impl<K, P: Clone> Clone for RateLimitedByKey<K, P> {
    fn clone(&self) -> Self {
        Self { limiter: self.limiter.clone(), key: self.key.clone() }
    }
}

impl<K, P> Decoration for RateLimitedByKey<K, P> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".rate_limited_by_key({:?}, ..)", self.limiter)
    }
}

impl<K, Args, F, P> Layer<Args, F> for RateLimitedByKey<K, P>
where
    K: Eq + Hash + Clone,
    F: Future,
    P: Inspect<Args, Output = K>,
{
    type Note = Option<RateLimiter>;
    type Future = RateLimitedFuture<F>;

    #[inline]
    fn note(&self, args: &Args) -> Self::Note {
        Some(self.limiter.for_key(&self.key.inspect(args)))
    }

    #[inline]
    fn around(self, limiter: Self::Note, call: F) -> Self::Future {
        waiting(call, limiter.expect(NOTED))
    }
}

impl Decoration for RateLimited {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".rate_limited({})", self.0.limits())
    }
}

impl Decoration for RateLimitedWithin {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.limiter.limits();
        match self.max_wait {
            Duration::ZERO => write!(f, ".try_rate_limited({limits})"),
            max_wait => write!(f, ".rate_limited_within({limits}, {max_wait:?})"),
        }
    }
}

impl<P> Decoration for RateLimitedBy<P> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".rate_limited_by({}, ..)", self.limiter.limits())
    }
}

impl<Args, F: Future> Layer<Args, F> for RateLimited {
    type Note = ();
    type Future = RateLimitedFuture<F>;

    #[inline]
    fn around(self, (): (), call: F) -> Self::Future {
        waiting(call, self.0)
    }
}

impl<Args, F> Layer<Args, F> for RateLimitedWithin
where
    F: Future,
    F::Output: Fallible,
{
    type Note = ();
    type Future = RateLimitedFuture<F, AsError>;

    #[inline]
    fn around(self, (): (), call: F) -> Self::Future {
        or_refused(call, self.limiter, 1_u32.into(), Some(self.max_wait))
    }
}

impl<Args, F, P> Layer<Args, F> for RateLimitedBy<P>
where
    F: Future,
    F::Output: Fallible,
    P: Inspect<Args, Output: Into<Permits>>,
{
    type Note = Permits;
    type Future = RateLimitedFuture<F, AsError>;

    #[inline]
    fn note(&self, args: &Args) -> Permits {
        self.permits.inspect(args).into()
    }

    #[inline]
    fn around(self, permits: Permits, call: F) -> Self::Future {
        or_refused(call, self.limiter, permits, None)
    }
}

impl<Args, T> blocking::Layer<Args, T> for RateLimited {
    type Note = ();
    type Output = T;

    #[inline]
    fn around(self, (): (), call: impl FnOnce() -> T) -> T {
        self.0.acquire_blocking();
        call()
    }
}

impl<K, Args, T, P> blocking::Layer<Args, T> for RateLimitedByKey<K, P>
where
    K: Eq + Hash + Clone,
    P: Inspect<Args, Output = K>,
{
    type Note = Option<RateLimiter>;
    type Output = T;

    #[inline]
    fn note(&self, args: &Args) -> Self::Note {
        Some(self.limiter.for_key(&self.key.inspect(args)))
    }

    #[inline]
    fn around(self, limiter: Self::Note, call: impl FnOnce() -> T) -> T {
        limiter.expect(NOTED).acquire_blocking();
        call()
    }
}

impl<Args, T: Fallible> blocking::Layer<Args, T> for RateLimitedWithin {
    type Note = ();
    type Output = T;

    #[inline]
    fn around(self, (): (), call: impl FnOnce() -> T) -> T {
        match self.limiter.request_blocking(1_u32.into(), Some(self.max_wait)) {
            Ok(()) => call(),
            Err(refused) => T::from_policy(refused),
        }
    }
}

impl<Args, T, P> blocking::Layer<Args, T> for RateLimitedBy<P>
where
    T: Fallible,
    P: Inspect<Args, Output: Into<Permits>>,
{
    type Note = Permits;
    type Output = T;

    #[inline]
    fn note(&self, args: &Args) -> Permits {
        self.permits.inspect(args).into()
    }

    #[inline]
    fn around(self, permits: Permits, call: impl FnOnce() -> T) -> T {
        match self.limiter.request_blocking(permits, None) {
            Ok(()) => call(),
            Err(refused) => T::from_policy(refused),
        }
    }
}
