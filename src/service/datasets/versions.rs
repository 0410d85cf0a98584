//! The versions of a dataset in its folder: which is the newest, and which are removed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The ending of the file that says that a version is removed. No format has it.
pub(super) const REMOVED: &str = "removed";

/// The version that a file is called by.
pub(super) fn version_of(file: &Path) -> Option<u64> {
    file.file_stem()?.to_str()?.parse().ok()
}

/// What lies in the folder of a name.
#[derive(Debug, Default)]
pub(super) struct Versions {
    pub files: BTreeMap<u64, PathBuf>,
    /// Those that say which are removed.
    pub markers: BTreeMap<u64, PathBuf>,
}

impl Versions {
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        let mut versions = Self::default();
        for entry in std::fs::read_dir(folder)? {
            let file = entry?.path();
            if !file.is_file() {
                continue;
            }
            let version = version_of(&file);
            let is_marker = file.extension().is_some_and(|ending| ending == REMOVED);
            match version {
                Some(version) if is_marker => _ = versions.markers.insert(version, file),
                Some(version) => _ = versions.files.insert(version, file),
                // Of somebody else's.
                None => {}
            }
        }
        Ok(versions)
    }

    /// The last version there was.
    pub fn last(&self) -> u64 {
        let last = |of: &BTreeMap<u64, PathBuf>| of.last_key_value().map_or(0, |(version, _)| *version);
        last(&self.files).max(last(&self.markers))
    }

    /// Takes out the one that is the dataset.
    pub fn take_newest(&mut self) -> Option<PathBuf> {
        let removed = self.markers.last_key_value().map(|(version, _)| *version);
        let newest = self.files.last_entry().filter(|newest| removed.is_none_or(|removed| *newest.key() > removed))?;
        Some(newest.remove())
    }
}
