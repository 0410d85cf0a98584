//! What is written down of a simulated run while it goes on.

use std::sync::Arc;
use std::time::Duration;

use crate::device::DeviceId;
use crate::engine::RanOn;
use crate::engine::dispatch::{JobReport, Ticket};
use crate::job::Cause;
use crate::plan::Plan;
use crate::simulate::outcome::{DeviceUse, Waiting, duration};
use crate::simulate::{Machine, SimJob};
use crate::timeline::{Foreseen, JobLine, Levels, Span, Timeline, Track, beginning};

/// What was planned of a job that has ended, and what became of that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned<'a> {
    pub plan: &'a Plan,
    pub report: &'a JobReport,
}

/// What is written down.
#[derive(Debug)]
pub(super) struct Record {
    pub chunks: u64,
    pub jobs: u64,
    /// When each job might have begun; below 0 where it may not yet.
    ready_ms: Vec<f64>,
    waits_ms: Vec<f64>,
    busy_ms: Vec<f64>,
    /// Work by device, in milliseconds of one thread of a usual CPU.
    work_ms: Vec<f64>,
    timeline: Option<Timeline>,
    memory: Levels,
    /// When there was one more job that might have begun and had not, or one less.
    queue: Vec<(f64, i64)>,
    threads: u32,
}

impl Record {
    pub fn new(jobs: usize, machine: &Machine, memory_bytes: u64, with_timeline: bool) -> Self {
        let threads = machine.cpu.threads.max(1);
        let devices = machine.gpus.len() + 1;
        let timeline = with_timeline.then(|| {
            let cpu = (0..threads).map(|lane| Track { name: format!("cpu {lane}"), device: Some(DeviceId::Cpu) });
            let gpus = (0..machine.gpus.len() as u32)
                .map(|index| Track { name: format!("gpu:{index}"), device: Some(DeviceId::Gpu(index)) });
            let tracks = cpu.chain(gpus).collect();
            Timeline { tracks, budget_bytes: Some(memory_bytes), ..Timeline::default() }
        });
        Self {
            chunks: 0,
            jobs: 0,
            ready_ms: vec![-1.0; jobs],
            waits_ms: Vec::with_capacity(jobs),
            busy_ms: vec![0.0; devices],
            work_ms: vec![0.0; devices],
            timeline,
            memory: Levels::default(),
            queue: Vec::new(),
            threads,
        }
    }

    /// A job might begin from now on.
    pub fn ready(&mut self, job: u32, now_ms: f64) {
        self.ready_ms[job as usize] = now_ms;
        if self.timeline.is_some() {
            self.queue.push((now_ms, 1));
        }
    }

    /// A job has begun, or is going to at this time.
    pub fn begun(&mut self, job: u32, now_ms: f64) {
        if self.timeline.is_some() {
            self.queue.push((now_ms, -1));
        }
        self.waits_ms.push((now_ms - self.ready_ms[job as usize]).max(0.0));
    }

    /// A chunk or batch has ended: the time that it took, and how much work it was.
    pub fn folded(&mut self, ticket: Ticket, [begin_ms, end_ms]: [f64; 2], work_ms: f64, job: u64, jobs: u32) {
        self.chunks += 1;
        let at = place(ticket.device);
        self.busy_ms[at] += end_ms - begin_ms;
        self.work_ms[at] += work_ms;
        if let Some(timeline) = &mut self.timeline {
            let track = if at == 0 { ticket.lane } else { self.threads + at as u32 - 1 };
            let what = if jobs > 1 { "batch" } else { "chunk" };
            timeline.spans.push(Span { track, begin: duration(begin_ms), end: duration(end_ms), job, jobs, what });
        }
    }

    /// A job that only waited has done so, in this place of those that wait.
    pub fn waited(&mut self, place: u32, [begin_ms, end_ms]: [f64; 2], job: u64) {
        let Some(timeline) = &mut self.timeline else { return };
        let first = self.threads + self.busy_ms.len() as u32 - 1;
        while timeline.tracks.len() as u32 <= first + place {
            let name = format!("waiting {}", timeline.tracks.len() as u32 - first);
            timeline.tracks.push(Track { name, device: None });
        }
        let (begin, end) = (duration(begin_ms), duration(end_ms));
        timeline.spans.push(Span { track: first + place, begin, end, job, jobs: 1, what: "wait" });
    }

    /// A job has ended.
    pub fn ended(
        &mut self,
        job: &SimJob,
        at: u32,
        ran_on: RanOn,
        began_ms: f64,
        now_ms: f64,
        planned: Option<Planned<'_>>,
    ) {
        self.jobs += 1;
        if let Some(timeline) = &mut self.timeline {
            let ready_ms = self.ready_ms[at as usize];
            let foreseen = planned.and_then(|planned| Foreseen::of(planned.plan));
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            let own = planned.and_then(|planned| planned.report.own);
            timeline.jobs.push(JobLine {
                index: job.index,
                id: job.id.clone(),
                kind: job.kind,
                cause: None,
                message: None,
                ran_on: ran_on.to_string(),
                submitted: duration(ready_ms),
                queued: duration(began_ms - ready_ms),
                ended: duration(now_ms),
                took_ms: (now_ms - began_ms).max(0.0),
                own_ms: own.filter(|_| foreseen.as_ref().is_some_and(|seen| seen.is_on(ran_on))).map(ms),
                since_plan_ms: planned.map_or(0.0, |planned| ms(planned.report.took)),
                foreseen: foreseen.map(Arc::new),
            });
        }
    }

    /// A job cannot run on this machine.
    pub fn refused(&mut self, job: &SimJob, at: u32, now_ms: f64, cause: Cause, why: &str) {
        let Some(timeline) = &mut self.timeline else { return };
        let submitted_ms = self.ready_ms[at as usize].max(0.0);
        if self.ready_ms[at as usize] >= 0.0 {
            self.queue.push((now_ms, -1));
        }
        timeline.jobs.push(JobLine {
            index: job.index,
            id: job.id.clone(),
            kind: job.kind,
            cause: Some(cause.name()),
            message: Some(beginning(why)),
            ran_on: "none".to_owned(),
            submitted: duration(submitted_ms),
            queued: duration(now_ms - submitted_ms),
            ended: duration(now_ms),
            took_ms: 0.0,
            own_ms: None,
            since_plan_ms: 0.0,
            foreseen: None,
        });
    }

    /// How much memory is spoken for from now on.
    pub fn memory(&mut self, now_ms: f64, reserved_bytes: u64) {
        if self.memory.now() != reserved_bytes {
            self.memory.set(duration(now_ms), reserved_bytes);
        }
    }

    pub fn has_timeline(&self) -> bool {
        self.timeline.is_some()
    }

    pub fn waiting(&mut self) -> Waiting {
        Waiting::of(&mut self.waits_ms)
    }

    pub fn devices(&self) -> Vec<DeviceUse> {
        let all: f64 = self.work_ms.iter().sum();
        let device = |at: usize| if at == 0 { DeviceId::Cpu } else { DeviceId::Gpu(at as u32 - 1) };
        let share = |ms: f64| if all > 0.0 { ms / all } else { 0.0 };
        (0..self.busy_ms.len())
            .map(|at| DeviceUse {
                device: device(at),
                busy: duration(self.busy_ms[at]),
                share: share(self.work_ms[at]),
            })
            .collect()
    }

    pub fn timeline(&mut self, makespan: Duration) -> Option<Timeline> {
        let mut timeline = self.timeline.take()?;
        timeline.spans.sort_by_key(|span| (span.begin, span.track));
        timeline.jobs.sort_by_key(|job| job.index);
        timeline.memory = self.memory.changes();
        self.queue.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let (mut queue, mut waiting) = (Levels::default(), 0_i64);
        for (at, &(at_ms, change)) in self.queue.iter().enumerate() {
            waiting += change;
            // What changes at once is one change.
            if self.queue.get(at + 1).is_none_or(|(next_ms, _)| *next_ms > at_ms) {
                queue.set(duration(at_ms), waiting.max(0) as u64);
            }
        }
        timeline.queue = queue.changes();
        timeline.makespan = makespan;
        Some(timeline)
    }
}

pub(super) fn place(device: DeviceId) -> usize {
    match device {
        DeviceId::Cpu => 0,
        DeviceId::Gpu(index) => index as usize + 1,
    }
}
