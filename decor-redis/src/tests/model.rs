//! The scripts on a server, against a naive log: a list of stamps that is searched from end to end.
//!
//! The clock of the server is replaced by a key, so that the log knows each moment.

use crate::{
    keys::Keys,
    resp::{Command, Reply, parse},
    script::{Form, answer, command_of, sources},
};
use decor::shared::{Answer, Ask, Charge, Grant, Limits, Run, RunAnswer};
use decor_redis_testing::{Server, skip};
use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const GRACE: i64 = 250_000;

/// A generator of numbers (xorshift). A failure prints its seed.
struct Random(u64);

impl Random {
    fn new() -> (Self, u64) {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish()) | 1;
        (Self(seed), seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn permits(&mut self, end: u32) -> u32 {
        u32::try_from(self.below(end.into())).unwrap()
    }

    fn micros(&mut self, end: u64) -> i64 {
        i64::try_from(self.below(end)).unwrap()
    }
}

/// A connection that waits for each reply.
struct Client(TcpStream);

impl Client {
    fn new(server: &Server) -> Self {
        Self(TcpStream::connect(("127.0.0.1", server.port())).unwrap())
    }

    fn run(&mut self, command: &Command) -> Reply {
        let mut bytes = Vec::new();
        command.write(&mut bytes);
        self.0.write_all(&bytes).unwrap();
        let mut input = Vec::new();
        loop {
            let mut part = [0; 4096];
            let read = self.0.read(&mut part).unwrap();
            assert!(read > 0);
            input.extend_from_slice(&part[..read]);
            if let Some((reply, _)) = parse(&input).unwrap() {
                return reply;
            }
        }
    }
}

/// A script with a clock that the test sets.
fn with_clock(source: &str) -> String {
    let replaced = source.replace("redis.call('TIME')", "redis.call('HMGET', 'clock', 's', 'us')");
    assert_ne!(replaced, source);
    replaced
}

struct Bench {
    client: Client,
    keys: Keys,
    now: i64,
}

impl Bench {
    fn new(server: &Server, name: &str) -> Self {
        // Later than the server's clock, so that no key expires during the test.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 86_400;
        let now = i64::try_from(now).unwrap() * 1_000_000;
        Self { client: Client::new(server), keys: Keys::new("decor", name), now }
    }

    fn ask(&mut self, ask: &Ask, fresh: u64) -> Answer {
        let (seconds, micros) = (self.now / 1_000_000, self.now % 1_000_000);
        let clock = ["HSET", "clock", "s", &seconds.to_string(), "us", &micros.to_string()];
        self.client.run(&Command::new(&clock));
        let sources = sources(&ask.limits);
        let source = with_clock(sources);
        let reply = self.client.run(&command_of(&self.keys, ask, fresh, Form::Whole, &source, ""));
        answer(ask, &reply).unwrap_or_else(|| panic!("{reply:?}"))
    }
}

/// A log of one window, which does all the slow way.
#[derive(Debug, Default, Clone)]
struct Log {
    stamps: Vec<(i64, u32)>,
    last: i64,
}

impl Log {
    fn counted(&self, period: i64, at: i64) -> u64 {
        self.stamps.iter().filter(|(stamp, _)| stamp + period > at).map(|(_, permits)| u64::from(*permits)).sum()
    }

    /// The first moment from `now` at which the permits fit.
    fn due(&self, limit: u32, period: i64, now: i64, wanted: u32) -> i64 {
        let mut moments: Vec<i64> =
            self.stamps.iter().map(|(stamp, _)| stamp + period).filter(|at| *at > now).collect();
        moments.push(now);
        moments.sort_unstable();
        let fits = |at: &&i64| self.counted(period, **at) + u64::from(wanted) <= u64::from(limit);
        *moments.iter().find(fits).unwrap()
    }

    fn take(&mut self, period: i64, stamp: i64, permits: u32) {
        let grain = (period + 999) / 1000;
        self.last = self.last.max((stamp + grain - 1) / grain * grain);
        self.stamps.push((self.last, permits));
    }

    /// The oldest permits that count leave.
    fn refund(&mut self, period: i64, now: i64, mut permits: u32) {
        for (stamp, counted) in &mut self.stamps {
            if *stamp + period > now {
                let back = permits.min(*counted);
                *counted -= back;
                permits -= back;
            }
        }
    }

    /// The set is gone: all that counted at the request `before` is taken for the last stamp.
    fn lose_moments(&mut self, period: i64, before: i64, now: i64) {
        let counted = self.counted(period, before);
        if counted > 0 && self.last + period > now {
            self.last = self.last.max(now);
            self.stamps = vec![(self.last, u32::try_from(counted).unwrap())];
        }
    }
}

struct Naive {
    limits: Vec<(u32, i64)>,
    logs: Vec<Log>,
    epoch: u64,
    pause: i64,
    grace: i64,
}

fn micros(time: Duration) -> i64 {
    time.as_micros().try_into().unwrap()
}

fn time(micros: i64) -> Duration {
    Duration::from_micros(micros.try_into().unwrap())
}

impl Naive {
    fn answer(&mut self, now: i64, ask: &Ask) -> Answer {
        let is_lost = ask.epoch.is_some_and(|epoch| epoch != self.epoch);
        if is_lost && self.grace == 0 {
            self.grace = now + micros(ask.grace);
        }
        match ask.pause {
            Some(Duration::ZERO) => self.pause = 0,
            Some(pause) => self.pause = self.pause.max(now + micros(pause)),
            None => {}
        }
        if !is_lost {
            self.charge_and_refund(now, ask);
        }
        let mut answer = Answer::new(self.epoch);
        if !is_lost {
            answer.runs = self.grant(now, ask);
        }
        for (n, log) in self.logs.iter().enumerate() {
            let (limit, period) = self.limits[n];
            answer.free[n] = u32::try_from(u64::from(limit).saturating_sub(log.counted(period, now))).unwrap();
        }
        answer.pause = time((self.pause - now).max(0));
        answer.grace = time((self.grace - now).max(0));
        answer
    }

    fn charge_and_refund(&mut self, now: i64, ask: &Ask) {
        for (n, log) in self.logs.iter_mut().enumerate() {
            let (_, period) = self.limits[n];
            for Charge { permits, stamp, .. } in &ask.charges {
                if permits[n] > 0 && stamp + period > 0 {
                    log.take(period, now + stamp, permits[n]);
                }
            }
            log.refund(period, now, ask.refund[n]);
        }
    }

    fn grant(&mut self, now: i64, ask: &Ask) -> Vec<RunAnswer> {
        let (mut from, mut first) = (now.max(self.pause).max(self.grace), None);
        let mut cut = (self.grace > now).then_some(self.grace);
        let mut runs = Vec::new();
        for run in &ask.runs {
            let mut answered = RunAnswer::default();
            for _ in 0..run.calls {
                let due = cut.unwrap_or_else(|| {
                    let dues = self.logs.iter().enumerate().filter(|(n, _)| run.permits[*n] > 0);
                    dues.map(|(n, log)| log.due(self.limits[n].0, self.limits[n].1, now, run.permits[n]))
                        .fold(from, i64::max)
                });
                if run.within.is_some_and(|within| due - now > micros(within)) {
                    answered.next = Some(time(due - now));
                    break;
                }
                let too_far =
                    due > now + micros(ask.reach) || first.is_some_and(|first| due > first + micros(ask.span));
                if cut.is_some() || too_far {
                    cut = Some(due);
                    answered.next = Some(time(due - now));
                    break;
                }
                first = first.or(Some(due));
                from = due;
                for (n, log) in self.logs.iter_mut().enumerate() {
                    if run.permits[n] > 0 {
                        log.take(self.limits[n].1, due + micros(ask.hold), run.permits[n]);
                    }
                }
                match answered.grants.last_mut() {
                    Some(grant) if grant.due == time(due - now) => grant.calls += 1,
                    _ => answered.grants.push(Grant { calls: 1, due: time(due - now) }),
                }
            }
            runs.push(answered);
        }
        runs
    }
}

/// Grants of one moment that the script found by several looks.
fn merged(mut answer: Answer) -> Answer {
    for run in &mut answer.runs {
        run.grants.dedup_by(|next, grant| {
            let is_same = next.due == grant.due;
            grant.calls += if is_same { next.calls } else { 0 };
            is_same
        });
    }
    answer
}

fn any_ask(random: &mut Random, naive: &Naive) -> Ask {
    let windows = naive.limits.len();
    let limits = naive.limits.iter().map(|(limit, period)| (*limit, time(*period))).collect();
    let mut ask = Ask::new(Limits::Windows(limits));
    ask.hold = time(random.micros(60_000));
    ask.reach = time(10_000_000);
    ask.span = time(20_000);
    // Longer after an outage.
    ask.grace = if random.one_in(4) { time(1_500_000) } else { time(GRACE) };
    ask.epoch = match random.below(20) {
        0 => Some(1),
        n if n < 8 => None,
        _ => Some(naive.epoch),
    };
    ask.pause = match random.below(60) {
        0 => Some(Duration::ZERO),
        n if n < 3 => Some(time(random.micros(400_000))),
        _ => None,
    };
    let mut permits = |end: u32| {
        let mut permits = [0; 4];
        for (n, permits) in permits[..windows].iter_mut().enumerate() {
            *permits = random.permits(end.min(naive.limits[n].0 + 1));
        }
        permits
    };
    let (refund, charge) = (permits(4), permits(40));
    let runs: Vec<[u32; 4]> = (0..3).map(|_| permits(5)).collect();
    if random.one_in(10) {
        ask.refund = refund;
    }
    if random.one_in(10) {
        ask.charges.push(Charge { permits: charge, stamp: random.micros(2_000_000) - 1_900_000 });
    }
    for permits in runs {
        if permits.iter().any(|permits| *permits > 0) && random.one_in(2) {
            let within = random.one_in(3).then(|| time(random.micros(200_000)));
            ask.runs.push(Run { permits, calls: 1 + random.permits(30), within });
        }
    }
    ask
}

/// 5,000 requests over limits of one to three windows.
#[test]
fn windows_answer_as_a_naive_log_does() {
    let Some(server) = Server::start(&[]) else { return skip("windows_answer_as_a_naive_log_does") };
    let (mut random, seed) = Random::new();
    let cases: [&[(u32, i64)]; 5] = [
        &[(10, 100_000)],
        &[(100, 1_000_000)],
        &[(7, 333_333), (40, 3_000_000)],
        &[(1, 50)],
        &[(5, 10_000), (90, 1_000_000), (3_000, 60_000_000)],
    ];
    for (case, limits) in cases.into_iter().enumerate() {
        let mut bench = Bench::new(&server, &format!("case {case}"));
        let epoch = 100 + case as u64;
        let logs = vec![Log::default(); limits.len()];
        let mut naive = Naive { limits: limits.to_vec(), logs, epoch, pause: 0, grace: 0 };
        let mut is_first = true;
        for n in 0..1_000 {
            let mut ask = any_ask(&mut random, &naive);
            if is_first {
                ask.epoch = None;
            }
            let expected = naive.answer(bench.now, &ask);
            // Only the first request's epoch is used.
            let answered = bench.ask(&ask, if is_first { epoch } else { 1 });
            is_first = false;
            assert_eq!(merged(answered), expected, "seed {seed}, case {case}, request {n}: {ask:?}");
            let before = bench.now;
            bench.now += match random.below(10) {
                0 => random.micros(3_000_000),
                1..4 => 0,
                _ => random.micros(30_000),
            };
            if random.one_in(100) {
                let window = usize::try_from(random.below(limits.len() as u64)).unwrap();
                server.command(&["DEL", &bench.keys.window(window, limits[window].1)]);
                naive.logs[window].lose_moments(limits[window].1, before, bench.now);
            }
        }
    }
}

/// The schedule as one fraction. The limit is the denominator.
struct NaivePacer {
    limit: i128,
    period: i128,
    burst: i128,
    tat: i128,
}

impl NaivePacer {
    fn due(&self, from: i128, permits: i128) -> i128 {
        let due = self.tat.max(from * self.limit) - (self.burst - permits.min(self.burst)) * self.period;
        (due + self.limit - 1).div_euclid(self.limit).max(from)
    }

    fn take(&mut self, due: i128, permits: i128) {
        self.tat = self.tat.max(due * self.limit) + permits * self.period;
    }
}

#[test]
fn even_spacing_answers_as_one_fraction_does() {
    let Some(server) = Server::start(&[]) else { return skip("even_spacing_answers_as_one_fraction_does") };
    let (mut random, seed) = Random::new();
    let cases = [(10, 1_000_000, 1), (3, 1_000_000, 3), (7_919, 1_000_003, 20), (1_000, 86_400_000_000, 5)];
    for (case, (limit, period, burst)) in cases.into_iter().enumerate() {
        let mut bench = Bench::new(&server, &format!("paced {case}"));
        let mut naive = NaivePacer { limit: limit.into(), period: period.into(), burst: burst.into(), tat: 0 };
        for n in 0..500 {
            let limits = Limits::Paced { limit, period: time(period), burst };
            let mut ask = Ask::new(limits);
            (ask.reach, ask.span) = (time(10_000_000), time(20_000));
            if random.one_in(8) {
                ask.refund[0] = random.permits(3);
            }
            if random.one_in(8) {
                ask.charges.push(Charge {
                    permits: [1 + random.permits(3), 0, 0, 0],
                    stamp: random.micros(900_000) - 800_000,
                });
            }
            let permits = 1 + random.permits((2 * burst).min(limit));
            let calls = 1 + random.permits(5);
            let within = random.one_in(3).then(|| time(random.micros(200_000)));
            ask.runs.push(Run { permits: [permits, 0, 0, 0], calls, within });

            let now = i128::from(bench.now);
            for charge in &ask.charges {
                naive.tat = naive.tat.max((now + i128::from(charge.stamp)) * naive.limit);
                naive.tat += i128::from(charge.permits[0]) * naive.period;
            }
            if ask.refund[0] > 0 && naive.tat > now * naive.limit {
                naive.tat = (naive.tat - i128::from(ask.refund[0]) * naive.period).max(now * naive.limit);
            }
            let (mut expected, mut first) = (RunAnswer::default(), None);
            for _ in 0..calls {
                let due = naive.due(now, permits.into());
                let offset = i64::try_from(due - now).unwrap();
                let is_refused = within.is_some_and(|within| offset > micros(within));
                let is_cut = offset > 10_000_000 || first.is_some_and(|first| offset > first + 20_000);
                if is_refused || is_cut {
                    expected.next = Some(time(offset));
                    break;
                }
                first = first.or(Some(offset));
                naive.take(due, permits.into());
                match expected.grants.last_mut() {
                    Some(grant) if grant.due == time(offset) => grant.calls += 1,
                    _ => expected.grants.push(Grant { calls: 1, due: time(offset) }),
                }
            }
            let answered = merged(bench.ask(&ask, 1));
            assert_eq!(answered.runs, [expected], "seed {seed}, case {case}, request {n}: {ask:?}");
            let ahead = (naive.tat - now * naive.limit).max(0);
            let free = naive.burst - (ahead + naive.period - 1) / naive.period;
            assert_eq!(i128::from(answered.free[0]), free.max(0), "seed {seed}, case {case}, request {n}");
            bench.now +=
                if random.one_in(3) { 0 } else { random.micros(u64::try_from(3 * period).unwrap() / u64::from(limit)) };
        }
    }
}

fn request(limits: Limits, calls: u32) -> Ask {
    let mut ask = Ask::new(limits);
    (ask.hold, ask.reach, ask.span, ask.grace) = (time(20_000), time(10_000_000), time(20_000), time(GRACE));
    if calls > 0 {
        ask.runs.push(Run { permits: [1, 0, 0, 0], calls, within: None });
    }
    ask
}

fn ten_per_second() -> Limits {
    Limits::Windows(vec![(10, Duration::from_secs(1))])
}

#[test]
fn a_lost_state_grants_nothing_until_all_have_reported() {
    let Some(server) = Server::start(&[]) else { return skip("a_lost_state") };
    let mut bench = Bench::new(&server, "lost");
    bench.ask(&request(ten_per_second(), 10), 7);
    server.command(&["FLUSHALL"]);
    let mut knows_seven = request(ten_per_second(), 1);
    knows_seven.epoch = Some(7);
    knows_seven.charges.push(Charge { permits: [10, 0, 0, 0], stamp: 20_000 });

    // The report comes with the next request. Nothing is granted, neither to this process nor to
    // another one.
    let answered = bench.ask(&knows_seven, 8);
    assert_eq!((answered.epoch, answered.grace, answered.free[0]), (8, time(250_000), 10));
    assert!(answered.runs.is_empty());
    let mut reports = knows_seven.clone();
    reports.epoch = Some(8);
    assert_eq!(bench.ask(&reports, 9).free[0], 0);
    bench.now += 100_000;
    let newcomer = bench.ask(&request(ten_per_second(), 1), 9);
    assert_eq!((newcomer.epoch, newcomer.grace), (8, time(150_000)));
    assert_eq!(newcomer.runs, [RunAnswer { grants: vec![], next: Some(time(150_000)) }]);

    // A second report does not prolong the grace.
    bench.now += 150_000;
    let late = bench.ask(&knows_seven, 9);
    assert_eq!((late.epoch, late.grace), (8, Duration::ZERO));
    assert!(late.runs.is_empty());
    let granted = bench.ask(&request(ten_per_second(), 1), 9);
    assert_eq!(granted.runs[0].grants, [Grant { calls: 1, due: time(770_000) }]);
}

#[test]
fn a_clock_that_goes_back_by_an_hour_holds_a_window_for_one_period() {
    let Some(server) = Server::start(&[]) else { return skip("a_clock_that_goes_back") };
    let mut bench = Bench::new(&server, "back");
    bench.ask(&request(ten_per_second(), 10), 7);
    bench.now -= 3_600_000_000;
    let granted = bench.ask(&request(ten_per_second(), 1), 8);
    assert_eq!((granted.epoch, granted.free[0]), (7, 0));
    assert_eq!(granted.runs[0].grants, [Grant { calls: 1, due: time(1_000_000) }]);
    bench.now += 1_000_000;
    assert_eq!(bench.ask(&request(ten_per_second(), 0), 8).free, [9, 0, 0, 0]);

    let paced = Limits::Paced { limit: 10, period: Duration::from_secs(1), burst: 1 };
    let mut bench = Bench::new(&server, "paced back");
    let spread = |calls| {
        let mut ask = request(paced.clone(), calls);
        ask.span = time(1_000_000);
        ask
    };
    assert_eq!(bench.ask(&spread(3), 7).runs[0].grants[2].due, time(200_000));
    bench.now -= 3_600_000_000;
    assert_eq!(bench.ask(&spread(1), 7).runs[0].grants, [Grant { calls: 1, due: time(300_000) }]);
}

#[test]
fn all_keys_expire_some_seconds_after_the_last_permit_has_left() {
    let Some(server) = Server::start(&[]) else { return skip("all_keys_expire") };
    let mut bench = Bench::new(&server, "expiry");
    let limits = Limits::Windows(vec![(10, Duration::from_secs(1)), (10, Duration::from_secs(3_600))]);
    let mut ask = request(limits, 0);
    ask.runs.push(Run { permits: [1, 0, 0, 0], calls: 1, within: None });
    bench.ask(&ask, 7);
    ask.runs[0].permits = [0, 1, 0, 0];
    bench.ask(&ask, 7);
    let last = bench.now + 20_000 + 3_600_000_000;
    for key in [bench.keys.hash(), bench.keys.window(0, 1_000_000), bench.keys.window(1, 3_600_000_000)] {
        let expiry: i64 = server.command(&["PEXPIRETIME", &key]).parse().unwrap();
        let left = expiry * 1_000 - last;
        assert!((1_000_000..=10_000_000).contains(&left), "{key} expires {left} us after the last permit");
    }
    let keys = server.command(&["KEYS", "{decor:expiry}*"]);
    assert_eq!(keys.lines().count(), 3, "{keys}");
}

#[test]
fn a_hash_that_is_gone_takes_its_sets_along() {
    let Some(server) = Server::start(&[]) else { return skip("a_hash_that_is_gone") };
    let mut bench = Bench::new(&server, "gone");
    let limits = Limits::Windows(vec![(10, Duration::from_secs(1))]);
    let dues = |answer: &Answer| answer.runs[0].grants.iter().map(|grant| (grant.calls, grant.due)).collect::<Vec<_>>();
    let ask = request(limits, 10);
    for epoch in [7, 8] {
        assert_eq!(dues(&bench.ask(&ask, epoch)), [(10, Duration::ZERO)]);
        bench.now += 500_000;
        // A newcomer finds a new state, with nothing of the old one.
        server.command(&["DEL", &bench.keys.hash()]);
    }
    assert_eq!(dues(&bench.ask(&ask, 9)), [(10, Duration::ZERO)]);
    bench.now += 500_000;
    // None of the earlier two makes room for a permit before those of the last one have left.
    assert_eq!(dues(&bench.ask(&ask, 10)), [(10, Duration::from_millis(520))]);
}

#[test]
fn a_set_has_a_thousand_members_at_most_whatever_the_limit() {
    let Some(server) = Server::start(&[]) else { return skip("a_set_has_a_thousand_members") };
    let mut bench = Bench::new(&server, "members");
    let limits = Limits::Windows(vec![(1_000_000, Duration::from_secs(1))]);
    for _ in 0..3_000 {
        bench.ask(&request(limits.clone(), 100), 7);
        bench.now += 500;
    }
    let members: u64 = server.command(&["ZCARD", &bench.keys.window(0, 1_000_000)]).parse().unwrap();
    assert!((990..=1_021).contains(&members), "{members}");
}

/// A server that is a cluster of its own refuses keys of several slots.
#[test]
fn all_keys_of_a_limit_are_in_one_slot() {
    let nodes = std::env::temp_dir().join(format!("decor-redis-nodes-{}", std::process::id()));
    let cluster = ["--cluster-enabled", "yes", "--cluster-config-file", nodes.to_str().unwrap()];
    let Some(server) = Server::start(&cluster) else { return skip("all_keys_of_a_limit_are_in_one_slot") };
    server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    while !server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut client = Client::new(&server);
    let second = Duration::from_secs(1);
    let windows = Limits::Windows(vec![(10, second), (20, 2 * second), (30, 3 * second), (40, 4 * second)]);
    let paced = Limits::Paced { limit: 10, period: second, burst: 1 };
    for name in ["plain", "", "}", "{", "{}", "a}b{c", "users:{7}", "ключ"] {
        for limits in [&windows, &paced] {
            let mut ask = request(limits.clone(), 0);
            ask.runs.push(Run {
                permits: if limits == &windows { [1; 4] } else { [1, 0, 0, 0] },
                calls: 1,
                within: None,
            });
            let command = command_of(&Keys::new("decor", name), &ask, 7, Form::Whole, sources(limits), "");
            let reply = client.run(&command);
            let answered = answer(&ask, &reply).unwrap_or_else(|| panic!("{name}: {reply:?}"));
            assert_eq!(answered.runs[0].grants, [Grant { calls: 1, due: Duration::ZERO }]);
        }
    }
    let _ = std::fs::remove_file(nodes);
}
