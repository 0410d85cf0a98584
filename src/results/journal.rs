//! What earlier runs have finished: found again in their results by the hashes of the jobs.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Seek};
use std::num::NonZeroU64;

use crate::job::JobHash;
use crate::results::line::{Head, Line, line_number, lines};

/// The first line of the file that a resumed run appends to: what it keeps lies in the finished file of before as well. Without
/// it, the run that was cut off had begun anew, and the finished file is of no concern.
pub(super) const RESUMES: &[u8] = b"{\"schema\":1,\"resumes\":true}\n";

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The one that runs append to.
    Appended,
    /// The finished one of before.
    Finished,
}

/// Where the line of a kept outcome begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64);

impl Place {
    const FINISHED: u64 = 1 << 63;

    fn new(source: Source, offset: u64) -> Self {
        Self(if source == Source::Finished { offset | Self::FINISHED } else { offset })
    }

    fn source(self) -> Source {
        if self.0 & Self::FINISHED == 0 { Source::Appended } else { Source::Finished }
    }

    fn offset(self) -> u64 {
        self.0 & !Self::FINISHED
    }

    /// Ascends with the time at which lines were written: what is appended comes after the finished file.
    fn order(self) -> u64 {
        self.0 ^ Self::FINISHED
    }
}

/// What came last of a job with an id of its own.
#[derive(Clone, Copy, Debug)]
struct Named {
    id: u64,
    /// Bits of the job's hash; none where it has not succeeded, or its outcome is taken.
    hash: Option<NonZeroU64>,
    place: Place,
}

/// An outcome of success of a job without an id of its own.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    more: u32,
    /// Tells lines apart while they are read. After that, in the first of several of one key, how many of these are taken.
    check: u32,
    place: Place,
}

impl Entry {
    fn key(&self) -> (u64, u32) {
        (self.key, self.more)
    }
}

/// An outcome of before that stands for a job of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The place of the job in the run.
    pub index: u64,
    place: Place,
    /// The number of the job's line, where its name begins with that; else 0.
    line: u64,
}

impl Kept {
    pub fn source(&self) -> Source {
        self.place.source()
    }

    pub fn offset(&self) -> u64 {
        self.place.offset()
    }

    pub fn line_number(&self) -> Option<u64> {
        Some(self.line).filter(|line| *line > 0)
    }
}

/// The outcomes of earlier runs that a run can keep: those of success.
///
/// In memory are 24 bytes for each, and as many again for each that is kept; the lines stay where they are.
#[derive(Debug, Default)]
pub(super) struct Journal {
    named: Vec<Named>,
    entries: Vec<Entry>,
    kept: Vec<Kept>,
    /// Where each of them stands in that list, by its job, once somebody asks for one.
    by_job: Option<HashMap<u64, usize>>,
    /// Outcomes of success that no hash is known of.
    nameless: u64,
    /// Makes a number of an id.
    ids: RandomState,
}

impl Journal {
    /// Takes in what a file holds, and gives how long its whole lines are together, and whether the file says that it
    /// resumes another one.
    ///
    /// # Errors
    /// Those of reading; with kind `InvalidData` where the file does not begin with an outcome.
    pub fn read(&mut self, file: &File, source: Source) -> io::Result<(u64, bool)> {
        let mut reader = BufReader::with_capacity(256 << 10, file);
        reader.rewind()?;
        let mut resumes = false;
        let whole = lines(&mut reader, |line| {
            if line.offset == 0 && line.head == &RESUMES[..RESUMES.len() - 1] {
                resumes = true;
                return Ok(());
            }
            self.add(line, source)
        })?;
        Ok((whole, resumes))
    }

    fn add(&mut self, line: Line<'_>, source: Source) -> io::Result<()> {
        let Some(head) = Head::parse(line.head) else {
            if line.offset == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its first line is no outcome of a run"));
            }
            // What a power cut spoilt; the job runs again.
            return Ok(());
        };
        let succeeded = head.succeeded && line.is_sound;
        let Some(hash) = head.hash else {
            // Without success, it has not begun.
            self.nameless += u64::from(succeeded);
            return Ok(());
        };
        let place = Place::new(source, line.offset);
        if let Some((_, of_matrix)) = line_number(head.id) {
            if succeeded {
                let (key, more) = self.key(hash, of_matrix);
                // The place in the run may have changed from one file to the other.
                self.entries.push(Entry { key, more, check: line.check_from(head.place_len), place });
            }
        } else if succeeded || source == Source::Appended {
            // What has run since without success may have spoilt what the job made before. (The finished file has each id once.)
            let hash = succeeded.then_some(bits(hash));
            self.named.push(Named { id: self.ids.hash_one(head.id), hash, place });
        }
        Ok(())
    }

    /// Of a job without an id of its own; `of_matrix` is what its id has after the number of its line.
    fn key(&self, hash: JobHash, of_matrix: &[u8]) -> (u64, u32) {
        let (first, rest) = hash.bits();
        let of_matrix = if of_matrix.is_empty() { 0 } else { self.ids.hash_one(of_matrix) };
        (first ^ of_matrix, rest)
    }

    /// Makes it ready to be asked, when all is read.
    pub fn ready(&mut self) {
        self.named.sort_unstable_by_key(|named| (named.id, Reverse(named.place.order())));
        self.named.dedup_by_key(|named| named.id);
        self.named.retain(|named| named.hash.is_some());
        // The same line in both files is one outcome: a run was cut off between putting its file in place and removing the other.
        self.entries.sort_unstable_by_key(|entry| (entry.key(), entry.check, entry.place));
        let (mut last, mut twins) = (None, 0_u64);
        self.entries.retain(|entry| {
            let this = (entry.key(), entry.check);
            if last.replace(this) != Some(this) {
                twins = 0;
            }
            // Those that were appended come first.
            match entry.place.source() {
                Source::Appended => twins += 1,
                Source::Finished if twins > 0 => {
                    twins -= 1;
                    return false;
                }
                Source::Finished => {}
            }
            true
        });
        self.entries.iter_mut().for_each(|entry| entry.check = 0);
        self.entries.sort_unstable_by_key(|entry| (entry.key(), entry.place));
    }

    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.entries.is_empty() && self.nameless == 0
    }

    /// Whether this job has an outcome, which is its own from now on. Jobs without an id of their own may be alike: each
    /// outcome stands for one of them.
    pub fn keep(&mut self, index: u64, id: &str, hash: JobHash) -> bool {
        if self.named.is_empty() && self.entries.is_empty() {
            return false;
        }
        // As it stands in a line of results.
        let written = serde_json::to_string(id).unwrap_or_default();
        let id = written.get(1..written.len() - 1).unwrap_or_default().as_bytes();
        let numbered = line_number(id);
        let place = match numbered {
            Some((_, of_matrix)) => self.take_alike(self.key(hash, of_matrix)),
            None => self.take_named(id, hash),
        };
        let Some(place) = place else { return false };
        if let Some(by_job) = &mut self.by_job {
            by_job.insert(index, self.kept.len());
        }
        self.kept.push(Kept { index, place, line: numbered.map_or(0, |(line, _)| line) });
        true
    }

    fn take_named(&mut self, id: &[u8], hash: JobHash) -> Option<Place> {
        let id = self.ids.hash_one(id);
        let at = self.named.binary_search_by_key(&id, |named| named.id).ok()?;
        let named = &mut self.named[at];
        named.hash.take_if(|found| *found == bits(hash))?;
        Some(named.place)
    }

    fn take_alike(&mut self, key: (u64, u32)) -> Option<Place> {
        let first = self.entries.partition_point(|entry| entry.key() < key);
        let taken = self.entries.get(first).filter(|entry| entry.key() == key)?.check;
        let entry = *self.entries.get(first + taken as usize).filter(|entry| entry.key() == key)?;
        self.entries[first].check += 1;
        Some(entry.place)
    }

    /// What is kept for this job, if anything.
    pub fn kept_of(&mut self, index: u64) -> Option<Kept> {
        let kept = &self.kept;
        let by_job = self.by_job.get_or_insert_with(|| kept.iter().map(|kept| kept.index).zip(0..).collect());
        by_job.get(&index).and_then(|at| kept.get(*at)).copied()
    }

    /// How many are kept.
    pub fn kept_count(&self) -> u64 {
        self.kept.len() as u64
    }

    /// How many outcomes no job of now has: it has changed, or is gone from the job file, or no hash of it is known.
    pub fn dropped_count(&self) -> u64 {
        let left = self.named.iter().filter(|named| named.hash.is_some()).count();
        let mut dropped = self.nameless + left as u64;
        let mut at = 0;
        while let Some(first) = self.entries.get(at) {
            let count = self.entries[at..].iter().take_while(|entry| entry.key() == first.key()).count();
            dropped += (count - (first.check as usize).min(count)) as u64;
            at += count;
        }
        dropped
    }

    /// Those that are kept, in the order of the jobs.
    pub fn take_kept(&mut self) -> Vec<Kept> {
        let mut kept = std::mem::take(&mut self.kept);
        kept.sort_unstable_by_key(|kept| kept.index);
        kept
    }
}

/// So much of a hash as tells whether a job with this id is still the same.
fn bits(hash: JobHash) -> NonZeroU64 {
    NonZeroU64::new(hash.bits().0 ^ u64::from(hash.bits().1)).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn hash(number: u64) -> JobHash {
        JobHash::from_hex(format!("{number:024x}").as_bytes()).unwrap()
    }

    /// A line of success; `note` tells lines of one job apart.
    fn line(index: u64, id: &str, number: u64, note: &str) -> String {
        let id = serde_json::to_string(id).unwrap();
        let hash = hash(number);
        format!(
            "{{\"schema\":1,\"index\":{index},\"id\":{id},\"kind\":\"x\",\"hash\":\"{hash}\",\"status\":\"succeeded\",\"result\":\"{note}\"}}\n"
        )
    }

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn journal(files: &[(Source, &str)]) -> Journal {
        let mut journal = Journal::default();
        for (source, text) in files {
            journal.read(&file(text), *source).unwrap();
        }
        journal.ready();
        journal
    }

    #[test]
    fn a_job_is_kept_by_id_and_hash_and_without_an_id_of_its_own_by_hash() {
        let text = [line(0, "a", 1, ""), line(1, "#2", 2, ""), line(2, "\"\n", 1, "")].concat();
        let mut journal = journal(&[(Source::Finished, &text)]);
        assert!(!journal.keep(0, "a", hash(2)) && !journal.keep(0, "b", hash(1)) && !journal.keep(0, "#1", hash(1)));
        assert!(!journal.keep(0, "b", hash(2)), "an outcome without an id is not for a job with one");
        assert!(journal.keep(7, "a", hash(1)) && journal.keep(3, "#9", hash(2)) && journal.keep(5, "\"\n", hash(1)));
        assert!(!journal.keep(8, "a", hash(1)) && !journal.keep(8, "#8", hash(2)), "each outcome is for one job");
        assert_eq!((journal.kept_of(3).map(|kept| kept.line), journal.kept_of(4)), (Some(9), None));
        let kept = journal.take_kept();
        let offset = |n: usize| text.match_indices('{').map(|(at, _)| at as u64).nth(n).unwrap();
        let found: Vec<_> = kept.iter().map(|kept| (kept.index, kept.offset(), kept.line_number())).collect();
        assert_eq!(found, [(3, offset(1), Some(9)), (5, offset(2), None), (7, 0, None)]);
        assert!(kept.iter().all(|kept| kept.source() == Source::Finished));
    }

    #[test]
    fn jobs_that_are_alike_have_an_outcome_each_and_one_that_lies_in_both_files_counts_once() {
        let finished = (0..3).map(|i| line(i, &format!("#{}", i + 1), 5, &i.to_string())).collect::<String>();
        // Since then, they have got other places.
        let appended = format!("{}{}", line(7, "#8", 5, "1"), line(3, "#4", 5, "3"));
        let appended = format!("{}{appended}", std::str::from_utf8(RESUMES).unwrap());
        let mut journal = journal(&[(Source::Appended, &appended), (Source::Finished, &finished)]);
        let kept = (0..9).filter(|index| journal.keep(*index, &format!("#{}", index + 1), hash(5))).count();
        assert_eq!((kept, journal.kept_count(), journal.dropped_count()), (4, 4, 0));
        let mut places: Vec<_> = journal.take_kept().iter().map(|kept| (kept.source() as u8, kept.offset())).collect();
        places.dedup();
        assert_eq!(places.len(), 4);
    }

    #[test]
    fn outcomes_that_are_the_same_to_the_last_byte_are_as_many_as_in_the_file_that_has_more() {
        for (appended, finished) in [(1, 3), (3, 1), (2, 2), (0, 2)] {
            let files = [(Source::Appended, appended), (Source::Finished, finished)]
                .map(|(source, count)| (source, line(0, "#1", 5, "").repeat(count)));
            let mut journal = journal(&files.each_ref().map(|(source, text)| (*source, text.as_str())));
            let kept = (0..9).filter(|index| journal.keep(*index, "#9", hash(5))).count();
            assert_eq!(kept, appended.max(finished), "{appended} and {finished}");
        }
    }

    #[test]
    fn what_has_failed_is_torn_or_spoilt_is_not_kept_and_what_is_left_over_is_counted() {
        let failed = line(0, "a", 1, "").replace("succeeded", "failed");
        let spoilt = line(1, "b", 1, "\0");
        let nameless = line(2, "c", 1, "").replace(&format!("\"hash\":\"{}\",", hash(1)), "");
        let torn = line(4, "e", 1, "");
        let text = [&*failed, &spoilt, &nameless, "noise\n", &line(3, "d", 1, ""), &torn[..torn.len() - 1]].concat();
        let mut journal = Journal::default();
        let (whole, resumes) = journal.read(&file(&text), Source::Appended).unwrap();
        journal.ready();
        assert_eq!((whole, resumes), ((text.len() - torn.len() + 1) as u64, false));
        assert!(!["a", "b", "c", "e"].iter().any(|id| journal.keep(0, id, hash(1))));
        assert_eq!(journal.dropped_count(), 2);
        assert!(journal.keep(0, "d", hash(1)));
        assert_eq!(journal.dropped_count(), 1);
    }

    #[test]
    fn of_an_id_the_last_outcome_of_a_job_that_began_counts_whatever_it_is() {
        let failed = |id, number| line(0, id, number, "").replace("succeeded", "failed");
        let not_begun = failed("d", 2).replace(&format!("\"hash\":\"{}\",", hash(2)), "");
        let finished: String = ["a", "b", "c", "d", "e"].map(|id| line(0, id, 1, "")).concat();
        let spoilt = line(4, "e", 2, "\0");
        let appended =
            [&*line(0, "a", 2, ""), &failed("b", 2), &line(2, "c", 2, ""), &line(2, "c", 1, ""), &not_begun, &spoilt];
        let mut journal = journal(&[(Source::Appended, &appended.concat()), (Source::Finished, &finished)]);
        let mut kept = |number| {
            let kept = ["a", "b", "c", "d", "e"].map(|id| journal.keep(0, id, hash(number)));
            (kept, journal.dropped_count())
        };
        assert_eq!(kept(1), ([false, false, true, true, false], 1));
        assert_eq!(kept(2), ([true, false, false, false, false], 0));
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let error = Journal::default().read(&file("{\"kind\":\"primes\"}\n"), Source::Finished).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(Journal::default().read(&file(""), Source::Finished).unwrap(), (0, false));
    }

    #[test]
    fn an_outcome_costs_24_bytes() {
        assert_eq!((size_of::<Named>(), size_of::<Entry>(), size_of::<Kept>()), (24, 24, 24));
    }
}
