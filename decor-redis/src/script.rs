//! The scripts, the requests as their arguments, and their answers.

use crate::{
    keys::Keys,
    resp::{Command, Reply},
    store::Call,
};
use decor::shared::{Answer, Ask, Grant, Limits, RunAnswer};
use std::{sync::LazyLock, time::Duration};

/// Longest time that is sent, in microseconds: 31 years. Moments stay whole numbers in Lua, where
/// all numbers are doubles.
const LONGEST: u128 = 1_000_000_000_000_000;

static WINDOWS: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("lua/ground.lua"), include_str!("lua/windows.lua"))));
static PACED: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("lua/ground.lua"), include_str!("lua/paced.lua"))));

#[derive(Debug)]
pub(crate) struct Script {
    source: &'static str,
    sha: String,
}

impl Script {
    pub(crate) fn new(source: &'static str) -> Self {
        Self { source, sha: sha1_smol::Sha1::from(source).digest().to_string() }
    }
}

/// The way in which a request names its script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// By its hash. The server may not know it.
    Hash,
    /// As a whole, which the server remembers.
    Whole,
}

/// Microseconds, rounded up.
fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_nanos().div_ceil(1_000).min(LONGEST)).unwrap_or(i64::MAX)
}

/// Microseconds, rounded down.
fn whole_micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros().min(LONGEST)).unwrap_or(i64::MAX)
}

/// A command that is no request of a limiter.
pub(crate) fn call_command(call: &Call, form: Form) -> Command {
    let mut command = match (call.script, form) {
        (Some(script), Form::Hash) => Command::new(&["EVALSHA", &script.sha]),
        (Some(script), Form::Whole) => Command::new(&["EVAL", script.source]),
        (None, _) => Command::default(),
    };
    if call.script.is_some() {
        command.add_number(call.keys);
    }
    for word in &call.words {
        command.add(word);
    }
    command
}

/// The command of a request. `fresh` is the epoch of the state if there is none yet.
pub(crate) fn command(keys: &Keys, ask: &Ask, fresh: u64, form: Form) -> Command {
    let Script { source, sha } = match &ask.limits {
        Limits::Windows(_) => &*WINDOWS,
        Limits::Paced { .. } => &*PACED,
    };
    command_of(keys, ask, fresh, form, source, sha)
}

#[cfg(test)]
pub(crate) fn sources(limits: &Limits) -> &'static str {
    match limits {
        Limits::Windows(_) => WINDOWS.source,
        Limits::Paced { .. } => PACED.source,
    }
}

fn windows(limits: &Limits) -> usize {
    match limits {
        Limits::Windows(windows) => windows.len(),
        Limits::Paced { .. } => 1,
    }
}

pub(crate) fn command_of(keys: &Keys, ask: &Ask, fresh: u64, form: Form, source: &str, sha: &str) -> Command {
    let windows = windows(&ask.limits);
    let mut command = match form {
        Form::Hash => Command::new(&["EVALSHA", sha]),
        Form::Whole => Command::new(&["EVAL", source]),
    };
    match &ask.limits {
        Limits::Windows(limits) => {
            command.add_number(1 + u32::try_from(limits.len()).unwrap_or(u32::MAX));
            command.add(keys.hash());
            for (window, (_, period)) in limits.iter().enumerate() {
                command.add(keys.window(window, micros(*period)));
            }
        }
        Limits::Paced { .. } => {
            command.add_number(1);
            command.add(keys.hash());
        }
    }
    command.add(ask.epoch.map_or(String::new(), |epoch| epoch.to_string()));
    command.add(fresh.to_string());
    command.add_number(micros(ask.hold));
    command.add_number(whole_micros(ask.reach));
    command.add_number(whole_micros(ask.span));
    command.add_number(micros(ask.grace));
    match ask.pause {
        Some(pause) => command.add_number(micros(pause)),
        None => command.add(""),
    }
    command.add_number(u32::try_from(ask.charges.len()).unwrap_or(u32::MAX));
    command.add_number(u32::try_from(ask.runs.len()).unwrap_or(u32::MAX));
    match &ask.limits {
        Limits::Windows(limits) => {
            for (limit, period) in limits {
                command.add_number(*limit);
                command.add_number(micros(*period));
            }
        }
        Limits::Paced { limit, period, burst } => {
            command.add_number(*limit);
            command.add_number(micros(*period));
            command.add_number(*burst);
        }
    }
    let add_permits = |command: &mut Command, permits: &[u32]| {
        for &permits in &permits[..windows] {
            command.add_number(permits);
        }
    };
    for charge in &ask.charges {
        command.add_number(charge.stamp);
        add_permits(&mut command, &charge.permits);
    }
    add_permits(&mut command, &ask.refund);
    for run in &ask.runs {
        command.add_number(run.calls);
        command.add_number(run.within.map_or(-1, whole_micros));
        add_permits(&mut command, &run.permits);
    }
    command
}

/// The outcome of a piece of a run, as the scripts number it. A further outcome is for a later
/// request.
const GRANTED: i64 = 0;

/// Reads the answer to a request; `None` if it has another form.
pub(crate) fn answer(ask: &Ask, reply: &Reply) -> Option<Answer> {
    let Reply::Array(items) = reply else { return None };
    let (epoch, numbers) = items.split_first()?;
    let Reply::Bulk(epoch) = epoch else { return None };
    let mut answer = Answer::new(std::str::from_utf8(epoch).ok()?.parse().ok()?);
    let mut numbers = numbers.iter().map(|item| match item {
        Reply::Integer(number) => Some(*number),
        _ => None,
    });
    let time = |number: i64| Some(Duration::from_micros(u64::try_from(number).ok()?));
    answer.pause = time(numbers.next()??)?;
    answer.grace = time(numbers.next()??)?;
    for free in &mut answer.free[..windows(&ask.limits)] {
        *free = u32::try_from(numbers.next()??).ok()?;
    }
    for run in &ask.runs {
        let Some(first) = numbers.next() else { break };
        let mut calls = Some(first);
        let mut answered = RunAnswer::default();
        let mut left = i64::from(run.calls);
        while left > 0 {
            let calls = match calls.take() {
                Some(calls) => calls?,
                None => numbers.next()??,
            };
            let (due, outcome) = (time(numbers.next()??)?, numbers.next()??);
            if !(1..=left).contains(&calls) {
                return None;
            }
            if outcome == GRANTED {
                answered.grants.push(Grant { calls: u32::try_from(calls).ok()?, due });
            } else {
                answered.next = Some(due);
            }
            left -= calls;
        }
        answer.runs.push(answered);
    }
    numbers.next().is_none().then_some(answer)
}

/// The command that shows whether a server that was down takes writes again.
pub(crate) fn probe(tag: &str) -> Command {
    const WRITES: &str = "redis.call('HSET', KEYS[1], 'is', 'up') return redis.call('PEXPIRE', KEYS[1], 10000)";
    let mut command = Command::new(&["EVAL", WRITES]);
    command.add_number(1);
    command.add(format!("{{{tag}}}:probe"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use decor::shared::Run;

    fn ask() -> Ask {
        let mut ask = Ask::new(Limits::Windows(vec![(10, Duration::from_secs(1))]));
        ask.runs.push(Run { permits: [1, 0, 0, 0], calls: 3, within: None });
        ask.runs.push(Run { permits: [2, 0, 0, 0], calls: 2, within: Some(Duration::ZERO) });
        ask
    }

    fn reply(numbers: &[i64]) -> Reply {
        let numbers = numbers.iter().map(|number| Reply::Integer(*number));
        Reply::Array([Reply::Bulk(b"18446744073709551615".to_vec())].into_iter().chain(numbers).collect())
    }

    #[test]
    fn an_answer_is_read_run_by_run() {
        let answered = answer(&ask(), &reply(&[5, 6, 7, 2, 0, 0, 1, 1_000, 0, 2, 9, 1])).unwrap();
        assert_eq!((answered.epoch, answered.free), (u64::MAX, [7, 0, 0, 0]));
        assert_eq!((answered.pause, answered.grace), (Duration::from_micros(5), Duration::from_micros(6)));
        let later = Grant { calls: 1, due: Duration::from_millis(1) };
        assert_eq!(answered.runs[0].grants, [Grant { calls: 2, due: Duration::ZERO }, later]);
        assert_eq!(answered.runs[0].next, None);
        assert_eq!(answered.runs[1], RunAnswer { grants: vec![], next: Some(Duration::from_micros(9)) });
        assert!(answer(&ask(), &reply(&[0, 0, 7])).unwrap().runs.is_empty());
    }

    #[test]
    fn an_answer_of_another_form_is_none() {
        for numbers in [&[5, 6][..], &[0, 0, 7, 4, 0, 0], &[0, 0, 7, 0, 0, 0], &[0, 0, 7, 3, 0], &[0, 0, -7]] {
            assert_eq!(answer(&ask(), &reply(numbers)), None, "{numbers:?}");
        }
        assert_eq!(answer(&ask(), &reply(&[0, 0, 7, 3, 0, 0, 2, 0, 0, 1])), None);
        assert_eq!(answer(&ask(), &Reply::Nil), None);
    }
}
