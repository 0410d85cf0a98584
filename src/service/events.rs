//! What happens to jobs, for whoever wants to know: the last few thousand events, each with its number. Nobody who listens is
//! waited for, and none has a queue of his own: who is too slow is told how much he missed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::journal::State;
use crate::service::pace::{Counts, Pace};

/// So many events are remembered.
const REMEMBERED: usize = 16_384;

/// Something that happened to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// The job.
    pub seq: u64,
    /// What it is now.
    pub state: State,
    /// When.
    pub at_ms: i64,
}

#[derive(Debug, Default)]
struct Remembered {
    /// The number of the first of them.
    first: u64,
    events: VecDeque<Event>,
    pace: Pace,
}

/// The events so far.
#[derive(Debug)]
pub(super) struct Events {
    begun: Instant,
    remembered: Mutex<Remembered>,
    /// The number of the next event.
    next: watch::Sender<u64>,
}

/// What a listener has not seen yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// How many events are gone that he had not seen.
    pub missed: u64,
    /// Those that are there, with their numbers.
    pub events: Vec<(u64, Event)>,
    /// The number of the next event that he has not seen.
    pub next: u64,
}

impl Events {
    /// None so far; numbers begin here, so that those of an earlier process are not taken for this one's.
    pub fn beginning_at(first: u64) -> Self {
        let remembered = Remembered { first, ..Remembered::default() };
        Self { begun: Instant::now(), remembered: Mutex::new(remembered), next: watch::Sender::new(first) }
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events.
    pub fn publish(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let next = {
            let mut remembered = self.lock();
            let now = self.begun.elapsed();
            events.iter().for_each(|event| remembered.pace.note(now, event.state));
            remembered.events.extend(events);
            let too_many = remembered.events.len().saturating_sub(REMEMBERED);
            remembered.events.drain(..too_many);
            remembered.first += too_many as u64;
            remembered.first + remembered.events.len() as u64
        };
        self.next.send_replace(next);
    }

    /// How many jobs came to each state in the last minutes.
    pub fn pace(&self) -> Vec<Counts> {
        self.lock().pace.whole_steps(self.begun.elapsed())
    }

    /// The number of the next event.
    pub fn next(&self) -> u64 {
        *self.next.borrow()
    }

    /// Tells when there is more.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// Up to `max` events from this number on.
    pub fn since(&self, from: u64, max: usize) -> News {
        let remembered = self.lock();
        let end = remembered.first + remembered.events.len() as u64;
        // A number of the future is one of an earlier process.
        let from = if from > end { remembered.first } else { from };
        let begin = from.max(remembered.first);
        let events: Vec<(u64, Event)> = (begin..)
            .zip(remembered.events.iter().skip((begin - remembered.first) as usize).copied())
            .take(max)
            .collect();
        News { missed: begin - from, next: begin + events.len() as u64, events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64) -> Event {
        Event { seq, state: State::Queued, at_ms: 0 }
    }

    #[test]
    fn who_comes_back_goes_on_where_he_was_and_hears_what_he_missed() {
        let events = Events::beginning_at(100);
        events.publish(&[event(1), event(2), event(3)]);
        let news = events.since(101, 10);
        assert_eq!((news.missed, news.next), (0, 103));
        assert_eq!(news.events, [(101, event(2)), (102, event(3))]);
        assert_eq!(events.since(101, 1).next, 102);
        let many: Vec<Event> = (0..REMEMBERED as u64).map(event).collect();
        events.publish(&many);
        let news = events.since(101, 1);
        assert_eq!((news.missed, news.events), (2, vec![(103, event(0))]));
        assert_eq!((events.since(7, 1).missed, events.since(u64::MAX, 1).missed), (96, 0));
    }
}
