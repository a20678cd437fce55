//! Spans of calls: as `tracing` sees them, and as OpenTelemetry exports them.

mod otel;
mod spans;

use std::{sync::LazyLock, time::Duration};
use tokio::runtime::{Builder, Runtime};
use tracing::Dispatch;
use tracing_subscriber::registry;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A runtime with a paused clock.
fn paused() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Two subscribers that live as long as the process, and that no thread uses.
///
/// With a single live subscriber, tracing asks the subscriber of the current thread when it first
/// meets a span. On a thread without a subscriber, the span would then be off for all threads.
static KEPT: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Dispatch::new(registry())));
