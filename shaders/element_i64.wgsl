// i64: keys have the sign bit flipped.

fn key_of_raw(raw: Raw) -> Key { return wide(raw.x, raw.y ^ 0x80000000u); }

fn magnitude_of(raw: Raw) -> Magnitude {
    let negative = (raw.y >> 31u) == 1u;
    let value = wide(raw.x, raw.y);
    return Magnitude(select(value, wide_sub(WIDE_ZERO, value), negative), 0u, negative);
}
