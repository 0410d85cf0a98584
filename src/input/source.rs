//! What every reader turns its input into: a [`Source`], a sequence of numbers of one type that can be read by range.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;

use crate::input::version::fresh_identity;
use crate::job::JobError;

/// The type of the elements of a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum DType {
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl DType {
    /// Every type, in the order in which they are listed to users.
    pub const ALL: [Self; 10] =
        [Self::F32, Self::F64, Self::I8, Self::I16, Self::I32, Self::I64, Self::U8, Self::U16, Self::U32, Self::U64];

    /// The name that users type and read: `f32`, `u64`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
        }
    }

    /// The type with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// The size of one element in bytes.
    pub const fn size_bytes(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Elements of one type, in the machine's byte order, contiguous and aligned.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Values<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
}

/// Runs `$body` with `$slice` bound to the typed slice of a [`Values`], whatever its type: the one place a chunk's
/// element type is matched.
#[macro_export]
macro_rules! with_values {
    ($values:expr, $slice:ident => $body:expr) => {
        match $values {
            $crate::input::Values::F32($slice) => $body,
            $crate::input::Values::F64($slice) => $body,
            $crate::input::Values::I8($slice) => $body,
            $crate::input::Values::I16($slice) => $body,
            $crate::input::Values::I32($slice) => $body,
            $crate::input::Values::I64($slice) => $body,
            $crate::input::Values::U8($slice) => $body,
            $crate::input::Values::U16($slice) => $body,
            $crate::input::Values::U32($slice) => $body,
            $crate::input::Values::U64($slice) => $body,
        }
    };
}

impl<'a> Values<'a> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        with_values!(self, slice => slice.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements' bytes, as they lie in memory.
    pub fn bytes(&self) -> &'a [u8] {
        with_values!(*self, slice => bytemuck::cast_slice(slice))
    }

    /// The type of the elements.
    pub const fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
            Self::I8(_) => DType::I8,
            Self::I16(_) => DType::I16,
            Self::I32(_) => DType::I32,
            Self::I64(_) => DType::I64,
            Self::U8(_) => DType::U8,
            Self::U16(_) => DType::U16,
            Self::U32(_) => DType::U32,
            Self::U64(_) => DType::U64,
        }
    }
}

/// A Rust type that a [`Source`] can hold.
pub trait Element: Pod + Send + Sync + PartialOrd + std::fmt::Debug {
    /// Its name among the types.
    const DTYPE: DType;
    /// These elements as [`Values`].
    fn wrap(slice: &[Self]) -> Values<'_>;
    /// The slice inside `values`, if it is of this type.
    fn unwrap<'a>(values: &Values<'a>) -> Option<&'a [Self]>;
}

macro_rules! element {
    ($($rust:ty => $variant:ident),*) => {$(
        impl Element for $rust {
            const DTYPE: DType = DType::$variant;
            fn wrap(slice: &[Self]) -> Values<'_> {
                Values::$variant(slice)
            }
            fn unwrap<'a>(values: &Values<'a>) -> Option<&'a [Self]> {
                match values {
                    Values::$variant(slice) => Some(slice),
                    _ => None,
                }
            }
        }
    )*};
}
element!(f32 => F32, f64 => F64, i8 => I8, i16 => I16, i32 => I32, i64 => I64, u8 => U8, u16 => U16, u32 => U32, u64 => U64);

/// Room for elements that cannot be borrowed from where they lie; kept by a worker from chunk to chunk.
#[derive(Debug, Default)]
pub struct Scratch {
    words: Vec<u64>,
}

impl Scratch {
    /// `len` elements of type `T`, aligned, with unspecified values.
    pub fn slice_mut<T: Element>(&mut self, len: usize) -> &mut [T] {
        let words = (len * size_of::<T>()).div_ceil(8);
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        &mut bytemuck::cast_slice_mut(&mut self.words[..words])[..len]
    }
}

/// A sequence of numbers of one type, readable by range from many threads at once.
///
/// A source is open and bounded: its length and type are known. It may be larger than memory.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// What to call it in messages: a path, `standard input`, `values`.
    fn name(&self) -> &str;

    /// The type of its elements.
    fn dtype(&self) -> DType;

    /// The number of its elements.
    fn len(&self) -> u64;

    /// Whether it has no element.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements of `range`: borrowed from where they lie when their layout allows it, else decoded into `scratch`.
    ///
    /// Whoever has used the elements then calls [`Source::check`]: a mapped file that was truncated meanwhile reads as
    /// zeros until then.
    ///
    /// # Errors
    /// Where the input cannot be read; the error names it.
    ///
    /// # Panics
    /// Where `range` passes [`Source::len`].
    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError>;

    /// Whether a few elements here and there are cheap to read: not where a whole block of the input is decoded for each.
    fn is_scattered_cheap(&self) -> bool {
        true
    }

    /// Whether what was read so far was really there.
    ///
    /// # Errors
    /// With cause [`Io`](crate::job::Cause::Io) where a mapped file has been truncated since it was opened.
    fn check(&self) -> Result<(), JobError> {
        Ok(())
    }

    /// The same elements in the order in which they are stored, where reading them in that order costs less than in their
    /// own; for whoever does not mind.
    fn as_stored(&self) -> Option<Arc<dyn Source>> {
        None
    }

    /// Roughly how long one thread takes to decode an element, in nanoseconds, before anything has been measured: 0 where
    /// there is nothing to decode.
    fn decoding_ns(&self) -> f64 {
        0.0
    }

    /// A number that no source with other content has in this process, by which a device remembers what it holds;
    /// `None` where the content is not worth remembering.
    fn identity(&self) -> Option<u64> {
        None
    }
}

/// A [`Source`] over elements in memory.
#[derive(Debug)]
pub struct InMemory<T> {
    name: String,
    values: Vec<T>,
    identity: u64,
}

impl<T: Element> InMemory<T> {
    /// A source over `values`, called `name` in messages.
    pub fn new(name: impl Into<String>, values: Vec<T>) -> Self {
        Self { name: name.into(), values, identity: fresh_identity() }
    }
}

impl<T: Element> Source for InMemory<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn dtype(&self) -> DType {
        T::DTYPE
    }

    fn len(&self) -> u64 {
        self.values.len() as u64
    }

    fn read<'a>(&'a self, range: Range<u64>, _: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        Ok(T::wrap(&self.values[range.start as usize..range.end as usize]))
    }

    fn identity(&self) -> Option<u64> {
        Some(self.identity)
    }
}
