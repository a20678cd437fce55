//! The one place that reads a clock or sleeps.
//!
//! Tokio's clock, so that `start_paused = true` and `tokio::time::advance` control everything decor does.

use crate::policy::{Nanos, nanos};
use std::time::Duration;

pub(crate) use tokio::time::{Instant, Sleep};

/// Tokio's timer counts in these: never early, and late by at most one.
pub(crate) const GRAIN: Duration = Duration::from_millis(1);

/// Who asks for the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "memo"), allow(unreachable_pub))] // a trait that is public for bounds names it
pub enum Clock {
    /// A task: by tokio's clock, which may be paused. Its timers know no other.
    Task,
    /// A thread that waits as threads do, in real time or in that of its virtual clock. A paused clock would never get it to the end
    /// of its wait.
    Thread,
}

impl Clock {
    /// That of anybody who does not wait: the thread's virtual one if it has one, or else tokio's.
    #[inline]
    pub(crate) fn here() -> Self {
        if virtual_now().is_some() { Self::Thread } else { Self::Task }
    }

    pub(crate) fn now(self) -> Instant {
        #[cfg(test)]
        tests::count_a_read();
        match self {
            Self::Task => Instant::now(),
            Self::Thread => virtual_now().unwrap_or_else(|| std::time::Instant::now().into()),
        }
    }
}

/// The time of this thread's virtual clock, if it has one.
#[inline]
fn virtual_now() -> Option<Instant> {
    #[cfg(feature = "test-util")]
    return crate::test_util::now();
    #[cfg(not(feature = "test-util"))]
    None
}

pub(crate) fn now() -> Instant {
    Clock::Task.now()
}

/// Where a handle counts its moments from, by each clock: tokio's may have been moved hours ahead before the handle was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epoch {
    of_tasks: Instant,
    of_threads: Instant,
}

impl Epoch {
    pub(crate) fn new() -> Self {
        Self { of_tasks: Clock::Task.now(), of_threads: Clock::Thread.now() }
    }

    fn of(self, clock: Clock) -> Instant {
        match clock {
            Clock::Task => self.of_tasks,
            Clock::Thread => self.of_threads,
        }
    }

    pub(crate) fn now(self, clock: Clock) -> Nanos {
        nanos(clock.now().saturating_duration_since(self.of(clock)))
    }

    /// The moment in the clock's own terms; `None` if it lies beyond it.
    pub(crate) fn instant(self, clock: Clock, moment: Nanos) -> Option<Instant> {
        self.of(clock).checked_add(Duration::from_nanos(moment))
    }
}

/// A timer for `delay` from now; `None` if that lies beyond what the clock can express, which is to say never.
pub(crate) fn sleep(delay: Duration) -> Option<Sleep> {
    now().checked_add(delay).map(sleep_until)
}

pub(crate) fn sleep_until(moment: Instant) -> Sleep {
    tokio::time::sleep_until(moment)
}

/// A clock read costs more than all else that a decorator does where nothing goes wrong.
#[cfg(test)]
mod tests {
    use crate::{Error, prelude::*};
    use std::{
        cell::Cell,
        future::{Future, ready},
        pin::pin,
        task::{Context, Poll, Waker},
        time::Duration,
    };

    thread_local! {
        static READS: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) fn count_a_read() {
        READS.set(READS.get() + 1);
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn fetch() -> impl Future<Output = Result<u8, Error>> {
        ready(Ok(7))
    }

    /// Clock reads of a call that is ready at once. Nobody listens here.
    fn reads(call: impl Future) -> u32 {
        READS.set(0);
        assert!(matches!(pin!(call).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_)));
        READS.get()
    }

    #[test]
    fn no_clock_is_read_where_nobody_asks_for_the_time() {
        let policy = RetryPolicy::default();
        assert_eq!(reads(fetch.timed("fetch").call()), 0);
        assert_eq!(reads(fetch.logged().call()), 0);
        assert_eq!(reads(fetch.timeout(SECOND).call()), 0);
        assert_eq!(reads(fetch.retry_with(&policy).when(|_| true).call()), 0);
        assert_eq!(reads(fetch.validated(|| Ok::<_, &str>(())).deprecated("use another").call()), 0);
    }

    #[test]
    fn one_read_serves_whoever_does_ask() {
        let policy = RetryPolicy::default();
        assert_eq!(reads(fetch.retry_with(policy.clone().deadline(SECOND)).call()), 1);
        assert_eq!(reads(fetch.retry_with(&policy).on_retry(|_| ()).call()), 1);
        assert_eq!(reads(fetch.retry_with(&policy).explained().call()), 1);
        let limiter = RateLimiter::new(10, SECOND);
        assert_eq!(reads(fetch.rate_limited(&limiter).call()), 1);
        assert_eq!(reads(fetch.timed_with(crate::Timing::new("fetch").to(|_| ())).call()), 2, "begin and end");
    }

    #[cfg(feature = "memo")]
    #[test]
    fn one_read_for_a_hit() {
        let memo: Memo<u8, u8> = Memo::ttl(3_600 * SECOND); // an interpreter takes its time
        memo.insert(7, 49);
        assert_eq!(reads(memo.get_or_load(7, || ready(0_u8))), 1);
        assert_eq!(reads((|n: u8| ready(n)).memoized(&memo).call(7)), 1);
        READS.set(0);
        assert_eq!((memo.get(&7), READS.get()), (Some(49), 1));
        let for_ever: Memo<u8, u8> = Memo::builder().build();
        for_ever.insert(7, 49);
        assert_eq!(reads(for_ever.get_or_load(7, || ready(0_u8))), 0, "what never expires");
    }
}
