//! The whole kernel against exact rationals.

use num_bigint::{BigInt, BigUint};

use super::{CorrAnswer, CorrKernel, Table};
use crate::exact::{Dyadic, nearest_f64, nearest_sqrt_f64};
use crate::input::{Element, Scratch};
use crate::kernels::{FoldContext, Isa, Kernel, Next};
use crate::random::SplitMix64;

/// Every instruction set of this machine.
pub(super) fn every_isa() -> Vec<Isa> {
    [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| *isa <= Isa::detect()).collect()
}

/// The coefficient of two columns: its square exactly, as a ratio, with its sign.
pub(super) fn exact_square(x: &[f64], y: &[f64]) -> Option<(bool, BigInt, BigUint)> {
    let whole = |values: &[f64]| -> Vec<BigInt> {
        let values: Vec<Dyadic> = values.iter().map(|value| Dyadic::from_f64(*value).expect("finite")).collect();
        let least = values.iter().map(|value| value.exp2).min().unwrap_or(0);
        values.into_iter().map(|value| value.integer << (value.exp2 - least)).collect()
    };
    let (x, y, n) = (whole(x), whole(y), BigInt::from(x.len()));
    let sum = |values: &[BigInt]| values.iter().sum::<BigInt>();
    let dot = |a: &[BigInt], b: &[BigInt]| a.iter().zip(b).map(|(a, b)| a * b).sum::<BigInt>();
    let spread = |a: &[BigInt], b: &[BigInt]| &n * dot(a, b) - sum(a) * sum(b);
    let (top, bottom) = (spread(&x, &y), spread(&x, &x) * spread(&y, &y));
    (bottom > BigInt::ZERO).then(|| (top < BigInt::ZERO, &top * &top, bottom.magnitude().clone()))
}

/// The coefficient rounded once.
pub(super) fn rounded(x: &[f64], y: &[f64]) -> f64 {
    match exact_square(x, y) {
        None => f64::NAN,
        Some((is_negative, square, bottom)) => {
            let root = nearest_sqrt_f64(square.magnitude(), &bottom, 0);
            if is_negative { -root } else { root }
        }
    }
}

/// How far `found` is from the coefficient. The root is taken to 200 bits.
fn error(found: f64, x: &[f64], y: &[f64]) -> f64 {
    let (is_negative, square, bottom) = exact_square(x, y).expect("both vary");
    let root = BigInt::from(((square.magnitude() << 400u32) / bottom).sqrt());
    let exact = if is_negative { -root } else { root };
    let found = Dyadic::from_f64(found).expect("a number");
    let found = (found.integer << 1274) >> ((1274 - 200) - found.exp2);
    nearest_f64(&(found - exact), &BigUint::from(1u32), -200).abs()
}

pub(super) fn column(values: &[f64], width: usize, column: usize) -> Vec<f64> {
    values.iter().skip(column).step_by(width).copied().collect()
}

/// The answer in chunks of `chunk` rows, with this instruction set; how many passes it took.
fn answer_in(kernel: &CorrKernel, isa: Isa, chunk: u64) -> (String, usize) {
    let mut scratch = Scratch::default();
    let mut pass = kernel.first_pass().unwrap();
    for passes in 1.. {
        let rows = kernel.work().units;
        let mut fold = |range| kernel.fold(&pass, range, &mut FoldContext { isa, scratch: &mut scratch }).unwrap();
        let mut merged = fold(0..0);
        let mut start = 0;
        while start < rows {
            let end = rows.min(start + chunk);
            let partial = fold(start..end);
            kernel.merge(&mut merged, partial);
            start = end;
        }
        match kernel.next(&pass, merged).unwrap() {
            Next::Pass(next) => pass = next,
            Next::Done(answer) => {
                let mut json = Vec::new();
                answer.write_json(&mut json).unwrap();
                return (String::from_utf8(json).unwrap(), passes);
            }
        }
    }
    unreachable!("it ends some time")
}

/// The answer, the same with every instruction set and cut, after so many passes.
fn answer<T: Element>(values: &[T], width: usize, passes: usize) -> CorrAnswer {
    let kernel = CorrKernel::new(Table::of_rows(values.to_vec(), width).unwrap(), None).unwrap();
    let answer = kernel.answer_here().unwrap();
    let mut json = Vec::new();
    crate::kernels::Answer::write_json(&answer, &mut json).unwrap();
    let json = String::from_utf8(json).unwrap();
    for isa in every_isa() {
        for chunk in [u64::MAX, 1000] {
            assert_eq!(answer_in(&kernel, isa, chunk), (json.clone(), passes), "{isa:?} in {chunk}");
        }
    }
    answer
}

/// A number about 0 in bell shape.
fn bell(random: &mut SplitMix64) -> f64 {
    (0..4).map(|_| random.next_u64() as f64 / 2_f64.powi(64) - 0.5).sum()
}

/// Columns of all kinds: alike, opposed, shifted far, tiny, heavy-tailed, of one spike, of few values.
fn hostile(rows: usize, seed: u64) -> (Vec<f64>, usize) {
    const WIDTH: usize = 11;
    let mut random = SplitMix64(seed);
    let mut values = Vec::with_capacity(rows * WIDTH);
    for row in 0..rows {
        let (a, b) = (bell(&mut random), bell(&mut random));
        values.extend([
            a,
            -a,
            b,
            0.9 * a + 0.1 * b,
            1e9 + a,
            a * 1e-310,
            (bell(&mut random) * 12.0).exp() * (bell(&mut random) * 4.0).exp(),
            if row == rows / 3 { 1.0 } else { 0.0 },
            1.0 - if row == 5 { 1.0 + a * 1e-9 } else { a * 1e-7 },
            (random.next_u64() % 3) as f64,
            b * 1e300,
        ]);
    }
    (values, WIDTH)
}

#[test]
fn coefficients_of_few_rows_are_the_exact_ones_rounded() {
    for rows in [2, 3, 9, 300, 1025] {
        let (values, width) = hostile(rows.max(6), 3);
        let values = &values[..rows * width];
        let found = answer(values, width, 2);
        for (i, j) in (0..width).flat_map(|i| (0..width).map(move |j| (i, j))) {
            let expected = rounded(&column(values, width, i), &column(values, width, j));
            let found = found.matrix.row(i)[j];
            assert!(
                found == expected || found.is_nan() && expected.is_nan(),
                "{rows} rows, {i} {j}: {found} {expected}"
            );
        }
    }
}

#[test]
fn coefficients_of_many_rows_keep_the_bound_whatever_the_columns_are() {
    let (values, width) = hostile(20_011, 4);
    let found = answer(&values, width, 3);
    let mut greatest: f64 = 0.0;
    for i in 0..width {
        for j in 0..i {
            let error = error(found.matrix.row(i)[j], &column(&values, width, i), &column(&values, width, j));
            assert!(error <= 1e-12, "{i} {j}: {error:e}");
            greatest = greatest.max(error);
        }
        assert_eq!(found.matrix.row(i)[i], 1.0);
    }
    assert!(greatest > 0.0, "the exact value is not compared with itself");
}

#[test]
fn columns_without_heavy_tails_need_no_long_numbers_and_are_far_below_the_bound() {
    let mut random = SplitMix64(6);
    const WIDTH: usize = 9;
    let values: Vec<f64> = (0..WIDTH * 9001).map(|_| bell(&mut random) * 3.0 + 1e3).collect();
    let found = answer(&values, WIDTH, 2);
    for (i, j) in (0..WIDTH).flat_map(|i| (0..i).map(move |j| (i, j))) {
        let error = error(found.matrix.row(i)[j], &column(&values, WIDTH, i), &column(&values, WIDTH, j));
        assert!(error <= 1e-15, "{i} {j}: {error:e}");
    }
}

#[test]
fn whole_numbers_of_few_bits_give_the_exact_coefficient_rounded_however_many_rows_there_are() {
    let mut random = SplitMix64(7);
    const WIDTH: usize = 5;
    let values: Vec<f32> = (0..WIDTH * 9001).map(|_| (random.next_u64() % 1000) as f32 - 500.0).collect();
    let found = answer(&values, WIDTH, 2);
    let wide: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
    for (i, j) in (0..WIDTH).flat_map(|i| (0..i).map(move |j| (i, j))) {
        assert_eq!(found.matrix.row(i)[j], rounded(&column(&wide, WIDTH, i), &column(&wide, WIDTH, j)), "{i} {j}");
    }
}

#[test]
fn integers_beyond_the_precision_of_f64_lose_nothing() {
    let mut random = SplitMix64(8);
    let base = 1_700_000_000_000_000_000_i64;
    let small: Vec<i64> = (0..400).map(|_| (random.next_u64() % 50) as i64).collect();
    let shifted: Vec<i64> = small.iter().map(|value| value + base).collect();
    let matrix = |values: &[i64]| answer(values, 4, 2).matrix;
    assert_eq!(matrix(&shifted), matrix(&small));
    let extreme = [i64::MIN, i64::MAX, 0, 3, i64::MAX, i64::MIN, 1, -9, 0, 5, 7, 3];
    answer(&extreme, 3, 2);
}

#[test]
fn rows_with_a_nan_are_left_out_and_columns_that_do_not_vary_have_none() {
    let mut random = SplitMix64(10);
    const WIDTH: usize = 10;
    let mut values: Vec<f64> = (0..WIDTH * 5000).map(|_| bell(&mut random)).collect();
    for row in 0..5000 {
        values[row * WIDTH + 3] = 7.5;
    }
    values[50 * WIDTH + 9] = f64::INFINITY;
    let kept: Vec<f64> =
        values.chunks(WIDTH).enumerate().filter(|(row, _)| row % 7 != 2).flat_map(|(_, row)| row).copied().collect();
    for row in (2..5000).step_by(7) {
        values[row * WIDTH + row % WIDTH] = f64::NAN;
    }
    let (found, expected) = (answer(&values, WIDTH, 2), answer(&kept, WIDTH, 2));
    assert_eq!(found.matrix, expected.matrix);
    assert_eq!((found.rows, found.rows_left_out, expected.rows_left_out), (4286, 714, 0));
    assert_eq!((found.constant_columns, found.infinite_columns), (vec!["3".to_owned()], vec!["9".to_owned()]));
    for other in [3, 9] {
        assert!((0..WIDTH).all(|column| found.matrix.row(other)[column].is_nan()));
        assert!((0..WIDTH).all(|column| found.matrix.row(column)[other].is_nan()));
    }
    assert!(!found.matrix.row(0)[1].is_nan());
}

#[test]
fn two_tables_give_the_block_of_the_matrix_of_both_together() {
    let (values, width) = hostile(5000, 11);
    let whole = answer(&values, width, 3);
    let part = |columns: std::ops::Range<usize>| {
        let rows = values.chunks(width).flat_map(|row| row[columns.clone()].to_vec()).collect();
        Table::of_rows::<f64>(rows, columns.len()).unwrap()
    };
    let found = CorrKernel::new(part(0..4), Some(part(4..11))).unwrap().answer_here().unwrap();
    assert_eq!((found.matrix.height(), found.matrix.width()), (4, 7));
    for row in 0..4 {
        // What is uncertain is decided tile by tile, so that the last digit may come from longer numbers here.
        let both = found.matrix.row(row).iter().zip(&whole.matrix.row(row)[4..]);
        assert!(both.into_iter().all(|(a, b)| (a - b).abs() < 1e-12), "{row}");
    }
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let table = |rows: usize, columns: usize| Table::of_rows(vec![0.5_f32; rows * columns], columns).unwrap();
    let error = |table, with| CorrKernel::new(table, with).unwrap_err().message;
    assert!(error(table(3, 2), Some(table(4, 2))).contains("values has 4 rows, but values has 3"));
    assert!(error(table(1, 9000), None).contains("9000 columns with each other make 40504500 pairs"));
    assert!(error(table(1, 9000), Some(table(1, 9000))).contains("with 9000 make 81000000 pairs"));
    assert!(CorrKernel::new(table(0, 2), None).unwrap().answer_here().unwrap().matrix.row(0)[0].is_nan());
    assert!(Table::of_rows(vec![1, 2, 3], 2).is_err() && Table::of_rows(Vec::<f64>::new(), 0).is_err());
}
