//! What is written down of a simulated run while it goes on.

use std::time::Duration;

use crate::device::DeviceId;
use crate::engine::dispatch::Ticket;
use crate::simulate::outcome::{DeviceUse, Waiting, duration};
use crate::simulate::{Machine, SimJob};
use crate::timeline::{JobLine, Levels, Span, Timeline, Track};

/// What is written down.
#[derive(Debug)]
pub(super) struct Record {
    pub chunks: u64,
    pub jobs: u64,
    /// When each job might have begun.
    pub ready_ms: Vec<f64>,
    waits_ms: Vec<f64>,
    busy_ms: Vec<f64>,
    /// Work by device, in milliseconds of one thread of a usual CPU.
    work_ms: Vec<f64>,
    timeline: Option<Timeline>,
    memory: Levels,
    queue: Levels,
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
            ready_ms: vec![0.0; jobs],
            waits_ms: Vec::with_capacity(jobs),
            busy_ms: vec![0.0; devices],
            work_ms: vec![0.0; devices],
            timeline,
            memory: Levels::default(),
            queue: Levels::default(),
            threads,
        }
    }

    /// A job has begun.
    pub fn begun(&mut self, job: u32, now_ms: f64) {
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
        timeline.spans.push(Span { track: first + place, begin, end, job, jobs: 1, what: "waiting" });
    }

    /// A job has ended.
    pub fn ended(&mut self, job: &SimJob, at: u32, ran_on: &str, began_ms: f64, now_ms: f64, plan: &Foreseen) {
        self.jobs += 1;
        if let Some(timeline) = &mut self.timeline {
            let ready_ms = self.ready_ms[at as usize];
            let achieved_ms = (now_ms - began_ms).max(0.0);
            let regret_ms = plan.best_other_ms.map_or(0.0, |other| (achieved_ms - other).max(0.0));
            timeline.jobs.push(JobLine {
                index: job.index,
                id: job.id.clone(),
                kind: job.kind,
                cause: None,
                message: None,
                ran_on: ran_on.to_owned(),
                submitted: duration(ready_ms),
                queued: duration(began_ms - ready_ms),
                ended: duration(now_ms),
                predicted_ms: plan.predicted_ms,
                achieved_ms,
                regret_ms,
                reason: None,
            });
        }
    }

    /// How much memory is spoken for, and how many jobs wait, from now on.
    pub fn levels(&mut self, now_ms: f64, reserved_bytes: u64, queued: u64) {
        let now = duration(now_ms);
        for (levels, level) in [(&mut self.memory, reserved_bytes), (&mut self.queue, queued)] {
            if levels.now() != level {
                levels.set(now, level);
            }
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
        timeline.queue = self.queue.changes();
        timeline.makespan = makespan;
        Some(timeline)
    }
}

/// What was foreseen of a job.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Foreseen {
    /// How long it takes, waiting left out.
    pub predicted_ms: Option<f64>,
    /// How long the best of the other choices was predicted to take, waiting left out.
    pub best_other_ms: Option<f64>,
}

pub(super) fn place(device: DeviceId) -> usize {
    match device {
        DeviceId::Cpu => 0,
        DeviceId::Gpu(index) => index as usize + 1,
    }
}
