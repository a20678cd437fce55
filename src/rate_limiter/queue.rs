//! Waiters, in the order in which they came.
//!
//! Places are numbered in that order, and a waiter keeps its number for good. Waiters that were never skipped stand in a ring
//! of places without gaps, where a number is an index. Only the head is ever skipped, so a waiter that comes back has a
//! smaller number than all in the ring; such waiters stand before the ring, in a map.

use crate::policy::{Counts, Nanos, Sums};
use std::{
    collections::{BTreeMap, VecDeque},
    task::Waker,
};

/// What a waiter keeps to find its place again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    /// Of its place. Used again only for a place at the end of the ring that was left for good.
    pub(super) number: u64,
    /// Permits of all places that were ever numbered before it.
    joined_before: Sums,
}

/// What a waiter wants, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    pub(super) counts: Counts,
    /// When it joined.
    pub(super) since: Nanos,
    /// The last moment to be admitted at; `Nanos::MAX` without a limit.
    pub(super) latest: Nanos,
    /// Nanoseconds beyond `latest` that the lateness of timers may cost it; 0 if its turn could not be foreseen.
    pub(super) lateness: Nanos,
}

/// Beyond this an emptied ring gives its memory back.
const KEPT_WHEN_EMPTY: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Waiters that were skipped and have come back, by number. All numbers are smaller than `first`.
    returned: BTreeMap<u64, Waiter>,
    /// Place `first + i` at index `i`. Neither the first nor the last of them is vacant.
    ring: VecDeque<Place>,
    first: u64,
    len: u32,
    /// Waiters that want more than one permit of a window.
    heavy: u32,
    /// Permits of all who wait.
    wanted: Sums,
    /// Permits of all places that were ever added to the ring's end, and of those that have gone from its front. The difference
    /// is in the ring, those of vacant places included.
    joined: Sums,
    passed: Sums,
}

#[derive(Debug)]
enum Place {
    Taken(Waiter),
    /// Its waiter left from the middle. Keeps the permits, because the numbers behind it count on them.
    Vacant(Counts),
}

/// Wakers that have been replaced, or that belong to waiters which left. Dropping one may drop a task and all that it owns, such
/// as another waiter; that must not happen under the lock.
#[derive(Debug, Default)]
pub(super) struct StaleWakers(Option<Waker>, Vec<Waker>);

impl StaleWakers {
    pub(super) fn add(&mut self, waker: Waker) {
        match &mut self.0 {
            empty @ None => *empty = Some(waker),
            Some(_) => self.1.push(waker),
        }
    }
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) waker: Waker,
    pub(super) demand: Demand,
    /// When it looks at the queue again by itself.
    pub(super) recheck_at: Nanos,
    /// When it was woken with its permits free; `None` if it was not, or has come since.
    pub(super) woken_at: Option<Nanos>,
}

impl Waiter {
    fn new(waker: &Waker, demand: Demand) -> Self {
        Self { waker: waker.clone(), demand, recheck_at: Nanos::MAX, woken_at: None }
    }

    fn is_heavy(&self) -> bool {
        self.demand.counts.iter().any(|count| *count > 1)
    }
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Permits wanted by all who wait.
    pub(super) fn wanted(&self) -> &Sums {
        &self.wanted
    }

    /// Whether nobody waits for more than one permit of a window.
    pub(super) fn has_single_permits_only(&self) -> bool {
        self.heavy == 0
    }

    /// Permits wanted by those before this waiter. Takes time in proportion to their number.
    pub(super) fn wanted_before(&self, ticket: &Ticket) -> Sums {
        let mut wanted = Sums::default();
        self.before(ticket.number).for_each(|waiter| wanted.add(&waiter.demand.counts));
        wanted
    }

    /// Permits wanted by those before this waiter, and by those that left from between them; at once. Never too little, or
    /// all would look for their turn again whenever some left behind them.
    pub(super) fn wanted_before_at_most(&self, ticket: &Ticket) -> Sums {
        if ticket.number < self.first { self.wanted_before(ticket) } else { ticket.joined_before.minus(&self.passed) }
    }

    /// How many places there are before this waiter's, vacant ones included.
    pub(super) fn places_before(&self, ticket: &Ticket) -> u64 {
        ticket.number.saturating_sub(self.first) + self.returned.len() as u64
    }

    /// Those before this number, in their order.
    pub(super) fn before(&self, number: u64) -> impl Iterator<Item = &Waiter> {
        let in_ring = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let ring = self.ring.iter().take(in_ring).filter_map(|place| match place {
            Place::Taken(waiter) => Some(waiter),
            Place::Vacant(_) => None,
        });
        self.returned.range(..number).map(|(_, waiter)| waiter).chain(ring)
    }

    /// All of them, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.before(u64::MAX)
    }

    /// A place at the end.
    pub(super) fn join(&mut self, waker: &Waker, demand: Demand) -> Ticket {
        let ticket = Ticket { number: self.first + self.ring.len() as u64, joined_before: self.joined };
        let waiter = Waiter::new(waker, demand);
        self.count_in(&waiter);
        self.joined.add(&demand.counts);
        self.ring.push_back(Place::Taken(waiter));
        ticket
    }

    /// The waiter is here, by this waker: it takes its place again if it was skipped. Whether it was.
    pub(super) fn check_in(
        &mut self,
        ticket: &Ticket,
        demand: &Demand,
        waker: &Waker,
        stale: &mut StaleWakers,
    ) -> bool {
        let Some(waiter) = self.get_mut(ticket) else {
            let waiter = Waiter::new(waker, *demand);
            self.count_in(&waiter);
            self.passed.take(&demand.counts);
            self.returned.insert(ticket.number, waiter);
            return true;
        };
        waiter.woken_at = None;
        if !waiter.waker.will_wake(waker) {
            stale.add(std::mem::replace(&mut waiter.waker, waker.clone()));
        }
        false
    }

    fn count_in(&mut self, waiter: &Waiter) {
        self.len += 1;
        self.heavy += u32::from(waiter.is_heavy());
        self.wanted.add(&waiter.demand.counts);
    }

    fn count_out(&mut self, waiter: &Waiter) {
        self.len -= 1;
        self.heavy -= u32::from(waiter.is_heavy());
        self.wanted.take(&waiter.demand.counts);
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    /// `None` if it has been skipped.
    pub(super) fn get_mut(&mut self, ticket: &Ticket) -> Option<&mut Waiter> {
        match self.index(ticket.number) {
            None => self.returned.get_mut(&ticket.number),
            Some(index) => self.ring.get_mut(index)?.waiter_mut(),
        }
    }

    pub(super) fn is_first(&self, ticket: &Ticket) -> bool {
        self.first_number() == Some(ticket.number)
    }

    fn first_number(&self) -> Option<u64> {
        let in_ring = if self.ring.is_empty() { None } else { Some(self.first) };
        self.returned.first_key_value().map(|(number, _)| *number).or(in_ring)
    }

    pub(super) fn first(&self) -> Option<&Waiter> {
        self.iter().next()
    }

    pub(super) fn first_mut(&mut self) -> Option<&mut Waiter> {
        match self.returned.first_entry() {
            Some(first) => Some(first.into_mut()),
            None => self.ring.front_mut()?.waiter_mut(),
        }
    }

    /// Leaves the queue, from wherever it stands. A waiter that was skipped has left already.
    pub(super) fn leave(&mut self, ticket: &Ticket, stale: &mut StaleWakers) {
        self.remove(ticket.number, stale);
    }

    /// Takes the first out of the queue, until it comes back.
    pub(super) fn skip_first(&mut self, stale: &mut StaleWakers) {
        if let Some(number) = self.first_number() {
            self.remove(number, stale);
        }
    }

    fn remove(&mut self, number: u64, stale: &mut StaleWakers) {
        let removed = match self.index(number) {
            None => self.returned.remove(&number),
            Some(index) => self.ring.get_mut(index).and_then(Place::vacate),
        };
        let Some(waiter) = removed else { return };
        self.count_out(&waiter);
        if number < self.first {
            self.passed.add(&waiter.demand.counts);
        } else {
            self.trim();
        }
        stale.add(waiter.waker);
    }

    /// Removes vacant places from both ends of the ring: from the front first, because a number there may be that of a waiter
    /// which was skipped, and those at the end are used again.
    fn trim(&mut self) {
        while let Some(Place::Vacant(counts)) = self.ring.front() {
            self.passed.add(counts);
            self.first += 1;
            self.ring.pop_front();
        }
        while let Some(Place::Vacant(counts)) = self.ring.back() {
            self.joined.take(counts);
            self.ring.pop_back();
        }
        if self.ring.is_empty() && self.ring.capacity() > KEPT_WHEN_EMPTY {
            self.ring = VecDeque::new();
        }
    }
}

impl Place {
    fn waiter_mut(&mut self) -> Option<&mut Waiter> {
        match self {
            Self::Taken(waiter) => Some(waiter),
            Self::Vacant(_) => None,
        }
    }

    fn vacate(&mut self) -> Option<Waiter> {
        let counts = self.waiter_mut()?.demand.counts;
        match std::mem::replace(self, Self::Vacant(counts)) {
            Self::Taken(waiter) => Some(waiter),
            Self::Vacant(_) => None,
        }
    }
}
