//! How jobs end: what the engine gives back, what is cancelled, and what is written down of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::{Outcome, OutcomeSink, RanOn, Timings};
use crate::job::{Cause, JobError};
use crate::journal::{Ended, JournalError, Released, State};
use crate::report::{Detail, write_outcome};
use crate::service::clock::wall_ms;
use crate::service::events::Event;
use crate::service::keeper::Keeper;
use crate::service::live::{AfterFailure, Early};

/// What came of the wish to cancel a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Cancelled {
    /// It is over by that: once this is written down.
    Over,
    /// It ends as cancelled as soon as the engine has seen to it, or it was to end so before.
    Asked,
    /// It has ended otherwise, or ends by another wish.
    TooLate,
    /// There is none.
    Unknown,
}

/// The keeper as the engine knows it.
impl OutcomeSink for Keeper {
    fn accept(&self, outcomes: Vec<Outcome>) {
        // Whoever runs its jobs holds it.
        if let Some(keeper) = self.me.upgrade() {
            keeper.take(outcomes);
        }
    }

    fn began(&self, index: u64) {
        let at_ms = wall_ms();
        self.live().began(index, at_ms);
        self.events.publish(&[Event { seq: index, state: State::Running, at_ms }]);
    }
}

impl Keeper {
    /// Takes what the engine has done.
    fn take(self: &Arc<Self>, outcomes: Vec<Outcome>) {
        let (now, now_ms) = (self.now(), wall_ms());
        let mut ended = Vec::with_capacity(outcomes.len());
        let (mut retried, mut interrupted, mut unbegun) = (Vec::new(), Vec::new(), Vec::new());
        for mut outcome in outcomes {
            let seq = outcome.index;
            let state = match &mut outcome.result {
                Ok(_) => {
                    self.live().succeeded(seq);
                    State::Succeeded
                }
                Err(error) => match self.live().failed(seq, error.cause, now) {
                    AfterFailure::Ends(State::Expired) => {
                        // To the engine it is one that somebody has cancelled.
                        *error = JobError::new(Cause::Timeout, "its deadline came before its end");
                        State::Expired
                    }
                    AfterFailure::Ends(state) => state,
                    AfterFailure::Retried => {
                        retried.push(seq);
                        continue;
                    }
                    AfterFailure::Interrupted => {
                        interrupted.push(seq);
                        continue;
                    }
                    AfterFailure::Unbegun => {
                        unbegun.push(seq);
                        continue;
                    }
                },
            };
            let cause = outcome.result.as_ref().err().map(|error| error.cause.name());
            let has_run = outcome.ran_on != RanOn::Nowhere;
            let (started_ms, has_begun) =
                self.live().get(seq).map_or((None, true), |job| (job.started_ms, job.has_begun));
            // One that fails before anything runs it has been begun all the same.
            let was_begun = has_run || has_begun || !matches!(state, State::Cancelled | State::Expired);
            let device = has_run.then(|| outcome.ran_on.to_string());
            let outcome = self.outcome_json(&mut outcome).into();
            ended.push(Ended { seq, state, cause, ended_ms: now_ms, started_ms, was_begun, device, outcome });
        }
        if !retried.is_empty() {
            let events: Vec<Event> =
                retried.iter().map(|seq| Event { seq: *seq, state: State::RetryWait, at_ms: now_ms }).collect();
            self.journal.release(retried, Released::ToRetry);
            self.events.publish(&events);
            self.wake_housekeeper();
        }
        for (seqs, released) in [(interrupted, Released::Interrupted), (unbegun, Released::Unbegun)] {
            if !seqs.is_empty() {
                self.journal.release(seqs, released);
            }
        }
        self.write_ends(ended);
        self.feed();
    }

    /// A job that the engine has not got ends with this.
    pub(super) fn end_unbegun(self: &Arc<Self>, seq: u64, state: State, error: JobError) {
        let kind = {
            let mut live = self.live();
            // One that the engine has after all ends as that says.
            let Some(kind) = live.get(seq).filter(|job| job.state != State::Running).map(|job| job.kind) else {
                return;
            };
            if !matches!(live.end_early(seq, state), Some(Early::Over)) {
                return;
            }
            kind
        };
        self.write_unbegun(seq, kind, state, &error);
    }

    fn write_unbegun(self: &Arc<Self>, seq: u64, kind: &str, state: State, error: &JobError) {
        let outcome = failure_json(&self.id_of(seq), seq, kind, error).into();
        self.write_ends(vec![Ended {
            seq,
            state,
            cause: Some(error.cause.name()),
            device: None,
            ended_ms: wall_ms(),
            started_ms: None,
            was_begun: false,
            outcome,
        }]);
        // Others may have waited for it to be over, or for its place.
        self.wake_housekeeper();
    }

    /// Writes ends down, and tells of them once they are; what cannot be written is tried again later.
    pub(super) fn write_ends(self: &Arc<Self>, ended: Vec<Ended>) {
        if ended.is_empty() {
            return;
        }
        let keeper = self.clone();
        let written: Vec<Ended> = ended.clone();
        self.journal.end(
            ended,
            Box::new(move |result| match result {
                Ok(()) => keeper.ends_written(&written),
                Err(error) => keeper.not_written(written, &error),
            }),
        );
    }

    fn ends_written(self: &Arc<Self>, ended: &[Ended]) {
        let mut events = Vec::with_capacity(ended.len());
        let mut unblocks = false;
        for Ended { seq, state, ended_ms, cause, started_ms, .. } in ended {
            let removed = self.live().remove(*seq);
            self.counters.ended[*state as usize].fetch_add(1, Ordering::Relaxed);
            events.push(Event { seq: *seq, state: *state, at_ms: *ended_ms });
            let Some((job, told)) = removed else { continue };
            unblocks |= !told.is_empty();
            told.into_iter().for_each(|other| self.awaited_ended(other, *seq, *state));
            tracing::info!(
                id = self.id_of(*seq),
                kind = job.kind,
                state = state.name(),
                cause,
                attempts = job.attempts,
                waited_ms = started_ms.map(|started_ms| started_ms - job.accepted_ms),
                took_ms = started_ms.map(|started_ms| ended_ms - started_ms),
                "job ended"
            );
            // Others can be asked for once more.
            if *state == State::Succeeded {
                self.uploads.remove(&self.uploads.files_of(job.files.as_deref()));
            }
            job.waiting.into_iter().for_each(|waiting| _ = waiting.send(*state));
        }
        self.events.publish(&events);
        if unblocks {
            self.feed();
        }
    }

    fn not_written(self: &Arc<Self>, mut ended: Vec<Ended>, error: &JournalError) {
        if !error.may_pass() && ended.len() > 1 {
            // One of them is why, and is to keep no other back.
            return ended.into_iter().for_each(|end| self.write_ends(vec![end]));
        }
        if !error.may_pass()
            && let [end] = ended.as_mut_slice()
        {
            // It is its own fault, and would be for ever: a result that no database takes.
            tracing::error!(%error, id = self.id_of(end.seq), "an outcome cannot be written down");
            let kind = self.live().get(end.seq).map_or("", |job| job.kind);
            let told = JobError::new(Cause::Io, "its outcome cannot be kept: it is too long for the journal");
            end.outcome = failure_json(&self.id_of(end.seq), end.seq, kind, &told).into();
            (end.state, end.cause) = (State::Failed, Some(told.cause.name()));
        } else {
            if error.is_full() {
                self.disk_is_full();
            }
            if self.unwritten.is_due() {
                tracing::error!(%error, jobs = ended.len(), "ends of jobs could not be written down: tried again in a second, as others");
            }
        }
        self.unsaved.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(ended);
        self.wake_housekeeper();
    }

    /// Ends a job early.
    pub fn cancel(self: &Arc<Self>, seq: u64) -> Cancelled {
        self.end_early(seq, State::Cancelled)
    }

    pub(super) fn end_early(self: &Arc<Self>, seq: u64, state: State) -> Cancelled {
        let (early, kind, ends_as) = {
            let mut live = self.live();
            let Some((kind, ends_as)) = live.get(seq).map(|job| (job.kind, job.ends_as)) else {
                return Cancelled::Unknown;
            };
            (live.end_early(seq, state), kind, ends_as)
        };
        match early {
            // Once more is no other wish.
            None if ends_as == Some(state) => return Cancelled::Asked,
            None => return Cancelled::TooLate,
            Some(Early::Asked(flag)) => {
                flag.cancel();
                self.runner.engine().cancelled();
                return Cancelled::Asked;
            }
            Some(Early::Over) => {
                let error = match state {
                    State::Expired => JobError::new(Cause::Timeout, "its deadline came before its turn"),
                    _ => JobError::new(Cause::Cancelled, "cancelled before it began"),
                };
                self.write_unbegun(seq, kind, state, &error);
            }
        }
        Cancelled::Over
    }

    /// The outcome as it is kept, and as clients may see it.
    fn outcome_json(&self, outcome: &mut Outcome) -> String {
        if let Err(error) = &mut outcome.result {
            error.message = self.untold.of_error(&error.message);
            error.details = error.details.take().map(|details| self.untold.of_error(&details).into());
        }
        let mut bytes = Vec::with_capacity(512);
        let text = match write_outcome(&mut bytes, outcome, Detail::FULL) {
            Ok(()) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
            Err(error) => {
                let error = JobError::io("its result cannot be read back", &error);
                failure_json(&outcome.id, outcome.index, outcome.kind, &error)
            }
        };
        if self.intake.is_program(outcome.kind) { self.untold.of_program(text) } else { self.untold.of_kernel(text) }
    }
}

/// The outcome of a job that the engine has not seen.
pub(super) fn failure_json(id: &str, seq: u64, kind: &str, error: &JobError) -> String {
    let outcome = Outcome {
        index: seq,
        id: id.into(),
        kind: "",
        result: Err(error.clone()),
        ran_on: RanOn::Nowhere,
        timings: Timings::default(),
        attempts: 1,
        plan: None,
        hash: None,
    };
    let mut bytes = Vec::new();
    // Writing to memory does not fail, and what is written is text.
    let _ = write_outcome(&mut bytes, &outcome, Detail::FULL);
    let quoted = serde_json::Value::from(kind).to_string();
    String::from_utf8_lossy(&bytes).trim_end().replacen("\"kind\":null", &format!("\"kind\":{quoted}"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_never_ran_has_an_outcome_like_others() {
        let error = JobError::new(Cause::Cancelled, "cancelled before it began");
        let json: serde_json::Value = serde_json::from_str(&failure_json("abcd-7", 7, "my \"kind\"", &error)).unwrap();
        assert_eq!(
            (&json["kind"], &json["id"], &json["status"]),
            (&"my \"kind\"".into(), &"abcd-7".into(), &"failed".into())
        );
        assert_eq!(json["error"]["cause"], "cancelled");
    }
}
