//! Abandoned calls that are unwound: waits during the unwinding, and the reported outcomes.

use super::Answer;
use crate::support::{listen, secs};
use decor::{
    Error, Outcome, Timing,
    prelude::*,
    test_util::{self, VirtualClock, sleep},
};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

/// A second unwinding, from a `Drop`, would abort the process.
#[test]
fn a_wait_during_the_unwinding_of_an_abandoned_call_takes_its_full_time() {
    struct Cleanup(RateLimiter, Arc<Mutex<Option<Duration>>>);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            (0..3).for_each(|_| self.0.acquire_blocking());
            *self.1.lock().unwrap() = test_util::elapsed();
        }
    }
    let _clock = VirtualClock::start();
    let (limiter, ended) = (RateLimiter::new(1, secs(1)), Arc::new(Mutex::new(None)));
    let (its_limiter, its_end) = (limiter.clone(), Arc::clone(&ended));
    let slow = move || -> Answer {
        let _cleanup = Cleanup(its_limiter.clone(), Arc::clone(&its_end));
        sleep(secs(60));
        Ok(1)
    };
    assert!(slow.blocking().timeout(secs(10)).call().is_err());
    sleep(secs(60));
    assert_eq!(*ended.lock().unwrap(), Some(secs(10 + 2)));
    assert_eq!((limiter.stats().admitted, limiter.stats().cancelled), (3, 0));
}

/// No further call begins, so a timeout within the `Drop` passes at once.
#[test]
fn a_timeout_call_during_the_unwinding_of_another_call_does_not_begin() {
    struct Cleanup(Arc<AtomicU32>, mpsc::Sender<(Answer, Option<Duration>)>);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            let calls = Arc::clone(&self.0);
            let call = move || Answer::Ok(calls.fetch_add(1, SeqCst));
            let answer = call.blocking().named("cleanup").timeout(secs(5)).run();
            self.1.send((answer, test_util::elapsed())).unwrap();
        }
    }
    let _clock = VirtualClock::start();
    let (calls, (sender, ended)) = (Arc::new(AtomicU32::new(0)), mpsc::channel());
    let its_calls = Arc::clone(&calls);
    let slow = move || -> Answer {
        let _cleanup = Cleanup(Arc::clone(&its_calls), sender.clone());
        sleep(secs(60));
        Ok(1)
    };
    assert!(slow.blocking().timeout(secs(10)).call().is_err());
    sleep(secs(60));
    let refused = Err(Error::TimedOut { name: "cleanup".into(), after: secs(5), label: None });
    assert_eq!(ended.try_recv(), Ok((refused, Some(secs(10)))));
    assert_eq!(calls.load(SeqCst), 0);
}

#[test]
fn a_panic_of_an_abandoned_call_is_reported_as_a_panic() {
    let _clock = VirtualClock::start();
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&outcomes);
    let timing = Timing::new("f").record_to(move |m| sink.lock().unwrap().push(m.outcome));
    let stubborn = move || -> Answer {
        for call in [|| sleep(secs(60)), || panic!("boom")] {
            let _ = catch_unwind(AssertUnwindSafe(|| call.blocking().timed_with(timing.clone()).run()));
        }
        Ok(1)
    };
    assert!(stubborn.blocking().timeout(secs(1)).call().is_err());
    sleep(secs(60));
    assert_eq!(*outcomes.lock().unwrap(), [Outcome::Cancelled, Outcome::Panicked]);
}

type Payload = Box<dyn Any + Send>;

/// Records the outcomes of calls, through the timing that it makes.
#[derive(Clone, Default)]
struct Outcomes(Arc<Mutex<Vec<Outcome>>>);

impl Outcomes {
    fn timing(&self) -> Timing {
        let outcomes = Arc::clone(&self.0);
        Timing::new("f").record_to(move |measured| outcomes.lock().unwrap().push(measured.outcome))
    }

    fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Catches the payload with which decor unwinds an abandoned call.
fn caught() -> Payload {
    catch_unwind(|| sleep(secs(60))).unwrap_err()
}

/// Runs `call` on a thread, abandons it after one second, and waits for its end.
fn run_abandoned(call: impl FnOnce() + Send + 'static) {
    let abandoned = move || {
        call();
        Answer::Ok(1)
    };
    assert!(abandoned.blocking().timeout(secs(1)).run().is_err());
    sleep(secs(60));
}

#[test]
fn a_panic_after_a_kept_unwinding_is_reported_as_a_panic() {
    let _clock = VirtualClock::start();
    let log = listen();
    let outcomes = Outcomes::default();
    let (timing, (keep, kept)) = (outcomes.timing(), mpsc::channel());
    run_abandoned(move || {
        keep.send(caught()).unwrap();
        std::mem::forget(caught());
        let explode = || -> Answer { panic!("boom") };
        let explode = explode.blocking().named("explode").logged().timed_with(timing);
        let _ = catch_unwind(AssertUnwindSafe(|| explode.run()));
    });
    drop(kept);
    assert_eq!(outcomes.take(), [Outcome::Panicked]);
    assert_eq!(log.take(), ["DEBUG calling explode", "WARN explode panicked in 0ns"]);
}

#[test]
fn an_unwinding_ends_when_another_thread_drops_its_payload() {
    let _clock = VirtualClock::start();
    let outcomes = Outcomes::default();
    let (timing, (send, received)) = (outcomes.timing(), mpsc::channel());
    run_abandoned(move || {
        let caught_and_panicked = || {
            send.send(caught()).unwrap();
            thread::spawn(move || drop(received)).join().unwrap();
            panic!("boom");
        };
        let _ = catch_unwind(AssertUnwindSafe(|| caught_and_panicked.blocking().timed_with(timing).run()));
    });
    assert_eq!(outcomes.take(), [Outcome::Panicked]);
}

/// A value that is dropped while a thread unwinds may hold the payload of another thread's
/// unwinding.
#[test]
fn dropping_another_threads_payload_does_not_end_this_threads_unwinding() {
    let _clock = VirtualClock::start();
    let outcomes = Outcomes::default();
    let (timing, (send, received)) = (outcomes.timing(), mpsc::channel());
    run_abandoned(move || send.send(caught()).unwrap());
    run_abandoned(move || {
        let owns = move || {
            let _of_another: Payload = received.recv().unwrap();
            sleep(secs(60));
        };
        owns.blocking().timed_with(timing).run();
    });
    assert_eq!(outcomes.take(), [Outcome::Cancelled]);
}

#[test]
fn a_resumed_unwinding_is_still_reported_as_a_cancellation() {
    let _clock = VirtualClock::start();
    let outcomes = Outcomes::default();
    let (outer, inner) = (outcomes.timing(), outcomes.timing());
    run_abandoned(move || {
        let cleans_up = move || {
            let payload = caught();
            (|| ()).blocking().timed_with(inner).run();
            resume_unwind(payload);
        };
        cleans_up.blocking().timed_with(outer).run();
    });
    assert_eq!(outcomes.take(), [Outcome::Completed, Outcome::Cancelled]);
}
