//! The budget under a model checker: see [`crate::model_check`]. Before each change of the balance,
//! any other thread may run. The checks, for a budget that saves one retry:
//!
//! - The balance is never above the capacity, and never below 0.
//! - No change is lost: the balance at the end and the number of retries are those of some order of
//!   the threads' acts.

use super::RetryBudget;
use crate::{clock::Clock, model_check::explore};
use shuttle::thread;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Succeed,
    Retry,
    /// A retry that is given back, because its attempt never begins.
    Abandon,
}
use Act::{Abandon, Retry, Succeed};

/// Number of retries, and balance in halves.
type End = (u64, u64);

/// The ends of all orders of the acts, each of which happens at once. A retry that is given back
/// happens at once as well, or has another act between its two parts.
fn ends(threads: &[&[Act]], held: u64, (retries, balance): End, found: &mut BTreeSet<End>) {
    if threads.iter().all(|acts| acts.is_empty()) && held == 0 {
        found.insert((retries, balance));
    }
    if held > 0 {
        ends(threads, held - 1, (retries, (balance + 2).min(2)), found);
    }
    for (n, acts) in threads.iter().enumerate().filter(|(_, acts)| !acts.is_empty()) {
        let mut later = threads.to_vec();
        later[n] = &acts[1..];
        match acts[0] {
            Succeed => ends(&later, held, (retries, (balance + 1).min(2)), found),
            _ if balance < 2 => ends(&later, held, (retries, balance), found),
            Retry => ends(&later, held, (retries + 1, balance - 2), found),
            Abandon => ends(&later, held + 1, (retries, balance - 2), found),
        }
    }
}

/// Runs each list on a thread of its own. Returns the number of interleavings.
fn run(threads: &'static [&'static [Act]]) -> usize {
    let mut possible = BTreeSet::new();
    ends(threads, 0, (0, 2), &mut possible);
    explore(2, move || {
        let budget = RetryBudget::new(0.5).capacity(1);
        let act = |budget: &RetryBudget, act: Act| {
            let retry = if act == Succeed { None } else { budget.withdraw(Clock::Thread) };
            let retried = match (act, retry) {
                (Succeed, _) => {
                    budget.deposit();
                    0
                }
                (Retry, Some(paid)) => {
                    paid.spend();
                    1
                }
                _ => 0,
            };
            assert!((0.0..=1.0).contains(&budget.stats().balance));
            retried
        };
        let spawn = |acts: &'static [Act]| {
            let budget = budget.clone();
            thread::spawn(move || acts.iter().map(|one| act(&budget, *one)).sum::<u64>())
        };
        let running = threads.iter().map(|acts| spawn(acts)).collect::<Vec<_>>();
        let retries = running.into_iter().map(|thread| thread.join().unwrap()).sum();
        let balance = budget.stats().balance;
        let halves = (0..=2_u32).find(|halves| f64::from(*halves) / 2.0 == balance);
        let end = halves.map(|halves| (retries, u64::from(halves)));
        assert!(end.is_some_and(|end| possible.contains(&end)), "{retries} retries, and {balance} left");
    })
}

#[test]
fn no_deposit_and_no_withdrawal_is_lost() {
    let models: [&[&[Act]]; 5] = [
        &[&[Retry, Succeed, Succeed, Retry], &[Retry, Succeed]],
        &[&[Abandon, Retry], &[Succeed, Retry]],
        &[&[Abandon], &[Abandon], &[Retry]],
        &[&[Succeed, Retry], &[Succeed, Retry], &[Retry]],
        &[&[Retry, Succeed], &[Succeed, Retry], &[Succeed]],
    ];
    let interleavings = models.map(run);
    println!("{interleavings:?} interleavings");
    assert!(interleavings.iter().all(|number| *number > 100));
}
