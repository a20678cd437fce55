//! Traits of callable functions, as in [`crate::call`], for functions that return no future.

use super::arity::for_each_arity;
use crate::{Name, describe::Chain, sync::Arc};
use std::{fmt, time::Duration};

/// A function that can be called once with `Args` (a tuple) and blocks until it returns.
///
/// # Examples
///
/// ```
/// use decor::{blocking::CallableOnce, prelude::*};
///
/// fn double(n: u32) -> u32 { n * 2 }
/// assert_eq!(double.blocking().call_once((21,)), 42);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking function that can be called with `{Args}`",
    note = "a sync function or closure becomes one by `.blocking()`",
    note = "`.run()` calls a function without arguments; a function with arguments has `.call(..)`",
    note = "a reference to a decorated function cannot: clone the function, or share it as an `Arc`"
)]
pub trait CallableOnce<Args> {
    /// The output of a call.
    type Output;

    /// Calls the function, by value.
    #[track_caller]
    fn call_once(self, args: Args) -> Self::Output;

    /// The name of the innermost function of the chain: its last path segment, or the name that
    /// `.named(..)` gave it.
    fn name(&self) -> Name {
        Name::of_function::<Self>()
    }

    /// Returns `true` if the call may end without a call of the function. The decorator that holds
    /// the call back then marks the thread: see `call/called.rs`.
    #[doc(hidden)]
    fn holds_back(&self) -> bool {
        false
    }

    /// The time until the limiter that a call with these arguments has paused admits calls again.
    /// Zero without a pause.
    #[doc(hidden)]
    fn pause_left(&self, args: &Args) -> Duration {
        let _ = args;
        Duration::ZERO
    }

    /// Adds the function and its decorators to a description, from the inside out.
    #[doc(hidden)]
    fn add_to(&self, chain: &mut Chain) {
        chain.begin(self.name());
    }
}

/// `.run()` of functions without arguments.
pub trait Run: CallableOnce<()> + Sized {
    /// Calls a function without arguments once, by value. A closure that changes what it captures
    /// can be called in this way.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::prelude::*;
    ///
    /// let mut calls = 0;
    /// let answer = (|| { calls += 1; 42 }).blocking().timed("answer").run();
    /// assert_eq!((answer, calls), (42, 1));
    /// ```
    #[track_caller]
    fn run(self) -> Self::Output {
        self.call_once(())
    }
}

impl<C: CallableOnce<()>> Run for C {}

/// A function that its owner can call several times, one call after the other.
///
/// # Examples
///
/// ```
/// use decor::{blocking::CallableMut, prelude::*};
///
/// let mut calls = 0;
/// let mut count = (|| { calls += 1; calls }).blocking();
/// count.call_mut(());
/// assert_eq!(count.call_mut(()), 2);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be called with `{Args}` more than once",
    note = "a retry needs a function that can be called again"
)]
pub trait CallableMut<Args>: CallableOnce<Args> {
    /// Calls the function, by `&mut`.
    #[track_caller]
    fn call_mut(&mut self, args: Args) -> Self::Output;
}

/// A function that can be called many times at the same time: the bound for code that takes any
/// decorated sync function.
///
/// `.call(..)` from the [prelude](crate::prelude) takes the arguments one by one.
///
/// # Examples
///
/// ```
/// use decor::{blocking::Callable, prelude::*};
///
/// fn both<C: Callable<(u64,), Output = u64>>(fetch: &C) -> u64 { fetch.call(1) + fetch.call(2) }
///
/// fn double(n: u64) -> u64 { n * 2 }
/// assert_eq!(both(&double.blocking().timed("double")), 6);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be called through `&self` with `{Args}`",
    label = "not a `blocking::Callable<{Args}>`",
    note = "the function must be `Fn`, and the closures given to its decorators `Clone`: functions are, and closures over references or `Arc`s",
    note = "a reference to a decorated function cannot: clone the function, or share it as an `Arc`"
)]
pub trait Callable<Args>: CallableMut<Args> {
    /// Calls the function, by `&self`, with the arguments as a tuple.
    #[track_caller]
    fn call_with(&self, args: Args) -> Self::Output;
}

/// A sync function that can be decorated, made by [`.blocking()`](SyncFn::blocking).
///
/// # Examples
///
/// ```
/// use decor::{blocking::Blocking, prelude::*};
///
/// fn double(n: u32) -> u32 { n * 2 }
/// let double: Blocking<fn(u32) -> u32> = (double as fn(u32) -> u32).blocking();
/// assert_eq!(double.call(21), 42);
/// ```
#[derive(Clone, Copy)]
#[must_use = "a decorated function does nothing until it is called"]
pub struct Blocking<F>(F);

/// `.blocking()` of sync functions and closures with 0 to 8 arguments.
///
/// The compiler takes an async function for a sync function that returns a future.
/// `async_fn.blocking()` would therefore decorate the creation of the future, which takes no time
/// and cannot fail. Leave `.blocking()` out for async functions.
///
/// # Examples
///
/// ```
/// use decor::prelude::*;
///
/// let parse = (|text: &str| text.parse::<u8>()).blocking().timed("parse");
/// assert_eq!(parse.call("42"), Ok(42));
/// ```
pub trait SyncFn<Args>: Sized {
    /// Gives the function every decorator that async functions have: see
    /// [`FnExt`](crate::FnExt).
    fn blocking(self) -> Blocking<Self> {
        Blocking(self)
    }
}

impl<F> fmt::Debug for Blocking<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.blocking()", Name::of_function::<F>().get())
    }
}

macro_rules! functions_are_callable {
    ($Call:ident; $($A:ident $a:ident),*) => {
        impl<Func, Out, $($A),*> SyncFn<($($A,)*)> for Func where Func: FnOnce($($A),*) -> Out {}

        impl<Func, Out, $($A),*> CallableOnce<($($A,)*)> for Blocking<Func>
        where
            Func: FnOnce($($A),*) -> Out,
        {
            type Output = Out;

            #[inline]
            fn call_once(self, ($($a,)*): ($($A,)*)) -> Out {
                (self.0)($($a),*)
            }

            fn name(&self) -> Name {
                Name::of_function::<Func>()
            }

            fn add_to(&self, chain: &mut Chain) {
                chain.begin(format_args!("{self:?}"));
            }
        }

        impl<Func, Out, $($A),*> CallableMut<($($A,)*)> for Blocking<Func>
        where
            Func: FnMut($($A),*) -> Out,
        {
            #[inline]
            fn call_mut(&mut self, ($($a,)*): ($($A,)*)) -> Out {
                (self.0)($($a),*)
            }
        }

        impl<Func, Out, $($A),*> Callable<($($A,)*)> for Blocking<Func>
        where
            Func: Fn($($A),*) -> Out,
        {
            #[inline]
            fn call_with(&self, ($($a,)*): ($($A,)*)) -> Out {
                (self.0)($($a),*)
            }
        }
    };
}
for_each_arity!(functions_are_callable);

impl<C: Callable<Args> + ?Sized, Args> CallableOnce<Args> for Arc<C> {
    type Output = C::Output;

    fn call_once(self, args: Args) -> C::Output {
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

    fn pause_left(&self, args: &Args) -> Duration {
        (**self).pause_left(args)
    }
}

impl<C: Callable<Args> + ?Sized, Args> CallableMut<Args> for Arc<C> {
    fn call_mut(&mut self, args: Args) -> C::Output {
        (**self).call_with(args)
    }
}

impl<C: Callable<Args> + ?Sized, Args> Callable<Args> for Arc<C> {
    fn call_with(&self, args: Args) -> C::Output {
        (**self).call_with(args)
    }
}
