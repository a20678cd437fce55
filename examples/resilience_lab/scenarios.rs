//! The scenarios, and the way in which callers go through them.

use super::{
    chains::Chain,
    dice,
    numbers::{Ended, Numbers},
    service::{Mode, Service},
};
use decor::prelude::*;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep_until},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    Healthy,
    Flaky,
    Slow,
    Down,
    Hanging,
    Overloaded,
}

/// A part of a scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase {
    seconds: u32,
    /// Number of calls that callers ask for in a second.
    demand: u32,
    mode: Mode,
}

impl Scenario {
    pub(crate) const ALL: [Self; 6] =
        [Self::Healthy, Self::Flaky, Self::Slow, Self::Down, Self::Hanging, Self::Overloaded];

    pub(crate) fn says(self) -> &'static str {
        match self {
            Self::Healthy => "healthy: 60 calls a second for 20 s, room for 100",
            Self::Flaky => "flaky: 6 of 100 calls fail; 60 calls a second for 20 s",
            Self::Slow => "slow: 3 of 100 answers come 800 ms late; 60 calls a second for 20 s",
            Self::Down => "down: refuses all connections from second 5 to 10; 85 calls a second for 30 s",
            Self::Hanging => {
                "hanging: takes all calls and answers none from second 4 to 16; 60 calls a second for 20 s"
            }
            Self::Overloaded => "overloaded: 150 calls a second from second 4 to 16, then 60, room for 100",
        }
    }

    /// The time before a disturbance, the disturbance, and the time after it.
    fn phases(self) -> [Phase; 3] {
        let phase = |seconds, demand, mode| Phase { seconds, demand, mode };
        let healthy = |seconds, demand| phase(seconds, demand, Mode::Healthy);
        match self {
            Self::Healthy => [4, 12, 4].map(|seconds| healthy(seconds, 60)),
            Self::Flaky => [4, 12, 4].map(|seconds| phase(seconds, 60, Mode::Flaky(0.06))),
            Self::Slow => [4, 12, 4].map(|seconds| phase(seconds, 60, Mode::Slow(0.03))),
            Self::Down => [healthy(5, 85), phase(5, 85, Mode::Down), healthy(20, 85)],
            Self::Hanging => [healthy(4, 60), phase(12, 60, Mode::Hanging), healthy(4, 60)],
            Self::Overloaded => [healthy(4, 60), healthy(12, 150), healthy(8, 60)],
        }
    }

    /// Runs a chain in a runtime of its own, in virtual time.
    fn run(self, chain: Chain) -> Numbers {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime without I/O can be built").block_on(self.ask_through(chain))
    }

    async fn ask_through(self, chain: Chain) -> Numbers {
        let service = Service::new();
        let call = chain.around(&service);
        let begin = Instant::now();
        let mut callers = JoinSet::new();
        let mut phase_ends = begin;
        let phases = self.phases().map(|Phase { seconds, demand, mode }| {
            let begins = phase_ends;
            phase_ends += Duration::from_secs(seconds.into());
            (begins, phase_ends, seconds * demand, mode)
        });
        let mut id = 0;
        for (begins, ends, calls, mode) in phases {
            sleep_until(begins).await;
            service.enter(mode);
            for n in 0..calls {
                // Callers come at random, each within its own share of the phase.
                let asked = begins + (ends - begins).mul_f64((f64::from(n) + dice("asks", id)) / f64::from(calls));
                sleep_until(asked).await;
                let call = call.clone();
                callers.spawn(async move {
                    let is_answered = call.call(id).await.is_ok();
                    Ended { asked: asked - begin, done: begin.elapsed(), is_answered }
                });
                id += 1;
            }
        }
        let ended = callers.join_all().await;
        Numbers::new(begin, ended, service.record(), phases.map(|(begins, ends, ..)| begins - begin..ends - begin))
    }
}

/// The numbers of each chain in each scenario.
pub(crate) struct Results(BTreeMap<(Scenario, Chain), Numbers>);

impl Results {
    pub(crate) fn of_all() -> Self {
        let pairs = Scenario::ALL.into_iter().flat_map(|scenario| Chain::ALL.map(|chain| (scenario, chain)));
        Self(pairs.map(|(scenario, chain)| ((scenario, chain), scenario.run(chain))).collect())
    }

    pub(crate) fn of(&self, scenario: Scenario, chain: Chain) -> &Numbers {
        &self.0[&(scenario, chain)]
    }
}
