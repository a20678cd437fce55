//! The freshness of a value in a memo. Decides at any moment if the value is served, refreshed or
//! dead.

use super::retry::{Delays, RetryPolicy, fraction};
use crate::clock::{Nanos, nanos};
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The rules for all values of a memo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// Largest part by which a TTL is shortened at random, 0 to 1.
    pub(crate) jitter: f64,
    /// Part of a TTL after which a value is due for a refresh; 1 if values are not refreshed ahead.
    pub(crate) refresh_ahead: f64,
    /// Time from its latest use until a value expires; [`Nanos::MAX`] if unused values do not
    /// expire.
    pub(crate) time_to_idle: Nanos,
    /// Time after its expiry for which a value is served while a new one loads.
    pub(crate) stale_while_revalidate: Nanos,
    /// Time after its expiry for which a value is served if loading a new one fails.
    pub(crate) stale_on_error: Nanos,
}

/// The time limits of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// First moment at which a call refreshes the value. At most `expires_at`.
    refresh_at: Nanos,
    /// First moment at which the value has expired; [`Nanos::MAX`] if it never expires.
    expires_at: Nanos,
    /// `true` if the windows after expiry apply.
    can_be_stale: bool,
}

/// The ways in which a value may be used at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Served.
    Fresh,
    /// Served, while one caller refreshes it.
    Due,
    /// Expired, but served while one caller refreshes it.
    Stale,
    /// Expired, but served without a refresh, because the latest refresh failed shortly before.
    Resting,
    /// Expired, and served only if loading fails.
    Expired,
    /// Past its expiry and all windows. Never served again.
    Dead,
}

/// A lifetime that can be reloaded.
///
/// Not the atomics of `crate::sync`, because a reload may come at any moment: each call reads each
/// setting once.
#[derive(Debug)]
pub(crate) struct LiveLifetime {
    /// The bits of a float, as those of `refresh_ahead`.
    jitter: AtomicU64,
    refresh_ahead: AtomicU64,
    time_to_idle: AtomicU64,
    stale_while_revalidate: AtomicU64,
    stale_on_error: AtomicU64,
}

impl LiveLifetime {
    pub(crate) fn new(lifetime: &Lifetime) -> Self {
        Self {
            jitter: lifetime.jitter.to_bits().into(),
            refresh_ahead: lifetime.refresh_ahead.to_bits().into(),
            time_to_idle: lifetime.time_to_idle.into(),
            stale_while_revalidate: lifetime.stale_while_revalidate.into(),
            stale_on_error: lifetime.stale_on_error.into(),
        }
    }

    pub(crate) fn get(&self) -> Lifetime {
        Lifetime {
            jitter: f64::from_bits(self.jitter.load(Relaxed)),
            refresh_ahead: f64::from_bits(self.refresh_ahead.load(Relaxed)),
            time_to_idle: self.time_to_idle.load(Relaxed),
            stale_while_revalidate: self.stale_while_revalidate.load(Relaxed),
            stale_on_error: self.stale_on_error.load(Relaxed),
        }
    }

    pub(crate) fn set(&self, lifetime: &Lifetime) {
        self.jitter.store(lifetime.jitter.to_bits(), Relaxed);
        self.refresh_ahead.store(lifetime.refresh_ahead.to_bits(), Relaxed);
        self.time_to_idle.store(lifetime.time_to_idle, Relaxed);
        self.stale_while_revalidate.store(lifetime.stale_while_revalidate, Relaxed);
        self.stale_on_error.store(lifetime.stale_on_error, Relaxed);
    }

    #[inline]
    pub(crate) fn expires_when_idle(&self) -> bool {
        self.time_to_idle.load(Relaxed) < Nanos::MAX
    }
}

impl Lifetime {
    /// Returns the stamp of a value that was loaded at `now`. A TTL beyond the range of [`Nanos`]
    /// never ends.
    pub(crate) fn stamp(&self, ttl: Duration, now: Nanos, random: u64) -> Stamp {
        let ttl = nanos(ttl);
        let (refresh_at, expires_at) = if ttl == Nanos::MAX {
            (Nanos::MAX, Nanos::MAX)
        } else {
            let taken = nanos(fraction(Duration::from_nanos(fraction_of(ttl, self.jitter)), random));
            let ttl = ttl - taken;
            let refreshed = if self.refresh_ahead < 1.0 { fraction_of(ttl, self.refresh_ahead) } else { ttl };
            (now.saturating_add(refreshed), now.saturating_add(ttl))
        };
        // With a `time_to_idle`, below `Nanos::MAX`, which would mean that the value is always
        // fresh.
        let latest = Nanos::MAX - Nanos::from(self.expires_when_idle());
        Stamp { refresh_at: refresh_at.min(latest), expires_at, can_be_stale: true }
    }

    /// Returns the stamp with the latest use at `used_at`.
    #[inline]
    pub(crate) fn stamp_after_use(&self, stamp: Stamp, used_at: Nanos) -> Stamp {
        let expires_at = stamp.expires_at.min(used_at.saturating_add(self.time_to_idle));
        Stamp { refresh_at: stamp.refresh_at.min(expires_at), expires_at, ..stamp }
    }

    #[inline]
    pub(crate) fn expires_when_idle(&self) -> bool {
        self.time_to_idle < Nanos::MAX
    }

    pub(crate) fn freshness(&self, stamp: Stamp, now: Nanos) -> Freshness {
        let Stamp { refresh_at, expires_at, can_be_stale } = stamp;
        let until = |extra: Nanos| now < expires_at.saturating_add(extra);
        if now < refresh_at {
            Freshness::Fresh
        } else if until(0) {
            Freshness::Due
        } else if !can_be_stale {
            Freshness::Dead
        } else if until(self.stale_while_revalidate) {
            Freshness::Stale
        } else if until(self.stale_on_error) {
            Freshness::Expired
        } else {
            Freshness::Dead
        }
    }

    /// Returns the freshness of a value that rests until `rests_until`, because its latest refresh
    /// failed.
    pub(crate) fn freshness_at_rest(&self, stamp: Stamp, rests_until: Nanos, now: Nanos) -> Freshness {
        let freshness = self.freshness(stamp, now);
        match freshness {
            Freshness::Due if now < rests_until => Freshness::Fresh,
            Freshness::Stale | Freshness::Expired if now < rests_until => Freshness::Resting,
            _ => freshness,
        }
    }

    /// Returns `true` if a value can be served after a load failed.
    pub(crate) fn may_serve_stale(&self) -> bool {
        self.refresh_ahead < 1.0 || self.stale_while_revalidate > 0 || self.stale_on_error > 0
    }

    /// Longest time after its expiry for which a value can be served.
    pub(crate) fn longest_window(&self) -> Nanos {
        self.stale_while_revalidate.max(self.stale_on_error)
    }
}

/// Writes the settings that differ from their defaults, each after a comma.
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jitter, refresh_ahead, time_to_idle, stale_while_revalidate, stale_on_error } = *self;
        if time_to_idle < Nanos::MAX {
            write!(f, ", time_to_idle {:?}", Duration::from_nanos(time_to_idle))?;
        }
        if jitter > 0.0 {
            write!(f, ", jitter {jitter}")?;
        }
        if refresh_ahead < 1.0 {
            write!(f, ", refresh_ahead {refresh_ahead}")?;
        }
        for (name, window) in [("stale_while_revalidate", stale_while_revalidate), ("stale_on_error", stale_on_error)] {
            if window > 0 {
                write!(f, ", {name} {:?}", Duration::from_nanos(window))?;
            }
        }
        Ok(())
    }
}

/// The failed refreshes of one value, and the moment before which no other refresh begins.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    failures: u32,
    until: Nanos,
    delays: Delays,
}

impl Rest {
    /// Returns the rest before the first failure, which is over at any time.
    pub(crate) fn new(seed: u64) -> Self {
        Self { failures: 0, until: 0, delays: Delays::new(seed) }
    }

    /// Returns the rest after one more refresh, which failed at `now`. Runs the closure of a custom
    /// policy.
    pub(crate) fn after_failure(mut self, policy: &RetryPolicy, now: Nanos) -> Self {
        self.failures = self.failures.saturating_add(1);
        self.until = now.saturating_add(nanos(self.delays.by_policy(policy, self.failures)));
        self
    }

    pub(crate) fn until(&self) -> Nanos {
        self.until
    }

    /// Returns a rest that is over at any time. The next failure has the next delay.
    pub(crate) fn ended(&self) -> Self {
        Self { until: 0, ..self.clone() }
    }
}

impl Stamp {
    /// Returns the stamp of a value that is dead as soon as it has expired.
    pub(crate) fn never_stale(self) -> Self {
        Self { can_be_stale: false, ..self }
    }

    /// Returns the stamp of a value that expires at `moment` at the latest.
    pub(crate) fn until_at_most(self, moment: Nanos) -> Self {
        Self { refresh_at: self.refresh_at.min(moment), expires_at: self.expires_at.min(moment), ..self }
    }

    /// Returns the stamp of a value that is due for a refresh from `now` on.
    pub(crate) fn due(self, now: Nanos) -> Self {
        Self { refresh_at: self.refresh_at.min(now), ..self }
    }

    pub(crate) fn has_expired(self, now: Nanos) -> bool {
        self.expires_at <= now
    }

    /// Time of expiry; `None` if the value never expires.
    pub(crate) fn expires_at(self) -> Option<Nanos> {
        (self.expires_at < Nanos::MAX).then_some(self.expires_at)
    }

    /// Returns `true` if the value is fresh at any time, so that no clock has to be read.
    #[inline]
    pub(crate) fn is_fresh(self, now: Nanos) -> bool {
        now < self.refresh_at
    }

    pub(crate) fn is_always_fresh(self) -> bool {
        self.refresh_at == Nanos::MAX
    }
}

/// Returns `share` (0 to 1) of `whole`.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // a saturating estimate
fn fraction_of(whole: Nanos, share: f64) -> Nanos {
    ((whole as f64 * share).round() as Nanos).min(whole)
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // as above
mod tests {
    use super::*;
    use crate::cases::cases;
    use proptest::prelude::*;

    fn any_nanos() -> impl Strategy<Value = Nanos> {
        prop_oneof![Just(0), Just(1), 0..1_000_u64, 0..1_u64 << 40, any::<u64>(), Just(u64::MAX - 1), Just(u64::MAX)]
    }

    fn any_lifetime() -> impl Strategy<Value = Lifetime> {
        let part = || prop_oneof![Just(0.0), Just(1.0), 0.0..1.0];
        (part(), part(), any_nanos(), any_nanos()).prop_map(
            |(jitter, refresh_ahead, stale_while_revalidate, stale_on_error)| Lifetime {
                jitter,
                refresh_ahead,
                time_to_idle: Nanos::MAX,
                stale_while_revalidate,
                stale_on_error,
            },
        )
    }

    proptest! {
        #![proptest_config(cases(5_000))]

        /// The expected values are computed in numbers that neither saturate nor round.
        #[test]
        fn a_stamp_and_its_freshness_agree_with_exact_arithmetic(
            lifetime in any_lifetime(),
            ttl in any_nanos(),
            now in any_nanos(),
            later in any_nanos(),
            marked in any_nanos(),
            rest in any_nanos(),
            random in any::<u64>(),
        ) {
            let stamp = lifetime.stamp(Duration::from_nanos(ttl), now, random);
            prop_assert!(stamp.refresh_at <= stamp.expires_at);
            if ttl == Nanos::MAX {
                prop_assert!(stamp.is_always_fresh());
                let later = later.min(Nanos::MAX - 1);
                prop_assert_eq!(lifetime.freshness(stamp, later), Freshness::Fresh);
                let is_due = lifetime.freshness(stamp.due(marked), later) == Freshness::Due;
                prop_assert_eq!(is_due, later >= marked);
                return Ok(());
            }
            // Jitter and the part for refreshes are exact within the precision of a float.
            let [now, ttl, expires] = [now, ttl, stamp.expires_at].map(u128::from);
            let blur = 2 + (ttl >> 50);
            let shortest = ttl.saturating_sub((ttl as f64 * lifetime.jitter) as u128);
            prop_assert!(expires <= now + ttl);
            prop_assert!(expires + blur >= (now + shortest).min(u64::MAX.into()));
            if expires < u64::MAX.into() {
                let due = now + ((expires - now) as f64 * lifetime.refresh_ahead) as u128;
                prop_assert!(u128::from(stamp.refresh_at).abs_diff(due) <= blur, "{} {due}", stamp.refresh_at);
            }

            let later = u128::from(later);
            let until = |window: Nanos| later < (expires + u128::from(window)).min(u64::MAX.into());
            let naive = if later < stamp.refresh_at.into() {
                Freshness::Fresh
            } else if until(0) {
                Freshness::Due
            } else if until(lifetime.stale_while_revalidate) {
                Freshness::Stale
            } else if until(lifetime.stale_on_error) {
                Freshness::Expired
            } else {
                Freshness::Dead
            };
            let later = Nanos::try_from(later).unwrap();
            prop_assert_eq!(lifetime.freshness(stamp, later), naive);
            let due = if naive == Freshness::Fresh && later >= marked { Freshness::Due } else { naive };
            prop_assert_eq!(lifetime.freshness(stamp.due(marked), later), due);
            let at_rest = match naive {
                Freshness::Due => Freshness::Fresh,
                Freshness::Stale | Freshness::Expired => Freshness::Resting,
                other => other,
            };
            let after = later.saturating_add(rest);
            let expected = if later < after { at_rest } else { naive };
            prop_assert_eq!(lifetime.freshness_at_rest(stamp, after, later), expected);
            prop_assert_eq!(lifetime.freshness_at_rest(stamp, later, later), naive);
            let never_stale = if until(0) { naive } else { Freshness::Dead };
            prop_assert_eq!(lifetime.freshness(stamp.never_stale(), later), never_stale);
            let last_use = expires + u128::from(lifetime.longest_window());
            prop_assert_eq!(naive == Freshness::Dead, u128::from(later) >= last_use.min(u64::MAX.into()));
            prop_assert_eq!(stamp.has_expired(later), !until(0));
        }

        /// A use extends the life of a value, but never beyond its TTL.
        #[test]
        fn a_value_expires_by_its_ttl_or_when_it_is_idle(
            lifetime in any_lifetime(),
            time_to_idle in any_nanos(),
            ttl in any_nanos(),
            now in any_nanos(),
            used_at in any_nanos(),
            later in any_nanos(),
        ) {
            let lifetime = Lifetime { time_to_idle, ..lifetime };
            let stamp = lifetime.stamp(Duration::from_nanos(ttl), now, 0);
            let used = lifetime.stamp_after_use(stamp, used_at);
            let idle = (u128::from(used_at) + u128::from(time_to_idle)).min(u64::MAX.into());
            let later_is = u128::from(later);
            prop_assert_eq!(used.has_expired(later), stamp.has_expired(later) || idle <= later_is);
            let is_fresh = |stamp| lifetime.freshness(stamp, later) == Freshness::Fresh;
            prop_assert_eq!(is_fresh(used), is_fresh(stamp) && later_is < idle);
            prop_assert!(!lifetime.expires_when_idle() || !(stamp.is_always_fresh() || used.is_always_fresh()));
        }

        /// Each failure comes some time after the previous one.
        #[test]
        fn a_rest_lasts_for_the_delay_of_the_policy_after_each_failure(
            first in any_nanos(),
            longer in any_nanos(),
            pauses in prop::collection::vec(any_nanos(), 1..70),
        ) {
            let (first, cap) = (first.max(1), longer.max(first).max(1));
            let policy = RetryPolicy::exponential(Duration::from_nanos(first)).max_delay(Duration::from_nanos(cap));
            let (mut rest, mut now, mut delay) = (Rest::new(7), 0_u64, u128::from(first));
            prop_assert_eq!(rest.until(), 0);
            for pause in pauses {
                now = now.saturating_add(pause);
                rest = rest.after_failure(&policy, now);
                let until = u128::from(now) + delay.min(cap.into());
                prop_assert_eq!(u128::from(rest.until()), until.min(u64::MAX.into()));
                delay = delay.saturating_mul(2);
            }
        }
    }

    #[test]
    fn a_rest_outlives_the_attempts_of_its_policy() {
        let policy = RetryPolicy::fixed(Duration::from_nanos(5)).max_attempts(1).deadline(Duration::from_nanos(1));
        let rest = (0..10).fold(Rest::new(0), |rest, now| rest.after_failure(&policy, now));
        assert_eq!((rest.failures, rest.until()), (10, 14));
        let last = Rest { failures: u32::MAX, ..rest }.after_failure(&policy, 20);
        assert_eq!((last.failures, last.until()), (u32::MAX, 25));
    }

    #[test]
    fn rests_are_jittered_as_the_policy_says() {
        let policy = RetryPolicy::fixed(Duration::from_micros(1)).jitter(crate::Jitter::Equal);
        let until = |seed| Rest::new(seed).after_failure(&policy, 0).until();
        let drawn: Vec<_> = (0..100).map(until).collect();
        assert!(drawn.iter().all(|until| (500..=1_000).contains(until)));
        assert!(drawn.iter().any(|until| *until != drawn[0]));
    }

    #[test]
    fn whole_nanoseconds_of_a_ttl_are_divided_exactly() {
        let lifetime = Lifetime {
            jitter: 0.0,
            refresh_ahead: 0.7,
            time_to_idle: Nanos::MAX,
            stale_while_revalidate: 0,
            stale_on_error: 0,
        };
        let stamp = lifetime.stamp(Duration::from_secs(10), 5, u64::MAX);
        assert_eq!(stamp, Stamp { refresh_at: 7_000_000_005, expires_at: 10_000_000_005, can_be_stale: true });
        let all = Lifetime { jitter: 1.0, ..lifetime };
        assert_eq!(all.stamp(Duration::from_secs(10), 5, 0).expires_at, 10_000_000_005);
        assert_eq!(all.stamp(Duration::from_secs(10), 5, u64::MAX).expires_at, 5, "jitter takes the whole TTL");
    }
}
