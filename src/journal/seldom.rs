//! Lines of the log that are not written for each of thousands of jobs, where the disk has its troubles.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Says when a line may be written once more.
#[derive(Debug)]
pub(crate) struct Seldom {
    pause: Duration,
    last: Mutex<Option<Instant>>,
}

impl Seldom {
    /// So long after one line there is no other like it.
    pub fn new(pause: Duration) -> Self {
        Self { pause, last: Mutex::default() }
    }

    /// Whether there was none for a while: then there is one now.
    pub fn is_due(&self) -> bool {
        self.is_due_at(Instant::now())
    }

    fn is_due_at(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= self.pause);
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
        let (seldom, begin) = (Seldom::new(Duration::from_secs(1)), Instant::now());
        let told_ms = (0..3500).filter(|ms| seldom.is_due_at(begin + Duration::from_millis(*ms)));
        assert_eq!(told_ms.collect::<Vec<_>>(), [0, 1000, 2000, 3000]);
    }
}
