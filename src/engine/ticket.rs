//! A job on its way through the engine, and who waits for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::engine::foreign::Foreign;
use crate::engine::recorder::Queued;
use crate::engine::reservation::Reservation;
use crate::engine::{CancelFlag, Outcome, OutcomeSink, RanOn, Seat, Timings, panics};
use crate::job::{BindContext, DeviceChoice, JobError, JobParams, JobSpec, Terms};
use crate::plan::Plan;

/// How long a wish to cancel may go unseen by who waits for jobs to end.
const CANCEL_LATENCY: Duration = Duration::from_millis(20);

/// Counts jobs that have not ended, and lets somebody wait until there are few.
#[derive(Debug, Default)]
pub struct Gauge {
    count: Mutex<usize>,
    fell: Condvar,
}

impl Gauge {
    /// Counts one job more, once fewer than `limit` are left.
    pub fn raise_below(&self, limit: usize) {
        let count = self.count.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut count =
            self.fell.wait_while(count, |count| *count >= limit).unwrap_or_else(|poisoned| poisoned.into_inner());
        *count += 1;
    }

    /// The same, but gives up, counting nothing, once `cancel` is raised. Returns whether it counted.
    pub fn raise_below_unless(&self, limit: usize, cancel: &CancelFlag) -> bool {
        let mut count = self.count.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while *count >= limit {
            if cancel.is_cancelled() {
                return false;
            }
            let waited = self.fell.wait_timeout(count, CANCEL_LATENCY);
            count = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        *count += 1;
        true
    }

    /// Counts `by` jobs fewer.
    pub fn lower(&self, by: usize) {
        let mut count = self.count.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *count -= by;
        self.fell.notify_all();
    }

    /// Waits until none is left.
    pub fn wait_until_zero(&self) {
        let count = self.count.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        drop(self.fell.wait_while(count, |count| *count > 0));
    }
}

/// Counts jobs that have begun and not ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun(Arc<AtomicUsize>);

/// One that has begun, until it is dropped.
#[derive(Debug)]
pub(crate) struct HasBegun(Begun);

impl Begun {
    /// Counts one more.
    pub fn one(&self) -> HasBegun {
        self.0.fetch_add(1, Ordering::Relaxed);
        HasBegun(self.clone())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for HasBegun {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A submitted job that has no outcome yet.
pub(crate) struct Ticket {
    pub index: u64,
    pub id: Arc<str>,
    pub kind: &'static str,
    pub device: Option<DeviceChoice>,
    /// Twice that of its terms, and one more where it waited for others.
    pub priority: i32,
    /// How long it may take; `None` also once the clock runs.
    pub timeout: Option<Duration>,
    /// What it says that it needs.
    pub memory_bytes: Option<u64>,
    /// What it holds of the memory, once it does.
    pub reserved: Option<Reservation>,
    /// Its seat among those of its run that may be under way at once; `None` where there may be as many as there is room for.
    pub seat: Option<Seat>,
    pub params: Foreign<Box<dyn JobParams>>,
    /// Whether opening it costs next to nothing.
    pub in_memory: bool,
    pub context: Arc<BindContext>,
    pub submitted: Instant,
    /// How long the engine had been there then.
    pub submitted_after: Duration,
    /// There while it waits to begin, in a run of which notes are taken.
    pub queued: Option<Queued>,
    /// There once it runs by itself, and not as one of a batch.
    pub has_begun: Option<HasBegun>,
    pub cancel: CancelFlag,
    pub sink: Arc<dyn OutcomeSink>,
}

impl Ticket {
    /// A job that was submitted just now.
    pub fn new(
        spec: JobSpec,
        context: Arc<BindContext>,
        cancel: CancelFlag,
        sink: Arc<dyn OutcomeSink>,
        seat: Option<Seat>,
    ) -> Self {
        let JobSpec { index, id, kind, device, params, terms, content: _ } = spec;
        let (params, submitted) = (Foreign::new(params), Instant::now());
        // Asked once, and here: it is foreign code, which may panic.
        let in_memory = panics::catch(|| params.in_memory()).unwrap_or(false);
        let priority = terms.turn();
        let Terms { timeout, memory_bytes, .. } = terms;
        // A time-out is the job's own.
        let cancel = if timeout.is_some() { cancel.child() } else { cancel };
        let (has_begun, queued) = (None, None);
        Self {
            index,
            id,
            kind,
            device,
            priority,
            timeout,
            memory_bytes,
            reserved: None,
            seat,
            params,
            in_memory,
            context,
            submitted,
            submitted_after: Duration::ZERO,
            queued,
            has_begun,
            cancel,
            sink,
        }
    }

    /// Whether it is not to begin any more.
    pub fn is_refused(&self) -> bool {
        self.cancel.is_cancelled() || self.cancel.is_draining()
    }

    /// It waits for others to end, and is not under way meanwhile.
    pub fn leave_seat(&mut self) {
        if let Some(seat) = &mut self.seat {
            seat.leave();
        }
    }

    /// The outcome of this job where it never ran.
    pub fn failed(self, error: JobError, plan: Option<Arc<Plan>>, ended: Instant) -> (Outcome, Arc<dyn OutcomeSink>) {
        let waited = ended.saturating_duration_since(self.submitted);
        let timings = Timings { queued: waited, total: waited, ..Timings::default() };
        self.ended(Err(error), RanOn::Nowhere, timings, 1, plan)
    }

    /// The outcome of this job, and who wants it.
    pub fn ended(
        self,
        result: Result<Arc<dyn crate::kernels::Answer>, JobError>,
        ran_on: RanOn,
        mut timings: Timings,
        attempts: u32,
        plan: Option<Arc<Plan>>,
    ) -> (Outcome, Arc<dyn OutcomeSink>) {
        // Whatever was not spent on it was spent waiting: for a lane, for others of its batch, between its chunks.
        timings.queued = timings.total.saturating_sub(timings.phases.total());
        timings.submitted = self.submitted_after;
        let Self { index, id, kind, .. } = self;
        if let Some(mut reserved) = self.reserved {
            reserved.succeeded = result.is_ok();
        }
        (Outcome { index, id, kind, result, ran_on, timings, attempts, plan, hash: None }, self.sink)
    }
}

/// Gives outcomes to their sinks, those that share one together.
pub(crate) fn deliver(outcomes: Vec<(Outcome, Arc<dyn OutcomeSink>)>) {
    let mut outcomes = outcomes.into_iter();
    let Some((first, mut sink)) = outcomes.next() else { return };
    let mut together = Vec::with_capacity(outcomes.len() + 1);
    together.push(first);
    for (outcome, next) in outcomes {
        if !Arc::ptr_eq(&sink, &next) {
            give(&sink, std::mem::take(&mut together));
            sink = next;
        }
        together.push(outcome);
    }
    give(&sink, together);
}

/// A sink is somebody else's code: if it panics, that is its loss, and not that of the jobs after.
fn give(sink: &Arc<dyn OutcomeSink>, outcomes: Vec<Outcome>) {
    let _ = panics::catch(|| sink.accept(outcomes));
}
