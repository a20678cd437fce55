//! Signals of overload to an adaptive concurrency limiter.

use super::concurrency_limited::{ConcurrencyOfKey, ShownConcurrency};
use crate::{
    ConcurrencyLimiter, ResultLike,
    call::args::Inspect,
    describe::StepKind,
    layer::{Captures, Decoration, End, Gate, GateSource, Renewable, Wait, captures_nothing, repeats_in_place},
};
use std::{fmt, hash::Hash, task::Poll};

/// The gate of [`.backing_off(..)`](crate::FnExt::backing_off). Signals an overload at the end of a
/// call with such an error.
#[derive(Debug, Clone)]
pub struct BackingOff<P, L = ConcurrencyLimiter> {
    limiter: L,
    is_overload: P,
    /// Number of decreases of the limit when the call began.
    shrinks: u64,
}

impl<P, L> BackingOff<P, L> {
    pub(crate) fn new(limiter: L, is_overload: P) -> Self {
        Self { limiter, is_overload, shrinks: 0 }
    }
}

/// A limiter that a call can signal an overload to.
pub trait Signalled {
    /// Returns the number of decreases so far.
    fn shrinks(&self) -> u64;

    /// Decreases the limit, unless it was decreased since there were this many decreases.
    fn overloaded_since(&self, shrinks: u64);
}

impl Signalled for ConcurrencyLimiter {
    #[inline]
    fn shrinks(&self) -> u64 {
        ConcurrencyLimiter::shrinks(self)
    }

    fn overloaded_since(&self, shrinks: u64) {
        ConcurrencyLimiter::overloaded_since(self, shrinks);
    }
}

#[diagnostic::do_not_recommend]
impl<T: ResultLike, P: FnMut(&T::Err) -> bool, L: Signalled> Gate<T> for BackingOff<P, L> {
    #[inline]
    fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
        self.shrinks = self.limiter.shrinks();
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn end(&mut self, end: End<'_, T>) {
        if end.as_result().and_then(Result::err).is_some_and(&mut self.is_overload) {
            self.limiter.overloaded_since(self.shrinks);
        }
    }
}

impl<P, L: ShownConcurrency> Decoration for BackingOff<P, L> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".backing_off{}({}{}, ..)", L::BY_KEY, self.limiter.limiter(), L::CLOSURE)
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }
}

impl<P> Renewable for BackingOff<P> {
    #[inline]
    fn release(&mut self) {}
}

captures_nothing!(BackingOff<P>, P);

impl<P, Args> GateSource<Args> for BackingOff<P> {
    type Gate = Self;

    #[inline]
    fn gate(self, (): ()) -> Self {
        self
    }

    repeats_in_place!(Args);
}

impl<P, K, Q, Args> Captures<Args> for BackingOff<P, ConcurrencyOfKey<K, Q>>
where
    K: Eq + Hash + Clone,
    Q: Inspect<Args, Output = K>,
{
    type Captured = ConcurrencyLimiter;

    fn capture(&self, args: &Args) -> ConcurrencyLimiter {
        self.limiter.capture(args)
    }
}

impl<P, K, Q, Args> GateSource<Args> for BackingOff<P, ConcurrencyOfKey<K, Q>>
where
    K: Eq + Hash + Clone,
    Q: Inspect<Args, Output = K>,
{
    type Gate = BackingOff<P>;
    type Repeated = BackingOff<P, LimiterByArgs<K, Q, Args>>;
    type Kept = Args;

    fn gate(self, limiter: ConcurrencyLimiter) -> BackingOff<P> {
        BackingOff::new(limiter, self.is_overload)
    }

    fn keep(&self, args: &Args) -> Args
    where
        Args: Clone,
    {
        args.clone()
    }

    fn repeated(self, args: Args) -> Self::Repeated {
        let Self { limiter: source, is_overload, .. } = self;
        let find = <ConcurrencyOfKey<K, Q> as Captures<Args>>::capture;
        BackingOff::new(LimiterByArgs { source, args, find, current: None }, is_overload)
    }
}

/// The limiter of a key that each attempt takes from the arguments.
///
/// All attempts share the predicate, because its closure may have a state.
#[derive(Debug)]
pub struct LimiterByArgs<K, Q, Args> {
    source: ConcurrencyOfKey<K, Q>,
    args: Args,
    find: fn(&ConcurrencyOfKey<K, Q>, &Args) -> ConcurrencyLimiter,
    /// The limiter of this attempt; `None` between attempts.
    current: Option<ConcurrencyLimiter>,
}

impl<K, Q, Args> Signalled for LimiterByArgs<K, Q, Args> {
    fn shrinks(&self) -> u64 {
        self.current.as_ref().map_or(0, ConcurrencyLimiter::shrinks)
    }

    fn overloaded_since(&self, shrinks: u64) {
        if let Some(limiter) = &self.current {
            limiter.overloaded_since(shrinks);
        }
    }
}

impl<P, K, Q, Args> Renewable for BackingOff<P, LimiterByArgs<K, Q, Args>> {
    fn release(&mut self) {
        self.limiter.current = None;
    }

    fn prepare(&mut self) {
        let LimiterByArgs { source, args, find, current } = &mut self.limiter;
        *current = Some(find(source, args));
    }
}
