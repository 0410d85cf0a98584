//! The median, an interval for it, and what lies far off.

/// How sure an interval for a median is to be.
const CONFIDENCE: f64 = 0.95;

/// An observation with a modified z-score above this is an outlier (Iglewicz and Hoaglin, How to Detect and Handle Outliers,
/// 1993).
const Z_MAX: f64 = 3.5;

/// Half of a normal distribution lies within so many standard deviations.
const NORMAL_MAD: f64 = 0.6745;

/// A median, and between what it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Median {
    /// The sample's own.
    pub value: f64,
    /// The least that the true one is likely to be.
    pub low: f64,
    /// The greatest.
    pub high: f64,
    /// How likely it lies between, at least: 0.95, or less where there are fewer than six observations.
    pub confidence: f64,
}

/// The median; not a number where there is nothing.
pub fn median(values: &[f64]) -> f64 {
    of_sorted(&sorted(values))
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn of_sorted(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => sorted[len / 2 - 1] / 2.0 + sorted[len / 2] / 2.0,
    }
}

/// The median with a distribution-free interval: from the k-th least to the k-th greatest observation, where k is the largest
/// with which the true median lies between in 95 % of samples, by the binomial distribution (David and Nagaraja, Order
/// Statistics, section 7.1). Where all observations together are less sure than that, they are the interval, and the
/// confidence says how sure. `None` where there are no observations.
pub fn median_with_interval(values: &[f64]) -> Option<Median> {
    let sorted = sorted(values);
    let n = sorted.len();
    if n == 0 {
        return None;
    }
    // The probability that fewer than k of n observations lie below the median, k from 1 on.
    let mut term = 0.5_f64.powi(n as i32);
    let mut below = term;
    let (mut k, mut confidence) = (1, 1.0 - 2.0 * below);
    for next in 2..=n / 2 {
        term *= (n - next + 2) as f64 / (next - 1) as f64;
        below += term;
        if 1.0 - 2.0 * below < CONFIDENCE {
            break;
        }
        (k, confidence) = (next, 1.0 - 2.0 * below);
    }
    Some(Median { value: of_sorted(&sorted), low: sorted[k - 1], high: sorted[n - k], confidence: confidence.max(0.0) })
}

/// How many observations lie so far from the median that something else than the rest must have happened: a modified z-score,
/// 0.6745 |x - median| / MAD, above 3.5. None where more than half are equal, since then there is no scale.
pub fn outliers(values: &[f64]) -> usize {
    let middle = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let mad = median(&distances);
    if mad <= 0.0 {
        return 0;
    }
    distances.iter().filter(|distance| NORMAL_MAD * **distance / mad > Z_MAX).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::testing::Random;

    #[test]
    fn intervals_are_those_of_the_tables() {
        let of = |n: u32| {
            let values: Vec<f64> = (1..=n).rev().map(f64::from).collect();
            let found = median_with_interval(&values).unwrap();
            (found.value, found.low, found.high, (found.confidence * 1e4).round() / 1e4)
        };
        // Conover, Practical Nonparametric Statistics: ranks 1 and 6 of 6, 2 and 9 of 10, 6 and 15 of 20.
        assert_eq!(of(6), (3.5, 1.0, 6.0, 0.9688));
        assert_eq!(of(10), (5.5, 2.0, 9.0, 0.9785));
        assert_eq!(of(20), (10.5, 6.0, 15.0, 0.9586));
        assert_eq!(of(1), (1.0, 1.0, 1.0, 0.0));
        assert_eq!(of(3), (2.0, 1.0, 3.0, 0.75));
        assert_eq!(median_with_interval(&[]), None);
    }

    #[test]
    fn intervals_hold_the_true_median_as_often_as_they_say() {
        let seed = 20;
        let mut random = Random::new(seed);
        for n in [6, 11, 24] {
            let held = (0..2000).filter(|_| {
                // A lopsided distribution, as timings have, with median 1 + ln 2.
                let values: Vec<f64> = (0..n).map(|_| random.timing(1.0)).collect();
                let found = median_with_interval(&values).unwrap();
                (found.low..=found.high).contains(&(1.0 + std::f64::consts::LN_2))
            });
            let share = held.count() as f64 / 2000.0;
            assert!(share > 0.935, "n {n}: {share} (seed {seed})");
        }
    }

    #[test]
    fn what_lies_far_off_is_counted_and_the_rest_is_not() {
        assert_eq!(outliers(&[10.0, 10.1, 9.9, 10.05, 9.95, 10.02, 30.0]), 1);
        assert_eq!(outliers(&[10.0, 10.1, 9.9, 10.05, 9.95, 10.02, 10.2]), 0);
        assert_eq!(outliers(&[5.0, 5.0, 5.0, 7.0]), 0);
        assert_eq!(outliers(&[]), 0);
    }
}
