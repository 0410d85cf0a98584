// f32 by its bits: the order of its keys is that of `src/kernels/stats/number.rs`.

fn key_of_raw(raw: Raw) -> Key { return select(raw | 0x80000000u, ~raw, (raw >> 31u) == 1u); }

fn magnitude_of(raw: Raw) -> Magnitude {
    let exponent = (raw >> 23u) & 0xffu;
    let significand = (raw & 0x7fffffu) | select(0u, 0x800000u, exponent != 0u);
    return Magnitude(significand, max(exponent, 1u) - 1u, (raw >> 31u) == 1u);
}
