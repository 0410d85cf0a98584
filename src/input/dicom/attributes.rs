//! The attributes that say what the pixels of an image are, as they stand in a file.

use std::collections::BTreeMap;

use crate::input::dicom::data_set::{DataSet, Element, Next, Tag, VALUE_BYTES_MAX};
use crate::input::excerpt::excerpt;
use crate::job::JobError;

pub(super) const TRANSFER_SYNTAX_UID: Tag = Tag(0x0002, 0x0010);
pub(super) const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002);
pub(super) const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004);
pub(super) const PLANAR_CONFIGURATION: Tag = Tag(0x0028, 0x0006);
pub(super) const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
pub(super) const ROWS: Tag = Tag(0x0028, 0x0010);
pub(super) const COLUMNS: Tag = Tag(0x0028, 0x0011);
pub(super) const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
pub(super) const BITS_STORED: Tag = Tag(0x0028, 0x0101);
pub(super) const HIGH_BIT: Tag = Tag(0x0028, 0x0102);
pub(super) const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);
pub(super) const PIXEL_PADDING_VALUE: Tag = Tag(0x0028, 0x0120);
pub(super) const PIXEL_PADDING_RANGE_LIMIT: Tag = Tag(0x0028, 0x0121);
pub(super) const FLOAT_PIXEL_PADDING_VALUE: Tag = Tag(0x0028, 0x0122);
pub(super) const DOUBLE_FLOAT_PIXEL_PADDING_VALUE: Tag = Tag(0x0028, 0x0123);
pub(super) const FLOAT_PIXEL_PADDING_RANGE_LIMIT: Tag = Tag(0x0028, 0x0124);
pub(super) const DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT: Tag = Tag(0x0028, 0x0125);
pub(super) const WINDOW_CENTER: Tag = Tag(0x0028, 0x1050);
pub(super) const WINDOW_WIDTH: Tag = Tag(0x0028, 0x1051);
pub(super) const RESCALE_INTERCEPT: Tag = Tag(0x0028, 0x1052);
pub(super) const RESCALE_SLOPE: Tag = Tag(0x0028, 0x1053);
pub(super) const VOI_LUT_FUNCTION: Tag = Tag(0x0028, 0x1056);
pub(super) const MODALITY_LUT: Tag = Tag(0x0028, 0x3000);
pub(super) const LUT_DESCRIPTOR: Tag = Tag(0x0028, 0x3002);
pub(super) const LUT_DATA: Tag = Tag(0x0028, 0x3006);
const FRAME_VOI_LUT: Tag = Tag(0x0028, 0x9132);
const PIXEL_VALUE_TRANSFORMATION: Tag = Tag(0x0028, 0x9145);
const SHARED_GROUPS: Tag = Tag(0x5200, 0x9229);
const GROUPS_PER_FRAME: Tag = Tag(0x5200, 0x9230);
pub(super) const FLOAT_PIXEL_DATA: Tag = Tag(0x7fe0, 0x0008);
pub(super) const DOUBLE_FLOAT_PIXEL_DATA: Tag = Tag(0x7fe0, 0x0009);
pub(super) const PIXEL_DATA: Tag = Tag(0x7fe0, 0x0010);

/// What describes an image as a whole.
const OF_IMAGE: [Tag; 16] = [
    SAMPLES_PER_PIXEL,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    NUMBER_OF_FRAMES,
    ROWS,
    COLUMNS,
    BITS_ALLOCATED,
    BITS_STORED,
    HIGH_BIT,
    PIXEL_REPRESENTATION,
    PIXEL_PADDING_VALUE,
    PIXEL_PADDING_RANGE_LIMIT,
    FLOAT_PIXEL_PADDING_VALUE,
    DOUBLE_FLOAT_PIXEL_PADDING_VALUE,
    FLOAT_PIXEL_PADDING_RANGE_LIMIT,
    DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT,
];

/// What a frame may have of its own.
const OF_FRAME: [Tag; 5] = [WINDOW_CENTER, WINDOW_WIDTH, RESCALE_INTERCEPT, RESCALE_SLOPE, VOI_LUT_FUNCTION];

/// A table has up to 2^16 entries of 16 bits.
const LUT_BYTES_MAX: u64 = 1 << 17;

/// Attributes and their values, as they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attributes {
    values: BTreeMap<Tag, Value>,
}

#[derive(Clone, Debug, PartialEq)]
struct Value {
    bytes: Vec<u8>,
    is_big_endian: bool,
}

/// All that a file says of its pixels, and where they are.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) image: Attributes,
    /// What holds for all frames, where the file says it apart (enhanced multi-frame images).
    pub(super) shared: Attributes,
    /// What each frame has of its own; empty where the file does not say.
    pub(super) per_frame: Vec<Attributes>,
    /// The table from stored values to modality values, where there is one.
    pub(super) modality_lut: Option<Attributes>,
    pub(super) pixels: Element,
}

impl Described {
    /// Reads the attributes of a data set, as far as its pixels.
    ///
    /// # Errors
    /// With cause `bad_input` where it is malformed, or no image.
    pub(super) fn read(data_set: &mut DataSet<'_>, end: u64) -> Result<Self, JobError> {
        let (mut image, mut shared, mut per_frame) = (Attributes::default(), Attributes::default(), Vec::new());
        let (mut modality_lut, mut pixels) = (None, None);
        data_set.elements(Some(end), &mut |data_set, element| {
            match element.tag {
                PIXEL_DATA | FLOAT_PIXEL_DATA | DOUBLE_FLOAT_PIXEL_DATA => {
                    pixels = Some(*element);
                    return Ok(Next::Stop);
                }
                MODALITY_LUT => {
                    data_set.items(element, &mut |item, index, end| {
                        let mut table = Attributes::default();
                        table.read(item, end, &[LUT_DESCRIPTOR, LUT_DATA], &[])?;
                        if index == 0 {
                            modality_lut = Some(table);
                        }
                        Ok(())
                    })?;
                }
                SHARED_GROUPS => {
                    data_set.items(element, &mut |item, _, end| shared.read(item, end, &[], &GROUPS))?;
                }
                GROUPS_PER_FRAME => {
                    let frames = image.number_of_frames(data_set.name)?;
                    data_set.items(element, &mut |item, index, end| {
                        let mut frame = Attributes::default();
                        frame.read(item, end, &[], &GROUPS)?;
                        // Who takes a frame out of others may leave what is said of them.
                        if index < frames {
                            per_frame.push(frame);
                        }
                        Ok(())
                    })?;
                }
                tag if OF_IMAGE.contains(&tag) || OF_FRAME.contains(&tag) => image.keep(data_set, element)?,
                _ => return Ok(Next::Skip),
            }
            Ok(Next::Done)
        })?;
        let Some(pixels) = pixels else {
            return Err(JobError::bad_input(format!(
                "{}: has no pixels, attribute {PIXEL_DATA}: it is a DICOM file of something else than an image",
                data_set.name
            )));
        };
        Ok(Self { image, shared, per_frame, modality_lut, pixels })
    }
}

/// The sequences of a group of functions that hold what is read of it.
const GROUPS: [Tag; 2] = [FRAME_VOI_LUT, PIXEL_VALUE_TRANSFORMATION];

impl Attributes {
    /// Reads an item: the values of `wanted`, and what items of `groups` in it have of a frame.
    fn read(
        &mut self,
        item: &mut DataSet<'_>,
        end: Option<u64>,
        wanted: &[Tag],
        groups: &[Tag],
    ) -> Result<(), JobError> {
        item.elements(end, &mut |item, element| {
            if wanted.contains(&element.tag) {
                self.keep(item, element)?;
            } else if groups.contains(&element.tag) {
                item.items(element, &mut |group, _, end| self.read(group, end, &OF_FRAME, &[]))?;
            } else {
                return Ok(Next::Skip);
            }
            Ok(Next::Done)
        })
    }

    fn keep(&mut self, data_set: &mut DataSet<'_>, element: &Element) -> Result<(), JobError> {
        let bytes_max = if element.tag == LUT_DATA { LUT_BYTES_MAX } else { VALUE_BYTES_MAX };
        let bytes = data_set.value(element, bytes_max)?;
        // What is empty says nothing.
        if !bytes.is_empty() {
            let is_big_endian = element.is_big_endian(data_set.encoding);
            self.values.insert(element.tag, Value { bytes, is_big_endian });
        }
        Ok(())
    }

    /// The value as it is written.
    pub(super) fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        self.values.get(&tag).map(|value| value.bytes.as_slice())
    }

    /// Numbers of 16 bits.
    pub(super) fn words(&self, tag: Tag) -> Option<Vec<u16>> {
        let value = self.values.get(&tag)?;
        let word = if value.is_big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
        Some(value.bytes.as_chunks::<2>().0.iter().map(|bytes| word(*bytes)).collect())
    }

    /// A number of 16 bits; none where there is no such attribute.
    pub(super) fn word(&self, name: &str, tag: Tag) -> Result<Option<u16>, JobError> {
        let Some(words) = self.words(tag) else { return Ok(None) };
        match words.first() {
            Some(word) => Ok(Some(*word)),
            None => {
                Err(JobError::bad_input(format!("{name}: attribute {tag} is a number of one byte, two are needed")))
            }
        }
    }

    /// A number of 16 bits that has to be there.
    pub(super) fn required_word(&self, name: &str, tag: Tag, what: &str) -> Result<u16, JobError> {
        let missing = || {
            JobError::bad_input(format!(
                "{name}: attribute {tag}, {what}, is missing: its pixels cannot be read without"
            ))
        };
        self.word(name, tag)?.ok_or_else(missing)
    }

    /// A float of 32 or 64 bits, whichever its bytes are.
    pub(super) fn float(&self, name: &str, tag: Tag) -> Result<Option<f64>, JobError> {
        let Some(Value { bytes, is_big_endian }) = self.values.get(&tag) else { return Ok(None) };
        let float = match (<[u8; 4]>::try_from(bytes.as_slice()), <[u8; 8]>::try_from(bytes.as_slice())) {
            (Ok(four), _) if *is_big_endian => f32::from_be_bytes(four).into(),
            (Ok(four), _) => f32::from_le_bytes(four).into(),
            (_, Ok(eight)) if *is_big_endian => f64::from_be_bytes(eight),
            (_, Ok(eight)) => f64::from_le_bytes(eight),
            _ => {
                let len = bytes.len();
                return Err(JobError::bad_input(format!("{name}: attribute {tag} is of {len} bytes, and no float")));
            }
        };
        Ok(Some(float))
    }

    /// The first of the numbers of a text.
    pub(super) fn decimal(&self, name: &str, tag: Tag) -> Result<Option<f64>, JobError> {
        let Some(text) = self.text(tag) else { return Ok(None) };
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
        match number.filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(JobError::bad_input(format!("{name}: attribute {tag} is `{}`, and no number", excerpt(text)))),
        }
    }

    /// The first text of a value, without the spaces around it; none where that is empty.
    pub(super) fn text(&self, tag: Tag) -> Option<&[u8]> {
        let first = self.bytes(tag)?.split(|byte| *byte == b'\\').next().unwrap_or_default();
        let end = first.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(first[..end].trim_ascii()).filter(|text| !text.is_empty())
    }

    /// How many frames there are: one where nothing is said.
    pub(super) fn number_of_frames(&self, name: &str) -> Result<u64, JobError> {
        let Some(text) = self.text(NUMBER_OF_FRAMES) else { return Ok(1) };
        let frames = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
        frames.filter(|frames| *frames > 0).ok_or_else(|| {
            JobError::bad_input(format!(
                "{name}: attribute {NUMBER_OF_FRAMES}, the number of frames, is `{}`, and no count",
                excerpt(text)
            ))
        })
    }
}
