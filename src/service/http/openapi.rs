//! The description of the API, made from the code, and a page to browse it.

use axum::Json;
use utoipa::OpenApi;

use super::{about, batches, datasets, error, events, jobs, listing, metrics, schema, status};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tandem",
        description = "Numeric jobs on CPU and GPU together: the same bytes on every device, and every placement explained."
    ),
    paths(
        jobs::post,
        jobs::get,
        jobs::result,
        jobs::cancel,
        jobs::retry,
        listing::list,
        batches::post,
        datasets::put,
        datasets::list,
        datasets::remove,
        events::all,
        events::of_job,
        about::devices,
        about::model,
        about::healthz,
        about::readyz,
        status::status,
        metrics::metrics
    ),
    components(schemas(
        schema::Acknowledged,
        schema::JobView,
        schema::JobList,
        schema::StateName,
        datasets::DatasetView,
        datasets::DatasetList,
        status::Status,
        status::Jobs,
        status::SinceStart,
        status::Memory,
        status::Load,
        status::Pace,
        error::ErrorBody,
        error::Failure
    )),
    tags(
        (name = "jobs", description = "What is asked for, and what came of it"),
        (name = "datasets", description = "Inputs that many jobs name"),
        (name = "events", description = "What happens, as it happens"),
        (name = "service", description = "How the service is")
    )
)]
struct Description;

/// The description, OpenAPI 3.1.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

pub(super) async fn json() -> Json<utoipa::openapi::OpenApi> {
    Json(description())
}
