//! Every choice there is, what it is predicted to cost, and the best of them.

use crate::device::{DeviceId, DeviceKind};
use crate::job::DeviceChoice;
use crate::model::Forecast;
use crate::plan::cost::{self, Cost};
use crate::plan::request::{DeviceState, PlanRequest, smallest_chunk_misfit};
use crate::plan::split::{Lane, together};
use crate::plan::types::{Candidate, Choice, Part, Prediction};

/// Choices within this factor of the best are as good; the one that occupies least is taken.
pub(super) const TIE: f64 = 1.03;
/// And so are those within this many milliseconds of it.
pub(super) const TIE_MS: f64 = 0.002;
/// What a split loses to its ragged end.
const SPLIT_LOSS: f64 = 1.03;
/// What a split costs besides: merging, one more device to wait for.
const SPLIT_MS: f64 = 0.2;

/// A choice and what it costs.
#[derive(Clone, Debug)]
pub(super) struct Weighed {
    pub(super) choice: Choice,
    /// `None` where it cannot be taken.
    pub(super) total: Option<Forecast>,
    /// All passes, of a choice of one device that can be taken.
    pub(super) run: Option<Forecast>,
    /// Opening the device, within the total.
    pub(super) setup_ms: f64,
    /// Waiting for the device, within the total.
    pub(super) wait_ms: f64,
    /// Whether the policy lets it be chosen; the others are weighed for comparison.
    pub(super) allowed: bool,
    /// Why it cannot be taken.
    pub(super) why_not: Option<String>,
}

impl Weighed {
    pub(super) fn ms(&self) -> f64 {
        self.total.map_or(f64::INFINITY, |total| total.ms)
    }

    fn new(choice: Choice, cost: &Cost, allowed: bool) -> Self {
        Self {
            choice,
            total: Some(cost.total()),
            run: Some(cost.run),
            setup_ms: cost.setup.ms,
            wait_ms: cost.wait_ms,
            allowed,
            why_not: None,
        }
    }

    fn not(choice: Choice, why: String) -> Self {
        Self { choice, total: None, run: None, setup_ms: 0.0, wait_ms: 0.0, allowed: false, why_not: Some(why) }
    }

    pub(super) fn candidate(&self) -> Candidate {
        let predicted =
            self.total.map(|total| Prediction { ms: total.ms, low_ms: total.low_ms, high_ms: total.high_ms });
        let note = match (&self.why_not, self.total) {
            (Some(why), _) => why.clone(),
            (None, Some(Forecast { samples: 0, .. })) => "prior".to_owned(),
            (None, Some(Forecast { samples: 1, .. })) => "1 sample".to_owned(),
            (None, Some(Forecast { samples, .. })) => format!("{samples} samples"),
            (None, None) => "cannot be predicted".to_owned(),
        };
        let (setup_ms, waiting_ms) = (self.setup_ms, self.wait_ms);
        Candidate { choice: self.choice.clone(), predicted, setup_ms, waiting_ms, note }
    }
}

/// Every choice for a job of `units`, from the one that occupies least to the one that occupies most.
pub(super) fn weigh(request: &PlanRequest<'_>, units: u64) -> Vec<Weighed> {
    let mut weighed = Vec::with_capacity(4 + request.devices.len());
    let mut lanes: Vec<(DeviceId, u32, Cost)> = Vec::with_capacity(request.devices.len());
    let cpu_allowed = matches!(request.policy, DeviceChoice::Auto | DeviceChoice::Cpu);
    if let Some(state) = request.cpu() {
        let all = request.cpu_lanes();
        let counts = [1, all / 2, all];
        for (i, &threads) in counts.iter().enumerate() {
            if threads == 0 || counts[..i].contains(&threads) {
                continue;
            }
            let choice = Choice::Cpu { threads };
            match unfit(request, state) {
                Some(why) => weighed.push(Weighed::not(choice, why)),
                None => {
                    let cost = cost::cpu(request, state, threads, units);
                    weighed.push(Weighed::new(choice, &cost, cpu_allowed));
                    if threads == all {
                        lanes.push((state.id, all, cost));
                    }
                }
            }
        }
    }
    for state in request.devices {
        let DeviceId::Gpu(index) = state.id else { continue };
        let choice = Choice::Gpu { index };
        if let Some(why) = unfit(request, state) {
            weighed.push(Weighed::not(choice, why));
            continue;
        }
        let allowed = match request.policy {
            DeviceChoice::Auto | DeviceChoice::Gpu => true,
            DeviceChoice::GpuIndex(asked) => asked == index,
            DeviceChoice::Cpu | DeviceChoice::Split => false,
        };
        let cost = cost::gpu(request, state, units);
        weighed.push(Weighed::new(choice, &cost, allowed));
        // A software adapter shares the cores with the CPU: together they are no faster.
        if state.kind != DeviceKind::SoftwareGpu || request.policy == DeviceChoice::Split {
            lanes.push((state.id, state.lanes.max(1), cost));
        }
    }
    if lanes.len() >= 2 {
        weighed.extend(split(request, &lanes, &weighed));
    }
    weighed
}

/// Why this device cannot take the job.
fn unfit(request: &PlanRequest<'_>, state: &DeviceState) -> Option<String> {
    if let Some(unusable) = state.unusable {
        return Some(unusable.note().to_owned());
    }
    if state.id != DeviceId::Cpu && !request.work.gpu {
        return Some("the kernel has no gpu side".to_owned());
    }
    smallest_chunk_misfit(request.work, state)
        .map(|(chunk, limit)| format!("its smallest chunk, {chunk} bytes, exceeds the {limit} that the device takes"))
}

/// The split over all these devices; under `auto` only where its gain is larger than the uncertainty.
fn split(request: &PlanRequest<'_>, devices: &[(DeviceId, u32, Cost)], singles: &[Weighed]) -> Option<Weighed> {
    let forced = request.policy == DeviceChoice::Split;
    let predict = |ms: fn(&Forecast) -> f64| {
        let lanes: Vec<Lane> = devices
            .iter()
            .map(|(_, _, cost)| Lane { begins_ms: cost.wait_ms + ms(&cost.setup), whole_ms: ms(&cost.run).max(1e-9) })
            .collect();
        together(&lanes)
    };
    let (ms, shares) = predict(|forecast| forecast.ms)?;
    let (low_ms, _) = predict(|forecast| forecast.low_ms)?;
    let (high_ms, _) = predict(|forecast| forecast.high_ms)?;
    let parts: Vec<Part> = devices
        .iter()
        .zip(&shares)
        .filter(|(_, share)| forced || **share >= 0.005)
        .map(|(&(device, lanes, _), &share)| Part { device, lanes, share })
        .collect();
    if parts.len() < 2 {
        return None;
    }
    let samples = devices.iter().map(|(_, _, cost)| cost.run.samples).min().unwrap_or(0);
    let setup_ms = devices.iter().map(|(_, _, cost)| cost.setup.ms).fold(0.0, f64::max);
    let with_loss = |ms: f64| ms * SPLIT_LOSS + SPLIT_MS;
    let total = Forecast { ms: with_loss(ms), low_ms, high_ms: with_loss(high_ms), samples };
    let best = singles.iter().filter_map(|single| single.total).min_by(|a, b| a.ms.total_cmp(&b.ms));
    let clears = best.is_some_and(|best| {
        let unsure = 0.5 * ((best.ms - best.low_ms) + (total.high_ms - total.ms));
        samples > 0 && best.ms - total.ms > unsure
    });
    let allowed = forced || (request.policy == DeviceChoice::Auto && clears);
    Some(Weighed {
        choice: Choice::Split { parts },
        total: Some(total),
        run: None,
        setup_ms,
        wait_ms: 0.0,
        allowed,
        why_not: (!allowed && request.policy == DeviceChoice::Auto)
            .then(|| "its gain is within the uncertainty".to_owned()),
    })
}

/// The best of those that are allowed: the first, in the order of what they occupy, that is as good as the fastest.
pub(super) fn pick(weighed: &[Weighed]) -> Option<&Weighed> {
    let usable = || weighed.iter().filter(|one| one.allowed && one.total.is_some());
    let fastest = usable().map(Weighed::ms).min_by(f64::total_cmp)?;
    usable().find(|one| one.ms() <= fastest * TIE + TIE_MS)
}
