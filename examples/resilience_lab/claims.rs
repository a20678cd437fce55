//! For each handle the scenario in which it wins, as a sentence that is checked.

use super::{
    chains::{BUDGET_RATIO, Chain},
    scenarios::{
        Results,
        Scenario::{Down, Flaky, Hanging, Healthy, Overloaded, Slow},
    },
    table::{millis, percent},
};
use std::{
    fmt::{self, Display},
    time::Duration,
};

pub(crate) struct Claim {
    handle: &'static str,
    sentence: String,
    pub(crate) holds: bool,
}

impl Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds { "" } else { " (THIS DOES NOT HOLD)" };
        write!(f, "{:<10}{}{verdict}", self.handle, self.sentence)
    }
}

pub(crate) fn of(results: &Results) -> Vec<Claim> {
    vec![retry(results), budget(results)]
}

fn retry(results: &Results) -> Claim {
    let [bare, retry] = [Chain::Bare, Chain::Retry].map(|chain| results.of(Flaky, chain).answered());
    Claim {
        handle: "retry",
        sentence: format!("flaky: {} of the calls have an answer, {} without it", percent(retry), percent(bare)),
        holds: bare < 0.96 && retry > 0.995,
    }
}

fn budget(results: &Results) -> Claim {
    let [naive, budget] = [Chain::Retry, Chain::Budget].map(|chain| results.of(Down, chain));
    let [loads, after] =
        [[naive.load_during(), budget.load_during()], [naive.answered_after(), budget.answered_after()]];
    Claim {
        handle: "budget",
        sentence: format!(
            "down: {:.2} calls for each call during the outage, {:.2} without it; {} answered in the 20 s after it, {} without it",
            loads[1],
            loads[0],
            percent(after[1]),
            percent(after[0])
        ),
        holds: loads[1] <= 1.0 + BUDGET_RATIO && after[1] > 0.99,
    }
}
