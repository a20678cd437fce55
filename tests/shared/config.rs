//! Settings that a shared limiter refuses.

use crate::support::{SECOND, ms, window};
use decor::{KeyedLimiter, OnFailure, RateLimiter, RateLimiterBuilder, test_util::FakeStore};

fn shared(limit: RateLimiterBuilder) -> RateLimiterBuilder {
    limit.shared(FakeStore::new().quota("github"), OnFailure::Closed)
}

fn error(builder: RateLimiterBuilder) -> String {
    builder.try_build().unwrap_err().to_string()
}

#[test]
fn the_slack_is_above_zero_and_at_most_half_of_each_period() {
    let allowed = "must be longer than zero, and at most half of each period";
    let limit = || shared(window(10, SECOND).window(100, 60 * SECOND));
    assert_eq!(error(limit().slack(ms(0))), format!("`slack` is 0ns, but {allowed}"));
    assert_eq!(error(limit().slack(ms(501))), format!("`slack` is 501ms, but {allowed}"));
    assert!(limit().slack(ms(500)).try_build().is_ok());
    assert!(shared(window(10, ms(10))).try_build().is_ok(), "the default fits any period");
}

#[test]
fn a_lease_is_for_one_window_or_a_pace_and_at_most_the_limit() {
    assert_eq!(error(shared(window(10, SECOND)).lease(11)), "`lease` is 11, but must be at most the limit");
    let two = shared(window(10, SECOND).window(100, 60 * SECOND));
    assert_eq!(
        error(two.clone().lease(1)),
        "`lease` is 1, but must be 0 unless the limiter has one window or is paced"
    );
    assert!(two.lease(0).try_build().is_ok());
    assert!(shared(window(10, SECOND)).lease(10).try_build().is_ok());
    assert!(shared(RateLimiter::builder().paced(10, SECOND)).lease(10).try_build().is_ok());
}

#[test]
fn a_local_limiter_has_neither_a_slack_nor_a_lease() {
    let message = |setting| format!("`{setting}` is set, but must be left out unless the limiter is shared");
    assert_eq!(error(window(10, SECOND).slack(ms(20))), message("slack"));
    assert_eq!(error(window(10, SECOND).lease(1)), message("lease"));
}

#[test]
fn a_part_of_the_limit_needs_a_number_of_instances() {
    let none = OnFailure::Local { instances: 0 };
    let limit = window(10, SECOND).shared(FakeStore::new().quota("github"), none);
    assert_eq!(error(limit), "`instances` is 0, but must be at least 1");
}

#[test]
fn keys_need_names_in_the_store() {
    let error = shared(window(10, SECOND)).keyed().try_build::<u64>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`shared` is github, but must be set by `KeyedLimiter::shared`, which names the keys"
    );
    let error = KeyedLimiter::try_shared(window(10, SECOND), |key: &u64| key.to_string()).unwrap_err();
    assert_eq!(error.setting(), "shared");
}

#[test]
fn the_text_names_the_limit_in_the_store() {
    let limiter = shared(RateLimiter::builder().paced(10, SECOND).burst(3)).build();
    assert_eq!(format!("{limiter:?}"), "RateLimiter(10 per 1s, paced, burst 3, shared as github)");
    assert!(limiter.is_paced());
    assert_eq!((limiter.burst(), limiter.available()), (Some(3), 3));
    limiter.set_burst(5);
    assert_eq!(limiter.available(), 5);
}
