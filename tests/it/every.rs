//! Every decorator once: the list for the tables that run through all decorators.
//!
//! A row has the decorator's name, a chain with the decorator alone, and its text in the chain's
//! `Debug`. Every user of the list defines `Arg`, the type of the function's one argument. The
//! function returns `Answer`.

use decor::{
    Error, KeyedConcurrencyLimiter, KeyedLimiter,
    layer::{Decoration, Gate},
    prelude::*,
};
use std::{
    fmt,
    future::{Ready, ready},
    hash::Hash,
    time::Duration,
};

pub(crate) type Answer = Result<u64, Error>;

/// Calls the macro with a row for each decorator of functions.
macro_rules! every_decorator {
    ($table:ident) => {
        $table! {
            timed: |f| f.timed("f") => ".timed(\"f\")";
            timed_with: |f| f.timed_with(decor::Timing::new("f")) => ".timed(\"f\")";
            logged: |f| f.logged() => ".logged()";
            logged_values: |f| f.logged_values() => ".logged_values()";
            logged_args: |f| f.logged_args(|arg: &Arg| *arg) => ".logged_args(..)";
            logged_with: |f| f.logged_with(decor::Logging::new()) => ".logged()";
            traced: |f| f.traced("f") => ".traced(\"f\")";
            traced_with: |f| f.traced_with(|_: &Arg| tracing::info_span!("f")) => ".traced_with(..)";
            metered: |f| f.metered("f") => ".metered(\"f\")";
            metered_with: |f| f.metered_with(decor::Metering::new("f")) => ".metered(\"f\")";
            timeout: |f| f.timeout(secs(1)) => ".timeout(1s)";
            retry_with: |f| f.retry_with(RetryPolicy::default())
                => ".retry_with(exponential from 1s by 2, no jitter, 3 attempts)";
            hedged: |f| f.hedged(secs(1)) => ".hedged(after 1s, at most 2 calls)";
            rate_limited: |f| f.rate_limited(&every::limiter()) => ".rate_limited(1000 per 1s)";
            rate_limited_by: |f| f.rate_limited_by(&every::limiter(), |_: &Arg| 2) => ".rate_limited_by(1000 per 1s, ..)";
            rate_limited_by_key: |f| f.rate_limited_by_key(&every::keyed(), |arg: &Arg| *arg)
                => ".rate_limited_by_key(1000 per 1s for each key, ..)";
            rate_limited_within: |f| f.rate_limited_within(&every::limiter(), secs(1))
                => ".rate_limited_within(1000 per 1s, 1s)";
            rate_limited_within_by_key: |f| f.rate_limited_within_by_key(&every::keyed(), secs(1), |arg: &Arg| *arg)
                => ".rate_limited_within_by_key(1000 per 1s for each key, 1s, ..)";
            try_rate_limited: |f| f.try_rate_limited(&every::limiter()) => ".try_rate_limited(1000 per 1s)";
            try_rate_limited_by_key: |f| f.try_rate_limited_by_key(&every::keyed(), |arg: &Arg| *arg)
                => ".try_rate_limited_by_key(1000 per 1s for each key, ..)";
            pausing: |f| f.pausing(&every::limiter(), |_: &decor::Error| None) => ".pausing(1000 per 1s, ..)";
            pausing_result: |f| f.pausing_result(&every::limiter(), |_: &every::Answer| None)
                => ".pausing_result(1000 per 1s, ..)";
            pausing_by_key: |f| f.pausing_by_key(&every::keyed(), |arg: &Arg| *arg, |_: &decor::Error| None)
                => ".pausing_by_key(1000 per 1s for each key, .., ..)";
            pausing_result_by_key: |f| f.pausing_result_by_key(&every::keyed(), |arg: &Arg| *arg, |_: &every::Answer| None)
                => ".pausing_result_by_key(1000 per 1s for each key, .., ..)";
            guarded_by: |f| f.guarded_by(&every::breaker()) => ".guarded_by(5 failures in a row, open for 30s)";
            guarded_by_key: |f| f.guarded_by_key(&every::keyed_breaker(), |arg: &Arg| *arg)
                => ".guarded_by_key(5 failures in a row, open for 30s, for each key, ..)";
            unless_open: |f| f.unless_open(&every::breaker()) => ".unless_open(5 failures in a row, open for 30s)";
            concurrency_limited: |f| f.concurrency_limited(&every::concurrency()) => ".concurrency_limited(8 at once)";
            concurrency_limited_by: |f| f.concurrency_limited_by(&every::concurrency(), |_: &Arg| 2)
                => ".concurrency_limited_by(8 at once, ..)";
            concurrency_limited_by_key: |f| f.concurrency_limited_by_key(&every::concurrency_of_keys(), |arg: &Arg| *arg)
                => ".concurrency_limited_by_key(8 at once for each key, ..)";
            concurrency_limited_within: |f| f.concurrency_limited_within(&every::concurrency(), secs(1))
                => ".concurrency_limited_within(8 at once, 1s)";
            concurrency_limited_within_by_key: |f| f.concurrency_limited_within_by_key(&every::concurrency_of_keys(), secs(1), |arg: &Arg| *arg)
                => ".concurrency_limited_within_by_key(8 at once for each key, 1s, ..)";
            try_concurrency_limited: |f| f.try_concurrency_limited(&every::concurrency())
                => ".try_concurrency_limited(8 at once)";
            try_concurrency_limited_by_key: |f| f.try_concurrency_limited_by_key(&every::concurrency_of_keys(), |arg: &Arg| *arg)
                => ".try_concurrency_limited_by_key(8 at once for each key, ..)";
            backing_off: |f| f.backing_off(&every::concurrency(), |_: &decor::Error| false) => ".backing_off(8 at once, ..)";
            backing_off_by_key: |f| f.backing_off_by_key(&every::concurrency_of_keys(), |arg: &Arg| *arg, |_: &decor::Error| false)
                => ".backing_off_by_key(8 at once for each key, .., ..)";
            memoized: |f| f.memoized(&every::memo::<Arg>()) => ".memoized(ttl 300s)";
            memoized_by: |f| f.memoized_by(&every::memo(), |arg: &Arg| *arg) => ".memoized_by(ttl 300s, ..)";
            invalidating: |f| f.invalidating(&every::memo::<Arg>(), |arg: &Arg| *arg) => ".invalidating(ttl 300s, ..)";
            invalidating_tag: |f| f.invalidating_tag(&every::memo::<Arg>(), |_: &Arg| "tag")
                => ".invalidating_tag(ttl 300s, ..)";
            fallback: |f| f.fallback(|error: decor::Error, _: Arg| std::future::ready(Err(error))) => ".fallback(..)";
            fallback_to: |f| f.fallback_to(every::fails) => ".fallback_to(fails)";
            chaotic: |f| f.chaotic(&decor::Chaos::seeded(7), || decor::Error::QueueFull { waiting: 0 }) => ".chaotic(seed 7, ..)";
            validated: |f| f.validated(|_: &Arg| Ok::<_, &str>(())) => ".validated(..)";
            deprecated: |f| f.deprecated("use g") => ".deprecated(\"use g\")";
            deprecated_with: |f| f.deprecated_with(decor::Deprecation::new("use g")) => ".deprecated(\"use g\")";
            lifted: |f| f.lifted() => ".lifted()";
            fallible: |f| f.fallible() => ".fallible()";
            map_err: |f| f.map_err(|error: decor::Error| error) => ".map_err(..)";
            err_into: |f| f.err_into::<String>() => ".err_into()";
            named: |f| f.named("f") => ".named(\"f\")";
            boxed: |f| f.boxed() => ".boxed()";
            gated: |f| f.gated(every::Open) => ".open()";
            gated_by: |f| f.gated_by(|_: &Arg| every::Open) => ".gated_by(..)";
            decorated_by: |f| f.decorated_by(&decor::stack::<decor::Error>().timed("f")) => ".timed(\"f\")";
        }
    };
}

/// Calls the macro with a row for each decorator of futures.
macro_rules! every_future_decorator {
    ($table:ident) => {
        $table! {
            timed: |f| f.timed("f");
            timed_with: |f| f.timed_with(decor::Timing::new("f"));
            logged: |f| f.logged();
            logged_values: |f| f.logged_values();
            logged_with: |f| f.logged_with(decor::Logging::new());
            traced: |f| f.traced("f");
            traced_with: |f| f.traced_with(|| tracing::info_span!("f"));
            metered: |f| f.metered("f");
            metered_with: |f| f.metered_with(decor::Metering::new("f"));
            timeout: |f| f.timeout(secs(1));
            rate_limited: |f| f.rate_limited(&every::limiter());
            rate_limited_by: |f| f.rate_limited_by(&every::limiter(), 2_u32);
            rate_limited_by_key: |f| f.rate_limited_by_key(&every::keyed(), &7);
            rate_limited_within: |f| f.rate_limited_within(&every::limiter(), secs(1));
            rate_limited_within_by_key: |f| f.rate_limited_within_by_key(&every::keyed(), secs(1), &7);
            try_rate_limited: |f| f.try_rate_limited(&every::limiter());
            try_rate_limited_by_key: |f| f.try_rate_limited_by_key(&every::keyed(), &7);
            pausing: |f| f.pausing(&every::limiter(), |_: &decor::Error| None);
            pausing_result: |f| f.pausing_result(&every::limiter(), |_: &every::Answer| None);
            pausing_by_key: |f| f.pausing_by_key(&every::keyed(), &7, |_: &decor::Error| None);
            pausing_result_by_key: |f| f.pausing_result_by_key(&every::keyed(), &7, |_: &every::Answer| None);
            guarded_by: |f| f.guarded_by(&every::breaker());
            guarded_by_key: |f| f.guarded_by_key(&every::keyed_breaker(), &7);
            unless_open: |f| f.unless_open(&every::breaker());
            concurrency_limited: |f| f.concurrency_limited(&every::concurrency());
            concurrency_limited_by: |f| f.concurrency_limited_by(&every::concurrency(), 2_u32);
            concurrency_limited_by_key: |f| f.concurrency_limited_by_key(&every::concurrency_of_keys(), &7);
            concurrency_limited_within: |f| f.concurrency_limited_within(&every::concurrency(), secs(1));
            concurrency_limited_within_by_key: |f| f.concurrency_limited_within_by_key(&every::concurrency_of_keys(), secs(1), &7);
            try_concurrency_limited: |f| f.try_concurrency_limited(&every::concurrency());
            try_concurrency_limited_by_key: |f| f.try_concurrency_limited_by_key(&every::concurrency_of_keys(), &7);
            backing_off: |f| f.backing_off(&every::concurrency(), |_: &decor::Error| false);
            backing_off_by_key: |f| f.backing_off_by_key(&every::concurrency_of_keys(), &7, |_: &decor::Error| false);
            memoized_by: |f| f.memoized_by(&every::memo::<u64>(), 7);
            invalidating: |f| f.invalidating(&every::memo::<u64>(), 7);
            invalidating_tag: |f| f.invalidating_tag(&every::memo::<u64>(), "tag");
            chaotic: |f| f.chaotic(&decor::Chaos::seeded(7), || decor::Error::QueueFull { waiting: 0 });
            lifted: |f| f.lifted();
            fallible: |f| f.fallible();
            gated: |f| f.gated(every::Open);
        }
    };
}

pub(crate) use {every_decorator, every_future_decorator};

macro_rules! rows {
    ($($decorator:ident: |$f:ident| $chain:expr => $shown:literal;)*) => {
        /// Names of the decorators of functions in the list.
        pub(crate) const DECORATORS: &[&str] = &[$(stringify!($decorator)),*];
    };
}
every_decorator!(rows);

macro_rules! future_rows {
    ($($decorator:ident: |$f:ident| $chain:expr;)*) => {
        /// Names of the decorators of futures in the list.
        pub(crate) const FUTURE_DECORATORS: &[&str] = &[$(stringify!($decorator)),*];
    };
}
every_future_decorator!(future_rows);

/// Another function, for a call that fails.
pub(crate) fn fails<A>(_: A) -> Ready<Answer> {
    ready(Err(Error::QueueFull { waiting: 0 }))
}

/// A gate that lets every call through.
#[derive(Debug, Clone)]
pub(crate) struct Open;

impl Decoration for Open {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".open()")
    }
}

impl<T> Gate<T> for Open {}

/// A limiter with free permits.
pub(crate) fn limiter() -> RateLimiter {
    RateLimiter::new(1_000, Duration::from_secs(1))
}

pub(crate) fn concurrency() -> ConcurrencyLimiter {
    ConcurrencyLimiter::new(8)
}

pub(crate) fn concurrency_of_keys<K: Eq + Hash + Clone>() -> KeyedConcurrencyLimiter<K> {
    KeyedConcurrencyLimiter::new(8)
}

pub(crate) fn keyed<K: Eq + Hash + Clone>() -> KeyedLimiter<K> {
    KeyedLimiter::new(1_000, Duration::from_secs(1))
}

/// A closed breaker.
pub(crate) fn breaker() -> CircuitBreaker {
    CircuitBreaker::consecutive(5)
}

pub(crate) fn keyed_breaker<K: Eq + Hash + Clone>() -> KeyedBreaker<K> {
    KeyedBreaker::consecutive(5)
}

pub(crate) fn memo<K: Eq + Hash + Clone + Send + Sync + 'static>() -> Memo<K, u64> {
    Memo::ttl(Duration::from_secs(300))
}
