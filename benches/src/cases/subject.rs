//! The functions that every library is put around. They do nothing, so what is measured is the library.
//!
//! Their error is the standard library's: it takes what decor has to say, and a result of it fits into two registers. What they do lies
//! in a function that is not inlined, as work is not; what makes a future is, as it is in programs. Larger results, and an
//! `#[inline(never)]` on the async functions, would have memory written in parts and read at once (a failed store forwarding, 10 ns a
//! time), on either side, and that would be most of what is measured.

use std::{
    hint::black_box,
    io::{Error, ErrorKind},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

/// What the functions return.
pub type Answer = Result<u64, Error>;

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// A first delay, which no call that succeeds comes to.
pub(super) const DELAY: Duration = Duration::from_millis(100);
pub(super) const TTL: Duration = Duration::from_mins(5);

/// Ready at its first poll.
///
/// # Errors
///
/// Never.
pub async fn fetch(id: u64) -> Answer {
    read(id)
}

/// What there is to do, and the same for threads.
///
/// # Errors
///
/// Never.
#[inline(never)]
pub fn read(id: u64) -> Answer {
    Ok(black_box(id))
}

/// Pending once.
///
/// # Errors
///
/// Never.
pub async fn fetch_later(id: u64) -> Answer {
    let mut pending = true;
    std::future::poll_fn(|context| {
        if !std::mem::take(&mut pending) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    read(id)
}

/// Fails twice, and then succeeds. It does not care who calls.
///
/// # Errors
///
/// That it is busy, twice.
pub async fn fetch_third(id: u64) -> Answer {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.load(Relaxed) + 1;
    CALLS.store(call, Relaxed);
    if call.is_multiple_of(3) { read(id) } else { Err(ErrorKind::ResourceBusy.into()) }
}
