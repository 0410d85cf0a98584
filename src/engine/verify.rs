//! Proves promise 1 on a job at hand: runs it on one thread, on all threads, on every allowed GPU and on random splits,
//! and compares the bytes of `result`.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use crate::device::{Device, DeviceError};
use crate::engine::running::{PassEnd, Running};
use crate::engine::ticket::CancelFlag;
use crate::input::Scratch;
use crate::job::{Cause, JobError};
use crate::kernels::{Answer, DynKernel};

/// One run of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedRun {
    /// How it ran: `cpu, 1 thread`, `split 2 over cpu, gpu:0`.
    pub label: String,
    /// The SHA-256 of the bytes of its `result`, in hexadecimal.
    pub sha256: String,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Every run, the first of which the others are compared with.
    pub runs: Vec<VerifiedRun>,
    /// The seed of the random splits.
    pub seed: u64,
}

impl Verification {
    /// Whether every run gave the same bytes.
    pub fn same(&self) -> bool {
        self.runs.windows(2).all(|pair| pair[0].sha256 == pair[1].sha256)
    }
}

/// Random splits a verification makes.
const SPLITS: u32 = 3;

/// A chunk, and which of the devices is to fold it.
type Cut = VecDeque<Range<u64>>;

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
    let mut random = SplitMix(seed);
    let mut runs = Vec::new();
    let mut add = |label: String, assigned: Vec<(Arc<dyn Device>, u32, Cut)>| -> Result<(), JobError> {
        let answer = run(kernel, assigned)?;
        runs.push(VerifiedRun { label, sha256: hash(&*answer)? });
        Ok(())
    };
    let gpu_sized = |device: &dyn Device, range: Range<u64>| {
        let bytes = work.bytes_per_unit.max(1.0);
        let most = (device.info().max_chunk_bytes as f64 / bytes) as u64;
        even(range, most.clamp(granularity, 1 << 24), granularity)
    };
    let Some((cpu, gpus)) = devices.split_first() else { return Ok(Verification { runs: Vec::new(), seed }) };
    add("cpu, 1 thread, one chunk".into(), vec![(cpu.clone(), 1, Cut::from([0..units]))])?;
    let threads = cpu.info().lanes;
    let most = (units / u64::from(threads.max(1)) / 4).max(granularity);
    add(format!("cpu, {threads} threads"), vec![(cpu.clone(), threads, even(0..units, most, granularity))])?;
    let gpus: &[_] = if work.gpu { gpus } else { &[] };
    for gpu in gpus {
        let info = gpu.info();
        add(format!("{}, {}", info.id, info.name), vec![(gpu.clone(), 1, gpu_sized(&**gpu, 0..units))])?;
    }
    for split in 1..=SPLITS {
        let mut assigned: Vec<(Arc<dyn Device>, u32, Cut)> = Vec::new();
        assigned.push((cpu.clone(), threads, Cut::new()));
        assigned.extend(gpus.iter().map(|gpu| (gpu.clone(), 1, Cut::new())));
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
    Ok(Verification { runs, seed })
}

/// Runs every pass of `kernel`, each device folding its own chunks on so many threads.
fn run(kernel: &Arc<dyn DynKernel>, assigned: Vec<(Arc<dyn Device>, u32, Cut)>) -> Result<Arc<dyn Answer>, JobError> {
    let running = Running::new(kernel.clone(), CancelFlag::default())?;
    loop {
        let failure: Mutex<Option<DeviceError>> = Mutex::new(None);
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
                                .fold(&**device, units, &mut scratch)
                                .and_then(|done| running.absorb(done.partial).map_err(DeviceError::Job));
                            if let Err(error) = folded {
                                if let Ok(mut failure) = failure.lock() {
                                    failure.get_or_insert(error);
                                }
                                return;
                            }
                        }
                    });
                }
            }
        });
        match failure.into_inner() {
            Ok(Some(DeviceError::Job(error))) => return Err(error),
            Ok(Some(error)) => return Err(JobError::new(Cause::DeviceLost, error.to_string())),
            _ => {}
        }
        match running.end_pass()? {
            PassEnd::Again => {}
            PassEnd::Done(answer) => return Ok(answer),
        }
    }
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

/// SplitMix64 (Steele, Lea, Flood 2014): enough to choose cuts.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
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
            let mut random = SplitMix(seed);
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
    fn one_different_hash_is_a_difference() {
        let run = |sha256: &str| VerifiedRun { label: String::new(), sha256: sha256.to_owned() };
        let mut verification = Verification { runs: vec![run("a"), run("a"), run("a")], seed: 1 };
        assert!(verification.same());
        verification.runs[1].sha256 = "b".to_owned();
        assert!(!verification.same());
    }
}
