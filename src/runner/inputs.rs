//! What the inputs of a job are like when it begins.

use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::job::{InputState, JobHash, JobSpec};

/// The hash of a job that is to begin: of its line (`content`), of what its inputs in `base_dir` are like now, and of those
/// that it came after.
pub(super) fn hash_of(spec: &JobSpec, content: JobHash, base_dir: &Path, parents: &mut [JobHash]) -> JobHash {
    let inputs: Vec<InputState<'_>> =
        spec.params.input_files().into_iter().map(|path| state_of(path, base_dir)).collect();
    content.with(&inputs, parents)
}

/// A file that is not there is one of the states: the job will say what is wrong.
fn state_of<'a>(path: &'a Path, base_dir: &Path) -> InputState<'a> {
    let found = std::fs::metadata(base_dir.join(path));
    let size_and_time_ns = found.ok().map(|found| {
        let time_ns = found.modified().map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        });
        (found.len(), time_ns)
    });
    InputState { path, size_and_time_ns }
}
