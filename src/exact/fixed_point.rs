//! A wide fixed-point number that sums are gathered in without rounding.
//!
//! The idea of a "superaccumulator" long enough for every value of a float type is Kulisch's (Computer Arithmetic and
//! Validity, 2008).

use num_bigint::{BigInt, BigUint, Sign};

/// A two's-complement number of 64-bit limbs whose lowest bit is worth `2^lsb`.
///
/// Addition wraps at its width, as two's complement does: whoever chooses the width leaves room for as many values as
/// there can be. [`FixedPoint::merge`] is therefore associative and commutative, always.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FixedPoint {
    lsb: i32,
    limbs: Vec<u64>,
}

impl FixedPoint {
    /// Zero, with this weight of the lowest bit and this many limbs (at least one).
    pub fn zero(lsb: i32, limbs: usize) -> Self {
        Self { lsb, limbs: vec![0; limbs.max(1)] }
    }

    /// The power of two that the lowest bit is worth.
    pub fn lsb(&self) -> i32 {
        self.lsb
    }

    /// The limbs, the lowest first.
    pub fn limbs(&self) -> &[u64] {
        &self.limbs
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.limbs.last().is_some_and(|limb| limb >> 63 == 1)
    }

    /// Adds `value * 2^exp2`. Where `exp2` is below the lowest bit, the bits that would be lost must be zeros.
    pub fn add(&mut self, value: i128, exp2: i32) {
        let (value, shift) = match i64::from(exp2) - i64::from(self.lsb) {
            shift @ 0.. => (value, shift as u64),
            shift => {
                let down = shift.unsigned_abs().min(127) as u32;
                debug_assert_eq!((value >> down) << down, value, "bits below 2^{} would be lost", self.lsb);
                (value >> down, 0)
            }
        };
        let (first, bit) = ((shift / 64) as usize, (shift % 64) as u32);
        let extension = if value < 0 { u64::MAX } else { 0 };
        let (low, high) = (value as u64, (value >> 64) as u64);
        let words = if bit == 0 {
            [low, high, extension]
        } else {
            [low << bit, high << bit | low >> (64 - bit), extension << bit | high >> (64 - bit)]
        };
        let mut carry = false;
        for (i, limb) in self.limbs.iter_mut().skip(first).enumerate() {
            let word = words.get(i).copied().unwrap_or(extension);
            // Past the value's own words, adding the extension and this carry changes nothing any more.
            if i >= words.len() && carry == (value < 0) {
                return;
            }
            (*limb, carry) = add_carry(*limb, word, carry);
        }
    }

    /// Adds a magnitude of 32-bit limbs, the lowest first, whose lowest bit has the weight of this number's lowest bit.
    /// Limbs past this number's width wrap away.
    pub fn add_limbs_u32(&mut self, magnitude: &[u32]) {
        self.add_words(magnitude, 0, false);
    }

    /// Subtracts such a magnitude.
    pub fn sub_limbs_u32(&mut self, magnitude: &[u32]) {
        // a - m = a + !m + 1, with the complement carried on past the magnitude's own limbs.
        self.add_words(magnitude, u32::MAX, true);
    }

    fn add_words(&mut self, magnitude: &[u32], flip: u32, mut carry: bool) {
        let mut words = magnitude.chunks(2);
        for limb in &mut self.limbs {
            let pair = words.next().unwrap_or(&[]);
            let [low, high] = [0, 1].map(|i| u64::from(pair.get(i).copied().unwrap_or(0) ^ flip));
            (*limb, carry) = add_carry(*limb, high << 32 | low, carry);
        }
    }

    /// Adds another number of the same shape.
    ///
    /// # Panics
    /// Where the shapes differ.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!((self.lsb, self.limbs.len()), (other.lsb, other.limbs.len()), "accumulators of one shape");
        let mut carry = false;
        for (limb, word) in self.limbs.iter_mut().zip(&other.limbs) {
            (*limb, carry) = add_carry(*limb, *word, carry);
        }
    }

    /// Its exact value as an integer times a power of two, without needless low zeros.
    pub fn to_dyadic(&self) -> super::Dyadic {
        let negative = self.is_negative();
        let mut limbs = self.limbs.clone();
        if negative {
            let mut carry = true;
            for limb in &mut limbs {
                (*limb, carry) = add_carry(!*limb, 0, carry);
            }
        }
        let Some(first) = limbs.iter().position(|limb| *limb != 0) else {
            return super::Dyadic { integer: BigInt::ZERO, exp2: 0 };
        };
        let words = limbs[first..].iter().flat_map(|limb| [*limb as u32, (*limb >> 32) as u32]).collect();
        let sign = if negative { Sign::Minus } else { Sign::Plus };
        let integer = BigInt::from_biguint(sign, BigUint::new(words));
        super::Dyadic { integer, exp2: i64::from(self.lsb) + 64 * first as i64 }
    }
}

fn add_carry(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, over) = a.overflowing_add(b);
    let (sum, over_again) = sum.overflowing_add(u64::from(carry));
    (sum, over | over_again)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The value in units of its lowest bit.
    fn units(sum: &FixedPoint) -> BigInt {
        let dyadic = sum.to_dyadic();
        let shift = dyadic.exp2 - i64::from(sum.lsb());
        if dyadic.integer == BigInt::ZERO { dyadic.integer } else { dyadic.integer << usize::try_from(shift).unwrap() }
    }

    fn limbs_of(words: &[u32]) -> BigInt {
        BigInt::from_biguint(Sign::Plus, BigUint::new(words.to_vec()))
    }

    proptest! {
        #[test]
        fn additions_of_every_kind_equal_big_integers(
            adds in prop::collection::vec((any::<i128>(), 0i32..200), 0..20),
            plus in prop::collection::vec(any::<u32>(), 0..9),
            minus in prop::collection::vec(any::<u32>(), 0..9),
            cut in 0usize..20,
        ) {
            let mut expected = BigInt::ZERO;
            let mut parts = [FixedPoint::zero(-100, 7), FixedPoint::zero(-100, 7)];
            for (i, (value, shift)) in adds.iter().enumerate() {
                expected += BigInt::from(*value) << *shift;
                parts[usize::from(i >= cut)].add(*value, shift - 100);
            }
            parts[0].add_limbs_u32(&plus);
            parts[1].sub_limbs_u32(&minus);
            expected += limbs_of(&plus);
            expected -= limbs_of(&minus);
            let [mut sum, other] = parts;
            sum.merge(&other);
            prop_assert_eq!(sum.is_negative(), expected < BigInt::ZERO);
            prop_assert_eq!(units(&sum), expected);
        }

        #[test]
        fn a_value_below_the_lowest_bit_is_shifted_down(value in -1_000_000i128..1_000_000, down in 0i32..100) {
            let mut sum = FixedPoint::zero(0, 3);
            sum.add(value << down, -down);
            prop_assert_eq!(units(&sum), BigInt::from(value));
        }
    }

    #[test]
    fn a_borrow_runs_through_every_limb() {
        let mut sum = FixedPoint::zero(0, 34);
        sum.add(-1, 0);
        assert!(sum.limbs().iter().all(|limb| *limb == u64::MAX));
        sum.add(1, 0);
        assert!(sum.limbs().iter().all(|limb| *limb == 0));
        sum.sub_limbs_u32(&[]);
        assert!(sum.limbs().iter().all(|limb| *limb == 0));
    }
}
