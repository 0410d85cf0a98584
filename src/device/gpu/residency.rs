//! Which chunks lie on the device already, and which of them goes first when room is needed.

use std::ops::Range;

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
}

impl<B: Clone> Residency<B> {
    pub fn new(budget_bytes: u64, alignment_bytes: u64) -> Self {
        Self { entries: Vec::new(), bytes: 0, budget_bytes, alignment_bytes: alignment_bytes.max(1), clock: 0 }
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
            gone.push(entry.buffer);
        }
        self.clock += 1;
        self.bytes += bytes;
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
        let mut residency = Residency::new(1000, 256);
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
        let mut residency = Residency::new(100, 1);
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
}
