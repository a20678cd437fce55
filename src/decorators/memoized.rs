//! Remembering what was loaded: the wrapper, its options, and the future of a call.
//!
//! Whether a call is answered, waits or loads is decided in `memo/`; here it is carried out.

use crate::{
    Cacheable, KeyPart, Memo, MemoKey,
    args::Inspect,
    blocking,
    call::{Callable, CallableMut, CallableOnce, Describe},
    half::{Detachable, Returns},
    late::awaited_directly,
    memo::{Borrowed, Contact, Core, Joined, Landing, Leader, SharedFailure},
    name::Name,
    sync::Arc,
    time::Clock,
};
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

/// A function whose answers are remembered.
///
/// Made by [`.memoized(..)`](crate::FnExt::memoized) and [`.memoized_by(..)`](crate::FnExt::memoized_by); the methods here say what
/// becomes of errors, and where a load runs. Its type parameters write themselves; for a field there is [`BoxedFn`](crate::BoxedFn).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::prelude::*;
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> Result<String, String> { Ok(format!("user {id}")) }
///
/// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
/// let fetch = fetch.memoized(&users).sharing_errors().detached();
/// assert_eq!(format!("{fetch:?}"), "fetch.memoized(ttl 300s).sharing_errors().detached()");
/// assert_eq!(fetch.call(42).await.unwrap(), "user 42");
/// # }
/// ```
#[must_use = "a decorated function does nothing until it is called"]
pub struct Memoized<C, K, V, B = ByArgs, E = OwnErrors, R = Inline> {
    callable: C,
    memo: Memo<K, V>,
    by: B,
    options: PhantomData<fn() -> (E, R)>,
    words: Words,
    describe: Describe<C>,
}

/// What was said to make it, for `Debug`.
#[derive(Clone, Copy)]
struct Words {
    by_closure: bool,
    /// In the order in which they were said.
    options: [&'static str; 2],
}

impl Words {
    fn and(mut self, option: &'static str) -> Self {
        if let Some(free) = self.options.iter_mut().find(|said| said.is_empty() || **said == option) {
            *free = option;
        }
        self
    }
}

impl<C, K, V> Memoized<C, K, V> {
    pub(crate) fn by_args(callable: C, memo: &Memo<K, V>, describe: Describe<C>) -> Self {
        Self::new(callable, memo, ByArgs, false, describe)
    }
}

impl<C, K, V, P> Memoized<C, K, V, By<P>> {
    pub(crate) fn by_closure(callable: C, memo: &Memo<K, V>, key: P, describe: Describe<C>) -> Self {
        Self::new(callable, memo, By(key), true, describe)
    }
}

impl<C, K, V, B, E, R> Memoized<C, K, V, B, E, R> {
    fn new(callable: C, memo: &Memo<K, V>, by: B, by_closure: bool, describe: Describe<C>) -> Self {
        let words = Words { by_closure, options: [""; 2] };
        Self { callable, memo: memo.clone(), by, options: PhantomData, words, describe }
    }

    fn with<E2, R2>(self, words: Words) -> Memoized<C, K, V, B, E2, R2> {
        let Self { callable, memo, by, describe, .. } = self;
        Memoized { callable, memo, by, options: PhantomData, words, describe }
    }

    /// Hands the error of a load that failed to all who waited for it. Without it, each of them tries for itself, one after the
    /// other.
    ///
    /// The errors are cloned, and not kept: the next call loads anew. An error that is not `Clone` (`anyhow::Error`, for one) becomes so by
    /// `.map_err(Arc::new)` before the memo. A call that waits for another function's load gets its error
    /// if both share errors of one type, and else tries for itself. For `Result`s, and for `Option`s, whose `None` is shared.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use futures::future::join_all;
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<String, String> {
    ///     tokio::time::sleep(Duration::from_secs(1)).await;
    ///     Err("refused".into())
    /// }
    ///
    /// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    /// let fetch = fetch.memoized(&users).sharing_errors();
    /// let answers = join_all((0..100).map(|_| fetch.call(42))).await;
    /// assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err() == "refused"));
    /// assert_eq!(users.stats().loads, 1);
    /// # }
    /// ```
    pub fn sharing_errors<Args, Half>(self) -> Memoized<C, K, V, B, SharedErrors, R>
    where
        C: Returns<Args, Half>,
        SharedErrors: Failures<C::Output>,
    {
        let words = self.words.and(".sharing_errors()");
        self.with(words)
    }

    /// Runs each load in a task of its own, so that it goes on when those who wait for it leave: callers that are less patient than
    /// a load takes time fill the memo all the same.
    ///
    /// A refresh of a value that may still be served goes on in the background, and no call waits for
    /// it. The task keeps the caller's span and subscriber. A panic in it is the panic of the call that
    /// waits for it, if that one is still there. A refresh that panics leaves the value as it is, and
    /// counts as abandoned.
    ///
    /// The call's future must be `Send + 'static`, and so its arguments owned: a `String` or an `Arc<str>` in place of a `&str`; a client
    /// comes along by [`with_context`](crate::with_context).
    ///
    /// # Panics
    ///
    /// If a load that the call has to wait for begins outside of a tokio runtime, and if the runtime of
    /// the load is shut down while a call on another one waits for it. Neither holds for sync
    /// functions, whose loads run on threads, and wait for one if need be, as a
    /// [timeout](crate::blocking::FnExt::timeout)'s do.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<String, decor::Error> {
    ///     tokio::time::sleep(Duration::from_secs(5)).await;
    ///     Ok(format!("user {id}"))
    /// }
    ///
    /// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    /// let fetch = fetch.memoized(&users).detached().timeout(Duration::from_secs(2));
    /// assert!(fetch.call(42).await.is_err()); // left after 2 s
    /// tokio::time::sleep(Duration::from_secs(3)).await;
    /// assert_eq!(fetch.call(42).await.unwrap(), "user 42"); // loaded after 5
    /// assert_eq!(users.stats().loads, 1);
    /// # }
    /// ```
    pub fn detached<Args, Half>(self) -> Memoized<C, K, V, B, E, Detached>
    where
        C: Detachable<Args, Half>, // `Send + 'static`, so its arguments are owned: `String` or `Arc<str>` in place of `&str`
    {
        let words = self.words.and(".detached()");
        self.with(words)
    }
}

impl<C, K, V, B, E, R, Args> CallableOnce<Args> for Memoized<C, K, V, B, E, R>
where
    C: CallableOnce<Args>,
    C::Output: Cacheable<V>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    B: KeyOf<Args, K>,
    E: Failures<C::Output>,
    R: Running<Load<C::Future, K, V, E>, Future: Future<Output = C::Output>>,
{
    type Output = C::Output;
    type Future = MemoizedFuture<C, Args, K, V, B, E, R>;

    fn call_once(self, args: Args) -> Self::Future {
        MemoizedFuture::new(self.memo, self.callable, args, self.by)
    }

    fn label(&self) -> Name {
        self.callable.label()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<C, K, V, B, E, R, Args> CallableMut<Args> for Memoized<C, K, V, B, E, R>
where
    Self: CallableOnce<Args> + Clone,
{
    fn call_mut(&mut self, args: Args) -> Self::Future {
        self.clone().call_once(args)
    }
}

#[diagnostic::do_not_recommend] // or rustc speaks of a captured variable that is not `Clone`
impl<C, K, V, B, E, R, Args> Callable<Args> for Memoized<C, K, V, B, E, R>
where
    Self: CallableOnce<Args> + Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        self.clone().call_once(args)
    }
}

awaited_directly!(Memoized<C, K, V, B, E, R>, C, K, V, B, E, R);

impl<C: Clone, K, V, B: Clone, E, R> Clone for Memoized<C, K, V, B, E, R> {
    fn clone(&self) -> Self {
        let Self { callable, memo, by, words, describe, .. } = self;
        Self {
            callable: callable.clone(),
            memo: memo.clone(),
            by: by.clone(),
            options: PhantomData,
            words: *words,
            describe: *describe,
        }
    }
}

impl<C, K, V, B, E, R> fmt::Debug for Memoized<C, K, V, B, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Words { by_closure, options } = self.words;
        let limits = self.memo.limits();
        self.describe.write(&self.callable, f)?;
        if by_closure {
            write!(f, ".memoized_by({limits}, ..)")?;
        } else {
            write!(f, ".memoized({limits})")?;
        }
        options.iter().try_for_each(|said| f.write_str(said))
    }
}

/// The future of a [`.memoized(..)`](crate::FnExt::memoized) call. The memo is first asked, and the function called, when it is polled.
///
/// # Cancel safety
///
/// Dropped while it waits, it leaves those who wait. Dropped while it loads, it drops the load, and one who waits takes over; but a
/// [detached](Self::detached) load goes on.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::prelude::*;
///
/// async fn square(n: u64) -> u64 { n * n }
///
/// let squares = Memo::builder().build();
/// let call = square.memoized(&squares).call(7);
/// assert_eq!(format!("{call:?}"), "MemoizedFuture { memo: Memo(no ttl), state: Start, .. }");
/// assert_eq!(squares.stats().calls(), 0);
/// assert_eq!(call.await, 49);
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct MemoizedFuture<C, Args, K, V, B = ByArgs, E = OwnErrors, R = Inline>
where
    C: CallableOnce<Args>,
    K: Eq + Hash,
    R: Running<Load<C::Future, K, V, E>>,
{
    memo: Memo<K, V>,
    #[pin]
    state: State<C, Args, K, V, B, R::Future>,
}

#[pin_project(project = Now, project_replace = Before)]
enum State<C, Args, K, V, B, L> {
    Start {
        callable: C,
        args: Args,
        by: B,
    },
    /// The arguments are kept: it may have to load after all.
    Joined {
        callable: C,
        args: Args,
        key: K,
        joined: Joined<V>,
    },
    Loading(#[pin] L),
    Ended,
}

impl<C, Args, K, V, B, E, R> MemoizedFuture<C, Args, K, V, B, E, R>
where
    C: CallableOnce<Args>,
    K: Eq + Hash,
    R: Running<Load<C::Future, K, V, E>>,
{
    pub(crate) fn new(memo: Memo<K, V>, callable: C, args: Args, by: B) -> Self {
        Self { memo, state: State::Start { callable, args, by } }
    }

    fn with<E2, R2>(self) -> MemoizedFuture<C, Args, K, V, B, E2, R2>
    where
        R2: Running<Load<C::Future, K, V, E2>>,
    {
        let State::Start { callable, args, by } = self.state else {
            panic!("the options of a memoized call are set before it is polled");
        };
        MemoizedFuture::new(self.memo, callable, args, by)
    }

    /// Hands the error of a load that failed to all who waited for it; see [`Memoized::sharing_errors`].
    ///
    /// # Panics
    ///
    /// If it has been polled.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::Memo;
    /// use std::{future::ready, time::Duration};
    ///
    /// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    /// let refused = users.get_or_load(42, || ready(Err("refused"))).sharing_errors().await;
    /// assert_eq!(refused, Err("refused"));
    /// # }
    /// ```
    pub fn sharing_errors(self) -> MemoizedFuture<C, Args, K, V, B, SharedErrors, R>
    where
        SharedErrors: Failures<C::Output>,
        R: Running<Load<C::Future, K, V, SharedErrors>>,
    {
        self.with()
    }

    /// Runs the load in a task of its own, so that it goes on when those who wait for it leave; see [`Memoized::detached`].
    ///
    /// # Panics
    ///
    /// If it has been polled.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::Memo;
    /// use std::{future::ready, time::Duration};
    ///
    /// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    /// assert_eq!(users.get_or_load(42, || ready("Ada".to_owned())).detached().await, "Ada");
    /// # }
    /// ```
    pub fn detached(self) -> MemoizedFuture<C, Args, K, V, B, E, Detached>
    where
        Detached: Running<Load<C::Future, K, V, E>>,
    {
        self.with()
    }
}

impl<C, Args, K, V, B, E, R> Future for MemoizedFuture<C, Args, K, V, B, E, R>
where
    C: CallableOnce<Args>,
    C::Output: Cacheable<V>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    B: KeyOf<Args, K>,
    E: Failures<C::Output>,
    R: Running<Load<C::Future, K, V, E>, Future: Future<Output = C::Output>>,
{
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let mut this = self.project();
        let core = this.memo.core();
        loop {
            let found = match this.state.as_mut().project() {
                Now::Start { args, by, .. } => {
                    by.look_up(Clock::Task, args, this.memo).map(C::Output::from_kept).map_err(Some)
                }
                Now::Joined { joined, .. } => {
                    let landing = ready!(joined.poll(cx));
                    answer::<C::Output, K, V, E>(core, &landing).ok_or(None)
                }
                Now::Loading(load) => Ok(ready!(load.poll(cx))),
                Now::Ended => panic!("`MemoizedFuture` polled after it completed"),
            };
            let key = match found {
                Ok(output) => {
                    this.state.set(State::Ended);
                    return Poll::Ready(output);
                }
                Err(key) => key,
            };
            let (callable, args, contact) = match (this.state.as_mut().project_replace(State::Ended), key) {
                (Before::Start { callable, args, .. }, Some(key)) => {
                    (callable, args, core.contact(Clock::Task, key, R::IN_BACKGROUND))
                }
                (Before::Joined { callable, args, key, .. }, None) => {
                    (callable, args, core.contact_again(Clock::Task, key, R::IN_BACKGROUND))
                }
                _ => unreachable!("returned above"),
            };
            match contact {
                Contact::Hit(value) => return Poll::Ready(C::Output::from_kept(value)),
                Contact::Join(key, joined) => this.state.set(State::Joined { callable, args, key, joined }),
                Contact::Lead(leader) => {
                    let load = Load::new(leader, || callable.call_once(args));
                    this.state.set(State::Loading(R::begin(load)));
                }
                Contact::Refresh(value, leader) => {
                    in_background(|| drop(R::begin(Load::new(leader, || callable.call_once(args)))));
                    return Poll::Ready(C::Output::from_kept(value));
                }
            }
        }
    }
}

/// Begins a load for a caller that has its answer already, so that a panic is not the caller's: the
/// function may panic before there is a future, and there may be no runtime to spawn a task on.
///
/// The panic hook hears of it, and the load counts as abandoned.
fn in_background(begin: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(begin)));
}

/// The output of a call that waited for a load; `None` if it must try again itself.
fn answer<O, K, V, E>(memo: &Core<K, V>, landing: &Landing<V>) -> Option<O>
where
    K: Eq + Hash,
    V: Clone,
    O: Cacheable<V>,
    E: Failures<O>,
{
    match landing {
        Landing::Loaded(value) => Some(O::from_kept(value.clone())),
        Landing::Stale(value) => {
            memo.count_stale_on_error();
            Some(O::from_kept(value.clone()))
        }
        Landing::Failed(failure) => failure.as_ref().and_then(E::shared),
        Landing::Abandoned => None,
    }
}

impl<C, Args, K, V, B, E, R> fmt::Debug for MemoizedFuture<C, Args, K, V, B, E, R>
where
    C: CallableOnce<Args>,
    K: Eq + Hash,
    R: Running<Load<C::Future, K, V, E>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Start { .. } => "Start",
            State::Joined { .. } => "Joined",
            State::Loading(_) => "Loading",
            State::Ended => "Ended",
        };
        f.debug_struct("MemoizedFuture")
            .field("memo", &self.memo)
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}

/// The load of a memoized call: the call itself, and then its value into the memo.
///
/// It appears in the bounds of a [`MemoizedFuture`], and nobody needs to make one.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Load<F, K: Eq + Hash, V, E> {
    /// Before the leader, and so dropped before it: while there is anything left of it, nobody else begins.
    #[pin]
    call: Option<F>,
    /// Gone if the call has panicked.
    leader: Option<Leader<K, V>>,
    failures: PhantomData<fn() -> E>,
}

impl<F, K: Eq + Hash, V, E> Load<F, K, V, E> {
    fn new(leader: Leader<K, V>, call: impl FnOnce() -> F) -> Self {
        let call = Some(leader.lead(call));
        Self { call, leader: Some(leader), failures: PhantomData }
    }
}

impl<F, K, V, E> Future for Load<F, K, V, E>
where
    F: Future<Output: Cacheable<V>>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Failures<F::Output>,
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
        Poll::Ready(ended::<_, _, _, E>(leader, output))
    }
}

/// A load has come to this: what its caller gets.
fn ended<O, K, V, E>(leader: Leader<K, V>, output: O) -> O
where
    O: Cacheable<V>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Failures<O>,
{
    let stand_in = match output.kept() {
        Some(value) => {
            leader.land(value);
            None
        }
        None => leader.fail(|| E::share(&output)),
    };
    stand_in.map_or(output, O::from_kept)
}

impl<F, K: Eq + Hash, V, E> fmt::Debug for Load<F, K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("ended", &self.leader.is_none()).finish_non_exhaustive()
    }
}

/// Where a memoized call's key comes from.
///
/// Implemented by [`ByArgs`], [`By`] and [`Given`].
pub trait KeyOf<Args, K> {
    /// The value of the key, if it is there to be served; or else the key. What can be looked up as it is, is.
    #[doc(hidden)]
    fn look_up<V>(&self, clock: Clock, args: &Args, memo: &Memo<K, V>) -> Result<V, K>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static;
}

/// The arguments are the key: [`.memoized(..)`](crate::FnExt::memoized).
///
/// ```
/// use decor::{Memoized, layer::ByArgs, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn square(n: u64) -> Ready<u64> { ready(n * n) }
///
/// let squares = Memo::builder().build();
/// let square: Memoized<fn(u64) -> Ready<u64>, u64, u64, ByArgs> = (square as fn(u64) -> _).memoized(&squares);
/// # drop(square);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ByArgs;

/// A closure makes the key: [`.memoized_by(..)`](crate::FnExt::memoized_by).
///
/// ```
/// use decor::{Memoized, layer::By, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn square(n: u64) -> Ready<u64> { ready(n * n) }
///
/// let squares = Memo::builder().build();
/// let square: Memoized<fn(u64) -> Ready<u64>, u64, u64, By<fn(&u64) -> u64>> =
///     (square as fn(u64) -> _).memoized_by(&squares, |n: &u64| *n);
/// # drop(square);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct By<P>(P);

/// The key is given: [`Memo::get_or_load`] and [`.memoized_by(..)`](crate::FutureExt::memoized_by) on a future.
///
/// ```
/// use decor::{Memo, future::MemoizedFuture, layer::Given};
/// use std::future::{Ready, ready};
///
/// let squares = Memo::builder().build();
/// let load: fn() -> Ready<u64> = || ready(49);
/// let call: MemoizedFuture<fn() -> Ready<u64>, (), u64, u64, Given<u64>> = squares.get_or_load(7, load);
/// # drop(call);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Given<Q>((Q,));

impl<Q> Given<Q> {
    pub(crate) fn new(key: Q) -> Self {
        Self((key,))
    }
}

impl<Args: MemoKey<K>, K> KeyOf<Args, K> for ByArgs {
    fn look_up<V>(&self, clock: Clock, args: &Args, memo: &Memo<K, V>) -> Result<V, K>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let key = Borrowed::new(args);
        memo.core().look_up(clock, &key).ok_or_else(|| key.to_key())
    }
}

impl<P: Inspect<Args, Output = K>, Args, K> KeyOf<Args, K> for By<P> {
    fn look_up<V>(&self, clock: Clock, args: &Args, memo: &Memo<K, V>) -> Result<V, K>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let key = self.0.inspect(args);
        memo.core().look_up(clock, &key).ok_or(key)
    }
}

impl<Q: KeyPart<K>, Args, K> KeyOf<Args, K> for Given<Q> {
    fn look_up<V>(&self, clock: Clock, _: &Args, memo: &Memo<K, V>) -> Result<V, K>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        ByArgs.look_up(clock, &self.0, memo)
    }
}

/// What those get who waited for a load that failed.
///
/// Implemented by [`OwnErrors`] and [`SharedErrors`].
#[diagnostic::on_unimplemented(
    message = "the failures of `{O}` cannot be shared among those who waited for the same load",
    note = "a `Result`'s error must be `Clone + Send + Sync + 'static`; where it is not `Clone`, put it into an `Arc` first: `.map_err(Arc::new).memoized(&memo)`",
    note = "an `Option` can share its `None`; other outputs have no failures"
)]
pub trait Failures<O> {
    #[doc(hidden)]
    fn share(output: &O) -> Option<SharedFailure>;

    #[doc(hidden)]
    fn shared(failure: &SharedFailure) -> Option<O>;
}

/// Nothing: each of them tries for itself, one after the other.
///
/// ```
/// use decor::{Memoized, layer::{ByArgs, OwnErrors}, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn square(n: u64) -> Ready<u64> { ready(n * n) }
///
/// let squares = Memo::builder().build();
/// let square: Memoized<_, u64, u64, ByArgs, OwnErrors> = square.memoized(&squares);
/// # drop(square);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OwnErrors;

/// The same failure: [`.sharing_errors()`](Memoized::sharing_errors).
///
/// ```
/// use decor::{Memoized, layer::{ByArgs, SharedErrors}, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn half(n: u64) -> Ready<Option<u64>> { ready((n % 2 == 0).then_some(n / 2)) }
///
/// let halves: Memo<u64, u64> = Memo::builder().build();
/// let half: Memoized<_, u64, u64, ByArgs, SharedErrors> = half.memoized(&halves).sharing_errors();
/// # drop(half);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SharedErrors;

#[diagnostic::do_not_recommend]
impl<O> Failures<O> for OwnErrors {
    fn share(_: &O) -> Option<SharedFailure> {
        None
    }

    fn shared(_: &SharedFailure) -> Option<O> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<T, E: Clone + Send + Sync + 'static> Failures<Result<T, E>> for SharedErrors {
    fn share(output: &Result<T, E>) -> Option<SharedFailure> {
        Some(Arc::new(output.as_ref().err()?.clone()))
    }

    fn shared(failure: &SharedFailure) -> Option<Result<T, E>> {
        failure.downcast_ref().cloned().map(Err)
    }
}

/// That there is none.
struct Nothing;

#[diagnostic::do_not_recommend]
impl<T> Failures<Option<T>> for SharedErrors {
    fn share(output: &Option<T>) -> Option<SharedFailure> {
        output.is_none().then(|| Arc::new(Nothing) as SharedFailure)
    }

    fn shared(failure: &SharedFailure) -> Option<Option<T>> {
        failure.is::<Nothing>().then_some(None)
    }
}

/// Where a load runs.
///
/// Implemented by [`Inline`] and [`Detached`].
pub trait Running<L> {
    /// Whether a load goes on by itself, so that a call which refreshes a value need not wait for it.
    #[doc(hidden)]
    const IN_BACKGROUND: bool;

    /// How the call that began it waits for it.
    type Future;

    #[doc(hidden)]
    fn begin(load: L) -> Self::Future;
}

/// In the call that began it.
///
/// ```
/// use decor::{Memoized, layer::{ByArgs, Inline, OwnErrors}, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn square(n: u64) -> Ready<u64> { ready(n * n) }
///
/// let squares = Memo::builder().build();
/// let square: Memoized<_, u64, u64, ByArgs, OwnErrors, Inline> = square.memoized(&squares);
/// # drop(square);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Inline;

/// In a task of its own: [`.detached()`](Memoized::detached).
///
/// ```
/// use decor::{Memoized, layer::{ByArgs, Detached, OwnErrors}, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn square(n: u64) -> Ready<u64> { ready(n * n) }
///
/// let squares = Memo::builder().build();
/// let square: Memoized<_, u64, u64, ByArgs, OwnErrors, Detached> = square.memoized(&squares).detached();
/// # drop(square);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Detached;

impl<L> Running<L> for Inline {
    const IN_BACKGROUND: bool = false;
    type Future = L;

    fn begin(load: L) -> L {
        load
    }
}

impl<L> Running<L> for Detached
where
    L: Future<Output: Send + 'static> + Send + 'static,
{
    const IN_BACKGROUND: bool = true;
    type Future = DetachedLoad<L::Output>;

    fn begin(load: L) -> DetachedLoad<L::Output> {
        DetachedLoad(tokio::spawn(load.in_current_span().with_current_subscriber()))
    }
}

/// Waits for a load that runs in a task of its own: see [`Memoized::detached`].
///
/// # Cancel safety
///
/// Dropping it leaves the task alone.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct DetachedLoad<O>(JoinHandle<O>);

impl<O> Future for DetachedLoad<O> {
    type Output = O;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O> {
        let joined = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(joined.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(error) => panic!("the runtime on which a memo's detached load ran was shut down: {error}"),
        }))
    }
}

/// A future in the place of a function: it has been called already.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{future::MemoizedFuture, layer::{Called, Given}, prelude::*};
/// use std::future::{Ready, ready};
///
/// let squares = Memo::builder().build();
/// let call: MemoizedFuture<Called<Ready<u64>>, (), u64, u64, Given<u64>> = ready(49).memoized_by(&squares, 7);
/// assert_eq!(call.await, 49);
/// # }
/// ```
#[derive(Debug)]
pub struct Called<F>(pub(crate) F);

impl<F: Future> CallableOnce<()> for Called<F> {
    type Output = F::Output;
    type Future = F;

    fn call_once(self, (): ()) -> F {
        self.0
    }
}

// ---- the blocking half ----

impl<C, K, V, B, E, R, Args> blocking::CallableOnce<Args> for Memoized<C, K, V, B, E, R>
where
    C: blocking::CallableOnce<Args>,
    C::Output: Cacheable<V>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    B: KeyOf<Args, K>,
    E: Failures<C::Output>,
    R: RunningBlocking<BlockingLoad<C, Args, K, V, E>, C::Output>,
{
    type Output = C::Output;

    fn call_once(self, args: Args) -> C::Output {
        call_blocking::<C, Args, K, V, E, R>(&self.memo, &self.by, args, || self.callable)
    }

    fn label(&self) -> Name {
        self.callable.label()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<C, K, V, B, E, R, Args> blocking::CallableMut<Args> for Memoized<C, K, V, B, E, R>
where
    Self: blocking::Callable<Args>,
{
    fn call_mut(&mut self, args: Args) -> Self::Output {
        blocking::Callable::call_with(self, args)
    }
}

impl<C, K, V, B, E, R, Args> blocking::Callable<Args> for Memoized<C, K, V, B, E, R>
where
    C: blocking::CallableOnce<Args> + Clone,
    C::Output: Cacheable<V>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    B: KeyOf<Args, K>,
    E: Failures<C::Output>,
    R: RunningBlocking<BlockingLoad<C, Args, K, V, E>, C::Output>,
{
    #[inline]
    fn call_with(&self, args: Args) -> C::Output {
        call_blocking::<C, Args, K, V, E, R>(&self.memo, &self.by, args, || self.callable.clone())
    }
}

/// Where a blocking load runs.
///
/// Implemented by [`Inline`] and [`Detached`].
pub trait RunningBlocking<L, O> {
    #[doc(hidden)]
    const IN_BACKGROUND: bool;

    #[doc(hidden)]
    fn run(load: L) -> O;

    /// Nobody waits for it.
    #[doc(hidden)]
    fn start(load: L);
}

/// The load of a blocking call. It appears in bounds, and nobody needs to make one.
pub struct BlockingLoad<C, Args, K: Eq + Hash, V, E> {
    leader: Leader<K, V>,
    callable: C,
    args: Args,
    failures: PhantomData<fn() -> E>,
}

impl<C, Args, K, V, E> BlockingLoad<C, Args, K, V, E>
where
    C: blocking::CallableOnce<Args>,
    C::Output: Cacheable<V>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Failures<C::Output>,
{
    fn run(self) -> C::Output {
        let Self { leader, callable, args, .. } = self;
        // If the call panics, its leader goes right here, while the stack unwinds.
        let output = leader.lead(|| callable.call_once(args));
        ended::<_, _, _, E>(leader, output)
    }
}

impl<C, Args, K: Eq + Hash, V, E> fmt::Debug for BlockingLoad<C, Args, K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockingLoad")
    }
}

impl<C, Args, K, V, E> RunningBlocking<BlockingLoad<C, Args, K, V, E>, C::Output> for Inline
where
    C: blocking::CallableOnce<Args>,
    C::Output: Cacheable<V>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Failures<C::Output>,
{
    const IN_BACKGROUND: bool = false;

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
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Failures<C::Output> + 'static,
{
    const IN_BACKGROUND: bool = true;

    fn run(load: BlockingLoad<C, Args, K, V, E>) -> C::Output {
        blocking::on_another_thread(move || load.run())
    }

    fn start(load: BlockingLoad<C, Args, K, V, E>) {
        blocking::start_on_another_thread(move || drop(load.run()));
    }
}

fn call_blocking<C, Args, K, V, E, R>(
    memo: &Memo<K, V>,
    by: &impl KeyOf<Args, K>,
    args: Args,
    callable: impl FnOnce() -> C,
) -> C::Output
where
    C: blocking::CallableOnce<Args>,
    C::Output: Cacheable<V>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Failures<C::Output>,
    R: RunningBlocking<BlockingLoad<C, Args, K, V, E>, C::Output>,
{
    let core = memo.core();
    let mut contact = match by.look_up(Clock::Thread, &args, memo) {
        Ok(value) => return C::Output::from_kept(value),
        Err(key) => core.contact(Clock::Thread, key, R::IN_BACKGROUND),
    };
    let load = |leader| BlockingLoad { leader, callable: callable(), args, failures: PhantomData };
    loop {
        match contact {
            Contact::Hit(value) => return C::Output::from_kept(value),
            Contact::Lead(leader) => {
                blocking::unwind_if_cancelled();
                return R::run(load(leader));
            }
            Contact::Refresh(value, leader) => {
                in_background(|| R::start(load(leader)));
                return C::Output::from_kept(value);
            }
            Contact::Join(key, mut joined) => {
                let landing = blocking::block_until(|waker| match joined.poll(&mut Context::from_waker(waker)) {
                    Poll::Ready(landing) => blocking::Progress::Ready(landing),
                    Poll::Pending => blocking::Progress::wake_me(None),
                });
                if let Some(output) = answer::<C::Output, K, V, E>(core, &landing) {
                    return output;
                }
                contact = core.contact_again(Clock::Thread, key, R::IN_BACKGROUND);
            }
        }
    }
}
