//! Remembering what was loaded: the wrapper and its options. The memo itself, and the future of a
//! call, are in `memo/`.

use crate::{
    Cacheable, Memo,
    call::{
        Callable, CallableMut, CallableOnce, Describe, Repeated, awaited_directly, blocking,
        mode::{Detachable, Function},
        name::Name,
    },
    memo::{
        BlockingLoad, Detached, Failures, Inline, KeyFromArgs, KeyFromFn, KeySource, Load, MemoizedFuture, OwnErrors,
        ReportedErrors, Running, RunningBlocking, SharedErrors, call_blocking,
    },
};
use std::{fmt, future::Future, hash::Hash, marker::PhantomData};

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
pub struct Memoized<C, K, V, B = KeyFromArgs, E = OwnErrors, R = Inline> {
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
        Self::new(callable, memo, KeyFromArgs, false, describe)
    }
}

impl<C, K, V, P> Memoized<C, K, V, KeyFromFn<P>> {
    pub(crate) fn by_closure(callable: C, memo: &Memo<K, V>, key: P, describe: Describe<C>) -> Self {
        Self::new(callable, memo, KeyFromFn(key), true, describe)
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

    /// Hands the error of a failed load to all calls that waited for it. Without it, each of them
    /// tries for itself, one after the other.
    ///
    /// The errors are cloned, and not kept: the next call loads anew. An error that is not `Clone`
    /// (`anyhow::Error`, for one) becomes so by `.map_err(Arc::new)` before the memo. A call that
    /// waits for another function's load gets its error if both share errors of one type; otherwise
    /// it tries for itself. For `Result`s, and for `Option`s, whose `None` is shared.
    ///
    /// # Examples
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
        C: Function<Args, Half>,
        SharedErrors: Failures<C::Output, V>,
    {
        let words = self.words.and(".sharing_errors()");
        self.with(words)
    }

    /// Tells all calls that waited for a load that it failed: each gets
    /// [`Error::LoadFailed`](crate::Error::LoadFailed) with the text of the error, and for an
    /// `Option` its `None`. Only the call that loaded has the error itself.
    ///
    /// Without it, and without [`sharing_errors`](Self::sharing_errors), each of them tries for
    /// itself, one after the other: the last of twenty waits for twenty failures. With it, each
    /// waits for the load that it joined, and no longer. The error has to carry a
    /// [`decor::Error`](crate::Error), as for a [`timeout`](crate::FnExt::timeout), and to be
    /// `Display`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use futures::future::join_all;
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<String, anyhow::Error> {
    ///     tokio::time::sleep(Duration::from_secs(9)).await;
    ///     anyhow::bail!("connection refused")
    /// }
    ///
    /// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    /// let fetch = fetch.memoized(&users).reporting_errors();
    /// let begun = tokio::time::Instant::now();
    /// let answers = join_all((0..20).map(|_| fetch.call(42))).await;
    /// assert_eq!((begun.elapsed(), users.stats().loads), (Duration::from_secs(9), 1));
    /// assert_eq!(answers[0].as_ref().unwrap_err().to_string(), "connection refused");
    /// let told = answers[1].as_ref().unwrap_err().to_string();
    /// assert_eq!(told, "loading failed in another call of fetch: connection refused");
    /// # }
    /// ```
    pub fn reporting_errors<Args, Half>(self) -> Memoized<C, K, V, B, ReportedErrors, R>
    where
        C: Function<Args, Half>,
        ReportedErrors: Failures<C::Output, V>,
    {
        let words = self.words.and(".reporting_errors()");
        self.with(words)
    }

    /// Runs each load in a task of its own, so that it goes on when those who wait for it leave: callers that are less patient than
    /// a load takes time fill the memo all the same.
    ///
    /// A refresh of a value that may still be served goes on in the background, and no call waits
    /// for it. The task keeps the caller's span and subscriber. A panic in the task becomes the
    /// panic of the call that waits for the load, if that call is still there. A refresh that
    /// panics leaves the value as it is, and counts as abandoned.
    ///
    /// The call's future must be `Send + 'static`, and so its arguments owned: a `String` or an `Arc<str>` in place of a `&str`; a client
    /// comes along by [`with_context`](crate::with_context).
    ///
    /// # Panics
    ///
    /// If a load that the call waits for begins outside of a tokio runtime. If the load's runtime
    /// is shut down while a call on another runtime waits. Loads of sync functions need no runtime:
    /// they run on the pool's threads, as calls with a [timeout](crate::blocking::FnExt::timeout)
    /// do.
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
    B: KeySource<Args, K>,
    E: Failures<C::Output, V>,
    R: Running<Load<C::Future, K, V, E>, Future: Future<Output = C::Output>>,
{
    type Output = C::Output;
    type Future = MemoizedFuture<C, Args, R::Future, K, V, B, E, R>;

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
    type Repeated = Repeated<Self, Args, Self::Future>;

    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        Repeated::cloning(self, args)
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

// ---- the blocking half ----

impl<C, K, V, B, E, R, Args> blocking::CallableOnce<Args> for Memoized<C, K, V, B, E, R>
where
    C: blocking::CallableOnce<Args>,
    C::Output: Cacheable<V>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    B: KeySource<Args, K>,
    E: Failures<C::Output, V>,
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
    B: KeySource<Args, K>,
    E: Failures<C::Output, V>,
    R: RunningBlocking<BlockingLoad<C, Args, K, V, E>, C::Output>,
{
    #[inline]
    fn call_with(&self, args: Args) -> C::Output {
        call_blocking::<C, Args, K, V, E, R>(&self.memo, &self.by, args, || self.callable.clone())
    }
}
