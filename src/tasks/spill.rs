//! Files for what is too long for an outcome.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A file that is made when it is needed.
#[derive(Clone, Debug)]
pub(crate) struct Spill {
    /// Where; in a folder of this process's own if left out.
    pub folder: Option<PathBuf>,
    /// What it is called, unless that is taken.
    pub name: String,
}

/// So many names are tried.
const TRIES: u32 = 10_000;

impl Spill {
    /// Makes the file: a new one, whatever is there.
    ///
    /// # Errors
    /// Where there is no room or no right to make it.
    pub fn create(&self) -> io::Result<(File, PathBuf)> {
        // The folder may be removed between the making and the use of it, by whoever takes the last file out of it.
        for _ in 0..TRIES {
            match self.create_once() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => return result,
            }
        }
        self.create_once()
    }

    fn create_once(&self) -> io::Result<(File, PathBuf)> {
        let folder = match &self.folder {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                folder.clone()
            }
            None => own_folder()?,
        };
        for number in 0..TRIES {
            let name = if number == 0 { self.name.clone() } else { format!("{number}.{}", self.name) };
            let path = folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{}: {} and its like are all taken", folder.display(), self.name)))
    }
}

/// A folder among the temporary files that nobody else can have put anything into.
fn own_folder() -> io::Result<PathBuf> {
    static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut folder = FOLDER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(folder) = folder.as_deref().filter(|folder: &&Path| folder.is_dir()) {
        return Ok(folder.to_owned());
    }
    let made = tempfile::Builder::new().prefix("tandem-").tempdir()?.keep();
    Ok(folder.insert(made).clone())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_name_that_is_taken_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill { folder: Some(folder.path().join("new")), name: "0-a.stdout".to_owned() };
        let (mut file, first) = spill.create().unwrap();
        file.write_all(b"first").unwrap();
        let (_, second) = spill.create().unwrap();
        assert_ne!(first, second);
        assert_eq!(std::fs::read(first).unwrap(), b"first");
    }

    #[test]
    fn without_a_folder_there_is_one_of_this_process() {
        let spill = Spill { folder: None, name: "x".to_owned() };
        let (a, b) = (spill.create().unwrap().1, spill.create().unwrap().1);
        assert_eq!(a.parent(), b.parent());
        std::fs::remove_file(a).unwrap();
        std::fs::remove_file(b).unwrap();
    }
}
