//! Files that answers are written to: whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::job::{Cause, JobError};

/// Whether there is a folder to write to, and neither one of the inputs nor what is no file in the place of the output. The paths of
/// the inputs start from `base_dir`.
///
/// # Errors
/// Where there is none, or something else is in the way.
pub(super) fn check_place(path: &Path, inputs: &[&Path], base_dir: &Path) -> Result<(), JobError> {
    let (name, folder) = (path.display(), folder_of(path));
    if !folder.is_dir() {
        let folder = folder.display();
        let message = format!("{name}: there is no folder {folder} to write to: make it first (mkdir {folder})");
        return Err(JobError::new(Cause::Io, message));
    }
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(JobError::bad_input(format!("{name}: is no regular file: name another output")));
    }
    let is_output = |input: &&Path| matches!((fs::canonicalize(base_dir.join(input)), fs::canonicalize(path)), (Ok(a), Ok(b)) if a == b);
    if inputs.iter().any(is_output) {
        return Err(JobError::bad_input(format!("{name}: is the input: name another output")));
    }
    Ok(())
}

/// Writes a file beside its place, and puts it there once it is whole.
///
/// # Errors
/// Where writing fails; then what was there stays.
pub(super) fn write(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<(), JobError> {
    let failed = |error: &io::Error| {
        let message =
            format!("{}: cannot be written: {error}; check the folder's permissions and space", path.display());
        JobError::new(Cause::Io, message)
    };
    // A link is written through: what it points to is replaced, and not the link.
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tandem-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder_of(&place)).map_err(|error| failed(&error))?;
    let mut out = BufWriter::new(file.as_file_mut());
    write(&mut out).and_then(|()| out.flush()).map_err(|error| failed(&error))?;
    drop(out);
    file.persist(&place).map_err(|error| failed(&error.error))?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The header of NumPy's array file, version 1, for elements that `descr` describes.
///
/// # Errors
/// Those of `out`, and where there are so many axes that the header does not hold them.
pub(super) fn write_npy_header(
    descr: &str,
    fortran_order: bool,
    shape: &[u64],
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    const PREFIX_BYTES: usize = 10;
    let order = if fortran_order { "True" } else { "False" };
    let axes = match shape {
        [only] => format!("{only},"),
        axes => axes.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    };
    let mut header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': ({axes}), }}");
    // The data begins at a multiple of 64, after a line end.
    let padded = (PREFIX_BYTES + header.len() + 1).next_multiple_of(64) - PREFIX_BYTES;
    header.push_str(&" ".repeat(padded - 1 - header.len()));
    header.push('\n');
    let len = u16::try_from(padded).map_err(|_| io::Error::other("the array has too many axes for its header"))?;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(header.as_bytes())
}
