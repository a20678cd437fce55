//! The metrics of decor's handles.

use super::{Metric, Observe, Report};
use crate::{
    CircuitBreaker, CircuitBreakerStats, CircuitState, ConcurrencyLimiter, ConcurrencyStats, Hedge, HedgeStats,
    KeyedBreaker, KeyedConcurrencyLimiter, KeyedLimiter, RateLimiter, RateLimiterStats, RetryBudget, RetryBudgetStats,
};
#[cfg(feature = "memo")]
use crate::{
    Memo, MemoStats,
    memo::{Key, Totals, Value},
};
use std::hash::Hash;

/// Counts become floats of 53 bits, which all exporters take.
#[allow(clippy::cast_precision_loss)]
fn number(count: usize) -> f64 {
    count as f64
}

/// Reports calls by their outcome.
fn by_outcome<const N: usize>(report: &mut Report<'_>, metric: Metric, outcomes: [(&'static str, u64); N]) {
    for (outcome, calls) in outcomes {
        report.counter(metric, &[("outcome", outcome)], calls);
    }
}

mod rate_limiter {
    use super::Metric;

    pub(super) const CALLS: Metric =
        Metric::count("decor.rate_limiter.calls", "Calls by their end at the rate limiter.");
    pub(super) const WAITING: Metric = Metric::count("decor.rate_limiter.waiting", "Calls that wait for a permit now.");
    pub(super) const AVAILABLE: Metric =
        Metric::count("decor.rate_limiter.available", "Permits of each window that could be taken now.");
    pub(super) const KEYS: Metric = Metric::count("decor.rate_limiter.keys", "Keys that are remembered.");
    pub(super) const ASKS: Metric =
        Metric::count("decor.rate_limiter.asks", "Requests to the store of a shared limit.");
    pub(super) const LAPSED: Metric =
        Metric::count("decor.rate_limiter.lapsed", "Permits that the store granted and no call used in time.");
    pub(super) const ADMITTED_ALONE: Metric =
        Metric::count("decor.rate_limiter.admitted_alone", "Calls that were admitted while the store was down.");
    pub(super) const STORE_UP: Metric =
        Metric::count("decor.rate_limiter.store_up", "1 while the store of a shared limit is up, otherwise 0.");
}

fn report_rate_limiter(report: &mut Report<'_>, stats: &RateLimiterStats, is_shared: bool) {
    let RateLimiterStats { admitted, delayed, refused, cancelled, waiting, .. } = *stats;
    let at_once = admitted.saturating_sub(delayed);
    let outcomes = [("admitted", at_once), ("delayed", delayed), ("refused", refused), ("cancelled", cancelled)];
    by_outcome(report, rate_limiter::CALLS, outcomes);
    report.gauge(rate_limiter::WAITING, &[], number(waiting));
    if is_shared {
        let RateLimiterStats { asks, lapsed, admitted_alone, is_up, .. } = *stats;
        report.counter(rate_limiter::ASKS, &[], asks);
        report.counter(rate_limiter::LAPSED, &[], lapsed);
        report.counter(rate_limiter::ADMITTED_ALONE, &[], admitted_alone);
        report.gauge(rate_limiter::STORE_UP, &[], u8::from(is_up).into());
    }
}

/// Labels of the windows, counted from 1 as in the errors of a limiter.
const WINDOWS: [&str; 4] = ["1", "2", "3", "4"];

impl Observe for RateLimiter {
    const KIND: &'static str = "rate_limiter";

    fn report(&self, report: &mut Report<'_>) {
        report_rate_limiter(report, &self.stats(), self.is_shared());
        for (window, available) in WINDOWS.into_iter().zip(self.available_per_window()) {
            report.gauge(rate_limiter::AVAILABLE, &[("window", window)], available.into());
        }
    }
}

impl<K: Eq + Hash + Clone> Observe for KeyedLimiter<K> {
    const KIND: &'static str = RateLimiter::KIND;

    fn report(&self, report: &mut Report<'_>) {
        report_rate_limiter(report, &self.stats(), self.is_shared());
        report.gauge(rate_limiter::KEYS, &[], number(self.len()));
    }
}

mod concurrency_limiter {
    use super::Metric;

    pub(super) const CALLS: Metric =
        Metric::count("decor.concurrency_limiter.calls", "Calls by their end at the concurrency limiter.");
    pub(super) const WAITING: Metric =
        Metric::count("decor.concurrency_limiter.waiting", "Calls that wait for a permit now.");
    pub(super) const IN_USE: Metric = Metric::count("decor.concurrency_limiter.in_use", "Permits that are taken now.");
    pub(super) const LIMIT: Metric = Metric::count("decor.concurrency_limiter.limit", "Limit of the permits now.");
    pub(super) const CHANGES: Metric =
        Metric::count("decor.concurrency_limiter.changes", "Changes of an adaptive limit.");
    pub(super) const KEYS: Metric = Metric::count("decor.concurrency_limiter.keys", "Keys that are remembered.");
}

fn report_concurrency(report: &mut Report<'_>, stats: &ConcurrencyStats) {
    let ConcurrencyStats { admitted, delayed, refused, cancelled, grown, shrunk, waiting, in_use, limit } = *stats;
    let at_once = admitted.saturating_sub(delayed);
    let outcomes = [("admitted", at_once), ("delayed", delayed), ("refused", refused), ("cancelled", cancelled)];
    by_outcome(report, concurrency_limiter::CALLS, outcomes);
    for (direction, changes) in [("grown", grown), ("shrunk", shrunk)] {
        report.counter(concurrency_limiter::CHANGES, &[("direction", direction)], changes);
    }
    report.gauge(concurrency_limiter::WAITING, &[], number(waiting));
    report.gauge(concurrency_limiter::IN_USE, &[], in_use.into());
    report.gauge(concurrency_limiter::LIMIT, &[], limit.into());
}

impl Observe for ConcurrencyLimiter {
    const KIND: &'static str = "concurrency_limiter";

    fn report(&self, report: &mut Report<'_>) {
        report_concurrency(report, &self.stats());
    }
}

impl<K: Eq + Hash + Clone> Observe for KeyedConcurrencyLimiter<K> {
    const KIND: &'static str = ConcurrencyLimiter::KIND;

    fn report(&self, report: &mut Report<'_>) {
        report_concurrency(report, &self.stats());
        report.gauge(concurrency_limiter::KEYS, &[], number(self.len()));
    }
}

mod circuit_breaker {
    use super::Metric;

    pub(super) const CALLS: Metric =
        Metric::count("decor.circuit_breaker.calls", "Calls as the circuit breaker counts them.");
    pub(super) const SLOW: Metric = Metric::count("decor.circuit_breaker.slow", "Failures because of their duration.");
    pub(super) const OPENED: Metric =
        Metric::count("decor.circuit_breaker.opened", "Number of times that the circuit opened.");
    pub(super) const STATE: Metric = Metric::count("decor.circuit_breaker.state", "Circuits in this state now.");
    pub(super) const KEYS: Metric = Metric::count("decor.circuit_breaker.keys", "Keys that are remembered.");
}

fn report_breaker(report: &mut Report<'_>, stats: &CircuitBreakerStats, each: impl IntoIterator<Item = CircuitState>) {
    let CircuitBreakerStats { succeeded, failed, slow, ignored, late, refused, opened } = *stats;
    let outcomes =
        [("succeeded", succeeded), ("failed", failed), ("ignored", ignored), ("late", late), ("refused", refused)];
    by_outcome(report, circuit_breaker::CALLS, outcomes);
    report.counter(circuit_breaker::SLOW, &[], slow);
    report.counter(circuit_breaker::OPENED, &[], opened);
    let [mut closed, mut open, mut half_open, mut isolated] = [0; 4];
    for state in each {
        *match state {
            CircuitState::Closed => &mut closed,
            CircuitState::Open => &mut open,
            CircuitState::HalfOpen => &mut half_open,
            CircuitState::Isolated => &mut isolated,
        } += 1;
    }
    for (state, circuits) in [("closed", closed), ("open", open), ("half-open", half_open), ("isolated", isolated)] {
        report.gauge(circuit_breaker::STATE, &[("state", state)], number(circuits));
    }
}

impl Observe for CircuitBreaker {
    const KIND: &'static str = "circuit_breaker";

    fn report(&self, report: &mut Report<'_>) {
        report_breaker(report, &self.stats(), [self.state()]);
    }
}

impl<K: Eq + Hash + Clone> Observe for KeyedBreaker<K> {
    const KIND: &'static str = CircuitBreaker::KIND;

    fn report(&self, report: &mut Report<'_>) {
        report_breaker(report, &self.stats(), self.states());
        report.gauge(circuit_breaker::KEYS, &[], number(self.len()));
    }
}

#[cfg(feature = "memo")]
mod memo {
    use super::Metric;

    pub(super) const CALLS: Metric = Metric::count("decor.memo.calls", "Calls by their first contact with the memo.");
    pub(super) const LOADS: Metric = Metric::count("decor.memo.loads", "Loads begun.");
    pub(super) const LOAD_FAILURES: Metric =
        Metric::count("decor.memo.load_failures", "Loads that ended without a value to keep.");
    pub(super) const EVICTIONS: Metric =
        Metric::count("decor.memo.evictions", "Values that were dropped to keep to the capacity.");
    pub(super) const EXPIRATIONS: Metric =
        Metric::count("decor.memo.expirations", "Values that had expired when they were dropped or replaced.");
    pub(super) const LOADING: Metric = Metric::count("decor.memo.loading", "Loads under way now.");
    pub(super) const ENTRIES: Metric = Metric::count("decor.memo.entries", "Values stored now.");
    pub(super) const TIER_HITS: Metric =
        Metric::count("decor.memo.tier_hits", "Misses that the tier answered, without a load.");
    pub(super) const TIER_WAITS: Metric =
        Metric::count("decor.memo.tier_waits", "Misses that waited for the load of another process.");
    pub(super) const TIER_REFUSED: Metric = Metric::count(
        "decor.memo.tier_refused",
        "Loaded values that did not reach the tier, because they were outdated.",
    );
    pub(super) const UNDECODABLE: Metric =
        Metric::count("decor.memo.undecodable", "Values of the tier that could not be read, and were replaced.");
    pub(super) const TIER_UP: Metric = Metric::count("decor.memo.tier_up", "1 while the tier is up, otherwise 0.");
}

#[cfg(feature = "memo")]
impl<K: Key, V: Value> Observe for Memo<K, V> {
    const KIND: &'static str = "memo";

    #[allow(clippy::cast_precision_loss)] // as in `number`
    fn report(&self, report: &mut Report<'_>) {
        let MemoStats { loading, entries, .. } = self.stats();
        // The counts since the memo was made, because a clear must not make a counter fall.
        let Totals { fresh_hits, expired_hits, has_tier, others } = self.core().totals();
        let MemoStats { misses, coalesced, loads, load_failures, evictions, expirations, .. } = others;
        let outcomes = [("hit", fresh_hits), ("stale", expired_hits), ("miss", misses), ("coalesced", coalesced)];
        by_outcome(report, memo::CALLS, outcomes);
        report.counter(memo::LOADS, &[], loads);
        report.counter(memo::LOAD_FAILURES, &[], load_failures);
        report.counter(memo::EVICTIONS, &[], evictions);
        report.counter(memo::EXPIRATIONS, &[], expirations);
        report.gauge(memo::LOADING, &[], loading as f64);
        report.gauge(memo::ENTRIES, &[], entries as f64);
        if has_tier {
            let MemoStats { tier_hits, tier_waits, tier_refused, undecodable, tier_is_up, .. } = others;
            report.counter(memo::TIER_HITS, &[], tier_hits);
            report.counter(memo::TIER_WAITS, &[], tier_waits);
            report.counter(memo::TIER_REFUSED, &[], tier_refused);
            report.counter(memo::UNDECODABLE, &[], undecodable);
            report.gauge(memo::TIER_UP, &[], u8::from(tier_is_up).into());
        }
    }
}

mod retry_budget {
    use super::Metric;

    pub(super) const DEPOSITS: Metric = Metric::count("decor.retry_budget.deposits", "Calls that succeeded.");
    pub(super) const WITHDRAWALS: Metric =
        Metric::count("decor.retry_budget.withdrawals", "Retries and hedges that were paid for.");
    pub(super) const RETURNS: Metric = Metric::count("decor.retry_budget.returns", "Withdrawals that were given back.");
    pub(super) const REFUSALS: Metric =
        Metric::count("decor.retry_budget.refusals", "Retries and hedges that did not take place.");
    pub(super) const BALANCE: Metric = Metric::count("decor.retry_budget.balance", "Retries that can be paid for now.");
}

impl Observe for RetryBudget {
    const KIND: &'static str = "retry_budget";

    fn report(&self, report: &mut Report<'_>) {
        let RetryBudgetStats { deposits, withdrawals, returns, refusals, balance } = self.stats();
        report.counter(retry_budget::DEPOSITS, &[], deposits);
        report.counter(retry_budget::WITHDRAWALS, &[], withdrawals);
        report.counter(retry_budget::RETURNS, &[], returns);
        report.counter(retry_budget::REFUSALS, &[], refusals);
        report.gauge(retry_budget::BALANCE, &[], balance);
    }
}

mod hedge {
    use super::Metric;

    pub(super) const CALLS: Metric = Metric::count("decor.hedge.calls", "Calls of hedged functions.");
    pub(super) const HEDGES: Metric = Metric::count("decor.hedge.hedges", "Hedges that were started.");
    pub(super) const WINS: Metric = Metric::count("decor.hedge.wins", "Calls that returned the value of a hedge.");
    pub(super) const OVER_BUDGET: Metric =
        Metric::count("decor.hedge.over_budget", "Hedges that the budget could not pay for.");
    pub(super) const DELAY: Metric = Metric::seconds("decor.hedge.delay", "Delay before the next hedge.");
}

impl Observe for Hedge {
    const KIND: &'static str = "hedge";

    fn report(&self, report: &mut Report<'_>) {
        let HedgeStats { calls, hedges, wins, over_budget, delay, .. } = self.stats();
        report.counter(hedge::CALLS, &[], calls);
        report.counter(hedge::HEDGES, &[], hedges);
        report.counter(hedge::WINS, &[], wins);
        report.counter(hedge::OVER_BUDGET, &[], over_budget);
        if let Some(delay) = delay {
            report.gauge(hedge::DELAY, &[], delay.as_secs_f64());
        }
    }
}
