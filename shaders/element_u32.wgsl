// u32: its own key.

fn key_of_raw(raw: Raw) -> Key { return raw; }

fn magnitude_of(raw: Raw) -> Magnitude { return Magnitude(raw, 0u, false); }

// Integers lie in one window that never moves.
const EXPONENTS_END: u32 = WINDOW + 1u;
fn exponent_of(raw: Raw) -> u32 { return 0u; }
fn is_zero(raw: Raw) -> bool { return false; }

fn gather_raw(raw: Raw, shift: u32, fits: bool) { gather(select(0u, raw, fits), 0u, 0u); }
