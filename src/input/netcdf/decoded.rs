//! Chunks that were decoded, kept for whoever reads on in them: the latest ones of all files together.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// How many bytes of decoded chunks are kept.
const KEPT_BYTES: u64 = 64 << 20;

/// Of an array that is read in its own order, a band of chunks is kept, if it is no larger.
const BAND_BYTES_MAX: u64 = 512 << 20;

/// A chunk: the number of its variable and its place.
type Key = (u64, u64);

/// The latest chunks.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    chunks: HashMap<Key, Entry>,
    bytes: u64,
    /// Counts uses: the entry with the least is the oldest.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    used: u64,
    bytes: u64,
    /// Locked while the chunk is being decoded, so that whoever wants it too waits rather than decoding it again.
    chunk: Arc<Mutex<Option<Arc<Vec<u8>>>>>,
}

/// The chunks of this process.
pub(super) static DECODED: LazyLock<Decoded> = LazyLock::new(Decoded::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many bytes to keep, where chunks of so many bytes are read in bands of so many chunks: a chunk for each thread in any
/// case, or they would be decoded again and again.
pub(super) fn limit_bytes(chunk_bytes: u64, band: u64) -> u64 {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let band_bytes = chunk_bytes.saturating_mul(band.saturating_add(threads)).min(BAND_BYTES_MAX);
    KEPT_BYTES.max(band_bytes).max(chunk_bytes.saturating_mul(threads + 2))
}

impl Decoded {
    /// The chunk of this key, of so many bytes: the one that is kept, else the one that `decode` gives. Beyond `limit_bytes`
    /// the oldest ones go.
    pub(super) fn get_or_decode<E>(
        &self,
        key: Key,
        bytes: u64,
        limit_bytes: u64,
        decode: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<Vec<u8>>, E> {
        let slot = lock(&self.kept).slot(key, bytes, limit_bytes);
        let mut chunk = lock(&slot);
        if let Some(chunk) = &*chunk {
            return Ok(Arc::clone(chunk));
        }
        let decoded = Arc::new(decode()?);
        *chunk = Some(Arc::clone(&decoded));
        Ok(decoded)
    }

    /// Keeps none of this variable any more.
    pub(super) fn forget(&self, variable: u64) {
        let mut kept = lock(&self.kept);
        kept.chunks.retain(|key, _| key.0 != variable);
        kept.bytes = kept.chunks.values().map(|entry| entry.bytes).sum();
    }
}

impl Kept {
    fn slot(&mut self, key: Key, bytes: u64, limit_bytes: u64) -> Arc<Mutex<Option<Arc<Vec<u8>>>>> {
        self.clock += 1;
        let used = self.clock;
        if let Some(entry) = self.chunks.get_mut(&key) {
            entry.used = used;
            return Arc::clone(&entry.chunk);
        }
        let chunk = Arc::default();
        self.chunks.insert(key, Entry { used, bytes, chunk: Arc::clone(&chunk) });
        self.bytes += bytes;
        while self.bytes > limit_bytes && self.chunks.len() > 1 {
            let oldest = self.chunks.iter().filter(|(other, _)| **other != key).min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            self.bytes -= self.chunks.remove(&oldest).map_or(0, |entry| entry.bytes);
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_latest_chunks_are_kept_and_the_oldest_go() {
        let decoded = Decoded::default();
        let count = AtomicUsize::new(0);
        let get = |place: u64| {
            let decode = || {
                count.fetch_add(1, Ordering::Relaxed);
                Ok::<_, ()>(vec![place as u8; 10])
            };
            assert_eq!(*decoded.get_or_decode((1, place), 10, 30, decode).unwrap(), [place as u8; 10]);
        };
        [0, 1, 2, 0, 1, 2].into_iter().for_each(&get);
        assert_eq!(count.load(Ordering::Relaxed), 3);
        // The third goes: the others were used since.
        [0, 1, 3, 0, 1].into_iter().for_each(&get);
        assert_eq!(count.load(Ordering::Relaxed), 4);
        get(2);
        assert_eq!(count.load(Ordering::Relaxed), 5);
        decoded.forget(1);
        get(2);
        assert_eq!(count.load(Ordering::Relaxed), 6);
        assert_eq!(lock(&decoded.kept).bytes, 10);
    }

    #[test]
    fn a_chunk_that_several_threads_want_is_decoded_once() {
        let decoded = Decoded::default();
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let chunk = decoded.get_or_decode((1, 1), 1, 10, || {
                        count.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, ()>(vec![7])
                    });
                    assert_eq!(*chunk.unwrap(), [7]);
                });
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(decoded.get_or_decode((1, 2), 1, 10, || Err("no")), Err("no"));
        assert!(decoded.get_or_decode((1, 2), 1, 10, || Ok::<_, ()>(vec![1])).is_ok(), "a failure is not kept");
    }
}
