//! A throttled call pauses the limiter for all.

use crate::{
    RateLimiter, ResultLike,
    layer::{Decoration, End, Gate, GateSource, Renewable, captures_nothing, repeats_in_place},
};
use std::{fmt, time::Duration};

/// Pauses a limiter when a call was told to wait: the gate of
/// [`.pausing(..)`](crate::FnExt::pausing) and [`.pausing_result(..)`](crate::FnExt::pausing_result).
#[derive(Debug, Clone)]
pub struct Pausing<H> {
    limiter: RateLimiter,
    hint: H,
}

impl<H> Pausing<H> {
    pub(crate) fn new(limiter: &RateLimiter, hint: H) -> Self {
        Self { limiter: limiter.clone(), hint }
    }
}

/// Where an output may say how long to pause.
pub trait PauseHint<T> {
    /// How long this one does.
    fn pause(&mut self, output: &T) -> Option<Duration>;
}

/// A closure reads it from the error.
#[derive(Debug, Clone)]
pub struct ByError<P>(pub(crate) P);

impl<T: ResultLike, P: FnMut(&T::Err) -> Option<Duration>> PauseHint<T> for ByError<P> {
    fn pause(&mut self, output: &T) -> Option<Duration> {
        output.as_result().err().and_then(&mut self.0)
    }
}

/// A closure reads it from the whole output.
#[derive(Debug, Clone)]
pub struct ByResult<P>(pub(crate) P);

impl<T, P: FnMut(&T) -> Option<Duration>> PauseHint<T> for ByResult<P> {
    fn pause(&mut self, output: &T) -> Option<Duration> {
        (self.0)(output)
    }
}

#[diagnostic::do_not_recommend]
impl<T, H: PauseHint<T>> Gate<T> for Pausing<H> {
    fn end(&mut self, end: End<'_, T>) {
        if let Some(pause) = end.output().and_then(|output| self.hint.pause(output)) {
            self.limiter.pause_for(pause);
        }
    }
}

impl<P> Decoration for Pausing<ByError<P>> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".pausing({}, ..)", self.limiter.displayed())
    }
}

impl<P> Decoration for Pausing<ByResult<P>> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".pausing_result({}, ..)", self.limiter.displayed())
    }
}

impl<H> Renewable for Pausing<H> {
    #[inline]
    fn release(&mut self) {}
}

captures_nothing!(Pausing<H>, H);

impl<H, Args> GateSource<Args> for Pausing<H>
where
    Self: Decoration,
{
    type Gate = Self;

    fn gate(self, (): ()) -> Self {
        self
    }

    repeats_in_place!(Args);
}
