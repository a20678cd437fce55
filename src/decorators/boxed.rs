//! Decorated functions with a short type.

use crate::{
    Name,
    call::{
        Callable, CallableMut, CallableOnce, Repeated, awaited_directly, blocking,
        mode::{self, AsyncHalf, BlockingHalf},
    },
    describe::{Chain, Step, StepKind},
    sync::Arc,
};
use futures::future::BoxFuture;
use std::fmt;

/// A function that can be put behind a [`BoxedFn`], async or blocking.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be boxed",
    note = "the function must be `Clone + Send + Sync + 'static`, and the future of its calls `Send + 'static`: use owned arguments, `String` or `Arc<str>` in place of `&str`"
)]
pub trait Boxable<Args, Half>: mode::Function<Args, Half> {
    /// The boxed function.
    type Boxed;

    /// Boxes the function.
    fn into_boxed(self) -> Self::Boxed;
}

impl<C, Args> Boxable<Args, AsyncHalf> for C
where
    C: Callable<Args> + Send + Sync + 'static,
    C::Future: Send + 'static, // use owned arguments: `String` or `Arc<str>` in place of `&str`
{
    type Boxed = BoxedFn<Args, C::Output>;

    fn into_boxed(self) -> Self::Boxed {
        BoxedFn(Arc::new(Boxing(self)))
    }
}

impl<C, Args> Boxable<Args, BlockingHalf> for C
where
    C: blocking::Callable<Args> + Send + Sync + 'static,
{
    type Boxed = BlockingFn<Args, C::Output>;

    fn into_boxed(self) -> Self::Boxed {
        BlockingFn(Arc::new(self))
    }
}

/// A decorated function behind a short type, for struct fields, statics and application state.
///
/// Made by [`.boxed()`](crate::FnExt::boxed). Clones share the function. Each call allocates a box
/// for its future, so put `.boxed()` at the end of a chain. Arguments must be owned (`String` or
/// `Arc<str>` in place of `&str`), because the type names no lifetime. Call a field with
/// `self.fetch.call(id)`, because rustc takes `self.fetch(id)` for a method.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{BoxedFn, prelude::*};
/// use std::time::Duration;
///
/// struct Service {
///     fetch: BoxedFn<(u64,), Result<String, decor::Error>>,
/// }
///
/// let service = Service {
///     fetch: (|id: u64| async move { Ok(format!("user {id}")) })
///         .timeout(Duration::from_secs(2))
///         .boxed(),
/// };
/// assert_eq!(service.fetch.call(7).await.unwrap(), "user 7");
/// # }
/// ```
#[must_use = "a decorated function does nothing until it is called"]
pub struct BoxedFn<Args, Output>(Arc<Erased<Args, Output>>);

type Erased<Args, Output> =
    dyn Callable<Args, Output = Output, Future = BoxFuture<'static, Output>> + Send + Sync + 'static;

impl<Args, Output> CallableOnce<Args> for BoxedFn<Args, Output> {
    type Output = Output;
    type Future = BoxFuture<'static, Output>;

    fn call_once(self, args: Args) -> Self::Future {
        self.0.call_with(args)
    }

    fn name(&self) -> Name {
        self.0.name()
    }

    fn holds_back(&self) -> bool {
        self.0.holds_back()
    }

    fn add_to(&self, chain: &mut Chain) {
        self.0.add_to(chain);
    }
}

impl<Args, Output> CallableMut<Args> for BoxedFn<Args, Output> {
    type Repeated = Repeated<Self, Args, BoxFuture<'static, Output>>;

    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        Repeated::by_ref(self, args)
    }
}

impl<Args, Output> Callable<Args> for BoxedFn<Args, Output> {
    fn call_with(&self, args: Args) -> Self::Future {
        self.0.call_with(args)
    }
}

awaited_directly!(BoxedFn<Args, Output>, Args, Output);

impl<Args, Output> Clone for BoxedFn<Args, Output> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Args, Output> fmt::Debug for BoxedFn<Args, Output> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain::of(|chain| self.add_to(chain)).fmt(f)
    }
}

fn boxed() -> Step {
    Step::new(".boxed()", StepKind::Immediate)
}

/// Puts each call's future into a box.
struct Boxing<C>(C);

impl<C, Args> CallableOnce<Args> for Boxing<C>
where
    C: CallableOnce<Args>,
    C::Future: Send + 'static,
{
    type Output = C::Output;
    type Future = BoxFuture<'static, C::Output>;

    fn call_once(self, args: Args) -> Self::Future {
        Box::pin(self.0.call_once(args))
    }

    fn name(&self) -> Name {
        self.0.name()
    }

    fn holds_back(&self) -> bool {
        self.0.holds_back()
    }

    fn add_to(&self, chain: &mut Chain) {
        self.0.add_to(chain);
        chain.push(boxed());
    }
}

impl<C, Args> CallableMut<Args> for Boxing<C>
where
    C: Callable<Args>,
    C::Future: Send + 'static,
{
    type Repeated = Repeated<Self, Args, Self::Future>;

    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        Repeated::by_ref(self, args)
    }
}

impl<C, Args> Callable<Args> for Boxing<C>
where
    C: Callable<Args>,
    C::Future: Send + 'static,
{
    fn call_with(&self, args: Args) -> Self::Future {
        Box::pin(self.0.call_with(args))
    }
}

// ---- the blocking half ----

/// A decorated sync function behind a short type, for struct fields, statics and application state.
///
/// Made by [`.boxed()`](crate::FnExt::boxed). Clones share the function. Arguments must be owned
/// (`String` or `Arc<str>` in place of `&str`), because the type names no lifetime.
///
/// # Examples
///
/// ```
/// use decor::{blocking::BoxedFn, prelude::*};
///
/// struct Service {
///     parse: BoxedFn<(String,), Result<u8, std::num::ParseIntError>>,
/// }
///
/// let parse = (|text: String| text.parse()).blocking().timed("parse").boxed();
/// let service = Service { parse };
/// assert_eq!(service.parse.call("42".into()), Ok(42));
/// ```
#[must_use = "a decorated function does nothing until it is called"]
pub struct BlockingFn<Args, Output>(Arc<dyn blocking::Callable<Args, Output = Output> + Send + Sync>);

impl<Args, Output> blocking::CallableOnce<Args> for BlockingFn<Args, Output> {
    type Output = Output;

    fn call_once(self, args: Args) -> Output {
        self.0.call_with(args)
    }

    fn name(&self) -> Name {
        self.0.name()
    }

    fn holds_back(&self) -> bool {
        self.0.holds_back()
    }

    fn add_to(&self, chain: &mut Chain) {
        self.0.add_to(chain);
        chain.push(boxed());
    }
}

impl<Args, Output> blocking::CallableMut<Args> for BlockingFn<Args, Output> {
    fn call_mut(&mut self, args: Args) -> Output {
        self.0.call_with(args)
    }
}

impl<Args, Output> blocking::Callable<Args> for BlockingFn<Args, Output> {
    fn call_with(&self, args: Args) -> Output {
        self.0.call_with(args)
    }
}

impl<Args, Output> Clone for BlockingFn<Args, Output> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Args, Output> fmt::Debug for BlockingFn<Args, Output> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain::of(|chain| blocking::CallableOnce::add_to(self, chain)).fmt(f)
    }
}
