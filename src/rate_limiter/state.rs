//! A limiter's state behind its one lock, and what happens when a call comes, looks again, or
//! leaves.
//!
//! Tasks and threads stand in the same queue: each takes its [`Turn`], and waits in its own way
//! until the moment that it is given. No call admits another. Permits are stamped by the call that
//! uses them: a permit handed to a waiter that is woken late would age on the way, and more than
//! the limit could then be in use within one window.
//!
//! # The queue's protocol
//!
//! The *verdict* on a call depends on what the calls before it take at this moment. It is the same
//! in whatever order the waiters of one moment are polled.
//!
//! | verdict | condition |
//! |---|---|
//! | `TooMuch` | The call wants more than the limit, which was lowered meanwhile. |
//! | `Due` | The permits of all calls before it that are due, and its own, are free now. No call before it waits on. |
//! | `TooLate` | The call is not due, its patience has ended, and late timers are not the only reason. |
//! | `NotYet` | The call is not due and waits on. |
//!
//! A waiter *sleeps* until its own recheck, or is *woken* because it is first and due, or is
//! *skipped* because it was woken and did not come. Only its own contacts admit or refuse it. Each
//! contact of another call *calls up* the first waiter, and each first waiter that leaves *hands
//! over* to the next.
//!
//! | state | event | action | next state |
//! |---|---|---|---|
//! | new | comes; no call waits, and its permits are free | takes them | admitted |
//! | new | comes; could wait for its turn | joins at the end | asleep |
//! | new | comes again, in a retry that keeps its place; could wait for its turn | joins before all that came later | asleep |
//! | new | comes; could not wait, but is `Due` and leaves room for the calls before it | takes its permits | admitted |
//! | new | comes; could not wait | | refused |
//! | asleep or woken | polled, neither first nor out of patience | plans its recheck | asleep |
//! | asleep or woken | polled, first or out of patience, `Due` | takes its permits; hands over if it was first | admitted |
//! | asleep or woken | polled, first or out of patience, `TooMuch` or `TooLate` | hands over if it was first | refused |
//! | asleep or woken | polled, first or out of patience, `NotYet` | plans its recheck | asleep |
//! | asleep or woken | dropped | hands over if it was first | gone |
//! | asleep | called up while due | is woken | woken |
//! | woken | called up while due, [`GRACE`] or more after it was woken | the next one is called up | skipped |
//! | asleep | called up after a skip, its recheck as long overdue | the next one is called up | skipped |
//! | asleep | handed over to; its own recheck would be too late | is woken | woken if due |
//! | asleep or woken | first, and the limits or the burst are changed | is woken | unchanged |
//! | asleep or woken | first, and permits are given back; its own recheck would be too late | is woken | woken if due |
//! | asleep or woken | a pause is ended before its time | is woken | unchanged |
//! | asleep or woken | the limiter is closed | leaves the queue; is woken | closed |
//! | skipped | the limiter is closed | | closed |
//! | closed | polled | | refused |
//! | closed | dropped | | gone |
//! | new | comes to a closed limiter | | refused |
//! | skipped | polled | takes its old place, then as polled there | asleep |
//! | skipped | dropped | | gone |
//!
//! Progress depends on no single waiter, because each rechecks when its turn should have come, and
//! calls up the first.
//!
//! A caller that cannot be told of a refusal ([`Request::can_fail`]) is refused by a closed limiter
//! alone, and then stays pending.

use super::{
    queue::{Demand, Queue, StaleWakers, Ticket, Waiter},
    stats::RateLimiterStats,
};
#[cfg(feature = "test-util")]
use crate::clock::virtual_clock::ClockOfUse;
use crate::{
    ConfigError, Error, Permits,
    attempt::keeps_place_since,
    clock::{Clock, Epoch, GRAIN, Instant, Nanos, nanos},
    policy::{Counts, MAX_WINDOWS, Quota, Sums, excess},
    sync::{Mutex, MutexGuard, lock, lock_busy},
};
use std::{fmt, task::Waker, time::Duration};

/// Time in which the first in the queue has to come after it was woken, in nanoseconds. Then it is
/// skipped.
const GRACE: Nanos = 10_000_000;

/// Time by which a pacer counts a late waiter back on its schedule, in nanoseconds. All that falls
/// due in this time may pass together after a stall. A timer is up to 1 ms late, and so is the
/// thread that it wakes. With 2 ms a busy queue falls behind.
const CATCH_UP: Nanos = 3_000_000;

/// The refusal of every call after [`Core::close`].
const CLOSED: Error = Error::Closed { what: "the rate limiter" };

/// Maximum number of waiters that recheck together whether a woken first has come.
const LOOKING_TOGETHER: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct Core {
    epoch: Epoch,
    state: Mutex<State>,
    #[cfg(feature = "test-util")]
    clock_of_use: ClockOfUse,
}

#[derive(Debug)]
struct State {
    quota: Quota,
    queue: Queue,
    /// 0 before the first pause.
    paused_until: Nanos,
    /// When free permits can be taken the short way again: after the pause; `Nanos::MAX` while a
    /// window keeps its past, and once the limiter is closed.
    short_way_from: Nanos,
    bounds: Bounds,
    /// Stays `true` for good.
    is_closed: bool,
    /// The latest moment that was seen. A clock that goes back (one runtime's paused clock after
    /// another's) stands still.
    now: Nanos,
    /// The moment after the last pause, charge, change of limits, or return of a skipped waiter.
    /// The turns that were foreseen for waiters since then still hold.
    undisturbed_since: Nanos,
    stats: RateLimiterStats,
    own: OwnSettings,
}

/// The settings of a limiter that are no limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Callers in the queue beyond which those that can fail are refused. `None` never refuses.
    pub(super) max_waiting: Option<usize>,
    /// Longest time for which one call of `pause_for` pauses.
    pub(super) longest_pause: Duration,
}

/// The settings that the limiters of all keys share.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) quota: Quota,
    pub(super) bounds: Bounds,
    pub(super) is_closed: bool,
}

/// The settings of one key that differ from those of all keys, and so do not follow them.
#[derive(Debug, Default)]
struct OwnSettings {
    limits: Own,
    burst: Own,
    max_waiting: Own,
    longest_pause: Own,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Own {
    #[default]
    No,
    /// Set by hand, and not compared with the setting of all keys since.
    Undecided,
    /// Set by hand to another value than that of all keys. Stays so if that becomes the same value,
    /// because it may change back.
    Yes,
}

impl Own {
    fn decide(&mut self, differs: impl FnOnce() -> bool) {
        if *self == Self::Undecided {
            *self = if differs() { Self::Yes } else { Self::No };
        }
    }
}

/// A request to a limiter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) permits: Permits,
    /// `true` if the caller can be told of a refusal: a full queue, a closed limiter.
    pub(crate) can_fail: bool,
    /// The longest wait; `None` for an unbounded one.
    pub(crate) max_wait: Option<Duration>,
}

impl Request {
    /// A request for one permit of each window, with an unbounded wait. Any limiter admits this
    /// request in the end, or leaves it pending once closed, so it is never refused.
    pub(crate) fn one() -> Self {
        Self { permits: 1_u32.into(), can_fail: false, max_wait: None }
    }
}

/// The place of a refusal of [`Request::one`].
#[cold]
pub(crate) fn never_refused(error: &Error) -> ! {
    unreachable!("one permit of any limiter can be waited for, but: {error}")
}

/// What comes of taking one's turn.
#[derive(Debug)]
pub(super) enum Turn {
    /// There is a place in the queue now, to take turns with: at this moment, or when woken.
    Joined(Claim, Nanos),
    /// Come again at this moment, or when woken.
    Wait(Nanos),
    /// Refused, but the caller cannot be told: pending for good.
    Never,
    /// Admitted at this moment, or refused.
    Over(Result<Nanos, Error>),
}

/// The place of one waiting call.
#[derive(Debug)]
pub(super) struct Claim {
    ticket: Ticket,
    demand: Demand,
}

/// The outcome of a call if all before it were polled now, and then the call itself.
#[derive(Debug)]
enum Verdict {
    TooMuch,
    Due,
    TooLate,
    NotYet { due: Nanos },
}

/// The first waiters, up to one that waits on: each would be admitted or refused if all of them
/// were polled now.
#[derive(Debug, Default)]
struct Front {
    waiters: usize,
    /// Permits of those that would be admitted.
    taken: Sums,
    /// Permits of those that would be refused.
    refused: Sums,
    /// True if a waiter behind them waits on, and so keeps back all that come later.
    is_blocked: bool,
}

/// Work of a contact that is left for when the lock has been released.
#[derive(Debug, Default)]
struct Aftermath {
    wake: Option<Waker>,
    stale: StaleWakers,
}

impl Aftermath {
    /// The waiter that a later decision names is woken in place of an earlier one.
    fn wake(&mut self, waker: Waker) {
        if let Some(earlier) = self.wake.replace(waker) {
            self.stale.add(earlier);
        }
    }
}

impl Core {
    pub(super) fn new(quota: Quota, bounds: Bounds, epoch: Epoch) -> Self {
        let state = State {
            quota,
            queue: Queue::default(),
            paused_until: 0,
            short_way_from: 0,
            bounds,
            is_closed: false,
            now: 0,
            undisturbed_since: 0,
            stats: RateLimiterStats::default(),
            own: OwnSettings::default(),
        };
        Self {
            epoch,
            state: Mutex::new(state),
            #[cfg(feature = "test-util")]
            clock_of_use: ClockOfUse::default(),
        }
    }

    /// The moment in the clock's own terms; `None` if it lies beyond it.
    pub(super) fn instant(&self, clock: Clock, moment: Nanos) -> Option<Instant> {
        self.epoch.instant(clock, moment)
    }

    /// Locks the state and updates its clock, which is read under the lock so that it never goes
    /// backwards.
    #[inline]
    fn enter(&self, clock: Clock) -> MutexGuard<'_, State> {
        #[cfg(feature = "test-util")]
        if matches!(clock, Clock::Thread) {
            self.clock_of_use.note();
        }
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

    /// Runs `act` under the lock, and the work that it leaves afterwards.
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
            return Turn::Over(Ok(state.now));
        }
        Self::act(state, |state, after| state.claim(request, clock, waker, after))
    }

    pub(super) fn take_turn(&self, clock: Clock, claim: &Claim, request: &Request, waker: &Waker) -> Turn {
        self.contact(clock, |state, after| {
            if state.is_closed { state.refuse_for_good(request) } else { state.take_turn(claim, waker, after) }
        })
    }

    /// Panics if this thread would wait in real time for threads of a virtual clock.
    #[cfg(feature = "test-util")]
    #[track_caller]
    pub(super) fn refuse_a_foreign_wait(&self) {
        self.clock_of_use.refuse_a_foreign_wait();
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
        state.charge(counts);
        Ok(())
    }

    pub(super) fn refund(&self, permits: Permits) -> Result<(), Error> {
        self.contact(Clock::here(), |state, after| {
            let counts = permits.for_windows(state.quota.windows())?;
            let given = state.quota.refund(state.now, counts);
            state.given_back(&given, after);
            Ok(())
        })
    }

    /// Counts permits that were used in place of those that were reserved at this moment.
    pub(super) fn settle(&self, clock: Clock, at: Nanos, reserved: &Permits, used: &Permits) -> Result<(), Error> {
        self.contact(clock, |state, after| {
            let windows = state.quota.windows();
            let (reserved, used) = (reserved.for_windows(windows)?, used.for_windows(windows)?);
            state.charge(&excess(used, reserved));
            let given = state.quota.refund_at(state.now, at, &excess(reserved, used));
            state.given_back(&given, after);
            Ok(())
        })
    }

    pub(super) fn pause_for(&self, pause: Duration) {
        let mut state = self.enter(Clock::here());
        let pause = nanos(pause.min(state.bounds.longest_pause));
        state.paused_until = state.paused_until.max(state.now.saturating_add(pause));
        state.open_short_way();
        state.disturb();
    }

    /// The rest of a pause; zero without one.
    pub(super) fn pause_left(&self) -> Duration {
        let state = self.enter(Clock::here());
        Duration::from_nanos(state.paused_until.saturating_sub(state.now))
    }

    /// Wakes all waiters, because each would recheck only after the pause. Turns come no later than
    /// with the pause, so those that were foreseen still hold.
    pub(super) fn resume(&self) {
        let mut state = self.enter(Clock::here());
        if state.paused_until <= state.now {
            return;
        }
        state.paused_until = state.now;
        state.open_short_way();
        let wakers: Vec<_> = state.queue.iter().map(|waiter| waiter.waker.clone()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns the wakers of all that waited, to be woken outside of all locks.
    pub(super) fn close(&self) -> impl Iterator<Item = Waker> {
        let mut state = lock(&self.state);
        state.is_closed = true;
        state.open_short_way();
        std::mem::take(&mut state.queue).into_wakers()
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).is_closed
    }

    pub(super) fn set_limits(&self, limits: &[(u32, Nanos)]) -> Result<(), ConfigError> {
        self.change(|state| {
            state.quota.set_limits(limits)?;
            state.own.limits = Own::Undecided;
            Ok(())
        })
    }

    pub(super) fn set_burst(&self, burst: u32) -> Result<(), ConfigError> {
        self.change(|state| {
            state.quota.set_burst(burst)?;
            state.own.burst = Own::Undecided;
            Ok(())
        })
    }

    /// Changes the quota, unless it refuses. The first waiter looks whether its turn is another
    /// now.
    fn change(&self, change: impl FnOnce(&mut State) -> Result<(), ConfigError>) -> Result<(), ConfigError> {
        self.contact(Clock::here(), |state, after| {
            change(state)?;
            if let Some(first) = state.quota_changed() {
                after.wake(first);
            }
            Ok(())
        })
    }

    /// Takes over what has changed in the settings of all keys, apart from the settings that the
    /// key has of its own. The waker is for when no lock is held.
    pub(super) fn follow(&self, old: &Settings, new: &Settings) -> Option<Waker> {
        let mut state = self.enter_and_forget(Clock::here());
        state.decide_own(old);
        let State { quota, bounds, own, .. } = &mut *state;
        if own.max_waiting == Own::No {
            bounds.max_waiting = new.bounds.max_waiting;
        }
        if own.longest_pause == Own::No {
            bounds.longest_pause = new.bounds.longest_pause;
        }
        let limits = Some(new.quota.limits()).filter(|limits| own.limits == Own::No && *limits != quota.limits());
        let burst = new.quota.burst().filter(|burst| own.burst == Own::No && Some(*burst) != quota.burst());
        if limits.is_none() && burst.is_none() {
            return None;
        }
        // Neither is refused, because the quota of all keys has accepted both.
        let _ = limits.map(|limits| quota.set_limits(&limits));
        let _ = burst.map(|burst| quota.set_burst(burst));
        state.quota_changed()
    }

    pub(super) fn limits(&self) -> Vec<(u32, Nanos)> {
        lock(&self.state).quota.limits()
    }

    pub(super) fn burst(&self) -> Option<u32> {
        lock(&self.state).quota.burst()
    }

    pub(super) fn bounds(&self) -> Bounds {
        lock(&self.state).bounds
    }

    /// Bounds apply when a call comes or a pause begins, so no waiter is woken.
    pub(super) fn set_max_waiting(&self, waiting: Option<usize>) {
        let mut state = lock(&self.state);
        state.bounds.max_waiting = waiting;
        state.own.max_waiting = Own::Undecided;
    }

    pub(super) fn set_longest_pause(&self, pause: Duration) {
        let mut state = lock(&self.state);
        state.bounds.longest_pause = pause;
        state.own.longest_pause = Own::Undecided;
    }

    pub(super) fn available(&self) -> Vec<u32> {
        let state = self.enter_and_forget(Clock::here());
        let admits = !state.is_closed && state.paused_until <= state.now;
        let available = |window| if admits { state.quota.available(state.now, window) } else { 0 };
        (0..state.quota.windows()).map(available).collect()
    }

    pub(super) fn waiting(&self) -> usize {
        lock(&self.state).queue.len()
    }

    pub(super) fn stats(&self) -> RateLimiterStats {
        let state = lock(&self.state);
        RateLimiterStats { waiting: state.queue.len(), ..state.stats }
    }

    /// The time until the limiter is as good as new; `None` while calls wait, with settings of its
    /// own, and if it was closed by itself.
    pub(super) fn idle_in(&self, common: &Settings) -> Option<Nanos> {
        let mut state = self.enter(Clock::here());
        state.decide_own(common);
        let OwnSettings { limits, burst, max_waiting, longest_pause } = state.own;
        let is_ordinary = [limits, burst, max_waiting, longest_pause] == [Own::No; 4];
        let idle_at = state.quota.idle_at().max(state.paused_until);
        let can_go = is_ordinary && state.queue.is_empty() && state.is_closed == common.is_closed;
        can_go.then(|| idle_at.saturating_sub(state.now))
    }
}

/// Adds the permits of the first `windows` windows to their totals.
fn add_up(totals: &mut [u64; MAX_WINDOWS], counts: &Counts, windows: usize) {
    for (total, count) in totals.iter_mut().zip(counts).take(windows) {
        *total = total.saturating_add((*count).into());
    }
}

/// The current limits: `10 per 1s`.
impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        state.quota.fmt(f)?;
        if state.is_closed { f.write_str(", closed") } else { Ok(()) }
    }
}

impl State {
    fn forget(&mut self) {
        self.quota.forget(self.now);
    }

    fn decide_own(&mut self, common: &Settings) {
        let Self { own, quota, bounds, .. } = self;
        own.limits.decide(|| quota.limits() != common.quota.limits());
        own.burst.decide(|| quota.burst() != common.quota.burst());
        own.max_waiting.decide(|| bounds.max_waiting != common.bounds.max_waiting);
        own.longest_pause.decide(|| bounds.longest_pause != common.bounds.longest_pause);
    }

    /// Returns the first waiter's waker: its turn may be another now.
    fn quota_changed(&mut self) -> Option<Waker> {
        self.open_short_way();
        self.disturb();
        self.forget();
        self.queue.first().map(|first| first.waker.clone())
    }

    fn open_short_way(&mut self) {
        let is_long_way_only = self.is_closed || self.quota.keeps_past();
        self.short_way_from = if is_long_way_only { Nanos::MAX } else { self.paused_until };
    }

    /// A moment in the past of this clock.
    fn moment(&self, clock: Clock, past: Instant) -> Nanos {
        self.now.saturating_sub(nanos(clock.now().saturating_duration_since(past)))
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

    /// [`try_admit_at_once`](Self::try_admit_at_once), where a window may keep its past.
    fn try_admit(&mut self, counts: &Counts) -> bool {
        let taken = self.queue.is_empty() && self.due_after(&Sums::default(), counts) <= self.now;
        if taken {
            self.quota.take(self.now, self.now, counts);
            self.stats.admitted += 1;
        }
        taken
    }

    /// The earliest moment from which a pacer may count the permits of a waiter.
    fn since(&self) -> Nanos {
        self.now.saturating_sub(CATCH_UP).max(self.paused_until)
    }

    /// The earliest moment at which a call could be admitted after others that want `ahead`.
    fn due_after(&self, ahead: &Sums, counts: &Counts) -> Nanos {
        let start = self.now.max(self.paused_until);
        self.quota.due_after(start, self.since(), ahead, counts).max(self.paused_until)
    }

    /// The earliest moment at which a call that comes now could be admitted, after all that wait.
    fn due_at_the_end(&self, counts: &Counts) -> Nanos {
        self.due_after(self.queue.wanted(), counts)
    }

    /// The same, where some of those that wait are about to be refused.
    fn due_behind(&self, front: &Front, counts: &Counts) -> Nanos {
        self.due_after(&self.queue.wanted().minus(&front.refused), counts)
    }

    /// The verdict on a call after others that take `ahead`.
    fn verdict(&self, ahead: &Sums, demand: &Demand) -> Verdict {
        if self.quota.is_too_much(&demand.counts) {
            return Verdict::TooMuch;
        }
        match self.due_after(ahead, &demand.counts) {
            due if due <= self.now => Verdict::Due,
            due if self.now >= demand.latest && due > self.latest_by_timers(demand) => Verdict::TooLate,
            due => Verdict::NotYet { due },
        }
    }

    /// The last moment to be admitted at, if timers alone have delayed the turn.
    fn latest_by_timers(&self, demand: &Demand) -> Nanos {
        let is_undisturbed = demand.since >= self.undisturbed_since;
        demand.latest.saturating_add(if is_undisturbed { demand.lateness } else { 0 })
    }

    /// The lateness that timers may cause in the turn of a newcomer. 0 if its turn is only
    /// estimated, because heavy calls before it may delay it as well.
    fn lateness(&self, counts: &Counts, due: Nanos) -> Nanos {
        let single_permits = self.queue.has_single_permits_only() && counts.iter().all(|count| *count <= 1);
        if self.quota.foresees(single_permits) {
            self.quota.drift(due.saturating_sub(self.now), nanos(GRAIN))
        } else {
            0
        }
    }

    /// The front of these waiters, which begin with the first. Takes time in proportion to the
    /// waiters that are ready to leave.
    fn front<'q>(&self, waiters: impl Iterator<Item = &'q Waiter>) -> Front {
        let mut front = Front::default();
        for waiter in waiters {
            let counts = &waiter.demand.counts;
            match self.verdict(&front.taken, &waiter.demand) {
                Verdict::Due => front.taken.add(counts),
                Verdict::TooMuch | Verdict::TooLate => front.refused.add(counts),
                Verdict::NotYet { .. } => {
                    front.is_blocked = true;
                    break;
                }
            }
            front.waiters += 1;
        }
        front
    }

    /// Returns whether a call behind this front can be admitted now, and leaves the front what that
    /// would take.
    fn leaves_room(&self, front: &Front, counts: &Counts) -> bool {
        !front.is_blocked
            && self.paused_until <= self.now
            && self.quota.leaves_room(self.now, self.since(), &front.taken, counts)
    }

    fn take(&mut self, counts: &Counts) {
        self.quota.take(self.now, self.since(), counts);
        self.stats.admitted += 1;
    }

    /// Takes permits now, whether they fit or not. Turns that were foreseen no longer hold.
    fn charge(&mut self, counts: &Counts) {
        if *counts == Counts::default() {
            return;
        }
        self.quota.take(self.now, self.now, counts);
        add_up(&mut self.stats.charged, counts, self.quota.windows());
        self.disturb();
    }

    /// Counts permits that the quota has given back, and wakes the first waiter if it is due
    /// earlier. A pacer may also have given back a part of a permit.
    fn given_back(&mut self, counts: &Counts, after: &mut Aftermath) {
        add_up(&mut self.stats.refunded, counts, self.quota.windows());
        self.hand_over(after);
    }

    fn refuse(&mut self, error: Error) -> Result<(), Error> {
        self.stats.refused += 1;
        Err(error)
    }

    /// The end of a call to a closed limiter.
    fn refuse_for_good(&mut self, request: &Request) -> Turn {
        self.stats.refused += 1;
        if request.can_fail { Turn::Over(Err(CLOSED)) } else { Turn::Never }
    }

    fn claim(&mut self, request: &Request, clock: Clock, waker: &Waker, after: &mut Aftermath) -> Turn {
        if self.is_closed {
            return self.refuse_for_good(request);
        }
        let counts = match self.quota.check(&request.permits) {
            Ok(counts) => *counts,
            Err(error) => return Turn::Over(Err(error)),
        };
        self.call_up(after);
        // Those that were skipped may have been all that waited.
        if self.try_admit(&counts) {
            return Turn::Over(Ok(self.now));
        }
        let latest = request.max_wait.map_or(Nanos::MAX, |wait| self.now.saturating_add(nanos(wait)));
        let came = keeps_place_since().map(|came| self.moment(clock, came));
        let ahead = came.and_then(|came| self.queue.wanted_before_again(came)).unwrap_or(*self.queue.wanted());
        let due = self.due_after(&ahead, &counts);
        if let Some(result) = self.decide_at_once(request.can_fail, &counts, due, latest) {
            return Turn::Over(result.map(|()| self.now));
        }
        let lateness = if latest == Nanos::MAX { 0 } else { self.lateness(&counts, due) };
        let demand = Demand { counts, since: self.now, latest, lateness };
        let ticket = match came {
            None => self.queue.join(waker, demand),
            Some(came) => {
                // Turns foreseen at this very moment still count as foreseen, although this call
                // may stand before them now. The only effect is more patience with their timers.
                self.undisturbed_since = self.undisturbed_since.max(self.now);
                self.queue.join_again(waker, demand, came)
            }
        };
        let claim = Claim { ticket, demand };
        let recheck_at = self.recheck_at(&claim, self.expected(&claim));
        Turn::Joined(claim, recheck_at)
    }

    /// Admits or refuses a newcomer that cannot wait until it is `due`; `None` if it can.
    fn decide_at_once(
        &mut self,
        can_fail: bool,
        counts: &Counts,
        due: Nanos,
        latest: Nanos,
    ) -> Option<Result<(), Error>> {
        let waiting = self.queue.len();
        let most_waiting = self.bounds.max_waiting.filter(|_| can_fail).unwrap_or(usize::MAX);
        let has_patience = |due| self.now < latest && due <= latest;
        if has_patience(due) && waiting < most_waiting {
            return None;
        }
        // Waiters whose turn has come are as good as gone, whether or not they have been polled
        // since.
        let front = self.front(self.queue.iter());
        if self.leaves_room(&front, counts) {
            self.take(counts);
            return Some(Ok(()));
        }
        let waiting = waiting - front.waiters;
        if waiting >= most_waiting {
            return Some(self.refuse(Error::QueueFull { waiting }));
        }
        let due = self.due_behind(&front, counts);
        if has_patience(due) { None } else { Some(self.refuse(self.rate_limited(due))) }
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
        // A waiter with patience left goes when it is first, and not before.
        if !is_first && self.now < demand.latest {
            return self.wait(claim, self.expected(claim));
        }
        let front = self.front(self.queue.before(ticket));
        let ahead = if front.is_blocked { self.queue.wanted_before(ticket) } else { front.taken };
        let refusal = match self.verdict(&ahead, demand) {
            Verdict::Due if is_first || self.leaves_room(&front, &demand.counts) => {
                self.take(&demand.counts);
                self.stats.delayed += 1;
                self.stats.total_wait += Duration::from_nanos(self.now - demand.since);
                self.give_up(ticket, after);
                return Turn::Over(Ok(self.now));
            }
            // The waiters before it have been woken, and need what it would take.
            Verdict::Due if self.now < demand.latest.saturating_add(nanos(GRAIN)) => {
                return self.wait(claim, demand.latest.saturating_add(nanos(GRAIN)));
            }
            Verdict::NotYet { due } => return self.wait(claim, due),
            Verdict::TooMuch if !front.is_blocked => self.quota.check_counts(&demand.counts),
            Verdict::TooMuch | Verdict::Due | Verdict::TooLate => Ok(()),
        };
        self.give_up(ticket, after);
        let refusal = refusal.err().unwrap_or_else(|| self.rate_limited(self.due_at_the_end(&demand.counts)));
        Turn::Over(self.refuse(refusal).map(|()| self.now))
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

    /// When this waiter should look at the queue again: the first when it is due, and others when
    /// their turn should have come, with some slack for late timers. The slack only matters if a
    /// waiter before it never comes, because otherwise it is woken earlier.
    fn expected(&self, claim: &Claim) -> Nanos {
        let Claim { ticket, demand } = claim;
        if self.queue.is_first(ticket) {
            return self.due_after(&Sums::default(), &demand.counts);
        }
        if self.queue.first().is_some_and(|first| first.woken_at.is_some()) {
            // If all waiters of a long queue checked at once, the first would have to wait for all
            // of them.
            let rounds = 1 + self.queue.places_before(ticket) / LOOKING_TOGETHER;
            return self.now.saturating_add(GRACE.saturating_mul(rounds));
        }
        let due = self.due_after(&self.queue.wanted_before_at_most(ticket), &demand.counts);
        let drift = self.quota.drift(due.saturating_sub(self.now), nanos(GRAIN));
        due.saturating_add(drift).max(self.now.saturating_add(GRACE))
    }

    /// When the first in the queue is admitted or refused. A limit that was lowered refuses it at
    /// once.
    fn first_due(&self) -> Option<Nanos> {
        let counts = &self.queue.first()?.demand.counts;
        Some(if self.quota.is_too_much(counts) { 0 } else { self.due_after(&Sums::default(), counts) })
    }

    /// Wakes the first in the queue if it is due. Skips it if it was woken and has not come for too
    /// long.
    fn call_up(&mut self, after: &mut Aftermath) {
        let mut silent_since = None;
        while self.first_due().is_some_and(|due| due <= self.now) {
            let now = self.now;
            let Some(first) = self.queue.first_mut() else { break };
            // A waiter whose own recheck was due when the one before it was woken has been silent
            // for as long.
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
                    self.stats.skipped += 1;
                }
            }
        }
        if silent_since.is_some() {
            self.hand_over(after);
        }
    }

    /// The first place has changed hands: its holder is woken, unless it will come by itself in
    /// time.
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
        if self.is_closed {
            return self.refuse(CLOSED);
        }
        let counts = self.quota.check(&permits)?;
        self.call_up(after);
        if self.try_admit(counts) {
            return Ok(());
        }
        let front = self.front(self.queue.iter());
        if self.leaves_room(&front, counts) {
            self.take(counts);
            return Ok(());
        }
        self.refuse(self.rate_limited(self.due_behind(&front, counts)))
    }

    /// The refusal of a call that would be due at this moment.
    fn rate_limited(&self, due: Nanos) -> Error {
        let wait = due.saturating_sub(self.now);
        // The waiters before it that are due have been woken, and will have gone a moment later.
        let wait = if wait == 0 { nanos(GRAIN) } else { wait };
        Error::RateLimited { retry_after: Duration::from_nanos(wait) }
    }
}
