//! The step after an attempt: asks the policy, logs, and calls the hooks. Both halves use it.

use super::options::{GiveUpEvent, RetryEvent, RetryHooks};
use crate::{
    GiveUpReason, Name, RetryPolicy,
    clock::{Clock, Instant},
    deadline,
    policy::{Delays, FailedAttempt, RetryDecision},
    retry_budget::Withdrawal,
    trace::{Readable, may_be_enabled, retry_event},
};
use std::{fmt, time::Duration};
use tracing::field::{self, Value};

/// An attempt that has ended.
pub(super) struct Attempt {
    /// Number of the attempt; 1 for the first.
    pub(super) number: u32,
    /// Start of the first attempt; `None` if neither the policy nor an option needs it.
    pub(super) began: Option<Instant>,
    pub(super) clock: Clock,
    /// `true` if another attempt is to follow, as far as the policy allows.
    pub(super) retryable: bool,
}

/// The step after an attempt.
pub(super) enum AfterAttempt {
    /// Another attempt follows after this delay. The budget, if there is one, has paid for it.
    RetryIn(Duration, Option<Withdrawal>),
    /// Returns the result, for this reason and after this time since the first attempt.
    Return(GiveUpReason, Duration),
}

/// Returns `true` if another attempt is to follow a result.
///
/// The predicate is not called for an error of the last attempt, because nothing depends on its
/// answer. It is called for an `Ok` of the last attempt, because the call gives up with an `Ok`
/// that the predicate rejects.
#[inline]
pub(super) fn is_retryable<T, E, R: RetryHooks<T, E>>(
    policy: &RetryPolicy,
    options: &mut R,
    attempt: impl FnOnce() -> u32,
    result: &Result<T, E>,
) -> bool {
    (result.is_err() && !policy.may_follow(attempt())) || options.should_retry(result)
}

/// Handles an attempt that failed, or that ended in an `Ok` to be retried. Calls `name` only if a
/// subscriber listens, and `delays` only if another attempt may follow.
#[cold]
#[inline(never)]
pub(super) fn decide<'d, T, E, R: RetryHooks<T, E>>(
    policy: &RetryPolicy,
    options: &mut R,
    attempt: &Attempt,
    result: &Result<T, E>,
    name: impl Fn() -> Name,
    delays: impl FnOnce() -> &'d mut Delays,
    pause_left: &dyn Fn() -> Duration, // not generic: with more code here, the hot path gets 7 instructions more
) -> AfterAttempt {
    let &Attempt { number: attempt, began, clock, retryable } = attempt;
    let elapsed = began.map_or(Duration::ZERO, |began| clock.now().duration_since(began));
    let error = result.as_ref().err();
    let may_follow = retryable && policy.may_follow(attempt);
    let hint = if may_follow { options.hint(result) } else { None };
    let log = Log { policy, name: &name, attempt, error: ErrorText(error.and_then(R::error_text)) };
    let decision = match policy.decide(FailedAttempt { attempt, elapsed, retryable, hint }, delays) {
        RetryDecision::RetryIn(delay) => {
            // The attempt that failed may have paused its limiter for longer.
            let wait = delay.max(pause_left());
            // The budget comes last, so that it pays for no retry that another limit rules out.
            if deadline::is_exceeded_by(wait) {
                Err(GiveUpReason::DeadlineReached)
            } else {
                options.withdraw(clock).map(|paid| (delay, wait, paid))
            }
        }
        RetryDecision::GiveUp(reason) => Err(reason),
    };
    match decision {
        Ok((delay, wait, paid)) => {
            log.failed(wait);
            options.retrying(&RetryEvent { attempt, delay: wait, elapsed, error });
            AfterAttempt::RetryIn(delay, paid)
        }
        Err(reason) => {
            log.gave_up(reason, clock);
            options.gave_up(&GiveUpEvent { attempts: attempt, elapsed, reason, error });
            AfterAttempt::Return(reason, elapsed)
        }
    }
}

/// Logs a success after at least one retry.
#[cold]
pub(super) fn log_late_success(policy: &RetryPolicy, attempt: u32, name: impl Fn() -> Name) {
    Log { policy, name: &name, attempt, error: ErrorText(None) }.succeeded();
}

/// The log lines about an attempt. `name` is called only if a subscriber listens.
struct Log<'a> {
    policy: &'a RetryPolicy,
    name: &'a dyn Fn() -> Name,
    attempt: u32,
    error: ErrorText<'a>,
}

impl Log<'_> {
    fn succeeded(&self) {
        let &Self { policy, name, attempt, .. } = self;
        if let Some(level) = policy.log_filter().into_level() {
            retry_event!(level, name = &*name(), attempt, "{} succeeded at attempt {attempt}", name());
        }
    }

    fn failed(&self, delay: Duration) {
        let Self { policy, name, attempt, error } = self;
        if let Some(level) = policy.log_filter().into_level() {
            retry_event!(
                level,
                name = &*name(),
                attempt,
                ?delay,
                error = error.field(),
                "{} failed at attempt {attempt}, retrying in {}{error}",
                name(),
                Readable(delay),
            );
        }
    }

    fn gave_up(&self, reason: GiveUpReason, clock: Clock) {
        let Self { policy, name, attempt, error } = self;
        if *attempt == 1 && reason == GiveUpReason::NotRetryable {
            // Nothing was retried, so the caller decides if the error is worth a warning.
            if let Some(level) = policy.log_filter().into_level() {
                retry_event!(
                    level, name = &*name(), attempt, %reason, error = error.field(),
                    "{} failed: {reason}{error}", name(),
                );
            }
            return;
        }
        let Some(level) = policy.give_up_log_filter().into_level().filter(|level| may_be_enabled(*level)) else {
            return;
        };
        let Some(left_out) = policy.give_up_log().map_or(Some(0), |limit| limit.admit(clock)) else { return };
        retry_event!(
            level, name = &*name(), attempt, %reason, error = error.field(), left_out = (left_out > 0).then_some(left_out),
            "{} gave up at attempt {attempt}: {reason}{error}{}", name(), LeftOut(left_out),
        );
    }
}

/// The end of a log line with the text of the error, if it is shown.
struct ErrorText<'a>(Option<&'a dyn fmt::Display>);

impl ErrorText<'_> {
    fn field(&self) -> Option<impl Value + '_> {
        self.0.map(field::display)
    }
}

/// Writes the error's `{:#}`, which for some errors, such as anyhow's, is the whole chain of
/// causes.
impl fmt::Display for ErrorText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |error| write!(f, ": {error:#}"))
    }
}

/// The end of a log line with the number of lines that were left out before it.
struct LeftOut(u64);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            left_out => write!(f, " ({left_out} more since the last such line)"),
        }
    }
}
