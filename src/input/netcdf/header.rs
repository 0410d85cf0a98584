//! The header of a file of the classic format.

use std::sync::Arc;

use crate::input::DType;
use crate::input::bytes::Bytes;
use crate::input::excerpt::excerpt;
use crate::input::netcdf::attributes::{Attribute, Attributes, Number, OF_RELATIONS, OF_VALUES};
use crate::input::netcdf::classic::{Classic, Dimension, Element, Variable};
use crate::job::JobError;

/// No name is nearly as long.
const NAME_BYTES_MAX: u64 = 1 << 16;
/// No attribute that is looked at is nearly as long.
const ATTRIBUTE_BYTES_MAX: u64 = 1 << 20;
/// As many axes as the netCDF library has.
const AXES_MAX: u64 = 1024;

/// Reads the header from its bytes.
pub(super) struct Header<'b> {
    name: &'b str,
    bytes: &'b Arc<Bytes>,
    version: u8,
    at: u64,
    /// What was read of the file last, and where it begins.
    window: Vec<u8>,
    window_start: u64,
}

const DIMENSIONS: u32 = 10;
const VARIABLES: u32 = 11;
const ATTRIBUTES: u32 = 12;

impl<'b> Header<'b> {
    /// The header of the file `name`, which these bytes are.
    pub(super) fn new(name: &'b str, bytes: &'b Arc<Bytes>) -> Self {
        Self { name, bytes, version: 0, at: 0, window: Vec::new(), window_start: 0 }
    }

    /// What it says.
    pub(super) fn read(mut self) -> Result<Classic, JobError> {
        let magic = self.take(4)?;
        self.version = magic[3];
        let streaming = if self.version == 5 { u64::MAX } else { u32::MAX.into() };
        let records = self.count()?;
        let dimensions = self.list(DIMENSIONS, "dimensions", Self::dimension)?;
        if dimensions.iter().filter(|dimension| dimension.len == 0).count() > 1 {
            return self.fault("two dimensions are unlimited");
        }
        self.attributes()?;
        let variables = self.list(VARIABLES, "variables", |header| header.variable(&dimensions))?;
        let mut classic = Classic {
            name: self.name.to_owned(),
            bytes: Arc::clone(self.bytes),
            dimensions,
            variables,
            records,
            record_bytes: 0,
        };
        classic.record_bytes = self.record_bytes(&classic)?;
        if records == streaming {
            classic.records = self.records_there(&classic);
        }
        Ok(classic)
    }

    /// The bytes of a record: each variable's part of it takes a multiple of four, unless there is one only.
    fn record_bytes(&self, classic: &Classic) -> Result<u64, JobError> {
        let parts: Option<Vec<u64>> = classic
            .variables
            .iter()
            .filter(|variable| classic.is_record(variable))
            .map(|variable| {
                let axes = variable.dimensions[1..].iter().map(|index| classic.dimensions[*index].len);
                let mut bytes = variable.element.size_bytes();
                for axis in axes {
                    bytes = bytes.checked_mul(axis)?;
                }
                Some(bytes)
            })
            .collect();
        let total = match parts.as_deref() {
            Some([only]) => Some(*only),
            Some(parts) => {
                parts.iter().try_fold(0_u64, |total, part| total.checked_add(part.checked_next_multiple_of(4)?))
            }
            None => None,
        };
        total.ok_or_else(|| self.fault_of("its records are larger than can be counted".to_owned()))
    }

    /// How many records there are, where the header leaves it open: as many as the file has room for.
    fn records_there(&self, classic: &Classic) -> u64 {
        let begins =
            classic.variables.iter().filter(|variable| classic.is_record(variable)).map(|variable| variable.begin);
        let Some(first) = begins.min() else { return 0 };
        self.bytes.len().saturating_sub(first).checked_div(classic.record_bytes).unwrap_or(0)
    }

    fn dimension(&mut self) -> Result<Dimension, JobError> {
        Ok(Dimension { name: self.text()?, len: self.count()? })
    }

    fn variable(&mut self, dimensions: &[Dimension]) -> Result<Variable, JobError> {
        let name = self.text()?;
        let axes = self.count()?;
        if axes > AXES_MAX {
            return self.fault(format!("variable `{}` has {axes} axes", excerpt(name.as_bytes())));
        }
        let mut of = Vec::new();
        for axis in 0..axes {
            let index = usize::try_from(self.count()?).unwrap_or(usize::MAX);
            let Some(dimension) = dimensions.get(index) else {
                return self
                    .fault(format!("variable `{}` is over a dimension that is not there", excerpt(name.as_bytes())));
            };
            if axis > 0 && dimension.len == 0 {
                return self.fault(format!(
                    "variable `{}` is over the unlimited dimension, but not first of all",
                    excerpt(name.as_bytes())
                ));
            }
            of.push(index);
        }
        let attributes = self.attributes()?;
        let element = self.element()?;
        // The size is repeated here; of large variables it is not right, so that it is worked out from the dimensions.
        self.count()?;
        let begin = if self.version == 1 { u64::from(self.u32()?) } else { self.u64()? };
        Ok(Variable { name, dimensions: of, attributes, element, begin })
    }

    fn attributes(&mut self) -> Result<Attributes, JobError> {
        let mut attributes = Attributes::default();
        self.list(ATTRIBUTES, "attributes", |header| {
            let name = header.text()?;
            let element = header.element()?;
            let count = header.count()?;
            let Some(size) = count.checked_mul(element.size_bytes()) else { return header.cut_short() };
            let padded = size.checked_next_multiple_of(4).unwrap_or(u64::MAX);
            let is_wanted = OF_VALUES.contains(&name.as_str()) || OF_RELATIONS.contains(&name.as_str());
            if !is_wanted || size > ATTRIBUTE_BYTES_MAX {
                return header.skip(padded);
            }
            let value = header.take(size)?;
            attributes.insert(&name, attribute(element, &value));
            header.skip(padded - size)
        })?;
        Ok(attributes)
    }

    fn element(&mut self) -> Result<Element, JobError> {
        let code = self.u32()?;
        match Element::from_code(code, self.version) {
            Some(element) => Ok(element),
            None => self.fault(format!("{code} is no type of CDF-{}", self.version)),
        }
    }

    /// A list that begins with its tag, or is absent.
    fn list<T>(
        &mut self,
        tag: u32,
        what: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, JobError>,
    ) -> Result<Vec<T>, JobError> {
        let found = self.u32()?;
        let count = self.count()?;
        if found != tag && (found, count) != (0, 0) {
            return self.fault(format!("a list of {what} was expected"));
        }
        // The list grows as its items are read: a count alone makes no room.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn text(&mut self) -> Result<String, JobError> {
        let len = self.count()?;
        if len > NAME_BYTES_MAX {
            return self.fault(format!("a name is {len} bytes long"));
        }
        let text = String::from_utf8_lossy(&self.take(len)?).into_owned();
        self.skip(len.next_multiple_of(4) - len)?;
        Ok(text)
    }

    /// A number that counts: of 32 bits, in CDF-5 of 64.
    fn count(&mut self) -> Result<u64, JobError> {
        if self.version == 5 { self.u64() } else { self.u32().map(u64::from) }
    }

    fn u32(&mut self) -> Result<u32, JobError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn u64(&mut self) -> Result<u64, JobError> {
        Ok(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }

    fn skip(&mut self, len: u64) -> Result<(), JobError> {
        match self.at.checked_add(len) {
            Some(at) if at <= self.bytes.len() => {
                self.at = at;
                Ok(())
            }
            _ => self.cut_short(),
        }
    }

    fn take(&mut self, len: u64) -> Result<Vec<u8>, JobError> {
        const WINDOW_BYTES: u64 = 1 << 16;
        if self.bytes.len() - self.at < len {
            return self.cut_short();
        }
        let window_end = self.window_start + self.window.len() as u64;
        if self.at < self.window_start || self.at + len > window_end {
            let read = (self.bytes.len() - self.at).min(len.max(WINDOW_BYTES));
            self.window.resize(read as usize, 0);
            self.window_start = self.at;
            self.bytes.read_at(self.at, &mut self.window, self.name)?;
        }
        let start = (self.at - self.window_start) as usize;
        self.at += len;
        Ok(self.window[start..start + len as usize].to_vec())
    }

    fn cut_short<T>(&self) -> Result<T, JobError> {
        let end = self.bytes.len();
        Err(JobError::bad_input(format!(
            "{}: ends inside its netCDF header, at byte {end}: it was cut short or is damaged",
            self.name
        )))
    }

    fn fault<T>(&self, what: impl Into<String>) -> Result<T, JobError> {
        Err(self.fault_of(what.into()))
    }

    fn fault_of(&self, what: String) -> JobError {
        JobError::bad_input(format!("{}: malformed netCDF header at byte {}: {what}", self.name, self.at))
    }
}

fn attribute(element: Element, value: &[u8]) -> Attribute {
    fn numbers<const N: usize>(value: &[u8], number: impl Fn([u8; N]) -> Number) -> Vec<Number> {
        value.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
    }
    use Number::{Float, Integer};
    let Element::Number(dtype) = element else {
        return Attribute::Text(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned());
    };
    let numbers = match dtype {
        DType::I8 => numbers(value, |bytes| Integer(i8::from_be_bytes(bytes).into())),
        DType::I16 => numbers(value, |bytes| Integer(i16::from_be_bytes(bytes).into())),
        DType::I32 => numbers(value, |bytes| Integer(i32::from_be_bytes(bytes).into())),
        DType::I64 => numbers(value, |bytes| Integer(i64::from_be_bytes(bytes).into())),
        DType::U8 => numbers(value, |bytes| Integer(u8::from_be_bytes(bytes).into())),
        DType::U16 => numbers(value, |bytes| Integer(u16::from_be_bytes(bytes).into())),
        DType::U32 => numbers(value, |bytes| Integer(u32::from_be_bytes(bytes).into())),
        DType::U64 => numbers(value, |bytes| Integer(u64::from_be_bytes(bytes).into())),
        DType::F32 => numbers(value, |bytes| Float(f32::from_be_bytes(bytes).into())),
        DType::F64 => numbers(value, |bytes| Float(f64::from_be_bytes(bytes))),
    };
    Attribute::Numbers(dtype, numbers)
}
