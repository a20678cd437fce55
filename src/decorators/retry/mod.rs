//! Trying again: the wrapper and the words that refine it. What is retried, and what is told of it, stands in `rules`;
//! the loop in `future`; when and how often, in `policy/`.

mod blocking;
mod future;
mod judge;
mod rules;

pub use future::RetryFuture;
pub use rules::{GiveUpEvent, RetryEvent, Rules};

use rules::{
    Explained, HintedBy, HintedByResult, OnGiveUpHook, OnRetryHook, Ruling, Text, TransientError, TransientHint, When,
    WhenResult,
};

use crate::{
    Name, RetryPolicy, Transient,
    call::{Callable, CallableMut, CallableOnce, Describe, awaited_directly, mode::Repeatable},
};
use std::{fmt, time::Duration};

/// A function that is called again when it fails.
///
/// Made by [`.retry_with(..)`](crate::FnExt::retry_with), which retries every error; the methods here say which errors,
/// when the server says to come back, and who is told. A later one replaces an earlier one of the same kind.
///
/// Their closures may change what they capture, for one call that is awaited (`calls += 1`). A function that is called many
/// times clones them for each call, so share what they count: an atomic, a channel.
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
pub struct Retry<C, R = Rules> {
    callable: C,
    policy: RetryPolicy,
    rules: R,
    describe: Describe<C>,
}

impl<C> Retry<C> {
    pub(crate) fn new(callable: C, policy: RetryPolicy, describe: Describe<C>) -> Self {
        Self { callable, policy, rules: Rules::default(), describe }
    }
}

#[allow(clippy::type_complexity)] // each slot is a parameter
impl<C, W, H, R, G, X, L> Retry<C, Rules<W, H, R, G, X, L>> {
    fn with<R2>(self, change: impl FnOnce(Rules<W, H, R, G, X, L>) -> R2) -> Retry<C, R2> {
        let Self { callable, policy, rules, describe } = self;
        Retry { callable, policy, rules: change(rules), describe }
    }

    /// Retries the errors for which this is true, and hands the others on at once.
    ///
    /// The predicate is not called for an error of the last attempt that `max_attempts` allows.
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
    pub fn when<Args, Half, P>(self, retryable: P) -> Retry<C, Rules<When<P>, H, R, G, X, L>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&C::Err) -> bool,
    {
        self.with(|rules| rules.when(When(retryable)))
    }

    /// Retries the results for which this is true, be they `Ok`: a 503 that came as a response, an empty answer.
    ///
    /// When the attempts are used up, the last result is returned as it is.
    ///
    /// If the value borrows from the arguments (`Result<&str, E>`), use a named function in place of a closure: rustc pins a
    /// closure here to one lifetime.
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
    pub fn when_result<Args, Half, P>(self, retryable: P) -> Retry<C, Rules<WhenResult<P>, H, R, G, X, L>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&Result<C::Ok, C::Err>) -> bool,
    {
        self.with(|rules| rules.when(WhenResult(retryable)))
    }

    /// Leaves both to the error type's own [`Transient`](crate::Transient): what is retried, and how long to wait. A later
    /// `.when(..)` replaces the first, and leaves the second as it is.
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
    pub fn transient<Args, Half>(self) -> Retry<C, Rules<TransientError, TransientHint, R, G, X, L>>
    where
        C: Repeatable<Args, Half, Err: Transient>,
    {
        self.with(|rules| rules.when(TransientError).hint(TransientHint))
    }

    /// Where the error says when to try again (`Retry-After`), waits that long in place of the policy's delay.
    ///
    /// The hint may exceed `max_delay`. If the policy has jitter, up to a tenth of the hint is
    /// added, so that clients with the same hint do not come back together. Neither `max_attempts`
    /// nor the deadline changes. A hint beyond the deadline, or beyond the policy's
    /// [`max_hint`](RetryPolicy::max_hint) (1 h until set), ends the retry at once. A hint of zero
    /// retries at once.
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
    pub fn retry_after<Args, Half, P>(self, hint: P) -> Retry<C, Rules<W, HintedBy<P>, R, G, X, L>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&C::Err) -> Option<Duration>,
    {
        self.with(|rules| rules.hint(HintedBy(hint)))
    }

    /// Waits as long as the result asks for, in place of the policy's delay. The result may be an
    /// `Ok`, such as a response with status 429 and a `Retry-After`.
    ///
    /// Replaces [`retry_after`](Self::retry_after), and works like it. Only results that are
    /// retried are asked, so an `Ok` needs [`when_result`](Self::when_result) too. For values that
    /// borrow from the arguments, see [`when_result`](Self::when_result).
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
    pub fn retry_after_result<Args, Half, P>(self, hint: P) -> Retry<C, Rules<W, HintedByResult<P>, R, G, X, L>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&Result<C::Ok, C::Err>) -> Option<Duration>,
    {
        self.with(|rules| rules.hint(HintedByResult(hint)))
    }

    /// Calls this before each wait, and so only when another attempt will follow.
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
    pub fn on_retry<Args, Half, P>(self, hook: P) -> Retry<C, Rules<W, H, OnRetryHook<P>, G, X, L>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&RetryEvent<'_, C::Err>),
    {
        self.with(|rules| rules.on_retry(OnRetryHook(hook)))
    }

    /// Calls the closure once when the retry gives up: attempts exhausted, deadline reached, hint
    /// too long, or error not retryable.
    ///
    /// Not when a decorator outside ends the call, a total `.timeout(..)` for one: then the retry is dropped. Where that
    /// matters, bound it by the policy's [`deadline`](RetryPolicy::deadline) instead.
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
    pub fn on_give_up<Args, Half, P>(self, hook: P) -> Retry<C, Rules<W, H, R, OnGiveUpHook<P>, X, L>>
    where
        C: Repeatable<Args, Half>,
        P: FnMut(&GiveUpEvent<'_, C::Err>),
    {
        self.with(|rules| rules.on_give_up(OnGiveUpHook(hook)))
    }

    /// Returns the attempts' story with the last error: `Result<T, RetryError<E>>`.
    ///
    /// One of the few words that change a type. See [`RetryError`](crate::RetryError). A `.timeout(..)` after it drops the
    /// retry and its story with it; the policy's [`deadline`](RetryPolicy::deadline) keeps the story.
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
    pub fn explained(self) -> Retry<C, Rules<W, H, R, G, Explained, L>> {
        self.with(Rules::explained)
    }

    /// Puts the text of the error into the retry's own log lines, with the whole chain of causes if
    /// its `{:#}` shows it. Without this word, a retry formats no error, so that a secret in an
    /// error's text does not reach the log.
    ///
    /// [`RetryPolicy`](RetryPolicy#logs) lists the lines and their levels.
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
    pub fn logging_errors<Args, Half>(self) -> Retry<C, Rules<W, H, R, G, X, Text>>
    where
        C: Repeatable<Args, Half, Err: fmt::Display>,
    {
        self.with(Rules::logging_errors)
    }
}

impl<C, R, Args, T, E> CallableOnce<Args> for Retry<C, R>
where
    C: CallableMut<Args, Output = Result<T, E>>,
    R: Ruling<T, E>,
    Args: Clone,
{
    type Output = Result<T, R::Error>;
    type Future = RetryFuture<C::Repeated, R>;

    #[inline]
    fn call_once(self, args: Args) -> Self::Future {
        RetryFuture::new(self.callable.repeated(args), self.policy, self.rules, self.describe.place())
    }

    fn name(&self) -> Name {
        self.callable.name().or_place(self.describe.place())
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.callable.holds_back()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<C, R, Args, T, E> CallableMut<Args> for Retry<C, R>
where
    C: CallableMut<Args, Output = Result<T, E>>,
    R: Ruling<T, E>,
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

#[diagnostic::do_not_recommend] // or rustc speaks of a captured variable that is not `Clone`
impl<C, R, Args, T, E> Callable<Args> for Retry<C, R>
where
    C: CallableMut<Args, Output = Result<T, E>> + Clone,
    R: Ruling<T, E> + Clone,
    Args: Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        // Clones each part: a clone of the whole would be copied once more on its way into the
        // future.
        let place = self.describe.place();
        RetryFuture::new(self.callable.clone().repeated(args), self.policy.clone(), self.rules.clone(), place)
    }
}

awaited_directly!(Retry<C, R>, C, R);

impl<C, R: fmt::Debug> fmt::Debug for Retry<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe.write(&self.callable, f)?;
        write!(f, ".retry_with({}){:?}", self.policy, self.rules)
    }
}
