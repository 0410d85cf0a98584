//! Lists of whole numbers, as `primes` reads them.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::input::bytes::{Bytes, MEMORY_LIMIT_BYTES};
use crate::input::open::{SNIFFED_BYTES, claim_stdin, open_file, read_start, rewind};
use crate::input::spec::STDIN_NAME;
use crate::input::{DType, Format, Location, Source, npy};
use crate::job::{Cause, JobError};

/// Whole numbers in the order of their input.
///
/// Each is an element of the source, of any integer type. Of a text the source is `u64`; a number below zero stands in it
/// as 0 (as little a prime as itself), and its value is among the exceptions, for whoever repeats the numbers.
#[derive(Clone, Debug)]
pub struct NumberList {
    source: Arc<dyn Source>,
}

impl NumberList {
    /// The numbers, of an integer type.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The indices in `range`, ascending, whose numbers are not those of the source, each with its true number.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn exceptions(&self, range: Range<u64>) -> Result<Vec<(u64, i128)>, JobError> {
        let _ = range;
        Ok(Vec::new())
    }
}

/// Opens a list of whole numbers: a text with one number a line, or an .npy array of integers. Relative paths start from
/// `base_dir`.
///
/// # Errors
/// With cause `io` where it cannot be read, `bad_input` where it is malformed (naming the line), or has a number above
/// `u64` or elements that are no integers.
pub fn open_numbers(location: &Location, format: Option<Format>, base_dir: &Path) -> Result<NumberList, JobError> {
    match location {
        Location::Stdin => {
            claim_stdin()?;
            read_numbers(STDIN_NAME, &mut std::io::stdin().lock(), format)
        }
        Location::Path(path) => {
            let path = base_dir.join(path);
            let name = path.display().to_string();
            let (mut file, is_regular) = open_file(&path, &name)?;
            if !is_regular {
                return read_numbers(&name, &mut file, format);
            }
            let mut start = [0; SNIFFED_BYTES];
            let len = read_start(&mut file, &mut start, &name)?;
            rewind(&mut file, &name)?;
            match format_of(&name, format.or_else(|| Format::from_extension(&path)), &start[..len])? {
                Format::Npy => open_array(&name, Bytes::of_file(file, &name)?),
                _ => decode(&name, &mut file),
            }
        }
    }
}

/// Reads a list of whole numbers from a stream to its end; `name` stands for it in messages.
///
/// # Errors
/// See [`open_numbers`].
pub fn read_numbers(name: &str, stream: &mut dyn Read, format: Option<Format>) -> Result<NumberList, JobError> {
    let mut start = [0; SNIFFED_BYTES];
    let len = read_start(stream, &mut start, name)?;
    let format = format_of(name, format, &start[..len])?;
    let mut whole = start[..len].chain(stream);
    match format {
        Format::Npy => open_array(name, Bytes::of_stream(&mut whole, name, MEMORY_LIMIT_BYTES)?),
        _ => decode(name, &mut whole),
    }
}

fn format_of(name: &str, known: Option<Format>, start: &[u8]) -> Result<Format, JobError> {
    match known {
        Some(format @ (Format::Npy | Format::Text)) => Ok(format),
        Some(format) => Err(JobError::bad_input(format!(
            "{name}: whole numbers are read from formats text (one a line) and npy, not from {format}"
        ))),
        None if start.starts_with(npy::MAGIC) => Ok(Format::Npy),
        None => Ok(Format::Text),
    }
}

fn open_array(name: &str, bytes: Bytes) -> Result<NumberList, JobError> {
    let (elements, description) = npy::open(name, bytes)?;
    if matches!(description.dtype, DType::F32 | DType::F64) {
        return Err(JobError::bad_input(format!(
            "{name}: holds {}, where whole numbers are needed: convert it with `astype(\"uint64\")`",
            description.dtype
        )));
    }
    if description.fortran_order && description.shape.iter().filter(|&&axis| axis != 1).count() > 1 {
        return Err(JobError::bad_input(format!(
            "{name}: is in Fortran order with shape {}, so that the order of its numbers is ambiguous: save it with \
             `numpy.ascontiguousarray`",
            npy::shape_text(&description.shape)
        )));
    }
    Ok(NumberList { source: Arc::new(elements) })
}

fn decode(name: &str, _: &mut dyn Read) -> Result<NumberList, JobError> {
    Err(JobError::new(Cause::Unsupported, format!("{name}: format text has no reader in this build")))
}
