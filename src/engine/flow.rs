//! Which job of a run may begin, when: those that wait for others, those that are tried again, and the end of a run that has
//! failed too often. A state machine without I/O; whoever streams the jobs feeds it, and a simulator can feed it just as well.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::ops::Range;
use std::time::Duration;

use crate::engine::gates::{Gate, Gates};
use crate::job::{Cause, Terms};

/// When a run stops beginning jobs, for having failed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Halt {
    /// Whether jobs under way are cancelled too, rather than left to end.
    pub now: bool,
    /// At which failures; never if left out.
    pub at: Option<Failures>,
}

/// A number of failed jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failures {
    /// So many.
    Count(u64),
    /// So many per cent of those that have ended, once three have failed.
    Percent(f64),
}

/// `never`, `soon,fail=3`, `now,fail=10%`.
impl std::str::FromStr for Halt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{}` is no way to halt: use never, soon,fail=N or now,fail=P%", crate::job::shorten(text));
        if text == "never" {
            return Ok(Self::default());
        }
        let (when, failures) = text.split_once(",fail=").ok_or_else(wrong)?;
        let now = match when {
            "now" => true,
            "soon" => false,
            _ => return Err(wrong()),
        };
        let at = match failures.strip_suffix('%') {
            Some(percent) => {
                let percent: f64 = percent.parse().map_err(|_| wrong())?;
                Some(percent).filter(|percent| *percent > 0.0 && *percent <= 100.0).map(Failures::Percent)
            }
            None => failures.parse().ok().filter(|count| *count > 0).map(Failures::Count),
        };
        Ok(Self { now, at: Some(at.ok_or_else(wrong)?) })
    }
}

/// How a run goes about its jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowOptions {
    /// When it stops, for having failed.
    pub halt: Halt,
    /// How often a job that does not say is tried again.
    pub retries: u32,
    /// How long until the first of these tries; each further one waits twice as long, up to a minute or this.
    pub retry_delay: Duration,
    /// Exit codes that can pass: a command that ends with one of them is tried again.
    pub retry_exit_codes: Vec<i32>,
}

/// Tries wait no longer than this, unless the first one does.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(60);

/// What is to become of a job that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may begin.
    Begin,
    /// It waits for others.
    Wait,
    /// The job in this place, which it was to wait for, has not succeeded.
    Skip(u64),
}

/// What follows from the end of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The job in this place has waited long enough.
    Begin(u64),
    /// The job in this place is not to run, since the other has not succeeded. It has ended by this.
    Skip {
        /// Which.
        job: u64,
        /// The one that it waited for.
        parent: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Pending = 0,
    Succeeded = 1,
    Failed = 2,
}

/// The end of every job, in two bits each.
#[derive(Debug, Default)]
struct Statuses(Vec<u8>);

impl Statuses {
    fn get(&self, job: u64) -> Status {
        let byte = usize::try_from(job / 4).ok().and_then(|at| self.0.get(at)).copied().unwrap_or(0);
        match byte >> (job % 4 * 2) & 3 {
            0 => Status::Pending,
            1 => Status::Succeeded,
            _ => Status::Failed,
        }
    }

    fn set(&mut self, job: u64, status: Status) {
        let Ok(at) = usize::try_from(job / 4) else { return };
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= (status as u8) << (job % 4 * 2);
    }
}

/// A job that waits for others.
#[derive(Debug)]
struct Waiting {
    parents_left: usize,
}

/// A job that can be tried again.
#[derive(Debug)]
struct Tries {
    left: u32,
    delay: Duration,
}

/// The jobs of a run, by their places in it.
#[derive(Debug, Default)]
pub struct Flow {
    options: FlowOptions,
    statuses: Statuses,
    waiting: HashMap<u64, Waiting>,
    /// Who waits for a job or a gate: jobs and gates.
    children: BTreeMap<u64, Vec<u64>>,
    gates: Gates,
    tries: HashMap<u64, Tries>,
    /// Jobs to be tried again, by when.
    delayed: BinaryHeap<Reverse<(Duration, u64)>>,
    ended: u64,
    failed: u64,
}

impl Flow {
    /// No job yet.
    pub fn new(options: FlowOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Takes in the job in this place; all that it waits for lies before it and has been taken in.
    pub fn add(&mut self, job: u64, terms: &Terms) -> Verdict {
        let retries = terms.retries.unwrap_or(self.options.retries);
        if retries > 0 {
            self.tries.insert(job, Tries { left: retries, delay: self.options.retry_delay });
        }
        let mut parents = Vec::with_capacity(terms.after.len());
        let mut failed = None;
        for group in &terms.after {
            if group.end - group.start == 1 {
                parents.push(group.start);
                continue;
            }
            match self.gate(group) {
                Gate::Waiting(number) => parents.push(number),
                Gate::Open => {}
                Gate::Closed(parent) => failed = Some(parent),
            }
        }
        parents.sort_unstable();
        parents.dedup();
        let failed = parents.iter().copied().find(|parent| self.statuses.get(*parent) == Status::Failed).or(failed);
        if let Some(failed) = failed {
            self.give_up_one(job);
            return Verdict::Skip(failed);
        }
        parents.retain(|parent| self.statuses.get(*parent) == Status::Pending);
        if parents.is_empty() {
            return Verdict::Begin;
        }
        self.waiting.insert(job, Waiting { parents_left: parents.len() });
        for parent in parents {
            self.children.entry(parent).or_default().push(job);
        }
        Verdict::Wait
    }

    /// What is known of a group of jobs that one waits for.
    fn gate(&mut self, group: &Range<u64>) -> Gate {
        if let Some(gate) = self.gates.get(group) {
            return gate;
        }
        let mut pending = Vec::new();
        let mut failed = None;
        for job in group.clone() {
            match self.statuses.get(job) {
                Status::Pending => pending.push(job),
                Status::Succeeded => {}
                Status::Failed => failed = failed.or(Some(job)),
            }
        }
        let gate = self.gates.add(group.clone(), pending.len(), failed);
        if let Gate::Waiting(number) = gate {
            for job in pending {
                self.children.entry(job).or_default().push(number);
            }
        }
        gate
    }

    /// Whether a job that has just failed of this is tried again, and when; it has not ended then. The time is on the same clock
    /// as `now`.
    pub fn retry(&mut self, job: u64, cause: Cause, exit_code: Option<i32>, now: Duration) -> bool {
        let can_pass = match cause {
            Cause::DeviceLost | Cause::Timeout => true,
            Cause::ExitCode => exit_code.is_some_and(|code| self.options.retry_exit_codes.contains(&code)),
            _ => false,
        };
        if !can_pass || self.is_halted() {
            return false;
        }
        let Some(tries) = self.tries.get_mut(&job).filter(|tries| tries.left > 0) else { return false };
        tries.left -= 1;
        self.delayed.push(Reverse((now + tries.delay, job)));
        tries.delay = (tries.delay * 2).min(RETRY_DELAY_MAX.max(self.options.retry_delay));
        true
    }

    /// Whether a job that fails now could be tried again.
    pub fn may_be_tried_again(&self, job: u64) -> bool {
        self.tries.get(&job).is_some_and(|tries| tries.left > 0)
    }

    /// Whether a job has not ended.
    pub fn is_pending(&self, job: u64) -> bool {
        self.statuses.get(job) == Status::Pending
    }

    /// A job has ended for good. Gives what follows for others.
    pub fn end(&mut self, job: u64, succeeded: bool) -> Vec<Next> {
        if self.children.is_empty() {
            self.close(job, succeeded);
            return Vec::new();
        }
        let mut next = Vec::new();
        self.close(job, succeeded);
        // What has ended, how, and, where that was a gate, by which job.
        let mut ended = vec![(job, succeeded, job)];
        while let Some((number, succeeded, job)) = ended.pop() {
            for child in self.children.remove(&number).unwrap_or_default() {
                if Gates::is_gate(child) {
                    if self.gates.settles(child, job, succeeded) {
                        ended.push((child, succeeded, job));
                    }
                    continue;
                }
                let Some(waiting) = self.waiting.get_mut(&child) else { continue };
                if !succeeded {
                    self.waiting.remove(&child);
                    next.push(Next::Skip { job: child, parent: job });
                    self.give_up_one(child);
                    ended.push((child, false, child));
                    continue;
                }
                waiting.parents_left -= 1;
                if waiting.parents_left == 0 {
                    self.waiting.remove(&child);
                    next.push(Next::Begin(child));
                }
            }
        }
        next
    }

    fn close(&mut self, job: u64, succeeded: bool) {
        self.statuses.set(job, if succeeded { Status::Succeeded } else { Status::Failed });
        self.tries.remove(&job);
        self.ended += 1;
        self.failed += u64::from(!succeeded);
    }

    /// A job ends without having run, which is no failure of its own: a run does not halt for it.
    pub fn give_up_one(&mut self, job: u64) {
        self.statuses.set(job, Status::Failed);
        self.tries.remove(&job);
        self.ended += 1;
    }

    /// The next job to be tried again, if its time has come.
    pub fn due(&mut self, now: Duration) -> Option<u64> {
        let Reverse((at, job)) = *self.delayed.peek()?;
        (at <= now).then(|| {
            self.delayed.pop();
            job
        })
    }

    /// When the next job is to be tried again.
    pub fn due_at(&self) -> Option<Duration> {
        self.delayed.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether enough has failed for no job to begin any more.
    pub fn is_halted(&self) -> bool {
        match self.options.halt.at {
            None => false,
            Some(Failures::Count(count)) => self.failed >= count,
            Some(Failures::Percent(percent)) => {
                self.failed >= 3 && self.failed as f64 * 100.0 >= percent * self.ended as f64
            }
        }
    }

    /// Whether those under way are to be cancelled as well.
    pub fn halts_now(&self) -> bool {
        self.options.halt.now && self.is_halted()
    }

    /// Gives up every job that waits, for others or for another try: they have ended by this.
    pub fn give_up(&mut self) -> Vec<u64> {
        let mut jobs: Vec<u64> = self.waiting.drain().map(|(job, _)| job).collect();
        jobs.extend(self.delayed.drain().map(|Reverse((_, job))| job));
        jobs.sort_unstable();
        self.children.clear();
        self.gates.clear();
        jobs.iter().for_each(|job| self.give_up_one(*job));
        jobs
    }

    /// How many jobs wait, for others or for another try.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.delayed.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(parents: &[u64]) -> Terms {
        Terms { after: parents.iter().map(|parent| *parent..parent + 1).collect(), ..Terms::default() }
    }

    #[test]
    fn a_job_begins_when_the_last_of_those_it_waits_for_has_succeeded() {
        let mut flow = Flow::new(FlowOptions::default());
        for job in 0..3 {
            assert_eq!(flow.add(job, &after(&[])), Verdict::Begin);
        }
        assert_eq!(flow.end(1, true), []);
        assert_eq!(flow.add(3, &Terms { after: vec![0..3, 0..1], ..Terms::default() }), Verdict::Wait);
        assert_eq!(flow.end(2, true), []);
        assert_eq!(flow.end(0, true), [Next::Begin(3)]);
        assert_eq!(flow.add(4, &after(&[0, 1])), Verdict::Begin);
    }

    #[test]
    fn what_waits_for_a_failed_job_is_skipped_and_so_is_what_waits_for_that() {
        let mut flow = Flow::new(FlowOptions::default());
        flow.add(0, &after(&[]));
        flow.add(1, &after(&[]));
        flow.add(2, &after(&[0]));
        flow.add(3, &after(&[1, 2]));
        assert_eq!(flow.end(0, false), [Next::Skip { job: 2, parent: 0 }, Next::Skip { job: 3, parent: 2 }]);
        assert_eq!(flow.add(4, &after(&[3])), Verdict::Skip(3));
        assert_eq!(flow.end(1, true), []);
        assert_eq!((flow.waiting(), flow.failed, flow.ended), (0, 1, 5), "what is skipped has not failed");
    }

    #[test]
    fn a_group_is_watched_once_however_many_wait_for_it() {
        let mut flow = Flow::new(FlowOptions::default());
        (0..1000).for_each(|job| _ = flow.add(job, &after(&[])));
        let group = |group: Range<u64>| Terms { after: vec![group], ..Terms::default() };
        assert!((1000..2000).all(|job| flow.add(job, &group(0..1000)) == Verdict::Wait));
        let watched: usize = flow.children.values().map(Vec::len).sum();
        assert_eq!((watched, flow.waiting()), (2000, 1000));
        assert!((1..1000).all(|job| flow.end(job, true).is_empty()));
        assert_eq!(flow.end(0, true), (1000..2000).map(Next::Begin).collect::<Vec<_>>());
        assert_eq!(flow.add(2000, &group(0..1000)), Verdict::Begin);
        assert_eq!(flow.add(2001, &group(1000..2000)), Verdict::Wait);
        assert_eq!(flow.end(1007, false), [Next::Skip { job: 2001, parent: 1007 }]);
        assert_eq!(flow.add(2002, &group(1000..2000)), Verdict::Skip(1007));
        assert_eq!(flow.end(1008, false), []);
    }

    #[test]
    fn what_can_pass_is_tried_again_after_ever_longer_pauses() {
        let second = Duration::from_secs(1);
        let options =
            FlowOptions { retries: 2, retry_delay: second, retry_exit_codes: vec![75], ..FlowOptions::default() };
        let mut flow = Flow::new(options);
        flow.add(0, &after(&[]));
        flow.add(1, &Terms { retries: Some(0), ..Terms::default() });
        assert!(!flow.retry(1, Cause::Timeout, None, second), "it says that it is not to be");
        assert!(!flow.retry(0, Cause::BadInput, None, second) && !flow.retry(0, Cause::ExitCode, Some(1), second));
        assert!(flow.retry(0, Cause::ExitCode, Some(75), second));
        assert_eq!((flow.due(second), flow.due_at(), flow.due(2 * second)), (None, Some(2 * second), Some(0)));
        assert!(flow.retry(0, Cause::DeviceLost, None, 2 * second));
        assert_eq!(flow.due_at(), Some(4 * second));
        assert_eq!(flow.due(4 * second), Some(0));
        assert!(!flow.retry(0, Cause::DeviceLost, None, 5 * second), "twice is enough");
        assert_eq!(flow.end(0, false), []);
    }

    #[test]
    fn a_run_halts_at_a_count_or_at_a_share_of_failures() {
        let halt = |text: &str| text.parse::<Halt>().unwrap();
        let mut flow = Flow::new(FlowOptions { halt: halt("now,fail=2"), ..FlowOptions::default() });
        (0..9).for_each(|job| _ = flow.add(job, &after(&[])));
        flow.end(0, false);
        flow.end(1, true);
        assert!(!flow.is_halted());
        flow.end(2, false);
        assert!(flow.is_halted() && flow.halts_now());
        let mut flow = Flow::new(FlowOptions { halt: halt("soon,fail=50%"), ..FlowOptions::default() });
        (0..9).for_each(|job| _ = flow.add(job, &after(&[])));
        (0..2).for_each(|job| _ = flow.end(job, false));
        assert!(!flow.is_halted(), "two are too few to tell");
        (2..5).for_each(|job| _ = flow.end(job, true));
        assert!(!flow.is_halted());
        flow.end(5, false);
        assert!(flow.is_halted() && !flow.halts_now());
        assert_eq!(halt("never"), Halt::default());
        for wrong in
            ["", "later,fail=1", "now", "now,fail=0", "now,fail=0%", "now,fail=101%", "now,fail=x", "soon,fail=-1"]
        {
            assert!(wrong.parse::<Halt>().unwrap_err().contains("is no way to halt"), "{wrong}");
        }
    }

    #[test]
    fn giving_up_ends_all_that_waits() {
        let mut flow = Flow::new(FlowOptions { retries: 1, ..FlowOptions::default() });
        flow.add(0, &after(&[]));
        flow.add(1, &after(&[]));
        flow.add(2, &after(&[0]));
        assert!(flow.retry(1, Cause::Timeout, None, Duration::ZERO));
        assert_eq!(flow.give_up(), [1, 2]);
        assert_eq!((flow.waiting(), flow.due(Duration::MAX)), (0, None));
        assert_eq!(flow.end(0, true), [], "nobody waits for it any more");
    }

    proptest! {
        /// Against the obvious: a job begins once all before it that it names have succeeded, and is skipped once one has not.
        #[test]
        fn each_job_begins_or_is_skipped_exactly_once(
            parents in prop::collection::vec(prop::collection::vec((any::<prop::sample::Index>(), 1..6_u64), 0..3), 1..40),
            fates in prop::collection::vec(any::<bool>(), 40),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let groups = (0..).zip(&parents).map(|(job, picks)| {
                let group = |(pick, len): &(prop::sample::Index, u64)| {
                    let start = pick.index(job as usize) as u64;
                    start..job.min(start + len)
                };
                if job == 0 { vec![] } else { picks.iter().map(group).collect() }
            });
            let terms: Vec<Terms> = groups.map(|after| Terms { after, ..Terms::default() }).collect();
            let parents: Vec<Vec<u64>> = terms.iter().map(|terms| terms.after.iter().cloned().flatten().collect()).collect();
            let mut flow = Flow::new(FlowOptions::default());
            let (mut running, mut outcome) = (Vec::new(), vec![None; parents.len()]);
            let mut picks = picks.into_iter();
            let note = |next: Vec<Next>, running: &mut Vec<u64>, outcome: &mut Vec<Option<bool>>| {
                for next in next {
                    match next {
                        Next::Begin(job) => running.push(job),
                        Next::Skip { job, .. } => assert_eq!(outcome[job as usize].replace(false), None, "ended twice"),
                    }
                }
            };
            let mut unread = 0..parents.len() as u64;
            loop {
                let pick = picks.next();
                // Now a job is read, now one ends.
                let read = running.is_empty() || pick.is_some_and(|pick| pick.index(2) == 0);
                if read && let Some(job) = unread.next() {
                    match flow.add(job, &terms[job as usize]) {
                        Verdict::Begin => running.push(job),
                        Verdict::Wait => {}
                        Verdict::Skip(parent) => {
                            prop_assert_eq!(outcome[parent as usize], Some(false));
                            outcome[job as usize] = Some(false);
                        }
                    }
                    continue;
                }
                if running.is_empty() {
                    break;
                }
                let job = running.swap_remove(pick.map_or(0, |pick| pick.index(running.len())));
                for parent in &parents[job as usize] {
                    prop_assert_eq!(outcome[*parent as usize], Some(true), "{} began before {} had succeeded", job, parent);
                }
                let fate = fates[job as usize];
                prop_assert_eq!(outcome[job as usize].replace(fate), None);
                note(flow.end(job, fate), &mut running, &mut outcome);
            }
            prop_assert!(outcome.iter().all(Option::is_some) && flow.waiting() == 0);
        }
    }
}
