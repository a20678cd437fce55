//! Settings: refusals, texts, and configs.

use crate::support::secs;
use decor::{
    Backoff, CircuitBreaker, CircuitBreakerConfig, CircuitWindow, ConfigError, KeyedBreaker, RetryConfig, RetryPolicy,
    prelude::*,
};
use std::{future::ready, time::Duration};

#[test]
fn wrong_settings_are_refused_with_their_values() {
    let builder = CircuitBreaker::builder;
    let rate = || builder().rate(0.5, secs(10));
    let refused = [
        (builder().consecutive(0), "`failures` is 0, but must be at least 1"),
        (builder().consecutive(1_048_577), "`calls` is 1048577, but must be at most 1048576"),
        (builder().among(0, 5), "`failures` is 0, but must be at least 1"),
        (builder().among(6, 5), "`calls` is 5, but must be at least the number of failures"),
        (builder().among(5, 1_048_577), "`calls` is 1048577, but must be at most 1048576"),
        (builder().rate(0.0, secs(1)), "`rate` is 0, but must be above 0 and at most 1"),
        (builder().rate(1.1, secs(1)), "`rate` is 1.1, but must be above 0 and at most 1"),
        (builder().rate(f64::NAN, secs(1)), "`rate` is NaN, but must be above 0 and at most 1"),
        (builder().rate(0.5, Duration::from_nanos(9)), "`period` is 9ns, but must be at least 10ns"),
        (rate().minimum_calls(0), "`minimum_calls` is 0, but must be at least 1"),
        (builder().minimum_calls(20), "`minimum_calls` is 20, but must be left out unless the breaker has a rate"),
        (builder().open_for(Duration::ZERO), "`open_for` is 0ns, but must be longer than zero"),
        (builder().slow_after(Duration::ZERO), "`slow_after` is 0ns, but must be longer than zero"),
        (builder().probes(0), "`probes` is 0, but must be at least 1"),
    ];
    for (settings, message) in refused {
        assert_eq!(settings.clone().try_build().unwrap_err().to_string(), message);
        assert_eq!(settings.keyed().try_build::<u64>().unwrap_err().to_string(), message);
    }
    assert!(CircuitBreaker::try_among(1_048_576, 1_048_576).is_ok());
    assert!(builder().rate(1.0, Duration::MAX).try_build().is_ok());
}

#[test]
#[should_panic(expected = "`calls` is 5, but must be at least the number of failures")]
fn constructors_for_literals_panic_with_the_text() {
    drop(CircuitBreaker::among(6, 5));
}

#[test]
fn a_breaker_shows_its_settings() {
    let all = CircuitBreaker::builder()
        .rate(0.5, secs(30))
        .minimum_calls(50)
        .open_by(RetryPolicy::exponential(secs(1)))
        .probes(3)
        .slow_after(secs(2))
        .observing()
        .named("users")
        .on_change(|_| ());
    assert_eq!(
        all.build().to_string(),
        "users: 50% failures in 30s of at least 50 calls, open by (exponential from 1s by 2, no jitter, any number of \
         attempts), 3 probes, slow after 2s, observing"
    );
    assert_eq!(
        format!("{:?}", CircuitBreaker::among(10, 20)),
        "CircuitBreaker(10 failures among 20 calls, open for 30s)"
    );
    assert_eq!(
        format!("{:?}", KeyedBreaker::<u64>::consecutive(1)),
        "KeyedBreaker(1 failure, open for 30s, for each key)"
    );
    let passage = CircuitBreaker::consecutive(5).enter().unwrap();
    assert_eq!(format!("{passage:?}"), "Passage { breaker: CircuitBreaker(5 failures in a row, open for 30s), .. }");
    let fetch = (|_: u64| ready(Ok::<u64, decor::Error>(7))).named("fetch");
    let breaker = CircuitBreaker::consecutive(5);
    let chain = fetch.clone().guarded_by(&breaker).ignoring(|_| true).when(|_| true).unless_open(&breaker);
    assert!(format!("{chain:?}").ends_with(
        ".named(\"fetch\").guarded_by(5 failures in a row, open for 30s).when(..).ignoring(..)\
         .unless_open(5 failures in a row, open for 30s)"
    ));
    let chain = fetch.guarded_by_key(&KeyedBreaker::consecutive(5), |id: &u64| *id).transient();
    assert!(
        format!("{chain:?}")
            .ends_with(".guarded_by_key(5 failures in a row, open for 30s, for each key, ..).transient()")
    );
}

#[test]
fn a_config_makes_the_same_breaker_as_the_builder() -> Result<(), ConfigError> {
    let config = CircuitBreakerConfig::default();
    assert_eq!(CircuitBreaker::try_from(config.clone())?.to_string(), CircuitBreaker::builder().build().to_string());
    let open_by = RetryConfig { backoff: Backoff::Linear, ..RetryConfig::default() };
    let config = CircuitBreakerConfig {
        window: CircuitWindow::Rate { rate: 0.25, period: secs(60) },
        minimum_calls: Some(40),
        open_for: secs(7),
        open_by: Some(open_by),
        probes: 2,
        slow_after: Some(secs(3)),
        observing: true,
        name: Some("users".into()),
        max_keys: None,
    };
    let built = CircuitBreaker::builder()
        .rate(0.25, secs(60))
        .minimum_calls(40)
        .open_for(secs(7))
        .open_by(RetryPolicy::linear(secs(1)))
        .probes(2)
        .slow_after(secs(3))
        .observing()
        .named("users");
    assert_eq!(CircuitBreaker::try_from(config.clone())?.to_string(), built.build().to_string());
    assert!(KeyedBreaker::<u64>::try_from(config.clone()).is_ok());

    let wrong = RetryConfig { delay: Duration::ZERO, ..RetryConfig::default() };
    let refused = CircuitBreaker::try_from(CircuitBreakerConfig { open_by: Some(wrong), ..config.clone() });
    assert_eq!(refused.unwrap_err().setting(), "delay");
    let refused = CircuitBreaker::try_from(CircuitBreakerConfig { probes: 0, ..config });
    assert_eq!(refused.unwrap_err().setting(), "probes");
    Ok(())
}
