//! The wrapper of decorators that let the call through, and the traits that such a decorator
//! implements.

use super::{Decoration, decoration::Shown};
use crate::{
    Name,
    call::{
        Callable, CallableMut, CallableOnce, Describe, Repeat, awaited_directly, blocking, called, mode::Function,
        stack::Decorates,
    },
    describe::{Chain, Step},
};
use std::{fmt, future::Future, panic::Location, time::Duration};

/// Captures the part of the arguments that a layer needs, before the function takes them.
pub trait Captures<Args> {
    /// The captured value; `()` for most layers.
    type Captured;

    /// Looks at the arguments. Must neither log nor wait, because the call may never be polled.
    #[track_caller]
    fn capture(&self, args: &Args) -> Self::Captured;
}

/// Implements [`Captures`] for layers that look at no arguments.
macro_rules! captures_nothing {
    ($Layer:ty $(, $Param:ident)*) => {
        impl<Args $(, $Param)*> $crate::layer::Captures<Args> for $Layer {
            type Captured = ();

            #[inline]
            fn capture(&self, _: &Args) {}
        }
    };
}

pub(crate) use captures_nothing;

/// A decorator around the future of a call. `T` is the call's output.
pub trait Layer<Args, T>: Decoration + Captures<Args> {
    /// The output of the decorated call.
    type Output;
    /// The future of a call that is made once.
    type Future<F: Future<Output = T>>: Future<Output = Self::Output>;

    /// Wraps the future of one call.
    fn around<F: Future<Output = T>>(self, captured: Self::Captured, call: F) -> Self::Future<F>;

    /// Returns `true` if the function must not be called with these arguments.
    #[inline]
    fn refuses(&self, captured: &Self::Captured) -> bool {
        let _ = captured;
        false
    }

    /// The future of a call that the layer [`refuses`](Self::refuses).
    fn refused<F: Future<Output = T>>(self, captured: Self::Captured) -> Self::Future<F>
    where
        Self: Sized,
    {
        let _ = captured;
        unreachable!("this layer refuses no call")
    }
}

/// A [`Layer`] around repeated calls.
pub trait RepeatLayer<Args, T>: Layer<Args, T> {
    /// The part of the arguments that the layer keeps for all calls.
    type Kept;
    /// The future of the calls.
    type Repeated<A: Repeat<Output = T>>: Repeat<Output = Self::Output>;

    /// Looks at the arguments before the first call.
    #[track_caller]
    fn keep(&self, args: &Args) -> Self::Kept
    where
        Args: Clone;

    /// Wraps calls that are repeated with the same arguments.
    fn repeated<A: Repeat<Output = T>>(self, kept: Self::Kept, calls: A) -> Self::Repeated<A>;
}

/// A layer around a blocking call.
pub trait BlockingLayer<Args, T>: Decoration + Captures<Args> {
    /// The output of the decorated call.
    type Output;

    /// Makes the call, with the decorator's work before and after it.
    #[track_caller]
    fn around(self, captured: Self::Captured, call: impl FnOnce() -> T) -> Self::Output;

    /// The time until the limiter that a call with these arguments has paused admits calls again.
    /// Zero without a pause.
    fn pause_left(&self, args: &Args) -> Duration {
        let _ = args;
        Duration::ZERO
    }
}

/// A function with a decorator around each call.
///
/// Made by the methods of [`FnExt`](crate::FnExt). `Clone` if its parts are. `Debug` shows the
/// chain as it was written.
///
/// # Examples
///
/// ```
/// use decor::prelude::*;
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
///
/// let chain = fetch.timeout(Duration::from_secs(2)).timed("users");
/// assert_eq!(format!("{chain:?}"), r#"fetch.timeout(2s).timed("users")"#);
/// ```
#[derive(Clone)]
#[must_use = "a decorated function does nothing until it is called"]
pub struct Around<C, L> {
    callable: C,
    layer: L,
    describe: Describe<C>,
}

impl<C, L> Around<C, L> {
    pub(crate) fn new(callable: C, layer: L, describe: Describe<C>) -> Self {
        Self { callable, layer, describe }
    }

    pub(crate) fn layer_mut(&mut self) -> &mut L {
        &mut self.layer
    }

    /// The same function with another decorator in place of this one.
    pub(crate) fn with_layer<M>(self, change: impl FnOnce(L) -> M) -> Around<C, M> {
        let Self { callable, layer, describe } = self;
        Around { callable, layer: change(layer), describe }
    }
}

impl<C, L: Decoration> Around<C, L> {
    fn renamed(&self, inner: impl FnOnce(&C) -> Name) -> Name {
        self.layer.rename().cloned().unwrap_or_else(|| inner(&self.callable).or_place(self.describe.place()))
    }
}

/// Marks a call that the decorator could have refused.
#[inline]
fn mark(may_refuse: bool, holds_back: impl FnOnce() -> bool) {
    if may_refuse {
        called::mark(holds_back());
    }
}

/// The same for a sync call.
#[inline]
fn mark_blocking(may_refuse: bool, holds_back: impl FnOnce() -> bool) {
    if may_refuse {
        called::mark_blocking(holds_back());
    }
}

impl<C, L, Args> CallableOnce<Args> for Around<C, L>
where
    C: CallableOnce<Args>,
    L: Layer<Args, C::Output>,
{
    type Output = L::Output;
    type Future = L::Future<C::Future>;

    #[inline]
    fn call_once(self, args: Args) -> Self::Future {
        let captured = self.layer.capture(&args);
        if self.layer.refuses(&captured) {
            return self.layer.refused(captured);
        }
        mark(self.layer.may_refuse(), || self.callable.holds_back());
        self.layer.around(captured, self.callable.call_once(args))
    }

    fn name(&self) -> Name {
        self.renamed(C::name)
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.layer.may_refuse() || self.callable.holds_back()
    }

    fn add_to(&self, chain: &mut Chain) {
        self.add_steps(chain);
    }
}

impl<C, L, Args> CallableMut<Args> for Around<C, L>
where
    C: CallableMut<Args>,
    L: RepeatLayer<Args, C::Output>,
{
    type Repeated = L::Repeated<C::Repeated>;

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        let kept = self.layer.keep(&args);
        self.layer.repeated(kept, self.callable.repeated(args))
    }
}

impl<C, L, Args> Callable<Args> for Around<C, L>
where
    C: Callable<Args>,
    L: RepeatLayer<Args, C::Output> + Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        let captured = self.layer.capture(&args);
        if self.layer.refuses(&captured) {
            return self.layer.clone().refused(captured);
        }
        mark(self.layer.may_refuse(), || self.callable.holds_back());
        let call = self.callable.call_with(args);
        self.layer.clone().around(captured, call)
    }
}

awaited_directly!(Around<C, L>, C, L);

impl<S, L: Decoration + Clone, F, Args, Half> Decorates<F, Args, Half> for Around<S, L>
where
    S: Decorates<F, Args, Half, Decorated: Function<Args, Half>>,
{
    type Decorated = Around<S::Decorated, L>;

    fn decorate(&self, function: F, place: &'static Location<'static>) -> Self::Decorated {
        let callable = self.callable.decorate(function, place);
        let mut layer = self.layer.clone();
        layer.decorates(callable.name().or_place(place));
        Around::new(callable, layer, Describe::at(place, S::Decorated::add_to))
    }
}

impl<C, L: Decoration> Around<C, L> {
    fn add_steps(&self, chain: &mut Chain) {
        self.describe.add_to(&self.callable, chain);
        chain.push(Step::new(Shown(&self.layer), self.layer.kind()));
    }
}

impl<C, L: Decoration> fmt::Debug for Around<C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain::of(|chain| self.add_steps(chain)).fmt(f)
    }
}

// ---- the blocking half ----

impl<C, L, Args> blocking::CallableOnce<Args> for Around<C, L>
where
    C: blocking::CallableOnce<Args>,
    L: BlockingLayer<Args, C::Output>,
{
    type Output = L::Output;

    #[inline]
    fn call_once(self, args: Args) -> L::Output {
        let Self { callable, layer, .. } = self;
        let captured = layer.capture(&args);
        let may_refuse = layer.may_refuse();
        layer.around(captured, move || {
            mark_blocking(may_refuse, || callable.holds_back());
            callable.call_once(args)
        })
    }

    fn name(&self) -> Name {
        self.renamed(C::name)
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.layer.may_refuse() || self.callable.holds_back()
    }

    fn add_to(&self, chain: &mut Chain) {
        self.add_steps(chain);
    }

    fn pause_left(&self, args: &Args) -> Duration {
        self.layer.pause_left(args).max(self.callable.pause_left(args))
    }
}

impl<C, L, Args> blocking::CallableMut<Args> for Around<C, L>
where
    C: blocking::CallableMut<Args>,
    L: BlockingLayer<Args, C::Output> + Clone,
{
    #[inline]
    fn call_mut(&mut self, args: Args) -> L::Output {
        let captured = self.layer.capture(&args);
        self.layer.clone().around(captured, || {
            mark_blocking(self.layer.may_refuse(), || self.callable.holds_back());
            self.callable.call_mut(args)
        })
    }
}

impl<C, L, Args> blocking::Callable<Args> for Around<C, L>
where
    C: blocking::Callable<Args>,
    L: BlockingLayer<Args, C::Output> + Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> L::Output {
        let captured = self.layer.capture(&args);
        self.layer.clone().around(captured, || {
            mark_blocking(self.layer.may_refuse(), || self.callable.holds_back());
            self.callable.call_with(args)
        })
    }
}
