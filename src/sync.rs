//! The one place that names locks, atomics and shared pointers, so that a model checker can stand in for them.

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

/// What the lock guards is whole between any two statements that could panic, so a poisoned one is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// [`lock`] for one of many readers.
#[cfg(feature = "memo")]
#[inline]
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// [`lock`] for the only writer.
#[cfg(feature = "memo")]
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// So often one who finds a busy lock held comes back, each time after so many pauses of the processor: a few microseconds. (The
/// model checker has no time.)
const SPIN_ROUNDS: u32 = if cfg!(shuttle) { 0 } else { 6 };
const SPINS_PER_ROUND: u32 = 64;

/// The lock of what many threads ask for again and again, and hold for no longer than a clock read takes.
///
/// Who finds it held stays away for a while before it parks: the holder has all that is locked in its cache, and goes on with it.
/// Where two take turns at each call, each fetches from the other's cache what it has written, and that takes longer than the call.
#[inline]
pub(crate) fn lock_spinning<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    try_lock(mutex).unwrap_or_else(|| lock_contended(mutex))
}

/// `None` if another thread holds it.
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
