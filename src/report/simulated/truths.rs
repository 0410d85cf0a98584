//! Simulated runs under several hidden truths: policies held against each other.

use crate::report::figures::{counted, time};
use crate::report::simulated::{SimulatedRow, machine_name, percent, regret_cell};
use crate::report::{Align, Style, Table, visible};

/// What is as good as the best.
const NEAR: f64 = 0.05;

/// The runs of one job file as a table with a column for each truth: the regret of each policy where several were tried, else the
/// makespan.
pub fn truths_text(rows: &[SimulatedRow<'_>], style: Style) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let compares = rows.iter().any(|row| row.regret.is_some());
    let what = if compares { "regret" } else { "makespan" };
    let heading = format!("{}: {}", visible(first.jobs), counted(first.run.jobs, "job", "jobs"));
    let mut text = format!("{}, {what} by hidden truth\n", style.strong(&heading));
    let mut truths: Vec<Option<u64>> = Vec::new();
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        if !truths.contains(&row.hidden_truth) {
            truths.push(row.hidden_truth);
        }
        if !lines.contains(&(row.machine, row.policy)) {
            lines.push((row.machine, row.policy));
        }
    }
    let names: Vec<String> =
        truths.iter().map(|seed| seed.map_or("none".to_owned(), |seed| seed.to_string())).collect();
    let mut head = vec![("machine", Align::Left), ("policy", Align::Left)];
    head.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&head);
    for (machine, policy) in lines {
        let mut cells = vec![visible(machine_name(rows, machine)).into_owned(), policy.to_owned()];
        cells.extend(truths.iter().map(|truth| {
            let is_it =
                |row: &&SimulatedRow<'_>| (row.machine, row.policy, row.hidden_truth) == (machine, policy, *truth);
            rows.iter()
                .find(is_it)
                .map_or(String::new(), |row| if compares { regret_cell(row.regret) } else { time(row.run.makespan) })
        }));
        table.row(cells);
    }
    text.push_str(&table.render("  ", style));
    text
}

/// How the policies fared over all runs that were compared.
#[derive(Clone, Debug, Default)]
pub struct RegretTally {
    /// (policy, runs, runs near the best, the worst regret)
    policies: Vec<(String, u64, u64, f64)>,
}

impl RegretTally {
    /// Counts these runs.
    pub fn count(&mut self, rows: &[SimulatedRow<'_>]) {
        for row in rows {
            let Some(regret) = row.regret else { continue };
            let at = self.policies.iter().position(|(name, ..)| name == row.policy).unwrap_or_else(|| {
                self.policies.push((row.policy.to_owned(), 0, 0, 0.0));
                self.policies.len() - 1
            });
            let (_, runs, near, worst) = &mut self.policies[at];
            *runs += 1;
            *near += u64::from(regret <= NEAR);
            *worst = worst.max(regret);
        }
    }

    /// A line for each policy.
    pub fn lines(&self) -> Vec<String> {
        let line = |(policy, runs, near, worst): &(String, u64, u64, f64)| {
            let worst = if *worst > 0.0 { percent(*worst) } else { "0 %".to_owned() };
            format!("{policy}: the best or within 5 % of it in {near} of {runs}; {worst} above it at most")
        };
        self.policies.iter().map(line).collect()
    }
}
