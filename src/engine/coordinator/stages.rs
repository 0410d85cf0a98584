//! Irregular jobs: their stages get a lane, or a thread outside all lanes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::{Coordinator, WAITING_MAX};
use crate::engine::dispatch::{Event, Ticket as LaneTicket};
use crate::engine::message::{Item, Message};
use crate::engine::stage::Staged;
use crate::job::{Cause, JobError};
use crate::tasks::Place;

impl Coordinator {
    /// Gives the next stage of an irregular job its turn.
    pub(super) fn admit_stage(&mut self, staged: Staged) {
        if staged.place() == Place::Waiting {
            self.outside_next.push_back(staged);
            return self.begin_outside();
        }
        let (job, order) = (self.key(), self.order(staged.ticket.priority, staged.expected_ms()));
        let item = Item::Task(Box::new(staged));
        let admission = self.short.admission(job, order, &item);
        self.items.insert(job, item);
        self.tell(Event::Admitted(admission));
    }

    /// Begins what only waits, as far as there is room for it.
    pub(super) fn begin_outside(&mut self) {
        while self.outside < WAITING_MAX
            && let Some(mut staged) = self.outside_next.pop_front()
        {
            super::start_clock(&self.timer, &mut staged.ticket);
            self.outside += 1;
            self.run_outside(None, staged);
        }
    }

    /// Runs a stage on a thread outside the pool, where it holds this lane or none.
    pub(super) fn run_outside(&self, lane: Option<LaneTicket>, staged: Staged) {
        let sender = self.sender.clone();
        // Where there is no thread for it, the errand is dropped with the job in it: so it is handed over by a slot.
        let slot = Arc::new(Mutex::new(Some(staged)));
        let errand = {
            let (slot, sender) = (slot.clone(), sender.clone());
            move || {
                if let Some(staged) = take(&slot) {
                    run_stage(staged, lane, &sender);
                }
            }
        };
        if let Err(error) = self.lanes.spawn_outside(Box::new(errand))
            && let Some(staged) = take(&slot)
        {
            let error = JobError::new(Cause::Io, format!("no thread to wait on: {error}: run fewer jobs at once"));
            self.lanes.spawn_free(move || {
                staged.fail(error);
                let _ = sender.send(Message::Staged { lane, elapsed: Duration::ZERO, next: None });
            });
        }
    }
}

/// Runs a stage on this thread, and tells the coordinator.
pub(super) fn run_stage(staged: Staged, lane: Option<LaneTicket>, sender: &Sender<Message>) {
    let begun = Instant::now();
    let next = staged.run();
    let _ = sender.send(Message::Staged { lane, elapsed: begun.elapsed(), next });
}

/// What lies in a slot, for whoever comes first.
fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
