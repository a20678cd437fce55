//! A name for what has none, or none that is good.

use crate::around::{Decoration, Layer};
use crate::blocking;
use std::{fmt, future::Future};

/// The decoration of [`.named(..)`](crate::FnExt::named).
///
/// ```
/// use decor::{Around, layer::Named, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn double(n: u32) -> Ready<u32> { ready(n * 2) }
///
/// let chain: Around<fn(u32) -> Ready<u32>, Named> = (double as fn(u32) -> _).named("twice");
/// assert_eq!(format!("{chain:?}"), r#"fn.named("twice")"#);
/// ```
#[derive(Debug, Clone)]
pub struct Named(pub(crate) &'static str);

impl Decoration for Named {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".named({:?})", self.0)
    }

    fn rename(&self) -> Option<&'static str> {
        Some(self.0)
    }
}

impl<Args, F: Future> Layer<Args, F> for Named {
    type Note = ();
    type Future = F;

    #[inline]
    fn around(self, (): (), call: F) -> F {
        call
    }
}

impl<Args, T> blocking::Layer<Args, T> for Named {
    type Note = ();
    type Output = T;

    #[inline]
    fn around(self, (): (), call: impl FnOnce() -> T) -> T {
        call()
    }
}
