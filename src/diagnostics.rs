//! Compiler diagnostics: stub methods with bounds that are never satisfied.

use crate::{
    call::blocking::{Blocking, SyncFn},
    decorators::for_each_decorator,
};

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
