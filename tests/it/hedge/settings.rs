//! Settings of a hedge, and their text.

use crate::support::{ms, secs};
use decor::{Hedge, HedgeConfig, RetryBudget, prelude::*};
use std::{future::ready, time::Duration};

#[test]
fn wrong_settings_are_refused_with_their_value() {
    let message = |result: Result<Hedge, decor::ConfigError>| result.unwrap_err().to_string();
    for wrong in [0.0, 1.0, -1.0, 95.0, f64::NAN] {
        let expected = format!("`percentile` is {wrong}, but must be above 0 and below 1");
        assert_eq!(message(Hedge::try_percentile(wrong)), expected);
        let config = HedgeConfig { percentile: wrong, ..HedgeConfig::default() };
        assert_eq!(message(config.clone().try_into()), expected);
        assert!(
            Hedge::try_from(HedgeConfig { after: Some(secs(1)), ..config }).is_ok(),
            "the percentile has no effect"
        );
    }
    let expected = "`max_calls` is 0, but must be at least 1";
    assert_eq!(message(Hedge::after(secs(1)).try_max_calls(0)), expected);
    assert_eq!(message(HedgeConfig { max_calls: 0, ..HedgeConfig::default() }.try_into()), expected);
    let wrong = HedgeConfig { after: Some(secs(1)), max_calls: 0, ..HedgeConfig::default() };
    assert_eq!(message(wrong.try_into()), expected);
}

#[test]
#[should_panic(expected = "`percentile` is 95, but must be above 0 and below 1")]
fn a_percentile_in_percent_panics() {
    let _ = Hedge::percentile(95.0);
}

#[test]
#[should_panic(expected = "`max_calls` is 0, but must be at least 1")]
fn no_calls_at_all_panics() {
    let _ = Hedge::after(secs(1)).max_calls(0);
}

#[test]
fn a_hedge_is_shown_with_its_settings() {
    let after = Hedge::after(ms(50));
    assert_eq!(after.to_string(), "after 50ms, at most 2 calls");
    assert_eq!(format!("{after:?}"), "Hedge(after 50ms, at most 2 calls)");
    assert_eq!(after.max_calls(1).to_string(), "after 50ms, at most 1 call");
    let budget = RetryBudget::new(0.1);
    let budgeted = Hedge::percentile(0.999).max_calls(3).budget(&budget);
    let text = "after percentile 0.999, at most 3 calls, budget 0.1 per success, capacity 10";
    assert_eq!(budgeted.to_string(), text);
    assert_eq!(budgeted.max_calls(3).to_string(), text, "a change keeps the budget");
    let chain = (|n: u64| ready(Ok::<_, String>(n))).named("f").hedged(ms(50)).retry_with(RetryPolicy::default());
    assert!(
        format!("{chain:?}").starts_with("f.named(\"f\").hedged(after 50ms, at most 2 calls).retry_with(")
            || format!("{chain:?}").contains(".hedged(after 50ms, at most 2 calls).retry_with(")
    );
}

#[test]
fn the_default_config_is_the_95th_percentile() {
    let hedge = Hedge::try_from(HedgeConfig::default()).unwrap();
    assert_eq!(hedge.to_string(), Hedge::percentile(0.95).to_string());
    assert_eq!(Hedge::from(Duration::from_millis(50)).to_string(), Hedge::after(ms(50)).to_string());
}

/// A changed hedge is another handle. A clone is the same one.
#[tokio::test(start_paused = true)]
async fn a_change_makes_another_handle() {
    let hedge = Hedge::after(secs(1));
    let changed = hedge.clone().max_calls(3);
    let function = |n: u64| ready(Ok::<_, String>(n));
    function.hedged(&hedge).call(7).await.unwrap();
    function.hedged(hedge.clone()).call(7).await.unwrap();
    assert_eq!((hedge.stats().calls, changed.stats().calls), (2, 0));
    assert_eq!((hedge.stats().delay, hedge.stats().samples), (Some(secs(1)), 0));
}
