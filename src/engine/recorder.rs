//! What a run did when, noted as it happens, where somebody wants to know: spans of work on lanes and of waiting outside them, the
//! memory that is spoken for, the jobs that wait. In bounded memory: of very many spans neighbours are joined.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::device::DeviceId;
use crate::engine::Outcome;
use crate::engine::dispatch::Ticket as LaneTicket;
use crate::timeline::{JobLine, LastPlan, Levels, Span, Timeline, Track, join_neighbours};

/// Spans that are told apart, at most.
const SPANS_MAX: usize = 1 << 21;

/// Jobs that have a line, at most, and so many again that failed.
const JOBS_MAX: usize = 1 << 21;

/// Jobs that failed of which it is kept what went wrong; of more, only why.
const MESSAGES_MAX: usize = 1000;

/// Whose time a span is: a lane of a device, or a place of those who wait outside all lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Spot {
    Lane(DeviceId, u32),
    Waiting(u32),
}

/// Takes notes of a run.
#[derive(Debug)]
pub(crate) struct Recorder {
    begun: Instant,
    spans: Mutex<Spans>,
    queue: Mutex<Levels>,
    memory: Mutex<Levels>,
    budget_bytes: Mutex<Option<u64>>,
    jobs: Mutex<Jobs>,
}

#[derive(Debug, Default)]
struct Jobs {
    lines: Vec<JobLine>,
    unlisted: u64,
    messages: usize,
    last: LastPlan,
}

#[derive(Debug, Default)]
struct Spans {
    /// In the order in which they first worked.
    spots: Vec<Spot>,
    places: HashMap<Spot, u32>,
    /// By their ends, more or less; those of a spot in order.
    spans: Vec<Span>,
    joined: Duration,
    /// Places of those who wait: how many there are, and which of them are free.
    waiting: u32,
    free: BTreeSet<u32>,
}

/// One who has a lane, or a place outside all lanes, which he gives back when he is dropped.
#[derive(Debug)]
pub(crate) struct Placed {
    recorder: Arc<Recorder>,
    spot: Spot,
}

/// A job that was submitted and has not begun, until it is dropped.
#[derive(Debug)]
pub(crate) struct Queued(Arc<Recorder>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// Begins to take notes of a run that begins now.
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            spans: Mutex::default(),
            queue: Mutex::default(),
            memory: Mutex::default(),
            budget_bytes: Mutex::default(),
            jobs: Mutex::default(),
        }
    }

    fn at(&self, when: Instant) -> Duration {
        when.saturating_duration_since(self.begun)
    }

    /// Counts a job that waits to begin.
    pub fn queue(self: &Arc<Self>) -> Queued {
        let mut queue = lock(&self.queue);
        // Under the lock, so that changes are in order.
        let (now, count) = (self.begun.elapsed(), queue.now() + 1);
        queue.set(now, count);
        Queued(self.clone())
    }

    /// Notes how much memory is spoken for, of how much.
    pub fn memory(&self, reserved: u64, limit: u64) {
        let mut memory = lock(&self.memory);
        if memory.now() != reserved {
            memory.set(self.begun.elapsed(), reserved);
        }
        // Where nobody knows what is free, nothing is held back.
        *lock(&self.budget_bytes) = (limit < u64::MAX).then_some(limit);
    }

    /// Notes jobs that have ended just now.
    pub fn ended(&self, outcomes: &[Outcome]) {
        let now = self.begun.elapsed();
        let mut jobs = lock(&self.jobs);
        for outcome in outcomes {
            jobs.note(outcome, now, JOBS_MAX);
        }
    }

    /// Who has this lane.
    pub fn on_lane(self: &Arc<Self>, lane: LaneTicket) -> Placed {
        Placed { recorder: self.clone(), spot: Spot::Lane(lane.device, lane.lane) }
    }

    /// One more who waits outside all lanes, in the first place that is free.
    pub fn outside(self: &Arc<Self>) -> Placed {
        let mut spans = lock(&self.spans);
        let place = spans.free.pop_first().unwrap_or_else(|| {
            spans.waiting += 1;
            spans.waiting - 1
        });
        drop(spans);
        Placed { recorder: self.clone(), spot: Spot::Waiting(place) }
    }

    /// Takes all that was noted so far, on an engine with so many threads.
    pub fn timeline(&self, threads: u32) -> Timeline {
        let (spots, mut spans, joined) = {
            let mut noted = lock(&self.spans);
            (noted.spots.clone(), std::mem::take(&mut noted.spans), noted.joined)
        };
        let mut shown: BTreeSet<Spot> = spots.iter().copied().collect();
        // A thread that had nothing to do is worth seeing.
        shown.extend((0..threads).map(|lane| Spot::Lane(DeviceId::Cpu, lane)));
        let shown: Vec<Spot> = shown.into_iter().collect();
        let place = |spot: &Spot| shown.binary_search(spot).unwrap_or_default() as u32;
        let places: Vec<u32> = spots.iter().map(place).collect();
        spans.iter_mut().for_each(|span| span.track = places[span.track as usize]);
        spans.sort_by_key(|span| (span.begin, span.track));
        let Jobs { lines: mut jobs, unlisted, .. } = std::mem::take(&mut *lock(&self.jobs));
        jobs.sort_by_key(|job| job.index);
        let last = spans.iter().map(|span| span.end).chain(jobs.iter().map(|job| job.ended)).max();
        let several =
            |device| shown.iter().filter(|spot| matches!(spot, Spot::Lane(on, _) if *on == device)).count() > 1;
        let track = |spot: &Spot| match *spot {
            Spot::Lane(DeviceId::Cpu, lane) => Track { name: format!("cpu {lane}"), device: Some(DeviceId::Cpu) },
            Spot::Lane(gpu, lane) if several(gpu) => Track { name: format!("{gpu} {lane}"), device: Some(gpu) },
            Spot::Lane(gpu, _) => Track { name: gpu.to_string(), device: Some(gpu) },
            Spot::Waiting(place) => Track { name: format!("waiting {}", place + 1), device: None },
        };
        Timeline {
            tracks: shown.iter().map(track).collect(),
            spans,
            jobs,
            unlisted,
            memory: lock(&self.memory).changes(),
            budget_bytes: *lock(&self.budget_bytes),
            queue: lock(&self.queue).changes(),
            makespan: last.unwrap_or_default(),
            joined,
        }
    }
}

impl Jobs {
    /// Notes the outcome of a job; where there are more than `most` lines, only one of a failure, and no more than as many again.
    fn note(&mut self, outcome: &Outcome, ended: Duration, most: usize) {
        let is_listed = self.lines.len() < most || (outcome.result.is_err() && self.lines.len() < 2 * most);
        if is_listed {
            let mut line = JobLine::of(outcome, ended, &mut self.last);
            self.messages += usize::from(line.message.is_some());
            if self.messages > MESSAGES_MAX {
                line.message = None;
            }
            self.lines.push(line);
        } else {
            self.unlisted += 1;
        }
    }
}

impl Placed {
    /// Notes what was done since `begin`: of one job, or of several from this one on.
    pub fn note(&self, begin: Instant, (job, jobs): (u64, u32), what: &'static str) {
        let recorder = &self.recorder;
        let end = Instant::now();
        let mut noted = lock(&recorder.spans);
        let noted = &mut *noted;
        let track = *noted.places.entry(self.spot).or_insert_with(|| {
            noted.spots.push(self.spot);
            noted.spots.len() as u32 - 1
        });
        noted.spans.push(Span { track, begin: recorder.at(begin), end: recorder.at(end), job, jobs, what });
        if noted.spans.len() > SPANS_MAX {
            noted.joined = join_neighbours(&mut noted.spans, SPANS_MAX / 2, noted.joined);
        }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if let Spot::Waiting(place) = self.spot {
            lock(&self.recorder.spans).free.insert(place);
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        let (now, count) = (self.0.begun.elapsed(), queue.now().saturating_sub(1));
        queue.set(now, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_take_the_first_place_that_is_free_and_share_none() {
        let recorder = Arc::new(Recorder::new());
        let lane = |lane| LaneTicket { device: DeviceId::Cpu, lane, serial: 0 };
        let (first, second) = (recorder.outside(), recorder.outside());
        let now = Instant::now();
        second.note(now, (1, 1), "wait");
        first.note(now, (0, 1), "wait");
        drop(first);
        recorder.outside().note(Instant::now(), (2, 1), "wait");
        recorder.on_lane(lane(1)).note(now, (3, 7), "batch");
        let timeline = recorder.timeline(3);
        let names: Vec<_> = timeline.tracks.iter().map(|track| track.name.as_str()).collect();
        assert_eq!(names, ["cpu 0", "cpu 1", "cpu 2", "waiting 1", "waiting 2"]);
        let on = |job| timeline.spans.iter().find(|span| span.job == job).unwrap().track;
        assert_eq!([0, 1, 2, 3].map(on), [3, 4, 3, 1]);
        assert!(timeline.spans.is_sorted_by_key(|span| span.begin));
        assert_eq!(timeline.makespan, timeline.spans.iter().map(|span| span.end).max().unwrap());
    }

    #[test]
    fn of_very_many_jobs_those_that_failed_are_listed_and_the_others_counted() {
        let mut jobs = Jobs::default();
        let (good, bad) = (crate::report::examples::succeeded(), crate::report::examples::failed());
        (0..10).for_each(|_| jobs.note(&good, Duration::ZERO, 4));
        assert_eq!((jobs.lines.len(), jobs.unlisted), (4, 6));
        (0..10).for_each(|_| jobs.note(&bad, Duration::ZERO, 4));
        assert_eq!((jobs.lines.len(), jobs.unlisted), (8, 12));
        assert_eq!(jobs.lines.iter().filter(|line| line.cause.is_some()).count(), 4);
    }

    #[test]
    fn of_very_many_failures_only_the_causes_are_kept() {
        let (mut jobs, bad) = (Jobs::default(), crate::report::examples::failed());
        (0..MESSAGES_MAX + 5).for_each(|_| jobs.note(&bad, Duration::ZERO, usize::MAX / 4));
        assert_eq!(jobs.lines.iter().filter(|line| line.message.is_some()).count(), MESSAGES_MAX);
        assert!(jobs.lines.iter().all(|line| line.cause.is_some()));
    }

    #[test]
    fn who_waits_is_counted_until_he_begins() {
        let recorder = Arc::new(Recorder::new());
        let waiting: Vec<_> = (0..5).map(|_| recorder.queue()).collect();
        assert_eq!(lock(&recorder.queue).now(), 5);
        drop(waiting);
        let queue = recorder.timeline(1).queue;
        assert_eq!(queue.iter().map(|(_, count)| *count).max(), Some(5), "{queue:?}");
        assert_eq!(queue.last().unwrap().1, 0);
    }
}
