//! Locks, atomics and shared pointers. Other files take them from here, so that the model checker
//! can replace them.

pub(crate) use std::sync::Arc;
use std::{
    hint,
    sync::{PoisonError, TryLockError},
};

#[cfg(not(all(test, shuttle)))]
use std as real_or_model;

#[cfg(all(test, shuttle))]
use shuttle as real_or_model;

pub(crate) use real_or_model::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

#[cfg(feature = "memo")]
pub(crate) use real_or_model::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub(crate) use real_or_model::thread_local;

/// Locks a mutex. Ignores poisoning, because the guarded data is consistent at every point that can
/// panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for reading. Ignores poisoning, as [`lock`] does.
#[cfg(feature = "memo")]
#[inline]
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing. Ignores poisoning, as [`lock`] does.
#[cfg(feature = "memo")]
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Number of times that [`lock_spinning`] tries again before it parks, a few microseconds in total.
/// Zero under the model checker, which does not model time.
const SPIN_ROUNDS: u32 = if cfg!(shuttle) { 0 } else { 6 };

/// Number of spin-loop hints before each of these tries.
const SPINS_PER_ROUND: u32 = 64;

/// Locks a mutex that is contended, but held only briefly, for about one clock read.
///
/// If the mutex is taken, spins briefly before parking. The holder has the data in its cache and
/// often takes the lock again at once. If two threads alternated on every call, the cache lines
/// would move between cores each time, which costs more than the call.
#[inline]
pub(crate) fn lock_spinning<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    try_lock(mutex).unwrap_or_else(|| lock_contended(mutex))
}

/// Locks a mutex if it is free; `None` if another thread holds it.
#[inline]
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cold]
fn lock_contended<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..SPIN_ROUNDS {
        (0..SPINS_PER_ROUND).for_each(|_| hint::spin_loop());
        if let Some(guard) = try_lock(mutex) {
            return guard;
        }
    }
    lock(mutex)
}
