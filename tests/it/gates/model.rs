//! Nested gates against a naive model. The model is the list of all events of a call, cut off where
//! the call is dropped.

use crate::support::cases;
use decor::{
    Outcome,
    layer::{Decoration, End, Gate, Wait},
    prelude::*,
};
use proptest::{collection::vec, prelude::*};
use std::{
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Asked(usize),
    Called,
    Told(usize, Outcome),
    Dropped(usize),
}

#[derive(Debug, Clone, Copy)]
struct GateScript {
    /// Number of polls until the gate is ready.
    waits: usize,
    refuses: bool,
}

#[derive(Debug, Clone)]
struct Script {
    /// Gates from the outermost to the innermost.
    gates: [GateScript; 3],
    /// Number of polls until the call is ready.
    pends: usize,
    panics: bool,
    /// The call is dropped after this number of polls, or when it is ready.
    polls: usize,
    /// `true` if the call is dropped while another panic unwinds.
    dropped_by_panic: bool,
    /// `true` if a future is called instead of a function.
    is_future: bool,
}

fn scripts() -> impl Strategy<Value = Script> {
    let gate = (0..3_usize, prop::bool::weighted(0.15)).prop_map(|(waits, refuses)| GateScript { waits, refuses });
    let call = (0..3_usize, prop::bool::weighted(0.3));
    let ending = (0..12_usize, any::<bool>(), any::<bool>());
    (vec(gate, 3), call, ending).prop_map(|(gates, (pends, panics), (polls, dropped_by_panic, is_future))| Script {
        gates: [gates[0], gates[1], gates[2]],
        pends,
        panics,
        polls,
        dropped_by_panic,
        is_future,
    })
}

/// The end of a call, as its caller sees it.
#[derive(Debug, PartialEq)]
enum Ending {
    Ready(Result<(), usize>),
    Panicked,
    Dropped,
}

/// The events of a call, with a `None` where a poll is pending.
fn story(script: &Script) -> (Vec<Option<Event>>, Ending) {
    let mut story = Vec::new();
    let mut inside = Vec::new();
    let told = |story: &mut Vec<_>, inside: &[usize], outcome| {
        story.extend(inside.iter().rev().map(|&gate| Some(Event::Told(gate, outcome))));
    };
    for (number, gate) in script.gates.iter().enumerate() {
        for _ in 0..gate.waits {
            story.extend([Some(Event::Asked(number)), None]);
        }
        story.push(Some(Event::Asked(number)));
        if gate.refuses {
            told(&mut story, &inside, Outcome::Completed);
            return (story, Ending::Ready(Err(number)));
        }
        inside.push(number);
    }
    story.push(Some(Event::Called));
    story.extend(vec![None; script.pends]);
    let outcome = if script.panics { Outcome::Panicked } else { Outcome::Completed };
    told(&mut story, &inside, outcome);
    (story, if script.panics { Ending::Panicked } else { Ending::Ready(Ok(())) })
}

/// The events of a call that is dropped after the script's number of polls.
fn expected(script: &Script) -> (Vec<Event>, Ending) {
    let (story, ending) = story(script);
    let mut polls = story.split(Option::is_none);
    let mut seen: Vec<_> = polls.by_ref().take(script.polls).flatten().copied().flatten().collect();
    if script.polls > 0 && polls.next().is_none() {
        return (seen, ending);
    }
    // The gates that let the call through, which were asked without a `None` after that.
    let passed = (0..3).filter(|&gate| {
        let asked = seen.iter().filter(|event| **event == Event::Asked(gate)).count();
        asked == script.gates[gate].waits + 1
    });
    let passed: Vec<_> = passed.collect();
    seen.extend(passed.into_iter().rev().map(|gate| Event::Told(gate, Outcome::Cancelled)));
    (seen, Ending::Dropped)
}

type Trace = Arc<Mutex<Vec<Event>>>;

#[derive(Clone)]
struct Scripted {
    number: usize,
    script: GateScript,
    trace: Trace,
    /// `true` for the gate of a call.
    was_asked: bool,
}

impl Decoration for Scripted {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".scripted(..)")
    }
}

impl Gate<Result<(), usize>> for Scripted {
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), Result<(), usize>>> {
        self.was_asked = true;
        self.trace.lock().unwrap().push(Event::Asked(self.number));
        if self.script.waits > 0 {
            self.script.waits -= 1;
            wait.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(if self.script.refuses { Err(Err(self.number)) } else { Ok(()) })
    }

    fn end(&mut self, end: End<'_, Result<(), usize>>) {
        assert_eq!(end.output().is_some(), end.outcome() == Outcome::Completed);
        self.trace.lock().unwrap().push(Event::Told(self.number, end.outcome()));
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if self.was_asked {
            self.trace.lock().unwrap().push(Event::Dropped(self.number));
        }
    }
}

/// The recorded events without the drops. Checks first that each gate that was asked is dropped
/// once, and is neither asked nor told after that.
fn without_drops(trace: &Trace) -> Vec<Event> {
    let trace = std::mem::take(&mut *trace.lock().unwrap());
    for gate in 0..3 {
        let last = trace.iter().rposition(|event| matches!(event, Event::Asked(n) | Event::Told(n, _) if *n == gate));
        let dropped: Vec<_> = (0..trace.len()).filter(|&at| trace[at] == Event::Dropped(gate)).collect();
        assert_eq!(dropped.len(), usize::from(last.is_some()), "{trace:?}");
        assert!(dropped.iter().all(|&at| Some(at) > last), "{trace:?}");
    }
    trace.into_iter().filter(|event| !matches!(event, Event::Dropped(_))).collect()
}

/// Polls a boxed future, and drops it.
fn drive(mut call: Pin<Box<dyn Future<Output = Result<(), usize>> + '_>>, script: &Script) -> Ending {
    let mut ending = Ending::Dropped;
    for _ in 0..script.polls {
        let poll = AssertUnwindSafe(|| call.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        match catch_unwind(poll) {
            Ok(Poll::Pending) => continue,
            Ok(Poll::Ready(output)) => ending = Ending::Ready(output),
            Err(_) => ending = Ending::Panicked,
        }
        break;
    }
    if script.dropped_by_panic {
        let dropping = move || {
            let _call = call;
            resume_unwind(Box::new("another"));
        };
        assert!(catch_unwind(AssertUnwindSafe(dropping)).is_err());
    }
    ending
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn nested_gates_match_the_model(script in scripts()) {
        let trace = Trace::default();
        let gate = |number: usize| {
            let trace = Arc::clone(&trace);
            Scripted { number, script: script.gates[number], trace, was_asked: false }
        };

        let work = || {
            let (script, trace) = (&script, &trace);
            let (mut pends, mut called) = (script.pends, false);
            poll_fn(move |_| {
                if !std::mem::replace(&mut called, true) {
                    trace.lock().unwrap().push(Event::Called);
                }
                if pends > 0 {
                    pends -= 1;
                    return Poll::Pending;
                }
                if script.panics { resume_unwind(Box::new("boom")) }
                Poll::Ready(Ok(()))
            })
        };
        let call: Pin<Box<dyn Future<Output = _>>> = if script.is_future {
            Box::pin(work().gated(gate(2)).gated(gate(1)).gated(gate(0)))
        } else {
            Box::pin(work.gated(gate(2)).gated(gate(1)).gated(gate(0)).call())
        };
        let ending = drive(call, &script);
        prop_assert_eq!((without_drops(&trace), ending), expected(&script));

        // The same call on a thread, which waits until the call ends.
        let work = || {
            trace.lock().unwrap().push(Event::Called);
            if script.panics { resume_unwind(Box::new("boom")) }
            Ok(())
        };
        let call = work.blocking().gated(gate(2)).gated(gate(1)).gated(gate(0));
        let ending = catch_unwind(AssertUnwindSafe(|| call.run()));
        let ending = ending.map_or(Ending::Panicked, Ending::Ready);
        let (story, expected) = story(&script);
        let story: Vec<_> = story.into_iter().flatten().collect();
        prop_assert_eq!((without_drops(&trace), ending), (story, expected));
    }
}
