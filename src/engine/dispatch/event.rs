//! What happens, and what is to be done about it.

use std::ops::Range;

use crate::device::{DeviceError, DeviceId, DeviceInfo, Phases};
use crate::engine::dispatch::JobReport;
use crate::engine::dispatch::chunk::CHUNK_MS_MAX;
use crate::job::{DeviceChoice, JobError};
use crate::kernels::Work;
use crate::plan::{Part, Plan, Power};

/// One chunk in flight: on which lane of which device. Its serial is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The device.
    pub device: DeviceId,
    /// The lane, from 0.
    pub lane: u32,
    /// The number of the chunk.
    pub serial: u64,
}

/// A device that chunks can be given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// Which.
    pub device: DeviceId,
    /// How many chunks it folds at once.
    pub lanes: u32,
    /// The largest chunk of input that it takes, in bytes.
    pub max_chunk_bytes: u64,
    /// Whether it computes on the cores of the CPU: a software adapter.
    pub shares_cpu: bool,
}

impl Lanes {
    /// The lanes of the device that this describes.
    pub fn of(info: &DeviceInfo) -> Self {
        Self {
            device: info.id,
            lanes: info.lanes,
            max_chunk_bytes: info.max_chunk_bytes.min(info.memory_bytes.unwrap_or(u64::MAX)),
            shares_cpu: info.is_software(),
        }
    }
}

/// A job that may begin.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The engine's number for the job.
    pub job: u64,
    /// Jobs of lower order come first; admissions of equal order keep theirs.
    pub order: u64,
    /// Units of a pass.
    pub units: u64,
    /// Chunks begin at multiples of this.
    pub granularity: u64,
    /// Bytes of input a unit.
    pub bytes_per_unit: f64,
    /// Passes that are expected.
    pub passes: u32,
    /// Where the user lets it run.
    pub policy: DeviceChoice,
    /// Devices that it runs on, by the plan.
    pub(super) active: Vec<DeviceId>,
    /// How long a chunk is meant to take at most, in milliseconds.
    pub(super) chunk_ms_max: f64,
    /// What each device is predicted to do, reserves among them.
    pub(super) powers: Vec<Power>,
    /// What is run elsewhere to learn.
    pub(super) probe: Option<Part>,
}

impl Admission {
    /// The admission of a job with this work under this plan.
    pub fn new(job: u64, order: u64, work: &Work, plan: &Plan, policy: DeviceChoice) -> Self {
        Self {
            job,
            order,
            units: work.units,
            granularity: work.granularity.max(1),
            bytes_per_unit: work.bytes_per_unit,
            passes: work.passes.max(1),
            policy,
            active: plan.powers.iter().map(|power| power.device).filter(|device| plan.choice.uses(*device)).collect(),
            chunk_ms_max: CHUNK_MS_MAX,
            powers: plan.powers.clone(),
            probe: plan.probe.clone(),
        }
    }

    /// Lets chunks be longer than they are meant to be, where there would be far more than so many of them in a pass.
    pub fn with_chunks_at_most(mut self, chunks: f64) -> Self {
        let active = || self.powers.iter().filter(|power| self.active.contains(&power.device));
        let lanes: f64 = active().map(|power| f64::from(power.lanes)).sum();
        let units_per_ms: f64 = active().map(|power| f64::from(power.lanes) * power.units_per_ms).sum();
        let lane_ms = self.units as f64 / units_per_ms.max(1e-12) * lanes;
        self.chunk_ms_max = CHUNK_MS_MAX.max(lane_ms / chunks);
        self
    }
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A device can be used from now on. Devices are made known before jobs are admitted that run on them.
    DeviceAdded(Lanes),
    /// A device cannot be used any more. What it had in flight is run elsewhere.
    DeviceLost {
        /// Which.
        device: DeviceId,
        /// What happened to it.
        why: String,
    },
    /// A job may begin.
    Admitted(Admission),
    /// A chunk was folded (and, where [`Dispatch::wants`](crate::engine::dispatch::Dispatch::wants) said so, merged).
    ChunkDone {
        /// Which.
        ticket: Ticket,
        /// Where its time went.
        phases: Phases,
        /// Whether nothing had to be uploaded.
        resident: bool,
    },
    /// A chunk was not folded.
    ChunkFailed {
        /// Which.
        ticket: Ticket,
        /// Why.
        error: DeviceError,
    },
    /// After [`Action::PassComplete`]: another pass over the same units begins.
    PassAdvanced {
        /// Which job.
        job: u64,
    },
    /// After [`Action::PassComplete`]: the job has its answer.
    Finished {
        /// Which job.
        job: u64,
    },
    /// The job failed outside its chunks: its parts cannot be merged, or what was found has no answer.
    Failed {
        /// Which job.
        job: u64,
        /// Why.
        error: JobError,
    },
    /// Somebody cancelled the job.
    Cancelled {
        /// Which job.
        job: u64,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Fold these units on this lane, and report the ticket as done or failed.
    Fold {
        /// Where.
        ticket: Ticket,
        /// Which job.
        job: u64,
        /// Which pass, from 0.
        pass: u32,
        /// Which units; empty only for a job without units.
        units: Range<u64>,
    },
    /// All units of the pass are folded: see what follows, and report the job as advanced, finished or failed.
    PassComplete {
        /// Which job.
        job: u64,
    },
    /// The job has ended. Comes once for each.
    End {
        /// Which job.
        job: u64,
        /// How.
        result: Result<(), JobError>,
        /// Where it ran and what was measured. Actions are moved about, and this is by far the largest part of one.
        report: Box<JobReport>,
    },
    /// A device was set aside; it gets no chunks any more.
    SetAside {
        /// Which.
        device: DeviceId,
        /// What happened to it.
        why: String,
    },
}
