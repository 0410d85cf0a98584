//! NetCDF: the classic format (CDF-1, CDF-2, CDF-5), and NetCDF-4, which is HDF5; other files of HDF5 too.
//!
//! Such a file holds variables, arrays of any number of axes; one of them is read. Its values are unpacked as its attributes
//! say. Nothing is read but what is asked for: a range of values is taken from where it lies, or from the chunks that hold
//! it, each decoded by the thread that wants it.

mod attributes;
mod classic;
mod convert;
mod decoded;
mod filters;
mod grid;
mod hdf5;
mod hdf5_types;
mod header;
mod in_file;
mod scales;
mod source;
mod storage;
#[cfg(test)]
mod tests;
mod unpacking;
mod variable;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::input::bytes::Bytes;
use crate::input::elements::Elements;
use crate::input::{Dataset, NamedColumn, Shape, Source};
use crate::job::JobError;

use classic::Classic;
use hdf5::Hdf5;
use in_file::Kind;
use storage::{Storage, Stored, element_count};
use unpacking::Unpacking;

/// Whether a file that begins like this is one of these.
fn is_start(start: &[u8]) -> bool {
    start.starts_with(hdf5::MAGIC)
        || start
            .strip_prefix(classic::MAGIC)
            .and_then(<[u8]>::first)
            .is_some_and(|version| classic::VERSIONS.contains(version))
}

/// The variable `var` of a file; left out, the one that holds the data.
///
/// # Errors
/// With cause `bad_input` where the file is damaged or has no such variable, or several where one has to be named (the error
/// lists them), and `unsupported` where it is stored in a way that cannot be read.
pub(crate) fn open(name: &str, bytes: Bytes, var: Option<&str>) -> Result<Dataset, JobError> {
    // A library that reads bytes from anywhere may stumble over them.
    catch_unwind(AssertUnwindSafe(|| open_variable(name, Arc::new(bytes), var))).unwrap_or_else(|_| {
        Err(JobError::bad_input(format!("{name}: is damaged in a way that its reader does not know: write it again")))
    })
}

fn open_variable(name: &str, bytes: Arc<Bytes>, var: Option<&str>) -> Result<Dataset, JobError> {
    let mut start = [0_u8; 8];
    let start = &mut start[..bytes.len().min(8) as usize];
    bytes.read_at(0, start, name)?;
    let (path, (stored, attributes)) = if start.starts_with(classic::MAGIC) && is_start(start) {
        let file = Classic::open(name, Arc::clone(&bytes))?;
        let listed = file.list();
        let index = variable::choose(name, &listed, var)?;
        (listed[index].path.clone(), file.load(index)?)
    } else if start.starts_with(hdf5::MAGIC) || has_user_block(&bytes, name)? {
        let file = Hdf5::open(name, Arc::clone(&bytes))?;
        let listed = file.list();
        let index = variable::choose(name, &listed, var)?;
        (listed[index].path.clone(), file.load(index)?)
    } else {
        return Err(JobError::bad_input(format!(
            "{name}: begins with `{}`: it is neither classic netCDF (CDF-1, CDF-2, CDF-5) nor HDF5",
            start.escape_ascii()
        )));
    };
    let len = element_count(&stored.shape).ok_or_else(|| {
        JobError::bad_input(format!("{name}: variable `{path}` has more elements than can be counted"))
    })?;
    let unpacking = Unpacking::of(stored.encoding, &attributes);
    let shape = Shape { axes: stored.shape.clone(), fortran_order: false, dimensions: stored.dimensions.clone() };
    let source = source(name, &path, bytes, stored, unpacking, len);
    let columns = vec![NamedColumn { name: Some(path), source }];
    Ok(Dataset { columns, shape: Some(shape), left_out: Vec::new(), window: None })
}

fn source(
    name: &str,
    path: &str,
    bytes: Arc<Bytes>,
    stored: Stored,
    unpacking: Unpacking,
    len: u64,
) -> Arc<dyn Source> {
    // What lies there as it is read needs no detour.
    if let (Storage::Runs { first, per_run, .. }, Kind::Number(dtype)) = (&stored.storage, stored.encoding.kind)
        && *per_run == len
        && unpacking.is_plain()
    {
        let swapped = stored.encoding.swapped && dtype.size_bytes() > 1;
        return Arc::new(Elements::run_of(name, bytes, *first, dtype, len, swapped));
    }
    Arc::new(source::Variable::new(name, path, bytes, stored, unpacking, len))
}

/// Whether HDF5 begins after somebody else's bytes: 512 of them, or twice as many as often as it takes.
fn has_user_block(bytes: &Bytes, name: &str) -> Result<bool, JobError> {
    let mut at = 512;
    while at + 8 <= bytes.len() {
        let mut start = [0_u8; 8];
        bytes.read_at(at, &mut start, name)?;
        if start == *hdf5::MAGIC {
            return Ok(true);
        }
        at *= 2;
    }
    Ok(false)
}
