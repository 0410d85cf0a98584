//! The classic format in its three versions: CDF-1, CDF-2 (64-bit offsets) and CDF-5 (64-bit data).
//!
//! The format is described in the NetCDF documentation, "NetCDF Classic Format Specification": a header of dimensions,
//! attributes and variables, then the values, big-endian. The variables whose first dimension is the unlimited one lie
//! interleaved: a record holds one step of each of them.

use std::sync::Arc;

use crate::input::DType;
use crate::input::bytes::Bytes;
use crate::input::excerpt::excerpt;
use crate::input::netcdf::attributes::Attributes;
use crate::input::netcdf::header::Header;
use crate::input::netcdf::in_file::{Encoding, Kind};
use crate::input::netcdf::storage::{Storage, Stored};
use crate::input::netcdf::variable::Listed;
use crate::job::JobError;

/// What every such file begins with; the version follows.
pub(super) const MAGIC: &[u8; 3] = b"CDF";

/// The versions, each the fourth byte of its files.
pub(super) const VERSIONS: [u8; 3] = [1, 2, 5];

/// A file of the classic format.
#[derive(Debug)]
pub(super) struct Classic {
    pub(super) name: String,
    pub(super) bytes: Arc<Bytes>,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) variables: Vec<Variable>,
    /// The length of the unlimited dimension, and the bytes of one record.
    pub(super) records: u64,
    pub(super) record_bytes: u64,
}

/// A dimension.
#[derive(Debug)]
pub(super) struct Dimension {
    pub(super) name: String,
    /// 0 for the unlimited one.
    pub(super) len: u64,
}

/// A variable, as the header describes it.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) dimensions: Vec<usize>,
    pub(super) attributes: Attributes,
    pub(super) element: Element,
    pub(super) begin: u64,
}

/// The type of a value, by its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Char,
    Number(DType),
}

impl Element {
    pub(super) fn from_code(code: u32, version: u8) -> Option<Self> {
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

    pub(super) fn size_bytes(self) -> u64 {
        match self {
            Self::Char => 1,
            Self::Number(dtype) => dtype.size_bytes() as u64,
        }
    }
}

impl Classic {
    /// Reads the header.
    pub(super) fn open(name: &str, bytes: Arc<Bytes>) -> Result<Self, JobError> {
        Header::new(name, &bytes).read()
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

    pub(super) fn is_record(&self, variable: &Variable) -> bool {
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
        let per_run = if is_record { len.checked_div(self.records).unwrap_or(0) } else { len };
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
            dimensions: Some(variable.dimensions.iter().map(|index| self.dimensions[*index].name.clone()).collect()),
            shape,
            storage: Storage::Runs { first: variable.begin, per_run, stride },
            unwritten: vec![0; dtype.size_bytes()],
        };
        Ok((stored, variable.attributes.clone()))
    }
}
