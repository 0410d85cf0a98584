//! Lists of whole numbers, as `primes` reads them.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::input::bytes::{Bytes, MEMORY_LIMIT_BYTES};
use crate::input::cache::Opened;
use crate::input::fortran::InCOrder;
use crate::input::open::{NUMBERS, SNIFFED_BYTES, claim_stdin, open_file, read_start, rewind, version_of};
use crate::input::spec::STDIN_NAME;
use crate::input::version::FileVersion;
use crate::input::{DType, Element, Format, Location, Scratch, Source, Values, npy, text};
use crate::job::JobError;

/// Whole numbers in the order of their input.
///
/// Each is an element of the source, of any integer type; those of an array come in the order of its indices. Of a text the source is `u64`; a number below zero stands in it
/// as 0 (as little a prime as itself), and its value is among the exceptions, for whoever repeats the numbers.
#[derive(Clone, Debug)]
pub struct NumberList {
    source: Arc<dyn Source>,
    exceptions: Option<Exceptions>,
    decoded_bytes: u64,
}

/// Numbers below zero: their indices, ascending, and the low and high words of their values. Each is `u64`.
#[derive(Clone, Debug)]
struct Exceptions {
    indices: Arc<dyn Source>,
    lows: Arc<dyn Source>,
    highs: Arc<dyn Source>,
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
        let Some(Exceptions { indices, lows, highs }) = &self.exceptions else { return Ok(Vec::new()) };
        let found = lower_bound(indices, range.start)?..lower_bound(indices, range.end)?;
        let (mut one, mut two, mut three) = (Scratch::default(), Scratch::default(), Scratch::default());
        let indices = words(indices.read(found.clone(), &mut one)?);
        let lows = words(lows.read(found.clone(), &mut two)?);
        let highs = words(highs.read(found, &mut three)?);
        let value = |(low, high): (&u64, &u64)| i128::from(*high as i64) << 64 | i128::from(*low);
        Ok(indices.iter().copied().zip(lows.iter().zip(highs).map(value)).collect())
    }

    /// The list whose numbers are `numbers`, but for `exceptions`: indices, low words and high words.
    pub(super) fn with_exceptions(
        numbers: Arc<dyn Source>,
        exceptions: Vec<Arc<dyn Source>>,
        decoded_bytes: u64,
    ) -> Self {
        let exceptions = match <[_; 3]>::try_from(exceptions) {
            Ok([indices, lows, highs]) if !indices.is_empty() => Some(Exceptions { indices, lows, highs }),
            _ => None,
        };
        Self { source: numbers, exceptions, decoded_bytes }
    }
}

fn words(values: Values<'_>) -> &[u64] {
    u64::unwrap(&values).expect("exceptions are kept as u64")
}

/// How many elements of the ascending `indices` are below `index`.
fn lower_bound(indices: &Arc<dyn Source>, index: u64) -> Result<u64, JobError> {
    let (mut low, mut high) = (0, indices.len());
    let mut scratch = Scratch::default();
    while low < high {
        let middle = low + (high - low) / 2;
        if words(indices.read(middle..middle + 1, &mut scratch)?)[0] < index { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// Opens a list of whole numbers: a text with one number a line, or an .npy array of integers. Relative paths start from
/// `base_dir`.
///
/// # Errors
/// With cause `io` where it cannot be read, `bad_input` where it is malformed (naming the line), or has a number above
/// `u64` or elements that are no integers.
pub fn open_numbers(location: &Location, format: Option<Format>, base_dir: &Path) -> Result<NumberList, JobError> {
    open_numbers_on(location, format, base_dir, 1)
}

/// [`open_numbers`], where text is decoded on up to `threads` threads.
///
/// # Errors
/// See [`open_numbers`].
pub fn open_numbers_on(
    location: &Location,
    format: Option<Format>,
    base_dir: &Path,
    threads: usize,
) -> Result<NumberList, JobError> {
    match location {
        Location::Stdin => {
            claim_stdin()?;
            read_numbers_on(STDIN_NAME, &mut std::io::stdin().lock(), format, threads)
        }
        Location::Path(path) => {
            let path = base_dir.join(path);
            let name = path.display().to_string();
            let format = format.or_else(|| Format::from_extension(&path));
            match version_of(&path, &name)? {
                Some(version) => {
                    NUMBERS.get_or_open((path.clone(), format), version, || open_regular(&path, &name, format, threads))
                }
                None => read_numbers_on(&name, &mut open_file(&path, &name)?, format, threads),
            }
        }
    }
}

fn open_regular(
    path: &Path,
    name: &str,
    format: Option<Format>,
    threads: usize,
) -> Result<Opened<NumberList>, JobError> {
    let mut file = open_file(path, name)?;
    let version = FileVersion::of(&file, name)?;
    let mut start = [0; SNIFFED_BYTES];
    let len = read_start(&mut file, &mut start, name)?;
    rewind(&mut file, name)?;
    let input = match format_of(name, format, &start[..len])? {
        Format::Npy => open_array(name, Bytes::of_file(file, name)?)?,
        _ => {
            let list = text::read_on(name, &mut file, threads);
            // A file that was being written may look malformed where it is only unfinished: that comes first.
            version.check(&file, name)?;
            list?
        }
    };
    let decoded_bytes = input.decoded_bytes;
    Ok(Opened { input, version, decoded_bytes })
}

/// Reads a list of whole numbers from a stream to its end; `name` stands for it in messages.
///
/// # Errors
/// See [`open_numbers`].
pub fn read_numbers(name: &str, stream: &mut dyn Read, format: Option<Format>) -> Result<NumberList, JobError> {
    read_numbers_on(name, stream, format, 1)
}

/// [`read_numbers`], where text is decoded on up to `threads` threads.
///
/// # Errors
/// See [`open_numbers`].
pub fn read_numbers_on(
    name: &str,
    stream: &mut dyn Read,
    format: Option<Format>,
    threads: usize,
) -> Result<NumberList, JobError> {
    let mut start = [0; SNIFFED_BYTES];
    let len = read_start(stream, &mut start, name)?;
    let format = format_of(name, format, &start[..len])?;
    let mut whole = start[..len].chain(stream);
    match format {
        Format::Npy => open_array(name, Bytes::of_stream(&mut whole, name, MEMORY_LIMIT_BYTES)?),
        _ => text::read_on(name, &mut whole, threads),
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
    let stored: Arc<dyn Source> = Arc::new(elements);
    let source = if description.fortran_order { InCOrder::of(stored, &description.shape) } else { stored };
    Ok(NumberList { source, exceptions: None, decoded_bytes: 0 })
}
