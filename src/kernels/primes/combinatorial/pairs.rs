//! P2: numbers up to n that are products of two primes above y, counted where the primes up to n / y are found.

use std::ops::Range;

use crate::kernels::Isa;
use crate::kernels::primes::base_primes::BasePrimes;
use crate::kernels::primes::combinatorial::partial::Stretch;
use crate::kernels::primes::combinatorial::prime_counts::UP_TO;
use crate::kernels::primes::combinatorial::tables::Tables;
use crate::kernels::primes::combinatorial::{SEGMENT_NUMBERS, SEGMENT_WORDS};
use crate::kernels::primes::sieve::Sieve;
use crate::kernels::primes::wheel::{NUMBERS_PER_WORD, WHEEL_PRIMES};

/// Counts the primes of these segments, and adds to `stretch` what P2 has there: for each prime p above y up to √n of which n / p lies in
/// them, π(n / p) - π(p) + 1, counted from the begin of the first segment.
#[inline(always)]
pub(super) fn count_pairs(tables: &Tables, segments: Range<u64>, isa: Isa, stretch: &mut Stretch) {
    let words = segments.start * SEGMENT_WORDS as u64..segments.end * SEGMENT_WORDS as u64;
    let root = (segments.end * SEGMENT_NUMBERS).isqrt();
    let base = BasePrimes::up_to(root);
    let (n_root, y) = (tables.n.isqrt(), tables.y);
    let mut before = if segments.start == 0 { WHEEL_PRIMES.len() as u64 } else { 0 };
    Sieve::new(base.below_or_at(root), words).on(isa).for_each_block(|first_word, block| {
        let low = first_word * NUMBERS_PER_WORD;
        let high = low + block.len() as u64 * NUMBERS_PER_WORD;
        let above = (tables.n / high).max(y);
        let up_to = tables.n.checked_div(low).map_or(n_root, |p| p.min(n_root));
        let (mut word, mut whole) = (0, 0);
        if up_to > above {
            let mut index = tables.counts.at(up_to);
            for p in tables.counts.down(up_to).take_while(|&p| p > above) {
                let offset = tables.n / p - low;
                let at = (offset / NUMBERS_PER_WORD) as usize;
                whole += block[word..at].iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
                word = at;
                let part = (block[at] & UP_TO[(offset % NUMBERS_PER_WORD) as usize]).count_ones();
                stretch.sum -= i128::from(before + whole + u64::from(part)) - i128::from(index) + 1;
                stretch.pairs += 1;
                index -= 1;
            }
        }
        before += whole + block[word..].iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
    });
    stretch.primes = before;
}
