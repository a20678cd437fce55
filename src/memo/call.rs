//! A memoized call, which is answered by the memo, waits for the load of another call, or loads.
//!
//! [`contact`](super::contact) decides between the three. This module carries the decision out, for
//! tasks and for threads.

use super::{
    Asked, Asking, BlockingLoad, Cacheable, Contact, Core, Detached, DetachedLoad, ErrorSharing, FixedKey,
    IsolatedErrors, Joined, Key, KeySource, Leader, Load, LoadMode, LoadOutcome, Memo, Options, ReportedErrors,
    Running, RunningBlocking, SharedErrors, Value, load::in_background,
};
use crate::{
    call::{CallableOnce, blocking},
    clock::Clock,
    deadline,
    layer::{MemoOutcome, memo_outcome},
    thread,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    hash::Hash,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The future of a [`.memoized(..)`](crate::FnExt::memoized) call. Looks up the memo, and calls the
/// function if necessary, when it is polled.
///
/// # Cancel safety
///
/// If dropped while waiting, the call leaves the load that it joined. If dropped while loading, the
/// load is dropped, and one waiter starts a new one. A [detached](Self::detached) load goes on.
///
/// # Examples
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
pub struct MemoizedFuture<C, Args, L, K, V, O = Options>
where
    K: Eq + Hash,
{
    memo: Memo<K, V>,
    #[pin]
    state: State<C, Args, L, K, V, O>,
}

/// A [`MemoizedFuture`] with a given key, from [`Memo::get_or_load`] or from `.memoized_by(..)` on
/// a future.
pub(crate) type GetOrLoad<C, F, K, V, Q> =
    MemoizedFuture<C, (), Load<F, K, V, ReportedErrors>, K, V, Options<FixedKey<Q>>>;

#[pin_project(project = StateProj, project_replace = StateReplaced)]
enum State<C, Args, L, K: Eq + Hash, V, O> {
    Start {
        begin: Begin<C, Args, L, K, V>,
        callable: C,
        args: Args,
        options: O,
    },
    /// Keeps the arguments, because the call loads by itself if the load that it joined fails.
    Joined {
        begin: Begin<C, Args, L, K, V>,
        callable: C,
        args: Args,
        key: K,
        joined: Joined<V>,
    },
    /// Asks the memo's tier, before the call loads.
    Asking(BoxedAsking<C, Args, L, K, V>),
    Loading(#[pin] L),
    Ended,
}

/// Calls the function and begins the load. A function pointer, because inside a spawned task rustc
/// rejects a projection of `C` for arguments such as `&'static str`, and a bound on `C` for
/// closures that borrow.
type Begin<C, Args, L, K, V> = fn(Leader<K, V>, C, Args) -> L;

/// The parts of a call that waits for the beginning of its load.
type Parts<C, Args, L, K, V> = (Begin<C, Args, L, K, V>, C, Args);

type BoxedAsking<C, Args, L, K, V> = Box<(Parts<C, Args, L, K, V>, Asking<K, V>)>;

fn begin<C, Args, K, V, E, R>(leader: Leader<K, V>, callable: C, args: Args) -> R::Future
where
    C: CallableOnce<Args>,
    K: Eq + Hash,
    R: Running<Load<C::Future, K, V, E>>,
{
    let load = || Load::new(leader, callable, args);
    // A load that goes on without its caller has no deadline of the caller's, not even where the
    // function makes its future.
    R::begin(if R::IN_BACKGROUND { deadline::Scope::NONE.run(load) } else { load() })
}

impl<C, Args, L, K, V, B, E, R> MemoizedFuture<C, Args, L, K, V, Options<B, E, R>>
where
    C: CallableOnce<Args>,
    K: Eq + Hash,
{
    pub(crate) fn new(memo: Memo<K, V>, callable: C, args: Args, options: Options<B, E, R>) -> Self
    where
        R: Running<Load<C::Future, K, V, E>, Future = L>,
    {
        let begin = begin::<C, Args, K, V, E, R>;
        Self { memo, state: State::Start { begin, callable, args, options } }
    }

    fn with<E2, R2>(self) -> MemoizedFuture<C, Args, R2::Future, K, V, Options<B, E2, R2>>
    where
        R2: Running<Load<C::Future, K, V, E2>>,
    {
        let State::Start { callable, args, options, .. } = self.state else {
            panic!("the options of a memoized call must be set before the call is polled");
        };
        MemoizedFuture::new(self.memo, callable, args, options.with())
    }

    /// Gives the error of a failed load to all calls that waited for that load; see
    /// [`Memoized::sharing_errors`](crate::Memoized::sharing_errors).
    ///
    /// # Panics
    ///
    /// If the future has been polled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, Memo};
    /// use std::{future::ready, time::Duration};
    ///
    /// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    /// let refuse = || ready(Err(Error::QueueFull { waiting: 9 }));
    /// let refused = users.get_or_load(42, refuse).sharing_errors().await;
    /// assert_eq!(refused, Err(Error::QueueFull { waiting: 9 }));
    /// # }
    /// ```
    pub fn sharing_errors(self) -> MemoizedFuture<C, Args, R::Future, K, V, Options<B, SharedErrors, R>>
    where
        SharedErrors: ErrorSharing<C::Output, V>,
        R: Running<Load<C::Future, K, V, SharedErrors>>,
    {
        self.with()
    }

    /// Lets this call load by itself if the load that it joined fails; see
    /// [`Memoized::isolating_errors`](crate::Memoized::isolating_errors).
    ///
    /// # Panics
    ///
    /// If the future has been polled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    /// let load = |answer: Result<&'static str, String>| async {
    ///     tokio::time::sleep(Duration::from_secs(1)).await;
    ///     answer.map(str::to_owned)
    /// };
    /// let refused = users.get_or_load(42, || load(Err("refused".to_owned())));
    /// let loaded = users.get_or_load(42, || load(Ok("Ada"))).isolating_errors();
    /// let (refused, loaded) = tokio::join!(refused, loaded);
    /// assert_eq!((refused.unwrap_err().as_str(), loaded.unwrap().as_str()), ("refused", "Ada"));
    /// # }
    /// ```
    pub fn isolating_errors(self) -> MemoizedFuture<C, Args, R::Future, K, V, Options<B, IsolatedErrors, R>>
    where
        R: Running<Load<C::Future, K, V, IsolatedErrors>>,
    {
        self.with()
    }

    /// Runs the load in a task of its own, so that the load goes on when the calls that wait for it
    /// are dropped; see [`Memoized::detached`](crate::Memoized::detached).
    ///
    /// # Panics
    ///
    /// If the future has been polled.
    ///
    /// # Examples
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
    #[allow(clippy::type_complexity)] // an alias would have as many parameters
    pub fn detached(self) -> MemoizedFuture<C, Args, DetachedLoad<C::Output>, K, V, Options<B, E, Detached>>
    where
        Detached: Running<Load<C::Future, K, V, E>, Future = DetachedLoad<C::Output>>,
    {
        self.with()
    }
}

impl<C, Args, L, K, V, B, E, R> Future for MemoizedFuture<C, Args, L, K, V, Options<B, E, R>>
where
    K: Key,
    V: Value,
    B: KeySource<Args, K>,
    E: ErrorSharing<L::Output, V>,
    R: LoadMode,
    L: Future<Output: Cacheable<V>>,
{
    type Output = L::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<L::Output> {
        let mut this = self.project();
        let core = this.memo.core();
        loop {
            let found = match this.state.as_mut().project() {
                StateProj::Start { args, options, .. } => {
                    options.by.look_up(Clock::Task, args, this.memo).map(hit).map_err(Some)
                }
                StateProj::Joined { joined, .. } => {
                    let outcome = ready!(joined.poll(cx));
                    output_from::<L::Output, K, V, E>(core, &outcome).ok_or(None)
                }
                StateProj::Loading(load) => {
                    let Poll::Ready(output) = load.poll(cx) else {
                        // Removes the outcome of a memoized call within the function.
                        memo_outcome::leave(None);
                        return Poll::Pending;
                    };
                    Ok(output)
                }
                StateProj::Asking(_) => match ready!(this.state.as_mut().poll_asking(cx)) {
                    Some(output) => return Poll::Ready(output),
                    None => continue,
                },
                StateProj::Ended => panic!("`MemoizedFuture` polled after it completed"),
            };
            let key = match found {
                Ok(output) => {
                    this.state.set(State::Ended);
                    return Poll::Ready(output);
                }
                Err(key) => key,
            };
            let (begin, callable, args, contact) = match (this.state.as_mut().project_replace(State::Ended), key) {
                (StateReplaced::Start { begin, callable, args, .. }, Some(key)) => {
                    (begin, callable, args, core.contact(Clock::Task, key, R::IN_BACKGROUND))
                }
                (StateReplaced::Joined { begin, callable, args, key, .. }, None) => {
                    (begin, callable, args, core.contact_again(Clock::Task, key, R::IN_BACKGROUND))
                }
                _ => unreachable!("returned above"),
            };
            match contact {
                Contact::Hit(value, outcome) => return Poll::Ready(answer(value, outcome)),
                Contact::Join(key, joined) => this.state.set(State::Joined { begin, callable, args, key, joined }),
                Contact::Lead(leader) if leader.has_tier() => {
                    this.state.as_mut().ask(leader, (begin, callable, args));
                }
                Contact::Lead(leader) => this.state.set(State::Loading(begin(leader, callable, args))),
                Contact::Refresh(value, outcome, leader) => {
                    in_background(|| drop(begin(leader, callable, args)));
                    return Poll::Ready(answer(value, outcome));
                }
            }
        }
    }
}

/// The steps of a call that asks a tier. Out of line, so that a call of a memo without a tier does
/// not carry their code.
impl<C, Args, L, K: Key, V: Value, O> State<C, Args, L, K, V, O> {
    #[cold]
    #[inline(never)]
    fn ask(mut self: Pin<&mut Self>, leader: Leader<K, V>, parts: Parts<C, Args, L, K, V>) {
        self.set(match leader.ask() {
            Ok(asking) => State::Asking(Box::new((parts, asking))),
            Err(leader) => State::begun(leader, parts),
        });
    }

    /// Returns the output if the tier has a value. Otherwise the load has begun.
    #[cold]
    #[inline(never)]
    fn poll_asking<T: Cacheable<V>>(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let StateProj::Asking(asking) = self.as_mut().project() else { unreachable!("asks") };
        let found = ready!(asking.1.poll(cx));
        let StateReplaced::Asking(asking) = self.as_mut().project_replace(State::Ended) else {
            unreachable!("matched above");
        };
        let (parts, asking) = *asking;
        Poll::Ready(match asking.take(found) {
            Asked::Answered(value, outcome) => Some(answer(value, outcome)),
            Asked::Lead(leader) => {
                self.set(State::begun(leader, parts));
                None
            }
        })
    }

    fn begun(leader: Leader<K, V>, (begin, callable, args): Parts<C, Args, L, K, V>) -> Self {
        State::Loading(begin(leader, callable, args))
    }
}

/// Returns the output of a call that a value answers. Leaves the outcome for the call's watchers.
#[inline]
fn answer<O: Cacheable<V>, V>(value: V, outcome: MemoOutcome) -> O {
    memo_outcome::leave(outcome);
    O::from_kept(value)
}

#[inline]
fn hit<O: Cacheable<V>, V>(value: V) -> O {
    answer(value, MemoOutcome::Hit)
}

/// Returns the output of a call that waited for a load; `None` if the call must try again itself.
fn output_from<O: Cacheable<V>, K: Eq + Hash, V: Clone, E: ErrorSharing<O, V>>(
    memo: &Core<K, V>,
    outcome: &LoadOutcome<V>,
) -> Option<O> {
    match outcome {
        LoadOutcome::Loaded(value) => Some(answer(value.clone(), MemoOutcome::Coalesced)),
        LoadOutcome::Stale(value) => {
            memo.count_stale_on_error();
            Some(answer(value.clone(), MemoOutcome::Stale))
        }
        LoadOutcome::Failed(failure) => E::output(failure).inspect(|_| memo_outcome::leave(MemoOutcome::Coalesced)),
        LoadOutcome::Abandoned => None,
    }
}

/// Makes a memoized call on a thread. The counterpart of [`MemoizedFuture`].
#[track_caller]
pub(crate) fn call_blocking<C, Args, K, V, B, E, R>(
    memo: &Memo<K, V>,
    options: &Options<B, E, R>,
    args: Args,
    callable: impl FnOnce() -> C,
) -> C::Output
where
    C: blocking::CallableOnce<Args>,
    C::Output: Cacheable<V>,
    K: Key,
    V: Value,
    B: KeySource<Args, K>,
    E: ErrorSharing<C::Output, V>,
    R: RunningBlocking<BlockingLoad<C, Args, K, V, E>, C::Output>,
{
    let core = memo.core();
    let mut contact = match options.by.look_up(Clock::Thread, &args, memo) {
        Ok(value) => return hit(value),
        Err(key) => core.contact(Clock::Thread, key, R::IN_BACKGROUND),
    };
    let load = |leader| BlockingLoad::new(leader, callable(), args);
    loop {
        match contact {
            Contact::Hit(value, outcome) => return answer(value, outcome),
            Contact::Lead(leader) => {
                let leader = match leader {
                    leader if leader.has_tier() => match ask_blocking(leader) {
                        Asked::Answered(value, outcome) => return answer(value, outcome),
                        Asked::Lead(leader) => leader,
                    },
                    leader => leader,
                };
                thread::unwind_if_cancelled();
                return R::run(load(leader));
            }
            Contact::Refresh(value, outcome, leader) => {
                in_background(|| R::start(load(leader)));
                return answer(value, outcome);
            }
            Contact::Join(key, mut joined) => {
                let outcome = thread::block_until(|waker| match joined.poll(&mut Context::from_waker(waker)) {
                    Poll::Ready(outcome) => thread::Progress::Ready(outcome),
                    Poll::Pending => thread::Progress::wake_me(None),
                });
                if let Some(output) = output_from::<C::Output, K, V, E>(core, &outcome) {
                    return output;
                }
                contact = core.contact_again(Clock::Thread, key, R::IN_BACKGROUND);
            }
        }
    }
}

/// Asks the memo's tier by blocking the thread.
#[cold]
#[inline(never)]
fn ask_blocking<K: Key, V: Value>(leader: Leader<K, V>) -> Asked<K, V> {
    let mut asking = match leader.ask() {
        Ok(asking) => asking,
        Err(leader) => return Asked::Lead(leader),
    };
    let found = thread::block_until(|waker| match asking.poll(&mut Context::from_waker(waker)) {
        Poll::Ready(found) => thread::Progress::Ready(found),
        Poll::Pending => thread::Progress::wake_me(None),
    });
    asking.take(found)
}

impl<C, Args, L, K: Eq + Hash, V, O> fmt::Debug for MemoizedFuture<C, Args, L, K, V, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Start { .. } => "Start",
            State::Joined { .. } => "Joined",
            State::Asking(_) => "Asking",
            State::Loading(_) => "Loading",
            State::Ended => "Ended",
        };
        f.debug_struct("MemoizedFuture")
            .field("memo", &self.memo)
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}

/// A future in place of a function, which has been called already.
#[derive(Debug)]
pub struct Begun<F>(pub(crate) F);

impl<F: Future> CallableOnce<()> for Begun<F> {
    type Output = F::Output;
    type Future = F;

    fn call_once(self, (): ()) -> F {
        self.0
    }
}
