//! Which version of a file was opened: the key of the cache of opened inputs and of what devices remember.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::input::DType;
use crate::job::{Cause, JobError};

/// What changes when a file's content does, as far as a file system tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileVersion {
    /// The file system and the file on it, where the system has such numbers.
    file: Option<(u64, u64)>,
    pub(crate) len: u64,
    modified: Option<SystemTime>,
    /// When the file was last changed in any way, in seconds and nanoseconds: programs that set `modified` back cannot
    /// set this back.
    changed: (i64, i64),
}

impl FileVersion {
    /// The version of an open file.
    pub(crate) fn of(file: &File, name: &str) -> Result<Self, JobError> {
        file.metadata().map(|metadata| Self::from_metadata(&metadata)).map_err(|error| JobError::io(name, &error))
    }

    /// The version that this metadata describes.
    pub(crate) fn from_metadata(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let (file, changed) = {
            use std::os::unix::fs::MetadataExt;
            (Some((metadata.dev(), metadata.ino())), (metadata.ctime(), metadata.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (file, changed) = (None, (0, 0));
        Self { file, len: metadata.len(), modified: metadata.modified().ok(), changed }
    }

    /// Whether a later change of the file would be sure to show: its clock has ticked since the last one.
    pub(crate) fn is_settled(&self) -> bool {
        let Some(modified) = self.modified else { return false };
        // A whole second means a file system that counts in seconds, or in pairs of them.
        let since_epoch = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let tick = if since_epoch.subsec_nanos() == 0 { Duration::from_secs(3) } else { Duration::from_millis(25) };
        let changed = u64::try_from(self.changed.0).unwrap_or(0);
        let changed = SystemTime::UNIX_EPOCH + Duration::new(changed, u32::try_from(self.changed.1).unwrap_or(0));
        let elapsed = SystemTime::now().duration_since(modified.max(changed));
        elapsed.is_ok_and(|elapsed| elapsed > tick)
    }

    /// Whether the file is still what it was.
    ///
    /// # Errors
    /// With cause `io`, naming the file, where its length or its modification time differ.
    pub(crate) fn check(&self, file: &File, name: &str) -> Result<(), JobError> {
        let now = Self::of(file, name)?;
        let what = if now.len != self.len {
            format!("its length went from {} to {} bytes", self.len, now.len)
        } else if now.modified != self.modified {
            "it was written to".to_owned()
        } else {
            return Ok(());
        };
        let message = format!("{name}: changed while it was in use ({what}): run the job again once it is at rest");
        Err(JobError::new(Cause::Io, message))
    }
}

/// What makes two opened sources the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Content {
    /// Elements of a file: from which byte, of which type, how many, whether in the other byte order.
    Elements { version: FileVersion, offset: u64, dtype: DType, len: u64, swapped: bool },
    /// Other sources, one after the other.
    Parts(Vec<u64>),
}

static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(1);

/// A number that nothing else in this process has.
pub(crate) fn fresh_identity() -> u64 {
    NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed)
}

/// The number of this content: the same for the same content, and for no other.
pub(crate) fn identity_of(content: Content) -> u64 {
    /// Beyond it everything is forgotten: later openings of the same files get new numbers, which is never wrong.
    const REMEMBERED_MAX: usize = 1 << 16;
    static IDENTITIES: LazyLock<Mutex<HashMap<Content, u64>>> = LazyLock::new(Mutex::default);
    if let Content::Elements { version, .. } = &content
        && !version.is_settled()
    {
        return fresh_identity();
    }
    let mut identities = IDENTITIES.lock().unwrap_or_else(PoisonError::into_inner);
    if identities.len() >= REMEMBERED_MAX {
        identities.clear();
    }
    *identities.entry(content).or_insert_with(fresh_identity)
}
