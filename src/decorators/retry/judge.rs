//! What follows an attempt: asked of the policy, logged, and told to the hooks. Both halves come here.

use super::rules::{GiveUpEvent, RetryEvent, Ruling};
use crate::{
    GiveUpReason, Name, RetryPolicy,
    clock::{Clock, Instant},
    policy::{Attempted, Delays, Verdict},
    trace::{Readable, retry_event, within_filter},
};
use std::{fmt, time::Duration};
use tracing::field::{self, Value};

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
    pause_left: &dyn Fn() -> Duration, // not generic: with more code here, the hot path gets 7 instructions more
) -> Next {
    let &Attempt { number: attempt, began, clock, retryable } = attempt;
    let elapsed = began.map_or(Duration::ZERO, |began| clock.now().duration_since(began));
    let error = result.as_ref().err();
    let may_follow = retryable && policy.may_follow(attempt);
    let hint = if may_follow { rules.hint(result) } else { None };
    let log = Log { policy, name: &name, attempt, error: ErrorText(error.and_then(R::error_text)) };
    match policy.judge(Attempted { attempt, elapsed, retryable, hint }, delays) {
        Verdict::RetryIn(delay) => {
            // The attempt that failed may have paused its limiter for longer.
            let wait = delay.max(pause_left());
            log.failed(wait);
            rules.retrying(&RetryEvent { attempt, delay: wait, elapsed, error });
            Next::RetryIn(delay)
        }
        Verdict::GiveUp(reason) => {
            log.gave_up(reason, clock);
            rules.gave_up(&GiveUpEvent { attempts: attempt, elapsed, reason, error });
            Next::Return(reason, elapsed)
        }
    }
}

/// A success that was not the first attempt's.
#[cold]
pub(super) fn succeeded(policy: &RetryPolicy, attempt: u32, name: impl Fn() -> Name) {
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
        let Some(level) = policy.give_up_log_filter().into_level().filter(|level| within_filter(*level)) else {
            return;
        };
        let Some(left_out) = policy.give_up_log().map_or(Some(0), |limit| limit.admit(clock)) else { return };
        retry_event!(
            level, name = &*name(), attempt, %reason, error = error.field(), left_out = (left_out > 0).then_some(left_out),
            "{} gave up at attempt {attempt}: {reason}{error}{}", name(), LeftOut(left_out),
        );
    }
}

/// The end of a line: the text of the error, if it is shown.
struct ErrorText<'a>(Option<&'a dyn fmt::Display>);

impl ErrorText<'_> {
    fn field(&self) -> Option<impl Value + '_> {
        self.0.map(field::display)
    }
}

/// Shows the whole chain of causes if the error's `{:#}` does, as anyhow's does.
impl fmt::Display for ErrorText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |error| write!(f, ": {error:#}"))
    }
}

/// The end of a line: the number of lines that were left out before it.
struct LeftOut(u64);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            left_out => write!(f, " ({left_out} more since the last such line)"),
        }
    }
}
