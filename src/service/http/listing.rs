//! `GET /v1/jobs`: many jobs, page by page.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::App;
use super::error::{ApiError, ErrorBody};
use super::extract::Query;
use super::places::reading;
use super::schema::{JobList, JobView, state_named};
use crate::journal::Filter;
use crate::service::ids::{job_id, seq_of};

const LIMIT_USUAL: u32 = 50;
const LIMIT_MAX: u32 = 1000;

/// Which jobs are listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    state: Option<String>,
    kind: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

/// Lists jobs, the newest first.
///
/// At most 50,000 jobs are looked at for a page: where few match, it may hold fewer than `limit`, or none, and still have a `next`.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    tag = "jobs",
    params(
        ("state" = Option<String>, Query, description = "Only those in this state"),
        ("kind" = Option<String>, Query, description = "Only those of this kind"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, description = "How many at most: 1 to 1000; 50 if left out")
    ),
    responses((status = 200, body = JobList), (status = 400, body = ErrorBody))
)]
pub(super) async fn list(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Json<JobList>, ApiError> {
    let state = asked.state.as_deref().filter(|state| !state.is_empty()).map(state_named).transpose();
    let before = asked.after.as_deref().filter(|after| !after.is_empty()).map(|after| {
        seq_of(app.tag(), after).ok_or_else(|| ApiError::bad_input("after: give the `next` of the page before"))
    });
    let limit = asked.limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::bad_input(format!("limit: give 1 to {LIMIT_MAX}")));
    }
    let filter = Filter {
        state: state.map_err(ApiError::bad_input)?,
        kind: asked.kind.filter(|kind| !kind.is_empty()),
        before: before.transpose()?,
        limit,
    };
    let keeper = app.clone();
    let listed = reading(&app, move || keeper.list(&filter)).await??;
    let next = listed.next.map(|last| job_id(app.tag(), last));
    let jobs = listed.entries.into_iter().map(|entry| JobView::brief(app.tag(), entry)).collect();
    Ok(Json(JobList { jobs, next }))
}
