//! One service a folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::journal::JournalError;
use crate::journal::private::{close, make_folder};

/// The lock of a folder; given back when it is dropped, and by the system when the process ends, however it does.
#[derive(Debug)]
pub struct DataLock(#[expect(dead_code, reason = "held, not used")] File);

impl DataLock {
    /// Makes the folder where it is not there, and takes its lock.
    ///
    /// # Errors
    /// Where another process has it, or the folder cannot be used.
    pub fn take(folder: &Path) -> Result<Self, JournalError> {
        let wrong =
            |error: std::io::Error| JournalError::Folder { path: folder.to_owned(), message: error.to_string() };
        make_folder(folder).map_err(wrong)?;
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        // Who may open it could take it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(wrong)?;
        close(&path);
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = (&mut file).take(32).read_to_string(&mut owner);
                let owner = if owner.trim().is_empty() { "unknown".to_owned() } else { owner.trim().to_owned() };
                return Err(JournalError::Locked { path: folder.to_owned(), owner });
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        // Only told to who finds it locked: where it cannot be written, the lock holds all the same.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deep/data");
        let first = DataLock::take(&data).unwrap();
        let error = DataLock::take(&data).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        DataLock::take(&data).unwrap();
    }
}
