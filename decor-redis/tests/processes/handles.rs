//! Runtimes, threads, and waiters that leave.

use crate::alone;
use decor::{KeyedLimiter, Memo, OnFailure, RateLimiter, RateLimiterBuilder};
use decor_redis::Redis;
use decor_redis_testing::{Server, go_on, skip, stop};
use futures::future::join_all;
use std::{
    future::ready,
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime, task::JoinHandle, time::timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Far longer than anything takes here, unless it hangs.
const LONG: Duration = Duration::from_secs(30);

fn patient(server: &Server) -> Redis {
    Redis::builder(server.url()).timeout(LONG).build()
}

fn limiter(server: &Server, limit: u32, period: Duration) -> RateLimiter {
    RateLimiter::builder().window(limit, period).shared(patient(server).quota("shared"), OnFailure::Closed).build()
}

fn current_thread() -> runtime::Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn two_runtimes_the_first_of_which_is_dropped() {
    let Some(server) = Server::start(&[]) else { return skip("two_runtimes") };
    let limiter = limiter(&server, 5, Duration::from_millis(200));
    let first = current_thread();
    first.block_on(async {
        for _ in 0..7 {
            limiter.acquire().await;
        }
        // A waiter that will never be polled again.
        let waits = limiter.clone();
        tokio::spawn(async move { join_all((0..20).map(|_| waits.acquire())).await });
        tokio::task::yield_now().await;
    });
    drop(first);
    current_thread().block_on(async {
        for _ in 0..12 {
            timeout(LONG, limiter.acquire()).await.expect("a permit on the second runtime");
        }
    });
}

#[test]
fn threads_and_tasks_wait_in_one_queue() {
    let Some(server) = Server::start(&[]) else { return skip("threads_and_tasks") };
    let limiter = limiter(&server, 10, Duration::from_millis(100));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let limiter = limiter.clone();
            thread::spawn(move || (0..10).for_each(|_| limiter.acquire_blocking()))
        })
        .collect();
    current_thread().block_on(async {
        timeout(LONG, join_all((0..40).map(|_| limiter.acquire()))).await.expect("80 permits");
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(limiter.stats().admitted, 80);
}

#[test]
fn a_paused_clock_does_not_stop_a_shared_limiter() {
    let Some(server) = Server::start(&[]) else { return skip("a_paused_clock") };
    let limiter = limiter(&server, 2, Duration::from_millis(150));
    let begun = Instant::now();
    runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
        for _ in 0..5 {
            limiter.acquire().await;
        }
    });
    // In real time: two periods.
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

/// Starts calls that wait.
fn waiters(limiter: &RateLimiter, count: usize) -> Vec<JoinHandle<()>> {
    let wait = |_| {
        let limiter = limiter.clone();
        tokio::spawn(async move { limiter.acquire().await })
    };
    (0..count).map(wait).collect()
}

async fn leave(waiters: Vec<JoinHandle<()>>) {
    waiters.iter().for_each(JoinHandle::abort);
    join_all(waiters).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_waiters_leave_and_the_next_is_served() {
    let Some(server) = Server::start(&[]) else { return skip("ten_thousand_waiters") };
    let limiter = limiter(&server, 10, Duration::from_millis(100));
    for _ in 0..10 {
        limiter.acquire().await;
    }
    // A thousand leave in the middle of a request: the server is stopped, and does not answer.
    stop(server.pid());
    let asks = limiter.stats().asks;
    let asking = waiters(&limiter, 1_000);
    let begun = Instant::now();
    while limiter.waiting() < 1_000 || limiter.stats().asks == asks {
        assert!(begun.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    leave(asking).await;
    assert_eq!((limiter.waiting(), limiter.stats().asks), (0, asks + 1));
    go_on(server.pid());
    timeout(LONG, limiter.acquire()).await.expect("the next caller is served");

    // The others wait, are granted permits for later, and leave at any moment.
    let waiting = waiters(&limiter, 9_000);
    tokio::time::sleep(Duration::from_millis(50)).await;
    leave(waiting).await;
    assert_eq!(limiter.waiting(), 0);
    timeout(LONG, limiter.acquire()).await.expect("the next caller is served");
    // What they did not use has left the window, so the whole limit is free at once. On a busy
    // machine, a permit may be used too late, and be lost.
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut admitted = 0;
        while admitted < 10 && limiter.acquire_within(Duration::ZERO).await.is_ok() {
            admitted += 1;
        }
        if admitted == 10 {
            break;
        }
        assert!(begun.elapsed() < LONG, "{admitted} of 10 permits");
    }
}

#[tokio::test]
async fn a_limiter_for_each_key() {
    let Some(server) = Server::start(&[]) else { return skip("a_limiter_for_each_key") };
    let redis = patient(&server);
    let builder = || RateLimiter::builder().window(3, SECOND).shared(redis.quota("users"), OnFailure::Closed);
    // Two limiters, as two processes would have them.
    let limiters = [(); 2].map(|()| KeyedLimiter::<u32>::shared(builder(), u32::to_string));
    for key in 0..20 {
        for limiter in &limiters {
            limiter.for_key(&key).acquire_within(Duration::ZERO).await.unwrap();
        }
        limiters[0].for_key(&key).acquire_within(Duration::ZERO).await.unwrap();
        limiters[1].for_key(&key).acquire_within(Duration::ZERO).await.unwrap_err();
    }
    assert_eq!(server.command(&["EXISTS", "{decor:users:7}:s"]), "1");
}

#[tokio::test]
async fn a_pause_is_heard_by_the_others() {
    let Some(server) = Server::start(&[]) else { return skip("a_pause_is_heard") };
    let limiters = [limiter(&server, 100, SECOND), limiter(&server, 100, SECOND)];
    for limiter in &limiters {
        limiter.acquire().await;
    }
    limiters[0].pause_for(SECOND);
    let begun = Instant::now();
    // Long enough for the pause to reach the store, and for held permits to lapse.
    tokio::time::sleep(Duration::from_millis(200)).await;
    limiters[1].acquire().await;
    assert!(begun.elapsed() >= Duration::from_millis(950), "{:?}", begun.elapsed());
}

/// The CPU time of this process, which waits for a minute's permits and does nothing else.
#[test]
fn waiting_takes_no_processor() {
    let Some(server) = Server::start(&[]) else { return skip("waiting_takes_no_processor") };
    let _alone = alone();
    let limiter = limiter(&server, 1, Duration::from_secs(60));
    let waiter = limiter.clone();
    let waits = thread::Builder::new().name("waiter".into()).spawn(move || {
        waiter.acquire_many(1).blocking().unwrap();
        waiter.acquire_within(SECOND * 3).blocking().unwrap_err();
        let before = io_thread_ticks();
        let _ = waiter.acquire_within(SECOND * 59).blocking();
        before
    });
    drop(waits);
    thread::sleep(SECOND);
    let before = io_thread_ticks();
    thread::sleep(SECOND * 3);
    let ticks = io_thread_ticks() - before;
    // A tick is 10 ms.
    assert!(ticks <= 5, "{ticks} ticks in 3 s");
    limiter.close();
}

/// Ticks that the I/O threads of this process have run.
fn io_thread_ticks() -> u64 {
    let stat_of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat")).ok();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let io_threads = tasks.filter_map(stat_of).filter(|stat| stat.contains("(decor-redis)"));
    io_threads
        .map(|stat| {
            let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').map(str::to_owned).collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        })
        .sum()
}

/// The rights that the README names are all that an account needs.
#[tokio::test]
async fn an_account_with_the_rights_of_the_readme_can_do_everything() {
    let Some(server) = Server::start(&[]) else { return skip("an_account_with_the_rights") };
    let readme = include_str!("../../README.md");
    let list = readme.split_once("An account needs `").unwrap().1.split_once('`').unwrap().0;
    let rights = list.split_whitespace().chain(["+select", "+client|setname"]);
    let account = ["ACL", "SETUSER", "app", "on", ">secret", "&decor*", "~{decor*"];
    assert_eq!(server.command(&account.into_iter().chain(rights).collect::<Vec<_>>()), "OK");
    let url = format!("redis://app:secret@127.0.0.1:{}/1", server.port());
    let redis = Redis::builder(url).timeout(LONG).build();
    redis.ping().await.unwrap();

    let shared = |builder: RateLimiterBuilder, name: &str| builder.shared(redis.quota(name), OnFailure::Closed).build();
    let limiters = [
        shared(RateLimiter::builder().window(10, SECOND), "one"),
        shared(RateLimiter::builder().window(10, SECOND).window(100, 60 * SECOND), "two"),
        shared(RateLimiter::builder().paced(10, SECOND), "paced"),
    ];
    for limiter in &limiters {
        limiter.acquire_many(1).await.unwrap();
        limiter.charge(1);
        limiter.refund(1);
        limiter.pause_for(Duration::from_millis(1));
        limiter.acquire_many(1).await.unwrap();
    }
    let memo: Memo<u64, String> = Memo::builder().ttl(60 * SECOND).tier(redis.tier("users")).build();
    memo.get_or_load(1, || ready("Ada".to_owned())).await;
    memo.insert(2, "Bob".into());
    memo.invalidate(&1);
    memo.clear();
    memo.settled().await.unwrap();

    assert_eq!(server.command(&["ACL", "LOG"]), "");
    assert!(redis.is_up());
    assert_eq!(redis.stats().losses, 0);
}
