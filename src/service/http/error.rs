//! What goes wrong with a request: a status, and an object that says what, where, and what to do.

use std::io::ErrorKind;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::incoming::Broken;
use crate::journal::JournalError;
use crate::service::datasets::NotPut;
use crate::service::intake::Refusal;
use crate::service::keeper::{NotRetried, Unaccepted};
use crate::service::live::Full;

/// What is wrong with a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Failure {
    /// The kind of failure, for programs.
    #[schema(example = "bad_input")]
    pub code: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
    /// The line of the body where it is wrong, from 1; left out where there is no one place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The byte in that line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

/// An answer that says what is wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    pub error: Failure,
}

/// Why a request failed.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub status: StatusCode,
    pub failure: Failure,
    retry_after_s: Option<u32>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let failure = Failure { code, message: message.into(), line: None, column: None };
        Self { status, failure, retry_after_s: None }
    }

    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_input", message)
    }

    /// A body that is text up to this byte.
    pub fn not_utf8(body: &[u8], valid_up_to: usize) -> Self {
        let mut error = Self::bad_input(format!("the job is not UTF-8: byte {} is wrong", valid_up_to + 1));
        let before = &body[..valid_up_to];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        error.failure.line = Some(memchr::memchr_iter(b'\n', before).count() + 1);
        error.failure.column = Some(valid_up_to - line_start + 1);
        error
    }

    pub fn no_such_job(id: &str) -> Self {
        let id = crate::job::shorten(id);
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("no job `{id}`: it was never there, or is kept no longer"),
        )
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// A body in an encoding that is not read.
    pub fn encoded(encoding: &str) -> Self {
        let message =
            format!("the body is encoded (`{}`), which is not read here: send it plain", crate::job::shorten(encoding));
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded", message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// A mistake of this program's.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request could not be answered");
        let message = "the request could not be answered: see the log of the service";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// A job is cancelled, and the journal does not take that just now.
    pub fn not_written_yet() -> Self {
        let message = "the job does not run any more, but that cannot be written down just now: were the service to end before it can, it would \
                       be run after all";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unwritable", message).retry_after(10)
    }

    /// A job is cancelled that is being queued again.
    pub fn not_there_yet() -> Self {
        let message = "the job is just about to be queued again: try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(1)
    }

    /// There is no room for what the client sends.
    pub fn no_memory() -> Self {
        let message = "what others send takes all the memory that there is for it: try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(2)
    }

    /// A file could not be written.
    pub fn no_room(error: &std::io::Error) -> Self {
        tracing::error!(%error, "what a client sent cannot be written");
        if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            let message = "this cannot be written: the disk of the service is full";
            return Self::new(StatusCode::INSUFFICIENT_STORAGE, DISK_FULL, message).retry_after(10);
        }
        let message = "this cannot be written just now: see the log of the service";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unwritable", message).retry_after(10)
    }

    /// What clients send takes as much as it may.
    pub fn no_space(max_bytes: u64) -> Self {
        let message = format!(
            "files of jobs and datasets take {max_bytes} bytes here at most, and that is taken: DELETE datasets that are not needed, or start \
             the service with a larger --max-data"
        );
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "no_space", message).retry_after(10)
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

/// Goes with an answer that says that the disk is full, for those behind it who can do something about that.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiskFull;

/// The code of such an answer.
const DISK_FULL: &str = "disk_full";

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let is_disk_full = self.failure.code == DISK_FULL;
        let mut response = (self.status, Json(ErrorBody { error: self.failure })).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if is_disk_full {
            response.extensions_mut().insert(DiskFull);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::KeyUsed => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key_used", error.to_string()),
            error if error.is_full() => {
                tracing::error!(%error, "a job could not be written down");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, DISK_FULL, "no room is left on the disk of the service")
                    .retry_after(10)
            }
            JournalError::Closed => Self::draining(),
            error => {
                // Which file it was is nobody's business outside.
                tracing::error!(%error, "the journal cannot be used");
                Self::stuck()
            }
        }
    }
}

impl ApiError {
    pub fn stuck() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "journal", "the journal cannot be used just now").retry_after(5)
    }

    /// As many listen to events as may.
    pub fn too_many_listeners(max: usize) -> Self {
        let message = format!("{max} listen already: ask for a job's state, or try again later");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_listeners", message).retry_after(5)
    }

    pub fn draining() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "draining", "the service is about to end: try again in a moment")
            .retry_after(5)
    }
}

impl From<Broken> for ApiError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Stalled => {
                let message =
                    "nothing more came of the body for too long, or next to nothing: send it all, or less at a time";
                Self::new(StatusCode::REQUEST_TIMEOUT, "stalled", message)
            }
            Broken::Early => Self::bad_input("the body ends early: send as much as its head says"),
        }
    }
}

impl From<NotPut> for ApiError {
    fn from(not: NotPut) -> Self {
        match not {
            NotPut::TooMany(_) => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "too_many_datasets", not.to_string()).retry_after(10)
            }
            NotPut::Disk(error) => Self::no_room(&error),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(misplaced) => {
                let mut error = Self::bad_input(misplaced.message);
                (error.failure.line, error.failure.column) = (Some(misplaced.line), Some(misplaced.column));
                error
            }
            Refusal::Forbidden(message) => Self::new(StatusCode::FORBIDDEN, "forbidden", message),
            Refusal::Unnamed(message) => Self::bad_input(message),
            Refusal::Unreadable(error) => error.into(),
            Refusal::NeverFits(message) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "memory", message),
        }
    }
}

impl From<NotRetried> for ApiError {
    fn from(not: NotRetried) -> Self {
        match not {
            NotRetried::Unaccepted(unaccepted) => unaccepted.into(),
            NotRetried::FilesGone => Self::conflict(
                "what this job reads is gone: its files have made room for those of others (--max-data), or its dataset was replaced since: \
                 send it anew",
            ),
            NotRetried::Journal(error) => error.into(),
        }
    }
}

impl From<Unaccepted> for ApiError {
    fn from(unaccepted: Unaccepted) -> Self {
        match unaccepted {
            Unaccepted::Refused(refusal) => refusal.into(),
            Unaccepted::Full(full) => {
                let what = match full {
                    Full::Jobs => "the queue is full: as many jobs have not ended as may be here",
                    Full::Bytes => "the queue is full: the jobs in it take as much memory as they may",
                };
                Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", format!("{what}: try again in a moment"))
                    .retry_after(1)
            }
            Unaccepted::Draining => Self::draining(),
        }
    }
}
