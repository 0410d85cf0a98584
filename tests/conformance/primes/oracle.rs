//! Which numbers are prime, the slow way.

/// Whether a number is prime: by trial division as far as that goes, then by strong-probable-prime tests to the first
/// twelve primes, which no composite below 3.3 * 10^24 passes (Sorenson and Webster, 2015).
pub fn is_prime(n: u64) -> bool {
    const TRIAL_LIMIT: u64 = 100;
    if n < 2 {
        return false;
    }
    for d in 2..TRIAL_LIMIT {
        if d * d > n {
            return true;
        }
        if n.is_multiple_of(d) {
            return false;
        }
    }
    if n < TRIAL_LIMIT * TRIAL_LIMIT {
        return true;
    }
    [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37].into_iter().all(|base| is_strong(n, base))
}

/// Whether an odd number above the base is a strong probable prime to it.
fn is_strong(n: u64, base: u64) -> bool {
    let twos = (n - 1).trailing_zeros();
    let mut x = power(base, (n - 1) >> twos, n);
    if x == 1 || x == n - 1 {
        return true;
    }
    for _ in 1..twos {
        x = product(x, x, n);
        if x == n - 1 {
            return true;
        }
    }
    false
}

fn product(a: u64, b: u64, modulus: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(modulus)) as u64
}

fn power(base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let (mut square, mut result) = (base % modulus, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = product(result, square, modulus);
        }
        square = product(square, square, modulus);
        exponent >>= 1;
    }
    result
}

/// The primes below `limit`, by the sieve of Eratosthenes.
pub fn primes_below(limit: usize) -> Vec<u64> {
    let mut composite = vec![false; limit];
    let mut primes = Vec::new();
    for n in 2..limit {
        if !composite[n] {
            primes.push(n as u64);
            (n * n..limit).step_by(n).for_each(|multiple| composite[multiple] = true);
        }
    }
    primes
}

/// The primes of `start..end`, ascending.
pub fn primes_of(start: u128, end: u128) -> Vec<u64> {
    const SIEVED: u128 = 1 << 25;
    if end <= SIEVED {
        return primes_below(end as usize).into_iter().filter(|&prime| u128::from(prime) >= start).collect();
    }
    (start..end).map(|n| n as u64).filter(|&n| is_prime(n)).collect()
}

#[test]
fn both_oracles_agree_and_know_what_is_known() {
    let sieved = primes_below(200_000);
    let tested: Vec<u64> = (0..200_000).filter(|&n| is_prime(n)).collect();
    assert_eq!(sieved, tested);
    assert_eq!(sieved.len(), 17_984, "π(200000)");
    assert!(is_prime(u64::MAX - 58), "2^64 - 59 is the greatest prime below 2^64");
    assert_eq!(primes_of((1 << 64) - 59, 1 << 64), [u64::MAX - 58]);
    assert!(!is_prime(3_825_123_056_546_413_051), "a strong pseudoprime to the first nine primes");
    assert!(!is_prime(4_294_967_291 * 4_294_967_291) && is_prime(4_294_967_291));
}
