//! The functions that every library decorates. They do nothing, so a figure is the library's own
//! cost.
//!
//! Their error is `io::Error`, because it can carry decor's errors and its results fit into two
//! registers. Their work is in a function that is not inlined, like real work. The functions that
//! make futures are inlined, as in programs. With larger results, or with `#[inline(never)]` on the
//! async functions, memory would be written in parts and read as a whole. Such a failed store
//! forwarding takes 10 ns, on both sides, and would dominate the figures.

use crate::target::Target;
use std::{
    hint::black_box,
    io::{Error, ErrorKind},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

/// The clock of decor's stamps. Its timers are tokio's.
pub(super) const STAMPS: &str = if decor::HAS_FAST_CLOCK { "quanta" } else { "tokio" };

/// Names the clock of decor's stamps and that of a peer: one name if both are the same.
pub(super) fn beside(peer: &str) -> String {
    if peer == STAMPS { peer.to_owned() } else { format!("{STAMPS} / {peer}") }
}

/// Returns the target for the clock of this build.
pub(super) const fn ratio(most: f64, with_fast_clock: f64) -> Target {
    Target::Ratio(if decor::HAS_FAST_CLOCK { with_fast_clock } else { most })
}

/// The output of the functions.
pub type Answer = Result<u64, Error>;

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// First delay of a retry. A call that succeeds never waits for it.
pub(super) const DELAY: Duration = Duration::from_millis(100);
pub(super) const TTL: Duration = Duration::from_mins(5);

/// Returns a future that is ready at its first poll.
///
/// # Errors
///
/// Never.
pub async fn fetch(id: u64) -> Answer {
    read(id)
}

/// The work itself, and the sync function.
///
/// # Errors
///
/// Never.
#[inline(never)]
pub fn read(id: u64) -> Answer {
    Ok(black_box(id))
}

/// Returns a future that is pending once.
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

/// Fails twice and then succeeds, counted over all callers.
///
/// # Errors
///
/// "Busy" at the first two calls.
pub async fn fetch_third(id: u64) -> Answer {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.load(Relaxed) + 1;
    CALLS.store(call, Relaxed);
    if call.is_multiple_of(3) { read(id) } else { Err(ErrorKind::ResourceBusy.into()) }
}
