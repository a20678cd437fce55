//! Waits of a thread for permits: with a time limit, beside the thread's own `park`, and while the
//! thread ends.

use crate::support::{ms, secs};
use decor::{
    Error,
    prelude::*,
    test_util::{VirtualClock, sleep},
};
use std::{cell::RefCell, sync::mpsc, thread};

/// `AcquireMany::blocking` offers waits that `acquire_blocking` does not.
#[test]
fn a_thread_waits_for_several_permits_or_for_a_limited_time() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::new(3, secs(10));
    assert_eq!(limiter.acquire_many(2).blocking(), Ok(()));
    assert_eq!(limiter.acquire_many([2]).blocking(), Ok(()));
    assert_eq!(clock.elapsed(), secs(10));
    assert_eq!(limiter.acquire_within(secs(1)).blocking(), Ok(()));
    assert_eq!(limiter.acquire_within(secs(9)).blocking(), Err(Error::RateLimited { retry_after: secs(10) }));
    assert_eq!(clock.elapsed(), secs(10));
    assert_eq!(limiter.acquire_within(secs(10)).blocking(), Ok(()));
    assert_eq!(clock.elapsed(), secs(20));
    assert!(matches!(limiter.acquire_many(4).blocking(), Err(Error::InvalidArgument { .. })));
}

/// If the wait used `thread::park`, it would consume the thread's token, and the thread's own
/// `park` would hang.
#[test]
fn a_wait_does_not_consume_the_threads_own_unpark() {
    let limiter = RateLimiter::new(1, ms(20));
    limiter.acquire_blocking();
    let (tell, told) = mpsc::channel();
    let its_limiter = limiter.clone();
    let owed = thread::spawn(move || {
        its_limiter.acquire_blocking();
        thread::park();
        tell.send(()).unwrap();
    });
    while limiter.waiting() == 0 {
        thread::yield_now();
    }
    owed.thread().unpark();
    told.recv_timeout(secs(20))
        .expect("the thread's own `park` must return, because the thread was unparked while it waited");

    let clock = VirtualClock::start();
    let (tell, told) = mpsc::channel();
    let (introduce, introduced) = mpsc::channel();
    let owed = clock.spawn(move || {
        introduce.send(thread::current()).unwrap();
        sleep(secs(10));
        thread::park();
        tell.send(()).unwrap();
    });
    sleep(secs(1)); // the thread waits then
    introduced.recv().unwrap().unpark();
    clock.advance(secs(9));
    told.recv_timeout(secs(20))
        .expect("the thread's own `park` must return, because the thread was unparked while it waited");
    owed.join();
}

/// At that time, thread-locals such as decor's and tokio's are gone.
#[test]
fn a_thread_may_wait_in_the_drop_of_its_last_thread_local() {
    struct Last(Option<RateLimiter>);
    impl Drop for Last {
        fn drop(&mut self) {
            if let Some(limiter) = &self.0 {
                limiter.acquire_blocking();
            }
        }
    }
    thread_local! {
        static LAST: RefCell<Last> = const { RefCell::new(Last(None)) };
    }
    let limiter = RateLimiter::new(1, ms(20));
    let its = limiter.clone();
    let thread = thread::spawn(move || {
        LAST.with_borrow_mut(|last| last.0 = Some(its.clone())); // initialized first, and so dropped last
        (0..2).for_each(|_| its.acquire_blocking());
    });
    thread.join().unwrap();
    assert_eq!((limiter.stats().admitted, limiter.stats().delayed), (3, 2));
}
