//! `/v1/batches`: many jobs in one go, a line each.

use std::fmt::Write;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;
use tokio_stream::StreamExt;

use super::App;
use super::error::{ApiError, ErrorBody};
use super::jobs::{LONG, blocking};
use crate::journal::{Accepted, JournalError};
use crate::service::keeper::{Labels, Named, Unaccepted};
use crate::service::uploads::Files;

/// So many jobs come in one batch at most: what became of each is told at the end.
const LINES_MAX: usize = 100_000;

/// Where as many jobs wait as may, the next line waits for so long at a time.
const ROOM: Duration = Duration::from_millis(20);

/// What became of a line.
enum Line {
    Waiting(oneshot::Receiver<Result<Accepted, JournalError>>),
    Refused(ApiError),
}

/// Takes jobs in, JSON Lines, as they come. The answer has a line for each, in their order: `{"line":1,"id":"kqtz-17"}`, or
/// `{"line":2,"error":{…}}` for one that is no job, which leaves the others alone. Where as many wait as may, the next is read once there
/// is room.
#[utoipa::path(
    post,
    path = "/v1/batches",
    tag = "jobs",
    request_body(content = String, content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "A line for each job, once all are on disk", body = String, content_type = "application/x-ndjson"),
        (status = 503, description = "The service is about to end", body = ErrorBody)
    )
)]
pub(super) async fn post(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    if app.is_draining() {
        return Err(ApiError::draining());
    }
    if request.headers().contains_key("idempotency-key") {
        return Err(ApiError::bad_input(
            "Idempotency-Key is for single jobs: send them one by one to /v1/jobs, each with a key of its own",
        ));
    }
    let mut body = request.into_body().into_data_stream();
    let (mut lines, mut rest, mut number) = (Vec::new(), Vec::new(), 0_usize);
    let mut has_broken_off = false;
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else {
            has_broken_off = true;
            break;
        };
        rest.extend_from_slice(&chunk);
        let mut from = 0;
        while let Some(end) = memchr::memchr(b'\n', &rest[from..]) {
            number += 1;
            take_line(&app, &mut lines, number, &rest[from..from + end]).await?;
            from += end + 1;
        }
        rest.drain(..from);
        if rest.len() > app.options.max_body_bytes {
            let message = format!(
                "line {} is longer than {} bytes: send long data as a file",
                number + 1,
                app.options.max_body_bytes
            );
            lines.push((number + 1, Line::Refused(ApiError::too_large(message))));
            has_broken_off = true;
            break;
        }
        if lines.len() > LINES_MAX {
            let message =
                format!("more than {LINES_MAX} jobs: send the lines from {} on in a batch of their own", number + 1);
            lines.push((number + 1, Line::Refused(ApiError::too_large(message))));
            has_broken_off = true;
            break;
        }
    }
    if !has_broken_off && !rest.is_empty() {
        take_line(&app, &mut lines, number + 1, &rest).await?;
    }
    answer(&app, lines).await
}

async fn take_line(app: &App, lines: &mut Vec<(usize, Line)>, number: usize, bytes: &[u8]) -> Result<(), ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let line = loop {
        // Made a job of only where there is room for it: that takes longer than looking.
        if !app.has_room(bytes.len()) {
            tokio::time::sleep(ROOM).await;
            continue;
        }
        let (keeper, text) = (app.clone(), bytes.to_vec());
        let taken =
            if bytes.len() > LONG { blocking(move || accept(&keeper, &text)).await? } else { accept(app, bytes) };
        match taken {
            Err(Unaccepted::Full(_)) => tokio::time::sleep(ROOM).await,
            Err(Unaccepted::Refused(refusal)) => {
                app.count_refusal();
                break Line::Refused(refusal.into());
            }
            Err(other) => break Line::Refused(other.into()),
            Ok(written) => break Line::Waiting(written),
        }
    };
    lines.push((number, line));
    Ok(())
}

fn accept(app: &App, bytes: &[u8]) -> Result<oneshot::Receiver<Result<Accepted, JournalError>>, Unaccepted> {
    let malformed = |column, message: String| {
        Unaccepted::Refused(crate::service::intake::Refusal::Malformed(crate::job::Misplaced {
            line: 1,
            column,
            message,
        }))
    };
    let text =
        std::str::from_utf8(bytes).map_err(|error| malformed(error.valid_up_to() + 1, "not UTF-8".to_owned()))?;
    let prepared = app.prepare(text, &Files::new(), Named::New(&Labels::default())).map_err(Unaccepted::Refused)?;
    app.accept(text.into(), prepared, None, None)
}

async fn answer(app: &App, lines: Vec<(usize, Line)>) -> Result<Response, ApiError> {
    let mut out = String::with_capacity(lines.len() * 40);
    for (number, line) in lines {
        let failure = match line {
            Line::Waiting(written) => match written.await.unwrap_or(Err(JournalError::Closed)) {
                Ok(Accepted::New(seq) | Accepted::Known(seq)) => {
                    let _ = writeln!(out, "{{\"line\":{number},\"id\":\"{}\"}}", app.id_of(seq));
                    continue;
                }
                Err(error) => ApiError::from(error).failure,
            },
            Line::Refused(error) => error.failure,
        };
        let failure = serde_json::to_string(&failure).unwrap_or_default();
        let _ = writeln!(out, "{{\"line\":{number},\"error\":{failure}}}");
    }
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/x-ndjson")], out).into_response())
}
