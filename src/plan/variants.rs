//! Which of a job's variants runs: programs that do the same, one on the CPU and one on a GPU, of which each is known by what its
//! like has taken. A pure function, as is the plan of a kernel.

use std::fmt::Write;

use crate::device::DeviceId;
use crate::job::DeviceChoice;
use crate::model::Forecast;
use crate::plan::candidates::{TIE, TIE_MS};
use crate::plan::types::{Candidate, Choice, Plan, Prediction};
use crate::plan::{PlanError, Unusable};
use crate::report::figures::{counted, time_ms};

/// A variant that failed so often in this run, and is known by no run that came to its end, is not tried any more in order to
/// learn.
const FAILURES_MAX: u32 = 3;
/// What a variant is taken to take where nothing at all is known.
const UNKNOWN_MS: f64 = 1000.0;
/// What is known by fewer runs than this may be one bad day's.
const SURE_RUNS: u32 = 3;
/// Looking again at a variant that is not taken may cost so much of the time that others have run for since its last run: more
/// where that was one of its few.
const LOOK_SHARE: f64 = 0.03;
const UNSURE_LOOK_SHARE: f64 = 0.25;

/// A device that one of the variants could run on.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantState {
    /// Which.
    pub device: DeviceId,
    /// Why it cannot be used, if so.
    pub unusable: Option<Unusable>,
    /// How long the job would wait for it, in milliseconds.
    pub wait_ms: f64,
    /// How long the variant is predicted to run there; `None` where it never did.
    pub run: Option<Forecast>,
    /// How many jobs of the name have run elsewhere since it last did.
    pub runs_since: u64,
    /// Whether these are so many that what is known of it may no longer hold.
    pub is_stale: bool,
    /// Runs of the variant there that are under way.
    pub trying: u32,
    /// Runs of it there that failed in this run.
    pub failed: u32,
}

/// All that the plan of a job with variants depends on.
#[derive(Clone, Copy, Debug)]
pub struct VariantRequest<'a> {
    /// Where the user lets it run.
    pub policy: DeviceChoice,
    /// Whether there is a variant for the CPU.
    pub cpu: bool,
    /// Whether there is one for a GPU.
    pub gpu: bool,
    /// The devices that are known, the CPU first.
    pub devices: &'a [VariantState],
    /// Whether GPUs have been looked for.
    pub inventory_known: bool,
}

/// The plan of a job with variants.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantPlan {
    /// Where it runs, and why.
    pub plan: Plan,
    /// How long it is predicted to run there, or presumed to where nothing is known, in milliseconds; without waiting.
    pub runs_ms: f64,
}

/// Why no variant can run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoVariant {
    /// As for a kernel.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It would have to be cut in two.
    #[error("`split` was asked for, but a program runs whole: use auto, cpu or gpu")]
    Split,
    /// The device that was asked for has no variant.
    #[error("`{asked}` was asked for, but the job has no {variant} variant: add one to `variants`, or use auto")]
    Absent {
        /// What was asked for.
        asked: DeviceChoice,
        /// `cpu` or `gpu`.
        variant: &'static str,
    },
    /// The only variant is for a GPU, and there is no usable one. The diagnosis is the caller's.
    #[error("the job has no cpu variant, and its gpu variant nothing to run on: add a cpu variant to `variants`")]
    NoGpu,
}

/// Decides which variant runs, and where.
///
/// What has never been run is tried first, one run at a time: on a GPU where there is one, then on the CPU. Else what is
/// predicted to end first is taken, waiting included; of what is still unknown, that it takes as long as what is known. Now and
/// then another one is run all the same, so that one bad run is not believed for ever.
///
/// # Errors
/// See [`NoVariant`].
pub fn plan_variants(request: &VariantRequest<'_>) -> Result<VariantPlan, NoVariant> {
    let asked = request.policy;
    let absent = |variant| Err(NoVariant::Absent { asked, variant });
    let wants_gpu = match asked {
        DeviceChoice::Split => return Err(NoVariant::Split),
        DeviceChoice::Cpu if !request.cpu => return absent("cpu"),
        DeviceChoice::Gpu | DeviceChoice::GpuIndex(_) if !request.gpu => return absent("gpu"),
        DeviceChoice::Cpu => false,
        DeviceChoice::Auto => request.gpu,
        DeviceChoice::Gpu | DeviceChoice::GpuIndex(_) => true,
    };
    if wants_gpu && !request.inventory_known {
        return Err(PlanError::NeedsInventory.into());
    }
    let allowed: Vec<&VariantState> = request.devices.iter().filter(|state| allows(request, state)).collect();
    let Some((best, why)) = choose(&allowed) else {
        return Err(if asked == DeviceChoice::Auto { NoVariant::NoGpu } else { PlanError::NoDevice { asked }.into() });
    };
    let mut plan = Plan::given(choice(best.device), reason(request, &allowed, best, why));
    plan.candidates = listed(request, best);
    Ok(VariantPlan { plan, runs_ms: runs_ms(&allowed, best) })
}

/// Whether a device has a variant, may be used, and is let take the job.
fn allows(request: &VariantRequest<'_>, state: &VariantState) -> bool {
    let let_take = match (request.policy, state.device) {
        (DeviceChoice::Auto, _) | (DeviceChoice::Cpu, DeviceId::Cpu) | (DeviceChoice::Gpu, DeviceId::Gpu(_)) => true,
        (DeviceChoice::GpuIndex(asked), DeviceId::Gpu(index)) => asked == index,
        _ => false,
    };
    let_take && has_variant(request, state) && state.unusable.is_none()
}

fn has_variant(request: &VariantRequest<'_>, state: &VariantState) -> bool {
    if state.device == DeviceId::Cpu { request.cpu } else { request.gpu }
}

/// Why a variant is run.
#[derive(Clone, Copy, PartialEq)]
enum Why {
    /// It has never been run.
    ToLearn,
    /// It is predicted to end first.
    First,
    /// It has not been run for long.
    ToLookAgain,
}

fn choose<'a>(allowed: &[&'a VariantState]) -> Option<(&'a VariantState, Why)> {
    let unknown = |on_gpu: bool| {
        let mut of_kind = allowed.iter().filter(move |state| (state.device != DeviceId::Cpu) == on_gpu);
        // What one GPU has shown holds for another roughly; it is learned of each when it is that one's turn.
        let is_known = of_kind.clone().any(|state| state.run.is_some());
        let is_tried = of_kind.clone().any(|state| state.trying > 0 || state.failed >= FAILURES_MAX);
        if is_known || is_tried { None } else { of_kind.next().copied() }
    };
    // Where there is nothing to choose from, nothing is tried.
    if allowed.len() > 1
        && let Some(state) = unknown(true).or_else(|| unknown(false))
    {
        return Some((state, Why::ToLearn));
    }
    // What has only failed seems fast, and is never waited for: it would take one job after the other.
    let hopeless = |state: &&VariantState| {
        let of_kind = || allowed.iter().filter(|other| is_on_gpu(other) == is_on_gpu(state));
        of_kind().all(|other| other.run.is_none()) && of_kind().any(|other| other.failed >= FAILURES_MAX)
    };
    let hopeful: Vec<&VariantState> = allowed.iter().copied().filter(|state| !hopeless(state)).collect();
    let allowed = if hopeful.is_empty() { allowed } else { &hopeful };
    let ends_ms = |state: &VariantState| ends_ms(allowed, state);
    let fastest = allowed.iter().min_by(|a, b| ends_ms(a).total_cmp(&ends_ms(b)))?;
    // Where it makes no difference, GPUs are left to those that gain by them.
    let cpu = allowed.iter().find(|state| state.device == DeviceId::Cpu);
    let as_good = cpu.filter(|cpu| ends_ms(cpu) <= ends_ms(fastest) * TIE + TIE_MS);
    let best = as_good.unwrap_or(fastest);
    Some(look_again(allowed, best).map_or((best, Why::First), |state| (state, Why::ToLookAgain)))
}

/// A variant that nobody would take for what is known of it, and which is due to show whether it is still so: one that was slow
/// once, since something was compiled or read for the first time, would never be run again otherwise. What that may cost has been
/// saved up by the runs since.
fn look_again<'a>(allowed: &[&'a VariantState], best: &VariantState) -> Option<&'a VariantState> {
    let is_due = |state: &&&VariantState| {
        let Some(run) = state.run.filter(|_| state.is_stale && state.trying == 0 && state.failed == 0) else {
            return false;
        };
        let share = if run.samples < SURE_RUNS { UNSURE_LOOK_SHARE } else { LOOK_SHARE };
        let price_ms = ends_ms(allowed, state) - ends_ms(allowed, best);
        price_ms <= share * state.runs_since as f64 * runs_ms(allowed, best)
    };
    let others = allowed.iter().filter(|state| state.device != best.device);
    others.filter(is_due).min_by(|a, b| ends_ms(allowed, a).total_cmp(&ends_ms(allowed, b))).copied()
}

fn is_on_gpu(state: &VariantState) -> bool {
    state.device != DeviceId::Cpu
}

/// When the job would end there.
fn ends_ms(allowed: &[&VariantState], state: &VariantState) -> f64 {
    state.wait_ms.max(0.0) + runs_ms(allowed, state)
}

fn runs_ms(allowed: &[&VariantState], state: &VariantState) -> f64 {
    state.run.map(|run| run.ms).or_else(|| presumed_ms(allowed, state)).unwrap_or(UNKNOWN_MS)
}

/// What is presumed of a variant that has not been run on a device: what it takes on others of its kind, or else what any takes.
fn presumed_ms(allowed: &[&VariantState], state: &VariantState) -> Option<f64> {
    let known = |of_kind: bool| {
        let others = allowed.iter().filter(move |other| !of_kind || is_on_gpu(other) == is_on_gpu(state));
        others.filter_map(|other| other.run).map(|run| run.ms).min_by(f64::total_cmp)
    };
    known(true).or_else(|| known(false))
}

fn choice(device: DeviceId) -> Choice {
    match device {
        DeviceId::Cpu => Choice::Cpu { threads: 1 },
        DeviceId::Gpu(index) => Choice::Gpu { index },
    }
}

/// `gpu:0`, `the cpu`.
fn named(device: DeviceId) -> String {
    if device == DeviceId::Cpu { "the cpu".to_owned() } else { device.to_string() }
}

/// `gpu:0: 1.2 s against 4.0 s on the cpu, learned from 3 runs`.
fn reason(request: &VariantRequest<'_>, allowed: &[&VariantState], best: &VariantState, why: Why) -> String {
    let mut text = best.device.to_string();
    match (why, best.run) {
        (Why::ToLearn, _) => text.push_str(": no run of this variant is known: tried, to learn"),
        (Why::ToLookAgain, _) => {
            let runs = counted(best.runs_since, "run", "runs");
            let held_ms = best.run.map_or(UNKNOWN_MS, |run| run.ms);
            _ = write!(
                text,
                ": tried again, to see whether it still takes {}, after {runs} elsewhere",
                time_ms(held_ms)
            );
        }
        (Why::First, Some(run)) => {
            _ = write!(text, ": {}", time_ms(best.wait_ms + run.ms));
            waiting(&mut text, best, run);
        }
        (Why::First, None) if allowed.len() > 1 => {
            text.push_str(": no run of this variant is known, and it is free first")
        }
        (Why::First, None) => text.push_str(": no run of this variant is known"),
    }
    let others = request.devices.iter().filter(|state| state.device != best.device && has_variant(request, state));
    let known = others.clone().filter(|state| state.unusable.is_none());
    let against = known.filter_map(|state| state.run.map(|run| (state, run)));
    let next = against.min_by(|a, b| (a.0.wait_ms + a.1.ms).total_cmp(&(b.0.wait_ms + b.1.ms)));
    let compares = why == Why::First && (best.run.is_some() || request.policy == DeviceChoice::Auto);
    if let Some((state, run)) = next.filter(|_| compares) {
        let word = if best.run.is_some() { " against" } else { ";" };
        _ = write!(text, "{word} {} on {}", time_ms(state.wait_ms + run.ms), named(state.device));
        waiting(&mut text, state, run);
    }
    if let Some(run) = best.run.filter(|_| why == Why::First) {
        // As sure as the less sure of both.
        let samples = next.map_or(run.samples, |(_, other)| other.samples.min(run.samples));
        _ = write!(text, ", learned from {}", counted(u64::from(samples), "run", "runs"));
    }
    if let Some(failed) = others.clone().find(|state| state.run.is_none() && state.failed > 0) {
        _ = write!(text, "; on {} it has only failed so far", named(failed.device));
    }
    match request.policy {
        DeviceChoice::Auto if !request.gpu => text.push_str("; the job has no gpu variant"),
        DeviceChoice::Auto if !request.cpu => text.push_str("; the job has no cpu variant"),
        DeviceChoice::Auto if allowed.iter().all(|state| state.device == DeviceId::Cpu) => {
            text.push_str("; there is no usable gpu (`tandem devices` says why)");
        }
        DeviceChoice::Auto => {}
        asked => _ = write!(text, "; `{asked}` was asked for"),
    }
    text
}

/// How much of a time is no work.
fn waiting(text: &mut String, state: &VariantState, run: Forecast) {
    if state.wait_ms > 0.05 * run.ms {
        _ = write!(text, " ({} of it waiting)", time_ms(state.wait_ms));
    }
}

/// Every device with a variant: the chosen one first.
fn listed(request: &VariantRequest<'_>, best: &VariantState) -> Vec<Candidate> {
    let candidate = |state: &VariantState| {
        let wait_ms = state.wait_ms.max(0.0);
        let of = |run: Forecast| {
            let Forecast { ms, low_ms, high_ms, .. } = run;
            Prediction { ms: wait_ms + ms, low_ms: wait_ms + low_ms, high_ms: wait_ms + high_ms }
        };
        let (predicted, note) = match (state.unusable, state.run) {
            (Some(why), _) => (None, why.note().to_owned()),
            (None, Some(run)) => (Some(of(run)), counted(u64::from(run.samples), "sample", "samples")),
            (None, None) => (None, "not run yet".to_owned()),
        };
        Candidate { choice: choice(state.device), predicted, setup_ms: 0.0, waiting_ms: wait_ms, note }
    };
    let rest = request.devices.iter().filter(|state| state.device != best.device && has_variant(request, state));
    std::iter::once(best).chain(rest).map(candidate).collect()
}

#[cfg(test)]
#[path = "variants_tests.rs"]
mod tests;
