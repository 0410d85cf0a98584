// Elements of 32 bits: how they are read, and how one invocation gathers them. After `exact_sum.wgsl`.

@group(0) @binding(0) var<storage, read> quads: array<vec4<u32>>;

alias Raw = u32;
alias Key = u32;

// Elements of four words.
const QUAD: u32 = 4u;
const KEY_BITS: u32 = 32u;
const KEY_ZERO: Key = 0u;
const KEY_ONES: Key = 0xffffffffu;

fn raw_at(i: u32) -> Raw { return quads[i >> 2u][i & 3u]; }

fn key_of(low: u32, high: u32) -> Key { return low; }
fn key_low(key: Key) -> u32 { return key; }
fn key_high(key: Key) -> u32 { return 0u; }
fn key_lt(a: Key, b: Key) -> bool { return a < b; }
fn key_min(a: Key, b: Key) -> Key { return min(a, b); }
fn key_max(a: Key, b: Key) -> Key { return max(a, b); }
fn key_sub(a: Key, b: Key) -> Key { return a - b; }
fn key_shr(key: Key, by: u32) -> Key { return key >> by; }

// The absolute value of a finite element: value * 2^position, in units of the least bit that a sum has.
struct Magnitude {
    value: u32,
    position: u32,
    negative: bool,
}
const MAGNITUDE_ZERO = 0u;

// Exponents of a window: significands of 24 bits, shifted by 0 to 23, are two pieces of 24 bits. 2^10 products of pieces take
// 58 bits. Integers are not shifted: their pieces have 24 and 8 bits.
const WINDOW: u32 = 24u;
const PIECE_ONES: u32 = 0xffffffu;
// Of a batch, signed.
var<private> batch: vec2<u32>;
var<private> sum: Wide;
// Products of pieces: low with low, low with high, high with high.
var<private> squares_low: Wide;
var<private> squares_middle: Wide;
var<private> squares_high: Wide;

// Adds an element of the window, or 0.
fn gather(magnitude: u32, shift: u32, signs: u32) {
    let low = (magnitude << shift) & PIECE_ONES;
    let high = magnitude >> (24u - shift);
    batch += (vec2<u32>(low, high) ^ vec2<u32>(signs)) - vec2<u32>(signs);
    squares_low = multiply_add(low, low, squares_low);
    squares_middle = multiply_add(low, high, squares_middle);
    squares_high = multiply_add(high, high, squares_high);
}

// Ends a batch: 2^5 pieces of 24 bits and a sign fit a word.
fn end_batch() {
    sum = wide_add(sum, wide_add(wide_signed(batch.x), wide_shl(wide_signed(batch.y), 24u)));
    batch = vec2<u32>(0u);
}

// What was gathered, in parts: the sums, which are signed, then squares. The lowest bit of the window is at `position`.
const PARTS: u32 = 4u;
const SUMS: u32 = 1u;

fn gathered(part: u32) -> Wide {
    switch part {
        case 0u { return sum; }
        case 1u { return squares_low; }
        case 2u { return squares_middle; }
        default { return squares_high; }
    }
}

fn bit_of(part: u32, position: u32) -> u32 {
    if (part < SUMS) { return position; }
    // 0, 25, 48: a product of different pieces counts twice.
    return 2u * position + 24u * (part - 1u) + select(0u, 1u, part == 2u);
}

fn empty_gathered() {
    sum = WIDE_ZERO;
    squares_low = WIDE_ZERO;
    squares_middle = WIDE_ZERO;
    squares_high = WIDE_ZERO;
}

// An element that is not gathered is shared in parts, too.
const ELEMENT_PARTS: u32 = 2u;

fn element_addend(magnitude: Magnitude, part: u32) -> Addend {
    if (part == 0u) { return of_sum(magnitude.negative, magnitude.position, wide(magnitude.value, 0u)); }
    return of_squares(2u * magnitude.position, wide_product(magnitude.value, magnitude.value));
}

// Takes the elements of four words; says which of them are left to be shared one by one.
fn take_quad(quad: vec4<u32>) -> u32 {
    return take(quad.x) | (take(quad.y) << 1u) | (take(quad.z) << 2u) | (take(quad.w) << 3u);
}
