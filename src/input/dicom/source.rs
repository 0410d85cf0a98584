//! The pixels of an image as a [`Source`]: each sample decoded by who asks for it.

use std::ops::Range;
use std::sync::Arc;

use num_traits::AsPrimitive;

use crate::input::bytes::Bytes;
use crate::input::dicom::image::{Cell, Sample};
use crate::input::dicom::values::{Meaning, Modality, OfFrame, Padding, whole};
use crate::input::version::fresh_identity;
use crate::input::{DType, Element, Outside, Scratch, Source, Values};
use crate::job::JobError;

/// The samples of all pixels, in the order in which they are stored.
#[derive(Debug)]
pub(super) struct Pixels {
    pub(super) name: String,
    /// The file; and what was decoded of it, where the pixels are not in the file as they are.
    file: Arc<Bytes>,
    bytes: Arc<Bytes>,
    /// Where they begin in `bytes`.
    first: u64,
    sample: Sample,
    frame_len: u64,
    len: u64,
    meaning: Meaning,
    identity: u64,
}

/// Where the pixels of a file are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: Arc<Bytes>,
    pub(super) bytes: Arc<Bytes>,
    pub(super) first: u64,
}

/// So much is read at a time of what is not in memory.
const PIECE_BYTES: u64 = 1 << 16;

impl Pixels {
    /// The `len` samples at this place, `frame_len` to a frame.
    pub(super) fn new(name: &str, place: Place, sample: Sample, frame_len: u64, len: u64, meaning: Meaning) -> Self {
        let Place { file, bytes, first } = place;
        let name = name.to_owned();
        Self { name, file, bytes, first, sample, frame_len, len, meaning, identity: fresh_identity() }
    }

    fn read_as<'a, T: Value>(&self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        let room = scratch.slice_mut::<T>((range.end - range.start) as usize);
        let bits = match self.sample {
            Sample::Integer(cell) => u64::from(cell.allocated),
            Sample::Float { dtype, .. } => 8 * dtype.size_bytes() as u64,
        };
        let in_memory = self.bytes.in_memory();
        let mut piece = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let (of_frame, frame_end) = match self.meaning.frames.as_slice() {
                [only] => (only, range.end),
                frames => {
                    let frame = at / self.frame_len;
                    (&frames[frame as usize], (frame + 1) * self.frame_len)
                }
            };
            let mut end = range.end.min(frame_end);
            if in_memory.is_none() {
                end = end.min(at + PIECE_BYTES * 8 / bits);
            }
            // From the byte, or of paired bytes the pair, that the first bit is in.
            let unit = if matches!(self.sample, Sample::Integer(Cell { is_paired: true, .. })) { 2 } else { 1 };
            let start_byte = at * bits / 8 / unit * unit;
            let end_byte = (end * bits).div_ceil(8).next_multiple_of(unit);
            let raw = match in_memory {
                Some(bytes) => &bytes[(self.first + start_byte) as usize..(self.first + end_byte) as usize],
                None => {
                    piece.resize((end_byte - start_byte) as usize, 0);
                    self.bytes.read_at(self.first + start_byte, &mut piece, &self.name)?;
                    &piece
                }
            };
            let room = &mut room[(at - range.start) as usize..(end - range.start) as usize];
            self.convert(raw, (at * bits - start_byte * 8) as usize, of_frame, room);
            at = end;
        }
        Ok(T::wrap(room))
    }

    /// The values of samples that begin `skipped_bits` into these bytes.
    fn convert<T: Value>(&self, raw: &[u8], skipped_bits: usize, of_frame: &OfFrame, room: &mut [T]) {
        let skipped = skipped_bits / 8;
        match self.sample {
            Sample::Integer(cell) => {
                let stored = |bits: u32| cell.number(u64::from(bits >> cell.shift));
                let byte = |index: usize| u32::from(raw[if cell.is_paired { index ^ 1 } else { index }]);
                match cell.allocated {
                    1 => {
                        let bits = skipped_bits..skipped_bits + room.len();
                        self.integers(bits.map(|bit| stored(byte(bit / 8) >> (bit % 8) & 1)), of_frame, room);
                    }
                    8 if cell.is_paired => {
                        let bytes = skipped..skipped + room.len();
                        self.integers(bytes.map(|index| stored(byte(index))), of_frame, room);
                    }
                    8 => self.integers(raw.iter().map(|byte| stored((*byte).into())), of_frame, room),
                    16 => {
                        let word = |bytes: &[u8; 2]| {
                            let word = u16::from_le_bytes(*bytes);
                            u32::from(if cell.is_big_endian { word.swap_bytes() } else { word })
                        };
                        self.integers(raw.as_chunks().0.iter().map(|bytes| stored(word(bytes))), of_frame, room);
                    }
                    _ => {
                        let word = |bytes: &[u8; 4]| {
                            let word = u32::from_le_bytes(*bytes);
                            if cell.is_big_endian { word.swap_bytes() } else { word }
                        };
                        self.integers(raw.as_chunks().0.iter().map(|bytes| stored(word(bytes))), of_frame, room);
                    }
                }
            }
            Sample::Float { dtype: DType::F32, swapped } => {
                let of = move |bytes: &[u8; 4]| {
                    let bits = u32::from_ne_bytes(*bytes);
                    f64::from(f32::from_bits(if swapped { bits.swap_bytes() } else { bits }))
                };
                self.floats(raw.as_chunks::<4>().0.iter().map(of), of_frame, room);
            }
            Sample::Float { swapped, .. } => {
                let of = move |bytes: &[u8; 8]| {
                    let bits = u64::from_ne_bytes(*bytes);
                    f64::from_bits(if swapped { bits.swap_bytes() } else { bits })
                };
                self.floats(raw.as_chunks::<8>().0.iter().map(of), of_frame, room);
            }
        }
    }

    fn integers<T: Value>(&self, stored: impl Iterator<Item = i64>, of_frame: &OfFrame, room: &mut [T]) {
        let is_whole = self.meaning.dtype != DType::F64;
        match &of_frame.modality {
            Modality::Rescale { slope, intercept } => match (whole(*slope), whole(*intercept)) {
                (Some(slope), Some(intercept)) if is_whole => {
                    // The type was chosen so that values fit: a product that does not comes back with the sum.
                    fill(room, stored.map(|stored| T::of_whole(stored.wrapping_mul(slope).wrapping_add(intercept))));
                }
                _ => {
                    // Two roundings, as others have it.
                    let (slope, intercept) = (*slope, *intercept);
                    let values = stored.map(|stored| (self.is_padding(stored), stored as f64 * slope + intercept));
                    self.fill_seen(values, of_frame, room);
                }
            },
            Modality::Table { first, entries } => {
                let last = entries.len() as i64 - 1;
                let entry = |stored: i64| entries[stored.saturating_sub(*first).clamp(0, last) as usize];
                if is_whole {
                    fill(room, stored.map(|stored| T::of_whole(entry(stored).into())));
                } else {
                    let values = stored.map(|stored| (self.is_padding(stored), entry(stored).into()));
                    self.fill_seen(values, of_frame, room);
                }
            }
        }
    }

    fn floats<T: Value>(&self, stored: impl Iterator<Item = f64>, of_frame: &OfFrame, room: &mut [T]) {
        let is_padding = |stored: f64| match self.meaning.padding {
            Some(Padding::Floats(first, last)) => first <= stored && stored <= last,
            _ => false,
        };
        match of_frame.modality {
            Modality::Rescale { slope, intercept } if (slope, intercept) != (1.0, 0.0) => {
                let values = stored.map(|stored| (is_padding(stored), stored * slope + intercept));
                self.fill_seen(values, of_frame, room);
            }
            // Not even the sign of a zero is lost.
            _ => self.fill_seen(stored.map(|stored| (is_padding(stored), stored)), of_frame, room),
        }
    }

    fn is_padding(&self, stored: i64) -> bool {
        match self.meaning.padding {
            Some(Padding::Integers(first, last)) => first <= stored && stored <= last,
            _ => false,
        }
    }

    /// Values as they are seen through the window; each with whether it is padding.
    fn fill_seen<T: Value>(&self, values: impl Iterator<Item = (bool, f64)>, of_frame: &OfFrame, room: &mut [T]) {
        let seen = |is_padding: bool, value: f64| if is_padding { f64::NAN } else { value };
        let Some((lo, hi)) = of_frame.window else {
            return fill(room, values.map(|(is_padding, value)| T::of_float(seen(is_padding, value))));
        };
        match self.meaning.outside {
            Outside::LeaveOut => fill(
                room,
                values.map(|(is_padding, value)| T::of_float(seen(is_padding || value < lo || value > hi, value))),
            ),
            Outside::Clip => {
                fill(room, values.map(|(is_padding, value)| T::of_float(seen(is_padding, value.clamp(lo, hi)))));
            }
        }
    }
}

fn fill<T>(room: &mut [T], values: impl Iterator<Item = T>) {
    for (place, value) in room.iter_mut().zip(values) {
        *place = value;
    }
}

/// A type of values.
trait Value: Element {
    fn of_whole(whole: i64) -> Self;
    fn of_float(float: f64) -> Self;
}

macro_rules! values {
    ($($value:ty),*) => {$(
        impl Value for $value {
            fn of_whole(whole: i64) -> Self {
                whole.as_()
            }
            fn of_float(float: f64) -> Self {
                float.as_()
            }
        }
    )*};
}
values!(i32, u32, i64, f32, f64);

impl Source for Pixels {
    fn name(&self) -> &str {
        &self.name
    }

    fn dtype(&self) -> DType {
        self.meaning.dtype
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} passes the {} samples", self.len);
        match self.meaning.dtype {
            DType::I32 => self.read_as::<i32>(range, scratch),
            DType::U32 => self.read_as::<u32>(range, scratch),
            DType::I64 => self.read_as::<i64>(range, scratch),
            DType::F32 => self.read_as::<f32>(range, scratch),
            _ => self.read_as::<f64>(range, scratch),
        }
    }

    fn check(&self) -> Result<(), JobError> {
        self.file.check(&self.name)
    }

    fn decoding_ns(&self) -> f64 {
        // A window is another comparison or two.
        if self.meaning.window().is_some() { 2.0 } else { 1.25 }
    }

    fn identity(&self) -> Option<u64> {
        Some(self.identity)
    }
}
