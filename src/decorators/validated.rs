//! Refusing arguments before the function sees them.

use crate::{
    Error, Fallible,
    call::args::Inspect,
    layer::{Captures, Decoration, Gate, GateSource, Wait},
};
use std::{fmt, task::Poll};

/// The decoration of [`.validated(..)`](crate::FnExt::validated).
#[derive(Debug, Clone)]
pub struct Validated<V>(pub(crate) V);

impl<V> Decoration for Validated<V> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".validated(..)")
    }
}

impl<V, M, Args> Captures<Args> for Validated<V>
where
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
{
    /// The reason of a refusal. As text, so that the call's future keeps nothing of the arguments.
    type Captured = Option<String>;

    #[inline]
    fn capture(&self, args: &Args) -> Option<String> {
        self.0.inspect(args).err().map(|reason| reason.to_string())
    }
}

impl<V, M, Args> GateSource<Args> for Validated<V>
where
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
{
    type Gate = Verdict;

    #[inline]
    fn gate(self, refusal: Option<String>) -> Verdict {
        Verdict { refusal }
    }
}

/// The gate of one call: closed if its arguments were refused.
#[derive(Debug, Clone)]
pub struct Verdict {
    refusal: Option<String>,
}

impl<T: Fallible> Gate<T> for Verdict {
    #[inline]
    fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
        Poll::Ready(match self.refusal.take() {
            None => Ok(()),
            Some(message) => Err(T::from_policy(Error::InvalidArgument { message })),
        })
    }
}
