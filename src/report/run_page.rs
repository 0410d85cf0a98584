//! The page of a run: what it did when, on what, how well that was foreseen, and what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::device::DeviceId;
use crate::report::chart::{
    About, Axis, DataTable, Figure, Gantt, GanttSpan, Level, Point, Scatter, Series, StepChart, Unit,
};
use crate::report::figures::{bytes, counted, time, time_ms, whole};
use crate::report::{Page, regret};
use crate::timeline::{JobLine, Span, Timeline};

/// Failed jobs that are listed.
const FAILED_MAX: usize = 500;

/// Within this factor a prediction counts as good.
const WITHIN: f64 = 1.3;

/// What a page says of a run beside what happened in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunAbout {
    /// Its title: `Run of jobs.jsonl`.
    pub title: String,
    /// How it came to be, in a sentence: the command, or that it was simulated.
    pub lead: String,
    /// What else is to be known: names and values, such as the machine's.
    pub facts: Vec<(String, String)>,
}

/// The page.
pub fn run_page(timeline: &Timeline, about: &RunAbout) -> String {
    let mut page = Page::new(&about.title, &about.lead);
    summary(&mut page, timeline, about);
    page.section("Who worked when");
    page.figure(&run_gantt(timeline));
    let reserves = timeline.memory.iter().any(|(_, level)| *level > 0);
    page.section(if reserves { "Memory and queue" } else { "Queue" });
    // Most jobs need next to nothing.
    if reserves {
        page.figure(&memory(timeline));
    }
    page.figure(&queue(timeline));
    page.section("Predicted and achieved");
    page.figure(&predictions(timeline));
    regret::section(&mut page, &timeline.jobs);
    failures(&mut page, &timeline.jobs);
    page.finish()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn summary(page: &mut Page, timeline: &Timeline, about: &RunAbout) {
    page.section("Summary");
    let failed = timeline.jobs.iter().filter(|job| job.cause.is_some()).count();
    let peak = timeline.memory.iter().map(|(_, level)| *level).max().unwrap_or(0);
    let budget = timeline.budget_bytes.map_or_else(String::new, |budget| format!(" of {}", bytes(budget)));
    let mut facts = vec![
        ("jobs", whole(timeline.jobs.len() as u64 + timeline.unlisted)),
        ("failed", whole(failed as u64)),
        ("took", time(timeline.makespan)),
        ("memory reserved at most", format!("{}{budget}", bytes(peak))),
    ];
    facts.extend(about.facts.iter().map(|(name, value)| (name.as_str(), value.clone())));
    page.facts(facts);
    page.table("Where the work was done", &shares(timeline));
    if timeline.unlisted > 0 {
        page.paragraph(&format!(
            "There were so many jobs that {} are only counted: what follows is of the others.",
            whole(timeline.unlisted)
        ));
    }
    if !timeline.joined.is_zero() {
        page.paragraph(&format!(
            "There was so much to note that neighbouring pieces of work shorter than {} together are shown as one.",
            time(timeline.joined)
        ));
    }
}

/// How long each device worked, and on how many jobs.
fn shares(timeline: &Timeline) -> DataTable {
    let mut busy: BTreeMap<(bool, Option<DeviceId>), (Duration, usize)> = BTreeMap::new();
    let key = |device: Option<DeviceId>| (device.is_none(), device);
    for track in &timeline.tracks {
        busy.entry(key(track.device)).or_default().1 += 1;
    }
    for span in &timeline.spans {
        if let Some(track) = timeline.tracks.get(span.track as usize) {
            busy.entry(key(track.device)).or_default().0 += span.end.saturating_sub(span.begin);
        }
    }
    let mut jobs: BTreeMap<&str, u64> = BTreeMap::new();
    timeline.jobs.iter().for_each(|job| *jobs.entry(job.ran_on.as_str()).or_default() += 1);
    let mut table = DataTable::new(["device", "jobs", "worked", "share of its time"]);
    for ((_, device), (worked, tracks)) in busy {
        let name = device.map_or_else(|| "waiting".to_owned(), |device| device.to_string());
        let share = ms(worked) / (ms(timeline.makespan) * tracks as f64);
        let count = jobs.remove(name.as_str()).map_or_else(|| "-".to_owned(), whole);
        let name = if tracks > 1 { format!("{name}, {tracks} at once") } else { name };
        table.row([name, count, time(worked), Unit::Share.show(share)]);
    }
    for (name, count) in jobs {
        let name = match name {
            "none" => "nowhere: they did not begin",
            other => other,
        };
        table.row([name.to_owned(), whole(count), "-".to_owned(), "-".to_owned()]);
    }
    table
}

/// The Gantt chart of a run, coloured by the kinds of its jobs.
pub fn run_gantt(timeline: &Timeline) -> Figure {
    let mut kinds: Vec<&str> = Vec::new();
    let kind = |span: &Span| timeline.job(span.job).map_or("other", |job| job.kind);
    for span in &timeline.spans {
        let kind = kind(span);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let category = |span: &Span| {
        let kind = kind(span);
        kinds.iter().position(|known| *known == kind).unwrap_or(0)
    };
    let spans = || -> Box<dyn Iterator<Item = GanttSpan> + '_> {
        Box::new(timeline.spans.iter().map(|span| GanttSpan {
            track: span.track as usize,
            begin_ms: ms(span.begin),
            end_ms: ms(span.end),
            category: category(span),
        }))
    };
    let tip = |at: usize| {
        let span = &timeline.spans[at];
        let id = timeline.job(span.job).map_or("", |job| &*job.id);
        let took = time(span.end.saturating_sub(span.begin));
        match span.jobs {
            1 => format!("{id}: {} {took}", span.what),
            jobs => format!("{}, {id} the first: {} {took}", counted(u64::from(jobs), "job", "jobs"), span.what),
        }
    };
    let gantt = Gantt {
        about: About::new(
            "gantt",
            "Devices and workers",
            "A row for each who worked: a thread of the CPU, a GPU, a place to wait. Colours and hatching are kinds of jobs; where a \
             row holds more than can be told apart, a stronger colour is more work.",
        ),
        tracks: timeline.tracks.iter().map(|track| track.name.clone()).collect(),
        categories: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        spans: &spans,
        tip: &tip,
        end_ms: ms(timeline.makespan),
    };
    gantt.draw()
}

fn level(name: &str, changes: &[(Duration, u64)]) -> Vec<Level> {
    vec![Level { name: name.to_owned(), changes: changes.iter().map(|(at, level)| (ms(*at), *level as f64)).collect() }]
}

fn memory(timeline: &Timeline) -> Figure {
    let peak = timeline.memory.iter().map(|(_, level)| *level).max().unwrap_or(0);
    let of_budget = timeline.budget_bytes.map_or_else(String::new, |budget| {
        let share = Unit::Share.show(peak as f64 / budget.max(1) as f64);
        format!(" They may take {}; at most {}, {share} of it, were reserved.", bytes(budget), bytes(peak))
    });
    let chart = StepChart {
        about: About::new(
            "memory",
            "Memory reserved by jobs",
            format!(
                "What jobs had reserved of the memory that they may take together; small jobs reserve none.{of_budget}"
            ),
        ),
        label: "memory".to_owned(),
        unit: Unit::Bytes,
        levels: level("reserved", &timeline.memory),
        limit: timeline.budget_bytes.map(|budget| ("budget".to_owned(), budget as f64)),
        end_ms: ms(timeline.makespan),
    };
    chart.draw()
}

fn queue(timeline: &Timeline) -> Figure {
    let chart = StepChart {
        about: About::new(
            "queue",
            "Jobs that waited to begin",
            "Jobs that had been read and had not begun. No more than some thousands are read ahead.",
        ),
        label: "jobs".to_owned(),
        unit: Unit::Count,
        levels: level("waiting", &timeline.queue),
        limit: None,
        end_ms: ms(timeline.makespan),
    };
    chart.draw()
}

fn predictions(timeline: &Timeline) -> Figure {
    let mut groups: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for job in &timeline.jobs {
        let Some(foreseen) = &job.foreseen else { continue };
        // Of a split, waiting is told apart nowhere.
        let (predicted_ms, achieved_ms) = match (foreseen.run_ms, job.own_ms) {
            (Some(run_ms), Some(own_ms)) => (run_ms, own_ms),
            (None, _) if job.ran_on == "split" => (foreseen.end_ms, job.since_plan_ms),
            _ => continue,
        };
        let group = format!("{} on {}", job.kind, job.ran_on);
        groups.entry(group).or_default().push(Point::at(predicted_ms, achieved_ms));
    }
    let scatter = Scatter {
        about: About::new(
            "predictions",
            "Predicted against achieved",
            "Each job once: on the line it took what was predicted, above it longer. Within 30 % is shaded. What counts is the time with its \
             lanes to itself: neither waiting nor what other jobs did on them meanwhile; of a split, all from its plan to its end. Left out \
             are irregular jobs, which are not predicted, and jobs with which other devices helped.",
        ),
        x: Axis::log("predicted", Unit::Ms),
        y: Axis::log("achieved", Unit::Ms),
        groups: groups.into_iter().map(|(name, points)| Series { name, points }).collect(),
        within: WITHIN,
    };
    scatter.draw()
}

fn failures(page: &mut Page, jobs: &[JobLine]) {
    page.section("Failures");
    let failed: Vec<(&JobLine, &str)> = jobs.iter().filter_map(|job| Some((job, job.cause?))).collect();
    if failed.is_empty() {
        return page.paragraph("No job failed.");
    }
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    failed.iter().for_each(|(_, cause)| *causes.entry(cause).or_default() += 1);
    let mut table = DataTable::new(["cause", "jobs"]);
    causes.iter().for_each(|(cause, count)| table.row([(*cause).to_owned(), whole(*count)]));
    page.table("Causes", &table);
    let mut table = DataTable::new(["job", "kind", "cause", "ran on", "took", "waited", "what went wrong"]);
    for (job, cause) in failed.iter().take(FAILED_MAX) {
        let took = time_ms(job.took_ms);
        table.row([
            job.id.to_string(),
            job.kind.to_owned(),
            (*cause).to_owned(),
            job.ran_on.clone(),
            took,
            time(job.queued),
            job.message.as_deref().unwrap_or("the results say it").to_owned(),
        ]);
    }
    let rest = failed.len().saturating_sub(FAILED_MAX);
    if rest > 0 {
        table.note = format!("{} more failed: the results have all of them.", counted(rest as u64, "job", "jobs"));
    }
    page.table("Jobs that failed", &table);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::timeline;

    #[test]
    fn a_page_of_a_run_has_every_part_and_escapes_ids() {
        let about = RunAbout { title: "Run of <x>".to_owned(), lead: "&".to_owned(), facts: Vec::new() };
        let page = run_page(&timeline(2, 100), &about);
        for part in ["Summary", "Who worked when", "Memory and queue", "Predicted and achieved", "Regret", "Failures"] {
            assert!(page.contains(&format!("<h2>{part}</h2>")), "{part}");
        }
        for figure in ["gantt", "memory", "queue", "predictions"] {
            assert!(page.contains(&format!("<figure id=\"{figure}\">")), "{figure}");
        }
        assert!(!page.contains("<x>") && !page.contains("job <"), "ids are escaped");
        assert_eq!(page.matches("<tr><th scope=\"row\">job &lt;49&gt; &amp; &quot;more&quot;</th>").count(), 1);
        assert!(!page.contains("nothing was "));
    }

    #[test]
    fn a_run_of_nothing_has_a_page_too() {
        let page = run_page(&Timeline::default(), &RunAbout::default());
        assert!(page.contains("No job failed.") && page.contains("nothing was recorded"));
    }

    #[test]
    fn a_large_run_makes_a_small_page() {
        let page = run_page(&timeline(64, 200_000), &RunAbout::default());
        assert!(page.len() < 2_000_000, "{}", page.len());
    }

    #[test]
    fn a_failure_says_what_went_wrong() {
        let page = run_page(&timeline(2, 100), &RunAbout::default());
        assert_eq!(page.matches("<td>it ran for longer than &lt;1 s&gt;</td>").count(), 2);
    }

    #[test]
    fn where_no_job_reserved_memory_there_is_no_empty_picture_of_it() {
        let mut timeline = timeline(2, 100);
        timeline.memory.iter_mut().for_each(|(_, level)| *level = 0);
        let page = run_page(&timeline, &RunAbout::default());
        assert!(!page.contains("<figure id=\"memory\">") && page.contains("<h2>Queue</h2>"));
    }

    #[test]
    fn predictions_are_drawn_beside_what_jobs_took_of_their_own_lanes() {
        let mut timeline = timeline(1, 2);
        timeline.jobs.truncate(1);
        // It waited for the others for most of its time.
        timeline.jobs[0].own_ms = Some(7.0);
        timeline.jobs[0].since_plan_ms = 999.0;
        let drawn = predictions(&timeline).svg();
        assert!(drawn.contains("7.00 ms") && !drawn.contains("999 ms"), "{drawn}");
        timeline.jobs[0].own_ms = None;
        let helped = predictions(&timeline).svg();
        assert!(!helped.contains("7.00 ms"), "{helped}");
    }

    #[test]
    fn memory_is_drawn_to_the_scale_of_what_was_reserved_and_the_budget_is_told() {
        // At most 2 GiB.
        let mut timeline = timeline(2, 100);
        timeline.budget_bytes = Some(3 << 30);
        let near = memory(&timeline).svg();
        assert!(
            near.contains("class=\"limit\"") && near.contains("They may take 3.00 GiB; at most 2.00 GiB, 66.7 % of it"),
            "{near}"
        );
        timeline.budget_bytes = Some(300 << 30);
        let far = memory(&timeline).svg();
        assert!(
            !far.contains("class=\"limit\"") && far.contains("They may take 300 GiB; at most 2.00 GiB, 0.667 % of it"),
            "{far}"
        );
    }
}
