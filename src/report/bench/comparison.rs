//! A benchmark against an earlier one.

use crate::bench::{At, BUSY_MIN, Change, Compared, Comparison, DeviceDescription, Key, Said, Shift};
use crate::report::bench::rows::bound_name;
use crate::report::bench::{percent, place_with_lanes};
use crate::report::figures::{counted, time_ms, whole};
use crate::report::{Align, Style, Table, visible};

/// What each change is called.
pub(super) const fn change_name(change: Change) -> &'static str {
    match change {
        Change::Regressed => "regressed",
        Change::NotAgain => "slower, not found again",
        Change::Busy => "slower, but cannot be told: machine busy",
        Change::AsMachine => "slower, as the machine is",
        Change::SlowerWithin => "slower, within the limit",
        Change::Same => "same",
        Change::FasterWithin => "faster, within the limit",
        Change::Faster => "faster",
        Change::TooFewRuns => "too few runs to tell",
    }
}

/// `+12 %`.
fn change_percent(row: &Compared) -> String {
    let share = row.new_ms / row.old_ms - 1.0;
    format!("{}{}", if share < 0.0 { "-" } else { "+" }, percent(share.abs()))
}

/// A chance to three digits; what is less is no nought.
fn chance(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

/// Where a time was taken, as its row says it.
fn place(key: &Key, devices: &[DeviceDescription]) -> String {
    match key.at {
        At::Place(place, lanes) => place_with_lanes(place, lanes, devices),
        At::Mode(mode) => mode.to_string(),
    }
}

/// The columns of a comparison.
pub(super) const HEAD: [&str; 9] = ["kind", "variant", "units", "where", "then", "now", "change", "p", "verdict"];

/// The cells of a row of it.
pub(super) fn cells(row: &Compared, devices: &[DeviceDescription]) -> [String; 9] {
    let is_claim = matches!(row.change, Change::Regressed | Change::Busy | Change::NotAgain);
    let again = row.again_ms.map_or_else(String::new, |ms| format!("; {} when measured again", time_ms(ms)));
    let busy = match row.others_busy_cpus {
        [Some(then), Some(now)] if is_claim && now.max(then) >= BUSY_MIN => {
            format!("; others wanted {now:.1} CPUs, and {then:.1} then")
        }
        [None, Some(now)] if is_claim && now >= BUSY_MIN => format!("; others wanted {now:.1} CPUs"),
        _ => String::new(),
    };
    [
        row.key.kind.clone(),
        row.key.variant.clone(),
        whole(row.key.units),
        place(&row.key, devices),
        time_ms(row.old_ms),
        time_ms(row.new_ms),
        change_percent(row),
        chance(row.p),
        format!("{}{again}{busy}", change_name(row.change)),
    ]
}

/// What is to be known of the machine on both days, a sentence a line: what differs, what moved together, who else was at work.
pub(super) fn machine_lines(found: &Comparison) -> Vec<String> {
    let shifts = found.shifts.iter().filter(|shift| shift.is_worth_telling()).map(shifted);
    found.warnings.iter().cloned().chain(shifts).chain(busy(found)).collect()
}

fn shifted(shift: &Shift) -> String {
    let by = |ratio: f64| percent((ratio - 1.0).abs());
    let how = |ratio: f64| if ratio >= 1.0 { "slower" } else { "faster" };
    let is = how(shift.times_ratio);
    let bound = shift.bound.map_or_else(String::new, |bound| format!(", bound by {}", bound_name(bound)));
    let moved = format!(
        "{}{bound}: {} of {} are {is} now, by {} in the middle",
        shift.place,
        whole(shift.together as u64),
        counted(shift.times as u64, "time", "times"),
        by(shift.times_ratio)
    );
    let machine = shift.machine_ratio();
    match shift.probe {
        Said::Nothing => format!(
            "{moved}: the machine, rather than the program? No probe tells: run both again, one after the other"
        ),
        Said::Unsteady => format!(
            "{moved}: the machine, rather than the program? The probe of it found something else before the rows than after them, so \
             that nothing is taken off: run both again, one after the other"
        ),
        Said::Ratio(_) if (machine - 1.0).abs() < 0.01 => {
            format!("{moved}, and the probe of what bounds them is not: the program, rather than the machine")
        }
        Said::Ratio(probe) => format!(
            "{moved}, and the probe of what bounds them is {is} by {}: the machine, rather than the program? {} of it is not counted",
            by(probe),
            by(machine)
        ),
    }
}

/// How many CPUs others wanted then and now, by the medians over what was compared; where the system tells.
fn busy(found: &Comparison) -> Option<String> {
    let [then, now] = [0, 1].map(|side: usize| {
        let mut busy: Vec<f64> = found.compared.iter().filter_map(|row| row.others_busy_cpus[side]).collect();
        busy.sort_by(f64::total_cmp);
        busy.get(busy.len() / 2).copied()
    });
    Some(format!("others wanted {:.1} CPUs then, {:.1} now", then?, now?))
}

/// Every time of both, what has regressed first; what only one has; what is to be known of the machine; and a sentence with the
/// outcome. `devices` are those of the later one.
pub fn comparison_text(found: &Comparison, max_regression: f64, devices: &[DeviceDescription], style: Style) -> String {
    let (left, right) = (Align::Left, Align::Right);
    let aligns = [left, left, right, left, right, right, right, right, left];
    let mut head: Vec<(&str, Align)> = HEAD.into_iter().zip(aligns).collect();
    // Nothing stands beside it.
    head[HEAD.len() - 1].0 = "";
    let mut table = Table::new(&head);
    let mut rows: Vec<&Compared> = found.compared.iter().collect();
    rows.sort_by_key(|row| row.change != Change::Regressed);
    for row in rows {
        let mut cells = cells(row, devices).map(|cell| visible(&cell).into_owned());
        let verdict = &mut cells[HEAD.len() - 1];
        match row.change {
            Change::Regressed => *verdict = style.bad(verdict),
            Change::Faster => *verdict = style.good(verdict),
            _ => {}
        }
        table.row(cells);
    }
    let mut text = table.render("", style);
    for (keys, which) in [(&found.only_old, "only in the baseline"), (&found.only_new, "not in the baseline")] {
        if !keys.is_empty() {
            text += &format!("{which}: {}\n", names(keys, devices));
        }
    }
    for line in machine_lines(found) {
        text += &format!("{}\n", style.bad(&visible(&line)));
    }
    text + &outcome(found, max_regression) + "\n"
}

/// The first few of these, and how many more.
fn names(keys: &[Key], devices: &[DeviceDescription]) -> String {
    const SHOWN: usize = 8;
    let name =
        |key: &Key| format!("{} {} {} on {}", key.kind, visible(&key.variant), whole(key.units), place(key, devices));
    let mut text = keys.iter().take(SHOWN).map(name).collect::<Vec<_>>().join("; ");
    if keys.len() > SHOWN {
        text += &format!("; and {} more", whole((keys.len() - SHOWN) as u64));
    }
    text
}

/// How it went, in a sentence.
pub(super) fn outcome(found: &Comparison, max_regression: f64) -> String {
    let compared = counted(found.compared.len() as u64, "time", "times");
    let limit = percent(max_regression);
    let how = "(Mann-Whitney, Holm, level 0.05)";
    let mut text = match found.regressions() as u64 {
        0 => format!("none of {compared} has regressed by more than {limit} {how}"),
        count => format!("{} of {compared} regressed by more than {limit} {how}", whole(count)),
    };
    let excused = |change: Change| found.compared.iter().filter(|row| row.change == change).count() as u64;
    for (change, how) in [
        (Change::NotAgain, "slower at first and not when measured again"),
        (
            Change::Busy,
            "slower, but it cannot be told on so busy a machine whether that is the program: run again when idle",
        ),
    ] {
        if excused(change) > 0 {
            text += &format!("; {} {how}", whole(excused(change)));
        }
    }
    let unclear = found.compared.iter().filter(|row| row.change == Change::TooFewRuns).count() as u64;
    if unclear > 0 {
        text += &format!("; {} with too few runs to tell: add --runs 10 or more on both sides", whole(unclear));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    #[test]
    fn what_has_regressed_comes_first_and_what_one_lacks_is_named() {
        let (old, mut new) = (examples::report(), examples::report());
        for run in &mut new.rows[1].cells[2].runs {
            run.ms *= 1.5;
        }
        new.rows.remove(0);
        let found = Comparison::of(&old, &new, 0.1).unwrap();
        let text = comparison_text(&found, 0.1, &new.machine.devices, Style::PLAIN);
        let first = text.lines().nth(1).unwrap();
        assert!(first.contains("gpu:0") && first.contains("+50 %") && first.ends_with("<0.001  regressed"), "{text}");
        assert!(text.lines().any(|line| line.contains("  cpu, 1 thread  ")), "as rows say it: {text}");
        assert!(text.contains("only in the baseline: stats f32 10,000 on cpu, 1 thread; "), "{text}");
        assert!(text.contains("\nothers wanted 0.0 CPUs then, 0.0 now\n"), "{text}");
        assert!(
            text.ends_with("1 of 6 times regressed by more than 10 % (Mann-Whitney, Holm, level 0.05)\n"),
            "{text}"
        );
    }

    #[test]
    fn what_moved_together_is_told_with_what_speaks_for_the_machine() {
        let shift = |times_ratio, probe| {
            let (place, bound) = (crate::bench::Place::Thread, Some(crate::bench::Bound::Memory));
            shifted(&Shift { place, bound, times: 24, together: 20, times_ratio, probe })
        };
        assert_eq!(
            shift(1.2, Said::Ratio(1.3)),
            "thread, bound by memory: 20 of 24 times are slower now, by 20 % in the middle, and the probe of what bounds them is \
             slower by 30 %: the machine, rather than the program? 20 % of it is not counted"
        );
        assert!(shift(1.2, Said::Ratio(0.99)).ends_with("is not: the program, rather than the machine"));
        assert!(shift(0.8, Said::Nothing).ends_with("No probe tells: run both again, one after the other"));
        assert!(shift(1.2, Said::Unsteady).contains("so that nothing is taken off"));
    }

    #[test]
    fn who_else_was_at_work_and_what_a_second_round_found_is_told_beside_a_regression() {
        let (old, mut new) = (examples::report(), examples::report());
        new.rows[1].others_busy_cpus = Some(1.25);
        for run in new.rows[1].cells.iter_mut().flat_map(|cell| &mut cell.runs) {
            run.ms *= 3.0;
        }
        let text = |new: &crate::bench::Report| {
            let found = Comparison::of(&old, new, 0.1).unwrap();
            comparison_text(&found, 0.1, &new.machine.devices, Style::PLAIN)
        };
        assert!(text(&new).contains("  regressed; others wanted 1.2 CPUs, and 0.0 then\n"), "{}", text(&new));
        new.again.rows = vec![new.rows[1].clone()];
        assert!(text(&new).contains("  regressed; 3.00 ms when measured again; others wanted 1.2"), "{}", text(&new));
        new.again.rows = vec![old.rows[1].clone()];
        let excused = text(&new);
        assert!(excused.contains("  slower, not found again; 4.00 ms when measured again; others wanted"), "{excused}");
        assert!(excused.contains("none of 9 times has regressed by more than 10 %"), "{excused}");
        assert!(excused.contains("; 3 slower at first and not when measured again\n"), "{excused}");
    }
}
