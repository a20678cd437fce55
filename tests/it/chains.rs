//! The chains of the documentation bound their callers.
//!
//! Twenty callers at once call a function that hangs. The longest wait is what the text says. Each
//! chain is written here as in its document, and a test fails if the document shows another.

use crate::support::{ms, secs};
use decor::{
    Error, Failure, OnFailure, Transient,
    prelude::*,
    test_util::{self, FakeStore, VirtualClock, VirtualThread},
};
use futures::{
    FutureExt as _,
    future::{join, join_all},
};
use std::{
    env, fmt, fs,
    future::{Future, pending, ready},
    io,
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

const CALLERS: u64 = 20;

/// The document in one line: without the marks of comments, and without what follows a `//`.
fn document(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let bare = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("//!").or(line.strip_prefix("///")).unwrap_or(line);
        line.split(" //").next().unwrap_or_default().trim().to_owned()
    };
    text.lines().map(bare).collect::<Vec<_>>().join(" ")
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[track_caller]
fn assert_shown(path: &str, chain: &str) {
    assert!(
        without_spaces(&document(path)).contains(&without_spaces(chain)),
        "{path} shows another chain than: {chain}"
    );
}

#[track_caller]
fn assert_said(path: &str, sentence: &str) {
    assert!(document(path).contains(sentence), "{path} does not say: {sentence}");
}

/// The chain, which all of these documents show.
macro_rules! shown {
    ($($path:literal),+: $($chain:tt)+) => {{
        for path in [$($path),+] {
            assert_shown(path, stringify!($($chain)+));
        }
        $($chain)+
    }};
}

/// The chain, which the document shows with another beginning.
macro_rules! chained {
    ($path:literal: $beginning:expr, $($chain:tt)+) => {{
        assert_shown($path, stringify!($($chain)+));
        $beginning $($chain)+
    }};
}

/// The longest wait of twenty callers, and their answers.
async fn longest_wait<F: Future>(call: impl Fn(u64) -> F) -> (Duration, Vec<F::Output>) {
    let timed = |n| {
        let (call, begun) = (call(n), Instant::now());
        async move { (call.await, begun.elapsed()) }
    };
    let (answers, waits): (Vec<_>, Vec<_>) = join_all((0..CALLERS).map(timed)).await.into_iter().unzip();
    (waits.into_iter().max().expect("there are callers"), answers)
}

fn is_timeout(error: &Error, limit: Duration) -> bool {
    matches!(error, Error::TimedOut { after, .. } if *after == limit)
}

async fn hang_io(_: u64) -> io::Result<String> {
    pending().await
}

#[tokio::test(start_paused = true)]
async fn the_first_example() {
    let fetch = hang_io;
    let fetch = shown!("README.md", "src/lib.rs", "examples/first_call.rs": fetch
        .timeout(Duration::from_secs(2))
        .retry_with(RetryPolicy::default())
        .transient()
        .timeout(Duration::from_secs(10))
        .logged());
    let said =
        "If `fetch` hangs, every caller has its error after 9 s: three attempts of 2 s, with waits of 1 s and 2 s.";
    assert_said("README.md", said);
    assert_said("src/lib.rs", said);
    assert_eq!(longest_wait(|n| fetch.call(n)).await.0, secs(9));
}

struct Answer {
    text: String,
    tokens: usize,
}

/// The error of the README's client. Here only decorators fail.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error(transparent)]
    Policy(#[from] Error),
}

impl Transient for ApiError {
    fn is_transient(&self) -> bool {
        let Self::Policy(error) = self;
        error.is_transient()
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_of_a_model_api() {
    let complete = |_: String| pending::<Result<Answer, ApiError>>();
    let minute = Duration::from_secs(60);
    let limiter = shown!("README.md": RateLimiter::windows([(20, minute), (1_000, minute)]));
    let complete = shown!("README.md": complete
        .timeout(Duration::from_secs(20))
        .pausing(&limiter, ApiError::retry_after)
        .rate_limited_by(&limiter, |prompt: &String| [1, prompt.len() / 4 + 1])
        .settled(|answer: &Answer| [1, answer.tokens])
        .retry_with(RetryPolicy::exponential(Duration::from_millis(100)).jitter(Jitter::Full)).transient()
        .timeout(Duration::from_secs(180)));
    let said = "If the API hangs, every one of 20 callers has its error after 140 s: three attempts of 20 s, one in each minute.";
    assert_said("README.md", said);
    let (longest, answers) = longest_wait(|n| complete.call(format!("What is {n}?"))).await;
    assert_eq!(longest, secs(140));
    assert!(
        answers.iter().all(|answer| answer.as_ref().is_err_and(|ApiError::Policy(error)| is_timeout(error, secs(20))))
    );
    assert_eq!(answers.iter().flatten().map(|answer| answer.text.len()).sum::<usize>(), 0);
}

/// The repository's `get`, with 20 callers of one user or of 20 users.
#[tokio::test(start_paused = true)]
async fn the_repository() {
    let said = "If the database hangs, every caller has its error after 1 s, calls that wait for another call's load included.";
    assert_said("README.md", said);
    for users_asked_for in [1, CALLERS] {
        let load = hang_io;
        let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
        let get = shown!("README.md": load
            .timeout(Duration::from_secs(1))
            .memoized(&users)
            .timeout(Duration::from_secs(2)));
        let (longest, answers) = longest_wait(|n| get.call(n % users_asked_for)).await;
        assert_eq!((longest, users.stats().loads), (secs(1), users_asked_for));
        assert!(answers.iter().all(Result::is_err));
    }

    let store = async |_: u64, _: &str| pending::<io::Result<()>>().await;
    let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    let rename = shown!("README.md": store
        .invalidating(&users, |id: &u64, _: &&str| *id)
        .timeout(Duration::from_secs(1)));
    assert_eq!(longest_wait(|n| rename.call(n, "Ada")).await.0, secs(1));
}

/// Each of the first callers leaves shortly before its load would end, and another takes over.
#[tokio::test(start_paused = true)]
async fn the_repository_if_the_calls_that_load_leave() {
    assert_said("README.md", "If calls that load are dropped and others take over, no caller waits longer than 2 s.");
    let users: Memo<u64, String> = Memo::ttl(secs(300));
    let get = hang_io.timeout(secs(1)).memoized(&users).timeout(secs(2));
    let leaving = join_all((1..CALLERS).map(|n| timeout(ms(900 * n), get.call(42))));
    let (_, (longest, answers)) = join(leaving, longest_wait(|_| get.call(42))).await;
    assert_eq!(longest, secs(2));
    assert!(answers.iter().all(Result::is_err));
}

#[test]
fn the_sync_function() {
    assert_said("README.md", "If the disk hangs, every caller has its error after 2 s.");
    let clock = VirtualClock::start();
    let limiter = RateLimiter::new(10, Duration::from_secs(1));
    let hang = |_: String| -> io::Result<String> {
        test_util::sleep(secs(3600));
        Ok(String::new())
    };
    assert_shown("README.md", "let read = (|path: String| fs::read_to_string(path)) .blocking()");
    let read = chained!("README.md": hang.blocking(),
        .rate_limited(&limiter)
        .retry_with(RetryPolicy::fixed(Duration::from_millis(10))).transient()
        .timeout(Duration::from_secs(2)));
    let threads = (0..CALLERS).map(|n| {
        let read = read.clone();
        clock.spawn(move || {
            let error = read.call(format!("notes {n}")).unwrap_err();
            (error.kind(), test_util::elapsed().unwrap())
        })
    });
    let ends = threads.collect::<Vec<_>>().into_iter().map(VirtualThread::join).collect::<Vec<_>>();
    assert!(ends.iter().all(|end| *end == (io::ErrorKind::TimedOut, secs(2))), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn the_function_that_returns_a_chain() {
    assert_said("src/lib.rs", "If the request hangs, every one of 20 callers has its error within 49 s:");
    let complete = |_: String| pending::<Result<usize, Error>>();
    let limiter = &RateLimiter::new(10, secs(1));
    let client = shown!("src/lib.rs": complete
        .timeout(Duration::from_secs(15))
        .rate_limited(limiter)
        .retry_with(RetryPolicy::default())
        .transient()
        .timeout(Duration::from_secs(60)));
    assert_eq!(longest_wait(|n| client.call(format!("{n}"))).await.0, secs(49));
}

#[tokio::test(start_paused = true)]
async fn the_closure_that_counts() {
    let tail = ".retry_with(RetryPolicy::default()) .timeout(Duration::from_secs(10)) .await";
    assert_shown("src/lib.rs", tail);
    assert_said("src/lib.rs", "If the closure hangs, the call ends after 10 s:");
    let call = |_| async {
        let mut attempts = 0;
        (|| {
            attempts += 1;
            pending::<Result<i32, String>>()
        })
        .retry_with(RetryPolicy::default())
        .timeout(Duration::from_secs(10))
        .await
    };
    assert_eq!(longest_wait(call).await.0, secs(10));
}

/// The rows of the table of places in the guide.
#[tokio::test(start_paused = true)]
async fn the_place_of_a_limit() {
    let row = |place: &str, holds: &str| assert_said("src/guide/order.rs", &format!("| {place} | {holds} |"));
    let per_ten_seconds = |permits| RateLimiter::new(permits, secs(10));

    row("`timeout` before `rate_limited`", "one attempt, without the wait for its permit");
    let fetch = hang_io.timeout(secs(2)).rate_limited(&per_ten_seconds(5));
    assert_eq!(longest_wait(|n| fetch.call(n)).await.0, secs(30 + 2));

    row("`timeout` after `rate_limited`", "one attempt, with the wait for its permit");
    let fetch = hang_io.rate_limited(&per_ten_seconds(5)).timeout(secs(2));
    assert_eq!(longest_wait(|n| fetch.call(n)).await.0, secs(2));

    row("`timeout` after `retry_with`", "one call or one load: all its attempts and waits");
    let limiter = per_ten_seconds(60);
    let fetch = hang_io.timeout(secs(2)).rate_limited(&limiter).retry_with(RetryPolicy::default()).timeout(secs(5));
    assert_eq!(longest_wait(|n| fetch.call(n)).await.0, secs(5));

    row("`timeout` after `memoized`", "every caller, those that wait for another call's load included");
    let users: Memo<u64, String> = Memo::ttl(secs(300));
    let get = fetch.clone().memoized(&users);
    let bounded = get.clone().timeout(secs(8));
    assert_eq!(longest_wait(|_| get.call(1)).await.0, secs(5));
    // The first call leaves after 4.5 s, and its load with it.
    let leaving = timeout(ms(4_500), get.call(2));
    let (_, (longest, _)) = join(leaving, longest_wait(|_| bounded.call(2))).await;
    assert_eq!(longest, secs(8));

    row("`rate_limited` before `retry_with`", "every attempt takes a permit");
    let limiter = per_ten_seconds(60);
    let refused = |_: u64| ready(Err::<String, _>(io::Error::from(io::ErrorKind::ConnectionRefused)));
    let fetch = refused.rate_limited(&limiter).retry_with(RetryPolicy::default());
    longest_wait(|n| fetch.call(n)).await;
    assert_eq!(limiter.stats().admitted, 3 * CALLERS);

    row("`rate_limited` after `retry_with`", "one permit for all attempts of a call");
    let limiter = per_ten_seconds(20);
    let fetch = refused.retry_with(RetryPolicy::default()).rate_limited(&limiter);
    longest_wait(|n| fetch.call(n)).await;
    assert_eq!(limiter.stats().admitted, CALLERS);
}

/// The README's usual order of decorators.
#[tokio::test(start_paused = true)]
async fn a_good_order() {
    let names = [
        "`timeout` of an attempt",
        "`pausing`",
        "`backing_off`",
        "`guarded_by`",
        "`rate_limited`",
        "`concurrency_limited`",
        "`unless_open`",
        "`hedged`",
        "`retry_with`",
        "total `timeout`",
        "`memoized`",
        "caller's `timeout`",
        "`fallback`",
        "`validated`",
        "`logged`",
        "`timed`",
    ];
    assert_said("README.md", &names.join(", "));
    assert_said("README.md", "In that order the caller's `timeout` bounds every caller");
    for users_asked_for in [1, 3, CALLERS] {
        let limiter = RateLimiter::new(2, secs(10));
        let users: Memo<u64, String> = Memo::ttl(secs(300));
        let (places, breaker) = (ConcurrencyLimiter::new(10), CircuitBreaker::consecutive(1_000));
        let get = hang_io
            .timeout(secs(2))
            .pausing(&limiter, |_| Some(secs(5)))
            .guarded_by(&breaker)
            .rate_limited(&limiter)
            .concurrency_limited(&places)
            .unless_open(&breaker)
            .hedged(Hedge::percentile(0.95).budget(&RetryBudget::new(0.1)))
            .retry_with(RetryPolicy::default())
            .transient()
            .timeout(secs(20))
            .memoized(&users)
            .timeout(secs(7))
            .fallback(|error: io::Error, _: u64| ready(Err(error)))
            .validated(|_: &u64| Ok::<(), &str>(()))
            .logged()
            .timed("get");
        assert_eq!(longest_wait(|n| get.call(n % users_asked_for)).await.0, secs(7));
    }
}

#[tokio::test(start_paused = true)]
async fn the_chains_of_the_comparison() {
    assert_said("COMPARE.md", "`d` then bounds every caller");
    let d = secs(7);
    let (f, policy) = (hang_io, RetryPolicy::fixed(secs(1)).max_attempts(100));
    let chain = shown!("COMPARE.md": f.retry_with(&policy).timeout(d));
    assert_eq!(longest_wait(|n| chain.call(n)).await.0, d);

    assert_said("COMPARE.md", "every caller has its answer after 2 s at most");
    let (load, limit, total) = (hang_io, secs(1), secs(2));
    let memo: Memo<u64, String> = Memo::ttl(secs(300));
    let chain = shown!("COMPARE.md": load.timeout(limit).memoized(&memo).timeout(total));
    assert_eq!(longest_wait(|_| chain.call(42)).await.0, limit);
    let leaving = join(timeout(ms(900), chain.call(7)), timeout(ms(1_800), chain.call(7)));
    let (_, (longest, _)) = join(leaving, longest_wait(|_| chain.call(7))).await;
    assert_eq!(longest, total);
}

#[tokio::test(start_paused = true)]
async fn the_detached_load() {
    let fetch = async |_: u64| {
        sleep(secs(5)).await;
        Ok::<_, Error>("user".to_owned())
    };
    let users: Memo<u64, String> = Memo::ttl(secs(300));
    let fetch = shown!("src/decorators/memoized.rs":
        fetch.memoized(&users).detached().timeout(Duration::from_secs(2)));
    assert_said("src/decorators/memoized.rs", "assert!(fetch.call(42).await.is_err());");
    assert_eq!(longest_wait(|_| fetch.call(42)).await.0, secs(2));
    sleep(secs(3)).await;
    assert_eq!((longest_wait(|_| fetch.call(42)).await.0, users.stats().loads), (secs(0), 1));
}

/// Foreign, and not `Clone`: as `reqwest::Error` is.
#[derive(Debug)]
struct HttpError(&'static str);

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for HttpError {}

async fn hang_http(_: String) -> Result<String, HttpError> {
    pending().await
}

async fn fail_http(_: String) -> Result<String, HttpError> {
    sleep(ms(500)).await;
    Err(HttpError("connection refused"))
}

#[tokio::test(start_paused = true)]
async fn a_memo_over_an_error_that_is_not_clone() {
    assert_said("src/guide/errors.rs", "If the server hangs, every caller has its error after 1 s.");
    let said = "If calls that load are dropped and others take over, no caller waits longer than 2 s.";
    assert_said("src/guide/errors.rs", said);
    let pages: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    let get = hang_http;
    let get = shown!("src/guide/errors.rs": get
        .lifted()
        .timeout(Duration::from_secs(1))
        .memoized(&pages)
        .timeout(Duration::from_secs(2)));
    let (longest, answers) = longest_wait(|_| get.call("/".into())).await;
    assert_eq!((longest, pages.stats().loads), (secs(1), 1));
    let by_policy = |failure: &Failure<HttpError>| failure.policy().cloned();
    let errors = answers.iter().map(|answer| by_policy(answer.as_ref().unwrap_err()).unwrap()).collect::<Vec<_>>();
    assert_eq!(errors.iter().filter(|error| is_timeout(error, secs(1))).count(), 1);
    assert_eq!(errors.iter().filter(|error| matches!(error, Error::LoadFailed { .. })).count(), 19);

    // The calls that load leave one after the other.
    let leaving = join_all((1..CALLERS).map(|n| timeout(ms(900 * n), get.call("/b".into()))));
    let (_, (longest, answers)) = join(leaving, longest_wait(|_| get.call("/b".into()))).await;
    assert_eq!(longest, secs(2));
    assert!(answers.iter().all(Result::is_err));
}

#[tokio::test(start_paused = true)]
async fn a_failed_load_reaches_all_callers_by_its_text() {
    let pages: Memo<String, String> = Memo::ttl(secs(300));
    let get = fail_http.lifted().timeout(secs(1)).memoized(&pages).timeout(secs(2));
    let (longest, answers) = longest_wait(|_| get.call("/".into())).await;
    assert_eq!((longest, pages.stats().loads), (ms(500), 1));
    let errors = answers.into_iter().map(Result::unwrap_err).collect::<Vec<_>>();
    assert_eq!(errors.iter().filter(|failure| matches!(failure, Failure::Call(HttpError(_)))).count(), 1);
    let told = Error::LoadFailed { name: "fail_http".into(), message: "connection refused".into() };
    assert_eq!(errors.iter().filter(|failure| failure.policy() == Some(&told)).count(), 19);
}

#[tokio::test(start_paused = true)]
async fn a_failed_load_reaches_all_callers_in_an_arc() {
    let pages: Memo<String, String> = Memo::ttl(secs(300));
    let chain = ".map_err(Arc::new).lifted()";
    assert_shown("src/guide/errors.rs", chain);
    let get = |path| async move { if path == "/hang" { hang_http(path).await } else { fail_http(path).await } };
    let get = get.map_err(Arc::new).lifted().timeout(secs(1)).memoized(&pages).sharing_errors().timeout(secs(2));
    let (longest, answers) = longest_wait(|_| get.call("/".to_owned())).await;
    assert_eq!((longest, pages.stats().loads), (ms(500), 1));
    assert!(
        answers.iter().all(|answer| matches!(answer, Err(Failure::Call(error)) if error.0 == "connection refused"))
    );

    let (longest, answers) = longest_wait(|_| get.call("/hang".to_owned())).await;
    assert_eq!(longest, secs(1));
    assert!(answers.iter().all(|a| matches!(a, Err(Failure::Policy(error)) if is_timeout(error, secs(1)))));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_error_through_a_whole_chain() {
    let limiter = RateLimiter::new(10, secs(1));
    let pages: Memo<String, String> = Memo::ttl(secs(300));
    let get = hang_http
        .lifted()
        .timeout(secs(1))
        .rate_limited_within(&limiter, secs(3))
        .retry_with(RetryPolicy::default())
        .when(|failure: &Failure<HttpError>| failure.policy().is_some_and(Transient::is_transient))
        .memoized(&pages)
        .timeout(secs(5))
        .map_err(|failure: Failure<HttpError>| failure.to_string());
    let (longest, answers) = longest_wait(|n| get.call(format!("/{}", n % 3))).await;
    assert_eq!(longest, secs(5));
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err() == "hang_http timed out after 5s"));
}

/// The chains of the examples that say how long a caller waits.
#[tokio::test(start_paused = true)]
async fn the_chains_of_the_examples() {
    const LIMIT: Duration = Duration::from_millis(30);
    const SECOND: Duration = Duration::from_secs(1);
    let policy = RetryPolicy::fixed(Duration::from_millis(10));

    assert_said("examples/own_error_enum.rs", "If `find_user` hangs, every caller has its error after 170 ms:");
    let find_user = hang_io;
    let find_user = shown!("examples/own_error_enum.rs": find_user
        .timeout(Duration::from_millis(50))
        .retry_with(RetryPolicy::fixed(Duration::from_millis(10)))
        .transient());
    assert_eq!(longest_wait(|n| find_user.call(n)).await.0, ms(170));

    assert_said("examples/stored_in_a_struct.rs", "If `fetch_page` hangs, every caller has its error after 320 ms:");
    let fetch_page = hang_io;
    let in_a_field = shown!("examples/stored_in_a_struct.rs":
        fetch_page.timeout(Duration::from_millis(100)).retry_with(&policy));
    assert_eq!(longest_wait(|n| in_a_field.call(n)).await.0, ms(320));
    let in_a_static = shown!("examples/stored_in_a_struct.rs":
        fetch_page.timeout(Duration::from_millis(100)).retry_with(policy).boxed());
    assert_eq!(longest_wait(|n| in_a_static.call(n)).await.0, ms(320));

    assert_shown("examples/foreign_error.rs", "const LIMIT: Duration = Duration::from_millis(30);");
    assert_said("examples/foreign_error.rs", "If the registry hangs, every caller has its error after 110 ms:");
    let chain = chained!("examples/foreign_error.rs": async |_: u64| pending::<Result<u16, HttpError>>().await,
        .lifted()
        .timeout(LIMIT)
        .retry_with(RetryPolicy::fixed(Duration::from_millis(10))));
    assert_eq!(longest_wait(|n| chain.call(n)).await.0, ms(110));
    assert_said("examples/foreign_error.rs", "If the server hangs, every caller has its error after 300 ms.");
    let pages: Memo<String, String> = Memo::ttl(secs(300));
    let page = chained!("examples/foreign_error.rs": hang_http,
        .lifted()
        .timeout(10 * LIMIT)
        .memoized(&pages)
        .timeout(20 * LIMIT));
    assert_eq!(longest_wait(|_| page.call("/".into())).await.0, ms(300));

    let users: Memo<u64, String> = Memo::ttl(secs(60));
    let fetch_user = hang_io;
    let fetch = shown!("examples/memo.rs": fetch_user.timeout(SECOND).memoized(&users).timeout(2 * SECOND));
    assert_eq!(longest_wait(|_| fetch.call(1)).await.0, SECOND);
}

/// The chain of the example `llm_client`, without the decorators that only watch. If the server
/// hangs, the breaker ends what the timeouts would let go on.
#[tokio::test(start_paused = true)]
async fn the_chain_of_the_model_apis_client() {
    assert_shown("examples/llm_client/client.rs", ".memoized(memo) .timeout(limits.total)");
    assert_shown("examples/llm_client/client.rs", "total: Duration::from_secs(15)");
    assert_shown("examples/llm_client/client.rs", ".deadline(limits.total.saturating_sub(limits.attempt))");
    assert_shown("examples/llm_client/client.rs", ".consecutive(12)");
    assert_said("examples/llm_client/client.rs", "so every caller has its answer within `limits.total`");
    let with_the_breaker = secs(2) + ms(100); // an attempt, and the delay before the one that is refused
    for (prompts, opens_at, longest) in [(1, 12, secs(15)), (CALLERS, 12, with_the_breaker), (CALLERS, 1_000, secs(15))]
    {
        let (limiter, memo) = (RateLimiter::new(50, ms(1_100)), Memo::<u64, String>::ttl(secs(300)));
        let breaker = CircuitBreaker::builder().consecutive(opens_at).open_for(ms(500)).build();
        let budget = RetryBudget::new(0.5).capacity(20);
        let policy = RetryPolicy::exponential(ms(100)).max_delay(secs(2)).max_attempts(12).jitter(Jitter::Full);
        let policy = policy.deadline(secs(15 - 2)).seed(7);
        let complete = hang_io
            .timeout(secs(2))
            .pausing(&limiter, Transient::retry_after)
            .guarded_by(&breaker)
            .when(Transient::is_transient)
            .rate_limited_by(&limiter, |_: &u64| 1)
            .unless_open(&breaker)
            .hedged(Hedge::percentile(0.99).budget(&budget))
            .retry_with(&policy)
            .transient()
            .budgeted(&budget)
            .memoized(&memo)
            .timeout(secs(15))
            .fallback(|_: io::Error, _: u64| ready(Ok("the fallback".to_owned())));
        let (wait, answers) = longest_wait(|n| complete.call(n % prompts)).await;
        assert!(wait <= longest, "{prompts} prompts, opens at {opens_at}: {wait:?}");
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|text| text == "the fallback")));
    }
}

/// The front page's chain with all handles.
#[tokio::test(start_paused = true)]
async fn the_chain_with_all_handles() {
    async fn fetch(_: u64) -> Result<String, Error> {
        pending().await
    }
    let secs = Duration::from_secs;
    let limiter = shown!("src/lib.rs": RateLimiter::new(100, secs(1)));
    let places = shown!("src/lib.rs": ConcurrencyLimiter::new(20));
    let breaker = shown!("src/lib.rs": CircuitBreaker::consecutive(5));
    let budget = shown!("src/lib.rs": RetryBudget::new(0.1));
    let hedge = shown!("src/lib.rs": Hedge::percentile(0.95).budget(&budget));
    let users: Memo<u64, String> = Memo::ttl(secs(300));
    let fetch = chained!("src/lib.rs": fetch,
        .timeout(secs(1))
        .guarded_by(&breaker)
        .rate_limited(&limiter)
        .concurrency_limited(&places)
        .unless_open(&breaker)
        .hedged(&hedge)
        .retry_with(RetryPolicy::fixed(secs(1)))
        .transient()
        .budgeted(&budget)
        .timeout(secs(8))
        .memoized(&users)
        .timeout(secs(10)));
    let fetch = fetch
        .fallback(|error: Error, id: u64| async move {
            match error {
                Error::CircuitOpen { .. } => Ok(format!("user {id}")),
                error => Err(error),
            }
        })
        .logged();
    assert_said(
        "src/lib.rs",
        "every one of 20 callers with different ids has the fallback or its error within 2 s, because the breaker \
         opens, and later callers have the fallback at once.",
    );
    let (longest, answers) = longest_wait(|n| fetch.call(n)).await;
    assert_eq!(longest, secs(2));
    // The budget pays for ten retries, which the open circuit refuses.
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(|error| is_timeout(error, secs(1))));
    let (longest, answers) = longest_wait(|n| fetch.call(100 + n)).await;
    assert_eq!((longest, answers.iter().all(Result::is_ok)), (Duration::ZERO, true));

    let chain = fetch.describe();
    assert!(chain.lints().is_empty(), "{:?}", chain.lints());
    // The picture of the README and of the front page.
    let picture = chain.to_svg();
    if env::var_os("DECOR_PICTURES").is_some_and(|value| value == "overwrite") {
        fs::write("docs/order.svg", &picture).unwrap();
    }
    assert!(
        fs::read_to_string("docs/order.svg").unwrap() == picture,
        "docs/order.svg shows another chain: draw it with `DECOR_PICTURES=overwrite cargo test --test it chains::`"
    );
}

/// The chain of the example `blocking`, without the decorators that only watch.
#[test]
fn the_chain_of_the_sync_client() {
    assert_shown("examples/blocking/client.rs", "const TOTAL: Duration = Duration::from_secs(30);");
    assert_shown("examples/blocking/client.rs", ".memoized(memo) .timeout(TOTAL)");
    assert_said("examples/blocking/client.rs", "Every caller has its answer within 30 s, even if the server hangs.");
    let hang = |_: u64| -> io::Result<String> {
        test_util::sleep(secs(3600));
        Ok(String::new())
    };
    for prompts in [1, CALLERS] {
        let clock = VirtualClock::start();
        let (limiter, memo) = (RateLimiter::new(5, secs(1)), Memo::<u64, String>::ttl(secs(300)));
        let policy = RetryPolicy::exponential(ms(50)).max_delay(secs(1)).max_attempts(12).jitter(Jitter::Full);
        let complete = hang
            .blocking()
            .timeout(ms(500))
            .pausing(&limiter, Transient::retry_after)
            .rate_limited(&limiter)
            .retry_with(&policy)
            .transient()
            .memoized(&memo)
            .timeout(secs(30));
        let threads = (0..CALLERS).map(|n| {
            let complete = complete.clone();
            clock.spawn(move || {
                complete.call(n % prompts).unwrap_err();
                test_util::elapsed().unwrap()
            })
        });
        let waits = threads.collect::<Vec<_>>().into_iter().map(VirtualThread::join);
        let longest = waits.max().unwrap();
        assert!(longest <= secs(30) && (prompts == 1 || longest == secs(30)), "{prompts} prompts: {longest:?}");
    }
}

mod guides {
    use super::*;
    use futures::{TryStreamExt as _, stream};

    const CLIENTS: &str = "src/guide/clients.rs";
    const RECIPES: &str = "src/guide/recipes.rs";
    const STREAMS: &str = "src/guide/streams.rs";

    async fn hang_api(_: u64) -> Result<String, ApiError> {
        pending().await
    }

    impl ApiError {
        fn has_not_begun(&self) -> bool {
            let Self::Policy(error) = self;
            !matches!(error, Error::TimedOut { .. })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_client() {
        assert_said(CLIENTS, "If the API hangs, every one of 20 callers has its error after 18 s:");
        assert_said(CLIENTS, "If it asks for longer waits, callers wait for 30 s at most.");
        let limiter = shown!("src/guide/clients.rs": RateLimiter::new(50, secs(1)));
        let get_user = chained!("src/guide/clients.rs": hang_api,
            .timeout(secs(5))
            .pausing(&limiter, ApiError::retry_after)
            .rate_limited(&limiter)
            .retry_with(RetryPolicy::default().max_hint(secs(20)))
            .transient()
            .timeout(secs(30))
            .logged());
        assert_eq!(longest_wait(|n| get_user.call(n)).await.0, secs(18));

        // Each answer asks for the longest wait that is followed.
        let limiter = RateLimiter::new(50, secs(1));
        let throttled = |_: u64| ready(Err::<String, _>(Error::RateLimited { retry_after: secs(20) }));
        let get_user = throttled
            .timeout(secs(5))
            .pausing(&limiter, |error: &Error| error.retry_after())
            .rate_limited(&limiter)
            .retry_with(RetryPolicy::default().max_hint(secs(20)))
            .transient()
            .timeout(secs(30));
        assert!(longest_wait(|n| get_user.call(n)).await.0 <= secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn the_payment() {
        assert_said(CLIENTS, "If the API hangs, every caller has its error after 5 s,");
        let pay = hang_api;
        let pay = shown!("src/guide/clients.rs": pay
            .timeout(Duration::from_secs(5))
            .retry_with(RetryPolicy::default())
            .when(ApiError::has_not_begun)
            .timeout(Duration::from_secs(30)));
        assert_eq!(longest_wait(|n| pay.call(n)).await.0, secs(5));
    }

    struct Broken {
        tokens: u32,
    }

    impl From<Error> for Broken {
        fn from(_: Error) -> Self {
            Self { tokens: 0 }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_answers() {
        assert_said(STREAMS, "If the server hangs, every one of 20 callers has its error within 180 s,");
        let answer = async |_: String| {
            let tokens = stream::pending::<Result<String, Error>>();
            let tokens = chained!("src/guide/streams.rs": tokens,
                .timeout_each(Duration::from_secs(2))
                .first(Duration::from_secs(20)));
            let read = tokens.try_collect::<String>().await;
            read.map(|_| Answer { text: String::new(), tokens: 0 }).map_err(|_| Broken { tokens: 0 })
        };
        let limiter = shown!("src/guide/streams.rs": RateLimiter::new(1_000, Duration::from_secs(60)));
        #[allow(clippy::cast_possible_truncation)] // as in the guide
        let answer = chained!("src/guide/streams.rs": answer,
            .rate_limited_by(&limiter, |prompt: &String| prompt.len() as u32 / 4 + 400));
        let answer = answer
            .settled_result(|answer| {
                Some(answer.as_ref().map_or_else(|broken| broken.tokens as usize, |answer| answer.tokens))
            })
            .timeout(secs(180));
        assert_shown(STREAMS, ".timeout(Duration::from_secs(180))");
        // Nine calls queue, and the others would have to wait for more than three windows. Two at a
        // time have permits, and give them back after 20 s.
        assert_eq!(longest_wait(|n| answer.call(format!("What is {n}?"))).await.0, secs(100));
        assert_eq!((limiter.stats().admitted, limiter.stats().refused), (9, 11));
    }

    #[tokio::test(start_paused = true)]
    async fn the_pages() {
        assert_said(STREAMS, "If the API hangs, every one of 20 readers has its error within 10 s:");
        let get_page = |_: u64| pending::<Result<String, Error>>();
        let limiter = shown!("src/guide/streams.rs": RateLimiter::new(10, Duration::from_secs(1)));
        let get_page = shown!("src/guide/streams.rs": get_page
            .timeout(Duration::from_secs(2))
            .rate_limited(&limiter)
            .retry_with(RetryPolicy::default())
            .transient()
            .timeout(Duration::from_secs(15)));
        assert_eq!(longest_wait(|n| get_page.call(n)).await.0, secs(10));
    }

    /// The errors of these recipes are transient after a limit, unless the text says otherwise.
    #[tokio::test(start_paused = true)]
    async fn the_recipes() {
        assert_said(RECIPES, "If the database hangs, every caller has its error after 1 s.");
        let policy = shown!("src/guide/recipes.rs":
            RetryPolicy::exponential(Duration::from_millis(20)).jitter(Jitter::Full));
        let hang = |_: u64| pending::<Result<String, NotRepeated>>();
        let transfer = chained!("src/guide/recipes.rs": hang,
            .timeout(Duration::from_secs(1))
            .retry_with(policy.max_attempts(5))
            .transient()
            .timeout(Duration::from_secs(10)));
        assert_eq!(longest_wait(|n| transfer.call(n)).await.0, secs(1));

        assert_said(RECIPES, "every caller has its error after 3.3 s: three attempts of 1 s,");
        let get_user = chained!("src/guide/recipes.rs": hang_api,
            .timeout(Duration::from_secs(1))
            .retry_with(RetryPolicy::exponential(Duration::from_millis(100)))
            .transient()
            .timeout(Duration::from_secs(10)));
        assert_eq!(longest_wait(|n| get_user.call(n)).await.0, ms(3_300));

        assert_said(RECIPES, "If the service hangs, every caller has its error after 9.3 s:");
        let get_item = chained!("src/guide/recipes.rs": hang_api,
            .timeout(Duration::from_secs(3))
            .retry_with(RetryPolicy::exponential(Duration::from_millis(100)))
            .transient()
            .timeout(Duration::from_secs(15)));
        assert_eq!(longest_wait(|n| get_item.call(n)).await.0, ms(9_300));

        assert_said(RECIPES, "If the store hangs, every request has its answer after 2 s.");
        let per_user = shown!("src/guide/recipes.rs": KeyedLimiter::new(1, Duration::from_secs(60)));
        let user = chained!("src/guide/recipes.rs": hang_api, .timeout(Duration::from_secs(2)));
        let user = user.try_rate_limited_by_key(&per_user, |id: &u64| *id);
        assert_eq!(longest_wait(|n| user.call(n)).await.0, secs(2));
    }

    /// A limit of the function may have passed after the work was done.
    #[derive(Debug)]
    struct NotRepeated;

    impl From<Error> for NotRepeated {
        fn from(_: Error) -> Self {
            Self
        }
    }

    impl Transient for NotRepeated {
        fn is_transient(&self) -> bool {
            false
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_middleware() {
        assert_said(RECIPES, "If the API hangs, every one of 20 callers has its error after 18 s:");
        let limiter = shown!("src/guide/recipes.rs": RateLimiter::new(50, Duration::from_secs(1)));
        let run = async |_: u64| {
            let next = hang_http(String::new());
            assert_shown(RECIPES, ".rate_limited(&self.0)");
            let next = chained!("src/guide/recipes.rs": next,
                .lifted()
                .timeout(Duration::from_secs(5)));
            next.rate_limited(&limiter).await
        };
        let get = chained!("src/guide/recipes.rs": run,
            .retry_with(RetryPolicy::default()));
        let get = get.when(|failure: &Failure<HttpError>| failure.call().is_none());
        let get = chained!("src/guide/recipes.rs": get, .timeout(Duration::from_secs(30)));
        assert_eq!(longest_wait(|n| get.call(n)).await.0, secs(18));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_steps() {
        const START: &str = "src/guide/start.rs";
        assert_said(START, "If `fetch` hangs, every caller has an `io::Error` of the kind `TimedOut` after 2 s.");
        let fetch = chained!("src/guide/start.rs": hang_io, .timeout(Duration::from_secs(2)));
        let (longest, answers) = longest_wait(|n| fetch.call(n)).await;
        assert_eq!(longest, secs(2));
        assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().kind() == io::ErrorKind::TimedOut));

        assert_said(START, "If `fetch` hangs, every caller has its error after 9 s: three attempts of 2 s,");
        let fetch = chained!("src/guide/start.rs": hang_io,
            .timeout(Duration::from_secs(2))
            .retry_with(RetryPolicy::default())
            .transient()
            .timeout(Duration::from_secs(10)));
        assert_eq!(longest_wait(|n| fetch.call(n)).await.0, secs(9));

        assert_said(START, "If both hang, every one of 20 callers has its error within 3 s:");
        let api = shown!("src/guide/start.rs": RateLimiter::new(10, Duration::from_secs(1)));
        let fetch = chained!("src/guide/start.rs": hang_io, .timeout(Duration::from_secs(2)).rate_limited(&api));
        let fetch_orders = hang_io.timeout(secs(2)).rate_limited(&api);
        let either =
            |n: u64| if n % 2 == 0 { fetch.call(n).left_future() } else { fetch_orders.call(n).right_future() };
        assert_eq!(longest_wait(either).await.0, secs(3));

        assert_said(START, "If `fetch` hangs, every one of 20 callers has its error within 10 s: three attempts");
        let secs = Duration::from_secs;
        let api = shown!("src/guide/start.rs": RateLimiter::new(10, secs(1)));
        let users: Memo<u64, String> = Memo::ttl(secs(300));
        let fetch = chained!("src/guide/start.rs": hang_io,
            .timeout(secs(2))
            .rate_limited(&api)
            .retry_with(RetryPolicy::default())
            .transient()
            .timeout(secs(15))
            .memoized(&users)
            .timeout(secs(20))
            .logged());
        assert_eq!(longest_wait(|n| fetch.call(n)).await.0, secs(10));

        assert_said(START, "If the request hangs, every caller has its error after 15 s.");
        let api = &RateLimiter::new(100, secs(1));
        let fetch = chained!("src/guide/start.rs": hang_io,
            .rate_limited(api).timeout(Duration::from_secs(15)).boxed());
        assert_eq!(longest_wait(|n| fetch.call(n)).await.0, secs(15));
        assert_shown(START, "#[decor::decorated(.rate_limited(&API).timeout(15 * SECOND))]");
    }

    #[tokio::test(start_paused = true)]
    async fn the_orders() {
        const ORDER: &str = "src/guide/order.rs";
        assert_said(ORDER, "If `fetch` hangs, every caller has its error after 8 s.");
        assert_said(ORDER, "no caller waits longer than 10 s.");
        let users: Memo<u64, String> = Memo::ttl(secs(300));
        let fetch = chained!("src/guide/order.rs": hang_io,
            .timeout(secs(2))
            .retry_with(RetryPolicy::fixed(secs(1)))
            .memoized(&users)
            .timeout(secs(10)));
        assert_eq!(longest_wait(|_| fetch.call(42)).await.0, secs(8));
        let leaving = join_all((1..CALLERS).map(|n| timeout(secs(n), fetch.call(7))));
        assert_eq!(join(leaving, longest_wait(|_| fetch.call(7))).await.1.0, secs(10));

        assert_said(ORDER, "If the server hangs, every one of 20 callers has its error within 10 s:");
        let api = shown!("src/guide/order.rs": RateLimiter::new(10, secs(1)));
        let outbound = shown!("src/guide/order.rs": decor::stack::<io::Error>()
            .timeout(secs(2))
            .rate_limited(&api)
            .retry_with(RetryPolicy::default())
            .transient()
            .timeout(secs(15)));
        let fetch_user = hang_io.decorated_by(&outbound);
        assert_eq!(longest_wait(|n| fetch_user.call(n)).await.0, secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_errors() {
        const ERRORS: &str = "src/guide/errors.rs";
        assert_said(ERRORS, "If the server hangs, every caller has its error after 9 s. If it asks for long waits,");
        let fetch = chained!("src/guide/errors.rs": hang_api,
            .timeout(Duration::from_secs(2))
            .retry_with(RetryPolicy::default())
            .transient()
            .timeout(Duration::from_secs(30)));
        assert_eq!(longest_wait(|n| fetch.call(n)).await.0, secs(9));
        let throttled = |_: u64| ready(Err::<String, _>(Error::RateLimited { retry_after: secs(20) }));
        let fetch = throttled.timeout(secs(2)).retry_with(RetryPolicy::default()).transient().timeout(secs(30));
        assert!(longest_wait(|n| fetch.call(n)).await.0 <= secs(30));

        assert_said(ERRORS, "If `fetch` hangs, every caller has its answer within 9 s:");
        for callers in [1, CALLERS] {
            let breaker = shown!("src/guide/errors.rs": CircuitBreaker::consecutive(5));
            let fetch = |_: u64| pending::<Result<String, Error>>();
            let fetch = shown!("src/guide/errors.rs": fetch
                .timeout(Duration::from_secs(2)).labelled("attempt")
                .guarded_by(&breaker)
                .retry_with(RetryPolicy::default())
                .transient()
                .timeout(Duration::from_secs(10)).labelled("total"));
            let fetch = fetch.fallback(async |error: Error, _: u64| match error {
                Error::CircuitOpen { .. } => Ok(String::from("the substitute")),
                error => Err(error),
            });
            if callers == 1 {
                let begun = Instant::now();
                fetch.call(0).await.unwrap_err();
                assert_eq!(begun.elapsed(), secs(9));
            } else {
                let (longest, answers) = longest_wait(|n| fetch.call(n)).await;
                assert_eq!((longest, answers.iter().all(Result::is_ok)), (secs(3), true));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_tests_and_the_own_decorators() {
        for path in ["src/guide/testing.rs", "src/guide/writing_a_decorator.rs"] {
            assert_said(path, "If the function hangs, every caller has its error after 9 s.");
            let chain = ".timeout(Duration::from_secs(2)) .retry_with(RetryPolicy::default()) .transient() \
                         .timeout(Duration::from_secs(10))";
            assert_shown(path, chain);
        }
        assert_said("src/guide/testing.rs", "If `fetch` hangs, every caller has its error after 9 s. There is never");
        let fetch = chained!("src/guide/testing.rs": hang_io,
            .timeout(Duration::from_secs(4))
            .retry_with(RetryPolicy::default())
            .timeout(Duration::from_secs(10)));
        assert_eq!(longest_wait(|n| fetch.call(n)).await.0, secs(9));

        assert_said("src/guide/writing_a_decorator.rs", "every caller of the async chain has its error after 5 s:");
        assert_shown("src/guide/writing_a_decorator.rs", ".unless_maintained(&switch)");
        let fetch = chained!("src/guide/writing_a_decorator.rs": hang_api.timeout(secs(2)),
            .retry_with(RetryPolicy::default().max_attempts(2))
            .transient()
            .timeout(Duration::from_secs(90)));
        assert_eq!(longest_wait(|n| fetch.call(n)).await.0, secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn the_shared_limit() {
        const PAST: &str = "src/guide/past_one_machine.rs";
        assert_said(PAST, "If `fetch` hangs, every one of 20 callers has its error within 3.02 s:");
        assert_said(PAST, "No caller waits longer than 10 s.");
        let store = FakeStore::new();
        let limiter = || {
            let limit = RateLimiter::builder().window(10, secs(1));
            limit.shared(store.quota("github"), OnFailure::Closed).build()
        };
        let (here, elsewhere) = (limiter(), limiter());
        let fetch_here = chained!("src/guide/past_one_machine.rs": hang_io,
            .timeout(secs(2)).rate_limited(&here).timeout(secs(10)));
        let fetch_elsewhere = chained!("src/guide/past_one_machine.rs": hang_io,
            .timeout(secs(2)).rate_limited(&elsewhere).timeout(secs(10)));
        let either =
            |n: u64| if n % 2 == 0 { fetch_here.call(n).left_future() } else { fetch_elsewhere.call(n).right_future() };
        assert_eq!(longest_wait(either).await.0, ms(3_020));
    }

    #[test]
    fn the_sync_functions() {
        const BLOCKING: &str = "src/guide/blocking.rs";
        assert_said(BLOCKING, "If `fetch` hangs, every one of 20 callers has its error within 10 s: three attempts");
        let clock = VirtualClock::start();
        let (api, users) = (RateLimiter::new(10, secs(1)), Memo::<u64, String>::ttl(secs(300)));
        let hang = |_: u64| -> io::Result<String> {
            test_util::sleep(secs(3600));
            Ok(String::new())
        };
        let fetch = chained!("src/guide/blocking.rs": hang,
            .blocking()
            .timeout(secs(2))
            .rate_limited(&api)
            .retry_with(RetryPolicy::default())
            .transient()
            .memoized(&users)
            .timeout(secs(20)));
        let threads = (0..CALLERS).map(|n| {
            let fetch = fetch.clone();
            clock.spawn(move || {
                fetch.call(n).unwrap_err();
                test_util::elapsed().unwrap()
            })
        });
        let waits = threads.collect::<Vec<_>>().into_iter().map(VirtualThread::join);
        assert_eq!(waits.max(), Some(secs(10)));
    }
}
