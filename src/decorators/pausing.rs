//! One call is throttled, and everybody waits.

use super::watched::{Abandoned, Watch, WatchOutput, Watched, watched};
use crate::{
    RateLimiter,
    around::{Decoration, Layer},
    blocking,
};
use std::{fmt, future::Future, time::Duration};

/// The decoration of [`.pausing(..)`](crate::FnExt::pausing).
///
/// ```
/// use decor::{Around, layer::Pausing, prelude::*};
/// use std::{future::{Ready, ready}, time::Duration};
///
/// fn fetch(id: u64) -> Ready<Result<u64, String>> { ready(Ok(id)) }
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let hint: fn(&String) -> Option<Duration> = |_| None;
/// let chain: Around<fn(u64) -> Ready<_>, Pausing<fn(&String) -> Option<Duration>>> =
///     (fetch as fn(u64) -> _).pausing(&limiter, hint);
/// assert_eq!(format!("{chain:?}"), "fn.pausing(10 per 1s, ..)");
/// ```
#[derive(Debug, Clone)]
pub struct Pausing<P> {
    limiter: RateLimiter,
    hint: P,
}

/// The future of a [`.pausing(..)`](crate::FnExt::pausing) call: see [`Watched`].
pub type PausingFuture<F, P> = Watched<F, Pausing<P>>;

pub(crate) fn pausing<F, P>(call: F, limiter: &RateLimiter, hint: P) -> PausingFuture<F, P> {
    Watched::new(call, Pausing::new(limiter, hint))
}

impl<P> Pausing<P> {
    pub(crate) fn new(limiter: &RateLimiter, hint: P) -> Self {
        Self { limiter: limiter.clone(), hint }
    }
}

impl<P> Watch for Pausing<P> {
    fn started(&mut self) -> bool {
        true
    }

    fn abandoned(&mut self, _: Abandoned) {}
}

impl<T, E, P: FnMut(&E) -> Option<Duration>> WatchOutput<Result<T, E>> for Pausing<P> {
    fn completed(&mut self, output: &Result<T, E>) {
        if let Some(pause) = output.as_ref().err().and_then(&mut self.hint) {
            self.limiter.pause_for(pause);
        }
    }
}

impl<P> Decoration for Pausing<P> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".pausing({}, ..)", self.limiter.limits())
    }
}

impl<Args, F, T, E, P> Layer<Args, F> for Pausing<P>
where
    F: Future<Output = Result<T, E>>,
    P: FnMut(&E) -> Option<Duration>,
{
    type Note = ();
    type Future = PausingFuture<F, P>;

    #[inline]
    fn around(self, (): (), call: F) -> Self::Future {
        Watched::new(call, self)
    }
}

impl<Args, T, E, P> blocking::Layer<Args, Result<T, E>> for Pausing<P>
where
    P: FnMut(&E) -> Option<Duration>,
{
    type Note = ();
    type Output = Result<T, E>;

    #[inline]
    fn around(self, (): (), call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        watched(self, call)
    }
}
