// f64 by its bits, no 64-bit float needed: the order of its keys is that of `src/kernels/stats/number.rs`.

fn key_of_raw(raw: Raw) -> Key {
    let negative = (raw.y >> 31u) == 1u;
    return wide(select(raw.x, ~raw.x, negative), select(raw.y | 0x80000000u, ~raw.y, negative));
}

fn magnitude_of(raw: Raw) -> Magnitude {
    let exponent = (raw.y >> 20u) & 0x7ffu;
    let high = (raw.y & 0xfffffu) | select(0u, 0x100000u, exponent != 0u);
    return Magnitude(wide(raw.x, high), max(exponent, 1u) - 1u, (raw.y >> 31u) == 1u);
}
