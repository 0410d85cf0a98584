// 64-bit unsigned arithmetic in pairs of u32, the low half in x: base WGSL, for devices without 64-bit integers.
// `wide_native64.wgsl` defines the same names for those that have them.

alias Wide = vec2<u32>;

const WIDE_ZERO: Wide = vec2<u32>(0u, 0u);
const WIDE_ONE: Wide = vec2<u32>(1u, 0u);

fn wide(low: u32, high: u32) -> Wide { return vec2<u32>(low, high); }
fn wide_low(a: Wide) -> u32 { return a.x; }
fn wide_high(a: Wide) -> u32 { return a.y; }
fn wide_add(a: Wide, b: Wide) -> Wide {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}
fn wide_sub(a: Wide, b: Wide) -> Wide {
    return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}
fn wide_or(a: Wide, b: Wide) -> Wide { return a | b; }
fn wide_not(a: Wide) -> Wide { return ~a; }
fn wide_lt(a: Wide, b: Wide) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }
fn wide_eq(a: Wide, b: Wide) -> bool { return a.x == b.x && a.y == b.y; }
// Shifts by 0 to 63. WGSL masks a shift by 32 to one by 0, so that the bits that cross over are shifted in two steps.
fn wide_shl(a: Wide, by: u32) -> Wide {
    let s = by & 31u;
    let high = (a.y << s) | ((a.x >> 1u) >> (31u - s));
    return select(vec2<u32>(a.x << s, high), vec2<u32>(0u, a.x << s), by >= 32u);
}
fn wide_shr(a: Wide, by: u32) -> Wide {
    let s = by & 31u;
    let low = (a.x >> s) | ((a.y << 1u) << (31u - s));
    return select(vec2<u32>(low, a.y >> s), vec2<u32>(a.y >> s, 0u), by >= 32u);
}
fn wide_product(a: u32, b: u32) -> Wide {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let t = a0 * b0;
    let u = a1 * b0 + (t >> 16u);
    let v = a0 * b1 + (u & 0xffffu);
    return vec2<u32>((v << 16u) | (t & 0xffffu), a1 * b1 + (u >> 16u) + (v >> 16u));
}
// The low and the high half of the product.
fn wide_mul(a: Wide, b: Wide) -> Wide {
    let t = wide_product(a.x, b.x);
    return vec2<u32>(t.x, t.y + a.x * b.y + a.y * b.x);
}
fn wide_mul_high(a: Wide, b: Wide) -> Wide {
    let t = wide_product(a.x, b.x);
    let u = wide_add(wide_product(a.y, b.x), vec2<u32>(t.y, 0u));
    let v = wide_add(wide_product(a.x, b.y), vec2<u32>(u.x, 0u));
    return wide_add(wide_add(wide_product(a.y, b.y), vec2<u32>(u.y, 0u)), vec2<u32>(v.y, 0u));
}
// 2^64 modulo n, which is not 0: 2^64 less n shifted up to the top, reduced by n at every lower place.
fn wide_power64_modulo(n: Wide) -> Wide {
    let zeros = select(countLeadingZeros(n.y), 32u + countLeadingZeros(n.x), n.y == 0u);
    var rest = wide_sub(WIDE_ZERO, wide_shl(n, zeros));
    for (var place = 0u; place <= zeros; place++) {
        let part = wide_shl(n, zeros - place);
        if (!wide_lt(rest, part)) { rest = wide_sub(rest, part); }
    }
    return rest;
}
