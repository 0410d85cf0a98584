//! A data set, element by element (PS3.5, 7): tags, lengths and where values lie. Only what is asked for is read.

use crate::input::bytes::Bytes;
use crate::input::dicom::syntax::Encoding;
use crate::job::JobError;

/// Of an element: its group and its number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag(pub(super) u16, pub(super) u16);

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({:04X},{:04X})", self.0, self.1)
    }
}

const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// An element, without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) tag: Tag,
    /// Of which kind its value is, where the encoding says so.
    pub(super) vr: Option<[u8; 2]>,
    /// Where its value begins.
    pub(super) at: u64,
    /// Its bytes; none where items follow until an end is marked.
    pub(super) len: Option<u64>,
}

impl Element {
    /// Whether its value is written as in big-endian files: not where its kind was unknown, which was passed on as it came in the default
    /// encoding (PS3.5, 6.2.2, note 2).
    pub(super) fn is_big_endian(&self, encoding: Encoding) -> bool {
        encoding.is_big_endian && self.vr != Some(*b"UN")
    }
}

/// What follows for an element that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is passed over.
    Skip,
    /// It was read to its end.
    Done,
    /// It was the last one wanted.
    Stop,
}

/// What looks at an item: its index, and where it ends if that is told.
type OnItem<'v, 'b> = &'v mut dyn FnMut(&mut DataSet<'b>, u64, Option<u64>) -> Result<(), JobError>;

/// No sequences that mean something are nested nearly as deep.
const DEPTH_MAX: u32 = 32;

/// No value that is looked at is nearly as long: numbers, or a few of them as text.
pub(super) const VALUE_BYTES_MAX: u64 = 1 << 10;

/// Reads elements from bytes.
#[derive(Debug)]
pub(super) struct DataSet<'b> {
    pub(super) name: &'b str,
    bytes: &'b Bytes,
    pub(super) encoding: Encoding,
    pub(super) at: u64,
    depth: u32,
    /// What was read last, and where it begins.
    window: Vec<u8>,
    window_start: u64,
}

impl<'b> DataSet<'b> {
    /// The data set that begins at byte `at` of the file `name`, which these bytes are.
    pub(super) fn new(name: &'b str, bytes: &'b Bytes, encoding: Encoding, at: u64) -> Self {
        Self { name, bytes, encoding, at, depth: 0, window: Vec::new(), window_start: 0 }
    }

    /// Whether all was read.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Shows `visit` each element as far as byte `end`, or, where that is left open, to the end of the item.
    pub(super) fn elements(
        &mut self,
        end: Option<u64>,
        visit: &mut dyn FnMut(&mut Self, &Element) -> Result<Next, JobError>,
    ) -> Result<(), JobError> {
        while end.is_none_or(|end| self.at < end) {
            let element = self.header()?;
            match element.tag {
                ITEM_END if end.is_none() => return Ok(()),
                Tag(0xfffe, _) => return self.fault(format!("{} is not inside a sequence", element.tag)),
                _ => {}
            }
            match visit(self, &element)? {
                Next::Skip => self.skip(&element)?,
                Next::Done => {}
                Next::Stop => return Ok(()),
            }
        }
        if end.is_some_and(|end| self.at > end) {
            return self.fault("an element is longer than the item that it is in");
        }
        Ok(())
    }

    /// Shows `visit` each item of a sequence: its index, and where it ends if that is told. `visit` reads all of an item whose
    /// end is left open.
    pub(super) fn items(&mut self, sequence: &Element, visit: OnItem<'_, 'b>) -> Result<(), JobError> {
        self.at = sequence.at;
        let end = match sequence.len {
            Some(_) => Some(self.end_of(sequence)?),
            None => None,
        };
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fault(format!("sequences are nested more than {DEPTH_MAX} deep"));
        }
        let encoding = self.encoding;
        // Who passed on an element of unknown kind and length had it in the default encoding (PS3.5, 6.2.2).
        if sequence.vr == Some(*b"UN") {
            self.encoding = Encoding::IMPLICIT_LITTLE;
        }
        let mut index = 0;
        while end.is_none_or(|end| self.at < end) {
            let item = self.header()?;
            match item.tag {
                ITEM => {}
                SEQUENCE_END if end.is_none() => break,
                other => return self.fault(format!("{other} stands where an item of {} should", sequence.tag)),
            }
            let item_end = match item.len {
                Some(_) => Some(self.end_of(&item)?),
                None => None,
            };
            // Else what follows it would be read again, by each sequence around it.
            if end.zip(item_end).is_some_and(|(end, item_end)| item_end > end) {
                return self.fault(format!("an item of {} is longer than the sequence", sequence.tag));
            }
            visit(self, index, item_end)?;
            if let Some(item_end) = item_end {
                self.at = item_end;
            }
            index += 1;
        }
        if end.is_some_and(|end| self.at > end) {
            return self.fault(format!("the items of {} are longer than the sequence", sequence.tag));
        }
        self.encoding = encoding;
        self.depth -= 1;
        Ok(())
    }

    /// Passes over the value of an element.
    pub(super) fn skip(&mut self, element: &Element) -> Result<(), JobError> {
        if element.len.is_some() {
            self.at = self.end_of(element)?;
            return Ok(());
        }
        self.items(element, &mut |items, _, end| match end {
            Some(_) => Ok(()),
            None => items.elements(None, &mut |_, _| Ok(Next::Skip)),
        })
    }

    /// The value of an element, of `bytes_max` bytes at most.
    pub(super) fn value(&mut self, element: &Element, bytes_max: u64) -> Result<Vec<u8>, JobError> {
        let Some(len) = element.len else {
            return self.fault(format!("{} is a sequence, where a value should be", element.tag));
        };
        if len > bytes_max {
            return self.fault(format!("{} is {len} bytes long: up to {bytes_max} are supported", element.tag));
        }
        self.at = element.at;
        Ok(self.take(len, Some(element.tag))?.to_vec())
    }

    /// Where the value of an element ends.
    ///
    /// # Errors
    /// Where that is beyond the file.
    pub(super) fn end_of(&self, element: &Element) -> Result<u64, JobError> {
        let end = element.at.saturating_add(element.len.unwrap_or(0));
        if end > self.bytes.len() {
            return Err(JobError::bad_input(format!(
                "{}: {} ends at byte {end}, but the file at byte {}: it was cut short, fetch or write it again",
                self.name,
                element.tag,
                self.bytes.len()
            )));
        }
        Ok(end)
    }

    /// The group of the next element, without passing over it.
    pub(super) fn next_group(&mut self) -> Result<u16, JobError> {
        let at = self.at;
        let group = self.u16();
        self.at = at;
        group
    }

    /// The next element, up to its value.
    pub(super) fn header(&mut self) -> Result<Element, JobError> {
        let tag = Tag(self.u16()?, self.u16()?);
        // Items and their ends have no kind.
        let (vr, len) = if self.encoding.is_explicit && tag.0 != 0xfffe {
            let vr: [u8; 2] = self.array()?;
            if !vr.iter().all(u8::is_ascii_uppercase) {
                return self.fault(format!("{tag} is of no kind of value that there is (`{}`)", vr.escape_ascii()));
            }
            let len = if has_long_length(vr) {
                self.array::<2>()?;
                self.u32()?
            } else {
                u32::from(self.u16()?)
            };
            (Some(vr), len)
        } else {
            (None, self.u32()?)
        };
        let len = (len != u32::MAX).then_some(u64::from(len));
        Ok(Element { tag, vr, at: self.at, len })
    }

    fn u16(&mut self) -> Result<u16, JobError> {
        let bytes = self.array()?;
        Ok(if self.encoding.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&mut self) -> Result<u32, JobError> {
        let bytes = self.array()?;
        Ok(if self.encoding.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], JobError> {
        let bytes = self.take(N as u64, None)?;
        Ok(std::array::from_fn(|i| bytes[i]))
    }

    /// The next `len` bytes, which the caller has bounded.
    fn take(&mut self, len: u64, of: Option<Tag>) -> Result<&[u8], JobError> {
        const WINDOW_BYTES: u64 = 1 << 14;
        let left = self.bytes.len().saturating_sub(self.at);
        if left < len {
            let of = of.map_or_else(|| "the header of an element".to_owned(), |tag| tag.to_string());
            return Err(JobError::bad_input(format!(
                "{}: ends inside {of}, at byte {}: it was cut short or is damaged, fetch or write it again",
                self.name,
                self.bytes.len()
            )));
        }
        let window_end = self.window_start + self.window.len() as u64;
        if self.at < self.window_start || self.at + len > window_end {
            self.window.resize(left.min(len.max(WINDOW_BYTES)) as usize, 0);
            self.window_start = self.at;
            self.bytes.read_at(self.at, &mut self.window, self.name)?;
        }
        let start = (self.at - self.window_start) as usize;
        self.at += len;
        Ok(&self.window[start..start + len as usize])
    }

    /// An error at this place.
    pub(super) fn fault<T>(&self, what: impl std::fmt::Display) -> Result<T, JobError> {
        Err(JobError::bad_input(format!("{}: malformed DICOM data set before byte {}: {what}", self.name, self.at)))
    }
}

/// Whether values of this kind have a length of 32 bits (PS3.5, 7.1.2).
fn has_long_length(vr: [u8; 2]) -> bool {
    matches!(&vr, b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV")
}
