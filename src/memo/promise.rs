//! A value that another thread hands over once.

use crate::sync::{Arc, Mutex, lock};
use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// A value to come: see [`MemoTier`](crate::tier::MemoTier). Made by [`promise`].
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (resolver, promise) = decor::tier::promise();
/// std::thread::spawn(move || resolver.resolve(42));
/// assert_eq!(promise.await, Some(42));
///
/// let (resolver, promise) = decor::tier::promise::<u32>();
/// drop(resolver);
/// assert_eq!(promise.await, None);
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Promise<T>(Arc<Mutex<State<T>>>);

/// The end of a [`Promise`] that hands the value over. If it is dropped, the promise ends with
/// `None`.
///
/// # Examples
///
/// See [`Promise`].
pub struct Resolver<T>(Arc<Mutex<State<T>>>);

enum State<T> {
    /// The waker is `None` until the promise is polled.
    Waiting(Option<Waker>),
    /// `None` if the resolver was dropped.
    Resolved(Option<T>),
    /// The value was taken, or no promise is left.
    Over,
}

/// Makes a promise.
///
/// # Examples
///
/// See [`Promise`].
pub fn promise<T>() -> (Resolver<T>, Promise<T>) {
    let state = Arc::new(Mutex::new(State::Waiting(None)));
    (Resolver(Arc::clone(&state)), Promise(state))
}

impl<T> Resolver<T> {
    /// Hands the value over. Drops the value if the promise was dropped.
    ///
    /// # Examples
    ///
    /// See [`Promise`].
    pub fn resolve(self, value: T) {
        self.end(Some(value));
    }

    /// Returns `true` if no promise waits any more.
    ///
    /// # Examples
    ///
    /// ```
    /// let (resolver, promise) = decor::tier::promise::<u32>();
    /// assert!(!resolver.is_over());
    /// drop(promise);
    /// assert!(resolver.is_over());
    /// ```
    pub fn is_over(&self) -> bool {
        matches!(*lock(&self.0), State::Over)
    }

    fn end(&self, value: Option<T>) {
        let mut state = lock(&self.0);
        if let State::Waiting(_) = &*state {
            let before = mem::replace(&mut *state, State::Resolved(value));
            drop(state);
            if let State::Waiting(Some(waker)) = before {
                waker.wake();
            }
        }
    }
}

impl<T> Drop for Resolver<T> {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl<T> Future for Promise<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.0);
        let spent = match &mut *state {
            State::Waiting(Some(waker)) if waker.will_wake(cx.waker()) => None,
            State::Waiting(waker) => waker.replace(cx.waker().clone()),
            State::Resolved(value) => {
                let value = value.take();
                *state = State::Over;
                return Poll::Ready(value);
            }
            State::Over => panic!("`Promise` polled after it completed"),
        };
        drop(state);
        drop(spent); // may be the last waker of a task, which then runs the task's `Drop`
        Poll::Pending
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        let before = mem::replace(&mut *state, State::Over);
        drop(state);
        drop(before);
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Promise")
    }
}

impl<T> fmt::Debug for Resolver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}
