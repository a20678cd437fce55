//! Waiting for a permit, as a thread does: in the same queue, parked between its turns.

use super::state::{Claim, Core, Request, Turn};
use crate::{
    Error,
    clock::Clock,
    thread::{Progress, block_until, unwind_if_cancelled},
};
use std::task::Waker;

impl Core {
    pub(super) fn acquire_blocking(&self, request: &Request) -> Result<(), Error> {
        unwind_if_cancelled();
        // With a permit free there is nothing to wait for, and so nobody to wake.
        match self.claim(Clock::Thread, request, Waker::noop()) {
            Turn::Over(result) => result,
            Turn::Joined(claim, _) => self.wait(claim),
            Turn::Wait(_) => unreachable!("only who stands in the queue waits"),
        }
    }

    fn wait(&self, claim: Claim) -> Result<(), Error> {
        let mut place = Place { core: self, claim: Some(claim) };
        block_until(|waker| place.take_turn(waker))
    }
}

/// A place in the queue, left if the wait is unwound.
struct Place<'c> {
    core: &'c Core,
    claim: Option<Claim>,
}

impl Place<'_> {
    fn take_turn(&mut self, waker: &Waker) -> Progress<Result<(), Error>> {
        let claim = self.claim.as_ref().expect("a turn is taken until it is over");
        match self.core.take_turn(Clock::Thread, claim, waker) {
            Turn::Over(result) => {
                self.claim = None;
                Progress::Ready(result)
            }
            Turn::Wait(moment) => Progress::wake_me(self.core.instant(Clock::Thread, moment)),
            Turn::Joined(..) => unreachable!("it stands in the queue already"),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(claim) = &self.claim {
            self.core.leave(Clock::Thread, claim);
        }
    }
}
