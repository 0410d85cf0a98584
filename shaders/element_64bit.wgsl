// Elements of 64 bits: how they are read, and how one invocation gathers them. After `exact_sum.wgsl`.

@group(0) @binding(0) var<storage, read> quads: array<vec4<u32>>;

alias Raw = vec2<u32>;
alias Key = Wide;

// Elements of four words.
const QUAD: u32 = 2u;
const KEY_BITS: u32 = 64u;
const KEY_ZERO: Key = WIDE_ZERO;
const KEY_ONES: Key = ~WIDE_ZERO;

fn raw_at(i: u32) -> Raw {
    let word = 2u * (i & 1u);
    return vec2<u32>(quads[i >> 1u][word], quads[i >> 1u][word + 1u]);
}

fn key_of(low: u32, high: u32) -> Key { return wide(low, high); }
fn key_low(key: Key) -> u32 { return wide_low(key); }
fn key_high(key: Key) -> u32 { return wide_high(key); }
fn key_lt(a: Key, b: Key) -> bool { return wide_lt(a, b); }
fn key_min(a: Key, b: Key) -> Key { return select(b, a, wide_lt(a, b)); }
fn key_max(a: Key, b: Key) -> Key { return select(a, b, wide_lt(a, b)); }
fn key_sub(a: Key, b: Key) -> Key { return wide_sub(a, b); }
fn key_shr(key: Key, by: u32) -> Key { return wide_shr(key, by); }

// The absolute value of a finite element: value * 2^position, in units of the least bit that a sum has.
struct Magnitude {
    value: Wide,
    position: u32,
    negative: bool,
}
const MAGNITUDE_ZERO = WIDE_ZERO;

// Exponents of a window: significands of 53 bits, shifted by 0 to 25, are three pieces of 26 bits. 2^10 products of pieces
// take 62 bits. Integers are not shifted: their pieces have 26, 26 and 12 bits.
const WINDOW: u32 = 26u;
const PIECE_BITS: u32 = 26u;
const PIECE_ONES: u32 = 0x3ffffffu;
// Of a batch, signed.
var<private> batch: vec3<u32>;
// Of the two lower pieces, and of the highest one.
var<private> sum_low: Wide;
var<private> sum_high: Wide;
// Products of the pieces 0, 1 and 2.
var<private> squares_00: Wide;
var<private> squares_01: Wide;
var<private> squares_02: Wide;
var<private> squares_11: Wide;
var<private> squares_12: Wide;
var<private> squares_22: Wide;

// Adds an element of the window, or 0.
fn gather(magnitude: vec2<u32>, shift: u32, signs: u32) {
    let by = PIECE_BITS - shift;
    let above = (magnitude.x >> by) | (magnitude.y << (32u - by));
    let p0 = (magnitude.x << shift) & PIECE_ONES;
    let p1 = above & PIECE_ONES;
    let p2 = (above >> PIECE_BITS) | ((magnitude.y >> by) << (32u - PIECE_BITS));
    batch += (vec3<u32>(p0, p1, p2) ^ vec3<u32>(signs)) - vec3<u32>(signs);
    squares_00 = multiply_add(p0, p0, squares_00);
    squares_01 = multiply_add(p0, p1, squares_01);
    squares_02 = multiply_add(p0, p2, squares_02);
    squares_11 = multiply_add(p1, p1, squares_11);
    squares_12 = multiply_add(p1, p2, squares_12);
    squares_22 = multiply_add(p2, p2, squares_22);
}

// Ends a batch: 2^5 pieces of 26 bits and a sign fit a word.
fn end_batch() {
    sum_low = wide_add(sum_low, wide_add(wide_signed(batch.x), wide_shl(wide_signed(batch.y), PIECE_BITS)));
    sum_high = wide_add(sum_high, wide_signed(batch.z));
    batch = vec3<u32>(0u);
}

// What was gathered, in parts: the sums, which are signed, then squares. The lowest bit of the window is at `position`.
const PARTS: u32 = 8u;
const SUMS: u32 = 2u;

fn gathered(part: u32) -> Wide {
    switch part {
        case 0u { return sum_low; }
        case 1u { return sum_high; }
        case 2u { return squares_00; }
        case 3u { return squares_01; }
        case 4u { return squares_02; }
        case 5u { return squares_11; }
        case 6u { return squares_12; }
        default { return squares_22; }
    }
}

fn bit_of(part: u32, position: u32) -> u32 {
    switch part {
        case 0u { return position; }
        case 1u { return position + 2u * PIECE_BITS; }
        case 2u { return 2u * position; }
        // A product of different pieces counts twice.
        case 3u { return 2u * position + PIECE_BITS + 1u; }
        case 4u { return 2u * position + 2u * PIECE_BITS + 1u; }
        case 5u { return 2u * position + 2u * PIECE_BITS; }
        case 6u { return 2u * position + 3u * PIECE_BITS + 1u; }
        default { return 2u * position + 4u * PIECE_BITS; }
    }
}

fn empty_gathered() {
    sum_low = WIDE_ZERO;
    sum_high = WIDE_ZERO;
    squares_00 = WIDE_ZERO;
    squares_01 = WIDE_ZERO;
    squares_02 = WIDE_ZERO;
    squares_11 = WIDE_ZERO;
    squares_12 = WIDE_ZERO;
    squares_22 = WIDE_ZERO;
}

// An element that is not gathered is shared in parts, too.
const ELEMENT_PARTS: u32 = 3u;

fn element_addend(magnitude: Magnitude, part: u32) -> Addend {
    switch part {
        case 0u { return of_sum(magnitude.negative, magnitude.position, magnitude.value); }
        case 1u { return of_squares(2u * magnitude.position, wide_mul(magnitude.value, magnitude.value)); }
        default { return of_squares(2u * magnitude.position + 64u, wide_mul_high(magnitude.value, magnitude.value)); }
    }
}

// Takes the elements of four words; says which of them are left to be shared one by one.
fn take_quad(quad: vec4<u32>) -> u32 { return take(quad.xy) | (take(quad.zw) << 1u); }
