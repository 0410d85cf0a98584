//! The numbers of a job, and the same as the kernel reads them: `u64`, whatever their type was.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::input::{DType, NumberList, Scratch, Source, Values};
use crate::job::JobError;
use crate::with_values;

/// A [`Source`] of integers as `u64`. Negative numbers become 0, which is as little prime as they are.
#[derive(Debug)]
pub(super) struct AsU64 {
    inner: Arc<dyn Source>,
}

/// `source` as `u64`: itself, or wrapped.
///
/// # Errors
/// Where it holds no integers.
pub(super) fn as_u64(source: &Arc<dyn Source>) -> Result<Arc<dyn Source>, JobError> {
    match source.dtype() {
        DType::U64 => Ok(Arc::clone(source)),
        dtype @ (DType::F32 | DType::F64) => Err(JobError::bad_input(format!(
            "{}: its elements are {dtype}: primes needs integers (i8 to i64 or u8 to u64)",
            source.name()
        ))),
        _ => Ok(Arc::new(AsU64 { inner: Arc::clone(source) })),
    }
}

impl Source for AsU64 {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn dtype(&self) -> DType {
        DType::U64
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        let mut inner_scratch = Scratch::default();
        let values = self.inner.read(range, &mut inner_scratch)?;
        let words = scratch.slice_mut::<u64>(values.len());
        match values {
            Values::I8(slice) => clamp(slice, words),
            Values::I16(slice) => clamp(slice, words),
            Values::I32(slice) => clamp(slice, words),
            Values::I64(slice) => clamp(slice, words),
            Values::U8(slice) => clamp(slice, words),
            Values::U16(slice) => clamp(slice, words),
            Values::U32(slice) => clamp(slice, words),
            Values::U64(slice) => words.copy_from_slice(slice),
            Values::F32(_) | Values::F64(_) => unreachable!("only sources of integers are wrapped"),
        }
        Ok(Values::U64(words))
    }

    fn check(&self) -> Result<(), JobError> {
        self.inner.check()
    }

    /// What a device remembers is the content as `u64`, which this source's identity does not stand for.
    fn identity(&self) -> Option<u64> {
        None
    }
}

fn clamp<T: Copy + TryInto<u64>>(from: &[T], to: &mut [u64]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from.try_into().unwrap_or(0);
    }
}

/// Calls `visit` with every integer and its index, whatever its type is, until it fails.
#[inline]
pub(super) fn try_for_each<E>(
    values: &Values<'_>,
    mut visit: impl FnMut(usize, i128) -> Result<(), E>,
) -> Result<(), E> {
    with_values!(values, slice => slice.iter().enumerate().try_for_each(|(index, &value)| visit(index, to_i128(value))))
}

/// Lossless for integers; floats never get here.
fn to_i128<T: ToI128>(value: T) -> i128 {
    value.to_i128()
}

trait ToI128: Copy {
    fn to_i128(self) -> i128;
}

macro_rules! to_i128 {
    ($($rust:ty),*) => {$(
        impl ToI128 for $rust {
            fn to_i128(self) -> i128 {
                self as i128
            }
        }
    )*};
}
to_i128!(f32, f64, i8, i16, i32, i64, u8, u16, u32, u64);

/// Whole numbers to be tested, in order.
#[derive(Clone, Debug)]
pub struct Numbers {
    source: Arc<dyn Source>,
    exceptions: Exceptions,
}

/// Where the numbers are that the source could not hold, for whoever repeats them.
#[derive(Clone, Debug)]
enum Exceptions {
    /// Few of them, by their index, ascending.
    Few(Arc<[(u64, i128)]>),
    /// Wherever the reader of the input put them.
    Input(NumberList),
    /// There are none.
    None,
}

impl Numbers {
    /// The numbers of a source of integers.
    pub fn of_source(source: Arc<dyn Source>) -> Self {
        Self { source, exceptions: Exceptions::None }
    }

    /// These integers, none of which is above `u64`.
    ///
    /// # Errors
    /// For the first that is, with its value, its place and the limit.
    pub fn of_integers(integers: impl IntoIterator<Item = i128>) -> Result<Self, String> {
        let mut list = Checked::default();
        integers.into_iter().try_for_each(|value| list.push(value))?;
        Ok(list.finish())
    }

    pub(super) fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The indices in `range`, ascending, whose numbers are not those of the source, each with its number.
    pub(super) fn exceptions(&self, range: Range<u64>) -> Result<Cow<'_, [(u64, i128)]>, JobError> {
        Ok(match &self.exceptions {
            Exceptions::None => Cow::Borrowed(&[]),
            Exceptions::Input(list) => Cow::Owned(list.exceptions(range)?),
            Exceptions::Few(exceptions) => {
                let below = |limit: u64| exceptions.partition_point(|(index, _)| *index < limit);
                Cow::Borrowed(&exceptions[below(range.start)..below(range.end)])
            }
        })
    }
}

impl From<Vec<u64>> for Numbers {
    fn from(numbers: Vec<u64>) -> Self {
        Self::of_source(Arc::new(Listed { numbers }))
    }
}

impl From<NumberList> for Numbers {
    fn from(list: NumberList) -> Self {
        Self { source: Arc::clone(list.source()), exceptions: Exceptions::Input(list) }
    }
}

/// Integers as they are read one by one.
#[derive(Debug, Default)]
pub(super) struct Checked {
    numbers: Vec<u64>,
    exceptions: Vec<(u64, i128)>,
}

impl Checked {
    pub(super) fn push(&mut self, value: i128) -> Result<(), String> {
        let index = self.numbers.len();
        match u64::try_from(value) {
            Ok(number) => self.numbers.push(number),
            Err(_) if value < 0 => {
                self.exceptions.push((index as u64, value));
                self.numbers.push(0);
            }
            Err(_) => {
                return Err(format!(
                    "numbers[{index}]: {value} is above {} (2^64 - 1), the greatest number that can be tested",
                    u64::MAX
                ));
            }
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn finish(self) -> Numbers {
        let exceptions =
            if self.exceptions.is_empty() { Exceptions::None } else { Exceptions::Few(self.exceptions.into()) };
        Numbers { exceptions, ..self.numbers.into() }
    }
}

/// A [`Source`] over the numbers that stand in a job itself. A million jobs have one each: it allocates no name.
#[derive(Debug)]
struct Listed {
    numbers: Vec<u64>,
}

impl Source for Listed {
    fn name(&self) -> &str {
        "numbers"
    }

    fn dtype(&self) -> DType {
        DType::U64
    }

    fn len(&self) -> u64 {
        self.numbers.len() as u64
    }

    fn read<'a>(&'a self, range: Range<u64>, _: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        Ok(Values::U64(&self.numbers[range.start as usize..range.end as usize]))
    }
}
