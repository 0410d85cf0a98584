//! Whether one sample lies above another, and how often chance may say so in many comparisons.

use super::normal::upper_tail;

/// Up to this many pairs of observations, chances are counted exactly.
const EXACT_PAIRS_MAX: usize = 2500;

/// How likely chance alone puts `new` as far above `old` as it lies, by the one-sided test of Mann and Whitney (Annals of
/// Mathematical Statistics 18, 1947): it asks for no distribution, and one wild timing counts no more than its rank. The
/// chances are counted exactly where there are no ties, else by the normal approximation with the variance of ties. 1
/// where either is empty.
pub fn slower_p(old: &[f64], new: &[f64]) -> f64 {
    if old.is_empty() || new.is_empty() {
        return 1.0;
    }
    let mut twice = 0_u64;
    for later in new {
        for earlier in old {
            twice += match later.total_cmp(earlier) {
                std::cmp::Ordering::Greater => 2,
                std::cmp::Ordering::Equal => 1,
                std::cmp::Ordering::Less => 0,
            };
        }
    }
    let mut all: Vec<f64> = old.iter().chain(new).copied().collect();
    all.sort_by(f64::total_cmp);
    let ties: f64 = all.chunk_by(|a, b| a == b).map(|tied| (tied.len() as f64).powi(3) - tied.len() as f64).sum();
    let (m, n) = (old.len(), new.len());
    if ties == 0.0 && m * n <= EXACT_PAIRS_MAX {
        return exact_tail(m, n, (twice / 2) as usize);
    }
    let (m, n) = (m as f64, n as f64);
    let total = m + n;
    let variance = m * n / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    // Corrected for continuity.
    upper_tail((twice as f64 / 2.0 - m * n / 2.0 - 0.5) / variance.sqrt())
}

/// The share of all orders of m and n observations in which at least `u` pairs have the later above the earlier. The numbers
/// of orders by u are the coefficients of the Gaussian binomial (m+n over n), built up factor by factor.
fn exact_tail(m: usize, n: usize, u: usize) -> f64 {
    let mut counts = vec![0.0_f64; m * n + 1];
    counts[0] = 1.0;
    for i in 1..=n {
        let (up, down) = (m + i, i);
        for at in (up..counts.len()).rev() {
            counts[at] -= counts[at - up];
        }
        for at in down..counts.len() {
            counts[at] += counts[at - down];
        }
    }
    // Summed from the side that is asked for, so that small chances are exact.
    counts[u.min(m * n)..].iter().sum::<f64>() / counts.iter().sum::<f64>()
}

/// The chances of many tests, each made larger so that all of them together raise no more false alarms than one would (Holm,
/// Scandinavian Journal of Statistics 6, 1979): compare with the level for one.
pub fn holm(chances: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|a, b| chances[*a].total_cmp(&chances[*b]));
    let mut adjusted = vec![1.0; chances.len()];
    let mut least = 0.0_f64;
    for (rank, at) in order.into_iter().enumerate() {
        least = least.max((chances.len() - rank) as f64 * chances[at]).min(1.0);
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::testing::Random;

    /// Every order of m and n observations.
    fn naive_tail(m: usize, n: usize, u: usize) -> f64 {
        let (mut all, mut as_far) = (0_u32, 0_u32);
        for order in 0_u32..1 << (m + n) {
            if order.count_ones() as usize != n {
                continue;
            }
            let above = |at: usize| (0..at).filter(|below| order >> below & 1 == 0).count();
            let found: usize = (0..m + n).filter(|at| order >> at & 1 == 1).map(above).sum();
            all += 1;
            as_far += u32::from(found >= u);
        }
        f64::from(as_far) / f64::from(all)
    }

    #[test]
    fn chances_are_those_of_counting_every_order() {
        for (m, n) in [(1, 1), (3, 4), (5, 2), (6, 6)] {
            for u in 0..=m * n {
                let (found, expected) = (exact_tail(m, n, u), naive_tail(m, n, u));
                assert!((found - expected).abs() < 1e-12, "{m} {n} {u}: {found} {expected}");
            }
        }
        assert!((slower_p(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]) - 1.0 / 20.0).abs() < 1e-12);
        assert!((slower_p(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]) - 1.0).abs() < 1e-12);
        assert_eq!(slower_p(&[], &[1.0]), 1.0);
        assert_eq!(slower_p(&[2.0; 5], &[2.0; 5]), 1.0);
    }

    #[test]
    fn large_samples_and_ties_go_by_the_normal_distribution_to_nearly_the_same() {
        let mut random = Random::new(7);
        let old: Vec<f64> = (0..20).map(|_| random.timing(1.0)).collect();
        let new: Vec<f64> = (0..20).map(|_| random.timing(1.0)).collect();
        let exact = slower_p(&old, &new);
        let mut tied = new.clone();
        tied[0] = old[0];
        assert!((slower_p(&old, &tied) - exact).abs() < 0.08, "{exact} {}", slower_p(&old, &tied));
    }

    #[test]
    fn many_tests_are_held_to_more() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.5, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
