//! A global allocator that can count its allocations.

#![allow(unsafe_code, reason = "a global allocator is unsafe to write")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

struct Counting;

/// `true` while allocations are counted. While it is `false`, an allocation costs one load of a
/// cache line that no thread writes.
static ON: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
/// Bytes allocated and not freed while counting.
static LIVE: AtomicI64 = AtomicI64::new(0);

fn live(change: usize, sign: i64) {
    LIVE.fetch_add(sign * i64::try_from(change).unwrap_or(i64::MAX), Relaxed);
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            ALLOCATIONS.fetch_add(1, Relaxed);
            live(layout.size(), 1);
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            ALLOCATIONS.fetch_add(1, Relaxed);
            live(layout.size(), 1);
        }
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if ON.load(Relaxed) {
            live(layout.size(), -1);
        }
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if ON.load(Relaxed) {
            ALLOCATIONS.fetch_add(1, Relaxed);
            live(size, 1);
            live(layout.size(), -1);
        }
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The allocations of some work.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Number of allocations.
    pub allocations: u64,
    /// Bytes that were not freed at the end of the work.
    pub live: i64,
}

/// Counts the allocations of all threads while `work` runs. Other callers wait; `work` must not
/// call this function.
///
/// # Panics
///
/// If the work of an earlier call panicked.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, Counted) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().expect("no counted work panicked");
    let before = (ALLOCATIONS.load(Relaxed), LIVE.load(Relaxed));
    ON.store(true, Relaxed);
    let result = work();
    ON.store(false, Relaxed);
    let counted = Counted { allocations: ALLOCATIONS.load(Relaxed) - before.0, live: LIVE.load(Relaxed) - before.1 };
    (result, counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_counted_and_kept_memory_is_live() {
        // Other tests may allocate meanwhile, so the counts are lower bounds.
        let (kept, counted) = counted(|| {
            drop(std::hint::black_box(vec![0_u8; 1 << 20]));
            std::hint::black_box(vec![0_u8; 1 << 26])
        });
        assert!(counted.allocations >= 2);
        assert!((counted.live - (1 << 26)).abs() < 1 << 24, "{}", counted.live);
        drop(kept);
    }
}
