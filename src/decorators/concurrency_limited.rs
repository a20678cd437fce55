//! Permits of a concurrency limiter around each call.
//!
//! Each method of the catalogue names a limiter and a request, as those of a rate limiter do. The
//! gate holds the permits until the call has been dropped.

use super::rate_limited::{AsksForPermits, ForOne, One, OneWithin, Weighted};
use crate::{
    ConcurrencyLimiter, Error, Fallible, KeyedConcurrencyLimiter, Permits,
    call::{Late, args::Inspect, mode::Function},
    concurrency_limiter::{Core, OnePermit, Patience, Slot, Weight},
    describe::{HandleId, StepKind},
    layer::{
        Around, Captures, Decoration, End, FromArgs, Gate, GateLayer, GateSource, Outcome, Renewable, Wait,
        captures_nothing,
    },
    policy::Ended,
    sync::Arc,
};
use std::{
    fmt::{self, Display},
    hash::Hash,
    task::{Poll, ready},
    time::Duration,
};

/// The permits of a call.
#[derive(Debug, Clone)]
struct Held<W: Weight> {
    slot: Slot<Arc<Core>, W>,
    ended: Ended,
    /// `true` if the gate serves several calls. Each call is then dropped after its end is
    /// reported, and before the gate is released.
    is_renewed: bool,
}

impl<W: Weight> Held<W> {
    #[inline]
    fn new(limiter: ConcurrencyLimiter, weight: W, patience: Patience) -> Self {
        Self { slot: limiter.slot(weight, patience), ended: Ended::Otherwise, is_renewed: false }
    }

    #[inline]
    fn poll(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), Error>> {
        let admitted = ready!(self.slot.poll(wait));
        #[cfg(all(feature = "http", feature = "tower"))]
        if admitted.is_ok() {
            crate::concurrency_limiter::handover::admitted();
        }
        Poll::Ready(admitted)
    }

    /// Gives the permits of a completed call back, which has been dropped by now. Keeps those of a
    /// call that panicked, because its future may not have been dropped. In an HTTP chain, the body
    /// of the response has the permits from now on.
    #[inline]
    fn end<T>(&mut self, end: &End<'_, T>) {
        if end.outcome() != Outcome::Completed {
            return;
        }
        #[cfg(all(feature = "http", feature = "tower"))]
        if self.slot.hand_over() {
            return;
        }
        if self.is_renewed {
            self.ended = Ended::Well;
        } else {
            self.slot.end(Ended::Well);
        }
    }

    /// The same request for other permits. It can be refused.
    fn asking_for(&self, permits: Permits) -> Held<Permits> {
        Held { slot: self.slot.asking_for(permits), ended: Ended::Otherwise, is_renewed: self.is_renewed }
    }

    #[inline]
    fn release(&mut self) {
        self.slot.renew(std::mem::replace(&mut self.ended, Ended::Otherwise));
    }
}

/// The gate of a call that waits for one permit, without a bound.
#[derive(Debug, Clone)]
pub struct ConcurrencyAdmission(Held<OnePermit>);

impl ConcurrencyAdmission {
    #[inline]
    pub(crate) fn new(limiter: ConcurrencyLimiter) -> Self {
        Self(Held::new(limiter, OnePermit, Patience::CannotFail))
    }
}

#[diagnostic::do_not_recommend]
impl<T> Gate<T> for ConcurrencyAdmission {
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        ready!(self.0.poll(wait)).unwrap_or_else(|error| unreachable!("a call that cannot fail: {error}"));
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn end(&mut self, end: End<'_, T>) {
        self.0.end(&end);
    }
}

impl Renewable for ConcurrencyAdmission {
    #[inline]
    fn release(&mut self) {
        self.0.release();
    }
}

/// The gate of a call that the limiter may refuse.
#[derive(Debug, Clone)]
pub struct RefusableConcurrencyAdmission<W: Weight = OnePermit>(Held<W>);

impl<W: Weight> RefusableConcurrencyAdmission<W> {
    #[inline]
    pub(crate) fn new(limiter: ConcurrencyLimiter, weight: W, max_wait: Option<Duration>) -> Self {
        Self(Held::new(limiter, weight, max_wait.map_or(Patience::Unbounded, Patience::Within)))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Fallible, W: Weight> Gate<T> for RefusableConcurrencyAdmission<W> {
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        self.0.poll(wait).map_err(T::from_policy)
    }

    #[inline]
    fn end(&mut self, end: End<'_, T>) {
        self.0.end(&end);
    }
}

impl<W: Weight> Renewable for RefusableConcurrencyAdmission<W> {
    #[inline]
    fn release(&mut self) {
        self.0.release();
    }
}

impl AsksForPermits for ConcurrencyAdmission {
    type Asking = RefusableConcurrencyAdmission<Permits>;

    fn asking_for(&self, permits: Permits) -> Self::Asking {
        RefusableConcurrencyAdmission(self.0.asking_for(permits))
    }
}

impl<W: Weight> AsksForPermits for RefusableConcurrencyAdmission<W> {
    type Asking = RefusableConcurrencyAdmission<Permits>;

    fn asking_for(&self, permits: Permits) -> Self::Asking {
        RefusableConcurrencyAdmission(self.0.asking_for(permits))
    }
}

/// A gate that holds permits during a call.
pub trait HoldsPermits {
    /// Returns the gate for several calls, one after the other.
    fn renewed(self) -> Self;
}

impl HoldsPermits for ConcurrencyAdmission {
    #[inline]
    fn renewed(mut self) -> Self {
        self.0.is_renewed = true;
        self
    }
}

impl<W: Weight> HoldsPermits for RefusableConcurrencyAdmission<W> {
    #[inline]
    fn renewed(mut self) -> Self {
        self.0.is_renewed = true;
        self
    }
}

/// The decoration of every method with a concurrency limiter: the limiter of a call, and the call's
/// request.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimited<L, R> {
    pub(crate) limiter: L,
    pub(crate) request: R,
}

/// The concurrency limiter of a key, which a closure takes from the arguments.
#[derive(Debug)]
pub struct ConcurrencyOfKey<K, Q> {
    pub(crate) limiter: KeyedConcurrencyLimiter<K>,
    pub(crate) key: Q,
}

impl<K, Q: Clone> Clone for ConcurrencyOfKey<K, Q> {
    fn clone(&self) -> Self {
        Self { limiter: self.limiter.clone(), key: self.key.clone() }
    }
}

captures_nothing!(ConcurrencyLimiter);

impl<Args, K, Q> Captures<Args> for ConcurrencyOfKey<K, Q>
where
    K: Eq + Hash + Clone,
    Q: Inspect<Args, Output = K>,
{
    type Captured = ConcurrencyLimiter;

    #[inline]
    fn capture(&self, args: &Args) -> ConcurrencyLimiter {
        self.limiter.for_key(&self.key.inspect(args))
    }
}

/// The request of a call to its concurrency limiter.
pub trait ConcurrencyRequest<Args>: Captures<Args> {
    /// The gate of a call.
    type Admission: HoldsPermits;

    /// Makes the gate of a call.
    fn admission(&self, limiter: ConcurrencyLimiter, captured: Self::Captured) -> Self::Admission;
}

impl<Args> ConcurrencyRequest<Args> for One {
    type Admission = ConcurrencyAdmission;

    #[inline]
    fn admission(&self, limiter: ConcurrencyLimiter, (): ()) -> ConcurrencyAdmission {
        ConcurrencyAdmission::new(limiter)
    }
}

impl<Args> ConcurrencyRequest<Args> for OneWithin {
    type Admission = RefusableConcurrencyAdmission;

    #[inline]
    fn admission(&self, limiter: ConcurrencyLimiter, (): ()) -> RefusableConcurrencyAdmission {
        RefusableConcurrencyAdmission::new(limiter, OnePermit, Some(self.0))
    }
}

impl<Args, P: Inspect<Args, Output: Into<Permits>>> ConcurrencyRequest<Args> for Weighted<P> {
    type Admission = RefusableConcurrencyAdmission<Permits>;

    #[inline]
    fn admission(&self, limiter: ConcurrencyLimiter, permits: Permits) -> RefusableConcurrencyAdmission<Permits> {
        RefusableConcurrencyAdmission::new(limiter, permits, self.max_wait)
    }
}

impl<Args, L: Captures<Args>, R: Captures<Args>> Captures<Args> for ConcurrencyLimited<L, R> {
    type Captured = (L::Captured, R::Captured);

    #[inline]
    fn capture(&self, args: &Args) -> Self::Captured {
        (self.limiter.capture(args), self.request.capture(args))
    }
}

/// Source of a gate for one permit of the same limiter at every call. The arguments are not read.
impl<Args, R> GateSource<Args> for ConcurrencyLimited<ConcurrencyLimiter, R>
where
    Self: Decoration,
    R: ForOne + ConcurrencyRequest<Args>,
{
    type Gate = R::Admission;
    type Repeated = R::Admission;
    type Kept = Self::Captured;

    #[inline]
    fn gate(self, ((), request): Self::Captured) -> R::Admission {
        self.request.admission(self.limiter, request)
    }

    #[inline]
    fn keep(&self, args: &Args) -> Self::Kept
    where
        Args: Clone,
    {
        self.capture(args)
    }

    #[inline]
    fn repeated(self, kept: Self::Kept) -> R::Admission {
        self.gate(kept).renewed()
    }
}

/// Implements the second half of [`GateSource`] for gates that are made from the arguments of each
/// call.
macro_rules! holds_from_args {
    () => {
        type Repeated = FromArgs<Self, Args, Self::Gate>;
        type Kept = Args;

        #[inline]
        fn keep(&self, args: &Args) -> Args
        where
            Args: Clone,
        {
            args.clone()
        }

        #[inline]
        fn repeated(self, args: Args) -> Self::Repeated {
            FromArgs::new(self, args, |source, args| source.admission_from_args(args).renewed())
        }
    };
}

impl<P> ConcurrencyLimited<ConcurrencyLimiter, Weighted<P>> {
    fn admission_from_args<Args>(&self, args: &Args) -> RefusableConcurrencyAdmission<Permits>
    where
        P: Inspect<Args, Output: Into<Permits>>,
    {
        self.request.admission(self.limiter.clone(), self.request.capture(args))
    }
}

impl<Args, P> GateSource<Args> for ConcurrencyLimited<ConcurrencyLimiter, Weighted<P>>
where
    P: Inspect<Args, Output: Into<Permits>>,
{
    type Gate = RefusableConcurrencyAdmission<Permits>;

    #[inline]
    fn gate(self, ((), permits): Self::Captured) -> Self::Gate {
        self.request.admission(self.limiter, permits)
    }

    holds_from_args!();
}

impl<K, Q, R> ConcurrencyLimited<ConcurrencyOfKey<K, Q>, R> {
    fn admission_from_args<Args>(&self, args: &Args) -> R::Admission
    where
        K: Eq + Hash + Clone,
        Q: Inspect<Args, Output = K>,
        R: ConcurrencyRequest<Args>,
    {
        self.request.admission(self.limiter.capture(args), self.request.capture(args))
    }
}

impl<Args, K, Q, R> GateSource<Args> for ConcurrencyLimited<ConcurrencyOfKey<K, Q>, R>
where
    Self: Decoration,
    K: Eq + Hash + Clone,
    Q: Inspect<Args, Output = K>,
    R: ConcurrencyRequest<Args>,
{
    type Gate = R::Admission;

    #[inline]
    fn gate(self, (limiter, request): Self::Captured) -> R::Admission {
        self.request.admission(limiter, request)
    }

    holds_from_args!();
}

impl<C, L, R: ForOne> Around<Late<C>, GateLayer<ConcurrencyLimited<L, R>>> {
    /// Takes as many permits as the arguments ask for, in place of one.
    ///
    /// Follows a decorator with a concurrency limiter:
    /// [`concurrency_limited`](crate::FnExt::concurrency_limited),
    /// [`concurrency_limited_within`](crate::FnExt::concurrency_limited_within),
    /// [`try_concurrency_limited`](crate::FnExt::try_concurrency_limited), or one of their variants
    /// by key. After `concurrency_limited` it is the same as
    /// [`concurrency_limited_by`](crate::FnExt::concurrency_limited_by).
    ///
    /// The closure takes each argument by reference, with its type written. It runs when the call
    /// is made, and before a retry for each attempt. Takes [`Fallible`] outputs. Cancel safety and
    /// panics are those of the decorator that `.permits(..)` follows.
    ///
    /// # Errors
    ///
    /// - The errors of the decorator that `.permits(..)` follows. `concurrency_limited` has none.
    /// - Those of [`concurrency_limited_by`](crate::FnExt::concurrency_limited_by).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, KeyedConcurrencyLimiter, prelude::*};
    ///
    /// async fn store(user: u64, rows: Vec<u64>) -> Result<usize, Error> { Ok(rows.len()) }
    ///
    /// let per_user = KeyedConcurrencyLimiter::new(5);
    /// let store = store
    ///     .try_concurrency_limited_by_key(&per_user, |user: &u64, _: &Vec<u64>| *user)
    ///     .permits(|_: &u64, rows: &Vec<u64>| rows.len());
    /// let busy = per_user.for_key(&7).try_acquire_many(3).unwrap();
    /// assert_eq!(store.call(7, vec![1, 2]).await, Ok(2));
    /// assert!(store.call(7, vec![1, 2, 3]).await.is_err());
    /// assert_eq!(store.call(8, vec![1, 2, 3]).await, Ok(3));
    /// # drop(busy);
    /// # }
    /// ```
    pub fn permits<Args, Half, P>(self, permits: P) -> Around<Late<C>, GateLayer<ConcurrencyLimited<L, Weighted<P>>>>
    where
        C: Function<Args, Half, Output: Fallible>,
        P: Inspect<Args, Output: Into<Permits>>,
    {
        self.with_layer(|GateLayer(ConcurrencyLimited { limiter, request })| {
            let request = Weighted { permits, max_wait: request.max_wait(), is_setting: true };
            GateLayer(ConcurrencyLimited { limiter, request })
        })
    }
}

// ---- the text of a chain ----

/// A concurrency limiter in the text of a chain.
pub trait ShownConcurrency {
    /// End of the method's name: `_by_key` or nothing.
    const BY_KEY: &str;
    /// Placeholder for the closure that makes the key.
    const CLOSURE: &str;

    /// The limiter.
    fn limiter(&self) -> &dyn Display;

    /// The identity of the limiter.
    fn id(&self) -> HandleId;
}

impl ShownConcurrency for ConcurrencyLimiter {
    const BY_KEY: &str = "";
    const CLOSURE: &str = "";

    fn limiter(&self) -> &dyn Display {
        self
    }

    fn id(&self) -> HandleId {
        self.id()
    }
}

impl<K, Q> ShownConcurrency for ConcurrencyOfKey<K, Q> {
    const BY_KEY: &str = "_by_key";
    const CLOSURE: &str = ", ..";

    fn limiter(&self) -> &dyn Display {
        &self.limiter
    }

    fn id(&self) -> HandleId {
        self.limiter.id()
    }
}

impl<L: ShownConcurrency, R: ForOne> Decoration for ConcurrencyLimited<L, R> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(&self.limiter, self.request.max_wait(), f)
    }

    fn kind(&self) -> StepKind {
        StepKind::ConcurrencyLimited { handle: self.limiter.id(), max_wait: self.request.max_wait() }
    }
}

impl<L: ShownConcurrency, P> Decoration for ConcurrencyLimited<L, Weighted<P>> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.request.is_setting {
            return write!(f, ".concurrency_limited_by({}, ..)", self.limiter.limiter());
        }
        describe(&self.limiter, self.request.max_wait, f)?;
        f.write_str(".permits(..)")
    }

    fn kind(&self) -> StepKind {
        StepKind::ConcurrencyLimited { handle: self.limiter.id(), max_wait: self.request.max_wait }
    }
}

fn describe<L: ShownConcurrency>(limiter: &L, max_wait: Option<Duration>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (by_key, closure, limiter) = (L::BY_KEY, L::CLOSURE, limiter.limiter());
    match max_wait {
        None => write!(f, ".concurrency_limited{by_key}({limiter}{closure})"),
        Some(Duration::ZERO) => write!(f, ".try_concurrency_limited{by_key}({limiter}{closure})"),
        Some(max_wait) => write!(f, ".concurrency_limited_within{by_key}({limiter}, {max_wait:?}{closure})"),
    }
}
