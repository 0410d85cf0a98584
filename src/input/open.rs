//! From an [`InputSpec`] to a [`Dataset`]: finds the format out, opens, and hands over to the reader of that format.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use crate::input::bytes::{Bytes, MEMORY_LIMIT_BYTES};
use crate::input::cache::{Cache, Kept, Opened};
use crate::input::spec::{STDIN_NAME, check_options_of};
use crate::input::version::FileVersion;
use crate::input::{
    DType, Dataset, Format, InputSpec, Location, NamedColumn, NumberList, Shape, Source, csv, json, npy, raw,
};
use crate::job::{Cause, JobError};

/// Opens an input. Relative paths start from `base_dir`.
///
/// The latest inputs are kept open: as long as a file stays as it is, opening it again costs nothing, and gives sources of
/// the same identity.
///
/// # Errors
/// With cause `io` where it cannot be read, `bad_input` where it is malformed or an option does not apply to its format,
/// `unsupported` where its elements are of a type that nothing here computes with. The message names the input and the
/// place in it.
pub fn open(spec: &InputSpec, base_dir: &Path) -> Result<Dataset, JobError> {
    open_on(spec, base_dir, 1)
}

/// [`open`], where text is decoded on up to `threads` threads.
///
/// # Errors
/// See [`open`].
pub fn open_on(spec: &InputSpec, base_dir: &Path, threads: usize) -> Result<Dataset, JobError> {
    match &spec.location {
        Location::Stdin => {
            claim_stdin()?;
            read_stream_on(STDIN_NAME, &mut io::stdin().lock(), spec, threads)
        }
        Location::Path(path) => {
            let path = base_dir.join(path);
            let name = path.display().to_string();
            let extension = spec.format.or_else(|| Format::from_extension(&path).map(table_of_text));
            match version_of(&path, &name)? {
                Some(version) => {
                    let open = || open_regular(&path, &name, extension, spec, threads);
                    DATASETS.get_or_open((path.clone(), spec.clone()), version, open)
                }
                None => {
                    let spec = InputSpec { format: extension, ..spec.clone() };
                    read_stream_on(&name, &mut open_file(&path, &name)?, &spec, threads)
                }
            }
        }
    }
}

/// Closes every input that is kept open and that no job uses any more.
pub fn forget_opened() {
    DATASETS.clear();
    NUMBERS.clear();
}

impl Kept for Dataset {
    fn is_intact(&self) -> bool {
        // The columns of a file lie in the same bytes.
        self.columns.first().is_none_or(|column| column.source.check().is_ok())
    }
}

impl Kept for NumberList {
    fn is_intact(&self) -> bool {
        self.source().check().is_ok()
    }
}

static DATASETS: LazyLock<Cache<(PathBuf, InputSpec), Dataset>> = LazyLock::new(Cache::default);
pub(crate) static NUMBERS: LazyLock<Cache<(PathBuf, Option<Format>), NumberList>> = LazyLock::new(Cache::default);

fn open_regular(
    path: &Path,
    name: &str,
    extension: Option<Format>,
    spec: &InputSpec,
    threads: usize,
) -> Result<Opened<Dataset>, JobError> {
    let mut file = open_file(path, name)?;
    let version = FileVersion::of(&file, name)?;
    let format = match extension {
        Some(format) => format,
        None => {
            let mut start = [0; SNIFFED_BYTES];
            let len = read_start(&mut file, &mut start, name)?;
            rewind(&mut file, name)?;
            sniff(name, spec, &start[..len])?
        }
    };
    check_options_of(name, spec, format)?;
    match format {
        Format::Npy | Format::Raw | Format::Netcdf | Format::Dicom => {
            let (input, decoded_bytes) = open_array(name, Bytes::of_file(file, name)?, format, spec)?;
            Ok(Opened { input, version, decoded_bytes })
        }
        Format::Csv | Format::Json | Format::Text => {
            let decoded = decode(name, &mut file, format, spec, threads);
            // A file that was being written may look malformed where it is only unfinished: that comes first.
            version.check(&file, name)?;
            let (input, decoded_bytes) = decoded?;
            Ok(Opened { input, version, decoded_bytes })
        }
    }
}

/// Reads an input from a stream to its end; `name` stands for it in messages. The location in `spec` is not looked at.
///
/// # Errors
/// See [`open`].
pub fn read_stream(name: &str, stream: &mut dyn Read, spec: &InputSpec) -> Result<Dataset, JobError> {
    read_stream_on(name, stream, spec, 1)
}

fn read_stream_on(name: &str, stream: &mut dyn Read, spec: &InputSpec, threads: usize) -> Result<Dataset, JobError> {
    let mut start = [0; SNIFFED_BYTES];
    let len = read_start(stream, &mut start, name)?;
    let format = match spec.format {
        Some(format) => format,
        None => sniff(name, spec, &start[..len])?,
    };
    check_options_of(name, spec, format)?;
    let mut whole = start[..len].chain(stream);
    match format {
        Format::Npy | Format::Raw | Format::Netcdf | Format::Dicom => {
            Ok(open_array(name, Bytes::of_stream(&mut whole, name, MEMORY_LIMIT_BYTES)?, format, spec)?.0)
        }
        Format::Csv | Format::Json | Format::Text => Ok(decode(name, &mut whole, format, spec, threads)?.0),
    }
}

/// What is in these bytes, and how many more were decoded of them.
fn open_array(name: &str, bytes: Bytes, format: Format, spec: &InputSpec) -> Result<(Dataset, u64), JobError> {
    if format == Format::Dicom {
        return open_dicom(name, bytes, spec);
    }
    if format == Format::Netcdf {
        return Ok((open_netcdf(name, bytes, spec)?, 0));
    }
    if format == Format::Npy {
        let (elements, description) = npy::open(name, bytes)?;
        let shape = Shape { axes: description.shape, fortran_order: description.fortran_order, dimensions: None };
        return Ok((Dataset { shape: Some(shape), ..single(Arc::new(elements)) }, 0));
    }
    let elements = raw::open(name, bytes, spec.dtype.unwrap_or(DType::U8), spec.offset.unwrap_or(0))?;
    Ok((single(Arc::new(elements)), 0))
}

#[cfg(feature = "netcdf")]
fn open_netcdf(name: &str, bytes: Bytes, spec: &InputSpec) -> Result<Dataset, JobError> {
    crate::input::netcdf::open(name, bytes, spec.var.as_deref())
}

#[cfg(not(feature = "netcdf"))]
fn open_netcdf(name: &str, _: Bytes, _: &InputSpec) -> Result<Dataset, JobError> {
    Err(JobError::new(
        Cause::Unsupported,
        format!(
            "{name}: this program was built without feature `netcdf`, which reads NetCDF and HDF5: build it with it"
        ),
    ))
}

#[cfg(feature = "dicom")]
fn open_dicom(name: &str, bytes: Bytes, spec: &InputSpec) -> Result<(Dataset, u64), JobError> {
    crate::input::dicom::open(name, bytes, spec.window.map(|window| (window, spec.outside.unwrap_or_default())))
}

#[cfg(not(feature = "dicom"))]
fn open_dicom(name: &str, _: Bytes, _: &InputSpec) -> Result<(Dataset, u64), JobError> {
    let message =
        format!("{name}: this program was built without feature `dicom`, which reads DICOM: build it with it");
    Err(JobError::new(Cause::Unsupported, message))
}

/// Whether an input that begins like this is NetCDF or HDF5.
fn is_netcdf(start: &[u8]) -> bool {
    start.starts_with(b"\x89HDF\r\n\x1a\n")
        || [b"CDF\x01", b"CDF\x02", b"CDF\x05"].iter().any(|magic| start.starts_with(*magic))
}

/// Whether an input that begins like this is DICOM.
fn is_dicom(start: &[u8]) -> bool {
    start.get(128..132) == Some(b"DICM")
}

fn decode(
    name: &str,
    stream: &mut dyn Read,
    format: Format,
    spec: &InputSpec,
    threads: usize,
) -> Result<(Dataset, u64), JobError> {
    match format {
        Format::Json => json::read(name, stream).map(|(source, decoded_bytes)| (single(source), decoded_bytes)),
        Format::Text => Err(JobError::bad_input(format!(
            "{name}: format text is for lists of whole numbers: use csv, which reads one number a line too"
        ))),
        _ => csv::read(name, stream, spec, threads),
    }
}

fn single(source: Arc<dyn Source>) -> Dataset {
    Dataset { columns: vec![NamedColumn { name: None, source }], shape: None, left_out: Vec::new(), window: None }
}

/// How much of an input is looked at to find its format out.
pub(crate) const SNIFFED_BYTES: usize = 4096;

/// A file that is called a text is a table of one column, where tables are read.
fn table_of_text(format: Format) -> Format {
    if format == Format::Text { Format::Csv } else { format }
}

/// The format of an input that begins with `start`.
fn sniff(name: &str, spec: &InputSpec, start: &[u8]) -> Result<Format, JobError> {
    if start.starts_with(npy::MAGIC) {
        return Ok(Format::Npy);
    }
    if is_netcdf(start) {
        return Ok(Format::Netcdf);
    }
    if is_dicom(start) {
        return Ok(Format::Dicom);
    }
    if spec.dtype.is_some() || spec.offset.is_some() {
        return Ok(Format::Raw);
    }
    if start.is_empty() {
        return Err(JobError::bad_input(format!("{name}: is empty, so its format cannot be told: name the format")));
    }
    // An object is no array, but it is JSON: its reader says so best.
    if start.trim_ascii_start().starts_with(b"[") || start.trim_ascii_start().starts_with(b"{") {
        return Ok(Format::Json);
    }
    if start.contains(&0) {
        return Err(JobError::bad_input(format!(
            "{name}: begins with `{}`, which is no format that is known by its first bytes: name the format (raw needs \
             an element type too)",
            start[..start.len().min(8)].escape_ascii()
        )));
    }
    Ok(Format::Csv)
}

/// Fills `room` from the start of a stream as far as the stream goes.
pub(crate) fn read_start(stream: &mut (impl Read + ?Sized), room: &mut [u8], name: &str) -> Result<usize, JobError> {
    let mut len = 0;
    while len < room.len() {
        match stream.read(&mut room[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(JobError::io(name, &error)),
        }
    }
    Ok(len)
}

pub(crate) fn rewind(file: &mut File, name: &str) -> Result<(), JobError> {
    io::Seek::rewind(file).map_err(|error| JobError::io(name, &error))
}

/// Opens a file that is to be read.
pub(crate) fn open_file(path: &Path, name: &str) -> Result<File, JobError> {
    File::open(path).map_err(|error| open_error(name, &error))
}

/// The version of the file at `path`; `None` where it is a pipe or the like.
pub(crate) fn version_of(path: &Path, name: &str) -> Result<Option<FileVersion>, JobError> {
    let metadata = fs::metadata(path).map_err(|error| open_error(name, &error))?;
    if metadata.is_dir() {
        return Err(JobError::bad_input(format!("{name}: is a directory: name a file in it")));
    }
    Ok(metadata.is_file().then(|| FileVersion::from_metadata(&metadata)))
}

fn open_error(name: &str, error: &io::Error) -> JobError {
    let what = match error.kind() {
        io::ErrorKind::NotFound => "no such file: check the path".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied: make the file readable".to_owned(),
        io::ErrorKind::NotADirectory => "a part of the path is no directory: check the path".to_owned(),
        _ => format!("cannot be opened: {error}"),
    };
    JobError::new(Cause::Io, format!("{name}: {what}"))
}

/// Standard input can be read once; a second reader would silently find it empty.
pub(crate) fn claim_stdin() -> Result<(), JobError> {
    static CLAIMED: AtomicBool = AtomicBool::new(false);
    if CLAIMED.swap(true, Ordering::Relaxed) {
        return Err(JobError::bad_input(format!("{STDIN_NAME}: was already read: name it once in a run")));
    }
    Ok(())
}
