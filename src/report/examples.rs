//! Outcomes and plans for the tests of this room.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::device::{DeviceId, Phases};
use crate::engine::{Outcome, RanOn, Timings};
use crate::job::JobError;
use crate::kernels::{Answer, Work};
use crate::plan::{Candidate, Choice, Crossover, Part, Plan, Power, Prediction};
use crate::timeline::{Foreseen, JobLine, Span, Timeline, Track};

#[derive(Debug)]
pub struct Count(pub u64);

impl Answer for Count {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{{\"count\":{}}}", self.0)
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} primes", self.0)
    }

    fn summary(&self) -> String {
        format!("{} primes", self.0)
    }
}

pub fn plan() -> Plan {
    let candidate = |choice, predicted: Option<[f64; 3]>, note: &str| Candidate {
        choice,
        predicted: predicted.map(|[ms, low_ms, high_ms]| Prediction { ms, low_ms, high_ms }),
        setup_ms: 0.0,
        waiting_ms: if predicted.is_some() { 250.0 } else { 0.0 },
        note: note.to_owned(),
    };
    let parts = vec![
        Part { device: DeviceId::Cpu, lanes: 7, share: 0.25 },
        Part { device: DeviceId::Gpu(0), lanes: 1, share: 0.75 },
    ];
    Plan {
        choice: Choice::Gpu { index: 0 },
        reason: "gpu:0 is predicted to end 3.0x sooner than cpu, 8 threads".to_owned(),
        candidates: vec![
            candidate(Choice::Gpu { index: 0 }, Some([2800.0, 2500.0, 3500.0]), "12 samples"),
            candidate(Choice::Cpu { threads: 8 }, Some([8400.0, 8000.0, 9000.5]), "prior"),
            candidate(Choice::Split { parts }, None, "no gain"),
        ],
        gpus_unknown: false,
        gpus_known: true,
        crossover: Some(Crossover { choice: Choice::Cpu { threads: 1 }, units: 40_000, below: true }),
        probe: None,
        outlook: Default::default(),
        powers: vec![Power {
            device: DeviceId::Gpu(0),
            lanes: 1,
            units_per_ms: 1000.0,
            setup_ms: 0.0,
            chunk_ms: 0.2,
            measured: true,
        }],
        work: Some(Box::new(Work {
            kernel: "primes",
            variant: "range".to_owned(),
            units: 4_000_000,
            granularity: 1024,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: 8.0,
            prior_ns_per_unit: 90.5,
            passes: 1,
            gpu: true,
        })),
    }
}

pub fn succeeded() -> Outcome {
    Outcome {
        index: 3,
        id: "a".into(),
        kind: "primes",
        result: Ok(Arc::new(Count(4))),
        ran_on: RanOn::One(DeviceId::Gpu(0)),
        timings: Timings {
            queued: Duration::from_micros(250),
            phases: Phases {
                setup: Duration::from_millis(1),
                opening: Duration::ZERO,
                upload: Duration::from_nanos(2_000_001),
                compute: Duration::from_secs(3),
                readback: Duration::ZERO,
            },
            opening: Duration::ZERO,
            submitted: Duration::from_millis(2),
            total: Duration::from_micros(3_004_500),
            since_plan: Duration::from_millis(3_004),
            own: Some(Duration::from_millis(3_003)),
        },
        attempts: 2,
        plan: Some(Arc::new(plan())),
        hash: None,
    }
}

pub fn failed() -> Outcome {
    Outcome {
        index: 4,
        id: "#5".into(),
        kind: "",
        result: Err(JobError::bad_input("j:5:1: expected `\"`")),
        ran_on: RanOn::Nowhere,
        timings: Timings::default(),
        attempts: 1,
        plan: None,
        hash: None,
    }
}

/// A run of so many jobs on so many threads of the CPU, a GPU and a place to wait.
pub fn timeline(threads: usize, jobs: usize) -> Timeline {
    let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
    let mut tracks: Vec<Track> =
        (0..threads).map(|lane| Track { name: format!("cpu {lane}"), device: Some(DeviceId::Cpu) }).collect();
    tracks.push(Track { name: "gpu:0".to_owned(), device: Some(DeviceId::Gpu(0)) });
    tracks.push(Track { name: "waiting 1".to_owned(), device: None });
    let mut timeline = Timeline { tracks, budget_bytes: Some(4 << 30), ..Timeline::default() };
    let mut free = vec![0.0; threads + 2];
    for job in 0..jobs {
        let track = job % free.len();
        let (begin, took) = (free[track], 1.0 + (job * 7919 % 13) as f64);
        free[track] = begin + took + 0.5;
        let (gpu, failed) = (track == threads, job % 50 == 49);
        timeline.spans.push(Span {
            track: track as u32,
            begin: ms(begin),
            end: ms(begin + took),
            job: job as u64,
            jobs: 1,
            what: if gpu { "chunk" } else { "compute" },
        });
        timeline.jobs.push(JobLine {
            index: job as u64,
            id: format!("job <{job}> & \"more\"").into(),
            kind: ["stats", "primes", "factor"][job % 3],
            cause: failed.then_some("timeout"),
            message: failed.then(|| "it ran for longer than <1 s>".into()),
            ran_on: if gpu { "gpu:0" } else { "cpu" }.to_owned(),
            submitted: ms(0.0),
            queued: ms(begin),
            ended: ms(begin + took),
            took_ms: took,
            own_ms: (!failed).then_some(took),
            since_plan_ms: took + 3.0,
            foreseen: (!failed).then(|| {
                let (choice, other) = match gpu {
                    true => (Choice::Gpu { index: 0 }, Choice::Cpu { threads: 1 }),
                    false => (Choice::Cpu { threads: 1 }, Choice::Gpu { index: 0 }),
                };
                let end_ms = took + 3.0;
                let ms = if job % 20 == 0 { end_ms - took / 3.0 } else { end_ms * 2.0 };
                let others = vec![(other, Prediction { ms, low_ms: ms, high_ms: ms })];
                Arc::new(Foreseen {
                    choice,
                    end_ms,
                    run_ms: Some(took * 1.1),
                    others,
                    reason: format!("reason of <{job}>"),
                })
            }),
        });
        timeline.memory.push((ms(begin), (job as u64 % 9) << 28));
        timeline.queue.push((ms(begin), (jobs - job) as u64));
    }
    timeline.spans.sort_by_key(|span| span.begin);
    timeline.memory.sort_by_key(|(at, _)| *at);
    timeline.queue.sort_by_key(|(at, _)| *at);
    timeline.makespan = timeline.spans.iter().map(|span| span.end).max().unwrap_or_default();
    timeline
}
