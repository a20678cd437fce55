//! `logged` and its variants: the lines, their levels and fields, and the values that they hide.

use crate::support::{listen, listen_at, ms};
use decor::{Logging, prelude::*};
use std::{
    cell::Cell,
    fmt,
    future::ready,
    io,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};
use tokio::time::sleep;
use tracing::Level;

const MAX_SHOWN: usize = Logging::MAX_SHOWN;

struct Secret;

async fn login(user: &str, _password: Secret) -> Result<Secret, io::Error> {
    sleep(ms(120)).await;
    match user {
        "ann" => Ok(Secret),
        _ => Err(io::Error::other("unknown user")),
    }
}

#[tokio::test(start_paused = true)]
async fn by_default_neither_arguments_nor_values_are_shown() {
    let log = listen();
    let login = login.logged(); // neither argument nor value is `Debug`
    assert!(login.call("ann", Secret).await.is_ok());
    assert_eq!(log.take(), ["DEBUG calling login", "INFO login returned in 120ms"]);
    assert!(login.call("bob", Secret).await.is_err());
    assert_eq!(log.take(), ["DEBUG calling login", "WARN login failed in 120ms: Error: unknown user"]);
}

#[tokio::test(start_paused = true)]
async fn the_events_have_name_elapsed_and_outcome_as_fields() {
    let log = listen();
    let _ = login.logged().call("ann", Secret).await;
    let _ = login.logged().call("bob", Secret).await;
    let lines = log.lines();
    assert!(lines.iter().all(|line| line.target == "decor::call"));
    let fields = |at: usize| lines[at].fields.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
    assert_eq!(fields(0), ["name=login"]);
    assert_eq!(fields(1), ["elapsed=0.12", "name=login", "outcome=ok"]);
    assert_eq!(fields(3), ["elapsed=0.12", "name=login", "outcome=err"]);
}

#[tokio::test(start_paused = true)]
async fn the_line_of_a_future_names_the_function_that_made_it() {
    let log = listen();
    login("ann", Secret).logged().await.ok().unwrap();
    assert_eq!(log.take(), ["DEBUG calling login", "INFO login returned in 120ms"]);
    ready(Ok::<_, String>(7)).logged_values().await.unwrap();
    assert_eq!(log.take(), ["DEBUG calling Ready", "INFO Ready returned 7"]);
}

#[derive(Debug)]
#[allow(dead_code)] // read by `Debug`
struct User {
    id: u64,
}

async fn fetch(id: u64, lang: &str) -> Result<User, String> {
    if lang == "xx" { Err("no such language".into()) } else { Ok(User { id }) }
}

#[tokio::test(start_paused = true)]
async fn logged_values_shows_arguments_and_value() {
    let log = listen();
    let fetch = fetch.logged_values();
    fetch.call(42, "en").await.unwrap();
    fetch.call(42, "xx").await.unwrap_err();
    assert_eq!(
        log.take(),
        [
            r#"DEBUG calling fetch(42, "en")"#,
            "INFO fetch returned User { id: 42 }",
            r#"DEBUG calling fetch(42, "xx")"#,
            "WARN fetch failed in 0ns: String: no such language",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn without_arguments_the_parentheses_are_empty() {
    let log = listen();
    (|| ready(Ok::<_, String>(()))).named("ping").logged_values().await.unwrap();
    assert_eq!(log.take(), ["DEBUG calling ping()", "INFO ping returned ()"]);
}

#[tokio::test(start_paused = true)]
async fn long_values_are_cut_where_documented() {
    let log = listen();
    let echo = (|text: String| ready(Ok::<_, String>(text))).named("echo").logged_values();
    for length in [MAX_SHOWN - 4, MAX_SHOWN - 3, 1_000_000] {
        echo.call("é".repeat(length)).await.unwrap();
        let lines = log.take();
        let args = lines[0].strip_prefix("DEBUG calling echo").unwrap();
        let value = lines[1].strip_prefix("INFO echo returned ").unwrap();
        let shown = |text: &str| (text.chars().count(), text.ends_with('…'));
        // The value has two quotes around it. The arguments have parentheses too.
        if length + 4 <= MAX_SHOWN {
            assert_eq!(shown(args), (length + 4, false));
        } else {
            assert_eq!(shown(args), (MAX_SHOWN + 1, true));
        }
        if length + 2 <= MAX_SHOWN {
            assert_eq!(shown(value), (length + 2, false));
        } else {
            assert_eq!(shown(value), (MAX_SHOWN + 1, true));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_of_logged_args_is_cut_as_well() {
    let log = listen();
    let echo = (|text: String| ready(Ok::<_, String>(text))).named("echo").logged_args(|text: &String| text.clone());
    echo.call("x".repeat(10_000)).await.unwrap();
    assert_eq!(log.take()[0], format!("DEBUG calling echo({}…)", "x".repeat(MAX_SHOWN)));
}

#[tokio::test(start_paused = true)]
async fn each_line_has_its_fields() {
    let log = listen();
    ready(Ok::<_, String>(7)).logged_values().await.unwrap();
    let mut dropped = tokio_test::task::spawn(std::future::pending::<Result<(), String>>().logged());
    assert!(dropped.poll().is_pending());
    drop(dropped);
    let lines = log.lines();
    let outcomes: Vec<_> = lines.iter().map(|line| line.fields.get("outcome").map(String::as_str)).collect();
    assert_eq!(outcomes, [None, Some("ok"), None, Some("cancelled")]);
    assert!(lines.iter().all(|line| line.fields["name"] == "Ready" || line.fields["name"] == "Pending"));
    assert_eq!(lines[3].fields["elapsed"], "0.0");
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_cut_value_is_not_formatted() {
    struct Endless<'a>(&'a Cell<u32>);
    impl fmt::Debug for Endless<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                self.0.set(self.0.get() + 1);
                f.write_str("x")?;
            }
        }
    }
    let log = listen();
    let written = Cell::new(0);
    ready(Ok::<_, String>(Endless(&written))).logged_values().await.unwrap();
    assert_eq!(log.take()[1].chars().filter(|c| *c == 'x').count(), MAX_SHOWN);
    assert_eq!(written.get() as usize, MAX_SHOWN + 1);
}

/// A value with a failing `Debug`.
#[derive(Clone)]
struct Shy;

impl fmt::Debug for Shy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sh")?;
        Err(fmt::Error)
    }
}

#[tokio::test(start_paused = true)]
async fn an_argument_that_cannot_be_shown_does_not_stop_the_call() {
    async fn greet(_name: Shy) -> Result<u8, String> {
        Ok(7)
    }
    struct Unwilling;
    impl fmt::Display for Unwilling {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    let log = listen();
    assert_eq!(greet.logged_values().call(Shy).await, Ok(7));
    assert_eq!(log.take(), ["DEBUG calling greet(Sh", "INFO greet returned 7"]);
    assert_eq!(greet.logged_args(|_: &Shy| Unwilling).call(Shy).await, Ok(7));
    assert_eq!(log.take(), ["DEBUG calling greet(", "INFO greet returned in 0ns"]);
}

#[tokio::test(start_paused = true)]
async fn logged_args_shows_the_text_of_the_closure() {
    static PICKED: AtomicU32 = AtomicU32::new(0);
    let fetch = fetch.logged_args(|id: &u64, _: &&str| {
        PICKED.fetch_add(1, Relaxed);
        *id
    });
    fetch.call(42, "en").await.unwrap();
    assert_eq!(PICKED.load(Relaxed), 0, "the closure is not called without a listener");

    let log = listen_at(Level::INFO);
    fetch.call(42, "en").await.unwrap();
    assert_eq!(PICKED.load(Relaxed), 0, "the closure is not called without a listener at the level of calls");
    assert_eq!(log.take(), ["INFO fetch returned in 0ns"]);
    drop(log);

    let log = listen();
    fetch.call(42, "en").await.unwrap();
    assert_eq!(PICKED.load(Relaxed), 1);
    assert_eq!(log.take(), ["DEBUG calling fetch(42)", "INFO fetch returned in 0ns"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_formatted_without_a_listener() {
    static FORMATTED: AtomicU32 = AtomicU32::new(0);
    struct Counting;
    impl fmt::Debug for Counting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            FORMATTED.fetch_add(1, Relaxed);
            f.write_str("Counting")
        }
    }
    impl fmt::Display for Counting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            FORMATTED.fetch_add(1, Relaxed);
            f.write_str("counting")
        }
    }
    let refuse = (|_: Counting| ready(Err::<Counting, _>(Counting))).named("refuse").logged_values();
    assert!(refuse.call(Counting).await.is_err());
    assert_eq!(FORMATTED.load(Relaxed), 0);
    let log = listen_at(Level::ERROR);
    assert!(refuse.call(Counting).await.is_err());
    assert_eq!(FORMATTED.load(Relaxed), 0);
    drop(log);
    let log = listen_at(Level::WARN);
    assert!(refuse.call(Counting).await.is_err());
    assert_eq!(FORMATTED.load(Relaxed), 1);
    assert_eq!(log.take(), ["WARN refuse failed in 0ns: Counting: counting"]);
}

#[tokio::test(start_paused = true)]
async fn logged_with_sets_the_levels() {
    let log = listen();
    let fetch = fetch.logged_with(Logging::new().level(Level::TRACE).error_level(Level::ERROR));
    fetch.call(1, "en").await.unwrap();
    fetch.call(1, "xx").await.unwrap_err();
    assert_eq!(
        log.take(),
        [
            "TRACE calling fetch",
            "TRACE fetch returned in 0ns",
            "TRACE calling fetch",
            "ERROR fetch failed in 0ns: String: no such language",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn logged_with_sets_the_levels_of_a_future() {
    let log = listen();
    fetch(1, "en").logged_with(Logging::default().level(Level::TRACE)).await.unwrap();
    fetch(1, "xx").logged_with(Logging::default()).await.unwrap_err();
    assert_eq!(
        log.take(),
        [
            "TRACE calling fetch",
            "TRACE fetch returned in 0ns",
            "DEBUG calling fetch",
            "WARN fetch failed in 0ns: String: no such language",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn error_types_are_shown_without_their_paths() {
    let log = listen();
    let dynamic: Box<dyn std::error::Error + Send + Sync> = "broken".into();
    ready(Err::<(), _>(dynamic)).logged().await.unwrap_err();
    ready(Err::<(), _>(anyhow::anyhow!("broken"))).logged().await.unwrap_err();
    let failed = log.take().into_iter().filter(|line| line.starts_with("WARN")).collect::<Vec<_>>();
    assert_eq!(
        failed,
        ["WARN Ready failed in 0ns: Box<dyn Error + Send + Sync>: broken", "WARN Ready failed in 0ns: Error: broken"]
    );
}
