//! Results that have reached the disk itself, and not only the system's memory.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// While outcomes come without a pause, they are made sure of no later than this.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A file whose content is made sure of whenever nothing waits to be written, and every second at least. What comes while the
/// disk is busy with that is made sure of together.
pub(super) struct Synced {
    file: File,
    synced: Instant,
    is_dirty: bool,
}

impl Synced {
    pub fn new(file: File) -> Self {
        Self { file, synced: Instant::now(), is_dirty: false }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        (self.synced, self.is_dirty) = (Instant::now(), false);
        Ok(())
    }
}

impl Write for Synced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.is_dirty = true;
        if self.synced.elapsed() >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_dirty { self.sync() } else { Ok(()) }
    }
}

/// Makes sure of the names in the folder of this file.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened for that; names are journalled by the file system.
#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
