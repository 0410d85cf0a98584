//! Jobs that can be done in two ways: both are planned, and [`crate::plan`] says which one is taken. Jobs that are short enough for a batch are
//! not asked: what is over in a millisecond has no better way.

use std::sync::Arc;

use crate::engine::foreign::Foreign;
use crate::engine::panics;
use crate::engine::shared::Planned;
use crate::kernels::{DynKernel, Work};
use crate::plan::ways::{Known, Way, ends_ms, explain, is_hopeless, is_other_better};

/// The way that a job takes, where it is not the one that it was bound with.
pub(super) struct OtherWay {
    pub kernel: Foreign<Arc<dyn DynKernel>>,
    pub work: Work,
}

/// What a kernel's way is called, and what it is likely to take.
pub(super) fn way(kernel: &dyn DynKernel, work: &Work) -> Way {
    let name = panics::catch(|| kernel.method()).ok().flatten().unwrap_or(work.kernel);
    Way { name, prior_ms: work.prior_ms() }
}

/// Plans a kernel by `plan`, and its other way, if it has one. Gives the plan of the better, and the other way if that is the better.
pub(super) fn plan_ways(
    kernel: &dyn DynKernel,
    work: &Work,
    plan: impl Fn(&dyn DynKernel, &Work) -> Planned,
) -> (Planned, Option<OtherWay>) {
    let other = panics::catch(|| kernel.other_way().map(|other| (other.work(), Foreign::new(other)))).ok().flatten();
    let Some((other_work, other)) = other else { return (plan(kernel, work), None) };
    let (own_way, other_way) = (way(kernel, work), way(&**other, &other_work));
    let mut planned = match plan(&**other, &other_work) {
        Planned::Plan(planned) => planned,
        _ => return (plan(kernel, work), None),
    };
    let own = if is_hopeless(own_way, ends_ms(&planned)) { None } else { Some(plan(kernel, work)) };
    let known = match &own {
        None | Some(Planned::Refused(_)) => Known::Refused,
        Some(Planned::SearchFirst) => Known::SearchFirst,
        Some(Planned::Plan(own)) => Known::Plan(own),
    };
    let own_ms = if let Known::Plan(own) = known { Some(ends_ms(own)) } else { None };
    if is_other_better(known, &planned) {
        explain(&mut planned, other_way.name, own_way, own_ms);
        return (Planned::Plan(planned), Some(OtherWay { kernel: other, work: other_work }));
    }
    match own {
        Some(Planned::Plan(mut own)) => {
            explain(&mut own, own_way.name, other_way, Some(ends_ms(&planned)));
            (Planned::Plan(own), None)
        }
        Some(own) => (own, None),
        None => (Planned::Plan(planned), Some(OtherWay { kernel: other, work: other_work })),
    }
}
