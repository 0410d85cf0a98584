//! Vectors, and a few numbers more in registers of 64 bits beside them. Vectors keep their own multiplier busy, and leave that of the
//! registers idle, and half of the instructions that a core could begin: up to four numbers take no more time.

use std::hint::select_unpredictable;

use super::lanes::Lanes;
use super::scalar::Scalar;

/// The lanes of `A`, then `N` numbers in registers.
#[derive(Clone, Copy)]
pub(super) struct Both<A, const N: usize> {
    vectors: A,
    registers: Scalar<N>,
    /// 1 to 128 in the registers' form: a digit of the exponent is one more multiplication. Unused where digits are bits.
    powers: [[u64; 1 << DIGIT_BITS_MAX]; N],
}

const DIGIT_BITS_MAX: u32 = 3;

/// The same number, of which the compiler cannot know that others beside it are treated alike: it would put them into a vector, where
/// there is no multiplication for them.
#[inline(always)]
fn in_register(mut x: u64) -> u64 {
    // SAFETY: it does nothing.
    unsafe { std::arch::asm!("/* {0} */", inout(reg) x, options(pure, nomem, nostack, preserves_flags)) };
    x
}

#[inline(always)]
fn each<const N: usize>(of_lane: impl Fn(usize) -> u64) -> [u64; N] {
    let mut all = [0; N];
    for (lane, one) in all.iter_mut().enumerate() {
        *one = of_lane(lane);
    }
    all
}

impl<A, const N: usize> Both<A, N> {
    #[inline(always)]
    fn products_less(&self, x: [u64; N], y: [u64; N], less: [u64; N]) -> [u64; N] {
        each(|lane| {
            let product = in_register(self.registers.mul(lane, x[lane], y[lane]));
            in_register(self.registers.difference(lane, product, less[lane]))
        })
    }
}

impl<A: Lanes, const N: usize> Lanes for Both<A, N> {
    const LANES: usize = A::LANES + N;
    const SHIFT_BITS: u32 = {
        assert!(A::SHIFT_BITS <= DIGIT_BITS_MAX && A::LANES + N <= 64);
        A::SHIFT_BITS
    };
    const START_BITS: u32 = A::START_BITS;
    type Residues = (A::Residues, [u64; N]);
    type Words = (A::Words, [u64; N]);

    #[inline(always)]
    unsafe fn new(numbers: &[u64]) -> Self {
        // SAFETY: the caller's promise; `Scalar` needs no instruction set.
        let (vectors, registers) = unsafe { (A::new(numbers), Scalar::<N>::new(&numbers[A::LANES..])) };
        let mut powers = [[0; 1 << DIGIT_BITS_MAX]; N];
        for (lane, one) in registers.one().into_iter().enumerate() {
            let mut power = one;
            for of_lane in &mut powers[lane] {
                *of_lane = power;
                power = registers.double(lane, power);
            }
        }
        Self { vectors, registers, powers }
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> Self::Words {
        (self.vectors.words(words), self.registers.words(&words[A::LANES..]))
    }

    #[inline(always)]
    fn having(&self, words: Self::Words, bit: u32) -> u64 {
        self.vectors.having(words.0, bit) | self.registers.having(words.1, bit) << A::LANES
    }

    #[inline(always)]
    fn one(&self) -> Self::Residues {
        (self.vectors.one(), self.registers.one())
    }

    #[inline(always)]
    fn small(&self, words: &[u64]) -> Self::Residues {
        (self.vectors.small(words), self.registers.small(&words[A::LANES..]))
    }

    #[inline(always)]
    fn negative(&self, x: Self::Residues) -> Self::Residues {
        (self.vectors.negative(x.0), self.registers.negative(x.1))
    }

    #[inline(always)]
    fn square_and_shift(&self, x: Self::Residues, words: Self::Words, low: u32, width: u32) -> Self::Residues {
        let vectors = self.vectors.square_and_shift(x.0, words.0, low, width);
        let registers = each(|lane| {
            let square = in_register(self.registers.mul(lane, x.1[lane], x.1[lane]));
            if width == 0 {
                return square;
            }
            if A::SHIFT_BITS == 1 {
                let doubles = words.1[lane] >> low & 1 == 1;
                return select_unpredictable(doubles, self.registers.double(lane, square), square);
            }
            let digit = words.1[lane] >> low & ((1 << width) - 1);
            // A digit has no more than these bits.
            let power = self.powers[lane][digit as usize % (1 << DIGIT_BITS_MAX)];
            in_register(self.registers.mul(lane, square, power))
        });
        (vectors, registers)
    }

    #[inline(always)]
    fn square_less(&self, x: Self::Residues, less: Self::Residues) -> Self::Residues {
        let vectors = self.vectors.square_less(x.0, less.0);
        (vectors, self.products_less(x.1, x.1, less.1))
    }

    #[inline(always)]
    fn product_less(&self, x: Self::Residues, y: Self::Residues, less: Self::Residues) -> Self::Residues {
        let vectors = self.vectors.product_less(x.0, y.0, less.0);
        (vectors, self.products_less(x.1, y.1, less.1))
    }

    #[inline(always)]
    fn select(&self, words: Self::Words, bit: u32, clear: Self::Residues, set: Self::Residues) -> Self::Residues {
        (self.vectors.select(words.0, bit, clear.0, set.0), self.registers.select(words.1, bit, clear.1, set.1))
    }

    #[inline(always)]
    fn equal(&self, x: Self::Residues, least: Self::Residues) -> u64 {
        self.vectors.equal(x.0, least.0) | self.registers.equal(x.1, least.1) << A::LANES
    }

    #[inline(always)]
    fn is_zero(&self, x: Self::Residues) -> u64 {
        self.vectors.is_zero(x.0) | self.registers.is_zero(x.1) << A::LANES
    }
}
