//! No window is exceeded by the moments at which calls ran, whatever happens to the processes.

use crate::{
    alone,
    child::{Process, Work},
    log::Log,
};
use decor_redis_testing::{Proxy, Server, monotonic, skip};
use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

const HUNDRED: &[(u32, u64)] = &[(100, 1_000)];

/// Checks that no window was exceeded, and that the calls are at least `share` percent of those
/// that the limit allows.
#[track_caller]
fn check(logs: &[Log], work: &Work, share: u64) {
    let all = Log::merged(logs);
    all.assert_within(&work.windows);
    let (limit, period) = work.windows[0];
    let lasts = u64::try_from(work.lasts.as_millis()).unwrap();
    let least = u64::from(limit) * lasts / period * share / 100;
    assert!(all.calls() as u64 >= least, "{} calls, but {least} are {share} %", all.calls());
}

#[test]
fn two_processes_with_64_tasks_each() {
    let Some(server) = Server::start(&[]) else { return skip("two_processes_with_64_tasks_each") };
    let _alone = alone();
    let work = Work::new(server.url(), HUNDRED);
    check(&work.run(2), &work, 50);
}

#[test]
fn ten_per_100_ms() {
    let Some(server) = Server::start(&[]) else { return skip("ten_per_100_ms") };
    let _alone = alone();
    let work = Work::new(server.url(), &[(10, 100)]);
    check(&work.run(2), &work, 40);
}

#[test]
fn beside_four_processes_that_spin() {
    let Some(server) = Server::start(&[]) else { return skip("beside_four_processes_that_spin") };
    let _alone = alone();
    let spinning: Vec<_> = (0..4)
        .map(|_| {
            let mut shell = Command::new("sh");
            shell.args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let work = Work { lasts: Duration::from_secs(4), ..Work::new(server.url(), HUNDRED) };
    let logs = work.run(2);
    for mut process in spinning {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    check(&logs, &work, 5);
}

#[test]
fn leases_stay_exact() {
    let Some(server) = Server::start(&[]) else { return skip("leases_stay_exact") };
    let _alone = alone();
    // A limit that is reached: that of a release is too high for a debug build.
    let limit = if cfg!(debug_assertions) { 20_000 } else { 400_000 };
    let work = Work { lease: 1_000, tasks: 8, ..Work::new(server.url(), &[(limit, 1_000)]) };
    check(&work.run(2), &work, 20);
}

#[test]
fn weights_over_two_windows() {
    let Some(server) = Server::start(&[]) else { return skip("weights_over_two_windows") };
    let _alone = alone();
    let work = Work { weighted: true, ..Work::new(server.url(), &[(20, 200), (400, 1_000)]) };
    check(&work.run(2), &work, 5);
}

#[test]
fn one_process_is_40_ms_away() {
    let Some(server) = Server::start(&[]) else { return skip("one_process_is_40_ms_away") };
    let _alone = alone();
    let proxy = Proxy::start(server.port(), Duration::from_millis(40));
    let near = Work::new(server.url(), HUNDRED);
    let far = Work { url: proxy.url(), ..near.clone() };
    let processes = [near.start(), far.start()];
    let logs = processes.map(Process::end);
    check(&logs, &near, 40);
    assert!(logs[1].calls() > 0, "no call of the process far away");
}

#[test]
fn one_process_is_stopped_for_2_s() {
    let Some(server) = Server::start(&[]) else { return skip("one_process_is_stopped_for_2_s") };
    let _alone = alone();
    let work = Work { lasts: Duration::from_secs(6), ..Work::new(server.url(), HUNDRED) };
    let processes = [work.start(), work.start()];
    thread::sleep(Duration::from_millis(1_500));
    processes[0].stop();
    let stopped = monotonic();
    thread::sleep(Duration::from_secs(2));
    processes[0].go_on();
    let went_on = monotonic();
    let logs = processes.map(Process::end);
    check(&logs, &work, 40);
    let calls = |log: &Log| log.calls_between(stopped + 300_000_000, went_on);
    assert_eq!(calls(&logs[0]), 0);
    assert!(calls(&logs[1]) > 50, "the other process has {} calls meanwhile", calls(&logs[1]));
    assert!(logs[0].calls_between(went_on, u64::MAX) > 0, "no call after the stop");
}

/// Thirty threads share the cores, and one of them may be suspended for longer than the usual hold,
/// between the check of its permit and the record of its call.
#[test]
fn ten_processes_get_their_turns() {
    let Some(server) = Server::start(&[]) else { return skip("ten_processes_get_their_turns") };
    let _alone = alone();
    let lasts = Duration::from_secs(20);
    let work = Work { tasks: 4, slack: 200, lasts, ..Work::new(server.url(), &[(10, 1_000)]) };
    let begun = monotonic();
    let logs = work.run(10);
    check(&logs, &work, 50);
    for log in &logs {
        let first = log.first().expect("a call of each process") - begun;
        assert!(first < 5_000_000_000 + 2_000_000_000, "the first call after {} ms", first / 1_000_000);
    }
    let calls: Vec<_> = logs.iter().map(Log::calls).collect();
    assert!(calls.iter().all(|calls| *calls >= 10), "{calls:?}");
}
