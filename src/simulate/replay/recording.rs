//! A recording: outcome lines as a run with `--explain` writes them.

use std::io::{self, BufRead};

use serde::Deserialize;

use crate::job::{DeviceChoice, kind};
use crate::kernels::Work;

/// Where a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// On threads of the CPU.
    Cpu,
    /// On a GPU, by its index.
    Gpu(u32),
    /// On the CPU and every GPU together.
    Split,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(index) => write!(f, "gpu:{index}"),
            Self::Split => f.write_str("split"),
        }
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        match text.parse().ok()? {
            DeviceChoice::Cpu => Some(Self::Cpu),
            DeviceChoice::GpuIndex(index) => Some(Self::Gpu(index)),
            DeviceChoice::Split => Some(Self::Split),
            _ => None,
        }
    }
}

/// A choice that was weighed when a job was planned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RecordedCandidate {
    pub place: Place,
    /// Threads of the CPU.
    pub threads: u32,
    /// How long it was predicted to take once it could begin, opening the device left out; `None` where it could not be taken.
    pub run_ms: Option<f64>,
    /// Opening the device.
    pub setup_ms: f64,
}

/// A job that ran.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedJob {
    /// Its name.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Where it ran.
    pub place: Place,
    /// What it took, waiting left out.
    pub took_ms: f64,
    /// The set-up within that.
    pub setup_ms: f64,
    /// How large it was, if its kernel told.
    pub work: Option<Work>,
    /// The chosen one first.
    pub(super) candidates: Vec<RecordedCandidate>,
}

impl RecordedJob {
    /// What was predicted of where it ran, if it ran as planned.
    pub(super) fn foreseen(&self) -> Option<&RecordedCandidate> {
        self.candidates.first().filter(|chosen| chosen.place == self.place)
    }
}

/// The jobs of a run, in the order of its results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// Those that succeeded.
    pub jobs: Vec<RecordedJob>,
    /// Threads of the CPU, by what the plans name; 1 where they name none.
    pub threads: u32,
    /// Jobs that failed, which tell nothing of what they would have taken.
    pub failed: u64,
    /// Jobs without a plan, of which nothing but where they ran is known.
    pub unplanned: u64,
    /// Whether the last line was torn and left out.
    pub is_torn: bool,
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read.
    #[error(": {0}")]
    Io(#[from] io::Error),
    /// A line is no outcome.
    #[error(":{line}: {message}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// There is nothing to replay.
    #[error(": {0}")]
    Empty(&'static str),
}

#[derive(Deserialize)]
struct LineIn {
    schema: u32,
    id: String,
    kind: Option<String>,
    status: String,
    device: Option<String>,
    timings_ms: Option<TimingsIn>,
    plan: Option<PlanIn>,
}

#[derive(Deserialize)]
struct TimingsIn {
    queued: f64,
    #[serde(default)]
    setup: f64,
    total: f64,
}

#[derive(Deserialize)]
struct PlanIn {
    #[serde(default)]
    candidates: Vec<CandidateIn>,
    work: Option<WorkIn>,
}

#[derive(Deserialize)]
struct CandidateIn {
    device: String,
    threads: Option<u32>,
    predicted_ms: Option<f64>,
    #[serde(default)]
    setup_ms: f64,
    #[serde(default)]
    waiting_ms: f64,
}

#[derive(Deserialize)]
struct WorkIn {
    variant: String,
    units: u64,
    granularity: u64,
    bytes_per_unit: f64,
    bytes_out_per_unit: f64,
    prior_ns_per_unit: f64,
    passes: u32,
    gpu: bool,
}

impl Recording {
    /// Reads outcome lines.
    ///
    /// # Errors
    /// Where a line is no outcome with its circumstances (but for a last one without its end, which is left out), or there is no job
    /// that ran. The error begins as what follows the file's name.
    pub fn read(input: &mut dyn BufRead) -> Result<Self, RecordingError> {
        let mut recording = Self { threads: 1, ..Self::default() };
        let (mut number, mut text) = (0, Vec::new());
        loop {
            text.clear();
            if input.read_until(b'\n', &mut text)? == 0 {
                break;
            }
            number += 1;
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match recording.add(&text) {
                Ok(()) => {}
                Err(_) if text.last() != Some(&b'\n') => recording.is_torn = true,
                Err(message) => return Err(RecordingError::Line { line: number, message }),
            }
        }
        if recording.jobs.is_empty() {
            return Err(RecordingError::Empty("there is no job in it that ran to its end"));
        }
        Ok(recording)
    }

    fn add(&mut self, text: &[u8]) -> Result<(), String> {
        let line: LineIn = serde_json::from_slice(text).map_err(|error| format!("no outcome of a job: {error}"))?;
        if line.schema != 1 {
            return Err(format!("outcomes of schema {} are not known: this version reads 1", line.schema));
        }
        if line.status != "succeeded" {
            self.failed += 1;
            return Ok(());
        }
        let times =
            line.timings_ms.ok_or("it does not say how long it took: leave out --results-only when recording")?;
        let device = line.device.ok_or("it does not say where it ran")?;
        let place = Place::parse(&device).ok_or_else(|| format!("`{device}` is no device"))?;
        let (took_ms, setup_ms) = (times.total - times.queued, times.setup);
        // Rounded to the nanosecond, differences may fall short of zero by one.
        let sane = |ms: f64| ms.is_finite() && ms >= -1e-5;
        if !sane(took_ms) || !sane(setup_ms) {
            return Err(format!("it cannot have taken {took_ms} ms"));
        }
        let kind_name = line.kind.unwrap_or_default();
        self.unplanned += u64::from(line.plan.is_none());
        let plan = line.plan.unwrap_or(PlanIn { candidates: Vec::new(), work: None });
        let candidates: Vec<RecordedCandidate> = plan.candidates.into_iter().filter_map(candidate).collect();

        let on_cpu = candidates.iter().filter(|candidate| candidate.place != Place::Split);
        self.threads = on_cpu.map(|candidate| candidate.threads).fold(self.threads, u32::max);
        let work = plan.work.and_then(|work| known_work(&kind_name, work));
        self.jobs.push(RecordedJob {
            id: line.id,
            kind: kind_name,
            place,
            took_ms: took_ms.max(0.0),
            setup_ms: setup_ms.clamp(0.0, took_ms.max(0.0)),
            work,
            candidates,
        });
        Ok(())
    }
}

fn candidate(read: CandidateIn) -> Option<RecordedCandidate> {
    let CandidateIn { device, threads, predicted_ms, setup_ms, waiting_ms } = read;
    let sane = |ms: f64| if ms.is_finite() { ms.max(0.0) } else { 0.0 };
    let (setup_ms, waiting_ms) = (sane(setup_ms), sane(waiting_ms));
    let run_ms = predicted_ms.filter(|ms| ms.is_finite()).map(|ms| (ms - waiting_ms - setup_ms).max(0.0));
    Some(RecordedCandidate { place: Place::parse(&device)?, threads: threads.unwrap_or(1).max(1), run_ms, setup_ms })
}

/// The work, if its kernel is one of this build.
fn known_work(name: &str, work: WorkIn) -> Option<Work> {
    let WorkIn { variant, units, granularity, bytes_per_unit, bytes_out_per_unit, prior_ns_per_unit, passes, gpu } =
        work;
    let kernel = kind(name)?.name;
    Some(Work {
        kernel,
        variant,
        units,
        granularity,
        bytes_per_unit,
        bytes_out_per_unit,
        prior_ns_per_unit,
        passes,
        gpu,
    })
}
