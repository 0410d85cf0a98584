//! The numbers of a job, and the same as the kernel reads them: `u64`, whatever their type was.

use std::ops::Range;
use std::sync::Arc;

use crate::input::{DType, Scratch, Source, Values};
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

/// The integer at `index`, whatever its type.
pub(super) fn integer_at(values: &Values<'_>, index: usize) -> i128 {
    with_values!(values, slice => to_i128(slice[index]))
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

/// Integers to be tested, in order.
#[derive(Clone, Debug)]
pub struct NumberList {
    /// The integers, of any integer type. One that no `u64` holds stands as 0 here and by its value in `exceptions`, unless
    /// the type holds it.
    pub source: Arc<dyn Source>,
    /// The values that the source could not hold, all of them negative, by their index, ascending.
    pub exceptions: Vec<(u64, i128)>,
}

impl NumberList {
    /// A list of numbers in memory.
    pub fn new(numbers: Vec<u64>) -> Self {
        Self { source: Arc::new(Listed { numbers }), exceptions: Vec::new() }
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
