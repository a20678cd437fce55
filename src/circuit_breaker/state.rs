//! The state of a breaker: a circuit behind a lock, and a word beside it.
//!
//! The word has the generation and the state of the circuit, and says if the window is clean. A
//! call of a closed circuit reads the word at its beginning. If the call succeeds and the window is
//! clean, the call reads the word once more, and takes no lock. Every other event takes the lock.
//! The holder of the lock writes the word before it releases the lock.
//!
//! A success that finds the window clean while another call fails counts as earlier than the
//! failure.

use super::{
    settings::{Identity, Settings},
    stats::{CircuitBreakerStats, Successes},
};
use crate::{
    CircuitState, ConfigError, Error,
    clock::{Clock, Epoch, Nanos, nanos},
    policy::{Change, Circuit, Delayed, Refused, Step, Ticket, Verdict},
    sync::{
        Arc, AtomicU64, Mutex, MutexGuard,
        Ordering::{Acquire, Release},
        lock_spinning,
    },
};
use std::{
    fmt,
    // Not from `crate::sync`, because a reload may come at any moment.
    sync::atomic::{AtomicU64 as SlowAfter, Ordering::Relaxed},
    time::Duration,
};

pub(crate) struct Core {
    word: AtomicU64,
    epoch: Epoch,
    /// Duration from which a call is a failure, of the settings; [`NEVER`] if no duration is one.
    slow_after: SlowAfter,
    identity: Arc<Identity>,
    successes: Successes,
    state: Mutex<State>,
}

struct State {
    circuit: Circuit,
    /// The counts without the successes.
    counts: CircuitBreakerStats,
    /// Moment until which the breaker of a key is worth its memory: see [`Core::kept_for`].
    kept_until: Nanos,
    settings: Arc<Settings>,
}

/// A duration that no call reaches.
const NEVER: Nanos = Nanos::MAX;

fn slow_after(settings: &Settings) -> Nanos {
    settings.slow_after.map_or(NEVER, nanos)
}

/// The state of a circuit in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    const CLOSED: u64 = 1;
    /// A success changes nothing. Only with `CLOSED`.
    const CLEAN: u64 = 2;
    const ISOLATED: u64 = 4;
    const FLAGS: u32 = 3;

    fn of(circuit: &Circuit) -> Self {
        let state = match circuit.state() {
            CircuitState::Closed => Self::CLOSED,
            CircuitState::Isolated => Self::ISOLATED,
            CircuitState::Open | CircuitState::HalfOpen => 0,
        };
        let clean = if circuit.is_clean() { Self::CLEAN } else { 0 };
        Self(circuit.generation() << Self::FLAGS | state | clean)
    }

    #[inline]
    fn is_closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }

    #[inline]
    fn ticket(self) -> Ticket {
        Ticket::of_closed(self.0 >> Self::FLAGS)
    }

    /// The word of a closed circuit with a clean window, in the ticket's generation.
    #[inline]
    fn clean(ticket: Ticket) -> Self {
        Self(ticket.generation << Self::FLAGS | Self::CLOSED | Self::CLEAN)
    }
}

/// The end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Succeeded,
    Failed,
    /// Neither, unless the call was slow.
    Ignored,
    /// Neither, because the function was not called.
    NotCalled,
}

/// The lock of a breaker. Writes the word when it is released.
struct Locked<'c> {
    core: &'c Core,
    state: MutexGuard<'c, State>,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let word = Word::of(&self.state.circuit);
        // A word that is read often is written only if it changes.
        if self.core.word.load(Acquire) != word.0 {
            self.core.word.store(word.0, Release);
        }
    }
}

impl Core {
    pub(super) fn new(settings: Settings, identity: Identity) -> Result<Self, ConfigError> {
        let (circuit, successes) = (settings.circuit()?, Successes::Striped(Box::default()));
        Ok(Self::with(Arc::new(settings), Arc::new(identity), circuit, Epoch::new(), successes))
    }

    /// The breaker of one of many keys.
    pub(super) fn of_key(settings: Arc<Settings>, identity: Arc<Identity>, circuit: Circuit, epoch: Epoch) -> Self {
        Self::with(settings, identity, circuit, epoch, Successes::Single(0.into()))
    }

    fn with(
        settings: Arc<Settings>,
        identity: Arc<Identity>,
        circuit: Circuit,
        epoch: Epoch,
        successes: Successes,
    ) -> Self {
        let (word, slow_after) = (AtomicU64::new(Word::of(&circuit).0), SlowAfter::new(slow_after(&settings)));
        let state = Mutex::new(State { circuit, counts: CircuitBreakerStats::default(), kept_until: 0, settings });
        Self { word, epoch, slow_after, identity, successes, state }
    }

    /// Takes over settings, and a circuit that was made of them. The state stays. Returns the
    /// change to report outside of all locks.
    pub(super) fn reload(&self, settings: &Arc<Settings>, circuit: &Circuit) -> Option<Change> {
        let mut locked = self.lock();
        self.slow_after.store(slow_after(settings), Relaxed);
        locked.state.settings = Arc::clone(settings);
        locked.state.circuit.reload(circuit)
    }

    #[inline]
    fn word(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    fn lock(&self) -> Locked<'_> {
        Locked { core: self, state: lock_spinning(&self.state) }
    }

    /// Lets a call through, or refuses it.
    #[inline]
    pub(crate) fn enter(&self, clock: Clock) -> Result<Ticket, Error> {
        let word = self.word();
        if word.is_closed() { Ok(word.ticket()) } else { self.enter_locked(clock) }
    }

    #[cold]
    #[inline(never)]
    fn enter_locked(&self, clock: Clock) -> Result<Ticket, Error> {
        let mut locked = self.lock();
        let now = self.epoch.now(clock);
        let change = locked.state.circuit.look(now);
        let entered = locked.state.circuit.enter(now);
        locked.state.counts.refused += u64::from(entered.is_err());
        let is_observing = locked.state.settings.is_observing;
        drop(locked);
        self.report(change);
        match entered {
            Err(_) if is_observing => Ok(Ticket::UNCOUNTED),
            entered => entered.map_err(|refused| self.refusal(refused)),
        }
    }

    /// Refuses a call if the circuit is open or isolated. Counts nothing.
    #[inline]
    pub(crate) fn pass(&self, clock: Clock) -> Result<(), Error> {
        if self.word().is_closed() { Ok(()) } else { self.pass_locked(clock) }
    }

    #[cold]
    #[inline(never)]
    fn pass_locked(&self, clock: Clock) -> Result<(), Error> {
        let (state, retry_after) = self.look(clock);
        match state {
            CircuitState::Open | CircuitState::Isolated if !self.settings().is_observing => {
                Err(self.refusal(Refused { retry_after }))
            }
            _ => Ok(()),
        }
    }

    fn refusal(&self, Refused { retry_after }: Refused) -> Error {
        Error::CircuitOpen { name: self.identity.name.clone(), retry_after }
    }

    /// The time from which the duration of a call counts; `None` if no duration is a failure.
    #[inline]
    pub(crate) fn begin(&self, clock: Clock) -> Option<Nanos> {
        self.counts_slow_calls().then(|| self.epoch.now(clock))
    }

    /// Ends a call that was let through.
    #[inline]
    pub(crate) fn end(&self, clock: Clock, ticket: Ticket, began: Option<Nanos>, ending: Ending) {
        if ending == Ending::Succeeded && began.is_none() && self.word() == Word::clean(ticket) {
            self.successes.count();
        } else {
            self.end_slowly(clock, ticket, began, ending);
        }
    }

    #[inline(never)]
    fn end_slowly(&self, clock: Clock, ticket: Ticket, began: Option<Nanos>, ending: Ending) {
        if ticket == Ticket::UNCOUNTED {
            return;
        }
        let is_slow = ending != Ending::NotCalled
            && began.is_some_and(|began| self.epoch.now(clock).saturating_sub(began) >= self.slow_after.load(Relaxed));
        let verdict = match ending {
            _ if is_slow => Verdict::Failed,
            Ending::Succeeded => Verdict::Succeeded,
            Ending::Failed => Verdict::Failed,
            Ending::Ignored | Ending::NotCalled => Verdict::Ignored,
        };
        // Without a look at the time, a slow call that succeeded is a success like any other.
        if verdict == Verdict::Succeeded && self.word() == Word::clean(ticket) {
            self.successes.count();
            return;
        }
        let late = self.step(
            |circuit, delayed| circuit.end(ticket, verdict, || self.epoch.now(clock), delayed),
            |counts, step| {
                let late = matches!(step, Step::Late);
                match verdict {
                    _ if late => counts.late += 1,
                    Verdict::Succeeded => {}
                    Verdict::Failed => {
                        counts.failed += 1;
                        counts.slow += u64::from(is_slow);
                    }
                    Verdict::Ignored => counts.ignored += 1,
                }
                late
            },
        );
        if verdict == Verdict::Succeeded && !late {
            self.successes.count();
        }
    }

    /// Runs an event that may open the circuit, and reports the change.
    ///
    /// If the event needs the delay of an opening, the policy is asked outside of the lock, and the
    /// event runs again.
    fn step<T>(
        &self,
        event: impl Fn(&mut Circuit, Option<Delayed>) -> Step,
        count: impl FnOnce(&mut CircuitBreakerStats, &Step) -> T,
    ) -> T {
        let mut delayed = None;
        loop {
            let mut locked = self.lock();
            let step = event(&mut locked.state.circuit, delayed.take());
            let change = match step {
                Step::NeedsDelay(opening) => {
                    let settings = Arc::clone(&locked.state.settings);
                    drop(locked);
                    delayed = Some(opening.delayed_by(&settings.policy));
                    continue;
                }
                Step::Changed(change) => Some(change),
                Step::Unchanged | Step::Late => None,
            };
            locked.state.counts.opened += u64::from(change.is_some_and(|change| change.to == CircuitState::Open));
            let counted = count(&mut locked.state.counts, &step);
            drop(locked);
            self.report(change);
            return counted;
        }
    }

    pub(super) fn trip(&self, clock: Clock) {
        // An open circuit that is due is half-open.
        self.look(clock);
        self.step(|circuit, delayed| circuit.trip(|| self.epoch.now(clock), delayed), |_, _| ());
    }

    pub(super) fn isolate(&self) {
        let change = self.lock().state.circuit.isolate();
        self.report(change);
    }

    pub(super) fn close(&self) {
        let change = self.lock().state.circuit.close();
        self.report(change);
    }

    /// The state, and the time until an open circuit is half-open.
    pub(super) fn look(&self, clock: Clock) -> (CircuitState, Option<Duration>) {
        if self.word().is_closed() {
            return (CircuitState::Closed, None);
        }
        let mut locked = self.lock();
        let now = self.epoch.now(clock);
        let change = locked.state.circuit.look(now);
        let seen = (locked.state.circuit.state(), locked.state.circuit.open_for(now));
        drop(locked);
        self.report(change);
        seen
    }

    pub(super) fn report(&self, change: Option<Change>) {
        if let Some(change) = change {
            self.identity.report(change, self.settings().is_observing);
        }
    }

    pub(super) fn stats(&self) -> CircuitBreakerStats {
        // Under the lock first, so that no success is missing that came before a counted failure.
        let counts = self.lock().state.counts;
        CircuitBreakerStats { succeeded: self.successes.get(), ..counts }
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.lock().state.settings)
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The state without a look at the time, the number of failures in the window, and the time
    /// until a closed circuit has nothing left to remember; `None` if time alone does not bring
    /// that.
    pub(super) fn rest(&self, now: Nanos) -> (CircuitState, u64, Option<Nanos>) {
        let mut locked = self.lock();
        let (failures, rest) = locked.state.circuit.rest(now);
        (locked.state.circuit.state(), failures, rest)
    }

    /// A time between these two. The moment at its end stays the same until it is too near, so that
    /// a map orders its keys by that moment.
    pub(super) fn kept_for(&self, now: Nanos, least: Nanos, most: Nanos) -> Nanos {
        let mut locked = self.lock();
        let kept_for = locked.state.kept_until.saturating_sub(now);
        if (least..=most).contains(&kept_for) {
            return kept_for;
        }
        locked.state.kept_until = now.saturating_add(most);
        most
    }
}

impl Core {
    #[inline]
    pub(super) fn counts_slow_calls(&self) -> bool {
        self.slow_after.load(Relaxed) != NEVER
    }
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.show(&self.settings(), f)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CircuitBreaker({self})")
    }
}
