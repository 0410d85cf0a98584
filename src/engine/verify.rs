//! Proves promise 1 on a job at hand: runs it on one thread, on all threads, on every allowed GPU and on random splits,
//! and compares the bytes of `result`.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use crate::device::{Device, DeviceError, DeviceId};
use crate::engine::CancelFlag;
use crate::engine::foreign::Foreign;
use crate::engine::running::{PassEnd, Running};
use crate::input::Scratch;
use crate::job::{Cause, JobError};
use crate::kernels::{Answer, DynKernel};
use crate::random::SplitMix64;

/// One run of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedRun {
    /// How it ran: `cpu, 1 thread`, `split 2 over cpu, gpu:0`.
    pub label: String,
    /// The SHA-256 of the bytes of its `result`, in hexadecimal.
    pub sha256: String,
}

/// A run that could not be made: a device cannot run this job at all, or has no room for its smallest chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedRun {
    /// How it would have run.
    pub label: String,
    /// Why it did not.
    pub why: String,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Every run, the first of which the others are compared with.
    pub runs: Vec<VerifiedRun>,
    /// Runs that were not made. A device that cannot run the job has no part in the splits either.
    pub skipped: Vec<SkippedRun>,
    /// The seed of the random splits.
    pub seed: u64,
}

impl Verification {
    /// Adds what was found of another way to the same answer.
    pub(super) fn add(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.skipped.extend(other.skipped);
    }

    /// Whether every run gave the same bytes.
    pub fn same(&self) -> bool {
        self.runs.windows(2).all(|pair| pair[0].sha256 == pair[1].sha256)
    }
}

/// Random splits a verification makes.
const SPLITS: u32 = 3;

/// A chunk, and which of the devices is to fold it.
type Cut = VecDeque<Range<u64>>;

/// Units that a GPU is given at once at most, so that it has several chunks to fold.
const GPU_UNITS_MAX: u64 = 1 << 24;

/// Runs `kernel` in every way that `devices` (the CPU first) allow, and compares.
///
/// # Errors
/// Where any of the runs fails.
pub(crate) fn verify(
    kernel: &Arc<dyn DynKernel>,
    devices: &[Arc<dyn Device>],
    seed: u64,
) -> Result<Verification, JobError> {
    let work = kernel.work();
    let units = work.units;
    let granularity = work.granularity.max(1);
    let mut random = Cuts(SplitMix64(seed));
    let mut found = Verification { runs: Vec::new(), skipped: Vec::new(), seed };
    let mut add = |label: String, assigned: Vec<(Arc<dyn Device>, u32, Cut)>| -> Result<bool, JobError> {
        match run(kernel, granularity, assigned)? {
            Ran::Through(answer) => found.runs.push(VerifiedRun { label, sha256: hash(&*answer)? }),
            Ran::Not(why) => {
                found.skipped.push(SkippedRun { label, why });
                return Ok(false);
            }
        }
        Ok(true)
    };
    let gpu_sized = |device: &dyn Device, range: Range<u64>| {
        let bytes = (work.bytes_per_unit.max(0.0) + work.bytes_out_per_unit.max(0.0)).max(1.0);
        let most = (device.info().max_chunk_bytes as f64 / bytes) as u64;
        even(range, most.min(GPU_UNITS_MAX).max(granularity), granularity)
    };
    let Some((cpu, gpus)) = devices.split_first() else { return Ok(found) };
    add("cpu, 1 thread, one chunk".into(), vec![(cpu.clone(), 1, Cut::from([0..units]))])?;
    let threads = cpu.info().lanes;
    let most = (units / u64::from(threads.max(1)) / 4).max(granularity);
    add(format!("cpu, {threads} threads"), vec![(cpu.clone(), threads, even(0..units, most, granularity))])?;
    let mut capable = Vec::new();
    for gpu in gpus.iter().filter(|_| work.gpu) {
        let info = gpu.info();
        if add(format!("{}, {}", info.id, info.name), vec![(gpu.clone(), 1, gpu_sized(&**gpu, 0..units))])? {
            capable.push(gpu);
        }
    }
    for split in 1..=SPLITS {
        let mut assigned: Vec<(Arc<dyn Device>, u32, Cut)> = Vec::new();
        assigned.push((cpu.clone(), threads, Cut::new()));
        assigned.extend(capable.iter().map(|gpu| (Arc::clone(gpu), 1, Cut::new())));
        for range in random.cut(units, granularity) {
            let which = (random.next() % assigned.len() as u64) as usize;
            let (device, _, cut) = &mut assigned[which];
            if which == 0 {
                cut.push_back(range);
            } else {
                cut.extend(gpu_sized(&**device, range));
            }
        }
        let names: Vec<String> = assigned.iter().map(|(device, ..)| device.info().id.to_string()).collect();
        add(format!("random split {split} over {}", names.join(", ")), assigned)?;
    }
    Ok(found)
}

/// What came of a run that no fault of the job's or of a device's ended.
enum Ran {
    /// Its answer.
    Through(Arc<dyn Answer>),
    /// A device could not do its part.
    Not(String),
}

/// Runs every pass of `kernel`, each device folding its own chunks on so many threads; chunks that do not fit are halved.
fn run(
    kernel: &Arc<dyn DynKernel>,
    granularity: u64,
    assigned: Vec<(Arc<dyn Device>, u32, Cut)>,
) -> Result<Ran, JobError> {
    let running = Running::new(Foreign::new(kernel.clone()), CancelFlag::default())?;
    loop {
        let failure: Mutex<Option<(DeviceId, DeviceError)>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for (device, lanes, cut) in &assigned {
                let queue = Arc::new(Mutex::new(cut.clone()));
                for _ in 0..*lanes {
                    let (queue, running, failure) = (queue.clone(), &running, &failure);
                    scope.spawn(move || {
                        let mut scratch = Scratch::default();
                        loop {
                            let next = queue.lock().map_or(None, |mut queue| queue.pop_front());
                            let Some(units) = next else { return };
                            let folded = running
                                .fold(&**device, units.clone(), &mut scratch)
                                .and_then(|done| running.absorb(done.partial).map_err(DeviceError::Job));
                            let Err(error) = folded else { continue };
                            if let (DeviceError::OutOfMemory(_), Some(middle)) = (&error, middle(&units, granularity))
                                && let Ok(mut queue) = queue.lock()
                            {
                                queue.push_front(middle..units.end);
                                queue.push_front(units.start..middle);
                                continue;
                            }
                            if let Ok(mut failure) = failure.lock() {
                                failure.get_or_insert((device.info().id, error));
                            }
                            return;
                        }
                    });
                }
            }
        });
        match failure.into_inner() {
            Ok(Some((_, DeviceError::Job(error)))) => return Err(error),
            Ok(Some((device, error @ (DeviceError::Unsupported(_) | DeviceError::OutOfMemory(_))))) => {
                return Ok(Ran::Not(format!("{device}: {error}")));
            }
            Ok(Some((device, error @ DeviceError::Lost(_)))) => {
                return Err(JobError::new(Cause::DeviceLost, format!("{device}: {error}")));
            }
            _ => {}
        }
        match running.end_pass()? {
            PassEnd::Again => {}
            PassEnd::Done(answer) => return Ok(Ran::Through(answer)),
        }
    }
}

/// Where to halve a chunk, at a granule; `None` where it is a single one.
fn middle(units: &Range<u64>, granularity: u64) -> Option<u64> {
    let granules = (units.end - units.start).div_ceil(granularity);
    (granules > 1).then(|| units.start + granules / 2 * granularity)
}

/// `range` in pieces of at most `most` units.
fn even(range: Range<u64>, most: u64, granularity: u64) -> Cut {
    let step = (most / granularity).max(1) * granularity;
    let mut cut = Cut::new();
    let mut start = range.start;
    while start < range.end {
        let end = start.saturating_add(step).min(range.end);
        cut.push_back(start..end);
        start = end;
    }
    cut
}

/// The SHA-256 of an answer's JSON.
fn hash(answer: &dyn Answer) -> Result<String, JobError> {
    struct Hasher(Sha256);
    impl std::io::Write for Hasher {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut out = std::io::BufWriter::with_capacity(1 << 16, Hasher(Sha256::new()));
    answer.write_json(&mut out).map_err(|error| JobError::io("result", &error))?;
    let hasher = out.into_inner().map_err(|error| JobError::io("result", error.error()))?;
    Ok(hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Enough to choose cuts.
struct Cuts(SplitMix64);

impl Cuts {
    fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Random cuts of `0..units`, at multiples of `granularity`, in random order.
    fn cut(&mut self, units: u64, granularity: u64) -> Vec<Range<u64>> {
        let granules = units.div_ceil(granularity);
        let mut edges: Vec<u64> = (0..7).map(|_| (self.next() % (granules + 1)) * granularity).collect();
        edges.extend([0, units]);
        edges.iter_mut().for_each(|edge| *edge = (*edge).min(units));
        edges.sort_unstable();
        edges.dedup();
        let mut ranges: Vec<Range<u64>> = edges.windows(2).map(|pair| pair[0]..pair[1]).collect();
        for i in (1..ranges.len()).rev() {
            ranges.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_cover_every_unit_once_and_begin_at_granules() {
        for seed in 0..200 {
            let mut random = Cuts(SplitMix64(seed));
            let units = random.next() % 1000;
            let mut ranges = random.cut(units, 64);
            ranges.sort_by_key(|range| range.start);
            let mut at = 0;
            for range in ranges {
                assert_eq!((range.start, range.start % 64), (at, 0), "seed {seed}");
                at = range.end;
            }
            assert_eq!(at, units, "seed {seed}");
        }
    }

    #[test]
    fn a_chunk_is_halved_at_granules_until_it_is_one() {
        assert_eq!(middle(&(64..192), 64), Some(128));
        assert_eq!(middle(&(64..193), 64), Some(128));
        assert_eq!(middle(&(0..65), 64), Some(64), "a ragged end is a granule too");
        assert_eq!(middle(&(64..128), 64), None);
        assert_eq!(middle(&(0..u64::MAX), 1 << 63), Some(1 << 63));
        assert_eq!(middle(&(5..5), 1), None);
    }

    #[test]
    fn one_different_hash_is_a_difference() {
        let run = |sha256: &str| VerifiedRun { label: String::new(), sha256: sha256.to_owned() };
        let mut verification = Verification { runs: vec![run("a"), run("a"), run("a")], skipped: Vec::new(), seed: 1 };
        assert!(verification.same());
        verification.runs[1].sha256 = "b".to_owned();
        assert!(!verification.same());
    }
}
