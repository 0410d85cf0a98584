//! The table of what has been measured: a curve for each phase of each kernel, variant, cost class, device and number of
//! lanes.

mod alike;

use serde::{Deserialize, Serialize};

use crate::model::curve::{Belief, Curve};
use crate::model::key::base;
use crate::model::memory::MemoryTable;
use crate::model::places::Places;
use crate::model::reopening::Reopening;
use crate::model::{CostClass, Forecast, Measured, MemoryRow, ModelKey};

pub(crate) use alike::Alike;

/// A stale entry is due for a probe after this many runs of its kernel elsewhere; twice as many after each probe that
/// found nothing new.
const PROBE_AFTER_RUNS: u64 = 4;
/// The number of doublings of that.
const CALM_MAX: u32 = 6;
/// Stands for a phase that took no time of its own: a curve holds positive times.
const NO_TIME_MS: f64 = 1e-6;
/// Longer timings than this (eleven days) are refused as nonsense.
pub(super) const LONGEST_RUN_MS: f64 = 1e9;

/// One line of the table, for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The kernel; empty for facts about a device that hold for all of them.
    pub kernel: String,
    /// Its variant; empty for facts that hold for all of them.
    pub variant: String,
    /// What a unit costs by the kernel's own account, about, in nanoseconds; absent where it does not matter.
    pub prior_ns: Option<f64>,
    /// The device's fingerprint.
    pub device: String,
    /// Lanes.
    pub lanes: u32,
    /// Which phase: `setup` (the device was opened), `prepare` (it was open), `upload`, `compute`, `readback`. Units of
    /// `upload` lines without a kernel are bytes.
    pub phase: &'static str,
    /// Median units of the size class.
    pub units: f64,
    /// Median milliseconds, a pass.
    pub ms: f64,
    /// Runs remembered in the class.
    pub samples: u32,
}

/// The curves of one key. Facts about a device stand under the empty kernel and variant and 0 lanes, and so do, under the
/// kernel's name, facts about a kernel on it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Entry {
    kernel: String,
    variant: String,
    /// Absent in files of versions that did not tell costs apart, whose curves are mixtures.
    #[serde(default, skip_serializing_if = "CostClass::is_any")]
    cost: CostClass,
    device: String,
    lanes: u32,
    /// Opening the device and preparing the kernel on it.
    #[serde(default, skip_serializing_if = "Curve::is_empty")]
    setup: Curve,
    /// Preparing the kernel on the open device.
    #[serde(default, skip_serializing_if = "Curve::is_empty")]
    prepare: Curve,
    #[serde(default, skip_serializing_if = "Curve::is_empty")]
    upload: Curve,
    #[serde(default, skip_serializing_if = "Curve::is_empty")]
    compute: Curve,
    #[serde(default, skip_serializing_if = "Curve::is_empty")]
    readback: Curve,
    /// Runs learned.
    #[serde(default)]
    runs: u64,
    /// The runs of this kernel and variant on all devices, when it last learned; of a program, those of all its variants.
    #[serde(default)]
    seen_at: u64,
    /// Probes in a row that found nothing new.
    #[serde(default)]
    calm: u32,
    /// When the device may be opened to learn; of devices alone.
    #[serde(default, skip_serializing_if = "Reopening::is_default")]
    reopening: Reopening,
}

impl Entry {
    fn key(&self) -> ModelKey<'_> {
        let Self { kernel, variant, cost, device, lanes, .. } = self;
        ModelKey { kernel, variant, cost: *cost, fingerprint: device, lanes: *lanes }
    }

    fn curves(&self) -> [(&'static str, &Curve); 5] {
        [
            ("setup", &self.setup),
            ("prepare", &self.prepare),
            ("upload", &self.upload),
            ("compute", &self.compute),
            ("readback", &self.readback),
        ]
    }
}

/// Throughput models: what has been measured, and what it predicts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Model {
    /// Ascending by key.
    #[serde(default)]
    entries: Vec<Entry>,
    #[serde(skip)]
    places: Places,
    /// Absent in files of versions that did not look at it, which leave it out when they write one.
    #[serde(default, skip_serializing_if = "MemoryTable::is_empty")]
    memory: MemoryTable,
}

impl Model {
    /// A model that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing has been learned.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.memory.is_empty()
    }

    /// Learns that so many runs of programs of this name held `peak_bytes` at once, at most. Returns whether it could.
    pub fn learn_memory(&mut self, name: &str, peak_bytes: u64, runs: u32) -> bool {
        self.memory.learn(name, peak_bytes, runs)
    }

    /// What a program of this name is expected to hold at most: as much as any of its last some hundred runs.
    pub fn memory_of(&self, name: &str) -> Option<MemoryRow> {
        self.memory.of(name)
    }

    /// What is known of the memory of programs, by name.
    pub fn memory_rows(&self) -> Vec<MemoryRow> {
        self.memory.rows()
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
        let all_runs = self.runs_of(key).saturating_add(1);
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
        if run.upload_ms > 0.0 && run.bytes > 0 && !run.resident {
            let device = self.entry(ModelKey::device(key.fingerprint));
            device.upload.learn(run.bytes, run.upload_ms, run.contended);
        }
        self.learn_setup(key, run);
        for device in self.entries.iter_mut().take_while(|entry| entry.kernel.is_empty()) {
            if device.device != key.fingerprint && !device.setup.is_empty() {
                device.reopening.ran_elsewhere(phases.iter().sum());
            }
        }
        true
    }

    /// What opening a device takes and what preparing a kernel takes once it is open depend on the kernel and the device,
    /// and not on the job.
    fn learn_setup(&mut self, key: ModelKey<'_>, run: &Measured) {
        if run.setup_ms <= 0.0 {
            return;
        }
        for key in [ModelKey::device(key.fingerprint), ModelKey::kernel_on(key.kernel, key.fingerprint)] {
            let entry = self.entry(key);
            if run.cold {
                if key.kernel.is_empty() {
                    let expected = entry.setup.predict(1, Belief::PROPORTIONAL).map(|was| was.ms);
                    entry.reopening.opened(run.setup_ms, expected, run.explored);
                }
                entry.setup.learn(1, run.setup_ms, run.contended);
            } else {
                entry.prepare.learn(1, run.setup_ms, run.contended);
            }
        }
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
        self.of_kernel_or_device(key, |entry| &entry.setup)
    }

    /// How long it takes to prepare this kernel on the device once that is open: as measured with this kernel, or else
    /// with any.
    pub fn setup_warm(&self, key: ModelKey<'_>) -> Option<Forecast> {
        self.of_kernel_or_device(key, |entry| &entry.prepare)
    }

    fn of_kernel_or_device(&self, key: ModelKey<'_>, curve: fn(&Entry) -> &Curve) -> Option<Forecast> {
        let keys = [ModelKey::kernel_on(key.kernel, key.fingerprint), ModelKey::device(key.fingerprint)];
        keys.into_iter().find_map(|key| curve(self.find(key)?).predict(1, Belief::PROPORTIONAL))
    }

    /// Whether so much has run elsewhere since this device was last opened that opening it again, in order to learn what
    /// that takes now, is due and within bounds, if it takes `price_ms`.
    pub fn due_for_reopening(&self, fingerprint: &str, price_ms: f64) -> bool {
        self.find(ModelKey::device(fingerprint)).is_some_and(|device| device.reopening.is_due(price_ms))
    }

    /// How long this device takes to receive so many bytes, whatever the kernel.
    pub fn upload_bytes(&self, fingerprint: &str, bytes: u64) -> Option<Forecast> {
        self.find(ModelKey::device(fingerprint))?.upload.predict(bytes, Belief::PROPORTIONAL)
    }

    /// What has been measured of this kernel on this device, other than under this very key, and may tell something about
    /// it: other numbers of lanes, other costs of a unit, other variants with the same first word.
    pub fn relatives<'a>(&'a self, key: ModelKey<'a>) -> impl Iterator<Item = ModelKey<'a>> {
        let base = base(key.variant);
        let from =
            self.entries.partition_point(|entry| (entry.kernel.as_str(), entry.variant.as_str()) < (key.kernel, base));
        self.entries[from..]
            .iter()
            .take_while(move |entry| entry.kernel == key.kernel && entry.variant.starts_with(base))
            .filter(move |entry| entry.device == key.fingerprint && !entry.compute.is_empty())
            .map(Entry::key)
            .filter(move |other| *other != key && self::base(other.variant) == base)
    }

    /// Whether this key should be tried: never run, or not for so many runs of its kernel elsewhere that what is known
    /// of it may be stale.
    pub fn due_for_probe(&self, key: ModelKey<'_>) -> bool {
        self.find(key).is_none_or(|entry| is_due(entry, self.runs_of(key)))
    }

    /// The whole table, ascending by kernel, variant, cost, device, lanes, phase and size.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for entry in &self.entries {
            for (phase, curve) in entry.curves() {
                rows.extend(curve.points().map(|(units, ms, samples)| Row {
                    kernel: entry.kernel.clone(),
                    variant: entry.variant.clone(),
                    prior_ns: entry.cost.is_told().then(|| entry.cost.ns()),
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

    /// Puts what was read from a file into order, and drops what older versions mixed.
    pub(super) fn restore(&mut self) {
        self.memory.restore();
        self.entries.retain(|entry| entry.lanes == 0 || !entry.cost.is_any());
        for entry in &mut self.entries {
            let Entry { setup, prepare, upload, compute, readback, .. } = entry;
            for curve in [setup, prepare, upload, compute, readback] {
                curve.restore();
            }
            entry.reopening.restore();
        }
        self.entries.sort_by(|a, b| a.key().cmp(&b.key()));
        self.entries.dedup_by(|a, b| a.key() == b.key());
        self.places = Places::of(self.entries.iter().map(Entry::key));
    }

    /// How many jobs like these have run elsewhere since this key was last run.
    pub fn runs_since(&self, key: ModelKey<'_>) -> u64 {
        self.runs_of(key).saturating_sub(self.find(key).map_or(0, |entry| entry.seen_at))
    }

    /// How often jobs like these ran, on whatever device.
    fn runs_of(&self, key: ModelKey<'_>) -> u64 {
        let sum = |sum: u64, entry: &Entry| sum.saturating_add(entry.runs);
        let family = key.family();
        if family == key.variant
            && key.cost != CostClass::UNTOLD
            && let Ok(at) = self.search(key)
        {
            // They stand side by side.
            let alike =
                |entry: &&Entry| entry.cost == key.cost && entry.variant == key.variant && entry.kernel == key.kernel;
            let (before, from) = self.entries.split_at(at);
            let after = from.iter().take_while(alike).fold(0, sum);
            return before.iter().rev().take_while(alike).fold(after, sum);
        }
        let from = self
            .entries
            .partition_point(|entry| (entry.kernel.as_str(), entry.variant.as_str()) < (key.kernel, family));
        self.entries[from..]
            .iter()
            .take_while(|entry| entry.kernel == key.kernel && entry.variant.starts_with(family))
            .filter(|entry| entry.cost == key.cost && entry.key().family() == family)
            .fold(0, sum)
    }

    fn find(&self, key: ModelKey<'_>) -> Option<&Entry> {
        match self.places.find(key).map(|at| &self.entries[at]) {
            Some(entry) if entry.key() == key => Some(entry),
            None if self.places.len() == self.entries.len() => None,
            // Two keys share a place.
            _ => self.search(key).ok().map(|at| &self.entries[at]),
        }
    }

    /// The place of a key, or the one where it would stand.
    fn search(&self, key: ModelKey<'_>) -> Result<usize, usize> {
        match self.places.find(key) {
            Some(at) if self.entries[at].key() == key => Ok(at),
            _ => self.entries.binary_search_by(|entry| entry.key().cmp(&key)),
        }
    }

    fn entry(&mut self, key: ModelKey<'_>) -> &mut Entry {
        let at = match self.search(key) {
            Ok(at) => at,
            Err(at) => {
                let entry = Entry {
                    kernel: key.kernel.to_owned(),
                    variant: key.variant.to_owned(),
                    cost: key.cost,
                    device: key.fingerprint.to_owned(),
                    lanes: key.lanes,
                    ..Entry::default()
                };
                self.entries.insert(at, entry);
                self.places.insert(key, at);
                at
            }
        };
        &mut self.entries[at]
    }
}

/// Whether this entry should be tried, where jobs like these ran so often on all devices.
fn is_due(entry: &Entry, all_runs: u64) -> bool {
    let runs_since = all_runs.saturating_sub(entry.seen_at);
    entry.compute.is_empty() || runs_since >= PROBE_AFTER_RUNS << entry.calm.min(CALM_MAX)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
