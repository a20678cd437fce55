//! A limiter's state behind its one lock, and what happens when somebody comes, looks, or leaves.
//!
//! Tasks and threads stand in the same queue: each takes its [`Turn`], and waits in its own way until the moment that it
//! is given. Nobody is admitted by another. Permits are stamped when their taker is there to use them: a permit handed to
//! one who comes late would age on the way, and more than the limit could then be in use within one window.

use super::{
    acquire::Request,
    queue::{Queue, Ticket},
    stats::RateLimiterStats,
};
use crate::{
    ConfigError, Error, Permits,
    policy::{Counts, Nanos, Quota, Sums, nanos},
    sync::{Mutex, MutexGuard, lock, lock_busy},
    time::{Clock, Epoch, GRAIN, Instant},
};
use std::{fmt, task::Waker, time::Duration};

/// So long the first in the queue may take to come when it is free to go, and has been told. Then it is passed over.
const GRACE: Nanos = 10_000_000;

/// So many who wait look together, each time, whether the first has come.
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
    paused_until: Nanos,
    refuse_above: usize,
    /// The latest moment that was seen. A clock that goes back (one runtime's paused clock after another's) stands still.
    now: Nanos,
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

/// The place of one caller who waits.
#[derive(Debug)]
pub(super) struct Claim {
    ticket: Ticket,
    counts: Counts,
    since: Nanos,
    /// The last moment to be admitted at.
    latest: Nanos,
}

/// Somebody to wake, once the lock has been released.
type Next = Option<Waker>;

impl Core {
    pub(crate) fn new(quota: Quota, refuse_above: usize, epoch: Epoch) -> Self {
        let state = State {
            quota,
            queue: Queue::new(),
            paused_until: 0,
            refuse_above,
            now: 0,
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

    /// The state, and the time: read inside of the lock, or it would go backwards from one holder to the next.
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

    /// Does something with the state, and then wakes whom it concerns, outside of the lock.
    fn contact<T>(&self, clock: Clock, act: impl FnOnce(&mut State) -> (T, Next)) -> T {
        Self::act(self.enter(clock), act)
    }

    #[inline(never)]
    fn act<T>(mut state: MutexGuard<'_, State>, act: impl FnOnce(&mut State) -> (T, Next)) -> T {
        state.forget();
        let (result, next) = act(&mut state);
        let spent = state.queue.take_spent();
        drop(state);
        if let Some(waker) = next {
            waker.wake();
        }
        drop(spent);
        result
    }

    /// First contact.
    #[inline]
    pub(super) fn claim(&self, clock: Clock, request: &Request, waker: &Waker) -> Turn {
        let mut state = self.enter(clock);
        if state.takes_at_once(&request.permits) {
            return Turn::Over(Ok(()));
        }
        Self::act(state, |state| state.claim(request, waker))
    }

    pub(super) fn take_turn(&self, clock: Clock, claim: &mut Claim, waker: &Waker) -> Turn {
        self.contact(clock, |state| state.take_turn(claim, waker))
    }

    pub(super) fn leave(&self, clock: Clock, claim: &Claim) {
        self.contact(clock, |state| ((), state.leave(claim)));
    }

    #[inline]
    pub(super) fn try_take(&self, permits: Permits) -> Result<(), Error> {
        let mut state = self.enter(Clock::here());
        if state.takes_at_once(&permits) {
            return Ok(());
        }
        Self::act(state, |state| state.try_take(permits))
    }

    pub(super) fn charge(&self, permits: Permits) -> Result<(), Error> {
        let mut state = self.enter_and_forget(Clock::here());
        let counts = permits.for_windows(state.quota.windows())?;
        let now = state.now;
        state.quota.take(now, now, counts);
        Ok(())
    }

    pub(super) fn pause_for(&self, pause: Duration) {
        let mut state = self.enter(Clock::here());
        state.paused_until = state.paused_until.max(state.now.saturating_add(nanos(pause)));
    }

    pub(super) fn set_limits(&self, limits: &[(u32, Nanos)]) {
        self.contact(Clock::here(), |state| {
            state.quota.set_limits(limits);
            state.forget();
            ((), state.queue.first().map(|first| first.waker.clone()))
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

/// As it was made: `10 per 1s`.
impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lock(&self.state).quota.fmt(f)
    }
}

impl State {
    fn forget(&mut self) {
        self.quota.forget(self.now);
    }

    /// Admits a call for which permits are free, where nobody waits for them.
    #[inline]
    fn takes_at_once(&mut self, permits: &Permits) -> bool {
        let taken = self.queue.is_empty() && self.paused_until <= self.now && self.quota.take_free(self.now, permits);
        self.stats.admitted += u64::from(taken);
        taken
    }

    fn due(&self, counts: &Counts) -> Nanos {
        self.quota.due(self.now, counts).max(self.paused_until)
    }

    /// When a call could be admitted after others that want so much; at the earliest.
    fn due_after(&self, ahead: &Sums, counts: &Counts) -> Nanos {
        let start = self.now.max(self.paused_until);
        self.quota.due_after(start, ahead, counts).max(self.paused_until)
    }

    /// When a call that comes now could be admitted, after all who wait.
    fn due_at_the_end(&self, counts: &Counts) -> Nanos {
        self.due_after(&self.queue.wanted(), counts)
    }

    fn claim(&mut self, request: &Request, waker: &Waker) -> (Turn, Next) {
        let counts = match self.quota.check(&request.permits) {
            Ok(counts) => counts,
            Err(error) => return (Turn::Over(Err(error)), None),
        };
        let next = self.call_up();
        // Those who did not come may have been all that waited.
        if self.takes_at_once(&request.permits) {
            return (Turn::Over(Ok(())), next);
        }
        let waiting = self.queue.len();
        if request.can_fail && waiting >= self.refuse_above {
            return (self.refuse(Error::QueueFull { waiting }), next);
        }
        let latest = request.max_wait.map_or(Nanos::MAX, |wait| self.now.saturating_add(nanos(wait)));
        if self.due_at_the_end(counts) > latest {
            return (self.refuse(self.rate_limited(counts)), next);
        }
        let ticket = self.queue.join(waker, *counts);
        let claim = Claim { ticket, counts: *counts, since: self.now, latest };
        let alarm = self.set_alarm(&claim, self.expected(&claim));
        (Turn::Joined(claim, alarm), next)
    }

    fn refuse(&mut self, error: Error) -> Turn {
        self.stats.refused += 1;
        Turn::Over(Err(error))
    }

    fn take_turn(&mut self, claim: &mut Claim, waker: &Waker) -> (Turn, Next) {
        if !self.queue.is_here(&claim.ticket, waker) {
            claim.ticket = self.queue.rejoin(waker, claim.counts);
        }
        let called = if self.queue.is_first(&claim.ticket) { None } else { self.call_up() };
        let is_first = self.queue.is_first(&claim.ticket);
        // The limit may have been lowered meanwhile.
        if let (true, Err(error)) = (is_first, self.quota.check_counts(&claim.counts)) {
            return (self.refuse(error), self.give_up(claim));
        }
        let due = self.expected(claim);
        if is_first && due <= self.now {
            self.queue.leave_first();
            // On schedule, though its timer was a little late.
            self.quota.take(self.now, due.max(self.now.saturating_sub(GRACE)), &claim.counts);
            self.stats.admitted += 1;
            self.stats.delayed += 1;
            self.stats.total_wait += Duration::from_nanos(self.now - claim.since);
            return (Turn::Over(Ok(())), self.hand_over());
        }
        if self.now >= claim.latest {
            let next = self.give_up(claim).or(called);
            return (self.refuse(self.rate_limited(&claim.counts)), next);
        }
        (Turn::Wait(self.set_alarm(claim, due)), called)
    }

    fn set_alarm(&mut self, claim: &Claim, due: Nanos) -> Nanos {
        let alarm = due.min(claim.latest);
        if let Some(place) = self.queue.get_mut(&claim.ticket) {
            place.alarm = alarm;
        }
        alarm
    }

    /// When to look again: the first when it is free to go, and another when its turn should have come, with some patience for
    /// late timers. It is woken earlier if its turn comes earlier; this is for those before it who do not come at all.
    fn expected(&self, claim: &Claim) -> Nanos {
        if self.queue.is_first(&claim.ticket) {
            return self.due(&claim.counts);
        }
        if self.queue.first().is_some_and(|first| first.called.is_some()) {
            // If all of a long queue looked at once, the first would have to wait until they have done so.
            let rounds = 1 + self.queue.places_before(&claim.ticket) / LOOKING_TOGETHER;
            return self.now.saturating_add(GRACE.saturating_mul(rounds));
        }
        let patience = self.now.saturating_add(GRACE);
        let ahead = self.queue.wanted_before(&claim.ticket);
        let due = self.due_after(&ahead, &claim.counts);
        let drift = self.quota.drift(due.saturating_sub(self.now), nanos(GRAIN));
        due.saturating_add(drift).max(patience)
    }

    /// Tells the first in the queue that it is free to go, if it is; and passes over it if it has known for too long.
    fn call_up(&mut self) -> Next {
        let mut nobody_since = None;
        while let Some(first) = self.queue.first() {
            if self.due(&first.counts) > self.now {
                break;
            }
            let now = self.now;
            let first = self.queue.first_mut()?;
            // One whose own alarm went off before another was called in vain has been silent for as long.
            match first.called.or(nobody_since.filter(|since| first.alarm <= *since)) {
                None => {
                    first.called = Some(now);
                    return Some(first.waker.clone());
                }
                Some(since) if now < since.saturating_add(GRACE) => break,
                Some(since) => {
                    nobody_since = Some(since);
                    self.queue.leave_first();
                    self.stats.passed_over += 1;
                }
            }
        }
        nobody_since.and_then(|_| self.hand_over())
    }

    /// The first place has changed hands: its holder is woken unless it will come by itself in time.
    fn hand_over(&mut self) -> Next {
        let first = self.queue.first()?;
        let due = self.due(&first.counts);
        let refused = self.quota.check_counts(&first.counts).is_err();
        let now = self.now;
        let first = self.queue.first_mut()?;
        if first.alarm <= due && !refused {
            return None;
        }
        if due <= now {
            first.called = Some(now);
        }
        Some(first.waker.clone())
    }

    fn leave(&mut self, claim: &Claim) -> Next {
        self.stats.cancelled += 1;
        self.give_up(claim)
    }

    fn give_up(&mut self, claim: &Claim) -> Next {
        let was_first = self.queue.is_first(&claim.ticket);
        self.queue.leave(&claim.ticket);
        if was_first { self.hand_over() } else { None }
    }

    fn try_take(&mut self, permits: Permits) -> (Result<(), Error>, Next) {
        let counts = match self.quota.check(&permits) {
            Ok(counts) => counts,
            Err(error) => return (Err(error), None),
        };
        let next = self.call_up();
        if self.takes_at_once(&permits) {
            return (Ok(()), next);
        }
        self.stats.refused += 1;
        (Err(self.rate_limited(counts)), next)
    }

    fn rate_limited(&self, counts: &Counts) -> Error {
        let wait = self.due_at_the_end(counts).saturating_sub(self.now);
        Error::RateLimited { retry_after: Duration::from_nanos(wait) }
    }
}
