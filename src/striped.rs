//! A counter that many threads increment at the same time.
//!
//! An atomic addition costs some five times as much as a load and a store. A thread therefore
//! leases a *stripe* of its own, which no other thread writes to. When the thread ends, it returns
//! the stripe.
//! The threads beyond the first [`OWN`] share the remaining stripes, by atomic additions.

use crate::sync::{
    AtomicU64 as Bits,
    Ordering::{Acquire, Relaxed, Release},
};
use std::{
    cell::Cell,
    // Not by way of `crate::sync`: no decision depends on a count.
    sync::atomic::{AtomicU64, AtomicUsize},
};

/// Number of stripes that have a single writer each.
const OWN: usize = 16;
/// Number of stripes that several threads may write to.
const SHARED: usize = 16;
const STRIPES: usize = OWN + SHARED;

/// A value on cache lines of its own. Processors fetch two lines of 64 bytes at once.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

/// A count in stripes.
#[derive(Debug, Default)]
pub(crate) struct Striped {
    stripes: [Padded<AtomicU64>; STRIPES],
    /// Sum of the stripes at the latest reset. A reset leaves the stripes as they are, because a
    /// leased stripe has a single writer.
    reset_at: AtomicU64,
}

impl Striped {
    /// Adds one. Returns the earlier count of this stripe, which no reset changes.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        let number = stripe();
        let stripe = &self.stripes[number % STRIPES].0;
        if number >= OWN {
            return stripe.fetch_add(1, Relaxed);
        }
        let count = stripe.load(Relaxed);
        stripe.store(count + 1, Relaxed);
        count
    }

    /// The count since the latest reset. Exact once all threads that counted are synchronised with
    /// this one.
    pub(crate) fn get(&self) -> u64 {
        let reset_at = self.reset_at.load(Relaxed);
        self.sum().saturating_sub(reset_at)
    }

    #[cfg(any(feature = "memo", test))]
    pub(crate) fn reset(&self) {
        self.reset_at.store(self.sum(), Relaxed);
    }

    fn sum(&self) -> u64 {
        self.stripes.iter().map(|stripe| stripe.0.load(Relaxed)).sum()
    }
}

/// The number of this thread's stripe.
#[inline]
fn stripe() -> usize {
    match STRIPE.get() {
        NOT_FOUND => find_stripe(),
        number => number,
    }
}

/// The number before the first count. Not an `Option`, because LLVM then inlines the access to the
/// thread-local: 17 instructions of a paced permit.
const NOT_FOUND: usize = usize::MAX;

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(NOT_FOUND) };
    static LEASE: Lease<'static> = Lease::begin(&LEASES);
}

static LEASES: Leases = Leases::new();

#[cold]
#[inline(never)]
fn find_stripe() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    // All threads of a model run on one OS thread, so none has its own stripe.
    let lease = if cfg!(shuttle) { None } else { LEASE.try_with(|lease| lease.number).ok().flatten() };
    let number = lease.unwrap_or_else(|| OWN + THREADS.fetch_add(1, Relaxed) % SHARED);
    STRIPE.set(number);
    number
}

/// The stripes that are leased, a bit for each.
struct Leases(Bits);

impl Leases {
    const fn new() -> Self {
        Self(Bits::new(0))
    }

    /// Leases a stripe without a writer, and returns its number; `None` if all are leased.
    fn take(&self) -> Option<usize> {
        // `Acquire`: what the earlier holder has written is there.
        let taken = self.0.fetch_update(Acquire, Relaxed, |taken| {
            let free = taken.trailing_ones() as usize;
            (free < OWN).then(|| taken | 1 << free)
        });
        taken.ok().map(|taken| taken.trailing_ones() as usize)
    }

    fn give_back(&self, number: usize) {
        self.0.fetch_and(!(1 << number), Release);
    }
}

/// A stripe that only this thread writes to, until the thread ends.
struct Lease<'a> {
    leases: &'a Leases,
    /// `None` if all stripes are leased.
    number: Option<usize>,
}

impl<'a> Lease<'a> {
    fn begin(leases: &'a Leases) -> Self {
        Self { leases, number: leases.take() }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            // The destructor of another thread-local may still count, in a shared stripe.
            STRIPE.set(OWN);
            self.leases.give_back(number);
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use std::{
        sync::{Arc, Barrier},
        thread,
    };

    #[test]
    fn each_lease_has_a_stripe_of_its_own_until_all_are_leased() {
        let leases = Leases::new();
        let mut held: Vec<_> = (0..OWN).map(|_| Lease::begin(&leases)).collect();
        assert_eq!(held.iter().map(|lease| lease.number).collect::<Vec<_>>(), (0..OWN).map(Some).collect::<Vec<_>>());
        assert_eq!(leases.take(), None);
        drop(held.remove(3));
        assert_eq!([leases.take(), leases.take()], [Some(3), None]);
    }

    /// More threads than stripes, twice. Then one thread after the other, which has a stripe of its
    /// own each time.
    #[test]
    fn no_count_is_lost_and_a_thread_gives_its_stripe_back() {
        const THREADS: usize = 2 * STRIPES;
        let counter = Arc::new(Striped::default());
        for round in 1..=2 {
            let all_count = Arc::new(Barrier::new(THREADS));
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    let (counter, all_count) = (Arc::clone(&counter), Arc::clone(&all_count));
                    thread::spawn(move || {
                        all_count.wait();
                        for _ in 0..1_000 {
                            counter.count();
                        }
                        all_count.wait();
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(counter.get(), (round * THREADS * 1_000) as u64);
        }
        let numbers: Vec<_> = (0..THREADS).map(|_| thread::spawn(stripe).join().unwrap()).collect();
        assert!(numbers.iter().all(|number| *number < OWN), "{numbers:?}");
    }

    #[test]
    fn a_reset_begins_anew_and_leaves_the_stripe_as_it_is() {
        let counter = Striped::default();
        assert_eq!([counter.count(), counter.count()], [0, 1]);
        counter.reset();
        assert_eq!(counter.get(), 0);
        assert_eq!(counter.count(), 2);
        assert_eq!(counter.get(), 1);
    }
}

/// Threads that lease one stripe after the other: see [`crate::model_check`].
#[cfg(all(test, shuttle))]
mod model_check {
    use super::*;
    use crate::model_check::explore;
    use shuttle::{
        sync::{Arc, atomic::AtomicU64},
        thread,
    };

    #[test]
    fn a_stripe_has_one_writer_at_a_time() {
        let explored = explore(2, || {
            let shared = Arc::new((Leases::new(), [const { AtomicU64::new(0) }; OWN]));
            let count = |shared: Arc<(Leases, [AtomicU64; OWN])>| {
                let (leases, stripes) = &*shared;
                for _ in 0..2 {
                    let lease = Lease::begin(leases);
                    let stripe = &stripes[lease.number.expect("a stripe is free")];
                    stripe.store(stripe.load(Relaxed) + 1, Relaxed);
                }
            };
            let threads = [(); 2].map(|()| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || count(shared))
            });
            count(Arc::clone(&shared));
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(shared.1.iter().map(|stripe| stripe.load(Relaxed)).sum::<u64>(), 6);
            assert_eq!(shared.0.0.load(Relaxed), 0);
        });
        println!("{explored} interleavings");
    }
}
