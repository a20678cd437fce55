//! The rows of the table of failures, through limiters.

use crate::{
    alone,
    child::{Process, Work},
    log::Log,
};
use decor::{Error, OnFailure, RateLimiter};
use decor_redis::Redis;
use decor_redis_testing::{Proxy, Server, go_on, monotonic, skip, stop};
use std::{
    thread,
    time::{Duration, Instant},
};
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

/// Far longer than anything takes here, unless it hangs.
const LONG: Duration = Duration::from_secs(30);

fn limiter(url: &str, on_failure: OnFailure) -> RateLimiter {
    let redis = Redis::open(url).unwrap();
    RateLimiter::builder().window(100, SECOND).shared(redis.quota("shared"), on_failure).build()
}

fn store_down() -> Result<(), Error> {
    Err(Error::StoreDown { name: "shared".into() })
}

/// Calls until one is admitted.
async fn is_served(limiter: &RateLimiter) {
    let begun = Instant::now();
    while limiter.acquire_many(1).await.is_err() {
        assert!(begun.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Calls until the store is down, and then a hundred times more, at once.
async fn is_refused_at_once(limiter: &RateLimiter) {
    let begun = Instant::now();
    while limiter.acquire_many(1).await.is_ok() {
        assert!(begun.elapsed() < LONG);
    }
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(limiter.acquire_many(1).await, store_down());
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "100 timeouts take 10 s");
}

/// A closed limiter refuses what can fail, lets wait what cannot, and serves it when the store is
/// back.
async fn closes_and_opens(url: &str, break_it: impl FnOnce(), mend_it: impl FnOnce()) {
    let limiter = limiter(url, OnFailure::Closed);
    is_served(&limiter).await;
    break_it();
    is_refused_at_once(&limiter).await;
    let waits = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire().await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waits.is_finished());
    assert!(!limiter.stats().is_up);
    mend_it();
    timeout(LONG, waits).await.expect("a call that waits is served once the store is back").unwrap();
    is_served(&limiter).await;
}

#[tokio::test]
async fn closed_while_the_server_hangs() {
    let Some(server) = Server::start(&[]) else { return skip("closed_while_the_server_hangs") };
    closes_and_opens(&server.url(), || stop(server.pid()), || go_on(server.pid())).await;
}

#[tokio::test]
async fn closed_while_the_line_is_half_open() {
    let Some(server) = Server::start(&[]) else { return skip("closed_while_the_line_is_half_open") };
    let proxy = Proxy::start(server.port(), Duration::ZERO);
    closes_and_opens(&proxy.url(), || proxy.freeze(), || proxy.thaw()).await;
}

#[tokio::test]
async fn closed_while_the_server_is_full() {
    let Some(server) = Server::start(&[]) else { return skip("closed_while_the_server_is_full") };
    let set = |memory| drop(server.command(&["CONFIG", "SET", "maxmemory", memory]));
    closes_and_opens(&server.url(), || set("1"), || set("0")).await;
}

#[tokio::test]
async fn closed_while_the_server_is_a_replica() {
    let (Some(primary), Some(server)) = (Server::start(&[]), Server::start(&[])) else {
        return skip("closed_while_the_server_is_a_replica");
    };
    let replica_of = |host, port: &str| drop(server.command(&["REPLICAOF", host, port]));
    let port = primary.port().to_string();
    closes_and_opens(&server.url(), || replica_of("127.0.0.1", &port), || replica_of("NO", "ONE")).await;
}

#[tokio::test]
async fn closed_while_the_password_is_wrong() {
    let Some(server) = Server::start(&[]) else { return skip("closed_while_the_password_is_wrong") };
    let set = |password| drop(server.command(&["CONFIG", "SET", "requirepass", password]));
    set("right");
    let url = format!("redis://:wrong@127.0.0.1:{}", server.port());
    let limiter = limiter(&url, OnFailure::Closed);
    assert_eq!(limiter.acquire_many(1).await, store_down());
    is_refused_at_once(&limiter).await;
    assert!(!format!("{limiter:?} {:?}", limiter.acquire_many(1).await).contains("wrong"));
}

#[tokio::test]
async fn nothing_listens_at_first() {
    let Some(mut server) = Server::start(&[]) else { return skip("nothing_listens_at_first") };
    server.kill();
    let limiter = limiter(&server.url(), OnFailure::Closed);
    assert_eq!(timeout(LONG, limiter.acquire_many(1)).await.unwrap(), store_down());
    is_refused_at_once(&limiter).await;
    server.restart();
    is_served(&limiter).await;
}

#[tokio::test]
async fn open_admits_at_once_while_the_server_hangs() {
    let Some(server) = Server::start(&[]) else { return skip("open_admits_at_once") };
    let limiter = limiter(&server.url(), OnFailure::Open);
    limiter.acquire().await;
    stop(server.pid());
    let begun = Instant::now();
    for _ in 0..1_000 {
        limiter.acquire().await;
    }
    // One timeout, and no window of 100.
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(limiter.stats().admitted_alone >= 900);
    go_on(server.pid());
}

#[tokio::test]
async fn local_admits_its_part_while_the_server_hangs() {
    let Some(server) = Server::start(&[]) else { return skip("local_admits_its_part") };
    let limiter = limiter(&server.url(), OnFailure::Local { instances: 4 });
    is_served(&limiter).await;
    stop(server.pid());
    let mut log = Log::default();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(3_500) {
        limiter.acquire().await;
        log.add(monotonic(), [1, 0]);
    }
    go_on(server.pid());
    let (most, calls) = (log.most_in_any(0, 1_000), log.calls());
    assert!(most <= 25, "{most} of 25");
    assert!(calls >= 50, "{calls} calls");
}

/// Takes 10 of 100 permits a minute before the server goes away. Returns those that are
/// taken while it is away, and those that are left once it is back.
async fn alone_and_left(on_failure: OnFailure, comes_back_empty: bool) -> Option<(u32, u32)> {
    let mut server = Server::start(&[])?;
    let redis = Redis::open(server.url()).unwrap();
    // A busy machine may use a permit late.
    let builder = RateLimiter::builder().window(100, 60 * SECOND).slack(10 * SECOND);
    let limiter = builder.shared(redis.quota("shared"), on_failure).build();
    for _ in 0..10 {
        is_served(&limiter).await;
    }
    if comes_back_empty {
        server.kill();
    } else {
        stop(server.pid());
    }
    let (mut alone, mut left) = (0, 0);
    let begun = Instant::now();
    while limiter.stats().is_up {
        assert!(begun.elapsed() < LONG);
        alone += u32::from(limiter.acquire_within(Duration::ZERO).await.is_ok());
    }
    let at_first = alone;
    for _ in at_first..60 {
        alone += u32::from(limiter.acquire_within(Duration::ZERO).await.is_ok());
    }
    if comes_back_empty {
        server.restart();
    } else {
        go_on(server.pid());
    }
    while !limiter.stats().is_up {
        assert!(begun.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The first call says what was used. Others have time to say it as well, and the process keeps
    // to its part meanwhile.
    left += u32::from(limiter.acquire_within(Duration::ZERO).await.is_ok());
    tokio::time::sleep(2 * SECOND).await;
    for _ in 0..150 {
        left += u32::from(limiter.acquire_within(Duration::ZERO).await.is_ok());
    }
    Some((alone, left))
}

#[tokio::test]
async fn back_with_the_old_state_or_empty() {
    for comes_back_empty in [false, true] {
        for (on_failure, expected) in [
            (OnFailure::Open, (60, 90)),
            (OnFailure::Closed, (0, 90)),
            // Half of the limit for each process, less what this one had used.
            (OnFailure::Local { instances: 2 }, (40, 50)),
        ] {
            let Some(counts) = alone_and_left(on_failure, comes_back_empty).await else {
                return skip("back_with_the_old_state");
            };
            // A server that was stopped goes on with the request that it had not answered.
            let is_one_lost = !comes_back_empty && counts == (expected.0, expected.1 - 1);
            assert!(counts == expected || is_one_lost, "{counts:?}, {on_failure:?}, empty: {comes_back_empty}");
        }
    }
}

#[test]
fn a_script_that_is_forgotten_is_not_seen() {
    let Some(server) = Server::start(&[]) else { return skip("a_script_that_is_forgotten") };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let redis = Redis::builder(server.url()).timeout(LONG).build();
    let limiter =
        RateLimiter::builder().window(1_000, SECOND).shared(redis.quota("scripts"), OnFailure::Closed).build();
    for _ in 0..20 {
        runtime.block_on(limiter.acquire_many(1)).unwrap();
        server.command(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(redis.stats().failed, 0);
    assert!(redis.stats().scripts >= 2);
}

/// Two processes at work while something happens to the server after 2 s.
fn two_processes(work: &Work, meanwhile: impl FnOnce()) -> (Vec<Log>, u64) {
    let processes = [work.start(), work.start()];
    thread::sleep(Duration::from_secs(2));
    let at = monotonic();
    meanwhile();
    (processes.map(Process::end).into(), at)
}

fn goes_on_after(logs: &[Log], at: u64) {
    for log in logs {
        let (before, after) = log.gap_at(at);
        assert!(before.is_some(), "no call before");
        let later = log.calls_between(at + 2_000_000_000, u64::MAX);
        assert!(after.is_some() && later > 0, "no call 2 s after");
    }
}

fn work(server: &Server) -> Work {
    Work { lasts: Duration::from_secs(8), ..Work::new(server.url(), &[(100, 1_000)]) }
}

#[test]
fn all_is_flushed() {
    let Some(server) = Server::start(&[]) else { return skip("all_is_flushed") };
    let _alone = alone();
    let work = work(&server);
    let (logs, at) = two_processes(&work, || assert_eq!(server.command(&["FLUSHALL"]), "OK"));
    Log::merged(&logs).assert_within(&work.windows);
    goes_on_after(&logs, at);
}

#[test]
fn one_key_is_deleted() {
    let Some(server) = Server::start(&[]) else { return skip("one_key_is_deleted") };
    let _alone = alone();
    for key in ["{decor:shared}:w0:1000000", "{decor:shared}:s"] {
        let work = work(&server);
        let (logs, at) = two_processes(&work, || assert_eq!(server.command(&["DEL", key]), "1"));
        Log::merged(&logs).assert_within(&work.windows);
        goes_on_after(&logs, at);
    }
}

#[test]
fn killed_and_started_empty() {
    let Some(mut server) = Server::start(&[]) else { return skip("killed_and_started_empty") };
    let _alone = alone();
    let work = work(&server);
    let (logs, at) = two_processes(&work, || {
        server.kill();
        thread::sleep(Duration::from_millis(500));
        server.restart();
    });
    Log::merged(&logs).assert_within(&work.windows);
    goes_on_after(&logs, at);
}

#[test]
fn hangs_and_goes_on() {
    let Some(server) = Server::start(&[]) else { return skip("hangs_and_goes_on") };
    let _alone = alone();
    let work = work(&server);
    let (logs, at) = two_processes(&work, || {
        stop(server.pid());
        thread::sleep(Duration::from_millis(1_500));
        go_on(server.pid());
    });
    Log::merged(&logs).assert_within(&work.windows);
    goes_on_after(&logs, at + 1_500_000_000);
}

/// While the server is away, each process goes on with its part. Once the server is back, what was
/// admitted alone is charged.
#[test]
fn killed_and_started_empty_with_parts_of_their_own() {
    let Some(mut server) = Server::start(&[]) else { return skip("killed_with_parts_of_their_own") };
    let _alone = alone();
    let work = Work { local: Some(2), ..work(&server) };
    let mut back = 0;
    let (logs, at) = two_processes(&work, || {
        server.kill();
        thread::sleep(Duration::from_secs(2));
        server.restart();
        back = monotonic();
    });
    for log in &logs {
        let alone = log.calls_between(at + 1_000_000_000, at + 2_000_000_000);
        assert!(alone > 0, "no call while the server is away");
    }
    let all = Log::merged(&logs);
    // Going down: what a process has used, and the part of the other.
    let most = all.most_in_any(0, 1_000);
    assert!(most <= 150, "{most} of 100");
    // Then each keeps to its part, until both have found the server.
    let mut later = Log::default();
    for log in &logs {
        later.append(&log.from(at + 1_200_000_000));
    }
    later.assert_within(&work.windows);
    goes_on_after(&logs, back);
}
