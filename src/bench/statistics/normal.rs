//! The normal distribution's tail.

/// The probability that a standard normal variable exceeds `z`, to about 1e-7: the complementary error function by the
/// Chebyshev fit of Press, Teukolsky, Vetterling and Flannery, Numerical Recipes (1992), section 6.2.
pub(super) fn upper_tail(z: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let exponent = FIT.iter().rev().fold(0.0, |sum, factor| sum * t + factor) - x * x;
    let tail = t * exponent.exp();
    (if x >= 0.0 { tail } else { 2.0 - tail }) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_that_of_the_tables() {
        for (z, expected) in [(0.0, 0.5), (1.644_854, 0.05), (1.959_964, 0.025), (-1.0, 0.841_345), (4.0, 3.167e-5)] {
            assert!((upper_tail(z) - expected).abs() < 1e-6, "{z}: {}", upper_tail(z));
        }
    }
}
