//! A cluster of three masters, with names that fall on each of them.

#![cfg(feature = "cluster")]

use decor::{Error, KeyedLimiter, OnFailure, RateLimiter};
use decor_redis::Redis;
use decor_redis_testing::{Server, go_on, monotonic, skip, stop};
use std::{
    thread,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Far longer than anything takes here, unless it hangs.
const LONG: Duration = Duration::from_secs(30);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A store that is patient, so that a busy machine does not take a master down.
fn patient(server: &Server) -> Redis {
    Redis::builder(server.url()).timeout(LONG / 2).build()
}

/// The slot of the limit of a name.
fn slot(server: &Server, name: &str) -> u32 {
    server.command(&["CLUSTER", "KEYSLOT", &format!("{{decor:{name}}}:s")]).parse().unwrap()
}

/// The number of the master that has a slot of a new cluster.
fn owner(slot: u32) -> usize {
    (0..3).find(|n| slot < (n + 1) * 16_384 / 3).unwrap() as usize
}

/// Names of limits, one for each master.
fn names(server: &Server) -> [String; 3] {
    std::array::from_fn(|master| {
        let mut names = (0..).map(|n| format!("limit {n}"));
        names.find(|name| owner(slot(server, name)) == master).unwrap()
    })
}

/// The errors of a server that say that a key is elsewhere, by their names.
fn errors(servers: &[Server]) -> Vec<String> {
    let mut names = Vec::new();
    for server in servers {
        let stats = server.command(&["INFO", "errorstats"]);
        names.extend(
            stats.lines().filter_map(|line| Some(line.strip_prefix("errorstat_")?.split(':').next()?.to_owned())),
        );
    }
    names.sort_unstable();
    names.dedup();
    names
}

#[tokio::test]
async fn limits_of_all_masters_are_served_on_a_connection_to_each() {
    let Some(servers) = Server::cluster(3) else { return skip("limits_of_all_masters") };
    // Any master leads to the others.
    let redis = patient(&servers[1]);
    let limiters = [0, 1].map(|_| {
        (0..30).map(|n| {
            let builder = RateLimiter::builder().window(3, 60 * SECOND).window(5, 3_600 * SECOND);
            builder.shared(redis.quota(format!("limit {n}")), OnFailure::Closed).build()
        })
    });
    let [ours, theirs] = limiters.map(Iterator::collect::<Vec<_>>);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        ours.acquire_many([2, 1]).await.unwrap();
        theirs.acquire_within(Duration::ZERO).await.unwrap();
        theirs.acquire_within(Duration::ZERO).await.unwrap_err();
    }
    let paced = RateLimiter::builder().paced(5, 60 * SECOND).shared(redis.quota("paced"), OnFailure::Closed).build();
    paced.acquire_within(Duration::ZERO).await.unwrap();

    let builder = RateLimiter::builder().window(1, 60 * SECOND).shared(redis.quota("users"), OnFailure::Closed);
    let users = KeyedLimiter::<u32>::shared(builder, u32::to_string);
    for user in 0..30 {
        users.for_key(&user).acquire_within(Duration::ZERO).await.unwrap();
        users.for_key(&user).acquire_within(Duration::ZERO).await.unwrap_err();
    }
    for server in &servers {
        let limits = server.command(&["KEYS", "*:s"]).lines().count();
        assert!(limits > 5, "{limits} limits on a master");
    }
    let stats = redis.stats();
    assert_eq!((stats.is_up, stats.failed, stats.losses, stats.connections), (true, 0, 0, 3));
    // Only the first request may go to a master that does not have its slot.
    assert!(errors(&servers).iter().all(|error| ["NOSCRIPT", "MOVED"].contains(&&**error)), "{:?}", errors(&servers));
    redis.ping().await.unwrap();
}

#[tokio::test]
async fn a_seed_that_is_down_leads_to_the_next_one() {
    let Some(servers) = Server::cluster(3) else { return skip("a_seed_that_is_down") };
    let hosts = [1, servers[2].port()].map(|port| format!("127.0.0.1:{port}")).join(",");
    let redis = Redis::open(format!("redis://{hosts}")).unwrap();
    assert_eq!(redis.to_string(), format!("redis://{hosts}"));
    for name in names(&servers[0]) {
        let limiter = RateLimiter::builder().window(1, SECOND).shared(redis.quota(name), OnFailure::Closed).build();
        timeout(LONG, limiter.acquire()).await.expect("a permit");
    }
    assert!(redis.is_up());
}

#[tokio::test]
async fn a_master_that_is_down_takes_its_own_limits_along_and_no_other() {
    // Not the master of `{decor}:probe`, which a probe of one server writes.
    const AWAY: usize = 1;
    let Some(servers) = Server::cluster(3) else { return skip("a_master_that_is_down") };
    let redis = Redis::open(servers[0].url()).unwrap();
    let limiters = names(&servers[0]).map(|name| {
        let builder = RateLimiter::builder().window(1_000_000, SECOND);
        builder.shared(redis.quota(name), OnFailure::Closed).build()
    });
    let served = async |limiter: &RateLimiter| {
        let begun = Instant::now();
        while limiter.acquire_many(1).await.is_err() {
            assert!(begun.elapsed() < LONG);
            sleep(ms(5)).await;
        }
    };
    for limiter in &limiters {
        served(limiter).await;
    }
    stop(servers[AWAY].pid());
    let begun = Instant::now();
    while limiters[AWAY].acquire_many(1).await.is_ok() {
        assert!(begun.elapsed() < LONG);
    }
    let error = Error::StoreDown { name: names(&servers[0])[AWAY].clone().into() };
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(limiters[AWAY].acquire_many(1).await, Err(error.clone()));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "100 timeouts take 10 s");
    // Longer than the cluster needs to notice it.
    let begun = Instant::now();
    while begun.elapsed() < 3 * SECOND {
        for limiter in [&limiters[0], &limiters[2]] {
            served(limiter).await;
            assert!(limiter.stats().is_up);
        }
        sleep(ms(10)).await;
    }
    assert!(!limiters[AWAY].stats().is_up && !redis.is_up());
    assert!(redis.ping().await.unwrap_err().to_string().starts_with(&servers[AWAY].url()));
    let waits = tokio::spawn({
        let limiter = limiters[AWAY].clone();
        async move { limiter.acquire().await }
    });
    go_on(servers[AWAY].pid());
    timeout(LONG, waits).await.expect("a call that waits is served once its master is back").unwrap();
    served(&limiters[AWAY]).await;
    assert!(redis.is_up());
}

#[tokio::test]
async fn a_replica_that_takes_the_place_of_its_master_is_found() {
    let Some(mut servers) = Server::cluster(3) else { return skip("a_replica_that_takes_the_place") };
    let Some(replica) = Server::replica(&servers, 1) else { return skip("a_replica_that_takes_the_place") };
    let redis = patient(&servers[0]);
    let name = &names(&servers[0])[1];
    let limiter = RateLimiter::builder().window(2, 60 * SECOND).shared(redis.quota(name), OnFailure::Closed).build();
    limiter.acquire_many(1).await.unwrap();
    assert_eq!(servers[1].command(&["WAIT", "1", "10000"]), "1");
    servers[1].kill();
    // A call that waits while no server has the slot.
    timeout(LONG, limiter.acquire()).await.expect("a permit of the replica");
    assert!(limiter.stats().is_up && redis.is_up());
    // The replica knows of the first permit.
    let refused = limiter.acquire_within(Duration::ZERO).await;
    assert!(matches!(refused, Err(Error::RateLimited { .. })), "{refused:?}");
    assert!(!replica.command(&["KEYS", &format!("{{decor:{name}}}:s")]).is_empty());
}

/// Moves the keys of a slot from one master to another, as `redis-cli --cluster reshard` does.
/// `meanwhile` runs before the first key is moved, and after each.
fn move_keys(from: &Server, to: &Server, slot: u32, meanwhile: impl Fn()) {
    let (ids, slot) = ([from, to].map(|server| server.command(&["CLUSTER", "MYID"])), slot.to_string());
    assert_eq!(to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]), "OK");
    assert_eq!(from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]), "OK");
    meanwhile();
    loop {
        let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]);
        if keys.is_empty() {
            break;
        }
        let port = to.port().to_string();
        let moved = from.command(&["MIGRATE", "127.0.0.1", &port, &keys, "0", "5000"]);
        assert!(["OK", "NOKEY"].contains(&&*moved), "{moved}");
        meanwhile();
    }
}

/// Gives a slot to its new master.
fn move_slot(from: &Server, to: &Server, slot: u32) {
    let (id, slot) = (to.command(&["CLUSTER", "MYID"]), slot.to_string());
    for server in [to, from] {
        assert_eq!(server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]), "OK");
    }
}

#[tokio::test]
async fn a_limit_with_its_keys_on_their_way_is_served_where_they_are() {
    let Some(servers) = Server::cluster(3) else { return skip("a_limit_on_its_way") };
    let redis = patient(&servers[0]);
    let name = &names(&servers[0])[0];
    let limiter = RateLimiter::builder().paced(1, 3_600 * SECOND).burst(1);
    let limiter = limiter.shared(redis.quota(name), OnFailure::Closed).build();
    let is_refused = async || {
        let refused = timeout(LONG / 3, limiter.acquire_within(Duration::ZERO)).await.expect("an answer");
        assert!(matches!(refused, Err(Error::RateLimited { .. })), "{refused:?}");
    };
    limiter.acquire().await;
    let slot = slot(&servers[0], name);
    move_keys(&servers[0], &servers[1], slot, || ());
    for _ in 0..3 {
        is_refused().await;
    }
    assert!(errors(&servers).contains(&"ASK".into()));
    move_slot(&servers[0], &servers[1], slot);
    is_refused().await;
    assert_eq!((redis.stats().failed, redis.stats().losses), (0, 0));
}

#[test]
fn a_slot_that_moves_is_followed_and_its_limit_stays_exact() {
    let Some(servers) = Server::cluster(3) else { return skip("a_slot_that_moves") };
    let redis = patient(&servers[0]);
    let names = names(&servers[0]);
    let limiter = RateLimiter::builder()
        .window(20, ms(200))
        .window(60, SECOND)
        .shared(redis.quota(&names[0]), OnFailure::Closed)
        .build();
    limiter.acquire_blocking();
    let end = Instant::now() + 6 * SECOND;
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let limiter = limiter.clone();
            thread::spawn(move || {
                let mut moments = Vec::new();
                while Instant::now() < end {
                    limiter.acquire_blocking();
                    moments.push(monotonic());
                }
                moments
            })
        })
        .collect();
    let slot = slot(&servers[0], &names[0]);
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        thread::sleep(ms(700));
        // Long enough for requests that find some of their keys here, and some there.
        move_keys(&servers[from], &servers[to], slot, || thread::sleep(ms(60)));
        move_slot(&servers[from], &servers[to], slot);
    }
    let mut moments: Vec<_> = calls.into_iter().flat_map(|calls| calls.join().unwrap()).collect();
    moments.sort_unstable();
    for (limit, period) in [(20, 200_000_000), (60, 1_000_000_000)] {
        for (first, last) in moments.iter().zip(&moments[limit..]) {
            assert!(last - first >= period, "{} calls within {} ns", limit + 1, last - first);
        }
    }
    assert!(moments.len() > 100, "{} calls", moments.len());
    let stats = redis.stats();
    assert_eq!((stats.failed, stats.losses), (0, 0));
    let errors = errors(&servers);
    assert!(errors.contains(&"ASK".into()) && errors.contains(&"MOVED".into()), "{errors:?}");
    assert!(!errors.contains(&"CROSSSLOT".into()), "{errors:?}");
}

mod memo {
    use super::*;
    use decor::Memo;
    use std::future::ready;

    fn memos(server: &Server) -> [Memo<u64, u64>; 2] {
        [(); 2].map(|()| {
            let redis = patient(server);
            Memo::builder().ttl(60 * SECOND).tier(redis.tier("users")).build()
        })
    }

    async fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < LONG, "{what}");
            sleep(ms(5)).await;
        }
    }

    #[tokio::test]
    async fn values_on_all_masters_are_shared_and_invalidated() {
        let Some(servers) = Server::cluster(3) else { return skip("values_on_all_masters") };
        let [a, b] = memos(&servers[0]);
        for key in 0..60 {
            assert_eq!(a.get_or_load(key, || ready(key)).await, key);
        }
        a.settled().await.unwrap();
        for key in 0..60 {
            assert_eq!(b.get_or_load(key, || ready(1_000)).await, key);
        }
        assert_eq!((a.stats().loads, b.stats().loads, b.stats().tier_hits), (60, 0, 60));
        for server in &servers {
            let values = server.command(&["KEYS", "*:v"]).lines().count();
            assert!(values > 5, "{values} values on a master");
        }
        for key in 0..30 {
            a.invalidate(&key);
        }
        a.insert(40, 41);
        a.insert(40, 42);
        a.settled().await.unwrap();
        until("the other hears of it", || (0..30).all(|key| b.get(&key).is_none())).await;
        until("the other hears of it", || b.get(&40).is_none()).await;
        assert_eq!(b.get(&50), Some(50));
        assert_eq!(b.get_or_load(40, || ready(0)).await, 42);
        assert_eq!(b.get_or_load(7, || ready(77)).await, 77);
        b.clear();
        b.settled().await.unwrap();
        until("the other hears of it", || a.get(&50).is_none()).await;
        assert_eq!(a.get_or_load(50, || ready(51)).await, 51);
        let errors = errors(&servers);
        assert!(!errors.contains(&"CROSSSLOT".into()), "{errors:?}");
    }

    /// The server of the key makes a change, and that of the number tells it. If the first one is
    /// slow, the second one waits for it.
    #[tokio::test]
    async fn a_change_is_told_once_it_is_made() {
        const NUMBER: &str = "{decor:users:v0}:seq";
        let Some(servers) = Server::cluster(3) else { return skip("a_change_is_told_once_it_is_made") };
        let [a, _] = memos(&servers[0]);
        let slot = servers[0].command(&["CLUSTER", "KEYSLOT", NUMBER]).parse().unwrap();
        let tells = &servers[owner(slot)];
        let has_value = |server: &&Server| !server.command(&["KEYS", "*:v"]).is_empty();
        let mut others = servers.iter().filter(|server| server.port() != tells.port());
        let (mut key, mut makes) = (0, None);
        while makes.is_none() {
            key += 1;
            a.get_or_load(key, || ready(key)).await;
            a.settled().await.unwrap();
            makes = others.clone().find(has_value);
        }
        a.invalidate(&1_000_000);
        a.settled().await.unwrap();
        assert!(others.all(|server| server.command(&["EXISTS", NUMBER]).starts_with("-MOVED")));
        assert_eq!(tells.command(&["HGET", NUMBER, "seq"]), "1");

        stop(makes.unwrap().pid());
        a.invalidate(&key);
        sleep(ms(300)).await;
        assert_eq!(tells.command(&["HGET", NUMBER, "seq"]), "1");
        go_on(makes.unwrap().pid());
        a.settled().await.unwrap();
        assert_eq!(tells.command(&["HGET", NUMBER, "seq"]), "2");
    }

    #[tokio::test]
    async fn a_master_that_is_down_has_each_process_load_for_itself() {
        let Some(mut servers) = Server::cluster(3) else { return skip("a_master_has_each_process_load") };
        let [a, b] = [(); 2].map(|()| {
            let redis = Redis::open(servers[0].url()).unwrap();
            Memo::<u64, u64>::builder().ttl(60 * SECOND).tier(redis.tier("users")).build()
        });
        for key in 0..20 {
            a.get_or_load(key, || ready(key)).await;
        }
        servers[2].kill();
        for key in 20..40 {
            assert_eq!(timeout(LONG, a.get_or_load(key, || ready(1))).await.unwrap(), 1);
        }
        until("it is noticed", || !a.stats().tier_is_up).await;
        a.insert(5, 55);
        servers[2].restart();
        until("the store is back", || a.stats().tier_is_up && b.stats().tier_is_up).await;
        timeout(LONG, async { while a.settled().await.is_err() {} }).await.expect("the changes follow");
        assert_eq!(timeout(LONG, b.get_or_load(5, || ready(0))).await.unwrap(), 55);
    }
}
