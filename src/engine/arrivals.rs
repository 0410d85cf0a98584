//! How fast jobs of one kind come, from when they came. Pure: times are from the begin of the engine.

use std::time::Duration;

/// The weight of the newest in the mean.
const NEWEST: f64 = 0.125;

/// A running mean of the time from one job to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrivals {
    last: Option<Duration>,
    gap_ms: Option<f64>,
}

impl Arrivals {
    /// So many have come now.
    pub fn came(&mut self, jobs: u64, now: Duration) {
        if jobs == 0 {
            return;
        }
        if let Some(last) = self.last {
            let gap_ms = now.saturating_sub(last).as_secs_f64() * 1e3 / jobs as f64;
            // Of many that came at once each counts, as far as the mean remembers.
            let weight = 1.0 - (1.0 - NEWEST).powf(jobs as f64);
            self.gap_ms = Some(self.gap_ms.map_or(gap_ms, |mean| mean + (gap_ms - mean) * weight));
        }
        self.last = Some(now);
    }

    /// How many are expected in a millisecond; none where fewer than two times are known. Where none has come for longer than usual, as
    /// many fewer.
    pub fn per_ms(&self, now: Duration) -> f64 {
        let (Some(last), Some(gap_ms)) = (self.last, self.gap_ms) else { return 0.0 };
        let silent_ms = now.saturating_sub(last).as_secs_f64() * 1e3;
        1.0 / gap_ms.max(silent_ms).max(1e-6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn nothing_is_expected_of_what_came_once() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.per_ms(at_us(5)), 0.0);
        arrivals.came(100, at_us(5));
        arrivals.came(0, at_us(6));
        assert_eq!(arrivals.per_ms(at_us(7)), 0.0);
    }

    #[test]
    fn the_mean_follows_what_comes_and_falls_while_nothing_does() {
        let mut arrivals = Arrivals::default();
        (0..50).for_each(|number| arrivals.came(1, at_us(100 * number)));
        let now = 4_900;
        assert!((arrivals.per_ms(at_us(now)) - 10.0).abs() < 1e-9);
        assert!((arrivals.per_ms(at_us(now + 2_000)) - 0.5).abs() < 1e-9, "silence");
        // Two hundred at once, after a millisecond.
        arrivals.came(200, at_us(now + 1_000));
        assert!(arrivals.per_ms(at_us(now + 1_000)) > 190.0);
        (0..50).for_each(|number| arrivals.came(1, at_us(now + 1_000 * (number + 2))));
        let slow = arrivals.per_ms(at_us(now + 51_000));
        assert!((0.9..1.1).contains(&slow), "{slow}: old ones are forgotten");
    }
}
