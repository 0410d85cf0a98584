//! What each place can do at best: bytes a second from its memory and to it, and multiply-adds a second. Measured by two small
//! kernels in the same run and through the same engine as what they are held against.

mod kernels;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bench::fresh::unknown;
use crate::bench::{Ceiling, Difference, Place, Stand};
use crate::device::free_memory_bytes;
use crate::engine::Outcome;
use crate::input::{InMemory, Source};
use crate::job::Cause;
use crate::kernels::Kernel;
use crate::runner::Job;
use kernels::{LINKS, NUMBERS, Operations, Reading};

/// What is read: beyond all usual caches.
const READ_BYTES: u64 = 256 << 20;
/// Where memory is short, or time.
const READ_BYTES_MIN: u64 = 16 << 20;
/// A rate is taken from a run at least so long, so that handing it over does not count.
const LONG_ENOUGH: Duration = Duration::from_millis(20);
/// Chains to begin with, and at most.
const CHAINS: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 26;
/// The best of so many runs counts: nothing makes a device faster than it is.
const RUNS: u32 = 3;

/// What a probe found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probed {
    /// What each place can do at best.
    pub ceilings: Vec<Ceiling>,
    /// How long opening a place's device took, in milliseconds, where the probe was what opened it.
    pub openings_ms: Vec<(Place, f64)>,
}

/// What each of these places can do at best, in about `budget`; a split is none, and what a place cannot do is left out.
///
/// # Errors
/// Where a run fails, or places differ in what they computed.
pub fn probe(stands: &[Stand<'_>], budget: Duration) -> anyhow::Result<Probed> {
    let room = free_memory_bytes().map_or(READ_BYTES, |free| free / 8);
    let wanted = if budget < Duration::from_secs(1) { READ_BYTES / 4 } else { READ_BYTES };
    let numbers = wanted.min(room).max(READ_BYTES_MIN) / 8 / NUMBERS * NUMBERS;
    // Other than zero: pages of zeros may all be the same one.
    let numbers: Vec<u64> = (1..=numbers).map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
    // Were it recognised, only the first run would upload, and that one also allocates.
    let source = unknown(Arc::new(InMemory::new("probe", numbers)));
    let stands: Vec<&Stand<'_>> = stands.iter().filter(|stand| stand.place != Place::Split).collect();
    // Memory, upload, operations.
    let share = budget / (2 * stands.len().max(1)) as u32;
    let mut expected: Option<String> = None;
    let mut probed = Probed::default();
    for stand in stands {
        let reading = read(stand, &source, share, &mut expected)?;
        probed
            .openings_ms
            .extend(reading.filter(|found| found.opening_ms > 0.0).map(|found| (stand.place, found.opening_ms)));
        probed.ceilings.push(Ceiling {
            place: stand.place,
            read_bytes_per_s: reading.map(|found| found.read_bytes_per_s),
            upload_bytes_per_s: reading.and_then(|found| found.upload_bytes_per_s),
            operations_per_s: operations(stand, share)?,
        });
    }
    Ok(probed)
}

/// How fast a place reads.
#[derive(Clone, Copy)]
struct Read {
    /// From its memory.
    read_bytes_per_s: f64,
    /// To it, where bytes have to be moved.
    upload_bytes_per_s: Option<f64>,
    /// How long it took to open.
    opening_ms: f64,
}

/// Bytes a second from memory, and to it where they have to be moved.
fn read(
    stand: &Stand<'_>,
    source: &Arc<dyn Source>,
    share: Duration,
    expected: &mut Option<String>,
) -> anyhow::Result<Option<Read>> {
    let (mut bytes, mut opening_ms) = (0.0, 0.0);
    let begun = Instant::now();
    let (mut read_s, mut upload_s) = (f64::INFINITY, f64::INFINITY);
    for made in 0..=RUNS {
        if made > 1 && begun.elapsed() > share {
            break;
        }
        let kernel = Reading { source: source.clone() };
        bytes = kernel.work().bytes_per_unit * kernel.work().units as f64;
        let Some(outcome) = run(stand, kernel)? else { return Ok(None) };
        let found = outcome.result?.summary();
        if *expected.get_or_insert_with(|| found.clone()) != found {
            let (kind, variant, units) = ("probe", "reading", (bytes / 8.0) as u64);
            return Err(Difference { kind, variant, units, place: stand.place }.into());
        }
        let phases = outcome.timings.phases;
        opening_ms += phases.opening.as_secs_f64() * 1e3;
        // A first run compiles and allocates.
        if made > 0 {
            read_s = read_s.min(phases.compute.as_secs_f64());
            upload_s = upload_s.min(phases.upload.as_secs_f64());
        }
    }
    let upload_bytes_per_s = (stand.place.is_gpu() && upload_s.is_finite() && upload_s > 0.0).then(|| bytes / upload_s);
    let is_known = read_s.is_finite() && read_s > 0.0;
    Ok(is_known.then(|| Read { read_bytes_per_s: bytes / read_s, upload_bytes_per_s, opening_ms }))
}

/// Multiply-adds a second.
fn operations(stand: &Stand<'_>, share: Duration) -> anyhow::Result<Option<f64>> {
    let begun = Instant::now();
    let (mut chains, mut best, mut long) = (*CHAINS.start(), None, 0);
    loop {
        let Some(outcome) = run(stand, Operations { chains })? else { return Ok(best) };
        outcome.result?;
        let compute = outcome.timings.phases.compute;
        if compute >= LONG_ENOUGH || chains == *CHAINS.end() {
            let per_s = (chains * LINKS) as f64 / compute.as_secs_f64();
            best = Some(best.map_or(per_s, |best: f64| best.max(per_s)));
            long += 1;
            if long == RUNS || begun.elapsed() > share {
                return Ok(best);
            }
        } else {
            chains = (chains * 4).min(*CHAINS.end());
        }
    }
}

/// `None` where the device cannot do it.
fn run(stand: &Stand<'_>, kernel: impl Kernel) -> anyhow::Result<Option<Outcome>> {
    let outcome = stand.runner.submit(Job::kernel(kernel).on(stand.place.choice())).wait();
    match &outcome.result {
        Err(error) if error.cause == Cause::Unsupported => Ok(None),
        _ => Ok(Some(outcome)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{every_place, stand};
    use crate::model::Location;
    use crate::runner::Runner;

    #[test]
    fn every_place_has_ceilings_that_a_machine_could_have() {
        let runner = |threads| Runner::builder().threads(threads).model(Location::Nowhere).build().unwrap();
        let (one, two) = (runner(1), runner(2));
        let stands: Vec<Stand<'_>> = every_place(&two).into_iter().map(|place| stand(&one, &two, place)).collect();
        let found = probe(&stands, Duration::from_millis(200)).unwrap().ceilings;
        assert_eq!(found.len(), stands.iter().filter(|stand| stand.place != Place::Split).count());
        for ceiling in found.iter().filter(|ceiling| ceiling.place.is_cpu()) {
            assert!(ceiling.read_bytes_per_s.is_some_and(|rate| (1e6..1e13).contains(&rate)), "{ceiling:?}");
            assert!(ceiling.operations_per_s.is_some_and(|rate| (1e5..1e13).contains(&rate)), "{ceiling:?}");
            assert_eq!(ceiling.upload_bytes_per_s, None);
        }
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn the_probes_have_one_answer_on_every_device() {
        use crate::device::gpu::{GpuOptions, Inventory, assert_same_on_gpu};
        use crate::device::{CpuDevice, Device};
        use crate::input::Scratch;
        use crate::kernels::DynKernel;

        let source = Arc::new(InMemory::new("probe", (0..NUMBERS * 37).map(|at| at * at * 7919 + 1).collect()));
        assert_same_on_gpu("reading", &Reading { source }, &[5, 11]);
        // Only devices with integers of 64 bits have this one.
        let chains: &dyn DynKernel = &Operations { chains: 1000 };
        let partial = |device: &dyn Device| {
            let pass = chains.first_pass().unwrap();
            let mut scratch = Scratch::default();
            Some(*device.fold(chains, &pass, 64..1000, &mut scratch).ok()?.partial.value::<u64>())
        };
        let expected = partial(&CpuDevice::new(1)).unwrap();
        let gpu = Inventory::look().device(0, &GpuOptions::default());
        for found in gpu.iter().filter_map(|gpu| partial(gpu)) {
            assert_eq!(found, expected);
        }
    }
}
