//! A second tier, in virtual time: a tier that answers as the test says, and notes what it is told.

use decor::{Error, Memo, MemoBuilder, prelude::*, tier::*};
use std::{
    collections::VecDeque,
    future::{pending, ready},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, advance, sleep};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn just_before(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_nanos(1))
}

/// An answer to come.
#[derive(Debug)]
enum Next {
    Fresh(u64, Option<Duration>),
    Stale(u64),
    Lead,
    Alone,
    /// The promise is dropped without an answer.
    Dropped,
    /// The test answers.
    Later,
}

#[derive(Debug, Default)]
struct Scripted {
    next: Mutex<VecDeque<Next>>,
    told: Arc<Mutex<Vec<String>>>,
    later: Mutex<Vec<Resolver<Found<u64>>>>,
    memo: OnceLock<Arc<dyn TieredMemo>>,
    finds: AtomicUsize,
}

#[derive(Debug, Clone, Default)]
struct Tier(Arc<Scripted>);

impl Tier {
    fn answers(&self, next: impl IntoIterator<Item = Next>) {
        self.0.next.lock().unwrap().extend(next);
    }

    fn tell(&self, what: String) {
        self.0.told.lock().unwrap().push(what);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.0.told.lock().unwrap())
    }

    fn finds(&self) -> usize {
        self.0.finds.load(SeqCst)
    }

    fn memo(&self) -> &dyn TieredMemo {
        &**self.0.memo.get().unwrap()
    }
}

#[derive(Debug)]
struct Noted {
    key: u64,
    told: Arc<Mutex<Vec<String>>>,
    has_landed: bool,
}

impl Lease<u64> for Noted {
    fn land(mut self: Box<Self>, value: &u64, keep: Keep) {
        self.has_landed = true;
        let Keep { fresh, stale } = keep;
        self.told.lock().unwrap().push(format!("land {} = {value} for {fresh:?} and {stale:?}", self.key));
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if !self.has_landed {
            self.told.lock().unwrap().push(format!("release {}", self.key));
        }
    }
}

impl MemoTier<u64, u64> for Tier {
    fn attach(&self, memo: Arc<dyn TieredMemo>) {
        self.0.memo.set(memo).unwrap();
    }

    fn find(&self, key: &u64) -> Promise<Found<u64>> {
        self.0.finds.fetch_add(1, SeqCst);
        let (resolver, found) = promise();
        match self.0.next.lock().unwrap().pop_front().expect("an answer") {
            Next::Fresh(value, left) => resolver.resolve(Found::Fresh { value, left }),
            Next::Stale(value) => resolver.resolve(Found::Stale(value)),
            Next::Lead => {
                let lease = Noted { key: *key, told: self.0.told.clone(), has_landed: false };
                resolver.resolve(Found::Lead(Box::new(lease)));
            }
            Next::Alone => resolver.resolve(Found::Alone),
            Next::Dropped => drop(resolver),
            Next::Later => self.0.later.lock().unwrap().push(resolver),
        }
        found
    }

    fn insert(&self, key: &u64, value: &u64, keep: Keep) {
        self.tell(format!("insert {key} = {value} for {:?}", keep.fresh));
    }

    fn invalidate(&self, key: &KeyBytes) {
        let name = (0..20_u64).find(|name| KeyBytes::of(name) == *key).unwrap();
        self.tell(format!("invalidate {name}"));
    }

    fn clear(&self) {
        self.tell("clear".into());
    }

    fn settled(&self) -> Promise<Result<(), Error>> {
        let (resolver, settled) = promise();
        resolver.resolve(Err(Error::StoreDown { name: "users".into() }));
        settled
    }

    fn deaf_ttl(&self) -> Duration {
        10 * SECOND
    }

    fn counts(&self) -> TierCounts {
        TierCounts { waits: 1, refused: 2, undecodable: 3, is_up: true }
    }
}

fn memo(tier: &Tier, set: impl FnOnce(MemoBuilder<u64, u64>) -> MemoBuilder<u64, u64>) -> Memo<u64, u64> {
    set(Memo::builder().ttl(MINUTE)).tier(tier.clone()).build()
}

/// A call for a key, with a load that takes a second.
async fn load(memo: &Memo<u64, u64>, key: u64, value: u64) -> u64 {
    let load = || async move {
        sleep(SECOND).await;
        value
    };
    memo.get_or_load(key, load).await
}

#[tokio::test(start_paused = true)]
async fn a_fresh_value_is_kept_for_what_is_left_from_the_asking_on() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder);
    tier.answers([Next::Later]);
    let asks = tokio::spawn({
        let memo = memo.clone();
        async move { load(&memo, 7, 0).await }
    });
    tokio::task::yield_now().await;
    advance(SECOND).await; // the answer takes a second
    let resolver = tier.0.later.lock().unwrap().pop().unwrap();
    resolver.resolve(Found::Fresh { value: 49, left: Some(5 * SECOND) });
    assert_eq!(asks.await.unwrap(), 49);
    advance(just_before(4 * SECOND)).await;
    assert_eq!(memo.get(&7), Some(49));
    advance(Duration::from_nanos(1)).await;
    assert_eq!(memo.get(&7), None);

    // No longer than the memo's own TTL.
    tier.answers([Next::Fresh(49, None)]);
    assert_eq!(load(&memo, 7, 0).await, 49);
    advance(just_before(MINUTE)).await;
    assert_eq!(memo.get(&7), Some(49));
    advance(Duration::from_nanos(1)).await;
    assert_eq!(memo.get(&7), None);
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.tier_hits, stats.loading, tier.finds()), (0, 2, 0, 2));
    assert_eq!((stats.tier_waits, stats.tier_refused, stats.undecodable, stats.tier_is_up), (1, 2, 3, true));
}

#[tokio::test(start_paused = true)]
async fn one_call_of_a_process_asks_and_the_others_have_its_answer() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder);
    tier.answers([Next::Lead]);
    let calls = futures::future::join_all((0..50).map(|_| load(&memo, 7, 49)));
    let begun = Instant::now();
    assert_eq!(calls.await, [49; 50]);
    assert_eq!((begun.elapsed(), tier.finds(), memo.stats().loads), (SECOND, 1, 1));
    assert_eq!(tier.told(), ["land 7 = 49 for Some(60s) and 0ns"]);
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_served_and_not_kept() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder.stale_while_revalidate(5 * SECOND));
    tier.answers([Next::Stale(1), Next::Lead]);
    assert_eq!(load(&memo, 7, 0).await, 1);
    assert_eq!(memo.get(&7), None);
    assert_eq!(load(&memo, 7, 2).await, 2);
    assert_eq!(tier.told(), ["land 7 = 2 for Some(60s) and 5s"]);
    assert_eq!((memo.stats().stale_hits, memo.stats().loads), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_given_up_by_a_load_that_fails_is_dropped_or_is_overtaken() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder);
    tier.answers([Next::Lead]);
    let full = || Error::QueueFull { waiting: 9 };
    assert_eq!(memo.get_or_load(1, || ready(Err::<u64, _>(full()))).await, Err(full()));
    assert_eq!(tier.told(), ["release 1"]);

    tier.answers([Next::Lead]);
    let dropped = tokio::time::timeout(SECOND, memo.get_or_load(2, pending::<u64>)).await;
    assert!(dropped.is_err());
    assert_eq!(tier.told(), ["release 2"]);

    tier.answers([Next::Lead]);
    let overtaken = async {
        sleep(SECOND / 2).await;
        memo.invalidate(&3);
    };
    assert_eq!(tokio::join!(load(&memo, 3, 9), overtaken).0, 9);
    assert_eq!(tier.told(), ["invalidate 3", "release 3"]);
    assert_eq!(memo.get(&3), None);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_asks_lets_the_next_one_ask() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder);
    tier.answers([Next::Later, Next::Fresh(49, None)]);
    let asks = tokio::time::timeout(SECOND, load(&memo, 7, 0));
    let joins = async {
        sleep(SECOND / 2).await;
        load(&memo, 7, 0).await
    };
    let (asks, joins) = tokio::join!(asks, joins);
    assert!(asks.is_err());
    assert_eq!((joins, tier.finds()), (49, 2));
    assert!(tier.0.later.lock().unwrap()[0].is_over());
}

/// A question that is under way, and the resolver of its answer.
async fn asks(tier: &Tier, memo: &Memo<u64, u64>) -> (tokio::task::JoinHandle<u64>, Resolver<Found<u64>>) {
    tier.answers([Next::Later]);
    let asks = tokio::spawn({
        let memo = memo.clone();
        async move { load(&memo, 7, 49).await }
    });
    tokio::task::yield_now().await;
    let resolver = tier.0.later.lock().unwrap().pop().unwrap();
    (asks, resolver)
}

#[tokio::test(start_paused = true)]
async fn a_load_counts_once_the_tier_has_answered_and_its_time_from_then_on() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder);
    let (asks, resolver) = asks(&tier, &memo).await;
    assert_eq!((memo.stats().misses, memo.stats().loads, memo.stats().loading), (1, 0, 0));
    advance(3 * SECOND).await; // the answer takes three seconds
    resolver.resolve(Found::Alone);
    tokio::task::yield_now().await;
    assert_eq!((memo.stats().loads, memo.stats().loading), (1, 1));
    assert_eq!(asks.await.unwrap(), 49);
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.loading, stats.loads_abandoned), (1, 0, 0));
    assert_eq!(stats.total_load_time, SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_dropped_is_no_load() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder);
    let (question, resolver) = asks(&tier, &memo).await;
    question.abort();
    assert!(question.await.unwrap_err().is_cancelled());
    assert!(resolver.is_over());
    let stats = memo.stats();
    assert_eq!((stats.misses, stats.loads, stats.loads_abandoned, stats.loading), (1, 0, 0, 0));

    // A load that is dropped after the answer is one.
    tier.answers([Next::Lead]);
    assert!(tokio::time::timeout(SECOND / 2, load(&memo, 7, 49)).await.is_err());
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.loads_abandoned, stats.loading), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn while_the_tier_is_down_values_live_for_a_short_time() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder);
    for next in [Next::Alone, Next::Dropped] {
        tier.answers([next]);
        assert_eq!(load(&memo, 7, 49).await, 49);
        advance(just_before(10 * SECOND)).await;
        assert_eq!(memo.get(&7), Some(49));
        advance(Duration::from_nanos(1)).await;
        assert_eq!(memo.get(&7), None);
    }
    assert_eq!((tier.told().len(), memo.stats().loads), (0, 2));
    assert_eq!(memo.settled().await, Err(Error::StoreDown { name: "users".into() }));
}

#[tokio::test(start_paused = true)]
async fn changes_are_passed_on_in_order() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder.tags_by(|_, value| [format!("tag {value}")]));
    memo.insert(1, 10);
    memo.insert(2, 10);
    memo.insert(3, 30);
    memo.invalidate(&9);
    assert!(memo.invalidate_if(&3, |value| *value == 30));
    assert!(!memo.invalidate_if(&1, |value| *value == 30));
    memo.refresh(&2);
    assert_eq!(memo.invalidate_where(|key, _| *key == 1), 1);
    assert_eq!(memo.invalidate_tag("tag 10"), 1);
    memo.clear();
    let expected = [
        "insert 1 = 10 for Some(60s)",
        "insert 2 = 10 for Some(60s)",
        "insert 3 = 30 for Some(60s)",
        "invalidate 9",
        "invalidate 3",
        "invalidate 2",
        "invalidate 1",
        "invalidate 2",
        "clear",
    ];
    assert_eq!(tier.told(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_another_process_wins_over_values_and_loads() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder);
    memo.insert(1, 10);
    memo.insert(2, 20);
    tier.told();
    tier.memo().invalidate(&KeyBytes::of(&1_u64));
    tier.memo().invalidate(&KeyBytes::of(&8_u64));
    assert_eq!((memo.get(&1), memo.get(&2)), (None, Some(20)));

    for all in [false, true] {
        tier.answers([Next::Lead]);
        let changed = async {
            sleep(SECOND / 2).await;
            if all { tier.memo().invalidate_all() } else { tier.memo().invalidate(&KeyBytes::of(&7_u64)) }
        };
        assert_eq!(tokio::join!(load(&memo, 7, 9), changed).0, 9);
        assert_eq!((memo.get(&7), tier.told()), (None, vec!["release 7".to_owned()]));
    }
    assert_eq!(memo.get(&2), None);
    // Counts stay, unlike after a clear.
    assert_eq!(memo.stats().loads, 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_during_the_asking_wins() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder);
    tier.answers([Next::Later, Next::Fresh(50, None)]);
    let asks = tokio::spawn({
        let memo = memo.clone();
        async move { load(&memo, 7, 0).await }
    });
    tokio::task::yield_now().await;
    memo.invalidate(&7);
    let resolver = tier.0.later.lock().unwrap().pop().unwrap();
    resolver.resolve(Found::Fresh { value: 49, left: None });
    assert_eq!(asks.await.unwrap(), 49);
    assert_eq!(memo.get(&7), None);
    assert_eq!(load(&memo, 7, 0).await, 50);
}

#[tokio::test(start_paused = true)]
async fn a_detached_load_asks_before_it_begins_and_goes_on_alone() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder.stale_while_revalidate(MINUTE));
    let call = |value: u64| {
        let load = move || async move {
            sleep(SECOND).await;
            value
        };
        memo.get_or_load(7, load).detached()
    };
    tier.answers([Next::Lead]);
    assert!(tokio::time::timeout(SECOND / 2, call(1)).await.is_err());
    sleep(SECOND).await;
    assert_eq!((memo.get(&7), tier.told().len()), (Some(1), 1));

    // A refresh asks as well: another process may have the new value.
    advance(MINUTE).await;
    tier.answers([Next::Fresh(2, None)]);
    let begun = Instant::now();
    assert_eq!((call(9).await, begun.elapsed(), memo.stats().loads), (2, Duration::ZERO, 1));
}

#[test]
fn a_thread_waits_for_the_answer() {
    let tier = Tier::default();
    let memo = memo(&tier, |builder| builder);
    let square = (|n: u64| n * n).blocking().memoized(&memo);
    tier.answers([Next::Later, Next::Lead, Next::Stale(5)]);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| square.clone().call(7));
        let resolver = loop {
            match tier.0.later.lock().unwrap().pop() {
                Some(resolver) => break resolver,
                None => std::thread::yield_now(),
            }
        };
        resolver.resolve(Found::Fresh { value: 50, left: None });
        assert_eq!(waits.join().unwrap(), 50);
    });
    assert_eq!((square.call(8), square.call(9)), (64, 5));
    assert_eq!((memo.stats().loads, memo.stats().tier_hits), (1, 2));
}

#[tokio::test]
async fn a_memo_that_is_dropped_hears_nothing() {
    let tier = Tier::default();
    drop(memo(&tier, |builder| builder));
    tier.memo().invalidate_all();
    tier.memo().invalidate(&KeyBytes::of(&1_u64));
}
