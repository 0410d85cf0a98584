//! What jobs of strangers may touch: files within some folders, and nothing else unless it was allowed.

use std::path::{Component, Path, PathBuf};

use crate::job::Reach;

/// What jobs may touch.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowed {
    /// Folders, without links in their paths.
    folders: Vec<PathBuf>,
    pub commands: bool,
    pub fetch: bool,
}

impl Allowed {
    /// These folders, which have to be there.
    ///
    /// # Errors
    /// Which of them is not.
    pub fn new(folders: &[PathBuf], commands: bool, fetch: bool) -> Result<Self, String> {
        let real = |folder: &PathBuf| {
            let real = folder.canonicalize().map_err(|error| format!("--allow-path {}: {error}", folder.display()))?;
            if real.is_dir() { Ok(real) } else { Err(format!("--allow-path {}: not a folder", folder.display())) }
        };
        Ok(Self { folders: folders.iter().map(real).collect::<Result<_, _>>()?, commands, fetch })
    }

    /// The folder that relative paths start from.
    pub fn base_dir(&self) -> Option<&Path> {
        self.folders.first().map(PathBuf::as_path)
    }

    /// Whether a job may touch all that; `own` are files that were handed to it by name.
    ///
    /// # Errors
    /// What it may not, and how it could.
    pub fn check(&self, reach: &Reach<'_>, own: &[PathBuf]) -> Result<(), String> {
        if reach.programs && !self.commands {
            return Err("jobs of kind `command` are off here: ask for one of the commands that this service defines, or start it \
                        with --allow-commands"
                .to_owned());
        }
        if reach.standard_input {
            return Err("`-` is standard input, of which a job of a service has none: send a file along".to_owned());
        }
        if !self.fetch && !reach.fetches.is_empty() {
            return Err("fetching addresses is off here: send the page along, or start the service with --allow-fetch"
                .to_owned());
        }
        let is_own = |path: &Path| own.iter().any(|own| own == path);
        if let Some(path) = reach.reads.iter().find(|path| !is_own(path) && self.stands_still(path)) {
            return Err(format!(
                "`{}` is no file: a pipe or a device may never end, and holds up who reads it: send a file along",
                path.display()
            ));
        }
        if let Some(path) = reach.reads.iter().find(|path| !is_own(path) && !self.holds(path)) {
            return Err(format!(
                "`{}` lies outside the folders that jobs may use: send the file along, or start the service with --allow-path",
                path.display()
            ));
        }
        match reach.writes.iter().find(|path| is_own(path) || !self.holds(path)) {
            None => Ok(()),
            // What came along, and what many read, is nobody's to write.
            Some(path) if is_own(path) => {
                Err("`$file` and `$dataset` are read, and never written: name another output".to_owned())
            }
            Some(path) => Err(format!(
                "`{}` lies outside the folders that jobs may write to: leave the output out, or start the service with --allow-path",
                path.display()
            )),
        }
    }

    /// Whether it is there, within reach, and neither a file nor a folder.
    fn stands_still(&self, path: &Path) -> bool {
        let Some(base) = self.base_dir() else { return false };
        self.holds(path) && base.join(path).metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
    }

    fn holds(&self, path: &Path) -> bool {
        let Some(base) = self.base_dir() else { return false };
        let path = base.join(path);
        // Of what is not there yet, as much as is.
        let mut there: &Path = &path;
        let real = loop {
            match (there.canonicalize(), there.parent()) {
                (Ok(real), _) => break real,
                (Err(_), Some(parent)) => there = parent,
                (Err(_), None) => return false,
            }
        };
        let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
        let stays = rest.components().all(|part| matches!(part, Component::Normal(_)));
        // A link that leads nowhere yet is there, and is no path that could be told.
        let is_link = path.symlink_metadata().is_ok_and(|found| found.is_symlink()) && path.canonicalize().is_err();
        stays && !is_link && self.folders.iter().any(|folder| real.starts_with(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_counts_where_it_really_leads() {
        let root = tempfile::tempdir().unwrap();
        let (open, secret) = (root.path().join("open"), root.path().join("secret"));
        std::fs::create_dir_all(open.join("sub")).unwrap();
        std::fs::create_dir_all(&secret).unwrap();
        std::fs::write(open.join("a.npy"), "").unwrap();
        std::fs::write(secret.join("key"), "").unwrap();
        let allowed = Allowed::new(std::slice::from_ref(&open), false, false).unwrap();
        let may = |path: &Path| allowed.check(&Reach::reading([path]), &[]).is_ok();
        assert!(may(Path::new("a.npy")) && may(&open.join("a.npy")) && may(Path::new("sub/../a.npy")));
        assert!(may(Path::new("not-there.npy")), "what is missing is the job's error");
        assert!(!may(&secret.join("key")) && !may(Path::new("../secret/key")) && !may(Path::new("/etc/passwd")));
        assert!(!may(Path::new("missing/../../secret/key")) && !may(Path::new("..")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&secret, open.join("link")).unwrap();
            std::os::unix::fs::symlink(secret.join("new"), open.join("dangling")).unwrap();
            assert!(!may(Path::new("link/key")) && !may(Path::new("link/new")) && !may(Path::new("dangling")));
        }
        #[cfg(unix)]
        {
            let pipe = open.join("pipe");
            let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
            // SAFETY: a plain system call, with a name that ends in 0.
            assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
            let refused = allowed.check(&Reach::reading([Path::new("pipe")]), &[]).unwrap_err();
            assert!(refused.contains("`pipe` is no file"), "{refused}");
        }
        let own = [secret.join("key")];
        assert!(allowed.check(&Reach::reading([own[0].as_path()]), &own).is_ok(), "it was handed to the job");
        assert!(
            allowed.check(&Reach::default().writing(Some(&own[0])), &own).is_err(),
            "to be read, not to be written"
        );
        assert!(Allowed::default().check(&Reach::reading([Path::new("a.npy")]), &[]).is_err());
    }

    #[test]
    fn programs_addresses_and_standard_input_are_off_unless_allowed() {
        let refused = |reach: Reach<'_>| Allowed::default().check(&reach, &[]).unwrap_err();
        assert!(refused(Reach { programs: true, ..Reach::default() }).contains("--allow-commands"));
        assert!(refused(Reach { fetches: vec!["http://a"], ..Reach::default() }).contains("--allow-fetch"));
        assert!(refused(Reach::default().from_standard_input(true)).contains("standard input"));
        let all = Allowed::new(&[], true, true).unwrap();
        all.check(&Reach { programs: true, fetches: vec!["http://a"], ..Reach::default() }, &[]).unwrap();
    }
}
