//! Division of many numbers by the same one.

/// Division by one number, by multiplication (N. Möller and T. Granlund, Improved division by invariant integers, 2011).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reciprocal {
    /// The divisor, shifted up so far that its highest bit is set.
    divisor: u64,
    pub(crate) up: u32,
    /// `(2^128 - 1) / divisor - 2^64`
    inverse: u64,
}

impl Reciprocal {
    /// `None` for 0.
    pub(crate) const fn of(divisor: u64) -> Option<Self> {
        let up = divisor.leading_zeros();
        if up == u64::BITS {
            return None;
        }
        let divisor = divisor << up;
        let inverse = (((!divisor as u128) << 64 | u64::MAX as u128) / divisor as u128) as u64;
        Some(Self { divisor, up, inverse })
    }

    /// Quotient and remainder of `high * 2^64 + low` by the shifted divisor, which `high` is below.
    #[inline]
    pub(crate) fn divide(&self, high: u64, low: u64) -> (u64, u64) {
        debug_assert!(high < self.divisor);
        let estimate = u128::from(self.inverse) * u128::from(high) + (u128::from(high) << 64 | u128::from(low));
        let mut quotient = ((estimate >> 64) as u64).wrapping_add(1);
        let mut rest = low.wrapping_sub(quotient.wrapping_mul(self.divisor));
        if rest > estimate as u64 {
            quotient = quotient.wrapping_sub(1);
            rest = rest.wrapping_add(self.divisor);
        }
        if rest >= self.divisor {
            quotient += 1;
            rest -= self.divisor;
        }
        (quotient, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quotients_are_those_of_a_division(divisor in 1u64.., high: u64, low: u64, down in 0u32..64) {
            let by = Reciprocal::of((divisor >> down).max(1)).unwrap();
            let high = high % by.divisor;
            let (quotient, rest) = by.divide(high, low);
            let dividend = u128::from(high) << 64 | u128::from(low);
            prop_assert_eq!(u128::from(quotient), dividend / u128::from(by.divisor));
            prop_assert_eq!(u128::from(rest), dividend % u128::from(by.divisor));
        }
    }

    #[test]
    fn the_ends_of_the_range_are_divided_right() {
        assert!(Reciprocal::of(0).is_none());
        for divisor in [1, 2, 3, 1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX] {
            let by = Reciprocal::of(divisor).unwrap();
            for high in [0, 1, by.divisor / 2, by.divisor - 1] {
                for low in [0, 1, by.divisor - 1, by.divisor, u64::MAX] {
                    let dividend = u128::from(high) << 64 | u128::from(low);
                    let (quotient, rest) = by.divide(high, low);
                    let expected = (dividend / u128::from(by.divisor), dividend % u128::from(by.divisor));
                    assert_eq!((u128::from(quotient), u128::from(rest)), expected, "{dividend} / {divisor}");
                }
            }
        }
    }
}
