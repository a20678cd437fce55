//! The cases. Each is a job that several libraries do.

mod blocking;
mod breaker;
mod budget;
mod chain;
mod concurrency;
mod depth;
mod hedge;
mod limiter;
mod memo;
mod mixed;
mod retry;
pub mod subject;
mod timeout;
mod waiters;
mod watched;

use crate::measure::{Pair, Row, Side};
use std::fmt;

/// A job, and its measurement.
#[derive(Debug)]
pub struct Case {
    /// The name in the table and for `--case`.
    pub id: &'static str,
    /// The description of the job.
    pub about: &'static str,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Repeats a call on several threads.
    Calls { threads: usize, pairs: fn() -> Vec<Pair> },
    /// Admits `count` waiters at `rate` a second.
    Waiters { count: usize, rate: u32 },
}

impl Case {
    const fn calls(id: &'static str, about: &'static str, pairs: fn() -> Vec<Pair>) -> Self {
        Self::calls_on(1, id, about, pairs)
    }

    const fn calls_on(threads: usize, id: &'static str, about: &'static str, pairs: fn() -> Vec<Pair>) -> Self {
        Self { id, about, kind: Kind::Calls { threads, pairs } }
    }

    const fn waiters(id: &'static str, about: &'static str, count: usize, rate: u32) -> Self {
        Self { id, about, kind: Kind::Waiters { count, rate } }
    }

    /// Measures decor beside each peer.
    pub fn measure(&self) -> Vec<Row> {
        match self.kind {
            Kind::Calls { threads, pairs } => pairs().iter().map(|pair| pair.measure(self.id, threads)).collect(),
            Kind::Waiters { count, rate } => waiters::measure(self.id, count, rate),
        }
    }
}

/// All cases, in the order of the table.
pub const ALL: &[Case] = &[
    Case::calls("retry_ok", "a retry that succeeds at the first attempt", retry::ok),
    Case::calls("retry_3", "three attempts without delay", retry::three),
    Case::calls("retry_budgeted", "the first with a budget that is full", budget::full),
    Case::calls("retry_budget_filling", "the same with a budget that each success fills a little", budget::filling),
    Case::calls("timeout_ready", "a timeout around a call that is ready at once", timeout::ready),
    Case::calls("timeout_pending", "a timeout around a call that is pending once", timeout::pending),
    Case::calls("timeout_deadline", "a limit that the call can ask for, and does not", budget::limit),
    Case::calls("timeout_nested", "a limit within a limit", budget::nested),
    Case::calls("hedge_unused", "a hedge after a delay, around a call that is ready at once", hedge::fixed),
    Case::calls("hedge_percentile", "the same with a percentile as delay", hedge::percentile),
    Case::calls("fallback_unused", "a closure that answers failures, and a success", hedge::fallback),
    Case::calls("fallback_to_unused", "the same with another function", hedge::fallback_to),
    Case::calls_on(1, "paced_1t", "a free permit at an even pace", limiter::paced),
    Case::calls_on(2, "paced_2t", "the same on two threads", limiter::paced),
    Case::calls_on(1, "exact_1t", "a free permit of an exact window", limiter::exact),
    Case::calls_on(2, "exact_2t", "the same on two threads", limiter::exact),
    Case::waiters("waiters_1k", "1,000 waiters at 1,000 a second", 1_000, 1_000),
    Case::waiters("waiters_100k", "100,000 waiters at 100,000 a second", 100_000, 100_000),
    Case::calls_on(1, "concurrency_1t", "a free permit of a concurrency limiter, given back", concurrency::free),
    Case::calls_on(2, "concurrency_2t", "the same on two threads", concurrency::free),
    Case::calls_on(1, "memo_hit_1t", "a hit", memo::hit),
    Case::calls_on(2, "memo_hit_2t", "the same on two threads", memo::hit),
    Case::calls("memo_mixed_1", "keys of different popularity, 1 of 1,000 calls for a new one", mixed::one),
    Case::calls("memo_mixed_10", "the same with 10 of 1,000", mixed::ten),
    Case::calls("memo_mixed_100", "the same with 100 of 1,000", mixed::hundred),
    Case::calls("memo_cold", "1,000 callers of one key, and one load", memo::cold),
    Case::calls("chain", "limiter, retry, timeout, logged and timed, without a listener", chain::chain),
    Case::calls("chain_hit", "the same with a memo, a hit", chain::hit),
    Case::calls("chain_of_six", "timeout, breaker, concurrency limiter, retry, timeout and fallback", chain::six),
    Case::calls("blocking_ok", "a sync retry that succeeds at the first attempt", blocking::ok),
    Case::calls("timed", "a recorded time of each call", watched::timed),
    Case::calls("logged_off", "logged, without a listener", watched::logged),
    Case::calls("breaker_closed", "a closed circuit breaker, nothing failed lately", breaker::closed),
    Case::calls("breaker_rate", "a closed circuit breaker with a rate", breaker::rate),
    Case::calls("depth_1", "timeout", depth::depth_1),
    Case::calls("depth_2", "timeout, retry", depth::depth_2),
    Case::calls("depth_3", "timeout, retry, total timeout", depth::depth_3),
    Case::calls("depth_4", "the same, and validated", depth::depth_4),
    Case::calls("depth_5", "the same, and logged", depth::depth_5),
    Case::calls("depth_6", "the same, and timed", depth::depth_6),
    Case::calls("depth_7", "the same, and another timeout", depth::depth_7),
    Case::calls("depth_8", "the same, and another retry", depth::depth_8),
];

/// A job with a handle that threads can share.
#[derive(Debug)]
pub struct Shared {
    /// The name without the number of threads.
    pub id: &'static str,
    /// The description of the job.
    pub about: &'static str,
    pairs: fn() -> Vec<Pair>,
}

impl Shared {
    const fn new(id: &'static str, about: &'static str, pairs: fn() -> Vec<Pair>) -> Self {
        Self { id, about, pairs }
    }

    /// Returns the name of the case on a number of threads.
    pub fn on(&self, threads: usize) -> String {
        format!("{}_{threads}t", self.id)
    }

    /// Measures decor beside each peer, on a number of threads.
    pub fn measure(&self, threads: usize) -> Vec<Row> {
        self.pairs().iter().map(|pair| pair.measure(&self.on(threads), threads)).collect()
    }

    /// Returns decor beside each peer.
    pub fn pairs(&self) -> Vec<Pair> {
        (self.pairs)()
    }
}

/// All jobs with a handle that threads can share, in the order of the table.
pub const SHARED: &[Shared] = &[
    Shared::new("paced", "a free permit at an even pace", limiter::paced),
    Shared::new("exact", "a free permit of an exact window", limiter::exact),
    Shared::new("memo_hit", "a hit", memo::hit),
    Shared::new("chain", "limiter, retry, timeout, logged and timed, without a listener", chain::chain),
    Shared::new("chain_hit", "the same with a memo, a hit", chain::hit),
];

/// A side with a name, for `cargo bench`.
#[derive(Debug)]
pub struct Named {
    name: String,
    /// The library.
    pub side: Side,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Returns all sides of the cases on one thread that begin with `prefix`.
pub fn sides(prefix: &str) -> Vec<Named> {
    let mut sides = Vec::new();
    for case in ALL.iter().filter(|case| case.id.starts_with(prefix)) {
        let Kind::Calls { threads: 1, pairs } = case.kind else { continue };
        for (place, pair) in pairs().into_iter().enumerate() {
            if place == 0 {
                sides.push(Named { name: format!("{}: decor", case.id), side: pair.ours });
            }
            sides.push(Named { name: format!("{}: {}", case.id, pair.peer), side: pair.theirs });
        }
    }
    sides
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_side_of_every_case_runs() {
        for case in ALL {
            let Kind::Calls { pairs, .. } = case.kind else { continue };
            for pair in pairs() {
                pair.ours.run(3);
                pair.theirs.run(3);
            }
        }
    }

    #[test]
    fn no_two_rows_have_the_same_name() {
        let mut names = HashSet::new();
        for case in ALL {
            let Kind::Calls { pairs, .. } = case.kind else { continue };
            for pair in pairs() {
                assert!(names.insert((case.id, pair.peer)), "{}: {}", case.id, pair.peer);
            }
        }
    }
}
