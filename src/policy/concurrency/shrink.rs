//! The factor of a decrease.

/// A factor below 1, in millionths. As a float, 0.29 of 100 would be 28.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shrink(u32);

const MILLION: u32 = 1_000_000;

impl Shrink {
    /// The factor of a decrease, unless another one is set.
    pub(super) const DEFAULT: Self = Self(750_000);

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and a million
    /// `None` unless the factor is above 0 and below 1.
    pub(super) fn try_new(factor: f64) -> Option<Self> {
        let is_factor = factor > 0.0 && factor < 1.0;
        let millionths = is_factor.then(|| (factor * f64::from(MILLION)).round() as u32)?;
        (1..MILLION).contains(&millionths).then_some(Self(millionths))
    }

    /// The product, rounded down.
    pub(super) fn of(self, limit: u32) -> u32 {
        let product = u64::from(limit) * u64::from(self.0) / u64::from(MILLION);
        u32::try_from(product).unwrap_or(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_of_a_limit_is_exact() {
        let of = |factor, limit| Shrink::try_new(factor).unwrap().of(limit);
        assert_eq!([of(0.75, 20), of(0.75, 15), of(0.75, 11)], [15, 11, 8]);
        assert_eq!([of(0.29, 100), of(0.6, 10), of(0.7, 10), of(0.999_999, 1_000_000)], [29, 6, 7, 999_999]);
        assert_eq!([of(0.000_001, u32::MAX), of(0.999_999, u32::MAX)], [4_294, 4_294_963_000]);
    }

    #[test]
    fn a_factor_is_above_zero_and_below_one() {
        for factor in [0.0, 1.0, -0.5, 1.5, 1e-7, 0.999_999_9, f64::NAN, f64::INFINITY] {
            assert_eq!(Shrink::try_new(factor), None, "{factor}");
        }
    }
}
