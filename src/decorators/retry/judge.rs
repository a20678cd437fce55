//! What follows an attempt: asked of the policy, logged, and told to the hooks. Both halves come here.

use super::rules::{GiveUpEvent, RetryEvent, Ruling};
use crate::{
    GiveUpReason, Name, RetryPolicy,
    clock::{Clock, Instant},
    policy::{Attempted, Delays, Verdict},
    trace,
};
use std::time::Duration;

/// An attempt that has ended.
pub(super) struct Attempt {
    /// 1 for the first.
    pub(super) number: u32,
    /// When the first one did, if that matters to anybody.
    pub(super) began: Option<Instant>,
    pub(super) clock: Clock,
    /// Whether another is to follow it, as far as the policy allows.
    pub(super) retryable: bool,
}

/// What follows it.
pub(super) enum Next {
    RetryIn(Duration),
    /// The result is returned as it is; if it is an error, this is its story.
    Return(GiveUpReason, Duration),
}

/// Whether a result is to be followed by another attempt.
///
/// The rules are not asked about an error of the last attempt: nothing depends on the answer. An
/// `Ok` of the last attempt is theirs to judge all the same, because it may be what a call gives up
/// with.
#[inline]
pub(super) fn is_retryable<T, E, R: Ruling<T, E>>(
    policy: &RetryPolicy,
    rules: &mut R,
    attempt: impl FnOnce() -> u32,
    result: &Result<T, E>,
) -> bool {
    (result.is_err() && !policy.may_follow(attempt())) || rules.should_retry(result)
}

/// What is said of a success that was not the first attempt's.
#[cold]
pub(super) fn succeeded(attempt: u32, name: impl Fn() -> Name) {
    tracing::debug!(target: trace::RETRY, name = &*name(), attempt, "{} succeeded at attempt {attempt}", name());
}

/// What follows an attempt that failed, or is retryable all the same. `name` is asked for only where somebody listens,
/// `delays` only where another attempt may follow.
#[cold]
#[inline(never)]
pub(super) fn judge<'d, T, E, R: Ruling<T, E>>(
    policy: &RetryPolicy,
    rules: &mut R,
    attempt: &Attempt,
    result: &Result<T, E>,
    name: impl Fn() -> Name,
    delays: impl FnOnce() -> &'d mut Delays,
) -> Next {
    let &Attempt { number: attempt, began, clock, retryable } = attempt;
    let elapsed = began.map_or(Duration::ZERO, |began| clock.now().duration_since(began));
    let error = result.as_ref().err();
    let may_follow = retryable && policy.may_follow(attempt);
    let hint = error.filter(|_| may_follow).and_then(|error| rules.hint(error));
    match policy.judge(Attempted { attempt, elapsed, retryable, hint }, delays) {
        Verdict::RetryIn(delay) => {
            tracing::debug!(
                target: trace::RETRY, name = &*name(), attempt, ?delay,
                "{} failed at attempt {attempt}, retrying in {delay:.2?}", name(),
            );
            rules.retrying(&RetryEvent { attempt, delay, elapsed, error });
            Next::RetryIn(delay)
        }
        Verdict::GiveUp(reason) => {
            if attempt == 1 && reason == GiveUpReason::NotRetryable {
                // Nothing was retried, and whether the error is worth a warning is for its caller to say.
                tracing::debug!(target: trace::RETRY, name = &*name(), attempt, %reason, "{} failed: {reason}", name());
            } else {
                tracing::warn!(
                    target: trace::RETRY, name = &*name(), attempt, %reason,
                    "{} gave up at attempt {attempt}: {reason}", name(),
                );
            }
            rules.gave_up(&GiveUpEvent { attempts: attempt, elapsed, reason, error });
            Next::Return(reason, elapsed)
        }
    }
}
