//! An outage: the server dies for two seconds, while prompts keep coming.

use crate::{
    TALLY,
    client::{Answer, Complete, LlmError, Source},
    report::time,
    server::{self, Faults, Process},
};
use anyhow::ensure;
use decor::{CircuitState, prelude::*};
use std::{
    fmt::{self, Display},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

const OUTAGE: Duration = Duration::from_secs(2);
/// Time after the outage in which further prompts come.
const AFTERWARDS: Duration = Duration::from_secs(3);
const PROMPT_EVERY: Duration = Duration::from_millis(30);

/// The record of an outage.
pub(crate) struct Outage {
    /// The events, with the time since the death of the server.
    events: Vec<(Duration, String)>,
    states: Vec<CircuitState>,
    /// The prompts, each with its end.
    calls: Vec<(Arc<str>, Result<Answer, LlmError>)>,
    /// Number of requests that were sent, to the dead server and to the living one.
    sent: usize,
    /// Number of requests that the breaker refused.
    saved: usize,
    /// Number of second requests beside slow ones, and of those that answered first.
    hedges: [u64; 2],
}

/// Lets the server die, asks it prompts at a steady pace, and starts it again.
pub(crate) async fn ride_out(
    server: &mut Process,
    hedge: &Hedge,
    complete_for_each: impl Fn() -> Complete,
) -> anyhow::Result<Outage> {
    let (before, hedged) = (TALLY.counts(), hedge.stats());
    let mut events = vec![(Duration::ZERO, "the server dies".to_owned())];
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    server.die();
    let mut is_down = true;
    for n in 1.. {
        if is_down && began.elapsed() >= OUTAGE {
            server.restart(Faults::SELDOM)?;
            is_down = false;
            events.push((began.elapsed(), "the server runs again".to_owned()));
        }
        if began.elapsed() >= OUTAGE + AFTERWARDS {
            break;
        }
        let (complete, prompt) = (complete_for_each(), Arc::from(format!("What is the root of {n}?")));
        tasks.spawn(async move { (Arc::clone(&prompt), complete.call(prompt).await) });
        sleep(PROMPT_EVERY).await;
    }
    let calls = tasks.join_all().await;

    let after = TALLY.counts();
    let changes = &after.circuit[before.circuit.len()..];
    events.extend(changes.iter().map(|(at, change)| (*at - began, change.to_string())));
    events.sort_by_key(|(at, _)| *at);
    Ok(Outage {
        events,
        states: changes.iter().map(|(_, change)| change.to).collect(),
        calls,
        sent: after.attempts.len() - before.attempts.len(),
        saved: after.refused() - before.refused(),
        hedges: [hedge.stats().hedges - hedged.hedges, hedge.stats().wins - hedged.wins],
    })
}

impl Outage {
    /// Checks that the breaker has opened and closed, and that each call has an answer of the model
    /// or one that is marked.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        use CircuitState::{Closed, HalfOpen, Open};
        let states = &self.states;
        ensure!(states.starts_with(&[Open, HalfOpen]), "the breaker has not opened and probed: {states:?}");
        ensure!(states.ends_with(&[HalfOpen, Closed]), "the breaker has not closed: {states:?}");
        ensure!(self.saved > 0, "the breaker has saved no request");
        for (prompt, ended) in &self.calls {
            match ended {
                Ok(Answer { source: Source::Fallback(_), .. }) => {}
                Ok(Answer { text, .. }) => ensure!(**text == server::answer_to(prompt), "{prompt:?}: {text:?}"),
                Err(error) => ensure!(false, "{prompt:?} has no answer: {error}"),
            }
        }
        Ok(())
    }
}

impl Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "an outage of {}, with a new prompt every {}\n", time(OUTAGE), time(PROMPT_EVERY))?;
        for (at, event) in &self.events {
            writeln!(f, "{:>8}  {event}", time(*at))?;
        }
        let is_marked =
            |ended: &Result<Answer, LlmError>| matches!(ended, Ok(Answer { source: Source::Fallback(_), .. }));
        let (calls, marked) = (self.calls.len(), self.calls.iter().filter(|(_, ended)| is_marked(ended)).count());
        let by_model = self.calls.iter().filter(|(_, ended)| ended.is_ok()).count() - marked;
        let (sent, saved) = (self.sent, self.saved);
        writeln!(
            f,
            "\n{calls} calls: {by_model} answered by the model, {marked} with a fallback that is marked as such"
        )?;
        writeln!(f, "{sent} requests sent, {saved} saved by the breaker")?;
        let [hedges, wins] = self.hedges;
        write!(f, "{hedges} of them sent beside a slow one, of which {wins} answered first")
    }
}
