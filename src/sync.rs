//! The one place that names locks, atomics and shared pointers, so that a model checker can stand in for them.

pub(crate) use std::sync::Arc;
use std::sync::{PoisonError, TryLockError};

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

/// The lock, if nobody holds it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What the lock guards is whole between any two statements that could panic, so a poisoned one is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
