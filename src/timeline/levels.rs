//! A level over time, in bounded memory.

use std::time::Duration;

/// Changes that are kept, at most.
const CHANGES_MAX: usize = 100_000;

/// Changes closer to each other than this are not told apart, to begin with.
const GRAIN: Duration = Duration::from_micros(100);

/// A level that changes over time. Of changes that crowd, the greatest and the last are kept.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    changes: Vec<(Duration, u64)>,
    grain: Duration,
}

impl Levels {
    /// What it is now.
    pub fn now(&self) -> u64 {
        self.changes.last().map_or(0, |(_, level)| *level)
    }

    /// Notes what it is from `at` on, which is no earlier than the last change.
    pub fn set(&mut self, at: Duration, level: u64) {
        self.grain = self.grain.max(GRAIN);
        self.add(at, level);
        while self.changes.len() > CHANGES_MAX {
            self.grain *= 2;
            let changes = std::mem::take(&mut self.changes);
            changes.into_iter().for_each(|(at, level)| self.add(at, level));
        }
    }

    fn add(&mut self, at: Duration, level: u64) {
        if let [.., first, last] = self.changes.as_mut_slice()
            && at.saturating_sub(first.0) < self.grain
        {
            first.1 = first.1.max(last.1);
            *last = (at, level);
        } else {
            self.changes.push((at, level));
        }
    }

    /// From when on it was what.
    pub fn changes(&self) -> Vec<(Duration, u64)> {
        self.changes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_seldom_is_kept_as_it_was() {
        let mut levels = Levels::default();
        let changes = [(0, 3), (1, 5), (7, 0), (8, 9)].map(|(ms, level)| (Duration::from_millis(ms), level));
        changes.iter().for_each(|(at, level)| levels.set(*at, *level));
        assert_eq!((levels.changes(), levels.now()), (changes.to_vec(), 9));
    }

    #[test]
    fn of_what_changes_often_the_greatest_and_the_last_are_kept() {
        let mut levels = Levels::default();
        for change in 0..3_000_000_u64 {
            levels.set(Duration::from_micros(change), if change == 1_234_567 { 77_777 } else { change % 1000 });
        }
        let changes = levels.changes();
        assert!(changes.len() <= CHANGES_MAX && changes.len() > 1000, "{}", changes.len());
        assert_eq!(changes.iter().map(|(_, level)| *level).max(), Some(77_777));
        assert_eq!(levels.now(), 2_999_999 % 1000);
        assert!(changes.is_sorted_by_key(|(at, _)| *at));
    }
}
