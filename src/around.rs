//! The one wrapper of every decorator that lets the call through and does its work around the call's future.

use crate::{
    call::{Callable, CallableMut, CallableOnce, Describe},
    lazy::awaited_directly,
    name::Name,
};
use std::{fmt, future::Future};

/// How a decorator shows itself. See [`Layer`] for an example.
pub trait Decoration {
    /// Writes the method call that added it: `.timeout(2s)`.
    #[allow(clippy::missing_errors_doc)] // the formatter's own
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The function's new name, if the decorator changes it; only `.named(..)` does.
    fn rename(&self) -> Option<&'static str> {
        None
    }
}

/// A decorator that wraps the future of each call.
///
/// One impl makes it work on functions of every arity and on every rung of the ladder, by [`Around`]. So can one of
/// your own; this one counts the calls in flight:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{Around, layer::{Decoration, Layer}, prelude::*};
/// use futures::future::BoxFuture;
/// use std::{fmt, sync::atomic::{AtomicU32, Ordering::Relaxed}};
///
/// #[derive(Clone)]
/// struct InFlight(&'static AtomicU32);
///
/// impl Decoration for InFlight {
///     fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str(".in_flight()")
///     }
/// }
///
/// impl<Args, F: Future + Send + 'static> Layer<Args, F> for InFlight {
///     type Note = ();
///     type Future = BoxFuture<'static, F::Output>;
///
///     fn around(self, (): (), call: F) -> Self::Future {
///         Box::pin(async move {
///             self.0.fetch_add(1, Relaxed);
///             let output = call.await; // a guard would count dropped calls down as well
///             self.0.fetch_sub(1, Relaxed);
///             output
///         })
///     }
/// }
///
/// static CALLS: AtomicU32 = AtomicU32::new(0);
/// async fn fetch(id: u64) -> u32 { CALLS.load(Relaxed) }
///
/// let fetch = Around::new(fetch, InFlight(&CALLS)).timed("fetch");
/// assert_eq!(fetch.call(42).await, 1);
/// assert_eq!(CALLS.load(Relaxed), 0);
/// # }
/// ```
pub trait Layer<Args, F: Future>: Decoration {
    /// What it takes down of the arguments before the function gets them; `()` for most.
    type Note: Default;
    /// The wrapped future.
    type Future: Future;

    /// Looks at the arguments before they are gone. Nothing may be logged or waited for here: the call may never be
    /// polled.
    #[track_caller]
    fn note(&self, _args: &Args) -> Self::Note {
        Self::Note::default()
    }

    /// Wraps the call's future.
    fn around(self, note: Self::Note, call: F) -> Self::Future;
}

/// A function with a decorator around each call.
///
/// Made by the methods of [`FnExt`](crate::FnExt). `Clone` when its parts are; `Debug` shows the chain as it was
/// written:
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
    /// Puts a layer around a function. The layers of this crate have methods for it; this is for your own (see
    /// [`Layer`]).
    pub fn new<Args>(callable: C, layer: L) -> Self
    where
        C: CallableOnce<Args>,
    {
        Self::with_description(callable, layer, Describe::of::<Args>())
    }

    pub(crate) fn with_description(callable: C, layer: L, describe: Describe<C>) -> Self {
        Self { callable, layer, describe }
    }

    pub(crate) fn into_parts(self) -> (C, L) {
        (self.callable, self.layer)
    }

    pub(crate) fn parts(&self) -> (&C, &L) {
        (&self.callable, &self.layer)
    }

    pub(crate) fn parts_mut(&mut self) -> (&mut C, &L) {
        (&mut self.callable, &self.layer)
    }
}

impl<C, L, Args> CallableOnce<Args> for Around<C, L>
where
    C: CallableOnce<Args>,
    L: Layer<Args, C::Future>,
{
    type Output = <L::Future as Future>::Output;
    type Future = L::Future;

    fn call_once(self, args: Args) -> Self::Future {
        let note = self.layer.note(&args);
        self.layer.around(note, self.callable.call_once(args))
    }

    fn label(&self) -> Name {
        self.layer.rename().map_or_else(|| self.callable.label(), Name::Given)
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.callable.describe(f)?;
        self.layer.describe(f)
    }
}

impl<C, L, Args> CallableMut<Args> for Around<C, L>
where
    C: CallableMut<Args>,
    L: Layer<Args, C::Future> + Clone,
{
    fn call_mut(&mut self, args: Args) -> Self::Future {
        let note = self.layer.note(&args);
        self.layer.clone().around(note, self.callable.call_mut(args))
    }
}

impl<C, L, Args> Callable<Args> for Around<C, L>
where
    C: Callable<Args>,
    L: Layer<Args, C::Future> + Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        let note = self.layer.note(&args);
        self.layer.clone().around(note, self.callable.call_with(args))
    }
}

awaited_directly!(Around<C, L>, C, L);

impl<C, L: Decoration> fmt::Debug for Around<C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe.write(&self.callable, f)?;
        self.layer.describe(f)
    }
}
