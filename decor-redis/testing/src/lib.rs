//! A `redis-server` of one's own, and a proxy before it.

mod proxy;
mod server;

pub use proxy::Proxy;
pub use server::{MISSING, Server, skip};

use rustix::{
    process::{Pid, Signal, kill_process},
    time::{ClockId, clock_gettime},
};

/// Nanoseconds of the machine's monotonic clock, which all processes share.
pub fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Stops a process, as Ctrl-Z does.
pub fn stop(pid: u32) {
    signal(pid, Signal::STOP);
}

/// Lets a stopped process go on.
pub fn go_on(pid: u32) {
    signal(pid, Signal::CONT);
}
