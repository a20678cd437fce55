//! A function with a script, and the trace of its calls.

use crate::support::ms;
use decor::Error;
use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};

pub(super) type Answer = Result<u64, String>;

/// The calls, in the order of their start. Each has a duration in milliseconds and an end.
pub(super) type Step = (u64, End);

#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// Returns the number of the call, from 1.
    Success,
    /// Fails with the number of the call as text.
    Failure,
    Panic,
}
pub(super) use End::{Failure, Panic, Success};

pub(super) const HANGS: u64 = 1_000_000_000;

#[derive(Clone)]
pub(super) struct Script(Arc<Mutex<Inner>>);

struct Inner {
    steps: Vec<Step>,
    begun: Instant,
    calls: u64,
    trace: Vec<String>,
}

impl Script {
    /// Must be made in a runtime with a paused clock.
    pub(super) fn new(steps: &[Step]) -> Self {
        Self(Arc::new(Mutex::new(Inner { steps: steps.to_vec(), begun: Instant::now(), calls: 0, trace: Vec::new() })))
    }

    pub(super) fn note(&self, what: &str) {
        let mut inner = self.0.lock().unwrap();
        let line = format!("{:?} {what}", inner.begun.elapsed());
        inner.trace.push(line);
    }

    pub(super) fn calls(&self) -> u64 {
        self.0.lock().unwrap().calls
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().begun.elapsed()
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().trace)
    }

    /// A function that follows the script. After the script it hangs.
    pub(super) fn function(&self) -> impl Fn(u64) -> CallFuture + Clone + Send + Sync + use<> {
        let script = self.clone();
        move |_| {
            let (step, number) = {
                let mut inner = script.0.lock().unwrap();
                inner.calls += 1;
                let at = usize::try_from(inner.calls - 1).unwrap();
                (inner.steps.get(at).copied().unwrap_or((HANGS, Success)), inner.calls)
            };
            script.note(&format!("{number} starts"));
            let drops = Drops { script: script.clone(), number };
            Box::pin(async move {
                let _drops = drops;
                if step.0 > 0 {
                    sleep(ms(step.0)).await;
                }
                match step.1 {
                    Success => Ok(number),
                    Failure => Err(number.to_string()),
                    Panic => panic!("call {number}"),
                }
            })
        }
    }

    /// The same for a chain that needs decor's own errors.
    pub(super) fn fallible(&self) -> impl Fn(u64) -> FallibleFuture + Clone + Send + Sync + use<> {
        let function = self.function();
        move |n| {
            let call = function(n);
            Box::pin(async move { call.await.map_err(|message| Error::InvalidArgument { message }) })
        }
    }
}

pub(super) type CallFuture = std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>;
pub(super) type FallibleFuture = std::pin::Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>;

struct Drops {
    script: Script,
    number: u64,
}

impl Drop for Drops {
    fn drop(&mut self) {
        self.script.note(&format!("{} is dropped", self.number));
    }
}
