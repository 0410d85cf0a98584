// i32: keys have the sign bit flipped.

fn key_of_raw(raw: Raw) -> Key { return raw ^ 0x80000000u; }

fn magnitude_of(raw: Raw) -> Magnitude {
    let negative = (raw >> 31u) == 1u;
    return Magnitude(select(raw, 0u - raw, negative), 0u, negative);
}

// Integers lie in one window that never moves.
const EXPONENTS_END: u32 = WINDOW + 1u;
fn exponent_of(raw: Raw) -> u32 { return 0u; }
fn is_zero(raw: Raw) -> bool { return false; }

fn gather_raw(raw: Raw, shift: u32, fits: bool) {
    let signs = 0u - (raw >> 31u);
    gather(select(0u, (raw ^ signs) - signs, fits), 0u, signs);
}
