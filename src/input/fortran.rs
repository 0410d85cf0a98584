//! An array in Fortran order, read in C order: for what has to keep the order of its elements.

use std::ops::Range;
use std::sync::Arc;

use crate::input::{DType, Element, Scratch, Source, Values, with_dtype};
use crate::job::JobError;

/// The elements of an array in the order of their indices, the last one running fastest, though they lie in memory with
/// the first one running fastest.
#[derive(Debug)]
pub(crate) struct InCOrder {
    stored: Arc<dyn Source>,
    /// Without axes of length 1.
    shape: Vec<u64>,
}

impl InCOrder {
    /// The elements of `stored`, an array of this shape in Fortran order, in C order. The shape's product is the number of
    /// elements.
    pub(crate) fn of(stored: Arc<dyn Source>, shape: &[u64]) -> Arc<dyn Source> {
        let shape: Vec<u64> = shape.iter().copied().filter(|&axis| axis != 1).collect();
        if shape.len() < 2 || stored.is_empty() {
            return stored;
        }
        Arc::new(Self { stored, shape })
    }

    fn read_as<'a, T: Element>(&self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        let room = scratch.slice_mut::<T>((range.end - range.start) as usize);
        let mut one = Scratch::default();
        // The index along each axis of the first element wanted, and where it is stored.
        let mut index = vec![0; self.shape.len()];
        let mut rest = range.start;
        for (index, axis) in index.iter_mut().zip(&self.shape).rev() {
            *index = rest % axis;
            rest /= axis;
        }
        let mut strides = Vec::with_capacity(self.shape.len());
        let mut stride = 1;
        for axis in &self.shape {
            strides.push(stride);
            stride *= axis;
        }
        let mut at: u64 = index.iter().zip(&strides).map(|(index, stride)| index * stride).sum();
        for element in room.iter_mut() {
            let values = self.stored.read(at..at + 1, &mut one)?;
            *element = T::unwrap(&values).expect("a source keeps its type")[0];
            for axis in (0..self.shape.len()).rev() {
                index[axis] += 1;
                at += strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= self.shape[axis] * strides[axis];
                index[axis] = 0;
            }
        }
        Ok(T::wrap(room))
    }
}

impl Source for InCOrder {
    fn name(&self) -> &str {
        self.stored.name()
    }

    fn dtype(&self) -> DType {
        self.stored.dtype()
    }

    fn len(&self) -> u64 {
        self.stored.len()
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        assert!(range.start <= range.end && range.end <= self.len(), "{range:?} passes the {} elements", self.len());
        with_dtype!(self.dtype(), T => self.read_as::<T>(range, scratch))
    }

    fn check(&self) -> Result<(), JobError> {
        self.stored.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::InMemory;

    #[test]
    fn every_range_comes_in_the_order_of_the_indices() {
        let (a, b, c) = (2_u32, 3_u32, 4_u32);
        // Element [i][j][k] is i·100 + j·10 + k, stored with i running fastest.
        let mut stored = Vec::new();
        for k in 0..c {
            for j in 0..b {
                stored.extend((0..a).map(|i| i * 100 + j * 10 + k));
            }
        }
        let mut expected = stored.clone();
        expected.sort_unstable();
        let shape = [1, a.into(), b.into(), 1, c.into()];
        let source = InCOrder::of(Arc::new(InMemory::new("t", stored)), &shape);
        let mut scratch = Scratch::default();
        for start in 0..=expected.len() {
            for end in start..=expected.len() {
                let read = source.read(start as u64..end as u64, &mut scratch).unwrap();
                assert_eq!(u32::unwrap(&read), Some(&expected[start..end]), "{start}..{end}");
            }
        }
    }

    #[test]
    fn an_array_that_is_a_line_is_read_where_it_lies() {
        let stored: Arc<dyn Source> = Arc::new(InMemory::new("t", vec![1_u8, 2, 3]));
        assert!(Arc::ptr_eq(&InCOrder::of(Arc::clone(&stored), &[1, 3, 1]), &stored));
    }
}
