//! The size from which another choice would win.

use crate::device::DeviceId;
use crate::plan::candidates::{pick, weigh};
use crate::plan::request::PlanRequest;
use crate::plan::types::{Choice, Crossover};

/// Sizes that take longer than this, some four months, are nobody's next job: the search ends there.
const FARTHEST_MS: f64 = 1e10;

/// The nearest larger size at which another device would be chosen, or else the nearest smaller one. Where the CPU is
/// all there is, another number of threads counts too. Sizes are searched by doubling, then by bisection.
pub(super) fn find(request: &PlanRequest<'_>, chosen: &Choice) -> Option<Crossover> {
    let only_cpu =
        request.devices.iter().all(|state| state.id == DeviceId::Cpu || state.unusable.is_some()) || !request.work.gpu;
    let same = |other: &Choice| match (chosen, other) {
        (Choice::Cpu { threads: a }, Choice::Cpu { threads: b }) => !only_cpu || a == b,
        (Choice::Gpu { index: a }, Choice::Gpu { index: b }) => a == b,
        (Choice::Split { .. }, Choice::Split { .. }) => true,
        _ => false,
    };
    let other_at = |units: u64| {
        let weighed = weigh(request, units);
        let best = pick(&weighed).filter(|best| best.ms() <= FARTHEST_MS)?;
        Some(best.choice.clone()).filter(|choice| !same(choice))
    };
    let here = request.work.units.max(1);
    let mut near = here;
    while near < u64::MAX {
        let far = near.saturating_mul(2);
        if other_at(far).is_some() {
            let (_, units) = bisect(near, far, |units| other_at(units).is_some());
            return other_at(units).map(|choice| Crossover { choice, units, below: false });
        }
        near = far;
    }
    let mut near = here;
    while near > 1 {
        let far = near / 2;
        if other_at(far).is_some() {
            let (_, units) = bisect(near, far, |units| other_at(units).is_some());
            return other_at(units).map(|choice| Crossover { choice, units, below: true });
        }
        near = far;
    }
    None
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
