//! Each row of the table of failures.

use crate::support::{Record, SECOND, abort, ms, start, window};
use decor::{Error, OnFailure, RateLimiter, Transient, shared::Probe, test_util::FakeStore};
use futures::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn limiter(store: &FakeStore, on_failure: OnFailure) -> RateLimiter {
    window(100, SECOND).shared(store.quota("github"), on_failure).build()
}

fn down() -> Result<(), Error> {
    Err(Error::StoreDown { name: "github".into() })
}

/// Time from the loss of the store until the first of its probes that begins at `back` or later. A
/// timer ends at a whole millisecond.
fn up_again(back: Duration, attempt: Duration) -> Duration {
    let mut probe = Probe::new(0);
    let mut next = |failed_at: Duration| {
        let at = failed_at + probe.failed();
        ms(u64::try_from(at.as_nanos().div_ceil(1_000_000)).unwrap())
    };
    let mut at = next(Duration::ZERO);
    while at < back {
        at = next(at + attempt);
    }
    at
}

#[tokio::test(start_paused = true)]
async fn open_waits_for_the_time_limit_once_and_admits_all() {
    let store = FakeStore::new();
    let limiter = limiter(&store, OnFailure::Open);
    limiter.acquire().await;
    store.hang();
    let begun = Instant::now();
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), ms(100));
    for _ in 0..1_000 {
        limiter.acquire().await;
        assert_eq!(limiter.try_acquire(), Ok(()));
        assert_eq!(limiter.acquire_within(Duration::ZERO).await, Ok(()));
    }
    assert_eq!(begun.elapsed(), ms(100));
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.admitted_alone, stats.is_up), (3_002, 3_001, false));
    assert_eq!(stats.asks, 2, "no call asks a store that is known to be down");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_is_down_at_once() {
    let store = FakeStore::new();
    store.refuse();
    let begun = Instant::now();
    let open = limiter(&store, OnFailure::Open);
    open.acquire().await;
    let closed = limiter(&store, OnFailure::Closed);
    assert_eq!(closed.acquire_many(1).await, down());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(down().unwrap_err().is_transient());
}

#[tokio::test(start_paused = true)]
async fn closed_refuses_the_calls_that_can_fail_and_the_others_wait_until_the_store_is_back() {
    let store = FakeStore::new();
    let limiter = limiter(&store, OnFailure::Closed);
    limiter.acquire().await;
    store.hang();
    let begun = Instant::now();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire().await }
    });
    let fallible = join_all([limiter.acquire_many(1), limiter.acquire_within(60 * SECOND)]).await;
    assert_eq!(fallible, [down(), down()]);
    assert_eq!(begun.elapsed(), ms(100), "the first calls wait for the time limit");
    assert_eq!(limiter.acquire_many(1).await, down());
    assert_eq!(limiter.try_acquire(), down());
    assert_eq!(begun.elapsed(), ms(100), "later calls are refused at once");
    sleep(ms(2_000)).await;
    assert!(!waiting.is_finished());
    let gone = begun.elapsed().saturating_sub(ms(100));
    store.come_back();
    waiting.await.unwrap();
    assert_eq!(begun.elapsed(), ms(100) + up_again(gone, ms(100)));
    assert_eq!(limiter.acquire_many(1).await, Ok(()));
    assert_eq!(limiter.stats().admitted_alone, 0);
}

#[tokio::test(start_paused = true)]
async fn permits_that_were_granted_before_the_loss_are_used() {
    let store = FakeStore::new();
    let limiter = window(1, SECOND).shared(store.quota("github"), OnFailure::Closed).build();
    limiter.acquire().await;
    let begun = Instant::now();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire().await }
    });
    sleep(ms(1)).await;
    store.hang();
    waiting.await.unwrap();
    assert_eq!(begun.elapsed(), ms(1_020));
}

#[tokio::test(start_paused = true)]
async fn local_admits_by_its_own_log_against_its_part() {
    let store = FakeStore::new();
    let limiter = limiter(&store, OnFailure::Local { instances: 4 });
    for _ in 0..10 {
        limiter.acquire().await;
    }
    store.hang();
    let record = Record::begin();
    let tasks = start(50, &limiter, &record);
    sleep(ms(2_500)).await;
    abort(tasks);
    tokio::task::yield_now().await;
    // 25 each second, of which 10 were taken before.
    assert_eq!(record.moments(), [(100, 15), (1_000, 10), (1_100, 15), (2_000, 10), (2_100, 15)]);
    assert_eq!(limiter.stats().admitted_alone, 65);
    let begun = Instant::now();
    let refused = limiter.acquire_within(ms(10)).await;
    assert!(matches!(refused, Err(Error::RateLimited { .. })), "{refused:?}");
    assert_eq!(limiter.acquire_within(SECOND).await, Ok(()));
    assert_eq!(begun.elapsed(), ms(500), "the oldest leave the log at 3 s");
}

#[tokio::test(start_paused = true)]
async fn while_going_down_each_process_uses_its_part_or_what_it_had() {
    let store = FakeStore::new();
    let on_failure = OnFailure::Local { instances: 2 };
    let (a, b) = (limiter(&store, on_failure), limiter(&store.another_process(), on_failure));
    let record = Record::begin();
    for _ in 0..64 {
        a.acquire().await;
        record.note(1);
    }
    store.refuse();
    let tasks = [start(64, &a, &record), start(64, &b, &record)];
    sleep(ms(900)).await;
    tasks.into_iter().for_each(abort);
    assert_eq!(record.total(), 64 + 50);
}

/// Permits that are held for later are used while the store is down, and count in the part.
#[tokio::test(start_paused = true)]
async fn while_going_down_permits_for_later_count_in_the_part() {
    for at in (0..1_000).step_by(50) {
        let store = FakeStore::new();
        let on_failure = OnFailure::Local { instances: 2 };
        let (a, b) = (limiter(&store, on_failure), limiter(&store.another_process(), on_failure));
        let record = Record::begin();
        let tasks = [start(64, &a, &record), start(64, &b, &record)];
        sleep(ms(1_500 + at)).await;
        store.refuse();
        sleep(3 * SECOND).await;
        tasks.into_iter().for_each(abort);
        let most = record.most_in(SECOND);
        assert!(most <= 150, "{most} of 100, {at} ms");
    }
}

/// Limiters of two processes, each with half of the limit, after a call of each. The store is away
/// from now on. The record has both calls.
async fn two_that_lose_the_store(near: &FakeStore, far: &FakeStore) -> (RateLimiter, RateLimiter, Record) {
    let on_failure = OnFailure::Local { instances: 2 };
    let (a, b) = (limiter(near, on_failure), limiter(far, on_failure));
    a.acquire().await;
    b.acquire().await;
    near.refuse();
    let record = Record::begin();
    record.note(2);
    (a, b, record)
}

#[tokio::test(start_paused = true)]
async fn what_local_admitted_alone_is_charged_when_the_store_is_back() {
    // In a long outage, the state of the store expires.
    for (outage, forgets) in [(300, false), (300, true), (900, false), (1_200, true), (3_000, false), (3_000, true)] {
        let store = FakeStore::new();
        let (a, b, record) = two_that_lose_the_store(&store, &store.another_process()).await;
        let tasks = [start(64, &a, &record), start(64, &b, &record)];
        sleep(ms(outage)).await;
        if forgets {
            store.forget();
        }
        let before = record.total();
        store.come_back();
        sleep(5 * SECOND).await;
        tasks.into_iter().for_each(abort);
        assert!(a.stats().is_up && b.stats().is_up);
        assert!(a.stats().admitted_alone >= 49 && b.stats().admitted_alone >= 49);
        assert_eq!(record.most_in(SECOND), 100, "{outage} ms, forgets: {forgets}");
        assert!(record.total() > before + 300, "{:?}", record.moments());
    }
}

/// The second process meets the outage later, so that its probes are at other times.
#[tokio::test(start_paused = true)]
async fn processes_that_come_back_at_different_times_exceed_no_window() {
    for (outage, later, forgets) in outages() {
        let store = FakeStore::new();
        let (a, b, record) = two_that_lose_the_store(&store, &store.another_process()).await;
        let first = start(64, &a, &record);
        sleep(ms(later)).await;
        let second = start(64, &b, &record);
        sleep(ms(outage - later)).await;
        if forgets {
            store.forget();
        }
        store.come_back();
        let (mut back, begun) = ([None; 2], Instant::now());
        while back.contains(&None) {
            sleep(ms(1)).await;
            for (back, limiter) in back.iter_mut().zip([&a, &b]) {
                *back = back.or_else(|| limiter.stats().is_up.then(|| begun.elapsed()));
            }
        }
        sleep(5 * SECOND).await;
        abort(first);
        abort(second);
        let case = format!("{outage} ms, {later} ms later, forgets: {forgets}, back after {back:?}");
        assert!(back.iter().flatten().all(|back| *back <= ms(1_200)), "{case}");
        assert_eq!(record.most_in(SECOND), 100, "{case}");
    }
}

/// Outages, the times after which the second process meets them, and a loss of the state.
fn outages() -> impl Iterator<Item = (u64, u64, bool)> {
    let outages = [700, 1_500, 2_300, 3_100];
    let cases = outages.into_iter().flat_map(|outage| [50, 250, 450, 650].map(|later| (outage, later)));
    cases.flat_map(|(outage, later)| [false, true].map(|forgets| (outage, later, forgets)))
}

/// With `Closed`, the store grants nothing until all processes have reported what they used.
#[tokio::test(start_paused = true)]
async fn a_state_that_is_lost_in_an_outage_waits_for_the_reports_of_all() {
    for later in [0, 250, 450, 650] {
        let store = FakeStore::new();
        let limiter =
            |store: &FakeStore| window(100, 10 * SECOND).shared(store.quota("github"), OnFailure::Closed).build();
        let (a, b) = (limiter(&store), limiter(&store.another_process()));
        let record = Record::begin();
        for _ in 0..40 {
            a.acquire().await;
            b.acquire().await;
        }
        record.note(80);
        store.refuse();
        let first = start(64, &a, &record);
        sleep(ms(later)).await;
        let second = start(64, &b, &record);
        sleep(ms(2_300 - later)).await;
        store.forget();
        store.come_back();
        sleep(30 * SECOND).await;
        abort(first);
        abort(second);
        assert_eq!(record.most_in(10 * SECOND), 100, "{later} ms later");
    }
}

/// After an outage, a call that may wait less long than the part of its process is in use is
/// refused at once.
#[tokio::test(start_paused = true)]
async fn a_process_that_comes_back_takes_no_more_than_its_part_at_first() {
    let store = FakeStore::new();
    let limiter = window(10, 10 * SECOND).shared(store.quota("github"), OnFailure::Local { instances: 2 }).build();
    store.refuse();
    for _ in 0..5 {
        limiter.acquire().await;
    }
    store.come_back();
    sleep(up_again(Duration::ZERO, Duration::ZERO) + ms(1)).await;
    assert!(limiter.stats().is_up);
    let begun = Instant::now();
    // The part has room after 10 s, and the other processes have reported after 1.5 s.
    let refused = limiter.acquire_within(ms(1_498)).await;
    assert_eq!((refused.unwrap_err().retry_after(), begun.elapsed()), (Some(ms(1_499)), Duration::ZERO));
    assert!(limiter.try_acquire().is_err());
    assert_eq!(limiter.acquire_within(ms(1_499)).await, Ok(()));
    assert_eq!(begun.elapsed(), ms(1_499));
}

/// A process finds the store by its own probe, up to 1.2 s after another one, and goes on alone
/// until then. The one that is back keeps to its part for as long.
#[tokio::test(start_paused = true)]
async fn a_process_that_is_back_leaves_the_others_their_parts() {
    for (later, forgets) in [(0, false), (300, true), (600, false), (600, true), (1_000, false)] {
        let store = FakeStore::new();
        let far = store.another_process();
        let (a, b, record) = two_that_lose_the_store(&store, &far).await;
        let tasks = [start(64, &a, &record), start(64, &b, &record)];
        sleep(ms(900)).await;
        // Its requests fail for longer.
        far.set_trip(ms(100));
        if forgets {
            store.forget();
        }
        store.come_back();
        let begun = Instant::now();
        while !a.stats().is_up {
            assert!(begun.elapsed() <= ms(1_200));
            sleep(ms(1)).await;
        }
        sleep(ms(later)).await;
        far.set_trip(ms(0));
        let begun = Instant::now();
        while !b.stats().is_up {
            assert!(begun.elapsed() <= ms(1_300));
            sleep(ms(1)).await;
        }
        let before = record.total();
        sleep(5 * SECOND).await;
        tasks.into_iter().for_each(abort);
        assert_eq!(record.most_in(SECOND), 100, "{later} ms later, forgets: {forgets}");
        assert!(record.total() > before + 350, "{:?}", record.moments());
    }
}

/// A call with a longest wait is refused in time, although the part has no room to ask for it.
#[tokio::test(start_paused = true)]
async fn a_process_that_is_back_refuses_calls_beyond_its_part_in_time() {
    let store = FakeStore::new();
    let limiter = limiter(&store, OnFailure::Local { instances: 2 });
    limiter.acquire().await;
    store.refuse();
    for _ in 0..49 {
        limiter.acquire().await;
    }
    store.come_back();
    sleep(ms(500)).await;
    assert!(limiter.stats().is_up);
    assert_eq!(limiter.stats().admitted_alone, 49);
    let begun = Instant::now();
    let waits = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire().await }
    });
    tokio::task::yield_now().await;
    let (at_once, soon) = tokio::join!(limiter.acquire_within(Duration::ZERO), limiter.acquire_within(ms(100)));
    for refused in [at_once, soon] {
        assert!(matches!(refused, Err(Error::RateLimited { .. })), "{refused:?}");
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(limiter.try_acquire().is_err());
    // The first of the 50 leaves the log a second after it was taken.
    waits.await.unwrap();
    assert_eq!(begun.elapsed(), ms(500));
    // Later, the whole limit is there for this process.
    sleep(3 * SECOND).await;
    let begun = Instant::now();
    join_all((0..100).map(|_| limiter.acquire())).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_open_admitted_alone_is_not_charged() {
    let store = FakeStore::new();
    let limiter = limiter(&store, OnFailure::Open);
    store.refuse();
    for _ in 0..500 {
        limiter.acquire().await;
    }
    store.come_back();
    sleep(ms(200)).await;
    let begun = Instant::now();
    join_all((0..100).map(|_| limiter.acquire())).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(limiter.stats().admitted_alone, 500);
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_all_report_and_no_window_is_exceeded() {
    for on_failure in [OnFailure::Open, OnFailure::Closed, OnFailure::Local { instances: 2 }] {
        for at in (0..1_100).step_by(100) {
            let store = FakeStore::new();
            let (a, b) = (limiter(&store, on_failure), limiter(&store.another_process(), on_failure));
            let record = Record::begin();
            let tasks = [start(64, &a, &record), start(64, &b, &record)];
            sleep(ms(2_000 + at)).await;
            store.forget();
            sleep(5 * SECOND).await;
            tasks.into_iter().for_each(abort);
            assert_eq!(record.most_in(SECOND), 100, "{on_failure:?}, {at} ms");
            assert!(record.total() >= 500, "{on_failure:?}, {at} ms: {:?}", record.moments());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_granted_in_the_grace_after_a_loss() {
    let store = FakeStore::new();
    let limiter = limiter(&store, OnFailure::Closed);
    limiter.acquire().await;
    store.forget();
    let begun = Instant::now();
    let refused = limiter.acquire_within(Duration::ZERO).await;
    assert_eq!(refused, Err(Error::RateLimited { retry_after: ms(250) }));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), ms(250));
    assert_eq!(limiter.available(), 98, "the call before the loss was reported");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_learns_of_the_loss_after_the_grace_uses_no_permit_that_it_held() {
    let store = FakeStore::new();
    let (a, b) = (limiter(&store, OnFailure::Closed), limiter(&store.another_process(), OnFailure::Closed));
    let record = Record::begin();
    join_all((0..100).map(|_| a.acquire())).await;
    record.note(100);
    let late = tokio::spawn({
        let (b, record) = (b.clone(), record.clone());
        async move {
            b.acquire().await;
            record.note(1);
        }
    });
    sleep(ms(10)).await;
    store.forget();
    late.await.unwrap();
    assert_eq!(record.most_in(SECOND), 100);
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_noticed_by_a_pulse_while_permits_for_later_are_held() {
    let store = FakeStore::new();
    let limiter = limiter(&store, OnFailure::Closed);
    join_all((0..100).map(|_| limiter.acquire())).await;
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire().await }
    });
    sleep(ms(610)).await;
    // The permit for 1,020 ms was granted at 0. Pulses at 150, 300, 450 and 600 ms.
    assert_eq!(limiter.stats().asks, 6);
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn requests_that_a_stopped_server_serves_late_exceed_nothing() {
    let store = FakeStore::new();
    let (a, b) = (limiter(&store, OnFailure::Closed), limiter(&store.another_process(), OnFailure::Closed));
    let record = Record::begin();
    let tasks = [start(64, &a, &record), start(64, &b, &record)];
    for _ in 0..5 {
        sleep(ms(1_300)).await;
        store.hang();
        sleep(ms(700)).await;
        store.come_back();
    }
    sleep(5 * SECOND).await;
    tasks.into_iter().for_each(abort);
    assert_eq!(record.most_in(SECOND), 100);
    assert!(record.total() >= 800, "{:?}", record.moments());
}

#[tokio::test(start_paused = true)]
async fn limits_of_one_process_know_together_that_the_store_is_down() {
    let store = FakeStore::new();
    store.hang();
    let (a, other) = (limiter(&store, OnFailure::Closed), store.another_process());
    assert_eq!(a.acquire_many(1).await, down());
    let begun = Instant::now();
    let second = window(5, SECOND).shared(store.quota("gitlab"), OnFailure::Open).build();
    second.acquire().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let elsewhere = limiter(&other, OnFailure::Closed);
    assert_eq!(elsewhere.acquire_many(1).await, down());
    assert_eq!(begun.elapsed(), ms(100), "another process finds out for itself");
}

#[tokio::test(start_paused = true)]
async fn a_call_for_more_than_the_local_part_is_refused_until_the_store_is_back() {
    let store = FakeStore::new();
    let limiter = limiter(&store, OnFailure::Local { instances: 10 });
    store.hang();
    let begun = Instant::now();
    let answers = join_all([limiter.acquire_many(11), limiter.acquire_many(10)]).await;
    assert_eq!((answers, begun.elapsed()), (vec![down(), Ok(())], ms(100)));
    assert_eq!(limiter.acquire_many(11).await, down());
    assert_eq!(limiter.try_acquire_many(11), down());
    store.come_back();
    sleep(2 * SECOND).await;
    assert_eq!(limiter.acquire_many(11).await, Ok(()));
}
