//! A server that hangs, dies, forgets or refuses, seen by a limiter that does nothing but ask.

use crate::{Redis, RedisQuota};
use decor::shared::{Answer, Ask, Asker, Limits, Run, SharedQuota, StoreError};
use decor_redis_testing::{Proxy, Server, go_on, skip, stop};
use std::{
    collections::VecDeque,
    net::TcpListener,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Far longer than anything takes here, unless it hangs.
const LONG: Duration = Duration::from_secs(20);

/// A store that is patient, so that a busy machine does not take it down.
fn patient(url: &str) -> Redis {
    Redis::builder(url).timeout(LONG / 2).build()
}

type Answered = Result<Answer, StoreError>;

#[derive(Debug)]
struct Caller {
    quota: RedisQuota,
    asks: Mutex<VecDeque<Ask>>,
    answers: Mutex<mpsc::Sender<(bool, Answered)>>,
    is_in_flight: Mutex<bool>,
}

impl Asker for Caller {
    fn ask(&self) -> Option<Ask> {
        let mut is_in_flight = self.is_in_flight.lock().unwrap();
        let ask = if *is_in_flight { None } else { self.asks.lock().unwrap().pop_front() };
        *is_in_flight |= ask.is_some();
        ask
    }

    fn answered(&self, answer: Answered) {
        assert!(std::mem::take(&mut *self.is_in_flight.lock().unwrap()), "an answer without a request");
        let _ = self.answers.lock().unwrap().send((self.quota.is_up(), answer));
    }
}

pub(super) struct Limiter {
    caller: Arc<Caller>,
    answers: mpsc::Receiver<(bool, Answered)>,
}

impl Limiter {
    pub(super) fn new(redis: &Redis, name: &str) -> Self {
        let (sender, answers) = mpsc::channel();
        let caller = Caller {
            quota: redis.quota(name),
            asks: Mutex::default(),
            answers: Mutex::new(sender),
            is_in_flight: Mutex::new(false),
        };
        Self { caller: Arc::new(caller), answers }
    }

    fn note(&self, ask: Ask) {
        self.caller.asks.lock().unwrap().push_back(ask);
    }

    pub(super) fn begin(&self) {
        self.note(one_of(100));
        self.caller.quota.want(self.caller.clone(), Duration::ZERO);
    }

    /// The next answer. The store is up or down before a limiter hears of it.
    pub(super) fn answer(&self) -> Answered {
        let (is_up, answer) = self.answers.recv_timeout(LONG).expect("an answer");
        assert_eq!(is_up, answer.is_ok());
        answer
    }

    pub(super) fn call(&self) -> Answered {
        self.begin();
        self.answer()
    }

    /// An answer of a server that is up. A busy machine may take longer than a short timeout.
    fn first_answer(&self) -> Answer {
        let begun = Instant::now();
        loop {
            match self.call() {
                Ok(answer) => return answer,
                Err(error) => assert!(begun.elapsed() < LONG, "{error}"),
            }
        }
    }

    pub(super) fn error(&self) -> String {
        self.call().expect_err("the server is down").to_string()
    }

    /// Waits until the server is up again, and the store asks by itself for what it has failed.
    fn recovers(&self) {
        self.note(one_of(100));
        loop {
            let (_, answer) = self.answers.recv_timeout(LONG).expect("the store asks again");
            if answer.is_ok() {
                break;
            }
            self.note(one_of(100));
        }
    }
}

fn one_of(limit: u32) -> Ask {
    let mut ask = Ask::new(Limits::Windows(vec![(limit, Duration::from_secs(1))]));
    ask.hold = Duration::from_millis(20);
    ask.reach = Duration::from_secs(10);
    ask.span = Duration::from_millis(20);
    ask.runs.push(Run { permits: [1, 0, 0, 0], calls: 1, within: None });
    ask
}

/// A hundred errors, which together take less time than a second timeout would.
fn fails_at_once(limiter: &Limiter) {
    let begun = Instant::now();
    for _ in 0..100 {
        limiter.error();
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_server_that_hangs_costs_one_timeout() {
    let Some(server) = Server::start(&[]) else { return skip("a_server_that_hangs_costs_one_timeout") };
    let redis = Redis::open(server.url()).unwrap();
    let (limiter, other) = (Limiter::new(&redis, "hangs"), Limiter::new(&redis, "other"));
    limiter.first_answer();
    stop(server.pid());
    let begun = Instant::now();
    assert_eq!(limiter.error(), format!("{redis}: no answer within 100ms"));
    assert!(begun.elapsed() >= Duration::from_millis(100));
    fails_at_once(&limiter);
    other.error();
    go_on(server.pid());
    limiter.recovers();
    other.first_answer();
}

#[test]
fn a_server_that_is_killed_and_comes_back_empty() {
    let Some(mut server) = Server::start(&[]) else { return skip("a_server_that_is_killed") };
    let redis = patient(&server.url());
    let limiter = Limiter::new(&redis, "killed");
    let before = limiter.call().unwrap().epoch;
    server.kill();
    assert!(limiter.error().starts_with(&format!("{redis}: ")));
    fails_at_once(&limiter);
    server.restart();
    limiter.recovers();
    assert_ne!(limiter.call().unwrap().epoch, before);
    // The new server does not know the script.
    assert_eq!(redis.stats().scripts, 2);
}

#[test]
fn a_forgotten_script_is_sent_again_without_an_error() {
    let Some(server) = Server::start(&[]) else { return skip("a_forgotten_script_is_sent_again") };
    let redis = patient(&server.url());
    let limiter = Limiter::new(&redis, "script");
    let epoch = limiter.call().unwrap().epoch;
    for _ in 0..3 {
        assert_eq!(server.command(&["SCRIPT", "FLUSH"]), "OK");
        assert_eq!(limiter.call().unwrap().epoch, epoch);
        assert_eq!(limiter.call().unwrap().epoch, epoch);
    }
    assert_eq!((redis.stats().scripts, redis.stats().failed, redis.stats().connections), (4, 0, 1));
}

#[test]
fn a_full_server_is_down_until_it_takes_writes() {
    let Some(server) = Server::start(&[]) else { return skip("a_full_server_is_down") };
    let redis = patient(&server.url());
    let limiter = Limiter::new(&redis, "full");
    limiter.call().unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = limiter.error();
    assert!(error.starts_with(&format!("{redis}: answered OOM")), "{error}");
    // A PING would be answered. The server stays down all the same, whatever the number of probes.
    let (begun, connections) = (Instant::now(), redis.stats().connections);
    while redis.stats().connections < connections + 3 {
        assert!(!redis.is_up() && begun.elapsed() < LONG);
        thread::yield_now();
    }
    assert!(!redis.is_up());
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    limiter.recovers();
}

#[test]
fn a_replica_is_down() {
    let (Some(primary), Some(server)) = (Server::start(&[]), Server::start(&[])) else {
        return skip("a_replica_is_down");
    };
    let redis = patient(&server.url());
    let limiter = Limiter::new(&redis, "replica");
    limiter.call().unwrap();
    server.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    let error = limiter.error();
    assert!(error.starts_with(&format!("{redis}: answered ")), "{error}");
    fails_at_once(&limiter);
    server.command(&["REPLICAOF", "NO", "ONE"]);
    limiter.recovers();
}

#[test]
fn a_wrong_password_is_down_and_shown_nowhere() {
    let Some(server) = Server::start(&["--requirepass", "secret"]) else { return skip("a_wrong_password") };
    let url = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port());
    let wrong = patient(&url(":hunter2@"));
    let error = Limiter::new(&wrong, "auth").error();
    assert!(error.starts_with(&format!("{wrong}: answered WRONGPASS")), "{error}");
    let without = patient(&url(""));
    let error = Limiter::new(&without, "auth").error();
    assert!(error.starts_with(&format!("{without}: answered NOAUTH")), "{error}");
    let right = patient(&url("default:secret@"));
    Limiter::new(&right, "auth").call().unwrap();
    for shown in [format!("{wrong:?} {wrong} {:?}", wrong.quota("a")), format!("{error:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn nothing_that_listens_is_down_at_once_and_up_once_it_listens() {
    let Some(mut server) = Server::start(&[]) else { return skip("nothing_that_listens") };
    server.kill();
    let redis = patient(&server.url());
    assert!(redis.is_up());
    let limiter = Limiter::new(&redis, "nothing");
    let error = limiter.error();
    assert!(error.starts_with(&format!("{redis}: Connection refused")), "{error}");
    fails_at_once(&limiter);
    server.restart();
    limiter.recovers();
    assert_eq!((redis.stats().losses, redis.stats().connections), (1, 1));
}

#[test]
fn a_half_open_connection_costs_one_timeout_and_is_replaced() {
    let Some(server) = Server::start(&[]) else { return skip("a_half_open_connection") };
    let proxy = Proxy::start(server.port(), Duration::ZERO);
    let redis = Redis::open(proxy.url()).unwrap();
    let limiter = Limiter::new(&redis, "half-open");
    limiter.first_answer();
    proxy.freeze();
    assert_eq!(limiter.error(), format!("{redis}: no answer within 100ms"));
    fails_at_once(&limiter);
    proxy.thaw();
    limiter.recovers();
}

/// Holds the I/O thread up, as if the process was stopped.
#[derive(Debug)]
struct Stops {
    begun: Mutex<mpsc::Sender<()>>,
    lasts: Duration,
}

impl Asker for Stops {
    fn ask(&self) -> Option<Ask> {
        self.begun.lock().unwrap().send(()).unwrap();
        thread::sleep(self.lasts);
        None
    }

    fn answered(&self, _: Answered) {
        unreachable!("nothing is asked")
    }
}

#[test]
fn a_process_that_was_stopped_reads_the_answers_before_it_looks_at_its_deadlines() {
    let Some(server) = Server::start(&[]) else { return skip("a_process_that_was_stopped") };
    let timeout = Duration::from_secs(2);
    let redis = Redis::builder(server.url()).timeout(timeout).build();
    let limiter = Limiter::new(&redis, "stopped");
    limiter.first_answer();
    let losses = redis.stats().losses;
    let (sender, begun) = mpsc::channel();
    let stops = Arc::new(Stops { begun: Mutex::new(sender), lasts: timeout + Duration::from_millis(500) });
    stop(server.pid());
    limiter.begin();
    limiter.caller.quota.want(stops, Duration::from_millis(100));
    begun.recv_timeout(LONG).unwrap();
    // The answer comes in time, and is read late.
    go_on(server.pid());
    limiter.answer().unwrap();
    assert_eq!(redis.stats().losses, losses);
}

#[test]
fn a_server_that_takes_no_connection_costs_one_timeout() {
    // A listener that accepts nothing: connections wait in its queue, and no one answers them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let redis = Redis::builder(url).timeout(Duration::from_millis(30)).build();
    let limiter = Limiter::new(&redis, "silent");
    assert_eq!(limiter.error(), format!("{redis}: no answer within 30ms"));
    fails_at_once(&limiter);
}

#[test]
fn a_server_of_another_protocol_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut &stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let redis = Redis::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let error = Limiter::new(&redis, "http").error();
    assert_eq!(error, format!("{redis}: speaks another protocol than Redis"));
}

#[test]
fn a_connection_that_breaks_while_idle_is_replaced_without_an_error() {
    let Some(server) = Server::start(&[]) else { return skip("a_connection_that_breaks_while_idle") };
    let redis = patient(&server.url());
    let limiter = Limiter::new(&redis, "idle");
    limiter.call().unwrap();
    for connections in 2..5 {
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        // The client hears of it before its next request.
        thread::sleep(Duration::from_millis(100));
        limiter.call().unwrap();
        assert_eq!((redis.stats().connections, redis.stats().losses), (connections, 0));
    }
}

#[test]
fn a_name_is_resolved_and_a_name_that_is_none_is_down() {
    let Some(server) = Server::start(&[]) else { return skip("a_name_is_resolved") };
    let redis = patient(&format!("redis://localhost:{}/3", server.port()));
    Limiter::new(&redis, "name").call().unwrap();
    assert_eq!(server.command(&["INFO", "keyspace"]).lines().filter(|line| line.starts_with("db3:")).count(), 1);
    let redis = Redis::open("redis://no-such-host.invalid").unwrap();
    assert!(Limiter::new(&redis, "name").error().starts_with("redis://no-such-host.invalid:6379: "));
}

#[cfg(unix)]
#[test]
fn a_socket_in_the_file_system_is_as_good() {
    let path = std::env::temp_dir().join(format!("decor-redis-{}.sock", std::process::id()));
    let Some(_server) = Server::start(&["--unixsocket", path.to_str().unwrap()]) else {
        return skip("a_socket_in_the_file_system");
    };
    let redis = patient(&format!("unix://{}", path.display()));
    Limiter::new(&redis, "unix").call().unwrap();
}

#[test]
fn many_limiters_share_one_connection_and_its_requests() {
    let Some(server) = Server::start(&[]) else { return skip("many_limiters_share_one_connection") };
    let redis = patient(&server.url());
    let limiters: Vec<_> = (0..1_000).map(|n| Limiter::new(&redis, &format!("limiter {n}"))).collect();
    for _ in 0..3 {
        limiters.iter().for_each(Limiter::begin);
        for limiter in &limiters {
            assert_eq!(limiter.answer().unwrap().runs.len(), 1);
        }
    }
    assert_eq!((redis.stats().requests, redis.stats().connections), (3_000, 1));
}

#[test]
fn the_thread_sleeps_while_nothing_is_wanted_and_ends_with_the_last_handle() {
    let Some(server) = Server::start(&[]) else { return skip("the_thread_sleeps") };
    let connected = || server.command(&["CLIENT", "LIST"]).lines().filter(|line| line.contains("name=decor")).count();
    // Many times, because the thread may be anywhere when its handle is dropped.
    for n in 0..200 {
        let redis = patient(&server.url());
        let limiter = Limiter::new(&redis, "idle");
        limiter.call().unwrap();
        if n == 0 {
            assert_eq!(connected(), 1);
        }
    }
    let begun = Instant::now();
    while connected() > 0 {
        assert!(begun.elapsed() < LONG);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_want_for_later_comes_later() {
    let Some(server) = Server::start(&[]) else { return skip("a_want_for_later") };
    let redis = patient(&server.url());
    let limiter = Limiter::new(&redis, "later");
    limiter.note(one_of(100));
    let begun = Instant::now();
    limiter.caller.quota.want(limiter.caller.clone(), Duration::from_millis(80));
    limiter.caller.quota.want(limiter.caller.clone(), Duration::MAX);
    limiter.answer().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_ping_says_what_the_server_says() {
    let Some(mut server) = Server::start(&[]) else { return skip("a_ping_says_what_the_server_says") };
    let redis = patient(&server.url());
    assert_eq!(redis.ping().await, Ok(()));
    server.kill();
    // The end of the connection may be heard of before the ping is sent, or after.
    let error = redis.ping().await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{redis}: ")), "{error}");
    assert!(!redis.is_up());
    server.restart();
    while redis.ping().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(redis.is_up());
}
