//! A permit before each call.

use super::settled::Reserving;
use crate::{
    Error, Fallible, KeyedLimiter, Permits, RateLimiter,
    call::args::Inspect,
    clock::Clock,
    layer::{Captures, Decoration, FromArgs, Gate, GateSource, Renewable, Wait, captures_nothing, repeats_in_place},
    rate_limiter::{Acquisition, Core, Request, never_refused},
    sync::Arc,
};
use std::{
    fmt,
    hash::Hash,
    task::{Poll, ready},
    time::Duration,
};

/// The gate of a call that waits for one permit, however long it takes.
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

/// The decoration of [`.rate_limited(..)`](crate::FnExt::rate_limited).
#[derive(Debug, Clone)]
pub struct RateLimited(pub(crate) RateLimiter);

impl Decoration for RateLimited {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".rate_limited({})", self.0.displayed())
    }
}

captures_nothing!(RateLimited);

impl<Args> GateSource<Args> for RateLimited {
    type Gate = Admission;

    #[inline]
    fn gate(self, (): ()) -> Admission {
        Admission::new(self.0)
    }

    repeats_in_place!(Args);
}

/// The decoration of [`.rate_limited_within(..)`](crate::FnExt::rate_limited_within) and
/// [`.try_rate_limited(..)`](crate::FnExt::try_rate_limited).
#[derive(Debug, Clone)]
pub struct RateLimitedWithin {
    pub(crate) limiter: RateLimiter,
    pub(crate) max_wait: Duration,
}

impl Decoration for RateLimitedWithin {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.limiter.displayed();
        match self.max_wait {
            Duration::ZERO => write!(f, ".try_rate_limited({limits})"),
            max_wait => write!(f, ".rate_limited_within({limits}, {max_wait:?})"),
        }
    }
}

captures_nothing!(RateLimitedWithin);

impl<Args> GateSource<Args> for RateLimitedWithin {
    type Gate = RefusableAdmission;

    #[inline]
    fn gate(self, (): ()) -> RefusableAdmission {
        RefusableAdmission::new(self.limiter, 1_u32.into(), Some(self.max_wait))
    }

    repeats_in_place!(Args);
}

/// The decoration of [`.rate_limited_by(..)`](crate::FnExt::rate_limited_by).
#[derive(Debug, Clone)]
pub struct RateLimitedBy<P> {
    pub(crate) limiter: RateLimiter,
    pub(crate) permits: P,
}

impl<P> Decoration for RateLimitedBy<P> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".rate_limited_by({}, ..)", self.limiter.displayed())
    }
}

impl<Args, P: Inspect<Args, Output: Into<Permits>>> Captures<Args> for RateLimitedBy<P> {
    type Captured = Permits;

    #[inline]
    fn capture(&self, args: &Args) -> Permits {
        self.permits.inspect(args).into()
    }
}

impl<Args, P: Inspect<Args, Output: Into<Permits>>> GateSource<Args> for RateLimitedBy<P> {
    type Gate = RefusableAdmission;

    #[inline]
    fn gate(self, permits: Permits) -> RefusableAdmission {
        RefusableAdmission::new(self.limiter, permits, None)
    }

    type Repeated = FromArgs<Self, Args, RefusableAdmission>;
    type Kept = Args;

    #[inline]
    fn keep(&self, args: &Args) -> Args
    where
        Args: Clone,
    {
        args.clone()
    }

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated {
        FromArgs::new(self, args, |source, args| {
            RefusableAdmission::new(source.limiter.clone(), source.capture(args), None)
        })
    }
}

/// The decoration of [`.rate_limited_by_key(..)`](crate::FnExt::rate_limited_by_key).
#[derive(Debug)]
pub struct RateLimitedByKey<K, P> {
    pub(crate) limiter: KeyedLimiter<K>,
    pub(crate) key: P,
}

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

impl<K, P, Args> Captures<Args> for RateLimitedByKey<K, P>
where
    K: Eq + Hash + Clone,
    P: Inspect<Args, Output = K>,
{
    /// The limiter of the call's key.
    type Captured = RateLimiter;

    #[inline]
    fn capture(&self, args: &Args) -> RateLimiter {
        self.limiter.for_key(&self.key.inspect(args))
    }
}

impl<K, P, Args> GateSource<Args> for RateLimitedByKey<K, P>
where
    K: Eq + Hash + Clone,
    P: Inspect<Args, Output = K>,
{
    type Gate = Admission;

    #[inline]
    fn gate(self, limiter: RateLimiter) -> Admission {
        Admission::new(limiter)
    }

    type Repeated = FromArgs<Self, Args, Admission>;
    type Kept = Args;

    #[inline]
    fn keep(&self, args: &Args) -> Args
    where
        Args: Clone,
    {
        args.clone()
    }

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated {
        FromArgs::new(self, args, |source, args| Admission::new(source.capture(args)))
    }
}
