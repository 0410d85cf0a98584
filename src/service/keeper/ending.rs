//! How jobs end: what the engine gives back, what is cancelled, and what is written down of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::{Outcome, OutcomeSink, RanOn, Timings};
use crate::job::{Cause, JobError};
use crate::journal::{Ended, JournalError, Released, State};
use crate::report::{Detail, write_outcome};
use crate::service::clock::wall_ms;
use crate::service::events::Event;
use crate::service::intake::{Prepared, Refusal};
use crate::service::keeper::{Aside, Keeper, Named};
use crate::service::live::{AfterFailure, Early};
use crate::service::untold::push_told;
use crate::service::uploads::is_own;

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

    /// A job that is not parsed (any more) is made anew of what came, or has failed by this.
    pub(super) fn prepare_again(self: &Arc<Self>, seq: u64) {
        // It may have ended meanwhile, and even be here once more.
        let sent = self.live().unprepared(seq).map(|job| (job.request.clone(), job.files.clone()));
        let Some((request, files)) = sent else { return };
        match self.prepare(&request, &self.uploads.files_of(files.as_deref()), Named::Ended) {
            Err(Refusal::Unreadable(_)) if !self.is_over.load(Ordering::Acquire) => {
                self.aside_soon(Aside::Prepared(seq));
            }
            Ok(Prepared { ready, taken_bytes, .. }) => {
                self.live().put_ready(seq, ready, taken_bytes);
                self.feed();
            }
            // At the next start, then.
            Err(Refusal::Unreadable(_)) => {}
            Err(refusal) => {
                self.live().put_ready(seq, None, 0);
                let error = JobError::bad_input(format!("it cannot be run: {}", refusal.message()));
                self.end_unbegun(seq, State::Failed, error);
            }
        }
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
            job.waiting.into_iter().for_each(|waiting| _ = waiting.send(()));
        }
        self.events.publish(&events);
        if unblocks {
            self.feed();
        }
    }

    fn not_written(self: &Arc<Self>, mut ended: Vec<Ended>, error: &JournalError) {
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
            tracing::error!(%error, jobs = ended.len(), "ends of jobs could not be written down: tried again in a second");
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

    /// The outcome as it is kept. Where the operator's things lie is nobody's business where something goes wrong; what a program answers is left
    /// as it is, but for the folders of this service, which it has from there.
    fn outcome_json(&self, outcome: &mut Outcome) -> String {
        if let Err(error) = &mut outcome.result {
            error.message = self.told(&error.message);
            error.details = error.details.take().map(|details| self.told(&details).into());
        }
        let is_of_a_program = self.intake.is_program(outcome.kind);
        let mut bytes = Vec::with_capacity(512);
        let text = match write_outcome(&mut bytes, outcome, Detail::FULL) {
            Ok(()) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
            Err(error) => {
                let error = JobError::io("its result cannot be read back", &error);
                failure_json(&outcome.id, outcome.index, outcome.kind, &error)
            }
        };
        let text = self.without_own_folders(text);
        // What a program answers is its own; others name what they have written, or read, by where it lies.
        if is_of_a_program || self.jobs_folder.is_empty() { text } else { self.jobs_folder.without(&text) }
    }

    /// What is said to clients where something went wrong.
    pub(super) fn told(&self, text: &str) -> String {
        // First its own: the operator's may be folders that those lie in.
        self.untold.without(&self.without_own_folders(text.to_owned()))
    }

    fn without_own_folders(&self, text: String) -> String {
        let text = without_folders(text, &self.outputs.prefix(), |rest| rest.into());
        let text = without_folders(text, &self.uploads.prefix(), |rest| without_upload(rest).into());
        without_folders(text, &self.datasets.prefix(), without_version)
    }
}

/// The text without a folder, and without what `shown` leaves out of what comes after it.
fn without_folders(text: String, prefix: &str, shown: impl Fn(&str) -> Cow<'_, str>) -> String {
    if memchr::memmem::find(text.as_bytes(), prefix.as_bytes()).is_none() {
        return text;
    }
    let mut parts = text.split(prefix);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| push_told(&mut clean, &shown(part)));
    clean
}

/// Of `JOB/FILE`, clients know the file. Nothing goes but what is called as a job's folder: whatever comes behind is not ours.
fn without_upload(rest: &str) -> &str {
    let end = rest.find(|char: char| !char.is_ascii_digit() && char != '-').unwrap_or(rest.len());
    let (folder, behind) = rest.split_at(end);
    if is_own(folder) { behind.strip_prefix('/').unwrap_or(behind) } else { rest }
}

/// Of `NAME/VERSION.csv`, clients know the name.
fn without_version(rest: &str) -> Cow<'_, str> {
    let is_word = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let (name, behind) = rest.split_at(rest.find(|char| !is_word(char)).unwrap_or(rest.len()));
    let Some(version) = behind.strip_prefix('/') else { return rest.into() };
    let after = version.trim_start_matches(|char: char| char.is_ascii_digit());
    if after.len() == version.len() {
        return rest.into();
    }
    let ending =
        after.strip_prefix('.').map(|ending| ending.trim_start_matches(|char: char| char.is_ascii_alphanumeric()));
    [name, ending.unwrap_or(after)].concat().into()
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
    fn outcomes_tell_files_by_their_names_alone() {
        let shown = |text: &str| without_folders(text.to_owned(), "/data/uploads/", |rest| without_upload(rest).into());
        let job = "/data/uploads/1795000000000-7";
        let text = format!(r#"{{"message":"{job}/a.npy: short, {job}/b.npy too"}}"#);
        assert_eq!(shown(&text), r#"{"message":"a.npy: short, b.npy too"}"#);
        // A folder alone, with what is none of ours behind it.
        let text = format!(r#"{{"where":{{"dir":"{job}"}},"mean":1.5,"unit":"mm/s"}}"#);
        assert_eq!(shown(&text), r#"{"where":{"dir":""},"mean":1.5,"unit":"mm/s"}"#);
        assert_eq!(shown(r#"{"a":"/data/uploads/x","b":"c/d"}"#), r#"{"a":"x","b":"c/d"}"#);
        assert_eq!(without_folders("no path".to_owned(), "/data/", |rest| rest.into()), "no path");
        let told = |text: &str| without_folders(text.to_owned(), "/data/datasets/", without_version);
        assert_eq!(told("/data/datasets/t.1/17.csv: line 3, /data/datasets/raw/6"), "t.1: line 3, raw");
        assert_eq!(told("in /data/datasets/t/7.: /data/datasets/t/x.csv"), "in t: t/x.csv");
        assert_eq!(told("file:///data/datasets/page/2.txt"), "file:///page");
        assert_eq!(told(r#"{"a":"/data/datasets/t","b":"c/7"}"#), r#"{"a":"t","b":"c/7"}"#);
    }

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
