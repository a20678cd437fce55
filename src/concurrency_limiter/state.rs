//! The state of a concurrency limiter behind its one lock, and the transitions when a call comes,
//! waits, is dropped or ends.
//!
//! Tasks and threads share one queue. Permits are *handed over*: the call that gives permits back
//! takes the first waiters that fit out of the queue and wakes them. A waiter finds out by its
//! place. All places before the first one of the queue were handed their permits, because waiters
//! leave the front in no other way than by permits, by a refusal that is written down, or by being
//! dropped. A waiter therefore needs no memory that it shares with the limiter.
//!
//! | state | event | action | next state |
//! |---|---|---|---|
//! | new | comes; no call waits, and its permits are free | takes its permits | admitted |
//! | new | comes; may wait, and the queue has room | joins at the end | waiting |
//! | new | comes; otherwise | | refused |
//! | waiting | is the first, and its permits become free | takes them; is woken | handed over |
//! | waiting | is the first, and the limit was lowered below its permits | is woken | refused |
//! | waiting | its longest wait ends | the next ones are checked | refused |
//! | waiting | dropped | the next ones are checked | gone |
//! | waiting | the limiter is closed | is woken | refused |
//! | handed over | polled, even after its longest wait has ended | | admitted |
//! | handed over | dropped | gives its permits back; the next ones are checked | gone |
//! | admitted | ends | gives its permits back; the next ones are checked | gone |
//!
//! Permits become free when a call ends, when the limit is raised, and when a heavier waiter before
//! is dropped.

use super::{stats::ConcurrencyStats, word::Word};
use crate::{
    ConfigError, Error, Name,
    keys::Own,
    policy::{Ended, Fit, Flow, Kind},
    ring::{Ring, Wakers},
    sync::{AtomicU64, Mutex, MutexGuard, Ordering, lock_spinning},
};
use std::{
    collections::BTreeSet,
    fmt,
    ops::{Deref, DerefMut},
    task::Waker,
};

/// The refusal of every call after [`Core::close`].
const CLOSED: Error = Error::Closed { what: "the concurrency limiter" };

#[derive(Debug)]
pub(crate) struct Core {
    word: Word,
    /// `None` without a name.
    name: Option<Name>,
    /// Number of decreases of an adaptive limit. The same as in the state, for calls that begin.
    shrinks: AtomicU64,
    is_adaptive: bool,
    state: Mutex<State>,
}

/// The state under its lock. Its holder owns the permits of the [`Word`].
struct Locked<'a> {
    state: MutexGuard<'a, State>,
    word: &'a Word,
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if let Some(free) = self.state.free_without_lock() {
            self.word.open(free);
        }
    }
}

#[derive(Debug)]
struct State {
    flow: Flow,
    queue: Ring<Waiter>,
    waiting: usize,
    /// Places of waiters that were refused because the limit was lowered, and have not been polled
    /// since.
    refused: BTreeSet<i64>,
    /// Number of calls that came so far: those that were admitted at once, and those that waited.
    came: u64,
    /// Maximum number of waiting calls. Further calls that can fail are refused. `None` never
    /// refuses.
    max_waiting: Option<usize>,
    /// Never becomes `false` again.
    is_closed: bool,
    stats: ConcurrencyStats,
    own: OwnSettings,
}

/// The settings that the limiters of all keys share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) kind: Kind,
    pub(super) max_waiting: Option<usize>,
}

/// Says which settings of one key differ from those of all keys, and so do not follow them.
#[derive(Debug, Default)]
struct OwnSettings {
    /// `No` for an adaptive limit, because it moves by itself.
    limit: Own,
    max_waiting: Own,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    permits: u32,
    /// See [`State::came`].
    number: u64,
}

/// A waiter's place in the queue. Kept by the waiter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    place: i64,
    number: u64,
}

/// The choice of a call that has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfBusy {
    /// Waits, however many calls are waiting.
    Wait,
    /// Waits if the queue has room.
    WaitIfRoom,
    Fail,
}

/// The answer to a call.
#[derive(Debug)]
pub(super) enum Answer {
    /// The call has its permits. The number identifies the call.
    Admitted(u64),
    /// The call has joined the queue.
    Queued(Ticket),
    Refused(Error),
}

/// The answer to a waiter that is polled.
#[derive(Debug)]
pub(super) enum Turn {
    Admitted(u64),
    NotYet,
    Refused(Error),
}

/// Work that is left for after the lock is released.
#[derive(Debug, Default)]
struct Aftermath {
    wake: Wakers,
    stale: Wakers,
}

impl Core {
    pub(super) fn new(kind: Kind, max_waiting: Option<usize>, name: Option<Name>) -> Self {
        let flow = kind.flow();
        let is_adaptive = flow.is_adaptive();
        let state = State {
            flow,
            queue: Ring::default(),
            waiting: 0,
            refused: BTreeSet::new(),
            came: 0,
            max_waiting,
            is_closed: false,
            stats: ConcurrencyStats::default(),
            own: OwnSettings::default(),
        };
        let word = Word::shut();
        if let Some(free) = state.free_without_lock() {
            word.open(free);
        }
        Self { word, name, shrinks: AtomicU64::new(0), is_adaptive, state: Mutex::new(state) }
    }

    fn enter(&self) -> Locked<'_> {
        let mut state = lock_spinning(&self.state);
        if let Some((free, calls)) = self.word.shut_down() {
            let limit = state.flow.limit();
            state.flow.set_in_use(limit - free);
            state.stats.admitted += u64::from(calls);
        }
        Locked { state, word: &self.word }
    }

    /// Runs `act` under the lock, and then wakes the waiters that it names.
    #[inline(never)]
    fn with_state<T>(&self, act: impl FnOnce(&mut State, &mut Aftermath) -> T) -> T {
        let mut after = Aftermath::default();
        let mut state = self.enter();
        let result = act(&mut state, &mut after);
        drop(state);
        after.wake.wake();
        result
    }

    /// Admits, refuses or queues a call at its first poll.
    #[inline]
    pub(super) fn admit_or_queue(&self, permits: u32, if_busy: IfBusy, waker: &Waker) -> Answer {
        if self.word.try_take(permits) {
            return Answer::Admitted(0);
        }
        self.with_state(|state, _| state.admit_or_queue(permits, if_busy, waker, self.name()))
    }

    /// Polls a waiter. `is_late` says that its longest wait has ended.
    pub(super) fn recheck(&self, ticket: Ticket, permits: u32, is_late: bool, waker: &Waker) -> Turn {
        self.with_state(|state, after| state.recheck(ticket, permits, is_late, waker, after, self.name()))
    }

    /// Drops a waiter.
    pub(super) fn leave(&self, ticket: Ticket, permits: u32) {
        self.with_state(|state, after| state.leave(ticket, permits, after));
    }

    /// Ends a call, and gives its permits back.
    #[inline]
    pub(super) fn end(&self, permits: u32, number: u64, ended: impl FnOnce() -> Ended) {
        if !self.word.try_give_back(permits) {
            self.with_state(|state, after| state.end(permits, number, ended(), after));
        }
    }

    pub(super) fn signal(&self) {
        self.shrink(Flow::signal);
    }

    pub(super) fn signal_of(&self, number: u64) {
        self.shrink(|flow| flow.signal_of(number));
    }

    pub(super) fn signal_since(&self, shrinks: u64) {
        self.shrink(|flow| flow.signal_since(shrinks));
    }

    fn shrink(&self, signal: impl FnOnce(&mut Flow) -> bool) {
        if !self.is_adaptive {
            return;
        }
        let mut state = self.enter();
        if signal(&mut state.flow) {
            state.stats.shrunk += 1;
            self.shrinks.store(state.flow.shrinks(), Ordering::Relaxed);
        }
    }

    /// Number of decreases so far, for [`signal_since`](Self::signal_since).
    pub(super) fn shrinks(&self) -> u64 {
        if self.is_adaptive { self.shrinks.load(Ordering::Relaxed) } else { 0 }
    }

    pub(super) fn set_limit(&self, limit: u32) -> Result<(), ConfigError> {
        self.with_state(|state, after| {
            state.flow.set_limit(limit)?;
            state.own.limit = Own::Undecided;
            state.hand_over(after);
            Ok(())
        })
    }

    /// Changes all settings. The limit is refused if it has another kind.
    pub(super) fn reload(&self, new: Settings) -> Result<(), ConfigError> {
        self.with_state(|state, after| {
            state.flow.reload(new.kind)?;
            state.max_waiting = new.max_waiting;
            state.own = OwnSettings { limit: Own::Undecided, max_waiting: Own::Undecided };
            state.hand_over(after);
            Ok(())
        })
    }

    /// Adopts a change of the settings of all keys, apart from the key's own settings. Returns the
    /// wakers to wake outside of all locks.
    pub(super) fn follow(&self, old: &Settings, new: &Settings) -> Wakers {
        let mut after = Aftermath::default();
        let mut state = self.enter();
        let State { flow, max_waiting, own, .. } = &mut *state;
        own.limit.decide(|| !flow.is_adaptive() && flow.limit() != old.kind.start());
        own.max_waiting.decide(|| *max_waiting != old.max_waiting);
        if own.max_waiting == Own::No {
            *max_waiting = new.max_waiting;
        }
        if own.limit == Own::No {
            // Cannot fail, because the kind of all keys is the same.
            let _ = flow.reload(new.kind);
        }
        state.hand_over(&mut after);
        drop(state);
        after.wake
    }

    pub(super) fn limit(&self) -> u32 {
        self.enter().flow.limit()
    }

    /// Smallest and largest limit; `None` for a fixed limit.
    pub(super) fn range(&self) -> Option<(u32, u32)> {
        self.enter().flow.range()
    }

    pub(super) fn in_use(&self) -> u32 {
        self.enter().flow.in_use()
    }

    pub(super) fn available(&self) -> u32 {
        let state = self.enter();
        if state.is_closed { 0 } else { state.flow.available() }
    }

    pub(super) fn waiting(&self) -> usize {
        self.enter().waiting
    }

    pub(super) fn max_waiting(&self) -> Option<usize> {
        self.enter().max_waiting
    }

    /// Wakes no waiter, because the bound only applies when a call comes.
    pub(super) fn set_max_waiting(&self, waiting: Option<usize>) {
        let mut state = self.enter();
        state.max_waiting = waiting;
        state.own.max_waiting = Own::Undecided;
    }

    pub(super) fn stats(&self) -> ConcurrencyStats {
        let state = self.enter();
        let flow = &state.flow;
        ConcurrencyStats { waiting: state.waiting, in_use: flow.in_use(), limit: flow.limit(), ..state.stats }
    }

    /// Returns the wakers of all waiters, to be woken outside of all locks.
    pub(super) fn close(&self) -> impl Iterator<Item = Waker> {
        let mut state = self.enter();
        state.is_closed = true;
        state.waiting = 0;
        state.queue.take().into_waiters().map(|waiter| waiter.waker)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.enter().is_closed
    }

    pub(super) fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }
}

/// The name and the current limit: `8 at once`, or `users, 8 at once`.
impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}, ")?;
        }
        let state = self.enter();
        let (flow, is_closed) = (state.flow.clone(), state.is_closed);
        drop(state);
        flow.fmt(f)?;
        if is_closed { f.write_str(", closed") } else { Ok(()) }
    }
}

impl State {
    /// The permits that calls may take without the lock; `None` if each call needs the lock.
    fn free_without_lock(&self) -> Option<u32> {
        let needs_lock =
            self.waiting > 0 || self.is_closed || self.flow.is_adaptive() || self.flow.in_use() > self.flow.limit();
        (!needs_lock).then(|| self.flow.available())
    }

    fn refuse(&mut self, error: Error) -> Error {
        self.stats.refused += 1;
        error
    }

    fn busy(&mut self, name: Option<&Name>) -> Error {
        let name = name.cloned().unwrap_or_else(|| "the concurrency limiter".into());
        self.refuse(Error::ConcurrencyLimited { name, limit: self.flow.limit(), waiting: self.waiting })
    }

    fn admit_or_queue(&mut self, permits: u32, if_busy: IfBusy, waker: &Waker, name: Option<&Name>) -> Answer {
        if self.is_closed {
            return Answer::Refused(self.refuse(CLOSED));
        }
        let fit = self.flow.fit(permits);
        if fit == Fit::Never {
            return Answer::Refused(self.flow.too_much(permits));
        }
        if self.waiting == 0 && fit == Fit::Now {
            let number = self.next_number();
            self.flow.begin(permits, number);
            self.stats.admitted += 1;
            return Answer::Admitted(number);
        }
        self.flow.holds_back();
        let has_room = match if_busy {
            IfBusy::Wait => true,
            IfBusy::WaitIfRoom => self.max_waiting.is_none_or(|most| self.waiting < most),
            IfBusy::Fail => false,
        };
        if !has_room {
            return Answer::Refused(self.busy(name));
        }
        let number = self.next_number();
        let place = self.queue.push(Waiter { waker: waker.clone(), permits, number });
        self.waiting += 1;
        Answer::Queued(Ticket { place, number })
    }

    fn next_number(&mut self) -> u64 {
        self.came += 1;
        self.came
    }

    fn recheck(
        &mut self,
        ticket: Ticket,
        permits: u32,
        is_late: bool,
        waker: &Waker,
        after: &mut Aftermath,
        name: Option<&Name>,
    ) -> Turn {
        if let Some(waiter) = self.queue.get_mut(ticket.place) {
            if is_late {
                after.stale.add(self.pop(ticket.place).waker);
                let refusal = self.busy(name);
                self.hand_over(after);
                return Turn::Refused(refusal);
            }
            if !waiter.waker.will_wake(waker) {
                after.stale.add(std::mem::replace(&mut waiter.waker, waker.clone()));
            }
            return Turn::NotYet;
        }
        if self.refused.remove(&ticket.place) {
            let error = self.flow.too_much(permits);
            return Turn::Refused(self.refuse(error));
        }
        if self.was_handed_over(ticket) {
            self.stats.admitted += 1;
            self.stats.delayed += 1;
            return Turn::Admitted(ticket.number);
        }
        Turn::Refused(self.refuse(CLOSED))
    }

    /// Returns `true` if a waiter that has left the queue without being refused has left it with
    /// its permits. If not, the limiter was closed.
    fn was_handed_over(&self, ticket: Ticket) -> bool {
        ticket.place < self.queue.first()
    }

    fn leave(&mut self, ticket: Ticket, permits: u32, after: &mut Aftermath) {
        self.stats.cancelled += 1;
        if self.queue.get_mut(ticket.place).is_some() {
            after.stale.add(self.pop(ticket.place).waker);
            self.hand_over(after);
        } else if !self.refused.remove(&ticket.place) && self.was_handed_over(ticket) {
            self.end(permits, ticket.number, Ended::Otherwise, after);
        }
    }

    /// Takes a waiter out of the queue. If it was the first, those behind it may fit now.
    fn pop(&mut self, place: i64) -> Waiter {
        self.waiting -= 1;
        self.queue.leave(place, |_| (), |_, ()| ()).expect("the waiter is in the queue")
    }

    fn end(&mut self, permits: u32, number: u64, ended: Ended, after: &mut Aftermath) {
        let has_grown = self.flow.end(permits, number, ended);
        self.stats.grown += u64::from(has_grown);
        self.hand_over(after);
    }

    /// Gives free permits to the first waiters, in order, up to the first that does not fit.
    fn hand_over(&mut self, after: &mut Aftermath) {
        while let Some(first) = self.queue.front() {
            let (permits, number, place) = (first.permits, first.number, self.queue.first());
            match self.flow.fit(permits) {
                Fit::Now => self.flow.begin(permits, number),
                Fit::Later => return self.flow.holds_back(),
                Fit::Never => {
                    self.refused.insert(place);
                }
            }
            after.wake.add(self.pop(place).waker);
        }
    }
}
