//! A file with a wrong setting is refused with the line, the setting, its value, and what is
//! allowed.

use decor::{
    ChaosConfig, CircuitBreakerConfig, ConcurrencyConfig, HedgeConfig, MemoConfig, RateLimiterConfig,
    RetryBudgetConfig, RetryPolicy,
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // only read
struct File {
    retry: Option<RetryPolicy>,
    limiter: Option<RateLimiterConfig>,
    places: Option<ConcurrencyConfig>,
    breaker: Option<CircuitBreakerConfig>,
    memo: Option<MemoConfig>,
    budget: Option<RetryBudgetConfig>,
    hedge: Option<HedgeConfig>,
    chaos: Option<ChaosConfig>,
}

/// Files with the place that the error has, the path of the setting, and the message.
#[rustfmt::skip] // a file in a line
const CASES: &[(&str, &str, &str)] = &[
    ("[retry]\nmax_attempts = «0»", "retry.max_attempts", "`max_attempts` is 0, but must be at least 1"),
    ("[retry]\nmax_attempts = «\"three\"»", "retry.max_attempts", r#"`max_attempts` is "three", but must be a whole number from 0 to 4294967295"#),
    ("[retry]\nmax_attempts = «-1»", "retry.max_attempts", "`max_attempts` is -1, but must be a whole number from 0 to 4294967295"),
    ("[retry]\ndelay = «250»", "retry.delay", r#"`delay` is 250, but must be a duration with a unit, such as "250ms""#),
    ("[retry]\ndelay = «\"250\"»", "retry.delay", r#"`delay` is "250", but must be a duration with a unit, such as "250ms""#),
    ("[retry]\ndelay = \"2s\"\nmax_delay = «\"1s\"»", "retry.max_delay", "`max_delay` is 1s, but must be at least the first delay"),
    ("[retry]\nmax_delay = «\"1ms\"»", "retry.max_delay", "`max_delay` is 1ms, but must be at least the first delay"),
    ("[retry]\nbackoff = \"fixed\"\nfactor = «3»", "retry.factor", "`factor` is 3, but must be left out unless the policy is exponential"),
    ("[retry]\nfactor = «0.5»", "retry.factor", "`factor` is 0.5, but must be a finite number of at least 1"),
    ("[retry]\njitter = «\"half\"»", "retry.jitter", r#"`jitter` is "half", but must be one of none, full, equal, decorrelated"#),
    ("[retry]\nlog_level = «\"loud\"»", "retry.log_level", r#"`log_level` is "loud", but must be one of off, error, warn, info, debug, trace"#),
    ("[retry]\n«max_atempts» = 3", "retry.max_atempts", "unknown field `max_atempts`, expected one of `backoff`, `delay`, `factor`, `max_delay`, `max_hint`, `jitter`, `max_attempts`, `deadline`, `seed`, `keeps_place`, `log_level`, `give_up_log_level`, `give_up_log_interval`"),
    ("[retry]\nkeeps_place = «\"yes\"»", "retry.keeps_place", r#"`keeps_place` is "yes", but must be true or false"#),
    ("[limiter]\nlimit = «\"60 per minute\"»", "limiter.limit", r#"`limit` is "60 per minute", but must be a number per period, such as "60 per 1m""#),
    ("[limiter]\nlimit = «60»", "limiter.limit", r#"`limit` is 60, but must be a number per period, such as "60 per 1m""#),
    ("[limiter]\nlimit = «[\"60 per 1m\", \"0 per 1h\"]»", "limiter.limit[1]", "`limit` is 0, but must be at least 1"),
    ("[limiter]\nlimit = «\"60 per 0s\"»", "limiter.limit", "`period` is 0ns, but must be longer than zero"),
    ("«[limiter]»\nburst = 5\nlimit = \"60 per 1m\"", "limiter", "`burst` is 5, but must be left out unless the limiter is paced"),
    ("[limiter]\nburst = «0»", "limiter.burst", "`burst` is 0, but must be 1 to the limit"),
    ("[limiter]\nburst = 61\nlimit = «\"60 per 1m\"»\npaced = true", "limiter.limit", "`burst` is 61, but must be 1 to the limit"),
    ("«[limiter]»\nmax_waiting = 5", "limiter", r#"`limit` is missing, but must be set, such as "60 per 1m""#),
    ("[limiter]\nlimit = «[]»", "limiter.limit", r#"`limit` is missing, but must be set, such as "60 per 1m""#),
    ("[limiter]\nlimit = «true»", "limiter.limit", r#"`limit` is true, but must be a number per period, such as "60 per 1m""#),
    ("[limiter]\nlimit = \"60 per 1m\"\nmax_keys = «0»", "limiter.max_keys", "`max_keys` is 0, but must be at least 1"),
    ("[places]\nlimit = «0»", "places.limit", "`limit` is 0, but must be at least 1"),
    ("[places]\nrange = «\"8..=4\"»", "places.range", "`range` is 8..=4, but must be ascending from at least 1"),
    ("[places]\nrange = «\"8\"»", "places.range", r#"`range` is "8", but must be a range, such as "4..=100""#),
    ("[places]\nlimit = 8\nshrink_by = «0.5»", "places.shrink_by", "`shrink_by` is 0.5, but must be left out unless the limiter is adaptive"),
    ("«[places]»\nmax_waiting = 5", "places", "`limit` is missing, but must be set unless the limiter is adaptive"),
    ("[breaker]\nwindow = { failures = «0» }", "breaker.window.failures", "`failures` is 0, but must be at least 1"),
    ("[breaker]\nwindow = { calls = 3, failures = «5» }", "breaker.window.failures", "`calls` is 3, but must be at least the number of failures"),
    ("[breaker]\nwindow = { failures = 5, rate = «0.5» }", "breaker.window.rate", "`rate` is 0.5, but must be left out beside `failures`"),
    ("[breaker]\nwindow = { rate = «1.5», period = \"30s\" }", "breaker.window.rate", "`rate` is 1.5, but must be above 0 and at most 1"),
    ("[breaker]\nwindow = «{ rate = 0.5 }»", "breaker.window", "`period` is missing, but must be set beside `rate`"),
    ("[breaker]\nwindow = «{}»", "breaker.window", "`failures` is missing, but must be set, unless there is a `rate`"),
    ("[breaker]\nwindow = «5»", "breaker.window", "invalid type: integer `5`, expected a table of settings (failures, calls, rate, period)"),
    ("[breaker]\nopen_for = «\"0s\"»", "breaker.open_for", "`open_for` is 0ns, but must be longer than zero"),
    ("«[breaker]»\nminimum_calls = 5\nopen_for = \"5s\"", "breaker", "`minimum_calls` is 5, but must be left out unless the breaker has a rate"),
    ("[breaker.open_by]\nmax_attempts = «0»", "breaker.open_by.max_attempts", "`max_attempts` is 0, but must be at least 1"),
    ("[memo]\ncapacity = «0»", "memo.capacity", "`capacity` is 0, but must be at least 1"),
    ("[memo]\neviction = «\"fifo\"»", "memo.eviction", r#"`eviction` is "fifo", but must be one of lru, tiny-lfu"#),
    ("[memo]\njitter = «2»\nttl = \"5m\"", "memo.jitter", "`jitter` is 2, but must be 0 to 1"),
    ("[memo]\njitter = «0.5»", "memo.jitter", "`jitter` is 0.5, but must be left out unless values have a TTL"),
    ("[memo]\nttl = «\"0s\"»", "memo.ttl", "`ttl` is 0ns, but must be longer than zero"),
    ("[budget]\nratio = «-0.5»", "budget.ratio", "`ratio` is -0.5, but must be 0, or between 0.000001 and 1000"),
    ("[budget]\nper_second = «0»", "budget.per_second", "`per_second` is 0, but must be between 0.000001 and 1000000"),
    ("[hedge]\npercentile = «95»", "hedge.percentile", "`percentile` is 95, but must be above 0 and below 1"),
    ("[hedge]\nmax_calls = «0»", "hedge.max_calls", "`max_calls` is 0, but must be at least 1"),
    ("[chaos]\nfailing = 0.6\nhanging = «0.5»", "chaos.hanging", "`hanging` is 0.5, but must be at most 1 together with the other faults"),
    ("retry = «5»", "retry", "invalid type: integer `5`, expected a table of settings (backoff, delay, factor, max_delay, max_hint, jitter, max_attempts, deadline, seed, keeps_place, log_level, give_up_log_level, give_up_log_interval)"),
    ("[limiter]\nlimit = «{ permits = 5 }»", "limiter.limit", r#"`limit` is a table, but must be a number per period, such as "60 per 1m""#),
    ("[limiter]\nlimit = «[\"1 per 1s\", 5]»", "limiter.limit[1]", r#"`limit` is 5, but must be a number per period, such as "60 per 1m""#),
    ("[limiter]\nlimit = «[\"1 per 1s\", \"2 per 1s\", \"3 per 1s\", \"4 per 1s\", \"5 per 1s\"]»", "limiter.limit", "`limit` is a list of 5, but must be a list of 1 to 4"),
    ("[limiter]\nlimit = [\"1 per 1s\", \"2 per 1s\"]\npaced = «true»", "limiter.paced", "`limit` is a list of 2, but must be a single limit if the limiter is paced"),
    ("[limiter]\nlimit = \"5 per 1s\"\nlongest_pause = «\"0s\"»", "limiter.longest_pause", "`longest_pause` is 0ns, but must be longer than zero"),
    ("[retry]\ndelay = «[\"1s\"]»", "retry.delay", r#"`delay` is a list, but must be a duration with a unit, such as "250ms""#),
    ("[retry]\ndelay = «\"0s\"»", "retry.delay", "`delay` is 0ns, but must be longer than zero where delays grow"),
    ("[retry]\nmax_attempts = «1.5»", "retry.max_attempts", "`max_attempts` is 1.5, but must be a whole number from 0 to 4294967295"),
    ("[retry]\nseed = «-1»", "retry.seed", "`seed` is -1, but must be a whole number, at least 0"),
    ("[places]\nname = «5»\nlimit = 8", "places.name", "`name` is 5, but must be a text"),
    ("[places]\nlimit = 8\nrange = «\"4..=8\"»", "places.range", "`limit` is 8, but must be left out if the limiter is adaptive"),
    ("[places]\nrange = \"4..=8\"\nstart_at = «9»", "places.start_at", "`start_at` is 9, but must be within the range"),
    ("[breaker]\nname = \"users\"\n«names» = \"users\"", "breaker.names", "unknown field `names`, expected one of `window`, `minimum_calls`, `open_for`, `open_by`, `probes`, `slow_after`, `observing`, `name`, `max_keys`"),
    ("«[breaker.window]»\nperiod = \"5s\"", "breaker.window", "`rate` is missing, but must be set beside `period`"),
    ("[memo]\nstale_on_error = «\"5s\"»", "memo.stale_on_error", "`stale_on_error` is 5s, but must be left out unless values have a TTL"),
    ("[memo]\nrefresh_backoff = { max_attempts = «0» }", "memo.refresh_backoff.max_attempts", "`max_attempts` is 0, but must be at least 1"),
    ("[«limits»]\nlimit = \"5 per 1s\"", "limits", "unknown field `limits`, expected one of `retry`, `limiter`, `places`, `breaker`, `memo`, `budget`, `hedge`, `chaos`"),
];

/// The text of toml's error at the place that is marked in a file.
fn expected(marked: &str, message: &str) -> (String, String) {
    let (before, rest) = marked.split_once('«').unwrap();
    let (value, after) = rest.split_once('»').unwrap();
    let file = format!("{before}{value}{after}");
    let (line, start) = (before.matches('\n').count(), before.rfind('\n').map_or(0, |end| end + 1));
    let (column, number) = (before.len() - start, line + 1);
    let content = file.lines().nth(line).unwrap();
    let (spaces, carets) = (" ".repeat(column), "^".repeat(value.len()));
    let place = format!("TOML parse error at line {number}, column {}", column + 1);
    let text = format!("{place}\n  |\n{number} | {content}\n  | {spaces}{carets}\n{message}\n");
    (file, text)
}

#[test]
fn an_error_has_the_line_the_setting_its_value_and_what_is_allowed() {
    for (marked, _, message) in CASES {
        let (file, text) = expected(&format!("# settings\n{marked}\n"), message);
        let error = toml::from_str::<File>(&file).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn an_error_has_the_path_of_the_setting() {
    for (marked, path, message) in CASES {
        let file = marked.replace(['«', '»'], "");
        let error = serde_path_to_error::deserialize::<_, File>(toml::Deserializer::parse(&file).unwrap()).unwrap_err();
        assert_eq!((error.path().to_string().as_str(), error.inner().message()), (*path, *message));
    }
}

/// The order of the settings differs from that of TOML, where it is alphabetical.
#[test]
fn json_has_the_place_as_well() {
    for (json, path, message) in [
        (
            r#"{"retry": {"jitter": "full", "max_attempts": 0}}"#,
            "retry.max_attempts",
            "`max_attempts` is 0, but must be at least 1 at line 1 column 47",
        ),
        (
            r#"{"retry": {"max_delay": "1s", "jitter": "full", "delay": "2s"}}"#,
            "retry.delay",
            "`max_delay` is 1s, but must be at least the first delay at line 1 column 62",
        ),
        (
            r#"{"limiter": {"limit": "60 per 1m", "paced": false, "burst": 5}}"#,
            "limiter.burst",
            "`burst` is 5, but must be left out unless the limiter is paced at line 1 column 62",
        ),
        (
            r#"{"retry": {"delay": null}}"#,
            "retry.delay",
            "`delay` is null, but must be a duration with a unit, such as \"250ms\" at line 1 column 25",
        ),
        (
            r#"{"retry": {"max_attempts": 2, "max_attempts": 3}}"#,
            "retry.max_attempts",
            "duplicate field `max_attempts` at line 1 column 44",
        ),
        (
            r#"{"memo": {"capacity": 0.5}}"#,
            "memo.capacity",
            "`capacity` is 0.5, but must be a whole number, at least 0 at line 1 column 26",
        ),
    ] {
        let mut from = serde_json::Deserializer::from_str(json);
        let error = serde_path_to_error::deserialize::<_, File>(&mut from).unwrap_err();
        assert_eq!((error.path().to_string().as_str(), error.inner().to_string().as_str()), (path, message));
    }
}

/// serde hides unknown fields from a struct in a `flatten` (serde#2384), and so would read this
/// file. The settings are read as a map.
#[test]
fn a_flattened_config_refuses_a_setting_that_does_not_exist() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)] // only read
    struct Api {
        url: String,
        #[serde(flatten)]
        retry: decor::RetryConfig,
    }
    let api: Api = toml::from_str("url = \"/\"\nmax_attempts = 5").unwrap();
    assert_eq!((api.url.as_str(), api.retry.max_attempts), ("/", 5));
    let typo = toml::from_str::<Api>("url = \"/\"\nmax_atempts = 5").unwrap_err();
    assert!(typo.message().starts_with("unknown field `max_atempts`, expected one of `backoff`, `delay`, "), "{typo}");
    let zero = toml::from_str::<Api>("url = \"/\"\nmax_attempts = 0").unwrap_err();
    assert_eq!(zero.message(), "`max_attempts` is 0, but must be at least 1");
}

/// A setting is checked when all settings that decide about it are read, in any order.
#[test]
fn the_order_of_the_settings_does_not_matter() {
    let orders: [&[&str]; 6] = [
        &[r#""backoff": "fixed""#, r#""delay": "0s""#, r#""max_delay": "0s""#],
        &[r#""backoff": "exponential""#, r#""delay": "1ms""#, r#""max_delay": "2ms""#, r#""factor": 3"#],
        &[r#""limit": "5 per 1s""#, r#""paced": true"#, r#""burst": 5"#],
        &[r#""range": "4..=8""#, r#""start_at": 5"#, r#""shrink_by": 0.5"#],
        &[r#""minimum_calls": 5"#, r#""window": {"rate": 0.5, "period": "5s"}"#, r#""probes": 2"#],
        &[r#""ttl": "5s""#, r#""jitter": 0.5"#, r#""stale_on_error": "5s""#],
    ];
    for (table, settings) in ["retry", "retry", "limiter", "places", "breaker", "memo"].into_iter().zip(orders) {
        for rotation in 0..settings.len() {
            let mut order = settings.to_vec();
            order.rotate_left(rotation);
            for order in [order.clone(), order.into_iter().rev().collect()] {
                let json = format!("{{\"{table}\": {{{}}}}}", order.join(", "));
                assert!(serde_json::from_str::<File>(&json).is_ok(), "{json}");
            }
        }
    }
}
