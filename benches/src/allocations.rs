//! A global allocator that counts, while it is told to.

#![allow(unsafe_code, reason = "a global allocator is unsafe to write")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

struct Counting;

/// Off while anything is timed: then it costs one load of a line that nobody writes.
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

/// What some work did with the heap.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// How often it asked for memory.
    pub allocations: u64,
    /// Bytes that it had not given back at its end.
    pub live: i64,
}

/// Counts what `work` allocates, on any thread. Others who count wait; the work must not count itself.
///
/// # Panics
///
/// If what was counted before panicked.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, Counted) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().expect("nothing that was counted panicked");
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
    fn what_is_kept_is_live_and_what_is_not_is_counted() {
        // Other tests may allocate meanwhile: at least.
        let (kept, counted) = counted(|| {
            drop(std::hint::black_box(vec![0_u8; 1 << 20]));
            std::hint::black_box(vec![0_u8; 1 << 26])
        });
        assert!(counted.allocations >= 2);
        assert!((counted.live - (1 << 26)).abs() < 1 << 24, "{}", counted.live);
        drop(kept);
    }
}
