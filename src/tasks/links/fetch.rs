//! The first stage: from a page's address to its bytes.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use url::Url;

use crate::job::JobError;
use crate::tasks::links::extract::{Extract, Fetched};
use crate::tasks::links::http;
use crate::tasks::links::params::Bounds;
use crate::tasks::regular::open_regular;
use crate::tasks::{Place, Step, Task, TaskContext};

const PIECE_BYTES: usize = 64 << 10;

/// The stage of a page that has to be fetched.
pub(super) struct Fetch {
    pub from: Origin,
    pub bounds: Bounds,
}

/// Where it is.
pub(super) enum Origin {
    Url(Url),
    /// A file, and the address that its links start from where that is not its own.
    File(PathBuf, Option<Url>),
}

impl Task for Fetch {
    fn place(&self) -> Place {
        Place::Waiting
    }

    fn expected_ms(&self) -> f64 {
        match self.from {
            Origin::Url(_) => 200.0,
            Origin::File(..) => 0.5,
        }
    }

    fn run(self: Box<Self>, context: &TaskContext<'_>) -> Result<Step, JobError> {
        let fetched = match &self.from {
            Origin::Url(url) => http::get(url, &self.bounds, context)?,
            Origin::File(path, base) => read_file(path, base.as_ref(), self.bounds.max_bytes, context)?,
        };
        Ok(Step::Then(Box::new(Extract(fetched))))
    }
}

fn read_file(path: &Path, base: Option<&Url>, max_bytes: u64, context: &TaskContext<'_>) -> Result<Fetched, JobError> {
    let name = path.display().to_string();
    let file = open_regular(path, &name).map_err(|error| hinted(error, path))?;
    let bytes = read_bounded(file, max_bytes, context).map_err(|error| match error {
        ReadError::Job(error) => error,
        ReadError::Io(error) => JobError::io(&name, &error),
        ReadError::TooLong => too_long(&name, max_bytes),
    })?;
    let start = &bytes[..bytes.len().min(1024)];
    if start.contains(&0) && encoding_rs::Encoding::for_bom(start).is_none() {
        return Err(JobError::bad_input(format!("{name}: is no HTML page: it begins with binary data")));
    }
    let url = match base {
        Some(base) => base.clone(),
        None => fs::canonicalize(path)
            .ok()
            .and_then(|path| Url::from_file_path(path).ok())
            .ok_or_else(|| JobError::bad_input(format!("{name}: its links start from no URL: give `base`")))?,
    };
    Ok(Fetched { name, url, bytes, charset: None })
}

/// Says what may have been meant where there is no such file.
fn hinted(error: JobError, path: &Path) -> JobError {
    let is_local = path.exists() || path.is_absolute();
    if is_local || !path.to_string_lossy().contains('.') {
        return error;
    }
    JobError::new(
        error.cause,
        format!("{}; the address of a page on the web begins with https:// or http://", error.message),
    )
}

/// Why a page could not be read to its end.
pub(super) enum ReadError {
    Job(JobError),
    Io(io::Error),
    TooLong,
}

/// All there is to read, up to `max_bytes`.
pub(super) fn read_bounded(
    mut from: impl Read,
    max_bytes: u64,
    context: &TaskContext<'_>,
) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        context.check().map_err(ReadError::Job)?;
        match from.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(read) if (bytes.len() + read) as u64 > max_bytes => return Err(ReadError::TooLong),
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
}

pub(super) fn too_long(name: &str, max_bytes: u64) -> JobError {
    JobError::bad_input(format!("{name}: is longer than {max_bytes} bytes: raise max_bytes (--max-bytes) to take it"))
}
