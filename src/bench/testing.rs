//! Made-up timings for tests.

use crate::random::SplitMix64;

/// Random timings, with their seed.
pub(crate) struct Random(SplitMix64);

impl Random {
    /// The same from the same seed.
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64(seed))
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// At least `least`, and above it as waiting times are: most little, few much, 1 on average.
    pub fn timing(&mut self, least: f64) -> f64 {
        least - (1.0 - self.unit()).ln()
    }
}
