//! The memory budget of a run: which job may begin, by what each needs and what is free. A state machine without I/O and
//! without a clock of its own.
//!
//! What a job needs is reserved whole before it begins, so that no two half-started jobs can wait for each other. A small job
//! may pass a large one that waits, for a while. What nobody can tell, a program's need, is learned from others of its name:
//! until one of them has ended, they are begun a few at a time, and only while the first keep still.

mod name;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use name::Name;

/// The part of what is free that a run takes where nobody says.
pub(crate) const FREE_PART: f64 = 0.8;

/// A job that waits is passed by others for so long at most.
pub(crate) const PASSED_MAX: Duration = Duration::from_secs(60);

/// Jobs behind one that waits that are looked at, to see whether they may pass it; those of one name count as one.
const LOOK_AHEAD: usize = 256;

/// Needs that are estimated to be less are not counted: there are no more of them at once than lanes.
const SMALL_BYTES: u64 = 16 << 20;

/// So many names are remembered of which nothing is under way.
const NAMES_MAX: usize = 4096;

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
        matches!(self, Self::Estimated(bytes) if *bytes < SMALL_BYTES)
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

/// The budget, and who holds how much of it.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: u64,
    reserved_bytes: u64,
    held: HashMap<u64, Held>,
    /// By whose turn it is; of each name only the next one, since what is so of one is so of all.
    waiting: BTreeMap<(u64, u64), Waiting>,
    names: HashMap<Arc<str>, Name>,
    /// The names of those that wait.
    names_of: HashMap<u64, Arc<str>>,
    /// How many hold some whose need is learned.
    held_by_name: usize,
}

impl Budget {
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            reserved_bytes: 0,
            held: HashMap::new(),
            waiting: BTreeMap::new(),
            names: HashMap::new(),
            names_of: HashMap::new(),
            held_by_name: 0,
        }
    }

    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
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

    /// Whether somebody waits while others run of whom only time shows what they hold.
    pub fn wants_looks(&self) -> bool {
        !self.waiting.is_empty() && self.held_by_name > 0
    }

    /// Whether anything is known of jobs of this name, or will be.
    pub fn has_heard_of(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Tells what jobs of a name have needed at most in so many earlier runs.
    pub fn hear(&mut self, name: &Arc<str>, bytes: u64, runs: u64) {
        self.names.entry(name.clone()).or_default().heard(bytes, runs);
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
        let turn = (order, key);
        if let Need::Learned(name) = &need {
            self.names_of.insert(key, name.clone());
            let waiting = &mut self.names.entry(name.clone()).or_default().waiting;
            let next = waiting.first().copied();
            waiting.insert(turn);
            match next {
                Some(next) if next < turn => return Ok(()),
                Some(next) => _ = self.waiting.remove(&next),
                None => {}
            }
        }
        self.waiting.insert(turn, Waiting { need, since: now });
        Ok(())
    }

    /// The next job that may begin now, of those that `has_place` tells of, by their keys, that they would find one, and that
    /// `takes_seat` once their memory is there; what it needs is reserved by this. `free_bytes` is what the machine has free, where
    /// it has just been looked at, and at those that run: more of a name of which little is known begin only then.
    pub fn begin(
        &mut self,
        now: Duration,
        free_bytes: Option<u64>,
        has_place: impl Fn(u64) -> bool,
        mut takes_seat: impl FnMut(u64) -> bool,
    ) -> Option<u64> {
        let room = self.limit_bytes.saturating_sub(self.reserved_bytes);
        let mut found = None;
        for (turn, waiting) in self.waiting.iter().take(LOOK_AHEAD) {
            // Memory is not what it waits for.
            if !has_place(turn.1) {
                continue;
            }
            match self.fit(&waiting.need, room, now, free_bytes) {
                Fit::Now(bytes) if takes_seat(turn.1) => {
                    found = Some((*turn, bytes));
                    break;
                }
                Fit::NoRoom if now.saturating_sub(waiting.since) >= PASSED_MAX => return None,
                Fit::Now(_) | Fit::NoRoom | Fit::NotYet => {}
            }
        }
        let (turn, bytes) = found?;
        let name = self.leave(turn, now);
        if let Some(name) = name.as_ref().and_then(|name| self.names.get_mut(name)) {
            name.begun(now);
        }
        self.held_by_name += usize::from(name.is_some());
        self.reserved_bytes += bytes;
        self.held.insert(turn.1, Held { bytes, name });
        Some(turn.1)
    }

    /// Takes a job out of those that wait; gives its name.
    fn leave(&mut self, turn: (u64, u64), now: Duration) -> Option<Arc<str>> {
        let was_next = self.waiting.remove(&turn).is_some();
        let name = self.names_of.remove(&turn.1)?;
        let waiting = &mut self.names.get_mut(&name)?.waiting;
        waiting.remove(&turn);
        if was_next && let Some(next) = waiting.first() {
            // It is passed by others only from now on.
            self.waiting.insert(*next, Waiting { need: Need::Learned(name.clone()), since: now });
        }
        Some(name)
    }

    /// Whether a job of this need may begin now.
    fn fit(&self, need: &Need, room: u64, now: Duration, free_bytes: Option<u64>) -> Fit {
        // What is only estimated or learned runs alone where it is more than all: nothing would ever make more room.
        let bytes = match need {
            Need::Certain(bytes) => *bytes,
            Need::Estimated(bytes) => (*bytes).min(self.limit_bytes),
            Need::Learned(name) => match self.names.get(name) {
                None => return Fit::NotYet,
                Some(name) => {
                    let bytes = name.next_bytes();
                    let is_guess = name.running > 0 && !name.is_sure();
                    if is_guess && (!name.may_begin(now) || free_bytes.is_none_or(|free| bytes > free)) {
                        return Fit::NotYet;
                    }
                    bytes.min(self.limit_bytes)
                }
            },
        };
        if bytes <= room { Fit::Now(bytes) } else { Fit::NoRoom }
    }

    /// The job of this key, which runs, has been seen to hold so much.
    pub fn observe(&mut self, key: u64, bytes: u64, now: Duration) {
        let Some(held) = self.held.get_mut(&key) else { return };
        let Some(name) = held.name.as_ref().and_then(|name| self.names.get_mut(name)) else { return };
        let wanted = name.saw(bytes, now);
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
            self.held_by_name -= 1;
            if let Some(known) = self.names.get_mut(name) {
                known.ended(peak_bytes, succeeded);
            }
            if self.names.len() > NAMES_MAX {
                self.names.retain(|_, name| !name.is_idle());
            }
        }
        Some(Ended { name: held.name })
    }

    /// The job of this key, whose turn was `order`, waits no more.
    pub fn forget(&mut self, key: u64, order: u64, now: Duration) {
        self.leave((order, key), now);
    }
}

#[cfg(test)]
mod tests;
