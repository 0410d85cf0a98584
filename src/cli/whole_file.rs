//! Files that are written whole or not at all: reports, traces, exports, machine files. Whether one can be written is looked at
//! before anything runs, and what is wrong is said in the same way whatever the file is of.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::cli::Stopped;

/// Refuses a file that cannot be written, without touching what is there; `option` is what named it.
///
/// # Errors
/// A usage error that says why.
pub(super) fn check(option: &str, path: &Path) -> Result<(), Stopped> {
    if path.is_dir() {
        let path = path.display();
        return Err(Stopped::usage(format_args!("{option}: {path} is a folder: name a file in it")));
    }
    let attempt = if takes_no_rename(path) {
        OpenOptions::new().write(true).open(path).map(drop)
    } else {
        beside(path).map(drop)
    };
    attempt.map_err(|error| cannot(option, path, &error))
}

/// Writes a file whole, or leaves what is there; `besides` is said after what is wrong.
///
/// # Errors
/// Where that fails.
pub(super) fn write(
    option: &str,
    path: &Path,
    besides: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Stopped> {
    write_to(path, write).map_err(|error| {
        let (path, why) = (path.display(), why(path, &error));
        Stopped::failed(format_args!("{option}: {path} cannot be written: {why}{besides}"))
    })
}

/// That a file cannot be written, before anything has run.
pub(super) fn cannot(option: &str, path: &Path, error: &io::Error) -> Stopped {
    let (path, why) = (path.display(), why(path, error));
    Stopped::usage(format_args!("{option}: {path} cannot be written: {why}"))
}

/// What is wrong, and what to do; no name of a file that was tried in its stead.
fn why(path: &Path, error: &io::Error) -> String {
    let folder = folder(path);
    match error.kind() {
        io::ErrorKind::NotFound if !folder.is_dir() => {
            format!("there is no folder {}: make it first, or name another", folder.display())
        }
        // The folder is there, and its file system makes no files: `/proc`.
        io::ErrorKind::NotFound => format!("no file can be made in {}: name another folder", folder.display()),
        io::ErrorKind::NotADirectory => format!("{} is no folder: name another", folder.display()),
        io::ErrorKind::PermissionDenied => {
            format!("permission denied: look at the rights of {}, or name another file", folder.display())
        }
        // An error of the system says its own; one that names a file of ours is told by its kind.
        kind => error.raw_os_error().map_or_else(|| kind.to_string(), |_| error.to_string()),
    }
}

/// Whether what lies at the path is to be written to as it is: a pipe, a terminal, `/dev/null`.
pub(super) fn takes_no_rename(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Beside the file, whose place it takes at the end; with the rights that new files have.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tandem-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

fn write_to(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if takes_no_rename(path) {
        let mut out = BufWriter::new(OpenOptions::new().write(true).open(path)?);
        write(&mut out)?;
        return out.flush();
    }
    let mut out = BufWriter::with_capacity(1 << 18, beside(path)?);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.html");
        std::fs::write(&path, "before").unwrap();
        check("--report", &path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        let torn = |out: &mut dyn Write| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        let Err(Stopped::Error(1, error)) = write("--report", &path, "; the results are whole", torn) else { panic!() };
        assert!(error.to_string().ends_with("cannot be written: no storage space; the results are whole"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        write("--report", &path, "", |out| out.write_all(b"after")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_written_is_a_usage_error_that_names_what_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| match check("--export", path) {
            Err(Stopped::Error(2, error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        let missing = folder.path().join("missing");
        let path = missing.join("run.html");
        assert_eq!(
            message(&path),
            format!(
                "--export: {} cannot be written: there is no folder {}: make it first, or name another",
                path.display(),
                missing.display()
            )
        );
        assert!(message(folder.path()).ends_with("is a folder: name a file in it"));
        if cfg!(target_os = "linux") {
            let end = "/x.json cannot be written: no file can be made in /proc: name another folder";
            assert_eq!(message(Path::new("/proc/x.json")), format!("--export: /proc{end}"));
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(!message(&file.join("run.html")).contains(".part"), "no name of ours");
    }
}
