//! Which of `Send`, `Sync` and `Unpin` every public type is, and what makes it lose them.
//!
//! `UnwindSafe` is left out: decor promises nothing about it, and nobody asks for it who does not
//! also assert it.

use decor::{
    future::{
        Acquire, AcquireMany, DeprecatedFuture, DetachedLoad, FallibleFuture, Lazy, LiftedFuture, Load, LoggedFuture,
        MemoizedFuture, PausingFuture, RateLimitedFuture, RetryFuture, TimedFuture, TimeoutFuture, ValidatedFuture,
    },
    layer::{
        AnyOutput, AsError, ByResult, Called, Deprecated, Detached, Discreet, ErrInto, FixedKey, Inline, KeyFromArgs,
        KeyFromFn, Lifted, Logged, MadeFallible, MapErr, Named, Never, OwnErrors, Pausing, Picked, RateLimited,
        RateLimitedBy, RateLimitedByKey, RateLimitedWithin, ReportedErrors, SharedErrors, Timeout, Values,
    },
    *,
};
use futures::future::{BoxFuture, LocalBoxFuture};
use std::{
    cell::Cell,
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    future::Ready,
    marker::{PhantomData, PhantomPinned},
    path::Path,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// What holds of a type that implements the trait comes before what holds of every type.
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
        #[allow(dead_code)] // one constant of the two is
        fn every_type_keeps_its_auto_traits() {$(
            let found = (implements!($Type, Send), implements!($Type, Sync), implements!($Type, Unpin));
            let promised = (stringify!($Send) == "Send", stringify!($Sync) == "Sync", stringify!($Unpin) == "Unpin");
            assert_eq!(found, promised, "(Send, Sync, Unpin) of {}", stringify!($Type));
        )*}
    };
}

type Output = Result<u64, String>;

/// A function, a closure or an error with everything.
type All = fn(u64) -> Ready<Output>;
/// With nothing but `Unpin`.
#[derive(PartialEq, Eq, Hash)]
struct Local(PhantomData<Rc<()>>);
/// With everything but `Sync`.
#[derive(PartialEq, Eq, Hash)]
struct NotSync(PhantomData<Cell<u8>>);

/// A future with nothing but `Unpin`.
type LocalFuture = LocalBoxFuture<'static, Output>;
/// With everything but `Sync`.
type NotSyncFuture = BoxFuture<'static, Output>;
/// With everything but `Unpin`.
struct PinnedFuture(PhantomPinned);

impl Future for PinnedFuture {
    type Output = Output;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Output> {
        Poll::Ready(Ok(42))
    }
}

/// A function with everything whose future is this.
type Makes<F> = fn() -> F;

auto_traits! {
    // The blocking half: as its function is. The clock belongs to its thread.
    blocking::Blocking<All>: Send Sync Unpin;
    blocking::Blocking<Local>: not_send not_sync Unpin;
    blocking::Timeout<All>: Send Sync Unpin;
    blocking::Timeout<NotSync>: Send not_sync Unpin;
    blocking::BoxedFn<(u64,), Output>: Send Sync Unpin;
    test_util::VirtualClock: not_send not_sync Unpin;
    test_util::VirtualThread<u64>: Send Sync Unpin;

    // Data.
    Backoff: Send Sync Unpin;
    ConfigError: Send Sync Unpin;
    Error: Send Sync Unpin;
    GaveUp: Send Sync Unpin;
    Eviction: Send Sync Unpin;
    Jitter: Send Sync Unpin;
    Measurement: Send Sync Unpin;
    Outcome: Send Sync Unpin;

    // Settings, closures within included.
    Deprecation: Send Sync Unpin;
    Logging: Send Sync Unpin;
    Logging<Values>: Send Sync Unpin;
    Logging<Picked<All>>: Send Sync Unpin;
    Logging<Picked<Local>>: not_send not_sync Unpin;
    MemoBuilder<String, u64>: Send Sync Unpin;
    MemoBuilder<Local, Local>: Send Sync Unpin;
    MemoStats: Send Sync Unpin;
    RetryConfig: Send Sync Unpin;
    RetryPolicy: Send Sync Unpin;
    Schedule: Send Sync Unpin;
    Permits: Send Sync Unpin;
    RateLimiterBuilder: Send Sync Unpin;
    RateLimiterStats: Send Sync Unpin;
    Timing: Send Sync Unpin;
    Timing<ByResult>: Send Sync Unpin;

    // What carries a caller's error is as it is.
    Failure<String>: Send Sync Unpin;
    Failure<Local>: not_send not_sync Unpin;
    Failure<NotSync>: Send not_sync Unpin;
    RetryError<String>: Send Sync Unpin;
    RetryError<Local>: not_send not_sync Unpin;
    RetryError<NotSync>: Send not_sync Unpin;
    Retrying<'static, String>: Send Sync Unpin;
    Retrying<'static, NotSync>: not_send not_sync Unpin;
    GivenUp<'static, String>: Send Sync Unpin;
    GivenUp<'static, NotSync>: not_send not_sync Unpin;

    // Decorations: those with a closure are as it is, and types that they only name do not matter.
    Deprecated: Send Sync Unpin;
    ErrInto<Local>: Send Sync Unpin;
    MadeFallible: Send Sync Unpin;
    Lifted: Send Sync Unpin;
    Logged<Discreet>: Send Sync Unpin;
    Logged<Picked<Local>>: not_send not_sync Unpin;
    MapErr<All>: Send Sync Unpin;
    MapErr<Local>: not_send not_sync Unpin;
    Named: Send Sync Unpin;
    Timeout: Send Sync Unpin;
    RateLimited: Send Sync Unpin;
    RateLimitedWithin: Send Sync Unpin;
    RateLimitedBy<All>: Send Sync Unpin;
    RateLimitedBy<Local>: not_send not_sync Unpin;
    RateLimitedByKey<String, All>: Send Sync Unpin;
    RateLimitedByKey<String, Local>: not_send not_sync Unpin;
    Pausing<All>: Send Sync Unpin;
    Pausing<Local>: not_send not_sync Unpin;
    Never: Send Sync Unpin;
    AsError: Send Sync Unpin;
    AnyOutput: Send Sync Unpin;
    ByResult: Send Sync Unpin;
    Discreet: Send Sync Unpin;
    Values: Send Sync Unpin;
    Picked<All>: Send Sync Unpin;
    Picked<Local>: not_send not_sync Unpin;

    // What a memoized call is made of: a key, or what makes it, and types that are only named.
    KeyFromArgs: Send Sync Unpin;
    KeyFromFn<All>: Send Sync Unpin;
    KeyFromFn<Local>: not_send not_sync Unpin;
    KeyFromFn<NotSync>: Send not_sync Unpin;
    FixedKey<String>: Send Sync Unpin;
    FixedKey<Local>: not_send not_sync Unpin;
    FixedKey<NotSync>: Send not_sync Unpin;
    OwnErrors: Send Sync Unpin;
    ReportedErrors: Send Sync Unpin;
    SharedErrors: Send Sync Unpin;
    Inline: Send Sync Unpin;
    Detached: Send Sync Unpin;

    // Handles are shared by everybody.
    RateLimiter: Send Sync Unpin;
    KeyedLimiter<String>: Send Sync Unpin;
    KeyedLimiter<NotSync>: Send Sync Unpin;
    KeyedLimiter<Local>: not_send not_sync Unpin;
    Memo<String, u64>: Send Sync Unpin;
    Memo<Local, u64>: not_send not_sync Unpin;
    Memo<String, Local>: not_send not_sync Unpin;
    Memo<NotSync, u64>: not_send not_sync Unpin;
    Memo<String, NotSync>: not_send not_sync Unpin;
    Memo<PhantomPinned, PhantomPinned>: Send Sync Unpin;

    // Decorated functions are as their parts.
    Around<All, Timing>: Send Sync Unpin;
    Around<Local, Timing>: not_send not_sync Unpin;
    Around<NotSync, Timing>: Send not_sync Unpin;
    Around<PhantomPinned, Timing>: Send Sync not_unpin;
    Around<All, MapErr<Local>>: not_send not_sync Unpin;
    Memoized<All, String, u64>: Send Sync Unpin;
    Memoized<Local, String, u64>: not_send not_sync Unpin;
    Memoized<NotSync, String, u64>: Send not_sync Unpin;
    Memoized<PhantomPinned, String, u64>: Send Sync not_unpin;
    Memoized<All, Local, u64>: not_send not_sync Unpin;
    Memoized<All, String, Local>: not_send not_sync Unpin;
    Memoized<All, String, u64, KeyFromFn<Local>>: not_send not_sync Unpin;
    Memoized<All, String, u64, KeyFromFn<NotSync>>: Send not_sync Unpin;
    Memoized<All, String, u64, KeyFromArgs, Local, Local>: Send Sync Unpin;
    Retry<All>: Send Sync Unpin;
    Retry<Local>: not_send not_sync Unpin;
    Retry<NotSync>: Send not_sync Unpin;
    Retry<PhantomPinned>: Send Sync not_unpin;
    Retry<All, Local>: not_send not_sync Unpin;
    Validated<All, All>: Send Sync Unpin;
    Validated<Local, All>: not_send not_sync Unpin;
    Validated<All, Local>: not_send not_sync Unpin;
    Validated<NotSync, All>: Send not_sync Unpin;
    WithContext<All, All>: Send Sync Unpin;
    WithContext<Local, All>: not_send not_sync Unpin;
    WithContext<All, Local>: not_send not_sync Unpin;
    WithContext<NotSync, All>: Send not_sync Unpin;

    // Behind its `dyn`, a boxed function promises them whatever it is called with.
    BoxedFn<(u64,), Output>: Send Sync Unpin;
    BoxedFn<(Local,), Local>: Send Sync Unpin;

    // Futures are as the call's own future is.
    DeprecatedFuture<Ready<Output>>: Send Sync Unpin;
    DeprecatedFuture<LocalFuture>: not_send not_sync Unpin;
    DeprecatedFuture<NotSyncFuture>: Send not_sync Unpin;
    DeprecatedFuture<PinnedFuture>: Send Sync not_unpin;
    FallibleFuture<Ready<u64>, u64>: Send Sync Unpin;
    FallibleFuture<LocalFuture, Output>: not_send not_sync Unpin;
    FallibleFuture<PinnedFuture, Output>: Send Sync not_unpin;
    Lazy<Makes<Ready<Output>>>: Send Sync Unpin;
    Lazy<Makes<LocalFuture>>: not_send not_sync Unpin;
    Lazy<Makes<PinnedFuture>>: Send Sync not_unpin;
    LiftedFuture<Ready<Output>, String>: Send Sync Unpin;
    LiftedFuture<LocalFuture, String>: not_send not_sync Unpin;
    LiftedFuture<PinnedFuture, String>: Send Sync not_unpin;
    LoggedFuture<Ready<Output>>: Send Sync Unpin;
    LoggedFuture<LocalFuture>: not_send not_sync Unpin;
    LoggedFuture<NotSyncFuture>: Send not_sync Unpin;
    LoggedFuture<PinnedFuture>: Send Sync not_unpin;
    LoggedFuture<Ready<Output>, Picked<Local>>: not_send not_sync Unpin;
    TimedFuture<Ready<Output>>: Send Sync Unpin;
    TimedFuture<LocalFuture>: not_send not_sync Unpin;
    TimedFuture<NotSyncFuture>: Send not_sync Unpin;
    TimedFuture<PinnedFuture>: Send Sync not_unpin;
    PausingFuture<Ready<Output>, All>: Send Sync Unpin;
    PausingFuture<LocalFuture, All>: not_send not_sync Unpin;
    PausingFuture<Ready<Output>, Local>: not_send not_sync Unpin;
    ValidatedFuture<Ready<Output>, Output>: Send Sync Unpin;
    ValidatedFuture<LocalFuture, Output>: not_send not_sync Unpin;
    ValidatedFuture<PinnedFuture, Output>: Send Sync not_unpin;
    TimedFuture<Ready<Output>, ByResult>: Send Sync Unpin;

    // A retry's owns function, arguments and rules as well, and pins none of them.
    RetryFuture<Makes<Ready<Output>>, (), All>: Send Sync Unpin;
    RetryFuture<Makes<LocalFuture>, (), All>: not_send not_sync Unpin;
    RetryFuture<Makes<NotSyncFuture>, (), All>: Send not_sync Unpin;
    RetryFuture<Makes<PinnedFuture>, (), All>: Send Sync not_unpin;
    RetryFuture<fn(Local) -> Ready<Output>, (Local,), All>: not_send not_sync Unpin;
    RetryFuture<fn(PhantomPinned) -> Ready<Output>, (PhantomPinned,), All>: Send Sync Unpin;
    RetryFuture<Makes<Ready<Output>>, (), Local>: not_send not_sync Unpin;

    // A memoized call's own too. What it pins is the load, which in a task of its own is only
    // waited for.
    MemoizedFuture<Makes<Ready<Output>>, (), Load<Ready<Output>, String, u64, OwnErrors>, String, u64>: Send Sync Unpin;
    MemoizedFuture<Makes<LocalFuture>, (), Load<LocalFuture, String, u64, OwnErrors>, String, u64>: not_send not_sync Unpin;
    MemoizedFuture<Makes<NotSyncFuture>, (), Load<NotSyncFuture, String, u64, OwnErrors>, String, u64>: Send not_sync Unpin;
    MemoizedFuture<Makes<PinnedFuture>, (), Load<PinnedFuture, String, u64, OwnErrors>, String, u64>: Send Sync not_unpin;
    MemoizedFuture<fn(Local) -> Ready<Output>, (Local,), Load<Ready<Output>, String, u64, OwnErrors>, String, u64>: not_send not_sync Unpin;
    MemoizedFuture<fn(PhantomPinned) -> Ready<Output>, (PhantomPinned,), Load<Ready<Output>, String, u64, OwnErrors>, String, u64>: Send Sync Unpin;
    MemoizedFuture<Makes<Ready<Output>>, (), Load<Ready<Output>, Local, u64, OwnErrors>, Local, u64>: not_send not_sync Unpin;
    MemoizedFuture<Makes<Ready<Output>>, (), Load<Ready<Output>, String, NotSync, OwnErrors>, String, NotSync>: not_send not_sync Unpin;
    MemoizedFuture<Makes<Ready<Output>>, (), Load<Ready<Output>, String, u64, OwnErrors>, String, u64, KeyFromFn<Local>>: not_send not_sync Unpin;
    MemoizedFuture<Makes<Ready<Output>>, (), Load<Ready<Output>, String, u64, OwnErrors>, String, u64, KeyFromArgs, Local>: Send Sync Unpin;
    MemoizedFuture<Called<LocalFuture>, (), Load<LocalFuture, String, u64, OwnErrors>, String, u64, FixedKey<&'static str>>: not_send not_sync Unpin;
    MemoizedFuture<Called<PinnedFuture>, (), Load<PinnedFuture, String, u64, OwnErrors>, String, u64, FixedKey<&'static str>>: Send Sync not_unpin;
    MemoizedFuture<Makes<PinnedFuture>, (), DetachedLoad<Output>, String, u64, KeyFromArgs, OwnErrors, Detached>: Send Sync Unpin;
    MemoizedFuture<Makes<NotSyncFuture>, (), DetachedLoad<Output>, String, u64, KeyFromArgs, OwnErrors, Detached>: Send Sync Unpin;
    Called<Ready<Output>>: Send Sync Unpin;
    Called<LocalFuture>: not_send not_sync Unpin;
    Called<NotSyncFuture>: Send not_sync Unpin;
    Called<PinnedFuture>: Send Sync not_unpin;
    Load<Ready<Output>, String, u64, Local>: Send Sync Unpin;
    Load<LocalFuture, String, u64, OwnErrors>: not_send not_sync Unpin;
    Load<NotSyncFuture, String, u64, OwnErrors>: Send not_sync Unpin;
    Load<PinnedFuture, String, u64, OwnErrors>: Send Sync not_unpin;
    Load<Ready<Output>, Local, u64, OwnErrors>: not_send not_sync Unpin;
    Load<Ready<Output>, String, NotSync, OwnErrors>: not_send not_sync Unpin;
    DetachedLoad<Output>: Send Sync Unpin;
    DetachedLoad<Local>: not_send not_sync Unpin;
    DetachedLoad<NotSync>: Send Sync Unpin;

    // These hold tokio's timer in place, which has to be pinned.
    Acquire<'static>: Send Sync not_unpin;
    AcquireMany<'static>: Send Sync not_unpin;
    RateLimitedFuture<Ready<Output>>: Send Sync not_unpin;
    RateLimitedFuture<Ready<Output>, AsError>: Send Sync not_unpin;
    RateLimitedFuture<LocalFuture>: not_send not_sync not_unpin;
    RateLimitedFuture<NotSyncFuture>: Send not_sync not_unpin;
    TimeoutFuture<Ready<Output>>: Send Sync not_unpin;
    TimeoutFuture<LocalFuture>: not_send not_sync not_unpin;
    TimeoutFuture<NotSyncFuture>: Send not_sync not_unpin;
}

/// Those that can be named, that is: `lib.rs` exports each by its name.
#[test]
fn the_table_leaves_out_no_public_type() {
    let listed = TYPES.iter().flat_map(|row| identifiers(row)).collect::<BTreeSet<_>>();
    let front = fs::read_to_string("src/lib.rs").unwrap();
    let exports = front.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    let exported = exports.flat_map(identifiers).collect::<BTreeSet<_>>();

    let mut types = BTreeSet::new();
    declared_types(Path::new("src"), &mut types);
    types.retain(|name| exported.contains(name));
    assert!(types.remove("GetOrLoad"), "an alias of `MemoizedFuture`");
    assert!(types.remove("Watched"), "listed by its aliases `LoggedFuture` and `TimedFuture`");
    assert!(["BoxedFn", "Jitter", "TimedFuture"].iter().all(|name| types.contains(*name)), "found only {types:?}");
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
