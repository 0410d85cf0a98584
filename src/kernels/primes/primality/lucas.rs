//! The parameter of a number's Lucas test: the first `P` from 3 on for which `D = P * P - 4` has the Jacobi symbol
//! `(D/n) = -1`, with `Q = 1` (Baillie's method C, OEIS A217719).

/// The greatest parameter that tests of many numbers take, as its fourth power is to stay below 2^40; a greater one hardly ever comes.
pub(super) const PARAMETER_MAX: u64 = 1000;

/// Where a search that has come so far asks whether the number is a square, which has no parameter.
const SQUARE_FROM: u64 = 31;

/// The symbols of `D` for `P` of 3 to 10 are those of 5, 3, 21, 2, 5, 15, 77 and 6: the residue modulo this decides them.
const MODULUS: usize = 3 * 5 * 7 * 8 * 11;

/// The parameter of numbers by their residue; 0 where it is none of 3 to 10.
static BY_RESIDUE: [u8; MODULUS] = {
    let mut parameters = [0; MODULUS];
    let mut residue = 1;
    while residue < MODULUS {
        let mut p = 3;
        // Residues that share a factor with the modulus belong to no number that gets here.
        while p <= 10 && residue % 2 == 1 && parameters[residue] == 0 {
            if jacobi(p * p - 4, residue as u64) == -1 {
                parameters[residue] = p as u8;
            }
            p += 1;
        }
        residue += 2;
    }
    parameters
};

/// The parameter of an odd `n` that trial division let pass; `None` for a square, which has none, and where the search meets a factor.
#[inline]
pub(super) fn parameter(n: u64) -> Option<u64> {
    match BY_RESIDUE[(n % MODULUS as u64) as usize] {
        0 => later_parameter(n),
        parameter => Some(u64::from(parameter)),
    }
}

#[cold]
fn later_parameter(n: u64) -> Option<u64> {
    // The symbols of the next D are those of 13, 3 · 3 · 7 · 5, 3 · 5 · 11, 3, 13 · 17, 7, 3 · 5 · 19, 5, 3 · 7 · 17, 11 and 19 · 23, and
    // those of 2 to 11 are known to be 1.
    let [by_13, by_17, by_19, by_23] = [(13, RESIDUES_13), (17, RESIDUES_17), (19, RESIDUES_19), (23, RESIDUES_23)]
        .map(|(p, residues): (u64, u32)| residues >> (n % p) & 1 == 1);
    // Reciprocity: of two numbers that are 3 modulo 4, one symbol is the negative of the other.
    let turns = n % 4 == 3;
    let is_other = [!by_13, !by_17, by_19 == turns, by_23 == turns];
    for (p, is_minus_one) in
        [(11, is_other[0]), (15, is_other[0] != is_other[1]), (17, is_other[2]), (21, is_other[2] != is_other[3])]
    {
        if is_minus_one {
            return Some(p);
        }
    }
    // One in two symbols of an odd prime is -1 where `n` is no square: the search is short.
    for p in 22.. {
        match jacobi(p * p - 4, n) {
            -1 => return Some(p),
            // It has a factor in common with p - 2 or p + 2, which are less than it is.
            0 => return None,
            _ if p == SQUARE_FROM && n.isqrt().pow(2) == n => return None,
            _ => {}
        }
    }
    unreachable!("a number that is no square has a symbol of -1")
}

const RESIDUES_13: u32 = squares_modulo(13);
const RESIDUES_17: u32 = squares_modulo(17);
const RESIDUES_19: u32 = squares_modulo(19);
const RESIDUES_23: u32 = squares_modulo(23);

/// Bit `x` says whether `x` is a square modulo `p`, and not 0.
const fn squares_modulo(p: u32) -> u32 {
    let (mut bits, mut x) = (0, 1);
    while x < p {
        bits |= 1 << (x * x % p);
        x += 1;
    }
    bits
}

/// The Jacobi symbol `(a/n)` of an odd `n`.
const fn jacobi(mut a: u64, mut n: u64) -> i32 {
    let mut symbol = 1;
    a %= n;
    while a != 0 {
        let twos = a.trailing_zeros();
        a >>= twos;
        if twos % 2 == 1 && matches!(n % 8, 3 | 5) {
            symbol = -symbol;
        }
        if a % 4 == 3 && n % 4 == 3 {
            symbol = -symbol;
        }
        (a, n) = (n % a, a);
    }
    if n == 1 { symbol } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    /// Euler's criterion, for a prime `n`.
    fn legendre(a: u64, n: u64) -> i32 {
        let power = (0..(n - 1) / 2).fold(1, |power, _| power * (a % n) % n);
        if power == n - 1 { -1 } else { power as i32 }
    }

    #[test]
    fn the_jacobi_symbol_of_a_prime_is_what_eulers_criterion_says() {
        for n in [3, 5, 7, 11, 13, 97, 193, 1009] {
            (0..3 * n).for_each(|a| assert_eq!(jacobi(a, n), legendre(a, n), "({a}/{n})"));
        }
        for a in 0..200 {
            assert_eq!(jacobi(a, 11 * 13), legendre(a, 11) * legendre(a, 13), "({a}/143)");
        }
    }

    #[test]
    fn the_parameter_is_the_first_whose_symbol_is_minus_one() {
        let mut random = SplitMix64(5);
        for _ in 0..20_000 {
            let n = random.next_u64() | 1;
            if [3, 5, 7, 11, 13, 17, 19, 23].iter().any(|p| n.is_multiple_of(*p)) || n.isqrt().pow(2) == n {
                continue;
            }
            // A symbol of 0 before it shows a factor.
            let symbol = |p: &u64| jacobi(p * p - 4, n);
            let expected = (3..).find(|p| symbol(p) != 1).filter(|p| symbol(p) == -1);
            assert_eq!(parameter(n), expected, "{n}");
        }
        assert_eq!(parameter(4_294_967_291 * 4_294_967_291), None);
        assert_eq!(parameter(1093 * 1093), None);
    }
}
