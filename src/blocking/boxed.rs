//! Decorated sync functions whose type can be written down.

use super::call::{Callable, CallableMut, CallableOnce};
use crate::{name::Name, sync::Arc};
use std::fmt;

/// A decorated sync function behind one short type: for struct fields, statics and application state.
///
/// Made by [`.boxed()`](super::FnExt::boxed). Cloning shares the function. Arguments are owned (`String` or `Arc<str>` in place of
/// `&str`), because the type names no lifetime.
///
/// ```
/// use decor::{blocking::BoxedFn, prelude::*};
///
/// struct Service {
///     parse: BoxedFn<(String,), Result<u8, std::num::ParseIntError>>,
/// }
///
/// let service = Service { parse: (|text: String| text.parse()).blocking().timed("parse").boxed() };
/// assert_eq!(service.parse.call("42".into()), Ok(42));
/// ```
#[must_use = "a decorated function does nothing until it is called"]
pub struct BoxedFn<Args, Output>(Arc<dyn Callable<Args, Output = Output> + Send + Sync>);

impl<Args, Output> BoxedFn<Args, Output> {
    pub(super) fn new(callable: impl Callable<Args, Output = Output> + Send + Sync + 'static) -> Self {
        Self(Arc::new(callable))
    }
}

impl<Args, Output> CallableOnce<Args> for BoxedFn<Args, Output> {
    type Output = Output;

    fn call_once(self, args: Args) -> Output {
        self.0.call_with(args)
    }

    fn label(&self) -> Name {
        self.0.label()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<Args, Output> CallableMut<Args> for BoxedFn<Args, Output> {
    fn call_mut(&mut self, args: Args) -> Output {
        self.0.call_with(args)
    }
}

impl<Args, Output> Callable<Args> for BoxedFn<Args, Output> {
    fn call_with(&self, args: Args) -> Output {
        self.0.call_with(args)
    }
}

impl<Args, Output> Clone for BoxedFn<Args, Output> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Args, Output> fmt::Debug for BoxedFn<Args, Output> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)?;
        f.write_str(".boxed()")
    }
}
