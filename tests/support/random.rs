//! Seeded randomness, so that every failure can be run again.

#![allow(dead_code, reason = "no test uses all of it")]

use std::ops::Range;

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

/// The seed of this run: `TANDEM_TEST_SEED`, or one that never changes.
pub fn base_seed() -> u64 {
    match std::env::var("TANDEM_TEST_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("TANDEM_TEST_SEED={text} is not a u64")),
        Err(_) => 20_260_801,
    }
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator whose stream depends on the name too.
    pub fn named(seed: u64, name: &str) -> Self {
        let hash = name
            .bytes()
            .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        let mut random = Self(hash);
        random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A float in `0..1`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            values.swap(i, self.below(i as u64 + 1) as usize);
        }
    }

    /// `0..units` in at most `pieces` ranges that begin at multiples of `granularity`, in random order.
    pub fn cut(&mut self, units: u64, granularity: u64, pieces: u32) -> Vec<Range<u64>> {
        let granules = units.div_ceil(granularity);
        let mut edges: Vec<u64> =
            (1..pieces).map(|_| (self.below(granules + 1) * granularity).min(units)).chain([0, units]).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut ranges: Vec<Range<u64>> = edges.windows(2).map(|pair| pair[0]..pair[1]).collect();
        self.shuffle(&mut ranges);
        ranges
    }
}
