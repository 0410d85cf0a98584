//! Primes about as large as a block is long, by vectors: sixteen primes of one residue modulo 30 make a turn of the wheel at a
//! time, and what of it lies in the block is packed into a list, which is then crossed off. There is no branch that depends on where
//! a multiple lies.

use std::arch::x86_64::*;

use crate::kernels::primes::sieve::divide;
use crate::kernels::primes::wheel::{BIT_OF_RESIDUE, RESIDUES};

const LANES: usize = 16;

/// So many crossings are gathered at most.
const LIST: usize = 2048;

/// Primes by their residue modulo 30.
#[derive(Default)]
pub(super) struct Sweeps {
    primes: [Class; 8],
}

#[derive(Default)]
struct Class {
    /// `8 * (p / 30)`.
    c: Vec<i32>,
    /// Where the last turn begins that begins before the block that comes, in bits from its start on.
    at: Vec<i32>,
}

impl Sweeps {
    /// Adds a prime, which crosses off from the word `start` on, and from less than its square on.
    pub fn add(&mut self, p: u32, start: u64) {
        let (turn, past) = divide(start * 8, p);
        // Turn 0 holds the prime itself.
        let at = if turn == 0 { p as i32 - (start * 8) as i32 } else { -(past as i32) };
        let class = &mut self.primes[usize::from(BIT_OF_RESIDUE[p as usize % 30])];
        class.c.push((p / 30 * 8) as i32);
        class.at.push(at * 8);
    }

    /// Crosses off in `words`, the block after the one that was last.
    ///
    /// # Safety
    /// The machine has AVX-512 F.
    #[target_feature(enable = "avx512f,popcnt,bmi1,bmi2,lzcnt")]
    pub unsafe fn cross_off(&mut self, words: &mut [u64]) {
        let mut list = List { bits: [0; LIST + LANES], len: 0 };
        let [a, b, c, d, e, f, g, h] = &mut self.primes;
        cross_off::<0>(a, words, &mut list);
        cross_off::<1>(b, words, &mut list);
        cross_off::<2>(c, words, &mut list);
        cross_off::<3>(d, words, &mut list);
        cross_off::<4>(e, words, &mut list);
        cross_off::<5>(f, words, &mut list);
        cross_off::<6>(g, words, &mut list);
        cross_off::<7>(h, words, &mut list);
        list.cross_off(words);
    }
}

/// Bits of a block that are to be cleared.
struct List {
    bits: [u32; LIST + LANES],
    len: usize,
}

impl List {
    #[inline(always)]
    fn cross_off(&mut self, words: &mut [u64]) {
        for &bit in &self.bits[..self.len] {
            // They were compared with the length of the block.
            if let Some(word) = words.get_mut(bit as usize / 64) {
                *word &= !(1 << (bit % 64));
            }
        }
        self.len = 0;
    }
}

/// Which bit a turn of the primes `30 * c + RESIDUES[CLASS]` crosses off with the cofactor `RESIDUES[k]`, past `8 * c * RESIDUES[k]`.
const fn extra<const CLASS: usize>(k: usize) -> i32 {
    let product = RESIDUES[CLASS] as usize * RESIDUES[k] as usize;
    (product / 30 * 8) as i32 + BIT_OF_RESIDUE[product % 30] as i32
}

#[inline]
#[target_feature(enable = "avx512f,popcnt,bmi1,bmi2,lzcnt")]
fn cross_off<const CLASS: usize>(class: &mut Class, words: &mut [u64], list: &mut List) {
    let len = (words.len() * 64) as i32;
    let end = _mm512_set1_epi32(len);
    for (c, at) in class.c.chunks(LANES).zip(class.at.chunks_mut(LANES)) {
        let mut lanes = u16::MAX >> (LANES - c.len());
        // SAFETY: so many lanes are read as there are.
        let (c, mut turn) =
            unsafe { (_mm512_maskz_loadu_epi32(lanes, c.as_ptr()), _mm512_maskz_loadu_epi32(lanes, at.as_ptr())) };
        let c2 = _mm512_add_epi32(c, c);
        let c4 = _mm512_add_epi32(c2, c2);
        let c6 = _mm512_add_epi32(c2, c4);
        let all = lanes;
        while lanes != 0 {
            if list.len > LIST - 8 * LANES {
                list.cross_off(words);
            }
            let mut next = _mm512_add_epi32(turn, c);
            macro_rules! note {
                ($k:literal, $way:expr) => {{
                    let extra = const { extra::<CLASS>($k) };
                    let bits = _mm512_add_epi32(next, _mm512_set1_epi32(extra));
                    let hits = _mm512_mask_cmplt_epu32_mask(lanes, bits, end);
                    // SAFETY: there is room for eight vectors, and one past the end for lanes that are none.
                    unsafe {
                        let to = list.bits.as_mut_ptr().add(list.len);
                        _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi32(hits, bits));
                    }
                    list.len += hits.count_ones() as usize;
                    next = _mm512_add_epi32(next, $way);
                }};
            }
            note!(0, c6);
            note!(1, c4);
            note!(2, c2);
            note!(3, c4);
            note!(4, c2);
            note!(5, c4);
            note!(6, c6);
            note!(7, c);
            next = _mm512_add_epi32(next, _mm512_set1_epi32(8 * i32::from(RESIDUES[CLASS])));
            lanes = _mm512_mask_cmplt_epi32_mask(lanes, next, end);
            turn = _mm512_mask_mov_epi32(turn, lanes, next);
        }
        // SAFETY: so many lanes are written as there are.
        unsafe { _mm512_mask_storeu_epi32(at.as_mut_ptr(), all, _mm512_sub_epi32(turn, end)) };
    }
}
