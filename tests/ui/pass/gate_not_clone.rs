//! The clones of a gate count together.

use decor::{
    layer::{Decoration, End, Gate},
    prelude::*,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

#[derive(Clone, Default)]
struct Counted(Arc<AtomicU32>);

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

#[tokio::main(flavor = "current_thread")]
pub async fn main() {
    let counted = Counted::default();
    let fetch = fetch.gated(counted.clone());
    assert_eq!((fetch.call(42).await, fetch.call(7).await), (42, 7));
    assert_eq!(counted.0.load(Relaxed), 2);
}
