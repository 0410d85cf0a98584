//! The engine's one thread that decides: it feeds what happens to the dispatch state machine and carries out what that
//! says. It folds nothing itself.

mod cancel;
mod folding;
mod fused;
mod large;
mod limits;
mod memory;
mod stages;
mod variants;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::device::{Device, Phases};
use crate::engine::batch::Bound;
use crate::engine::dispatch::{Action, Dispatch, Event, Lanes as DispatchLanes, Ticket as LaneTicket};
use crate::engine::fused::Pools;
use crate::engine::lanes::Lanes;
use crate::engine::message::{Item, Message};
use crate::engine::order::{OPEN_PER_LANE, WAITING_MAX, order};
use crate::engine::panics;
use crate::engine::queue::{Class, Queue};
use crate::engine::shared::Shared;
use crate::engine::short::Short;
use crate::engine::stream::Streams;
use crate::engine::ticket::{Begun, Ticket, deliver};
use crate::engine::timer::Timer;
use crate::job::JobError;
use crate::plan::Plan;

use limits::Limits;
pub(crate) use limits::Permit;
use memory::Memory;
use stages::{OnLanes, Outside};
use variants::Unsettled;

pub(crate) struct Coordinator {
    shared: Arc<Shared>,
    receiver: Receiver<Message>,
    sender: Sender<Message>,
    lanes: Lanes,
    timer: Arc<Timer>,
    dispatch: Dispatch,
    items: HashMap<u64, Item>,
    next_key: u64,
    /// Not bound yet.
    queue: Queue,
    /// Irregular jobs whose next stage takes a lane.
    on_lanes: OnLanes,
    /// Irregular jobs whose next stage only waits, and those that wait for a process where these hold no lanes.
    waiting: Outside,
    processes: Option<Outside>,
    /// Those of which only so many may run at once.
    limits: Limits,
    /// Those that have variants, until they are settled on one.
    unsettled: Unsettled,
    memory: Memory,
    /// Whether somebody cancelled something since the last look.
    cancelled: bool,
    /// Bound and large, by class: as many are in dispatch as keep lanes busy.
    bound: [VecDeque<Bound>; 2],
    /// Bound, and gathering to run as one.
    pools: Pools,
    /// Bound, but GPUs have to be looked for before they can be planned.
    unplanned: Vec<Bound>,
    searching: bool,
    gpus_added: bool,
    /// Large jobs in dispatch, by class.
    large: [usize; 2],
    /// Batches in dispatch.
    batches: usize,
    /// Those of them whose jobs have not been bound.
    unbound: usize,
    /// What large jobs wait, and what was lost because a GPU is closed.
    streams: Streams,
    actions: Vec<Action>,
    closing: bool,
    begun: Instant,
    short: Short,
}

impl Coordinator {
    pub fn new(shared: Arc<Shared>, receiver: Receiver<Message>, sender: Sender<Message>, lanes: Lanes) -> Self {
        let processes = shared.settings.processes.map(Outside::new);
        let queue = Queue::new(shared.default_device());
        Self {
            shared,
            receiver,
            timer: Arc::new(Timer::new(sender.clone())),
            sender,
            lanes,
            dispatch: Dispatch::new(),
            items: HashMap::new(),
            next_key: 0,
            queue,
            on_lanes: OnLanes::default(),
            waiting: Outside::new(WAITING_MAX),
            processes,
            limits: Limits::default(),
            unsettled: Unsettled::default(),
            memory: Memory::default(),
            cancelled: false,
            bound: Default::default(),
            pools: Pools::default(),
            unplanned: Vec::new(),
            searching: false,
            gpus_added: false,
            large: [0; 2],
            batches: 0,
            unbound: 0,
            streams: Streams::default(),
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
            let Some(message) = self.next_message() else {
                self.settle_pools();
                continue;
            };
            self.take_guarded(message);
            // Whatever else has come meanwhile is decided on together.
            while let Ok(message) = self.receiver.try_recv() {
                self.take_guarded(message);
            }
            if std::mem::take(&mut self.cancelled) {
                self.cancel();
            }
            self.admit_due();
            self.settle_pools();
            self.fill();
        }
    }

    /// The next message; `None` where it is time to look at the memory instead, or at jobs that gather.
    fn next_message(&mut self) -> Option<Message> {
        let memory = self.memory.next_look();
        if memory.is_some_and(|wait| wait.is_zero()) {
            self.look_at_memory();
            return None;
        }
        let pools = self.pools.next_look().map(|at| at.saturating_duration_since(Instant::now()));
        match memory.into_iter().chain(pools).min() {
            Some(wait) => self.receiver.recv_timeout(wait).ok(),
            // It holds a sender of its own: the channel does not close.
            None => self.receiver.recv().ok(),
        }
    }

    fn threads(&self) -> u32 {
        self.shared.threads()
    }

    fn is_idle(&self) -> bool {
        let outside_is_idle = self.waiting.is_idle() && self.processes.as_ref().is_none_or(Outside::is_idle);
        self.items.is_empty()
            && self.queue.is_empty()
            && self.on_lanes.next.is_empty()
            && self.pools.is_idle()
            && self.unplanned.is_empty()
            // Drivers that are being loaded are not to be there when the process ends.
            && !self.searching
            && self.bound.iter().all(VecDeque::is_empty)
            && self.memory.is_idle()
            && outside_is_idle
            && self.limits.is_idle()
            && self.unsettled.is_idle()
    }

    /// Takes a message. It may hold something of a user's, a partial that nobody wants any more, whose `Drop` panics: that is
    /// not to take along the thread that decides for all.
    fn take_guarded(&mut self, message: Message) {
        let _ = panics::catch(|| self.take(message));
    }

    fn tell(&mut self, event: Event) {
        self.dispatch.on(event, self.begun.elapsed(), &mut self.actions);
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Submitted => self.queue.extend(self.shared.take_inbox()),
            Message::Closure(closure) => self.admit_short(0, Item::Closure(closure)),
            Message::Cancelled => self.cancelled = true,
            Message::BatchEnded { lane, elapsed, leftover } => {
                self.batches -= 1;
                self.unbound -= 1;
                self.short.batch_took(elapsed);
                self.shared.ended(leftover.ended);
                self.queue.take_back(leftover.rest);
                self.pools.look_again();
                self.short_ended(lane, elapsed);
                for bound in leftover.bound {
                    self.admit_bound(bound);
                }
                for staged in leftover.staged {
                    self.admit_stage(staged);
                }
            }
            Message::BoundEnded { lane, elapsed, ended } => {
                self.batches -= 1;
                self.shared.ended(ended);
                self.pools.look_again();
                self.short_ended(lane, elapsed);
            }
            Message::Staged(staged) => self.admit_stage(*staged),
            Message::ShiftEnded { held, elapsed } => self.shift_ended(held, elapsed),
            Message::ClosureEnded { lane, elapsed } => {
                self.short.closure_took(elapsed);
                self.short_ended(lane, elapsed);
            }
            Message::Chunk { key, lane, result } => self.chunk_ended(key, lane, result),
            Message::PassEnded { key, result } => self.pass_ended(key, result),
            Message::TryAgain(device) => self.try_again(device),
            Message::Searched => {
                self.searching = false;
                for bound in std::mem::take(&mut self.unplanned) {
                    self.admit_large(bound);
                }
            }
            Message::Released { key, succeeded, peak_bytes } => self.released(key, succeeded, peak_bytes),
            // Those of a group that wait for it are looked at after every message.
            Message::PlaceFree => self.begin_parked(None),
            Message::Close => self.closing = true,
        }
    }

    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    /// When something of this priority that is predicted to take so long is to have its turn, from now.
    fn order(&self, priority: i32, predicted_ms: f64) -> u64 {
        order(self.begun.elapsed(), priority, predicted_ms)
    }

    fn admit_short(&mut self, priority: i32, item: Item) {
        let job = self.key();
        let admission = self.short.admission(job, self.order(priority, 0.0), &item);
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
        let default = self.shared.default_device();
        while self.batches < lanes * 2 {
            let (large, bound, unplanned, memory) = (self.large, &self.bound, &self.unplanned, &self.memory);
            let may_open = |class: Class| {
                let of_class = |bound: &Bound| Class::of(bound.ticket.device.unwrap_or(default)) == class;
                let undecided = unplanned.iter().filter(|bound| of_class(bound)).count() + memory.parked_of(of_class);
                large[class as usize] + bound[class as usize].len() + undecided < lanes * OPEN_PER_LANE
            };
            let Some(batch) = self.queue.next_batch(lanes, may_open) else { return };
            self.batches += 1;
            self.unbound += 1;
            self.admit_short(batch.first().map_or(0, |first| first.priority), Item::Batch(batch));
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
                    Action::End { job, result, report } => match self.items.remove(&job) {
                        Some(Item::Large(large)) => {
                            let class = large.class;
                            self.large[class as usize] -= 1;
                            self.end(*large, result, &report);
                            self.admit_waiting(class);
                            self.pools.look_again();
                        }
                        Some(Item::Fused(fused)) => self.end_fused(*fused, result, &report),
                        Some(Item::OnGpu(staged)) => self.end_on_gpu(*staged, result),
                        _ => {}
                    },
                    Action::SetAside { device, why } => self.shared.set_aside(device, why),
                }
            }
            self.fill();
        }
    }
}

/// Counts a job as running, and lets the time run that it was given, with its first chunk or stage.
fn start_clock(timer: &Timer, begun: &Begun, ticket: &mut Ticket) {
    if ticket.has_begun.is_none() {
        ticket.has_begun = Some(begun.one());
        let _ = panics::catch(|| ticket.sink.began(ticket.index));
    }
    ticket.queued = None;
    if let Some(limit) = ticket.timeout.take() {
        timer.watch(&ticket.cancel, limit);
    }
}
