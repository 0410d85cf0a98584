//! A bound job on its way through its passes: what lanes fold chunks of, side by side.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::device::{Device, DeviceError, DeviceId, Phases};
use crate::engine::panics;
use crate::engine::ticket::{CancelFlag, scaled};
use crate::engine::{RanOn, Timings};
use crate::input::Scratch;
use crate::job::{Cause, JobError};
use crate::kernels::{Answer, DynKernel, DynPartial, DynPass, Next, Work};
use crate::plan::Plan;

/// What one device did for one job.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effort {
    /// Where its time went, summed over its lanes.
    pub phases: Phases,
    /// The units that it folded, over all passes.
    pub units: u64,
    /// The units whose input it had already.
    pub resident_units: u64,
    /// Chunks folded.
    pub chunks: u32,
    /// From its first chunk of a pass to the end of its last, over all passes.
    pub span: Duration,
    /// The chunk edges of the current pass.
    in_pass: Option<(Instant, Instant)>,
}

/// What the end of a pass led to.
pub(crate) enum PassEnd {
    /// Another pass over the same units.
    Again,
    /// The answer.
    Done(Arc<dyn Answer>),
}

#[derive(Debug)]
struct State {
    pass: DynPass,
    /// What has been merged of the current pass and is in nobody's hands.
    partial: Option<DynPartial>,
    efforts: BTreeMap<DeviceId, Effort>,
    started: Option<Instant>,
    passes: u32,
    attempts: u32,
}

/// A bound job with its plan.
pub(crate) struct Running {
    pub kernel: Arc<dyn DynKernel>,
    pub work: Work,
    pub plan: Arc<Plan>,
    pub cancel: CancelFlag,
    submitted: Instant,
    state: Mutex<State>,
}

impl Running {
    /// A job about to begin its first pass.
    ///
    /// # Errors
    /// Where its parameters have no answer.
    pub fn new(
        kernel: Arc<dyn DynKernel>,
        work: Work,
        plan: Arc<Plan>,
        cancel: CancelFlag,
        submitted: Instant,
    ) -> Result<Self, JobError> {
        let pass = caught(|| kernel.first_pass())?;
        let state = State { pass, partial: None, efforts: BTreeMap::new(), started: None, passes: 0, attempts: 1 };
        Ok(Self { kernel, work, plan, cancel, submitted, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock, so a poisoned state is as good as any.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Folds the chunk `units` on `device`, on this thread, and merges it into what is there.
    ///
    /// # Errors
    /// Those of the device; nothing has been merged then.
    pub fn fold(&self, device: &dyn Device, units: Range<u64>, scratch: &mut Scratch) -> Result<(), DeviceError> {
        if self.cancel.is_cancelled() {
            return Err(DeviceError::Job(crate::engine::ticket::cancelled()));
        }
        let begun = Instant::now();
        let pass = {
            let mut state = self.state();
            state.started.get_or_insert(begun);
            state.pass.clone()
        };
        let length = units.end - units.start;
        let done = panics::catch(|| device.fold(&*self.kernel, &pass, units, scratch))
            .unwrap_or_else(|panic| Err(DeviceError::Job(JobError::new(Cause::Panic, panic))))?;
        let id = device.info().id;
        {
            let mut state = self.state();
            let effort = state.efforts.entry(id).or_default();
            effort.phases += done.phases;
            effort.units += length;
            effort.chunks += 1;
            let ended = Instant::now();
            let edges = effort.in_pass.get_or_insert((begun, ended));
            *edges = (edges.0.min(begun), edges.1.max(ended));
            if done.resident {
                effort.resident_units += length;
            }
        }
        self.absorb(done.partial).map_err(DeviceError::Job)
    }

    /// Merges `partial` with what is there. Merging happens outside the lock: whoever finds another partial takes it
    /// along, so that two lanes never wait for each other's merge.
    fn absorb(&self, mut partial: DynPartial) -> Result<(), JobError> {
        loop {
            let other = {
                let mut state = self.state();
                match state.partial.take() {
                    None => {
                        state.partial = Some(partial);
                        return Ok(());
                    }
                    Some(other) => other,
                }
            };
            caught(|| self.kernel.merge(&mut partial, other))?;
        }
    }

    /// Ends a pass whose every unit has been folded.
    ///
    /// # Errors
    /// Where what was found has no answer, or the input was not really there.
    pub fn end_pass(&self) -> Result<PassEnd, JobError> {
        let (pass, partial) = {
            let mut state = self.state();
            state.passes += 1;
            for effort in state.efforts.values_mut() {
                if let Some((first, last)) = effort.in_pass.take() {
                    effort.span += last.saturating_duration_since(first);
                }
            }
            (state.pass.clone(), state.partial.take())
        };
        caught(|| self.kernel.check_inputs())?;
        let merged = match partial {
            Some(partial) => partial,
            // A job without units has folded nothing: its answer is that of the empty chunk.
            None => caught(|| {
                let scratch = &mut Scratch::default();
                let isa = crate::kernels::Isa::detect();
                self.kernel.fold(&pass, 0..0, &mut crate::kernels::FoldContext { isa, scratch })
            })?,
        };
        match caught(|| self.kernel.next(&pass, merged))? {
            Next::Pass(pass) => {
                self.state().pass = pass;
                Ok(PassEnd::Again)
            }
            Next::Done(answer) => Ok(PassEnd::Done(Arc::from(answer))),
        }
    }

    /// Counts a chunk that has to begin anew on account of a device.
    pub fn count_retry(&self) {
        self.state().attempts += 1;
    }

    /// How often a chunk was begun anew, plus one.
    pub fn attempts(&self) -> u32 {
        self.state().attempts
    }

    /// Where it ran so far.
    pub fn ran_on(&self) -> RanOn {
        let state = self.state();
        let mut devices = state.efforts.keys();
        match (devices.next(), devices.next()) {
            (None, _) => RanOn::Nowhere,
            (Some(device), None) => RanOn::One(*device),
            _ => RanOn::Split,
        }
    }

    /// What each device did.
    pub fn efforts(&self) -> BTreeMap<DeviceId, Effort> {
        self.state().efforts.clone()
    }

    /// How many passes have ended.
    pub fn passes(&self) -> u32 {
        self.state().passes
    }

    /// Where the time went, up to `ended`.
    pub fn timings(&self, ended: Instant) -> Timings {
        let state = self.state();
        let total = ended.saturating_duration_since(self.submitted);
        let queued = state.started.map_or(total, |started| started.saturating_duration_since(self.submitted));
        let mut phases = Phases::default();
        for effort in state.efforts.values() {
            phases += effort.phases;
        }
        Timings { queued, phases: scaled(phases, total.saturating_sub(queued)), total }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("work", &self.work).field("state", &*self.state()).finish_non_exhaustive()
    }
}

/// Runs kernel code, a panic of which fails its job.
pub(crate) fn caught<T>(body: impl FnOnce() -> Result<T, JobError>) -> Result<T, JobError> {
    panics::catch(body).unwrap_or_else(|panic| Err(JobError::new(Cause::Panic, panic)))
}
