//! Which input, and how to read it: syntax only, before any file is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::input::{DType, Outside, Source, Voi};
use crate::job::JobError;

/// Where an input lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A file. A relative path starts from the folder given when it is opened.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

impl Location {
    /// The location that a user means by `text`: `-` is standard input, anything else a path.
    pub fn from_text(text: impl Into<PathBuf>) -> Self {
        let path = text.into();
        if path.as_os_str() == "-" { Self::Stdin } else { Self::Path(path) }
    }

    /// The path; `None` for standard input.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Stdin => None,
        }
    }

    /// What to call it in messages, where relative paths start from `base_dir`.
    pub fn name(&self, base_dir: &Path) -> String {
        match self {
            Self::Path(path) => base_dir.join(path).display().to_string(),
            Self::Stdin => STDIN_NAME.to_owned(),
        }
    }
}

/// What standard input is called in messages.
pub(crate) const STDIN_NAME: &str = "standard input";

/// How numbers are written in an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// NumPy's array file, versions 1 to 3.
    Npy,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Elements as they lie in memory, in this machine's byte order.
    Raw,
    /// A JSON array of numbers.
    Json,
    /// Whole numbers, one a line.
    Text,
    /// NetCDF, classic (CDF-1, CDF-2, CDF-5) or NetCDF-4, and other files of HDF5.
    Netcdf,
    /// DICOM, images of medicine.
    Dicom,
}

impl Format {
    /// Every format, in the order in which they are listed to users.
    pub const ALL: [Self; 7] = [Self::Npy, Self::Csv, Self::Raw, Self::Json, Self::Text, Self::Netcdf, Self::Dicom];

    /// The name that users type and read: `npy`, `csv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Csv => "csv",
            Self::Raw => "raw",
            Self::Json => "json",
            Self::Text => "text",
            Self::Netcdf => "netcdf",
            Self::Dicom => "dicom",
        }
    }

    /// The format that the extension of `path` stands for, if it stands for one.
    pub fn from_extension(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "npy" => Some(Self::Npy),
            "csv" => Some(Self::Csv),
            "raw" | "bin" => Some(Self::Raw),
            "json" => Some(Self::Json),
            "txt" => Some(Self::Text),
            "nc" | "nc3" | "nc4" | "cdf" | "h5" | "hdf5" | "he5" => Some(Self::Netcdf),
            "dcm" | "dicom" => Some(Self::Dicom),
            _ => None,
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| format!("unknown format `{text}`: use npy, csv, raw, json, netcdf or dicom"))
    }
}

/// Whether the first row of a CSV file names its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Header {
    /// It does if no cell of it is a number and one at least is no missing value; where numbers and words are mixed, only if
    /// one of the words was asked for as a column.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It does not.
    No,
}

impl std::str::FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "yes" => Ok(Self::Yes),
            "no" => Ok(Self::No),
            _ => Err(format!("unknown header setting `{text}`: use auto, yes or no")),
        }
    }
}

/// Which column of a CSV file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ColumnRef {
    /// The column of this name; where no column has it and it is a string of digits, the column of that number.
    Name(String),
    /// The column of this number, from 0.
    Index(usize),
}

impl From<&str> for ColumnRef {
    fn from(text: &str) -> Self {
        Self::Name(text.to_owned())
    }
}

impl std::fmt::Display for ColumnRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Index(index) => index.fmt(f),
        }
    }
}

/// An input as it was asked for. What is left out is found out from the input, or has no place in its format.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InputSpec {
    /// Where it lies.
    pub location: Location,
    /// Its format; left out, the extension tells, else its first bytes.
    pub format: Option<Format>,
    /// The element type (raw, where it is needed).
    pub dtype: Option<DType>,
    /// Bytes to skip at the start (raw).
    pub offset: Option<u64>,
    /// Which columns; left out, every numeric one (CSV).
    pub columns: Option<Vec<ColumnRef>>,
    /// Whether the first row names the columns (CSV).
    pub header: Header,
    /// Words that stand for a missing value, besides the empty cell (CSV).
    pub na: Vec<String>,
    /// Which variable, after the names of its groups: `t2m`, `forecast/t2m`; left out, the only one that is no coordinate
    /// (NetCDF).
    pub var: Option<String>,
    /// Of which values there are to be statistics (DICOM).
    pub window: Option<Voi>,
    /// What becomes of values outside the window (DICOM, with `window`).
    pub outside: Option<Outside>,
}

impl InputSpec {
    /// The input at `location`, with nothing else said about it.
    pub fn new(location: Location) -> Self {
        let (dtype, offset, columns, na) = (None, None, None, Vec::new());
        let (header, var, window, outside) = (Header::Auto, None, None, None);
        Self { location, format: None, dtype, offset, columns, header, na, var, window, outside }
    }
}

/// Whether every option of `spec` applies to an input of this format, and none that it needs is missing.
///
/// # Errors
/// With cause `bad_input`, naming the option, the input and the format.
pub fn check_options(spec: &InputSpec, format: Format) -> Result<(), JobError> {
    let name = spec.location.name(Path::new(""));
    check_options_of(&name, spec, format)
}

pub(crate) fn check_options_of(name: &str, spec: &InputSpec, format: Format) -> Result<(), JobError> {
    let given = [
        ("dtype", spec.dtype.is_some(), Format::Raw),
        ("offset", spec.offset.is_some(), Format::Raw),
        ("column", spec.columns.is_some(), Format::Csv),
        ("header", spec.header != Header::Auto, Format::Csv),
        ("na", !spec.na.is_empty(), Format::Csv),
        ("var", spec.var.is_some(), Format::Netcdf),
        ("window", spec.window.is_some(), Format::Dicom),
        ("outside", spec.outside.is_some(), Format::Dicom),
    ];
    for (option, given, only) in given {
        if given && format != only {
            return Err(JobError::bad_input(format!(
                "{name}: option `{option}` does not apply to format {format}, only to {only}: leave it out"
            )));
        }
    }
    if format == Format::Raw && spec.dtype.is_none() {
        return Err(JobError::bad_input(format!(
            "{name}: format raw needs option `dtype`, the type of its elements, as in `f32` or `i64`"
        )));
    }
    if spec.outside.is_some() && spec.window.is_none() {
        return Err(JobError::bad_input(format!(
            "{name}: option `outside` is of values outside a `window`: give that too, or leave it out"
        )));
    }
    Ok(())
}

/// A column of numbers, with its name where the input gives it one.
#[derive(Clone, Debug)]
pub struct NamedColumn {
    /// The name in the header; in a CSV file without one, the number of the column; that of a variable. None in formats
    /// without columns.
    pub name: Option<String>,
    /// Its numbers.
    pub source: Arc<dyn Source>,
}

/// How the elements of an array are arranged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The length of each axis; none for a single number.
    pub axes: Vec<u64>,
    /// Whether the first axis runs fastest in the sequence of elements; else the last one does (C order).
    pub fortran_order: bool,
    /// The name of the dimension that each axis is, where the input tells them.
    pub dimensions: Option<Vec<String>>,
}

/// What an input holds: one column or, for CSV, several of the same length.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// In the order asked for, or that of the input; never empty.
    pub columns: Vec<NamedColumn>,
    /// Where the input is an array that says so: how its elements, the one column, are arranged.
    pub shape: Option<Shape>,
    /// The columns that nobody asked for by name and that are not of numbers.
    pub left_out: Vec<LeftOut>,
    /// Where a window was asked for and is the same throughout: the least and the greatest value inside.
    pub window: Option<(f64, f64)>,
}

/// A column that was left out, since a cell of it is no number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The name of the column.
    pub name: String,
    /// The line of the first such cell, from 1.
    pub line: u64,
    /// That cell, shortened.
    pub cell: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(change: impl FnOnce(&mut InputSpec)) -> InputSpec {
        let mut spec = InputSpec::new(Location::from_text("t"));
        change(&mut spec);
        spec
    }

    #[test]
    fn an_option_outside_its_format_is_an_error_that_names_all_three() {
        let window = Some(Voi::OfFile);
        let cases: [(&str, InputSpec, Format); 8] = [
            ("dtype", spec(|s| s.dtype = Some(DType::F32)), Format::Raw),
            ("offset", spec(|s| s.offset = Some(0)), Format::Raw),
            ("column", spec(|s| s.columns = Some(vec![ColumnRef::Index(0)])), Format::Csv),
            ("header", spec(|s| s.header = Header::No), Format::Csv),
            ("na", spec(|s| s.na = vec!["-".to_owned()]), Format::Csv),
            ("var", spec(|s| s.var = Some("t2m".to_owned())), Format::Netcdf),
            ("window", spec(|s| s.window = window), Format::Dicom),
            ("outside", spec(|s| (s.window, s.outside) = (window, Some(Outside::Clip))), Format::Dicom),
        ];
        for (option, spec, only) in cases {
            for format in Format::ALL {
                let checked = check_options(&spec, format);
                if format == only && !(format == Format::Raw && spec.dtype.is_none()) {
                    assert_eq!(checked, Ok(()), "{option} with {format}");
                } else {
                    let message = checked.expect_err("refused").message;
                    assert!(message.starts_with("t: ") && message.contains(format.name()), "{message}");
                    let named = match (option, format) {
                        // Allowed here, but not without a type.
                        ("offset", Format::Raw) => "dtype",
                        // It comes with a window, which is told of first.
                        ("outside", _) => "window",
                        _ => option,
                    };
                    assert!(message.contains(&format!("`{named}`")), "{option} with {format}: {message}");
                }
            }
        }
        let alone = spec(|s| s.outside = Some(Outside::Clip));
        for format in Format::ALL {
            let message = check_options(&alone, format).expect_err("refused").message;
            assert!(message.contains("`outside`"), "{format}: {message}");
        }
    }

    #[test]
    fn formats_are_known_by_name_and_extension() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert!("xlsx".parse::<Format>().is_err());
        assert_eq!(Format::from_extension(Path::new("a/b.NPY")), Some(Format::Npy));
        assert_eq!(Format::from_extension(Path::new("npy")), None);
    }

    #[test]
    fn a_dash_is_standard_input_and_nothing_else_is() {
        assert_eq!(Location::from_text("-"), Location::Stdin);
        assert_eq!(Location::from_text("./-"), Location::Path(PathBuf::from("./-")));
    }
}
