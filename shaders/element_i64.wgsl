// i64: keys have the sign bit flipped.

fn key_of_raw(raw: Raw) -> Key { return wide(raw.x, raw.y ^ 0x80000000u); }

fn magnitude_of(raw: Raw) -> Magnitude {
    let negative = (raw.y >> 31u) == 1u;
    let value = wide(raw.x, raw.y);
    return Magnitude(select(value, wide_sub(WIDE_ZERO, value), negative), 0u, negative);
}

// Integers lie in one window that never moves.
const EXPONENTS_END: u32 = WINDOW + 1u;
fn exponent_of(raw: Raw) -> u32 { return 0u; }
fn is_zero(raw: Raw) -> bool { return false; }

fn gather_raw(raw: Raw, shift: u32, fits: bool) {
    let signs = 0u - (raw.y >> 31u);
    let flipped = raw ^ vec2<u32>(signs);
    let low = flipped.x - signs;
    let magnitude = vec2<u32>(low, flipped.y + select(0u, 1u, signs != 0u && low == 0u));
    gather(select(vec2<u32>(0u), magnitude, fits), 0u, signs);
}
