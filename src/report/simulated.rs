//! Simulated runs as a table and as JSON.

mod truths;

use serde::Serialize;

use crate::report::figures::{counted, time};
use crate::report::{Align, Style, Table, visible};
use crate::simulate::Simulated;

pub use truths::{RegretTally, truths_text};

/// A simulated run, and beside what it stands.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedRow<'a> {
    /// The job file.
    pub jobs: &'a str,
    /// The machine's name.
    pub machine: &'a str,
    /// The policy's name.
    pub policy: &'a str,
    /// The seed of what was hidden from the planner, if anything was.
    pub hidden_truth: Option<u64>,
    /// What came of it.
    pub run: &'a Simulated,
    /// By how much it took longer than the best policy on this machine: 0.05 for 5 %; `None` where only one was tried.
    pub regret: Option<f64>,
    /// What was assumed.
    pub assumed: &'a [String],
    /// How many jobs cannot be simulated.
    pub jobs_left_out: u64,
    /// The first of them, and why.
    pub left_out: &'a [LeftOut],
}

/// A job that cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its name; `None` of a line that is no job.
    pub id: Option<String>,
    /// Why.
    pub why: String,
}

/// The runs of one job file as a table.
pub fn simulated_text(rows: &[SimulatedRow<'_>], style: Style) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let heading = format!("{}: {}", visible(first.jobs), counted(first.run.jobs, "job", "jobs"));
    let mut text = format!("{}\n", style.strong(&heading));
    let right = Align::Right;
    let mut head = vec![("machine", Align::Left), ("policy", Align::Left), ("makespan", right), ("above bound", right)];
    let compares = rows.iter().any(|row| row.regret.is_some());
    if compares {
        head.push(("regret", right));
    }
    head.extend([("work on cpu", right), ("on gpus", right), ("waited", right), ("p95", right)]);
    let mut table = Table::new(&head);
    for row in rows {
        let run = row.run;
        let cpu = run.devices.first().map_or(0.0, |device| device.share);
        let gpus = run.devices.iter().skip(1).map(|device| device.share).sum::<f64>();
        let mut cells = vec![
            visible(machine_name(rows, row.machine)).into_owned(),
            row.policy.to_owned(),
            time(run.makespan),
            percent(run.above_bound()),
        ];
        if compares {
            cells.push(regret_cell(row.regret));
        }
        let on_gpus = if run.devices.len() > 1 { percent(gpus) } else { "-".to_owned() };
        cells.extend([percent(cpu), on_gpus, time(run.waiting.mean), time(run.waiting.p95)]);
        table.row(cells);
    }
    text.push_str(&table.render("  ", style));
    text
}

/// A machine's name without what stands in brackets behind it, where that tells it from the others.
fn machine_name<'a>(rows: &[SimulatedRow<'_>], name: &'a str) -> &'a str {
    let short = |name: &'a str| name.split(" (").next().filter(|short| !short.is_empty()).unwrap_or(name);
    let own = short(name);
    let is_other = |row: &SimulatedRow<'_>| row.machine != name && row.machine.split(" (").next() == Some(own);
    if rows.iter().any(is_other) { name } else { own }
}

fn regret_cell(regret: Option<f64>) -> String {
    regret.map_or(String::new(), |above| if above > 0.0 { percent(above) } else { "best".to_owned() })
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        percent if percent >= 999.5 => format!("{:.0}x", share + 1.0),
        percent if percent >= 9.95 || percent == 0.0 => format!("{percent:.0} %"),
        percent => format!("{percent:.1} %"),
    }
}

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    job_file: &'a str,
    machine: &'a str,
    policy: &'a str,
    hidden_truth: Option<u64>,
    jobs: u64,
    makespan_ms: f64,
    lower_bound_ms: f64,
    above_bound: f64,
    regret: Option<f64>,
    devices: Vec<Device>,
    waiting_ms: Waiting,
    plans: u64,
    chunks: u64,
    refused: Vec<Refused<'a>>,
    jobs_left_out: u64,
    left_out: &'a [LeftOut],
    assumed: &'a [String],
}

#[derive(Serialize)]
struct Device {
    device: String,
    busy_ms: f64,
    share: f64,
}

#[derive(Serialize)]
struct Waiting {
    mean: f64,
    p95: f64,
    max: f64,
}

#[derive(Serialize)]
struct Refused<'a> {
    index: u64,
    why: &'a str,
}

/// A run as one line of JSON.
///
/// # Errors
/// None that happens: every field can be written.
pub fn simulated_json(row: &SimulatedRow<'_>) -> serde_json::Result<String> {
    let run = row.run;
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let line = Line {
        schema: 1,
        job_file: row.jobs,
        machine: row.machine,
        policy: row.policy,
        hidden_truth: row.hidden_truth,
        jobs: run.jobs,
        makespan_ms: ms(run.makespan),
        lower_bound_ms: ms(run.lower_bound),
        above_bound: run.above_bound(),
        regret: row.regret,
        devices: run
            .devices
            .iter()
            .map(|used| Device { device: used.device.to_string(), busy_ms: ms(used.busy), share: used.share })
            .collect(),
        waiting_ms: Waiting { mean: ms(run.waiting.mean), p95: ms(run.waiting.p95), max: ms(run.waiting.max) },
        plans: run.plans,
        chunks: run.chunks,
        refused: run.refused.iter().map(|(index, why)| Refused { index: *index, why }).collect(),
        jobs_left_out: row.jobs_left_out,
        left_out: row.left_out,
        assumed: row.assumed,
    };
    Ok(serde_json::to_string(&line)? + "\n")
}
