//! A gate that may refuse calls, before an output that carries no error.

use decor::{
    Error, Fallible,
    layer::{Decoration, Gate, Wait},
    prelude::*,
};
use std::{fmt, task::Poll};

#[derive(Clone)]
struct Closed(bool);

impl Decoration for Closed {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".closed(..)")
    }
}

impl<T: Fallible> Gate<T> for Closed {
    fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
        if !self.0 {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(T::from_policy(Error::Rejected {
            by: "closed",
            message: "come back tomorrow".into(),
            retry_after: None,
        })))
    }
}

async fn fetch(id: u64) -> u64 {
    id
}

fn main() {
    let chain = fetch.gated(Closed(true));
    let _ = async { chain.call(42).await };
}
