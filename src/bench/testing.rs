//! Made-up timings for tests.

/// The generator SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(crate) struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// At least `least`, and above it as waiting times are: most little, few much, 1 on average.
    pub fn timing(&mut self, least: f64) -> f64 {
        least - (1.0 - self.unit()).ln()
    }
}
