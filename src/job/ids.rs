//! Which ids a job file has used, in a few bytes each.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

const INDEX_BITS: u32 = 40;
const INDEX_MAX: u64 = (1 << INDEX_BITS) - 1;

/// Takes a key that is a hash already as it is.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The ids of a job file and the places in the run of the jobs that used them first.
///
/// An id is remembered by 88 bits of keyed hash (64 as the key, 24 beside the place), not by its text: 16 bytes each plus
/// the table's slack, some 32 in all. Two ids out of a billion share all 88 bits with a chance of about 2^-29.
#[derive(Debug, Default)]
pub(super) struct Ids {
    seen: HashMap<u64, u64, BuildHasherDefault<AsIs>>,
    keys: [RandomState; 2],
}

impl Ids {
    fn hashes(&self, id: &str) -> [u64; 2] {
        [self.keys[0].hash_one(id), self.keys[1].hash_one(id) & !INDEX_MAX]
    }

    /// Takes `id` for the job in this place, or gives the place of another one that has it already.
    pub fn claim(&mut self, id: &str, index: u64) -> Result<(), u64> {
        let [key, more] = self.hashes(id);
        match self.seen.entry(key) {
            Entry::Vacant(free) => {
                free.insert(more | index.min(INDEX_MAX));
                Ok(())
            }
            Entry::Occupied(taken) if taken.get() & !INDEX_MAX == more => match taken.get() & INDEX_MAX {
                // A job that was made to be looked at, and is made again.
                first if first == index => Ok(()),
                first => Err(first),
            },
            // Another id with the same key: it is not a duplicate, and there is no room to remember it.
            Entry::Occupied(_) => Ok(()),
        }
    }

    /// The place of the job with this id, if one has taken it.
    pub fn find(&self, id: &str) -> Option<u64> {
        let [key, more] = self.hashes(id);
        self.seen.get(&key).filter(|taken| *taken & !INDEX_MAX == more).map(|taken| taken & INDEX_MAX)
    }
}

/// On which line each job stands: most stand on the line after the one before.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Where that is not so: the place of a job, and its line.
    steps: Vec<(u64, u64)>,
}

impl Places {
    /// The next job, in this place, stands on this line.
    pub fn add(&mut self, index: u64, line: u64) {
        let expected = self.steps.last().map_or(1, |(step, at)| at + (index - step));
        if expected != line || self.steps.is_empty() {
            self.steps.push((index, line));
        }
    }

    /// The line of the job in this place.
    pub fn line_of(&self, index: u64) -> u64 {
        let after = self.steps.partition_point(|(step, _)| *step <= index);
        after.checked_sub(1).map_or(index + 1, |at| self.steps[at].1 + (index - self.steps[at].0))
    }

    /// The place of the job on this line, where one below `end` stands there.
    pub fn index_on(&self, line: u64, end: u64) -> Option<u64> {
        let after = self.steps.partition_point(|(_, at)| *at <= line);
        let (step, at) = self.steps.get(after.checked_sub(1)?)?;
        let index = step.saturating_add(line - at);
        (index < end && self.line_of(index) == line).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_once_and_the_place_that_has_it_is_known() {
        let mut ids = Ids::default();
        for line in 1..=10_000 {
            assert_eq!(ids.claim(&format!("job {line}"), line), Ok(()));
        }
        assert_eq!((ids.claim("job 77", 10_001), ids.claim("job 77", 77)), (Err(77), Ok(())));
        assert_eq!(ids.claim("job 10001", 10_002), Ok(()));
        assert_eq!((ids.find("job 77"), ids.find("job 0")), (Some(77), None));
    }

    #[test]
    fn places_and_lines_lead_to_each_other_over_blank_lines() {
        let lines = [1, 2, 5, 6, 9];
        let mut places = Places::default();
        (0..).zip(lines).for_each(|(index, line)| places.add(index, line));
        for (index, line) in (0..).zip(lines) {
            assert_eq!((places.line_of(index), places.index_on(line, 5)), (line, Some(index)));
        }
        for blank in [0, 3, 4, 7, 8, 10] {
            assert_eq!(places.index_on(blank, 5), None, "line {blank}");
        }
        assert_eq!(places.index_on(9, 4), None);
        assert!(places.steps.len() == 3, "only gaps are remembered");
    }

    #[test]
    fn an_id_costs_no_more_than_some_32_bytes() {
        let mut ids = Ids::default();
        for line in 0..100_000 {
            ids.claim(&line.to_string(), line).unwrap();
        }
        // A table grows by doubling; 17 bytes a slot.
        assert!(ids.seen.capacity() * 8 / 7 * 17 <= 100_000 * 40, "{}", ids.seen.capacity());
    }
}
