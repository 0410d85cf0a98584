//! Whole numbers of 384 bits: room for the product of two sums of 144 bits and some to spare.

use num_bigint::{BigInt, BigUint, Sign};

const LIMBS: usize = 6;

/// A number of at most 192 bits, the lowest limb first.
pub(super) type Factor = [u64; 3];

/// `high * 2^shift + low`, which has to have room, where `shift` is at most 64.
pub(super) fn factor(high: u128, shift: u32, low: u128) -> Factor {
    let (low_part, high_part) = (high << shift, if shift == 0 { 0 } else { high >> (128 - shift) });
    let (sum, carry) = low_part.overflowing_add(low);
    [sum as u64, (sum >> 64) as u64, high_part as u64 + u64::from(carry)]
}

/// A difference: its sign and its magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub is_negative: bool,
    magnitude: [u64; LIMBS],
}

impl Difference {
    /// `n * t * 2^shift - x * y`; the first product, shifted, has to have room.
    pub fn of(n: u64, t: &Factor, shift: u32, x: &Factor, y: &Factor) -> Self {
        let a = shifted(&product(&[n, 0, 0], t), shift);
        let b = product(x, y);
        let is_negative = a.iter().rev().lt(b.iter().rev());
        let (large, small) = if is_negative { (&b, &a) } else { (&a, &b) };
        let mut magnitude = [0; LIMBS];
        let mut borrow = false;
        for limb in 0..LIMBS {
            let (rest, first) = large[limb].overflowing_sub(small[limb]);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (magnitude[limb], borrow) = (rest, first | second);
        }
        Self { is_negative, magnitude }
    }

    /// The magnitude as the sum of two floats, of which the first holds its 53 highest bits and the second the next 53; what
    /// is below those is dropped.
    pub fn pair(&self) -> [f64; 2] {
        let Some(top) = self.magnitude.iter().rposition(|limb| *limb != 0) else { return [0.0; 2] };
        let limb = |at: usize| if at <= top { u128::from(self.magnitude[top - at]) } else { 0 };
        let zeros = self.magnitude[top].leading_zeros();
        let head = limb(0) << 64 | limb(1);
        // The 128 highest bits, of which the first is set.
        let bits = if zeros == 0 { head } else { head << zeros | limb(2) >> (64 - zeros) };
        let exponent = 64 * (top as i32 - 1) - zeros as i32;
        let power = |exponent: i32| f64::from_bits(((1023 + exponent) as u64) << 52);
        [(bits >> 75) as f64 * power(exponent + 75), (bits >> 22 & ((1 << 53) - 1)) as f64 * power(exponent + 22)]
    }

    /// The magnitude.
    pub fn magnitude(&self) -> BigUint {
        let bytes: Vec<u8> = self.magnitude.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        BigUint::from_bytes_le(&bytes)
    }

    /// The number.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests compare with it"))]
    pub fn to_integer(self) -> BigInt {
        BigInt::from_biguint(if self.is_negative { Sign::Minus } else { Sign::Plus }, self.magnitude())
    }
}

fn product(a: &Factor, b: &Factor) -> [u64; LIMBS] {
    let mut result = [0; LIMBS];
    for (i, a) in a.iter().enumerate() {
        let mut carry = 0;
        for (j, b) in b.iter().enumerate() {
            let sum = u128::from(*a) * u128::from(*b) + u128::from(result[i + j]) + u128::from(carry);
            (result[i + j], carry) = (sum as u64, (sum >> 64) as u64);
        }
        result[i + 3] = carry;
    }
    result
}

fn shifted(number: &[u64; LIMBS], shift: u32) -> [u64; LIMBS] {
    let (limbs, bits) = ((shift / 64) as usize, shift % 64);
    std::array::from_fn(|at| {
        let limb = |down: usize| at.checked_sub(limbs + down).map_or(0, |from| number[from]);
        if bits == 0 { limb(0) } else { limb(0) << bits | limb(1) >> (64 - bits) }
    })
}

#[cfg(test)]
mod tests {
    use num_traits::ToPrimitive;

    use super::*;
    use crate::random::SplitMix64;

    fn big(factor: &Factor) -> BigInt {
        factor.iter().rev().fold(BigInt::ZERO, |number, limb| (number << 64) + limb)
    }

    #[test]
    fn differences_are_those_of_big_integers() {
        let mut random = SplitMix64(9);
        for round in 0..2000 {
            let mut number = |bits: u32| -> Factor {
                let bits = random.next_u64() as u32 % (bits + 1);
                let mut limbs = [random.next_u64(), random.next_u64(), random.next_u64()];
                for (at, limb) in limbs.iter_mut().enumerate() {
                    let here = bits.saturating_sub(64 * at as u32).min(64);
                    *limb = if here == 0 { 0 } else { *limb >> (64 - here) };
                }
                limbs
            };
            let (n, t, x, y) = (number(40)[0], number(144), number(144), number(144));
            let shift = [0, 1, 64, 104][round % 4];
            let found = Difference::of(n, &t, shift, &x, &y);
            let expected = ((BigInt::from(n) * big(&t)) << shift) - big(&x) * big(&y);
            assert_eq!(found.to_integer(), expected);
            let [high, low] = found.pair();
            let exact = |x: f64| crate::exact::Dyadic::from_f64(x).unwrap();
            let sum = [high, low].map(exact).map(|x| (x.integer << 1074) >> (-x.exp2).max(0) << x.exp2.max(0));
            let rest = (BigInt::from(found.magnitude()) << 1074) - &sum[0] - &sum[1];
            assert!(rest >= BigInt::ZERO && rest <= (BigInt::from(found.magnitude()) << 1074u32) >> 104, "{found:?}");
            assert!(high.to_f64().unwrap() >= low);
        }
    }

    #[test]
    fn a_factor_carries_over_128_bits() {
        let high = u128::MAX >> 40;
        assert_eq!(big(&factor(high, 53, 77)), (BigInt::from(high) << 53) + 77);
        assert_eq!(big(&factor(u128::MAX, 0, 1)), BigInt::from(u128::MAX) + 1);
    }
}
