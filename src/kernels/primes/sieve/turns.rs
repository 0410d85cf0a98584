//! Primes that cross off often: by turns of the wheel. The eight multiples of a turn, `p * (30 * t + w)` for the residues `w`, lie
//! within `p` bytes, at places that depend only on `p / 30` and, by a constant, on `p % 30`: there is one loop for each of
//! these residues, of eight crossings without a branch between them.
//!
//! Turns are always made whole. What of them lies before or after the segment falls on numbers next to it, which are
//! composite as well, or on the margins of the block. So no state is kept but the place of a turn.

use crate::kernels::primes::sieve::divide;
use crate::kernels::primes::wheel::{BIT_OF_RESIDUE, RESIDUES};

/// Primes by their residue modulo 30.
#[derive(Default)]
pub(super) struct Turns {
    primes: [Vec<Turn>; 8],
}

#[derive(Clone, Copy)]
struct Turn {
    /// `p / 30`.
    c: u32,
    /// The byte of the second turn to make in the segment that comes, from its start on; the first may begin before it.
    second: u32,
}

impl Turns {
    /// Adds a prime above 30, which crosses off from the word `start` on, by turns that begin at most `p` bytes before it.
    ///
    /// # Panics
    /// Where it is not above those before.
    pub fn add(&mut self, p: u32, start: u64) {
        let (turn, past) = divide(start * 8, p);
        // The first turn of all numbers holds the prime itself.
        let second = if turn == 0 { 2 * p - (start * 8) as u32 } else { p - past };
        let class = &mut self.primes[usize::from(BIT_OF_RESIDUE[p as usize % 30])];
        // By the greatest, the margins are known to be wide enough.
        assert!(class.last().is_none_or(|last| last.c < p / 30), "they ascend");
        class.push(Turn { c: p / 30, second });
    }

    /// Crosses off in the segment `from..to` of `bytes`, which comes after the one that was last.
    ///
    /// # Panics
    /// Where there are fewer bytes than the greatest prime on either side of the segment.
    pub fn cross_off(&mut self, bytes: &mut [u8], from: usize, to: usize) {
        let [a, b, c, d, e, f, g, h] = &mut self.primes;
        cross_off::<0>(a, bytes, from, to);
        cross_off::<1>(b, bytes, from, to);
        cross_off::<2>(c, bytes, from, to);
        cross_off::<3>(d, bytes, from, to);
        cross_off::<4>(e, bytes, from, to);
        cross_off::<5>(f, bytes, from, to);
        cross_off::<6>(g, bytes, from, to);
        cross_off::<7>(h, bytes, from, to);
    }
}

/// What a turn of the primes `30 * c + RESIDUES[CLASS]` crosses off with the cofactor `RESIDUES[k]`: the mask of its bit, and how
/// many bytes it lies past `c * RESIDUES[k]`.
const fn crossing<const CLASS: usize>(k: usize) -> (u8, usize) {
    let product = RESIDUES[CLASS] as usize * RESIDUES[k] as usize;
    (!(1 << BIT_OF_RESIDUE[product % 30]), product / 30)
}

fn cross_off<const CLASS: usize>(primes: &mut [Turn], bytes: &mut [u8], from: usize, to: usize) {
    let residue = usize::from(RESIDUES[CLASS]);
    let Some(last) = primes.last() else { return };
    let greatest = last.c as usize * 30 + residue;
    assert!(from >= greatest && to >= from && bytes.len() - to >= greatest, "the margins hold a turn");
    let bytes = bytes.as_mut_ptr();
    for prime in primes {
        let c = prime.c as usize;
        let p = 30 * c + residue;
        let mut at = from + prime.second as usize - p;
        while at < to {
            macro_rules! cross_off {
                ($($k:literal)*) => {$(
                    let (mask, extra) = const { crossing::<CLASS>($k) };
                    // SAFETY: `at` is at least `from - p`, which is none below 0, and below `to`; the crossings of a turn lie
                    // within the `p` bytes from `at` on, and `to + p` is no greater than the length.
                    unsafe { *bytes.add(at + c * RESIDUES[$k] as usize + extra) &= mask };
                )*};
            }
            cross_off!(0 1 2 3 4 5 6 7);
            at += p;
        }
        prime.second = (at - to) as u32;
    }
}
