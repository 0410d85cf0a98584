//! AVX-512 with IFMA, which multiplies integers of 52 bits and adds either half of their products to lanes of 64.

mod long;
mod of_floats;
mod short;

use std::arch::x86_64::*;

use super::batch::{Lucas, Method, Strong, Tests, Waiting};
use super::both::Both;
use super::floats::{self, Balanced};
use super::lanes::{lucas, strong_to_two};
use super::trial::{self, Divisor};
use super::vectors::{instructions, tests_with};
use long::Long;
use short::Short;

/// Eight lanes of 64 bits.
type V = __m512i;

/// The bits of a limb.
const LIMB: u64 = (1 << 52) - 1;

/// The way of this instruction set; see [`is_available`].
pub(super) static METHOD: Method = Method {
    name: "avx512 ifma",
    sort_out,
    from: [floats::END, 1 << 52],
    tests: [
        tests(FLOAT_VECTORS, strong_floats, FLOAT_LUCAS_VECTORS, lucas_floats),
        tests(SHORT_VECTORS, strong_short, SHORT_VECTORS, lucas_short),
        Tests {
            strong: (8 * LONG_VECTORS + REGISTERS, strong_long),
            lucas: (8 * LONG_LUCAS_VECTORS + REGISTERS, lucas_long),
        },
    ],
};

/// How many vectors are tested side by side, for their chains of multiplications to hide each other's latency.
const FLOAT_VECTORS: usize = 6;
const FLOAT_LUCAS_VECTORS: usize = 4;
const SHORT_VECTORS: usize = 4;
const LONG_VECTORS: usize = 4;
const LONG_LUCAS_VECTORS: usize = 3;
/// And how many numbers in registers beside the long ones: that many take no more time, and for more the registers do not suffice.
const REGISTERS: usize = 4;

const fn tests(strong_vectors: usize, strong: Strong, lucas_vectors: usize, lucas: Lucas) -> Tests {
    Tests { strong: (8 * strong_vectors, strong), lucas: (8 * lucas_vectors, lucas) }
}

/// Whether this machine has what is needed beside [`Isa::Avx512`](crate::kernels::Isa::Avx512).
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512ifma")
}

tests_with! {
    "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma";
    strong_floats(numbers) = strong_to_two::<Balanced<__m512d, FLOAT_VECTORS>>;
    lucas_floats(numbers, parameters) = lucas::<Balanced<__m512d, FLOAT_LUCAS_VECTORS>>;
    strong_short(numbers) = strong_to_two::<Short<SHORT_VECTORS>>;
    lucas_short(numbers, parameters) = lucas::<Short<SHORT_VECTORS>>;
    strong_long(numbers) = strong_to_two::<Both<Long<LONG_VECTORS>, REGISTERS>>;
    lucas_long(numbers, parameters) = lucas::<Both<Long<LONG_LUCAS_VECTORS>, REGISTERS>>;
}

instructions! {
    all(x: u64) -> V = _mm512_set1_epi64(x as i64);
    zero() -> V = _mm512_setzero_si512();
    add(a: V, b: V) -> V = _mm512_add_epi64(a, b);
    sub(a: V, b: V) -> V = _mm512_sub_epi64(a, b);
    xor(a: V, b: V) -> V = _mm512_xor_si512(a, b);
    and(a: V, b: V) -> V = _mm512_and_si512(a, b);
    min(a: V, b: V) -> V = _mm512_min_epu64(a, b);
    // sum + the low or the high 52 bits of a * b, of which the low 52 bits each count.
    low(sum: V, a: V, b: V) -> V = _mm512_madd52lo_epu64(sum, a, b);
    high(sum: V, a: V, b: V) -> V = _mm512_madd52hi_epu64(sum, a, b);
    // Of all 64 bits each, the low ones.
    mul_64(a: V, b: V) -> V = _mm512_mullo_epi64(a, b);
    carry(a: V) -> V = _mm512_srai_epi64::<52>(a);
    limb_1(a: V) -> V = _mm512_srli_epi64::<52>(a);
    right(a: V, count: u32) -> V = _mm512_srl_epi64(a, _mm_cvtsi32_si128(count as i32));
    left_each(a: V, counts: V) -> V = _mm512_sllv_epi64(a, counts);
    equal(a: V, b: V) -> __mmask8 = _mm512_cmpeq_epi64_mask(a, b);
    above(lanes: __mmask8, a: V, b: V) -> __mmask8 = _mm512_mask_cmpgt_epu64_mask(lanes, a, b);
    negative(a: V) -> __mmask8 = _mm512_movepi64_mask(a);
    any_of(a: V, b: V) -> __mmask8 = _mm512_test_epi64_mask(a, b);
    choose(mask: __mmask8, clear: V, set: V) -> V = _mm512_mask_mov_epi64(clear, mask, set);
    to_floats(a: V) -> __m512d = _mm512_cvtepu64_pd(a);
    truncated(a: __m512d) -> V = _mm512_cvttpd_epi64(a);
    divide(a: __m512d, b: __m512d) -> __m512d = _mm512_div_pd(a, b);
    multiply(a: __m512d, b: __m512d) -> __m512d = _mm512_mul_pd(a, b);
    multiply_add(a: __m512d, b: __m512d, c: __m512d) -> __m512d = _mm512_fmadd_pd(a, b, c);
    multiply_sub(a: __m512d, b: __m512d, c: __m512d) -> __m512d = _mm512_fmsub_pd(a, b, c);
    sub_multiply(a: __m512d, b: __m512d, c: __m512d) -> __m512d = _mm512_fnmadd_pd(a, b, c);
    add_floats(a: __m512d, b: __m512d) -> __m512d = _mm512_add_pd(a, b);
    sub_floats(a: __m512d, b: __m512d) -> __m512d = _mm512_sub_pd(a, b);
    scaled(a: __m512d, exponents: __m512d) -> __m512d = _mm512_scalef_pd(a, exponents);
    rounded(a: __m512d) -> __m512d =
        _mm512_roundscale_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
    below(a: __m512d, b: __m512d) -> __mmask8 = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b);
    equal_floats(a: __m512d, b: __m512d) -> __mmask8 = _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b);
    add_where(a: __m512d, mask: __mmask8, b: __m512d) -> __m512d = _mm512_mask_add_pd(a, mask, a, b);
    choose_floats(mask: __mmask8, clear: __m512d, set: __m512d) -> __m512d = _mm512_mask_mov_pd(clear, mask, set);
    all_floats(x: f64) -> __m512d = _mm512_set1_pd(x);
    clamped_at_0(a: V) -> V = _mm512_max_epi64(a, _mm512_setzero_si512());
}

#[inline(always)]
fn load(words: &[u64]) -> V {
    let words: &[u64; 8] = words[..8].try_into().expect("eight words");
    // SAFETY: eight words are there; the instruction as above.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// The first vectors of a slice.
#[inline(always)]
fn load_all<const N: usize>(words: &[u64]) -> [V; N] {
    let mut vectors = [zero(); N];
    for (v, vector) in vectors.iter_mut().enumerate() {
        *vector = load(&words[8 * v..]);
    }
    vectors
}

/// The inverse modulo 2^52 of odd limbs, by Newton's iteration: 5 bits to begin with, doubled four times.
#[inline(always)]
fn inverse(n: V) -> V {
    let mut inverse = xor(add(n, add(n, n)), all(2));
    for _ in 0..4 {
        inverse = low(zero(), inverse, sub(all(2), low(zero(), n, inverse)));
    }
    inverse
}

/// The odd primes that lists are divided by. More of them are worth it than for one number, as each costs little.
const DIVISORS: [Divisor; 36] = {
    let mut divisors = [Divisor::new(3); 36];
    let (mut p, mut found) = (3, 0);
    while found < divisors.len() {
        if trial::looked_up(p) {
            divisors[found] = Divisor::new(p);
            found += 1;
        }
        p += 2;
    }
    divisors
};

/// So many of them leave a fifth of all numbers, or two fifths of the odd ones, and the others are for those.
const FIRST_DIVISORS: usize = 5;

/// Numbers that are sorted out at a time; they and their places lie on the stack.
const PART: usize = 512;

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")]
fn sort_out(method: &Method, numbers: &[u64], first_place: u64, words: &mut [u64], waiting: &mut [Waiting; 3]) {
    let mut left = Left { numbers: [0; PART + 16], places: [0; PART + 16], len: 0 };
    let mut place = first_place;
    for part in numbers.chunks(PART) {
        left.len = 0;
        let mut chunks = part.chunks_exact(16);
        for chunk in &mut chunks {
            let n = [load(chunk), load(&chunk[8..])];
            let passing = indivisible(n, n.map(|n| any_of(n, all(1))), &DIVISORS[..FIRST_DIVISORS]);
            for half in 0..2 {
                let in_table = _mm512_cmplt_epu64_mask(n[half], all(trial::TABLE_LEN));
                left.push_chosen(passing[half] & !in_table, n[half], places_from(place));
                look_up(in_table, &chunk[8 * half..], place, words);
                place += 8;
            }
        }
        for &n in chunks.remainder() {
            match trial::by_trial(n) {
                Some(prime) => words[(place / 64) as usize] |= u64::from(prime) << (place % 64),
                None => waiting[method.size(n)].push(n, place),
            }
            place += 1;
        }
        left.numbers[left.len..left.len + 16].fill(0);
        for at in (0..left.len).step_by(16) {
            let n = [load(&left.numbers[at..]), load(&left.numbers[at + 8..])];
            let passing = indivisible(n, n.map(|n| any_of(n, all(1))), &DIVISORS[FIRST_DIVISORS..]);
            for half in 0..2 {
                let places = load(&left.places[at + 8 * half..]);
                let below = method.from.map(|from| _mm512_mask_cmplt_epu64_mask(passing[half], n[half], all(from)));
                let sizes = [below[0], below[1] & !below[0], passing[half] & !below[1]];
                // Most lists have numbers of two limbs or of one alone.
                for range in [0..2, 2..3] {
                    if sizes[range.clone()].iter().any(|lanes| *lanes != 0) {
                        range.for_each(|size| waiting[size].push_chosen(sizes[size], n[half], places));
                    }
                }
            }
        }
    }
}

/// Which of these lanes no prime divides.
#[inline(always)]
fn indivisible(n: [V; 2], mut lanes: [__mmask8; 2], divisors: &[Divisor]) -> [__mmask8; 2] {
    for divisor in divisors {
        let (inverse, quotient_max) = (all(divisor.inverse), all(divisor.quotient_max));
        for half in 0..2 {
            lanes[half] = above(lanes[half], mul_64(n[half], inverse), quotient_max);
        }
    }
    lanes
}

#[inline(always)]
fn places_from(place: u64) -> V {
    add(all(place), load(&[0, 1, 2, 3, 4, 5, 6, 7]))
}

/// Sets the bits of primes among small numbers, which are rare in long lists.
#[inline(always)]
fn look_up(mut lanes: __mmask8, numbers: &[u64], first_place: u64, words: &mut [u64]) {
    while lanes != 0 {
        let lane = lanes.trailing_zeros() as usize;
        let place = first_place + lane as u64;
        words[(place / 64) as usize] |= u64::from(trial::looked_up(numbers[lane])) << (place % 64);
        lanes &= lanes - 1;
    }
}

/// What the first primes leave of a part.
struct Left {
    numbers: [u64; PART + 16],
    places: [u64; PART + 16],
    len: usize,
}

/// Appends the numbers of the lanes that the mask has, and their places, to lists of this length.
#[inline(always)]
fn push_chosen(mask: __mmask8, chosen: [V; 2], lists: [&mut [u64]; 2], len: &mut usize) {
    for (vector, list) in chosen.into_iter().zip(lists) {
        store_chosen(mask, vector, &mut list[*len..]);
    }
    *len += mask.count_ones() as usize;
}

impl Left {
    #[inline(always)]
    fn push_chosen(&mut self, mask: __mmask8, numbers: V, places: V) {
        push_chosen(mask, [numbers, places], [&mut self.numbers, &mut self.places], &mut self.len);
    }
}

/// Stores the lanes of the mask one after the other, and anything behind them.
#[inline(always)]
fn store_chosen(mask: __mmask8, vector: V, to: &mut [u64]) {
    let room: &mut [u64; 8] = (&mut to[..8]).try_into().expect("eight words");
    // SAFETY: eight words have room; the instructions are those of `sort_out`.
    unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), _mm512_maskz_compress_epi64(mask, vector)) };
}

impl Waiting {
    /// Adds the numbers of the lanes that the mask has.
    #[inline(always)]
    fn push_chosen(&mut self, mask: __mmask8, numbers: V, places: V) {
        push_chosen(mask, [numbers, places], [&mut self.numbers, &mut self.places], &mut self.len);
    }
}
