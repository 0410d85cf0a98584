//! From an [`InputSpec`] to a [`Dataset`]: finds the format out, opens, and hands over to the reader of that format.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::input::bytes::{Bytes, MEMORY_LIMIT_BYTES};
use crate::input::spec::{STDIN_NAME, check_options_of};
use crate::input::{DType, Dataset, Format, InputSpec, Location, NamedColumn, Source, npy, raw};
use crate::job::{Cause, JobError};

/// Opens an input. Relative paths start from `base_dir`.
///
/// # Errors
/// With cause `io` where it cannot be read, `bad_input` where it is malformed or an option does not apply to its format,
/// `unsupported` where its elements are of a type that nothing here computes with. The message names the input and the
/// place in it.
pub fn open(spec: &InputSpec, base_dir: &Path) -> Result<Dataset, JobError> {
    match &spec.location {
        Location::Stdin => {
            claim_stdin()?;
            read_stream(STDIN_NAME, &mut io::stdin().lock(), spec)
        }
        Location::Path(path) => {
            let path = base_dir.join(path);
            let name = path.display().to_string();
            let (mut file, is_regular) = open_file(&path, &name)?;
            let by_extension = spec.format.or_else(|| Format::from_extension(&path)).map(table_of_text);
            if !is_regular {
                return read_stream(&name, &mut file, &InputSpec { format: by_extension, ..spec.clone() });
            }
            let format = match by_extension {
                Some(format) => format,
                None => {
                    let mut start = [0; SNIFFED_BYTES];
                    let len = read_start(&mut file, &mut start, &name)?;
                    rewind(&mut file, &name)?;
                    sniff(&name, spec, &start[..len])?
                }
            };
            check_options_of(&name, spec, format)?;
            match format {
                Format::Npy | Format::Raw => open_array(&name, Bytes::of_file(file, &name)?, format, spec),
                Format::Csv | Format::Json | Format::Text => decode(&name, &mut file, format, spec),
            }
        }
    }
}

/// Reads an input from a stream to its end; `name` stands for it in messages. The location in `spec` is not looked at.
///
/// # Errors
/// See [`open`].
pub fn read_stream(name: &str, stream: &mut dyn Read, spec: &InputSpec) -> Result<Dataset, JobError> {
    let mut start = [0; SNIFFED_BYTES];
    let len = read_start(stream, &mut start, name)?;
    let format = match spec.format {
        Some(format) => format,
        None => sniff(name, spec, &start[..len])?,
    };
    check_options_of(name, spec, format)?;
    let mut whole = start[..len].chain(stream);
    match format {
        Format::Npy | Format::Raw => {
            open_array(name, Bytes::of_stream(&mut whole, name, MEMORY_LIMIT_BYTES)?, format, spec)
        }
        Format::Csv | Format::Json | Format::Text => decode(name, &mut whole, format, spec),
    }
}

fn open_array(name: &str, bytes: Bytes, format: Format, spec: &InputSpec) -> Result<Dataset, JobError> {
    let elements = match format {
        Format::Npy => npy::open(name, bytes)?.0,
        _ => raw::open(name, bytes, spec.dtype.unwrap_or(DType::U8), spec.offset.unwrap_or(0))?,
    };
    Ok(single(Arc::new(elements)))
}

fn decode(name: &str, _: &mut dyn Read, format: Format, _: &InputSpec) -> Result<Dataset, JobError> {
    Err(JobError::new(Cause::Unsupported, format!("{name}: format {format} has no reader in this build")))
}

fn single(source: Arc<dyn Source>) -> Dataset {
    Dataset { columns: vec![NamedColumn { name: None, source }] }
}

/// How much of an input is looked at to find its format out.
pub(crate) const SNIFFED_BYTES: usize = 4096;

/// A file of text is a table of one column, where tables are read.
fn table_of_text(format: Format) -> Format {
    if format == Format::Text { Format::Csv } else { format }
}

/// The format of an input that begins with `start`.
fn sniff(name: &str, spec: &InputSpec, start: &[u8]) -> Result<Format, JobError> {
    if start.starts_with(npy::MAGIC) {
        return Ok(Format::Npy);
    }
    if spec.dtype.is_some() || spec.offset.is_some() {
        return Ok(Format::Raw);
    }
    if start.is_empty() {
        return Err(JobError::bad_input(format!("{name}: is empty, so its format cannot be told: name the format")));
    }
    if start.trim_ascii_start().starts_with(b"[") {
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

/// Opens a file that is to be read, and says whether it is a regular one (else a pipe or the like).
pub(crate) fn open_file(path: &Path, name: &str) -> Result<(File, bool), JobError> {
    let failed = |error: &io::Error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "no such file: check the path",
            io::ErrorKind::PermissionDenied => "permission denied: make the file readable",
            io::ErrorKind::NotADirectory => "a part of the path is no directory: check the path",
            _ => return JobError::new(Cause::Io, format!("{name}: cannot be opened: {error}")),
        };
        JobError::new(Cause::Io, format!("{name}: {remedy}"))
    };
    let file = File::open(path).map_err(|error| failed(&error))?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if metadata.is_dir() {
        return Err(JobError::bad_input(format!("{name}: is a directory: name a file in it")));
    }
    Ok((file, metadata.is_file()))
}

/// Standard input can be read once; a second reader would silently find it empty.
pub(crate) fn claim_stdin() -> Result<(), JobError> {
    static CLAIMED: AtomicBool = AtomicBool::new(false);
    if CLAIMED.swap(true, Ordering::Relaxed) {
        return Err(JobError::bad_input(format!("{STDIN_NAME}: was already read: name it once in a run")));
    }
    Ok(())
}
