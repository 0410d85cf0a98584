//! The file that a run appends its results to, which no other run writes to meanwhile.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a lock may outlive the run that held it: a program that was just being begun when the run was killed holds it until it
/// is its own.
const LINGERS: Duration = Duration::from_millis(100);

/// Where what is written under this name lies in the end: at the end of the links that lead on from it, also where there is
/// nothing yet.
pub(super) fn end_of_links(path: &Path) -> PathBuf {
    /// As many as systems follow.
    const LINKS_MAX: usize = 40;
    if let Ok(path) = std::fs::canonicalize(path) {
        return path;
    }
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(target) = std::fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

/// The file at `partial`, that no other run writes to: it is locked until it is closed. Where it is not to go on with what is
/// there (`anew`), that must be nothing.
pub(super) fn claim(partial: &Path, anew: bool) -> io::Result<File> {
    let refused = |why: &str| Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} {why}", partial.display())));
    let begun = Instant::now();
    loop {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(partial);
        let file = named(partial, opened)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if begun.elapsed() < LINGERS => {
                std::thread::sleep(LINGERS / 10);
                continue;
            }
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
    fn links_are_followed_also_where_nothing_is_at_their_end_yet() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::os::unix::fs::symlink("b", at("a")).unwrap();
        std::os::unix::fs::symlink(at("c"), at("b")).unwrap();
        assert_eq!(end_of_links(&at("a")), at("c"));
        std::fs::write(at("c"), "").unwrap();
        assert_eq!(end_of_links(&at("a")), at("c").canonicalize().unwrap());
        std::os::unix::fs::symlink("round", at("round")).unwrap();
        end_of_links(&at("round"));
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_outlives_its_holder_for_a_moment_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let partial = dir.path().join("r.partial");
        let held = claim(&partial, true).unwrap();
        assert!(claim(&partial, true).unwrap_err().to_string().contains("by another run"));
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(LINGERS / 100);
                drop(held);
            });
            claim(&partial, true).unwrap();
        });
    }

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
