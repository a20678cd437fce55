//! Cancellation of blocking waits at the end of the runtime that their thread belongs to.
//!
//! A runtime that is dropped waits for the threads of its blocking tasks. Tokio has no signal for
//! that moment, but drops the runtime's tasks first. A thread that waits in a task therefore spawns
//! a task in the same runtime. The drop of that task is the signal.
//!
//! The spawned task is kept for the thread's later waits. With a task for each wait, a runtime that
//! is not driven meanwhile would accumulate aborted tasks.

use super::cancel::{Entered, Scope, Signal};
use crate::sync::Arc;
use std::{cell::Cell, future::pending};
use tokio::{
    runtime::{Handle, Id},
    task::{self, AbortHandle},
};

thread_local! {
    /// `None` until the thread first waits in a task.
    static WATCH: Cell<Option<Watch>> = const { Cell::new(None) };
}

/// The task that a thread has spawned in its runtime.
struct Watch {
    runtime: Id,
    ended: Arc<Signal>,
    task: AbortHandle,
}

impl Watch {
    fn new(runtime: &Handle) -> Self {
        let ended = Arc::<Signal>::default();
        let guard = CancelOnDrop(Arc::clone(&ended));
        let task = runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        Self { runtime: runtime.id(), ended, task: task.abort_handle() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct CancelOnDrop(Arc<Signal>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Lets the end of the runtime cancel the call of this thread, while the guard lives.
///
/// `None` outside of a task. In a task, async or blocking, tokio catches the unwinding and hands it
/// to the task's `JoinHandle`. A thread that has merely entered a runtime is not unwound, because
/// nothing would catch the unwinding.
pub(super) fn cancels_at_its_end() -> Option<Entered> {
    task::try_id()?;
    let runtime = Handle::try_current().ok()?;
    let ended = WATCH.try_with(|slot| {
        let known = slot.take().filter(|watch| watch.runtime == runtime.id());
        let watch = known.unwrap_or_else(|| Watch::new(&runtime));
        let ended = Arc::clone(&watch.ended);
        slot.set(Some(watch));
        ended
    });
    Some(Scope::new(ended.ok()?).enter())
}
