//! decor's virtual clock for threads, in a build with the fast clock and without tokio's
//! `test-util`.
#![cfg(feature = "virtual-clock")]

use decor::{Error, prelude::*, test_util::VirtualClock};
use std::{io, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_virtual_clock_is_not_replaced() {
    const { assert!(!decor::HAS_FAST_CLOCK) };
}

#[test]
fn threads_wait_in_virtual_time() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::new(2, 60 * SECOND);
    (0..6).for_each(|_| limiter.acquire_blocking());
    assert_eq!(clock.elapsed(), 120 * SECOND);
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: 60 * SECOND }));
}

#[test]
fn a_value_expires_in_virtual_time() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u8> = Memo::ttl(60 * SECOND);
    memo.insert(7, 49);
    clock.advance(Duration::from_nanos(59_999_999_999));
    assert_eq!(memo.get(&7), Some(49));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(memo.get(&7), None);
}

#[test]
fn a_retry_waits_in_virtual_time() {
    let clock = VirtualClock::start();
    let fail = || Err::<u8, _>(io::Error::from(io::ErrorKind::ConnectionReset));
    let policy = RetryPolicy::fixed(10 * SECOND).max_attempts(3).deadline(60 * SECOND);
    fail.blocking().retry_with(policy).call().unwrap_err();
    assert_eq!(clock.elapsed(), 20 * SECOND);
}
