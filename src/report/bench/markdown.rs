//! A benchmark as Markdown, ready for a pull request.

use std::fmt::Write;

use crate::bench::{Comparison, Report, Row};
use crate::report::bench::comparison::{HEAD, cells, machine_lines, outcome};
use crate::report::bench::files::regret_words;
use crate::report::bench::guide::{Grid, TIE};
use crate::report::bench::machine::at_best;
use crate::report::bench::rows::time_cells;
use crate::report::bench::{unit_line, use_line, verdict_lines, why_line};
use crate::report::figures::{counted, time_ms};
use crate::report::visible;

/// What was found, first: what to use for each variant, then the tables. With a comparison, that comes before all.
pub fn bench_markdown(report: &Report, comparison: Option<(&Comparison, f64)>) -> String {
    let mut text = "# tandem bench\n\n".to_owned();
    if let Some((found, max_regression)) = comparison {
        compared(&mut text, report, found, max_regression);
    }
    guide(&mut text, report);
    for file in &report.files {
        let _ = writeln!(text, "- {}, {}: {}", safe(&file.file), counted(file.jobs, "job", "jobs"), regret_words(file));
    }
    text += "\n## Machine\n\n| device | what | driver | at best |\n|---|---|---|---|\n";
    for device in &report.machine.devices {
        let ceilings = report.ceilings.iter().filter(|ceiling| {
            ceiling.place.to_string() == device.device || (device.device == "cpu" && ceiling.place.is_cpu())
        });
        let ceilings: Vec<String> =
            ceilings.map(|ceiling| format!("{}: {}", ceiling.place, at_best(ceiling))).collect();
        let software = if device.software { ", **software**" } else { "" };
        let (name, driver) = (safe(&device.name), safe(&device.driver));
        let _ = writeln!(
            text,
            "| {} | {name} ({}{software}) | {driver} | {} |",
            device.device,
            device.kind,
            ceilings.join("; ")
        );
    }
    let built = if report.optimised { "" } else { ", **built without optimisation**" };
    let _ = writeln!(
        text,
        "\ntandem {}, {} {}, {} threads{built}.",
        safe(&report.tandem),
        report.machine.os,
        report.machine.arch,
        report.machine.threads
    );
    if !report.rows.is_empty() {
        text += "\n## Times\n\n| kind | variant | units | where | median | +- | units/s | to cpu | to one thread | of its ceiling \
                 | runs | note |\n|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|---|\n";
        for row in &report.rows {
            times(&mut text, row, report);
        }
    }
    for file in &report.files {
        let _ = writeln!(text, "\n## {}\n\n| jobs | makespan | from | to | runs | failed |", safe(&file.file));
        text += "|---|--:|--:|--:|--:|--:|\n";
        for run in &file.runs {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                run.mode,
                time_ms(run.median_ms),
                time_ms(run.low_ms),
                time_ms(run.high_ms),
                run.runs_ms.len(),
                run.failed
            );
        }
    }
    text
}

/// What to use: a table over sizes, then for each variant a line, why, and how the places stand against each other.
fn guide(text: &mut String, report: &Report) {
    let (verdicts, devices) = (&report.verdicts, &report.machine.devices);
    if verdicts.is_empty() {
        return;
    }
    *text += "## What to use\n\n";
    if let Some(grid) = Grid::of(verdicts, devices) {
        let _ = writeln!(text, "| {} |\n|---|{}", grid.head.join(" | "), "---|".repeat(grid.head.len() - 1));
        for row in &grid.rows {
            let _ = writeln!(text, "| {} |", row.iter().map(|cell| safe(cell)).collect::<Vec<_>>().join(" | "));
        }
        let _ = writeln!(text, "\n{TIE}.\n");
    }
    for verdict in verdicts {
        let about = format!("{} {}", verdict.kind, verdict.variant);
        let _ = writeln!(text, "- **{}**: use {}", safe(&about), safe(&use_line(verdict, devices)));
        if let Some(unit) = unit_line(verdict) {
            let _ = writeln!(text, "  - {unit}");
        }
        if let Some(why) = why_line(verdict, devices) {
            let _ = writeln!(text, "  - why: {}", safe(&why));
        }
        for line in verdict_lines(verdict, devices) {
            let _ = writeln!(text, "  - {}", safe(&line));
        }
    }
}

fn times(text: &mut String, row: &Row, report: &Report) {
    for at in 0..row.cells.len() {
        let (cells, notes) = time_cells(row, at, &report.machine.devices);
        let (kind, variant) = (safe(&row.kind), safe(&row.variant));
        let _ = writeln!(text, "| {kind} | {variant} | {} | {notes} |", cells.join(" | "));
    }
}

fn compared(text: &mut String, report: &Report, found: &Comparison, max_regression: f64) {
    let _ = writeln!(text, "**{}**\n", outcome(found, max_regression));
    for line in machine_lines(found) {
        let _ = writeln!(text, "> {}\n", safe(&line));
    }
    let _ = writeln!(text, "<details><summary>Against the baseline</summary>\n\n| {} |", HEAD.join(" | "));
    *text += "|---|---|--:|---|--:|--:|--:|--:|---|\n";
    for row in &found.compared {
        let cells = cells(row, &report.machine.devices).map(|cell| safe(&cell));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    *text += "\n</details>\n\n";
}

/// Text from outside, which is to be no markup.
fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' => safe.extend(['\\', c]),
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    #[test]
    fn a_report_begins_with_what_it_comes_to_and_its_tables_are_whole() {
        let report = examples::report();
        let comparison = Comparison::of(&report, &report, 0.1).unwrap();
        let text = bench_markdown(&report, Some((&comparison, 0.1)));
        assert!(text.starts_with("# tandem bench\n\n**none of 9 times has regressed by more than 10 %"), "{text}");
        assert!(text.contains("- **stats f32**: use 8 threads below about 100,000; gpu:0 from there; "), "{text}");
        assert!(text.contains("A &lt;GPU> &amp; co"), "names are no markup: {text}");
        assert!(text.contains("\n  - 1 unit is a number\n"), "{text}");
        // Each line of a table has as many cells as its head.
        let mut columns = None;
        for line in text.lines() {
            let count = line.starts_with('|').then(|| line.replace("\\|", "").matches('|').count());
            if let (Some(before), Some(now)) = (columns, count) {
                assert_eq!(before, now, "{line}");
            }
            columns = count;
        }
        assert_eq!(safe("a|b*c_d`<x>"), "a\\|b\\*c\\_d\\`&lt;x>");
    }
}
