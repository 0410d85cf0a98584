//! `stats`: every dataset at every size, asked for one thing or another.

pub mod axis;
mod data;
mod oracle;
mod promises;
mod rounding;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tandem::input::{DType, InMemory, Scratch, Source, Values};
use tandem::job::JobError;
use tandem::kernels::stats::{Column, Histogram, MomentsUpTo, StatsKernel, StatsRequest};

use crate::random::Random;
use crate::sweep::{Case, Expected, Sweep};
use data::Hostile;
use oracle::Asked;

/// The edges: of a lane or a vector, of a workgroup, of a block of the CPU side, of a chunk.
const SIZES: [usize; 22] =
    [0, 1, 2, 7, 8, 9, 16, 17, 32, 33, 63, 64, 65, 255, 256, 257, 1023, 1025, 4095, 4097, 8193, 16385];

/// Sizes that are too slow for every dataset, so that each dataset gets one of them.
const LARGE_SIZES: [usize; 6] = [32_767, 32_769, 65_535, 65_537, 100_003, 131_073];

/// What may be asked of any data.
fn asked(random: &mut Random) -> Asked {
    const QUANTILES: [(&str, u64, u64); 12] = [
        ("0", 0, 1),
        ("0.5", 1, 2),
        ("1", 1, 1),
        ("0.1", 1, 10),
        ("0.25", 1, 4),
        ("0.75", 3, 4),
        ("0.99", 99, 100),
        ("0.999999", 999_999, 1_000_000),
        ("1e-3", 1, 1000),
        ("0.333333333333333333", 333_333_333_333_333_333, 1_000_000_000_000_000_000),
        ("0.50", 1, 2),
        ("0.0625", 1, 16),
    ];
    const RANGES: [(f64, f64); 8] = [
        (-1.0, 1.0),
        (0.0, 1.0),
        (-10.0, 10.0),
        (1e8, 1e8 + 1000.0),
        (-5e-324, 5e-324 * 40.0),
        (-0.1, 4e9),
        (-1e19, 2e19),
        (f64::MIN, f64::MAX),
    ];
    let mut quantiles = Vec::new();
    if random.below(3) > 0 {
        quantiles = (0..=random.below(5)).map(|_| *random.pick(&QUANTILES)).collect();
    }
    let histogram = match random.below(3) {
        0 => None,
        1 => Some((1 + random.below(40) as u32, Some(*random.pick(&RANGES)))),
        _ => Some((1 + random.below(40) as u32, None)),
    };
    let missing = (random.below(4) == 0).then(|| random.below(3) as i8);
    let higher = random.below(4) == 0;
    Asked { ddof: *random.pick(&[0, 1, 1, 2, 300]), higher, quantiles, histogram, missing }
}

fn request(asked: &Asked) -> StatsRequest {
    StatsRequest {
        ddof: asked.ddof,
        moments: if asked.higher { MomentsUpTo::Kurtosis } else { MomentsUpTo::Variance },
        quantiles: asked.quantiles.iter().map(|(text, ..)| text.parse().expect("a quantile")).collect(),
        histogram: asked.histogram.map(|(bins, range)| Histogram::new(bins, range).expect("a histogram")),
        missing: asked.missing.map(|missing| missing.to_string().parse().expect("a decimal")),
    }
}

/// A source that says which one it is, as files do, so that a GPU keeps its chunks and takes them from there.
#[derive(Debug)]
struct Known<T> {
    inner: InMemory<T>,
    identity: u64,
}

impl<T: Hostile> Known<T> {
    fn new(values: Vec<T>) -> Self {
        // Those of files count up from 0.
        static NEXT: AtomicU64 = AtomicU64::new(1 << 60);
        Self { inner: InMemory::new("values", values), identity: NEXT.fetch_add(1, Ordering::Relaxed) }
    }
}

impl<T: Hostile> Source for Known<T> {
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
        self.inner.read(range, scratch)
    }

    fn identity(&self) -> Option<u64> {
        Some(self.identity)
    }
}

/// A job over columns of the same length, with what the oracle says of it.
pub fn case<T: Hostile>(name: String, columns: Vec<Vec<T>>, asked: &Asked) -> Case {
    let fields: Result<Vec<String>, &'static str> = columns
        .iter()
        .map(|values| {
            oracle::fields(&values.iter().map(|value| value.value()).collect::<Vec<_>>(), asked, T::LAYOUT.float)
        })
        .collect();
    let table = columns.len() > 1;
    let expected = match fields {
        Ok(fields) if !table => Expected::Result(format!("{{{}}}", fields[0])),
        Ok(fields) => {
            let columns: Vec<String> =
                fields.iter().enumerate().map(|(i, fields)| format!("{{\"name\":\"column {i}\",{fields}}}")).collect();
            Expected::Result(format!("{{\"columns\":[{}]}}", columns.join(",")))
        }
        Err(part) => Expected::Failure(part),
    };
    let columns = columns
        .into_iter()
        .enumerate()
        .map(|(i, values)| {
            let source: Arc<dyn Source> = if i % 2 == 0 && values.len() % 2 == 1 {
                Arc::new(Known::new(values))
            } else {
                Arc::new(InMemory::new("values", values))
            };
            Column { name: table.then(|| format!("column {i}")), source }
        })
        .collect();
    let kernel = StatsKernel::new(columns, table, request(asked)).expect("a valid job");
    Case { name: format!("{name}, {asked:?}"), kernel: Arc::new(kernel), expected }
}

/// The cases of one element type.
pub fn cases<T: Hostile>(sweep: &mut Sweep) {
    for (number, (name, make)) in T::DATASETS.iter().enumerate() {
        let large = [LARGE_SIZES[number % LARGE_SIZES.len()]];
        for n in SIZES.iter().chain(&large) {
            let mut random = sweep.random();
            let values = make(&mut random, *n);
            let mut asked = asked(&mut random);
            // The oracle takes the fourth powers of numbers of 2,000 bits.
            asked.higher &= *n < 5000;
            sweep.case(&case(format!("{n} x {name}"), vec![values], &asked));
        }
    }
    for n in [0, 1, 1000, 33_001] {
        let mut random = sweep.random();
        let columns = (0..3).map(|_| random.pick(T::DATASETS).1(&mut random, n)).collect();
        let asked = Asked { higher: n == 1000, histogram: Some((7, Some((-50.0, 50.0)))), ..asked(&mut random) };
        sweep.case(&case(format!("3 columns of {n}"), columns, &asked));
    }
    large::<T>(sweep);
}

/// So many elements that on a software adapter an invocation takes as many as it ever does, and that a chunk takes several
/// dispatches. The first ones fill what an invocation sums in to the brim.
fn large<T: Hostile>(sweep: &mut Sweep) {
    const ELEMENTS: usize = (2048 * 256 * 16) + 12_345;
    let mut random = sweep.random();
    let (name, make) = random.pick(T::DATASETS);
    let mut values = vec![T::GREATEST; ELEMENTS / 2];
    values.extend(make(&mut random, ELEMENTS - values.len()));
    let kernel = StatsKernel::of_values(values, StatsRequest::default()).expect("a valid job");
    let name = format!("{ELEMENTS} x the greatest, then {name}");
    sweep.case_in_few_ways(&Case { name, kernel: Arc::new(kernel), expected: Expected::Agreement });
}
