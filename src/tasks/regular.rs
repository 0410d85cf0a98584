//! Files that can be read to an end.

use std::fs::File;
use std::path::Path;

use crate::input::{open_file, version_of};
use crate::job::JobError;

/// Opens the regular file at `path`, called `name` in messages. A pipe or a device is refused, since opening and reading it may
/// wait for ever.
///
/// # Errors
/// Where it is not there, not readable or no regular file.
pub(crate) fn open_regular(path: &Path, name: &str) -> Result<File, JobError> {
    if version_of(path, name)?.is_none() {
        return Err(JobError::bad_input(format!("{name}: is no regular file: save it to one first")));
    }
    open_file(path, name)
}
