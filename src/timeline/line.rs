//! What an outcome and its plan tell of a job.

use std::sync::Arc;
use std::time::Duration;

use super::JobLine;
use crate::engine::Outcome;
use crate::plan::{Candidate, Plan};
use crate::report::chosen;
use crate::report::figures::time_ms;

/// Of what went wrong, characters that are kept.
const MESSAGE_CHARS: usize = 300;

impl JobLine {
    /// The line of a job that ended `ended` after the begin of the run.
    ///
    /// Its regret is how much longer it took than the best of the other choices was predicted to take, waiting left out of both:
    /// a choice that was not allowed (`--device cpu` leaves out the GPUs) counts as well.
    pub fn of(outcome: &Outcome, ended: Duration) -> Self {
        let timings = &outcome.timings;
        let achieved_ms = timings.predictable().as_secs_f64() * 1e3;
        // How long something took that did not come to its end says nothing of a prediction.
        let plan = outcome.plan.as_deref().filter(|_| outcome.result.is_ok());
        let Judged { predicted_ms, regret_ms, reason } =
            plan.map_or_else(Judged::default, |plan| Judged::of(plan, achieved_ms));
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
            predicted_ms,
            achieved_ms,
            regret_ms,
            reason,
        }
    }
}

/// What a job took, beside its plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Judged {
    /// What its plan predicted that it takes, waiting left out.
    pub predicted_ms: Option<f64>,
    pub regret_ms: f64,
    pub reason: Option<Arc<str>>,
}

impl Judged {
    /// Of a job that took so long, waiting left out.
    pub fn of(plan: &Plan, achieved_ms: f64) -> Self {
        let other = best_other(plan);
        let regret_ms = other.map_or(0.0, |(_, other_ms)| (achieved_ms - other_ms).max(0.0));
        let reason = other.filter(|_| regret_ms > 0.0).map(|(other, other_ms)| {
            let (reason, takes) = (&plan.reason, time_ms(other_ms));
            let reason = if reason.is_empty() { String::new() } else { format!("{reason}; ") };
            format!("{reason}{} was predicted to take {takes} once it begins", other.choice).into()
        });
        Self { predicted_ms: chosen(plan).and_then(runs_ms), regret_ms, reason }
    }
}

/// As much of a message as a line keeps.
pub(crate) fn beginning(message: &str) -> Arc<str> {
    match message.char_indices().nth(MESSAGE_CHARS) {
        Some((end, _)) => format!("{} …", &message[..end]).into(),
        None => message.into(),
    }
}

/// How long a choice is predicted to take once it has begun, in milliseconds.
fn runs_ms(candidate: &Candidate) -> Option<f64> {
    candidate.predicted.map(|predicted| (predicted.ms - candidate.waiting_ms).max(0.0))
}

/// The best of the choices that were not taken, and how long it is predicted to take, in milliseconds.
fn best_other(plan: &Plan) -> Option<(&Candidate, f64)> {
    let taken = chosen(plan)?;
    let others = plan.candidates.iter().filter(|other| !std::ptr::eq(*other, taken));
    others.filter_map(|other| Some((other, runs_ms(other)?))).min_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::{failed, plan, succeeded};

    #[test]
    fn a_line_sets_what_it_took_beside_its_prediction_and_the_best_of_the_others() {
        // It took 3003 ms on gpu:0, for which 2800 were predicted, 250 of them waiting, and 8400 for the CPU.
        let line = JobLine::of(&succeeded(), Duration::from_secs(5));
        assert_eq!((line.predicted_ms, line.regret_ms, line.cause), (Some(2550.0), 0.0, None));
        assert_eq!(line.reason, None);
        assert!((line.achieved_ms - 3003.0).abs() < 0.01, "{}", line.achieved_ms);
        assert_eq!(line.submitted, Duration::from_secs(5) - succeeded().timings.total);
        let mut worse = plan();
        worse.candidates[1].predicted.as_mut().unwrap().ms = 2900.0;
        worse.candidates[1].waiting_ms = 1000.0;
        let line = JobLine::of(&Outcome { plan: Some(Arc::new(worse)), ..succeeded() }, Duration::from_secs(5));
        assert!((line.regret_ms - (line.achieved_ms - 1900.0)).abs() < 1e-9, "{}", line.regret_ms);
        let reason = "gpu:0 is predicted to end 3.0x sooner than cpu, 8 threads; cpu, 8 threads was predicted to take 1.90 s once it begins";
        assert_eq!(line.reason.as_deref(), Some(reason));
    }

    #[test]
    fn a_job_that_failed_has_its_cause_and_no_prediction() {
        let line = JobLine::of(&failed(), Duration::from_secs(1));
        assert_eq!((line.cause, line.predicted_ms, line.regret_ms), (Some("bad_input"), None, 0.0));
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
