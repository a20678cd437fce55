//! The options of a retry: predicate, hint, two hooks, final error, log text and budget. Each is a
//! type parameter that one method sets.

use crate::{
    GiveUpReason, RetryBudget, RetryError, Transient,
    clock::Clock,
    describe::{HandleId, Retries},
    retry_budget::Withdrawal,
};
use std::{fmt, time::Duration};

/// The event of an attempt that failed and that another attempt follows, for
/// [`.on_retry(..)`](super::Retry::on_retry).
///
/// # Examples
///
/// ```
/// fn line(r: &decor::RetryEvent<'_, String>) -> String {
///     format!("attempt {} failed after {:?}, next in {:?}", r.attempt, r.elapsed, r.delay)
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct RetryEvent<'a, E> {
    /// Number of the attempt that failed; 1 for the first.
    pub attempt: u32,
    /// Wait before the next attempt: the policy's delay, or the rest of the pause that the failed
    /// attempt has caused by [`pausing`](crate::FnExt::pausing), if that is longer.
    pub delay: Duration,
    /// Time since the first attempt began.
    pub elapsed: Duration,
    /// Error of the attempt; `None` if [`.when_result(..)`](super::Retry::when_result) retries an
    /// `Ok`.
    pub error: Option<&'a E>,
}

/// The event of a retry that gives up, for [`.on_give_up(..)`](super::Retry::on_give_up).
///
/// # Examples
///
/// ```
/// fn line(g: &decor::GiveUpEvent<'_, String>) -> String {
///     format!("gave up after {} attempts in {:?}: {}", g.attempts, g.elapsed, g.reason)
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct GiveUpEvent<'a, E> {
    /// Number of attempts that were made.
    pub attempts: u32,
    /// Time since the first attempt began.
    pub elapsed: Duration,
    /// Reason for which no further attempt follows.
    pub reason: GiveUpReason,
    /// Last error; `None` if [`.when_result(..)`](super::Retry::when_result) rejected an `Ok`.
    pub error: Option<&'a E>,
}

/// The options of a [`Retry`](super::Retry), as its methods set them.
#[derive(Clone)]
pub struct RetryOptions<W = AnyError, H = NoHint, R = NoHook, G = NoHook, X = LastError, L = NoText, B = NoBudget> {
    when: W,
    hint: H,
    on_retry: R,
    on_give_up: G,
    finish: X,
    log: L,
    budget: B,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            when: AnyError,
            hint: NoHint,
            on_retry: NoHook,
            on_give_up: NoHook,
            finish: LastError,
            log: NoText,
            budget: NoBudget,
        }
    }
}

impl<W, H, R, G, X, L, B> RetryOptions<W, H, R, G, X, L, B> {
    pub(super) fn when<W2>(self, when: W2) -> RetryOptions<W2, H, R, G, X, L, B> {
        let Self { when: _, hint, on_retry, on_give_up, finish, log, budget } = self;
        RetryOptions { when, hint, on_retry, on_give_up, finish, log, budget }
    }

    pub(super) fn hint<H2>(self, hint: H2) -> RetryOptions<W, H2, R, G, X, L, B> {
        let Self { when, hint: _, on_retry, on_give_up, finish, log, budget } = self;
        RetryOptions { when, hint, on_retry, on_give_up, finish, log, budget }
    }

    pub(super) fn on_retry<R2>(self, on_retry: R2) -> RetryOptions<W, H, R2, G, X, L, B> {
        let Self { when, hint, on_retry: _, on_give_up, finish, log, budget } = self;
        RetryOptions { when, hint, on_retry, on_give_up, finish, log, budget }
    }

    pub(super) fn on_give_up<G2>(self, on_give_up: G2) -> RetryOptions<W, H, R, G2, X, L, B> {
        let Self { when, hint, on_retry, on_give_up: _, finish, log, budget } = self;
        RetryOptions { when, hint, on_retry, on_give_up, finish, log, budget }
    }

    pub(super) fn explained(self) -> RetryOptions<W, H, R, G, Explained, L, B> {
        let Self { when, hint, on_retry, on_give_up, finish: _, log, budget } = self;
        RetryOptions { when, hint, on_retry, on_give_up, finish: Explained, log, budget }
    }

    pub(super) fn logging_errors(self) -> RetryOptions<W, H, R, G, X, Text, B> {
        let Self { when, hint, on_retry, on_give_up, finish, log: _, budget } = self;
        RetryOptions { when, hint, on_retry, on_give_up, finish, log: Text, budget }
    }

    pub(super) fn budgeted<B2>(self, budget: B2) -> RetryOptions<W, H, R, G, X, L, B2> {
        let Self { when, hint, on_retry, on_give_up, finish, log, budget: _ } = self;
        RetryOptions { when, hint, on_retry, on_give_up, finish, log, budget }
    }
}

/// Writes the methods that set the options, as they are written in a chain.
impl<W, H, R, G, X, L, B> fmt::Debug for RetryOptions<W, H, R, G, X, L, B>
where
    W: fmt::Debug,
    H: fmt::Debug,
    R: fmt::Debug,
    G: fmt::Debug,
    X: fmt::Debug,
    L: fmt::Debug,
    B: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { when, hint, on_retry, on_give_up, finish, log, budget } = self;
        write!(f, "{when:?}{hint:?}{on_retry:?}{on_give_up:?}{finish:?}{log:?}{budget:?}")
    }
}

/// Implements `Debug` for options. Each writes the method that set it, and a default writes
/// nothing.
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
    NoHook ""
    OnRetryHook<P> ".on_retry(..)"
    OnGiveUpHook<P> ".on_give_up(..)"
    LastError ""
    Explained ".explained()"
    NoText ""
    Text ".logging_errors()"
    NoBudget ""
}

/// The options of a retry, as a description of the chain shows them: `Debug` writes the methods
/// that set them.
pub trait OptionsShown: fmt::Debug {
    /// The errors that are retried.
    const RETRIES: Retries;
    /// `true` if a hint may replace the policy's delay.
    const FOLLOWS_HINTS: bool;

    /// Returns the identity of the budget; `None` without one.
    fn budget_id(&self) -> Option<HandleId>;
}

impl<W: Selects, H: Hints, R, G, X, L, B> OptionsShown for RetryOptions<W, H, R, G, X, L, B>
where
    B: Budget,
    Self: fmt::Debug,
{
    const RETRIES: Retries = W::RETRIES;
    const FOLLOWS_HINTS: bool = H::FOLLOWS;

    fn budget_id(&self) -> Option<HandleId> {
        self.budget.id()
    }
}

/// The option of a retry that selects results.
pub trait Selects {
    /// The errors that are retried.
    const RETRIES: Retries;
}

/// The option of a retry that reads hints.
pub trait Hints {
    /// `true` if there may be a hint.
    const FOLLOWS: bool;
}

/// Implements a trait with one constant for options.
macro_rules! constant {
    ($Trait:ident::$CONSTANT:ident: $Type:ty; $($Slot:ident $(<$P:ident>)? = $value:expr;)*) => {$(
        impl$(<$P>)? $Trait for $Slot$(<$P>)? {
            const $CONSTANT: $Type = $value;
        }
    )*};
}
constant! { Selects::RETRIES: Retries;
    AnyError = Retries::AllErrors;
    When<P> = Retries::ChosenErrors;
    WhenResult<P> = Retries::ChosenErrors;
    TransientError = Retries::TransientErrors;
}
constant! { Hints::FOLLOWS: bool;
    NoHint = false;
    HintedBy<P> = true;
    HintedByResult<P> = true;
    TransientHint = true;
}

/// The options of a retry, as the loop uses them.
pub trait RetryHooks<T, E>: OptionsShown {
    /// The error that the retried call returns.
    type Error;
    /// `true` if an option needs the time since the first attempt. Otherwise no clock is read.
    const NEEDS_CLOCK: bool;

    /// Returns `true` if the result is to be retried.
    fn should_retry(&mut self, result: &Result<T, E>) -> bool;
    /// Returns the delay that the result asks for; `None` if it asks for none.
    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration>;
    /// Calls the hook for another attempt.
    fn retrying(&mut self, retrying: &RetryEvent<'_, E>);
    /// Calls the hook for giving up.
    fn gave_up(&mut self, given_up: &GiveUpEvent<'_, E>);
    /// Returns the error that the retried call returns.
    fn finish(attempts: u32, elapsed: Duration, reason: GiveUpReason, error: E) -> Self::Error;
    /// Returns the error to display in log lines; `None` if they do not show it.
    fn error_text(error: &E) -> Option<&dyn fmt::Display>;
    /// Pays into the budget, if there is one, for a call that succeeded.
    fn succeeded(&self);
    /// Takes a retry from the budget. Returns `None` if there is no budget, and the reason to give
    /// up if the budget is exhausted.
    fn withdraw(&self, clock: Clock) -> Result<Option<Withdrawal>, GiveUpReason>;
}

impl<T, E, W, H, R, G, X, L, B> RetryHooks<T, E> for RetryOptions<W, H, R, G, X, L, B>
where
    W: Predicate<T, E>,
    H: Hint<T, E>,
    R: OnRetry<E>,
    G: OnGiveUp<E>,
    X: FinalError<E>,
    L: LogText<E>,
    B: Budget,
    Self: OptionsShown,
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

    #[inline]
    fn succeeded(&self) {
        self.budget.succeeded();
    }

    fn withdraw(&self, clock: Clock) -> Result<Option<Withdrawal>, GiveUpReason> {
        self.budget.withdraw(clock)
    }
}

/// Chooses the results that are retried.
pub trait Predicate<T, E> {
    /// Returns `true` if the result is retried.
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

/// Retries the errors that are [`Transient`].
#[derive(Clone, Copy)]
pub struct TransientError;

impl<T, E: Transient> Predicate<T, E> for TransientError {
    fn should_retry(&mut self, result: &Result<T, E>) -> bool {
        result.as_ref().is_err_and(E::is_transient)
    }
}

/// Reads the delay before another attempt from a result.
pub trait Hint<T, E> {
    /// Returns the delay that the result asks for; `None` if it asks for none.
    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration>;
}

/// Leaves the delay to the policy.
#[derive(Clone, Copy)]
pub struct NoHint;

impl<T, E> Hint<T, E> for NoHint {
    fn hint(&mut self, _: &Result<T, E>) -> Option<Duration> {
        None
    }
}

/// Reads the delay from the error, by the closure of
/// [`.retry_after(..)`](super::Retry::retry_after).
#[derive(Clone, Copy)]
pub struct HintedBy<P>(pub(super) P);

impl<T, E, P: FnMut(&E) -> Option<Duration>> Hint<T, E> for HintedBy<P> {
    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration> {
        result.as_ref().err().and_then(&mut self.0)
    }
}

/// Reads the delay from the result, by the closure of
/// [`.retry_after_result(..)`](super::Retry::retry_after_result).
#[derive(Clone, Copy)]
pub struct HintedByResult<P>(pub(super) P);

impl<T, E, P: FnMut(&Result<T, E>) -> Option<Duration>> Hint<T, E> for HintedByResult<P> {
    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration> {
        (self.0)(result)
    }
}

/// Reads the delay from the error's [`Transient`].
#[derive(Clone, Copy)]
pub struct TransientHint;

impl<T, E: Transient> Hint<T, E> for TransientHint {
    fn hint(&mut self, result: &Result<T, E>) -> Option<Duration> {
        result.as_ref().err().and_then(E::retry_after)
    }
}

/// The hook that is called when another attempt follows.
pub trait OnRetry<E> {
    /// `true` unless no hook is set.
    const LISTENS: bool;
    /// Calls the hook.
    fn retrying(&mut self, retrying: &RetryEvent<'_, E>);
}

/// The hook that is called when the retry gives up.
pub trait OnGiveUp<E> {
    /// `true` unless no hook is set.
    const LISTENS: bool;
    /// Calls the hook.
    fn gave_up(&mut self, given_up: &GiveUpEvent<'_, E>);
}

/// No hook.
#[derive(Clone, Copy)]
pub struct NoHook;

/// The closure of [`.on_retry(..)`](super::Retry::on_retry).
#[derive(Clone, Copy)]
pub struct OnRetryHook<P>(pub(super) P);

/// The closure of [`.on_give_up(..)`](super::Retry::on_give_up).
#[derive(Clone, Copy)]
pub struct OnGiveUpHook<P>(pub(super) P);

impl<E> OnRetry<E> for NoHook {
    const LISTENS: bool = false;

    fn retrying(&mut self, _: &RetryEvent<'_, E>) {}
}

impl<E> OnGiveUp<E> for NoHook {
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

/// Makes the error that is returned when the retry gives up.
pub trait FinalError<E> {
    /// The type of the returned error.
    type Error;
    /// `true` if the error carries the time since the first attempt.
    const NEEDS_CLOCK: bool;
    /// Makes the error.
    fn finish(attempts: u32, elapsed: Duration, reason: GiveUpReason, error: E) -> Self::Error;
}

/// Returns the last attempt's error as it is.
#[derive(Clone, Copy)]
pub struct LastError;

/// Wraps the last attempt's error in a [`RetryError`]. Set by
/// [`.explained()`](super::Retry::explained).
#[derive(Clone, Copy)]
pub struct Explained;

impl<E> FinalError<E> for LastError {
    type Error = E;
    const NEEDS_CLOCK: bool = false;

    fn finish(_: u32, _: Duration, _: GiveUpReason, error: E) -> E {
        error
    }
}

impl<E> FinalError<E> for Explained {
    type Error = RetryError<E>;
    const NEEDS_CLOCK: bool = true;

    fn finish(attempts: u32, elapsed: Duration, reason: GiveUpReason, cause: E) -> RetryError<E> {
        RetryError { attempts, elapsed, reason, cause }
    }
}

/// The part of an error that log lines show.
pub trait LogText<E> {
    /// Returns the error to display; `None` to show nothing.
    fn text(error: &E) -> Option<&dyn fmt::Display>;
}

/// Shows nothing, because an error's text may contain a secret, and errors need not have a text.
#[derive(Clone, Copy)]
pub struct NoText;

/// Shows the error's text. Set by [`.logging_errors()`](super::Retry::logging_errors).
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

/// The budget that pays for retries.
pub trait Budget {
    /// Returns the identity of the budget; `None` if there is none.
    fn id(&self) -> Option<HandleId>;
    /// Pays into the budget for a call that succeeded.
    fn succeeded(&self);
    /// Takes a retry from the budget. Returns `None` if there is no budget, and the reason to give
    /// up if the budget is exhausted.
    fn withdraw(&self, clock: Clock) -> Result<Option<Withdrawal>, GiveUpReason>;
}

/// No budget.
#[derive(Clone, Copy)]
pub struct NoBudget;

/// The budget of [`.budgeted(..)`](super::Retry::budgeted).
#[derive(Clone)]
pub struct Budgeted(pub(super) RetryBudget);

impl Budget for NoBudget {
    fn id(&self) -> Option<HandleId> {
        None
    }

    #[inline]
    fn succeeded(&self) {}

    #[inline]
    fn withdraw(&self, _: Clock) -> Result<Option<Withdrawal>, GiveUpReason> {
        Ok(None)
    }
}

impl Budget for Budgeted {
    fn id(&self) -> Option<HandleId> {
        Some(self.0.id())
    }

    #[inline]
    fn succeeded(&self) {
        self.0.deposit();
    }

    fn withdraw(&self, clock: Clock) -> Result<Option<Withdrawal>, GiveUpReason> {
        self.0.withdraw(clock).map(Some).ok_or(GiveUpReason::BudgetExhausted)
    }
}

impl fmt::Debug for Budgeted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".budgeted({})", self.0)
    }
}
