//! Two clocks: the one on the wall, which may jump, for what people and files are told; and one that only goes forward, for waiting.

use std::time::{Duration, SystemTime};

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
