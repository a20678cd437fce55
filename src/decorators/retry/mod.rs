//! The wrapper of `.retry_with(..)`, and the methods that refine it. `options` has the options and
//! hooks, `future` and `blocking` have the loops. `policy/` decides when and how often to retry.

mod blocking;
mod decide;
mod future;
mod options;

pub use future::RetryFuture;
pub use options::{GiveUpEvent, RetryEvent, RetryOptions};

use options::{
    Budgeted, Explained, HintedBy, HintedByResult, OnGiveUpHook, OnRetryHook, OptionsShown, RetryHooks, Text,
    TransientError, TransientHint, When, WhenResult,
};

use crate::{
    Name, RetryBudget, RetryPolicy, Transient,
    call::{
        Callable, CallableMut, CallableOnce, Describe, awaited_directly,
        mode::{Function, Repeatable},
        stack::Decorates,
    },
    describe::{Chain, Step, StepKind},
};
use std::{fmt, panic::Location, time::Duration};

/// A function that is called again when it fails.
///
/// Made by [`.retry_with(..)`](crate::FnExt::retry_with), which retries every error. The methods
/// set the errors to retry, the delay that a server asks for, and the hooks. A later method
/// replaces an earlier one of the same kind.
///
/// In a chain that is awaited directly, the closures may change captured variables, as in
/// `calls += 1`. A function that is called many times clones its closures for each call. Let such
/// closures count in an atomic or send to a channel.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::prelude::*;
/// use std::{sync::atomic::{AtomicU32, Ordering::Relaxed}, time::Duration};
///
/// #[derive(Debug, PartialEq)]
/// enum ApiError { Busy { wait: Duration }, NotFound }
///
/// static CALLS: AtomicU32 = AtomicU32::new(0);
/// async fn fetch(id: u64) -> Result<u64, ApiError> {
///     match CALLS.fetch_add(1, Relaxed) {
///         0 => Err(ApiError::Busy { wait: Duration::from_secs(5) }),
///         _ => Err(ApiError::NotFound),
///     }
/// }
///
/// let fetch = fetch
///     .retry_with(RetryPolicy::default().max_attempts(5))
///     .when(|e| matches!(e, ApiError::Busy { .. }))
///     .retry_after(|e| match e {
///         ApiError::Busy { wait } => Some(*wait),
///         ApiError::NotFound => None,
///     })
///     .on_retry(|r| {
///         assert_eq!((r.attempt, r.delay), (1, Duration::from_secs(5)));
///     });
/// assert_eq!(fetch.call(42).await, Err(ApiError::NotFound));
/// assert_eq!(CALLS.load(Relaxed), 2);
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a decorated function does nothing until it is called"]
pub struct Retry<C, R = RetryOptions> {
    callable: C,
    policy: RetryPolicy,
    options: R,
    describe: Describe<C>,
}

impl<C> Retry<C> {
    pub(crate) fn new(callable: C, policy: RetryPolicy, describe: Describe<C>) -> Self {
        Self { callable, policy, options: RetryOptions::default(), describe }
    }
}

#[allow(clippy::type_complexity)] // each option is a parameter
impl<C, W, H, R, G, X, L, B> Retry<C, RetryOptions<W, H, R, G, X, L, B>> {
    fn with<R2>(self, change: impl FnOnce(RetryOptions<W, H, R, G, X, L, B>) -> R2) -> Retry<C, R2> {
        let Self { callable, policy, options, describe } = self;
        Retry { callable, policy, options: change(options), describe }
    }

    /// Retries the errors for which the predicate returns `true`. Returns all other errors at once.
    ///
    /// The predicate is not called for an error of the last attempt that `max_attempts` allows.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    ///
    /// let mut calls = 0;
    /// let result = (|| { calls += 1; std::future::ready(Err::<(), _>("no such user")) })
    ///     .retry_with(RetryPolicy::default())
    ///     .when(|e| e.starts_with("busy"))
    ///     .await;
    /// assert_eq!((result, calls), (Err("no such user"), 1));
    /// # }
    /// ```
    pub fn when<Args, Half, P>(self, retryable: P) -> Retry<C, RetryOptions<When<P>, H, R, G, X, L, B>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&C::Err) -> bool,
    {
        self.with(|options| options.when(When(retryable)))
    }

    /// Retries the results for which the predicate returns `true`. These may be `Ok`, such as a
    /// response with status 503 or an empty answer.
    ///
    /// After the last attempt, the last result is returned as it is.
    ///
    /// If the value borrows from the arguments (`Result<&str, E>`), use a named function in place
    /// of a closure, because rustc infers only one lifetime for a closure here.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    ///
    /// let mut statuses = vec![Ok(200), Ok(503), Err("refused")];
    /// let status = (|| std::future::ready(statuses.pop().unwrap()))
    ///     .retry_with(RetryPolicy::default())
    ///     .when_result(|r| !matches!(r, Ok(200)))
    ///     .await;
    /// assert_eq!(status, Ok(200));
    /// # }
    /// ```
    pub fn when_result<Args, Half, P>(self, retryable: P) -> Retry<C, RetryOptions<WhenResult<P>, H, R, G, X, L, B>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&Result<C::Ok, C::Err>) -> bool,
    {
        self.with(|options| options.when(WhenResult(retryable)))
    }

    /// Retries the errors that are [`Transient`](crate::Transient), and waits for the delay that
    /// the error asks for. A later `.when(..)` replaces only the choice of errors.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::io::{Error, ErrorKind};
    ///
    /// let mut errors = vec![ErrorKind::PermissionDenied, ErrorKind::ConnectionReset];
    /// let error = (|| std::future::ready(Err::<(), _>(Error::from(errors.pop().unwrap()))))
    ///     .retry_with(RetryPolicy::default())
    ///     .transient()
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    /// # }
    /// ```
    pub fn transient<Args, Half>(self) -> Retry<C, RetryOptions<TransientError, TransientHint, R, G, X, L, B>>
    where
        C: Repeatable<Args, Half, Err: Transient>,
    {
        self.with(|options| options.when(TransientError).hint(TransientHint))
    }

    /// Waits as long as the error asks for (its hint), such as a `Retry-After`, in place of the
    /// policy's delay. `None` leaves the delay to the policy.
    ///
    /// The hint may exceed `max_delay`. If the policy has jitter, up to a tenth of the hint is
    /// added, so that clients with the same hint do not return together. `max_attempts` and the
    /// deadline still hold. A hint beyond the deadline, or beyond the policy's
    /// [`max_hint`](RetryPolicy::max_hint) (default 1 h), ends the retry at once. A hint of zero
    /// retries at once.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let begun = tokio::time::Instant::now();
    /// (|| std::future::ready(Err::<(), _>(7_u64)))
    ///     .retry_with(RetryPolicy::default().max_attempts(2))
    ///     .retry_after(|seconds| Some(Duration::from_secs(*seconds)))
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!(begun.elapsed(), Duration::from_secs(7));
    /// # }
    /// ```
    pub fn retry_after<Args, Half, P>(self, hint: P) -> Retry<C, RetryOptions<W, HintedBy<P>, R, G, X, L, B>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&C::Err) -> Option<Duration>,
    {
        self.with(|options| options.hint(HintedBy(hint)))
    }

    /// Waits as long as the result asks for, in place of the policy's delay. The result may be an
    /// `Ok`, such as a response with status 429 and a `Retry-After`.
    ///
    /// Replaces [`retry_after`](Self::retry_after), and works like it. The closure is called only
    /// for results that are retried, so an `Ok` needs [`when_result`](Self::when_result) too. For
    /// values that borrow from the arguments, see [`when_result`](Self::when_result).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// struct Response { status: u16, retry_after: Option<Duration> }
    ///
    /// let mut responses = vec![
    ///     Response { status: 200, retry_after: None },
    ///     Response { status: 429, retry_after: Some(Duration::from_secs(7)) },
    /// ];
    /// let begun = tokio::time::Instant::now();
    /// let response = (|| std::future::ready(Ok::<_, String>(responses.pop().unwrap())))
    ///     .retry_with(RetryPolicy::default())
    ///     .when_result(|r| r.as_ref().map_or(true, |response| response.status == 429))
    ///     .retry_after_result(|r| r.as_ref().ok()?.retry_after)
    ///     .await;
    /// assert_eq!(response.unwrap().status, 200);
    /// assert_eq!(begun.elapsed(), Duration::from_secs(7));
    /// # }
    /// ```
    pub fn retry_after_result<Args, Half, P>(
        self,
        hint: P,
    ) -> Retry<C, RetryOptions<W, HintedByResult<P>, R, G, X, L, B>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&Result<C::Ok, C::Err>) -> Option<Duration>,
    {
        self.with(|options| options.hint(HintedByResult(hint)))
    }

    /// Calls the closure after each attempt that another attempt follows, before the delay.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    ///
    /// let mut seen = Vec::new();
    /// (|| std::future::ready(Err::<(), _>("busy")))
    ///     .retry_with(RetryPolicy::default())
    ///     .on_retry(|r| seen.push((r.attempt, r.delay.as_secs(), r.error.copied())))
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!(seen, [(1, 1, Some("busy")), (2, 2, Some("busy"))]);
    /// # }
    /// ```
    pub fn on_retry<Args, Half, P>(self, hook: P) -> Retry<C, RetryOptions<W, H, OnRetryHook<P>, G, X, L, B>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&RetryEvent<'_, C::Err>),
    {
        self.with(|options| options.on_retry(OnRetryHook(hook)))
    }

    /// Calls the closure once when the retry gives up: attempts exhausted, deadline reached, hint
    /// too long, budget exhausted, or error not retryable.
    ///
    /// The closure is not called if a decorator outside of the retry ends the call, because the
    /// retry is then dropped. A total `.timeout(..)` ends a call only during an attempt, because a
    /// retry gives up before a delay that would be cut off.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{GiveUpReason, prelude::*};
    ///
    /// let mut seen = None;
    /// (|| std::future::ready(Err::<(), _>("busy")))
    ///     .retry_with(RetryPolicy::default())
    ///     .on_give_up(|g| seen = Some((g.attempts, g.elapsed.as_secs(), g.reason)))
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!(seen, Some((3, 3, GiveUpReason::Exhausted)));
    /// # }
    /// ```
    pub fn on_give_up<Args, Half, P>(self, hook: P) -> Retry<C, RetryOptions<W, H, R, OnGiveUpHook<P>, X, L, B>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&GiveUpEvent<'_, C::Err>),
    {
        self.with(|options| options.on_give_up(OnGiveUpHook(hook)))
    }

    /// Returns the last error with the number of attempts, the time and the reason. The output
    /// becomes `Result<T, RetryError<E>>`; see [`RetryError`](crate::RetryError).
    ///
    /// If a `.timeout(..)` after the retry ends the call during an attempt, the attempts are not
    /// reported.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    ///
    /// let error = (|| std::future::ready(Err::<(), _>("busy")))
    ///     .retry_with(RetryPolicy::default())
    ///     .explained()
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!(error.to_string(), "retry failed after 3 attempts: busy");
    /// # }
    /// ```
    pub fn explained(self) -> Retry<C, RetryOptions<W, H, R, G, Explained, L, B>> {
        self.with(RetryOptions::explained)
    }

    /// Adds the text of the error to the retry's own log lines, with the whole chain of causes if
    /// the error's `{:#}` shows it. Without this method, a retry formats no error, so that a secret
    /// in an error's text does not reach the log.
    ///
    /// [`RetryPolicy`](RetryPolicy#logs) lists the lines and their levels.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch() -> Result<(), String> { Err("busy".to_owned()) }
    ///
    /// // WARN fetch gave up at attempt 3: attempts exhausted: busy
    /// fetch.retry_with(RetryPolicy::default()).logging_errors().await.unwrap_err();
    /// # }
    /// ```
    pub fn logging_errors<Args, Half>(self) -> Retry<C, RetryOptions<W, H, R, G, X, Text, B>>
    where
        C: Repeatable<Args, Half, Err: fmt::Display>,
    {
        self.with(RetryOptions::logging_errors)
    }

    /// Lets a budget pay for the retries, so that the retries of many calls do not multiply the
    /// load on a server that is down.
    ///
    /// A call that succeeds pays the budget's ratio into it, once, at whichever attempt it
    /// succeeds. An `Ok` that is to be retried, and an error of any kind, pay nothing. Each retry
    /// takes 1, before its delay. If the balance is below 1, the retry gives up at once with the
    /// last error ([`GiveUpReason::BudgetExhausted`](crate::GiveUpReason::BudgetExhausted)). The
    /// first attempt is free. The budget is asked last, so nothing is taken for a retry that the
    /// policy rules out, such as one after the last attempt.
    ///
    /// A hedge inside with the same budget pays into it as well. A successful call then pays twice,
    /// so that a budget of 0.05 pays for 0.1 further calls per success.
    ///
    /// If the call is dropped during the delay, or a blocking call is cancelled in it, the retry is
    /// given back. Calls with the same budget may have different policies, and may be futures,
    /// tasks and threads.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{GiveUpReason, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(_id: u64) -> Result<u64, String> { Err("connection refused".into()) }
    ///
    /// let budget = RetryBudget::new(0.1).capacity(3);
    /// let policy = RetryPolicy::fixed(Duration::from_secs(1)).max_attempts(3);
    /// let fetch = fetch.retry_with(policy).budgeted(&budget).explained();
    ///
    /// let error = fetch.call(1).await.unwrap_err();
    /// assert_eq!((error.attempts(), error.reason()), (3, GiveUpReason::Exhausted));
    /// let error = fetch.call(2).await.unwrap_err();
    /// assert_eq!((error.attempts(), error.reason()), (2, GiveUpReason::BudgetExhausted));
    /// let error = fetch.call(3).await.unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "retry failed after 1 attempt (budget exhausted): connection refused",
    /// );
    /// # }
    /// ```
    pub fn budgeted(self, budget: &RetryBudget) -> Retry<C, RetryOptions<W, H, R, G, X, L, Budgeted>> {
        self.with(|options| options.budgeted(Budgeted(budget.clone())))
    }
}

impl<C, R, Args, T, E> CallableOnce<Args> for Retry<C, R>
where
    C: CallableMut<Args, Output = Result<T, E>>,
    R: RetryHooks<T, E>,
    Args: Clone,
{
    type Output = Result<T, R::Error>;
    type Future = RetryFuture<C::Repeated, R>;

    #[inline]
    fn call_once(self, args: Args) -> Self::Future {
        RetryFuture::new(self.callable.repeated(args), self.policy, self.options, self.describe.place())
    }

    fn name(&self) -> Name {
        self.callable.name().or_place(self.describe.place())
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.callable.holds_back()
    }

    fn add_to(&self, chain: &mut Chain) {
        self.add_steps(chain);
    }
}

impl<C, R, Args, T, E> CallableMut<Args> for Retry<C, R>
where
    C: CallableMut<Args, Output = Result<T, E>>,
    R: RetryHooks<T, E>,
    Args: Clone,
{
    type Repeated = RetryFuture<C::Repeated, R>;

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        self.call_once(args)
    }
}

#[diagnostic::do_not_recommend] // otherwise rustc reports a captured variable that is not `Clone`
impl<C, R, Args, T, E> Callable<Args> for Retry<C, R>
where
    C: CallableMut<Args, Output = Result<T, E>> + Clone,
    R: RetryHooks<T, E> + Clone,
    Args: Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        // Clones each part, because a clone of the whole would be copied again into the future.
        let place = self.describe.place();
        RetryFuture::new(self.callable.clone().repeated(args), self.policy.clone(), self.options.clone(), place)
    }
}

awaited_directly!(Retry<C, R>, C, R);

impl<S, R: Clone, F, Args, Half> Decorates<F, Args, Half> for Retry<S, R>
where
    S: Decorates<F, Args, Half, Decorated: Function<Args, Half>>,
{
    type Decorated = Retry<S::Decorated, R>;

    fn decorate(&self, function: F, place: &'static Location<'static>) -> Self::Decorated {
        let Self { callable, policy, options, .. } = self;
        let callable = callable.decorate(function, place);
        let describe = Describe::at(place, S::Decorated::add_to);
        Retry { callable, policy: policy.clone(), options: options.clone(), describe }
    }
}

impl<C, R: OptionsShown> Retry<C, R> {
    fn step(&self) -> Step {
        let (policy, options) = (&self.policy, &self.options);
        let kind = StepKind::Retried {
            max_attempts: policy.most_attempts(),
            delays: policy.longest_delays(),
            deadline: policy.latest_delay(),
            retries: R::RETRIES,
            follows_hints: R::FOLLOWS_HINTS,
            budget: options.budget_id(),
        };
        Step::new(format_args!(".retry_with({policy}){options:?}"), kind)
    }

    fn add_steps(&self, chain: &mut Chain) {
        self.describe.add_to(&self.callable, chain);
        chain.push(self.step());
    }
}

impl<C, R: OptionsShown> fmt::Debug for Retry<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain::of(|chain| self.add_steps(chain)).fmt(f)
    }
}
