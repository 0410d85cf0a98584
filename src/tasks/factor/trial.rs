//! Trial division by the primes below [`LIMIT`]: a multiplication and a comparison each (Granlund and Montgomery, "Division by
//! invariant integers using multiplication", PLDI 1994).

use crate::kernels::primes::inverse;

/// What is left after trial division has no prime factor below this.
pub(super) const LIMIT: u64 = 1024;

/// How many odd primes lie below [`LIMIT`].
const COUNT: usize = 171;

const PRIMES: [u16; COUNT] = {
    let mut primes = [0; COUNT];
    let (mut found, mut n) = (0, 3);
    while n < LIMIT as u16 {
        let mut divisor = 3;
        while divisor * divisor <= n && n % divisor != 0 {
            divisor += 2;
        }
        if divisor * divisor > n {
            primes[found] = n;
            found += 1;
        }
        n += 2;
    }
    assert!(found == COUNT);
    primes
};

/// For each prime its inverse modulo a power of two, and the greatest quotient: `n * inverse` is at most that for the
/// multiples of the prime, and for nothing else.
struct Divisors<W>([(W, W); COUNT]);

const NARROW: Divisors<u64> = {
    let mut divisors = [(0, 0); COUNT];
    let mut i = 0;
    while i < COUNT {
        let p = PRIMES[i] as u64;
        divisors[i] = (inverse(p), u64::MAX / p);
        i += 1;
    }
    Divisors(divisors)
};

const WIDE: Divisors<u128> = {
    let mut divisors = [(0, 0); COUNT];
    let mut i = 0;
    while i < COUNT {
        let p = PRIMES[i] as u128;
        let half = inverse(p as u64) as u128;
        // One more of Newton's steps doubles the bits.
        divisors[i] = (half.wrapping_mul(2u128.wrapping_sub(p.wrapping_mul(half))), u128::MAX / p);
        i += 1;
    }
    Divisors(divisors)
};

/// Divides all small primes out of `n`, which is above 0; calls `found` with each as often as it divides. Gives what is
/// left.
pub(super) fn divide(mut n: u128, mut found: impl FnMut(u64)) -> u128 {
    for _ in 0..n.trailing_zeros() {
        found(2);
    }
    n >>= n.trailing_zeros();
    let mut index = 0;
    // Most of the work is over once 64 bits suffice.
    while u64::try_from(n).is_err() {
        let Some(&(inverse, quotient_max)) = WIDE.0.get(index) else { return n };
        let quotient = n.wrapping_mul(inverse);
        if quotient <= quotient_max {
            n = quotient;
            found(PRIMES[index].into());
        } else {
            index += 1;
        }
    }
    let mut n = n as u64;
    while index < COUNT && u64::from(PRIMES[index]) * u64::from(PRIMES[index]) <= n {
        let (inverse, quotient_max) = NARROW.0[index];
        let quotient = n.wrapping_mul(inverse);
        if quotient <= quotient_max {
            n = quotient;
            found(PRIMES[index].into());
        } else {
            index += 1;
        }
    }
    n.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by division.
    fn oracle(mut n: u128) -> (Vec<u64>, u128) {
        let mut found = Vec::new();
        for p in 2..LIMIT {
            while n.is_multiple_of(p.into()) {
                n /= u128::from(p);
                found.push(p);
            }
        }
        (found, n)
    }

    #[test]
    fn small_primes_are_divided_out_as_often_as_they_divide() {
        let wide = u128::MAX / 3;
        let numbers = (1..5000u128).chain(wide - 2000..wide).chain((1 << 64) - 2000..(1 << 64) + 2000);
        for n in numbers.chain([u128::MAX, 1 << 127, 3u128.pow(80), 1021u128.pow(12), 1019u128.pow(2) << 90]) {
            let mut found = Vec::new();
            let left = divide(n, |p| found.push(p));
            let (mut expected, expected_left) = oracle(n);
            // It may stop early, where what is left is a small prime.
            if left != expected_left {
                assert!(left < u128::from(LIMIT), "{n}: {left} is left");
                found.push(left as u64);
            }
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{n}");
        }
    }
}
