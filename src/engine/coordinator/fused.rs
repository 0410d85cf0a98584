//! Jobs that gather: whether they run as one, wait for others, or run each by itself.

use std::sync::Arc;
use std::time::Instant;

use super::Coordinator;
use crate::engine::batch::{Bound, Gathers};
use crate::engine::cancel::CancelFlag;
use crate::engine::dispatch::{Admission, Event, JobReport};
use crate::engine::fused::{BINDING_MAX, Fused, HELD_MAX, JOBS_MAX, Pool, RUN_MS_MAX, outcomes};
use crate::engine::message::Item;
use crate::engine::order::rough_ms;
use crate::engine::panics;
use crate::engine::queue::Class;
use crate::engine::running::Running;
use crate::engine::ticket::deliver;
use crate::job::{DeviceChoice, JobError};
use crate::kernels::{Answer, Answers};
use crate::plan::{Fusion, WAIT_MAX, Waiting, wait_pays};

/// Small jobs that run on a lane in one go, after they were found to be best each by itself. Each takes a millisecond at most.
const APART_MAX: usize = 20;
/// Those that open a GPU wait for that; the others run elsewhere meanwhile.
const OPENING_MAX: usize = 16;
/// So many outcomes are given to their sinks in one go: rendering them can take long.
const DELIVERED_MAX: usize = 64;

/// What is best for the jobs of a pool.
enum Verdict {
    /// So many of them run as one.
    Fuse(usize, Box<Fusion>),
    /// So many of them run each by itself.
    Apart(usize),
    /// They wait until then, or until more come; a wait that was bought is not bought again.
    Wait { until: Instant, bought: bool },
}

impl Coordinator {
    /// What a batch that begins now, of so many jobs, gives back for jobs to run as one.
    pub(super) fn gathers(&self, jobs: usize) -> Gathers {
        // On a machine without GPUs this is all there is to it.
        if self.shared.usable_gpus() == 0 {
            return Gathers::Nothing;
        }
        let crowd = jobs + self.batches.saturating_sub(1) + self.crowd();
        if crowd < 2 || !self.pools.are_worth_it(crowd, Instant::now()) {
            return Gathers::Nothing;
        }
        // Where each has a lane to itself, a small one is over before anything else could begin.
        if crowd > self.threads() as usize { Gathers::Small } else { Gathers::Large }
    }

    /// How many wait that may run as one, as far as that is known, beside those that are being bound.
    fn crowd(&self) -> usize {
        self.queue.quick() + self.pools.waiting() + self.bound[Class::Cpu as usize].len()
    }

    /// Takes what a batch has bound and not run.
    pub(super) fn admit_bound(&mut self, bound: Bound) {
        if bound.may_fuse {
            return self.pools.join(bound, Instant::now(), self.begun.elapsed());
        }
        self.admit_large(bound);
    }

    /// Looks at the jobs that gather.
    pub(super) fn settle_pools(&mut self) {
        if self.pools.is_idle() {
            return;
        }
        self.add_gpus();
        for at in self.pools.by_priority() {
            while self.settle(at) {}
        }
    }

    /// Looks at a pool; whether some of it have gone and others have not been looked at.
    fn settle(&mut self, at: usize) -> bool {
        let now = Instant::now();
        if !self.pools.all[at].is_due(now) {
            return false;
        }
        let verdict = self.judge(at, now);
        match verdict {
            Verdict::Wait { until, bought } => {
                let pool = &mut self.pools.all[at];
                pool.has_changed = false;
                pool.look_at = Some(until);
                if bought {
                    pool.wait_until = Some(until);
                }
                false
            }
            Verdict::Apart(count) => {
                // Those that there is no lane for yet may still run as one later, when more have come or the GPU is free.
                let room = self.room_apart(&self.pools.all[at].jobs[..count]);
                let crowd = self.crowd();
                let pool = &mut self.pools.all[at];
                let jobs = pool.take(room);
                if pool.jobs.is_empty() {
                    self.pools.refuse(crowd, now);
                } else {
                    pool.has_changed = false;
                    pool.look_at = Some(now + HELD_MAX);
                }
                self.admit_apart(jobs);
                false
            }
            Verdict::Fuse(count, mut fusion) => {
                // Reasons cost more than the choice, and are read of what is done only.
                if self.shared.settings.explain
                    && let (_, Some(explained)) = self.weigh(&self.pools.all[at], count, true)
                    && explained.pays
                {
                    *fusion = explained;
                }
                let jobs = self.pools.all[at].take(count);
                self.begin_fused(jobs, *fusion);
                true
            }
        }
    }

    fn judge(&self, at: usize, now: Instant) -> Verdict {
        let pool = &self.pools.all[at];
        let is_full = pool.jobs.len() >= JOBS_MAX;
        let since = pool.since.unwrap_or(now);
        // Where a lane is idle, nobody waits for who may turn out to be another's.
        let is_busy = self.batches >= self.threads() as usize;
        if !is_full && is_busy && self.unbound > 0 && now < since + BINDING_MAX {
            return Verdict::Wait { until: since + BINDING_MAX, bought: false };
        }
        let (mut count, mut fusion) = (JOBS_MAX, None);
        // What takes too long as one is weighed again, as so many as take about as long as they may.
        for _ in 0..2 {
            let (jobs, weighed) = self.weigh(pool, count, false);
            count = jobs;
            let Some(weighed) = weighed.filter(|weighed| weighed.pays) else { return Verdict::Apart(count) };
            let fits = (count as f64 * RUN_MS_MAX / weighed.run_ms().max(1e-9)) as usize;
            let most = if weighed.opens { OPENING_MAX } else { fits.max(2) };
            let is_short = count <= most;
            fusion = Some(weighed);
            if is_short {
                break;
            }
            count = most;
        }
        let Some(fusion) = fusion else { return Verdict::Apart(count) };
        let count = count.min(pool.jobs.len());
        if is_full || fusion.opens {
            return Verdict::Fuse(count, Box::new(fusion));
        }
        if pool.under_way >= self.shared.usable_gpus() {
            // Whoever comes meanwhile joins, and the end of those that are under way is told at once.
            return Verdict::Wait { until: now + HELD_MAX, bought: false };
        }
        let waiting = Waiting {
            jobs: count as u64,
            jobs_per_ms: pool.arrivals.per_ms(self.begun.elapsed()),
            fixed_ms: fusion.fixed_ms,
            job_ms: fusion.job_ms,
            apart_ms: fusion.apart_ms,
            alone_ms: fusion.alone_ms,
        };
        let until = (now + wait_pays(&waiting)).min(since + WAIT_MAX);
        let until = pool.wait_until.map_or(until, |earlier| earlier.min(until));
        if until > now { Verdict::Wait { until, bought: true } } else { Verdict::Fuse(count, Box::new(fusion)) }
    }

    /// Weighs so many of a pool at most as one against each by itself; `explain` where the plan is to be read.
    fn weigh(&self, pool: &Pool, jobs_max: usize, explain: bool) -> (usize, Option<Fusion>) {
        let (count, work) = pool.first(jobs_max);
        let jobs = &pool.jobs[..count];
        let small = jobs.iter().all(|job| job.small.is_some());
        let now = self.begun.elapsed();
        let order = self.order(jobs[0].ticket.priority, rough_ms(work.prior_ms(), self.threads()));
        let busy_for_ms = |device| self.dispatch.busy_for_ms(device, now, |_| order);
        // Those that nobody has bound yet are taken to be like these.
        let behind = (pool.jobs.len() - count + self.queue.quick()) / count;
        let stream = self.streams.of(&work, behind as u64);
        (count, self.shared.fusion(&work, (count as u64, small), &busy_for_ms, stream, explain))
    }

    /// Gives dispatch jobs as one.
    fn begin_fused(&mut self, mut jobs: Vec<Bound>, fusion: Fusion) {
        for bound in jobs.extract_if(.., |bound| bound.ticket.cancel.refusal().is_some()).collect::<Vec<_>>() {
            self.fail_refused(bound);
        }
        let likeness = Fused::likeness_of(&jobs);
        let made = Fused::kernel_of(&jobs)
            .and_then(|(kernel, work)| Some((Running::new(kernel, CancelFlag::default()).ok()?, work)));
        let Some((running, work)) = made else { return self.admit_apart(jobs) };
        self.streams.planned(&fusion.plan.outlook);
        let job = self.key();
        let priority = jobs[0].ticket.priority;
        let order = self.order(priority, rough_ms(work.prior_ms(), self.threads()));
        let admission = Admission::new(job, order, &work, &fusion.plan, DeviceChoice::Auto);
        if let Some(pool) = likeness.as_ref().and_then(|likeness| self.pools.of(likeness)) {
            pool.under_way += 1;
        }
        let jobs = jobs.into_iter().map(Some).collect();
        let running = Arc::new(running);
        let fused =
            Fused { running, likeness, jobs, work, fusion, begun: false, admitted: Instant::now(), answer: None };
        self.items.insert(job, Item::Fused(Box::new(fused)));
        self.tell(Event::Admitted(admission));
    }

    /// For how many of these, from the first on, there is room if each runs by itself.
    fn room_apart(&self, jobs: &[Bound]) -> usize {
        let lanes = self.threads() as usize;
        let pieces = (lanes * 2).saturating_sub(self.batches);
        let fair = jobs.len().div_ceil(lanes * 2).clamp(1, APART_MAX);
        let (mut small, mut large) = (pieces * fair, self.room_for_large(Class::Cpu));
        let has_room = |job: &&Bound| {
            let room = if job.small.is_some() { &mut small } else { &mut large };
            let has_room = *room > 0;
            *room = room.saturating_sub(1);
            has_room
        };
        jobs.iter().take_while(has_room).count()
    }

    /// Lets jobs run each by itself, whatever it is best for each.
    fn admit_apart(&mut self, jobs: Vec<Bound>) {
        let (mut small, mut large) = (Vec::with_capacity(jobs.len()), Vec::new());
        for mut bound in jobs {
            bound.may_fuse = false;
            if bound.small.is_some() { small.push(bound) } else { large.push(bound) }
        }
        let fair = small.len().div_ceil(self.threads() as usize).clamp(1, APART_MAX);
        let mut rest = small.into_iter().peekable();
        while let Some(first) = rest.peek() {
            let priority = first.ticket.priority;
            let piece: Vec<Bound> = rest.by_ref().take(fair).collect();
            self.batches += 1;
            self.admit_short(priority, Item::Bound(piece));
        }
        large.into_iter().for_each(|bound| self.admit_large(bound));
    }

    /// Ends jobs that ran as one.
    pub(super) fn end_fused(&mut self, fused: Fused, result: Result<(), JobError>, report: &JobReport) {
        self.shared.learn(&fused.work, &report.runs);
        let Fused { running, likeness, jobs, work, fusion, admitted, answer, .. } = fused;
        if let Some(pool) = likeness.as_ref().and_then(|likeness| self.pools.of(likeness)) {
            pool.under_way = pool.under_way.saturating_sub(1);
            pool.look_at = Some(Instant::now());
        }
        let of_all = (jobs.len() as u64, work.units);
        match answers(result, answer, jobs.len()) {
            Some(answers) => {
                let mut ended =
                    jobs.into_iter().zip(answers).filter_map(|(job, answer)| Some((job?, answer))).peekable();
                let (fusion, report) = (Arc::new(fusion), Arc::new(report.clone()));
                while ended.peek().is_some() {
                    let some: Vec<_> = ended.by_ref().take(DELIVERED_MAX).collect();
                    let (shared, fusion, report) = (self.shared.clone(), fusion.clone(), report.clone());
                    self.lanes.spawn_free(move || {
                        let count = some.len();
                        deliver(outcomes(some, &fusion, of_all, admitted, &report));
                        shared.ended(count);
                    });
                }
            }
            // Whatever it was, it is the fault of one of them, if of any: each shows by itself.
            None => {
                let (refused, rest): (Vec<_>, Vec<_>) =
                    jobs.into_iter().flatten().partition(|bound| bound.ticket.cancel.refusal().is_some());
                refused.into_iter().for_each(|bound| self.fail_refused(bound));
                self.admit_apart(rest);
            }
        }
        self.lanes.spawn_free(move || {
            // Dropping a user's kernel may panic.
            let _ = panics::catch(|| drop(running));
        });
    }

    fn fail_refused(&self, bound: Bound) {
        if let Some(error) = bound.ticket.cancel.refusal() {
            self.fail_ticket(bound.ticket, error, None);
        }
    }
}

/// The answer of each of so many jobs; `None` where it did not come to that.
fn answers(result: Result<(), JobError>, answer: Option<Arc<dyn Answer>>, jobs: usize) -> Option<Vec<Arc<dyn Answer>>> {
    result.ok()?;
    let answer: &dyn std::any::Any = &*answer?;
    let Answers(answers) = answer.downcast_ref::<Answers>()?;
    (answers.len() == jobs).then(|| answers.clone())
}
