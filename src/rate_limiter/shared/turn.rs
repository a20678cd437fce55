//! The queue of a shared limiter, at a call of its store: which waiters to ask for, to wake and to
//! refuse.

use super::store::Store;
use crate::{
    Error,
    clock::{Nanos, nanos},
    policy::{Answer, Answered, Ask, Counts, OnFailure, Place, Purse, Sums},
    rate_limiter::{
        queue::{Demand, Manner},
        state::{Aftermath, QueuedCall, State},
    },
};
use std::time::Duration;

impl State {
    /// Learns whether the store is up, and returns the store's time.
    pub(in crate::rate_limiter) fn follow_store(&mut self, store: &Store) -> Nanos {
        if let Some(purse) = self.quota.purse_mut() {
            purse.note(store.is_up());
        }
        store.now()
    }

    /// Returns `true` if the store decides on calls, and so on how long they wait.
    pub(in crate::rate_limiter) fn is_answered_by_store(&self) -> bool {
        self.quota.purse().is_some_and(|purse| !purse.is_down())
    }

    /// Returns the time after which the store has to call, if it has to call earlier than it was
    /// told before.
    pub(in crate::rate_limiter) fn plan_turn(&mut self) -> Option<Duration> {
        self.quota.purse()?;
        let wake_at = self.head_wakes_at().min(self.next_end_while_alone());
        let (now, wanted) = (self.now, self.queue.wanted());
        self.quota.purse_mut()?.plan_turn(now, wanted.by_window(), wake_at)
    }

    /// The request that is due now; `None` if none is.
    pub(super) fn ask(&mut self, after: &mut Aftermath) -> Option<Ask> {
        let (now, wanted) = (self.now, *self.queue.wanted());
        let purse = self.quota.purse_mut()?;
        let mut batch = purse.begin_ask(now, wanted.by_window())?;
        let number = purse.number() + 1;
        // Moment before which no further waiter is asked for.
        let mut next = 0;
        for waiter in self.queue.iter_mut().filter(|waiter| waiter.refused.is_none()) {
            let Demand { counts, latest, .. } = &waiter.demand;
            if next == 0 {
                let patience = (*latest < Nanos::MAX).then(|| latest.saturating_sub(now));
                match purse.add(&mut batch, now, counts, patience) {
                    Place::Covered => {}
                    Place::Run(run) => waiter.asked = Some((number, run)),
                    Place::Later(moment) if purse.has_limited() => next = moment,
                    Place::Full | Place::Later(_) => break,
                }
            }
            if *latest < next {
                (waiter.refused, waiter.woken_at) = (Some(next), Some(now));
                after.refused.push(waiter.waker.clone());
            }
        }
        purse.ask(now, wanted.by_window(), batch)
    }

    pub(super) fn answered(&mut self, answer: &Answer, after: &mut Aftermath) {
        let now = self.now;
        let Some(purse) = self.quota.purse_mut() else { return };
        let Some(answered) = purse.answered(now, answer) else { return };
        if purse.has_limited() {
            let number = purse.number();
            self.refuse_waiters(number, &answered, after);
        }
        if let Some(until) = answered.pause {
            let longest = now.saturating_add(nanos(self.bounds.longest_pause));
            self.paused_until = if until == 0 { self.paused_until.min(now) } else { until.min(longest) };
            self.update_fast_path();
            self.disturb();
        }
    }

    /// Refuses the waiters of a request that are due after their longest wait, and those that came
    /// after the first call that still waits, because they are due no earlier than that call.
    fn refuse_waiters(&mut self, number: u64, answered: &Answered, after: &mut Aftermath) {
        let Answered { refusals, cut, .. } = answered;
        let (mut calls, mut is_behind) = (vec![0_u32; refusals.len()], false);
        for waiter in self.queue.iter_mut() {
            let run = waiter.asked.filter(|(asked, _)| *asked == number).map(|(_, run)| run);
            let place = run.and_then(|run| calls.get_mut(run as usize)).map(|calls| {
                *calls += 1;
                *calls
            });
            let is_granted = |granted: u32| place.is_some_and(|place| place <= granted);
            let refused = run.and_then(|run| refusals.get(run as usize).copied().flatten());
            let due = match (refused, cut) {
                (Some((granted, due)), _) if !is_granted(granted) => Some(due),
                (_, Some((_, _, due))) if is_behind && run.is_none() && *due > waiter.demand.latest => Some(*due),
                _ => None,
            };
            is_behind |= cut.is_some_and(|(of, granted, _)| run == Some(of) && !is_granted(granted));
            if due.is_some() && waiter.refused.is_none() {
                (waiter.refused, waiter.woken_at) = (due, Some(self.now));
                after.refused.push(waiter.waker.clone());
            }
        }
    }

    pub(super) fn failed(&mut self) {
        if let Some(purse) = self.quota.purse_mut() {
            purse.failed();
        }
    }

    /// Wakes the waiters that are refused because the store is down, and those with a longest wait
    /// that has passed while this process decides alone.
    pub(super) fn attend_to_failure(&mut self, after: &mut Aftermath) {
        let Some(purse) = self.quota.purse().filter(|purse| purse.is_down()) else { return };
        let now = self.now;
        for waiter in self.queue.iter_mut().filter(|waiter| waiter.woken_at.is_none()) {
            let (Demand { latest, counts, .. }, can_fail) = (&waiter.demand, &waiter.manner.can_fail);
            let is_late = *latest <= now && matches!(purse.on_failure(), OnFailure::Local { .. });
            if is_late || (*can_fail && purse.refuses(counts)) {
                waiter.woken_at = Some(now);
                after.refused.push(waiter.waker.clone());
            }
        }
    }

    /// The end of the next longest wait while this process decides alone; `Nanos::MAX` if there is
    /// none.
    fn next_end_while_alone(&self) -> Nanos {
        let purse = self.quota.purse().filter(|purse| purse.is_down() && purse.has_limited());
        let Some(OnFailure::Local { .. }) = purse.map(Purse::on_failure) else { return Nanos::MAX };
        let asleep = self.queue.iter().filter(|waiter| waiter.woken_at.is_none());
        asleep.map(|waiter| waiter.demand.latest).min().unwrap_or(Nanos::MAX)
    }

    /// The error of a call that can fail, if the store is down and the call cannot go without it.
    pub(in crate::rate_limiter) fn error_while_down(&self, can_fail: bool, counts: &Counts) -> Option<Error> {
        let purse = self.quota.purse().filter(|purse| can_fail && purse.refuses(counts))?;
        Some(Error::StoreDown { name: purse.name().clone() })
    }

    /// The error of a waiter that the store has refused, or that is refused because the store is
    /// down.
    pub(in crate::rate_limiter) fn refusal_of_store(
        &mut self,
        call: &QueuedCall,
        can_fail: bool,
        is_head: bool,
    ) -> Option<Error> {
        self.quota.purse()?;
        let QueuedCall { ticket, demand } = call;
        let waiter = self.queue.get_mut(ticket)?;
        waiter.manner.can_fail = can_fail; // unknown, if the waiter was skipped and has come back
        if let (Some(due), manner) = (waiter.refused, waiter.manner) {
            return Some(self.refusal(manner, self.queue.len() - 1, due));
        }
        let is_due = is_head && self.due_after(&Sums::default(), &demand.counts) <= self.now;
        self.error_while_down(can_fail && !is_due, &demand.counts)
    }

    /// Admits or refuses a new call by the permits that are held; `None` if the store has to be
    /// asked, or if the call may wait until it is `due`.
    pub(in crate::rate_limiter) fn decide_by_held(
        &mut self,
        demand: &Demand,
        manner: Manner,
        due: Nanos,
    ) -> Option<Result<(), Error>> {
        if demand.latest <= self.now {
            let front = self.front(self.queue.iter());
            if self.leaves_room(&front, &demand.counts) {
                self.take(&demand.counts);
                return Some(Ok(()));
            }
        }
        let due = self.quota.purse().map_or(due, |purse| purse.due_at_least(due));
        let is_too_late = due > demand.latest;
        is_too_late.then(|| self.refuse(self.refusal(manner, self.queue.len(), due)))
    }

    /// The error of a call that the store would admit at this moment, which is too late for it.
    fn refusal(&self, manner: Manner, waiting: usize, due: Nanos) -> Error {
        if manner.is_full { Error::QueueFull { waiting } } else { self.rate_limited(due) }
    }

    /// Notes that a call waits for the store.
    pub(in crate::rate_limiter) fn joined_to_ask(&mut self, call: &QueuedCall, manner: Manner) {
        if let Some(waiter) = self.queue.get_mut(&call.ticket) {
            waiter.manner = manner;
        }
        if let Some(purse) = self.quota.purse_mut() {
            purse.joined(call.demand.latest < Nanos::MAX);
        }
    }
}
