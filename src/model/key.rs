//! Under what a run is remembered, and what of it.

use serde::{Deserialize, Serialize};

use crate::kernels::Work;

/// Classes an octave: what one class holds differs by a tenth from its middle at most.
const CLASSES_PER_OCTAVE: f64 = 4.0;

/// What a unit costs by the kernel's own account, in classes four an octave.
///
/// Two jobs of one kernel and variant can differ a thousandfold in what a unit takes: a range near 2^64 against one near 0,
/// a table of ten columns against one of one. Their kernel knows that, so its account tells them apart; how right the
/// account is, only measuring shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CostClass(pub(super) i16);

impl CostClass {
    /// That of facts that hold whatever a unit costs.
    pub const ANY: Self = Self(i16::MIN);

    /// That of work which tells nothing of what a unit costs.
    pub const UNTOLD: Self = Self(i16::MAX);

    /// The class of so many nanoseconds a unit.
    pub fn of(ns_per_unit: f64) -> Self {
        let ns = if ns_per_unit.is_nan() { 1.0 } else { ns_per_unit.clamp(1e-9, 1e18) };
        Self((ns.log2() * CLASSES_PER_OCTAVE).round() as i16)
    }

    /// The nanoseconds in its middle; not a number for [`CostClass::ANY`] and [`CostClass::UNTOLD`].
    pub fn ns(self) -> f64 {
        if self.is_told() { (f64::from(self.0) / CLASSES_PER_OCTAVE).exp2() } else { f64::NAN }
    }

    /// Whether it is a class of costs.
    pub(super) fn is_told(self) -> bool {
        self != Self::ANY && self != Self::UNTOLD
    }

    /// How many octaves apart two are.
    pub fn octaves_from(self, other: Self) -> f64 {
        (f64::from(self.0) - f64::from(other.0)).abs() / CLASSES_PER_OCTAVE
    }

    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn is_any(&self) -> bool {
        *self == Self::ANY
    }
}

impl Default for CostClass {
    fn default() -> Self {
        Self::ANY
    }
}

/// Whose time is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelKey<'a> {
    /// The kernel's name in the registry.
    pub kernel: &'a str,
    /// What else decides its speed: [`Work::variant`].
    pub variant: &'a str,
    /// What a unit costs by the kernel's own account.
    pub cost: CostClass,
    /// The device's fingerprint.
    pub fingerprint: &'a str,
    /// Threads of the CPU; 1 for a GPU.
    pub lanes: u32,
}

impl<'a> ModelKey<'a> {
    /// That of this work on so many lanes of a device.
    pub fn of(work: &'a Work, fingerprint: &'a str, lanes: u32) -> Self {
        let cost = CostClass::of(work.prior_ns_per_unit);
        Self { kernel: work.kernel, variant: &work.variant, cost, fingerprint, lanes }
    }

    /// Facts about a device that hold for every kernel.
    pub(super) const fn device(fingerprint: &'a str) -> Self {
        Self { kernel: "", variant: "", cost: CostClass::ANY, fingerprint, lanes: 0 }
    }

    /// What the jobs are called that have a choice between this key and others: of a program with a variant for the CPU and one for
    /// a GPU its name, else the variant.
    pub(super) fn family(&self) -> &'a str {
        let name = || self.variant.strip_suffix(" cpu").or_else(|| self.variant.strip_suffix(" gpu"));
        let is_program = self.cost == CostClass::UNTOLD;
        if is_program { name().unwrap_or(self.variant) } else { self.variant }
    }

    /// Facts about a kernel on a device that hold whatever the job.
    pub(super) const fn kernel_on(kernel: &'a str, fingerprint: &'a str) -> Self {
        Self { kernel, ..Self::device(fingerprint) }
    }
}

/// The first word of a variant: the element type or the method, without what else is asked for.
pub(super) fn base(variant: &str) -> &str {
    variant.split(' ').next().unwrap_or_default()
}

/// What a run took, on one device, by itself or as its share of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// The units that the device folded in each pass.
    pub units: u64,
    /// The passes that the times are summed over; as many as were planned, so that prediction and run are counted alike.
    pub passes: u32,
    /// Bytes uploaded, over all passes.
    pub bytes: u64,
    /// Opening the device and compiling shaders.
    pub setup_ms: f64,
    /// Moving input to the device.
    pub upload_ms: f64,
    /// From the first chunk to the last, less the other phases.
    pub compute_ms: f64,
    /// Moving results back.
    pub readback_ms: f64,
    /// Whether the device was opened by this run.
    pub cold: bool,
    /// Whether the input lay on the device already.
    pub resident: bool,
    /// Whether other jobs shared the device meanwhile.
    pub contended: bool,
    /// Whether the device was tried in order to learn, where another choice was predicted to end first.
    pub explored: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_what_differs_little_and_hostile_costs_have_one_too() {
        for ns in [0.003, 0.4, 1.0, 59.0, 60.0, 2e5] {
            let ratio = CostClass::of(ns).ns() / ns;
            assert!((0.9..1.1).contains(&ratio), "{ns}: {ratio}");
        }
        assert_ne!(CostClass::of(1.0), CostClass::of(1.3));
        assert!(CostClass::UNTOLD.ns().is_nan() && CostClass::of(f64::MAX) < CostClass::UNTOLD);
        assert!((CostClass::of(1.0).octaves_from(CostClass::of(8.0)) - 3.0).abs() < 1e-9);
        for ns in [f64::NAN, -1.0, 0.0, f64::INFINITY, f64::MIN_POSITIVE] {
            assert!(CostClass::of(ns).ns() > 0.0, "{ns}");
        }
    }

    #[test]
    fn the_base_of_a_variant_is_its_first_word() {
        assert_eq!((base("f32"), base("f32 quantiles histogram"), base("")), ("f32", "f32", ""));
    }
}
