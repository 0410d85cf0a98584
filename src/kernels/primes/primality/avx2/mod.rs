//! AVX2 and FMA: numbers below 2^50 in floating point, the others by products of 32 bits.

mod long;
mod of_floats;

use std::arch::asm;
use std::arch::x86_64::*;

use super::batch::{Lucas, Method, Strong, Tests, sort_out};
use super::both::Both;
use super::floats::{self, Balanced};
use super::lanes::{lucas, strong_to_two};
use super::vectors::{instructions, tests_with};
use long::Long;

/// Four lanes of 64 bits.
type V = __m256i;

/// The way of this instruction set.
pub(super) static METHOD: Method = Method {
    name: "avx2",
    sort_out,
    from: [floats::END; 2],
    tests: [tests(FLOAT_VECTORS, strong_floats, FLOAT_LUCAS_VECTORS, lucas_floats), LONG_TESTS, LONG_TESTS],
};

/// How many vectors are tested side by side, for their chains of multiplications to hide each other's latency.
const FLOAT_VECTORS: usize = 4;
const FLOAT_LUCAS_VECTORS: usize = 3;
const LONG_VECTORS: usize = 3;
const LONG_LUCAS_VECTORS: usize = 2;
/// And how many numbers in registers beside the long ones: more than these, and the registers do not suffice.
const REGISTERS: usize = 4;

const LONG_TESTS: Tests = Tests {
    strong: (4 * LONG_VECTORS + REGISTERS, strong_long),
    lucas: (4 * LONG_LUCAS_VECTORS + REGISTERS, lucas_long),
};

const fn tests(strong_vectors: usize, strong: Strong, lucas_vectors: usize, lucas: Lucas) -> Tests {
    Tests { strong: (4 * strong_vectors, strong), lucas: (4 * lucas_vectors, lucas) }
}

tests_with! {
    "avx2,fma,bmi1,bmi2";
    strong_floats(numbers) = strong_to_two::<Balanced<__m256d, FLOAT_VECTORS>>;
    lucas_floats(numbers, parameters) = lucas::<Balanced<__m256d, FLOAT_LUCAS_VECTORS>>;
    strong_long(numbers) = strong_to_two::<Both<Long<LONG_VECTORS>, REGISTERS>>;
    lucas_long(numbers, parameters) = lucas::<Both<Long<LONG_LUCAS_VECTORS>, REGISTERS>>;
}

instructions! {
    all(x: u64) -> V = _mm256_set1_epi64x(x as i64);
    zero() -> V = _mm256_setzero_si256();
    add(a: V, b: V) -> V = _mm256_add_epi64(a, b);
    sub(a: V, b: V) -> V = _mm256_sub_epi64(a, b);
    and(a: V, b: V) -> V = _mm256_and_si256(a, b);
    xor(a: V, b: V) -> V = _mm256_xor_si256(a, b);
    mul_32(a: V, b: V) -> V = vpmuludq(a, b);
    high_half(a: V) -> V = _mm256_srli_epi64::<32>(a);
    low_half(a: V) -> V = _mm256_blend_epi32::<0b1010_1010>(a, _mm256_setzero_si256());
    left(a: V, count: u32) -> V = _mm256_sll_epi64(a, _mm_cvtsi32_si128(count as i32));
    right(a: V, count: u32) -> V = _mm256_srl_epi64(a, _mm_cvtsi32_si128(count as i32));
    equal(a: V, b: V) -> V = _mm256_cmpeq_epi64(a, b);
    // Of signed numbers.
    above(a: V, b: V) -> V = _mm256_cmpgt_epi64(a, b);
    // Where the sign of the word is set.
    choose(signs: V, clear: V, set: V) -> V = _mm256_castpd_si256(_mm256_blendv_pd(
        _mm256_castsi256_pd(clear),
        _mm256_castsi256_pd(set),
        _mm256_castsi256_pd(signs)
    ));
    signs(a: V) -> i32 = _mm256_movemask_pd(_mm256_castsi256_pd(a));
    as_floats(a: V) -> __m256d = _mm256_castsi256_pd(a);
    divide(a: __m256d, b: __m256d) -> __m256d = _mm256_div_pd(a, b);
    multiply(a: __m256d, b: __m256d) -> __m256d = _mm256_mul_pd(a, b);
    multiply_sub(a: __m256d, b: __m256d, c: __m256d) -> __m256d = _mm256_fmsub_pd(a, b, c);
    sub_multiply(a: __m256d, b: __m256d, c: __m256d) -> __m256d = _mm256_fnmadd_pd(a, b, c);
    add_floats(a: __m256d, b: __m256d) -> __m256d = _mm256_add_pd(a, b);
    sub_floats(a: __m256d, b: __m256d) -> __m256d = _mm256_sub_pd(a, b);
    rounded(a: __m256d) -> __m256d = _mm256_round_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
    // Whose sign is set; of 0 it may be either.
    and_signs(a: __m256d, b: __m256d) -> __m256d =
        _mm256_and_pd(_mm256_cmp_pd::<_CMP_LT_OQ>(a, _mm256_setzero_pd()), b);
    choose_floats(signs: V, clear: __m256d, set: __m256d) -> __m256d =
        _mm256_blendv_pd(clear, set, _mm256_castsi256_pd(signs));
    equal_floats(a: __m256d, b: __m256d) -> i32 = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_EQ_OQ>(a, b));
    all_floats(x: f64) -> __m256d = _mm256_set1_pd(x);
}

/// The product of the low 32 bits each. In assembly, as the compiler would otherwise see through it, and multiply all 64
/// bits where it finds the upper ones unused, which takes three of these and more.
#[inline]
#[target_feature(enable = "avx2")]
fn vpmuludq(a: V, b: V) -> V {
    let product;
    // SAFETY: this only computes a product.
    unsafe {
        asm!(
            "vpmuludq {}, {}, {}", out(ymm_reg) product, in(ymm_reg) a, in(ymm_reg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    product
}

/// Does something with each of `N` vectors, at most 4, without a loop, as the compiler would keep one of this length, and the vectors
/// in memory.
macro_rules! for_each_vector {
    ($v:ident in $n:ident $body:block) => {{
        const { assert!($n >= 1 && $n <= 4) };
        for_each_vector!(@ $v $n $body 0 1 2 3);
    }};
    (@ $v:ident $n:ident $body:block $($index:literal)*) => {
        $(if $index < $n {
            let $v = $index;
            $body
        })*
    };
}
use for_each_vector;

#[inline(always)]
fn load(words: &[u64]) -> V {
    let words: &[u64; 4] = words[..4].try_into().expect("four words");
    // SAFETY: four words are there; the instruction as above.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

/// The words with the sign set where they have that bit.
#[inline(always)]
fn bit_as_sign(words: V, bit: u32) -> V {
    left(words, 63 - bit)
}
