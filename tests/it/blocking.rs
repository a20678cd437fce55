//! The differences for threads: real waiting, timeouts that cannot cancel, and handles that are
//! shared with tasks.

use decor::Error;

mod cancel;
mod clocks;
mod decorators;
mod python_documents;
mod runtimes;
mod shared;
mod timeout;
mod unwinding;
mod waiting;

type Answer = Result<u32, Error>;
