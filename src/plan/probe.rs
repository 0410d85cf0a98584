//! Bounded exploration: a few per cent of a job run elsewhere, so that a choice nobody takes does not stay misjudged.

use crate::device::DeviceId;
use crate::job::DeviceChoice;
use crate::plan::candidates::Weighed;
use crate::plan::cost;
use crate::plan::request::PlanRequest;
use crate::plan::types::{Choice, Part};

/// The most of a job's predicted time that a probe may cost.
pub(super) const PROBE_SHARE: f64 = 0.03;
/// Jobs shorter than this are not worth probing with.
const PROBE_JOB_MS: f64 = 2.0;
/// A device is opened for a probe only by jobs that take this many times as long as opening it.
const COLD_FACTOR: f64 = 4.0;

/// What to try with this job: of the choices not taken that have never been run, or not for long, the one predicted to
/// be the fastest.
pub(super) fn choose(request: &PlanRequest<'_>, weighed: &[Weighed], best: &Weighed) -> Option<Part> {
    let work = request.work;
    if request.policy != DeviceChoice::Auto || best.ms() < PROBE_JOB_MS || best.ms() >= crate::model::LONGEST_MS {
        return None;
    }
    let budget_ms = best.ms() * PROBE_SHARE;
    let mut others: Vec<&Weighed> = weighed.iter().filter(|one| one.total.is_some()).collect();
    others.sort_by(|a, b| a.ms().total_cmp(&b.ms()));
    for other in others {
        let (device, lanes) = match other.choice {
            Choice::Cpu { threads } => (DeviceId::Cpu, threads),
            Choice::Gpu { index } => (DeviceId::Gpu(index), 1),
            Choice::Split { .. } => continue,
        };
        let taken = match &best.choice {
            Choice::Cpu { threads } => device == DeviceId::Cpu && lanes == *threads,
            // Fewer threads beside a busy GPU would measure neither.
            Choice::Gpu { .. } | Choice::Split { .. } => {
                best.choice.uses(device) || (device == DeviceId::Cpu && lanes != request.cpu_lanes())
            }
        };
        if taken || best.ms() < other.setup_ms * COLD_FACTOR {
            continue;
        }
        let Some(state) = request.state(device) else { continue };
        if !request.model.due_for_probe(cost::key(work, state, lanes)) {
            continue;
        }
        let run = match device {
            DeviceId::Cpu => cost::cpu(request, state, lanes, work.units),
            DeviceId::Gpu(_) => cost::gpu(request, state, work.units),
        };
        let pass_ms = run.run.ms / cost::passes(work);
        let granule = work.granularity.max(1) as f64;
        let units = work.units as f64 * (budget_ms / pass_ms.max(1e-9)).min(PROBE_SHARE);
        let units = (units / granule).floor() * granule;
        if units >= granule && units < work.units as f64 {
            return Some(Part { device, lanes, share: units / work.units as f64 });
        }
    }
    None
}
