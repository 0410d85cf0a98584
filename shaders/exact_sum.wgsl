// Exact sums. Each invocation gathers the elements whose exponents lie in a window into integers of its own, cut into pieces so
// short that products and sums of many need no carry; what lies outside the window goes to limbs that a workgroup shares, and so
// do in the end all windows: u32 words added to atomically, each carry passed on by whoever causes it, so that the order
// changes nothing. After a `wide` prelude, and the constants SUM_LIMBS and SQUARES_LIMBS.

// The wide integer of a signed word.
fn wide_signed(a: u32) -> Wide { return wide(a, 0u - (a >> 31u)); }

fn multiply_add(a: u32, b: u32, addend: Wide) -> Wide { return wide_add(addend, wide_product(a, b)); }

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

// What one call adds to the limbs start..end: `value` times 2^bit.
struct Addend {
    start: u32,
    end: u32,
    bit: u32,
    value: Wide,
}

fn of_sum(negative: bool, bit: u32, value: Wide) -> Addend {
    let start = select(POSITIVE, NEGATIVE, negative);
    return Addend(start, start + SUM_LIMBS, bit, value);
}

fn of_squares(bit: u32, value: Wide) -> Addend { return Addend(SQUARES, LIMBS, bit, value); }

fn share(addend: Addend) { add_shared(addend.start, addend.end, addend.bit, addend.value); }
