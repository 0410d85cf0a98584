//! What goes into the dispatch state machine, and what comes out of it.

use std::ops::Range;
use std::sync::Arc;

use crate::device::{DeviceError, DeviceId};
use crate::job::JobError;
use crate::kernels::Work;
use crate::plan::Plan;

/// A job's number in dispatch.
pub type JobKey = u64;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A device can be used from now on.
    DeviceAdded { device: DeviceId, lanes: u32, max_chunk_bytes: u64 },
    /// A job has its plan, and its first pass is ready.
    Admitted {
        job: JobKey,
        work: Work,
        plan: Arc<Plan>,
        short: bool,
        /// Asked for one device by name: it may not run elsewhere when that is lost.
        forced: bool,
    },
    /// A chunk was folded and merged.
    ChunkDone { job: JobKey, device: DeviceId, lane: u32, units: Range<u64>, elapsed_ms: f64 },
    /// A chunk was not folded.
    ChunkFailed { job: JobKey, device: DeviceId, lane: u32, units: Range<u64>, error: DeviceError },
    /// After `PassDone`: the job needs its units once more.
    PassAgain { job: JobKey },
    /// After `PassDone`: the job has its answer, or failed on the way to it. It is forgotten.
    Ended { job: JobKey },
    /// The job is not wanted any more: what is in flight ends, nothing new begins, and then comes `Failed` with cause cancelled.
    Cancelled { job: JobKey },
}

/// Something to do.
#[derive(Debug)]
pub enum Action {
    /// Fold these units there.
    Fold { job: JobKey, device: DeviceId, lane: u32, units: Range<u64> },
    /// Every unit of the pass has been folded and nothing of the job is in flight: end the pass, then say `PassAgain` or `Ended`.
    PassDone { job: JobKey },
    /// The job failed, and nothing of it is in flight any more. It is forgotten.
    Failed { job: JobKey, error: JobError },
    /// A chunk will begin anew elsewhere or smaller: counts as an attempt.
    Retried { job: JobKey },
    /// The device is not used any more.
    SetAside { device: DeviceId, why: String },
}
