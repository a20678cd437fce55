//! The options of a memoized call, in one type parameter.

use super::{Inline, KeyFromArgs, ReportedErrors, Word};
use std::{fmt, marker::PhantomData};

/// The options of a memoized call: the source of the key (`B`), the sharing of errors (`E`), and
/// the place where loads run (`R`).
pub struct Options<B = KeyFromArgs, E = ReportedErrors, R = Inline> {
    pub(crate) by: B,
    modes: PhantomData<fn() -> (E, R)>,
}

impl<B> Options<B> {
    pub(crate) fn new(by: B) -> Self {
        Self { by, modes: PhantomData }
    }
}

impl<B, E, R> Options<B, E, R> {
    pub(crate) fn with<E2, R2>(self) -> Options<B, E2, R2> {
        Options { by: self.by, modes: PhantomData }
    }
}

impl<B: Word, E: Word, R: Word> Options<B, E, R> {
    /// The options as method calls: `.memoized(ttl 300s).sharing_errors().detached()`.
    pub(crate) fn shown(limits: impl fmt::Display) -> String {
        format!("{}({limits}{}){}{}", B::WORD, B::REST, E::WORD, R::WORD)
    }
}

impl<B: Clone, E, R> Clone for Options<B, E, R> {
    fn clone(&self) -> Self {
        Self { by: self.by.clone(), modes: PhantomData }
    }
}

impl<B: Word, E: Word, R: Word> fmt::Debug for Options<B, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::shown(".."))
    }
}
