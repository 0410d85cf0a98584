//! Many small jobs as one piece of work: bound, planned and, where they are small, run on the spot, with one pair of
//! clock readings and one delivery for all of them. Jobs that turn out large go back to the coordinator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::device::{Device, DeviceError, DeviceId, Phases};
use crate::engine::foreign::Foreign;
use crate::engine::fused;
use crate::engine::running::caught;
use crate::engine::stage::{Staged, not_on};
use crate::engine::ticket::{Ticket, deliver};
use crate::engine::{Outcome, OutcomeSink, RanOn, Timings};
use crate::input::Scratch;
use crate::job::{Bound as Opened, DeviceChoice, JobError};
use crate::kernels::{Answer, DynKernel, Next, Work};
use crate::model::CostClass;
use crate::plan::{Choice, Plan};
use crate::tasks::{Place, Task};

/// A batch gives back what it has not begun after this long, so that other lanes can share it.
pub(crate) const BATCH_TIME: Duration = Duration::from_millis(20);

/// A small job that is given so long is not watched: it would have to take a thousand times what was predicted.
const UNWATCHED: Duration = Duration::from_secs(1);

/// Up to this long, predicted, a job is run where it was bound.
pub(crate) const SMALL_MS: f64 = 1.0;

/// A job that was bound and was not run on the spot: it is too large, or may run as one with others.
pub(crate) struct Bound {
    pub ticket: Ticket,
    pub kernel: Foreign<Arc<dyn DynKernel>>,
    pub work: Work,
    /// How long opening its input took.
    pub opening: Duration,
    /// Its plan, where it is small enough to be run by whoever gets hold of it.
    pub small: Option<Arc<Plan>>,
    /// Whether others may join it: see [`fused`](crate::engine::fused).
    pub may_fuse: bool,
}

impl Bound {
    /// How long it is predicted to take, where it is small, in milliseconds.
    pub fn small_ms(&self) -> f64 {
        let best = self.small.as_ref().and_then(|plan| plan.candidates.first());
        best.and_then(|best| best.predicted).map_or(0.0, |predicted| predicted.ms)
    }
}

/// What of a batch is given back though it could be run on the spot, so that the coordinator may let it run as one with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Gathers {
    /// Nothing: there is no GPU, or nobody waits.
    #[default]
    Nothing,
    /// Large jobs, which are given back in any case.
    Large,
    /// Small ones too: more wait than there are lanes.
    Small,
}

/// What a batch leaves to others.
#[derive(Default)]
pub(crate) struct Leftover {
    /// Bound, to be planned and run in chunks.
    pub bound: Vec<Bound>,
    /// Irregular, and too long to run among others, or to be run elsewhere.
    pub staged: Vec<Staged>,
    /// Whether any of those may have been meant to run as one with others.
    pub gathers: Gathers,
    /// Not begun.
    pub rest: Vec<Ticket>,
    /// How long tasks took here, which is no time of the others.
    pub tasks: Duration,
    /// The same by kind: what they expected of themselves, in milliseconds, and what they took.
    pub by_kind: Vec<(&'static str, f64, Duration)>,
    /// How many jobs ended here.
    pub ended: usize,
    /// The work of a typical job that ran here and how long each took, where all that ran look alike.
    pub sample: Option<(Work, Duration)>,
}

/// Plans small jobs; remembers the last plan, since jobs of a batch tend to look alike.
pub(crate) struct Planner<'a> {
    plan: &'a dyn Fn(&Work, DeviceChoice) -> Option<Arc<Plan>>,
    default: DeviceChoice,
    last: Option<(Work, DeviceChoice, Option<Arc<Plan>>)>,
    /// How often `last` changed.
    changes: u32,
}

impl<'a> Planner<'a> {
    /// A planner that asks `plan` (`None`: not to be run on the spot), where jobs that do not say otherwise run on
    /// `default`.
    pub fn new(plan: &'a dyn Fn(&Work, DeviceChoice) -> Option<Arc<Plan>>, default: DeviceChoice) -> Self {
        Self { plan, default, last: None, changes: 0 }
    }

    /// The plan of a job that is to be run on the spot.
    fn small(&mut self, work: &Work, asked: Option<DeviceChoice>) -> Option<Arc<Plan>> {
        let choice = asked.unwrap_or(self.default);
        if let Some((last, last_choice, plan)) = &self.last
            && last.kernel == work.kernel
            && last.variant == work.variant
            && CostClass::of(last.prior_ns_per_unit) == CostClass::of(work.prior_ns_per_unit)
            && last.units.checked_ilog2() == work.units.checked_ilog2()
            && last.passes == work.passes
            && *last_choice == choice
        {
            return plan.clone();
        }
        let plan = (self.plan)(work, choice).filter(|plan| is_small(plan));
        self.last = Some((work.clone(), choice, plan.clone()));
        self.changes += 1;
        plan
    }
}

/// Whether a job with this plan is run where it was bound.
pub(crate) fn is_small(plan: &Plan) -> bool {
    plan.choice == Choice::Cpu { threads: 1 }
        && plan.probe.is_none()
        && plan.candidates.first().and_then(|best| best.predicted).is_some_and(|predicted| predicted.ms <= SMALL_MS)
}

struct Ended {
    ticket: Ticket,
    /// How long opening its input took.
    opening: Duration,
    result: Result<Arc<dyn Answer>, JobError>,
    plan: Option<Arc<Plan>>,
}

/// Runs a batch on this thread and delivers what ended.
pub(crate) fn run(
    tickets: Vec<Ticket>,
    planner: &mut Planner<'_>,
    cpu: &dyn Device,
    scratch: &mut Scratch,
    gathers: Gathers,
) -> Leftover {
    let begun = Instant::now();
    let mut leftover = Leftover { gathers, ..Leftover::default() };
    let mut ended: Vec<Ended> = Vec::with_capacity(tickets.len());
    let mut tickets = tickets.into_iter();
    let mut until_clock = 1;
    for ticket in tickets.by_ref() {
        match begin(ticket, planner, cpu, scratch, &mut leftover) {
            Begun::Ended(done) => ended.push(done),
            // A task says only roughly how long it takes.
            Begun::Task => until_clock = 1,
            Begun::Left => {}
        }
        until_clock -= 1;
        if until_clock == 0 {
            until_clock = 16;
            if begun.elapsed() > BATCH_TIME {
                break;
            }
        }
    }
    leftover.rest = tickets.collect();
    leftover.ended += ended.len();
    let now = Instant::now();
    if let (1, Some((work, _, Some(_)))) = (planner.changes, &planner.last) {
        let ran = ended.iter().filter(|ended| ended.result.is_ok() && ended.plan.is_some()).count();
        let alone = leftover.bound.is_empty() && leftover.tasks.is_zero();
        if ran > 0 && ran == ended.len() && alone {
            leftover.sample = Some((work.clone(), share(begun, now, leftover.tasks, &ended)));
        }
    }
    deliver(outcomes(ended, begun, now, leftover.tasks));
    leftover
}

/// Runs small jobs that were bound before on this thread and delivers what ended; the plan of each says that it is small.
pub(crate) fn run_bound(bound: Vec<Bound>, cpu: &dyn Device, scratch: &mut Scratch) -> Leftover {
    let begun = Instant::now();
    let mut leftover = Leftover::default();
    let first = bound.first().map(|first| first.work.clone());
    let is_like = |work: &Work, first: &Work| {
        work.units.checked_ilog2() == first.units.checked_ilog2()
            && CostClass::of(work.prior_ns_per_unit) == CostClass::of(first.prior_ns_per_unit)
    };
    let alike = bound.iter().all(|bound| first.as_ref().is_some_and(|first| is_like(&bound.work, first)));
    let mut ended = Vec::with_capacity(bound.len());
    for Bound { mut ticket, kernel, work, opening, small, .. } in bound {
        if let Some(error) = ticket.cancel.refusal() {
            ended.push(Ended { ticket, opening, result: Err(error), plan: None });
            continue;
        }
        ticket.queued = None;
        let result = caught(|| run_whole(&**kernel, work.units, cpu, scratch));
        ended.push(Ended { ticket, opening, result, plan: small });
    }
    leftover.ended = ended.len();
    let now = Instant::now();
    if let Some(work) = first.filter(|_| alike && ended.iter().all(|ended| ended.result.is_ok())) {
        leftover.sample = Some((work, now.saturating_duration_since(begun) / ended.len().max(1) as u32));
    }
    deliver(outcomes(ended, begun, now, Duration::ZERO));
    leftover
}

/// What became of a ticket.
#[expect(clippy::large_enum_variant, reason = "it is moved once a job, and never kept")]
enum Begun {
    Ended(Ended),
    /// It was a task, and has ended and been delivered.
    Task,
    /// It was left to others.
    Left,
}

/// Binds a job, and runs it if it is small.
fn begin(
    ticket: Ticket,
    planner: &mut Planner<'_>,
    cpu: &dyn Device,
    scratch: &mut Scratch,
    leftover: &mut Leftover,
) -> Begun {
    if let Some(error) = ticket.cancel.refusal() {
        return Begun::Ended(Ended { ticket, opening: Duration::ZERO, result: Err(error), plan: None });
    }
    // Opening a file takes time worth knowing; what is in memory is bound in less than a clock takes to read.
    let begun = (!ticket.in_memory).then(Instant::now);
    let opened = caught(|| {
        Ok(match ticket.params.bind(&ticket.context)? {
            Opened::Kernel(kernel) => {
                let kernel = Foreign::new(kernel);
                let work = kernel.work();
                Ok((kernel, work))
            }
            Opened::Task(task) => Err(task),
        })
    });
    let opening = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
    let (kernel, work) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(task)) => {
            let task = Foreign::new(task);
            // A job with variants has a plan of its own, which tells.
            let wrong = not_on(ticket.device.unwrap_or(planner.default), ticket.kind);
            if let Some(error) = wrong.filter(|_| !has_variants(&**task)) {
                return Begun::Ended(Ended { ticket, opening, result: Err(error), plan: None });
            }
            // Where it is given so much time, its clock has to be watched.
            let is_free = ticket.timeout.is_none();
            let began = Instant::now();
            let staged = Staged::new(ticket, task.into_inner(), opening);
            let is_small = staged.expected_ms() <= SMALL_MS && staged.wants().is_none() && staged.at_once().is_none();
            let here = is_free && staged.place() == Place::Compute && is_small && staged.variants().is_none();
            let by_kind = &mut leftover.by_kind;
            let took = |kind, expected_ms, took| add_task(by_kind, kind, expected_ms, took);
            let rest = if here { staged.run(u64::MAX, took) } else { Some(staged) };
            leftover.tasks += began.elapsed();
            return match rest {
                Some(staged) => {
                    leftover.staged.push(staged);
                    Begun::Left
                }
                None => {
                    leftover.ended += 1;
                    Begun::Task
                }
            };
        }
        Err(error) => return Begun::Ended(Ended { ticket, opening, result: Err(error), plan: None }),
    };
    // What has to be watched, or needs memory, is begun by the coordinator.
    let is_free = ticket.memory_bytes.is_none() && ticket.timeout.is_none_or(|limit| limit >= UNWATCHED);
    let plan = if is_free { planner.small(&work, ticket.device) } else { None };
    let asked = ticket.device.unwrap_or(planner.default);
    let may_fuse = match leftover.gathers {
        Gathers::Nothing => false,
        Gathers::Large => plan.is_none() && fused::may_fuse(&ticket, asked, &**kernel, &work),
        Gathers::Small => fused::may_fuse(&ticket, asked, &**kernel, &work),
    };
    let plan = match plan {
        Some(plan) if !may_fuse => plan,
        small => {
            leftover.bound.push(Bound { ticket, kernel, work, opening, small, may_fuse });
            return Begun::Left;
        }
    };
    let mut ticket = ticket;
    ticket.queued = None;
    let result = caught(|| run_whole(&**kernel, work.units, cpu, scratch));
    Begun::Ended(Ended { ticket, opening, result, plan: Some(plan) })
}

/// Those of a kind are summed up: one of them alone may be far from what its like take.
fn add_task(by_kind: &mut Vec<(&'static str, f64, Duration)>, kind: &'static str, expected_ms: f64, took: Duration) {
    if !expected_ms.is_finite() {
        return;
    }
    match by_kind.iter_mut().find(|(other, ..)| *other == kind) {
        Some((_, expected, time)) => {
            *expected += expected_ms;
            *time += took;
        }
        None => by_kind.push((kind, expected_ms, took)),
    }
}

fn has_variants(task: &dyn Task) -> bool {
    caught(|| Ok(task.variants().is_some())).unwrap_or(false)
}

/// Runs every pass of a job as one chunk each.
fn run_whole(
    kernel: &dyn DynKernel,
    units: u64,
    cpu: &dyn Device,
    scratch: &mut Scratch,
) -> Result<Arc<dyn Answer>, JobError> {
    let mut pass = kernel.first_pass()?;
    loop {
        let done = cpu.fold(kernel, &pass, 0..units, scratch).map_err(|error| match error {
            DeviceError::Job(error) => error,
            other => JobError::new(crate::job::Cause::Panic, format!("the cpu failed: {other}")),
        })?;
        kernel.check_inputs()?;
        match kernel.next(&pass, done.partial)? {
            Next::Pass(next) => pass = next,
            Next::Done(answer) => return Ok(Arc::from(answer)),
        }
    }
}

/// The outcomes of a batch: its time is shared out evenly, since no clock was read between its jobs.
fn outcomes(ended: Vec<Ended>, begun: Instant, now: Instant, tasks: Duration) -> Vec<(Outcome, Arc<dyn OutcomeSink>)> {
    let share = share(begun, now, tasks, &ended);
    ended
        .into_iter()
        .map(|Ended { ticket, opening, result, plan }| {
            let timings = Timings {
                queued: begun.saturating_duration_since(ticket.submitted),
                phases: Phases { setup: opening, compute: share, ..Phases::default() },
                opening,
                total: now.saturating_duration_since(ticket.submitted),
                // The others of the batch are in no prediction.
                since_plan: share,
                own: Some(share),
                ..Timings::default()
            };
            let ran_on = if plan.is_some() { RanOn::One(DeviceId::Cpu) } else { RanOn::Nowhere };
            ticket.ended(result, ran_on, timings, 1, plan)
        })
        .collect()
}

/// What each of these jobs took, but for opening its input; `tasks` took their own time.
fn share(begun: Instant, now: Instant, tasks: Duration, ended: &[Ended]) -> Duration {
    let opening: Duration = ended.iter().map(|ended| ended.opening).sum();
    let jobs = u32::try_from(ended.len().max(1)).unwrap_or(u32::MAX);
    now.saturating_duration_since(begun).saturating_sub(opening).saturating_sub(tasks) / jobs
}
