//! Carrying out the wish to end jobs early.

use super::Coordinator;
use crate::engine::dispatch::Event;
use crate::engine::message::Item;
use crate::engine::queue::take_out;
use crate::engine::stage::Staged;
use crate::engine::ticket::Ticket;
use crate::job::{Cause, JobError};

impl Coordinator {
    /// Ends what was cancelled and has not begun, and tells dispatch of the rest.
    pub(super) fn cancel(&mut self) {
        let mut gone = self.queue.take_cancelled();
        let is_cancelled = |ticket: &Ticket| ticket.cancel.is_cancelled();
        gone.extend(self.unplanned.extract_if(.., |bound| is_cancelled(&bound.ticket)).map(|bound| bound.ticket));
        let mut cancelled = Vec::new();
        let mut stages: Vec<Staged> = Vec::new();
        for (key, item) in &mut self.items {
            match item {
                Item::Large(large) if is_cancelled(&large.ticket) => cancelled.push(*key),
                Item::Batch(tickets) => gone.extend(tickets.extract_if(.., |ticket| is_cancelled(ticket))),
                Item::Task(staged) if is_cancelled(&staged.ticket) => {
                    cancelled.push(*key);
                    if let Item::Task(staged) = std::mem::replace(item, Item::Begun) {
                        stages.push(*staged);
                    }
                }
                _ => {}
            }
        }
        take_out(&mut self.outside_next, &mut stages, |staged| is_cancelled(&staged.ticket));
        for ticket in gone {
            if let Some(error) = ticket.cancel.error() {
                self.fail_ticket(ticket, error, None);
            }
        }
        for staged in stages {
            let (error, shared) = (staged.ticket.cancel.error(), self.shared.clone());
            self.lanes.spawn_free(move || {
                staged.fail(error.unwrap_or_else(|| JobError::new(Cause::Cancelled, "cancelled")));
                shared.ended(1);
            });
        }
        for job in cancelled {
            self.tell(Event::Cancelled { job });
        }
    }
}
