//! What the attributes of a variable say of its values: what is missing, how they are packed, of which type they are.
//!
//! The rules are those of the CF conventions (2.5.1 and 8.1) and of the NetCDF users' guide ("Attribute Conventions").

use crate::input::DType;
use crate::input::netcdf::attributes::{Attributes, Number};
use crate::input::netcdf::in_file::{Encoding, Kind};

/// How a stored element becomes a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unpacking {
    pub(super) encoding: Encoding,
    /// The type of the values.
    pub(super) dtype: DType,
    /// Stored elements that stand for a missing value.
    pub(super) missing: Vec<Number>,
    /// Stored elements below the one or above the other are missing.
    pub(super) valid: (Option<Number>, Option<Number>),
    /// Values below the one or above the other are missing.
    pub(super) valid_unpacked: (Option<f64>, Option<f64>),
    pub(super) scale: Option<f64>,
    pub(super) offset: Option<f64>,
}

impl Unpacking {
    /// What the attributes say of elements stored so.
    pub(super) fn of(encoding: Encoding, attributes: &Attributes) -> Self {
        let mut encoding = encoding;
        if let (Kind::Number(dtype), Some(unsigned)) = (encoding.kind, attributes.text("_Unsigned")) {
            encoding.kind = Kind::Number(with_sign(dtype, !unsigned.eq_ignore_ascii_case("true")));
        }
        let kind = encoding.kind;
        let one = |name: &str| attributes.numbers(name).map(|(dtype, numbers)| (dtype, numbers[0]));
        let (scale, offset) = (one("scale_factor"), one("add_offset"));
        let is_packed = scale.is_some() || offset.is_some();

        let all = |name: &str| {
            let (dtype, numbers) = attributes.numbers(name)?;
            Some(numbers.iter().map(move |number| as_stored(*number, dtype, kind)).collect::<Vec<_>>())
        };
        let mut missing: Vec<Number> =
            [all("_FillValue"), all("missing_value")].into_iter().flatten().flatten().collect();
        let valid = valid_range(attributes);
        let declares_missing = !missing.is_empty() || valid.0.is_some() || valid.1.is_some();
        // What the library fills with where it is not told otherwise. Whole numbers keep their type, and that value with it.
        if attributes.numbers("_FillValue").is_none()
            && (kind.is_float() || is_packed || declares_missing)
            && let Some(fill) = default_fill(kind)
        {
            missing.push(fill);
        }

        let mut unpacking = Self {
            encoding,
            dtype: DType::F64,
            missing,
            valid: (None, None),
            valid_unpacked: (None, None),
            scale: scale.map(|(_, number)| number.to_f64()),
            offset: offset.map(|(_, number)| number.to_f64()),
        };
        // A limit in floats of whole numbers that are packed is one of the values.
        let is_of_values = |dtype| is_packed && !kind.is_float() && matches!(dtype, DType::F32 | DType::F64);
        for (limit, of_stored, of_values) in [
            (valid.0, &mut unpacking.valid.0, &mut unpacking.valid_unpacked.0),
            (valid.1, &mut unpacking.valid.1, &mut unpacking.valid_unpacked.1),
        ] {
            match limit {
                Some((dtype, number)) if is_of_values(dtype) => *of_values = Some(number.to_f64()),
                Some((dtype, number)) => *of_stored = Some(as_stored(number, dtype, kind)),
                None => {}
            }
        }
        let of_packing: Vec<DType> = [scale, offset].into_iter().flatten().map(|(dtype, _)| dtype).collect();
        unpacking.dtype = result_type(kind, &of_packing, declares_missing);
        unpacking
    }

    /// Whether the values are the stored elements themselves.
    pub(super) fn is_plain(&self) -> bool {
        Kind::Number(self.dtype) == self.encoding.kind
            && self.missing.is_empty()
            && self.valid == (None, None)
            && self.valid_unpacked == (None, None)
            && self.scale.is_none()
            && self.offset.is_none()
    }
}

/// The type of the values: that of the packing; of whole numbers that may be missing, `f64`, which has a NaN.
fn result_type(kind: Kind, of_packing: &[DType], declares_missing: bool) -> DType {
    if !of_packing.is_empty() {
        // Whole numbers of 32 bits and more do not fit an f32, whatever the attributes are of.
        let fits =
            matches!(kind, Kind::Half | Kind::Number(DType::F32 | DType::I8 | DType::I16 | DType::U8 | DType::U16));
        return if fits && of_packing.iter().all(|dtype| *dtype == DType::F32) { DType::F32 } else { DType::F64 };
    }
    match kind {
        Kind::Half => DType::F32,
        Kind::Number(dtype @ (DType::F32 | DType::F64)) => dtype,
        Kind::Number(_) if declares_missing => DType::F64,
        Kind::Number(DType::I8 | DType::I16) => DType::I32,
        Kind::Number(DType::U8 | DType::U16) => DType::U32,
        Kind::Number(dtype) => dtype,
    }
}

/// A limit of what is valid, where there is one, and its type in the file.
type Limit = Option<(DType, Number)>;

/// `valid_range`, or `valid_min` and `valid_max`, each with its type.
fn valid_range(attributes: &Attributes) -> (Limit, Limit) {
    // A NaN limits nothing.
    let limit = |limit: Limit| limit.filter(|(_, number)| !number.to_f64().is_nan());
    if let Some((dtype, [low, high])) = attributes.numbers("valid_range") {
        return (limit(Some((dtype, *low))), limit(Some((dtype, *high))));
    }
    let one = |name: &str| attributes.numbers(name).map(|(dtype, numbers)| (dtype, numbers[0]));
    (limit(one("valid_min")), limit(one("valid_max")))
}

/// What the netCDF library fills with, by type; bytes are all taken for values.
fn default_fill(kind: Kind) -> Option<Number> {
    Some(match kind {
        Kind::Number(DType::I16) => Number::Integer(-32767),
        Kind::Number(DType::U16) => Number::Integer(65535),
        Kind::Number(DType::I32) => Number::Integer(-2147483647),
        Kind::Number(DType::U32) => Number::Integer(4294967295),
        Kind::Number(DType::I64) => Number::Integer(-9223372036854775806),
        Kind::Number(DType::U64) => Number::Integer(18446744073709551614),
        // 15 · 2^119: the same number in both types.
        Kind::Number(DType::F32 | DType::F64) => Number::Float(9.969_209_968_386_869e36),
        Kind::Half | Kind::Number(DType::I8 | DType::U8) => return None,
    })
}

/// The type of this width with a sign, or without one.
fn with_sign(dtype: DType, signed: bool) -> DType {
    match (dtype, signed) {
        (DType::I8 | DType::U8, true) => DType::I8,
        (DType::I16 | DType::U16, true) => DType::I16,
        (DType::I32 | DType::U32, true) => DType::I32,
        (DType::I64 | DType::U64, true) => DType::I64,
        (DType::I8 | DType::U8, false) => DType::U8,
        (DType::I16 | DType::U16, false) => DType::U16,
        (DType::I32 | DType::U32, false) => DType::U32,
        (DType::I64 | DType::U64, false) => DType::U64,
        (DType::F32 | DType::F64, _) => dtype,
    }
}

/// A number of an attribute, as it stands for a stored element: one of the same width and the other sign is taken by its
/// bits, as the elements are.
fn as_stored(number: Number, dtype: DType, kind: Kind) -> Number {
    let (Number::Integer(integer), Kind::Number(stored)) = (number, kind) else { return number };
    let bits = 8 * stored.size_bytes() as u32;
    let wrapped = match (with_sign(dtype, true) == stored, with_sign(dtype, false) == stored) {
        (true, false) if integer >= 1 << (bits - 1) => integer - (1 << bits),
        (false, true) if integer < 0 => integer + (1 << bits),
        _ => integer,
    };
    Number::Integer(wrapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Element;
    use crate::input::netcdf::attributes::Attribute;

    fn attributes(list: &[(&str, Attribute)]) -> Attributes {
        let mut attributes = Attributes::default();
        list.iter().for_each(|(name, attribute)| attributes.insert(name, attribute.clone()));
        attributes
    }

    fn integers(dtype: DType, values: &[i128]) -> Attribute {
        Attribute::of(dtype, values, Number::Integer)
    }

    fn floats(dtype: DType, values: &[f64]) -> Attribute {
        Attribute::of(dtype, values, Number::Float)
    }

    /// What these elements become, with the type of the values.
    fn values<S: bytemuck::Pod>(dtype: DType, stored: &[S], list: &[(&str, Attribute)]) -> (DType, Vec<f64>) {
        let encoding = Encoding { kind: Kind::Number(dtype), swapped: false };
        let unpacking = Unpacking::of(encoding, &attributes(list));
        let raw = bytemuck::cast_slice(stored);
        let found = match unpacking.dtype {
            DType::F32 => converted::<f32>(&unpacking, raw, stored.len()).into_iter().map(f64::from).collect(),
            DType::F64 => converted::<f64>(&unpacking, raw, stored.len()),
            DType::I32 => converted::<i32>(&unpacking, raw, stored.len()).into_iter().map(f64::from).collect(),
            DType::U32 => converted::<u32>(&unpacking, raw, stored.len()).into_iter().map(f64::from).collect(),
            other => panic!("{other}"),
        };
        (unpacking.dtype, found)
    }

    fn converted<T: Element>(unpacking: &Unpacking, raw: &[u8], len: usize) -> Vec<T> {
        let mut room = vec![<T as bytemuck::Zeroable>::zeroed(); len];
        unpacking.convert(raw, &mut room);
        room
    }

    fn same(found: (DType, Vec<f64>), dtype: DType, expected: &[f64]) {
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!((found.0, bits(&found.1)), (dtype, bits(expected)), "{found:?} {expected:?}");
    }

    const NAN: f64 = f64::NAN;

    #[test]
    fn packed_numbers_are_of_the_type_of_their_packing() {
        let scale = |dtype| ("scale_factor", floats(dtype, &[0.5]));
        let offset = |dtype| ("add_offset", floats(dtype, &[100.0]));
        let stored = [-3_i16, 0, 7, -32767];
        same(
            values(DType::I16, &stored, &[scale(DType::F32), offset(DType::F32)]),
            DType::F32,
            &[98.5, 100.0, 103.5, NAN],
        );
        same(
            values(DType::I16, &stored, &[scale(DType::F32), offset(DType::F64)]),
            DType::F64,
            &[98.5, 100.0, 103.5, NAN],
        );
        let fill = ("_FillValue", integers(DType::I16, &[7]));
        same(values(DType::I16, &stored, &[scale(DType::F64), fill]), DType::F64, &[-1.5, 0.0, NAN, -16383.5]);
        same(values(DType::I32, &[16_777_217_i32], &[offset(DType::F32)]), DType::F64, &[16_777_317.0]);
        // Two roundings, as the conventions have it: the product, then the sum.
        let list = [("scale_factor", floats(DType::F64, &[0.1])), ("add_offset", floats(DType::F64, &[0.2]))];
        same(values(DType::I8, &[3_i8], &list), DType::F64, &[3.0 * 0.1 + 0.2]);
    }

    #[test]
    fn what_stands_for_missing_is_a_nan() {
        let missing = |numbers: &[i128]| ("missing_value", integers(DType::I32, numbers));
        let stored = [1_i32, 2, 3, -9999, -2147483647];
        same(values(DType::I32, &stored, &[]), DType::I32, &stored.map(f64::from));
        same(values(DType::I32, &stored, &[missing(&[2, -9999])]), DType::F64, &[1.0, NAN, 3.0, NAN, NAN]);
        let range = ("valid_range", integers(DType::I32, &[2, 3]));
        same(values(DType::I32, &stored, &[range]), DType::F64, &[NAN, 2.0, 3.0, NAN, NAN]);
        let floor = ("valid_min", floats(DType::F64, &[1.5]));
        same(values(DType::I32, &stored, &[floor]), DType::F64, &[NAN, 2.0, 3.0, NAN, NAN]);
        let beyond = ("valid_max", integers(DType::I64, &[1 << 40]));
        same(values(DType::I32, &[1_i32], &[beyond]), DType::F64, &[1.0]);
        let beyond = ("valid_max", integers(DType::I64, &[-(1 << 40)]));
        same(values(DType::I32, &[1_i32], &[beyond]), DType::F64, &[NAN]);

        // A double that stands for a missing float is the float nearest to it.
        let missing = ("missing_value", floats(DType::F64, &[1e20]));
        let fill = 9.969_21e36_f32;
        same(values(DType::F32, &[1e20_f32, 1.0, fill], &[missing]), DType::F32, &[NAN, 1.0, NAN]);
        same(values(DType::F64, &[f64::from(fill), 1.0], &[]), DType::F64, &[NAN, 1.0]);
        // A text says nothing of numbers.
        same(values(DType::F32, &[1.0_f32], &[("missing_value", Attribute::Text("1".to_owned()))]), DType::F32, &[1.0]);
    }

    #[test]
    fn a_limit_in_floats_of_packed_numbers_is_one_of_the_values() {
        let scale = ("scale_factor", floats(DType::F64, &[0.5]));
        let of_values = ("valid_max", floats(DType::F64, &[2.0]));
        let of_stored = ("valid_max", integers(DType::I16, &[2]));
        same(values(DType::I16, &[2_i16, 4, 5], &[scale.clone(), of_values]), DType::F64, &[1.0, 2.0, NAN]);
        same(values(DType::I16, &[2_i16, 4, 5], &[scale, of_stored]), DType::F64, &[1.0, NAN, NAN]);
    }

    #[test]
    fn unsigned_numbers_may_be_stored_as_signed_ones() {
        let unsigned = ("_Unsigned", Attribute::Text("true".to_owned()));
        same(values(DType::I8, &[-1_i8, 1], std::slice::from_ref(&unsigned)), DType::U32, &[255.0, 1.0]);
        let fill = ("_FillValue", integers(DType::I8, &[-1]));
        same(values(DType::I8, &[-1_i8, -2], &[unsigned, fill]), DType::F64, &[NAN, 254.0]);
        let signed = ("_Unsigned", Attribute::Text("false".to_owned()));
        same(values(DType::U8, &[255_u8, 1], &[signed]), DType::I32, &[-1.0, 1.0]);
    }

    #[test]
    fn halves_are_read_as_floats_of_32_bits() {
        let encoding = Encoding { kind: Kind::Half, swapped: true };
        let unpacking = Unpacking::of(encoding, &attributes(&[("_FillValue", floats(DType::F32, &[1.0]))]));
        assert_eq!(unpacking.dtype, DType::F32);
        let found =
            converted::<f32>(&unpacking, bytemuck::cast_slice(&[0x4000_u16.swap_bytes(), 0x3c00_u16.swap_bytes()]), 2);
        assert!(found[0] == 2.0 && found[1].is_nan(), "{found:?}");
    }
}
