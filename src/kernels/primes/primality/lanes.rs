//! The two tests, on many numbers side by side, over any arithmetic that does so: a single chain of multiplications
//! waits for each of them, and many hide that.

/// Arithmetic modulo [`Lanes::LANES`] odd numbers at a time, by Montgomery's multiplication (Montgomery 1985). What it
/// computes with are residues of its own form and range; what [`Lanes::one`], [`Lanes::small`] and [`Lanes::negative`] give is
/// the least of its class, and only such are subtracted and compared with.
pub(super) trait Lanes: Sized {
    /// How many numbers, 64 at most.
    const LANES: usize;
    /// So many bits of an exponent [`Lanes::square_and_shift`] can take at a time.
    const SHIFT_BITS: u32;
    /// So many bits of an exponent it pays to begin with by [`Lanes::small`].
    const START_BITS: u32;
    /// A residue a lane.
    type Residues: Copy;
    /// A word a lane.
    type Words: Copy;

    /// Arithmetic modulo the first numbers of a slice.
    ///
    /// # Safety
    /// The machine must have the instruction set that the implementation is written for.
    unsafe fn new(numbers: &[u64]) -> Self;
    /// The first words of a slice.
    fn words(&self, words: &[u64]) -> Self::Words;
    /// Bit `i` says whether the word of lane `i` has that bit.
    fn having(&self, words: Self::Words, bit: u32) -> u64;
    /// What stands for 1.
    fn one(&self) -> Self::Residues;
    /// What stands for numbers below 2^40.
    fn small(&self, words: &[u64]) -> Self::Residues;
    /// The negative of such residues, none of which is 0.
    fn negative(&self, x: Self::Residues) -> Self::Residues;
    /// `x * x * 2^digit`, where the digit is `width` bits of the word from `low` on. The exponent is the word, bit by bit.
    fn square_and_shift(&self, x: Self::Residues, words: Self::Words, low: u32, width: u32) -> Self::Residues;
    /// `x * x - less`.
    fn square_less(&self, x: Self::Residues, less: Self::Residues) -> Self::Residues;
    /// `x * y - less`.
    fn product_less(&self, x: Self::Residues, y: Self::Residues, less: Self::Residues) -> Self::Residues;
    /// `set` in the lanes whose word has that bit, else `clear`.
    fn select(&self, words: Self::Words, bit: u32, clear: Self::Residues, set: Self::Residues) -> Self::Residues;
    /// Bit `i` says whether lane `i` of `x`, which [`Lanes::square_less`], [`Lanes::product_less`], or
    /// [`Lanes::square_and_shift`] by one bit gave, is that residue.
    fn equal(&self, x: Self::Residues, least: Self::Residues) -> u64;
    /// Bit `i` says whether lane `i` of such an `x` is 0.
    fn is_zero(&self, x: Self::Residues) -> u64;
}

/// Which of the first numbers of a slice, all odd and above 4096, are strong probable primes to base 2.
///
/// # Safety
/// See [`Lanes::new`].
#[inline(always)]
pub(super) unsafe fn strong_to_two<L: Lanes>(numbers: &[u64]) -> u64 {
    let numbers = &numbers[..L::LANES];
    // Bit by bit, the exponents n - 1 are the numbers, but for the lowest, which is not needed.
    let (mut any, mut lowest_any, mut lowest) = (0, 0, [0; 64]);
    for (lane, &n) in numbers.iter().enumerate() {
        let exponent = n - 1;
        lowest[lane] = exponent & exponent.wrapping_neg();
        any |= exponent;
        lowest_any |= lowest[lane];
    }
    let (bits, twos_max) = (64 - any.leading_zeros(), 63 - lowest_any.leading_zeros());
    // SAFETY: the caller's promise.
    let lanes = unsafe { L::new(numbers) };
    let exponents = lanes.words(numbers);
    let lowest = lanes.words(&lowest);
    let one = lanes.one();
    let minus_one = lanes.negative(one);
    // All lanes square in step, whatever the power of 2 in their exponent: x is 2^(exponent >> at). The first digit may
    // cost no squaring.
    let mut at = bits - (bits - twos_max - 1).min(L::START_BITS);
    let mut x = one;
    if L::START_BITS > 0 {
        let mut powers = [0; 64];
        for (power, n) in powers.iter_mut().zip(numbers) {
            *power = 1 << n.checked_shr(at).unwrap_or(0);
        }
        x = lanes.small(&powers);
    }
    while at > twos_max + 1 {
        let width = L::SHIFT_BITS.min(at - twos_max - 1);
        at -= width;
        for _ in 1..width {
            x = lanes.square_and_shift(x, exponents, 0, 0);
        }
        x = lanes.square_and_shift(x, exponents, at, width);
    }
    // From where the exponent of a lane is odd on, to half of the whole, it may come to -1; at the first also to 1.
    let (mut begun, mut strong) = (0, 0);
    for at in (1..=twos_max).rev() {
        x = lanes.square_and_shift(x, exponents, at, 1);
        let begins = lanes.having(lowest, at);
        begun |= begins;
        strong |= begun & lanes.equal(x, minus_one);
        if begins != 0 {
            strong |= begins & lanes.equal(x, one);
        }
    }
    strong
}

/// Which of the first numbers of a slice pass the almost extra strong Lucas test: with `n + 1 = d * 2^s`, `d` odd, `V(d)` is 2
/// or -2 modulo `n`, or one of `V(d * 2^r)` with `r` below `s - 1` is 0. The numbers are odd, above 4096 and below 2^64 - 1;
/// the parameters are theirs, at most [`PARAMETER_MAX`](super::lucas::PARAMETER_MAX).
///
/// # Safety
/// See [`Lanes::new`].
#[inline(always)]
pub(super) unsafe fn lucas<L: Lanes>(numbers: &[u64], parameters: &[u64]) -> u64 {
    let (numbers, parameters) = (&numbers[..L::LANES], &parameters[..L::LANES]);
    let (mut any, mut lowest_any) = (0, 0);
    for n in numbers {
        let exponent = n + 1;
        any |= exponent;
        lowest_any |= exponent & exponent.wrapping_neg();
    }
    let (bits, twos_max) = (64 - any.leading_zeros(), 63 - lowest_any.leading_zeros());
    // The first two bits come from formulas, where they are above all that must be looked at.
    let top = if twos_max + 2 < bits { bits - 2 } else { bits };
    let (mut lowest, mut changes) = ([0; 64], [0; 64]);
    let (mut even, mut odd) = ([0; 64], [0; 64]);
    for lane in 0..L::LANES {
        let (exponent, p) = (numbers[lane] + 1, parameters[lane]);
        lowest[lane] = exponent & exponent.wrapping_neg();
        changes[lane] = exponent ^ exponent >> 1;
        // V(0) to V(4), below 2^40.
        let v = [2, p, p * p - 2, p * (p * p - 3), p * p * (p * p - 4) + 2];
        let k = exponent.checked_shr(top).unwrap_or(0) as usize;
        (even[lane], odd[lane]) = if k.is_multiple_of(2) { (v[k], v[k + 1]) } else { (v[k + 1], v[k]) };
    }
    // SAFETY: the caller's promise.
    let lanes = unsafe { L::new(numbers) };
    let (lowest, changes) = (lanes.words(&lowest), lanes.words(&changes));
    let two = lanes.small(&[2; 64]);
    let minus_two = lanes.negative(two);
    let p = lanes.small(parameters);
    // Of V(k) and V(k + 1), where k = exponent >> at, the one of even and the one of odd index. V(2m) is V(m)^2 - 2, and
    // V(2m + 1) is V(m) V(m + 1) - P. The next bit says which of both is squared: that of even index where it is the same.
    let (mut even, mut odd) = (lanes.small(&even), lanes.small(&odd));
    for at in (twos_max + 1..top).rev() {
        let next = lanes.select(changes, at, even, odd);
        (even, odd) = (lanes.square_less(next, two), lanes.product_less(even, odd, p));
    }
    let (mut begun, mut strong) = (0, 0);
    for at in (1..=twos_max).rev() {
        let next = lanes.select(changes, at, even, odd);
        (even, odd) = (lanes.square_less(next, two), lanes.product_less(even, odd, p));
        // Where the exponent is even, so is k.
        if at >= 2 {
            strong |= begun & lanes.is_zero(even);
        }
        let begins = lanes.having(lowest, at);
        if begins != 0 {
            begun |= begins;
            let mut passes = lanes.equal(odd, two) | lanes.equal(odd, minus_two);
            if at >= 2 {
                passes |= lanes.is_zero(odd);
            }
            strong |= begins & passes;
        }
    }
    strong
}
