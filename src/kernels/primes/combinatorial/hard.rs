//! Special leaves that have to be counted: a segment of the numbers up to n / y is sieved by one prime after the other, and before
//! each, the leaves that fall into it count what is left.

use crate::kernels::primes::combinatorial::partial::Stretch;
use crate::kernels::primes::combinatorial::prime_counts::UP_TO;
use crate::kernels::primes::combinatorial::small_phi;
use crate::kernels::primes::combinatorial::tables::Tables;
use crate::kernels::primes::combinatorial::{SEGMENT_NUMBERS, SEGMENT_WORDS};
use crate::kernels::primes::wheel::{BIT_OF_RESIDUE, NUMBERS_PER_WORD, RESIDUES};

/// Words of which the numbers that are left are also counted together.
const GROUP_WORDS: usize = 64;

/// Room for a segment: a bit for each number on the wheel that is left, and their counts by groups of words.
#[derive(Debug)]
pub(super) struct Room {
    words: Vec<u64>,
    groups: Vec<u32>,
}

/// Where in a segment the leaf before lay: leaves of one b come in ascending order.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    group: usize,
    /// What is left before that group.
    before: u64,
}

impl Room {
    pub fn new() -> Self {
        Self { words: vec![0; SEGMENT_WORDS], groups: vec![0; SEGMENT_WORDS / GROUP_WORDS] }
    }

    /// The hard leaves of a segment.
    #[inline(always)]
    pub fn leaves(&mut self, tables: &Tables, segment: u64) -> Stretch {
        let low = segment * SEGMENT_NUMBERS;
        let mut left = self.begin(tables, low);
        let mut stretch = Stretch::new(segment);
        for b in small_phi::PRIMES + 1..=tables.b_hard(low) {
            stretch.left.push(left);
            let (sum, leaves) =
                if b <= tables.b_composite { self.of_any(tables, b, low) } else { self.of_primes(tables, b, low) };
            stretch.sum += i128::from(sum);
            stretch.leaves.push(leaves);
            left -= self.cross_off(tables.prime(b), low, true);
        }
        stretch
    }

    /// Fills in what the first seven primes leave, and counts it.
    #[inline(always)]
    fn begin(&mut self, tables: &Tables, low: u64) -> u64 {
        self.words.fill(u64::MAX);
        for b in 4..=small_phi::PRIMES {
            self.cross_off(tables.prime(b), low, false);
        }
        for (group, words) in self.groups.iter_mut().zip(self.words.chunks(GROUP_WORDS)) {
            *group = words.iter().map(|word| word.count_ones()).sum();
        }
        self.groups.iter().map(|&count| u64::from(count)).sum()
    }

    /// The leaves of a b of which m may be composite, and how many they are, each by its sign.
    #[inline(always)]
    fn of_any(&self, tables: &Tables, b: usize, low: u64) -> (i64, i64) {
        let p = tables.prime(b);
        let quotient = tables.n / p;
        // v = n / (p · m) lies in the segment, and p · m is above y.
        let above = (quotient / (low + SEGMENT_NUMBERS)).max(tables.y / p);
        let up_to = quotient.checked_div(low).map_or(tables.y, |m| m.min(tables.y));
        let (mut sum, mut leaves, mut place) = (0, 0, Place::default());
        for m in (above + 1..=up_to).rev() {
            let factor = tables.factors[m as usize];
            if u64::from(factor.unsigned_abs()) > p {
                let sign = i64::from(factor.signum());
                sum -= sign * self.left_up_to(&mut place, quotient / m - low) as i64;
                leaves -= sign;
            }
        }
        (sum, leaves)
    }

    /// The leaves of a b of which m is a prime.
    #[inline(always)]
    fn of_primes(&self, tables: &Tables, b: usize, low: u64) -> (i64, i64) {
        let p = tables.prime(b);
        let quotient = tables.n / p;
        let above = (quotient / (low + SEGMENT_NUMBERS)).max(p).min(tables.y);
        // Beyond n / p³ they are easy.
        let up_to = quotient.checked_div(low).map_or(tables.y, |m| m.min(tables.y)).min(quotient / p / p);
        let [above, up_to] = [above, up_to].map(|q| tables.counts.at(q) as usize);
        let (mut sum, mut place) = (0, Place::default());
        for &q in tables.primes[above.min(up_to) + 1..=up_to].iter().rev() {
            sum += self.left_up_to(&mut place, quotient / u64::from(q) - low) as i64;
        }
        (sum, up_to.saturating_sub(above) as i64)
    }

    /// How many numbers are left of the segment up to the one so far into it.
    #[inline(always)]
    fn left_up_to(&self, place: &mut Place, offset: u64) -> u64 {
        let word = (offset / NUMBERS_PER_WORD) as usize;
        let group = word / GROUP_WORDS;
        for &count in &self.groups[place.group..group] {
            place.before += u64::from(count);
        }
        place.group = group;
        let whole: u32 = self.words[group * GROUP_WORDS..word].iter().map(|word| word.count_ones()).sum();
        let part = (self.words[word] & UP_TO[(offset % NUMBERS_PER_WORD) as usize]).count_ones();
        place.before + u64::from(whole + part)
    }

    /// Crosses off the multiples of a prime, the prime itself among them, and counts what had been left.
    #[inline(always)]
    fn cross_off(&mut self, p: u64, low: u64, counted: bool) -> u64 {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        let first = low.div_ceil(p).max(1);
        let mut gone = 0;
        for residue in RESIDUES {
            let mut factor = first / 30 * 30 + u64::from(residue);
            if factor < first {
                factor += 30;
            }
            let offset = p * factor - low;
            let bit = BIT_OF_RESIDUE[(p * factor % 30) as usize];
            let mut at = byte_of(offset);
            while at < bytes.len() {
                let byte = &mut bytes[placed(at)];
                let one = *byte >> bit & 1;
                *byte &= !(1 << bit);
                if counted {
                    self.groups[at / (8 * GROUP_WORDS)] -= u32::from(one);
                    gone += u64::from(one);
                }
                at += p as usize;
            }
        }
        gone
    }
}

fn byte_of(offset: u64) -> usize {
    (offset / 30) as usize
}

/// Where byte `at` of the segment lies among the bytes of its words in memory.
#[inline(always)]
const fn placed(at: usize) -> usize {
    if cfg!(target_endian = "big") { at ^ 7 } else { at }
}
