//! The limiter under a model checker: see [`crate::model_check`]. Before each lock, any other
//! thread may run. The checks, for one permit a second:
//!
//! - The limit holds in every interleaving.
//! - All calls that stay are admitted, as early as the limit allows. Time passes only when all
//!   threads wait, so a lost wake-up shows as a late admission.
//! - A call with a longest wait is refused only if its turn comes later.
//! - At the end no call waits, and each call is counted once.
//! - With a keyed limiter, no count is lost with a key, and a change reaches every key.
//! - Once the limiter is closed, every call ends at once, and none takes a permit.

use super::{
    KeyedLimiter, RateLimiter,
    state::{Admission, QueuedCall, Request},
};
use crate::{
    Error,
    clock::{Clock, Nanos},
    model_check::explore,
    test_util::{VirtualClock, elapsed},
};
use shuttle::thread;
use std::{
    // Not the checker's types, because the log is not part of the model.
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Wake, Waker},
    time::Duration,
};

const PERIOD: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// A call that waits without a limit.
    Acquire,
    /// A call that leaves if it has to wait.
    Leave,
    /// A call that waits for one period at most.
    Within,
    Try,
    /// A pause of one and a half periods.
    Pause,
    Resume,
    /// A change to two permits per period.
    SetLimit,
    Close,
}
use Act::{Acquire, Close, Leave, Pause, Resume, SetLimit, Try, Within};

/// A waiting call.
struct Waiter {
    request: Request,
    claim: QueuedCall,
    waker: Arc<Woken>,
    until: Nanos,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

#[derive(Clone)]
struct Model {
    limiter: RateLimiter,
    waiting: Arc<Mutex<Vec<Waiter>>>,
    admitted: Arc<Mutex<Vec<Duration>>>,
    /// Set after `close` has returned.
    is_closed: Arc<AtomicBool>,
}

impl Model {
    fn admit(&self) {
        self.admitted.lock().unwrap().push(elapsed().expect("there is a virtual clock"));
    }

    fn act(&self, act: Act) {
        let was_closed = self.is_closed.load(SeqCst);
        match act {
            Acquire | Leave | Within => {
                let max_wait = if act == Within { Some(PERIOD) } else { None };
                let request = Request { permits: 1_u32.into(), can_fail: true, max_wait };
                let woken = Arc::<Woken>::default();
                match self.limiter.core.admit_or_queue(Clock::Thread, &request, &Waker::from(Arc::clone(&woken))) {
                    Admission::Done(result) => self.end(result.map(drop), was_closed),
                    Admission::Queued(claim, _) => {
                        assert!(!was_closed, "joined the queue of a closed limiter");
                        let waiter = self.recheck(Waiter { request, claim, waker: woken, until: 0 });
                        if act != Leave {
                            self.waiting.lock().unwrap().extend(waiter);
                        } else if let Some(waiter) = waiter {
                            self.limiter.core.leave(Clock::Thread, &waiter.claim);
                        }
                    }
                    Admission::Wait(_) | Admission::Stuck => unreachable!(),
                }
            }
            Try => {
                self.end(self.limiter.try_acquire(), was_closed);
            }
            Pause => self.limiter.pause_for(PERIOD * 3 / 2),
            Resume => self.limiter.resume(),
            SetLimit => self.limiter.set_limit(2, PERIOD),
            Close => {
                self.limiter.close();
                self.is_closed.store(true, SeqCst);
            }
        }
    }

    /// Records an admission or checks a refusal. A call is refused only because its turn comes
    /// after its longest wait, because all calls want one permit.
    fn end(&self, result: Result<(), Error>, was_closed: bool) {
        match result {
            Err(Error::Closed { .. }) => assert!(self.limiter.is_closed()),
            result if was_closed => panic!("{result:?} from a closed limiter"),
            Ok(()) => self.admit(),
            Err(refused) => self.check_refusal(&refused),
        }
    }

    fn check_refusal(&self, refused: &Error) {
        let Error::RateLimited { retry_after } = refused else { panic!("{refused}") };
        assert!(!retry_after.is_zero(), "refused with a permit free");
    }

    /// Polls a waiter; `None` if its call has ended.
    fn recheck(&self, waiter: Waiter) -> Option<Waiter> {
        let was_closed = self.is_closed.load(SeqCst);
        let waker = Waker::from(Arc::clone(&waiter.waker));
        match self.limiter.core.recheck(Clock::Thread, &waiter.claim, &waiter.request, &waker) {
            Admission::Done(result) => {
                self.end(result.map(drop), was_closed);
                None
            }
            Admission::Wait(until) => Some(Waiter { until, ..waiter }),
            Admission::Queued(..) | Admission::Stuck => unreachable!(),
        }
    }

    /// Polls all waiters until they have ended. Each is polled when it was woken, or when its
    /// recheck is due.
    fn drain(&self, clock: &VirtualClock) {
        let mut waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        while let Some(next) = waiting.iter().map(|waiter| waiter.until).min() {
            let now = Nanos::try_from(clock.elapsed().as_nanos()).unwrap();
            let looks = |waiter: &Waiter| waiter.waker.0.swap(false, SeqCst) || waiter.until <= now;
            match waiting.iter().position(looks) {
                Some(n) => {
                    let waiter = waiting.remove(n);
                    waiting.extend(self.recheck(waiter));
                }
                None => clock.advance(Duration::from_nanos(next - now)),
            }
        }
    }
}

/// Runs these threads in every interleaving with at most `preemptions` preemptions. Checks that the
/// last admission is no later than `latest`.
fn check(preemptions: usize, threads: &[&[Act]], latest: Duration) {
    check_limiter(|| RateLimiter::new(1, PERIOD), preemptions, threads, latest);
}

/// The same with a paced limiter. Its calls take no lock while permits are free.
fn check_paced(threads: &[&[Act]], latest: Duration) {
    check_limiter(|| RateLimiter::builder().paced(1, PERIOD).build(), 2, threads, latest);
}

fn check_limiter(make: fn() -> RateLimiter, preemptions: usize, threads: &[&[Act]], latest: Duration) {
    let acts: Vec<Vec<Act>> = threads.iter().map(|acts| acts.to_vec()).collect();
    let explored = explore(preemptions, move || {
        let clock = VirtualClock::start();
        let model =
            Model { limiter: make(), waiting: Arc::default(), admitted: Arc::default(), is_closed: Arc::default() };
        let running: Vec<_> = acts
            .iter()
            .map(|acts| {
                let (model, acts) = (model.clone(), acts.clone());
                thread::spawn(move || acts.iter().for_each(|act| model.act(*act)))
            })
            .collect();
        running.into_iter().for_each(|thread| thread.join().unwrap());
        model.drain(&clock);

        let admitted = model.admitted.lock().unwrap().clone();
        let limit = if acts.iter().flatten().any(|act| *act == SetLimit) { 2 } else { 1 };
        assert!(admitted.windows(limit + 1).all(|some| some[limit] - some[0] >= PERIOD), "{admitted:?}");
        assert!(admitted.last().is_none_or(|last| *last <= latest), "{admitted:?}");
        let is_closed = model.limiter.is_closed();
        assert!(!is_closed || clock.elapsed().is_zero(), "a call waited for its turn");
        let stay = acts.iter().flatten().filter(|act| **act == Acquire && !is_closed).count();
        let stats = model.limiter.stats();
        assert!(admitted.len() >= stay, "{admitted:?}");
        assert_eq!((stats.admitted, stats.waiting), (admitted.len() as u64, 0), "{stats:?}");
        let calls = acts.iter().flatten().filter(|act| matches!(act, Acquire | Leave | Try | Within)).count() as u64;
        assert_eq!(stats.admitted + stats.refused + stats.cancelled, calls, "{stats:?}");
        assert_eq!(stats.skipped, 0);
    });
    println!("{threads:?}: {explored} interleavings");
}

#[test]
fn two_threads_lose_no_wakeup_and_keep_the_limit() {
    check(2, &[&[Acquire], &[Acquire]], PERIOD);
    check(2, &[&[Acquire, Acquire], &[Acquire]], PERIOD * 2);
    check(2, &[&[Acquire, Leave], &[Acquire, Acquire]], PERIOD * 3);
    check(2, &[&[Try, Acquire], &[Acquire, Try]], PERIOD * 3);
    check(2, &[&[Acquire, Pause], &[Acquire, Acquire]], PERIOD * 7 / 2);
    check(2, &[&[Acquire, SetLimit], &[Acquire]], Duration::ZERO);
    check(2, &[&[Acquire, SetLimit], &[Acquire, Acquire]], PERIOD);
}

#[test]
fn three_threads_lose_no_wakeup_and_keep_the_limit() {
    check(2, &[&[Acquire], &[Acquire], &[Acquire]], PERIOD * 2);
    check(2, &[&[Acquire], &[Leave], &[Acquire]], PERIOD * 2);
    check(2, &[&[Acquire, Leave], &[Acquire], &[Try]], PERIOD * 2);
    check(2, &[&[Acquire], &[Acquire], &[SetLimit]], Duration::ZERO);
    check(2, &[&[Acquire], &[Leave, Leave], &[Acquire, SetLimit]], PERIOD);
}

#[test]
fn a_paced_limiter_keeps_its_schedule_with_and_without_the_lock() {
    check_paced(&[&[Try, Try], &[Try]], Duration::ZERO);
    check_paced(&[&[Try], &[Try], &[Acquire]], PERIOD);
    check_paced(&[&[Acquire], &[Leave], &[Acquire]], PERIOD * 2);
    check_paced(&[&[Try, Acquire], &[Acquire, Try]], PERIOD * 3);
    check_paced(&[&[Acquire, Try], &[Pause, Resume]], PERIOD);
    check_paced(&[&[Acquire, Try], &[Pause]], PERIOD * 3 / 2);
    check_paced(&[&[Acquire, Try], &[Acquire], &[SetLimit]], PERIOD);
    check_paced(&[&[Acquire, Try], &[Try], &[Close, Try]], Duration::ZERO);
}

/// A burst of the calls at one moment is admitted, whichever of them take the lock.
#[test]
fn a_burst_is_admitted_with_and_without_the_lock() {
    let explored = explore(2, || {
        let clock = VirtualClock::start();
        let limiter = RateLimiter::builder().paced(10, PERIOD).burst(3).build();
        let calls = |limiter: RateLimiter| move || (0..2).filter(|_| limiter.try_acquire().is_ok()).count();
        let callers = [(); 2].map(|()| thread::spawn(calls(limiter.clone())));
        // Each look takes the lock, and so shuts the way without it.
        let looks = (0..2).map(|_| limiter.available()).collect::<Vec<_>>();
        let admitted: usize = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
        assert_eq!((admitted, limiter.available(), limiter.stats().admitted), (3, 0, 3));
        assert!(looks[0] <= 3 && looks[1] <= looks[0], "{looks:?}");
        clock.advance(PERIOD / 10);
        assert_eq!(limiter.available(), 1);
    });
    println!("a burst: {explored} interleavings");
}

#[test]
fn resume_ends_a_pause() {
    check(2, &[&[Acquire], &[Pause, Resume]], Duration::ZERO);
    check(2, &[&[Acquire, Acquire], &[Pause, Resume]], PERIOD);
    check(2, &[&[Acquire], &[Acquire], &[Pause, Resume]], PERIOD);
}

#[test]
fn close_ends_every_call() {
    check(2, &[&[Acquire], &[Close]], Duration::ZERO);
    check(2, &[&[Acquire, Acquire], &[Close]], Duration::ZERO);
    check(2, &[&[Acquire, Acquire], &[Acquire, Close]], Duration::ZERO);
    check(2, &[&[Acquire, Leave], &[Acquire], &[Close, Try]], Duration::ZERO);
    check(2, &[&[Within, Within], &[Within], &[Close, Acquire]], Duration::ZERO);
    check(2, &[&[Acquire, Acquire], &[Close], &[Close]], Duration::ZERO);
    check(2, &[&[Acquire, Acquire], &[Close], &[Pause, Resume]], Duration::ZERO);
    check(2, &[&[Acquire, Acquire], &[SetLimit], &[Close]], Duration::ZERO);
}

#[test]
fn calls_within_their_longest_wait_are_admitted() {
    // Of three calls that wait for at most one period, two can be admitted.
    check(2, &[&[Within], &[Within]], PERIOD);
    check(2, &[&[Within], &[Within], &[Within]], PERIOD);
    check(2, &[&[Within], &[Try], &[Leave]], PERIOD);
    check(2, &[&[Within, Leave], &[Within], &[Try]], PERIOD);
    check(2, &[&[Within], &[Acquire], &[SetLimit]], PERIOD);
}

/// An act at the moment at which permits become free and the longest waits end.
#[derive(Debug, Clone, Copy)]
enum AtTheTurn {
    /// The n-th waiter is polled.
    Look(usize),
    /// The n-th waiter is dropped.
    Drop(usize),
    TryNow,
    /// A new call that may not wait.
    Come,
}
use AtTheTurn::{Come, Drop, Look, TryNow};

/// At one moment, `permits` become free and the longest waits of `waiters` end. In every
/// interleaving, all waiters that stay are admitted, and new calls get the permits that are left.
fn check_turn(permits: u32, waiters: usize, threads: &[&[AtTheTurn]]) {
    let acts: Vec<Vec<AtTheTurn>> = threads.iter().map(|acts| acts.to_vec()).collect();
    let explored = explore(2, move || {
        let clock = VirtualClock::start();
        let limiter = RateLimiter::new(permits, PERIOD);
        limiter.charge(permits);
        let patient = Request { permits: 1_u32.into(), can_fail: true, max_wait: Some(PERIOD) };
        let claim = |request: &Request| limiter.core.admit_or_queue(Clock::Thread, request, Waker::noop());
        let claims: Vec<_> = (0..waiters)
            .map(|_| match claim(&patient) {
                Admission::Queued(claim, _) => claim,
                admission => panic!("{admission:?}"),
            })
            .collect();
        clock.advance(PERIOD);
        let claims = Arc::new(claims);
        let newcomers = Arc::new(Mutex::new((0, 0)));
        let running: Vec<_> = acts
            .iter()
            .map(|acts| {
                let (limiter, claims, newcomers, acts) =
                    (limiter.clone(), Arc::clone(&claims), Arc::clone(&newcomers), acts.clone());
                let now = Request { max_wait: Some(Duration::ZERO), ..patient };
                thread::spawn(move || {
                    for act in acts {
                        let admission = match act {
                            Look(n) => {
                                let admission =
                                    limiter.core.recheck(Clock::Thread, &claims[n], &patient, Waker::noop());
                                assert!(matches!(admission, Admission::Done(Ok(_))), "{admission:?}");
                                continue;
                            }
                            Drop(n) => {
                                limiter.core.leave(Clock::Thread, &claims[n]);
                                continue;
                            }
                            TryNow => Admission::Done(limiter.try_acquire().map(|()| 0)),
                            Come => limiter.core.admit_or_queue(Clock::Thread, &now, Waker::noop()),
                        };
                        let mut newcomers = newcomers.lock().unwrap();
                        newcomers.0 += 1;
                        match admission {
                            Admission::Done(Ok(_)) => newcomers.1 += 1,
                            Admission::Done(Err(Error::RateLimited { retry_after })) => assert_eq!(retry_after, PERIOD),
                            admission => panic!("{admission:?}"),
                        }
                    }
                })
            })
            .collect();
        running.into_iter().for_each(|thread| thread.join().unwrap());

        let (came, admitted) = *newcomers.lock().unwrap();
        let left = acts.iter().flatten().filter(|act| matches!(act, Drop(_))).count();
        let unclaimed = permits as usize - waiters;
        assert!((unclaimed.min(came)..=(unclaimed + left).min(came)).contains(&admitted), "{admitted} of {came}");
        let stats = limiter.stats();
        assert_eq!(stats.admitted as usize, waiters - left + admitted);
        assert_eq!((stats.refused as usize, stats.cancelled as usize), (came - admitted, left));
        assert_eq!((stats.waiting, stats.skipped), (0, 0));
    });
    println!("{permits} permits, {waiters} waiters, {threads:?}: {explored} interleavings");
}

#[test]
fn waiters_are_admitted_at_the_end_of_their_longest_wait() {
    check_turn(2, 2, &[&[Look(1)], &[Look(0)], &[TryNow]]);
    check_turn(2, 2, &[&[Look(1)], &[Look(0)], &[Come]]);
    check_turn(3, 2, &[&[Look(1)], &[Look(0)], &[TryNow]]);
    check_turn(3, 3, &[&[Look(2)], &[Look(1)], &[Look(0)]]);
    check_turn(2, 2, &[&[Look(1)], &[Drop(0)], &[TryNow]]);
    check_turn(3, 3, &[&[Look(2), TryNow], &[Drop(1), Come], &[Look(0)]]);
}

/// Two skipped waiters come back in every interleaving, and are admitted in the order in which they
/// first came.
#[test]
fn skipped_waiters_come_back_in_order() {
    let explored = explore(2, || {
        let clock = VirtualClock::start();
        let limiter = RateLimiter::new(1, PERIOD);
        limiter.charge(1);
        let patient = Request { permits: 1_u32.into(), can_fail: true, max_wait: None };
        let claims = [(); 2].map(|()| match limiter.core.admit_or_queue(Clock::Thread, &patient, Waker::noop()) {
            Admission::Queued(claim, _) => claim,
            admission => panic!("{admission:?}"),
        });
        // The first waiter is woken and skipped, then the second. Then there is a permit for a call
        // that only tries.
        for (pause, skipped) in [(PERIOD, 0), (Duration::from_millis(10), 1), (Duration::from_millis(10), 2)] {
            clock.advance(pause);
            assert_eq!(limiter.try_acquire().is_ok(), skipped == 2);
            assert_eq!(limiter.stats().skipped, skipped);
        }
        let claims = Arc::new(claims);
        let look = |n: usize| {
            let (limiter, claims) = (limiter.clone(), Arc::clone(&claims));
            move || limiter.core.recheck(Clock::Thread, &claims[n], &patient, Waker::noop())
        };
        let back = [1, 0].map(|n| thread::spawn(look(n)));
        let trier = limiter.clone();
        let tries = thread::spawn(move || trier.try_acquire());
        for admission in back.map(|thread| thread.join().unwrap()) {
            assert!(matches!(admission, Admission::Wait(_)), "{admission:?}");
        }
        assert!(tries.join().unwrap().is_err());
        clock.advance(PERIOD);
        assert!(matches!(look(1)(), Admission::Wait(_)), "the second overtook the first");
        assert!(matches!(look(0)(), Admission::Done(Ok(_))));
        clock.advance(PERIOD);
        assert!(matches!(look(1)(), Admission::Done(Ok(_))));
        let stats = limiter.stats();
        assert_eq!((stats.admitted, stats.waiting, stats.skipped), (3, 0, 2));
    });
    println!("coming back: {explored} interleavings");
}

/// An act on a keyed limiter with one permit a second for each key, and room for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyAct {
    TryKey(u8),
    Remove(u8),
    /// A change to two permits a second, for all keys.
    SetForAll,
    /// A change to three permits a second, for one key.
    SetForOne(u8),
    /// A change to room for two keys.
    MakeRoom,
    /// Reads the counts twice.
    Watch,
}
use KeyAct::{MakeRoom, Remove, SetForAll, SetForOne, TryKey, Watch};

/// Runs these threads with two keys in every interleaving with at most 1 preemption.
fn check_keys(threads: &[&[KeyAct]]) {
    let acts: Vec<Vec<KeyAct>> = threads.iter().map(|acts| acts.to_vec()).collect();
    let explored = explore(1, move || {
        let _clock = VirtualClock::start();
        let per_key: KeyedLimiter<u8> = RateLimiter::builder().window(1, PERIOD).keyed().max_keys(1).build();
        let act = |per_key: &KeyedLimiter<u8>, act| match act {
            TryKey(key) => u64::from(per_key.for_key(&key).try_acquire().is_ok()),
            Remove(key) => {
                per_key.remove(&key);
                0
            }
            SetForAll => {
                per_key.set_limit(2, PERIOD);
                0
            }
            SetForOne(key) => {
                per_key.for_key(&key).set_limit(3, PERIOD);
                0
            }
            MakeRoom => {
                per_key.set_max_keys(2);
                0
            }
            Watch => {
                let [before, after] = [(); 2].map(|()| per_key.stats());
                assert!(before.admitted <= after.admitted && before.refused <= after.refused, "{before:?}, {after:?}");
                0
            }
        };
        let running: Vec<_> = acts
            .iter()
            .map(|acts| {
                let (per_key, acts) = (per_key.clone(), acts.clone());
                thread::spawn(move || acts.iter().map(|one| act(&per_key, *one)).sum::<u64>())
            })
            .collect();
        let admitted: u64 = running.into_iter().map(|thread| thread.join().unwrap()).sum();

        let all = || acts.iter().flatten();
        let calls = all().filter(|act| matches!(act, TryKey(_))).count() as u64;
        let stats = per_key.stats();
        assert_eq!((stats.admitted, stats.refused, stats.waiting), (admitted, calls - admitted, 0));
        let keys = per_key.keys();
        assert_eq!(keys.len(), per_key.len());
        let limit = if all().any(|act| *act == SetForAll) { 2 } else { 1 };
        for key in [0, 1] {
            let removed = all().any(|act| *act == Remove(key));
            let own = all().any(|act| *act == SetForOne(key)) && !removed;
            assert!(!own || keys.contains(&key), "{key} has a limit of its own, but only {keys:?} are left");
            let limits = per_key.for_key(&key).limits();
            assert!(
                limits == [(if own { 3 } else { limit }, PERIOD)] || removed && limits == [(3, PERIOD)],
                "{limits:?}"
            );
        }
    });
    println!("{threads:?}: {explored} interleavings");
}

#[test]
fn keys_keep_their_counts_and_settings() {
    check_keys(&[&[TryKey(0)], &[TryKey(1)], &[Watch]]);
    check_keys(&[&[TryKey(0), TryKey(1)], &[TryKey(1), TryKey(0)]]);
    check_keys(&[&[TryKey(0), Remove(0)], &[TryKey(0)], &[Watch]]);
    check_keys(&[&[TryKey(0)], &[SetForAll], &[TryKey(1)]]);
    check_keys(&[&[SetForOne(0)], &[SetForAll], &[TryKey(1)]]);
    check_keys(&[&[SetForOne(0), TryKey(0)], &[Remove(0)], &[SetForAll]]);
    check_keys(&[&[TryKey(0), TryKey(1)], &[MakeRoom], &[SetForAll]]);
}
