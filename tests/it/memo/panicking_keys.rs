//! Keys with a `Hash`, `Eq` or `Clone` that panics. The panic leaves no state behind that would
//! block other calls.

use crate::support::{paused, secs};
use decor::{KeyedLimiter, Memo, prelude::*};
use std::{
    cell::Cell,
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    /// Calls of a key's code before the one that panics; negative if none panics.
    static LEFT: Cell<i32> = const { Cell::new(-1) };
}

fn count_down() {
    let left = LEFT.get();
    LEFT.set(left - 1);
    assert_ne!(left, 0, "the code of a key");
}

#[derive(Debug)]
struct Key(u32);

impl Clone for Key {
    fn clone(&self) -> Self {
        count_down();
        Self(self.0)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        count_down();
        self.0.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        count_down();
        self.0 == other.0
    }
}

impl Eq for Key {}

/// Returns `true` if the code of a key panicked in `act`.
fn panics(at: i32, act: impl FnOnce()) -> bool {
    LEFT.set(at);
    let panicked = catch_unwind(AssertUnwindSafe(act)).is_err();
    LEFT.set(-1);
    panicked
}

#[test]
fn a_load_ends_wherever_the_code_of_its_key_panics() {
    // At the first position without a panic, all positions have been tried.
    for at in 0.. {
        let memo: Memo<Key, u32> = Memo::ttl(secs(60));
        memo.insert(Key(7), 0); // so that `Eq` is called as well
        memo.invalidate(&Key(7));
        let square = (|key: Key| key.0 * key.0).blocking().memoized(&memo);
        let panicked = panics(at, || assert_eq!(square.call(Key(7)), 49));
        let stats = memo.stats();
        assert_eq!(stats.loading, 0, "at {at}");
        // Another call would wait for ever if the load had left its flight behind.
        let runtime = paused();
        let square = (|key: Key| async move { Ok::<_, decor::Error>(key.0 * key.0) }).memoized(&memo).timeout(secs(1));
        assert_eq!(runtime.block_on(square.call(Key(7))), Ok(49), "at {at}");
        if !panicked {
            assert!(at > 3, "{at} positions are too few");
            return;
        }
    }
}

#[test]
fn a_keyed_limiter_counts_no_key_that_was_not_inserted() {
    for at in 0.. {
        let settings = RateLimiter::builder().window(1, secs(60));
        let per_user: KeyedLimiter<Key> = settings.keyed().max_keys(4).build();
        let panicked = (100..110).filter(|user| panics(at, || drop(per_user.for_key(&Key(*user))))).count();
        let inserted = per_user.len();
        assert!(inserted <= 4, "at {at}: {inserted}");
        let users = 0..3;
        let admitted = |user: u32| per_user.for_key(&Key(user)).try_acquire().is_ok();
        assert_eq!(users.clone().filter(|user| admitted(*user)).count(), 3, "at {at}");
        assert_eq!(users.filter(|user| admitted(*user)).count(), 0, "at {at}");
        assert!(per_user.len() <= 4);
        if panicked == 0 {
            assert!(at > 3, "{at} positions are too few");
            return;
        }
    }
}
