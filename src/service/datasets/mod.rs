//! Inputs that clients put here once and many jobs name. Each is a file, opened as any other: what jobs have opened stays open, decoded
//! and on the GPU while there is room ([`input`](crate::input), [`device`](crate::device)).
//!
//! What is replaced or removed stays until the jobs that were accepted before have ended: they read what was there when they came. A
//! version lies in `NAME/VERSION.npy`, and `NAME/VERSION.removed` says that this one and those before are no dataset any more.

mod versions;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::journal::own_folder;
use crate::service::clock::wall_ms;
use crate::service::space::Space;
use versions::{REMOVED, Versions, version_of};

/// A dataset as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dataset {
    pub name: String,
    pub bytes: u64,
    pub put_ms: i64,
    path: PathBuf,
    lease: Lease,
}

/// Held by who has looked up the path of a dataset, until its job has a number: so long the file stays in any case.
pub(super) type Lease = Arc<()>;

/// A file that is no dataset any more.
#[derive(Debug)]
struct Replaced {
    path: PathBuf,
    lease: Lease,
}

#[derive(Debug, Default)]
struct Known {
    datasets: BTreeMap<String, Dataset>,
    replaced: Vec<Replaced>,
    /// The number of the next version of any.
    next: u64,
}

/// The names begin so of datasets that are being put; none of a whole one does.
const HALF: &str = ".tmp";

/// So many are there at most: one answer lists them all.
const DATASETS_MAX: usize = 10_000;

/// All datasets.
#[derive(Debug)]
pub(super) struct Datasets {
    folder: PathBuf,
    max: usize,
    /// How the entries of a folder get to the disk.
    sync: fn(&Path) -> io::Result<()>,
    space: Arc<Space>,
    /// Held by who changes what is in the folder, which may take as long as the disk does. Taken before the lock of what is known.
    changing: Mutex<()>,
    /// Held by who removes what nobody reads: what two know of that, of different times, would not go together.
    tidying: Mutex<()>,
    /// Asked by those who must not wait: nothing is done to the disk under its lock.
    known: Mutex<Known>,
}

/// A dataset that is being put; gone where it is dropped before it is whole.
#[derive(Debug)]
pub(super) struct Put {
    file: tempfile::NamedTempFile,
    taken: Taken,
}

/// Why one is not put.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotPut {
    /// As many are there as may be, which is so many, and none of that name.
    #[error("{0} datasets are here, which is as many as may be: DELETE those that are not needed, or replace one")]
    TooMany(usize),
    /// The disk does not take it.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// What it has taken of the space there is.
#[derive(Debug)]
struct Taken {
    space: Arc<Space>,
    bytes: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.space.give_back(self.bytes);
    }
}

impl Put {
    /// Where its bytes go.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// So many bytes more are about to be written, which were taken from the space there is.
    pub fn grow(&mut self, bytes: u64) {
        self.taken.bytes += bytes;
    }
}

/// Whether a dataset can be called that.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(is_word) && !name.starts_with('.') {
        return Ok(());
    }
    let name = crate::job::shorten(name);
    Err(format!("`{name}`: a dataset is called by up to 64 letters, digits, `-`, `_` and `.`, the first no dot"))
}

/// Whether a dataset that was being put is called so.
fn is_half(name: &str) -> bool {
    name.strip_prefix(HALF)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

impl Datasets {
    /// Those in the folder; what is left of replaced ones goes, unless it is among `read`, by jobs that have not ended. `known_jobs` names what
    /// any job read that is known, also of those that have ended: none comes to lie there again, where that may be tried once more.
    pub fn open(
        data: &Path,
        read: &HashSet<PathBuf>,
        known_jobs: impl Iterator<Item = PathBuf>,
        space: Arc<Space>,
    ) -> io::Result<Self> {
        let folder = data.join("datasets");
        own_folder(&folder)?;
        let last = known_jobs.filter(|path| path.starts_with(&folder)).filter_map(|path| version_of(&path)).max();
        let mut known = Known { next: last.unwrap_or(0) + 1, ..Known::default() };
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if is_half(name) && path.is_file() {
                std::fs::remove_file(&path)?;
            }
            // `NAME/VERSION.npy`, where a dot may be in the name and none in the version. What others have put there is theirs.
            if check_name(name).is_err() || !path.is_dir() {
                continue;
            }
            let mut versions = Versions::in_folder(&path)?;
            known.next = known.next.max(versions.last() + 1);
            if let Some(newest) = versions.take_newest() {
                let dataset = Dataset::at(name.to_owned(), newest)?;
                space.add(dataset.bytes);
                known.datasets.insert(name.to_owned(), dataset);
            }
            for file in versions.files.into_values() {
                if read.contains(&file) {
                    space.add(file.metadata()?.len());
                    known.replaced.push(Replaced { path: file, lease: Lease::default() });
                } else {
                    std::fs::remove_file(file)?;
                }
            }
            folders.push(path);
        }
        let datasets = Self {
            folder,
            max: DATASETS_MAX,
            sync: sync_folder,
            space,
            changing: Mutex::default(),
            tidying: Mutex::default(),
            known: Mutex::new(known),
        };
        folders.iter().for_each(|folder| datasets.tidy_folder(folder));
        Ok(datasets)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().datasets.len()
    }

    /// Where the dataset of this name lies, for a job that has no number yet.
    pub fn path(&self, name: &str) -> Option<(PathBuf, Lease)> {
        self.lock().datasets.get(name).map(|dataset| (dataset.path.clone(), dataset.lease.clone()))
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<Dataset> {
        self.lock().datasets.values().cloned().collect()
    }

    /// The text that paths of datasets begin with.
    pub fn prefix(&self) -> String {
        format!("{}/", self.folder.display())
    }

    /// Whether there is a place for one of this name.
    fn has_place(&self, name: &str) -> Result<(), NotPut> {
        let known = self.lock();
        let is_full = known.datasets.len() >= self.max && !known.datasets.contains_key(name);
        if is_full { Err(NotPut::TooMany(self.max)) } else { Ok(()) }
    }

    /// Begins to put one of this name.
    pub fn begin(&self, name: &str) -> Result<Put, NotPut> {
        // What cannot be kept need not be sent.
        self.has_place(name)?;
        let taken = Taken { space: self.space.clone(), bytes: 0 };
        Ok(Put { file: tempfile::Builder::new().prefix(HALF).tempfile_in(&self.folder)?, taken })
    }

    /// A dataset is whole, and on disk, and is called this from now on; `ending` tells what is in it. Gives it, and whether it replaces
    /// another one.
    pub fn finish(&self, mut put: Put, name: &str, ending: Option<&str>) -> Result<(Dataset, bool), NotPut> {
        put.file.as_file().sync_all()?;
        let _changing = self.change();
        // Others may have come meanwhile.
        self.has_place(name)?;
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let version = {
            let mut known = self.lock();
            known.next += 1;
            known.next - 1
        };
        let ending = ending.map(|ending| format!(".{ending}")).unwrap_or_default();
        let path = folder.join(format!("{version}{ending}"));
        put.file.persist(&path).map_err(|error| error.error)?;
        let synced = (self.sync)(&folder).and_then(|()| (self.sync)(&self.folder));
        let dataset = match synced.and_then(|()| Dataset::at(name.to_owned(), path.clone())) {
            Ok(dataset) => dataset,
            Err(error) => {
                // The next start would take it for the dataset, and its client is told that it is none.
                if let Err(left) = std::fs::remove_file(&path) {
                    tracing::error!(error = %left, path = %path.display(), "a dataset that was refused cannot be removed");
                }
                let _ = std::fs::remove_dir(&folder);
                return Err(error.into());
            }
        };
        // From here on it goes with the file.
        put.taken.bytes = 0;
        let mut known = self.lock();
        let replaced = known.datasets.insert(name.to_owned(), dataset.clone());
        let has_replaced = replaced.is_some();
        known.replaced.extend(replaced.map(Replaced::from));
        Ok((dataset, has_replaced))
    }

    /// Removes one, for good once this returns; whether it was there.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        let _changing = self.change();
        let Some((path, _)) = self.path(name) else { return Ok(false) };
        // Jobs may read the file where it is, also those that are taken up at the next start: beside it, it says so.
        let marker = path.with_extension(REMOVED);
        let folder = self.folder.join(name);
        let marked = std::fs::File::create(&marker).and_then(|file| file.sync_all());
        if let Err(error) = marked.and_then(|()| (self.sync)(&folder)) {
            let _ = std::fs::remove_file(&marker);
            return Err(error);
        }
        let mut known = self.lock();
        let removed = known.datasets.remove(name);
        known.replaced.extend(removed.map(Replaced::from));
        Ok(true)
    }

    /// Whether files wait to be removed.
    pub fn has_replaced(&self) -> bool {
        !self.lock().replaced.is_empty()
    }

    /// Removes what no job can read any more: `read` tells what those read that have not ended. Whoever holds a lease gives it back once his
    /// job is among them.
    pub fn tidy(&self, read: impl FnOnce() -> HashSet<PathBuf>) {
        let _tidying = self.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody else gets a lease any more.
        let is_free = |replaced: &&Replaced| Arc::strong_count(&replaced.lease) == 1;
        let free: HashSet<PathBuf> = self.lock().replaced.iter().filter(is_free).map(|old| old.path.clone()).collect();
        if free.is_empty() {
            return;
        }
        // Only now: those who gave their leases back are among them.
        let read = read();
        let is_unread = |replaced: &mut Replaced| free.contains(&replaced.path) && !read.contains(&replaced.path);
        let unread: Vec<Replaced> = self.lock().replaced.extract_if(.., is_unread).collect();
        // To remove gigabytes takes a while.
        for Replaced { path, .. } in &unread {
            // What cannot be removed now is at the next start.
            let bytes = path.metadata().map_or(0, |found| found.len());
            if std::fs::remove_file(path).is_ok() {
                self.space.give_back(bytes);
            }
        }
        let folders: HashSet<&Path> = unread.iter().filter_map(|replaced| replaced.path.parent()).collect();
        folders.into_iter().for_each(|folder| self.tidy_folder(folder));
    }

    /// Removes what says that versions are removed, once none of them is there; the folder goes with the last file, and only then.
    fn tidy_folder(&self, folder: &Path) {
        let _changing = self.change();
        let Ok(Versions { files, markers, .. }) = Versions::in_folder(folder) else { return };
        let oldest = files.first_key_value().map_or(u64::MAX, |(version, _)| *version);
        let needless: Vec<PathBuf> =
            markers.into_iter().filter(|(last, _)| *last < oldest).map(|(_, path)| path).collect();
        // Were they gone from the disk sooner than the versions, those would be datasets again.
        if !needless.is_empty() && (self.sync)(folder).is_ok() {
            needless.iter().for_each(|marker| _ = std::fs::remove_file(marker));
        }
        let _ = std::fs::remove_dir(folder);
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

impl From<Dataset> for Replaced {
    fn from(Dataset { path, lease, .. }: Dataset) -> Self {
        Self { path, lease }
    }
}

impl Dataset {
    fn at(name: String, path: PathBuf) -> io::Result<Self> {
        let found = path.metadata()?;
        let since = found.modified()?.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let put_ms = i64::try_from(since.as_millis()).unwrap_or_else(|_| wall_ms());
        Ok(Self { name, bytes: found.len(), put_ms, path, lease: Lease::default() })
    }

    /// What is in it, as far as it was said: `npy`, `csv`.
    pub fn format(&self) -> Option<&str> {
        self.path.extension().and_then(|ending| ending.to_str())
    }
}
