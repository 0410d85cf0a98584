//! Reading a picture: its header, then the whole.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use image::error::ImageError;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::job::{Cause, JobError};
use crate::tasks::image::{Format, MAX_BYTES};
use crate::tasks::regular::open_regular;

/// No file is larger than this, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// The header of nearly every picture is within its first bytes, so many.
const HEADER_BYTES: u64 = 256 << 10;

/// What is known of a picture before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Header {
    pub format: Format,
    pub color: ColorType,
    /// Width and height as it is to be shown, in pixels.
    pub size: (u32, u32),
    orientation: Orientation,
}

impl Header {
    /// Whether it is stored otherwise than it is to be shown.
    pub fn is_turned(&self) -> bool {
        self.orientation != Orientation::NoTransforms
    }

    /// Of the file at `path`, called `name` in messages; and the file's size in bytes.
    ///
    /// # Errors
    /// Where it cannot be read, or is no picture.
    pub fn read(path: &Path, name: &str) -> Result<(Self, u64), JobError> {
        let (mut file, length) = open(path, name)?;
        let mut start = Vec::new();
        read(&mut file, HEADER_BYTES, &mut start, name)?;
        match Self::of(&start, name) {
            // What seems damaged may be a header that is longer.
            Err(_) if length > HEADER_BYTES && format_of(&start, name).is_ok() => {
                read(&mut file, MAX_FILE_BYTES - HEADER_BYTES, &mut start, name)?;
                Self::of(&start, name)
            }
            header => header,
        }
        .map(|header| (header, length))
    }

    /// Of the picture that begins with `bytes`.
    pub fn of(bytes: &[u8], name: &str) -> Result<Self, JobError> {
        Self::of_decoder(&mut decoder(bytes, name)?, format_of(bytes, name)?, name)
    }

    fn of_decoder(decoder: &mut impl ImageDecoder, format: Format, name: &str) -> Result<Self, JobError> {
        let orientation = decoder.orientation().map_err(|error| damaged(name, &error))?;
        let (width, height) = decoder.dimensions();
        if width == 0 || height == 0 {
            return Err(JobError::bad_input(format!("{name}: is damaged: it has no pixels")));
        }
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        let size = match orientation {
            Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => (height, width),
            _ => (width, height),
        };
        Ok(Self { format, color: decoder.color_type(), size, orientation })
    }
}

/// The bytes of the whole file.
///
/// # Errors
/// Where it cannot be read, or is too large.
pub(super) fn read_all(path: &Path, name: &str) -> Result<Vec<u8>, JobError> {
    let (mut file, length) = open(path, name)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    read(&mut file, MAX_FILE_BYTES, &mut bytes, name)?;
    Ok(bytes)
}

/// The picture in `bytes`, as it is to be shown, and its colour profile.
///
/// # Errors
/// Where it is damaged.
pub(super) fn decode(bytes: &[u8], name: &str) -> Result<(DynamicImage, Option<Vec<u8>>), JobError> {
    let format = format_of(bytes, name)?;
    if format == Format::Jpeg && !has_end(bytes) {
        return Err(JobError::bad_input(format!("{name}: is damaged: it ends early; get the file once more")));
    }
    let mut decoder = decoder(bytes, name)?;
    let orientation = Header::of_decoder(&mut decoder, format, name)?.orientation;
    // A profile that cannot be read is as good as none.
    let profile = decoder.icc_profile().ok().flatten();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| damaged(name, &error))?;
    picture.apply_orientation(orientation);
    Ok((picture, profile))
}

fn open(path: &Path, name: &str) -> Result<(File, u64), JobError> {
    let file = open_regular(path, name)?;
    let length = file.metadata().map_err(|error| JobError::io(name, &error))?.len();
    if length > MAX_FILE_BYTES {
        let message = format!("{name}: is larger than {} GiB: no picture is", MAX_FILE_BYTES >> 30);
        return Err(JobError::new(Cause::Memory, message));
    }
    Ok((file, length))
}

/// Reads up to `most` bytes more.
fn read(file: &mut File, most: u64, into: &mut Vec<u8>, name: &str) -> Result<(), JobError> {
    file.take(most).read_to_end(into).map_err(|error| JobError::io(name, &error)).map(drop)
}

fn format_of(bytes: &[u8], name: &str) -> Result<Format, JobError> {
    let is = |what: &str| Err(JobError::bad_input(format!("{name}: {what}: give a PNG or JPEG file")));
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => Ok(Format::Png),
        Ok(ImageFormat::Jpeg) => Ok(Format::Jpeg),
        Ok(other) => is(&format!("is a {} file", other.extensions_str().first().unwrap_or(&"strange"))),
        Err(_) if bytes.is_empty() => is("is empty"),
        Err(_) => is("is no picture that is known"),
    }
}

fn decoder<'a>(bytes: &'a [u8], name: &str) -> Result<impl ImageDecoder + 'a, JobError> {
    let format = match format_of(bytes, name)? {
        Format::Png => ImageFormat::Png,
        Format::Jpeg => ImageFormat::Jpeg,
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| damaged(name, &error))
}

fn damaged(name: &str, error: &ImageError) -> JobError {
    match error {
        ImageError::Limits(_) => {
            let limit = MAX_BYTES >> 30;
            JobError::new(
                Cause::Memory,
                format!("{name}: would take more than {limit} GiB of memory: use a smaller one"),
            )
        }
        ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            JobError::bad_input(format!("{name}: is damaged: it ends early; get the file once more"))
        }
        ImageError::Unsupported(error) => JobError::bad_input(format!("{name}: cannot be read: {error}")),
        error => JobError::bad_input(format!("{name}: is damaged: {error}; get the file once more")),
    }
}

/// Whether the end of a JPEG comes after the start of its pixels. Decoders fill up with grey what is missing.
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    // The segments before the pixels say how long they are: one of them may hold a picture of its own, with its own end.
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xDA => break,
            // Padding, and markers that stand alone.
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    bytes.get(at..).is_some_and(|pixels| memchr::memmem::find(pixels, &[0xFF, 0xD9]).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_jpeg_is_looked_for_after_what_stands_before_its_pixels() {
        let start = [0xFF, 0xD8, 0xFF, 0xFF, 0xE1, 0, 6, 0xFF, 0xD9, 1, 1, 0xFF, 0xDA, 0, 4, 1, 1];
        assert!(!has_end(&start));
        assert!(has_end(&[&start[..], &[7, 7, 0xFF, 0xD9]].concat()));
        assert!(has_end(&[&start[..], &[7, 7, 0xFF, 0xD9, 0, 0, 0]].concat()));
        for end in 0..start.len() {
            assert!(!has_end(&start[..end]));
        }
        assert!(!has_end(&[0xFF, 0xD8, 0xFF, 0xE1, 0, 0]));
        assert!(!has_end(&[0xFF; 100]));
    }
}
