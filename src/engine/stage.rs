//! Irregular jobs on their way through their stages.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crate::device::{DeviceId, Phases};
use crate::engine::foreign::Foreign;
use crate::engine::running::caught;
use crate::engine::ticket::{Ticket, deliver};
use crate::engine::variants::Settled;
use crate::engine::{Need, Permit, RanOn, Timings};
use crate::job::{Cause, DeviceChoice, JobError};
use crate::kernels::Answer;
use crate::plan::{Choice, Plan};
use crate::tasks::{AtOnce, Place, Step, Task, TaskContext, Variants};

/// The plan of every irregular job.
static IRREGULAR: LazyLock<Arc<Plan>> =
    LazyLock::new(|| Arc::new(Plan::given(Choice::Cpu { threads: 1 }, "irregular: it runs whole, on the cpu")));

/// The plan of an irregular job.
pub(crate) fn irregular() -> Arc<Plan> {
    IRREGULAR.clone()
}

/// Why an irregular job of this kind cannot run where it asks to; `None` where it can.
pub(crate) fn not_on(asked: DeviceChoice, kind: &str) -> Option<JobError> {
    let is_cpu = matches!(asked, DeviceChoice::Auto | DeviceChoice::Cpu);
    let message = format!("`{asked}` was asked for, but {kind} is irregular and runs on the cpu only: use auto or cpu");
    (!is_cpu).then(|| JobError::new(Cause::Unsupported, message))
}

/// An irregular job before its next stage.
pub(crate) struct Staged {
    pub ticket: Ticket,
    task: Foreign<Box<dyn Task>>,
    place: Place,
    expected_ms: f64,
    at_once: Option<AtOnce>,
    /// Its place among those of which only so many run at once; kept to its end.
    pub permit: Option<Permit>,
    need: Need,
    /// What it can still be settled on.
    variants: Option<Box<Variants>>,
    /// What it was settled on; kept to its end.
    settled: Option<Box<Settled>>,
    /// How long opening its input took.
    opening: Duration,
    /// How long the stages so far have taken.
    spent: Duration,
}

impl Staged {
    /// The job before its first stage.
    pub fn new(ticket: Ticket, task: Box<dyn Task>, opening: Duration) -> Self {
        let mut staged = Self {
            ticket,
            task: Foreign::new(task),
            place: Place::Compute,
            expected_ms: f64::INFINITY,
            at_once: None,
            permit: None,
            need: Need::NONE,
            variants: None,
            settled: None,
            opening,
            spent: Duration::ZERO,
        };
        staged.look();
        staged
    }

    /// Asks the stage where it runs and for how long; one that panics over it will do so again where that fails its job.
    fn look(&mut self) {
        let task = &self.task;
        let seen = caught(|| {
            let variants = task.variants().map(Box::new);
            Ok((task.place(), task.expected_ms(), task.need(), task.at_once(), variants))
        });
        (self.place, self.expected_ms, self.need, self.at_once, self.variants) =
            seen.unwrap_or((Place::Compute, f64::INFINITY, Need::NONE, None, None));
        if let Some(settled) = &self.settled {
            // It is settled once.
            (self.expected_ms, self.variants) = (settled.runs_ms, None);
        }
    }

    /// What it has to be settled on before it goes on.
    pub fn variants(&self) -> Option<&Variants> {
        self.variants.as_deref()
    }

    /// Settles it on one of its variants, which then says where it runs and what it needs.
    ///
    /// # Errors
    /// Where it refuses that.
    pub fn settle(&mut self, settled: Settled) -> Result<(), JobError> {
        self.task = Foreign::new(caught(|| self.task.settle(settled.device))?);
        self.settled = Some(Box::new(settled));
        self.look();
        Ok(())
    }

    /// Which device it was settled on, where it had to be.
    pub fn settled_on(&self) -> Option<DeviceId> {
        self.settled.as_ref().map(|settled| settled.device)
    }

    pub fn place(&self) -> Place {
        self.place
    }

    /// How many of its like may run at once.
    pub fn at_once(&self) -> Option<AtOnce> {
        self.at_once
    }

    /// How long the next stage is expected to take, in milliseconds.
    pub fn expected_ms(&self) -> f64 {
        self.expected_ms
    }

    /// What it has to be given of the memory before it goes on; `None` where that is nothing, or it holds its share.
    pub fn wants(&self) -> Option<Need> {
        if self.ticket.reserved.is_some() {
            return None;
        }
        let own = || Some(self.need.clone()).filter(|need| !need.is_small());
        self.ticket.memory_bytes.map(Need::Certain).or_else(own)
    }

    /// Whether it is not to go on: it was cancelled, or has not begun and is not to.
    pub fn is_refused(&self) -> bool {
        let cancel = &self.ticket.cancel;
        cancel.is_cancelled() || (self.spent.is_zero() && cancel.is_draining())
    }

    /// Runs the next stage here, and those after it that run in the same place. While it does, `room_bytes` of the memory are
    /// nobody's. `ran` is told of each stage that went well: the kind of the job, how long it was expected to take in milliseconds,
    /// and how long it took. Gives the job back where more is to come; the outcome of one that has ended is delivered.
    pub fn run(mut self, room_bytes: u64, mut ran: impl FnMut(&'static str, f64, Duration)) -> Option<Self> {
        self.ticket.queued = None;
        let begun = Instant::now();
        let (place, spent_before) = (self.place, self.spent);
        let mut stages_before = Duration::ZERO;
        let mut is_first = spent_before.is_zero();
        let shared = self.ticket.context.clone();
        let outputs_dir = shared.outputs_dir.as_deref();
        loop {
            let Self { ticket, task, permit, settled, .. } = self;
            let (id, index, cancel) = (&*ticket.id, ticket.index, &ticket.cancel);
            let memory = ticket.reserved.as_ref().map(|reserved| &reserved.memory);
            let context = TaskContext { memory, room_bytes, ..TaskContext::new(id, index, cancel, outputs_dir) };
            let stop = if std::mem::take(&mut is_first) { ticket.cancel.refusal() } else { ticket.cancel.error() };
            let result = match stop {
                Some(error) => Err(error),
                None => caught(|| task.into_inner().run(&context)),
            };
            let elapsed = begun.elapsed();
            let spent = spent_before + elapsed;
            if result.is_ok() {
                ran(ticket.kind, self.expected_ms, elapsed.saturating_sub(stages_before));
            }
            stages_before = elapsed;
            match result {
                Ok(Step::Then(next)) => {
                    let opening = self.opening;
                    let task = Foreign::new(next);
                    let (expected_ms, need, at_once) = (f64::INFINITY, Need::NONE, None);
                    let variants = None;
                    self = Self {
                        ticket,
                        task,
                        spent,
                        opening,
                        place,
                        expected_ms,
                        need,
                        at_once,
                        permit,
                        variants,
                        settled,
                    };
                    self.look();
                    if self.place != place || self.wants().is_some() {
                        return Some(self);
                    }
                }
                Ok(Step::Done(answer)) => {
                    end(ticket, Ok(Arc::from(answer)), self.opening, spent, settled, true);
                    return None;
                }
                Err(error) => {
                    end(ticket, Err(error), self.opening, spent, settled, true);
                    return None;
                }
            }
        }
    }

    /// Ends the job without running it further.
    pub fn fail(self, error: JobError) {
        let is_planned = self.variants.is_none();
        end(self.ticket, Err(error), self.opening, self.spent, self.settled, is_planned);
    }
}

fn end(
    ticket: Ticket,
    result: Result<Arc<dyn Answer>, JobError>,
    opening: Duration,
    spent: Duration,
    mut settled: Option<Box<Settled>>,
    is_planned: bool,
) {
    let total = ticket.submitted.elapsed();
    let phases = Phases { setup: opening, compute: spent, ..Phases::default() };
    let queued = total.saturating_sub(opening).saturating_sub(spent);
    let device = settled.as_ref().map_or(DeviceId::Cpu, |settled| settled.device);
    let ran_on = if spent.is_zero() { RanOn::Nowhere } else { RanOn::One(device) };
    let since_plan = settled.as_ref().map_or(Duration::ZERO, |settled| settled.since.elapsed());
    let timings = Timings { queued, phases, opening, total, since_plan, own: Some(spent), ..Timings::default() };
    // Before anybody hears of it, so that who goes on by it finds it learned.
    if let Some(settled) = &mut settled {
        settled.ended(result.as_ref().err(), spent);
    }
    let plan = || settled.as_ref().map_or_else(irregular, |settled| settled.plan.clone());
    deliver(vec![ticket.ended(result, ran_on, timings, 1, is_planned.then(plan))]);
}
