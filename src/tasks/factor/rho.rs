//! Pollard's rho method for small factors: Pollard, "A Monte Carlo method for factorization", BIT 15 (1975), in the form of
//! Brent, "An improved Monte Carlo factorization algorithm", BIT 20 (1980).

use num_traits::{One, Zero};

use crate::job::JobError;
use crate::tasks::factor::Check;
use crate::tasks::factor::modulus::Modulus;

/// Differences that are multiplied together before a common divisor is sought.
const BATCH: u32 = 128;

/// A proper factor of the number, if one is found in about `steps` steps of a sequence `x^2 + c`. A prime factor `p` takes
/// about sqrt(p) of them. Where all factors turn up at once, another of the constants is tried.
///
/// # Errors
/// Those of `check`.
pub(super) fn factor<M: Modulus>(
    modulus: M,
    constants: &mut impl Iterator<Item = u64>,
    steps: u32,
    check: &Check<'_>,
) -> Result<Option<M::Word>, JobError> {
    let mut left = steps;
    for c in constants {
        match walk(modulus, c, &mut left) {
            Walk::Found(divisor) => return Ok(Some(divisor)),
            Walk::AllAtOnce => check()?,
            Walk::Nothing => break,
        }
    }
    Ok(None)
}

enum Walk<W> {
    Found(W),
    AllAtOnce,
    Nothing,
}

/// Follows one sequence for at most about `left` steps.
fn walk<M: Modulus>(modulus: M, c: u64, left: &mut u32) -> Walk<M::Word> {
    let c = modulus.residue(c);
    let next = |x: M::Word| modulus.add(modulus.square(x), c);
    let mut y = modulus.residue(2);
    let mut product = modulus.one();
    let mut lap = 1;
    while *left > 0 {
        let x = y;
        for _ in 0..lap {
            y = next(y);
        }
        let mut done = 0;
        while done < lap {
            let batch_start = y;
            let batch = BATCH.min(lap - done);
            for _ in 0..batch {
                y = next(y);
                product = modulus.mul(product, modulus.sub(x, y));
            }
            done += batch;
            if modulus.gcd(product) != M::Word::one() {
                return first_divisor(modulus, x, batch_start, batch, next);
            }
        }
        *left = left.saturating_sub(2 * lap);
        lap *= 2;
    }
    Walk::Nothing
}

/// Goes through a batch again, a step at a time.
fn first_divisor<M: Modulus>(
    modulus: M,
    x: M::Word,
    mut y: M::Word,
    batch: u32,
    next: impl Fn(M::Word) -> M::Word,
) -> Walk<M::Word> {
    for _ in 0..batch {
        y = next(y);
        let difference = modulus.sub(x, y);
        if difference.is_zero() {
            break;
        }
        let divisor = modulus.gcd(difference);
        if divisor != M::Word::one() {
            return Walk::Found(divisor);
        }
    }
    Walk::AllAtOnce
}
