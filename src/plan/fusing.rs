//! Whether small jobs of one kernel that wait together run as one, and whether to wait for more of them.
//!
//! On a GPU each piece of work pays fixed costs, whatever its size: what a job of half a millisecond cannot earn back, a hundred of them
//! together do. As one they all end when the last one does, so that this is only worth it where even the last of them, each by itself,
//! would end later.

use std::time::Duration;

use crate::device::{DeviceId, DeviceKind};
use crate::kernels::Work;
use crate::plan::cost;
use crate::plan::priors::THREAD_EFFICIENCY;
use crate::plan::request::{DeviceState, PlanError, PlanRequest, Question};
use crate::plan::split::{Lane, all_end_ms};
use crate::plan::types::{Plan, Prediction};
use crate::report::figures::{counted, time_ms};

/// Running as one has to save this part of the time: predictions are no better than that.
const GAIN_MIN: f64 = 0.05;
/// Nobody waits longer than this for others to join.
pub(crate) const WAIT_MAX: Duration = Duration::from_millis(5);
/// What is shorter than this is no wait: a timer is no more precise.
const WAIT_MIN_MS: f64 = 0.02;

/// What became of weighing jobs as one against each by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fusion {
    /// The plan of all as one.
    pub plan: Plan,
    /// When all have ended that way, in milliseconds from now.
    pub together_ms: f64,
    /// When all have ended each by itself.
    pub apart_ms: f64,
    /// Whether they are to run as one.
    pub pays: bool,
    /// Whether that opens a GPU, for which whoever is among the first waits.
    pub opens: bool,
    /// What a piece of work costs on the GPU whatever its size, in milliseconds.
    pub fixed_ms: f64,
    /// And what each job costs there besides.
    pub job_ms: f64,
    /// When one that comes now would have ended on a thread of the CPU.
    pub alone_ms: f64,
}

/// Weighs `jobs` jobs, whose work as one is that of the request, against each by itself. Where they are `small`, each would be run on one
/// thread of the CPU, as all are that run in batches; else it would be planned, and a GPU may be what is best for it.
///
/// # Errors
/// Those of a plan.
pub(crate) fn fusion(request: &PlanRequest<'_>, jobs: u64, small: bool) -> Result<Fusion, PlanError> {
    let plan = super::plan(request)?;
    let question = &Question::new(*request);
    let jobs = jobs.max(1);
    let each = (request.work.units / jobs).max(1);
    let together_ms = plan.candidates.first().and_then(|best| best.predicted).map_or(f64::INFINITY, |best| best.ms);
    let mut fusion = Fusion {
        plan,
        together_ms,
        apart_ms: apart_ms(question, jobs, each, small).unwrap_or(0.0),
        pays: false,
        opens: false,
        fixed_ms: 0.0,
        job_ms: 0.0,
        alone_ms: question.cpu().map_or(0.0, |cpu| {
            let cost = cost::cpu(question, cpu, 1, each);
            cost.wait_ms + cost.run.ms
        }),
    };
    let used = request.devices.iter().filter(|state| state.id != DeviceId::Cpu && fusion.plan.choice.uses(state.id));
    let costs = used.map(|state| {
        let ms = |jobs: u64| cost::gpu(question, state, each.saturating_mul(jobs)).run.ms;
        let job_ms = ((ms(2 * jobs) - ms(jobs)) / jobs as f64).max(0.0);
        ((ms(jobs) - job_ms * jobs as f64).max(0.0), job_ms, is_closed(state))
    });
    let Some((fixed_ms, job_ms, opens)) = costs.min_by(|a, b| a.0.total_cmp(&b.0)) else { return Ok(fusion) };
    let gains = together_ms < fusion.apart_ms * (1.0 - GAIN_MIN);
    // Larger ones run on a GPU anyway; what each saves must be more than what it then waits for each of the others.
    let is_worth_it = small || fixed_ms >= job_ms;
    (fusion.fixed_ms, fusion.job_ms, fusion.opens) = (fixed_ms, job_ms, opens);
    // A GPU that is closed is opened for those behind as well, which the plan has weighed.
    fusion.pays = jobs > 1 && is_worth_it && (gains || opens);
    Ok(fusion)
}

fn is_closed(state: &DeviceState) -> bool {
    !state.opened && state.busy_for_ms.is_empty()
}

/// When so many jobs have ended, each by itself.
fn apart_ms(question: &Question<'_>, jobs: u64, each: u64, small: bool) -> Option<f64> {
    let cpu = question.cpu()?;
    let one_ms = cost::cpu(question, cpu, 1, each).run.ms;
    let lanes = u64::from(question.cpu_lanes()).min(jobs);
    let useful = 1.0 + (lanes - 1) as f64 * THREAD_EFFICIENCY;
    let run_ms = (one_ms * jobs as f64 / useful).max(one_ms);
    let wait_ms = cost::waiting(cpu, lanes as u32, run_ms);
    if small {
        return Some(wait_ms + run_ms);
    }
    let open = question.devices.iter().filter(|state| {
        let is_there = state.id != DeviceId::Cpu && state.unusable.is_none() && state.kind != DeviceKind::SoftwareGpu;
        is_there && question.work.gpu && !is_closed(state)
    });
    let gpus = open.map(|state| {
        let cost = cost::gpu(question, state, each);
        Lane { begins_ms: cost.wait_ms, whole_ms: (cost.run.ms * jobs as f64).max(1e-9) }
    });
    let lanes: Vec<Lane> =
        std::iter::once(Lane { begins_ms: wait_ms, whole_ms: run_ms.max(1e-9) }).chain(gpus).collect();
    // None ends before the shortest way of running one.
    let shortest = lanes.iter().map(|lane| lane.begins_ms + lane.whole_ms / jobs as f64);
    let shortest_ms = shortest.fold(one_ms, f64::min);
    all_end_ms(&lanes).map(|ms| ms.max(shortest_ms))
}

/// Jobs that are to run as one on a GPU which is free, and what is known of those that come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Waiting {
    /// How many there are.
    pub jobs: u64,
    /// How many come in a millisecond.
    pub jobs_per_ms: f64,
    /// What a piece of work costs on the GPU whatever its size, in milliseconds.
    pub fixed_ms: f64,
    /// And what each job costs there besides.
    pub job_ms: f64,
    /// When these would all have ended each by itself.
    pub apart_ms: f64,
    /// When one that comes would have ended on a thread of the CPU.
    pub alone_ms: f64,
}

/// How long jobs wait for others to join them, so that all of them, those that are expected to come meanwhile among them, wait the least in
/// all. Zero where that is to begin now; never more than [`WAIT_MAX`].
///
/// Who comes within the wait `w` joins, and ends with these; else it would run on the CPU, or as a part of the next piece of work, once this
/// one has ended. Of this gain, times the number expected, is taken what waiting costs: those that are here end later by `w`, and by
/// what each of the others adds. Both grow with `w`, the gain ever more slowly, so that there is a best one. What comes later than that is
/// not counted: under a steady stream as many wait as come in a fixed cost, and nothing is gained by waiting for more.
pub(crate) fn wait_pays(waiting: &Waiting) -> Duration {
    let Waiting { jobs, jobs_per_ms, fixed_ms, job_ms, apart_ms, alone_ms } = *waiting;
    let here = jobs as f64;
    let now_ms = fixed_ms + here * job_ms;
    let sane = [jobs_per_ms, fixed_ms, job_ms, alone_ms].iter().all(|value| value.is_finite() && *value >= 0.0);
    if !sane || jobs == 0 || jobs_per_ms <= 0.0 || apart_ms <= now_ms {
        return Duration::ZERO;
    }
    // Of one that comes after `w / 2`, on average, by whichever is earlier.
    let next_ms = now_ms + fixed_ms + job_ms;
    let gain_ms = |wait_ms: f64| {
        let expected = jobs_per_ms * wait_ms;
        let elsewhere_ms = alone_ms.min(next_ms - wait_ms / 2.0);
        let joined_ms = wait_ms / 2.0 + fixed_ms + (here + expected) * job_ms;
        expected * (elsewhere_ms - joined_ms) - here * (wait_ms + expected * job_ms)
    };
    // For either alternative by itself the sum is a parabola in `w`; the best one is the top of one of them, or where they meet.
    let squared = jobs_per_ms * jobs_per_ms * job_ms;
    let linear = |elsewhere_ms: f64| {
        jobs_per_ms * (elsewhere_ms - fixed_ms - here * job_ms) - here * (1.0 + jobs_per_ms * job_ms)
    };
    let tops = [
        linear(alone_ms) / (2.0 * (jobs_per_ms / 2.0 + squared)),
        linear(next_ms) / (2.0 * (jobs_per_ms + squared)),
        2.0 * (next_ms - alone_ms),
    ];
    let longest_ms = WAIT_MAX.as_secs_f64() * 1e3;
    let best = tops.into_iter().map(|ms| ms.clamp(0.0, longest_ms)).max_by(|a, b| gain_ms(*a).total_cmp(&gain_ms(*b)));
    match best {
        Some(ms) if ms >= WAIT_MIN_MS && gain_ms(ms) > 0.0 => Duration::from_secs_f64(ms / 1e3),
        _ => Duration::ZERO,
    }
}

impl Fusion {
    /// The plan of one of `jobs` jobs that run as one, which is so much of the whole, 0 to 1: what was predicted, in proportion.
    pub fn plan_of(&self, jobs: u64, share: f64, work: &Work) -> Plan {
        let mut plan = Plan::given(self.plan.choice.clone(), self.plan.reason.clone());
        if !plan.reason.is_empty() {
            plan.reason.push_str("; ");
        }
        let (together, apart) = (time_ms(self.together_ms), time_ms(self.apart_ms));
        let all = counted(jobs, "job", "jobs");
        plan.reason.push_str(&format!(
            "{all} of one kernel that waited together ran as one on {}: predicted to take {together} in all, and {apart} each by itself; \
             the times of one are its share",
            plan.choice
        ));
        let scaled = |ms: f64| ms * share;
        plan.candidates = self.plan.candidates.clone();
        for candidate in &mut plan.candidates {
            candidate.predicted = candidate.predicted.map(|whole| Prediction {
                ms: scaled(whole.ms),
                low_ms: scaled(whole.low_ms),
                high_ms: scaled(whole.high_ms),
            });
            candidate.setup_ms = scaled(candidate.setup_ms);
            candidate.waiting_ms = scaled(candidate.waiting_ms);
        }
        plan.gpus_known = self.plan.gpus_known;
        plan.work = self.plan.work.is_some().then(|| Box::new(work.clone()));
        plan
    }

    /// How long all as one take once it is their turn, in milliseconds.
    pub fn run_ms(&self) -> f64 {
        let chosen = self.plan.candidates.first();
        self.together_ms - chosen.map_or(0.0, |best| best.waiting_ms + best.setup_ms)
    }
}

#[cfg(test)]
#[path = "fusing_tests.rs"]
mod tests;
