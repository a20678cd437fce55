//! The numbers of a run, from the callers and from the service's own record.

use super::service::Record;
use std::{ops::Range, time::Duration};
use tokio::time::Instant;

/// The end of a caller's call. Times are counted from the begin of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) asked: Duration,
    pub(crate) done: Duration,
    pub(crate) is_answered: bool,
}

#[derive(Debug)]
pub(crate) struct Numbers {
    ended: Vec<Ended>,
    /// The times that the callers waited for an answer or an error, the shortest first.
    waits: Vec<Duration>,
    /// Times of arrival at the service.
    arrivals: Vec<Duration>,
    /// Number of calls that the service worked for although their callers had gone.
    pub(crate) in_vain: usize,
    phases: [Range<Duration>; 3],
}

impl Numbers {
    pub(crate) fn new(begin: Instant, ended: Vec<Ended>, record: Record, phases: [Range<Duration>; 3]) -> Self {
        let mut waits: Vec<_> = ended.iter().map(|call| call.done.saturating_sub(call.asked)).collect();
        waits.sort_unstable();
        let arrivals = record.arrivals.into_iter().map(|arrival| arrival - begin).collect();
        Self { ended, waits, arrivals, in_vain: record.served - record.delivered, phases }
    }

    pub(crate) fn asked(&self) -> usize {
        self.ended.len()
    }

    pub(crate) fn made(&self) -> usize {
        self.arrivals.len()
    }

    /// Number of calls made for each call asked.
    pub(crate) fn load(&self) -> f64 {
        share(self.made(), self.asked())
    }

    /// The same during the disturbance.
    pub(crate) fn load_during(&self) -> f64 {
        let [_, during, _] = &self.phases;
        let made = self.arrivals.iter().filter(|at| during.contains(at)).count();
        share(made, self.ended.iter().filter(|call| during.contains(&call.asked)).count())
    }

    /// Share of the calls that have an answer.
    pub(crate) fn answered(&self) -> f64 {
        share(self.ended.iter().filter(|call| call.is_answered).count(), self.asked())
    }

    /// The same for the calls that were asked after the disturbance.
    pub(crate) fn answered_after(&self) -> f64 {
        let [.., after] = &self.phases;
        let asked = self.ended.iter().filter(|call| after.contains(&call.asked));
        share(asked.clone().filter(|call| call.is_answered).count(), asked.count())
    }

    /// The nearest rank of the waits.
    pub(crate) fn wait(&self, percent: usize) -> Duration {
        self.waits[(self.waits.len() * percent).div_ceil(100) - 1]
    }

    /// Number of calls that arrived at the service, in each span of time.
    pub(crate) fn arrivals_each(&self, span: Duration) -> Vec<usize> {
        self.count_each(span, self.arrivals.iter().copied())
    }

    /// Number of answers that callers got, in each span of time.
    pub(crate) fn answers_each(&self, span: Duration) -> Vec<usize> {
        self.count_each(span, self.ended.iter().filter(|call| call.is_answered).map(|call| call.done))
    }

    /// Counts up to the end of the last phase. Calls that are late then are not shown.
    fn count_each(&self, span: Duration, times: impl Iterator<Item = Duration>) -> Vec<usize> {
        let index = |time: Duration| (time.as_nanos() / span.as_nanos()) as usize;
        let mut counts = vec![0; index(self.phases[2].end)];
        for time in times {
            if let Some(count) = counts.get_mut(index(time)) {
                *count += 1;
            }
        }
        counts
    }
}

fn share(part: usize, whole: usize) -> f64 {
    float(part) / float(whole)
}

pub(crate) fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a run has some thousand calls"))
}
