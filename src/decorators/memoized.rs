//! The wrapper of `.memoized(..)` and its options. The memo and the future of a call are in
//! `memo/`.

use crate::{
    Cacheable, Memo, Name,
    call::{
        Callable, CallableMut, CallableOnce, Describe, Repeated, awaited_directly, blocking,
        mode::{Detachable, Function},
    },
    describe::{Chain, HandleId, Step, StepKind},
    memo::{
        BlockingLoad, Detached, ErrorSharing, IsolatedErrors, Key, KeyFromArgs, KeyFromFn, KeySource, Load,
        MemoizedFuture, Options, Running, RunningBlocking, SharedErrors, Value, Word, call_blocking,
    },
};
use std::{fmt, future::Future};

/// A function with outputs that a [`Memo`] keeps.
///
/// Made by [`.memoized(..)`](crate::FnExt::memoized) and
/// [`.memoized_by(..)`](crate::FnExt::memoized_by). The methods set the error that waiting calls
/// get from a failed load, and the place where loads run. The type parameters are inferred. For a
/// struct field use [`BoxedFn`](crate::BoxedFn).
///
/// # Examples
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
pub struct Memoized<C, K, V, O = Options> {
    callable: C,
    memo: Memo<K, V>,
    options: O,
    describe: Describe<C>,
}

impl<C, K, V> Memoized<C, K, V> {
    pub(crate) fn by_args(callable: C, memo: &Memo<K, V>, describe: Describe<C>) -> Self {
        Self { callable, memo: memo.clone(), options: Options::new(KeyFromArgs), describe }
    }
}

impl<C, K, V, P> Memoized<C, K, V, Options<KeyFromFn<P>>> {
    pub(crate) fn by_closure(callable: C, memo: &Memo<K, V>, key: P, describe: Describe<C>) -> Self {
        Self { callable, memo: memo.clone(), options: Options::new(KeyFromFn(key)), describe }
    }
}

impl<C, K, V, B, E, R> Memoized<C, K, V, Options<B, E, R>> {
    fn with<E2, R2>(self) -> Memoized<C, K, V, Options<B, E2, R2>> {
        let Self { callable, memo, options, describe } = self;
        Memoized { callable, memo, options: options.with(), describe }
    }

    /// Gives the error of a failed load to all calls that joined it, in place of an
    /// [`Error::LoadFailed`](crate::Error::LoadFailed) with its text.
    ///
    /// The error is cloned for each call, and is not kept. The next call loads anew. If the error
    /// is not `Clone`, put `.map_err(Arc::new).lifted()` before the memo. A call that joined the
    /// load of another function gets its error if both functions share errors of one type, and
    /// `LoadFailed` otherwise.
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
    pub fn sharing_errors<Args, Half>(self) -> Memoized<C, K, V, Options<B, SharedErrors, R>>
    where
        C: Function<Args, Half>,
        SharedErrors: ErrorSharing<C::Output, V>,
    {
        self.with()
    }

    /// Lets each call that joined a failed load try again by itself, one after the other, so that
    /// each gets an error of its own.
    ///
    /// If a server is down, the last of twenty calls then waits for twenty failures. Suits
    /// functions with failures that do not affect the next call.
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
    /// let fetch = fetch.memoized(&users).isolating_errors();
    /// let begun = tokio::time::Instant::now();
    /// join_all((0..20).map(|_| fetch.call(42))).await;
    /// assert_eq!((users.stats().loads, begun.elapsed().as_secs()), (20, 20));
    /// # }
    /// ```
    pub fn isolating_errors(self) -> Memoized<C, K, V, Options<B, IsolatedErrors, R>> {
        self.with()
    }

    /// Runs each load in a task of its own. The load goes on when the calls that wait for it are
    /// dropped, so the memo is filled even if every caller times out.
    ///
    /// A refresh of a value that may still be served runs in the background, and no call waits for
    /// it. The task keeps the caller's span and subscriber. If the task panics, the call that began
    /// the load panics too, unless it was dropped. A refresh that panics leaves the value as it is,
    /// and counts as abandoned.
    ///
    /// The future of the call must be `Send + 'static`, so its arguments must be owned: a `String`
    /// or an `Arc<str>` in place of a `&str`. Use [`with_context`](crate::with_context) for a
    /// client.
    ///
    /// # Panics
    ///
    /// - If a load that the call waits for begins outside of a tokio runtime.
    /// - If the load's runtime is shut down while a call on another runtime waits.
    ///
    /// Loads of sync functions need no runtime. They run on the pool's threads, as calls with a
    /// [timeout](crate::blocking::FnExt::timeout) do.
    ///
    /// # Examples
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
    /// assert!(fetch.call(42).await.is_err()); // timed out after 2 s
    /// tokio::time::sleep(Duration::from_secs(3)).await;
    /// assert_eq!(fetch.call(42).await.unwrap(), "user 42"); // loaded after 5 s
    /// assert_eq!(users.stats().loads, 1);
    /// # }
    /// ```
    pub fn detached<Args, Half>(self) -> Memoized<C, K, V, Options<B, E, Detached>>
    where
        C: Detachable<Args, Half>, // `Send + 'static`, so its arguments are owned: `String` or `Arc<str>` in place of `&str`
    {
        self.with()
    }
}

impl<C, K, V, B, E, R, Args> CallableOnce<Args> for Memoized<C, K, V, Options<B, E, R>>
where
    C: CallableOnce<Args, Output: Cacheable<V>>,
    K: Key,
    V: Value,
    B: KeySource<Args, K>,
    E: ErrorSharing<C::Output, V>,
    R: Running<Load<C::Future, K, V, E>, Future: Future<Output = C::Output>>,
{
    type Output = C::Output;
    type Future = MemoizedFuture<C, Args, R::Future, K, V, Options<B, E, R>>;

    #[inline]
    fn call_once(self, args: Args) -> Self::Future {
        MemoizedFuture::new(self.memo, self.callable, args, self.options)
    }

    fn name(&self) -> Name {
        self.callable.name().or_place(self.describe.place())
    }

    fn add_to(&self, chain: &mut Chain) {
        self.add_steps(chain);
    }
}

impl<C, K, V, O, Args> CallableMut<Args> for Memoized<C, K, V, O>
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

#[diagnostic::do_not_recommend] // otherwise rustc reports a captured variable that is not `Clone`
impl<C, K, V, O, Args> Callable<Args> for Memoized<C, K, V, O>
where
    Self: CallableOnce<Args> + Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        self.clone().call_once(args)
    }
}

awaited_directly!(Memoized<C, K, V, O>, C, K, V, O);

impl<C: Clone, K, V, O: Clone> Clone for Memoized<C, K, V, O> {
    #[inline] // each call clones the chain behind the memo, and copies it once more otherwise
    fn clone(&self) -> Self {
        let Self { callable, memo, options, describe } = self;
        Self { callable: callable.clone(), memo: memo.clone(), options: options.clone(), describe: *describe }
    }
}

impl<C, K, V, B: Word, E: Word, R: Word> Memoized<C, K, V, Options<B, E, R>> {
    fn step(&self) -> Step {
        let is_detached = R::WORD == Detached::WORD;
        let kind = StepKind::Remembered { handle: HandleId::of(self.memo.core()), is_detached };
        Step::new(Options::<B, E, R>::shown(self.memo.limits()), kind)
    }

    fn add_steps(&self, chain: &mut Chain) {
        self.describe.add_to(&self.callable, chain);
        chain.push(self.step());
    }
}

impl<C, K, V, B: Word, E: Word, R: Word> fmt::Debug for Memoized<C, K, V, Options<B, E, R>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain::of(|chain| self.add_steps(chain)).fmt(f)
    }
}

// ---- the blocking half ----

impl<C, K, V, B, E, R, Args> blocking::CallableOnce<Args> for Memoized<C, K, V, Options<B, E, R>>
where
    C: blocking::CallableOnce<Args, Output: Cacheable<V>>,
    K: Key,
    V: Value,
    B: KeySource<Args, K>,
    E: ErrorSharing<C::Output, V>,
    R: RunningBlocking<BlockingLoad<C, Args, K, V, E>, C::Output>,
{
    type Output = C::Output;

    fn call_once(self, args: Args) -> C::Output {
        call_blocking(&self.memo, &self.options, args, || self.callable)
    }

    fn name(&self) -> Name {
        self.callable.name().or_place(self.describe.place())
    }

    fn add_to(&self, chain: &mut Chain) {
        self.add_steps(chain);
    }
}

impl<C, K, V, O, Args> blocking::CallableMut<Args> for Memoized<C, K, V, O>
where
    Self: blocking::Callable<Args>,
{
    fn call_mut(&mut self, args: Args) -> Self::Output {
        blocking::Callable::call_with(self, args)
    }
}

impl<C, K, V, B, E, R, Args> blocking::Callable<Args> for Memoized<C, K, V, Options<B, E, R>>
where
    C: blocking::CallableOnce<Args, Output: Cacheable<V>> + Clone,
    K: Key,
    V: Value,
    B: KeySource<Args, K>,
    E: ErrorSharing<C::Output, V>,
    R: RunningBlocking<BlockingLoad<C, Args, K, V, E>, C::Output>,
{
    #[inline]
    fn call_with(&self, args: Args) -> C::Output {
        call_blocking(&self.memo, &self.options, args, || self.callable.clone())
    }
}
