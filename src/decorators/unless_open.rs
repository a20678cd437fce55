//! Refusals of an open circuit, before a call queues for a limiter.

use crate::{
    CircuitBreaker, Fallible,
    describe::StepKind,
    layer::{Decoration, Gate, GateSource, Renewable, Wait, captures_nothing, repeats_in_place},
};
use std::{fmt, task::Poll};

/// The gate of [`.unless_open(..)`](crate::FnExt::unless_open).
#[derive(Debug, Clone)]
pub struct UnlessOpen(CircuitBreaker);

impl UnlessOpen {
    pub(crate) fn new(breaker: CircuitBreaker) -> Self {
        Self(breaker)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Fallible> Gate<T> for UnlessOpen {
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        Poll::Ready(self.0.core().pass(wait.clock()).map_err(T::from_policy))
    }
}

impl Decoration for UnlessOpen {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".unless_open({})", self.0)
    }

    fn kind(&self) -> StepKind {
        StepKind::UnlessOpen { handle: self.0.id() }
    }
}

impl Renewable for UnlessOpen {
    #[inline]
    fn release(&mut self) {}
}

captures_nothing!(UnlessOpen);

impl<Args> GateSource<Args> for UnlessOpen {
    type Gate = Self;

    #[inline]
    fn gate(self, (): ()) -> Self {
        self
    }

    repeats_in_place!(Args);
}
