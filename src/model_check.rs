//! The model checker for the handles, based on shuttle. Shuttle runs all threads of a model on one
//! thread, and decides at each lock and each atomic which thread goes on.
//!
//! Even two short calls have too many interleavings to run all of them. Therefore a model runs in
//! every interleaving with a bounded number of *preemptions*. A preemption stops a thread that
//! could go on. Most concurrency bugs need one or two preemptions (Musuvathi and Qadeer, "Iterative
//! Context Bounding for Systematic Testing of Multithreaded Programs", PLDI 2007).

use shuttle::{
    Config, Runner,
    scheduler::{Schedule, Scheduler, Task, TaskId},
};
use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Runs `model` in every interleaving with at most `preemptions` preemptions, or `$PREEMPTIONS` if
/// it is set. Returns the number of interleavings.
pub(crate) fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) -> usize {
    let preemptions = match env::var("PREEMPTIONS") {
        Ok(number) => number.parse().expect("`PREEMPTIONS` is a number"),
        Err(_) => preemptions,
    };
    let explored = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&explored);
    Runner::new(PreemptionBound { preemptions, choices: Vec::new(), step: 0, spent: 0 }, Config::new()).run(
        move || {
            count.fetch_add(1, Relaxed);
            model();
        },
    );
    explored.load(Relaxed)
}

/// Searches depth first. Each execution repeats the choices of the previous one up to the last
/// choice with an alternative left.
#[derive(Debug)]
struct PreemptionBound {
    preemptions: usize,
    choices: Vec<Choice>,
    /// Number of choices made in this execution.
    step: usize,
    spent: usize,
}

#[derive(Debug)]
struct Choice {
    taken: TaskId,
    /// Tasks to run at this step in later executions.
    left: Vec<TaskId>,
}

impl Scheduler for PreemptionBound {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.step > 0 {
            assert_eq!(
                self.step,
                self.choices.len(),
                "the model must be deterministic: this execution made another number of choices"
            );
            while self.choices.last().is_some_and(|choice| choice.left.is_empty()) {
                self.choices.pop();
            }
            let last = self.choices.last_mut()?;
            last.taken = last.left.pop().expect("choices without an alternative were removed");
        }
        (self.step, self.spent) = (0, 0);
        Some(Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let ids = || runnable.iter().map(|task| task.id());
        // A yield lets another task run, if one is runnable, and is not a preemption.
        let goes_on = current.filter(|current| ids().any(|id| id == *current) && (!is_yielding || runnable.len() == 1));
        if self.step == self.choices.len() {
            let mut left: Vec<_> = match goes_on {
                Some(current) if self.spent == self.preemptions => vec![current],
                Some(current) => ids().filter(|id| *id != current).chain([current]).collect(),
                None => ids().filter(|id| !is_yielding || Some(*id) != current).collect(),
            };
            let taken = left.pop().expect("a task is runnable");
            self.choices.push(Choice { taken, left });
        }
        let taken = self.choices[self.step].taken;
        self.step += 1;
        self.spent += usize::from(goes_on.is_some_and(|current| current != taken));
        Some(taken)
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}
