// f32 by its bits: the order of its keys is that of `src/kernels/stats/number.rs`.

fn key_of_raw(raw: Raw) -> Key { return select(raw | 0x80000000u, ~raw, (raw >> 31u) == 1u); }

fn magnitude_of(raw: Raw) -> Magnitude {
    let exponent = exponent_of(raw);
    let significand = (raw & 0x7fffffu) | select(0u, 0x800000u, exponent != 0u);
    return Magnitude(significand, max(exponent, 1u) - 1u, (raw >> 31u) == 1u);
}

// The exponents of a window lie from 1 to this one, which is that of infinities and NaN.
const EXPONENTS_END: u32 = 255u;
fn exponent_of(raw: Raw) -> u32 { return (raw >> 23u) & 0xffu; }
fn is_zero(raw: Raw) -> bool { return (raw << 1u) == 0u; }

// Adds an element of the window's exponents where `fits`, else nothing.
fn gather_raw(raw: Raw, shift: u32, fits: bool) {
    gather(select(0u, (raw & 0x7fffffu) | 0x800000u, fits), select(0u, shift, fits), 0u - (raw >> 31u));
}
