//! The one place that names locks, atomics and shared pointers, so that a model checker can stand in for them.

pub(crate) use std::sync::Arc;

#[cfg(not(all(test, shuttle)))]
use std as real_or_model;

#[cfg(all(test, shuttle))]
use shuttle as real_or_model;

pub(crate) use real_or_model::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

#[cfg(feature = "memo")]
pub(crate) use real_or_model::thread_local;

/// What the lock guards is whole between any two statements that could panic, so a poisoned one is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
