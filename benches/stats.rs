//! `stats`, count to standard deviation, against a plain vectorised sum of the same array on the same threads.
//!
//! `cargo bench --bench stats -- [MIB]`: 512 MiB an array where nothing is said. Every answer is checked first, against
//! sums made another way; then the two are timed in turns, and the ratio is that of the medians.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tandem::input::{InMemory, Scratch, Source};
use tandem::kernels::stats::{Column, Number, StatsAnswer, StatsKernel, StatsPartial, StatsRequest};
use tandem::kernels::{FoldContext, Isa, Kernel, Next};

/// Units a chunk: as the engine would cut them, roughly.
const CHUNK_UNITS: u64 = 1 << 20;
const ROUNDS: usize = 7;

fn main() {
    // The test runner of cargo calls benches with `--test`; then a small array shows that they work.
    let quick = std::env::args().any(|argument| argument == "--test");
    let mib = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(if quick { 4 } else { 512u64 });
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    println!("stats against a plain vectorised sum, {mib} MiB, {}, medians of {ROUNDS}", Isa::detect().name());
    println!("{:<16}{:>8}{:>12}{:>12}{:>10}{:>10}", "data", "threads", "sum ms", "stats ms", "GB/s", "ratio");
    let bench = Bench { bytes: mib << 20, threads };
    bench.run("f32 bell", |bits| bell(bits) as f32);
    bench.run("f64 bell", bell);
    bench.run("f32 lognormal 3", |bits| (3.0 * bell(bits)).exp() as f32);
    bench.run("f64 lognormal 3", |bits| (3.0 * bell(bits)).exp());
    bench.run("f64 any exponent", |bits| f64::from_bits(bits >> 2));
    bench.run("f64 1 % NaN", |bits| if bits % 100 == 0 { f64::NAN } else { bell(bits) });
    bench.run("i32", |bits| bits as i32);
    bench.run("i64", |bits| bits as i64);
    bench.run("u64", |bits| bits);
}

/// A bell-shaped number about 0, with a full significand.
fn bell(bits: u64) -> f64 {
    let quarter = |shift: u32| (bits >> shift & 0xffff) as f64 / 32768.0 - 1.0;
    (quarter(0) + quarter(16) + quarter(32) + quarter(48)) * std::f64::consts::FRAC_1_SQRT_2
}

struct Bench {
    bytes: u64,
    threads: usize,
}

impl Bench {
    fn run<T: Number + Summed>(&self, name: &str, number: impl Fn(u64) -> T) {
        let len = self.bytes / size_of::<T>() as u64;
        let values: Vec<T> = (0..len).map(|i| number(mix(i))).collect();
        check(&values[..values.len().min(100_000)]);
        let plain = values.clone();
        let source: Arc<dyn Source> = Arc::new(InMemory::new("bench", values));
        let kernel =
            StatsKernel::new(vec![Column { name: None, source }], false, StatsRequest::default()).expect("a job");
        let mut counts = vec![1];
        counts.extend((self.threads > 1).then_some(self.threads));
        for threads in counts {
            let (mut sums, mut stats) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                sums.push(timed(|| {
                    on_threads(threads, len, |units, total: &mut f64| {
                        *total += plain_sum(&plain[units.start as usize..units.end as usize])
                    })
                }));
                stats.push(timed(|| answer(&kernel, threads)));
            }
            let (sum, stats) = (median(sums), median(stats));
            let rate = self.bytes as f64 / stats / 1e6;
            println!("{name:<16}{threads:>8}{sum:>12.1}{stats:>12.1}{rate:>10.1}{:>10.2}", stats / sum);
        }
    }
}

/// Random bits: the finaliser of SplitMix64.
fn mix(index: u64) -> u64 {
    let seed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Checks counts, extremes and, within the error of compensated float sums, the rest.
fn check<T: Number + Summed>(values: &[T]) {
    let kernel = StatsKernel::of_values(values.to_vec(), StatsRequest::default()).expect("a job");
    let column = answer(&kernel, 1).columns.remove(0);
    let finite: Vec<f64> = values.iter().map(|value| value.to_f64()).filter(|value| !value.is_nan()).collect();
    assert_eq!(column.count, finite.len() as u64);
    assert_eq!(column.min.expect("a value").to_f64(), finite.iter().copied().fold(f64::INFINITY, f64::min));
    assert_eq!(column.max.expect("a value").to_f64(), finite.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    let mean = finite.iter().map(|value| value / finite.len() as f64).sum::<f64>();
    let scale = finite.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
    assert!((column.mean.expect("a mean") - mean).abs() <= 1e-9 * scale);
    let squares = finite.iter().map(|value| ((value - mean) / scale).powi(2)).sum::<f64>();
    let std = (squares / (finite.len() - 1) as f64).sqrt() * scale;
    assert!((column.std.expect("a deviation") - std).abs() <= 1e-9 * scale);
}

fn answer(kernel: &StatsKernel, threads: usize) -> StatsAnswer {
    let pass = kernel.first_pass().expect("a pass");
    let merged = on_threads(threads, kernel.work().units, |units, partial: &mut Partial| {
        let mut context = FoldContext { isa: Isa::detect(), scratch: &mut partial.scratch };
        let folded = kernel.fold(&pass, units, &mut context).expect("values in memory");
        match &mut partial.merged {
            Some(merged) => kernel.merge(merged, folded),
            none => *none = Some(folded),
        }
    });
    let mut partials = merged.into_iter().filter_map(|partial| partial.merged);
    let mut whole = partials.next().expect("a chunk");
    partials.for_each(|partial| kernel.merge(&mut whole, partial));
    match kernel.next(&pass, whole).expect("an answer") {
        Next::Done(answer) => {
            let answer: Box<dyn std::any::Any> = answer;
            *answer.downcast().expect("the answer of stats")
        }
        Next::Pass(_) => unreachable!("moments take one pass"),
    }
}

#[derive(Default)]
struct Partial {
    scratch: Scratch,
    merged: Option<StatsPartial>,
}

/// Hands chunks of `len` units to threads, each of which works on a state of its own.
fn on_threads<S: Default + Send>(threads: usize, len: u64, work: impl Fn(Range<u64>, &mut S) + Sync) -> Vec<S> {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut state = S::default();
        loop {
            let start = next.fetch_add(CHUNK_UNITS, Ordering::Relaxed);
            if start >= len {
                return state;
            }
            work(start..(start + CHUNK_UNITS).min(len), &mut state);
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mut states = vec![worker()];
        states.extend(others.into_iter().map(|other| other.join().expect("a worker that ends")));
        states
    })
}

fn timed<R>(run: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    black_box(run());
    start.elapsed().as_secs_f64() * 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// An element that a plain sum adds up in its own type, 64 bits for integers.
trait Summed: Copy {
    fn plain(slice: &[Self]) -> f64;
}
macro_rules! summed {
    ($($element:ty => $total:ty),*) => {$(
        impl Summed for $element {
            #[inline(always)]
            fn plain(slice: &[Self]) -> f64 {
                let mut lanes = [0 as $total; 64];
                let steps = slice.chunks_exact(64);
                let rest = steps.remainder();
                for step in steps {
                    for (lane, value) in lanes.iter_mut().zip(step) {
                        *lane = add(*lane, *value as $total);
                    }
                }
                let rest = rest.iter().fold(0 as $total, |total, value| add(total, *value as $total));
                lanes.into_iter().fold(rest, add) as f64
            }
        }
    )*};
}
summed!(f32 => f32, f64 => f64, i32 => i64, i64 => i64, u64 => u64);

/// Addition that never panics: integers wrap.
#[inline(always)]
fn add<T: Add>(a: T, b: T) -> T {
    a.plus(b)
}
trait Add {
    fn plus(self, other: Self) -> Self;
}
macro_rules! plus {
    ($($float:ty),*; $($integer:ty),*) => {
        $(impl Add for $float { #[inline(always)] fn plus(self, other: Self) -> Self { self + other } })*
        $(impl Add for $integer { #[inline(always)] fn plus(self, other: Self) -> Self { self.wrapping_add(other) } })*
    };
}
plus!(f32, f64; i64, u64);

/// The plain sum, with the widest instruction set of the machine.
fn plain_sum<T: Summed>(slice: &[T]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    match Isa::detect() {
        // SAFETY: it was detected.
        Isa::Avx512 => return unsafe { plain_avx512(slice) },
        // SAFETY: as above.
        Isa::Avx2 => return unsafe { plain_avx2(slice) },
        Isa::Portable => {}
    }
    T::plain(slice)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
fn plain_avx512<T: Summed>(slice: &[T]) -> f64 {
    T::plain(slice)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn plain_avx2<T: Summed>(slice: &[T]) -> f64 {
    T::plain(slice)
}
