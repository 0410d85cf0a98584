//! What a recorded run would have cost otherwise: its jobs, by what the recording says of each, under other policies.

mod costs;
mod lanes;
mod recording;
mod sharing;
mod sums;

pub use costs::{Correction, Source, Way};
pub use recording::{Place, RecordedJob, Recording, RecordingError};
pub use sums::{DeviceSum, Replayed, SourceSum, Which};

use std::collections::BTreeSet;

use crate::device::{DeviceId, DeviceKind};
use crate::engine::LANES_MAX;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::plan::{Candidate, DeviceState, Policy};
use costs::Costs;
use lanes::Lanes;
use sums::Sums;

/// How a recording is replayed.
#[derive(Clone, Debug, Default)]
pub struct ReplayOptions {
    /// GPUs that are not there, by index.
    pub without: BTreeSet<u32>,
    /// Threads of the CPU that the policies have; as many as the recording tells of where left out.
    pub threads: Option<u32>,
}

/// Every job of a recording, with what it takes wherever anything is known of that.
#[derive(Debug)]
pub struct Replay<'a> {
    recording: &'a Recording,
    costs: Costs<'a>,
    threads: Option<u32>,
}

impl<'a> Replay<'a> {
    /// Prices every job. `predict` gives what is believed of work of which the recording tells nothing on a GPU, as candidates of
    /// a plan; it is asked once for each job of that sort.
    pub fn new(
        recording: &'a Recording,
        options: &ReplayOptions,
        predict: &mut dyn FnMut(&Work) -> Vec<Candidate>,
    ) -> Self {
        let threads = options.threads.or(recording.threads).map(|threads| threads.clamp(1, LANES_MAX));
        let costs = Costs::new(recording, &options.without, threads.unwrap_or(1), predict);
        Self { recording, costs, threads }
    }

    /// Threads of the CPU that the policies have; `None` where neither the recording nor the options tell.
    pub fn threads(&self) -> Option<u32> {
        self.threads
    }

    /// By how much what ran was longer than predicted, by kind and device: what predictions are multiplied by.
    pub fn corrections(&self) -> impl Iterator<Item = (&str, Place, Correction)> {
        self.costs.corrections()
    }

    /// What was done, by the clock: whatever the options say, on the machine that it was done on.
    pub fn recorded(&self) -> Replayed {
        let makespan_ms = Some(self.recording.makespan_ms());
        Replayed { which: Which::Recorded, makespan_ms, ..self.repeated() }
    }

    /// What was done, on the machine that it was done on and counted as the policies are: this they are compared with.
    pub fn repeated(&self) -> Replayed {
        let threads = self.recording.threads;
        let (mut lanes, mut sums) = (Lanes::new(threads.unwrap_or(1)), Sums::default());
        for job in &self.recording.jobs {
            let way = Way::measured(job, threads.unwrap_or(1));
            let end_ms = lanes.take(&way, way.ms);
            sums.add(&way, way.ms, end_ms);
        }
        sums.finish(Which::Repeated, threads)
    }

    /// What this policy would have cost. Jobs are taken in the order of the recording; a policy decides by what was predicted and
    /// pays what was measured, or else the prediction as corrected.
    pub fn under(&self, policy: Policy) -> Replayed {
        let (mut lanes, mut sums) = (Lanes::new(self.threads.unwrap_or(1)), Sums::default());
        let (mut unknown, mut gpu_unknown) = (Vec::new(), 0);
        for (turn, job) in self.recording.jobs.iter().enumerate() {
            let ways = self.costs.of(turn);
            let told = policy.tells(&size_of(job, ways), turn as u64, &devices(ways));
            let blind = self.costs.is_unknown_on_gpus(turn);
            // A policy that would send it to a GPU, had anybody known what it takes there.
            let misses = blind && sends_to_a_gpu(policy, &size_of(job, ways), turn as u64);
            let chosen = if misses { None } else { choose(ways, told, &lanes) };
            let Some(way) = chosen else {
                unknown.push(job.id.clone());
                continue;
            };
            gpu_unknown += u64::from(blind && policy == Policy::Auto);
            let ms = way.ms + lanes.opening_ms(way);
            let end_ms = lanes.take(way, ms);
            sums.add(way, ms, end_ms);
        }
        // Over other jobs, times are not compared.
        let recorded_ms = if unknown.is_empty() { self.repeated().makespan_ms } else { None };
        Replayed { recorded_ms, unknown, gpu_unknown, ..sums.finish(Which::Under(policy), self.threads) }
    }
}

/// Whether the policy would send a job of this size to a GPU that could take it.
fn sends_to_a_gpu(policy: Policy, work: &Work, turn: u64) -> bool {
    let able = Work { gpu: true, ..work.clone() };
    let told = policy.tells(&able, turn, &[state(DeviceId::Cpu), state(DeviceId::Gpu(0))]);
    !matches!(told, DeviceChoice::Auto | DeviceChoice::Cpu)
}

/// The way that is believed to end first, of those that were told; what takes fewer lanes where several end together.
fn choose<'w>(ways: &'w [Way], told: DeviceChoice, lanes: &Lanes) -> Option<&'w Way> {
    let fits = |way: &&Way| match (told, way.place) {
        (DeviceChoice::Auto, _) | (DeviceChoice::Cpu, Place::Cpu) => true,
        (DeviceChoice::Gpu, Place::Gpu(_)) => true,
        (DeviceChoice::GpuIndex(asked), Place::Gpu(index)) => asked == index,
        _ => false,
    };
    // Where it stays on the CPU, it stays on as many threads.
    let stays =
        ways.iter().filter(|way| told == DeviceChoice::Cpu && matches!(way.source, Source::Measured | Source::Shared));
    let end_ms = |way: &&Way| lanes.start_ms(way) + lanes.opening_ms(way) + way.believed_ms;
    let first = stays.filter(fits).min_by(|a, b| end_ms(a).total_cmp(&end_ms(b)));
    first.or_else(|| {
        let order = |a: &&Way, b: &&Way| end_ms(a).total_cmp(&end_ms(b)).then(a.threads.cmp(&b.threads));
        ways.iter().filter(fits).min_by(order)
    })
}

/// The devices that can take a job, as a policy looks at them.
fn devices(ways: &[Way]) -> Vec<DeviceState> {
    let gpus: BTreeSet<u32> = ways
        .iter()
        .filter_map(|way| match way.place {
            Place::Gpu(index) => Some(index),
            _ => None,
        })
        .collect();

    std::iter::once(DeviceId::Cpu).chain(gpus.into_iter().map(DeviceId::Gpu)).map(state).collect()
}

/// A device that takes whatever it is given.
fn state(id: DeviceId) -> DeviceState {
    DeviceState {
        id,
        fingerprint: "".into(),
        kind: if id == DeviceId::Cpu { DeviceKind::Cpu } else { DeviceKind::OtherGpu },
        unusable: None,
        lanes: 1,
        opened: true,
        busy_for_ms: Vec::new(),
        memory_bytes: None,
        max_chunk_bytes: u64::MAX,
        resident: 0.0,
    }
}

/// How large a job is: as its kernel told, or else by what it takes on the CPU.
fn size_of(job: &RecordedJob, ways: &[Way]) -> Work {
    let gpu = ways.iter().any(|way| matches!(way.place, Place::Gpu(_)));
    if let Some(work) = &job.work {
        return Work { gpu, ..work.clone() };
    }
    let on_cpu = ways.iter().filter(|way| way.place == Place::Cpu);
    let lane_ms = on_cpu.map(|way| way.believed_ms * f64::from(way.threads)).fold(f64::INFINITY, f64::min);
    Work {
        kernel: "",
        variant: String::new(),
        units: 1,
        granularity: 1,
        bytes_per_unit: 0.0,
        bytes_out_per_unit: 0.0,
        prior_ns_per_unit: if lane_ms.is_finite() { lane_ms * 1e6 } else { job.alone_ms * 1e6 },
        passes: 1,
        gpu,
    }
}

#[cfg(test)]
mod tests;
