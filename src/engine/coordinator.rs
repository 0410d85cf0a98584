//! The engine's one thread that decides: it feeds what happens to the dispatch state machine and carries out what that
//! says. It folds nothing itself.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::device::{DeviceError, DeviceId};
use crate::engine::batch::{self, Bound, Leftover, Planner};
use crate::engine::dispatch::{Action, Dispatch, Event, JobKey};
use crate::engine::lanes::{Lanes, Piece};
use crate::engine::running::{PassEnd, Running};
use crate::engine::shared::{Planned, Shared};
use crate::engine::ticket::{Ticket, cancelled, deliver};
use crate::job::{DeviceChoice, JobError};
use crate::kernels::{Answer, Work};
use crate::plan::{Choice, Plan};

/// Jobs that a batch holds at most.
const BATCH_JOBS: usize = 512;

/// Large jobs that are open at once for every lane: enough to keep lanes busy, few enough to bound what is open.
const OPEN_PER_LANE: usize = 4;

/// What reaches the coordinator.
pub(crate) enum Message {
    /// Tickets lie in the inbox.
    Submitted,
    /// A closure of the user's, which catches its own panics.
    Closure(Box<dyn FnOnce() + Send>),
    /// Somebody cancelled something.
    Cancelled,
    /// A batch ended.
    BatchEnded { key: JobKey, lane: u32, elapsed: Duration, leftover: Leftover },
    /// A closure returned.
    ClosureEnded { key: JobKey, lane: u32, elapsed: Duration },
    /// A chunk was folded, or not.
    Chunk {
        key: JobKey,
        device: DeviceId,
        lane: u32,
        units: Range<u64>,
        elapsed: Duration,
        result: Result<(), DeviceError>,
    },
    /// A pass was ended.
    PassEnded { key: JobKey, result: Result<PassEnd, JobError> },
    /// The search for GPUs is over.
    Searched,
    /// Nobody submits any more: end when all is done.
    Close,
}

/// What a job of dispatch is.
enum Item {
    /// Small jobs, until they run.
    Batch(Vec<Ticket>),
    /// A user's closure, until it runs.
    Closure(Box<dyn FnOnce() + Send>),
    /// A batch or closure that runs.
    Begun,
    /// A large job.
    Large { running: Arc<Running>, ticket: Ticket },
}

pub(crate) struct Coordinator {
    shared: Arc<Shared>,
    receiver: Receiver<Message>,
    sender: Sender<Message>,
    lanes: Lanes,
    dispatch: Dispatch,
    items: HashMap<JobKey, Item>,
    next_key: JobKey,
    /// Not bound yet.
    waiting: VecDeque<Ticket>,
    /// Bound, but GPUs have to be looked for before they can be planned.
    unplanned: Vec<Bound>,
    searching: bool,
    /// Large jobs in dispatch.
    large: usize,
    /// Batches in dispatch.
    batches: usize,
    actions: Vec<Action>,
    closing: bool,
    begun: Instant,
    batch_plan: Arc<Plan>,
}

impl Coordinator {
    pub fn new(shared: Arc<Shared>, receiver: Receiver<Message>, sender: Sender<Message>, lanes: Lanes) -> Self {
        let batch_plan = Arc::new(Plan::given(Choice::Cpu { threads: 1 }, "a batch of small jobs"));
        Self {
            shared,
            receiver,
            sender,
            lanes,
            dispatch: Dispatch::new(),
            items: HashMap::new(),
            next_key: 0,
            waiting: VecDeque::new(),
            unplanned: Vec::new(),
            searching: false,
            large: 0,
            batches: 0,
            actions: Vec::new(),
            closing: false,
            begun: Instant::now(),
            batch_plan,
        }
    }

    /// Runs until closed and idle.
    pub fn run(mut self) {
        let threads = self.threads();
        self.tell(Event::DeviceAdded { device: DeviceId::Cpu, lanes: threads, max_chunk_bytes: u64::MAX });
        loop {
            self.act();
            if self.closing && self.is_idle() {
                return;
            }
            let Ok(message) = self.receiver.recv() else { return };
            self.take(message);
            // Whatever else has come meanwhile is decided on together.
            while let Ok(message) = self.receiver.try_recv() {
                self.take(message);
            }
            self.fill();
        }
    }

    fn threads(&self) -> u32 {
        self.shared.threads()
    }

    fn is_idle(&self) -> bool {
        self.items.is_empty() && self.waiting.is_empty() && self.unplanned.is_empty()
    }

    fn tell(&mut self, event: Event) {
        self.dispatch.on(event, self.begun.elapsed(), &mut self.actions);
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Submitted => self.waiting.extend(self.shared.take_inbox()),
            Message::Closure(closure) => self.admit_short("closure", Item::Closure(closure)),
            Message::Cancelled => self.cancel(),
            Message::BatchEnded { key, lane, elapsed, leftover } => {
                self.batches -= 1;
                self.shared.ended(leftover.ended);
                for ticket in leftover.rest.into_iter().rev() {
                    self.waiting.push_front(ticket);
                }
                self.short_ended(key, lane, elapsed);
                for bound in leftover.bound {
                    self.admit_large(bound);
                }
            }
            Message::ClosureEnded { key, lane, elapsed } => self.short_ended(key, lane, elapsed),
            Message::Chunk { key: job, device, lane, units, elapsed, result } => match result {
                Ok(()) => {
                    let elapsed_ms = elapsed.as_secs_f64() * 1e3;
                    self.tell(Event::ChunkDone { job, device, lane, units, elapsed_ms });
                }
                Err(error) => self.tell(Event::ChunkFailed { job, device, lane, units, error }),
            },
            Message::PassEnded { key, result } => self.pass_ended(key, result),
            Message::Searched => {
                self.searching = false;
                self.add_gpus();
                for bound in std::mem::take(&mut self.unplanned) {
                    self.admit_large(bound);
                }
            }
            Message::Close => self.closing = true,
        }
    }

    fn add_gpus(&mut self) {
        let Some(found) = self.shared.devices.known_gpus() else { return };
        let usable: Vec<_> = found
            .gpus
            .iter()
            .filter(|gpu| gpu.unusable.is_none())
            .map(|gpu| {
                let info = gpu.device.info();
                (info.id, info.lanes, info.max_chunk_bytes)
            })
            .collect();
        for (device, lanes, max_chunk_bytes) in usable {
            self.tell(Event::DeviceAdded { device, lanes, max_chunk_bytes });
        }
    }

    fn key(&mut self) -> JobKey {
        self.next_key += 1;
        self.next_key
    }

    fn admit_short(&mut self, kernel: &'static str, item: Item) {
        let job = self.key();
        self.items.insert(job, item);
        let work = Work {
            kernel,
            variant: String::new(),
            units: 1,
            granularity: 1,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: 1e6,
            passes: 1,
            gpu: false,
        };
        let plan = self.batch_plan.clone();
        self.tell(Event::Admitted { job, work, plan, short: true, forced: false });
    }

    fn short_ended(&mut self, job: JobKey, lane: u32, elapsed: Duration) {
        let elapsed_ms = elapsed.as_secs_f64() * 1e3;
        self.tell(Event::ChunkDone { job, device: DeviceId::Cpu, lane, units: 0..1, elapsed_ms });
    }

    /// Turns waiting tickets into batches while lanes want some.
    fn fill(&mut self) {
        let lanes = self.threads() as usize;
        while self.batches < lanes * 2 {
            let open = self.large + self.unplanned.len();
            let Some(first) = self.waiting.front() else { return };
            let quick = first.spec.params.in_memory();
            if !quick && open >= lanes * OPEN_PER_LANE {
                return;
            }
            let fair = self.waiting.len().div_ceil(lanes * 2).clamp(1, BATCH_JOBS);
            let mut batch = Vec::with_capacity(if quick { fair } else { 1 });
            while let Some(ticket) = self.waiting.pop_front() {
                batch.push(ticket);
                let next_is_quick = self.waiting.front().is_some_and(|next| next.spec.params.in_memory());
                if !quick || !next_is_quick || batch.len() >= fair {
                    break;
                }
            }
            self.batches += 1;
            self.admit_short("batch", Item::Batch(batch));
        }
    }

    /// Plans a bound job and gives it to dispatch.
    fn admit_large(&mut self, bound: Bound) {
        let asked = bound.ticket.spec.device.unwrap_or(self.shared.default_device());
        let busy_for_ms = |device| self.dispatch.busy_for_ms(device);
        match self.shared.plan(&bound.work, asked, &busy_for_ms) {
            Planned::Plan(plan) => {
                let plan = Arc::new(plan);
                let Bound { ticket, kernel, work } = bound;
                let made = Running::new(kernel, work.clone(), plan.clone(), ticket.cancel.clone(), ticket.submitted);
                match made {
                    Ok(running) => {
                        let job = self.key();
                        self.large += 1;
                        self.items.insert(job, Item::Large { running: Arc::new(running), ticket });
                        let forced = matches!(asked, DeviceChoice::Gpu | DeviceChoice::GpuIndex(_));
                        self.tell(Event::Admitted { job, work, plan, short: false, forced });
                    }
                    Err(error) => self.fail_ticket(ticket, error, Some(plan)),
                }
            }
            Planned::SearchFirst => {
                self.unplanned.push(bound);
                if !self.searching {
                    self.searching = true;
                    self.search();
                }
            }
            Planned::Refused(error) => self.fail_ticket(bound.ticket, error, None),
        }
    }

    /// Looks for GPUs on a thread of its own, since drivers take their time.
    fn search(&self) {
        let (shared, sender) = (self.shared.clone(), self.sender.clone());
        let look = move || {
            shared.devices.gpus();
            // The coordinator outlives every search that it began.
            let _ = sender.send(Message::Searched);
        };
        if std::thread::Builder::new().name("tandem-search".into()).spawn(look.clone()).is_err() {
            look();
        }
    }

    fn fail_ticket(&self, ticket: Ticket, error: JobError, plan: Option<Arc<Plan>>) {
        deliver(vec![ticket.failed(error, plan, Instant::now())]);
        self.shared.ended(1);
    }

    /// Carries out what dispatch has asked for; carrying out may lead to more.
    fn act(&mut self) {
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                match action {
                    Action::Fold { job, device, lane, units } => self.fold(job, device, lane, units),
                    Action::PassDone { job } => self.pass_done(job),
                    Action::Failed { job, error } => {
                        if let Some(Item::Large { running, ticket }) = self.items.remove(&job) {
                            self.large -= 1;
                            self.end_large(&running, ticket, Err(error));
                        }
                    }
                    Action::Retried { job } => {
                        if let Some(Item::Large { running, .. }) = self.items.get(&job) {
                            running.count_retry();
                        }
                    }
                    Action::SetAside { device, why } => self.shared.set_aside(device, why),
                }
            }
            self.fill();
        }
    }

    fn fold(&mut self, key: JobKey, device: DeviceId, lane: u32, units: Range<u64>) {
        let Some(item) = self.items.get_mut(&key) else { return };
        let shared = self.shared.clone();
        let sender = self.sender.clone();
        let piece: Piece = match item {
            Item::Large { running, .. } => {
                let running = running.clone();
                let units = units.clone();
                Box::new(move |scratch| {
                    let begun = Instant::now();
                    let result = match shared.devices.get(device) {
                        Some(device) => running.fold(&*device, units.clone(), scratch),
                        None => Err(DeviceError::Lost("it is not there".to_owned())),
                    };
                    let elapsed = begun.elapsed();
                    let _ = sender.send(Message::Chunk { key, device, lane, units, elapsed, result });
                })
            }
            short => match std::mem::replace(short, Item::Begun) {
                Item::Batch(tickets) => Box::new(move |scratch| {
                    let begun = Instant::now();
                    let plan = |work: &Work, asked| shared.plan_small(work, asked).map(Arc::new);
                    let mut planner = Planner::new(&plan, shared.default_device());
                    let leftover = batch::run(tickets, &mut planner, &**shared.devices.cpu(), scratch);
                    shared.learn_small(&leftover);
                    let elapsed = begun.elapsed();
                    let _ = sender.send(Message::BatchEnded { key, lane, elapsed, leftover });
                }),
                Item::Closure(closure) => Box::new(move |_| {
                    let begun = Instant::now();
                    closure();
                    let _ = sender.send(Message::ClosureEnded { key, lane, elapsed: begun.elapsed() });
                }),
                Item::Begun | Item::Large { .. } => return,
            },
        };
        if let Err(error) = self.lanes.spawn(device, piece) {
            let error = DeviceError::Lost(error.to_string());
            self.tell(Event::ChunkFailed { job: key, device, lane, units, error });
        }
    }

    fn pass_done(&mut self, key: JobKey) {
        match self.items.get(&key) {
            Some(Item::Large { running, .. }) => {
                let (running, sender) = (running.clone(), self.sender.clone());
                // Ending a pass is short; it takes no lane, so that none stands idle for it.
                let piece: Piece = Box::new(move |_| {
                    let _ = sender.send(Message::PassEnded { key, result: running.end_pass() });
                });
                // The CPU's lanes never refuse.
                let _ = self.lanes.spawn(DeviceId::Cpu, piece);
            }
            _ => {
                self.items.remove(&key);
                self.tell(Event::Ended { job: key });
            }
        }
    }

    fn pass_ended(&mut self, job: JobKey, result: Result<PassEnd, JobError>) {
        if let Ok(PassEnd::Again) = result {
            self.tell(Event::PassAgain { job });
            return;
        }
        self.tell(Event::Ended { job });
        if let Some(Item::Large { running, ticket }) = self.items.remove(&job) {
            self.large -= 1;
            let result = result.map(|end| match end {
                PassEnd::Done(answer) => Some(answer),
                PassEnd::Again => None,
            });
            match result {
                Ok(Some(answer)) => self.end_large(&running, ticket, Ok(answer)),
                Ok(None) => {}
                Err(error) => self.end_large(&running, ticket, Err(error)),
            }
        }
    }

    fn end_large(&self, running: &Arc<Running>, ticket: Ticket, result: Result<Arc<dyn Answer>, JobError>) {
        let now = Instant::now();
        if result.is_ok() {
            self.shared.learn(running, self.dispatch.jobs() > 1);
        }
        let ran_on = running.ran_on();
        let timings = running.timings(now);
        let outcome = ticket.ended(result, ran_on, timings, running.attempts(), Some(running.plan.clone()));
        let shared = self.shared.clone();
        // Rendering an answer can take long: it is no work for the thread that decides.
        self.lanes.spawn_free(move || {
            deliver(vec![outcome]);
            shared.ended(1);
        });
    }

    /// Ends what was cancelled and has not begun, and tells dispatch of the rest.
    fn cancel(&mut self) {
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|ticket| ticket.cancel.is_cancelled());
        self.waiting = kept.into();
        for ticket in gone {
            self.fail_ticket(ticket, cancelled(), None);
        }
        let large: Vec<JobKey> = self
            .items
            .iter()
            .filter_map(|(key, item)| match item {
                Item::Large { running, .. } if running.cancel.is_cancelled() => Some(*key),
                _ => None,
            })
            .collect();
        for job in large {
            self.tell(Event::Cancelled { job });
        }
    }
}
