//! Closures of the user that each call clones.

use crate::sync::Arc;
use std::mem::needs_drop;

type AnyFn<A, R> = dyn Fn(&A) -> R + Send + Sync;

/// A closure that is shared by all calls. A closure without state is not counted by reference.
pub(crate) enum Callback<A: 'static, R: 'static> {
    Stateless(&'static AnyFn<A, R>),
    Shared(Arc<AnyFn<A, R>>),
}

impl<A: 'static, R: 'static> Callback<A, R> {
    pub(crate) fn new<F: Fn(&A) -> R + Send + Sync + 'static>(call: F) -> Self {
        if size_of::<F>() == 0 && !needs_drop::<F>() {
            // Such a box has no memory, and nothing to free.
            Self::Stateless(Box::leak(Box::new(call)))
        } else {
            Self::Shared(Arc::new(call))
        }
    }

    pub(crate) fn call(&self, argument: &A) -> R {
        match self {
            Self::Stateless(call) => call(argument),
            Self::Shared(call) => call(argument),
        }
    }
}

impl<A: 'static, R: 'static> Clone for Callback<A, R> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Stateless(call) => Self::Stateless(*call),
            Self::Shared(call) => Self::Shared(Arc::clone(call)),
        }
    }
}
