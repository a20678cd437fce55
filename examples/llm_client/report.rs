//! The final tables: the counts of the client's chain, beside the counts of the server.

use crate::{
    server::{Load, PERIOD, Stats},
    tally::{Cause, Counts},
};
use decor::{MemoStats, RateLimiterStats, RetryBudgetStats};
use std::{
    fmt::{self, Display},
    time::Duration,
};

pub(crate) struct Report<'a> {
    pub(crate) client: &'a Counts,
    pub(crate) memo: Option<MemoStats>,
    pub(crate) limiter: Option<RateLimiterStats>,
    pub(crate) budget: RetryBudgetStats,
    /// `None` for another server, because only the built-in one has statistics.
    pub(crate) server: Option<&'a Stats>,
    pub(crate) took: Duration,
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { calls, calls_answered, fallbacks, .. } = self.client;
        let (total, failed, took) = (calls.len(), calls.len() - calls_answered, time(self.took));
        let by_model = calls_answered - fallbacks;
        writeln!(f, "{total} calls in {took}: {by_model} answered, {fallbacks} by the fallback, {failed} failed\n")?;
        self.attempts(f)?;
        writeln!(f)?;
        self.latencies(f)?;
        writeln!(f)?;
        self.memo(f)?;
        self.limits(f)?;
        self.agreement(f)
    }
}

impl Report<'_> {
    fn attempts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { attempts, attempts_answered, calls, calls_answered, fallbacks, .. } = self.client;
        let Counts { failed, retried, gave_up, .. } = self.client;
        let [all_failed, all_retried, all_given_up]: [usize; 3] =
            [failed, retried, gave_up].map(|by_cause| by_cause.values().sum());
        let saw = |count: fn(&Stats) -> usize| self.server.map_or_else(String::new, |stats| count(stats).to_string());
        let nothing = String::new;

        row(f, "", [&"attempts", &"retried", &"gave up", &self.server.map_or("", |_| "server saw")])?;
        row(f, "200 answered", [attempts_answered, &"", &"", &saw(|stats| stats.answered)])?;
        for (name, cause, saw) in [
            ("429 throttled", Cause::Throttled, saw(|stats| stats.throttled)),
            ("5xx failed", Cause::ServerError, saw(|stats| stats.failed)),
            ("timed out, hung", Cause::TimedOut, saw(|stats| stats.hung)),
            ("no connection", Cause::Connection, nothing()),
            ("circuit open", Cause::CircuitOpen, nothing()),
            ("anything else", Cause::Other, nothing()),
        ] {
            let [failed, retried, gave_up] =
                [failed, retried, gave_up].map(|by_cause| by_cause.get(&cause).copied().unwrap_or(0));
            row(f, name, [&failed, &retried, &gave_up, &saw])?;
        }
        // The rest was ended from outside: attempts by the total timeout or because a hedge had
        // won, calls by the total timeout or by the failed load of another call.
        let attempts_cut = attempts.len().saturating_sub(attempts_answered + all_failed);
        let calls_cut = (calls.len() + fallbacks - calls_answered).saturating_sub(all_given_up);
        row(f, "cut short", [&attempts_cut, &"", &calls_cut, &""])?;
        row(f, "all", [&attempts.len(), &all_retried, &(all_given_up + calls_cut), &saw(|stats| stats.requests)])
    }

    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "latency", [&"p50", &"p90", &"p99", &"max"])?;
        for (name, durations) in [("whole calls", &self.client.calls), ("single attempts", &self.client.attempts)] {
            let mut sorted = durations.clone();
            sorted.sort_unstable();
            let [p50, p90, p99, max] =
                [50, 90, 99, 100].map(|percent| percentile(&sorted, percent).map_or("-".into(), time));
            row(f, name, [&p50, &p90, &p99, &max])?;
        }
        Ok(())
    }

    fn memo(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(stats) = self.memo else { return Ok(()) };
        let MemoStats { hits, coalesced, loads, .. } = stats;
        let (calls, percent, load) = (stats.calls(), stats.hit_rate() * 100.0, stats.mean_load_time());
        write!(f, "{:<18}{hits} hits of {calls} calls ({percent:.0} %), {coalesced} coalesced, ", "memo")?;
        writeln!(f, "{loads} loads, mean load {}", time(load))?;
        // A call loads at most once. The time that a coalesced call saved is not known, so the
        // estimate counts hits only.
        let spared = calls.saturating_sub(loads);
        let saved = load.saturating_mul(hits.try_into().unwrap_or(u32::MAX));
        writeln!(f, "{:<18}{spared} calls needed no load; about {} saved (hits x mean load)", "", time(saved))
    }

    fn limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RetryBudgetStats { withdrawals, refusals, .. } = self.budget;
        writeln!(f, "{:<18}{withdrawals} retries paid, {refusals} refused", "budget")?;
        if let Some(stats) = self.limiter {
            let RateLimiterStats { admitted, delayed, .. } = stats;
            let wait = time(stats.mean_wait());
            writeln!(f, "{:<18}{admitted} admitted, {delayed} of them delayed, mean wait {wait}", "limiter")?;
            let Counts { tokens_reserved: reserved, tokens_used: used, .. } = self.client;
            let [[_, charged, ..], [_, refunded, ..]] = [stats.charged, stats.refunded];
            // An attempt without an answer keeps its reservation, because the server may have
            // counted it.
            let kept = (reserved + charged).saturating_sub(used + refunded);
            writeln!(
                f,
                "{:<18}{reserved} reserved, {used} used by answers, {refunded} refunded, {charged} charged beyond, \
                 {kept} kept for attempts without an answer",
                "tokens"
            )?;
        }
        let Some(Stats { most, limits, .. }) = self.server else { return Ok(()) };
        let Load { requests, tokens } = limits;
        let name = format!("most in any {} s", PERIOD.as_secs());
        write!(f, "{name:<18}requests {} of {requests}, tokens {} of {tokens}", most.requests, most.tokens)?;
        writeln!(f, " (the server's own record)")?;
        let is_over = most.requests > *requests || most.tokens > *tokens;
        match (is_over, self.limiter) {
            (false, _) => Ok(()),
            (true, None) => writeln!(f, "{:<18}that is above the limit, because there was no limiter", ""),
            (true, Some(_)) => {
                let why = "some requests took longer than the margin, or answers were longer than reserved";
                writeln!(f, "{:<18}that is above the limit: {why}", "")
            }
        }
    }

    fn agreement(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Stats { requests, distinct_prompts, .. }) = self.server else { return Ok(()) };
        let attempts = self.client.attempts.len();
        let verdict = if attempts == *requests {
            "they agree"
        } else {
            "they differ (some attempt may have ended before the server read it)"
        };
        let by_server = format!("{requests} requests ({distinct_prompts} different prompts)");
        writeln!(f, "\n{attempts} attempts by the client, {by_server} at the server: {verdict}")
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, cells: [&dyn Display; 4]) -> fmt::Result {
    let [first, second, third, last] = cells;
    let line = format!("{name:<16}{first:>10}{second:>10}{third:>10}{last:>12}");
    writeln!(f, "{}", line.trim_end())
}

/// Returns the nearest rank: always a duration that was measured.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

pub(crate) fn time(duration: Duration) -> String {
    match duration.as_millis() {
        ..10 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        millis @ ..1000 => format!("{millis} ms"),
        _ => format!("{:.2} s", duration.as_secs_f64()),
    }
}
