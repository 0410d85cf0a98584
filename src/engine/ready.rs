//! Stages of irregular jobs that wait for a lane or a thread. Who has one takes the next from here by himself, so that nobody
//! stands idle while the thread that decides is asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::stage::Staged;
use crate::tasks::Place;

/// The stages, by whose turn it is.
#[derive(Default)]
pub(crate) struct Ready(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    stages: BTreeMap<(u64, u64), Staged>,
    came: u64,
    /// How many of them hold memory.
    reserved: usize,
    /// How long those are expected to take that are here, in milliseconds.
    takes_ms: f64,
}

impl Waiting {
    /// Takes note that this one goes.
    fn went(&mut self, staged: &Staged) {
        // What was added and taken off again leaves a trace: with the last it goes.
        self.reserved -= usize::from(staged.ticket.reserved.is_some());
        self.takes_ms = if self.stages.is_empty() { 0.0 } else { self.takes_ms - countable_ms(staged) };
    }
}

/// How long it is expected to take, as far as that can be summed up.
fn countable_ms(staged: &Staged) -> f64 {
    let ms = staged.expected_ms();
    if ms.is_finite() { ms.clamp(0.0, 1e9) } else { 0.0 }
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code that is not ours runs under it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts one in its turn; of those with the same one, the first that came goes first.
    pub fn push(&self, order: u64, staged: Staged) {
        let mut waiting = self.lock();
        waiting.came += 1;
        waiting.reserved += usize::from(staged.ticket.reserved.is_some());
        waiting.takes_ms += countable_ms(&staged);
        let came = waiting.came;
        waiting.stages.insert((order, came), staged);
    }

    /// Takes the next.
    pub fn pop(&self) -> Option<Staged> {
        let mut waiting = self.lock();
        let (_, staged) = waiting.stages.pop_first()?;
        waiting.went(&staged);
        Some(staged)
    }

    /// Takes the next, if it runs in this place.
    pub fn pop_of(&self, place: Place) -> Option<Staged> {
        let mut waiting = self.lock();
        let first = waiting.stages.first_entry().filter(|entry| entry.get().place() == place);
        let staged = first.map(|entry| entry.remove())?;
        waiting.went(&staged);
        Some(staged)
    }

    /// The turn of the next, and how long it is expected to take, in milliseconds.
    pub fn next(&self) -> Option<(u64, f64)> {
        self.lock().stages.first_key_value().map(|((order, _), staged)| (*order, staged.expected_ms()))
    }

    /// How long those that wait are expected to take, one after the other, in milliseconds.
    pub fn takes_ms(&self) -> f64 {
        self.lock().takes_ms.max(0.0)
    }

    /// How many of those that wait hold memory.
    pub fn reserved(&self) -> usize {
        self.lock().reserved
    }

    pub fn len(&self) -> usize {
        self.lock().stages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes out what is not to go on.
    pub fn take_refused(&self) -> Vec<Staged> {
        let refused = |_: &(u64, u64), staged: &mut Staged| staged.is_refused();
        let mut waiting = self.lock();
        let gone: Vec<Staged> = waiting.stages.extract_if(.., refused).map(|(_, staged)| staged).collect();
        gone.iter().for_each(|staged| waiting.went(staged));
        gone
    }
}
