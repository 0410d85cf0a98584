//! Job files on each device.

use crate::bench::{FileComparison, Mode, OverBudget};
use crate::report::bench::percent;
use crate::report::figures::{counted, time_ms, whole};
use crate::report::{Align, Style, Table, visible};

/// Of fewer runs, even those that all lie apart may do so by chance.
const RUNS_MIN: usize = 4;

/// Where jobs run in this mode, in words.
pub const fn mode_words(mode: Mode) -> &'static str {
    match mode {
        Mode::Cpu => "on the cpu",
        Mode::Gpu => "on gpus",
        Mode::Auto => "auto",
    }
}

/// A job file's makespans, and what leaving the choice to tandem cost or gained.
pub fn file_text(found: &FileComparison, style: Style) -> String {
    let (left, right) = (Align::Left, Align::Right);
    let head = [
        ("jobs", left),
        ("makespan", right),
        ("from", right),
        ("to", right),
        ("sure", right),
        ("runs", right),
        ("failed", right),
    ];
    let mut table = Table::new(&head);
    for run in &found.runs {
        table.row([
            mode_words(run.mode).to_owned(),
            time_ms(run.median_ms),
            time_ms(run.low_ms),
            time_ms(run.high_ms),
            if run.runs_ms.len() > 1 { percent(run.confidence) } else { "-".to_owned() },
            whole(run.runs_ms.len() as u64),
            whole(run.failed),
        ]);
    }
    let title = format!("{}: {}", visible(&found.file), counted(found.jobs, "job", "jobs"));
    if found.jobs == 0 {
        return format!("{}\n{}\n", style.strong(&title), regret_words(found));
    }
    format!("{}\n{}{}\n", style.strong(&title), table.render("  ", style), regret_words(found))
}

/// What leaving the choice to tandem cost or gained, and why there is no run on GPUs where there is none.
pub(super) fn regret_words(found: &FileComparison) -> String {
    if found.jobs == 0 {
        return "there is nothing to run".to_owned();
    }
    if let Some(over) = &found.over_budget {
        return over_budget(found, over);
    }
    if found.has_all_failed() {
        return format!("all failed: there is nothing to compare: `tandem run {}` says why", visible(&found.file));
    }
    let mut text = match found.regret() {
        Some((ms, share)) if ms > 0.0 => {
            format!("auto takes {} ({}) longer than the best of the forced runs", time_ms(ms), percent(share))
        }
        Some((ms, share)) => {
            format!("auto is {} ({}) faster than the best of the forced runs", time_ms(-ms), percent(-share))
        }
        None => "there is nothing to hold auto against".to_owned(),
    };
    if found.is_regret_unclear() {
        text += ", which may be chance";
        let runs = found.runs.iter().map(|run| run.runs_ms.len()).min().unwrap_or(0);
        if runs < RUNS_MIN {
            text += &format!(": {} say no more", counted(runs as u64, "run", "runs"));
        }
    }
    if !found.runs.iter().any(|run| run.mode == Mode::Gpu) {
        text += if found.without_gpu == found.jobs {
            "; no job has a gpu side"
        } else {
            "; none was forced onto a gpu: there is no usable one, or --devices leaves it out"
        };
    } else if found.without_gpu > 0 {
        text += &format!("; {} without a gpu side ran on the cpu", counted(found.without_gpu, "job", "jobs"));
    }
    if found.without_cpu > 0 {
        let jobs = counted(found.without_cpu, "job", "jobs");
        text += &format!("; {jobs} without a cpu side ran where they can, on a gpu");
    }
    if let Some(failed) = found.runs.iter().map(|run| run.failed).max().filter(|failed| *failed > 0) {
        text += &format!(
            "; {} failed: their time counts, and their results are not compared",
            counted(failed, "job", "jobs")
        );
    }
    text
}

/// That a run took longer than there was time for, and how much it needs.
fn over_budget(found: &FileComparison, over: &OverBudget) -> String {
    let mode = mode_words(over.mode);
    let after = time_ms(over.after_ms);
    let done = format!("{} of {} had succeeded by then", whole(over.done), counted(found.jobs, "job", "jobs"));
    let remedy = over.needed_s.map_or_else(
        || "a larger --budget".to_owned(),
        |needed_s| format!("--budget {} or more", whole(needed_s.ceil() as u64)),
    );
    format!(
        "a first run {mode} was ended after {after}, when the time was up: {done}; give {remedy}, or --runs 1, which is kept to"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{FileRun, examples};

    #[test]
    fn a_job_file_is_told_with_its_regret() {
        let mut found = examples::report().files.remove(0);
        let text = file_text(&found, Style::PLAIN);
        assert!(text.starts_with("jobs.jsonl: 5 jobs\n"), "{text}");
        assert!(text.ends_with(
            "auto takes 4.00 ms (5.0 %) longer than the best of the forced runs; 1 job without a gpu side ran on the cpu\n"
        ));
        let empty = FileComparison { jobs: 0, runs: Vec::new(), ..found.clone() };
        assert_eq!(file_text(&empty, Style::PLAIN), "jobs.jsonl: 0 jobs\nthere is nothing to run\n");
        found.runs.remove(1);
        found.runs[1] = FileRun::new(Mode::Auto, vec![90.0], 2);
        assert!(file_text(&found, Style::PLAIN).contains(
            "auto is 10.0 ms (10 %) faster than the best of the forced runs, which may be chance: 1 run say no more; none was forced onto a gpu: there is no usable one, or --devices \
             leaves it out; 2 jobs failed"
        ));
        found.runs.iter_mut().for_each(|run| run.failed = 5);
        assert!(file_text(&found, Style::PLAIN).contains("all failed: there is nothing to compare"));
        let over = OverBudget { mode: Mode::Cpu, after_ms: 20_000.0, done: 1, needed_s: Some(399.2) };
        found.over_budget = Some(over);
        assert!(file_text(&found, Style::PLAIN).ends_with(
            "a first run on the cpu was ended after 20.0 s, when the time was up: 1 of 5 jobs had succeeded by then; give --budget 400 \
             or more, or --runs 1, which is kept to\n"
        ));
    }
}
