//! What an outcome and its plan tell of a job.

use std::sync::Arc;
use std::time::Duration;

use super::JobLine;
use crate::device::DeviceId;
use crate::engine::{Outcome, RanOn};
use crate::plan::{Candidate, Choice, Plan, Prediction};
use crate::report::chosen;

/// Of what went wrong, characters that are kept.
const MESSAGE_CHARS: usize = 300;

/// What a plan foresaw.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreseen {
    /// What was chosen.
    pub choice: Choice,
    /// How long that was predicted to take, from the plan to the end, waiting included.
    pub end_ms: f64,
    /// And how long of that it was to run; `None` for a split, of which waiting is not told apart.
    pub run_ms: Option<f64>,
    /// The best of the other choices on each device by itself, allowed or not: when it was predicted to end.
    pub others: Vec<(Choice, Prediction)>,
    /// Why it was chosen.
    pub reason: String,
}

/// The plan that was looked at last: jobs of a batch share theirs.
pub(crate) type LastPlan = Option<(Arc<Plan>, Option<Arc<Foreseen>>)>;

impl Foreseen {
    /// Of a plan; `None` where nothing was predicted.
    pub fn of(plan: &Plan) -> Option<Self> {
        let taken = chosen(plan)?;
        let end_ms = taken.predicted?.ms;
        let is_split = matches!(taken.choice, Choice::Split { .. });
        let mut others: Vec<(Choice, Prediction)> = Vec::new();
        // A split is a choice of the moment: nobody can say how its parts would have fallen elsewhere.
        let alone = |other: &&Candidate| !matches!(other.choice, Choice::Split { .. }) && !std::ptr::eq(*other, taken);
        for other in plan.candidates.iter().filter(alone) {
            let Some(predicted) = other.predicted else { continue };
            match others.iter_mut().find(|(known, _)| device_of(known) == device_of(&other.choice)) {
                Some((_, best)) if best.ms <= predicted.ms => {}
                Some(best) => *best = (other.choice.clone(), predicted),
                None => others.push((other.choice.clone(), predicted)),
            }
        }
        Some(Self {
            choice: plan.choice.clone(),
            end_ms,
            run_ms: (!is_split).then_some((end_ms - taken.waiting_ms).max(0.0)),
            others,
            reason: plan.reason.clone(),
        })
    }

    /// Whether what was chosen is where it ran.
    pub fn is_on(&self, ran_on: RanOn) -> bool {
        match (device_of(&self.choice), ran_on) {
            (Some(device), RanOn::One(other)) => device == other,
            (None, RanOn::Split) => true,
            _ => false,
        }
    }
}

/// The device of a choice; `None` for a split.
pub(crate) fn device_of(choice: &Choice) -> Option<DeviceId> {
    match choice {
        Choice::Cpu { .. } => Some(DeviceId::Cpu),
        Choice::Gpu { index } => Some(DeviceId::Gpu(*index)),
        Choice::Split { .. } => None,
    }
}

impl JobLine {
    /// The line of a job that ended `ended` after the begin of the run.
    pub(crate) fn of(outcome: &Outcome, ended: Duration, last: &mut LastPlan) -> Self {
        let timings = &outcome.timings;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        // How long something took that did not come to its end says nothing of a prediction.
        let foreseen = outcome.plan.as_ref().filter(|_| outcome.result.is_ok()).and_then(|plan| match last {
            Some((known, foreseen)) if Arc::ptr_eq(known, plan) => foreseen.clone(),
            _ => last.insert((plan.clone(), Foreseen::of(plan).map(Arc::new))).1.clone(),
        });
        let as_planned = foreseen.as_ref().is_some_and(|foreseen| foreseen.is_on(outcome.ran_on));
        Self {
            index: outcome.index,
            id: outcome.id.clone(),
            kind: outcome.kind,
            cause: outcome.result.as_ref().err().map(|error| error.cause.name()),
            message: outcome.result.as_ref().err().map(|error| beginning(&error.message)),
            ran_on: outcome.ran_on.to_string(),
            submitted: ended.saturating_sub(timings.total),
            queued: timings.queued,
            ended,
            took_ms: ms(timings.predictable()),
            own_ms: timings.own.filter(|_| as_planned).map(ms),
            since_plan_ms: ms(timings.since_plan),
            foreseen,
        }
    }
}

/// As much of a message as a line keeps.
pub(crate) fn beginning(message: &str) -> Arc<str> {
    match message.char_indices().nth(MESSAGE_CHARS) {
        Some((end, _)) => format!("{} …", &message[..end]).into(),
        None => message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::{failed, plan, succeeded};

    #[test]
    fn a_line_keeps_what_was_foreseen_of_its_own_time_and_of_every_end() {
        // It took 3003 ms on gpu:0, for which 2800 were predicted, 250 of them waiting, and 8400 for the CPU.
        let line = JobLine::of(&succeeded(), Duration::from_secs(5), &mut None);
        let foreseen = line.foreseen.unwrap();
        assert_eq!((foreseen.end_ms, foreseen.run_ms, line.cause), (2800.0, Some(2550.0), None));
        let others: Vec<_> = foreseen.others.iter().map(|(choice, end)| (choice.clone(), end.ms)).collect();
        assert_eq!(others, [(Choice::Cpu { threads: 8 }, 8400.0)], "waiting is part of it, and no split is there");
        assert_eq!((line.own_ms, line.since_plan_ms), (Some(3003.0), 3004.0));
        assert!((line.took_ms - 3003.0).abs() < 0.01, "{}", line.took_ms);
        assert_eq!(line.submitted, Duration::from_secs(5) - succeeded().timings.total);
    }

    #[test]
    fn what_ran_elsewhere_than_planned_is_held_against_no_prediction_of_its_own_time() {
        let helped = Outcome { ran_on: RanOn::Split, ..succeeded() };
        let line = JobLine::of(&helped, Duration::from_secs(5), &mut None);
        assert_eq!(line.own_ms, None);
        assert!(line.foreseen.is_some());
    }

    #[test]
    fn of_several_choices_on_one_device_the_best_is_kept() {
        let mut several = plan();
        let mut fewer = several.candidates[1].clone();
        fewer.choice = Choice::Cpu { threads: 1 };
        fewer.predicted.as_mut().unwrap().ms = 3100.0;
        several.candidates.push(fewer);
        let others = Foreseen::of(&several).unwrap().others;
        assert!(matches!(&others[..], [(Choice::Cpu { threads: 1 }, end)] if end.ms == 3100.0), "{others:?}");
    }

    #[test]
    fn a_job_that_failed_has_its_cause_and_no_prediction() {
        let line = JobLine::of(&failed(), Duration::from_secs(1), &mut None);
        assert_eq!((line.cause, line.foreseen), (Some("bad_input"), None));
        assert_eq!(line.ran_on, "none");
        assert_eq!(line.message.as_deref(), failed().result.err().map(|error| error.message).as_deref());
    }

    #[test]
    fn of_a_long_message_the_beginning_is_kept() {
        let message = "é".repeat(MESSAGE_CHARS + 1);
        assert_eq!(beginning(&message).chars().count(), MESSAGE_CHARS + 2);
        assert_eq!(&*beginning(&message[2..]), &message[2..]);
    }
}
