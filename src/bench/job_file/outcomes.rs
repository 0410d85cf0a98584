//! The outcomes of one run of a job file, and what is compared of them.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{Outcome, OutcomeSink};
use crate::job::EarlierResults;
use crate::report::{Detail, write_outcome};

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Became {
    pub id: Arc<str>,
    pub succeeded: bool,
    /// Its outcome without where and how long it ran.
    pub line: Arc<[u8]>,
}

/// The outcomes of one run.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub by_place: Mutex<BTreeMap<u64, Became>>,
    more: Condvar,
}

impl OutcomeSink for Outcomes {
    fn accept(&self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            let mut line = Vec::new();
            // A vector takes everything; where an answer cannot be read again, it differs from the others, and that is told.
            let _ = write_outcome(&mut line, &outcome, Detail::RESULTS_ONLY);
            let became = Became { id: outcome.id, succeeded: outcome.result.is_ok(), line: line.into() };
            self.by_place.lock().unwrap_or_else(PoisonError::into_inner).insert(outcome.index, became);
        }
        self.more.notify_all();
    }
}

impl EarlierResults for Outcomes {
    fn outcome(&self, index: u64) -> io::Result<Box<dyn Read + '_>> {
        let mut found = self.by_place.lock().unwrap_or_else(PoisonError::into_inner);
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(became) = found.get(&index) {
                return Ok(Box::new(io::Cursor::new(became.line.clone())));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::other("its outcome has not come"));
            }
            found = self.more.wait_timeout(found, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
