//! The model checker of the handles: shuttle. It runs all threads of a model on one thread, and
//! decides at each lock and each atomic which of them goes on.
//!
//! All interleavings of even two short calls are beyond reach. Therefore a model runs in every
//! interleaving with at most a number of *preemptions*: moments at which a thread is stopped
//! although it could go on. Most bugs of this kind need one or two (Musuvathi and Qadeer,
//! "Iterative Context Bounding for Systematic Testing of Multithreaded Programs", PLDI 2007).

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

/// Runs it in every interleaving that has no more than so many preemptions: `PREEMPTIONS`, or as many as told. In how many that was.
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

/// Depth first, by the choices of the execution before.
#[derive(Debug)]
struct PreemptionBound {
    preemptions: usize,
    choices: Vec<Choice>,
    /// In this execution.
    step: usize,
    spent: usize,
}

#[derive(Debug)]
struct Choice {
    taken: TaskId,
    /// To be taken in later executions.
    left: Vec<TaskId>,
}

impl Scheduler for PreemptionBound {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.step > 0 {
            assert_eq!(self.step, self.choices.len(), "the model does not do the same each time");
            while self.choices.last().is_some_and(|choice| choice.left.is_empty()) {
                self.choices.pop();
            }
            let last = self.choices.last_mut()?;
            last.taken = last.left.pop().expect("the others are gone");
        }
        (self.step, self.spent) = (0, 0);
        Some(Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let ids = || runnable.iter().map(|task| task.id());
        // Who yields lets another go on, if there is one, and that is none.
        let goes_on = current.filter(|current| ids().any(|id| id == *current) && (!is_yielding || runnable.len() == 1));
        if self.step == self.choices.len() {
            let mut left: Vec<_> = match goes_on {
                Some(current) if self.spent == self.preemptions => vec![current],
                Some(current) => ids().filter(|id| *id != current).chain([current]).collect(),
                None => ids().filter(|id| !is_yielding || Some(*id) != current).collect(),
            };
            let taken = left.pop().expect("somebody can go on");
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
