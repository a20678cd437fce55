//! Real processes on a server of their own. The test binary starts itself for each process, and
//! decides by the moments at which calls ran, on the machine's monotonic clock.
//!
//! Bounds on windows are exact. Bounds on times are wide, because the machine may be busy.

mod child;
mod failures;
mod handles;
mod log;
mod memo;
mod windows;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lets one test run at a time. Each has several processes, which would disturb those of another.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
