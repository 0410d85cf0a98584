//! Inputs that clients put here once and many jobs name. Each is a file, opened as any other: what jobs have opened stays open, decoded
//! and on the GPU while there is room ([`input`](crate::input), [`device`](crate::device)).
//!
//! What is replaced or removed stays until the jobs that were accepted before have ended: they read what was there when they came.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::service::clock::wall_ms;
use crate::service::space::Space;

/// A dataset as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dataset {
    pub name: String,
    pub bytes: u64,
    pub put_ms: i64,
    path: PathBuf,
}

/// A file that is no dataset any more.
#[derive(Debug)]
struct Replaced {
    path: PathBuf,
    since: Instant,
    /// Jobs below this number may read it. Not known at once: some may be between the look at its path and their number.
    before_seq: Option<u64>,
}

#[derive(Debug, Default)]
struct Known {
    datasets: BTreeMap<String, Dataset>,
    replaced: Vec<Replaced>,
    /// The number of the next version of any.
    next: u64,
}

/// A request has its number so soon after its job was made of it.
const SETTLED: Duration = Duration::from_secs(30);

/// All datasets.
#[derive(Debug)]
pub(super) struct Datasets {
    folder: PathBuf,
    settled: Duration,
    space: Arc<Space>,
    known: Mutex<Known>,
}

/// A dataset that is being put; gone where it is dropped before it is whole.
#[derive(Debug)]
pub(super) struct Put {
    file: tempfile::NamedTempFile,
    taken: Taken,
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

impl Datasets {
    /// Those in the folder; what is left of replaced ones goes, unless jobs that have not ended read it.
    pub fn open(data: &Path, named: &HashSet<PathBuf>, space: Arc<Space>) -> io::Result<Self> {
        let folder = data.join("datasets");
        std::fs::create_dir_all(&folder)?;
        let mut known = Known { next: 1, ..Known::default() };
        let mut versions: BTreeMap<String, (u64, PathBuf)> = BTreeMap::new();
        let mut older = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            // `NAME/VERSION.npy`, where a dot may be in the name and none in the version.
            let named = path.file_name().and_then(|name| name.to_str()).filter(|name| check_name(name).is_ok());
            let Some(name) = named.filter(|_| path.is_dir()) else {
                std::fs::remove_file(&path)?;
                continue;
            };
            for entry in std::fs::read_dir(&path)? {
                let file = entry?.path();
                let version = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
                let is_newest =
                    version.is_some_and(|version| versions.get(name).is_none_or(|(other, _)| *other < version));
                match version {
                    Some(version) if is_newest => {
                        older.extend(versions.insert(name.to_owned(), (version, file)).map(|(_, older)| older));
                    }
                    _ => older.push(file),
                }
            }
        }
        for file in older {
            if named.contains(&file) {
                space.add(file.metadata()?.len());
                known.replaced.push(Replaced::now(file));
            } else {
                std::fs::remove_file(file)?;
            }
        }
        for (name, (version, path)) in versions {
            known.next = known.next.max(version + 1);
            let dataset = Dataset::at(name.clone(), path)?;
            space.add(dataset.bytes);
            known.datasets.insert(name, dataset);
        }
        Ok(Self { folder, settled: SETTLED, space, known: Mutex::new(known) })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the dataset of this name lies.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.lock().datasets.get(name).map(|dataset| dataset.path.clone())
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<Dataset> {
        self.lock().datasets.values().cloned().collect()
    }

    /// The text that paths of datasets begin with.
    pub fn prefix(&self) -> String {
        format!("{}/", self.folder.display())
    }

    /// Begins to put one.
    pub fn begin(&self) -> io::Result<Put> {
        let taken = Taken { space: self.space.clone(), bytes: 0 };
        Ok(Put { file: tempfile::NamedTempFile::new_in(&self.folder)?, taken })
    }

    /// A dataset is whole, and on disk, and is called this from now on; `ending` tells what is in it. Whether it replaces another one.
    pub fn finish(&self, mut put: Put, name: &str, ending: Option<&str>) -> io::Result<bool> {
        put.file.as_file().sync_all()?;
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let mut known = self.lock();
        let version = known.next;
        known.next += 1;
        let ending = ending.map(|ending| format!(".{ending}")).unwrap_or_default();
        let path = folder.join(format!("{version}{ending}"));
        put.file.persist(&path).map_err(|error| error.error)?;
        for folder in [&folder, &self.folder] {
            std::fs::File::open(folder)?.sync_all()?;
        }
        // From here on it goes with the file.
        put.taken.bytes = 0;
        let dataset = Dataset::at(name.to_owned(), path)?;
        let replaced = known.datasets.insert(name.to_owned(), dataset);
        let has_replaced = replaced.is_some();
        known.replaced.extend(replaced.map(|old| Replaced::now(old.path)));
        Ok(has_replaced)
    }

    /// Removes one; whether it was there.
    pub fn remove(&self, name: &str) -> bool {
        let mut known = self.lock();
        let Some(old) = known.datasets.remove(name) else { return false };
        known.replaced.push(Replaced::now(old.path));
        true
    }

    /// Whether files wait to be removed.
    pub fn has_replaced(&self) -> bool {
        !self.lock().replaced.is_empty()
    }

    /// Removes what no job can read any more, where `first_seq` is the first that has not ended, and `next_seq` comes after all.
    pub fn tidy(&self, first_seq: u64, next_seq: u64) {
        let mut known = self.lock();
        known.replaced.retain_mut(|replaced| {
            if replaced.before_seq.is_none() && replaced.since.elapsed() >= self.settled {
                replaced.before_seq = Some(next_seq);
            }
            if replaced.before_seq.is_none_or(|before| before > first_seq) {
                return true;
            }
            // What cannot be removed now is at the next start.
            let bytes = replaced.path.metadata().map_or(0, |found| found.len());
            if std::fs::remove_file(&replaced.path).is_ok() {
                self.space.give_back(bytes);
            }
            // The folder goes with the last version, and only then.
            let _ = replaced.path.parent().map(std::fs::remove_dir);
            false
        });
    }
}

impl Replaced {
    fn now(path: PathBuf) -> Self {
        Self { path, since: Instant::now(), before_seq: None }
    }
}

impl Dataset {
    fn at(name: String, path: PathBuf) -> io::Result<Self> {
        let found = path.metadata()?;
        let since = found.modified()?.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let put_ms = i64::try_from(since.as_millis()).unwrap_or_else(|_| wall_ms());
        Ok(Self { name, bytes: found.len(), put_ms, path })
    }

    /// What is in it, as far as it was said: `npy`, `csv`.
    pub fn format(&self) -> Option<&str> {
        self.path.extension().and_then(|ending| ending.to_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Arc<Space> {
        Arc::new(Space::new(u64::MAX))
    }

    fn put(datasets: &Datasets, name: &str, text: &str) -> bool {
        let put = datasets.begin().unwrap();
        std::fs::write(put.path(), text).unwrap();
        datasets.finish(put, name, Some("csv")).unwrap()
    }

    #[test]
    fn what_is_replaced_stays_until_the_jobs_before_have_ended() {
        let data = tempfile::tempdir().unwrap();
        let mut datasets = Datasets::open(data.path(), &HashSet::new(), space()).unwrap();
        assert!(!put(&datasets, "a.b", "one"));
        let first = datasets.path("a.b").unwrap();
        assert!(put(&datasets, "a.b", "two"));
        datasets.tidy(7, 7);
        assert!(first.exists(), "a job may be on its way");
        datasets.settled = Duration::ZERO;
        datasets.tidy(6, 7);
        datasets.tidy(6, 9);
        assert_eq!(std::fs::read_to_string(&first).unwrap(), "one", "job 6 reads it");
        datasets.tidy(7, 9);
        assert!(!first.exists() && !datasets.has_replaced());
        assert!(datasets.remove("a.b") && !datasets.remove("a.b") && datasets.path("a.b").is_none());
        datasets.tidy(9, 9);
        assert_eq!(std::fs::read_dir(data.path().join("datasets")).unwrap().count(), 0);
    }

    #[test]
    fn the_newest_versions_are_there_at_the_next_start_and_halves_are_not() {
        let data = tempfile::tempdir().unwrap();
        let datasets = Datasets::open(data.path(), &HashSet::new(), space()).unwrap();
        for text in ["one", "two", "three"] {
            put(&datasets, "t", text);
        }
        std::fs::write(data.path().join("datasets/.tmpabc"), "half").unwrap();
        let again = Datasets::open(data.path(), &HashSet::new(), space()).unwrap();
        assert_eq!(std::fs::read_to_string(again.path("t").unwrap()).unwrap(), "three");
        let listed: Vec<_> =
            again.list().iter().map(|set| (set.name.clone(), set.bytes, set.format().map(str::to_owned))).collect();
        assert_eq!(listed, [("t".to_owned(), 5, Some("csv".to_owned()))]);
        assert_eq!(std::fs::read_dir(data.path().join("datasets/t")).unwrap().count(), 1);
        let third = again.path("t").unwrap();
        put(&again, "t", "four");
        let read = Datasets::open(data.path(), &HashSet::from([third.clone()]), space()).unwrap();
        assert!(third.exists() && read.has_replaced(), "a job that has not ended reads it");
        assert_eq!(std::fs::read_to_string(again.path("t").unwrap()).unwrap(), "four");
    }

    #[test]
    fn names_lead_nowhere_else() {
        assert!(["a", "scan-17", "A_b.c", &"x".repeat(64)].iter().all(|name| check_name(name).is_ok()));
        let wrong = ["", ".", "..", ".a", "a/b", "a\\b", "é", "a b", &"x".repeat(65)];
        assert!(wrong.iter().all(|name| check_name(name).is_err()));
    }
}
