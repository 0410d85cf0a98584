//! A GPU, the first there is, a software one if need be: what computing on the pieces of an input while the rest is on its way
//! saves, against sending all of it first; what several threads that copy an input save; what the moments of an element take, type by type and with values near each other and
//! far apart; and how much of the time goes into adding up what invocations found, which is all that operations on subgroups could save.
//!
//! `cargo bench --bench gpu -- [MIB]`: 64 MiB an input where nothing is said. Every answer is checked against the CPU's first;
//! then both are timed in turns. Ratios of waiting are those of the medians; shares of computing are those of the
//! least times, since a few per cent are less than what others at work add.
#![allow(clippy::print_stdout)]

#[allow(dead_code, reason = "threads are for others")]
mod measure;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem::device::gpu::{GpuDevice, GpuOptions, Inventory};
use tandem::device::{CpuDevice, Device};
use tandem::input::{DType, InMemory, Scratch, Source, Values};
use tandem::job::JobError;
use tandem::kernels::primes::{NumberRange, RangeKernel, RangeMode};
use tandem::kernels::stats::{Column, Number, StatsKernel, StatsRequest};
use tandem::kernels::{
    Dispatch, DynKernel, DynPartial, DynPass, FoldContext, GpuCaps, GpuStep, GpuWork, Integers, Next, Work,
};

use measure::{median, timed_ms};

const ROUNDS: usize = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "--test");
    let mib = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(if quick { 2 } else { 64u64 });
    let Some(device) = Inventory::look().device(0, &GpuOptions::default()) else {
        println!("there is no gpu, not even a software one");
        return;
    };
    println!("{} ({})", device.info().name, device.info().driver);
    moments("64-bit integers", None, mib << 20);
    moments("limbs of 32 bits", Some(Integers::Limbs32), mib << 20);
    uploads(mib << 20);
    overlap(&device, mib << 20);
    reductions_of_stats(&device, mib << 20);
    reductions_of_primes(&device, if quick { 1 << 12 } else { 1 << 17 });
}

/// Elements that take a while to read, as from a disk or a network: the thread waits, and computes nothing.
#[derive(Debug)]
struct Paced {
    inner: Arc<dyn Source>,
    ns_per_element: f64,
}

impl Source for Paced {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn dtype(&self) -> DType {
        self.inner.dtype()
    }
    fn len(&self) -> u64 {
        self.inner.len()
    }
    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        std::thread::sleep(Duration::from_nanos(((range.end - range.start) as f64 * self.ns_per_element) as u64));
        self.inner.read(range, scratch)
    }
}

/// A kernel whose work on a GPU is changed, and runs with wgpu's checks.
struct Changed<F> {
    inner: Arc<dyn DynKernel>,
    change: F,
}

impl<F: Fn(&mut GpuStep) + Send + Sync> DynKernel for Changed<F> {
    fn work(&self) -> Work {
        self.inner.work()
    }
    fn first_pass(&self) -> Result<DynPass, JobError> {
        self.inner.first_pass()
    }
    fn fold(&self, pass: &DynPass, units: Range<u64>, context: &mut FoldContext<'_>) -> Result<DynPartial, JobError> {
        self.inner.fold(pass, units, context)
    }
    fn merge(&self, into: &mut DynPartial, from: DynPartial) -> Result<(), JobError> {
        self.inner.merge(into, from)
    }
    fn next(&self, pass: &DynPass, merged: DynPartial) -> Result<Next<DynPass>, JobError> {
        self.inner.next(pass, merged)
    }
    fn gpu_work(&self, pass: &DynPass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        let mut steps = self.inner.gpu_work(pass, units, caps)?.map_or_else(Vec::new, GpuWork::into_steps);
        steps.iter_mut().for_each(&self.change);
        Ok(Some(GpuWork::new(steps)))
    }
    fn gpu_partial(&self, pass: &DynPass, units: Range<u64>, outputs: &[Vec<u32>]) -> Result<DynPartial, JobError> {
        self.inner.gpu_partial(pass, units, outputs)
    }
    fn inputs(&self) -> Vec<Arc<dyn Source>> {
        self.inner.inputs()
    }
    fn check_inputs(&self) -> Result<(), JobError> {
        self.inner.check_inputs()
    }
}

/// The answer of a kernel of one pass, folded whole, and the device's times for computing and for all.
fn folded(device: &dyn Device, kernel: &dyn DynKernel) -> (String, f64, f64) {
    let pass = kernel.first_pass().expect("it begins");
    let start = Instant::now();
    let done = device.fold(kernel, &pass, 0..kernel.work().units, &mut Scratch::default()).expect("it folds");
    let all_ms = start.elapsed().as_secs_f64() * 1e3;
    let Ok(Next::Done(answer)) = kernel.next(&pass, done.partial) else { panic!("one pass is all") };
    let mut json = Vec::new();
    answer.write_json(&mut json).expect("a vector takes everything");
    (String::from_utf8(json).expect("JSON is text"), done.phases.compute.as_secs_f64() * 1e3, all_ms)
}

fn least(times: Vec<f64>) -> f64 {
    times.into_iter().fold(f64::INFINITY, f64::min)
}

fn stats_of(source: Arc<dyn Source>) -> Arc<dyn DynKernel> {
    let column = Column { name: None, source };
    Arc::new(StatsKernel::new(vec![column], false, StatsRequest::default()).expect("it is supported"))
}

fn values(len: u64) -> Arc<dyn Source> {
    let value = |i: u64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / 1e4;
    Arc::new(InMemory::new("values", (0..len).map(value).collect()))
}

/// Random bits: the finaliser of SplitMix64.
fn mix(i: u64) -> u64 {
    let z = (i.wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn bell(i: u64) -> f64 {
    let unit = |bits: u32| (f64::from(bits) + 0.5) / f64::from(u32::MAX);
    let (u, v) = (unit(mix(i) as u32), unit((mix(i) >> 32) as u32));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// What the moments of an element take on the device, whose input is there.
fn moments(name: &str, integers: Option<Integers>, bytes: u64) {
    let Some(device) = Inventory::look().device(0, &GpuOptions { integers, ..GpuOptions::default() }) else { return };
    println!("stats, computing with {name}: ns an element, and GB/s of the input");
    let missing_one = |i: u64, value: f64, of: u64| if i.is_multiple_of(of) { f64::NAN } else { value };
    moments_of(&device, "f32 normal", bytes / 4, |i| bell(i) as f32);
    moments_of(&device, "f32 lognormal 4", bytes / 4, |i| (4.0 * bell(i)).exp() as f32);
    moments_of(&device, "f32 1 % NaN", bytes / 4, |i| missing_one(i, bell(i), 100) as f32);
    moments_of(&device, "f32 any exponents", bytes / 4, |i| f32::from_bits(mix(i) as u32 & !(1 << 30)));
    moments_of(&device, "f64 normal", bytes / 8, bell);
    moments_of(&device, "f64 lognormal 4", bytes / 8, |i| (4.0 * bell(i)).exp());
    moments_of(&device, "f64 half NaN", bytes / 8, |i| missing_one(i, bell(i), 2));
    moments_of(&device, "f64 any exponents", bytes / 8, |i| f64::from_bits(mix(i) & !(1 << 62)));
    moments_of(&device, "i32", bytes / 4, |i| mix(i) as i32);
    moments_of(&device, "u64", bytes / 8, mix);
}

fn moments_of<T: Number>(device: &GpuDevice, name: &str, len: u64, value: impl Fn(u64) -> T) {
    let kernel = stats_of(Arc::new(InMemory::new(name, (0..len).map(value).collect())));
    let expected = folded(&CpuDevice::new(1), &*kernel).0;
    let times = (0..ROUNDS)
        .map(|_| {
            let (found, compute_ms, _) = folded(device, &*kernel);
            assert_eq!(found, expected, "{name}");
            compute_ms
        })
        .collect();
    let ns = median(times) * 1e6 / len as f64;
    println!("  {name:<20} {ns:>7.3} ns {:>8.2} GB/s", size_of::<T>() as f64 / ns);
}

/// A whole job whose input comes from memory, copied by one thread or by more where that is faster at the time.
fn uploads(bytes: u64) {
    let kernel = stats_of(values(bytes / 4));
    let expected = folded(&CpuDevice::new(1), &*kernel).0;
    let threads = [1, 2, 4];
    let devices: Vec<GpuDevice> = threads
        .iter()
        .filter_map(|&threads| {
            Inventory::look().device(0, &GpuOptions { upload_threads: Some(threads), ..GpuOptions::default() })
        })
        .collect();
    let mut times = vec![Vec::new(); devices.len()];
    // The first round opens the devices.
    for round in 0..=ROUNDS {
        for (times, device) in times.iter_mut().zip(&devices) {
            let (found, _, all_ms) = folded(device, &*kernel);
            assert_eq!(found, expected);
            times.extend((round > 0).then_some(all_ms));
        }
    }
    println!("stats of {} MiB of f32 from memory, sent and computed", bytes >> 20);
    for (threads, times) in threads.iter().zip(times) {
        let ms = median(times);
        println!("  up to {threads} threads copying {ms:>8.1} ms, {:>6.2} GB/s", bytes as f64 / ms / 1e6);
    }
}

/// From memory, and from where reading takes about as long as computing, which is where most can be hidden.
fn overlap(device: &GpuDevice, bytes: u64) {
    let source = values(bytes / 4);
    let plain = stats_of(source.clone());
    let expected = folded(&CpuDevice::new(1), &*plain).0;
    let run = |kernel: &Arc<dyn DynKernel>, whole: bool| {
        let change = |step: &mut GpuStep| {
            if whole {
                step.dispatches.iter_mut().for_each(|dispatch| dispatch.input_end = Dispatch::WHOLE);
            }
        };
        let (found, compute_ms, all_ms) = folded(device, &Changed { inner: kernel.clone(), change });
        assert_eq!(found, expected);
        (compute_ms, all_ms)
    };
    run(&plain, true);
    let compute_ms = run(&plain, true).0;
    let paced = Paced { ns_per_element: compute_ms * 1e6 / source.len() as f64, inner: source.clone() };
    let waiting_ms = timed_ms(|| paced.read(0..source.len(), &mut Scratch::default()).map(|_| ()));
    println!("stats of {} MiB of f32: computing {compute_ms:.1} ms, paced reading {waiting_ms:.1} ms", bytes >> 20);
    for (name, kernel) in [("from memory", plain), ("read at the pace of computing", stats_of(Arc::new(paced)))] {
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            whole.push(run(&kernel, true).1);
            pieces.push(run(&kernel, false).1);
        }
        let (whole, pieces) = (median(whole), median(pieces));
        println!("  {name:<30} sent first {whole:>8.1} ms, in pieces {pieces:>8.1} ms: {:.2}x", pieces / whole);
    }
}

/// A workgroup adds up once what its invocations found. With few elements an invocation (as many as of a small input) that
/// weighs more; from the two times the share that it has of a large input is at most so much.
fn reductions_of_stats(device: &GpuDevice, bytes: u64) {
    let groups = u64::from(device.caps().preferred_workgroups);
    let lens = [groups * 256 * 16, (bytes / 4).max(groups * 256 * 32)];
    let kernels = lens.map(|len| stats_of(values(len)));
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..2 * ROUNDS {
        for (times, kernel) in times.iter_mut().zip(&kernels) {
            times.push(folded(device, &**kernel).1);
        }
    }
    let [small, large] = times.map(least);
    let (small_ns, large_ns) = (small * 1e6 / lens[0] as f64, large * 1e6 / lens[1] as f64);
    let per_invocation = (lens[1] / (groups * 256)).min(2048);
    // A workgroup's own time is at most what its sixteen elements an invocation took longer than as many of the large input.
    let share = (small_ns - large_ns) * 16.0 / per_invocation as f64 / large_ns;
    let told = if share > 0.0 { format!("at most {:.2} %", share * 100.0) } else { "too little to tell".to_owned() };
    println!(
        "stats, adding up in a workgroup: {small_ns:.2} ns an element with 16 an invocation, {large_ns:.2} ns with \
         {per_invocation}: {told} of a large input's time"
    );
}

/// Counting the bits of a sieve is a dispatch of its own, that can be left out.
fn reductions_of_primes(device: &GpuDevice, units: i128) {
    let start = 1_000_000_000_000i128;
    let range = NumberRange::new(start, start + units * 240).expect("a range");
    let kernel: Arc<dyn DynKernel> = Arc::new(RangeKernel::new(range, RangeMode::Count));
    assert_eq!(folded(device, &*kernel).0, folded(&CpuDevice::new(1), &*kernel).0);
    let compute = |counting: bool| {
        let change = |step: &mut GpuStep| {
            if !counting {
                step.dispatches.retain(|dispatch| dispatch.entry != "count");
                step.zeroed = true;
            }
        };
        folded(device, &Changed { inner: kernel.clone(), change }).1
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        with.push(compute(true));
        without.push(compute(false));
    }
    let (with, without) = (least(with), least(without));
    let share = 1.0 - without / with;
    let told = if share > 0.0 { format!("{:.2} %", share * 100.0) } else { "too little to tell".to_owned() };
    println!(
        "primes, counting the bits of {units} words at 10^12: {with:.1} ms, {without:.1} ms without: {told} of the time"
    );
}
