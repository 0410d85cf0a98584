//! The memory budget of a run: which job may begin, by what each needs and what is free. A state machine without I/O and
//! without a clock of its own.
//!
//! What a job needs is reserved whole before it begins, so that no two half-started jobs can wait for each other. A small job
//! may pass a large one that waits, for a while. What nobody can tell, a program's need, is learned from others of its name:
//! until one of them has ended, they are begun a few at a time, and only while the first keep still.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// A job that waits is passed by others for so long at most.
pub(crate) const PASSED_MAX: Duration = Duration::from_secs(60);

/// Jobs behind one that waits that are looked at, to see whether they may pass it.
const LOOK_AHEAD: usize = 256;

/// How long the first of an unknown name runs alone at least, if it does not end before.
const ALONE: Duration = Duration::from_millis(500);

/// So many failures of a name tell what it needs as well as one success.
const FAILURES_TELL: u32 = 3;

/// Jobs that need less are not counted: there are no more of them at once than lanes.
const SMALL_BYTES: u64 = 16 << 20;

/// What one of an unknown name is taken to need before any has shown more, in bytes.
const UNKNOWN_BYTES: u64 = 64 << 20;

/// What a job needs of the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// So many bytes, as its user or its input says: where they are more than the budget, it cannot run.
    Certain(u64),
    /// So many bytes, more or less: where they are more than the budget, it runs alone.
    Estimated(u64),
    /// What others of this name have needed.
    Learned(Arc<str>),
}

impl Need {
    /// That of a job which takes next to nothing.
    pub const NONE: Self = Self::Estimated(0);

    /// Whether it is not worth speaking of.
    pub(crate) fn is_small(&self) -> bool {
        matches!(self, Self::Estimated(bytes) | Self::Certain(bytes) if *bytes < SMALL_BYTES)
    }
}

/// A job that can never fit: it needs so many bytes of a budget of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeverFits {
    pub bytes: u64,
    pub limit_bytes: u64,
}

/// A job that has given back what it held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The name that its need goes by, where that is learned.
    pub name: Option<Arc<str>>,
}

/// Whether a job may begin.
enum Fit {
    /// It takes so many bytes.
    Now(u64),
    /// There is too little left.
    NoRoom,
    /// Those of its name that run have to show more first.
    NotYet,
}

#[derive(Debug)]
struct Waiting {
    need: Need,
    since: Duration,
}

#[derive(Debug)]
struct Held {
    bytes: u64,
    name: Option<Arc<str>>,
}

/// What is known of the jobs of one name.
#[derive(Debug, Default)]
struct Name {
    /// The most that one has needed which has ended.
    known_bytes: Option<u64>,
    running: usize,
    /// How many have ended in failure, while none has succeeded.
    failed: u32,
    /// The most that one which runs has been seen to hold, while none has ended.
    seen_bytes: u64,
    /// Since when one has been running.
    since: Duration,
    /// When what one holds last grew.
    grew_at: Duration,
}

impl Name {
    /// What the next one is taken to need.
    fn next_bytes(&self) -> u64 {
        match self.known_bytes {
            // No two runs are quite the same.
            Some(known) => known + known / 8,
            None => (self.seen_bytes + self.seen_bytes / 2).max(UNKNOWN_BYTES),
        }
    }

    /// Whether one more may run, by what is known of those that do: as many as have kept still for as long as it took to double
    /// their number.
    fn may_begin(&self, now: Duration) -> bool {
        if self.known_bytes.is_some() || self.running == 0 {
            return true;
        }
        let age = now.saturating_sub(self.since);
        let doublings = (age.as_nanos() / ALONE.as_nanos()).checked_ilog2().map_or(0, |doublings| doublings + 1);
        let still = now.saturating_sub(self.grew_at);
        still >= ALONE.max(age / 4) && (self.running as u128) < 1 << doublings.min(64)
    }
}

/// The budget, and who holds how much of it.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: u64,
    reserved_bytes: u64,
    held: HashMap<u64, Held>,
    /// By whose turn it is.
    waiting: BTreeMap<(u64, u64), Waiting>,
    names: HashMap<Arc<str>, Name>,
}

impl Budget {
    pub fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, reserved_bytes: 0, held: HashMap::new(), waiting: BTreeMap::new(), names: HashMap::new() }
    }

    /// What is spoken for. More than the limit where jobs turned out larger than they had been taken for.
    pub fn reserved_bytes(&self) -> u64 {
        self.reserved_bytes
    }

    /// Whether nobody holds or wants any of it.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.waiting.is_empty()
    }

    /// Whether somebody waits who might begin without another's end, as time shows more of those that run.
    pub fn waits_for_time(&self) -> bool {
        let unknown = |waiting: &Waiting| match &waiting.need {
            Need::Learned(name) => self.names.get(name).is_some_and(|name| name.known_bytes.is_none()),
            _ => false,
        };
        self.waiting.values().take(LOOK_AHEAD).any(unknown)
    }

    /// Whether a job of this name has held some.
    pub fn has_heard_of(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Tells what the jobs of a name have needed so far.
    pub fn know(&mut self, name: &Arc<str>, bytes: u64) {
        let known = &mut self.names.entry(name.clone()).or_default().known_bytes;
        *known = Some(known.map_or(bytes, |before| before.max(bytes)));
    }

    /// The job `key`, whose turn is `order`, asks for what it needs; [`begin`](Self::begin) says when it has it.
    ///
    /// # Errors
    /// Where it never will.
    pub fn ask(&mut self, key: u64, order: u64, need: Need, now: Duration) -> Result<(), NeverFits> {
        if let Need::Certain(bytes) = need
            && bytes > self.limit_bytes
        {
            return Err(NeverFits { bytes, limit_bytes: self.limit_bytes });
        }
        self.waiting.insert((order, key), Waiting { need, since: now });
        Ok(())
    }

    /// The next job that may begin now; what it needs is reserved by this. `free_bytes` is what the machine has free, where that
    /// was measured: programs of an unknown need are begun within it.
    pub fn begin(&mut self, now: Duration, free_bytes: Option<u64>) -> Option<u64> {
        let room = self.limit_bytes.saturating_sub(self.reserved_bytes);
        let mut found = None;
        for (turn, waiting) in self.waiting.iter().take(LOOK_AHEAD) {
            match self.fit(&waiting.need, room, now, free_bytes) {
                Fit::Now(bytes) => {
                    found = Some((*turn, bytes));
                    break;
                }
                Fit::NoRoom if now.saturating_sub(waiting.since) >= PASSED_MAX => return None,
                Fit::NoRoom | Fit::NotYet => {}
            }
        }
        let (turn, bytes) = found?;
        let waiting = self.waiting.remove(&turn)?;
        let name = match waiting.need {
            Need::Learned(name) => Some(name),
            _ => None,
        };
        if let Some(name) = &name {
            let name = self.names.entry(name.clone()).or_default();
            if name.running == 0 {
                (name.since, name.grew_at) = (now, now);
            }
            name.running += 1;
        }
        self.reserved_bytes += bytes;
        self.held.insert(turn.1, Held { bytes, name });
        Some(turn.1)
    }

    /// Whether a job of this need may begin now.
    fn fit(&self, need: &Need, room: u64, now: Duration, free_bytes: Option<u64>) -> Fit {
        let unseen = Name::default();
        // What is only estimated or learned runs alone where it is more than all: nothing would ever make more room.
        let bytes = match need {
            Need::Certain(bytes) => *bytes,
            Need::Estimated(bytes) => (*bytes).min(self.limit_bytes),
            Need::Learned(name) => {
                let name = self.names.get(name).unwrap_or(&unseen);
                let bytes = name.next_bytes();
                let is_guess = name.known_bytes.is_none() && name.running > 0;
                if !name.may_begin(now) || (is_guess && free_bytes.is_some_and(|free| bytes > free)) {
                    return Fit::NotYet;
                }
                bytes.min(self.limit_bytes)
            }
        };
        if bytes <= room { Fit::Now(bytes) } else { Fit::NoRoom }
    }

    /// The job of this key, which runs, has been seen to hold so much.
    pub fn observe(&mut self, key: u64, bytes: u64, now: Duration) {
        let Some(held) = self.held.get_mut(&key) else { return };
        let Some(name) = held.name.as_ref().and_then(|name| self.names.get_mut(name)) else { return };
        if bytes > name.seen_bytes + name.seen_bytes / 16 {
            (name.seen_bytes, name.grew_at) = (bytes, now);
        }
        let wanted = match name.known_bytes {
            Some(_) => bytes,
            // Each of them may come to hold what one does.
            None => name.next_bytes(),
        };
        if wanted > held.bytes {
            self.reserved_bytes += wanted - held.bytes;
            held.bytes = wanted;
        }
    }

    /// The job of this key has ended; `peak_bytes` is the most that it held, where that is known. `None` where it held nothing.
    pub fn end(&mut self, key: u64, peak_bytes: Option<u64>, succeeded: bool) -> Option<Ended> {
        let held = self.held.remove(&key)?;
        self.reserved_bytes -= held.bytes;
        if let Some(name) = &held.name {
            let known = self.names.entry(name.clone()).or_default();
            known.running -= 1;
            known.failed += u32::from(!succeeded);
            // One that failed at once has shown little of what it takes to succeed.
            if let Some(peak_bytes) = peak_bytes.filter(|_| succeeded || known.failed >= FAILURES_TELL) {
                self.know(name, peak_bytes);
            }
        }
        Some(Ended { name: held.name })
    }

    /// The job of this key, whose turn was `order`, waits no more.
    pub fn forget(&mut self, key: u64, order: u64) {
        self.waiting.remove(&(order, key));
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
