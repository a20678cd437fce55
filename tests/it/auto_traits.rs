//! The auto traits `Send`, `Sync` and `Unpin` of every public type, and the parts that take them
//! from a type.
//!
//! The table lists types that users can name by their names, and decorated functions and their
//! futures by value.
//!
//! `UnwindSafe` is left out, because decor promises nothing about it, and code that needs it can
//! assert it.

use crate::{
    every::{self, Answer as Output, Open, every_decorator, every_future_decorator},
    support::secs,
};
use decor::{
    describe::{Chain, HandleId, Lint, Retries, Step, StepKind},
    future::{
        Acquire, AcquireConcurrency, AcquireMany, AcquireManyConcurrency, Called, GatedFuture, HedgedFuture,
        LateFuture, Repeated, SpannedFuture, TimeoutFuture,
    },
    layer::{Decoration, End, Gate, Gated, GatedBy, Wait},
    prelude::*,
    *,
};
use futures::{
    future::{BoxFuture, LocalBoxFuture},
    stream::Empty,
};
use std::{
    any::type_name_of_val,
    cell::Cell,
    collections::BTreeSet,
    ffi::OsStr,
    fmt, fs,
    future::{IntoFuture, Ready, ready},
    marker::{PhantomData, PhantomPinned},
    path::Path,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

/// The inherent constant of types with the trait shadows the constant of the trait for all types.
macro_rules! implements {
    ($Type:ty, $Trait:ident) => {{
        trait Otherwise {
            const IT_DOES: bool = false;
        }
        impl<T> Otherwise for T {}

        struct Probe<T>(PhantomData<T>);
        impl<T: $Trait> Probe<T> {
            const IT_DOES: bool = true;
        }
        <Probe<$Type>>::IT_DOES
    }};
}

macro_rules! auto_traits {
    ($($Type:ty: $Send:ident $Sync:ident $Unpin:ident;)*) => {
        const TYPES: &[&str] = &[$(stringify!($Type)),*];

        #[test]
        #[allow(dead_code)] // one of the two constants is not used
        fn every_type_keeps_its_auto_traits() {$(
            let found = (implements!($Type, Send), implements!($Type, Sync), implements!($Type, Unpin));
            let promised = (stringify!($Send) == "Send", stringify!($Sync) == "Sync", stringify!($Unpin) == "Unpin");
            assert_eq!(found, promised, "(Send, Sync, Unpin) of {}", stringify!($Type));
        )*}
    };
}

/// A function, a closure or an error with all three traits.
type All = fn(u64) -> Ready<Output>;
/// The same with `Unpin` only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Local(PhantomData<Rc<()>>);
/// The same without `Sync`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct NotSync(PhantomData<Cell<u8>>);

/// A future with `Unpin` only.
type LocalFuture = LocalBoxFuture<'static, Output>;
/// The same without `Sync`.
type NotSyncFuture = BoxFuture<'static, Output>;
/// A future without `Unpin`.
struct PinnedFuture(PhantomPinned);

impl Future for PinnedFuture {
    type Output = Output;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Output> {
        Poll::Ready(Ok(42))
    }
}

auto_traits! {
    // The blocking half has the traits of its function. A clock belongs to its thread.
    blocking::Blocking<All>: Send Sync Unpin;
    blocking::Blocking<Local>: not_send not_sync Unpin;
    Timeout<All>: Send Sync Unpin;
    Timeout<NotSync>: Send not_sync Unpin;
    Hedged<All>: Send Sync Unpin;
    Hedged<NotSync>: Send not_sync Unpin;
    blocking::BoxedFn<(u64,), Output>: Send Sync Unpin;
    blocking::CancelToken: Send Sync Unpin;
    test_util::VirtualClock: not_send not_sync Unpin;
    test_util::VirtualThread<u64>: Send Sync Unpin;

    // Handles.
    Hedge: Send Sync Unpin;
    decor::metrics::Observer: Send Sync Unpin;
    Chaos: Send Sync Unpin;

    // Data.
    Fault: Send Sync Unpin;
    HedgeStats: Send Sync Unpin;
    ChaosStats: Send Sync Unpin;
    Backoff: Send Sync Unpin;
    ConfigError: Send Sync Unpin;
    Deadline: Send Sync Unpin;
    Error: Send Sync Unpin;
    GiveUpReason: Send Sync Unpin;
    Eviction: Send Sync Unpin;
    Jitter: Send Sync Unpin;
    Measurement: Send Sync Unpin;
    Name: Send Sync Unpin;
    Outcome: Send Sync Unpin;
    MemoOutcome: Send Sync Unpin;
    Chain: Send Sync Unpin;
    Step: Send Sync Unpin;
    StepKind: Send Sync Unpin;
    Retries: Send Sync Unpin;
    HandleId: Send Sync Unpin;
    Lint: Send Sync Unpin;
    decor::stream::RateLimited<Empty<u8>>: Send Sync Unpin;
    decor::stream::TimeoutEach<Empty<Output>>: Send Sync Unpin;
    HeldBody<String>: Send Sync Unpin;
    HeldBody<Local>: not_send not_sync Unpin;

    // Services. A layer has the traits of its closure, whatever it wraps.
    decor::tower::ServiceFn<All, Local>: Send Sync Unpin;
    decor::tower::ServiceFn<NotSync, u64>: Send not_sync Unpin;
    decor::tower::ChainService<All>: Send Sync Unpin;
    decor::tower::ChainLayer<All, Local, Local>: Send Sync Unpin;
    decor::tower::ChainLayer<Local, All, All>: not_send not_sync Unpin;
    decor::tower::HttpService<All>: Send Sync Unpin;
    decor::tower::HttpLayer<All, Local, Local>: Send Sync Unpin;
    decor::tower::HttpLayer<Local, All, All>: not_send not_sync Unpin;

    // Settings, with the closures in them.
    Deprecation: Send Sync Unpin;
    Metering: Send Sync Unpin;
    decor::metrics::Metric: Send Sync Unpin;
    decor::metrics::Report<'static>: not_send not_sync Unpin;
    HedgeConfig: Send Sync Unpin;
    ChaosConfig: Send Sync Unpin;
    Logging: Send Sync Unpin;
    MemoBuilder<String, u64>: Send Sync Unpin;
    MemoBuilder<Local, Local>: Send Sync Unpin;
    MemoConfig: Send Sync Unpin;
    MemoStats: Send Sync Unpin;
    RetryBudget: Send Sync Unpin;
    RetryBudgetConfig: Send Sync Unpin;
    RetryBudgetStats: Send Sync Unpin;
    RateLimit: Send Sync Unpin;
    RateLimiterConfig: Send Sync Unpin;
    RetryConfig: Send Sync Unpin;
    RetryPolicy: Send Sync Unpin;
    Schedule: Send Sync Unpin;
    CircuitBreakerBuilder: Send Sync Unpin;
    CircuitBreakerConfig: Send Sync Unpin;
    CircuitBreakerStats: Send Sync Unpin;
    CircuitChange: Send Sync Unpin;
    CircuitReason: Send Sync Unpin;
    CircuitState: Send Sync Unpin;
    CircuitWindow: Send Sync Unpin;
    KeyedBreakerBuilder: Send Sync Unpin;
    Permits: Send Sync Unpin;
    RateLimiterBuilder: Send Sync Unpin;
    RateLimiterStats: Send Sync Unpin;
    decor::OnFailure: Send Sync Unpin;
    decor::shared::Answer: Send Sync Unpin;
    decor::shared::Ask: Send Sync Unpin;
    decor::shared::Charge: Send Sync Unpin;
    decor::shared::Grant: Send Sync Unpin;
    decor::shared::Limits: Send Sync Unpin;
    decor::shared::Probe: Send Sync Unpin;
    decor::shared::Run: Send Sync Unpin;
    decor::shared::RunAnswer: Send Sync Unpin;
    decor::tier::Found<u8>: Send Sync Unpin;
    decor::tier::Keep: Send Sync Unpin;
    decor::tier::KeyBytes: Send Sync Unpin;
    decor::tier::Promise<u8>: Send Sync Unpin;
    decor::tier::Resolver<u8>: Send Sync Unpin;
    decor::tier::TierCounts: Send Sync Unpin;
    decor::shared::StoreError: Send Sync Unpin;
    Stack<Local>: Send Sync Unpin;
    ConcurrencyConfig: Send Sync Unpin;
    ConcurrencyLimiter: Send Sync Unpin;
    ConcurrencyLimiterBuilder: Send Sync Unpin;
    ConcurrencyPermit: Send Sync Unpin;
    ConcurrencyStats: Send Sync Unpin;
    KeyedConcurrencyLimiter<String>: Send Sync Unpin;
    KeyedConcurrencyLimiter<NotSync>: Send Sync Unpin;
    KeyedConcurrencyLimiter<Local>: not_send not_sync Unpin;
    KeyedConcurrencyLimiterBuilder: Send Sync Unpin;
    Timing: Send Sync Unpin;

    // Types with a caller's error have the traits of the error.
    Failure<String>: Send Sync Unpin;
    Failure<Local>: not_send not_sync Unpin;
    Failure<NotSync>: Send not_sync Unpin;
    RetryError<String>: Send Sync Unpin;
    RetryError<Local>: not_send not_sync Unpin;
    RetryError<NotSync>: Send not_sync Unpin;
    RetryEvent<'static, String>: Send Sync Unpin;
    RetryEvent<'static, NotSync>: not_send not_sync Unpin;
    GiveUpEvent<'static, String>: Send Sync Unpin;
    GiveUpEvent<'static, NotSync>: not_send not_sync Unpin;

    // The arguments of a gate's methods. An `End` has the traits of the output in it.
    Wait<'static>: Send Sync Unpin;
    End<'static, u64>: Send Sync Unpin;
    End<'static, Local>: not_send not_sync Unpin;

    // Handles are shared by all tasks and threads.
    CircuitBreaker: Send Sync Unpin;
    Passage: Send Sync Unpin;
    KeyedBreaker<String>: Send Sync Unpin;
    KeyedBreaker<NotSync>: Send Sync Unpin;
    KeyedBreaker<Local>: not_send not_sync Unpin;
    RateLimiter: Send Sync Unpin;
    KeyedLimiterBuilder: Send Sync Unpin;
    KeyedLimiter<String>: Send Sync Unpin;
    KeyedLimiter<NotSync>: Send Sync Unpin;
    KeyedLimiter<Local>: not_send not_sync Unpin;
    Memo<String, u64>: Send Sync Unpin;
    Memo<Local, u64>: not_send not_sync Unpin;
    Memo<String, Local>: not_send not_sync Unpin;
    Memo<NotSync, u64>: not_send not_sync Unpin;
    Memo<String, NotSync>: not_send not_sync Unpin;
    Memo<PhantomPinned, PhantomPinned>: Send Sync Unpin;

    // Decorated functions have the traits of their parts.
    Around<All, Timing>: Send Sync Unpin;
    Around<Local, Timing>: not_send not_sync Unpin;
    Around<NotSync, Timing>: Send not_sync Unpin;
    Around<PhantomPinned, Timing>: Send Sync not_unpin;
    Memoized<All, String, u64>: Send Sync Unpin;
    Memoized<Local, String, u64>: not_send not_sync Unpin;
    Memoized<NotSync, String, u64>: Send not_sync Unpin;
    Memoized<PhantomPinned, String, u64>: Send Sync not_unpin;
    Memoized<All, Local, u64>: not_send not_sync Unpin;
    Memoized<All, String, Local>: not_send not_sync Unpin;
    Retry<All>: Send Sync Unpin;
    Retry<Local>: not_send not_sync Unpin;
    Retry<NotSync>: Send not_sync Unpin;
    Retry<PhantomPinned>: Send Sync not_unpin;
    Retry<All, Local>: not_send not_sync Unpin;
    Gated<All, Open>: Send Sync Unpin;
    Gated<Local, Open>: not_send not_sync Unpin;
    Gated<All, NotSync>: Send not_sync Unpin;
    GatedBy<All, All>: Send Sync Unpin;
    GatedBy<All, Local>: not_send not_sync Unpin;
    WithContext<All, All>: Send Sync Unpin;
    WithContext<Local, All>: not_send not_sync Unpin;
    WithContext<All, Local>: not_send not_sync Unpin;
    WithContext<NotSync, All>: Send not_sync Unpin;

    // A boxed function has the traits of its `dyn`, whatever its arguments are.
    BoxedFn<(u64,), Output>: Send Sync Unpin;
    BoxedFn<(Local,), Local>: Send Sync Unpin;

    // Futures have the traits of the call's own future.
    GatedFuture<Ready<Output>, Open, Output>: Send Sync Unpin;
    GatedFuture<LocalFuture, Open, Output>: not_send not_sync Unpin;
    GatedFuture<NotSyncFuture, Open, Output>: Send not_sync Unpin;
    GatedFuture<PinnedFuture, Open, Output>: Send Sync not_unpin;
    GatedFuture<Ready<Local>, Open, Local>: not_send not_sync Unpin;
    LateFuture<All, (u64,), Ready<Output>>: Send Sync Unpin;
    LateFuture<Local, (u64,), Ready<Output>>: not_send not_sync Unpin;
    LateFuture<All, (NotSync,), Ready<Output>>: Send not_sync Unpin;
    LateFuture<All, (PhantomPinned,), PinnedFuture>: Send Sync not_unpin;
    LateFuture<All, (PhantomPinned,), Ready<Output>>: Send Sync Unpin;
    SpannedFuture<All, (u64,), Ready<Output>, All, Output>: Send Sync Unpin;
    SpannedFuture<All, (u64,), Ready<Output>, Local, Output>: not_send not_sync Unpin;
    SpannedFuture<Local, (u64,), Ready<Output>, All, Output>: not_send not_sync Unpin;
    SpannedFuture<All, (NotSync,), Ready<Output>, All, Output>: Send not_sync Unpin;
    SpannedFuture<All, (u64,), PinnedFuture, All, Output>: Send Sync not_unpin;
    Repeated<All, (u64,), Ready<Output>>: Send Sync Unpin;
    Repeated<All, (Local,), Ready<Output>>: not_send not_sync Unpin;
    Repeated<NotSync, (u64,), Ready<Output>>: Send not_sync Unpin;
    Repeated<PhantomPinned, (PhantomPinned,), Ready<Output>>: Send Sync Unpin;
    Repeated<All, (u64,), PinnedFuture>: Send Sync not_unpin;
    Called<Ready<Output>>: Send Sync Unpin;
    Called<LocalFuture>: not_send not_sync Unpin;
    Called<NotSyncFuture>: Send not_sync Unpin;
    Called<PinnedFuture>: Send Sync not_unpin;

    // The futures with tokio's timer in place must be pinned.
    Acquire<'static>: Send Sync not_unpin;
    AcquireMany<'static>: Send Sync not_unpin;
    HedgedFuture<All, (u64,), Ready<Output>>: Send Sync not_unpin;
    HedgedFuture<All, (Local,), Ready<Output>>: not_send not_sync not_unpin;
    HedgedFuture<NotSync, (u64,), NotSyncFuture>: Send not_sync not_unpin;
    AcquireConcurrency<'static>: Send Sync not_unpin;
    AcquireManyConcurrency<'static>: Send Sync not_unpin;
    TimeoutFuture<Ready<Output>>: Send Sync not_unpin;
    TimeoutFuture<LocalFuture>: not_send not_sync not_unpin;
    TimeoutFuture<NotSyncFuture>: Send not_sync not_unpin;
}

type Arg = u64;

/// `Send`, `Sync`, `Unpin`.
type Traits = (bool, bool, bool);

const ALL: Traits = (true, true, true);
const LOCAL: Traits = (false, false, true);
const NOT_SYNC: Traits = (true, false, true);
const PINNED: Traits = (true, true, false);

/// Returns the traits of a type. The inherent methods exist for types with the trait, and method
/// lookup prefers them to the methods of a trait for all types.
struct Probe<T>(PhantomData<T>);

impl<T> Probe<T> {
    fn of(_: &T) -> Self {
        Self(PhantomData)
    }
}

#[allow(clippy::unused_self)] // method lookup decides
impl<T: Send> Probe<T> {
    fn is_send(&self) -> bool {
        true
    }
}

#[allow(clippy::unused_self)] // method lookup decides
impl<T: Sync> Probe<T> {
    fn is_sync(&self) -> bool {
        true
    }
}

#[allow(clippy::unused_self)] // method lookup decides
impl<T: Unpin> Probe<T> {
    fn is_unpin(&self) -> bool {
        true
    }
}

trait Otherwise {
    fn is_send(&self) -> bool {
        false
    }

    fn is_sync(&self) -> bool {
        false
    }

    fn is_unpin(&self) -> bool {
        false
    }
}

impl<T> Otherwise for Probe<T> {}

macro_rules! traits_of {
    ($value:expr) => {{
        let probe = Probe::of(&$value);
        (probe.is_send(), probe.is_sync(), probe.is_unpin())
    }};
}

/// A closure with a capture, made outside of the function that asks for its traits, because rustc
/// does not know there yet what a closure captures.
fn with<C: Clone, A, R>(captured: C, function: fn(A) -> R) -> impl Fn(A) -> R + Clone {
    move |argument| {
        let _ = &captured;
        function(argument)
    }
}

/// The same closure, by reference.
fn looking<C: Clone, A, R>(captured: C, function: fn(&A) -> R) -> impl Fn(&A) -> R + Clone {
    move |argument| {
        let _ = &captured;
        function(argument)
    }
}

const SHARED: Local = Local(PhantomData);
const SYNCED: NotSync = NotSync(PhantomData);

fn all() -> impl Fn(u64) -> Ready<Output> + Clone {
    |id| ready(Ok(id))
}

fn local() -> impl Fn(u64) -> LocalFuture + Clone {
    with(SHARED, |id: u64| Box::pin(ready(Ok(id))) as LocalFuture)
}

fn not_sync() -> impl Fn(u64) -> NotSyncFuture + Clone {
    with(SYNCED, |id: u64| Box::pin(ready(Ok(id))) as NotSyncFuture)
}

fn pinned() -> impl Fn(u64) -> PinnedFuture + Clone {
    with(PhantomPinned, |_: u64| PinnedFuture(PhantomPinned))
}

/// The decorated function has the traits of the function, and its call the traits of the function's
/// future. Only the futures of a timeout and a hedge are never `Unpin`, because they contain
/// tokio's timer.
macro_rules! is_as {
    ($decorator:ident, $traits:expr, |$f:ident| $chain:expr, $function:expr, $blocking:expr) => {
        is_as!($decorator, $traits, |$f| $chain, $function);
        let $f = $blocking.blocking();
        assert_eq!(traits_of!($chain), $traits, "{} of a sync function", stringify!($decorator));
    };
    ($decorator:ident, $traits:expr, |$f:ident| $chain:expr, $function:expr) => {
        let $f = $function;
        let chain = $chain;
        assert_eq!(traits_of!(chain), $traits, "{}", stringify!($decorator));
        let (send, sync, unpin) = $traits;
        let of_calls = (send, sync, unpin && !["hedged", "timeout"].contains(&stringify!($decorator)));
        assert_eq!(traits_of!(chain.call(7)), of_calls, "a call of {}", stringify!($decorator));
    };
}

macro_rules! is_as_its_function {
    // Only a function with all the traits can be boxed behind the `dyn`, and it keeps them. Its
    // future is a box.
    (boxed, |$f:ident| $chain:expr) => {
        let $f = all();
        let chain = $chain;
        assert_eq!(traits_of!(chain), ALL);
        assert_eq!(traits_of!(chain.call(7)), NOT_SYNC);
        let $f = (|id: u64| Output::Ok(id)).blocking();
        assert_eq!(traits_of!($chain), ALL);
    };
    // The other answer of a sync function is sync as well: see `values!`.
    (fallback, |$f:ident| $chain:expr) => {
        async_is_as_its_function!(fallback, |$f| $chain);
    };
    (fallback_to, |$f:ident| $chain:expr) => {
        async_is_as_its_function!(fallback_to, |$f| $chain);
    };
    //Sync functions have no hedge.
    (hedged, |$f:ident| $chain:expr) => {
        async_is_as_its_function!(hedged, |$f| $chain);
    };
    ($decorator:ident, |$f:ident| $chain:expr) => {
        is_as!($decorator, ALL, |$f| $chain, all(), |id: u64| Output::Ok(id));
        is_as!($decorator, LOCAL, |$f| $chain, local(), with(SHARED, |id: u64| Output::Ok(id)));
        is_as!($decorator, NOT_SYNC, |$f| $chain, not_sync(), with(SYNCED, |id: u64| Output::Ok(id)));
        is_as!($decorator, PINNED, |$f| $chain, pinned(), with(PhantomPinned, |id: u64| Output::Ok(id)));
    };
}

macro_rules! async_is_as_its_function {
    ($decorator:ident, |$f:ident| $chain:expr) => {
        is_as!($decorator, ALL, |$f| $chain, all());
        is_as!($decorator, LOCAL, |$f| $chain, local());
        is_as!($decorator, NOT_SYNC, |$f| $chain, not_sync());
        is_as!($decorator, PINNED, |$f| $chain, pinned());
    };
}

macro_rules! decorated {
    ($($decorator:ident: |$f:ident| $chain:expr => $shown:literal;)*) => {
        #[test]
        fn every_decorated_function_has_the_traits_of_its_function() {$(
            is_as_its_function!($decorator, |$f| $chain);
        )*}
    };
}
every_decorator!(decorated);

macro_rules! decorated_futures {
    ($($decorator:ident: |$f:ident| $chain:expr;)*) => {
        #[test]
        fn every_decorated_future_has_the_traits_of_its_future() {$(
            for_each_future!($decorator, |$f| $chain);
        )*}
    };
}

macro_rules! for_each_future {
    ($decorator:ident, |$f:ident| $chain:expr) => {
        let is_movable = stringify!($decorator) != "timeout"; // its future contains tokio's timer
        let $f = all()(7);
        assert_eq!(traits_of!($chain), (true, true, is_movable), "{}", stringify!($decorator));
        let $f = local()(7);
        assert_eq!(traits_of!($chain), (false, false, is_movable), "{}", stringify!($decorator));
        let $f = not_sync()(7);
        assert_eq!(traits_of!($chain), (true, false, is_movable), "{}", stringify!($decorator));
        let $f = pinned()(7);
        assert_eq!(traits_of!($chain), PINNED, "{}", stringify!($decorator));
    };
}
every_future_decorator!(decorated_futures);

impl Decoration for Local {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".local()")
    }
}

impl<T> Gate<T> for Local {}

impl From<Error> for Local {
    fn from(_: Error) -> Self {
        SHARED
    }
}

/// Rows by value. Each row lists the captures besides the function.
macro_rules! values {
    ($($value:expr => $traits:expr;)*) => {{
        let mut names = Vec::new();
        $(
            let value = $value;
            assert_eq!(traits_of!(value), $traits, "(Send, Sync, Unpin) of {}", stringify!($value));
            names.push(type_name_of_val(&value));
        )*
        names
    }};
}

/// The names of the types, for the table of those that are public.
fn check_values() -> Vec<&'static str> {
    let (limiter, keyed, squares) = (&every::limiter(), &every::keyed(), &every::memo::<u64>());
    let policy = RetryPolicy::default;
    let (by_local, by_not_sync) = (looking(SHARED, |_: &u64| 7_u64), looking(SYNCED, |_: &u64| 7_u64));
    let permits = looking(SHARED, |_: &u64| 1_u32);
    let hint = looking(SHARED, |_: &Error| None::<Duration>);
    let change = with(SHARED, |error: Error| error);
    let predicate = looking(SHARED, |_: &Error| true);
    let valid = looking(SHARED, |_: &u64| Ok::<(), &str>(()));
    let closure = |_: u64| PinnedFuture(PhantomPinned);
    let no_arguments = || ready(Output::Ok(7));
    let none_local = || local()(7);
    let none_pinned = || PinnedFuture(PhantomPinned);
    values! {
        // Settings, with the closures in them.
        Logging::new().values() => ALL;
        Logging::new().args(by_local.clone()) => LOCAL;
        Timing::new("f").by_result() => ALL;
        Timing::new("f").by_memo() => ALL;
        Logging::new().by_memo() => ALL;

        // A decorator with a closure has the traits of the closure. So have its calls, unless the
        // closure has run in `.call(..)`.
        all().logged_args(by_local.clone()) => LOCAL;
        all().logged_args(by_local.clone()).call(7) => LOCAL;
        all().rate_limited_by(limiter, permits.clone()) => LOCAL;
        all().rate_limited_by(limiter, permits).call(7) => ALL;
        all().rate_limited_by_key(keyed, by_local.clone()) => LOCAL;
        all().rate_limited_by_key(keyed, by_local.clone()).call(7) => ALL;
        all().pausing(limiter, hint.clone()) => LOCAL;
        all().pausing(limiter, hint.clone()).call(7) => LOCAL;
        ready(Output::Ok(7)).pausing(limiter, hint) => LOCAL;
        all().validated(valid.clone()) => LOCAL;
        all().validated(valid).call(7) => ALL;
        all().fallback(|_: Error, _: u64| local()(7)) => ALL;
        all().fallback(|_: Error, _: u64| local()(7)).call(7) => LOCAL;
        all().fallback_to(local()) => LOCAL;
        all().fallback_to(pinned()).call(7) => PINNED;
        (|id: u64| Output::Ok(id)).blocking().fallback_to(with(SYNCED, |id: u64| Output::Ok(id)).blocking()) => NOT_SYNC;
        all().map_err(change.clone()) => LOCAL;
        all().map_err(change).call(7) => LOCAL;
        all().gated(SHARED) => LOCAL;
        all().gated(SHARED).call(7) => LOCAL;
        ready(Output::Ok(7)).gated(SHARED) => LOCAL;
        all().gated_by(looking(SHARED, |_: &u64| Open)) => LOCAL;
        all().gated_by(looking(SHARED, |_: &u64| Open)).call(7) => ALL;
        all().gated_by(|_: &u64| SHARED) => ALL;
        all().gated_by(|_: &u64| SHARED).call(7) => LOCAL;

        // The traits of a type that is only named have no effect.
        all().err_into::<Local>() => ALL;

        // A call that begins later owns its arguments, and pins none of them.
        (|_: Local| ready(Output::Ok(7))).rate_limited(limiter).call(SHARED) => LOCAL;
        (|_: NotSync| ready(Output::Ok(7))).rate_limited(limiter).call(SYNCED) => NOT_SYNC;
        (|_: PhantomPinned| ready(Output::Ok(7))).rate_limited(limiter).call(PhantomPinned) => ALL;
        no_arguments.timed("f").into_future() => ALL;
        none_local.timed("f").into_future() => LOCAL;
        none_pinned.timed("f").into_future() => PINNED;

        // A retry owns function, arguments and rules, and pins none of them.
        all().retry_with(policy()).when(predicate.clone()) => LOCAL;
        all().retry_with(policy()).when(predicate).call(7) => LOCAL;
        (|_: Local| ready(Output::Ok(7))).retry_with(policy()).call(SHARED) => LOCAL;
        (|_: PhantomPinned| ready(Output::Ok(7))).retry_with(policy()).call(PhantomPinned) => ALL;

        // A memoized call owns them as well. It pins its load, but not a load in a task of its own.
        all().memoized_by(squares, by_local.clone()) => LOCAL;
        all().memoized_by(squares, by_local).call(7) => LOCAL;
        all().memoized_by(squares, by_not_sync.clone()) => NOT_SYNC;
        all().memoized_by(squares, by_not_sync).call(7) => NOT_SYNC;
        all().memoized(squares).sharing_errors().call(7) => ALL;
        closure.memoized(squares).call(7) => PINNED;
        closure.memoized(squares).detached().call(7) => ALL;
        (|_: u64| not_sync()(7)).memoized(squares).detached().call(7) => ALL;
        (|_: Local| ready(Output::Ok(7))).memoized_by(squares, |_: &Local| 7).call(SHARED) => LOCAL;
        (|_: PhantomPinned| ready(Output::Ok(7))).memoized_by(squares, |_: &PhantomPinned| 7).call(PhantomPinned) => ALL;
        squares.get_or_load(7, || ready(49)) => ALL;
        squares.get_or_load(7, || local()(7)) => LOCAL;
        squares.get_or_load(7, || pinned()(7)) => PINNED;
        squares.get_or_load(7, || pinned()(7)).detached() => ALL;
    }
}

#[test]
fn every_value_keeps_its_auto_traits() {
    assert!(check_values().len() > 40);
}

/// The public types are those that the front page, `layer`, `blocking` and `describe` export by
/// name.
#[test]
fn the_table_leaves_out_no_public_type() {
    let mut listed = TYPES.iter().flat_map(|row| identifiers(row)).collect::<BTreeSet<_>>();
    listed.extend(check_values().into_iter().flat_map(identifiers));
    let fronts = ["src/lib.rs", "src/layer/mod.rs", "src/blocking.rs", "src/describe/mod.rs"]
        .map(|path| fs::read_to_string(path).unwrap());
    // Names for rustc's messages are hidden.
    let fronts = fronts.map(|front| front.replace("#[doc(hidden)]\npub use ", "#[doc(hidden)] use "));
    let exports =
        fronts.iter().flat_map(|front| front.split("pub use ").skip(1)).filter_map(|rest| rest.split(';').next());
    let exported = exports.flat_map(identifiers).collect::<BTreeSet<_>>();

    let mut types = BTreeSet::new();
    declared_types(Path::new("src"), &mut types);
    types.retain(|name| exported.contains(name));
    assert!(types.remove("BlockingFn"), "listed as `blocking::BoxedFn`");
    let known = ["Blocking", "BoxedFn", "GatedFuture", "Jitter", "LateFuture", "MemoizedFuture", "Wait"];
    assert!(known.iter().all(|name| types.contains(*name)), "found only {types:?}");
    assert_eq!(types.difference(&listed).collect::<Vec<_>>(), [""; 0]);
}

fn declared_types(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            declared_types(&path, found);
        } else if path.extension() == Some(OsStr::new("rs")) {
            let declared = |line: &str| {
                let keywords = ["pub struct ", "pub enum ", "pub type "];
                keywords.iter().find_map(|keyword| line.strip_prefix(keyword)).and_then(|rest| identifiers(rest).next())
            };
            found.extend(fs::read_to_string(&path).unwrap().lines().filter_map(declared));
        }
    }
}

fn identifiers(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    words.map(ToOwned::to_owned).collect::<Vec<_>>().into_iter()
}
