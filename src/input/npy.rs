//! NumPy's array file, versions 1 to 3: a short header, then the elements as they lie in memory.
//!
//! The format is described in the NumPy documentation, `numpy.lib.format`. The header is a Python dictionary of three
//! known keys; only that is read here, nothing is evaluated. The order of the elements (C or Fortran) is the file's.

use crate::input::DType;
use crate::input::bytes::Bytes;
use crate::input::elements::Elements;
use crate::input::excerpt::excerpt;
use crate::job::{Cause, JobError};

/// The first bytes of every such file.
pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// No header of a supported array is nearly as long.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) dtype: DType,
    /// Whether the elements are in the byte order that is not this machine's.
    pub(crate) swapped: bool,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<u64>,
    /// The product of the shape.
    pub(crate) len: u64,
}

/// The array in `bytes`, and what its header says.
pub(crate) fn open(name: &str, bytes: Bytes) -> Result<(Elements, Description), JobError> {
    let (description, data_offset) = describe(name, &bytes)?;
    let size_bytes = description.dtype.size_bytes() as u64;
    let there = bytes.len() - data_offset;
    let shape = shape_text(&description.shape);
    let Some(needed) = description.len.checked_mul(size_bytes) else {
        return Err(JobError::bad_input(format!("{name}: an array of shape {shape} does not fit any machine")));
    };
    if needed != there {
        let remedy = if needed > there { "it was cut short: write it again" } else { "write one array a file" };
        return Err(JobError::bad_input(format!(
            "{name}: its header promises {needed} bytes of data (shape {shape} of {}), but {there} follow it: {remedy}",
            description.dtype
        )));
    }
    let elements = Elements::run(name, bytes, data_offset, description.dtype, description.len, description.swapped);
    Ok((elements, description))
}

/// The shape as Python writes it.
fn shape_text(shape: &[u64]) -> String {
    match shape {
        [only] => format!("({only},)"),
        _ => format!("({})", shape.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// What the header says, and where the data begins.
fn describe(name: &str, bytes: &Bytes) -> Result<(Description, u64), JobError> {
    let mut start = [0_u8; 12];
    let start_len = bytes.len().min(12) as usize;
    bytes.read_at(0, &mut start[..start_len], name)?;
    let start = &start[..start_len];
    if !start.starts_with(MAGIC) {
        let found = if start.is_empty() {
            "it is empty".to_owned()
        } else {
            format!("it begins with `{}`", start[..start_len.min(6)].escape_ascii())
        };
        let expected = MAGIC.escape_ascii();
        return Err(JobError::bad_input(format!(
            "{name}: is not an .npy file: {found} instead of `{expected}`: name its format"
        )));
    }
    let cut_short = || JobError::bad_input(format!("{name}: ends inside its .npy header, at byte {}", bytes.len()));
    let (prefix_len, header_len) = match (start.get(6), start.get(7)) {
        (None, _) | (_, None) => return Err(cut_short()),
        (Some(1), Some(0)) if start_len >= 10 => (10, u64::from(u16::from_le_bytes([start[8], start[9]]))),
        (Some(2 | 3), Some(0)) if start_len >= 12 => {
            (12, u64::from(u32::from_le_bytes([start[8], start[9], start[10], start[11]])))
        }
        (Some(1..=3), Some(0)) => return Err(cut_short()),
        (Some(major), Some(minor)) => {
            return Err(JobError::bad_input(format!(
                "{name}: is of .npy version {major}.{minor} (byte 6): versions 1.0, 2.0 and 3.0 are supported"
            )));
        }
    };
    if header_len > HEADER_BYTES_MAX {
        return Err(JobError::bad_input(format!(
            "{name}: claims an .npy header of {header_len} bytes (byte 8): {HEADER_BYTES_MAX} are supported"
        )));
    }
    if bytes.len() < prefix_len + header_len {
        return Err(cut_short());
    }
    let mut header = vec![0_u8; header_len as usize];
    bytes.read_at(prefix_len, &mut header, name)?;
    let description = HeaderParser { text: &header, at: 0 }.dictionary().map_err(|fault| match fault {
        Fault::Malformed { at, what } => {
            JobError::bad_input(format!("{name}: malformed .npy header at byte {}: {what}", prefix_len + at as u64))
        }
        Fault::Unsupported(what) => JobError::new(Cause::Unsupported, format!("{name}: {what}")),
    })?;
    Ok((description, prefix_len + header_len))
}

/// What is wrong with a header.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Malformed { at: usize, what: String },
    Unsupported(String),
}

/// Reads the one dictionary that a header is.
struct HeaderParser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> HeaderParser<'a> {
    fn fault<T>(&self, what: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::Malformed { at: self.at, what: what.into() })
    }

    fn skip_spaces(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        self.skip_spaces();
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.fault(format!("`{}` was expected", char::from(byte)))
    }

    fn dictionary(mut self) -> Result<Description, Fault> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while self.peek() != Some(b'}') {
            let key_at = self.at;
            let key = self.string()?;
            self.expect(b':')?;
            let repeated = match key {
                b"descr" => descr.replace(self.descr()?).is_some(),
                b"fortran_order" => fortran_order.replace(self.boolean()?).is_some(),
                b"shape" => shape.replace(self.shape()?).is_some(),
                _ => {
                    self.at = key_at;
                    return self.fault(format!("unknown key `{}`", excerpt(key)));
                }
            };
            if repeated {
                self.at = key_at;
                return self.fault(format!("key `{}` stands twice", excerpt(key)));
            }
            if self.peek() != Some(b'}') {
                self.expect(b',')?;
            }
        }
        self.expect(b'}')?;
        if self.peek().is_some() {
            return self.fault("nothing but spaces may follow the dictionary");
        }
        let Some((dtype, swapped)) = descr else { return self.fault("key `descr` is missing") };
        let Some(fortran_order) = fortran_order else { return self.fault("key `fortran_order` is missing") };
        let Some(shape) = shape else { return self.fault("key `shape` is missing") };
        // An axis of length 0 empties the array, however long the others are.
        let len =
            if shape.contains(&0) { Some(0) } else { shape.iter().try_fold(1_u64, |len, axis| len.checked_mul(*axis)) };
        let Some(len) = len else {
            return self.fault(format!("shape {} has more elements than can be counted", shape_text(&shape)));
        };
        Ok(Description { dtype, swapped, fortran_order, shape, len })
    }

    /// A string in either kind of quotes, without escapes: no supported header needs one.
    fn string(&mut self) -> Result<&'a [u8], Fault> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return self.fault("a quoted string was expected"),
        };
        let rest = &self.text[self.at + 1..];
        let Some(len) = memchr::memchr3(quote, b'\\', b'\n', rest).filter(|&len| rest[len] == quote) else {
            return self.fault("this string does not end, or has an escape in it");
        };
        self.at += len + 2;
        Ok(&rest[..len])
    }

    fn boolean(&mut self) -> Result<bool, Fault> {
        self.skip_spaces();
        for (word, value) in [(&b"True"[..], true), (b"False", false)] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.fault("`True` or `False` was expected")
    }

    fn shape(&mut self) -> Result<Vec<u64>, Fault> {
        /// NumPy itself stops at 64.
        const AXES_MAX: usize = 64;
        self.expect(b'(')?;
        let mut shape = Vec::new();
        let mut comma = true;
        while self.peek() != Some(b')') {
            if !comma {
                return self.fault("`,` or `)` was expected");
            }
            if shape.len() == AXES_MAX {
                return self.fault(format!("a shape has {AXES_MAX} axes at most"));
            }
            shape.push(self.axis()?);
            comma = self.peek() == Some(b',');
            self.at += usize::from(comma);
        }
        if shape.len() == 1 && !comma {
            return self.fault("`,` was expected: a shape is a tuple");
        }
        self.expect(b')')?;
        Ok(shape)
    }

    fn axis(&mut self) -> Result<u64, Fault> {
        self.skip_spaces();
        let rest = &self.text[self.at..];
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return self.fault("the length of an axis was expected, in digits");
        }
        let value = rest[..len].iter().try_fold(0_u64, |value, digit| {
            value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit - b'0')))
        });
        let Some(value) = value else {
            return self.fault(format!("an axis of length {} is too long", excerpt(&rest[..len])));
        };
        // Python 2 wrote long integers as `3L`.
        self.at += len + usize::from(rest.get(len) == Some(&b'L'));
        Ok(value)
    }

    /// The element type, and whether its bytes are to be swapped.
    fn descr(&mut self) -> Result<(DType, bool), Fault> {
        if matches!(self.peek(), Some(b'[' | b'(' | b'{')) {
            let found = excerpt(&self.text[self.at..]);
            return Err(Fault::Unsupported(format!(
                "its elements are structured (`{found}`), not plain numbers: save one field as an array of its own"
            )));
        }
        let descr = self.string()?;
        let (order, kind) = match descr {
            [order @ (b'<' | b'>' | b'=' | b'|'), kind @ ..] => (*order, kind),
            kind => (b'=', kind),
        };
        let dtype = match kind {
            b"f4" => DType::F32,
            b"f8" => DType::F64,
            b"i1" => DType::I8,
            b"i2" => DType::I16,
            b"i4" => DType::I32,
            b"i8" => DType::I64,
            b"u1" => DType::U8,
            b"u2" => DType::U16,
            b"u4" => DType::U32,
            b"u8" => DType::U64,
            _ => {
                let meaning = match kind {
                    [b'?'] | [b'b', b'1'] => " (bool)",
                    [b'f', b'2'] => " (half precision)",
                    [b'f', ..] => " (extended precision)",
                    [b'c', ..] => " (complex)",
                    [b'S' | b'a' | b'U' | b'T', ..] => " (strings)",
                    [b'O', ..] => " (Python objects)",
                    [b'M' | b'm', ..] => " (dates)",
                    [b'V', ..] => " (raw bytes)",
                    _ => "",
                };
                return Err(Fault::Unsupported(format!(
                    "its elements are of type `{}`{meaning}, which cannot be read: convert it with `astype` to floats or \
                     integers of 32 or 64 bits",
                    excerpt(descr)
                )));
            }
        };
        let swapped = match order {
            b'<' => cfg!(target_endian = "big"),
            b'>' => cfg!(target_endian = "little"),
            _ => false,
        };
        Ok((dtype, swapped && dtype.size_bytes() > 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Element, Scratch, Source};

    /// A file of this version with this header and data.
    pub(crate) fn file(version: u8, header: &[u8], data: &[u8]) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend([version, 0]);
        if version == 1 {
            file.extend((header.len() as u16).to_le_bytes());
        } else {
            file.extend((header.len() as u32).to_le_bytes());
        }
        [&file, header, data].concat()
    }

    fn open_bytes(mut file: &[u8]) -> Result<(Elements, Description), JobError> {
        open("t.npy", Bytes::of_stream(&mut file, "t.npy", 1 << 24).unwrap())
    }

    fn array(descr: &str, shape: &str, data: &[u8]) -> Result<(Elements, Description), JobError> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        open_bytes(&file(1, header.as_bytes(), data))
    }

    #[track_caller]
    fn check_error(result: Result<(Elements, Description), JobError>, expected: &str) {
        let message = result.expect_err(expected).message;
        assert!(message.starts_with("t.npy: ") && message.contains(expected), "`{expected}` expected, got `{message}`");
    }

    #[test]
    fn elements_of_every_type_and_byte_order_are_read() {
        macro_rules! check {
            ($($type:ty => $kind:literal),*) => {$(
                let values: [$type; 3] = [1 as $type, 2 as $type, 100 as $type];
                for (order, bytes) in [
                    ("<", values.map(<$type>::to_le_bytes).concat()),
                    (">", values.map(<$type>::to_be_bytes).concat()),
                    ("=", values.map(<$type>::to_ne_bytes).concat()),
                    ("", values.map(<$type>::to_ne_bytes).concat()),
                ] {
                    let (elements, description) = array(&format!("{order}{}", $kind), "(3,)", &bytes).unwrap();
                    assert_eq!((elements.dtype(), description.len), (<$type>::DTYPE, 3));
                    let mut scratch = Scratch::default();
                    let read = elements.read(0..3, &mut scratch).unwrap();
                    assert_eq!(<$type>::unwrap(&read), Some(&values[..]), "{order}{}", $kind);
                    let read = elements.read(1..2, &mut scratch).unwrap();
                    assert_eq!(<$type>::unwrap(&read), Some(&values[1..2]), "{order}{}", $kind);
                }
            )*};
        }
        check!(f32 => "f4", f64 => "f8", i8 => "i1", i16 => "i2", i32 => "i4", i64 => "i8", u8 => "u1", u16 => "u2",
               u32 => "u4", u64 => "u8");
    }

    #[test]
    fn headers_are_read_in_any_order_and_spacing_that_python_writes() {
        for header in [
            "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }      \n",
            "{\"shape\":(2,),\"fortran_order\":True,\"descr\":\"<i2\"}",
            "{ 'shape' : ( 2 , 1 ) , 'fortran_order':False,'descr':'<i2'}\n",
            "{'descr': '<i2', 'fortran_order': False, 'shape': (2L,)}",
        ] {
            for version in 1..=3 {
                let (elements, _) = open_bytes(&file(version, header.as_bytes(), &[1, 0, 2, 0])).expect(header);
                assert_eq!(elements.len(), 2, "{header}");
            }
        }
        assert_eq!(array("<i2", "()", &[1, 0]).unwrap().1.len, 1);
        assert_eq!(array("<i2", "(0, 18446744073709551615, 18446744073709551615)", &[]).unwrap().1.len, 0);
    }

    #[test]
    fn a_malformed_header_is_refused_with_the_byte() {
        // Byte 10 is the first one of the header.
        for (header, expected) in [
            ("", "byte 10: `{` was expected"),
            ("[]", "byte 10: `{` was expected"),
            ("{}", "byte 12: key `descr` is missing"),
            ("{'descr': '<f4', 'shape': (1,)}", "key `fortran_order` is missing"),
            ("{'descr': '<f4', 'fortran_order': False}", "key `shape` is missing"),
            ("{'descr': '<f4', 'descr': '<f4'}", "byte 27: key `descr` stands twice"),
            ("{'extra': 1}", "byte 11: unknown key `extra`"),
            ("{'descr': '<f4'", "`,` was expected"),
            ("{'descr", "byte 11: this string does not end"),
            ("{'de\\x73cr': 1}", "an escape in it"),
            ("{'fortran_order': 0}", "byte 28: `True` or `False` was expected"),
            ("{'shape': 3}", "byte 20: `(` was expected"),
            ("{'shape': (3)}", "byte 22: `,` was expected: a shape is a tuple"),
            ("{'shape': (-3,)}", "byte 21: the length of an axis was expected"),
            ("{'shape': (3 4)}", "byte 23: `,` or `)` was expected"),
            ("{'shape': (3.0,)}", "byte 22: `,`"),
            ("{'shape': ((3,),)}", "byte 21: the length of an axis"),
            ("{'shape': (18446744073709551616,)}", "byte 21: an axis of length 18446744073709551616 is too long"),
            ("{'shape': (3,", "the length of an axis was expected"),
        ] {
            check_error(open_bytes(&file(1, header.as_bytes(), &[])), expected);
        }
        let deep = format!("{{'shape': {}", "(".repeat(60_000));
        check_error(open_bytes(&file(1, deep.as_bytes(), &[])), "byte 21: the length of an axis");
        let axes = format!("{{'shape': ({})}}", "1,".repeat(65));
        check_error(open_bytes(&file(1, axes.as_bytes(), &[])), "64 axes at most");
        check_error(open_bytes(&file(3, b"{'\xff\xfe': 1}", &[])), "byte 13: unknown key `\u{fffd}\u{fffd}`");
        check_error(array("<f4", "(1,)}x #", &[]), "nothing but spaces may follow");
    }

    #[test]
    fn shapes_and_data_of_different_sizes_are_refused_with_both() {
        check_error(array("<f8", "(3,)", &[0; 23]), "promises 24 bytes of data (shape (3,) of f64), but 23 follow");
        check_error(array("<f8", "(3,)", &[0; 25]), "promises 24 bytes of data (shape (3,) of f64), but 25 follow");
        check_error(array("<f8", "(4294967296, 4294967296)", &[]), "more elements than can be counted");
        check_error(array("<f8", "(4611686018427387904,)", &[]), "does not fit any machine");
        check_error(array("<f8", "(2305843009213693951,)", &[0; 8]), "promises 18446744073709551608 bytes");
    }

    #[test]
    fn what_is_no_npy_file_or_of_no_known_version_is_refused() {
        check_error(open_bytes(b""), "is not an .npy file: it is empty");
        check_error(open_bytes(b"PK\x03\x04abc"), "it begins with `PK\\x03\\x04ab`");
        let good = file(1, b"{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }\n", &[0; 4]);
        for len in 0..good.len() {
            let message = open_bytes(&good[..len]).expect_err("it is cut short").message;
            assert!(message.starts_with("t.npy: "), "{message}");
        }
        check_error(open_bytes(b"\x93NUMPY\x04\x00"), "version 4.0 (byte 6)");
        check_error(open_bytes(b"\x93NUMPY\x01\x01  "), "version 1.1 (byte 6)");
        check_error(open_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"), "claims an .npy header of 4294967295 bytes");
        check_error(open_bytes(b"\x93NUMPY\x01\x00\xff\xff{"), "ends inside its .npy header, at byte 11");
    }

    #[test]
    fn an_element_type_without_support_is_named() {
        for (descr, expected) in [
            ("|b1", "type `|b1` (bool)"),
            ("<c16", "type `<c16` (complex)"),
            ("<f2", "type `<f2` (half precision)"),
            ("<f16", "type `<f16` (extended precision)"),
            ("<U7", "type `<U7` (strings)"),
            ("|O", "type `|O` (Python objects)"),
            ("<M8[ns]", "type `<M8[ns]` (dates)"),
            ("|V12", "type `|V12` (raw bytes)"),
            ("<i3", "type `<i3`"),
            ("", "type ``"),
        ] {
            let error = array(descr, "(1,)", &[0; 16]).unwrap_err();
            assert_eq!(error.cause, Cause::Unsupported);
            assert!(error.message.contains(expected) && error.message.contains("32 or 64 bits"), "{}", error.message);
        }
        let structured = b"{'descr': [('a', '<i4'), ('b', '<f8')], 'fortran_order': False, 'shape': (1,), }";
        check_error(open_bytes(&file(1, structured, &[0; 12])), "structured (`[('a', '<i4'), ('b', '<f8')]");
    }
}
