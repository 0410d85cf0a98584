//! A proper factor of a composite number: the rho method for small ones, then elliptic curves, which reach those of 64 bits
//! in well under a second.

use std::sync::LazyLock;

use crate::job::JobError;
use crate::tasks::factor::ecm::Bounds;
use crate::tasks::factor::modulus::{Modulus, Modulus64, Modulus128};
use crate::tasks::factor::{Check, ecm, rho};

/// Steps of the rho method before curves are due: it finds primes of up to about 18 bits.
const RHO_STEPS: u32 = 1000;

/// Curves to try with some bounds before greater ones are due.
struct Level {
    curves: u64,
    bounds: Bounds,
}

impl Level {
    fn new(curves: u64, b1: u64, b2: u64) -> Self {
        Self { curves, bounds: Bounds::new(b1, b2) }
    }
}

/// For factors of up to 32 bits; measured.
static NARROW: LazyLock<[Level; 1]> = LazyLock::new(|| [Level::new(40, 150, 6000)]);

/// For factors of up to 64 bits; measured.
static WIDE: LazyLock<[Level; 4]> = LazyLock::new(|| {
    [
        Level::new(10, 150, 6000),
        Level::new(15, 500, 30_000),
        Level::new(30, 1500, 120_000),
        Level::new(100, 4000, 400_000),
    ]
});

/// A proper factor of an odd composite number without factors below [`trial::LIMIT`](super::trial::LIMIT).
///
/// # Errors
/// Those of `check`.
pub(super) fn proper_factor(n: u128, check: &Check<'_>) -> Result<u128, JobError> {
    let root = n.isqrt();
    if root * root == n {
        return Ok(root);
    }
    match u64::try_from(n) {
        Ok(n) => factor_with(Modulus64::new(n), &*NARROW, check).map(u128::from),
        Err(_) => factor_with(Modulus128::new(n), &*WIDE, check),
    }
}

/// Every choice is counted and none drawn, so that a number takes the same way each time.
fn factor_with<M: Modulus>(modulus: M, levels: &[Level], check: &Check<'_>) -> Result<M::Word, JobError> {
    let mut constants = 1..;
    let mut sigmas = 6..;
    let mut round = 0;
    loop {
        // Again in each round: where all factors are so small that every curve finds them at once, this tells them apart.
        if let Some(divisor) = rho::factor(modulus, &mut constants, RHO_STEPS, check)? {
            return Ok(divisor);
        }
        let level = &levels[round.min(levels.len() - 1)];
        for sigma in sigmas.by_ref().take(level.curves as usize) {
            check()?;
            if let Some(divisor) = ecm::factor(modulus, sigma, &level.bounds) {
                return Ok(divisor);
            }
        }
        round += 1;
    }
}
