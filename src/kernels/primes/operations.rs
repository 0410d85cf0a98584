//! How many integer operations a unit of the made-up jobs takes, counted from the algorithms: for benchmarks, which hold it
//! against what a device can do. It decides nothing.

use crate::kernels::primes::primality::TRIAL_PRIMES;
use crate::kernels::primes::sieve::PATTERN_LIMIT;
use crate::kernels::primes::wheel::NUMBERS_PER_WORD;

/// A multiplication modulo a number of 64 bits in Montgomery's form: the product, the quotient, and its product.
const MODULAR: f64 = 3.0;

/// The Lucas test in strong tests: it multiplies twice where that one squares.
const LUCAS: f64 = 2.0;

/// The greatest prime that crosses off in the sampled range, which begins at 10^12.
const SIEVE_LIMIT: f64 = 1e6;

/// For `numbers`, random odd numbers of 64 bits: multiplications. For `range`, a word of the wheel from 10^12 on: multiples that are
/// crossed off one by one; those of smaller primes come as patterns.
pub(super) fn per_unit(variant: &str) -> Option<f64> {
    Some(match variant {
        "numbers" => number(),
        // Its units are leaves of several kinds.
        "combinatorial" => return None,
        _ => {
            // 8/30 of the multiples lie on the wheel; the sum of 1/p grows as log log (Mertens).
            let reciprocals = SIEVE_LIMIT.ln().ln() - f64::from(PATTERN_LIMIT).ln().ln();
            NUMBERS_PER_WORD as f64 * 8.0 / 30.0 * reciprocals
        }
    })
}

fn number() -> f64 {
    // One multiplication for each prime that the number is divided by until one divides it.
    let (mut left, mut trials) = (1.0, 0.0);
    for p in TRIAL_PRIMES {
        trials += left;
        left *= 1.0 - 1.0 / p as f64;
    }
    // A strong test squares once a bit; primes, two in ln(2^64) of the odd numbers, go through the Lucas test too.
    let strong = 64.0 * MODULAR;
    let primes = 2.0 / (64.0 * std::f64::consts::LN_2);
    trials + left * strong + primes * LUCAS * strong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_of_the_size_that_the_algorithms_show() {
        // Some four divisions, a strong test for a quarter of the numbers, twice as much for one in 22.
        let found = per_unit("numbers").unwrap();
        assert!((60.0..90.0).contains(&found), "{found}");
        // ln ln 10^6 - ln ln 163 = 1.00, on 64 of 240 numbers.
        let found = per_unit("range").unwrap();
        assert!((62.0..66.0).contains(&found), "{found}");
    }
}
