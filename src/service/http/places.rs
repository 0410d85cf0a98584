//! Where what takes its time, or much memory, is done: beside the threads that serve connections, so much of it at once.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::App;
use super::error::ApiError;
use crate::service::keeper::Keeper;

/// What is longer is taken apart where waiting is allowed, and is held among the bodies.
pub(super) const LONG: usize = 256 << 10;

/// How many times what was sent a long job takes while it is taken apart, at most: `benches/service/run.py --only long` measures 12 to 15.
pub(super) const PARSED_TIMES: usize = 16;

/// How many times what is written down an answer takes while it is made: as it was read, its parts, and a text that grows by doubling.
const ANSWER_TIMES: usize = 4;

/// Reads from the journal. So many do at once: more would only wait for each other, with a thread each.
pub(super) async fn reading<T: Send + 'static>(
    app: &App,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    in_place(&app.readers, read).await
}

/// Runs what waits until something is written, or makes a job that takes its time. So many do at once, as with those who read.
pub(super) async fn writing<T: Send + 'static>(
    app: &App,
    write: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    in_place(&app.writers, write).await
}

/// Runs it once there is a place for it, which it has until it has run: also where nobody waits for it any more.
async fn in_place<T: Send + 'static>(
    places: &Arc<Semaphore>,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    // They are never closed.
    let place = places.clone().acquire_owned().await.map_err(|_| ApiError::draining())?;
    blocking(move || {
        let _place = place;
        run()
    })
    .await
}

/// Runs what has to wait for disks where that holds nobody up.
pub(super) async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(run).await.map_err(|error| ApiError::internal(&error))
}

/// An answer made of all that is written down of a job, where there is one. What is long is held among the bodies, from before it is read
/// until the client has taken the answer.
pub(super) async fn read_whole(
    app: &App,
    seq: u64,
    read: impl FnOnce(&Keeper) -> Result<Option<String>, ApiError> + Send + 'static,
) -> Result<Option<Response>, ApiError> {
    let keeper = app.clone();
    let length = reading(app, move || keeper.length(seq)).await??;
    let mut held = app.memory.hold();
    if length > LONG {
        held.grow_for(length.saturating_mul(ANSWER_TIMES)).await?;
    }
    let keeper = app.clone();
    let read = move || {
        let mut text = read(&keeper)?;
        // It may wait for long, and has grown by doubling.
        text.iter_mut().for_each(String::shrink_to_fit);
        Ok::<_, ApiError>((text, held))
    };
    let (text, held) = reading(app, read).await??;
    Ok(text.map(|text| {
        let length = text.len();
        let body = if length > LONG { held.keep(text) } else { text.into() };
        let mut response = json(body);
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        response
    }))
}

pub(super) fn json(body: Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
