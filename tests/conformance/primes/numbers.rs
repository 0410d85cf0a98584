//! Lists of numbers.

use std::sync::Arc;

use tandem::input::{Element, InMemory};
use tandem::kernels::DynKernel;
use tandem::kernels::primes::{Numbers, NumbersKernel, NumbersMode};

use super::oracle::{is_prime, primes_below};
use crate::random::Random;
use crate::sweep::{Case, Expected, Sweep};

/// The edges: of a bit, a byte, a word of 32 and of 64 bits, a granule, a workgroup's tile, a stride of the CPU side.
const SIZES: [usize; 26] = [
    0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 65, 127, 129, 191, 255, 257, 511, 512, 513, 1023, 1025, 4095, 4097, 8191,
    8193,
];

/// Composites that pass the test of Fermat to every base, or strong tests to many.
const PSEUDOPRIMES: [u64; 60] = [
    // Carmichael numbers.
    561,
    1105,
    1729,
    2465,
    2821,
    6601,
    8911,
    41_041,
    825_265,
    321_197_185,
    5_394_826_801,
    232_250_619_601,
    9_746_347_772_161,
    1_436_697_831_295_441,
    60_977_817_398_996_785,
    7_156_857_700_403_137_441,
    // Strong pseudoprimes to base 2.
    2047,
    3277,
    4033,
    4681,
    8321,
    15_841,
    29_341,
    42_799,
    49_141,
    52_633,
    4_294_967_297,
    4_759_123_141,
    // The least strong pseudoprimes to the first 2, 3, … primes (Jaeschke; Jiang and Deng).
    1_373_653,
    25_326_001,
    3_215_031_751,
    2_152_302_898_747,
    3_474_749_660_383,
    341_550_071_728_321,
    3_825_123_056_546_413_051,
    // Composites that pass the tests to base 2 and to all but one or two of the other bases of a set that is in use: 7 and
    // 61; 3, 5, 7 and 11; 325, 9375, 28178, 450775, 9780504 and 1795265022.
    2_284_453,
    19_328_653,
    9_863_461,
    48_191_653,
    7_535_192_941,
    77_272_256_881,
    15_579_919_981,
    29_118_033_181,
    21_147_503_653,
    29_373_426_253,
    118_670_087_467,
    307_768_373_641,
    546_348_519_181,
    1_362_242_655_901,
    11_107_906_704_028_628_101,
    13_795_992_798_626_591_101,
    5_125_859_728_424_150_761,
    13_303_040_502_193_888_951,
    2_494_275_333_430_484_341,
    4_079_115_760_952_256_001,
    15_889_878_039_666_655_261,
    5_727_283_315_865_739_253,
    128_712_017_147_493_781,
    2_274_250_868_308_320_301,
    10_992_411_849_019_887_721,
];

type Maker = fn(&mut Random, usize) -> Vec<u64>;

const DATASETS: &[(&str, Maker)] = &[
    ("from 0 on", |_, n| (0..n as u64).collect()),
    ("from 2^32 - 1000 on", |_, n| ((1 << 32) - 1000..(1 << 32) - 1000 + n as u64).collect()),
    ("down from 2^64 - 1", |_, n| (0..n as u64).map(|i| u64::MAX - i).collect()),
    ("any", |random, n| times(n, || random.next())),
    ("odd", |random, n| times(n, || random.next() | 1)),
    ("of every magnitude", |random, n| times(n, || random.next() >> random.below(64))),
    ("squares of primes", |random, n| {
        let small = primes_below(2000);
        times(n, || {
            let p = if random.below(2) == 0 { *random.pick(&small) } else { prime_near(random.next() >> 32) };
            p * p
        })
    }),
    ("products of two primes", |random, n| {
        let small = primes_below(2000);
        times(n, || match random.below(3) {
            0 => *random.pick(&small) * *random.pick(&small),
            1 => *random.pick(&small) * prime_near(random.next() >> 32),
            // (k + 1)(2k + 1): many of these are strong pseudoprimes to many bases.
            _ => {
                let k = random.next() >> 34;
                (k + 1) * (2 * k + 1)
            }
        })
    }),
    ("pseudoprimes", |random, n| times(n, || *random.pick(&PSEUDOPRIMES))),
    ("around the switches between sets of bases", |random, n| {
        const SWITCHES: [u64; 9] =
            [1, 4489, 10_000, 1 << 16, 1 << 32, 4_759_123_141, 2_152_302_898_747, 1 << 63, u64::MAX - 58];
        times(n, || random.pick(&SWITCHES).wrapping_add(random.below(60)).wrapping_sub(30))
    }),
    ("nothing but 2^64 - 59", |_, n| vec![u64::MAX - 58; n]),
    ("one prime among even numbers", |random, n| {
        let at = random.below(n.max(1) as u64) as usize;
        (0..n).map(|i| if i == at { 1_000_000_007 } else { random.next() << 1 }).collect()
    }),
];

fn times(n: usize, make: impl FnMut() -> u64) -> Vec<u64> {
    std::iter::repeat_with(make).take(n).collect()
}

/// The greatest prime that is at most `n` or 2.
fn prime_near(n: u64) -> u64 {
    (2..=n.max(2)).rev().find(|&candidate| is_prime(candidate)).expect("2 is prime")
}

/// What the `result` of a job over these numbers is.
fn expected(numbers: &[i128], mode: NumbersMode) -> String {
    let prime = |n: &i128| u64::try_from(*n).is_ok_and(is_prime);
    let flags: Vec<bool> = numbers.iter().map(prime).collect();
    let count = flags.iter().filter(|&&flag| flag).count();
    match mode {
        NumbersMode::Each => {
            let flags: Vec<String> = flags.iter().map(bool::to_string).collect();
            format!("{{\"is_prime\":[{}],\"prime_count\":{count}}}", flags.join(","))
        }
        NumbersMode::Count => format!("{{\"prime_count\":{count}}}"),
        NumbersMode::List => {
            let primes: Vec<String> =
                numbers.iter().zip(&flags).filter(|&(_, &flag)| flag).map(|(n, _)| format!("\"{n}\"")).collect();
            format!("{{\"primes\":[{}]}}", primes.join(","))
        }
    }
}

pub fn case(name: String, numbers: Vec<u64>, mode: NumbersMode) -> Case {
    let wide: Vec<i128> = numbers.iter().map(|&n| n.into()).collect();
    let kernel: Arc<dyn DynKernel> = Arc::new(NumbersKernel::new(Numbers::from(numbers), mode).expect("integers"));
    Case { name: format!("{name}, {mode:?}"), kernel, expected: Expected::Result(expected(&wide, mode)) }
}

/// An array of another integer type, as a `.npy` file holds it.
fn typed<T: Element + Into<i128>>(numbers: Vec<T>, mode: NumbersMode) -> Case {
    let wide: Vec<i128> = numbers.iter().map(|&n| n.into()).collect();
    let source = Arc::new(InMemory::new("array", numbers));
    let kernel = NumbersKernel::new(Numbers::of_source(source), mode).expect("integers");
    let name = format!("{} elements of {}, {mode:?}", wide.len(), T::DTYPE);
    Case { name, kernel: Arc::new(kernel), expected: Expected::Result(expected(&wide, mode)) }
}

pub fn cases(sweep: &mut Sweep) {
    const MODES: [NumbersMode; 3] = [NumbersMode::Each, NumbersMode::Count, NumbersMode::List];
    for (name, make) in DATASETS {
        for n in SIZES {
            let mut random = sweep.random();
            let numbers = make(&mut random, n);
            sweep.case(&case(format!("{n} x {name}"), numbers, *random.pick(&MODES)));
        }
    }
    // More than a dispatch takes on a software adapter.
    for (name, make) in [DATASETS[0], DATASETS[3]] {
        let mut random = sweep.random();
        let numbers = make(&mut random, 33_281);
        sweep.case(&case(format!("33281 x {name}"), numbers, *random.pick(&MODES)));
    }
    for mode in MODES {
        let mut random = sweep.random();
        sweep.case(&case("every pseudoprime".into(), PSEUDOPRIMES.to_vec(), mode));
        sweep.case(&case("2^64 - 59".into(), vec![u64::MAX - 58], mode));
        let signed = [-(1i128 << 100), -7, -2, -1, 0, 1, 2, 3, 4, u64::MAX.into()];
        let kernel =
            NumbersKernel::new(Numbers::of_integers(signed).expect("none is above u64"), mode).expect("integers");
        let expected = Expected::Result(expected(&signed, mode));
        sweep.case(&Case { name: format!("negative numbers, {mode:?}"), kernel: Arc::new(kernel), expected });
        let mut bits = |n: usize| times(n, || random.next());
        sweep.case(&typed(bits(301).into_iter().map(|n| n as i8).collect(), mode));
        sweep.case(&typed(bits(301).into_iter().map(|n| n as u8).collect(), mode));
        sweep.case(&typed(bits(301).into_iter().map(|n| n as i16).collect(), mode));
        sweep.case(&typed(bits(301).into_iter().map(|n| n as u16).collect(), mode));
        sweep.case(&typed(bits(9001).into_iter().map(|n| n as i32).collect(), mode));
        sweep.case(&typed(bits(9001).into_iter().map(|n| n as u32).collect(), mode));
        sweep.case(&typed(bits(9001).into_iter().map(|n| n as i64).collect(), mode));
    }
}

#[test]
fn every_pseudoprime_is_composite() {
    for n in PSEUDOPRIMES {
        assert!(!is_prime(n), "{n}");
    }
}
