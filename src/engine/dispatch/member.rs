//! A device as one job sees it: how it stands to the job, how fast it is with it, and what it has done for it.

use std::time::Duration;

use crate::device::{DeviceId, Phases};
use crate::engine::dispatch::lanes::Flight;

/// A chunk as short as this tells nothing about a device's speed.
const TELLING: Duration = Duration::from_micros(20);

/// How a device stands to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It folds its chunks.
    Active,
    /// It could, if those that do fail.
    Reserve,
    /// It cannot any more.
    Out,
}

/// A device, as one job sees it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) device: DeviceId,
    /// Its place among the machines.
    pub(super) machine: usize,
    pub(super) standing: Standing,
    /// How many lanes it may occupy.
    pub(super) lanes: u32,
    pub(super) units_per_ms: f64,
    pub(super) setup_ms: f64,
    pub(super) chunk_ms: f64,
    /// Whether its speed is a measurement, from the model or by its own chunks.
    pub(super) measured: bool,
    /// Whether a chunk of this job has shown it.
    pub(super) observed: bool,
    pub(super) in_flight: u32,
    pub(super) chunk_units_max: u64,
    /// Whether the job stands in its queue.
    pub(super) queued: bool,
    pub(super) backlog_ms: f64,
    /// What it takes for a job of one chunk that waits for it.
    pub(super) narrow_ms: Option<f64>,
    /// And the lane time of what of a job of several chunks is in flight nowhere.
    pub(super) wide_ms: Option<f64>,
    pub(super) contended: bool,
    /// A software adapter: it would only take the CPU's cores.
    pub(super) shares_cpu: bool,
    pub(super) done: Done,
}

/// What a device has done for a job.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) chunks: u32,
    pub(super) units: u64,
    pub(super) uploaded_units: u64,
    pub(super) phases: Phases,
    /// Lane time.
    pub(super) busy: Duration,
    /// From the first chunk of a pass to its last, over the passes.
    pub(super) span: Duration,
    begun: Option<Duration>,
    last: Duration,
}

impl Done {
    pub(super) fn begin(&mut self, now: Duration) {
        self.begun.get_or_insert(now);
    }

    pub(super) fn add(&mut self, flight: &Flight, phases: &Phases, resident: bool, now: Duration) {
        let units = flight.units.end - flight.units.start;
        self.chunks = self.chunks.saturating_add(1);
        self.units = self.units.saturating_add(units);
        if !resident {
            self.uploaded_units = self.uploaded_units.saturating_add(units);
        }
        self.phases += *phases;
        self.busy += now.saturating_sub(flight.started);
        self.last = now;
    }

    pub(super) fn close(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.span += self.last.saturating_sub(begun);
        }
    }
}

impl Member {
    pub(super) fn takes_part(&self) -> bool {
        self.standing == Standing::Active
    }

    /// How long a chunk is predicted to take from now.
    pub(super) fn predict(&self, units: u64) -> Duration {
        let ms = self.setup_ms + self.chunk_ms + units as f64 / self.units_per_ms;
        Duration::try_from_secs_f64((ms / 1e3).clamp(0.0, 1e9)).unwrap_or_default()
    }

    /// Corrects the speed by a chunk of the job's own.
    pub(super) fn observe(&mut self, units: u64, elapsed: Duration, setup: Duration) {
        let work = elapsed.saturating_sub(setup);
        if work < TELLING || units == 0 {
            return;
        }
        let work_ms = work.as_secs_f64() * 1e3;
        let seen = (units as f64 / (work_ms - self.chunk_ms).max(0.2 * work_ms)).clamp(1e-12, 1e18);
        self.units_per_ms = if self.measured { (self.units_per_ms * seen).sqrt() } else { seen };
        self.measured = true;
        self.observed = true;
    }
}
