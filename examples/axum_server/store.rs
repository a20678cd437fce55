//! A slow store that counts its loads.

use decor::Error;
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::sleep;

const LATENCY: Duration = Duration::from_millis(50);
const ITEMS: u64 = 1_000;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Item {
    id: u64,
    name: String,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    loads: Arc<AtomicU32>,
}

impl Store {
    pub(crate) async fn load(self, id: u64) -> Result<Option<Item>, Error> {
        self.loads.fetch_add(1, Relaxed);
        sleep(LATENCY).await;
        Ok((id < ITEMS).then(|| Item { id, name: format!("item {id}") }))
    }

    pub(crate) fn loads(&self) -> u32 {
        self.loads.load(Relaxed)
    }
}
