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
    /// Under how many names it is known: giving it one or taking one away changes `changed` too.
    links: u64,
}

impl FileVersion {
    /// The version of an open file.
    pub(crate) fn of(file: &File, name: &str) -> Result<Self, JobError> {
        file.metadata().map(|metadata| Self::from_metadata(&metadata)).map_err(|error| JobError::io(name, &error))
    }

    /// The version that this metadata describes.
    pub(crate) fn from_metadata(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let (file, changed, links) = {
            use std::os::unix::fs::MetadataExt;
            (Some((metadata.dev(), metadata.ino())), (metadata.ctime(), metadata.ctime_nsec()), metadata.nlink())
        };
        #[cfg(not(unix))]
        let (file, changed, links) = (None, (0, 0), 0);
        Self { file, len: metadata.len(), modified: metadata.modified().ok(), changed, links }
    }

    /// Whether a later change of the file would be sure to show: its clock has ticked since the last one.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled_at(SystemTime::now())
    }

    /// The same at a time of the caller's choice.
    pub(crate) fn is_settled_at(&self, now: SystemTime) -> bool {
        let Some(modified) = self.modified else { return false };
        // A whole second means a file system that counts in seconds, or in pairs of them.
        let since_epoch = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let tick = if since_epoch.subsec_nanos() == 0 { Duration::from_secs(3) } else { Duration::from_millis(25) };
        let changed = u64::try_from(self.changed.0).unwrap_or(0);
        let changed = SystemTime::UNIX_EPOCH + Duration::new(changed, u32::try_from(self.changed.1).unwrap_or(0));
        let elapsed = now.duration_since(modified.max(changed));
        elapsed.is_ok_and(|elapsed| elapsed > tick)
    }

    /// Whether the file is still what it was.
    ///
    /// # Errors
    /// With cause `io`, naming the file, where its length or a time of its changes differ. That it was removed or replaced
    /// under its name is fine: what was opened is still the same.
    pub(crate) fn check(&self, file: &File, name: &str) -> Result<(), JobError> {
        let now = Self::of(file, name)?;
        let what = if now.len != self.len {
            format!("its length went from {} to {} bytes", self.len, now.len)
        } else if now.modified != self.modified {
            "it was written to".to_owned()
        } else if now.changed != self.changed && now.links == self.links {
            "it was written to, or its name or permissions were changed".to_owned()
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

static IDENTITIES: LazyLock<Mutex<HashMap<Content, u64>>> = LazyLock::new(Mutex::default);
static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(1);

/// A number that nothing else in this process has.
pub(crate) fn fresh_identity() -> u64 {
    NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed)
}

/// The number of this content: the same for the same content, and for no other.
pub(crate) fn identity_of(content: Content) -> u64 {
    /// Beyond it everything is forgotten: later openings of the same files get new numbers, which is never wrong.
    const REMEMBERED_MAX: usize = 1 << 16;
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

/// Gives what is read of this version of a file from now on other numbers: what was read of it so far may not have been
/// what the file holds.
pub(crate) fn forget_identities(version: &FileVersion) {
    let mut identities = IDENTITIES.lock().unwrap_or_else(PoisonError::into_inner);
    identities.retain(|content, _| !matches!(content, Content::Elements { version: of, .. } if of == version));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_lasts_until_it_is_forgotten() {
        let file = tempfile::tempfile().unwrap();
        let version = FileVersion { len: 8, ..FileVersion::of(&file, "t").unwrap() };
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let settled = |offset| {
            let version = FileVersion { modified: Some(long_ago), changed: (1_000_000, 0), ..version };
            Content::Elements { version, offset, dtype: DType::U8, len: 1, swapped: false }
        };
        let Content::Elements { version, .. } = settled(0) else { unreachable!() };
        let first = identity_of(settled(0));
        assert_eq!(identity_of(settled(0)), first);
        assert_ne!(identity_of(settled(1)), first);
        forget_identities(&FileVersion { len: 9, ..version });
        assert_eq!(identity_of(settled(0)), first, "of another version");
        forget_identities(&version);
        assert_ne!(identity_of(settled(0)), first);
    }

    #[cfg(unix)]
    #[test]
    fn a_rewrite_shows_though_the_modification_time_is_set_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "12").unwrap();
        let version = FileVersion::of(file.as_file(), "t").unwrap();
        version.check(file.as_file(), "t").unwrap();
        let start = std::time::Instant::now();
        // The clock of the file system may tick as seldom as every ten milliseconds.
        while FileVersion::of(file.as_file(), "t").unwrap().changed == version.changed {
            assert!(start.elapsed().as_secs() < 10, "the file system notes no changes");
            std::thread::sleep(Duration::from_millis(2));
            std::fs::write(file.path(), "34").unwrap();
            file.as_file().set_modified(version.modified.unwrap()).unwrap();
        }
        let error = version.check(file.as_file(), "t").unwrap_err();
        assert_eq!(error.cause, Cause::Io);
        assert!(error.message.contains("t: changed while it was in use (it was written to"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_replaced_under_its_name_is_still_what_it_was() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let opened = file.reopen().unwrap();
        let version = FileVersion::of(&opened, "t").unwrap();
        std::thread::sleep(Duration::from_millis(30));
        tempfile::NamedTempFile::new().unwrap().persist(file.path()).unwrap();
        assert_ne!(FileVersion::of(&opened, "t").unwrap(), version);
        version.check(&opened, "t").unwrap();
    }
}
