//! `KeyedLimiter`: each key is limited by itself, and idle keys are forgotten.

use crate::support::{cases, ms, paused, secs};
use decor::{Error, KeyedLimiter, RateLimiter, prelude::*};
use futures::future::join_all;
use proptest::prelude::*;
use std::{collections::BTreeMap, future::ready, hash::Hash, thread, time::Duration};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, task};

fn bounded<K: Eq + Hash + Clone>(limit: u32, period: Duration, max_keys: usize) -> KeyedLimiter<K> {
    RateLimiter::builder().window(limit, period).keyed().max_keys(max_keys).build()
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_limit_of_its_own() {
    let per_host: KeyedLimiter<String> = KeyedLimiter::new(2, secs(1));
    let begun = Instant::now();
    let calls = ["a", "b", "a", "b", "a"].map(|host| {
        let limiter = per_host.for_key(host);
        async move {
            limiter.acquire().await;
            (host, begun.elapsed().as_secs())
        }
    });
    assert_eq!(join_all(calls).await, [("a", 0), ("b", 0), ("a", 0), ("b", 0), ("a", 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_decorator_takes_the_key_from_the_arguments() {
    let per_host = KeyedLimiter::new(1, secs(1));
    let fetch = (|host: String, path: &'static str| ready(format!("{host}{path}")))
        .rate_limited_by_key(&per_host, |host: &String, _: &&str| host.clone());
    let begun = Instant::now();
    assert_eq!(fetch.call("a".into(), "/1").await, "a/1");
    assert_eq!(fetch.call("b".into(), "/1").await, "b/1");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(fetch.call("a".into(), "/2").await, "a/2");
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_setting_of_one_key_reaches_no_other() {
    let per_user: KeyedLimiter<u64> = RateLimiter::builder().window(5, secs(1)).max_waiting(0).keyed().build();
    per_user.for_key(&1).pause_for(secs(9));
    per_user.for_key(&2).charge(3);
    assert_eq!([1, 2, 3].map(|user| per_user.clone().for_key(&user).available()), [0, 2, 5]);
    let refused = per_user.for_key(&1).acquire_many(1).await;
    assert_eq!(refused, Err(Error::QueueFull { waiting: 0 }));
}

#[tokio::test(start_paused = true)]
async fn idle_keys_are_forgotten_and_others_are_not() {
    let per_user = KeyedLimiter::new(1, secs(1));
    assert!(per_user.is_empty());
    for user in 0..1_000_u64 {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    assert!(!per_user.is_empty());
    assert_eq!(per_user.len(), 1_000);
    let held = per_user.for_key(&1);
    let waited_for = per_user.for_key(&2);
    let mut waiter = task::spawn(waited_for.acquire_many(1));
    assert_pending!(waiter.poll());

    // Within the window, no key may be forgotten, because a forgotten key starts anew.
    advance(ms(999)).await;
    for user in 0..1_000 {
        assert!(per_user.for_key(&user).try_acquire().is_err(), "{user}");
    }
    // After the window, lookups of new keys forget the idle ones.
    advance(ms(1)).await;
    for user in 1_000..2_000 {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    assert_eq!(per_user.len(), 1_000 + 2);
    held.try_acquire().unwrap();
    assert!(per_user.for_key(&1).try_acquire().is_err(), "a key that is held must be remembered");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_remembered_for_as_long_as_anything_of_it_counts() {
    let exact = RateLimiter::builder().window(1, secs(60));
    let paced = RateLimiter::builder().paced(1, secs(60));
    for settings in [exact, paced.clone()] {
        let per_user: KeyedLimiter<u32> = settings.keyed().build();
        per_user.for_key(&1).pause_for(secs(300));
        advance(secs(299)).await;
        for user in 2..1_000 {
            per_user.for_key(&user).try_acquire().unwrap();
        }
        assert!(per_user.for_key(&1).try_acquire().is_err());
    }
    let per_user: KeyedLimiter<u32> = paced.keyed().build();
    per_user.for_key(&1).charge(3); // an overdraft of three minutes
    advance(secs(179)).await;
    for user in 2..1_000 {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    assert!(per_user.for_key(&1).try_acquire().is_err());
    advance(secs(1)).await;
    assert!(per_user.for_key(&1).try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_stays_within_its_bound() {
    let per_user = bounded(1, secs(60), 10_000);
    let held = per_user.for_key(&0);
    held.try_acquire().unwrap();
    for user in 1..300_000_u32 {
        per_user.for_key(&user).try_acquire().unwrap();
        assert!(user % 1_000 != 0 || per_user.len() == 10_000.min(user as usize + 1));
    }
    assert!(per_user.for_key(&299_999).try_acquire().is_err(), "the last key must be remembered");
    assert!(per_user.for_key(&0).try_acquire().is_err(), "a key that is held must be remembered");
    assert!(per_user.for_key(&1).try_acquire().is_ok(), "the first key must be forgotten");
}

#[tokio::test(start_paused = true)]
async fn as_many_keys_fit_as_the_bound_says() {
    for bound in [1, 2, 15, 16, 17, 31, 100, 1_000] {
        let per_user = bounded(1, secs(3600), bound);
        let admitted = |user: usize| per_user.for_key(&user).try_acquire().is_ok();
        for user in 0..bound {
            assert!(admitted(user));
            advance(ms(1)).await;
        }
        assert_eq!((0..bound).filter(|user| admitted(*user)).count(), 0, "bound {bound}");
        // One more key does not fit, so the key that would be idle next is forgotten.
        assert!(admitted(bound));
        assert_eq!(per_user.len(), bound);
        assert_eq!((1..=bound).filter(|user| admitted(*user)).count(), 0, "bound {bound}");
        assert!(admitted(0), "bound {bound}");
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bound_the_key_that_would_be_idle_next_is_forgotten() {
    // Key 2 stays, because it was used last and so is idle last.
    let per_user = bounded(2, secs(5), 2);
    for (passes, user) in [(0, 1), (1, 1), (2, 2), (1, 3)] {
        advance(secs(passes)).await;
        per_user.for_key(&user).try_acquire().unwrap();
    }
    assert_eq!(per_user.for_key(&2).available(), 1, "remembered");
    assert_eq!(per_user.len(), 2);

    // Twelve keys are forgotten in the order in which they were used for the second time.
    let per_user = bounded(2, secs(60), 12);
    (0..12).for_each(|user| per_user.for_key(&user).try_acquire().unwrap());
    let order = [5, 2, 11, 0, 7, 3, 9, 1, 10, 4, 8, 6];
    for user in order {
        advance(secs(1)).await;
        per_user.for_key(&user).try_acquire().unwrap();
    }
    for (n, newcomer) in (1..=12).zip(100..) {
        per_user.for_key(&newcomer).try_acquire().unwrap();
        assert_eq!(per_user.len(), 12);
        let left: Vec<_> = order[n..].iter().filter(|user| per_user.for_key(user).available() == 0).collect();
        assert_eq!(left.len(), 12 - n, "after {n} new keys");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_in_use_outlives_keys_that_came_once() {
    let per_user = bounded(2, secs(60), 100);
    per_user.for_key(&0).try_acquire().unwrap();
    for user in 1..1_000 {
        advance(secs(1)).await;
        let _ = per_user.for_key(&0).try_acquire();
        per_user.for_key(&user).try_acquire().unwrap();
    }
    // Uses two permits a minute, from the first second on.
    assert!((33..=34).contains(&per_user.for_key(&0).stats().admitted));
}

#[tokio::test(start_paused = true)]
async fn lookups_of_five_keys_are_enough_to_forget_all_idle_keys() {
    let per_user = KeyedLimiter::new(1, secs(1));
    for user in 0..50_000_u32 {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    assert_eq!(per_user.len(), 50_000);
    for _ in 0..3_600 {
        advance(secs(2)).await;
        (0..5).for_each(|user| per_user.for_key(&user).try_acquire().unwrap());
    }
    assert_eq!(per_user.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_key_with_a_long_pause_does_not_keep_others_from_being_forgotten() {
    let per_user = KeyedLimiter::new(1, secs(1));
    for user in 0..1_000_u32 {
        per_user.for_key(&user).pause_for(if user < 100 { secs(3600) } else { secs(1) });
    }
    advance(secs(1)).await;
    (0..1_000).for_each(|_| drop(per_user.for_key(&0)));
    assert_eq!(per_user.len(), 100);
    advance(secs(3599)).await;
    (0..1_000).for_each(|_| drop(per_user.for_key(&0)));
    assert_eq!(per_user.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_its_own_stays_with_a_key() {
    let exact = RateLimiter::builder().window(10, secs(1));
    let paced = RateLimiter::builder().paced(10, secs(1)).burst(10);
    for settings in [exact, paced] {
        let per_user: KeyedLimiter<u32> = settings.keyed().max_keys(100).build();
        per_user.for_key(&7).set_limit(5, secs(1));
        for user in 100..10_000 {
            advance(ms(10)).await;
            per_user.for_key(&user).try_acquire().unwrap();
        }
        assert_eq!(per_user.for_key(&7).available(), 5);
        assert_eq!(per_user.len(), 100);

        // With its limit set back, the key can be forgotten like any other.
        per_user.for_key(&7).set_limit(10, secs(1));
        advance(secs(3)).await;
        (0..1_000).for_each(|_| drop(per_user.for_key(&100)));
        assert_eq!(per_user.len(), 1);

        per_user.for_key(&7).set_limit(5, secs(1));
        let held = per_user.for_key(&7);
        assert!(per_user.remove(&7));
        assert!(!per_user.remove(&7));
        assert_eq!((held.available(), per_user.for_key(&7).available()), (5, 10));
        assert_eq!(per_user.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_held_exceed_the_bound_until_they_are_free() {
    let per_user = bounded(1, secs(3600), 10);
    let held: Vec<_> = (0..50).map(|user| per_user.for_key(&user)).collect();
    assert_eq!(per_user.len(), 50);
    drop(held);
    for user in 50..100 {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    assert_eq!(per_user.len(), 10);
    // Lookups of a known key bring the number of keys back to the bound as well.
    let held: Vec<_> = (100..200).map(|user| per_user.for_key(&user)).collect();
    assert_eq!(per_user.len(), 100 + usize::from(per_user.len() > 100));
    drop(held);
    (0..100).for_each(|_| drop(per_user.for_key(&199)));
    assert_eq!(per_user.len(), 10);
}

#[test]
fn threads_share_one_bound() {
    let per_user = bounded(1, secs(3600), 800);
    let admitted = || -> usize {
        let threads = [0; 8].map(|_| {
            let per_user = per_user.clone();
            thread::spawn(move || (0..800).filter(|user| per_user.for_key(user).try_acquire().is_ok()).count())
        });
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    };
    assert_eq!(admitted(), 800, "each key must be admitted once, by one of the threads");
    assert_eq!((admitted(), per_user.len()), (0, 800));
    let threads = (1..=8).map(|thread| {
        let per_user = per_user.clone();
        thread::spawn(move || (0..1_000).for_each(|user| drop(per_user.for_key(&(thread * 1_000 + user)))))
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(per_user.len(), 800);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Call(u8),
    Hold(u8),
    Release,
    Remove(u8),
    Advance(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..12).prop_map(Step::Call),
        1 => (0_u8..12).prop_map(Step::Hold),
        1 => Just(Step::Release),
        1 => (0_u8..12).prop_map(Step::Remove),
        3 => (1_u64..15).prop_map(Step::Advance),
    ]
}

proptest! {
    #![proptest_config(cases(5_000))]

    /// The model keeps all admissions of each key. A key may be admitted too early only if the
    /// limiter was full since.
    #[test]
    fn no_key_is_forgotten_early_while_there_is_room(
        bound in 1_usize..8,
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let runtime = paused();
        runtime.block_on(async {
            let per_user: KeyedLimiter<u8> = bounded(1, ms(10), bound);
            let (mut now, mut held) = (0, Vec::new());
            // The moment of each key's admission, and the moment at which the bound last made a key
            // be forgotten.
            let (mut admitted, mut full_at) = (BTreeMap::<u8, u64>::new(), None);
            for step in steps {
                let before = per_user.len();
                match step {
                    Step::Call(user) => {
                        let counts = admitted.get(&user).is_some_and(|at| now < at + 10);
                        let is_new = !admitted.contains_key(&user);
                        let was_full = per_user.len() >= bound;
                        let result = per_user.for_key(&user).try_acquire();
                        if result.is_ok() {
                            let taken_away = admitted.get(&user).zip(full_at).is_some_and(|(at, full_at)| *at <= full_at);
                            prop_assert!(!counts || taken_away, "key {} was admitted too early", user);
                            admitted.insert(user, now);
                        } else {
                            prop_assert!(counts, "key {} was refused with a permit free", user);
                        }
                        if was_full && (is_new || result.is_ok()) {
                            full_at = Some(now);
                        }
                    }
                    Step::Hold(user) => {
                        if per_user.len() >= bound {
                            full_at = Some(now);
                        }
                        held.push(per_user.for_key(&user));
                    }
                    Step::Release => held.clear(),
                    Step::Remove(user) => {
                        per_user.remove(&user);
                        admitted.remove(&user);
                    }
                    Step::Advance(millis) => {
                        advance(ms(millis)).await;
                        now += millis;
                    }
                }
                prop_assert!(per_user.len() <= before.max(bound + held.len()));
            }
            Ok(())
        })?;
    }
}

#[test]
fn invalid_settings_are_refused() {
    let refused = |result: Result<KeyedLimiter<u8>, decor::ConfigError>| result.unwrap_err().to_string();
    assert_eq!(refused(KeyedLimiter::try_new(0, secs(1))), "`limit` is 0, but must be at least 1");
    assert_eq!(refused(KeyedLimiter::try_new(1, Duration::ZERO)), "`period` is 0ns, but must be longer than zero");
    assert_eq!(
        refused(RateLimiter::builder().window(1, secs(1)).keyed().max_keys(0).try_build()),
        "`max_keys` is 0, but must be at least 1"
    );
    assert_eq!(format!("{:?}", KeyedLimiter::<u8>::new(3, secs(1))), "KeyedLimiter(3 per 1s for each key)");
}
