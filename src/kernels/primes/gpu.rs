//! The GPU side of both kernels of primes: what `shaders/primes_numbers.wgsl` and `shaders/primes_range.wgsl` are asked to do, and
//! what their words mean.

use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::job::{Cause, JobError};
use crate::kernels::primes::base_primes::BasePrimes;
use crate::kernels::primes::effort::effort;
use crate::kernels::primes::sieve::mask_to_range;
use crate::kernels::primes::wheel::NUMBERS_PER_WORD;
use crate::kernels::primes::{NumbersKernel, NumbersMode, PrimesPartial, RangeKernel, RangeMode, RangePass};
use crate::kernels::{Dispatch, GpuCaps, GpuInput, GpuStep, GpuWork, Integers, MAX_LOOP_TRIPS, Shader};

/// Whether lists of numbers have a GPU side.
pub(super) const NUMBERS: bool = true;
/// Whether ranges have one.
pub(super) const RANGE: bool = true;

/// The shaders of one form of integers.
struct Shaders {
    numbers: Shader,
    range: Shader,
}

static NATIVE64: LazyLock<Shaders> =
    LazyLock::new(|| Shaders::new("native64", include_str!("../../../shaders/wide_native64.wgsl")));
static LIMBS32: LazyLock<Shaders> =
    LazyLock::new(|| Shaders::new("limbs32", include_str!("../../../shaders/wide_limbs32.wgsl")));

impl Shaders {
    fn new(form: &str, wide: &str) -> Self {
        let compose = |name: &str, text: &str| {
            let primality = include_str!("../../../shaders/primality.wgsl");
            Shader::new(format!("primes {name} {form}"), [wide, primality, text].concat())
        };
        Self {
            numbers: compose("numbers", include_str!("../../../shaders/primes_numbers.wgsl")),
            range: compose("range", include_str!("../../../shaders/primes_range.wgsl")),
        }
    }

    fn of(integers: Integers) -> &'static Self {
        match integers {
            Integers::Native64 => &NATIVE64,
            Integers::Limbs32 => &LIMBS32,
        }
    }
}

/// Every shader of this kind.
pub(super) fn shaders() -> Vec<Shader> {
    [&NATIVE64, &LIMBS32].into_iter().flat_map(|form| [form.numbers.clone(), form.range.clone()]).collect()
}

/// The numbers that one workgroup sorts out.
const TILE: u32 = 512;
/// The loop trips of one strong test: Newton's, 2^64 modulo n, the base's bits, the exponent's bits, the squarings.
const TRIPS_PER_TEST: u32 = 4 + 65 + 32 + 64 + 64;
const LANES: u32 = 64;
/// The other bases that a number which passes base 2 is tested to, at most.
const OTHER_BASES: u32 = 6;
/// The bits that one workgroup of the range tests.
const TESTED_BITS: u32 = 1024;

/// How a piece of a list is laid out: enough for a device to be full of tests, though a quarter of the numbers is hard, and small enough
/// that a dispatch takes a fraction of a second wherever it runs.
struct Pieces {
    numbers_max: u32,
    /// Tests in turn that an invocation makes where every number is hard. Usually few are, and it makes one or none.
    tests_max: u32,
}

impl Pieces {
    /// The pieces of a chunk at most: each has three dispatches.
    const COUNT_MAX: u64 = 1 << 12;
    /// For software adapters, to which each workgroup is an expense.
    const CONTIGUOUS: Self = Self { numbers_max: 1 << 15, tests_max: 64 };
    const USUAL: Self = Self { numbers_max: 1 << 20, tests_max: 8 };

    fn of(caps: &GpuCaps) -> &'static Self {
        if caps.contiguous { &Self::CONTIGUOUS } else { &Self::USUAL }
    }

    /// Workgroups for so many tests at most.
    fn workgroups(&self, tests: u32) -> u32 {
        tests.div_ceil(LANES * self.tests_max)
    }
}

const _: () = assert!(TILE / LANES * 20 + TILE / LANES < MAX_LOOP_TRIPS);
const _: () = assert!(Pieces::CONTIGUOUS.tests_max * (TRIPS_PER_TEST + 1) < MAX_LOOP_TRIPS);
const _: () = assert!(Pieces::USUAL.tests_max * (TRIPS_PER_TEST + 1) < MAX_LOOP_TRIPS);
// An invocation tests its share of a workgroup's bits to base 2, and the six other bases.
const _: () = assert!(TESTED_BITS / LANES * (7 * TRIPS_PER_TEST + 20) < MAX_LOOP_TRIPS);

/// The odd primes from 3 to 61 as the shader divides by them: the inverse modulo 2^64, and the greatest quotient.
static TRIAL_TABLE: LazyLock<Arc<[u32]>> = LazyLock::new(|| {
    let primes = [3u64, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61];
    let words = primes.into_iter().flat_map(|p| {
        let inverse =
            (0..5).fold(p, |inverse: u64, _| inverse.wrapping_mul(2u64.wrapping_sub(p.wrapping_mul(inverse))));
        [inverse, u64::MAX / p].into_iter().flat_map(halves)
    });
    words.collect()
});

fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

/// How a GPU tests the numbers `units`.
pub(super) fn numbers_work(
    kernel: &NumbersKernel,
    units: Range<u64>,
    caps: &GpuCaps,
) -> Result<Option<GpuWork>, JobError> {
    let pieces = Pieces::of(caps);
    let count = units.end - units.start;
    let piece = caps.piece_elements(count, 8).min(u64::from(pieces.numbers_max));
    let piece = piece.next_multiple_of(u64::from(TILE)).min(u64::from(pieces.numbers_max));
    // Indices are u32, with room to spare.
    if count.div_ceil(piece) > Pieces::COUNT_MAX || count > 1 << 31 {
        return Ok(None);
    }
    let (count, piece) = (count as u32, piece as u32);
    // Two lengths a piece; two lists, which the pieces have in turn; then the bits.
    let hard_at = count.div_ceil(piece) * 2;
    let strong_at = hard_at + piece.min(count);
    let bits_at = strong_at + piece.min(count);
    let mut dispatches = Vec::new();
    for (number, first) in (0..count).step_by(piece as usize).enumerate() {
        let end = count.min(first + piece);
        let tests = end - first;
        for (entry, workgroups) in [
            ("sort_out", tests.div_ceil(TILE)),
            ("test", pieces.workgroups(tests)),
            ("prove", pieces.workgroups(tests * OTHER_BASES)),
        ] {
            let params = vec![count, first, end, number as u32 * 2, hard_at, strong_at, bits_at];
            dispatches.push(Dispatch { entry: entry.into(), workgroups, params, input_end: u64::from(end) });
        }
    }
    let step = GpuStep {
        shader: Shaders::of(caps.integers).numbers.clone(),
        input: Some(GpuInput { source: kernel.source().clone(), range: units }),
        output_words: u64::from(bits_at) + u64::from(count.div_ceil(TILE)) * u64::from(TILE / 32),
        scratch_words: u64::from(bits_at),
        zeroed: true,
        table: TRIAL_TABLE.clone(),
        dispatches,
    };
    Ok(Some(GpuWork::trusted(vec![step])))
}

/// What it found.
pub(super) fn numbers_partial(
    kernel: &NumbersKernel,
    units: Range<u64>,
    outputs: &[Vec<u32>],
) -> Result<PrimesPartial, JobError> {
    let count = units.end - units.start;
    let [output] = outputs else { return Err(nonsense(&units)) };
    let mut words = whole_words(output);
    if words.len() as u64 != count.div_ceil(u64::from(TILE)) * u64::from(TILE / 64) {
        return Err(nonsense(&units));
    }
    // Past the last number there is none, so no bit either.
    let tail = words.split_off(count.div_ceil(64) as usize);
    let past_end = words.last().map_or(0, |last| if count.is_multiple_of(64) { 0 } else { last >> (count % 64) });
    if past_end != 0 || tail.iter().any(|&word| word != 0) {
        return Err(nonsense(&units));
    }
    let partial = PrimesPartial::of_words(units.start / 64, words);
    Ok(match kernel.mode() {
        NumbersMode::Count => PrimesPartial::of_count(partial.prime_count),
        NumbersMode::Each | NumbersMode::List => partial,
    })
}

fn whole_words(halves: &[u32]) -> Vec<u64> {
    halves.chunks_exact(2).map(|pair| u64::from(pair[1]) << 32 | u64::from(pair[0])).collect()
}

fn nonsense(units: &Range<u64>) -> JobError {
    JobError::new(Cause::DeviceLost, format!("primes: what came back for the units {units:?} is no answer"))
}

/// Primes up to this cross off in workgroup memory; it is that memory's size in bytes.
const SEGMENT_BYTES: u64 = 1 << 13;
/// The `u32` words of a segment.
const SEGMENT_WORDS: u32 = 2048;
/// Primes up to this always cross off: tests begin at the square of the next one.
const LIMIT_MIN: u64 = 66;
/// Primes past this are not worth bringing to a block's start. The shader takes them below 2^24.
const LIMIT_MAX: u64 = 1 << 22;
/// The words of bits that one workgroup tests, or counts.
const TESTED_WORDS: u32 = TESTED_BITS / 32;
const COUNTED_WORDS: u32 = 1024;
/// More blocks than this are not built: the chunk is too large.
const BLOCKS_MAX: u64 = 1 << 12;

/// Units of a block: a dispatch sieves one. Smaller on software adapters, whose every dispatch takes its time.
fn block_units(caps: &GpuCaps) -> u64 {
    if caps.contiguous { 1 << 15 } else { 1 << 19 }
}

// A prime past a segment hits every residue of the largest block so often at most.
const _: () = assert!((8 << 19) / SEGMENT_BYTES < MAX_LOOP_TRIPS as u64);

/// The primes up to `limit`, as one table that devices remember by its place.
fn prime_table(limit: u64) -> Arc<[u32]> {
    static LAST: Mutex<Option<(u64, Arc<[u32]>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((kept, table)) if *kept == limit => table.clone(),
        _ => {
            let table: Arc<[u32]> = BasePrimes::up_to(limit).below_or_at(limit).into();
            last.insert((limit, table)).1.clone()
        }
    }
}

/// How a GPU sieves the words `units` of a range.
pub(super) fn range_work(
    kernel: &RangeKernel,
    _: &RangePass,
    units: Range<u64>,
    caps: &GpuCaps,
) -> Result<Option<GpuWork>, JobError> {
    let count = units.end - units.start;
    let per_block = block_units(caps);
    let numbers = (count as f64) * NUMBERS_PER_WORD as f64;
    let limit = effort(numbers, kernel.range().len() as f64, kernel.range().end()).limit.clamp(LIMIT_MIN, LIMIT_MAX);
    let table = prime_table(limit);
    let layout = BlockLayout::of(kernel.mode(), count, per_block);
    let mut dispatches = Vec::new();
    // A chunk of too many blocks has an output past every binding, which the device refuses.
    if count.div_ceil(per_block) <= BLOCKS_MAX {
        for first_unit in units.clone().step_by(per_block as usize) {
            let block = first_unit..units.end.min(first_unit + per_block);
            let offset = first_unit - units.start;
            add_block(&mut dispatches, kernel, block, &layout, offset, &table, limit);
        }
    }
    let step = GpuStep {
        shader: Shaders::of(caps.integers).range.clone(),
        input: None,
        output_words: layout.output_words,
        scratch_words: layout.scratch_words,
        zeroed: false,
        table,
        dispatches,
    };
    Ok(Some(GpuWork::trusted(vec![step])))
}

/// Where blocks put their bits and counts: lists keep the bits of all, counts sieve one block after the other in the same
/// scratch words and keep a count for every [`COUNTED_WORDS`].
struct BlockLayout {
    counting: bool,
    counts_per_block: u64,
    per_block: u64,
    scratch_words: u64,
    output_words: u64,
}

impl BlockLayout {
    fn of(mode: RangeMode, count: u64, per_block: u64) -> Self {
        let counting = mode == RangeMode::Count;
        let counts_per_block = (per_block * 2).div_ceil(u64::from(COUNTED_WORDS));
        let blocks = count.div_ceil(per_block);
        let (scratch_words, kept_words) = if !counting {
            (0, count.saturating_mul(2))
        } else if blocks > BLOCKS_MAX {
            (0, u64::MAX)
        } else {
            let last = count - per_block * (blocks.max(1) - 1);
            let counts = blocks.saturating_sub(1) * counts_per_block + (last * 2).div_ceil(u64::from(COUNTED_WORDS));
            (per_block.min(count) * 2, counts)
        };
        let output_words = scratch_words.saturating_add(kept_words);
        Self { counting, counts_per_block, per_block, scratch_words, output_words }
    }
}

/// The dispatches of one block.
fn add_block(
    dispatches: &mut Vec<Dispatch>,
    kernel: &RangeKernel,
    block: Range<u64>,
    layout: &BlockLayout,
    offset: u64,
    table: &[u32],
    limit: u64,
) {
    let range = kernel.range();
    let first_word = kernel.first_word() + block.start;
    let units = block.end - block.start;
    let mask = |word: u64| {
        let mut bits = [u64::MAX];
        mask_to_range(word, &mut bits, range.start(), range.end());
        halves(bits[0])
    };
    let words = (units * 2) as u32;
    let (words_at, counts_at) = if layout.counting {
        (0, layout.scratch_words + offset / layout.per_block * layout.counts_per_block)
    } else {
        (offset * 2, 0)
    };
    let (first_mask, last_mask) = (mask(first_word), mask(first_word + units - 1));
    let mut dispatch = |entry: &'static str, workgroups: u32, primes: Range<usize>| {
        let [byte_low, byte_high] = halves(first_word * 8);
        let params = vec![
            byte_low,
            byte_high,
            words,
            words_at as u32,
            primes.start as u32,
            primes.end as u32,
            counts_at as u32,
            first_mask[0],
            first_mask[1],
            last_mask[0],
            last_mask[1],
        ];
        dispatches.push(Dispatch { entry: entry.into(), workgroups, params, input_end: 0 });
    };
    // The wheel leaves out 2, 3 and 5.
    let small_end = table.partition_point(|&p| u64::from(p) <= SEGMENT_BYTES);
    dispatch("sieve", words.div_ceil(SEGMENT_WORDS), small_end.min(3)..small_end);
    let end_number = u128::from(first_word + units) * u128::from(NUMBERS_PER_WORD);
    // Larger primes have nothing of their own to cross off here.
    let reach = table.partition_point(|&p| u128::from(p) * u128::from(p) < end_number).max(small_end);
    const PRIMES_PER_DISPATCH: usize = 1 << 15;
    for first in (small_end..reach).step_by(PRIMES_PER_DISPATCH) {
        let primes = first..reach.min(first + PRIMES_PER_DISPATCH);
        dispatch("cross_off", (primes.len() as u32 * 8).div_ceil(LANES), primes);
    }
    if end_number > u128::from(limit + 1) * u128::from(limit + 1) {
        dispatch("test", words.div_ceil(TESTED_WORDS), 0..0);
    }
    if layout.counting {
        dispatch("count", words.div_ceil(COUNTED_WORDS), 0..0);
    }
}

/// What it found.
pub(super) fn range_partial(
    kernel: &RangeKernel,
    _: &RangePass,
    units: Range<u64>,
    outputs: &[Vec<u32>],
) -> Result<PrimesPartial, JobError> {
    let count = units.end - units.start;
    let [output] = outputs else { return Err(nonsense(&units)) };
    match kernel.mode() {
        RangeMode::Count => {
            let prime_count = output.iter().map(|&count| u64::from(count)).sum();
            // A count that nobody wrote is greater than there are numbers on the wheel.
            if output.iter().any(|&count| count > COUNTED_WORDS * 32) || prime_count > count * 64 {
                return Err(nonsense(&units));
            }
            Ok(PrimesPartial::of_count(prime_count))
        }
        RangeMode::List if output.len() as u64 == count * 2 => {
            Ok(kernel.partial_of_words(units.start, whole_words(output)))
        }
        RangeMode::List => Err(nonsense(&units)),
    }
}

#[cfg(all(test, feature = "gpu"))]
mod tests;
