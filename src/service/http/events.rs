//! Events as they happen, as a browser's `EventSource` reads them.

use std::convert::Infallible;
use std::fmt::Write;
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
use super::places::reading;
use crate::service::events::{Event, Form, LISTENERS_MAX, News};
use crate::service::ids::{job_id, seq_of};

/// Events as a browser reads them.
pub(in crate::service) const SERVER_SENT: Form = Form { event: write_event, missed };

fn write_event(text: &mut String, tag: &str, number: u64, event: Event) {
    let Event { seq, state, at_ms } = event;
    let id = job_id(tag, seq);
    // Writing to memory does not fail.
    let _ =
        write!(text, "id: {number}\nevent: job\ndata: {{\"id\":\"{id}\",\"state\":\"{state}\",\"at_ms\":{at_ms}}}\n\n");
}

fn missed(count: Option<u64>) -> String {
    let count = count.map_or_else(|| "null".to_owned(), |count| count.to_string());
    format!("event: missed\ndata: {{\"count\":{count}}}\n\n")
}

/// So many events go to a listener in one piece at most.
const PIECE: usize = 4096;

/// A sign of life, so that whatever lies between does not take the connection for dead.
const ALIVE: Duration = Duration::from_secs(15);

/// The events of all jobs, as they happen.
///
/// Each is `event: job` with a `JobEvent` as `data`. A listener that reconnects with `Last-Event-ID` goes on after that event; one that has
/// fallen too far behind gets `event: missed` with a `Missed` as `data`.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(("Last-Event-ID" = Option<String>, Header)),
    responses(
        (status = 200, body = String, content_type = "text/event-stream", example = "id: 17\nevent: job\ndata: {\"id\":\"kqtz-17\",\"state\":\"queued\",\"at_ms\":1}\n\n"),
        (status = 503, description = "There are as many listeners as may be", body = ErrorBody)
    )
)]
pub(super) async fn all(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let from = last_seen(&headers).map_or_else(|| app.events.next(), |last| last.saturating_add(1));
    stream(app, from, None, String::new())
}

/// The events of one job until it has ended. The first one tells the present state.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/events",
    tag = "events",
    params(("id" = String, Path), ("Last-Event-ID" = Option<String>, Header)),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 503, description = "There are as many listeners as may be, the service is about to end, or its journal cannot be used", body = ErrorBody),
        (status = 204, description = "The job has ended, and the listener of this `Last-Event-ID` has been told so"),
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
    let event = now(&app, seq).await?.ok_or_else(|| ApiError::no_such_job(&id))?;
    // Its number is that of the event before, so that who comes back with it misses nothing.
    let begin = app.events.written(from.saturating_sub(1), event);
    let last = last_seen(&headers);
    if event.state.is_terminal() {
        // A browser comes back whenever an answer ends, unless it is told that there is nothing more to come.
        let knows = last.is_some_and(|last| app.events.knows_end(last, seq, event.at_ms));
        return Ok(if knows { StatusCode::NO_CONTENT.into_response() } else { response(Body::from(begin)) });
    }
    match last {
        // What he has not seen begins where he was.
        Some(last) => stream(app, last.saturating_add(1), Some(seq), String::new()),
        None => stream(app, from, Some(seq), begin),
    }
}

/// How far a job has come, as if that happened just now.
async fn now(app: &App, seq: u64) -> Result<Option<Event>, ApiError> {
    let entry = match app.find_live(seq) {
        Some(found) => Some(found.entry),
        None => {
            let keeper = app.clone();
            reading(app, move || keeper.read(|reader| reader.job(seq))).await??
        }
    };
    Ok(entry.map(|entry| Event {
        seq,
        state: entry.state,
        at_ms: entry.ended_ms.or(entry.started_ms).unwrap_or(entry.accepted_ms),
    }))
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
        return Err(ApiError::too_many_listeners(LISTENERS_MAX));
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
    // Whether the end of the one job may be among what he missed.
    let mut is_unsure = false;
    loop {
        // What comes from here on wakes him again.
        more.mark_unchanged();
        let News { pieces, next, is_behind, has_ended, has_missed } = app.events.since(from, PIECE, only);
        from = next;
        is_unsure |= has_missed;
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
        if let Some(seq) = only.filter(|_| is_unsure) {
            match now(&app, seq).await {
                Ok(Some(event)) => {
                    let text = app.events.written(from.saturating_sub(1), event);
                    if sender.send(Ok(text.into())).await.is_err() || event.state.is_terminal() {
                        return;
                    }
                    is_unsure = false;
                }
                // It has ended, and is kept no longer.
                Ok(None) => return,
                // The journal cannot be read just now: he may have more luck later.
                Err(_) => {}
            }
        }
        tokio::select! {
            changed = more.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
            () = app.stopping() => return,
            () = tokio::time::sleep(ALIVE) => if sender.send(Ok(Bytes::from_static(b":\n\n"))).await.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Front;
    use super::*;
    use crate::journal::{Accepted, State as JobState};
    use crate::model::Location;
    use crate::runner::Runner;
    use crate::service::commands::Commands;
    use crate::service::intake::Intake;
    use crate::service::keeper::{Keeper, Labels, Named};
    use crate::service::options::{Keep, ServeOptions};
    use crate::service::reach::Allowed;
    use crate::service::uploads::Files;

    /// A job that takes some seconds, and can be cancelled.
    const LONG: &str =
        r#"{"kind":"primes","range":"1000000000000000..1000300000000000","method":"sieve","device":"cpu"}"#;

    fn app(data: &std::path::Path) -> App {
        let runner = Runner::builder().threads(1).model(Location::Nowhere).gpus(Vec::new()).build().unwrap();
        let intake = Intake::new(Commands::default(), Allowed::default(), 1 << 30);
        let options = ServeOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: data.to_owned(),
            token: None,
            allow_paths: Vec::new(),
            allow_commands: false,
            allow_fetch: false,
            queue: 100,
            queue_memory_bytes: 64 << 20,
            keep: Keep::default(),
            drain: Duration::ZERO,
            device_rest: Duration::from_secs(1),
            max_body_bytes: 1 << 20,
            body_memory_bytes: 8 << 20,
            client_timeout: Duration::from_secs(10),
            max_upload_bytes: 1 << 20,
            max_data_bytes: 1 << 20,
            max_connections: 10,
            memory_bytes: 1 << 30,
        };
        Arc::new(Front::new(Keeper::start(runner, intake, options, SERVER_SENT).unwrap()))
    }

    async fn accepted(app: &App, job: &str) -> u64 {
        let prepared = app.prepare(job, &Files::new(), Named::New(&Labels::default())).unwrap();
        match app.accept(job.into(), prepared, None, None).unwrap().await.unwrap().unwrap() {
            Accepted::New(seq) | Accepted::Known(seq) => seq,
        }
    }

    /// So much happens to others that what happened before is forgotten.
    fn forget(app: &App) {
        app.events.publish(&vec![Event { seq: 99, state: JobState::Queued, at_ms: 1 }; 20_000]);
    }

    #[test]
    fn who_may_not_listen_is_told_when_to_try_again() {
        let data = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let app = app(data.path());
        let places = app.listeners.clone().try_acquire_many_owned(LISTENERS_MAX as u32).unwrap();
        let refused = runtime.block_on(all(State(app.clone()), HeaderMap::new())).unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key(header::RETRY_AFTER));
        drop(places);
        assert!(runtime.block_on(all(State(app.clone()), HeaderMap::new())).is_ok());
        app.stop(Duration::ZERO, &|| true);
    }

    #[test]
    fn who_missed_the_end_of_his_job_is_told_of_it_and_who_missed_its_begin_goes_on() {
        let data = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let app = app(data.path());
        runtime.block_on(async {
            let teller = app.clone();
            tokio::spawn(async move { teller.events.tell().await });
            let from = app.events.next();
            let short = accepted(&app, r#"{"kind":"factor","n":12}"#).await;
            if let Some(ended) = app.ended(short) {
                ended.await.unwrap();
            }
            let long = accepted(&app, LONG).await;
            forget(&app);
            for (seq, end) in [(short, "succeeded"), (long, "cancelled")] {
                let (sender, mut pieces) = mpsc::channel(1);
                tokio::spawn(feed(app.clone(), from, Some(seq), String::new(), sender));
                let mut heard = String::new();
                let listening = async {
                    while let Some(Ok(piece)) = pieces.recv().await {
                        heard.push_str(std::str::from_utf8(&piece).unwrap());
                        // It is told how far its job has come, and hears of the end once that has one.
                        if heard.contains("event: job") && !heard.contains(end) {
                            app.cancel(seq);
                        }
                    }
                };
                tokio::time::timeout(Duration::from_secs(60), listening).await.expect("the stream ends");
                assert!(heard.starts_with("event: missed\n"), "{heard}");
                assert_eq!(heard.matches(end).count(), 1, "{heard}");
            }
        });
        app.stop(Duration::ZERO, &|| true);
    }
}
