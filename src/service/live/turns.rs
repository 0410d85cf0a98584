//! Whose turn it is: what the engine is given, and what has to be made ready for it first.

use std::time::Duration;

use crate::journal::State;
use crate::service::intake::Ready;
use crate::service::live::{Given, Job, Live, Load, Turns, UNPARSED, Unprepared};
use crate::service::quarantine::Permitted;

impl Live {
    /// Those whose turn it is now. Their attempts have to be written down before the engine gets them; those that are not parsed (any
    /// more) have to be, and are asked for again then.
    pub fn take_turns(&mut self, now: Duration, now_ms: i64) -> Turns {
        let mut turns = Turns::default();
        if self.is_draining || self.held_until.is_some_and(|until| now < until) {
            return turns;
        }
        self.held_until = None;
        let mut others = true;
        loop {
            match self.quarantine.next(now) {
                Permitted::Suspects { jobs, others: are_free } => {
                    others = are_free;
                    let mut later = Vec::new();
                    for seq in jobs {
                        // No others go before them where there is no room.
                        others &= self.has_room_for(seq);
                        if self.has_room_for(seq) && (self.is_weighed(seq) || self.weighed.is_none()) {
                            self.take_turn(seq, now_ms, &mut turns);
                        } else {
                            later.push(seq);
                        }
                    }
                    let none_is_left = turns.given.is_empty() && turns.unprepared.is_empty() && later.is_empty();
                    self.quarantine.put_back(later);
                    if !none_is_left {
                        break;
                    }
                }
                Permitted::Nobody => {
                    others = false;
                    break;
                }
                Permitted::Others => break,
            }
        }
        // What is weighed takes none of the engine's room, and waits for none: it is one at a time.
        for is_weighed in [false, true] {
            while others && let Some(seq) = self.queue.first(is_weighed) {
                if !self.has_room_for(seq) || !(is_weighed || self.weighed.is_none()) {
                    break;
                }
                self.queue.take_first(is_weighed);
                self.take_turn(seq, now_ms, &mut turns);
            }
        }
        turns
    }

    /// Whether the engine takes one more of what a job weighs, where that is known.
    fn has_room_for(&self, seq: u64) -> bool {
        let has_room = |job: &Job| !job.is_weighed() || self.engine_takes(job.weight, self.given.jobs == 0);
        self.jobs.get(&seq).is_none_or(has_room)
    }

    /// Whether it is known how long a job is: one that takes results of others may turn out to be very long, and until that is known it is made
    /// ready while no other one like it is.
    fn is_weighed(&self, seq: u64) -> bool {
        self.jobs.get(&seq).is_none_or(Job::is_weighed)
    }

    fn take_turn(&mut self, seq: u64, now_ms: i64, turns: &mut Turns) {
        let Some(job) = self.jobs.get_mut(&seq).filter(|job| !job.is_over) else {
            return self.quarantine.ended(seq);
        };
        let load = Load::of(job.weight);
        let is_slow = load.bytes > UNPARSED || job.takes_results;
        if !job.is_weighed() {
            self.weighed = Some(seq);
            return turns.unprepared.push(Unprepared { seq, is_slow });
        }
        self.given += load;
        match Given::of(seq, job) {
            Some(given) => {
                (job.state, job.started_ms) = (State::Running, Some(now_ms));
                job.attempts += 1;
                turns.given.push(given);
            }
            None => {
                self.unprepared.insert(seq, load);
                turns.unprepared.push(Unprepared { seq, is_slow });
            }
        }
    }

    /// Their attempts could not be written down: they wait until then, and the others with them. Gives those that somebody has cancelled
    /// meanwhile: the engine ends them without running them.
    pub fn put_back(&mut self, given: Vec<Given>, until: Duration) -> Vec<Given> {
        self.held_until = Some(until);
        let mut cancelled = Vec::new();
        let mut suspects = Vec::new();
        for given in given {
            let Some(job) = self.jobs.get_mut(&given.seq) else { continue };
            if job.ends_as.is_some() {
                cancelled.push(given);
                continue;
            }
            self.given -= Load::of(job.weight);
            job.state = State::Queued;
            job.attempts -= 1;
            job.ready = Some(given.ready);
            if self.quarantine.is_under_way(given.seq) {
                suspects.push(given.seq);
            } else {
                self.queue.insert(given.seq, job);
            }
        }
        self.quarantine.put_back(suspects);
        cancelled
    }

    /// The engine says that it runs it.
    pub fn began(&mut self, seq: u64, at_ms: i64) {
        // Told too late, it would be counted twice.
        if let Some(job) = self.jobs.get_mut(&seq).filter(|job| job.state == State::Running && !job.is_over) {
            self.begun += usize::from(!job.has_begun);
            (job.has_begun, job.started_ms) = (true, Some(at_ms));
        }
    }

    /// What a job takes of others cannot be read just now: others need not wait for that.
    pub fn is_unreadable(&mut self, seq: u64) {
        if self.take_unprepared(seq) {
            self.unreadable.insert(seq);
        }
    }

    /// A job, where it is to be prepared.
    pub fn unprepared(&self, seq: u64) -> Option<&Job> {
        let is_one = self.unprepared.contains_key(&seq) || self.weighed == Some(seq) || self.unreadable.contains(&seq);
        self.jobs.get(&seq).filter(|_| is_one)
    }

    /// It is not to be prepared any more; whether it was.
    pub(super) fn take_unprepared(&mut self, seq: u64) -> bool {
        match self.unprepared.remove(&seq) {
            Some(load) => {
                self.given -= load;
                true
            }
            None => self.weighed.take_if(|weighed| *weighed == seq).is_some() || self.unreadable.remove(&seq),
        }
    }

    /// A job can be run with this, and takes so much of others: it is its turn once more, though it is made ready anew by then where it turns out
    /// to be too long to wait like that. Nothing, where it cannot be run.
    pub fn put_ready(&mut self, seq: u64, ready: Option<Ready>, taken_bytes: usize) {
        if !self.take_unprepared(seq) {
            return;
        }
        let weight = self.jobs.get(&seq).map_or(0, |job| job.request.len() + taken_bytes);
        let fits = self.engine_takes(weight, self.given.jobs == 0);
        if let Some(job) = self.jobs.get_mut(&seq).filter(|job| !job.is_over && ready.is_some()) {
            (job.weight, job.taken_bytes) = (weight, Some(taken_bytes));
            let is_first = if self.quarantine.is_under_way(seq) {
                self.quarantine.put_back([seq]);
                true
            } else {
                self.queue.insert(seq, job);
                self.queue.first(true) == Some(seq)
            };
            // What waits behind others would be held by as many as there are.
            job.ready = ready.filter(|_| fits && is_first);
        }
    }
}
