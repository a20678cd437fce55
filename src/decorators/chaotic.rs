//! Faults for calls, to try a chain.

use crate::{
    Chaos, Fault,
    call::called,
    clock::Instant,
    layer::{Decoration, Gate, GateSource, Renewable, Wait, captures_nothing, repeats_in_place},
};
use std::{fmt, task::Poll};

/// The gate of [`.chaotic(..)`](crate::FnExt::chaotic).
#[derive(Debug, Clone)]
pub struct Chaotic<M> {
    chaos: Chaos,
    error: M,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    New,
    /// The call begins at this moment; `None` if it hangs, or if the clock cannot represent the
    /// moment.
    Waiting(Option<Instant>),
}

impl<M> Chaotic<M> {
    pub(crate) fn new(chaos: Chaos, error: M) -> Self {
        Self { chaos, error, stage: Stage::New }
    }
}

#[diagnostic::do_not_recommend]
impl<T, E, M: FnMut() -> E> Gate<Result<T, E>> for Chaotic<M> {
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), Result<T, E>>> {
        let begin = match self.stage {
            Stage::Waiting(begin) => begin,
            Stage::New => {
                let fault = self.chaos.take();
                // A fault stands for a call of the server, so that a breaker behind it counts it.
                called::mark_blocking(fault == Fault::Pass);
                match fault {
                    Fault::Pass => return Poll::Ready(Ok(())),
                    Fault::Fail => return Poll::Ready(Err(Err((self.error)()))),
                    Fault::Hang => None,
                    Fault::Slow(by) => wait.now().checked_add(by),
                }
            }
        };
        self.stage = Stage::Waiting(begin);
        // A call that hangs stores no waker. It ends with a drop, or with its thread's call.
        begin.map_or(Poll::Pending, |begin| wait.until(begin).map(Ok))
    }
}

impl<M> Renewable for Chaotic<M> {
    fn release(&mut self) {
        self.stage = Stage::New;
    }
}

impl<M> Decoration for Chaotic<M> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".chaotic({}, ..)", self.chaos)
    }
}

captures_nothing!(Chaotic<M>, M);

impl<M, Args> GateSource<Args> for Chaotic<M> {
    type Gate = Self;

    fn gate(self, (): ()) -> Self {
        self
    }

    repeats_in_place!(Args);
}
