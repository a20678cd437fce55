//! Decorated functions whose type can be written down.

use crate::{
    around::{Around, Decoration, Layer},
    call::{Callable, CallableMut, CallableOnce},
    lazy::awaited_directly,
    name::Name,
    sync::Arc,
};
use futures::future::BoxFuture;
use std::{fmt, future::Future};

/// A decorated function behind one short type: for struct fields, statics and application state.
///
/// Made by [`.boxed()`](crate::FnExt::boxed). Cloning shares the function; each call allocates the box of its future,
/// so put it at the end of a chain. Arguments are owned (`String` or `Arc<str>` in place of `&str`), because the type
/// names no lifetime. A field is called by `.call(..)`: `self.fetch.call(id)`, for rustc takes `self.fetch(id)` for a method.
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
///     fetch: (|id: u64| async move { Ok(format!("user {id}")) }).timeout(Duration::from_secs(2)).boxed(),
/// };
/// assert_eq!(service.fetch.call(7).await.unwrap(), "user 7");
/// # }
/// ```
#[must_use = "a decorated function does nothing until it is called"]
pub struct BoxedFn<Args, Output>(Arc<Erased<Args, Output>>);

type Erased<Args, Output> =
    dyn Callable<Args, Output = Output, Future = BoxFuture<'static, Output>> + Send + Sync + 'static;

impl<Args, Output> BoxedFn<Args, Output> {
    pub(crate) fn new<C>(callable: C) -> Self
    where
        C: Callable<Args, Output = Output> + Send + Sync + 'static,
        C::Future: Send + 'static,
    {
        Self(Arc::new(Around::new(callable, Boxed)))
    }
}

impl<Args, Output> CallableOnce<Args> for BoxedFn<Args, Output> {
    type Output = Output;
    type Future = BoxFuture<'static, Output>;

    fn call_once(self, args: Args) -> Self::Future {
        self.0.call_with(args)
    }

    fn label(&self) -> Name {
        self.0.label()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}

impl<Args, Output> CallableMut<Args> for BoxedFn<Args, Output> {
    fn call_mut(&mut self, args: Args) -> Self::Future {
        self.0.call_with(args)
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
        self.0.describe(f)
    }
}

/// Puts each call's future into a box.
#[derive(Clone)]
struct Boxed;

impl Decoration for Boxed {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".boxed()")
    }
}

impl<Args, F: Future + Send + 'static> Layer<Args, F> for Boxed {
    type Note = ();
    type Future = BoxFuture<'static, F::Output>;

    fn around(self, (): (), call: F) -> Self::Future {
        Box::pin(call)
    }
}
