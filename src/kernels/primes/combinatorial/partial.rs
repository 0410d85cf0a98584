//! What chunks fold to, and how stretches of the sieve that lie next to each other become one.

use crate::job::{Cause, JobError};

/// What the segments from `first` on, before `end`, come to, counted as if nothing lay before them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    first: u64,
    end: u64,
    /// The leaves and what P2 takes off, each with what is left up to it from the stretch's begin on.
    pub sum: i128,
    /// What each b from 8 on finds left in the whole stretch, before its prime is crossed off: up to the b that the last segment has leaves for.
    pub left: Vec<u64>,
    /// How many leaves each b has, each by its sign: up to the b that the first segment has leaves for.
    pub leaves: Vec<i64>,
    /// The primes in it.
    pub primes: u64,
    /// The pairs of which the larger prime may lie anywhere up to a place in it.
    pub pairs: u64,
}

impl Stretch {
    /// An empty one, of a segment.
    pub fn new(segment: u64) -> Self {
        Self { first: segment, end: segment + 1, ..Self::default() }
    }

    /// Adds what comes after: its leaves have what is left here before them.
    pub fn append(&mut self, next: &Self) {
        debug_assert_eq!(self.end, next.first);
        self.end = next.end;
        self.sum += next.sum - i128::from(self.primes) * i128::from(next.pairs);
        debug_assert!(self.left.len() >= next.leaves.len() && next.leaves.len() >= next.left.len());
        let counted = self.left.iter().zip(&next.leaves).map(|(left, leaves)| i128::from(*left) * i128::from(*leaves));
        self.sum += counted.sum::<i128>();
        // The further out, the fewer b have leaves, so that no later one asks for those that fall away here.
        self.left.truncate(next.left.len());
        self.left.iter_mut().zip(&next.left).for_each(|(left, more)| *left += more);
        for (sum, leaves) in self.leaves.iter_mut().zip(&next.leaves) {
            *sum += leaves;
        }
        self.primes += next.primes;
        self.pairs += next.pairs;
    }
}

/// What the steps of one π come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub easy: i128,
    stretches: Vec<Stretch>,
}

impl Counted {
    /// Puts a stretch into its place.
    pub fn push(&mut self, stretch: Stretch) {
        let at = self.stretches.partition_point(|other| other.first < stretch.first);
        self.stretches.insert(at, stretch);
        let from = at.saturating_sub(1);
        for at in (from..(at + 1).min(self.stretches.len() - 1)).rev() {
            if self.stretches[at].end == self.stretches[at + 1].first {
                let next = self.stretches.remove(at + 1);
                self.stretches[at].append(&next);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.easy += other.easy;
        other.stretches.into_iter().for_each(|stretch| self.push(stretch));
    }

    /// The sum over all segments.
    ///
    /// # Errors
    /// Where one is missing: a fault of the caller. A missing block of easy leaves shows nowhere but in the ranges of units, which the engine
    /// checks.
    pub fn total(&self, segments: u64) -> Result<i128, JobError> {
        match &self.stretches[..] {
            [all] if (all.first, all.end) == (0, segments) => Ok(self.easy + all.sum),
            _ => Err(JobError::new(
                Cause::Panic,
                "primes: segments of the sieve are missing: this is a fault in tandem, please report it",
            )),
        }
    }
}

/// What a chunk folds to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CombinatorialPartial {
    /// Of π(b - 1) and of π(a - 1).
    pub(super) counted: [Counted; 2],
}

impl CombinatorialPartial {
    pub(super) fn merge(&mut self, other: Self) {
        self.counted.iter_mut().zip(other.counted).for_each(|(into, from)| into.merge(from));
    }
}
