//! Two kernels that do next to nothing but what a device is asked about: they run through the same engine, on every device, and
//! their answers are exact, so that a probe that went wrong is noticed.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use crate::input::{Element, Source};
use crate::job::{Cause, JobError};
use crate::kernels::{
    Answer, Dispatch, FoldContext, GpuCaps, GpuInput, GpuStep, GpuWork, Integers, Kernel, MAX_LOOP_TRIPS, Next, Shader,
    Work,
};

/// Invocations of a workgroup.
const LANES: u64 = 64;

/// Multiply-adds a chain.
pub(super) const LINKS: u64 = 4096;
/// What is added to the square of a link.
const INCREMENT: u64 = 1_442_695_040_888_963_407;
/// Chains that one thread computes side by side, which hides how long a multiplication takes.
const SIDE_BY_SIDE: usize = 8;
/// Chains a dispatch at most, so that none runs for long.
const CHAINS_MAX: u64 = 1 << 18;

/// Numbers a unit of the reading probe: 4 KiB.
pub(super) const NUMBERS: u64 = 512;

/// The exclusive or of all results, by which places are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum(pub u64);

impl Answer for Sum {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{{\"xor\":\"{:016x}\"}}", self.0)
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{:016x}", self.0)
    }

    fn summary(&self) -> String {
        format!("{:016x}", self.0)
    }
}

fn sum_of(outputs: &[Vec<u32>]) -> Result<u64, JobError> {
    match outputs {
        [words] if words.len() == 2 => Ok(u64::from(words[0]) | u64::from(words[1]) << 32),
        _ => Err(JobError::new(Cause::DeviceLost, "the probe's shader gave back other than two words")),
    }
}

/// Chains of multiply-adds.
pub(super) struct Operations {
    /// How many, below 2^32.
    pub chains: u64,
}

static OPERATIONS: LazyLock<Shader> =
    LazyLock::new(|| Shader::new("probe operations", include_str!("../../../shaders/probe_operations.wgsl")));

impl Operations {
    fn several<const N: usize>(first: u64) -> u64 {
        let mut x: [u64; N] = std::array::from_fn(|at| first + at as u64);
        for _ in 0..LINKS {
            for x in &mut x {
                // A square, since a compiler makes one multiplication of many by a constant.
                *x = x.wrapping_mul(*x).wrapping_add(INCREMENT);
            }
        }
        x.into_iter().fold(0, |all, x| all ^ x)
    }
}

impl Kernel for Operations {
    type Pass = ();
    type Partial = u64;

    fn work(&self) -> Work {
        Work {
            kernel: "probe",
            variant: "operations".to_owned(),
            units: self.chains,
            granularity: LANES,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: LINKS as f64 * 0.4,
            passes: 1,
            gpu: true,
        }
    }

    fn first_pass(&self) -> Result<(), JobError> {
        Ok(())
    }

    fn fold(&self, (): &(), units: Range<u64>, _: &mut FoldContext<'_>) -> Result<u64, JobError> {
        let (mut at, mut all) = (units.start, 0);
        while at + SIDE_BY_SIDE as u64 <= units.end {
            all ^= Self::several::<SIDE_BY_SIDE>(at);
            at += SIDE_BY_SIDE as u64;
        }
        Ok((at..units.end).fold(all, |all, chain| all ^ Self::several::<1>(chain)))
    }

    fn merge(&self, into: &mut u64, from: u64) {
        *into ^= from;
    }

    fn next(&self, (): &(), merged: u64) -> Result<Next<()>, JobError> {
        Ok(Next::Done(Box::new(Sum(merged))))
    }

    fn gpu_work(&self, (): &(), units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        if caps.integers != Integers::Native64 || units.end > u64::from(u32::MAX) {
            return Ok(None);
        }
        let starts = (units.start..units.end).step_by(CHAINS_MAX as usize);
        let dispatches = starts.map(|first| {
            let chains = CHAINS_MAX.min(units.end - first);
            Dispatch {
                entry: "chains".into(),
                workgroups: chains.div_ceil(LANES) as u32,
                params: vec![first as u32, chains as u32],
                input_end: 0,
            }
        });
        Ok(Some(GpuWork::trusted(vec![GpuStep {
            shader: OPERATIONS.clone(),
            input: None,
            output_words: 2,
            scratch_words: 0,
            zeroed: true,
            table: Arc::new([]),
            dispatches: dispatches.collect(),
        }])))
    }

    fn gpu_partial(&self, (): &(), _: Range<u64>, outputs: &[Vec<u32>]) -> Result<u64, JobError> {
        sum_of(outputs)
    }
}

/// A look at every number of an input.
pub(super) struct Reading {
    /// The numbers; a whole number of units.
    pub source: Arc<dyn Source>,
}

static READING: LazyLock<Shader> =
    LazyLock::new(|| Shader::new("probe read", include_str!("../../../shaders/probe_read.wgsl")));

impl Kernel for Reading {
    type Pass = ();
    type Partial = u64;

    fn work(&self) -> Work {
        Work {
            kernel: "probe",
            variant: "reading".to_owned(),
            units: self.source.len() / NUMBERS,
            granularity: 1,
            bytes_per_unit: NUMBERS as f64 * 8.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: NUMBERS as f64 * 0.8,
            passes: 1,
            gpu: true,
        }
    }

    fn first_pass(&self) -> Result<(), JobError> {
        Ok(())
    }

    fn fold(&self, (): &(), units: Range<u64>, context: &mut FoldContext<'_>) -> Result<u64, JobError> {
        let values = self.source.read(units.start * NUMBERS..units.end * NUMBERS, context.scratch)?;
        let numbers = u64::unwrap(&values).unwrap_or_default();
        // Eight at a time, so that no addition waits for the one before.
        let mut all = [0_u64; 8];
        let (eights, rest) = numbers.as_chunks::<8>();
        for eight in eights {
            for (all, number) in all.iter_mut().zip(eight) {
                *all ^= number;
            }
        }
        Ok(all.iter().chain(rest).fold(0, |all, number| all ^ number))
    }

    fn merge(&self, into: &mut u64, from: u64) {
        *into ^= from;
    }

    fn next(&self, (): &(), merged: u64) -> Result<Next<()>, JobError> {
        Ok(Next::Done(Box::new(Sum(merged))))
    }

    fn gpu_work(&self, (): &(), units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        let range = units.start * NUMBERS..units.end * NUMBERS;
        let vectors = (range.end - range.start) / 2;
        if vectors > u64::from(u32::MAX) {
            return Ok(None);
        }
        let busy = u64::from(caps.preferred_workgroups.max(1)) * if caps.contiguous { 1 } else { 8 };
        let least = vectors.div_ceil(LANES * u64::from(MAX_LOOP_TRIPS / 2));
        let workgroups = busy.max(least).min(vectors.div_ceil(LANES)).max(1);
        let each = vectors.div_ceil(workgroups * LANES);
        // Where they fold into y, there may be more of them than were asked for: those find nothing left.
        let params = vec![vectors as u32, each as u32, u32::from(caps.contiguous)];
        Ok(Some(GpuWork::trusted(vec![GpuStep {
            shader: READING.clone(),
            input: Some(GpuInput { source: self.source.clone(), range }),
            output_words: 2,
            scratch_words: 0,
            zeroed: true,
            table: Arc::new([]),
            // One look at all of it: uploading and reading are to be told apart here.
            dispatches: vec![Dispatch {
                entry: "read_all".into(),
                workgroups: workgroups as u32,
                params,
                input_end: Dispatch::WHOLE,
            }],
        }])))
    }

    fn gpu_partial(&self, (): &(), _: Range<u64>, outputs: &[Vec<u32>]) -> Result<u64, JobError> {
        sum_of(outputs)
    }

    fn inputs(&self) -> Vec<Arc<dyn Source>> {
        vec![self.source.clone()]
    }
}
