//! Which path leads where.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

use super::error::{ApiError, DiskFull};
use super::{App, about, access, batches, datasets, events, jobs, listing, metrics, openapi, page, status};

/// All routes, behind who may come in.
pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/docs", get(page::docs))
        .route("/openapi.json", get(openapi::json))
        .route("/healthz", get(about::healthz))
        .route("/readyz", get(about::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/devices", get(about::devices))
        .route("/v1/status", get(status::status))
        .route("/v1/model", get(about::model))
        .route("/v1/events", get(events::all))
        .route("/v1/batches", post(batches::post))
        .route("/v1/datasets", get(datasets::list))
        .route("/v1/datasets/{name}", put(datasets::put).delete(datasets::remove))
        .route("/v1/jobs", get(listing::list).post(jobs::post))
        .route("/v1/jobs/{id}", get(jobs::get).delete(jobs::cancel))
        .route("/v1/jobs/{id}/result", get(jobs::result))
        .route("/v1/jobs/{id}/retry", post(jobs::retry))
        .route("/v1/jobs/{id}/events", get(events::of_job))
        .fallback(nowhere)
        .method_not_allowed_fallback(other_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), access::check))
        .layer(middleware::map_response_with_state(app.clone(), make_room))
        // Each route has its own bound.
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}

/// Where a disk is full, whatever was to be written to it, files of failed jobs make room.
async fn make_room(State(app): State<App>, response: Response) -> Response {
    if response.extensions().get::<DiskFull>().is_some() {
        app.disk_is_full();
    }
    response
}

/// A mistake of this program's costs one answer, and its client hears of it.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The place is in the log already.
    ApiError::internal(&"a handler panicked").into_response()
}

async fn nowhere(uri: Uri) -> impl IntoResponse {
    let path = crate::job::shorten(uri.path()).into_owned();
    ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("nothing is at `{path}`: /docs tells what there is"))
}

async fn other_method() -> impl IntoResponse {
    let message = "this path takes another method: /docs tells which";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_that_panics_answers_that_it_was_a_mistake_of_this_program() {
        let answer = panicked(Box::new("a panic"));
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["content-type"], "application/json");
    }
}
