//! Events as they happen, as a browser's `EventSource` reads them.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::App;
use super::error::{ApiError, ErrorBody};
use super::jobs::blocking;
use crate::service::events::{Event, News};
use crate::service::ids::seq_of;

/// So many events are on their way to a listener at most; what comes meanwhile, he is told later or has missed.
const ON_THE_WAY: usize = 64;

/// A sign of life, so that whatever lies between does not take the connection for dead.
const ALIVE: Duration = Duration::from_secs(15);

/// What happens to all jobs: `event: job`, `data: {"id","state","at_ms"}`. A listener that comes back with `Last-Event-ID` goes on
/// where it was; one that is too slow gets `event: missed`, `data: {"count":n}`.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"))
)]
pub(super) async fn all(State(app): State<App>, headers: HeaderMap) -> Response {
    let from = last_seen(&headers).map_or_else(|| app.events.next(), |last| last.saturating_add(1));
    stream(app, from, None, Vec::new())
}

/// What happens to one job, until it has ended. It begins with how far the job has come.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/events",
    tag = "events",
    params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = 404, body = ErrorBody))
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
    let found = blocking(move || keeper.find(seq)).await??.ok_or_else(|| ApiError::no_such_job(&id))?;
    let entry = found.entry;
    let at_ms = entry.ended_ms.or(entry.started_ms).unwrap_or(entry.accepted_ms);
    let begin = vec![(from, Event { seq, state: entry.state, at_ms })];
    let from = last_seen(&headers).map_or(from, |last| last.saturating_add(1));
    Ok(stream(app, from, Some(seq), begin))
}

fn last_seen(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

fn stream(app: App, from: u64, only: Option<u64>, begin: Vec<(u64, Event)>) -> Response {
    let (sender, receiver) = mpsc::channel(ON_THE_WAY);
    tokio::spawn(feed(app, from, only, begin, sender));
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

type ToListener = mpsc::Sender<Result<SseEvent, Infallible>>;

/// Sends events until the listener is gone, the one job has ended, or the service does.
async fn feed(app: App, mut from: u64, only: Option<u64>, begin: Vec<(u64, Event)>, sender: ToListener) {
    let mut next = app.events.subscribe();
    for (number, event) in begin {
        // Its number is that of the next event, so that who comes back with it misses nothing.
        let is_last = event.state.is_terminal();
        if sender.send(Ok(written(&app, number.saturating_sub(1), event))).await.is_err() || is_last {
            return;
        }
    }
    loop {
        let News { missed, events, next: after } = app.events.since(from, ON_THE_WAY);
        from = after;
        if missed > 0 {
            let event = SseEvent::default().event("missed").data(format!("{{\"count\":{missed}}}"));
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
        let is_idle = events.is_empty();
        for (number, event) in events {
            if only.is_some_and(|only| only != event.seq) {
                continue;
            }
            if sender.send(Ok(written(&app, number, event))).await.is_err() {
                return;
            }
            if only.is_some() && event.state.is_terminal() {
                return;
            }
        }
        if is_idle {
            tokio::select! {
                changed = next.changed() => if changed.is_err() { return },
                () = sender.closed() => return,
                () = app.stopping() => return,
            }
        }
    }
}

fn written(app: &App, number: u64, event: Event) -> SseEvent {
    let Event { seq, state, at_ms } = event;
    let data = format!("{{\"id\":\"{}\",\"state\":\"{state}\",\"at_ms\":{at_ms}}}", app.id_of(seq));
    SseEvent::default().id(number.to_string()).event("job").data(data)
}
