//! Cancellation under a model checker: see [`crate::model_check`]. A lost wake-up is a deadlock,
//! which the checker reports. The checks, for a token that is cancelled once:
//!
//! - Each wait ends, with its event or cancelled.
//! - A wait that begins after the token was cancelled does not wait.
//! - Nothing is left behind: no waker of a wait that has ended.

use super::{
    cancel::{Scope, Signal},
    wait::{Progress, ready_or_cancelled},
};
use crate::{
    model_check::explore,
    sync::{Arc, Mutex, lock},
};
use shuttle::thread;
use std::task::Waker;

/// An event that threads wait for.
#[derive(Clone, Default)]
struct Event(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Event {
    fn happen(&self) {
        let mut event = lock(&self.0);
        event.0 = true;
        let waiting = std::mem::take(&mut event.1);
        drop(event);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Returns `true` if the wait ended with the event, `false` if cancelled.
    fn wait(&self) -> bool {
        let wait = ready_or_cancelled(|waker| {
            let mut event = lock(&self.0);
            if event.0 {
                return Progress::Ready(());
            }
            event.1.push(waker.clone());
            Progress::wake_me(None)
        });
        wait.is_some()
    }
}

/// Runs waiting threads against a cancellation, and against the event if `happens`. `waiters` has
/// an entry for each thread: the number of scopes of other tokens around its wait. The token's
/// scope is the outermost.
fn check(waiters: &'static [usize], happens: bool, preemptions: usize) {
    let explored = explore(preemptions, move || {
        let (signal, event) = (Arc::<Signal>::default(), Event::default());
        let waiting = waiters.iter().map(|inner| {
            let (signal, event) = (Arc::clone(&signal), event.clone());
            thread::spawn(move || {
                let _entered = Scope::new(signal).enter();
                let _inner = (0..*inner).map(|_| Scope::new(Arc::default()).enter()).collect::<Vec<_>>();
                let first = event.wait();
                assert!(first || !event.wait(), "a cancelled token stays cancelled");
                first
            })
        });
        let mut threads = waiting.collect::<Vec<_>>();
        if happens {
            let event = event.clone();
            threads.push(thread::spawn(move || {
                event.happen();
                false
            }));
        }
        signal.cancel();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>();
        assert!(happens || ended.iter().all(|with_the_event| !with_the_event));
        assert_eq!(signal.waiting(), 0);
    });
    println!("{waiters:?} waits, event {happens}: {explored} interleavings");
}

#[test]
fn cancelled_while_threads_wait() {
    check(&[0], false, 3);
    check(&[0], true, 3);
    check(&[1], true, 2);
    check(&[0, 0], false, 2);
    check(&[0, 2], true, 1);
}
