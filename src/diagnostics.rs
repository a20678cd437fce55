//! Compiler diagnostics: stub methods with bounds that are never satisfied.

use crate::{
    call::blocking::{Blocking, SyncFn},
    decorators::for_each_decorator,
};

macro_rules! offers {
    ($($decorator:ident($($setting:ident),*))*) => {
        /// Stubs of all decorators, for sync functions without `.blocking()`. The methods take
        /// `&mut self`, because method lookup tries that last. The methods of async functions and
        /// those of other traits come first.
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

/// Never implemented. Its diagnostic explains that `.blocking()` is missing.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async function: it does not return a future",
    label = "only async functions have this method without `.blocking()`",
    note = "a sync function has the method after `.blocking()`: `load.blocking().retry_with(..)`, `load.blocking().timed(..)`"
)]
pub trait ReturnsAFuture {}
