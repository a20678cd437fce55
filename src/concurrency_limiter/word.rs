//! Permits of a fixed limiter, taken and given back without the lock.
//!
//! While a limiter is *open*, its free permits are half of an atomic word. The other half counts
//! the calls that were admitted since the limiter was opened, so a call needs one compare-and-swap
//! to be admitted and counted, and one to give its permits back. Every other call takes the lock.
//! The holder of the lock shuts the word, and so owns the permits. On release the holder opens the
//! word again, unless a call waits, the limiter is closed, or more permits are in use than the
//! limit allows.
//!
//! An adaptive limiter stays shut, because it looks at the end of each call.

use crate::sync::{
    AtomicU64,
    Ordering::{AcqRel, Relaxed, Release},
};

/// Value of the word while the limiter is shut.
const SHUT: u64 = u64::MAX;

/// The upper half with a single admitted call.
const ONE_CALL: u64 = 1 << 32;

/// Values from here on have no room for another call in the upper half. `SHUT` is one of them.
const FULL: u64 = (u32::MAX as u64 - 1) << 32;

/// The calls that were admitted and the permits that are free, or [`SHUT`].
#[derive(Debug)]
pub(super) struct Word(AtomicU64);

impl Word {
    pub(super) fn shut() -> Self {
        Self(AtomicU64::new(SHUT))
    }

    /// Takes permits that are free. Returns `false` if the call must take the lock.
    #[inline]
    pub(super) fn try_take(&self, permits: u32) -> bool {
        let mut word = self.0.load(Relaxed);
        loop {
            if word >= FULL || free(word) < permits {
                return false;
            }
            let taken = word + ONE_CALL - u64::from(permits);
            match self.0.compare_exchange_weak(word, taken, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(changed) => word = changed,
            }
        }
    }

    /// Gives permits back. Returns `false` if the call must take the lock.
    #[inline]
    pub(super) fn try_give_back(&self, permits: u32) -> bool {
        let mut word = self.0.load(Relaxed);
        loop {
            if word == SHUT {
                return false;
            }
            match self.0.compare_exchange_weak(word, word + u64::from(permits), AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(changed) => word = changed,
            }
        }
    }

    /// Gives the permits to the holder of the lock. Returns the free permits and the calls since
    /// the word was opened; `None` if the word is shut already.
    pub(super) fn shut_down(&self) -> Option<(u32, u32)> {
        let word = self.0.swap(SHUT, AcqRel);
        (word != SHUT).then(|| (free(word), calls(word)))
    }

    /// Takes the permits over from the holder of the lock.
    pub(super) fn open(&self, free: u32) {
        self.0.store(free.into(), Release);
    }
}

#[allow(clippy::cast_possible_truncation)] // the lower half
fn free(word: u64) -> u32 {
    word as u32
}

#[allow(clippy::cast_possible_truncation)] // the upper half fits
fn calls(word: u64) -> u32 {
    (word >> 32) as u32
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn the_word_counts_calls_until_it_is_full() {
        let word = Word::shut();
        assert!(!word.try_take(0) && !word.try_give_back(1));
        word.open(3);
        assert!(word.try_take(2) && !word.try_take(2) && word.try_take(1) && !word.try_take(1));
        assert!(word.try_give_back(2));
        assert_eq!([word.shut_down(), word.shut_down()], [Some((2, 2)), None]);

        word.0.store(FULL - ONE_CALL + 5, Relaxed);
        assert!(word.try_take(1) && !word.try_take(1) && word.try_give_back(1));
        assert_eq!(word.shut_down(), Some((5, u32::MAX - 1)));
    }

    #[test]
    fn the_largest_limit_does_not_shut_the_word() {
        let word = Word::shut();
        word.open(u32::MAX);
        assert!(word.try_take(u32::MAX) && !word.try_take(1));
        word.0.store(FULL, Relaxed);
        assert!(word.try_give_back(u32::MAX));
        assert_eq!(word.shut_down(), Some((u32::MAX, u32::MAX - 1)));
    }
}
