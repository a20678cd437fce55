//! For each handle the scenario that it exists for, as a sentence whose numbers are checked.

use super::{
    chains::{BUDGET_RATIO, Chain},
    numbers::Numbers,
    scenarios::{
        Results,
        Scenario::{self, Down, Flaky, Hanging, Healthy, Overloaded, Slow},
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
        let verdict = if self.holds { "" } else { "  <- does not hold" };
        write!(f, "{:<10}{}{verdict}", self.handle, self.sentence)
    }
}

pub(crate) fn of(results: &Results) -> [Claim; 7] {
    [retry(results), budget(results), breaker(results), adaptive(results), hedge(results), all(results), calm(results)]
}

/// The numbers of a chain without a handle, and of the same chain with it.
fn pair(results: &Results, scenario: Scenario, without: Chain, with: Chain) -> [&Numbers; 2] {
    [without, with].map(|chain| results.of(scenario, chain))
}

fn retry(results: &Results) -> Claim {
    let [without, with] = pair(results, Flaky, Chain::Bare, Chain::Retry).map(Numbers::answered);
    Claim {
        handle: "retry",
        sentence: format!("flaky: {} of the calls have an answer; without it {}.", percent(with), percent(without)),
        holds: without < 0.96 && with > 0.995,
    }
}

fn budget(results: &Results) -> Claim {
    let pair = pair(results, Down, Chain::Retry, Chain::Budget);
    let ([naive, load], [never, after]) = (pair.map(Numbers::load_during), pair.map(Numbers::answered_after));
    Claim {
        handle: "budget",
        sentence: format!(
            "down: {load:.2} calls for each call asked during the outage, at most 1 + {BUDGET_RATIO}; without it {naive:.2}. \
             {} are answered in the 20 s after it; without it {}, because the retries overload the service.",
            percent(after),
            percent(never)
        ),
        holds: load <= 1.0 + BUDGET_RATIO && naive > 2.0 && after > 0.99 && never < 0.2,
    }
}

fn breaker(results: &Results) -> Claim {
    let pair = pair(results, Hanging, Chain::Budget, Chain::Breaker);
    let ([long, short], [many, few]) = (pair.map(|run| run.wait(50)), pair.map(Numbers::made));
    Claim {
        handle: "breaker",
        sentence: format!(
            "hanging: {few} calls reach the service, and half of the callers wait for at most {}; without it {many} and {}.",
            millis(short),
            millis(long)
        ),
        holds: short < Duration::from_millis(10) && long >= Duration::from_secs(1) && few * 2 < many,
    }
}

fn adaptive(results: &Results) -> Claim {
    let pair = pair(results, Overloaded, Chain::Budget, Chain::Adaptive);
    let [collapsed, steady] = pair.map(Numbers::answered);
    let [wasted, in_vain] = pair.map(|run| run.in_vain);
    Claim {
        handle: "adaptive",
        sentence: format!(
            "overloaded: {} of the calls have an answer, and the service works for {in_vain} calls in vain; \
             without it {} and {wasted}.",
            percent(steady),
            percent(collapsed)
        ),
        holds: steady > 0.75 && collapsed < 0.25 && in_vain * 20 < wasted,
    }
}

fn hedge(results: &Results) -> Claim {
    let pair = pair(results, Slow, Chain::Budget, Chain::Hedge);
    let ([long, short], [_, load]) = (pair.map(|run| run.wait(99)), pair.map(Numbers::load));
    Claim {
        handle: "hedge",
        sentence: format!(
            "slow: one caller in a hundred waits for {} or longer, for {load:.2} calls per call; without it {}.",
            millis(short),
            millis(long)
        ),
        holds: short * 2 < long && load <= 1.0 + BUDGET_RATIO,
    }
}

/// All handles together keep what each of them wins.
fn all(results: &Results) -> Claim {
    let of = |scenario| results.of(scenario, Chain::All);
    let load = Scenario::ALL.map(|scenario| of(scenario).load()).into_iter().fold(0.0, f64::max);
    Claim {
        handle: "all",
        sentence: format!(
            "flaky {}, slow p99 {}, down {} after the outage, hanging p50 {}, overloaded {}; at most {load:.2} calls per call.",
            percent(of(Flaky).answered()),
            millis(of(Slow).wait(99)),
            percent(of(Down).answered_after()),
            millis(of(Hanging).wait(50)),
            percent(of(Overloaded).answered())
        ),
        holds: load <= 1.0 + BUDGET_RATIO,
    }
}

fn calm(results: &Results) -> Claim {
    let runs = Chain::ALL.map(|chain| results.of(Healthy, chain));
    let most = runs.iter().map(|run| run.load()).fold(0.0, f64::max);
    Claim {
        handle: "healthy",
        sentence: format!("every call has an answer through each chain, for at most {most:.2} calls per call."),
        holds: runs.iter().all(|run| run.answered() >= 1.0) && most <= 1.0 + BUDGET_RATIO,
    }
}
