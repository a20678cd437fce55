//! Invalid settings, and extreme settings that are valid.

use crate::support::secs;
use decor::{ConfigError, RateLimiterBuilder, RateLimiterConfig, prelude::*};
use futures::future::join_all;
use std::time::Duration;
use tokio_test::{assert_pending, task};

fn refusal<T: std::fmt::Debug>(refused: Result<T, ConfigError>) -> String {
    refused.unwrap_err().to_string()
}

#[test]
fn invalid_settings_are_refused_where_they_are_written() {
    assert_eq!(refusal(RateLimiter::try_new(0, secs(1))), "`limit` is 0, but must be at least 1");
    assert_eq!(refusal(RateLimiter::try_new(1, Duration::ZERO)), "`period` is 0ns, but must be longer than zero");
    let second_of = |limit, period| refusal(RateLimiter::try_windows([(20, secs(1)), (limit, period)]));
    assert_eq!(second_of(0, secs(1)), "`limit` is 0 (window 2 of 2), but must be at least 1");
    assert_eq!(second_of(5, Duration::ZERO), "`period` is 0ns (window 2 of 2), but must be longer than zero");
    assert_eq!(refusal(RateLimiter::try_paced(0, secs(1))), "`limit` is 0, but must be at least 1");
    assert_eq!(refusal(RateLimiter::try_windows([])), "`windows` is 0, but must be 1 to 4");
    assert_eq!(refusal(RateLimiter::try_windows([(1, secs(1)); 5])), "`windows` is 5, but must be 1 to 4");
    let exact = RateLimiter::new(10, secs(1));
    let burst_of = |burst| refusal(RateLimiter::builder().paced(10, secs(1)).burst(burst).try_build());
    assert_eq!(burst_of(0), "`burst` is 0, but must be 1 to the limit");
    assert_eq!(burst_of(11), "`burst` is 11, but must be 1 to the limit");
    assert_eq!(
        refusal(RateLimiter::builder().window(9, secs(1)).burst(2).try_build()),
        "`burst` is 2, but must be left out unless the limiter is paced"
    );
    assert_eq!(
        refusal(RateLimiter::builder().paced(1, secs(1)).window(1, secs(1)).try_build()),
        "`windows` is 2, but must be 1 for a paced limiter"
    );
    assert_eq!(
        refusal(exact.try_set_limits([(1, secs(1)), (2, secs(1))])),
        "`limits` is 2, but must be as many as there are windows: a new window would not know of earlier calls"
    );
    let paced = RateLimiter::paced(10, secs(1));
    assert!(refusal(paced.try_set_limits([(1, secs(1)), (2, secs(1))])).starts_with("`limits` is 2, but"));
    assert!(refusal(paced.try_set_limits([])).starts_with("`limits` is 0, but must be as many"));
    assert_eq!(refusal(paced.try_set_burst(0)), "`burst` is 0, but must be at least 1");
    assert_eq!(
        refusal(exact.try_set_burst(2)),
        "`burst` is 2, but must be left out: an exact limiter cannot become a paced one, because its windows have \
         no schedule"
    );
    let no_pause = "`longest_pause` is 0ns, but must be longer than zero";
    assert_eq!(refusal(exact.try_set_longest_pause(Duration::ZERO)), no_pause);
    let builder = RateLimiter::builder().window(1, secs(1)).longest_pause(Duration::ZERO);
    assert_eq!(refusal(builder.clone().try_build()), no_pause);
    assert_eq!(refusal(builder.keyed().try_build::<u8>()), no_pause);
    assert_eq!(refusal(exact.try_set_limits([(0, secs(1))])), "`limit` is 0, but must be at least 1");
}

#[test]
#[should_panic(expected = "`limit` is 0, but must be at least 1")]
fn a_literal_limit_of_zero_panics() {
    let _ = RateLimiter::new(0, secs(1));
}

#[test]
#[should_panic(expected = "`period` is 0ns, but must be longer than zero")]
fn a_literal_period_of_zero_panics_when_it_is_set_later() {
    RateLimiter::new(1, secs(1)).set_limit(1, Duration::ZERO);
}

#[test]
#[should_panic(expected = "`burst` is 0, but must be at least 1")]
fn a_literal_burst_of_zero_panics_when_it_is_set_later() {
    RateLimiter::paced(1, secs(1)).set_burst(0);
}

#[test]
#[should_panic(expected = "`longest_pause` is 0ns, but must be longer than zero")]
fn a_literal_longest_pause_of_zero_panics() {
    RateLimiter::new(1, secs(1)).set_longest_pause(Duration::ZERO);
}

#[test]
#[should_panic(expected = "invalid argument: permits for 1 windows, but the limiter has 2")]
fn a_charge_that_leaves_a_window_out_panics() {
    RateLimiter::windows([(5, secs(1)), (9, secs(1))]).charge([1]);
}

#[tokio::test(start_paused = true)]
async fn extreme_settings_saturate() {
    for limiter in [RateLimiter::new(u32::MAX, Duration::MAX), RateLimiter::paced(u32::MAX, Duration::MAX)] {
        limiter.acquire().await;
        limiter.charge(u32::MAX);
        limiter.charge(u32::MAX);
        limiter.pause_for(Duration::MAX);
        assert_eq!(limiter.available(), 0);
        assert!(limiter.try_acquire().is_err());
        let mut never = task::spawn(limiter.acquire());
        assert_pending!(never.poll());
        assert!(limiter.acquire_within(secs(60 * 60 * 24 * 365)).await.is_err());
    }
    let fastest = RateLimiter::paced(u32::MAX, Duration::from_nanos(1));
    join_all((0..100).map(|_| fastest.acquire())).await;
}

/// A builder from a config has all of its settings, and refuses what the limiter would refuse.
#[test]
fn a_builder_takes_over_all_settings_of_a_config() {
    let limit = vec![(10, secs(1)).into()];
    let config = RateLimiterConfig {
        limit,
        paced: true,
        burst: Some(3),
        max_waiting: Some(7),
        longest_pause: secs(9),
        ..RateLimiterConfig::default()
    };
    let limiter = RateLimiterBuilder::try_from(&config).unwrap().build();
    assert_eq!(limiter.to_string(), RateLimiter::try_from(&config).unwrap().to_string());
    assert_eq!((limiter.max_waiting(), limiter.longest_pause(), limiter.available()), (Some(7), secs(9), 3));
    let windows = RateLimiterConfig { limit: vec![(10, secs(1)).into(), (50, secs(60)).into()], ..Default::default() };
    assert_eq!(RateLimiterBuilder::try_from(windows).unwrap().build().available_per_window(), [10, 50]);

    let wrong = |change: fn(&mut RateLimiterConfig)| {
        let mut config = config.clone();
        change(&mut config);
        let text = RateLimiterBuilder::try_from(&config).map(|_| ()).unwrap_err().to_string();
        assert_eq!(text, RateLimiter::try_from(&config).unwrap_err().to_string());
        text
    };
    assert!(wrong(|config| config.limit.clear()).starts_with("`limit` is missing"));
    assert!(wrong(|config| config.burst = Some(11)).starts_with("`burst` is 11"));
    assert!(wrong(|config| config.longest_pause = Duration::ZERO).starts_with("`longest_pause` is 0ns"));
    assert!(wrong(|config| config.max_keys = Some(4)).starts_with("`max_keys` is 4"));
}
