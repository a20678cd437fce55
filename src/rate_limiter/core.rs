//! A limiter's state behind its one lock, and what happens when a call comes, looks again, or leaves.
//!
//! Tasks and threads stand in the same queue: each takes its [`Turn`], and waits in its own way until the moment that it
//! is given. No call admits another. Permits are stamped by the call that uses them: a permit handed to a waiter that is
//! woken late would age on the way, and more than the limit could then be in use within one window.
//!
//! # The queue's protocol
//!
//! The *verdict* on a call depends on what the calls before it take at this moment ([`State::front`]):
//!
//! | verdict | when |
//! |---|---|
//! | `TooMuch` | it wants more than the limit, which was lowered meanwhile |
//! | `Due` | everything that is wanted before it fits now, and its own permits as well |
//! | `TooLate` | it is not due, its patience has ended, and timers are not the only reason |
//! | `NotYet` | it is not due, and waits on |
//!
//! A waiter is *asleep* (it waits for its own recheck), *woken* (it is first and due, and has been told so), or *skipped* (it was
//! woken and did not come). Only its own contacts admit or refuse it:
//!
//! | state | event | action |
//! |---|---|---|
//! | | comes, nothing waits, permits are free | admitted |
//! | | comes, can wait | asleep, at the end |
//! | | comes, would be refused, `Due`, leaves room for those before it | admitted |
//! | | comes, would be refused, anything else | refused |
//! | skipped | polled | asleep, in its old place; then as polled there |
//! | asleep, woken | polled, first or out of patience: `Due` | admitted; if it was first, hands over |
//! | asleep, woken | polled, first or out of patience: `TooMuch`, `TooLate` | refused; if it was first, hands over |
//! | asleep, woken | polled, anything else | asleep, until its next recheck |
//! | asleep, woken | dropped | gone; if it was first, hands over |
//! | skipped | dropped | gone |
//! | asleep, first, due | another call comes or is polled (*calls up*) | woken; skipped, if it overslept its recheck together with one that is being skipped |
//! | woken, first, due | another call comes or is polled, [`GRACE`] or more after it was woken | skipped; the next one is called up |
//! | asleep, new first | the first has left (*hands over*) | woken, unless its own recheck comes in time |
//! | asleep, first | the limits are changed | woken |
//!
//! Progress depends on no single waiter, because each rechecks when its turn should have come, and calls up the first.

use super::{
    acquire::Request,
    queue::{Demand, Queue, StaleWakers, Ticket, Waiter},
    stats::RateLimiterStats,
};
use crate::{
    ConfigError, Error, Permits,
    policy::{Counts, Nanos, Quota, Sums, nanos},
    sync::{Mutex, MutexGuard, lock, lock_busy},
    time::{Clock, Epoch, GRAIN, Instant},
};
use std::{fmt, task::Waker, time::Duration};

/// How long the first in the queue may take to come after it was woken, in nanoseconds. Then it is skipped.
const GRACE: Nanos = 10_000_000;

/// How far a pacer counts a late waiter back on its schedule, in nanoseconds. All that falls due in this time may pass together
/// after a stall. A timer is up to 1 ms late, the thread that it wakes up to another; with 2 ms a busy queue falls behind.
const CATCH_UP: Nanos = 3_000_000;

/// Maximum number of waiters that recheck a woken first together.
const LOOKING_TOGETHER: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct Core {
    epoch: Epoch,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    quota: Quota,
    queue: Queue,
    /// 0 before the first pause.
    paused_until: Nanos,
    /// From when on a free permit is taken the short way: after the pause, and never while a window keeps its past.
    short_way_from: Nanos,
    refuse_above: usize,
    /// The latest moment that was seen. A clock that goes back (one runtime's paused clock after another's) stands still.
    now: Nanos,
    /// Waiters that joined at this moment or later can still rely on the turn that was foreseen for them: since then there was
    /// no pause, no charge, no change of limits, and no skipped waiter came back.
    undisturbed_since: Nanos,
    stats: RateLimiterStats,
}

/// What comes of taking one's turn.
#[derive(Debug)]
pub(super) enum Turn {
    /// There is a place in the queue now, to take turns with: at this moment, or when woken.
    Joined(Claim, Nanos),
    /// Come again at this moment, or when woken.
    Wait(Nanos),
    /// Admitted, or refused.
    Over(Result<(), Error>),
}

/// The place of one waiting call.
#[derive(Debug)]
pub(super) struct Claim {
    ticket: Ticket,
    demand: Demand,
}

/// What would come of a call if it were polled now, and all before it as well.
#[derive(Debug)]
enum Verdict {
    TooMuch(Error),
    Due,
    TooLate,
    NotYet { due: Nanos },
}

/// The waiters at the head of the queue that do not wait on: each would be admitted or refused if it were polled now.
#[derive(Debug, Default)]
struct Front {
    waiters: usize,
    /// Permits of those that would be admitted.
    taken: Sums,
    /// Permits of those that would be refused.
    refused: Sums,
    /// Whether a waiter behind them, and before the call in question, does wait on.
    is_blocked: bool,
}

/// What a contact leaves to be done once the lock has been released.
#[derive(Debug, Default)]
struct Aftermath {
    wake: Option<Waker>,
    stale: StaleWakers,
}

impl Aftermath {
    /// One waiter is woken at most: that of the last decision.
    fn wake(&mut self, waker: Waker) {
        if let Some(earlier) = self.wake.replace(waker) {
            self.stale.add(earlier);
        }
    }
}

impl Core {
    pub(crate) fn new(quota: Quota, refuse_above: usize, epoch: Epoch) -> Self {
        let state = State {
            quota,
            queue: Queue::default(),
            paused_until: 0,
            short_way_from: 0,
            refuse_above,
            now: 0,
            undisturbed_since: 0,
            stats: RateLimiterStats::default(),
        };
        Self { epoch, state: Mutex::new(state) }
    }

    /// A new limiter like this one, with another burst.
    pub(super) fn with_burst(&self, burst: u32) -> Result<Self, ConfigError> {
        let state = lock(&self.state);
        let Quota::Paced(pacer) = &state.quota else {
            return Err(ConfigError::new("burst", burst, "left out unless the limiter is paced"));
        };
        Ok(Self::new(Quota::Paced(pacer.with_burst(burst)?), state.refuse_above, Epoch::new()))
    }

    /// The moment in the clock's own terms; `None` if it lies beyond it.
    pub(super) fn instant(&self, clock: Clock, moment: Nanos) -> Option<Instant> {
        self.epoch.instant(clock, moment)
    }

    /// Locks the state and updates its clock, which is read under the lock so that it never goes backwards.
    #[inline]
    fn enter(&self, clock: Clock) -> MutexGuard<'_, State> {
        let mut state = lock_busy(&self.state);
        state.now = state.now.max(self.epoch.now(clock));
        state
    }

    /// The state, with nothing in it that no longer matters.
    fn enter_and_forget(&self, clock: Clock) -> MutexGuard<'_, State> {
        let mut state = self.enter(clock);
        state.forget();
        state
    }

    /// Runs `act` under the lock, and what it leaves to be done afterwards.
    fn contact<T>(&self, clock: Clock, act: impl FnOnce(&mut State, &mut Aftermath) -> T) -> T {
        Self::act(self.enter(clock), act)
    }

    #[inline(never)]
    fn act<T>(mut state: MutexGuard<'_, State>, act: impl FnOnce(&mut State, &mut Aftermath) -> T) -> T {
        let mut after = Aftermath::default();
        state.forget();
        let result = act(&mut state, &mut after);
        drop(state);
        if let Some(waker) = after.wake {
            waker.wake();
        }
        result
    }

    /// First contact.
    #[inline]
    pub(super) fn claim(&self, clock: Clock, request: &Request, waker: &Waker) -> Turn {
        let mut state = self.enter(clock);
        if state.try_admit_at_once(&request.permits) {
            return Turn::Over(Ok(()));
        }
        Self::act(state, |state, after| state.claim(request, waker, after))
    }

    pub(super) fn take_turn(&self, clock: Clock, claim: &Claim, waker: &Waker) -> Turn {
        self.contact(clock, |state, after| state.take_turn(claim, waker, after))
    }

    pub(super) fn leave(&self, clock: Clock, claim: &Claim) {
        self.contact(clock, |state, after| state.leave(claim, after));
    }

    #[inline]
    pub(super) fn try_take(&self, permits: Permits) -> Result<(), Error> {
        let mut state = self.enter(Clock::here());
        if state.try_admit_at_once(&permits) {
            return Ok(());
        }
        Self::act(state, |state, after| state.try_take(permits, after))
    }

    pub(super) fn charge(&self, permits: Permits) -> Result<(), Error> {
        let mut state = self.enter_and_forget(Clock::here());
        let counts = permits.for_windows(state.quota.windows())?;
        let now = state.now;
        state.quota.take(now, now, counts);
        state.disturb();
        Ok(())
    }

    pub(super) fn pause_for(&self, pause: Duration) {
        let mut state = self.enter(Clock::here());
        state.paused_until = state.paused_until.max(state.now.saturating_add(nanos(pause)));
        state.open_short_way();
        state.disturb();
    }

    pub(super) fn set_limits(&self, limits: &[(u32, Nanos)]) {
        self.contact(Clock::here(), |state, after| {
            state.quota.set_limits(limits);
            state.open_short_way();
            state.disturb();
            state.forget();
            if let Some(first) = state.queue.first() {
                after.wake(first.waker.clone());
            }
        });
    }

    pub(super) fn windows(&self) -> usize {
        lock(&self.state).quota.windows()
    }

    pub(super) fn available(&self) -> Vec<u32> {
        let state = self.enter_and_forget(Clock::here());
        let available =
            |window| if state.now < state.paused_until { 0 } else { state.quota.available(state.now, window) };
        (0..state.quota.windows()).map(available).collect()
    }

    pub(super) fn waiting(&self) -> usize {
        lock(&self.state).queue.len()
    }

    pub(super) fn stats(&self) -> RateLimiterStats {
        let state = lock(&self.state);
        RateLimiterStats { waiting: state.queue.len(), ..state.stats }
    }

    /// The time until the limiter is as good as new; `None` while calls wait, and for a limiter with
    /// other limits than these.
    pub(super) fn idle_in(&self, quota: &Quota) -> Option<Nanos> {
        let state = self.enter(Clock::here());
        let idle_at = state.quota.idle_at().max(state.paused_until);
        let is_ordinary = state.queue.is_empty() && state.quota.has_limits_of(quota);
        is_ordinary.then(|| idle_at.saturating_sub(state.now))
    }
}

/// The current limits: `10 per 1s`.
impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lock(&self.state).quota.fmt(f)
    }
}

impl State {
    fn forget(&mut self) {
        self.quota.forget(self.now);
    }

    fn open_short_way(&mut self) {
        self.short_way_from = if self.quota.keeps_past() { Nanos::MAX } else { self.paused_until };
    }

    fn disturb(&mut self) {
        self.undisturbed_since = self.now.saturating_add(1);
    }

    /// Admits a call for which permits are free, if no call waits for them: the short way.
    #[inline]
    fn try_admit_at_once(&mut self, permits: &Permits) -> bool {
        let taken = self.queue.is_empty() && self.short_way_from <= self.now && self.quota.take_free(self.now, permits);
        self.stats.admitted += u64::from(taken);
        taken
    }

    /// The same, the long way.
    fn try_admit(&mut self, counts: &Counts) -> bool {
        let taken = self.queue.is_empty() && self.due_after(&Sums::default(), counts) <= self.now;
        if taken {
            self.quota.take(self.now, self.now, counts);
            self.stats.admitted += 1;
        }
        taken
    }

    /// From when on the permits of a waiter may count.
    fn since(&self) -> Nanos {
        self.now.saturating_sub(CATCH_UP).max(self.paused_until)
    }

    /// When a call could be admitted after others that want `ahead`; at the earliest.
    fn due_after(&self, ahead: &Sums, counts: &Counts) -> Nanos {
        let start = self.now.max(self.paused_until);
        self.quota.due_after(start, self.since(), ahead, counts).max(self.paused_until)
    }

    /// When a call that comes now could be admitted, after all that wait.
    fn due_at_the_end(&self, counts: &Counts) -> Nanos {
        self.due_after(self.queue.wanted(), counts)
    }

    /// What would come of a call after others that take `ahead`.
    fn verdict(&self, ahead: &Sums, demand: &Demand) -> Verdict {
        if let Err(error) = self.quota.check_counts(&demand.counts) {
            return Verdict::TooMuch(error);
        }
        match self.due_after(ahead, &demand.counts) {
            due if due <= self.now => Verdict::Due,
            due if self.now >= demand.latest && due > self.latest_by_timers(demand) => Verdict::TooLate,
            due => Verdict::NotYet { due },
        }
    }

    /// The last moment to which a waiter may be kept, because timers alone have made its turn late.
    fn latest_by_timers(&self, demand: &Demand) -> Nanos {
        let is_undisturbed = demand.since >= self.undisturbed_since;
        demand.latest.saturating_add(if is_undisturbed { demand.lateness } else { 0 })
    }

    /// How late timers may make the turn of a newcomer. Without effect where its turn is only estimated: what delays it then
    /// may as well be a heavy call before it.
    fn lateness(&self, counts: &Counts, due: Nanos) -> Nanos {
        let single_permits = self.queue.has_single_permits_only() && counts.iter().all(|count| *count <= 1);
        if self.quota.foresees(single_permits) {
            self.quota.drift(due.saturating_sub(self.now), nanos(GRAIN))
        } else {
            0
        }
    }

    /// Looks through these waiters, the first of all in front, up to the one that waits on.
    fn front<'q>(&self, waiters: impl Iterator<Item = &'q Waiter>) -> Front {
        let mut front = Front::default();
        for waiter in waiters {
            let counts = &waiter.demand.counts;
            match self.verdict(&front.taken, &waiter.demand) {
                Verdict::Due => front.taken.add(counts),
                Verdict::TooMuch(_) | Verdict::TooLate => front.refused.add(counts),
                Verdict::NotYet { .. } => {
                    front.is_blocked = true;
                    break;
                }
            }
            front.waiters += 1;
        }
        front
    }

    /// Whether a call fits now behind this front, and takes nothing from it.
    fn fits_behind(&self, front: &Front, counts: &Counts) -> bool {
        !front.is_blocked
            && self.paused_until <= self.now
            && self.quota.fits_before(self.now, self.since(), &front.taken, counts)
    }

    fn take(&mut self, counts: &Counts) {
        self.quota.take(self.now, self.since(), counts);
        self.stats.admitted += 1;
    }

    fn refuse(&mut self, error: Error) -> Result<(), Error> {
        self.stats.refused += 1;
        Err(error)
    }

    fn claim(&mut self, request: &Request, waker: &Waker, after: &mut Aftermath) -> Turn {
        let counts = match self.quota.check(&request.permits) {
            Ok(counts) => *counts,
            Err(error) => return Turn::Over(Err(error)),
        };
        self.call_up(after);
        // Those that were skipped may have been all that waited.
        if self.try_admit(&counts) {
            return Turn::Over(Ok(()));
        }
        let latest = request.max_wait.map_or(Nanos::MAX, |wait| self.now.saturating_add(nanos(wait)));
        let due = self.due_at_the_end(&counts);
        if let Some(result) = self.settle(request.can_fail, &counts, due, latest) {
            return Turn::Over(result);
        }
        let lateness = if latest == Nanos::MAX { 0 } else { self.lateness(&counts, due) };
        let demand = Demand { counts, since: self.now, latest, lateness };
        let claim = Claim { ticket: self.queue.join(waker, demand), demand };
        let recheck_at = self.recheck_at(&claim, self.expected(&claim));
        Turn::Joined(claim, recheck_at)
    }

    /// Admits or refuses a newcomer that cannot wait until it is `due`; `None` if it can.
    fn settle(&mut self, can_fail: bool, counts: &Counts, due: Nanos, latest: Nanos) -> Option<Result<(), Error>> {
        let waiting = self.queue.len();
        let most_waiting = if can_fail { self.refuse_above } else { usize::MAX };
        let has_patience = |due| self.now < latest && due <= latest;
        if has_patience(due) && waiting < most_waiting {
            return None;
        }
        // A waiter whose turn has come is not in the way only because it has not been polled yet.
        let front = self.front(self.queue.iter());
        if self.fits_behind(&front, counts) {
            self.take(counts);
            return Some(Ok(()));
        }
        let waiting = waiting - front.waiters;
        if waiting >= most_waiting {
            return Some(self.refuse(Error::QueueFull { waiting }));
        }
        let due = self.due_after(&self.queue.wanted().minus(&front.refused), counts);
        if has_patience(due) { None } else { Some(self.refuse(self.rate_limited(counts))) }
    }

    fn take_turn(&mut self, claim: &Claim, waker: &Waker, after: &mut Aftermath) -> Turn {
        let Claim { ticket, demand } = claim;
        if self.queue.check_in(ticket, demand, waker, &mut after.stale) {
            self.disturb();
        }
        if !self.queue.is_first(ticket) {
            self.call_up(after);
        }
        let is_first = self.queue.is_first(ticket);
        // With patience left it goes when it is first, and not before.
        if !is_first && self.now < demand.latest {
            return self.wait(claim, self.expected(claim));
        }
        let front = self.front(self.queue.before(ticket.number));
        let ahead = if front.is_blocked { self.queue.wanted_before(ticket) } else { front.taken };
        let refusal = match self.verdict(&ahead, demand) {
            Verdict::Due if is_first || self.fits_behind(&front, &demand.counts) => {
                self.take(&demand.counts);
                self.stats.delayed += 1;
                self.stats.total_wait += Duration::from_nanos(self.now - demand.since);
                self.give_up(ticket, after);
                return Turn::Over(Ok(()));
            }
            // It needs what those before it can have now. They have been woken, and go first.
            Verdict::Due if self.now < demand.latest.saturating_add(nanos(GRAIN)) => {
                return self.wait(claim, demand.latest.saturating_add(nanos(GRAIN)));
            }
            Verdict::NotYet { due } => return self.wait(claim, due),
            Verdict::TooMuch(error) if !front.is_blocked => Some(error),
            Verdict::TooMuch(_) | Verdict::Due | Verdict::TooLate => None,
        };
        self.give_up(ticket, after);
        let refusal = refusal.unwrap_or_else(|| self.rate_limited(&demand.counts));
        Turn::Over(self.refuse(refusal))
    }

    fn wait(&mut self, claim: &Claim, until: Nanos) -> Turn {
        Turn::Wait(self.recheck_at(claim, until))
    }

    /// Notes that the waiter looks again at this moment, or when its patience ends.
    fn recheck_at(&mut self, claim: &Claim, moment: Nanos) -> Nanos {
        let latest = claim.demand.latest;
        let recheck_at = if self.now < latest { moment.min(latest) } else { moment };
        if let Some(waiter) = self.queue.get_mut(&claim.ticket) {
            waiter.recheck_at = recheck_at;
        }
        recheck_at
    }

    /// When this waiter should look at the queue again: the first when it is due, and others when their turn should have come,
    /// with some slack for late timers. The slack only matters if a waiter before it never comes, because otherwise it is woken
    /// earlier.
    fn expected(&self, claim: &Claim) -> Nanos {
        let Claim { ticket, demand } = claim;
        if self.queue.is_first(ticket) {
            return self.due_after(&Sums::default(), &demand.counts);
        }
        if self.queue.first().is_some_and(|first| first.woken_at.is_some()) {
            // If all of a long queue looked at once, the first would have to wait until they have done so.
            let rounds = 1 + self.queue.places_before(ticket) / LOOKING_TOGETHER;
            return self.now.saturating_add(GRACE.saturating_mul(rounds));
        }
        let due = self.due_after(&self.queue.wanted_before_at_most(ticket), &demand.counts);
        let drift = self.quota.drift(due.saturating_sub(self.now), nanos(GRAIN));
        due.saturating_add(drift).max(self.now.saturating_add(GRACE))
    }

    /// When the first in the queue is admitted or refused. A limit that was lowered refuses it at once.
    fn first_due(&self) -> Option<Nanos> {
        let counts = &self.queue.first()?.demand.counts;
        let is_too_much = self.quota.check_counts(counts).is_err();
        Some(if is_too_much { 0 } else { self.due_after(&Sums::default(), counts) })
    }

    /// Wakes the first in the queue if it is due. Skips it if it was woken and has not come for too long.
    fn call_up(&mut self, after: &mut Aftermath) {
        let mut silent_since = None;
        while self.first_due().is_some_and(|due| due <= self.now) {
            let now = self.now;
            let Some(first) = self.queue.first_mut() else { break };
            // A waiter whose own recheck was due when the one before it was woken has been silent for as long.
            match first.woken_at.or(silent_since.filter(|since| first.recheck_at <= *since)) {
                None => {
                    first.woken_at = Some(now);
                    after.wake(first.waker.clone());
                    return;
                }
                Some(since) if now < since.saturating_add(GRACE) => break,
                Some(since) => {
                    silent_since = Some(since);
                    self.queue.skip_first(&mut after.stale);
                    self.stats.passed_over += 1;
                }
            }
        }
        if silent_since.is_some() {
            self.hand_over(after);
        }
    }

    /// The first place has changed hands: its holder is woken, unless it will come by itself in time.
    fn hand_over(&mut self, after: &mut Aftermath) {
        let (Some(due), now) = (self.first_due(), self.now) else { return };
        let Some(first) = self.queue.first_mut() else { return };
        if first.recheck_at <= due {
            return;
        }
        if due <= now {
            first.woken_at = Some(now);
        }
        after.wake(first.waker.clone());
    }

    fn leave(&mut self, claim: &Claim, after: &mut Aftermath) {
        self.stats.cancelled += 1;
        self.give_up(&claim.ticket, after);
    }

    fn give_up(&mut self, ticket: &Ticket, after: &mut Aftermath) {
        let was_first = self.queue.is_first(ticket);
        self.queue.leave(ticket, &mut after.stale);
        if was_first {
            self.hand_over(after);
        }
    }

    fn try_take(&mut self, permits: Permits, after: &mut Aftermath) -> Result<(), Error> {
        let counts = self.quota.check(&permits)?;
        self.call_up(after);
        if self.try_admit(counts) {
            return Ok(());
        }
        let front = self.front(self.queue.iter());
        if self.fits_behind(&front, counts) {
            self.take(counts);
            return Ok(());
        }
        self.refuse(self.rate_limited(counts))
    }

    /// Refuses a call with the time until its permits could be had after all that wait.
    fn rate_limited(&self, counts: &Counts) -> Error {
        let wait = self.due_at_the_end(counts).saturating_sub(self.now);
        // Waiters before it that are due have been woken, and will have gone a moment later.
        let wait = if wait == 0 { nanos(GRAIN) } else { wait };
        Error::RateLimited { retry_after: Duration::from_nanos(wait) }
    }
}
