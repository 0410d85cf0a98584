//! The table of what has been measured: a curve for each phase of each kernel, variant, device and number of lanes.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::model::Forecast;
use crate::model::curve::{Belief, Curve};

/// A stale entry is due for a probe after this many runs of its kernel elsewhere; twice as many after each probe that
/// found nothing new.
const PROBE_AFTER_RUNS: u64 = 4;
/// The number of doublings of that.
const CALM_MAX: u32 = 6;
/// Stands for a phase that took no time of its own: a curve holds positive times.
const NO_TIME_MS: f64 = 1e-6;
/// Longer timings than this (eleven days) are refused as nonsense.
pub(super) const LONGEST_RUN_MS: f64 = 1e9;

/// Whose time is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelKey<'a> {
    /// The kernel's name in the registry.
    pub kernel: &'a str,
    /// What else decides its speed: [`Work::variant`](crate::kernels::Work).
    pub variant: &'a str,
    /// The device's fingerprint.
    pub fingerprint: &'a str,
    /// Threads of the CPU; 1 for a GPU.
    pub lanes: u32,
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
}

/// One line of the table, for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The kernel; empty for facts about a device that hold for all of them.
    pub kernel: String,
    /// Its variant.
    pub variant: String,
    /// The device's fingerprint.
    pub device: String,
    /// Lanes.
    pub lanes: u32,
    /// Which phase: `setup`, `upload`, `compute`, `readback`. Units of `upload` lines without a kernel are bytes.
    pub phase: &'static str,
    /// Median units of the size class.
    pub units: f64,
    /// Median milliseconds, a pass.
    pub ms: f64,
    /// Runs remembered in the class.
    pub samples: u32,
}

/// The curves of one key. Facts about a device stand under the empty kernel and variant and 0 lanes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Entry {
    kernel: String,
    variant: String,
    device: String,
    lanes: u32,
    #[serde(default, skip_serializing_if = "Curve::is_empty")]
    setup: Curve,
    #[serde(default, skip_serializing_if = "Curve::is_empty")]
    upload: Curve,
    #[serde(default, skip_serializing_if = "Curve::is_empty")]
    compute: Curve,
    #[serde(default, skip_serializing_if = "Curve::is_empty")]
    readback: Curve,
    /// Runs learned.
    #[serde(default)]
    runs: u64,
    /// The runs of this kernel and variant on all devices, when it last learned.
    #[serde(default)]
    seen_at: u64,
    /// Probes in a row that found nothing new.
    #[serde(default)]
    calm: u32,
}

impl Entry {
    fn key(&self) -> ModelKey<'_> {
        ModelKey { kernel: &self.kernel, variant: &self.variant, fingerprint: &self.device, lanes: self.lanes }
    }
}

/// Throughput models: what has been measured, and what it predicts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Model {
    /// Ascending by key, so that a look-up needs no allocation.
    #[serde(default)]
    entries: Vec<Entry>,
}

impl Model {
    /// A model that knows nothing.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Whether nothing has been learned.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Learns from a run. Returns whether it could: what is zero, negative or not a number is refused.
    pub fn learn(&mut self, key: ModelKey<'_>, run: &Measured) -> bool {
        let phases = [run.setup_ms, run.upload_ms, run.compute_ms, run.readback_ms];
        let sane = phases.iter().all(|ms| (0.0..LONGEST_RUN_MS).contains(ms));
        if !sane || run.units == 0 || run.passes == 0 || run.compute_ms <= 0.0 {
            return false;
        }
        let passes = f64::from(run.passes);
        let compute_ms = run.compute_ms / passes;
        let all_runs = self.runs_of(key.kernel, key.variant).saturating_add(1);
        let entry = self.entry(key);
        if entry.runs > 0 && all_runs.saturating_sub(entry.seen_at) > PROBE_AFTER_RUNS {
            let expected = entry.compute.predict(run.units, Belief::PROPORTIONAL);
            let news = expected.is_none_or(|was| compute_ms > was.ms * 1.5 || compute_ms * 1.5 < was.ms);
            entry.calm = if news { 0 } else { (entry.calm + 1).min(CALM_MAX) };
        }
        entry.runs = entry.runs.saturating_add(1);
        entry.seen_at = all_runs;
        entry.compute.learn(run.units, compute_ms, run.contended);
        if run.readback_ms > 0.0 {
            entry.readback.learn(run.units, run.readback_ms / passes, run.contended);
        }
        // That an upload takes no time of its own (shared memory) is worth knowing too.
        if run.bytes > 0 && !run.resident {
            entry.upload.learn(run.units, (run.upload_ms / passes).max(NO_TIME_MS), run.contended);
        }
        if run.cold && run.setup_ms > 0.0 {
            entry.setup.learn(1, run.setup_ms, run.contended);
        }
        let uploaded = run.upload_ms > 0.0 && run.bytes > 0 && !run.resident;
        if uploaded || (run.cold && run.setup_ms > 0.0) {
            let device = self.entry(device_key(key.fingerprint));
            device.runs = device.runs.saturating_add(1);
            if uploaded {
                device.upload.learn(run.bytes, run.upload_ms, run.contended);
            }
            if run.cold && run.setup_ms > 0.0 {
                device.setup.learn(1, run.setup_ms, run.contended);
            }
        }
        true
    }

    /// How long one pass over `units` computes; `None` where this key has never been run. `belief` is used
    /// where too few sizes have been seen to tell how time grows with size.
    pub fn compute(&self, key: ModelKey<'_>, units: u64, belief: Belief) -> Option<Forecast> {
        self.find(key)?.compute.predict(units, belief)
    }

    /// How long the upload of one pass over `units` takes.
    pub fn upload(&self, key: ModelKey<'_>, units: u64) -> Option<Forecast> {
        self.find(key)?.upload.predict(units, Belief::PROPORTIONAL)
    }

    /// How long the read-back of one pass over `units` takes.
    pub fn readback(&self, key: ModelKey<'_>, units: u64) -> Option<Forecast> {
        self.find(key)?.readback.predict(units, Belief::PROPORTIONAL)
    }

    /// How long it takes to open the device and prepare this kernel on it: as measured with this kernel, or else with
    /// any.
    pub fn setup_cold(&self, key: ModelKey<'_>) -> Option<Forecast> {
        let own = self.find(key).and_then(|entry| entry.setup.predict(1, Belief::PROPORTIONAL));
        own.or_else(|| self.find(device_key(key.fingerprint))?.setup.predict(1, Belief::PROPORTIONAL))
    }

    /// How long this device takes to receive so many bytes, whatever the kernel.
    pub fn upload_bytes(&self, fingerprint: &str, bytes: u64) -> Option<Forecast> {
        self.find(device_key(fingerprint))?.upload.predict(bytes, Belief::PROPORTIONAL)
    }

    /// Which numbers of lanes of this device have been measured with this kernel and variant, ascending.
    pub fn lanes_known(&self, kernel: &str, variant: &str, fingerprint: &str) -> impl Iterator<Item = u32> + '_ {
        let first = ModelKey { kernel, variant, fingerprint, lanes: 0 };
        let last = ModelKey { lanes: u32::MAX, ..first };
        let from = self.entries.partition_point(|entry| entry.key() < first);
        let to = self.entries.partition_point(|entry| entry.key() <= last);
        self.entries[from..to].iter().filter(|entry| !entry.compute.is_empty()).map(|entry| entry.lanes)
    }

    /// Whether this key should be tried: never run, or not for so many runs of its kernel elsewhere that what is known
    /// of it may be stale.
    pub fn due_for_probe(&self, key: ModelKey<'_>) -> bool {
        self.find(key).is_none_or(|entry| {
            let since = self.runs_of(key.kernel, key.variant).saturating_sub(entry.seen_at);
            entry.compute.is_empty() || since >= PROBE_AFTER_RUNS << entry.calm.min(CALM_MAX)
        })
    }

    /// The whole table, ascending by kernel, variant, device, lanes, phase and size.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for entry in &self.entries {
            let phases: [(&'static str, &Curve); 4] = [
                ("setup", &entry.setup),
                ("upload", &entry.upload),
                ("compute", &entry.compute),
                ("readback", &entry.readback),
            ];
            for (phase, curve) in phases {
                rows.extend(curve.points().map(|(units, ms, samples)| Row {
                    kernel: entry.kernel.clone(),
                    variant: entry.variant.clone(),
                    device: entry.device.clone(),
                    lanes: entry.lanes,
                    phase,
                    units,
                    ms,
                    samples,
                }));
            }
        }
        rows
    }

    /// How many runs it remembers.
    pub fn samples(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.compute.samples())).sum()
    }

    /// Puts what was read from a file into order.
    pub(super) fn restore(&mut self) {
        for entry in &mut self.entries {
            for curve in [&mut entry.setup, &mut entry.upload, &mut entry.compute, &mut entry.readback] {
                curve.restore();
            }
        }
        self.entries.sort_by(|a, b| a.key().cmp(&b.key()));
        self.entries.dedup_by(|a, b| a.key() == b.key());
    }

    fn runs_of(&self, kernel: &str, variant: &str) -> u64 {
        let order = |entry: &Entry| (entry.kernel.as_str(), entry.variant.as_str()).cmp(&(kernel, variant));
        let from = self.entries.partition_point(|entry| order(entry) == Ordering::Less);
        self.entries[from..]
            .iter()
            .take_while(|entry| order(entry) == Ordering::Equal)
            .fold(0_u64, |sum, entry| sum.saturating_add(entry.runs))
    }

    fn find(&self, key: ModelKey<'_>) -> Option<&Entry> {
        self.entries.binary_search_by(|entry| entry.key().cmp(&key)).ok().map(|at| &self.entries[at])
    }

    fn entry(&mut self, key: ModelKey<'_>) -> &mut Entry {
        let at = match self.entries.binary_search_by(|entry| entry.key().cmp(&key)) {
            Ok(at) => at,
            Err(at) => {
                let entry = Entry {
                    kernel: key.kernel.to_owned(),
                    variant: key.variant.to_owned(),
                    device: key.fingerprint.to_owned(),
                    lanes: key.lanes,
                    ..Entry::default()
                };
                self.entries.insert(at, entry);
                at
            }
        };
        &mut self.entries[at]
    }
}

fn device_key(fingerprint: &str) -> ModelKey<'_> {
    ModelKey { kernel: "", variant: "", fingerprint, lanes: 0 }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
