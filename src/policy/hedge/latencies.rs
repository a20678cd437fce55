//! Durations of recent calls, and one percentile of them.
//!
//! A histogram with 16 buckets for each power of two of nanoseconds, as in `HdrHistogram` (Tene).
//! The percentile is the upper end of a bucket, so it is never too short, and at most a sixteenth
//! too long. The bucket of the percentile is kept, and moves by few buckets with each sample.

use crate::{ConfigError, clock::Nanos};
use std::fmt;

/// Number of buckets for each power of two.
const PER_OCTAVE: usize = 16;
/// Number of bits of a bucket's position within its power of two.
const BITS: u32 = PER_OCTAVE.ilog2();
/// Values below 16 have a bucket each. All further powers of two up to 2^63 have 16.
const BUCKETS: usize = PER_OCTAVE * (Nanos::BITS - BITS + 1) as usize;

/// Number of samples that a percentile needs.
const MIN_SAMPLES: u64 = 100;
/// Number of samples at which all counts are halved, so that the percentile follows the calls of
/// late. The percentile always counts the latest half of this number.
const MAX_SAMPLES: u64 = 8_192;

/// A percentile in millionths: 950,000 for 0.95. Whole numbers have no rounding that grows with the
/// number of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rank(u32);

const MILLION: u32 = 1_000_000;

impl Rank {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and a million
    pub(crate) fn try_new(percentile: f64) -> Result<Self, ConfigError> {
        if !(percentile > 0.0 && percentile < 1.0) {
            return Err(ConfigError::new("percentile", percentile, "above 0 and below 1"));
        }
        Ok(Self((percentile * f64::from(MILLION)).round() as u32))
    }

    /// Position of the percentile among so many sorted samples; 1 for the shortest.
    fn among(self, samples: u64) -> u64 {
        (samples * u64::from(self.0)).div_ceil(u64::from(MILLION)).max(1)
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / f64::from(MILLION))
    }
}

/// The histogram, in 4 KiB.
#[derive(Debug)]
pub(crate) struct Latencies {
    rank: Rank,
    counts: [u32; BUCKETS],
    /// Sum of the counts, below `MAX_SAMPLES`.
    samples: u64,
    /// Bucket of the percentile.
    bucket: usize,
    /// Sum of the counts of the buckets before `bucket`.
    before: u64,
}

impl Latencies {
    pub(crate) fn new(rank: Rank) -> Self {
        Self { rank, counts: [0; BUCKETS], samples: 0, bucket: 0, before: 0 }
    }

    /// Changes the percentile. The samples stay.
    pub(crate) fn set_rank(&mut self, rank: Rank) {
        self.rank = rank;
        if self.samples > 0 {
            self.find_percentile();
        }
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// The percentile in nanoseconds; `None` before there are 100 samples.
    pub(crate) fn percentile(&self) -> Option<Nanos> {
        (self.samples >= MIN_SAMPLES).then(|| last_of(self.bucket))
    }

    pub(crate) fn record(&mut self, duration: Nanos) {
        self.add(bucket_of(duration), 1);
    }

    /// Records a number of calls that took no time.
    pub(crate) fn record_instant(&mut self, calls: u64) {
        // Halving that often leaves nothing of the earlier samples.
        let mut left = calls.min(16 * MAX_SAMPLES);
        while left > 0 {
            let some = left.min(MAX_SAMPLES - self.samples);
            self.add(0, some);
            left -= some;
        }
    }

    fn add(&mut self, bucket: usize, samples: u64) {
        self.counts[bucket] += u32::try_from(samples).expect("at most `MAX_SAMPLES`");
        self.samples += samples;
        if bucket < self.bucket {
            self.before += samples;
        }
        if self.samples >= MAX_SAMPLES {
            self.halve();
        }
        self.find_percentile();
    }

    fn find_percentile(&mut self) {
        let rank = self.rank.among(self.samples);
        while self.before >= rank {
            self.bucket -= 1;
            self.before -= u64::from(self.counts[self.bucket]);
        }
        while self.before + u64::from(self.counts[self.bucket]) < rank {
            self.before += u64::from(self.counts[self.bucket]);
            self.bucket += 1;
        }
    }

    /// Removes every other sample in the order of their durations. If each count were halved by
    /// itself, single samples would vanish, and the longest durations are single.
    fn halve(&mut self) {
        let mut odd = 0;
        for count in &mut self.counts {
            let sum = *count + odd;
            (*count, odd) = (sum / 2, sum % 2);
        }
        let sum = |counts: &[u32]| counts.iter().map(|count| u64::from(*count)).sum();
        self.samples = sum(&self.counts);
        self.before = sum(&self.counts[..self.bucket]);
    }
}

fn bucket_of(duration: Nanos) -> usize {
    let Some(octave) = duration.checked_ilog2().and_then(|log| log.checked_sub(BITS)) else {
        return index(duration);
    };
    PER_OCTAVE * octave as usize + index(duration >> octave)
}

/// The longest duration of a bucket.
fn last_of(bucket: usize) -> Nanos {
    let Some(octave) = (bucket / PER_OCTAVE).checked_sub(1) else { return bucket as Nanos };
    let first = (bucket - PER_OCTAVE * octave) as Nanos;
    (first << octave) + ((1 << octave) - 1)
}

fn index(small: Nanos) -> usize {
    usize::try_from(small).expect("below 32")
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use crate::cases::cases;
    use proptest::prelude::*;

    const MILLI: Nanos = 1_000_000;

    fn of(percentile: f64) -> Latencies {
        Latencies::new(Rank::try_new(percentile).unwrap())
    }

    /// The percentile of sorted samples by the nearest rank.
    fn naive(sorted: &[Nanos], percentile: f64) -> Nanos {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = ((sorted.len() as f64) * (percentile * 1e6).round() / 1e6 - 1e-9).ceil() as usize;
        sorted[rank.max(1) - 1]
    }

    fn duration() -> impl Strategy<Value = Nanos> {
        prop_oneof![0_u64..64, 0..100 * MILLI, any::<u64>(), (0_u32..64).prop_map(|bits| u64::MAX >> bits)]
    }

    proptest! {
        #![proptest_config(cases(5_000))]

        #[test]
        fn the_percentile_is_at_most_a_sixteenth_longer_than_the_sample(
            mut samples in prop::collection::vec(duration(), 100..200),
            percentile in prop_oneof![Just(0.5), Just(0.95), Just(0.99), Just(0.999), 0.000_001_f64..0.999_999],
        ) {
            let mut latencies = of(percentile);
            for (number, sample) in samples.iter().enumerate() {
                prop_assert_eq!(latencies.percentile().is_some(), number >= 100);
                latencies.record(*sample);
            }
            samples.sort_unstable();
            let (exact, found) = (naive(&samples, percentile), latencies.percentile().unwrap());
            prop_assert!(exact <= found && u128::from(found) * 16 <= u128::from(exact) * 17, "{exact} {found}");
        }

        #[test]
        fn a_bucket_ends_where_the_next_one_begins(duration in duration()) {
            let bucket = bucket_of(duration);
            prop_assert!(bucket < BUCKETS && duration <= last_of(bucket));
            prop_assert!(bucket == 0 || last_of(bucket - 1) < duration);
        }
    }

    proptest! {
        #![proptest_config(cases(30))]

        /// The samples that are left are every other one of the sorted samples, and so on.
        #[test]
        fn halving_keeps_the_percentile(
            samples in prop::collection::vec(duration(), 8_192..9_000),
            percentile in prop_oneof![Just(0.5), Just(0.95), Just(0.999)],
        ) {
            let mut latencies = of(percentile);
            let mut model: Vec<Nanos> = Vec::new();
            for sample in samples {
                latencies.record(sample);
                model.push(sample);
                if model.len() == 8_192 {
                    model.sort_unstable_by_key(|sample| bucket_of(*sample));
                    model = model.into_iter().skip(1).step_by(2).collect();
                }
            }
            model.sort_unstable();
            prop_assert_eq!(latencies.samples(), model.len() as u64);
            prop_assert_eq!(latencies.percentile().unwrap(), last_of(bucket_of(naive(&model, percentile))));
        }
    }

    #[test]
    fn the_histogram_has_4_kib() {
        assert_eq!(BUCKETS, 976);
        assert!((3_900..=4_096).contains(&size_of::<Latencies>()), "{}", size_of::<Latencies>());
        assert_eq!((bucket_of(0), bucket_of(Nanos::MAX), last_of(BUCKETS - 1)), (0, BUCKETS - 1, Nanos::MAX));
    }

    #[test]
    fn the_hundredth_sample_makes_a_percentile() {
        let mut latencies = of(0.95);
        (1..=99).for_each(|millis| latencies.record(millis * MILLI));
        assert_eq!((latencies.samples(), latencies.percentile()), (99, None));
        latencies.record(100 * MILLI);
        let found = latencies.percentile().unwrap();
        assert!((95 * MILLI..101 * MILLI).contains(&found), "{found}");
    }

    /// The calls become ten times as fast, and later ten times as slow again.
    #[test]
    fn the_percentile_follows_a_change() {
        let mut latencies = of(0.95);
        let near = |latencies: &Latencies, millis: u64| {
            let found = latencies.percentile().unwrap();
            (millis * MILLI..=millis * MILLI * 17 / 16).contains(&found)
        };
        (0..100_000).for_each(|_| latencies.record(100 * MILLI));
        assert!(near(&latencies, 100));
        let faster = (0..100_000).find(|_| {
            latencies.record(10 * MILLI);
            near(&latencies, 10)
        });
        assert!(faster.is_some_and(|calls| calls < 3 * MAX_SAMPLES), "{faster:?}");
        let slower = (0..100_000).find(|_| {
            latencies.record(100 * MILLI);
            near(&latencies, 100)
        });
        assert!(slower.is_some_and(|calls| calls < MAX_SAMPLES / 10), "{slower:?}");
    }

    #[test]
    fn any_number_of_instant_calls_can_be_recorded() {
        let mut latencies = of(0.95);
        latencies.record_instant(95);
        (0..5).for_each(|_| latencies.record(MILLI));
        assert_eq!(latencies.percentile(), Some(0));
        latencies.record(MILLI);
        assert!(latencies.percentile().is_some_and(|found| found >= MILLI));
        latencies.record_instant(u64::MAX);
        assert_eq!(latencies.percentile(), Some(0));
        assert!((MAX_SAMPLES / 2..MAX_SAMPLES).contains(&latencies.samples()));
    }

    #[test]
    fn a_percentile_outside_of_0_and_1_is_refused() {
        for wrong in [0.0, 1.0, -0.5, 95.0, f64::NAN, f64::INFINITY] {
            let error = Rank::try_new(wrong).unwrap_err();
            assert_eq!(error.to_string(), format!("`percentile` is {wrong}, but must be above 0 and below 1"));
        }
        assert_eq!(Rank::try_new(0.999).unwrap().to_string(), "0.999");
    }
}
