//! Whose turn it is: what the engine is given, and what has to be made ready for it first.

use std::cmp::Reverse;
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
                    let mut jobs = jobs.into_iter();
                    while let Some(seq) = jobs.next() {
                        if !self.is_taken_now(seq) {
                            // No others go before them.
                            others = false;
                            self.quarantine.put_back(std::iter::once(seq).chain(jobs));
                            break;
                        }
                        self.take_turn(seq, now_ms, &mut turns);
                    }
                    if !others || !turns.given.is_empty() || !turns.unprepared.is_empty() {
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
        while others && let Some((_, seq)) = self.queue.first().copied() {
            if !self.is_taken_now(seq) {
                break;
            }
            self.queue.pop_first();
            self.take_turn(seq, now_ms, &mut turns);
        }
        turns
    }

    /// Whether a job can be given to the engine, or be made ready for it. One that takes results of others may turn out to be long: until that
    /// is known, it is made ready while no other one like it is.
    fn is_taken_now(&self, seq: u64) -> bool {
        let Some(job) = self.jobs.get(&seq) else { return true };
        self.engine_takes(job.weight, self.given.jobs == 0) && (job.is_weighed() || self.weighed.is_none())
    }

    fn take_turn(&mut self, seq: u64, now_ms: i64, turns: &mut Turns) {
        let Some(job) = self.jobs.get_mut(&seq).filter(|job| !job.is_over) else {
            return self.quarantine.ended(seq);
        };
        let load = Load::of(job.weight);
        self.given += load;
        match Given::of(seq, job) {
            Some(given) => {
                (job.state, job.started_ms) = (State::Running, Some(now_ms));
                job.attempts += 1;
                turns.given.push(given);
            }
            None => {
                self.unprepared.insert(seq, load);
                if !job.is_weighed() {
                    self.weighed = Some(seq);
                }
                turns.unprepared.push(Unprepared { seq, is_slow: load.bytes > UNPARSED || job.takes_results });
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
                self.queue.insert((Reverse(job.priority), given.seq));
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
        self.weighed.take_if(|weighed| *weighed == seq);
    }

    /// A job, where it is to be prepared.
    pub fn unprepared(&self, seq: u64) -> Option<&Job> {
        self.jobs.get(&seq).filter(|_| self.unprepared.contains_key(&seq))
    }

    /// A job can be run with this, and takes so much of others: it is its turn once more, though it is made ready anew by then where it turns out
    /// to be too long to wait like that. Nothing, where it cannot be run.
    pub fn put_ready(&mut self, seq: u64, ready: Option<Ready>, taken_bytes: usize) {
        let Some(load) = self.unprepared.remove(&seq) else { return };
        self.given -= load;
        self.weighed.take_if(|weighed| *weighed == seq);
        let is_first = self.given.jobs == 0;
        let weight = self.jobs.get(&seq).map_or(0, |job| job.request.len() + taken_bytes);
        let fits = self.engine_takes(weight, is_first);
        if let Some(job) = self.jobs.get_mut(&seq).filter(|job| !job.is_over && ready.is_some()) {
            job.ready = ready.filter(|_| fits);
            job.weight = weight;
            job.taken_bytes = Some(taken_bytes);
            if self.quarantine.is_under_way(seq) {
                self.quarantine.put_back([seq]);
            } else {
                self.queue.insert((Reverse(job.priority), seq));
            }
        }
    }
}
