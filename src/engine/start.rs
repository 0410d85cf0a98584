//! The engine as its owner holds it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::unbounded;

use crate::device::Device;
use crate::engine::coordinator::Coordinator;
use crate::engine::devices::Devices;
use crate::engine::foreign::Foreign;
use crate::engine::lanes::{Lanes, is_own_thread, own_thread};
use crate::engine::load::{DeviceLoad, Load};
use crate::engine::message::Message;
use crate::engine::recorder::Recorder;
use crate::engine::running::caught;
use crate::engine::shared::{Planned, Settings, Shared};
use crate::engine::stage::{irregular, not_on};
use crate::engine::ticket::Ticket;
use crate::engine::verify::{self, SkippedRun, Verification};
use crate::engine::ways::{plan_ways, way};
use crate::engine::{CancelFlag, Outcome, OutcomeSink, Seat, Seats, panics};
use crate::job::{BindContext, Bound, Cause, DeviceChoice, JobError, JobParams, JobSpec};
use crate::kernels::{DynKernel, Work};
use crate::model::{Store, Warning};
use crate::plan::ways::is_hopeless;
use crate::plan::{Plan, Stream};
use crate::timeline::Timeline;

/// A running engine. Dropping it ends it after everything that was submitted.
pub struct Engine {
    shared: Arc<Shared>,
    /// Tells its threads from those of others.
    number: u64,
    load: Arc<Load>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the coordinator and the CPU pool.
    ///
    /// # Errors
    /// Where the system refuses threads.
    pub fn start(settings: Settings, devices: Devices, store: Store) -> io::Result<Self> {
        let (sender, receiver) = unbounded();
        static STARTED: AtomicU64 = AtomicU64::new(1);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let load = Arc::<Load>::default();
        let lanes = Lanes::new(settings.threads, number, load.clone())?;
        let shared = Arc::new(Shared::new(settings, devices, store, sender.clone()));
        let coordinator = Coordinator::new(shared.clone(), receiver, sender, lanes);
        let thread = std::thread::Builder::new().name("tandem-coordinator".into()).spawn(move || {
            own_thread(number);
            coordinator.run();
        })?;
        Ok(Self { shared, number, load, thread: Some(thread) })
    }

    /// Submits a job.
    pub fn submit(&self, spec: JobSpec, context: Arc<BindContext>, cancel: CancelFlag, sink: Arc<dyn OutcomeSink>) {
        self.shared.gauge.raise_below(usize::MAX);
        self.submit_ticket(Ticket::new(spec, context, cancel, sink, None));
    }

    /// The same of a job that has a seat among those of its run.
    pub(crate) fn submit_seated(
        &self,
        spec: JobSpec,
        context: Arc<BindContext>,
        cancel: CancelFlag,
        sink: Arc<dyn OutcomeSink>,
        seat: Option<Seat>,
    ) {
        self.shared.gauge.raise_below(usize::MAX);
        self.submit_ticket(Ticket::new(spec, context, cancel, sink, seat));
    }

    fn submit_ticket(&self, mut ticket: Ticket) {
        ticket.submitted_after = ticket.submitted.saturating_duration_since(self.shared.created);
        ticket.queued = self.shared.recorder.get().map(Recorder::queue);
        self.shared.submit(ticket);
    }

    /// Seats for a run of which so many jobs may be under way at once.
    pub(crate) fn seats(&self, max: usize) -> Seats {
        Seats::new(max, self.shared.sender.clone())
    }

    /// Runs a closure on a CPU lane. Its panics are the caller's to catch, with [`catch`](crate::engine::catch).
    pub fn spawn(&self, closure: impl FnOnce() + Send + 'static) {
        self.shared.gauge.raise_below(usize::MAX);
        let shared = self.shared.clone();
        self.shared.send(Message::Closure(Box::new(move || {
            // Its panics are caught by the caller; what it leaves behind may panic when dropped.
            let _ = panics::catch(closure);
            shared.ended(1);
        })));
    }

    /// Tells the engine that a [`CancelFlag`] was raised.
    pub fn cancelled(&self) {
        self.shared.send(Message::Cancelled);
    }

    /// What tells the engine that a [`CancelFlag`] was raised, for who outlives this borrow.
    pub(crate) fn canceller(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::downgrade(&self.shared);
        move || {
            if let Some(shared) = shared.upgrade() {
                shared.send(Message::Cancelled);
            }
        }
    }

    /// Waits until every submitted job has ended and its outcome was delivered.
    pub fn wait(&self) {
        self.shared.gauge.wait_until_zero();
    }

    /// Takes notes of what it does from now on.
    pub fn record(&self) {
        self.shared.recorder.get_or_init(|| Arc::new(Recorder::new()));
    }

    /// Adds outcomes to the notes, of jobs that have ended just now; where notes are taken.
    pub fn note_outcomes(&self, outcomes: &[Outcome]) {
        if let Some(recorder) = self.shared.recorder.get() {
            recorder.ended(outcomes);
        }
    }

    /// Takes what the notes say so far; `None` where none were taken.
    pub fn timeline(&self) -> Option<Timeline> {
        self.shared.recorder.get().map(|recorder| recorder.timeline(self.shared.threads()))
    }

    /// How many jobs run just now; of small ones that run in one go on one thread, one.
    pub fn running_jobs(&self) -> usize {
        self.shared.begun.count()
    }

    /// The devices of the run.
    pub fn devices(&self) -> &Devices {
        &self.shared.devices
    }

    /// How the run is set up.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// How much of the memory budget is spoken for, in bytes.
    pub fn reserved_bytes(&self) -> u64 {
        self.shared.reserved_bytes.load(Ordering::Relaxed)
    }

    /// Tries a device again that failed and was set aside: the next plan may name it. Where it fails again, it is set aside again.
    pub fn try_again(&self, device: crate::device::DeviceId) {
        self.shared.send(Message::TryAgain(device));
    }

    /// Devices that failed and were set aside, and why.
    pub fn set_aside(&self) -> Vec<(crate::device::DeviceId, String)> {
        self.shared.aside()
    }

    /// How busy a device is.
    pub fn load(&self, device: crate::device::DeviceId) -> DeviceLoad {
        self.load.of(device)
    }

    /// Lends the store of the model.
    pub fn with_store<T>(&self, body: impl FnOnce(&mut Store) -> T) -> T {
        body(&mut self.shared.store.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long the variant for the CPU of a job with variants has taken on this machine, in milliseconds.
    #[cfg(feature = "cli")]
    pub(crate) fn cpu_variant_ms(&self, variants: &crate::tasks::Variants) -> Option<f64> {
        self.shared.cpu_variant_ms(variants)
    }

    /// Saves what was learned; returns what the user should be told.
    pub fn save_model(&self) -> Vec<Warning> {
        self.with_store(Store::save)
    }

    /// Where a job would run, without running it. Binds the job, and looks for GPUs where the plan depends on them.
    ///
    /// # Errors
    /// Where the job cannot be bound, or cannot run as it asks.
    pub fn plan(
        &self,
        params: &dyn JobParams,
        device: Option<DeviceChoice>,
        context: &BindContext,
    ) -> Result<Plan, JobError> {
        match caught(|| params.bind(context))? {
            Bound::Kernel(kernel) => {
                let work = caught(|| Ok(kernel.work()))?;
                self.plan_work(&*kernel, &work, device)
            }
            Bound::Task(task) => {
                let task = Foreign::new(task);
                let asked = device.unwrap_or(self.shared.default_device());
                if let Some(variants) = caught(|| Ok(task.variants()))? {
                    return self
                        .settle_plan(|| self.shared.plan_variants(&variants, asked, &|_| 0.0))
                        .map(|planned| planned.plan);
                }
                not_on(asked, "this job").map_or_else(|| Ok(Plan::clone(&irregular())), Err)
            }
        }
    }

    fn plan_work(&self, kernel: &dyn DynKernel, work: &Work, device: Option<DeviceChoice>) -> Result<Plan, JobError> {
        let policy = device.unwrap_or(self.shared.default_device());
        let plan = |kernel: &dyn DynKernel, work: &Work| {
            self.shared.plan(kernel, work, policy, &|_| Vec::new(), Stream::default())
        };
        self.settle_plan(|| plan_ways(kernel, work, plan).0)
    }

    /// The plan, once GPUs have been looked for where it depends on them.
    fn settle_plan<P>(&self, plan: impl Fn() -> Planned<P>) -> Result<P, JobError> {
        loop {
            match plan() {
                Planned::Plan(plan) => return Ok(plan),
                Planned::Refused(error) => return Err(error),
                Planned::SearchFirst => {
                    self.shared.devices.gpus();
                }
            }
        }
    }

    /// Runs a job in every way that the devices allow, and compares the bytes of its result.
    ///
    /// # Errors
    /// Where it cannot be bound or cannot run where it asks to, or one of the runs fails.
    pub fn verify(
        &self,
        params: &dyn JobParams,
        device: Option<DeviceChoice>,
        context: &BindContext,
        seed: u64,
    ) -> Result<Verification, JobError> {
        let kernel = caught(|| params.bind(context))?.kernel().ok_or_else(|| {
            JobError::new(Cause::Unsupported, "an irregular job runs in one way only: there is nothing to compare")
        })?;
        let work = caught(|| Ok(kernel.work()))?;
        // A device that is asked for by name and is not there is an error here too.
        self.plan_work(&*kernel, &work, device)?;
        let devices: Vec<Arc<dyn Device>> = self.shared.devices.usable();
        let verify = |kernel: &Arc<dyn DynKernel>| {
            panics::catch(|| verify::verify(kernel, &devices, seed))
                .unwrap_or_else(|panic| Err(JobError::new(Cause::Panic, panic)))
        };
        let mut found = match caught(|| Ok(kernel.other_way()))? {
            None => verify(&kernel)?,
            Some(other) => {
                let other_work = caught(|| Ok(other.work()))?;
                let mut found = verify(&other)?;
                let (own_way, other_way) = (way(&*kernel, &work), way(&*other, &other_work));
                found.runs.iter_mut().for_each(|run| run.label += &format!(", as {}", other_way.name));
                if is_hopeless(own_way, other_way.prior_ms) {
                    let why = format!("it takes far longer than as {}", other_way.name);
                    found.skipped.push(SkippedRun { label: format!("all as {}", own_way.name), why });
                    return Ok(found);
                }
                found.add(verify(&kernel)?);
                found
            }
        };
        if work.gpu {
            found.skipped.extend(self.gpus_not_compared());
        }
        Ok(found)
    }

    /// The GPUs that a verification leaves out, or that there is none.
    fn gpus_not_compared(&self) -> Vec<SkippedRun> {
        let gpus = self.shared.devices.gpus();
        if gpus.gpus.is_empty() {
            return vec![SkippedRun { label: "a gpu".to_owned(), why: "none was found".to_owned() }];
        }
        let skipped = gpus.gpus.iter().filter_map(|gpu| {
            let (info, why) = (gpu.device.info(), gpu.unusable?);
            Some(SkippedRun { label: format!("{}, {}", info.id, info.name), why: why.note().to_owned() })
        });
        skipped.collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.send(Message::Close);
        // On a thread of its own, waiting would be for itself: the engine then ends by itself.
        if is_own_thread(self.number) {
            return;
        }
        if let Some(thread) = self.thread.take() {
            // The coordinator does not panic; if it did, its jobs are lost with it and waiting would be for ever.
            if thread.join().is_ok() {
                self.shared.gauge.wait_until_zero();
            }
        }
        drop(self.save_model());
    }
}
