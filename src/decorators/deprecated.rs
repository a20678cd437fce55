//! Warnings to the callers of a function that will go.

use crate::{
    Name,
    describe::StepKind,
    layer::{Captures, Decoration, Gate, GateSource, Renewable, Wait, repeats_in_place},
    sync::{Arc, AtomicBool, Ordering},
    trace,
};
use std::{fmt, panic::Location, task::Poll};

/// Settings of `.deprecated_with(..)`.
///
/// # Examples
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
#[must_use = "a `Deprecation` does nothing until it is given to `.deprecated_with(..)`"]
pub struct Deprecation {
    advice: &'static str,
    every_call: bool,
}

impl Deprecation {
    /// Warns once per decorated function, with this advice.
    ///
    /// # Examples
    ///
    /// ```
    /// let deprecation = decor::Deprecation::new("use fetch_v2");
    /// assert!(format!("{deprecation:?}").contains("use fetch_v2"));
    /// ```
    pub fn new(advice: &'static str) -> Self {
        Self { advice, every_call: false }
    }

    /// Warns at every call, to find all call sites.
    ///
    /// # Examples
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
#[derive(Debug, Clone)]
pub struct Deprecated {
    deprecation: Deprecation,
    name: Name,
    /// `true` after the first warning. Shared by clones, which are the same decorated function.
    warned: Arc<AtomicBool>,
}

impl Deprecated {
    pub(crate) fn new(deprecation: Deprecation, name: Name) -> Self {
        Self { deprecation, name, warned: Arc::new(AtomicBool::new(false)) }
    }

    /// The call site, if this call should warn.
    #[track_caller]
    fn call_site(&self) -> Option<CallSite> {
        let silent = self.warned.load(Ordering::Relaxed) && !self.deprecation.every_call;
        if silent { None } else { Some(CallSite(Location::caller())) }
    }

    fn warn(&self, call_site: CallSite) {
        if self.warned.swap(true, Ordering::Relaxed) && !self.deprecation.every_call {
            return;
        }
        let (name, advice) = (self.name.get(), self.deprecation.advice);
        if let Some(place) = call_site.outside_decor() {
            tracing::warn!(target: trace::CALL, name, %place, "{name} is deprecated: {advice} (called at {place})");
        } else {
            tracing::warn!(target: trace::CALL, name, "{name} is deprecated: {advice}");
        }
    }
}

/// The place in the source code that made a call.
#[derive(Debug, Clone, Copy)]
pub struct CallSite(&'static Location<'static>);

impl CallSite {
    /// Returns the place; `None` if decor itself made the call, inside a retry or by `.await`. A
    /// place in decor's own source would not help the reader.
    fn outside_decor(self) -> Option<&'static Location<'static>> {
        let decor = &file!()[..file!().len() - "decorators/deprecated.rs".len()];
        (!self.0.file().starts_with(decor)).then_some(self.0)
    }
}

/// The gate of one call, which warns at the first poll; `None` if this call does not warn.
#[derive(Debug, Clone)]
pub struct Warning(Option<(Deprecated, CallSite)>);

#[diagnostic::do_not_recommend]
impl<T> Gate<T> for Warning {
    #[inline]
    fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
        if let Some((deprecated, call_site)) = &self.0 {
            deprecated.warn(*call_site);
        }
        Poll::Ready(Ok(()))
    }
}

impl Renewable for Warning {
    fn release(&mut self) {}
}

impl Decoration for Deprecated {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".deprecated({:?})", self.deprecation.advice)
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }

    fn decorates(&mut self, function: Name) {
        *self = Self::new(self.deprecation.clone(), function);
    }
}

impl<Args> Captures<Args> for Deprecated {
    type Captured = Option<CallSite>;

    #[inline]
    fn capture(&self, _: &Args) -> Option<CallSite> {
        self.call_site()
    }
}

impl<Args> GateSource<Args> for Deprecated {
    type Gate = Warning;

    #[inline]
    fn gate(self, call_site: Option<CallSite>) -> Warning {
        Warning(call_site.map(|call_site| (self, call_site)))
    }

    repeats_in_place!(Args);
}
