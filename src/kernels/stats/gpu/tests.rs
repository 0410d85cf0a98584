//! `stats` on the GPU, in every form, against the CPU's answers.

use std::sync::Arc;

use super::*;
use crate::device::gpu::assert_same_on_gpu;
use crate::input::InMemory;
use crate::kernels::Kernel;
use crate::kernels::stats::{Column, Number, StatsRequest};
use crate::random::SplitMix64;

fn everything() -> StatsRequest {
    StatsRequest {
        quantiles: ["0", "0.25", "0.5", "0.999", "1"].map(|q| q.parse().unwrap()).to_vec(),
        histogram: Some("10:-100..1000".parse().unwrap()),
        ..StatsRequest::default()
    }
}

#[track_caller]
fn check<T: Number>(what: &str, values: Vec<T>, request: StatsRequest, cuts: &[u64]) {
    let what = format!("{what}, {} of {}", values.len(), T::DTYPE);
    let kernel = StatsKernel::of_values(values, request).unwrap();
    assert!(kernel.work().gpu);
    assert_same_on_gpu(&what, &kernel, cuts);
}

/// Elements of any bits at all: every exponent, NaN, infinities, subnormals.
fn any_bits<T: Number>(len: u64) -> Vec<T> {
    (0..len).map(|i| T::from_key(SplitMix64::at(i) >> (64 - T::LAYOUT.key_bits))).collect()
}

/// Elements of a few neighbouring exponents, as measurements are.
fn usual<T: Number>(len: u64, from: impl Fn(f64) -> T) -> Vec<T> {
    (0..len).map(|i| from((SplitMix64::at(i) >> 11) as f64 / (1u64 << 53) as f64 * 900.0)).collect()
}

fn check_type<T: Number>(hostile: &[T], from: impl Fn(f64) -> T + Copy) {
    for len in [0, 1, 2, 3, 255, 256, 257, 4095, 4096, 4097, 8191] {
        check("usual", usual(len, from), everything(), &[]);
    }
    check("usual, cut", usual(70_001, from), everything(), &[1, 2, 256, 4096, 40_000]);
    check("any bits", any_bits::<T>(20_011), everything(), &[77]);
    check("hostile", hostile.to_vec(), everything(), &[]);
    let repeated: Vec<T> = hostile.iter().copied().cycle().take(9973).collect();
    check("hostile, many", repeated, everything(), &[5000]);
    let alike = vec![hostile[0]; 5000];
    check("alike", alike, everything(), &[]);
}

#[test]
fn f32_agrees() {
    let hostile = [
        1.0f32,
        -1.0,
        0.0,
        -0.0,
        f32::NAN,
        -f32::NAN,
        f32::INFINITY,
        1e-45,
        -1e-45,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::MIN,
        1e30,
        -1e30,
        1e-30,
        16_777_216.0,
        16_777_215.0,
        0.1,
        999.999,
        1000.0,
        -100.0,
    ];
    check_type(&hostile, |x| x as f32);
    let both = [f32::INFINITY, f32::NEG_INFINITY, 1.0];
    check("both infinities", both.to_vec(), everything(), &[]);
}

#[test]
fn f64_agrees() {
    let hostile = [
        1.0f64,
        -1.0,
        0.0,
        -0.0,
        f64::NAN,
        -f64::NAN,
        f64::NEG_INFINITY,
        5e-324,
        -5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        1e300,
        -1e300,
        1e-300,
        9_007_199_254_740_993.0,
        1e8 + 1.0,
        0.1,
        999.999,
        1000.0,
        -100.0,
    ];
    check_type(&hostile, |x| x);
}

#[test]
fn i32_agrees() {
    check_type(&[i32::MIN, i32::MAX, -1, 0, 1, 1000, 1001, -100, -101, 65_536], |x| x as i32 - 450);
}

#[test]
fn i64_agrees() {
    check_type(&[i64::MIN, i64::MAX, -1, 0, 1, 1 << 32, -(1 << 32), 1000, 1001, -100, -101], |x| x as i64 - 450);
}

#[test]
fn u32_agrees() {
    check_type(&[u32::MAX, 0, 1, 1 << 31, 65_535, 65_536, 1000, 1001], |x| x as u32);
}

#[test]
fn u64_agrees() {
    check_type(&[u64::MAX, 0, 1, 1 << 63, 1 << 32, (1 << 32) - 1, 1000, 1001], |x| x as u64);
}

#[test]
fn sums_that_cancel_and_windows_that_move_stay_exact() {
    // Exponents that drift through the whole range, up and down; huge values that leave a tiny one; carries through many limbs.
    let drift = |i: u64| (i as f64 / 40.0 - 500.0).exp2() * if i.is_multiple_of(3) { -1.0 } else { 1.0 };
    check("drift", (0..40_000).map(drift).collect::<Vec<f64>>(), everything(), &[]);
    check("drift back", (0..40_000).rev().map(drift).collect::<Vec<f64>>(), everything(), &[12_345]);
    let mut cancelling: Vec<f64> = (0..5000).map(|i| f64::from_bits(SplitMix64::at(i) & !(1 << 62))).collect();
    cancelling.extend(cancelling.clone().iter().map(|x| -x));
    cancelling.push(3e-320);
    check("cancelling", cancelling, everything(), &[]);
    let carries = (0..6000).map(|i| if i % 2 == 0 { (1u64 << 53) as f64 - 1.0 } else { 1.0 }).collect::<Vec<f64>>();
    check("carries", carries, everything(), &[]);
    check("ones", vec![u64::MAX; 5000], everything(), &[]);
    check("twos", vec![i64::MIN; 5000], everything(), &[]);
}

/// Checks lengths about the ends of batches, of four words and of invocations, with what a window does not hold at places where
/// they end.
fn check_ends<T: Number>(usual: T, others: &[T]) {
    for len in [1, 2, 3, 5, 31, 32, 33, 34, 63, 64, 65, 1023, 8191, 8192, 8193, 8194, 8195, 40_003] {
        let at_ends = |i: usize| i % 32 == 31 || i.is_multiple_of(32) || i + 3 > len;
        let value = |i: usize| if at_ends(i) { others[i / 31 % others.len()] } else { usual };
        check("ends", (0..len).map(value).collect(), everything(), &[]);
    }
}

#[test]
fn what_a_window_does_not_hold_is_found_at_every_end() {
    check_ends(1.5f32, &[1e-40, f32::NAN, -3e38, f32::INFINITY, -0.0, 1e20, f32::NEG_INFINITY, 1e-20]);
    check_ends(-1.5f64, &[5e-324, f64::NAN, -1e308, f64::INFINITY, -0.0, 1e200, f64::NEG_INFINITY, 1e-200]);
    check_ends(-7i32, &[i32::MIN, i32::MAX]);
    check_ends(7u64, &[u64::MAX, 0]);
}

#[test]
fn windows_at_the_ends_of_the_exponents_hold_their_sums() {
    for value in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, -5e-324, 2.0 * f64::MIN_POSITIVE, -0.0] {
        check("alike", vec![value; 20_000], everything(), &[]);
        check("alike", vec![value as f32; 20_000], everything(), &[]);
    }
    for value in [f32::MAX, f32::MIN, f32::MIN_POSITIVE, -1e-45, 2.0 * f32::MIN_POSITIVE] {
        check("alike", vec![value; 20_000], everything(), &[333]);
    }
    for value in [i32::MIN, i32::MAX] {
        check("alike", vec![value; 20_000], everything(), &[]);
    }
    check("alike", vec![u32::MAX; 20_000], everything(), &[]);
}

#[test]
fn windows_of_invocations_that_differ_are_added_up_right() {
    // By turns, in runs as long as a batch and longer, and for the first elements alone, which the common window is made from.
    let far = |i: u64, run: u64| if (i / run).is_multiple_of(2) { 1e30 } else { -1e-30 };
    for run in [1, 7, 32, 100, 1024] {
        check("by turns", (0..50_000).map(|i| far(i, run) * (i as f64 + 0.1)).collect::<Vec<f64>>(), everything(), &[]);
        let values = (0..50_000).map(|i| (far(i, run) as f32) * (i as f32 + 0.1));
        check("by turns", values.collect::<Vec<f32>>(), everything(), &[]);
    }
    let first = |i: u64| if i.is_multiple_of(32) { 1e200 } else { 1.0 / (i as f64 + 1.0) };
    check("misled", (0..60_000).map(first).collect::<Vec<f64>>(), everything(), &[]);
    let lognormal = |i: u64| ((SplitMix64::at(i) % 4001) as f64 / 250.0 - 8.0).exp2();
    check("far apart", (0..60_000).map(lognormal).collect::<Vec<f64>>(), everything(), &[17]);
    check("far apart", (0..60_000).map(|i| lognormal(i) as f32).collect::<Vec<f32>>(), everything(), &[17]);
    let half = |i: u64| if SplitMix64::at(i).is_multiple_of(2) { f64::NAN } else { i as f64 };
    check("half NaN", (0..60_000).map(half).collect::<Vec<f64>>(), everything(), &[]);
}

#[test]
fn missing_values_automatic_histograms_and_large_tables_agree() {
    let request = StatsRequest {
        missing: Some("-9999".parse().unwrap()),
        histogram: Some("3000".parse().unwrap()),
        quantiles: (0..=300).map(|i| format!("{}", f64::from(i) / 300.0).parse().unwrap()).collect(),
        ..StatsRequest::default()
    };
    let values =
        |i: u64| if SplitMix64::at(i).is_multiple_of(7) { -9999.0 } else { (SplitMix64::at(i) >> 40) as f64 / 1e3 };
    check("missing", (0..60_000).map(values).collect::<Vec<f64>>(), request.clone(), &[30_000]);
    check("missing", (0..30_000).map(|i| values(i) as f32).collect::<Vec<f32>>(), request.clone(), &[]);
    check("missing", (0..30_000).map(|i| values(i) as i32).collect::<Vec<i32>>(), request.clone(), &[]);
    check("all missing", vec![-9999.0f32; 700], request, &[]);
}

#[test]
fn chunks_of_several_dispatches_agree() {
    // Contiguous forms take 2^21 elements a dispatch.
    let len = (1 << 22) + 777;
    let request = StatsRequest { histogram: Some("20:0..900".parse().unwrap()), ..StatsRequest::default() };
    check("several dispatches", usual(len, |x| x as f32), request.clone(), &[]);
    check("several dispatches", usual(len, |x| x as u64), request, &[100]);
}

#[test]
fn columns_are_steps_of_their_own() {
    let column = |name: &str, seed: u64| Column {
        name: Some(name.into()),
        source: Arc::new(InMemory::new(
            name,
            (0..5000).map(|i| SplitMix64::at(seed + i) as f32 / 1e15).collect::<Vec<f32>>(),
        )),
    };
    let columns = vec![column("a", 1), column("b", 50_000), column("c", 90_000)];
    let kernel = StatsKernel::new(columns, true, everything()).unwrap();
    assert_same_on_gpu("three columns", &kernel, &[1000]);
}

#[test]
fn words_that_no_shader_writes_are_found_out() {
    let kernel = StatsKernel::of_values(vec![1.0f32, 2.0, 3.0], everything()).unwrap();
    let pass = kernel.first_pass().unwrap();
    let column = &pass.columns[0];
    let limbs = Limbs::of(DType::F32);
    let digits = cells_len(column.digits.as_ref().unwrap().table_len());
    let counts = digits + cells_len(column.bins.as_ref().unwrap().table_len());
    let mut output = vec![0u32; counts + limbs.record_words()];
    let read = |output: &[u32]| partial(&kernel, &pass, 0..3, &[output.to_vec()]).map(|_| ());
    output[counts] = 3;
    // A digit too few; the rest were left out, as NaN are.
    (output[5], output[digits - 1], output[counts - 1]) = (1, 1, 3);
    assert!(read(&output).unwrap_err().message.contains("left out"));
    output[digits - 1] = 2;
    assert!(read(&output).is_ok());
    assert!(read(&output[..output.len() - 1]).unwrap_err().message.contains("cut short"));
    assert!(read(&output[..9]).unwrap_err().message.contains("too short"));
    output[counts] = 2;
    assert!(read(&output).unwrap_err().message.contains("not all elements"));
    output[counts + 1] = 1;
    assert!(read(&output).is_ok());
    output[counts + 2] = 3;
    assert!(read(&output).unwrap_err().message.contains("infinities"));
    output[counts + 2] = 0;
    for cell in [0, digits - 1, digits, counts - 1] {
        let written = std::mem::replace(&mut output[cell], 0xdead_beef);
        assert!(read(&output).unwrap_err().message.contains("left out"));
        output[cell] = written;
    }
    assert!(read(&output).is_ok());
    assert!(partial(&kernel, &pass, 0..3, &[]).unwrap_err().message.contains("missing"));
}

#[test]
fn no_invocation_comes_near_the_limit_of_trips() {
    let kernel = StatsKernel::of_values(vec![0u64; 4], everything()).unwrap();
    let mut pass = kernel.first_pass().unwrap().columns.remove(0);
    for ranges in [1usize, 2, 1000, 1 << 20] {
        pass.digits = Some(Digits::new((0..ranges as u64).map(|i| (2 * i, 2 * i)), 6, false, None));
        for units in [1, 255, 1 << 20, u64::from(u32::MAX), u64::MAX] {
            for preferred in [1, 16, 1024, u32::MAX] {
                let cut = Cut::of(kernel.layout(), &pass, units, preferred);
                let search = usize::BITS - ranges.leading_zeros() + 2;
                assert!(cut.per_invocation * search < MAX_LOOP_TRIPS && cut.per_invocation <= ELEMENTS_MAX, "{cut:?}");
                let reach = u64::from(cut.groups) * u64::from(cut.per_invocation * LANES);
                assert!(reach >= units.min(ROWS_MAX) && reach <= u64::from(u32::MAX), "{cut:?}");
            }
        }
    }
}
