//! What each job of a recording takes in every way that anything is known of.

use std::collections::{BTreeMap, BTreeSet};

use crate::job::kind;
use crate::kernels::Work;
use crate::plan::{Candidate, Choice};
use crate::simulate::rates::median;
use crate::simulate::replay::recording::{Place, RecordedCandidate, RecordedJob, Recording};

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// It was measured, with its lanes to itself.
    Measured,
    /// It was measured while others were on its lanes: its share of that time.
    Shared,
    /// It was predicted when the job was planned, and corrected by how such predictions fared in the recording.
    Corrected,
    /// It was predicted when the job was planned; nothing of its kind ran there.
    Predicted,
    /// The model that has been learned here predicts it.
    Model,
}

impl Source {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Shared => "shared",
            Self::Corrected => "corrected",
            Self::Predicted => "predicted",
            Self::Model => "model",
        }
    }
}

/// One way to run a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// Where.
    pub place: Place,
    /// Threads of the CPU; 1 on a GPU.
    pub threads: u32,
    /// What it takes once it has begun.
    pub ms: f64,
    /// Opening the device, which the first job on it pays besides.
    pub opening_ms: f64,
    /// What was believed that it takes, when it was planned.
    pub believed_ms: f64,
    /// Where `ms` comes from.
    pub source: Source,
}

impl Way {
    /// As it ran, on a machine with so many threads. What does not tell its own is taken to have had all of them.
    pub(super) fn measured(job: &RecordedJob, threads: u32) -> Self {
        Self {
            place: job.place,
            threads: job.threads.unwrap_or(threads),
            ms: job.alone_ms,
            opening_ms: 0.0,
            believed_ms: job.foreseen().and_then(|chosen| chosen.run_ms).unwrap_or(job.alone_ms),
            source: if job.is_shared { Source::Shared } else { Source::Measured },
        }
    }
}

/// By how much jobs of a kind took longer on a device than was predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correction {
    /// What took so many times as long as predicted, opening devices and inputs left out of both.
    pub factor: f64,
    /// Over how many jobs this is the median.
    pub jobs: usize,
    /// Whether these are shares of what was measured, since none of the kind had its lanes to itself.
    pub is_shared: bool,
}

/// The ways of every job.
#[derive(Debug)]
pub(super) struct Costs<'a> {
    ways: Vec<Vec<Way>>,
    /// Whether nothing is known of a job on a GPU, though its kind could run there.
    blind: Vec<bool>,
    corrections: BTreeMap<(&'a str, Place), Correction>,
    /// What opening each GPU took, and the job that did it.
    openings: BTreeMap<Place, (usize, f64)>,
}

impl<'a> Costs<'a> {
    pub fn new(
        recording: &'a Recording,
        without: &BTreeSet<u32>,
        threads: u32,
        predict: &mut dyn FnMut(&Work) -> Vec<Candidate>,
    ) -> Self {
        let mut costs = Self {
            ways: Vec::new(),
            blind: Vec::new(),
            corrections: corrections(recording),
            openings: openings(recording),
        };
        let mut on_gpus = BTreeMap::new();
        let none_is_left = recording.gpus_known && usable_gpus(recording).is_subset(without);
        for (at, job) in recording.jobs.iter().enumerate() {
            let mut ways = costs.recorded(at, job, threads);
            let has_gpu_side = || {
                *on_gpus
                    .entry(job.kind.as_str())
                    .or_insert_with(|| kind(&job.kind).is_some_and(|kind| !(kind.shaders)().is_empty()))
            };
            let looked_at = job.candidates.iter().any(|candidate| matches!(candidate.place, Place::Gpu(_)))
                || job.place != Place::Cpu;
            let mut blind = !looked_at && !none_is_left && job.work.as_ref().map_or_else(has_gpu_side, |work| work.gpu);
            if blind && let Some(work) = &job.work {
                let found = predict(work);
                blind = found.is_empty();
                ways.extend(found.iter().filter_map(of_model));
            }
            ways.retain(|way| way.threads <= threads);
            ways.retain(|way| match way.place {
                Place::Cpu => true,
                Place::Gpu(index) => !without.contains(&index),
                Place::Split => without.is_empty(),
            });
            costs.blind.push(blind);
            costs.ways.push(ways);
        }
        costs
    }

    pub fn of(&self, job: usize) -> &[Way] {
        &self.ways[job]
    }

    pub fn is_unknown_on_gpus(&self, job: usize) -> bool {
        self.blind[job]
    }

    pub fn corrections(&self) -> impl Iterator<Item = (&str, Place, Correction)> {
        self.corrections.iter().map(|(&(kind, place), &correction)| (kind, place, correction))
    }

    /// Whatever the recording tells of a job.
    fn recorded(&self, at: usize, job: &RecordedJob, threads: u32) -> Vec<Way> {
        let mut measured = Way::measured(job, threads);
        if let Some(&(opener, opening_ms)) = self.openings.get(&job.place) {
            measured.opening_ms = opening_ms;
            measured.ms = (measured.ms - if at == opener { opening_ms } else { 0.0 }).max(0.0);
        }
        let mut ways = vec![measured];
        let own = job.foreseen().and_then(|chosen| ratio(job, chosen));
        for candidate in &job.candidates {
            let Some(run_ms) = candidate.run_ms else { continue };
            // A split is a choice of the moment: nobody can say how its parts would have fallen elsewhere.
            let repeats = candidate.place == measured.place && candidate.threads == measured.threads;
            if repeats || candidate.place == Place::Split {
                continue;
            }
            let of_kind = self.corrections.get(&(job.kind.as_str(), candidate.place)).map(|of_kind| of_kind.factor);
            // What the job itself took on other threads of the same CPU tells more than others of its kind.
            let factor = own.filter(|_| candidate.place == job.place).or(of_kind);
            ways.push(Way {
                place: candidate.place,
                threads: if candidate.place == Place::Cpu { candidate.threads } else { 1 },
                // Its input has to be opened there too, and is in no prediction.
                ms: run_ms * factor.unwrap_or(1.0) + job.opening_ms,
                opening_ms: self.openings.get(&candidate.place).map_or(candidate.setup_ms, |(_, ms)| *ms),
                believed_ms: run_ms,
                source: if factor.is_some() { Source::Corrected } else { Source::Predicted },
            });
        }
        ways
    }
}

/// What the job took against what was predicted of it, set-up left out of both.
fn ratio(job: &RecordedJob, chosen: &RecordedCandidate) -> Option<f64> {
    let ratio = (job.alone_ms - job.setup_ms - job.opening_ms) / chosen.run_ms?;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

/// The job that opened each GPU: the one with the longest set-up, which is taken to be that.
fn openings(recording: &Recording) -> BTreeMap<Place, (usize, f64)> {
    let mut openings: BTreeMap<Place, (usize, f64)> = BTreeMap::new();
    for (at, job) in recording.jobs.iter().enumerate().filter(|(_, job)| matches!(job.place, Place::Gpu(_))) {
        let longest = openings.entry(job.place).or_insert((at, job.setup_ms));
        if job.setup_ms > longest.1 {
            *longest = (at, job.setup_ms);
        }
    }
    openings
}

/// The middle of these ratios by kind and place; of jobs that had their lanes to themselves, where there are any.
fn corrections(recording: &Recording) -> BTreeMap<(&str, Place), Correction> {
    let mut ratios: BTreeMap<(&str, Place), [Vec<f64>; 2]> = BTreeMap::new();
    for job in &recording.jobs {
        if let Some(ratio) = job.foreseen().and_then(|chosen| ratio(job, chosen)) {
            let of_kind = ratios.entry((job.kind.as_str(), job.place)).or_default();
            of_kind[usize::from(job.is_shared)].push(ratio);
        }
    }
    let middle = |(key, [alone, shared]): (_, [Vec<f64>; 2])| {
        let is_shared = alone.is_empty();
        let ratios = if is_shared { shared } else { alone };
        let jobs = ratios.len();
        Some((key, Correction { factor: median(ratios)?, jobs, is_shared }))
    };
    ratios.into_iter().filter_map(middle).collect()
}

/// The GPUs that something ran on or could have.
fn usable_gpus(recording: &Recording) -> BTreeSet<u32> {
    let of_job = |job: &'_ RecordedJob| {
        let weighed = job.candidates.iter().filter(|candidate| candidate.run_ms.is_some());
        weighed.map(|candidate| candidate.place).chain([job.place]).filter_map(Place::gpu).collect::<Vec<_>>()
    };
    recording.jobs.iter().flat_map(of_job).collect()
}

/// A GPU by the model.
fn of_model(candidate: &Candidate) -> Option<Way> {
    let (Choice::Gpu { index }, Some(predicted)) = (&candidate.choice, candidate.predicted) else { return None };
    let run_ms = (predicted.ms - candidate.setup_ms - candidate.waiting_ms).max(0.0);
    Some(Way {
        place: Place::Gpu(*index),
        threads: 1,
        ms: run_ms,
        opening_ms: candidate.setup_ms,
        believed_ms: run_ms,
        source: Source::Model,
    })
}
