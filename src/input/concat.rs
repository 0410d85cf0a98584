//! Several sources as one dataset.

use std::ops::Range;
use std::sync::Arc;

use crate::input::version::{Content, identity_of};
use crate::input::{DType, Scratch, Source, Values, with_dtype};
use crate::job::JobError;

/// The elements of all `sources`, one source after the other.
///
/// # Errors
/// With cause `bad_input`: where there is no source, or two are of different types (the error names both).
pub fn concat(sources: Vec<Arc<dyn Source>>) -> Result<Arc<dyn Source>, JobError> {
    let Some(first) = sources.first() else {
        return Err(JobError::bad_input("no input to put together: name one at least"));
    };
    if let Some(other) = sources.iter().find(|source| source.dtype() != first.dtype()) {
        return Err(JobError::bad_input(format!(
            "{} holds {} and {} holds {}: inputs taken together must be of one type",
            first.name(),
            first.dtype(),
            other.name(),
            other.dtype()
        )));
    }
    if sources.len() == 1 {
        return Ok(sources.into_iter().next().expect("one source"));
    }
    let mut len = 0_u64;
    let mut ends = Vec::with_capacity(sources.len());
    for source in &sources {
        len = len.checked_add(source.len()).ok_or_else(|| {
            JobError::bad_input(format!("{}: the inputs taken together have too many elements to count", source.name()))
        })?;
        ends.push(len);
    }
    let name = format!("{} and {} more", first.name(), sources.len() - 1);
    let identities: Option<Vec<u64>> = sources.iter().map(|source| source.identity()).collect();
    let identity = identities.map(|parts| identity_of(Content::Parts(parts)));
    Ok(Arc::new(Concat { name, dtype: first.dtype(), parts: sources, ends, identity }))
}

#[derive(Debug)]
struct Concat {
    name: String,
    dtype: DType,
    parts: Vec<Arc<dyn Source>>,
    /// Where each part ends, in elements of the whole.
    ends: Vec<u64>,
    identity: Option<u64>,
}

impl Concat {
    /// Copies what lies in several parts into one place.
    fn gather<'a>(&self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        let count = (range.end - range.start) as usize;
        let mut part_scratch = Scratch::default();
        with_dtype!(self.dtype, T => {
            let room = scratch.slice_mut::<T>(count);
            let mut from = range.start;
            let mut part = self.ends.partition_point(|&end| end <= from);
            while from < range.end {
                let first = self.ends[part] - self.parts[part].len();
                let end = self.ends[part].min(range.end);
                let values = self.parts[part].read(from - first..end - first, &mut part_scratch)?;
                let target = &mut room[(from - range.start) as usize..(end - range.start) as usize];
                bytemuck::cast_slice_mut::<T, u8>(target).copy_from_slice(values.bytes());
                from = end;
                part += 1;
            }
            Ok(<T as crate::input::Element>::wrap(room))
        })
    }
}

impl Source for Concat {
    fn name(&self) -> &str {
        &self.name
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn is_scattered_cheap(&self) -> bool {
        self.parts.iter().all(|part| part.is_scattered_cheap())
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        assert!(range.start <= range.end && range.end <= self.len(), "{range:?} passes the {} elements", self.len());
        let part = self.ends.partition_point(|&end| end <= range.start);
        match self.parts.get(part) {
            Some(source) if range.end <= self.ends[part] => {
                let first = self.ends[part] - source.len();
                source.read(range.start - first..range.end - first, scratch)
            }
            _ => self.gather(range, scratch),
        }
    }

    fn check(&self) -> Result<(), JobError> {
        self.parts.iter().try_for_each(|part| part.check())
    }

    fn decoding_ns(&self) -> f64 {
        self.parts.iter().map(|part| part.decoding_ns()).fold(0.0, f64::max)
    }

    fn identity(&self) -> Option<u64> {
        self.identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Element, InMemory};

    fn source(name: &str, values: &[i32]) -> Arc<dyn Source> {
        Arc::new(InMemory::new(name, values.to_vec()))
    }

    #[test]
    fn every_range_of_the_whole_is_that_range_of_the_values_in_a_row() {
        let parts = [&[1, 2, 3][..], &[], &[4], &[], &[], &[5, 6], &[]];
        let flat = parts.concat();
        let whole = concat(parts.iter().map(|values| source("part", values)).collect()).unwrap();
        assert_eq!(whole.len(), flat.len() as u64);
        let mut scratch = Scratch::default();
        for start in 0..=flat.len() {
            for end in start..=flat.len() {
                let read = whole.read(start as u64..end as u64, &mut scratch).unwrap();
                assert_eq!(i32::unwrap(&read), Some(&flat[start..end]), "{start}..{end}");
            }
        }
    }

    #[test]
    fn sources_of_two_types_are_refused_by_name() {
        let other: Arc<dyn Source> = Arc::new(InMemory::new("b.npy", vec![1.0_f64]));
        let error = concat(vec![source("a.npy", &[1]), source("c.npy", &[1]), other]).unwrap_err().message;
        assert!(error.contains("a.npy holds i32") && error.contains("b.npy holds f64"), "{error}");
        assert!(concat(Vec::new()).is_err());
    }

    #[test]
    fn one_source_stays_itself() {
        let one = source("a", &[1]);
        assert!(Arc::ptr_eq(&concat(vec![Arc::clone(&one)]).unwrap(), &one));
    }
}
