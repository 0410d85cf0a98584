//! Every cell against the naive oracle of whole arrays, on every instruction set, cut every way.

use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;

use crate::input::{DType, InMemory, Scratch, Shape, Source, Values};
use crate::job::JobError;
use crate::kernels::stats::tests::{Tested, check, every_isa};
use crate::kernels::stats::{Axis, AxisAnswer, AxisKernel, ColumnStats, Scalar, Statistic, StatsRequest};
use crate::kernels::{Answer, FoldContext, Isa, Kernel};
use crate::random::SplitMix64;

/// A source that claims to decode whole blocks.
#[derive(Debug)]
struct Decoded<T>(InMemory<T>);

impl<T: Tested> Source for Decoded<T> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn dtype(&self) -> DType {
        self.0.dtype()
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        self.0.read(range, scratch)
    }
    fn is_scattered_cheap(&self) -> bool {
        false
    }
}

fn json(answer: &AxisAnswer) -> String {
    let mut out = Vec::new();
    answer.write_json(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Folds the job in parts that end at `cuts`, and merges them in an order that `seed` shuffles.
fn run_cut(kernel: &AxisKernel, isa: Isa, cuts: &[u64], seed: u64) -> AxisAnswer {
    let work = kernel.work();
    let mut ends: Vec<u64> = cuts.iter().map(|cut| cut % (work.units + 1)).collect();
    ends.iter_mut().for_each(|end| *end -= *end % work.granularity);
    ends.extend([0, work.units]);
    ends.sort_unstable();
    let mut scratch = Scratch::default();
    let mut context = FoldContext { isa, scratch: &mut scratch };
    let parts = ends.windows(2).map(|cut| kernel.fold(&(), cut[0]..cut[1], &mut context).unwrap());
    let mut parts: Vec<_> = parts.collect();
    let mut state = seed;
    while parts.len() > 1 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let from = parts.swap_remove((state >> 33) as usize % parts.len());
        let into = (state >> 17) as usize % parts.len();
        kernel.merge(&mut parts[into], from);
    }
    kernel.answer(parts.remove(0))
}

/// All indices of an array of this shape.
fn indices(shape: &[u64]) -> Vec<Vec<u64>> {
    shape.iter().fold(vec![Vec::new()], |indices, len| {
        indices.iter().flat_map(|index| (0..*len).map(move |step| [index.as_slice(), &[step]].concat())).collect()
    })
}

/// Where the element at this index is stored.
fn stored_at(index: &[u64], shape: &Shape) -> usize {
    let fold = |at: u64, (index, len): (&u64, &u64)| at * len + index;
    let axes = index.iter().zip(&shape.axes);
    (if shape.fortran_order { axes.rev().fold(0, fold) } else { axes.fold(0, fold) }) as usize
}

/// Checks every cell, and that no instruction set, no cut and no way of reading changes a bit.
#[track_caller]
fn check_array<T: Tested>(
    values: &[T],
    shape: &Shape,
    axes: &[usize],
    request: &StatsRequest,
    cuts: &[u64],
    seed: u64,
) {
    let asked: Vec<Axis> = axes.iter().map(|axis| Axis::Number(*axis as i64)).collect();
    let near: Arc<dyn Source> = Arc::new(InMemory::new("t", values.to_vec()));
    let decoded: Arc<dyn Source> = Arc::new(Decoded(InMemory::new("t", values.to_vec())));
    let [near, decoded] =
        [near, decoded].map(|source| AxisKernel::new(source, shape.clone(), &asked, request).unwrap());
    let answer = run_cut(&near, Isa::Portable, &[], 0);
    let left: Vec<usize> = (0..shape.axes.len()).filter(|axis| !axes.contains(axis)).collect();
    assert_eq!(answer.shape, left.iter().map(|axis| shape.axes[*axis]).collect::<Vec<_>>());

    let mut cells = std::collections::BTreeMap::<Vec<u64>, Vec<T>>::new();
    for cell in indices(&answer.shape) {
        cells.insert(cell, Vec::new());
    }
    for index in indices(&shape.axes) {
        let cell: Vec<u64> = left.iter().map(|axis| index[*axis]).collect();
        cells.get_mut(&cell).unwrap().push(values[stored_at(&index, shape)]);
    }
    assert_eq!(answer.cells(), cells.len() as u64);
    for (cell, values) in &cells {
        check(values, request, &column(&answer, cell));
    }
    let whole = json(&answer);
    for isa in every_isa() {
        for kernel in [&near, &decoded] {
            for cuts in [&[], cuts] {
                let cut = json(&run_cut(kernel, isa, cuts, seed));
                assert!(cut == whole, "{shape:?} along {axes:?}, {} cut at {cuts:?}, seed {seed}", isa.name());
            }
        }
    }
}

/// A cell as the answer of a column.
fn column(answer: &AxisAnswer, cell: &[u64]) -> ColumnStats {
    let integer = |statistic| match answer.at(statistic, cell) {
        Scalar::Integer(integer) => integer as u64,
        other => panic!("{other:?}"),
    };
    let count = integer(Statistic::Count);
    let float = |statistic, has_value: bool| {
        let float = answer.at(statistic, cell).to_f64();
        assert!(has_value || float.is_nan(), "{statistic:?} of nothing is {float}");
        has_value.then_some(float)
    };
    ColumnStats {
        name: None,
        dtype: answer.dtype,
        count,
        nan_count: integer(Statistic::NanCount),
        min: Some(answer.at(Statistic::Min, cell)).filter(|_| count > 0),
        max: Some(answer.at(Statistic::Max, cell)).filter(|_| count > 0),
        sum: answer.at(Statistic::Sum, cell),
        mean: float(Statistic::Mean, count > 0),
        variance: float(Statistic::Variance, count > u64::from(answer.ddof)),
        std: float(Statistic::Std, count > u64::from(answer.ddof)),
        ddof: answer.ddof,
        higher: None,
        quantiles: Vec::new(),
        histogram: None,
    }
}

/// Floats of many kinds: as they come, of every exponent, and what is none.
fn floats(kind: u8, bits: u64) -> f64 {
    let small = (bits >> 12) as f64 / 2f64.powi(52) - 0.5;
    match (kind, bits % 16) {
        (0, _) => small * 1e3,
        (1, 0) => f64::NAN,
        (1, 1) => -0.0,
        (1, 2) => 0.0,
        (1 | 2, _) => small,
        (3, 0) => f64::INFINITY,
        (3, 1) => f64::NEG_INFINITY,
        (3, 2) => -9999.0,
        (3, _) => small * 2f64.powi((bits % 61) as i32),
        (4, _) => f64::from_bits(bits.rotate_left(7)),
        _ => f64::from_bits(bits & 0x800f_ffff_ffff_ffff),
    }
}

/// A generator of bits that a seed repeats.
fn bits(seed: u64) -> impl FnMut() -> u64 {
    let mut random = SplitMix64(seed);
    move || random.next_u64()
}

fn array(axes: &[u64], fortran_order: bool) -> Shape {
    Shape { axes: axes.to_vec(), fortran_order, dimensions: None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_cell_is_what_its_elements_alone_come_to(
        axes in prop::collection::vec(prop_oneof![1u64..5, 15u64..19], 1..5),
        fortran_order in any::<bool>(),
        chosen in 1u8..16,
        kind in 0u8..6,
        missing in any::<bool>(),
        cuts in prop::collection::vec(0u64..100, 0..4),
        seed in any::<u64>(),
    ) {
        prop_assume!(axes.iter().product::<u64>() < 2500);
        let along: Vec<usize> = (0..axes.len()).filter(|axis| chosen >> axis & 1 == 1).collect();
        prop_assume!(!along.is_empty());
        let shape = array(&axes, fortran_order);
        let count = axes.iter().product::<u64>() as usize;
        let mut bits = bits(seed);
        let bits: Vec<u64> = (0..count).map(|_| bits()).collect();
        let request = |missing: bool| StatsRequest {
            missing: missing.then(|| "-9999".parse().unwrap()),
            ddof: (seed % 3) as u32,
            ..StatsRequest::default()
        };
        let values: Vec<f64> = bits.iter().map(|bits| floats(kind, *bits)).collect();
        check_array(&values, &shape, &along, &request(missing), &cuts, seed);
        let singles: Vec<f32> = values.iter().zip(&bits).map(|(value, bits)| {
            if kind == 4 { f32::from_bits(*bits as u32) } else { *value as f32 }
        }).collect();
        check_array(&singles, &shape, &along, &request(missing), &cuts, seed);
        let down = seed % 60;
        let longs: Vec<i64> = bits.iter().map(|bits| *bits as i64 >> down).collect();
        check_array(&longs, &shape, &along, &request(false), &cuts, seed);
        let ints: Vec<i32> = bits.iter().map(|bits| if bits % 9 == 0 { -9999 } else { *bits as i32 }).collect();
        check_array(&ints, &shape, &along, &request(missing), &cuts, seed);
        check_array(&bits, &shape, &along, &request(false), &cuts, seed);
        let words: Vec<u32> = bits.iter().map(|bits| *bits as u32).collect();
        check_array(&words, &shape, &along, &request(false), &cuts, seed);
    }
}

#[test]
fn many_rows_are_added_up_where_their_magnitudes_change() {
    let seed = 2026;
    let mut bits = bits(seed);
    for (rows, width) in [(5003_u64, 3_u64), (2049, 1)] {
        // The magnitude grows, falls and grows again; here and there is something else.
        let value = |row: u64, bits: u64| match bits % 997 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => 1e-300,
            _ => floats(2, bits) * 2f64.powi(((row / 300) % 7 * 9) as i32),
        };
        let values: Vec<f64> = (0..rows * width).map(|at| value(at / width, bits())).collect();
        let request = StatsRequest::default();
        check_array(&values, &array(&[rows, width], false), &[0], &request, &[77, 2048, 4000], seed);
        check_array(&values, &array(&[width, rows], false), &[1], &request, &[1], seed);
        let singles: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        check_array(&singles, &array(&[rows, width], false), &[0], &request, &[77, 2048, 4000], seed);
    }
}

#[test]
fn many_cells_are_finished_where_they_are_folded() {
    let seed = 2026;
    let mut bits = bits(seed);
    let values: Vec<f64> = (0..3 * 5000).map(|_| floats(1, bits())).collect();
    let request = StatsRequest { ddof: 0, ..StatsRequest::default() };
    check_array(&values, &array(&[3, 5000], false), &[0], &request, &[600, 4200], seed);
    check_array(&values, &array(&[2, 5000], false), &[0], &request, &[600, 4200], seed);
    let values: Vec<f32> = (0..2 * 4100 * 2).map(|_| floats(0, bits()) as f32).collect();
    check_array(&values, &array(&[2, 4100, 2], false), &[0, 2], &request, &[17, 4099], seed);
}

#[test]
fn an_axis_without_a_step_leaves_cells_without_a_value() {
    let request = StatsRequest::default();
    check_array::<f64>(&[], &array(&[0, 3], false), &[0], &request, &[], 1);
    check_array::<f32>(&[], &array(&[3, 0], false), &[1], &request, &[1], 1);
    check_array::<i32>(&[], &array(&[3, 0], false), &[0], &request, &[], 1);
    check_array::<i32>(&[], &array(&[2, 0, 4], true), &[1], &request, &[], 1);
    check_array(&[7.5], &array(&[1, 1], false), &[0], &request, &[], 1);
}

#[test]
fn arrays_are_of_types_that_hold_every_cell() {
    let kernel = |values: Vec<i64>, request: &StatsRequest| {
        let source = Arc::new(InMemory::new("t", values));
        AxisKernel::new(source, array(&[2, 2], false), &[Axis::Number(0)], request).unwrap().answer_here().unwrap()
    };
    let request = StatsRequest::default();
    let small = kernel(vec![1, 2, 3, 4], &request);
    assert_eq!([Statistic::Min, Statistic::Sum].map(|statistic| small.dtype_of(statistic)), [DType::I64; 2]);
    let large = kernel(vec![1, i64::MAX, 3, i64::MAX], &request);
    assert_eq!(large.dtype_of(Statistic::Sum), DType::F64);
    assert_eq!(large.at(Statistic::Sum, &[1]), Scalar::Integer(2 * i128::from(i64::MAX)));
    let request = StatsRequest { missing: Some("1".parse().unwrap()), ..request };
    let empty = kernel(vec![1, 2, 1, 4], &request);
    assert_eq!(empty.dtype_of(Statistic::Min), DType::F64);
    assert!(empty.at(Statistic::Min, &[0]).to_f64().is_nan());
}

#[test]
fn a_comparison_sees_one_changed_element() {
    let answer = |values: [f64; 4]| {
        let source = Arc::new(InMemory::new("t", values.to_vec()));
        let request = StatsRequest::default();
        AxisKernel::new(source, array(&[2, 2], false), &[Axis::Number(0)], &request).unwrap().answer_here().unwrap()
    };
    assert_eq!(answer([1.0, 2.0, 3.0, f64::NAN]), answer([3.0, 2.0, 1.0, f64::NAN]));
    assert_ne!(answer([1.0, 2.0, 3.0, 4.0]), answer([1.0, 2.0, 3.0, 4.0f64.next_up()]));
}
