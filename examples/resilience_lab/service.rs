//! The simulated service: ten servers behind one queue, in virtual time.

use super::dice;
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// Number of calls that are served at once. Each takes 100 ms on average.
const SERVERS: u32 = 10;
/// Number of calls in a second.
pub(crate) const CAPACITY: u32 = 100;

/// Wait of the last call that the queue has room for: longer than any caller waits.
const LONGEST_QUEUE: Duration = Duration::from_secs(4);

/// Time after which a connection or a call is refused.
const REFUSAL: Duration = Duration::from_millis(1);

/// Time by which a lost packet delays an answer. No server is busy meanwhile.
const LOST_PACKET: Duration = Duration::from_millis(800);

/// The state of the service during a phase of a scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Healthy,
    /// Refuses each connection.
    Down,
    /// Takes each call, and never answers.
    Hanging,
    /// Answers this share of the calls with an error.
    Flaky(f64),
    /// Answers this share of the calls late, because a packet is lost.
    Slow(f64),
}

/// The failures that the service itself reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("connection refused")]
    Refused,
    #[error("internal error")]
    Internal,
    #[error("the queue is full")]
    QueueFull,
}

/// A clone is the same service.
#[derive(Debug, Clone)]
pub(crate) struct Service(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    mode: Mode,
    /// For each server, the time at which it has done all calls that it was given.
    free: BinaryHeap<Reverse<Instant>>,
    record: Record,
}

/// The service's own record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// Arrivals of all calls, refused ones included.
    pub(crate) arrivals: Vec<Instant>,
    /// Number of calls that the servers worked for.
    pub(crate) served: usize,
    /// Number of these calls with a caller that still waited for the answer.
    pub(crate) delivered: usize,
}

impl Service {
    pub(crate) fn new() -> Self {
        let free = (0..SERVERS).map(|_| Reverse(Instant::now())).collect();
        Self(Arc::new(Mutex::new(State { mode: Mode::Healthy, free, record: Record::default() })))
    }

    pub(crate) fn enter(&self, mode: Mode) {
        self.lock().mode = mode;
    }

    pub(crate) fn record(&self) -> Record {
        self.lock().record.clone()
    }

    /// Makes one call. The service does not see that a caller has gone, as most servers do not: a
    /// dropped call keeps its place in the queue, and is served for nothing.
    pub(crate) async fn ask(self, id: u64) -> Result<u64, Failure> {
        let (outcome, reply_at) = self.lock().decide();
        let Some(reply_at) = reply_at else { return pending().await };
        sleep_until(reply_at).await;
        if matches!(outcome, Ok(()) | Err(Failure::Internal)) {
            self.lock().record.delivered += 1;
        }
        outcome.map(|()| id)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the outcome of a call that has just arrived, and the time of the reply; `None` if
    /// there is never a reply.
    fn decide(&mut self) -> (Result<(), Failure>, Option<Instant>) {
        let now = Instant::now();
        let n = self.record.arrivals.len() as u64;
        self.record.arrivals.push(now);
        match self.mode {
            Mode::Down => return (Err(Failure::Refused), Some(now + REFUSAL)),
            Mode::Hanging => return (Ok(()), None),
            Mode::Healthy | Mode::Flaky(_) | Mode::Slow(_) => {}
        }
        let Some(done) = self.serve(now, n) else { return (Err(Failure::QueueFull), Some(now + REFUSAL)) };
        match self.mode {
            Mode::Flaky(share) if dice("fails", n) < share => (Err(Failure::Internal), Some(done)),
            Mode::Slow(share) if dice("late", n) < share => (Ok(()), Some(done + LOST_PACKET)),
            _ => (Ok(()), Some(done)),
        }
    }

    /// Gives the call to the server that is free first. Returns the time at which the call is done;
    /// `None` if the queue is full.
    fn serve(&mut self, now: Instant, n: u64) -> Option<Instant> {
        let mut first_free = self.free.peek_mut()?;
        let begin = first_free.0.max(now);
        if begin - now > LONGEST_QUEUE {
            return None;
        }
        let average = Duration::from_secs(1) * SERVERS / CAPACITY;
        let done = begin + average.mul_f64(0.5 + dice("takes", n));
        first_free.0 = done;
        self.record.served += 1;
        Some(done)
    }
}
