//! Two clocks: the one on the wall, which may jump, for what people and files are told; and one that only goes forward, for waiting.

use std::time::{Duration, SystemTime};

/// The clock on the wall has jumped where it has gone so much more, or less, than the other one.
const JUMP: Duration = Duration::from_secs(60);

/// A clock that has jumped is believed after so long, if it stays there: somebody may be about to set it right.
const DOUBT: Duration = Duration::from_secs(3600);

/// Whether the clock on the wall can be believed, where what is forgotten cannot be brought back. Pure.
#[derive(Debug)]
pub(super) struct Belief {
    /// The time on the wall at the beginning of the other clock, as it was believed last.
    begun_ms: i64,
    /// Since when another one is told.
    doubted: Option<Duration>,
}

impl Belief {
    /// What is known of the time so far: at the beginning of the other clock it was this, or a little more.
    pub fn new(begun_ms: i64) -> Self {
        Self { begun_ms, doubted: None }
    }

    /// Whether this is the time.
    pub fn is_believed(&mut self, wall_ms: i64, now: Duration) -> bool {
        let begun_ms = wall_ms.saturating_sub(after_ms(0, now));
        let is_near = Duration::from_millis(begun_ms.abs_diff(self.begun_ms)) <= JUMP;
        let since = *self.doubted.get_or_insert(now);
        if is_near || now.saturating_sub(since) >= DOUBT {
            (self.begun_ms, self.doubted) = (begun_ms, None);
            return true;
        }
        false
    }
}

/// Milliseconds since 1970.
pub(super) fn wall_ms() -> i64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The time on the wall that long after `wall_ms`.
pub(super) fn after_ms(wall_ms: i64, time: Duration) -> i64 {
    wall_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// How long from one time on the wall to a later one; nothing where it is past.
pub(super) fn until(wall_ms: i64, later_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(later_ms.saturating_sub(wall_ms)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_clock_that_jumps_is_believed_once_it_has_stayed_there_and_at_once_when_it_is_back() {
        let mut belief = Belief::new(1_000_000);
        let wall = |now: Duration, off: i64| 1_000_000 + now.as_millis() as i64 + off;
        for (now, off, expected) in [
            (Duration::ZERO, 0, true),
            // Clocks drift apart, a little at a time.
            (HOUR, 50_000, true),
            (2 * HOUR, 100_000, true),
            // A month ahead, until somebody sets it right.
            (3 * HOUR, 2_592_000_000, false),
            (3 * HOUR + DOUBT / 2, 2_592_000_000, false),
            (3 * HOUR + DOUBT * 3 / 4, 100_000, true),
            (5 * HOUR, 2_592_000_000, false),
            (5 * HOUR + DOUBT, 2_592_000_000, true),
            (5 * HOUR + DOUBT, 0, false),
        ] {
            assert_eq!(belief.is_believed(wall(now, off), now), expected, "{now:?} {off}");
        }
    }
}
