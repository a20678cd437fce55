//! A throttled call pauses the limiter for all.

use crate::{
    RateLimiter, ResultLike,
    layer::{Decoration, End, Gate, GateSource, Renewable, captures_nothing, repeats_in_place},
};
use std::{fmt, time::Duration};

/// Pauses a limiter when a call was told to wait: the gate of
/// [`.pausing(..)`](crate::FnExt::pausing).
#[derive(Debug, Clone)]
pub struct Pausing<P> {
    limiter: RateLimiter,
    hint: P,
}

impl<P> Pausing<P> {
    pub(crate) fn new(limiter: &RateLimiter, hint: P) -> Self {
        Self { limiter: limiter.clone(), hint }
    }
}

#[diagnostic::do_not_recommend]
impl<T, P> Gate<T> for Pausing<P>
where
    T: ResultLike,
    P: FnMut(&T::Err) -> Option<Duration>,
{
    fn end(&mut self, end: End<'_, T>) {
        if let Some(pause) = end.as_result().and_then(Result::err).and_then(&mut self.hint) {
            self.limiter.pause_for(pause);
        }
    }
}

impl<P> Decoration for Pausing<P> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".pausing({}, ..)", self.limiter.displayed())
    }
}

impl<P> Renewable for Pausing<P> {
    #[inline]
    fn release(&mut self) {}
}

captures_nothing!(Pausing<P>, P);

impl<P, Args> GateSource<Args> for Pausing<P> {
    type Gate = Self;

    fn gate(self, (): ()) -> Self {
        self
    }

    repeats_in_place!(Args);
}
