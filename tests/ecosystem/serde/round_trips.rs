//! Every config is the same after it was written and read, as TOML and as JSON.

use decor::{
    Backoff, ChaosConfig, CircuitBreakerConfig, CircuitWindow, ConcurrencyConfig, Eviction, HedgeConfig, Jitter,
    MemoConfig, Name, RateLimit, RateLimiter, RateLimiterConfig, RetryBudgetConfig, RetryConfig, RetryPolicy,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Debug, time::Duration};
use tracing::level_filters::LevelFilter;

/// Writes and reads a config, as the only table of a file and as the whole file.
fn check<C: Serialize + DeserializeOwned + PartialEq + Debug>(config: &C) -> Result<(), TestCaseError> {
    #[derive(Serialize, serde::Deserialize)]
    struct File<C> {
        table: C,
    }

    let toml = toml::to_string(config).unwrap();
    prop_assert_eq!(&toml::from_str::<C>(&toml).unwrap(), config, "{}", toml);
    let json = serde_json::to_string(config).unwrap();
    prop_assert_eq!(&serde_json::from_str::<C>(&json).unwrap(), config, "{}", json);
    let pretty = toml::to_string_pretty(&File { table: config }).unwrap();
    prop_assert_eq!(&toml::from_str::<File<C>>(&pretty).unwrap().table, config, "{}", pretty);
    Ok(())
}

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0_u64..100_000).prop_map(Duration::from_millis),
        (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        (0_u32..128).prop_map(|bits| {
            let nanos = u128::MAX >> bits;
            Duration::new(u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX), (nanos % 1_000_000_000) as u32)
        }),
        Just(Duration::MAX),
    ]
}

fn longer_than_zero() -> impl Strategy<Value = Duration> {
    any_duration().prop_map(|duration| duration.max(Duration::from_nanos(1)))
}

fn any_level() -> impl Strategy<Value = LevelFilter> {
    prop::sample::select(vec![
        LevelFilter::OFF,
        LevelFilter::ERROR,
        LevelFilter::WARN,
        LevelFilter::INFO,
        LevelFilter::DEBUG,
        LevelFilter::TRACE,
    ])
}

prop_compose! {
    fn any_retry()(
        backoff in prop::sample::select(vec![Backoff::Fixed, Backoff::Linear, Backoff::Exponential, Backoff::Fibonacci]),
        jitter in prop::sample::select(vec![Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated]),
        delay in longer_than_zero(),
        beyond in prop::option::of(any_duration()),
        factor in prop::option::of(1.0_f64..1e9),
        max_hint in any_duration(),
        max_attempts in 1_u32..,
        deadline in prop::option::of(longer_than_zero()),
        seed in any::<Option<u64>>(),
        keeps_place in any::<bool>(),
        levels in (any_level(), any_level()),
        give_up_log_interval in any_duration(),
    ) -> RetryConfig {
        RetryConfig {
            backoff,
            delay,
            factor: factor.filter(|_| backoff == Backoff::Exponential),
            max_delay: beyond.map(|beyond| delay.saturating_add(beyond)),
            max_hint,
            jitter,
            max_attempts,
            deadline,
            seed,
            keeps_place,
            log_level: levels.0,
            give_up_log_level: levels.1,
            give_up_log_interval,
        }
    }
}

fn any_limit() -> impl Strategy<Value = RateLimit> {
    (1_u32.., longer_than_zero()).prop_map(|(permits, period)| RateLimit { permits, period })
}

prop_compose! {
    fn any_limiter()(
        limits in prop::collection::vec(any_limit(), 1..=4),
        paced in any::<bool>(),
        burst in any::<Option<prop::sample::Index>>(),
        max_waiting in any::<Option<usize>>(),
        longest_pause in longer_than_zero(),
        max_keys in prop::option::of(1_usize..),
    ) -> RateLimiterConfig {
        let limit = if paced { vec![limits[0]] } else { limits };
        let most = usize::try_from(limit[0].permits).unwrap();
        let burst = burst.filter(|_| paced).map(|burst| 1 + u32::try_from(burst.index(most)).unwrap());
        RateLimiterConfig { limit, paced, burst, max_waiting, longest_pause, max_keys }
    }
}

fn any_name() -> impl Strategy<Value = Option<String>> {
    prop::option::of(any::<String>())
}

prop_compose! {
    fn any_concurrency()(
        is_fixed in any::<bool>(),
        limit in 1_u32..,
        (min, max) in (1_u32.., any::<u32>()).prop_map(|(a, b)| (a.min(b.max(1)), a.max(b))),
        start in any::<Option<prop::sample::Index>>(),
        shrink_by in prop::option::of(0.000_001_f64..0.999_999),
        max_waiting in any::<Option<usize>>(),
        name in any_name(),
        max_keys in prop::option::of(1_usize..),
    ) -> ConcurrencyConfig {
        let name = name.map(Name::from);
        let config = ConcurrencyConfig { max_waiting, name, max_keys, ..ConcurrencyConfig::default() };
        if is_fixed {
            return ConcurrencyConfig { limit: Some(limit), ..config };
        }
        let span = usize::try_from(max - min).unwrap() + 1;
        let start_at = start.map(|start| min + u32::try_from(start.index(span)).unwrap());
        ConcurrencyConfig { range: Some(min..=max), start_at, shrink_by, ..config }
    }
}

fn any_window() -> impl Strategy<Value = CircuitWindow> {
    prop_oneof![
        (1_u32..=1 << 20).prop_map(|failures| CircuitWindow::Consecutive { failures }),
        (1_u32..=1 << 20, 1_u32..=1 << 20)
            .prop_map(|(a, b)| CircuitWindow::Among { failures: a.min(b), calls: a.max(b) }),
        (0.000_001_f64..=1.0, any_duration())
            .prop_map(|(rate, period)| CircuitWindow::Rate { rate, period: period.max(Duration::from_nanos(10)) }),
    ]
}

prop_compose! {
    fn any_breaker()(
        window in any_window(),
        minimum_calls in prop::option::of(1_u32..),
        open_for in longer_than_zero(),
        open_by in prop::option::of(any_retry()),
        probes in 1_u32..,
        slow_after in prop::option::of(longer_than_zero()),
        observing in any::<bool>(),
        name in any_name(),
        max_keys in prop::option::of(1_usize..),
    ) -> CircuitBreakerConfig {
        let minimum_calls = minimum_calls.filter(|_| matches!(window, CircuitWindow::Rate { .. }));
        CircuitBreakerConfig { window, minimum_calls, open_for, open_by, probes, slow_after, observing, name, max_keys }
    }
}

prop_compose! {
    fn any_memo()(
        ttl in prop::option::of(longer_than_zero()),
        time_to_idle in prop::option::of(longer_than_zero()),
        jitter in 0.0_f64..=1.0,
        seed in any::<Option<u64>>(),
        capacity in 1_u64..,
        eviction in prop::sample::select(vec![Eviction::Lru, Eviction::TinyLfu]),
        refresh_ahead in prop::option::of(0.001_f64..0.999),
        windows in (any_duration(), any_duration()),
        refresh_backoff in prop::option::of(any_retry()),
    ) -> MemoConfig {
        let plain = MemoConfig { ttl, time_to_idle, seed, capacity, eviction, refresh_backoff, ..MemoConfig::default() };
        let (stale_while_revalidate, stale_on_error) = windows;
        match (ttl, time_to_idle) {
            (Some(_), _) => MemoConfig { jitter, refresh_ahead, stale_while_revalidate, stale_on_error, ..plain },
            (None, Some(_)) => MemoConfig { stale_while_revalidate, stale_on_error, ..plain },
            (None, None) => plain,
        }
    }
}

prop_compose! {
    fn any_chaos()(
        seed in any::<u64>(),
        failing in 0.0_f64..=0.3,
        slowing in 0.0_f64..=0.3,
        slow_by in any_duration(),
        hanging in 0.0_f64..=0.3,
    ) -> ChaosConfig {
        ChaosConfig { seed, failing, slowing, slow_by, hanging }
    }
}

prop_compose! {
    fn any_budget()(
        ratio in prop_oneof![Just(0.0), 0.000_001_f64..=1_000.0],
        capacity in 1_u32..,
        per_second in prop::option::of(0.000_001_f64..=1_000_000.0),
    ) -> RetryBudgetConfig {
        RetryBudgetConfig { ratio, capacity, per_second }
    }
}

prop_compose! {
    fn any_hedge()(
        after in prop::option::of(any_duration()),
        percentile in 0.000_001_f64..0.999_999,
        max_calls in 1_u32..,
    ) -> HedgeConfig {
        HedgeConfig { after, percentile, max_calls }
    }
}

proptest! {
    #![proptest_config(super::cases(300))]

    #[test]
    fn of_a_retry(config in any_retry()) {
        check(&config)?;
        let policy: RetryPolicy = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        prop_assert_eq!(policy.to_string(), RetryPolicy::try_from(config).unwrap().to_string());
    }

    #[test]
    fn of_a_rate_limiter(config in any_limiter()) {
        check(&config)?;
    }

    #[test]
    fn of_a_concurrency_limiter(config in any_concurrency()) {
        check(&config)?;
    }

    #[test]
    fn of_a_circuit_breaker(config in any_breaker()) {
        check(&config)?;
    }

    #[test]
    fn of_a_memo(config in any_memo()) {
        check(&config)?;
    }

    #[test]
    fn of_a_budget(config in any_budget()) {
        check(&config)?;
    }

    #[test]
    fn of_a_hedge(config in any_hedge()) {
        check(&config)?;
    }

    #[test]
    fn of_chaos(config in any_chaos()) {
        check(&config)?;
    }

    #[test]
    fn the_text_that_a_limiter_displays_parses(config in any_limiter()) {
        let config = RateLimiterConfig { max_keys: None, ..config };
        let limiter = RateLimiter::try_from(&config).unwrap();
        let parsed: RateLimiterConfig = limiter.to_string().parse().unwrap();
        prop_assert_eq!(RateLimiter::try_from(&parsed).unwrap().to_string(), limiter.to_string());
        prop_assert_eq!(RateLimiter::try_from(&parsed).unwrap().limits(), limiter.limits());
        for limit in &config.limit {
            prop_assert_eq!(limit.to_string().parse(), Ok(*limit));
        }
    }
}

/// The file that a program would write for its users to begin with.
#[test]
fn the_defaults_as_a_file() {
    #[derive(Serialize)]
    struct Settings {
        retry: RetryConfig,
        breaker: CircuitBreakerConfig,
        memo: MemoConfig,
        budget: RetryBudgetConfig,
        hedge: HedgeConfig,
    }
    let settings = Settings {
        retry: RetryConfig::default(),
        breaker: CircuitBreakerConfig::default(),
        memo: MemoConfig::default(),
        budget: RetryBudgetConfig::default(),
        hedge: HedgeConfig::default(),
    };
    assert_eq!(
        toml::to_string(&settings).unwrap(),
        r#"[retry]
backoff = "exponential"
delay = "1s"
max_hint = "1h"
jitter = "none"
max_attempts = 3
keeps_place = false
log_level = "debug"
give_up_log_level = "warn"
give_up_log_interval = "0s"

[breaker]
open_for = "30s"
probes = 1
observing = false

[breaker.window]
failures = 5

[memo]
jitter = 0.0
capacity = 10000
eviction = "lru"
stale_while_revalidate = "0s"
stale_on_error = "0s"

[budget]
ratio = 0.1
capacity = 10

[hedge]
percentile = 0.95
max_calls = 2
"#
    );
}

#[test]
fn an_empty_table_has_the_defaults() {
    assert_eq!(toml::from_str(""), Ok(RetryConfig::default()));
    assert_eq!(toml::from_str(""), Ok(CircuitBreakerConfig::default()));
    assert_eq!(toml::from_str(""), Ok(MemoConfig::default()));
    assert_eq!(toml::from_str(""), Ok(RetryBudgetConfig::default()));
    assert_eq!(toml::from_str(""), Ok(HedgeConfig::default()));
    assert_eq!(toml::from_str(""), Ok(ChaosConfig::default()));
}

#[test]
fn limits_are_a_text_or_a_list_of_texts() {
    let limits = |text: &str| toml::from_str::<RateLimiterConfig>(text).unwrap().limit;
    let minute = RateLimit { permits: 60, period: super::secs(60) };
    assert_eq!(limits(r#"limit = "60 per 1m""#), [minute]);
    assert_eq!(limits(r#"limit = ["60 per 60s"]"#), [minute]);
    let second = RateLimit { permits: 10, period: super::ms(1_500) };
    assert_eq!(
        limits(r#"limit = ["60 per minute", "10 per 1.5s"]"#.replace("minute", "1 minute").as_str()),
        [minute, second]
    );
    let shown = RateLimiter::windows([(60, minute.period), (10, second.period)]).to_string();
    assert_eq!(limits(&format!("limit = \"{shown}\"")), [minute, second]);
    let config = RateLimiterConfig { limit: vec![minute], ..RateLimiterConfig::default() };
    assert_eq!(toml::to_string(&config).unwrap(), "limit = \"60 per 60s\"\npaced = false\nlongest_pause = \"1h\"\n");
}

#[test]
fn null_is_a_setting_without_a_value() {
    let config: RetryConfig = serde_json::from_str(r#"{"max_delay": null, "seed": null, "deadline": "5s"}"#).unwrap();
    assert_eq!(config, RetryConfig { deadline: Some(super::secs(5)), ..RetryConfig::default() });
}
