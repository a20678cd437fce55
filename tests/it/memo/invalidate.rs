//! Removal of a bad value, of all values that match, and of all values with a tag. Also refreshes
//! on demand, and values that are no longer valid.

use crate::support::{ms, secs};
use decor::{Error, Memo, prelude::*};
use futures::future::join_all;
use std::{
    cell::Cell,
    future::{Future, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};
use tokio::{
    sync::oneshot,
    time::{Instant, advance, sleep},
};
use tokio_test::{assert_pending, assert_ready_eq, task};

/// A load that ends when the test sends its value.
fn load<V>(receiver: oneshot::Receiver<V>) -> impl FnOnce() -> std::pin::Pin<Box<dyn Future<Output = V> + Send>>
where
    V: Send + 'static,
{
    move || Box::pin(async { receiver.await.unwrap_or_else(|_| unreachable!("a load is told its value")) })
}

// ---- one value ----

const BAD: u64 = 1;

/// Renews a token in 100 ms. Each token has the next number.
fn renew(latest: Arc<AtomicU64>) -> impl Fn(&'static str) -> futures::future::BoxFuture<'static, u64> + Clone {
    move |_realm| {
        let latest = Arc::clone(&latest);
        Box::pin(async move {
            sleep(ms(100)).await;
            latest.fetch_add(1, SeqCst) + 1
        })
    }
}

#[tokio::test(start_paused = true)]
async fn ten_callers_with_a_bad_token_renew_it_once() {
    let memo: Memo<String, u64> = Memo::ttl(secs(3600));
    memo.insert("api".to_owned(), BAD);
    let token = renew(Arc::new(AtomicU64::new(BAD))).memoized(&memo);
    let removals = Cell::new(0);
    let answers = join_all((0..10_u64).map(|n| {
        let (memo, token, removals) = (&memo, &token, &removals);
        async move {
            // The first callers are refused during the renewal, the last after it.
            sleep(ms(n * 20)).await;
            removals.set(removals.get() + u32::from(memo.invalidate_if("api", |token| *token == BAD)));
            token.call("api").await
        }
    }))
    .await;
    assert_eq!(answers, [BAD + 1; 10]);
    assert_eq!((memo.stats().loads, removals.get()), (1, 1));
}

#[test]
fn ten_threads_with_a_bad_token_renew_it_once() {
    for _ in 0..20 {
        let (memo, barrier) = (Memo::<u8, u64>::ttl(secs(3600)), Barrier::new(10));
        memo.insert(7, BAD);
        let token = (|_: u8| BAD + 1).blocking().memoized(&memo);
        let removals = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    barrier.wait();
                    removals.fetch_add(memo.invalidate_if(&7, |token| *token == BAD).into(), SeqCst);
                    assert_eq!(token.call(7), BAD + 1);
                });
            }
        });
        assert_eq!((memo.stats().loads, removals.into_inner()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_value_a_load_under_way_goes_on() {
    let memo: Memo<u8, u64> = Memo::ttl(secs(300));
    let (end, receiver) = oneshot::channel();
    let mut leader = task::spawn(memo.get_or_load(7, load(receiver)));
    assert_pending!(leader.poll());
    assert!(!memo.invalidate_if(&7, |_| true));
    let mut joined = task::spawn(memo.get_or_load(7, || ready(0)));
    assert_pending!(joined.poll());
    end.send(49).unwrap();
    assert_ready_eq!(leader.poll(), 49);
    assert_ready_eq!(joined.poll(), 49);
    assert_eq!(memo.peek(&7), Some(49));
    assert_eq!(memo.stats().loads, 1);
}

#[tokio::test(start_paused = true)]
async fn removing_a_value_detaches_the_load_that_refreshes_it() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).refresh_ahead(0.5).build();
    memo.insert(7, BAD);
    advance(secs(5)).await;
    let (end, receiver) = oneshot::channel();
    let mut refresh = task::spawn(memo.get_or_load(7, load(receiver)));
    assert_pending!(refresh.poll());

    assert!(!memo.invalidate_if(&7, |token| *token != BAD), "a value that does not match keeps its refresh");
    assert!(memo.invalidate_if(&7, |token| *token == BAD));
    assert_eq!(memo.get_or_load(7, || ready(3)).await, 3, "a new load does not wait for the refresh");
    end.send(BAD).unwrap();
    assert_ready_eq!(refresh.poll(), BAD);
    assert_eq!(memo.peek(&7), Some(3));
}

#[test]
fn if_the_value_is_replaced_meanwhile_its_successor_is_matched() {
    let memo: Memo<u8, u64> = Memo::builder().build();
    memo.insert(7, 1);
    let mut asked = Vec::new();
    let removed = memo.invalidate_if(&7, |value| {
        asked.push(*value);
        if *value < 3 {
            memo.insert(7, value + 1); // stands for a store by another thread
        }
        *value < 3
    });
    assert!(!removed);
    assert_eq!((asked, memo.peek(&7)), (vec![1, 2, 3], Some(3)));
    assert!(!memo.invalidate_if(&7, |_| {
        memo.invalidate(&7);
        true
    }));

    memo.insert(7, 1);
    let panicking = AssertUnwindSafe(|| memo.invalidate_if(&7, |_| panic!("of the closure")));
    catch_unwind(panicking).unwrap_err();
    assert_eq!(memo.peek(&7), Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_can_match_while_it_may_be_served() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_on_error(secs(10)).build();
    memo.insert(7, 1);
    memo.insert(8, 1);
    advance(secs(19)).await;
    assert!(memo.invalidate_if(&7, |_| true));
    assert_eq!(memo.stats().expirations, 1);
    let unserved = memo.get_or_load(7, || ready(Err::<u64, _>(Error::QueueFull { waiting: 1 }))).await;
    assert!(unserved.is_err());
    advance(secs(1)).await;
    assert!(!memo.invalidate_if(&8, |_| unreachable!("the value is dead")));
}

// ---- all values that match ----

type Way = fn(&Memo<u8, u64>) -> usize;

/// The ways to remove all values with the last digit 2.
const WAYS: [Way; 2] =
    [|memo| memo.invalidate_where(|_, value| value % 10 == 2), |memo| memo.invalidate_tag("digit:2")];

fn tagged() -> Memo<u8, u64> {
    Memo::builder().tags_by(|_: &u8, value: &u64| [format!("digit:{}", value % 10)]).build()
}

#[test]
fn exactly_the_matching_values_are_removed() {
    for remove in WAYS {
        let memo = tagged();
        (0..100).for_each(|n| memo.insert(n, n.into()));
        assert_eq!(remove(&memo), 10);
        let left: Vec<u8> = (0..100).filter(|n| memo.contains(n)).collect();
        assert_eq!(left, (0..100).filter(|n| n % 10 != 2).collect::<Vec<_>>());
        assert_eq!(remove(&memo), 0);
        assert_eq!(memo.stats().entries, 90);
    }
    let untagged: Memo<u8, u64> = Memo::builder().build();
    untagged.insert(2, 2);
    assert_eq!(untagged.invalidate_tag("digit:2"), 0);
}

#[tokio::test(start_paused = true)]
async fn stale_values_can_match_and_dead_ones_cannot() {
    let builder = || Memo::<u8, u64>::builder().ttl(secs(10)).tags_by(|_: &u8, _: &u64| ["digit:2"]);
    for remove in WAYS {
        let (dead, stale) = (builder().build(), builder().stale_while_revalidate(secs(10)).build());
        dead.insert(2, 2);
        stale.insert(2, 2);
        advance(secs(10)).await;
        assert_eq!((remove(&dead), remove(&stale)), (0, 1));
    }
}

/// Otherwise a value that becomes valid again would be served again.
#[tokio::test(start_paused = true)]
async fn invalid_values_are_removed_too() {
    for remove in WAYS {
        let is_valid = Arc::new(AtomicU64::new(0));
        let its = Arc::clone(&is_valid);
        let builder = Memo::<u8, u64>::builder().tags_by(|_: &u8, _: &u64| ["digit:2"]);
        let memo = builder.valid_while(move |_: &u8, _: &u64| its.load(SeqCst) == 1).build();
        memo.insert(2, 2);
        assert_eq!(remove(&memo), 1);
        is_valid.store(1, SeqCst);
        assert_eq!(memo.peek(&2), None);
    }
}

/// A load that began before the invalidation answers only the calls that joined before it.
#[tokio::test(start_paused = true)]
async fn a_load_under_way_is_kept_only_if_its_value_does_not_match() {
    for remove in WAYS {
        for (value, matches) in [(32, true), (33, false)] {
            let memo = tagged();
            let (end, receiver) = oneshot::channel();
            let mut leader = task::spawn(memo.get_or_load(7, load(receiver)));
            assert_pending!(leader.poll());
            let mut before = task::spawn(memo.get_or_load(7, || ready(0)));
            assert_pending!(before.poll());
            assert_eq!(remove(&memo), 0);
            let mut after = task::spawn(memo.get_or_load(7, || ready(52)));
            assert_pending!(after.poll());

            end.send(value).unwrap();
            assert_ready_eq!(leader.poll(), value);
            assert_ready_eq!(before.poll(), value);
            // This call loaded anew after the invalidation, so its value is kept.
            let seen_after = if matches { 52 } else { 33 };
            assert_ready_eq!(after.poll(), seen_after);
            assert_eq!(memo.peek(&7), Some(seen_after));
            let stats = memo.stats();
            assert_eq!((stats.loads, stats.loading, stats.coalesced), (1 + u64::from(matches), 0, 2));
        }
    }
}

/// Otherwise each caller would load, because each would remove the flight of the previous caller.
#[tokio::test(start_paused = true)]
async fn ten_callers_that_remove_by_value_load_once() {
    let memo: Memo<String, u64> = Memo::ttl(secs(3600));
    memo.insert("api".to_owned(), BAD);
    let token = renew(Arc::new(AtomicU64::new(BAD))).memoized(&memo);
    let answers = join_all((0..10_u64).map(|n| {
        let (memo, token) = (&memo, &token);
        async move {
            sleep(ms(n * 20)).await;
            memo.invalidate_where(|_, token| *token == BAD);
            token.call("api").await
        }
    }));
    assert_eq!(answers.await, [BAD + 1; 10]);
    assert_eq!(memo.stats().loads, 1);
}

/// The invalidation of the key removes the flight, with the invalidations that are stored with it.
#[tokio::test(start_paused = true)]
async fn a_late_call_loads_anew_also_if_the_flight_was_removed() {
    for remove in WAYS {
        let memo = tagged();
        let (end, receiver) = oneshot::channel();
        let mut leader = task::spawn(memo.get_or_load(7, load(receiver)));
        assert_pending!(leader.poll());
        remove(&memo);
        let mut late = task::spawn(memo.get_or_load(7, || ready(52)));
        assert_pending!(late.poll());
        memo.invalidate(&7);
        end.send(32).unwrap();
        assert_ready_eq!(leader.poll(), 32);
        assert_ready_eq!(late.poll(), 52);
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_stale_value_is_not_served_to_a_late_call() {
    for remove in WAYS {
        let memo: Memo<u8, u64> = Memo::builder()
            .ttl(secs(10))
            .stale_on_error(secs(60))
            .tags_by(|_: &u8, value: &u64| [format!("digit:{}", value % 10)])
            .build();
        memo.insert(7, 32);
        advance(secs(10)).await;
        let (end, receiver) = oneshot::channel::<Result<u64, Error>>();
        let mut leader = task::spawn(memo.get_or_load(7, load(receiver)));
        assert_pending!(leader.poll());
        assert_eq!(remove(&memo), 1);
        let mut late = task::spawn(memo.get_or_load(7, || ready(Ok::<u64, Error>(53))));
        assert_pending!(late.poll());
        end.send(Err(Error::QueueFull { waiting: 1 })).unwrap();
        assert_ready_eq!(leader.poll(), Err(Error::QueueFull { waiting: 1 }));
        assert!(late.is_woken());
        assert!(late.poll().is_ready());
        assert_ne!(memo.peek(&7), Some(32));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_that_no_invalidation_matches_is_served_to_a_late_call() {
    let memo: Memo<u8, u64> = Memo::builder().ttl(secs(10)).stale_on_error(secs(60)).build();
    memo.insert(7, 33);
    advance(secs(10)).await;
    let (end, receiver) = oneshot::channel::<Result<u64, Error>>();
    let mut leader = task::spawn(memo.get_or_load(7, load(receiver)));
    assert_pending!(leader.poll());
    assert_eq!(memo.invalidate_where(|_, value| *value == 32), 0);
    let mut late = task::spawn(memo.get_or_load(7, || ready(Ok::<u64, Error>(53))));
    assert_pending!(late.poll());
    end.send(Err(Error::QueueFull { waiting: 1 })).unwrap();
    assert_ready_eq!(leader.poll(), Ok(33));
    assert_ready_eq!(late.poll(), Ok(33));
}

/// The limit bounds the memory of a load that hangs.
#[tokio::test(start_paused = true)]
async fn a_load_with_more_than_a_thousand_invalidations_is_not_kept() {
    for (invalidations, is_kept) in [(1_000, true), (1_001, false)] {
        let memo = tagged();
        let (end, receiver) = oneshot::channel();
        let mut leader = task::spawn(memo.get_or_load(7, load(receiver)));
        assert_pending!(leader.poll());
        for n in 1..invalidations {
            memo.invalidate_tag(&format!("other:{n}"));
            memo.invalidate_tag(&format!("other:{n}")); // counts only once
        }
        memo.invalidate_where(|_, _| false);
        end.send(33).unwrap();
        assert_ready_eq!(leader.poll(), 33);
        assert_eq!(memo.contains(&7), is_kept, "{invalidations}");
    }
}

#[test]
fn a_replaced_value_no_longer_has_its_tags() {
    let memo = tagged();
    memo.insert(7, 2);
    memo.insert(7, 3);
    assert_eq!(memo.invalidate_tag("digit:2"), 0);
    assert_eq!(memo.peek(&7), Some(3));
    memo.clear();
    memo.insert(8, 2);
    assert_eq!(memo.invalidate_tag("digit:3"), 0);
    assert_eq!(memo.invalidate_tag("digit:2"), 1);
}

/// The closures run outside of all locks.
#[test]
fn closures_may_use_the_memo() {
    let memo: Memo<u8, u64> = Memo::builder().build();
    let other = memo.clone();
    (0..50).for_each(|n| memo.insert(n, n.into()));
    let removed = memo.invalidate_where(move |key, _| {
        other.insert(*key, 100);
        other.contains(key)
    });
    assert_eq!((removed, memo.stats().entries), (0, 50), "each value was replaced while the closure looked at it");
    memo.for_each(|key, _| memo.invalidate(key));
    assert_eq!(memo.stats().entries, 0);
}

/// A load under way holds the closures. The call that removes its flight drops them.
#[tokio::test]
async fn closures_are_dropped_outside_of_locks() {
    struct Asks(Memo<u8, u64>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.insert(9, u64::from(self.0.contains(&7)));
        }
    }
    let takes: [fn(&Memo<u8, u64>); 5] = [
        |memo| memo.invalidate(&7),
        |memo| memo.insert(7, 1),
        |memo| memo.refresh(&7),
        Memo::clear,
        |_| (), // the end of the load
    ];
    for take in takes {
        let memo: Memo<u8, u64> = Memo::builder().build();
        let (end, receiver) = oneshot::channel();
        let mut leader = task::spawn(memo.get_or_load(7, load(receiver)));
        assert_pending!(leader.poll());
        let asks = Asks(memo.clone());
        memo.invalidate_where(move |_, _| !asks.0.contains(&8));
        take(&memo);
        end.send(49).unwrap();
        assert_ready_eq!(leader.poll(), 49);
        assert!(memo.contains(&9));
    }
}

// ---- refresh ----

#[tokio::test(start_paused = true)]
async fn one_call_refreshes_the_value_and_the_others_are_served_the_present_one() {
    let memo: Memo<u8, u64> = Memo::builder().build();
    memo.insert(7, 1);
    memo.refresh(&7);
    let (end, receiver) = oneshot::channel();
    let mut refresh = task::spawn(memo.get_or_load(7, load(receiver)));
    assert_pending!(refresh.poll());
    for _ in 0..10 {
        assert_eq!(memo.get_or_load(7, || ready(0)).await, 1);
        assert_eq!(memo.get(&7), Some(1));
    }
    end.send(2).unwrap();
    assert_ready_eq!(refresh.poll(), 2);
    assert_eq!(memo.get_or_load(7, || ready(0)).await, 2);
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.refreshes, stats.refreshes_ahead), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_leaves_the_value_and_is_tried_again_after_its_delay() {
    let memo: Memo<u8, u64> = Memo::ttl(secs(10));
    let answers = AtomicU64::new(0);
    let fetch = |_: u8| match answers.fetch_add(1, SeqCst) {
        0 | 4 => ready(Ok(1)),
        _ => ready(Err("down".to_owned())),
    };
    let fetch = fetch.memoized(&memo);
    assert_eq!(fetch.call(7).await, Ok(1));
    advance(secs(5)).await;
    memo.refresh(&7);
    assert_eq!(fetch.call(7).await, Ok(1));
    assert_eq!(fetch.call(7).await, Ok(1));
    assert_eq!((memo.stats().loads, memo.stats().load_failures), (2, 1));
    advance(secs(1)).await;
    assert_eq!(fetch.call(7).await, Ok(1));
    assert_eq!((memo.stats().loads, memo.stats().load_failures), (3, 2));
    memo.refresh(&7); // ends the delay
    assert_eq!(fetch.call(7).await, Ok(1));
    assert_eq!((memo.stats().loads, memo.stats().load_failures), (4, 3));
    advance(secs(4)).await; // A refresh does not extend the TTL.
    assert_eq!(fetch.call(7).await, Ok(1));
    assert_eq!((memo.stats().loads, memo.stats().expirations), (5, 1));
}

/// The service is down, and other values are invalidated meanwhile.
#[tokio::test(start_paused = true)]
async fn an_invalidation_of_other_values_keeps_the_delay() {
    let memo: Memo<u64, &str> = Memo::builder()
        .ttl(secs(300))
        .stale_while_revalidate(secs(3600))
        .refresh_backoff(RetryPolicy::fixed(secs(30)))
        .tags_by(|key: &u64, _: &&str| [format!("user {key}")])
        .build();
    memo.insert(42, "Ada");
    advance(secs(300)).await;
    let fetch = async |_: u64| {
        sleep(secs(1)).await;
        Err::<&str, _>("down".to_owned())
    };
    let fetch = fetch.memoized(&memo);
    let invalidates = async {
        sleep(ms(500)).await;
        memo.invalidate_tag("user 7")
    };
    assert_eq!(tokio::join!(fetch.call(42), invalidates), (Ok("Ada"), 0));
    assert_eq!(fetch.call(42).await, Ok("Ada"));
    assert_eq!(memo.stats().loads, 1);
    advance(secs(30)).await;
    assert_eq!(fetch.call(42).await, Ok("Ada"));
    assert_eq!(memo.stats().loads, 2);
}

/// Only a success starts the delays again, and a requested refresh is none.
#[tokio::test(start_paused = true)]
async fn a_refresh_ends_a_delay_and_the_next_failure_has_the_next_one() {
    let memo: Memo<u8, u64> =
        Memo::builder().refresh_backoff(RetryPolicy::exponential(secs(1)).max_delay(secs(60))).build();
    memo.insert(7, 1);
    memo.refresh(&7);
    let fetch = (|_: u8| ready(Err::<u64, _>("down".to_owned()))).memoized(&memo);
    let begun = Instant::now();
    let mut loads = Vec::new();
    for second in 0..30 {
        if second == 8 {
            memo.refresh(&7);
        }
        let before = memo.stats().loads;
        assert_eq!(fetch.call(7).await, Ok(1));
        if memo.stats().loads > before {
            loads.push(begun.elapsed().as_secs());
        }
        advance(secs(1)).await;
    }
    assert_eq!(loads, [0, 1, 3, 7, 8, 24]);
}

/// The caller was answered when the refresh began.
#[tokio::test(start_paused = true)]
async fn a_background_refresh_that_fails_is_no_use_of_the_value() {
    let memo: Memo<u64, &str> = Memo::builder().time_to_idle(secs(60)).build();
    memo.insert(42, "Ada");
    memo.refresh(&42);
    let fetch = async |_: u64| {
        sleep(secs(50)).await;
        Err::<&str, _>("down".to_owned())
    };
    let fetch = fetch.memoized(&memo).detached();
    assert_eq!(fetch.call(42).await, Ok("Ada"));
    sleep(secs(59)).await;
    assert!(memo.contains(&42));
    sleep(secs(1)).await;
    assert!(!memo.contains(&42));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_wins_over_a_load_under_way() {
    for is_held in [false, true] {
        let memo: Memo<u8, u64> = Memo::builder().build();
        if is_held {
            memo.insert(7, 1);
            memo.refresh(&7);
        }
        let (end, receiver) = oneshot::channel();
        let mut before = task::spawn(memo.get_or_load(7, load(receiver)));
        assert_pending!(before.poll());
        memo.refresh(&7);
        assert_eq!(memo.get_or_load(7, || ready(3)).await, 3);
        end.send(2).unwrap();
        assert_ready_eq!(before.poll(), 2);
        assert_eq!(memo.peek(&7), Some(3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_keeps_the_expiry_the_order_of_eviction_and_the_tags() {
    let memo: Memo<u8, u64> =
        Memo::builder().ttl(secs(10)).capacity(2).tags_by(|key: &u8, _: &u64| [key.to_string()]).build();
    memo.insert(1, 1);
    memo.insert(2, 2);
    memo.refresh(&1);
    memo.refresh(&3);
    memo.insert(3, 3);
    assert_eq!([1, 2, 3].map(|key| memo.contains(&key)), [false, true, true]);
    memo.refresh(&2);
    assert_eq!(memo.invalidate_tag("2"), 1);
    memo.refresh(&3);
    advance(secs(10)).await;
    memo.refresh(&3);
    assert!(!memo.contains(&3));
    assert_eq!((memo.purge_expired(), memo.stats().entries), (1, 0));
}

// ---- values that are no longer valid ----

#[tokio::test(start_paused = true)]
async fn one_call_replaces_a_value_that_is_no_longer_valid() {
    let valid_from = Arc::new(AtomicU64::new(0));
    let valid = Arc::clone(&valid_from);
    let memo: Memo<String, u64> =
        Memo::builder().valid_while(move |_: &String, token: &u64| *token >= valid.load(SeqCst)).build();
    memo.insert("api".to_owned(), BAD);
    let token = renew(Arc::new(AtomicU64::new(BAD))).memoized(&memo);
    assert_eq!(token.call("api").await, BAD);
    valid_from.store(BAD + 1, SeqCst);
    assert_eq!((memo.peek("api"), memo.contains("api"), memo.stats().entries), (None, false, 1));
    memo.for_each(|_, _| unreachable!("it is no longer valid"));
    let begun = Instant::now();
    assert_eq!(join_all((0..10).map(|_| token.call("api"))).await, [BAD + 1; 10]);
    assert_eq!(begun.elapsed(), ms(100));
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.hits, stats.misses, stats.coalesced, stats.expirations), (1, 1, 1, 9, 1));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_no_longer_valid_is_not_served_stale() {
    let is_valid = Arc::new(AtomicU64::new(1));
    let valid = Arc::clone(&is_valid);
    let memo: Memo<u8, u64> = Memo::builder()
        .ttl(secs(10))
        .refresh_ahead(0.5)
        .stale_while_revalidate(secs(10))
        .stale_on_error(secs(10))
        .valid_while(move |_: &u8, _: &u64| valid.load(SeqCst) == 1)
        .build();
    let failing = |_: u8| ready(Err::<u64, _>("down".to_owned()));
    let failing = failing.memoized(&memo);
    for age in [4, 6, 12] {
        is_valid.store(1, SeqCst);
        memo.insert(7, 49);
        advance(secs(age)).await;
        assert_eq!(failing.call(7).await, Ok(49));
        is_valid.store(0, SeqCst);
        assert_eq!(failing.call(7).await, Err("down".to_owned()), "at {age} s");
    }
    assert_eq!(memo.stats().entries, 0);

    // The value is valid when the refresh begins, and no longer when the refresh fails.
    is_valid.store(1, SeqCst);
    memo.insert(7, 49);
    advance(secs(12)).await;
    let (end, receiver) = oneshot::channel::<Result<u64, String>>();
    let mut refresh = task::spawn(memo.get_or_load(7, load(receiver)));
    assert_pending!(refresh.poll());
    is_valid.store(0, SeqCst);
    end.send(Err("down".to_owned())).unwrap();
    assert_ready_eq!(refresh.poll(), Err("down".to_owned()));
}

#[test]
fn valid_while_runs_outside_of_locks_and_its_panic_is_the_calls() {
    let slot: Arc<std::sync::OnceLock<Memo<u8, u64>>> = Arc::default();
    let memo = Arc::clone(&slot);
    let memo: Memo<u8, u64> = Memo::builder()
        .valid_while(move |key: &u8, value: &u64| {
            assert_ne!(*value, 13);
            let memo = memo.get().unwrap();
            *key == 9 || (memo.contains(&9) && memo.get(&9).is_some())
        })
        .build();
    slot.set(memo.clone()).unwrap_or_else(|_| unreachable!());
    let square = (|n: u8| u64::from(n).pow(2)).blocking().memoized(&memo);
    memo.insert(9, 81);
    memo.insert(7, 13);
    catch_unwind(AssertUnwindSafe(|| square.call(7))).unwrap_err();
    memo.insert(7, 48);
    assert_eq!((square.call(7), memo.purge_expired()), (48, 0));
    memo.invalidate(&9);
    assert_eq!((square.call(7), memo.stats().loads), (49, 1));
    assert_eq!((memo.purge_expired(), memo.stats().entries), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_purge_keeps_values_that_may_be_served_stale() {
    let memo: Memo<u8, Option<u64>> = Memo::builder().ttl(secs(10)).negative(secs(5)).stale_on_error(secs(10)).build();
    memo.insert(7, Some(49));
    memo.insert(8, None);
    let mut purged = Vec::new();
    for _ in 0..4 {
        advance(secs(5)).await;
        purged.push((memo.purge_expired(), memo.stats().entries));
    }
    assert_eq!(purged, [(1, 1), (0, 1), (0, 1), (1, 0)]);
    assert_eq!(memo.stats().expirations, 2);
}
