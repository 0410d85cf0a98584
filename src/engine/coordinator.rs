//! The engine's one thread that decides: it feeds what happens to the dispatch state machine and carries out what that
//! says. It folds nothing itself.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::device::{Device, DeviceError, Phases};
use crate::engine::batch::{self, Bound, Planner};
use crate::engine::dispatch::{
    Action, Admission, Dispatch, Event, JobReport, Lanes as DispatchLanes, Ticket as LaneTicket,
};
use crate::engine::lanes::{Lanes, Piece};
use crate::engine::message::{Folded, Item, Large, Message, fold_on};
use crate::engine::running::{PassEnd, Running};
use crate::engine::shared::{Planned, Shared};
use crate::engine::short::Short;
use crate::engine::ticket::{Ticket, cancelled, deliver};
use crate::engine::{Timings, panics};
use crate::job::{Cause, DeviceChoice, JobError};
use crate::kernels::Work;
use crate::plan::Plan;

/// Jobs that a batch holds at most.
const BATCH_JOBS: usize = 512;

/// Large jobs that are open at once for every lane: enough to keep lanes busy, few enough to bound what is open.
const OPEN_PER_LANE: usize = 4;

/// A large job is passed by short work for as long as it is predicted to take itself, but no longer than this: short
/// work does not wait for long work, and long work does not wait for ever.
const PASSED_MS_MAX: f64 = 60_000.0;

pub(crate) struct Coordinator {
    shared: Arc<Shared>,
    receiver: Receiver<Message>,
    sender: Sender<Message>,
    lanes: Lanes,
    dispatch: Dispatch,
    items: HashMap<u64, Item>,
    next_key: u64,
    /// Not bound yet.
    waiting: VecDeque<Ticket>,
    /// Bound, but GPUs have to be looked for before they can be planned.
    unplanned: Vec<Bound>,
    searching: bool,
    gpus_added: bool,
    /// Large jobs in dispatch.
    large: usize,
    /// Batches in dispatch.
    batches: usize,
    actions: Vec<Action>,
    closing: bool,
    begun: Instant,
    short: Short,
}

impl Coordinator {
    pub fn new(shared: Arc<Shared>, receiver: Receiver<Message>, sender: Sender<Message>, lanes: Lanes) -> Self {
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
            gpus_added: false,
            large: 0,
            batches: 0,
            actions: Vec::new(),
            closing: false,
            begun: Instant::now(),
            short: Short::new(),
        }
    }

    /// Runs until closed and idle.
    pub fn run(mut self) {
        let cpu = DispatchLanes::of(self.shared.devices.cpu().info());
        self.tell(Event::DeviceAdded(cpu));
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
            Message::Closure(closure) => self.admit_short(Item::Closure(closure)),
            Message::Cancelled => self.cancel(),
            Message::BatchEnded { lane, elapsed, leftover } => {
                self.batches -= 1;
                self.short.batch_took(elapsed);
                self.shared.ended(leftover.ended);
                for ticket in leftover.rest.into_iter().rev() {
                    self.waiting.push_front(ticket);
                }
                self.short_ended(lane, elapsed);
                for bound in leftover.bound {
                    self.admit_large(bound);
                }
            }
            Message::ClosureEnded { lane, elapsed } => {
                self.short.closure_took(elapsed);
                self.short_ended(lane, elapsed);
            }
            Message::Chunk { key, lane, result } => self.chunk_ended(key, lane, result),
            Message::PassEnded { key, result } => self.pass_ended(key, result),
            Message::Searched => {
                self.searching = false;
                for bound in std::mem::take(&mut self.unplanned) {
                    self.admit_large(bound);
                }
            }
            Message::Close => self.closing = true,
        }
    }

    fn chunk_ended(&mut self, key: u64, ticket: LaneTicket, result: Result<Folded, DeviceError>) {
        let merged = match result {
            // A chunk that was given to somebody else meanwhile must not be merged twice. No device of ours has more
            // than one lane, so that this is for devices of others.
            Ok(Folded { partial: Some(partial), phases, resident }) if self.dispatch.wants(ticket) => {
                match self.items.get(&key) {
                    Some(Item::Large(large)) => {
                        large.running.absorb(partial).map(|()| (phases, resident)).map_err(DeviceError::Job)
                    }
                    _ => Ok((phases, resident)),
                }
            }
            Ok(Folded { phases, resident, .. }) => Ok((phases, resident)),
            Err(error) => Err(error),
        };
        let event = match merged {
            Ok((phases, resident)) => Event::ChunkDone { ticket, phases, resident },
            Err(error) => Event::ChunkFailed { ticket, error },
        };
        self.tell(event);
    }

    /// Makes GPUs known to dispatch once they have been looked for, by whomever: a plan may name them from then on.
    fn add_gpus(&mut self) {
        if self.gpus_added {
            return;
        }
        let Some(found) = self.shared.devices.known_gpus() else { return };
        let usable = found.gpus.iter().filter(|gpu| gpu.unusable.is_none());
        let lanes: Vec<_> = usable.map(|gpu| DispatchLanes::of(gpu.device.info())).collect();
        self.gpus_added = true;
        for lanes in lanes {
            self.tell(Event::DeviceAdded(lanes));
        }
    }

    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    /// When something that is predicted to take so long is to have its turn, on the engine's clock.
    fn order(&self, predicted_ms: f64) -> u64 {
        let passed = Duration::from_secs_f64(predicted_ms.clamp(0.0, PASSED_MS_MAX) / 1e3);
        u64::try_from((self.begun.elapsed() + passed).as_micros()).unwrap_or(u64::MAX)
    }

    fn admit_short(&mut self, item: Item) {
        let job = self.key();
        let admission = self.short.admission(job, self.order(0.0), &item);
        self.items.insert(job, item);
        self.tell(Event::Admitted(admission));
    }

    fn short_ended(&mut self, ticket: LaneTicket, elapsed: Duration) {
        let phases = Phases { compute: elapsed, ..Phases::default() };
        self.tell(Event::ChunkDone { ticket, phases, resident: false });
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
            self.admit_short(Item::Batch(batch));
        }
    }

    /// Plans a bound job and gives it to dispatch.
    fn admit_large(&mut self, bound: Bound) {
        self.add_gpus();
        let asked = bound.ticket.spec.device.unwrap_or(self.shared.default_device());
        // What it takes decides its place in the queue, and so what it waits for; a guess of that will do.
        let takes_ms = bound.work.prior_ms() / f64::from(self.threads());
        let (now, order) = (self.begun.elapsed(), |waits_ms| self.order(waits_ms + takes_ms));
        let busy_for_ms = |device| self.dispatch.busy_for_ms(device, now, order);
        match self.shared.plan(&*bound.kernel, &bound.work, asked, &busy_for_ms) {
            Planned::Plan(plan) => self.begin(bound, Arc::new(plan), asked),
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

    fn begin(&mut self, bound: Bound, plan: Arc<Plan>, asked: DeviceChoice) {
        let Bound { ticket, kernel, work, opening } = bound;
        let running = match Running::new(kernel, ticket.cancel.clone()) {
            Ok(running) => Arc::new(running),
            Err(error) => return self.fail_ticket(ticket, error, Some(plan)),
        };
        let predicted_ms = plan.candidates.first().and_then(|best| best.predicted).map_or(0.0, |best| best.ms);
        let (job, order) = (self.key(), self.order(predicted_ms));
        let admission = Admission::new(job, order, &work, &plan, asked);
        let large = Large { running, ticket, work, plan, opening, admitted: Instant::now(), answer: None };
        self.large += 1;
        self.items.insert(job, Item::Large(Box::new(large)));
        self.tell(Event::Admitted(admission));
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
        let outcome = ticket.failed(error, plan, Instant::now());
        let shared = self.shared.clone();
        self.lanes.spawn_free(move || {
            deliver(vec![outcome]);
            shared.ended(1);
        });
    }

    /// Carries out what dispatch has asked for; carrying out may lead to more.
    fn act(&mut self) {
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                match action {
                    Action::Fold { ticket, job, units, .. } => self.fold(job, ticket, units),
                    Action::PassComplete { job } => self.pass_complete(job),
                    Action::End { job, result, report } => {
                        if let Some(Item::Large(large)) = self.items.remove(&job) {
                            self.large -= 1;
                            self.end(*large, result, &report);
                        }
                    }
                    Action::SetAside { device, why } => self.shared.set_aside(device, why),
                }
            }
            self.fill();
        }
    }

    fn fold(&mut self, key: u64, lane: LaneTicket, units: Range<u64>) {
        let Some(item) = self.items.get_mut(&key) else { return };
        let shared = self.shared.clone();
        let sender = self.sender.clone();
        let piece: Piece = match item {
            Item::Large(large) => {
                let running = large.running.clone();
                Box::new(move |scratch| {
                    let result = match shared.devices.get(lane.device) {
                        Some(device) => fold_on(&running, &*device, units, scratch),
                        None => Err(DeviceError::Lost("it is not there".to_owned())),
                    };
                    // The coordinator outlives what it began.
                    let _ = sender.send(Message::Chunk { key, lane, result });
                })
            }
            short => match std::mem::replace(short, Item::Begun) {
                Item::Batch(tickets) => Box::new(move |scratch| {
                    let begun = Instant::now();
                    let plan = |work: &Work, asked| shared.plan_small(work, asked).map(Arc::new);
                    let mut planner = Planner::new(&plan, shared.default_device());
                    let leftover = batch::run(tickets, &mut planner, &**shared.devices.cpu(), scratch);
                    shared.learn_small(&leftover);
                    let _ = sender.send(Message::BatchEnded { lane, elapsed: begun.elapsed(), leftover });
                }),
                Item::Closure(closure) => Box::new(move |_| {
                    let begun = Instant::now();
                    closure();
                    let _ = sender.send(Message::ClosureEnded { lane, elapsed: begun.elapsed() });
                }),
                Item::Begun | Item::Large(_) => return,
            },
        };
        if let Err(error) = self.lanes.spawn(lane.device, piece) {
            self.tell(Event::ChunkFailed { ticket: lane, error: DeviceError::Lost(error.to_string()) });
        }
    }

    fn pass_complete(&mut self, key: u64) {
        if let Some(Item::Large(large)) = self.items.get(&key) {
            let (running, sender) = (large.running.clone(), self.sender.clone());
            // Ending a pass is short; it takes no lane, so that none stands idle for it.
            self.lanes.spawn_free(move || {
                let _ = sender.send(Message::PassEnded { key, result: running.end_pass() });
            });
        } else {
            self.items.remove(&key);
            self.tell(Event::Finished { job: key });
        }
    }

    fn pass_ended(&mut self, job: u64, result: Result<PassEnd, JobError>) {
        let event = match result {
            Ok(PassEnd::Again) => Event::PassAdvanced { job },
            Ok(PassEnd::Done(answer)) => {
                if let Some(Item::Large(large)) = self.items.get_mut(&job) {
                    large.answer = Some(answer);
                }
                Event::Finished { job }
            }
            Err(error) => Event::Failed { job, error },
        };
        self.tell(event);
    }

    fn end(&self, large: Large, result: Result<(), JobError>, report: &JobReport) {
        self.shared.learn(&large.work, &report.runs);
        let Large { running, ticket, plan, opening, admitted, answer, .. } = large;
        let result = result.and_then(|()| {
            answer.ok_or_else(|| JobError::new(Cause::Panic, "it ended without an answer: please report this"))
        });
        let waited = admitted.saturating_duration_since(ticket.submitted).saturating_sub(opening);
        let mut phases = report.phases;
        phases.setup += opening;
        let queued = waited + report.queued;
        let timings = Timings { queued, phases, opening, total: ticket.submitted.elapsed() };
        let outcome = ticket.ended(result, report.ran_on, timings, report.attempts, Some(plan));
        let shared = self.shared.clone();
        // Rendering an answer can take long: it is no work for the thread that decides.
        self.lanes.spawn_free(move || {
            // Nor is dropping a user's kernel, which may panic.
            let _ = panics::catch(|| drop(running));
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
        let large: Vec<u64> = self
            .items
            .iter()
            .filter_map(|(key, item)| match item {
                Item::Large(large) if large.running.cancel.is_cancelled() => Some(*key),
                _ => None,
            })
            .collect();
        for job in large {
            self.tell(Event::Cancelled { job });
        }
    }
}
