// Elements of 64 bits: how they are read, and how one invocation gathers them. After `exact_sum.wgsl`.

@group(0) @binding(0) var<storage, read> input: array<vec2<u32>>;

alias Raw = vec2<u32>;
alias Key = Wide;

const KEY_BITS: u32 = 64u;
const KEY_ZERO: Key = WIDE_ZERO;
const KEY_ONES: Key = ~WIDE_ZERO;

fn key_of(low: u32, high: u32) -> Key { return wide(low, high); }
fn key_low(key: Key) -> u32 { return wide_low(key); }
fn key_high(key: Key) -> u32 { return wide_high(key); }
fn key_lt(a: Key, b: Key) -> bool { return wide_lt(a, b); }
fn key_sub(a: Key, b: Key) -> Key { return wide_sub(a, b); }
fn key_shr(key: Key, by: u32) -> Key { return wide_shr(key, by); }

// The absolute value of a finite element: value * 2^position, in units of the least bit that a sum has.
struct Magnitude {
    value: Wide,
    position: u32,
    negative: bool,
}

fn is_zero(magnitude: Magnitude) -> bool { return wide_eq(magnitude.value, WIDE_ZERO); }

// Of 53-bit significands shifted by 0 to 31, and of 64-bit integers that are not shifted, 2048 leave room in 127 bits; of
// their squares, in 192.
const WINDOW: u32 = 32u;
var<private> window: u32;
var<private> sum: Sum128;
var<private> squares: Sum192;

fn square_of(value: Wide) -> Sum128 { return Sum128(wide_mul(value, value), wide_mul_high(value, value)); }

fn gather(magnitude: Magnitude, shift: u32) {
    let term = shl64(magnitude.value, shift);
    if (magnitude.negative) { sum = sub128(sum, term); } else { sum = add128(sum, term); }
    squares = add192(squares, shl128(square_of(magnitude.value), 2u * shift));
}

fn share(magnitude: Magnitude) {
    add_shared_sum(magnitude.negative, magnitude.position, magnitude.value);
    let square = square_of(magnitude.value);
    add_shared_squares(2u * magnitude.position, square.low);
    add_shared_squares(2u * magnitude.position + 64u, square.high);
}

// Moves what was gathered to what the workgroup shares.
fn share_gathered() {
    let negative = (wide_high(sum.high) >> 31u) == 1u;
    if (negative) { sum = sub128(Sum128(WIDE_ZERO, WIDE_ZERO), sum); }
    add_shared_sum(negative, window, sum.low);
    add_shared_sum(negative, window + 64u, sum.high);
    add_shared_squares(2u * window, squares.low);
    add_shared_squares(2u * window + 64u, squares.middle);
    add_shared_squares(2u * window + 128u, squares.high);
    sum = Sum128(WIDE_ZERO, WIDE_ZERO);
    squares = Sum192(WIDE_ZERO, WIDE_ZERO, WIDE_ZERO);
}
