//! A queue of waiters, from which each can leave at any time.
//!
//! Places are numbered in the order in which the waiters came, and a waiter keeps its number. A
//! waiter that leaves from the middle leaves a vacant place, which is removed once it reaches
//! either end. The numbers have no gaps, so a number gives an index, and a waiter is found and
//! removed in constant time.

use std::{collections::VecDeque, task::Waker};

/// Capacity in places beyond which an empty ring frees its memory.
const KEPT_WHEN_EMPTY: usize = 64;

/// The waiters. A vacant place keeps a `V` in memory of its waiter.
#[derive(Debug)]
pub(crate) struct Ring<W, V = ()> {
    /// Place number `first + i` at index `i`. Neither the first nor the last place is vacant.
    places: VecDeque<Place<W, V>>,
    first: i64,
}

#[derive(Debug)]
enum Place<W, V> {
    Taken(W),
    Vacant(V),
}

/// The end of a ring from which a vacant place was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Front,
    /// The number of the place is given out again.
    Back,
}

impl<W, V> Default for Ring<W, V> {
    fn default() -> Self {
        Self { places: VecDeque::new(), first: 0 }
    }
}

impl<W, V> Ring<W, V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of the first place, or of the next waiter if the ring is empty. All waiters with
    /// smaller numbers have left.
    pub(crate) fn first(&self) -> i64 {
        self.first
    }

    /// Adds a place at the end, and returns its number.
    pub(crate) fn push(&mut self, waiter: W) -> i64 {
        let number = self.first + i64::try_from(self.places.len()).expect("the ring fits into memory");
        self.places.push_back(Place::Taken(waiter));
        number
    }

    /// The index of a place; `None` for a number before the ring.
    pub(crate) fn index(&self, number: i64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    pub(crate) fn get_mut(&mut self, number: i64) -> Option<&mut W> {
        let index = self.index(number)?;
        self.places.get_mut(index)?.waiter_mut()
    }

    pub(crate) fn front(&self) -> Option<&W> {
        self.places.front()?.waiter()
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut W> {
        self.places.front_mut()?.waiter_mut()
    }

    /// All waiters, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &W> {
        self.places.iter().filter_map(Place::waiter)
    }

    /// All waiters, in order.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.places.iter_mut().filter_map(Place::waiter_mut)
    }

    /// The waiters before this number, in order.
    pub(crate) fn before(&self, number: i64) -> impl Iterator<Item = &W> {
        self.places.iter().take(self.index(number).unwrap_or(0)).filter_map(Place::waiter)
    }

    /// Removes a waiter from any place; `None` if it has left already. The vacant place keeps what
    /// `remember` returns, and `forget` gets it back when the place is removed.
    ///
    /// The front is trimmed first, because numbers at the end are reused, and a place at the front
    /// may be that of a waiter that comes back.
    pub(crate) fn leave(
        &mut self,
        number: i64,
        remember: impl FnOnce(&W) -> V,
        mut forget: impl FnMut(End, V),
    ) -> Option<W> {
        let index = self.index(number)?;
        let waiter = self.places.get_mut(index)?.vacate(remember)?;
        while self.places.front().is_some_and(Place::is_vacant) {
            self.first += 1;
            self.places.pop_front().and_then(Place::into_left).into_iter().for_each(|left| forget(End::Front, left));
        }
        while self.places.back().is_some_and(Place::is_vacant) {
            self.places.pop_back().and_then(Place::into_left).into_iter().for_each(|left| forget(End::Back, left));
        }
        if self.places.is_empty() && self.places.capacity() > KEPT_WHEN_EMPTY {
            self.places = VecDeque::new();
        }
        Some(waiter)
    }

    /// Takes all waiters out. Their numbers stay at or above [`first`](Self::first).
    pub(crate) fn take(&mut self) -> Self {
        Self { places: std::mem::take(&mut self.places), first: self.first }
    }

    /// All waiters, in order.
    pub(crate) fn into_waiters(self) -> impl Iterator<Item = W> {
        self.places.into_iter().filter_map(Place::into_waiter)
    }

    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.places.capacity()
    }
}

impl<W, V> Place<W, V> {
    fn waiter(&self) -> Option<&W> {
        match self {
            Self::Taken(waiter) => Some(waiter),
            Self::Vacant(_) => None,
        }
    }

    fn waiter_mut(&mut self) -> Option<&mut W> {
        match self {
            Self::Taken(waiter) => Some(waiter),
            Self::Vacant(_) => None,
        }
    }

    fn into_waiter(self) -> Option<W> {
        match self {
            Self::Taken(waiter) => Some(waiter),
            Self::Vacant(_) => None,
        }
    }

    fn is_vacant(&self) -> bool {
        matches!(self, Self::Vacant(_))
    }

    fn into_left(self) -> Option<V> {
        match self {
            Self::Taken(_) => None,
            Self::Vacant(left) => Some(left),
        }
    }

    fn vacate(&mut self, remember: impl FnOnce(&W) -> V) -> Option<W> {
        let left = remember(self.waiter()?);
        std::mem::replace(self, Self::Vacant(left)).into_waiter()
    }
}

/// Wakers to wake or to drop once no lock is held. Dropping a waker may drop a task and all that it
/// owns, such as another waiter of the same handle.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Option<Waker>, Vec<Waker>);

impl Wakers {
    pub(crate) fn add(&mut self, waker: Waker) {
        match &mut self.0 {
            empty @ None => *empty = Some(waker),
            Some(_) => self.1.push(waker),
        }
    }

    /// Wakes all, in the order in which they were added.
    pub(crate) fn wake(self) {
        self.0.into_iter().chain(self.1).for_each(Waker::wake);
    }
}
