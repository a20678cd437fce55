//! A reference to a decorated function is not a decorated function.

use decor::{Callable, prelude::*};

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

async fn first<C>(fetch: C) -> C::Output
where
    C: Callable<(u64,)>,
{
    fetch.call(1).await
}

fn main() {
    let fetch = fetch.timed("fetch");
    let _ = first(&fetch);
}
