//! Decorators of bare futures: all those that neither repeat the call nor read its arguments.

#[cfg(feature = "metrics")]
use crate::decorators::metered::{CallMeter, Classifies, KeysOfFuture, Metering};
#[cfg(feature = "chaos")]
use crate::{Chaos, decorators::chaotic::Chaotic};
use crate::{
    CircuitBreaker, ConcurrencyLimiter, Fallible, KeyedBreaker, KeyedConcurrencyLimiter, KeyedLimiter, Name, Permits,
    RateLimiter, ResultLike,
    call::Called,
    concurrency_limiter::OnePermit,
    decorators::{
        backing_off::BackingOff,
        concurrency_limited::{ConcurrencyAdmission, RefusableConcurrencyAdmission},
        errors::{Lifted, MadeFallible},
        guarded_by::Guard,
        logged::{CallLog, HideValues, Logging, ShowDebug, ShowValue},
        pausing::{ByError, ByResult, Keyed, Pausing},
        rate_limited::{Admission, RefusableAdmission},
        timed::{AnyOutput, OutcomeOf, Stopwatch, Timing},
        timeout::TimeoutFuture,
        traced::{ByClosure, CallNamed, CallSpan},
        unless_open::UnlessOpen,
    },
    layer::{Gate, GatedFuture, MappedFuture},
};
#[cfg(feature = "memo")]
use crate::{
    KeyPart, Memo,
    decorators::invalidating::{Invalidation, Target},
    memo::{Begun, FixedKey, GetOrLoad, Key, Memoizable, MemoizedFuture, Options, Value},
};
use futures::future::{Fuse, FutureExt as _};
#[cfg(feature = "memo")]
use std::borrow::Cow;
use std::{
    borrow::Borrow,
    fmt::{Debug, Display},
    future::Future,
    hash::Hash,
    time::Duration,
};
use tracing::Span;

/// The decorators, as methods of every future.
///
/// Each method means the same as on functions: see [`FnExt`](crate::FnExt), which also describes
/// its place in a chain, its cancel safety, its errors and its panics. A future runs once, so it
/// cannot be retried, and its arguments are gone, so it cannot be validated. Decorate the function
/// instead, or a closure: `(|| fetch(42)).retry_with(&policy).await`.
///
/// The name of a future is that of the async function that made it, or of the function that
/// contains its async block. A boxed future shows no name. For another name, which may be made at
/// run time, wrap the future in a closure: `(|| fetch(42)).named(format!("job
/// {id}")).timeout(limit).await`.
///
/// # Other crates' methods
///
/// The methods do not clash with those of futures, tower, axum and tokio-stream.
/// `tokio_util::future::FutureExt` and `futures_time::future::FutureExt` have a `timeout` as well.
/// With one of them in scope, write `decor::FutureExt::timeout(fetch(42), limit)`.
pub trait FutureExt: Future + Sized {
    /// Reports the duration of the call; see [`FnExt::timed`](crate::FnExt::timed).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    /// assert_eq!(fetch(42).timed("fetch").await, 42);
    /// # }
    /// ```
    fn timed(self, name: impl Into<Name>) -> GatedFuture<Self, Stopwatch<AnyOutput>, Self::Output> {
        self.timed_with(Timing::new(name))
    }

    /// [`timed`](Self::timed), with a [`Timing`] of your own; see
    /// [`FnExt::timed_with`](crate::FnExt::timed_with).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Timing, prelude::*};
    /// use std::time::Duration;
    ///
    /// let half_a_second = Duration::from_millis(500);
    /// let timing = Timing::new("nap").record_to(move |m| assert_eq!(m.elapsed, half_a_second));
    /// tokio::time::sleep(Duration::from_millis(500)).timed_with(timing).await;
    /// # }
    /// ```
    fn timed_with<O>(self, timing: Timing<O>) -> GatedFuture<Self, Stopwatch<O>, Self::Output>
    where
        O: OutcomeOf<Self::Output>,
    {
        GatedFuture::new(self, Stopwatch::new(timing))
    }

    /// Logs the call; see [`FnExt::logged`](crate::FnExt::logged).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// assert_eq!(fetch(42).logged().await, Ok(42));
    /// # }
    /// ```
    fn logged(self) -> GatedFuture<Self, CallLog<HideValues>, Self::Output>
    where
        Self::Output: ResultLike<Err: Display>,
    {
        self.logged_with(Logging::new())
    }

    /// [`logged`](Self::logged), with the value: `fetch returned User { id: 42 }`. A future's
    /// arguments are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// assert_eq!(fetch(42).logged_values().await, Ok(42));
    /// # }
    /// ```
    fn logged_values(self) -> GatedFuture<Self, CallLog<ShowDebug>, Self::Output>
    where
        Self::Output: ResultLike<Ok: Debug, Err: Display>,
    {
        self.logged_with(Logging::new().values())
    }

    /// [`logged`](Self::logged), with a [`Logging`] of your own; see
    /// [`FnExt::logged_with`](crate::FnExt::logged_with).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Logging, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// let logging = Logging::new().level(tracing::Level::DEBUG);
    /// assert_eq!(fetch(42).logged_with(logging).await, Ok(42));
    /// # }
    /// ```
    fn logged_with<S>(self, logging: Logging<S>) -> GatedFuture<Self, CallLog<S>, Self::Output>
    where
        Self::Output: ResultLike<Err: Display>,
        S: ShowValue<<Self::Output as ResultLike>::Ok>,
    {
        GatedFuture::new(self, CallLog::new(logging, Name::of_future::<Self>()))
    }

    /// Makes a span of `tracing` for the call; see [`FnExt::traced`](crate::FnExt::traced).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// assert_eq!(fetch(42).traced("fetch").await, Ok(42));
    /// # }
    /// ```
    fn traced(self, name: impl Into<Name>) -> GatedFuture<Self, CallSpan<CallNamed>, Self::Output>
    where
        Self::Output: ResultLike<Err: Display>,
    {
        GatedFuture::new(self, CallSpan::named(name.into()))
    }

    /// [`traced`](Self::traced), with a span of your own, which is made at the first poll; see
    /// [`FnExt::traced_with`](crate::FnExt::traced_with). A future's arguments are gone, so the
    /// closure takes none.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    /// use tracing::{field::Empty, info_span};
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// let span = || info_span!("fetch", id = 42, outcome = Empty);
    /// assert_eq!(fetch(42).traced_with(span).await, Ok(42));
    /// # }
    /// ```
    fn traced_with<P>(self, span: P) -> GatedFuture<Self, CallSpan<ByClosure<P>>, Self::Output>
    where
        P: Fn() -> Span,
        Self::Output: ResultLike<Err: Display>,
    {
        GatedFuture::new(self, CallSpan::by(span))
    }

    /// Records the duration of the call as a metric; see [`FnExt::metered`](crate::FnExt::metered).
    /// Feature `metrics`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    /// assert_eq!(fetch(42).metered("fetch").await, 42);
    /// # }
    /// ```
    #[cfg(feature = "metrics")]
    fn metered(self, name: impl Into<Name>) -> GatedFuture<Self, CallMeter<AnyOutput, KeysOfFuture>, Self::Output> {
        self.metered_with(Metering::new(name))
    }

    /// [`metered`](Self::metered), with a [`Metering`] of your own; see
    /// [`FnExt::metered_with`](crate::FnExt::metered_with). Feature `metrics`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Metering, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// let metering = Metering::new("fetch").by_result();
    /// assert_eq!(fetch(42).metered_with(metering).await, Ok(42));
    /// # }
    /// ```
    #[cfg(feature = "metrics")]
    fn metered_with<O>(self, metering: Metering<O>) -> GatedFuture<Self, CallMeter<O, KeysOfFuture>, Self::Output>
    where
        O: Classifies<Self::Output>,
    {
        GatedFuture::new(self, CallMeter::of_future(metering))
    }

    /// Gives the call at most `limit`; see [`FnExt::timeout`](crate::FnExt::timeout).
    ///
    /// [`.labelled("total")`](TimeoutFuture::labelled) may follow.
    ///
    /// # Panics
    ///
    /// When a pending call is polled outside of a tokio runtime with its timer enabled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn hang(id: u64) -> Result<u64, Error> { std::future::pending().await }
    ///
    /// let limit = Duration::from_secs(2);
    /// let timed_out = Err(Error::TimedOut { name: "hang".into(), after: limit, label: None });
    /// assert_eq!(hang(42).timeout(limit).await, timed_out);
    /// # }
    /// ```
    fn timeout(self, limit: Duration) -> TimeoutFuture<Called<Self>>
    where
        Self::Output: Fallible,
    {
        TimeoutFuture::new(Called::new(self), limit, Name::of_future::<Self>())
    }

    /// Waits for a permit before the future is polled; see
    /// [`FnExt::rate_limited`](crate::FnExt::rate_limited).
    ///
    /// The call stays pending once the limiter is [closed](RateLimiter::close). A future with
    /// `.rate_limited_by(&limiter, 1)` waits as long, and fails then.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(60));
    /// assert_eq!(fetch(42).rate_limited(&limiter).await, 42);
    /// assert_eq!(limiter.available(), 9);
    /// # }
    /// ```
    fn rate_limited(self, limiter: &RateLimiter) -> GatedFuture<Self, Admission, Self::Output> {
        GatedFuture::new(self, Admission::new(limiter.clone()))
    }

    /// [`rate_limited`](Self::rate_limited), with this number of permits; see
    /// [`FnExt::rate_limited_by`](crate::FnExt::rate_limited_by).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(ids: &[u64]) -> Result<usize, Error> { Ok(ids.len()) }
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(60));
    /// let ids = [1, 2, 3];
    /// assert_eq!(fetch(&ids).rate_limited_by(&limiter, ids.len()).await, Ok(3));
    /// assert_eq!(limiter.available(), 7);
    /// # }
    /// ```
    fn rate_limited_by(
        self,
        limiter: &RateLimiter,
        permits: impl Into<Permits>,
    ) -> GatedFuture<Self, RefusableAdmission, Self::Output>
    where
        Self::Output: Fallible,
    {
        GatedFuture::new(self, RefusableAdmission::new(limiter.clone(), permits.into(), None))
    }

    /// [`rate_limited`](Self::rate_limited), with a wait of at most `max_wait`; see
    /// [`FnExt::rate_limited_within`](crate::FnExt::rate_limited_within).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// let within = Duration::from_secs(5);
    /// assert_eq!(fetch(1).rate_limited_within(&limiter, within).await, Ok(1));
    /// assert!(fetch(2).rate_limited_within(&limiter, within).await.is_err());
    /// # }
    /// ```
    fn rate_limited_within(
        self,
        limiter: &RateLimiter,
        max_wait: Duration,
    ) -> GatedFuture<Self, RefusableAdmission, Self::Output>
    where
        Self::Output: Fallible,
    {
        GatedFuture::new(self, RefusableAdmission::new(limiter.clone(), 1_u32.into(), Some(max_wait)))
    }

    /// [`rate_limited`](Self::rate_limited), without a wait: fails if no permit is free; see
    /// [`FnExt::try_rate_limited`](crate::FnExt::try_rate_limited).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// assert_eq!(fetch(1).try_rate_limited(&limiter).await, Ok(1));
    /// assert!(fetch(2).try_rate_limited(&limiter).await.is_err());
    /// # }
    /// ```
    fn try_rate_limited(self, limiter: &RateLimiter) -> GatedFuture<Self, RefusableAdmission, Self::Output>
    where
        Self::Output: Fallible,
    {
        self.rate_limited_within(limiter, Duration::ZERO)
    }

    /// [`rate_limited`](Self::rate_limited), by the limiter of a key; see
    /// [`FnExt::rate_limited_by_key`](crate::FnExt::rate_limited_by_key).
    ///
    /// The key may be borrowed: a `&str` for a `String`. The key is remembered for as long as the
    /// future lives.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(host: &str) -> usize { host.len() }
    ///
    /// let per_host: KeyedLimiter<String> = KeyedLimiter::new(10, Duration::from_secs(60));
    /// let host = "a.example";
    /// assert_eq!(fetch(host).rate_limited_by_key(&per_host, host).await, 9);
    /// assert_eq!(per_host.for_key(host).available(), 9);
    /// # }
    /// ```
    fn rate_limited_by_key<K, Q>(self, limiter: &KeyedLimiter<K>, key: &Q) -> GatedFuture<Self, Admission, Self::Output>
    where
        K: Eq + Hash + Clone + Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        GatedFuture::new(self, Admission::new(limiter.for_key(key)))
    }

    /// [`rate_limited_within`](Self::rate_limited_within), by the limiter of a key; see
    /// [`rate_limited_by_key`](Self::rate_limited_by_key).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(host: &str) -> Result<usize, Error> { Ok(host.len()) }
    ///
    /// let per_host: KeyedLimiter<String> = KeyedLimiter::new(1, Duration::from_secs(60));
    /// let (host, within) = ("a.example", Duration::from_secs(5));
    /// assert_eq!(fetch(host).rate_limited_within_by_key(&per_host, within, host).await, Ok(9));
    /// assert!(fetch(host).rate_limited_within_by_key(&per_host, within, host).await.is_err());
    /// # }
    /// ```
    fn rate_limited_within_by_key<K, Q>(
        self,
        limiter: &KeyedLimiter<K>,
        max_wait: Duration,
        key: &Q,
    ) -> GatedFuture<Self, RefusableAdmission, Self::Output>
    where
        K: Eq + Hash + Clone + Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        Self::Output: Fallible,
    {
        self.rate_limited_within(&limiter.for_key(key), max_wait)
    }

    /// [`try_rate_limited`](Self::try_rate_limited), by the limiter of a key; see
    /// [`rate_limited_by_key`](Self::rate_limited_by_key).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn log_in(user: u64) -> Result<u64, Error> { Ok(user) }
    ///
    /// let per_user = KeyedLimiter::new(1, Duration::from_secs(60));
    /// assert_eq!(log_in(7).try_rate_limited_by_key(&per_user, &7).await, Ok(7));
    /// assert!(log_in(7).try_rate_limited_by_key(&per_user, &7).await.is_err());
    /// # }
    /// ```
    fn try_rate_limited_by_key<K, Q>(
        self,
        limiter: &KeyedLimiter<K>,
        key: &Q,
    ) -> GatedFuture<Self, RefusableAdmission, Self::Output>
    where
        K: Eq + Hash + Clone + Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        Self::Output: Fallible,
    {
        self.try_rate_limited(&limiter.for_key(key))
    }

    /// Pauses the limiter for all calls when this call fails with an error that asks for a pause;
    /// see [`FnExt::pausing`](crate::FnExt::pausing).
    ///
    /// A pause is cut to the limiter's [longest](RateLimiter::longest_pause).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// let throttled = std::future::ready(Err::<(), _>(Duration::from_secs(30)));
    /// throttled.pausing(&limiter, |retry_after| Some(*retry_after)).await.unwrap_err();
    /// assert_eq!(limiter.available(), 0);
    /// # }
    /// ```
    fn pausing<P>(self, limiter: &RateLimiter, hint: P) -> GatedFuture<Self, Pausing<ByError<P>>, Self::Output>
    where
        Self::Output: ResultLike,
        P: FnMut(&<Self::Output as ResultLike>::Err) -> Option<Duration>,
    {
        GatedFuture::new(self, Pausing::new(limiter.clone(), ByError(hint)))
    }

    /// Pauses the limiter for all calls when this call's output asks for a pause, an `Ok` included;
    /// see [`FnExt::pausing_result`](crate::FnExt::pausing_result).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// struct Response { retry_after: Option<Duration> }
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// let throttled = std::future::ready(Response { retry_after: Some(Duration::from_secs(30)) });
    /// throttled.pausing_result(&limiter, |response| response.retry_after).await;
    /// assert_eq!(limiter.available(), 0);
    /// # }
    /// ```
    fn pausing_result<P>(self, limiter: &RateLimiter, hint: P) -> GatedFuture<Self, Pausing<ByResult<P>>, Self::Output>
    where
        P: FnMut(&Self::Output) -> Option<Duration>,
    {
        GatedFuture::new(self, Pausing::new(limiter.clone(), ByResult(hint)))
    }

    /// [`pausing`](Self::pausing), by key: pauses the limiter of this key, and no other; see
    /// [`FnExt::pausing_by_key`](crate::FnExt::pausing_by_key).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// let per_host: KeyedLimiter<String> = KeyedLimiter::new(10, Duration::from_secs(1));
    /// let throttled = std::future::ready(Err::<(), _>(Duration::from_secs(30)));
    /// let hint = |retry_after: &Duration| Some(*retry_after);
    /// throttled.pausing_by_key(&per_host, "a.example", hint).await.unwrap_err();
    /// assert_eq!(per_host.for_key("a.example").available(), 0);
    /// assert_eq!(per_host.for_key("b.example").available(), 10);
    /// # }
    /// ```
    fn pausing_by_key<K, Q, P>(
        self,
        limiter: &KeyedLimiter<K>,
        key: &Q,
        hint: P,
    ) -> GatedFuture<Self, Pausing<ByError<P>, Keyed<K>>, Self::Output>
    where
        K: Eq + Hash + Clone + Borrow<Q>,
        Q: ToOwned<Owned = K> + ?Sized,
        Self::Output: ResultLike,
        P: FnMut(&<Self::Output as ResultLike>::Err) -> Option<Duration>,
    {
        GatedFuture::new(self, Pausing::new(Keyed::new(limiter, key.to_owned()), ByError(hint)))
    }

    /// [`pausing_result`](Self::pausing_result), by key: pauses the limiter of this key, and no
    /// other; see [`FnExt::pausing_result_by_key`](crate::FnExt::pausing_result_by_key).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// struct Response { retry_after: Option<Duration> }
    ///
    /// let per_host: KeyedLimiter<String> = KeyedLimiter::new(10, Duration::from_secs(1));
    /// let throttled = std::future::ready(Response { retry_after: Some(Duration::from_secs(30)) });
    /// let hint = |response: &Response| response.retry_after;
    /// throttled.pausing_result_by_key(&per_host, "a.example", hint).await;
    /// assert_eq!(per_host.for_key("a.example").available(), 0);
    /// # }
    /// ```
    fn pausing_result_by_key<K, Q, P>(
        self,
        limiter: &KeyedLimiter<K>,
        key: &Q,
        hint: P,
    ) -> GatedFuture<Self, Pausing<ByResult<P>, Keyed<K>>, Self::Output>
    where
        K: Eq + Hash + Clone + Borrow<Q>,
        Q: ToOwned<Owned = K> + ?Sized,
        P: FnMut(&Self::Output) -> Option<Duration>,
    {
        GatedFuture::new(self, Pausing::new(Keyed::new(limiter, key.to_owned()), ByResult(hint)))
    }

    /// Refuses the call while a circuit is open; see
    /// [`FnExt::guarded_by`](crate::FnExt::guarded_by).
    ///
    /// [`.when(..)`](GatedFuture::when), [`.when_result(..)`](GatedFuture::when_result),
    /// [`.transient()`](GatedFuture::transient) and [`.ignoring(..)`](GatedFuture::ignoring) may
    /// follow. A future counts as called when it is polled, so a refusal of a limiter before the
    /// breaker counts as its error does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let breaker = CircuitBreaker::consecutive(5);
    /// assert_eq!(fetch(42).guarded_by(&breaker).await, Ok(42));
    /// breaker.trip();
    /// assert!(matches!(fetch(42).guarded_by(&breaker).await, Err(Error::CircuitOpen { .. })));
    /// # }
    /// ```
    fn guarded_by(self, breaker: &CircuitBreaker) -> GatedFuture<Self, Guard<CircuitBreaker>, Self::Output>
    where
        Self::Output: Fallible,
    {
        GatedFuture::new(self, Guard::of_future(breaker.clone()))
    }

    /// [`guarded_by`](Self::guarded_by), by the breaker of a key; see
    /// [`FnExt::guarded_by_key`](crate::FnExt::guarded_by_key).
    ///
    /// The key may be borrowed: a `&str` for a `String`. The key is remembered for as long as the
    /// future lives.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, KeyedBreaker, prelude::*};
    ///
    /// async fn fetch(host: &str) -> Result<usize, Error> { Ok(host.len()) }
    ///
    /// let per_host: KeyedBreaker<String> = KeyedBreaker::consecutive(5);
    /// per_host.for_key("a.example").trip();
    /// assert!(fetch("a.example").guarded_by_key(&per_host, "a.example").await.is_err());
    /// assert_eq!(fetch("b.example").guarded_by_key(&per_host, "b.example").await, Ok(9));
    /// # }
    /// ```
    fn guarded_by_key<K, Q>(
        self,
        breaker: &KeyedBreaker<K>,
        key: &Q,
    ) -> GatedFuture<Self, Guard<CircuitBreaker>, Self::Output>
    where
        K: Eq + Hash + Clone + Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        Self::Output: Fallible,
    {
        GatedFuture::new(self, Guard::of_future(breaker.for_key(key)))
    }

    /// Refuses the call while a circuit is open, and counts nothing; see
    /// [`FnExt::unless_open`](crate::FnExt::unless_open).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let breaker = CircuitBreaker::consecutive(5);
    /// assert_eq!(fetch(42).unless_open(&breaker).await, Ok(42));
    /// breaker.isolate();
    /// assert!(fetch(42).unless_open(&breaker).await.is_err());
    /// # }
    /// ```
    fn unless_open(self, breaker: &CircuitBreaker) -> GatedFuture<Self, UnlessOpen, Self::Output>
    where
        Self::Output: Fallible,
    {
        GatedFuture::new(self, UnlessOpen::new(breaker.clone()))
    }

    /// Waits for a permit before the future is polled, and holds it until the future has ended; see
    /// [`FnExt::concurrency_limited`](crate::FnExt::concurrency_limited).
    ///
    /// The call stays pending once the limiter is [closed](ConcurrencyLimiter::close). A future
    /// with `.concurrency_limited_by(&limiter, 1)` waits as long, and fails then.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// let limiter = ConcurrencyLimiter::new(8);
    /// let call = async { limiter.in_use() }.concurrency_limited(&limiter);
    /// assert_eq!((call.await, limiter.in_use()), (1, 0));
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    fn concurrency_limited(
        self,
        limiter: &ConcurrencyLimiter,
    ) -> GatedFuture<Fuse<Self>, ConcurrencyAdmission, Self::Output> {
        GatedFuture::new(self.fuse(), ConcurrencyAdmission::new(limiter.clone()))
    }

    /// [`concurrency_limited`](Self::concurrency_limited), with this number of permits; see
    /// [`FnExt::concurrency_limited_by`](crate::FnExt::concurrency_limited_by).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, prelude::*};
    ///
    /// let limiter = ConcurrencyLimiter::new(8);
    /// let call = async { Ok::<_, Error>(limiter.in_use()) };
    /// assert_eq!(call.concurrency_limited_by(&limiter, 5).await, Ok(5));
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    fn concurrency_limited_by(
        self,
        limiter: &ConcurrencyLimiter,
        permits: impl Into<Permits>,
    ) -> GatedFuture<Fuse<Self>, RefusableConcurrencyAdmission<Permits>, Self::Output>
    where
        Self::Output: Fallible,
    {
        GatedFuture::new(self.fuse(), RefusableConcurrencyAdmission::new(limiter.clone(), permits.into(), None))
    }

    /// [`concurrency_limited`](Self::concurrency_limited), by the limiter of a key; see
    /// [`FnExt::concurrency_limited_by_key`](crate::FnExt::concurrency_limited_by_key).
    ///
    /// The key may be borrowed: a `&str` for a `String`. The key is remembered for as long as the
    /// future lives.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{KeyedConcurrencyLimiter, prelude::*};
    ///
    /// let per_host: KeyedConcurrencyLimiter<String> = KeyedConcurrencyLimiter::new(8);
    /// let call = async { per_host.for_key("a.example").in_use() };
    /// assert_eq!(call.concurrency_limited_by_key(&per_host, "a.example").await, 1);
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    fn concurrency_limited_by_key<K, Q>(
        self,
        limiter: &KeyedConcurrencyLimiter<K>,
        key: &Q,
    ) -> GatedFuture<Fuse<Self>, ConcurrencyAdmission, Self::Output>
    where
        K: Eq + Hash + Clone + Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.concurrency_limited(&limiter.for_key(key))
    }

    /// [`concurrency_limited`](Self::concurrency_limited), with a wait of at most `max_wait`; see
    /// [`FnExt::concurrency_limited_within`](crate::FnExt::concurrency_limited_within).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let limiter = ConcurrencyLimiter::new(1);
    /// let within = Duration::from_secs(5);
    /// assert_eq!(fetch(1).concurrency_limited_within(&limiter, within).await, Ok(1));
    /// let busy = limiter.try_acquire().unwrap();
    /// assert!(fetch(2).concurrency_limited_within(&limiter, within).await.is_err());
    /// # drop(busy);
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    fn concurrency_limited_within(
        self,
        limiter: &ConcurrencyLimiter,
        max_wait: Duration,
    ) -> GatedFuture<Fuse<Self>, RefusableConcurrencyAdmission<OnePermit>, Self::Output>
    where
        Self::Output: Fallible,
    {
        GatedFuture::new(self.fuse(), RefusableConcurrencyAdmission::new(limiter.clone(), OnePermit, Some(max_wait)))
    }

    /// [`concurrency_limited_within`](Self::concurrency_limited_within), by the limiter of a key;
    /// see [`concurrency_limited_by_key`](Self::concurrency_limited_by_key).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, KeyedConcurrencyLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(host: &str) -> Result<usize, Error> { Ok(host.len()) }
    ///
    /// let per_host: KeyedConcurrencyLimiter<String> = KeyedConcurrencyLimiter::new(1);
    /// let (host, within) = ("a.example", Duration::from_secs(5));
    /// let call = fetch(host).concurrency_limited_within_by_key(&per_host, within, host);
    /// assert_eq!(call.await, Ok(9));
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    fn concurrency_limited_within_by_key<K, Q>(
        self,
        limiter: &KeyedConcurrencyLimiter<K>,
        max_wait: Duration,
        key: &Q,
    ) -> GatedFuture<Fuse<Self>, RefusableConcurrencyAdmission<OnePermit>, Self::Output>
    where
        K: Eq + Hash + Clone + Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        Self::Output: Fallible,
    {
        self.concurrency_limited_within(&limiter.for_key(key), max_wait)
    }

    /// [`concurrency_limited`](Self::concurrency_limited), without a wait: fails if no permit is
    /// free; see [`FnExt::try_concurrency_limited`](crate::FnExt::try_concurrency_limited).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let limiter = ConcurrencyLimiter::new(1);
    /// assert_eq!(fetch(1).try_concurrency_limited(&limiter).await, Ok(1));
    /// let busy = limiter.try_acquire().unwrap();
    /// assert!(fetch(2).try_concurrency_limited(&limiter).await.is_err());
    /// # drop(busy);
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    fn try_concurrency_limited(
        self,
        limiter: &ConcurrencyLimiter,
    ) -> GatedFuture<Fuse<Self>, RefusableConcurrencyAdmission<OnePermit>, Self::Output>
    where
        Self::Output: Fallible,
    {
        self.concurrency_limited_within(limiter, Duration::ZERO)
    }

    /// [`try_concurrency_limited`](Self::try_concurrency_limited), by the limiter of a key; see
    /// [`concurrency_limited_by_key`](Self::concurrency_limited_by_key).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, KeyedConcurrencyLimiter, prelude::*};
    ///
    /// async fn log_in(user: u64) -> Result<u64, Error> { Ok(user) }
    ///
    /// let per_user = KeyedConcurrencyLimiter::new(1);
    /// let busy = per_user.for_key(&7).try_acquire().unwrap();
    /// assert!(log_in(7).try_concurrency_limited_by_key(&per_user, &7).await.is_err());
    /// assert_eq!(log_in(8).try_concurrency_limited_by_key(&per_user, &8).await, Ok(8));
    /// # drop(busy);
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    fn try_concurrency_limited_by_key<K, Q>(
        self,
        limiter: &KeyedConcurrencyLimiter<K>,
        key: &Q,
    ) -> GatedFuture<Fuse<Self>, RefusableConcurrencyAdmission<OnePermit>, Self::Output>
    where
        K: Eq + Hash + Clone + Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        Self::Output: Fallible,
    {
        self.try_concurrency_limited(&limiter.for_key(key))
    }

    /// Signals an overload to an adaptive limiter when this call fails with such an error; see
    /// [`FnExt::backing_off`](crate::FnExt::backing_off).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// let limiter = ConcurrencyLimiter::adaptive(4..=100);
    /// let throttled = std::future::ready(Err::<(), _>(429));
    /// throttled.backing_off(&limiter, |status| *status == 429).await.unwrap_err();
    /// assert_eq!(limiter.limit(), 15);
    /// # }
    /// ```
    #[doc(alias = "aimd")]
    fn backing_off<P>(
        self,
        limiter: &ConcurrencyLimiter,
        is_overload: P,
    ) -> GatedFuture<Self, BackingOff<P>, Self::Output>
    where
        Self::Output: ResultLike,
        P: FnMut(&<Self::Output as ResultLike>::Err) -> bool,
    {
        GatedFuture::new(self, BackingOff::new(limiter.clone(), is_overload))
    }

    /// [`backing_off`](Self::backing_off), by key: signals an overload to the limiter of this key,
    /// and to no other; see [`FnExt::backing_off_by_key`](crate::FnExt::backing_off_by_key).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{KeyedConcurrencyLimiter, prelude::*};
    ///
    /// let per_host: KeyedConcurrencyLimiter<String> = KeyedConcurrencyLimiter::adaptive(4..=100);
    /// let throttled = std::future::ready(Err::<(), _>(429));
    /// let call = throttled.backing_off_by_key(&per_host, "a.example", |status| *status == 429);
    /// call.await.unwrap_err();
    /// assert_eq!(per_host.for_key("a.example").limit(), 15);
    /// assert_eq!(per_host.for_key("b.example").limit(), 20);
    /// # }
    /// ```
    #[doc(alias = "aimd")]
    fn backing_off_by_key<K, Q, P>(
        self,
        limiter: &KeyedConcurrencyLimiter<K>,
        key: &Q,
        is_overload: P,
    ) -> GatedFuture<Self, BackingOff<P>, Self::Output>
    where
        K: Eq + Hash + Clone + Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        Self::Output: ResultLike,
        P: FnMut(&<Self::Output as ResultLike>::Err) -> bool,
    {
        self.backing_off(&limiter.for_key(key), is_overload)
    }

    /// Remembers the output under this key; see [`FnExt::memoized`](crate::FnExt::memoized).
    ///
    /// The future is polled only if the value has to be loaded. The key may be borrowed: a `&str`
    /// for a `String`. [`.sharing_errors()`](crate::future::MemoizedFuture::sharing_errors),
    /// [`.isolating_errors()`](crate::future::MemoizedFuture::isolating_errors) and
    /// [`.detached()`](crate::future::MemoizedFuture::detached) may follow.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<String, String> { Ok(format!("user {id}")) }
    ///
    /// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    /// assert_eq!(fetch(42).memoized_by(&users, 42).await.unwrap(), "user 42");
    /// assert_eq!(users.get(&42).unwrap(), "user 42");
    /// # }
    /// ```
    #[cfg(feature = "memo")]
    fn memoized_by<K, V, Q>(self, memo: &Memo<K, V>, key: Q) -> GetOrLoad<Begun<Self>, Self, K, V, Q>
    where
        K: Eq + Hash,
        Q: KeyPart<K>,
        Self::Output: Memoizable<V>,
    {
        MemoizedFuture::new(memo.clone(), Begun(self), (), Options::new(FixedKey::new(key)))
    }

    /// Removes the value of this key from a memo after a success; see
    /// [`FnExt::invalidating`](crate::FnExt::invalidating).
    ///
    /// The key may be borrowed: a `&str` for a `String`.
    /// [`.before_and_after()`](GatedFuture::before_and_after) may follow.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn rename(id: u64, name: &str) -> Result<(), String> { Ok(()) }
    ///
    /// let users: Memo<u64, String> = Memo::builder().build();
    /// users.insert(42, "Ada".to_owned());
    /// rename(42, "Grace").invalidating(&users, 42).await.unwrap();
    /// assert!(!users.contains(&42));
    /// # }
    /// ```
    #[cfg(feature = "memo")]
    fn invalidating<K, V, Q>(self, memo: &Memo<K, V>, key: Q) -> GatedFuture<Self, Invalidation<K, V>, Self::Output>
    where
        K: Key,
        V: Value,
        Q: KeyPart<K>,
        Self::Output: ResultLike,
    {
        GatedFuture::new(self, Invalidation::new(memo, Target::Key(key.to_key())))
    }

    /// Removes all values that have this tag from a memo after a success; see
    /// [`FnExt::invalidating_tag`](crate::FnExt::invalidating_tag).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn order(user: u64, item: &str) -> Result<(), String> { Ok(()) }
    ///
    /// let pages: Memo<&str, u64> =
    ///     Memo::builder().tags_by(|_page: &&str, user: &u64| [format!("user:{user}")]).build();
    /// pages.insert("/cart", 42);
    /// order(42, "book").invalidating_tag(&pages, "user:42").await.unwrap();
    /// assert!(!pages.contains(&"/cart"));
    /// # }
    /// ```
    #[cfg(feature = "memo")]
    fn invalidating_tag<K, V>(
        self,
        memo: &Memo<K, V>,
        tag: impl Into<Cow<'static, str>>,
    ) -> GatedFuture<Self, Invalidation<K, V>, Self::Output>
    where
        K: Key,
        V: Value,
        Self::Output: ResultLike,
    {
        GatedFuture::new(self, Invalidation::new(memo, Target::Tag(tag.into())))
    }

    /// Fails, delays or hangs the call by a [`Chaos`](crate::Chaos); see
    /// [`FnExt::chaotic`](crate::FnExt::chaotic).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Chaos, Fault, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, &'static str> { Ok(id) }
    ///
    /// let chaos = Chaos::script([Fault::Fail]);
    /// assert_eq!(fetch(42).chaotic(&chaos, || "busy").await, Err("busy"));
    /// assert_eq!(fetch(42).chaotic(&chaos, || "busy").await, Ok(42));
    /// # }
    /// ```
    #[cfg(feature = "chaos")]
    fn chaotic<M>(self, chaos: &Chaos, error: M) -> GatedFuture<Self, Chaotic<M>, Self::Output>
    where
        Self::Output: ResultLike,
        M: FnMut() -> <Self::Output as ResultLike>::Err,
        Chaotic<M>: Gate<Self::Output>,
    {
        GatedFuture::new(self, Chaotic::new(chaos.clone(), error))
    }

    /// Lets a foreign error type carry decor's own errors; see
    /// [`FnExt::lifted`](crate::FnExt::lifted).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Failure, prelude::*};
    /// use std::{num::ParseIntError, time::Duration};
    ///
    /// let hang = std::future::pending::<Result<u8, ParseIntError>>();
    /// let failure = hang.lifted().timeout(Duration::from_secs(1)).await.unwrap_err();
    /// assert!(matches!(failure, Failure::Policy(decor::Error::TimedOut { .. })));
    /// # }
    /// ```
    fn lifted<T, E>(self) -> MappedFuture<Self, Lifted>
    where
        Self: Future<Output = Result<T, E>>,
    {
        MappedFuture::new(self, Lifted)
    }

    /// Lets a plain output carry decor's own errors; see
    /// [`FnExt::fallible`](crate::FnExt::fallible).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let (_keep_open, mut rx) = tokio::sync::mpsc::channel::<u8>(1);
    /// assert!(rx.recv().fallible().timeout(Duration::from_secs(1)).await.is_err());
    /// # }
    /// ```
    fn fallible(self) -> MappedFuture<Self, MadeFallible> {
        MappedFuture::new(self, MadeFallible)
    }

    /// Puts a [`Gate`] of your own before the future.
    ///
    /// See [`FnExt::gated`](crate::FnExt::gated).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{layer::{Gate, Wait}, prelude::*};
    /// use std::{future::ready, task::Poll, time::Duration};
    /// use tokio::time::Instant;
    ///
    /// struct NotBefore(Instant);
    ///
    /// impl<T> Gate<T> for NotBefore {
    ///     fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
    ///         wait.until(self.0).map(Ok)
    ///     }
    /// }
    ///
    /// let begun = Instant::now();
    /// assert_eq!(ready(42).gated(NotBefore(begun + Duration::from_secs(3))).await, 42);
    /// assert_eq!(begun.elapsed(), Duration::from_secs(3));
    /// # }
    /// ```
    fn gated<G>(self, gate: G) -> GatedFuture<Self, G, Self::Output>
    where
        G: Gate<Self::Output>,
    {
        GatedFuture::new(self, gate)
    }

    // The bounds of the three methods below are never satisfied, so that the compiler can say why
    // a future has no such method. They take `&mut self`, because method lookup tries that last. A
    // method of another trait with the same name, which takes `self` or `&self`, is never
    // ambiguous.

    #[cfg(feature = "memo")]
    #[doc(hidden)]
    fn memoized<K, V>(&mut self, _memo: &Memo<K, V>) -> std::future::Pending<Self::Output>
    where
        Self: KnowsItsArguments,
    {
        std::future::pending()
    }

    #[doc(hidden)]
    fn validated<V>(&mut self, _validate: V) -> std::future::Pending<Self::Output>
    where
        Self: ShowsItsArguments,
    {
        std::future::pending()
    }

    #[doc(hidden)]
    fn retry_with<P>(&mut self, _policy: P) -> std::future::Pending<Self::Output>
    where
        Self: RunsAgain,
    {
        std::future::pending()
    }
}

impl<F: Future> FutureExt for F {}

/// Never implemented. Its diagnostic explains why a bare future cannot be retried.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a future runs once, so it cannot be retried",
    label = "this is a future already, not a function that makes one",
    note = "retry the function: `fetch.retry_with(&policy).call(42).await`",
    note = "or a closure that calls it: `(|| fetch(42)).retry_with(&policy).await`"
)]
pub trait RunsAgain {}

/// Never implemented. Its diagnostic explains why a bare future cannot be validated.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a future's arguments are gone, so they cannot be validated",
    label = "this is a future already, not a function that makes one",
    note = "validate the function: `fetch.validated(check).call(42).await`"
)]
pub trait ShowsItsArguments {}

/// Never implemented. Its diagnostic explains why a bare future needs a key to be memoized.
#[cfg(feature = "memo")]
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a future's arguments are gone, so they cannot be the key of a memo",
    label = "this is a future already, not a function that makes one",
    note = "memoize the function: `fetch.memoized(&memo).call(42).await`",
    note = "or give the key: `fetch(42).memoized_by(&memo, 42).await`"
)]
pub trait KnowsItsArguments {}
