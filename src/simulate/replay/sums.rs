//! What a replayed run comes to.

use std::collections::BTreeMap;

use crate::plan::Policy;
use crate::simulate::replay::{Place, Source, Way};

/// Of which run the figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// What was done, by the clock.
    Recorded,
    /// What was done, as the policies are counted: without what jobs waited for but lanes.
    Repeated,
    /// What the policy would have done.
    Under(Policy),
}

impl Which {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Repeated => "repeated",
            Self::Under(policy) => policy.name(),
        }
    }
}

/// What a device did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DeviceSum {
    /// Jobs that ran there.
    pub jobs: u64,
    /// What they took, one after the other.
    pub ms: f64,
    /// The same, times the threads that each took; means nothing where nobody knows how many there are.
    pub lane_ms: f64,
}

/// How much comes from one source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SourceSum {
    /// Jobs.
    pub jobs: u64,
    /// What they took.
    pub ms: f64,
}

/// A run under a policy, or as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// Which.
    pub which: Which,
    /// Threads of the CPU; `None` where nobody knows.
    pub threads: Option<u32>,
    /// By device.
    pub devices: BTreeMap<Place, DeviceSum>,
    /// What all jobs took, one after the other, each with its lanes to itself, in milliseconds.
    pub sum_ms: f64,
    /// When the last one ends, in milliseconds; `None` where no job is counted, or nobody knows how many lanes there are. What was done ended
    /// when it did; otherwise each job begins as soon as its lanes are free, in the order of the recording.
    pub makespan_ms: Option<f64>,
    /// The makespan of what was done, counted alike, in milliseconds; `None` where that cannot be compared, as where jobs were left out.
    pub recorded_ms: Option<f64>,
    /// Where the times come from.
    pub sources: BTreeMap<Source, SourceSum>,
    /// Jobs of which nothing is known where the policy would have sent them, by id. They are left out of all figures.
    pub unknown: Vec<String>,
    /// Jobs that are counted where they are known, and of which nobody knows what they would take on a GPU.
    pub gpu_unknown: u64,
}

impl Replayed {
    /// How many jobs are counted.
    pub fn jobs(&self) -> u64 {
        self.devices.values().map(|device| device.jobs).sum()
    }

    /// How much longer what was done took than this, in milliseconds; negative where this takes longer.
    pub fn regret_ms(&self) -> Option<f64> {
        Some(self.recorded_ms? - self.makespan_ms?)
    }

    /// The same as a part of this; `None` also where this takes no time.
    pub fn regret(&self) -> Option<f64> {
        let makespan_ms = self.makespan_ms.filter(|ms| *ms > 0.0)?;
        Some(self.regret_ms()? / makespan_ms)
    }

    /// The part of the time that was measured with nobody else on the lanes, 0 to 1; `None` where no job is counted.
    pub fn measured(&self) -> Option<f64> {
        let measured = self.sources.get(&Source::Measured).copied().unwrap_or_default();
        let part =
            if self.sum_ms > 0.0 { measured.ms / self.sum_ms } else { measured.jobs as f64 / self.jobs() as f64 };
        (self.jobs() > 0).then_some(part)
    }
}

/// Adds up.
#[derive(Debug, Default)]
pub(super) struct Sums {
    devices: BTreeMap<Place, DeviceSum>,
    sources: BTreeMap<Source, SourceSum>,
    sum_ms: f64,
    makespan_ms: f64,
}

impl Sums {
    pub fn add(&mut self, way: &Way, ms: f64, end_ms: f64) {
        let device = self.devices.entry(way.place).or_default();
        device.jobs += 1;
        device.ms += ms;
        device.lane_ms += ms * f64::from(way.threads);
        let source = self.sources.entry(way.source).or_default();
        source.jobs += 1;
        source.ms += ms;
        self.sum_ms += ms;
        self.makespan_ms = self.makespan_ms.max(end_ms);
    }

    /// The whole. Its makespan is what was added, if there was anything and the number of threads is known; it is compared with nothing.
    pub fn finish(self, which: Which, threads: Option<u32>) -> Replayed {
        let Self { devices, sources, sum_ms, makespan_ms } = self;
        let makespan_ms = threads.filter(|_| !devices.is_empty()).map(|_| makespan_ms);
        let (recorded_ms, unknown, gpu_unknown) = (None, Vec::new(), 0);
        Replayed { which, threads, devices, sum_ms, makespan_ms, recorded_ms, sources, unknown, gpu_unknown }
    }
}
