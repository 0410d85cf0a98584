//! A benchmark against an earlier one.

use crate::bench::{At, Change, Compared, Comparison, DeviceDescription, Key, Shift};
use crate::report::bench::rows::BUSY_MIN;
use crate::report::bench::{percent, place_with_lanes};
use crate::report::figures::{counted, time_ms, whole};
use crate::report::{Align, Style, Table, visible};

/// What each change is called.
pub(super) const fn change_name(change: Change) -> &'static str {
    match change {
        Change::Regressed => "regressed",
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
    let busy = match row.others_busy_cpus {
        [then, Some(now)] if row.change == Change::Regressed && now >= BUSY_MIN => {
            let then = then.map_or_else(String::new, |then| format!(", and {then:.1} then"));
            format!("; others kept {now:.1} CPUs busy{then}")
        }
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
        format!("{}{busy}", change_name(row.change)),
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
    let moved = format!(
        "{}: {} of {} are {is} now, by {} in the middle",
        shift.place,
        whole(shift.together as u64),
        counted(shift.times as u64, "time", "times"),
        by(shift.times_ratio)
    );
    let machine = shift.machine_ratio();
    match shift.ceilings_ratio {
        None => format!(
            "{moved}: the machine, rather than the program? No probe tells: run both again, one after the other"
        ),
        Some(_) if (machine - 1.0).abs() < 0.01 => {
            format!("{moved}, and the probe of what the machine can do is not: the program, rather than the machine")
        }
        Some(ceilings) => format!(
            "{moved}, and the probe of what the machine can do is {is} by up to {}: the machine, rather than the program? {} of it \
             is not counted",
            by(ceilings),
            by(machine)
        ),
    }
}

/// How many CPUs others kept busy then and now, by the medians over what was compared; where the system tells.
fn busy(found: &Comparison) -> Option<String> {
    let [then, now] = [0, 1].map(|side: usize| {
        let mut busy: Vec<f64> = found.compared.iter().filter_map(|row| row.others_busy_cpus[side]).collect();
        busy.sort_by(f64::total_cmp);
        busy.get(busy.len() / 2).copied()
    });
    Some(format!("others kept {:.1} CPUs busy then, {:.1} now", then?, now?))
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
        assert!(text.contains("\nothers kept 0.0 CPUs busy then, 0.0 now\n"), "{text}");
        assert!(
            text.ends_with("1 of 6 times regressed by more than 10 % (Mann-Whitney, Holm, level 0.05)\n"),
            "{text}"
        );
    }

    #[test]
    fn what_moved_together_is_told_with_what_speaks_for_the_machine() {
        let shift = |times_ratio, ceilings_ratio| {
            let place = crate::bench::Place::Thread;
            shifted(&Shift { place, times: 24, together: 20, times_ratio, ceilings_ratio })
        };
        assert_eq!(
            shift(1.2, Some(1.3)),
            "thread: 20 of 24 times are slower now, by 20 % in the middle, and the probe of what the machine can do is slower by up \
             to 30 %: the machine, rather than the program? 20 % of it is not counted"
        );
        assert!(shift(1.2, Some(0.99)).ends_with("is not: the program, rather than the machine"));
        assert!(shift(0.8, None).ends_with("No probe tells: run both again, one after the other"));
    }

    #[test]
    fn who_else_was_at_work_is_told_beside_a_regression() {
        let (old, mut new) = (examples::report(), examples::report());
        new.rows[1].others_busy_cpus = Some(1.25);
        for run in new.rows[1].cells.iter_mut().flat_map(|cell| &mut cell.runs) {
            run.ms *= 1.5;
        }
        let found = Comparison::of(&old, &new, 0.1).unwrap();
        let text = comparison_text(&found, 0.1, &new.machine.devices, Style::PLAIN);
        assert!(text.contains("  regressed; others kept 1.2 CPUs busy, and 0.0 then\n"), "{text}");
    }
}
