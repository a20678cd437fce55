//! Behaviour that differs on threads: waiting in real time, timeouts that cannot cancel, and
//! handles that threads share with tasks.

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
