//! Many jobs from a job file to a sink: what `tandem run` does.

use std::sync::Arc;

use crate::engine::{CancelFlag, Outcome, OutcomeSink};
use crate::job::{BindContext, JobSpec};
use crate::runner::Runner;

/// Jobs that have not ended, at most, before reading waits. Enough for batches; small enough to bound memory.
const UNDER_WAY_MAX: usize = 8192;

impl Runner {
    /// Runs jobs as they are read, and gives their outcomes to `sink` as they end; returns when all have. What could not
    /// be read as a job comes as its failed outcome and is passed on. Raising `cancel` ends what is under way and starts
    /// nothing more; every job read still has its outcome.
    pub fn stream(
        &self,
        jobs: impl Iterator<Item = Result<JobSpec, Outcome>>,
        context: BindContext,
        cancel: &CancelFlag,
        sink: Arc<dyn OutcomeSink>,
    ) {
        let context = Arc::new(context);
        for job in jobs {
            match job {
                Ok(spec) => {
                    self.engine.submit(spec, context.clone(), cancel.clone(), sink.clone(), UNDER_WAY_MAX);
                }
                Err(outcome) => sink.accept(vec![outcome]),
            }
            if cancel.is_cancelled() {
                self.engine.cancelled();
                break;
            }
        }
        self.engine.wait();
    }
}
