//! Trial division: what settles most numbers before any strong test.

/// The odd primes that a number is divided by on its own.
pub(in crate::kernels::primes) const TRIAL_PRIMES: [u64; 17] =
    [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61];

/// Numbers below this are looked up. It lies above all primes that are divided by.
pub(super) const TABLE_LEN: u64 = 4096;

/// Bit `n` says whether `n` is prime.
const TABLE: [u64; (TABLE_LEN / 64) as usize] = small_primes();

const fn small_primes() -> [u64; (TABLE_LEN / 64) as usize] {
    let mut bits = [u64::MAX; (TABLE_LEN / 64) as usize];
    bits[0] &= !3;
    let mut p = 2;
    while p * p < TABLE_LEN {
        let mut multiple = p * p;
        while multiple < TABLE_LEN {
            bits[(multiple / 64) as usize] &= !(1 << (multiple % 64));
            multiple += p;
        }
        p += 1;
    }
    bits
}

/// What decides divisibility of an odd number by an odd `p` with one multiplication: `n * inverse <= u64::MAX / p` exactly
/// for the multiples of `p` (Granlund and Montgomery, PLDI 1994).
#[derive(Clone, Copy)]
pub(super) struct Divisor {
    pub(super) inverse: u64,
    pub(super) quotient_max: u64,
}

impl Divisor {
    pub(super) const fn new(p: u64) -> Self {
        Self { inverse: inverse(p), quotient_max: u64::MAX / p }
    }
}

const DIVISORS: [Divisor; TRIAL_PRIMES.len()] = {
    let mut divisors = [Divisor::new(3); TRIAL_PRIMES.len()];
    let mut i = 0;
    while i < TRIAL_PRIMES.len() {
        divisors[i] = Divisor::new(TRIAL_PRIMES[i]);
        i += 1;
    }
    divisors
};

/// The inverse of an odd number modulo 2^64, by Newton's iteration: 5 bits to begin with, doubled four times.
#[inline(always)]
pub(crate) const fn inverse(n: u64) -> u64 {
    let mut inverse = n.wrapping_mul(3) ^ 2;
    let mut round = 0;
    while round < 4 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

/// Whether `n`, below [`TABLE_LEN`], is prime.
#[inline(always)]
pub(super) const fn looked_up(n: u64) -> bool {
    TABLE[(n / 64) as usize] >> (n % 64) & 1 == 1
}

/// Whether `n` is prime, where that needs no strong test.
#[inline]
pub(super) fn by_trial(n: u64) -> Option<bool> {
    if n < TABLE_LEN {
        return Some(looked_up(n));
    }
    let divisible = n.is_multiple_of(2)
        || DIVISORS[..8].iter().fold(false, |any, d| any | (n.wrapping_mul(d.inverse) <= d.quotient_max))
        || DIVISORS[8..].iter().fold(false, |any, d| any | (n.wrapping_mul(d.inverse) <= d.quotient_max));
    divisible.then_some(false)
}
