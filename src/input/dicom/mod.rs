//! DICOM: images of medicine, as files (PS3.10). Their pixels are read in modality units, such as those of Hounsfield.
//!
//! A file is a data set, elements each with a tag; what says how pixels lie and what they mean is read, and everything else
//! passed over unread. Uncompressed pixels are decoded from where they lie by who asks for them; run lengths, and what was
//! deflated as a whole, once at the beginning. A library of the field was weighed: it reads values as long as they say they are before
//! it looks whether they are there, and brings some twenty more packages, one of them no longer kept up, for what are a few hundred lines.

mod attributes;
mod data_set;
mod image;
mod inflate;
mod rle;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use crate::input::bytes::{Bytes, MEMORY_LIMIT_BYTES};
use crate::input::elements::Elements;
use crate::input::{DType, Dataset, NamedColumn, Outside, Source, Voi};
use crate::job::JobError;

use attributes::{Described, TRANSFER_SYNTAX_UID};
use data_set::{DataSet, VALUE_BYTES_MAX};
use image::{Image, Sample};
use rle::Frames;
use source::{Pixels, Place};
use syntax::{Encoding, PixelCoding, TransferSyntax};
use values::Meaning;

/// What follows the 128 bytes that a file begins with.
const MAGIC: &[u8; 4] = b"DICM";
const MAGIC_AT: u64 = 128;

/// Elements of the meta information are of this group.
const META_GROUP: u16 = 0x0002;

/// The pixels of a file, through the window if there is to be one, and how many bytes were decoded for them.
///
/// # Errors
/// With cause `bad_input` where the file is damaged, holds no image, or is to have a window and has none; `unsupported` where its
/// pixels are compressed in a way that is not decoded here.
pub(crate) fn open(name: &str, bytes: Bytes, window: Option<(Voi, Outside)>) -> Result<(Dataset, u64), JobError> {
    let file = Arc::new(bytes);
    let (syntax, start) = meta_information(name, &file)?;
    // Places in what was deflated are told as those once it is inflated.
    let inflated_name = format!("{name}, inflated");
    let (place_name, bytes, start) = if syntax.is_deflated {
        (inflated_name.as_str(), Arc::new(inflate::inflate(name, &file, start)?), 0)
    } else {
        (name, Arc::clone(&file), start)
    };
    let mut data_set = DataSet::new(place_name, &bytes, syntax.encoding, start);
    let described = Described::read(&mut data_set, bytes.len())?;
    let image = Image::of(name, &described, syntax)?;
    let meaning = Meaning::of(name, &described, &image, window)?;
    let Some(len) = image.len() else {
        return Err(JobError::bad_input(format!(
            "{name}: has more elements than can be counted: {}",
            image.describe()
        )));
    };
    let place = match syntax.pixels {
        PixelCoding::Native => {
            let first = native(place_name, &data_set, &image, &described, len)?;
            Place { file: Arc::clone(&file), bytes: Arc::clone(&bytes), first }
        }
        PixelCoding::Rle => {
            let mut frames = Frames::new(&mut data_set, &bytes, &image, &described.pixels)?;
            let decoded = Bytes::of_stream(&mut frames, name, MEMORY_LIMIT_BYTES);
            if let Some(fault) = frames.into_fault() {
                return Err(fault);
            }
            Place { file: Arc::clone(&file), bytes: Arc::new(decoded?), first: 0 }
        }
    };
    let decoded_bytes = if Arc::ptr_eq(&place.bytes, &file) { 0 } else { place.bytes.len() };
    let (shape, window) = (image.shape(), meaning.window());
    let source = source(name, place, &image, len, meaning);
    let columns = vec![NamedColumn { name: None, source }];
    Ok((Dataset { columns, shape: Some(shape), left_out: Vec::new(), window }, decoded_bytes))
}

fn source(name: &str, place: Place, image: &Image, len: u64, meaning: Meaning) -> Arc<dyn Source> {
    // What lies in the file as it is read needs no detour.
    if meaning.is_plain() && Arc::ptr_eq(&place.bytes, &place.file) {
        let plain = match image.sample {
            Sample::Integer(cell) if cell.allocated == 32 && cell.stored == 32 => {
                let dtype = if cell.is_signed { DType::I32 } else { DType::U32 };
                Some((dtype, cell.is_big_endian != cfg!(target_endian = "big")))
            }
            Sample::Integer(_) => None,
            Sample::Float { dtype, swapped } => Some((dtype, swapped)),
        };
        if let Some((dtype, swapped)) = plain {
            return Arc::new(Elements::run_of(name, place.bytes, place.first, dtype, len, swapped));
        }
    }
    Arc::new(Pixels::new(name, place, image.sample, image.frame_len(), len, meaning))
}

/// How the data set is written, and where it begins.
fn meta_information(name: &str, bytes: &Bytes) -> Result<(TransferSyntax, u64), JobError> {
    let mut magic = [0; 4];
    if bytes.len() >= MAGIC_AT + 4 {
        bytes.read_at(MAGIC_AT, &mut magic, name)?;
    }
    if magic != *MAGIC {
        return Err(JobError::bad_input(format!(
            "{name}: is not a DICOM file: `DICM` is not at byte {MAGIC_AT}: name its format, or write it with a preamble and meta \
             information (PS3.10), as `dcmread(path, force=True)` and `save_as(path, enforce_file_format=True)` of pydicom do"
        )));
    }
    let mut meta = DataSet::new(name, bytes, Encoding::EXPLICIT_LITTLE, MAGIC_AT + 4);
    let mut uid = None;
    // Some leave its length out: it ends where the next group begins.
    while !meta.is_at_end() && meta.next_group()? == META_GROUP {
        let element = meta.header()?;
        if element.tag == TRANSFER_SYNTAX_UID {
            uid = Some(meta.value(&element, VALUE_BYTES_MAX)?);
        } else {
            meta.skip(&element)?;
        }
    }
    match uid {
        Some(uid) => Ok((syntax::of_uid(name, &uid)?, meta.at)),
        None => Err(JobError::bad_input(format!(
            "{name}: its meta information, to byte {}, names no transfer syntax, {TRANSFER_SYNTAX_UID}, by which to read the rest: write it \
             again with one",
            meta.at
        ))),
    }
}

/// Where uncompressed pixels begin.
fn native(name: &str, data_set: &DataSet<'_>, image: &Image, described: &Described, len: u64) -> Result<u64, JobError> {
    let pixels = &described.pixels;
    let Some(there) = pixels.len else {
        return Err(JobError::bad_input(format!(
            "{name}: its pixels, {}, lie in fragments from byte {} on, as compressed ones do, but its transfer syntax says that they are not compressed: \
             write it again",
            pixels.tag, pixels.at
        )));
    };
    data_set.end_of(pixels)?;
    let needed = (len * image.sample_bits()).div_ceil(8);
    // Cells of a byte in big-endian words come in pairs.
    let is_paired = matches!(image.sample, Sample::Integer(cell) if cell.is_paired);
    let needed = if is_paired { needed.next_multiple_of(2) } else { needed };
    let frame_bytes = needed / image.frames;
    if there < needed || there - needed >= frame_bytes.max(2) {
        let what =
            if there < needed { "was cut short" } else { "has more frames than it says, or is of another shape" };
        return Err(JobError::bad_input(format!(
            "{name}: its pixels, {}, take {there} bytes from byte {} on, but {needed} are needed for {}: it {what}, write it again",
            pixels.tag,
            pixels.at,
            image.describe()
        )));
    }
    Ok(pixels.at)
}
