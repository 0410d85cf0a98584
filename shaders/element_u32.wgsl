// u32: its own key.

fn key_of_raw(raw: Raw) -> Key { return raw; }

fn magnitude_of(raw: Raw) -> Magnitude { return Magnitude(raw, 0u, false); }
