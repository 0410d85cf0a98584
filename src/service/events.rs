//! What happens to jobs, for whoever wants to know: the last few thousand events, each with its number. Nobody who listens is
//! waited for, and none has a queue of his own: who is too slow is told how much he missed.
//!
//! Who tells of an event only adds it to the fresh ones, whether one listens or a thousand. The text of events is written once, by the first
//! who wants it, behind a lock that tellers never take, and is shared by all: a listener gets pieces of it, not copies.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, watch};

use crate::journal::State;
use crate::service::clock::wall_ms;
use crate::service::pace::{Counts, Pace};

/// So many events are remembered.
const REMEMBERED: usize = 16_384;

/// So many share a segment at most.
const SEGMENT: usize = 512;

/// So many listen at once at most.
pub(super) const LISTENERS_MAX: usize = 1000;

/// Listeners are woken no sooner than this after the last time: many events in one piece cost little more than one.
const PACE: Duration = Duration::from_millis(50);

/// An end that was written down is told of within this time.
const UNTOLD_MS: i64 = 1000;

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

/// The form in which listeners get events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Adds the event of this number to a text; the jobs are of the journal of this tag.
    pub event: fn(&mut String, &str, u64, Event),
    /// Tells that so many events were missed; or some, of an earlier process.
    pub missed: fn(Option<u64>) -> String,
}

/// Events that follow each other, as listeners get them.
#[derive(Debug)]
struct Segment {
    /// The number of the first of them.
    first: u64,
    events: Vec<Event>,
    /// As listeners get them.
    text: Bytes,
    /// Where the text of each ends.
    ends: Vec<usize>,
}

impl Segment {
    /// The number after that of the last event.
    fn next(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// The text of these events, by their places in it.
    fn text(&self, places: std::ops::Range<usize>) -> Bytes {
        let begin_of = |place: usize| place.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.slice(begin_of(places.start)..begin_of(places.end))
    }

    /// The place of the event of this number, or the first one.
    fn place(&self, number: u64) -> usize {
        number.saturating_sub(self.first) as usize
    }
}

/// What has happened and is not written yet.
#[derive(Debug, Default)]
struct Fresh {
    /// The number of the first of them.
    first: u64,
    events: VecDeque<Event>,
    pace: Pace,
}

impl Fresh {
    fn next(&self) -> u64 {
        self.first + self.events.len() as u64
    }
}

/// The events so far.
#[derive(Debug)]
pub(super) struct Events {
    /// What tells the jobs from those of other journals.
    tag: String,
    form: Form,
    /// The number of the first event of this process.
    first: u64,
    begun: Instant,
    fresh: Mutex<Fresh>,
    /// Taken before the lock of the fresh ones, never after it.
    written: Mutex<VecDeque<Arc<Segment>>>,
    /// Whether somebody has been told that there are fresh ones.
    is_told: AtomicBool,
    teller: Notify,
    /// Tells listeners that there is more.
    more: watch::Sender<()>,
}

/// What a listener has not seen yet, as he gets it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// In the form that listeners get.
    pub pieces: Vec<Bytes>,
    /// The number of the next event that he has not seen.
    pub next: u64,
    /// Whether there is more already.
    pub is_behind: bool,
    /// Whether the one job that he listens to has ended.
    pub has_ended: bool,
    /// Whether some were forgotten before he was told of them: the end of that job may be one.
    pub has_missed: bool,
}

/// What is remembered, from some event on.
struct View {
    /// The number that was asked for; where it is none of this process, that of the first event that is remembered.
    from: u64,
    /// Whether it is none of this process.
    is_foreign: bool,
    /// That of the first event that is remembered of those.
    begin: u64,
    /// That after the last of them.
    end: u64,
    /// That of the next event.
    next: u64,
    segments: Vec<Arc<Segment>>,
}

impl Events {
    /// None so far, of the jobs of this journal; numbers begin here, so that those of an earlier process are not taken for this one's.
    pub fn beginning_at(tag: &str, first: u64, form: Form) -> Self {
        Self {
            tag: tag.to_owned(),
            form,
            first,
            begun: Instant::now(),
            fresh: Mutex::new(Fresh { first, ..Fresh::default() }),
            written: Mutex::default(),
            is_told: AtomicBool::new(false),
            teller: Notify::new(),
            more: watch::Sender::new(()),
        }
    }

    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events.
    pub fn publish(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        {
            let mut fresh = self.fresh();
            let now = self.begun.elapsed();
            for event in events {
                fresh.pace.note(now, event.state);
                fresh.events.push_back(*event);
            }
            // Where nobody listens, nobody takes them away.
            let too_many = fresh.events.len().saturating_sub(REMEMBERED);
            fresh.events.drain(..too_many);
            fresh.first += too_many as u64;
        }
        if !self.is_told.swap(true, Ordering::AcqRel) {
            self.teller.notify_one();
        }
    }

    /// Wakes listeners when there is more, for as long as it is polled.
    pub async fn tell(&self) {
        loop {
            self.teller.notified().await;
            self.is_told.store(false, Ordering::Release);
            self.more.send_replace(());
            tokio::time::sleep(PACE).await;
        }
    }

    /// An event as listeners get it.
    pub fn written(&self, number: u64, event: Event) -> String {
        let mut text = String::new();
        (self.form.event)(&mut text, &self.tag, number, event);
        text
    }

    fn segment(&self, first: u64, events: Vec<Event>) -> Segment {
        let (mut text, mut ends) = (String::with_capacity(events.len() * 96), Vec::with_capacity(events.len()));
        for (number, event) in (first..).zip(&events) {
            (self.form.event)(&mut text, &self.tag, number, *event);
            ends.push(text.len());
        }
        Segment { first, events, text: text.into(), ends }
    }

    /// Has all that is remembered written, and gives it from this number on, some `max` events at most.
    fn view(&self, from: u64, max: usize) -> View {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, fresh) = {
            let mut fresh = self.fresh();
            let (first, next) = (fresh.first, fresh.next());
            fresh.first = next;
            (first, std::mem::take(&mut fresh.events))
        };
        // Some between were forgotten before anybody wanted them.
        if written.back().is_some_and(|last| last.next() != first) {
            written.clear();
        }
        let fresh: Vec<Event> = fresh.into();
        for (first, events) in (first..).step_by(SEGMENT).zip(fresh.chunks(SEGMENT)) {
            written.push_back(Arc::new(self.segment(first, events.to_vec())));
        }
        let next = first + fresh.len() as u64;
        let forgotten = next.saturating_sub(REMEMBERED as u64);
        while written.front().is_some_and(|oldest| oldest.next() <= forgotten) {
            written.pop_front();
        }
        let oldest = written.front().map_or(next, |oldest| oldest.first.max(forgotten));
        // A number of the future is one of an earlier process.
        // After none at all comes all that this process has told.
        let is_foreign = from > next || (from > 1 && from < self.first);
        let from = if is_foreign { oldest } else { from.max(self.first) };
        let begin = from.max(oldest);
        let end = next.min(begin.saturating_add(max as u64));
        let at = written.partition_point(|segment| segment.next() <= begin);
        let to = written.partition_point(|segment| segment.first < end);
        View { from, is_foreign, begin, end, next, segments: written.range(at..to.max(at)).cloned().collect() }
    }

    /// How many jobs came to each state in the last minutes.
    pub fn pace(&self) -> Vec<Counts> {
        self.fresh().pace.whole_steps(self.begun.elapsed())
    }

    /// The number of the next event.
    pub fn next(&self) -> u64 {
        self.fresh().next()
    }

    /// Tells when there is more.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.more.subscribe()
    }

    /// Events from this number on, `max` at most, of all jobs or of one; of one, none after its end.
    pub fn since(&self, from: u64, max: usize, only: Option<u64>) -> News {
        let view = self.view(from, max);
        let mut news = News { next: view.end, is_behind: view.end < view.next, ..News::default() };
        if view.is_foreign || view.begin > view.from {
            news.has_missed = true;
            // What an earlier process told last, nobody knows any more.
            let count = (!view.is_foreign).then(|| view.begin - view.from);
            news.pieces.push((self.form.missed)(count).into());
        }
        for segment in &view.segments {
            let places = segment.place(view.begin)..segment.place(view.end).min(segment.events.len());
            let Some(only) = only else {
                news.pieces.push(segment.text(places));
                continue;
            };
            for place in places {
                let event = &segment.events[place];
                if event.seq == only {
                    news.pieces.push(segment.text(place..place + 1));
                    if event.state.is_terminal() {
                        (news.next, news.has_ended) = (segment.first + place as u64 + 1, true);
                        return news;
                    }
                }
            }
        }
        news
    }

    /// Whether who has seen the event of this number, and all before it, knows that this job has ended: as it has, at this time.
    pub fn knows_end(&self, last: u64, seq: u64, ended_ms: i64) -> bool {
        let view = self.view(0, usize::MAX);
        // Else it is a number of another process.
        let is_own = last.saturating_add(1) >= self.first && last < view.next;
        let is_end = |event: &Event| event.seq == seq && event.state.is_terminal();
        let end = view
            .segments
            .iter()
            .rev()
            .find_map(|segment| segment.events.iter().rposition(is_end).map(|place| segment.first + place as u64));
        is_own
            && match end {
                Some(end) => last >= end,
                // It is long forgotten, unless it has only just been written down and is not told of yet.
                None => last.saturating_add(1) >= view.begin && wall_ms() - ended_ms > UNTOLD_MS,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::http::SERVER_SENT;

    fn event(seq: u64) -> Event {
        Event { seq, state: if seq == 3 { State::Failed } else { State::Queued }, at_ms: 5 }
    }

    fn text(news: &News) -> String {
        news.pieces.iter().map(|piece| std::str::from_utf8(piece).unwrap()).collect()
    }

    #[test]
    fn who_comes_back_goes_on_where_he_was_and_hears_what_he_missed() {
        let events = Events::beginning_at("abcd", 100, SERVER_SENT);
        events.publish(&[event(1), event(2), event(3)]);
        let news = events.since(101, 10, None);
        let first = "id: 101\nevent: job\ndata: {\"id\":\"abcd-2\",\"state\":\"queued\",\"at_ms\":5}\n\n";
        assert!(text(&news).starts_with(first), "{news:?}");
        assert_eq!((news.next, text(&news).matches("event: job").count(), news.is_behind), (103, 2, false));
        let one = events.since(101, 1, None);
        assert_eq!((one.next, one.is_behind, events.next(), text(&one).as_str()), (102, true, 103, first));
        let many: Vec<Event> = (10..10 + REMEMBERED as u64).map(event).collect();
        events.publish(&many);
        let news = events.since(101, 1, None);
        let begin = "event: missed\ndata: {\"count\":2}\n\nid: 103\n";
        assert!(text(&news).starts_with(begin), "{news:?}");
        assert!(text(&events.since(100, 1, None)).contains("{\"count\":3}"), "since this process began");
        assert!(text(&events.since(1, 1, None)).contains("{\"count\":3}"), "all of this process");
        for foreign in [u64::MAX, 7, 99] {
            let text = text(&events.since(foreign, 1, None));
            assert!(text.starts_with("event: missed\ndata: {\"count\":null}\n\nid: "), "of an earlier process: {text}");
        }
    }

    #[test]
    fn whatever_was_written_before_and_however_it_is_asked_for_all_events_come_once_and_in_order() {
        let events = Events::beginning_at("abcd", 0, SERVER_SENT);
        let (mut from, mut numbers) = (0, Vec::new());
        for round in 0..200_u64 {
            let some: Vec<Event> = (0..round * 7 % 600).map(|at| event(10 + at)).collect();
            events.publish(&some);
            // Others ask meanwhile, from elsewhere.
            events.since(from + round, 3, None);
            while from < events.next() {
                let news = events.since(from, 1 + (round as usize * 13) % 1500, None);
                let text = text(&news);
                numbers.extend(text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse::<u64>().ok()));
                assert!(!text.contains("missed"));
                from = news.next;
            }
        }
        assert!(numbers.len() > 2 * REMEMBERED);
        assert_eq!(numbers, (0..events.next()).collect::<Vec<_>>());
    }

    #[test]
    fn who_listens_to_one_job_hears_of_no_other_and_of_its_end_last() {
        let events = Events::beginning_at("abcd", 0, SERVER_SENT);
        events.publish(&[event(1), event(3), event(1), event(3)]);
        let news = events.since(0, 10, Some(3));
        let heard = text(&news);
        assert_eq!(
            (heard.matches("abcd-3").count(), heard.matches("abcd-1").count(), news.has_ended, news.next),
            (1, 0, true, 2)
        );
        let nothing = events.since(0, 10, Some(7));
        assert_eq!((events.since(0, 10, Some(1)).next, nothing.next, nothing.pieces), (4, 4, vec![]));
    }

    #[test]
    fn who_has_seen_the_end_of_a_job_is_known_and_who_has_not_is_not() {
        let (events, long_ago) = (Events::beginning_at("abcd", 100, SERVER_SENT), 0);
        let knows = |last, seq, ended_ms| events.knows_end(last, seq, ended_ms);
        assert!(knows(99, 8, long_ago) && !knows(98, 8, long_ago), "it has ended before this process began");
        events.publish(&[event(1), event(3), event(1)]);
        assert_eq!([100, 101, 102, 103].map(|last| knows(last, 3, long_ago)), [false, true, true, false]);
        assert!(!knows(102, 8, wall_ms()), "its end is about to be told");
        events.publish(&vec![event(1); REMEMBERED]);
        assert!(!knows(101, 3, long_ago) && knows(102, 3, long_ago), "it is forgotten");
    }

    #[test]
    fn who_tells_of_an_event_waits_for_nobody_who_is_being_told() {
        let events = Events::beginning_at("abcd", 0, SERVER_SENT);
        // As when a thousand listeners are being given what they have not seen.
        let being_told = events.written.lock().unwrap();
        std::thread::scope(|scope| {
            let telling = scope.spawn(|| events.publish(&[event(1)]));
            let until = Instant::now() + Duration::from_secs(20);
            while !telling.is_finished() && Instant::now() < until {
                std::thread::yield_now();
            }
            let has_waited = !telling.is_finished();
            drop(being_told);
            assert!(!has_waited);
        });
    }
}
