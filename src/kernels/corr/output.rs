//! The matrix, and the files that it can be written to.

use std::io::{self, Write};
use std::path::Path;

use crate::job::JobError;
use crate::kernels::corr::CorrAnswer;
use crate::kernels::output_file;

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

/// Whether it has a name by which it can be written, and its place is free: see [`output_file::check_place`].
///
/// # Errors
/// Where it has none, or something else is in the way.
pub(super) fn check_place(path: &Path, inputs: &[&Path], base_dir: &Path) -> Result<(), JobError> {
    check_name(path).map_err(JobError::bad_input)?;
    output_file::check_place(path, inputs, base_dir)
}

/// Writes the matrix beside its place, and puts it there once it is whole.
///
/// # Errors
/// Where writing fails; then what was there stays.
pub(super) fn write(answer: &CorrAnswer, path: &Path) -> Result<(), JobError> {
    let format = FileFormat::of(path).map_err(JobError::bad_input)?;
    output_file::write(path, |out| match format {
        FileFormat::Npy => write_npy(&answer.matrix, out),
        FileFormat::Csv => write_csv(answer, out),
    })
}

/// NumPy's array file: little-endian `f64`, C order.
fn write_npy(matrix: &Matrix, out: &mut dyn Write) -> io::Result<()> {
    let shape = [matrix.height() as u64, matrix.width() as u64];
    output_file::write_npy_header("'<f8'", false, &shape, out)?;
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
