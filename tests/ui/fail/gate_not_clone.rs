//! A gate without `Clone`, although each call needs a gate of its own.

use decor::{
    layer::{Decoration, End, Gate},
    prelude::*,
};
use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

#[derive(Default)]
struct Counted(AtomicU32);

impl Decoration for Counted {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".counted()")
    }
}

impl<T> Gate<T> for Counted {
    fn end(&mut self, _: End<'_, T>) {
        self.0.fetch_add(1, Relaxed);
    }
}

async fn fetch(id: u64) -> u64 {
    id
}

fn main() {
    let chain = fetch.gated(Counted::default());
    let _ = async { chain.call(42).await };
}
