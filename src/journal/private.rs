//! What people send is theirs: folders and files that no other user of the machine can open, wherever they lie.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a folder where it is not there, and those that it is in. One that is there stays as it is.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// A folder of the service's own: made where it is not there, and closed to others where it is.
pub(crate) fn own_folder(folder: &Path) -> io::Result<()> {
    make_folder(folder)?;
    close(folder);
    Ok(())
}

/// Makes the file of a database where it is not there, empty, and closes it to others where it is; those beside it that it makes are as it is.
pub(super) fn own_database(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // One that is there is not opened: to close it again would take the locks from those in this process who have it open.
    match options.write(true).create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(_) | Err(_) => {}
    }
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        close(Path::new(&name));
    }
    Ok(())
}

/// Takes from others what they may do with what is there.
#[cfg(unix)]
pub(super) fn close(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let Ok(found) = path.metadata() else { return };
    let mode = found.permissions().mode();
    if mode & 0o077 == 0 {
        return;
    }
    // Some disks know no such thing, and some folders belong to somebody else: that is for who set them up.
    if let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & !0o077)) {
        tracing::warn!(%error, path = %path.display(), "other users of this machine may read this");
    }
}

#[cfg(not(unix))]
pub(super) fn close(_: &Path) {}
