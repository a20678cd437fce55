//! What the compiler says to those who forget `.blocking()`: an offer of each decorator that nobody can take.

use super::{Blocking, SyncFn};

macro_rules! offers {
    ($($decorator:ident($($setting:ident),*))*) => {$(
        #[doc(hidden)]
        fn $decorator(&mut self, $($setting: impl Sized),*) -> Blocking<Self>
        where
            Self: ReturnsAFuture,
        {
            $(drop($setting);)*
            unreachable!("nothing is `ReturnsAFuture`")
        }
    )*};
}

/// Each decorator once more, for functions as they are. The methods take `&mut self`, which method
/// lookup tries last: the methods of async functions come first, and so do those of other traits.
#[doc(hidden)]
pub trait Undecorated<Args>: SyncFn<Args> {
    offers! {
        timed(name) timed_with(timing) logged() logged_values() logged_args(pick) logged_with(logging)
        timeout(limit) retry_with(policy)
        rate_limited(limiter) rate_limited_by(limiter, permits) rate_limited_by_key(limiter, key)
        rate_limited_within(limiter, max_wait) try_rate_limited(limiter) pausing(limiter, hint)
        memoized(memo) memoized_by(memo, key)
        validated(validate) deprecated(advice) deprecated_with(deprecation)
        lifted() fallible() map_err(change) named(name) boxed()
    }

    #[doc(hidden)]
    fn err_into<E2>(&mut self) -> Blocking<Self>
    where
        Self: ReturnsAFuture,
    {
        unreachable!("nothing is `ReturnsAFuture`")
    }
}

impl<F: SyncFn<Args>, Args> Undecorated<Args> for F {}

/// Implemented by nothing.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async function: it does not return a future",
    label = "only async functions have this as they are",
    note = "a sync function has it after `.blocking()`: `load.blocking().retry_with(..)`, `load.blocking().timed(..)`"
)]
pub trait ReturnsAFuture {}
