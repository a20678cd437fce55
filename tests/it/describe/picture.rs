//! The pictures, to the letter.

use crate::support::{ms, secs};
use decor::{Error, prelude::*};
use std::time::Duration;

async fn fetch(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[test]
fn a_whole_chain_as_text() {
    let limiter = RateLimiter::new(10, secs(1));
    let users: Memo<u64, u64> = Memo::ttl(secs(300));
    let chain = fetch
        .timeout(secs(2))
        .labelled("attempt")
        .pausing(&limiter, |_: &Error| None)
        .rate_limited_within(&limiter, secs(3))
        .retry_with(RetryPolicy::default())
        .when(|_: &Error| true)
        .memoized(&users)
        .timeout(secs(20))
        .logged();
    assert_eq!(
        chain.describe().to_string(),
        r#".logged()                                                                        at most 20s
└─ .timeout(20s)                                                                 at most 20s
   └─ .memoized(ttl 300s)                                                        no bound
      └─ .retry_with(exponential from 1s by 2, no jitter, 3 attempts).when(..)   at most 18s
         └─ .rate_limited_within(10 per 1s, 3s)                                  at most 5s
            └─ .pausing(10 per 1s, ..)                                           at most 2s
               └─ .timeout(2s).labelled("attempt")                               at most 2s
                  └─ fetch"#
    );
}

#[test]
fn the_longest_call() {
    let longest = |chain: &dyn Fn() -> decor::describe::Chain| chain().longest_call();
    let limiter = RateLimiter::new(10, secs(1));
    let (attempt, policy) = (fetch.timeout(secs(2)), RetryPolicy::fixed(ms(500)).max_attempts(4));
    let bounded = attempt.clone().retry_with(&policy);
    let (breaker, places) = (CircuitBreaker::consecutive(5), ConcurrencyLimiter::new(8));
    assert_eq!(longest(&|| fetch.describe()), None);
    assert_eq!(longest(&|| fetch.retry_with(&policy).describe()), None);
    assert_eq!(longest(&|| bounded.describe()), Some(ms(9_500)));
    assert_eq!(longest(&|| bounded.clone().timeout(secs(9)).describe()), Some(secs(9)));
    assert_eq!(longest(&|| bounded.clone().timeout(secs(10)).describe()), Some(ms(9_500)));
    assert_eq!(longest(&|| bounded.clone().timeout(Duration::MAX).describe()), Some(ms(9_500)));
    assert_eq!(longest(&|| bounded.clone().transient().describe()), None);
    assert_eq!(longest(&|| bounded.clone().rate_limited(&limiter).describe()), None);
    assert_eq!(longest(&|| bounded.clone().rate_limited_within(&limiter, secs(1)).describe()), Some(ms(10_500)));
    assert_eq!(longest(&|| bounded.clone().gated(crate::every::Open).describe()), None);
    assert_eq!(longest(&|| attempt.clone().guarded_by(&breaker).unless_open(&breaker).describe()), Some(secs(2)));
    assert_eq!(longest(&|| attempt.clone().concurrency_limited(&places).describe()), None);
    assert_eq!(longest(&|| attempt.clone().concurrency_limited_within(&places, secs(3)).describe()), Some(secs(5)));
    let forever = attempt.clone().concurrency_limited_within(&places, Duration::MAX);
    assert_eq!(longest(&|| forever.describe()), Some(Duration::MAX));
    assert_eq!(longest(&|| attempt.clone().backing_off(&places, |_: &Error| true).describe()), Some(secs(2)));
    assert_eq!(longest(&|| attempt.clone().hedged(secs(1)).describe()), Some(secs(3)));
    let thrice = attempt.clone().hedged(Hedge::after(secs(1)).max_calls(3));
    assert_eq!(longest(&|| thrice.describe()), Some(secs(4)));
    let percentile = Hedge::percentile(0.9);
    assert_eq!(longest(&|| attempt.clone().hedged(&percentile).describe()), Some(secs(2 * 2)));
    assert_eq!(longest(&|| attempt.clone().hedged(percentile.clone().max_calls(3)).describe()), Some(secs(3 * 2)));
    assert_eq!(longest(&|| fetch.hedged(percentile.clone()).describe()), None);
    // A further call would start after the first has ended.
    assert_eq!(longest(&|| attempt.clone().hedged(secs(2)).describe()), Some(secs(2)));
    assert_eq!(longest(&|| attempt.clone().hedged(ms(1_999)).describe()), Some(ms(3_999)));
    let measured = attempt.clone().hedged(Hedge::percentile(0.9).max_calls(1));
    assert_eq!(longest(&|| measured.describe()), Some(secs(2)));
    assert_eq!(longest(&|| attempt.clone().fallback_to(fetch).describe()), None, "the answer may take its time");
    let endless = RetryPolicy::fixed(secs(1)).max_attempts(u32::MAX);
    assert_eq!(longest(&|| attempt.clone().retry_with(endless.clone().deadline(secs(7))).describe()), Some(secs(9)));
    assert_eq!(longest(&|| attempt.clone().retry_with(&endless).describe()), Some(secs(3 * u64::from(u32::MAX) - 1)));
    let custom = RetryPolicy::custom(|_| secs(1));
    assert_eq!(longest(&|| attempt.clone().retry_with(&custom).describe()), None);
    assert_eq!(longest(&|| attempt.clone().retry_with(custom.clone().deadline(secs(7))).describe()), Some(secs(9)));
    let hinted = attempt.clone().retry_with(&policy).transient().describe().to_string();
    assert!(
        hinted.starts_with(".retry_with(fixed 500ms, no jitter, 4 attempts).transient()   at most 9.5s, hints aside\n"),
        "{hinted}"
    );
}

#[test]
fn a_chain_as_svg() {
    let gated = fetch.gated_by(|_: &u64| crate::every::Open).shown_as(".a(<b> & \"c\"\n'\u{1}')");
    let chain = gated.timeout(secs(2)).logged().describe();
    assert_eq!(chain.to_svg(), include_str!("chain.svg"));
}
