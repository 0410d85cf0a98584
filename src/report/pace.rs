//! How fast a run goes, from how many jobs had ended at some moments.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back `of late` goes.
const WINDOW: Duration = Duration::from_secs(30);

/// Moments closer to each other than this are not told apart.
const GRAIN: Duration = Duration::from_millis(500);

/// So many ends tell a pace; where there were fewer of late, those of the whole run do.
const MIN_ENDS: u64 = 5;

/// The pace of a run: how many jobs had ended by when, on each device.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Ascending; the first is as old as the window, or older.
    moments: VecDeque<(Duration, Vec<u64>)>,
}

impl Pace {
    /// Notes that so many had ended `elapsed` after the begin, on each device; devices may be added at the end.
    pub fn note(&mut self, elapsed: Duration, ended: &[u64]) {
        if self.moments.back().is_some_and(|(last, _)| elapsed.saturating_sub(*last) < GRAIN) {
            return;
        }
        self.moments.push_back((elapsed, ended.to_vec()));
        while self.moments.get(1).is_some_and(|(second, _)| elapsed.saturating_sub(*second) >= WINDOW) {
            self.moments.pop_front();
        }
    }

    /// Jobs per second of late on each device, at `elapsed` with so many `ended`.
    pub fn rates(&self, elapsed: Duration, ended: &[u64]) -> Vec<f64> {
        let now: u64 = ended.iter().sum();
        let nothing = (Duration::ZERO, Vec::new());
        let first = self.moments.front().unwrap_or(&nothing);
        let since = |(_, counts): &(Duration, Vec<u64>)| now.saturating_sub(counts.iter().sum());
        let first = if since(first) >= MIN_ENDS { first } else { &nothing };
        let seconds = elapsed.saturating_sub(first.0).as_secs_f64();
        let rate = |(at, count): (usize, &u64)| {
            let before = first.1.get(at).copied().unwrap_or(0);
            if seconds > 0.0 { count.saturating_sub(before) as f64 / seconds } else { 0.0 }
        };
        ended.iter().enumerate().map(rate).collect()
    }
}

/// How long so many jobs take at this pace; `None` where it stands still.
pub fn time_left(jobs: u64, per_second: f64) -> Option<Duration> {
    if jobs == 0 {
        return Some(Duration::ZERO);
    }
    Duration::try_from_secs_f64(jobs as f64 / per_second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_pace_is_that_of_late() {
        let mut pace = Pace::default();
        // Ten a second for a hundred seconds, then one a second.
        for second in 0..=100 {
            pace.note(s(second), &[second * 10]);
        }
        assert_eq!(pace.rates(s(100), &[1000]), [10.0]);
        for second in 101..=200 {
            pace.note(s(second), &[1000 + (second - 100)]);
        }
        assert_eq!(pace.rates(s(200), &[1100]), [1.0]);
        assert!(pace.moments.len() <= 32);
    }

    #[test]
    fn where_little_ended_of_late_the_whole_run_tells() {
        let mut pace = Pace::default();
        for second in 0..=200 {
            pace.note(s(second), &[second / 50]);
        }
        assert_eq!(pace.rates(s(200), &[4]), [4.0 / 200.0]);
    }

    #[test]
    fn a_device_that_came_later_has_its_own_pace() {
        let mut pace = Pace::default();
        (0..=10).for_each(|second| pace.note(s(second), &[second * 2]));
        (11..=20).for_each(|second| pace.note(s(second), &[second * 2, (second - 10) * 4]));
        assert_eq!(pace.rates(s(20), &[40, 40]), [2.0, 2.0]);
    }

    #[test]
    fn of_moments_that_crowd_one_is_kept() {
        let mut pace = Pace::default();
        (0..100_000_u64).for_each(|ms| pace.note(Duration::from_millis(ms), &[ms]));
        assert!(pace.moments.len() < 100, "{}", pace.moments.len());
        assert_eq!(pace.rates(s(0), &[0]), [0.0]);
    }

    #[test]
    fn what_stands_still_never_ends_and_what_is_done_has_ended() {
        assert_eq!(time_left(100, 4.0), Some(s(25)));
        assert_eq!(time_left(100, 0.0), None);
        assert_eq!(time_left(0, 0.0), Some(Duration::ZERO));
    }
}
