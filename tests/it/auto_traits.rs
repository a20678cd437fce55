//! Which of `Send`, `Sync` and `Unpin` every public type is, and what makes it lose them.
//!
//! `UnwindSafe` is left out: decor promises nothing about it, and nobody asks for it who does not
//! also assert it.

use decor::{
    future::{Acquire, AcquireMany, Called, TimeoutFuture},
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
    Timeout<All>: Send Sync Unpin;
    Timeout<NotSync>: Send not_sync Unpin;
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

    // What a memoized call is made of: a key, or what makes it, and types that are only named.

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
    WithContext<All, All>: Send Sync Unpin;
    WithContext<Local, All>: not_send not_sync Unpin;
    WithContext<All, Local>: not_send not_sync Unpin;
    WithContext<NotSync, All>: Send not_sync Unpin;

    // Behind its `dyn`, a boxed function promises them whatever it is called with.
    BoxedFn<(u64,), Output>: Send Sync Unpin;
    BoxedFn<(Local,), Local>: Send Sync Unpin;

    // Futures are as the call's own future is.

    // A retry's owns function, arguments and rules as well, and pins none of them.

    // A memoized call's own too. What it pins is the load, which in a task of its own is only
    // waited for.
    Called<Ready<Output>>: Send Sync Unpin;
    Called<LocalFuture>: not_send not_sync Unpin;
    Called<NotSyncFuture>: Send not_sync Unpin;
    Called<PinnedFuture>: Send Sync not_unpin;

    // These hold tokio's timer in place, which has to be pinned.
    Acquire<'static>: Send Sync not_unpin;
    AcquireMany<'static>: Send Sync not_unpin;
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
