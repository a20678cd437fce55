//! Good chains raise no lint: those of the README, of the front page, of the examples, and the
//! order that the documentation recommends.

use crate::{
    every::Open,
    support::{ms, secs},
};
use decor::{Error, Failure, Hedge, Metering, RetryError, Transient, describe::Chain, prelude::*};
use std::{collections::BTreeSet, fs, io, time::Duration};

async fn fetch(_: u64) -> io::Result<String> {
    Ok(String::new())
}

fn load(path: String) -> io::Result<String> {
    fs::read_to_string(path)
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("foreign")]
struct Foreign;

async fn foreign(_: String) -> Result<String, Foreign> {
    Err(Foreign)
}

/// The place that shows a chain, and the chain.
type Row = (&'static str, Chain);

fn windows() -> RateLimiter {
    RateLimiter::windows([(20, secs(60)), (1_000, secs(60))])
}

fn jittered(first: Duration) -> RetryPolicy {
    RetryPolicy::exponential(first).jitter(Jitter::Full)
}

/// The chains of README and of the documentation.
#[allow(clippy::too_many_lines)] // a row for each chain
fn documents() -> Vec<Row> {
    let minute = secs(60);
    let limiter = RateLimiter::new(10, secs(1));
    let windows = windows();
    let users: Memo<u64, String> = Memo::ttl(secs(300));
    let pages: Memo<String, String> = Memo::ttl(secs(300));
    let policy = RetryPolicy::fixed(ms(10));
    let (places, breaker, budget) =
        (ConcurrencyLimiter::new(20), CircuitBreaker::consecutive(5), RetryBudget::new(0.1));
    vec![
        (
            "README.md, src/lib.rs, examples/first_call.rs",
            fetch.timeout(secs(2)).retry_with(RetryPolicy::default()).transient().timeout(secs(10)).logged().describe(),
        ),
        (
            "README.md: a model API",
            fetch
                .timeout(secs(20))
                .pausing(&windows, Transient::retry_after)
                .rate_limited_by(&windows, |_: &u64| [1, 10])
                .settled(|answer: &String| [1, answer.len()])
                .retry_with(jittered(ms(100)))
                .transient()
                .timeout(secs(180))
                .describe(),
        ),
        ("README.md: a repository", fetch.timeout(secs(1)).memoized(&users).timeout(secs(2)).describe()),
        ("README.md: a write", fetch.invalidating(&users, |id: &u64| *id).timeout(secs(1)).describe()),
        (
            "README.md: a sync function",
            load.blocking().rate_limited(&limiter).retry_with(&policy).transient().timeout(secs(2)).describe(),
        ),
        (
            "src/lib.rs: without arguments",
            (|| fetch(1)).named("answer").retry_with(RetryPolicy::default()).timeout(secs(10)).describe(),
        ),
        (
            "src/lib.rs: a function that returns a chain",
            fetch
                .timeout(secs(15))
                .rate_limited(&limiter)
                .retry_with(RetryPolicy::default())
                .transient()
                .timeout(minute)
                .describe(),
        ),
        (
            "src/guide/errors.rs: a foreign error",
            foreign.lifted().timeout(secs(1)).memoized(&pages).timeout(secs(2)).describe(),
        ),
        (
            "src/guide/errors.rs: a foreign error for all callers",
            foreign.lifted().timeout(secs(1)).memoized(&pages).sharing_errors().timeout(secs(2)).describe(),
        ),
        (
            "src/calling.rs: a trait",
            fetch.timeout(secs(2)).rate_limited(&limiter).retry_with(&policy).transient().describe(),
        ),
        ("src/calling.rs: a struct", fetch.named("get").retry_with(RetryPolicy::default()).boxed().describe()),
        (
            "src/lib.rs: a place for each handle, and the picture of README.md",
            fetch
                .timeout(secs(1))
                .guarded_by(&breaker)
                .rate_limited(&limiter)
                .concurrency_limited(&places)
                .unless_open(&breaker)
                .hedged(Hedge::percentile(0.95).budget(&budget))
                .retry_with(RetryPolicy::fixed(secs(1)))
                .transient()
                .budgeted(&budget)
                .timeout(secs(8))
                .memoized(&users)
                .timeout(secs(10))
                .fallback(|error: io::Error, _: u64| std::future::ready(Err(error)))
                .logged()
                .describe(),
        ),
        ("src/fn_ext.rs: guarded_by", fetch.timeout(secs(2)).guarded_by(&breaker).describe()),
        (
            "src/fn_ext.rs: unless_open",
            fetch
                .timeout(secs(2))
                .guarded_by(&breaker)
                .rate_limited(&limiter)
                .unless_open(&breaker)
                .timeout(secs(90))
                .describe(),
        ),
        (
            "src/fn_ext.rs: backing_off",
            fetch.backing_off(&places, |_: &io::Error| true).concurrency_limited(&places).describe(),
        ),
        ("src/fn_ext.rs: fallback_to", fetch.timeout(secs(1)).fallback_to(fetch.timeout(secs(1))).describe()),
        (
            "src/fn_ext.rs: a retry that waits until the circuit is half-open",
            fetch
                .timeout(secs(1))
                .guarded_by(&breaker)
                .retry_with(&policy)
                .retry_after(Transient::retry_after)
                .timeout(minute)
                .describe(),
        ),
    ]
}

/// The chains of the example `resilience_lab`, which adds one handle after the other.
fn lab() -> Vec<Row> {
    let (breaker, budget) = (CircuitBreaker::among(10, 20), RetryBudget::new(0.1));
    let (adaptive, hedge) = (ConcurrencyLimiter::adaptive(4..=200), Hedge::percentile(0.95).budget(&budget));
    let attempt = || fetch.timeout(secs(1));
    let chosen = |_: &io::Error| true;
    let limited = attempt().backing_off(&adaptive, chosen).concurrency_limited_within(&adaptive, ms(200));
    let all = attempt()
        .backing_off(&adaptive, chosen)
        .guarded_by(&breaker)
        .concurrency_limited_within(&adaptive, ms(200))
        .unless_open(&breaker)
        .hedged(&hedge);
    // The same retry and the same total limit around each.
    macro_rules! retried {
        ($attempt:expr) => {
            $attempt
                .retry_with(RetryPolicy::default().jitter(Jitter::Full))
                .when(chosen)
                .budgeted(&budget)
                .timeout(secs(10))
                .boxed()
                .describe()
        };
    }
    let retry = attempt().retry_with(RetryPolicy::default()).when(chosen).timeout(secs(10));
    vec![
        ("examples/resilience_lab/chains.rs: bare", attempt().boxed().describe()),
        ("examples/resilience_lab/chains.rs: retry", retry.boxed().describe()),
        ("examples/resilience_lab/chains.rs: budget", retried!(attempt())),
        ("examples/resilience_lab/chains.rs: breaker", retried!(attempt().guarded_by(&breaker))),
        ("examples/resilience_lab/chains.rs: adaptive", retried!(limited)),
        ("examples/resilience_lab/chains.rs: hedge", retried!(attempt().hedged(&hedge))),
        ("examples/resilience_lab/chains.rs: all", retried!(all)),
    ]
}

/// The chains of the guides.
#[allow(clippy::too_many_lines)] // a row for each chain
fn guides() -> Vec<Row> {
    let limiter = RateLimiter::new(50, secs(1));
    let per_user = KeyedLimiter::new(1, secs(60));
    let users: Memo<u64, String> = Memo::ttl(secs(300));
    let breaker = CircuitBreaker::consecutive(5);
    let retried = fetch.timeout(secs(2)).retry_with(RetryPolicy::default()).transient();
    vec![
        ("src/guide/start.rs", fetch.timeout(secs(2)).describe()),
        ("src/guide/start.rs: attempts", retried.clone().timeout(secs(10)).describe()),
        ("src/guide/start.rs: a limit", fetch.timeout(secs(2)).rate_limited(&limiter).describe()),
        (
            "src/guide/start.rs, src/guide/blocking.rs: a memo",
            fetch
                .timeout(secs(2))
                .rate_limited(&limiter)
                .retry_with(RetryPolicy::default())
                .transient()
                .timeout(secs(15))
                .memoized(&users)
                .timeout(secs(20))
                .logged()
                .describe(),
        ),
        ("src/guide/start.rs: a struct", fetch.rate_limited(&limiter).timeout(secs(15)).boxed().describe()),
        (
            "src/guide/order.rs",
            fetch
                .timeout(secs(2))
                .retry_with(RetryPolicy::fixed(secs(1)))
                .memoized(&users)
                .timeout(secs(10))
                .describe(),
        ),
        ("src/guide/errors.rs", retried.timeout(secs(30)).describe()),
        (
            "src/guide/errors.rs: an answer",
            fetch
                .timeout(secs(2))
                .labelled("attempt")
                .guarded_by(&breaker)
                .retry_with(RetryPolicy::default())
                .transient()
                .timeout(secs(10))
                .labelled("total")
                .fallback(|error: io::Error, _: u64| std::future::ready(Err(error)))
                .describe(),
        ),
        ("src/guide/past_one_machine.rs", fetch.timeout(secs(2)).rate_limited(&limiter).timeout(secs(10)).describe()),
        (
            "src/guide/clients.rs",
            fetch
                .timeout(secs(5))
                .pausing(&limiter, Transient::retry_after)
                .rate_limited(&limiter)
                .retry_with(RetryPolicy::default().max_hint(secs(20)))
                .transient()
                .timeout(secs(30))
                .logged()
                .describe(),
        ),
        (
            "src/guide/clients.rs: a payment",
            fetch
                .timeout(secs(5))
                .retry_with(RetryPolicy::default())
                .when(|_: &io::Error| false)
                .timeout(secs(30))
                .describe(),
        ),
        (
            "src/guide/streams.rs, examples/streams/main.rs",
            fetch
                .rate_limited_by(&limiter, |_: &u64| 200)
                .settled_result(|answer| Some(answer.as_ref().map_or(0, String::len)))
                .timeout(secs(180))
                .describe(),
        ),
        (
            "src/guide/streams.rs: pages",
            fetch
                .timeout(secs(2))
                .rate_limited(&limiter)
                .retry_with(RetryPolicy::default())
                .transient()
                .timeout(secs(15))
                .describe(),
        ),
        (
            "src/guide/recipes.rs: sqlx",
            fetch
                .timeout(secs(1))
                .retry_with(jittered(ms(20)).max_attempts(5))
                .transient()
                .timeout(secs(10))
                .describe(),
        ),
        (
            "src/guide/recipes.rs: tonic",
            fetch
                .timeout(secs(1))
                .retry_with(RetryPolicy::exponential(ms(100)))
                .transient()
                .timeout(secs(10))
                .describe(),
        ),
        (
            "src/guide/recipes.rs: the AWS SDK",
            fetch
                .timeout(secs(3))
                .retry_with(RetryPolicy::exponential(ms(100)))
                .transient()
                .timeout(secs(15))
                .describe(),
        ),
        (
            "src/guide/recipes.rs: reqwest-middleware",
            foreign
                .lifted()
                .retry_with(RetryPolicy::default())
                .when(|failure: &Failure<Foreign>| failure.call().is_none())
                .timeout(secs(30))
                .describe(),
        ),
        (
            "src/guide/recipes.rs: a route of axum",
            fetch.timeout(secs(2)).try_rate_limited_by_key(&per_user, |id: &u64| *id).describe(),
        ),
    ]
}

/// The chains of the examples.
#[allow(clippy::too_many_lines)] // a row for each chain
fn examples() -> Vec<Row> {
    let limiter = RateLimiter::new(10, secs(1));
    let adaptive = ConcurrencyLimiter::adaptive(4..=64);
    let windows = windows();
    let users: Memo<u64, String> = Memo::ttl(secs(300));
    let pages: Memo<String, String> = Memo::ttl(secs(300));
    let loads: Memo<String, String> = Memo::ttl(secs(60));
    let results: Memo<u64, String> = Memo::ttl(secs(60));
    let policy = RetryPolicy::fixed(ms(10));
    let (breaker, budget) = (CircuitBreaker::consecutive(12), RetryBudget::new(0.1));
    let keyed: KeyedLimiter<u64> = KeyedLimiter::new(10, secs(1));
    vec![
        ("examples/own_error_enum.rs", fetch.timeout(ms(50)).retry_with(&policy).transient().describe()),
        ("examples/stored_in_a_struct.rs", fetch.timeout(ms(100)).retry_with(&policy).boxed().describe()),
        (
            "examples/with_anyhow.rs",
            fetch.timeout(ms(20)).retry_with(&policy).when(|_: &io::Error| true).explained().describe(),
        ),
        ("examples/foreign_error.rs", foreign.lifted().timeout(ms(30)).retry_with(&policy).describe()),
        (
            "examples/foreign_error.rs: a memo",
            foreign.lifted().timeout(ms(300)).memoized(&pages).timeout(ms(600)).describe(),
        ),
        ("examples/memo.rs", fetch.timeout(secs(1)).memoized(&users).timeout(secs(2)).describe()),
        ("examples/memo.rs: detached", fetch.timeout(secs(1)).memoized(&users).detached().timeout(secs(2)).describe()),
        ("examples/shared_limiter.rs: at once", fetch.try_rate_limited(&limiter).describe()),
        ("examples/shared_limiter.rs: in time", fetch.rate_limited_within(&limiter, secs(3)).describe()),
        (
            "examples/shared_limiter.rs: pausing",
            fetch.pausing(&limiter, |_: &io::Error| Some(secs(1))).rate_limited(&limiter).describe(),
        ),
        ("examples/custom_policy.rs", fetch.retry_with(jittered(ms(10))).describe()),
        (
            "examples/llm_client/client.rs",
            fetch
                .timed("attempt")
                .timeout(secs(2))
                .pausing(&windows, Transient::retry_after)
                .guarded_by(&breaker)
                .when(Transient::is_transient)
                .rate_limited_by(&windows, |_: &u64| [1, 10])
                .settled(|answer: &String| [1, answer.len()])
                .unless_open(&breaker)
                .hedged(Hedge::percentile(0.99).budget(&budget))
                .retry_with(jittered(ms(100)).max_delay(secs(2)).max_attempts(12).deadline(secs(15 - 2)))
                .transient()
                .budgeted(&budget)
                .memoized(&users)
                .timeout(secs(15))
                .fallback(|error: io::Error, _: u64| std::future::ready(Err(error)))
                .validated(|_: &u64| Ok::<_, &str>(()))
                .logged()
                .timed("complete")
                .boxed()
                .describe(),
        ),
        (
            "examples/metrics/service.rs",
            fetch
                .timeout(ms(100))
                .traced("store")
                .metered_with(Metering::new("store").by_result().error_type(|_: &io::Error| "io"))
                .guarded_by(&breaker)
                .rate_limited(&limiter)
                .concurrency_limited(&adaptive)
                .unless_open(&breaker)
                .hedged(Hedge::after(ms(30)).budget(&budget))
                .retry_with(RetryPolicy::exponential(ms(10)))
                .transient()
                .budgeted(&budget)
                .memoized(&users)
                .timeout(secs(1))
                .traced("item")
                .metered("item")
                .boxed()
                .describe(),
        ),
        (
            "examples/blocking/client.rs",
            load.blocking()
                .named("complete")
                .timeout(ms(500))
                .pausing(&limiter, Transient::retry_after)
                .rate_limited(&limiter)
                .retry_with(jittered(ms(50)).max_delay(secs(1)).max_attempts(12))
                .transient()
                .memoized(&pages)
                .timeout(secs(30))
                .validated(|_: &String| Ok::<_, &str>(()))
                .logged()
                .boxed()
                .describe(),
        ),
        (
            "examples/blocking/together.rs: threads",
            (|page: String| page)
                .blocking()
                .fallible()
                .rate_limited(&limiter)
                .memoized(&loads)
                .timeout(secs(10))
                .describe(),
        ),
        (
            "examples/axum_server/api.rs: items",
            fetch.timeout(secs(1)).memoized(&users).timeout(secs(2)).boxed().describe(),
        ),
        (
            "examples/axum_server/api.rs: the limit of a key",
            fetch.timeout(secs(5)).try_rate_limited_by_key(&keyed, |id: &u64| *id).describe(),
        ),
        (
            "examples/axum_server/upstream.rs",
            fetch.named("weather").timeout(secs(2)).guarded_by(&breaker).transient().boxed().describe(),
        ),
        (
            "examples/streams/main.rs",
            fetch
                .rate_limited_by(&limiter, |_: &u64| 10)
                .settled_result(|_: &io::Result<String>| Some(10))
                .timeout(secs(120))
                .describe(),
        ),
        (
            "examples/blocking/together.rs: tasks",
            (|_: u64| std::future::ready(String::new()))
                .fallible()
                .rate_limited(&limiter)
                .memoized(&results)
                .timeout(secs(10))
                .describe(),
        ),
    ]
}

/// The orders that the documentation recommends.
fn orders() -> Vec<Row> {
    let (places, breaker, budget) =
        (ConcurrencyLimiter::new(10), CircuitBreaker::consecutive(5), RetryBudget::new(0.1));
    let hedge = Hedge::percentile(0.95).budget(&budget);
    let limiter = RateLimiter::new(10, secs(1));
    let per_user = KeyedLimiter::new(10, secs(1));
    let users: Memo<u64, String> = Memo::ttl(secs(300));
    vec![
        (
            "src/fn_ext.rs: a limit for each key",
            fetch.rate_limited(&limiter).rate_limited_by_key(&per_user, |id: &u64| *id).timeout(secs(9)).describe(),
        ),
        (
            "the recommended order",
            fetch
                .timeout(secs(2))
                .pausing(&limiter, Transient::retry_after)
                .guarded_by(&breaker)
                .rate_limited(&limiter)
                .concurrency_limited(&places)
                .unless_open(&breaker)
                .hedged(&hedge)
                .retry_with(RetryPolicy::default())
                .transient()
                .budgeted(&budget)
                .timeout(secs(9))
                .memoized(&users)
                .timeout(secs(10))
                .fallback(|error: io::Error, _: u64| std::future::ready(Err(error)))
                .validated(|_: &u64| Ok::<_, &str>(()))
                .logged()
                .timed("get")
                .describe(),
        ),
        (
            "a stack",
            decor::stack::<Failure<Error>>()
                .timeout(secs(2))
                .guarded_by(&breaker)
                .rate_limited(&limiter)
                .concurrency_limited(&places)
                .unless_open(&breaker)
                .hedged(&hedge)
                .retry_with(RetryPolicy::default())
                .when(|_: &Failure<Error>| true)
                .explained()
                .map_err(RetryError::into_cause)
                .timeout(secs(10))
                .gated(Open)
                .describe(),
        ),
    ]
}

fn chains() -> Vec<Row> {
    [documents(), guides(), examples(), lab(), orders()].concat()
}

#[test]
fn good_chains_raise_no_lint() {
    let chains = chains();
    assert!(chains.len() > 40, "{}", chains.len());
    for (place, chain) in &chains {
        assert_eq!(chain.lints(), [], "{place}: {chain:?}");
    }
}

/// The chains of the list are as good as those of the examples only if no example is missing.
#[test]
fn every_example_with_a_chain_is_in_the_list() {
    let places = chains().into_iter().map(|(place, _)| place).collect::<Vec<_>>().join("\n");
    let mut examples = BTreeSet::new();
    for entry in fs::read_dir("examples").unwrap() {
        let path = entry.unwrap().path();
        let files = if path.is_dir() {
            fs::read_dir(&path).unwrap().map(|file| file.unwrap().path()).collect()
        } else {
            vec![path]
        };
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let methods = [".retry_with(", ".memoized(", ".timeout(", ".rate_limited(", ".guarded_by(", ".hedged("];
            if methods.iter().any(|method| text.contains(method)) {
                examples.insert(file.display().to_string());
            }
        }
    }
    let missing = examples.iter().filter(|example| !places.contains(example.as_str())).collect::<Vec<_>>();
    assert!(missing.is_empty(), "no chain in the list of this file is from {missing:?}");
}
