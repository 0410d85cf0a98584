//! The classic format in its three versions: CDF-1, CDF-2 (64-bit offsets) and CDF-5 (64-bit data).
//!
//! The format is described in the NetCDF documentation, "NetCDF Classic Format Specification": a header of dimensions,
//! attributes and variables, then the values, big-endian. The variables whose first dimension is the unlimited one lie
//! interleaved: a record holds one step of each of them.

use std::sync::Arc;

use crate::input::DType;
use crate::input::bytes::Bytes;
use crate::input::excerpt::excerpt;
use crate::input::netcdf::attributes::{Attribute, Attributes, Number, OF_RELATIONS, OF_VALUES};
use crate::input::netcdf::convert::{Encoding, Kind};
use crate::input::netcdf::storage::{Storage, Stored};
use crate::input::netcdf::variable::Listed;
use crate::job::JobError;

/// What every such file begins with; the version follows.
pub(super) const MAGIC: &[u8; 3] = b"CDF";

/// The versions, each the fourth byte of its files.
pub(super) const VERSIONS: [u8; 3] = [1, 2, 5];

/// No name is nearly as long.
const NAME_BYTES_MAX: u64 = 1 << 16;
/// No attribute that is looked at is nearly as long.
const ATTRIBUTE_BYTES_MAX: u64 = 1 << 20;
/// As many axes as the netCDF library has.
const AXES_MAX: u64 = 1024;

/// A file of the classic format.
#[derive(Debug)]
pub(super) struct Classic {
    name: String,
    bytes: Arc<Bytes>,
    dimensions: Vec<Dimension>,
    variables: Vec<Variable>,
    /// The length of the unlimited dimension, and the bytes of one record.
    records: u64,
    record_bytes: u64,
}

#[derive(Debug)]
struct Dimension {
    name: String,
    /// 0 for the unlimited one.
    len: u64,
}

#[derive(Debug)]
struct Variable {
    name: String,
    dimensions: Vec<usize>,
    attributes: Attributes,
    element: Element,
    begin: u64,
}

/// The type of a value, by its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Char,
    Number(DType),
}

impl Element {
    fn from_code(code: u32, version: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Number(DType::I8),
            2 => Self::Char,
            3 => Self::Number(DType::I16),
            4 => Self::Number(DType::I32),
            5 => Self::Number(DType::F32),
            6 => Self::Number(DType::F64),
            7 if version == 5 => Self::Number(DType::U8),
            8 if version == 5 => Self::Number(DType::U16),
            9 if version == 5 => Self::Number(DType::U32),
            10 if version == 5 => Self::Number(DType::I64),
            11 if version == 5 => Self::Number(DType::U64),
            _ => return None,
        })
    }

    fn size_bytes(self) -> u64 {
        match self {
            Self::Char => 1,
            Self::Number(dtype) => dtype.size_bytes() as u64,
        }
    }
}

impl Classic {
    /// Reads the header.
    pub(super) fn open(name: &str, bytes: Arc<Bytes>) -> Result<Self, JobError> {
        let mut header = Header { name, bytes: &bytes, version: 0, at: 0, window: Vec::new(), window_start: 0 };
        header.read(name)
    }

    pub(super) fn list(&self) -> Vec<Listed> {
        let listed = self.variables.iter().map(|variable| {
            // A coordinate has the name of its dimension.
            let is_coordinate =
                matches!(variable.dimensions[..], [only] if self.dimensions[only].name == variable.name);
            Listed {
                path: variable.name.clone(),
                shape: self.shape(variable),
                type_name: match variable.element {
                    Element::Char => "char".to_owned(),
                    Element::Number(dtype) => dtype.name().to_owned(),
                },
                is_readable: variable.element != Element::Char,
                is_coordinate,
                related: variable.attributes.related().map(str::to_owned).collect(),
            }
        });
        listed.collect()
    }

    fn shape(&self, variable: &Variable) -> Vec<u64> {
        let len = |index: &usize| match self.dimensions[*index].len {
            0 => self.records,
            len => len,
        };
        variable.dimensions.iter().map(len).collect()
    }

    fn is_record(&self, variable: &Variable) -> bool {
        variable.dimensions.first().is_some_and(|first| self.dimensions[*first].len == 0)
    }

    /// The variable of this index: how its values lie, and its attributes.
    pub(super) fn load(&self, index: usize) -> Result<(Stored, Attributes), JobError> {
        let Self { name, .. } = self;
        let variable = &self.variables[index];
        let place = format!("{name}: variable `{}`", excerpt(variable.name.as_bytes()));
        let Element::Number(dtype) = variable.element else {
            return Err(JobError::new(
                crate::job::Cause::Unsupported,
                format!("{place} holds text (char), not numbers: name another one"),
            ));
        };
        let shape = self.shape(variable);
        let too_large = || JobError::bad_input(format!("{place} has more elements than can be counted"));
        let len = crate::input::netcdf::storage::element_count(&shape).ok_or_else(too_large)?;
        let is_record = self.is_record(variable);
        let per_run = if !is_record {
            len
        } else if self.records == 0 {
            0
        } else {
            len / self.records
        };
        let run_bytes = per_run.checked_mul(variable.element.size_bytes()).ok_or_else(too_large)?;
        let stride = if is_record { self.record_bytes } else { run_bytes };
        let before_last = if is_record { self.records.saturating_sub(1).checked_mul(stride) } else { Some(0) };
        let end = before_last
            .and_then(|before| before.checked_add(run_bytes))
            .and_then(|extent| extent.checked_add(variable.begin))
            .ok_or_else(too_large)?;
        if len > 0 && end > self.bytes.len() {
            return Err(JobError::bad_input(format!(
                "{place} ends at byte {end}, but the file at {}: it was cut short, write or fetch it again",
                self.bytes.len()
            )));
        }
        let stored = Stored {
            encoding: Encoding { kind: Kind::Number(dtype), swapped: cfg!(target_endian = "little") },
            shape,
            storage: Storage::Runs { first: variable.begin, per_run, stride },
            unwritten: vec![0; dtype.size_bytes()],
        };
        Ok((stored, variable.attributes.clone()))
    }
}

/// Reads the header from its bytes.
struct Header<'b> {
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

impl Header<'_> {
    fn read(&mut self, name: &str) -> Result<Classic, JobError> {
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
            name: name.to_owned(),
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
