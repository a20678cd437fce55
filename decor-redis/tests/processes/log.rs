//! The moments at which calls ran.

/// Calls, with the moment of each and its permits per window.
#[derive(Debug, Default, Clone)]
pub(crate) struct Log(Vec<(u64, [u32; 2])>);

impl Log {
    pub(crate) fn add(&mut self, at: u64, permits: [u32; 2]) {
        self.0.push((at, permits));
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    pub(crate) fn merged<'a>(logs: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut merged = Self::default();
        logs.into_iter().for_each(|log| merged.append(log));
        merged.0.sort_unstable();
        merged
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.len()
    }

    /// Moment of the first call, in nanoseconds.
    pub(crate) fn first(&self) -> Option<u64> {
        self.0.iter().map(|(at, _)| *at).min()
    }

    /// Moment of the last call before one, and of the first call after it.
    pub(crate) fn gap_at(&self, moment: u64) -> (Option<u64>, Option<u64>) {
        let before = self.0.iter().map(|(at, _)| *at).filter(|at| *at < moment).max();
        let after = self.0.iter().map(|(at, _)| *at).filter(|at| *at >= moment).min();
        (before, after)
    }

    /// The calls from a moment on.
    pub(crate) fn from(&self, moment: u64) -> Self {
        Self(self.0.iter().copied().filter(|(at, _)| *at >= moment).collect())
    }

    /// Calls in a stretch of time.
    pub(crate) fn calls_between(&self, from: u64, to: u64) -> usize {
        self.0.iter().filter(|(at, _)| (from..to).contains(at)).count()
    }

    /// The most permits in any stretch of time that is shorter than a period.
    pub(crate) fn most_in_any(&self, window: usize, period_ms: u64) -> u64 {
        let period = period_ms * 1_000_000;
        let mut calls = self.0.clone();
        calls.sort_unstable();
        let (mut most, mut sum, mut oldest) = (0, 0, 0);
        for (at, permits) in &calls {
            sum += u64::from(permits[window]);
            while calls[oldest].0 + period <= *at {
                sum -= u64::from(calls[oldest].1[window]);
                oldest += 1;
            }
            most = most.max(sum);
        }
        most
    }

    /// Panics if a window was exceeded.
    #[track_caller]
    pub(crate) fn assert_within(&self, windows: &[(u32, u64)]) {
        for (window, (limit, period)) in windows.iter().enumerate() {
            let most = self.most_in_any(window, *period);
            assert!(most <= u64::from(*limit), "{most} permits within {period} ms, but the limit is {limit}");
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let bytes = |(at, [a, b]): &(u64, [u32; 2])| {
            [at.to_le_bytes().as_slice(), a.to_le_bytes().as_slice(), b.to_le_bytes().as_slice()].concat()
        };
        self.0.iter().flat_map(bytes).collect()
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        let call = |bytes: &[u8]| {
            let at = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            (at, [number(&bytes[8..12]), number(&bytes[12..])])
        };
        Self(bytes.chunks_exact(16).map(call).collect())
    }
}

#[test]
fn a_period_is_half_open() {
    let mut log = Log::default();
    for at in [0, 5, 10] {
        log.add(at * 1_000_000, [1, 2]);
    }
    assert_eq!((log.most_in_any(0, 10), log.most_in_any(0, 11), log.most_in_any(1, 11)), (2, 3, 6));
}
