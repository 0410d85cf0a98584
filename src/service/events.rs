//! What happens to jobs, for whoever wants to know: the last few thousand events, each with its number. Nobody who listens is
//! waited for, and none has a queue of his own: who is too slow is told how much he missed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::journal::State;
use crate::service::ids::job_id;
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

/// An event as listeners get it: written once, however many they are.
#[derive(Debug)]
struct Written {
    event: Event,
    text: Box<str>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// The number of the first of them.
    first: u64,
    events: VecDeque<Written>,
    pace: Pace,
}

/// The events so far.
#[derive(Debug)]
pub(super) struct Events {
    /// What tells the jobs from those of other journals.
    tag: String,
    begun: Instant,
    remembered: Mutex<Remembered>,
    /// The number of the next event.
    next: watch::Sender<u64>,
}

/// What a listener has not seen yet, as he gets it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// In the form of server-sent events.
    pub text: String,
    /// The number of the next event that he has not seen.
    pub next: u64,
    /// Whether the one job that he listens to has ended.
    pub has_ended: bool,
}

impl Events {
    /// None so far, of the jobs of this journal; numbers begin here, so that those of an earlier process are not taken for this one's.
    pub fn beginning_at(tag: &str, first: u64) -> Self {
        let remembered = Mutex::new(Remembered { first, ..Remembered::default() });
        Self { tag: tag.to_owned(), begun: Instant::now(), remembered, next: watch::Sender::new(first) }
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
            let mut number = remembered.first + remembered.events.len() as u64;
            for event in events {
                remembered.pace.note(now, event.state);
                let text = self.written(number, *event).into();
                remembered.events.push_back(Written { event: *event, text });
                number += 1;
            }
            let too_many = remembered.events.len().saturating_sub(REMEMBERED);
            remembered.events.drain(..too_many);
            remembered.first += too_many as u64;
            number
        };
        self.next.send_replace(next);
    }

    /// An event in the form of server-sent events.
    pub fn written(&self, number: u64, event: Event) -> String {
        let Event { seq, state, at_ms } = event;
        let id = job_id(&self.tag, seq);
        format!("id: {number}\nevent: job\ndata: {{\"id\":\"{id}\",\"state\":\"{state}\",\"at_ms\":{at_ms}}}\n\n")
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

    /// Up to `max` events from this number on, of all jobs or of one; of one, none after its end.
    pub fn since(&self, from: u64, max: usize, only: Option<u64>) -> News {
        let remembered = self.lock();
        let end = remembered.first + remembered.events.len() as u64;
        // A number of the future is one of an earlier process.
        let from = if from > end { remembered.first } else { from };
        let begin = from.max(remembered.first);
        let mut news = News { next: begin, ..News::default() };
        if begin > from {
            news.text = format!("event: missed\ndata: {{\"count\":{}}}\n\n", begin - from);
        }
        for written in remembered.events.iter().skip((begin - remembered.first) as usize).take(max) {
            news.next += 1;
            if only.is_none_or(|only| only == written.event.seq) {
                news.text += &written.text;
                news.has_ended = only.is_some() && written.event.state.is_terminal();
                if news.has_ended {
                    break;
                }
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64) -> Event {
        Event { seq, state: if seq == 3 { State::Failed } else { State::Queued }, at_ms: 5 }
    }

    #[test]
    fn who_comes_back_goes_on_where_he_was_and_hears_what_he_missed() {
        let events = Events::beginning_at("abcd", 100);
        events.publish(&[event(1), event(2), event(3)]);
        let news = events.since(101, 10, None);
        let first = "id: 101\nevent: job\ndata: {\"id\":\"abcd-2\",\"state\":\"queued\",\"at_ms\":5}\n\n";
        assert!(news.text.starts_with(first), "{}", news.text);
        assert_eq!((news.next, news.text.matches("event: job").count()), (103, 2));
        assert_eq!((events.since(101, 1, None).next, events.next()), (102, 103));
        let many: Vec<Event> = (10..10 + REMEMBERED as u64).map(event).collect();
        events.publish(&many);
        let news = events.since(101, 1, None);
        assert!(news.text.starts_with("event: missed\ndata: {\"count\":2}\n\nid: 103\n"), "{}", news.text);
        assert!(events.since(7, 1, None).text.contains("{\"count\":96}"));
        assert!(!events.since(u64::MAX, 1, None).text.contains("missed"), "of an earlier process");
    }

    #[test]
    fn who_listens_to_one_job_hears_of_no_other_and_of_its_end_last() {
        let events = Events::beginning_at("abcd", 0);
        events.publish(&[event(1), event(3), event(1), event(3)]);
        let news = events.since(0, 10, Some(3));
        assert_eq!(
            (news.text.matches("abcd-3").count(), news.text.matches("abcd-1").count(), news.has_ended),
            (1, 0, true)
        );
        assert_eq!((events.since(0, 10, Some(1)).next, events.since(0, 10, Some(7)).text), (4, String::new()));
    }
}
