//! Stacks of decorators without a function: a chain around a hole, which a function fills later.

use super::{Callable, CallableMut, CallableOnce, Late, Repeated, args::DebugArgs, mode::Function};
use crate::{Name, ResultLike};
use std::{convert::Infallible, fmt, future::Pending, marker::PhantomData, panic::Location};

/// Begins a stack: decorators that are written once, for any number of functions with the error
/// type `E`.
///
/// A stack is written as a chain is. [`.decorated_by(&stack)`](crate::FnExt::decorated_by) puts a
/// function into the stack, with any number of arguments, async or sync. The decorated function has
/// the type of the chain written by hand, keeps its own name, and costs no more. All functions
/// share the handles of the stack.
///
/// # What does not fit
///
/// - A stack knows neither arguments nor values. Decorators that take or make them do not fit:
///   `validated`, `memoized`, `fallback`, `fallback_to`, and limiters or breakers by key or by the
///   arguments. Add these to the decorated function. All others fit, with their handles.
/// - A stack with a `hedged` decorates async functions only. A stack is `Clone`, and a stack is
///   decorated as a function is: `base.clone().hedged(&hedge)` for async functions, and `base` for
///   sync ones.
/// - A stack has one error type. For several error types, write the stack in a macro.
/// - A stack's type names each decorator, and no `impl Trait` stands for it. A function therefore
///   cannot return a stack: keep it in a variable, or return the decorated functions.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Error, prelude::*};
/// use std::time::Duration;
///
/// async fn fetch_user(id: u64) -> Result<String, Error> { Ok(format!("user {id}")) }
/// async fn fetch_page(host: &str, path: &str) -> Result<usize, Error> {
///     Ok(host.len() + path.len())
/// }
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let breaker = CircuitBreaker::consecutive(5);
/// let standard = decor::stack::<Error>()
///     .timeout(Duration::from_secs(2))
///     .guarded_by(&breaker)
///     .rate_limited(&limiter)
///     .retry_with(RetryPolicy::default())
///     .transient()
///     .timeout(Duration::from_secs(10));
/// assert!(standard.describe().lints().is_empty());
///
/// let user = fetch_user.decorated_by(&standard);
/// let page = fetch_page.decorated_by(&standard);
/// assert_eq!(user.call(42).await.unwrap(), "user 42");
/// assert_eq!(page.call("a.example", "/").await, Ok(10));
/// assert_eq!(limiter.available(), 8);
/// # }
/// ```
///
/// If `fetch_user` hangs, every caller has its error after 10 s at most, its waits for permits
/// included.
pub fn stack<E>() -> Stack<E> {
    Stack(PhantomData)
}

/// A stack without decorators, made by [`stack`].
///
/// # Examples
///
/// ```
/// let stack: decor::Stack<std::io::Error> = decor::stack();
/// assert_eq!(format!("{stack:?}"), "stack()");
/// ```
#[must_use = "a stack does nothing until a function is decorated by it"]
pub struct Stack<E>(PhantomData<fn() -> E>);

impl<E> Clone for Stack<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Stack<E> {}

impl<E> fmt::Debug for Stack<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stack()")
    }
}

/// The arguments of the function that is not there yet. They have no value, so a stack is never
/// called.
#[derive(Debug, Clone)]
pub struct AnyArguments(Infallible);

/// The value of the function that is not there yet.
#[derive(Debug, Clone)]
pub struct AnyValue(Infallible);

#[diagnostic::do_not_recommend]
impl DebugArgs for AnyArguments {
    fn fmt_args(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

#[diagnostic::do_not_recommend]
impl<E> CallableOnce<AnyArguments> for Stack<E> {
    type Output = Result<AnyValue, E>;
    type Future = Pending<Result<AnyValue, E>>;

    fn call_once(self, args: AnyArguments) -> Self::Future {
        match args.0 {}
    }

    fn name(&self) -> Name {
        Name::from("stack()")
    }
}

#[diagnostic::do_not_recommend]
impl<E> CallableMut<AnyArguments> for Stack<E> {
    type Repeated = Repeated<Self, AnyArguments, Self::Future>;

    fn repeated(self, args: AnyArguments) -> Self::Repeated {
        match args.0 {}
    }
}

#[diagnostic::do_not_recommend]
impl<E> Callable<AnyArguments> for Stack<E> {
    fn call_with(&self, args: AnyArguments) -> Self::Future {
        match args.0 {}
    }
}

/// A stack that fits the function `F`.
///
/// Each wrapper of a function has one impl, which makes the same wrapper around another function.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decorate `{F}`",
    label = "not a stack, or a stack of another error type",
    note = "a stack begins with the error type of the function, as in `decor::stack::<ApiError>().timeout(limit)`"
)]
pub trait Decorates<F, Args, Half> {
    /// The decorated function.
    type Decorated;

    /// Decorates the function. The place names a closure.
    fn decorate(&self, function: F, place: &'static Location<'static>) -> Self::Decorated;
}

impl<F, Args, Half, E> Decorates<F, Args, Half> for Stack<E>
where
    F: Function<Args, Half, Output: ResultLike<Err = E>>,
{
    type Decorated = F;

    fn decorate(&self, function: F, _: &'static Location<'static>) -> F {
        function
    }
}

impl<S: Decorates<F, Args, Half>, F, Args, Half> Decorates<F, Args, Half> for Late<S> {
    type Decorated = Late<S::Decorated>;

    fn decorate(&self, function: F, place: &'static Location<'static>) -> Self::Decorated {
        Late(self.0.decorate(function, place))
    }
}
