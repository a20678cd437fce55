//! Random calls in several processes, with random trips and faults: no window is exceeded, and all
//! calls end.

use crate::support::{Record, SECOND, closed, ms};
use decor::{RateLimiter, RateLimiterBuilder, test_util::FakeStore};
use proptest::prelude::*;
use std::time::Duration;
use tokio::{
    runtime::Builder,
    time::{sleep, timeout},
};

#[derive(Debug, Clone, Copy)]
enum Word {
    Acquire,
    Many(u32),
    Within(u64),
    Try,
    /// Dropped after so many milliseconds.
    Drop(u64),
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Hang,
    Refuse,
}

/// Calls, with a pause before each.
type Task = Vec<(u64, Word)>;

#[derive(Debug, Clone)]
struct Scenario {
    limits: Vec<(u32, u64)>,
    lease: u32,
    slack: u64,
    /// The trip of each process, and its tasks.
    processes: Vec<(u64, Vec<Task>)>,
    /// A time without a fault, and a time with it.
    faults: Vec<(u64, Fault, u64)>,
}

fn any_scenario() -> impl Strategy<Value = Scenario> {
    let word = prop_oneof![
        4 => Just(Word::Acquire),
        2 => (1_u32..4).prop_map(Word::Many),
        2 => (0_u64..400).prop_map(Word::Within),
        1 => Just(Word::Try),
        1 => (0_u64..300).prop_map(Word::Drop),
    ];
    let call = (prop_oneof![3 => Just(0_u64), 1 => 0_u64..60, 1 => 0_u64..700], word);
    let task = prop::collection::vec(call, 1..12);
    let process = (prop_oneof![Just(0_u64), 0_u64..60], prop::collection::vec(task, 1..5));
    let limits = prop::collection::vec((3_u32..8, 200_u64..1_000), 1..3);
    let fault = (0_u64..900, prop_oneof![Just(Fault::Hang), Just(Fault::Refuse)], 0_u64..900);
    (limits, 0_u32..4, 1_u64..60, prop::collection::vec(process, 1..4), prop::collection::vec(fault, 0..3)).prop_map(
        |(limits, lease, slack, processes, faults)| {
            let lease = if limits.len() > 1 { 0 } else { lease.min(limits[0].0) };
            Scenario { limits, lease, slack, processes, faults }
        },
    )
}

fn builder(scenario: &Scenario) -> RateLimiterBuilder {
    let limits = scenario.limits.iter().fold(RateLimiter::builder(), |b, &(n, period)| b.window(n, ms(period)));
    limits.lease(scenario.lease).slack(ms(scenario.slack))
}

async fn call(limiter: &RateLimiter, word: Word) -> u32 {
    let (permits, admitted) = match word {
        Word::Acquire => {
            limiter.acquire().await;
            (1, true)
        }
        Word::Many(n) => (n, limiter.acquire_many(n).await.is_ok()),
        Word::Within(wait) => (1, limiter.acquire_within(ms(wait)).await.is_ok()),
        Word::Try => (1, limiter.try_acquire().is_ok()),
        Word::Drop(wait) => (1, timeout(ms(wait), limiter.acquire()).await.is_ok()),
    };
    if admitted { permits } else { 0 }
}

async fn run(scenario: &Scenario) -> Result<(), TestCaseError> {
    let (store, record) = (FakeStore::new(), Record::begin());
    let mut tasks = Vec::new();
    for (trip, calls) in &scenario.processes {
        let process = store.another_process();
        process.set_trip(ms(*trip));
        let limiter = closed(builder(scenario), &process);
        for calls in calls.clone() {
            let (limiter, record) = (limiter.clone(), record.clone());
            tasks.push(tokio::spawn(async move {
                for (pause, word) in calls {
                    sleep(ms(pause)).await;
                    let permits = call(&limiter, word).await;
                    record.note(permits);
                }
            }));
        }
    }
    for &(before, fault, time) in &scenario.faults {
        sleep(ms(before)).await;
        match fault {
            Fault::Hang => store.hang(),
            Fault::Refuse => store.refuse(),
        }
        sleep(ms(time)).await;
        store.come_back();
    }
    for task in tasks {
        let ended = timeout(600 * SECOND, task).await;
        prop_assert!(ended.is_ok_and(|ended| ended.is_ok()), "a call waits for ever");
    }
    for &(limit, period) in &scenario.limits {
        let most = record.most_in(Duration::from_millis(period));
        prop_assert!(most <= limit, "{most} of {limit} in {period} ms: {:?}", record.moments());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_window_is_exceeded_and_every_call_ends(scenario in any_scenario()) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(&scenario))?;
    }
}

/// Permits for one moment and permits for another do not cover a call for three, although they are
/// three together.
#[test]
fn permits_of_several_moments_do_not_keep_a_call_from_being_asked_for() {
    use Word::{Acquire, Drop, Many};
    let near = vec![
        vec![(27, Drop(234)), (0, Acquire), (0, Many(2))],
        vec![(1, Acquire), (0, Many(3))],
        vec![(1, Acquire), (0, Acquire), (0, Acquire)],
        vec![(33, Many(2))],
    ];
    let far = vec![vec![(0, Acquire), (7, Acquire)], vec![(0, Acquire)]];
    let processes = vec![(21, far), (0, near), (0, vec![vec![(0, Many(3))]])];
    let scenario = Scenario { limits: vec![(3, 300)], lease: 0, slack: 26, processes, faults: vec![] };
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(&scenario)).unwrap();
}
