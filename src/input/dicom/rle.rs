//! Run lengths: frames decoded one after the other into the cells that they would be without (PS3.5, Annex G).

use std::io::{self, Read};

use crate::input::bytes::Bytes;
use crate::input::dicom::data_set::{DataSet, Element};
use crate::input::dicom::image::Image;
use crate::job::{Cause, JobError};

/// A frame as it is stored.
#[derive(Clone, Copy, Debug)]
struct Fragment {
    at: u64,
    len: u64,
}

impl Fragment {
    /// Refuses what cannot be a frame of so many bytes.
    fn check(&self, name: &str, frame: u64, frame_bytes: u64) -> Result<(), JobError> {
        let len = self.len;
        let why = match () {
            () if frame_bytes > len.saturating_mul(EXPANSION_MAX) => "was cut short or is of another shape",
            () if len > frame_bytes.saturating_mul(STORED_MAX) + STORED_BESIDES_MAX => "is of another shape",
            () => return Ok(()),
        };
        Err(JobError::bad_input(format!(
            "{name}: frame {frame}, at byte {}: {len} bytes of run lengths cannot be {frame_bytes} of pixels: it {why}, write it again",
            self.at
        )))
    }
}

/// What a frame takes once it is decoded: a frame is held whole, and the memory budget knows nothing of it. That is 8192 by 8192
/// pixels of 16 bits.
const FRAME_BYTES_MAX: u64 = 128 << 20;

/// A byte of run lengths stands for so many at most, so that what is decoded is at most so many times the file.
const EXPANSION_MAX: u64 = 64;

/// A byte takes so many at most as a run length, and a fragment a header of 64 and what its segments are filled up with.
const STORED_MAX: u64 = 2;
const STORED_BESIDES_MAX: u64 = 1 << 10;

/// The cells of all frames, little-endian, the samples of a pixel one after the other.
#[derive(Debug)]
pub(super) struct Frames<'b> {
    name: &'b str,
    bytes: &'b Bytes,
    fragments: std::vec::IntoIter<Fragment>,
    frame: u64,
    cells: u64,
    samples: usize,
    cell_bytes: usize,
    stored: Vec<u8>,
    decoded: Vec<u8>,
    given: usize,
    fault: Option<JobError>,
}

impl<'b> Frames<'b> {
    /// The frames of an image whose pixels begin at this element.
    ///
    /// # Errors
    /// Where there are not as many fragments as frames, or they cannot hold as much.
    pub(super) fn new(
        data_set: &mut DataSet<'b>,
        bytes: &'b Bytes,
        image: &Image,
        pixels: &Element,
    ) -> Result<Self, JobError> {
        let name = data_set.name;
        if pixels.len.is_some() {
            return data_set.fault(format!("{} is to hold run lengths, but says how long it is", pixels.tag));
        }
        let mut fragments = Vec::new();
        data_set.items(pixels, &mut |item, index, end| {
            let Some(end) = end else { return item.fault("a fragment of pixels does not say how long it is") };
            // The first item is a table of offsets, which is not needed.
            if index > 0 {
                if index > image.frames {
                    return item.fault(format!("there are more fragments of pixels than the {} frames", image.frames));
                }
                fragments.push(Fragment { at: item.at, len: end - item.at });
            }
            Ok(())
        })?;
        if fragments.len() as u64 != image.frames {
            return Err(JobError::bad_input(format!(
                "{name}: has {} fragments of run lengths for {} frames in the bytes of {}: each frame is one",
                fragments.len(),
                image.frames,
                pixels.tag
            )));
        }
        let frame_bytes = image.frame_len() * image.sample_bits() / 8;
        if frame_bytes > FRAME_BYTES_MAX {
            return Err(JobError::new(
                Cause::Unsupported,
                format!(
                    "{name}: a frame is of {frame_bytes} bytes: up to {FRAME_BYTES_MAX} are decoded; write it uncompressed"
                ),
            ));
        }
        // Before anything is written or room is made.
        for (frame, fragment) in fragments.iter().enumerate() {
            fragment.check(name, frame as u64, frame_bytes)?;
        }
        Ok(Self {
            name,
            bytes,
            fragments: fragments.into_iter(),
            frame: 0,
            cells: image.rows * image.columns,
            samples: image.samples as usize,
            cell_bytes: (image.sample_bits() / 8) as usize,
            stored: Vec::new(),
            decoded: Vec::new(),
            given: 0,
            fault: None,
        })
    }

    /// Why it ended early.
    pub(super) fn into_fault(self) -> Option<JobError> {
        self.fault
    }

    fn decode(&mut self, fragment: Fragment) -> Result<(), JobError> {
        let (frame, name) = (self.frame, self.name);
        let wrong =
            |what: String| JobError::bad_input(format!("{name}: frame {frame}, at byte {}: {what}", fragment.at));
        let planes = self.samples * self.cell_bytes;
        let frame_bytes = self.cells * planes as u64;
        let stored = match self.bytes.in_memory() {
            Some(bytes) => &bytes[fragment.at as usize..(fragment.at + fragment.len) as usize],
            None => {
                self.stored.resize(fragment.len as usize, 0);
                self.bytes.read_at(fragment.at, &mut self.stored, name)?;
                self.stored.as_slice()
            }
        };
        let Some((header, _)) = stored.split_first_chunk::<64>() else {
            return Err(wrong(format!("{} bytes are no header of run lengths: it has 64", fragment.len)));
        };
        let words: Vec<usize> =
            header.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word) as usize).collect();
        let (segments, offsets) = (words[0], &words[1..]);
        if segments != planes || planes > offsets.len() {
            return Err(wrong(format!("has {segments} segments of run lengths, but {planes} bytes in each pixel")));
        }
        self.decoded.resize(frame_bytes as usize, 0);
        for plane in 0..planes {
            let (sample, place) = (plane / self.cell_bytes, plane % self.cell_bytes);
            // The most significant byte of each sample comes first.
            let first = sample * self.cell_bytes + self.cell_bytes - 1 - place;
            let start = offsets[plane];
            let end = if plane + 1 < planes { offsets[plane + 1] } else { stored.len() };
            let Some(segment) = stored.get(start..end).filter(|_| start >= 64) else {
                return Err(wrong(format!(
                    "segment {plane} from byte {start} to {end} is not inside its {}",
                    fragment.len
                )));
            };
            let there = unpack(segment, self.decoded[first..].iter_mut().step_by(planes));
            if there < self.cells {
                return Err(wrong(format!(
                    "segment {plane} ends after {there} of {} pixels: it was cut short",
                    self.cells
                )));
            }
        }
        Ok(())
    }
}

/// Fills `room` from run lengths; how many bytes there were.
fn unpack<'a>(segment: &[u8], mut room: impl Iterator<Item = &'a mut u8>) -> u64 {
    let (mut at, mut there) = (0, 0);
    while let Some(&control) = segment.get(at) {
        at += 1;
        let (literal, repeated, count) = match control {
            0..=127 => {
                let count = usize::from(control) + 1;
                let literal = &segment[at..segment.len().min(at + count)];
                at += count;
                (literal, None, count)
            }
            // It stands for nothing.
            128 => continue,
            129..=255 => {
                let Some(&byte) = segment.get(at) else { return there };
                at += 1;
                (&[][..], Some(byte), 257 - usize::from(control))
            }
        };
        for index in 0..count {
            let Some(byte) = repeated.or_else(|| literal.get(index).copied()) else { return there };
            let Some(place) = room.next() else { return there };
            *place = byte;
            there += 1;
        }
    }
    there
}

impl Read for Frames<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.given == self.decoded.len() {
            let Some(fragment) = self.fragments.next() else { return Ok(0) };
            if let Err(fault) = self.decode(fragment) {
                self.fault = Some(fault);
                return Err(io::Error::other("run lengths are damaged"));
            }
            self.frame += 1;
            self.given = 0;
        }
        let count = room.len().min(self.decoded.len() - self.given);
        room[..count].copy_from_slice(&self.decoded[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fragment, unpack};

    fn unpacked(segment: &[u8], len: usize) -> (u64, Vec<u8>) {
        let mut room = vec![0; len];
        (unpack(segment, room.iter_mut()), room)
    }

    #[test]
    fn literals_and_repeats_are_what_they_say() {
        // The example of the algorithm's description: three literals, then three of one byte; 128 is passed over.
        assert_eq!(unpacked(&[2, 1, 2, 3, 128, 254, 9], 6), (6, vec![1, 2, 3, 9, 9, 9]));
        assert_eq!(unpacked(&[129, 7], 128), (128, vec![7; 128]));
        assert_eq!(unpacked(&[255, 7, 0, 8], 3), (3, vec![7, 7, 8]));
    }

    #[test]
    fn a_fragment_is_neither_too_short_nor_too_long_for_its_frame() {
        let check =
            |len, frame_bytes| Fragment { at: 9, len }.check("t", 3, frame_bytes).map_err(|error| error.message);
        for (len, frame_bytes) in [(64 + 16, 64 * 80), (2 * 5000 + 1024, 5000), (1024, 0)] {
            assert_eq!(check(len, frame_bytes), Ok(()), "{len} {frame_bytes}");
        }
        for (len, frame_bytes) in [(80, 64 * 80 + 1), (2 * 5000 + 1025, 5000), (u64::MAX, 1 << 20), (0, u64::MAX)] {
            let error = check(len, frame_bytes).unwrap_err();
            assert!(error.starts_with("t: frame 3, at byte 9: ") && error.contains("cannot be"), "{error}");
        }
    }

    #[test]
    fn what_is_cut_short_or_too_long_fills_what_it_can() {
        assert_eq!(unpacked(&[2, 1], 3), (1, vec![1, 0, 0]));
        assert_eq!(unpacked(&[254], 3), (0, vec![0; 3]));
        assert_eq!(unpacked(&[254, 5, 254, 6], 4), (4, vec![5, 5, 5, 6]));
        assert_eq!(unpacked(&[], 1), (0, vec![0]));
    }
}
