//! Jobs that can be done in several ways: the plan of one, and what its run teaches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::device::{Device, DeviceId};
use crate::engine::coordinator::Permit;
use crate::engine::shared::{Planned, Shared};
use crate::job::{Cause, DeviceChoice, JobError};
use crate::model::{Belief, CostClass, Measured, ModelKey};
use crate::plan::{
    Choice, NoVariant, Plan, PlanError, Unusable, VariantPlan, VariantRequest, VariantState, plan_variants,
};
use crate::tasks::Variants;

/// So many variants are told apart that have not come to an end yet; of more, failures are not counted.
const TRIALS_MAX: usize = 4096;

/// What a job's variant for this device is called.
fn variant_on(variants: &Variants, device: DeviceId) -> String {
    format!("{} {}", variants.name, if device == DeviceId::Cpu { "cpu" } else { "gpu" })
}

/// Under what the times of a variant on a device are remembered. On the CPU it has one lane, whatever its program does with that.
fn key<'a>(variant: &'a str, device: &'a dyn Device) -> ModelKey<'a> {
    let fingerprint = &device.info().fingerprint;
    ModelKey { kernel: "command", variant, cost: CostClass::UNTOLD, fingerprint, lanes: 1 }
}

/// Where the plan of a job with variants lets it run.
pub(crate) fn device_of(plan: &Plan) -> DeviceId {
    match plan.choice {
        Choice::Gpu { index } => DeviceId::Gpu(index),
        Choice::Cpu { .. } | Choice::Split { .. } => DeviceId::Cpu,
    }
}

/// How variants fare in this run of which nothing is known.
#[derive(Default)]
pub(crate) struct Trials(Mutex<HashMap<(String, DeviceId), Trial>>);

#[derive(Clone, Copy, Default)]
struct Trial {
    running: u32,
    failed: u32,
}

impl Trials {
    fn with<T>(&self, body: impl FnOnce(&mut HashMap<(String, DeviceId), Trial>) -> T) -> T {
        // No code that is not ours runs under it.
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn of(&self, variant: &str, device: DeviceId) -> Trial {
        self.with(|trials| trials.get(&(variant.to_owned(), device)).copied().unwrap_or_default())
    }

    fn begin(&self, variant: &str, device: DeviceId) {
        self.with(|trials| trials.entry((variant.to_owned(), device)).or_default().running += 1);
    }

    fn end(&self, variant: &str, device: DeviceId, failed: bool) {
        self.with(|trials| {
            let key = (variant.to_owned(), device);
            let Some(trial) = trials.get_mut(&key) else { return };
            trial.running = trial.running.saturating_sub(1);
            trial.failed = trial.failed.saturating_add(u32::from(failed));
            let is_over = trial.running == 0;
            if is_over && (trial.failed == 0 || trials.len() > TRIALS_MAX) {
                trials.remove(&key);
            }
        });
    }
}

impl Shared {
    /// How long its variant for the CPU has taken here, in milliseconds; `None` where it has none, or that never ran.
    #[cfg(feature = "cli")]
    pub fn cpu_variant_ms(&self, variants: &Variants) -> Option<f64> {
        let variant = variant_on(variants, DeviceId::Cpu);
        let key = key(&variant, &**self.devices.cpu());
        let run = self.with_model(|model| model.compute(key, variants.size, Belief::PROPORTIONAL))?;
        variants.cpu.then_some(run.ms)
    }

    /// Plans a job with variants. `wait_ms` tells how long it would wait for a device.
    pub fn plan_variants(
        &self,
        variants: &Variants,
        policy: DeviceChoice,
        wait_ms: &dyn Fn(DeviceId) -> f64,
    ) -> Planned<VariantPlan> {
        // Once: a search may end at any moment, and the plan is to be made of what was known at one.
        let found = self.devices.known_gpus();
        let aside = self.aside();
        let state = |device: &dyn Device, unusable: Option<Unusable>| {
            let info = device.info();
            let variant = variant_on(variants, info.id);
            let key = key(&variant, device);
            let (run, runs_since, is_stale) = self.with_model(|model| {
                let run = model.compute(key, variants.size, Belief::PROPORTIONAL);
                (run, model.runs_since(key), model.due_for_probe(key))
            });
            let Trial { running, failed } = self.trials.of(&variant, info.id);
            let is_aside = aside.iter().any(|(id, _)| *id == info.id);
            let unusable = if is_aside { Some(Unusable::Lost) } else { unusable };
            let (device, wait_ms) = (info.id, wait_ms(info.id));
            VariantState { device, unusable, wait_ms, run, runs_since, is_stale, trying: running, failed }
        };
        let cpu = std::iter::once(state(&**self.devices.cpu(), None));
        let gpus = found.into_iter().flat_map(|found| &found.gpus).map(|gpu| state(&*gpu.device, gpu.unusable));
        let devices: Vec<VariantState> = cpu.chain(gpus).collect();
        let Variants { cpu, gpu, .. } = *variants;
        let request = VariantRequest { policy, cpu, gpu, devices: &devices, inventory_known: found.is_some() };
        match plan_variants(&request) {
            Ok(plan) => Planned::Plan(plan),
            Err(NoVariant::Plan(PlanError::NeedsInventory)) => Planned::SearchFirst,
            Err(NoVariant::Plan(error)) => Planned::Refused(self.refusal(&error, None)),
            Err(error @ NoVariant::NoGpu) => {
                let diagnosis = self.devices.gpus().diagnosis.as_deref();
                let why = diagnosis.unwrap_or("`tandem devices` lists what is there");
                Planned::Refused(JobError::new(Cause::Unsupported, format!("{error}: {why}")))
            }
            Err(error) => Planned::Refused(JobError::new(Cause::Unsupported, error.to_string())),
        }
    }
}

/// What a job was settled on, until it has ended.
pub(crate) struct Settled {
    pub device: DeviceId,
    pub plan: Arc<Plan>,
    /// When that was planned.
    pub since: Instant,
    /// How long it is predicted or presumed to run, in milliseconds.
    pub runs_ms: f64,
    variant: String,
    size: u64,
    shared: Arc<Shared>,
    /// Its place among those that are settled; given back with the job.
    _permit: Permit,
    /// Whether it still counts as a trial.
    on_trial: bool,
}

impl Settled {
    pub fn new(variants: &Variants, planned: VariantPlan, shared: Arc<Shared>, permit: Permit) -> Self {
        let VariantPlan { plan, runs_ms } = planned;
        let device = device_of(&plan);
        let (variant, size) = (variant_on(variants, device), variants.size);
        shared.trials.begin(&variant, device);
        Self {
            device,
            plan: Arc::new(plan),
            since: Instant::now(),
            runs_ms,
            variant,
            size,
            shared,
            _permit: permit,
            on_trial: true,
        }
    }

    /// Learns from its end, after so long.
    pub fn ended(&mut self, error: Option<&JobError>, spent: Duration) {
        let not_its_fault = |error: &JobError| matches!(error.cause, Cause::Cancelled | Cause::NotStarted);
        self.end_trial(error.is_some_and(|error| !not_its_fault(error)));
        let Some(device) = self.shared.devices.get(self.device).filter(|_| error.is_none()) else { return };
        let compute_ms = spent.as_secs_f64() * 1e3;
        let run = Measured { units: self.size, passes: 1, compute_ms, ..Measured::default() };
        self.shared.learn_run(key(&self.variant, &*device), &run);
    }

    fn end_trial(&mut self, failed: bool) {
        if std::mem::take(&mut self.on_trial) {
            self.shared.trials.end(&self.variant, self.device, failed);
        }
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        self.end_trial(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_counted_while_they_run_and_failures_stay() {
        let trials = Trials::default();
        let seen = |device| {
            let Trial { running, failed } = trials.of("p gpu", device);
            (running, failed)
        };
        let gpu = DeviceId::Gpu(0);
        trials.begin("p gpu", gpu);
        trials.begin("p gpu", gpu);
        assert_eq!((seen(gpu), seen(DeviceId::Gpu(1))), ((2, 0), (0, 0)));
        trials.end("p gpu", gpu, true);
        trials.end("p gpu", gpu, false);
        assert_eq!(seen(gpu), (0, 1));
        trials.begin("p cpu", DeviceId::Cpu);
        trials.end("p cpu", DeviceId::Cpu, false);
        assert_eq!(trials.with(|trials| trials.len()), 1, "what went well is left to the model");
    }
}
