//! Small jobs of one kernel that wait together, and run as one where that pays: on a GPU, whose fixed costs they share.
//!
//! Jobs gather in a pool by what they have in common. `coordinator/fused.rs` asks [`plan`](crate::plan) what is best for those of a pool:
//! to run as one, to wait for others, or each by itself, on the CPU's lanes or planned alone.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::arrivals::Arrivals;
use crate::engine::batch::Bound;
use crate::engine::dispatch::JobReport;
use crate::engine::running::{Running, caught};
use crate::engine::shared::is_trivial;
use crate::engine::ticket::Ticket;
use crate::engine::{Foreign, Outcome, OutcomeSink, Timings};
use crate::job::DeviceChoice;
use crate::kernels::{Answer, DynKernel, Work};
use crate::model::CostClass;
use crate::plan::{Fusion, Plan};

/// So many jobs run as one at most.
pub(crate) const JOBS_MAX: usize = 1024;
/// So many units: what is gathered of their answers takes megabytes, for which no memory has to be reserved.
const UNITS_MAX: u64 = 1 << 24;
/// Jobs run as one are to take no longer than this, in milliseconds: all end when the last one does.
pub(crate) const RUN_MS_MAX: f64 = 20.0;
/// A job that takes a thread longer than this, by its kernel's account, has little to gain from sharing fixed costs.
const JOB_MS_MAX: f64 = 20.0;
/// Those that are being bound at the moment are waited for, but no longer than this.
pub(crate) const BINDING_MAX: Duration = Duration::from_millis(1);
/// Those that wait for others of theirs to leave the GPU are looked at again after this long, whatever it does.
pub(crate) const HELD_MAX: Duration = Duration::from_millis(20);
/// Where they turned out best each by itself, jobs are not gathered again before this time is over, or twice as many wait.
const AGAIN: Duration = Duration::from_millis(50);
/// A kernel's pool is kept when it is empty, since it knows how fast jobs come; of so many at most.
const POOLS_MAX: usize = 64;
/// A job with so long a time limit is not watched for that within a batch.
const UNWATCHED: Duration = Duration::from_secs(1);

/// Whether a job that was bound may run as one with others: nothing of it is to be watched, kept apart or waited for.
pub(crate) fn may_fuse(ticket: &Ticket, asked: DeviceChoice, kernel: &dyn DynKernel, work: &Work) -> bool {
    asked == DeviceChoice::Auto
        && work.gpu
        // What takes less is over before the coordinator has seen it.
        && !is_trivial(work)
        && work.prior_ms() <= JOB_MS_MAX
        && work.units <= UNITS_MAX
        && ticket.in_memory
        && ticket.memory_bytes.is_none()
        && ticket.reserved.is_none()
        && ticket.seat.is_none()
        && ticket.timeout.is_none_or(|limit| limit >= UNWATCHED)
        && caught(|| Ok(kernel.fuses())).unwrap_or(false)
}

/// What jobs have in common that run as one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Likeness {
    kernel: &'static str,
    variant: String,
    cost: CostClass,
    passes: u32,
    priority: i32,
}

impl Likeness {
    fn of(bound: &Bound) -> Self {
        let Work { kernel, ref variant, prior_ns_per_unit, passes, .. } = bound.work;
        let cost = CostClass::of(prior_ns_per_unit);
        Self { kernel, variant: variant.clone(), cost, passes, priority: bound.ticket.priority }
    }

    fn is_of(&self, bound: &Bound) -> bool {
        let work = &bound.work;
        self.kernel == work.kernel
            && self.variant == work.variant
            && self.cost == CostClass::of(work.prior_ns_per_unit)
            && self.passes == work.passes
            && self.priority == bound.ticket.priority
    }
}

/// Jobs that wait together.
#[derive(Default)]
pub(crate) struct Pool {
    likeness: Option<Likeness>,
    pub jobs: Vec<Bound>,
    pub arrivals: Arrivals,
    /// When the first of those came that wait now.
    pub since: Option<Instant>,
    /// When they are looked at again, though nothing may have happened.
    pub look_at: Option<Instant>,
    /// Until when they wait for others.
    pub wait_until: Option<Instant>,
    /// Whether any have come since they were looked at.
    pub has_changed: bool,
    /// How many times such jobs are under way as one.
    pub under_way: usize,
}

impl Pool {
    /// Whether these are to be looked at.
    pub fn is_due(&self, now: Instant) -> bool {
        !self.jobs.is_empty() && (self.has_changed || self.look_at.is_some_and(|at| now >= at))
    }

    /// How many of those that came first may run as one, and their work as one.
    pub fn first(&self, jobs_max: usize) -> (usize, Work) {
        let mut all = self.jobs[0].work.clone();
        let (mut units, mut ns, mut count) = (0_u64, 0.0, 0);
        for Bound { work, .. } in self.jobs.iter().take(jobs_max) {
            let own = padded(work);
            if count > 0 && units + own > UNITS_MAX {
                break;
            }
            units += own;
            ns += own as f64 * work.prior_ns_per_unit;
            all.bytes_per_unit = all.bytes_per_unit.max(work.bytes_per_unit);
            all.bytes_out_per_unit = all.bytes_out_per_unit.max(work.bytes_out_per_unit);
            count += 1;
        }
        all.units = units;
        all.prior_ns_per_unit = if units == 0 { all.prior_ns_per_unit } else { ns / units as f64 };
        (count, all)
    }

    /// Takes these many that came first.
    pub fn take(&mut self, count: usize) -> Vec<Bound> {
        let rest = self.jobs.split_off(count.min(self.jobs.len()));
        let taken = std::mem::replace(&mut self.jobs, rest);
        // The rest begin to wait anew.
        (self.since, self.look_at, self.wait_until) = (Some(Instant::now()), None, None);
        self.has_changed = !self.jobs.is_empty();
        taken
    }
}

/// What of a whole a job's units are: each begins where a chunk may begin.
fn padded(work: &Work) -> u64 {
    work.units.next_multiple_of(work.granularity.max(1))
}

/// All pools of a run.
#[derive(Default)]
pub(crate) struct Pools {
    pub all: Vec<Pool>,
    /// When jobs were last found to be best each by itself, and how many they were.
    refused: Option<(Instant, usize)>,
}

impl Pools {
    /// Whether nobody waits.
    pub fn is_idle(&self) -> bool {
        self.all.iter().all(|pool| pool.jobs.is_empty())
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.all.iter().map(|pool| pool.jobs.len()).sum()
    }

    /// A job joins those like it.
    pub fn join(&mut self, bound: Bound, now: Instant, since_begin: Duration) {
        let found = self.all.iter().position(|pool| pool.likeness.as_ref().is_some_and(|own| own.is_of(&bound)));
        let at = found.unwrap_or_else(|| {
            if self.all.len() >= POOLS_MAX {
                self.all.retain(|pool| !pool.jobs.is_empty() || pool.under_way > 0);
            }
            self.all.push(Pool { likeness: Some(Likeness::of(&bound)), ..Pool::default() });
            self.all.len() - 1
        });
        let pool = &mut self.all[at];
        pool.arrivals.came(1, since_begin);
        if pool.jobs.is_empty() {
            // Those before have gone, or were cancelled.
            (pool.since, pool.look_at, pool.wait_until) = (Some(now), None, None);
        }
        pool.has_changed = true;
        pool.jobs.push(bound);
    }

    /// A lane is free, or dispatch has room: those that wait are to be looked at.
    pub fn look_again(&mut self) {
        self.all.iter_mut().for_each(|pool| pool.has_changed = !pool.jobs.is_empty());
    }

    /// The places of all pools, those of higher priority first.
    pub fn by_priority(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.all.len()).filter(|&at| !self.all[at].jobs.is_empty()).collect();
        places.sort_by_key(|&at| Reverse(self.all[at].likeness.as_ref().map_or(0, |likeness| likeness.priority)));
        places
    }

    /// The pool of jobs with this in common.
    pub fn of(&mut self, likeness: &Likeness) -> Option<&mut Pool> {
        self.all.iter_mut().find(|pool| pool.likeness.as_ref() == Some(likeness))
    }

    /// When the next is to be looked at, though nothing may happen.
    pub fn next_look(&self) -> Option<Instant> {
        self.all.iter().filter(|pool| !pool.jobs.is_empty()).filter_map(|pool| pool.look_at).min()
    }

    /// Jobs were best each by itself.
    pub fn refuse(&mut self, jobs: usize, now: Instant) {
        self.refused = Some((now, jobs));
    }

    /// Whether so many jobs that wait are worth gathering.
    pub fn are_worth_it(&self, crowd: usize, now: Instant) -> bool {
        let is_refused =
            self.refused.is_some_and(|(at, jobs)| now.saturating_duration_since(at) < AGAIN && crowd < 2 * jobs);
        // What comes beyond is for the lanes.
        !is_refused && self.waiting() < JOBS_MAX
    }
}

/// Jobs that run as one.
pub(crate) struct Fused {
    pub running: Arc<Running>,
    pub likeness: Option<Likeness>,
    /// Their places in the answer are those here; `None` once one has ended early.
    pub jobs: Vec<Option<Bound>>,
    pub work: Work,
    pub fusion: Fusion,
    /// Whether a chunk was given to a lane.
    pub begun: bool,
    /// When dispatch got them.
    pub admitted: Instant,
    /// The answers, once they are there.
    pub answer: Option<Arc<dyn Answer>>,
}

impl Fused {
    /// These jobs as one kernel, where its own makes one of them.
    pub fn kernel_of(jobs: &[Bound]) -> Option<(Foreign<Arc<dyn DynKernel>>, Work)> {
        let kernels: Vec<Arc<dyn DynKernel>> = jobs.iter().map(|job| Arc::clone(&job.kernel)).collect();
        caught(|| {
            let fused = kernels.first().and_then(|first| first.fuse(&kernels)).map(Foreign::new);
            Ok(fused.map(|kernel| {
                let work = kernel.work();
                (kernel, work)
            }))
        })
        .ok()
        .flatten()
    }

    /// What they have in common.
    pub fn likeness_of(jobs: &[Bound]) -> Option<Likeness> {
        jobs.first().map(Likeness::of)
    }

    /// The first of them that is there, and how many are.
    pub fn label(&self) -> (u64, u32) {
        let mut there = self.jobs.iter().flatten();
        let first = there.next().map_or(0, |job| job.ticket.index);
        (first, 1 + there.count() as u32)
    }
}

/// The outcomes of jobs that ran as one, each with its own answer. The time of the whole is shared out in proportion to units; what is not a
/// job's share is time that it waited for the others.
pub(crate) fn outcomes(
    jobs: Vec<(Bound, Arc<dyn Answer>)>,
    fusion: &Fusion,
    of_all: (u64, u64),
    admitted: Instant,
    report: &JobReport,
) -> Vec<(Outcome, Arc<dyn OutcomeSink>)> {
    let (all, units) = of_all;
    let mut plans: Vec<(u64, Arc<Plan>)> = Vec::new();
    let outcome = |(bound, answer): (Bound, Arc<dyn Answer>)| {
        let Bound { ticket, work, opening, .. } = bound;
        let share = if units == 0 { 1.0 / all.max(1) as f64 } else { padded(&work) as f64 / units as f64 };
        let plan = match plans.iter().find(|(units, _)| *units == work.units) {
            Some((_, plan)) => Arc::clone(plan),
            None => {
                let plan = Arc::new(fusion.plan_of(all, share, &work));
                plans.push((work.units, Arc::clone(&plan)));
                plan
            }
        };
        let mut phases = report.phases.part(share);
        phases.setup += opening;
        let waited = admitted.saturating_duration_since(ticket.submitted).saturating_sub(opening);
        let timings = Timings {
            queued: waited + report.queued,
            phases,
            opening,
            total: ticket.submitted.elapsed(),
            since_plan: report.took.mul_f64(share.min(1.0)),
            own: report.own.map(|own| own.mul_f64(share.min(1.0))),
            ..Timings::default()
        };
        ticket.ended(Ok(answer), report.ran_on, timings, report.attempts, Some(plan))
    };
    jobs.into_iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_refusal_nobody_asks_again_for_a_while_or_before_twice_as_many_wait() {
        let now = Instant::now();
        let mut pools = Pools::default();
        assert!(pools.are_worth_it(2, now) && pools.is_idle() && pools.next_look().is_none());
        pools.refuse(10, now);
        let soon = now + AGAIN / 2;
        assert!(!pools.are_worth_it(19, soon));
        assert!(pools.are_worth_it(20, soon));
        assert!(pools.are_worth_it(2, now + AGAIN));
    }

    #[test]
    fn each_begins_where_a_chunk_may_begin() {
        let work = |units, granularity| Work {
            kernel: "k",
            variant: String::new(),
            units,
            granularity,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: 1.0,
            passes: 1,
            gpu: true,
        };
        assert_eq!([1, 64, 65, 0].map(|units| padded(&work(units, 64))), [64, 64, 128, 0]);
        assert_eq!(padded(&work(7, 0)), 7);
    }
}
