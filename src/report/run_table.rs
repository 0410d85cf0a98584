//! The table of a run on a terminal: a line a job, as they end.

use crate::engine::Outcome;
use crate::report::Style;
use crate::report::explain::predicted;
use crate::report::figures::{counted, time, time_ms, whole};
use crate::report::style::visible;
use crate::report::table::{Align, cut, line};
use crate::results::Tally;

/// Widths that fit 80 columns. They are fixed, since lines are shown before the last job is known.
const WIDTHS: [usize; 5] = [16, 34, 6, 8, 9];
const ALIGNS: [Align; 5] = [Align::Left, Align::Left, Align::Left, Align::Right, Align::Right];

/// The head of the table.
pub fn run_head(style: Style) -> String {
    style.faint(&line(&["job", "result", "ran on", "took", "predicted"], &WIDTHS, &ALIGNS)) + "\n"
}

/// The line of a job.
pub fn run_row(outcome: &Outcome, style: Style) -> String {
    let result = match &outcome.result {
        Ok(answer) => cut(&visible(&answer.summary()), WIDTHS[1]),
        Err(error) => style.bad(&format!("failed: {}", error.cause)),
    };
    let took = time(outcome.timings.phases.total());
    let predicted =
        outcome.plan.as_deref().and_then(predicted).map_or_else(|| "-".to_owned(), |found| time_ms(found.ms));
    let job = cut(&visible(&outcome.id), WIDTHS[0]);
    line(&[&job, &result, &outcome.ran_on.to_string(), &took, &predicted], &WIDTHS, &ALIGNS) + "\n"
}

/// The end of a run: the failures, how to look closer at the first (`closer` without the options for it, if there is a way), and
/// `3 jobs, 0 failed` or `3 jobs, 0 failed, 1 cancelled`.
pub fn run_summary(tally: &Tally, closer: Option<&str>, style: Style) -> String {
    let mut text = String::new();
    for failure in tally.failures() {
        let id = style.bad(&visible(&failure.id));
        text += &format!(
            "{id}: {}: {}\n",
            failure.error.cause,
            visible(failure.error.message.lines().next().unwrap_or_default())
        );
    }
    let unnamed = tally.failed - tally.failures().len() as u64;
    if unnamed > 0 {
        text += &format!("and {} more that failed\n", whole(unnamed));
    }
    if let (Some(first), Some(closer)) = (tally.failures().next(), closer) {
        text += &format!("to look closer: {closer} --only {} --explain\n", quoted(&first.id));
    }
    let failed = format!("{} failed", whole(tally.failed));
    let failed = if tally.failed > 0 { style.bad(&failed) } else { failed };
    let rest = [(tally.skipped, "skipped"), (tally.cancelled, "cancelled"), (tally.not_started, "not started")];
    let rest = rest.iter().filter(|(count, _)| *count > 0);
    let rest: String = rest.map(|(count, what)| format!(", {} {what}", whole(*count))).collect();
    let kept = if tally.kept > 0 { format!(", {} kept from an earlier run", whole(tally.kept)) } else { String::new() };
    text + &format!("{}, {failed}{rest}{kept}\n", counted(tally.jobs, "job", "jobs"))
}

/// The word as a POSIX shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", visible(word).replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Cause, JobError};
    use crate::report::examples::{failed, succeeded};

    #[test]
    fn rows_line_up_under_the_head_and_fit_eighty_columns() {
        let long = Outcome { id: "a-very-long-name-for-a-job".into(), ..succeeded() };
        let text = run_head(Style::PLAIN) + &run_row(&succeeded(), Style::PLAIN) + &run_row(&long, Style::PLAIN);
        assert_eq!(
            text + &run_row(&failed(), Style::PLAIN),
            "\
job               result                              ran on      took  predicted
a                 4 primes                            gpu:0     3.00 s     2.80 s
a-very-long-nam…  4 primes                            gpu:0     3.00 s     2.80 s
#5                failed: bad_input                   none        0 ms          -
"
        );
        assert!(run_head(Style::PLAIN).trim_end().len() <= 81);
    }

    #[test]
    fn a_run_without_failures_ends_with_one_line() {
        let mut tally = Tally::default();
        (0..3).for_each(|index| tally.add(&Outcome { index, ..succeeded() }));
        assert_eq!(run_summary(&tally, Some("tandem run j.jsonl"), Style::PLAIN), "3 jobs, 0 failed\n");
    }

    #[test]
    fn cancelled_jobs_are_counted_apart() {
        let mut tally = Tally::default();
        tally.add(&succeeded());
        let result = Err(JobError::new(Cause::Cancelled, "cancelled"));
        tally.add(&Outcome { index: 1, result, ..failed() });
        assert_eq!(run_summary(&tally, Some("tandem run j.jsonl"), Style::PLAIN), "2 jobs, 0 failed, 1 cancelled\n");
    }

    #[test]
    fn of_a_cause_with_many_lines_the_first_is_told() {
        let mut tally = Tally::default();
        tally.add(&Outcome { result: Err(JobError::bad_input("first\n  second")), ..failed() });
        let text = run_summary(&tally, Some("tandem run j.jsonl"), Style::PLAIN);
        assert!(text.starts_with("#5: bad_input: first\nto look closer"), "{text}");
    }

    #[test]
    fn failures_are_named_up_to_twenty_and_then_counted() {
        let mut tally = Tally::default();
        for index in 0..25 {
            let result = Err(JobError::new(Cause::Io, format!("x{index}.npy: no such file")));
            tally.add(&Outcome { index, id: format!("#{}", index + 1).into(), result, ..failed() });
        }
        let text = run_summary(&tally, Some("tandem run j.jsonl"), Style::PLAIN);
        assert!(text.starts_with("#1: io: x0.npy: no such file\n#2: io:"), "{text}");
        assert!(
            text.ends_with(
                "and 5 more that failed\nto look closer: tandem run j.jsonl --only '#1' --explain\n25 jobs, 25 failed\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn words_are_quoted_for_a_shell_where_they_need_it() {
        assert_eq!(quoted("a.b-c"), "a.b-c");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
