//! The kernel.

use std::ops::Range;

use crate::job::JobError;
use crate::kernels::on_isa::on_isa;
use crate::kernels::primes::base_primes::BasePrimes;
use crate::kernels::primes::combinatorial::SEGMENT_WORDS;
use crate::kernels::primes::combinatorial::easy::easy_leaves;
use crate::kernels::primes::combinatorial::hard::Room;
use crate::kernels::primes::combinatorial::making::Making;
use crate::kernels::primes::combinatorial::pairs::count_pairs;
use crate::kernels::primes::combinatorial::partial::{CombinatorialPartial, Counted, Stretch};
use crate::kernels::primes::combinatorial::shape::{LEAST, Shape, cost_ns};
use crate::kernels::primes::combinatorial::tables::Tables;
use crate::kernels::primes::pieces::BitPieces;
use crate::kernels::primes::{NumberRange, RangeAnswer, RangeMode};
use crate::kernels::{FoldContext, Isa, Kernel, Next, Work};

/// The units of a step.
const STEP_UNITS: u64 = SEGMENT_WORDS as u64;

/// The one pass: the tables of π(b - 1) and of π(a - 1), made by all lanes that need them, together.
#[derive(Debug, Default)]
pub struct CombinatorialPass {
    tables: [Making; 2],
}

/// A job that counts the primes of a range without finding them, as π(b - 1) - π(a - 1). A step is a segment of the sieve, or a block of
/// easy leaves, of either; it is 4,096 units, so that a unit costs about as much as a word of a sieve does.
#[derive(Debug)]
pub struct CombinatorialKernel {
    range: NumberRange,
    /// π(b - 1), π(a - 1).
    counts: [Pi; 2],
    prior_ns_per_unit: f64,
}

/// One π.
#[derive(Debug)]
enum Pi {
    /// Of a number so small that its primes are there anyway.
    Small(u64),
    Large(Shape),
}

impl Pi {
    /// π(n).
    fn new(n: u64) -> Self {
        match n < LEAST {
            true => Self::Small(n),
            false => Self::Large(Shape::new(n)),
        }
    }

    fn steps(&self) -> u64 {
        match self {
            Self::Small(_) => 0,
            Self::Large(shape) => shape.steps(),
        }
    }

    /// Folds these steps of it.
    fn fold(&self, tables: &Making, steps: Range<u64>, isa: Isa, counted: &mut Counted) {
        let Self::Large(shape) = self else { return };
        let tables = tables.tables(shape);
        let segments = steps.start.min(shape.segments)..steps.end.min(shape.segments);
        if !segments.is_empty() {
            counted.push(on_isa!(isa, stretch(tables, segments.clone(), isa)));
        }
        let blocks = steps.start.max(shape.segments)..steps.end;
        if !blocks.is_empty() {
            let [first, last] = [blocks.start, blocks.end].map(|at| tables.blocks[(at - shape.segments) as usize]);
            counted.easy += on_isa!(isa, easy_leaves(tables, &(first..last)));
        }
    }

    /// π(n), from what all its steps came to.
    fn value(&self, tables: &Making, counted: &Counted) -> Result<u64, JobError> {
        match self {
            Self::Small(n) => Ok(BasePrimes::up_to(LEAST).below_or_at(*n).len() as u64),
            Self::Large(shape) => {
                let tables = tables.tables(shape);
                Ok((tables.rest() + counted.total(shape.segments)?) as u64)
            }
        }
    }
}

#[inline(always)]
fn stretch(tables: &Tables, segments: Range<u64>, isa: Isa) -> Stretch {
    let mut room = Room::new();
    let mut all = room.leaves(tables, segments.start);
    for segment in segments.start + 1..segments.end {
        all.append(&room.leaves(tables, segment));
    }
    count_pairs(tables, segments, isa, &mut all);
    all
}

impl CombinatorialKernel {
    /// The job over `range`.
    pub fn new(range: NumberRange) -> Self {
        let up_to = |end: u128| Pi::new(end.saturating_sub(1) as u64);
        let counts =
            if range.is_empty() { [Pi::Small(0), Pi::Small(0)] } else { [up_to(range.end()), up_to(range.start())] };
        let units = counts.iter().map(Pi::steps).sum::<u64>() * STEP_UNITS;
        let ns = Self::cost_ns(range);
        Self { range, counts, prior_ns_per_unit: if units == 0 { 1.0 } else { ns / units as f64 } }
    }

    /// What one thread is likely to take, in nanoseconds.
    pub(in crate::kernels::primes) fn cost_ns(range: NumberRange) -> f64 {
        let up_to = |end: u128| cost_ns(end.saturating_sub(1) as u64);
        if range.is_empty() { 0.0 } else { up_to(range.end()) + up_to(range.start()) }
    }

    fn steps(&self) -> u64 {
        self.counts.iter().map(Pi::steps).sum()
    }

    /// The steps of either π that these units are. A step belongs to the chunk that has its first unit.
    fn steps_of(&self, units: &Range<u64>) -> [Range<u64>; 2] {
        let steps = units.start.div_ceil(STEP_UNITS)..units.end.div_ceil(STEP_UNITS);
        let upper = self.counts[0].steps();
        [steps.start.min(upper)..steps.end.min(upper), steps.start.max(upper) - upper..steps.end.max(upper) - upper]
    }
}

impl Kernel for CombinatorialKernel {
    type Pass = CombinatorialPass;
    type Partial = CombinatorialPartial;

    fn work(&self) -> Work {
        Work {
            kernel: "primes",
            variant: "combinatorial".to_owned(),
            units: self.steps() * STEP_UNITS,
            granularity: STEP_UNITS,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: self.prior_ns_per_unit,
            passes: 1,
            gpu: false,
        }
    }

    fn first_pass(&self) -> Result<CombinatorialPass, JobError> {
        Ok(CombinatorialPass::default())
    }

    fn prepare(&self, pass: &CombinatorialPass, units: &Range<u64>, is_wanted: &dyn Fn() -> bool) {
        for ((pi, making), steps) in self.counts.iter().zip(&pass.tables).zip(self.steps_of(units)) {
            if let (Pi::Large(shape), false) = (pi, steps.is_empty()) {
                making.help(shape, is_wanted);
            }
        }
    }

    fn fold(
        &self,
        pass: &CombinatorialPass,
        units: Range<u64>,
        context: &mut FoldContext<'_>,
    ) -> Result<CombinatorialPartial, JobError> {
        let mut partial = CombinatorialPartial::default();
        for (of, steps) in self.steps_of(&units).into_iter().enumerate() {
            if !steps.is_empty() {
                self.counts[of].fold(&pass.tables[of], steps, context.isa, &mut partial.counted[of]);
            }
        }
        Ok(partial)
    }

    fn merge(&self, into: &mut CombinatorialPartial, from: CombinatorialPartial) {
        into.merge(from);
    }

    fn next(
        &self,
        pass: &CombinatorialPass,
        merged: CombinatorialPartial,
    ) -> Result<Next<CombinatorialPass>, JobError> {
        let [upper, lower] = &self.counts;
        let [above, below] = &merged.counted;
        let [upper_tables, lower_tables] = &pass.tables;
        let count = upper.value(upper_tables, above)? - lower.value(lower_tables, below)?;
        let none = BitPieces::default().into_set(0)?;
        Ok(Next::Done(Box::new(RangeAnswer::new(self.range, RangeMode::Count, 0, count, none))))
    }

    fn method(&self) -> Option<&'static str> {
        Some("combinatorial")
    }

    fn cpu_only(&self) -> Option<&'static str> {
        Some("--method combinatorial")
    }

    fn shared_bytes(&self) -> u64 {
        let tables = self.counts.iter().map(|pi| match pi {
            Pi::Small(_) => 0,
            Pi::Large(shape) => Tables::bytes(shape),
        });
        tables.sum()
    }
}
