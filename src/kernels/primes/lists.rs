//! Several lists of numbers as one: what each of them alone is too small for, a GPU's fixed costs, they pay once.
//!
//! A list after a list is a list. Each begins at a multiple of 64 units, so that the bits of the whole, word by word, are those of the
//! lists; the gaps are filled with zeros, which are no primes.

use std::ops::Range;
use std::sync::Arc;

use crate::input::{DType, Element, Scratch, Source, Values};
use crate::job::JobError;
use crate::kernels::primes::{Numbers, NumbersKernel, NumbersMode, NumbersPass, PrimesPartial};
use crate::kernels::{Answer, Answers, FoldContext, GpuCaps, GpuWork, Kernel, Next, Work};

/// The units of a word of bits.
const UNITS_PER_WORD: u64 = 64;

/// A job over several lists of numbers, whose answer is [`Answers`]. What each list's job asks for is its own affair: here the bits of all
/// numbers are found.
#[derive(Debug)]
pub(super) struct ListsKernel {
    jobs: Vec<NumbersKernel>,
    whole: NumbersKernel,
}

impl ListsKernel {
    pub fn new(jobs: &[&NumbersKernel]) -> Self {
        let jobs: Vec<NumbersKernel> = jobs.iter().map(|job| (*job).clone()).collect();
        let lists = jobs.iter().map(|job| Arc::clone(job.source())).collect();
        let source: Arc<dyn Source> = Arc::new(Joined::new(lists));
        let (ns, units) = jobs
            .iter()
            .map(Kernel::work)
            .fold((0.0, 0), |(ns, units), work| (ns + work.prior_ns_per_unit * work.units as f64, units + work.units));
        let prior_ns_per_unit = if units == 0 { 1.0 } else { ns / units as f64 };
        let list = Numbers::of_source(Arc::clone(&source));
        Self { jobs, whole: NumbersKernel::known(list, source, NumbersMode::Each, prior_ns_per_unit) }
    }
}

impl Kernel for ListsKernel {
    type Pass = NumbersPass;
    type Partial = PrimesPartial;

    fn work(&self) -> Work {
        Kernel::work(&self.whole)
    }

    fn first_pass(&self) -> Result<NumbersPass, JobError> {
        Kernel::first_pass(&self.whole)
    }

    fn fold(
        &self,
        pass: &NumbersPass,
        units: Range<u64>,
        context: &mut FoldContext<'_>,
    ) -> Result<PrimesPartial, JobError> {
        Kernel::fold(&self.whole, pass, units, context)
    }

    fn merge(&self, into: &mut PrimesPartial, from: PrimesPartial) {
        into.merge(from);
    }

    fn next(&self, _: &NumbersPass, merged: PrimesPartial) -> Result<Next<NumbersPass>, JobError> {
        let words = Kernel::work(&self.whole).units.div_ceil(UNITS_PER_WORD);
        let bits = merged.bits.into_set(words)?;
        let mut reader = bits.reader();
        let mut read = Vec::with_capacity(words as usize);
        while let Some((_, words)) =
            reader.next_block().map_err(|error| JobError::io("temporary file for a long answer", &error))?
        {
            read.extend_from_slice(words);
        }
        let mut rest = &read[..];
        let answers = self.jobs.iter().map(|job| {
            let (own, others) = rest.split_at(words_of(job.source().len()) as usize);
            rest = others;
            let answer: Arc<dyn Answer> = Arc::new(job.answer_of_words(own.to_vec())?);
            Ok(answer)
        });
        let answers = answers.collect::<Result<_, JobError>>()?;
        Ok(Next::Done(Box::new(Answers(answers))))
    }

    fn gpu_work(&self, pass: &NumbersPass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        Kernel::gpu_work(&self.whole, pass, units, caps)
    }

    fn gpu_partial(
        &self,
        pass: &NumbersPass,
        units: Range<u64>,
        outputs: &[Vec<u32>],
    ) -> Result<PrimesPartial, JobError> {
        Kernel::gpu_partial(&self.whole, pass, units, outputs)
    }

    fn inputs(&self) -> Vec<Arc<dyn Source>> {
        Kernel::inputs(&self.whole)
    }

    fn check_inputs(&self) -> Result<(), JobError> {
        Kernel::check_inputs(&self.whole)
    }
}

fn words_of(units: u64) -> u64 {
    units.div_ceil(UNITS_PER_WORD)
}

/// Lists of `u64` one after the other, each from a multiple of 64 on.
#[derive(Debug)]
struct Joined {
    lists: Vec<Arc<dyn Source>>,
    /// Where each begins.
    starts: Vec<u64>,
    len: u64,
}

impl Joined {
    fn new(lists: Vec<Arc<dyn Source>>) -> Self {
        let mut len = 0;
        let mut starts = Vec::with_capacity(lists.len());
        for list in &lists {
            starts.push(len);
            len += words_of(list.len()) * UNITS_PER_WORD;
        }
        Self { lists, starts, len }
    }
}

impl Source for Joined {
    fn name(&self) -> &str {
        "numbers"
    }

    fn dtype(&self) -> DType {
        DType::U64
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} is within {}", self.len);
        let words = scratch.slice_mut::<u64>((range.end - range.start) as usize);
        words.fill(0);
        let mut own = Scratch::default();
        let first = self.starts.partition_point(|&start| start <= range.start).saturating_sub(1);
        for (list, &start) in self.lists.iter().zip(&self.starts).skip(first) {
            if start >= range.end {
                break;
            }
            let from = range.start.max(start);
            let end = range.end.min(start + list.len());
            if from < end {
                let values = list.read(from - start..end - start, &mut own)?;
                let values = u64::unwrap(&values).expect("lists are read as u64");
                words[(from - range.start) as usize..(end - range.start) as usize].copy_from_slice(values);
            }
        }
        Ok(Values::U64(words))
    }

    fn check(&self) -> Result<(), JobError> {
        self.lists.iter().try_for_each(|list| list.check())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::InMemory;

    fn joined(lengths: &[u64]) -> (Joined, Vec<u64>) {
        let (mut lists, mut expected): (Vec<Arc<dyn Source>>, Vec<u64>) = (Vec::new(), Vec::new());
        for (at, &len) in (1..).zip(lengths) {
            let numbers: Vec<u64> = (0..len).map(|number| at * 1000 + number).collect();
            expected.extend(&numbers);
            expected.resize(expected.len().next_multiple_of(64), 0);
            lists.push(Arc::new(InMemory::new("list", numbers)));
        }
        (Joined::new(lists), expected)
    }

    #[test]
    fn lists_one_after_the_other_read_the_same_wherever_they_are_cut() {
        let (joined, expected) = joined(&[3, 64, 0, 65, 1, 0, 130, 0]);
        assert_eq!(joined.len(), expected.len() as u64);
        let mut scratch = Scratch::default();
        for start in 0..=joined.len() {
            for end in [start, start + 1, start + 63, start + 64, start + 200, joined.len()] {
                let end = end.clamp(start, joined.len());
                // What lies in the scratch is not to be seen.
                scratch.slice_mut::<u64>(500).fill(u64::MAX);
                let values = joined.read(start..end, &mut scratch).unwrap();
                assert_eq!(u64::unwrap(&values).unwrap(), &expected[start as usize..end as usize], "{start}..{end}");
            }
        }
    }

    #[test]
    fn no_lists_are_an_empty_one() {
        let (joined, _) = joined(&[]);
        assert!(joined.is_empty() && joined.read(0..0, &mut Scratch::default()).unwrap().is_empty());
        assert!(ListsKernel::new(&[]).work().units == 0);
    }
}
