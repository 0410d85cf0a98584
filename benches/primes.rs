//! The kernel `primes` on one thread, against something plain measured in the same run; every answer is checked first.
//!
//! `cargo bench --bench primes`, or with words of the rows wanted: `cargo bench --bench primes -- sieve`.
//! Times of lists of numbers are medians of several runs, and ratios medians of those of runs that follow each other; other times are
//! the least of several runs.
#![allow(clippy::print_stdout)]

use std::any::Any;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use tandem::input::{Element, Format, Location, Scratch, open_numbers, read_numbers_on};
use tandem::job::BindContext;
use tandem::kernels::primes::{
    KIND, NumberRange, NumbersAnswer, NumbersKernel, NumbersMode, RangeAnswer, RangeKernel, RangeMode, is_prime,
    test_each,
};
use tandem::kernels::{Answer, FoldContext, Isa, Kernel, Next};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |row: &str| words.is_empty() || words.iter().any(|word| row.contains(word.as_str()));
    numbers(&wanted);
    text(&wanted);
    sieve(&wanted);
    jobs(&wanted);
}

/// Lists of numbers on their way in and out, in megabytes of text or of array a second; nothing is tested meanwhile.
fn text(wanted: &dyn Fn(&str) -> bool) {
    let rate = |row: &str, bytes: usize, took: Duration| {
        println!("{row:<50} {:>8.0} MB/s", bytes as f64 / 1e6 / took.as_secs_f64());
    };
    let mut state = 3;
    for (name, shift, count) in [("64-bit", 0, 4_000_000), ("32-bit", 32, 8_000_000), ("20-bit", 44, 12_000_000)] {
        let rows =
            [format!("text in, {name}"), format!("text out, each of {name}"), format!("text out, list of {name}")];
        if !rows.iter().any(|row| wanted(row)) {
            continue;
        }
        let numbers: Vec<u64> = (0..count).map(|_| split_mix(&mut state) >> shift).collect();
        let lines: String = numbers.iter().map(|number| format!("{number}\n")).collect();
        let read = |threads: usize| {
            let format = Some(Format::Text);
            read_numbers_on("bench", &mut lines.as_bytes(), format, threads).expect("it is well formed")
        };
        for threads in [1, 2] {
            let list = read(threads);
            let mut scratch = Scratch::default();
            let values = list.source().read(0..count, &mut scratch).expect("it was read");
            assert!(u64::unwrap(&values) == Some(&numbers), "other numbers than were written");
            rate(&format!("{}, {threads} threads", rows[0]), lines.len(), least(5, || read(threads)));
        }
        let expect: String = numbers
            .iter()
            .map(|&n| {
                format!(
                    "{n} {}\n",
                    if is_prime(n) {
                        "prime"
                    } else if n < 2 {
                        "neither"
                    } else {
                        "composite"
                    }
                )
            })
            .collect();
        written(&rows[1], &numbers, NumbersMode::Each, &expect, &rate);
        let primes: Vec<u64> = numbers.iter().copied().filter(|&n| is_prime(n)).collect();
        let repeated: Vec<u64> = primes.iter().copied().cycle().take(numbers.len()).collect();
        let expect: String = repeated.iter().map(|prime| format!("{prime}\n")).collect();
        written(&rows[2], &repeated, NumbersMode::List, &expect, &rate);
    }
    let row = "text out, list of a range";
    if wanted(row) {
        let range = NumberRange::new(1_000_000_000_000, 1_000_200_000_000).expect("a range");
        let answer = whole(&RangeKernel::new(range, RangeMode::List));
        let mut out = Vec::new();
        answer.write_text(&mut out).expect("memory");
        let bytes = out.len();
        let took = least(5, || {
            out.clear();
            answer.write_text(&mut out).expect("memory");
        });
        rate(row, bytes, took);
    }
    array_in(wanted, &rate);
}

/// The text of an answer over `numbers`, into memory.
fn written(row: &str, numbers: &[u64], mode: NumbersMode, expect: &str, rate: &dyn Fn(&str, usize, Duration)) {
    let answer = whole(&NumbersKernel::new(numbers.to_vec(), mode).expect("integers"));
    let mut out = Vec::new();
    answer.write_text(&mut out).expect("memory");
    assert!(out == expect.as_bytes(), "{row}: other text than expected");
    let took = least(5, || {
        out.clear();
        answer.write_text(&mut out).expect("memory");
    });
    rate(row, out.len(), took);
}

/// An .npy file whose numbers are added up as a kernel reads them, beside the same from memory.
fn array_in(wanted: &dyn Fn(&str) -> bool, rate: &dyn Fn(&str, usize, Duration)) {
    let row = ".npy in, mapped, added up";
    if !wanted(row) {
        return;
    }
    const COUNT: u64 = 32_000_000;
    let mut state = 4;
    let numbers: Vec<u64> = (0..COUNT).map(|_| split_mix(&mut state)).collect();
    let mut header = format!("{{'descr': '<u8', 'fortran_order': False, 'shape': ({COUNT},), }}");
    header += &" ".repeat(128 - 11 - header.len());
    let head = [b"\x93NUMPY\x01\x00".as_slice(), &118_u16.to_le_bytes(), header.as_bytes(), b"\n"].concat();
    let path = std::env::temp_dir().join(format!("tandem-bench-{}.npy", std::process::id()));
    let bytes: Vec<u8> = head.into_iter().chain(numbers.iter().flat_map(|number| number.to_le_bytes())).collect();
    std::fs::write(&path, bytes).expect("room among the temporary files");
    let location = Location::Path(path.clone());
    let sum = |values: &[u64]| values.iter().fold(0_u64, |sum, &value| sum.wrapping_add(value));
    let mapped = || {
        // A file that is kept open has its pages.
        tandem::input::forget_opened();
        let list = open_numbers(&location, None, Path::new("")).expect("it is well formed");
        let mut scratch = Scratch::default();
        let steps = (0..COUNT).step_by(1 << 13).map(|start| {
            let values = list.source().read(start..COUNT.min(start + (1 << 13)), &mut scratch).expect("it is there");
            sum(u64::unwrap(&values).expect("u64"))
        });
        steps.fold(0, u64::wrapping_add)
    };
    assert_eq!(mapped(), sum(&numbers));
    rate(row, 8 * COUNT as usize, least(5, mapped));
    rate("  the same in memory", 8 * COUNT as usize, least(5, || sum(&numbers)));
    std::fs::remove_file(&path).expect("it is there");
}

/// Lists of numbers, by `tandem` in a batch with every instruction set, one by one, and by the crate machine-prime, in turns.
fn numbers(wanted: &dyn Fn(&str) -> bool) {
    let mut state = 1;
    let mut random = |count: usize, number: &dyn Fn(u64) -> u64| -> Vec<u64> {
        (0..count).map(|_| number(split_mix(&mut state))).collect()
    };
    let in_range =
        |start: u64, end: u64| move |bits: u64| start + ((u128::from(bits) * u128::from(end - start)) >> 64) as u64;
    let odd = random(400_000, &|bits| bits | 1);
    let primes: Vec<u64> = random(900_000, &|bits| bits | 1).into_iter().filter(|&n| naive(n)).collect();
    let wide = random(400_000, &in_range(10_u64.pow(14), 10_u64.pow(16)));
    let wide_odd: Vec<u64> = wide.iter().map(|n| n | 1).collect();
    let short = random(400_000, &|bits| bits >> 14 | 1);
    let short_primes: Vec<u64> = random(400_000, &|bits| bits >> 14 | 1).into_iter().filter(|&n| naive(n)).collect();
    let small = random(400_000, &|bits| bits >> 32);
    let mut sorted = random(400_000, &|bits| bits >> 44);
    sorted.sort_unstable();
    for (name, numbers) in [
        ("random odd 64-bit", &odd),
        ("64-bit primes", &primes),
        ("1e14..1e16", &wide),
        ("1e14..1e16, odd", &wide_odd),
        ("random odd 50-bit", &short),
        ("50-bit primes", &short_primes),
        ("random 32-bit", &small),
        ("sorted 20-bit", &sorted),
    ] {
        let row = format!("numbers, {name}");
        if !wanted(&row) {
            continue;
        }
        // Long beside the start of a thread.
        let numbers = &numbers.repeat(1_600_000_usize.div_ceil(numbers.len()).min(10));
        let expect = numbers.iter().filter(|&&n| naive(n)).count() as u64;
        let kernel = NumbersKernel::new(numbers.clone(), NumbersMode::Each).expect("integers");
        let answer: Box<dyn Any> = whole(&kernel);
        assert_eq!(answer.downcast::<NumbersAnswer>().expect("its answer").prime_count(), expect, "{row}");
        let isas = [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| *isa <= Isa::detect());
        let mut ways: Vec<(String, Box<dyn FnMut() -> u64>)> = isas
            .map(|isa| {
                let batch = move || {
                    let mut bits = vec![0; numbers.len().div_ceil(64)];
                    test_each(isa, numbers, &mut bits);
                    bits.iter().map(|word| u64::from(word.count_ones())).sum()
                };
                (isa.name().to_owned(), Box::new(batch) as Box<dyn FnMut() -> u64>)
            })
            .collect();
        let two_threads = || {
            let half = numbers.len() / 128 * 64;
            let count = |numbers: &[u64]| {
                let mut bits = vec![0; numbers.len().div_ceil(64)];
                test_each(Isa::detect(), numbers, &mut bits);
                bits.iter().map(|word: &u64| u64::from(word.count_ones())).sum::<u64>()
            };
            std::thread::scope(|scope| {
                let other = scope.spawn(|| count(&numbers[half..]));
                count(&numbers[..half]) + other.join().expect("it does not panic")
            })
        };
        ways.push(("2 threads".to_owned(), Box::new(two_threads)));
        ways.push(("alone".to_owned(), Box::new(|| numbers.iter().filter(|&&n| is_prime(n)).count() as u64)));
        ways.push((
            "machine-prime".to_owned(),
            Box::new(|| numbers.iter().filter(|&&n| machine_prime::is_prime(n)).count() as u64),
        ));
        let mut times = vec![Vec::new(); ways.len()];
        for _ in 0..ROUNDS {
            for ((name, way), times) in ways.iter_mut().zip(&mut times) {
                let start = Instant::now();
                assert_eq!(black_box(way()), expect, "{row} {name}");
                times.push(start.elapsed().as_secs_f64());
            }
        }
        let peer = times.last().expect("the peer").clone();
        print!("{row:<26}");
        for ((name, _), times) in ways.iter().zip(&times) {
            let ratio = median(times.iter().zip(&peer).map(|(ours, peer)| ours / peer));
            let ns = median(times.iter().copied()) * 1e9 / numbers.len() as f64;
            print!(" | {name} {ns:.1} ns {ratio:.3}x");
        }
        println!();
    }
}

fn sieve(wanted: &dyn Fn(&str) -> bool) {
    let rows: [(i128, i128, u64); 6] = [
        (0, 1_000_000_000, 50_847_534),
        (0, 10_000_000_000, 455_052_511),
        (1_000_000_000_000, 1_001_000_000_000, 36_190_991),
        (1_000_000_000_000_000, 1_000_001_000_000_000, 28_946_421),
        (1_000_000_000_000_000_000, 1_000_000_000_100_000_000, 2_414_886),
        ((1 << 64) - 10_000_000, 1 << 64, 225_271),
    ];
    for (start, end, expect) in rows {
        let row = format!("sieve, {start}..{end}");
        if !wanted(&row) {
            continue;
        }
        let kernel = RangeKernel::new(NumberRange::new(start, end).expect("a range"), RangeMode::Count);
        let count = |kernel: &RangeKernel| {
            let answer: Box<dyn Any> = whole(kernel);
            answer.downcast::<RangeAnswer>().expect("its answer").count()
        };
        assert_eq!(count(&kernel), expect, "{row}");
        let took = least(if end - start > 5_000_000_000 { 1 } else { 3 }, || count(&kernel));
        let guess = kernel.work();
        println!(
            "{row:<50} {:>8.1} ms, {:.3} ns a number, guessed {:.1} ms",
            took.as_secs_f64() * 1e3,
            took.as_secs_f64() * 1e9 / (end - start) as f64,
            guess.units as f64 * guess.prior_ns_per_unit / 1e6,
        );
        if start == 0 && end <= 1_000_000_000 {
            let plain = least(1, || plain_count(end as usize));
            assert_eq!(plain_count(end as usize), expect);
            println!(
                "{:<50} {:>8.1} ms: {:.1} x",
                "  plain Eratosthenes",
                plain.as_secs_f64() * 1e3,
                plain.div_duration_f64(took)
            );
        }
    }
}

/// One-number jobs from their line to their JSON, as the engine takes them, without the engine.
fn jobs(wanted: &dyn Fn(&str) -> bool) {
    let row = "jobs, one small number each";
    if !wanted(row) {
        return;
    }
    const JOBS: usize = 100_000;
    let line = r#"{"id":"a","kind":"primes","numbers":[97]}"#;
    let context = BindContext::default();
    let mut scratch = Scratch::default();
    let mut run = |out: &mut Vec<u8>| {
        let params = (KIND.parse)(black_box(line)).expect("a good line");
        let kernel = params.bind(&context).expect("numbers in memory").kernel().expect("it is a kernel's");
        let pass = kernel.first_pass().expect("a pass");
        let mut fold = FoldContext { isa: Isa::Portable, scratch: &mut scratch };
        let partial = kernel.fold(&pass, 0..1, &mut fold).expect("a number");
        let Next::Done(answer) = kernel.next(&pass, partial).expect("an answer") else { panic!("one pass") };
        answer.write_json(out).expect("memory");
    };
    let mut out = Vec::new();
    run(&mut out);
    assert_eq!(out, br#"{"is_prime":[true],"prime_count":1}"#);
    let took = least(5, || {
        for _ in 0..JOBS {
            out.clear();
            run(&mut out);
        }
    });
    println!("{row:<32} {:>8.1} ns a job from its line to its JSON", took.as_secs_f64() * 1e9 / JOBS as f64);
}

fn whole<K: Kernel>(kernel: &K) -> Box<dyn Answer> {
    let pass = kernel.first_pass().expect("a pass");
    let mut scratch = Scratch::default();
    let mut context = FoldContext { isa: Isa::detect(), scratch: &mut scratch };
    let partial = kernel.fold(&pass, 0..kernel.work().units, &mut context).expect("a partial");
    match kernel.next(&pass, partial).expect("an answer") {
        Next::Done(answer) => answer,
        Next::Pass(_) => unreachable!("primes have one pass"),
    }
}

/// Rounds in which every way takes its turn.
const ROUNDS: usize = 9;

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn least<T>(runs: usize, mut run: impl FnMut() -> T) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed()
    };
    (0..runs).map(timed).min().expect("at least one run")
}

/// Miller and Rabin's test to the first twelve primes (Sorenson and Webster 2015), one by one, by 128-bit remainders.
fn naive(n: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 || BASES.iter().any(|&p| n.is_multiple_of(p)) {
        return BASES.contains(&n);
    }
    let twos = (n - 1).trailing_zeros();
    BASES.iter().all(|&base| {
        let mut x = power(base, (n - 1) >> twos, n);
        let mut strong = x == 1 || x == n - 1;
        for _ in 1..twos {
            x = product(x, x, n);
            strong |= x == n - 1;
        }
        strong
    })
}

fn power(mut base: u64, mut exponent: u64, n: u64) -> u64 {
    let mut result = 1;
    while exponent != 0 {
        if exponent & 1 == 1 {
            result = product(result, base, n);
        }
        base = product(base, base, n);
        exponent >>= 1;
    }
    result
}

fn product(a: u64, b: u64, n: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(n)) as u64
}

fn plain_count(end: usize) -> u64 {
    let mut composite = vec![false; end];
    let mut count = 0;
    for n in 2..end {
        if !composite[n] {
            count += 1;
            (n * n..end).step_by(n).for_each(|multiple| composite[multiple] = true);
        }
    }
    count
}

/// SplitMix64.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
