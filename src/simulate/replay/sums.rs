//! What a replayed run comes to.

use std::collections::BTreeMap;

use crate::plan::Policy;
use crate::simulate::replay::{Place, Source, Way};

/// What a device did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DeviceSum {
    /// Jobs that ran there.
    pub jobs: u64,
    /// What they took, one after the other.
    pub ms: f64,
    /// The same, times the threads that each took.
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
    /// The policy; `None` for what was done.
    pub policy: Option<Policy>,
    /// By device.
    pub devices: BTreeMap<Place, DeviceSum>,
    /// What all jobs took, one after the other.
    pub sum_ms: f64,
    /// When the last one ends, where each begins as soon as its lanes are free, in the order of the recording.
    pub makespan_ms: f64,
    /// What was done, by the same count and over the same jobs.
    pub recorded_ms: f64,
    /// Where the times come from.
    pub sources: BTreeMap<Source, SourceSum>,
    /// Jobs of which nothing is known where the policy would have sent them, by id. They are left out of all figures.
    pub unknown: Vec<String>,
    /// Jobs that are counted where they are known, and of which nobody knows what they would take on a GPU.
    pub gpu_unknown: u64,
}

impl Replayed {
    /// How much longer what was done took than this; negative where this takes longer.
    pub fn regret_ms(&self) -> f64 {
        self.recorded_ms - self.makespan_ms
    }

    /// The same as a part of this; `None` where this takes no time.
    pub fn regret(&self) -> Option<f64> {
        (self.makespan_ms > 0.0).then(|| self.regret_ms() / self.makespan_ms)
    }

    /// The part of the time that was measured, 0 to 1.
    pub fn measured(&self) -> f64 {
        let measured = self.sources.get(&Source::Measured).map_or(0.0, |sum| sum.ms);
        if self.sum_ms > 0.0 { measured / self.sum_ms } else { 1.0 }
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

    /// The whole; `recorded_ms` is ignored where this is what was done.
    pub fn finish(self, policy: Option<Policy>, unknown: Vec<String>, gpu_unknown: u64, recorded_ms: f64) -> Replayed {
        let Self { devices, sources, sum_ms, makespan_ms } = self;
        let recorded_ms = if policy.is_some() { recorded_ms } else { makespan_ms };
        Replayed { policy, devices, sum_ms, makespan_ms, recorded_ms, sources, unknown, gpu_unknown }
    }
}
