//! A gate that takes no permits has nothing to settle.

use decor::{
    layer::{Decoration, Gate},
    prelude::*,
};
use std::{fmt, time::Duration};

#[derive(Clone)]
struct Open;

impl Decoration for Open {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".open()")
    }
}

impl<T> Gate<T> for Open {}

async fn fetch(id: u64) -> Result<u32, decor::Error> {
    Ok(u32::try_from(id).unwrap_or(0))
}

fn main() {
    let limiter = RateLimiter::new(10, Duration::from_secs(1));
    let chain = fetch.rate_limited(&limiter).gated(Open).settled(|used| *used);
    let _ = async { chain.call(42).await };
}
