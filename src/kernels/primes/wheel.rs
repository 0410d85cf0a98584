//! The wheel of 30: the numbers that neither 2, 3 nor 5 divides, one bit each, thirty numbers a byte.
//!
//! Bit `8 * j + k` of word `w` stands for the number `240 * w + 30 * j + RESIDUES[k]`.

/// How many numbers a word of 64 bits stands for.
pub const NUMBERS_PER_WORD: u64 = 240;

/// The residues modulo 30 that its primes do not divide, in the order of their bits.
pub const RESIDUES: [u8; 8] = [1, 7, 11, 13, 17, 19, 23, 29];

/// The primes that the wheel leaves out.
pub(super) const WHEEL_PRIMES: [u64; 3] = [2, 3, 5];

/// The bit of each residue modulo 30; 8 where it has none.
pub(super) const BIT_OF_RESIDUE: [u8; 30] = {
    let mut bits = [8; 30];
    let mut k = 0;
    while k < 8 {
        bits[RESIDUES[k] as usize] = k as u8;
        k += 1;
    }
    bits
};

/// The number that bit `bit` of a word stands for, past the word's first number.
pub(super) const fn offset_of_bit(bit: u32) -> u64 {
    (bit / 8) as u64 * 30 + RESIDUES[(bit % 8) as usize] as u64
}

/// The bits of a word that stand for numbers below `offset` past its first.
pub(super) fn bits_below(offset: u64) -> u64 {
    (0..64).filter(|&bit| offset_of_bit(bit) < offset).fold(0, |bits, bit| bits | 1 << bit)
}
