//! `/v1/jobs`: one job at a time.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::App;
use super::error::{ApiError, ErrorBody};
use super::extract::{Path, Query};
use super::incoming::{Incoming, check_plain};
use super::memory::Held;
use super::multipart::{FORM, Parts, bounded, read_parts};
use super::places::{LONG, PARSED_TIMES, json, read_whole, reading, writing};
use super::schema::{Acknowledged, JobRequest, JobView};
use crate::job::parse_wait;
use crate::journal::{Accepted, IdempotencyKey, State as JobState};
use crate::service::ids::seq_of;
use crate::service::intake::Refusal;
use crate::service::keeper::{Cancelled, Found, Keeper, Labels, Named, Outcomes, Unaccepted, may_name_jobs};
use crate::service::uploads::{Files, Upload};

/// So long a cancelled job is waited for to be written down.
const WRITTEN: Duration = Duration::from_secs(10);

/// The longest that an answer is waited for.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Accepts a job.
///
/// It comes as a JSON object, as on a line of a job file; or as a multipart form whose part `job` is that object, and whose other parts are
/// files that the job refers to as `{"$file":"PART"}`.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    tag = "jobs",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send a job twice: the same key with the same body makes one job")),
    request_body(
        content(
            (JobRequest = "application/json", example = json!({"kind": "primes", "range": "0..1e9"})),
            (Object = "multipart/form-data")
        ),
        description = "`kind`, the fields of that kind, and optionally those that every job may have (`JobRequest` lists them)"
    ),
    responses(
        (status = 202, description = "It is on disk", body = Acknowledged,
            headers(("Idempotent-Replayed" = Option<String>, description = "`true` where the key was used before: the answer is about that job"))),
        (status = 400, description = "It is no job: line and column say where", body = ErrorBody),
        (status = 403, description = "It asks for a file, program or address that jobs here may not use", body = ErrorBody),
        (status = 413, description = "It is too long, or needs more memory than jobs here may take", body = ErrorBody),
        (status = 422, description = "The key was used with another body", body = ErrorBody),
        (status = 429, description = "The queue is full", body = ErrorBody),
        (status = 507, description = "The disk of the service is full, or `--max-data` is taken", body = ErrorBody)
    )
)]
pub(super) async fn post(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    check_plain(request.headers())?;
    let key = key_of(request.headers())?;
    let mut held = app.memory.hold();
    if is_multipart(request.headers()) {
        held.grow(FORM).await?;
        let (request, unseen) = bounded(request, app.options.client_timeout);
        let form = Multipart::from_request(request, &())
            .await
            .map_err(|error| ApiError::bad_input(format!("no form of several parts: {error}")))?;
        let Parts { job, upload, digest } = read_parts(&app, form, &unseen, &mut held).await?;
        return take_in(app, job, held, Some(upload), key.map(|key| IdempotencyKey { key, digest })).await;
    }
    let body = Incoming::new(request.into_body(), app.options.client_timeout);
    let body = body.whole(&mut held, app.options.max_body_bytes).await?;
    let key = key.map(|key| IdempotencyKey { key, digest: Sha256::digest(&body).into() });
    let job = text_of(&body)?;
    take_in(app, job, held, None, key).await
}

/// Has a job prepared, written down, and acknowledged. Once it is accepted, it counts among those that wait.
async fn take_in(
    app: App,
    job: Arc<str>,
    mut held: Held,
    upload: Option<Upload>,
    key: Option<IdempotencyKey>,
) -> Result<Response, ApiError> {
    // What is known already comes back also where nothing new is taken in, and where what it was made of is gone.
    if let Some(key) = key.clone() {
        let keeper = app.clone();
        if let Some(seq) = reading(&app, move || keeper.known(&key)).await?? {
            let state = state_of(&app, seq).await?;
            return Ok(acknowledged(&app, seq, state, true));
        }
    }
    // A path of the job's own may lead to a disk that takes its time.
    let may_wait =
        job.len() > LONG || upload.is_some() || may_name_jobs(job.as_bytes()) || !app.options.allow_paths.is_empty();
    if job.len() > LONG {
        held.grow_for(job.len().saturating_mul(PARSED_TIMES)).await?;
    }
    let keeper = app.clone();
    let accept = move || {
        let _held = held;
        let nothing = Files::new();
        let labels = Labels::default();
        let files = upload.as_ref().map_or(&nothing, Upload::files);
        let prepared = keeper.prepare(&job, files, Named::New(&labels)).map_err(Unaccepted::Refused)?;
        if let Some(name) = &prepared.unnamed_file {
            let shown = crate::job::shorten(name);
            let message = format!(
                "the job does not name the file `{shown}` that came with it: put {{\"$file\":\"{shown}\"}} in place of a path, or leave it out"
            );
            return Err(Unaccepted::Refused(Refusal::Unnamed(message)));
        }
        keeper.accept(job, prepared, upload, key)
    };
    let written = if may_wait { writing(&app, accept).await? } else { accept() };
    let written = written.inspect_err(|_| app.count_refusal())?;
    match written.await.map_err(|_| ApiError::draining())?? {
        Accepted::New(seq) => Ok(acknowledged(&app, seq, JobState::Queued, false)),
        Accepted::Known(seq) => {
            let state = state_of(&app, seq).await?;
            Ok(acknowledged(&app, seq, state, true))
        }
    }
}

fn acknowledged(app: &Keeper, seq: u64, state: JobState, is_known: bool) -> Response {
    let id = app.id_of(seq);
    let location = HeaderValue::try_from(format!("/v1/jobs/{id}"));
    let body = serde_json::to_string(&Acknowledged { id, state: state.name() }).unwrap_or_default();
    let mut response = (StatusCode::ACCEPTED, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(location) = location {
        headers.insert(header::LOCATION, location);
    }
    if is_known {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

async fn state_of(app: &App, seq: u64) -> Result<JobState, ApiError> {
    let keeper = app.clone();
    let state = reading(app, move || keeper.state(seq)).await??;
    Ok(state.unwrap_or(JobState::Queued))
}

/// How long an answer may be waited for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    wait: Option<String>,
}

impl Wait {
    fn time(&self) -> Result<Option<Duration>, ApiError> {
        let time = self.wait.as_deref().map(parse_wait).transpose();
        Ok(time.map_err(|message| ApiError::bad_input(format!("wait: {message}")))?.map(|time| time.min(WAIT_MAX)))
    }

    /// Whether the job has ended, the time is over or the service ends: what is known then is the answer.
    async fn until_ended(&self, app: &App, seq: u64) -> Result<(), ApiError> {
        if let Some(time) = self.time()?
            && let Some(ended) = app.ended(seq)
        {
            tokio::select! {
                _ = tokio::time::timeout(time, ended) => {}
                () = app.stopping() => {}
            }
        }
        Ok(())
    }
}

/// Gives a job: its state, and its result or error.
///
/// With `wait=10s` the answer comes once the job has ended, or after that time.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = String, Path), ("wait" = Option<String>, Query, description = "How long to wait for its end, as in `10s`; a minute at most, and `0` is not to wait")),
    responses((status = 200, body = JobView), (status = 404, body = ErrorBody), (status = 400, body = ErrorBody))
)]
pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Response, ApiError> {
    let seq = seq_of(app.tag(), &id).ok_or_else(|| ApiError::no_such_job(&id))?;
    wait.until_ended(&app, seq).await?;
    if let Some(found) = app.find_live(seq).filter(|found| found.request.len() <= LONG) {
        return Ok(json(written(app.tag(), found)?.into()));
    }
    // To take a long one apart takes a while, as reading it does.
    let view =
        read_whole(&app, seq, move |keeper| keeper.find(seq)?.map(|found| written(keeper.tag(), found)).transpose());
    view.await?.ok_or_else(|| ApiError::no_such_job(&id))
}

/// All that is known of a job, as clients get it.
fn written(tag: &str, found: Found) -> Result<String, ApiError> {
    serde_json::to_string(&JobView::whole(tag, found)).map_err(|error| ApiError::internal(&error))
}

/// Gives the result of a job alone.
///
/// With `wait=10s` the answer comes once the job has ended, or after that time.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/result",
    tag = "jobs",
    params(("id" = String, Path), ("wait" = Option<String>, Query, description = "How long to wait for its end, as in `10s`; a minute at most, and `0` is not to wait")),
    responses(
        (status = 200, description = "The `result` alone: the same bytes on every device", body = serde_json::Value),
        (status = 404, body = ErrorBody),
        (status = 409, description = "The job has no result, or none yet", body = ErrorBody)
    )
)]
pub(super) async fn result(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Response, ApiError> {
    let seq = seq_of(app.tag(), &id).ok_or_else(|| ApiError::no_such_job(&id))?;
    wait.until_ended(&app, seq).await?;
    let result = read_whole(&app, seq, move |keeper| {
        let Some(found) = keeper.find(seq)? else { return Ok(None) };
        let outcome = found.outcome.unwrap_or_default();
        let parts: Outcomes<'_> = serde_json::from_str(&outcome).unwrap_or_default();
        let state = found.entry.state;
        let none = || ApiError::conflict(format!("the job is {state}: only one that has succeeded has a result"));
        parts.result.map(|result| Some(result.get().to_owned())).ok_or_else(none)
    });
    result.await?.ok_or_else(|| ApiError::no_such_job(&id))
}

/// Cancels a job. Cancelling it again changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "It was cancelled before, and has ended", body = Acknowledged),
        (status = 202, description = "It ends as cancelled, now or in a moment", body = Acknowledged),
        (status = 404, body = ErrorBody),
        (status = 409, description = "It has ended otherwise, or was done before it could be cancelled", body = ErrorBody)
    )
)]
pub(super) async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let seq = seq_of(app.tag(), &id).ok_or_else(|| ApiError::no_such_job(&id))?;
    let ended = app.ended(seq);
    let waited = app.find_live(seq).is_some_and(|found| found.entry.state != JobState::Running);
    let cancelled = app.cancel(seq);
    if waited && matches!(cancelled, Cancelled::Over | Cancelled::Asked) {
        // What is acknowledged outlives whatever ends this process. The engine ends one at once that it has not begun.
        let written = tokio::time::timeout(WRITTEN, async { ended?.await.ok() });
        match written.await {
            Ok(Some(JobState::Cancelled)) => return Ok(acknowledged(&app, seq, JobState::Cancelled, false)),
            // Small ones that the engine runs together may have been done before it heard of it.
            Ok(Some(state)) => return Err(ended_as(state)),
            // It has begun after all, and ends in a while.
            _ if app.find_live(seq).is_some_and(|found| found.entry.state == JobState::Running) => {}
            _ => return Err(ApiError::not_written_yet()),
        }
    }
    match cancelled {
        Cancelled::Over | Cancelled::Asked => {
            // One that runs ends as soon as the engine has seen to it.
            let state = app.find_live(seq).map_or(JobState::Cancelled, |found| found.entry.state);
            Ok(acknowledged(&app, seq, state, false))
        }
        Cancelled::TooLate => Err(ApiError::conflict("the job is ending already")),
        Cancelled::Unknown => {
            let keeper = app.clone();
            let state = reading(&app, move || keeper.state(seq)).await??.ok_or_else(|| ApiError::no_such_job(&id))?;
            match state {
                JobState::Cancelled => {
                    let body = Acknowledged { id: app.id_of(seq), state: JobState::Cancelled.name() };
                    Ok(axum::Json(body).into_response())
                }
                state if !state.is_terminal() => Err(ApiError::not_there_yet()),
                state => Err(ended_as(state)),
            }
        }
    }
}

/// It cannot be cancelled any more.
fn ended_as(state: JobState) -> ApiError {
    ApiError::conflict(format!("the job has ended: it is {state}"))
}

/// Tries a job again that has ended without success.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/retry",
    tag = "jobs",
    params(("id" = String, Path)),
    responses(
        (status = 202, body = Acknowledged),
        (status = 404, body = ErrorBody),
        (status = 409, description = "It has not ended, or has succeeded", body = ErrorBody)
    )
)]
pub(super) async fn retry(State(app): State<App>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let seq = seq_of(app.tag(), &id).ok_or_else(|| ApiError::no_such_job(&id))?;
    let keeper = app.clone();
    match writing(&app, move || keeper.retry(seq)).await?? {
        None => Err(ApiError::no_such_job(&id)),
        Some(true) => Ok(acknowledged(&app, seq, JobState::Queued, false)),
        Some(false) => Err(ApiError::conflict("only a job that has ended without success can be tried again")),
    }
}

pub(super) fn text_of(body: &[u8]) -> Result<Arc<str>, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| ApiError::not_utf8(body, error.valid_up_to()))?;
    Ok(text.into())
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= 255);
    let wrong = || ApiError::bad_input("Idempotency-Key: give up to 255 printable characters");
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}
