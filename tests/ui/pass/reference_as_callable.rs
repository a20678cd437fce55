//! The function is cloned or shared as an `Arc`, or the bound is on the referent.

use decor::{Callable, prelude::*};
use std::sync::Arc;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

async fn first<C>(fetch: C) -> C::Output
where
    C: Callable<(u64,)>,
{
    fetch.call(1).await
}

async fn second<C>(fetch: &C) -> C::Output
where
    C: Callable<(u64,)>,
{
    fetch.call(2).await
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch = Arc::new(fetch.timed("fetch"));
    assert_eq!(first(fetch.clone()).await, Ok(1));
    assert_eq!(second(&fetch).await, Ok(2));
}
