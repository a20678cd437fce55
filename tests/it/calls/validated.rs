//! `validated` and `deprecated`: decorators that look at a call before it is made.

use crate::support::{listen, ms};
use decor::{BoxedFn, Deprecation, Error, prelude::*};
use std::{
    cell::Cell,
    future::ready,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

async fn fetch(id: u64, lang: &str) -> Result<String, Error> {
    Ok(format!("{id} {lang}"))
}

#[tokio::test]
async fn arguments_are_refused_with_the_message_and_without_the_value() {
    let fetch = fetch.validated(|_: &u64, lang: &&str| match lang.len() {
        2 => Ok(()),
        length => Err(format!("lang must have 2 letters, not {length}")),
    });
    assert_eq!(fetch.call(1, "en").await.unwrap(), "1 en");
    let refused = fetch.call(1, "secret").await.unwrap_err();
    assert_eq!(refused, Error::InvalidArgument { message: "lang must have 2 letters, not 6".into() });
}

#[tokio::test]
async fn arguments_are_checked_when_the_call_is_made() {
    let (looked, called) = (Cell::new(0), Cell::new(0));
    let function = |id: u64| {
        called.set(called.get() + 1);
        ready(Ok::<_, Error>(id))
    };
    let function = function.validated(|id: &u64| {
        looked.set(looked.get() + 1);
        if *id == 0 { Err("zero") } else { Ok(()) }
    });
    let refused = function.call(0);
    assert_eq!((looked.get(), called.get()), (1, 0));
    assert!(refused.await.is_err());
    assert_eq!((looked.get(), called.get()), (1, 0));
    assert_eq!(function.call(5).await, Ok(5));
    assert_eq!((looked.get(), called.get()), (2, 1));
}

#[tokio::test]
async fn a_closure_without_arguments_is_validated_when_it_is_awaited() {
    let called = Cell::new(0);
    let open = Cell::new(false);
    let call = || {
        (|| {
            called.set(called.get() + 1);
            ready(Ok::<_, Error>(7))
        })
        .validated(|| if open.get() { Ok(()) } else { Err("closed") })
    };
    assert_eq!(call().await, Err(Error::InvalidArgument { message: "closed".into() }));
    assert_eq!(called.get(), 0);
    open.set(true);
    assert_eq!(call().await, Ok(7));
    assert_eq!(called.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_before_a_retry_is_not_retried() {
    static LOOKED: AtomicU32 = AtomicU32::new(0);
    let fetch = fetch
        .validated(|_: &u64, _: &&str| {
            LOOKED.fetch_add(1, Relaxed);
            Err("never")
        })
        .retry_with(RetryPolicy::fixed(ms(1)))
        .transient();
    fetch.call(1, "en").await.unwrap_err();
    assert_eq!(LOOKED.load(Relaxed), 1);
}

async fn old(n: u8) -> u8 {
    n
}

#[tokio::test]
async fn deprecation_warns_once_for_a_function_and_its_clones() {
    let log = listen();
    let old = old.deprecated("use new");
    let clone = old.clone();
    for n in 0..3 {
        assert_eq!(old.call(n).await, n);
        assert_eq!(clone.call(n).await, n);
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].target.as_str(), lines[0].level), ("decor::call", tracing::Level::WARN));
    assert_eq!(lines[0].fields["name"], "old");
    assert!(lines[0].fields["place"].starts_with(file!()));
}

#[tokio::test]
async fn another_decorated_function_warns_again() {
    let log = listen();
    old.deprecated("use new").call(1).await;
    old.deprecated("use new").call(1).await;
    assert_eq!(log.take().len(), 2);
}

#[tokio::test]
async fn with_every_call_each_call_warns() {
    let log = listen();
    let old = old.deprecated_with(Deprecation::new("use new").every_call());
    for n in 0..3 {
        old.call(n).await;
    }
    assert_eq!(log.take().len(), 3);
}

#[tokio::test]
async fn a_deprecated_call_does_not_warn_before_the_first_poll() {
    let log = listen();
    let old = old.deprecated("use new");
    drop(old.call(1));
    assert_eq!(log.take(), [""; 0]);
    old.call(1).await;
    assert_eq!(log.take().len(), 1, "a call that was never polled has not warned");
}

#[tokio::test]
async fn the_warning_shows_the_call_site_through_any_number_of_decorators() {
    let log = listen();
    let chain = old
        .deprecated_with(Deprecation::new("use new").every_call())
        .timed("old")
        .fallible()
        .validated(|_: &u8| Ok::<_, &str>(()))
        .logged();
    let warning = || log.take().into_iter().find(|line| line.starts_with("WARN")).unwrap();
    let called_at = |line| format!("WARN old is deprecated: use new (called at {}:{line}:11)", file!());
    let line = line!() + 1;
    chain.call(1).await.unwrap();
    assert_eq!(warning(), called_at(line));
    let boxed: BoxedFn<(u8,), _> = chain.boxed();
    let line = line!() + 1;
    boxed.call(1).await.unwrap();
    assert_eq!(warning(), called_at(line));
}

#[tokio::test]
async fn the_warning_shows_no_call_site_if_decor_makes_the_call() {
    let log = listen();
    let noisy = Deprecation::new("use new").every_call();
    (|| ready(1)).named("old").deprecated_with(noisy.clone()).await;
    let retried = (|n: u8| ready(Ok::<_, String>(n))).named("old").deprecated_with(noisy);
    retried.retry_with(RetryPolicy::default()).call(1).await.unwrap();
    assert_eq!(log.take(), ["WARN old is deprecated: use new"; 2]);
}
