//! `corr` against plain float products: a matrix product of the same shape by fused multiply-adds of the same registers, which is
//! what the processor could do at most with as many threads.
//!
//! `cargo bench --bench corr -- [ROWS [COLUMNS]]`: 200,000 rows of 256 columns where nothing is said. Every answer is checked
//! first, against coefficients of compensated sums; then the two are timed in turns, and the ratio is that of the medians.

#![allow(clippy::print_stdout)]

mod measure;

use std::hint::black_box;

use tandem::input::{Element, Scratch};
use tandem::kernels::corr::{CorrAnswer, CorrKernel, CorrPartial, Table};
use tandem::kernels::{FoldContext, Isa, Kernel, Next};

use measure::{median, on_threads, timed_ms};

/// Rows a chunk: as the engine would cut them, roughly.
const CHUNK_ROWS: u64 = 1 << 13;
const ROUNDS: usize = 5;

fn main() {
    // The test runner of cargo calls benches with `--test`; then a small table shows that they work.
    let quick = std::env::args().any(|argument| argument == "--test");
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let rows = numbers.next().unwrap_or(if quick { 5000 } else { 200_000 });
    let columns = numbers.next().unwrap_or(if quick { 24 } else { 256 });
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    let isa = Isa::detect().name();
    println!("corr of {rows} x {columns} against plain float products, {isa}, medians of {ROUNDS}");
    println!(
        "{:<18}{:>8}{:>12}{:>10}{:>8}{:>15}{:>8}",
        "data", "threads", "float ms", "corr ms", "GB/s", "pairs a ns", "ratio"
    );
    let bench = Bench { rows, columns, threads };
    bench.run("f64 bell", bell);
    bench.run("f32 bell", |bits| bell(bits) as f32);
    bench.run("i64", |bits| (bits >> 20) as i64);
    bench.run("f64 1 % NaN rows", |bits| if bits % 25_600 == 0 { f64::NAN } else { bell(bits) });
    bench.run("f64 lognormal 4", |bits| (4.0 * bell(bits)).exp());
}

/// A bell-shaped number about 0, with a full significand.
fn bell(bits: u64) -> f64 {
    let quarter = |shift: u32| (bits >> shift & 0xffff) as f64 / 32768.0 - 1.0;
    (quarter(0) + quarter(16) + quarter(32) + quarter(48)) * std::f64::consts::FRAC_1_SQRT_2
}

/// Random bits: the finaliser of SplitMix64.
fn mix(index: u64) -> u64 {
    let seed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

struct Bench {
    rows: usize,
    columns: usize,
    threads: usize,
}

impl Bench {
    fn run<T: Element + Widened>(&self, name: &str, number: impl Fn(u64) -> T) {
        let values: Vec<T> = (0..(self.rows * self.columns) as u64).map(|i| number(mix(i))).collect();
        check(&values[..values.len().min(3000 * self.columns)], self.columns);
        let bytes = size_of_val(values.as_slice());
        let kernel = CorrKernel::new(Table::of_rows(values, self.columns).expect("rows"), None).expect("a job");
        let mut counts = vec![1];
        counts.extend((self.threads > 1).then_some(self.threads));
        for threads in counts {
            let (mut floats, mut corrs) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                floats.push(timed_ms(|| plain_products(self.rows, self.columns, threads)));
                corrs.push(timed_ms(|| answer(&kernel, threads)));
            }
            let (float, corr) = (median(floats), median(corrs));
            let pairs = (self.rows * self.columns * (self.columns + 1) / 2) as f64;
            println!(
                "{name:<18}{threads:>8}{float:>12.1}{corr:>10.1}{:>8.2}{:>15.1}{:>8.2}",
                bytes as f64 / corr / 1e6,
                pairs / corr / 1e6,
                corr / float
            );
        }
    }
}

/// An element as the check wants it.
trait Widened: Copy {
    fn widened(self) -> f64;
}
macro_rules! widened {
    ($($type:ty),*) => {$(
        impl Widened for $type {
            fn widened(self) -> f64 {
                self as f64
            }
        }
    )*};
}
widened!(f64, f32, i64);

/// Checks some coefficients within the error of compensated float sums.
fn check<T: Element + Widened>(values: &[T], columns: usize) {
    let kernel = CorrKernel::new(Table::of_rows(values.to_vec(), columns).expect("rows"), None).expect("a job");
    let found = answer(&kernel, 1);
    let kept: Vec<Vec<f64>> = values
        .chunks_exact(columns)
        .map(|row| row.iter().map(|value| value.widened()).collect::<Vec<f64>>())
        .filter(|row| row.iter().all(|value| !value.is_nan()))
        .collect();
    assert_eq!(found.rows, kept.len() as u64);
    let centred = |column: usize| -> Vec<f64> {
        let values: Vec<f64> = kept.iter().map(|row| row[column]).collect();
        let mean = sum(values.iter().copied()) / values.len() as f64;
        values.into_iter().map(|value| value - mean).collect()
    };
    for (i, j) in [(0, 1), (0, columns - 1), (columns / 2, columns / 2 - 1), (columns - 1, 3)] {
        let (x, y) = (centred(i), centred(j));
        let dot = |x: &[f64], y: &[f64]| sum(x.iter().zip(y).map(|(x, y)| x * y));
        let expected = dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt();
        assert!((found.matrix.row(i)[j] - expected).abs() < 1e-9, "{i} {j}: {} {expected}", found.matrix.row(i)[j]);
    }
}

/// A sum that carries what each step rounds away.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0);
    for value in values {
        let next = total + value;
        lost += if total.abs() >= value.abs() { (total - next) + value } else { (value - next) + total };
        total = next;
    }
    total + lost
}

fn answer(kernel: &CorrKernel, threads: usize) -> CorrAnswer {
    let mut pass = kernel.first_pass().expect("a pass");
    loop {
        let merged = on_threads(threads, kernel.work().units, CHUNK_ROWS, |units, partial: &mut Partial| {
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
                return *answer.downcast().expect("the answer of corr");
            }
            Next::Pass(next) => pass = next,
        }
    }
}

#[derive(Default)]
struct Partial {
    scratch: Scratch,
    merged: Option<CorrPartial>,
}

/// As many float products as there are pairs, from a block that stays in the first cache: 24 x 8 sums at once.
fn plain_products(rows: usize, columns: usize, threads: usize) -> f64 {
    const BLOCK: usize = 128;
    let tiles = (columns * (columns + 1) / 2).div_ceil(24 * 8);
    let sums = on_threads(threads, rows as u64, CHUNK_ROWS, |units, total: &mut f64| {
        let block = vec![[1.000_000_1_f64; 32]; BLOCK];
        for _ in 0..tiles {
            let mut start = units.start;
            while start < units.end {
                let len = ((units.end - start) as usize).min(BLOCK);
                *total += on_isa(black_box(&block[..len]));
                start += len as u64;
            }
        }
    });
    sums.iter().sum()
}

#[inline(always)]
fn tile(block: &[[f64; 32]]) -> f64 {
    let mut sums = [[0.0_f64; 24]; 8];
    for row in block {
        for (j, sums) in sums.iter_mut().enumerate() {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = row[i].mul_add(row[24 + j], *sum);
            }
        }
    }
    sums.iter().flatten().sum()
}

fn on_isa(block: &[[f64; 32]]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        fn avx512(block: &[[f64; 32]]) -> f64 {
            tile(block)
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(block: &[[f64; 32]]) -> f64 {
            tile(block)
        }
        match Isa::detect() {
            // SAFETY: the machine has it.
            Isa::Avx512 => return unsafe { avx512(block) },
            // SAFETY: as above.
            Isa::Avx2 => return unsafe { avx2(block) },
            Isa::Portable => {}
        }
    }
    tile(block)
}
