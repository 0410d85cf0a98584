//! A benchmark as one page that needs nothing else: what to use, time against size, where the time goes, and how close to the
//! device's ceiling.

use crate::bench::{BreakEven, Cell, Comparison, Report, Row, Run, Standing, ToldApart, Verdict};
use crate::report::Page;
use crate::report::bench::charts::{places, series_name};
use crate::report::bench::comparison::{HEAD, cells, machine_lines, outcome};
use crate::report::bench::files::regret_words;
use crate::report::bench::guide::{Grid, TIE};
use crate::report::bench::machine::at_best;
use crate::report::bench::rows::{bound_name, time_cells};
use crate::report::bench::{place_name, unit_line, use_line, verdict_lines, why_line};
use crate::report::chart::{
    About, Achieved, Axis, Band, BarChart, Ceiling, DataTable, LineChart, Point, Roofline, Series, StackedBars, Unit,
};
use crate::report::figures::{counted, time_ms, whole};

/// A part of a run's time: its name, and how long it took in milliseconds.
type Part = (&'static str, fn(&Run) -> f64);

/// The parts, in their order.
const PARTS: [Part; 5] = [
    ("waiting", |run| run.waiting_ms),
    ("set-up", |run| run.setup_ms),
    ("upload", |run| run.upload_ms),
    ("compute", |run| run.compute_ms),
    ("read-back", |run| run.readback_ms),
];

/// The whole page; with a comparison, that comes first.
pub fn bench_html(report: &Report, comparison: Option<(&Comparison, f64)>) -> String {
    let lead = "Which device to use at which size, and why: measured on one thread, all threads, GPUs and all of them together.";
    let mut page = Page::new("tandem bench", lead);
    if let Some((found, max_regression)) = comparison {
        compared(&mut page, report, found, max_regression);
    }
    page.section("What to use");
    guide(&mut page, report);
    for file in &report.files {
        page.paragraph(&format!("{}, {}: {}", file.file, counted(file.jobs, "job", "jobs"), regret_words(file)));
    }
    machine(&mut page, report);
    for (number, verdict) in report.verdicts.iter().enumerate() {
        let is_its = |row: &&Row| row.kind == verdict.kind && row.variant == verdict.variant;
        let rows: Vec<Row> = report.rows.iter().filter(is_its).cloned().collect();
        page.section(&format!("{} {}", verdict.kind, verdict.variant));
        variant(&mut page, report, verdict, &rows, number);
    }
    if !report.rows.is_empty() {
        ceilings(&mut page, report);
    }
    for (number, file) in report.files.iter().enumerate() {
        page.section(&file.file);
        let about = About::new(
            &format!("file-{number}"),
            format!("Makespan of {}", file.file),
            "How long all of its jobs took, by where they were made to run, medians with their intervals; auto leaves that to tandem. \
             Shorter is faster.",
        );
        let bars = file.runs.iter().map(|run| (run.mode.to_string(), run.median_ms)).collect();
        // A single run has no interval.
        let is_known = file.runs.iter().all(|run| run.runs_ms.len() > 1);
        let intervals = file.runs.iter().filter(|_| is_known).map(|run| (run.low_ms, run.high_ms)).collect();
        page.figure(&BarChart { about, label: "makespan".to_owned(), unit: Unit::Ms, bars, intervals }.draw());
    }
    page.finish()
}

/// All variants over sizes, and for each which place to use, and why.
fn guide(page: &mut Page, report: &Report) {
    let (verdicts, devices) = (&report.verdicts, &report.machine.devices);
    if let Some(grid) = Grid::of(verdicts, devices) {
        let mut table = DataTable::new(grid.head);
        grid.rows.into_iter().for_each(|row| table.row(row));
        table.note = format!("{TIE}.");
        page.table("The place to use, by size in units", &table);
    }
    if verdicts.is_empty() {
        return;
    }
    let mut table = DataTable::new(["variant", "use", "why"]);
    for verdict in verdicts {
        let about = format!("{} {}", verdict.kind, verdict.variant);
        table.row([about, use_line(verdict, devices), why_line(verdict, devices).unwrap_or_default()]);
    }
    page.table("Which place to use, and why", &table);
}

fn machine(page: &mut Page, report: &Report) {
    page.section("Machine");
    let built = if report.optimised { "" } else { ", built without optimisation" };
    page.facts([
        ("tandem", format!("{}{built}", report.tandem)),
        ("system", format!("{} {}", report.machine.os, report.machine.arch)),
        ("threads", whole(u64::from(report.machine.threads))),
    ]);
    let mut table = DataTable::new(["device", "what", "kind", "driver", "at best"]);
    for device in &report.machine.devices {
        let its = report.ceilings.iter().filter(|ceiling| ceiling.place.device().to_string() == device.device);
        let its: Vec<String> = its.map(|ceiling| format!("{}: {}", ceiling.place, at_best(ceiling))).collect();
        let software = if device.software { ": shaders run on the CPU's own cores" } else { "" };
        table.row([
            device.device.clone(),
            device.name.clone(),
            format!("{}{software}", device.kind),
            device.driver.clone(),
            its.join("; "),
        ]);
    }
    page.table("Devices, and what each can do at best by a probe in the same run", &table);
    if let Some(why) = &report.machine.no_gpu {
        why.lines().filter(|line| !line.trim().is_empty()).for_each(|line| page.paragraph(line));
    }
}

fn variant(page: &mut Page, report: &Report, verdict: &Verdict, rows: &[Row], number: usize) {
    let devices = &report.machine.devices;
    let name = format!("{} {}", verdict.kind, verdict.variant);
    page.paragraph(&format!("Use {}.", use_line(verdict, devices)));
    unit_line(verdict).iter().for_each(|line| page.paragraph(&format!("{line}.")));
    verdict_lines(verdict, devices).iter().for_each(|line| page.paragraph(&format!("{line}.")));
    if rows.len() > 1 {
        let series = places(rows).into_iter().map(|place| Series {
            name: series_name(rows, place, devices),
            points: rows
                .iter()
                .filter_map(|row| {
                    let cell = row.cell(place)?;
                    let interval = Some((cell.low_ms, cell.high_ms));
                    Some(Point { x: row.units as f64, y: cell.median_ms, interval })
                })
                .collect(),
        });
        let bands = bands(verdict);
        let shaded = if bands.is_empty() {
            ""
        } else {
            " A band is where two cannot be told apart, a line where one overtakes the other."
        };
        let chart = LineChart {
            about: About::new(
                &format!("time-{number}"),
                format!("{name}: time against size"),
                format!("Medians with their intervals; lower is faster.{shaded}"),
            ),
            x: Axis::log("units", Unit::Count),
            y: Axis::log("time", Unit::Ms),
            series: series.collect(),
            bands,
        };
        page.figure(&chart.draw());
    }
    if let Some(largest) = rows.last() {
        let chart = StackedBars {
            about: About::new(
                &format!("phases-{number}"),
                format!("{name}: where the time goes, {}", size_words(verdict, largest.units)),
                "The median of a run, in the shares of the medians of its parts: these alone need not add up to it. The first run, which also \
                 opens the device and compiles shaders, is not among them.",
            ),
            label: "time".to_owned(),
            unit: Unit::Ms,
            parts: PARTS.iter().map(|(name, _)| (*name).to_owned()).collect(),
            rows: largest.cells.iter().map(|cell| (place_name(cell, devices), parts(cell))).collect(),
        };
        page.figure(&chart.draw());
    }
    let mut table = DataTable::new([
        "units",
        "where",
        "median",
        "+-",
        "units/s",
        "to cpu",
        "to one thread",
        "of its ceiling",
        "runs",
        "first run",
        "note",
    ]);
    for row in rows {
        for (at, cell) in row.cells.iter().enumerate() {
            let (cells, notes) = time_cells(row, at, devices);
            table.row(cells.into_iter().chain([time_ms(cell.cold.ms), notes]));
        }
    }
    page.table(&format!("{name}: every time"), &table);
}

/// How large a row is, in words.
fn size_words(verdict: &Verdict, units: u64) -> String {
    if verdict.choice.is_of_jobs {
        format!("{} at once", counted(units, "job", "jobs"))
    } else {
        counted(units, "unit", "units")
    }
}

/// How long each part of a run took in milliseconds, in the shares of their medians, together the median of the whole.
fn parts(cell: &Cell) -> Vec<f64> {
    let medians: Vec<f64> = PARTS.iter().map(|(_, part)| cell.phase_ms(part)).collect();
    let sum: f64 = medians.iter().sum();
    if sum > 0.0 { medians.into_iter().map(|ms| ms / sum * cell.median_ms).collect() } else { medians }
}

/// What the sentences name: between which sizes two cannot be told apart, and where that is known to a size, it.
fn bands(verdict: &Verdict) -> Vec<Band> {
    let threads = verdict.parallel.iter().map(|found| {
        let who = format!("{} threads", found.threads);
        (found.standing(), format!("{who} overtake one"), format!("unclear: {who} or one"))
    });
    let others = verdict.challenges.iter().map(|found| {
        let who = found.place;
        (found.standing(), format!("{who} overtakes the CPU"), format!("unclear: {who} or the CPU"))
    });
    let band = |(found, overtakes, unclear): (Standing, String, String)| {
        let (from, to, label) = match (found.told_apart, found.break_even, found.band_units) {
            (ToldApart::Never, ..) => return None,
            (_, _, Some((low, high))) if low < high => (low, high, unclear),
            (ToldApart::Largest, BreakEven::From(units), _) => (units, units, overtakes),
            _ => return None,
        };
        Some(Band { from: from as f64, to: to as f64, label })
    };
    threads.chain(others).filter_map(band).collect()
}

/// The largest size of each variant.
fn largest(report: &Report) -> impl Iterator<Item = &Row> {
    report.verdicts.iter().filter_map(|verdict| {
        let is_its = |row: &&Row| row.kind == verdict.kind && row.variant == verdict.variant;
        report.rows.iter().rfind(is_its)
    })
}

fn ceilings(page: &mut Page, report: &Report) {
    page.section("Against what the devices can do");
    let known: Vec<(&crate::bench::Ceiling, Ceiling)> = report
        .ceilings
        .iter()
        .filter_map(|ceiling| {
            let (bytes_per_s, ops_per_s) = (ceiling.read_bytes_per_s?, ceiling.operations_per_s?);
            let name = series_name(&report.rows, ceiling.place, &report.machine.devices);
            Some((ceiling, Ceiling { name, bytes_per_s, ops_per_s }))
        })
        .collect();
    let points = largest(report).flat_map(|row| {
        row.cells.iter().filter_map(|cell| {
            let at = known.iter().position(|(ceiling, _)| ceiling.place == cell.place)?;
            Some(Achieved {
                name: format!("{} {}", row.kind, row.variant),
                ceiling: at,
                ops_per_byte: cell.limit?.operations_per_byte?,
                ops_per_s: row.operations? / cell.median_ms * 1e3,
            })
        })
    });
    let points: Vec<Achieved> = points.collect();
    if !points.is_empty() {
        let chart = Roofline {
            about: About::new(
                "roofline",
                "Roofline",
                "Integer operations a second against how many there are for a byte of input, at the largest size of each variant whose \
                 kind counts its operations and has input.",
            ),
            operations: "multiply-adds of 64 bits".to_owned(),
            ceilings: known.iter().map(|(_, ceiling)| ceiling.clone()).collect(),
            points,
        };
        page.figure(&chart.draw());
    }
    let shares = largest(report).flat_map(|row| {
        let bars = row.cells.iter().filter_map(|cell| {
            let limit = cell.limit?;
            let bound = bound_name(limit.bound);
            let place = place_name(cell, &report.machine.devices);
            Some((format!("{} {}, {place}: {bound}", row.kind, row.variant), limit.share))
        });
        bars.collect::<Vec<_>>()
    });
    let about = About::new(
        "ceiling",
        "Share of the ceiling",
        "The time at best, by the slower of reading and computing and by the upload before it, as a share of the time that was taken: \
         the largest size of each variant. Above 100 % where data fits a cache, or vector units do several operations at once.",
    );
    let chart =
        BarChart { about, label: "share".to_owned(), unit: Unit::Share, bars: shares.collect(), intervals: Vec::new() };
    page.figure(&chart.draw());
}

fn compared(page: &mut Page, report: &Report, found: &Comparison, max_regression: f64) {
    page.section("Against the baseline");
    page.paragraph(&outcome(found, max_regression));
    for line in machine_lines(found) {
        page.paragraph(&line);
    }
    let mut table = DataTable::new(HEAD);
    found.compared.iter().for_each(|row| table.row(cells(row, &report.machine.devices)));
    page.table("Every time of both", &table);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Bound, Limit, examples};

    #[test]
    fn a_page_has_its_charts_and_text_from_outside_is_no_markup() {
        let mut report = examples::report();
        report.rows[1].operations = Some(1e8);
        report.rows[1].cells[2].limit = Some(Limit {
            bound: Bound::Operations,
            share: 0.4,
            operations_per_byte: Some(25.0),
            used: Default::default(),
        });
        report.files[0].file = "<script>".to_owned();
        let comparison = Comparison::of(&report, &report, 0.1).unwrap();
        let page = bench_html(&report, Some((&comparison, 0.1)));
        for needed in [
            "time-0",
            "phases-0",
            "roofline",
            "ceiling",
            "file-0",
            "gpu:0 from there",
            "unclear: gpu:0 or the CPU",
            "A band is where",
            "Against the baseline",
        ] {
            assert!(page.contains(needed), "{needed}");
        }
        assert!(!page.contains("<script") && page.contains("A &lt;GPU&gt; &amp; co") || page.contains("A &lt;GPU"));
        assert_eq!(page.matches("<svg").count(), 5);
    }

    #[test]
    fn a_chart_says_nothing_of_bands_that_it_has_not_and_every_line_of_why_there_is_no_gpu_is_one() {
        let mut report = examples::report();
        for row in &mut report.rows {
            row.cells.retain(|cell| cell.place.is_cpu());
        }
        report.verdicts = vec![Verdict::of(&report.rows, &report.machine.devices).unwrap()];
        report.machine.no_gpu = Some("there is no gpu:\n  - no driver\n".to_owned());
        let page = bench_html(&report, None);
        assert!(!page.contains("A band is") && !page.contains("class=\"band\""));
        assert!(page.contains("<p>there is no gpu:</p>\n<p>  - no driver</p>"));
    }

    #[test]
    fn a_report_of_job_files_alone_is_a_page_too() {
        let mut report = examples::report();
        report.rows.clear();
        report.verdicts.clear();
        let page = bench_html(&report, None);
        assert!(page.contains("file-0") && !page.contains("roofline") && page.contains("class=\"whisker\""));
    }

    #[test]
    fn the_parts_of_a_bar_add_up_to_the_median_that_the_table_shows() {
        let run = |upload_ms: f64, compute_ms: f64| Run {
            ms: upload_ms + compute_ms,
            upload_ms,
            compute_ms,
            ..Run::default()
        };
        // The medians of the parts are 1 and 1, and that of the whole is 9.
        let runs = vec![run(1.0, 8.0), run(8.0, 1.0), run(1.0, 1.0), run(9.0, 1.0), run(1.0, 9.0)];
        let cell = Cell::new(crate::bench::Place::Gpu(0), 1, runs[0], runs.clone());
        assert_eq!((cell.phase_ms(|run| run.upload_ms), cell.median_ms), (1.0, 9.0));
        let parts = parts(&cell);
        assert!((parts.iter().sum::<f64>() - 9.0).abs() < 1e-12 && parts[2] == parts[3], "{parts:?}");
    }
}
