//! Which ids a job file has used, in a few bytes each.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

const LINE_BITS: u32 = 40;
const LINE_MAX: u64 = (1 << LINE_BITS) - 1;

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

/// The ids of a job file and the lines that used them first.
///
/// An id is remembered by 88 bits of keyed hash (64 as the key, 24 beside the line), not by its text: 16 bytes each plus
/// the table's slack, some 32 in all. Two ids out of a billion share all 88 bits with a chance of about 2^-29.
#[derive(Debug, Default)]
pub(super) struct Ids {
    seen: HashMap<u64, u64, BuildHasherDefault<AsIs>>,
    keys: [RandomState; 2],
}

impl Ids {
    /// Takes `id` for `line`, or gives the line that has it already.
    pub fn claim(&mut self, id: &str, line: u64) -> Result<(), u64> {
        let [key, more] = [self.keys[0].hash_one(id), self.keys[1].hash_one(id) & !LINE_MAX];
        match self.seen.entry(key) {
            Entry::Vacant(free) => {
                free.insert(more | line.min(LINE_MAX));
                Ok(())
            }
            Entry::Occupied(taken) if taken.get() & !LINE_MAX == more => Err(taken.get() & LINE_MAX),
            // Another id with the same key: it is not a duplicate, and there is no room to remember it.
            Entry::Occupied(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_once_and_the_line_that_has_it_is_known() {
        let mut ids = Ids::default();
        for line in 1..=10_000 {
            assert_eq!(ids.claim(&format!("job {line}"), line), Ok(()));
        }
        assert_eq!(ids.claim("job 77", 10_001), Err(77));
        assert_eq!(ids.claim("job 10001", 10_002), Ok(()));
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
