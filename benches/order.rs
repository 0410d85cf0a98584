//! Histograms and quantiles against a plain vectorised sum of the same array on the same threads, pass by pass.
//!
//! `cargo bench --bench order -- [MIB]`: 512 MiB an array where nothing is said. Every answer is checked first, against a
//! sorted copy of a part of the array; then job and sum are timed in turns, and what is printed are medians. GB/s are those
//! of the array: its bytes over the time, for the job over all its passes.

#![allow(clippy::print_stdout)]

mod measure;
#[path = "measure/plain_sum.rs"]
mod plain_sum;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tandem::input::{InMemory, Scratch, Source};
use tandem::kernels::stats::{Column, Number, StatsAnswer, StatsKernel, StatsPartial, StatsPass, StatsRequest};
use tandem::kernels::{FoldContext, Isa, Kernel, Next};

use measure::{median, on_threads, timed_ms};
use plain_sum::{Summed, plain_sum};

/// Units a chunk: as the engine would cut them, roughly.
const CHUNK_UNITS: u64 = 1 << 20;
const ROUNDS: usize = 5;
const QUANTILES: [&str; 5] = ["0.01", "0.25", "0.5", "0.75", "0.99"];

fn main() {
    // The test runner of cargo calls benches with `--test`; then a small array shows that they work.
    let quick = std::env::args().any(|argument| argument == "--test");
    let mib = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(if quick { 4 } else { 512u64 });
    let only = std::env::args().skip(1).find(|argument| argument.parse::<u64>().is_err() && !argument.starts_with('-'));
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    println!("order against a plain vectorised sum, {mib} MiB, {}, medians of {ROUNDS}", Isa::detect().name());
    println!(
        "{:<16}{:<16}{:>8}{:>10}{:>8}{:>8}  passes: ms, GB/s",
        "data", "asked", "threads", "sum GB/s", "GB/s", "ratio"
    );
    let bench = Bench { bytes: mib << 20, threads, only };
    bench.run("f64 uniform", (0.0, 1.0), uniform);
    bench.run("f64 normal", (-4.0, 4.0), normal);
    bench.run("f64 lognormal 1", (0.0, 20.0), |bits| normal(bits).exp());
    bench.run("f64 lognormal 4", (0.0, 100.0), |bits| (4.0 * normal(bits)).exp());
    bench.run("f64 whole", (0.0, 1000.0), |bits| (bits % 1001) as f64);
    bench.run("f64 1 % NaN", (0.0, 1.0), |bits| if bits % 100 == 0 { f64::NAN } else { uniform(bits) });
    bench.run("f32 uniform", (0.0, 1.0), |bits| uniform(bits) as f32);
    bench.run("f32 normal", (-4.0, 4.0), |bits| normal(bits) as f32);
    bench.run("f32 lognormal 1", (0.0, 20.0), |bits| normal(bits).exp() as f32);
    bench.run("i32", (-2147483648.0, 2147483647.0), |bits| bits as i32);
    bench.run("i64", (-9.3e18, 9.3e18), |bits| bits as i64);
}

fn uniform(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// A normal number, by Box and Muller.
fn normal(bits: u64) -> f64 {
    let (a, b) = ((bits >> 32) as f64, (bits as u32) as f64);
    let radius = (-2.0 * ((a + 1.0) / 4294967297.0).ln()).sqrt();
    radius * (b / 4294967296.0 * std::f64::consts::TAU).cos()
}

struct Bench {
    bytes: u64,
    threads: usize,
    only: Option<String>,
}

impl Bench {
    fn run<T: Number + Summed>(&self, name: &str, range: (f64, f64), number: impl Fn(u64) -> T) {
        if self.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            return;
        }
        let len = self.bytes / size_of::<T>() as u64;
        let values: Vec<T> = (0..len).map(|i| number(mix(i))).collect();
        let given = format!("1000:{}..{}", range.0, range.1);
        let requests = [
            ("moments", request(false, None)),
            ("1000 bins, given", request(false, Some(&given))),
            ("1000 bins, auto", request(false, Some("1000"))),
            ("5 quantiles", request(true, None)),
        ];
        for (_, request) in &requests {
            check(&values[..values.len().min(300_000)], request);
        }
        let plain = values.clone();
        let source: Arc<dyn Source> = Arc::new(InMemory::new("bench", values));
        let mut counts = vec![1];
        counts.extend((self.threads > 1).then_some(self.threads));
        for threads in counts {
            for (asked, request) in &requests {
                let columns = vec![Column { name: None, source: Arc::clone(&source) }];
                let kernel = StatsKernel::new(columns, false, request.clone()).expect("a job");
                let (mut sums, mut passes) = (Vec::new(), Vec::new());
                for _ in 0..ROUNDS {
                    sums.push(timed_ms(|| {
                        on_threads(threads, len, CHUNK_UNITS, |units, total: &mut f64| {
                            *total += plain_sum(&plain[units.start as usize..units.end as usize])
                        })
                    }));
                    passes.push(black_box(answer(&kernel, threads)).1);
                }
                let (sum_ms, all_ms) = (median(sums), median(passes.iter().map(|times| times.iter().sum()).collect()));
                let rate = |ms: f64| self.bytes as f64 / ms / 1e6;
                print!(
                    "{name:<16}{asked:<16}{threads:>8}{:>10.1}{:>8.2}{:>8.2} ",
                    rate(sum_ms),
                    rate(all_ms),
                    all_ms / sum_ms
                );
                for pass in 0..passes[0].len() {
                    let ms = median(passes.iter().map(|times| times[pass]).collect());
                    print!(" {ms:.0} {:.1},", rate(ms));
                }
                println!();
            }
        }
    }
}

fn request(quantiles: bool, histogram: Option<&str>) -> StatsRequest {
    let quantiles = if quantiles { &QUANTILES[..] } else { &[] };
    StatsRequest {
        quantiles: quantiles.iter().map(|q| q.parse().expect("a quantile")).collect(),
        histogram: histogram.map(|text| text.parse().expect("a histogram")),
        ..StatsRequest::default()
    }
}

/// Random bits: the finaliser of SplitMix64.
fn mix(index: u64) -> u64 {
    let seed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Checks quantiles and counts against the sorted values.
fn check<T: Number + Summed>(values: &[T], request: &StatsRequest) {
    let kernel = StatsKernel::of_values(values.to_vec(), request.clone()).expect("a job");
    let column = answer(&kernel, 1).0.columns.remove(0);
    let mut sorted: Vec<T> = values.iter().copied().filter(|value| !value.to_f64().is_nan()).collect();
    sorted.sort_by_key(|value| value.key());
    for quantile in &column.quantiles {
        let position = quantile.q.to_f64() * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[position as usize].to_f64(), sorted[position.ceil() as usize].to_f64());
        let value = quantile.value.expect("a value").to_f64();
        assert!(below <= value && value <= above, "{value} between {below} and {above}");
    }
    if let Some(histogram) = &column.histogram {
        // Counts of what is below each edge; what equals an edge lies above it. The last edge belongs to the last bin.
        let edges = &histogram.edges[..histogram.counts.len()];
        let below: Vec<u64> = edges.iter().map(|edge| sorted.partition_point(|x| x.to_f64() < *edge) as u64).collect();
        let mut counted = histogram.below;
        for (count, below) in histogram.counts.iter().zip(below) {
            // Automatic ranges of integers beyond 2^53 hold their ends, though the edges are rounded.
            assert!(counted == below || size_of::<T>() == 8 && counted == 0, "{counted} {below}");
            counted += count;
        }
        assert_eq!(counted + histogram.above, sorted.len() as u64);
    }
}

/// The answer, and how long each pass took, in milliseconds.
fn answer(kernel: &StatsKernel, threads: usize) -> (StatsAnswer, Vec<f64>) {
    let mut times = Vec::new();
    let mut start = Instant::now();
    let mut pass = kernel.first_pass().expect("a pass");
    loop {
        let next = kernel.next(&pass, folded(kernel, &pass, threads)).expect("what follows");
        times.push(start.elapsed().as_secs_f64() * 1e3);
        start = Instant::now();
        match next {
            Next::Pass(next) => pass = next,
            Next::Done(answer) => {
                let answer: Box<dyn std::any::Any> = answer;
                return (*answer.downcast().expect("the answer of stats"), times);
            }
        }
    }
}

fn folded(kernel: &StatsKernel, pass: &StatsPass, threads: usize) -> StatsPartial {
    let merged = on_threads(threads, kernel.work().units, CHUNK_UNITS, |units, partial: &mut Partial| {
        let mut context = FoldContext { isa: Isa::detect(), scratch: &mut partial.scratch };
        let folded = kernel.fold(pass, units, &mut context).expect("values in memory");
        match &mut partial.merged {
            Some(merged) => kernel.merge(merged, folded),
            none => *none = Some(folded),
        }
    });
    let mut partials = merged.into_iter().filter_map(|partial| partial.merged);
    let mut whole = partials.next().expect("a chunk");
    partials.for_each(|partial| kernel.merge(&mut whole, partial));
    whole
}

#[derive(Default)]
struct Partial {
    scratch: Scratch,
    merged: Option<StatsPartial>,
}
