//! `reload` of each handle: the state stays, and a wrong config changes nothing.

use super::{ms, secs};
use decor::{
    Chaos, ChaosConfig, CircuitBreaker, CircuitBreakerConfig, CircuitState, CircuitWindow, ConcurrencyConfig,
    ConcurrencyLimiter, ConfigError, Error, Eviction, Hedge, HedgeConfig, KeyedBreaker, KeyedConcurrencyLimiter,
    KeyedLimiter, Memo, MemoBuilder, MemoConfig, RateLimiter, RateLimiterConfig, RetryBudget, RetryBudgetConfig,
    RetryConfig, prelude::*,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, advance, sleep};

fn text(refused: Result<(), ConfigError>) -> String {
    refused.unwrap_err().to_string()
}

mod rate_limiter {
    use super::*;

    fn config(text: &str) -> RateLimiterConfig {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn permits_that_were_taken_stay_taken() {
        let limiter = RateLimiter::try_from(config("10 per 60s")).unwrap();
        limiter.try_acquire_many(8).unwrap();
        limiter.reload(&config("12 per 60s")).unwrap();
        assert_eq!(limiter.available(), 4);
        limiter.reload(&config("5 per 60s")).unwrap();
        assert_eq!(limiter.available(), 0);
        advance(secs(60)).await;
        assert_eq!(limiter.available(), 5);
        assert_eq!((limiter.stats().admitted, limiter.to_string()), (1, "5 per 60s".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn all_settings_change() {
        let limiter = RateLimiter::try_from(config("10 per 1s, paced, burst 2")).unwrap();
        let new =
            RateLimiterConfig { max_waiting: Some(3), longest_pause: secs(5), ..config("20 per 1s, paced, burst 4") };
        limiter.reload(&new).unwrap();
        assert_eq!((limiter.to_string().as_str(), limiter.available()), ("20 per 1s, paced, burst 4", 4));
        assert_eq!((limiter.max_waiting(), limiter.longest_pause()), (Some(3), secs(5)));
        // What the file no longer has is the default again.
        limiter.reload(&config("20 per 1s, paced")).unwrap();
        assert_eq!((limiter.burst(), limiter.max_waiting(), limiter.longest_pause()), (Some(1), None, secs(3_600)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_stays() {
        let limiter = RateLimiter::try_from(config("10 per 1s")).unwrap();
        limiter.pause_for(secs(30));
        limiter.reload(&config("20 per 1s")).unwrap();
        let begun = Instant::now();
        limiter.acquire().await;
        assert_eq!(begun.elapsed(), secs(30));
    }

    #[test]
    fn a_wrong_config_changes_nothing() {
        let limiter = RateLimiter::try_from(config("10 per 1s, 300 per 60s")).unwrap();
        limiter.set_max_waiting(7);
        let zero = RateLimiterConfig { limit: vec![(0, secs(1)).into(), (5, secs(1)).into()], ..config("1 per 1s") };
        assert_eq!(text(limiter.reload(&zero)), "`limit` is 0 (window 1 of 2), but must be at least 1");
        assert_eq!(
            text(limiter.reload(&config("10 per 1s"))),
            "`limit` is a list of 1, but must be as many as there are windows: a new window would not know of earlier \
             calls"
        );
        assert_eq!(
            text(limiter.reload(&config("10 per 1s, paced"))),
            "`paced` is true, but must be left as it is: an exact limiter cannot become a paced one, because its \
             windows have no schedule"
        );
        let pause = RateLimiterConfig { longest_pause: Duration::ZERO, ..config("5 per 1s, 5 per 60s") };
        assert_eq!(text(limiter.reload(&pause)), "`longest_pause` is 0ns, but must be longer than zero");
        let keyed = RateLimiterConfig { max_keys: Some(5), ..config("5 per 1s, 5 per 60s") };
        assert_eq!(
            text(limiter.reload(&keyed)),
            "`max_keys` is 5, but must be left out unless there is a handle for each key"
        );
        assert_eq!(limiter.to_string(), "10 per 1s, 300 per 60s");
        assert_eq!((limiter.max_waiting(), limiter.longest_pause()), (Some(7), secs(3_600)));

        let paced = RateLimiter::try_from(config("10 per 1s, paced, burst 2")).unwrap();
        assert_eq!(
            text(paced.reload(&config("10 per 1s"))),
            "`paced` is false, but must be left as it is: a paced limiter cannot become an exact one, because its \
             schedule has no calls"
        );
        assert_eq!(paced.to_string(), "10 per 1s, paced, burst 2");
    }

    #[test]
    fn keys_follow_unless_they_have_settings_of_their_own() {
        let five = RateLimiterConfig { max_keys: Some(3), ..config("5 per 60s") };
        let limiter: KeyedLimiter<u64> = KeyedLimiter::try_from(&five).unwrap();
        limiter.for_key(&1).try_acquire_many(2).unwrap();
        let own = limiter.for_key(&2);
        own.reload(&config("50 per 60s")).unwrap();
        limiter.reload(&RateLimiterConfig { max_waiting: Some(9), ..config("7 per 60s") }).unwrap();
        assert_eq!(limiter.for_key(&1).available(), 5);
        assert_eq!((limiter.for_key(&1).max_waiting(), limiter.max_keys()), (Some(9), 65_536));
        assert_eq!((limiter.for_key(&2).available(), limiter.for_key(&3).available()), (50, 7));

        assert_eq!(
            text(limiter.reload(&config("7 per 60s, paced"))),
            "`paced` is true, but must be left as it is: an exact limiter cannot become a paced one, because its \
             windows have no schedule"
        );
        let no_keys = RateLimiterConfig { max_keys: Some(0), ..config("1 per 60s") };
        assert_eq!(text(limiter.reload(&no_keys)), "`max_keys` is 0, but must be at least 1");
        assert_eq!(limiter.limits(), [(7, secs(60))]);
        // A bound below the number of keys forgets keys. That with a limit of its own stays.
        limiter.reload(&RateLimiterConfig { max_keys: Some(1), ..config("7 per 60s") }).unwrap();
        assert_eq!((limiter.len(), limiter.max_keys()), (1, 1));
    }
}

mod concurrency_limiter {
    use super::*;

    fn fixed(limit: u32) -> ConcurrencyConfig {
        ConcurrencyConfig { limit: Some(limit), ..ConcurrencyConfig::default() }
    }

    fn adaptive(min: u32, max: u32) -> ConcurrencyConfig {
        ConcurrencyConfig { range: Some(min..=max), ..ConcurrencyConfig::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_is_admitted_when_the_limit_rises() {
        let limiter = ConcurrencyLimiter::try_from(fixed(1)).unwrap();
        let begun = Instant::now();
        let permit = limiter.try_acquire().unwrap();
        let waiter = async {
            let permits = limiter.acquire_many(2).await.unwrap();
            assert_eq!(begun.elapsed(), secs(3));
            drop(permits);
        };
        let reload = async {
            sleep(secs(3)).await;
            assert_eq!(limiter.waiting(), 1);
            limiter.reload(&fixed(3)).unwrap();
        };
        // Two permits fit only after the reload, because the first one is never given back.
        limiter.reload(&fixed(2)).unwrap();
        tokio::join!(waiter, reload);
        assert_eq!((limiter.in_use(), limiter.limit(), limiter.stats().delayed), (1, 3, 1));
        drop(permit);
    }

    #[test]
    fn calls_in_progress_stay_when_the_limit_falls() {
        let limiter = ConcurrencyLimiter::try_from(fixed(3)).unwrap();
        let permits = limiter.try_acquire_many(3).unwrap();
        limiter.reload(&fixed(1)).unwrap();
        assert_eq!((limiter.in_use(), limiter.available()), (3, 0));
        drop(permits);
        assert_eq!(limiter.available(), 1);
    }

    #[test]
    fn an_adaptive_limit_stays_within_the_new_range() {
        let limiter = ConcurrencyLimiter::try_from(adaptive(4, 100)).unwrap();
        limiter.overloaded();
        assert_eq!(limiter.limit(), 15);
        let halving = ConcurrencyConfig { shrink_by: Some(0.5), start_at: Some(30), ..adaptive(2, 50) };
        limiter.reload(&halving).unwrap();
        assert_eq!((limiter.limit(), limiter.range()), (15, Some(2..=50)));
        limiter.overloaded();
        assert_eq!(limiter.limit(), 7);
        limiter.reload(&adaptive(10, 20)).unwrap();
        assert_eq!(limiter.limit(), 10);
        limiter.reload(&adaptive(1, 5)).unwrap();
        assert_eq!((limiter.limit(), limiter.stats().shrunk), (5, 2));
    }

    #[test]
    fn a_wrong_config_changes_nothing() {
        let named = ConcurrencyConfig { name: Some("users".into()), max_waiting: Some(7), ..fixed(8) };
        let limiter = ConcurrencyLimiter::try_from(&named).unwrap();
        assert_eq!(text(limiter.reload(&fixed(0))), "`limit` is 0, but must be at least 1");
        let other = ConcurrencyConfig { name: Some("orders".into()), ..fixed(5) };
        assert_eq!(
            text(limiter.reload(&other)),
            "`name` is \"orders\", but must be left as it is, because a handle keeps its name"
        );
        assert_eq!(
            text(limiter.reload(&adaptive(4, 100))),
            "`range` is 4..=100, but must be left out: a fixed limiter cannot become an adaptive one, because its \
             calls have no order"
        );
        assert_eq!((limiter.to_string(), limiter.max_waiting()), ("users, 8 at once".to_owned(), Some(7)));
        limiter.reload(&fixed(5)).unwrap();
        assert_eq!((limiter.to_string(), limiter.max_waiting()), ("users, 5 at once".to_owned(), None));

        let limiter = ConcurrencyLimiter::try_from(adaptive(4, 100)).unwrap();
        assert_eq!(
            text(limiter.reload(&fixed(5))),
            "`limit` is 5, but must be left out: an adaptive limiter cannot become a fixed one, because it has \
             learned a limit"
        );
        assert_eq!(limiter.to_string(), "20 at once, adaptive from 4 to 100");
    }

    #[test]
    fn keys_follow_unless_they_have_settings_of_their_own() {
        let limiter: KeyedConcurrencyLimiter<u64> = KeyedConcurrencyLimiter::try_from(fixed(2)).unwrap();
        let permit = limiter.for_key(&1).try_acquire().unwrap();
        let own = limiter.for_key(&2);
        own.set_limit(50);
        limiter.reload(&ConcurrencyConfig { max_waiting: Some(9), max_keys: Some(100), ..fixed(4) }).unwrap();
        assert_eq!((limiter.for_key(&1).available(), limiter.for_key(&1).max_waiting()), (3, Some(9)));
        assert_eq!((own.limit(), own.max_waiting()), (50, Some(9)));
        assert_eq!((limiter.for_key(&3).limit(), limiter.max_keys()), (4, 100));
        assert_eq!(limiter.to_string(), "4 at once for each key");
        // The key's own limit is equal to that of all for a moment, and stays its own.
        limiter.reload(&fixed(50)).unwrap();
        limiter.reload(&fixed(3)).unwrap();
        assert_eq!((own.limit(), limiter.for_key(&1).limit()), (50, 3));
        assert!(text(limiter.reload(&adaptive(1, 2))).starts_with("`range` is 1..=2, but must be left out: "));
        assert_eq!(limiter.to_string(), "3 at once for each key");
        drop(permit);
    }
}

mod circuit_breaker {
    use super::*;

    fn config(window: CircuitWindow) -> CircuitBreakerConfig {
        CircuitBreakerConfig { window, ..CircuitBreakerConfig::default() }
    }

    fn consecutive(failures: u32) -> CircuitBreakerConfig {
        config(CircuitWindow::Consecutive { failures })
    }

    fn among(failures: u32, calls: u32) -> CircuitBreakerConfig {
        config(CircuitWindow::Among { failures, calls })
    }

    fn rate(period: Duration) -> CircuitBreakerConfig {
        CircuitBreakerConfig { minimum_calls: Some(4), ..config(CircuitWindow::Rate { rate: 0.5, period }) }
    }

    /// Makes calls that end as the text says: `x` for a failure.
    fn run(breaker: &CircuitBreaker, calls: &str) -> CircuitState {
        for call in calls.chars() {
            let passage = breaker.enter().unwrap();
            if call == 'x' { passage.failed() } else { passage.succeeded() }
        }
        breaker.state()
    }

    #[tokio::test(start_paused = true)]
    async fn the_outcomes_in_the_window_stay() {
        use CircuitState::{Closed, Open};
        for (before, calls, after, next, state) in [
            (consecutive(9), "xxx", consecutive(4), "x", Open),
            (consecutive(9), "xxx", consecutive(5), "x", Closed),
            (consecutive(3), "xx", consecutive(9), "xx", Closed),
            (consecutive(5), "xxxx", consecutive(2), "x", Open), // already beyond the limit
            (among(4, 6), "x.x.", among(3, 6), "x", Open),
            (among(4, 6), "x.x.", among(3, 4), "x", Closed), // the first failure has left the window
            (among(4, 6), "x.xx", among(4, 9), "...x", Open), // and here it has not
            (among(4, 6), "x.xx", consecutive(3), "x", Open),
            (among(4, 6), "x.xx", consecutive(4), "x", Closed), // a row of three
            (consecutive(4), "xxx", among(4, 9), "..x", Open),
            (rate(secs(10)), "x.x", rate(secs(20)), "x", Open),
            (rate(secs(10)), "x.x", rate(secs(5)), "x", Open),
            (rate(secs(10)), "xxx", consecutive(4), "x", Closed), // another kind begins anew
            (consecutive(4), "xxx", rate(secs(10)), "xxx", Closed),
        ] {
            let breaker = CircuitBreaker::try_from(&before).unwrap();
            assert_eq!(run(&breaker, calls), Closed);
            breaker.reload(&after).unwrap();
            assert_eq!(run(&breaker, next), state, "{} {calls}, then {} {next}", before.window, after.window);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_leave_a_window_with_another_period_in_time() {
        let breaker = CircuitBreaker::try_from(rate(secs(100))).unwrap();
        run(&breaker, "xxx");
        advance(secs(30)).await;
        breaker.reload(&rate(secs(20))).unwrap();
        assert_eq!(run(&breaker, "x"), CircuitState::Closed, "three calls are older than 20 s");

        let breaker = CircuitBreaker::try_from(rate(secs(20))).unwrap();
        run(&breaker, "xxx");
        advance(secs(10)).await;
        breaker.reload(&rate(secs(100))).unwrap();
        advance(secs(70)).await;
        assert_eq!(run(&breaker, "x"), CircuitState::Open, "three calls are 80 s old");
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_keeps_its_delay() {
        let breaker = CircuitBreaker::try_from(consecutive(1)).unwrap();
        run(&breaker, "x");
        breaker.reload(&CircuitBreakerConfig { open_for: secs(5), ..consecutive(1) }).unwrap();
        advance(secs(29)).await;
        assert_eq!(breaker.state(), CircuitState::Open);
        advance(secs(1)).await;
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        run(&breaker, "x");
        advance(secs(5)).await;
        assert_eq!(breaker.state(), CircuitState::HalfOpen, "the next opening has the new delay");
        assert_eq!(breaker.stats().opened, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn enough_probes_close_the_circuit_at_once() {
        let changes = Arc::<Mutex<Vec<_>>>::default();
        let seen = Arc::clone(&changes);
        let probes = |probes| CircuitBreakerConfig { probes, ..consecutive(1) };
        let breaker = CircuitBreaker::builder()
            .consecutive(1)
            .probes(5)
            .named("users")
            .on_change(move |change| seen.lock().unwrap().push(change.to_string()))
            .build();
        breaker.trip();
        advance(secs(30)).await;
        run(&breaker, "..");
        let running = breaker.enter().unwrap();
        breaker.reload(&probes(3)).unwrap();
        assert!(breaker.enter().is_err(), "two have succeeded, and one is running");
        breaker.reload(&probes(2)).unwrap();
        assert_eq!(breaker.state(), CircuitState::Closed);
        running.failed();
        assert_eq!((breaker.state(), breaker.stats().late), (CircuitState::Closed, 1));
        assert_eq!(
            *changes.lock().unwrap(),
            [
                "circuit users opened for 30s: tripped by hand",
                "circuit users is half-open: its delay has passed",
                "circuit users is closed: the probes succeeded",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn slow_calls_and_observing_change() {
        let breaker = CircuitBreaker::try_from(consecutive(1)).unwrap();
        let slow = CircuitBreakerConfig { slow_after: Some(ms(100)), observing: true, ..consecutive(1) };
        breaker.reload(&slow).unwrap();
        let passage = breaker.enter().unwrap();
        advance(ms(100)).await;
        passage.succeeded();
        assert_eq!((breaker.stats().slow, breaker.state()), (1, CircuitState::Open));
        assert!(breaker.enter().is_ok(), "it only observes");
        breaker.reload(&consecutive(1)).unwrap();
        assert!(matches!(breaker.enter(), Err(Error::CircuitOpen { .. })));
        assert_eq!(breaker.to_string(), "1 failure, open for 30s");
    }

    #[test]
    fn a_wrong_config_changes_nothing() {
        let breaker = CircuitBreaker::builder().consecutive(3).named("users").build();
        assert_eq!(text(breaker.reload(&consecutive(0))), "`failures` is 0, but must be at least 1");
        let probes = CircuitBreakerConfig { probes: 0, ..consecutive(5) };
        assert_eq!(text(breaker.reload(&probes)), "`probes` is 0, but must be at least 1");
        let delays = RetryConfig { delay: Duration::ZERO, ..RetryConfig::default() };
        let open_by = CircuitBreakerConfig { open_by: Some(delays), ..consecutive(5) };
        assert_eq!(text(breaker.reload(&open_by)), "`delay` is 0ns, but must be longer than zero where delays grow");
        let name = CircuitBreakerConfig { name: Some("orders".to_owned()), ..consecutive(5) };
        assert_eq!(
            text(breaker.reload(&name)),
            "`name` is \"orders\", but must be left as it is, because a handle keeps its name"
        );
        let keyed = CircuitBreakerConfig { max_keys: Some(5), ..consecutive(5) };
        assert!(text(breaker.reload(&keyed)).starts_with("`max_keys` is 5, but must be left out"));
        assert_eq!(CircuitBreaker::try_from(keyed).unwrap_err().setting(), "max_keys");
        assert_eq!(breaker.to_string(), "users: 3 failures in a row, open for 30s");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_follow() {
        let hosts: KeyedBreaker<u64> = KeyedBreaker::try_from(consecutive(9)).unwrap();
        run(&hosts.for_key(&1), "xx");
        hosts.for_key(&2).trip();
        hosts.reload(&CircuitBreakerConfig { max_keys: Some(50), ..consecutive(3) }).unwrap();
        assert_eq!(run(&hosts.for_key(&1), "x"), CircuitState::Open);
        assert_eq!(hosts.state_of(&2), Some(CircuitState::Open));
        assert_eq!(run(&hosts.for_key(&3), "xx"), CircuitState::Closed);
        assert_eq!(run(&hosts.for_key(&3), "x"), CircuitState::Open);
        assert_eq!(
            (hosts.max_keys(), hosts.to_string()),
            (50, "3 failures in a row, open for 30s, for each key".into())
        );
        assert_eq!(text(hosts.reload(&consecutive(0))), "`failures` is 0, but must be at least 1");
        assert_eq!(hosts.to_string(), "3 failures in a row, open for 30s, for each key");
    }
}

mod retry_budget {
    use super::*;

    fn config(capacity: u32, per_second: Option<f64>) -> RetryBudgetConfig {
        RetryBudgetConfig { ratio: 0.5, capacity, per_second }
    }

    /// Makes a call that fails once, and is retried if the budget pays.
    async fn fail_once(budget: &RetryBudget) -> bool {
        let calls = AtomicU32::new(0);
        let call = || std::future::ready(if calls.fetch_add(1, Relaxed) == 0 { Err("busy") } else { Ok(()) });
        let policy = RetryPolicy::fixed(Duration::ZERO);
        call.retry_with(policy).budgeted(budget).call().await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_balance_and_the_counts_stay() {
        let budget = RetryBudget::try_from(config(4, None)).unwrap();
        assert!(fail_once(&budget).await);
        assert_eq!(budget.stats().balance, 3.5);
        budget.reload(&config(10, None)).unwrap();
        assert_eq!((budget.stats().balance, budget.stats().withdrawals), (3.5, 1));
        budget.reload(&RetryBudgetConfig { ratio: 1.0, ..config(10, None) }).unwrap();
        assert!(fail_once(&budget).await);
        assert_eq!(budget.stats().balance, 3.5, "the success pays 1");
        budget.reload(&config(2, None)).unwrap();
        assert_eq!(budget.stats().balance, 2.0);
        assert_eq!(budget.to_string(), "0.5 per success, capacity 2");
    }

    #[tokio::test(start_paused = true)]
    async fn each_rate_pays_for_its_own_time() {
        let budget = RetryBudget::try_from(RetryBudgetConfig { ratio: 0.0, ..config(100, None) }).unwrap();
        for _ in 0..100 {
            assert!(fail_once(&budget).await);
        }
        assert!(!fail_once(&budget).await);
        let pays = |per_second| RetryBudgetConfig { ratio: 0.0, ..config(100, per_second) };
        advance(secs(50)).await;
        budget.reload(&pays(Some(1.0))).unwrap();
        assert_eq!(budget.stats().balance, 0.0, "the time before the rate pays nothing");
        advance(secs(10)).await;
        budget.reload(&pays(Some(3.0))).unwrap();
        advance(secs(5)).await;
        assert_eq!(budget.stats().balance, 25.0, "10 s at 1, and 5 s at 3");
        budget.reload(&pays(None)).unwrap();
        advance(secs(50)).await;
        assert_eq!(budget.stats().balance, 25.0);
    }

    #[test]
    fn a_wrong_config_changes_nothing() {
        let budget = RetryBudget::try_from(config(4, Some(1.0))).unwrap();
        assert_eq!(text(budget.reload(&config(0, None))), "`capacity` is 0, but must be at least 1");
        assert_eq!(
            text(budget.reload(&config(5, Some(0.0)))),
            "`per_second` is 0, but must be between 0.000001 and 1000000"
        );
        assert_eq!(budget.to_string(), "0.5 per success, capacity 4, 1 per second");
    }
}

mod hedge {
    use super::*;

    fn after(delay: Duration, max_calls: u32) -> HedgeConfig {
        HedgeConfig { after: Some(delay), max_calls, ..HedgeConfig::default() }
    }

    /// Calls a function that takes 100 ms, and returns the number of calls that were made.
    async fn calls(hedge: &Hedge, meanwhile: impl Future<Output = ()>) -> u32 {
        let made = AtomicU32::new(0);
        let slow = async || {
            made.fetch_add(1, Relaxed);
            sleep(ms(100)).await;
            Ok::<_, ()>(())
        };
        let slow = slow.hedged(hedge);
        let (result, ()) = tokio::join!(async { slow.call().await }, meanwhile);
        result.unwrap();
        made.load(Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn later_calls_have_the_new_settings() {
        let hedge = Hedge::try_from(after(ms(30), 2)).unwrap();
        assert_eq!(calls(&hedge, async {}).await, 2);
        hedge.reload(&after(ms(30), 4)).unwrap();
        assert_eq!(calls(&hedge, async {}).await, 4);
        hedge.reload(&after(ms(45), 4)).unwrap();
        assert_eq!(calls(&hedge, async {}).await, 3);
        assert_eq!((hedge.stats().calls, hedge.stats().hedges), (3, 6));
    }

    /// The second call takes the arguments, so there must be no third one.
    #[tokio::test(start_paused = true)]
    async fn a_call_in_progress_keeps_its_settings() {
        let hedge = Hedge::try_from(after(ms(30), 2)).unwrap();
        let more = async {
            sleep(ms(40)).await;
            hedge.reload(&after(ms(1), 9)).unwrap();
        };
        assert_eq!(calls(&hedge, more).await, 2);
        let fewer = async {
            sleep(ms(2)).await;
            hedge.reload(&after(ms(30), 1)).unwrap();
        };
        assert_eq!(calls(&hedge, fewer).await, 9);
        assert_eq!(calls(&hedge, async {}).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn another_percentile_is_of_the_same_durations() {
        let percentile = |percentile| HedgeConfig { percentile, ..HedgeConfig::default() };
        let hedge = Hedge::try_from(percentile(0.5)).unwrap();
        hedge.reload(&percentile(0.6)).unwrap(); // without any durations
        let call = (async |millis: u64| {
            sleep(ms(millis)).await;
            Ok::<_, ()>(())
        })
        .hedged(&hedge);
        for millis in 1..=100 {
            call.call(millis).await.unwrap();
        }
        let delay = |hedge: &Hedge| u64::try_from(hedge.stats().delay.unwrap().as_millis()).unwrap();
        assert!((60..=64).contains(&delay(&hedge)), "{}", delay(&hedge));
        hedge.reload(&percentile(0.9)).unwrap();
        assert!((90..=96).contains(&delay(&hedge)), "{}", delay(&hedge));
        assert_eq!(hedge.stats().samples, 100);
        hedge.reload(&after(ms(5), 2)).unwrap();
        assert_eq!((hedge.stats().delay, hedge.stats().samples), (Some(ms(5)), 0));
        hedge.reload(&percentile(0.9)).unwrap();
        assert_eq!(hedge.stats().samples, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fixed_hedge_begins_to_measure() {
        let hedge = Hedge::after(ms(30));
        calls(&hedge, async {}).await;
        hedge.reload(&HedgeConfig::default()).unwrap();
        assert_eq!((hedge.stats().delay, hedge.stats().samples), (None, 0));
        calls(&hedge, async {}).await;
        assert_eq!((hedge.stats().calls, hedge.stats().samples), (2, 1));
        assert_eq!(hedge.to_string(), "after percentile 0.95, at most 2 calls");
    }

    #[test]
    fn a_wrong_config_changes_nothing() {
        let hedge = Hedge::after(Duration::MAX);
        assert_eq!(text(hedge.reload(&after(ms(1), 0))), "`max_calls` is 0, but must be at least 1");
        let wrong = HedgeConfig { percentile: 95.0, ..HedgeConfig::default() };
        assert_eq!(text(hedge.reload(&wrong)), "`percentile` is 95, but must be above 0 and below 1");
        assert_eq!(
            (hedge.stats().delay, hedge.to_string()),
            (Some(Duration::MAX), format!("after {:?}, at most 2 calls", Duration::MAX))
        );
    }
}

mod memo {
    use super::*;

    fn config(ttl: u64) -> MemoConfig {
        MemoConfig { ttl: Some(secs(ttl)), ..MemoConfig::default() }
    }

    fn capacity(capacity: u64) -> MemoConfig {
        MemoConfig { capacity, ..MemoConfig::default() }
    }

    fn keys(memo: &Memo<u64, u64>) -> Vec<u64> {
        (0..100).filter(|key| memo.contains(key)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_keeps_its_ttl() {
        let memo: Memo<u64, u64> = Memo::try_from(config(10)).unwrap();
        memo.insert(1, 1);
        memo.reload(&config(30)).unwrap();
        memo.insert(2, 2);
        memo.reload(&MemoConfig::default()).unwrap();
        memo.insert(3, 3);
        advance(secs(10)).await;
        assert_eq!(keys(&memo), [2, 3]);
        advance(secs(20)).await;
        assert_eq!(keys(&memo), [3]);
        assert_eq!(memo.get(&3), Some(3));
        memo.insert(4, 4);
        assert_eq!((memo.stats().entries, memo.stats().expirations), (2, 2), "a store removes expired values");
    }

    #[tokio::test(start_paused = true)]
    async fn stale_windows_are_for_all_values() {
        let memo: Memo<u64, u64> = Memo::try_from(config(10)).unwrap();
        memo.insert(1, 1);
        memo.reload(&MemoConfig { stale_on_error: secs(5), ..config(10) }).unwrap();
        let failing = (async |_: u64| Err::<u64, _>("down".to_owned())).memoized(&memo);
        advance(secs(12)).await;
        assert_eq!(failing.call(1).await, Ok(1), "stored before there was a window");
        memo.reload(&config(10)).unwrap();
        assert!(failing.call(1).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_to_idle_is_for_all_values() {
        let idle = |idle| MemoConfig { time_to_idle: Some(secs(idle)), ..MemoConfig::default() };
        let memo: Memo<u64, u64> = Memo::try_from(idle(100)).unwrap();
        memo.insert(1, 1);
        memo.reload(&idle(5)).unwrap();
        advance(secs(4)).await;
        assert_eq!(memo.get(&1), Some(1));
        advance(secs(5)).await;
        assert_eq!(memo.get(&1), None);
        memo.insert(2, 2);
        memo.reload(&idle(7)).unwrap();
        advance(secs(6)).await;
        assert_eq!(memo.get(&2), Some(2));
        advance(secs(7)).await;
        memo.insert(3, 3);
        assert_eq!((memo.stats().entries, memo.stats().expirations), (1, 2));
    }

    #[test]
    fn a_smaller_capacity_evicts_the_least_recently_used() {
        let memo: Memo<u64, u64> = Memo::try_from(capacity(100)).unwrap();
        (0..10).for_each(|key| memo.insert(key, key));
        for key in [0, 3] {
            memo.get(&key);
        }
        memo.reload(&capacity(4)).unwrap();
        assert_eq!(keys(&memo), [0, 3, 8, 9]);
        assert_eq!((memo.stats().evictions, memo.stats().capacity), (6, 4));
        memo.insert(50, 50);
        assert_eq!((keys(&memo).len(), memo.stats().entries), (4, 4));
        memo.reload(&capacity(6)).unwrap();
        (60..64).for_each(|key| memo.insert(key, key));
        assert_eq!((memo.stats().entries, memo.stats().evictions), (6, 9));
        memo.clear();
        (0..10).for_each(|key| memo.insert(key, key));
        assert_eq!(keys(&memo), [4, 5, 6, 7, 8, 9]);
    }

    #[tokio::test(start_paused = true)]
    async fn expired_values_go_first() {
        let memo: Memo<u64, u64> = Memo::try_from(config(10)).unwrap();
        memo.insert(0, 0);
        memo.reload(&MemoConfig { capacity: 10, ..config(100) }).unwrap();
        memo.get(&0);
        (1..5).for_each(|key| memo.insert(key, key));
        advance(secs(10)).await;
        memo.reload(&MemoConfig { capacity: 4, ..config(100) }).unwrap();
        assert_eq!((keys(&memo), memo.stats().evictions), (vec![1, 2, 3, 4], 0));
    }

    #[test]
    fn weights_count_for_the_new_capacity() {
        let memo: Memo<u64, u64> = MemoBuilder::try_from(&capacity(100))
            .unwrap()
            .weigher(|_, weight: &u64| u32::try_from(*weight).unwrap())
            .build();
        for (key, weight) in [(0, 10), (1, 30), (2, 20), (3, 25)] {
            memo.insert(key, weight);
        }
        memo.reload(&capacity(50)).unwrap();
        assert_eq!(keys(&memo), [2, 3]);
        memo.reload(&capacity(22)).unwrap();
        assert_eq!(keys(&memo), [2], "the younger value of 25 does not fit");
        memo.insert(5, 22);
        memo.insert(6, 23);
        assert_eq!((keys(&memo), memo.stats().entries), (vec![5], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn loads_in_progress_stay() {
        let memo: Memo<u64, u64> = Memo::try_from(capacity(100)).unwrap();
        memo.insert(5, 5);
        let load = async |key: u64| {
            sleep(secs(10)).await;
            key
        };
        let load = load.memoized(&memo);
        let begun = Instant::now();
        let call = async || (load.call(1).await, begun.elapsed());
        let operator = async {
            sleep(secs(4)).await;
            memo.reload(&MemoConfig { ttl: Some(secs(60)), ..capacity(1) }).unwrap();
        };
        let (first, second, ()) = tokio::join!(call(), call(), operator);
        assert_eq!([first, second], [(1, secs(10)); 2]);
        assert_eq!((memo.stats().loads, memo.stats().coalesced, keys(&memo)), (1, 1, vec![1]));
        advance(secs(60)).await;
        assert_eq!(keys(&memo), [] as [u64; 0], "the TTL of the reload");
    }

    /// Threads store, read and remove, and the capacity changes meanwhile.
    #[test]
    fn the_bound_agrees_with_the_index_after_many_reloads() {
        for eviction in [Eviction::Lru, Eviction::TinyLfu] {
            let config = |size| MemoConfig { eviction, ..capacity(size) };
            let memo: Memo<u64, u64> = Memo::try_from(config(50)).unwrap();
            std::thread::scope(|threads| {
                for thread in 0..3 {
                    let memo = &memo;
                    threads.spawn(move || {
                        for n in 0..3_000_u64 {
                            let key = (n * 37 + thread * 11) % 100;
                            match n % 4 {
                                0 | 1 => memo.insert(key, n),
                                2 => drop(memo.get(&key)),
                                _ => memo.invalidate(&key),
                            }
                        }
                    });
                }
                for n in 0..100 {
                    memo.reload(&config(5 + n % 7 * 10)).unwrap();
                }
            });
            for size in [8, 80, 3] {
                memo.reload(&config(size)).unwrap();
                (0..100).for_each(|key| memo.insert(key, key));
                let entries = keys(&memo).len() as u64;
                assert_eq!((memo.stats().entries, entries), (size, size), "{eviction}");
            }
        }
    }

    #[test]
    fn tiny_lfu_keeps_what_fits() {
        let lfu = |size| MemoConfig { eviction: Eviction::TinyLfu, ..capacity(size) };
        let memo: Memo<u64, u64> = Memo::try_from(lfu(20)).unwrap();
        (0..10).for_each(|key| memo.insert(key, key));
        memo.reload(&lfu(15)).unwrap();
        assert_eq!(keys(&memo).len(), 10);
        memo.reload(&lfu(4)).unwrap();
        assert_eq!((keys(&memo).len(), memo.stats().entries), (4, 4));
        (20..40).for_each(|key| memo.insert(key, key));
        assert_eq!(memo.stats().entries, 4);
    }

    #[test]
    fn a_wrong_config_changes_nothing() {
        let memo: Memo<u64, u64> = Memo::try_from(capacity(7)).unwrap();
        memo.insert(1, 1);
        for (wrong, why) in [
            (capacity(0), "`capacity` is 0, but must be at least 1"),
            (
                MemoConfig { eviction: Eviction::TinyLfu, ..capacity(5) },
                "`eviction` is tiny-lfu, but must be left as it is, because the uses so far say nothing to another \
                 eviction",
            ),
            (
                MemoConfig { time_to_idle: Some(secs(5)), ..capacity(5) },
                "`time_to_idle` is 5s, but must be left out, because the memo was made without one, and does not know \
                 the latest uses",
            ),
            (
                MemoConfig { stale_on_error: secs(5), ..capacity(5) },
                "`stale_on_error` is 5s, but must be left out unless values have a TTL",
            ),
            (
                MemoConfig {
                    refresh_backoff: Some(RetryConfig { max_attempts: 0, ..RetryConfig::default() }),
                    ..capacity(5)
                },
                "`max_attempts` is 0, but must be at least 1",
            ),
        ] {
            assert_eq!(text(memo.reload(&wrong)), why);
        }
        assert_eq!((memo.stats().capacity, memo.get(&1)), (7, Some(1)));
        assert_eq!(format!("{memo:?}"), "Memo(no ttl, capacity 7)");
        let idle = MemoConfig { time_to_idle: Some(secs(5)), ..capacity(7) };
        let memo: Memo<u64, u64> = Memo::try_from(&idle).unwrap();
        assert_eq!(
            text(memo.reload(&capacity(7))),
            "`time_to_idle` is missing, but must be set, because the memo was made with one"
        );
    }

    /// A builder's closure gives values a TTL, so the settings that need one are valid.
    #[test]
    fn the_closures_of_the_builder_stay() {
        let memo: Memo<u64, u64> = Memo::builder().ttl_by(|_, _| secs(10)).build();
        let jitter = MemoConfig { jitter: 0.1, ..MemoConfig::default() };
        memo.reload(&jitter).unwrap();
        assert_eq!(format!("{memo:?}"), "Memo(ttl by value, jitter 0.1)");
        assert_eq!(Memo::<u64, u64>::try_from(jitter).unwrap_err().setting(), "jitter");
    }
}

mod chaos {
    use super::*;

    #[test]
    fn the_shares_change_and_the_counts_stay() {
        let chaos = Chaos::try_from(ChaosConfig { seed: 7, ..ChaosConfig::default() }).unwrap();
        let all = ChaosConfig { seed: 7, failing: 1.0, ..ChaosConfig::default() };
        let call = (|| Ok::<_, &str>(())).blocking().chaotic(&chaos, || "busy");
        assert_eq!(call.call(), Ok(()));
        chaos.reload(&all).unwrap();
        assert_eq!(call.call(), Err("busy"));
        let wrong = ChaosConfig { failing: 2.0, ..all };
        assert_eq!(text(chaos.reload(&wrong)), "`failing` is 2, but must be between 0 and 1");
        assert_eq!(call.call(), Err("busy"));
        assert_eq!((chaos.stats().calls, chaos.stats().failed), (3, 2));
    }
}
