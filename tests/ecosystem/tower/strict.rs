//! A service that counts what it reserves, and that panics when it is called without a reservation.

use std::{
    future::{Pending, Ready, pending, ready},
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};
use tower::Service;

/// The counts of all clones of a [`Strict`].
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Reservations that are held now.
    reserved: AtomicUsize,
    /// Reservations that were ever made.
    made: AtomicUsize,
    /// Times that a clone was asked whether it is ready.
    asked: AtomicUsize,
    calls: AtomicUsize,
    is_busy: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Counts {
    pub(super) fn reserved(&self) -> usize {
        self.reserved.load(SeqCst)
    }

    pub(super) fn made(&self) -> usize {
        self.made.load(SeqCst)
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    /// While it is busy, the service is not ready.
    pub(super) fn set_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, SeqCst);
        mem::take(&mut *self.waiting.lock().unwrap()).into_iter().for_each(Waker::wake);
    }
}

/// A service with answers of the future that `answer` makes.
#[derive(Debug)]
pub(super) struct Strict<A> {
    pub(super) counts: Arc<Counts>,
    answer: A,
    has_reserved: bool,
}

impl<A> Strict<A> {
    pub(super) fn answering(answer: A) -> Self {
        Self { counts: Arc::default(), answer, has_reserved: false }
    }
}

/// Answers with its request.
pub(super) fn echo() -> Strict<impl Fn(u64) -> Ready<Result<u64, decor::Error>> + Clone> {
    Strict::answering(|id| ready(Ok(id)))
}

/// Never answers.
pub(super) fn silent() -> Strict<impl Fn(u64) -> Pending<Result<u64, decor::Error>> + Clone> {
    Strict::answering(|_| pending())
}

/// A clone has no reservation, as tower's documentation of `Service` says.
impl<A: Clone> Clone for Strict<A> {
    fn clone(&self) -> Self {
        Self { counts: Arc::clone(&self.counts), answer: self.answer.clone(), has_reserved: false }
    }
}

impl<A> Drop for Strict<A> {
    fn drop(&mut self) {
        self.counts.reserved.fetch_sub(usize::from(self.has_reserved), SeqCst);
    }
}

impl<A, Req, F, T, E> Service<Req> for Strict<A>
where
    A: Fn(Req) -> F,
    F: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = F;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.counts.asked.fetch_add(1, SeqCst);
        if self.counts.is_busy.load(SeqCst) {
            self.counts.waiting.lock().unwrap().push(cx.waker().clone());
            return Poll::Pending;
        }
        if !mem::replace(&mut self.has_reserved, true) {
            self.counts.reserved.fetch_add(1, SeqCst);
            self.counts.made.fetch_add(1, SeqCst);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> F {
        assert!(mem::replace(&mut self.has_reserved, false), "called without being ready");
        self.counts.reserved.fetch_sub(1, SeqCst);
        self.counts.calls.fetch_add(1, SeqCst);
        (self.answer)(request)
    }
}
