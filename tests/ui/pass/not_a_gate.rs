//! The value given to `.gated(..)` is a gate.

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

async fn fetch(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() {
    assert_eq!(fetch.gated(Closed(false)).call(42).await, Ok(42));
    assert_eq!(
        fetch.gated(Closed(true)).call(42).await.unwrap_err(),
        "rejected by closed: come back tomorrow",
    );
}
