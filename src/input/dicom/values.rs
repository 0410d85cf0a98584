//! What a stored number means: modality units (PS3.3, C.11.1), what is missing (C.7.5.1.1.2), what lies outside a window.

use std::cell::LazyCell;
use std::sync::Arc;

use crate::input::dicom::attributes::{
    Attributes, DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT, DOUBLE_FLOAT_PIXEL_PADDING_VALUE, Described,
    FLOAT_PIXEL_PADDING_RANGE_LIMIT, FLOAT_PIXEL_PADDING_VALUE, LUT_DATA, LUT_DESCRIPTOR, MODALITY_LUT,
    PIXEL_PADDING_RANGE_LIMIT, PIXEL_PADDING_VALUE, RESCALE_INTERCEPT, RESCALE_SLOPE, VOI_LUT_FUNCTION, WINDOW_CENTER,
    WINDOW_WIDTH,
};
use crate::input::dicom::image::{Cell, Image, Sample};
use crate::input::excerpt::excerpt;
use crate::input::{DType, Outside, Voi, VoiFunction, VoiWindow};
use crate::job::{Cause, JobError};

/// Which values stored numbers are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Meaning {
    /// The type of the values.
    pub(super) dtype: DType,
    /// Stored numbers from the one to the other are missing.
    pub(super) padding: Option<Padding>,
    pub(super) outside: Outside,
    /// Of all frames, or of each.
    pub(super) frames: Vec<OfFrame>,
}

/// The stored numbers that stand for no pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Padding {
    Integers(i64, i64),
    Floats(f64, f64),
}

/// What stored numbers of a frame mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OfFrame {
    pub(super) modality: Modality,
    /// The least and the greatest value inside the window.
    pub(super) window: Option<(f64, f64)>,
}

/// From stored numbers to modality values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Modality {
    /// stored · slope + intercept.
    Rescale { slope: f64, intercept: f64 },
    /// A table, whose first entry is for this number and all below; the last is for all above, too.
    Table { first: i64, entries: Arc<[u16]> },
}

const IDENTITY: Modality = Modality::Rescale { slope: 1.0, intercept: 0.0 };

impl Meaning {
    /// What the attributes say, and, of the window, what was asked for.
    ///
    /// # Errors
    /// With cause `bad_input` where an attribute is damaged, or the window is to be the file's and it has none.
    pub(super) fn of(
        name: &str,
        described: &Described,
        image: &Image,
        asked: Option<(Voi, Outside)>,
    ) -> Result<Self, JobError> {
        if !described.per_frame.is_empty() && described.per_frame.len() as u64 != image.frames {
            return Err(JobError::bad_input(format!(
                "{name}: describes {} frames one by one, (5200,9230), but has {} by (0028,0008)",
                described.per_frame.len(),
                image.frames
            )));
        }
        let padding = padding(name, described, image)?;
        let table = match (&described.modality_lut, image.sample) {
            (Some(table), Sample::Integer(cell)) => Some(modality_table(name, table, &cell)?),
            _ => None,
        };
        let rescales = |of: &Attributes| of.text(RESCALE_SLOPE).or(of.text(RESCALE_INTERCEPT)).is_some();
        let has_window = |of: &Attributes| of.text(WINDOW_CENTER).is_some();
        // What is said of all frames is read once at most, and not for each.
        let of_all = [&described.shared, &described.image];
        let modality_of_all = LazyCell::new(|| match (&table, of_all.into_iter().find(|of| rescales(of))) {
            (Some(table), _) => Ok(table.clone()),
            (None, Some(of)) => rescale_of(name, of),
            (None, None) => Ok(IDENTITY),
        });
        let window_of_all = LazyCell::new(|| window_of(name, of_all.into_iter().find(|of| has_window(of))));
        let of_frame = |own: Option<&Attributes>| -> Result<OfFrame, JobError> {
            // What a frame says of itself comes before what is said of all.
            let modality = match own.filter(|own| table.is_none() && rescales(own)) {
                Some(own) => rescale_of(name, own)?,
                None => modality_of_all.clone()?,
            };
            let window = match asked {
                None => None,
                Some((Voi::Given(window), _)) => Some(window.limits()),
                Some((Voi::OfFile, _)) => Some(match own.filter(|own| has_window(own)) {
                    Some(own) => window_of(name, Some(own))?,
                    None => window_of_all.clone()?,
                }),
            };
            Ok(OfFrame { modality, window })
        };
        let mut frames = if described.per_frame.is_empty() {
            vec![of_frame(None)?]
        } else {
            described.per_frame.iter().map(|own| of_frame(Some(own))).collect::<Result<Vec<_>, _>>()?
        };
        if frames.iter().skip(1).all(|frame| *frame == frames[0]) {
            frames.truncate(1);
        }
        let outside = asked.map(|(_, outside)| outside).unwrap_or_default();
        let dtype = dtype(image, padding, &frames);
        Ok(Self { dtype, padding, outside, frames })
    }

    /// Whether the values are the stored numbers themselves.
    pub(super) fn is_plain(&self) -> bool {
        let as_stored = OfFrame { modality: IDENTITY, window: None };
        self.padding.is_none() && self.frames.iter().all(|frame| *frame == as_stored)
    }

    /// The limits of the window, where all frames have the same.
    pub(super) fn window(&self) -> Option<(f64, f64)> {
        let first = self.frames.first()?.window;
        first.filter(|_| self.frames.iter().all(|frame| frame.window == first))
    }
}

/// The type of the values: whole numbers where all of them are and none can be missing.
fn dtype(image: &Image, padding: Option<Padding>, frames: &[OfFrame]) -> DType {
    let cell = match image.sample {
        Sample::Integer(cell) => cell,
        Sample::Float { dtype: DType::F32, .. }
            if padding.is_none() && frames.iter().all(|frame| frame.window.is_none() && frame.modality == IDENTITY) =>
        {
            return DType::F32;
        }
        Sample::Float { .. } => return DType::F64,
    };
    if padding.is_some() || frames.iter().any(|frame| frame.window.is_some()) {
        return DType::F64;
    }
    let mut range = (0, 0);
    for frame in frames {
        let (least, greatest) = match &frame.modality {
            Modality::Table { entries, .. } => (0, entries.iter().copied().max().unwrap_or(0).into()),
            Modality::Rescale { slope, intercept } => {
                let (Some(slope), Some(intercept)) = (whole(*slope), whole(*intercept)) else { return DType::F64 };
                let (least, greatest) = cell.range();
                let value = |stored: i64| i128::from(stored) * i128::from(slope) + i128::from(intercept);
                (value(least).min(value(greatest)), value(least).max(value(greatest)))
            }
        };
        range = (range.0.min(least), range.1.max(greatest));
    }
    let fits = |least: i128, greatest: i128| least <= range.0 && range.1 <= greatest;
    match () {
        () if fits(i32::MIN.into(), i32::MAX.into()) => DType::I32,
        () if fits(0, u32::MAX.into()) => DType::U32,
        () if fits(i64::MIN.into(), i64::MAX.into()) => DType::I64,
        () => DType::F64,
    }
}

/// The whole number that this is, if it is one that a float holds exactly with all its neighbours.
pub(super) fn whole(number: f64) -> Option<i64> {
    (number.trunc() == number && number.abs() <= (1_i64 << 53) as f64).then_some(number as i64)
}

fn padding(name: &str, described: &Described, image: &Image) -> Result<Option<Padding>, JobError> {
    let attributes = &described.image;
    // Padding is of images in shades of grey.
    if image.samples > 1 {
        return Ok(None);
    }
    Ok(match image.sample {
        Sample::Integer(cell) => {
            // Written with or without a sign, as the pixels are; some files mix that up, and mean the same bits.
            let number = |word: u16| match cell.is_signed {
                true => i64::from(word as i16),
                false => i64::from(word),
            };
            let first = attributes.word(name, PIXEL_PADDING_VALUE)?.map(number);
            let last = attributes.word(name, PIXEL_PADDING_RANGE_LIMIT)?.map(number);
            first.map(|first| (first, last.unwrap_or(first))).map(|(a, b)| Padding::Integers(a.min(b), a.max(b)))
        }
        Sample::Float { dtype, .. } => {
            let (value, limit) = match dtype {
                DType::F32 => (FLOAT_PIXEL_PADDING_VALUE, FLOAT_PIXEL_PADDING_RANGE_LIMIT),
                _ => (DOUBLE_FLOAT_PIXEL_PADDING_VALUE, DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT),
            };
            let (first, last) = (attributes.float(name, value)?, attributes.float(name, limit)?);
            first.map(|first| (first, last.unwrap_or(first))).map(|(a, b)| Padding::Floats(a.min(b), a.max(b)))
        }
    })
}

/// A table from stored values to modality values (PS3.3, C.11.1.1).
fn modality_table(name: &str, table: &Attributes, cell: &Cell) -> Result<Modality, JobError> {
    let wrong =
        |what: String| JobError::bad_input(format!("{name}: its table of modality values, {MODALITY_LUT}, {what}"));
    let descriptor = table.words(LUT_DESCRIPTOR).unwrap_or_default();
    let [len, first, bits] = descriptor[..] else {
        return Err(wrong(format!(
            "has a descriptor, {LUT_DESCRIPTOR}, of {} numbers: it has three",
            descriptor.len()
        )));
    };
    // Of 2^16 there is a 0.
    let len = if len == 0 { 1 << 16 } else { usize::from(len) };
    let first = if cell.is_signed { i64::from(first as i16) } else { i64::from(first) };
    let data = table.bytes(LUT_DATA).unwrap_or_default();
    let entries: Vec<u16> = if bits <= 8 && data.len() < 2 * len {
        data.iter().map(|byte| u16::from(*byte)).take(len).collect()
    } else {
        table.words(LUT_DATA).unwrap_or_default().into_iter().take(len).collect()
    };
    if entries.len() < len {
        return Err(wrong(format!("has {} of its {len} entries: it was cut short", entries.len())));
    }
    Ok(Modality::Table { first, entries: entries.into() })
}

/// The slope and intercept that these attributes name; where one is missing, the one that changes nothing.
fn rescale_of(name: &str, of: &Attributes) -> Result<Modality, JobError> {
    let slope = of.decimal(name, RESCALE_SLOPE)?.unwrap_or(1.0);
    let intercept = of.decimal(name, RESCALE_INTERCEPT)?.unwrap_or(0.0);
    Ok(Modality::Rescale { slope, intercept })
}

/// The limits of the first window that these attributes name.
fn window_of(name: &str, of: Option<&Attributes>) -> Result<(f64, f64), JobError> {
    let remedy = "give `window` its center and width";
    let (center, width) = match of {
        Some(of) => (of.decimal(name, WINDOW_CENTER)?, of.decimal(name, WINDOW_WIDTH)?),
        None => (None, None),
    };
    let (Some(of), Some(center), Some(width)) = (of, center, width) else {
        return Err(JobError::bad_input(format!(
            "{name}: names no window of its own (attributes {WINDOW_CENTER} and {WINDOW_WIDTH}): {remedy}, or leave it out"
        )));
    };
    let function = match of.text(VOI_LUT_FUNCTION) {
        None | Some(b"LINEAR") => VoiFunction::Linear,
        Some(b"LINEAR_EXACT") => VoiFunction::LinearExact,
        Some(other) => {
            return Err(JobError::new(
                Cause::Unsupported,
                format!(
                    "{name}: its window is of function `{}` (attribute {VOI_LUT_FUNCTION}), which has no limits: {remedy}",
                    excerpt(other)
                ),
            ));
        }
    };
    let window = VoiWindow::new(center, width, function);
    window.map(|window| window.limits()).map_err(|error| {
        JobError::bad_input(format!("{name}: attributes {WINDOW_CENTER} and {WINDOW_WIDTH}: {error}: {remedy}"))
    })
}
