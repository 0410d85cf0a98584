//! Files that come with jobs: each job's in a folder of its own, on disk before the job is acknowledged, and gone with it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use crate::journal::own_folder;
use crate::service::space::Space;

/// What could not be removed is tried again after so long in which nothing else was to be.
const REMOVED_AGAIN: Duration = Duration::from_secs(1);

/// Where the files of a job lie, by their names in the job.
pub(super) type Files = BTreeMap<String, PathBuf>;

/// So many bytes the name of a file has at most.
const NAME_MAX: usize = 120;

/// In front of the names of datasets, among the names of files: the versions that a job reads are kept with it. No part of a form is called
/// so.
pub(super) const DATASET: &str = "$dataset:";

/// Where the dataset of this name lies that a job was accepted with.
pub(super) fn dataset_of(files: &Files, name: &str) -> Option<PathBuf> {
    files.get(&format!("{DATASET}{name}")).cloned()
}

/// The files of a job, and the datasets that it names.
pub(super) fn with_datasets(mut files: Files, datasets: &Files) -> Files {
    files.extend(datasets.iter().map(|(name, path)| (format!("{DATASET}{name}"), path.clone())));
    files
}

/// The folder of what clients send along.
#[derive(Debug)]
pub(super) struct Uploads {
    /// The folder of the service.
    data: PathBuf,
    folder: PathBuf,
    /// In front of the names of this process's folders.
    begun_ms: i64,
    count: AtomicU64,
    space: Arc<Space>,
}

/// The folder of one job, which goes if the job is not accepted.
#[derive(Debug)]
pub(super) struct Upload {
    folder: PathBuf,
    files: Files,
    /// What the files are called, and what the next one is numbered that comes by a name which is taken.
    taken: HashSet<String>,
    numbers: HashMap<String, u32>,
    is_kept: bool,
    space: Arc<Space>,
    bytes: u64,
}

impl Uploads {
    /// In the folder of the service; what of their kind no job refers to of these files, as the journal holds them, is left from requests
    /// that never came to their end, and goes.
    pub fn open(data: &Path, begun_ms: i64, known: &[String], space: Arc<Space>) -> io::Result<Self> {
        let data = data.to_owned();
        let folder = data.join("uploads");
        own_folder(&folder)?;
        let uploads = Self { data, folder, begun_ms, count: AtomicU64::new(0), space };
        let known = known.iter().flat_map(|json| uploads.files_of(Some(json)).into_values());
        let known: HashSet<PathBuf> = known.filter_map(|file| file.parent().map(Path::to_owned)).collect();
        for entry in std::fs::read_dir(&uploads.folder)? {
            let entry = entry?;
            let path = entry.path();
            if known.contains(&path) {
                uploads.space.add(folder_bytes(&path));
            } else if entry.file_type()?.is_dir() && entry.file_name().to_str().is_some_and(is_own) {
                std::fs::remove_dir_all(&path)?;
            }
        }
        Ok(uploads)
    }

    /// Files as the journal holds them: where they lie in the folder of the service, which may be moved.
    pub fn files_json(&self, files: &Files) -> Option<Arc<str>> {
        if files.is_empty() {
            return None;
        }
        let shown = |path: &Path| path.strip_prefix(&self.data).unwrap_or(path).display().to_string();
        let paths: BTreeMap<&str, String> = files.iter().map(|(name, path)| (name.as_str(), shown(path))).collect();
        serde_json::to_string(&paths).ok().map(Arc::from)
    }

    /// The same the other way round: where they lie now.
    pub fn files_of(&self, json: Option<&str>) -> Files {
        let mut files: Files = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        files.values_mut().for_each(|path| *path = self.data.join(in_data(path)));
        files
    }

    /// The text that paths of uploads begin with, which is nobody's business outside.
    pub fn prefix(&self) -> String {
        format!("{}/", self.folder.display())
    }

    /// A folder for the files of one more job.
    pub fn begin(&self) -> io::Result<Upload> {
        // As `is_own` knows it.
        let folder = self.folder.join(format!("{}-{}", self.begun_ms, self.count.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&folder)?;
        Ok(Upload {
            folder,
            files: Files::new(),
            taken: HashSet::new(),
            numbers: HashMap::new(),
            is_kept: false,
            space: self.space.clone(),
            bytes: 0,
        })
    }

    /// Removes the files of a job that is done with them.
    pub fn remove(&self, files: &Files) {
        own_folders(files).into_iter().for_each(|folder| remove_later(folder.to_owned(), &self.space, None));
    }

    /// Removes them before it returns, and gives how many bytes they had.
    pub fn remove_now(&self, files: &Files) -> u64 {
        let remove = |folder: &Path| {
            remove_folder(folder, &self.space, None).unwrap_or_else(|bytes| {
                remove_later(folder.to_owned(), &self.space, Some(bytes));
                0
            })
        };
        own_folders(files).into_iter().map(remove).sum()
    }
}

impl Upload {
    /// Where a file goes that the job calls `name` and that was called `file_name` where it came from: the ending of that tells
    /// what is in it.
    pub fn place(&mut self, name: &str, file_name: Option<&str>) -> PathBuf {
        let last = file_name.and_then(|file| file.rsplit(['/', '\\']).next()).filter(|file| !file.is_empty());
        let clean: String = last
            .unwrap_or(name)
            .chars()
            .map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' })
            .collect();
        let clean = clean.trim_start_matches('.');
        // The ending tells what is in it, and systems take names of 255 bytes at most.
        let clean = &clean[clean.ceil_char_boundary(clean.len().saturating_sub(NAME_MAX))..];
        let clean = clean.trim_start_matches('.');
        let clean = if clean.is_empty() { "file" } else { clean };
        // Two files of one name, of different folders.
        let mut called = clean.to_owned();
        // Those of a scan may all be called the same.
        let next = self.numbers.entry(called.clone()).or_insert(1);
        while !self.taken.insert(called.clone()) {
            called = format!("{next}-{clean}");
            *next += 1;
        }
        let path = self.folder.join(called);
        self.files.insert(name.to_owned(), path.clone());
        path
    }

    /// So many bytes more are about to be written, which were taken from the space there is.
    pub fn grow(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// The files so far.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Waits until the folder itself is on disk; its files have to be.
    pub fn sync(&self) -> io::Result<()> {
        for folder in [Some(self.folder.as_path()), self.folder.parent()].into_iter().flatten() {
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// The job has it now, where there is something in it.
    pub fn keep(mut self) {
        self.is_kept = !self.files.is_empty();
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_kept {
            remove_later(self.folder.clone(), &self.space, Some(self.bytes));
        }
    }
}

/// Whether a folder of uploads is called so: what others have put there is theirs.
pub(super) fn is_own(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Milliseconds since 1970 have had as many digits since 2001.
    name.split_once('-')
        .is_some_and(|(begun_ms, count)| begun_ms.len() >= 13 && is_number(begun_ms) && is_number(count))
}

/// Where a file lies in the folder of the service, of where it lies at all. That folder may be another one than when it was written down, and
/// once it was written down with it. All that jobs have lies three deep: `uploads/JOB/FILE`, `datasets/NAME/VERSION`.
fn in_data(path: &Path) -> &Path {
    let mut parts = path.components();
    for _ in 3..path.components().count() {
        parts.next();
    }
    let last = parts.as_path();
    if last.starts_with("uploads") || last.starts_with("datasets") { last } else { path }
}

/// Whether all files are there that a job reads: those that came with one that has failed may have made room for others, and a dataset may
/// have been replaced.
pub(super) fn are_there(files: &Files) -> bool {
    files.values().all(|file| file.exists())
}

/// The folders of the files that came with a job, which datasets do not.
fn own_folders(files: &Files) -> BTreeSet<&Path> {
    let own = files.iter().filter(|(name, _)| !name.starts_with(DATASET));
    own.filter_map(|(_, file)| file.parent()).collect()
}

/// The bytes of the files in a folder.
fn folder_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|found| found.len()).sum()
}

/// Removes a folder; it has taken so much, or what its files have. Gives how much that was, also where it cannot be removed now.
fn remove_folder(folder: &Path, space: &Space, bytes: Option<u64>) -> Result<u64, u64> {
    let bytes = bytes.unwrap_or_else(|| folder_bytes(folder));
    match std::fs::remove_dir_all(folder) {
        Ok(()) => {
            space.give_back(bytes);
            Ok(bytes)
        }
        // Somebody else has given it back.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(_) => Err(bytes),
    }
}

/// A folder to be removed, what it belongs to, and what it has taken.
type Removal = (PathBuf, Arc<Space>, Option<u64>);

/// Removing a large file takes a moment, in which jobs could be accepted: a thread of its own does it.
fn remove_later(folder: PathBuf, space: &Arc<Space>, bytes: Option<u64>) {
    static REMOVER: LazyLock<Option<Sender<Removal>>> = LazyLock::new(|| {
        let (sender, folders) = unbounded();
        let remover = std::thread::Builder::new().name("tandem-remover".to_owned());
        remover.spawn(move || remove_as_asked(&folders)).ok().map(|_| sender)
    });
    match &*REMOVER {
        Some(remover) => _ = remover.send((folder, space.clone(), bytes)),
        None => _ = remove_folder(&folder, space, bytes),
    }
}

/// Removes what it is asked to; what cannot be removed is tried again.
fn remove_as_asked(folders: &Receiver<Removal>) {
    let mut left: Vec<Removal> = Vec::new();
    loop {
        let asked = match folders.recv_timeout(REMOVED_AGAIN) {
            Ok(removal) => vec![removal],
            Err(RecvTimeoutError::Timeout) => std::mem::take(&mut left),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for (folder, space, bytes) in asked {
            if let Err(bytes) = remove_folder(&folder, &space, bytes) {
                left.push((folder, space, Some(bytes)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Arc<Space> {
        Arc::new(Space::new(1000))
    }

    fn wait_until_gone(folder: &Path) {
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while folder.exists() {
            assert!(std::time::Instant::now() < until, "{folder:?} stays");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn names_of_clients_lead_nowhere_else() {
        let data = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(data.path(), 1, &[], space()).unwrap();
        let mut upload = uploads.begin().unwrap();
        let places: Vec<PathBuf> = [
            ("a", Some("../../etc/passwd")),
            ("b", Some("..")),
            ("c", Some("x/scan 1.npy")),
            ("d", Some("scan 1.npy")),
            ("../e", None),
        ]
        .map(|(name, file)| upload.place(name, file))
        .to_vec();
        let names: Vec<&str> = places.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["passwd", "file", "scan_1.npy", "1-scan_1.npy", "_e"]);
        let long = upload.place("f", Some(&format!("{}.npy", "\u{4e00}".repeat(200))));
        let long = long.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(long.len() <= NAME_MAX && long.ends_with(".npy"), "{long}");
        let same = upload.place("g", Some("1-scan 1.npy"));
        assert!(same.ends_with("1-1-scan_1.npy"), "{same:?}");
        assert!(places.iter().all(|path| path.parent() == Some(upload.folder.as_path())));
        let folder = upload.folder.clone();
        drop(upload);
        wait_until_gone(&folder);
    }

    #[test]
    fn files_are_found_wherever_the_folder_of_the_service_lies_now() {
        let data = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(data.path(), 1, &[], space()).unwrap();
        let lies = |place: &str| data.path().join(place);
        let files = Files::from([
            ("a".to_owned(), lies("uploads/17-0/a.npy")),
            (format!("{DATASET}t"), lies("datasets/t/3.csv")),
        ]);
        let json = uploads.files_json(&files).unwrap();
        assert_eq!(*json, *r#"{"$dataset:t":"datasets/t/3.csv","a":"uploads/17-0/a.npy"}"#);
        assert_eq!(uploads.files_of(Some(&json)), files);
        // Before, it was written down with the folder that it was then.
        let before = r#"{"$dataset:t":"/srv/uploads/x/datasets/t/3.csv","a":"/srv/datasets/uploads/17-0/a.npy"}"#;
        assert_eq!(uploads.files_of(Some(before)), files);
        assert!(uploads.files_of(None).is_empty() && uploads.files_json(&Files::new()).is_none());
    }

    #[test]
    fn what_cannot_be_removed_counts_until_it_can() {
        let data = tempfile::tempdir().unwrap();
        let space = space();
        let uploads = Uploads::open(data.path(), 1_795_000_000_000, &[], space.clone()).unwrap();
        let mut upload = uploads.begin().unwrap();
        std::fs::write(upload.place("a", None), "12345").unwrap();
        assert!(space.take(5));
        upload.grow(5);
        // A file in its place, which is no folder.
        let folder = upload.folder.clone();
        let hidden = folder.with_extension("aside");
        std::fs::rename(&folder, &hidden).unwrap();
        std::fs::write(&folder, "no folder").unwrap();
        drop(upload);
        std::thread::sleep(REMOVED_AGAIN / 2);
        assert_eq!(space.used_bytes(), 5);
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&hidden, &folder).unwrap();
        wait_until_gone(&folder);
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while space.used_bytes() > 0 {
            assert!(std::time::Instant::now() < until);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn what_no_job_refers_to_goes_at_the_next_start() {
        let data = tempfile::tempdir().unwrap();
        let begun_ms = 1_795_000_000_000;
        let uploads = Uploads::open(data.path(), begun_ms, &[], space()).unwrap();
        let (mut kept, mut lost) = (uploads.begin().unwrap(), uploads.begin().unwrap());
        lost.place("a", None);
        std::fs::write(kept.place("a", None), "x").unwrap();
        let json = uploads.files_json(kept.files()).unwrap().to_string();
        let (files, lost_folder) = (uploads.files_of(Some(&json)), lost.folder.clone());
        assert_eq!(&files, kept.files());
        kept.keep();
        lost.keep();
        let others = ["1795000000000-8", "notes-1", "17-", "2024-05", "1-2-3"]
            .map(|name| data.path().join("uploads").join(name));
        std::fs::write(&others[0], "a file").unwrap();
        others[1..].iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        let space = space();
        let uploads = Uploads::open(data.path(), begun_ms + 1, &[json], space.clone()).unwrap();
        assert!(files["a"].exists() && !lost_folder.exists());
        assert!(others.iter().all(|path| path.exists()), "it has not put them there");
        assert_eq!(space.used_bytes(), 1);
        assert!(are_there(&files));
        let datasets = Files::from([("t".to_owned(), data.path().join("uploads"))]);
        assert_eq!(uploads.remove_now(&with_datasets(files.clone(), &datasets)), 1);
        assert_eq!((space.used_bytes(), are_there(&files), are_there(&Files::new())), (0, false, true));
        uploads.remove(&with_datasets(files.clone(), &Files::from([("t".to_owned(), data.path().join("uploads"))])));
        wait_until_gone(files["a"].parent().unwrap());
        assert!(data.path().exists(), "a dataset is no upload");
    }
}
