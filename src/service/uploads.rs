//! Files that come with jobs: each job's in a folder of its own, on disk before the job is acknowledged, and gone with it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the files of a job lie, by their names in the job.
pub(super) type Files = BTreeMap<String, PathBuf>;

/// The folder of what clients send along.
#[derive(Debug)]
pub(super) struct Uploads {
    folder: PathBuf,
    /// In front of the names of this process's folders.
    begun_ms: i64,
    count: AtomicU64,
}

/// The folder of one job, which goes if the job is not accepted.
#[derive(Debug)]
pub(super) struct Upload {
    folder: PathBuf,
    files: Files,
    is_kept: bool,
}

impl Uploads {
    /// In this folder; what no job of these files refers to is left from requests that never came to their end, and goes.
    pub fn open(data: &Path, begun_ms: i64, known: impl Iterator<Item = Files>) -> io::Result<Self> {
        let folder = data.join("uploads");
        std::fs::create_dir_all(&folder)?;
        let known: std::collections::HashSet<PathBuf> =
            known.flat_map(Files::into_values).filter_map(|file| file.parent().map(Path::to_owned)).collect();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if !known.contains(&path) {
                std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path))?;
            }
        }
        Ok(Self { folder, begun_ms, count: AtomicU64::new(0) })
    }

    /// The text that paths of uploads begin with, which is nobody's business outside.
    pub fn prefix(&self) -> String {
        format!("{}/", self.folder.display())
    }

    /// A folder for the files of one more job.
    pub fn begin(&self) -> io::Result<Upload> {
        let folder = self.folder.join(format!("{}-{}", self.begun_ms, self.count.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&folder)?;
        Ok(Upload { folder, files: Files::new(), is_kept: false })
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
            .take(100)
            .collect();
        let clean = clean.trim_start_matches('.');
        let clean = if clean.is_empty() { "file" } else { clean };
        // Two files of one name, of different folders.
        let is_taken = |path: &PathBuf| self.files.values().any(|taken| taken == path);
        let mut path = self.folder.join(clean);
        if is_taken(&path) {
            path = self.folder.join(format!("{}-{clean}", self.files.len()));
        }
        self.files.insert(name.to_owned(), path.clone());
        path
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

    /// The job has it now.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Files as the journal holds them.
pub(super) fn files_json(files: &Files) -> Option<Arc<str>> {
    if files.is_empty() {
        return None;
    }
    let paths: BTreeMap<&str, String> =
        files.iter().map(|(name, path)| (name.as_str(), path.display().to_string())).collect();
    serde_json::to_string(&paths).ok().map(Arc::from)
}

/// The same the other way round.
pub(super) fn files_of(json: Option<&str>) -> Files {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// Removes the files of a job that is done with them.
pub(super) fn remove(files: &Files) {
    let folders: std::collections::BTreeSet<&Path> = files.values().filter_map(|file| file.parent()).collect();
    for folder in folders {
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clients_lead_nowhere_else() {
        let data = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(data.path(), 1, std::iter::empty()).unwrap();
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
        assert_eq!(names, ["passwd", "file", "scan_1.npy", "3-scan_1.npy", "_e"]);
        assert!(places.iter().all(|path| path.parent() == Some(upload.folder.as_path())));
        let folder = upload.folder.clone();
        drop(upload);
        assert!(!folder.exists(), "no job took it");
    }

    #[test]
    fn what_no_job_refers_to_goes_at_the_next_start() {
        let data = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(data.path(), 1, std::iter::empty()).unwrap();
        let (mut kept, lost) = (uploads.begin().unwrap(), uploads.begin().unwrap());
        std::fs::write(kept.place("a", None), "x").unwrap();
        let (files, lost_folder) = (files_of(files_json(kept.files()).as_deref()), lost.folder.clone());
        assert_eq!(&files, kept.files());
        kept.keep();
        lost.keep();
        Uploads::open(data.path(), 2, [files.clone()].into_iter()).unwrap();
        assert!(files["a"].exists() && !lost_folder.exists());
        remove(&files);
        assert!(!files["a"].parent().unwrap().exists());
    }
}
