//! The concurrency limiter under a model checker: see [`crate::model_check`]. Before each lock and
//! each atomic operation, any other thread may run. The checks:
//!
//! - No more permits are taken than the limit allows, in every interleaving.
//! - A waiter is admitted in its turn: permits pass in the order in which the calls joined, tasks
//!   and threads together.
//! - No wake-up is lost. A waiter that was handed its permits has been woken, and every call ends
//!   although no waiter polls on its own.
//! - At the end no permit is taken and no call waits, and each call is counted once.
//!
//! Some calls wait as threads do, and some as tasks do: a thread parks until it is woken, and a
//! task is polled by the thread that finds it woken.

use super::{
    ConcurrencyLimiter,
    state::{Answer, Core, IfBusy, Ticket, Turn},
};
use crate::{model_check::explore, policy::Ended};
use shuttle::{
    sync::{Condvar, Mutex as ModelMutex},
    thread,
};
use std::{
    // Not the checker's types, because the log is not part of the model.
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    task::{Wake, Waker},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// A thread waits for these permits, uses them, and gives them back.
    Thread(u32),
    /// A task waits for these permits. It is polled at the end, once it was woken.
    Task(u32),
    /// A task that is dropped after its first poll.
    Leave(u32),
    Try(u32),
    SetLimit(u32),
    Close,
}
use Act::{Close, Leave, SetLimit, Task, Thread, Try};

/// The waker of a thread.
#[derive(Default)]
struct Parker {
    woken: ModelMutex<bool>,
    wakes: Condvar,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.wakes.notify_one();
    }
}

impl Parker {
    fn park(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.wakes.wait(woken).unwrap();
        }
        *woken = false;
    }
}

/// The waker of a task.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

struct Waiting {
    ticket: Ticket,
    permits: u32,
    flag: Arc<Flag>,
}

#[derive(Clone)]
struct Model {
    core: crate::sync::Arc<Core>,
    /// The largest limit that the model sets.
    most: u32,
    in_use: Arc<AtomicU32>,
    tasks: Arc<Mutex<Vec<Waiting>>>,
    /// Numbers of the waiters that were admitted, in the order in which they used their permits.
    admitted: Arc<Mutex<Vec<u64>>>,
}

impl Model {
    /// Uses the permits of a waiter, and gives them back.
    fn use_after_a_wait(&self, permits: u32, number: u64) {
        self.admitted.lock().unwrap().push(number);
        self.use_permits(permits, number);
    }

    /// Uses permits, and gives them back.
    fn use_permits(&self, permits: u32, number: u64) {
        let in_use = self.in_use.fetch_add(permits, SeqCst) + permits;
        assert!(in_use <= self.most, "{in_use} permits in use");
        self.in_use.fetch_sub(permits, SeqCst);
        self.core.end(permits, number, || Ended::Well);
    }

    fn act(&self, act: Act) {
        match act {
            Thread(permits) => {
                let parker = Arc::<Parker>::default();
                let waker = Waker::from(Arc::clone(&parker));
                match self.core.admit_or_queue(permits, IfBusy::Wait, &waker) {
                    Answer::Admitted(number) => self.use_permits(permits, number),
                    Answer::Refused(error) => assert!(self.core.is_closed(), "{error}"),
                    Answer::Queued(ticket) => loop {
                        parker.park();
                        match self.core.recheck(ticket, permits, false, &waker) {
                            Turn::Admitted(number) => break self.use_after_a_wait(permits, number),
                            Turn::Refused(error) => break assert!(self.core.is_closed(), "{error}"),
                            Turn::NotYet => panic!("woken in vain"),
                        }
                    },
                }
            }
            Task(permits) | Leave(permits) => {
                let flag = Arc::<Flag>::default();
                match self.core.admit_or_queue(permits, IfBusy::Wait, &Waker::from(Arc::clone(&flag))) {
                    Answer::Admitted(number) => self.use_permits(permits, number),
                    Answer::Refused(error) => assert!(self.core.is_closed(), "{error}"),
                    Answer::Queued(ticket) if matches!(act, Leave(_)) => self.core.leave(ticket, permits),
                    Answer::Queued(ticket) => self.tasks.lock().unwrap().push(Waiting { ticket, permits, flag }),
                }
            }
            Try(permits) => match self.core.admit_or_queue(permits, IfBusy::Fail, Waker::noop()) {
                Answer::Admitted(number) => self.use_permits(permits, number),
                Answer::Refused(_) => {}
                Answer::Queued(_) => unreachable!(),
            },
            SetLimit(limit) => self.core.set_limit(limit).unwrap(),
            Close => self.core.close().for_each(Waker::wake),
        }
        self.poll_tasks();
    }

    /// Polls the tasks that were woken.
    fn poll_tasks(&self) {
        loop {
            let woken = {
                let mut tasks = self.tasks.lock().unwrap();
                let place = tasks.iter().position(|task| task.flag.0.load(SeqCst));
                place.map(|place| tasks.remove(place))
            };
            let Some(Waiting { ticket, permits, .. }) = woken else { return };
            match self.core.recheck(ticket, permits, false, Waker::noop()) {
                Turn::Admitted(number) => self.use_after_a_wait(permits, number),
                Turn::Refused(error) => assert!(self.core.is_closed(), "{error}"),
                Turn::NotYet => panic!("woken in vain"),
            }
        }
    }
}

/// Runs these threads in every interleaving with at most two preemptions, or one for three threads.
fn check(make: fn() -> ConcurrencyLimiter, threads: &[&[Act]]) {
    let acts: Vec<Vec<Act>> = threads.iter().map(|acts| acts.to_vec()).collect();
    let preemptions = if threads.len() > 2 { 1 } else { 2 };
    let explored = explore(preemptions, move || {
        let limiter = make();
        let limits =
            acts.iter().flatten().filter_map(|act| if let SetLimit(limit) = act { Some(*limit) } else { None });
        let model = Model {
            most: limits.chain([limiter.limit() + 1]).max().unwrap_or(0), // an adaptive limit grows by one
            core: limiter.core.clone(),
            in_use: Arc::default(),
            tasks: Arc::default(),
            admitted: Arc::default(),
        };
        let running: Vec<_> = acts
            .iter()
            .map(|acts| {
                let (model, acts) = (model.clone(), acts.clone());
                thread::spawn(move || acts.iter().for_each(|act| model.act(*act)))
            })
            .collect();
        running.into_iter().for_each(|thread| thread.join().unwrap());
        model.poll_tasks();
        assert!(model.tasks.lock().unwrap().is_empty(), "a waiter was not woken");
        let is_fixed = limiter.range().is_none() && !acts.iter().flatten().any(|act| matches!(act, SetLimit(_)));
        if is_fixed && limiter.limit() == 1 {
            // One call at a time, so each waiter has used its permit before the next one got it.
            let admitted = model.admitted.lock().unwrap();
            assert!(admitted.is_sorted(), "{admitted:?}");
        }
        let stats = limiter.stats();
        assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
        let free = if limiter.is_closed() { 0 } else { stats.limit };
        assert_eq!(limiter.available(), free, "{stats:?}");
        let calls = acts.iter().flatten().filter(|act| !matches!(act, SetLimit(_) | Close)).count() as u64;
        assert_eq!(stats.admitted + stats.refused + stats.cancelled, calls, "{stats:?}");
    });
    println!("{threads:?}: {explored} interleavings");
}

fn one() -> ConcurrencyLimiter {
    ConcurrencyLimiter::new(1)
}

fn two() -> ConcurrencyLimiter {
    ConcurrencyLimiter::new(2)
}

fn adaptive() -> ConcurrencyLimiter {
    ConcurrencyLimiter::builder().adaptive(1..=2).start_at(1).build()
}

#[test]
fn free_permits_pass_with_and_without_the_lock() {
    check(two, &[&[Try(1), Try(1)], &[Try(1)]]);
    check(two, &[&[Try(2)], &[Try(1)], &[Thread(1)]]);
    check(one, &[&[Try(1), Thread(1)], &[Try(1), Try(1)]]);
}

#[test]
fn threads_hand_their_permits_over() {
    check(one, &[&[Thread(1)], &[Thread(1)]]);
    check(one, &[&[Thread(1), Thread(1)], &[Thread(1)]]);
    check(one, &[&[Thread(1)], &[Thread(1)], &[Thread(1)]]);
    check(two, &[&[Thread(1)], &[Thread(2)], &[Thread(1)]]);
}

#[test]
fn tasks_and_threads_hand_their_permits_over() {
    check(one, &[&[Task(1)], &[Thread(1)]]);
    check(one, &[&[Task(1)], &[Task(1)], &[Task(1)]]);
    check(one, &[&[Task(1)], &[Thread(1)], &[Task(1)]]);
    check(one, &[&[Task(1), Task(1)], &[Thread(1)]]);
    check(two, &[&[Task(2)], &[Task(1)], &[Try(1)]]);
    check(two, &[&[Task(1), Task(2)], &[Task(1)]]);
}

#[test]
fn a_waiter_that_is_dropped_passes_its_permits_on() {
    check(one, &[&[Leave(1)], &[Thread(1)]]);
    check(one, &[&[Leave(1)], &[Thread(1)], &[Task(1)]]);
    check(two, &[&[Leave(2)], &[Thread(1)], &[Thread(1)]]);
    check(one, &[&[Leave(1), Leave(1)], &[Try(1), Thread(1)]]);
}

#[test]
fn a_new_limit_admits_waiters() {
    check(one, &[&[Thread(1)], &[Thread(1)], &[SetLimit(2)]]);
    check(two, &[&[Thread(1)], &[Thread(1), Try(1)], &[SetLimit(1), SetLimit(3)]]);
    check(one, &[&[Task(1), Try(1)], &[Leave(1)], &[SetLimit(2)]]);
}

#[test]
fn close_ends_every_wait() {
    check(one, &[&[Thread(1)], &[Thread(1)], &[Close]]);
    check(one, &[&[Task(1)], &[Thread(1)], &[Close, Try(1)]]);
    check(one, &[&[Leave(1)], &[Task(1)], &[Close]]);
}

#[test]
fn an_adaptive_limiter_hands_over_while_it_grows() {
    check(adaptive, &[&[Thread(1)], &[Thread(1)]]);
    check(adaptive, &[&[Thread(1), Try(1)], &[Thread(1)]]);
    check(adaptive, &[&[Task(1)], &[Leave(1)], &[Thread(1)]]);
}

/// Newcomers never overtake: of the calls that wait, the one that came first is admitted first.
#[test]
fn waiters_are_admitted_in_the_order_in_which_they_came() {
    let explored = explore(2, || {
        let limiter = ConcurrencyLimiter::new(1);
        let permit = limiter.try_acquire().unwrap();
        let admitted = Arc::<Mutex<Vec<u64>>>::default();
        let wait = |limiter: ConcurrencyLimiter, admitted: Arc<Mutex<Vec<u64>>>| {
            move || {
                let parker = Arc::<Parker>::default();
                let waker = Waker::from(Arc::clone(&parker));
                let number = match limiter.core.admit_or_queue(1, IfBusy::Wait, &waker) {
                    Answer::Admitted(number) => return limiter.core.end(1, number, || Ended::Well),
                    Answer::Refused(error) => panic!("{error}"),
                    Answer::Queued(ticket) => {
                        parker.park();
                        match limiter.core.recheck(ticket, 1, false, &waker) {
                            Turn::Admitted(number) => number,
                            turn => panic!("{turn:?}"),
                        }
                    }
                };
                admitted.lock().unwrap().push(number);
                limiter.core.end(1, number, || Ended::Well);
            }
        };
        let threads = [(); 2].map(|()| thread::spawn(wait(limiter.clone(), Arc::clone(&admitted))));
        drop(permit);
        let _ = limiter.try_acquire().map(drop);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let admitted = admitted.lock().unwrap();
        assert!(admitted.is_sorted(), "{admitted:?}");
        assert_eq!((limiter.in_use(), limiter.waiting(), limiter.available()), (0, 0, 1));
    });
    println!("in order: {explored} interleavings");
}
