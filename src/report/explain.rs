//! A plan in words and figures, and what became of it.

use std::fmt::Write;

use crate::engine::{Outcome, RanOn};
use crate::plan::{Candidate, Choice, Plan, Prediction};
use crate::report::Style;
use crate::report::figures::{counted, time, time_ms};
use crate::report::style::{visible, visible_lines};
use crate::report::table::{Align, Table};

/// How a job came to run where it ran: the plan, every candidate with its predicted interval, and what it really took.
pub fn explain(outcome: &Outcome, style: Style) -> String {
    let mut text = style.strong(&heading(outcome.kind, &outcome.id));
    text.push('\n');
    let timings = &outcome.timings;
    match &outcome.plan {
        Some(plan) => {
            text.push_str(&plan_text(plan, style));
            let took = timings.predictable();
            let _ = write!(text, "  took       {}", style.strong(&time(took)));
            // How long something took that did not come to its end says nothing of the prediction.
            if let Some(predicted) = predicted(plan).filter(|_| outcome.result.is_ok()) {
                let _ = write!(text, ", predicted {}", time_ms(predicted.ms));
                text.push_str(&deviation(took.as_secs_f64() * 1e3, predicted));
            }
            text.push('\n');
        }
        None => text.push_str("  plan       none: it failed before there was one\n"),
    }
    if let Err(error) = &outcome.result {
        let message = visible_lines(&error.message).replace('\n', "\n             ");
        let _ = writeln!(text, "  failed     {}: {message}", style.bad(error.cause.name()));
    }
    let phases = [
        ("queued", timings.queued),
        ("set-up", timings.phases.setup),
        ("upload", timings.phases.upload),
        ("compute", timings.phases.compute),
        ("read-back", timings.phases.readback),
    ];
    let phases: Vec<String> = phases
        .iter()
        .filter(|(_, spent)| !spent.is_zero())
        .map(|(name, spent)| format!("{name} {}", time(*spent)))
        .collect();
    if !phases.is_empty() {
        let _ = writeln!(text, "  phases     {}", phases.join(", "));
    }
    if outcome.ran_on != RanOn::Nowhere {
        let _ = writeln!(text, "  ran on     {}", outcome.ran_on);
    }
    if outcome.attempts > 1 {
        let again = counted(u64::from(outcome.attempts - 1), "chunk was", "chunks were");
        let _ = writeln!(text, "  attempts   {}: {again} begun anew because of a device", outcome.attempts);
    }
    text
}

/// What to call a job: its kind and its id, where that says more than the kind.
pub fn heading(kind: &str, id: &str) -> String {
    let id = visible(id);
    if kind.is_empty() || id == kind { id.into_owned() } else { format!("{kind} {id}") }
}

/// A plan that has not been run.
pub fn plan_text(plan: &Plan, style: Style) -> String {
    let mut text = format!("  plan       {}\n", style.strong(&plan.choice.to_string()));
    if !plan.reason.is_empty() {
        let _ = writeln!(text, "  why        {}", plan.reason);
    }
    if !plan.candidates.is_empty() {
        let mut table = Table::new(&[
            ("  candidate", Align::Left),
            ("predicted", Align::Right),
            ("between", Align::Right),
            ("and", Align::Right),
            ("note", Align::Left),
        ]);
        for candidate in &plan.candidates {
            let chosen = if candidate.choice == plan.choice { "> " } else { "  " };
            let figures = match candidate.predicted {
                Some(Prediction { ms, low_ms, high_ms }) => [ms, low_ms, high_ms].map(time_ms),
                None => ["-"; 3].map(str::to_owned),
            };
            let name = format!("{chosen}{}", candidate.choice);
            table.row([name].into_iter().chain(figures).chain([visible(&candidate.note).into_owned()]));
        }
        text.push_str(&table.render("  ", style));
    }
    if let Some(probe) = &plan.probe {
        let _ = writeln!(
            text,
            "  probe      {:.2} % of a pass runs on {}, in order to learn",
            probe.share * 100.0,
            probe.device
        );
    }
    match &plan.crossover {
        Some(crossover) => {
            let side = if crossover.below { "up to" } else { "from" };
            let units = counted(crossover.units, "unit", "units");
            let _ = writeln!(text, "  crossover  {side} {units}, {} wins", crossover.choice);
        }
        // What runs whole has no size that could be another.
        None if plan.candidates.len() > 1 && !plan.gpus_unknown && !plan.powers.is_empty() => {
            text.push_str("  crossover  no other choice wins at any size\n");
        }
        None => {}
    }
    if plan.gpus_unknown {
        text.push_str(
            "  gpus       not looked for, since this job is too short to pay for that; `tandem devices` looks\n",
        );
    }
    text
}

/// What the chosen candidate was predicted to take.
pub fn predicted(plan: &Plan) -> Option<Prediction> {
    chosen(plan)?.predicted
}

/// The candidate that was chosen.
pub fn chosen(plan: &Plan) -> Option<&Candidate> {
    let same = |choice: &Choice| match (choice, &plan.choice) {
        (Choice::Split { .. }, Choice::Split { .. }) => true,
        (a, b) => a == b,
    };
    plan.candidates.iter().find(|candidate| same(&candidate.choice))
}

/// ` (12 % more, within the interval)`.
fn deviation(took_ms: f64, predicted: Prediction) -> String {
    if predicted.ms.is_nan() || predicted.ms <= 0.0 {
        return String::new();
    }
    let percent = (took_ms / predicted.ms - 1.0) * 100.0;
    let how = match percent {
        p if p.abs() < 1.0 => "as predicted".to_owned(),
        p if p > 900.0 => format!("{:.0} times as much", took_ms / predicted.ms),
        p if p > 0.0 => format!("{p:.0} % more"),
        p => format!("{:.0} % less", -p),
    };
    let within = (predicted.low_ms..=predicted.high_ms).contains(&took_ms);
    format!(" ({how}, {} the interval)", if within { "within" } else { "outside" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::{failed, plan, succeeded};

    #[test]
    fn an_explanation_shows_every_candidate_and_sets_the_prediction_beside_what_it_took() {
        assert_eq!(
            explain(&succeeded(), Style::PLAIN),
            "\
primes a
  plan       gpu:0
  why        gpu:0 is predicted to end 3.0x sooner than cpu, 8 threads
    candidate                   predicted  between     and  note
  > gpu:0                          2.80 s   2.50 s  3.50 s  12 samples
    cpu, 8 threads                 8.40 s   8.00 s  9.00 s  prior
    split cpu 25 %, gpu:0 75 %          -        -       -  no gain
  crossover  up to 40,000 units, cpu, 1 thread wins
  took       3.00 s, predicted 2.80 s (7 % more, within the interval)
  phases     queued 250 us, set-up 1.00 ms, upload 2.00 ms, compute 3.00 s
  ran on     gpu:0
  attempts   2: 1 chunk was begun anew because of a device
"
        );
    }

    #[test]
    fn a_job_that_never_had_a_plan_says_so() {
        let text = explain(&failed(), Style::PLAIN);
        assert_eq!(
            text,
            "#5\n  plan       none: it failed before there was one\n  failed     bad_input: j:5:1: expected `\"`\n"
        );
    }

    #[test]
    fn a_job_that_did_not_succeed_is_not_judged_by_its_prediction() {
        let text = explain(&Outcome { result: failed().result, ..succeeded() }, Style::PLAIN);
        assert!(text.contains("  took       3.00 s\n") && !text.contains("the interval"), "{text}");
    }

    #[test]
    fn deviations_are_told_in_words() {
        let predicted = Prediction { ms: 100.0, low_ms: 90.0, high_ms: 150.0 };
        assert_eq!(deviation(100.4, predicted), " (as predicted, within the interval)");
        assert_eq!(deviation(50.0, predicted), " (50 % less, outside the interval)");
        assert_eq!(deviation(2000.0, predicted), " (20 times as much, outside the interval)");
        assert_eq!(deviation(1.0, Prediction { ms: 0.0, low_ms: 0.0, high_ms: 0.0 }), "");
    }

    #[test]
    fn a_plan_without_a_crossover_says_that_nothing_else_wins() {
        let plan = Plan { crossover: None, ..plan() };
        assert!(plan_text(&plan, Style::PLAIN).contains("no other choice wins at any size"));
        let text = plan_text(&Plan { gpus_unknown: true, ..plan }, Style::PLAIN);
        assert!(text.contains("  gpus       not looked for") && !text.contains("at any size"), "{text}");
    }
}
