//! Events as they happen, as a browser's `EventSource` reads them.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::App;
use super::error::{ApiError, ErrorBody};
use super::extract::Path;
use super::jobs::reading;
use crate::service::events::{Event, LISTENERS_MAX, News};
use crate::service::ids::seq_of;

/// So many events go to a listener in one piece at most.
const PIECE: usize = 4096;

/// A sign of life, so that whatever lies between does not take the connection for dead.
const ALIVE: Duration = Duration::from_secs(15);

/// What happens to all jobs: `event: job`, `data:` a `JobEvent`. A listener that comes back with `Last-Event-ID` goes on
/// where it was; one that is too slow gets `event: missed`, `data:` a `Missed`.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(("Last-Event-ID" = Option<String>, Header)),
    responses(
        (status = 200, body = String, content_type = "text/event-stream", example = "id: 17\nevent: job\ndata: {\"id\":\"kqtz-17\",\"state\":\"queued\",\"at_ms\":1}\n\n"),
        (status = 503, description = "As many listen as may", body = ErrorBody)
    )
)]
pub(super) async fn all(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let from = last_seen(&headers).map_or_else(|| app.events.next(), |last| last.saturating_add(1));
    stream(app, from, None, String::new())
}

/// What happens to one job, until it has ended. It begins with how far the job has come.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/events",
    tag = "events",
    params(("id" = String, Path), ("Last-Event-ID" = Option<String>, Header)),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 204, description = "The job has ended, and who comes back with `Last-Event-ID` has been told so"),
        (status = 404, body = ErrorBody)
    )
)]
pub(super) async fn of_job(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let seq = seq_of(app.tag(), &id).ok_or_else(|| ApiError::no_such_job(&id))?;
    // What happens from here on is told from the events, so that nothing falls between.
    let from = app.events.next();
    let keeper = app.clone();
    let found = reading(&app, move || keeper.find(seq)).await??.ok_or_else(|| ApiError::no_such_job(&id))?;
    let entry = found.entry;
    let at_ms = entry.ended_ms.or(entry.started_ms).unwrap_or(entry.accepted_ms);
    // Its number is that of the event before, so that who comes back with it misses nothing.
    let begin = app.events.written(from.saturating_sub(1), Event { seq, state: entry.state, at_ms });
    let last = last_seen(&headers);
    if entry.state.is_terminal() {
        // A browser comes back whenever an answer ends, unless it is told that there is nothing more to come.
        let knows = last.is_some_and(|last| app.events.knows_end(last, seq, at_ms));
        return Ok(if knows { StatusCode::NO_CONTENT.into_response() } else { response(Body::from(begin)) });
    }
    match last {
        // What he has not seen begins where he was.
        Some(last) => stream(app, last.saturating_add(1), Some(seq), String::new()),
        None => stream(app, from, Some(seq), begin),
    }
}

fn last_seen(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

fn response(body: Body) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, body).into_response()
}

fn stream(app: App, from: u64, only: Option<u64>, begin: String) -> Result<Response, ApiError> {
    let Ok(place) = app.listeners.clone().try_acquire_owned() else {
        let message = format!("{LISTENERS_MAX} listen already: ask for a job's state, or try again later");
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_listeners", message));
    };
    // One piece is on its way, and the next one is made once there is room: what happens meanwhile stays where all find it.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        feed(app, from, only, begin, sender).await;
        drop(place);
    });
    Ok(response(Body::from_stream(ReceiverStream::new(receiver))))
}

type ToListener = mpsc::Sender<Result<Bytes, Infallible>>;

/// Sends events until the listener is gone, the one job has ended, or the service does.
async fn feed(app: App, mut from: u64, only: Option<u64>, begin: String, sender: ToListener) {
    let mut more = app.events.subscribe();
    if !begin.is_empty() && sender.send(Ok(begin.into())).await.is_err() {
        return;
    }
    loop {
        // What comes from here on wakes him again.
        more.mark_unchanged();
        let News { pieces, next, is_behind, has_ended } = app.events.since(from, PIECE, only);
        from = next;
        for piece in pieces {
            if sender.send(Ok(piece)).await.is_err() {
                return;
            }
        }
        if has_ended {
            return;
        }
        if is_behind {
            continue;
        }
        tokio::select! {
            changed = more.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
            () = app.stopping() => return,
            () = tokio::time::sleep(ALIVE) => if sender.send(Ok(Bytes::from_static(b":\n\n"))).await.is_err() { return },
        }
    }
}
