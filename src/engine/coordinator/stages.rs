//! Irregular jobs: their stages get a lane, or a thread outside all lanes, for a shift of several.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::memory::Parked;
use super::{Coordinator, start_clock};
use crate::engine::dispatch::{Event, Ticket as LaneTicket};
use crate::engine::message::{Held, Item, Message};
use crate::engine::panics;
use crate::engine::ready::Ready;
use crate::engine::shared::Shared;
use crate::engine::stage::Staged;
use crate::engine::timer::Timer;
use crate::job::{Cause, JobError};
use crate::tasks::Place;

/// Who has a lane for stages gives it back after this long, so that others have their turn.
const SHIFT: Duration = Duration::from_millis(20);

/// Stages that run outside all lanes: how many threads they may have, how many they have, and those that wait for one.
pub(super) struct Outside {
    max: usize,
    running: usize,
    next: Arc<Ready>,
}

impl Outside {
    pub fn new(max: usize) -> Self {
        Self { max, running: 0, next: Arc::default() }
    }

    /// How long one more would wait, in milliseconds, as far as those tell that wait already.
    pub fn wait_ms(&self) -> f64 {
        if self.running < self.max { 0.0 } else { self.next.takes_ms() / self.max as f64 }
    }

    /// Whether as many hold memory and wait for a thread as there are threads.
    pub fn is_taken(&self) -> bool {
        self.next.reserved() >= self.max
    }

    pub fn is_idle(&self) -> bool {
        self.running == 0 && self.next.is_empty()
    }

    /// Takes out what is not to go on.
    pub fn take_refused(&mut self) -> Vec<Staged> {
        self.next.take_refused()
    }
}

/// Stages that run on lanes.
#[derive(Default)]
pub(super) struct OnLanes {
    pub next: Arc<Ready>,
    /// Shifts in dispatch, and those of them that have no lane yet.
    shifts: usize,
    waiting: usize,
}

impl OnLanes {
    /// How long those take, in milliseconds, that dispatch has not been told of.
    pub fn beyond_dispatch_ms(&self) -> f64 {
        let count = self.next.len();
        let beyond = count.saturating_sub(self.waiting) as f64 / count.max(1) as f64;
        self.next.takes_ms() * beyond
    }
}

impl Coordinator {
    /// Where stages of this kind run outside all lanes; `None` where they hold one.
    pub(super) fn outside(&mut self, place: Place) -> Option<&mut Outside> {
        match place {
            Place::Compute | Place::Gpu(_) => None,
            Place::Process => self.processes.as_mut(),
            Place::Waiting => Some(&mut self.waiting),
        }
    }

    /// Gives the next stage of an irregular job its turn.
    pub(super) fn admit_stage(&mut self, staged: Staged) {
        if staged.variants().is_some() {
            return self.admit_unsettled(staged);
        }
        let Some(staged) = self.limits.admit(staged, &self.sender) else { return };
        let order = self.order(staged.ticket.priority, staged.expected_ms());
        match staged.wants() {
            Some(need) => self.park(order, need, Parked::Stage(staged)),
            None => self.admit_stage_in_turn(staged, order),
        }
    }

    /// The same, of one that has the memory that it needs.
    pub(super) fn admit_stage_in_turn(&mut self, staged: Staged, order: u64) {
        let place = staged.place();
        if let Place::Gpu(index) = place {
            return self.admit_gpu_stage(staged, index, order);
        }
        match self.outside(place) {
            Some(outside) => {
                outside.next.push(order, staged);
                self.begin_outside(place);
            }
            None => {
                self.on_lanes.next.push(order, staged);
                self.ask_for_lanes();
            }
        }
    }

    /// Goes on with those of which there were too many.
    pub(super) fn admit_due(&mut self) {
        for staged in self.limits.due(&self.sender) {
            self.admit_stage(staged);
        }
        self.settle_due();
    }

    /// Asks dispatch for as many lanes as there are stages that wait for one.
    fn ask_for_lanes(&mut self) {
        while self.on_lanes.shifts < self.threads() as usize
            && self.on_lanes.waiting < self.on_lanes.next.len()
            && let Some((order, expected_ms)) = self.on_lanes.next.next()
        {
            self.on_lanes.shifts += 1;
            self.on_lanes.waiting += 1;
            let (job, item) = (self.key(), Item::Shift { expected_ms });
            let admission = self.short.admission(job, order, &item);
            self.items.insert(job, item);
            self.tell(Event::Admitted(admission));
        }
    }

    /// A shift has its lane.
    pub(super) fn begin_shift(&mut self, lane: LaneTicket) {
        self.on_lanes.waiting -= 1;
        let held = Held::Lane(lane);
        let Some(first) = self.on_lanes.next.pop() else { return self.shift_ended(held, Duration::ZERO) };
        let shift = self.shift(self.on_lanes.next.clone(), first.place(), Some(SHIFT), held);
        if first.place() == Place::Process {
            return self.run_outside(shift, first);
        }
        if let Err(error) = self.lanes.spawn(lane.device, Box::new(move |_| shift.run(first))) {
            // The pool of the CPU takes whatever it is given.
            debug_assert!(false, "{error}");
        }
    }

    /// Begins what runs outside all lanes, as far as there is room for it.
    fn begin_outside(&mut self, place: Place) {
        while let Some(outside) = self.outside(place)
            && outside.running < outside.max
            && let Some(first) = outside.next.pop()
        {
            outside.running += 1;
            let next = outside.next.clone();
            self.run_outside(self.shift(next, place, None, Held::Nothing(place)), first);
        }
    }

    /// A shift is over, after so long.
    pub(super) fn shift_ended(&mut self, held: Held, elapsed: Duration) {
        match held {
            Held::Lane(lane) => {
                self.on_lanes.shifts -= 1;
                self.short_ended(lane, elapsed);
                self.ask_for_lanes();
            }
            Held::Gpu(lane) => self.short_ended(lane, elapsed),
            Held::Nothing(place) => {
                if let Some(outside) = self.outside(place) {
                    outside.running -= 1;
                }
                self.begin_outside(place);
            }
        }
    }

    pub(super) fn shift(&self, next: Arc<Ready>, place: Place, limit: Option<Duration>, held: Held) -> Shift {
        let (shared, timer, sender) = (self.shared.clone(), self.timer.clone(), self.sender.clone());
        Shift { next, place, limit, held, shared, timer, sender }
    }

    /// Runs a shift on a thread outside the pool.
    pub(super) fn run_outside(&self, shift: Shift, first: Staged) {
        let sender = self.sender.clone();
        let held = shift.held;
        // A program that holds a lane keeps it busy, though no thread of the pool works.
        let tally = match held {
            Held::Lane(lane) | Held::Gpu(lane) => Some(self.lanes.tally(lane.device)),
            Held::Nothing(_) => None,
        };
        // Where there is no thread for it, the errand is dropped with the job in it: so it is handed over by a slot.
        let slot = Arc::new(Mutex::new(Some(first)));
        let errand = {
            let slot = slot.clone();
            move || {
                let _busy = tally.as_ref().map(|tally| tally.begin());
                if let Some(first) = take(&slot) {
                    shift.run(first);
                }
            }
        };
        if let Err(error) = self.lanes.spawn_outside(Box::new(errand))
            && let Some(first) = take(&slot)
        {
            self.fail_stage(
                first,
                JobError::new(Cause::Io, format!("no thread to wait on: {error}: run fewer jobs at once")),
            );
            let _ = sender.send(Message::ShiftEnded { held, elapsed: Duration::ZERO });
        }
    }

    /// Ends an irregular job that goes no further.
    pub(super) fn fail_stage(&self, staged: Staged, error: JobError) {
        let shared = self.shared.clone();
        self.lanes.spawn_free(move || {
            staged.fail(error);
            shared.ended(1);
        });
    }
}

/// A thread's turn at stages: it runs one after the other until there are none, or it is time for others.
pub(super) struct Shift {
    next: Arc<Ready>,
    place: Place,
    limit: Option<Duration>,
    held: Held,
    shared: Arc<Shared>,
    timer: Arc<Timer>,
    sender: Sender<Message>,
}

impl Shift {
    /// Runs stages on this thread, beginning with `first`, and tells the coordinator.
    fn run(self, first: Staged) {
        let begun = Instant::now();
        if let Held::Gpu(lane) = self.held
            && let Some(gpu) = self.shared.devices.get(lane.device)
        {
            // A program has all of its GPU's memory. What drivers do is not ours: it may panic.
            let _ = panics::catch(|| gpu.release_memory());
        }
        let spot = self.shared.recorder.get().map(|recorder| match self.held {
            Held::Lane(lane) | Held::Gpu(lane) => recorder.on_lane(lane),
            Held::Nothing(_) => recorder.outside(),
        });
        let mut next = Some(first);
        while let Some(mut staged) = next {
            start_clock(&self.timer, &self.shared.begun, &mut staged.ticket);
            let room_bytes = self.shared.room_bytes.load(Ordering::Relaxed);
            if staged.ticket.reserved.is_some() && staged.at_once().is_none() {
                staged.ticket.context.workers.make_room(room_bytes);
            }
            let (stage, job) = (Instant::now(), staged.ticket.index);
            let rest = staged.run(room_bytes, |kind, expected_ms, took| {
                if self.place == Place::Compute {
                    self.shared.learn_stage(kind, expected_ms, took);
                }
            });
            if let Some(spot) = &spot {
                spot.note(stage, (job, 1), name(self.place));
            }
            match rest {
                Some(staged) => _ = self.sender.send(Message::Staged(Box::new(staged))),
                None => self.shared.ended(1),
            }
            let goes_on = self.limit.is_none_or(|limit| begun.elapsed() < limit);
            next = if goes_on { self.next.pop_of(self.place) } else { None };
        }
        drop(spot);
        // The coordinator outlives what it began.
        let _ = self.sender.send(Message::ShiftEnded { held: self.held, elapsed: begun.elapsed() });
    }
}

/// What a stage does in this place, in a word.
fn name(place: Place) -> &'static str {
    match place {
        Place::Compute => "compute",
        Place::Process | Place::Gpu(_) => "program",
        Place::Waiting => "wait",
    }
}

/// What lies in a slot, for whoever comes first.
fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
