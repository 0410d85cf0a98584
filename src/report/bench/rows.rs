//! Rows as they come.

use crate::bench::{BUSY_MIN, Bound, Cell, DeviceDescription, Row};
use crate::report::Style;
use crate::report::bench::{percent, place_name, spread};
use crate::report::figures::{counted, rate, time_ms, whole};
use crate::report::table::{Align, line};

const WIDTHS: [usize; 10] = [9, 7, 13, 14, 7, 7, 8, 7, 7, 16];
const HEAD: [&str; 10] =
    ["kind", "variant", "units", "where", "took", "+-", "units/s", "to cpu", "to one", "of its ceiling"];
const ALIGNS: [Align; 10] = {
    use Align::{Left, Right};
    [Left, Left, Right, Left, Right, Right, Right, Right, Right, Right]
};
/// What stands before the lines beneath a row.
const INDENT: usize = 9 + 2 + 7 + 2 + 13 + 2;

/// The head of the table.
pub fn bench_head(style: Style) -> String {
    style.faint(&line(&HEAD, &WIDTHS, &ALIGNS)) + "\n"
}

/// A line for each place: the median time, how far its interval reaches, how many times as fast as the CPU at its best and as one
/// thread it is, and how close to what the place can do. Beneath, what is out of the ordinary, and for a GPU where the
/// time goes.
pub fn bench_row(row: &Row, devices: &[DeviceDescription], style: Style) -> String {
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x"));
    let mut text = String::new();
    for (i, cell) in row.cells.iter().enumerate() {
        let (kind, variant, units) =
            if i == 0 { (&*row.kind, &*row.variant, whole(row.units)) } else { ("", "", String::new()) };
        let cells = [
            kind,
            variant,
            &units,
            &place_name(cell, devices),
            &time_ms(cell.median_ms),
            &if cell.runs.len() > 1 { percent(spread(cell)) } else { "-".to_owned() },
            &rate(row.units_per_s(cell)),
            &ratio(row.ratio_to_cpu(cell)),
            &ratio(row.ratio_to_thread(cell)),
            &ceiling(cell),
        ];
        text += &(line(&cells, &WIDTHS, &ALIGNS) + "\n");
        for beneath in phases(cell).into_iter().chain(used(cell)).chain(note(cell)) {
            text += &format!("{:INDENT$}{}\n", "", style.faint(&beneath));
        }
    }
    if let Some(busy) = row.others_busy_cpus.filter(|busy| *busy >= BUSY_MIN) {
        text += &format!("{:INDENT$}{}\n", "", style.bad(&busy_note(busy)));
    }
    text
}

/// That others were at work.
fn busy_note(busy: f64) -> String {
    format!("others wanted {busy:.1} CPUs during these runs, which makes them slower")
}

/// How close to what the place can do: `83 % of memory`.
fn ceiling(cell: &Cell) -> String {
    let Some(limit) = cell.limit else { return "-".to_owned() };
    format!("{} {}", percent(limit.share), bound_name(limit.bound))
}

/// What a table of a report says of a time: units, where, median, how far its interval reaches, units a second, ratios to the CPU
/// and to one thread, share of the ceiling, runs; and what is out of the ordinary. What holds for the whole row stands with its
/// first cell.
pub(super) fn time_cells(row: &Row, at: usize, devices: &[DeviceDescription]) -> ([String; 9], String) {
    let cell = &row.cells[at];
    let ratio = |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}x"));
    let busy = row.others_busy_cpus.filter(|busy| *busy >= BUSY_MIN && at == 0).map(busy_note);
    let notes: Vec<String> = note(cell).into_iter().chain(busy).collect();
    let cells = [
        whole(row.units),
        place_name(cell, devices),
        time_ms(cell.median_ms),
        percent(spread(cell)),
        rate(row.units_per_s(cell)),
        ratio(row.ratio_to_cpu(cell)),
        ratio(row.ratio_to_thread(cell)),
        ceiling(cell),
        whole(cell.runs.len() as u64),
    ];
    (cells, notes.join("; "))
}

/// What bounds a job, in a word.
pub(super) const fn bound_name(bound: Bound) -> &'static str {
    match bound {
        Bound::Memory => "memory",
        Bound::Operations => "arithmetic",
        Bound::Upload => "upload",
    }
}

/// Where the time of a run beside the CPU goes.
fn phases(cell: &Cell) -> Option<String> {
    if cell.place.is_cpu() {
        return None;
    }
    let parts = [
        ("set-up", cell.phase_ms(|run| run.setup_ms)),
        ("upload", cell.phase_ms(|run| run.upload_ms)),
        ("compute", cell.phase_ms(|run| run.compute_ms)),
        ("read-back", cell.phase_ms(|run| run.readback_ms)),
        ("waiting", cell.phase_ms(|run| run.waiting_ms)),
    ];
    // What is a thousandth of the whole is no news.
    let parts = parts.into_iter().filter(|(_, ms)| *ms > cell.median_ms / 1000.0);
    let text: Vec<String> = parts.map(|(name, ms)| format!("{name} {}", time_ms(ms))).collect();
    let cold = (cell.cold.setup_ms > cell.median_ms / 10.0)
        .then(|| format!("; the first time {} of set-up", time_ms(cell.cold.setup_ms)));
    Some(text.join(", ") + &cold.unwrap_or_default())
}

/// What a device beside the CPU was used to, of its own rates.
fn used(cell: &Cell) -> Option<String> {
    let used = cell.limit.filter(|_| !cell.place.is_cpu())?.used;
    let parts = [("its uploads", used.upload), ("its reads", used.memory), ("its multiply-adds", used.operations)];
    let parts = parts.into_iter().filter_map(|(name, share)| Some(format!("{} of {name}", percent(share?))));
    let text: Vec<String> = parts.collect();
    (!text.is_empty()).then(|| format!("of its own rates: {}", text.join(", ")))
}

/// What is out of the ordinary with a cell.
fn note(cell: &Cell) -> Option<String> {
    let runs = cell.runs.len();
    let mut notes = Vec::new();
    if runs == 1 {
        notes.push("1 run only: no interval".to_owned());
    } else if runs < 6 {
        let sure = percent(cell.confidence);
        notes.push(format!("{} only: the interval holds with {sure}", counted(runs as u64, "run", "runs")));
    }
    if cell.outliers as usize * 10 > runs {
        notes.push(format!("{} of {runs} runs far off", cell.outliers));
    }
    if let Some(drift) = cell.drift {
        let how = if drift > 0.0 { "slower" } else { "faster" };
        notes.push(format!(
            "{how} by {} from the first run to the last: throttling, or warming up",
            percent(drift.abs())
        ));
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Place, Run, examples};

    #[test]
    fn a_row_has_a_line_for_each_place_under_one_head() {
        let report = examples::report();
        let text = bench_head(Style::PLAIN) + &bench_row(&report.rows[1], &report.machine.devices, Style::PLAIN);
        assert_eq!(
            text,
            "\
kind       variant          units  where              took       +-   units/s   to cpu   to one    of its ceiling
stats      f32          1,000,000  cpu, 1 thread   4.00 ms   0.68 %   250 M/s    0.25x    1.00x       20 % memory
                                   cpu, 8 threads  1.00 ms   0.68 %  1.00 G/s    1.00x    4.00x       21 % memory
                                   gpu:0            250 us   0.68 %  4.00 G/s    4.00x   16.00x       80 % upload
                                   upload 62.5 us, compute 188 us; the first time 200 ms of set-up
                                   of its own rates: 80 % of its uploads, 20 % of its reads
"
        );
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_told() {
        let run = |ms| Run { ms, ..Run::default() };
        let few = Cell::new(Place::Cpu, 2, run(1.0), vec![run(1.0); 3]);
        assert_eq!(note(&few).unwrap(), "3 runs only: the interval holds with 75 %");
        let times = [1.0, 1.01, 1.05, 1.08, 1.12, 1.14, 1.18, 1.22, 8.0, 9.0];
        let drifting = Cell::new(Place::Cpu, 2, run(1.0), times.map(run).to_vec());
        let text = note(&drifting).unwrap();
        assert!(text.starts_with("2 of 10 runs far off; slower by ") && text.ends_with("warming up"), "{text}");
        assert_eq!(note(&examples::cell(Place::Cpu, 1.0)), None);
    }
}
