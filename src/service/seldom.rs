//! Lines of the log that are not written for each of thousands of jobs, where the disk has its troubles.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So long after one line there is no other like it.
const PAUSE: Duration = Duration::from_secs(1);

/// Says when a line may be written once more.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    last: Mutex<Option<Instant>>,
}

impl Seldom {
    /// Whether there was none for a while: then there is one now.
    pub fn is_due(&self) -> bool {
        self.is_due_at(Instant::now())
    }

    fn is_due_at(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_line_a_second() {
        let (seldom, begin) = (Seldom::default(), Instant::now());
        let told_ms = (0..3500).filter(|ms| seldom.is_due_at(begin + Duration::from_millis(*ms)));
        assert_eq!(told_ms.collect::<Vec<_>>(), [0, 1000, 2000, 3000]);
    }
}
