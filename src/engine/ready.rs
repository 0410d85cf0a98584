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
        let came = waiting.came;
        waiting.stages.insert((order, came), staged);
    }

    /// Takes the next.
    pub fn pop(&self) -> Option<Staged> {
        self.lock().stages.pop_first().map(|(_, staged)| staged)
    }

    /// Takes the next, if it runs in this place.
    pub fn pop_of(&self, place: Place) -> Option<Staged> {
        let mut waiting = self.lock();
        let first = waiting.stages.first_entry().filter(|entry| entry.get().place() == place);
        first.map(|entry| entry.remove())
    }

    /// The turn of the next, and how long it is expected to take, in milliseconds.
    pub fn next(&self) -> Option<(u64, f64)> {
        self.lock().stages.first_key_value().map(|((order, _), staged)| (*order, staged.expected_ms()))
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
        self.lock().stages.extract_if(.., refused).map(|(_, staged)| staged).collect()
    }
}
