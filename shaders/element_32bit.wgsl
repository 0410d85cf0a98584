// Elements of 32 bits: how they are read, and how one invocation gathers them. After `exact_sum.wgsl`.

@group(0) @binding(0) var<storage, read> input: array<u32>;

alias Raw = u32;
alias Key = u32;

const KEY_BITS: u32 = 32u;
const KEY_ZERO: Key = 0u;
const KEY_ONES: Key = 0xffffffffu;

fn key_of(low: u32, high: u32) -> Key { return low; }
fn key_low(key: Key) -> u32 { return key; }
fn key_high(key: Key) -> u32 { return 0u; }
fn key_lt(a: Key, b: Key) -> bool { return a < b; }
fn key_sub(a: Key, b: Key) -> Key { return a - b; }
fn key_shr(key: Key, by: u32) -> Key { return key >> by; }

// The absolute value of a finite element: value * 2^position, in units of the least bit that a sum has.
struct Magnitude {
    value: u32,
    position: u32,
    negative: bool,
}

fn is_zero(magnitude: Magnitude) -> bool { return magnitude.value == 0u; }

// Of 24-bit significands shifted by 0 to 23, and of 32-bit integers that are not shifted, 2048 leave room in 63 bits; of
// their squares, in 128.
const WINDOW: u32 = 24u;
var<private> window: u32;
var<private> sum: Wide;
var<private> squares: Sum128;

fn gather(magnitude: Magnitude, shift: u32) {
    let term = wide_shl(wide(magnitude.value, 0u), shift);
    sum = select(wide_add(sum, term), wide_sub(sum, term), magnitude.negative);
    squares = add128(squares, shl64(wide_product(magnitude.value, magnitude.value), 2u * shift));
}

fn share(magnitude: Magnitude) {
    add_shared_sum(magnitude.negative, magnitude.position, wide(magnitude.value, 0u));
    add_shared_squares(2u * magnitude.position, wide_product(magnitude.value, magnitude.value));
}

// Moves what was gathered to what the workgroup shares.
fn share_gathered() {
    let negative = (wide_high(sum) >> 31u) == 1u;
    add_shared_sum(negative, window, select(sum, wide_sub(WIDE_ZERO, sum), negative));
    add_shared_squares(2u * window, squares.low);
    add_shared_squares(2u * window + 64u, squares.high);
    sum = WIDE_ZERO;
    squares = Sum128(WIDE_ZERO, WIDE_ZERO);
}
