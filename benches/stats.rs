//! `stats`, count to standard deviation, against a plain vectorised sum of the same array on the same threads.
//!
//! `cargo bench --bench stats -- [MIB] [mapped|memory|cache] [DATA]`: 512 MiB an array where nothing is said, in memory, in a
//! file that each round opens and maps anew, and 1 MiB that stays in the cache. DATA leaves out what does not begin with it.
//! Every answer is checked first, against sums made another way; then the two are timed in turns, and the ratio is that of
//! the medians. One thread is timed by the CPU's time that it takes, so that others on the machine do little to it.

#![allow(clippy::print_stdout)]

mod measure;
#[path = "measure/one_pass.rs"]
mod one_pass;
#[path = "measure/plain_sum.rs"]
mod plain_sum;

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use tandem::input::{Format, InMemory, InputSpec, Location, Scratch, Source};
use tandem::kernels::Isa;
use tandem::kernels::stats::{Column, Number, StatsAnswer, StatsKernel, StatsRequest};

use measure::{computed_ms, median, on_threads, timed_ms};
use one_pass::{answer, bell, mix};
use plain_sum::{Summed, plain_sum};

/// Units a chunk: as the engine would cut them, roughly.
const CHUNK_UNITS: u64 = 1 << 20;
const ROUNDS: usize = 9;
/// What stays in a core's cache.
const CACHED_BYTES: u64 = 1 << 20;

fn main() {
    // The test runner of cargo calls benches with `--test`; then a small array shows that they work.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "--test");
    let mib = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(if quick { 4 } else { 512u64 });
    let words: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| word.parse::<u64>().is_err() && *word != "--test").collect();
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    println!("stats against a plain vectorised sum, {mib} MiB, {}, medians of {ROUNDS}", Isa::detect().name());
    println!(
        "{:<18}{:<8}{:>8}{:>10}{:>10}{:>8}{:>8}",
        "data", "place", "threads", "sum ms", "stats ms", "GB/s", "ratio"
    );
    let places = [("mapped", Place::Mapped), ("memory", Place::Memory), ("cache", Place::Cache)];
    let named = |word: &str| places.iter().any(|(name, _)| *name == word);
    let places = places.into_iter().filter(|(name, _)| words.contains(name) || !words.iter().any(|word| named(word)));
    let data = words.iter().copied().find(|word| !named(word)).unwrap_or_default();
    for (_, place) in places {
        let bench = Bench { bytes: mib << 20, threads, place, data };
        bench.run("f32 bell", |bits| bell(bits) as f32);
        bench.run("f64 bell", bell);
        bench.run("f32 integers", |bits| (bits >> 44) as f32);
        bench.run("f32 lognormal 4", |bits| (4.0 * normal(bits)).exp() as f32);
        bench.run("f64 lognormal 4", |bits| (4.0 * normal(bits)).exp());
        bench.run("f64 any exponent", |bits| f64::from_bits(bits >> 2));
        bench.run("f32 1 % NaN", |bits| if bits % 100 == 0 { f32::NAN } else { bell(bits) as f32 });
        bench.run("f64 1 % NaN", |bits| if bits % 100 == 0 { f64::NAN } else { bell(bits) });
        bench.run("i32", |bits| bits as i32);
        bench.run("i64", |bits| bits as i64);
        bench.run("u64", |bits| bits);
    }
}

/// Where the array lies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// In a file in the page cache, opened and mapped anew for each time.
    Mapped,
    Memory,
    /// In memory, so small that it stays in the cache.
    Cache,
}

/// A number of the standard normal distribution, by Box and Muller.
fn normal(bits: u64) -> f64 {
    let unit = |bits: u32| (f64::from(bits) + 0.5) / f64::from(u32::MAX);
    let (u, v) = (unit(bits as u32), unit((bits >> 32) as u32));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

struct Bench<'a> {
    bytes: u64,
    threads: usize,
    place: Place,
    data: &'a str,
}

impl Bench<'_> {
    fn run<T: Number + Summed>(&self, name: &str, number: impl Fn(u64) -> T) {
        if !name.starts_with(self.data) {
            return;
        }
        let bytes = if self.place == Place::Cache { CACHED_BYTES } else { self.bytes };
        let repeats = if self.place == Place::Cache { (self.bytes / CACHED_BYTES).min(256) } else { 1 };
        let len = bytes / size_of::<T>() as u64;
        check(&(0..len.min(100_000)).map(|i| number(mix(i))).collect::<Vec<T>>());
        let data = Data::new(self.place, (0..len).map(|i| number(mix(i))));
        let mut counts = vec![1];
        counts.extend((self.threads > 1 && self.place != Place::Cache).then_some(self.threads));
        for threads in counts {
            let (mut sums, mut stats) = (Vec::new(), Vec::new());
            // One thread by what it computes, several by the clock.
            let timed = |run: &mut dyn FnMut()| if threads == 1 { computed_ms(run) } else { timed_ms(run) };
            for _ in 0..ROUNDS {
                sums.push(timed(&mut || {
                    for _ in 0..repeats {
                        let source = data.open();
                        black_box(on_threads(
                            threads,
                            len,
                            CHUNK_UNITS,
                            |units, (total, scratch): &mut (f64, Scratch)| {
                                let values = source.read(units, scratch).expect("values");
                                *total += plain_sum(T::unwrap(&values).expect("values of the type"));
                            },
                        ));
                    }
                }));
                stats.push(timed(&mut || {
                    for _ in 0..repeats {
                        let columns = vec![Column { name: None, source: data.open() }];
                        let kernel = StatsKernel::new(columns, false, StatsRequest::default()).expect("a job");
                        black_box(answer::<_, StatsAnswer>(&kernel, threads, CHUNK_UNITS));
                    }
                }));
            }
            let (sum, stats) = (median(sums) / repeats as f64, median(stats) / repeats as f64);
            let rate = bytes as f64 / stats / 1e6;
            let place = format!("{:?}", self.place).to_lowercase();
            println!("{name:<18}{place:<8}{threads:>8}{sum:>10.3}{stats:>10.3}{rate:>8.1}{:>8.2}", stats / sum);
        }
    }
}

/// An array, where it lies.
enum Data {
    Memory(Arc<dyn Source>),
    File(PathBuf, InputSpec),
}

impl Data {
    fn new<T: Number>(place: Place, values: impl Iterator<Item = T>) -> Self {
        if place != Place::Mapped {
            return Self::Memory(Arc::new(InMemory::new("bench", values.collect())));
        }
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("stats-{}.raw", std::process::id()));
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).expect("a file to write"));
        values.for_each(|value| file.write_all(bytemuck::bytes_of(&value)).expect("room for the file"));
        file.flush().expect("room for the file");
        let spec = InputSpec {
            format: Some(Format::Raw),
            dtype: Some(T::DTYPE),
            ..InputSpec::new(Location::Path(path.clone()))
        };
        Self::File(path, spec)
    }

    fn open(&self) -> Arc<dyn Source> {
        match self {
            Self::Memory(source) => Arc::clone(source),
            Self::File(_, spec) => {
                let mut opened = tandem::input::open(spec, "/".as_ref()).expect("the file");
                opened.columns.remove(0).source
            }
        }
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Self::File(path, _) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Checks counts, extremes and, within the error of compensated float sums, the rest.
fn check<T: Number + Summed>(values: &[T]) {
    let kernel = StatsKernel::of_values(values.to_vec(), StatsRequest::default()).expect("a job");
    let column = answer::<_, StatsAnswer>(&kernel, 1, CHUNK_UNITS).columns.remove(0);
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
