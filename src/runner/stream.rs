//! Many jobs from a job file to a sink: what `tandem run` does.

use std::sync::Arc;

use crate::engine::{CancelFlag, Gauge, Outcome, OutcomeSink, catch};
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
        // Others may use this runner too: what is waited for is what was submitted here.
        let counted = Arc::new(Counted { sink, under_way: Gauge::default() });
        for job in jobs {
            match job {
                Ok(spec) => {
                    // A job that was read has its outcome, cancelled or not.
                    if !counted.under_way.raise_below_unless(UNDER_WAY_MAX, cancel) {
                        self.engine.cancelled();
                        counted.under_way.raise_below(usize::MAX);
                    }
                    self.engine.submit(spec, context.clone(), cancel.clone(), counted.clone());
                }
                Err(outcome) => counted.sink.accept(vec![outcome]),
            }
            if cancel.is_cancelled() {
                self.engine.cancelled();
                break;
            }
        }
        counted.under_way.wait_until_zero();
    }
}

/// A sink that counts what it has taken.
struct Counted {
    sink: Arc<dyn OutcomeSink>,
    under_way: Gauge,
}

impl OutcomeSink for Counted {
    fn accept(&self, outcomes: Vec<Outcome>) {
        let count = outcomes.len();
        // Counted even where the sink panics: somebody waits for it.
        let _ = catch(|| self.sink.accept(outcomes));
        self.under_way.lower(count);
    }
}
