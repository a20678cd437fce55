//! A process that loads a value is killed, or stopped for longer than its lease.

use crate::alone;
use decor::Memo;
use decor_redis::Redis;
use decor_redis_testing::{Server, go_on, skip, stop};
use futures::future::join_all;
use std::{
    env, fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const LEASE: Duration = Duration::from_secs(1);

/// Far longer than anything takes here, unless it hangs.
const LONG: Duration = Duration::from_secs(30);

fn memo(url: &str) -> Memo<String, String> {
    let redis = Redis::builder(url).timeout(LONG).build();
    Memo::builder().ttl(2 * LONG).tier(redis.tier("users").lease(LEASE)).build()
}

fn load(memo: &Memo<String, String>, takes: Duration, value: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let load = || async {
            tokio::time::sleep(takes).await;
            value.to_owned()
        };
        let loaded = memo.get_or_load("ann", load).await;
        memo.settled().await.unwrap();
        loaded
    })
}

/// The work of the process that loads. No test: does nothing unless a test has started it.
#[test]
#[ignore = "started by the other tests"]
fn leads() {
    let Ok(url) = env::var("DECOR_REDIS_LEADS") else { return };
    let memo = memo(&url);
    load(&memo, Duration::from_millis(500), "late");
    assert_eq!(memo.stats().tier_refused, 1, "the landing was not refused");
}

/// The work of a process that calls. No test: does nothing unless a test has started it.
#[test]
#[ignore = "started by the other tests"]
fn calls() {
    let (Ok(url), Some(path)) = (env::var("DECOR_REDIS_CALLS"), env::var_os("DECOR_REDIS_LOADS")) else { return };
    let memo = memo(&url);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let call = |n| {
            let key = format!("key {}", n % 20);
            let value = format!("the value of {key}");
            let load = move || async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                value
            };
            memo.get_or_load(key, load)
        };
        let values = join_all((0..200).map(call)).await;
        for (n, value) in values.into_iter().enumerate() {
            assert_eq!(value, format!("the value of key {}", n % 20));
        }
        memo.settled().await.unwrap();
    });
    fs::write(path, memo.stats().loads.to_string()).unwrap();
}

#[test]
fn four_processes_load_each_of_twenty_cold_keys_once() {
    let Some(server) = Server::start(&[]) else { return skip("four_processes") };
    let _alone = alone();
    let directory = env::temp_dir().join(format!("decor-redis-loads-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let start = |n: u32| {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["memo::calls", "--exact", "--ignored"]).stdout(Stdio::null());
        child.env("DECOR_REDIS_CALLS", server.url()).env("DECOR_REDIS_LOADS", directory.join(n.to_string()));
        child.spawn().unwrap()
    };
    for mut child in [0, 1, 2, 3].map(start) {
        assert!(child.wait().unwrap().success());
    }
    let loads = (0..4).map(|n| fs::read_to_string(directory.join(n.to_string())).unwrap().parse::<u32>().unwrap());
    assert_eq!(loads.sum::<u32>(), 20);
    fs::remove_dir_all(directory).unwrap();
}

fn start(server: &Server) -> Child {
    let child = Command::new(env::current_exe().unwrap())
        .args(["memo::leads", "--exact", "--ignored"])
        .env("DECOR_REDIS_LEADS", server.url())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while server.command(&["KEYS", "*:l"]).is_empty() {
        assert!(begun.elapsed() < LONG, "the process takes no lock");
        thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn a_killed_leader_is_taken_over_within_its_lease() {
    let Some(server) = Server::start(&[]) else { return skip("a_killed_leader") };
    let _alone = alone();
    let mut child = start(&server);
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = Instant::now();
    assert_eq!(load(&memo(&server.url()), Duration::ZERO, "next"), "next");
    // The lease, with room for a busy machine.
    assert!(begun.elapsed() < 5 * LEASE, "{:?}", begun.elapsed());
}

#[test]
fn the_late_landing_of_a_stopped_leader_is_refused() {
    let Some(server) = Server::start(&[]) else { return skip("a_stopped_leader") };
    let _alone = alone();
    let mut child = start(&server);
    stop(child.id());
    let memo = memo(&server.url());
    assert_eq!(load(&memo, Duration::ZERO, "next"), "next");
    go_on(child.id());
    assert!(child.wait().unwrap().success());
    // The value of the process that went on late is nowhere.
    assert_eq!(load(&self::memo(&server.url()), Duration::ZERO, "another"), "next");
}
