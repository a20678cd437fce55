//! Threads: how they wait, how a call on one is cancelled, and the pool of those that calls are
//! handed to.

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
