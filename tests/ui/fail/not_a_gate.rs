//! The value given to `.gated(..)` is not a gate.

use decor::{layer::Decoration, prelude::*};
use std::fmt;

#[derive(Clone)]
struct Closed(bool);

impl Decoration for Closed {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".closed(..)")
    }
}

async fn fetch(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

fn main() {
    let chain = fetch.gated(Closed(true));
    let _ = async { chain.call(42).await };
}
