//! Primality of 64-bit numbers, proven: trial division, then strong-probable-prime tests to sets of bases for which no
//! composite below a bound passes, with Montgomery multiplication.
//!
//! The sets, each with the bound below which it has been verified to leave no pseudoprime:
//!
//! | below | bases | source |
//! |---|---|---|
//! | 4,759,123,141 | 2, 7, 61 | Jaeschke, "On strong pseudoprimes to several bases", Math. Comp. 61 (1993) |
//! | 2,152,302,898,747 | 2, 3, 5, 7, 11 | the same |
//! | 2^64 | 2, 325, 9375, 28178, 450775, 9780504, 1795265022 | Sinclair 2011, verified against Feitsma's list of all base-2 pseudoprimes below 2^64 (miller-rabin.appspot.com) |

/// The odd primes that numbers are divided by before any strong test.
pub(super) const TRIAL_PRIMES: [u64; 17] = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61];

/// The least odd number that the strong tests decide: above all small bases.
const QUEUE_MIN: u64 = 64 * 64;

/// Numbers below this are looked up. It lies below 67^2, so that a greater composite either has a small factor or goes on
/// to a strong test, whose bases are all below it.
const TABLE_LEN: u64 = 4096;

/// Bit `n` says whether `n` is prime.
static TABLE: [u64; (TABLE_LEN / 64) as usize] = small_primes();

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
struct Divisor {
    inverse: u64,
    quotient_max: u64,
}

const DIVISORS: [Divisor; TRIAL_PRIMES.len()] = {
    let mut divisors = [const { Divisor { inverse: 0, quotient_max: 0 } }; TRIAL_PRIMES.len()];
    let mut i = 0;
    while i < TRIAL_PRIMES.len() {
        let p = TRIAL_PRIMES[i];
        divisors[i] = Divisor { inverse: inverse(p), quotient_max: u64::MAX / p };
        i += 1;
    }
    divisors
};

/// The inverse of an odd number modulo 2^64, by Newton's iteration: 5 bits to begin with, doubled four times.
const fn inverse(n: u64) -> u64 {
    let mut inverse = n.wrapping_mul(3) ^ 2;
    let mut round = 0;
    while round < 4 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

/// Whether `n` is prime: certain for every `n`.
///
/// ```
/// assert!(tandem::kernels::primes::is_prime(18_446_744_073_709_551_557));
/// assert!(!tandem::kernels::primes::is_prime(3_825_123_056_546_413_051));
/// ```
pub fn is_prime(n: u64) -> bool {
    match by_trial(n) {
        Some(prime) => prime,
        None => strong_to_two([n]) == [true] && strong_to_the_rest(n),
    }
}

/// Sets bit `i` of `words` for every prime `numbers[i]`. The bits must be 0 before.
///
/// # Panics
/// Where `words` has too few bits.
pub fn test_each(numbers: &[u64], words: &mut [u64]) {
    let mut queue = Queue::default();
    for (index, &n) in numbers.iter().enumerate() {
        match by_trial(n) {
            Some(prime) => words[index / 64] |= u64::from(prime) << (index % 64),
            None => queue.push(n, index, |index| words[index / 64] |= 1 << (index % 64)),
        }
    }
    queue.finish(|index| words[index / 64] |= 1 << (index % 64));
}

/// Odd numbers without small factors that wait to be tested [`LANES`] at a time.
#[derive(Default)]
pub(super) struct Queue {
    numbers: [u64; LANES],
    indices: [usize; LANES],
    len: usize,
}

/// How many numbers are tested side by side: enough to hide the latency of a chain of multiplications.
const LANES: usize = 4;

impl Queue {
    /// Adds an odd number of at least [`QUEUE_MIN`]; calls `found` with the index of each that proves prime meanwhile.
    pub(super) fn push(&mut self, n: u64, index: usize, found: impl FnMut(usize)) {
        debug_assert!(n % 2 == 1 && n >= QUEUE_MIN);
        self.numbers[self.len] = n;
        self.indices[self.len] = index;
        self.len += 1;
        if self.len == LANES {
            self.finish(found);
        }
    }

    /// Tests those that still wait.
    pub(super) fn finish(&mut self, mut found: impl FnMut(usize)) {
        if self.len == 0 {
            return;
        }
        // Lanes that are not filled repeat the first.
        for lane in self.len..LANES {
            self.numbers[lane] = self.numbers[0];
        }
        let strong = strong_to_two(self.numbers);
        let lanes = strong.into_iter().zip(self.numbers).zip(self.indices);
        for ((strong, n), index) in lanes.take(self.len) {
            if strong && strong_to_the_rest(n) {
                found(index);
            }
        }
        self.len = 0;
    }
}

/// Whether `n` is prime, where that needs no strong test.
#[inline]
fn by_trial(n: u64) -> Option<bool> {
    if n < TABLE_LEN {
        return Some(TABLE[(n / 64) as usize] >> (n % 64) & 1 == 1);
    }
    let divisible = n.is_multiple_of(2)
        || DIVISORS[..8].iter().fold(false, |any, d| any | (n.wrapping_mul(d.inverse) <= d.quotient_max))
        || DIVISORS[8..].iter().fold(false, |any, d| any | (n.wrapping_mul(d.inverse) <= d.quotient_max));
    divisible.then_some(false)
}

/// Whether trial division, or a look at a table, decides about `n`.
pub(super) fn is_easy(n: u64) -> bool {
    by_trial(n).is_some()
}

/// Montgomery arithmetic modulo an odd number (Montgomery 1985), all values below it; `x` stands for `x / 2^64`.
#[derive(Clone, Copy)]
struct Montgomery {
    n: u64,
    inverse: u64,
}

impl Montgomery {
    #[inline(always)]
    fn new(n: u64) -> Self {
        Self { n, inverse: inverse(n) }
    }

    #[inline(always)]
    fn mul(self, a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        let quotient = (product as u64).wrapping_mul(self.inverse);
        let reduction = ((u128::from(quotient) * u128::from(self.n)) >> 64) as u64;
        let (difference, borrow) = ((product >> 64) as u64).overflowing_sub(reduction);
        if borrow { difference.wrapping_add(self.n) } else { difference }
    }

    #[inline(always)]
    fn double(self, a: u64) -> u64 {
        let (difference, borrow) = a.overflowing_sub(self.n - a);
        if borrow { difference.wrapping_add(self.n) } else { difference }
    }

    /// What stands for 1: 2^64 mod n.
    #[inline(always)]
    fn one(self) -> u64 {
        (u64::MAX % self.n) + 1
    }
}

/// Whether each odd `n` above 1 is a strong probable prime to base 2.
#[inline]
fn strong_to_two<const N: usize>(numbers: [u64; N]) -> [bool; N] {
    let modulus = numbers.map(Montgomery::new);
    let mut one = [0; N];
    let mut minus_one = [0; N];
    let mut exponent = [0; N];
    let mut twos = [0; N];
    let mut bits = 0;
    let mut twos_max = 0;
    for lane in 0..N {
        let n = numbers[lane];
        one[lane] = modulus[lane].one();
        minus_one[lane] = n - one[lane];
        twos[lane] = (n - 1).trailing_zeros();
        exponent[lane] = (n - 1) >> twos[lane];
        bits = bits.max(64 - exponent[lane].leading_zeros());
        twos_max = twos_max.max(twos[lane]);
    }
    let mut x = one;
    for bit in (0..bits).rev() {
        for lane in 0..N {
            let square = modulus[lane].mul(x[lane], x[lane]);
            let double = modulus[lane].double(square);
            x[lane] = if exponent[lane] >> bit & 1 == 1 { double } else { square };
        }
    }
    let mut strong = [false; N];
    for lane in 0..N {
        strong[lane] = x[lane] == one[lane] || x[lane] == minus_one[lane];
    }
    for squaring in 1..twos_max {
        for lane in 0..N {
            x[lane] = modulus[lane].mul(x[lane], x[lane]);
            strong[lane] |= squaring < twos[lane] && x[lane] == minus_one[lane];
        }
    }
    strong
}

/// Whether an `n` that is a strong probable prime to base 2, odd and at least [`QUEUE_MIN`], is one to the other bases of
/// its set too: then it is prime.
fn strong_to_the_rest(n: u64) -> bool {
    if n < 4_759_123_141 {
        strong_to(n, [7, 61])
    } else if n < 2_152_302_898_747 {
        strong_to(n, [3, 5, 7, 11])
    } else {
        strong_to(n, [325, 9375, 28178, 450_775, 9_780_504, 1_795_265_022])
    }
}

/// Whether `n` is a strong probable prime to all these bases, which are below it: side by side, as they share the
/// exponent.
fn strong_to<const N: usize>(n: u64, bases: [u64; N]) -> bool {
    let modulus = Montgomery::new(n);
    let one = modulus.one();
    let minus_one = n - one;
    let twos = (n - 1).trailing_zeros();
    let exponent = (n - 1) >> twos;
    // 2, squared six times, is 2^64; as a residue that is 2^128, by which multiplication turns b into b * 2^64.
    let to_residue = (0..6).fold(modulus.double(one), |power, _| modulus.mul(power, power));
    let bases = bases.map(|base| modulus.mul(base, to_residue));
    let mut x = bases;
    for bit in (0..63 - exponent.leading_zeros()).rev() {
        x = x.map(|x| modulus.mul(x, x));
        if exponent >> bit & 1 == 1 {
            for lane in 0..N {
                x[lane] = modulus.mul(x[lane], bases[lane]);
            }
        }
    }
    let mut strong = x.map(|x| x == one || x == minus_one);
    for _ in 1..twos {
        for lane in 0..N {
            x[lane] = modulus.mul(x[lane], x[lane]);
            strong[lane] |= x[lane] == minus_one;
        }
    }
    strong == [true; N]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trial division by everything.
    fn oracle(n: u64) -> bool {
        n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
    }

    #[test]
    fn every_number_below_a_million_is_what_a_plain_sieve_says() {
        let mut prime = vec![true; 1_000_000];
        prime[..2].fill(false);
        for p in 2..1000 {
            (p * p..1_000_000).step_by(p).for_each(|multiple| prime[multiple] = false);
        }
        for (n, &expect) in prime.iter().enumerate() {
            assert_eq!(is_prime(n as u64), expect, "{n}");
        }
        let numbers: Vec<u64> = (0..1_000_000).collect();
        let mut words = vec![0; 1_000_000 / 64];
        test_each(&numbers, &mut words);
        for (n, &expect) in prime.iter().enumerate() {
            assert_eq!(words[n / 64] >> (n % 64) & 1 == 1, expect, "{n} in a batch");
        }
    }

    #[test]
    fn the_neighbours_of_every_bound_are_what_trial_division_says() {
        for bound in [4096, 4489, 1 << 32, 4_759_123_141] {
            for n in bound - 200..bound + 200 {
                assert_eq!(is_prime(n), oracle(n), "{n}");
            }
        }
    }

    #[test]
    fn published_strong_pseudoprimes_are_composite() {
        // The least strong pseudoprimes to the first k primes (Jaeschke 1993; Jiang and Deng 2014; OEIS A014233).
        let least = [
            2047,
            1_373_653,
            25_326_001,
            3_215_031_751,
            2_152_302_898_747,
            3_474_749_660_383,
            341_550_071_728_321,
            3_825_123_056_546_413_051,
        ];
        // Bounds of other sets, Carmichael numbers, squares of Wieferich primes, base-2 strong pseudoprimes.
        let others = [
            9_080_191,
            4_759_123_141,
            1_122_004_669_633,
            585_226_005_592_931_977,
            7_999_252_175_582_851,
            55_245_642_489_451,
            561,
            1105,
            1729,
            2465,
            6601,
            8911,
            10585,
            825_265,
            321_197_185,
            9_746_347_772_161,
            1093 * 1093,
            3511 * 3511,
            3277,
            4033,
            4681,
            8321,
            46_856_248_255_981,
            30_926_647_201,
        ];
        for n in least.into_iter().chain(others) {
            assert!(!is_prime(n), "{n}");
        }
    }

    #[test]
    fn the_pseudoprimes_of_the_first_primes_pass_a_test_to_those_alone() {
        // A negative control: were the strong test to call all of these composite, it would prove nothing above.
        assert!(strong_to(3_215_031_751, [2, 3, 5, 7]));
        assert!(!strong_to(3_215_031_751, [11]));
        assert!(strong_to(3_474_749_660_383, [2, 3, 5, 7, 11, 13]));
        assert!(!strong_to(3_474_749_660_383, [17]));
        assert!(strong_to(3_825_123_056_546_413_051, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31]));
        assert!(!strong_to(3_825_123_056_546_413_051, [37]));
        assert_eq!(strong_to_two([3_215_031_751, 2047, 2049, 3_825_123_056_546_413_051]), [true, true, false, true]);
    }

    #[test]
    fn large_primes_are_prime_and_their_products_are_not() {
        let roots = [4_294_967_291, 4_294_967_279, 4_294_967_231, 2_147_483_647, 65_537, 65_521, 1_000_003];
        for p in roots {
            assert!(is_prime(p), "{p}");
            for q in roots {
                assert!(!is_prime(p * q), "{p} * {q}");
            }
        }
        for distance in [59, 83, 95, 179, 189, 257, 279, 323, 353, 363] {
            // The ten greatest primes below 2^64 (The Prime Pages).
            assert!(is_prime(0u64.wrapping_sub(distance)), "2^64 - {distance}");
        }
        assert_eq!((1..364).filter(|&distance| is_prime(0u64.wrapping_sub(distance))).count(), 10);
        assert!(is_prime((1 << 61) - 1));
        assert!(is_prime(9_223_372_036_854_775_783));
    }

    #[test]
    fn numbers_made_to_fool_strong_tests_are_composite() {
        // p * (k * (p - 1) + 1): both factors prime, where most strong pseudoprimes come from.
        let mut made = Vec::new();
        for p in (3..60_000u64).chain(4_000_000..4_003_000).chain(1_073_000_000..1_073_002_000).filter(|&p| is_prime(p))
        {
            for k in 2..12 {
                let Some(n) = (k * (p - 1) + 1).checked_mul(p) else { continue };
                if is_prime(k * (p - 1) + 1) {
                    made.push(n);
                }
            }
        }
        assert!(made.len() > 3000);
        let mut words = vec![0; made.len().div_ceil(64)];
        test_each(&made, &mut words);
        assert_eq!(words.iter().map(|word| word.count_ones()).sum::<u32>(), 0);
        assert!(made.iter().all(|&n| !is_prime(n)));
        assert!(made.iter().any(|&n| n % 2 == 1 && strong_to_two([n]) == [true]), "some of them fool base 2");
    }

    #[test]
    fn montgomery_arithmetic_is_arithmetic_modulo_n() {
        for n in [3u64, 5, 4097, (1 << 32) + 1, (1 << 63) - 1, (1 << 63) + 1, u64::MAX - 2, u64::MAX] {
            let modulus = Montgomery::new(n);
            assert_eq!(n.wrapping_mul(modulus.inverse), 1);
            let wide = u128::from(n);
            assert_eq!(u128::from(modulus.one()) % wide, (1u128 << 64) % wide);
            for a in [0, 1, 2, n / 3, n / 2, n - 2, n - 1] {
                assert_eq!(u128::from(modulus.double(a)), 2 * u128::from(a) % wide, "2 * {a} mod {n}");
                for b in [0, 1, n / 2, n - 1] {
                    // mul gives a * b / 2^64; times 2^64 again that is a * b.
                    let product = u128::from(modulus.mul(a, b)) * ((1u128 << 64) % wide) % wide;
                    assert_eq!(product, u128::from(a) * u128::from(b) % wide, "{a} * {b} mod {n}");
                }
            }
        }
    }
}
