//! Are these numbers prime? The kernel over a list of numbers; its unit is one number.

use std::ops::Range;
use std::sync::Arc;

use crate::input::{Element, Source};
use crate::job::JobError;
use crate::kernels::primes::list::as_u64;
use crate::kernels::primes::lists::ListsKernel;
use crate::kernels::primes::primality::Batch;
use crate::kernels::primes::{BitPieces, Numbers, NumbersAnswer, cost, gpu, primality};
use crate::kernels::{DynKernel, FoldContext, GpuCaps, GpuWork, Kernel, Next, Work};

/// What of a list of numbers is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NumbersMode {
    /// Of each number whether it is prime.
    #[default]
    Each,
    /// How many are prime.
    Count,
    /// Those that are prime.
    List,
}

/// What a chunk of either kernel of primes folds to.
#[derive(Debug, Default)]
pub struct PrimesPartial {
    /// How many primes are in the chunk.
    pub prime_count: u64,
    /// Where they are; empty where only their count is asked for.
    pub bits: BitPieces,
}

impl PrimesPartial {
    /// The partial of a chunk where only the count is asked for.
    pub fn of_count(prime_count: u64) -> Self {
        Self { prime_count, bits: BitPieces::default() }
    }

    /// The partial of a chunk whose bits are `words`, from the word of the job's sequence `first_word` on; a bit that is no
    /// element of the job must be 0.
    pub fn of_words(first_word: u64, words: Vec<u64>) -> Self {
        let mut partial = Self::default();
        partial.push(first_word, words);
        partial
    }

    /// Adds words to the partial; see [`PrimesPartial::of_words`].
    pub fn push(&mut self, first_word: u64, words: Vec<u64>) {
        self.prime_count += count_ones(&words);
        self.bits.push(first_word, words);
    }

    pub(super) fn merge(&mut self, from: Self) {
        self.prime_count += from.prime_count;
        self.bits.merge(from.bits);
    }
}

#[inline(always)]
pub(super) fn count_ones(words: &[u64]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

/// The one pass of a list of numbers.
#[derive(Clone, Copy, Debug)]
pub struct NumbersPass;

/// A job over a list of numbers. Unit `i` is number `i`; bit `i % 64` of word `i / 64` of its [`PrimesPartial`] says whether
/// it is prime, and chunks begin at multiples of 64 units.
#[derive(Clone, Debug)]
pub struct NumbersKernel {
    list: Numbers,
    words: Arc<dyn Source>,
    mode: NumbersMode,
    prior_ns_per_unit: f64,
}

/// The numbers that are read at a time: 64 KiB.
const STRIDE: u64 = 1 << 13;
/// The words of bits that make a piece: of half a million numbers.
const PIECE_WORDS: usize = 1 << 13;

impl NumbersKernel {
    /// The job over `numbers`.
    ///
    /// # Errors
    /// Where their source holds no integers.
    pub fn new(numbers: impl Into<Numbers>, mode: NumbersMode) -> Result<Self, JobError> {
        let list = numbers.into();
        let words = as_u64(list.source())?;
        let prior_ns_per_unit = cost::ns_per_number(&*words);
        Ok(Self { list, words, mode, prior_ns_per_unit })
    }

    /// The job over a list that was looked at before.
    pub(super) fn known(list: Numbers, words: Arc<dyn Source>, mode: NumbersMode, prior_ns_per_unit: f64) -> Self {
        Self { list, words, mode, prior_ns_per_unit }
    }

    /// What this job ends with whose bits are `words`, of which the last ends with zeros past its last number.
    pub(super) fn answer_of_words(&self, words: Vec<u64>) -> Result<NumbersAnswer, JobError> {
        let partial = self.partial_of_words(0, words);
        self.answer(partial)
    }

    fn answer(&self, whole: PrimesPartial) -> Result<NumbersAnswer, JobError> {
        let words = if self.mode == NumbersMode::Count { 0 } else { self.words.len().div_ceil(64) };
        let bits = whole.bits.into_set(words)?;
        Ok(NumbersAnswer::new(self.list.clone(), self.mode, whole.prime_count, bits))
    }

    /// The numbers as `u64`, negative ones as 0: what a GPU uploads.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.words
    }

    /// What is asked for.
    pub fn mode(&self) -> NumbersMode {
        self.mode
    }

    /// The partial of the units from `first_unit`, a multiple of 64, on, whose bits are `words`. A bit past the last number
    /// must be 0.
    pub fn partial_of_words(&self, first_unit: u64, words: Vec<u64>) -> PrimesPartial {
        match self.mode {
            NumbersMode::Count => PrimesPartial::of_count(count_ones(&words)),
            NumbersMode::Each | NumbersMode::List => PrimesPartial::of_words(first_unit / 64, words),
        }
    }
}

impl Kernel for NumbersKernel {
    type Pass = NumbersPass;
    type Partial = PrimesPartial;

    fn work(&self) -> Work {
        Work {
            kernel: "primes",
            variant: "numbers".to_owned(),
            units: self.words.len(),
            granularity: 64,
            bytes_per_unit: 8.0,
            bytes_out_per_unit: if self.mode == NumbersMode::Count { 0.0 } else { 0.125 },
            prior_ns_per_unit: self.prior_ns_per_unit,
            passes: 1,
            gpu: gpu::NUMBERS,
        }
    }

    fn first_pass(&self) -> Result<NumbersPass, JobError> {
        Ok(NumbersPass)
    }

    fn fold(
        &self,
        _: &NumbersPass,
        units: Range<u64>,
        context: &mut FoldContext<'_>,
    ) -> Result<PrimesPartial, JobError> {
        let mut partial = PrimesPartial::default();
        let mut first_unit = units.start;
        let mut words = Vec::new();
        // Numbers go on waiting for others of their size from one stride to the next.
        let mut batch = (!primality::is_short(units.end - units.start))
            .then(|| Batch::new(context.isa, (units.end - units.start).min(STRIDE) as usize));
        let mut start = units.start;
        while start < units.end {
            let end = units.end.min(start + STRIDE);
            let values = self.words.read(start..end, context.scratch)?;
            let numbers = u64::unwrap(&values).expect("the source is of u64");
            if let ([number], []) = (numbers, &words[..]) {
                // The smallest jobs come by the million: no vector for one bit.
                let prime = u64::from(primality::is_prime(*number));
                partial.prime_count += prime;
                if self.mode != NumbersMode::Count {
                    partial.bits.push_one(start / 64, prime);
                }
                break;
            }
            let filled = words.len();
            words.resize(filled + numbers.len().div_ceil(64), 0);
            match &mut batch {
                Some(batch) => batch.add(numbers, filled as u64 * 64, &mut words),
                None => primality::test_each(context.isa, numbers, &mut words),
            }
            if words.len() >= PIECE_WORDS || end == units.end {
                if let Some(batch) = &mut batch {
                    batch.finish(&mut words);
                }
                partial.merge(self.partial_of_words(first_unit, std::mem::take(&mut words)));
                first_unit = end;
            }
            start = end;
        }
        Ok(partial)
    }

    fn merge(&self, into: &mut PrimesPartial, from: PrimesPartial) {
        into.merge(from);
    }

    fn next(&self, _: &NumbersPass, merged: PrimesPartial) -> Result<Next<NumbersPass>, JobError> {
        Ok(Next::Done(Box::new(self.answer(merged)?)))
    }

    fn gpu_work(&self, _: &NumbersPass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        gpu::numbers_work(self, units, caps)
    }

    fn gpu_partial(&self, _: &NumbersPass, units: Range<u64>, outputs: &[Vec<u32>]) -> Result<PrimesPartial, JobError> {
        gpu::numbers_partial(self, units, outputs)
    }

    fn fuses(&self) -> bool {
        true
    }

    fn fuse(jobs: &[&Self]) -> Option<Arc<dyn DynKernel>> {
        Some(Arc::new(ListsKernel::new(jobs)))
    }

    fn inputs(&self) -> Vec<Arc<dyn Source>> {
        vec![self.words.clone()]
    }

    fn check_inputs(&self) -> Result<(), JobError> {
        self.words.check()
    }
}
