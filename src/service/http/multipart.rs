//! A form of several parts: a job, and the files that came with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{Multipart, Request};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio_stream::StreamExt;

use super::App;
use super::error::ApiError;
use super::incoming::{Broken, Incoming};
use super::memory::Held;
use super::places::blocking;
use super::room::take_room;
use crate::service::uploads::Upload;

/// The part that is the job.
const JOB: &str = "job";

/// So many files come with a job at most.
const FILES_MAX: usize = 1000;

/// The head of a part has so many bytes at most, and what lies between parts too: whoever reads it keeps it in memory.
const HEAD_MAX: u64 = 64 << 10;

/// The memory that a form takes beside its job: a head as long as may be, and what has come meanwhile.
pub(super) const FORM: usize = 2 * HEAD_MAX as usize;

/// A request of which so much is read at most before some of it has come out as the content of a part; and what counts that.
pub(super) fn bounded(request: Request, patience: Duration) -> (Request, Arc<AtomicU64>) {
    let unseen = Arc::new(AtomicU64::new(0));
    let counted = unseen.clone();
    let (head, body) = request.into_parts();
    let body = Incoming::new(body, patience).map(move |chunk| {
        // Not an I/O error, which hides what is in it.
        let chunk = chunk.map_err(axum::Error::new)?;
        let before = counted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        if before > HEAD_MAX {
            return Err(axum::Error::new("the head of a part is too long"));
        }
        Ok(chunk)
    });
    (Request::from_parts(head, Body::from_stream(body)), unseen)
}

/// What a form holds.
pub(super) struct Parts {
    pub job: Arc<str>,
    pub upload: Upload,
    /// A hash of all of it.
    pub digest: [u8; 32],
}

/// Reads a form, its files to disk.
pub(super) async fn read_parts(
    app: &App,
    mut form: Multipart,
    unseen: &AtomicU64,
    held: &mut Held,
) -> Result<Parts, ApiError> {
    let keeper = app.clone();
    let mut upload = blocking(move || keeper.uploads.begin()).await?.map_err(|error| ApiError::no_room(&error))?;
    let (mut job, mut bytes_left, mut hash) = (None, app.options.max_upload_bytes, Sha256::new());
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        unseen.store(0, Ordering::Relaxed);
        let name = field.name().unwrap_or_default().to_owned();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(&name);
        if name == JOB {
            if job.is_some() {
                return Err(ApiError::bad_input("two parts are called `job`: send one job with its files"));
            }
            let text = read_job(&mut field, app.options.max_body_bytes, unseen, held).await?;
            hash.update(&text);
            hash.update((text.len() as u64).to_le_bytes());
            job = Some(super::jobs::text_of(&text)?);
            continue;
        }
        if name.is_empty() || name.starts_with('$') || name.len() > 255 {
            return Err(ApiError::bad_input(
                "a part without a name, of more than 255 bytes, or that begins with `$`: give each file the name by which the job \
                 refers to it",
            ));
        }
        if upload.files().len() == FILES_MAX || upload.files().contains_key(&name) {
            let message =
                format!("two parts are called `{}`, or more than {FILES_MAX} came", crate::job::shorten(&name));
            return Err(ApiError::bad_input(message));
        }
        // The ending of a name tells what is in the file.
        for said in [field.file_name(), field.content_type()].map(Option::unwrap_or_default) {
            hash.update((said.len() as u64).to_le_bytes());
            hash.update(said);
        }
        let path = upload.place(&name, field.file_name());
        let mut bytes = 0_u64;
        let mut file = tokio::fs::File::create_new(&path).await.map_err(|error| ApiError::no_room(&error))?;
        while let Some(chunk) = field.chunk().await.map_err(broken)? {
            unseen.store(0, Ordering::Relaxed);
            bytes_left = bytes_left.checked_sub(chunk.len() as u64).ok_or_else(|| {
                let max = app.options.max_upload_bytes;
                ApiError::too_large(format!("the files are longer than {max} bytes together: the service can be started with a larger --max-upload"))
            })?;
            hash.update(&chunk);
            bytes += chunk.len() as u64;
            upload.grow(take_room(app, chunk.len()).await?);
            file.write_all(&chunk).await.map_err(|error| ApiError::no_room(&error))?;
        }
        hash.update(bytes.to_le_bytes());
        // The last of it may only now be on its way, and to sync tells nothing of what becomes of that.
        file.flush().await.map_err(|error| ApiError::no_room(&error))?;
        file.sync_all().await.map_err(|error| ApiError::no_room(&error))?;
    }
    let job = job
        .ok_or_else(|| ApiError::bad_input("no part is called `job`: that one is the job, the others are its files"))?;
    let upload = blocking(move || upload.sync().map(|()| upload)).await?.map_err(|error| ApiError::no_room(&error))?;
    Ok(Parts { job, upload, digest: hash.finalize().into() })
}

async fn read_job(field: &mut Field<'_>, max: usize, unseen: &AtomicU64, held: &mut Held) -> Result<Vec<u8>, ApiError> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        unseen.store(0, Ordering::Relaxed);
        if text.len() + chunk.len() > max {
            return Err(ApiError::too_large(format!("the job is longer than {max} bytes: send long data as a file")));
        }
        // It is there once more as the text that it becomes.
        held.grow(2 * chunk.len()).await?;
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

fn broken(error: MultipartError) -> ApiError {
    if let Some(broken) = Broken::within(&error) {
        return broken.into();
    }
    ApiError::bad_input(format!("the form is broken, or ends early: {}", error.body_text()))
}
