//! What a job of an image will take, known from its header: the size of its result, memory and time.

use image::{ColorType, DynamicImage};

use crate::job::{Cause, JobError};
use crate::tasks::image::picture::Header;
use crate::tasks::image::{Change, Format};

/// No picture takes more memory than this on its way, in bytes.
pub const MAX_BYTES: u64 = 2 << 30;

/// JPEG counts its pixels with 16 bits.
const MAX_JPEG_SIDE: u32 = 65_535;

// Milliseconds a pixel, as measured on an ordinary machine: enough to tell a small job from a large one.
const DECODE_MS: f64 = 10e-6;
const MOVE_MS: f64 = 2e-6;
const RESIZE_MS: f64 = 70e-6;
const ENCODE_PNG_MS: f64 = 130e-6;
const ENCODE_JPEG_MS: f64 = 25e-6;

/// What a job will take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Demand {
    /// The most memory at any time, in bytes.
    pub peak_bytes: u64,
    /// Roughly how long it takes.
    pub ms: f64,
}

impl Demand {
    /// Of a picture with this header in a file of so many bytes, called `name` in messages.
    ///
    /// # Errors
    /// Where a change does not fit the picture, the result does not fit its format, or memory would not be enough.
    pub fn of(
        name: &str,
        header: &Header,
        file_bytes: u64,
        changes: &[Change],
        format: Format,
    ) -> Result<Self, JobError> {
        let mut size = header.size;
        let mut bytes_per_pixel = u64::from(header.color.bytes_per_pixel());
        // The bytes of the file are there twice while it is decoded; a JPEG with all its coefficients.
        let decoding = match header.format {
            Format::Png => 1,
            Format::Jpeg => 3,
        };
        let mut peak_bytes = bytes(size, bytes_per_pixel * decoding).saturating_add(file_bytes.saturating_mul(2));
        check(name, size, peak_bytes)?;
        let mut ms = pixels(size) * DECODE_MS;
        if header.is_turned() {
            peak_bytes = peak_bytes.max(bytes(size, bytes_per_pixel * 2));
        }
        for (index, change) in changes.iter().enumerate() {
            let after = change
                .size(size)
                .map_err(|message| JobError::bad_input(format!("{name}: steps[{index}]: {message}")))?;
            let mut step_bytes = bytes(size, bytes_per_pixel).saturating_add(bytes(after, bytes_per_pixel));
            ms += pixels(after) * MOVE_MS;
            if let Change::Resize { .. } | Change::Fit { .. } = change {
                // Between columns and rows there are four floats a pixel.
                let between = (size.0, after.1);
                step_bytes = step_bytes.saturating_add(bytes(between, 16));
                let (columns, rows) = (pixels(size).max(pixels(between)), pixels(between).max(pixels(after)));
                ms += (columns + rows) * RESIZE_MS;
            }
            if *change == Change::Grey {
                bytes_per_pixel = grey(header.color);
            }
            size = after;
            peak_bytes = peak_bytes.max(step_bytes);
            check(name, size, peak_bytes)?;
        }
        if format == Format::Jpeg && size.0.max(size.1) > MAX_JPEG_SIDE {
            let (width, height) = size;
            return Err(JobError::bad_input(format!(
                "{name}: {width} x {height} pixels are more than jpeg has, {MAX_JPEG_SIDE} a side: write png, or make it smaller"
            )));
        }
        // Transparency is taken out before a JPEG is written, and a file is in memory only in part.
        peak_bytes = peak_bytes.max(bytes(size, bytes_per_pixel + 4));
        check(name, size, peak_bytes)?;
        ms += pixels(size) * if format == Format::Png { ENCODE_PNG_MS } else { ENCODE_JPEG_MS };
        Ok(Self { peak_bytes, ms })
    }
}

fn check(name: &str, (width, height): (u32, u32), peak_bytes: u64) -> Result<(), JobError> {
    if peak_bytes <= MAX_BYTES {
        return Ok(());
    }
    let gib = peak_bytes as f64 / f64::from(1 << 30);
    Err(JobError::new(
        Cause::Memory,
        format!(
            "{name}: {width} x {height} pixels would take {gib:.1} GiB of memory, more than the {} GiB that a picture may: \
             use a smaller one",
            MAX_BYTES >> 30
        ),
    ))
}

fn pixels((width, height): (u32, u32)) -> f64 {
    f64::from(width) * f64::from(height)
}

fn bytes((width, height): (u32, u32), bytes_per_pixel: u64) -> u64 {
    (u64::from(width) * u64::from(height)).saturating_mul(bytes_per_pixel)
}

/// Bytes per pixel without colours.
fn grey(color: ColorType) -> u64 {
    DynamicImage::new(1, 1, color).grayscale().color().bytes_per_pixel().into()
}
