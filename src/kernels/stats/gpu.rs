//! The GPU side of `stats`: what `shaders/stats.wgsl` is asked to do for a chunk, and what its words mean. A step a column, up
//! to three kinds of dispatches over the same input, and one output: the counts of the digits, those of the bins, and a
//! record of moments for each workgroup.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use crate::input::DType;
use crate::job::{Cause, JobError};
use crate::kernels::stats::{
    Bins, ColumnPartial, ColumnPass, DigitCounts, Digits, Layout, Moments, SUPPORTED, StatsPartial,
};
use crate::kernels::stats::{StatsKernel, StatsPass};
use crate::kernels::{Dispatch, GpuCaps, GpuInput, GpuStep, GpuWork, Integers, MAX_LOOP_TRIPS, Shader};

/// Invocations of a workgroup.
const LANES: u32 = 256;
/// The elements of an invocation at most: its window has room for so many (see `shaders/element_*bit.wgsl`), and its loops are
/// far from the limit of trips, even where most elements cause carries.
const ELEMENTS_MAX: u32 = 1024;
/// An invocation takes elements by so many, and at least so many where there are enough.
const BATCH: u32 = 32;
/// An element that is shared takes at most three trips, in each of them three limbs, each with a carry, and then there is its part
/// of moving a window.
const SHARING_TRIPS: u32 = 3 * (1 + 3) + 2;
const _: () = assert!(ELEMENTS_MAX * (1 + SHARING_TRIPS) < MAX_LOOP_TRIPS);
/// Counts that a workgroup holds in its own memory.
const TALLY_CELLS: u64 = 2048;
/// The rows of a chunk at most: indices of elements, and counts, are `u32` with room to spare.
const ROWS_MAX: u64 = 1 << 31;
/// Words of a record before its limbs.
const RECORD_HEAD: usize = 8;

/// The words of 32 bits of what a workgroup sums: at most 2^18 elements, so less than the chunk's own sums.
struct Limbs {
    sum: usize,
    squares: usize,
}

impl Limbs {
    const fn of(dtype: DType) -> Self {
        // What an invocation hands over of a sum: where the part of the highest window begins, and 64 bits. Of squares, the largest
        // (as in `Layout`).
        let (sum_bits, squares_bits) = match dtype {
            DType::F32 => (230 + 64, 506 + 48),
            DType::F64 => (2020 + 52 + 64, 4090 + 106),
            DType::I32 | DType::U32 => (64, 64),
            _ => (52 + 64, 128),
        };
        let (lane_bits, count_bits) = (LANES.ilog2() as usize, (ELEMENTS_MAX * LANES).ilog2() as usize);
        Self { sum: (sum_bits + lane_bits).div_ceil(32), squares: (squares_bits + count_bits).div_ceil(32) }
    }

    const fn record_words(&self) -> usize {
        RECORD_HEAD + 2 * self.sum + self.squares
    }
}

/// The shader of each supported type, in their order, for both forms of integers.
static SHADERS: LazyLock<Vec<[Shader; 2]>> = LazyLock::new(|| {
    SUPPORTED.iter().map(|layout| [Integers::Native64, Integers::Limbs32].map(|form| compose(layout, form))).collect()
});

fn compose(layout: &Layout, integers: Integers) -> Shader {
    let limbs = Limbs::of(layout.dtype);
    let (least, greatest) = layout.valid_keys;
    let constants = format!(
        "const FLOAT: bool = {};\nconst VALID_LEAST_LOW: u32 = {}u;\nconst VALID_LEAST_HIGH: u32 = {}u;\n\
         const VALID_GREATEST_LOW: u32 = {}u;\nconst VALID_GREATEST_HIGH: u32 = {}u;\n\
         const SUM_LIMBS: u32 = {}u;\nconst SQUARES_LIMBS: u32 = {}u;\n",
        layout.float,
        least as u32,
        least >> 32,
        greatest as u32,
        greatest >> 32,
        limbs.sum,
        limbs.squares,
    );
    let (form, wide) = match integers {
        Integers::Native64 => ("native64", include_str!("../../../shaders/wide_native64.wgsl")),
        Integers::Limbs32 => ("limbs32", include_str!("../../../shaders/wide_limbs32.wgsl")),
    };
    let width = match layout.key_bits {
        32 => include_str!("../../../shaders/element_32bit.wgsl"),
        _ => include_str!("../../../shaders/element_64bit.wgsl"),
    };
    let element = match layout.dtype {
        DType::F32 => include_str!("../../../shaders/element_f32.wgsl"),
        DType::F64 => include_str!("../../../shaders/element_f64.wgsl"),
        DType::I32 => include_str!("../../../shaders/element_i32.wgsl"),
        DType::I64 => include_str!("../../../shaders/element_i64.wgsl"),
        DType::U32 => include_str!("../../../shaders/element_u32.wgsl"),
        DType::U64 => include_str!("../../../shaders/element_u64.wgsl"),
        DType::I8 | DType::I16 | DType::U8 | DType::U16 => unreachable!("there is no layout of these types"),
    };
    let sum = include_str!("../../../shaders/exact_sum.wgsl");
    let stats = include_str!("../../../shaders/stats.wgsl");
    Shader::new(
        format!("stats {} {form}", layout.dtype),
        [constants.as_str(), wide, sum, width, element, stats].concat(),
    )
}

/// Every shader of this kind.
pub(super) fn shaders() -> Vec<Shader> {
    SHADERS.iter().flatten().cloned().collect()
}

fn shader(layout: &Layout, integers: Integers) -> Option<Shader> {
    let [native64, limbs32] = &SHADERS[SUPPORTED.iter().position(|supported| supported == layout)?];
    Some(match integers {
        Integers::Native64 => native64.clone(),
        Integers::Limbs32 => limbs32.clone(),
    })
}

/// How a chunk of a column is cut into workgroups, and where in its output everything lies.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    count: u32,
    per_invocation: u32,
    groups: u32,
    /// Of the digits, and of the bins: the partial's table and one cell more, or none.
    digits_len: usize,
    bins_len: usize,
    /// 0 where the pass gathers no moments.
    record_words: usize,
}

impl Cut {
    /// The cut of `units` elements. The partial need not know it: it finds the records by their length.
    fn of(layout: &Layout, pass: &ColumnPass, units: u64, preferred_groups: u32) -> Self {
        let count = units.min(ROWS_MAX) as u32;
        let keys_max = pass
            .digits
            .iter()
            .map(|digits| digits.ranges.len())
            .chain(pass.bins.iter().map(|bins| bins.starts.len()))
            .max()
            .unwrap_or(0);
        // A search takes a trip for each bit of its number of keys, besides the element's own.
        let search_trips = 2 + usize::BITS - keys_max.leading_zeros();
        let most = ELEMENTS_MAX.min(MAX_LOOP_TRIPS / 2 / search_trips);
        let fair = count.div_ceil(preferred_groups.max(1).saturating_mul(LANES));
        let per_invocation = fair.next_multiple_of(BATCH).clamp(BATCH, most / BATCH * BATCH);
        Self {
            count,
            per_invocation,
            groups: count.div_ceil(per_invocation * LANES),
            digits_len: cells_len(pass.digits.as_ref().map_or(0, Digits::table_len)),
            bins_len: cells_len(pass.bins.as_ref().map_or(0, Bins::table_len)),
            record_words: if pass.moments { Limbs::of(layout.dtype).record_words() } else { 0 },
        }
    }

    fn records_at(&self) -> usize {
        self.digits_len + self.bins_len
    }

    fn output_words(&self) -> u64 {
        self.records_at() as u64 + u64::from(self.groups) * self.record_words as u64
    }
}

/// The cells that a table of counts takes on the device: after its own, one for the elements that none of them counts.
fn cells_len(table_len: usize) -> usize {
    if table_len == 0 { 0 } else { table_len + 1 }
}

/// How a GPU gathers the rows `units`.
pub(super) fn work(
    kernel: &StatsKernel,
    pass: &StatsPass,
    units: Range<u64>,
    caps: &GpuCaps,
) -> Result<Option<GpuWork>, JobError> {
    let layout = kernel.layout();
    let too_large = units.end - units.start > ROWS_MAX;
    let higher = pass.columns.iter().any(|column| column.higher);
    if higher || too_large || caps.max_workgroup_invocations < LANES || caps.max_workgroup_bytes < 16 << 10 {
        return Ok(None);
    }
    let Some(shader) = shader(layout, caps.integers) else { return Ok(None) };
    let steps = kernel.columns().iter().zip(&pass.columns).filter(|(_, pass)| !pass.is_idle()).map(|(column, pass)| {
        let cut = Cut::of(layout, pass, units.end - units.start, caps.preferred_workgroups);
        let (table, bins_at) = table_of(pass);
        let mut parts = Vec::new();
        if let Some(digits) = &pass.digits {
            let counting = Counting {
                keys_at: 0,
                keys_len: digits.ranges.len() as u32,
                between: digits.between,
                between_at: digits.between_at() as u32,
                cells: cut.digits_len,
            };
            parts.push(Part { entry: "digits", output_at: 0, counting });
        }
        if let Some(bins) = &pass.bins {
            let counting = Counting {
                keys_at: bins_at,
                keys_len: bins.starts.len() as u32,
                cells: cut.bins_len,
                ..Counting::default()
            };
            parts.push(Part { entry: "bins", output_at: cut.digits_len, counting });
        }
        if pass.moments {
            parts.push(Part { entry: "moments", output_at: cut.records_at(), counting: Counting::default() });
        }
        GpuStep {
            shader: shader.clone(),
            input: Some(GpuInput { source: column.source.clone(), range: units.clone() }),
            output_words: cut.output_words(),
            scratch_words: 0,
            // Counts are added to; records are written whole.
            zeroed: cut.records_at() > 0,
            table,
            dispatches: dispatches(kernel, &cut, caps, &parts),
        }
    });
    Ok(Some(GpuWork::trusted(steps.collect())))
}

/// What the searches of a pass go through, and where the bins' part begins: of a range of digits, the least and the greatest
/// key, the shift, and where its counts stand; of a bin, the key at which it starts. Keys are in halves.
fn table_of(pass: &ColumnPass) -> (Arc<[u32]>, u32) {
    let halves = |key: u64| [key as u32, (key >> 32) as u32];
    let mut table = Vec::new();
    for range in pass.digits.iter().flat_map(|digits| digits.ranges.iter()) {
        table.extend(halves(range.least));
        table.extend(halves(range.greatest));
        table.extend([range.shift, range.at as u32]);
    }
    let bins_at = table.len() as u32;
    table.extend(pass.bins.iter().flat_map(|bins| bins.starts.iter()).flat_map(|&key| halves(key)));
    (table.into(), bins_at)
}

/// What a dispatch that counts needs to know.
#[derive(Clone, Copy, Debug, Default)]
struct Counting {
    keys_at: u32,
    keys_len: u32,
    between: bool,
    between_at: u32,
    cells: usize,
}

/// What is gathered in dispatches of its own.
struct Part {
    entry: &'static str,
    output_at: usize,
    counting: Counting,
}

/// The dispatches of a column: piece by piece through its elements, all parts on one piece before the next, so that a piece is
/// computed on while the next one is on its way, and is at hand for the parts that follow the first.
fn dispatches(kernel: &StatsKernel, cut: &Cut, caps: &GpuCaps, parts: &[Part]) -> Vec<Dispatch> {
    // None is missing where the least such key is greater than the greatest.
    let (missing_least, missing_greatest) = kernel.missing_keys().unwrap_or((1, 0));
    let elements_max = if caps.contiguous { 1 << 21 } else { 1 << 27 };
    let element_bytes = u64::from(kernel.layout().key_bits / 8);
    let elements = caps.piece_elements(u64::from(cut.count), element_bytes).min(elements_max);
    let groups = (elements as u32 / (cut.per_invocation * LANES)).max(1);
    let mut dispatches = Vec::new();
    for first in (0..cut.groups).step_by(groups as usize) {
        let end = cut.groups.min(first + groups);
        for Part { entry, output_at, counting } in parts {
            let params = vec![
                cut.count,
                cut.per_invocation,
                first,
                end,
                u32::from(caps.contiguous),
                *output_at as u32,
                missing_least as u32,
                (missing_least >> 32) as u32,
                missing_greatest as u32,
                (missing_greatest >> 32) as u32,
                counting.keys_at,
                counting.keys_len,
                u32::from(counting.between),
                counting.between_at,
                counting.cells as u32,
                u32::from(counting.cells as u64 <= TALLY_CELLS),
            ];
            let input_end = u64::from(end) * u64::from(cut.per_invocation * LANES);
            dispatches.push(Dispatch { entry: (*entry).into(), workgroups: end - first, params, input_end });
        }
    }
    dispatches
}

/// What it gathered.
pub(super) fn partial(
    kernel: &StatsKernel,
    pass: &StatsPass,
    units: Range<u64>,
    outputs: &[Vec<u32>],
) -> Result<StatsPartial, JobError> {
    let layout = kernel.layout();
    let rows = units.end - units.start;
    let mut outputs = outputs.iter();
    let mut columns = Vec::with_capacity(pass.columns.len());
    for pass in &pass.columns {
        let mut partial = ColumnPartial::empty(pass, layout);
        if !pass.is_idle() {
            // What a fold on the CPU may list is counted here.
            partial.digits = DigitCounts::counted(pass.digits.as_ref());
            let output = outputs.next().ok_or_else(|| nonsense(&units, "a column is missing"))?;
            read_column(&mut partial, layout, rows, output).map_err(|what| nonsense(&units, what))?;
        }
        columns.push(partial);
    }
    Ok(StatsPartial { columns })
}

fn nonsense(units: &Range<u64>, what: &str) -> JobError {
    JobError::new(Cause::DeviceLost, format!("stats: what came back for the rows {units:?} is no answer: {what}"))
}

/// Reads what one step wrote. Everything that was counted must be as many elements as there are: a shader whose loops were cut
/// short, or that was not run, is found out here.
fn read_column(partial: &mut ColumnPartial, layout: &Layout, rows: u64, output: &[u32]) -> Result<(), &'static str> {
    let DigitCounts::Counted(table) = &mut partial.digits else { unreachable!("a partial for counts") };
    let (digits_len, bins_len) = (cells_len(table.len()), cells_len(partial.bins.len()));
    if output.len() < digits_len + bins_len {
        return Err("it is too short");
    }
    let (digits, rest) = output.split_at(digits_len);
    let (bins, records) = rest.split_at(bins_len);
    for (into, from) in [(table, digits), (&mut partial.bins, bins)] {
        into.iter_mut().zip(from).for_each(|(into, &count)| *into = count.into());
        if !from.is_empty() && from.iter().map(|&count| u64::from(count)).sum::<u64>() != rows {
            return Err("what was counted and what was left out is not all that there is");
        }
    }
    if let Some(moments) = &mut partial.moments {
        let record_words = Limbs::of(layout.dtype).record_words();
        let records = records.chunks_exact(record_words);
        if !records.remainder().is_empty() {
            return Err("a record is cut short");
        }
        for record in records {
            add_record(moments, layout, record);
        }
        if moments.count + moments.nan_count != rows {
            return Err("not all elements were seen");
        }
        let finite = moments.count.checked_sub(moments.positive_infinities + moments.negative_infinities);
        if finite.is_none() {
            return Err("there are more infinities than values");
        }
    }
    Ok(())
}

fn add_record(moments: &mut Moments, layout: &Layout, record: &[u32]) {
    let (head, limbs) = record.split_at(RECORD_HEAD);
    let word = |low: usize| u64::from(head[low + 1]) << 32 | u64::from(head[low]);
    moments.count += u64::from(head[0]);
    moments.nan_count += u64::from(head[1]);
    moments.positive_infinities += u64::from(head[2]);
    moments.negative_infinities += u64::from(head[3]);
    if head[0] > 0 {
        moments.min_key = moments.min_key.min(word(4));
        moments.max_key = moments.max_key.max(word(6));
    }
    let sizes = Limbs::of(layout.dtype);
    let (positive, rest) = limbs.split_at(sizes.sum);
    let (negative, squares) = rest.split_at(sizes.sum);
    moments.sum.add_limbs_u32(positive);
    moments.sum.sub_limbs_u32(negative);
    moments.squares.add_limbs_u32(squares);
}

#[cfg(all(test, feature = "gpu"))]
mod tests;
