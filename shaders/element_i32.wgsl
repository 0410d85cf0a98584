// i32: keys have the sign bit flipped.

fn key_of_raw(raw: Raw) -> Key { return raw ^ 0x80000000u; }

fn magnitude_of(raw: Raw) -> Magnitude {
    let negative = (raw >> 31u) == 1u;
    return Magnitude(select(raw, 0u - raw, negative), 0u, negative);
}
