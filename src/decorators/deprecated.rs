//! Telling callers that a function will go.

use crate::{
    around::{Decoration, Layer},
    blocking,
    name::Name,
    sync::{Arc, AtomicBool, Ordering},
    trace,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

/// How `.deprecated_with(..)` warns.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{Deprecation, prelude::*};
///
/// async fn fetch(id: u64) -> u64 { id }
/// let fetch = fetch.deprecated_with(Deprecation::new("use fetch_v2").every_call());
/// assert_eq!(fetch.call(1).await, 1); // warns
/// assert_eq!(fetch.call(2).await, 2); // and again
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is given to `.deprecated_with(..)`"]
pub struct Deprecation {
    advice: &'static str,
    every_call: bool,
}

impl Deprecation {
    /// Warns once per decorated function, with this advice.
    ///
    /// ```
    /// let deprecation = decor::Deprecation::new("use fetch_v2");
    /// assert!(format!("{deprecation:?}").contains("use fetch_v2"));
    /// ```
    pub fn new(advice: &'static str) -> Self {
        Self { advice, every_call: false }
    }

    /// Warns at every call, to find all the places that still make one.
    ///
    /// ```
    /// let deprecation = decor::Deprecation::new("use fetch_v2").every_call();
    /// assert!(format!("{deprecation:?}").contains("every_call: true"));
    /// ```
    pub fn every_call(mut self) -> Self {
        self.every_call = true;
        self
    }
}

/// The decoration of [`.deprecated(..)`](crate::FnExt::deprecated).
///
/// ```
/// use decor::{Around, layer::Deprecated, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn double(n: u32) -> Ready<u32> { ready(n * 2) }
///
/// let chain: Around<fn(u32) -> Ready<u32>, Deprecated> = (double as fn(u32) -> _).deprecated("use triple");
/// assert_eq!(format!("{chain:?}"), r#"fn.deprecated("use triple")"#);
/// ```
#[derive(Debug, Clone)]
pub struct Deprecated {
    deprecation: Deprecation,
    name: Name,
    /// Shared by clones, which are still the same decorated function.
    warned: Arc<AtomicBool>,
}

impl Deprecated {
    pub(crate) fn new(deprecation: Deprecation, name: Name) -> Self {
        Self { deprecation, name, warned: Arc::new(AtomicBool::new(false)) }
    }

    /// Of the call, if it is to be warned of.
    #[track_caller]
    fn place(&self) -> Option<Place> {
        let silent = self.warned.load(Ordering::Relaxed) && !self.deprecation.every_call;
        if silent { None } else { Some(Place(Location::caller())) }
    }

    fn warn(&self, place: Place) {
        if self.warned.swap(true, Ordering::Relaxed) && !self.deprecation.every_call {
            return;
        }
        let (name, advice) = (self.name.get(), self.deprecation.advice);
        if let Some(place) = place.outside_decor() {
            tracing::warn!(target: trace::CALL, name, %place, "{name} is deprecated: {advice} (called at {place})");
        } else {
            tracing::warn!(target: trace::CALL, name, "{name} is deprecated: {advice}");
        }
    }
}

/// Where a call was written.
#[derive(Debug, Clone, Copy)]
pub struct Place(&'static Location<'static>);

impl Place {
    /// A call that decor makes itself (inside a retry, by `.await`) has its place in decor's own source, which would help
    /// nobody.
    fn outside_decor(self) -> Option<&'static Location<'static>> {
        let decor = &file!()[..file!().len() - "decorators/deprecated.rs".len()];
        (!self.0.file().starts_with(decor)).then_some(self.0)
    }
}

/// The future of a [`.deprecated(..)`](crate::FnExt::deprecated) call. It warns when it is polled.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{future::DeprecatedFuture, prelude::*};
/// use std::future::{Ready, ready};
///
/// let double = (|n: u32| ready(n * 2)).deprecated("use triple");
/// let call: DeprecatedFuture<Ready<u32>> = double.call(21);
/// assert_eq!(call.await, 42);
/// # }
/// ```
///
/// # Cancel safety
///
/// As the call's own.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct DeprecatedFuture<F> {
    #[pin]
    call: F,
    warning: Option<(Deprecated, Place)>,
}

impl<F: Future> Future for DeprecatedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some((deprecated, place)) = this.warning.take() {
            deprecated.warn(place);
        }
        this.call.poll(cx)
    }
}

impl<F> fmt::Debug for DeprecatedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeprecatedFuture").field("warning", &self.warning).finish_non_exhaustive()
    }
}

impl Decoration for Deprecated {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".deprecated({:?})", self.deprecation.advice)
    }
}

impl<Args, F: Future> Layer<Args, F> for Deprecated {
    type Note = Option<Place>;
    type Future = DeprecatedFuture<F>;

    #[inline]
    fn note(&self, _: &Args) -> Option<Place> {
        self.place()
    }

    #[inline]
    fn around(self, place: Option<Place>, call: F) -> Self::Future {
        DeprecatedFuture { call, warning: place.map(|place| (self, place)) }
    }
}

impl<Args, T> blocking::Layer<Args, T> for Deprecated {
    type Note = Option<Place>;
    type Output = T;

    #[inline]
    fn note(&self, _: &Args) -> Option<Place> {
        self.place()
    }

    #[inline]
    fn around(self, place: Option<Place>, call: impl FnOnce() -> T) -> T {
        if let Some(place) = place {
            self.warn(place);
        }
        call()
    }
}
