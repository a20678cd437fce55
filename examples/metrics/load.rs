//! Traffic, so that there is something to see.

use crate::service::Service;
use futures::future::join_all;
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

static RUNNING: AtomicBool = AtomicBool::new(false);

/// An item with a load that never ends.
const HANGS: u64 = 404;

pub(crate) fn is_running() -> bool {
    RUNNING.load(Relaxed)
}

/// Sends requests to the router for `time`.
pub(crate) async fn run(service: &Service, url: &str, time: Duration) -> anyhow::Result<()> {
    RUNNING.store(true, Relaxed);
    let begun = Instant::now();
    let mut round = 0;
    while begun.elapsed() < time {
        requests(url, round).await?;
        round += 1;
        if round % 20 == 0 {
            service.handles.items.clear(); // no exported counter falls
        }
    }
    RUNNING.store(false, Relaxed);
    Ok(())
}

/// Sends 40 requests of four clients at the same time: for new items, for known ones, twice for the
/// same, and for one that hangs.
pub(crate) async fn requests(url: &str, round: u64) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let ids = (0..40).map(|n| match n % 4 {
        0 => n,
        1 => 500 + (round * 10 + n / 4) % 700,
        _ => 20 * round,
    });
    let ids = ids.chain((round % 10 == 9).then_some(HANGS));
    let sent = ids.enumerate().map(|(n, id)| {
        let name = format!("client {}", n % 4 + 4 * usize::try_from(round / 10).unwrap_or(0));
        client.get(format!("{url}/items/{id}")).header("x-client", name).send()
    });
    for response in join_all(sent).await {
        response?;
    }
    Ok(())
}
