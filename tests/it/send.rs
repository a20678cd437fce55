//! A decorated call can be used wherever a plain call can: in a task, behind a `dyn`, in a field,
//! with a bound.
//!
//! Each chain has every decorator, because one decorator that is not `Send`, or one lifetime that a
//! closure pins, would break the chain.

use crate::{
    every::{self, Answer, every_decorator},
    support::secs,
};
use async_trait::async_trait;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use decor::{BoxedFn, Callable, CallableMut, CallableOnce, Error, Failure, Repeat, RetryEvent, Transient, prelude::*};
use futures::{FutureExt as _, StreamExt, future::BoxFuture, stream};
use std::{
    cell::Cell,
    future::{Future, ready},
    hash::Hash,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    task::LocalSet,
    time::{Instant, sleep},
};

const LATENCY: Duration = Duration::from_millis(10);
const DELAY: Duration = Duration::from_millis(100);

/// An error without a variant for decor's errors.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum ApiError {
    #[error("busy")]
    Busy,
    #[error("no such user")]
    NotFound,
}

impl Transient for ApiError {
    fn is_transient(&self) -> bool {
        *self == Self::Busy
    }
}

/// An error with a variant for decor's errors.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Fetch(Failure<ApiError>),
    #[error(transparent)]
    Policy(#[from] Error),
}

type User = Result<String, anyhow::Error>;

async fn fetch(id: u64) -> Result<String, ApiError> {
    sleep(LATENCY).await;
    if id == 404 { Err(ApiError::NotFound) } else { Ok(format!("user {id}")) }
}

async fn find(name: &str) -> Result<String, ApiError> {
    sleep(LATENCY).await;
    if name == "unknown" { Err(ApiError::NotFound) } else { Ok(format!("user {name}")) }
}

/// A client that is busy for a given number of calls.
#[derive(Debug, Clone, Default)]
struct Client {
    busy: Arc<AtomicU32>,
}

impl Client {
    fn busy(times: u32) -> Self {
        Self { busy: Arc::new(AtomicU32::new(times)) }
    }

    async fn get(&self, path: &str) -> Result<String, ApiError> {
        sleep(LATENCY).await;
        match self.busy.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Err(ApiError::Busy),
            Err(_) => Ok(format!("user {path}")),
        }
    }
}

fn policy() -> RetryPolicy {
    RetryPolicy::fixed(DELAY)
}

fn memo<K: Eq + Hash + Clone + Send + Sync + 'static>() -> Memo<K, String> {
    Memo::ttl(Duration::from_secs(300))
}

/// Every decorator, around a function that returns `Result<_, ApiError>`.
macro_rules! decorated {
    ($function:expr, $validate:expr, $($memoized:tt)+) => {
        $function
            .named("fetch")
            .lifted()
            .timeout(Duration::from_secs(1))
            .timed("attempt")
            .retry_with(policy())
            .transient()
            .map_err(AppError::Fetch)
            .timeout(Duration::from_secs(10))
            .$($memoized)+
            .sharing_errors()
            .validated($validate)
            .deprecated("use fetch_v2")
            .err_into::<anyhow::Error>()
            .logged()
            .logged_values()
            .timed("fetch")
    };
}

fn not_zero(id: u64) -> Result<(), &'static str> {
    if id == 0 { Err("id must not be 0") } else { Ok(()) }
}

macro_rules! decorated_fetch {
    () => {
        decorated!(fetch, |id: &u64| not_zero(*id), memoized(&memo::<u64>()).detached())
    };
}

macro_rules! decorated_find {
    () => {
        decorated!(
            find,
            |name: &&str| if name.is_empty() { Err("name must not be empty") } else { Ok(()) },
            memoized(&memo::<String>())
        )
    };
}

macro_rules! decorated_get {
    () => {
        decorated!(
            Client::get,
            |_: &&Client, path: &&str| if path.is_empty() { Err("path must not be empty") } else { Ok(()) },
            memoized_by(&memo::<String>(), |_: &&Client, path: &&str| (*path).to_owned())
        )
    };
}

#[track_caller]
fn assert_refused(user: User, message: &str) {
    let message = message.to_owned();
    assert_eq!(user.unwrap_err().downcast::<AppError>().unwrap(), Error::InvalidArgument { message }.into());
}

#[track_caller]
fn assert_not_found(user: User) {
    let error = user.unwrap_err().downcast::<AppError>().unwrap();
    assert_eq!(error, AppError::Fetch(Failure::Call(ApiError::NotFound)));
}

type Arg = &'static str;

async fn measure(text: Arg) -> Answer {
    sleep(LATENCY).await;
    Ok(text.len() as u64)
}

fn shared<T: Send + Sync + 'static>(decorated: T) -> Arc<T> {
    Arc::new(decorated)
}

macro_rules! spawned {
    ($($decorator:ident: |$f:ident| $chain:expr => $shown:literal;)*) => {
        /// The calls are made in an async block, where rustc forgets that the argument is
        /// `'static`.
        #[tokio::test(start_paused = true)]
        async fn every_decorator_alone_can_be_called_in_a_task() {$(
            let $f = measure;
            let chain = shared($chain);
            let task = tokio::spawn({
                let chain = Arc::clone(&chain);
                async move { chain.call("ann").await.is_ok() }
            });
            assert!(task.await.unwrap(), "{}", stringify!($decorator));
            assert!(tokio::spawn(chain.call("bob")).await.unwrap().is_ok(), "{}", stringify!($decorator));
        )*}
    };
}
every_decorator!(spawned);

#[tokio::test(start_paused = true)]
async fn a_decorated_call_can_be_spawned() {
    let fetch = decorated_fetch!();

    assert_eq!(tokio::spawn(fetch.call(42)).await.unwrap().unwrap(), "user 42");
    assert_not_found(tokio::spawn(async move { fetch.call(404).await }).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_spawned_block_can_lend_what_it_owns() {
    let find = decorated_find!();

    let task = tokio::spawn({
        let find = find.clone();
        async move {
            let name = String::from("ann");
            let user = find.call(&name).await;
            assert_not_found(find.call("unknown").await);
            user
        }
    });
    assert_refused(find.call("").await, "name must not be empty");
    assert_eq!(task.await.unwrap().unwrap(), "user ann");
}

#[tokio::test(start_paused = true)]
async fn a_spawned_block_can_lend_to_all_of_a_retrys_closures() {
    let find = find
        .retry_with(policy())
        .when(|e: &ApiError| *e == ApiError::NotFound)
        .retry_after(|_: &ApiError| Some(Duration::from_secs(7)))
        .on_retry(|r: &RetryEvent<'_, ApiError>| assert_eq!(r.delay, Duration::from_secs(7)))
        .on_give_up(|g: &decor::GiveUpEvent<'_, ApiError>| assert_eq!(g.attempts, 3))
        .explained()
        .logged_args(|name: &&str| name.len());

    let task = tokio::spawn(async move {
        let (begun, name) = (Instant::now(), String::from("unknown"));
        let error = find.call(&name).await.unwrap_err();
        assert_eq!(begun.elapsed(), 2 * Duration::from_secs(7) + 3 * LATENCY);
        error.to_string()
    });
    assert_eq!(task.await.unwrap(), "retry failed after 3 attempts: no such user");
}

#[async_trait]
trait Users {
    async fn user(&self, path: &str) -> User;
}

#[async_trait]
impl Users for Client {
    async fn user(&self, path: &str) -> User {
        let captured =
            decorated!(|| self.get(path), || Ok::<_, &str>(()), memoized_by(&memo(), || path.to_owned())).await?;
        let argument = decorated_get!().call(self, path).await?;
        assert_eq!(captured, argument);
        Ok(argument)
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_in_an_async_trait_captures_self_and_a_str() {
    let users: Arc<dyn Users + Send + Sync> = Arc::new(Client::busy(2));

    let begun = Instant::now();
    let task = tokio::spawn(async move {
        let path = String::from("x");
        users.user(&path).await
    });
    assert_eq!(task.await.unwrap().unwrap(), "user x");
    assert_eq!(begun.elapsed(), 4 * LATENCY + 2 * DELAY);
}

#[tokio::test(start_paused = true)]
async fn a_decorated_call_can_be_a_pinned_dyn_future() {
    type Pinned<'a> = Pin<Box<dyn Future<Output = User> + Send + 'a>>;

    fn direct<'a>(client: &'a Client, path: &'a str) -> Pinned<'a> {
        Box::pin(decorated_get!().call(client, path))
    }

    fn in_a_block<'a>(client: &'a Client, path: &'a str) -> Pinned<'a> {
        Box::pin(async move {
            let path = format!("{path}/{path}");
            decorated_get!().call(client, &path).await
        })
    }

    fn without_arguments<'a>(client: &'a Client, path: &'a str) -> Pinned<'a> {
        let get = decorated!(|| client.get(path), || Ok::<_, &str>(()), memoized_by(&memo(), || path.to_owned()));
        Box::pin(get.into_future())
    }

    let (client, path) = (Client::busy(1), String::from("x"));
    assert_eq!(direct(&client, &path).await.unwrap(), "user x");
    assert_eq!(in_a_block(&client, &path).await.unwrap(), "user x/x");
    assert_eq!(without_arguments(&client, &path).await.unwrap(), "user x");
}

#[tokio::test(start_paused = true)]
async fn decorated_calls_can_be_buffered() {
    let fetch = decorated_fetch!();

    let begun = Instant::now();
    let mut users: Vec<_> =
        stream::iter(1..=20).map(|id| fetch.call(id)).buffer_unordered(8).map(Result::unwrap).collect().await;
    assert_eq!(begun.elapsed(), 3 * LATENCY);
    users.sort_by_key(|user| user[5..].parse::<u64>().unwrap());
    assert_eq!(users, (1..=20).map(|id| format!("user {id}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn buffered_calls_can_be_spawned() {
    let task = tokio::spawn(async {
        let (fetch, find) = (decorated_fetch!(), decorated_find!());
        let ids: Vec<_> = stream::iter(1..=9).map(|id| fetch.call(id)).buffer_unordered(8).collect().await;
        let find = |name: String| {
            let find = &find;
            async move { find.call(&name).await }
        };
        let names = ["ann", "bob"].map(String::from);
        let by_name: Vec<_> = stream::iter(names).map(find).buffered(8).collect().await;
        (ids.len(), by_name.into_iter().collect::<Result<Vec<_>, _>>())
    });
    let (ids, by_name) = task.await.unwrap();
    assert_eq!((ids, by_name.unwrap()), (9, vec!["user ann".into(), "user bob".into()]));
}

#[tokio::test(start_paused = true)]
async fn a_method_can_be_decorated_by_its_path() {
    let (bare, client) = (Client::get.retry_with(policy()), Client::busy(2));
    assert_eq!(bare.call(&client, "x").await, Ok("user x".into()));

    let get = decorated_get!();
    let task = tokio::spawn(async move {
        let (client, path) = (Client::busy(2), String::from("x"));
        let user = get.call(&client, &path).await;
        assert_refused(get.call(&client, "").await, "path must not be empty");
        user
    });
    assert_eq!(task.await.unwrap().unwrap(), "user x");
}

#[tokio::test(start_paused = true)]
async fn one_decorated_function_serves_many_tasks_behind_an_arc() {
    let fetch = Arc::new(decorated_fetch!());

    let tasks = (1..=9).map(|id| {
        let fetch = Arc::clone(&fetch);
        tokio::spawn(async move { fetch.call(id).await })
    });
    for (task, id) in tasks.collect::<Vec<_>>().into_iter().zip(1..) {
        assert_eq!(task.await.unwrap().unwrap(), format!("user {id}"));
    }
    assert_refused(fetch.call(0).await, "id must not be 0");
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_not_clone_can_be_retried_by_many_behind_an_arc() {
    let (client, left) = (Client::busy(3), AtomicU32::new(12));
    let limited = Arc::new(move |id: u64| {
        let (client, left) = (client.clone(), left.fetch_sub(1, Relaxed));
        async move { client.get(&format!("{id} of {left}")).await }
    });
    let fetch = decorated!(limited, |id: &u64| not_zero(*id), memoized(&memo::<u64>()));

    let tasks = (1..=9).map(|id| tokio::spawn(fetch.call(id)));
    for task in tasks.collect::<Vec<_>>() {
        assert!(task.await.unwrap().unwrap().starts_with("user "));
    }
    assert_eq!(fetch.call(10).await.unwrap(), "user 10 of 0");
}

struct Service {
    fetch: BoxedFn<(u64,), User>,
    find: BoxedFn<(Arc<str>,), User>,
}

impl Service {
    fn new() -> Self {
        let find = |name: Arc<str>| async move { find(&name).await };
        Self {
            fetch: decorated_fetch!().boxed(),
            find: decorated!(
                find,
                |name: &Arc<str>| if name.is_empty() { Err("empty") } else { Ok(()) },
                memoized(&memo::<Arc<str>>()).detached()
            )
            .boxed(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_boxed_function_can_stand_in_a_field() {
    let service = Arc::new(Service::new());

    let task = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.fetch.call(42).await }
    });
    assert_eq!(service.find.call("ann".into()).await.unwrap(), "user ann");
    assert_refused(service.find.call("".into()).await, "empty");
    assert_eq!(task.await.unwrap().unwrap(), "user 42");
}

#[tokio::test(start_paused = true)]
async fn a_boxed_function_can_stand_in_a_static() {
    static FETCH: LazyLock<BoxedFn<(u64,), User>> = LazyLock::new(|| decorated_fetch!().boxed());

    assert_eq!(tokio::spawn(FETCH.call(42)).await.unwrap().unwrap(), "user 42");
    assert_not_found(FETCH.call(404).await);
}

/// Runs on the real clock, because it does real I/O. The test does not wait for time.
#[tokio::test]
async fn a_boxed_function_can_be_the_state_of_an_axum_router() {
    #[derive(Clone)]
    struct App {
        fetch: BoxedFn<(u64,), User>,
    }

    async fn user(State(app): State<App>, Path(id): Path<u64>) -> Result<String, String> {
        let find = decorated_find!();
        let name = app.fetch.call(id).await.map_err(|error| error.to_string())?;
        find.call(&name).await.map_err(|error| error.to_string())
    }

    async fn at_once(id: u64) -> Result<String, ApiError> {
        Ok(id.to_string())
    }

    let app = App { fetch: decorated!(at_once, |id: &u64| not_zero(*id), memoized(&memo::<u64>())).boxed() };
    let router = Router::new().route("/users/{id}", get(user)).with_state(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });

    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    let visit = |id: u64| browser.get(format!("http://{address}/users/{id}")).send();
    assert_eq!(visit(42).await.unwrap().text().await.unwrap(), "user 42");
    assert_eq!(visit(0).await.unwrap().text().await.unwrap(), "invalid argument: id must not be 0");
}

/// A library function that takes any decorated function of its user.
async fn both<C>(fetch: C) -> (C::Output, C::Output)
where
    C: Callable<(u64,)>,
{
    let more = fetch.deprecated("use fetch_v2").timed("more");
    tokio::join!(more.call(1), more.call(404))
}

fn spawned<C, T>(fetch: C, id: u64) -> tokio::task::JoinHandle<T>
where
    C: Callable<(u64,), Output = T> + Send + Sync + 'static,
    C::Future: Send,
    T: decor::Fallible + Send + 'static,
{
    let bounded = fetch.timeout(Duration::from_secs(60)).validated(|id: &u64| not_zero(*id)).timed("spawned");
    tokio::spawn(async move { bounded.call(id).await })
}

#[tokio::test(start_paused = true)]
async fn a_decorated_function_satisfies_a_generic_bound() {
    let fetch = decorated_fetch!();

    assert_eq!(spawned(fetch.clone(), 42).await.unwrap().unwrap(), "user 42");
    assert_eq!(spawned(fetch.clone().boxed(), 42).await.unwrap().unwrap(), "user 42");
    assert_eq!(spawned(Arc::new(fetch.clone()), 42).await.unwrap().unwrap(), "user 42");

    let (found, missing) = tokio::spawn(both(fetch)).await.unwrap();
    assert_eq!(found.unwrap(), "user 1");
    assert_not_found(missing);
    assert_eq!(both(self::fetch).await, (Ok("user 1".into()), Err(ApiError::NotFound)));
}

/// The sum of a function's arguments is its arity.
#[tokio::test]
async fn functions_of_0_to_8_arguments_are_called_with_them_spread_out() {
    macro_rules! table {
        ($($arity:literal: ($($argument:ident)*) called with ($($one:literal)*);)*) => {$({
            #[allow(clippy::too_many_arguments)] // the largest number that decor supports
            async fn plain($($argument: u8),*) -> u8 {
                0 $(+ $argument)*
            }
            let lent = |$($argument: &u8),*| if 0 $(+ *$argument)* == $arity { Ok(()) } else { Err("not its arity") };
            let function = plain
                .fallible()
                .timeout(Duration::from_secs(1))
                .retry_with(RetryPolicy::default())
                .transient()
                .memoized_by(&Memo::<u8, u8>::builder().build(), |$($argument: &u8),*| 0 $(+ *$argument)*)
                .validated(lent)
                .deprecated("count by hand")
                .logged_args(|$($argument: &u8),*| 0 $(+ *$argument)*)
                .logged_values()
                .timed("count");
            assert_eq!(function.call($($one),*).await, Ok($arity));
            assert_eq!(tokio::spawn(function.boxed().call($($one),*)).await.unwrap(), Ok($arity));
        })*};
    }

    table! {
        0: () called with ();
        1: (a) called with (1);
        2: (a b) called with (1 1);
        3: (a b c) called with (1 1 1);
        4: (a b c d) called with (1 1 1 1);
        5: (a b c d e) called with (1 1 1 1 1);
        6: (a b c d e f) called with (1 1 1 1 1 1);
        7: (a b c d e f g) called with (1 1 1 1 1 1 1);
        8: (a b c d e f g h) called with (1 1 1 1 1 1 1 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_without_arguments_is_awaited() {
    let name = String::from("ann");
    let everything = || decorated!(|| find(&name), || Ok::<_, &str>(()), memoized_by(&memo(), || name.clone()));

    assert_eq!(everything().await.unwrap(), "user ann");
    assert_eq!(everything().call().await.unwrap(), "user ann");
    assert_eq!(
        tokio::spawn(async move { (|| find(&name)).retry_with(policy()).await }).await.unwrap().unwrap(),
        "user ann"
    );
}

#[tokio::test(start_paused = true)]
async fn a_counting_closure_works_before_any_decorator() {
    let (mut attempts, mut retries) = (0, Vec::new());

    let count = || {
        attempts += 1;
        ready(if attempts < 3 { Err(ApiError::Busy) } else { Ok(attempts) })
    };
    let third = count
        .named("count")
        .lifted()
        .timeout(Duration::from_secs(1))
        .retry_with(policy())
        .transient()
        .on_retry(|r: &RetryEvent<'_, Failure<ApiError>>| retries.push(r.attempt))
        .map_err(AppError::Fetch)
        .memoized_by(&Memo::<_, i32>::builder().build(), || "count")
        .sharing_errors()
        .validated(|| Ok::<_, &str>(()))
        .timeout(Duration::from_secs(10))
        .deprecated("use a loop")
        .err_into::<anyhow::Error>()
        .logged_values()
        .timed("count")
        .await;

    assert_eq!(third.unwrap(), 3);
    assert_eq!((attempts, retries), (3, vec![1, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_counting_closure_can_be_retried_within_a_spawned_block() {
    let task = tokio::spawn(async {
        let mut attempts = 0;
        let third = (|| {
            attempts += 1;
            ready(if attempts < 3 { Err("busy".to_owned()) } else { Ok(attempts) })
        })
        .retry_with(policy())
        .timeout(Duration::from_secs(1))
        .logged()
        .await;
        (third, attempts)
    });
    assert_eq!(task.await.unwrap(), (Ok(3), 3));
}

type Erased = dyn Callable<(u64,), Output = User, Future = BoxFuture<'static, User>> + Send + Sync;

#[tokio::test(start_paused = true)]
async fn a_callable_behind_a_box_can_be_called() {
    let boxed: Box<Erased> = Box::new(decorated_fetch!().boxed());
    assert_eq!(tokio::spawn(boxed.call(42)).await.unwrap().unwrap(), "user 42");

    let closure: Box<Erased> = Box::new(|id| async move { Ok(fetch(id).await?) }.boxed());
    assert_eq!(closure.call(42).await.unwrap(), "user 42");
    assert_eq!(tokio::spawn(async move { closure.call(7).await }).await.unwrap().unwrap(), "user 7");
}

#[tokio::test(start_paused = true)]
async fn a_callable_behind_an_arc_can_be_decorated_further() {
    let shared: Arc<Erased> = Arc::new(decorated_fetch!().boxed());

    let further = Arc::clone(&shared)
        .timeout(Duration::from_secs(1))
        .retry_with(policy())
        .validated(|id: &u64| if *id == 13 { Err("not this one") } else { Ok(()) })
        .deprecated("use fetch_v2")
        .logged_values()
        .timed("further");
    assert_eq!(tokio::spawn(further.call(42)).await.unwrap().unwrap(), "user 42");
    assert_eq!(further.call(13).await.unwrap_err().to_string(), "invalid argument: not this one");
    assert_eq!(shared.call(13).await.unwrap(), "user 13");
}

/// A boxed or shared function satisfies the weaker bounds too.
#[tokio::test(start_paused = true)]
async fn a_boxed_or_shared_function_is_callable_once_and_mutably() {
    async fn once(fetch: impl CallableOnce<(u64,), Output = User>) -> User {
        fetch.call_once((1,)).await
    }
    async fn twice(fetch: impl CallableMut<(u64,), Output = User>) -> [User; 2] {
        let mut calls = pin!(fetch.repeated((1,)));
        calls.as_mut().start(false);
        let first = calls.as_mut().await;
        calls.as_mut().start(true);
        [first, calls.await]
    }

    let boxed = decorated_fetch!().boxed();
    let shared: Arc<Erased> = Arc::new(boxed.clone());
    for user in [once(boxed.clone()).await, once(Arc::clone(&shared)).await] {
        assert_eq!(user.unwrap(), "user 1");
    }
    for users in [twice(boxed).await, twice(shared).await] {
        assert_eq!(users.map(Result::unwrap), ["user 1", "user 1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_gets_a_clone_of_the_context() {
    let owned =
        decor::with_context(
            Client::busy(2),
            |client: Client, id: u64| async move { client.get(&id.to_string()).await },
        );
    let owned = decorated!(owned, |id: &u64| not_zero(*id), memoized(&memo::<u64>()).detached());
    let begun = Instant::now();
    assert_eq!(tokio::spawn(owned.call(42)).await.unwrap().unwrap(), "user 42");
    assert_eq!(begun.elapsed(), 3 * LATENCY + 2 * DELAY);
    assert_eq!(owned.boxed().call(7).await.unwrap(), "user 7");

    let lent = decor::with_context(Client::busy(2), async |client: Client, path: &str| client.get(path).await);
    let not_empty = |path: &&str| if path.is_empty() { Err("empty") } else { Ok(()) };
    let lent = decorated!(lent, not_empty, memoized(&memo::<String>()));
    let task = tokio::spawn(async move {
        let path = String::from("x");
        let user = lent.call(&path).await;
        assert_refused(lent.call("").await, "empty");
        user
    });
    assert_eq!(task.await.unwrap().unwrap(), "user x");

    let once = decor::with_context(Client::busy(0), async |client: Client, path: &str| client.get(path).await);
    assert_eq!(decor::CallableOnce::call_once(once, ("x",)).await.unwrap(), "user x");

    let alone = decor::with_context(Client::busy(2), |client: Client| async move { client.get("x").await });
    assert_eq!(alone.clone().retry_with(policy()).await.unwrap(), "user x");
    assert_eq!(alone.await.unwrap(), "user x", "the client was busy for the earlier calls only");
}

#[tokio::test(start_paused = true)]
async fn async_closures_that_borrow_from_outside_can_be_decorated() {
    let task = tokio::spawn(async {
        let (client, path) = (Client::busy(2), String::from("x"));
        let lent = async || client.get(&path).await;
        let alone = decorated!(lent, || Ok::<_, &str>(()), memoized_by(&memo(), || path.clone())).await;

        let lent = async |id: u64| client.get(&format!("{path}/{id}")).await;
        let by_id = decorated!(lent, |id: &u64| not_zero(*id), memoized(&memo::<u64>()));
        let users: Vec<_> = stream::iter(1..=2).map(|id| by_id.call(id)).buffered(8).collect().await;
        (alone, users)
    });
    let (alone, users) = task.await.unwrap();
    assert_eq!(alone.unwrap(), "user x");
    assert_eq!(users.into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["user x/1", "user x/2"]);
}

/// A chain that is not spawned needs no `Send`.
#[tokio::test(start_paused = true)]
async fn a_function_that_is_not_send_can_be_decorated_and_awaited() {
    let calls = Cell::new(0);
    let counted = decorated!(
        async |id: u64| {
            calls.set(calls.get() + 1);
            fetch(id).await
        },
        |id: &u64| not_zero(*id),
        memoized(&memo::<u64>())
    );
    assert_eq!(counted.call(42).await.unwrap(), "user 42");
    assert_not_found(counted.call(404).await);
    assert_refused(counted.call(0).await, "id must not be 0");
    assert_eq!(calls.get(), 2);
}

/// Every call that looks a borrowed key up in a memo with owned keys.
struct Directory {
    users: Memo<String, String>,
}

#[async_trait]
impl Users for Directory {
    async fn user(&self, path: &str) -> User {
        let (found, lent, given) = (
            find.lifted().memoized(&self.users).logged().call(path).await?,
            find(path).lifted().memoized_by(&self.users, path).logged().await?,
            self.users.get_or_load(path, (|| find(path)).lifted()).logged().await?,
        );
        assert_eq!((&lent, &given), (&found, &found));
        Ok(found)
    }
}

#[tokio::test(start_paused = true)]
async fn a_memo_with_owned_keys_takes_borrowed_ones() {
    fn pinned<'a>(
        users: &'a Memo<String, String>,
        path: &'a str,
    ) -> [BoxFuture<'a, Result<String, Failure<ApiError>>>; 3] {
        [
            Box::pin(find.lifted().memoized(users).call(path)),
            Box::pin(find(path).lifted().memoized_by(users, path)),
            Box::pin(users.get_or_load(path, (move || find(path)).lifted())),
        ]
    }

    let users = memo();
    let directory: Arc<dyn Users + Send + Sync> = Arc::new(Directory { users: users.clone() });
    let task = tokio::spawn(async move {
        let path = String::from("ann");
        directory.user(&path).await
    });
    assert_eq!(task.await.unwrap().unwrap(), "user ann");
    assert_eq!((users.stats().loads, users.stats().hits), (1, 2));

    let path = String::from("ann");
    for user in pinned(&users, &path) {
        assert_eq!(user.await.unwrap(), "user ann");
    }
    assert_eq!((users.stats().loads, users.stats().hits), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_not_send_can_be_memoized_in_a_local_task() {
    let (users, calls) = (memo::<u64>(), Rc::new(Cell::new(0)));
    let count = {
        let calls = Rc::clone(&calls);
        move |id: u64| {
            let calls = Rc::clone(&calls);
            async move {
                calls.set(calls.get() + 1);
                fetch(id).await
            }
        }
    };

    let local = LocalSet::new();
    let counted = count.clone().lifted().memoized(&users).sharing_errors();
    let tasks = [
        local.spawn_local(counted.call(42)),
        local.spawn_local(async move { counted.call(42).await }),
        local.spawn_local(count(42).lifted().memoized_by(&users, 42)),
        local.spawn_local(users.get_or_load(42, (move || count(42)).lifted()).sharing_errors()),
    ];
    local.await;
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), "user 42");
    }
    assert_eq!((calls.get(), users.stats().coalesced), (1, 3));
}
