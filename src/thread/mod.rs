//! Blocking waits, the cancellation of blocking calls, and the pool of threads for calls that need
//! one of their own.

mod cancel;
#[cfg(all(test, shuttle))]
mod model_check;
mod pool;
mod remote_call;
mod runtime;
mod slots;
mod wait;

pub use cancel::CancelToken;
pub(crate) use cancel::{UnwindMark, unwind_if_cancelled};
pub(crate) use remote_call::RemoteCall;
#[cfg(feature = "memo")]
pub(crate) use remote_call::{on_another_thread, start_on_another_thread};
pub(crate) use wait::{Progress, block_until, sleep};
