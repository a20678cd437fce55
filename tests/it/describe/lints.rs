//! Each lint has a chain that raises exactly it. Chains around it with one change raise none.

use crate::support::{ms, secs};
use decor::{Error, KeyedConcurrencyLimiter, describe::Chain, prelude::*};
use std::{fs, future::ready, time::Duration};

async fn fetch(id: u64) -> Result<u64, Error> {
    Ok(id)
}

fn policy() -> RetryPolicy {
    RetryPolicy::default() // 3 attempts, 3 s of delays
}

fn limiter() -> RateLimiter {
    RateLimiter::new(10, secs(1))
}

fn keyed() -> KeyedLimiter<u64> {
    KeyedLimiter::new(10, secs(1))
}

fn users() -> Memo<u64, u64> {
    Memo::ttl(secs(300))
}

fn places() -> ConcurrencyLimiter {
    ConcurrencyLimiter::new(8)
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::consecutive(5)
}

/// A hedge that a budget pays for.
fn hedge() -> Hedge {
    Hedge::after(ms(50)).budget(&RetryBudget::new(0.1))
}

/// The chain raises this lint, and no other.
#[track_caller]
fn raises(code: &str, message: &str, steps: &[usize], chain: &Chain) {
    let lints = chain.lints();
    let [lint] = &lints[..] else { panic!("{chain:?}: {lints:?}") };
    assert_eq!((lint.code, &*lint.message, &*lint.steps), (code, message, steps), "{chain:?}");
    let table = fs::read_to_string("src/describe/mod.rs").unwrap();
    assert!(table.contains(&format!("//! | `{code}` |")), "the table of lints lacks {code}");
}

#[track_caller]
fn raises_none(chain: &Chain) {
    assert_eq!(chain.lints(), [], "{chain:?}");
}

#[test]
fn a_timeout_that_never_fires() {
    let code = "timeout-never-fires";
    let message = ".timeout(20s) never fires, because .timeout(10s) around it fires first";
    raises(code, message, &[0, 1], &fetch.timeout(secs(20)).timeout(secs(10)).describe());
    raises(code, message, &[0, 2], &fetch.timeout(secs(20)).retry_with(policy()).timeout(secs(10)).describe());
    let twice = ".timeout(9s) and .timeout(9s).labelled(\"total\") around it fire at the same time, so one of them \
                 is of no use";
    let chain = fetch.timeout(secs(9)).retry_with(policy().max_attempts(1)).timeout(secs(9)).labelled("total");
    raises(code, twice, &[0, 2], &chain.describe());
    let load = fetch.timeout(secs(20)).memoized(&users());
    raises(code, message, &[0, 2], &load.clone().timeout(secs(10)).describe());

    raises_none(&fetch.timeout(secs(9)).timeout(secs(10)).describe());
    raises_none(&load.detached().timeout(secs(10)).describe());
    // No limit at all.
    raises_none(&fetch.timeout(Duration::MAX).timeout(secs(10)).describe());
    raises_none(&fetch.timeout(secs(10)).timeout(Duration::MAX).describe());
}

#[test]
fn retries_that_do_not_fit() {
    let code = "retries-do-not-fit";
    let chain = |total| fetch.timeout(secs(2)).retry_with(policy()).logged().timeout(secs(total)).describe();
    let message = ".retry_with(exponential from 1s by 2, no jitter, 3 attempts) may take 9s, and .timeout(8s) around \
                   it ends the call earlier";
    raises(code, message, &[1, 3], &chain(8));
    raises_none(&chain(9));

    let hedged = |total| fetch.timeout(secs(2)).hedged(hedge()).retry_with(policy()).timeout(total).describe();
    let message = ".retry_with(exponential from 1s by 2, no jitter, 3 attempts) may take 9.15s, and .timeout(9.1s) \
                   around it ends the call earlier";
    raises(code, message, &[2, 3], &hedged(ms(9_100)));
    raises_none(&hedged(ms(9_150)));

    let delays_alone = fetch.retry_with(policy()).timeout(secs(2)).describe();
    let message = ".retry_with(exponential from 1s by 2, no jitter, 3 attempts) may take 3s, and .timeout(2s) around \
                   it ends the call earlier";
    raises(code, message, &[0, 1], &delays_alone);

    let deadline = |total| {
        let policy = RetryPolicy::fixed(secs(1)).max_attempts(u32::MAX).deadline(secs(10));
        fetch.timeout(secs(2)).retry_with(policy).timeout(secs(total)).describe()
    };
    let message = ".retry_with(fixed 1s, no jitter, any number of attempts, within 10s) may take 12s, and \
                   .timeout(11s) around it ends the call earlier";
    raises(code, message, &[1, 2], &deadline(11));
    raises_none(&deadline(12));
    let until_the_end = RetryPolicy::fixed(secs(1)).max_attempts(u32::MAX);
    raises_none(&fetch.timeout(secs(2)).retry_with(until_the_end).timeout(secs(11)).describe());
    let custom = RetryPolicy::custom(|_| panic!("a description calls nothing")).max_attempts(4);
    raises_none(&fetch.timeout(secs(2)).retry_with(&custom).timeout(secs(8)).describe());
    let chain = fetch.timeout(secs(2)).retry_with(&custom).timeout(secs(7)).describe();
    assert_eq!(
        chain.lints()[0].message,
        ".retry_with(custom, no jitter, 4 attempts) may take 8s, and .timeout(7s) around it ends the call earlier"
    );

    let load = fetch.timeout(secs(2)).retry_with(policy()).memoized(&users());
    let message = ".retry_with(exponential from 1s by 2, no jitter, 3 attempts) may take 9s, and .timeout(5s) around \
                   it ends the call earlier";
    raises(code, message, &[1, 3], &load.clone().timeout(secs(5)).describe());
    raises_none(&load.detached().timeout(secs(5)).describe());
}

#[test]
fn a_retry_around_refusals() {
    let code = "retry-around-refusals";
    let message = ".retry_with(fixed 1s, no jitter, 3 attempts) calls again what .try_rate_limited(10 per 1s) has \
                   refused";
    let (limiter, policy) = (limiter(), RetryPolicy::fixed(secs(1)));
    let trying = fetch.try_rate_limited(&limiter);
    raises(code, message, &[0, 1], &trying.clone().retry_with(&policy).describe());
    let message = message.replacen(" calls", ".transient() calls", 1);
    raises(code, &message, &[0, 1], &trying.clone().retry_with(&policy).transient().describe());
    let message = message
        .replace(".transient()", "")
        .replace(".try_rate_limited(10 per 1s)", ".rate_limited_within(10 per 1s, 2s)");
    raises(code, &message, &[0, 1], &fetch.rate_limited_within(&limiter, secs(2)).retry_with(&policy).describe());

    raises_none(&trying.clone().retry_with(&policy).when(|_: &Error| true).describe());
    raises_none(&trying.retry_with(&policy).when_result(|_: &Result<u64, Error>| true).describe());
    raises_none(&fetch.rate_limited(&limiter).retry_with(&policy).describe());
    raises_none(&fetch.rate_limited_by(&limiter, |_: &u64| 2).retry_with(&policy).describe());
}

/// The refusal of a breaker is not transient, and has a hint.
#[test]
fn a_retry_around_the_refusals_of_a_breaker() {
    let code = "retry-around-refusals";
    let policy = RetryPolicy::fixed(secs(1));
    let guarded = fetch.timeout(secs(1)).guarded_by(&breaker());
    let message = ".retry_with(fixed 1s, no jitter, 3 attempts) calls again what \
                   .guarded_by(5 failures in a row, open for 30s) has refused";
    raises(code, message, &[1, 2], &guarded.clone().retry_with(&policy).describe());
    raises_none(&guarded.clone().retry_with(&policy).transient().describe());
    raises_none(&guarded.clone().retry_with(&policy).when(|_: &Error| true).describe());
    raises_none(&guarded.retry_with(&policy).retry_after(Transient::retry_after).describe());

    let message = message.replace("guarded_by", "unless_open");
    let passed = fetch.unless_open(&breaker());
    raises(code, &message, &[0, 1], &passed.clone().retry_with(&policy).describe());
    raises_none(&passed.clone().retry_with(&policy).transient().describe());
    raises_none(&passed.retry_with(&policy).retry_after(Transient::retry_after).describe());

    let by_key = fetch.timeout(secs(1)).guarded_by_key(&KeyedBreaker::consecutive(5), |id: &u64| *id);
    let message = ".retry_with(fixed 1s, no jitter, 3 attempts) calls again what \
                   .guarded_by_key(5 failures in a row, open for 30s, for each key, ..) has refused";
    raises(code, message, &[1, 2], &by_key.retry_with(&policy).describe());
}

/// The refusal of a concurrency limiter is transient, and has no hint.
#[test]
fn a_retry_around_the_refusals_of_a_concurrency_limiter() {
    let code = "retry-around-refusals";
    let policy = RetryPolicy::fixed(secs(1));
    let trying = fetch.try_concurrency_limited(&places());
    let message = ".retry_with(fixed 1s, no jitter, 3 attempts) calls again what .try_concurrency_limited(8 at once) \
                   has refused";
    raises(code, message, &[0, 1], &trying.clone().retry_with(&policy).describe());
    raises(
        code,
        &message.replacen(" calls", ".transient() calls", 1),
        &[0, 1],
        &trying.clone().retry_with(&policy).transient().describe(),
    );
    raises_none(&trying.retry_with(&policy).when(|_: &Error| true).describe());
    let within = fetch.concurrency_limited_within(&places(), secs(2)).retry_with(&policy);
    let message = message.replace(".try_concurrency_limited(8 at once)", ".concurrency_limited_within(8 at once, 2s)");
    raises(code, &message, &[0, 1], &within.describe());

    raises_none(&fetch.concurrency_limited(&places()).retry_with(&policy).describe());
    raises_none(&fetch.concurrency_limited_by(&places(), |_: &u64| 2).retry_with(&policy).describe());
}

#[test]
fn a_retry_around_a_retry() {
    let message = ".retry_with(fixed 2s, no jitter, 3 attempts) repeats .retry_with(fixed 1s, no jitter, 3 attempts), \
                   so that their attempts multiply";
    let chain = fetch.retry_with(RetryPolicy::fixed(secs(1))).logged().retry_with(RetryPolicy::fixed(secs(2)));
    raises("retry-around-retry", message, &[0, 2], &chain.describe());
    let lints = chain.retry_with(policy()).describe().lints();
    let steps = lints.iter().map(|lint| &*lint.steps).collect::<Vec<_>>();
    assert_eq!(steps, [[0, 2], [2, 3]], "the nearest one inside");
}

#[test]
fn a_retry_around_a_memo() {
    let message = ".retry_with(fixed 1s, no jitter, 3 attempts) repeats .memoized(ttl 300s), so that each caller of a \
                   failed load retries by itself";
    let chain = fetch.memoized(&users()).timeout(secs(1)).retry_with(RetryPolicy::fixed(secs(1)));
    raises("retry-around-memo", message, &[0, 2], &chain.describe());
}

#[test]
fn two_limiters() {
    let code = "two-limiters";
    let message = "a call that has a permit of .rate_limited(10 per 1s) may wait for .rate_limited(10 per 1s) until \
                   the permit is worth nothing";
    let (limiter, per_user) = (limiter(), keyed());
    raises(code, message, &[0, 1], &fetch.rate_limited(&limiter).rate_limited(&self::limiter()).describe());
    raises(code, message, &[0, 1], &fetch.rate_limited(&limiter).rate_limited(&limiter).describe());
    let message = "a call that has a permit of .rate_limited(10 per 1s) may wait for \
                   .rate_limited_by_key(10 per 1s for each key, ..) until the permit is worth nothing";
    let by_user = |id: &u64| *id;
    let chain = fetch.rate_limited_by_key(&per_user, by_user).rate_limited(&limiter).describe();
    raises(code, message, &[0, 1], &chain);

    // The order that `rate_limited_by_key` recommends.
    raises_none(&fetch.rate_limited(&limiter).rate_limited_by_key(&per_user, by_user).describe());
    raises_none(&fetch.pausing(&limiter, |_: &Error| None).rate_limited(&limiter).describe());
}

#[test]
fn a_limiter_around_a_retry() {
    let message = ".rate_limited(10 per 1s) gives one permit for all attempts of \
                   .retry_with(fixed 1s, no jitter, 3 attempts), so more calls are made than it allows";
    let retried = fetch.retry_with(RetryPolicy::fixed(secs(1)));
    raises("limiter-around-retry", message, &[0, 1], &retried.clone().rate_limited(&limiter()).describe());
    let message = message.replace(".rate_limited(10", ".try_rate_limited(10");
    raises("limiter-around-retry", &message, &[0, 2], &retried.named("x").try_rate_limited(&limiter()).describe());
}

#[test]
fn a_limiter_around_a_concurrency_limiter() {
    let code = "limiter-around-concurrency-limiter";
    let message = "a call that has a permit of .rate_limited(10 per 1s) may wait for .concurrency_limited(8 at once), \
                   and then be made in a burst with others";
    raises(code, message, &[0, 1], &fetch.concurrency_limited(&places()).rate_limited(&limiter()).describe());
    let message = message.replace(".rate_limited(10 per 1s)", ".rate_limited_by_key(10 per 1s for each key, ..)");
    let by_key = fetch.concurrency_limited(&places()).logged().rate_limited_by_key(&keyed(), |id: &u64| *id);
    raises(code, &message, &[0, 2], &by_key.describe());

    raises_none(&fetch.rate_limited(&limiter()).concurrency_limited(&places()).describe());
}

#[test]
fn a_concurrency_limiter_around_a_retry() {
    let code = "concurrency-limiter-around-retry";
    let message = ".concurrency_limited(8 at once) keeps its place during the delays of \
                   .retry_with(fixed 1s, no jitter, 3 attempts)";
    let retried = fetch.retry_with(RetryPolicy::fixed(secs(1)));
    raises(code, message, &[0, 1], &retried.clone().concurrency_limited(&places()).describe());
    let message = message.replace(".concurrency_limited(", ".try_concurrency_limited(");
    raises(code, &message, &[0, 2], &retried.clone().logged().try_concurrency_limited(&places()).describe());
    // A signal holds no place.
    raises_none(&retried.backing_off(&places(), |_: &Error| false).describe());
}

/// Two decorators share a limiter if they share its identity, and not its settings.
#[test]
fn a_concurrency_limiter_within_itself() {
    let code = "concurrency-limiter-within-itself";
    let message = ".concurrency_limited(8 at once) and .concurrency_limited(8 at once) are one limiter: if all its \
                   places are taken outside, no call gets one inside";
    let (places, other) = (places(), places());
    let limited = fetch.concurrency_limited(&places).logged();
    raises(code, message, &[0, 2], &limited.clone().concurrency_limited(&places.clone()).describe());
    raises_none(&limited.concurrency_limited(&other).describe());

    let per_user = KeyedConcurrencyLimiter::new(8);
    let by_user = |id: &u64| *id;
    let limited = fetch.concurrency_limited_by_key(&per_user, by_user);
    let message =
        message.replace(".concurrency_limited(8 at once)", ".concurrency_limited_by_key(8 at once for each key, ..)");
    raises(code, &message, &[0, 1], &limited.clone().concurrency_limited_by_key(&per_user, by_user).describe());
    raises_none(&limited.clone().concurrency_limited_by_key(&KeyedConcurrencyLimiter::new(8), by_user).describe());
    // A limit for all stands before the limit of a key.
    raises_none(&fetch.concurrency_limited(&places).concurrency_limited_by_key(&per_user, by_user).describe());
}

#[test]
fn a_timeout_outside_of_a_breaker() {
    let code = "timeout-outside-breaker";
    let message = ".timeout(9s) drops calls that hang, and .guarded_by(5 failures in a row, open for 30s) inside \
                   counts no dropped call";
    let policy = RetryPolicy::fixed(secs(1));
    let guarded = fetch.guarded_by(&breaker());
    raises(code, message, &[0, 1], &guarded.clone().timeout(secs(9)).describe());
    raises(code, message, &[0, 2], &guarded.clone().retry_with(&policy).transient().timeout(secs(9)).describe());
    let by_key = fetch.guarded_by_key(&KeyedBreaker::consecutive(5), |id: &u64| *id);
    let message = message.replace(
        ".guarded_by(5 failures in a row, open for 30s)",
        ".guarded_by_key(5 failures in a row, open for 30s, for each key, ..)",
    );
    raises(code, &message, &[0, 1], &by_key.timeout(secs(9)).describe());

    raises_none(&guarded.clone().describe());
    raises_none(&guarded.timeout(Duration::MAX).describe());
    raises_none(&fetch.unless_open(&breaker()).timeout(secs(9)).describe());
    let bounded = fetch.timeout(secs(2)).guarded_by(&breaker());
    raises_none(&bounded.retry_with(&policy).transient().timeout(secs(9)).describe());
    // These breakers count a dropped call that was slow.
    let slow = CircuitBreaker::builder().slow_after(secs(2)).build();
    raises_none(&fetch.guarded_by(&slow).timeout(secs(9)).describe());
    let slow: KeyedBreaker<u64> = CircuitBreaker::builder().slow_after(secs(2)).keyed().build();
    raises_none(&fetch.guarded_by_key(&slow, |id: &u64| *id).timeout(secs(9)).describe());
}

#[test]
fn a_hedge_that_never_fires() {
    let code = "hedge-never-fires";
    let message = ".hedged(after 50ms, at most 2 calls, budget 0.1 per success, capacity 10) starts no further call, \
                   because .timeout(50ms) inside ends the first";
    let chain = |limit| fetch.timeout(limit).logged().hedged(hedge());
    raises(code, message, &[0, 2], &chain(ms(50)).describe());
    raises_none(&chain(ms(51)).describe());
    // The wait for a permit counts, and has no bound.
    raises_none(&fetch.timeout(ms(50)).rate_limited(&limiter()).hedged(hedge()).describe());
    raises_none(&fetch.timeout(ms(50)).hedged(Hedge::percentile(0.9).budget(&RetryBudget::new(0.1))).describe());
}

#[tokio::test(start_paused = true)]
async fn a_hedge_fires_if_it_has_no_lint() {
    for (limit, hedges) in [(50, 0), (51, 1)] {
        let hedge = hedge();
        let hang = (|| std::future::pending::<Result<(), Error>>()).timeout(ms(limit)).hedged(&hedge);
        hang.await.unwrap_err();
        assert_eq!(hedge.stats().hedges, hedges, "{limit} ms");
    }
}

#[test]
fn a_hedge_around_a_retry() {
    let message = ".hedged(after 50ms, at most 2 calls, budget 0.1 per success, capacity 10) takes the delays of \
                   .retry_with(fixed 1s, no jitter, 3 attempts) for a slow call, and doubles its attempts";
    let policy = RetryPolicy::fixed(secs(1));
    let chain = fetch.retry_with(&policy).logged().hedged(hedge()).describe();
    raises("hedge-around-retry", message, &[0, 2], &chain);
    raises_none(&fetch.hedged(hedge()).retry_with(&policy).describe());
}

#[test]
fn a_hedge_without_a_budget() {
    let code = "hedge-without-budget";
    let message = ".hedged(after 50ms, at most 2 calls) may multiply the calls when the server is slow";
    raises(code, message, &[1], &fetch.timeout(secs(2)).hedged(ms(50)).describe());
    let message = message.replace("after 50ms", "after percentile 0.95");
    raises(code, &message, &[0], &fetch.hedged(Hedge::percentile(0.95)).describe());

    raises_none(&fetch.hedged(hedge()).describe());
    // Such a hedge only measures.
    raises_none(&fetch.hedged(Hedge::percentile(0.95).max_calls(1)).describe());
}

#[test]
fn a_memo_of_a_fallback() {
    let code = "memo-of-fallback";
    let message = ".memoized(ttl 300s) remembers the answer of .fallback(..) as if it came from the function";
    let answer = |error: Error, _: u64| ready(Err(error));
    let chain = fetch.fallback(answer).memoized(&users()).timeout(secs(1)).describe();
    raises(code, message, &[0, 1], &chain);
    let message = message.replace("fallback(..)", "fallback_to(fetch)");
    let chain = fetch.fallback_to(fetch).logged().memoized_by(&users(), |id: &u64| *id).timeout(secs(1)).describe();
    raises(code, &message.replace("memoized(ttl 300s)", "memoized_by(ttl 300s, ..)"), &[0, 2], &chain);
    raises_none(&fetch.memoized(&users()).timeout(secs(1)).fallback(answer).describe());
}

#[test]
fn a_limiter_around_a_memo() {
    let message = ".rate_limited(10 per 1s) takes a permit even if .memoized(ttl 300s) knows the answer";
    let chain = fetch.memoized(&users()).rate_limited(&limiter()).timeout(secs(1));
    raises("limiter-around-memo", message, &[0, 1], &chain.describe());
}

#[test]
fn a_memo_without_a_timeout() {
    let message = "no timeout bounds the callers that wait for another call's load in .memoized(ttl 300s)";
    let load = fetch.timeout(secs(1)).memoized(&users());
    raises("memo-without-timeout", message, &[1], &load.clone().logged().describe());
    raises("memo-without-timeout", message, &[1], &load.clone().timeout(Duration::MAX).describe());
    raises_none(&load.logged().timeout(secs(2)).describe());
}

#[test]
fn several_lints_of_one_chain() {
    let chain = fetch
        .timeout(secs(9))
        .retry_with(policy())
        .rate_limited(&limiter())
        .memoized(&users())
        .retry_with(policy())
        .timeout(secs(2))
        .describe();
    let lints = chain.lints();
    let codes = lints.iter().map(|lint| (lint.code, &*lint.steps)).collect::<Vec<_>>();
    assert_eq!(
        codes,
        [
            ("timeout-never-fires", &[0, 5][..]),
            ("retry-around-retry", &[1, 4]),
            ("retry-around-memo", &[3, 4]),
            ("limiter-around-retry", &[1, 2]),
        ]
    );
    assert!(lints[0].to_string().starts_with("timeout-never-fires: .timeout(9s) never fires"));
}

/// The same rules for sync functions, and through boxes.
#[test]
fn chains_of_sync_functions_and_boxed_chains() {
    let load = |id: u64| Ok::<_, Error>(id);
    let chain = load.blocking().named("load").timeout(secs(20)).boxed().timeout(secs(10)).boxed();
    let lints = chain.describe().lints();
    assert_eq!((lints.len(), lints[0].code, &*lints[0].steps), (1, "timeout-never-fires", &[1, 3][..]));
    let chain: BoxedFn<(u64,), _> = fetch.timeout(secs(20)).boxed();
    assert_eq!(std::sync::Arc::new(chain).timeout(secs(10)).describe().lints()[0].steps, [0, 2]);
}

/// The table of the documentation lists the lints. Each has a chain above that raises it.
#[test]
fn each_lint_of_the_documentation_has_a_chain() {
    let table = fs::read_to_string("src/describe/mod.rs").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("//! | `")?.split('`').next());
    let codes = rows.collect::<Vec<_>>();
    assert_eq!(codes.len(), 16);
    let tests = include_str!("lints.rs");
    for code in codes {
        let raised = [format!("raises(\"{code}\""), format!("let code = \"{code}\";")];
        assert!(raised.iter().any(|raised| tests.contains(raised)), "no chain raises {code}");
    }
}
