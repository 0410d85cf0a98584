//! The size from which another choice would win.

use crate::device::DeviceId;
use crate::job::DeviceChoice;
use crate::plan::candidates::{pick, weigh};
use crate::plan::request::Question;
use crate::plan::types::{Choice, Crossover};

/// Sizes that take longer than this, some four months, are nobody's next job: the search ends there.
const FARTHEST_MS: f64 = 1e10;

/// The nearest larger size at which another device would be chosen, or else the nearest smaller one. Where the CPU is
/// all there is, another number of threads counts too. Sizes are searched by doubling, then by bisection.
///
/// Whatever the policy is, all choices compete here as they do under `auto`. Where the user has asked for one that would
/// not win at this size, the others win up to the size, or from the size, at which the one asked for begins to.
pub(super) fn find(request: &Question<'_>, chosen: &Choice) -> Option<Crossover> {
    let request = &request.under(DeviceChoice::Auto);
    let only_cpu =
        request.devices.iter().all(|state| state.id == DeviceId::Cpu || state.unusable.is_some()) || !request.work.gpu;
    let same = |other: &Choice| match (chosen, other) {
        (Choice::Cpu { threads: a }, Choice::Cpu { threads: b }) => !only_cpu || a == b,
        (Choice::Gpu { index: a }, Choice::Gpu { index: b }) => a == b,
        (Choice::Split { .. }, Choice::Split { .. }) => true,
        _ => false,
    };
    let winner_at = |units: u64| {
        let weighed = weigh(request, units);
        let best = pick(&weighed).filter(|best| best.ms() <= FARTHEST_MS)?;
        Some(best.choice.clone())
    };
    let here = request.work.units.max(1);
    let loses_here = winner_at(here).is_some_and(|winner| !same(&winner));
    let turns = |units: u64| winner_at(units).is_some_and(|winner| same(&winner) == loses_here);
    let other = |units: u64, below: bool| winner_at(units).map(|choice| Crossover { choice, units, below });
    let mut near = here;
    while near < u64::MAX {
        let far = near.saturating_mul(2);
        if turns(far) {
            let (near, far) = bisect(near, far, turns);
            return if loses_here { other(near, true) } else { other(far, false) };
        }
        near = far;
    }
    let mut near = here;
    while near > 1 {
        let far = near / 2;
        if turns(far) {
            let (near, far) = bisect(near, far, turns);
            return if loses_here { other(near, false) } else { other(far, true) };
        }
        near = far;
    }
    if loses_here { winner_at(here).map(|choice| Crossover { choice, units: 1, below: false }) } else { None }
}

/// Narrows a change between `near`, where `changed` does not hold, and `far`, where it does, down to neighbours.
fn bisect(mut near: u64, mut far: u64, changed: impl Fn(u64) -> bool) -> (u64, u64) {
    while near.abs_diff(far) > 1 {
        let middle = near.midpoint(far);
        if changed(middle) {
            far = middle;
        } else {
            near = middle;
        }
    }
    (near, far)
}
