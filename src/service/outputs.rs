//! What programs print beyond what an outcome holds: files that lie here for as long as their jobs are kept, and count as what clients send
//! does.
//!
//! Whose a file is, its name says, whatever became of the attempt that made it. So they are looked at where they lie, now and then: those of
//! programs that run grow meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::journal::own_folder;
use crate::service::ids::seq_of;
use crate::service::space::Space;

/// They are looked at so often, and where that takes long, for one part in so many of the time.
const ROUND: Duration = Duration::from_secs(1);
const PARTS: u32 = 100;

/// The folder of what programs print.
#[derive(Debug)]
pub(super) struct Outputs {
    folder: PathBuf,
    /// What the ids of jobs begin with.
    tag: String,
    space: Arc<Space>,
    seen: Mutex<Seen>,
}

/// What was there.
#[derive(Debug, Default)]
struct Seen {
    bytes: u64,
    /// When it is looked at again.
    next: Option<Instant>,
}

impl Outputs {
    /// In the folder of the service, of the jobs whose ids begin with this.
    pub fn open(data: &Path, tag: &str, space: Arc<Space>) -> io::Result<Self> {
        let folder = data.join("outputs");
        own_folder(&folder)?;
        Ok(Self { folder, tag: tag.to_owned(), space, seen: Mutex::default() })
    }

    /// Where they lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The text that their paths begin with.
    pub fn prefix(&self) -> String {
        format!("{}/", self.folder.display())
    }

    /// Counts what is there, where that is due, and removes what is of jobs that are kept no longer.
    pub fn look(&self, is_kept: impl Fn(u64) -> bool) {
        let mut seen = self.seen();
        let begun = Instant::now();
        if seen.next.is_some_and(|next| begun < next) {
            return;
        }
        let mut bytes = 0;
        for (seq, files) in self.files() {
            let is_kept = is_kept(seq);
            // What cannot be removed now is looked at again.
            let left = files.into_iter().filter(|(path, _)| is_kept || std::fs::remove_file(path).is_err());
            bytes += left.map(|(_, bytes)| bytes).sum::<u64>();
        }
        self.count(&mut seen, bytes);
        seen.next = Some(begun + ROUND.max(begun.elapsed() * PARTS));
    }

    /// Removes those of the jobs that came first, of those that are over, until so many bytes are free; gives how many are.
    pub fn make_room(&self, bytes: u64, is_over: impl Fn(u64) -> bool) -> u64 {
        let mut seen = self.seen();
        let mut freed = 0;
        for (_, files) in self.files().into_iter().filter(|(seq, _)| is_over(*seq)) {
            if freed >= bytes {
                break;
            }
            let removed = files.into_iter().filter(|(path, _)| std::fs::remove_file(path).is_ok());
            freed += removed.map(|(_, bytes)| bytes).sum::<u64>();
        }
        let left = seen.bytes.saturating_sub(freed);
        self.count(&mut seen, left);
        freed
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes are there now.
    fn count(&self, seen: &mut Seen, bytes: u64) {
        self.space.add(bytes.saturating_sub(seen.bytes));
        self.space.give_back(seen.bytes.saturating_sub(bytes));
        seen.bytes = bytes;
    }

    /// What is there, with its bytes, by the numbers of jobs.
    fn files(&self) -> BTreeMap<u64, Vec<(PathBuf, u64)>> {
        let mut files: BTreeMap<u64, Vec<(PathBuf, u64)>> = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let Some(seq) = entry.file_name().to_str().and_then(|name| job_of(&self.tag, name)) else { continue };
            let Some(found) = entry.metadata().ok().filter(std::fs::Metadata::is_file) else { continue };
            files.entry(seq).or_default().push((entry.path(), found.len()));
        }
        files
    }
}

/// The number of the job that has printed what is called so: `7-kqtz-7.stdout`, and `1.7-kqtz-7.stdout` the second time. What others have put
/// there is theirs.
fn job_of(tag: &str, name: &str) -> Option<u64> {
    let name = name.strip_suffix(".stdout").or_else(|| name.strip_suffix(".stderr"))?;
    let name = match name.split_once('.') {
        Some((number, name)) => number.parse::<u32>().is_ok().then_some(name)?,
        None => name,
    };
    let (index, id) = name.split_once('-')?;
    seq_of(tag, id).filter(|seq| index == seq.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(data: &Path) -> (Outputs, Arc<Space>) {
        let space = Arc::new(Space::new(1000));
        (Outputs::open(data, "kqtz", space.clone()).unwrap(), space)
    }

    #[test]
    fn names_tell_the_jobs_and_those_of_others_none() {
        for name in ["7-kqtz-7.stdout", "7-kqtz-7.stderr", "12.7-kqtz-7.stdout"] {
            assert_eq!(job_of("kqtz", name), Some(7), "{name}");
        }
        let others =
            ["7-abcd-7.stdout", "7-kqtz-8.stdout", "7-kqtz-7.txt", "x.7-kqtz-7.stdout", "kqtz-7.stdout", "7.stdout"];
        others.iter().for_each(|name| assert_eq!(job_of("kqtz", name), None, "{name}"));
    }

    #[test]
    fn what_is_there_counts_as_long_as_its_job_is_kept() {
        let data = tempfile::tempdir().unwrap();
        let (outputs, space) = outputs(data.path());
        let write = |name: &str, bytes: usize| std::fs::write(outputs.folder().join(name), vec![b'x'; bytes]).unwrap();
        let again = || outputs.seen().next = None;
        write("1-kqtz-1.stdout", 10);
        write("1.1-kqtz-1.stdout", 5);
        write("2-kqtz-2.stderr", 100);
        write("notes.stdout", 1000);
        outputs.look(|_| true);
        write("2-kqtz-2.stderr", 120);
        outputs.look(|_| true);
        assert_eq!(space.used_bytes(), 115, "it is not looked at all the time");
        again();
        outputs.look(|_| true);
        assert_eq!(space.used_bytes(), 135);
        again();
        outputs.look(|seq| seq != 1);
        assert_eq!(space.used_bytes(), 120);
        let mut left: Vec<_> =
            std::fs::read_dir(outputs.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["2-kqtz-2.stderr", "notes.stdout"]);
    }

    #[test]
    fn the_first_that_are_over_make_room_and_no_more_than_has_to_be() {
        let data = tempfile::tempdir().unwrap();
        let (outputs, space) = outputs(data.path());
        for seq in 1..=4 {
            std::fs::write(outputs.folder().join(format!("{seq}-kqtz-{seq}.stdout")), "0123456789").unwrap();
        }
        outputs.look(|_| true);
        assert_eq!(outputs.make_room(15, |seq| seq != 2), 20);
        assert_eq!(space.used_bytes(), 20);
        let left = [2, 4].map(|seq| outputs.folder().join(format!("{seq}-kqtz-{seq}.stdout")).exists());
        assert_eq!((left, outputs.files().len()), ([true; 2], 2));
    }
}
