//! Log lines of a store, of which a process has one subscriber for all threads.

use decor::{OnFailure, RateLimiter};
use decor_redis::Redis;
use decor_redis_testing::{Server, skip};
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn an_outage_is_a_warning_and_its_end_is_a_line_of_level_info() {
    let Some(mut server) = Server::start(&[]) else { return skip("an_outage_is_a_warning") };
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();

    let redis = Redis::open(server.url()).unwrap();
    let limiter = |name| {
        RateLimiter::builder().window(1_000, Duration::from_secs(1)).shared(redis.quota(name), OnFailure::Open).build()
    };
    let limiters = ["a", "b"].map(limiter);
    for limiter in &limiters {
        limiter.acquire().await;
    }
    assert_eq!(lines.text(), "", "nothing is logged while all is well");
    server.kill();
    let begun = Instant::now();
    while redis.is_up() {
        for limiter in &limiters {
            limiter.acquire().await;
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    server.restart();
    while !redis.is_up() {
        sleep(Duration::from_millis(10)).await;
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    let (text, url) = (lines.text(), server.url());
    let [down, up] = text.lines().collect::<Vec<_>>()[..] else { panic!("one line each, not: {text}") };
    assert!(down.starts_with(&format!(" WARN decor::shared: a store is down error={url}: ")), "{down}");
    assert_eq!(up, format!(" INFO decor::shared: a store is up again server={url}"));
}
