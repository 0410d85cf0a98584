//! What memory a task is seen to hold, by whoever looks: the task itself, or who watches its processes.

use std::sync::atomic::{AtomicU64, Ordering};

/// The memory of a task; every look may be out of date by the time it is told. Zero where nobody has looked.
#[derive(Debug, Default)]
pub struct MemoryUse {
    current_bytes: AtomicU64,
    peak_bytes: AtomicU64,
}

impl MemoryUse {
    /// It holds so many bytes now.
    pub fn note(&self, bytes: u64) {
        self.current_bytes.store(bytes, Ordering::Relaxed);
        self.note_peak(bytes);
    }

    /// It has held so many bytes at some time.
    pub fn note_peak(&self, bytes: u64) {
        self.peak_bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// What it held when somebody last looked.
    pub fn current_bytes(&self) -> u64 {
        self.current_bytes.load(Ordering::Relaxed)
    }

    /// The most that it has held, where anybody has looked.
    pub fn peak_bytes(&self) -> Option<u64> {
        Some(self.peak_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }
}
