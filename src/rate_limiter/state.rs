//! The state of a limiter behind its one lock, and the transitions when a call comes, rechecks, or
//! leaves.
//!
//! Tasks and threads share one queue. Each gets an [`Admission`], and waits in its own way until
//! the moment in it. No call admits another, because each permit is stamped with the moment of its
//! admission. If a permit were handed to a waiter that is woken late, the permit would age on the
//! way. More permits than the limit could then be in use within one window.
//!
//! # The queue's protocol
//!
//! The *verdict* on a call depends on the permits that the calls before it take at this moment. The
//! verdict does not depend on the order in which the waiters of one moment are polled.
//!
//! | verdict | condition |
//! |---|---|
//! | `TooMuch` | The call wants more than the limit, which was lowered after the call came. |
//! | `Due` | Its permits and those of all due calls before it are free now. No call before it has to wait longer. |
//! | `TooLate` | The call is not due, its longest wait has passed, and late timers are not the only reason. |
//! | `NotYet` | The call is not due and may wait longer. |
//!
//! The *head* is the first waiter. A waiter is *asleep* until its own recheck, or *woken* because
//! it is the head and due, or *skipped* because it was woken and not polled in time. A waiter is
//! admitted or refused only when it is polled itself. Each poll of another call *checks* the head
//! ([`State::wake_or_skip_head`]). Each head that leaves *wakes the next* one, unless the next one
//! rechecks in time by itself ([`State::wake_head`]).
//!
//! | state | event | action | next state |
//! |---|---|---|---|
//! | new | comes; no call waits, and its permits are free | takes its permits | admitted |
//! | new | comes; may wait until it is due | joins at the end | asleep |
//! | new | comes again, in a retry that keeps its place; may wait until it is due | joins before all that came later | asleep |
//! | new | comes; may not wait, but is `Due` and leaves room for the calls before it | takes its permits | admitted |
//! | new | comes; may not wait, and the row above does not apply | | refused |
//! | asleep or woken | polled; not the head, and its longest wait has not passed | sets its recheck | asleep |
//! | asleep or woken | polled; head or longest wait passed; `Due` | takes its permits; wakes the next if it was the head | admitted |
//! | asleep or woken | polled; head or longest wait passed; `TooMuch` or `TooLate` | wakes the next if it was the head | refused |
//! | asleep or woken | polled; head or longest wait passed; `NotYet` | sets its recheck | asleep |
//! | asleep or woken | dropped | wakes the next if it was the head | gone |
//! | asleep | checked as head while due | is woken | woken |
//! | woken | checked as head while due, [`HEAD_GRACE`] or more after it was woken | the next one is checked | skipped |
//! | asleep | checked as head after a skip; its recheck is overdue for as long | the next one is checked | skipped |
//! | asleep | becomes the head; its own recheck would be too late | is woken | woken if due |
//! | asleep or woken | head, and the limits or the burst are changed | is woken | unchanged |
//! | asleep or woken | head, and permits are given back; its own recheck would be too late | is woken | woken if due |
//! | asleep or woken | a pause is ended early | is woken | unchanged |
//! | asleep or woken | the limiter is closed | leaves the queue; is woken | closed |
//! | skipped | the limiter is closed | | closed |
//! | closed | polled | | refused |
//! | closed | dropped | | gone |
//! | new | comes to a closed limiter | | refused |
//! | skipped | polled | returns to its place, then as if polled there | asleep |
//! | skipped | dropped | | gone |
//!
//! Progress depends on no single waiter, because each waiter rechecks when it should have been due,
//! and checks the head.
//!
//! A call without an error to return (see [`Request::can_fail`]) is refused only by a closed
//! limiter, and then stays pending.
//!
//! # A shared limit
//!
//! If the limit is that of a store, the time is the store's, and no waiter has a timer. The store's
//! thread takes the place of the rechecks: it calls when the head is due or was not polled in time,
//! and wakes or skips it. A waiter's longest wait ends by the store's answer. While the store is
//! up, the rows with "longest wait passed" therefore do not apply, and these apply in addition:
//!
//! | state | event | action | next state |
//! |---|---|---|---|
//! | new | comes; its permits are not held | joins at the end, whatever its longest wait | asleep |
//! | asleep or woken | the store says that it is due after its longest wait | is woken | to be refused |
//! | asleep or woken | the store goes down, and refuses all calls that can fail | is woken | to be refused |
//! | to be refused | polled | wakes the next if it was the head | refused |

use super::{
    fast_path::FastPath,
    queue::{Demand, Manner, Queue, Ticket, Waiter},
    shared::Store,
    stats::{Counted, RateLimiterStats},
};
#[cfg(feature = "test-util")]
use crate::clock::virtual_clock::ClockOfUse;
use crate::{
    ConfigError, Error, Permits,
    attempt::keeps_place_since,
    clock::{Clock, Epoch, Instant, Nanos, TIMER_RESOLUTION, nanos},
    deadline,
    keys::Own,
    policy::{Counts, MAX_WINDOWS, Purse, Quota, Sums, excess},
    ring::Wakers,
    sync::{Mutex, MutexGuard, lock, lock_spinning},
};
use std::{
    fmt,
    ops::{Deref, DerefMut},
    task::Waker,
    time::Duration,
};

/// Time within which the head has to be polled after it was woken, in nanoseconds. Then the head is
/// skipped.
pub(super) const HEAD_GRACE: Nanos = 10_000_000;

/// Maximum lateness of a waiter that a pacer makes up for, in nanoseconds. All permits of this time
/// may pass together after a stall. A timer is up to 1 ms late, and so is the thread that it wakes.
/// With 2 ms a busy queue falls behind.
const CATCH_UP: Nanos = 3_000_000;

/// The refusal of every call after [`Core::close`].
const CLOSED: Error = Error::Closed { what: "the rate limiter" };

/// Maximum number of waiters that recheck at the same time while the head is woken and not polled.
const MAX_CONCURRENT_CHECKS: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct Core {
    epoch: Epoch,
    lane: Lane,
    state: Mutex<State>,
    #[cfg(feature = "test-util")]
    clock_of_use: ClockOfUse,
}

/// The way of calls to the permits. One field, so that a call pays for one comparison.
#[derive(Debug)]
pub(super) enum Lane {
    /// Each call takes the lock.
    Plain,
    /// Most calls take no lock.
    Fast(Box<FastPath>),
    /// The limit is that of a store, and so is the time.
    Shared(Box<Store>),
}

/// The state under its lock. Its holder owns the schedule of the [`FastPath`].
pub(super) struct Locked<'a> {
    state: MutexGuard<'a, State>,
    lane: &'a Lane,
}

impl Deref for Locked<'_> {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Lane::Fast(fast_path) = self.lane {
            self.state.open(fast_path);
        }
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) quota: Quota,
    pub(super) queue: Queue,
    /// End of the pause; 0 before the first pause.
    pub(super) paused_until: Nanos,
    /// Moment from which calls may take the fast path: the end of the pause. `Nanos::MAX` while a
    /// window keeps expired stamps, and once the limiter is closed.
    fast_path_from: Nanos,
    pub(super) bounds: Bounds,
    /// Never becomes `false` again.
    is_closed: bool,
    /// The latest moment that was seen. If the clock goes back, as one runtime's paused clock after
    /// another's, this stands still.
    pub(super) now: Nanos,
    /// The moment after the last pause, charge, change of limits, or return of a skipped waiter.
    /// Due times that were computed since then still hold.
    undisturbed_since: Nanos,
    stats: Counted,
    own: OwnSettings,
}

/// The settings of a limiter other than its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Maximum number of waiting calls. Further calls that can fail are refused. `None` never
    /// refuses.
    pub(super) max_waiting: Option<usize>,
    /// Longest pause that one `pause_for` can ask for.
    pub(super) longest_pause: Duration,
}

/// The settings that the limiters of all keys share.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) quota: Quota,
    pub(super) bounds: Bounds,
    pub(super) is_closed: bool,
}

/// Says which settings of one key differ from those of all keys, and so do not follow them.
#[derive(Debug, Default)]
struct OwnSettings {
    limits: Own,
    burst: Own,
    max_waiting: Own,
    longest_pause: Own,
}

/// A request to a limiter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) permits: Permits,
    /// `true` if the call can return an error, and so can be refused: by a full queue or a closed
    /// limiter.
    pub(crate) can_fail: bool,
    /// The longest wait; `None` for an unbounded wait.
    pub(crate) max_wait: Option<Duration>,
}

impl Request {
    /// A request for one permit of each window, with an unbounded wait. Never refused: a limiter
    /// admits this request in the end, or leaves it pending once closed.
    pub(crate) fn one() -> Self {
        Self { permits: 1_u32.into(), can_fail: false, max_wait: None }
    }
}

/// Reports a refusal of [`Request::one`], which is a bug.
#[cold]
pub(crate) fn never_refused(error: &Error) -> ! {
    unreachable!("one permit of any limiter can be waited for, but: {error}")
}

/// The result of polling a call.
#[derive(Debug)]
pub(super) enum Admission {
    /// The call has joined the queue. Poll again at this moment, or when woken.
    Queued(QueuedCall, Nanos),
    /// Poll again at this moment, or when woken.
    Wait(Nanos),
    /// Refused, but the call has no error to return: pending for good.
    Stuck,
    /// Admitted at this moment, or refused.
    Done(Result<Nanos, Error>),
}

/// A call that waits in the queue.
#[derive(Debug)]
pub(super) struct QueuedCall {
    pub(super) ticket: Ticket,
    pub(super) demand: Demand,
}

/// The outcome of a call if all calls before it were polled now, and then the call itself.
#[derive(Debug)]
enum Verdict {
    TooMuch,
    Due,
    TooLate,
    NotYet { due: Nanos },
}

/// The longest run of waiters from the head that would all be admitted or refused if they were
/// polled now.
#[derive(Debug, Default)]
pub(super) struct Front {
    waiters: usize,
    /// Permits of the waiters that would be admitted.
    taken: Sums,
    /// Permits of the waiters that would be refused.
    refused: Sums,
    /// `true` if another waiter follows. That waiter is not due, and so holds back all that come
    /// later.
    is_blocked: bool,
}

/// Work that is left for after the lock is released.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    wake: Option<Waker>,
    /// Waiters that the store has refused.
    pub(super) refused: Vec<Waker>,
    stale: Wakers,
}

impl Aftermath {
    /// Sets the waiter to wake. Replaces the waiter of an earlier decision.
    fn wake(&mut self, waker: Waker) {
        if let Some(earlier) = self.wake.replace(waker) {
            self.stale.add(earlier);
        }
    }
}

impl Core {
    pub(super) fn new(quota: Quota, bounds: Bounds) -> Self {
        let lane = FastPath::new(&quota).map_or(Lane::Plain, |fast_path| Lane::Fast(Box::new(fast_path)));
        Self::with(lane, quota, bounds, Epoch::new())
    }

    /// The limiter of one of many keys.
    pub(super) fn of_key(quota: Quota, bounds: Bounds, epoch: Epoch) -> Self {
        Self::with(Lane::Plain, quota, bounds, epoch)
    }

    pub(super) fn with(lane: Lane, quota: Quota, bounds: Bounds, epoch: Epoch) -> Self {
        let state = State {
            quota,
            queue: Queue::default(),
            paused_until: 0,
            fast_path_from: 0,
            bounds,
            is_closed: false,
            now: 0,
            undisturbed_since: 0,
            stats: Counted::default(),
            own: OwnSettings::default(),
        };
        Self {
            epoch,
            lane,
            state: Mutex::new(state),
            #[cfg(feature = "test-util")]
            clock_of_use: ClockOfUse::default(),
        }
    }

    /// The moment in the clock's own terms. `None` if the clock cannot represent it, and for a
    /// shared limit, because the store wakes the waiters.
    pub(super) fn instant(&self, clock: Clock, moment: Nanos) -> Option<Instant> {
        if self.store().is_some() { None } else { self.epoch.instant(clock, moment) }
    }

    #[cfg(feature = "metrics")]
    pub(super) fn is_shared(&self) -> bool {
        self.store().is_some()
    }

    /// The store of a shared limit; `None` for a limit of this process alone.
    fn store(&self) -> Option<&Store> {
        if let Lane::Shared(store) = &self.lane { Some(store) } else { None }
    }

    /// Locks the state and updates its clock, which is read under the lock so that it never goes
    /// backwards.
    #[inline(always)]
    #[allow(clippy::inline_always)] // the call costs a tenth of a permit
    fn enter(&self, clock: Clock) -> Locked<'_> {
        #[cfg(feature = "test-util")]
        self.note_clock(clock);
        let mut state = lock_spinning(&self.state);
        let now = match &self.lane {
            Lane::Plain => self.epoch.now(clock),
            lane => self.now_beside(lane, clock, &mut state),
        };
        state.now = state.now.max(now);
        Locked { state, lane: &self.lane }
    }

    /// The rest of [`enter`](Self::enter) for a limiter that is not plain. Returns the time.
    #[inline(never)]
    fn now_beside(&self, lane: &Lane, clock: Clock, state: &mut State) -> Nanos {
        match lane {
            Lane::Plain => {}
            Lane::Fast(fast_path) => fast_path.shut(&mut state.quota),
            Lane::Shared(store) => return state.follow_store(store),
        }
        self.epoch.now(clock)
    }

    /// Locks the state without a look at the clock.
    #[inline]
    fn locked(&self) -> Locked<'_> {
        let mut state = lock_spinning(&self.state);
        if let Lane::Fast(fast_path) = &self.lane {
            fast_path.shut(&mut state.quota);
        }
        Locked { state, lane: &self.lane }
    }

    /// Admits a call without the lock, and returns the moment.
    #[inline(always)]
    #[allow(clippy::inline_always)] // out of line, as LLVM may place it, it takes 40 instructions more
    fn try_fast_path(&self, clock: Clock, permits: &Permits) -> Option<Nanos> {
        let Lane::Fast(fast_path) = &self.lane else { return None };
        #[cfg(feature = "test-util")]
        self.note_clock(clock);
        fast_path.try_take(&self.epoch, clock, permits)
    }

    /// Locks the state, and removes expired stamps.
    fn enter_and_expire(&self, clock: Clock) -> Locked<'_> {
        let mut state = self.enter(clock);
        state.expire();
        state
    }

    /// Runs `act` under the lock, and then wakes the waiter that it names.
    pub(super) fn with_state<T>(&self, clock: Clock, act: impl FnOnce(&mut State, &mut Aftermath) -> T) -> T {
        self.run_then_wake(self.enter(clock), act)
    }

    #[inline(never)]
    fn run_then_wake<T>(&self, mut state: Locked<'_>, act: impl FnOnce(&mut State, &mut Aftermath) -> T) -> T {
        let mut after = Aftermath::default();
        state.expire();
        let result = act(&mut state, &mut after);
        let turn = state.plan_turn();
        drop(state);
        if let Some(waker) = after.wake {
            waker.wake();
        }
        after.refused.into_iter().for_each(Waker::wake);
        if let (Some(store), Some(turn)) = (self.store(), turn) {
            store.want(turn);
        }
        result
    }

    /// Admits, refuses or queues a call at its first poll.
    #[inline]
    pub(super) fn admit_or_queue(&self, clock: Clock, request: &Request, waker: &Waker) -> Admission {
        if let Some(at) = self.try_fast_path(clock, &request.permits) {
            return Admission::Done(Ok(at));
        }
        let mut state = self.enter(clock);
        if state.try_admit_now(&request.permits) {
            return Admission::Done(Ok(state.now));
        }
        self.run_then_wake(state, |state, after| state.admit_or_queue(request, clock, waker, after))
    }

    pub(super) fn recheck(&self, clock: Clock, call: &QueuedCall, request: &Request, waker: &Waker) -> Admission {
        self.with_state(clock, |state, after| {
            if state.is_closed {
                state.refuse_for_good(request)
            } else {
                state.recheck(call, request.can_fail, waker, after)
            }
        })
    }

    /// Notes the virtual clock of this thread for
    /// [`refuse_a_foreign_wait`](Self::refuse_a_foreign_wait).
    #[cfg(feature = "test-util")]
    fn note_clock(&self, clock: Clock) {
        if matches!(clock, Clock::Thread) {
            self.clock_of_use.note();
        }
    }

    /// Panics if this thread would wait in real time for threads of a virtual clock.
    #[cfg(feature = "test-util")]
    #[track_caller]
    pub(super) fn refuse_a_foreign_wait(&self) {
        self.clock_of_use.refuse_a_foreign_wait();
    }

    pub(super) fn leave(&self, clock: Clock, call: &QueuedCall) {
        self.with_state(clock, |state, after| state.leave(call, after));
    }

    #[inline]
    pub(super) fn try_take(&self, permits: Permits) -> Result<(), Error> {
        let clock = Clock::current();
        if self.try_fast_path(clock, &permits).is_some() {
            return Ok(());
        }
        let mut state = self.enter(clock);
        if state.try_admit_now(&permits) {
            return Ok(());
        }
        self.run_then_wake(state, |state, after| state.try_take(permits, after))
    }

    pub(super) fn charge(&self, permits: Permits) -> Result<(), Error> {
        self.with_state(Clock::current(), |state, _| {
            let counts = permits.for_windows(state.quota.windows())?;
            state.charge(counts);
            Ok(())
        })
    }

    pub(super) fn refund(&self, permits: Permits) -> Result<(), Error> {
        self.with_state(Clock::current(), |state, after| {
            let counts = permits.for_windows(state.quota.windows())?;
            let given = state.quota.refund(state.now, counts);
            state.given_back(&given, after);
            Ok(())
        })
    }

    /// Replaces the permits that were reserved at the moment `at` by the permits that were used.
    pub(super) fn settle(&self, clock: Clock, at: Nanos, reserved: &Permits, used: &Permits) -> Result<(), Error> {
        self.with_state(clock, |state, after| {
            let windows = state.quota.windows();
            let (reserved, used) = (reserved.for_windows(windows)?, used.for_windows(windows)?);
            state.charge(&excess(used, reserved));
            let given = state.quota.refund_at(state.now, at, &excess(reserved, used));
            state.given_back(&given, after);
            Ok(())
        })
    }

    pub(super) fn pause_for(&self, pause: Duration) {
        self.with_state(Clock::current(), |state, _| {
            let pause = nanos(pause.min(state.bounds.longest_pause));
            let until = state.now.saturating_add(pause);
            if let Some(purse) = state.quota.purse_mut().filter(|_| pause > 0 && until > state.paused_until) {
                purse.tell_pause(until);
            }
            state.paused_until = state.paused_until.max(until);
            state.update_fast_path();
            state.disturb();
        });
    }

    /// The rest of a pause; zero without one.
    pub(super) fn pause_left(&self) -> Duration {
        let state = self.enter(Clock::current());
        Duration::from_nanos(state.paused_until.saturating_sub(state.now))
    }

    /// Wakes all waiters, because each would recheck only after the pause. Waiters are due no later
    /// than with the pause, so computed due times still hold.
    pub(super) fn resume(&self) {
        let wakers = self.with_state(Clock::current(), |state, _| {
            if state.paused_until <= state.now {
                return Vec::new();
            }
            state.paused_until = state.now;
            state.update_fast_path();
            if let Some(purse) = state.quota.purse_mut() {
                purse.tell_pause(0);
            }
            state.queue.iter().map(|waiter| waiter.waker.clone()).collect()
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns the wakers of all waiters, to be woken outside of all locks.
    pub(super) fn close(&self) -> impl Iterator<Item = Waker> {
        let mut state = self.locked();
        state.is_closed = true;
        state.update_fast_path();
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

    /// Changes all settings. The quota is refused if it has another kind.
    pub(super) fn reload(&self, quota: &Quota, bounds: Bounds) -> Result<(), ConfigError> {
        self.change(|state| {
            state.quota.reload(state.now, quota)?;
            state.bounds = bounds;
            let undecided = Own::Undecided;
            state.own =
                OwnSettings { limits: undecided, burst: undecided, max_waiting: undecided, longest_pause: undecided };
            Ok(())
        })
    }

    /// Changes the quota, and wakes the head, which may be due at another time now.
    fn change(&self, change: impl FnOnce(&mut State) -> Result<(), ConfigError>) -> Result<(), ConfigError> {
        self.with_state(Clock::current(), |state, after| {
            change(state)?;
            if let Some(head) = state.quota_changed() {
                after.wake(head);
            }
            Ok(())
        })
    }

    /// Adopts a change of the settings of all keys, apart from the key's own settings. Returns a
    /// waker to wake outside of all locks.
    pub(super) fn follow(&self, old: &Settings, new: &Settings, is_reload: bool) -> Option<Waker> {
        let mut state = self.enter_and_expire(Clock::current());
        state.decide_own(old);
        let State { quota, bounds, own, now, .. } = &mut *state;
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
        // Neither can fail, because the quota of all keys has accepted both.
        let _ = match limits {
            Some(limits) if is_reload => quota.reload_limits(*now, &limits),
            Some(limits) => quota.set_limits(&limits),
            None => Ok(()),
        };
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

    /// Wakes no waiter, because the bound only applies when a call comes.
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
        let state = self.enter_and_expire(Clock::current());
        let admits = !state.is_closed && state.paused_until <= state.now;
        let available = |window| if admits { state.quota.available(state.now, window) } else { 0 };
        (0..state.quota.windows()).map(available).collect()
    }

    pub(super) fn waiting(&self) -> usize {
        lock(&self.state).queue.len()
    }

    pub(super) fn stats(&self) -> RateLimiterStats {
        let state = lock(&self.state);
        let shared = state.quota.purse().map(Purse::counts).unwrap_or_default();
        state.stats.and(RateLimiterStats {
            admitted: if let Lane::Fast(fast_path) = &self.lane { fast_path.admitted() } else { 0 },
            waiting: state.queue.len(),
            asks: shared.asks,
            lapsed: shared.lapsed,
            admitted_alone: shared.admitted_alone,
            is_up: self.store().is_none_or(Store::is_up),
            ..RateLimiterStats::default()
        })
    }

    /// The time until the limiter is idle with all permits free; `None` while calls wait, if it has
    /// settings of its own, and if it was closed by itself.
    pub(super) fn idle_in(&self, common: &Settings) -> Option<Nanos> {
        let mut state = self.enter(Clock::current());
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
    fn expire(&mut self) {
        self.quota.expire(self.now);
    }

    fn decide_own(&mut self, common: &Settings) {
        let Self { own, quota, bounds, .. } = self;
        own.limits.decide(|| quota.limits() != common.quota.limits());
        own.burst.decide(|| quota.burst() != common.quota.burst());
        own.max_waiting.decide(|| bounds.max_waiting != common.bounds.max_waiting);
        own.longest_pause.decide(|| bounds.longest_pause != common.bounds.longest_pause);
    }

    /// Returns the waker of the head, which may be due at another time now.
    fn quota_changed(&mut self) -> Option<Waker> {
        self.update_fast_path();
        self.disturb();
        self.expire();
        self.queue.head().map(|head| head.waker.clone())
    }

    pub(super) fn update_fast_path(&mut self) {
        let is_slow_path_only = self.is_closed || self.quota.keeps_expired();
        self.fast_path_from = if is_slow_path_only { Nanos::MAX } else { self.paused_until };
    }

    /// Converts a past moment of the clock.
    fn moment(&self, clock: Clock, past: Instant) -> Nanos {
        self.now.saturating_sub(nanos(clock.now().saturating_duration_since(past)))
    }

    pub(super) fn disturb(&mut self) {
        self.undisturbed_since = self.now.saturating_add(1);
    }

    /// Out of line, for the calls to an exact limiter.
    #[inline(never)]
    fn open(&self, fast_path: &FastPath) {
        if self.admits_at_once() {
            fast_path.open(&self.quota);
        }
    }

    /// Returns `true` if only the quota decides on a call that comes now.
    #[inline]
    fn admits_at_once(&self) -> bool {
        self.queue.is_empty() && self.fast_path_from <= self.now
    }

    /// Admits a call if no call waits and the permits are free, in a single pass.
    #[inline(always)]
    #[allow(clippy::inline_always)] // as `try_fast_path`
    fn try_admit_now(&mut self, permits: &Permits) -> bool {
        let taken = self.admits_at_once() && self.quota.try_take(self.now, permits);
        self.stats.admitted += u64::from(taken);
        taken
    }

    /// [`try_admit_now`](Self::try_admit_now) for the slow path, where a window may keep expired
    /// stamps.
    fn try_admit(&mut self, counts: &Counts) -> bool {
        let taken = self.queue.is_empty() && self.due_after(&Sums::default(), counts) <= self.now;
        if taken {
            self.quota.take(self.now, self.now, counts);
            self.stats.admitted += 1;
        }
        taken
    }

    /// The earliest moment from which a pacer may count the permits of a late waiter.
    fn catch_up_since(&self) -> Nanos {
        self.now.saturating_sub(CATCH_UP).max(self.paused_until)
    }

    /// The earliest moment at which a call could be admitted after calls that want `ahead`.
    pub(super) fn due_after(&self, ahead: &Sums, counts: &Counts) -> Nanos {
        let start = self.now.max(self.paused_until);
        self.quota.due_after(start, self.catch_up_since(), ahead, counts).max(self.paused_until)
    }

    /// The earliest moment at which a call that comes now could be admitted, after all waiters.
    fn due_at_the_end(&self, counts: &Counts) -> Nanos {
        self.due_after(self.queue.wanted(), counts)
    }

    /// [`due_at_the_end`](Self::due_at_the_end), without the waiters of the front that would be
    /// refused.
    fn due_behind(&self, front: &Front, counts: &Counts) -> Nanos {
        self.due_after(&self.queue.wanted().minus(&front.refused), counts)
    }

    /// The verdict on a call after calls that take `ahead`.
    fn verdict(&self, ahead: &Sums, demand: &Demand) -> Verdict {
        if self.quota.is_too_much(&demand.counts) {
            return Verdict::TooMuch;
        }
        match self.due_after(ahead, &demand.counts) {
            due if due <= self.now => Verdict::Due,
            due if self.is_answered_by_store() => Verdict::NotYet { due },
            due if self.now >= demand.latest && due > self.latest_by_timers(demand) => Verdict::TooLate,
            due => Verdict::NotYet { due },
        }
    }

    /// The last moment at which the call may be admitted, if timers alone have delayed it.
    fn latest_by_timers(&self, demand: &Demand) -> Nanos {
        let is_undisturbed = demand.since >= self.undisturbed_since;
        demand.latest.saturating_add(if is_undisturbed { demand.lateness } else { 0 })
    }

    /// The delay that late timers may cause for a new call. 0 if its due time is only estimated,
    /// because heavy calls before it may delay the call as well.
    fn lateness(&self, counts: &Counts, due: Nanos) -> Nanos {
        let single_permits = self.queue.has_single_permits_only() && counts.iter().all(|count| *count <= 1);
        if self.quota.due_is_exact(single_permits) {
            self.quota.max_timer_lateness(due.saturating_sub(self.now), nanos(TIMER_RESOLUTION))
        } else {
            0
        }
    }

    /// The front of these waiters, which begin with the head. Takes time in proportion to the
    /// waiters that are ready to leave.
    pub(super) fn front<'q>(&self, waiters: impl Iterator<Item = &'q Waiter>) -> Front {
        let mut front = Front::default();
        for waiter in waiters {
            let counts = &waiter.demand.counts;
            let verdict =
                if waiter.refused.is_some() { Verdict::TooLate } else { self.verdict(&front.taken, &waiter.demand) };
            match verdict {
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

    /// Returns `true` if a call behind this front can be admitted now, with permits left for all
    /// calls of the front.
    pub(super) fn leaves_room(&self, front: &Front, counts: &Counts) -> bool {
        !front.is_blocked
            && self.paused_until <= self.now
            && self.quota.leaves_room(self.now, self.catch_up_since(), &front.taken, counts)
    }

    pub(super) fn take(&mut self, counts: &Counts) {
        self.quota.take(self.now, self.catch_up_since(), counts);
        self.stats.admitted += 1;
    }

    /// Takes permits now, even if that overdraws a window. Computed due times no longer hold.
    fn charge(&mut self, counts: &Counts) {
        if *counts == Counts::default() {
            return;
        }
        self.quota.charge(self.now, counts);
        add_up(&mut self.stats.charged, counts, self.quota.windows());
        self.disturb();
    }

    /// Counts permits that the quota has given back, and wakes the head if it is due earlier. The
    /// head is woken even if the count is 0, because a pacer may have given back a part of a
    /// permit.
    fn given_back(&mut self, counts: &Counts, after: &mut Aftermath) {
        add_up(&mut self.stats.refunded, counts, self.quota.windows());
        self.wake_head(after);
    }

    pub(super) fn refuse(&mut self, error: Error) -> Result<(), Error> {
        self.stats.refused += 1;
        Err(error)
    }

    /// Ends a call to a closed limiter.
    fn refuse_for_good(&mut self, request: &Request) -> Admission {
        self.stats.refused += 1;
        if request.can_fail { Admission::Done(Err(CLOSED)) } else { Admission::Stuck }
    }

    fn admit_or_queue(&mut self, request: &Request, clock: Clock, waker: &Waker, after: &mut Aftermath) -> Admission {
        if self.is_closed {
            return self.refuse_for_good(request);
        }
        let counts = match self.quota.check(&request.permits) {
            Ok(counts) => *counts,
            Err(error) => return Admission::Done(Err(error)),
        };
        self.wake_or_skip_head(after);
        // All waiters may have been skipped just now.
        if self.try_admit(&counts) {
            return Admission::Done(Ok(self.now));
        }
        if let Some(down) = self.error_while_down(request.can_fail, &counts) {
            return Admission::Done(self.refuse(down).map(|()| self.now));
        }
        let latest = request.max_wait.map_or(Nanos::MAX, |wait| self.now.saturating_add(nanos(wait)));
        let came = keeps_place_since().map(|came| self.moment(clock, came));
        let ahead = came.and_then(|came| self.queue.wanted_before_again(came)).unwrap_or(*self.queue.wanted());
        let due = self.due_after(&ahead, &counts);
        // A wait beyond the deadline would be cut off, and its place in the queue be taken in vain.
        let left = if request.can_fail { deadline::longest_wait() } else { None };
        let cut_off = left.map_or(Nanos::MAX, |left| self.now.saturating_add(nanos(left)));
        let can_fail = request.can_fail;
        let is_full = can_fail && self.bounds.max_waiting.is_some_and(|most| self.queue.len() >= most);
        let manner = Manner { can_fail, is_full };
        let demand = if self.is_answered_by_store() {
            // A call behind a full queue is due at once or not at all, which the store says.
            let latest = if is_full { self.now } else { latest.min(cut_off) };
            let demand = Demand { counts, since: self.now, latest, lateness: 0 };
            if let Some(result) = self.decide_by_held(&demand, manner, due) {
                return Admission::Done(result.map(|()| self.now));
            }
            demand
        } else {
            if let Some(result) = self.decide_at_once(can_fail, &counts, due, latest.min(cut_off)) {
                return Admission::Done(result.map(|()| self.now));
            }
            let lateness = if latest == Nanos::MAX { 0 } else { self.lateness(&counts, due) };
            Demand { counts, since: self.now, latest, lateness }
        };
        let ticket = match came {
            None => self.queue.join(waker, demand),
            Some(came) => {
                // Due times that were computed at this very moment still count as valid, although
                // this call may stand before them. The only effect is more tolerance for late
                // timers.
                self.undisturbed_since = self.undisturbed_since.max(self.now);
                self.queue.join_again(waker, demand, came)
            }
        };
        let call = QueuedCall { ticket, demand };
        if self.quota.purse().is_some() {
            self.joined_to_ask(&call, manner);
            return Admission::Queued(call, Nanos::MAX);
        }
        let recheck_at = self.set_recheck(&call, self.next_check(&call));
        Admission::Queued(call, recheck_at)
    }

    /// Admits or refuses a new call that may not wait until it is `due`; `None` if it may.
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
        // Waiters of the front do not count as waiting, whether or not they have been polled since.
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

    fn recheck(&mut self, call: &QueuedCall, can_fail: bool, waker: &Waker, after: &mut Aftermath) -> Admission {
        let QueuedCall { ticket, demand } = call;
        if self.queue.check_in(ticket, demand, waker, &mut after.stale) {
            self.disturb();
        }
        if !self.queue.is_head(ticket) {
            self.wake_or_skip_head(after);
        }
        let is_head = self.queue.is_head(ticket);
        if let Some(error) = self.refusal_of_store(call, can_fail, is_head) {
            self.remove(ticket, after);
            return Admission::Done(self.refuse(error).map(|()| self.now));
        }
        // Before its longest wait has passed, a waiter is only admitted as the head.
        if !is_head && (self.now < demand.latest || self.is_answered_by_store()) {
            return self.wait(call, self.next_check(call));
        }
        let front = self.front(self.queue.before(ticket));
        let ahead = if front.is_blocked { self.queue.wanted_before(ticket) } else { front.taken };
        let refusal = match self.verdict(&ahead, demand) {
            Verdict::Due if is_head || self.leaves_room(&front, &demand.counts) => {
                self.take(&demand.counts);
                self.stats.delayed += 1;
                self.stats.total_wait += Duration::from_nanos(self.now - demand.since);
                self.remove(ticket, after);
                return Admission::Done(Ok(self.now));
            }
            // The waiters before it have been woken, and need the permits that it would take.
            Verdict::Due if self.now < demand.latest.saturating_add(nanos(TIMER_RESOLUTION)) => {
                return self.wait(call, demand.latest.saturating_add(nanos(TIMER_RESOLUTION)));
            }
            Verdict::NotYet { due } => return self.wait(call, due),
            Verdict::TooMuch if !front.is_blocked => self.quota.check_counts(&demand.counts),
            Verdict::TooMuch | Verdict::Due | Verdict::TooLate => Ok(()),
        };
        self.remove(ticket, after);
        let refusal = refusal.err().unwrap_or_else(|| self.rate_limited(self.due_at_the_end(&demand.counts)));
        Admission::Done(self.refuse(refusal).map(|()| self.now))
    }

    fn wait(&mut self, call: &QueuedCall, until: Nanos) -> Admission {
        Admission::Wait(self.set_recheck(call, until))
    }

    /// Notes when the waiter rechecks: at this moment, or earlier if its longest wait ends earlier.
    fn set_recheck(&mut self, call: &QueuedCall, moment: Nanos) -> Nanos {
        if self.quota.purse().is_some() {
            return Nanos::MAX;
        }
        let latest = call.demand.latest;
        let recheck_at = if self.now < latest { moment.min(latest) } else { moment };
        if let Some(waiter) = self.queue.get_mut(&call.ticket) {
            waiter.recheck_at = recheck_at;
        }
        recheck_at
    }

    /// The moment at which a waiter should recheck. For the head, when it is due. For others, when
    /// they should have been due, plus slack for late timers. The slack only matters if a waiter
    /// ahead is never polled, because otherwise the waiter is woken earlier.
    fn next_check(&self, call: &QueuedCall) -> Nanos {
        let QueuedCall { ticket, demand } = call;
        if self.quota.purse().is_some() {
            return Nanos::MAX;
        }
        if self.queue.is_head(ticket) {
            return self.due_after(&Sums::default(), &demand.counts);
        }
        if self.queue.head().is_some_and(|head| head.woken_at.is_some()) {
            // If all waiters of a long queue rechecked at once, the head would be polled after all
            // of them.
            let rounds = 1 + self.queue.places_before(ticket) / MAX_CONCURRENT_CHECKS;
            return self.now.saturating_add(HEAD_GRACE.saturating_mul(rounds));
        }
        let due = self.due_after(&self.queue.wanted_before_at_most(ticket), &demand.counts);
        let lateness = self.quota.max_timer_lateness(due.saturating_sub(self.now), nanos(TIMER_RESOLUTION));
        due.saturating_add(lateness).max(self.now.saturating_add(HEAD_GRACE))
    }

    /// The moment at which the head is admitted or refused: 0 if a lowered limit refuses it.
    fn head_due(&self) -> Option<Nanos> {
        let head = self.queue.head()?;
        let counts = &head.demand.counts;
        let is_refused = head.refused.is_some() || self.quota.is_too_much(counts);
        Some(if is_refused { 0 } else { self.due_after(&Sums::default(), counts) })
    }

    /// The moment at which the head has to be woken or skipped; `Nanos::MAX` if it is not known.
    ///
    /// A head that was woken is skipped only while it is due. If its permits have lapsed, it is
    /// looked at when it is due again.
    pub(super) fn head_wakes_at(&self) -> Nanos {
        let (Some(due), Some(head)) = (self.head_due(), self.queue.head()) else { return Nanos::MAX };
        match head.woken_at {
            Some(woken_at) if due <= self.now => woken_at.saturating_add(HEAD_GRACE),
            _ => due,
        }
    }

    /// Wakes the head if it is due. Skips the head if it was woken and has not been polled for
    /// [`HEAD_GRACE`].
    pub(super) fn wake_or_skip_head(&mut self, after: &mut Aftermath) {
        let mut silent_since = None;
        while self.head_due().is_some_and(|due| due <= self.now) {
            let now = self.now;
            let Some(head) = self.queue.head_mut() else { break };
            // If a waiter's own recheck was due when the previous head was woken, the waiter has
            // been silent for at least as long.
            match head.woken_at.or(silent_since.filter(|since| head.recheck_at <= *since)) {
                None => {
                    head.woken_at = Some(now);
                    after.wake(head.waker.clone());
                    return;
                }
                Some(since) if now < since.saturating_add(HEAD_GRACE) => break,
                Some(since) => {
                    silent_since = Some(since);
                    self.queue.skip_head(&mut after.stale);
                    self.stats.skipped += 1;
                }
            }
        }
        if silent_since.is_some() {
            self.wake_head(after);
        }
    }

    /// Wakes the head, unless its own recheck comes in time. Called when the head or its due time
    /// may have changed.
    fn wake_head(&mut self, after: &mut Aftermath) {
        let (Some(due), now) = (self.head_due(), self.now) else { return };
        let is_woken_by_store = due > now && self.quota.purse().is_some();
        let Some(head) = self.queue.head_mut() else { return };
        if head.recheck_at <= due || is_woken_by_store {
            return;
        }
        if due <= now {
            head.woken_at = Some(now);
        }
        after.wake(head.waker.clone());
    }

    fn leave(&mut self, call: &QueuedCall, after: &mut Aftermath) {
        self.stats.cancelled += 1;
        self.remove(&call.ticket, after);
    }

    fn remove(&mut self, ticket: &Ticket, after: &mut Aftermath) {
        let was_first = self.queue.is_head(ticket);
        self.queue.leave(ticket, &mut after.stale);
        if was_first {
            self.wake_head(after);
        }
    }

    fn try_take(&mut self, permits: Permits, after: &mut Aftermath) -> Result<(), Error> {
        if self.is_closed {
            return self.refuse(CLOSED);
        }
        let counts = self.quota.check(&permits)?;
        self.wake_or_skip_head(after);
        if self.try_admit(counts) {
            return Ok(());
        }
        let front = self.front(self.queue.iter());
        if self.leaves_room(&front, counts) {
            self.take(counts);
            return Ok(());
        }
        if let Some(down) = self.error_while_down(true, counts) {
            return self.refuse(down);
        }
        if let Some(purse) = self.quota.purse_mut() {
            purse.wish(counts);
        }
        self.refuse(self.rate_limited(self.due_behind(&front, counts)))
    }

    /// The error for a call that would be due at this moment.
    pub(super) fn rate_limited(&self, due: Nanos) -> Error {
        let due = self.quota.purse().map_or(due, |purse| purse.known_due(self.now, due));
        let wait = due.saturating_sub(self.now);
        // The due waiters before the call have been woken, and will have left by then.
        let wait = if wait == 0 { nanos(TIMER_RESOLUTION) } else { wait };
        Error::RateLimited { retry_after: Duration::from_nanos(wait) }
    }
}
