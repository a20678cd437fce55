//! Every decorator of a sync function: what it means is said at [`crate::FnExt`]; what is different for a thread, here.

use super::{
    around::around,
    boxed::BoxedFn,
    call::{Callable, CallableMut, CallableOnce},
    timeout::Timeout,
};
use crate::{
    Around, Fallible, KeyedLimiter, Permits, RateLimiter, ResultLike, RetryPolicy,
    args::{CloneArgs, DebugArgs, Inspect},
    call::Describe,
    decorators::{
        convert::{ErrInto, Lifted, MadeFallible, MapErr},
        deprecated::{Deprecated, Deprecation},
        logged::{Discreet, Logged, Logging, Picked, ShowArgs, ShowValue, Values},
        named::Named,
        pausing::Pausing,
        rate_limited::{RateLimited, RateLimitedBy, RateLimitedByKey, RateLimitedWithin},
        retry::Retry,
        timed::{OutcomeOf, Timing},
        validated::Validated,
    },
};
#[cfg(feature = "memo")]
use crate::{Cacheable, Memo, MemoKey, Memoized, memo::KeyFromFn};
use std::{
    fmt::{Debug, Display},
    hash::Hash,
    marker::PhantomData,
    time::Duration,
};

/// The decorators, as methods on every sync function that has been lifted by [`.blocking()`](super::SyncFn::blocking).
///
/// They have the names, meanings, errors and log lines of [`crate::FnExt`], where each is described in full, and take the same
/// policies and handles. A chain is called by `.call(..)`; without arguments, `.run()` consumes it.
pub trait FnExt<Args>: CallableOnce<Args> + Sized {
    /// Reports how long each call takes; see [`FnExt::timed`](crate::FnExt::timed).
    ///
    /// ```
    /// use decor::prelude::*;
    ///
    /// assert_eq!((|n: u32| n * 2).blocking().timed("double").call(21), 42);
    /// ```
    fn timed(self, name: &'static str) -> Around<Self, Timing> {
        self.timed_with(Timing::new(name))
    }

    /// [`timed`](Self::timed), with a [`Timing`] of one's own; see [`FnExt::timed_with`](crate::FnExt::timed_with).
    ///
    /// ```
    /// use decor::{Outcome, Timing, prelude::*};
    ///
    /// let timing = Timing::new("double").to(|m| assert_eq!(m.outcome, Outcome::Completed));
    /// assert_eq!((|n: u32| n * 2).blocking().timed_with(timing).call(21), 42);
    /// ```
    fn timed_with<O>(self, timing: Timing<O>) -> Around<Self, Timing<O>>
    where
        O: OutcomeOf<Self::Output>,
    {
        around(self, timing)
    }

    /// Logs each call; see [`FnExt::logged`](crate::FnExt::logged).
    ///
    /// ```
    /// use decor::prelude::*;
    ///
    /// fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    /// assert_eq!(parse.blocking().logged().call("42"), Ok(42));
    /// ```
    fn logged(self) -> Around<Self, Logged<Discreet>>
    where
        Self::Output: ResultLike<Err: Display>,
    {
        self.logged_with(Logging::new())
    }

    /// [`logged`](Self::logged), with arguments and value; see [`FnExt::logged_values`](crate::FnExt::logged_values).
    ///
    /// ```
    /// use decor::prelude::*;
    ///
    /// fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    /// assert_eq!(parse.blocking().logged_values().call("42"), Ok(42));
    /// ```
    fn logged_values(self) -> Around<Self, Logged<Values>>
    where
        Args: DebugArgs,
        Self::Output: ResultLike<Ok: Debug, Err: Display>,
    {
        self.logged_with(Logging::new().values())
    }

    /// [`logged`](Self::logged), with what `pick` makes of the arguments; see [`FnExt::logged_args`](crate::FnExt::logged_args).
    ///
    /// ```
    /// use decor::prelude::*;
    ///
    /// fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    /// assert_eq!(parse.blocking().logged_args(|text: &&str| text.len()).call("42"), Ok(42));
    /// ```
    fn logged_args<P>(self, pick: P) -> Around<Self, Logged<Picked<P>>>
    where
        P: Inspect<Args, Output: Display>,
        Self::Output: ResultLike<Err: Display>,
    {
        self.logged_with(Logging::new().args(pick))
    }

    /// [`logged`](Self::logged), with a [`Logging`] of one's own; see [`FnExt::logged_with`](crate::FnExt::logged_with).
    ///
    /// ```
    /// use decor::{Logging, prelude::*};
    ///
    /// fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    /// let logging = Logging::new().values().level(tracing::Level::DEBUG);
    /// assert_eq!(parse.blocking().logged_with(logging).call("42"), Ok(42));
    /// ```
    fn logged_with<S>(self, logging: Logging<S>) -> Around<Self, Logged<S>>
    where
        Self::Output: ResultLike<Err: Display>,
        S: ShowArgs<Args> + ShowValue<<Self::Output as ResultLike>::Ok>,
    {
        let name = self.label();
        around(self, Logged::new(logging, name))
    }

    /// Gives each call at most `limit`, and then returns [`Error::TimedOut`](crate::Error::TimedOut); see
    /// [`FnExt::timeout`](crate::FnExt::timeout).
    ///
    /// A thread cannot be cancelled. So each call runs on a thread of its own, and its caller is back within the limit; what
    /// was in progress runs on, and its result is dropped (a memo within keeps what it has loaded). But nothing of decor's begins after that: no further attempt, no
    /// permit taken, no load of a memo; where the call would have come to that, it is unwound, without a word from the panic hook. A panic
    /// before that is the caller's panic. Log lines keep the caller's subscriber and span.
    ///
    /// What is called while the stack unwinds already, from a `Drop`, is let be, and so is everything in a program with
    /// `panic = "abort"`: there an abandoned call goes on to its own end.
    ///
    /// There are 512 slots for such calls. An abandoned call keeps its slot until it ends. If all
    /// slots are taken, a call waits for one, and its limit includes that wait. If the limit passes
    /// first, the call is not made, and its function and arguments are dropped at once, in the
    /// caller's thread. A timeout within a timeout shares its caller's slot. A nested call takes a
    /// slot of its own only if its caller abandons it, even beyond the 512. With 1,024 slots taken,
    /// nested calls wait as well. A thread without work ends after 5 s.
    ///
    /// So give what blocks in the operating system a limit of its own as well, a little longer than this one
    /// (`TcpStream::set_read_timeout`), or each call that hangs keeps its thread for good. A limit of zero calls nothing,
    /// [`Duration::MAX`] needs no thread.
    ///
    /// Function and arguments must be `Send + 'static`: `String` or `Arc<str>` in place of `&str`; and in place of a method, a closure that
    /// owns its client, `move |path: String| client.get(&path)` with an `Arc<Client>`. To be called many times, the function must be
    /// `Clone`. Thread-locals of the caller, a runtime's `Handle` among them, are not there. A `Mutex` that the function holds
    /// while it waits in decor is poisoned if it is unwound there.
    ///
    /// # Panics
    ///
    /// In a task of a current-thread runtime, which it would stop. If not a single thread can be started.
    ///
    /// ```
    /// use decor::{Error, prelude::*};
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// let (_keep_open, never) = mpsc::channel::<u8>();
    /// let hang = move || never.recv().map_err(|_| Error::InvalidArgument { message: "closed".into() });
    ///
    /// let limit = Duration::from_millis(10);
    /// let error = hang.blocking().named("hang").timeout(limit).run().unwrap_err();
    /// assert_eq!(error, Error::TimedOut { name: "hang", after: limit });
    /// ```
    ///
    /// A method, many times:
    ///
    /// ```
    /// use decor::prelude::*;
    /// use std::{sync::Arc, time::Duration};
    ///
    /// struct Client;
    /// impl Client {
    ///     fn get(&self, path: &str) -> Result<String, decor::Error> { Ok(format!("the page at {path}")) }
    /// }
    ///
    /// let client = Arc::new(Client);
    /// let get = move |path: String| client.get(&path);
    /// let get = get.blocking().named("get").timeout(Duration::from_secs(2));
    /// assert_eq!(get.call("/home".into()).unwrap(), "the page at /home");
    /// assert_eq!(get.call("/news".into()).unwrap(), "the page at /news");
    /// ```
    fn timeout(self, limit: Duration) -> Timeout<Self>
    where
        Self::Output: Fallible,
    {
        Timeout::new(self, limit)
    }

    /// Calls the function again when it fails; see [`FnExt::retry_with`](crate::FnExt::retry_with).
    ///
    /// The thread sleeps between attempts. A zero delay does not.
    ///
    /// # Panics
    ///
    /// When it has to wait in a task of a current-thread runtime, which it would stop.
    ///
    /// ```
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::fixed(Duration::ZERO);
    /// let mut attempts = 0;
    /// let flaky = || { attempts += 1; if attempts < 3 { Err("busy") } else { Ok("done") } };
    /// assert_eq!(flaky.blocking().retry_with(&policy).run(), Ok("done"));
    /// assert_eq!(attempts, 3);
    /// ```
    fn retry_with(self, policy: impl Into<RetryPolicy>) -> Retry<Self>
    where
        Self: CallableMut<Args>,
        Self::Output: ResultLike,
        Args: CloneArgs,
    {
        Retry::with_description(self, policy.into(), Describe::by(Self::describe))
    }

    /// Waits for a permit before each call; see [`FnExt::rate_limited`](crate::FnExt::rate_limited).
    ///
    /// Threads and tasks that share a limiter stand in one queue.
    ///
    /// # Panics
    ///
    /// When it has to wait in a task of a current-thread runtime, which it would stop.
    ///
    /// ```
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(3, Duration::from_secs(1));
    /// let double = (|n: u32| n * 2).blocking().rate_limited(&limiter);
    /// assert_eq!(double.call(21), 42);
    /// assert_eq!(limiter.available(), 2);
    /// ```
    fn rate_limited(self, limiter: &RateLimiter) -> Around<Self, RateLimited> {
        around(self, RateLimited(limiter.clone()))
    }

    /// [`rate_limited`](Self::rate_limited), with as many permits as the arguments ask for; see
    /// [`FnExt::rate_limited_by`](crate::FnExt::rate_limited_by).
    ///
    /// ```
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// let send = (|text: &str| Ok::<_, Error>(text.len())).blocking().rate_limited_by(&limiter, |text: &&str| text.len());
    /// assert_eq!(send.call("hello"), Ok(5));
    /// assert_eq!(limiter.available(), 5);
    /// ```
    fn rate_limited_by<P>(self, limiter: &RateLimiter, permits: P) -> Around<Self, RateLimitedBy<P>>
    where
        P: Inspect<Args, Output: Into<Permits>>,
        Self::Output: Fallible,
    {
        around(self, RateLimitedBy { limiter: limiter.clone(), permits })
    }

    /// [`rate_limited`](Self::rate_limited), by the limiter of a key; see
    /// [`FnExt::rate_limited_by_key`](crate::FnExt::rate_limited_by_key).
    ///
    /// ```
    /// use decor::{KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// let per_user = KeyedLimiter::new(1, Duration::from_secs(60));
    /// let notify = (|user: u64| user).blocking().rate_limited_by_key(&per_user, |user: &u64| *user);
    /// notify.call(7);
    /// assert_eq!(per_user.for_key(&7).available(), 0);
    /// ```
    fn rate_limited_by_key<K, P>(self, limiter: &KeyedLimiter<K>, key: P) -> Around<Self, RateLimitedByKey<K, P>>
    where
        K: Eq + Hash + Clone,
        P: Inspect<Args, Output = K>,
    {
        around(self, RateLimitedByKey { limiter: limiter.clone(), key })
    }

    /// [`rate_limited`](Self::rate_limited), but waits no longer than `max_wait`; see
    /// [`FnExt::rate_limited_within`](crate::FnExt::rate_limited_within).
    ///
    /// ```
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// let double = (|n: u32| Ok::<_, Error>(n * 2)).blocking().rate_limited_within(&limiter, Duration::from_secs(5));
    /// assert_eq!(double.call(21), Ok(42));
    /// assert!(matches!(double.call(21), Err(Error::RateLimited { .. })));
    /// ```
    fn rate_limited_within(self, limiter: &RateLimiter, max_wait: Duration) -> Around<Self, RateLimitedWithin>
    where
        Self::Output: Fallible,
    {
        around(self, RateLimitedWithin { limiter: limiter.clone(), max_wait })
    }

    /// [`rate_limited`](Self::rate_limited), but fails where it would have to wait; see
    /// [`FnExt::try_rate_limited`](crate::FnExt::try_rate_limited).
    ///
    /// ```
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// let double = (|n: u32| Ok::<_, Error>(n * 2)).blocking().try_rate_limited(&limiter);
    /// assert_eq!(double.call(21), Ok(42));
    /// assert!(double.call(21).is_err());
    /// ```
    fn try_rate_limited(self, limiter: &RateLimiter) -> Around<Self, RateLimitedWithin>
    where
        Self::Output: Fallible,
    {
        self.rate_limited_within(limiter, Duration::ZERO)
    }

    /// Pauses the limiter for everybody when a call fails with an error that says so; see
    /// [`FnExt::pausing`](crate::FnExt::pausing).
    ///
    /// ```
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// let throttled = (|| Err::<(), _>("429")).blocking().pausing(&limiter, |_| Some(Duration::from_secs(30)));
    /// throttled.run().unwrap_err();
    /// assert!(limiter.try_acquire().is_err());
    /// ```
    fn pausing<P>(self, limiter: &RateLimiter, hint: P) -> Around<Self, Pausing<P>>
    where
        Self::Output: ResultLike,
        P: FnMut(&<Self::Output as ResultLike>::Err) -> Option<Duration>,
    {
        around(self, Pausing::new(limiter, hint))
    }

    /// Remembers the answers; see [`FnExt::memoized`](crate::FnExt::memoized).
    ///
    /// Threads and tasks that share a memo load each value once: a thread waits for what a task loads, and the reverse.
    ///
    /// # Panics
    ///
    /// When it has to wait for another's load in a task of a current-thread runtime, which it would stop; and when the function calls
    /// itself with the same key.
    ///
    /// ```
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let squares = Memo::ttl(Duration::from_secs(300));
    /// let square = (|n: u64| n * n).blocking().memoized(&squares);
    /// assert_eq!([square.call(7), square.call(7)], [49, 49]);
    /// assert_eq!((squares.stats().hits, squares.stats().loads), (1, 1));
    /// ```
    #[cfg(feature = "memo")]
    fn memoized<K, V>(self, memo: &Memo<K, V>) -> Memoized<Self, K, V>
    where
        Args: MemoKey<K>,
        Self::Output: Cacheable<V>,
    {
        Memoized::by_args(self, memo, Describe::by(Self::describe))
    }

    /// [`memoized`](Self::memoized), by a key that a closure makes of the arguments; see
    /// [`FnExt::memoized_by`](crate::FnExt::memoized_by).
    ///
    /// ```
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let squares: Memo<u64, u64> = Memo::ttl(Duration::from_secs(300));
    /// let square = (|n: u64, _: &str| n * n).blocking().memoized_by(&squares, |n: &u64, _: &&str| *n);
    /// square.call(7, "a reason");
    /// assert_eq!(squares.get(&7), Some(49));
    /// ```
    #[cfg(feature = "memo")]
    fn memoized_by<K, V, P>(self, memo: &Memo<K, V>, key: P) -> Memoized<Self, K, V, KeyFromFn<P>>
    where
        P: Inspect<Args, Output = K>,
        Self::Output: Cacheable<V>,
    {
        Memoized::by_closure(self, memo, key, Describe::by(Self::describe))
    }

    /// Refuses arguments before the function is called; see [`FnExt::validated`](crate::FnExt::validated).
    ///
    /// ```
    /// use decor::{Error, prelude::*};
    ///
    /// let half = (|n: u32| Ok::<_, Error>(n / 2)).blocking();
    /// let half = half.validated(|n: &u32| if n % 2 == 0 { Ok(()) } else { Err("n must be even") });
    /// assert_eq!(half.call(42), Ok(21));
    /// assert_eq!(half.call(7).unwrap_err().to_string(), "invalid argument: n must be even");
    /// ```
    fn validated<V, M>(self, validate: V) -> Validated<Self, V>
    where
        V: Inspect<Args, Output = Result<(), M>>,
        M: Display,
        Self::Output: Fallible,
    {
        Validated::by_description(self, validate, Describe::by(Self::describe))
    }

    /// Warns that the function will go; see [`FnExt::deprecated`](crate::FnExt::deprecated).
    ///
    /// ```
    /// use decor::prelude::*;
    ///
    /// assert_eq!((|n: u32| n * 2).blocking().deprecated("use triple").call(21), 42);
    /// ```
    fn deprecated(self, advice: &'static str) -> Around<Self, Deprecated> {
        self.deprecated_with(Deprecation::new(advice))
    }

    /// [`deprecated`](Self::deprecated), with a [`Deprecation`] of one's own; see
    /// [`FnExt::deprecated_with`](crate::FnExt::deprecated_with).
    ///
    /// ```
    /// use decor::{Deprecation, prelude::*};
    ///
    /// let double = (|n: u32| n * 2).blocking().deprecated_with(Deprecation::new("use triple").every_call());
    /// assert_eq!(double.call(21), 42);
    /// ```
    fn deprecated_with(self, deprecation: Deprecation) -> Around<Self, Deprecated> {
        let name = self.label();
        around(self, Deprecated::new(deprecation, name))
    }

    /// Makes room for a policy's own errors in a foreign error type; see [`FnExt::lifted`](crate::FnExt::lifted).
    ///
    /// ```
    /// use decor::{Failure, prelude::*};
    ///
    /// fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    /// assert!(matches!(parse.blocking().lifted().call("x"), Err(Failure::Call(_))));
    /// ```
    fn lifted(self) -> Around<Self, Lifted>
    where
        Self::Output: ResultLike,
    {
        around(self, Lifted)
    }

    /// Makes room for a policy's errors where there are no others; see [`FnExt::fallible`](crate::FnExt::fallible).
    ///
    /// ```
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// assert_eq!((|n: u32| n * 2).blocking().fallible().try_rate_limited(&limiter).call(21), Ok(42));
    /// ```
    fn fallible(self) -> Around<Self, MadeFallible> {
        around(self, MadeFallible)
    }

    /// Changes the error; see [`FnExt::map_err`](crate::FnExt::map_err).
    ///
    /// ```
    /// use decor::prelude::*;
    ///
    /// fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    /// let parse = parse.blocking().map_err(|e: std::num::ParseIntError| e.to_string());
    /// assert_eq!(parse.call("x").unwrap_err(), "invalid digit found in string");
    /// ```
    fn map_err<M, E2>(self, change: M) -> Around<Self, MapErr<M>>
    where
        Self::Output: ResultLike,
        M: FnOnce(<Self::Output as ResultLike>::Err) -> E2,
    {
        around(self, MapErr(change))
    }

    /// Converts the error as `?` would; see [`FnExt::err_into`](crate::FnExt::err_into).
    ///
    /// ```
    /// use decor::prelude::*;
    ///
    /// fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    /// assert!(parse.blocking().err_into::<anyhow::Error>().call("x").is_err());
    /// ```
    fn err_into<E2>(self) -> Around<Self, ErrInto<E2>>
    where
        Self::Output: ResultLike<Err: Into<E2>>,
    {
        around(self, ErrInto(PhantomData))
    }

    /// Names what has no good name; see [`FnExt::named`](crate::FnExt::named).
    ///
    /// ```
    /// use decor::{blocking::CallableOnce, prelude::*};
    ///
    /// let double = (|n: u32| n * 2).blocking().named("double");
    /// assert_eq!(double.name(), "double");
    /// ```
    fn named(self, name: &'static str) -> Around<Self, Named> {
        around(self, Named(name))
    }

    /// Ends a chain with a type that can be written down: [`blocking::BoxedFn<Args, Output>`](BoxedFn).
    ///
    /// Allocates once here, and not when it is called. Arguments must be owned (`String`, `Arc<str>`), for the type names no lifetime.
    ///
    /// ```
    /// use decor::{blocking::BoxedFn, prelude::*};
    /// use std::sync::LazyLock;
    ///
    /// static DOUBLE: LazyLock<BoxedFn<(u32,), u32>> = LazyLock::new(|| (|n| n * 2).blocking().timed("double").boxed());
    /// assert_eq!(DOUBLE.call(21), 42);
    /// ```
    fn boxed(self) -> BoxedFn<Args, Self::Output>
    where
        Self: Callable<Args> + Send + Sync + 'static,
    {
        BoxedFn::new(self)
    }
}

impl<C: CallableOnce<Args>, Args> FnExt<Args> for C {}
