//! A recording: outcome lines as a run with `--explain` writes them.

use std::collections::BTreeSet;
use std::io::{self, BufRead};

use serde::Deserialize;

use crate::engine::LANES_MAX;
use crate::job::{DeviceChoice, kind};
use crate::kernels::Work;
use crate::simulate::replay::sharing::{self, Span};

/// Longer than this, in milliseconds, nothing takes: more than thirty years.
const TIME_MAX_MS: f64 = 1e12;

/// No unit of a job has more bytes or takes more nanoseconds than this.
const FIGURE_MAX: f64 = 1e18;

/// What of a job's time is missing when it is shared out with others on its lanes, at least, for it to count as shared.
const SHARED_MIN: f64 = 0.02;

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

    /// The index, where it is a GPU.
    pub(super) fn gpu(self) -> Option<u32> {
        match self {
            Self::Gpu(index) => Some(index),
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
    /// Threads of the CPU that it ran on, 1 on a GPU; `None` where its plan does not tell.
    pub threads: Option<u32>,
    /// When it was submitted, in milliseconds since the first job was.
    pub submitted_ms: f64,
    /// When it ended, counted alike.
    pub ended_ms: f64,
    /// What was measured, in milliseconds, waiting left out. Others may have been on its lanes meanwhile.
    pub took_ms: f64,
    /// What it takes with its lanes to itself, in milliseconds: where others were on them, its share of the time.
    pub alone_ms: f64,
    /// Whether that is a good deal less than what was measured.
    pub is_shared: bool,
    /// Opening its device, within both, in milliseconds.
    pub setup_ms: f64,
    /// Opening its own input, within both, in milliseconds, which no plan predicts.
    pub opening_ms: f64,
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
    /// Threads of the CPU, the most that a plan names; `None` where none does.
    pub threads: Option<u32>,
    /// The GPUs that it names, by index.
    pub gpus: BTreeSet<u32>,
    /// Whether GPUs had been looked for when some plan was made: there is none but those.
    pub gpus_known: bool,
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
    opening: Option<f64>,
    submitted: Option<f64>,
    total: f64,
}

#[derive(Deserialize)]
struct PlanIn {
    #[serde(default)]
    candidates: Vec<CandidateIn>,
    work: Option<WorkIn>,
    #[serde(default)]
    gpus_known: bool,
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
    /// Where a line is no outcome with its circumstances (but for a last one without its end, which is left out), has a figure that cannot
    /// be, or there is no job that ran. The error begins as what follows the file's name.
    pub fn read(input: &mut dyn BufRead) -> Result<Self, RecordingError> {
        let mut recording = Self::default();
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
        let first_ms = recording.jobs.iter().map(|job| job.submitted_ms).fold(f64::INFINITY, f64::min);
        for job in &mut recording.jobs {
            job.submitted_ms -= first_ms;
            job.ended_ms = (job.ended_ms - first_ms).max(job.took_ms);
        }
        recording.share_out();
        Ok(recording)
    }

    /// When the last job ended, in milliseconds since the first submission.
    pub fn makespan_ms(&self) -> f64 {
        self.jobs.iter().map(|job| job.ended_ms).fold(0.0, f64::max)
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
        let total_ms = time_ms("total", times.total)?;
        // Rounded to the nanosecond, differences may fall short of zero by one.
        let took_ms = total_ms - time_ms("queued", times.queued)?;
        if took_ms < -1e-5 {
            return Err(format!("timings_ms: it was queued for longer than the {total_ms:?} ms that it took in all"));
        }
        let took_ms = took_ms.max(0.0);
        let setup_ms = time_ms("setup", times.setup)?.min(took_ms);
        // Where a line does not tell them apart, there is no device to open on the CPU, and another file to open is rare on a GPU.
        let unsaid_ms = if place == Place::Cpu { setup_ms } else { 0.0 };
        let opening_ms = times.opening.map_or(Ok(unsaid_ms), |ms| time_ms("opening", ms))?.min(setup_ms);
        let submitted_ms = times.submitted.map_or(Ok(0.0), |ms| time_ms("submitted", ms))?;
        let kind_name = line.kind.unwrap_or_default();
        self.unplanned += u64::from(line.plan.is_none());
        let is_planned = line.plan.is_some();
        let plan = line.plan.unwrap_or(PlanIn { candidates: Vec::new(), work: None, gpus_known: false });
        let mut candidates = Vec::with_capacity(plan.candidates.len());
        for read in plan.candidates {
            candidates.extend(candidate(read)?);
        }
        let work = plan.work.map(|work| known_work(&kind_name, work)).transpose()?.flatten();

        // What is no kernel tells of its own threads alone, and not of how many there are.
        let on_cpu = candidates.iter().filter(|candidate| candidate.place == Place::Cpu);
        self.threads = on_cpu.map(|candidate| candidate.threads).fold(self.threads, |most, now| most.max(Some(now)));
        let gpus = candidates.iter().map(|candidate| candidate.place).chain([place]).filter_map(Place::gpu);
        let gpus_before = self.gpus.len();
        self.gpus.extend(gpus);
        self.gpus_known |= plan.gpus_known || self.gpus.len() > gpus_before;
        let threads = match (place, candidates.first()) {
            (Place::Gpu(_), _) => Some(1),
            (_, Some(chosen)) if chosen.place == place => Some(chosen.threads),
            // What is planned with nothing to weigh runs whole, on one thread.
            (Place::Cpu, None) if is_planned => Some(1),
            _ => None,
        };
        self.jobs.push(RecordedJob {
            id: line.id,
            kind: kind_name,
            place,
            threads,
            submitted_ms,
            ended_ms: submitted_ms + total_ms,
            took_ms,
            alone_ms: took_ms,
            is_shared: false,
            setup_ms: setup_ms - opening_ms,
            opening_ms,
            work,
            candidates,
        });
        Ok(())
    }

    /// Finds what each job takes alone.
    fn share_out(&mut self) {
        let lanes = self.threads.unwrap_or(1);
        // A split is on every device; its own share is that of the CPU.
        let gpus: Vec<Place> = self.gpus.iter().map(|&index| Place::Gpu(index)).collect();
        for (device, lanes) in gpus.into_iter().map(|gpu| (gpu, 1)).chain([(Place::Cpu, lanes)]) {
            let there = |job: &RecordedJob| job.place == device || job.place == Place::Split;
            let on: Vec<usize> = (0..self.jobs.len()).filter(|&at| there(&self.jobs[at])).collect();
            let span = |&at: &usize| {
                let job = &self.jobs[at];
                let lanes = if device == Place::Cpu { job.threads.unwrap_or(lanes) } else { 1 };
                Span { begin_ms: job.ended_ms - job.took_ms, end_ms: job.ended_ms, lanes }
            };
            let spans: Vec<Span> = on.iter().map(span).collect();
            for (at, alone_ms) in on.into_iter().zip(sharing::alone_ms(&spans, lanes)) {
                let job = &mut self.jobs[at];
                job.is_shared = alone_ms < job.took_ms * (1.0 - SHARED_MIN);
                // Nobody knows how to share lanes of which nobody knows how many there are.
                if job.place != Place::Cpu || self.threads.is_some() {
                    job.alone_ms = alone_ms.min(job.took_ms);
                }
            }
        }
    }
}

/// A time that can be.
fn time_ms(name: &str, ms: f64) -> Result<f64, String> {
    let can_be = (0.0..=TIME_MAX_MS).contains(&ms);
    can_be.then_some(ms).ok_or_else(|| format!("{name}: {ms:?} ms is no time: it is from 0 to {TIME_MAX_MS:e}"))
}

/// A candidate; `None` where its device is none of this version.
fn candidate(read: CandidateIn) -> Result<Option<RecordedCandidate>, String> {
    let CandidateIn { device, threads, predicted_ms, setup_ms, waiting_ms } = read;
    let threads = threads.unwrap_or(1);
    if !(1..=LANES_MAX).contains(&threads) {
        return Err(format!("plan: {threads} threads are not possible: they are from 1 to {LANES_MAX}"));
    }
    let (setup_ms, waiting_ms) = (time_ms("setup_ms", setup_ms)?, time_ms("waiting_ms", waiting_ms)?);
    let predicted_ms = predicted_ms.map(|ms| time_ms("predicted_ms", ms)).transpose()?;
    if predicted_ms == Some(0.0) {
        return Err("predicted_ms: nothing takes no time at all".to_owned());
    }
    let run_ms = predicted_ms.map(|ms| (ms - waiting_ms - setup_ms).max(0.0));
    Ok(Place::parse(&device).map(|place| RecordedCandidate { place, threads, run_ms, setup_ms }))
}

/// The work, if its kernel is one of this build.
fn known_work(name: &str, work: WorkIn) -> Result<Option<Work>, String> {
    let WorkIn { variant, units, granularity, bytes_per_unit, bytes_out_per_unit, prior_ns_per_unit, passes, gpu } =
        work;
    let sane = |figure: f64| (0.0..=FIGURE_MAX).contains(&figure);
    if granularity == 0 || passes == 0 || ![bytes_per_unit, bytes_out_per_unit, prior_ns_per_unit].into_iter().all(sane)
    {
        return Err(format!(
            "work: granularity and passes are from 1, figures of a unit from 0 to {FIGURE_MAX:e}, and one of them is not"
        ));
    }
    let kernel = kind(name).map(|kind| kind.name);
    Ok(kernel.map(|kernel| Work {
        kernel,
        variant,
        units,
        granularity,
        bytes_per_unit,
        bytes_out_per_unit,
        prior_ns_per_unit,
        passes,
        gpu,
    }))
}
