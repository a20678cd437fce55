//! The quota of a limiter that shares its limit: permits that the store has granted, and when to
//! ask for more.
//!
//! # Why a permit has an end
//!
//! The store counts a permit from its stamp, and the call counts from the moment at which it runs.
//! If the call ran after the stamp, a window could hold more calls than the limit. The stamp is
//! therefore the last moment at which the permit may be used: its due moment, plus `hold`. A permit
//! that was not used by then is thrown away. Then every call runs between its due moment and its
//! stamp, and two calls that the store put a period apart are at least a period apart.
//!
//! The times of an answer count from the moment at which the store worked, which lies between the
//! asking and the answer. A permit is used from `answer + due` on, which is no earlier than its due
//! moment, and until `asking + due + hold`, which is no later than its stamp.
//!
//! # When it asks
//!
//! | reason | moment |
//! |---|---|
//! | waiters that held permits do not cover | at once; after a cut by the reach, when the next call comes into reach; after a grace; after an outage, when this process's part has room |
//! | a waiter with a longest wait that came since the last request | at once |
//! | a call that only tried | at once |
//! | a pause or the end of one, a report after a loss | at once |
//! | calls that this process admitted alone | at once |
//! | charges, refunds | [`REPORT_AFTER`] |
//! | permits for later than [`FAR`] are held, or a pause of another process lasts while calls wait | each [`PULSE`] |
//!
//! One request is in flight at a time. While the store is down, one request gets its error, and the
//! next follows when the store is back.
//!
//! # After an outage
//!
//! Processes find that the store is back at different times, because each has probes of its own.
//! The first one back would get the room of calls that the others have not reported. For
//! [`RETURN_TIME`], it therefore asks for no more than its part ([`OnFailure::Local`]), as it took
//! alone before. Without parts ([`OnFailure::Closed`]) the store has all reports, unless it has
//! lost its state. It then grants nothing for that time.

use super::{
    alone::Alone,
    answer::{Answer, RunAnswer},
    ask::{Ask, Charge, Limits, Run},
    batch::{Batch, Place, only_windows},
    held::Held,
    ledger::Ledger,
    on_failure::OnFailure,
    recent::Recent,
};
use crate::{
    ConfigError, Name,
    clock::{Nanos, nanos},
    policy::{Counts, MAX_WINDOWS, Permits},
};
use std::time::Duration;

/// Longest time from the first to the last due moment of one request.
const SPAN: Nanos = 20_000_000;

/// Longest time ahead for which a permit is reserved. Where each process can look only 1 s ahead, a
/// few of ten processes get most of a small limit.
const REACH: Nanos = 10_000_000_000;

/// Time after which charges and refunds are reported. They may take 50 ms.
const REPORT_AFTER: Nanos = 40_000_000;

/// Distance between two requests while permits for later are held, so that a lost state and a pause
/// are noticed.
const PULSE: Nanos = 150_000_000;

/// Distance of a permit that is held for later.
const FAR: Nanos = 200_000_000;

/// Number of round trips for which a permit is held at least.
const TRIPS_PER_HOLD: Nanos = 3;

/// Part of the distance to a shorter round trip by which the estimate falls with each answer.
const TRIP_DECAY: Nanos = 8;

/// Delay before the next look, if there was a reason to ask and nothing to ask for. Only waiters
/// that are about to leave cause this.
const NOTHING_TO_ASK: Nanos = 10_000_000;

/// Time after a loss of the store's state in which it grants nothing. All processes are connected,
/// and report meanwhile what they have used and what they hold.
const GRACE: Nanos = 250_000_000;

/// Time in which all processes find that the store is back: 1.2 s between two probes, 100 ms for
/// one that was under way, and a rest for the request itself.
const RETURN_TIME: Nanos = 1_500_000_000;

/// Time after which a call of the store that has not come is asked for again.
const OVERDUE: Nanos = 10_000_000;

/// Shortest wait that is reported to a call, if no moment is known.
const UNKNOWN_WAIT: Nanos = 1_000_000;

/// Settings of a shared limiter.
#[derive(Debug, Clone)]
pub(crate) struct Sharing {
    pub(crate) name: Name,
    pub(crate) on_failure: OnFailure,
    /// Shortest hold.
    pub(crate) slack: Nanos,
    /// Maximum number of permits that are asked for ahead of the calls.
    pub(crate) lease: u32,
}

#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // facts that do not depend on each other
pub(crate) struct Purse {
    sharing: Sharing,
    limits: Vec<(u32, Nanos)>,
    /// As set; `None` for windows.
    burst: Option<u32>,
    held: Held,
    /// Permits of each window that this process has used and that count.
    used: Vec<Ledger>,
    /// The part of them that the store does not know.
    unreported: Vec<Ledger>,
    /// Permits to give back.
    refund: Counts,
    alone: Option<Alone>,
    recent: Recent,
    link: Link,
    /// Epoch of the last answer.
    epoch: Option<u64>,
    /// Moment until which a permit that was used counts.
    counts_until: Nanos,
    /// `true` if the store does not know the permits that are used and held, because it lost its
    /// state.
    is_forgotten: bool,
    /// `true` if the store is back from an outage, and has not been asked since.
    is_returning: bool,
    /// Moment until which this process asks for no more than its part, after an outage.
    parted_until: Nanos,
    /// Moment at which the part has room for the first waiter that it had none for.
    part_free_at: Nanos,
    /// Free permits by the last answer, less charges since then. `None` before the first answer.
    free: Option<Counts>,
    /// Moment at which the next permit may be free, by the last answer; 0 if not known.
    next_free: Nanos,
    /// Estimate of the time from the asking to the answer.
    round_trip: Nanos,
    /// Permits that a call tried to take.
    wish: Option<Counts>,
    /// End of a pause that the store does not know; 0 if the pause has ended.
    pause_news: Option<Nanos>,
    /// `true` while a pause of the store lasts.
    is_paused: bool,
    in_flight: Option<InFlight>,
    /// The last asking.
    asked_at: Nanos,
    /// Moment from which waiters without a longest wait are asked for.
    ask_from: Nanos,
    /// Moment at which charges and refunds are reported, if there are any.
    report_at: Nanos,
    /// `true` if a waiter with a longest wait has come since the last request.
    is_urgent: bool,
    /// `true` if a waiter with a longest wait has come since the queue was empty.
    has_limited: bool,
    /// Moments at which the store has been asked to call, the latest first. Each was earlier than
    /// all others when it was asked for.
    turns: Vec<Nanos>,
    counts: PurseCounts,
}

/// The store, as the purse knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Up,
    Down,
    /// Down, and it will call when it is back, because a request got an error.
    Parked,
}

/// Statistics of a shared limiter.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PurseCounts {
    pub(crate) asks: u64,
    pub(crate) lapsed: u64,
    pub(crate) admitted_alone: u64,
}

/// A request that has no answer yet.
#[derive(Debug, Clone)]
struct InFlight {
    at: Nanos,
    hold: Nanos,
    runs: Vec<Run>,
    knows_epoch: bool,
    /// Charges of the request, which are reported again if the request fails.
    unreported: Vec<Ledger>,
    was_forgotten: bool,
    pause_news: Option<Nanos>,
}

/// Changes for the queue by an answer.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// For each run, the number of calls that were granted, and the moment at which the next could
    /// be due, if the others are refused.
    pub(crate) refusals: Vec<Option<(u32, Nanos)>>,
    /// The first run with calls that still wait, the number of its calls that were granted, and the
    /// earliest moment at which a later call could be due. `None` if no call of the request waits.
    pub(crate) cut: Option<(u32, u32, Nanos)>,
    /// End of the pause; 0 if the pause of the store has ended, and `None` if nothing is known.
    pub(crate) pause: Option<Nanos>,
}

impl Purse {
    pub(crate) fn new(sharing: Sharing, limits: Vec<(u32, Nanos)>, burst: Option<u32>) -> Self {
        let ledgers = || limits.iter().map(|(_, period)| Ledger::new(*period)).collect::<Vec<_>>();
        Self {
            held: Held::default(),
            used: ledgers(),
            unreported: ledgers(),
            refund: Counts::default(),
            alone: Alone::new(sharing.on_failure, &limits, burst),
            recent: Recent::default(),
            link: Link::Up,
            epoch: None,
            counts_until: 0,
            is_forgotten: false,
            is_returning: false,
            parted_until: 0,
            part_free_at: 0,
            free: None,
            next_free: 0,
            round_trip: 0,
            wish: None,
            pause_news: None,
            is_paused: false,
            in_flight: None,
            asked_at: 0,
            ask_from: 0,
            report_at: 0,
            is_urgent: false,
            has_limited: false,
            turns: Vec::new(),
            counts: PurseCounts::default(),
            sharing,
            limits,
            burst,
        }
    }

    /// A purse with the same settings, and nothing in it.
    pub(crate) fn as_new(&self) -> Self {
        Self::new(self.sharing.clone(), self.limits.clone(), self.burst)
    }

    /// Names an empty purse after the limit of one key.
    pub(crate) fn rename(&mut self, name: Name) {
        self.sharing.name = name;
    }

    pub(crate) fn name(&self) -> &Name {
        &self.sharing.name
    }

    pub(crate) fn on_failure(&self) -> OnFailure {
        self.sharing.on_failure
    }

    /// Returns `true` if the store is down, and a call of this kind cannot go before it is back.
    pub(crate) fn refuses(&self, counts: &Counts) -> bool {
        let exceeds = |(&(limit, _), &count): (&(u32, Nanos), &u32)| {
            self.sharing.on_failure.part_of(limit).is_some_and(|part| count > part)
        };
        self.is_down()
            && match self.sharing.on_failure {
                OnFailure::Open => false,
                OnFailure::Closed => true,
                OnFailure::Local { .. } => self.limits.iter().zip(counts).any(exceeds),
            }
    }

    pub(crate) fn counts(&self) -> PurseCounts {
        self.counts
    }

    pub(crate) fn windows(&self) -> usize {
        self.limits.len()
    }

    pub(crate) fn limits(&self) -> &[(u32, Nanos)] {
        &self.limits
    }

    pub(crate) fn burst(&self) -> Option<u32> {
        self.burst
    }

    pub(crate) fn set_limits(&mut self, limits: &[(u32, Nanos)]) {
        for (window, (_, period)) in limits.iter().enumerate() {
            self.used[window].set_period(*period);
            self.unreported[window].set_period(*period);
        }
        if let Some(alone) = &mut self.alone {
            alone.set_limits(self.sharing.on_failure, limits);
            self.part_free_at = 0;
        }
        self.limits = limits.to_vec();
    }

    pub(crate) fn set_burst(&mut self, burst: u32) -> Result<(), ConfigError> {
        if burst == 0 {
            return Err(ConfigError::new("burst", burst, "at least 1"));
        }
        if let Some(alone) = &mut self.alone {
            alone.set_burst(self.sharing.on_failure, burst);
        }
        self.burst = Some(burst);
        Ok(())
    }

    /// Notes whether the store is up.
    pub(crate) fn note(&mut self, is_up: bool) {
        match self.link {
            _ if is_up => {
                self.is_returning |= self.is_down();
                self.link = Link::Up;
            }
            Link::Up => self.link = Link::Down,
            Link::Down | Link::Parked => {}
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.link != Link::Up
    }

    /// Removes permits that count no longer, and held permits that have lapsed.
    pub(crate) fn expire(&mut self, now: Nanos) {
        self.counts.lapsed += self.held.expire(now);
        self.used.iter_mut().chain(&mut self.unreported).for_each(|ledger| ledger.expire(now));
        if let Some(alone) = &mut self.alone {
            alone.expire(now);
        }
    }

    // ---- decisions on calls ----

    /// Takes the permits of a call, if it can go now. Out of line, as all decisions, so that a
    /// limit of this process alone does not carry their code.
    #[inline(never)]
    pub(crate) fn try_take(&mut self, now: Nanos, permits: &Permits) -> bool {
        let Some(counts) = permits.fitting(self.windows()) else { return false };
        let counts = only_windows(counts, self.windows());
        if !self.is_down() {
            let is_held = self.held.try_take(now, &counts);
            if is_held {
                self.note_use(now, &counts);
            }
            return is_held;
        }
        self.expire(now);
        let is_due = self.due_after(now, &[0; MAX_WINDOWS], &counts) <= now;
        if is_due {
            self.take(now, &counts);
        }
        is_due
    }

    /// Moment at which a call is due after calls that take `ahead`. `now` or earlier means now, and
    /// `Nanos::MAX` that the store has to be asked.
    #[inline(never)]
    pub(crate) fn due_after(&self, now: Nanos, ahead: &[u64; MAX_WINDOWS], counts: &Counts) -> Nanos {
        let counts = &only_windows(counts, self.windows());
        let held = self.held.due(now, &only_windows_of(*ahead, self.windows()), counts);
        match (&self.alone, self.sharing.on_failure) {
            _ if !self.is_down() || held <= now => held,
            // What is held for later counts in the part already.
            (Some(alone), _) => {
                let totals = self.held.totals();
                let ahead = std::array::from_fn(|window| ahead[window].saturating_add(totals[window]));
                held.min(alone.due(now, &ahead, counts))
            }
            (None, OnFailure::Open) => 0,
            (None, _) => held,
        }
    }

    /// Takes the permits of a call that is due: permits that are held, or, while the store is down,
    /// permits that this process gives itself.
    #[inline(never)]
    pub(crate) fn take(&mut self, now: Nanos, counts: &Counts) {
        let counts = only_windows(counts, self.windows());
        if !self.held.try_take(now, &counts) {
            self.counts.admitted_alone += 1;
            if self.alone.is_none() {
                return; // the store never learns of the calls of `OnFailure::Open`
            }
            self.add_unreported(now, now, &counts);
        }
        self.note_use(now, &counts);
    }

    /// Counts permits that were used without a grant.
    pub(crate) fn charge(&mut self, now: Nanos, counts: &Counts) {
        let counts = only_windows(counts, self.windows());
        self.add_unreported(now, now.saturating_add(REPORT_AFTER), &counts);
        self.note_use(now, &counts);
        if let Some(free) = &mut self.free {
            free.iter_mut().zip(counts).for_each(|(free, count)| *free = free.saturating_sub(count));
        }
    }

    /// Gives back permits that were taken and not used, the oldest that count first. Returns their
    /// number.
    pub(crate) fn refund(&mut self, now: Nanos, counts: &Counts) -> Counts {
        let mut given = Counts::default();
        for (window, ledger) in self.used.iter_mut().enumerate() {
            given[window] = ledger.give_back(counts[window]);
        }
        if given == Counts::default() {
            return given;
        }
        if let Some(alone) = &mut self.alone {
            alone.give_back(now, &given);
            self.part_free_at = 0;
        }
        self.report_by(now.saturating_add(REPORT_AFTER));
        self.refund.iter_mut().zip(given).for_each(|(sum, given)| *sum = sum.saturating_add(given));
        given
    }

    fn note_use(&mut self, now: Nanos, counts: &Counts) {
        if *counts == Counts::default() {
            return;
        }
        let longest = self.limits.iter().map(|(_, period)| *period).max().unwrap_or(0);
        self.counts_until = now.saturating_add(longest);
        self.used.iter_mut().zip(counts).for_each(|(ledger, &count)| ledger.add(now, count));
        if let Some(alone) = &mut self.alone {
            alone.take(now, counts);
        }
        if self.sharing.lease > 0 {
            self.recent.add(now, self.hold(), counts[0]);
        }
    }

    fn add_unreported(&mut self, now: Nanos, report_at: Nanos, counts: &Counts) {
        self.report_by(report_at);
        self.unreported.iter_mut().zip(counts).for_each(|(ledger, &count)| ledger.add(now, count));
    }

    fn report_by(&mut self, moment: Nanos) {
        self.report_at = if self.has_reports() { self.report_at.min(moment) } else { moment };
    }

    fn has_reports(&self) -> bool {
        self.refund != Counts::default() || self.unreported.iter().any(|ledger| !ledger.is_empty())
    }

    pub(crate) fn available(&self, now: Nanos, window: usize) -> u32 {
        let usable = u32::try_from(self.held.usable(now, window)).unwrap_or(u32::MAX);
        let most = self.burst.map_or(u32::MAX, |burst| burst.min(self.limits[window].0)).min(self.limits[window].0);
        let known = match (&self.alone, self.sharing.on_failure) {
            _ if !self.is_down() => self.free.map_or(most, |free| free[window].saturating_add(usable)),
            (Some(alone), _) => alone.available(now, window).max(usable),
            (None, OnFailure::Open) => most,
            (None, _) => usable,
        };
        known.min(most)
    }

    /// Moment from which nothing of this process counts; `Nanos::MAX` if the store has to learn of
    /// something.
    pub(crate) fn idle_at(&self) -> Nanos {
        let is_busy = self.has_reports() || self.is_forgotten || self.in_flight.is_some() || self.pause_news.is_some();
        let used = self.used.iter().map(Ledger::idle_at).max().unwrap_or(0);
        if is_busy { Nanos::MAX } else { used.max(self.held.idle_at()) }
    }

    /// A moment for the error of a refused call. The due moment of the call may not be known.
    pub(crate) fn known_due(&self, now: Nanos, due: Nanos) -> Nanos {
        if due != Nanos::MAX {
            return due;
        }
        let unknown = now.saturating_add(UNKNOWN_WAIT.max(self.round_trip));
        let next_free = self.next_free.max(self.part_free_at);
        if next_free > now { next_free } else { unknown }
    }

    /// A moment before which a call with this due moment is not admitted.
    pub(crate) fn due_at_least(&self, due: Nanos) -> Nanos {
        if due == Nanos::MAX { self.part_free_at } else { due }
    }

    // ---- asking ----

    /// The time after its due moment for which a permit may be used.
    fn hold(&self) -> Nanos {
        self.sharing.slack.max(self.round_trip.saturating_mul(TRIPS_PER_HOLD))
    }

    /// Has the store asked for the permits of a call that only tries.
    pub(crate) fn wish(&mut self, counts: &Counts) {
        self.wish = Some(only_windows(counts, self.windows())).filter(|counts| *counts != Counts::default());
    }

    /// Notes that a call waits. `is_limited` if it has a longest wait.
    pub(crate) fn joined(&mut self, is_limited: bool) {
        self.is_urgent |= is_limited;
        self.has_limited |= is_limited;
    }

    /// Returns `true` if a waiter may have a longest wait.
    pub(crate) fn has_limited(&self) -> bool {
        self.has_limited
    }

    /// Has the store told of a pause until this moment; of the end of all pauses if it is 0.
    pub(crate) fn tell_pause(&mut self, until: Nanos) {
        self.pause_news = Some(until);
    }

    /// Moment of the next request; `Nanos::MAX` if there is no reason for one. `wanted` are the
    /// permits of all waiters.
    fn next_ask(&self, wanted: &[u64; MAX_WINDOWS]) -> Nanos {
        if self.in_flight.is_some() || self.link == Link::Parked {
            return Nanos::MAX;
        }
        let held = self.held.totals();
        let is_uncovered = (0..self.windows()).any(|window| wanted[window] > held[window]);
        if self.is_forgotten || self.pause_news.is_some() {
            return 0;
        }
        let is_urgent = self.wish.is_some() || (is_uncovered && self.is_urgent);
        let waiters = match is_uncovered {
            _ if is_urgent => self.part_free_at,
            true => self.ask_from.max(self.part_free_at),
            false => Nanos::MAX,
        };
        let reports = if self.has_reports() { self.report_at } else { Nanos::MAX };
        waiters.min(reports).min(self.pulse_at(wanted))
    }

    fn pulse_at(&self, wanted: &[u64; MAX_WINDOWS]) -> Nanos {
        let is_waiting_for_a_pause = self.is_paused && wanted.iter().any(|wanted| *wanted > 0);
        let next = self.asked_at.saturating_add(PULSE);
        let has_far = self.held.reaches_beyond(self.asked_at.saturating_add(FAR));
        if has_far || is_waiting_for_a_pause { next } else { Nanos::MAX }
    }

    /// Returns the time after which the store has to call, if that is earlier than asked for
    /// before. `wake_at` is the moment at which a waiter has to be woken.
    pub(crate) fn plan_turn(&mut self, now: Nanos, wanted: &[u64; MAX_WINDOWS], wake_at: Nanos) -> Option<Duration> {
        // The store may have lost a call, with the runtime that it had planned the call in.
        while self.turns.last().is_some_and(|turn| turn.saturating_add(OVERDUE) < now) {
            self.turns.pop();
        }
        self.has_limited &= *wanted != [0; MAX_WINDOWS];
        let next = self.next_ask(wanted).min(wake_at).max(now);
        if next == Nanos::MAX || self.turns.last().is_some_and(|turn| *turn <= next) {
            return None;
        }
        self.turns.push(next);
        Some(Duration::from_nanos(next - now))
    }

    /// Notes a call of the store. Returns a batch for the waiters if a request is due.
    pub(crate) fn begin_ask(&mut self, now: Nanos, wanted: &[u64; MAX_WINDOWS]) -> Option<Batch> {
        while self.turns.last().is_some_and(|turn| *turn <= now) {
            self.turns.pop();
        }
        if self.next_ask(wanted) > now {
            return None;
        }
        if self.is_returning && self.alone.is_some() {
            self.parted_until = now.saturating_add(RETURN_TIME);
        }
        Some(Batch::new(&self.limits, &self.held))
    }

    /// Adds the next waiter to a request.
    pub(crate) fn add(&mut self, batch: &mut Batch, now: Nanos, counts: &Counts, patience: Option<Nanos>) -> Place {
        let place = batch.add(now, counts, patience, |ahead, counts| self.later(now, ahead, counts));
        if let Place::Later(moment) = place {
            self.part_free_at = moment;
        }
        place
    }

    /// The moment before which permits are not asked for, because this process's part has no room
    /// for them; `None` if it is now.
    fn later(&self, now: Nanos, ahead: &[u64; MAX_WINDOWS], counts: &Counts) -> Option<Nanos> {
        let alone = self.alone.as_ref().filter(|_| now < self.parted_until)?;
        Some(alone.due(now, ahead, counts).min(self.parted_until)).filter(|due| *due > now)
    }

    /// Makes the request. `None` if there is nothing to ask for.
    pub(crate) fn ask(&mut self, now: Nanos, wanted: &[u64; MAX_WINDOWS], batch: Batch) -> Option<Ask> {
        let Batch { mut runs, ahead, .. } = batch;
        self.is_urgent = false;
        if let Some(permits) = self.wish.take() {
            match self.later(now, &ahead, &permits) {
                None => runs.push(Run { permits, calls: 1, within: Some(Duration::ZERO) }),
                Some(moment) => (self.wish, self.part_free_at) = (Some(permits), moment),
            }
        }
        let hold = self.hold();
        if self.sharing.lease > 0 && !runs.is_empty() && now >= self.parted_until {
            let taken = u32::try_from(self.recent.taken(now, hold)).unwrap_or(u32::MAX);
            let calls = taken.min(self.sharing.lease).min(self.limits[0].0);
            let permits = only_windows(&[1; MAX_WINDOWS], self.windows());
            runs.extend((calls > 0).then_some(Run { permits, calls, within: Some(Duration::ZERO) }));
        }
        let has_news = self.is_forgotten || self.pause_news.is_some() || self.has_reports();
        if runs.is_empty() && !has_news && self.pulse_at(wanted) > now {
            self.ask_from = now.saturating_add(NOTHING_TO_ASK);
            return None;
        }
        let counts_any = self.counts_until > now || !self.held.is_empty();
        let mut ask = Ask::new(self.limits_to_ask());
        ask.hold = Duration::from_nanos(hold);
        ask.span = Duration::from_nanos(SPAN);
        ask.reach = Duration::from_nanos(REACH);
        let is_returning = std::mem::take(&mut self.is_returning);
        let has_no_parts = self.sharing.on_failure == OnFailure::Closed;
        ask.grace = Duration::from_nanos(if is_returning && has_no_parts { RETURN_TIME } else { GRACE });
        ask.epoch = self.epoch.filter(|_| counts_any);
        ask.charges = self.charges(now);
        let refund = std::mem::take(&mut self.refund);
        // After a loss, the charges leave out what was given back.
        ask.refund = if self.is_forgotten { Counts::default() } else { refund };
        // A pause that has ended meanwhile is no news. Told, it would end the pauses of others.
        let pause_news = self.pause_news.take().filter(|until| *until == 0 || *until > now);
        ask.pause = pause_news.map(|until| Duration::from_nanos(until.saturating_sub(now)));
        ask.runs.clone_from(&runs);
        let fresh = self.limits.iter().map(|(_, period)| Ledger::new(*period)).collect();
        self.in_flight = Some(InFlight {
            at: now,
            hold,
            runs,
            knows_epoch: ask.epoch.is_some(),
            unreported: std::mem::replace(&mut self.unreported, fresh),
            was_forgotten: std::mem::take(&mut self.is_forgotten),
            pause_news,
        });
        self.asked_at = now;
        self.counts.asks += 1;
        Some(ask)
    }

    fn limits_to_ask(&self) -> Limits {
        let limits = self.limits.iter().map(|&(limit, period)| (limit, Duration::from_nanos(period)));
        match self.burst {
            None => Limits::Windows(limits.collect()),
            Some(burst) => {
                let (limit, period) = self.limits[0];
                Limits::Paced { limit, period: Duration::from_nanos(period), burst: burst.min(limit) }
            }
        }
    }

    /// The permits to report: those that the store does not know. After a loss, all that are used
    /// and held, and those that are held by the last moment of their use.
    fn charges(&self, now: Nanos) -> Vec<Charge> {
        let mut charges = Vec::new();
        for window in 0..self.windows() {
            let mut add = |(at, count): (Nanos, u64)| {
                let mut permits = Counts::default();
                permits[window] = u32::try_from(count).unwrap_or(u32::MAX);
                charges.push(Charge { permits, stamp: micros_from(now, at) });
            };
            if self.is_forgotten {
                self.used[window].runs().for_each(&mut add);
                self.held.runs(window).for_each(&mut add);
            } else {
                self.unreported[window].runs().for_each(&mut add);
            }
        }
        charges.sort_by_key(|charge| charge.stamp);
        charges
    }

    /// Returns the number of the request in flight, or of the last one.
    pub(crate) fn number(&self) -> u64 {
        self.counts.asks
    }

    /// Takes the answer to the request in flight. Returns `None` if there is no such request.
    pub(crate) fn answered(&mut self, now: Nanos, answer: &Answer) -> Option<Answered> {
        let flight = self.in_flight.take()?;
        let trip = now.saturating_sub(flight.at);
        self.round_trip = trip.max(self.round_trip - self.round_trip.saturating_sub(trip) / TRIP_DECAY);
        self.free = Some(answer.free);
        let grace = nanos(answer.grace);
        if flight.knows_epoch && self.epoch.is_some_and(|epoch| epoch != answer.epoch) {
            if grace == 0 {
                // The store may have granted the same room to others meanwhile.
                self.counts.lapsed += self.held.clear();
            }
            self.is_forgotten = true;
        }
        self.epoch = Some(answer.epoch);
        self.ask_from = now.saturating_add(grace);
        let (refusals, cut) = self.take_runs(now, &flight, &answer.runs, grace);
        Some(Answered { refusals, cut, pause: self.note_pause(now, nanos(answer.pause), flight.pause_news.is_some()) })
    }

    /// Puts the granted permits into the purse. Returns the runs with calls that are refused, and
    /// the first one with calls that still wait.
    #[allow(clippy::type_complexity)] // the fields of `Answered`
    fn take_runs(
        &mut self,
        now: Nanos,
        flight: &InFlight,
        answers: &[RunAnswer],
        grace: Nanos,
    ) -> (Vec<Option<(u32, Nanos)>>, Option<(u32, u32, Nanos)>) {
        let (mut refusals, mut cut) = (Vec::with_capacity(answers.len()), None);
        for ((number, run), answer) in (0..).zip(&flight.runs).zip(answers) {
            for grant in &answer.grants {
                let due = nanos(grant.due);
                let (from, until) =
                    (now.saturating_add(due), flight.at.saturating_add(due).saturating_add(flight.hold));
                if from <= until {
                    self.held.put(&run.permits, grant.calls, from, until);
                } else {
                    let permits = run.permits.iter().map(|count| u64::from(*count)).sum::<u64>();
                    self.counts.lapsed += permits * u64::from(grant.calls);
                }
            }
            let granted = answer.grants.iter().map(|grant| grant.calls).sum();
            refusals.push(None);
            let Some(next) = answer.next else { continue };
            let due = now.saturating_add(nanos(next));
            self.next_free = due;
            if run.within.is_some_and(|within| next > within) {
                *refusals.last_mut().expect("pushed above") = Some((granted, due));
            } else if cut.is_none() {
                cut = Some((number, granted, due));
                self.ask_from = if grace > 0 {
                    now.saturating_add(grace)
                } else if nanos(next) > REACH {
                    now.saturating_add(SPAN.max(nanos(next) - REACH))
                } else {
                    now
                };
            }
        }
        (refusals, cut)
    }

    fn note_pause(&mut self, now: Nanos, left: Nanos, has_told: bool) -> Option<Nanos> {
        if self.pause_news.is_some() {
            return None; // this process knows better
        }
        let was_paused = std::mem::replace(&mut self.is_paused, left > 0);
        match left {
            0 => (was_paused && !has_told).then_some(0),
            left => Some(now.saturating_add(left)),
        }
    }

    /// Takes the failure of the request in flight.
    pub(crate) fn failed(&mut self) {
        let Some(flight) = self.in_flight.take() else { return };
        for (ledger, earlier) in self.unreported.iter_mut().zip(flight.unreported) {
            ledger.prepend(earlier);
        }
        self.is_forgotten |= flight.was_forgotten;
        self.pause_news = self.pause_news.or(flight.pause_news);
        self.report_at = 0;
        self.link = Link::Parked;
    }
}

/// Microseconds from `now` to `at`, rounded up.
fn micros_from(now: Nanos, at: Nanos) -> i64 {
    let micros = |nanos: Nanos| i64::try_from(nanos).unwrap_or(i64::MAX);
    if at >= now { micros((at - now).div_ceil(1_000)) } else { -micros((now - at) / 1_000) }
}

fn only_windows_of(sums: [u64; MAX_WINDOWS], windows: usize) -> [u64; MAX_WINDOWS] {
    std::array::from_fn(|window| if window < windows { sums[window] } else { 0 })
}

#[cfg(test)]
mod tests;
