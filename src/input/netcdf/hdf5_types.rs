//! The types of HDF5, as far as they are numbers or texts.

use hdf5_pure::{AttrValue, Datatype, DatatypeByteOrder};

use crate::input::DType;
use crate::input::netcdf::attributes::{Attribute, Number};
use crate::input::netcdf::in_file::{Encoding, Kind};

/// How elements of this type are stored; else what it is.
pub(super) fn encoding_of(datatype: &Datatype) -> Result<Encoding, String> {
    let swapped = |order: &DatatypeByteOrder| match order {
        DatatypeByteOrder::LittleEndian => Ok(cfg!(target_endian = "big")),
        DatatypeByteOrder::BigEndian => Ok(cfg!(target_endian = "little")),
        DatatypeByteOrder::Vax => Err("numbers in the byte order of a VAX".to_owned()),
    };
    match datatype {
        Datatype::FixedPoint { size, byte_order, layout } => {
            let dtype = match (size, layout.signed) {
                (1, true) => DType::I8,
                (2, true) => DType::I16,
                (4, true) => DType::I32,
                (8, true) => DType::I64,
                (1, false) => DType::U8,
                (2, false) => DType::U16,
                (4, false) => DType::U32,
                (8, false) => DType::U64,
                _ => return Err(format!("whole numbers of {size} bytes")),
            };
            if layout.bit_offset != 0 || u32::from(layout.bit_precision) != 8 * size {
                return Err(format!("whole numbers of {} bits in {size} bytes", layout.bit_precision));
            }
            Ok(Encoding { kind: Kind::Number(dtype), swapped: swapped(byte_order)? && *size > 1 })
        }
        Datatype::FloatingPoint { size, byte_order, layout } => {
            let parts = (layout.mantissa_size, layout.exponent_size, layout.exponent_bias);
            let places = (layout.bit_offset, layout.mantissa_location, layout.exponent_location);
            let kind = match (size, parts, places) {
                (2, (10, 5, 15), (0, 0, 10)) => Kind::Half,
                (4, (23, 8, 127), (0, 0, 23)) => Kind::Number(DType::F32),
                (8, (52, 11, 1023), (0, 0, 52)) => Kind::Number(DType::F64),
                _ => {
                    return Err(format!(
                        "floats of another format than IEEE 754's of 16, 32 and 64 bits ({size} bytes)"
                    ));
                }
            };
            Ok(Encoding { kind, swapped: swapped(byte_order)? })
        }
        Datatype::Time { .. } => Err("times".to_owned()),
        Datatype::String { .. } => Err("strings".to_owned()),
        Datatype::BitField { .. } => Err("bit fields".to_owned()),
        Datatype::Opaque { .. } => Err("opaque bytes".to_owned()),
        Datatype::Compound { .. } => Err("compounds".to_owned()),
        Datatype::Reference { .. } => Err("references".to_owned()),
        Datatype::Enumeration { .. } => Err("an enumeration".to_owned()),
        Datatype::VariableLength { is_string: true, .. } => Err("strings".to_owned()),
        Datatype::VariableLength { .. } => Err("lists of various lengths".to_owned()),
        Datatype::Array { .. } => Err("arrays as elements".to_owned()),
        _ => Err("elements of an unknown type".to_owned()),
    }
}

/// The text in an attribute of HDF5, if it is one.
pub(super) fn text(value: Option<&AttrValue>) -> Option<String> {
    match attribute(value?)? {
        Attribute::Text(text) => Some(text),
        Attribute::Numbers(..) => None,
    }
}

/// What an attribute of HDF5 holds, if it is numbers or text.
pub(super) fn attribute(value: &AttrValue) -> Option<Attribute> {
    use Number::{Float, Integer};
    macro_rules! integers {
        ($dtype:ident, $values:expr) => {
            Attribute::of(DType::$dtype, $values, |value| Integer(value.into()))
        };
    }
    Some(match value {
        AttrValue::F32(value) => {
            Attribute::of(DType::F32, std::slice::from_ref(value), |value: f32| Float(value.into()))
        }
        AttrValue::F32Array(values) => Attribute::of(DType::F32, values, |value: f32| Float(value.into())),
        AttrValue::F64(value) => Attribute::of(DType::F64, std::slice::from_ref(value), Float),
        AttrValue::F64Array(values) => Attribute::of(DType::F64, values, Float),
        AttrValue::I8(value) => integers!(I8, std::slice::from_ref(value)),
        AttrValue::I8Array(values) => integers!(I8, values),
        AttrValue::I16(value) => integers!(I16, std::slice::from_ref(value)),
        AttrValue::I16Array(values) => integers!(I16, values),
        AttrValue::I32(value) => integers!(I32, std::slice::from_ref(value)),
        AttrValue::I32Array(values) => integers!(I32, values),
        AttrValue::I64(value) => integers!(I64, std::slice::from_ref(value)),
        AttrValue::I64Array(values) => integers!(I64, values),
        AttrValue::U8(value) => integers!(U8, std::slice::from_ref(value)),
        AttrValue::U8Array(values) => integers!(U8, values),
        AttrValue::U16(value) => integers!(U16, std::slice::from_ref(value)),
        AttrValue::U16Array(values) => integers!(U16, values),
        AttrValue::U32(value) => integers!(U32, std::slice::from_ref(value)),
        AttrValue::U32Array(values) => integers!(U32, values),
        AttrValue::U64(value) => integers!(U64, std::slice::from_ref(value)),
        AttrValue::U64Array(values) => integers!(U64, values),
        other => {
            let text = match other.as_str() {
                Some(text) => text.to_owned(),
                None => other.as_strings()?.join(" "),
            };
            Attribute::Text(text)
        }
    })
}
