//! How much what clients send may take on the disk, and what programs print: files of jobs, datasets, outputs. Pure.

use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes on the disk, of how many.
#[derive(Debug)]
pub(super) struct Space {
    max_bytes: u64,
    used_bytes: AtomicU64,
    /// Somebody waits until so many are given back.
    missing_bytes: AtomicU64,
}

impl Space {
    /// Nothing yet, of so much.
    pub fn new(max_bytes: u64) -> Self {
        Self { max_bytes, used_bytes: AtomicU64::new(0), missing_bytes: AtomicU64::new(0) }
    }

    /// What is there, taken or not.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// What is taken.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// What was there before.
    pub fn add(&self, bytes: u64) {
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes so much, where it is there.
    pub fn take(&self, bytes: u64) -> bool {
        let more = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.max_bytes);
        self.used_bytes.try_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Gives so much back.
    pub fn give_back(&self, bytes: u64) {
        let less = |used: u64| used.saturating_sub(bytes);
        self.used_bytes.update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// So much could not be taken.
    pub fn want(&self, bytes: u64) {
        self.lack(self.used_bytes().saturating_add(bytes).saturating_sub(self.max_bytes));
    }

    /// The disk lacks so much, whatever may be taken of it.
    pub fn lack(&self, bytes: u64) {
        self.missing_bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// How much has to be given back for those that wait; it is asked for once.
    pub fn missing_bytes(&self) -> u64 {
        self.missing_bytes.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_what_is_missing_is_asked_for_once() {
        let space = Space::new(100);
        space.add(30);
        assert!(space.take(70) && !space.take(1) && !space.take(u64::MAX));
        assert_eq!(space.missing_bytes(), 0, "nobody waits");
        space.want(5);
        space.want(20);
        assert_eq!((space.missing_bytes(), space.missing_bytes()), (20, 0));
        space.give_back(50);
        assert!(space.take(50));
        space.give_back(1000);
        assert_eq!(space.used_bytes(), 0);
    }
}
