//! A bound job on its way through its passes: what lanes fold chunks of, side by side.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::device::{ChunkDone, Device, DeviceError};
use crate::engine::CancelFlag;
use crate::engine::foreign::Foreign;
use crate::engine::panics;
use crate::input::Scratch;
use crate::job::{Cause, JobError};
use crate::kernels::{Answer, DynKernel, DynPartial, DynPass, FoldContext, Isa, Next};

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
}

/// A bound job on its way through its passes. What it costs and where it runs is known to dispatch; here is its data.
pub(crate) struct Running {
    pub kernel: Foreign<Arc<dyn DynKernel>>,
    pub cancel: CancelFlag,
    state: Mutex<State>,
}

impl Running {
    /// A job about to begin its first pass.
    ///
    /// # Errors
    /// Where its parameters have no answer.
    pub fn new(kernel: Foreign<Arc<dyn DynKernel>>, cancel: CancelFlag) -> Result<Self, JobError> {
        let pass = caught(|| kernel.first_pass())?;
        Ok(Self { kernel, cancel, state: Mutex::new(State { pass, partial: None }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock, so a poisoned state is as good as any.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Folds the chunk `units` on `device`, on this thread. Nothing is merged yet.
    ///
    /// # Errors
    /// Those of the device; a panic of the kernel is the job's own error.
    pub fn fold(
        &self,
        device: &dyn Device,
        units: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<ChunkDone, DeviceError> {
        let pass = self.state().pass.clone();
        panics::catch(|| {
            self.kernel.prepare(&pass, &units, &|| self.cancel.error().is_none());
            match self.cancel.error() {
                Some(error) => Err(DeviceError::Job(error)),
                None => device.fold(&**self.kernel, &pass, units, scratch),
            }
        })
        .unwrap_or_else(|panic| Err(DeviceError::Job(JobError::new(Cause::Panic, panic))))
    }

    /// Merges `partial` with what is there. Merging happens outside the lock: whoever finds another partial takes it
    /// along, so that two lanes never wait for each other's merge.
    ///
    /// # Errors
    /// Where both cover the same unit, or the kernel panics.
    pub fn absorb(&self, mut partial: DynPartial) -> Result<(), JobError> {
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
            (state.pass.clone(), state.partial.take())
        };
        caught(|| self.kernel.check_inputs())?;
        let merged = match partial {
            Some(partial) => partial,
            // A job without units has folded nothing: its answer is that of the empty chunk.
            None => caught(|| {
                let scratch = &mut Scratch::default();
                self.kernel.fold(&pass, 0..0, &mut FoldContext { isa: Isa::detect(), scratch })
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
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("state", &*self.state()).finish_non_exhaustive()
    }
}

/// Runs kernel code, a panic of which fails its job.
pub(crate) fn caught<T>(body: impl FnOnce() -> Result<T, JobError>) -> Result<T, JobError> {
    panics::catch(body).unwrap_or_else(|panic| Err(JobError::new(Cause::Panic, panic)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::CpuDevice;
    use crate::kernels::{Kernel, Work};

    /// A kernel whose tables are never finished.
    struct Unfinished;

    impl Kernel for Unfinished {
        type Pass = ();
        type Partial = ();

        fn work(&self) -> Work {
            Work {
                kernel: "unfinished",
                variant: String::new(),
                units: 1,
                granularity: 1,
                bytes_per_unit: 0.0,
                bytes_out_per_unit: 0.0,
                prior_ns_per_unit: 1.0,
                passes: 1,
                gpu: false,
            }
        }

        fn first_pass(&self) -> Result<(), JobError> {
            Ok(())
        }

        fn prepare(&self, (): &(), units: &Range<u64>, is_wanted: &dyn Fn() -> bool) {
            assert_eq!(*units, 0..1);
            while is_wanted() {
                std::thread::yield_now();
            }
        }

        fn fold(&self, (): &(), _: Range<u64>, _: &mut FoldContext<'_>) -> Result<(), JobError> {
            panic!("a job that is not wanted folds nothing")
        }

        fn merge(&self, (): &mut (), (): ()) {}

        fn next(&self, (): &(), (): ()) -> Result<Next<()>, JobError> {
            unreachable!("it never gets there")
        }
    }

    #[test]
    fn a_job_that_is_cancelled_while_its_tables_are_made_gives_its_lane_back() {
        let cancel = CancelFlag::default();
        let kernel: Arc<dyn DynKernel> = Arc::new(Unfinished);
        let running = Running::new(Foreign::new(kernel), cancel.clone()).unwrap();
        std::thread::scope(|scope| {
            let lane = scope.spawn(|| running.fold(&CpuDevice::new(1), 0..1, &mut Scratch::default()).map(|_| ()));
            cancel.cancel();
            match lane.join().unwrap() {
                Err(DeviceError::Job(error)) => assert_eq!(error.cause, Cause::Cancelled),
                other => panic!("{other:?}"),
            }
        });
    }
}
