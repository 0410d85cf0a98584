//! The primes of a range: the kernel whose unit is one word of 240 numbers.

use std::ops::Range;
use std::sync::Arc;

use crate::job::JobError;
use crate::kernels::on_isa::on_isa;
use crate::kernels::primes::base_primes::BasePrimes;
use crate::kernels::primes::effort::{Effort, effort};
use crate::kernels::primes::numbers::count_ones;
use crate::kernels::primes::primality::Batch;
use crate::kernels::primes::sieve::{Sieve, mask_to_range};
use crate::kernels::primes::wheel::{NUMBERS_PER_WORD, WHEEL_PRIMES, offset_of_bit};
use crate::kernels::primes::{CombinatorialKernel, NumberRange, PrimesPartial, RangeAnswer, gpu};
use crate::kernels::{DynKernel, FoldContext, GpuCaps, GpuWork, Isa, Kernel, Next, Work};

/// What of a range is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RangeMode {
    /// How many primes it has.
    #[default]
    Count,
    /// The primes themselves.
    List,
}

/// The one pass over a range.
#[derive(Clone, Copy, Debug)]
pub struct RangePass;

/// A job over a range of numbers. Unit `i` is word [`RangeKernel::first_word`]` + i` of all numbers on the wheel of 30, 240
/// numbers a word: bit `8 * j + k` of word `w` stands for the number `240 * w + 30 * j + [1, 7, 11, 13, 17, 19, 23, 29][k]`.
///
/// The [`PrimesPartial`] of a chunk counts the bits of its words that stand for primes inside the range and, for
/// [`RangeMode::List`], holds the words, by unit. The primes 2, 3 and 5 have no bit: they are added at the end.
#[derive(Debug)]
pub struct RangeKernel {
    range: NumberRange,
    mode: RangeMode,
    first_word: u64,
    units: u64,
    granularity: u64,
    prior_ns_per_unit: f64,
    /// Whether they may be counted without finding them.
    is_combinatorial_too: bool,
}

/// Chunks of about this many units, a second's work, decide how short chunks may get.
const LONG_CHUNK_UNITS: u64 = 1 << 23;

/// Bringing the primes to the start of a chunk is to be this part of its work at most,
const START_PART: f64 = 1.0 / 16.0;
/// or, where chunks were then too few for all threads, this part.
const START_PART_MAX: f64 = 1.0 / 2.0;
const CHUNKS_MIN: u64 = 16;

/// Counting without finding is weighed where it is expected to take less than so many times as long: the model may know better.
const OTHER_WAY_MAX: f64 = 4.0;

impl RangeKernel {
    /// The job over `range`.
    pub fn new(range: NumberRange, mode: RangeMode) -> Self {
        let per_word = u128::from(NUMBERS_PER_WORD);
        let first_word = (range.start() / per_word) as u64;
        let units = if range.is_empty() { 0 } else { range.end().div_ceil(per_word) as u64 - first_word };
        let long = units.clamp(1, LONG_CHUNK_UNITS);
        let Effort { ns, start_ns, .. } = effort_of(range, long);
        let prior_ns_per_unit = ns / long as f64;
        let chunk_units = |part: f64| (start_ns / (prior_ns_per_unit * part)) as u64;
        let granularity = chunk_units(START_PART).min(units / CHUNKS_MIN).max(chunk_units(START_PART_MAX));
        let granularity = 1 << granularity.clamp(1 << 10, LONG_CHUNK_UNITS).ilog2();
        Self { range, mode, first_word, units, granularity, prior_ns_per_unit, is_combinatorial_too: false }
    }

    /// The same; where primes are only counted, they may be counted by a [`CombinatorialKernel`], if that is predicted to end earlier.
    pub fn or_combinatorial(self) -> Self {
        // Ranges are many and most are short: for those there is nothing to weigh.
        let sieve_ns = self.units as f64 * self.prior_ns_per_unit;
        let is_near = CombinatorialKernel::cost_ns(self.range) < OTHER_WAY_MAX * sieve_ns;
        Self { is_combinatorial_too: self.mode == RangeMode::Count && is_near, ..self }
    }

    /// The range.
    pub fn range(&self) -> NumberRange {
        self.range
    }

    /// What is asked for.
    pub fn mode(&self) -> RangeMode {
        self.mode
    }

    /// The word of unit 0.
    pub fn first_word(&self) -> u64 {
        self.first_word
    }

    /// The partial of the units from `first_unit` on whose words are `words`. Bits that stand for numbers outside the range
    /// are cleared here; the bit of 1 must be 0 already.
    pub fn partial_of_words(&self, first_unit: u64, words: Vec<u64>) -> PrimesPartial {
        let mut partial = PrimesPartial::default();
        self.add(&mut partial, first_unit, words);
        partial
    }

    fn add(&self, partial: &mut PrimesPartial, first_unit: u64, mut words: Vec<u64>) {
        mask_to_range(self.first_word + first_unit, &mut words, self.range.start(), self.range.end());
        match self.mode {
            RangeMode::Count => partial.prime_count += count_ones(&words),
            RangeMode::List => partial.push(first_unit, words),
        }
    }
}

/// How to sieve a chunk of this many units.
fn effort_of(range: NumberRange, units: u64) -> Effort {
    effort(units as f64 * NUMBERS_PER_WORD as f64, range.len() as f64, range.end())
}

impl Kernel for RangeKernel {
    type Pass = RangePass;
    type Partial = PrimesPartial;

    fn work(&self) -> Work {
        Work {
            kernel: "primes",
            variant: "range".to_owned(),
            units: self.units,
            granularity: self.granularity,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: if self.mode == RangeMode::List { 8.0 } else { 0.0 },
            prior_ns_per_unit: self.prior_ns_per_unit,
            passes: 1,
            gpu: gpu::RANGE,
        }
    }

    fn first_pass(&self) -> Result<RangePass, JobError> {
        Ok(RangePass)
    }

    fn method(&self) -> Option<&'static str> {
        Some("sieve")
    }

    fn other_way(&self) -> Option<Arc<dyn DynKernel>> {
        self.is_combinatorial_too.then(|| Arc::new(CombinatorialKernel::new(self.range)) as _)
    }

    fn fold(&self, _: &RangePass, units: Range<u64>, context: &mut FoldContext<'_>) -> Result<PrimesPartial, JobError> {
        let mut partial = PrimesPartial::default();
        if units.is_empty() {
            return Ok(partial);
        }
        let limit = effort_of(self.range, units.end - units.start).limit;
        let table = BasePrimes::up_to(limit);
        let words = self.first_word + units.start..self.first_word + units.end;
        Sieve::new(table.below_or_at(limit), words).on(context.isa).for_each_block(|first_word, block| {
            mask_to_range(first_word, block, self.range.start(), self.range.end());
            test_survivors(context.isa, first_word, block, limit);
            match self.mode {
                RangeMode::Count => partial.prime_count += on_isa!(context.isa, count_ones(block)),
                RangeMode::List => partial.push(first_word - self.first_word, block.to_vec()),
            }
        });
        Ok(partial)
    }

    fn merge(&self, into: &mut PrimesPartial, from: PrimesPartial) {
        into.merge(from);
    }

    fn next(&self, _: &RangePass, merged: PrimesPartial) -> Result<Next<RangePass>, JobError> {
        let wheel_primes = WHEEL_PRIMES.into_iter().filter(|&p| self.range.contains(p)).count() as u64;
        let words = if self.mode == RangeMode::List { self.units } else { 0 };
        let bits = merged.bits.into_set(words)?;
        let count = merged.prime_count + wheel_primes;
        Ok(Next::Done(Box::new(RangeAnswer::new(self.range, self.mode, self.first_word, count, bits))))
    }

    fn gpu_work(&self, pass: &RangePass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        gpu::range_work(self, pass, units, caps)
    }

    fn gpu_partial(
        &self,
        pass: &RangePass,
        units: Range<u64>,
        outputs: &[Vec<u32>],
    ) -> Result<PrimesPartial, JobError> {
        gpu::range_partial(self, pass, units, outputs)
    }
}

/// Clears the bits of composites that have no prime factor up to `limit`.
fn test_survivors(isa: Isa, first_word: u64, block: &mut [u64], limit: u64) {
    let proven = u128::from(limit + 1) * u128::from(limit + 1);
    if u128::from(first_word + block.len() as u64) * u128::from(NUMBERS_PER_WORD) <= proven {
        return;
    }
    let mut primes = vec![0u64; block.len()];
    // What is tested is above 256^2, as the least limit short of the root is 256.
    let mut batch = Batch::new(isa, count_ones(block) as usize);
    for (index, &word) in block.iter().enumerate() {
        let mut bits = word;
        while bits != 0 {
            let bit = bits.trailing_zeros();
            bits &= bits - 1;
            let number = (first_word + index as u64) * NUMBERS_PER_WORD + offset_of_bit(bit);
            let place = (index * 64) as u64 + u64::from(bit);
            if u128::from(number) < proven {
                primes[index] |= 1 << bit;
            } else {
                batch.push(number, place, &mut primes);
            }
        }
    }
    batch.finish(&mut primes);
    block.copy_from_slice(&primes);
}
