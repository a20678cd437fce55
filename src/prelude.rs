//! Everything that a chain needs: `use decor::prelude::*;`.
//!
//! Brings the decorators of functions ([`FnExt`](crate::FnExt)) and futures
//! ([`FutureExt`](crate::FutureExt)) into scope, and the traits with `.call(..)` for each number of
//! arguments, all without their names. Also exports the types that configure a chain.
//! [`decor::Error`](crate::Error) keeps the name of its crate, so that it shadows no other `Error`.
//!
//! # Examples
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use decor::prelude::*;
//!
//! async fn add(a: u32, b: u32) -> Result<u32, String> { Ok(a + b) }
//! assert_eq!(add.retry_with(RetryPolicy::default()).call(20, 22).await, Ok(42));
//! # }
//! ```

pub use crate::{
    BoxedFn, Callable, CircuitBreaker, ConcurrencyLimiter, Failure, Hedge, Jitter, KeyedBreaker, KeyedLimiter,
    RateLimiter, RetryBudget, RetryPolicy, Transient,
};

#[cfg(feature = "memo")]
pub use crate::Memo;

#[doc(hidden)]
pub use methods::*;

/// The traits alone, all without their names, so that they clash with no name of a program.
#[doc(hidden)]
pub mod methods {
    pub use crate::{
        Callable as _, CallableMut as _, CallableOnce as _, FnExt as _, FutureExt as _, StreamExt as _,
        call::{
            blocking::{Callable as _, CallableMut as _, CallableOnce as _, Run as _, SyncFn as _},
            spread::{
                Call0 as _, Call1 as _, Call2 as _, Call3 as _, Call4 as _, Call5 as _, Call6 as _, Call7 as _,
                Call8 as _,
            },
        },
        diagnostics::MissingBlocking as _,
    };
}
