//! What came of a simulated run.

use std::time::Duration;

use crate::device::DeviceId;
use crate::timeline::Timeline;

/// What came of a simulated run.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// From the first job's begin to the last one's end.
    pub makespan: Duration,
    /// No schedule ends earlier.
    pub lower_bound: Duration,
    /// What each device did, the CPU first.
    pub devices: Vec<DeviceUse>,
    /// How long jobs waited, from when they might have begun to when they did.
    pub waiting: Waiting,
    /// Jobs that ended.
    pub jobs: u64,
    /// Jobs that cannot run as they ask on this machine, and why; those that wait for them are among them.
    pub refused: Vec<(u64, String)>,
    /// How many plans were made.
    pub plans: u64,
    /// How many chunks were folded, batches of small jobs among them.
    pub chunks: u64,
    /// Who did what when, where that was asked for.
    pub timeline: Option<Timeline>,
}

/// What a device did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeviceUse {
    /// Which.
    pub device: DeviceId,
    /// How long it was busy, over all its lanes.
    pub busy: Duration,
    /// Its part of all the work, as kernels and tasks count it, 0 to 1.
    pub share: f64,
}

/// How long jobs waited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waiting {
    /// On average.
    pub mean: Duration,
    /// 95 of 100 waited no longer.
    pub p95: Duration,
    /// The one that waited longest.
    pub max: Duration,
}

impl Simulated {
    /// By how much it is above the lower bound: 0.11 for 11 %.
    pub fn above_bound(&self) -> f64 {
        let bound = self.lower_bound.as_secs_f64();
        if bound > 0.0 { self.makespan.as_secs_f64() / bound - 1.0 } else { 0.0 }
    }
}

impl Waiting {
    /// Of these times in milliseconds.
    pub(super) fn of(waits_ms: &mut [f64]) -> Self {
        if waits_ms.is_empty() {
            return Self::default();
        }
        let mean = waits_ms.iter().sum::<f64>() / waits_ms.len() as f64;
        let rank = (waits_ms.len() * 95).div_ceil(100).max(1) - 1;
        let (_, p95, later) = waits_ms.select_nth_unstable_by(rank, f64::total_cmp);
        let p95 = *p95;
        let max = later.iter().copied().fold(p95, f64::max);
        Self { mean: duration(mean), p95: duration(p95), max: duration(max) }
    }
}

/// So many milliseconds.
pub(super) fn duration(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1e3).unwrap_or(Duration::MAX)
}
