//! The kernel itself: one table with itself, or two with each other.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::input::{DType, LeftOut, Scratch};
use crate::job::JobError;
use crate::kernels::corr::coefficients::Coefficients;
use crate::kernels::corr::extremes::Extremes;
use crate::kernels::corr::panels::{BLOCK_ROWS, Domain, LANES, Panels, panels_of};
use crate::kernels::corr::pass::{Found, Gathered, Stage};
use crate::kernels::corr::products::{Plane, Products, Tiles, Unit, Width};
use crate::kernels::corr::scale::{Scales, Spread, clear_rows};
use crate::kernels::corr::{CorrAnswer, CorrPartial, CorrPass, Table, extremes, gpu, output};
use crate::kernels::{FoldContext, GpuCaps, GpuWork, Kernel, Next, Work};

/// The most pairs of columns that a job takes: what a chunk folds to has 16 bytes for each, or 32.
pub const MAX_PAIRS: u64 = 1 << 25;

/// The most rows: with more, the sums would need more bits.
const MAX_ROWS: u64 = 1 << 40;

/// Up to so many rows everything is done with long numbers, which costs little there: few rows hide no error.
const LONG_ROWS: u64 = 1 << 12;

/// A `corr` job. A unit is a row.
#[derive(Clone, Debug)]
pub struct CorrKernel {
    tables: Arc<[Table]>,
    domains: Vec<Domain>,
    left_out: Vec<LeftOut>,
    output: Option<PathBuf>,
}

impl CorrKernel {
    /// The coefficients of the columns of `table` with each other, or with those of `with`.
    ///
    /// # Errors
    /// Where a table has no column, the tables differ in rows, or there are more pairs of columns than [`MAX_PAIRS`].
    pub fn new(table: Table, with: Option<Table>) -> Result<Self, JobError> {
        let rows = table.rows();
        if let Some(with) = with.as_ref().filter(|with| with.rows() != rows) {
            return Err(JobError::bad_input(format!(
                "{} has {} rows, but {} has {rows}: row after row is compared, so both must have as many",
                with.name(),
                with.rows(),
                table.name(),
            )));
        }
        if rows > MAX_ROWS {
            return Err(JobError::bad_input(format!(
                "{}: has {rows} rows: corr takes at most {MAX_ROWS}",
                table.name()
            )));
        }
        let columns = table.columns() as u64;
        if columns == 0 || with.as_ref().is_some_and(|with| with.columns() == 0) {
            return Err(JobError::bad_input(format!("{}: has no column: give one at least", table.name())));
        }
        let (pairs, kind) = match &with {
            Some(with) => (columns.saturating_mul(with.columns() as u64), format!("with {}", with.columns())),
            None => (columns.saturating_mul(columns + 1) / 2, "with each other".to_owned()),
        };
        if pairs > MAX_PAIRS {
            return Err(JobError::bad_input(format!(
                "{}: {columns} columns {kind} make {pairs} pairs: corr takes at most {MAX_PAIRS}, which is 8191 columns with each \
                 other: take fewer columns at once, and use --with for what they have in common",
                table.name(),
            )));
        }
        let tables: Vec<Table> = [table].into_iter().chain(with).collect();
        let domains = tables
            .iter()
            .flat_map(|table| std::iter::repeat_n(Domain::of(table.dtype()), panels_of(table.columns())))
            .collect();
        Ok(Self { tables: tables.into(), domains, left_out: Vec::new(), output: None })
    }

    /// The same job, whose answer tells of columns that it leaves out.
    #[must_use]
    pub fn leaving_out(mut self, left_out: Vec<LeftOut>) -> Self {
        self.left_out = left_out;
        self
    }

    /// The same job, which writes its matrix to a file: `.npy` or `.csv`, by its extension.
    #[must_use]
    pub fn writing_to(mut self, output: Option<PathBuf>) -> Self {
        self.output = output;
        self
    }

    /// Runs the whole job on the calling thread.
    ///
    /// ```
    /// use tandem::kernels::corr::{CorrKernel, Table};
    /// let table = Table::of_rows(vec![1.0, 2.0, 2.0, 4.0, 4.0, 8.0], 2).unwrap();
    /// let answer = CorrKernel::new(table, None).unwrap().answer_here().unwrap();
    /// assert_eq!(answer.matrix.row(0), [1.0, 1.0]);
    /// ```
    ///
    /// # Errors
    /// Those of [`Kernel::fold`] and [`Kernel::next`].
    pub fn answer_here(&self) -> Result<CorrAnswer, JobError> {
        let mut scratch = Scratch::default();
        let mut pass = self.first_pass()?;
        loop {
            let mut context = FoldContext { isa: crate::kernels::Isa::detect(), scratch: &mut scratch };
            let merged = self.fold(&pass, 0..self.rows(), &mut context)?;
            match self.following(&pass, merged) {
                Following::Pass(next) => pass = next,
                Following::Done(answer) => {
                    self.check_inputs()?;
                    return Ok(answer);
                }
            }
        }
    }

    /// The tables: one, or two.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    fn rows(&self) -> u64 {
        self.tables[0].rows()
    }

    /// The panels of the first table, and of the second.
    fn panel_counts(&self) -> [usize; 2] {
        [panels_of(self.tables[0].columns()), self.tables.get(1).map_or(0, |with| panels_of(with.columns()))]
    }

    /// Panels of all tables.
    pub(super) fn panels(&self) -> usize {
        self.domains.len()
    }

    pub(super) fn domains(&self) -> &[Domain] {
        &self.domains
    }

    fn all_tiles(&self) -> Tiles {
        let [first, second] = self.panel_counts();
        Tiles::all(first, second)
    }

    fn empty(&self, pass: &CorrPass) -> CorrPartial {
        CorrPartial(match &pass.0 {
            Stage::Extremes => Gathered::Extremes(Extremes::empty(self.panels() * LANES)),
            Stage::Products { width, tiles, .. } => Gathered::Products(Products::empty(self.panels(), tiles, *width)),
        })
    }

    /// Lays rows of all tables out.
    pub(super) fn load(&self, rows: Range<u64>, panels: &mut Panels, scratch: &mut Scratch) -> Result<(), JobError> {
        panels.set_rows((rows.end - rows.start) as usize);
        let [first, _] = self.panel_counts();
        for (table, first_panel) in self.tables.iter().zip([0, first]) {
            table.load(rows.clone(), panels, first_panel, scratch)?;
        }
        Ok(())
    }

    /// The pass that follows, or the answer.
    fn following(&self, pass: &CorrPass, merged: CorrPartial) -> Following {
        let (width, tiles, found) = match (&pass.0, merged.0) {
            (Stage::Extremes, Gathered::Extremes(extremes)) => {
                let scales = Scales::of(&extremes, &self.domains);
                let found = Found { rows: extremes.rows, scales, short: None };
                let width = if extremes.rows <= LONG_ROWS { Width::Long } else { Width::Short };
                return Following::Pass(CorrPass(Stage::Products {
                    width,
                    tiles: Arc::new(self.all_tiles()),
                    found: Arc::new(found),
                }));
            }
            (Stage::Products { width, tiles, found }, Gathered::Products(products)) => {
                ((*width, products), tiles, found)
            }
            _ => unreachable!("a pass ends with a partial of its own"),
        };
        match width {
            (Width::Long, products) => {
                let long = Coefficients::new(found.rows, Width::Long, &found.scales, tiles, &products);
                let short = found.short.as_ref().map(|(tiles, products)| {
                    Coefficients::new(found.rows, Width::Short, &found.scales, tiles, products)
                });
                Following::Done(self.answer(found, |x, y| {
                    long.of(x, y).or_else(|| short.as_ref().and_then(|short| short.of(x, y))).unwrap_or(f64::NAN)
                }))
            }
            (Width::Short, products) => {
                let short = Coefficients::new(found.rows, Width::Short, &found.scales, tiles, &products);
                let uncertain = uncertain(&short, tiles);
                if uncertain.len() == 0 {
                    return Following::Done(self.answer(found, |x, y| short.of(x, y).unwrap_or(f64::NAN)));
                }
                Following::Pass(CorrPass(Stage::Products {
                    width: Width::Long,
                    tiles: Arc::new(uncertain),
                    found: Arc::new(Found {
                        rows: found.rows,
                        scales: found.scales.clone(),
                        short: Some((Arc::clone(tiles), products)),
                    }),
                }))
            }
        }
    }

    fn answer(&self, found: &Found, coefficient: impl Fn((usize, usize), (usize, usize)) -> f64) -> CorrAnswer {
        let [first_panels, _] = self.panel_counts();
        let (rows, with) = (&self.tables[0], self.tables.get(1));
        let (height, width) = (rows.columns(), with.unwrap_or(rows).columns());
        let mut values = vec![f64::NAN; height * width];
        let place = |column: usize, first_panel: usize| (first_panel + column / LANES, column % LANES);
        for i in 0..height {
            let from = if with.is_some() { 0 } else { i };
            for j in from..width {
                let other = place(j, if with.is_some() { first_panels } else { 0 });
                let value = coefficient(place(i, 0), other);
                values[i * width + j] = value;
                if with.is_none() {
                    values[j * width + i] = value;
                }
            }
        }
        let of_spread = |wanted: Spread| -> Vec<String> {
            let mut names = Vec::new();
            for (table, first_panel) in self.tables.iter().zip([0, first_panels]) {
                let lanes = &found.scales.spreads[first_panel * LANES..];
                let named = table.column_names().iter().zip(lanes).filter(|(_, spread)| **spread == wanted);
                names.extend(named.map(|(name, _)| name.clone()));
            }
            names
        };
        CorrAnswer {
            columns: rows.column_names().to_vec(),
            with_columns: with.map(|with| with.column_names().to_vec()),
            rows: found.rows,
            rows_left_out: self.rows() - found.rows,
            constant_columns: of_spread(Spread::Constant),
            infinite_columns: of_spread(Spread::Infinite),
            left_out: self.left_out.clone(),
            matrix: output::Matrix::new(values, width),
            written_to: None,
        }
    }
}

/// What follows a pass.
enum Following {
    Pass(CorrPass),
    Done(CorrAnswer),
}

/// The tiles that have a pair whose short numbers cannot promise enough.
fn uncertain(short: &Coefficients<'_>, tiles: &Tiles) -> Tiles {
    let lanes = || (0..LANES).flat_map(|i| (0..LANES).map(move |j| (i, j)));
    let mut runs: Vec<(usize, Range<usize>)> = Vec::new();
    for (first, second) in tiles.pairs() {
        if lanes().any(|(i, j)| short.is_uncertain((first, i), (second, j))) {
            match runs.last_mut() {
                Some((panel, run)) if *panel == first && run.end == second => run.end += 1,
                _ => runs.push((first, second..second + 1)),
            }
        }
    }
    Tiles::of(runs)
}

impl Kernel for CorrKernel {
    type Pass = CorrPass;
    type Partial = CorrPartial;

    fn work(&self) -> Work {
        let bytes: usize = self.tables.iter().map(|table| table.dtype().size_bytes() * table.columns()).sum();
        let columns: usize = self.tables.iter().map(Table::columns).sum();
        let pairs = self.all_tiles().len() * LANES * LANES;
        let dtype = self.tables[0].dtype();
        let dtype = if self.tables.iter().all(|table| table.dtype() == dtype) { dtype } else { DType::F64 };
        // Short numbers, and the extremes before them; on a processor that multiplies eight at once.
        const PAIR_NS: f64 = 0.04;
        const COLUMN_NS: f64 = 2.0;
        const PASSES: u32 = 2;
        Work {
            kernel: "corr",
            variant: dtype.name().to_owned(),
            units: self.rows(),
            granularity: BLOCK_ROWS as u64,
            bytes_per_unit: bytes as f64,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: (PAIR_NS * pairs as f64 + COLUMN_NS * columns as f64) / f64::from(PASSES),
            passes: PASSES,
            gpu: true,
        }
    }

    fn first_pass(&self) -> Result<CorrPass, JobError> {
        Ok(CorrPass(Stage::Extremes))
    }

    fn fold(&self, pass: &CorrPass, units: Range<u64>, context: &mut FoldContext<'_>) -> Result<CorrPartial, JobError> {
        let mut partial = self.empty(pass);
        if units.is_empty() {
            return Ok(partial);
        }
        let (isa, unit) = (context.isa, Unit::of(context.isa));
        let mut panels = Panels::new(self.panels());
        let mut low = None;
        let mut without = [false; BLOCK_ROWS];
        let mut start = units.start;
        while start < units.end {
            let end = units.end.min(start + BLOCK_ROWS as u64);
            let without = &mut without[..(end - start) as usize];
            self.load(start..end, &mut panels, context.scratch)?;
            match (&pass.0, &mut partial.0) {
                (Stage::Extremes, Gathered::Extremes(extremes)) => extremes.add(isa, &panels, &self.domains, without),
                (Stage::Products { width, tiles, found }, Gathered::Products(products)) => {
                    if found.rows < self.rows() {
                        extremes::mark_rows(isa, &panels, &self.domains, without);
                    }
                    match width {
                        Width::Short => {
                            shorten(isa, &found.scales, &mut panels, without);
                            products.add_short(unit, &panels, tiles);
                        }
                        Width::Long => {
                            let low = low.get_or_insert_with(|| Panels::new(self.panels()));
                            lengthen(&found.scales, [&mut panels, low], without);
                            products.add_long(unit, &panels, low, tiles);
                        }
                    }
                }
                _ => unreachable!("the partial was made for this pass"),
            }
            start = end;
        }
        Ok(partial)
    }

    fn merge(&self, into: &mut CorrPartial, from: CorrPartial) {
        into.merge(&from);
    }

    fn next(&self, pass: &CorrPass, merged: CorrPartial) -> Result<Next<CorrPass>, JobError> {
        match self.following(pass, merged) {
            Following::Pass(next) => Ok(Next::Pass(next)),
            Following::Done(mut answer) => {
                if let Some(path) = &self.output {
                    self.check_inputs()?;
                    output::write(&answer, path)?;
                    answer.written_to = Some(path.clone());
                }
                Ok(Next::Done(Box::new(answer)))
            }
        }
    }

    fn gpu_work(&self, pass: &CorrPass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        gpu::work(self, pass, units, caps)
    }

    fn gpu_partial(&self, pass: &CorrPass, units: Range<u64>, outputs: &[Vec<u32>]) -> Result<CorrPartial, JobError> {
        gpu::partial(self, pass, units, outputs)
    }

    fn partial_bytes(&self) -> u64 {
        // Where a third pass follows, what is merged of the second is kept, and its own partials are at most twice as large.
        (self.all_tiles().len() * size_of::<Plane>()) as u64
    }

    fn check_inputs(&self) -> Result<(), JobError> {
        self.tables.iter().try_for_each(Table::check)
    }
}

/// Makes short numbers of all panels; rows that are left out become zeros.
pub(super) fn shorten(isa: crate::kernels::Isa, scales: &Scales, panels: &mut Panels, without: &[bool]) {
    for (panel, scale) in scales.panels.iter().enumerate() {
        scale.shorten(isa, panels.panel_mut(panel));
    }
    clear_rows(panels, without);
}

/// Makes long numbers of all panels, high and low halves.
pub(super) fn lengthen(scales: &Scales, panels: [&mut Panels; 2], without: &[bool]) {
    let [high, low] = panels;
    low.set_rows(without.len());
    for (panel, scale) in scales.panels.iter().enumerate() {
        scale.lengthen(high.panel_mut(panel), low.panel_mut(panel));
    }
    clear_rows(high, without);
    clear_rows(low, without);
}
