//! Decorated functions in a struct field, in a static, in a struct that is generic over them, and
//! in a client, which decorates its own method.
//!
//! ```text
//! cargo run --example stored_in_a_struct
//! ```

use decor::{prelude::*, with_context};
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

type Page = Result<String, String>;

/// Fails at every other attempt. The argument is owned, because a stored function outlives what it
/// could borrow.
async fn fetch_page(path: Arc<str>) -> Page {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    let attempt = ATTEMPTS.fetch_add(1, Relaxed) + 1;
    if attempt % 2 == 1 {
        return Err("too busy".into());
    }
    Ok(format!("{path} at attempt {attempt}"))
}

/// A struct with a chain in a field. `.boxed()` gives the chain a type that can be written down:
/// the arguments as a tuple, and the output. Each call allocates a box. A clone is the same
/// function.
///
/// If `fetch_page` hangs, every caller has its error after 320 ms: three attempts of 100 ms, with
/// two waits of 10 ms.
#[derive(Debug, Clone)]
struct Site {
    fetch_page: BoxedFn<(Arc<str>,), Page>,
}

impl Site {
    fn new(policy: &RetryPolicy) -> Self {
        let fetch_page = fetch_page.timeout(Duration::from_millis(100)).retry_with(policy);
        Self { fetch_page: fetch_page.boxed() }
    }
}

/// A chain in a static. A static needs a type, and a `LazyLock`, because a policy is made at run
/// time.
static FETCH_PAGE: LazyLock<BoxedFn<(Arc<str>,), Page>> = LazyLock::new(|| {
    let policy = RetryPolicy::fixed(Duration::from_millis(10));
    fetch_page.timeout(Duration::from_millis(100)).retry_with(policy).boxed()
});

/// A struct that is generic over its function. No call allocates, and a test can put a closure
/// there.
struct Crawler<F> {
    fetch_page: F,
}

impl<F: Callable<(Arc<str>,), Output = Page>> Crawler<F> {
    async fn crawl(&self, paths: [&str; 2]) -> Page {
        let mut pages = Vec::new();
        for path in paths {
            pages.push(self.fetch_page.call(path.into()).await?);
        }
        Ok(pages.join(", "))
    }
}

/// The client that the method belongs to. Cheap to clone, as pools and HTTP clients are.
#[derive(Clone)]
struct Connection {
    host: Arc<str>,
}

impl Connection {
    async fn get(&self, path: Arc<str>) -> Page {
        fetch_page(format!("{}{path}", self.host).into()).await
    }
}

/// A client that keeps its own decorated method. The chain owns a clone of the inner client.
struct Client {
    get: BoxedFn<(Arc<str>,), Page>,
}

impl Client {
    fn new(connection: Connection, policy: &RetryPolicy) -> Self {
        let get = async |connection: Connection, path: Arc<str>| connection.get(path).await;
        Self { get: with_context(connection, get).named("get").retry_with(policy).boxed() }
    }

    async fn get(&self, path: &str) -> Page {
        self.get.call(path.into()).await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = RetryPolicy::fixed(Duration::from_millis(10));

    let site = Site::new(&policy);
    println!("in a field:     {site:?}");
    println!("                {}", site.fetch_page.call("/home".into()).await?);
    let elsewhere = tokio::spawn({
        let site = site.clone();
        async move { site.fetch_page.call("/news".into()).await }
    });
    println!("from a task:    {}", elsewhere.await??);

    println!("in a static:    {:?}", *FETCH_PAGE);
    println!("                {}", FETCH_PAGE.call("/about".into()).await?);

    let crawler = Crawler { fetch_page: fetch_page.timeout(Duration::from_millis(100)).retry_with(&policy) };
    println!("in a generic:   {:?}", crawler.fetch_page);
    println!("                {}", crawler.crawl(["/a", "/b"]).await?);

    let client = Client::new(Connection { host: "example.org".into() }, &policy);
    println!("in a client:    {:?}", client.get);
    println!("                {}", client.get("/c").await?);

    let in_a_test = Crawler { fetch_page: async |path: Arc<str>| Ok(format!("{path} made up")) };
    println!("with a closure: {}", in_a_test.crawl(["/a", "/b"]).await?);
    Ok(())
}
