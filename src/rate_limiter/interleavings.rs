//! The limiter under a model checker: see [`crate::interleavings`]. Each time that its lock is taken, another thread may have come in
//! between. Checked is, for one permit a second:
//!
//! - The limit holds, whatever happens at the same time.
//! - Nobody is forgotten: all who stay are admitted, and as early as the limit allows. Time passes only when all wait, so a wake-up that is
//!   lost shows as a late admission.
//! - Nothing is left behind: nobody waits, and everybody is counted once.

use super::{
    RateLimiter,
    acquire::Request,
    core::{Claim, Turn},
};
use crate::{
    interleavings::explore,
    policy::Nanos,
    test_util::{VirtualClock, elapsed},
    time::Clock,
};
use shuttle::thread;
use std::{
    // Not the checker's: the log is no part of what it checks.
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
    /// A call that waits for as long as it takes.
    Acquire,
    /// A call that leaves, if it has to wait.
    Leave,
    Try,
    /// For a period and a half.
    Pause,
    /// To two in a period.
    SetLimit,
}
use Act::{Acquire, Leave, Pause, SetLimit, Try};

/// One who waits.
struct Waiter {
    claim: Claim,
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
}

impl Model {
    fn admit(&self) {
        self.admitted.lock().unwrap().push(elapsed().expect("there is a virtual clock"));
    }

    fn act(&self, act: Act) {
        match act {
            Acquire | Leave => {
                let request = Request { permits: 1_u32.into(), can_fail: true, max_wait: None };
                let woken = Arc::<Woken>::default();
                match self.limiter.core.claim(Clock::Thread, &request, &Waker::from(Arc::clone(&woken))) {
                    Turn::Over(admitted) => {
                        admitted.unwrap();
                        self.admit();
                    }
                    Turn::Joined(claim, _) => {
                        let waiter = self.take_turn(Waiter { claim, waker: woken, until: 0 });
                        if act == Acquire {
                            self.waiting.lock().unwrap().extend(waiter);
                        } else if let Some(waiter) = waiter {
                            self.limiter.core.leave(Clock::Thread, &waiter.claim);
                        }
                    }
                    Turn::Wait(_) => unreachable!(),
                }
            }
            Try => {
                if self.limiter.try_acquire().is_ok() {
                    self.admit();
                }
            }
            Pause => self.limiter.pause_for(PERIOD * 3 / 2),
            SetLimit => self.limiter.set_limit(2, PERIOD),
        }
    }

    /// `None` when it is over.
    fn take_turn(&self, mut waiter: Waiter) -> Option<Waiter> {
        let waker = Waker::from(Arc::clone(&waiter.waker));
        match self.limiter.core.take_turn(Clock::Thread, &mut waiter.claim, &waker) {
            Turn::Over(admitted) => {
                admitted.unwrap();
                self.admit();
                None
            }
            Turn::Wait(until) => Some(Waiter { until, ..waiter }),
            Turn::Joined(..) => unreachable!(),
        }
    }

    /// All who wait now wait to their end: each looks again when it has been woken, or when its moment has come.
    fn drain(&self, clock: &VirtualClock) {
        let mut waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        while let Some(next) = waiting.iter().map(|waiter| waiter.until).min() {
            let now = Nanos::try_from(clock.elapsed().as_nanos()).unwrap();
            let looks = |waiter: &Waiter| waiter.waker.0.swap(false, SeqCst) || waiter.until <= now;
            match waiting.iter().position(looks) {
                Some(n) => {
                    let waiter = waiting.remove(n);
                    waiting.extend(self.take_turn(waiter));
                }
                None => clock.advance(Duration::from_nanos(next - now)),
            }
        }
    }
}

/// Runs these threads in every interleaving with so many preemptions. The last is admitted at `latest`.
fn check(preemptions: usize, threads: &[&[Act]], latest: Duration) {
    let acts: Vec<Vec<Act>> = threads.iter().map(|acts| acts.to_vec()).collect();
    let explored = explore(preemptions, move || {
        let clock = VirtualClock::start();
        let model = Model { limiter: RateLimiter::new(1, PERIOD), waiting: Arc::default(), admitted: Arc::default() };
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
        let stay = acts.iter().flatten().filter(|act| **act == Acquire).count();
        let stats = model.limiter.stats();
        assert!(admitted.len() >= stay, "{admitted:?}");
        assert_eq!((stats.admitted, stats.waiting), (admitted.len() as u64, 0), "{stats:?}");
        let calls = acts.iter().flatten().filter(|act| matches!(act, Acquire | Leave | Try)).count() as u64;
        assert_eq!(stats.admitted + stats.refused + stats.cancelled, calls, "{stats:?}");
        assert_eq!(stats.passed_over, 0);
    });
    println!("{threads:?}: {explored} interleavings");
}

#[test]
fn two_threads() {
    check(2, &[&[Acquire], &[Acquire]], PERIOD);
    check(2, &[&[Acquire, Acquire], &[Acquire]], PERIOD * 2);
    check(2, &[&[Acquire, Leave], &[Acquire, Acquire]], PERIOD * 3);
    check(2, &[&[Try, Acquire], &[Acquire, Try]], PERIOD * 3);
    check(2, &[&[Acquire, Pause], &[Acquire, Acquire]], PERIOD * 7 / 2);
    check(2, &[&[Acquire, SetLimit], &[Acquire]], Duration::ZERO);
    check(2, &[&[Acquire, SetLimit], &[Acquire, Acquire]], PERIOD);
}

#[test]
fn three_threads() {
    check(2, &[&[Acquire], &[Acquire], &[Acquire]], PERIOD * 2);
    check(2, &[&[Acquire], &[Leave], &[Acquire]], PERIOD * 2);
    check(2, &[&[Acquire, Leave], &[Acquire], &[Try]], PERIOD * 2);
    check(2, &[&[Acquire], &[Acquire], &[SetLimit]], Duration::ZERO);
    check(2, &[&[Acquire], &[Leave, Leave], &[Acquire, SetLimit]], PERIOD);
}
