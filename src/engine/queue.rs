//! Jobs that nobody has opened yet, in the order in which they came, but for this: what is in memory does not wait behind files
//! that may not be opened yet, nor do jobs that ask for a GPU wait behind those that keep the CPU.

use std::collections::VecDeque;

use crate::engine::ticket::Ticket;
use crate::job::DeviceChoice;

/// Jobs that a batch holds at most.
const BATCH_JOBS: usize = 512;

/// What a job keeps busy, as far as can be told before it is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The CPU, or whatever the plan says.
    Cpu,
    /// A GPU, asked for by name or as a part of a split.
    Gpu,
}

impl Class {
    pub fn of(asked: DeviceChoice) -> Self {
        match asked {
            DeviceChoice::Auto | DeviceChoice::Cpu => Self::Cpu,
            DeviceChoice::Gpu | DeviceChoice::GpuIndex(_) | DeviceChoice::Split => Self::Gpu,
        }
    }
}

/// The jobs.
pub(crate) struct Queue {
    /// Where jobs run that do not say.
    default: DeviceChoice,
    /// Opened in next to no time, many at a time.
    quick: VecDeque<Ticket>,
    /// Opened one by one, by class.
    files: [VecDeque<Ticket>; 2],
}

impl Queue {
    pub fn new(default: DeviceChoice) -> Self {
        Self { default, quick: VecDeque::new(), files: Default::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.quick.is_empty() && self.files.iter().all(VecDeque::is_empty)
    }

    fn place(&mut self, ticket: &Ticket) -> &mut VecDeque<Ticket> {
        if ticket.params.in_memory() {
            return &mut self.quick;
        }
        &mut self.files[Class::of(ticket.device.unwrap_or(self.default)) as usize]
    }

    /// Takes in what has come.
    pub fn extend(&mut self, tickets: impl IntoIterator<Item = Ticket>) {
        for ticket in tickets {
            self.place(&ticket).push_back(ticket);
        }
    }

    /// Takes back what a batch has not begun, before all that waits.
    pub fn take_back(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets.into_iter().rev() {
            self.place(&ticket).push_front(ticket);
        }
    }

    /// What is to be opened next by one of `lanes` lanes: a batch of what is quick, or one file's job of a class that may open
    /// more, whichever came first.
    pub fn next_batch(&mut self, lanes: usize, may_open: impl Fn(Class) -> bool) -> Option<Vec<Ticket>> {
        let files = [Class::Cpu, Class::Gpu].into_iter().filter(|class| may_open(*class));
        let first_file = files
            .filter_map(|class| self.files[class as usize].front().map(|ticket| (ticket.submitted, class)))
            .min_by_key(|(submitted, _)| *submitted);
        match (self.quick.front(), first_file) {
            (Some(quick), Some((submitted, class))) if submitted < quick.submitted => self.one(class),
            (None, Some((_, class))) => self.one(class),
            (Some(_), _) => {
                let fair = self.quick.len().div_ceil(lanes * 2).clamp(1, BATCH_JOBS);
                Some(self.quick.drain(..fair).collect())
            }
            (None, None) => None,
        }
    }

    fn one(&mut self, class: Class) -> Option<Vec<Ticket>> {
        self.files[class as usize].pop_front().map(|ticket| vec![ticket])
    }

    /// Takes out what somebody cancelled.
    pub fn take_cancelled(&mut self) -> Vec<Ticket> {
        let mut gone = Vec::new();
        for queue in self.files.iter_mut().chain([&mut self.quick]) {
            take_out(queue, &mut gone, |ticket| ticket.cancel.is_cancelled());
        }
        gone
    }
}

/// Moves what is cancelled from a queue to `gone`; the rest keeps its order.
pub(crate) fn take_out<T>(queue: &mut VecDeque<T>, gone: &mut Vec<T>, is_cancelled: impl Fn(&T) -> bool) {
    if queue.iter().any(&is_cancelled) {
        let mut all = Vec::from(std::mem::take(queue));
        gone.extend(all.extract_if(.., |item| is_cancelled(item)));
        *queue = all.into();
    }
}
