//! Functions with a context, in place of `async move` closures that lend what they own.

use super::{
    Callable, CallableMut, CallableOnce, Repeated,
    arity::for_each_arity,
    awaited_directly,
    repeat::{Attempt, next},
};
use crate::Name;
use std::{fmt, future::Future};

/// Returns a function that passes a clone of `context` to `function` at each call, before the
/// arguments.
///
/// | instead of | write |
/// |---|---|
/// | `async move \|id: u64\| client.get(id).await` | `with_context(client, async \|client: Client, id: u64\| client.get(id).await)` |
/// | `with_context(client, Client::get)`, a method with `&self` | the same |
/// | `with_context(client, Client::get)`, a method with `self` or `self: Arc<Self>` | that: it works as it is |
/// | `async \|id: u64\| client.get(id).await` | that: it borrows `client` |
///
/// The function takes the context by value, and 0 to 8 arguments. A method with `&self` takes a
/// reference, so it needs the closure. The arguments of a closure have their types written. If an
/// argument is borrowed, the closure must be an async one: `async |client: Client, path: &str| ..`.
///
/// The context is cloned for each call, and before a retry for each attempt. It should therefore be
/// cheap to clone, as clients and pools are.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// # use decor::prelude::*;
/// # #[derive(Clone)] struct Client;
/// # impl Client { async fn get(&self, id: u64) -> Result<u64, String> { Ok(id) } }
/// # let (client, policy) = (Client, RetryPolicy::default());
/// let get = async |client: Client, id: u64| client.get(id).await;
/// let fetch = decor::with_context(client, get)
///     .named("fetch")
///     .retry_with(&policy);
/// assert_eq!(fetch.call(42).await, Ok(42));
/// # }
/// ```
///
/// An async closure that *owns* what it lends to its own future is not a
/// [`Callable`](crate::Callable), because the type of its future depends on the borrow:
///
/// ```compile_fail
/// # use decor::prelude::*;
/// # #[derive(Clone)] struct Client;
/// # impl Client { async fn get(&self, id: u64) -> Result<u64, String> { Ok(id) } }
/// # let (client, policy) = (Client, RetryPolicy::default());
/// let fetch = (async move |id: u64| client.get(id).await).retry_with(&policy);
/// ```
pub fn with_context<X, F, Args>(context: X, function: F) -> WithContext<X, F>
where
    F: TakesContext<X, Args>,
{
    WithContext { context, function }
}

/// A function that takes a context by value, before its arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take the context `{X}` by value as its first argument, or returns no future",
    label = "not a function of `{X}` and further arguments",
    note = "a method with `&self` borrows its receiver: write `async |client: {X}, id: u64| client.get(id).await` in its place",
    note = "a closure has its arguments' types written, the context's first"
)]
pub trait TakesContext<X, Args> {}

/// A function together with its context, made by [`with_context`].
#[derive(Clone)]
#[must_use = "a function does nothing until it is called"]
pub struct WithContext<X, F> {
    context: X,
    function: F,
}

macro_rules! context_comes_first {
    ($Call:ident; $($A:ident $a:ident),*) => {
        #[diagnostic::do_not_recommend]
        impl<X, F, Fut, $($A),*> TakesContext<X, ($($A,)*)> for F
        where
            F: FnOnce(X, $($A),*) -> Fut,
            Fut: Future,
        {
        }

        impl<X, F, Fut, $($A),*> CallableOnce<($($A,)*)> for WithContext<X, F>
        where
            F: FnOnce(X, $($A),*) -> Fut,
            Fut: Future,
        {
            type Output = Fut::Output;
            type Future = Fut;

            #[inline]
            fn call_once(self, ($($a,)*): ($($A,)*)) -> Fut {
                (self.function)(self.context, $($a),*)
            }

            fn name(&self) -> Name {
                Name::of_function::<F>()
            }
        }

        impl<X: Clone, F, Fut, $($A),*> CallableMut<($($A,)*)> for WithContext<X, F>
        where
            F: FnMut(X, $($A),*) -> Fut,
            Fut: Future,
        {
            type Repeated = Repeated<Self, ($($A,)*), Fut>;

            fn repeated(self, args: ($($A,)*)) -> Self::Repeated
            where
                ($($A,)*): Clone,
            {
                Repeated::new(
                    self,
                    args,
                    |this, args, last, mut attempt| {
                        let ($($a,)*) = next(args, last);
                        attempt.set(Attempt::Called((this.function)(this.context.clone(), $($a),*)));
                    },
                    |_| Name::of_function::<F>(),
                )
            }
        }

        impl<X: Clone, F, Fut, $($A),*> Callable<($($A,)*)> for WithContext<X, F>
        where
            F: Fn(X, $($A),*) -> Fut,
            Fut: Future,
        {
            fn call_with(&self, ($($a,)*): ($($A,)*)) -> Fut {
                (self.function)(self.context.clone(), $($a),*)
            }
        }
    };
}
for_each_arity!(context_comes_first);

awaited_directly!(WithContext<X, F>, X, F);

impl<X, F> fmt::Debug for WithContext<X, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Name::of_function::<F>().get())
    }
}
