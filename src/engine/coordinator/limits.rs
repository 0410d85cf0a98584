//! Irregular jobs of which only so many may run at once, as those of a pool of workers: the others wait here, and hold no lane
//! while they do.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::engine::Seat;
use crate::engine::message::Message;
use crate::engine::queue::take_out;
use crate::engine::stage::Staged;

/// One of the places of a group; free again when dropped, and the coordinator is told.
pub(crate) struct Permit {
    place: Option<Arc<()>>,
    sender: Sender<Message>,
}

impl Permit {
    pub fn new(place: Arc<()>, sender: Sender<Message>) -> Self {
        Self { place: Some(place), sender }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.place = None;
        // Where the engine has ended, nobody waits any more.
        let _ = self.sender.send(Message::PlaceFree);
    }
}

/// The groups that are under way.
#[derive(Default)]
pub(super) struct Limits {
    groups: HashMap<u64, Group>,
}

#[derive(Default)]
struct Group {
    max: usize,
    /// Held by every permit too, and so the count of them.
    places: Arc<()>,
    /// By priority, and in order within one.
    waiting: VecDeque<Staged>,
}

impl Group {
    fn running(&self) -> usize {
        Arc::strong_count(&self.places) - 1
    }

    fn permit(&self, sender: &Sender<Message>) -> Permit {
        Permit::new(self.places.clone(), sender.clone())
    }
}

impl Limits {
    /// Gives the job back where it may go on; else it waits.
    pub fn admit(&mut self, mut staged: Staged, sender: &Sender<Message>) -> Option<Staged> {
        let Some(at_once) = staged.at_once().filter(|_| staged.permit.is_none()) else { return Some(staged) };
        let group = self.groups.entry(at_once.group).or_default();
        group.max = at_once.max.max(1);
        if group.waiting.is_empty() && group.running() < group.max {
            staged.permit = Some(group.permit(sender));
            return Some(staged);
        }
        staged.ticket.leave_seat();
        let priority = staged.ticket.priority;
        let at = group.waiting.partition_point(|other| other.ticket.priority >= priority);
        group.waiting.insert(at, staged);
        None
    }

    /// Those that need not wait any longer.
    pub fn due(&mut self, sender: &Sender<Message>) -> Vec<Staged> {
        let mut due = Vec::new();
        self.groups.retain(|_, group| {
            while group.running() < group.max
                && group
                    .waiting
                    .front_mut()
                    .is_some_and(|next| next.ticket.seat.as_mut().is_none_or(Seat::take_or_wish))
                && let Some(mut staged) = group.waiting.pop_front()
            {
                staged.permit = Some(group.permit(sender));
                due.push(staged);
            }
            group.running() > 0 || !group.waiting.is_empty()
        });
        due
    }

    /// Whether none waits.
    pub fn is_idle(&self) -> bool {
        self.groups.values().all(|group| group.waiting.is_empty())
    }

    /// Takes out what is not to go on.
    pub fn take_refused(&mut self, gone: &mut Vec<Staged>) {
        for group in self.groups.values_mut() {
            take_out(&mut group.waiting, gone, Staged::is_refused);
        }
    }
}
