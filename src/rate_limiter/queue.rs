//! The waiters, in the order in which they came.
//!
//! Places are numbered in that order, and a waiter keeps its number. Waiters that were never
//! skipped stand in a ring without gaps in the numbers, so a number gives an index. Only the head
//! is ever skipped. A skipped waiter that comes back therefore has a smaller number than all
//! waiters in the ring. Such waiters stand before the ring, in a map.
//!
//! A call that keeps its place between the attempts of a retry stands in that map too, ordered by
//! the moment at which it first came. Its first attempt was admitted, so all waiters in the ring
//! came later.

use crate::{
    clock::Nanos,
    policy::{Counts, Sums},
    ring::{End, Ring, Wakers},
};
use std::{collections::BTreeMap, task::Waker};

/// Identifies a waiter's place. Kept by the waiter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    /// Number of the place. Negative for a call that comes again and keeps its place. A number is
    /// reused only after the waiter at the end of the ring has left for good.
    number: i64,
    /// The moment at which the waiter joined. For a call that comes again and keeps its place, the
    /// moment at which it first came.
    since: Nanos,
    /// Permits of all places that ever joined before this one.
    joined_before: Sums,
}

/// The permits that a waiter wants, and the longest wait that it accepts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    pub(super) counts: Counts,
    /// The moment at which the waiter joined.
    pub(super) since: Nanos,
    /// The last moment at which the waiter may be admitted; `Nanos::MAX` without a limit.
    pub(super) latest: Nanos,
    /// Nanoseconds beyond `latest` by which timers may delay the turn; 0 if the turn was only
    /// estimated.
    pub(super) lateness: Nanos,
}

/// The calls that a store may refuse. Not part of the demand, which each call carries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Manner {
    /// `true` if the call can return an error.
    pub(super) can_fail: bool,
    /// `true` if the queue was full when the call came. Only a call that asks the store waits then,
    /// for one answer.
    pub(super) is_full: bool,
}

/// Sort key of the waiters that came back: the moment at which each first came, then its number.
type Key = (Nanos, i64);

impl Ticket {
    fn key(&self) -> Key {
        (self.since, self.number)
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Waiters that were skipped and have come back, and calls that came again and kept their
    /// place. All numbers are smaller than `first`.
    returned: BTreeMap<Key, Waiter>,
    /// Permits of the waiters in `returned`.
    wanted_by_returned: Sums,
    /// Number of calls that ever came again and kept their place.
    came_again: i64,
    /// A place that a waiter has left keeps the waiter's permits, because `joined_before` of later
    /// tickets includes them.
    ring: Ring<Waiter, Counts>,
    len: u32,
    /// Waiters that want more than one permit of a window.
    heavy: u32,
    /// Waiters with a longest wait.
    limited: u32,
    /// Permits of all waiters.
    wanted: Sums,
    /// Permits of all places that were ever added to the ring's end, and of those that were removed
    /// from its front. The difference is in the ring, vacant places included.
    joined_total: Sums,
    left_total: Sums,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) waker: Waker,
    pub(super) demand: Demand,
    /// Set by a shared limiter only.
    pub(super) manner: Manner,
    /// The moment at which the waiter checks the queue again without being woken.
    pub(super) recheck_at: Nanos,
    /// The moment at which the waiter was woken with its permits free; `None` if it was not woken,
    /// or has been polled since.
    pub(super) woken_at: Option<Nanos>,
    /// The last request that asked for the waiter's permits, and its run.
    pub(super) asked: Option<(u64, u32)>,
    /// The earliest moment at which the waiter could be due, if the store has refused it.
    pub(super) refused: Option<Nanos>,
}

impl Waiter {
    fn new(waker: &Waker, demand: Demand) -> Self {
        let (recheck_at, woken_at, asked, refused) = (Nanos::MAX, None, None, None);
        let (waker, manner) = (waker.clone(), Manner::default());
        Self { waker, demand, manner, recheck_at, woken_at, asked, refused }
    }

    fn is_heavy(&self) -> bool {
        self.demand.counts.iter().any(|count| *count > 1)
    }

    fn is_limited(&self) -> bool {
        self.demand.latest < Nanos::MAX
    }
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Permits wanted by all waiters.
    pub(super) fn wanted(&self) -> &Sums {
        &self.wanted
    }

    /// Returns `true` if a waiter has a longest wait.
    pub(super) fn has_limited(&self) -> bool {
        self.limited > 0
    }

    /// Returns `true` if no waiter wants more than one permit of a window.
    pub(super) fn has_single_permits_only(&self) -> bool {
        self.heavy == 0
    }

    /// Permits wanted by the waiters before this one. Takes time in proportion to their number.
    pub(super) fn wanted_before(&self, ticket: &Ticket) -> Sums {
        let mut wanted = Sums::default();
        self.before(ticket).for_each(|waiter| wanted.add(&waiter.demand.counts));
        wanted
    }

    /// Upper bound of the permits wanted by the waiters before this one, in constant time. Waiters
    /// that left from between them are included. The bound is never too small, because a due time
    /// that is too early would make waiters recheck in vain. Waiters that leave behind this one do
    /// not change the bound.
    pub(super) fn wanted_before_at_most(&self, ticket: &Ticket) -> Sums {
        if ticket.number < self.ring.first() {
            return self.wanted_before(ticket);
        }
        ticket.joined_before.minus(&self.left_total).plus(&self.wanted_by_returned)
    }

    /// Number of places before this waiter's, vacant ones included.
    pub(super) fn places_before(&self, ticket: &Ticket) -> u64 {
        (self.ring.index(ticket.number).unwrap_or(0) + self.returned.len()) as u64
    }

    /// The waiters before this one, in order.
    pub(super) fn before(&self, ticket: &Ticket) -> impl Iterator<Item = &Waiter> {
        let returned = match self.ring.index(ticket.number) {
            None => self.returned.range(..ticket.key()),
            Some(_) => self.returned.range(..),
        };
        returned.map(|(_, waiter)| waiter).chain(self.ring.before(ticket.number))
    }

    /// All waiters, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.returned.values().chain(self.ring.iter())
    }

    /// All waiters, in order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiter> {
        self.returned.values_mut().chain(self.ring.iter_mut())
    }

    /// Permits wanted by the waiters before a call that first came at this moment and comes again;
    /// `None` if the call has no place to keep.
    pub(super) fn wanted_before_again(&self, came: Nanos) -> Option<Sums> {
        let mut wanted = Sums::default();
        let before = self.returned.range(..(came, i64::MIN + self.came_again));
        before.for_each(|(_, waiter)| wanted.add(&waiter.demand.counts));
        self.is_before_ring(came).then_some(wanted)
    }

    /// Returns `true` if all waiters in the ring came at `came` or later.
    fn is_before_ring(&self, came: Nanos) -> bool {
        self.ring.front().is_none_or(|first| came <= first.demand.since)
    }

    /// Gives a call that first came at `came`, and comes again, a place before all that came later.
    /// If a call that came earlier stands in the ring, the place is at the end.
    pub(super) fn join_again(&mut self, waker: &Waker, demand: Demand, came: Nanos) -> Ticket {
        if !self.is_before_ring(came) {
            return self.join(waker, demand);
        }
        let ticket = Ticket { number: i64::MIN + self.came_again, since: came, joined_before: Sums::default() };
        self.came_again += 1;
        self.come_back(&ticket, Waiter::new(waker, demand));
        ticket
    }

    fn come_back(&mut self, ticket: &Ticket, waiter: Waiter) {
        self.count_in(&waiter);
        self.wanted_by_returned.add(&waiter.demand.counts);
        self.returned.insert(ticket.key(), waiter);
    }

    /// Adds a place at the end.
    pub(super) fn join(&mut self, waker: &Waker, demand: Demand) -> Ticket {
        let waiter = Waiter::new(waker, demand);
        self.count_in(&waiter);
        let number = self.ring.push(waiter);
        let ticket = Ticket { number, since: demand.since, joined_before: self.joined_total };
        self.joined_total.add(&demand.counts);
        ticket
    }

    /// Notes that the waiter was polled with this waker. Puts a skipped waiter back into its place.
    /// Returns `true` if the waiter had been skipped.
    pub(super) fn check_in(&mut self, ticket: &Ticket, demand: &Demand, waker: &Waker, stale: &mut Wakers) -> bool {
        let Some(waiter) = self.get_mut(ticket) else {
            self.come_back(ticket, Waiter::new(waker, *demand));
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
        self.limited += u32::from(waiter.is_limited());
        self.wanted.add(&waiter.demand.counts);
    }

    fn count_out(&mut self, waiter: &Waiter) {
        self.len -= 1;
        self.heavy -= u32::from(waiter.is_heavy());
        self.limited -= u32::from(waiter.is_limited());
        self.wanted.take(&waiter.demand.counts);
    }

    /// The waiter; `None` if it was skipped.
    pub(super) fn get_mut(&mut self, ticket: &Ticket) -> Option<&mut Waiter> {
        match self.ring.index(ticket.number) {
            None => self.returned.get_mut(&ticket.key()),
            Some(_) => self.ring.get_mut(ticket.number),
        }
    }

    pub(super) fn is_head(&self, ticket: &Ticket) -> bool {
        match self.returned.first_key_value() {
            Some((first, _)) => *first == ticket.key(),
            None => !self.ring.is_empty() && ticket.number == self.ring.first(),
        }
    }

    pub(super) fn head(&self) -> Option<&Waiter> {
        self.iter().next()
    }

    pub(super) fn head_mut(&mut self) -> Option<&mut Waiter> {
        match self.returned.first_entry() {
            Some(first) => Some(first.into_mut()),
            None => self.ring.front_mut(),
        }
    }

    /// Removes a waiter from any place. Has no effect on a skipped waiter, which has left already.
    pub(super) fn leave(&mut self, ticket: &Ticket, stale: &mut Wakers) {
        if ticket.number < self.ring.first() {
            self.leave_returned(ticket.key(), stale);
        } else {
            self.leave_ring(ticket.number, stale);
        }
    }

    /// The wakers of all waiters, in order.
    pub(super) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.returned.into_values().chain(self.ring.into_waiters()).map(|waiter| waiter.waker)
    }

    /// Takes the head out of the queue, until it comes back.
    pub(super) fn skip_head(&mut self, stale: &mut Wakers) {
        if let Some((first, _)) = self.returned.first_key_value() {
            self.leave_returned(*first, stale);
        } else {
            self.leave_ring(self.ring.first(), stale);
        }
    }

    fn leave_ring(&mut self, number: i64, stale: &mut Wakers) {
        let Self { ring, joined_total, left_total, .. } = self;
        let waiter = ring.leave(
            number,
            |waiter| waiter.demand.counts,
            |end, counts| match end {
                End::Front => left_total.add(&counts),
                End::Back => joined_total.take(&counts),
            },
        );
        if let Some(waiter) = waiter {
            self.gone(waiter, stale);
        }
    }

    fn leave_returned(&mut self, key: Key, stale: &mut Wakers) {
        if let Some(waiter) = self.returned.remove(&key) {
            self.wanted_by_returned.take(&waiter.demand.counts);
            self.gone(waiter, stale);
        }
    }

    fn gone(&mut self, waiter: Waiter, stale: &mut Wakers) {
        self.count_out(&waiter);
        stale.add(waiter.waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::cases;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Event {
        Join(u32),
        /// The n-th waiter that ever joined leaves for good.
        Leave(usize),
        Skip,
        /// The n-th waiter that ever joined is polled, and comes back if it was skipped.
        CheckIn(usize),
        /// The n-th waiter that ever joined, if it has left for good, comes again as a new one and
        /// keeps its place.
        JoinAgain(usize),
    }

    fn any_events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            5 => (0_u32..4).prop_map(Event::Join),
            3 => (0_usize..40).prop_map(Event::Leave),
            3 => Just(Event::Skip),
            3 => (0_usize..40).prop_map(Event::CheckIn),
            3 => (0_usize..40).prop_map(Event::JoinAgain),
        ];
        prop::collection::vec(event, 1..80)
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Whereabouts {
        Waits,
        Skipped,
        Gone,
    }
    use Whereabouts::{Gone, Skipped, Waits};

    /// A waiter that ever joined, identified by its position in `Naive`.
    struct Guest {
        ticket: Ticket,
        demand: Demand,
        /// The moment at which it first came.
        came: Nanos,
        /// `true` if the waiter was never skipped, and did not come again.
        in_ring: bool,
        state: Whereabouts,
    }

    /// All waiters that ever joined, in order.
    #[derive(Default)]
    struct Naive(Vec<Guest>);

    impl Naive {
        /// The waiters in order: those that were skipped or came again, by the moment at which each
        /// first came, and then the others.
        fn waiting(&self) -> Vec<usize> {
            let mut waiting: Vec<_> = (0..self.0.len()).filter(|n| self.0[*n].state == Waits).collect();
            waiting.sort_by_key(|n| self.rank(*n));
            waiting
        }

        fn rank(&self, n: usize) -> (bool, Nanos, bool, usize) {
            let Guest { came, in_ring, demand, .. } = &self.0[n];
            // Of waiters that first came at the same moment, those that come again are first.
            (*in_ring, if *in_ring { 0 } else { *came }, *came == demand.since, n)
        }

        /// Permits of the waiters before the n-th.
        fn before(&self, n: usize) -> u64 {
            let before = |other: &usize| self.0[*other].state == Waits && self.rank(*other) < self.rank(n);
            (0..self.0.len()).filter(before).map(|other| self.permits(other)).sum()
        }

        /// The upper bound of `before` for a waiter in the ring: includes those that joined before
        /// the n-th and left.
        fn before_or_gone(&self, n: usize) -> u64 {
            let gone = |other: &usize| self.0[*other].state == Gone && *other < n;
            self.before(n) + (0..self.0.len()).filter(gone).map(|other| self.permits(other)).sum::<u64>()
        }

        fn permits(&self, n: usize) -> u64 {
            self.0[n].demand.counts[0].into()
        }

        fn find(&mut self, n: usize, is_right: impl Fn(Whereabouts) -> bool) -> Option<&mut Guest> {
            self.0.get_mut(n).filter(|guest| is_right(guest.state))
        }

        fn demand(&self, permits: u32) -> Demand {
            demand_of(permits, self.0.len() as Nanos)
        }
    }

    fn demand_of(permits: u32, since: Nanos) -> Demand {
        Demand { counts: [permits; 4], since, latest: Nanos::MAX, lateness: 0 }
    }

    fn sums(permits: u64) -> Sums {
        let mut sums = Sums::default();
        sums.add(&[u32::try_from(permits).unwrap(); 4]);
        sums
    }

    fn check(queue: &mut Queue, naive: &Naive) -> Result<(), TestCaseError> {
        let waiting = naive.waiting();
        // A waiter is identified by the moment at which it joined.
        let order: Vec<_> = queue.iter().map(|waiter| waiter.demand.since).collect();
        prop_assert_eq!(order, waiting.iter().map(|n| *n as Nanos).collect::<Vec<_>>());
        prop_assert_eq!((queue.len(), queue.is_empty()), (waiting.len(), waiting.is_empty()));
        prop_assert_eq!(*queue.wanted(), sums(waiting.iter().map(|n| naive.permits(*n)).sum()));
        let heavy = waiting.iter().any(|n| naive.permits(*n) > 1);
        prop_assert_eq!(queue.has_single_permits_only(), !heavy);
        prop_assert_eq!(queue.head_mut().map(|first| first.demand.since), waiting.first().map(|n| *n as Nanos));
        for (n, Guest { ticket, in_ring, state, .. }) in naive.0.iter().enumerate() {
            if *state == Gone {
                continue; // another waiter may have its number by now
            }
            prop_assert_eq!(queue.is_head(ticket), waiting.first() == Some(&n));
            prop_assert_eq!(queue.get_mut(ticket).is_some(), *state == Waits);
            let wanted = queue.wanted_before(ticket);
            prop_assert_eq!(wanted, sums(naive.before(n)));
            let before: Vec<_> = queue.before(ticket).map(|waiter| waiter.demand.since).collect();
            let expected = waiting.iter().filter(|other| naive.rank(**other) < naive.rank(n));
            prop_assert_eq!(before, expected.map(|other| *other as Nanos).collect::<Vec<_>>());
            let at_most = queue.wanted_before_at_most(ticket);
            if *in_ring {
                prop_assert_eq!(wanted.minus(&at_most), Sums::default());
                prop_assert_eq!(at_most.minus(&sums(naive.before_or_gone(n))), Sums::default());
            } else {
                prop_assert_eq!(at_most, wanted);
            }
            prop_assert!(queue.places_before(ticket) >= queue.before(ticket).count() as u64);
        }
        prop_assert_eq!(queue.ring.iter().count() + queue.returned.len(), waiting.len());
        if waiting.is_empty() {
            prop_assert!(queue.ring.is_empty() && queue.returned.is_empty());
            prop_assert_eq!((queue.joined_total, queue.wanted_by_returned), (queue.left_total, Sums::default()));
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(cases(5_000))]

        #[test]
        fn waiters_stand_in_the_order_in_which_they_came(events in any_events()) {
            let (mut queue, mut naive, mut stale) = (Queue::default(), Naive::default(), Wakers::default());
            for event in events {
                match event {
                    Event::Join(permits) => {
                        let demand = naive.demand(permits);
                        let ticket = queue.join(Waker::noop(), demand);
                        naive.0.push(Guest { ticket, demand, came: demand.since, in_ring: true, state: Waits });
                    }
                    Event::JoinAgain(n) => {
                        let Some(&mut Guest { demand, came, .. }) = naive.find(n, |state| state == Gone) else { continue };
                        let demand = naive.demand(demand.counts[0]);
                        let first = naive.0.iter().find(|guest| guest.in_ring && guest.state == Waits);
                        let keeps = first.is_none_or(|first| came <= first.came);
                        let before = queue.wanted_before_again(came);
                        let ticket = queue.join_again(Waker::noop(), demand, came);
                        let came = if keeps { came } else { demand.since };
                        naive.0.push(Guest { ticket, demand, came, in_ring: !keeps, state: Waits });
                        let expected = keeps.then(|| sums(naive.before(naive.0.len() - 1)));
                        prop_assert_eq!(before, expected);
                    }
                    Event::Leave(n) => {
                        if let Some(guest) = naive.find(n, |state| state != Gone) {
                            queue.leave(&guest.ticket, &mut stale);
                            guest.state = Gone;
                        }
                    }
                    Event::Skip => {
                        queue.skip_head(&mut stale);
                        if let Some(n) = naive.waiting().first() {
                            (naive.0[*n].state, naive.0[*n].in_ring) = (Skipped, false);
                        }
                    }
                    Event::CheckIn(n) => {
                        if let Some(guest) = naive.find(n, |state| state != Gone) {
                            let was_skipped = queue.check_in(&guest.ticket, &guest.demand, Waker::noop(), &mut stale);
                            prop_assert_eq!(was_skipped, guest.state == Skipped);
                            guest.state = Waits;
                        }
                    }
                }
                check(&mut queue, &naive)?;
            }
        }
    }

    #[test]
    fn a_waiter_is_unaffected_by_those_that_leave_behind_it() {
        let mut queue = Queue::default();
        let demand = demand_of(1, 0);
        let tickets: Vec<_> = (0..10).map(|_| queue.join(Waker::noop(), demand)).collect();
        for gone in [8, 7, 6, 9] {
            queue.leave(&tickets[gone], &mut Wakers::default());
            assert_eq!(queue.wanted_before_at_most(&tickets[5]), sums(5));
        }
        assert_eq!(queue.ring.places(), 6);
    }

    #[test]
    fn a_million_waiters_that_leave_out_of_order_leave_no_memory() {
        const WAITERS: usize = 1_000_000;
        let mut queue = Queue::default();
        let demand = demand_of(1, 0);
        let tickets: Vec<_> = (0..WAITERS).map(|_| queue.join(Waker::noop(), demand)).collect();
        // 700,001 is coprime to the number of waiters, so each leaves once.
        for n in 0..WAITERS {
            queue.leave(&tickets[n * 700_001 % WAITERS], &mut Wakers::default());
        }
        assert_eq!((queue.len(), queue.ring.capacity(), queue.joined_total), (0, 0, queue.left_total));
    }
}
