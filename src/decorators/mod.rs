//! The decorators: one file for each, with its async and its blocking half.

pub(crate) mod boxed;
pub(crate) mod deprecated;
pub(crate) mod errors;
#[cfg(feature = "memo")]
pub(crate) mod invalidating;
pub(crate) mod logged;
#[cfg(feature = "memo")]
pub(crate) mod memoized;
pub(crate) mod named;
pub(crate) mod pausing;
pub(crate) mod rate_limited;
pub(crate) mod retry;
pub(crate) mod settled;
pub(crate) mod stream;
pub(crate) mod timed;
pub(crate) mod timeout;
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
            timeout(limit) retry_with(policy)
            rate_limited(limiter) rate_limited_by(limiter, permits) rate_limited_by_key(limiter, key)
            rate_limited_within(limiter, max_wait) rate_limited_within_by_key(limiter, max_wait, key)
            try_rate_limited(limiter) try_rate_limited_by_key(limiter, key)
            pausing(limiter, hint) pausing_result(limiter, hint)
            pausing_by_key(limiter, key, hint) pausing_result_by_key(limiter, key, hint)
            memoized(memo) memoized_by(memo, key) invalidating(memo, key) invalidating_tag(memo, tag)
            validated(validate) deprecated(advice) deprecated_with(deprecation)
            lifted() fallible() map_err(change) err_into() named(name) boxed() gated(gate) gated_by(gate)
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
