//! Changes of a `KeyedLimiter`'s settings while it is used, and counts that are never lost.

use crate::support::{cases, ms, paused, secs};
use decor::{KeyedLimiter, RateLimiter, RateLimiterStats};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};

/// Looks up a key until all idle keys are forgotten.
fn look_around(per_user: &KeyedLimiter<u32>) {
    (0..1_000).for_each(|_| drop(per_user.for_key(&0)));
}

#[tokio::test(start_paused = true)]
async fn a_change_reaches_known_and_new_keys_but_not_keys_with_a_limit_of_their_own() {
    let minute = secs(60);
    let per_user: KeyedLimiter<u32> = KeyedLimiter::windows([(10, minute), (100, minute)]);
    let (known, own) = (per_user.for_key(&1), per_user.for_key(&2));
    known.try_acquire_many([1, 30]).unwrap();
    own.try_set_limits([(3, minute), (40, minute)]).unwrap();
    let before = per_user.limits();
    assert_eq!(before, [(10, minute), (100, minute)]);

    per_user.try_set_limits([(20, minute), (50, secs(30))]).unwrap();
    let available = [1, 2, 3].map(|user| per_user.for_key(&user).available_per_window());
    assert_eq!(available, [[19, 20], [3, 40], [20, 50]]);
    assert_eq!(per_user.limits(), [(20, minute), (50, secs(30))]);
    assert_eq!(format!("{per_user:?}"), "KeyedLimiter(20 per 60s, 50 per 30s for each key)");
    assert_eq!(
        per_user.try_set_limits([(1, minute)]).unwrap_err().to_string(),
        RateLimiter::windows(before.clone()).try_set_limits([(1, minute)]).unwrap_err().to_string()
    );

    per_user.try_set_limits(before).unwrap();
    let available = [1, 2, 3].map(|user| per_user.for_key(&user).available_per_window());
    assert_eq!(available, [[9, 70], [3, 40], [10, 100]]);
}

#[tokio::test(start_paused = true)]
async fn a_change_wakes_the_calls_that_wait() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(1, secs(60));
    let limiters = [1, 2].map(|user| per_user.for_key(&user));
    let mut waiters = limiters.each_ref().map(|limiter| {
        limiter.try_acquire().unwrap();
        task::spawn(limiter.acquire())
    });
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    per_user.set_limit(2, secs(60));
    for waiter in &mut waiters {
        assert!(waiter.is_woken());
        assert_ready!(waiter.poll());
    }
}

/// An operator raises the limit of all keys to that of one tenant, and lowers it again. The tenant
/// keeps its own limit.
#[tokio::test(start_paused = true)]
async fn a_limit_of_its_own_outlives_the_same_limit_for_all() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(10, secs(1));
    per_user.for_key(&7).set_limit(100, secs(1));
    per_user.set_limit(100, secs(1));
    look_around(&per_user);
    per_user.set_limit(10, secs(1));
    look_around(&per_user);
    assert_eq!(per_user.for_key(&7).available(), 100);
    assert_eq!(per_user.for_key(&8).available(), 10);

    // A setting that is set back on the key's limiter follows that of all keys again, and the key
    // is forgotten when idle.
    per_user.for_key(&7).set_limit(10, secs(1));
    per_user.set_limit(20, secs(1));
    assert_eq!(per_user.for_key(&7).available(), 20);
    advance(secs(2)).await;
    look_around(&per_user);
    assert_eq!(per_user.stats_of(&7), None);
}

#[tokio::test(start_paused = true)]
async fn each_own_setting_keeps_its_key_until_it_is_set_back() {
    type Change = fn(&RateLimiter);
    let settings: [(&str, Change, Change); 4] = [
        ("limit", |key| key.set_limit(9, secs(1)), |key| key.set_limit(10, secs(1))),
        ("burst", |key| key.set_burst(4), |key| key.set_burst(3)),
        ("max_waiting", |key| key.set_max_waiting(5), |key| key.set_max_waiting(None)),
        ("longest_pause", |key| key.set_longest_pause(secs(9)), |key| key.set_longest_pause(secs(3600))),
    ];
    for (setting, change, set_back) in settings {
        let per_user: KeyedLimiter<u32> = RateLimiter::builder().paced(10, secs(1)).burst(3).keyed().build();
        let read = || {
            let key = per_user.for_key(&7);
            (key.limits(), key.burst(), key.max_waiting(), key.longest_pause())
        };
        let common = read();
        change(&per_user.for_key(&7));
        let own = read();
        assert_ne!(own, common, "{setting}");
        for _ in 0..10 {
            advance(secs(1)).await;
            look_around(&per_user);
        }
        assert_eq!((per_user.len(), read()), (2, own), "{setting}");
        set_back(&per_user.for_key(&7));
        assert_eq!(read(), common, "{setting}");
        for _ in 0..10 {
            advance(secs(1)).await;
            look_around(&per_user);
        }
        assert_eq!(per_user.keys(), [0], "{setting}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_setting_of_all_keys_is_read_changed_and_set_back() {
    let per_user: KeyedLimiter<u32> = RateLimiter::builder().paced(10, secs(1)).burst(3).keyed().build();
    let (plain, own) = (per_user.for_key(&1), per_user.for_key(&2));
    own.set_max_waiting(1); // its only own setting
    let read = |key: &RateLimiter| (key.limits(), key.burst(), key.max_waiting(), key.longest_pause());
    let common = || (per_user.limits(), per_user.burst(), per_user.max_waiting(), per_user.longest_pause());
    let (before, own_before) = (common(), read(&own));
    assert_eq!((read(&plain), before.1, before.2, before.3), (before.clone(), Some(3), None, secs(3600)));

    per_user.set_limit(20, secs(2));
    per_user.set_burst(7);
    per_user.set_max_waiting(50);
    per_user.set_longest_pause(secs(60));
    let changed = (vec![(20, secs(2))], Some(7), Some(50), secs(60));
    assert_eq!(
        (common(), read(&plain), read(&per_user.for_key(&3))),
        (changed.clone(), changed.clone(), changed.clone())
    );
    assert_eq!(read(&own), (changed.0, changed.1, Some(1), changed.3));

    per_user.try_set_limits(before.0.clone()).unwrap();
    per_user.try_set_burst(3).unwrap();
    per_user.set_max_waiting(None);
    per_user.try_set_longest_pause(secs(3600)).unwrap();
    assert_eq!((common(), read(&plain), read(&own)), (before.clone(), before, own_before));

    assert_eq!(per_user.try_set_burst(0).unwrap_err().to_string(), "`burst` is 0, but must be at least 1");
    assert!(KeyedLimiter::<u32>::new(1, secs(1)).try_set_burst(1).is_err());
    assert!(per_user.try_set_max_keys(0).is_err());
    assert!(per_user.try_set_longest_pause(Duration::ZERO).is_err());
    assert_eq!(read(&plain), (vec![(10, secs(1))], Some(3), None, secs(3600)), "a refused change must change nothing");
}

#[tokio::test(start_paused = true)]
async fn with_a_shorter_period_keys_are_idle_earlier() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(1, secs(3600));
    for user in 0..100 {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    per_user.set_limit(1, secs(1));
    advance(secs(1)).await;
    look_around(&per_user);
    assert_eq!(per_user.keys(), [0]);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_keys_is_lowered_and_raised() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(1, secs(3600));
    for user in 0..1_000 {
        per_user.for_key(&user).try_acquire().unwrap();
        advance(ms(1)).await;
    }
    let held = [1, 2, 3].map(|user| per_user.for_key(&user));
    per_user.set_max_keys(100);
    assert_eq!((per_user.max_keys(), per_user.len()), (100, 100));
    let mut keys = per_user.keys();
    keys.sort_unstable();
    assert!(keys.into_iter().eq((1..=3).chain(903..1_000)), "the keys that are idle last and those held must be left");
    drop(held);
    per_user.set_max_keys(2_000);
    for user in 2_000..4_000 {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    assert_eq!((per_user.max_keys(), per_user.len()), (2_000, 2_000));
    assert_eq!(per_user.stats().admitted, 3_000);
}

#[tokio::test(start_paused = true)]
async fn no_count_is_lost_with_a_key() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(1, secs(1));
    for user in 0..1_000 {
        per_user.for_key(&user).try_acquire().unwrap();
        per_user.for_key(&user).try_acquire().unwrap_err();
    }
    let all = per_user.stats();
    assert_eq!((all.admitted, all.refused), (1_000, 1_000));
    assert_eq!(per_user.stats_of(&7), Some(per_user.for_key(&7).stats()));
    advance(secs(1)).await;
    look_around(&per_user);
    assert_eq!((per_user.len(), per_user.stats()), (1, all));
    assert_eq!((per_user.stats_of(&7), per_user.len()), (None, 1));
}

/// Callers of a removed key still count.
#[tokio::test(start_paused = true)]
async fn calls_of_a_removed_key_are_counted() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(1, secs(1));
    let held = per_user.for_key(&7);
    held.try_acquire().unwrap();
    let [mut first, mut second] = [(); 2].map(|()| task::spawn(held.acquire()));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert!(per_user.remove(&7));
    assert_eq!((per_user.len(), per_user.stats().waiting), (0, 2));
    per_user.set_limit(5, secs(1)); // does not reach the removed key
    advance(secs(1)).await;
    assert_ready!(first.poll());
    drop(second);
    let RateLimiterStats { admitted, delayed, cancelled, waiting, total_wait, .. } = per_user.stats();
    assert_eq!((admitted, delayed, cancelled, waiting, total_wait), (2, 1, 1, 0, secs(1)));
    drop(first);
    drop(held);
    let all = per_user.stats();
    look_around(&per_user);
    assert_eq!(per_user.stats(), all);
}

/// Eight threads call, remove and change keys. Two other threads never see a count fall.
#[test]
fn counts_never_fall_under_concurrent_changes() {
    let per_user: KeyedLimiter<u32> = RateLimiter::builder().window(1, ms(1)).keyed().max_keys(20).build();
    let calls = || -> u64 {
        let mut admitted = 0;
        for call in 0..2_000 {
            admitted += u64::from(per_user.for_key(&(call % 50)).try_acquire().is_ok());
            match call % 64 {
                0 => drop(per_user.remove(&(call % 50))),
                32 => per_user.set_limit(1 + call % 3, ms(1)),
                _ => {}
            }
        }
        admitted
    };
    thread::scope(|scope| {
        let callers = [0; 8].map(|_| scope.spawn(calls));
        let watchers = [0; 2].map(|_| {
            scope.spawn(|| {
                let mut last = (0, 0);
                while last.0 + last.1 < 16_000 {
                    let stats = per_user.stats();
                    let now = (stats.admitted, stats.refused);
                    assert!(last.0 <= now.0 && last.1 <= now.1, "{last:?}, then {now:?}");
                    last = now;
                }
            })
        });
        let admitted: u64 = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
        for watcher in watchers {
            watcher.join().unwrap();
        }
        assert_eq!((per_user.stats().admitted, per_user.stats().refused), (admitted, 16_000 - admitted));
    });
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Call(u8),
    Hold(u8),
    Release,
    Remove(u8),
    SetLimit(u32),
    SetOwnLimit(u8, u32),
    SetMaxKeys(usize),
    Advance(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..12).prop_map(Step::Call),
        1 => (0_u8..12).prop_map(Step::Hold),
        1 => Just(Step::Release),
        1 => (0_u8..12).prop_map(Step::Remove),
        1 => (1_u32..4).prop_map(Step::SetLimit),
        2 => (0_u8..12, 1_u32..4).prop_map(|(user, limit)| Step::SetOwnLimit(user, limit)),
        1 => (1_usize..8).prop_map(Step::SetMaxKeys),
        4 => (1_u64..15).prop_map(Step::Advance),
    ]
}

/// A model that keeps every key and all its admissions.
#[derive(Debug, Default)]
struct Naive {
    now: u64,
    limit: u32,
    own: BTreeMap<u8, u32>,
    admitted: BTreeMap<u8, Vec<u64>>,
    /// The keys that may have been forgotten, because the bound was lowered or reached.
    may_be_gone: BTreeSet<u8>,
    calls: (u64, u64),
}

impl Naive {
    fn limit_of(&self, user: u8) -> u32 {
        self.own.get(&user).copied().unwrap_or(self.limit)
    }

    fn in_use(&self, user: u8) -> usize {
        self.admitted.get(&user).map_or(0, |at| at.iter().filter(|at| **at + 10 > self.now).count())
    }
}

proptest! {
    #![proptest_config(cases(5_000))]

    /// In any order of events, no count is lost and no key's own limit is forgotten. While there is
    /// room, no admission is forgotten.
    #[test]
    fn counts_are_conserved_and_no_key_is_lost(bound in 1_usize..8, steps in prop::collection::vec(any_step(), 1..80)) {
        let runtime = paused();
        runtime.block_on(async {
            let begun = Instant::now();
            let per_user: KeyedLimiter<u8> = RateLimiter::builder().window(2, ms(10)).keyed().max_keys(bound).build();
            let mut naive = Naive { limit: 2, ..Naive::default() };
            let (mut held, mut bound) = (Vec::<(u8, RateLimiter)>::new(), bound);
            for step in steps {
                if let Step::SetMaxKeys(max_keys) = step {
                    bound = max_keys;
                }
                // Without room, any key may be forgotten that is not held and has no limit of its
                // own.
                let if_full = |naive: &mut Naive, held: &[(u8, RateLimiter)]| {
                    if per_user.len() >= bound {
                        let is_kept = |user: &u8| naive.own.contains_key(user) || held.iter().any(|(key, _)| key == user);
                        let may_go: Vec<_> = naive.admitted.keys().filter(|user| !is_kept(user)).copied().collect();
                        naive.may_be_gone.extend(may_go);
                    }
                };
                if_full(&mut naive, &held);
                match step {
                    Step::Call(user) => {
                        let (limit, in_use) = (naive.limit_of(user) as usize, naive.in_use(user));
                        let is_admitted = per_user.for_key(&user).try_acquire().is_ok();
                        if is_admitted {
                            prop_assert!(in_use < limit || naive.may_be_gone.contains(&user), "key {user} was admitted too early");
                            naive.admitted.entry(user).or_default().push(naive.now);
                            naive.calls.0 += 1;
                        } else {
                            prop_assert!(in_use >= limit, "key {user} was refused with a permit free");
                            naive.calls.1 += 1;
                        }
                    }
                    Step::Hold(user) => held.push((user, per_user.for_key(&user))),
                    Step::Release => held.clear(),
                    Step::Remove(user) => {
                        let remembered = per_user.keys().contains(&user);
                        prop_assert_eq!(per_user.remove(&user), remembered);
                        held.retain(|(key, _)| *key != user);
                        naive.admitted.remove(&user);
                        naive.own.remove(&user);
                    }
                    Step::SetLimit(limit) => {
                        per_user.set_limit(limit, ms(10));
                        naive.limit = limit;
                    }
                    Step::SetOwnLimit(user, limit) => {
                        per_user.for_key(&user).set_limit(limit, ms(10));
                        if limit == naive.limit {
                            naive.own.remove(&user);
                        } else {
                            naive.own.insert(user, limit);
                        }
                    }
                    Step::SetMaxKeys(max_keys) => per_user.set_max_keys(max_keys),
                    Step::Advance(millis) => {
                        advance(ms(millis)).await;
                        naive.now += millis;
                        prop_assert_eq!(begun.elapsed(), ms(naive.now));
                    }
                }
                if_full(&mut naive, &held);
                let stats = per_user.stats();
                prop_assert_eq!((stats.admitted, stats.refused, stats.waiting), (naive.calls.0, naive.calls.1, 0));
                let keys: BTreeSet<_> = per_user.keys().into_iter().collect();
                prop_assert_eq!(keys.len(), per_user.len());
                prop_assert!(naive.own.keys().all(|user| keys.contains(user)), "a key with its own limit was forgotten: {naive:?}, {keys:?}");
                for user in 0..12 {
                    let counts = naive.in_use(user) > 0 && !naive.may_be_gone.contains(&user);
                    prop_assert!(!counts || keys.contains(&user), "key {user} was forgotten with an admission that counts");
                    prop_assert_eq!(per_user.stats_of(&user).is_some(), keys.contains(&user));
                }
                // A lookup may forget another key if there are too many.
                for user in keys {
                    prop_assert_eq!(per_user.for_key(&user).limits(), [(naive.limit_of(user), ms(10))]);
                }
            }
            Ok(())
        })?;
    }
}

/// Only 32 checks are looked at in one search.
#[tokio::test(start_paused = true)]
async fn held_keys_do_not_hide_keys_that_can_be_forgotten() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(10, secs(60));
    let take = |user: u32| {
        let limiter = per_user.for_key(&user);
        limiter.try_acquire().unwrap();
        limiter
    };
    let held: Vec<_> = (0..100).map(take).collect();
    advance(secs(1)).await;
    (100..200).for_each(|user| drop(take(user)));
    per_user.set_max_keys(110);
    assert_eq!(per_user.len(), 110);
    assert!(held.iter().enumerate().all(|(user, _)| per_user.stats_of(&u32::try_from(user).unwrap()).is_some()));
    per_user.set_max_keys(1);
    assert_eq!(per_user.len(), 100, "held keys must stay");
}
