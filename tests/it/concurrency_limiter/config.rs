//! Settings, their texts, and the refusal of wrong ones.

use decor::{ConcurrencyConfig, ConfigError, KeyedConcurrencyLimiter, prelude::*};

fn refusal(config: ConcurrencyConfig) -> String {
    ConcurrencyLimiter::try_from(config).unwrap_err().to_string()
}

fn fixed() -> ConcurrencyConfig {
    ConcurrencyConfig { limit: Some(8), ..ConcurrencyConfig::default() }
}

fn adaptive() -> ConcurrencyConfig {
    ConcurrencyConfig { range: Some(4..=100), ..ConcurrencyConfig::default() }
}

#[test]
fn wrong_settings_are_refused() {
    let none = ConcurrencyConfig::default();
    assert_eq!(refusal(none), "`limit` is missing, but must be set unless the limiter is adaptive");
    let zero = ConcurrencyConfig { limit: Some(0), ..fixed() };
    assert_eq!(refusal(zero), "`limit` is 0, but must be at least 1");
    let both = ConcurrencyConfig { limit: Some(8), ..adaptive() };
    assert_eq!(refusal(both), "`limit` is 8, but must be left out if the limiter is adaptive");
    let start = ConcurrencyConfig { start_at: Some(8), ..fixed() };
    assert_eq!(refusal(start), "`start_at` is 8, but must be left out unless the limiter is adaptive");
    let shrink = ConcurrencyConfig { shrink_by: Some(0.5), ..fixed() };
    assert_eq!(refusal(shrink), "`shrink_by` is 0.5, but must be left out unless the limiter is adaptive");
    for start in [3, 101] {
        let start_at = ConcurrencyConfig { start_at: Some(start), ..adaptive() };
        assert_eq!(refusal(start_at), format!("`start_at` is {start}, but must be within the range"));
    }
    for range in [0..=8, 0..=0] {
        let text = format!("`range` is 0..={}, but must be ascending from at least 1", range.end());
        assert_eq!(refusal(ConcurrencyConfig { range: Some(range), ..adaptive() }), text);
    }
    #[allow(clippy::reversed_empty_ranges)] // the mistake
    let empty = ConcurrencyConfig { range: Some(8..=4), ..adaptive() };
    assert_eq!(refusal(empty), "`range` is 8..=4, but must be ascending from at least 1");
    for factor in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
        let shrink = ConcurrencyConfig { shrink_by: Some(factor), ..adaptive() };
        assert_eq!(
            refusal(shrink),
            format!("`shrink_by` is {factor}, but must be at least 0.000001 and at most 0.999999"),
        );
    }
}

#[test]
#[should_panic(expected = "`limit` is 0, but must be at least 1")]
fn new_panics_with_the_text_of_the_error() {
    let _ = ConcurrencyLimiter::new(0);
}

#[test]
#[should_panic(expected = "`range` is 0..=3, but must be ascending from at least 1")]
fn adaptive_panics_with_the_text_of_the_error() {
    let _ = ConcurrencyLimiter::adaptive(0..=3);
}

#[test]
#[should_panic(expected = "`limit` is 0, but must be at least 1")]
fn set_limit_panics_with_the_text_of_the_error() {
    ConcurrencyLimiter::new(1).set_limit(0);
}

#[test]
fn the_twins_return_the_error() {
    let settings = |refused: Result<(), ConfigError>| refused.unwrap_err().setting();
    assert_eq!(settings(ConcurrencyLimiter::try_new(0).map(drop)), "limit");
    assert_eq!(settings(ConcurrencyLimiter::try_adaptive(0..=1).map(drop)), "range");
    assert_eq!(settings(ConcurrencyLimiter::builder().try_build().map(drop)), "limit");
    assert_eq!(settings(ConcurrencyLimiter::new(1).try_set_limit(0)), "limit");
    assert_eq!(settings(KeyedConcurrencyLimiter::<u8>::try_new(0).map(drop)), "limit");
    assert_eq!(settings(KeyedConcurrencyLimiter::<u8>::try_adaptive(0..=1).map(drop)), "range");
    let keyed = ConcurrencyLimiter::builder().limit(1).keyed().max_keys(0);
    assert_eq!(settings(keyed.try_build::<u8>().map(drop)), "max_keys");
    assert_eq!(settings(KeyedConcurrencyLimiter::<u8>::new(1).try_set_max_keys(0)), "max_keys");
}

#[test]
fn a_limiter_shows_its_name_and_its_limit() {
    let texts = |config| {
        let limiter = ConcurrencyLimiter::try_from(config).unwrap();
        (limiter.to_string(), format!("{limiter:?}"))
    };
    assert_eq!(texts(fixed()), ("8 at once".into(), "ConcurrencyLimiter(8 at once)".into()));
    let named = ConcurrencyConfig { name: Some("users".into()), start_at: Some(50), ..adaptive() };
    let text = "users, 50 at once, adaptive from 4 to 100";
    assert_eq!(texts(named), (text.into(), format!("ConcurrencyLimiter({text})")));
    let keyed: KeyedConcurrencyLimiter<u64> = ConcurrencyLimiter::builder().limit(8).named("users").keyed().build();
    assert_eq!(format!("{keyed:?}"), "KeyedConcurrencyLimiter(users, 8 at once for each key)");
}

#[test]
fn the_settings_of_a_limiter_can_be_read() {
    let limiter = ConcurrencyLimiter::builder().adaptive(4..=100).start_at(30).max_waiting(5).build();
    assert_eq!((limiter.range(), limiter.limit(), limiter.max_waiting()), (Some(4..=100), 30, Some(5)));
    let limiter = ConcurrencyLimiter::new(u32::MAX);
    assert_eq!((limiter.range(), limiter.limit(), limiter.max_waiting()), (None, u32::MAX, None));
    let all = limiter.try_acquire_many(u32::MAX).unwrap();
    assert_eq!((limiter.in_use(), limiter.available()), (u32::MAX, 0));
    drop(all);
    assert_eq!(limiter.available(), u32::MAX);
}
