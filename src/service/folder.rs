//! The folder of a service: whether it can be one.

use std::path::Path;

use crate::journal::{FILE_NAME, JournalError};

/// What lies in it beside the journal.
const OWN: [&str; 3] = ["uploads", "datasets", "outputs"];

/// Refuses a folder that is somebody else's: what is in those of its own, and no job names, is cleaned up by a service. Nothing is
/// touched.
pub(super) fn check(data: &Path) -> Result<(), JournalError> {
    if data.join(FILE_NAME).symlink_metadata().is_ok() {
        return Ok(());
    }
    let there: Vec<String> =
        OWN.iter().filter(|name| has_something(&data.join(name))).map(|name| format!("`{name}`")).collect();
    if there.is_empty() {
        return Ok(());
    }
    let there = there.join(" and ");
    Err(JournalError::Folder {
        path: data.to_owned(),
        message: format!(
            "it holds no journal ({FILE_NAME}), but {there} with something inside, which is not this service's to clean up: give an empty \
             folder, or one that is not there yet"
        ),
    })
}

/// Whether there is something of this name that is no empty folder.
fn has_something(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.symlink_metadata().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_services_where_it_has_a_journal_or_nothing_of_the_kind() {
        let data = tempfile::tempdir().unwrap();
        check(&data.path().join("not there")).unwrap();
        std::fs::create_dir(data.path().join("uploads")).unwrap();
        std::fs::write(data.path().join("notes.txt"), "mine").unwrap();
        check(data.path()).unwrap();
        std::fs::write(data.path().join("uploads/a"), "mine").unwrap();
        std::fs::write(data.path().join("outputs"), "a file").unwrap();
        let error = check(data.path()).unwrap_err().to_string();
        assert!(error.contains("`uploads` and `outputs`") && error.contains("an empty folder"), "{error}");
        std::fs::write(data.path().join(FILE_NAME), "").unwrap();
        check(data.path()).unwrap();
    }
}
