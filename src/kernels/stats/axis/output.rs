//! The files that the arrays are written to: NumPy's, one array a statistic (.npz), or one array of records (.npy).

use std::io::{self, BufWriter, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::input::DType;
use crate::job::JobError;
use crate::kernels::output_file;
use crate::kernels::stats::Scalar;
use crate::kernels::stats::axis::answer::{AxisAnswer, Statistic};

/// How arrays are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileFormat {
    Npz,
    Npy,
}

impl FileFormat {
    fn of(path: &Path) -> Result<Self, String> {
        match path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).as_deref() {
            Some("npz") => Ok(Self::Npz),
            Some("npy") => Ok(Self::Npy),
            _ => Err(format!("{}: is neither called .npz nor .npy: name the output so", path.display())),
        }
    }
}

/// Whether arrays can be written to a file of this name.
///
/// # Errors
/// What is wrong with the name.
pub(in crate::kernels::stats) fn check_name(path: &Path) -> Result<(), String> {
    FileFormat::of(path).map(|_| ())
}

/// Whether it has a name by which it can be written, and its place is free: see [`output_file::check_place`].
///
/// # Errors
/// Where it has none, or something else is in the way.
pub(in crate::kernels::stats) fn check_place(path: &Path, inputs: &[&Path], base_dir: &Path) -> Result<(), JobError> {
    check_name(path).map_err(JobError::bad_input)?;
    output_file::check_place(path, inputs, base_dir)
}

/// Writes the arrays beside their place, and puts them there once they are whole.
///
/// # Errors
/// Where writing fails; then what was there stays.
pub(super) fn write(answer: &AxisAnswer, path: &Path) -> Result<(), JobError> {
    let format = FileFormat::of(path).map_err(JobError::bad_input)?;
    output_file::write(path, |out| match format {
        FileFormat::Npz => write_npz(answer, out),
        FileFormat::Npy => write_records(answer, out),
    })
}

/// An archive of arrays, not compressed, as `numpy.savez` writes it.
fn write_npz(answer: &AxisAnswer, out: &mut (impl Write + io::Seek)) -> io::Result<()> {
    let mut archive = ZipWriter::new(out);
    for statistic in Statistic::ALL {
        let dtype = answer.dtype_of(statistic);
        let large = answer.cells().saturating_mul(dtype.size_bytes() as u64) > u64::from(u32::MAX) / 2;
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(large);
        archive.start_file(format!("{}.npy", statistic.name()), options)?;
        // Each call is a turn through the archive's own book-keeping.
        let mut entry = BufWriter::with_capacity(1 << 16, &mut archive);
        write_header(answer, &format!("'{}'", descr(dtype)), &mut entry)?;
        for cell in 0..answer.cells() {
            write_scalar(answer.in_storage(statistic, cell), dtype, &mut entry)?;
        }
        entry.flush()?;
    }
    archive.finish()?;
    Ok(())
}

/// One array of records that have a field for each statistic.
fn write_records(answer: &AxisAnswer, out: &mut dyn Write) -> io::Result<()> {
    let dtypes = Statistic::ALL.map(|statistic| answer.dtype_of(statistic));
    let fields = Statistic::ALL.iter().zip(dtypes);
    let fields: Vec<String> =
        fields.map(|(statistic, dtype)| format!("('{}', '{}')", statistic.name(), descr(dtype))).collect();
    write_header(answer, &format!("[{}]", fields.join(", ")), out)?;
    for cell in 0..answer.cells() {
        for (statistic, dtype) in Statistic::ALL.into_iter().zip(dtypes) {
            write_scalar(answer.in_storage(statistic, cell), dtype, out)?;
        }
    }
    Ok(())
}

/// The header of arrays in the order of storage.
fn write_header(answer: &AxisAnswer, descr: &str, out: &mut dyn Write) -> io::Result<()> {
    output_file::write_npy_header(descr, answer.fortran_order, &answer.shape, out)
}

fn descr(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
    }
}

/// A number as one of this type, which it fits.
fn write_scalar(value: Scalar, dtype: DType, out: &mut dyn Write) -> io::Result<()> {
    match (value, dtype) {
        (Scalar::Integer(integer), DType::I32 | DType::U32) => out.write_all(&(integer as u32).to_le_bytes()),
        (Scalar::Integer(integer), DType::I64 | DType::U64) => out.write_all(&(integer as u64).to_le_bytes()),
        (value, DType::F32) => out.write_all(&(value.to_f64() as f32).to_le_bytes()),
        (value, _) => out.write_all(&value.to_f64().to_le_bytes()),
    }
}
