//! What is known of the need of programs of one name, and how many may run on the strength of that.

use std::collections::BTreeSet;
use std::time::Duration;

/// How long the first of an unknown name runs alone at least, if it does not end before.
const ALONE: Duration = Duration::from_millis(500);

/// What one of an unknown name is taken to need before any has shown more, in bytes.
pub(super) const UNKNOWN_BYTES: u64 = 64 << 20;

/// What each ending tells: one that succeeded in this run, one that failed in it (which may have been over before it took what it
/// takes to succeed), one of an earlier run, whose input may have been smaller.
const SUCCESS: u32 = 6;
const FAILURE: u32 = 2;
const EARLIER: u32 = 3;

/// So much of it lets one more run at once; and so much lets as many run as there is room for.
const FOR_ONE: u32 = 3;
const FOR_ALL: u32 = 24;

/// What is known of the jobs of one name, and which of them wait.
#[derive(Debug, Default)]
pub(super) struct Name {
    /// Those that wait, by their turn.
    pub waiting: BTreeSet<(u64, u64)>,
    pub running: usize,
    /// The most that one has needed which has ended.
    known_bytes: Option<u64>,
    /// How well that is founded.
    evidence: u32,
    /// The most that one of those that run has been seen to hold.
    seen_bytes: u64,
    /// Since when one has been running.
    since: Duration,
    /// When what one holds last grew.
    grew_at: Duration,
}

impl Name {
    /// So many earlier runs have needed so much at most.
    pub fn heard(&mut self, bytes: u64, runs: u64) {
        self.known_bytes = self.known_bytes.max(Some(bytes));
        self.evidence += EARLIER * u32::try_from(runs).unwrap_or(u32::MAX).min(FOR_ALL / EARLIER);
    }

    /// Whether nothing of it is under way.
    pub fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting.is_empty()
    }

    /// What the next one is taken to need, in bytes.
    pub fn next_bytes(&self) -> u64 {
        // No two runs are quite the same, and one that grows goes on growing.
        let seen = self.seen_bytes + self.seen_bytes / if self.evidence == 0 { 2 } else { 8 };
        self.known_bytes.map_or(UNKNOWN_BYTES, |known| known + known / 8).max(seen)
    }

    /// Whether as many may run as there is room for.
    pub fn is_sure(&self) -> bool {
        self.evidence >= FOR_ALL && !self.is_exceeded()
    }

    /// Whether one that runs holds more than any is known to have needed.
    fn is_exceeded(&self) -> bool {
        self.known_bytes.is_some_and(|known| self.seen_bytes > known + known / 8)
    }

    /// Whether one more may run, where that is not sure: as many as others have ended, or as have kept still for as long as
    /// it took to double their number.
    pub fn may_begin(&self, now: Duration) -> bool {
        let ended = if self.is_exceeded() { 0 } else { (self.evidence / FOR_ONE) as usize };
        if self.running < ended.max(1) {
            return true;
        }
        let age = now.saturating_sub(self.since);
        let doublings = (age.as_nanos() / ALONE.as_nanos()).checked_ilog2().map_or(0, |doublings| doublings + 1);
        let still = now.saturating_sub(self.grew_at);
        still >= ALONE.max(age / 4) && (self.running as u128) < 1 << doublings.min(64)
    }

    /// One has begun.
    pub fn begun(&mut self, now: Duration) {
        if self.running == 0 {
            (self.since, self.grew_at) = (now, now);
        }
        self.running += 1;
    }

    /// One that runs was seen to hold so much; gives what it is to have reserved at least.
    pub fn saw(&mut self, bytes: u64, now: Duration) -> u64 {
        if bytes > self.seen_bytes + self.seen_bytes / 16 {
            (self.seen_bytes, self.grew_at) = (bytes, now);
        }
        // Where little is known, each may come to hold what one does.
        if self.is_sure() { bytes } else { self.next_bytes() }
    }

    /// One has ended, which held so much at most, where that is known.
    pub fn ended(&mut self, peak_bytes: Option<u64>, succeeded: bool) {
        self.running -= 1;
        self.evidence = self.evidence.saturating_add(if succeeded { SUCCESS } else { FAILURE });
        // One that was over before anybody looked has not needed more than one of which nothing is known.
        if let Some(bytes) = peak_bytes.or_else(|| (self.evidence >= FOR_ALL).then_some(UNKNOWN_BYTES)) {
            self.known_bytes = self.known_bytes.max(Some(bytes));
        }
        if self.running == 0 {
            self.seen_bytes = 0;
        }
    }
}
