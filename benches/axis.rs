//! `stats` along axes against a pass over the same array as a whole, and against a plain vectorised sum of it, on the same threads.
//!
//! `cargo bench --bench axis -- [MIB] [TYPE]`: 256 MiB an array where nothing is said. Every answer is checked first, cell by cell
//! against sums made another way; then the three are timed in turns, and the ratios are those of the medians. `decoded` arrays are
//! copied by whoever reads them, as readers of chunked files do; part by part, an eighth of their cells is unfinished at a time.

#![allow(clippy::print_stdout)]

mod measure;
#[path = "measure/one_pass.rs"]
mod one_pass;
#[path = "measure/plain_sum.rs"]
mod plain_sum;

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use tandem::input::{DType, Scratch, Shape, Source, Values};
use tandem::job::JobError;
use tandem::kernels::stats::{
    Axis, AxisAnswer, AxisKernel, Column, Number, Statistic, StatsAnswer, StatsKernel, StatsRequest,
};
use tandem::kernels::{Isa, Kernel};

use measure::{computed_ms, median, on_threads, timed_ms};
use one_pass::{answer, bell, mix};
use plain_sum::{Summed, plain_sum};

/// Elements a chunk: as the engine would cut them, roughly.
const CHUNK: u64 = 1 << 20;
const ROUNDS: usize = 7;

fn main() {
    // The test runner of cargo calls benches with `--test`; then a small array shows that they work.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "--test");
    let mib = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(if quick { 2 } else { 256u64 });
    let is_word = |argument: &&String| argument.parse::<u64>().is_err() && *argument != "--test";
    let dtype = arguments.iter().find(is_word).map_or("", String::as_str);
    println!("stats along axes, {mib} MiB, {}, medians of {ROUNDS}", Isa::detect().name());
    println!(
        "{:<6}{:<26}{:<22}{:>8}{:>9}{:>9}{:>9}{:>9}{:>8}",
        "type", "array", "along", "threads", "axis ms", "whole ms", "sum ms", "of whole", "of sum"
    );
    let bench = Bench { bytes: mib << 20, dtype };
    bench.run("f32", |bits| bell(bits) as f32);
    bench.run("f64", bell);
    bench.run("f32 NaN", |bits| if bits % 100 == 0 { f32::NAN } else { bell(bits) as f32 });
    bench.run("i32", |bits| bits as i32);
    bench.run("i64", |bits| bits as i64 >> 8);
}

struct Bench<'a> {
    bytes: u64,
    dtype: &'a str,
}

/// How the array is read.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Lent,
    Decoded,
    PartByPart,
}

impl Bench<'_> {
    fn run<T: Number + Summed>(&self, name: &str, number: impl Fn(u64) -> T) {
        if !name.starts_with(self.dtype) {
            return;
        }
        let elements = self.bytes / size_of::<T>() as u64;
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        let mut counts = vec![1];
        counts.extend((threads > 1).then_some(threads));
        // Few cells, as many as a table has columns, and as many as a map has places.
        for (width, axis, reading) in [
            (8, 0, Reading::Lent),
            (1000, 0, Reading::Lent),
            (65_536, 0, Reading::Lent),
            (65_536, 0, Reading::Decoded),
            (65_536, 0, Reading::PartByPart),
            (8, 1, Reading::Lent),
            (1000, 1, Reading::Lent),
            (65_536, 1, Reading::Lent),
        ] {
            let rows = (elements / width).max(1);
            let values: Arc<Vec<T>> = Arc::new((0..rows * width).map(|i| number(mix(i))).collect());
            let array = Array { values, rows, width, axis, reading };
            array.check();
            counts.iter().for_each(|threads| array.time(name, *threads));
        }
    }
}

/// An array of two axes, and the one of them to go along.
struct Array<T> {
    values: Arc<Vec<T>>,
    rows: u64,
    width: u64,
    axis: i64,
    reading: Reading,
}

impl<T: Number + Summed> Array<T> {
    fn source(&self) -> Arc<dyn Source> {
        Arc::new(Shared { values: Arc::clone(&self.values), is_lent: self.reading == Reading::Lent })
    }

    fn cells(&self) -> u64 {
        if self.axis == 0 { self.width } else { self.rows }
    }

    fn along(&self, threads: usize) -> AxisAnswer {
        let shape = Shape { axes: vec![self.rows, self.width], fortran_order: false, dimensions: None };
        let request = StatsRequest::default();
        let mut kernel = AxisKernel::new(self.source(), shape, &[Axis::Number(self.axis)], &request).expect("a job");
        if self.reading == Reading::PartByPart {
            let eighth = kernel.partial_bytes() / 8;
            kernel = kernel.with_unfinished_at_most(eighth);
        }
        let work = kernel.work();
        let elements_a_unit = (self.values.len() as u64 / work.units).max(1);
        let chunk = (CHUNK / elements_a_unit).next_multiple_of(work.granularity).max(work.granularity);
        answer(&kernel, threads, chunk)
    }

    fn time(&self, name: &str, threads: usize) {
        let source = self.source();
        let len = source.len();
        let (mut axis, mut whole, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        // One thread by what it computes, several by the clock.
        let timed = |run: &mut dyn FnMut()| if threads == 1 { computed_ms(run) } else { timed_ms(run) };
        for _ in 0..ROUNDS {
            sums.push(timed(&mut || {
                black_box(on_threads(threads, len, CHUNK, |units, (total, scratch): &mut (f64, Scratch)| {
                    let values = source.read(units, scratch).expect("values");
                    *total += plain_sum(T::unwrap(&values).expect("values of the type"));
                }));
            }));
            axis.push(timed(&mut || drop(black_box(self.along(threads)))));
            whole.push(timed(&mut || {
                let columns = vec![Column { name: None, source: Arc::clone(&source) }];
                let kernel = StatsKernel::new(columns, false, StatsRequest::default()).expect("a job");
                black_box(answer::<_, StatsAnswer>(&kernel, threads, CHUNK));
            }));
        }
        let [axis, whole, sum] = [axis, whole, sums].map(median);
        let reading = match self.reading {
            Reading::Lent => "",
            Reading::Decoded => ", decoded",
            Reading::PartByPart => ", part by part",
        };
        println!(
            "{name:<9}{:<23}{:<22}{threads:>8}{axis:>9.2}{whole:>9.2}{sum:>9.2}{:>9.2}{:>8.2}",
            format!("{} x {}", self.rows, self.width),
            format!("axis {}{reading}", self.axis),
            axis / whole,
            axis / sum
        );
    }

    /// Checks some cells, of few rows and of many: counts and extremes, and, within the error of float sums, the rest.
    fn check(&self) {
        let answer = black_box(self.along(1));
        assert_eq!(answer.cells(), self.cells());
        for cell in [0, 1, self.cells() / 2, self.cells() - 1] {
            let (first, step, count) =
                if self.axis == 0 { (cell, self.width, self.rows) } else { (cell * self.width, 1, self.width) };
            let elements = (0..count).map(|i| self.values[(first + i * step) as usize].to_f64());
            let finite: Vec<f64> = elements.filter(|value| !value.is_nan()).collect();
            let at = |statistic| answer.at(statistic, &[cell]).to_f64();
            assert_eq!(at(Statistic::Count), finite.len() as f64);
            assert_eq!(at(Statistic::NanCount), (count - finite.len() as u64) as f64);
            if finite.len() < 2 {
                continue;
            }
            assert_eq!(at(Statistic::Min), finite.iter().copied().fold(f64::INFINITY, f64::min));
            assert_eq!(at(Statistic::Max), finite.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            let scale = finite.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
            let mean = finite.iter().map(|value| value / finite.len() as f64).sum::<f64>();
            assert!((at(Statistic::Mean) - mean).abs() <= 1e-9 * scale);
            let squares = finite.iter().map(|value| ((value - mean) / scale).powi(2)).sum::<f64>();
            let std = (squares / (finite.len() - 1) as f64).sqrt() * scale;
            assert!((at(Statistic::Std) - std).abs() <= 1e-9 * scale);
        }
    }
}

/// The elements of an array, lent or copied.
#[derive(Debug)]
struct Shared<T> {
    values: Arc<Vec<T>>,
    is_lent: bool,
}

impl<T: Number> Source for Shared<T> {
    fn name(&self) -> &str {
        "bench"
    }

    fn dtype(&self) -> DType {
        T::DTYPE
    }

    fn len(&self) -> u64 {
        self.values.len() as u64
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        let values = &self.values[range.start as usize..range.end as usize];
        if self.is_lent {
            return Ok(T::wrap(values));
        }
        let room = scratch.slice_mut::<T>(values.len());
        room.copy_from_slice(values);
        Ok(T::wrap(room))
    }

    fn is_scattered_cheap(&self) -> bool {
        self.is_lent
    }
}
