//! A form of several parts: a job, and the files that came with it.

use std::sync::Arc;

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::App;
use super::error::ApiError;
use super::jobs::blocking;
use crate::service::uploads::Upload;

/// The part that is the job.
const JOB: &str = "job";

/// So many files come with a job at most.
const FILES_MAX: usize = 1000;

/// What a form holds.
pub(super) struct Parts {
    pub job: Arc<str>,
    pub upload: Upload,
    /// A hash of all of it.
    pub digest: [u8; 32],
}

/// Reads a form, its files to disk.
pub(super) async fn read_parts(app: &App, mut form: Multipart) -> Result<Parts, ApiError> {
    let keeper = app.clone();
    let mut upload = blocking(move || keeper.uploads.begin()).await?.map_err(|error| ApiError::no_room(&error))?;
    let (mut job, mut bytes_left, mut hash) = (None, app.options.max_upload_bytes, Sha256::new());
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(&name);
        if name == JOB {
            if job.is_some() {
                return Err(ApiError::bad_input("two parts are called `job`: send one job with its files"));
            }
            let text = read_job(&mut field, app.options.max_body_bytes).await?;
            hash.update(&text);
            job = Some(super::jobs::text_of(&text)?);
            continue;
        }
        if name.is_empty() {
            return Err(ApiError::bad_input(
                "a part without a name: give each file the name by which the job refers to it",
            ));
        }
        if upload.files().len() == FILES_MAX || upload.files().contains_key(&name) {
            let message =
                format!("two parts are called `{}`, or more than {FILES_MAX} came", crate::job::shorten(&name));
            return Err(ApiError::bad_input(message));
        }
        let path = upload.place(&name, field.file_name());
        let mut file = tokio::fs::File::create_new(&path).await.map_err(|error| ApiError::no_room(&error))?;
        while let Some(chunk) = field.chunk().await.map_err(broken)? {
            bytes_left = bytes_left.checked_sub(chunk.len() as u64).ok_or_else(|| {
                let max = app.options.max_upload_bytes;
                ApiError::too_large(format!("the files are longer than {max} bytes together: the service can be started with a larger --max-upload"))
            })?;
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(|error| ApiError::no_room(&error))?;
        }
        file.sync_all().await.map_err(|error| ApiError::no_room(&error))?;
    }
    let job = job
        .ok_or_else(|| ApiError::bad_input("no part is called `job`: that one is the job, the others are its files"))?;
    let upload = blocking(move || upload.sync().map(|()| upload)).await?.map_err(|error| ApiError::no_room(&error))?;
    Ok(Parts { job, upload, digest: hash.finalize().into() })
}

async fn read_job(field: &mut Field<'_>, max: usize) -> Result<Vec<u8>, ApiError> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        text.extend_from_slice(&chunk);
        if text.len() > max {
            return Err(ApiError::too_large(format!("the job is longer than {max} bytes: send long data as a file")));
        }
    }
    Ok(text)
}

fn broken(error: MultipartError) -> ApiError {
    ApiError::bad_input(format!("the form is broken, or ends early: {}", error.body_text()))
}
