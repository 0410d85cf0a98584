//! The file that a run appends its results to, which no other run writes to meanwhile.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The file at `partial`, that no other run writes to: it is locked until it is closed. Where it is not to go on with what is
/// there (`anew`), that must be nothing.
pub(super) fn claim(partial: &Path, anew: bool) -> io::Result<File> {
    let refused = |why: &str| Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} {why}", partial.display())));
    loop {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(partial);
        let file = named(partial, opened)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return refused("is being written to by another run: wait for its end, or name another file");
            }
            Err(TryLockError::Error(error)) => {
                return named(partial, Err(io::Error::new(error.kind(), format!("cannot be locked: {error}"))));
            }
        }
        // A run that ended between the opening and the locking took the file away under this name.
        if !is_at(&file, partial)? {
            continue;
        }
        if anew && named(partial, file.metadata())?.len() > 0 {
            return refused(
                "holds the results of a run that was cut off: go on with it by --resume, or move it away or remove it",
            );
        }
        return Ok(file);
    }
}

/// Whether this open file is the one at `path`.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let opened = named(path, file.metadata())?;
    match std::fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => named(path, Err(error)),
    }
}

/// Whether there still is a file at `path`: without numbers of files, that has to do.
#[cfg(not(unix))]
pub(super) fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    named(path, path.try_exists())
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn named<T>(path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_renamed_or_removed_is_no_longer_at_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        std::fs::rename(&path, &other).unwrap();
        assert!(!is_at(&file, &path).unwrap() && is_at(&file, &other).unwrap());
        File::create(&path).unwrap();
        assert!(!is_at(&file, &path).unwrap());
    }
}
