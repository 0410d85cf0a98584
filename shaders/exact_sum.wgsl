// Exact sums. Each invocation gathers the elements whose exponents lie in a window into a wide integer of its own; what lies
// outside the window, and in the end the windows themselves, go to limbs that a workgroup shares: u32 words added to
// atomically, each carry passed on by whoever causes it, so that the order changes nothing.
// After a `wide` prelude, and the constants SUM_LIMBS and SQUARES_LIMBS.

struct Sum128 {
    low: Wide,
    high: Wide,
}

struct Sum192 {
    low: Wide,
    middle: Wide,
    high: Wide,
}

fn carry_of(sum: Wide, addend: Wide) -> Wide { return select(WIDE_ZERO, WIDE_ONE, wide_lt(sum, addend)); }

fn add128(a: Sum128, b: Sum128) -> Sum128 {
    let low = wide_add(a.low, b.low);
    return Sum128(low, wide_add(wide_add(a.high, b.high), carry_of(low, b.low)));
}

fn sub128(a: Sum128, b: Sum128) -> Sum128 {
    return Sum128(wide_sub(a.low, b.low), wide_sub(wide_sub(a.high, b.high), carry_of(a.low, b.low)));
}

fn add192(a: Sum192, b: Sum192) -> Sum192 {
    let low = wide_add(a.low, b.low);
    let carry = carry_of(low, b.low);
    let middle = wide_add(a.middle, b.middle);
    let carried = wide_add(middle, carry);
    let high = wide_add(wide_add(a.high, b.high), carry_of(middle, b.middle));
    return Sum192(low, carried, wide_add(high, carry_of(carried, carry)));
}

// The bits that leave a word shifted left by 0 to 63.
fn overflow_of(a: Wide, by: u32) -> Wide { return wide_shr(wide_shr(a, 1u), 63u - by); }

fn shl64(a: Wide, by: u32) -> Sum128 { return Sum128(wide_shl(a, by), overflow_of(a, by)); }

fn shl128(a: Sum128, by: u32) -> Sum192 {
    return Sum192(
        wide_shl(a.low, by),
        wide_or(wide_shl(a.high, by), overflow_of(a.low, by)),
        overflow_of(a.high, by),
    );
}

// What a workgroup shares: the sum of what is positive, that of what is negative, and the sum of squares.
const POSITIVE: u32 = 0u;
const NEGATIVE: u32 = SUM_LIMBS;
const SQUARES: u32 = 2u * SUM_LIMBS;
const LIMBS: u32 = 2u * SUM_LIMBS + SQUARES_LIMBS;
var<workgroup> limbs: array<atomic<u32>, LIMBS>;

fn add_limb(index: u32, end: u32, value: u32) {
    if (value == 0u || index >= end) { return; }
    let before = atomicAdd(&limbs[index], value);
    if (before + value >= before) { return; }
    // Beyond the next limb a carry seldom goes: only through a limb that is all ones, which it leaves at zero.
    for (var at = index + 1u; at < end; at++) {
        if (atomicAdd(&limbs[at], 1u) != 0xffffffffu) { return; }
    }
}

// Adds `value` times 2^bit to the number of the limbs start..end.
fn add_shared(start: u32, end: u32, bit: u32, value: Wide) {
    let index = start + (bit >> 5u);
    let shift = bit & 31u;
    let low = wide_low(value);
    let high = wide_high(value);
    add_limb(index, end, low << shift);
    add_limb(index + 1u, end, (high << shift) | ((low >> 1u) >> (31u - shift)));
    add_limb(index + 2u, end, (high >> 1u) >> (31u - shift));
}

fn add_shared_sum(negative: bool, bit: u32, value: Wide) {
    let start = select(POSITIVE, NEGATIVE, negative);
    add_shared(start, start + SUM_LIMBS, bit, value);
}

fn add_shared_squares(bit: u32, value: Wide) { add_shared(SQUARES, LIMBS, bit, value); }
