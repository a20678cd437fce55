//! The rules and hooks of a retry: six slots, each filled by a word of its own.

use crate::{GiveUpReason, RetryError, Transient};
use std::{fmt, time::Duration};

/// What [`.on_retry(..)`](super::Retry::on_retry) is told: an attempt failed, and another will follow.
///
/// ```
/// fn line(r: &decor::RetryEvent<'_, String>) -> String {
///     format!("attempt {} failed after {:?}, next in {:?}", r.attempt, r.elapsed, r.delay)
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct RetryEvent<'a, E> {
    /// The attempt that failed; 1 for the first.
    pub attempt: u32,
    /// The wait before the next attempt: the policy's delay, or the rest of the pause that the
    /// attempt has caused by [`pausing`](crate::FnExt::pausing), if that is longer.
    pub delay: Duration,
    /// The time since the first attempt began.
    pub elapsed: Duration,
    /// Its error; `None` if an `Ok` is retried, by [`.when_result(..)`](super::Retry::when_result).
    pub error: Option<&'a E>,
}

/// What [`.on_give_up(..)`](super::Retry::on_give_up) is told: there will be no further attempt.
///
/// ```
/// fn line(g: &decor::GiveUpEvent<'_, String>) -> String {
///     format!("gave up after {} attempts in {:?}: {}", g.attempts, g.elapsed, g.reason)
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct GiveUpEvent<'a, E> {
    /// The attempts that were made.
    pub attempts: u32,
    /// The time since the first attempt began.
    pub elapsed: Duration,
    /// Why there are no more.
    pub reason: GiveUpReason,
    /// The last error; `None` if it was an `Ok`, by [`.when_result(..)`](super::Retry::when_result).
    pub error: Option<&'a E>,
}

/// The slots of a [`Retry`](super::Retry), as its methods filled them.
#[derive(Clone)]
pub struct Rules<W = AnyError, H = NoHint, R = Silent, G = Silent, X = LastError, L = NoText> {
    when: W,
    hint: H,
    on_retry: R,
    on_give_up: G,
    finish: X,
    log: L,
}

impl Default for Rules {
    fn default() -> Self {
        Self { when: AnyError, hint: NoHint, on_retry: Silent, on_give_up: Silent, finish: LastError, log: NoText }
    }
}

impl<W, H, R, G, X, L> Rules<W, H, R, G, X, L> {
    pub(super) fn when<W2>(self, when: W2) -> Rules<W2, H, R, G, X, L> {
        let Self { when: _, hint, on_retry, on_give_up, finish, log } = self;
        Rules { when, hint, on_retry, on_give_up, finish, log }
    }

    pub(super) fn hint<H2>(self, hint: H2) -> Rules<W, H2, R, G, X, L> {
        let Self { when, hint: _, on_retry, on_give_up, finish, log } = self;
        Rules { when, hint, on_retry, on_give_up, finish, log }
    }

    pub(super) fn on_retry<R2>(self, on_retry: R2) -> Rules<W, H, R2, G, X, L> {
        let Self { when, hint, on_retry: _, on_give_up, finish, log } = self;
        Rules { when, hint, on_retry, on_give_up, finish, log }
    }

    pub(super) fn on_give_up<G2>(self, on_give_up: G2) -> Rules<W, H, R, G2, X, L> {
        let Self { when, hint, on_retry, on_give_up: _, finish, log } = self;
        Rules { when, hint, on_retry, on_give_up, finish, log }
    }

    pub(super) fn explained(self) -> Rules<W, H, R, G, Explained, L> {
        let Self { when, hint, on_retry, on_give_up, finish: _, log } = self;
        Rules { when, hint, on_retry, on_give_up, finish: Explained, log }
    }
    pub(super) fn logging_errors(self) -> Rules<W, H, R, G, X, Text> {
        let Self { when, hint, on_retry, on_give_up, finish, log: _ } = self;
        Rules { when, hint, on_retry, on_give_up, finish, log: Text }
    }
}

/// The words that filled the slots, as they stand in the chain.
impl<W, H, R, G, X, L> fmt::Debug for Rules<W, H, R, G, X, L>
where
    W: fmt::Debug,
    H: fmt::Debug,
    R: fmt::Debug,
    G: fmt::Debug,
    X: fmt::Debug,
    L: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { when, hint, on_retry, on_give_up, finish, log } = self;
        write!(f, "{when:?}{hint:?}{on_retry:?}{on_give_up:?}{finish:?}{log:?}")
    }
}

/// Each slot's `Debug` is the word that filled it; nothing if it was left as it is.
macro_rules! shown_as {
    ($($Slot:ident $(<$P:ident>)? $word:literal)*) => {$(
        impl$(<$P>)? fmt::Debug for $Slot$(<$P>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($word)
            }
        }
    )*};
}
shown_as! {
    AnyError ""
    When<P> ".when(..)"
    WhenResult<P> ".when_result(..)"
    TransientError ".transient()"
    NoHint ""
    HintedBy<P> ".retry_after(..)"
    HintedByResult<P> ".retry_after_result(..)"
    TransientHint ""
    Silent ""
    OnRetryHook<P> ".on_retry(..)"
    OnGiveUpHook<P> ".on_give_up(..)"
    LastError ""
    Explained ".explained()"
    NoText ""
    Text ".logging_errors()"
}

/// What the loop asks of its rules.
pub trait Ruling<T, E>: fmt::Debug {
    /// The error that is returned in the end.
    type Error;
    /// Whether anybody here wants to know how much time has passed. If not, the clock is left alone.
    const NEEDS_CLOCK: bool;

    /// Whether this result should be followed by another attempt.
    fn should_retry(&mut self, result: &Result<T, E>) -> bool;
    /// The delay that the result asks for before another attempt; `None` if it asks for none.
    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration>;
    /// Another attempt will follow.
    fn retrying(&mut self, retrying: &RetryEvent<'_, E>);
    /// No other attempt will.
    fn gave_up(&mut self, given_up: &GiveUpEvent<'_, E>);
    /// The error to return.
    fn finish(attempts: u32, elapsed: Duration, reason: GiveUpReason, error: E) -> Self::Error;
    /// The text of the error for log lines; `None` if they do not show it.
    fn error_text(error: &E) -> Option<&dyn fmt::Display>;
}

impl<T, E, W, H, R, G, X, L> Ruling<T, E> for Rules<W, H, R, G, X, L>
where
    W: Predicate<T, E>,
    H: Hint<T, E>,
    R: OnRetry<E>,
    G: OnGiveUp<E>,
    X: Finish<E>,
    L: LogText<E>,
    Self: fmt::Debug,
{
    type Error = X::Error;
    const NEEDS_CLOCK: bool = R::LISTENS || G::LISTENS || X::NEEDS_CLOCK;

    fn should_retry(&mut self, result: &Result<T, E>) -> bool {
        self.when.should_retry(result)
    }

    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration> {
        self.hint.hint(result)
    }

    fn retrying(&mut self, retrying: &RetryEvent<'_, E>) {
        self.on_retry.retrying(retrying);
    }

    fn gave_up(&mut self, given_up: &GiveUpEvent<'_, E>) {
        self.on_give_up.gave_up(given_up);
    }

    fn finish(attempts: u32, elapsed: Duration, reason: GiveUpReason, error: E) -> X::Error {
        X::finish(attempts, elapsed, reason, error)
    }

    fn error_text(error: &E) -> Option<&dyn fmt::Display> {
        L::text(error)
    }
}

/// Which results are retried.
pub trait Predicate<T, E> {
    /// Whether this one is.
    fn should_retry(&mut self, result: &Result<T, E>) -> bool;
}

/// Retries every error.
#[derive(Clone, Copy)]
pub struct AnyError;

impl<T, E> Predicate<T, E> for AnyError {
    fn should_retry(&mut self, result: &Result<T, E>) -> bool {
        result.is_err()
    }
}

/// Retries the errors that a closure of [`.when(..)`](super::Retry::when) picks.
#[derive(Clone, Copy)]
pub struct When<P>(pub(super) P);

impl<T, E, P: FnMut(&E) -> bool> Predicate<T, E> for When<P> {
    fn should_retry(&mut self, result: &Result<T, E>) -> bool {
        result.as_ref().is_err_and(&mut self.0)
    }
}

/// Retries the results that a closure of [`.when_result(..)`](super::Retry::when_result) picks.
#[derive(Clone, Copy)]
pub struct WhenResult<P>(pub(super) P);

impl<T, E, P: FnMut(&Result<T, E>) -> bool> Predicate<T, E> for WhenResult<P> {
    fn should_retry(&mut self, result: &Result<T, E>) -> bool {
        (self.0)(result)
    }
}

/// Retries the errors that call themselves [`Transient`].
#[derive(Clone, Copy)]
pub struct TransientError;

impl<T, E: Transient> Predicate<T, E> for TransientError {
    fn should_retry(&mut self, result: &Result<T, E>) -> bool {
        result.as_ref().is_err_and(E::is_transient)
    }
}

/// Reads from a result the delay before another attempt.
pub trait Hint<T, E> {
    /// The delay that this result asks for.
    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration>;
}

/// The policy alone says when.
#[derive(Clone, Copy)]
pub struct NoHint;

impl<T, E> Hint<T, E> for NoHint {
    fn hint(&mut self, _: &Result<T, E>) -> Option<Duration> {
        None
    }
}

/// A closure of [`.retry_after(..)`](super::Retry::retry_after) reads it from the error.
#[derive(Clone, Copy)]
pub struct HintedBy<P>(pub(super) P);

impl<T, E, P: FnMut(&E) -> Option<Duration>> Hint<T, E> for HintedBy<P> {
    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration> {
        result.as_ref().err().and_then(&mut self.0)
    }
}

/// A closure of [`.retry_after_result(..)`](super::Retry::retry_after_result) reads the delay from
/// the result.
#[derive(Clone, Copy)]
pub struct HintedByResult<P>(pub(super) P);

impl<T, E, P: FnMut(&Result<T, E>) -> Option<Duration>> Hint<T, E> for HintedByResult<P> {
    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration> {
        (self.0)(result)
    }
}

/// The error's [`Transient`] says when.
#[derive(Clone, Copy)]
pub struct TransientHint;

impl<T, E: Transient> Hint<T, E> for TransientHint {
    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration> {
        result.as_ref().err().and_then(E::retry_after)
    }
}

/// Who is told that another attempt follows.
pub trait OnRetry<E> {
    /// Whether anybody is.
    const LISTENS: bool;
    /// Tells them.
    fn retrying(&mut self, retrying: &RetryEvent<'_, E>);
}

/// Who is told that there will be no further attempt.
pub trait OnGiveUp<E> {
    /// Whether anybody is.
    const LISTENS: bool;
    /// Tells them.
    fn gave_up(&mut self, given_up: &GiveUpEvent<'_, E>);
}

/// Nobody.
#[derive(Clone, Copy)]
pub struct Silent;

/// A closure of [`.on_retry(..)`](super::Retry::on_retry).
#[derive(Clone, Copy)]
pub struct OnRetryHook<P>(pub(super) P);

/// A closure of [`.on_give_up(..)`](super::Retry::on_give_up).
#[derive(Clone, Copy)]
pub struct OnGiveUpHook<P>(pub(super) P);

impl<E> OnRetry<E> for Silent {
    const LISTENS: bool = false;

    fn retrying(&mut self, _: &RetryEvent<'_, E>) {}
}

impl<E> OnGiveUp<E> for Silent {
    const LISTENS: bool = false;

    fn gave_up(&mut self, _: &GiveUpEvent<'_, E>) {}
}

impl<E, P: FnMut(&RetryEvent<'_, E>)> OnRetry<E> for OnRetryHook<P> {
    const LISTENS: bool = true;

    fn retrying(&mut self, retrying: &RetryEvent<'_, E>) {
        (self.0)(retrying);
    }
}

impl<E, P: FnMut(&GiveUpEvent<'_, E>)> OnGiveUp<E> for OnGiveUpHook<P> {
    const LISTENS: bool = true;

    fn gave_up(&mut self, given_up: &GiveUpEvent<'_, E>) {
        (self.0)(given_up);
    }
}

/// What is returned when the retry gives up on an error.
pub trait Finish<E> {
    /// Its type.
    type Error;
    /// Whether it says how much time has passed.
    const NEEDS_CLOCK: bool;
    /// Makes it.
    fn finish(attempts: u32, elapsed: Duration, reason: GiveUpReason, error: E) -> Self::Error;
}

/// The last attempt's error as it is.
#[derive(Clone, Copy)]
pub struct LastError;

/// A [`RetryError`] around it, by [`.explained()`](super::Retry::explained).
#[derive(Clone, Copy)]
pub struct Explained;

impl<E> Finish<E> for LastError {
    type Error = E;
    const NEEDS_CLOCK: bool = false;

    fn finish(_: u32, _: Duration, _: GiveUpReason, error: E) -> E {
        error
    }
}

impl<E> Finish<E> for Explained {
    type Error = RetryError<E>;
    const NEEDS_CLOCK: bool = true;

    fn finish(attempts: u32, elapsed: Duration, reason: GiveUpReason, cause: E) -> RetryError<E> {
        RetryError { attempts, elapsed, reason, cause }
    }
}

/// The part of an error that log lines show.
pub trait LogText<E> {
    /// The text; `None` for nothing.
    fn text(error: &E) -> Option<&dyn fmt::Display>;
}

/// Shows nothing, because errors need no text, and a text may hold a secret.
#[derive(Clone, Copy)]
pub struct NoText;

/// Shows the error's text, by [`.logging_errors()`](super::Retry::logging_errors).
#[derive(Clone, Copy)]
pub struct Text;

impl<E> LogText<E> for NoText {
    fn text(_: &E) -> Option<&dyn fmt::Display> {
        None
    }
}

impl<E: fmt::Display> LogText<E> for Text {
    fn text(error: &E) -> Option<&dyn fmt::Display> {
        Some(error)
    }
}
