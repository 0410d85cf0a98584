//! `/v1/datasets`: inputs that many jobs name.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio_stream::StreamExt;
use utoipa::ToSchema;

use super::App;
use super::error::{ApiError, ErrorBody};
use super::extract::{Path, Query};
use super::incoming::{Incoming, check_plain};
use super::places::{LONG, blocking, reading, writing};
use super::room::take_room;
use crate::input::Format;
use crate::service::datasets::{Dataset, check_name};

/// A dataset.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DatasetView {
    #[schema(example = "scan-17")]
    pub name: String,
    pub bytes: u64,
    /// When it was stored, in milliseconds since 1970.
    pub put_ms: i64,
    /// Its format, if it was given or could be recognized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

impl From<Dataset> for DatasetView {
    fn from(dataset: Dataset) -> Self {
        let format = dataset.format().map(str::to_owned);
        Self { name: dataset.name, bytes: dataset.bytes, put_ms: dataset.put_ms, format }
    }
}

/// All datasets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DatasetList {
    pub datasets: Vec<DatasetView>,
}

/// What is in a dataset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    format: Option<String>,
}

/// Stores a dataset under this name, or replaces it.
///
/// Jobs accepted before go on with the old one. Jobs refer to it by `"dataset":"scan-17"` in place of their input, or by
/// `{"$dataset":"scan-17"}` in place of any path.
#[utoipa::path(
    put,
    path = "/v1/datasets/{name}",
    tag = "datasets",
    params(
        ("name" = String, Path),
        ("format" = Option<String>, Query, description = "npy, csv, raw, json, text, netcdf or dicom. If left out, Content-Type tells, or else the first bytes of the data")
    ),
    request_body(content = String, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "It has replaced an earlier one", body = DatasetView),
        (status = 201, description = "It is new", body = DatasetView),
        (status = 400, body = ErrorBody),
        (status = 413, description = "It is longer than --max-upload", body = ErrorBody),
        (status = 507, description = "The disk is full, `--max-data` is taken, or 10,000 datasets are stored already", body = ErrorBody)
    )
)]
pub(super) async fn put(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Result<Response, ApiError> {
    check_name(&name).map_err(ApiError::bad_input)?;
    if app.is_draining() {
        return Err(ApiError::draining());
    }
    check_plain(request.headers())?;
    let said = said_format(asked.format.as_deref(), request.headers())?;
    let (keeper, named) = (app.clone(), name.clone());
    let mut put = blocking(move || keeper.datasets.begin(&named)).await??;
    let mut file =
        tokio::fs::OpenOptions::new().write(true).open(put.path()).await.map_err(|error| ApiError::no_room(&error))?;
    let (mut bytes, mut begin) = (0_u64, Vec::new());
    let mut body = Incoming::new(request.into_body(), app.options.client_timeout);
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        bytes += chunk.len() as u64;
        if bytes > app.options.max_upload_bytes {
            let max = app.options.max_upload_bytes;
            return Err(ApiError::too_large(format!(
                "the dataset is longer than {max} bytes: start the service with a larger --max-upload"
            )));
        }
        if begin.len() < BEGIN_BYTES {
            begin.extend(chunk.iter().take(BEGIN_BYTES - begin.len()));
        }
        put.grow(take_room(&app, chunk.len()).await?);
        file.write_all(&chunk).await.map_err(|error| ApiError::no_room(&error))?;
    }
    file.flush().await.map_err(|error| ApiError::no_room(&error))?;
    drop(file);
    let (keeper, ending) = (app.clone(), said.or_else(|| seen_format(&begin)));
    let (dataset, has_replaced) = blocking(move || keeper.datasets.finish(put, &name, ending)).await??;
    let status = if has_replaced { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(DatasetView::from(dataset))).into_response())
}

/// What one takes in the list of all, while that is made.
const DATASET_BYTES: usize = 512;

/// All datasets, by name.
#[utoipa::path(get, path = "/v1/datasets", tag = "datasets", responses((status = 200, body = DatasetList)))]
pub(super) async fn list(State(app): State<App>) -> Result<Response, ApiError> {
    let keeper = app.clone();
    // There may be thousands.
    let list = move || {
        let datasets = keeper.datasets.list().into_iter().map(DatasetView::from).collect();
        serde_json::to_string(&DatasetList { datasets })
    };
    let mut held = app.memory.hold();
    let about = app.datasets.count() * DATASET_BYTES;
    if about > LONG {
        held.grow_for(about).await?;
    }
    let text = reading(&app, list).await?.map_err(|error| ApiError::internal(&error))?;
    let body = if text.len() > LONG { held.keep(text) } else { text.into() };
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Removes a dataset; jobs accepted before can still read it.
#[utoipa::path(
    delete,
    path = "/v1/datasets/{name}",
    tag = "datasets",
    params(("name" = String, Path)),
    responses(
        (status = 204, description = "It is removed for good"),
        (status = 404, body = ErrorBody),
        (status = 507, description = "The removal could not be written to disk: the dataset is still there", body = ErrorBody)
    )
)]
pub(super) async fn remove(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    let (keeper, named) = (app.clone(), name.clone());
    // At once, so that there is room for what it was to make room for.
    let remove = move || keeper.datasets.remove(&named).inspect(|_| keeper.tidy_datasets());
    let removed = writing(&app, remove).await?;
    if removed.map_err(|error| ApiError::no_room(&error))? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let name = crate::job::shorten(&name);
    Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("no dataset `{name}`: GET /v1/datasets lists them")))
}

/// What the client says is in it, as the ending of a file.
fn said_format(format: Option<&str>, headers: &HeaderMap) -> Result<Option<&'static str>, ApiError> {
    if let Some(format) = format {
        let known = Format::ALL.into_iter().find(|known| known.name() == format);
        return known.map(|known| Some(ending(known))).ok_or_else(|| {
            let names: Vec<&str> = Format::ALL.iter().map(|known| known.name()).collect();
            ApiError::bad_input(format!(
                "format: unknown `{}`: one of {}",
                crate::job::shorten(format),
                names.join(", ")
            ))
        });
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    Ok(match kind.to_ascii_lowercase().as_str() {
        "text/csv" => Some("csv"),
        "application/json" => Some("json"),
        "application/x-npy" | "application/x-numpy" => Some("npy"),
        "application/x-netcdf" | "application/netcdf" | "application/x-hdf5" => Some("nc"),
        "application/dicom" => Some("dcm"),
        _ => None,
    })
}

const fn ending(format: Format) -> &'static str {
    match format {
        Format::Npy => "npy",
        Format::Csv => "csv",
        Format::Raw => "raw",
        Format::Json => "json",
        Format::Text => "txt",
        Format::Netcdf => "nc",
        Format::Dicom => "dcm",
    }
}

/// What is looked at of a dataset to see what it is: DICOM says so behind 128 bytes.
const BEGIN_BYTES: usize = 132;

/// What it begins with tells.
fn seen_format(begin: &[u8]) -> Option<&'static str> {
    match begin {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some("npy"),
        [0x89, b'H', b'D', b'F', ..] | [b'C', b'D', b'F', 1 | 2 | 5, ..] => Some("nc"),
        _ if begin.get(128..BEGIN_BYTES) == Some(b"DICM") => Some("dcm"),
        _ => None,
    }
}
