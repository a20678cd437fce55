//! `.call(..)` and `.into_fn()` for each number of arguments.
//!
//! A trait for each number, so that the arguments can be written spread out. The prelude brings all
//! nine into scope without their names.
//!
//! Each trait has two impls, one for each half. When neither applies, rustc says in six lines that
//! there is no method `call`. With one impl, it lists the bounds of every number of arguments, in
//! forty lines below the error that matters.

use super::{
    Callable,
    arity::for_each_arity,
    blocking,
    mode::{AsyncHalf, BlockingHalf},
};

macro_rules! call_by_arity {
    ($Call:ident; $($A:ident $a:ident),*) => {
        #[doc = concat!("The methods of a decorated function with the arguments `(", $(stringify!($a), ", ",)* ")`.")]
        ///
        /// Implemented for every [`Callable`] and every
        /// [`blocking::Callable`](crate::blocking::Callable) with as many arguments. `Half` marks
        /// the function as async or sync, and rustc infers it. The [prelude](crate::prelude) has
        /// the trait without its name.
        ///
        /// # Examples
        ///
        /// See [`decor::calling`](crate::calling).
        pub trait $Call<Half, $($A),*> {
            /// The future of a call of an async function, or the output of a sync function.
            type Returned;

            /// Calls the decorated function.
            ///
            /// Shows the arguments to the decorators that need them. Nothing is logged, timed or
            /// admitted before the first poll of the future. A decorator that may hold a call back
            /// or refuse it calls the function once it has let the call through. Without such a
            /// decorator the function is called at once, as by `f(x)`. A sync function blocks the
            /// thread until it returns.
            ///
            /// # Examples
            ///
            /// See [`decor::calling`](crate::calling).
            #[track_caller]
            #[allow(clippy::too_many_arguments)] // as many as the function has
            fn call(&self, $($a: $A),*) -> Self::Returned;

            /// Turns the chain into a closure, for code that takes a function.
            ///
            /// The closure of an async function is `Fn(..) -> Future` and `AsyncFn(..) -> Output`,
            /// that of a sync function `Fn(..) -> Output`. A function that takes a reference keeps
            /// one lifetime for all calls of the closure.
            ///
            /// # Examples
            ///
            /// See [`decor::calling`](crate::calling#as-a-function).
            fn into_fn(self) -> impl Fn($($A),*) -> Self::Returned + Clone
            where
                Self: Clone;
        }

        impl<Func: Callable<($($A,)*)> + ?Sized, $($A),*> $Call<AsyncHalf, $($A),*> for Func {
            type Returned = Func::Future;

            #[inline]
            fn call(&self, $($a: $A),*) -> Func::Future {
                self.call_with(($($a,)*))
            }

            // More than the trait says, because rustc takes no `Fn(A) -> Fut` of a bound for an
            // `AsyncFn(A)`.
            #[allow(refining_impl_trait)]
            fn into_fn(self) -> impl Fn($($A),*) -> Func::Future + AsyncFn($($A),*) -> Func::Output + Clone
            where
                Self: Clone,
            {
                move |$($a),*| self.call_with(($($a,)*))
            }
        }

        impl<Func: blocking::Callable<($($A,)*)> + ?Sized, $($A),*> $Call<BlockingHalf, $($A),*> for Func {
            type Returned = Func::Output;

            #[inline]
            fn call(&self, $($a: $A),*) -> Func::Output {
                self.call_with(($($a,)*))
            }

            fn into_fn(self) -> impl Fn($($A),*) -> Func::Output + Clone
            where
                Self: Clone,
            {
                move |$($a),*| self.call_with(($($a,)*))
            }
        }
    };
}
for_each_arity!(call_by_arity);
