//! The page of a run: what it did when, on what, how well that was foreseen, and what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::device::DeviceId;
use crate::report::Page;
use crate::report::chart::{
    About, Axis, DataTable, Figure, Gantt, GanttSpan, Level, Point, Scatter, Series, StepChart, Unit,
};
use crate::report::figures::{bytes, counted, time, time_ms, whole};
use crate::timeline::{JobLine, Span, Timeline};

/// Jobs with the largest regret that are listed.
const WORST: usize = 10;

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
    page.section("Memory and queue");
    page.figure(&memory(timeline));
    page.figure(&queue(timeline));
    page.section("Predicted and achieved");
    page.figure(&predictions(timeline));
    regret(&mut page, timeline);
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
    for job in timeline.jobs.iter().filter(|job| job.cause.is_none()) {
        if let Some(predicted) = job.predicted_ms {
            let group = format!("{} on {}", job.kind, job.ran_on);
            groups.entry(group).or_default().push(Point::at(predicted, job.achieved_ms));
        }
    }
    let scatter = Scatter {
        about: About::new(
            "predictions",
            "Predicted against achieved",
            "Each job once: on the line it took what was predicted, above it longer. Within 30 % is shaded. Waiting is left out, and so \
             are irregular jobs, which are not predicted.",
        ),
        x: Axis::log("predicted", Unit::Ms),
        y: Axis::log("achieved", Unit::Ms),
        groups: groups.into_iter().map(|(name, points)| Series { name, points }).collect(),
        within: WITHIN,
    };
    scatter.draw()
}

fn regret(page: &mut Page, timeline: &Timeline) {
    page.section("Regret");
    let weighed = timeline.jobs.iter().filter(|job| job.predicted_ms.is_some()).count();
    let sum: f64 = timeline.jobs.iter().map(|job| job.regret_ms).sum();
    page.paragraph(
        "How much longer jobs took than the best of the other choices was predicted to take: what another choice might have saved. \
         A prediction is no measurement, so a little regret is noise.",
    );
    let achieved: f64 = timeline.jobs.iter().filter(|job| job.predicted_ms.is_some()).map(|job| job.achieved_ms).sum();
    let share = if achieved > 0.0 { Unit::Share.show(sum / achieved) } else { "-".to_owned() };
    page.facts([
        ("jobs with a prediction", whole(weighed as u64)),
        ("regret of all", time_ms(sum)),
        ("of what they took", share),
    ]);
    let mut worst: Vec<&JobLine> = timeline.jobs.iter().filter(|job| job.regret_ms > 0.0).collect();
    worst.sort_by(|a, b| b.regret_ms.total_cmp(&a.regret_ms).then(a.index.cmp(&b.index)));
    if weighed == 0 {
        return page.paragraph("Nothing was predicted, so that nothing can be held against what jobs took.");
    }
    if worst.is_empty() {
        return page.paragraph("No job took longer than another choice was predicted to take.");
    }
    let mut table = DataTable::new(["job", "kind", "ran on", "took", "predicted", "regret", "why it ran there"]);
    for job in worst.iter().take(WORST) {
        table.row([
            job.id.to_string(),
            job.kind.to_owned(),
            job.ran_on.clone(),
            time_ms(job.achieved_ms),
            job.predicted_ms.map_or_else(|| "-".to_owned(), time_ms),
            time_ms(job.regret_ms),
            job.reason.as_deref().unwrap_or("-").to_owned(),
        ]);
    }
    let rest = worst.len().saturating_sub(WORST);
    if rest > 0 {
        table.note = format!("{} more with less regret.", counted(rest as u64, "job", "jobs"));
    }
    page.table("Jobs with the largest regret", &table);
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
        let took = time_ms(job.achieved_ms);
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
    fn the_regret_of_all_is_the_sum_of_each_and_the_worst_come_first() {
        let timeline = timeline(2, 100);
        let page = run_page(&timeline, &RunAbout::default());
        let sum: f64 = timeline.jobs.iter().map(|job| job.regret_ms).sum();
        assert!(page.contains(&format!("<dt>regret of all</dt><dd>{}</dd>", time_ms(sum))));
        let worst = timeline.jobs.iter().map(|job| job.regret_ms).fold(0.0, f64::max);
        let table = &page[page.find("Jobs with the largest regret").unwrap()..];
        assert!(table.contains(&time_ms(worst)) && table.contains("reason of &lt;"));
        assert_eq!(table.matches("reason of").count(), 5);
    }

    #[test]
    fn a_failure_says_what_went_wrong() {
        let page = run_page(&timeline(2, 100), &RunAbout::default());
        assert_eq!(page.matches("<td>it ran for longer than &lt;1 s&gt;</td>").count(), 2);
    }

    #[test]
    fn where_nothing_was_predicted_nothing_is_praised() {
        let mut timeline = timeline(2, 100);
        timeline.jobs.iter_mut().for_each(|job| (job.predicted_ms, job.regret_ms) = (None, 0.0));
        let page = run_page(&timeline, &RunAbout::default());
        assert!(page.contains("Nothing was predicted") && !page.contains("No job took longer"));
        timeline.jobs[0].predicted_ms = Some(1.0);
        let page = run_page(&timeline, &RunAbout::default());
        assert!(!page.contains("Nothing was predicted") && page.contains("No job took longer"));
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
