//! Who waits, in the order in which they came.

use crate::policy::{Counts, Nanos, Sums};
use std::{collections::VecDeque, task::Waker};

/// What a waiter keeps to find its place again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    /// Where the place is. Numbers in the queue rise without gaps, so those of places that were left are used again.
    number: u64,
    /// Whose it is. Never used again.
    serial: u64,
    /// All permits that were joined by then, its own not included.
    joined: Sums,
}

/// Beyond this an emptied queue gives its memory back.
const KEPT_WHEN_EMPTY: usize = 64;

#[derive(Debug)]
pub(super) struct Queue {
    /// `None` where somebody left from the middle.
    places: VecDeque<Option<Place>>,
    /// The number of the first place.
    first: u64,
    len: usize,
    serials: u64,
    /// Permits of all who ever joined, and of all who left in whatever way. The difference is what is wanted by those who
    /// wait; and, to one who remembers the first from when it joined, by those before it.
    joined: Sums,
    left: Sums,
    spent: Spent,
}

/// Wakers that nobody needs any more. Dropping one may drop a task and all that it owns, another waiter for one; so it
/// must not happen inside of the lock.
#[derive(Debug, Default)]
pub(super) struct Spent(Option<Waker>, Vec<Waker>);

impl Spent {
    fn add(&mut self, waker: Waker) {
        match &mut self.0 {
            empty @ None => *empty = Some(waker),
            Some(_) => self.1.push(waker),
        }
    }
}

/// One waiter.
#[derive(Debug)]
pub(super) struct Place {
    serial: u64,
    pub(super) waker: Waker,
    pub(super) counts: Counts,
    /// When it will look for itself.
    pub(super) alarm: Nanos,
    /// Since when it has been free to go, and knows it.
    pub(super) called: Option<Nanos>,
}

impl Queue {
    pub(super) fn new() -> Self {
        // In the middle of the numbers, for one who was passed over comes back in front of all.
        let first = u64::MAX / 2;
        Self {
            places: VecDeque::new(),
            first,
            len: 0,
            serials: 0,
            joined: Sums::default(),
            left: Sums::default(),
            spent: Spent::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Permits wanted by all who wait.
    pub(super) fn wanted(&self) -> Sums {
        self.joined.minus(&self.left)
    }

    /// Permits wanted by those before this waiter. Too little, if some behind it have left.
    pub(super) fn wanted_before(&self, ticket: &Ticket) -> Sums {
        ticket.joined.minus(&self.left)
    }

    /// How many places there are before this waiter's, those that were left included.
    pub(super) fn places_before(&self, ticket: &Ticket) -> u64 {
        ticket.number.saturating_sub(self.first)
    }

    /// A place at the end.
    pub(super) fn join(&mut self, waker: &Waker, counts: Counts) -> Ticket {
        let place = self.place(waker, counts);
        let ticket = Ticket { number: self.first + self.places.len() as u64, ..place.1 };
        self.places.push_back(Some(place.0));
        ticket
    }

    /// A place before all others, for one who was passed over: there it was.
    pub(super) fn rejoin(&mut self, waker: &Waker, counts: Counts) -> Ticket {
        let place = self.place(waker, counts);
        self.places.push_front(Some(place.0));
        self.first -= 1;
        Ticket { number: self.first, joined: self.left, ..place.1 }
    }

    fn place(&mut self, waker: &Waker, counts: Counts) -> (Place, Ticket) {
        let serial = self.serials;
        let ticket = Ticket { number: 0, serial, joined: self.joined };
        self.serials += 1;
        self.len += 1;
        self.joined.add(&counts);
        (Place { serial, waker: waker.clone(), counts, alarm: Nanos::MAX, called: None }, ticket)
    }

    fn index(&self, ticket: &Ticket) -> Option<usize> {
        let index = usize::try_from(ticket.number.checked_sub(self.first)?).ok()?;
        self.places.get(index)?.as_ref().filter(|place| place.serial == ticket.serial).map(|_| index)
    }

    /// `None` if it has been passed over.
    pub(super) fn get_mut(&mut self, ticket: &Ticket) -> Option<&mut Place> {
        let index = self.index(ticket)?;
        self.places[index].as_mut()
    }

    /// The waiter is here: whoever called it has been heard. `false` if it has been passed over.
    pub(super) fn is_here(&mut self, ticket: &Ticket, waker: &Waker) -> bool {
        let Some(place) = self.get_mut(ticket) else { return false };
        place.called = None;
        if !place.waker.will_wake(waker) {
            let spent = std::mem::replace(&mut place.waker, waker.clone());
            self.spent.add(spent);
        }
        true
    }

    /// To be dropped outside of the lock. `None` if there are none.
    #[inline]
    pub(super) fn take_spent(&mut self) -> Option<Spent> {
        self.spent.0.is_some().then(|| std::mem::take(&mut self.spent))
    }

    pub(super) fn is_first(&self, ticket: &Ticket) -> bool {
        self.first().is_some_and(|first| first.serial == ticket.serial)
    }

    pub(super) fn first(&self) -> Option<&Place> {
        self.places.front()?.as_ref()
    }

    pub(super) fn first_mut(&mut self) -> Option<&mut Place> {
        self.places.front_mut()?.as_mut()
    }

    /// Whether it was still there.
    pub(super) fn leave(&mut self, ticket: &Ticket) -> bool {
        let Some(index) = self.index(ticket) else { return false };
        self.vacate(index);
        true
    }

    pub(super) fn leave_first(&mut self) {
        self.vacate(0);
    }

    fn vacate(&mut self, index: usize) {
        let Some(place) = self.places.get_mut(index).and_then(Option::take) else { return };
        self.left.add(&place.counts);
        self.spent.add(place.waker);
        self.len -= 1;
        // The first place is always somebody's, and so is the last.
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first += 1;
        }
        while let Some(None) = self.places.back() {
            self.places.pop_back();
        }
        if self.places.is_empty() && self.places.capacity() > KEPT_WHEN_EMPTY {
            self.places = VecDeque::new();
        }
    }
}
