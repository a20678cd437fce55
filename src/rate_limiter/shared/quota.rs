//! The traits between a limiter and the store that it shares with other processes.

use crate::{
    Name,
    policy::{Answer, Ask, StoreError},
    sync::Arc,
};
use std::{fmt::Debug, time::Duration};

/// A limit in a store that several processes share, such as the limit `github` in a Redis.
///
/// [`RateLimiterBuilder::shared`](crate::RateLimiterBuilder::shared) takes one. The limiter keeps
/// its queue, its waiting and all its words. It asks the store for permits, and the store says when
/// each call may go. All handles of a store share its connection, its thread and its knowledge that
/// the store is down.
///
/// # The protocol
///
/// A limiter is an [`Asker`]. It never waits for the store, and never calls it with a lock that the
/// store's calls would need. The store drives the limiter from a thread of its own:
///
/// 1. The limiter calls [`want`](Self::want): "call me after this time". The store only notes it.
///
/// 2. At that time the store calls [`Asker::ask`]. The limiter wakes the first waiter if its permit
///    is due. It returns a request, or `None` if it has nothing to ask. The store may collect the
///    requests of all askers that are due, and send them together.
///
/// 3. The store calls [`Asker::answered`], once for each request, with the answer or an error. The
///    next request of this limiter comes after that. One request of a limiter is in flight at a
///    time.
///
/// An error means that the store is *down*. [`is_up`](Self::is_up) is `false` from the first error
/// on, *before* `answered` is called with it. While the store is down, a request gets an error at
/// once. The store looks by itself if it is back ([`Probe`](crate::shared::Probe)). When it is
/// back, `is_up` is `true` again, and the store calls [`Asker::ask`] of each asker that
/// got an error since it went down.
///
/// The limiter keeps the store in memory, and may be dropped within a call of `ask` or `answered`.
/// A store may therefore be dropped on its own thread.
///
/// No request takes longer than a time limit of the store, connecting included. A request that
/// exceeds it gets an error, and its answer is dropped if it comes later.
pub trait SharedQuota: Send + Sync + Debug + 'static {
    /// Returns the name of the limit, for [`Error::StoreDown`](crate::Error::StoreDown) and logs.
    fn name(&self) -> Name;

    /// Returns the time since some moment of this process, the same moment for all limits of the
    /// store. Never goes back. All times of a shared limiter are on this clock, which is the
    /// monotonic clock of the machine, or the virtual time of a test's store.
    ///
    /// Called for each admission, so it has to be fast.
    fn now(&self) -> Duration;

    /// Returns `true` unless the store is down. Called for each admission, so it has to be fast:
    /// one atomic load.
    fn is_up(&self) -> bool;

    /// Has the store call [`asker.ask()`](Asker::ask) once, `after` this time or a little later,
    /// from a thread of its own. Never blocks, and never calls the asker itself.
    ///
    /// Several calls are several calls of `ask`. An early or an additional call of `ask` does no
    /// harm. Zero has the store ask as soon as it can.
    fn want(&self, asker: Arc<dyn Asker>, after: Duration);

    /// Returns the limit of one key, such as a user: with the same store, and a name of its own.
    fn of_key(&self, key: &str) -> Arc<dyn SharedQuota>;
}

/// A limiter, as its store sees it. See [`SharedQuota`] for the protocol.
///
/// Made by the limiter. It does not keep the limiter in memory: once the limiter is dropped, the
/// asker has nothing to ask.
pub trait Asker: Send + Sync + Debug + 'static {
    /// Returns what to ask now; `None` if there is nothing to ask, or if a request is in flight.
    /// The moment of this call is the *asking*, from which the times of the request count. Send the
    /// request at once.
    ///
    /// Takes the lock of the limiter for some microseconds, and wakes tasks.
    fn ask(&self) -> Option<Ask>;

    /// Takes the answer to the request in flight. The moment of this call is that of the answer.
    ///
    /// Takes the lock of the limiter for some microseconds, and wakes tasks. An answer without a
    /// request has no effect.
    fn answered(&self, answer: Result<Answer, StoreError>);
}

/// Delegates to the limit in the pointer.
impl<Q: SharedQuota + ?Sized> SharedQuota for Arc<Q> {
    fn name(&self) -> Name {
        (**self).name()
    }

    fn now(&self) -> Duration {
        (**self).now()
    }

    fn is_up(&self) -> bool {
        (**self).is_up()
    }

    fn want(&self, asker: Arc<dyn Asker>, after: Duration) {
        (**self).want(asker, after);
    }

    fn of_key(&self, key: &str) -> Arc<dyn SharedQuota> {
        (**self).of_key(key)
    }
}
