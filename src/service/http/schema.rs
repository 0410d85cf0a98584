//! The objects of the API.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::journal::{Entry, State};
use crate::service::ids::job_id;
use crate::service::keeper::{Found, Outcomes};

/// A result that is longer is not repeated in what is said of its job.
const RESULT_HERE_MAX: usize = 1 << 20;

/// A job that was taken in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Acknowledged {
    /// The id by which the service knows it.
    #[schema(example = "kqtz-17")]
    pub id: String,
    /// Its state now.
    #[schema(value_type = StateName)]
    pub state: &'static str,
}

/// The state of a job.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(test), expect(dead_code, reason = "it is how the API's description lists what `State` is called"))]
pub(super) enum StateName {
    Queued,
    Running,
    RetryWait,
    Succeeded,
    Failed,
    Cancelled,
    Expired,
    Dead,
}

/// A job as it is sent: these fields, and those of its kind.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is how the API's description tells of what `intake` reads")]
pub(super) struct JobRequest {
    /// What is to be done.
    #[schema(example = "primes")]
    pub kind: String,
    /// A name of your own for the job, of 255 bytes at most: comes back as `label`.
    #[schema(nullable = false, max_length = 255)]
    pub id: Option<String>,
    /// Where it may run: `auto` (the usual), `cpu`, `gpu`, `gpu:0` or `split`.
    #[schema(nullable = false)]
    pub device: Option<String>,
    /// The jobs that have to succeed before this one begins, by their ids; or the id of one.
    #[schema(nullable = false, example = json!(["kqtz-17"]))]
    pub after: Option<Vec<String>>,
    /// Jobs of higher priority begin first; 0 if left out.
    #[schema(nullable = false, minimum = -1000, maximum = 1000)]
    pub priority: Option<i32>,
    /// The longest it may run, as in `30s`, or in seconds.
    #[schema(nullable = false, example = "30s")]
    pub timeout: Option<String>,
    /// How often it is tried again after a time-out or the loss of a device.
    #[schema(nullable = false)]
    pub retries: Option<u32>,
    /// The memory it needs, as in `2GiB`, or in bytes; estimated if left out.
    #[schema(nullable = false, example = "2GiB")]
    pub memory: Option<String>,
    /// The longest it may take from when it is sent, waiting included, as in `10m`, or in seconds; then it ends as `expired`.
    #[schema(example = "10m")]
    pub deadline: Option<String>,
    /// The name of a dataset, in place of the field for the kind's input (`file`, or `path` of `corr`).
    #[schema(nullable = false, example = "scan-17")]
    pub dataset: Option<String>,
    /// Any JSON: comes back unchanged.
    #[schema(value_type = Option<serde_json::Value>)]
    pub metadata: Option<Box<RawValue>>,
}

/// What became of one line of a batch: it has an `id` if the job was accepted, and an `error` if not.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is written piece by piece; this is how the API's description tells of it")]
pub(super) struct BatchLine {
    /// The number of the line, from 1; empty lines count.
    pub line: usize,
    pub id: Option<String>,
    /// Why it was refused. After a thousand errors, the others come without their messages.
    pub error: Option<super::error::Failure>,
}

/// The `data` of an `event: job`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is written in one go; this is how the API's description tells of it")]
pub(super) struct JobEvent {
    #[schema(example = "kqtz-17")]
    pub id: String,
    #[schema(value_type = StateName)]
    pub state: &'static str,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The `data` of an `event: missed`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is written in one go; this is how the API's description tells of it")]
pub(super) struct Missed {
    /// How many events the listener has missed: they are no longer remembered. Null where nobody knows, since the service was started anew.
    #[schema(required = true)]
    pub count: Option<u64>,
}

/// A job. Times are milliseconds since 1970.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobView {
    #[schema(example = "kqtz-17")]
    pub id: String,
    /// The `id` that its sender gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub kind: String,
    #[schema(value_type = StateName)]
    pub state: &'static str,
    /// How often it has been started.
    pub attempts: u32,
    pub priority: i32,
    pub accepted_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// When it expires, if it has not ended by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<i64>,
    /// When it is tried again, while it is `retry_wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<i64>,
    /// The jobs that it still waits for: those of its `after` and `$result` that have not succeeded yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub awaits: Vec<String>,
    /// The kind of its failure, if it has failed; of the last one while it is `retry_wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The `metadata` that came with it, unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub metadata: Option<Box<RawValue>>,
    /// Where it ran: `cpu`, `gpu:0`, `split`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "cpu")]
    pub device: Option<String>,
    /// Where its time went, by phase, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub timings_ms: Option<Box<RawValue>>,
    /// Why it ran on that device: the candidates, with the time predicted for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub plan: Option<Box<RawValue>>,
    /// Its result. One of more than 1 MiB is left out here: `GET /v1/jobs/{id}/result` gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// How long the result is, where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<usize>,
    /// What went wrong: `cause`, `message`, and details.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub error: Option<Box<RawValue>>,
}

/// Some jobs, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobList {
    pub jobs: Vec<JobView>,
    /// Give this as `after` to get the next page; left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl JobView {
    /// What is known of a job without its outcome.
    pub fn brief(tag: &str, entry: Entry) -> Self {
        Self {
            id: job_id(tag, entry.seq),
            label: entry.label,
            kind: entry.kind,
            state: entry.state.name(),
            attempts: entry.attempts,
            priority: entry.priority,
            accepted_ms: entry.accepted_ms,
            started_ms: entry.started_ms,
            ended_ms: entry.ended_ms,
            deadline_ms: entry.deadline_ms,
            cause: entry.cause,
            metadata: None,
            device: entry.device,
            timings_ms: None,
            plan: None,
            awaits: Vec::new(),
            retry_ms: None,
            result: None,
            result_bytes: None,
            error: None,
        }
    }

    /// All that is known of a job.
    pub fn whole(tag: &str, found: Found) -> Self {
        let Found { entry, request, outcome, awaits, retry_ms } = found;
        let mut view = Self::brief(tag, entry);
        (view.metadata, view.retry_ms) = (metadata_of(&request), retry_ms);
        view.awaits = awaits.iter().map(|seq| job_id(tag, *seq)).collect();
        let Some(outcome) = outcome else { return view };
        // It is of this program's own making.
        let parts: Outcomes<'_> = serde_json::from_str(&outcome).unwrap_or_default();
        let own = |part: Option<&RawValue>| part.map(ToOwned::to_owned);
        (view.timings_ms, view.plan) = (own(parts.timings_ms), own(parts.plan));
        view.error = own(parts.error);
        match parts.result {
            Some(result) if result.get().len() > RESULT_HERE_MAX => view.result_bytes = Some(result.get().len()),
            result => view.result = own(result),
        }
        view
    }
}

/// The name of a state that clients wrote.
pub(super) fn state_named(name: &str) -> Result<State, String> {
    State::of_name(name).ok_or_else(|| {
        let known: Vec<&str> = State::ALL.iter().map(|state| state.name()).collect();
        format!("unknown state `{}`: one of {}", crate::job::shorten(name), known.join(", "))
    })
}

fn metadata_of(request: &str) -> Option<Box<RawValue>> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        metadata: Option<Box<RawValue>>,
    }
    if !request.contains("metadata") {
        return None;
    }
    serde_json::from_str::<Metadata>(request).ok()?.metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_lists_the_states_that_there_are() {
        use StateName::{Cancelled, Dead, Expired, Failed, Queued, RetryWait, Running, Succeeded};
        let listed = [Queued, Running, RetryWait, Succeeded, Failed, Cancelled, Expired, Dead];
        let listed = listed.map(|state| serde_json::to_value(state).unwrap());
        assert_eq!(listed, State::ALL.map(|state| serde_json::Value::from(state.name())));
    }
}
