//! Production decorators for async Rust.
#![forbid(unsafe_code)]

mod args;
mod arity;
mod around;
mod boxed;
mod call;
mod context;
mod decorators;
mod error;
mod fallible;
mod fn_ext;
mod future_ext;
mod lazy;
mod name;
mod policy;
pub mod prelude;
mod seed;
mod sync;
mod time;
mod trace;
mod transient;

pub use args::{DebugArgs, Inspect};
pub use around::{Around, Decoration, Layer};
pub use boxed::BoxedFn;
pub use call::{Callable, CallableMut, CallableOnce};
pub use context::{WithContext, with_context};
pub use decorators::{convert, deprecated, logged, named, retry, timed, timeout, validated, watched};
pub use decorators::{
    deprecated::Deprecation,
    logged::Logging,
    retry::{GivenUp, Retry, Retrying},
    timed::{Measurement, Outcome, Timing},
};
pub use error::{ConfigError, Error, Failure, GaveUp, RetryError};
pub use fallible::{Fallible, ResultLike};
pub use fn_ext::FnExt;
pub use future_ext::FutureExt;
pub use lazy::Lazy;
pub use policy::{Backoff, Jitter, RetryConfig, RetryPolicy, Schedule};
pub use transient::Transient;
