//! A run as a trace in Chrome's format (<https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>), which
//! Perfetto (<https://ui.perfetto.dev>) and `chrome://tracing` open.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use crate::timeline::{JobLine, Span, Timeline};

/// Jobs whose waiting is shown one by one; of more, those that waited longest.
pub const QUEUED_MAX: usize = 50_000;

/// Every event is of this process.
const PID: u64 = 1;

/// Writes a run as a trace: a thread for each track, complete events for what was done there, asynchronous events for jobs that
/// waited, counters for memory and queue. Times are in microseconds from the begin of the run, to a nanosecond.
///
/// # Errors
/// Those of `out`.
pub fn write_trace(timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
    let mut events = Events { out, first: true };
    events.out.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")?;
    events.metadata("process_name", 0, json!({"name": "tandem"}))?;
    for (tid, track) in (1..).zip(&timeline.tracks) {
        events.metadata("thread_name", tid, json!({"name": track.name}))?;
        events.metadata("thread_sort_index", tid, json!({"sort_index": tid}))?;
    }
    for span in &timeline.spans {
        events.span(timeline, span)?;
    }
    let shown = longest_waiting(&timeline.jobs);
    for job in &shown {
        events.queued(job)?;
    }
    for (at, bytes) in &timeline.memory {
        events.counter("memory", "bytes", *at, *bytes)?;
    }
    for (at, jobs) in &timeline.queue {
        events.counter("queue", "jobs", *at, *jobs)?;
    }
    let other = json!({
        "jobs": timeline.jobs.len() as u64 + timeline.unlisted,
        "jobs_whose_waiting_is_shown": shown.len(),
        "memory_budget_bytes": timeline.budget_bytes,
        "spans_joined_within_us": us(timeline.joined),
    });
    write!(events.out, "\n],\"otherData\":{other}}}\n")
}

/// Microseconds, exact to the nanosecond.
fn us(time: Duration) -> serde_json::Number {
    let ns = time.as_nanos();
    let text = match ns % 1000 {
        0 => (ns / 1000).to_string(),
        rest => format!("{}.{rest:03}", ns / 1000),
    };
    // A `f64` is exact for centuries of whole microseconds, and shows the digits that it was made of for months of thousandths.
    text.parse::<u64>().map_or_else(
        |_| serde_json::Number::from_f64(text.parse().unwrap_or(0.0)).unwrap_or_else(|| 0.into()),
        Into::into,
    )
}

/// The jobs that waited at all, in their order; of very many those that waited longest.
fn longest_waiting(jobs: &[JobLine]) -> Vec<&JobLine> {
    let mut waited: Vec<&JobLine> = jobs.iter().collect();
    if waited.len() > QUEUED_MAX {
        waited.select_nth_unstable_by(QUEUED_MAX, |a, b| b.queued.cmp(&a.queued).then(a.index.cmp(&b.index)));
        waited.truncate(QUEUED_MAX);
        waited.sort_unstable_by_key(|job| job.index);
    }
    waited
}

struct Events<'a> {
    out: &'a mut dyn Write,
    first: bool,
}

impl Events<'_> {
    fn event(&mut self, event: &Value) -> io::Result<()> {
        if !std::mem::replace(&mut self.first, false) {
            self.out.write_all(b",\n")?;
        }
        serde_json::to_writer(&mut *self.out, event).map_err(io::Error::from)
    }

    fn metadata(&mut self, name: &str, tid: u64, args: Value) -> io::Result<()> {
        self.event(&json!({"ph": "M", "name": name, "pid": PID, "tid": tid, "args": args}))
    }

    fn span(&mut self, timeline: &Timeline, span: &Span) -> io::Result<()> {
        let job = timeline.job(span.job);
        let id = job.map_or("", |job| &*job.id);
        let name = if span.jobs == 1 { id.to_owned() } else { format!("{} jobs", span.jobs) };
        self.event(&json!({
            "ph": "X",
            "name": if name.is_empty() { span.what } else { &name },
            "cat": span.what,
            "pid": PID,
            "tid": span.track + 1,
            "ts": us(span.begin),
            "dur": us(span.end.saturating_sub(span.begin)),
            "args": {
                "kind": job.map_or("", |job| job.kind),
                "what": span.what,
                "job": span.job,
                "id": id,
                "jobs": span.jobs,
            },
        }))
    }

    /// A job from its submission until nothing was left of its waiting, as if it had waited first and then run.
    fn queued(&mut self, job: &JobLine) -> io::Result<()> {
        let end = job.submitted + job.queued;
        self.event(&json!({
            "ph": "b",
            "name": "queued",
            "cat": "queued",
            "id": job.index,
            "pid": PID,
            "ts": us(job.submitted),
            "args": {"id": &*job.id, "kind": job.kind, "ran_on": job.ran_on, "cause": job.cause},
        }))?;
        self.event(&json!({"ph": "e", "name": "queued", "cat": "queued", "id": job.index, "pid": PID, "ts": us(end)}))
    }

    fn counter(&mut self, name: &str, unit: &str, at: Duration, value: u64) -> io::Result<()> {
        self.event(&json!({"ph": "C", "name": name, "pid": PID, "ts": us(at), "args": {unit: value}}))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::report::examples::timeline;

    fn events(timeline: &Timeline) -> Vec<Value> {
        let mut out = Vec::new();
        write_trace(timeline, &mut out).unwrap();
        let trace: Value = serde_json::from_slice(&out).unwrap();
        trace["traceEvents"].as_array().unwrap().clone()
    }

    /// What is wrong with the events, if anything: spans of a thread that overlap, threads without a name, waiting without an end.
    fn wrong(events: &[Value]) -> Option<String> {
        let mut named = BTreeSet::new();
        let mut threads: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
        let mut open = BTreeMap::new();
        for event in events {
            let ts = event["ts"].as_f64();
            match event["ph"].as_str()? {
                "M" => _ = named.insert(event["tid"].as_u64()?),
                "X" => threads.entry(event["tid"].as_u64()?).or_default().push((ts?, ts? + event["dur"].as_f64()?)),
                "b" => _ = open.insert(event["id"].as_u64()?, ts?),
                "e" => match open.remove(&event["id"].as_u64()?) {
                    Some(begin) if begin <= ts? => {}
                    other => return Some(format!("{event} ends what began at {other:?}")),
                },
                "C" => {}
                other => return Some(format!("an event of kind {other}")),
            }
        }
        if !open.is_empty() {
            return Some(format!("{open:?} have no end"));
        }
        for (tid, mut spans) in threads {
            if !named.contains(&tid) {
                return Some(format!("thread {tid} has no name"));
            }
            spans.sort_by(|a, b| a.0.total_cmp(&b.0));
            if let Some(pair) = spans.windows(2).find(|pair| pair[0].1 > pair[1].0 + 1e-6) {
                return Some(format!("{pair:?} overlap on thread {tid}"));
            }
        }
        None
    }

    #[test]
    fn a_trace_has_every_span_and_every_job_and_no_two_spans_of_a_thread_overlap() {
        let timeline = timeline(3, 200);
        let events = events(&timeline);
        assert_eq!(wrong(&events), None);
        let count = |ph: &str| events.iter().filter(|event| event["ph"] == ph).count();
        assert_eq!(count("X"), timeline.spans.len());
        assert_eq!((count("b"), count("e")), (timeline.jobs.len(), timeline.jobs.len()));
        assert_eq!(count("C"), timeline.memory.len() + timeline.queue.len());
        let ids: BTreeSet<_> = events.iter().filter_map(|event| event["args"]["id"].as_str()).collect();
        assert!(timeline.jobs.iter().all(|job| ids.contains(&*job.id)));
    }

    #[test]
    fn the_check_notices_what_is_wrong() {
        let mut overlaps = timeline(3, 20);
        overlaps.spans[1].track = overlaps.spans[0].track;
        overlaps.spans[1].begin = overlaps.spans[0].begin;
        assert!(wrong(&events(&overlaps)).unwrap().contains("overlap"));
        let mut nameless = timeline(3, 20);
        nameless.tracks.clear();
        assert!(wrong(&events(&nameless)).unwrap().contains("has no name"));
    }

    #[test]
    fn of_very_many_jobs_those_are_shown_that_waited_longest() {
        let timeline = timeline(3, QUEUED_MAX + 100);
        let events = events(&timeline);
        assert_eq!(wrong(&events), None);
        assert_eq!(events.iter().filter(|event| event["ph"] == "b").count(), QUEUED_MAX);
        let mut waits: Vec<_> = timeline.jobs.iter().map(|job| job.queued).collect();
        waits.sort_unstable();
        let least = waits[100];
        let shown: BTreeSet<_> =
            events.iter().filter(|event| event["ph"] == "b").filter_map(|event| event["id"].as_u64()).collect();
        assert!(timeline.jobs.iter().all(|job| job.queued <= least || shown.contains(&job.index)));
    }

    #[test]
    fn times_are_exact_to_the_nanosecond() {
        for (ns, expected) in [(0, "0"), (1, "0.001"), (1_500, "1.5"), (86_400_000_000_001, "86400000000.001")] {
            assert_eq!(us(Duration::from_nanos(ns)).to_string(), expected);
        }
    }
}
