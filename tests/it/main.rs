use decor::prelude::*;
use std::time::Duration;

async fn fetch_user(id: u64) -> Result<u64, String> {
    Ok(id)
}
async fn greet(a: &str, b: &str) -> Result<usize, anyhow::Error> {
    Ok(a.len() + b.len())
}

#[tokio::test(start_paused = true)]
async fn smoke() {
    let policy = RetryPolicy::exponential(Duration::from_millis(100)).max_attempts(5).jitter(Jitter::Full);
    let fetch = fetch_user
        .timeout(Duration::from_secs(2))
        .retry_with(&policy)
        .when(|e: &String| e.len() > 3)
        .timeout(Duration::from_secs(10))
        .logged()
        .logged_values()
        .validated(|id: &u64| if *id == 0 { Err("zero") } else { Ok(()) })
        .timed("fetch_user");
    println!("{fetch:?}");
    assert_eq!(fetch.call(42).await, Ok(42));
    assert_eq!(fetch.call(0).await, Err("invalid argument: zero".into()));
    let s = String::from("abc");
    let g = greet
        .retry_with(&policy)
        .validated(|a: &&str, _: &&str| if a.is_empty() { Err("e") } else { Ok(()) })
        .deprecated("x")
        .logged_values();
    let t = tokio::spawn({
        let g = g.clone();
        async move {
            let l = String::from("x");
            g.call(&l, "y").await
        }
    });
    assert_eq!(g.call(&s, "d").await.unwrap(), 4);
    t.await.unwrap().unwrap();
    let mut n = 0;
    let r = (|| {
        n += 1;
        let k = n;
        async move { if k < 3 { Err("no") } else { Ok(k) } }
    })
    .retry_with(&policy)
    .explained()
    .await;
    assert_eq!(r, Ok(3));
}
