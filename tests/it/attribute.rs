//! `#[decorated(..)]`: names, signatures and callers are those of the function as it was.

mod seeds;

use decor::{Error, decorated, prelude::*};
use std::{
    cell::Cell,
    fmt::Display,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

static POLICY: LazyLock<RetryPolicy> = LazyLock::new(|| RetryPolicy::fixed(SECOND).max_attempts(3));

fn limiter() -> &'static RateLimiter {
    static LIMITER: LazyLock<RateLimiter> = LazyLock::new(|| RateLimiter::new(2, SECOND));
    &LIMITER
}

fn is_send<T: Send>(value: T) -> T {
    value
}

/// Hangs for as long as it is told.
#[decorated(.timeout(SECOND))]
#[must_use = "for the test of attributes"]
async fn hang(time: Duration) -> Result<u32, Error> {
    sleep(time).await;
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn an_async_function_is_decorated_under_its_own_name() {
    let begun = Instant::now();
    assert_eq!(is_send(hang(Duration::ZERO)).await, Ok(1));
    let error = hang(2 * SECOND).await.unwrap_err();
    assert_eq!(error.to_string(), "hang timed out after 1s");
    assert_eq!(begun.elapsed(), SECOND);
    assert_eq!(tokio::spawn(hang(Duration::ZERO)).await.unwrap(), Ok(1));
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_before_the_first_poll() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    #[decorated(.timeout(SECOND))]
    async fn count() -> Result<u32, Error> {
        Ok(CALLS.fetch_add(1, Relaxed))
    }
    let call = count();
    assert_eq!(CALLS.load(Relaxed), 0);
    assert_eq!(call.await, Ok(0));
}

#[test]
fn a_sync_function_is_decorated() {
    thread_local!(static CALLS: Cell<u32> = const { Cell::new(0) });
    #[decorated(.retry_with(RetryPolicy::fixed(Duration::ZERO).max_attempts(3)))]
    fn flaky(good: u32) -> Result<u32, String> {
        let call = CALLS.replace(CALLS.get() + 1) + 1;
        if call == good { Ok(call) } else { Err(format!("call {call}")) }
    }
    assert_eq!(flaky(3), Ok(3));
    assert_eq!(flaky(1), Err("call 6".into()));
}

#[derive(Debug)]
struct Client<T> {
    host: T,
    calls: AtomicU32,
}

impl<T: Display + Sync> Client<T> {
    #[decorated(.retry_with(&*POLICY))]
    pub async fn get(&self, path: &str) -> Result<String, String> {
        match self.calls.fetch_add(1, Relaxed) {
            0 => Err("busy".into()),
            call => Ok(format!("{}/{path} at call {call}", self.host)),
        }
    }

    #[decorated(.retry_with(RetryPolicy::fixed(Duration::ZERO)))]
    fn get_blocking(&self, mut path: String) -> Result<String, String> {
        path.insert(0, '/');
        if self.calls.fetch_add(1, Relaxed) == 0 { Err("busy".into()) } else { Ok(path) }
    }

    #[decorated(.validated(|(_, port): &(&str, u16)| if *port > 0 { Ok(()) } else { Err("port must be above 0") }))]
    async fn parsed((host, port): (&'static str, u16)) -> Result<Client<String>, Error>
    where
        Self: Sized,
    {
        Ok(Client { host: format!("{host}:{port}"), calls: AtomicU32::new(0) })
    }
}

#[tokio::test(start_paused = true)]
async fn methods_keep_their_receiver_and_borrowed_arguments() {
    let client = Client { host: "api", calls: AtomicU32::new(0) };
    let begun = Instant::now();
    let path = String::from("users");
    assert_eq!(is_send(client.get(&path)).await.unwrap(), "api/users at call 1");
    assert_eq!(begun.elapsed(), SECOND);
    let client = Client { host: "api", calls: AtomicU32::new(0) };
    assert_eq!(client.get_blocking("users".into()).unwrap(), "/users");
    assert_eq!(client.calls.load(Relaxed), 2);
}

#[tokio::test]
async fn a_pattern_is_an_argument() {
    let client = Client::<String>::parsed(("api", 80)).await.unwrap();
    assert_eq!(client.host, "api:80");
    let refused = Client::<String>::parsed(("api", 0)).await.unwrap_err();
    assert!(refused.to_string().contains("port must be above 0"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn generics_lifetimes_and_bounds_stay() {
    #[decorated(.timeout(SECOND))]
    async fn join<'a, const N: usize, T>(parts: [&'a str; N], last: T) -> Result<String, Error>
    where
        T: Display + Clone + Send + 'a,
    {
        Ok(format!("{}{last}", parts.concat()))
    }
    assert_eq!(join(["a", "b"], 3).await.unwrap(), "ab3");
    assert_eq!(join::<1, char>(["a"], 'z').await.unwrap(), "az");

    #[decorated(.timeout(SECOND))]
    async fn first(text: impl Into<String> + Send) -> Result<String, Error> {
        Ok(text.into())
    }
    assert_eq!(first("one").await.unwrap(), "one");
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_an_expression_is_shared_by_all_calls() {
    #[decorated(.rate_limited(limiter()))]
    async fn limited(n: u32) -> u32 {
        n
    }
    let begun = Instant::now();
    for n in 0..5 {
        assert_eq!(limited(n).await, n);
    }
    assert_eq!(begun.elapsed(), 2 * SECOND);
    assert_eq!(limiter().stats().admitted, 5);
}

#[tokio::test(start_paused = true)]
async fn a_body_calls_the_decorated_function() {
    static NUMBERS: LazyLock<Memo<u64, u64>> = LazyLock::new(|| Memo::ttl(SECOND));
    #[decorated(.memoized(&NUMBERS))]
    fn fibonacci(n: u64) -> u64 {
        if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
    }
    assert_eq!(fibonacci(80), 23_416_728_348_467_685);
    assert_eq!(NUMBERS.stats().loads, 81);
}

#[tokio::test(start_paused = true)]
async fn a_decorated_function_is_decorated_again() {
    let outer = hang.retry_with(&*POLICY);
    let begun = Instant::now();
    assert!(outer.call(2 * SECOND).await.is_err());
    assert_eq!(begun.elapsed(), 5 * SECOND);
}

#[tokio::test]
async fn raw_names_and_names_of_the_macro_itself_are_free() {
    #[decorated(.validated(|_: &u8| Err::<(), _>("no")))]
    async fn r#match(undecorated: u8) -> Result<u8, Error> {
        Ok(undecorated)
    }
    assert_eq!(r#match(1).await.unwrap_err().to_string(), "invalid argument: no");
}

/// A module without decor's traits, and with a trait of its own that has a decorator's word.
mod without_prelude {
    use std::time::Duration;

    pub(super) trait Word: Sized {
        fn timed(self, name: &'static str) -> &'static str {
            name
        }
    }
    impl<F: Future> Word for F {}

    #[decor::decorated(.timeout(Duration::from_secs(1)))]
    pub(super) async fn body() -> Result<&'static str, decor::Error> {
        Ok(async { 1 }.timed("own"))
    }
}

#[tokio::test]
async fn the_body_sees_no_trait_of_decor() {
    assert_eq!(without_prelude::body().await, Ok("own"));
}
