//! Irregular jobs: their stages get a lane, or a thread outside all lanes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::Coordinator;
use crate::engine::dispatch::Event;
use crate::engine::message::{Held, Item, Message};
use crate::engine::queue::take_out;
use crate::engine::stage::Staged;
use crate::job::{Cause, JobError};
use crate::tasks::Place;

/// Stages that run outside all lanes: how many at once, how many do, and those for which there are too many of these.
pub(super) struct Outside {
    max: usize,
    running: usize,
    next: VecDeque<Staged>,
}

impl Outside {
    pub fn new(max: usize) -> Self {
        Self { max, running: 0, next: VecDeque::new() }
    }

    pub fn is_idle(&self) -> bool {
        self.running == 0 && self.next.is_empty()
    }

    /// Takes out what is not to go on.
    pub fn take_refused(&mut self, gone: &mut Vec<Staged>) {
        take_out(&mut self.next, gone, Staged::is_refused);
    }
}

impl Coordinator {
    /// Where stages of this kind run outside all lanes; `None` where they hold one.
    pub(super) fn outside(&mut self, place: Place) -> Option<&mut Outside> {
        match place {
            Place::Compute => None,
            Place::Process => self.processes.as_mut(),
            Place::Waiting => Some(&mut self.waiting),
        }
    }

    /// Gives the next stage of an irregular job its turn.
    pub(super) fn admit_stage(&mut self, staged: Staged) {
        let place = staged.place();
        if let Some(outside) = self.outside(place) {
            outside.next.push_back(staged);
            return self.begin_outside(place);
        }
        let (job, order) = (self.key(), self.order(staged.ticket.priority, staged.expected_ms()));
        let item = Item::Task(Box::new(staged));
        let admission = self.short.admission(job, order, &item);
        self.items.insert(job, item);
        self.tell(Event::Admitted(admission));
    }

    /// Begins what runs outside all lanes, as far as there is room for it.
    pub(super) fn begin_outside(&mut self, place: Place) {
        while let Some(outside) = self.outside(place)
            && outside.running < outside.max
            && let Some(mut staged) = outside.next.pop_front()
        {
            outside.running += 1;
            super::begin(&self.timer, &self.shared.begun, &mut staged.ticket);
            self.run_outside(Held::Nothing(place), staged);
        }
    }

    /// A stage outside all lanes has ended: there is room for the next.
    pub(super) fn outside_ended(&mut self, place: Place) {
        if let Some(outside) = self.outside(place) {
            outside.running -= 1;
        }
        self.begin_outside(place);
    }

    /// Runs a stage on a thread outside the pool.
    pub(super) fn run_outside(&self, held: Held, staged: Staged) {
        let sender = self.sender.clone();
        // Where there is no thread for it, the errand is dropped with the job in it: so it is handed over by a slot.
        let slot = Arc::new(Mutex::new(Some(staged)));
        let errand = {
            let (slot, sender) = (slot.clone(), sender.clone());
            move || {
                if let Some(staged) = take(&slot) {
                    run_stage(staged, held, &sender);
                }
            }
        };
        if let Err(error) = self.lanes.spawn_outside(Box::new(errand))
            && let Some(staged) = take(&slot)
        {
            let error = JobError::new(Cause::Io, format!("no thread to wait on: {error}: run fewer jobs at once"));
            self.lanes.spawn_free(move || {
                staged.fail(error);
                let _ = sender.send(Message::Staged { held, elapsed: Duration::ZERO, next: None });
            });
        }
    }
}

/// Runs a stage on this thread, and tells the coordinator.
pub(super) fn run_stage(staged: Staged, held: Held, sender: &Sender<Message>) {
    let begun = Instant::now();
    let next = staged.run();
    let _ = sender.send(Message::Staged { held, elapsed: begun.elapsed(), next });
}

/// What lies in a slot, for whoever comes first.
fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
