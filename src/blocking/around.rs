//! The blocking rungs of [`Around`]: the same wrapper, and the same decorations, around a call that blocks.

use super::call::{Callable, CallableMut, CallableOnce};
use crate::{Around, around::Decoration, call::Describe, name::Name};
use std::fmt;

/// A decorator that wraps a blocking call. The counterpart of [`layer::Layer`](crate::layer::Layer).
///
/// One impl makes it work on functions of every arity, by [`around`]. So can one of your own; this one counts the calls in
/// flight:
///
/// ```
/// use decor::{blocking::{Layer, around}, layer::Decoration, prelude::*};
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
/// impl<Args, T> Layer<Args, T> for InFlight {
///     type Note = ();
///     type Output = T;
///
///     fn around(self, (): (), call: impl FnOnce() -> T) -> T {
///         self.0.fetch_add(1, Relaxed);
///         let output = call(); // a guard would count calls that panic down as well
///         self.0.fetch_sub(1, Relaxed);
///         output
///     }
/// }
///
/// static CALLS: AtomicU32 = AtomicU32::new(0);
/// fn fetch(id: u64) -> u32 { CALLS.load(Relaxed) }
///
/// let fetch = around(fetch.blocking(), InFlight(&CALLS)).timed("fetch");
/// assert_eq!(fetch.call(42), 1);
/// assert_eq!(CALLS.load(Relaxed), 0);
/// ```
pub trait Layer<Args, T>: Decoration {
    /// What it takes down of the arguments before the function gets them; `()` for most.
    type Note: Default;
    /// What the decorated call returns.
    type Output;

    /// Looks at the arguments before they are gone.
    #[track_caller]
    fn note(&self, _args: &Args) -> Self::Note {
        Self::Note::default()
    }

    /// Makes the call, and does what the decorator does around it.
    fn around(self, note: Self::Note, call: impl FnOnce() -> T) -> Self::Output;
}

/// Puts a layer around a blocking function. The layers of this crate have methods for it; this is for your own (see
/// [`Layer`]).
///
/// ```
/// use decor::{Timing, blocking::around, prelude::*};
///
/// let double = around((|n: u32| n * 2).blocking(), Timing::new("double"));
/// assert_eq!(double.call(21), 42);
/// ```
pub fn around<C, L, Args>(callable: C, layer: L) -> Around<C, L>
where
    C: CallableOnce<Args>,
{
    Around::with_description(callable, layer, Describe::by(C::describe))
}

impl<C, L, Args> CallableOnce<Args> for Around<C, L>
where
    C: CallableOnce<Args>,
    L: Layer<Args, C::Output>,
{
    type Output = L::Output;

    #[inline]
    fn call_once(self, args: Args) -> L::Output {
        let (callable, layer) = self.into_parts();
        let note = layer.note(&args);
        layer.around(note, move || callable.call_once(args))
    }

    fn label(&self) -> Name {
        let (callable, layer) = self.parts();
        layer.rename().map_or_else(|| callable.label(), Name::Given)
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (callable, layer) = self.parts();
        callable.describe(f)?;
        layer.describe(f)
    }
}

impl<C, L, Args> CallableMut<Args> for Around<C, L>
where
    C: CallableMut<Args>,
    L: Layer<Args, C::Output> + Clone,
{
    #[inline]
    fn call_mut(&mut self, args: Args) -> L::Output {
        let (callable, layer) = self.parts_mut();
        let note = layer.note(&args);
        layer.clone().around(note, move || callable.call_mut(args))
    }
}

impl<C, L, Args> Callable<Args> for Around<C, L>
where
    C: Callable<Args>,
    L: Layer<Args, C::Output> + Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> L::Output {
        let (callable, layer) = self.parts();
        let note = layer.note(&args);
        layer.clone().around(note, move || callable.call_with(args))
    }
}
