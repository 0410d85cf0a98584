//! A benchmark against an earlier one.

use crate::bench::{Change, Compared, Comparison, Key};
use crate::report::bench::percent;
use crate::report::figures::{counted, time_ms, whole};
use crate::report::{Align, Style, Table, visible};

/// What each change is called.
pub(super) const fn change_name(change: Change) -> &'static str {
    match change {
        Change::Regressed => "regressed",
        Change::Slower => "slower, within the limit",
        Change::Same => "same",
        Change::Faster => "faster",
        Change::TooFewRuns => "too few runs to tell",
    }
}

/// `+12 %`.
pub(super) fn change_percent(row: &Compared) -> String {
    let share = row.new_ms / row.old_ms - 1.0;
    format!("{}{}", if share < 0.0 { "-" } else { "+" }, percent(share.abs()))
}

/// Every time of both, what has regressed first; what only one has; and a sentence with the outcome.
pub fn comparison_text(found: &Comparison, max_regression: f64, style: Style) -> String {
    let mut text: String = found.warnings.iter().map(|warning| format!("{}\n", style.bad(&visible(warning)))).collect();
    let (left, right) = (Align::Left, Align::Right);
    let mut table = Table::new(&[
        ("kind", left),
        ("variant", left),
        ("units", right),
        ("where", left),
        ("then", right),
        ("now", right),
        ("change", right),
        ("p", right),
        ("", left),
    ]);
    let mut rows: Vec<&Compared> = found.compared.iter().collect();
    rows.sort_by_key(|row| row.change != Change::Regressed);
    for row in rows {
        let name = change_name(row.change);
        table.row([
            visible(&row.key.kind).into_owned(),
            visible(&row.key.variant).into_owned(),
            whole(row.key.units),
            visible(&row.key.place).into_owned(),
            time_ms(row.old_ms),
            time_ms(row.new_ms),
            change_percent(row),
            format!("{:.3}", row.p),
            match row.change {
                Change::Regressed => style.bad(name),
                Change::Faster => style.good(name),
                _ => name.to_owned(),
            },
        ]);
    }
    text += &table.render("", style);
    for (keys, which) in [(&found.only_old, "only in the baseline"), (&found.only_new, "not in the baseline")] {
        if !keys.is_empty() {
            text += &format!("{which}: {}\n", names(keys));
        }
    }
    text + &outcome(found, max_regression) + "\n"
}

/// The first few of these, and how many more.
fn names(keys: &[Key]) -> String {
    const SHOWN: usize = 8;
    let name = |key: &Key| format!("{} {} {} {}", key.kind, visible(&key.variant), whole(key.units), key.place);
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
        let text = comparison_text(&found, 0.1, Style::PLAIN);
        let first = text.lines().nth(1).unwrap();
        assert!(first.contains("gpu:0") && first.contains("+50 %") && first.ends_with("regressed"), "{text}");
        assert!(text.contains("only in the baseline: stats f32 10,000 thread; "), "{text}");
        assert!(
            text.ends_with("1 of 6 times regressed by more than 10 % (Mann-Whitney, Holm, level 0.05)\n"),
            "{text}"
        );
    }
}
