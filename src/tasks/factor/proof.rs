//! Proofs of primality for numbers of 128 bits.
//!
//! - Below 2^64: the kernel's test, [`is_prime`](crate::kernels::primes::is_prime).
//! - Below 3317044064679887385961981: strong probable-prime tests to the first 13 primes, which no composite below that bound
//!   passes (Sorenson and Webster, "Strong pseudoprimes to twelve prime bases", Math. Comp. 86 (2017)).
//! - Above: Pocklington's theorem, as strengthened in theorem 5 of Brillhart, Lehmer and Selfridge, "New primality criteria and
//!   factorizations of 2^m ± 1", Math. Comp. 29 (1975). It needs prime factors of `n - 1` whose product passes the cube root of
//!   `n`; they are found as any factors are, and proven in turn.

use num_integer::Integer;

use crate::job::JobError;
use crate::kernels::primes;
use crate::tasks::factor::modulus::{Modulus, Modulus128};
use crate::tasks::factor::{Check, split, trial};

/// No composite below passes the strong tests to [`BASES`].
const BASES_BOUND: u128 = 3_317_044_064_679_887_385_961_981;

const BASES: [u64; 13] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41];

/// Whether `n` is prime: certain for every `n`.
pub(super) fn is_prime(n: u128, check: &Check<'_>) -> Result<bool, JobError> {
    if let Ok(n) = u64::try_from(n) {
        return Ok(primes::is_prime(n));
    }
    if n.is_even() {
        return Ok(false);
    }
    let modulus = Modulus128::new(n);
    if !BASES.into_iter().all(|base| is_strong_to(modulus, base)) {
        return Ok(false);
    }
    Ok(n < BASES_BOUND || is_proven(modulus, check)?)
}

/// Whether the number is a strong probable prime to this base, which is below it.
fn is_strong_to(modulus: Modulus128, base: u64) -> bool {
    let minus_one = modulus.sub(0, modulus.one());
    let twos = (modulus.number() - 1).trailing_zeros();
    let mut x = modulus.power(modulus.residue(base), (modulus.number() - 1) >> twos);
    if x == modulus.one() || x == minus_one {
        return true;
    }
    for _ in 1..twos {
        x = modulus.square(x);
        if x == minus_one {
            return true;
        }
    }
    false
}

/// Whether the number, which passed every strong test, is prime: by the factors of its predecessor.
fn is_proven(modulus: Modulus128, check: &Check<'_>) -> Result<bool, JobError> {
    let n = modulus.number();
    let mut predecessor = Predecessor { n, factored: 1, rest: n - 1 };
    let mut small = Vec::new();
    let mut composites = vec![trial::divide(n - 1, |p| small.push(p))];
    small.dedup();
    for &q in small.iter().rev() {
        if !is_witnessed(modulus, q.into(), check)? {
            return Ok(false);
        }
        predecessor.divide_out(q.into());
    }
    while !predecessor.suffices() {
        // The smallest is the easiest to split, and its factors may be enough.
        composites.sort_unstable_by(|a, b| b.cmp(a));
        let Some(m) = composites.pop().filter(|&m| m > 1) else { continue };
        if !is_prime(m, check)? {
            let divisor = split::proper_factor(m, check)?;
            composites.extend([divisor, m / divisor]);
        } else if predecessor.rest.is_multiple_of(m) {
            if !is_witnessed(modulus, m, check)? {
                return Ok(false);
            }
            predecessor.divide_out(m);
        }
    }
    Ok(predecessor.excludes_two_factors())
}

/// Whether some base shows that every prime factor of the number is 1 modulo the full power of the prime `q` that divides
/// the number's predecessor; otherwise the number is composite.
fn is_witnessed(modulus: Modulus128, q: u128, check: &Check<'_>) -> Result<bool, JobError> {
    let predecessor = modulus.number() - 1;
    // Of a prime, all but one base in q is a witness.
    for base in 2.. {
        let root = modulus.power(modulus.residue(base), predecessor / q);
        if modulus.power(root, q) != modulus.one() {
            return Ok(false);
        }
        match modulus.gcd(modulus.sub(root, modulus.one())) {
            1 => return Ok(true),
            divisor if divisor != modulus.number() => return Ok(false),
            _ => check()?,
        }
    }
    Ok(false)
}

/// `n - 1`, as far as it is factored: `factored * rest`, without a common divisor.
struct Predecessor {
    n: u128,
    factored: u128,
    rest: u128,
}

impl Predecessor {
    fn divide_out(&mut self, q: u128) {
        while self.rest.is_multiple_of(q) {
            self.rest /= q;
            self.factored *= q;
        }
    }

    /// What the rest leaves, divided by twice the factored part, and the quotient.
    fn remainder(&self) -> (u128, u128) {
        match self.factored.checked_mul(2) {
            Some(twice) => (self.rest % twice, self.rest / twice),
            None => (self.rest, 0),
        }
    }

    /// Whether `n`, if it is composite, has two factors `a * factored + 1` and `b * factored + 1` with `a + b` as small as
    /// can be: `n < (F + 1)(2 F^2 + (r - 1) F + 1)`. Where that passes 128 bits it passes `n`.
    fn suffices(&self) -> bool {
        let f = self.factored;
        if f.is_odd() {
            return false;
        }
        let (r, _) = self.remainder();
        let bound = (|| f.checked_mul(2)?.checked_add(r - 1)?.checked_mul(f)?.checked_add(1)?.checked_mul(f + 1))();
        bound.is_none_or(|bound| self.n < bound)
    }

    /// Whether no such `a` and `b` exist. They would have `a + b = r` and `a b = 2 s`, so that `r^2 - 8 s` would be a square.
    fn excludes_two_factors(&self) -> bool {
        let (r, s) = self.remainder();
        if s == 0 {
            return true;
        }
        // A sum of numbers with the product 2 s is at most 2 s + 1. Where r^2 passes 128 bits, so that F passes 2^63, s is 1 at
        // most: r is no such sum.
        let discriminant = r.checked_mul(r).and_then(|square| square.checked_sub(s.checked_mul(8)?));
        discriminant.is_none_or(|discriminant| discriminant.isqrt().pow(2) != discriminant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proven(n: u128) -> bool {
        is_proven(Modulus128::new(n), &|| Ok(())).expect("nobody cancels it")
    }

    #[test]
    fn the_proof_alone_tells_primes_from_composites() {
        // Without the strong tests before it, which would hide a proof that accepts too much.
        for start in [1_001, (1 << 40) + 1, (1 << 63) + 1] {
            for n in (start..start + 600).step_by(2) {
                assert_eq!(proven(n), primes::is_prime(n as u64), "{n}");
            }
        }
        assert!(proven((1 << 127) - 1));
        // Carmichael numbers: to most bases they look prime.
        for n in [561, 1105, 1729, 9_746_347_772_161, 1_590_231_231_043_178_376_951_698_401] {
            assert!(!proven(n), "{n}");
        }
    }

    #[test]
    fn a_composite_is_told_by_the_sum_and_product_that_its_factors_leave() {
        let factored: u128 = 2 * 3 * 5 * 7 * 11 * 13;
        let mut found = 0;
        for a in 1..120 {
            for b in 1..120 {
                let n = (a * factored + 1) * (b * factored + 1);
                let mut predecessor = Predecessor { n, factored: 1, rest: n - 1 };
                [2, 3, 5, 7, 11, 13].into_iter().for_each(|q| predecessor.divide_out(q));
                // Where more of these primes divide the rest, no witness would have let it come so far.
                if predecessor.suffices() && predecessor.factored == factored {
                    found += 1;
                    assert!(!predecessor.excludes_two_factors(), "{a} and {b}");
                }
            }
        }
        assert!(found > 500, "{found}");
    }
}
