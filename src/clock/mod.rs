//! The clock. Only this module reads the time or sleeps.
//!
//! Time is tokio's, so that `start_paused = true` and `tokio::time::advance` control everything
//! that decor does.
//!
//! There are two ways to read it. An *instant* decides when a timer ends, and is what the public
//! API hands out. A *stamp* says when something happened: an admission, a store, the start of a
//! call. Both are on one time line. Only stamps may come from the fast clock.

#[cfg(feature = "fast-clock")]
mod fast;
mod nanos;
#[cfg(feature = "test-util")]
pub(crate) mod virtual_clock;
mod wake_order;

pub(crate) use nanos::{Nanos, nanos};
pub(crate) use wake_order::WakeOrder;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(crate) use tokio::time::{Instant, Sleep};

/// Resolution of tokio's timers. A timer is never early, and late by at most this.
pub(crate) const TIMER_RESOLUTION: Duration = Duration::from_millis(1);

/// The clock that an operation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "memo"), allow(unreachable_pub))] // a trait that is public for bounds names it
pub enum Clock {
    /// Tokio's clock, which may be paused. For tasks, because tokio's timers use no other clock.
    Task,
    /// Real time, or the thread's virtual clock. For blocking waits, because tokio's paused clock
    /// does not advance while a thread is parked.
    Thread,
}

impl Clock {
    /// The clock for operations that do not wait: the thread's virtual clock if it has one,
    /// otherwise tokio's.
    #[inline]
    pub(crate) fn current() -> Self {
        if virtual_now().is_some() { Self::Thread } else { Self::Task }
    }

    /// The time by which timers end. A later [`stamp`](Self::stamp) of this thread is no earlier.
    pub(crate) fn now(self) -> Instant {
        #[cfg(test)]
        tests::count_a_read();
        #[cfg(feature = "fast-clock")]
        if HAS_FAST_CLOCK {
            fast::distrust();
        }
        match self {
            Self::Task => Instant::now(),
            Self::Thread => virtual_now().unwrap_or_else(|| std::time::Instant::now().into()),
        }
    }

    /// The time of an event, by the fast clock if there is one.
    #[inline]
    pub(crate) fn stamp(self) -> Instant {
        #[cfg(feature = "fast-clock")]
        if HAS_FAST_CLOCK {
            return fast::now();
        }
        self.now()
    }
}

/// The time of this thread's virtual clock; `None` if it has none.
#[inline]
fn virtual_now() -> Option<Instant> {
    #[cfg(feature = "test-util")]
    return virtual_clock::now();
    #[cfg(not(feature = "test-util"))]
    None
}

/// The time of day, for dates that come from outside. No delay of decor's own depends on it.
#[cfg(feature = "http")]
pub(crate) fn wall_clock() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// The time of one handle, in nanoseconds since the handle was made. It advances whenever the clock
/// of a caller advances. It never goes back, except by the error of the fast clock.
///
/// A handle may be used by tasks of several runtimes and by threads. Outside of tests, all of them
/// read the same clock. In a test, each runtime may have paused and moved its clock, and each
/// virtual clock has its own time. If such a clock is behind the time of the handle, only the time
/// that passes on the clock counts, from the time of the handle on.
///
/// A clone is the time of the same handle.
#[derive(Debug, Clone)]
pub(crate) struct Epoch {
    of_tasks: Instant,
    of_threads: Instant,
    /// The same moment by the fast clock.
    #[cfg(feature = "fast-clock")]
    of_stamps: Nanos,
    // Not from `crate::sync`, because the model checker need not interleave threads that read the
    // time.
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    latest: Nanos,
    /// The clocks that were behind, the most recent last. Each has an offset in nanoseconds that is
    /// added to its readings.
    behind: Vec<(Source, i128)>,
}

/// Maximum number of clocks in `Seen::behind`. The oldest is removed first, and counts as behind
/// anew when it is read again.
const MAX_SOURCES: usize = 32;

impl Epoch {
    pub(crate) fn new() -> Self {
        let of_tasks = Clock::Task.stamp();
        Self {
            of_tasks,
            of_threads: if HAS_FAST_CLOCK { of_tasks } else { Clock::Thread.now() },
            #[cfg(feature = "fast-clock")]
            of_stamps: if HAS_FAST_CLOCK { fast::since_origin(of_tasks) } else { 0 },
            seen: Arc::default(),
        }
    }

    fn of(&self, clock: Clock) -> Instant {
        match clock {
            Clock::Task => self.of_tasks,
            Clock::Thread => self.of_threads,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn now(&self, clock: Clock) -> Nanos {
        #[cfg(feature = "fast-clock")]
        if HAS_FAST_CLOCK {
            return fast::nanos().saturating_sub(self.of_stamps);
        }
        if !CLOCKS_MAY_DIFFER {
            return nanos(clock.now().saturating_duration_since(self.of(clock)));
        }
        // The clock is read under the lock. Otherwise two threads could read the same clock in one
        // order and arrive in the other, and the second would seem to be behind.
        let mut seen = self.seen();
        let (now, made) = (clock.now(), self.of(clock));
        // A paused clock may stand at a time before the handle was made.
        let before = nanos(made.saturating_duration_since(now));
        let reading = i128::from(nanos(now.saturating_duration_since(made))) - i128::from(before);
        seen.reconcile(Source::of(clock), reading)
    }

    /// The moment in the clock's own terms; `None` if the clock cannot represent it.
    pub(crate) fn instant(&self, clock: Clock, moment: Nanos) -> Option<Instant> {
        let made = self.of(clock);
        let behind = if CLOCKS_MAY_DIFFER { self.seen().behind(Source::of(clock)) } else { 0 };
        let reading = i128::from(moment) - behind;
        let distance = Duration::from_nanos(u64::try_from(reading.unsigned_abs()).unwrap_or(u64::MAX));
        if reading < 0 { made.checked_sub(distance) } else { made.checked_add(distance) }
    }
}

impl Seen {
    /// Offset that is added to the readings of a clock; 0 for a clock that has never been behind.
    fn behind(&self, source: Source) -> i128 {
        self.behind.iter().find(|(other, _)| *other == source).map_or(0, |(_, behind)| *behind)
    }

    fn reconcile(&mut self, source: Source, reading: i128) -> Nanos {
        let latest = i128::from(self.latest);
        let now = reading + self.behind(source);
        if now < latest {
            self.behind.retain(|(other, _)| *other != source);
            if self.behind.len() == MAX_SOURCES {
                self.behind.remove(0);
            }
            self.behind.push((source, latest - reading));
        }
        self.latest = Nanos::try_from(latest.max(now)).unwrap_or(Nanos::MAX);
        self.latest
    }
}

/// `true` if the callers of one handle can have clocks that differ.
const CLOCKS_MAY_DIFFER: bool = cfg!(feature = "test-util") || tokio_can_pause();

/// `true` if stamps come from the processor's counter: with the feature `fast-clock`, unless the
/// build has a clock that a test can replace.
pub const HAS_FAST_CLOCK: bool = cfg!(feature = "fast-clock") && !CLOCKS_MAY_DIFFER;

/// Returns `true` if tokio is built with its own `test-util` feature. No `cfg` of this crate shows
/// that. With the feature, `tokio::time` has a function `pause`, and the glob import shadows the
/// local function of that name.
const fn tokio_can_pause() -> bool {
    struct CannotPause;

    trait Paused {
        const IS_TOKIOS: bool;
    }

    impl Paused for () {
        const IS_TOKIOS: bool = true;
    }

    impl Paused for CannotPause {
        const IS_TOKIOS: bool = false;
    }

    const fn is_tokios<P: Paused>(_pause: fn() -> P) -> bool {
        P::IS_TOKIOS
    }

    #[allow(dead_code)] // unused with tokio's `test-util`
    fn pause() -> CannotPause {
        CannotPause
    }

    {
        #[allow(unused_imports, clippy::wildcard_imports)]
        use tokio::time::*;
        is_tokios(pause)
    }
}

/// Source of a time reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The clock of the system.
    System,
    /// The clock of a tokio runtime, which may be paused.
    Runtime(tokio::runtime::Id),
    /// The virtual clock of a thread, identified by its address.
    #[cfg(feature = "test-util")]
    Virtual(usize),
}

impl Source {
    fn of(clock: Clock) -> Self {
        match clock {
            Clock::Task => {
                tokio::runtime::Handle::try_current().map_or(Self::System, |runtime| Self::Runtime(runtime.id()))
            }
            #[cfg(feature = "test-util")]
            Clock::Thread => {
                virtual_clock::current().map_or(Self::System, |shared| Self::Virtual(Arc::as_ptr(&shared).addr()))
            }
            #[cfg(not(feature = "test-util"))]
            Clock::Thread => Self::System,
        }
    }
}

/// Makes a timer that ends after `delay`; `None` if the clock cannot represent that moment, which
/// never comes.
pub(crate) fn sleep(delay: Duration) -> Option<Sleep> {
    Clock::Task.now().checked_add(delay).map(sleep_until)
}

pub(crate) fn sleep_until(moment: Instant) -> Sleep {
    tokio::time::sleep_until(moment)
}

#[cfg(all(test, feature = "test-util"))]
mod sources {
    use super::*;
    use crate::cases::cases;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(cases(5_000))]

        /// Each step is a source, and the time that passes on it before it is read.
        #[test]
        fn time_advances_when_any_source_advances(
            steps in prop::collection::vec((0_usize..3, prop_oneof![Just(0_u64), 1_u64..10, 1_000_u64..2_000]), 1..60),
        ) {
            let (mut seen, mut readings) = (Seen::default(), [-500_i128, 0, 700]);
            // Naive model: the position of each source in the time of the handle.
            let (mut latest, mut at) = (0_i128, BTreeMap::new());
            for (source, passed) in steps {
                let passed = i128::from(passed);
                let before = at.get(&source).copied().unwrap_or(readings[source]);
                readings[source] += passed;
                let expected = latest.max(before + passed);
                prop_assert_eq!(i128::from(seen.reconcile(Source::Virtual(source), readings[source])), expected);
                prop_assert_eq!(readings[source] + seen.behind(Source::Virtual(source)), expected);
                (latest, _) = (expected, at.insert(source, expected));
            }
        }
    }

    #[test]
    fn readings_of_a_single_source_are_unchanged() {
        let mut seen = Seen::default();
        assert_eq!(
            [0, 7, 7, i128::MAX / 2].map(|reading| seen.reconcile(Source::System, reading)),
            [0, 7, 7, u64::MAX]
        );
        assert!(seen.behind.is_empty());
    }

    #[test]
    fn many_sources_take_bounded_memory() {
        let mut seen = Seen::default();
        seen.reconcile(Source::System, 1_000);
        for source in 0..100 {
            assert_eq!(seen.reconcile(Source::Virtual(source), 1), 1_000);
        }
        assert_eq!(seen.behind.len(), MAX_SOURCES);
        assert_eq!(seen.reconcile(Source::Virtual(99), 3), 1_002, "a recent source keeps its offset");
        assert_eq!(seen.reconcile(Source::Virtual(0), 3), 1_002, "a removed source is behind anew");
    }

    #[test]
    fn tokios_test_util_is_detected() {
        const { assert!(tokio_can_pause()) };
    }
}

/// Counts clock reads. One read costs more than all other work of a decorator around a call that
/// succeeds at once.
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

    /// Number of clock reads of a call that is ready at once. No tracing subscriber is set.
    fn reads(call: impl Future) -> u32 {
        READS.set(0);
        assert!(matches!(pin!(call).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_)));
        READS.get()
    }

    #[test]
    fn no_clock_is_read_unless_the_time_is_needed() {
        let policy = RetryPolicy::default();
        assert_eq!(reads(fetch.timed("fetch").call()), 0);
        assert_eq!(reads(fetch.logged().call()), 0);
        assert_eq!(reads(fetch.traced("fetch").call()), 0);
        #[cfg(feature = "metrics")]
        assert_eq!(reads(fetch.metered("fetch").call()), 0, "no recorder is installed");
        assert_eq!(reads(fetch.timeout(SECOND).call()), 0);
        assert_eq!(reads(fetch.retry_with(&policy).when(|_| true).call()), 0);
        assert_eq!(reads(fetch.hedged(SECOND).call()), 0);
        assert_eq!(reads(fetch.hedged(crate::Hedge::percentile(0.5)).call()), 0);
        assert_eq!(reads(fetch.fallback(|_: Error| fetch()).fallback_to(fetch).call()), 0);
        assert_eq!(reads(fetch.validated(|| Ok::<_, &str>(())).deprecated("use another").call()), 0);
        let breaker = CircuitBreaker::consecutive(5);
        assert_eq!(reads(fetch.guarded_by(&breaker).unless_open(&breaker).call()), 0);
        let breaker = CircuitBreaker::builder().slow_after(SECOND).build();
        assert_eq!(reads(fetch.guarded_by(&breaker).call()), 0, "the call is ready at once");
    }

    #[test]
    fn one_read_serves_all_that_need_the_time() {
        let policy = RetryPolicy::default();
        assert_eq!(reads(fetch.retry_with(policy.clone().deadline(SECOND)).call()), 1);
        assert_eq!(reads(fetch.retry_with(&policy).on_retry(|_| ()).call()), 1);
        assert_eq!(reads(fetch.retry_with(&policy).explained().call()), 1);
        let limiter = RateLimiter::new(10, SECOND);
        assert_eq!(reads(fetch.rate_limited(&limiter).call()), 1);
        let breaker = CircuitBreaker::rate(0.5, SECOND);
        assert_eq!(reads(fetch.guarded_by(&breaker).call()), 1);
        assert_eq!(
            reads(fetch.timed_with(crate::Timing::new("fetch").record_to(|_| ())).call()),
            2,
            "one read at the beginning and one at the end"
        );
    }

    #[test]
    fn a_limit_that_has_not_begun_to_count_needs_no_clock() {
        let refused = || ready(Err::<u8, _>(Error::QueueFull { waiting: 0 }));
        let policy = RetryPolicy::fixed(2 * SECOND);
        assert_eq!(reads(refused.retry_with(&policy).timeout(SECOND).call()), 0, "gives up by the limit");
        assert_eq!(reads(fetch.retry_with(&policy).budgeted(&RetryBudget::new(0.1).per_second(1.0)).call()), 0);
    }

    #[cfg(feature = "memo")]
    #[test]
    fn one_read_for_a_hit() {
        let memo: Memo<u8, u8> = Memo::ttl(3_600 * SECOND); // long enough for a run under Miri
        memo.insert(7, 49);
        assert_eq!(reads(memo.get_or_load(7, || ready(0_u8))), 1);
        assert_eq!(reads((|n: u8| ready(n)).memoized(&memo).call(7)), 1);
        READS.set(0);
        assert_eq!((memo.get(&7), READS.get()), (Some(49), 1));
        let for_ever: Memo<u8, u8> = Memo::builder().build();
        for_ever.insert(7, 49);
        assert_eq!(reads(for_ever.get_or_load(7, || ready(0_u8))), 0, "no read for an entry that never expires");
    }
}
