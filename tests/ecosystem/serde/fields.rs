//! Durations in fields of one's own.

use super::{cases, ms, secs};
use decor::Name;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Fields {
    #[serde(with = "decor::serde::duration")]
    shutdown: Duration,
    #[serde(default, with = "decor::serde::option")]
    idle: Option<Duration>,
}

fn read(text: &str) -> Option<Duration> {
    let fields: Result<Fields, _> = serde_json::from_value(serde_json::json!({ "shutdown": text }));
    fields.ok().map(|fields| fields.shutdown)
}

#[test]
fn durations_have_units() {
    let day = secs(86_400);
    for (text, duration) in [
        ("250ms", ms(250)),
        ("1.5s", ms(1_500)),
        ("1m 30s", secs(90)),
        ("1m30s", secs(90)),
        (" 2 hours ", secs(7_200)),
        ("0s", Duration::ZERO),
        ("0.000000001s", Duration::from_nanos(1)),
        ("1.5µs", Duration::from_nanos(1_500)),
        ("0.5days", day / 2),
        ("18446744073709551615s 999999999ns", Duration::MAX),
    ] {
        assert_eq!(read(text), Some(duration), "{text}");
    }
    for text in [
        "",
        " ",
        "250",
        "0",
        "s",
        "1.s",
        ".5s",
        "1..5s",
        "-1s",
        "1 5",
        "1x",
        "1ms 5",
        "1,5s",
        "0.0000000001s",
        "1e3s",
        "18446744073709551616s",
        "18446744073709551615s 1000000000ns",
        "∞",
        "1s;",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn an_error_says_what_a_duration_is() {
    let refused = |text: &str| toml::from_str::<Fields>(text).unwrap_err().to_string();
    assert_eq!(
        refused("shutdown = 250\n"),
        "TOML parse error at line 1, column 12\n  \
           |\n\
         1 | shutdown = 250\n  \
           |            ^^^\n\
         invalid type: integer `250`, expected a duration with a unit, such as \"250ms\"\n"
    );
    assert_eq!(
        refused("shutdown = \"1s\"\nidle = \"250\"\n"),
        "TOML parse error at line 2, column 8\n  \
           |\n\
         2 | idle = \"250\"\n  \
           |        ^^^^^\n\
         invalid value: string \"250\", expected a duration with a unit, such as \"250ms\"\n"
    );
}

#[test]
fn no_duration_is_null_or_left_out() {
    let fields = Fields { shutdown: secs(5), idle: None };
    assert_eq!(toml::to_string(&fields).unwrap(), "shutdown = \"5s\"\n");
    assert_eq!(toml::from_str(r#"shutdown = "5s""#), Ok(fields));
    let fields: Fields = serde_json::from_str(r#"{"shutdown": "5s", "idle": null}"#).unwrap();
    assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"shutdown":"5s","idle":null}"#);
}

#[test]
fn a_name_is_a_text() {
    let name = Name::from("users");
    assert_eq!(serde_json::to_string(&name).unwrap(), "\"users\"");
    assert_eq!(serde_json::from_str::<Name>("\"users\"").unwrap(), name);
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn every_duration_is_the_same_afterwards(secs in any::<u64>(), nanos in 0_u32..1_000_000_000) {
        let shutdown = Duration::new(secs, nanos);
        let fields = Fields { shutdown, idle: Some(shutdown / 2) };
        let text = toml::to_string(&fields).unwrap();
        prop_assert_eq!(toml::from_str::<Fields>(&text).unwrap(), fields, "{}", text);
        // As `Debug` writes it.
        prop_assert_eq!(read(&format!("{shutdown:?}")), Some(shutdown));
    }

    /// Any text, and texts that look like durations.
    #[test]
    fn no_text_panics(any in any::<String>(), near in "([0-9]{1,20}\\.?[0-9]{0,20} ?(ns|us|ms|s|m|h|d|w|y|x)? ?){0,4}") {
        read(&any);
        read(&near);
    }
}
