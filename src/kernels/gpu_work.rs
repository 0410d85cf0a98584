//! What a GPU is to do for a chunk, as data: built by a kernel, executed by `device/gpu`, printable and testable without
//! either.
//!
//! Every shader sees the same four bindings in group 0, all of them words:
//!
//! | binding | WGSL | what |
//! |---|---|---|
//! | 0 | `var<storage, read> input: array<u32>` (or `array<vec4<u32>>` …) | the chunk's elements, little-endian |
//! | 1 | `var<storage, read_write> output: array<u32>` (or `array<atomic<u32>>`) | what comes back |
//! | 2 | `var<storage, read> table: array<u32>` | constants of the pass: edges, small primes |
//! | 3 | `var<uniform> params: Params` | up to 16 words, one set a dispatch |

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::input::Source;

/// The integers that a shader computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Integers {
    /// `u64` and `i64` in the shader.
    Native64,
    /// Pairs of `u32`: base WGSL, for devices without 64-bit integers.
    Limbs32,
}

/// What a kernel may count on when it lays out work for a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuCaps {
    /// 64-bit integers or limbs.
    pub integers: Integers,
    /// Whether an invocation should read a contiguous run (software adapters) rather than neighbours reading neighbouring
    /// words (real GPUs).
    pub contiguous: bool,
    /// The largest binding in bytes.
    pub max_binding_bytes: u64,
    /// Workgroup memory in bytes.
    pub max_workgroup_bytes: u32,
    /// Invocations a workgroup at most.
    pub max_workgroup_invocations: u32,
    /// Workgroups that keep the device busy.
    pub preferred_workgroups: u32,
    /// The least of an input, in bytes, that is worth a dispatch of its own: what is there is computed on while the rest is on
    /// its way.
    pub piece_bytes: u64,
}

impl GpuCaps {
    /// A chunk is cut into so many pieces at most. Where its input is on its way, only the way of the first piece and the
    /// computing of the last one overlap with nothing; where it is on the device already, each piece costs a dispatch and
    /// gains nothing.
    const PIECES_MAX: u64 = 16;

    /// Those of a real GPU, more or less.
    #[cfg(all(test, any(feature = "cli", feature = "gpu")))]
    pub(crate) const EXAMPLE: Self = Self {
        integers: Integers::Native64,
        contiguous: false,
        max_binding_bytes: 1 << 27,
        max_workgroup_bytes: 16384,
        max_workgroup_invocations: 256,
        preferred_workgroups: 64,
        piece_bytes: 4 << 20,
    };

    /// How many elements a dispatch should look at, of a chunk of `elements` of `element_bytes` each.
    pub fn piece_elements(&self, elements: u64, element_bytes: u64) -> u64 {
        let bytes = elements.saturating_mul(element_bytes).div_ceil(Self::PIECES_MAX).max(self.piece_bytes);
        (bytes / element_bytes.max(1)).max(1)
    }
}

/// The most loop trips that one invocation may make in one dispatch, over all its loops: llvmpipe ends loops silently
/// after 65,535.
pub const MAX_LOOP_TRIPS: u32 = 60_000;

/// A WGSL module. Modules are compiled once a device and kept, by their text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shader {
    /// What to call it in messages: `stats f32 native64`.
    pub label: String,
    /// The whole text.
    pub source: Arc<str>,
}

impl Shader {
    /// A module of this text.
    pub fn new(label: impl Into<String>, source: impl Into<Arc<str>>) -> Self {
        Self { label: label.into(), source: source.into() }
    }
}

/// A chunk's input: read by the device, straight into its staging memory.
#[derive(Clone, Debug)]
pub struct GpuInput {
    /// Where the elements come from.
    pub source: Arc<dyn Source>,
    /// Which of them.
    pub range: Range<u64>,
}

/// One dispatch of an entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The entry point's name.
    pub entry: Cow<'static, str>,
    /// How many workgroups; the device folds more than 65,535 into y, so a shader takes its number from both
    /// (`workgroup_id.x + workgroup_id.y * num_workgroups.x`) and ignores numbers past its own count.
    pub workgroups: u32,
    /// Its parameters; padded with zeros to 16 words.
    pub params: Vec<u32>,
    /// The elements of the step's input that it looks at are all before this one, counted from the first; [`Self::WHOLE`] for
    /// all. It may run as soon as these are on the device, and binding 0 may end there.
    pub input_end: u64,
}

impl Dispatch {
    /// The `input_end` of what looks at the whole input.
    pub const WHOLE: u64 = u64::MAX;
}

/// Dispatches over one set of bindings, in order; each sees what those before it wrote. Where they go through the input piece by
/// piece, the device computes on one piece while the next is on its way.
#[derive(Clone, Debug)]
pub struct GpuStep {
    /// The module.
    pub shader: Shader,
    /// Binding 0.
    pub input: Option<GpuInput>,
    /// Binding 1: its length in words. It is zeroed before the first dispatch where `zeroed`, else it holds anything.
    pub output_words: u64,
    /// How many of these, the first ones, are scratch between the dispatches and do not come back.
    pub scratch_words: u64,
    /// Whether the shader relies on zeros in its output, for atomics.
    pub zeroed: bool,
    /// Binding 2.
    pub table: Arc<[u32]>,
    /// What runs.
    pub dispatches: Vec<Dispatch>,
}

/// All that a GPU does for a chunk: its steps are independent of each other, and `gpu_partial` gets the output of each.
///
/// What is made by [`GpuWork::new`] runs with every check that wgpu has. This project's own work runs without bounds checks
/// and loop guards, and can be read but not changed: its shaders are in bounds only with the parameters that it was made with.
#[derive(Clone, Debug)]
pub struct GpuWork {
    steps: Vec<GpuStep>,
    #[cfg_attr(not(feature = "gpu"), expect(dead_code, reason = "only a GPU side asks"))]
    trusted: bool,
}

impl GpuWork {
    /// These steps, with all checks.
    pub fn new(steps: Vec<GpuStep>) -> Self {
        Self { steps, trusted: false }
    }

    /// These steps of this project's own, without checks: whatever their input holds, their indices and loops must be
    /// bounded.
    pub(crate) fn trusted(steps: Vec<GpuStep>) -> Self {
        Self { steps, trusted: true }
    }

    /// The steps.
    pub fn steps(&self) -> &[GpuStep] {
        &self.steps
    }

    /// The steps, to make other work of.
    pub fn into_steps(self) -> Vec<GpuStep> {
        self.steps
    }

    /// The same work over other sources of the same elements: what it was checked for still holds.
    #[cfg(feature = "cli")]
    pub(crate) fn with_sources(mut self, other: impl Fn(&Arc<dyn Source>) -> Arc<dyn Source>) -> Self {
        for input in self.steps.iter_mut().filter_map(|step| step.input.as_mut()) {
            input.source = other(&input.source);
        }
        self
    }

    /// Whether it runs without checks.
    #[cfg(feature = "gpu")]
    pub(crate) fn is_trusted(&self) -> bool {
        self.trusted
    }
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_not_too_small_and_not_too_many() {
        let caps = GpuCaps::EXAMPLE;
        assert_eq!(caps.piece_elements(1000, 8), 1 << 19, "a small chunk is one piece");
        assert_eq!(caps.piece_elements(8 << 20, 4), 1 << 20, "eight pieces");
        assert_eq!(caps.piece_elements(64 << 20, 4), 4 << 20, "sixteen pieces, not sixty-four");
        assert_eq!(caps.piece_elements((64 << 20) + 1, 4), 4 << 20);
        assert_eq!(GpuCaps { piece_bytes: 1, ..caps }.piece_elements(3, 8), 1, "at least one");
        assert_eq!(caps.piece_elements(u64::MAX, 8), 1 << 57);
    }

    #[test]
    fn work_that_was_changed_runs_with_checks() {
        let own = GpuWork::trusted(Vec::new());
        assert!(own.is_trusted() && own.clone().is_trusted());
        assert!(!GpuWork::new(own.into_steps()).is_trusted());
    }
}
