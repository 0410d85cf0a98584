//! The element types, as `stats` sees them: keys that order as the numbers do, and the widths of exact sums.

use std::ops::RangeInclusive;

use crate::exact::{Decimal, Dyadic, FixedPoint};
use crate::input::{DType, Element};

/// An element type that `stats` computes on.
///
/// A *key* is an unsigned integer of as many bits as the element (held in a `u64`) that orders as the elements do. Floats
/// order by their value, -0 below +0; what is a NaN has a key outside [`Layout::valid_keys`]: a negative NaN below -∞, a
/// positive one above +∞.
///
/// - unsigned integers: the number itself
/// - signed integers: the bits with the sign bit flipped
/// - floats: all bits flipped where the sign bit is set, else the sign bit alone
pub trait Number: Element {
    /// What is fixed for the type.
    const LAYOUT: Layout;
    /// The key of this element.
    fn key(self) -> u64;
    /// The element with this key.
    fn from_key(key: u64) -> Self;
    /// The nearest `f64`.
    fn to_f64(self) -> f64;
}

/// What is fixed for an element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The type.
    pub dtype: DType,
    /// Bits of a key, and of an element.
    pub key_bits: u32,
    /// Whether it has NaN and infinities.
    pub float: bool,
    /// The least and the greatest key of an element that is not a NaN; for floats these are the infinities.
    pub valid_keys: (u64, u64),
    /// The weight of the lowest bit of a sum: 2^-149 for `f32`, 2^-1074 for `f64`, 1 for integers.
    pub sum_lsb: i32,
    /// 64-bit limbs of a sum of up to 2^64 elements, with sign.
    pub sum_limbs: usize,
    /// The weight of the lowest bit of a sum of squares: twice `sum_lsb`.
    pub squares_lsb: i32,
    /// 64-bit limbs of a sum of squares.
    pub squares_limbs: usize,
}

impl Layout {
    /// The layout of this type; `None` where `stats` does not support it.
    pub fn of(dtype: DType) -> Option<Self> {
        SUPPORTED.iter().copied().find(|layout| layout.dtype == dtype)
    }

    /// An empty sum of elements.
    pub fn zero_sum(&self) -> FixedPoint {
        FixedPoint::zero(self.sum_lsb, self.sum_limbs)
    }

    /// An empty sum of squares.
    pub fn zero_squares(&self) -> FixedPoint {
        FixedPoint::zero(self.squares_lsb, self.squares_limbs)
    }

    /// An empty sum of third or fourth powers.
    pub fn zero_power(&self, power: i32) -> FixedPoint {
        let magnitude_bits = match self.dtype {
            DType::F32 => 128 + 149,
            DType::F64 => 1024 + 1074,
            _ => self.key_bits as usize,
        };
        // The largest power, a count of 2^64 and a sign.
        FixedPoint::zero(power * self.sum_lsb, (power as usize * magnitude_bits + 65).div_ceil(64))
    }

    /// The largest key there is.
    pub fn max_key(&self) -> u64 {
        u64::MAX >> (64 - self.key_bits)
    }

    /// The keys of the elements that equal this number: one, or both zeros; for floats, of the nearest float.
    ///
    /// # Errors
    /// Where no element of the type can equal it; the message goes on after the quoted number.
    pub fn keys_equal_to(&self, number: &Decimal) -> Result<RangeInclusive<u64>, String> {
        fn float<T: Number + num_traits::Float>(value: T) -> Result<RangeInclusive<u64>, String> {
            if value.is_infinite() {
                return Err(format!("is too large for {}", T::DTYPE));
            }
            Ok(if value.is_zero() { T::neg_zero().key()..=T::zero().key() } else { value.key()..=value.key() })
        }
        fn integer<T: Number + TryFrom<num_bigint::BigInt>>(number: &Decimal) -> Result<RangeInclusive<u64>, String> {
            let whole = number.to_integer().ok_or_else(|| format!("is not whole, as every {} is", T::DTYPE))?;
            let value = T::try_from(whole).map_err(|_| format!("does not fit {}", T::DTYPE))?;
            Ok(value.key()..=value.key())
        }
        match self.dtype {
            DType::F32 => float(number.to_f32()),
            DType::F64 => float(number.to_f64()),
            DType::I32 => integer::<i32>(number),
            DType::I64 => integer::<i64>(number),
            DType::U32 => integer::<u32>(number),
            DType::U64 => integer::<u64>(number),
            DType::I8 | DType::I16 | DType::U8 | DType::U16 => unreachable!("there is no layout of these types"),
        }
    }
}

/// One element, whatever its type; also a sum of integers.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Scalar {
    Integer(i128),
    F32(f32),
    F64(f64),
}

impl Scalar {
    /// The element of this type with this key; `None` for types that `stats` does not support.
    pub(super) fn from_key(dtype: DType, key: u64) -> Option<Self> {
        Some(match dtype {
            DType::F32 => Self::F32(f32::from_key(key)),
            DType::F64 => Self::F64(f64::from_key(key)),
            DType::I32 => Self::Integer(i32::from_key(key).into()),
            DType::I64 => Self::Integer(i64::from_key(key).into()),
            DType::U32 => Self::Integer(u32::from_key(key).into()),
            DType::U64 => Self::Integer(u64::from_key(key).into()),
            _ => return None,
        })
    }

    /// The nearest `f64`: exact but for large integers.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::F32(float) => float.into(),
            Self::F64(float) => float,
        }
    }

    /// Its exact value; `None` for infinities and NaN.
    pub(super) fn exact(self) -> Option<Dyadic> {
        match self {
            Self::Integer(integer) => Some(Dyadic::from_integer(integer)),
            Self::F32(float) => Dyadic::from_f64(float.into()),
            Self::F64(float) => Dyadic::from_f64(float),
        }
    }
}

/// Every type that `stats` supports.
pub const SUPPORTED: [Layout; 6] = [f32::LAYOUT, f64::LAYOUT, i32::LAYOUT, i64::LAYOUT, u32::LAYOUT, u64::LAYOUT];

macro_rules! float {
    ($float:ty, $bits:ty, $infinity:expr, $sum_lsb:expr, $sum_limbs:expr, $squares_limbs:expr) => {
        impl Number for $float {
            const LAYOUT: Layout = Layout {
                dtype: <$float as Element>::DTYPE,
                key_bits: <$bits>::BITS,
                float: true,
                valid_keys: ((<$bits>::MAX >> 1) as u64 - $infinity, (1 << (<$bits>::BITS - 1)) + $infinity),
                sum_lsb: $sum_lsb,
                sum_limbs: $sum_limbs,
                squares_lsb: 2 * $sum_lsb,
                squares_limbs: $squares_limbs,
            };

            #[inline(always)]
            fn key(self) -> u64 {
                let bits = self.to_bits();
                let sign = 1 << (<$bits>::BITS - 1);
                (if bits & sign == 0 { bits | sign } else { !bits }) as u64
            }

            #[inline(always)]
            fn from_key(key: u64) -> Self {
                let (key, sign) = (key as $bits, 1 << (<$bits>::BITS - 1));
                Self::from_bits(if key & sign == 0 { !key } else { key ^ sign })
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self.into()
            }
        }
    };
}
// The largest value, a count of 2^64 and a sign: 128 + 149 + 64 + 1 = 342 bits for a sum of f32.
float!(f32, u32, 0x7f80_0000, -149, 6, 10);
float!(f64, u64, 0x7ff0_0000_0000_0000, -1074, 34, 67);

macro_rules! integer {
    ($integer:ty, $bits:ty, $flip:expr) => {
        impl Number for $integer {
            const LAYOUT: Layout = Layout {
                dtype: <$integer as Element>::DTYPE,
                key_bits: <$bits>::BITS,
                float: false,
                valid_keys: (0, <$bits>::MAX as u64),
                sum_lsb: 0,
                sum_limbs: 3,
                squares_lsb: 0,
                squares_limbs: 4,
            };

            #[inline(always)]
            fn key(self) -> u64 {
                (self as $bits ^ $flip) as u64
            }

            #[inline(always)]
            fn from_key(key: u64) -> Self {
                (key as $bits ^ $flip) as Self
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    };
}
integer!(i32, u32, 1 << 31);
integer!(i64, u64, 1 << 63);
integer!(u32, u32, 0);
integer!(u64, u64, 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn check_order<T: Number>(ascending: &[T]) {
        for pair in ascending.windows(2) {
            assert!(pair[0].key() < pair[1].key(), "{pair:?}");
        }
        for value in ascending {
            assert_eq!(bytemuck::bytes_of(&T::from_key(value.key())), bytemuck::bytes_of(value));
            let valid = (T::LAYOUT.valid_keys.0..=T::LAYOUT.valid_keys.1).contains(&value.key());
            assert_eq!(valid, !value.to_f64().is_nan(), "{value:?}");
        }
    }

    #[test]
    fn keys_order_as_numbers_do_and_lead_back() {
        check_order(&[
            -f32::NAN,
            f32::NEG_INFINITY,
            f32::MIN,
            -1.5,
            -1e-45,
            -0.0,
            0.0,
            1e-45,
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
        ]);
        check_order(&[
            -f64::NAN,
            f64::NEG_INFINITY,
            f64::MIN,
            -1.5,
            -5e-324,
            -0.0,
            0.0,
            5e-324,
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
        ]);
        check_order(&[i32::MIN, -1, 0, 1, i32::MAX]);
        check_order(&[i64::MIN, -1, 0, 1, i64::MAX]);
        check_order(&[0, 1, u32::MAX]);
        check_order(&[0, 1, u64::MAX]);
    }

    #[test]
    fn the_valid_keys_end_with_the_infinities() {
        assert_eq!(f32::LAYOUT.valid_keys, (f32::NEG_INFINITY.key(), f32::INFINITY.key()));
        assert_eq!(f64::LAYOUT.valid_keys, (f64::NEG_INFINITY.key(), f64::INFINITY.key()));
    }

    #[test]
    fn a_missing_value_is_found_in_every_type_that_can_hold_it() {
        let keys = |layout: Layout, text: &str| layout.keys_equal_to(&text.parse().unwrap());
        assert_eq!(keys(i32::LAYOUT, "-9999"), Ok((-9999i32).key()..=(-9999i32).key()));
        assert_eq!(keys(f32::LAYOUT, "0.1"), Ok(0.1f32.key()..=0.1f32.key()));
        assert_eq!(keys(f64::LAYOUT, "0"), Ok((-0.0f64).key()..=0.0f64.key()));
        assert_eq!(keys(u64::LAYOUT, "18446744073709551615"), Ok(u64::MAX..=u64::MAX));
        assert!(keys(u32::LAYOUT, "-1").unwrap_err().contains("does not fit u32"));
        assert!(keys(i64::LAYOUT, "0.5").unwrap_err().contains("not whole"));
        assert!(keys(f32::LAYOUT, "1e39").unwrap_err().contains("too large for f32"));
    }
}
