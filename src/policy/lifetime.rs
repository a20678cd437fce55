//! How long a remembered value is good, and what it is good for after that.

use super::{Nanos, jitter::fraction, nanos};
use std::{fmt, time::Duration};

/// What holds for every value of a memo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// The part of a TTL that chance may take from it, 0 to 1.
    pub(crate) jitter: f64,
    /// The part of a TTL after which a value is to be refreshed; 1 for never.
    pub(crate) refresh_ahead: f64,
    /// So long after its expiry a value is served while another is loaded.
    pub(crate) stale_while_revalidate: Nanos,
    /// So long after its expiry a value is served where no other could be loaded.
    pub(crate) stale_on_error: Nanos,
}

/// What is written on one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// From here on somebody may load another; never after `expires_at`.
    refresh_at: Nanos,
    /// The first moment at which it is no longer good.
    expires_at: Nanos,
}

/// What a value is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// To be served.
    Fresh,
    /// To be served, and one caller refreshes it.
    Due,
    /// Expired, but to be served while one caller refreshes it.
    Stale,
    /// Not to be served, unless loading fails.
    Expired,
    /// Of no further use.
    Over,
}

impl Lifetime {
    /// The stamp of a value that was loaded `now`. A TTL beyond what can be counted never ends.
    pub(crate) fn stamp(&self, ttl: Duration, now: Nanos, random: u64) -> Stamp {
        let ttl = nanos(ttl);
        if ttl == Nanos::MAX {
            return Stamp { refresh_at: Nanos::MAX, expires_at: Nanos::MAX };
        }
        let taken = nanos(fraction(Duration::from_nanos(part(ttl, self.jitter)), random));
        let ttl = ttl - taken;
        let refreshed = if self.refresh_ahead < 1.0 { part(ttl, self.refresh_ahead) } else { ttl };
        Stamp { refresh_at: now.saturating_add(refreshed), expires_at: now.saturating_add(ttl) }
    }

    pub(crate) fn freshness(&self, stamp: Stamp, now: Nanos) -> Freshness {
        let Stamp { refresh_at, expires_at } = stamp;
        let until = |extra: Nanos| now < expires_at.saturating_add(extra);
        if now < refresh_at {
            Freshness::Fresh
        } else if until(0) {
            Freshness::Due
        } else if until(self.stale_while_revalidate) {
            Freshness::Stale
        } else if until(self.stale_on_error) {
            Freshness::Expired
        } else {
            Freshness::Over
        }
    }

    /// Whether a load can ever fail while there is a value that might stand in for it.
    pub(crate) fn has_stand_ins(&self) -> bool {
        self.refresh_ahead < 1.0 || self.stale_while_revalidate > 0 || self.stale_on_error > 0
    }
}

/// What is set, each after a comma.
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jitter, refresh_ahead, stale_while_revalidate, stale_on_error } = *self;
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

impl Stamp {
    pub(crate) fn has_expired(self, now: Nanos) -> bool {
        self.expires_at <= now
    }

    /// Whether no clock need be read to know it is fresh.
    pub(crate) fn is_for_ever(self) -> bool {
        self.refresh_at == Nanos::MAX
    }
}

/// `share` of `whole`, where `share` is 0 to 1.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // a saturating estimate
fn part(whole: Nanos, share: f64) -> Nanos {
    ((whole as f64 * share).round() as Nanos).min(whole)
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // as above
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::env;

    fn any_nanos() -> impl Strategy<Value = Nanos> {
        prop_oneof![Just(0), Just(1), 0..1_000_u64, 0..1_u64 << 40, any::<u64>(), Just(u64::MAX - 1), Just(u64::MAX)]
    }

    fn any_lifetime() -> impl Strategy<Value = Lifetime> {
        let part = || prop_oneof![Just(0.0), Just(1.0), 0.0..1.0];
        (part(), part(), any_nanos(), any_nanos()).prop_map(
            |(jitter, refresh_ahead, stale_while_revalidate, stale_on_error)| Lifetime {
                jitter,
                refresh_ahead,
                stale_while_revalidate,
                stale_on_error,
            },
        )
    }

    /// As `support::cases` of the integration tests: so many, or as many as `PROPTEST_CASES` says.
    fn cases(number: u32) -> ProptestConfig {
        if env::var_os("PROPTEST_CASES").is_some() {
            ProptestConfig::default()
        } else {
            ProptestConfig::with_cases(number)
        }
    }

    proptest! {
        #![proptest_config(cases(5_000))]

        /// Without saturation and without rounding, in numbers that are large enough.
        #[test]
        fn it_is_what_one_would_say_it_is(
            lifetime in any_lifetime(),
            ttl in any_nanos(),
            now in any_nanos(),
            later in any_nanos(),
            random in any::<u64>(),
        ) {
            let stamp = lifetime.stamp(Duration::from_nanos(ttl), now, random);
            prop_assert!(stamp.refresh_at <= stamp.expires_at);
            if ttl == Nanos::MAX {
                prop_assert!(stamp.is_for_ever());
                prop_assert_eq!(lifetime.freshness(stamp, later.min(Nanos::MAX - 1)), Freshness::Fresh);
                return Ok(());
            }
            // What is left of the TTL, and the part of that after which it is due; each within what a float cannot tell.
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
                Freshness::Over
            };
            let later = Nanos::try_from(later).unwrap();
            prop_assert_eq!(lifetime.freshness(stamp, later), naive);
            prop_assert_eq!(stamp.has_expired(later), !until(0));
        }
    }

    #[test]
    fn a_part_of_it_is_exact_where_it_can_be() {
        let lifetime = Lifetime { jitter: 0.0, refresh_ahead: 0.7, stale_while_revalidate: 0, stale_on_error: 0 };
        let stamp = lifetime.stamp(Duration::from_secs(10), 5, u64::MAX);
        assert_eq!(stamp, Stamp { refresh_at: 7_000_000_005, expires_at: 10_000_000_005 });
        let all = Lifetime { jitter: 1.0, ..lifetime };
        assert_eq!(all.stamp(Duration::from_secs(10), 5, 0).expires_at, 10_000_000_005);
        assert_eq!(all.stamp(Duration::from_secs(10), 5, u64::MAX).expires_at, 5, "all of it is taken");
    }
}
