//! The load of a memoized call: the call itself, and then its value into the memo. Here is where it
//! runs: in the call that began it, in a task, or on a thread.

use super::{Cacheable, Failures, Key, Leader, Value, Word};
use crate::{
    Name,
    call::{CallableOnce, blocking},
    layer::{
        MemoOutcome,
        memo_outcome::{Away, leave},
    },
    thread,
};
use futures::FutureExt as _;
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    hash::Hash,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::task::JoinHandle;
use tracing::{Instrument, instrument::WithSubscriber};

/// The load of a memoized call. It appears in the bounds of a
/// [`MemoizedFuture`](crate::future::MemoizedFuture), and is never made by hand.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Load<F, K: Eq + Hash, V, E> {
    /// Before the leader, and so dropped before it: no other load begins while anything of this one
    /// is left.
    #[pin]
    call: Option<F>,
    /// `None` once the call has ended, or has panicked.
    leader: Option<Leader<K, V>>,
    /// The name of the function.
    name: Name,
    failures: PhantomData<fn() -> E>,
}

impl<F, K: Eq + Hash, V, E> Load<F, K, V, E> {
    pub(super) fn new<C, Args>(leader: Leader<K, V>, callable: C, args: Args) -> Self
    where
        C: CallableOnce<Args, Future = F>,
    {
        let name = callable.name();
        let call = Some(leader.lead(|| callable.call_once(args)));
        Self { call, leader: Some(leader), name, failures: PhantomData }
    }
}

impl<F, K, V, E> Future for Load<F, K, V, E>
where
    F: Future<Output: Cacheable<V>>,
    K: Key,
    V: Value,
    E: Failures<F::Output, V>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        // If the call panics, its leader goes right here, while the stack unwinds.
        let leader = this.leader.take().expect("`Load` polled after it ended");
        let call = this.call.as_mut().as_pin_mut().expect("there is a call as long as there is a leader");
        let Poll::Ready(output) = leader.lead(|| call.poll(cx)) else {
            *this.leader = Some(leader);
            return Poll::Pending;
        };
        this.call.set(None);
        Poll::Ready(finish::<_, _, _, E>(leader, output, this.name.clone()))
    }
}

/// Finishes a load and returns its caller's output.
fn finish<O, K, V, E>(leader: Leader<K, V>, output: O, name: Name) -> O
where
    O: Cacheable<V>,
    K: Key,
    V: Value,
    E: Failures<O, V>,
{
    let fallback = match output.kept() {
        Some(value) => {
            leader.land(value);
            None
        }
        None => leader.fail(|| E::share(&output, name)),
    };
    let is_stale = matches!(fallback, Some((_, true)));
    let output = fallback.map_or(output, |(value, _)| O::from_kept(value));
    leave(if is_stale { MemoOutcome::Stale } else { MemoOutcome::Miss });
    output
}

/// Begins a load for a caller that has its answer already, and catches its panics. The function may
/// panic before it returns a future, and tokio panics if there is no runtime.
///
/// The panic hook hears of it, and the load counts as abandoned.
pub(super) fn in_background(begin: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(begin)));
}

impl<F, K: Eq + Hash, V, E> fmt::Debug for Load<F, K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("ended", &self.leader.is_none()).finish_non_exhaustive()
    }
}

/// The load of a blocking call. It appears in bounds, and is never made by hand.
pub struct BlockingLoad<C, Args, K: Eq + Hash, V, E> {
    leader: Leader<K, V>,
    callable: C,
    args: Args,
    failures: PhantomData<fn() -> E>,
}

impl<C, Args, K: Eq + Hash, V, E> BlockingLoad<C, Args, K, V, E> {
    pub(super) fn new(leader: Leader<K, V>, callable: C, args: Args) -> Self {
        Self { leader, callable, args, failures: PhantomData }
    }
}

impl<C, Args, K, V, E> BlockingLoad<C, Args, K, V, E>
where
    C: blocking::CallableOnce<Args>,
    C::Output: Cacheable<V>,
    K: Key,
    V: Value,
    E: Failures<C::Output, V>,
{
    fn run(self) -> C::Output {
        let Self { leader, callable, args, .. } = self;
        let name = callable.name();
        // If the call panics, its leader goes right here, while the stack unwinds.
        let output = leader.lead(|| callable.call_once(args));
        finish::<_, _, _, E>(leader, output, name)
    }
}

impl<C, Args, K: Eq + Hash, V, E> fmt::Debug for BlockingLoad<C, Args, K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockingLoad")
    }
}

/// Where loads run: [`Inline`] or [`Detached`].
pub trait LoadMode: Word {
    /// Whether a load goes on by itself, so that a call that refreshes a value need not wait for
    /// it.
    #[doc(hidden)]
    const IN_BACKGROUND: bool;
}

impl Word for Inline {
    const WORD: &'static str = "";
}

impl LoadMode for Inline {
    const IN_BACKGROUND: bool = false;
}

impl Word for Detached {
    const WORD: &'static str = ".detached()";
}

impl LoadMode for Detached {
    const IN_BACKGROUND: bool = true;
}

/// Where a load of an async function runs: [`Inline`] or [`Detached`].
pub trait Running<L>: LoadMode {
    /// How the call that began it waits for it.
    type Future;

    #[doc(hidden)]
    fn begin(load: L) -> Self::Future;
}

/// In the call that began it.
#[derive(Debug, Clone, Copy)]
pub struct Inline;

/// In a task of its own: [`.detached()`](crate::Memoized::detached).
#[derive(Debug, Clone, Copy)]
pub struct Detached;

impl<L> Running<L> for Inline {
    type Future = L;

    fn begin(load: L) -> L {
        load
    }
}

impl<L> Running<L> for Detached
where
    L: Future<Output: Send + 'static> + Send + 'static,
{
    type Future = DetachedLoad<L::Output>;

    fn begin(load: L) -> DetachedLoad<L::Output> {
        DetachedLoad(tokio::spawn(load.map(Away::ended).in_current_span().with_current_subscriber()))
    }
}

/// Waits for a load that runs in a task of its own: see
/// [`Memoized::detached`](crate::Memoized::detached).
///
/// # Cancel safety
///
/// Dropping it leaves the task alone.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct DetachedLoad<O>(JoinHandle<Away<O>>);

impl<O> Future for DetachedLoad<O> {
    type Output = O;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O> {
        let joined = ready!(Pin::new(&mut self.0).poll(cx));
        let away = joined.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(error) => panic!("the runtime on which a memo's detached load ran was shut down: {error}"),
        });
        Poll::Ready(away.arrive())
    }
}

/// Where a load of a sync function runs: [`Inline`] or [`Detached`].
pub trait RunningBlocking<L, O>: LoadMode {
    #[doc(hidden)]
    fn run(load: L) -> O;

    /// Begins a load that no call waits for.
    #[doc(hidden)]
    fn start(load: L);
}

impl<C, Args, K, V, E> RunningBlocking<BlockingLoad<C, Args, K, V, E>, C::Output> for Inline
where
    C: blocking::CallableOnce<Args>,
    C::Output: Cacheable<V>,
    K: Key,
    V: Value,
    E: Failures<C::Output, V>,
{
    fn run(load: BlockingLoad<C, Args, K, V, E>) -> C::Output {
        load.run()
    }

    fn start(load: BlockingLoad<C, Args, K, V, E>) {
        drop(load.run());
    }
}

impl<C, Args, K, V, E> RunningBlocking<BlockingLoad<C, Args, K, V, E>, C::Output> for Detached
where
    C: blocking::CallableOnce<Args> + Send + 'static,
    C::Output: Cacheable<V> + Send + 'static,
    Args: Send + 'static,
    K: Key,
    V: Value,
    E: Failures<C::Output, V> + 'static,
{
    fn run(load: BlockingLoad<C, Args, K, V, E>) -> C::Output {
        thread::on_another_thread(move || Away::call(|| load.run())).arrive()
    }

    fn start(load: BlockingLoad<C, Args, K, V, E>) {
        thread::start_on_another_thread(move || drop(load.run()));
    }
}
