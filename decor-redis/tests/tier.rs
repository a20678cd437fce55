//! A memo on a Redis, in several processes: each has a handle and a memo of its own.

use decor::{Error, Memo, prelude::*};
use decor_redis::Redis;
use decor_redis_testing::{Proxy, Server, go_on, skip, stop};
use futures::future::join_all;
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

const MINUTE: Duration = Duration::from_secs(60);

/// Far longer than anything takes here, unless it hangs.
const LONG: Duration = Duration::from_secs(30);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The memo of one process, and the number of loads of all.
#[derive(Clone)]
struct Process {
    memo: Memo<u64, String>,
    loads: Arc<AtomicUsize>,
}

impl Process {
    fn several(server: &Server, count: usize, ttl: Duration, lease: Duration) -> Vec<Self> {
        let loads = Arc::new(AtomicUsize::new(0));
        let new = |_| {
            let redis = Redis::builder(server.url()).timeout(LONG / 2).build();
            let memo = Memo::builder().ttl(ttl).tier(redis.tier("users").lease(lease)).build();
            Self { memo, loads: loads.clone() }
        };
        (0..count).map(new).collect()
    }

    fn two(server: &Server) -> [Self; 2] {
        Self::several(server, 2, MINUTE, Duration::from_secs(5)).try_into().ok().unwrap()
    }

    /// Calls for a value that takes some time to load.
    async fn get(&self, key: u64, takes: Duration) -> String {
        let load = || async {
            let load = self.loads.fetch_add(1, SeqCst);
            sleep(takes).await;
            format!("{key} by load {load}")
        };
        timeout(LONG, self.memo.get_or_load(key, load)).await.expect("a value")
    }

    fn loads(&self) -> usize {
        self.loads.load(SeqCst)
    }
}

fn value_key(key: u64) -> String {
    let bytes = decor::tier::KeyBytes::of(&key);
    let escaped: String = bytes
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    format!("{{decor:users:v0:{escaped}}}:v")
}

fn lock_key(key: u64) -> String {
    value_key(key).replace("}:v", "}:l")
}

/// Waits until a condition holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "{what}");
        sleep(ms(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cold_key_is_loaded_once_by_all_processes() {
    let Some(server) = Server::start(&[]) else { return skip("each_cold_key_is_loaded_once") };
    let processes = Process::several(&server, 4, MINUTE, Duration::from_secs(5));
    let calls = processes.iter().flat_map(|process| (0..200).map(move |n| (process, n % 20)));
    let values = join_all(calls.map(|(process, key)| async move { (key, process.get(key, ms(50)).await) })).await;
    assert_eq!(processes[0].loads(), 20);
    for (key, value) in &values {
        assert!(value.starts_with(&format!("{key} by load ")));
        assert_eq!(value, &processes[0].get(*key, ms(0)).await);
    }
    let stats: Vec<_> = processes.iter().map(|process| process.memo.stats()).collect();
    assert_eq!(stats.iter().map(|stats| stats.loads).sum::<u64>(), 20);
    assert_eq!(stats.iter().map(|stats| stats.tier_hits).sum::<u64>(), 60);
    assert!(stats.iter().all(|stats| stats.tier_is_up && stats.tier_refused == 0));
}

#[tokio::test]
async fn a_leader_that_is_dropped_gives_its_lease_up() {
    let Some(server) = Server::start(&[]) else { return skip("a_leader_that_is_dropped") };
    // A lease that would run out too late.
    let [a, b] = Process::several(&server, 2, MINUTE, 2 * LONG).try_into().ok().unwrap();
    let leads = tokio::spawn({
        let a = a.clone();
        async move { a.get(7, LONG).await }
    });
    until("the load begins", || a.loads() == 1).await;
    let waits = tokio::spawn({
        let b = b.clone();
        async move { b.get(7, ms(0)).await }
    });
    until("the other waits", || b.memo.stats().tier_waits == 1).await;
    leads.abort();
    assert_eq!(waits.await.unwrap(), "7 by load 1");
}

#[tokio::test]
async fn a_leader_that_is_killed_costs_its_lease() {
    let Some(server) = Server::start(&[]) else { return skip("a_leader_that_is_killed") };
    let [a, _] = Process::two(&server);
    // The lock of a process that is no more.
    server.command(&["SET", &lock_key(7), "gone", "PX", "600"]);
    let begun = Instant::now();
    assert_eq!(a.get(7, ms(0)).await, "7 by load 0");
    assert!(begun.elapsed() >= ms(500));
    assert_eq!((a.memo.stats().tier_waits, a.memo.stats().tier_refused), (1, 0));
}

#[tokio::test]
async fn the_late_landing_of_a_stopped_leader_is_refused() {
    let Some(server) = Server::start(&[]) else { return skip("the_late_landing") };
    let [a, b] = Process::two(&server);
    let late = tokio::spawn({
        let a = a.clone();
        async move { a.get(7, ms(300)).await }
    });
    until("the load begins", || a.loads() == 1).await;
    // As if it had been stopped for longer than its lease.
    server.command(&["DEL", &lock_key(7)]);
    assert_eq!(b.get(7, ms(0)).await, "7 by load 1");
    b.memo.settled().await.unwrap();
    let stored = server.command(&["GET", &value_key(7)]);
    assert_eq!(late.await.unwrap(), "7 by load 0");
    a.memo.settled().await.unwrap();
    assert_eq!((a.memo.stats().tier_refused, b.memo.stats().tier_refused), (1, 0));
    assert_eq!(server.command(&["GET", &value_key(7)]), stored);
}

#[tokio::test]
async fn a_load_may_take_longer_than_its_lease() {
    let Some(server) = Server::start(&[]) else { return skip("a_load_may_take_longer") };
    let processes = Process::several(&server, 3, MINUTE, ms(600));
    let values = join_all(processes.iter().map(|process| process.get(7, ms(2_100)))).await;
    assert_eq!(values, ["7 by load 0"; 3]);
}

#[tokio::test]
async fn an_invalidation_reaches_the_others_and_refuses_their_loads() {
    let Some(server) = Server::start(&[]) else { return skip("an_invalidation_reaches_the_others") };
    let [a, b] = Process::two(&server);
    assert_eq!(a.get(7, ms(0)).await, "7 by load 0");
    assert_eq!(b.get(7, ms(0)).await, "7 by load 0");
    a.memo.invalidate(&7);
    assert_eq!(a.memo.get(&7), None);
    a.memo.settled().await.unwrap();
    until("the other hears of it", || b.memo.get(&7).is_none()).await;

    // During a load: its caller has the value, and no other call.
    let loads = tokio::spawn({
        let b = b.clone();
        async move { b.get(7, ms(300)).await }
    });
    until("the load begins", || b.loads() == 2).await;
    a.memo.invalidate(&7);
    a.memo.settled().await.unwrap();
    assert_eq!(loads.await.unwrap(), "7 by load 1");
    b.memo.settled().await.unwrap();
    assert_eq!(a.get(7, ms(0)).await, "7 by load 2");
    assert_eq!(b.get(7, ms(0)).await, "7 by load 2");
}

#[tokio::test]
async fn an_insertion_reaches_the_others() {
    let Some(server) = Server::start(&[]) else { return skip("an_insertion_reaches_the_others") };
    let [a, b] = Process::two(&server);
    assert_eq!(b.get(7, ms(0)).await, "7 by load 0");
    a.memo.insert(7, "inserted".into());
    a.memo.settled().await.unwrap();
    until("the other hears of it", || b.memo.get(&7).is_none_or(|value| value == "inserted")).await;
    assert_eq!(b.get(7, ms(0)).await, "inserted");
    assert_eq!((a.get(7, ms(0)).await.as_str(), a.loads()), ("inserted", 1));

    // It wins over a load in another process.
    b.memo.invalidate(&7);
    b.memo.settled().await.unwrap();
    let loads = tokio::spawn({
        let b = b.clone();
        async move { b.get(7, ms(300)).await }
    });
    until("the load begins", || b.loads() == 2).await;
    a.memo.insert(7, "newer".into());
    a.memo.settled().await.unwrap();
    assert_eq!(loads.await.unwrap(), "7 by load 1");
    assert_eq!(b.get(7, ms(0)).await, "newer");
}

#[tokio::test]
async fn a_clear_reaches_the_others() {
    let Some(server) = Server::start(&[]) else { return skip("a_clear_reaches_the_others") };
    let [a, b] = Process::two(&server);
    for key in 0..5 {
        a.get(key, ms(0)).await;
        b.get(key, ms(0)).await;
    }
    let loads = tokio::spawn({
        let b = b.clone();
        async move { b.get(9, ms(300)).await }
    });
    until("the load begins", || b.loads() == 6).await;
    a.memo.clear();
    assert_eq!(a.get(0, ms(0)).await, "0 by load 6");
    a.memo.settled().await.unwrap();
    until("the other hears of it", || b.memo.get(&1).is_none()).await;
    assert_eq!(b.get(0, ms(0)).await, "0 by load 6");
    assert_eq!(b.get(1, ms(0)).await, "1 by load 7");
    // The load from before the clear is not kept.
    assert_eq!(loads.await.unwrap(), "9 by load 5");
    b.memo.settled().await.unwrap();
    assert_eq!(a.get(9, ms(0)).await, "9 by load 8");
}

/// The messages of the memo, as a further process hears them.
struct News(BufReader<TcpStream>);

impl News {
    fn of(server: &Server) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(b"SUBSCRIBE decor:users:v0\r\n").unwrap();
        let mut news = Self(BufReader::new(stream));
        news.next(":1");
        news
    }

    /// The next line that begins like this.
    fn next(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the end");
            if line.starts_with(begin) {
                return line.trim_end().into();
            }
        }
    }
}

#[tokio::test]
async fn what_lands_and_what_is_given_up_is_told_so_that_waits_end_at_once() {
    let Some(server) = Server::start(&[]) else { return skip("what_lands") };
    let [a, _] = Process::two(&server);
    let mut news = News::of(&server);
    let key = |key| value_key(key).replace("{decor:users:v0:", "landed ").replace("}:v", "");
    a.get(7, ms(0)).await;
    assert_eq!(news.next("landed"), key(7));
    let leads = tokio::spawn({
        let a = a.clone();
        async move { a.get(8, LONG).await }
    });
    until("the load begins", || a.loads() == 2).await;
    leads.abort();
    assert!(leads.await.unwrap_err().is_cancelled());
    assert_eq!(news.next("landed"), key(8));
    a.memo.invalidate(&7);
    assert!(news.next("changed").starts_with("changed 1 0 "));
}

#[tokio::test]
async fn a_change_without_its_message_is_noticed() {
    let Some(server) = Server::start(&[]) else { return skip("a_change_without_its_message") };
    let [a, _] = Process::two(&server);
    a.get(7, ms(0)).await;
    a.memo.settled().await.unwrap();
    server.command(&["UNLINK", &value_key(7)]);
    server.command(&["HINCRBY", "{decor:users:v0}:seq", "seq", "1"]);
    let begun = Instant::now();
    until("the number is ahead", || a.memo.get(&7).is_none()).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_server_that_has_lost_its_numbers_is_noticed() {
    let Some(server) = Server::start(&[]) else { return skip("a_server_that_has_lost_its_numbers") };
    let [a, b] = Process::two(&server);
    a.memo.clear();
    a.memo.settled().await.unwrap();
    assert_eq!(a.get(7, ms(0)).await, "7 by load 0");
    until("the other hears of the clear", || {
        server.command(&["HGET", "{decor:users:v0}:seq", "gen"]) == "1" && b.memo.stats().tier_is_up
    })
    .await;
    assert_eq!(server.command(&["FLUSHALL"]), "OK");
    until("it forgets", || a.memo.get(&7).is_none()).await;
    // The generation begins anew as well.
    assert_eq!(a.get(7, ms(0)).await, "7 by load 1");
    a.memo.settled().await.unwrap();
    assert_eq!(b.get(7, ms(0)).await, "7 by load 1");
    a.memo.clear();
    a.memo.settled().await.unwrap();
    until("the other hears of it", || b.memo.get(&7).is_none()).await;
    assert_eq!(b.get(7, ms(0)).await, "7 by load 2");
}

/// A message is lost, and the next one comes.
#[tokio::test]
async fn a_gap_in_the_numbers_forgets_all() {
    let Some(server) = Server::start(&[]) else { return skip("a_gap_in_the_numbers") };
    let [a, b] = Process::two(&server);
    a.get(7, ms(0)).await;
    b.memo.invalidate(&100);
    b.memo.settled().await.unwrap();
    until("all are subscribed", || server.command(&["PUBSUB", "NUMSUB", "decor:users:v0"]).ends_with('2')).await;
    sleep(ms(1_500)).await;
    a.get(7, ms(0)).await;
    server.command(&["UNLINK", &value_key(7)]);
    server.command(&["HINCRBY", "{decor:users:v0}:seq", "seq", "1"]);
    b.memo.invalidate(&100);
    until("the number is too high", || a.memo.get(&7).is_none()).await;
}

/// The subscription is there, and nothing comes over it.
#[tokio::test]
async fn a_deaf_subscriber_notices_it() {
    let Some(server) = Server::start(&[]) else { return skip("a_deaf_subscriber") };
    let proxy = Proxy::start(server.port(), Duration::ZERO);
    let [a, mut b] = Process::two(&server);
    let redis = Redis::builder(proxy.url()).timeout(LONG / 2).build();
    b.memo = Memo::builder().ttl(MINUTE).tier(redis.tier("users")).build();
    assert_eq!(a.get(7, ms(0)).await, "7 by load 0");
    assert_eq!(b.get(7, ms(0)).await, "7 by load 0");
    until("all are subscribed", || server.command(&["PUBSUB", "NUMSUB", "decor:users:v0"]).ends_with('2')).await;
    // What was missed before the subscription is noticed by now.
    sleep(ms(1_500)).await;
    assert_eq!(b.get(7, ms(0)).await, "7 by load 0");
    proxy.deafen();
    for load in 1..3 {
        a.memo.invalidate(&7);
        a.memo.settled().await.unwrap();
        let begun = Instant::now();
        until("the number is ahead", || b.memo.get(&7).is_none()).await;
        // 1.2 s, with room for a busy machine.
        assert!(begun.elapsed() < ms(5_000), "{:?}", begun.elapsed());
        assert_eq!(b.get(7, ms(0)).await, format!("7 by load {load}"));
    }
    // It has subscribed anew.
    assert!(redis.stats().is_up);
    proxy.listen();
    a.memo.invalidate(&7);
    until("the message comes", || b.memo.get(&7).is_none()).await;
}

#[tokio::test]
async fn a_new_subscription_forgets_all() {
    let Some(server) = Server::start(&[]) else { return skip("a_new_subscription") };
    let [a, _b] = Process::two(&server);
    a.get(7, ms(0)).await;
    until("it is subscribed", || server.command(&["PUBSUB", "NUMSUB", "decor:users:v0"]).ends_with('2')).await;
    sleep(ms(50)).await;
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    until("it forgets", || a.memo.get(&7).is_none()).await;
    assert_eq!(a.get(7, ms(0)).await, "7 by load 0");
}

#[tokio::test]
async fn garbage_is_a_miss_and_is_replaced() {
    let Some(server) = Server::start(&[]) else { return skip("garbage_is_a_miss") };
    let [a, b] = Process::two(&server);
    for garbage in ["", "x", "0000000000000000000000000000000000001????????garbage"] {
        server.command(&["SET", &value_key(7), garbage]);
        let value = a.get(7, ms(0)).await;
        a.memo.settled().await.unwrap();
        assert_eq!(b.get(7, ms(0)).await, value);
        a.memo.invalidate(&7);
        a.memo.settled().await.unwrap();
        until("the other hears of it", || b.memo.get(&7).is_none()).await;
    }
    // A key of another type.
    server.command(&["RPUSH", &value_key(7), "x"]);
    assert_eq!(a.get(7, ms(0)).await, "7 by load 3");
    a.memo.settled().await.unwrap();
    assert_eq!(b.get(7, ms(0)).await, "7 by load 3");
    assert_eq!((a.memo.stats().undecodable, a.loads()), (4, 4));
}

#[tokio::test]
async fn a_value_expires_at_one_moment_in_all_processes() {
    let Some(server) = Server::start(&[]) else { return skip("a_value_expires_at_one_moment") };
    let processes = Process::several(&server, 2, ms(1_500), Duration::from_secs(5));
    let begun = Instant::now();
    processes[0].get(7, ms(0)).await;
    sleep(ms(1_000)).await;
    assert_eq!(processes[1].get(7, ms(0)).await, "7 by load 0");
    until("it expires", || processes[1].memo.get(&7).is_none()).await;
    // Not 1.5 s after it was found.
    assert!(begun.elapsed() < ms(2_400), "{:?}", begun.elapsed());
    assert_eq!(processes[1].get(7, ms(0)).await, "7 by load 1");
}

#[tokio::test]
async fn without_a_server_each_process_loads_for_itself() {
    let Some(server) = Server::start(&[]) else { return skip("without_a_server") };
    let open = || {
        let redis = Redis::open(server.url()).unwrap();
        Memo::<u64, u64>::builder().ttl(MINUTE).tier(redis.tier("users").deaf_ttl(ms(700))).build()
    };
    let (a, b) = (open(), open());
    stop(server.pid());
    assert_eq!(a.get_or_load(7, || std::future::ready(1)).await, 1);
    assert_eq!(b.get_or_load(7, || std::future::ready(2)).await, 2);
    assert!(!a.stats().tier_is_up);
    a.insert(7, 3);
    assert_eq!(a.settled().await, Err(Error::StoreDown { name: "users".into() }));
    assert_eq!(a.get(&7), Some(3));
    until("the values are too old to be trusted", || a.get(&7).is_none() && b.get(&7).is_none()).await;
    go_on(server.pid());
    until("the store is back", || a.stats().tier_is_up && b.stats().tier_is_up).await;
    // The insertion was kept, and follows.
    timeout(LONG, async { while a.settled().await.is_err() {} }).await.expect("the changes follow");
    assert_eq!(timeout(LONG, b.get_or_load(7, || std::future::ready(4))).await.unwrap(), 3);
}

#[test]
fn threads_ask_the_tier_as_well() {
    let Some(server) = Server::start(&[]) else { return skip("threads_ask_the_tier") };
    let [a, b] = Process::two(&server);
    let load = |text: &'static str| move |key: u64| format!("{key} {text}");
    let here = load("here").blocking().memoized(&a.memo);
    let there = load("there").blocking().memoized(&b.memo);
    assert_eq!(here.call(7), "7 here");
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(a.memo.settled()).unwrap();
    assert_eq!(there.call(7), "7 here");
    assert_eq!(b.memo.stats().tier_hits, 1);
}

#[tokio::test]
async fn a_stale_value_is_served_while_one_process_refreshes_it() {
    let Some(server) = Server::start(&[]) else { return skip("a_stale_value_is_served") };
    let open = || {
        let redis = Redis::builder(server.url()).timeout(LONG / 2).build();
        Memo::<u64, u64>::builder().ttl(ms(200)).stale_while_revalidate(MINUTE).tier(redis.tier("users")).build()
    };
    let (a, b) = (open(), open());
    assert_eq!(a.get_or_load(7, || std::future::ready(1)).await, 1);
    a.settled().await.unwrap();
    sleep(ms(300)).await;
    let refreshes = tokio::spawn({
        let a = a.clone();
        async move {
            let load = || async {
                sleep(ms(500)).await;
                2
            };
            a.get_or_load(7, load).await
        }
    });
    until("it refreshes", || a.stats().loads == 2).await;
    assert_eq!(b.get_or_load(7, || std::future::ready(9)).await, 1);
    assert_eq!(refreshes.await.unwrap(), 2);
    a.settled().await.unwrap();
    assert_eq!(b.get_or_load(7, || std::future::ready(9)).await, 2);
}

/// Changes follow each other faster than they are heard, and nothing is taken for deaf.
#[tokio::test(flavor = "multi_thread")]
async fn many_changes_leave_the_other_values_alone() {
    let Some(server) = Server::start(&[]) else { return skip("many_changes_leave") };
    let [a, b] = Process::two(&server);
    for process in [&a, &b] {
        assert_eq!(process.get(7, ms(0)).await, "7 by load 0");
        process.memo.settled().await.unwrap();
    }
    until("both are subscribed", || server.command(&["PUBSUB", "NUMSUB", "decor:users:v0"]).ends_with('2')).await;
    // What was missed before the subscription is noticed by now.
    sleep(ms(1_500)).await;
    let (loads, begun) = (b.loads(), Instant::now());
    b.get(7, ms(0)).await;
    while begun.elapsed() < ms(2_500) {
        for key in 100..150 {
            a.memo.invalidate(&key);
        }
        sleep(ms(1)).await;
        assert!(b.memo.get(&7).is_some(), "forgotten after {:?}", begun.elapsed());
    }
    assert_eq!(b.loads(), loads);
}

/// Threads that call, change and clear, on a few keys, in three processes. A value that a process
/// sees after it was told of a change is no older than the change.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_process_reads_what_it_has_removed() {
    let Some(server) = Server::start(&[]) else { return skip("no_process_reads") };
    let processes = Process::several(&server, 3, MINUTE, ms(500));
    let truth: Arc<[AtomicUsize; 4]> = Arc::new(std::array::from_fn(|_| AtomicUsize::new(0)));
    let end = Instant::now() + ms(4_000);
    let tasks =
        processes.iter().enumerate().flat_map(|(n, process)| (0..4).map(move |task| (n * 4 + task, process.clone())));
    let tasks: Vec<_> = tasks
        .map(|(task, process)| {
            let truth = truth.clone();
            tokio::spawn(async move {
                for (calls, n) in (task..).enumerate() {
                    if Instant::now() > end {
                        return calls;
                    }
                    let key = (n % 4) as u64;
                    let cell = &truth[n % 4];
                    if n % 23 == 0 {
                        // A writer: changes the truth, and then tells the memo.
                        let newer = cell.fetch_add(1, SeqCst) + 1;
                        if n % 5 == 0 {
                            process.memo.clear();
                        } else {
                            process.memo.invalidate(&key);
                        }
                        process.memo.settled().await.unwrap();
                        let seen = read(&process, key, &truth).await;
                        assert!(seen >= newer, "{seen} after {newer}");
                    } else {
                        read(&process, key, &truth).await;
                    }
                    sleep(ms(1)).await;
                }
                unreachable!("the loop has no end")
            })
        })
        .collect();
    let mut calls = 0;
    for task in tasks {
        calls += timeout(LONG, task).await.expect("an end").unwrap();
    }
    assert!(calls > 500, "{calls} calls");
}

/// Reads the truth of a key through the memo.
async fn read(process: &Process, key: u64, truth: &Arc<[AtomicUsize; 4]>) -> usize {
    let load = || async {
        let value = truth[usize::try_from(key).unwrap()].load(SeqCst);
        sleep(ms(3)).await;
        value.to_string()
    };
    timeout(LONG, process.memo.get_or_load(key, load)).await.expect("a value").parse().unwrap()
}
