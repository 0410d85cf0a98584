//! Promise 1, swept over the registry: whatever the device, the split, the chunk size, the number of threads and the
//! instruction set, the same bytes of `result`, and those that a naive oracle gives.
//!
//! - `TANDEM_TEST_GPU=require` makes a machine without any adapter a failure; else its GPU side is skipped loudly.
//!   Software adapters take part always.
//! - `TANDEM_TEST_SEED=N` chooses another seed; failures print theirs.
//!
//! A new kernel adds a module here with its cases and its oracle, and a line to [`PARTS`] for each of its variants.

mod compare;
mod controls;
mod corr;
mod faulty;
mod fused;
mod gpus;
mod primes;
#[path = "../support/random.rs"]
mod random;
mod run;
mod samples;
mod stats;
mod sweep;
mod through_the_runner;

use std::collections::BTreeSet;

use sweep::Sweep;
use tandem::kernels::KERNELS;

/// The cases of one variant of one kernel.
struct Part {
    kernel: &'static str,
    variant: &'static str,
}

macro_rules! parts {
    ($($test:ident: $kernel:literal / $variant:literal => $cases:expr;)*) => {
        /// Every variant that is swept here.
        static PARTS: &[Part] = &[$(Part { kernel: $kernel, variant: $variant }),*];
        mod same_bytes_everywhere {
            use super::*;
            $(#[test]
            fn $test() {
                let mut sweep = Sweep::new(concat!($kernel, " ", $variant));
                $cases(&mut sweep);
                sweep.finish();
            })*
        }
    };
}

parts! {
    primes_of_numbers: "primes" / "numbers" => primes::numbers::cases;
    primes_of_ranges: "primes" / "range" => primes::ranges::cases;
    primes_counted_without_finding_them: "primes" / "combinatorial" => primes::combinatorial::cases;
    stats_of_f32: "stats" / "f32" => stats::cases::<f32>;
    stats_of_f64: "stats" / "f64" => stats::cases::<f64>;
    stats_of_i32: "stats" / "i32" => stats::cases::<i32>;
    stats_of_i64: "stats" / "i64" => stats::cases::<i64>;
    stats_of_u32: "stats" / "u32" => stats::cases::<u32>;
    stats_of_u64: "stats" / "u64" => stats::cases::<u64>;
    stats_of_f32_along_axes: "stats" / "f32 axis" => stats::axis::cases::<f32>;
    stats_of_f64_along_axes: "stats" / "f64 axis" => stats::axis::cases::<f64>;
    stats_of_i32_along_axes: "stats" / "i32 axis" => stats::axis::cases::<i32>;
    stats_of_i64_along_axes: "stats" / "i64 axis" => stats::axis::cases::<i64>;
    stats_of_u32_along_axes: "stats" / "u32 axis" => stats::axis::cases::<u32>;
    stats_of_u64_along_axes: "stats" / "u64 axis" => stats::axis::cases::<u64>;
    corr_of_f32: "corr" / "f32" => corr::cases::<f32>;
    corr_of_f64: "corr" / "f64" => corr::cases::<f64>;
    corr_of_i32: "corr" / "i32" => corr::cases::<i32>;
    corr_of_i64: "corr" / "i64" => corr::cases::<i64>;
    corr_of_u32: "corr" / "u32" => corr::cases::<u32>;
    corr_of_u64: "corr" / "u64" => corr::cases::<u64>;
}

#[test]
fn every_variant_of_every_registered_kernel_is_swept() {
    let registered: BTreeSet<(&str, &str)> =
        KERNELS.iter().flat_map(|kind| kind.variants.iter().map(|variant| (kind.name, *variant))).collect();
    // After a space there is what else is asked for, which the registry does not list.
    let (more, plain): (Vec<&Part>, Vec<&Part>) = PARTS.iter().partition(|part| part.variant.contains(' '));
    let swept: BTreeSet<(&str, &str)> = plain.iter().map(|part| (part.kernel, part.variant)).collect();
    assert_eq!(
        registered, swept,
        "the registry (left) and the parts of tests/conformance (right) differ: a kernel needs its cases and its oracle"
    );
    let axes: BTreeSet<&str> = more.iter().filter_map(|part| part.variant.strip_suffix(" axis")).collect();
    let stats = KERNELS.iter().find(|kind| kind.name == "stats").expect("it is registered");
    assert_eq!(axes, stats.variants.iter().copied().collect(), "statistics along axes are of every type");
    for kind in KERNELS {
        assert!(!kind.variants.is_empty(), "{} has no variant", kind.name);
    }
}
