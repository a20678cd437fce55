//! The server of a fake store: the logs of all limits, one step for each request.

use crate::{
    clock::{Nanos, nanos},
    policy::{Answer, Ask, Charge, Counts, Grant, Limits, MAX_WINDOWS, Quota, RunAnswer, Sums},
};
use std::{collections::HashMap, time::Duration};

/// Part of a period to which stamps are rounded up.
const GRAINS_PER_PERIOD: Nanos = 1_000;

/// Time for which an idle state is kept, beyond the longest period.
const KEPT_WHEN_IDLE: Nanos = 1_000_000_000;

/// The limits by their names.
#[derive(Debug, Default)]
pub(super) struct Server {
    limits: HashMap<String, Limit>,
    /// Number of epochs so far.
    epochs: u64,
    /// Number of requests so far.
    pub(super) served: u64,
}

/// The state of one limit.
#[derive(Debug)]
struct Limit {
    epoch: u64,
    /// Holds stamps in place of moments.
    quota: Quota,
    /// The latest stamp of each window.
    stamps: [Nanos; MAX_WINDOWS],
    /// The due moment of the last call that was granted.
    last_due: Nanos,
    paused_until: Nanos,
    grace_until: Nanos,
    had_grace: bool,
    expires_at: Nanos,
}

impl Server {
    /// Loses the state of all limits.
    pub(super) fn forget(&mut self) {
        self.limits.clear();
    }

    pub(super) fn serve(&mut self, name: &str, now: Nanos, ask: &Ask) -> Answer {
        self.served += 1;
        if self.limits.get(name).is_some_and(|limit| limit.expires_at <= now) {
            self.limits.remove(name);
        }
        let limit = self.limits.entry(name.to_owned()).or_insert_with(|| {
            self.epochs += 1;
            Limit::new(self.epochs, &ask.limits)
        });
        limit.serve(now, ask)
    }
}

impl Limit {
    fn new(epoch: u64, limits: &Limits) -> Self {
        Self {
            epoch,
            quota: quota_of(limits),
            stamps: [0; MAX_WINDOWS],
            last_due: 0,
            paused_until: 0,
            grace_until: 0,
            had_grace: false,
            expires_at: 0,
        }
    }

    fn serve(&mut self, now: Nanos, ask: &Ask) -> Answer {
        self.follow(now, &ask.limits);
        if let Some(pause) = ask.pause {
            self.paused_until = if pause.is_zero() { 0 } else { self.paused_until.max(now + nanos(pause)) };
        }
        let mut answer = Answer::new(self.epoch);
        if ask.epoch.is_some_and(|epoch| epoch != self.epoch) {
            if !self.had_grace {
                (self.had_grace, self.grace_until) = (true, now + nanos(ask.grace));
            }
        } else {
            ask.charges.iter().for_each(|charge| self.charge(now, charge));
            self.quota.expire(now);
            self.quota.refund(now, &ask.refund);
            answer.runs = self.grant(now, ask);
        }
        let keeps = self.quota.longest_period() + nanos(ask.hold) + KEPT_WHEN_IDLE;
        self.expires_at = self.last_due.max(now).max(self.paused_until).max(self.grace_until) + keeps;
        self.quota.expire(now);
        for window in 0..self.quota.windows() {
            answer.free[window] = self.quota.available(now, window);
        }
        answer.pause = Duration::from_nanos(self.paused_until.saturating_sub(now));
        answer.grace = Duration::from_nanos(self.grace_until.saturating_sub(now));
        answer
    }

    /// Takes the limits as this asker sees them.
    fn follow(&mut self, now: Nanos, limits: &Limits) {
        self.quota.expire(now);
        let theirs = quota_of(limits);
        if theirs.windows() != self.quota.windows() || theirs.burst().is_some() != self.quota.burst().is_some() {
            self.quota = theirs; // another kind of limit, of which earlier calls say nothing
            return;
        }
        if theirs.limits() != self.quota.limits() {
            // As many limits as windows, and both are checked by their limiter.
            let _ = self.quota.set_limits(&theirs.limits());
            self.quota.expire(now);
        }
        let _ = theirs.burst().map(|burst| self.quota.set_burst(burst));
    }

    fn charge(&mut self, now: Nanos, charge: &Charge) {
        let distance = charge.stamp.unsigned_abs().saturating_mul(1_000);
        let at = if charge.stamp < 0 { now.saturating_sub(distance) } else { now.saturating_add(distance) };
        self.take(at, at, &charge.permits);
    }

    /// Notes permits that are due at one moment, and may be used until another.
    fn take(&mut self, due: Nanos, until: Nanos, permits: &Counts) {
        match &mut self.quota {
            Quota::Windows(logs) => {
                for ((log, last), &count) in logs.iter_mut().zip(&mut self.stamps).zip(permits).filter(|(_, n)| **n > 0)
                {
                    let grain = (log.period() / GRAINS_PER_PERIOD).max(1);
                    *last = until.div_ceil(grain).saturating_mul(grain).max(*last);
                    log.take(*last, count);
                }
            }
            quota => quota.take(due, due, permits),
        }
    }

    fn due(&self, now: Nanos, permits: &Counts) -> Nanos {
        let free = self.quota.due_after(now, now, &Sums::default(), permits);
        free.max(now).max(self.paused_until).max(self.last_due)
    }

    fn grant(&mut self, now: Nanos, ask: &Ask) -> Vec<RunAnswer> {
        let (span, reach, hold) = (nanos(ask.span), nanos(ask.reach), nanos(ask.hold));
        let (mut first_due, mut cut) = (None, None);
        if self.grace_until > now {
            cut = Some(self.grace_until);
        }
        let mut answers = Vec::with_capacity(ask.runs.len());
        for run in &ask.runs {
            let mut answer = RunAnswer::default();
            for _ in 0..run.calls {
                let due = cut.unwrap_or_else(|| self.due(now, &run.permits));
                let is_too_late = run.within.is_some_and(|within| due - now > nanos(within));
                let is_cut = due - now > reach || first_due.is_some_and(|first| due - first > span);
                if cut.is_none() && is_cut && !is_too_late {
                    cut = Some(due);
                }
                if cut.is_some() || is_too_late {
                    answer.next = Some(Duration::from_nanos(due - now));
                    break;
                }
                first_due.get_or_insert(due);
                self.last_due = due;
                self.take(due, due + hold, &run.permits);
                let due = Duration::from_nanos(due - now);
                match answer.grants.last_mut() {
                    Some(last) if last.due == due => last.calls += 1,
                    _ => answer.grants.push(Grant { calls: 1, due }),
                }
            }
            answers.push(answer);
        }
        answers
    }
}

/// A quota with these limits, and all permits free.
fn quota_of(limits: &Limits) -> Quota {
    let quota = match limits {
        Limits::Windows(windows) => Quota::try_new(windows, false, None, false),
        &Limits::Paced { limit, period, burst } => Quota::try_new(&[(limit, period)], true, Some(burst), false),
    };
    quota.expect("the limiter has checked its limits")
}
