//! The name of a function is kept through every layer, and `Debug` shows a chain as it was written.

use crate::{
    every::{self, Answer, every_decorator},
    support::{listen, ms, secs},
};
use decor::{BoxedFn, Callable, CallableOnce, Error, Name, Timing, prelude::*, test_util::VirtualClock};
use std::{
    borrow::Cow,
    collections::HashSet,
    fmt::Debug,
    future::{IntoFuture as _, pending, ready},
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tracing::Level;

async fn fetch(_: u64) -> Result<(), Error> {
    pending().await
}

async fn fetch_by(_: Client, _: u64) -> Result<(), Error> {
    pending().await
}

#[derive(Clone)]
struct Client;

impl Client {
    async fn get(&self, _: &str) -> Result<(), Error> {
        pending().await
    }
}

trait Api {
    fn list(&self) -> impl Future<Output = Result<(), Error>>;
}

impl Api for Client {
    async fn list(&self) -> Result<(), Error> {
        pending().await
    }
}

async fn generic<T>(_: T) -> Result<(), Error> {
    pending().await
}

fn memo() -> Memo<u64, ()> {
    Memo::ttl(secs(300))
}

async fn name_in(call: impl Future<Output = Result<(), Error>>) -> Name {
    match call.await {
        Err(Error::TimedOut { name, .. }) => name,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn messages_name_functions_and_methods_by_their_own_name() {
    assert_eq!(name_in(fetch.timeout(ms(1)).call(1)).await, "fetch");
    assert_eq!(name_in(Client::get.timeout(ms(1)).call(&Client, "x")).await, "get");
    assert_eq!(name_in(Client::list.timeout(ms(1)).call(&Client)).await, "list");
    assert_eq!(name_in(<Client as Api>::list.timeout(ms(1)).call(&Client)).await, "list");
    assert_eq!(name_in(generic::<Vec<String>>.timeout(ms(1)).call(vec![])).await, "generic");
    assert_eq!(name_in(fetch.memoized(&memo()).timeout(ms(1)).call(1)).await, "fetch");
    let get = Client::get.memoized_by(&memo(), |_: &&Client, path: &&str| path.len() as u64);
    assert_eq!(name_in(get.timeout(ms(1)).call(&Client, "x")).await, "get");
}

/// The name of a closure with its first decorator on the next line.
fn line_after(here: &Location<'_>) -> String {
    format!("{}:{}", here.file(), here.line() + 1)
}

#[tokio::test(start_paused = true)]
async fn closures_show_the_function_around_them_until_they_are_named() {
    let closure = || pending::<Result<(), Error>>();
    let place = line_after(Location::caller());
    assert_eq!(name_in(closure.timeout(ms(1)).call()).await, place.as_str());
    assert_eq!(name_in(closure.named("hang").timeout(ms(1)).call()).await, "hang");
    let with_context = decor::with_context(Client, async |client: Client, path: &str| client.get(path).await);
    assert_eq!(name_in(with_context.named("get").timeout(ms(1)).call("x")).await, "get");
}

#[tokio::test(start_paused = true)]
async fn a_decorator_has_the_name_that_stands_before_it() {
    let log = listen();
    let refused = || ready(Err::<(), Error>(Error::QueueFull { waiting: 1 }));
    let chain = refused
        .named("first")
        .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(1))
        .when(|_| true)
        .named("second")
        .logged();
    assert_eq!(chain.name(), "second");
    chain.await.unwrap_err();
    let refused = "rate limited: the queue is full (1 waiting)";
    assert_eq!(
        log.take(),
        [
            "DEBUG calling second".to_owned(),
            "WARN first gave up at attempt 1: attempts exhausted".to_owned(),
            format!("WARN second failed in 0ns: Error: {refused}"),
        ]
    );
    let hang = || pending::<Result<(), Error>>();
    assert_eq!(name_in(hang.named("a").timeout(ms(1)).named("b").call()).await, "a");
}

/// Each decorator of a chain, and each line of a retry, has one name for a closure.
#[tokio::test(start_paused = true)]
async fn a_closure_is_called_by_the_line_of_its_first_decorator() {
    let log = listen();
    let refuse = |id: u64| ready(if id == 0 { Err("busy") } else { Ok(id) });
    let here = line_after(Location::caller());
    let refuse = refuse.timed_with(Timing::new("t").level(Level::TRACE));
    let chain = refuse.lifted().retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2)).logged().deprecated("no more");
    assert_eq!(chain.name(), here.as_str());
    assert_eq!(Arc::new(chain.clone()).name(), here.as_str());
    assert_eq!(chain.clone().boxed().timeout(secs(9)).name(), here.as_str());
    chain.call(0).await.unwrap_err();
    let lines = log.take().into_iter().filter(|line| !line.contains("t took")).collect::<Vec<_>>();
    assert!(lines[0].starts_with(&format!("WARN {here} is deprecated: no more")), "{lines:?}");
    assert_eq!(
        lines[1..],
        [
            format!("DEBUG calling {here}"),
            format!("DEBUG {here} failed at attempt 1, retrying in 1s"),
            format!("WARN {here} gave up at attempt 2: attempts exhausted"),
            format!("WARN {here} failed in 1s: Failure<&str>: busy"),
        ]
    );

    let here = line_after(Location::caller());
    let retried = (|| ready(Err::<(), _>("busy"))).retry_with(RetryPolicy::fixed(secs(1)).max_attempts(1));
    assert_eq!(retried.name(), here.as_str());
    retried.await.unwrap_err();
    assert_eq!(log.take(), [format!("WARN {here} gave up at attempt 1: attempts exhausted")]);

    let clock = VirtualClock::start();
    let here = line_after(Location::caller());
    let retried = (|| Err::<(), _>("busy")).blocking().retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2)).logged();
    retried.run().unwrap_err();
    assert_eq!(clock.elapsed(), secs(1));
    assert_eq!(log.take()[1], format!("DEBUG {here} failed at attempt 1, retrying in 1s"));
}

#[tokio::test(start_paused = true)]
async fn futures_have_the_name_of_their_function_through_any_decorator() {
    assert_eq!(name_in(fetch(1).timeout(ms(1))).await, "fetch");
    assert_eq!(name_in(Client.get("x").timeout(ms(1))).await, "get");
    assert_eq!(name_in(generic(String::new()).timeout(ms(1))).await, "generic");
    let deep = fetch(1).logged().timeout(secs(9)).timed("x").lifted().timeout(ms(1)).await.unwrap_err();
    assert_eq!(deep.policy(), Some(&Error::TimedOut { name: "fetch".into(), after: ms(1), label: None }));
    let users = memo();
    assert_eq!(name_in(fetch.memoized(&users).call(1).timeout(ms(1))).await, "fetch");
    assert_eq!(name_in(fetch(1).memoized_by(&users, 1).timeout(ms(1))).await, "fetch");
    let block = async { pending::<Result<(), Error>>().await };
    let place = "futures_have_the_name_of_their_function_through_any_decorator";
    assert_eq!(name_in(block.timeout(ms(1))).await, place);
    assert_eq!(name_in(users.get_or_load(1, || fetch(1)).timeout(ms(1))).await, place);
}

#[test]
fn the_name_survives_arc_box_and_every_wrapper() {
    let chain = fetch
        .fallible_twin()
        .named("renamed")
        .timeout(secs(1))
        .retry_with(RetryPolicy::default())
        .memoized(&memo())
        .sharing_errors()
        .detached()
        .validated(|_: &u64| Ok::<_, &str>(()));
    assert_eq!(chain.name(), "renamed");
    let shared = Arc::new(chain);
    assert_eq!(shared.name(), "renamed");
    let boxed: BoxedFn<(u64,), Result<(), Error>> = shared.timed("x").boxed();
    assert_eq!(boxed.name(), "renamed");
    assert_eq!(boxed.clone().logged().name(), "renamed");
    let erased: Arc<dyn Callable<(u64,), Output = _, Future = _> + Send + Sync> = Arc::new(boxed);
    assert_eq!(erased.name(), "renamed");
}

type Arg = u64;

async fn answer(id: Arg) -> Answer {
    Ok(id)
}

macro_rules! names {
    ($($decorator:ident: |$f:ident| $chain:expr => $shown:literal;)*) => {
        #[test]
        fn every_decorator_keeps_the_name_and_is_shown_as_it_was_written() {$(
            let $f = answer;
            let chain = $chain;
            let name = if stringify!($decorator) == "named" { "f" } else { "answer" };
            assert_eq!(chain.name(), name, "{}", stringify!($decorator));
            assert_eq!(format!("{chain:?}"), concat!("answer", $shown));
        )*}
    };
}
every_decorator!(names);

/// A method of another trait, so that the chain above does not begin with a decorator.
trait Twin: Sized {
    fn fallible_twin(self) -> Self {
        self
    }
}
impl<T> Twin for T {}

#[test]
fn debug_shows_the_options_of_a_retry() {
    let retried = fetch
        .retry_with(RetryPolicy::default())
        .transient()
        .on_retry(|_: &decor::RetryEvent<'_, Error>| ())
        .on_give_up(|_: &decor::GiveUpEvent<'_, Error>| ())
        .explained();
    let policy = "exponential from 1s by 2, no jitter, 3 attempts";
    let options = ".transient().on_retry(..).on_give_up(..).explained()";
    assert_eq!(format!("{retried:?}"), format!("fetch.retry_with({policy}){options}"));
    let hinted = fetch
        .retry_with(RetryPolicy::default())
        .when_result(|_: &Result<(), Error>| true)
        .retry_after(|_: &Error| None);
    assert_eq!(format!("{hinted:?}"), format!("fetch.retry_with({policy}).when_result(..).retry_after(..)"));
}

#[test]
fn debug_shows_the_options_of_a_memoized_function() {
    let chain = fetch.timeout(secs(2)).memoized(&memo()).sharing_errors().detached().logged();
    let written = "fetch.timeout(2s).memoized(ttl 300s).sharing_errors().detached().logged()";
    assert_eq!(format!("{chain:?}"), written);
    let get = Client::get.memoized_by(&memo(), |_: &&Client, path: &&str| path.len() as u64);
    assert_eq!(format!("{get:?}"), "get.memoized_by(ttl 300s, ..)");
    assert_eq!(
        format!("{:?}", get.sharing_errors().timed("x")),
        "get.memoized_by(ttl 300s, ..).sharing_errors().timed(\"x\")"
    );
    assert_eq!(
        format!("{:?}", fetch.memoized(&memo()).detached().sharing_errors()),
        "fetch.memoized(ttl 300s).sharing_errors().detached()",
        "in one order, whatever order they were written in"
    );
    assert_eq!(
        format!("{:?}", fetch.memoized(&memo()).detached().boxed()),
        "fetch.memoized(ttl 300s).detached().boxed()"
    );

    let endless = fetch.memoized(&Memo::<u64, ()>::builder().capacity(9).build());
    assert_eq!(format!("{endless:?}"), "fetch.memoized(no ttl, capacity 9)");
    let by_value = fetch.memoized(&Memo::<u64, ()>::builder().ttl(secs(300)).ttl_by(|_, ()| secs(1)).build());
    assert_eq!(format!("{by_value:?}"), "fetch.memoized(ttl by value)");
}

#[test]
fn debug_shows_the_chain_as_it_was_written() {
    let chain = fetch
        .named("users")
        .timeout(secs(2))
        .retry_with(RetryPolicy::fixed(ms(100)).jitter(Jitter::Full).max_attempts(5))
        .when(|_: &Error| true)
        .validated(|_: &u64| Ok::<_, &str>(()))
        .deprecated("use fetch_v2")
        .lifted()
        .map_err(|e: decor::Failure<Error>| e.to_string())
        .err_into::<String>()
        .logged()
        .timed("fetch");
    let logged = fetch.logged_args(|id: &u64| *id).map_err(|e: Error| e.to_string()).fallible();
    assert_eq!(format!("{logged:?}"), "fetch.logged_args(..).map_err(..).fallible()");
    assert_eq!(format!("{:?}", fetch.logged_values()), "fetch.logged_values()");
    let with_context = decor::with_context(Client, fetch_by);
    assert_eq!(format!("{with_context:?}"), "fetch_by");
    assert_eq!(format!("{:?}", with_context.timed("x")), "fetch_by.timed(\"x\")");
    let written = "fetch.named(\"users\").timeout(2s).retry_with(fixed 100ms, full jitter, 5 attempts).when(..).validated(..)\
         .deprecated(\"use fetch_v2\").lifted().map_err(..).err_into().logged().timed(\"fetch\")";
    assert_eq!(format!("{chain:?}"), written);
    let boxed = Arc::new(chain).boxed();
    assert_eq!(format!("{boxed:?}"), format!("{written}.boxed()"));
    assert_eq!(format!("{:?}", boxed.timed("again")), format!("{written}.boxed().timed(\"again\")"));
}

/// The chain, its calls and their errors share one allocation, which is freed with the last of
/// them.
#[tokio::test(start_paused = true)]
async fn a_name_made_at_run_time_is_shared_and_freed() {
    let name: Arc<str> = format!("job {}", 42).into();
    let hang = || pending::<Result<(), Error>>();
    let chain = hang.named(Arc::clone(&name)).logged().timeout(ms(1)).timed(Arc::clone(&name));
    assert_eq!(chain.name(), "job 42");
    assert_eq!(
        format!("{chain:?}"),
        concat!(
            "debug_shows_the_names_place::{{closure}}",
            r#".named("job 42").logged().timeout(1ms).timed("job 42")"#,
        )
        .replace("debug_shows_the_names_place", "a_name_made_at_run_time_is_shared_and_freed::{{closure}}")
    );
    let error = chain.call().await.unwrap_err();
    assert_eq!(error.to_string(), "job 42 timed out after 1ms");
    let Error::TimedOut { name: in_error, .. } = error else { panic!("{error}") };
    assert_eq!(in_error.as_ptr(), name.as_ptr(), "the same text");
    drop((chain, in_error));
    assert_eq!(Arc::strong_count(&name), 1);
}

#[tokio::test(start_paused = true)]
async fn names_made_at_run_time_stand_in_log_lines_of_both_halves() {
    let log = listen();
    let fails = |id: u64| format!("job {id}");
    let (name, policy) = (fails(1), RetryPolicy::fixed(ms(1)).max_attempts(2));
    let fetch = (|| ready(Err::<(), _>("busy"))).named(name.clone()).logged().retry_with(&policy).timed(fails(2));
    fetch.await.unwrap_err();
    let lines = log.take();
    let expected = [
        "DEBUG calling job 1",
        "WARN job 1 failed in 0ns: &str: busy",
        "DEBUG job 1 failed at attempt 1, retrying in 1ms",
        "DEBUG calling job 1",
        "WARN job 1 failed in 0ns: &str: busy",
        "WARN job 1 gave up at attempt 2: attempts exhausted",
        "INFO job 2 took 1ms",
    ];
    assert_eq!(lines, expected);

    let _clock = VirtualClock::start();
    let load = (|| Err::<(), _>("busy")).blocking().named(name).logged().retry_with(&policy).timed(fails(2));
    load.run().unwrap_err();
    assert_eq!(log.take(), expected);

    ready(()).timed(fails(3)).await;
    assert_eq!(log.take(), ["INFO job 3 took 0ns"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_load_has_the_name_made_at_run_time() {
    let users = memo();
    let name: Cow<'static, str> = Cow::Owned(format!("load {}", 7));
    let load = (async |_: u64| {
        tokio::time::sleep(ms(1)).await;
        Err::<(), _>(Error::InvalidArgument { message: "no".into() })
    })
    .named(name)
    .memoized(&users);
    let (leads, waits) = tokio::join!(load.call(1), load.call(1));
    assert_eq!(leads.unwrap_err().to_string(), "invalid argument: no");
    assert_eq!(waits.unwrap_err().to_string(), "loading failed in another call of load 7: invalid argument: no");
}

#[test]
fn names_with_the_same_text_are_equal() {
    let names = [Name::from("x"), "x".to_owned().into(), Arc::<str>::from("x").into(), Cow::Borrowed("x").into()];
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 1, "equal, with equal hashes");
    for name in &names {
        assert_eq!((name, &**name, &name.to_string()), (&names[0], "x", &"x".to_owned()));
        assert_eq!((format!("{name:?}"), format!("{name:>3}")), ("\"x\"".to_owned(), "  x".to_owned()));
    }
    assert_ne!(names[0], Name::from("y"));
    assert_eq!(fetch.name(), Name::from("fetch"), "whatever its source");
}

fn polled<F: Future>(call: &mut Pin<Box<F>>) -> Poll<F::Output> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn shown(call: &dyn Debug) -> String {
    format!("{call:?}")
}

#[tokio::test(start_paused = true)]
async fn debug_shows_the_state_of_a_call() {
    let mut timed = Box::pin((|| ready(7)).timed("seven").call());
    assert_eq!(shown(&timed), "GatedFuture { state: Unpolled, .. }");
    assert_eq!(polled(&mut timed), Poll::Ready(7));
    assert_eq!(shown(&timed), "GatedFuture { state: Ended, .. }");

    let bounded = fetch.timeout(secs(2)).call(1);
    assert_eq!(shown(&bounded), "TimeoutFuture { name: \"fetch\", limit: 2s, .. }");

    let mut old = Box::pin(fetch.deprecated("use fetch_v2").call(1));
    assert_eq!(shown(&old), "GatedFuture { state: Unpolled, .. }");
    assert!(polled(&mut old).is_pending());
    assert_eq!(shown(&old), "GatedFuture { state: Entered, .. }");

    let mut awaited = Box::pin((|| ready(7)).timed("seven").into_future());
    assert_eq!(shown(&awaited), "LateFuture { called: false, .. }");
    assert_eq!(polled(&mut awaited), Poll::Ready(7));
    assert_eq!(shown(&awaited), "LateFuture { called: true, .. }");
}

#[tokio::test(start_paused = true)]
async fn debug_shows_the_attempts_of_a_retry() {
    let fail = || ready(Err::<(), _>("busy"));
    let mut call = Box::pin(fail.retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2)).call());
    let after = |attempts| {
        format!("RetryFuture {{ policy: RetryPolicy(fixed 1s, no jitter, 2 attempts), attempts: {attempts}, .. }}")
    };
    assert_eq!(shown(&call), after(0));
    assert!(polled(&mut call).is_pending());
    assert_eq!(shown(&call), after(1));
    tokio::time::advance(secs(1)).await;
    assert_eq!(polled(&mut call), Poll::Ready(Err("busy")));
    assert_eq!(shown(&call), after(2));
}

#[test]
fn debug_shows_whether_a_memoized_call_waits_or_loads() {
    let users = memo();
    let in_state = |state| format!("MemoizedFuture {{ memo: Memo(ttl 300s), state: {state}, .. }}");
    let mut loaded = Box::pin(users.get_or_load(2, || ready(())));
    assert_eq!(shown(&loaded), in_state("Start"));
    assert_eq!(polled(&mut loaded), Poll::Ready(()));
    assert_eq!(shown(&loaded), in_state("Ended"));
    let [mut loads, mut waits] = [(); 2].map(|()| Box::pin(fetch.memoized(&users).call(1)));
    assert!(polled(&mut loads).is_pending() && polled(&mut waits).is_pending());
    assert_eq!((shown(&loads), shown(&waits)), (in_state("Loading"), in_state("Joined")));
}
