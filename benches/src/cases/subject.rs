//! The functions that every library is put around. They do nothing, so what is measured is the library.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

/// An error as people write it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// What the call itself says.
    #[error("busy")]
    Busy,
    /// What decor says.
    #[error(transparent)]
    Policy(#[from] decor::Error),
}

/// What the functions return.
pub type Answer = Result<u64, Fault>;

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// A first delay, which no call that succeeds comes to.
pub(super) const DELAY: Duration = Duration::from_millis(100);
pub(super) const TTL: Duration = Duration::from_mins(5);

/// Ready at its first poll.
///
/// # Errors
///
/// Never.
#[inline(never)]
pub async fn fetch(id: u64) -> Answer {
    Ok(black_box(id))
}

/// The same for threads.
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
#[inline(never)]
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
    Ok(black_box(id))
}

/// Fails twice, and then succeeds. It does not care who calls.
///
/// # Errors
///
/// [`Fault::Busy`], twice.
#[inline(never)]
pub async fn fetch_third(_: u64) -> Answer {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.load(Relaxed) + 1;
    CALLS.store(call, Relaxed);
    if call.is_multiple_of(3) { Ok(call) } else { Err(Fault::Busy) }
}
