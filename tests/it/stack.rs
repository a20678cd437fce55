//! Stacks: one set of decorators for functions of any number of arguments, in both halves.

use crate::{
    every::Open,
    support::{listen, ms, secs},
};
use decor::{
    Callable, Chaos, CircuitState, Deprecation, Error, Failure, Logging, Timing, prelude::*, test_util::VirtualClock,
};
use std::{
    any::TypeId,
    cell::Cell,
    fmt::Debug,
    future::{pending, ready},
    panic::Location,
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

async fn nothing() -> Result<u64, Error> {
    pending().await
}

async fn one(id: u64) -> Result<u64, Error> {
    Ok(id)
}

async fn two(id: u64, name: String) -> Result<String, Error> {
    Ok(format!("{id} {name}"))
}

async fn three(a: u8, b: u16, c: u32) -> Result<u32, Error> {
    Ok(u32::from(a) + u32::from(b) + c)
}

async fn text(host: &str, path: &str) -> Result<usize, Error> {
    Ok(host.len() + path.len())
}

async fn borrowed<'a>(host: &'a str, _path: &str) -> Result<&'a str, Error> {
    Ok(host)
}

#[allow(clippy::too_many_arguments)] // as many as a function may have
async fn eight(_: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, last: u8) -> Result<u8, Error> {
    Ok(last)
}

fn load(id: u64) -> Result<u64, Error> {
    if id == 0 { Err(Error::QueueFull { waiting: 1 }) } else { Ok(id) }
}

fn limiter() -> RateLimiter {
    RateLimiter::new(100, secs(1))
}

/// Adds the same decorators to a function and to a stack.
macro_rules! decorated {
    ($chain:expr, $limiter:expr) => {
        $chain
            .timeout(secs(2))
            .labelled("attempt")
            .rate_limited_within($limiter, secs(1))
            .retry_with(RetryPolicy::default())
            .when(Error::is_transient)
            .timeout(secs(10))
            .map_err(|error: Error| error)
            .gated(Open)
            .logged()
            .deprecated("use another")
            .timed("calls")
    };
}

fn assert_same<A: Debug + 'static, B: Debug + 'static>(by_stack: &A, by_hand: &B) {
    assert_eq!(size_of_val(by_stack), size_of_val(by_hand));
    assert_eq!(format!("{by_stack:?}"), format!("{by_hand:?}"));
}

#[tokio::test(start_paused = true)]
async fn a_decorated_function_is_the_chain_written_by_hand() {
    let limiter = limiter();
    let stack = decorated!(decor::stack::<Error>(), &limiter);
    assert_same(&nothing.decorated_by(&stack), &decorated!(nothing, &limiter));
    assert_same(&one.decorated_by(&stack), &decorated!(one, &limiter));
    assert_same(&two.decorated_by(&stack), &decorated!(two, &limiter));
    assert_same(&three.decorated_by(&stack), &decorated!(three, &limiter));
    assert_same(&text.decorated_by(&stack), &decorated!(text, &limiter));
    assert_same(&borrowed.decorated_by(&stack), &decorated!(borrowed, &limiter));
    assert_same(&eight.decorated_by(&stack), &decorated!(eight, &limiter));
    assert_same(&load.blocking().decorated_by(&stack), &decorated!(load.blocking(), &limiter));
    assert_eq!(limiter.available(), 100, "no call was made");

    assert_eq!(one.decorated_by(&stack).call(7).await, Ok(7));
    assert_eq!(two.decorated_by(&stack).call(7, "x".to_owned()).await.as_deref(), Ok("7 x"));
    assert_eq!(three.decorated_by(&stack).call(1, 2, 3).await, Ok(6));
    assert_eq!(text.decorated_by(&stack).call("a", &String::from("/")).await, Ok(2));
    assert_eq!(borrowed.decorated_by(&stack).call(&String::from("a"), "b").await, Ok("a"));
    assert_eq!(eight.decorated_by(&stack).call(1, 2, 3, 4, 5, 6, 7, 8).await, Ok(8));
    assert_eq!(limiter.available(), 94, "all share the limiter");
    let begun = Instant::now();
    let error = nothing.decorated_by(&stack).await.unwrap_err();
    assert_eq!(begun.elapsed(), secs(2 + 1 + 2 + 2 + 2));
    assert_eq!(error, Error::TimedOut { name: "nothing".into(), after: secs(2), label: Some("attempt") });
}

fn type_of<T: 'static>(_: &T) -> TypeId {
    TypeId::of::<T>()
}

/// The closures of `decorated!` have a type for each place, so this chain has none.
#[test]
fn the_types_are_equal() {
    macro_rules! chain {
        ($chain:expr) => {
            $chain
                .timeout(secs(2))
                .rate_limited(&limiter())
                .retry_with(RetryPolicy::default())
                .when(Error::is_transient)
                .transient()
                .explained()
                .map_err(decor::RetryError::into_cause)
                .logged()
                .lifted()
                .timeout(secs(10))
                .labelled("total")
                .err_into::<Failure<Error>>()
                .named("x")
                .gated(Open)
                .timed("x")
        };
    }
    let stack = chain!(decor::stack::<Error>());
    assert_eq!(type_of(&nothing.decorated_by(&stack)), type_of(&chain!(nothing)));
    assert_eq!(type_of(&one.decorated_by(&stack)), type_of(&chain!(one)));
    assert_eq!(type_of(&two.decorated_by(&stack)), type_of(&chain!(two)));
    assert_eq!(type_of(&three.decorated_by(&stack)), type_of(&chain!(three)));
    assert_eq!(type_of(&text.decorated_by(&stack)), type_of(&chain!(text)));
    assert_eq!(type_of(&load.blocking().decorated_by(&stack)), type_of(&chain!(load.blocking())));
    assert_eq!(type_of(&one.decorated_by(&decor::stack::<Error>())), type_of(&one), "an empty stack");
}

/// The handles of a stack.
struct Handles {
    breaker: CircuitBreaker,
    places: ConcurrencyLimiter,
    limiter: RateLimiter,
    budget: RetryBudget,
    chaos: Chaos,
}

impl Handles {
    fn new() -> Self {
        Self {
            breaker: CircuitBreaker::consecutive(5),
            places: ConcurrencyLimiter::adaptive(4..=100),
            limiter: limiter(),
            budget: RetryBudget::new(0.1),
            chaos: Chaos::script([]),
        }
    }
}

fn no_hint(_: &Error) -> Option<Duration> {
    None
}

fn busy() -> Error {
    Error::QueueFull { waiting: 9 }
}

/// The decorators with handles, in the order that the documentation recommends. Named functions in
/// place of closures, because each closure has a type of its own.
macro_rules! with_handles {
    ($chain:expr, $handles:expr, [$($hedged:tt)*]) => {
        $chain
            .chaotic(&$handles.chaos, busy)
            .timeout(secs(2))
            .pausing(&$handles.limiter, no_hint)
            .backing_off(&$handles.places, Error::is_transient)
            .guarded_by(&$handles.breaker)
            .when(Error::is_transient)
            .ignoring(Error::is_transient)
            .rate_limited(&$handles.limiter)
            .concurrency_limited(&$handles.places)
            .concurrency_limited_within(&$handles.places, secs(1))
            .try_concurrency_limited(&$handles.places)
            .unless_open(&$handles.breaker)
            $($hedged)*
            .retry_with(RetryPolicy::default())
            .transient()
            .budgeted(&$handles.budget)
            .timeout(secs(10))
    };
}

#[test]
fn a_stack_with_every_handle_is_the_chain_written_by_hand() {
    let handles = Handles::new();
    let hedge = Hedge::percentile(0.95).budget(&handles.budget);
    macro_rules! chain {
        ($chain:expr) => {
            with_handles!($chain, handles, [.hedged(&hedge)])
        };
    }
    macro_rules! assert_equal {
        ($($function:ident)*) => {$(
            let (by_stack, by_hand) = ($function.decorated_by(&chain!(decor::stack::<Error>())), chain!($function));
            assert_same(&by_stack, &by_hand);
            assert_eq!(type_of(&by_stack), type_of(&by_hand));
            assert_eq!(by_stack.describe(), by_hand.describe());
        )*};
    }
    assert_equal!(nothing one two three text borrowed eight);

    // Sync functions have no hedge.
    let by_stack = load.blocking().decorated_by(&with_handles!(decor::stack::<Error>(), handles, []));
    let by_hand = with_handles!(load.blocking(), handles, []);
    assert_same(&by_stack, &by_hand);
    assert_eq!(type_of(&by_stack), type_of(&by_hand));
    assert_eq!(by_stack.describe(), by_hand.describe());
}

/// The functions of a stack share its handles, and each has its own calls.
#[tokio::test(start_paused = true)]
async fn the_functions_of_a_stack_share_its_handles() {
    let breaker = CircuitBreaker::consecutive(2);
    let (places, budget) = (ConcurrencyLimiter::new(1), RetryBudget::new(0.1).capacity(3));
    let hedge = Hedge::after(ms(100)).budget(&budget);
    let stack = decor::stack::<Error>()
        .timeout(secs(1))
        .guarded_by(&breaker)
        .concurrency_limited(&places)
        .unless_open(&breaker)
        .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2))
        .transient()
        .budgeted(&budget)
        .timeout(secs(9));
    assert!(stack.describe().lints().is_empty());
    let begun = Instant::now();
    let (first, second) = tokio::join!(nothing.decorated_by(&stack).call(), text.decorated_by(&stack).call("a", "b"));
    assert!(matches!(first, Err(Error::TimedOut { .. })));
    assert_eq!((second, begun.elapsed()), (Ok(2), secs(3)), "the second call waits for the place of the first");
    assert_eq!((breaker.stats().failed, breaker.stats().succeeded), (2, 1));
    assert_eq!((places.stats().admitted, places.stats().delayed), (3, 1));
    assert_eq!(budget.stats().withdrawals, 1);

    // The breaker remembers the last failure of `nothing`, and opens at the first one of `hang`.
    let begun = Instant::now();
    let hang = |_: u64| pending::<Result<u64, Error>>();
    let hang = hang.named("hang").decorated_by(&stack);
    assert!(matches!(hang.call(7).await, Err(Error::CircuitOpen { .. })), "the second attempt is refused");
    assert_eq!(breaker.state(), CircuitState::Open);
    assert!(matches!(two.decorated_by(&stack).call(7, "x".to_owned()).await, Err(Error::CircuitOpen { .. })));
    assert_eq!((begun.elapsed(), places.stats().admitted), (secs(2), 4));

    // A hedge of the stack makes a second call of each function.
    let hedged = decor::stack::<Error>().hedged(&hedge).timeout(secs(9));
    let calls = Cell::new(0);
    let slow_at_first = |wait: Duration| {
        calls.set(calls.get() + 1);
        let wait = if calls.get() == 1 { wait } else { ms(20) };
        async move {
            tokio::time::sleep(wait).await;
            Ok::<_, Error>(7)
        }
    };
    let begun = Instant::now();
    assert_eq!(slow_at_first.decorated_by(&hedged).call(secs(5)).await, Ok(7));
    assert_eq!((begun.elapsed(), calls.get(), hedge.stats().hedges), (ms(120), 2, 1));
    assert_eq!(text.decorated_by(&hedged).call("a", "b").await, Ok(2));
    assert_eq!((hedge.stats().calls, hedge.stats().wins), (2, 1));
}

/// A hedge within a retry, by a stack, restarts with each attempt.
#[tokio::test(start_paused = true)]
async fn a_hedged_stack_can_be_repeated_and_spawned() {
    let stack = decor::stack::<Error>()
        .timeout(secs(1))
        .hedged(ms(400))
        .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2))
        .timeout(secs(9));
    let begun = Instant::now();
    let hang = (|_: u64| pending::<Result<u64, Error>>()).named("hang").decorated_by(&stack);
    let call = hang.call(7);
    let error = tokio::spawn(call).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "hang timed out after 1s");
    // Each attempt ends with its hedge, 1.4 s after its beginning.
    assert_eq!(begun.elapsed(), ms(1_400 + 1_000 + 1_400));
    assert_eq!(hang.name(), "hang");
}

/// The line after the one of `location`.
fn line_after(location: &Location<'_>) -> String {
    format!("{}:{}", location.file(), location.line() + 1)
}

#[tokio::test(start_paused = true)]
async fn a_decorated_function_keeps_its_own_name() {
    let log = listen();
    let stack = decor::stack::<Error>()
        .timeout(secs(2))
        .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2))
        .deprecated("use another")
        .logged();
    let nothing = nothing.decorated_by(&stack);
    assert_eq!(nothing.name(), "nothing");
    assert_eq!(nothing.await.unwrap_err().to_string(), "nothing timed out after 2s");
    assert_eq!(
        log.take(),
        [
            "DEBUG calling nothing",
            "WARN nothing is deprecated: use another",
            "DEBUG nothing failed at attempt 1, retrying in 1s",
            "WARN nothing gave up at attempt 2: attempts exhausted",
            "WARN nothing failed in 5s: Error: nothing timed out after 2s",
        ]
    );

    let place = Location::caller();
    let closure = (|| pending::<Result<(), Error>>()).decorated_by(&stack);
    let name = line_after(place);
    assert_eq!(closure.name(), name.as_str());
    assert_eq!(closure.await.unwrap_err().to_string(), format!("{name} timed out after 2s"));
    let lines = log.take();
    assert_eq!(lines.len(), 5, "each decorated function warns for itself: {lines:?}");
    assert!(lines.iter().all(|line| line.contains(&name)), "{lines:?}");

    let named = (|| pending::<Result<(), Error>>()).named("job").decorated_by(&stack);
    assert_eq!(named.await.unwrap_err().to_string(), "job timed out after 2s");
    let renamed = decor::stack::<Error>().named("all").timeout(ms(1));
    assert_eq!(self::nothing.decorated_by(&renamed).await.unwrap_err().to_string(), "all timed out after 1ms");
}

#[test]
fn a_stack_decorates_sync_functions_on_threads() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::new(2, secs(10));
    let stack = decor::stack::<Error>()
        .timeout(secs(2))
        .rate_limited(&limiter)
        .retry_with(RetryPolicy::fixed(secs(1)))
        .when(Error::is_transient)
        .timed("x");
    assert_eq!(load.blocking().decorated_by(&stack).call(7), Ok(7));
    let hang = (|| {
        decor::test_util::sleep(secs(60));
        Ok::<_, Error>(7)
    })
    .blocking()
    .named("hang")
    .decorated_by(&stack);
    assert_eq!(hang.run().unwrap_err().to_string(), "hang timed out after 2s");
    // The second attempt waits for its permit until 10 s, the third one begins at 13 s.
    assert_eq!(clock.elapsed(), secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_stack_goes_on_behind_and_before_other_decorators() {
    let stack = decor::stack::<Error>().timeout(secs(2)).retry_with(RetryPolicy::fixed(secs(1)));
    let users: Memo<u64, u64> = Memo::ttl(secs(300));
    let get = one.validated(|_: &u64| Ok::<_, &str>(())).decorated_by(&stack).memoized(&users).timeout(secs(9));
    assert_eq!(
        format!("{get:?}"),
        "one.validated(..).timeout(2s).retry_with(fixed 1s, no jitter, 3 attempts).memoized(ttl 300s).timeout(9s)"
    );
    assert_eq!(get.call(7).await, Ok(7));
    assert!(get.describe().lints().is_empty());

    let twice = one.decorated_by(&stack).decorated_by(&decor::stack::<Error>().timeout(secs(9)).logged());
    assert_eq!(twice.describe().steps().len(), 4);
    let shared = Arc::new(one).decorated_by(&stack).boxed();
    assert_eq!(tokio::spawn(async move { shared.call(7).await }).await.unwrap(), Ok(7));
    let page = text.decorated_by(&stack);
    assert_eq!(tokio::spawn(async move { page.call("a", "b").await }).await.unwrap(), Ok(2));
}

/// Functions with a bound can decorate their parameter.
#[tokio::test(start_paused = true)]
async fn a_stack_decorates_a_parameter() {
    fn bounded<F>(f: F) -> impl Callable<(u64,), Output = Result<u64, Error>>
    where
        F: Callable<(u64,), Output = Result<u64, Error>>,
    {
        f.decorated_by(&decor::stack::<Error>().timeout(secs(1)))
    }
    assert_eq!(bounded(one).call(7).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_stack_takes_any_error_type() {
    let anyhow = decor::stack::<anyhow::Error>().timeout(secs(1)).logged();
    let hang = |_: u64| pending::<anyhow::Result<u64>>();
    let error = hang.named("hang").decorated_by(&anyhow).call(7).await.unwrap_err();
    assert_eq!(error.to_string(), "hang timed out after 1s");

    let texts = decor::stack::<String>().logged_with(Logging::new().values()).timed_with(Timing::new("x").by_result());
    let texts = texts.deprecated_with(Deprecation::new("use another")).timeout(secs(1));
    let hang = |_: u64| pending::<Result<u64, String>>();
    assert_eq!(hang.named("hang").decorated_by(&texts).call(7).await.unwrap_err(), "hang timed out after 1s");

    let foreign = decor::stack::<std::num::ParseIntError>().lifted().timeout(secs(1));
    let parse = |text: String| ready(text.parse::<u8>());
    assert_eq!(parse.decorated_by(&foreign).call("7".to_owned()).await, Ok(7));
    let plain = decor::stack::<Error>().timeout(secs(1));
    assert_eq!((|id: u64| ready(id)).fallible().decorated_by(&plain).call(7).await, Ok(7));
}

#[test]
fn a_stack_describes_itself() {
    let stack = decor::stack::<Error>().timeout(secs(2)).retry_with(RetryPolicy::default()).timeout(secs(5));
    assert_eq!(
        format!("{stack:?}"),
        "stack().timeout(2s).retry_with(exponential from 1s by 2, no jitter, 3 attempts).timeout(5s)"
    );
    let chain = stack.describe();
    assert_eq!((chain.function(), chain.steps().len()), ("stack()", 3));
    assert_eq!(chain.lints().iter().map(|lint| lint.code).collect::<Vec<_>>(), ["retries-do-not-fit"]);
    assert_eq!(chain.steps(), one.decorated_by(&stack).describe().steps());
}
