//! Which chunks lie on the device already, and which of them goes first when room is needed.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A chunk of some source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChunkKey {
    /// The source's identity.
    pub source: u64,
    /// Its elements.
    pub range: Range<u64>,
    /// The size of one of them in bytes.
    pub element_bytes: u64,
}

impl ChunkKey {
    /// Where `inner` begins inside this chunk, in bytes, if it lies inside.
    fn offset_of(&self, inner: &Self) -> Option<u64> {
        let inside = self.source == inner.source
            && self.element_bytes == inner.element_bytes
            && self.range.start <= inner.range.start
            && inner.range.end <= self.range.end;
        inside.then(|| (inner.range.start - self.range.start) * self.element_bytes)
    }
}

/// The chunks that a device holds, for whoever asks while it is busy.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<Mutex<Vec<ChunkKey>>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, Vec<ChunkKey>> {
        // The list is whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, key: ChunkKey) {
        self.lock().push(key);
    }

    fn remove(&self, key: &ChunkKey) {
        let mut keys = self.lock();
        if let Some(at) = keys.iter().position(|held| held == key) {
            keys.swap_remove(at);
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The bytes of these sources that are held; elements held twice, since chunks may overlap, count once.
    pub fn bytes_of(&self, sources: &[u64]) -> u64 {
        let mut keys: Vec<ChunkKey> = self.lock().iter().filter(|key| sources.contains(&key.source)).cloned().collect();
        keys.sort_unstable_by_key(|key| (key.source, key.range.start));
        let (mut bytes, mut counted) = (0u64, (0, 0));
        for ChunkKey { source, range, element_bytes } in keys {
            let from = if counted.0 == source { range.start.max(counted.1) } else { range.start };
            bytes = bytes.saturating_add(range.end.saturating_sub(from).saturating_mul(element_bytes));
            counted = (source, range.end.max(from));
        }
        bytes
    }
}

#[derive(Debug)]
struct Entry<B> {
    key: ChunkKey,
    buffer: B,
    bytes: u64,
    used: u64,
}

/// The chunks on a device, least recently used out first, within a budget in bytes.
#[derive(Debug)]
pub(super) struct Residency<B> {
    entries: Vec<Entry<B>>,
    bytes: u64,
    budget_bytes: u64,
    /// A binding may begin at multiples of this many bytes only.
    alignment_bytes: u64,
    clock: u64,
    held: Held,
}

impl<B: Clone> Residency<B> {
    /// Room for `budget_bytes`; what is kept is told to `held`, too.
    pub fn new(budget_bytes: u64, alignment_bytes: u64, held: Held) -> Self {
        Self { entries: Vec::new(), bytes: 0, budget_bytes, alignment_bytes: alignment_bytes.max(1), clock: 0, held }
    }

    /// The buffer that holds this chunk, and where in it the chunk begins, in bytes.
    pub fn find(&mut self, key: &ChunkKey) -> Option<(B, u64)> {
        self.clock += 1;
        let (clock, alignment) = (self.clock, self.alignment_bytes);
        self.entries.iter_mut().find_map(|entry| {
            let offset = entry.key.offset_of(key).filter(|offset| offset % alignment == 0)?;
            entry.used = clock;
            Some((entry.buffer.clone(), offset))
        })
    }

    /// Keeps `buffer`, which takes `bytes`, if the budget allows one like it at all; gives back what had to go for it, and
    /// the buffer itself where it is not kept.
    pub fn keep(&mut self, key: ChunkKey, buffer: B, bytes: u64) -> Vec<B> {
        if bytes > self.budget_bytes {
            return vec![buffer];
        }
        let mut gone = Vec::new();
        while self.bytes + bytes > self.budget_bytes {
            let oldest = (0..self.entries.len()).min_by_key(|&i| self.entries[i].used).expect("bytes are in entries");
            let entry = self.entries.swap_remove(oldest);
            self.bytes -= entry.bytes;
            self.held.remove(&entry.key);
            gone.push(entry.buffer);
        }
        self.clock += 1;
        self.bytes += bytes;
        self.held.add(key.clone());
        self.entries.push(Entry { key, buffer, bytes, used: self.clock });
        gone
    }

    /// Whether a buffer of this size would be kept.
    pub fn would_keep(&self, bytes: u64) -> bool {
        bytes <= self.budget_bytes
    }

    /// Forgets everything; says whether there was anything.
    pub fn clear(&mut self) -> bool {
        self.bytes = 0;
        self.held.clear();
        let had = !self.entries.is_empty();
        self.entries.clear();
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(source: u64, range: Range<u64>) -> ChunkKey {
        ChunkKey { source, range, element_bytes: 4 }
    }

    #[test]
    fn a_part_of_a_chunk_is_found_where_a_binding_may_begin() {
        let mut residency = Residency::new(1000, 256, Held::default());
        assert!(residency.keep(chunk(1, 100..300), 'a', 800).is_empty());
        assert_eq!(residency.find(&chunk(1, 100..300)), Some(('a', 0)));
        assert_eq!(residency.find(&chunk(1, 164..300)), Some(('a', 256)));
        assert_eq!(residency.find(&chunk(1, 165..300)), None, "not aligned");
        assert_eq!(residency.find(&chunk(1, 99..200)), None, "begins before");
        assert_eq!(residency.find(&chunk(1, 200..301)), None, "ends after");
        assert_eq!(residency.find(&chunk(2, 100..300)), None, "another source");
        assert_eq!(residency.find(&ChunkKey { element_bytes: 8, ..chunk(1, 100..300) }), None, "another type");
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_budget_holds() {
        let mut residency = Residency::new(100, 1, Held::default());
        assert!(residency.keep(chunk(1, 0..10), 'a', 40).is_empty());
        assert!(residency.keep(chunk(2, 0..10), 'b', 40).is_empty());
        assert!(residency.find(&chunk(1, 0..10)).is_some());
        assert_eq!(residency.keep(chunk(3, 0..10), 'c', 40), ['b']);
        assert_eq!(residency.find(&chunk(2, 0..10)), None);
        assert!(residency.find(&chunk(1, 0..10)).is_some());
        assert_eq!(residency.keep(chunk(4, 0..99), 'd', 101), ['d'], "larger than the budget: not kept");
        assert!(!residency.would_keep(101));
        assert!(residency.clear());
        assert!(!residency.clear());
        assert_eq!(residency.find(&chunk(1, 0..10)), None);
    }
    #[test]
    fn what_is_held_counts_every_element_once_and_nothing_that_went() {
        let held = Held::default();
        let mut residency = Residency::new(1000, 1, held.clone());
        residency.keep(chunk(1, 100..200), 'a', 400);
        residency.keep(chunk(1, 120..150), 'b', 120);
        residency.keep(chunk(1, 150..220), 'c', 280);
        residency.keep(chunk(2, 0..10), 'd', 40);
        assert_eq!(held.bytes_of(&[1]), 120 * 4, "100 to 220");
        assert_eq!(held.bytes_of(&[2, 1, 3]), 130 * 4);
        assert_eq!((held.bytes_of(&[]), held.bytes_of(&[3])), (0, 0));
        assert_eq!(residency.keep(chunk(4, 0..100), 'e', 400), ['a'], "the oldest");
        assert_eq!(held.bytes_of(&[1]), 100 * 4, "120 to 220");
        residency.clear();
        assert_eq!(held.bytes_of(&[1, 2, 4]), 0);
    }
}
