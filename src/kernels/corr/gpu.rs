//! The GPU side of `corr`: what `shaders/corr.wgsl` is asked to do for a chunk, and what its words mean. The host makes whole
//! numbers of the elements on their way, so that the device sees integers alone, whatever the type of the input and the order
//! that it lies in.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use crate::input::{DType, Element, Scratch, Source, Values};
use crate::job::{Cause, JobError};
use crate::kernels::corr::extremes::{Extremes, mark_rows, order_keys};
use crate::kernels::corr::kernel::{lengthen, shorten};
use crate::kernels::corr::panels::{BLOCK_ROWS, LANES, Panels};
use crate::kernels::corr::pass::{Gathered, Stage};
use crate::kernels::corr::products::{ColumnSums, Products, Tiles, Width};
use crate::kernels::corr::scale::MASK;
use crate::kernels::corr::{CorrKernel, CorrPartial, CorrPass};
use crate::kernels::{Dispatch, GpuCaps, GpuInput, GpuStep, GpuWork, Isa, Kernel, MAX_LOOP_TRIPS, Shader};

/// Invocations of a workgroup: the pairs of a tile.
const GROUP: usize = 64;
/// Rows of a part in a dispatch at most.
const PART_ROWS: u64 = 1 << 13;
/// Rows that the shader takes at once: a part that ends within such a block wastes the rest of it.
const SHADER_BLOCK_ROWS: u64 = 16;
const _: () = assert!(PART_ROWS.is_multiple_of(SHADER_BLOCK_ROWS));
/// An invocation takes a trip a row and its share of a block of 16 rows, with the loop around.
const _: () = assert!(PART_ROWS * 2 < MAX_LOOP_TRIPS as u64);
/// Words of a column: least and greatest key, or its sums (see the shader).
const EXTREMES_WORDS: usize = 4;
const COLUMN_WORDS: usize = 18;
/// Words of a sum.
const SUM_WORDS: usize = 4;
/// Parts at most: each has sums of its own to read back.
const PARTS_MAX: u64 = 64;

static SHADER: LazyLock<Shader> = LazyLock::new(|| Shader::new("corr", include_str!("../../../shaders/corr.wgsl")));

pub(super) fn shaders() -> Vec<Shader> {
    vec![SHADER.clone()]
}

/// How a pass lies on a device.
struct Layout {
    lanes: usize,
    /// 0 where the pass is one over extremes.
    width: usize,
    tiles: usize,
}

impl Layout {
    fn of(kernel: &CorrKernel, pass: &CorrPass) -> Self {
        let lanes = kernel.panels() * LANES;
        match &pass.0 {
            Stage::Extremes => Self { lanes, width: 0, tiles: 0 },
            Stage::Products { width, tiles, .. } => Self { lanes, width: width.planes(), tiles: tiles.len() },
        }
    }

    /// Words of 64 bits a row.
    fn stride(&self) -> usize {
        if self.width == 0 { self.lanes + 1 } else { self.lanes * self.width }
    }

    /// Words that a part of a chunk comes to.
    fn part_words(&self) -> usize {
        match self.width {
            0 => (self.lanes + 1) * EXTREMES_WORDS,
            width => self.lanes * COLUMN_WORDS + self.tiles * GROUP * SUM_WORDS * width,
        }
    }
}

/// How a GPU gathers the rows `units`.
pub(super) fn work(
    kernel: &CorrKernel,
    pass: &CorrPass,
    units: Range<u64>,
    caps: &GpuCaps,
) -> Result<Option<GpuWork>, JobError> {
    let layout = Layout::of(kernel, pass);
    let part_bytes = layout.part_words() as u64 * 4;
    let rows_max = (caps.max_binding_bytes / (layout.stride() as u64 * 8)).min(1 << 24);
    if caps.max_workgroup_invocations < GROUP as u32
        || caps.max_workgroup_bytes < 8 << 10
        || part_bytes > caps.max_binding_bytes
        || rows_max < BLOCK_ROWS as u64
    {
        return Ok(None);
    }
    let (table, groups_a_part): (Vec<u32>, u64) = match &pass.0 {
        Stage::Extremes => (vec![0], (layout.lanes + 1).div_ceil(GROUP) as u64),
        Stage::Products { tiles, .. } => {
            (tiles.pairs().flat_map(|(first, second)| [first as u32, second as u32]).collect(), tiles.len() as u64)
        }
    };
    let (table, source): (Arc<[u32]>, Arc<dyn Source>) =
        (table.into(), Arc::new(Digest { kernel: kernel.clone(), pass: pass.clone() }));
    let mut steps = Vec::new();
    let mut start = units.start;
    while start < units.end {
        let end = units.end.min(start + rows_max);
        let rows = end - start;
        // As many parts as keep the device busy, of some rows each.
        let parts = u64::from(caps.preferred_workgroups).div_ceil(groups_a_part).min(rows.div_ceil(256));
        let parts = parts.clamp(1, PARTS_MAX.min(caps.max_binding_bytes / part_bytes));
        // A dispatch takes a piece of the rows, which all parts share: so it starts when that piece is there, and keeps the
        // device busy.
        let piece_rows = caps.piece_elements(rows * layout.stride() as u64, 8) / layout.stride() as u64;
        let part_rows = rows.min(piece_rows).div_ceil(parts).clamp(1, PART_ROWS).next_multiple_of(SHADER_BLOCK_ROWS);
        let dispatch = |entry: &'static str, groups_a_part: usize, first_row: u64| Dispatch {
            entry: entry.into(),
            workgroups: groups_a_part as u32 * parts as u32,
            params: vec![
                rows as u32,
                layout.stride() as u32,
                layout.lanes as u32,
                layout.width as u32,
                layout.tiles as u32,
                parts as u32,
                part_rows as u32,
                first_row as u32,
            ],
            input_end: rows.min(first_row + parts * part_rows) * layout.stride() as u64,
        };
        let mut dispatches = Vec::new();
        for first_row in (0..rows).step_by((parts * part_rows) as usize) {
            if layout.width == 0 {
                dispatches.push(dispatch("extremes", (layout.lanes + 1).div_ceil(GROUP), first_row));
            } else {
                dispatches.push(dispatch("columns", layout.lanes.div_ceil(GROUP), first_row));
                dispatches.push(dispatch("products", layout.tiles, first_row));
            }
        }
        let stride = layout.stride() as u64;
        steps.push(GpuStep {
            shader: SHADER.clone(),
            input: Some(GpuInput { source: Arc::clone(&source), range: start * stride..end * stride }),
            output_words: layout.part_words() as u64 * parts,
            scratch_words: 0,
            zeroed: true,
            table: Arc::clone(&table),
            dispatches,
        });
        start = end;
    }
    Ok(Some(GpuWork::trusted(steps)))
}

/// The partial of the rows `units` from what each step wrote.
pub(super) fn partial(
    kernel: &CorrKernel,
    pass: &CorrPass,
    units: Range<u64>,
    outputs: &[Vec<u32>],
) -> Result<CorrPartial, JobError> {
    let layout = Layout::of(kernel, pass);
    let fault = |what: &str| JobError::new(Cause::DeviceLost, format!("the device wrote what corr does not: {what}"));
    if outputs.iter().any(|words| words.is_empty() || words.len() % layout.part_words() != 0) {
        return Err(fault("words of another number"));
    }
    let parts = outputs.iter().flat_map(|words| words.chunks_exact(layout.part_words()));
    let rows = units.end - units.start;
    Ok(CorrPartial(match &pass.0 {
        Stage::Extremes => {
            let mut extremes = Extremes::empty(layout.lanes);
            for words in parts {
                let (columns, last) = words.split_at(layout.lanes * EXTREMES_WORDS);
                extremes.merge(&Extremes {
                    rows: u64::from(last[2]),
                    least: columns.chunks_exact(EXTREMES_WORDS).map(|words| !word(&words[..2])).collect(),
                    greatest: columns.chunks_exact(EXTREMES_WORDS).map(|words| word(&words[2..])).collect(),
                });
            }
            if extremes.rows > rows {
                return Err(fault("more rows than there are"));
            }
            Gathered::Extremes(extremes)
        }
        Stage::Products { width, tiles, .. } => {
            let mut products = Products::empty(kernel.panels(), tiles, *width);
            // Of each row, three words of 26 bits at most go into a sum.
            let sum_max = (3 * rows) << 26;
            let is_sum = |words: &[u32]| words.chunks_exact(2).all(|words| word(words) <= sum_max);
            for words in parts {
                let (columns, pairs) = words.split_at(layout.lanes * COLUMN_WORDS);
                let mut columns = columns.chunks_exact(COLUMN_WORDS);
                if !is_sum(pairs) || !columns.all(|words| is_sum(&words[..16]) && word(&words[16..]) <= MASK) {
                    return Err(fault("a sum that its rows cannot come to"));
                }
                add_part(&layout, words, tiles, *width, &mut products);
            }
            Gathered::Products(products)
        }
    }))
}

/// Adds the sums of a part.
fn add_part(layout: &Layout, words: &[u32], tiles: &Tiles, width: Width, products: &mut Products) {
    let (columns, pairs) = words.split_at(layout.lanes * COLUMN_WORDS);
    for (column, words) in products.columns.iter_mut().zip(columns.chunks_exact(COLUMN_WORDS)) {
        column.merge(&ColumnSums {
            sum: sum(&words[..4]),
            sum_low: sum(&words[4..8]),
            square_high: sum(&words[8..12]),
            square_low: sum(&words[12..16]),
            bits: if width == Width::Short { word(&words[16..18]) } else { 0 },
        });
    }
    debug_assert_eq!(products.planes.len(), tiles.len() * width.planes());
    for (plane, words) in products.planes.iter_mut().zip(pairs.chunks_exact(GROUP * SUM_WORDS)) {
        for (pair, words) in words.chunks_exact(SUM_WORDS).enumerate() {
            plane.add(pair % LANES, pair / LANES, sum(words));
        }
    }
}

fn word(words: &[u32]) -> u64 {
    u64::from(words[0]) | u64::from(words[1]) << 32
}

/// The sum whose lowest 26 bits were added up in the first two words, and what is above them in the next two.
fn sum(words: &[u32]) -> u128 {
    u128::from(word(&words[..2])) + (u128::from(word(&words[2..])) << 26)
}

/// The rows of a job as the shader wants them.
#[derive(Debug)]
struct Digest {
    kernel: CorrKernel,
    pass: CorrPass,
}

impl Digest {
    /// Makes the words of some rows, at most a block.
    fn rows(&self, rows: Range<u64>, scratch: &mut Scratch, target: &mut [u64]) -> Result<(), JobError> {
        let (isa, layout) = (Isa::detect(), Layout::of(&self.kernel, &self.pass));
        let count = (rows.end - rows.start) as usize;
        let mut panels = Panels::new(self.kernel.panels());
        let mut without = [false; BLOCK_ROWS];
        let without = &mut without[..count];
        self.kernel.load(rows, &mut panels, scratch)?;
        mark_rows(isa, &panels, self.kernel.domains(), without);
        let mut low = None;
        match &self.pass.0 {
            Stage::Extremes => order_keys(&mut panels, self.kernel.domains()),
            Stage::Products { width: Width::Short, found, .. } => shorten(isa, &found.scales, &mut panels, without),
            Stage::Products { width: Width::Long, found, .. } => {
                let low = low.insert(Panels::new(self.kernel.panels()));
                lengthen(&found.scales, [&mut panels, low], without);
            }
        }
        for (half, panels) in [Some(&panels), low.as_ref()].into_iter().flatten().enumerate() {
            for panel in 0..panels.len() {
                for (row, words) in panels.panel(panel).iter().enumerate() {
                    let at = row * layout.stride() + half * layout.lanes + panel * LANES;
                    target[at..at + LANES].copy_from_slice(&words.0);
                }
            }
        }
        if layout.width == 0 {
            for (row, without) in without.iter().enumerate() {
                target[row * layout.stride() + layout.lanes] = u64::from(!*without);
            }
        }
        Ok(())
    }
}

impl Source for Digest {
    fn name(&self) -> &str {
        self.kernel.tables()[0].name()
    }

    fn dtype(&self) -> DType {
        DType::U64
    }

    fn len(&self) -> u64 {
        self.kernel.tables()[0].rows() * Layout::of(&self.kernel, &self.pass).stride() as u64
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        let stride = Layout::of(&self.kernel, &self.pass).stride() as u64;
        let room = scratch.slice_mut::<u64>((range.end - range.start) as usize);
        let (mut own, mut block) = (Scratch::default(), Vec::new());
        let mut at = range.start;
        while at < range.end {
            // From here to the end of a block, or of what is asked for, which may be anywhere in a row.
            let first_row = at / stride;
            let end_row = range.end.div_ceil(stride).min(first_row + BLOCK_ROWS as u64);
            let end = range.end.min(end_row * stride);
            block.resize(((end_row - first_row) * stride) as usize, 0);
            self.rows(first_row..end_row, &mut own, &mut block)?;
            let from = first_row * stride;
            room[(at - range.start) as usize..(end - range.start) as usize]
                .copy_from_slice(&block[(at - from) as usize..(end - from) as usize]);
            at = end;
        }
        Ok(u64::wrap(room))
    }

    fn check(&self) -> Result<(), JobError> {
        self.kernel.check_inputs()
    }
}
