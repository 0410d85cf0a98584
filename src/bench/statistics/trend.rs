//! Whether timings grow or shrink in the order in which they were taken.

use super::normal::upper_tail;
use super::order::median;

/// A trend over a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// How much the last is above the first, as a share of the median, by the median of all slopes.
    pub change: f64,
    /// How likely chance alone gives a trend as strong as this, in either direction.
    pub p: f64,
}

/// The trend of a series by Mann's test (Econometrica 13, 1945; Kendall's variance with ties), its size by the slope of Theil
/// and Sen; `None` below four values.
pub fn trend(values: &[f64]) -> Option<Trend> {
    let n = values.len();
    let middle = median(values);
    if n < 4 || middle <= 0.0 {
        return None;
    }
    let (mut score, mut slopes) = (0_i64, Vec::with_capacity(n * (n - 1) / 2));
    for (i, first) in values.iter().enumerate() {
        for (apart, second) in (1..).zip(&values[i + 1..]) {
            score += match second.total_cmp(first) {
                std::cmp::Ordering::Less => -1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Greater => 1,
            };
            slopes.push((second - first) / f64::from(apart));
        }
    }
    let spread = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|tied| spread(tied.len() as f64)).sum();
    let variance = (spread(n as f64) - ties) / 18.0;
    if variance <= 0.0 {
        return None;
    }
    // Corrected for continuity.
    let z = ((score.abs() - 1).max(0)) as f64 / variance.sqrt();
    Some(Trend { change: median(&slopes) * (n - 1) as f64 / middle, p: (2.0 * upper_tail(z)).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::testing::Random;

    #[test]
    fn a_machine_that_slows_down_is_noticed() {
        let seed = 3;
        let mut random = Random::new(seed);
        let values: Vec<f64> = (0..12).map(|i| 10.0 + 0.2 * f64::from(i) + 0.3 * random.unit()).collect();
        let found = trend(&values).unwrap();
        assert!(found.p < 0.001 && (found.change - 0.2).abs() < 0.06, "{found:?} (seed {seed})");
    }

    #[test]
    fn one_that_does_not_is_rarely_accused() {
        let seed = 4;
        let mut random = Random::new(seed);
        let accused = (0..2000).filter(|_| {
            let values: Vec<f64> = (0..12).map(|_| random.timing(10.0)).collect();
            trend(&values).unwrap().p < 0.01
        });
        let share = accused.count() as f64 / 2000.0;
        assert!(share < 0.015, "{share} (seed {seed})");
    }

    #[test]
    fn nothing_is_said_of_too_few_or_of_equal_values() {
        assert_eq!(trend(&[1.0, 2.0, 3.0]), None);
        assert_eq!(trend(&[2.0; 9]), None);
    }
}
