//! The types in which elements lie in files, and how one is loaded.

use bytemuck::Zeroable;
use num_traits::AsPrimitive;

use crate::input::DType;
use crate::input::netcdf::attributes::Number;

/// A type in which elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A float of 16 bits (IEEE 754 binary16).
    Half,
    Number(DType),
}

impl Kind {
    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::Half | Self::Number(DType::F32 | DType::F64))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Half => "f16",
            Self::Number(dtype) => dtype.name(),
        }
    }
}

/// How elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) kind: Kind,
    /// Whether they are in the byte order that is not this machine's.
    pub(super) swapped: bool,
}

/// A type of elements in a file.
pub(super) trait InFile {
    /// What such an element is computed with.
    type Value: AsPrimitive<f32> + AsPrimitive<f64> + PartialOrd + Zeroable;
    const SIZE: usize;
    fn load(bytes: &[u8], swapped: bool) -> Self::Value;
    /// The element that equals this number, if one does; of floats the nearest.
    fn of(number: Number) -> Option<Self::Value>;
    /// The least element that is not below this number; none where all are below it.
    fn floor(number: Number) -> Option<Self::Value>;
    /// The greatest element that is not above this number; none where all are above it.
    fn ceiling(number: Number) -> Option<Self::Value>;
}

macro_rules! integers_in_file {
    ($($integer:ty),*) => {$(
        impl InFile for $integer {
            type Value = Self;
            const SIZE: usize = size_of::<Self>();
            #[inline(always)]
            fn load(bytes: &[u8], swapped: bool) -> Self {
                let value = Self::from_ne_bytes(bytes.try_into().expect("the bytes of an element"));
                if swapped { value.swap_bytes() } else { value }
            }
            fn of(number: Number) -> Option<Self> {
                match number {
                    Number::Integer(integer) => Self::try_from(integer).ok(),
                    // Beyond 2^100 nothing is stored.
                    Number::Float(float) if float.trunc() == float && float.abs() < 1e30 => {
                        Self::try_from(float as i128).ok()
                    }
                    Number::Float(_) => None,
                }
            }
            fn floor(number: Number) -> Option<Self> {
                let least = match number {
                    Number::Integer(integer) => integer,
                    Number::Float(float) => float.ceil() as i128,
                };
                if least < Self::MIN.into() { return Some(Self::MIN) }
                Self::try_from(least).ok()
            }
            fn ceiling(number: Number) -> Option<Self> {
                let greatest = match number {
                    Number::Integer(integer) => integer,
                    Number::Float(float) => float.floor() as i128,
                };
                if greatest > Self::MAX.into() { return Some(Self::MAX) }
                Self::try_from(greatest).ok()
            }
        }
    )*};
}
integers_in_file!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! floats_in_file {
    ($($in_file:ty, $float:ty, $bits:ty, $load:expr;)*) => {$(
        impl InFile for $in_file {
            type Value = $float;
            const SIZE: usize = size_of::<$bits>();
            #[inline(always)]
            fn load(bytes: &[u8], swapped: bool) -> $float {
                let bits = <$bits>::from_ne_bytes(bytes.try_into().expect("the bytes of an element"));
                $load(if swapped { bits.swap_bytes() } else { bits })
            }
            fn of(number: Number) -> Option<$float> {
                Some(number.to_f64() as $float)
            }
            fn floor(number: Number) -> Option<$float> {
                Self::of(number)
            }
            fn ceiling(number: Number) -> Option<$float> {
                Self::of(number)
            }
        }
    )*};
}
floats_in_file! {
    f32, f32, u32, f32::from_bits;
    f64, f64, u64, f64::from_bits;
    Half, f32, u16, half_to_f32;
}

/// A float of 16 bits in a file.
pub(super) struct Half;

/// The value of IEEE 754 binary16 bits: every one is a value of `f32`.
fn half_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 0x3ff));
    match exponent {
        // Below the least normal number: a multiple of 2^-24.
        0 => {
            let magnitude = fraction as f32 * f32::from_bits((127 - 24) << 23);
            f32::from_bits(magnitude.to_bits() | sign)
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_floats() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x0001, 2f32.powi(-24)),
            (0x83ff, -1023.0 * 2f32.powi(-24)),
            (0x0400, 2f32.powi(-14)),
            (0x3c00, 1.0),
            (0x3555, 0.333_251_95),
            (0xfbff, -65504.0),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half_to_f32(bits).to_bits(), value.to_bits(), "{bits:04x}");
        }
        assert!(half_to_f32(0x7e00).is_nan());
    }
}
