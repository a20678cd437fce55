//! The decorators: one file for each, with its async and its blocking half.

pub(crate) mod backing_off;
pub(crate) mod boxed;
pub(crate) mod callback;
#[cfg(feature = "chaos")]
pub(crate) mod chaotic;
pub(crate) mod concurrency_limited;
pub(crate) mod deprecated;
pub(crate) mod errors;
pub(crate) mod fallback;
pub(crate) mod guarded_by;
pub(crate) mod hedged;
#[cfg(feature = "memo")]
pub(crate) mod invalidating;
pub(crate) mod logged;
#[cfg(feature = "memo")]
pub(crate) mod memoized;
#[cfg(feature = "metrics")]
pub(crate) mod metered;
pub(crate) mod named;
pub(crate) mod pausing;
pub(crate) mod rate_limited;
pub(crate) mod retry;
pub(crate) mod settled;
pub(crate) mod stream;
pub(crate) mod timed;
pub(crate) mod timeout;
pub(crate) mod traced;
pub(crate) mod unless_open;
pub(crate) mod validated;

/// The list of all decorators of functions, with their settings.
///
/// The help for a missing `.blocking()` and [`DECORATORS`] are made from this list.
/// `tests/it/catalogue.rs` compares the list with the catalogue in `fn_ext.rs` and with every
/// table.
macro_rules! for_each_decorator {
    ($do_it:ident) => {
        $do_it! {
            timed(name) timed_with(timing) logged() logged_values() logged_args(pick) logged_with(logging)
            traced(name) traced_with(span) metered(name) metered_with(metering)
            timeout(limit) retry_with(policy) hedged(hedge)
            rate_limited(limiter) rate_limited_by(limiter, permits) rate_limited_by_key(limiter, key)
            rate_limited_within(limiter, max_wait) rate_limited_within_by_key(limiter, max_wait, key)
            try_rate_limited(limiter) try_rate_limited_by_key(limiter, key)
            pausing(limiter, hint) pausing_result(limiter, hint)
            pausing_by_key(limiter, key, hint) pausing_result_by_key(limiter, key, hint)
            guarded_by(breaker) guarded_by_key(breaker, key) unless_open(breaker)
            concurrency_limited(limiter) concurrency_limited_by(limiter, permits)
            concurrency_limited_by_key(limiter, key) concurrency_limited_within(limiter, max_wait)
            concurrency_limited_within_by_key(limiter, max_wait, key)
            try_concurrency_limited(limiter) try_concurrency_limited_by_key(limiter, key)
            backing_off(limiter, is_overload) backing_off_by_key(limiter, key, is_overload)
            memoized(memo) memoized_by(memo, key) invalidating(memo, key) invalidating_tag(memo, tag)
            validated(validate) deprecated(advice) deprecated_with(deprecation)
            fallback(answer) fallback_to(other) chaotic(chaos, error)
            lifted() fallible() map_err(change) err_into() named(name) boxed() gated(gate) gated_by(gate)
            decorated_by(stack)
        }
    };
}

macro_rules! names {
    ($($decorator:ident($($setting:ident),*))*) => {
        /// The names of all decorators of functions. Tests use it to cover each decorator.
        #[doc(hidden)]
        pub const DECORATORS: &[&str] = &[$(stringify!($decorator)),*];
    };
}
for_each_decorator!(names);

pub(crate) use for_each_decorator;
