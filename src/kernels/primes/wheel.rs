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

/// For each number below 30, the least one from it on that is on the wheel.
pub(super) const UP_TO_RESIDUE: [u8; 30] = {
    let mut least = [29; 30];
    let mut n = 29;
    while n > 0 {
        n -= 1;
        least[n] = if BIT_OF_RESIDUE[n] < 8 { n as u8 } else { least[n + 1] };
    }
    least
};

/// The number that bit `bit` of a word stands for, past the word's first number.
pub(super) const fn offset_of_bit(bit: u32) -> u64 {
    (bit / 8) as u64 * 30 + RESIDUES[(bit % 8) as usize] as u64
}

/// The bits of a word that stand for numbers below `offset` past its first.
pub(super) fn bits_below(offset: u64) -> u64 {
    (0..64).filter(|&bit| offset_of_bit(bit) < offset).fold(0, |bits, bit| bits | 1 << bit)
}

/// One step from a multiple `p * q` to the next `p * (q + gap)` with a cofactor on the wheel, where `p = 30 * c + r`.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// All bits but the one of `p * q`.
    pub mask: u8,
    /// The way in bytes is `gap * c + extra`.
    pub gap: u8,
    /// See `gap`.
    pub extra: u8,
    /// The step that follows.
    pub next: u8,
}

/// The steps, by `8 * (bit of r) + (bit of q % 30)`.
pub(super) static STEPS: [Step; 64] = {
    let mut steps = [Step { mask: 0, gap: 0, extra: 0, next: 0 }; 64];
    let mut i = 0;
    while i < 64 {
        let r = RESIDUES[i / 8] as u32;
        let w = RESIDUES[i % 8] as u32;
        let w_next = if i % 8 == 7 { 31 } else { RESIDUES[i % 8 + 1] as u32 };
        steps[i] = Step {
            mask: !(1 << BIT_OF_RESIDUE[(r * w % 30) as usize]),
            gap: (w_next - w) as u8,
            extra: (r * w_next / 30 - r * w / 30) as u8,
            next: (i / 8 * 8 + (i + 1) % 8) as u8,
        };
        i += 1;
    }
    steps
};
