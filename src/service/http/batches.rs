//! `/v1/batches`: many jobs in one go, a line each.
//!
//! What became of them is told once all have come, since most clients read no answer before they have sent everything: one that is
//! written meanwhile could stand still, and they with it. Until then it is kept as the text that it will be.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio_stream::StreamExt;

use super::App;
use super::error::{ApiError, Failure};
use super::incoming::{Incoming, check_plain};
use super::memory::Held;
use super::places::{LONG, PARSED_TIMES, writing};
use crate::journal::{Accepted, JournalError};
use crate::service::keeper::{Labels, Named, Unaccepted, may_name_jobs};
use crate::service::uploads::Files;

/// So many jobs come in one batch at most: what became of each is told at the end.
const LINES_MAX: usize = 100_000;

/// So many of them are on their way to the disk at once.
const PENDING_MAX: usize = 4096;

/// So many refusals are told in full, and messages so far; of the others only what kind they are of, and the place.
const TOLD_MAX: usize = 1000;
const MESSAGE_MAX: usize = 1000;

/// What a name takes beside its text.
const LABEL_BYTES: usize = 64;

/// Where as many jobs wait as may, the next line waits for so long at a time.
const ROOM: Duration = Duration::from_millis(20);
const ROOM_LATER: Duration = Duration::from_secs(1);

/// Tells once a job is on disk.
type Written = oneshot::Receiver<Result<Accepted, JournalError>>;

/// What became of a line.
enum Line {
    Waiting(Option<Arc<str>>, Written),
    Refused(Failure),
}

/// What became of the lines so far.
struct Answer<'a> {
    app: &'a App,
    /// Those that are decided, in their order.
    text: String,
    /// Those behind them.
    pending: VecDeque<(usize, Line)>,
    /// What jobs of lines before are called, for those that name them; and how many bytes those names have.
    labels: Labels,
    label_bytes: usize,
    lines: usize,
    refused: usize,
}

/// Accepts many jobs, as JSON Lines.
///
/// The answer comes at the end and has a line for each job, in their order: `{"line":1,"id":"kqtz-17"}` if it was accepted,
/// `{"line":2,"error":{…}}` if not; a bad line does not affect the others. After a thousand errors, the others come without their messages.
/// `after` and `$result` may name jobs on earlier lines by the `id` that those give themselves; if several have the same, the last one is
/// meant. While the queue is full, reading pauses.
#[utoipa::path(
    post,
    path = "/v1/batches",
    tag = "jobs",
    request_body(content = String, content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "A `BatchLine` for each job, once all are on disk", body = String, content_type = "application/x-ndjson")
    )
)]
pub(super) async fn post(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    if app.is_draining() {
        return Err(ApiError::draining());
    }
    check_plain(request.headers())?;
    if request.headers().contains_key("idempotency-key") {
        return Err(ApiError::bad_input(
            "Idempotency-Key is for single jobs: send them one by one to /v1/jobs, each with a key of its own",
        ));
    }
    let mut body = Incoming::new(request.into_body(), app.options.client_timeout);
    let mut answer = Answer {
        app: &app,
        text: String::new(),
        pending: VecDeque::new(),
        labels: Labels::new(),
        label_bytes: 0,
        lines: 0,
        refused: 0,
    };
    let (mut held, mut rest, mut number) = (app.memory.hold(), Vec::new(), 0_usize);
    // Up to here no line ends in what is left.
    let mut searched = 0;
    // Why no more lines are taken.
    let mut stopped = None;
    'pieces: while let Some(piece) = body.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(broken) => {
                stopped = Some(broken.into());
                break;
            }
        };
        rest.extend_from_slice(&piece);
        if let Err(full) = answer.hold(&mut held, &rest).await {
            stopped = Some(full);
            break;
        }
        let mut from = 0;
        while let Some(at) = memchr::memchr(b'\n', &rest[searched..]) {
            let end = searched + at;
            if let Err(full) = answer.take(number + 1, &rest[from..end]).await {
                stopped = Some(full);
                break 'pieces;
            }
            number += 1;
            (from, searched) = (end + 1, end + 1);
        }
        rest.drain(..from);
        searched = rest.len();
        if rest.len() > app.options.max_body_bytes {
            let max = app.options.max_body_bytes;
            stopped =
                Some(ApiError::too_large(format!("the line is longer than {max} bytes: send long data as a file")));
            break;
        }
    }
    if stopped.is_none() {
        stopped = answer.take(number + 1, &rest).await.err();
    }
    drop(rest);
    match stopped {
        // Nothing was taken in: all of it can be sent again.
        Some(error) if answer.lines == 0 => return Err(error),
        Some(error) => answer.refuse(number + 1, error.failure),
        None => {}
    }
    answer.settle(0).await;
    let text = std::mem::take(&mut answer.text);
    let length = text.len();
    // The jobs are taken in: it is told in any case.
    let body = if length > LONG { held.keep(text) } else { text.into() };
    let lines = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, lines), (header::CONTENT_LENGTH, length.into())], body).into_response())
}

impl Answer<'_> {
    /// Holds what the text so far takes, and the lines that were not looked at, twice: each becomes a text of its own.
    async fn hold(&self, held: &mut Held, rest: &[u8]) -> Result<(), ApiError> {
        let wanted = self.text.len() + self.label_bytes + 2 * rest.len();
        held.shrink(held.bytes().saturating_sub(wanted));
        held.grow(wanted - held.bytes()).await
    }

    /// Takes a line in, or refuses it.
    ///
    /// # Errors
    /// Where there were as many as may be, or there is no memory to take it apart in: neither was done.
    async fn take(&mut self, number: usize, bytes: &[u8]) -> Result<(), ApiError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        if self.lines >= LINES_MAX {
            let message =
                format!("more than {LINES_MAX} jobs: send the lines from this one on in a batch of their own");
            return Err(ApiError::too_large(message));
        }
        let app = self.app;
        let names_jobs = may_name_jobs(bytes);
        if names_jobs && self.may_name_pending(bytes) {
            self.settle(0).await;
        }
        let may_wait = bytes.len() > LONG || names_jobs || !app.options.allow_paths.is_empty();
        let mut pause = ROOM;
        let refusal = loop {
            // Made a job of only where there is room for it: that takes longer than looking.
            if !app.has_room(bytes.len()) {
                tokio::time::sleep(ROOM).await;
                continue;
            }
            // Not while it waits for room.
            let mut parsing = app.memory.hold();
            if bytes.len() > LONG {
                parsing.grow_for(bytes.len().saturating_mul(PARSED_TIMES)).await?;
            }
            let taken = if may_wait {
                let (keeper, text, labels) = (app.clone(), bytes.to_vec(), std::mem::take(&mut self.labels));
                match writing(app, move || (accept(&keeper, &text, &labels), labels)).await {
                    Ok((taken, labels)) => {
                        self.labels = labels;
                        taken
                    }
                    Err(error) => break error,
                }
            } else {
                accept(app, bytes, &self.labels)
            };
            drop(parsing);
            match taken {
                // It takes more than what was sent, or others were faster: to make a job of it so often would take longer than that.
                Err(Unaccepted::Full(_)) => {
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(ROOM_LATER);
                }
                // It may be one of those on their way to the disk that it names.
                Err(Unaccepted::Refused(_)) if names_jobs && !self.pending.is_empty() => self.settle(0).await,
                Err(Unaccepted::Refused(refusal)) => {
                    app.count_refusal();
                    break refusal.into();
                }
                Err(other) => break other.into(),
                Ok((label, written)) => {
                    self.lines += 1;
                    self.pending.push_back((number, Line::Waiting(label, written)));
                    self.settle(PENDING_MAX).await;
                    return Ok(());
                }
            }
        };
        self.refuse(number, refusal.failure);
        self.settle(PENDING_MAX).await;
        Ok(())
    }

    /// Whether a line may name one of those on their way to the disk: that one is meant, whatever others before are called the same.
    fn may_name_pending(&self, bytes: &[u8]) -> bool {
        // With an escape, a name may be written in many ways.
        let is_escaped = bytes.contains(&b'\\');
        self.pending.iter().any(|(_, line)| match line {
            Line::Waiting(Some(label), _) => is_escaped || memchr::memmem::find(bytes, label.as_bytes()).is_some(),
            _ => false,
        })
    }

    fn refuse(&mut self, number: usize, mut failure: Failure) {
        self.lines += 1;
        self.refused += 1;
        // Of the body, as in any other answer.
        failure.line = failure.line.map(|_| number);
        if self.refused > TOLD_MAX {
            failure.message = format!("refused: only the first {TOLD_MAX} are told why");
        } else if failure.message.len() > MESSAGE_MAX {
            failure.message.truncate(failure.message.floor_char_boundary(MESSAGE_MAX));
            failure.message.push('…');
        }
        self.pending.push_back((number, Line::Refused(failure)));
    }

    /// Writes of those that are decided, and waits until no more than so many are not.
    async fn settle(&mut self, most: usize) {
        loop {
            let must_wait = self.pending.len() > most;
            let Some((number, line)) = self.pending.front_mut() else { return };
            let told = match line {
                Line::Refused(failure) => Err(failure.clone()),
                Line::Waiting(label, written) => {
                    let told = match written.try_recv() {
                        Err(TryRecvError::Empty) if !must_wait => return,
                        Err(TryRecvError::Empty) => written.await.unwrap_or(Err(JournalError::Closed)),
                        Err(TryRecvError::Closed) => Err(JournalError::Closed),
                        Ok(told) => told,
                    };
                    if let (Some(label), Ok(Accepted::New(seq))) = (label.take(), &told) {
                        self.label_bytes += label.len() + LABEL_BYTES;
                        self.labels.insert(label, *seq);
                    }
                    told.map_err(|error| ApiError::from(error).failure)
                }
            };
            let _ = match told {
                Ok(Accepted::New(seq) | Accepted::Known(seq)) => {
                    writeln!(self.text, "{{\"line\":{number},\"id\":\"{}\"}}", self.app.id_of(seq))
                }
                Err(failure) => {
                    let failure = serde_json::to_string(&failure).unwrap_or_default();
                    writeln!(self.text, "{{\"line\":{number},\"error\":{failure}}}")
                }
            };
            self.pending.pop_front();
        }
    }
}

fn accept(app: &App, bytes: &[u8], labels: &Labels) -> Result<(Option<Arc<str>>, Written), Unaccepted> {
    let malformed = |column, message: String| {
        Unaccepted::Refused(crate::service::intake::Refusal::Malformed(crate::job::Misplaced {
            line: 1,
            column,
            message,
        }))
    };
    let text =
        std::str::from_utf8(bytes).map_err(|error| malformed(error.valid_up_to() + 1, "not UTF-8".to_owned()))?;
    let prepared = app.prepare(text, &Files::new(), Named::New(labels)).map_err(Unaccepted::Refused)?;
    let label = prepared.label.clone();
    Ok((label, app.accept(text.into(), prepared, None, None)?))
}
