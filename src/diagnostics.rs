//! Compiler diagnostics: the list of decorators, and stub methods with bounds that are never
//! satisfied.

use crate::call::blocking::{Blocking, SyncFn};

/// The list of all decorators of functions, with their settings.
///
/// The help for a forgotten `.blocking()` and [`DECORATORS`] come from this list.
/// `tests/it/catalogue.rs` compares it with the catalogue in `fn_ext.rs` and with every table.
macro_rules! for_each_decorator {
    ($do_it:ident) => {
        $do_it! {
            timed(name) timed_with(timing) logged() logged_values() logged_args(pick) logged_with(logging)
            timeout(limit) retry_with(policy)
            rate_limited(limiter) rate_limited_by(limiter, permits) rate_limited_by_key(limiter, key)
            rate_limited_within(limiter, max_wait) try_rate_limited(limiter) pausing(limiter, hint)
            memoized(memo) memoized_by(memo, key)
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

macro_rules! offers {
    ($($decorator:ident($($setting:ident),*))*) => {
        /// Each decorator once more, for plain sync functions. The methods take `&mut self`, which
        /// method lookup tries last: the methods of async functions come first, and so do those of
        /// other traits.
        #[doc(hidden)]
        pub trait MissingBlocking<Args>: SyncFn<Args> {$(
            #[doc(hidden)]
            fn $decorator(&mut self, $($setting: impl Sized),*) -> Blocking<Self>
            where
                Self: ReturnsAFuture,
            {
                $(drop($setting);)*
                unreachable!("nothing is `ReturnsAFuture`")
            }
        )*}
    };
}
for_each_decorator!(offers);

impl<F: SyncFn<Args>, Args> MissingBlocking<Args> for F {}

/// Never implemented.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async function: it does not return a future",
    label = "only async functions have this as they are",
    note = "a sync function has it after `.blocking()`: `load.blocking().retry_with(..)`, `load.blocking().timed(..)`"
)]
pub trait ReturnsAFuture {}
