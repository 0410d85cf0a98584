//! What programs print beyond what an outcome holds: files that lie here for as long as their jobs are kept.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of what programs print.
#[derive(Debug)]
pub(super) struct Outputs {
    folder: PathBuf,
}

impl Outputs {
    /// In this folder.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("outputs");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Where they lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The text that their paths begin with.
    pub fn prefix(&self) -> String {
        format!("{}/", self.folder.display())
    }

    /// Removes those that were last written so long ago.
    pub fn tidy(&self, keep: Duration) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let age = entry.metadata().and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > keep) {
                // What cannot be removed now is looked at again.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_goes_and_the_rest_stays() {
        let data = tempfile::tempdir().unwrap();
        let outputs = Outputs::open(data.path()).unwrap();
        let (old, new) = (outputs.folder().join("1-a.stdout"), outputs.folder().join("2-a.stdout"));
        std::fs::write(&old, "x").unwrap();
        std::fs::write(&new, "x").unwrap();
        let day = Duration::from_secs(86_400);
        let file = std::fs::File::options().write(true).open(&old).unwrap();
        file.set_modified(std::time::SystemTime::now() - day * 8).unwrap();
        outputs.tidy(day * 7);
        assert!(!old.exists() && new.exists());
    }
}
