// u64: its own key.

fn key_of_raw(raw: Raw) -> Key { return wide(raw.x, raw.y); }

fn magnitude_of(raw: Raw) -> Magnitude { return Magnitude(wide(raw.x, raw.y), 0u, false); }
