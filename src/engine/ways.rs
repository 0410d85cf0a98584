//! Jobs that can be done in two ways: each is planned, and the one that is predicted to end first is taken.

use std::sync::Arc;

use crate::engine::foreign::Foreign;
use crate::engine::panics;
use crate::engine::shared::Planned;
use crate::kernels::{DynKernel, Work};
use crate::plan::Plan;

/// A way that takes one thread so many times as long is not weighed: no device makes up for it, and none has to be looked for.
const HOPELESS: f64 = 1000.0;

/// The way that a job takes, where it is not the one that it was bound with.
pub(super) struct OtherWay {
    pub kernel: Foreign<Arc<dyn DynKernel>>,
    pub work: Work,
}

/// Plans a kernel by `plan`, and its other way, if it has one. Gives the plan of the better, and the other way if that is the better.
pub(super) fn plan_ways(
    kernel: &dyn DynKernel,
    work: &Work,
    plan: impl Fn(&dyn DynKernel, &Work) -> Planned,
) -> (Planned, Option<OtherWay>) {
    let other = panics::catch(|| kernel.other_way().map(|other| (other.work(), Foreign::new(other)))).ok().flatten();
    let Some((other_work, other)) = other else { return (plan(kernel, work), None) };
    let planned = plan(&**other, &other_work);
    if matches!(&planned, Planned::Plan(planned) if is_hopeless(work, ends_ms(planned))) {
        return (planned, Some(OtherWay { kernel: other, work: other_work }));
    }
    match (plan(kernel, work), planned) {
        (Planned::Plan(mut own), Planned::Plan(mut planned)) => {
            if ends_ms(&planned) < ends_ms(&own) {
                say(&mut planned, &other_work, &own, work);
                (Planned::Plan(planned), Some(OtherWay { kernel: other, work: other_work }))
            } else {
                say(&mut own, work, &planned, &other_work);
                (Planned::Plan(own), None)
            }
        }
        (Planned::Refused(_), Planned::Plan(planned)) => {
            (Planned::Plan(planned), Some(OtherWay { kernel: other, work: other_work }))
        }
        (own, _) => (own, None),
    }
}

/// Whether work can be left aside that another way is predicted to end in so many milliseconds.
pub(super) fn is_hopeless(work: &Work, other_ms: f64) -> bool {
    other_ms * HOPELESS < work.prior_ms()
}

/// When the chosen way of a plan is predicted to end; never, where nothing was predicted.
fn ends_ms(plan: &Plan) -> f64 {
    plan.candidates.first().and_then(|best| best.predicted).map_or(f64::INFINITY, |predicted| predicted.ms)
}

/// Adds to the reason which way was taken, and what the other would have taken.
fn say(taken: &mut Plan, work: &Work, other: &Plan, other_work: &Work) {
    let other_ms = ends_ms(other);
    if other_ms.is_finite() {
        let time = crate::report::figures::time(std::time::Duration::from_secs_f64(other_ms / 1e3));
        taken.reason +=
            &format!("; done as {}, since as {} it was predicted to take {time}", work.variant, other_work.variant);
    }
}
