// 64-bit unsigned arithmetic, for devices that have it. `wide_limbs32.wgsl` defines the same names in pairs of u32.

alias Wide = u64;

const WIDE_ZERO: Wide = 0lu;
const WIDE_ONE: Wide = 1lu;
const LOW_HALF: Wide = 0xfffffffflu;

fn wide(low: u32, high: u32) -> Wide { return u64(low) | (u64(high) << 32u); }
fn wide_low(a: Wide) -> u32 { return u32(a & LOW_HALF); }
fn wide_high(a: Wide) -> u32 { return u32(a >> 32u); }
fn wide_add(a: Wide, b: Wide) -> Wide { return a + b; }
fn wide_sub(a: Wide, b: Wide) -> Wide { return a - b; }
fn wide_or(a: Wide, b: Wide) -> Wide { return a | b; }
fn wide_not(a: Wide) -> Wide { return ~a; }
fn wide_lt(a: Wide, b: Wide) -> bool { return a < b; }
fn wide_eq(a: Wide, b: Wide) -> bool { return a == b; }
// Shifts by 0 to 63.
fn wide_shl(a: Wide, by: u32) -> Wide { return a << by; }
fn wide_shr(a: Wide, by: u32) -> Wide { return a >> by; }
fn wide_product(a: u32, b: u32) -> Wide { return u64(a) * u64(b); }
// The low and the high half of the product.
fn wide_mul(a: Wide, b: Wide) -> Wide { return a * b; }
fn wide_mul_high(a: Wide, b: Wide) -> Wide {
    let a0 = a & LOW_HALF;
    let a1 = a >> 32u;
    let b0 = b & LOW_HALF;
    let b1 = b >> 32u;
    let t = a0 * b0;
    let u = a1 * b0 + (t >> 32u);
    let v = a0 * b1 + (u & LOW_HALF);
    return a1 * b1 + (u >> 32u) + (v >> 32u);
}
// 2^64 modulo n, which is not 0.
fn wide_power64_modulo(n: Wide) -> Wide { return (0lu - n) % n; }
