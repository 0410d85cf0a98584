//! A predicted time, and how sure it is.

/// A predicted time in milliseconds, with the interval that it is likely to lie in and the number of runs behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// The most likely time.
    pub ms: f64,
    /// It is unlikely to take less.
    pub low_ms: f64,
    /// It is unlikely to take more.
    pub high_ms: f64,
    /// How many runs near this size it comes from; 0 for a prior.
    pub samples: u32,
}

/// No prediction is longer: more than the greatest job takes on one thread. Keeps hostile sizes finite.
pub(crate) const LONGEST_MS: f64 = 1e20;

impl Forecast {
    /// Nothing to wait for, surely.
    pub const ZERO: Self = Self { ms: 0.0, low_ms: 0.0, high_ms: 0.0, samples: u32::MAX };

    /// `ms`, give or take a factor `spread` of at least 1. What is not a number counts as the longest time.
    pub fn around(ms: f64, spread: f64, samples: u32) -> Self {
        let ms = bounded(ms);
        let spread = if spread >= 1.0 { spread } else { 1.0 };
        Self { ms, low_ms: bounded(ms / spread), high_ms: bounded(ms * spread), samples }
    }

    /// This many times as long.
    pub fn times(self, factor: f64) -> Self {
        Self {
            ms: bounded(self.ms * factor),
            low_ms: bounded(self.low_ms * factor),
            high_ms: bounded(self.high_ms * factor),
            samples: self.samples,
        }
    }

    /// One after the other: as sure as the less sure of both.
    pub fn then(self, next: Self) -> Self {
        Self {
            ms: bounded(self.ms + next.ms),
            low_ms: bounded(self.low_ms + next.low_ms),
            high_ms: bounded(self.high_ms + next.high_ms),
            samples: self.samples.min(next.samples),
        }
    }
}

/// `ms` within what a prediction may be: not negative, not endless, and a number.
fn bounded(ms: f64) -> f64 {
    if ms.is_nan() { LONGEST_MS } else { ms.clamp(0.0, LONGEST_MS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_numbers_stay_finite_and_ordered() {
        for ms in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300] {
            for spread in [f64::NAN, -3.0, 0.0, 1.0, 1e300, f64::INFINITY] {
                let forecast = Forecast::around(ms, spread, 1).times(1e200).then(Forecast::around(ms, spread, 2));
                assert!(
                    forecast.low_ms <= forecast.ms && forecast.ms <= forecast.high_ms,
                    "{ms} {spread} {forecast:?}"
                );
                assert!(forecast.high_ms <= LONGEST_MS && forecast.low_ms >= 0.0, "{ms} {spread} {forecast:?}");
            }
        }
    }
}
