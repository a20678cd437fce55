//! Traits of callable functions: Rust's ladder `FnOnce`, `FnMut`, `Fn`, for functions that return a
//! future.
//!
//! Implemented for every async function, every function and closure that returns a future, and
//! every function decorated by [`FnExt`](crate::FnExt): [`CallableOnce`], [`CallableMut`] and
//! [`Callable`], as far as the function allows. A call does not name them: `fetch.call(42).await`.
//!
//! # Why named futures, and not `AsyncFn`
//!
//! A function of `Fn(A) -> Fut` with a named future can be spawned, boxed as `dyn Future + Send`
//! and called inside an `async_trait` method. The same impls over `AsyncFn` compile, but rustc then
//! refuses each of these uses with "higher-ranked lifetime error" or "`Send` is not general
//! enough". The price is one kind of closure: an `async move` closure that lends what it owns.
//! [`with_context`](crate::with_context) replaces it.

pub(crate) mod args;
pub(crate) mod arity;
pub(crate) mod blocking;
pub(crate) mod called;
pub(crate) mod context;
mod late;
pub(crate) mod mode;
mod repeat;
pub(crate) mod spread;
pub(crate) mod stack;

pub(crate) use late::awaited_directly;
pub use late::{CloneFunction, Late, LateCalls, LateFuture};
pub use repeat::{Called, Repeat, Repeated, Stop};

use repeat::{Attempt, next};

use crate::{Name, describe::Chain, sync::Arc};
use arity::for_each_arity;
use std::{future::Future, panic::Location, pin::Pin};

/// A function that can be called once with `Args` (a tuple) and returns a future.
///
/// `.await` on a chain without arguments needs no more.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::CallableOnce;
///
/// async fn double(n: u32) -> u32 { n * 2 }
/// assert_eq!(double.call_once((21,)).await, 42);
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async function that can be called with `{Args}`",
    note = "an async function or a closure that returns a future can, decorated or not; a future is the result of a call",
    note = "a reference to a decorated function cannot: clone the function, or share it as an `Arc`"
)]
pub trait CallableOnce<Args> {
    /// The output of the future.
    type Output;
    /// The future of one call.
    type Future: Future<Output = Self::Output>;

    /// Calls the function, by value.
    #[track_caller]
    fn call_once(self, args: Args) -> Self::Future;

    /// The name of the innermost function of the chain: its last path segment, or the name that
    /// [`.named(..)`](crate::FnExt::named) gave it. A decorated closure is named by the file and
    /// line of its first decorator, as `src/main.rs:12`.
    fn name(&self) -> Name {
        Name::of_function::<Self>()
    }

    /// Returns `true` if the call may end without a call of the function. The decorator that holds
    /// the call back then marks the thread: see `call/called.rs`.
    #[doc(hidden)]
    fn holds_back(&self) -> bool {
        false
    }

    /// Adds the function and its decorators to a description, from the inside out.
    #[doc(hidden)]
    fn add_to(&self, chain: &mut Chain) {
        chain.begin(self.name());
    }
}

/// A function that its owner can call several times, one call after the other.
///
/// A retry needs no more. The function may change what it captures: `|| { calls += 1; .. }`.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{CallableMut, prelude::*};
///
/// async fn with_patience<F>(function: F) -> Result<u32, String>
/// where
///     F: CallableMut<(), Output = Result<u32, String>>,
/// {
///     function.retry_with(RetryPolicy::default()).await
/// }
///
/// let mut calls = 0;
/// let third = || {
///     calls += 1;
///     std::future::ready(if calls < 3 { Err("busy".into()) } else { Ok(calls) })
/// };
/// assert_eq!(with_patience(third).await, Ok(3));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be called with `{Args}` more than once",
    note = "a retry needs a function that can be called again: `|| fetch(id)` instead of `fetch(id)`"
)]
pub trait CallableMut<Args>: CallableOnce<Args> {
    /// The function together with its arguments, and with its call in progress.
    type Repeated: Repeat<Output = Self::Output>
    where
        Self: Sized;

    /// Turns the function into a future that can be started again: see [`Repeat`].
    fn repeated(self, args: Args) -> Self::Repeated
    where
        Self: Sized,
        Args: Clone;
}

/// A function that can be called many times at the same time: the bound for code that takes any
/// decorated function.
///
/// `.call(..)` from the [prelude](crate::prelude) takes the arguments one by one. For calls from a
/// spawned task, ask for `Callable<(u64,), Output = u64, Future: Send> + Send + Sync + 'static`.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{Callable, prelude::*};
///
/// async fn all<C>(fetch: &C) -> u64
/// where
///     C: Callable<(u64,), Output = u64>,
/// {
///     fetch.call(1).await + fetch.call(2).await
/// }
///
/// async fn double(n: u64) -> u64 { n * 2 }
/// assert_eq!(all(&double.timed("double")).await, 6);
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be called through `&self` with `{Args}`",
    label = "not a `Callable<{Args}>`",
    note = "if it is limited, gated, retried or memoized: the function and the closures given to its decorators need to be `Clone` for that (functions are, and closures over references or `Arc`s)",
    note = "a reference to a decorated function cannot: clone the function, or share it as an `Arc`"
)]
pub trait Callable<Args>: CallableMut<Args> {
    /// Calls the function, by `&self`, with the arguments as a tuple.
    #[track_caller]
    fn call_with(&self, args: Args) -> Self::Future;
}

macro_rules! functions_are_callable {
    ($Call:ident; $($A:ident $a:ident),*) => {
        impl<Func, Fut, $($A),*> CallableOnce<($($A,)*)> for Func
        where
            Func: FnOnce($($A),*) -> Fut,
            Fut: Future,
        {
            type Output = Fut::Output;
            type Future = Fut;

            #[inline]
            fn call_once(self, ($($a,)*): ($($A,)*)) -> Fut {
                self($($a),*)
            }
        }

        impl<Func, Fut, $($A),*> CallableMut<($($A,)*)> for Func
        where
            Func: FnMut($($A),*) -> Fut,
            Fut: Future,
        {
            type Repeated = Repeated<Func, ($($A,)*), Fut>;

            #[inline]
            fn repeated(self, args: ($($A,)*)) -> Self::Repeated
            where
                ($($A,)*): Clone,
            {
                Repeated::new(
                    self,
                    args,
                    |function, args, last, mut attempt| {
                        let ($($a,)*) = next(args, last);
                        attempt.set(Attempt::Called(function($($a),*)));
                    },
                    |_| Name::of_function::<Func>(),
                )
            }
        }

        impl<Func, Fut, $($A),*> Callable<($($A,)*)> for Func
        where
            Func: Fn($($A),*) -> Fut,
            Fut: Future,
        {
            fn call_with(&self, ($($a,)*): ($($A,)*)) -> Fut {
                self($($a),*)
            }
        }
    };
}
for_each_arity!(functions_are_callable);

impl<C, Args: Clone> Repeated<C, Args, C::Future>
where
    C: CallableOnce<Args>,
{
    /// Calls a clone each time.
    #[cfg(any(feature = "memo", feature = "tower"))]
    pub(crate) fn cloning(callable: C, args: Args) -> Self
    where
        C: Clone,
    {
        let call = |callable: &mut C, args: &mut Option<Args>, last, mut attempt: Pin<&mut Attempt<C::Future>>| {
            attempt.set(Attempt::Called(callable.clone().call_once(next(args, last))));
        };
        Self::new(callable, args, call, C::name)
    }

    /// Calls by reference.
    pub(crate) fn by_ref(callable: C, args: Args) -> Self
    where
        C: Callable<Args>,
    {
        let call = |callable: &mut C, args: &mut Option<Args>, last, mut attempt: Pin<&mut Attempt<C::Future>>| {
            attempt.set(Attempt::Called(callable.call_with(next(args, last))));
        };
        Self::new(callable, args, call, C::name)
    }
}

impl<C: Callable<Args> + ?Sized, Args> CallableOnce<Args> for Arc<C> {
    type Output = C::Output;
    type Future = C::Future;

    #[inline]
    fn call_once(self, args: Args) -> Self::Future {
        (*self).call_with(args)
    }

    fn name(&self) -> Name {
        (**self).name()
    }

    fn holds_back(&self) -> bool {
        (**self).holds_back()
    }

    fn add_to(&self, chain: &mut Chain) {
        (**self).add_to(chain);
    }
}

impl<C: Callable<Args> + ?Sized, Args> CallableMut<Args> for Arc<C> {
    type Repeated = Repeated<Self, Args, C::Future>;

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        Repeated::by_ref(self, args)
    }
}

impl<C: Callable<Args> + ?Sized, Args> Callable<Args> for Arc<C> {
    fn call_with(&self, args: Args) -> Self::Future {
        (**self).call_with(args)
    }
}

/// Describes the chain inside a wrapper that has no `Args` in its type. The function pointer is
/// taken where `Args` are known.
pub(crate) struct Describe<C> {
    add_to: fn(&C, &mut Chain),
    /// The place of the decorator, which names a closure.
    place: &'static Location<'static>,
}

impl<C> Describe<C> {
    #[track_caller]
    pub(crate) fn new(add_to: fn(&C, &mut Chain)) -> Self {
        Self { add_to, place: Location::caller() }
    }

    /// The same for a function that a stack decorates at `place`.
    pub(crate) fn at(place: &'static Location<'static>, add_to: fn(&C, &mut Chain)) -> Self {
        Self { add_to, place }
    }

    /// The place of the chain's first decorator, if `name` has it.
    pub(crate) fn or_place_of(self, name: &Name) -> Self {
        Self { place: name.place().unwrap_or(self.place), ..self }
    }

    pub(crate) fn place(self) -> &'static Location<'static> {
        self.place
    }

    pub(crate) fn add_to(self, callable: &C, chain: &mut Chain) {
        (self.add_to)(callable, chain);
    }
}

impl<C> Clone for Describe<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Describe<C> {}
