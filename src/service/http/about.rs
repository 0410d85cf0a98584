//! What is known of the service itself: whether it is well, its devices, its model.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::App;
use super::error::{ApiError, ErrorBody};
use super::places::blocking;
use crate::device::Device;
use crate::engine::Found;
use crate::report::{DeviceReport, devices_json, model_json};

/// GPUs that are still being looked for are waited for so long, and it is looked whether they are known so often.
const LOOKING: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Answers as long as the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether jobs are accepted: 503 while the service is about to end, or its journal cannot be written.
#[utoipa::path(get, path = "/readyz", tag = "service", responses((status = 200, body = String), (status = 503, body = ErrorBody)))]
pub(super) async fn readyz(State(app): State<App>) -> Result<&'static str, ApiError> {
    if app.is_draining() {
        return Err(ApiError::draining());
    }
    if app.journal().is_stuck() {
        return Err(ApiError::stuck());
    }
    Ok("ready\n")
}

/// The devices of this machine, in one object: what `tandem devices --json` prints.
#[utoipa::path(get, path = "/v1/devices", tag = "service", responses((status = 200, body = Object)))]
pub(super) async fn devices(State(app): State<App>) -> Result<Response, ApiError> {
    let found = known_gpus(&app).await.unwrap_or_else(|| Found {
        diagnosis: Some("gpus are still being looked for: a driver takes its time over it".to_owned()),
        ..Found::default()
    });
    let text = blocking(move || {
        let engine = app.runner().engine();
        let aside = engine.set_aside();
        let rows = engine.with_store(|store| store.model().rows());
        let report = |device: &dyn Device, unusable: Option<String>| {
            let info = device.info().clone();
            let is_own = |row: &&crate::model::Row| {
                row.device == *info.fingerprint && !row.kernel.is_empty() && row.phase == "compute"
            };
            let samples = rows.iter().filter(is_own).map(|row| u64::from(row.samples)).sum();
            let lost = aside.iter().find(|(id, _)| *id == info.id).map(|(_, why)| format!("set aside: {why}"));
            DeviceReport { samples, unusable: lost.or(unusable), info }
        };
        let mut devices = vec![report(&**engine.devices().cpu(), None)];
        devices
            .extend(found.gpus.iter().map(|gpu| report(&*gpu.device, gpu.unusable.map(|why| why.note().to_owned()))));
        devices_json(&devices, found.diagnosis.as_deref())
    });
    Ok(json(text.await?.map_err(|error| ApiError::internal(&error))?))
}

/// The GPUs, once they have been looked for, as the service does when it begins; a driver that hangs is not waited for.
async fn known_gpus(app: &App) -> Option<Found> {
    let last = Instant::now() + LOOKING;
    loop {
        let known = app.runner().engine().devices().known_gpus();
        if known.is_some() || Instant::now() >= last {
            return known.cloned();
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What has been learned of the speed of devices: what `tandem model show --json` prints.
#[utoipa::path(get, path = "/v1/model", tag = "service", responses((status = 200, body = Object)))]
pub(super) async fn model(State(app): State<App>) -> Result<Response, ApiError> {
    let text = blocking(move || {
        let (rows, memory) =
            app.runner().engine().with_store(|store| (store.model().rows(), store.model().memory_rows()));
        model_json("", &rows, &memory)
    });
    Ok(json(text.await?.map_err(|error| ApiError::internal(&error))?))
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
