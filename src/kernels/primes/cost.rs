//! What a number of a list is likely to cost, by a look at a few of them. It decides where a job runs, never the answer.

use std::ops::Range;

use crate::input::{Element, Scratch, Source};
use crate::kernels::primes::primality::{self, Pace};

/// What is taken of a list that nobody looks at.
const UNSEEN_NS: f64 = 60.0;
/// Shorter lists are over before anybody could choose.
const LEN_MIN: u64 = 1 << 11;
/// So many numbers are looked at in so many places.
const PLACES: u64 = 8;
const NUMBERS_A_PLACE: u64 = 32;
/// So many of those that no small prime divides are tested; where nearly all are prime, the list is taken to be one of primes.
const TESTED: usize = 8;

/// Nanoseconds that one thread is likely to take for a number of this list, in steps of half an octave, so that lists
/// that differ by chance are alike.
pub(super) fn ns_per_number(numbers: &dyn Source) -> f64 {
    if numbers.len() < LEN_MIN {
        return UNSEEN_NS;
    }
    let ns = look_at(numbers).unwrap_or(UNSEEN_NS);
    ((ns.log2() * 2.0).round() / 2.0).exp2()
}

/// `None` where they cannot be read: folding them will say why.
fn look_at(numbers: &dyn Source) -> Option<f64> {
    let mut scratch = Scratch::default();
    let (mut seen, mut hard) = (0_u32, Vec::new());
    for place in places(numbers.len()) {
        let values = numbers.read(place, &mut scratch).ok()?;
        for &number in u64::unwrap(&values)? {
            seen += 1;
            if !primality::is_easy(number) {
                hard.push(number);
            }
        }
    }
    let Pace { trial_ns, strong_ns, lucas_ns } = Pace::USUAL;
    let size = |number: u64| usize::from(number >= Pace::LONG_FROM);
    let strong = hard.iter().map(|&number| strong_ns[size(number)]).sum::<f64>();
    let tested = &hard[..hard.len().min(TESTED)];
    let primes = tested.iter().filter(|&&number| primality::is_prime(number)).count();
    let lucas = if primes * 8 > tested.len() * 6 {
        hard.iter().map(|&number| lucas_ns[size(number)]).sum::<f64>()
    } else {
        0.0
    };
    Some(trial_ns + (strong + lucas) / f64::from(seen.max(1)))
}

fn places(len: u64) -> impl Iterator<Item = Range<u64>> {
    let step = len / PLACES;
    (0..PLACES).map(move |place| place * step..place * step + NUMBERS_A_PLACE.min(step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::InMemory;

    fn ns(number: impl Fn(u64) -> u64) -> f64 {
        ns_per_number(&InMemory::new("numbers", (0..4096).map(number).collect::<Vec<u64>>()))
    }

    #[test]
    fn large_numbers_cost_more_than_small_ones_and_primes_most() {
        let even = ns(|i| 2 * i);
        let small = ns(|i| i);
        let random = |i: u64| {
            let mixed = (i ^ i << 32).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ mixed >> 29).wrapping_mul(0x94d0_49bb_1331_11eb) | 1
        };
        let large = ns(|i| random(i + 1));
        let primes = ns(|i| [18_446_744_073_709_551_557, 18_446_744_073_709_551_533][(i % 2) as usize]);
        assert!(even <= small && small < large && large * 4.0 < primes, "{even} {small} {large} {primes}");
        // Chance makes no difference.
        let others = ns(|i| random(i + 7_000_000));
        assert!((others / large).log2().abs() <= 0.5, "{others} {large}");
    }

    #[test]
    fn a_short_list_is_not_looked_at() {
        let short = InMemory::new("numbers", vec![u64::MAX; 100]);
        assert_eq!(ns_per_number(&short).to_bits(), UNSEEN_NS.to_bits());
    }
}
