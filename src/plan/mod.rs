//! Where a job runs, and why: a pure function of the job's work, the models, the devices' states and the policy. No
//! clock, no environment, no logging.

mod candidates;
mod cost;
mod crossover;
mod fusing;
mod policy;
pub(crate) mod priors;
mod probe;
mod reason;
mod request;
mod split;
mod stream;
mod types;
mod variants;
pub(crate) mod ways;

pub(crate) use fusing::{Fusion, WAIT_MAX, Waiting, fusion, wait_pays};
pub use policy::Policy;
pub use request::{DeviceState, PlanError, PlanRequest, Unusable};
pub(crate) use split::end_together;
pub use stream::{Outlook, Stream};
pub use types::{Candidate, Choice, Crossover, Part, Plan, Power, Prediction};
pub use variants::{NoVariant, VariantPlan, VariantRequest, VariantState, plan_variants};

use crate::device::DeviceId;
use crate::job::DeviceChoice;
use candidates::Weighed;
use request::Question;

/// Decides where a job runs.
///
/// Every choice that the policy allows is predicted: one thread, half of them, all of them, each GPU, a split. The one
/// predicted to end first wins; within a tie, the one that occupies less. The cost of a choice is when it is free, and
/// set-up where the device is not open yet, and upload of what is not there yet, and computing, and read-back: the
/// earliest finish time of HEFT (Topcuoglu et al., 2002) for one job, with measured costs. A GPU that does not pay for one job may pay
/// for the [stream](Stream) that it belongs to; then the job opens it.
///
/// # Errors
/// See [`PlanError`].
pub fn plan(request: &PlanRequest<'_>) -> Result<Plan, PlanError> {
    request::refuse_early(request)?;
    let request = &Question::new(*request);
    let weighed = candidates::weigh(request, request.work.units);
    let best = candidates::pick(&weighed).ok_or_else(|| request::why_none(request))?;
    if request::should_look_for_gpus(request, best.ms()) {
        return Err(PlanError::NeedsInventory);
    }
    let (best, opening) = match stream::opening(request, &weighed, best) {
        Some((gpu, why)) => (gpu, Some(why)),
        None => (best, None),
    };
    let probe = if opening.is_some() { None } else { probe::choose(request, &weighed, best) };
    let crossover = if request.explain { crossover::find(request, &best.choice) } else { None };
    Ok(Plan {
        choice: best.choice.clone(),
        reason: match request.explain {
            true => reason::explain(request, &weighed, best, opening.as_ref(), probe.as_ref()),
            false => String::new(),
        },
        candidates: listed(request, &weighed, best),
        crossover,
        gpus_unknown: request.policy == DeviceChoice::Auto && request.work.gpu && !request.inventory_known,
        gpus_known: request.inventory_known,
        probe,
        outlook: stream::outlook(request, &weighed, best),
        powers: powers(request, &weighed, &best.choice),
        work: request.explain.then(|| Box::new(request.work.clone())),
    })
}

/// The candidates for the plan: the chosen one first, then the others from best to worst, then those that could not be.
fn listed(request: &Question<'_>, weighed: &[Weighed], best: &Weighed) -> Vec<Candidate> {
    if !request.explain {
        return vec![best.candidate()];
    }
    let mut rest: Vec<&Weighed> = weighed.iter().filter(|other| other.choice != best.choice).collect();
    rest.sort_by(|a, b| a.ms().total_cmp(&b.ms()));
    std::iter::once(best).chain(rest).map(Weighed::candidate).collect()
}

/// What each device that the policy allows is predicted to do, for whoever cuts the job into chunks. Devices of the
/// choice come first.
fn powers(request: &Question<'_>, weighed: &[Weighed], choice: &Choice) -> Vec<Power> {
    let threads = match choice {
        Choice::Cpu { threads } => *threads,
        _ => request.cpu_lanes(),
    };
    let mut powers: Vec<Power> = request
        .devices
        .iter()
        .filter(|state| match request.policy {
            DeviceChoice::Auto | DeviceChoice::Split => state.unusable.is_none(),
            _ => choice.uses(state.id),
        })
        .filter_map(|state| {
            let (lanes, single) = match state.id {
                DeviceId::Cpu => (threads, Choice::Cpu { threads }),
                DeviceId::Gpu(index) => (state.lanes.max(1), Choice::Gpu { index }),
            };
            cost::power(request, state, lanes, weighed.iter().find(|one| one.choice == single)?)
        })
        .collect();
    powers.sort_by_key(|power| (!choice.uses(power.device), power.device != DeviceId::Cpu, power.device));
    powers
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod tests;
