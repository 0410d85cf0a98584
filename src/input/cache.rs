//! Inputs that are kept open, so that a file named by many jobs is opened, and decoded, once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::input::version::FileVersion;
use crate::job::JobError;

/// How many inputs are kept.
const ENTRIES_MAX: usize = 64;

/// How many bytes of decoded elements are kept, in memory or in temporary files, where nobody says; the latest input is kept
/// whatever its size.
const DECODED_BYTES_USUAL: u64 = 64 << 20;

static DECODED_BYTES_MAX: AtomicU64 = AtomicU64::new(DECODED_BYTES_USUAL);

/// Keeps so many bytes of decoded elements from now on: for a process that reads the same inputs for days.
#[cfg(feature = "service")]
pub(crate) fn keep_decoded(bytes: u64) {
    DECODED_BYTES_MAX.store(bytes.max(DECODED_BYTES_USUAL), Ordering::Relaxed);
}

/// An input that was opened.
#[derive(Clone, Debug)]
pub(crate) struct Opened<V> {
    pub(crate) input: V,
    /// The version of its file, as it was opened.
    pub(crate) version: FileVersion,
    /// What it takes beside its file.
    pub(crate) decoded_bytes: u64,
}

/// What a cache keeps.
pub(crate) trait Kept: Clone {
    /// Whether all that was read of it so far was really there.
    fn is_intact(&self) -> bool;
}

/// The latest inputs opened, by what was asked for and the version of its file.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    kept: Mutex<Entries<K, V>>,
}

#[derive(Debug)]
struct Entries<K, V> {
    entries: HashMap<(K, FileVersion), Entry<V>>,
    /// Counts uses: the entry with the least is the oldest.
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    used: u64,
    decoded_bytes: u64,
    /// Locked while the input is being opened, so that whoever wants it too waits rather than opening it again.
    input: Arc<Mutex<Option<V>>>,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { kept: Mutex::new(Entries { entries: HashMap::new(), clock: 0 }) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq + Clone, V: Kept> Cache<K, V> {
    /// The input `key` as it lies in the file of this version: the one that is kept and intact, else the one that `open`
    /// gives.
    pub(crate) fn get_or_open(
        &self,
        key: K,
        version: FileVersion,
        open: impl FnOnce() -> Result<Opened<V>, JobError>,
    ) -> Result<V, JobError> {
        self.get_or_open_at(SystemTime::now(), key, version, open)
    }

    fn get_or_open_at(
        &self,
        now: SystemTime,
        key: K,
        version: FileVersion,
        open: impl FnOnce() -> Result<Opened<V>, JobError>,
    ) -> Result<V, JobError> {
        // A file that was changed just now could change again without showing it.
        if !version.is_settled_at(now) {
            return Ok(open()?.input);
        }
        let key = (key, version);
        let slot = self.slot(&key);
        let mut input = lock(&slot);
        match &*input {
            Some(kept) if kept.is_intact() => return Ok(kept.clone()),
            _ => *input = None,
        }
        let opened = open();
        match &opened {
            Ok(opened) if opened.version == version => {
                *input = Some(opened.input.clone());
                lock(&self.kept).settle(&key, opened.decoded_bytes);
            }
            _ => {
                lock(&self.kept).entries.remove(&key);
            }
        }
        Ok(opened?.input)
    }

    fn slot(&self, key: &(K, FileVersion)) -> Arc<Mutex<Option<V>>> {
        let mut kept = lock(&self.kept);
        kept.clock += 1;
        let used = kept.clock;
        let new = || Entry { used, decoded_bytes: 0, input: Arc::default() };
        let entry = kept.entries.entry(key.clone()).or_insert_with(new);
        entry.used = used;
        Arc::clone(&entry.input)
    }

    /// Keeps nothing any more.
    pub(crate) fn clear(&self) {
        lock(&self.kept).entries.clear();
    }
}

impl<K: Hash + Eq + Clone, V> Entries<K, V> {
    /// Notes how large an entry is, and drops the oldest ones as long as there is too much.
    fn settle(&mut self, key: &(K, FileVersion), decoded_bytes: u64) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.decoded_bytes = decoded_bytes;
        }
        let decoded_bytes_max = DECODED_BYTES_MAX.load(Ordering::Relaxed);
        let mut total: u64 = self.entries.values().map(|entry| entry.decoded_bytes).sum();
        while self.entries.len() > 1 && (self.entries.len() > ENTRIES_MAX || total > decoded_bytes_max) {
            let oldest = self.entries.iter().filter(|(other, _)| *other != key).min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            total -= self.entries.remove(&oldest).map_or(0, |entry| entry.decoded_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    fn version() -> FileVersion {
        FileVersion::of(&tempfile::tempfile().unwrap(), "t").unwrap()
    }

    /// So much later than anything here was written that its file has settled.
    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_secs(100)
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Input {
        value: u32,
        is_damaged: Rc<Cell<bool>>,
    }

    impl Input {
        fn new(value: u32) -> Self {
            Self { value, is_damaged: Rc::default() }
        }
    }

    impl Kept for Input {
        fn is_intact(&self) -> bool {
            !self.is_damaged.get()
        }
    }

    struct Counted {
        cache: Cache<u32, Input>,
        opened: Cell<u32>,
    }

    impl Counted {
        fn get(&self, key: u32, version: FileVersion, decoded_bytes: u64) -> u32 {
            self.get_at(later(), key, version, decoded_bytes).value
        }

        fn get_at(&self, now: SystemTime, key: u32, version: FileVersion, decoded_bytes: u64) -> Input {
            let open = || {
                self.opened.set(self.opened.get() + 1);
                Ok(Opened { input: Input::new(key * 10), version, decoded_bytes })
            };
            self.cache.get_or_open_at(now, key, version, open).unwrap()
        }
    }

    fn counted() -> Counted {
        Counted { cache: Cache::default(), opened: Cell::new(0) }
    }

    #[test]
    fn what_is_kept_is_not_opened_again_until_it_is_forgotten() {
        let (counted, version) = (counted(), version());
        for _ in 0..3 {
            assert_eq!(counted.get(7, version, 0), 70);
        }
        assert_eq!(counted.opened.get(), 1);
        counted.cache.clear();
        counted.get(7, version, 0);
        assert_eq!(counted.opened.get(), 2);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_they_are_too_large() {
        let (counted, version) = (counted(), version());
        for key in 0..=ENTRIES_MAX as u32 {
            counted.get(key, version, 0);
        }
        let opened = counted.opened.get();
        counted.get(1, version, 0);
        assert_eq!(counted.opened.get(), opened, "the second is still there");
        counted.get(0, version, 0);
        assert_eq!(counted.opened.get(), opened + 1, "the first went");

        counted.get(1000, version, 2 * DECODED_BYTES_USUAL);
        counted.get(1000, version, 2 * DECODED_BYTES_USUAL);
        assert_eq!(counted.opened.get(), opened + 2, "the latest stays whatever its size");
        counted.get(1001, version, 1);
        counted.get(1000, version, 1);
        assert_eq!(counted.opened.get(), opened + 4, "and goes for the next");
    }

    #[test]
    fn an_input_that_failed_or_whose_file_changed_meanwhile_is_not_kept() {
        let (counted, version) = (counted(), version());
        let failed = counted.cache.get_or_open_at(later(), 1, version, || Err(JobError::bad_input("t: no")));
        assert_eq!(failed.unwrap_err().message, "t: no");
        let longer = tempfile::tempfile().unwrap();
        longer.set_len(1).unwrap();
        let other = FileVersion::of(&longer, "t").unwrap();
        let changed = || Ok(Opened { input: Input::new(5), version: other, decoded_bytes: 0 });
        assert_eq!(counted.cache.get_or_open_at(later(), 1, version, changed), Ok(Input::new(5)));
        assert_eq!(counted.get(1, version, 0), 10);
        assert_eq!(counted.opened.get(), 1);
    }

    #[test]
    fn a_file_that_was_written_just_now_is_not_kept() {
        let file = tempfile::tempfile().unwrap();
        let just_now = file.metadata().unwrap().modified().unwrap();
        let version = FileVersion::of(&file, "t").unwrap();
        let counted = counted();
        for opened in 1..3 {
            counted.get_at(just_now, 1, version, 0);
            assert_eq!(counted.opened.get(), opened);
        }
        // Once it has settled it is.
        counted.get(1, version, 0);
        counted.get(1, version, 0);
        assert_eq!(counted.opened.get(), 3);
    }

    #[test]
    fn an_input_that_turns_out_damaged_is_opened_again() {
        let (counted, version) = (counted(), version());
        let first = counted.get_at(later(), 1, version, 0);
        first.is_damaged.set(true);
        assert!(counted.get_at(later(), 1, version, 0).is_intact());
        assert!(counted.get_at(later(), 1, version, 0).is_intact());
        assert_eq!(counted.opened.get(), 2);
    }
}
