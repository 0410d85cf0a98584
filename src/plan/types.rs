//! A plan: data that can be printed, stored and replayed.

use crate::device::DeviceId;
use crate::kernels::Work;
use crate::plan::stream::Outlook;

/// Where to run.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// On this many threads of the CPU.
    Cpu {
        /// At least 1.
        threads: u32,
    },
    /// On one GPU.
    Gpu {
        /// Its index in the inventory.
        index: u32,
    },
    /// On several devices together; who gets how much is settled while it runs.
    Split {
        /// At least two.
        parts: Vec<Part>,
    },
}

/// One device of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Which.
    pub device: DeviceId,
    /// Threads, for the CPU; 1 for a GPU.
    pub lanes: u32,
    /// The share of the units that it is predicted to take, 0 to 1.
    pub share: f64,
}

impl Choice {
    /// Whether this device takes part.
    pub fn uses(&self, device: DeviceId) -> bool {
        match self {
            Self::Cpu { .. } => device == DeviceId::Cpu,
            Self::Gpu { index } => device == DeviceId::Gpu(*index),
            Self::Split { parts } => parts.iter().any(|part| part.device == device),
        }
    }
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu { threads: 1 } => f.write_str("cpu, 1 thread"),
            Self::Cpu { threads } => write!(f, "cpu, {threads} threads"),
            Self::Gpu { index } => write!(f, "gpu:{index}"),
            Self::Split { parts } => {
                f.write_str("split")?;
                for (i, part) in parts.iter().enumerate() {
                    write!(f, "{} {} {:.0} %", if i == 0 { "" } else { "," }, part.device, part.share * 100.0)?;
                }
                Ok(())
            }
        }
    }
}

/// A predicted time with its interval, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The most likely time.
    pub ms: f64,
    /// It is unlikely to take less.
    pub low_ms: f64,
    /// It is unlikely to take more.
    pub high_ms: f64,
}

/// A choice that was weighed.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Where.
    pub choice: Choice,
    /// How long it was predicted to take, from now to the answer, waiting included; `None` where it could not be taken.
    pub predicted: Option<Prediction>,
    /// Opening the device, within the prediction.
    pub setup_ms: f64,
    /// Waiting for the device, within the prediction; of a split, not told apart.
    pub waiting_ms: f64,
    /// Where the prediction comes from, or why the choice could not be taken: `12 samples`, `prior`,
    /// `software adapter, not allowed`.
    pub note: String,
}

/// The size from which another choice would win, if the policy let it: all choices compete for it as under `auto`.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossover {
    /// The choice that would win there.
    pub choice: Choice,
    /// From this many units on (or, where `below`, up to this many).
    pub units: u64,
    /// Whether it wins below that size rather than from it on.
    pub below: bool,
}

/// What a device is predicted to do with a job: by this the job is cut into chunks until its own chunks tell better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    /// Which device.
    pub device: DeviceId,
    /// How many of its lanes the job may occupy.
    pub lanes: u32,
    /// Units of a pass that one lane folds in a millisecond; positive.
    pub units_per_ms: f64,
    /// What the first chunk costs besides: opening the device.
    pub setup_ms: f64,
    /// What every chunk costs besides: its latency.
    pub chunk_ms: f64,
    /// Whether this is a measurement rather than a prior.
    pub measured: bool,
}

/// Where a job is to run, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The choice.
    pub choice: Choice,
    /// Why this one, in one sentence that names the figures.
    pub reason: String,
    /// Everything that was weighed, best first.
    pub candidates: Vec<Candidate>,
    /// From which size on another would win under `auto`; `None` where none would.
    pub crossover: Option<Crossover>,
    /// Whether a GPU might have been weighed too, had one been looked for.
    pub gpus_unknown: bool,
    /// Whether the GPUs of the machine had been looked for when it was made: a GPU that is not among the candidates is not there.
    pub gpus_known: bool,
    /// Units at the start of the first pass to run elsewhere, in order to learn; bounded to a few per cent of the time.
    pub probe: Option<Part>,
    /// What each device that the job may run on is predicted to do; those of the choice come first.
    pub powers: Vec<Power>,
    /// What it means for the stream that the job belongs to.
    pub outlook: Outlook,
    /// How large the job is, where somebody will read the plan; `None` for one that was given.
    pub work: Option<Box<Work>>,
}

impl Plan {
    /// A plan for which nothing was weighed: somebody else has decided.
    pub fn given(choice: Choice, reason: impl Into<String>) -> Self {
        Self {
            choice,
            reason: reason.into(),
            candidates: Vec::new(),
            crossover: None,
            gpus_unknown: false,
            gpus_known: false,
            probe: None,
            powers: Vec::new(),
            outlook: Outlook::default(),
            work: None,
        }
    }
}
