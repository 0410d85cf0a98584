//! What kind of image it is: its shape, and how a sample of a pixel is stored (PS3.3, C.7.6.3.1, and PS3.5, 8).

use crate::input::dicom::attributes::{
    BITS_ALLOCATED, BITS_STORED, COLUMNS, DOUBLE_FLOAT_PIXEL_DATA, Described, FLOAT_PIXEL_DATA, HIGH_BIT,
    PHOTOMETRIC_INTERPRETATION, PIXEL_REPRESENTATION, PLANAR_CONFIGURATION, ROWS, SAMPLES_PER_PIXEL,
};
use crate::input::dicom::syntax::{PixelCoding, TransferSyntax};
use crate::input::excerpt::excerpt;
use crate::input::{DType, Shape};
use crate::job::{Cause, JobError};

/// How a sample is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    /// A whole number in some bits of a cell.
    Integer(Cell),
    /// `f32` or `f64`.
    Float { dtype: DType, swapped: bool },
}

/// A whole number in `stored` bits of the `allocated` ones, above `shift` others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// 1, 8, 16 or 32.
    pub(super) allocated: u32,
    pub(super) stored: u32,
    pub(super) shift: u32,
    pub(super) is_signed: bool,
    pub(super) is_big_endian: bool,
    /// Whether bytes change places in pairs: cells of a byte in words of a big-endian file.
    pub(super) is_paired: bool,
}

impl Cell {
    /// The least and the greatest number that it holds.
    pub(super) fn range(&self) -> (i64, i64) {
        if self.is_signed {
            let half = 1_i64 << (self.stored - 1);
            (-half, half - 1)
        } else {
            (0, (1_i64 << self.stored) - 1)
        }
    }

    /// The bits of a stored number as the number that they mean in this cell.
    pub(super) fn number(&self, bits: u64) -> i64 {
        let unused = 64 - self.stored;
        let above = bits << unused;
        if self.is_signed { above as i64 >> unused } else { (above >> unused) as i64 }
    }
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) frames: u64,
    pub(super) rows: u64,
    pub(super) columns: u64,
    pub(super) samples: u64,
    /// Whether all pixels of one sample come before those of the next.
    pub(super) is_planar: bool,
    pub(super) sample: Sample,
}

impl Image {
    /// The image that the attributes describe.
    ///
    /// # Errors
    /// With cause `bad_input` where one of them is missing or they contradict each other, `unsupported` where pixels are stored in a way
    /// that is not read here.
    pub(super) fn of(name: &str, described: &Described, syntax: TransferSyntax) -> Result<Self, JobError> {
        let attributes = &described.image;
        let rows = attributes.required_word(name, ROWS, "the number of rows")?.into();
        let columns = attributes.required_word(name, COLUMNS, "the number of columns")?.into();
        let samples: u64 = attributes.required_word(name, SAMPLES_PER_PIXEL, "the samples of a pixel")?.into();
        if rows == 0 || columns == 0 || samples == 0 {
            return Err(JobError::bad_input(format!(
                "{name}: attributes {ROWS}, {COLUMNS}, {SAMPLES_PER_PIXEL} are {rows} rows, {columns} columns and {samples} samples: there is no such image"
            )));
        }
        let is_rle = syntax.pixels == PixelCoding::Rle;
        let is_planar = samples > 1 && !is_rle && {
            let what = "whether samples or pixels come first";
            attributes.required_word(name, PLANAR_CONFIGURATION, what)? == 1
        };
        if let Some(halved @ (b"YBR_FULL_422" | b"YBR_PARTIAL_422" | b"YBR_PARTIAL_420")) =
            attributes.text(PHOTOMETRIC_INTERPRETATION)
            && !is_rle
        {
            return Err(JobError::new(
                Cause::Unsupported,
                format!(
                    "{name}: its colours are stored at half the resolution ({}, attribute {PHOTOMETRIC_INTERPRETATION}), which is \
                     not read here: convert it to RGB first, as `pixel_array` of pydicom does",
                    excerpt(halved)
                ),
            ));
        }
        let frames = attributes.number_of_frames(name)?;
        let is_big_endian = described.pixels.is_big_endian(syntax.encoding);
        let swapped = |dtype| Sample::Float { dtype, swapped: is_big_endian != cfg!(target_endian = "big") };
        let sample = match described.pixels.tag {
            FLOAT_PIXEL_DATA => swapped(DType::F32),
            DOUBLE_FLOAT_PIXEL_DATA => swapped(DType::F64),
            _ => Sample::Integer(cell(name, described, syntax, samples)?),
        };
        if matches!(sample, Sample::Float { .. }) && is_rle {
            return Err(JobError::bad_input(format!(
                "{name}: its floats, {}, are run lengths, which is for whole numbers: write it uncompressed",
                described.pixels.tag
            )));
        }
        Ok(Self { frames, rows, columns, samples, is_planar, sample })
    }

    /// The samples of a frame.
    pub(super) fn frame_len(&self) -> u64 {
        // Each factor is of 16 bits.
        self.rows * self.columns * self.samples
    }

    /// All samples; none where they cannot be counted in bits.
    pub(super) fn len(&self) -> Option<u64> {
        let len = self.frame_len().checked_mul(self.frames)?;
        len.checked_mul(64)?;
        Some(len)
    }

    /// The bits of a sample.
    pub(super) fn sample_bits(&self) -> u64 {
        match self.sample {
            Sample::Integer(cell) => cell.allocated.into(),
            Sample::Float { dtype, .. } => 8 * dtype.size_bytes() as u64,
        }
    }

    /// Frames where there are several, rows, columns, samples where there are several; planes in their place.
    pub(super) fn shape(&self) -> Shape {
        let sample = (self.samples > 1).then_some((self.samples, "sample"));
        let axes = [
            (self.frames > 1).then_some((self.frames, "frame")),
            sample.filter(|_| self.is_planar),
            Some((self.rows, "row")),
            Some((self.columns, "column")),
            sample.filter(|_| !self.is_planar),
        ];
        let (axes, dimensions) = axes.into_iter().flatten().map(|(len, name)| (len, name.to_owned())).unzip();
        Shape { axes, fortran_order: false, dimensions: Some(dimensions) }
    }

    /// The shape in words.
    pub(super) fn describe(&self) -> String {
        let Shape { axes, dimensions, .. } = self.shape();
        let axes: Vec<String> = axes
            .iter()
            .zip(dimensions.unwrap_or_default())
            .map(|(len, name)| format!("{len} {name}{}", if *len == 1 { "" } else { "s" }))
            .collect();
        format!("{} of {} bits", axes.join(", "), self.sample_bits())
    }
}

fn cell(name: &str, described: &Described, syntax: TransferSyntax, samples: u64) -> Result<Cell, JobError> {
    let attributes = &described.image;
    let allocated: u32 = attributes.required_word(name, BITS_ALLOCATED, "the bits of a cell")?.into();
    let stored: u32 = attributes.required_word(name, BITS_STORED, "the bits of a cell that are in use")?.into();
    let high: u32 = attributes.word(name, HIGH_BIT)?.map_or_else(|| stored.wrapping_sub(1), u32::from);
    let is_signed = attributes.required_word(name, PIXEL_REPRESENTATION, "whether pixels have a sign")? == 1;
    let is_rle = syntax.pixels == PixelCoding::Rle;
    let is_read = matches!(allocated, 8 | 16 | 32) || (allocated == 1 && samples == 1 && !is_rle);
    if !is_read {
        return Err(JobError::new(
            Cause::Unsupported,
            format!(
                "{name}: its pixels are of {allocated} bits (attribute {BITS_ALLOCATED}): 1 (of one sample, uncompressed), 8, 16 and 32 are read \
                 here"
            ),
        ));
    }
    if stored == 0 || stored > allocated || high >= allocated || high + 1 < stored {
        return Err(JobError::bad_input(format!(
            "{name}: attributes {BITS_ALLOCATED}, {BITS_STORED}, {HIGH_BIT} put {stored} bits, the highest at {high}, into cells of \
             {allocated}: they do not fit"
        )));
    }
    let is_big_endian = described.pixels.is_big_endian(syntax.encoding);
    Ok(Cell {
        allocated,
        stored,
        shift: high + 1 - stored,
        is_signed,
        is_big_endian,
        is_paired: is_big_endian && allocated <= 8 && described.pixels.vr == Some(*b"OW"),
    })
}
