//! The matrix, and the files that it can be written to.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::job::{Cause, JobError};
use crate::kernels::corr::CorrAnswer;

/// Coefficients, row after row.
#[derive(Clone, Debug)]
pub struct Matrix {
    values: Vec<f64>,
    width: usize,
}

/// Bit for bit, so that NaN is equal to itself.
impl PartialEq for Matrix {
    fn eq(&self, other: &Self) -> bool {
        let bits = |matrix: &Self| -> Vec<u64> { matrix.values.iter().map(|value| value.to_bits()).collect() };
        self.width == other.width && bits(self) == bits(other)
    }
}

impl Matrix {
    /// The matrix of these values, row after row of `width`.
    pub(super) fn new(values: Vec<f64>, width: usize) -> Self {
        Self { values, width }
    }

    /// Its rows.
    pub fn height(&self) -> usize {
        self.values.len() / self.width
    }

    /// Its columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// A row.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.width..][..self.width]
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

/// How a matrix is written to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileFormat {
    Npy,
    Csv,
}

impl FileFormat {
    fn of(path: &Path) -> Result<Self, String> {
        match path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).as_deref() {
            Some("npy") => Ok(Self::Npy),
            Some("csv") => Ok(Self::Csv),
            _ => Err(format!("{}: is neither called .npy nor .csv: name the output so", path.display())),
        }
    }
}

/// Whether a matrix can be written to a file of this name.
///
/// # Errors
/// What is wrong with the name.
pub(super) fn check_name(path: &Path) -> Result<(), String> {
    FileFormat::of(path).map(|_| ())
}

/// Whether there is a folder to write to.
///
/// # Errors
/// Where there is none, or something else is in the way.
pub(super) fn check_place(path: &Path) -> Result<(), JobError> {
    check_name(path).map_err(JobError::bad_input)?;
    let (name, folder) = (path.display(), folder_of(path));
    if !folder.is_dir() {
        let folder = folder.display();
        let message = format!("{name}: there is no folder {folder} to write to: make it first (mkdir {folder})");
        return Err(JobError::new(Cause::Io, message));
    }
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(JobError::bad_input(format!("{name}: is no regular file: name another output")));
    }
    Ok(())
}

/// Writes the matrix beside its place, and puts it there once it is whole.
///
/// # Errors
/// Where writing fails; then what was there stays.
pub(super) fn write(answer: &CorrAnswer, path: &Path) -> Result<(), JobError> {
    let format = FileFormat::of(path).map_err(JobError::bad_input)?;
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
    let mut out = BufWriter::new(&mut file);
    let written = match format {
        FileFormat::Npy => write_npy(&answer.matrix, &mut out),
        FileFormat::Csv => write_csv(answer, &mut out),
    };
    written.and_then(|()| out.flush()).map_err(|error| failed(&error))?;
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

/// NumPy's array file, version 1: little-endian `f64`, C order.
fn write_npy(matrix: &Matrix, out: &mut dyn Write) -> io::Result<()> {
    const PREFIX_BYTES: usize = 10;
    let mut header =
        format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, {}), }}", matrix.height(), matrix.width());
    // The data begins at a multiple of 64, after a line end.
    let padded = (PREFIX_BYTES + header.len() + 1).next_multiple_of(64) - PREFIX_BYTES;
    header.push_str(&" ".repeat(padded - 1 - header.len()));
    header.push('\n');
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(padded as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    matrix.values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
}

/// A header with the names of the columns, and the name of its own in front of each row.
fn write_csv(answer: &CorrAnswer, out: &mut dyn Write) -> io::Result<()> {
    for name in answer.with_columns.as_ref().unwrap_or(&answer.columns) {
        write!(out, ",{}", quoted(name))?;
    }
    writeln!(out)?;
    for (row, name) in answer.columns.iter().enumerate() {
        write!(out, "{}", quoted(name))?;
        for value in answer.matrix.row(row) {
            if value.is_finite() {
                write!(out, ",{}", ryu::Buffer::new().format_finite(*value))?;
            } else {
                write!(out, ",NaN")?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A name as a cell of a CSV.
fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}
