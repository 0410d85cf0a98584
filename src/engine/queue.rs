//! Jobs that nobody has opened yet, in the order in which they came, but for this: what is in memory does not wait behind files
//! that may not be opened yet, nor do jobs that ask for a GPU wait behind those that keep the CPU.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::engine::ticket::Ticket;
use crate::job::DeviceChoice;

/// Jobs that a batch holds at most.
pub(crate) const BATCH_JOBS: usize = 512;

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

/// Jobs by priority, and those of one priority in the order in which they came.
#[derive(Default)]
struct Ranked(BTreeMap<Reverse<i32>, VecDeque<Ticket>>);

impl Ranked {
    fn of(&mut self, priority: i32) -> &mut VecDeque<Ticket> {
        self.0.entry(Reverse(priority)).or_default()
    }

    /// The queue whose turn it is.
    fn first(&self) -> Option<&VecDeque<Ticket>> {
        self.0.values().find(|queue| !queue.is_empty())
    }

    fn first_mut(&mut self) -> Option<&mut VecDeque<Ticket>> {
        self.0.values_mut().find(|queue| !queue.is_empty())
    }

    fn front(&self) -> Option<&Ticket> {
        self.first()?.front()
    }
}

/// The jobs.
pub(crate) struct Queue {
    /// Where jobs run that do not say.
    default: DeviceChoice,
    /// Opened in next to no time, many at a time.
    quick: Ranked,
    /// Opened one by one, by class.
    files: [Ranked; 2],
}

impl Queue {
    pub fn new(default: DeviceChoice) -> Self {
        Self { default, quick: Ranked::default(), files: Default::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.quick.first().is_none() && self.files.iter().all(|files| files.first().is_none())
    }

    /// How many jobs of a class wait to be opened one by one.
    pub fn files(&self, class: Class) -> usize {
        self.files[class as usize].0.values().map(VecDeque::len).sum()
    }

    /// How many jobs wait that are opened many at a time.
    pub fn quick(&self) -> usize {
        self.quick.0.values().map(VecDeque::len).sum()
    }

    fn place(&mut self, ticket: &Ticket) -> &mut VecDeque<Ticket> {
        let ranked = if ticket.in_memory {
            &mut self.quick
        } else {
            &mut self.files[Class::of(ticket.device.unwrap_or(self.default)) as usize]
        };
        ranked.of(ticket.priority)
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
        let files = [Class::Cpu, Class::Gpu].into_iter();
        let first_file = files
            .filter_map(|class| self.files[class as usize].front().map(|ticket| (turn(ticket), class)))
            // To ask costs more than to look whether there is any.
            .filter(|(_, class)| may_open(*class))
            .min_by_key(|(turn, _)| *turn);
        match (self.quick.front(), first_file) {
            (Some(quick), Some((file, class))) if file < turn(quick) => self.one(class),
            (None, Some((_, class))) => self.one(class),
            (Some(_), _) => {
                let quick = self.quick.first_mut()?;
                let fair = quick.len().div_ceil(lanes * 2).clamp(1, BATCH_JOBS);
                Some(quick.drain(..fair).collect())
            }
            (None, None) => None,
        }
    }

    fn one(&mut self, class: Class) -> Option<Vec<Ticket>> {
        self.files[class as usize].first_mut()?.pop_front().map(|ticket| vec![ticket])
    }

    /// Takes out what is not to begin any more.
    pub fn take_cancelled(&mut self) -> Vec<Ticket> {
        let mut gone = Vec::new();
        let ranked = self.files.iter_mut().chain([&mut self.quick]);
        for queue in ranked.flat_map(|ranked| ranked.0.values_mut()) {
            take_out(queue, &mut gone, |ticket| ticket.is_refused());
        }
        gone
    }
}

/// What has the lesser turn comes first.
fn turn(ticket: &Ticket) -> (Reverse<i32>, Instant) {
    (Reverse(ticket.priority), ticket.submitted)
}

/// Moves what is cancelled from a queue to `gone`; the rest keeps its order.
pub(crate) fn take_out<T>(queue: &mut VecDeque<T>, gone: &mut Vec<T>, is_cancelled: impl Fn(&T) -> bool) {
    if queue.iter().any(&is_cancelled) {
        let mut all = Vec::from(std::mem::take(queue));
        gone.extend(all.extract_if(.., |item| is_cancelled(item)));
        *queue = all.into();
    }
}
