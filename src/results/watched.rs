//! Results that others look at as they come: a log, a bar of progress.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::engine::{Outcome, OutcomeSink};
use crate::job::JobHash;
use crate::results::{RunResults, Tally};

/// Who wants to know of outcomes.
pub trait Watcher: Send + Sync {
    /// Notes jobs that ended at about `ended`, as they stand in the results. Called from worker threads.
    fn note(&self, outcomes: &[Outcome], ended: SystemTime);

    /// Notes a job whose outcome is there from an earlier run.
    fn note_kept(&self) {}
}

/// Results, and who looks at them.
pub struct Watched {
    results: Arc<dyn RunResults>,
    watchers: Vec<Arc<dyn Watcher>>,
}

impl Watched {
    /// The results, looked at by these.
    pub fn new(results: Arc<dyn RunResults>, watchers: Vec<Arc<dyn Watcher>>) -> Self {
        Self { results, watchers }
    }
}

impl OutcomeSink for Watched {
    fn accept(&self, outcomes: Vec<Outcome>) {
        self.settle(outcomes);
    }

    fn keep(&self, index: u64, id: &str, hash: JobHash) -> bool {
        let kept = self.results.keep(index, id, hash);
        if kept {
            self.watchers.iter().for_each(|watcher| watcher.note_kept());
        }
        kept
    }
}

impl RunResults for Watched {
    fn settle(&self, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        // Before the results, which may make one wait.
        let ended = SystemTime::now();
        let outcomes = self.results.settle(outcomes);
        for watcher in &self.watchers {
            watcher.note(&outcomes, ended);
        }
        outcomes
    }

    fn finish(&self) -> io::Result<Tally> {
        self.results.finish()
    }

    fn finish_early(&self) -> io::Result<(Tally, Option<PathBuf>)> {
        self.results.finish_early()
    }
}
