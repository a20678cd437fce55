//! For each handle the scenario that it exists for, as a sentence with numbers that are checked.

use super::{
    chains::{BUDGET_RATIO, Chain},
    numbers::Numbers,
    scenarios::{
        Results,
        Scenario::{self, Down, Flaky, Hanging, Healthy, Overloaded, Slow},
    },
    service::Service,
    table::{millis, percent},
};
use decor::prelude::*;
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

pub(crate) fn of(results: &Results) -> [Claim; 9] {
    [
        retry(results),
        budget(results),
        recovery(results),
        breaker(results),
        adaptive(results),
        hedge(results),
        all(results),
        healthy(results),
        order(),
    ]
}

/// The numbers of a chain without a handle, and of the same chain with it.
fn pair(results: &Results, scenario: Scenario, without: Chain, with: Chain) -> [&Numbers; 2] {
    [without, with].map(|chain| results.of(scenario, chain))
}

fn retry(results: &Results) -> Claim {
    let [without, with] = pair(results, Flaky, Chain::Bare, Chain::Retry).map(Numbers::answered);
    Claim {
        handle: "retry",
        sentence: format!("flaky: {} have an answer; without it {}.", percent(with), percent(without)),
        holds: without < 0.96 && with > 0.995,
    }
}

fn budget(results: &Results) -> Claim {
    let [naive, load] = pair(results, Down, Chain::Retry, Chain::Budget).map(Numbers::load_during);
    Claim {
        handle: "budget",
        sentence: format!(
            "down: during the outage {load:.2} calls per call, at most 1 + {BUDGET_RATIO}; without it {naive:.2}."
        ),
        holds: naive > 2.0
            && load <= 1.0 + BUDGET_RATIO
            && Scenario::ALL.iter().all(|scenario| results.of(*scenario, Chain::Budget).load() <= 1.0 + BUDGET_RATIO),
    }
}

fn recovery(results: &Results) -> Claim {
    let [never, after] = pair(results, Down, Chain::Retry, Chain::Budget).map(Numbers::answered_after);
    Claim {
        handle: "",
        sentence: format!(
            "down: {} have an answer in the 20 s after the outage; without it {}, because retries overload the service.",
            percent(after),
            percent(never)
        ),
        holds: after > 0.99 && never < 0.2,
    }
}

fn breaker(results: &Results) -> Claim {
    let pair = pair(results, Hanging, Chain::Budget, Chain::Breaker);
    let ([long, short], [many, few]) = (pair.map(|run| run.wait(50)), pair.map(Numbers::made));
    Claim {
        handle: "breaker",
        sentence: format!(
            "hanging: {few} calls reach the service, and p50 is {}; without it {many} and {}.",
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
            "overloaded: {} have an answer, and the service serves {in_vain} calls in vain; without it {} and {wasted}.",
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
        sentence: format!("slow: p99 is {}, for {load:.2} calls per call; without it {}.", millis(short), millis(long)),
        holds: short * 2 < long && load <= 1.0 + BUDGET_RATIO,
    }
}

/// All handles together keep what each of them wins.
fn all(results: &Results) -> Claim {
    let of = |scenario| results.of(scenario, Chain::All);
    let [flaky, down, overloaded] = [of(Flaky).answered(), of(Down).answered_after(), of(Overloaded).answered()];
    let (slow, hanging) = (of(Slow).wait(99), of(Hanging).wait(50));
    let most = Scenario::ALL.map(|scenario| of(scenario).load()).into_iter().fold(0.0, f64::max);
    Claim {
        handle: "all",
        sentence: format!(
            "flaky {}, slow p99 {}, down {} after it, hanging p50 {}, overloaded {}; at most {most:.2} calls per call.",
            percent(flaky),
            millis(slow),
            percent(down),
            millis(hanging),
            percent(overloaded)
        ),
        holds: flaky > 0.995
            && slow < Duration::from_millis(400)
            && down > 0.98
            && hanging < Duration::from_millis(10)
            && overloaded > 0.75
            && most <= 1.0 + BUDGET_RATIO,
    }
}

fn healthy(results: &Results) -> Claim {
    let runs = Chain::ALL.map(|chain| results.of(Healthy, chain));
    let most = runs.iter().map(|run| run.load()).fold(0.0, f64::max);
    Claim {
        handle: "healthy",
        sentence: format!("through each chain every call has an answer, for at most {most:.2} calls per call."),
        holds: runs.iter().all(|run| run.answered() >= 1.0) && most <= 1.0 + BUDGET_RATIO,
    }
}

fn order() -> Claim {
    let lints: usize = Chain::ALL.iter().map(|chain| chain.around(&Service::new()).describe().lints().len()).sum();
    Claim {
        handle: "order",
        sentence: format!("`describe()` finds {lints} faults in the order of the chains."),
        holds: lints == 0,
    }
}
