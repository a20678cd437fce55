//! A limiter is made in the attribute, and so anew at each call.

use decor::decorated;

#[decorated(.rate_limited(&decor::RateLimiter::new(3, std::time::Duration::from_secs(1))))]
async fn fetch(id: u64) -> Result<u64, decor::Error> {
    Ok(id)
}

fn main() {
    let _ = fetch(42);
}
