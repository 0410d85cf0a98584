// f64 by its bits, no 64-bit float needed: the order of its keys is that of `src/kernels/stats/number.rs`.

fn key_of_raw(raw: Raw) -> Key {
    let signs = 0u - (raw.y >> 31u);
    return wide(raw.x ^ signs, raw.y ^ (signs | 0x80000000u));
}

fn magnitude_of(raw: Raw) -> Magnitude {
    let exponent = exponent_of(raw);
    let high = (raw.y & 0xfffffu) | select(0u, 0x100000u, exponent != 0u);
    return Magnitude(wide(raw.x, high), max(exponent, 1u) - 1u, (raw.y >> 31u) == 1u);
}

// The exponents of a window lie from 1 to this one, which is that of infinities and NaN.
const EXPONENTS_END: u32 = 2047u;
fn exponent_of(raw: Raw) -> u32 { return (raw.y >> 20u) & 0x7ffu; }
fn is_zero(raw: Raw) -> bool { return (raw.x | (raw.y << 1u)) == 0u; }

// Adds an element of the window's exponents where `fits`, else nothing.
fn gather_raw(raw: Raw, shift: u32, fits: bool) {
    let significand = vec2<u32>(raw.x, (raw.y & 0xfffffu) | 0x100000u);
    gather(select(vec2<u32>(0u), significand, fits), select(0u, shift, fits), 0u - (raw.y >> 31u));
}
