//! The [`Kernel`] trait: an exact monoid over chunks.

use std::ops::Range;
use std::sync::Arc;

use crate::input::{Scratch, Source};
use crate::job::JobError;
use crate::kernels::{Answer, DynKernel, GpuCaps, GpuWork};

/// How large a job is, in numbers only: all that the planner sees of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The kernel's name in the registry.
    pub kernel: &'static str,
    /// What else decides the speed: the element type or the method, as listed in the kernel's
    /// [`Kind`](crate::job::Kind), and after it, set off by spaces, what else is asked for where that takes
    /// work of another kind. A part of the model's key.
    pub variant: String,
    /// The number of units that a pass folds; chunks are ranges of them.
    pub units: u64,
    /// Chunks begin at multiples of this many units (the last one may end anywhere).
    pub granularity: u64,
    /// Bytes of input a unit, a pass: what an upload moves.
    pub bytes_per_unit: f64,
    /// Bytes of partial a unit that come back, where the answer is as long as the input; 0 for reductions.
    pub bytes_out_per_unit: f64,
    /// Roughly how long one thread takes for one unit, a pass, before anything has been measured. Tell jobs apart by it
    /// that differ in what a unit costs: it is a part of the model's key, in classes of a fifth.
    pub prior_ns_per_unit: f64,
    /// How many passes are expected.
    pub passes: u32,
    /// Whether the kernel has a GPU side.
    pub gpu: bool,
}

impl Work {
    /// Roughly how long one thread takes for all passes, in milliseconds, before anything has been measured.
    pub fn prior_ms(&self) -> f64 {
        self.units as f64 * self.prior_ns_per_unit * f64::from(self.passes.max(1)) / 1e6
    }
}

/// The widest instruction set that a CPU fold may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What every machine of this architecture has.
    Portable,
    /// AVX2, FMA, and the instructions on bits that came with them: POPCNT, BMI1, BMI2, LZCNT (x86-64).
    Avx2,
    /// Those and AVX-512 F, DQ, BW, VL (x86-64).
    Avx512,
}

impl Isa {
    /// The widest one on this machine.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt");
            if has_avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
            {
                return Self::Avx512;
            }
            if has_avx2 {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Its name, as listed with the device: `avx512`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// What a worker lends to a fold.
#[derive(Debug)]
pub struct FoldContext<'a> {
    /// The widest instruction set to use; never wider than the machine's.
    pub isa: Isa,
    /// Room for elements that cannot be borrowed.
    pub scratch: &'a mut Scratch,
}

/// What follows a finished pass.
#[derive(Debug)]
pub enum Next<Pass> {
    /// The data is needed once more.
    Pass(Pass),
    /// This is the answer.
    Done(Box<dyn Answer>),
}

/// A uniform job: an exact monoid over chunks.
///
/// A value of this type is one job, bound to its input and parameters. It works in passes: the units of the job are cut
/// into disjoint ranges, each is folded into a partial, anywhere; the partials are merged, in any order; what the merged
/// partial says is either the answer or another pass. For the answer never to depend on the cut, `fold` must be exact:
/// `merge(fold(a..b), fold(b..c))` is `fold(a..c)`, and `merge` is associative and commutative. Integers, counts, bit
/// sets, exact accumulators and pieces placed by range are; a plain float sum is not.
///
/// `fold` of an empty range gives the identity of `merge`.
///
/// *Unstable:* this trait may change until the kernels that are planned stand.
pub trait Kernel: Send + Sync + 'static {
    /// What one pass looks for, with what the passes before it found.
    type Pass: Send + Sync + 'static;
    /// What a chunk folds to.
    type Partial: Send + 'static;

    /// How large the job is.
    fn work(&self) -> Work;

    /// The first pass.
    ///
    /// # Errors
    /// Where the parameters have no answer.
    fn first_pass(&self) -> Result<Self::Pass, JobError>;

    /// Makes what the chunk `units` looks things up in, where that takes long and the pass keeps it for all chunks: a lane calls this before it
    /// folds, and helps those that are at it. It may return before all is there once `is_wanted` says no; `fold` makes what is missing.
    fn prepare(&self, _pass: &Self::Pass, _units: &Range<u64>, _is_wanted: &dyn Fn() -> bool) {}

    /// Folds the chunk `units` on one CPU thread.
    ///
    /// # Errors
    /// Where the input cannot be read.
    fn fold(
        &self,
        pass: &Self::Pass,
        units: Range<u64>,
        context: &mut FoldContext<'_>,
    ) -> Result<Self::Partial, JobError>;

    /// Merges the partial of a disjoint chunk into another.
    fn merge(&self, into: &mut Self::Partial, from: Self::Partial);

    /// What follows from the merged partial of a whole pass.
    ///
    /// # Errors
    /// Where what was found has no answer (a histogram over an infinite range).
    fn next(&self, pass: &Self::Pass, merged: Self::Partial) -> Result<Next<Self::Pass>, JobError>;

    /// How a GPU with these capabilities folds the chunk `units`, as data; `None` where this pass has no GPU side there.
    ///
    /// # Errors
    /// Where the input cannot be read.
    fn gpu_work(&self, _pass: &Self::Pass, _units: Range<u64>, _caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        Ok(None)
    }

    /// The partial of the chunk `units` from what each step of its [`GpuWork`] wrote.
    ///
    /// # Errors
    /// Where the words are none that the shader writes: a device fault.
    fn gpu_partial(
        &self,
        _pass: &Self::Pass,
        _units: Range<u64>,
        _outputs: &[Vec<u32>],
    ) -> Result<Self::Partial, JobError> {
        unreachable!("a kernel whose gpu_work gives work implements gpu_partial")
    }

    /// Roughly how much memory the partial of a chunk takes, in bytes, where that is much: one is kept for every thread, and room
    /// for them is reserved before the job begins.
    fn partial_bytes(&self) -> u64 {
        0
    }

    /// Roughly how much memory the job takes once, however many threads it has, in bytes, where that is much: tables that all chunks look
    /// things up in.
    fn shared_bytes(&self) -> u64 {
        0
    }

    /// What this way to the answer is called, where there are others.
    fn method(&self) -> Option<&'static str> {
        None
    }

    /// Another kernel that comes to the same answer, bit for bit, by other work; the one that is predicted to end first is run.
    fn other_way(&self) -> Option<Arc<dyn DynKernel>> {
        None
    }

    /// Whether this job may be folded as one with others of its type: see [`Kernel::fuse`].
    fn fuses(&self) -> bool {
        false
    }

    /// These jobs as one, whose units are theirs one after the other: many small jobs pay the fixed costs of a GPU once. Its answer is
    /// [`Answers`](crate::kernels::Answers), one for each job in order, and each is, byte for byte, what the job comes to alone. Where it
    /// fails, every job is run by itself, so that the error of one is no other's.
    ///
    /// `None` where these cannot be one.
    fn fuse(_jobs: &[&Self]) -> Option<Arc<dyn DynKernel>>
    where
        Self: Sized,
    {
        None
    }

    /// The sources that the job's [`GpuWork`] uploads from: by them the planner asks how much of the input a device holds
    /// already.
    fn inputs(&self) -> Vec<Arc<dyn Source>> {
        Vec::new()
    }

    /// Of a kernel whose other jobs have a GPU side, what keeps this one from it, as an option of the command line.
    fn cpu_only(&self) -> Option<&'static str> {
        None
    }

    /// What is left of the job when all is folded: input that was mapped and has since been truncated, for example.
    ///
    /// # Errors
    /// Where what was read was not really there.
    fn check_inputs(&self) -> Result<(), JobError> {
        Ok(())
    }
}
