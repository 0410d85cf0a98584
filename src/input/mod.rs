//! Readers: files, pipes and values in a job become [`Source`]s of typed numbers. One file a format.
//!
//! [`open`] reads what `stats` takes, [`open_numbers`] the whole numbers of `primes`. What already is an array (.npy, raw)
//! is memory-mapped and read in place; NetCDF and DICOM are too, and decoded as they are asked for; what has to be decoded (CSV, JSON, text) or comes from a pipe is kept in memory up
//! to 64 MiB, and beyond that in a temporary file without a name. So every input may be larger than memory.

mod bytes;
mod cache;
mod concat;
mod csv;
mod decimal;
mod decoders;
#[cfg(feature = "dicom")]
mod dicom;
mod elements;
mod excerpt;
mod fortran;
mod json;
#[cfg(feature = "netcdf")]
mod netcdf;
mod npy;
mod numbers;
mod open;
mod raw;
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod sigbus;
mod source;
mod spec;
mod spool;
#[cfg(all(test, any(feature = "dicom", feature = "netcdf")))]
mod testing;
mod text;
mod version;
mod voi;
mod window;

#[cfg(feature = "service")]
pub(crate) use cache::keep_decoded;
pub use concat::concat;
pub use numbers::{NumberList, open_numbers, open_numbers_on, read_numbers, read_numbers_on};
#[cfg(feature = "cli")]
pub(crate) use open::claim_stdin;
pub use open::{forget_opened, open, open_on, read_stream};
#[cfg(any(feature = "links", feature = "image"))]
pub(crate) use open::{open_file, version_of};
pub use source::{DType, Element, InMemory, Scratch, Source, Values};
pub use spec::{ColumnRef, Dataset, Format, Header, InputSpec, LeftOut, Location, NamedColumn, Shape, check_options};
pub use voi::{Outside, Voi, VoiFunction, VoiWindow};

/// Runs `$body` with `$element` naming the Rust type of a [`DType`].
macro_rules! with_dtype {
    ($dtype:expr, $element:ident => $body:expr) => {
        match $dtype {
            $crate::input::DType::F32 => {
                type $element = f32;
                $body
            }
            $crate::input::DType::F64 => {
                type $element = f64;
                $body
            }
            $crate::input::DType::I8 => {
                type $element = i8;
                $body
            }
            $crate::input::DType::I16 => {
                type $element = i16;
                $body
            }
            $crate::input::DType::I32 => {
                type $element = i32;
                $body
            }
            $crate::input::DType::I64 => {
                type $element = i64;
                $body
            }
            $crate::input::DType::U8 => {
                type $element = u8;
                $body
            }
            $crate::input::DType::U16 => {
                type $element = u16;
                $body
            }
            $crate::input::DType::U32 => {
                type $element = u32;
                $body
            }
            $crate::input::DType::U64 => {
                type $element = u64;
                $body
            }
        }
    };
}
pub(crate) use with_dtype;
