//! Medians, quartiles and ratios.

/// Returns the interpolated value below which a fraction (0 to 1) of the values lies; `NaN` if
/// there are no values.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = part * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the slice")]
    let below = place as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// Returns the median.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The ratio of two series that were measured in turns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The ratio of the medians.
    pub medians: f64,
    /// The quartiles of the ratios of the rounds.
    pub spread: (f64, f64),
}

/// Divides our times by the peer's, round by round.
pub fn ratio(ours: &[f64], peer: &[f64]) -> Ratio {
    let rounds: Vec<f64> = ours.iter().zip(peer).map(|(ours, peer)| ours / peer).collect();
    Ratio { medians: median(ours) / median(peer), spread: (quantile(&rounds, 0.25), quantile(&rounds, 0.75)) }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact in binary")]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middle_values() {
        assert_eq!(median(&[5.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn an_interrupted_round_does_not_move_the_median() {
        assert_eq!(median(&[10.0, 10.0, 10.0, 10.0, 90_000.0]), 10.0);
    }

    #[test]
    fn quartiles_are_interpolated() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!((quantile(&values, 0.0), quantile(&values, 0.25), quantile(&values, 1.0)), (1.0, 2.0, 5.0));
        assert_eq!(quantile(&[1.0, 2.0], 0.25), 1.25);
    }

    #[test]
    fn a_ratio_is_that_of_the_medians_and_its_spread_that_of_the_rounds() {
        let ratio = ratio(&[2.0, 4.0, 6.0], &[4.0, 4.0, 4.0]);
        assert_eq!(ratio, Ratio { medians: 1.0, spread: (0.75, 1.25) });
    }
}
