//! What the coordinator, the lanes and the runner share.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::device::{Device, DeviceId};
use crate::engine::batch::Leftover;
use crate::engine::devices::{Devices, Found, FoundGpu};
use crate::engine::dispatch::DeviceRun;
use crate::engine::message::Message;
use crate::engine::recorder::Recorder;
use crate::engine::running::caught;
use crate::engine::ticket::{Begun, Gauge, Ticket};
use crate::engine::variants::Trials;
use crate::job::{Cause, DeviceChoice, JobError};
use crate::kernels::{DynKernel, Work};
use crate::model::{CostClass, Measured, Model, ModelKey, Store};
use crate::plan::{self, DeviceState, Fusion, Plan, PlanError, PlanRequest, Stream, Unusable};

/// Below this, predicted from the prior, a job is run without asking the model: reading the model's file would cost more.
const TRIVIAL_MS: f64 = 0.1;

/// A stage that takes less is not learned from: reading and writing the model's file would cost more than knowing is worth.
const TELLING: Duration = Duration::from_millis(5);

/// How a run is set up.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Where jobs run that do not say.
    pub device: DeviceChoice,
    /// Threads of the CPU.
    pub threads: u32,
    /// How many processes run at once, whatever lanes there are; where left out, each holds a lane of the CPU.
    pub processes: Option<usize>,
    /// The memory that jobs may take together, in bytes; where left out, most of what is free.
    pub memory_bytes: Option<u64>,
    /// Whether plans are to be read by somebody.
    pub explain: bool,
}

/// What came of planning.
pub(crate) enum Planned<P = Plan> {
    /// A plan.
    Plan(P),
    /// GPUs have to be looked for first.
    SearchFirst,
    /// The job cannot be run as asked.
    Refused(JobError),
}

/// What the coordinator, the lanes and the runner share.
pub(crate) struct Shared {
    /// When it began: submissions count from here.
    pub created: Instant,
    pub settings: Settings,
    pub devices: Devices,
    pub store: Mutex<Store>,
    pub gauge: Gauge,
    pub begun: Begun,
    pub sender: Sender<Message>,
    /// What of the memory is spoken for, in bytes, and what is left.
    pub reserved_bytes: AtomicU64,
    pub room_bytes: AtomicU64,
    /// How variants of jobs fare of which nothing is known.
    pub trials: Trials,
    /// Takes notes of the run, where somebody wants them.
    pub recorder: OnceLock<Arc<Recorder>>,
    inbox: Mutex<Vec<Ticket>>,
    aside: Mutex<HashMap<DeviceId, String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is whole after every statement, so a panic elsewhere leaves it good.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(settings: Settings, devices: Devices, store: Store, sender: Sender<Message>) -> Self {
        Self {
            created: Instant::now(),
            settings,
            devices,
            store: Mutex::new(store),
            gauge: Gauge::default(),
            begun: Begun::default(),
            sender,
            reserved_bytes: AtomicU64::new(0),
            room_bytes: AtomicU64::new(u64::MAX),
            trials: Trials::default(),
            recorder: OnceLock::new(),
            inbox: Mutex::default(),
            aside: Mutex::default(),
        }
    }

    pub fn threads(&self) -> u32 {
        self.settings.threads
    }

    pub fn default_device(&self) -> DeviceChoice {
        self.settings.device
    }

    /// Puts a ticket where the coordinator finds it; wakes the coordinator only for the first of many.
    pub fn submit(&self, ticket: Ticket) {
        let was_empty = {
            let mut inbox = lock(&self.inbox);
            inbox.push(ticket);
            inbox.len() == 1
        };
        if was_empty {
            self.send(Message::Submitted);
        }
    }

    pub fn take_inbox(&self) -> Vec<Ticket> {
        std::mem::take(&mut lock(&self.inbox))
    }

    /// Sends to the coordinator, which lives as long as the runner.
    pub fn send(&self, message: Message) {
        let _ = self.sender.send(message);
    }

    /// Counts jobs whose outcomes have been delivered.
    pub fn ended(&self, jobs: usize) {
        if jobs > 0 {
            self.gauge.lower(jobs);
        }
    }

    /// Notes that a device is not to be used any more in this run.
    pub fn set_aside(&self, device: DeviceId, why: String) {
        lock(&self.aside).insert(device, why);
    }

    /// Uses a device again that was set aside; whether it was.
    pub fn take_back(&self, device: DeviceId) -> bool {
        lock(&self.aside).remove(&device).is_some()
    }

    /// Devices that were set aside, and why.
    pub fn aside(&self) -> Vec<(DeviceId, String)> {
        let mut aside: Vec<_> = lock(&self.aside).iter().map(|(id, why)| (*id, why.clone())).collect();
        aside.sort_unstable();
        aside
    }

    /// The devices that are known, as the planner of a job with these inputs sees them.
    fn states(
        &self,
        inputs: &Inputs,
        found: Option<&Found>,
        busy_for_ms: &dyn Fn(DeviceId) -> Vec<f64>,
    ) -> Vec<DeviceState> {
        let aside = lock(&self.aside);
        let state = |device: &dyn Device, unusable: Option<Unusable>| {
            let info = device.info();
            DeviceState {
                id: info.id,
                fingerprint: info.fingerprint.as_str().into(),
                kind: info.kind,
                unusable: if aside.contains_key(&info.id) { Some(Unusable::Lost) } else { unusable },
                lanes: info.lanes,
                opened: device.is_open(),
                busy_for_ms: busy_for_ms(info.id),
                memory_bytes: info.memory_bytes,
                max_chunk_bytes: info.max_chunk_bytes,
                resident: inputs.share_on(device),
            }
        };
        let mut states = vec![state(&**self.devices.cpu(), None)];
        if let Some(found) = found {
            for gpu in &found.gpus {
                states.push(state(&*gpu.device, gpu.unusable));
            }
        }
        states
    }

    /// Plans a bound job, which is part of this stream.
    pub fn plan(
        &self,
        kernel: &dyn DynKernel,
        work: &Work,
        policy: DeviceChoice,
        busy_for_ms: &dyn Fn(DeviceId) -> Vec<f64>,
        stream: Stream<'_>,
    ) -> Planned {
        // Once: a search may end at any moment, and the plan is to be made of what was known at one.
        let found = self.devices.known_gpus();
        let has_gpus = found.is_some_and(|found| !found.gpus.is_empty());
        let inputs = if has_gpus { Inputs::of(kernel) } else { Inputs::default() };
        let states = self.states(&inputs, found, busy_for_ms);
        let policy = after_losses(policy, &states);
        let planned = self.plan_among(work, policy, &states, found.is_some(), lock(&self.store).model(), stream);
        match planned {
            Ok(plan) => Planned::Plan(plan),
            Err(PlanError::NeedsInventory) => Planned::SearchFirst,
            Err(error) => Planned::Refused(self.refusal(&error, caught(|| Ok(kernel.cpu_only())).ok().flatten())),
        }
    }

    /// How many GPUs jobs may be planned on, of those that are known.
    pub fn usable_gpus(&self) -> usize {
        let Some(found) = self.devices.known_gpus() else { return 0 };
        let aside = lock(&self.aside);
        let is_usable = |gpu: &&FoundGpu| gpu.unusable.is_none() && !aside.contains_key(&gpu.device.info().id);
        found.gpus.iter().filter(is_usable).count()
    }

    /// Weighs jobs as one, which is this work, against each by itself: see [`plan::fusion`]. With reasons where `explain`.
    pub fn fusion(
        &self,
        work: &Work,
        (jobs, small): (u64, bool),
        busy_for_ms: &dyn Fn(DeviceId) -> Vec<f64>,
        stream: Stream<'_>,
        explain: bool,
    ) -> Option<Fusion> {
        let found = self.devices.known_gpus()?;
        let states = self.states(&Inputs::default(), Some(found), busy_for_ms);
        let store = &mut *lock(&self.store);
        let request = PlanRequest {
            work,
            policy: DeviceChoice::Auto,
            devices: &states,
            inventory_known: true,
            model: store.model(),
            threads: self.threads(),
            explain,
            stream,
        };
        plan::fusion(&request, jobs, small).ok()
    }

    /// The plan of a job that may be run where it was bound, if a plan can be had without looking for anything.
    pub fn plan_small(&self, work: &Work, policy: DeviceChoice) -> Option<Plan> {
        let found = self.devices.known_gpus();
        let states = self.states(&Inputs::default(), found, &|_| Vec::new());
        if is_trivial(work) && !self.settings.explain {
            return self.plan_among(work, policy, &states, found.is_some(), &Model::new(), Stream::default()).ok();
        }
        self.plan_among(work, policy, &states, found.is_some(), lock(&self.store).model(), Stream::default()).ok()
    }

    fn plan_among(
        &self,
        work: &Work,
        policy: DeviceChoice,
        devices: &[DeviceState],
        inventory_known: bool,
        model: &Model,
        stream: Stream<'_>,
    ) -> Result<Plan, PlanError> {
        plan::plan(&PlanRequest {
            work,
            policy,
            devices,
            inventory_known,
            model,
            threads: self.threads(),
            explain: self.settings.explain,
            stream,
        })
    }

    /// A plan's error as a job's, with the option that keeps the job off GPUs, where one does.
    pub fn refusal(&self, error: &PlanError, option: Option<&str>) -> JobError {
        match error {
            PlanError::NoDevice { .. } => {
                let found = self.devices.gpus();
                let diagnosis = found.diagnosis.as_deref().unwrap_or("`tandem devices` lists what is there");
                let lost: String =
                    self.aside().iter().map(|(device, why)| format!("; {device} was set aside: {why}")).collect();
                JobError::new(Cause::NoDevice, format!("{error}{lost}: {diagnosis}"))
            }
            PlanError::Unsupported { kernel, asked } if let Some(option) = option => {
                let remedy = format!("leave out `{option}`, or use `--device cpu` in place of `--device {asked}`");
                JobError::new(Cause::Unsupported, format!("`{kernel}` with `{option}` runs on the cpu only: {remedy}"))
            }
            PlanError::TooLarge { .. } => JobError::new(Cause::Memory, error.to_string()),
            _ => JobError::new(Cause::Unsupported, error.to_string()),
        }
    }

    /// Learns from what a large job took on each device.
    pub fn learn(&self, work: &Work, runs: &[DeviceRun]) {
        let mut store = lock(&self.store);
        for DeviceRun { device, lanes, measured } in runs {
            let Some(device) = self.devices.get(*device) else { continue };
            let fingerprint = &device.info().fingerprint;
            store.learn(ModelKey::of(work, fingerprint, *lanes), measured);
        }
    }

    /// Learns from a run.
    pub fn learn_run(&self, key: ModelKey<'_>, run: &Measured) {
        lock(&self.store).learn(key, run);
    }

    /// Learns how long a stage on a thread of the CPU took beside what jobs of its kind expect: a unit is a nanosecond of theirs.
    pub fn learn_stage(&self, kind: &'static str, expected_ms: f64, took: Duration) {
        let units = expected_ms * 1e6;
        if took < TELLING || !(1.0..1e18).contains(&units) {
            return;
        }
        let fingerprint = &self.devices.cpu().info().fingerprint;
        let key = ModelKey { kernel: kind, variant: "", cost: CostClass::of(1.0), fingerprint, lanes: 1 };
        let compute_ms = took.as_secs_f64() * 1e3;
        self.learn_run(key, &Measured { units: units as u64, passes: 1, compute_ms, ..Measured::default() });
    }

    /// Asks the model.
    pub fn with_model<T>(&self, ask: impl FnOnce(&Model) -> T) -> T {
        ask(lock(&self.store).model())
    }

    /// Learns how much memory a program has held.
    pub fn learn_memory(&self, name: &str, peak_bytes: u64) {
        lock(&self.store).learn_memory(name, peak_bytes);
    }

    /// How much memory programs of this name have held at most, in how many runs, where that is known.
    pub fn memory_of(&self, name: &str) -> Option<(u64, u64)> {
        lock(&self.store).model().memory_of(name).map(|row| (row.bytes, row.runs))
    }

    /// Learns from a batch whose jobs looked alike, and from the irregular jobs in it.
    pub fn learn_small(&self, leftover: &Leftover) {
        for &(kind, expected_ms, took) in &leftover.by_kind {
            self.learn_stage(kind, expected_ms, took);
        }
        let Some((work, each)) = &leftover.sample else { return };
        // Keeping the time of a trivial job costs more than it is worth, unless somebody looks at its prediction.
        if is_trivial(work) && !self.settings.explain {
            return;
        }
        let compute_ms = each.as_secs_f64() * 1e3;
        let run = Measured { units: work.units, passes: work.passes.max(1), compute_ms, ..Measured::default() };
        let fingerprint = &self.devices.cpu().info().fingerprint;
        lock(&self.store).learn(ModelKey::of(work, fingerprint, 1), &run);
    }
}

/// What a job reads, as far as devices may hold it already.
#[derive(Debug, Default)]
struct Inputs {
    /// Ascending and distinct.
    identities: Vec<u64>,
    /// All of it, in bytes.
    bytes: u64,
}

impl Inputs {
    /// Those of this kernel; none where it panics, which it will do again where that is its job's error.
    fn of(kernel: &dyn DynKernel) -> Self {
        let inputs = caught(|| {
            let mut inputs = Self::default();
            for source in kernel.inputs() {
                match source.identity().map(|identity| (identity, inputs.identities.binary_search(&identity))) {
                    // A column that is named twice is uploaded once.
                    Some((_, Ok(_))) => continue,
                    Some((identity, Err(at))) => inputs.identities.insert(at, identity),
                    None => {}
                }
                let bytes = source.len().saturating_mul(source.dtype().size_bytes() as u64);
                inputs.bytes = inputs.bytes.saturating_add(bytes);
            }
            Ok(inputs)
        });
        inputs.unwrap_or_default()
    }

    /// How much of it lies on this device, 0 to 1.
    fn share_on(&self, device: &dyn Device) -> f64 {
        if self.identities.is_empty() || self.bytes == 0 {
            return 0.0;
        }
        (device.resident_bytes(&self.identities) as f64 / self.bytes as f64).min(1.0)
    }
}

/// Whether a job is so small that knowing more about it costs more than running it.
pub(crate) fn is_trivial(work: &Work) -> bool {
    work.prior_ms() < TRIVIAL_MS
}

/// What a split asks for once every GPU that it had was lost in this run: the rest of a night's jobs on the CPU, rather
/// than a failure of each.
fn after_losses(policy: DeviceChoice, states: &[DeviceState]) -> DeviceChoice {
    let mut gpus = states.iter().filter(|state| state.id != DeviceId::Cpu).map(|state| state.unusable).peekable();
    let lost = gpus.peek().is_some() && gpus.all(|unusable| unusable == Some(Unusable::Lost));
    if policy == DeviceChoice::Split && lost { DeviceChoice::Auto } else { policy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{NullDevice, NullSpec};
    use crate::input::InMemory;
    use crate::kernels::stats::{Column, StatsKernel, StatsRequest};
    use crate::model::Location;

    /// The share of `kernel`'s input that lies on a GPU which holds so many bytes, as the planner is told.
    fn resident(kernel: &dyn DynKernel, resident_bytes: u64) -> f64 {
        let device: Arc<dyn Device> = Arc::new(NullDevice::new(NullSpec { resident_bytes, ..NullSpec::gpu(0, 1.0) }));
        let gpus = vec![FoundGpu { device, unusable: None }];
        let search = Box::new(move || Found { gpus: gpus.clone(), diagnosis: None });
        let settings =
            Settings { device: DeviceChoice::Auto, threads: 1, processes: None, memory_bytes: None, explain: false };
        let (sender, _receiver) = crossbeam_channel::unbounded();
        let shared = Shared::new(settings, Devices::new(1, search), Store::new(Location::Nowhere), sender);
        shared.devices.gpus();
        let states = shared.states(&Inputs::of(kernel), shared.devices.known_gpus(), &|_| Vec::new());
        assert_eq!(states[0].resident, 0.0, "the cpu holds nothing");
        states[1].resident
    }

    #[test]
    fn the_planner_is_told_how_much_of_the_input_a_device_holds() {
        let source = Arc::new(InMemory::new("values", vec![1.0f32; 1000]));
        let columns = |count| vec![Column { name: None, source: source.clone() }; count];
        for count in [1, 3] {
            // The same column thrice is uploaded once.
            let kernel = StatsKernel::new(columns(count), true, StatsRequest::default()).unwrap();
            assert_eq!(resident(&kernel, 0), 0.0);
            assert_eq!(resident(&kernel, 1000), 0.25);
            assert_eq!(resident(&kernel, u64::MAX), 1.0);
        }
    }
}
