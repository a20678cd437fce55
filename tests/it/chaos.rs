//! `chaotic`: faults by script and by seed, in both halves and on futures.

use crate::support::{ms, secs};
use decor::{
    Chaos, ChaosConfig, CircuitState, Error, Fault, Hedge,
    blocking::CancelToken,
    prelude::*,
    test_util::{self, VirtualClock},
};
use std::{
    cell::Cell,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout};

type Answer = Result<u64, Error>;

fn busy() -> Error {
    Error::QueueFull { waiting: 9 }
}

async fn fetch(id: u64) -> Answer {
    Ok(id)
}

#[tokio::test(start_paused = true)]
async fn a_script_has_a_fault_for_each_call() {
    let calls = Cell::new(0);
    let count = |id: u64| {
        calls.set(calls.get() + 1);
        ready(Answer::Ok(id))
    };
    let chaos = Chaos::script([Fault::Fail, Fault::Pass, Fault::Slow(ms(300)), Fault::Hang]);
    let chain = count.chaotic(&chaos, busy);
    assert_eq!((chain.call(1).await, calls.get()), (Err(busy()), 0));
    assert_eq!((chain.call(2).await, calls.get()), (Ok(2), 1));
    let begun = Instant::now();
    assert!(timeout(ms(299), chain.call(3)).await.is_err());
    assert_eq!(calls.get(), 1, "the function is called after the wait");
    assert!(timeout(secs(100), chain.call(4)).await.is_err());
    assert_eq!((calls.get(), begun.elapsed()), (1, secs(100) + ms(299)));
    // After the script, calls are made as they are.
    assert_eq!((chain.call(5).await, calls.get()), (Ok(5), 2));
    assert_eq!(chaos.stats().to_string(), "ChaosStats(calls=5, failed=1, slowed=1, hung=1)");
    let slow = fetch.chaotic(&Chaos::script([Fault::Slow(ms(300))]), busy);
    let begun = Instant::now();
    assert_eq!((slow.call(7).await, begun.elapsed()), (Ok(7), ms(300)));
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_taken_at_the_first_poll() {
    let chaos = Chaos::script([Fault::Fail]);
    let chain = fetch.chaotic(&chaos, busy);
    let first = chain.call(1);
    drop(chain.call(2));
    assert_eq!(chaos.stats().calls, 0);
    assert_eq!(chain.call(3).await, Err(busy()));
    assert_eq!(first.await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_and_each_hedge_has_its_own_fault() {
    let begun = Instant::now();
    let chaos = Chaos::script([Fault::Fail, Fault::Slow(ms(100)), Fault::Fail]);
    let chain = fetch.chaotic(&chaos, busy).retry_with(RetryPolicy::fixed(secs(1)));
    assert_eq!((chain.call(7).await, begun.elapsed()), (Ok(7), ms(1_100)));
    let begun = Instant::now();
    let chaos = Chaos::script([Fault::Hang, Fault::Fail]);
    let chain = fetch.chaotic(&chaos, busy).timeout(secs(1)).retry_with(RetryPolicy::fixed(secs(1)));
    assert_eq!((chain.call(7).await, begun.elapsed()), (Ok(7), secs(3)));
    let begun = Instant::now();
    let chaos = Chaos::script([Fault::Hang, Fault::Slow(ms(20)), Fault::Fail]);
    let chain = fetch.chaotic(&chaos, busy).hedged(Hedge::after(ms(50)));
    assert_eq!((chain.call(7).await, begun.elapsed()), (Ok(7), ms(70)));
    assert_eq!(chain.call(7).await, Err(busy()));
}

/// A fault stands for a call of the server: a breaker behind it counts it, and a hedge is paid for.
#[tokio::test(start_paused = true)]
async fn a_fault_counts_as_a_call_of_the_function() {
    let breaker = CircuitBreaker::consecutive(2);
    let chaos = Chaos::script([Fault::Fail, Fault::Hang]);
    let chain = fetch.chaotic(&chaos, busy).timeout(secs(1)).guarded_by(&breaker);
    assert_eq!(chain.call(7).await, Err(busy()));
    assert_eq!((breaker.state(), breaker.stats().failed), (CircuitState::Closed, 1));
    assert!(matches!(chain.call(7).await, Err(Error::TimedOut { .. })));
    assert_eq!((breaker.state(), breaker.stats().failed), (CircuitState::Open, 2));

    // A call that is slow by chaos, and is dropped meanwhile.
    let breaker = CircuitBreaker::builder().consecutive(1).slow_after(ms(100)).build();
    let chain = fetch.chaotic(&Chaos::script([Fault::Slow(secs(9))]), busy).guarded_by(&breaker).timeout(secs(1));
    assert!(matches!(chain.call(7).await, Err(Error::TimedOut { .. })));
    assert_eq!((breaker.state(), breaker.stats().slow), (CircuitState::Open, 1));

    let budget = RetryBudget::new(0.1).capacity(1);
    let chaos = Chaos::script([Fault::Slow(ms(100)), Fault::Hang]);
    let chain = fetch.chaotic(&chaos, busy).hedged(Hedge::after(ms(50)).budget(&budget));
    assert_eq!(chain.call(7).await, Ok(7));
    assert_eq!((budget.stats().withdrawals, budget.stats().returns), (1, 0));
}

#[test]
fn a_fault_on_a_thread_counts_as_a_call_of_the_function() {
    let _clock = VirtualClock::start();
    let load = (|id: u64| Answer::Ok(id)).blocking();
    for limit in [None, Some(secs(1))] {
        let breaker = CircuitBreaker::consecutive(1);
        let chain = load.clone().chaotic(&Chaos::script([Fault::Fail]), busy);
        let answer = match limit {
            None => chain.guarded_by(&breaker).call(7),
            Some(limit) => chain.timeout(limit).guarded_by(&breaker).call(7),
        };
        assert_eq!((answer, breaker.state()), (Err(busy()), CircuitState::Open));
    }
}

#[tokio::test(start_paused = true)]
async fn chaos_can_be_switched_off_and_on() {
    let chaos = Chaos::script([Fault::Fail, Fault::Fail]);
    let chain = fetch.chaotic(&chaos.clone(), busy);
    assert_eq!(chain.call(1).await, Err(busy()));
    chaos.switch_off();
    for id in 0..9 {
        assert_eq!(chain.call(id).await, Ok(id));
    }
    chaos.switch_on();
    assert_eq!((chain.call(1).await, chain.call(2).await), (Err(busy()), Ok(2)));
    assert_eq!((chaos.stats().calls, chaos.stats().failed), (3, 2));
}

/// The faults of a hundred calls, as letters.
async fn faults(chaos: &Chaos) -> String {
    let chain = fetch.chaotic(chaos, busy);
    let mut faults = String::new();
    for id in 0..100 {
        let begun = Instant::now();
        faults.push(match timeout(secs(9), chain.call(id)).await {
            Err(_) => 'h',
            Ok(Err(_)) => 'f',
            Ok(Ok(_)) if begun.elapsed() == secs(1) => 's',
            Ok(Ok(_)) => '.',
        });
    }
    faults
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_its_faults() {
    let of = |seed| Chaos::seeded(seed).failing(0.2).slowing(0.2, secs(1)).hanging(0.1);
    let chaos = of(7);
    let seven = faults(&chaos).await;
    assert_eq!(seven, faults(&of(7)).await);
    assert_ne!(seven, faults(&of(8)).await);
    let count = |fault| seven.chars().filter(|c| *c == fault).count() as u64;
    let stats = chaos.stats();
    assert_eq!((stats.failed, stats.slowed, stats.hung), (count('f'), count('s'), count('h')));
    assert!(count('f') > 0 && count('s') > 0 && count('h') > 0 && count('.') > 0, "{seven}");
    let config = ChaosConfig { seed: 7, failing: 0.2, slowing: 0.2, slow_by: secs(1), hanging: 0.1 };
    assert_eq!(seven, faults(&config.try_into().unwrap()).await);
    assert_ne!(seven, faults(&chaos).await, "the same handle goes on");
    assert_eq!(seven, faults(&chaos.hanging(0.1)).await, "a changed handle begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_future_gets_a_fault_too() {
    let chaos = Chaos::script([Fault::Fail, Fault::Slow(ms(300)), Fault::Hang]);
    let begun = Instant::now();
    assert_eq!(fetch(7).chaotic(&chaos, busy).await, Err(busy()));
    assert_eq!((fetch(7).chaotic(&chaos, busy).await, begun.elapsed()), (Ok(7), ms(300)));
    assert!(fetch(7).chaotic(&chaos, busy).timeout(secs(1)).await.is_err());
    assert_eq!(begun.elapsed(), ms(1_300));
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_clock_hangs() {
    let chain = fetch.chaotic(&Chaos::script([Fault::Slow(Duration::MAX)]), busy);
    assert!(timeout(secs(9), chain.call(7)).await.is_err());
}

#[test]
fn a_thread_that_hangs_is_abandoned_by_its_timeout() {
    let clock = VirtualClock::start();
    let calls = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&calls);
    let load = move |id: u64| {
        counts.fetch_add(1, Relaxed);
        Answer::Ok(id)
    };
    let chaos = Chaos::script([Fault::Fail, Fault::Hang, Fault::Slow(ms(300))]);
    let chain = load.blocking().chaotic(&chaos, busy).timeout(secs(1)).retry_with(RetryPolicy::fixed(secs(1)));
    assert_eq!((chain.call(7), clock.elapsed(), calls.load(Relaxed)), (Ok(7), ms(3_300), 1));
    assert_eq!(chaos.stats().to_string(), "ChaosStats(calls=3, failed=1, slowed=1, hung=1)");
}

#[test]
fn a_thread_that_hangs_is_freed_by_its_token() {
    let clock = VirtualClock::start();
    let (token, signal) = (CancelToken::new(), CancelToken::new());
    let hangs = clock.spawn({
        let token = token.clone();
        move || {
            let chain = (|id: u64| Answer::Ok(id)).blocking().chaotic(&Chaos::script([Fault::Hang]), busy);
            token.run(|| chain.call(7))
        }
    });
    test_util::sleep(secs(1));
    token.cancel();
    drop(signal);
    assert_eq!(hangs.join(), None);
    assert_eq!(clock.elapsed(), secs(1));
}

#[test]
fn wrong_settings_are_refused_with_their_value() {
    let message = |result: Result<Chaos, decor::ConfigError>| result.unwrap_err().to_string();
    for wrong in [-0.1, 1.1, f64::NAN] {
        let text = |setting: &str| format!("`{setting}` is {wrong}, but must be between 0 and 1");
        assert_eq!(message(Chaos::seeded(7).try_failing(wrong)), text("failing"));
        assert_eq!(message(Chaos::seeded(7).try_slowing(wrong, secs(1))), text("slowing"));
        assert_eq!(message(Chaos::seeded(7).try_hanging(wrong)), text("hanging"));
        let of = ChaosConfig::default;
        assert_eq!(message(ChaosConfig { failing: wrong, ..of() }.try_into()), text("failing"));
        assert_eq!(message(ChaosConfig { slowing: wrong, ..of() }.try_into()), text("slowing"));
        assert_eq!(message(ChaosConfig { hanging: wrong, ..of() }.try_into()), text("hanging"));
    }
    let too_much = "`hanging` is 0.5, but must be at most 1 together with the other faults";
    assert_eq!(message(Chaos::seeded(7).failing(0.3).slowing(0.3, secs(1)).try_hanging(0.5)), too_much);
    let config = ChaosConfig { failing: 0.3, slowing: 0.3, hanging: 0.5, ..ChaosConfig::default() };
    assert_eq!(message(config.try_into()), too_much);
    let script = Chaos::script([Fault::Hang]);
    assert_eq!(message(script.clone().try_failing(0.1)), "`failing` is 0.1, but must be left out of a script");
    assert_eq!(message(script.try_slowing(0.1, secs(1))), "`slowing` is 0.1, but must be left out of a script");
}

#[test]
#[should_panic(expected = "`failing` is 10, but must be between 0 and 1")]
fn a_share_in_percent_panics() {
    let _ = Chaos::seeded(7).failing(10.0);
}

#[test]
fn chaos_is_shown_with_its_settings() {
    let chaos = Chaos::seeded(7).failing(0.1).slowing(0.05, secs(2)).hanging(0.01);
    assert_eq!(format!("{chaos:?}"), "Chaos(seed 7, failing 0.1, slowing 0.05 by 2s, hanging 0.01)");
    assert_eq!(Chaos::script([Fault::Fail]).to_string(), "a script of 1 call");
    let chain = fetch.chaotic(&Chaos::script([Fault::Fail; 3]), busy).timeout(secs(1));
    assert_eq!(format!("{chain:?}"), "fetch.chaotic(a script of 3 calls, ..).timeout(1s)");
}
