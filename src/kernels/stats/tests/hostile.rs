//! Random and hostile data of every type and size.

use super::*;
use crate::random::SplitMix64;

const F64S: [f64; 24] = [
    0.0,
    -0.0,
    5e-324,
    -5e-324,
    2.2250738585072014e-308,
    1e-308,
    1.0,
    -1.0,
    1.0000000000000002,
    0.1,
    -9999.0,
    1e8,
    1e15,
    9007199254740993.0,
    1e100,
    -1e100,
    1e300,
    -1e300,
    f64::MAX,
    f64::MIN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    -f64::NAN,
];

/// How the values of a test are spread.
#[derive(Clone, Copy, Debug)]
enum Spread {
    Hostile,
    AnyBits,
    Near,
    MostlyNear,
    Few,
}

fn spreads() -> impl Strategy<Value = Spread> {
    prop::sample::select(vec![Spread::Hostile, Spread::AnyBits, Spread::Near, Spread::MostlyNear, Spread::Few])
}

fn floats<T: Tested>(spread: Spread, len: usize, seed: u64, from_f64: fn(f64) -> T) -> Vec<T> {
    let mut bits = SplitMix64(seed);
    let near = |bits: &mut SplitMix64| from_f64((bits.next_u64() >> 11) as f64 / 4503599627370496.0 - 1.0);
    (0..len)
        .map(|_| match spread {
            Spread::Hostile => from_f64(F64S[bits.next_u64() as usize % F64S.len()]),
            Spread::AnyBits => T::from_key(bits.next_u64() & T::LAYOUT.max_key()),
            Spread::Near => near(&mut bits),
            Spread::MostlyNear if bits.next_u64().is_multiple_of(64) => {
                from_f64(F64S[bits.next_u64() as usize % F64S.len()])
            }
            Spread::MostlyNear => near(&mut bits),
            Spread::Few => from_f64([-9999.0, 1.5, 1.25][bits.next_u64() as usize % 3]),
        })
        .collect()
}

fn integers<T: Tested>(spread: Spread, len: usize, seed: u64) -> Vec<T> {
    let mut bits = SplitMix64(seed);
    let max = T::LAYOUT.max_key();
    let middle = max / 2;
    (0..len)
        .map(|_| {
            let next = bits.next_u64();
            T::from_key(match spread {
                Spread::Hostile => {
                    [0, 1, middle - 9998, middle, middle + 1, middle + 2, max - 1, max][next as usize % 8]
                }
                Spread::AnyBits => next & max,
                Spread::Near => middle + next % 1000,
                Spread::MostlyNear if next.is_multiple_of(64) => next.rotate_left(32) & max,
                Spread::MostlyNear => middle + next.rotate_left(32) % 10,
                Spread::Few => middle + 1 + next % 2,
            })
        })
        .collect()
}

fn requests() -> impl Strategy<Value = StatsRequest> {
    let quantiles =
        prop::sample::subsequence(vec!["0", "1", "0.5", "0.1", "0.999999", "1e-3", "0.3333333333333333333333"], 0..=7);
    let histogram = prop::sample::select(vec![
        None,
        Some("1"),
        Some("7"),
        Some("10:0..1"),
        Some("13:-1e300..1e301"),
        Some("1000:-1..1"),
        Some("3:0..1e-320"),
        Some("5:-9223372036854775808..18446744073709551615"),
    ]);
    let missing = prop::sample::select(vec![None, None, Some("0"), Some("1"), Some("1e2")]);
    (quantiles, histogram, missing, 0u32..3)
        .prop_map(|(quantiles, histogram, missing, ddof)| request(&quantiles.join(" "), histogram, missing, ddof))
}

/// Sizes around every lane and block edge that a fold has, most of them small.
fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0usize..40, 2 => 40usize..700, 1 => prop::sample::select(vec![1023, 1024, 1025, 2047, 2048, 2049, 4096, 4097, 5003])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_answer_about_f64_is_the_oracles(len in sizes(), spread in spreads(), seed: u64, request in requests(), cuts: [u64; 3]) {
        check_job(&floats(spread, len, seed, |value| value), &request, &cuts, seed);
    }

    #[test]
    fn every_answer_about_f32_is_the_oracles(len in sizes(), spread in spreads(), seed: u64, request in requests(), cuts: [u64; 3]) {
        check_job(&floats(spread, len, seed, |value| value as f32), &request, &cuts, seed);
    }

    #[test]
    fn every_answer_about_integers_is_the_oracles(len in sizes(), spread in spreads(), seed: u64, request in requests(), cuts: [u64; 3]) {
        check_job(&integers::<i32>(spread, len, seed), &request, &cuts, seed);
        check_job(&integers::<i64>(spread, len, seed), &request, &cuts, seed);
        check_job(&integers::<u32>(spread, len, seed), &request, &cuts, seed);
        check_job(&integers::<u64>(spread, len, seed), &request, &cuts, seed);
    }

    #[test]
    fn shuffling_the_values_changes_nothing(seed: u64, len in 1usize..3000) {
        let mut values = floats(Spread::MostlyNear, len, seed, |value| value);
        let request = request("0.1 0.5", None, None, 1);
        let answer = |values: &[f64]| json(&StatsKernel::of_values(values.to_vec(), request.clone()).unwrap().answer_here().unwrap());
        let before = answer(&values);
        let mut bits = SplitMix64(seed ^ 1);
        for i in (1..len).rev() {
            values.swap(i, bits.next_u64() as usize % (i + 1));
        }
        prop_assert_eq!(answer(&values), before);
    }
}
