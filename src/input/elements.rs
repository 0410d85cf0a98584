//! A [`Source`] over elements that lie in [`Bytes`]: in one run, or in several where columns were spooled.

use std::ops::Range;
use std::sync::Arc;

use crate::input::bytes::Bytes;
use crate::input::version::{Content, fresh_identity, identity_of};
use crate::input::{DType, Element, Scratch, Source, Values, with_dtype};
use crate::job::JobError;

/// A run of elements that lie one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The index of its first element.
    pub(crate) first: u64,
    /// Where that lies, in bytes.
    pub(crate) offset: u64,
}

/// Elements of one type somewhere in bytes.
#[derive(Debug)]
pub(crate) struct Elements {
    name: String,
    bytes: Arc<Bytes>,
    dtype: DType,
    len: u64,
    /// Ascending, the first one from element 0; empty only where there is no element.
    extents: Vec<Extent>,
    /// Whether they are in the byte order that is not this machine's.
    swapped: bool,
    identity: u64,
}

impl Elements {
    /// `len` elements from byte `offset` on.
    ///
    /// # Panics
    /// Where the bytes do not reach so far.
    pub(crate) fn run(name: &str, bytes: Bytes, offset: u64, dtype: DType, len: u64, swapped: bool) -> Self {
        Self::run_of(name, Arc::new(bytes), offset, dtype, len, swapped)
    }

    /// The same, of bytes that others read too.
    pub(crate) fn run_of(name: &str, bytes: Arc<Bytes>, offset: u64, dtype: DType, len: u64, swapped: bool) -> Self {
        let end = len.checked_mul(dtype.size_bytes() as u64).and_then(|size| size.checked_add(offset));
        assert!(end.is_some_and(|end| end <= bytes.len()), "the elements lie inside the bytes");
        let identity = match bytes.version() {
            Some(version) => identity_of(Content::Elements { version, offset, dtype, len, swapped }),
            None => fresh_identity(),
        };
        let extents = vec![Extent { first: 0, offset }];
        Self { name: name.to_owned(), bytes, dtype, len, extents, swapped, identity }
    }

    /// `len` elements in these runs, in this machine's byte order.
    pub(crate) fn runs(name: &str, bytes: Arc<Bytes>, extents: Vec<Extent>, dtype: DType, len: u64) -> Self {
        let identity = fresh_identity();
        Self { name: name.to_owned(), bytes, dtype, len, extents, swapped: false, identity }
    }

    fn read_as<'a, T: Element>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        let size = size_of::<T>() as u64;
        let count = (range.end - range.start) as usize;
        if count == 0 {
            return Ok(T::wrap(&[]));
        }
        let at = self.extents.partition_point(|extent| extent.first <= range.start) - 1;
        let offset_of = |extent: &Extent, index: u64| extent.offset + (index - extent.first) * size;
        let one_run = self.extents.get(at + 1).is_none_or(|next| range.end <= next.first);
        if one_run
            && !self.swapped
            && let Some(bytes) = self.bytes.in_memory()
        {
            let start = offset_of(&self.extents[at], range.start) as usize;
            if let Ok(slice) = bytemuck::try_cast_slice(&bytes[start..start + count * size_of::<T>()]) {
                return Ok(T::wrap(slice));
            }
        }
        let room = scratch.slice_mut::<T>(count);
        let mut from = range.start;
        for (i, extent) in self.extents.iter().enumerate().skip(at) {
            let end = self.extents.get(i + 1).map_or(range.end, |next| next.first.min(range.end));
            let part = &mut room[(from - range.start) as usize..(end - range.start) as usize];
            self.bytes.read_at(offset_of(extent, from), bytemuck::cast_slice_mut(part), &self.name)?;
            from = end;
            if from == range.end {
                break;
            }
        }
        if self.swapped {
            swap_bytes(room);
        }
        Ok(T::wrap(room))
    }
}

/// Reverses the bytes of every element.
fn swap_bytes<T: Element>(elements: &mut [T]) {
    match size_of::<T>() {
        2 => bytemuck::cast_slice_mut::<T, u16>(elements).iter_mut().for_each(|word| *word = word.swap_bytes()),
        4 => bytemuck::cast_slice_mut::<T, u32>(elements).iter_mut().for_each(|word| *word = word.swap_bytes()),
        8 => bytemuck::cast_slice_mut::<T, u64>(elements).iter_mut().for_each(|word| *word = word.swap_bytes()),
        _ => {}
    }
}

impl Source for Elements {
    fn name(&self) -> &str {
        &self.name
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} passes the {} elements", self.len);
        with_dtype!(self.dtype, T => self.read_as::<T>(range, scratch))
    }

    fn check(&self) -> Result<(), JobError> {
        self.bytes.check(&self.name)
    }

    fn identity(&self) -> Option<u64> {
        Some(self.identity)
    }
}
